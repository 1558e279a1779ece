//go:build azure

package azureblob_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"polis/handler/internal/blob"
	"polis/handler/internal/blob/azureblob"
	"polis/handler/internal/blob/blobtest"
	"polis/handler/internal/identity"
)

// TestAzure runs the suite in the container that the settings name, in folders of its own, whose blobs it
// leaves there: make test-azure.
func TestAzure(t *testing.T) {
	as, err := identity.New(false, os.Getenv("AZURE_CLIENT_ID"))
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now().UnixMilli()
	var stores atomic.Int64
	blobtest.Run(t, func(t *testing.T) blob.Store {
		s, err := azureblob.Open(as, azureblob.Options{Endpoint: os.Getenv("BLOBS__blobServiceUri"), Container: os.Getenv("BLOBS__container")})
		if err != nil {
			t.Fatal(err)
		}
		return blobtest.Apart(s, fmt.Sprintf("test-%d-%d", started, stores.Add(1)))
	})
}
