// Package run scores a tenant's whole book as of a date: in chunks, one a bucket, each
// of which can be repeated, killed and repeated again. What is written twice is the
// same, a chunk counts once, and the run is completed once.
//
// The message that asks for a chunk is also what makes sure that everything after it
// happens: it is not settled before the chunk is recorded, the run is completed if it
// was the last, and the event is sent. A kill in between brings it again.
package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
)

// ChunkQueue is the queue of a run's chunks.
const ChunkQueue = "run-chunks"

// keep is how long runs stay on record: a year and a month.
const keep = 400 * 24 * time.Hour

// Run is one run of a tenant: all customers, as of a date, by a set of engines.
type Run struct {
	ID      string           `json:"run_id"`
	Tenant  string           `json:"-"`
	AsOf    portfolio.Date   `json:"as_of"`
	Engines []scoring.Engine `json:"engines"`
	Model   string           `json:"model_version"`             // all chunks use this, though a newer one be published meanwhile
	Program int              `json:"program_version,omitempty"` // as of creation, and the build: see scoring.Program
	Build   string           `json:"build,omitempty"`
	Chunks  int              `json:"chunks"`
	Width   int              `json:"width,omitempty"` // chunks that are under way at a time; 0: all
	Created time.Time        `json:"created_at"`
	// After are the kinds of actions that stand after all others on the run's list, by what
	// people thought of them when the run began.
	After []string `json:"after_others,omitempty"`
}

// Progress is a run and how far it is.
type Progress struct {
	Run
	Status  string   `json:"status"` // running, completed
	Done    int      `json:"chunks_done"`
	Summary *Summary `json:"summary,omitempty"`
}

// Summary is what a completed run did.
type Summary struct {
	Tally
	CompletedAt time.Time `json:"completed_at"`
	Elapsed     float64   `json:"elapsed_seconds"` // from creation to completion
	Actions     int       `json:"actions_due"`
	NoList      string    `json:"no_list,omitempty"` // why actions are due, and there is no list of them
}

// Tally counts what was done with customers.
type Tally struct {
	Customers int                             `json:"customers"` // met
	Scored    int                             `json:"scored"`    // by one engine at least
	Changed   int                             `json:"changed"`   // and so written; the rest stands as it was
	Failed    map[string]int                  `json:"failed,omitempty"`
	Seconds   float64                         `json:"seconds"` // of work, over all chunks
	Store     Cost                            `json:"store"`
	Engines   map[scoring.Engine]*EngineTally `json:"engines"`
}

// EngineTally counts for one engine.
type EngineTally struct {
	Scored    int                  `json:"scored"`
	NotScored map[score.Status]int `json:"not_scored,omitempty"` // why: no_policies, objected, not_in_scope
	Changed   int                  `json:"changed"`
	Seconds   float64              `json:"seconds"`
}

// Cost is what was asked of the store, and what that cost.
type Cost struct {
	Queries        int64   `json:"queries"`
	DocumentsRead  int64   `json:"documents_read"`
	BytesRead      int64   `json:"bytes_read"`
	Batches        int64   `json:"batches"`
	DocumentsWrote int64   `json:"documents_written"`
	BytesWritten   int64   `json:"bytes_written"`
	Retries        int64   `json:"retries"`
	Throttled      int64   `json:"throttled"`     // of the retries: they take nothing from the run's budget
	Units          float64 `json:"request_units"` // 0 where the store does not charge
	PerThousand    float64 `json:"request_units_per_1000_customers"`
}

func costOf(m *store.Meter) Cost {
	return Cost{
		Queries: m.Queries.Load(), DocumentsRead: m.Documents.Load() + m.Reads.Load(), BytesRead: m.BytesRead.Load(),
		Batches: m.Batches.Load(), DocumentsWrote: m.Writes.Load(), BytesWritten: m.BytesWritten.Load(),
		Retries: m.Retries.Load() + m.Throttles.Load(), Throttled: m.Throttles.Load(), Units: m.Units(),
	}
}

func (c *Cost) add(o *Cost) {
	c.Queries += o.Queries
	c.DocumentsRead += o.DocumentsRead
	c.BytesRead += o.BytesRead
	c.Batches += o.Batches
	c.DocumentsWrote += o.DocumentsWrote
	c.BytesWritten += o.BytesWritten
	c.Retries += o.Retries
	c.Throttled += o.Throttled
	c.Units += o.Units
}

func (t *EngineTally) count(s score.Status, n int) {
	if s == score.Scored {
		t.Scored += n
		return
	}
	if t.NotScored == nil {
		t.NotScored = map[score.Status]int{}
	}
	t.NotScored[s] += n
}

