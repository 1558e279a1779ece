// Package config reads the handler's settings from the environment, once, and refuses
// what is missing or wrong with a line that names it.
package config

import (
	"os"
	"strings"

	"github.com/kelseyhightower/envconfig"
	"github.com/rs/zerolog"

	"polis/handler/internal/fault"
)

// Config are the settings.
type Config struct {
	Port        int    `envconfig:"FUNCTIONS_CUSTOMHANDLER_PORT"` // set by the Functions host
	Store       string `envconfig:"POLIS_STORE" default:"embedded"`
	DataDir     string `envconfig:"POLIS_DATA_DIR" default:"./var"`
	LogLevel    string `envconfig:"POLIS_LOG_LEVEL" default:"info"`
	DevKeysFile string `envconfig:"POLIS_DEV_KEYS_FILE"`

	Level zerolog.Level `ignored:"true"`
}

// azure are variables that the platform sets for every app and nothing else does.
var azure = []string{"WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME", "WEBSITE_POD_NAME"}

// InAzure reports whether the environment says that this is Azure.
func InAzure() bool {
	for _, name := range azure {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return strings.EqualFold(os.Getenv("AZURE_FUNCTIONS_ENVIRONMENT"), "Production")
}

// Load reads and checks the settings.
func Load() (Config, error) {
	var c Config
	if err := envconfig.Process("", &c); err != nil {
		return c, fault.Wrap(fault.Unconfigured, err, "settings")
	}
	var err error
	if c.Level, err = zerolog.ParseLevel(strings.ToLower(c.LogLevel)); err != nil || c.LogLevel == "" {
		return c, fault.New(fault.Unconfigured, "POLIS_LOG_LEVEL is none of trace, debug, info, warn, error")
	}
	switch {
	case c.Port < 1 || c.Port > 65535:
		return c, fault.New(fault.Unconfigured, "FUNCTIONS_CUSTOMHANDLER_PORT is missing or no port: the Functions host sets it; to run Polis here, use `polis local`")
	case c.Store != "embedded":
		return c, fault.New(fault.Unconfigured, "POLIS_STORE is %q; this build has embedded", c.Store)
	case c.DataDir == "":
		return c, fault.New(fault.Unconfigured, "POLIS_DATA_DIR is empty")
	case c.DevKeysFile != "" && InAzure():
		return c, fault.New(fault.Unconfigured, "POLIS_DEV_KEYS_FILE is set in Azure: development keys work on one's own computer only")
	}
	return c, nil
}
