package actions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/feedback"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

// publish makes a list by a draft and puts it in place.
func (l *lists) publish(t book.Tenant, head Head, all []Candidate, f *feedback.Settings, score Score) {
	l.t.Helper()
	d, err := NewDraft(t.ID, head, f)
	must(l.t, err)
	defer d.Close()
	for _, c := range all {
		must(l.t, d.Add(c))
	}
	op, err := l.Publish(l.t.Context(), t, d, monday.Time(), score)
	must(l.t, err)
	must(l.t, l.docs.Write(l.t.Context(), shared(t.ID), []store.Op{op}))
}

// someCandidates are at most one of care and one of something else for each customer, with priorities and due
// dates that are often the same.
func someCandidates(r *rand.Rand, n int, on portfolio.Date) (all []Candidate) {
	for i := range n {
		customer := fmt.Sprintf("c%05d", i)
		c := Candidate{
			Customer: customer, Relation: "c:" + customer, Action: "call", Priority: float64(r.IntN(9)), Due: on + portfolio.Date(r.IntN(4)), Chance: r.Float64(),
		}
		switch r.IntN(6) {
		case 0, 1:
			c.Part, c.Action, c.Instead = Care, []string{"care", "call"}[r.IntN(2)], r.IntN(3) == 0
			c.Cause, c.New = feedback.Cause{Rules: []string{"ipid"}, Claims: r.IntN(3)}, []string{"claims"}
		case 2:
			c.Part, c.Severity, c.Urgent = Advice, float64(r.IntN(90)), r.IntN(4) == 0
		case 3, 4:
			if c.Part = Commercial; r.IntN(2) == 0 {
				c.Also = Also{Action: "coverage_advice", About: "liability", Severity: float64(r.IntN(90)), Cause: feedback.Cause{Rules: []string{"gap"}}}
			}
			c.Channels, c.After = []string{"mail"}, r.IntN(5) == 0
		default:
			continue
		}
		all = append(all, c)
	}
	return all
}

// TestADraftMakesTheListThatIsMadeWhole: night after night, in lots and pages, it is what Make makes of all of it in
// memory, less those who have no score; and what is new is remembered once.
func TestADraftMakesTheListThatIsMadeWhole(t *testing.T) {
	f := feedback.Defaults()
	f.List.MaxAdvice, f.Effects.HoldOut = 60, 0.3
	l := newLists(t)
	l.atOnce = 300 // several runs
	tenant := book.Tenant{ID: "t", Buckets: 3}
	must(t, l.book.CreateTenant(t.Context(), tenant))
	r := rand.New(rand.NewPCG(7, 1))
	scored := func(it *Item) bool { return it.Customer[5] != '7' }
	var before *List
	for night := range portfolio.Date(4) {
		on := monday + night
		all := someCandidates(r, 3000, on)
		head := Head{Date: on, Run: fmt.Sprint("r", night), Count: Count{Due: len(all)}}
		want := Make("t", head, before, topWithin(&f, all), &f)
		asked := 0
		l.publish(tenant, head, all, &f, func(_ context.Context, items []*Item) (there []bool, err error) {
			for _, it := range items {
				if asked++; scored(it) && !it.Instead() {
					it.Score = json.RawMessage(`{"of":"` + it.Customer + `"}`)
				}
				there = append(there, scored(it))
			}
			return there, nil
		})
		got := l.latest()
		if n := len(want.Items) + len(want.held); asked != n {
			t.Errorf("night %d: %d items were to be scored, want %d", night, asked, n)
		}
		for _, part := range []*[]Item{&want.Items, &want.held} {
			*part = slices.DeleteFunc(*part, func(it Item) bool { return !scored(&it) })
		}
		want.number()
		want.Version = got.Version
		if got.Head != want.Head {
			t.Fatalf("night %d: head %+v, want %+v", night, got.Head, want.Head)
		}
		for k, items := range [...][2][]Item{{got.Items, want.Items}, {got.held, want.held}} {
			if len(items[0]) != len(items[1]) || len(items[1]) == 0 {
				t.Fatalf("night %d, %d: %d items, want %d", night, k, len(items[0]), len(items[1]))
			}
			for i := range items[1] {
				if items[1][i].instead = false; !reflect.DeepEqual(items[0][i], items[1][i]) { // which is not kept
					t.Fatalf("night %d, %d, item %d:\n got %+v\nwant %+v", night, k, i, items[0][i], items[1][i])
				}
			}
		}
		for _, s := range want.opened {
			customer := ""
			for _, it := range slices.Concat(got.Items, got.held) {
				if it.ID == s.Item {
					customer = it.Customer
				}
			}
			if customer == "" {
				continue
			}
			n := 0
			err := l.book.ChangeFeedback(t.Context(), tenant, []book.Who{{Relation: "c:" + customer, ID: customer}}, func(_ int, body []byte) ([]byte, error) {
				h, err := feedback.Read(body)
				for _, kept := range h.Suggestions {
					if reflect.DeepEqual(kept, s) {
						n++
					}
				}
				return nil, err
			})
			if must(t, err); n != 1 {
				t.Fatalf("night %d: %+v is remembered %d times", night, s, n)
			}
		}
		for i := range got.Items { // people work
			if r.IntN(4) == 0 {
				got.Items[i].Status = feedback.Done
			}
			if r.IntN(4) == 0 {
				got.Items[i].Judgement = feedback.Useful
			}
		}
		l.write(got)
		before = l.latest()
	}
}

