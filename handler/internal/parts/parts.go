// Package parts opens what Polis keeps its data in, as the settings name it: in Azure its
// services, elsewhere what is embedded.
package parts

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"polis/handler/internal/blob"
	"polis/handler/internal/blob/azureblob"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/bus"
	"polis/handler/internal/bus/servicebus"
	"polis/handler/internal/bus/sqlitebus"
	"polis/handler/internal/caller"
	"polis/handler/internal/caller/entra"
	"polis/handler/internal/config"
	"polis/handler/internal/fault"
	"polis/handler/internal/identity"
	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos"
	"polis/handler/internal/store/sqlite"
)

// Parts open the parts of a configuration.
type Parts struct {
	c  config.Config
	as func() (azure, error)
}

// azure is how Azure's services are reached.
type azure struct {
	credential azcore.TokenCredential
	client     *http.Client // nil: the services' own
	tls        *tls.Config  // of the bus; nil: as everybody trusts
	endpoint   string       // of the bus, where it is not at its namespace
}

// New is the parts of a configuration. It refuses keys and connection strings, wherever the
// data are: one that is configured will be used by somebody.
func New(c config.Config) (*Parts, error) {
	if err := identity.Refuse(); err != nil {
		return nil, err
	}
	as := func() (azure, error) {
		credential, err := identity.New(c.Azure, c.ClientID)
		return azure{credential: credential}, err
	}
	if c.StandinFolder != "" {
		as = func() (azure, error) { return standins(c.StandinFolder) }
	}
	return &Parts{c, sync.OnceValues(as)}, nil
}

// Store opens the documents; what is asked of them is counted.
func (p *Parts) Store() (store.Store, error) {
	s, err := p.store()
	if err != nil {
		return nil, err
	}
	return store.Counted(s), nil
}

func (p *Parts) store() (store.Store, error) {
	if p.c.Store == config.Embedded {
		return sqlite.Open(filepath.Join(p.c.DataDir, "store.db"))
	}
	as, err := p.as()
	if err != nil {
		return nil, err
	}
	o := cosmos.Options{Endpoint: p.c.CosmosEndpoint, Database: p.c.CosmosDatabase, Container: p.c.CosmosContainer}
	if as.client != nil {
		o.Transport = as.client
	}
	return cosmos.Open(as.credential, o)
}

// Blobs opens the files.
func (p *Parts) Blobs() (blob.Store, error) {
	if p.c.Blobs == config.Embedded {
		return folder.Open(filepath.Join(p.c.DataDir, "blobs"))
	}
	as, err := p.as()
	if err != nil {
		return nil, err
	}
	o := azureblob.Options{Endpoint: p.c.BlobsEndpoint, Container: p.c.BlobsContainer}
	if as.client != nil {
		o.Transport = as.client
	}
	return azureblob.Open(as.credential, o)
}

// Bus opens the queues.
func (p *Parts) Bus() (bus.Broker, error) {
	if p.c.Bus == config.Embedded {
		return sqlitebus.Open(filepath.Join(p.c.DataDir, "bus.db"))
	}
	as, err := p.as()
	if err != nil {
		return nil, err
	}
	return servicebus.Open(as.credential, servicebus.Options{Namespace: p.c.BusNamespace, Endpoint: as.endpoint, TLS: as.tls})
}

// Callers are who is let in: with an access token where a directory is named, else with a
// development key on one's own computer, else nobody.
func (p *Parts) Callers() (caller.Authenticator, error) {
	switch {
	case p.c.Directory != "":
		o := entra.Directory(p.c.Directory, p.c.Audience)
		o.Tenant = p.c.TenantClaim
		return entra.New(o)
	case p.c.DevKeysFile != "":
		if p.c.Azure {
			return nil, fault.New(fault.Unconfigured, "development keys are refused in Azure")
		}
		return caller.ReadKeys(p.c.DevKeysFile)
	}
	return caller.Nobody{}, nil
}
