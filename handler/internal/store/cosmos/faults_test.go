package cosmos_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos"
	"polis/handler/internal/store/cosmos/cosmosfake"
	"polis/handler/internal/store/storetest"
)

var partition = store.Partition{Tenant: "t1", Bucket: 3}

// script gives each request the next fault, and none when they are over.
type script struct {
	mu     sync.Mutex
	faults []cosmosfake.Fault
	asked  []http.Header
}

func (s *script) next(r *http.Request) cosmosfake.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Header.Clone())
	if len(s.faults) == 0 {
		return cosmosfake.Fault{}
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f
}

func op(verb store.Verb, key, body string) store.Op {
	return store.Op{Verb: verb, Document: store.Document{Key: key, Body: []byte(body)}}
}

func TestFaultsThatPass(t *testing.T) {
	soon := time.Millisecond
	for name, f := range map[string]cosmosfake.Fault{
		"throttled":           {Status: 429, RetryAfter: soon},
		"written at once":     {Status: 449, RetryAfter: soon},
		"moved":               {Status: 410, RetryAfter: soon},
		"down":                {Status: 503, RetryAfter: soon},
		"timed out":           {Status: 408, RetryAfter: soon},
		"an answer lost":      {Drop: true, After: true},
		"a request lost":      {Drop: true},
		"timed out, but done": {Status: 408, RetryAfter: soon, After: true},
	} {
		t.Run(name, func(t *testing.T) {
			var plan script
			s := open(t, &cosmosfake.Account{Faults: plan.next})
			write := func(ops ...store.Op) {
				t.Helper()
				plan.faults = []cosmosfake.Fault{f, f}
				if err := s.Write(t.Context(), partition, ops); err != nil {
					t.Fatal(err)
				}
			}
			write(op(store.Create, "a", "1"), op(store.Put, "b", "1"))
			d, err := s.Get(t.Context(), partition, "a")
			if err != nil {
				t.Fatal(err)
			}
			replace := op(store.Replace, "a", "2")
			replace.ETag = d.ETag
			write(op(store.Delete, "b", ""), replace, op(store.Create, "c", "1"))
			write(op(store.Delete, "c", ""))
			write(op(store.Delete, "none", ""), op(store.Create, "d", "1"))
			plan.faults = []cosmosfake.Fault{f}
			got := []string{}
			for d, err := range s.Scan(t.Context(), partition, "", "") {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, d.Key+"="+string(d.Body))
			}
			if !slices.Equal(got, []string{"a=2", "d=1"}) {
				t.Errorf("what is left: %q", got)
			}
			// What another has written is a conflict, however the answer came.
			plan.faults = []cosmosfake.Fault{f}
			if err := s.Write(t.Context(), partition, []store.Op{op(store.Create, "a", "3"), op(store.Put, "e", "1")}); !fault.Is(err, fault.Conflict) {
				t.Errorf("created what another had created: %v", err)
			}
			plan.faults = nil
			if _, err := s.Get(t.Context(), partition, "e"); !fault.Is(err, fault.NotFound) {
				t.Errorf("half of a batch: %v", err)
			}
		})
	}
}

// A service that takes a request and never answers is asked again, and what it did is not done
// twice.
func TestNoAnswer(t *testing.T) {
	var plan script
	s := openFor(t, &cosmosfake.Account{Faults: plan.next}, 200*time.Millisecond)
	for i, f := range []cosmosfake.Fault{{Hang: true}, {Hang: true, After: true}} {
		key := string(rune('a' + i))
		plan.faults = []cosmosfake.Fault{f}
		if err := s.Write(t.Context(), partition, []store.Op{op(store.Create, key, "1")}); err != nil {
			t.Errorf("%+v: writing: %v", f, err)
		}
		plan.faults = []cosmosfake.Fault{f}
		if d, err := s.Get(t.Context(), partition, key); err != nil || string(d.Body) != "1" {
			t.Errorf("%+v: reading: %q, %v", f, d.Body, err)
		}
	}
	if n := len(plan.asked); n < 8 {
		t.Errorf("%d requests", n)
	}
}

