//go:build azure

package servicebus_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"polis/handler/internal/bus"
	"polis/handler/internal/bus/bustest"
	"polis/handler/internal/bus/servicebus"
	"polis/handler/internal/identity"
)

// TestAzure runs what of the suite needs no clock on the queue that POLIS_TEST_QUEUE names, which it empties
// first: make test-azure.
func TestAzure(t *testing.T) {
	as, err := identity.New(false, os.Getenv("AZURE_CLIENT_ID"))
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now().UnixMilli()
	var buses atomic.Int64
	queue := os.Getenv("POLIS_TEST_QUEUE")
	bustest.RunApart(t, func(t *testing.T) bus.Broker {
		b, err := servicebus.Open(as, servicebus.Options{Namespace: os.Getenv("SERVICEBUS__fullyQualifiedNamespace")})
		if err != nil {
			t.Fatal(err)
		}
		for {
			list, err := b.Receive(t.Context(), queue, 100, time.Minute, 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, d := range list {
				if err := b.Complete(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
		}
		return bustest.Apart(b, queue, fmt.Sprintf("test-%d-%d-", started, buses.Add(1)))
	})
}
