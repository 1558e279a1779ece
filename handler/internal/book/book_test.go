package book

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

var day = portfolio.MustDate(2026, 3, 31)

// mortal is a store that dies after so many writes.
type mortal struct {
	store.Store
	left int
}

func (m *mortal) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if m.left--; m.left < 0 {
		return fault.New(fault.Unavailable, "killed")
	}
	return m.Store.Write(ctx, p, ops)
}

const immortal = 1 << 30

func newBook(t *testing.T) (*Book, *mortal, Tenant) {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"))
	must(t, err)
	t.Cleanup(func() { s.Close() })
	m := &mortal{s, immortal}
	b := New(m)
	tenant := Tenant{ID: "t", Buckets: 8, Created: time.Unix(0, 0)}
	must(t, b.CreateTenant(t.Context(), tenant))
	return b, m, tenant
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func customer(id, household string) *portfolio.Aggregate {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: id, HouseholdID: household}}}
	a.Normalise(day)
	return a
}

// everything is the keys of the tenant's documents, and the places.
func everything(t *testing.T, m *mortal, tenant Tenant) []string {
	t.Helper()
	var keys []string
	for bucket := -2 * (tenant.Buckets + 1); bucket < tenant.Buckets; bucket++ {
		for d, err := range m.Scan(t.Context(), store.Partition{Tenant: tenant.ID, Bucket: bucket}, "", "") {
			must(t, err)
			keys = append(keys, d.Key)
			if strings.HasPrefix(d.Key, "p"+sep) {
				keys = append(keys, string(d.Body))
			}
		}
	}
	return keys
}

func TestPut(t *testing.T) {
	b, _, tenant := newBook(t)
	must(t, b.Put(t.Context(), tenant, customer("c", ""), ""))
	if err := b.Put(t.Context(), tenant, customer("c", ""), ""); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second create: %v", err)
	}
	if err := b.Put(t.Context(), tenant, customer("c", "h"), ""); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second create, in a household: %v", err)
	}
	r, err := b.Customer(t.Context(), tenant, "c")
	must(t, err)
	must(t, b.Put(t.Context(), tenant, customer("c", ""), r.ETag))
	if err := b.Put(t.Context(), tenant, customer("c", ""), r.ETag); !fault.Is(err, fault.Conflict) {
		t.Errorf("an old ETag: %v", err)
	}
	if err := b.Put(t.Context(), tenant, customer("c", "h"), r.ETag); !fault.Is(err, fault.Conflict) {
		t.Errorf("an old ETag, moving: %v", err)
	}
	for _, id := range []string{"", "nobody", "c\x1f", strings.Repeat("x", 200)} {
		if _, err := b.Customer(t.Context(), tenant, id); !fault.Is(err, fault.NotFound) {
			t.Errorf("customer %q: %v", id, err)
		}
	}
}

// TestAMoveCutOffAnywhere kills a move before each of its writes: the customer stays
// findable with what was known of it, and once the move is repeated it is in one place,
// with its scores and feedback.
func TestAMoveCutOffAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		b, m, tenant := newBook(t)
		must(t, b.Put(t.Context(), tenant, customer("c", "old"), ""))
		w := b.Writer(tenant, tenant.RelationBucket("h:old"))
		must(t, w.PutScores(t.Context(), "h:old", "c", []byte("scores"), []byte("history"), day.String(), time.Now().Add(time.Hour)))
		must(t, w.Flush(t.Context()))
		must(t, putFeedback(t.Context(), b, tenant, "h:old", "c", "feedback"))
		r, err := b.Customer(t.Context(), tenant, "c")
		must(t, err)

		m.left = n
		err = b.Put(t.Context(), tenant, customer("c", "new"), r.ETag)
		m.left = immortal
		killed := err != nil
		r, err = b.Customer(t.Context(), tenant, "c")
		if err != nil {
			t.Fatalf("after a kill before write %d the customer is not found: %v", n, err)
		}
		if r.Aggregate.Latest().HouseholdID == "old" {
			must(t, b.Put(t.Context(), tenant, customer("c", "new"), r.ETag))
		} else {
			p, _, err := b.Place(t.Context(), tenant, "c")
			must(t, err)
			_, err = b.Settle(t.Context(), tenant, p)
			must(t, err)
		}
		r, err = b.Customer(t.Context(), tenant, "c")
		must(t, err)
		if r.Relation != "h:new" || string(r.Scores) != "scores" || string(r.Feedback) != "feedback" {
			t.Errorf("kill before write %d: relation %s, scores %q, feedback %q", n, r.Relation, r.Scores, r.Feedback)
		}
		var history []string
		for d, err := range b.History(t.Context(), tenant, "h:new", "c") {
			must(t, err)
			history = append(history, string(d.Body))
		}
		if len(history) != 1 || history[0] != "history" {
			t.Errorf("kill before write %d: the history is %q", n, history)
		}
		for _, k := range everything(t, m, tenant) {
			if strings.Contains(k, "h:old") && k != leftKey("h:old")+"c" {
				t.Errorf("kill before write %d leaves %q", n, k)
			}
		}
		if left, err := b.Left(t.Context(), tenant, "h:old"); err != nil || len(left) != 1 || left[0] != "c" {
			t.Errorf("kill before write %d: %v left, %v", n, left, err)
		}
		if !killed {
			return
		}
	}
}

