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
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/exports"
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
	exportWork = "an export after a run"
	singleWork = "a score of a stored customer"
)

// wire counts requests to the store, and what they are charged: by the meters that they come with, of which each
// chunk of a run brings its own, and then its completion another.
type wire struct {
	next policy.Transporter

	mu     sync.Mutex
	meters []*store.Meter // in the order in which they were first seen
	by     map[*store.Meter]traffic
}

// traffic is requests on the wire and the request units that they were charged.
type traffic struct {
	trips         int64
	reads, writes float64
}

func (t traffic) plus(u traffic) traffic {
	return traffic{t.trips + u.trips, t.reads + u.reads, t.writes + u.writes}
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
	on := traffic{trips: 1, reads: units}
	if strings.EqualFold(r.Header.Get("x-ms-cosmos-is-batch-request"), "true") {
		on = traffic{trips: 1, writes: units}
	}
	m := store.MeterOf(r.Context())
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, seen := w.by[m]; !seen {
		w.meters = append(w.meters, m)
	}
	if w.by == nil {
		w.by = map[*store.Meter]traffic{}
	}
	w.by[m] = w.by[m].plus(on)
	return answer, nil
}

// take is what was asked since it was last called, with each meter.
func (w *wire) take() (meters []*store.Meter, by map[*store.Meter]traffic) {
	w.mu.Lock()
	defer w.mu.Unlock()
	meters, by = w.meters, w.by
	w.meters, w.by = nil, nil
	return meters, by
}

// queues keep what is sent, and count it.
type queues struct {
	messages, sends int64
	chunks          []run.ChunkRequest
	export          exports.Request // the last
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
		if queue == exports.Queue {
			if err := json.Unmarshal(m.Body, &q.export); err != nil {
				return fault.Wrap(fault.Internal, err, "reading an export's request")
			}
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
	files  *exports.Exports
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
	lists := actions.New(p.book, p.docs)
	p.runs = run.New(p.book, p.docs, &p.bus, p.models, lists, clock)
	p.files = exports.New(exports.NewMaker(p.book, p.runs, lists, p.models, clock), p.docs, blobs, &p.bus, clock).WithAfter(exports.After{tenant: nil})
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
		p.export,
		p.single,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &p.out, nil
}

// measure does something and adds jobs of it: of what was asked with meters of chunks, where there are any, and of the rest.
func (p *player) measure(ctx context.Context, chunks int, work, rest string, do func(context.Context) error) error {
	own := store.NewMeter()
	p.wire.take()
	messages, sends := p.bus.messages, p.bus.sends
	if err := do(store.Metered(ctx, own)); err != nil {
		return fmt.Errorf("%s: %w", rest, err)
	}
	of, others := job{Name: work}, job{Name: rest, Messages: p.bus.messages - messages, Sends: p.bus.sends - sends}
	meters, by := p.wire.take()
	for _, m := range meters {
		to := &others
		if m != own && chunks > 0 {
			to, chunks = &of, chunks-1
		}
		to.add(m, by[m])
	}
	if work != "" {
		p.out.Jobs = append(p.out.Jobs, of)
	}
	p.out.Jobs = append(p.out.Jobs, others)
	return nil
}

func (j *job) add(m *store.Meter, t traffic) {
	j.Reads += m.Reads.Load()
	j.Queries += m.Queries.Load()
	j.Documents += m.Documents.Load() + m.Reads.Load()
	j.BytesRead += m.BytesRead.Load()
	j.Batches += m.Batches.Load()
	j.Writes += m.Writes.Load()
	j.BytesWritten += m.BytesWritten.Load()
	j.Trips += t.trips
	j.ReadUnits += t.reads
	j.WriteUnits += t.writes
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
	return p.measure(ctx, 0, "", importing, func(ctx context.Context) error {
		_, err := intake.Import(ctx, p.book, intake.Options{Tenant: p.tenant.ID, AsOf: asOf, Files: files, Scratch: dir})
		return err
	})
}

// run plays a run.
func (p *player) run(ctx context.Context, work, rest string) error {
	var id string
	err := p.measure(ctx, p.tenant.Buckets, work, rest, func(ctx context.Context) error {
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
	done, err := p.runs.Get(ctx, p.tenant.ID, id)
	if err != nil {
		return err
	}
	if done.Status != "completed" || len(done.Summary.Failed) > 0 {
		return fault.New(fault.Internal, "the run is %s, with failures %v", done.Status, done.Summary.Failed)
	}
	p.out.Changed, p.out.Due = done.Summary.Changed, done.Summary.Actions
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

// export asks for the export that a tenant may want after each run, and makes it. It is of now, not of the days that
// are played: the service would have let it expire.
func (p *player) export(ctx context.Context) error {
	return p.measure(ctx, 0, "", exportWork, func(ctx context.Context) error {
		if err := p.files.AfterRun(ctx, run.Run{ID: "the night's", Tenant: p.tenant.ID, Engines: scoring.Engines}, time.Now()); err != nil {
			return err
		}
		return p.files.Work(ctx, p.bus.export)
	})
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
		return p.measure(ctx, 0, "", singleWork, func(ctx context.Context) error {
			a, err := p.scores.Score(ctx, p.tenant.ID, scoring.Churn, &scoring.Request{AsOf: portfolio.DateOf(p.now), Customers: []string{id}})
			if err == nil && len(a.Scores) != 1 {
				err = fault.New(fault.Internal, "the customer has no score")
			}
			return err
		})
	}
	return fault.New(fault.Internal, "the book has no customer that stands alone")
}
