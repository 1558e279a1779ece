package main

import (
	"context"
	"net/http/httptest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"polis/handler/internal/store/cosmos"
	"polis/handler/internal/store/cosmos/cosmosfake"
)

// token is good for the fake.
type token struct{}

// GetToken implements azcore.TokenCredential.
func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "good", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// fake plays over the adapter for Cosmos DB and the fake of its service.
func fake(ctx context.Context, dir string) (*played, error) {
	account := &cosmosfake.Account{}
	server := httptest.NewTLSServer(account)
	defer server.Close()
	w := &wire{next: server.Client()}
	docs, err := cosmos.Open(token{}, cosmos.Options{Endpoint: server.URL, Database: "polis", Container: "documents", Transport: w})
	if err != nil {
		return nil, err
	}
	stored := func() (bytes int64) {
		for _, p := range account.Partitions() {
			for _, item := range account.Partition(p) {
				bytes += int64(len(item))
			}
		}
		return bytes
	}
	return play(ctx, docs, w, stored, "cost", dir)
}