// TestEraseLeavesNothing erases a customer with all kinds of documents, cut off before
// each write and repeated.
func TestEraseLeavesNothing(t *testing.T) {
	for n := 0; ; n++ {
		b, m, tenant := newBook(t)
		must(t, b.Put(t.Context(), tenant, customer("gone", "before"), ""))
		for _, household := range []string{"", "h"} { // it left one household, and itself
			r, err := b.Customer(t.Context(), tenant, "gone")
			must(t, err)
			must(t, b.Put(t.Context(), tenant, customer("gone", household), r.ETag))
		}
		if left, err := b.Left(t.Context(), tenant, "h:before"); err != nil || len(left) != 1 {
			t.Fatalf("%v left, %v", left, err)
		}
		must(t, b.Put(t.Context(), tenant, customer("stays", "h"), ""))
		w := b.Writer(tenant, tenant.RelationBucket("h:h"))
		must(t, w.PutScores(t.Context(), "h:h", "gone", []byte("new"), []byte("old"), day.String(), time.Now().Add(time.Hour)))
		must(t, w.Flush(t.Context()))
		must(t, putFeedback(t.Context(), b, tenant, "h:h", "gone", "feedback"))
		must(t, b.PutDecision(t.Context(), tenant, "gone", "decision of gone", []byte("record"), "", time.Time{}))
		must(t, b.OpenReview(t.Context(), tenant, "decision of gone", true))
		m.left = n
		_, err := b.Erase(t.Context(), tenant, "gone")
		m.left = immortal
		killed := err != nil
		if killed {
			_, err = b.Erase(t.Context(), tenant, "gone")
			must(t, err)
		}
		for _, k := range everything(t, m, tenant) {
			if strings.Contains(k, "gone") {
				t.Errorf("kill before write %d: %q is left", n, k)
			}
		}
		if _, err := b.Customer(t.Context(), tenant, "stays"); err != nil {
			t.Errorf("the other member: %v", err)
		}
		if found, err := b.Erase(t.Context(), tenant, "gone"); found || err != nil {
			t.Errorf("a second erase: %v %v", found, err)
		}
		if !killed {
			return
		}
	}
}

func TestRelationsComeWhole(t *testing.T) {
	b, _, tenant := newBook(t)
	want := map[string]int{}
	for _, c := range []struct{ id, household string }{{"a", "h1"}, {"b", ""}, {"c", "h1"}, {"d", "h2"}, {"e", "h1"}} {
		a := customer(c.id, c.household)
		must(t, b.Put(t.Context(), tenant, a, ""))
		want[a.Latest().Relation()]++
	}
	// What a run was writing while its customer was erased.
	w := b.Writer(tenant, 3)
	must(t, w.PutScores(t.Context(), "c:ghost", "ghost", []byte("s"), nil, "", time.Time{}))
	must(t, w.Flush(t.Context()))
	orphans := 0
	for bucket := range tenant.Buckets {
		for rel, err := range b.Relations(t.Context(), tenant, bucket, func(string) { orphans++ }) {
			must(t, err)
			if len(rel.Members) != want[rel.Key] {
				t.Errorf("%s has %d members, want %d", rel.Key, len(rel.Members), want[rel.Key])
			}
			delete(want, rel.Key)
		}
	}
	if len(want) > 0 || orphans != 1 {
		t.Errorf("missing %v; %d orphans", want, orphans)
	}
}

