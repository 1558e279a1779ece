package decision

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
)

var (
	asOf = portfolio.MustDate(2026, 3, 31)
	noon = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
)

// mortal is a store that dies after so many writes.
type mortal struct {
	store.Store
	left atomic.Int64
}

func (m *mortal) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if m.left.Add(-1) < 0 {
		return fault.New(fault.Unavailable, "killed")
	}
	return m.Store.Write(ctx, p, ops)
}

const immortal = 1 << 30

// shelf has one set of models, until they are gone.
type shelf struct {
	models *scoring.Models
	gone   bool
}

func (s *shelf) Current(context.Context, string) (*scoring.Models, error) { return s.models, nil }

func (s *shelf) Version(_ context.Context, _, version string) (*scoring.Models, error) {
	if s.gone || version != s.models.Version {
		return nil, fault.New(fault.NotFound, "no such models")
	}
	return s.models, nil
}

type world struct {
	*Decisions
	store  *mortal
	models *shelf
	tenant book.Tenant
	id     string // of the customer's churn
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var trained = sync.OnceValues(func() (*scoring.Models, error) {
	nobody := func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(func([]*portfolio.Aggregate, error) bool) {}
	}
	m, err := train.Fit(context.Background(), nobody, train.Options{AsOf: asOf})
	if err == nil {
		err = m.Save(discard{})
	}
	return m, err
})

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// newWorld has one customer, with scores of all engines.
func newWorld(t *testing.T) *world { return newWorldOf(t, func(*scoring.Sheet) {}) }

// newWorldOf is one in which scores were stored otherwise than this program makes them.
func newWorldOf(t *testing.T, otherwise func(*scoring.Sheet)) *world {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.WithClock(func() time.Time { return noon }))
	must(t, err)
	t.Cleanup(func() { s.Close() })
	m, err := trained()
	must(t, err)
	w := &world{store: &mortal{Store: s}, models: &shelf{models: m}, tenant: book.Tenant{ID: "t", Buckets: 4, Created: noon}}
	w.store.left.Store(immortal)
	b := book.New(w.store)
	w.Decisions = New(b, w.models, func() time.Time { return noon })
	must(t, b.CreateTenant(t.Context(), w.tenant))
	known := portfolio.Version{RecordedAt: asOf - 700, ValidFrom: asOf - 700}
	a := &portfolio.Aggregate{
		Customers: []portfolio.Customer{{ID: "c", BirthYear: 1980, Version: known}},
		Policies:  []portfolio.Policy{{ID: "p", CustomerID: "c", Branch: "motor", StartDate: asOf - 690, AnnualPremium: 64000, Status: portfolio.Active, Version: known}},
	}
	a.Normalise(asOf)
	must(t, b.Put(t.Context(), w.tenant, a, ""))
	scorer, err := scoring.New(m)
	must(t, err)
	all := scoring.NewSet(scoring.Engines...)
	sheet := &scorer.Relation([]scoring.Subject{{Aggregate: a}}, asOf-1, all)[0]
	otherwise(sheet)
	out := b.Writer(w.tenant, w.tenant.RelationBucket("c:c"))
	must(t, out.PutScores(t.Context(), "c:c", "c", sheet.AppendStored(nil, &scoring.Stored{}, all, all, 7, noon), nil, "", time.Time{}))
	must(t, out.Flush(t.Context()))
	w.id = sheet.Decision(scoring.Churn, "t")
	return w
}

func (w *world) get(t *testing.T) *Decision {
	t.Helper()
	d, err := w.Get(t.Context(), w.tenant, w.id)
	must(t, err)
	return d
}

// TestReviewsCutOffAnywhere kills a request for review, and its outcome, before each write:
// repeated, there is one review, and it is listed as long as it is open.
func TestReviewsCutOffAnywhere(t *testing.T) {
	ask := Review{Reason: "wrong_data", Text: "x", RequestedBy: Person{"s", "r"}}
	found := Outcome{Reason: "corrected", By: Person{"s", "r"}}
	for n := 0; ; n++ {
		w := newWorld(t)
		w.store.left.Store(int64(n))
		_, _, err := w.Review(t.Context(), w.tenant, w.id, ask)
		w.store.left.Store(immortal)
		killed := err != nil
		open, err := w.Open(t.Context(), w.tenant)
		must(t, err)
		if listed := len(open) == 1; listed != (len(w.get(t).Reviews) == 1) {
			t.Errorf("kill before write %d: listed %v, kept %+v", n, listed, w.get(t).Reviews)
		}
		_, made, err := w.Review(t.Context(), w.tenant, w.id, ask)
		must(t, err)
		if made != killed || len(w.get(t).Reviews) != 1 {
			t.Errorf("kill before write %d: made %v, %+v", n, made, w.get(t).Reviews)
		}

		w.store.left.Store(int64(n))
		_, err = w.Decide(t.Context(), w.tenant, w.id, "changed", found)
		w.store.left.Store(immortal)
		again := err != nil
		_, err = w.Decide(t.Context(), w.tenant, w.id, "changed", found)
		must(t, err)
		open, err = w.Open(t.Context(), w.tenant)
		must(t, err)
		if d := w.get(t); len(open) != 0 || len(d.Reviews) != 1 || d.Reviews[0].Status != "changed" {
			t.Errorf("kill before write %d: open %v, %+v", n, open, d.Reviews)
		}
		if !killed && !again {
			return
		}
	}
}

