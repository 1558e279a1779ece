// Package config reads the handler's settings from the environment, once, and refuses
// what is missing or wrong with a line that names it.
package config

import (
	"net/url"
	"os"
	"strings"

	"github.com/kelseyhightower/envconfig"
	"github.com/rs/zerolog"

	"polis/handler/internal/fault"
	"polis/handler/internal/quota"
)

// Config are the settings. Those of Azure's services are called as the Functions host calls
// them, so that its bindings and the handler read the same ones.
type Config struct {
	Port        int    `envconfig:"FUNCTIONS_CUSTOMHANDLER_PORT"` // set by the Functions host
	Store       string `envconfig:"POLIS_STORE"`                  // embedded or cosmos
	Blobs       string `envconfig:"POLIS_BLOBS"`                  // embedded or azure
	Bus         string `envconfig:"POLIS_BUS"`                    // embedded or servicebus
	DataDir     string `envconfig:"POLIS_DATA_DIR" default:"./var"`
	LogLevel    string `envconfig:"POLIS_LOG_LEVEL" default:"info"`
	DevKeysFile string `envconfig:"POLIS_DEV_KEYS_FILE"`

	// What the Functions convention names in mixed case; see conventional.
	CosmosEndpoint, CosmosDatabase, CosmosContainer string `ignored:"true"`
	BlobsEndpoint, BlobsContainer                   string `ignored:"true"`
	BusNamespace                                    string `ignored:"true"`
	Directory, Audience, TenantClaim                string `ignored:"true"` // whose access tokens are taken, for whom they are, and which claim is the tenant

	Quotas       quota.Quota `ignored:"true"` // of everybody: the next five
	QuotaChunks  int         `envconfig:"POLIS_QUOTA_CHUNKS" default:"32"`
	QuotaRuns    int         `envconfig:"POLIS_QUOTA_RUNS" default:"8"`
	QuotaImports int         `envconfig:"POLIS_QUOTA_IMPORTS" default:"4"`
	QuotaExports int         `envconfig:"POLIS_QUOTA_EXPORTS" default:"2"`
	QuotaMinute  int         `envconfig:"POLIS_QUOTA_REQUESTS" default:"6000"`
	QuotaTenants string      `envconfig:"POLIS_QUOTA_TENANTS"` // of some, as JSON

	ExportAfter string `envconfig:"POLIS_EXPORT_AFTER_RUNS"` // tenants whose runs are exported, as JSON: see exports.After

	ClientID string `envconfig:"AZURE_CLIENT_ID"` // of a user-assigned identity

	StandinFolder string `envconfig:"POLIS_STANDINS"` // where stand-ins play Azure's part: see package parts

	Azure bool          `ignored:"true"` // the environment says that this is Azure
	Level zerolog.Level `ignored:"true"`
}

// Where Polis keeps its data.
const (
	Embedded   = "embedded"
	Cosmos     = "cosmos"
	AzureBlobs = "azure"
	ServiceBus = "servicebus"
)

// azure are variables that the platform sets for every app and nothing else does.
var azure = []string{"WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME", "WEBSITE_POD_NAME"}

var errStandins = fault.New(fault.Unconfigured, "POLIS_STANDINS is set in Azure: stand-ins are for one's own computer")

