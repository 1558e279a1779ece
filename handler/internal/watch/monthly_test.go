package watch_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/audit"
	"polis/handler/internal/blob"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/event"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/store/sqlite"
	. "polis/handler/internal/watch"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// flaky breaks down where a name or a queue has a part, so often.
type flaky struct {
	blob.Store
	part string
	left int
}

func (f *flaky) broken(name string) error {
	if f.left > 0 && strings.Contains(name, f.part) {
		f.left--
		return fault.New(fault.Unavailable, "out of order")
	}
	return nil
}

func (f *flaky) Put(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	if err := f.broken(name); err != nil {
		return blob.Info{}, err
	}
	return f.Store.Put(ctx, name, r)
}

func (f *flaky) Create(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	if err := f.broken(name); err != nil {
		return blob.Info{}, err
	}
	return f.Store.Create(ctx, name, r)
}

type sent struct{ msgs []bus.Message }

func (s *sent) Send(_ context.Context, queue string, msgs ...bus.Message) error {
	if queue != event.Queue {
		return errors.New("another queue than that of events")
	}
	s.msgs = append(s.msgs, msgs...)
	return nil
}

type office struct {
	t       *testing.T
	now     time.Time
	book    *book.Book
	tenant  book.Tenant
	blobs   *flaky
	models  *registry.Registry
	sent    sent
	reports *Reports
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, now: time.Date(2026, 6, 30, 4, 0, 0, 0, time.UTC), tenant: book.Tenant{ID: "t", Buckets: 4, Created: time.Unix(0, 0)}}
	clock := func() time.Time { return o.now }
	docs, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.WithClock(clock))
	must(t, err)
	t.Cleanup(func() { docs.Close() })
	blobs, err := folder.Open(filepath.Join(t.TempDir(), "blobs"))
	must(t, err)
	t.Cleanup(func() { blobs.Close() })
	o.book, o.blobs = book.New(docs), &flaky{Store: blobs}
	must(t, o.book.CreateTenant(t.Context(), o.tenant))
	for _, a := range (made{places: 60}).book() {
		must(t, o.book.Put(t.Context(), o.tenant, a, ""))
	}
	o.models = registry.New(blobs, clock)
	o.reports = New(o.book, o.blobs, &o.sent, o.models, clock)
	return o
}

func (o *office) publish(with bool) {
	o.t.Helper()
	m, base := models()
	if !with {
		base = nil
	}
	must(o.t, o.models.PublishWith(o.t.Context(), o.tenant.ID, m, base))
}

// month makes the month's report, of which there is one.
func (o *office) month() {
	o.t.Helper()
	nothing, err := o.reports.Month(o.t.Context(), o.tenant)
	must(o.t, err)
	if nothing != "" {
		o.t.Fatalf("no report: %s", nothing)
	}
}