func TestTenants(t *testing.T) {
	b, _, tenant := newBook(t)
	if err := b.CreateTenant(t.Context(), tenant); !fault.Is(err, fault.Conflict) {
		t.Errorf("the same tenant again: %v", err)
	}
	for _, bad := range []Tenant{{ID: "", Buckets: 1}, {ID: "A", Buckets: 1}, {ID: "a/b", Buckets: 1}, {ID: "a", Buckets: 0}, {ID: "a", Buckets: MaxBuckets + 1}, {ID: "a", Buckets: 1, Ends: map[string]string{"x": "nonsense"}}, {ID: "a", Buckets: 1, Branches: portfolio.BranchNames{"x": "nonsense"}}} {
		if err := b.CreateTenant(t.Context(), bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	other := Tenant{ID: "u", Buckets: 8, Ends: map[string]string{"Weg": "lapse"}}
	must(t, b.CreateTenant(t.Context(), other))
	must(t, b.Put(t.Context(), tenant, customer("c", ""), ""))
	if _, err := b.Customer(t.Context(), other, "c"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another tenant's customer: %v", err)
	}
	got, err := b.Tenant(t.Context(), "u")
	must(t, err)
	if got.EndTable().Of("weg") != portfolio.Lapse || got.EndTable().Of("sold") != portfolio.RiskGone {
		t.Error("a tenant's own end reasons do not go over the built-in ones")
	}
	names := portfolio.BranchNames{"zorg plus": "health"}
	must(t, b.NameBranches(t.Context(), "u", names))
	if got, err = b.Tenant(t.Context(), "u"); err != nil || got.Branches["zorg plus"] != "health" || got.Buckets != 8 || got.Ends["Weg"] != "lapse" {
		t.Errorf("with names of branches: %+v, %v", got, err)
	}
	if err := b.NameBranches(t.Context(), "u", portfolio.BranchNames{"x": "nonsense"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a wrong table: %v", err)
	}
	if err := b.NameBranches(t.Context(), "nobody", names); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody's table: %v", err)
	}
	n := 0
	for _, err := range b.Tenants(t.Context()) {
		must(t, err)
		n++
	}
	if n != 2 {
		t.Errorf("%d tenants", n)
	}
}

// TestPlaces holds places, put by several at once onto few shelves, against a map.
func TestPlaces(t *testing.T) {
	_, m, tenant := newBook(t)
	b := New(m.Store)
	const writers, each = 4, 300
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			byBucket := make(map[int][]Place)
			for i := range each {
				p := Place{ID: fmt.Sprintf("c%d", i*writers+w), Relation: fmt.Sprintf("h:%d", i/2)}
				if i%7 == 0 {
					p.Leaving = "h:before"
				}
				home := tenant.HomeBucket(p.ID)
				byBucket[home] = append(byBucket[home], p)
			}
			for bucket, places := range byBucket {
				if err := b.PutPlaces(context.Background(), tenant, bucket, places); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	seen := 0
	for bucket := range tenant.Buckets {
		for p, err := range b.Places(t.Context(), tenant, bucket) {
			must(t, err)
			got, ok, err := b.Place(t.Context(), tenant, p.ID)
			must(t, err)
			if seen++; !ok || got != p || tenant.HomeBucket(p.ID) != bucket {
				t.Errorf("in bucket %d %+v, by its id %+v", bucket, p, got)
			}
		}
	}
	if seen != writers*each {
		t.Errorf("%d places of %d", seen, writers*each)
	}
	if p, ok, err := b.Place(t.Context(), tenant, "c0"); err != nil || !ok || p != (Place{"c0", "h:0", "h:before"}) {
		t.Errorf("%+v %v %v", p, ok, err)
	}
	// What only begins, ends or looks like an id that is there is another's.
	for _, id := range []string{"c", "c00", "0", "c1\n", "h:0", "", "c0" + sep + "h:0"} {
		if p, ok, err := b.Place(t.Context(), tenant, id); ok || err != nil {
			t.Errorf("%q: %+v %v", id, p, err)
		}
	}
}
