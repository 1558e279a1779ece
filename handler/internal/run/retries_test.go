package run

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// However its chunks' retries fall, and however often their messages come, a run takes no more than its
// budget and the least for each delivery, and no delivery more than one may; who was spared leaves what
// it did not take to those behind it.
func TestARunsBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks, width := rapid.IntRange(1, 200).Draw(t, "chunks"), rapid.IntRange(1, 40).Draw(t, "width")
		total, deliveries := 0, 0
		for lane := range min(width, chunks) {
			spent, before := 0, 0
			for b, ok := lane, true; ok; b, ok = Next(b, width, chunks) {
				most := Allowance(b, width, chunks, spent)
				before += RetriesPerChunk
				if most > MostRetries || most < FewestRetries || spent <= before-RetriesPerChunk && most < RetriesPerChunk {
					t.Fatalf("chunk %d may retry %d times, with %d spent", b, most, spent)
				}
				for range rapid.IntRange(0, 9).Draw(t, "deliveries in vain") {
					total += rapid.IntRange(0, Allowance(b, width, chunks, spent)).Draw(t, "retries in vain")
					spent += Allowance(b, width, chunks, spent)
					deliveries++
				}
				retries := rapid.IntRange(0, Allowance(b, width, chunks, spent)).Draw(t, "retries")
				spent += retries
				total += retries
				deliveries++
			}
		}
		if total > chunks*RetriesPerChunk+deliveries*FewestRetries {
			t.Fatalf("%d retries of a run of %d chunks, in %d deliveries", total, chunks, deliveries)
		}
	})
}

// refusing is a store whose writes to buckets are refused so many times each, and tried again as the adapter does.
type refusing struct {
	store.Store
	times int
}

func (s *refusing) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	for range s.times {
		if p.Bucket >= 0 && !store.Retry(ctx) {
			return fault.New(fault.Unavailable, "refused")
		}
	}
	return s.Store.Write(ctx, p, ops)
}

// asked are the chunk requests in the queue, by bucket, which are given back.
func (f *fixture) asked() map[int]ChunkRequest {
	f.t.Helper()
	out := map[int]ChunkRequest{}
	list, err := f.bus.Receive(f.t.Context(), ChunkQueue, 100, time.Minute, 0)
	must(f.t, err)
	for _, d := range list {
		var q ChunkRequest
		must(f.t, json.Unmarshal(d.Body, &q))
		out[q.Bucket] = q
		must(f.t, f.bus.Complete(f.t.Context(), d))
	}
	return out
}

// What a chunk spent is told to the next of its lane, also when the message comes again after a kill
// or the run is joined; a chunk of a lane that has nothing left fails for a passing reason.
func TestWhatAChunkSpentIsToldToTheNext(t *testing.T) {
	f := newFixture(t)
	f.runs = f.runs.WithWidth(func(string) int { return 2 })
	p := f.start(today, false)
	first := f.asked()
	if len(first) != 2 || first[0].Spent != 0 || first[1].Spent != 0 {
		t.Fatalf("a run begins with %+v", first)
	}
	docs := &refusing{f.docs.Store, 3}
	f.docs.Store = docs
	must(t, f.runs.Work(t.Context(), first[0]))
	spent := f.asked()[2].Spent
	if spent == 0 || spent%3 != 0 {
		t.Fatalf("each write was refused three times, and the next is told of %d retries", spent)
	}
	// The bus would drop what it has had already: what is sent is looked at instead.
	again := first[0]
	tell := &told{Sender: f.runs.bus}
	f.runs.bus = tell
	must(t, f.runs.Work(t.Context(), again))
	f.start(today, false)
	if !slices.Equal(tell.spent[2], []int{spent, spent}) || !slices.Equal(tell.spent[1], []int{0}) {
		t.Errorf("when it comes again, and when the run is joined: %v, want %d", tell.spent, spent)
	}
	docs.times = FewestRetries + 1
	out := ChunkRequest{f.tenant.ID, p.ID, 2, 2 * RetriesPerChunk, 0}
	if err := f.runs.Work(t.Context(), out); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a chunk of a lane that has nothing left, of a store that refuses more often than the least: %v", err)
	}
	if len(tell.spent[4]) != 0 {
		t.Error("a chunk that was given up sent for the next")
	}
	docs.times = 2
	must(t, f.runs.Work(t.Context(), out))
}