func topWithin(f *feedback.Settings, all []Candidate) *Top {
	top := NewTop(&f.List)
	for _, c := range all {
		top.Add(c)
	}
	return top
}

// office is a store that has the lists on disk, forgets customers, and counts what is asked about them.
type office struct {
	store.Store
	scores, histories, writes atomic.Int64
}

func (s *office) GetMany(ctx context.Context, p store.Partition, keys []string) ([]store.Document, error) {
	switch {
	case p.Bucket < 0:
		return s.Store.GetMany(ctx, p, keys)
	case strings.HasSuffix(keys[0], "\x1fs"):
		s.scores.Add(1)
	default:
		s.histories.Add(1)
	}
	return nil, nil
}

func (s *office) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if p.Bucket >= 0 {
		s.writes.Add(1)
		return nil
	}
	return s.Store.Write(ctx, p, ops)
}

// live is how many MiB are in use.
func live() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// care makes two lists of care for n customers, one after the other, and hands both on when they are there: asked is
// what they asked of the customers' buckets, and peak how many MiB more were in use, at most, while scores were read.
func care(t testing.TB, n, buckets int) (lists *Lists, asked *office, peak float64) {
	docs, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.WithClock(func() time.Time { return monday.Time() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { docs.Close() })
	asked = &office{Store: docs}
	customers := book.New(asked)
	lists = New(customers, asked)
	f := feedback.Defaults()
	tenant := book.Tenant{ID: "t", Buckets: buckets}
	base := live()
	for night := range portfolio.Date(2) {
		d, err := NewDraft("t", Head{Date: monday + night, Run: "r"}, &f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			id := fmt.Sprintf("C%09d-1", i)
			if err := d.Add(Candidate{Customer: id, Relation: "h:" + id, Part: Care, Action: "resolve_complaint", About: "x", Priority: float64(i % 1000)}); err != nil {
				t.Fatal(err)
			}
		}
		batch := 0
		op, err := lists.Publish(context.Background(), tenant, d, monday.Time(), func(ctx context.Context, items []*Item) ([]bool, error) {
			of := make([]book.Who, len(items))
			for i, it := range items {
				of[i] = book.Who{Relation: it.Relation, ID: it.Customer}
				it.Score = json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)
			}
			if batch++; batch%8 == 2 {
				peak = max(peak, live()-base)
			}
			return slices.Repeat([]bool{true}, len(items)), customers.Scores(ctx, tenant, of, nil)
		})
		if err == nil {
			err = docs.Write(context.Background(), shared("t"), []store.Op{op})
		}
		if err == nil {
			err = d.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	h, err := lists.Newest(context.Background(), "t")
	if err != nil || h.Care.Listed != n {
		t.Fatalf("%v, %+v", err, h)
	}
	return lists, asked, peak
}

// TestCareIsNotHeldInMemory: of a list whose items and scores come to 60 MB, a part is in memory at a time.
func TestCareIsNotHeldInMemory(t *testing.T) {
	if _, _, mib := care(t, 30_000, book.DefaultBuckets); mib > 24 {
		t.Errorf("%.0f MiB more are in use", mib)
	} else {
		t.Logf("%.1f MiB", mib)
	}
}

// TestABucketIsVisitedOnce: a list asks for scores, and for what is kept of suggestions, as often as its customers fill
// what a store reads at once, and once more a bucket at most, and not for each of the 4,000 that are read at a time;
// and though what is read lies by bucket, the list is in its own order.
func TestABucketIsVisitedOnce(t *testing.T) {
	const n = 9_000
	for _, buckets := range []int{64, 300, 512} {
		lists, asked, _ := care(t, n, buckets)
		once := int64(n/store.MaxOps + buckets + n/atOnce*((buckets+lots-1)/lots)) // a lot may lie in two readings
		for what, got := range map[string][2]int64{
			"scores":    {asked.scores.Load(), 2 * once}, // of both lists
			"histories": {asked.histories.Load(), once},  // of the first: the second has nothing that is new
			"writes":    {asked.writes.Load(), once},
		} {
			if got[0] > got[1] || got[0] < n/store.MaxOps {
				t.Errorf("%d buckets: %d calls for %s, want at most %d", buckets, got[0], what, got[1])
			}
		}
		h, err := lists.Newest(t.Context(), "t")
		must(t, err)
		items, _, err := lists.Items(t.Context(), "t", &h, "", 0, n)
		must(t, err)
		for i := range items[1:] {
			if a, b := &items[i], &items[i+1]; cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Customer, b.Customer)) >= 0 || b.Rank != a.Rank+1 {
				t.Fatalf("%d buckets: item %d does not stand before the next", buckets, i)
			}
		}
	}
}

// BenchmarkCare makes lists of care for so many customers, of a book of which they are 7 in 100, and says how much
// memory is in use at most, and how often a list asks for scores, and for what is kept of suggestions.
func BenchmarkCare(b *testing.B) {
	for _, n := range []int{7_000, 70_000, 700_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			buckets := book.BucketsFor(n / 7 * 100)
			most := 0.0
			for b.Loop() {
				_, asked, mib := care(b, n, buckets)
				most = max(most, mib)
				b.ReportMetric(float64(asked.scores.Load())/2, "calls-for-scores")
				b.ReportMetric(float64(asked.histories.Load()+asked.writes.Load()), "calls-for-suggestions")
			}
			b.ReportMetric(float64(buckets), "buckets")
			b.ReportMetric(most, "MiB-in-use")
		})
	}
}
