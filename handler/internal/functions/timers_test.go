package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/actions"
	"polis/handler/internal/audit"
	"polis/handler/internal/blob"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/deadletter"
	"polis/handler/internal/decision"
	"polis/handler/internal/event"
	"polis/handler/internal/exports"
	"polis/handler/internal/fault"
	"polis/handler/internal/imports"
	"polis/handler/internal/invoke"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
	"polis/handler/internal/watch"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outbox keeps what is sent, by queue.
type outbox map[string][]bus.Message

func (o outbox) Send(_ context.Context, queue string, msgs ...bus.Message) error {
	o[queue] = append(o[queue], msgs...)
	return nil
}

// broken is a blob store in which a tenant's reports cannot be kept.
type broken struct{ blob.Store }

func (b broken) Create(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	if strings.HasPrefix(name, "drift/broken/") {
		return blob.Info{}, fault.New(fault.Unavailable, "out of order")
	}
	return b.Store.Create(ctx, name, r)
}

// house is tenants with models of nobody, and the functions as the host calls them.
type house struct {
	t    *testing.T
	now  time.Time
	sent outbox
	Services
	docs   *sqlite.Store
	blobs  blob.Store
	models *registry.Registry
	host   func(name string) int
	log    bytes.Buffer
}

func newHouse(t *testing.T, tenants ...string) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC), sent: outbox{}}
	clock := func() time.Time { return h.now }
	docs, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.WithClock(clock))
	must(t, err)
	t.Cleanup(func() { docs.Close() })
	files, err := folder.Open(filepath.Join(t.TempDir(), "blobs"))
	must(t, err)
	t.Cleanup(func() { files.Close() })
	blobs := broken{files}
	b, models := book.New(docs), registry.New(blobs, clock)
	nobody := func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(func([]*portfolio.Aggregate, error) bool) {}
	}
	base := new(audit.Baseline)
	m, err := train.Fit(t.Context(), nobody, train.Options{AsOf: portfolio.DateOf(h.now), Baseline: base})
	must(t, err)
	for _, id := range tenants {
		must(t, b.CreateTenant(t.Context(), book.Tenant{ID: id, Buckets: 1, Created: h.now}))
		if id != "bare" { // which has no models yet
			must(t, models.PublishWith(t.Context(), id, m, base))
		}
	}
	lists := actions.New(b, docs)
	runs := run.New(b, docs, h.sent, models, lists, clock)
	h.docs, h.blobs, h.models = docs, blobs, models
	h.Services = Services{
		Book: b, Runs: runs, Imports: imports.New(b, docs, blobs, h.sent, lists, clock), Exports: exports.New(exports.NewMaker(b, runs, lists, models, clock), docs, blobs, h.sent, clock), Scores: scoring.NewService(b, models, clock),
		Decisions: decision.New(b, models, clock), Reports: watch.New(b, blobs, h.sent, models, clock), Bus: h.sent, Now: clock, Log: zerolog.New(&h.log),
	}
	handler := invoke.New(New(h.Services), deadletter.New(blobs, clock), invoke.NewBackoff(h.sent, Queues(), clock), zerolog.Nop())
	h.host = func(name string) int {
		r := httptest.NewRequest("POST", "/"+name, strings.NewReader(`{"Data":{"timer":{"IsPastDue":false}},"Metadata":{}}`))
		r.Header.Set("X-Azure-Functions-InvocationId", "1")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	return h
}

// events are those of a type, by tenant.
func (h *house) events(kind string) map[string]int {
	out := map[string]int{}
	for _, m := range h.sent[event.Queue] {
		if m.Subject == kind {
			tenant, _, _ := strings.Cut(m.ID, "/")
			out[tenant]++
		}
	}
	return out
}

// TestDriftMonthly: every tenant with models has its report and its event, once a month
// however often the timer fires, and one that fails stops none of the others.
func TestDriftMonthly(t *testing.T) {
	h := newHouse(t, "a", "bare", "broken", "z")
	for range 2 {
		if code := h.host("DriftMonthly"); code != 500 {
			t.Errorf("%d, where the host is to try again", code)
		}
	}
	if got := fmt.Sprint(h.events(watch.Event)); got != "map[a:1 z:1]" {
		t.Errorf("events %s", got)
	}
	for tenant, want := range map[string]fault.Kind{"bare": fault.NotFound, "broken": fault.NotFound} {
		if _, err := h.Reports.Get(t.Context(), tenant, "latest"); !fault.Is(err, want) {
			t.Errorf("%s: %v", tenant, err)
		}
	}
	r, err := h.Reports.Get(t.Context(), "z", "2026-03")
	must(t, err)
	if r.Baseline == nil || r.AsOf != portfolio.DateOf(h.now) {
		t.Errorf("%+v", r)
	}

	good := newHouse(t, "a", "bare")
	for range 2 {
		if code := good.host("DriftMonthly"); code != 200 {
			t.Errorf("%d", code)
		}
		good.now = good.now.AddDate(0, 0, 1) // April
	}
	if got := fmt.Sprint(good.events(watch.Event)); got != "map[a:2]" {
		t.Errorf("events of two months: %s", got)
	}
}

