package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/run"
	"polis/handler/internal/sample"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
	"polis/handler/internal/train"
)

// What is played: a made book, small enough for a test, in buckets that are as full of shelves
// as those of a large one.
const (
	customers = 2000
	buckets   = 2
	changed   = 100 // one customer in so many changes in a day
)

var asOf = portfolio.MustDate(2026, 3, 31)

// job is what a piece of work asked of the store and of the bus.
type job struct {
	Name         string  `json:"name"`
	Reads        int64   `json:"point_reads"`
	Queries      int64   `json:"queries"`
	Documents    int64   `json:"documents_read"` // by queries and one by one
	BytesRead    int64   `json:"bytes_read"`     // of keys and bodies
	Batches      int64   `json:"batches"`
	Writes       int64   `json:"documents_written"`
	BytesWritten int64   `json:"bytes_written"`
	Trips        int64   `json:"round_trips"` // requests on the wire: point reads, pages of queries, batches
	Messages     int64   `json:"messages"`
	Sends        int64   `json:"sends"`
	ReadUnits    float64 `json:"request_units_read"`
	WriteUnits   float64 `json:"request_units_written"`
}

// played is what came of it.
type played struct {
	Customers int   `json:"customers"`
	Due       int   `json:"actions_due"`
	Changed   int   `json:"customers_written_at_night"`
	Imported  int64 `json:"bytes_after_import"` // as the service stores them; 0 where it does not say
	Scored    int64 `json:"bytes_after_first_run"`
	Jobs      []job `json:"jobs"`
}

func (p *played) job(name string) *job {
	for i := range p.Jobs {
		if p.Jobs[i].Name == name {
			return &p.Jobs[i]
		}
	}
	panic("no job of that name was played: " + name)
}

// The jobs, by the names that the page has them under.
const (
	importing  = "import"
	firstWork  = "first run: its chunks"
	firstRest  = "first run: its start, list and completion"
	nightWork  = "nightly run: its chunks"
	nightRest  = "nightly run: its start, list and completion"
	singleWork = "a score of a stored customer"
)

// wire counts requests to the store, and what they are charged: those of the outer meter apart
// from those of the chunks, which bring meters of their own.
type wire struct {
	next  policy.Transporter
	meter atomic.Pointer[store.Meter]

	mu           sync.Mutex
	outer, inner traffic
}

// traffic is requests on the wire and the request units that they were charged.
type traffic struct {
	trips         int64
	reads, writes float64
}

func (t traffic) since(u traffic) traffic {
	return traffic{t.trips - u.trips, t.reads - u.reads, t.writes - u.writes}
}

// Do implements policy.Transporter.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	answer, err := w.next.Do(r)
	if err != nil || strings.Trim(r.URL.Path, "/") == "" { // the account itself is asked for once a client
		return answer, err
	}
	units, err := strconv.ParseFloat(answer.Header.Get("x-ms-request-charge"), 64)
	if err != nil {
		units = 0 // a refusal that costs nothing
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	to := &w.inner
	if store.MeterOf(r.Context()) == w.meter.Load() {
		to = &w.outer
	}
	to.trips++
	if strings.EqualFold(r.Header.Get("x-ms-cosmos-is-batch-request"), "true") {
		to.writes += units
	} else {
		to.reads += units
	}
	return answer, nil
}

func (w *wire) now() (outer, inner traffic) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.outer, w.inner
}

// queues keep what is sent, and count it.
type queues struct {
	messages, sends int64
	chunks          []run.ChunkRequest
}

// Send implements bus.Sender.
func (q *queues) Send(_ context.Context, queue string, msgs ...bus.Message) error {
	q.sends++
	q.messages += int64(len(msgs))
	for _, m := range msgs {
		if queue == run.ChunkQueue {
			var c run.ChunkRequest
			if err := json.Unmarshal(m.Body, &c); err != nil {
				return fault.Wrap(fault.Internal, err, "reading a chunk request")
			}
			q.chunks = append(q.chunks, c)
		}
	}
	return nil
}

// player plays the jobs over a store.
type player struct {
	docs   store.Store
	wire   *wire
	bus    queues
	book   *book.Book
	runs   *run.Runs
	scores *scoring.Service
	models *registry.Registry
	tenant book.Tenant
	now    time.Time
	out    played
}

// play plays all jobs in a tenant of its own; stored says how many bytes the service keeps.
func play(ctx context.Context, docs store.Store, w *wire, stored func() int64, tenant, dir string) (*played, error) {
	blobs, err := folder.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		return nil, err
	}
	defer blobs.Close() // only a scratch folder
	p := &player{docs: store.Counted(docs), wire: w, now: asOf.Time().Add(2 * time.Hour)}
	clock := func() time.Time { return p.now }
	p.book = book.New(p.docs)
	p.models = registry.New(blobs, clock)
	p.runs = run.New(p.book, p.docs, &p.bus, p.models, actions.New(p.book, p.docs), clock)
	p.scores = scoring.NewService(p.book, p.models, clock)
	p.tenant = book.Tenant{ID: tenant, Buckets: buckets, Created: p.now}
	if err := p.book.CreateTenant(ctx, p.tenant); err != nil {
		return nil, err
	}
	// The market's models: what a book's own would say differs, and not how much of it.
	m, err := train.Fit(ctx, func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(func([]*portfolio.Aggregate, error) bool) {}
	}, train.Options{AsOf: asOf})
	if err != nil {
		return nil, err
	}
	if err := p.models.Publish(ctx, tenant, m); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return p.load(ctx, dir) },
		func(context.Context) error { p.out.Imported = stored(); return nil },
		func(ctx context.Context) error { return p.run(ctx, firstWork, firstRest) },
		func(context.Context) error { p.out.Scored = stored(); return nil },
		p.night,
		p.single,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &p.out, nil
}