// Models finds published models. Current's may change from call to call; a version's not.
type Models interface {
	Current(ctx context.Context, tenant string) (*scoring.Models, error)
	Version(ctx context.Context, tenant, version string) (*scoring.Models, error)
}

// Runs starts, works and shows runs.
type Runs struct {
	book   *book.Book
	store  store.Store
	bus    bus.Sender
	models Models
	lists  *actions.Lists
	now    func() time.Time
	width  func(tenant string) int

	exporter Exporter // nil where none is made
}

// Exporter asks for the export of a run that is completed, where its tenant wants one. It is asked at
// least once, and must take asking again for the same.
type Exporter interface {
	AfterRun(ctx context.Context, r Run, completed time.Time) error
}

// WithExports is the runs that are exported when they are completed.
func (r *Runs) WithExports(x Exporter) *Runs {
	more := *r
	more.exporter = x
	return &more
}

// WithWidth is the runs with widths by tenant, at least 1, instead of DefaultWidth. Runs that were started keep
// theirs.
func (r *Runs) WithWidth(width func(tenant string) int) *Runs {
	wide := *r
	wide.width = width
	return &wide
}

// New is the runs in a store.
func New(b *book.Book, s store.Store, sender bus.Sender, m Models, l *actions.Lists, now func() time.Time) *Runs {
	if b == nil || s == nil || sender == nil || m == nil || l == nil || now == nil {
		panic("run: a dependency is missing")
	}
	return &Runs{book: b, store: s, bus: sender, models: m, lists: l, now: now, width: func(string) int { return DefaultWidth }}
}

const (
	runKey   = "run\x1f"   // and the id
	chunkKey = "chunk\x1f" // and the run's id, and the bucket
	partKey  = "part\x1f"  // likewise: a chunk's share of the action list
	doneKey  = "done\x1f"  // and the run's id: there once the run is completed
)

func shared(tenant string) store.Partition {
	return store.Partition{Tenant: tenant, Bucket: store.Shared}
}

// prefix is what the ids of all runs of a date and a set of engines begin with.
func prefix(asOf portfolio.Date, engines []scoring.Engine) string {
	if len(engines) == len(scoring.Engines) {
		return asOf.String() + "-all-"
	}
	names := make([]string, len(engines))
	for i, e := range engines {
		names[i] = e.String()
	}
	return asOf.String() + "-" + strings.Join(names, "-") + "-"
}

// Forgotten is after how long work that was asked for, and did not get done, no longer counts as what its tenant
// has under way: it is stuck, and must not keep the tenant out for ever.
const Forgotten = 24 * time.Hour

// Open are the runs that are not completed and were created in a span of time.
func (r *Runs) Open(ctx context.Context, tenant string, from, to time.Time) ([]Run, error) {
	done := map[string]bool{}
	for d, err := range r.store.Scan(ctx, shared(tenant), doneKey, "") {
		if err != nil {
			return nil, err
		}
		done[strings.TrimPrefix(d.Key, doneKey)] = true
	}
	var open []Run
	for d, err := range r.store.Scan(ctx, shared(tenant), runKey, "") {
		if err != nil {
			return nil, err
		}
		if done[strings.TrimPrefix(d.Key, runKey)] {
			continue
		}
		run, err := decodeRun(tenant, d)
		if err != nil {
			return nil, err
		}
		if !run.Created.Before(from) && run.Created.Before(to) {
			open = append(open, run)
		}
	}
	return open, nil
}

// Resend sends again for the tenant's runs that were created in a span of time and of which no chunk is done: a
// kill after one was recorded and before its messages were sent would leave it waiting for
// somebody who asks for the same. One that was begun goes on by its own messages, or lies in the dead letters. Nothing
// here tells these from lanes that were never sent for, since a kill came between two sends (of some 700 messages
// each, so of runs that are wider): those wait for who starts the run again, as all engines' timers do on its day.
func (r *Runs) Resend(ctx context.Context, tenant string, from, to time.Time) error {
	open, err := r.Open(ctx, tenant, from, to)
	if err != nil {
		return err
	}
	var failed error
	for _, run := range open {
		done, err := r.doneChunks(ctx, run)
		if err == nil && len(done) == 0 {
			err = r.send(ctx, Progress{Run: run, Status: "running"})
		}
		if err != nil { // the others go on
			failed = errors.Join(failed, fmt.Errorf("beginning run %s: %w", run.ID, err))
		}
	}
	return failed
}

// Start is StartWithin without a bound: what timers do.
func (r *Runs) Start(ctx context.Context, t book.Tenant, asOf portfolio.Date, engines []scoring.Engine, again bool) (Progress, bool, error) {
	return r.StartWithin(ctx, t, asOf, engines, again, 0)
}