// TestDriftMonthlyOfNobodyInForce: a tenant whose policies have all ended has no report, and
// its timer is no failure, which the host would try again: the others have theirs, and the
// log says of which tenant there is none and why, without a customer.
func TestDriftMonthlyOfNobodyInForce(t *testing.T) {
	h := newHouse(t, "a", "bare", "left", "z")
	tenant, err := h.Book.Tenant(t.Context(), "left")
	must(t, err)
	known := portfolio.Version{RecordedAt: portfolio.DateOf(h.now) - 400}
	a := &portfolio.Aggregate{
		Customers: []portfolio.Customer{{ID: "jansen", BirthYear: 1970, Version: known}},
		Policies: []portfolio.Policy{{
			ID: "p1", CustomerID: "jansen", Branch: "motor", StartDate: known.RecordedAt - 400, EndDate: known.RecordedAt,
			AnnualPremium: 50000, Status: portfolio.Ended, Version: known,
		}},
	}
	a.Normalise(portfolio.DateOf(h.now))
	must(t, h.Book.Put(t.Context(), tenant, a, ""))
	if code := h.host("DriftMonthly"); code != 200 {
		t.Errorf("%d", code)
	}
	if got := fmt.Sprint(h.events(watch.Event)); got != "map[a:1 z:1]" {
		t.Errorf("events %s", got)
	}
	var said []string
	for line := range strings.Lines(h.log.String()) {
		var l struct{ Tenant, Reason string }
		must(t, json.Unmarshal([]byte(line), &l))
		said = append(said, l.Tenant+": "+l.Reason)
	}
	if want := []string{
		"bare: no models are published for the tenant yet: train them", "left: the book has no policy in force as of 2026-03-31",
	}; !slices.Equal(said, want) {
		t.Errorf("the log says %q, want %q", said, want)
	}
	if strings.Contains(h.log.String(), "jansen") {
		t.Error("the log names a customer")
	}
}

// TestQueuedRequired: a queued request is held to the fields that are required as one by HTTP is.
func TestQueuedRequired(t *testing.T) {
	h := newHouse(t, "a")
	ask := func(premium string) error {
		return New(h.Services).Queues["RiskRequests"](t.Context(), invoke.Message{ID: "1", Body: []byte(`{"tenant":"a","request_id":"1","aggregates":[{"customers":[{"customer_id":"C"}],
			"policies":[{"policy_id":"P","customer_id":"C","branch":"motor","start_date":"2024-01-01","status":"active","annual_premium":` + premium + `}]}]}`)})
	}
	must(t, ask("0"))
	var f *fault.Error
	if err := ask("null"); !errors.As(err, &f) || f.Kind != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Pointer != "/aggregates/0/policies/0/annual_premium" {
		t.Errorf("%+v", f)
	}
}

// TestOverdueReviews: of a review that nobody answered in time it is said once, without the
// customer, however many timers fire; one that is answered is left alone.
func TestOverdueReviews(t *testing.T) {
	h := newHouse(t, "a")
	tenant, err := h.Book.Tenant(t.Context(), "a")
	must(t, err)
	known := portfolio.Version{RecordedAt: portfolio.DateOf(h.now) - 400}
	var ids []string
	for _, id := range []string{"jansen", "smit"} {
		a := &portfolio.Aggregate{
			Customers: []portfolio.Customer{{ID: id, BirthYear: 1970, Version: known}},
			Policies:  []portfolio.Policy{{ID: "p" + id, CustomerID: id, Branch: "motor", StartDate: known.RecordedAt, AnnualPremium: 50000, Status: portfolio.Active, Version: known}},
		}
		a.Normalise(portfolio.DateOf(h.now))
		must(t, h.Book.Put(t.Context(), tenant, a, ""))
		ans, err := h.Scores.Score(t.Context(), "a", scoring.Churn, &scoring.Request{AsOf: portfolio.DateOf(h.now), Customers: []string{id}})
		must(t, err)
		var score struct {
			ID string `json:"decision_id"`
		}
		must(t, json.Unmarshal(ans.Scores[0], &score))
		_, _, err = h.Decisions.Review(t.Context(), tenant, score.ID, decision.Review{Reason: "disagrees", RequestedBy: decision.Person{Subject: "s", Role: "r"}})
		must(t, err)
		ids = append(ids, score.ID)
	}
	fire := func() {
		t.Helper()
		for _, name := range []string{"RiskNightly", "ChurnNightly"} {
			if code := h.host(name); code != 200 {
				t.Errorf("%s: %d", name, code)
			}
		}
	}
	h.now = time.Date(2026, 4, 30, 23, 0, 0, 0, time.UTC) // the day itself
	fire()
	if n := h.events(OverdueEvent)["a"]; n != 0 {
		t.Errorf("%d events on the day that reviews are due", n)
	}
	_, err = h.Decisions.Decide(t.Context(), tenant, ids[1], "upheld", decision.Outcome{Reason: "checked", By: decision.Person{Subject: "s", Role: "r"}})
	must(t, err)
	h.now = h.now.AddDate(0, 0, 1)
	fire()
	h.now = h.now.AddDate(0, 0, 1)
	fire()
	var told []bus.Message
	for _, m := range h.sent[event.Queue] {
		if m.Subject == OverdueEvent {
			told = append(told, m)
		}
	}
	if len(told) != 1 || !strings.Contains(string(told[0].Body), ids[0]) || strings.Contains(string(told[0].Body), "jansen") {
		t.Fatalf("%d events: %+v", len(told), told)
	}
	// One that is asked for anew is told anew.
	_, err = h.Decisions.Decide(t.Context(), tenant, ids[0], "upheld", decision.Outcome{Reason: "checked", By: decision.Person{Subject: "s", Role: "r"}})
	must(t, err)
	_, _, err = h.Decisions.Review(t.Context(), tenant, ids[0], decision.Review{Reason: "disagrees", RequestedBy: decision.Person{Subject: "s", Role: "r"}})
	must(t, err)
	h.now = h.now.AddDate(0, 2, 0)
	fire()
	if n := h.events(OverdueEvent)["a"]; n != 2 {
		t.Errorf("%d events, with one of a second review", n)
	}
}

