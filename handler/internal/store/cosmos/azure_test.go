//go:build azure

package cosmos_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"polis/handler/internal/identity"
	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos"
	"polis/handler/internal/store/storetest"
)

// TestAzure runs the suite in the container that the settings name, among tenants of its own, whose documents it
// leaves there: make test-azure.
func TestAzure(t *testing.T) {
	as, err := identity.New(false, os.Getenv("AZURE_CLIENT_ID"))
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now().UnixMilli()
	var stores atomic.Int64
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		s, err := cosmos.Open(as, cosmos.Options{
			Endpoint: os.Getenv("COSMOS__accountEndpoint"), Database: os.Getenv("COSMOS__database"), Container: os.Getenv("COSMOS__container"), Now: now,
		})
		if err != nil {
			t.Fatal(err)
		}
		return storetest.Apart(s, fmt.Sprintf("test-%d-%d-", started, stores.Add(1)))
	})
}
