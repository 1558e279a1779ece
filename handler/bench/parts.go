package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/book"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/run"
	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos/cosmosfake"
	"polis/handler/internal/store/sqlite"
)

// request is a score request of one customer, made from one that is stored.
func (p *prepared) request() (body []byte, err error) {
	err = with(p.dir, func(_ store.Store, b *book.Book) error {
		for rel, err := range b.Relations(context.Background(), p.tenant, 0, nil) {
			if err != nil {
				return err
			}
			m := rel.Members[0]
			if len(m.Aggregate.Policies) < 6 { // about the mean
				continue
			}
			body, err = json.Marshal(map[string]any{"as_of": asOf, "aggregates": []any{m.Aggregate}})
			return err
		}
		return errors.New("no customer to ask for")
	})
	return body, err
}

// cold measures from the start of the process to the first answered score, models
// loaded, over the same for a server that does nothing, in turn.
func (b *bench) cold(p *prepared) error {
	body, err := p.request()
	if err != nil {
		return err
	}
	measure := func(dir string) (ours, bare float64, err error) {
		var a, z []float64
		for range 40 {
			for _, side := range []struct {
				bin, method, path string
				body              []byte
				into              *[]float64
			}{{b.handler, http.MethodPost, "/api/v1/churn/scores", body, &a}, {b.bare, http.MethodGet, "/", nil, &z}} {
				s, err := spawn(b.ctx, side.bin, dir)
				if err != nil {
					return 0, 0, err
				}
				took, err := s.firstAnswer(side.method, side.path, side.body)
				s.kill()
				if err != nil {
					return 0, 0, err
				}
				*side.into = append(*side.into, took)
			}
		}
		return median(a), median(z), nil
	}
	ours, bare, err := measure(p.dir)
	if err != nil {
		return err
	}
	b.atMost("cold start to first score, over a bare server", ours/bare, 3, "ratio", fmt.Sprintf("%.1f ms over %.1f ms, medians of 40", 1e3*ours, 1e3*bare))

	q, err := p.copyTo(filepath.Join(b.dir, "killed"))
	if err != nil {
		return err
	}
	s, err := spawn(b.ctx, b.handler, q.dir)
	if err != nil {
		return err
	}
	if _, err := s.firstAnswer(http.MethodGet, "/", nil); err != nil {
		return err
	}
	time.AfterFunc(400*time.Millisecond, func() { s.kill() })
	_, _, _ = s.scoreBook(b.ctx, asOf.String()) // cut off in the middle, which is the point
	wal, err := os.Stat(filepath.Join(q.dir, "store.db-wal"))
	if err != nil {
		return fmt.Errorf("the kill left no WAL: %w", err)
	}
	// Opening a file cleans it up: every start gets the same wreck.
	wreck := filepath.Join(b.dir, "wreck")
	if err := os.CopyFS(wreck, os.DirFS(q.dir)); err != nil {
		return err
	}
	var a, z []float64
	for range 40 {
		for _, f := range []string{"store.db-wal", "store.db-shm"} {
			if err := copyFile(filepath.Join(wreck, f), filepath.Join(q.dir, f)); err != nil {
				return err
			}
		}
		for _, side := range []struct {
			bin, method, path string
			body              []byte
			into              *[]float64
		}{{b.handler, http.MethodPost, "/api/v1/churn/scores", body, &a}, {b.bare, http.MethodGet, "/", nil, &z}} {
			s, err := spawn(b.ctx, side.bin, q.dir)
			if err != nil {
				return err
			}
			took, err := s.firstAnswer(side.method, side.path, side.body)
			s.kill()
			if err != nil {
				return err
			}
			*side.into = append(*side.into, took)
		}
	}
	b.atMost("the same after a kill in the middle of a run", median(a)/median(z), 3, "ratio",
		fmt.Sprintf("%.1f ms over %.1f ms, WAL of %.1f MB", 1e3*median(a), 1e3*median(z), float64(wal.Size())/1e6))
	return nil
}

func copyFile(from, to string) error {
	body, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, body, 0o600)
}