func TestFaultsThatStay(t *testing.T) {
	for _, tc := range []struct {
		name string
		with cosmosfake.Fault
		want fault.Kind
	}{
		{"throttled for long", cosmosfake.Fault{Status: 429, RetryAfter: time.Minute}, fault.Unavailable},
		{"no role", cosmosfake.Fault{Status: 403}, fault.Unconfigured},
		{"too large", cosmosfake.Fault{Status: 413}, fault.TooLarge},
		{"a bad request", cosmosfake.Fault{Status: 400}, fault.Internal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, &cosmosfake.Account{Faults: func(*http.Request) cosmosfake.Fault { return tc.with }})
			if err := s.Write(t.Context(), partition, []store.Op{op(store.Put, "a", "1")}); !fault.Is(err, tc.want) {
				t.Errorf("writing: %v", err)
			}
			if _, err := s.Get(t.Context(), partition, "a"); !fault.Is(err, tc.want) {
				t.Errorf("reading: %v", err)
			}
			for _, err := range s.Scan(t.Context(), partition, "", "") {
				if !fault.Is(err, tc.want) {
					t.Errorf("scanning: %v", err)
				}
			}
		})
	}
	s := open(t, &cosmosfake.Account{Tokens: func(string) bool { return false }})
	if _, err := s.Get(t.Context(), partition, "a"); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("a token that is not good: %v", err)
	}
}

// A caller's allowance of retries is for all of its calls.
func TestRetriesRunOut(t *testing.T) {
	down := cosmosfake.Fault{Status: 503, RetryAfter: time.Millisecond}
	var plan script
	s := open(t, &cosmosfake.Account{Faults: plan.next})
	meter := store.NewMeter()
	ctx := store.Allowing(store.Metered(t.Context(), meter), 3)
	for range 3 {
		plan.faults = []cosmosfake.Fault{down}
		if err := s.Write(ctx, partition, []store.Op{op(store.Put, "a", "1")}); err != nil {
			t.Fatal(err)
		}
	}
	plan.faults = []cosmosfake.Fault{down}
	if err := s.Write(ctx, partition, []store.Op{op(store.Put, "a", "1")}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a fourth retry of three: %v", err)
	}
	if meter.Retries.Load() != 4 || meter.Units() <= 0 {
		t.Errorf("%d retries asked for, %v request units", meter.Retries.Load(), meter.Units())
	}
}

// Who is throttled waits as long as it takes, up to the patience that it has, and not by its allowance of
// retries.
func TestThrottled(t *testing.T) {
	busy := slices.Repeat([]cosmosfake.Fault{{Status: 429, RetryAfter: time.Millisecond}}, cosmos.Attempts)
	var plan script
	account := &cosmosfake.Account{Faults: plan.next}
	s := open(t, account)
	meter := store.NewMeter()
	ctx := store.Allowing(store.Metered(t.Context(), meter), 1)
	plan.faults = busy
	if err := s.Write(ctx, partition, []store.Op{op(store.Put, "a", "1")}); err != nil {
		t.Errorf("throttled as often as a call is tried: %v", err)
	}
	if meter.Throttles.Load() != cosmos.Attempts || meter.Retries.Load() != 0 {
		t.Errorf("%d throttles, %d retries", meter.Throttles.Load(), meter.Retries.Load())
	}
	server := httptest.NewTLSServer(account)
	t.Cleanup(server.Close)
	hasty, err := cosmos.Open(token("good"), cosmos.Options{
		Endpoint: server.URL, Database: "polis", Container: "books", Transport: server.Client(), Patience: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	plan.faults = busy
	if err := hasty.Write(ctx, partition, []store.Op{op(store.Put, "a", "1")}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("throttled for longer than it has patience: %v", err)
	}
}

// The wait grows, half of it is chance, and where the store says how long that is the least.
func TestWaits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, chance := rapid.IntRange(1, 100).Draw(t, "attempt"), rapid.Float64Range(0, 1).Draw(t, "chance")
		wait := cosmos.Wait(n, chance)
		if wait < 10*time.Millisecond || wait > 2*time.Second || cosmos.Wait(n+1, chance) < wait || cosmos.Wait(n, 1) > 2*cosmos.Wait(n, 0) {
			t.Fatalf("after attempt %d %v", n, wait)
		}
		if got := cosmos.Throttled(n, time.Second, chance); got != time.Second+wait {
			t.Fatalf("throttled: %v", got)
		}
	})
}