// InAzure reports whether the environment says that this is Azure.
func InAzure() bool {
	for _, name := range azure {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return strings.EqualFold(os.Getenv("AZURE_FUNCTIONS_ENVIRONMENT"), "Production")
}

// setting is one by its name in the environment.
type setting struct {
	name, otherwise string
	value           *string
}

// conventional are the settings that are called as the Functions host calls those of its bindings: envconfig knows names
// in capitals only, and Linux tells them apart.
func (c *Config) conventional() []setting {
	return []setting{
		{"COSMOS__accountEndpoint", "", &c.CosmosEndpoint},
		{"COSMOS__database", "polis", &c.CosmosDatabase},
		{"COSMOS__container", "documents", &c.CosmosContainer},
		{"BLOBS__blobServiceUri", "", &c.BlobsEndpoint},
		{"BLOBS__container", "polis", &c.BlobsContainer},
		{"SERVICEBUS__fullyQualifiedNamespace", "", &c.BusNamespace},
		{"ENTRA__tenantId", "", &c.Directory},
		{"ENTRA__audience", "", &c.Audience},
		{"ENTRA__tenantClaim", "", &c.TenantClaim},
	}
}

// readConventional reads them.
func (c *Config) readConventional() {
	for _, s := range c.conventional() {
		if *s.value = os.Getenv(s.name); *s.value == "" {
			*s.value = s.otherwise
		}
	}
	if name := os.Getenv("BLOBS__accountName"); c.BlobsEndpoint == "" && name != "" {
		c.BlobsEndpoint = "https://" + name + ".blob.core.windows.net/"
	}
}

// otherIdentity is a setting by which the host's bindings would be somebody else than the handler; "" where there is none.
func (c *Config) otherIdentity() string {
	for _, name := range []string{"SERVICEBUS__clientId", "BLOBS__clientId", "COSMOS__clientId"} {
		if id := os.Getenv(name); id != "" && id != c.ClientID {
			return name
		}
	}
	return ""
}

// read reads the settings; what is missing or wrong among them is for others to say.
func read() (Config, error) {
	c := Config{Azure: InAzure()}
	if err := envconfig.Process("", &c); err != nil {
		return c, fault.Wrap(fault.Unconfigured, err, "settings")
	}
	c.readConventional()
	c.Quotas = quota.Quota{Chunks: c.QuotaChunks, Runs: c.QuotaRuns, Imports: c.QuotaImports, Exports: c.QuotaExports, Requests: c.QuotaMinute}
	return c, nil
}

// Load reads and checks the settings.
func Load() (Config, error) {
	c, err := read()
	if err != nil {
		return c, err
	}
	if c.Level, err = zerolog.ParseLevel(strings.ToLower(c.LogLevel)); err != nil || c.LogLevel == "" {
		return c, fault.New(fault.Unconfigured, "POLIS_LOG_LEVEL is none of trace, debug, info, warn, error")
	}
	for _, part := range []struct {
		setting, there string
		value          *string
	}{{"POLIS_STORE", Cosmos, &c.Store}, {"POLIS_BLOBS", AzureBlobs, &c.Blobs}, {"POLIS_BUS", ServiceBus, &c.Bus}} {
		if *part.value == "" {
			*part.value = Embedded
			if c.Azure {
				*part.value = part.there
			}
		}
		if *part.value != Embedded && *part.value != part.there {
			return c, fault.New(fault.Unconfigured, "%s is neither %s nor %s", part.setting, Embedded, part.there)
		}
	}
	switch {
	case c.Port < 1 || c.Port > 65535:
		return c, fault.New(fault.Unconfigured, "FUNCTIONS_CUSTOMHANDLER_PORT is missing or no port: the Functions host sets it; to run Polis here, use `polis local`")
	case c.DataDir == "":
		return c, fault.New(fault.Unconfigured, "POLIS_DATA_DIR is empty")
	case c.DevKeysFile != "" && c.Azure:
		return c, fault.New(fault.Unconfigured, "POLIS_DEV_KEYS_FILE is set in Azure: development keys work on one's own computer only")
	case c.StandinFolder != "" && c.Azure:
		return c, errStandins
	case c.Azure && c.otherIdentity() != "":
		return c, fault.New(fault.Unconfigured, "%s is another identity than AZURE_CLIENT_ID: the host's bindings and the handler are one", c.otherIdentity())
	case c.Directory == "" && c.Audience != "" || c.Directory != "" && c.Audience == "":
		return c, fault.New(fault.Unconfigured, "ENTRA__tenantId and ENTRA__audience go together")
	}
	return c, c.services()
}

// Operator are the settings by which somebody reaches what Polis keeps in Azure from a command line: messages and
// blobs, and documents if they are asked for. Where the handler has its parts elsewhere does not matter.
func Operator(documents bool) (Config, error) {
	c, err := read()
	if err != nil {
		return c, err
	}
	c.Store, c.Blobs, c.Bus = Embedded, AzureBlobs, ServiceBus
	if documents {
		c.Store = Cosmos
	}
	if c.StandinFolder != "" && c.Azure {
		return c, errStandins
	}
	return c, c.services()
}

// services checks the addresses of the services that are used.
func (c *Config) services() error {
	switch {
	case c.Store == Cosmos && !isHTTPS(c.CosmosEndpoint):
		return fault.New(fault.Unconfigured, "COSMOS__accountEndpoint is no https address such as https://NAME.documents.azure.com:443/, where documents in Cosmos DB are")
	case c.Blobs == AzureBlobs && !isHTTPS(c.BlobsEndpoint):
		return fault.New(fault.Unconfigured, "BLOBS__blobServiceUri is no https address such as https://NAME.blob.core.windows.net/, where blobs in Azure are")
	case c.Bus == ServiceBus && (c.BusNamespace == "" || strings.ContainsAny(c.BusNamespace, "/;=: ")):
		return fault.New(fault.Unconfigured, "SERVICEBUS__fullyQualifiedNamespace is no name such as NAME.servicebus.windows.net, where queues in Service Bus are")
	}
	return nil
}

func isHTTPS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}