// measure does something and adds a job of it.
func (p *player) measure(ctx context.Context, name string, do func(context.Context) error) error {
	m := store.NewMeter(0)
	p.wire.meter.Store(m)
	before, _ := p.wire.now()
	messages, sends := p.bus.messages, p.bus.sends
	if err := do(store.Metered(ctx, m)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	after, _ := p.wire.now()
	on := after.since(before)
	p.out.Jobs = append(p.out.Jobs, job{
		Name: name, Reads: m.Reads.Load(), Queries: m.Queries.Load(), Documents: m.Documents.Load() + m.Reads.Load(), BytesRead: m.BytesRead.Load(),
		Batches: m.Batches.Load(), Writes: m.Writes.Load(), BytesWritten: m.BytesWritten.Load(),
		Trips: on.trips, ReadUnits: on.reads, WriteUnits: on.writes, Messages: p.bus.messages - messages, Sends: p.bus.sends - sends,
	})
	return nil
}

func (p *player) load(ctx context.Context, dir string) error {
	csv := filepath.Join(dir, "csv")
	made, err := sample.Write(ctx, sample.Options{Customers: customers, Seed: 1, AsOf: asOf.String(), Dir: csv})
	if err != nil {
		return err
	}
	p.out.Customers = int(made.Customers)
	files := map[portfolio.Table]intake.Source{}
	for _, t := range portfolio.Tables {
		path := filepath.Join(csv, t.String()+".csv")
		info, err := os.Stat(path)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "looking at the sample")
		}
		files[t] = intake.Source{Name: t.String(), Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	}
	return p.measure(ctx, importing, func(ctx context.Context) error {
		_, err := intake.Import(ctx, p.book, intake.Options{Tenant: p.tenant.ID, AsOf: asOf, Files: files, Scratch: dir})
		return err
	})
}

// run plays a run: what its chunks cost is in its summary, and the rest is what was asked
// besides.
func (p *player) run(ctx context.Context, work, rest string) error {
	_, before := p.wire.now()
	var id string
	err := p.measure(ctx, rest, func(ctx context.Context) error {
		started, _, err := p.runs.Start(ctx, p.tenant, portfolio.DateOf(p.now), nil, false)
		if err != nil {
			return err
		}
		id = started.ID
		for len(p.bus.chunks) > 0 {
			next := p.bus.chunks[0]
			p.bus.chunks = p.bus.chunks[1:]
			if err := p.runs.Work(ctx, next); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, after := p.wire.now()
	done, err := p.runs.Get(ctx, p.tenant.ID, id)
	if err != nil {
		return err
	}
	if done.Status != "completed" || len(done.Summary.Failed) > 0 {
		return fault.New(fault.Internal, "the run is %s, with failures %v", done.Status, done.Summary.Failed)
	}
	c := done.Summary.Store
	p.out.Changed, p.out.Due = done.Summary.Changed, done.Summary.Actions
	on := after.since(before)
	p.out.Jobs = append(p.out.Jobs, job{
		Name: work, Queries: c.Queries, Documents: c.DocumentsRead, BytesRead: c.BytesRead, Batches: c.Batches,
		Writes: c.DocumentsWrote, BytesWritten: c.BytesWritten,
		Trips: on.trips, ReadUnits: on.reads, WriteUnits: on.writes,
	})
	return nil
}

// night lets a day pass, in which one customer in a hundred had a contact, and runs again.
func (p *player) night(ctx context.Context) error {
	n := 0
	for bucket := range p.tenant.Buckets {
		for rel, err := range p.book.Relations(ctx, p.tenant, bucket, nil) {
			if err != nil {
				return err
			}
			for _, m := range rel.Members {
				if n++; n%changed != 0 {
					continue
				}
				a := *m.Aggregate
				a.Contacts = append(a.Contacts[:len(a.Contacts):len(a.Contacts)], portfolio.Contact{
					CustomerID: m.ID, At: portfolio.Instant(p.now.Unix()), Direction: "in", Reason: "question",
				})
				a.Sort()
				if err := p.book.Put(ctx, p.tenant, &a, m.ETag); err != nil {
					return err
				}
			}
		}
	}
	p.now = p.now.AddDate(0, 0, 1)
	return p.run(ctx, nightWork, nightRest)
}

// single asks for one engine's score of a customer that is stored, as of today.
func (p *player) single(ctx context.Context) error {
	for rel, err := range p.book.Relations(ctx, p.tenant, 0, nil) {
		if err != nil {
			return err
		}
		if len(rel.Members) != 1 {
			continue
		}
		id := rel.Members[0].ID
		return p.measure(ctx, singleWork, func(ctx context.Context) error {
			a, err := p.scores.Score(ctx, p.tenant.ID, scoring.Churn, &scoring.Request{AsOf: portfolio.DateOf(p.now), Customers: []string{id}})
			if err == nil && len(a.Scores) != 1 {
				err = fault.New(fault.Internal, "the customer has no score")
			}
			return err
		})
	}
	return fault.New(fault.Internal, "the book has no customer that stands alone")
}
