package cosmos_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos"
	"polis/handler/internal/store/cosmos/cosmosfake"
	"polis/handler/internal/store/storetest"
)

type token string

func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func open(t *testing.T, a *cosmosfake.Account) *cosmos.Store {
	t.Helper()
	return openFor(t, a, 0)
}

// openFor gives up an attempt after so long.
func openFor(t *testing.T, a *cosmosfake.Account, attempt time.Duration) *cosmos.Store {
	t.Helper()
	server := httptest.NewTLSServer(a)
	t.Cleanup(server.Close)
	s, err := cosmos.Open(token("good"), cosmos.Options{
		Endpoint: server.URL, Database: "polis", Container: "books", Transport: server.Client(), Now: a.Now,
		Timeout: attempt,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return open(t, &cosmosfake.Account{Now: now})
	})
}

// TestStoreApart holds the suite in a container that is shared, as make test-azure has it.
func TestStoreApart(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite once more")
	}
	account := &cosmosfake.Account{}
	var stores atomic.Int64
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		account.Now = now
		return storetest.Apart(open(t, account), fmt.Sprintf("test-%d-", stores.Add(1)))
	})
}

var _ http.Handler = (*cosmosfake.Account)(nil)