// TestNeverSentFor: what a kill left between its record and its message, of a date and engines that nobody
// asks for again, is sent for by the night that comes, under the ids that it would have had, and by one timer of
// five; an import is given up. What is done, what was asked for a moment ago and what three nights did not help is left alone, and told of.
func TestNeverSentFor(t *testing.T) {
	h := newHouse(t, "a")
	tenant, err := h.Book.Tenant(t.Context(), "a")
	must(t, err)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	f, err := w.CreateFormField("customers")
	must(t, err)
	_, err = io.WriteString(f, "customer_id,birth_year\nC1,1980\n")
	must(t, err)
	must(t, w.Close())
	ask := func() {
		t.Helper()
		_, _, run := h.Runs.Start(t.Context(), tenant, portfolio.DateOf(h.now)-1, []scoring.Engine{scoring.Risk}, false)
		_, load := h.Imports.Start(t.Context(), tenant, multipart.NewReader(bytes.NewReader(form.Bytes()), w.Boundary()))
		_, export := h.Exports.Start(t.Context(), tenant)
		must(t, errors.Join(run, load, export))
	}
	queues := []string{run.ChunkQueue, imports.Queue, exports.Queue}
	again := func() (ids []string) { // of what is not the night's own
		t.Helper()
		clear(h.sent)
		for _, timer := range []string{"RiskNightly", "ChurnNightly", "DefendNightly"} {
			if code := h.host(timer); code != 200 {
				t.Errorf("%s: %d", timer, code)
			}
		}
		for _, q := range queues {
			for _, m := range h.sent[q] {
				if !strings.Contains(m.ID, "-all-") {
					ids = append(ids, m.ID)
				}
			}
		}
		return ids
	}
	ask()
	for _, q := range queues { // done: nobody asks for it again
		must(t, New(h.Services).Queues[map[string]string{run.ChunkQueue: "RunChunks", imports.Queue: "ImportWork", exports.Queue: "ExportWork"}[q]](t.Context(), invoke.Message{Body: h.sent[q][0].Body}))
	}
	h.now = h.now.AddDate(0, 0, 1)
	if got := again(); len(got) > 0 {
		t.Errorf("what is done is sent for again: %q", got)
	}
	ask()
	clear(h.sent) // killed before any was sent
	if got := again(); len(got) > 0 {
		t.Errorf("what was asked for a moment ago is sent for again: %q", got)
	}
	for night := range 4 {
		h.now = h.now.Add(23 * time.Hour)
		got := again()
		if night == 3 {
			if len(got) > 0 {
				t.Errorf("after three nights: %q", got)
			}
			for _, what := range []string{`"run":"2026-03-31-risk-1"`, `"import":"20260401T120000-`, `"export":"20260401T120000-`} {
				if log := h.log.String(); strings.Count(log, what) != 1 || !strings.Contains(log, "given up") {
					t.Errorf("%s is given up, and the log says %s", what, log)
				}
			}
			break
		}
		if strings.Contains(h.log.String(), "given up") {
			t.Errorf("night %d: %s", night, h.log.String())
		}
		if len(got) != 3 || got[0] != "a/2026-03-31-risk-1/0" || !strings.HasPrefix(got[1], "a/20260401T120000-") || !strings.HasPrefix(got[2], "a/export/20260401T120000-") {
			t.Errorf("night %d sends for %q", night, got)
		}
	}
	h.now = h.now.Add(imports.Patience)
	must(t, New(h.Services).Timers["RiskNightly"](t.Context()))
	all, err := h.Imports.List(t.Context(), "a")
	must(t, err)
	if len(all) != 2 || all[0].Status != "failed" || !strings.Contains(all[0].Detail, "send the files again") || all[1].Status != "completed" {
		t.Errorf("in the end there are %+v", all)
	}
}
