package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/audit"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/enrichment"
	"polis/handler/internal/fault"
	"polis/handler/internal/imports"
	"polis/handler/internal/intake"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/quota"
	"polis/handler/internal/registry"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
	"polis/handler/internal/watch"
)

// tables finds the four tables in a folder.
func tables(dir string) (map[portfolio.Table]intake.Source, error) {
	out := map[portfolio.Table]intake.Source{}
	for _, t := range portfolio.Tables {
		for _, ext := range []string{".csv", ".ndjson", ".jsonl", ".csv.gz", ".ndjson.gz"} {
			path := filepath.Join(dir, t.String()+ext)
			info, err := os.Stat(path)
			if err != nil || info.IsDir() {
				continue
			}
			if _, twice := out[t]; twice {
				return nil, fault.New(fault.Invalid, "%s has the table %s twice", dir, t)
			}
			out[t] = intake.Source{Name: filepath.Base(path), Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
		}
	}
	if _, ok := out[portfolio.Customers]; !ok {
		return nil, fault.New(fault.NotFound, "%s has no customers.csv or customers.ndjson: docs/tables.md says what the four tables look like", dir)
	}
	return out, nil
}

// madeAt is when a folder's table of customers was written.
func madeAt(dir string, files map[portfolio.Table]intake.Source) (time.Time, error) {
	info, err := os.Stat(filepath.Join(dir, files[portfolio.Customers].Name))
	if err != nil {
		return time.Time{}, fault.Wrap(fault.NotFound, err, "looking when the customers were written")
	}
	return info.ModTime(), nil
}

// load imports a folder and what was brought with it, with a stage of progress, and writes
// the report beside the data.
func (s *stack) load(ctx context.Context, p *progress, t book.Tenant, dir string, asOf portfolio.Date, as intake.Detected, brought *enrichment.Table) (intake.Summary, error) {
	files, err := tables(dir)
	if err != nil {
		return intake.Summary{}, err
	}
	made, err := madeAt(dir, files)
	if err != nil {
		return intake.Summary{}, err
	}
	path := filepath.Join(s.dir, "reports", t.ID+".ndjson")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return intake.Summary{}, fault.Wrap(fault.Unconfigured, err, "making the reports' folder")
	}
	report, err := os.Create(path)
	if err != nil {
		return intake.Summary{}, fault.Wrap(fault.Unconfigured, err, "making the report")
	}
	defer report.Close()
	overrides := make(map[portfolio.Table]intake.Detected, len(files))
	for table := range files {
		overrides[table] = as
	}
	st, began := p.stage("import"), time.Now()
	sum, err := intake.Import(ctx, s.book, intake.Options{
		Erased: func(ctx context.Context) (map[string][]string, error) {
			return s.lists.Erased(ctx, t.ID, made, time.Time{})
		},
		Tenant: t.ID, AsOf: asOf, Files: files, Enrichment: brought, Overrides: overrides, Report: report,
		Progress: func(_ string, done, total int64) { st.set(done, total) },
	})
	// Whatever came of it: who is erased while it reads the files is not to be brought back by them.
	if erased := imports.EraseAgain(context.WithoutCancel(ctx), s.book, s.lists, t, began, time.Time{}); erased != nil {
		err = errors.Join(err, erased)
	}
	if err != nil {
		st.abort()
		return sum, err
	}
	var read, rejected int64
	for _, ts := range sum.Tables {
		read, rejected = read+ts.Read, rejected+ts.Rejected
	}
	what := fmt.Sprintf("%d rows, %d customers new, %d changed, %d unchanged", read, sum.Customers.Created, sum.Customers.Changed+sum.Customers.Moved, sum.Customers.Unchanged)
	if sum.Customers.Erased > 0 {
		what += fmt.Sprintf("; %d customers left out, whose erasure was asked for after %s was written", sum.Customers.Erased, files[portfolio.Customers].Name)
	}
	if rejected > 0 {
		what += fmt.Sprintf("; %d rows rejected, see %s", rejected, path)
	}
	st.end(what)
	return sum, nil
}

// notOlder refuses to train as of a date before that of the models that are published: they
// would be replaced by models that know less.
func (s *stack) notOlder(ctx context.Context, t book.Tenant, asOf portfolio.Date) error {
	m, err := s.models.Current(ctx, t.ID)
	switch {
	case fault.Is(err, fault.Conflict):
		return nil // none yet, or none that can be read
	case err != nil:
		return err
	case asOf < m.Trained:
		return fault.New(fault.Conflict, "models as of %s are published, which is after %s: train with --older to publish older ones in their place", m.Trained, asOf)
	}
	return nil
}

