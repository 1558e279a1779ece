package config

import (
	"reflect"
	"strings"
	"testing"

	"polis/handler/internal/fault"
	"polis/infra/estate"
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
		{"other blobs", map[string]string{"POLIS_BLOBS": "paper"}, "POLIS_BLOBS"},
		{"another bus", map[string]string{"POLIS_BUS": "pigeons"}, "POLIS_BUS"},
		{"Cosmos DB", map[string]string{"POLIS_STORE": "cosmos", "COSMOS__accountEndpoint": "https://polis.documents.azure.com:443/"}, ""},
		{"Cosmos DB without an address", map[string]string{"POLIS_STORE": "cosmos"}, "COSMOS__accountEndpoint"},
		{"Cosmos DB without TLS", map[string]string{"POLIS_STORE": "cosmos", "COSMOS__accountEndpoint": "http://polis.documents.azure.com"}, "COSMOS__accountEndpoint"},
		{"Blob Storage", map[string]string{"POLIS_BLOBS": "azure", "BLOBS__blobServiceUri": "https://polis.blob.core.windows.net/"}, ""},
		{"Blob Storage without an address", map[string]string{"POLIS_BLOBS": "azure"}, "BLOBS__blobServiceUri"},
		{"Blob Storage by its account", map[string]string{"POLIS_BLOBS": "azure", "BLOBS__accountName": "polis"}, ""},
		{"two identities", map[string]string{"WEBSITE_SITE_NAME": "polis", "POLIS_STORE": "embedded", "POLIS_BLOBS": "embedded", "POLIS_BUS": "embedded", "AZURE_CLIENT_ID": "a", "SERVICEBUS__clientId": "b"}, "SERVICEBUS__clientId"},
		{"one identity", map[string]string{"WEBSITE_SITE_NAME": "polis", "POLIS_STORE": "embedded", "POLIS_BLOBS": "embedded", "POLIS_BUS": "embedded", "AZURE_CLIENT_ID": "a", "SERVICEBUS__clientId": "a"}, ""},
		{"Service Bus", map[string]string{"POLIS_BUS": "servicebus", "SERVICEBUS__fullyQualifiedNamespace": "polis.servicebus.windows.net"}, ""},
		{"Service Bus by a connection string", map[string]string{"POLIS_BUS": "servicebus", "SERVICEBUS__fullyQualifiedNamespace": "Endpoint=sb://polis/"}, "SERVICEBUS__fullyQualifiedNamespace"},
		{"Azure by default", map[string]string{"WEBSITE_SITE_NAME": "polis"}, "COSMOS__accountEndpoint"},
		{"embedded in Azure", map[string]string{"WEBSITE_SITE_NAME": "polis", "POLIS_STORE": "embedded", "POLIS_BLOBS": "embedded", "POLIS_BUS": "embedded"}, ""},
		{"stand-ins in Azure", map[string]string{"WEBSITE_SITE_NAME": "polis", "POLIS_STORE": "embedded", "POLIS_BLOBS": "embedded", "POLIS_BUS": "embedded", "POLIS_STANDINS": "var"}, "POLIS_STANDINS"},
		{"a directory without an audience", map[string]string{"ENTRA__tenantId": "d"}, "ENTRA__audience"},
		{"another level", map[string]string{"POLIS_LOG_LEVEL": "loud"}, "POLIS_LOG_LEVEL"},
		{"development keys in Azure", map[string]string{"POLIS_DEV_KEYS_FILE": "keys.json", "WEBSITE_SITE_NAME": "polis", "POLIS_STORE": "embedded", "POLIS_BLOBS": "embedded", "POLIS_BUS": "embedded"}, "POLIS_DEV_KEYS_FILE"},
		{"development keys in production", map[string]string{"POLIS_DEV_KEYS_FILE": "keys.json", "AZURE_FUNCTIONS_ENVIRONMENT": "Production", "POLIS_STORE": "embedded", "POLIS_BLOBS": "embedded", "POLIS_BUS": "embedded"}, "POLIS_DEV_KEYS_FILE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, name := range append([]string{"AZURE_FUNCTIONS_ENVIRONMENT", "POLIS_DEV_KEYS_FILE"}, azure...) {
				t.Setenv(name, "")
			}
			t.Setenv("FUNCTIONS_CUSTOMHANDLER_PORT", "7000")
			for _, name := range []string{"POLIS_STORE", "POLIS_BLOBS", "POLIS_BUS", "COSMOS__accountEndpoint", "BLOBS__blobServiceUri", "SERVICEBUS__fullyQualifiedNamespace", "ENTRA__tenantId", "ENTRA__audience", "POLIS_STANDINS", "BLOBS__accountName", "AZURE_CLIENT_ID", "SERVICEBUS__clientId", "BLOBS__clientId", "COSMOS__clientId"} {
				t.Setenv(name, "")
			}
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

// TestEstate: every setting that the handler reads is one that apps in Azure have, or one of
// which the estate says why they have it not; and each that the estate says the handler
// reads, it reads.
func TestEstate(t *testing.T) {
	needs, err := estate.Load()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, s := range needs.Settings {
		known[s.Name] = true
	}
	for _, s := range needs.SettingsNotInAzure {
		known[s.Name] = true
	}
	reads := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if name := f.Tag.Get("envconfig"); name != "" {
			reads[name] = true
		}
	}
	for _, s := range new(Config).conventional() {
		reads[s.name] = true
	}
	for name := range reads {
		if !known[name] {
			t.Errorf("the handler reads %s, of which the estate knows nothing", name)
		}
	}
	for _, s := range needs.Settings {
		if s.ReadBy != "host" && !reads[s.Name] {
			t.Errorf("the estate has %s for the handler, which does not read it", s.Name)
		}
	}
}

