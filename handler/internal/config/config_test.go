package config

import (
	"strings"
	"testing"

	"polis/handler/internal/fault"
)

func TestLoad(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  map[string]string
		says string // "" where it loads
	}{
		{"as the local host sets it", nil, ""},
		{"no port", map[string]string{"FUNCTIONS_CUSTOMHANDLER_PORT": ""}, "FUNCTIONS_CUSTOMHANDLER_PORT"},
		{"a port that is none", map[string]string{"FUNCTIONS_CUSTOMHANDLER_PORT": "70000"}, "FUNCTIONS_CUSTOMHANDLER_PORT"},
		{"a port in words", map[string]string{"FUNCTIONS_CUSTOMHANDLER_PORT": "many"}, "FUNCTIONS_CUSTOMHANDLER_PORT"},
		{"another store", map[string]string{"POLIS_STORE": "paper"}, "POLIS_STORE"},
		{"another level", map[string]string{"POLIS_LOG_LEVEL": "loud"}, "POLIS_LOG_LEVEL"},
		{"development keys in Azure", map[string]string{"POLIS_DEV_KEYS_FILE": "keys.json", "WEBSITE_SITE_NAME": "polis"}, "POLIS_DEV_KEYS_FILE"},
		{"development keys in production", map[string]string{"POLIS_DEV_KEYS_FILE": "keys.json", "AZURE_FUNCTIONS_ENVIRONMENT": "Production"}, "POLIS_DEV_KEYS_FILE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, name := range append([]string{"AZURE_FUNCTIONS_ENVIRONMENT", "POLIS_DEV_KEYS_FILE"}, azure...) {
				t.Setenv(name, "")
			}
			t.Setenv("FUNCTIONS_CUSTOMHANDLER_PORT", "7000")
			t.Setenv("POLIS_STORE", "embedded")
			t.Setenv("POLIS_LOG_LEVEL", "info")
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			_, err := Load()
			switch {
			case tc.says == "" && err != nil:
				t.Error(err)
			case tc.says != "" && (!fault.Is(err, fault.Unconfigured) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n")):
				t.Errorf("%v: want one line naming %s", err, tc.says)
			}
		})
	}
}