// TestObjectionsCutOffAnywhere: repeated, the stored scores say that the customer objects,
// and what they superseded can be explained.
func TestObjectionsCutOffAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		w := newWorld(t)
		w.store.left.Store(int64(n))
		_, _, err := w.Object(t.Context(), w.tenant, "c", portfolio.Objection{Objects: true, Source: "phone"})
		w.store.left.Store(immortal)
		killed := err != nil
		o, _, err := w.Object(t.Context(), w.tenant, "c", portfolio.Objection{Objects: true, Source: "phone"})
		must(t, err)
		if o != (Objection{Customer: "c", Objects: true, Source: "phone", Since: asOf}) {
			t.Errorf("kill before write %d: %+v", n, o)
		}
		rec, err := w.book.Customer(t.Context(), w.tenant, "c")
		must(t, err)
		stored, err := scoring.DecodeStored(rec.Scores)
		must(t, err)
		id := stored.Decision(scoring.Clv, "t", "c")
		d, err := w.Get(t.Context(), w.tenant, id)
		must(t, err)
		if string(d.Score) == "" || !d.Reproduced || len(d.Record.Inputs) != 0 {
			t.Errorf("kill before write %d: %+v", n, d)
		}
		if before := w.get(t); before.Source != History || !before.Reproduced {
			t.Errorf("kill before write %d: what was before is %+v", n, before)
		}
		if len(rec.Aggregate.Objections) != 1 {
			t.Errorf("kill before write %d: %d objections", n, len(rec.Aggregate.Objections))
		}
		if !killed {
			return
		}
	}
}

func TestModelsThatAreGone(t *testing.T) {
	w := newWorld(t)
	whole := w.get(t)
	if !whole.Reproduced || whole.Record == nil {
		t.Fatalf("%+v", whole)
	}
	w.models.gone = true
	if d := w.get(t); d.Reproduced || d.Difference != goneModels || d.Record != nil || string(d.Score) != string(whole.Score) {
		t.Errorf("%+v", d)
	}
}

// TestWhyAScoreIsAnother: that the program is another is not told as rows that were changed.
func TestWhyAScoreIsAnother(t *testing.T) {
	for _, tc := range []struct {
		name      string
		otherwise func(*scoring.Sheet)
		want      string
	}{
		{"nothing", func(*scoring.Sheet) {}, ""},
		{"another number", func(s *scoring.Sheet) { s.Churn.Headline[12] += 1e-12 }, otherProgram},
		{"other bytes", func(s *scoring.Sheet) { s.Churn.Definition = "one_policy" }, otherProgram},
		{"another number of other rows", func(s *scoring.Sheet) { s.Churn.Headline[12] += 1e-12; s.Fingerprint++ }, otherRows},
		{"the same of other rows", func(s *scoring.Sheet) { s.Fingerprint++ }, ""},
	} {
		w := newWorldOf(t, tc.otherwise)
		d := w.get(t)
		if d.Difference != tc.want || d.Reproduced != (tc.want == "") || d.Program.Version != scoring.Program {
			t.Errorf("%s: %v, %q, %+v; want %q", tc.name, d.Reproduced, d.Difference, d.Program, tc.want)
		}
	}
}

// TestManyAtOnce has many people rely on one decision: none is lost.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	const people = 6
	errs := make([]error, people)
	for i := range people {
		wg.Go(func() {
			_, errs[i] = w.Rely(t.Context(), w.tenant, w.id, Reliance{Outcome: "followed", By: Person{fmt.Sprint(i), "r"}})
		})
	}
	wg.Wait()
	told := 0
	for _, err := range errs {
		switch {
		case err == nil:
			told++
		case !fault.Is(err, fault.Conflict): // asked to try again
			t.Error(err)
		}
	}
	if d := w.get(t); told == 0 || len(d.Reliance) != told {
		t.Errorf("%d were told that they are noted, and %d are", told, len(d.Reliance))
	}
}

// TestNobodyIsMissing refuses to start without what it needs.
func TestNobodyIsMissing(t *testing.T) {
	w := newWorld(t)
	for name, make := range map[string]func(){
		"book": func() { New(nil, w.models, time.Now) }, "models": func() { New(w.book, nil, time.Now) }, "clock": func() { New(w.book, w.models, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("it starts without a %s", name)
				}
			}()
			make()
		}()
	}
}
