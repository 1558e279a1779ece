package book

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/standin"
	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos"
	"polis/handler/internal/store/cosmos/cosmosfake"
	"polis/handler/internal/store/sqlite"
)

// fleet is a business with so many vehicles, each renewed for so many years, and a claim in each.
func fleet(household string, vehicles, years int) *portfolio.Aggregate {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "F", HouseholdID: household}}}
	first := day.AddMonths(-12 * years)
	for v := range vehicles {
		id := fmt.Sprintf("FLEET-2019-%06d", v)
		for y := range years {
			from := first.AddMonths(12 * y)
			a.Policies = append(a.Policies, portfolio.Policy{
				ID: id, CustomerID: "F", Branch: "motor", StartDate: first, Status: portfolio.Active, AnnualPremium: portfolio.Cents(80000 + v*7919%40000 + y),
				Attributes: []portfolio.Attribute{{Key: "catalogue_value", Value: fmt.Sprint(15000 + v*311%60000)}, {Key: "licence_plate", Value: fmt.Sprintf("V-%03d-%03d", v/1000, v%1000)}},
				Version:    portfolio.Version{ValidFrom: from, RecordedAt: from},
			})
			a.Claims = append(a.Claims, portfolio.Claim{
				ID: fmt.Sprintf("CLAIM-%06d-%02d", v, y), PolicyID: id, CustomerID: "F", LossDate: from + portfolio.Date(v%360),
				Paid: portfolio.Cents(v*104729%900000 + 1), Status: portfolio.ClaimClosed, Version: portfolio.Version{ValidFrom: from, RecordedAt: from + 1},
			})
		}
	}
	a.Normalise(day)
	a.Sort()
	return a
}

func encoded(a *portfolio.Aggregate) []byte {
	var enc portfolio.Encoder
	return enc.Append(nil, a)
}

// largeBooks are books over the stores that there are.
func largeBooks(t *testing.T, test func(t *testing.T, b *Book, m *mortal, tenant Tenant)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) store.Store{
		"sqlite": func(t *testing.T) store.Store {
			t.Helper()
			s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"))
			must(t, err)
			return s
		},
		"cosmos": func(t *testing.T) store.Store {
			t.Helper()
			server := httptest.NewTLSServer(&cosmosfake.Account{})
			t.Cleanup(server.Close)
			s, err := cosmos.Open(standin.Token{}, cosmos.Options{Endpoint: server.URL, Database: "polis", Container: "documents", Transport: server.Client()})
			must(t, err)
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &mortal{open(t), immortal}
			t.Cleanup(func() { m.Close() })
			b, tenant := New(m), Tenant{ID: "t", Buckets: 4, Created: time.Unix(0, 0)}
			must(t, b.CreateTenant(t.Context(), tenant))
			test(t, b, m, tenant)
		})
	}
}

// seen is the fleet as each way of reading finds it; all must find the same.
func seen(t *testing.T, b *Book, tenant Tenant) []byte {
	t.Helper()
	r, err := b.Customer(t.Context(), tenant, "F")
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	must(t, err)
	body, etag, ok, err := b.Stored(t.Context(), tenant, Place{ID: "F", Relation: r.Relation})
	must(t, err)
	if !ok || etag != r.ETag || !bytes.Equal(body, encoded(r.Aggregate)) {
		t.Fatal("a customer and what is stored of it differ")
	}
	for rel, err := range b.Relations(store.Stale(t.Context()), tenant, tenant.RelationBucket(r.Relation), nil) {
		must(t, err)
		for _, m := range rel.Members {
			if m.ID == "F" && (m.Err != nil || m.ETag != etag || !bytes.Equal(m.Body, body) || len(m.Aggregate.Policies) != len(r.Aggregate.Policies)) {
				t.Fatalf("a scan finds something else: %d bytes, not %d (%v)", len(m.Body), len(body), m.Err)
			}
		}
	}
	return body
}

// partsIn counts the parts among a tenant's documents.
func partsIn(t *testing.T, m *mortal, tenant Tenant) int {
	t.Helper()
	n := 0
	for _, key := range everything(t, m, tenant) {
		if strings.Contains(key, sep+"F"+sep+partKind) {
			n++
		}
	}
	return n
}

func partsOfBody(a *portfolio.Aggregate) int {
	if n := len(encoded(a)); n > partBytes {
		return (n + partBytes - 1) / partBytes
	}
	return 0
}