// TestMonthTwice: the timer may fire as often as it likes, there is one report a month, and
// one event that says so, without a word about anybody.
func TestMonthTwice(t *testing.T) {
	o := newOffice(t)
	if nothing, err := o.reports.Month(t.Context(), o.tenant); err != nil || !strings.Contains(nothing, "no models are published") {
		t.Fatalf("without models: %q, %v", nothing, err)
	}
	o.publish(true)
	for range 3 {
		o.month()
		o.now = o.now.Add(time.Hour)
	}
	if len(o.sent.msgs) != 1 || o.sent.msgs[0].ID != "t/drift/2026-06" {
		t.Fatalf("%d events: %+v", len(o.sent.msgs), o.sent.msgs)
	}
	var event struct {
		ID, Type, Source, Subject, SpecVersion string
		Time                                   time.Time
		Data                                   map[string]any
	}
	must(t, json.Unmarshal(o.sent.msgs[0].Body, &event))
	if event.ID != "t/drift/2026-06" || event.Type != Event || event.SpecVersion != "1.0" || event.Source != "/polis/t" || event.Subject != "2026-06" || event.Time.IsZero() {
		t.Errorf("%+v", event)
	}
	for _, name := range []string{"tenant", "as_of", "model_version", "counts", "report", "page", "baseline"} {
		if event.Data[name] == nil {
			t.Errorf("the event has no %s", name)
		}
	}
	if strings.Contains(string(o.sent.msgs[0].Body), "c1-") {
		t.Error("the event names a customer")
	}
	for _, name := range []string{event.Data["report"].(string), event.Data["page"].(string)} {
		f, info, err := o.blobs.Open(t.Context(), name)
		must(t, err)
		must(t, f.Close())
		if info.Size < 1000 {
			t.Errorf("%s has %d bytes", name, info.Size)
		}
	}
	first, err := o.reports.Get(t.Context(), "t", "2026-06")
	must(t, err)
	if first.AsOf != audited || first.Month != "2026-06" || first.Baseline == nil || len(first.Baseline.SHA256) != 64 || first.Made.Hour() != 4 {
		t.Errorf("%+v", first)
	}

	o.now = time.Date(2026, 7, 1, 4, 0, 0, 0, time.UTC)
	o.month()
	list, err := o.reports.List(t.Context(), "t", 24)
	must(t, err)
	if len(o.sent.msgs) != 2 || len(list) != 2 || list[0].Month != "2026-07" || list[1].Month != "2026-06" {
		t.Errorf("%d events, list %+v", len(o.sent.msgs), list)
	}
	latest, err := o.reports.Get(t.Context(), "t", "latest")
	must(t, err)
	if latest.Month != "2026-07" {
		t.Errorf("the latest is of %s", latest.Month)
	}
	for _, month := range []string{"2026-05", "2026-7", "../t/2026-06", "", "latest.json"} {
		if _, err := o.reports.Get(t.Context(), "t", month); !fault.Is(err, fault.NotFound) {
			t.Errorf("report of %q: %v", month, err)
		}
	}
	if list, err := o.reports.List(t.Context(), "other", 24); err != nil || len(list) != 0 {
		t.Errorf("another tenant's: %v, %v", list, err)
	}
}

// TestKilledAnywhere: what breaks off before any of a month's writes is made good by the
// next try, and the report stays the first that was kept.
func TestKilledAnywhere(t *testing.T) {
	for _, part := range []string{".json", ".html", ".announced"} {
		t.Run(part, func(t *testing.T) {
			o := newOffice(t)
			o.publish(true)
			o.blobs.part, o.blobs.left = part, 1
			if _, err := o.reports.Month(t.Context(), o.tenant); !fault.Is(err, fault.Unavailable) {
				t.Fatalf("%v", err)
			}
			o.now = o.now.Add(time.Minute)
			o.month()
			ids := map[string]bool{}
			for _, m := range o.sent.msgs {
				ids[m.ID] = true
			}
			if len(ids) != 1 || len(o.sent.msgs) > 2 {
				t.Errorf("events %v", ids)
			}
			r, err := o.reports.Get(t.Context(), "t", "latest")
			must(t, err)
			if kept := part != ".json"; (r.Made.Minute() == 0) != kept {
				t.Errorf("made at %v", r.Made)
			}
		})
	}
}

// TestOldModels: models without a baseline have a report that says so, and an event.
func TestOldModels(t *testing.T) {
	o := newOffice(t)
	o.publish(false)
	o.month()
	r, err := o.reports.Get(t.Context(), "t", "latest")
	must(t, err)
	if r.Baseline != nil || !strings.Contains(r.DriftNote, "train again") || len(o.sent.msgs) != 1 {
		t.Errorf("%q, %d events", r.DriftNote, len(o.sent.msgs))
	}
	var page strings.Builder
	must(t, audit.Write(&page, r))
	if !strings.Contains(page.String(), r.DriftNote) {
		t.Error("the page does not say why there is no drift")
	}
	// A baseline that is not the one that was published is refused.
	o.publish(true)
	m, _ := models()
	_, err = o.blobs.Put(t.Context(), "models/t/"+m.Version+".baseline.json", strings.NewReader(`{"format":1,"model_version":"`+m.Version+`"}`))
	must(t, err)
	if _, err := o.reports.Audit(t.Context(), o.tenant, portfolio.DateOf(o.now), false, nil); !fault.Is(err, fault.Internal) {
		t.Errorf("with another baseline: %v", err)
	}
}
