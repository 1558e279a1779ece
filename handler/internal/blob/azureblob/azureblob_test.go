package azureblob_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"polis/handler/internal/blob"
	"polis/handler/internal/blob/azureblob"
	"polis/handler/internal/blob/blobtest"
	"polis/handler/internal/fault"
	"polis/handler/internal/standin"
)

type azurite struct {
	*standin.Program
	client     *http.Client
	containers atomic.Int64
}

func start(t *testing.T) *azurite {
	standin.Need(t)
	c, err := standin.NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := standin.Azurite(t.Context(), c, "", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return &azurite{Program: p, client: c.Client()}
}

// container makes an empty one.
func (a *azurite) container(t *testing.T) string {
	t.Helper()
	s, err := service.NewClient(a.URL, standin.Token{}, &service.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: a.client}})
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("polis-%d", a.containers.Add(1))
	if _, err := s.CreateContainer(t.Context(), name, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

func (a *azurite) open(t *testing.T, cred azcore.TokenCredential, transport policy.Transporter) *azureblob.Store {
	t.Helper()
	s, err := azureblob.Open(cred, azureblob.Options{Endpoint: a.URL, Container: a.container(t), Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	a := start(t)
	blobtest.Run(t, func(t *testing.T) blob.Store { return a.open(t, standin.Token{}, a.client) })
}

func TestTokens(t *testing.T) {
	a := start(t)
	for _, tc := range []struct {
		name string
		with standin.Token
		good bool
	}{
		{"as asked for", standin.Token{}, true},
		{"for the account alone", standin.Token{Audience: "https://" + standin.Account + ".blob.core.windows.net"}, true},
		{"for another account", standin.Token{Audience: "https://other.blob.core.windows.net"}, false},
		{"for another service", standin.Token{Audience: "https://servicebus.azure.net"}, false},
		{"of yesterday", standin.Token{Age: 24 * time.Hour}, false},
		{"of tomorrow", standin.Token{Age: -24 * time.Hour}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := a.open(t, tc.with, a.client).Put(t.Context(), "a", strings.NewReader("x"))
			if tc.good != (err == nil) || !tc.good && !fault.Is(err, fault.Unconfigured) {
				t.Error(err)
			}
		})
	}
}

// flaky loses the answer to every other write, after the service has done it.
type flaky struct {
	client *http.Client
	mu     sync.Mutex
	writes int
}

func (f *flaky) Do(r *http.Request) (*http.Response, error) {
	resp, err := f.client.Do(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && r.Method == http.MethodPut {
		if f.writes++; f.writes%2 == 1 {
			return nil, fmt.Errorf("the connection is lost (%w)", resp.Body.Close())
		}
	}
	return resp, err
}

func TestLostAnswers(t *testing.T) {
	a := start(t)
	s := a.open(t, standin.Token{}, &flaky{client: a.client})
	for i, size := range []int{1, 9 << 20} {
		name := fmt.Sprint("blob", i)
		if info, err := s.Create(t.Context(), name, strings.NewReader(strings.Repeat("x", size))); err != nil || info.Size != int64(size) || info.ETag == "" {
			t.Errorf("%d bytes: %+v, %v", size, info, err)
		}
		if _, err := s.Create(t.Context(), name, strings.NewReader("y")); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second creation: %v", err)
		}
	}
}

func TestOpen(t *testing.T) {
	for name, o := range map[string]azureblob.Options{"no endpoint": {Container: "c"}, "no container": {Endpoint: "https://localhost"}} {
		if _, err := azureblob.Open(standin.Token{}, o); !fault.Is(err, fault.Unconfigured) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := azureblob.Open(nil, azureblob.Options{Endpoint: "https://localhost", Container: "c"}); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("no credential: %v", err)
	}
}