// runs measures a first run, which writes everything, and the next night's, with 1% of
// customers changed, over the floor.
func (b *bench) runs(p *prepared) error {
	var first, night, floorFirst, floorNight, written, ratios []float64
	var done *prepared
	for i := range 3 {
		q, err := p.copyTo(filepath.Join(b.dir, fmt.Sprint("first-", i)))
		if err != nil {
			return err
		}
		if i == 0 {
			f, err := p.floor(b.ctx, b.dir)
			if err != nil {
				return err
			}
			for range 3 {
				took, err := f.read(b.ctx)
				if err != nil {
					return err
				}
				floorFirst = append(floorFirst, took)
			}
			if err := f.store.Close(); err != nil {
				return err
			}
		}
		took, _, _, err := b.oneRun(q, asOf.String())
		if err != nil {
			return err
		}
		first, done = append(first, took), q
	}
	f, err := done.floor(b.ctx, done.dir)
	if err != nil {
		return err
	}
	defer f.store.Close()
	for i := range 3 {
		if err := done.change(b, i); err != nil {
			return err
		}
		took, _, did, err := b.oneRun(done, (asOf + portfolio.Date(i+1)).String())
		if err != nil {
			return err
		}
		night, written = append(night, took), append(written, float64(did.Changed)/float64(did.Customers))
		ratios = append(ratios, writtenOverRead(&did.Store))
		if took, err = f.read(b.ctx); err != nil {
			return err
		}
		floorNight = append(floorNight, took)
	}
	n := float64(p.customers)
	rate := func(t float64) string { return fmt.Sprintf("%.0f customers/s/core", n/t/concurrency) }
	b.atMost("first run, five engines, over reading and decoding JSON", median(first)/median(floorFirst), 3, "ratio", rate(median(first))+", floor "+rate(median(floorFirst)))
	b.atMost("nightly run, 1% changed, over the same", median(night)/median(floorNight), 1.8, "ratio", rate(median(night))+", floor "+rate(median(floorNight)))
	b.add(figure{Name: "customers written a night, 1% changed, a day gone by", Value: 100 * median(written), Unit: "%", Met: true})
	b.atMost("request units written over read, nightly run, by the table", median(ratios), 0.3, "ratio", "each document at its published price: docs/cost.md")
	return nil
}

// writtenOverRead is what a run's chunks wrote over what they read, in request units by the
// published table: see docs/cost.md. In Cosmos DB a body is base64 in JSON, with some 250 bytes of
// other fields.
func writtenOverRead(c *run.Cost) float64 {
	item := func(bytes, documents int64) float64 { return 4.0/3*float64(bytes)/float64(documents) + 250 }
	read := float64(c.DocumentsRead) * cosmosfake.ReadUnits(int(item(c.BytesRead, c.DocumentsRead)))
	return float64(c.DocumentsWrote) * cosmosfake.WriteUnits(int(item(c.BytesWritten, c.DocumentsWrote))) / read
}

func (b *bench) oneRun(p *prepared, on string) (seconds, mib float64, did *scored, err error) {
	s, err := spawn(b.ctx, b.handler, p.dir)
	if err != nil {
		return 0, 0, nil, err
	}
	seconds, did, err = s.scoreBook(b.ctx, on)
	return seconds, s.kill(), did, err
}