// StartWithin joins the open run of the date and engines or, where there is none, makes one;
// again says to make one even though there is a completed one. Either way it sends for
// the first chunk of each lane that is not done. It reports whether the run is a new one. A tenant has at most so
// many open (0: any number; a few more where several are started at the same moment): beyond that it is
// fault.Exhausted.
func (r *Runs) StartWithin(ctx context.Context, t book.Tenant, asOf portfolio.Date, engines []scoring.Engine, again bool, most int) (Progress, bool, error) {
	if asOf > portfolio.DateOf(r.now())+1 { // east of UTC tomorrow has begun
		return Progress{}, false, &fault.Error{
			Kind: fault.Invalid, Detail: "a run's as-of date is not after today", Fields: []fault.Field{{Pointer: "/as_of", Detail: "is after today"}},
		}
	}
	engines = inOrder(engines)
	for {
		p, n, err := r.newest(ctx, t.ID, prefix(asOf, engines))
		if err != nil {
			return Progress{}, false, err
		}
		if n > 0 && (p.Status == "running" || !again) {
			return p, false, r.send(ctx, p)
		}
		if most > 0 {
			open, err := r.Open(ctx, t.ID, r.now().Add(-Forgotten), r.now().Add(time.Hour)) // also by a clock that is ahead
			if err != nil {
				return Progress{}, false, err
			}
			if len(open) >= most {
				return Progress{}, false, fault.Later(time.Minute, "%d runs of the tenant are open, and %d may be", len(open), most)
			}
		}
		m, err := r.models.Current(ctx, t.ID)
		if err != nil {
			return Progress{}, false, fmt.Errorf("starting a run: %w", err)
		}
		if err := r.reaches(ctx, t, asOf, asked); err != nil {
			return Progress{}, false, err
		}
		p = Progress{Status: "running", Run: Run{
			ID: fmt.Sprintf("%s%d", prefix(asOf, engines), n+1), Tenant: t.ID, AsOf: asOf, Engines: engines,
			Model: m.Version, Program: scoring.Program, Build: scoring.Build(), Chunks: t.Buckets, Width: r.width(t.ID), Created: r.now().UTC(),
		}}
		counted, err := r.lists.Counted(ctx, t.ID)
		switch {
		case err == nil:
			p.After = counted.After(&m.Settings.Feedback.Suppression)
		case !fault.Is(err, fault.NotFound):
			return Progress{}, false, err
		}
		body, err := json.Marshal(p.Run)
		if err != nil {
			return Progress{}, false, fault.Wrap(fault.Internal, err, "encoding a run")
		}
		err = r.store.Write(ctx, shared(t.ID), []store.Op{{Verb: store.Create, Document: store.Document{
			Key: runKey + p.ID, Body: body, Expires: p.Created.Add(keep),
		}}})
		if fault.Is(err, fault.Conflict) {
			continue // somebody else made it: join that
		}
		if err != nil {
			return Progress{}, false, err
		}
		return p, true, r.send(ctx, p)
	}
}

// asked is of how many relations it is looked whether the book goes back to a date; our choice: a
// second or two of reading, in which a date on which one relation in 400 had a policy is hardly
// ever missed.
const asked = 2000

// reaches makes sure that the book goes back to a past date: somebody had a policy in force
// then. It reads no further than to the first who had, and no more than so many
// relations: somebody waits for the answer, and where none of those had one a run as of then
// would score hardly anybody.
func (r *Runs) reaches(ctx context.Context, t book.Tenant, asOf portfolio.Date, most int) error {
	if asOf >= portfolio.DateOf(r.now())-1 {
		return nil
	}
	var v portfolio.View
	anybody, read := false, 0
buckets:
	for bucket := range t.Buckets {
		for rel, err := range r.book.Relations(store.Stale(ctx), t, bucket, nil) {
			if err != nil {
				return err
			}
			if read++; read > most {
				break buckets
			}
			for _, m := range rel.Members {
				if anybody = true; m.Err != nil {
					continue
				}
				v.Reset(m.Aggregate, asOf, portfolio.DefaultEnds)
				if slices.ContainsFunc(v.Policies, func(p portfolio.PolicyView) bool { return p.InForce(asOf) }) {
					return nil
				}
			}
		}
	}
	if !anybody { // nor is there anybody who could be scored
		return nil
	}
	return &fault.Error{
		Kind: fault.Invalid, Detail: "a run's as-of date is one of the book's: nobody had a policy then, or hardly anybody", Fields: []fault.Field{{Pointer: "/as_of", Detail: "is before the book's first policy, or in a gap between policies"}},
	}
}

// inOrder is the engines in the order in which they run, each once; all for none.
func inOrder(engines []scoring.Engine) []scoring.Engine {
	if len(engines) == 0 {
		return slices.Clone(scoring.Engines)
	}
	var out []scoring.Engine
	for _, e := range scoring.Engines {
		if slices.Contains(engines, e) {
			out = append(out, e)
		}
	}
	return out
}