// TestFleet: a fleet of 2,000 vehicles with ten years of claims is too large for a document, and
// is stored, grows, shrinks, moves, is kept as it was and is erased as any other customer.
func TestFleet(t *testing.T) {
	largeBooks(t, func(t *testing.T, b *Book, m *mortal, tenant Tenant) {
		b.now = func() time.Time { return time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC) }
		states := []*portfolio.Aggregate{fleet("", 2000, 10), fleet("", 2000, 14), fleet("", 20, 1), fleet("", 2000, 10), fleet("group", 2000, 11), fleet("group", 3, 1)}
		if n := partsOfBody(states[0]); n < 2 {
			t.Fatalf("the fleet has %d parts", n)
		}
		must(t, b.Put(t.Context(), tenant, customer("A", ""), ""))
		etag := ""
		for i, a := range states {
			must(t, b.Put(t.Context(), tenant, a, etag))
			if got := seen(t, b, tenant); !bytes.Equal(got, encoded(a)) {
				t.Fatalf("state %d comes back with %d bytes, not %d", i, len(got), len(encoded(a)))
			}
			if got, want := partsIn(t, m, tenant), partsOfBody(a); got != want {
				t.Errorf("state %d has %d parts, not %d", i, got, want)
			}
			r, err := b.Customer(t.Context(), tenant, "F")
			must(t, err)
			if err := b.Put(t.Context(), tenant, states[0], etag); !fault.Is(err, fault.Conflict) {
				t.Errorf("state %d over one that is not there any more: %v", i, err)
			}
			etag = r.ETag
		}
		if _, err := b.Erase(t.Context(), tenant, "F"); err != nil {
			t.Fatal(err)
		}
		for _, key := range everything(t, m, tenant) {
			if strings.Contains(key, sep+"F") {
				t.Errorf("of one that is erased there is still %q", key)
			}
		}
	})
}

// TestFleetOfAnImport: what an import uses writes the same documents, and what a fleet was when it
// was scored stays, through a move.
func TestFleetOfAnImport(t *testing.T) {
	largeBooks(t, func(t *testing.T, b *Book, m *mortal, tenant Tenant) {
		now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
		b.now = func() time.Time { return now }
		first, second := encoded(fleet("", 2000, 10)), encoded(fleet("", 2000, 11))
		place := Place{ID: "F", Relation: "c:F"}
		must(t, b.PutPlaces(t.Context(), tenant, tenant.HomeBucket("F"), []Place{place}))
		w := b.Writer(tenant, tenant.RelationBucket("c:F"))
		must(t, w.CreateAggregate(t.Context(), "c:F", "F", first))
		must(t, w.PutScores(t.Context(), "c:F", "F", []byte("scores"), nil, "", time.Time{}))
		must(t, w.Flush(t.Context()))
		_, etag, _, err := b.Stored(t.Context(), tenant, place)
		must(t, err)
		must(t, b.ReplaceAggregate(t.Context(), tenant, w, "c:F", "F", second, first, etag))
		must(t, w.Flush(t.Context()))
		if !bytes.Equal(seen(t, b, tenant), second) {
			t.Error("what was replaced is not what it was replaced by")
		}
		must(t, b.ReplaceAggregate(t.Context(), tenant, w, "c:F", "F", first, second, etag))
		if err := w.Flush(t.Context()); !fault.Is(err, fault.Conflict) {
			t.Errorf("replacing what is not there any more: %v", err)
		}
		was := func(relation string) {
			t.Helper()
			body, ok, err := b.Was(t.Context(), tenant, relation, "F", now.Add(-time.Hour))
			must(t, err)
			if !ok || !bytes.Equal(body, first) {
				t.Errorf("in %s it was %d bytes, %v", relation, len(body), ok)
			}
		}
		was("c:F")
		r, err := b.Customer(t.Context(), tenant, "F")
		must(t, err)
		now = now.Add(time.Hour)
		must(t, b.Put(t.Context(), tenant, fleet("group", 2000, 11), r.ETag))
		now = now.Add(-time.Hour)
		was("h:group")
	})
}

