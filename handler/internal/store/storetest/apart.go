package storetest

import (
	"context"
	"iter"

	"polis/handler/internal/store"
)

// Apart is a part of a store that is shared, empty as long as nobody else has the name: its tenants are
// called after it. The suite runs in one where each of its stores cannot be had anew, as in a subscription.
func Apart(s store.Store, name string) store.Store { return apart{s, name} }

type apart struct {
	store.Store
	name string
}

func (a apart) in(p store.Partition) store.Partition {
	p.Tenant = a.name + p.Tenant
	return p
}

func (a apart) Get(ctx context.Context, p store.Partition, key string) (store.Document, error) {
	return a.Store.Get(ctx, a.in(p), key)
}

func (a apart) GetMany(ctx context.Context, p store.Partition, keys []string) ([]store.Document, error) {
	return a.Store.GetMany(ctx, a.in(p), keys)
}

func (a apart) Scan(ctx context.Context, p store.Partition, prefix, after string) iter.Seq2[store.Document, error] {
	return a.Store.Scan(ctx, a.in(p), prefix, after)
}

func (a apart) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	return a.Store.Write(ctx, a.in(p), ops)
}
