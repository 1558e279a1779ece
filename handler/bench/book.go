package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"polis/handler/bench/made"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/caller"
	"polis/handler/internal/hindsight"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/sample"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
)

const (
	tenantID = "bench"
	key      = "bench-key"
)

var asOf = portfolio.MustDate(2026, 3, 31)

// prepared is a folder with a loaded, trained, not yet scored book.
type prepared struct {
	dir       string
	csv       string
	customers int
	tenant    book.Tenant
	imported  float64 // seconds
}

func (b *bench) prepare(n int) (*prepared, error) {
	p := &prepared{
		dir: filepath.Join(b.dir, fmt.Sprint("data-", n)), csv: filepath.Join(b.dir, fmt.Sprint("csv-", n)), customers: n,
		tenant: book.Tenant{ID: tenantID, Buckets: book.DefaultBuckets, Created: time.Unix(0, 0)},
	}
	if _, err := sample.Write(b.ctx, sample.Options{Customers: n, Seed: 1, AsOf: asOf.String(), Dir: p.csv}); err != nil {
		return nil, err
	}
	started := time.Now()
	if err := p.load(b.ctx, p.dir); err != nil {
		return nil, err
	}
	p.imported = time.Since(started).Seconds()
	if err := p.train(b.ctx); err != nil {
		return nil, err
	}
	keys, err := json.Marshal([]caller.Key{{SHA256: caller.Digest(key), Tenant: tenantID, Roles: caller.Roles}})
	if err != nil {
		return nil, err
	}
	return p, os.WriteFile(filepath.Join(p.dir, "keys.json"), keys, 0o600)
}

// with opens the book of a folder.
func with(dir string, f func(store.Store, *book.Book) error) error {
	s, err := sqlite.Open(filepath.Join(dir, "store.db"))
	if err != nil {
		return err
	}
	defer s.Close()
	return f(s, book.New(s))
}

func (p *prepared) load(ctx context.Context, dir string) error {
	return with(dir, func(_ store.Store, b *book.Book) error { return hindsight.Load(ctx, b, p.tenant, p.csv, dir, asOf) })
}

func (p *prepared) train(ctx context.Context) error {
	return with(p.dir, func(_ store.Store, b *book.Book) error {
		blobs, err := folder.Open(filepath.Join(p.dir, "blobs"))
		if err != nil {
			return err
		}
		defer blobs.Close()
		m, err := train.Fit(ctx, p.relations(b), train.Options{AsOf: asOf})
		if err != nil {
			return err
		}
		return registry.New(blobs, time.Now).Publish(ctx, tenantID, m)
	})
}

func (p *prepared) relations(b *book.Book) train.Source {
	return made.Source(func(ctx context.Context) iter.Seq2[*book.Relation, error] { return made.Relations(ctx, b, p.tenant) }, nil)
}

// copyTo copies the folder, so that a first run can be measured more than once.
func (p *prepared) copyTo(dir string) (*prepared, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	q := *p
	q.dir = dir
	return &q, os.CopyFS(dir, os.DirFS(p.dir))
}

// floor is what a run cannot do without: reading the same rows, and decoding the same
// aggregates with encoding/json. It writes the JSON of the aggregates to a store of its
// own once, beside the same scores, and then reads it on both cores.
type floor struct {
	store store.Store
	book  book.Tenant
}

func (p *prepared) floor(ctx context.Context, dir string) (*floor, error) {
	s, err := sqlite.Open(filepath.Join(dir, "floor.db"))
	if err != nil {
		return nil, err
	}
	err = with(p.dir, func(_ store.Store, b *book.Book) error {
		for bucket := range p.tenant.Buckets {
			var ops []store.Op
			part := store.Partition{Tenant: tenantID, Bucket: bucket}
			flush := func() error {
				err := s.Write(ctx, part, ops)
				ops = ops[:0]
				return err
			}
			for rel, err := range b.Relations(ctx, p.tenant, bucket, nil) {
				if err != nil {
					return err
				}
				for _, m := range rel.Members {
					body, err := json.Marshal(m.Aggregate)
					if err != nil {
						return err
					}
					ops = append(ops, store.Op{Document: store.Document{Key: rel.Key + "\x1f" + m.ID + "\x1fa", Body: body}})
					if m.Scores != nil {
						ops = append(ops, store.Op{Document: store.Document{Key: rel.Key + "\x1f" + m.ID + "\x1fs", Body: bytes.Clone(m.Scores)}})
					}
					if len(ops) > store.MaxOps-2 {
						if err := flush(); err != nil {
							return err
						}
					}
				}
			}
			if err := flush(); err != nil {
				return err
			}
		}
		return nil
	})
	return &floor{s, p.tenant}, err
}

// read is the floor, timed.
func (f *floor) read(ctx context.Context) (float64, error) {
	started := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for bucket := range f.book.Buckets {
		g.Go(func() error {
			for d, err := range f.store.Scan(ctx, store.Partition{Tenant: tenantID, Bucket: bucket}, "", "") {
				if err != nil {
					return err
				}
				if d.Key[len(d.Key)-1] == 'a' {
					var a portfolio.Aggregate
					if err := json.Unmarshal(d.Body, &a); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	err := g.Wait()
	return time.Since(started).Seconds(), err
}