// What deliveries before this one spent is not known, and is taken to be all that they might; a refusal
// or two are no reason to do the chunk again.
func TestADeliveryAmongMany(t *testing.T) {
	for before, may := range map[int]int{0: 2*RetriesPerChunk - 1, 1: FewestRetries, 9: FewestRetries} {
		f := newFixture(t)
		f.runs = f.runs.WithWidth(func(string) int { return 2 })
		p := f.start(today, false)
		docs := &refusing{f.docs.Store, may + 1}
		if before == 0 { // of a lane of two chunks one has 100
			docs.times = MostRetries + 1
		}
		f.docs.Store = docs
		req := ChunkRequest{f.tenant.ID, p.ID, 0, 0, before}
		if err := f.runs.Work(t.Context(), req); !fault.Is(err, fault.Unavailable) {
			t.Errorf("after %d deliveries: %v", before, err)
		}
		docs.times = may / 2 // it writes twice: scores, and its record
		tell := &told{Sender: f.runs.bus}
		f.runs.bus = tell
		must(t, f.runs.Work(t.Context(), req))
		req.Before++
		must(t, f.runs.Work(t.Context(), req)) // it was done, and was not settled
		if s := tell.spent[2]; len(s) != 2 || s[0] != s[1] || before > 0 && s[0] < 2*RetriesPerChunk+(before-1)*FewestRetries {
			t.Errorf("after %d deliveries the next is told of %v", before, s)
		}
	}
}

// grudging is a store whose calls of a kind are refused as long as there is a retry left.
type grudging struct {
	store.Store
	of    func(key string) bool
	tries int
}

func (s *grudging) try(ctx context.Context, key string) error {
	if !s.of(key) {
		return nil
	}
	for store.Retry(ctx) {
		if s.tries++; s.tries > 10_000 {
			break
		}
	}
	return fault.New(fault.Unavailable, "refused")
}

func (s *grudging) Get(ctx context.Context, p store.Partition, key string) (store.Document, error) {
	if err := s.try(ctx, key); err != nil {
		return store.Document{}, err
	}
	return s.Store.Get(ctx, p, key)
}

func (s *grudging) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if err := s.try(ctx, ops[len(ops)-1].Key); err != nil {
		return err
	}
	return s.Store.Write(ctx, p, ops)
}

// What is asked for a message besides its chunk has a bound of its own, and so has the completion.
func TestAllCallsAreBounded(t *testing.T) {
	for kind, most := range map[string]int{runKey: FewestRetries, doneKey: toComplete(4)} {
		f := newFixture(t)
		p := f.start(today, false)
		for bucket := range f.tenant.Buckets - 1 {
			must(t, f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, p.ID, bucket, 0, 0}))
		}
		docs := &grudging{Store: f.docs.Store, of: func(key string) bool { return strings.HasPrefix(key, kind) }}
		f.docs.Store = docs
		if err := f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, p.ID, f.tenant.Buckets - 1, 0, 0}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%q: %v", kind, err)
		}
		if docs.tries != most {
			t.Errorf("%q was asked for again %d times, want %d", kind, docs.tries, most)
		}
	}
}

// told notes what the requests for chunks say.
type told struct {
	bus.Sender
	spent map[int][]int
}

func (s *told) Send(_ context.Context, _ string, msgs ...bus.Message) error {
	if s.spent == nil {
		s.spent = map[int][]int{}
	}
	for _, m := range msgs {
		var q ChunkRequest
		if err := json.Unmarshal(m.Body, &q); err != nil {
			return err
		}
		s.spent[q.Bucket] = append(s.spent[q.Bucket], q.Spent)
	}
	return nil
}