// train learns and publishes a tenant's models, those aside that are brought in; none if others were
// published since the base.
func (s *stack) train(ctx context.Context, p *progress, t book.Tenant, asOf portfolio.Date, base registry.Base, o train.Options) (*scoring.Models, error) {
	st := p.stage("train")
	stages := map[string]bool{}
	o.AsOf, o.Ends, o.BranchNames = asOf, t.EndTable(), t.Branches
	o.Progress = func(stage string, done, total int) {
		stages[stage] = true
		st.set(int64(len(stages)), int64(max(len(stages), trainStages)))
	}
	o.Baseline = new(audit.Baseline)
	m, err := train.Fit(ctx, watch.Relations(s.book, t), o)
	if err == nil {
		err = s.models.PublishOver(ctx, t.ID, base, m, o.Baseline)
	}
	if err != nil {
		st.abort()
		return nil, fmt.Errorf("training: %w", err)
	}
	st.end("models " + m.Version)
	return m, nil
}

// trainStages is about how many stages a training has: for the bar only.
const trainStages = 23

// inline takes a run's messages where there is no bus.
type inline struct {
	mu     sync.Mutex
	chunks []run.ChunkRequest
}

// Send implements bus.Sender.
func (i *inline) Send(_ context.Context, queue string, msgs ...bus.Message) error {
	if queue != run.ChunkQueue {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, m := range msgs {
		var c run.ChunkRequest
		if err := json.Unmarshal(m.Body, &c); err != nil {
			return fault.Wrap(fault.Internal, err, "reading a chunk request")
		}
		i.chunks = append(i.chunks, c)
	}
	return nil
}

// take is what was sent since it was last asked.
func (i *inline) take() []run.ChunkRequest {
	i.mu.Lock()
	defer i.mu.Unlock()
	sent := i.chunks
	i.chunks = nil
	return sent
}

// score runs a tenant's book in this process. A run of the date that was completed before is
// given as it is, and made is false.
func (s *stack) score(ctx context.Context, p *progress, t book.Tenant, asOf portfolio.Date, engines []scoring.Engine, again bool) (pr run.Progress, made bool, err error) {
	var q inline
	runs := run.New(s.book, s.docs, &q, s.models, s.lists, time.Now)
	pr, made, err = runs.Start(ctx, t, asOf, engines, again)
	if err != nil {
		return pr, made, err
	}
	if !made && pr.Summary != nil {
		return pr, false, nil
	}
	st := p.stage("run")
	var mu sync.Mutex
	done := pr.Done
	for chunks := q.take(); err == nil && len(chunks) > 0; chunks = q.take() {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(runtime.GOMAXPROCS(0))
		for _, c := range chunks {
			g.Go(func() error {
				err := runs.Work(gctx, c)
				mu.Lock()
				defer mu.Unlock()
				done++
				st.set(int64(done), int64(pr.Chunks))
				return err
			})
		}
		err = g.Wait()
	}
	if err != nil {
		st.abort()
		return pr, made, err
	}
	pr, err = runs.Get(ctx, t.ID, pr.ID)
	if err == nil && pr.Summary == nil {
		err = errors.New("the run is not complete")
	}
	if err != nil {
		st.abort()
		return pr, made, err
	}
	st.end(describe(pr))
	return pr, true, nil
}

// look is how often it is asked how far a run in Azure is: our choice; each look reads a document a chunk
// that is done.
const look = 3 * time.Second

// ask has the apps in Azure run a tenant's book, as the API does, and waits until the run is completed. A run
// of the date that was completed before is given as it is, and made is false. The run does not end with who waits.
func (s *stack) ask(ctx context.Context, p *progress, t book.Tenant, asOf portfolio.Date, engines []scoring.Engine, again bool) (pr run.Progress, made bool, err error) {
	quotas, err := quota.New(s.azure.Quotas, s.azure.QuotaTenants, time.Now)
	if err != nil {
		return pr, false, err
	}
	runs := run.New(s.book, s.docs, s.queues, s.models, s.lists, time.Now).WithWidth(quotas.Width)
	pr, made, err = runs.Start(ctx, t, asOf, engines, again)
	if err != nil || !made && pr.Summary != nil {
		return pr, made, err
	}
	fmt.Fprintf(os.Stderr, "run %s: %d chunks are worked in Azure\n", pr.ID, pr.Chunks)
	st := p.stage("run")
	for pr.Summary == nil {
		st.set(int64(pr.Done), int64(pr.Chunks))
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(look):
			pr, err = runs.Get(ctx, t.ID, pr.ID)
		}
		if err != nil {
			st.abort()
			return pr, made, fmt.Errorf("waiting for a run, which goes on: %w", err)
		}
	}
	st.end(describe(pr))
	return pr, true, nil
}

func describe(p run.Progress) string {
	s := p.Summary
	text := fmt.Sprintf("%d of %d customers scored, %d changed", s.Scored, s.Customers, s.Changed)
	failed := 0
	for _, n := range s.Failed {
		failed += n
	}
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	if text += fmt.Sprintf(", %d actions due", s.Actions); s.NoList != "" {
		text += ", no list: " + s.NoList
	}
	return text
}

// enginesOf reads a list of engines.
func enginesOf(names []string) ([]scoring.Engine, error) {
	var out []scoring.Engine
	for _, n := range names {
		e, err := scoring.ParseEngine(strings.TrimSpace(n))
		if err != nil {
			return nil, fault.Wrap(fault.Unconfigured, err, "--engines %s", n)
		}
		out = append(out, e)
	}
	return out, nil
}