// TestOperator: who operates Polis names what is in Azure, documents only for what needs them, and no port.
func TestOperator(t *testing.T) {
	const docs, blobs, queues = "https://polis.documents.azure.com:443/", "https://polis.blob.core.windows.net/", "polis.servicebus.windows.net"
	for _, tc := range []struct {
		docs, blobs, queues string
		documents           bool
		missing             string
	}{
		{docs, blobs, queues, true, ""},
		{"", blobs, queues, false, ""},
		{"", blobs, queues, true, "COSMOS__accountEndpoint"},
		{"http://polis.documents.azure.com/", blobs, queues, true, "COSMOS__accountEndpoint"},
		{docs, "", queues, true, "BLOBS__blobServiceUri"},
		{docs, "http://polis.blob.core.windows.net/", queues, true, "BLOBS__blobServiceUri"},
		{docs, blobs, "", true, "SERVICEBUS__fullyQualifiedNamespace"},
	} {
		t.Setenv("COSMOS__accountEndpoint", tc.docs)
		t.Setenv("BLOBS__blobServiceUri", tc.blobs)
		t.Setenv("SERVICEBUS__fullyQualifiedNamespace", tc.queues)
		for _, elsewhere := range []string{"", Embedded} {
			t.Setenv("POLIS_STORE", elsewhere)
			c, err := Operator(tc.documents)
			if tc.missing != "" {
				if !fault.Is(err, fault.Unconfigured) || !strings.Contains(err.Error(), tc.missing) {
					t.Errorf("%+v: %v", tc, err)
				}
				continue
			}
			if err != nil || c.Bus != ServiceBus || c.Blobs != AzureBlobs || (c.Store == Cosmos) != tc.documents || c.CosmosDatabase != "polis" || c.Quotas.Chunks == 0 {
				t.Errorf("%+v: %+v, %v", tc, c, err)
			}
		}
	}
	t.Setenv("SERVICEBUS__fullyQualifiedNamespace", queues)
	t.Setenv("POLIS_STANDINS", t.TempDir())
	t.Setenv("WEBSITE_INSTANCE_ID", "1")
	if _, err := Operator(false); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("stand-ins in Azure: %v", err)
	}
}