// The charge is what the service says, and reads that may be stale cost half of it.
func TestCharges(t *testing.T) {
	var asked float64
	var plan script
	s := open(t, &cosmosfake.Account{Faults: plan.next, Asked: func(_ string, ru float64) { asked += ru }})
	meter := store.NewMeter()
	ctx := store.Metered(t.Context(), meter)
	body := bytes.Repeat([]byte("x"), 4<<10)
	if err := s.Write(ctx, partition, []store.Op{{Document: store.Document{Key: "a", Body: body}}}); err != nil {
		t.Fatal(err)
	}
	cost := func(ctx context.Context) float64 {
		before := meter.Units()
		if _, err := s.Get(ctx, partition, "a"); err != nil {
			t.Fatal(err)
		}
		for _, err := range s.Scan(ctx, partition, "", "") {
			if err != nil {
				t.Fatal(err)
			}
		}
		return meter.Units() - before
	}
	fresh, stale := cost(ctx), cost(store.Stale(ctx))
	if d := fresh - 2*stale; d > 0.02 || d < -0.02 {
		t.Errorf("%v request units, and %v where it may be stale", fresh, stale)
	}
	if d := asked - meter.Units(); d > 0.02 || d < -0.02 {
		t.Errorf("charged %v, counted %v", asked, meter.Units())
	}
	last := plan.asked[len(plan.asked)-1]
	before := meter.Units()
	if _, err := s.Get(ctx, partition, "nothing"); !fault.Is(err, fault.NotFound) || meter.Units() <= before {
		t.Errorf("%v, and what is not there costs nothing", err)
	}
	if last.Get("x-ms-consistency-level") != "Eventual" || last.Get("x-ms-documentdb-query-enablecrosspartition") == "true" {
		t.Errorf("a stale scan was asked for with %v", last)
	}
}

// One request in ten goes wrong, in any way: the suite holds all the same.
func TestStoreWithFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of requests")
	}
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		var mu sync.Mutex
		r := rand.New(rand.NewPCG(1, 2))
		return open(t, &cosmosfake.Account{Now: now, Faults: func(req *http.Request) cosmosfake.Fault {
			mu.Lock()
			defer mu.Unlock()
			if r.IntN(10) > 0 {
				return cosmosfake.Fault{}
			}
			switch kind := r.IntN(4); {
			case kind == 0:
				return cosmosfake.Fault{Status: 429, RetryAfter: time.Millisecond}
			case kind == 1:
				return cosmosfake.Fault{Status: 449, RetryAfter: time.Millisecond}
			case kind == 2 && req.Header.Get("x-ms-cosmos-is-batch-request") != "":
				return cosmosfake.Fault{Drop: true, After: r.IntN(2) == 0}
			default:
				return cosmosfake.Fault{Status: 503, RetryAfter: time.Millisecond, After: true}
			}
		}})
	})
}

func TestOpen(t *testing.T) {
	for name, o := range map[string]cosmos.Options{
		"no endpoint":  {Database: "d", Container: "c"},
		"no database":  {Endpoint: "https://localhost", Container: "c"},
		"no container": {Endpoint: "https://localhost", Database: "d"},
	} {
		if _, err := cosmos.Open(token("good"), o); !fault.Is(err, fault.Unconfigured) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cosmos.Open(nil, cosmos.Options{Endpoint: "https://localhost", Database: "d", Container: "c"}); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("no credential: %v", err)
	}
}

// Errors never say what a document holds, nor its key, which names a customer.
func TestErrorsAreDiscreet(t *testing.T) {
	s := open(t, &cosmosfake.Account{Faults: func(*http.Request) cosmosfake.Fault { return cosmosfake.Fault{Status: 400} }})
	err := s.Write(t.Context(), partition, []store.Op{op(store.Put, "b\x1fSECRET", "SECRET")})
	if err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("an error that tells: %v", err)
	}
}
