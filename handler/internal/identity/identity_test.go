package identity

import (
	"strings"
	"testing"

	"polis/handler/internal/fault"
)

func TestRefuse(t *testing.T) {
	for _, tc := range []struct {
		setting string
		refused bool
	}{
		{"SERVICEBUS__fullyQualifiedNamespace=polis.servicebus.windows.net", false},
		{"SERVICEBUS__credential=managedidentity", false},
		{"SERVICEBUS__clientId=5d0a7c0e-0000-4000-8000-000000000001", false},
		{"BLOBS__blobServiceUri=https://polis.blob.core.windows.net/", false},
		{"COSMOS__accountEndpoint=https://polis.documents.azure.com:443/", false},
		{"AzureWebJobsStorage__blobServiceUri=https://polis.blob.core.windows.net/", false},
		{"APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=0;IngestionEndpoint=https://x/", false}, // no secret: it is published to browsers
		{"PATH=/usr/bin;AccountKey=x", false},
		{"SERVICEBUS=", false},
		{"SERVICEBUS=Endpoint=sb://polis.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=S3CR3T", true},
		{"SERVICEBUS=Endpoint=sb://localhost;UseDevelopmentEmulator=true", true},
		{"AzureWebJobsStorage=DefaultEndpointsProtocol=https;AccountName=polis;AccountKey=S3CR3T;EndpointSuffix=core.windows.net", true},
		{"AzureWebJobsStorage=UseDevelopmentStorage=true", true},
		{"BLOBS__blobServiceUri=https://polis.blob.core.windows.net/?sv=2024-01-01&sig=S3CR3T", true},
		{"COSMOS__accountEndpoint=AccountEndpoint=https://x/;AccountKey=S3CR3T", true},
		{"COSMOS__accountKey=S3CR3T", true},
		{"SQLAZURECONNSTR_SERVICEBUS=Endpoint=sb://polis.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=S3CR3T", true},
		{"CUSTOMCONNSTR_SERVICEBUS=Endpoint=sb://polis.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=S3CR3T", true},
		{"SERVICEBUSCONNSTR_SERVICEBUS=Endpoint=sb://polis.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=S3CR3T", true},
		{"ConnectionStrings__SERVICEBUS=Endpoint=sb://polis.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=S3CR3T", true},
		{"DOCDBCONNSTR_COSMOS=AccountEndpoint=https://x/;AccountKey=S3CR3T", true},
		{"POLIS_COSMOS_KEY=S3CR3T", false}, // no setting that anything reads
		{"AZURE_CLIENT_SECRET=S3CR3T", true},
		{"AZURE_CLIENT_ID=5d0a7c0e-0000-4000-8000-000000000001", false},
	} {
		err := refuse([]string{"HOME=/", tc.setting})
		name, _, _ := strings.Cut(tc.setting, "=")
		if tc.refused != (err != nil) {
			t.Errorf("%s: %v", tc.setting, err)
		}
		if err != nil && (!fault.Is(err, fault.Unconfigured) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "S3CR3T")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNew(t *testing.T) {
	for _, azure := range []bool{true, false} {
		for _, client := range []string{"", "5d0a7c0e-0000-4000-8000-000000000001"} {
			if c, err := New(azure, client); err != nil || c == nil {
				t.Errorf("azure %v, client %q: %v", azure, client, err)
			}
		}
	}
}