// newest finds the run with the highest number; 0 where there is none.
func (r *Runs) newest(ctx context.Context, tenant, prefix string) (Progress, int, error) {
	n := 0
	for d, err := range r.store.Scan(ctx, shared(tenant), runKey+prefix, "") {
		if err != nil {
			return Progress{}, 0, err
		}
		var i int
		if _, err := fmt.Sscanf(d.Key[len(runKey+prefix):], "%d", &i); err == nil {
			n = max(n, i)
		}
	}
	if n == 0 {
		return Progress{}, 0, nil
	}
	p, err := r.Get(ctx, tenant, fmt.Sprintf("%s%d", prefix, n))
	return p, n, err
}

// ChunkRequest is the message that asks for one chunk.
type ChunkRequest struct {
	Tenant string `json:"tenant"`
	Run    string `json:"run_id"`
	Bucket int    `json:"bucket"`
	Spent  int    `json:"retries_spent,omitempty"` // by the chunks of its lane that are done: see Allowance
	Before int    `json:"-"`                       // how often it came before, and was not settled
}

// send asks for the first chunk of each lane that is not done: see Next.
func (r *Runs) send(ctx context.Context, p Progress) error {
	if p.Status != "running" {
		return nil
	}
	done, err := r.doneChunks(ctx, p.Run)
	if err != nil {
		return err
	}
	if len(done) == p.Chunks {
		// Killed between the last chunk's record and the completion.
		return r.complete(ctx, p.Run)
	}
	var ask []ChunkRequest
	for _, bucket := range First(p.width(), p.Chunks, func(b int) bool { return done[b] != nil }) {
		spent := 0
		for b := bucket - p.width(); b >= 0; b -= p.width() {
			spent += done[b].spent()
		}
		ask = append(ask, ChunkRequest{Tenant: p.Tenant, Run: p.ID, Bucket: bucket, Spent: spent})
	}
	return r.ask(ctx, ask...)
}

// Get finds a run and how far it is.
func (r *Runs) Get(ctx context.Context, tenant, id string) (Progress, error) {
	run, err := r.find(ctx, tenant, id)
	if err != nil {
		return Progress{}, err
	}
	return r.progress(ctx, run)
}

// find finds a run.
func (r *Runs) find(ctx context.Context, tenant, id string) (Run, error) {
	d, err := r.store.Get(ctx, shared(tenant), runKey+id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return Run{}, fault.New(fault.NotFound, "no such run")
	}
	if err != nil {
		return Run{}, err
	}
	return decodeRun(tenant, d)
}

func decodeRun(tenant string, d store.Document) (Run, error) {
	run := Run{}
	if err := json.Unmarshal(d.Body, &run); err != nil {
		return run, fault.Wrap(fault.Internal, err, "decoding a run")
	}
	run.Tenant = tenant
	return run, nil
}

func (r *Runs) progress(ctx context.Context, run Run) (Progress, error) {
	p := Progress{Run: run, Status: "running"}
	d, ok, err := store.GetOr(ctx, r.store, shared(run.Tenant), doneKey+run.ID)
	if err != nil {
		return p, err
	}
	if ok {
		p.Status, p.Done, p.Summary = "completed", run.Chunks, new(Summary)
		if err := json.Unmarshal(d.Body, p.Summary); err != nil {
			return p, fault.Wrap(fault.Internal, err, "decoding a run's summary")
		}
		return p, nil
	}
	done, err := r.doneChunks(ctx, run)
	p.Done = len(done)
	return p, err
}

// List lists the newest runs, at most max of those whose id is below before ("": all).
func (r *Runs) List(ctx context.Context, tenant, before string, max int) ([]Progress, error) {
	var all []Run
	for d, err := range r.store.Scan(ctx, shared(tenant), runKey, "") {
		if err != nil {
			return nil, err
		}
		run, err := decodeRun(tenant, d)
		if err != nil {
			return nil, err
		}
		if before == "" || run.ID < before {
			all = append(all, run)
		}
	}
	slices.Reverse(all)
	var out []Progress
	for _, run := range all[:min(max, len(all))] {
		p, err := r.progress(ctx, run)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// doneChunks is what the chunks that are done recorded, by bucket.
func (r *Runs) doneChunks(ctx context.Context, run Run) (map[int]*chunk, error) {
	done := map[int]*chunk{}
	for d, err := range r.store.Scan(ctx, shared(run.Tenant), chunkKey+run.ID+"\x1f", "") {
		if err != nil {
			return nil, err
		}
		c := new(chunk)
		if err := json.Unmarshal(d.Body, c); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "decoding a chunk's record")
		}
		done[c.Bucket] = c
	}
	return done, nil
}