// TestFleetKilled: whatever write is the last, a reader finds the old or the new, and a repeat
// leaves what one that nobody killed leaves.
func TestFleetKilled(t *testing.T) {
	b, m, tenant := newBook(t)
	b.now = func() time.Time { return time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC) }
	before := []byte(nil)
	for _, a := range []*portfolio.Aggregate{fleet("", 2000, 10), fleet("", 2000, 12), fleet("", 2, 1), fleet("", 2000, 10), fleet("group", 2000, 9)} {
		after := encoded(a)
		for kill := 0; ; kill++ {
			etag := ""
			if r, err := b.Customer(t.Context(), tenant, "F"); err == nil {
				etag = r.ETag
			}
			m.left = kill
			err := b.Put(t.Context(), tenant, a, etag)
			m.left = immortal
			now := seen(t, b, tenant)
			if !bytes.Equal(now, before) && !bytes.Equal(now, after) {
				t.Fatalf("after write %d there are %d bytes: neither the old nor the new", kill, len(now))
			}
			if err == nil {
				break
			}
			if p, ok, err := b.Place(t.Context(), tenant, "F"); err == nil && ok {
				_, err = b.Settle(t.Context(), tenant, p)
				must(t, err)
			}
		}
		before = after
	}
	// What killed deletions left goes with the next large one, at the latest.
	r, err := b.Customer(t.Context(), tenant, "F")
	must(t, err)
	last := fleet("group", 2000, 10)
	must(t, b.Put(t.Context(), tenant, last, r.ETag))
	if got, want := partsIn(t, m, tenant), partsOfBody(last); got != want {
		t.Errorf("%d parts are left, not %d", got, want)
	}
}

// between calls somebody once a scan is at a document, or before many are read.
type between struct {
	store.Store
	call func()
}

func (s *between) once() {
	if call := s.call; call != nil {
		s.call = nil
		call()
	}
}

func (s *between) Scan(ctx context.Context, p store.Partition, prefix, after string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		for d, err := range s.Store.Scan(ctx, p, prefix, after) {
			if !yield(d, err) {
				return
			}
			if _, split := readHead(d.Body); split {
				s.once()
			}
		}
	}
}

func (s *between) GetMany(ctx context.Context, p store.Partition, keys []string) ([]store.Document, error) {
	s.once()
	return s.Store.GetMany(ctx, p, keys)
}

// TestFleetReplacedWhileRead: who has read the head of what is replaced at that moment gets the
// new, and of what is erased nothing.
func TestFleetReplacedWhileRead(t *testing.T) {
	b, m, tenant := newBook(t)
	old, next := fleet("", 2000, 10), fleet("", 2000, 9)
	put := func(a *portfolio.Aggregate) {
		etag := ""
		if r, err := New(m).Customer(t.Context(), tenant, "F"); err == nil {
			etag = r.ETag
		}
		must(t, b.Put(t.Context(), tenant, a, etag))
	}
	for name, change := range map[string]func(){
		"replaced": func() { put(next) },
		"shrunk":   func() { put(fleet("", 1, 1)) },
		"erased": func() {
			_, err := b.Erase(t.Context(), tenant, "F")
			must(t, err)
		},
	} {
		put(old)
		watched := New(&between{m, change})
		r, err := watched.Customer(t.Context(), tenant, "F")
		if name == "erased" {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		} else if must(t, err); bytes.Equal(encoded(r.Aggregate), encoded(old)) || !bytes.Equal(encoded(r.Aggregate), seen(t, b, tenant)) {
			t.Errorf("%s: one that was read is neither whole nor the new one", name)
		}
		put(old)
		watched = New(&between{m, change})
		var found []byte
		for rel, err := range watched.Relations(t.Context(), tenant, tenant.RelationBucket("c:F"), nil) {
			must(t, err)
			for _, x := range rel.Members {
				must(t, x.Err)
				found = bytes.Clone(x.Body)
			}
		}
		if now := seen(t, b, tenant); !bytes.Equal(found, now) && !bytes.Equal(found, encoded(old)) {
			t.Errorf("%s: a scan finds %d bytes where there are %d", name, len(found), len(now))
		}
	}
}

// refusing is a store whose point reads are refused once it is told so.
type refusing struct {
	store.Store
	refuse bool
}

func (s *refusing) Get(ctx context.Context, p store.Partition, key string) (store.Document, error) {
	if s.refuse {
		return store.Document{}, fault.New(fault.Unavailable, "the store is away")
	}
	return s.Store.Get(ctx, p, key)
}

