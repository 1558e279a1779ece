// Package standin starts what plays Azure's part on one's own computer: Azurite for Blob
// Storage, and the emulators of scripts/standins. They are programs for Node, installed below
// var/standins by scripts/standins/install. They speak TLS with a certificate made here, and
// take tokens as Azure does: nothing here is a key or a connection string.
package standin

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"polis/handler/internal/fault"
)

// place is where the programs are.
type place struct{ scripts, modules, estate string }

// Installed reports where the programs are, or how to install them.
func Installed() error {
	_, err := installed()
	return err
}

func installed() (place, error) {
	root, err := os.Getwd()
	for err == nil {
		if _, e := os.Stat(filepath.Join(root, "scripts", "standins", "package.json")); e == nil {
			break
		}
		if parent := filepath.Dir(root); parent != root {
			root = parent
			continue
		}
		err = errors.New("this is no checkout of Polis")
	}
	if err != nil {
		return place{}, fault.Wrap(fault.Unconfigured, err, "looking for the stand-ins")
	}
	at := place{
		filepath.Join(root, "scripts", "standins"), filepath.Join(root, "var", "standins", "node_modules"),
		filepath.Join(root, "infra", "estate", "estate.json"),
	}
	if _, err := exec.LookPath("node"); err != nil {
		return place{}, fault.New(fault.Unconfigured, "the stand-ins need Node 20, and node is not on the PATH")
	}
	if _, err := os.Stat(filepath.Join(at.modules, "azurite")); err != nil {
		return place{}, fault.New(fault.Unconfigured, "the stand-ins are not installed: scripts/standins/install does it, and needs Node 20")
	}
	return at, nil
}

// Need is Installed for a test, which is skipped without.
func Need(t testing.TB) {
	t.Helper()
	if err := Installed(); err != nil {
		t.Skip("SKIPPED:", err)
	}
}

// Certificate is one for the loopback address, and who trusts it.
type Certificate struct {
	CertFile, KeyFile string
	Pool              *x509.CertPool
}

// NewCertificate makes a certificate in a folder.
func NewCertificate(dir string) (Certificate, error) {
	const doing = "making a certificate"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, fault.Wrap(fault.Internal, err, doing)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "polis stand-in"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", Namespace}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return Certificate{}, fault.Wrap(fault.Internal, err, doing)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, fault.Wrap(fault.Internal, err, doing)
	}
	c := Certificate{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), Pool: x509.NewCertPool()}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := errors.Join(os.WriteFile(c.CertFile, public, 0o600), os.WriteFile(c.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)); err != nil {
		return Certificate{}, fault.Wrap(fault.Unconfigured, err, doing)
	}
	c.Pool.AppendCertsFromPEM(public)
	return c, nil
}

// ReadCertificate is the certificate that NewCertificate made in a folder.
func ReadCertificate(dir string) (Certificate, error) {
	c := Certificate{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), Pool: x509.NewCertPool()}
	public, err := os.ReadFile(c.CertFile)
	if err != nil {
		return c, fault.Wrap(fault.Unconfigured, err, "reading a certificate")
	}
	if !c.Pool.AppendCertsFromPEM(public) {
		return c, fault.New(fault.Unconfigured, "a certificate file without a certificate")
	}
	return c, nil
}

// TLS trusts the certificate and nobody else's.
func (c Certificate) TLS() *tls.Config {
	return &tls.Config{RootCAs: c.Pool, MinVersion: tls.VersionTLS12}
}

// Client trusts the certificate and nobody else's.
func (c Certificate) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c.TLS(), ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16}}
}

// Program is a stand-in that runs. It ends with us, however we end: its standard input closes.
type Program struct {
	URL string // where it listens

	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // what it says once it listens
	done  chan struct{}
	once  sync.Once
}

// Stop ends the program and waits for it.
func (p *Program) Stop() {
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	})
}

// Tell gives the program an order, and returns when it has carried it out. It is not safe for
// concurrent use.
func (p *Program) Tell(order string) error {
	if _, err := io.WriteString(p.in, order+"\n"); err != nil {
		return fault.Wrap(fault.Unavailable, err, "telling a stand-in")
	}
	select {
	case line := <-p.lines:
		if line != "ok" {
			return fault.New(fault.Internal, "a stand-in answers %q", line)
		}
		return nil
	case <-p.done:
		return fault.New(fault.Unavailable, "a stand-in has ended")
	}
}

