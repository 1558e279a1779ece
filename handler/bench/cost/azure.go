package main

import (
	"context"
	_ "embed" // what was measured
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/identity"
	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos"
)

// measuredFile is what -azure printed when it was last run against a subscription; null where it
// never was.
//
//go:embed measured.json
var measuredFile []byte

func measured() (*played, error) {
	var p *played
	if err := json.Unmarshal(measuredFile, &p); err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "measured.json")
	}
	return p, nil
}

// real plays in the account that the settings name, in a tenant of its own that is gone
// afterwards.
func real(ctx context.Context, dir string) (_ *played, err error) {
	o := cosmos.Options{Endpoint: os.Getenv("COSMOS__accountEndpoint"), Database: os.Getenv("COSMOS__database"), Container: os.Getenv("COSMOS__container")}
	if o.Endpoint == "" || o.Database == "" || o.Container == "" {
		return nil, fault.New(fault.Unconfigured, "COSMOS__accountEndpoint, COSMOS__database and COSMOS__container name the account, the database and the container")
	}
	as, err := identity.New(false, os.Getenv("AZURE_CLIENT_ID"))
	if err != nil {
		return nil, err
	}
	w := &wire{next: http.DefaultClient}
	o.Transport = w
	docs, err := cosmos.Open(as, o)
	if err != nil {
		return nil, err
	}
	tenant := fmt.Sprintf("cost-%d", time.Now().Unix())
	defer func() { err = errors.Join(err, clear(context.WithoutCancel(ctx), docs, tenant)) }()
	return play(ctx, docs, w, func() int64 { return 0 }, tenant, dir)
}

// clear removes what was played.
func clear(ctx context.Context, docs store.Store, tenant string) error {
	for bucket := store.Shared - buckets; bucket < buckets; bucket++ {
		part := store.Partition{Tenant: tenant, Bucket: bucket}
		var ops []store.Op
		for d, err := range docs.Scan(ctx, part, "", "") {
			if err != nil {
				return err
			}
			ops = append(ops, store.Op{Verb: store.Delete, Document: store.Document{Key: d.Key}})
		}
		for len(ops) > 0 {
			n := min(len(ops), store.MaxOps)
			if err := docs.Write(ctx, part, ops[:n]); err != nil {
				return err
			}
			ops = ops[n:]
		}
	}
	return docs.Write(ctx, store.Partition{Bucket: store.Shared}, []store.Op{{Verb: store.Delete, Document: store.Document{Key: "tenant\x1f" + tenant}}})
}