// TestFleetWhileTheStoreIsAway: what cannot be read for a moment is no damage, and the scan breaks
// off for another time. Where parts stay away it goes on, with a member that is damaged.
func TestFleetWhileTheStoreIsAway(t *testing.T) {
	b, m, tenant := newBook(t)
	must(t, b.Put(t.Context(), tenant, fleet("", 2000, 10), ""))
	scan := func(s store.Store) (members int, damage, err error) {
		for rel, err := range New(s).Relations(t.Context(), tenant, tenant.RelationBucket("c:F"), nil) {
			if err != nil {
				return members, damage, err
			}
			for _, x := range rel.Members {
				members++
				damage = x.Err
			}
		}
		return members, damage, nil
	}
	away := &refusing{Store: m}
	replace := func() {
		r, err := New(m).Customer(t.Context(), tenant, "F")
		must(t, err)
		must(t, b.Put(t.Context(), tenant, fleet("", 2000, 9), r.ETag))
		away.refuse = true
	}
	if members, damage, err := scan(&between{away, replace}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a store that is away: %d members, damage %v, error %v", members, damage, err)
	}
	parts, err := partsOf(t.Context(), m, tenant.partition("c:F"), memberKey("c:F", "F", kindAggregate))
	must(t, err)
	must(t, m.Write(t.Context(), tenant.partition("c:F"), []store.Op{{Verb: store.Delete, Document: store.Document{Key: parts[0]}}}))
	if members, damage, err := scan(m); err != nil || members != 1 || damage == nil {
		t.Errorf("without a part: %d members, damage %v, error %v", members, damage, err)
	}
}

func TestTooLargeForParts(t *testing.T) {
	b, m, tenant := newBook(t)
	if err := b.Put(t.Context(), tenant, fleet("", 4000, 40), ""); !fault.Is(err, fault.TooLarge) {
		t.Errorf("a customer of more than %d bytes: %v", MaxAggregate, err)
	}
	if left := everything(t, m, tenant); len(left) > 0 {
		t.Errorf("it left %d documents", len(left))
	}
}

// beforePart calls somebody before a part is written.
type beforePart struct {
	store.Store
	call func()
}

func (s *beforePart) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if call := s.call; call != nil && len(ops) == 1 && strings.Contains(ops[0].Key, sep+"F"+sep+partKind) {
		s.call = nil
		call()
	}
	return s.Store.Write(ctx, p, ops)
}

// TestFleetErasedWhileWritten: nothing stays of a large customer who is erased while another is
// writing it, whether that one is refused or killed before; and parts that are being written
// for one who comes anew are let be.
func TestFleetErasedWhileWritten(t *testing.T) {
	largeBooks(t, func(t *testing.T, b *Book, m *mortal, tenant Tenant) {
		for left, name := range []string{"killed after a part", "refused"} {
			must(t, b.Put(t.Context(), tenant, fleet("", 2000, 10), ""))
			r, err := b.Customer(t.Context(), tenant, "F")
			must(t, err)
			w := New(&beforePart{m, func() {
				_, err := b.Erase(t.Context(), tenant, "F")
				must(t, err)
				if name != "refused" {
					m.left = left + 1
				}
			}})
			err = w.Put(t.Context(), tenant, fleet("", 2000, 14), r.ETag)
			m.left = immortal
			n := partsIn(t, m, tenant)
			if name == "refused" && (!fault.Is(err, fault.Conflict) || n > 0) {
				t.Errorf("%s: %v, and %d parts are left", name, err, n)
			}
			if name != "refused" && n != left+1 {
				t.Fatalf("%s: %d parts are left", name, n)
			}
			sweep(t, b, tenant)
			for _, key := range everything(t, m, tenant) {
				if strings.Contains(key, sep+"F") {
					t.Errorf("%s: of one that is erased there is still %q", name, key)
				}
			}
		}
		w := New(&beforePart{m, func() {}})
		s := w.store.(*beforePart)
		s.call = func() { s.call = func() { sweep(t, b, tenant) } } // before the second: the first is there
		must(t, w.Put(t.Context(), tenant, fleet("", 2000, 10), ""))
		if !bytes.Equal(seen(t, b, tenant), encoded(fleet("", 2000, 10))) {
			t.Error("a sweep took what was being written")
		}
	})
}

// sweep deletes what scans find that is nobody's, as a run does.
func sweep(t *testing.T, b *Book, tenant Tenant) {
	t.Helper()
	for bucket := range tenant.Buckets {
		var orphans []string
		for _, err := range b.Relations(t.Context(), tenant, bucket, func(key string) { orphans = append(orphans, key) }) {
			must(t, err)
		}
		w := b.Writer(tenant, bucket)
		for _, key := range orphans {
			must(t, b.DeleteOrphan(t.Context(), tenant, w, key))
		}
		must(t, w.Flush(t.Context()))
	}
}