// start runs a program until it says where it listens. What it says before, and its errors, go
// to the log.
func start(ctx context.Context, listening *regexp.Regexp, log io.Writer, args ...string) (*Program, error) {
	const doing = "starting a stand-in"
	cmd := exec.Command("node", args...)
	cmd.Stderr = log
	apart(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, doing)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, doing)
	}
	if err := cmd.Start(); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, doing)
	}
	p := &Program{cmd: cmd, in: in, lines: make(chan string, 1), done: make(chan struct{})}
	found := make(chan string, 1)
	go func() {
		defer close(p.done)
		said, heard := bufio.NewScanner(out), false
		for said.Scan() {
			switch m := listening.FindStringSubmatch(said.Text()); {
			case heard:
				select {
				case p.lines <- said.Text():
				default: // nobody has asked
				}
			case m != nil:
				heard = true
				found <- m[1]
			default:
				_, _ = fmt.Fprintln(log, said.Text()) // a log that fails is no reason to stop
			}
		}
		_ = cmd.Wait() // however it ended
	}()
	select {
	case p.URL = <-found:
		return p, nil
	case <-p.done:
		return nil, fault.New(fault.Unavailable, "a stand-in ended before it listened")
	case <-ctx.Done():
		p.Stop()
		return nil, fault.Wrap(fault.Cancelled, ctx.Err(), doing)
	}
}

// Account is the storage account that Azurite plays.
const Account = "devstoreaccount1"

// Azurite starts Blob Storage's stand-in over TLS, where tokens are looked at: their issuer,
// audience and times, and not their signature. Its data are in the folder; without one, in
// memory. URL is the account's.
func Azurite(ctx context.Context, c Certificate, data string, log io.Writer) (*Program, error) {
	at, err := installed()
	if err != nil {
		return nil, err
	}
	args := []string{
		filepath.Join(at.scripts, "azurite.js"), at.modules,
		"--blobHost", "127.0.0.1", "--blobPort", "0", "--silent", "--disableTelemetry", "--skipApiVersionCheck",
		"--oauth", "basic", "--cert", c.CertFile, "--key", c.KeyFile,
	}
	if data == "" {
		args = append(args, "--inMemoryPersistence")
	} else {
		args = append(args, "--location", data)
	}
	p, err := start(ctx, regexp.MustCompile(`successfully listen\w* (?:at|on) (https://\S+)`), log, args...)
	if err == nil {
		p.URL += "/" + Account
	}
	return p, err
}

// Namespace is the Service Bus namespace that the stand-in is taken for.
const Namespace = "polis.servicebus.windows.net"

// ServiceBus starts Service Bus's stand-in with the queues and topics of a file such as
// infra/estate/estate.json; without one, with any that is asked for. What it holds when it is
// stopped is in the file kept, if there is one. URL is amqps://HOST:PORT.
func ServiceBus(ctx context.Context, c Certificate, estate, kept string, log io.Writer) (*Program, error) {
	at, err := installed()
	if err != nil {
		return nil, err
	}
	args := []string{filepath.Join(at.scripts, "servicebus.js"), "--modules", at.modules, "--cert", c.CertFile, "--key", c.KeyFile}
	if estate == "" {
		args = append(args, "--any")
	} else {
		args = append(args, "--estate", estate)
	}
	if kept != "" {
		args = append(args, "--keep", kept)
	}
	return start(ctx, regexp.MustCompile(`^listening on (amqps://\S+)`), log, args...)
}

// CosmosDB starts another's emulator of Cosmos DB's wire, with a database and a container in it, in memory. What is right
// of it is said in scripts/standins/cosmos.js.
func CosmosDB(ctx context.Context, c Certificate, database, container string, log io.Writer) (*Program, error) {
	at, err := installed()
	if err != nil {
		return nil, err
	}
	return start(ctx, regexp.MustCompile(`^listening on (https://\S+)`), log,
		filepath.Join(at.scripts, "cosmos.js"), at.modules, c.CertFile, c.KeyFile, database, container)
}

// Token is a credential for the stand-ins: an unsigned token for whatever audience is asked
// for, as Entra ID would make it.
type Token struct {
	Audience string        // instead of what is asked for
	Age      time.Duration // since it was made; a token is good for an hour
}

// GetToken implements azcore.TokenCredential.
func (t Token) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	audience := t.Audience
	if audience == "" && len(o.Scopes) > 0 {
		audience, _ = trimScope(o.Scopes[0])
	}
	made := time.Now().Add(-t.Age)
	expires := made.Add(time.Hour)
	claims, err := json.Marshal(map[string]any{
		"iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/", "aud": audience,
		"iat": made.Unix(), "nbf": made.Add(-time.Minute).Unix(), "exp": expires.Unix(), "oid": "stand-in", "ver": "1.0",
	})
	if err != nil {
		return azcore.AccessToken{}, fault.Wrap(fault.Internal, err, "making a token")
	}
	encode := base64.RawURLEncoding.EncodeToString
	return azcore.AccessToken{
		Token:     encode([]byte(`{"typ":"JWT","alg":"none"}`)) + "." + encode(claims) + "." + encode([]byte("unsigned")),
		ExpiresOn: time.Now().Add(time.Hour), // so that an old one is sent all the same
	}, nil
}

// trimScope is the audience of a scope: https://storage.azure.com/.default asks for
// https://storage.azure.com.
func trimScope(scope string) (string, bool) {
	const suffix = "/.default"
	if len(scope) > len(suffix) && scope[len(scope)-len(suffix):] == suffix {
		return scope[:len(scope)-len(suffix)], true
	}
	return scope, false
}