// change gives one customer in a hundred a new contact.
func (p *prepared) change(b *bench, round int) error {
	return with(p.dir, func(_ store.Store, bk *book.Book) error {
		n := 0
		for bucket := range p.tenant.Buckets {
			for rel, err := range bk.Relations(b.ctx, p.tenant, bucket, nil) {
				if err != nil {
					return err
				}
				for _, m := range rel.Members {
					if n++; n%100 != round {
						continue
					}
					a := *m.Aggregate
					a.Contacts = append(a.Contacts[:len(a.Contacts):len(a.Contacts)], portfolio.Contact{
						CustomerID: m.ID, At: portfolio.Instant((asOf + portfolio.Date(round)).Time().Unix()), Direction: "in", Reason: "question",
					})
					a.Sort()
					if err := bk.Put(b.ctx, p.tenant, &a, m.ETag); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// scores measures requests for one customer's score over the same JSON only decoded
// and encoded, in turn, with two callers.
func (b *bench) scores(p *prepared) error {
	body, err := p.request()
	if err != nil {
		return err
	}
	ours, err := spawn(b.ctx, b.handler, p.dir)
	if err != nil {
		return err
	}
	defer ours.kill()
	bare, err := spawn(b.ctx, b.bare, p.dir)
	if err != nil {
		return err
	}
	defer bare.kill()
	rate := func(s *process, path string) (float64, error) {
		if _, err := s.firstAnswer(http.MethodPost, path, body); err != nil {
			return 0, err
		}
		var n atomic.Int64
		started := time.Now()
		g, _ := errgroup.WithContext(b.ctx)
		for range concurrency {
			g.Go(func() error {
				for time.Since(started) < 1500*time.Millisecond {
					if _, err := s.do(http.MethodPost, path, body); err != nil {
						return err
					}
					n.Add(1)
				}
				return nil
			})
		}
		err := g.Wait()
		return float64(n.Load()) / time.Since(started).Seconds(), err
	}
	var a, z []float64
	for range 5 {
		r, err := rate(ours, "/api/v1/churn/scores")
		if err != nil {
			return err
		}
		a = append(a, r)
		if r, err = rate(bare, "/echo"); err != nil {
			return err
		}
		z = append(z, r)
	}
	b.atLeast("score requests over HTTP, over decoding and encoding alone", median(a)/median(z), 0.5, "ratio", fmt.Sprintf("%.0f/s over %.0f/s, %d bytes each", median(a), median(z), len(body)))
	return nil
}

// imports measures an import into an empty store over parsing the same CSV with
// encoding/csv and inserting the same bytes as aggregates.
func (b *bench) imports(p *prepared) error {
	var a, z []float64
	for i := range 3 {
		dir := filepath.Join(b.dir, fmt.Sprint("import-", i))
		started := time.Now()
		if err := p.load(b.ctx, dir); err != nil {
			return err
		}
		a = append(a, time.Since(started).Seconds())
		took, err := p.importFloor(b, filepath.Join(dir, "floor.db"))
		if err != nil {
			return err
		}
		z = append(z, took)
	}
	n := float64(p.customers)
	b.atLeast("import, over parsing the CSV and inserting the same bytes", median(z)/median(a), 0.5, "ratio", fmt.Sprintf("%.0f customers/s over %.0f", n/median(a), n/median(z)))
	return nil
}

func (p *prepared) importFloor(b *bench, path string) (float64, error) {
	type doc struct {
		bucket int
		op     store.Op
	}
	var docs []doc
	err := with(p.dir, func(_ store.Store, bk *book.Book) error {
		for bucket := range p.tenant.Buckets {
			for rel, err := range bk.Relations(b.ctx, p.tenant, bucket, nil) {
				if err != nil {
					return err
				}
				for _, m := range rel.Members {
					docs = append(docs, doc{bucket, store.Op{Document: store.Document{Key: rel.Key + "\x1f" + m.ID, Body: bytes.Clone(m.Body)}}})
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	started := time.Now()
	for _, t := range portfolio.Tables {
		f, err := os.Open(filepath.Join(p.csv, t.String()+".csv"))
		if err != nil {
			return 0, err
		}
		r := csv.NewReader(bufio.NewReaderSize(f, 1<<20))
		r.ReuseRecord = true
		for err == nil {
			_, err = r.Read()
		}
		if err := errors.Join(f.Close()); err != nil {
			return 0, err
		}
		if !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	s, err := sqlite.Open(path)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	var ops []store.Op
	for i, d := range docs {
		ops = append(ops, d.op)
		if len(ops) == store.MaxOps || i == len(docs)-1 || docs[i+1].bucket != d.bucket {
			if err := s.Write(b.ctx, store.Partition{Tenant: tenantID, Bucket: d.bucket}, ops); err != nil {
				return 0, err
			}
			ops = ops[:0]
		}
	}
	return time.Since(started).Seconds(), nil
}

// size measures how time and memory grow with the book.
func (b *bench) size(full bool) error {
	sizes := []int{100_000}
	if full {
		sizes = append(sizes, 1_000_000)
	}
	seconds, mib, imports := map[int]float64{}, map[int]float64{}, map[int]float64{}
	for _, n := range sizes {
		p, err := b.prepare(n)
		if err != nil {
			return err
		}
		if n == 100_000 { // enough for an import's fixed costs not to count
			if err := b.imports(p); err != nil {
				return fmt.Errorf("imports: %w", err)
			}
		}
		dir := filepath.Join(b.dir, "import-memory")
		if imports[n], err = b.importMemory(p.csv, dir); err != nil {
			return fmt.Errorf("an import of %d customers: %w", n, err)
		}
		b.atMost(fmt.Sprintf("peak memory of an import, %d customers", n), imports[n], 200, "MiB", "")
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if seconds[n], mib[n], _, err = b.oneRun(p, asOf.String()); err != nil {
			return err
		}
		b.add(figure{Name: fmt.Sprintf("first run of %d customers", n), Value: seconds[n], Unit: "s", Met: true, Detail: fmt.Sprintf("import %.1f s", p.imported)})
		b.atMost(fmt.Sprintf("peak memory of the handler, %d customers", n), mib[n], 200, "MiB", "")
		if err := errors.Join(os.RemoveAll(p.dir), os.RemoveAll(p.csv)); err != nil {
			return err
		}
	}
	if full {
		b.atMost("time for 1,000,000 over time for 100,000", seconds[1_000_000]/seconds[100_000], 10.5, "ratio", "")
		b.atMost("memory for 1,000,000 over that for 100,000", mib[1_000_000]-mib[100_000], 16, "MiB", "")
	}
	return nil
}
