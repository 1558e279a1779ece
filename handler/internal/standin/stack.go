package standin

import (
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"polis/handler/internal/fault"
)

// Places are where the stand-ins of a folder are, and who trusts them. The folder says so in
// cert.pem, blobs (an address) and bus (HOST:PORT).
type Places struct {
	Certificate
	Blobs, Bus string
}

// Find reads where the stand-ins of a folder are.
func Find(dir string) (Places, error) {
	const doing = "finding the stand-ins"
	c, err := ReadCertificate(dir)
	if err != nil {
		return Places{}, err
	}
	p := Places{Certificate: c}
	for name, to := range map[string]*string{"blobs": &p.Blobs, "bus": &p.Bus} {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return Places{}, fault.Wrap(fault.Unconfigured, err, doing)
		}
		*to = strings.TrimSpace(string(body))
	}
	return p, nil
}

// Answer reports whether both listen: a folder keeps the addresses of stand-ins that were
// killed.
func (p Places) Answer(ctx context.Context) error {
	u, err := url.Parse(p.Blobs)
	if err != nil {
		return fault.Wrap(fault.Unconfigured, err, "the address of the stand-in for blobs")
	}
	for _, at := range []string{u.Host, p.Bus} {
		d := net.Dialer{Timeout: time.Second}
		c, err := d.DialContext(ctx, "tcp", at)
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "reaching the stand-ins, which live as long as the program that started them")
		}
		_ = c.Close() // it only had to be there
	}
	return nil
}

// Stack is the stand-ins for blobs and messages, running.
type Stack struct {
	Places
	blobs, bus *Program
}

// Up starts both for a folder, which then says where they are (see Places) and in which they
// keep what they hold. Blobs have the container, which in Azure the estate's template makes.
// Estate is a file such as infra/estate/estate.json; by default that one.
func Up(ctx context.Context, dir, container, estate string, log io.Writer) (_ *Stack, err error) {
	at, err := installed()
	if err != nil {
		return nil, err
	}
	if estate == "" {
		estate = at.estate
	}
	azurite := filepath.Join(dir, "azurite")
	if err := os.MkdirAll(azurite, 0o700); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "making the stand-ins' folder")
	}
	s := &Stack{}
	if s.Certificate, err = NewCertificate(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Down()
		}
	}()
	if s.blobs, err = Azurite(ctx, s.Certificate, azurite, log); err != nil {
		return nil, err
	}
	if s.bus, err = ServiceBus(ctx, s.Certificate, estate, filepath.Join(dir, "messages.json"), log); err != nil {
		return nil, err
	}
	s.Blobs, s.Bus = s.blobs.URL, strings.TrimPrefix(s.bus.URL, "amqps://")
	account, err := service.NewClient(s.Blobs, Token{}, &service.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: s.Client()}})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "opening the stand-in for blobs")
	}
	if _, err := account.CreateContainer(ctx, container, nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		return nil, fault.Wrap(fault.Unavailable, err, "making the container of blobs")
	}
	for name, where := range map[string]string{"blobs": s.Blobs, "bus": s.Bus} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(where+"\n"), 0o600); err != nil {
			return nil, fault.Wrap(fault.Unconfigured, err, "saying where the stand-ins are")
		}
	}
	return s, nil
}

// Down ends both. What they hold stays in the folder.
func (s *Stack) Down() {
	for _, p := range []*Program{s.bus, s.blobs} {
		if p != nil {
			p.Stop()
		}
	}
}
