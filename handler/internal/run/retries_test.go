package run

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// However its chunks' retries fall, a run takes no more than its budget, and no chunk more than one
// may; who was spared leaves what it did not take to those behind it.
func TestARunsBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks, width := rapid.IntRange(1, 200).Draw(t, "chunks"), rapid.IntRange(1, 40).Draw(t, "width")
		total := 0
		for lane := range min(width, chunks) {
			spent, before := 0, 0
			for b, ok := lane, true; ok; b, ok = Next(b, width, chunks) {
				most := Allowance(b, width, chunks, spent)
				before += RetriesPerChunk
				if most > MostRetries || spent <= before-RetriesPerChunk && most < RetriesPerChunk {
					t.Fatalf("chunk %d may retry %d times, with %d spent", b, most, spent)
				}
				spent += rapid.IntRange(0, most).Draw(t, "retries")
			}
			total += spent
		}
		if total > chunks*RetriesPerChunk {
			t.Fatalf("%d retries of a run of %d chunks", total, chunks)
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
		if m := store.MeterOf(ctx); m != nil && p.Bucket >= 0 && !m.Retry() {
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
	out := ChunkRequest{f.tenant.ID, p.ID, 2, 2 * RetriesPerChunk}
	if err := f.runs.Work(t.Context(), out); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a chunk that may not retry, of a store that refuses once: %v", err)
	}
	if len(tell.spent[4]) != 0 {
		t.Error("a chunk that was given up sent for the next")
	}
	docs.times = 0
	must(t, f.runs.Work(t.Context(), out))
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
