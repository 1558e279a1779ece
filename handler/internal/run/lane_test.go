package run

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
)

// Whatever the order in which messages are worked, come twice or are lost with their worker: a
// run never has more chunks to be done under way than it is wide, and ends with every chunk done. What
// is done and comes again costs a look.
func TestLanes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks, width := rapid.IntRange(1, 200).Draw(t, "chunks"), rapid.IntRange(1, 40).Draw(t, "width")
		done := map[int]bool{}
		isDone := func(b int) bool { return done[b] }
		var queue []int
		send := func(buckets ...int) {
			for _, b := range buckets {
				if !slices.Contains(queue, b) { // the bus drops duplicates
					queue = append(queue, b)
				}
			}
		}
		send(First(width, chunks, isDone)...)
		for len(queue) > 0 {
			underWay := 0
			for _, b := range queue {
				if !done[b] {
					underWay++
				}
			}
			if underWay > width {
				t.Fatalf("%d chunks under way, the run is %d wide", underWay, width)
			}
			i := rapid.IntRange(0, len(queue)-1).Draw(t, "worked")
			b := queue[i]
			switch rapid.IntRange(0, 9).Draw(t, "fate") {
			case 0: // killed before it is done: it stays in the queue
				continue
			case 1: // killed after it is recorded, before the next is sent for
				done[b] = true
				continue
			case 2: // the timer joins the run
				send(First(width, chunks, isDone)...)
				continue
			}
			done[b] = true
			queue = slices.Delete(queue, i, i+1)
			if next, ok := Next(b, width, chunks); ok {
				send(next)
			}
		}
		if len(done) != chunks {
			t.Fatalf("%d of %d chunks done", len(done), chunks)
		}
	})
}

// Over the embedded bus: a tenant with many chunks has no more than its width of messages in the
// queue, so another that comes after it waits for no more than that each time.
func TestTenantsTakeTurns(t *testing.T) {
	const wide, large = 4, 60
	f := newFixture(t)
	f.runs = f.runs.WithWidth(func(string) int { return wide })
	big := book.Tenant{ID: "big", Buckets: large, Created: noon}
	must(t, f.book.CreateTenant(t.Context(), big))
	m, err := f.runs.models.Current(t.Context(), f.tenant.ID)
	must(t, err)
	f.runs.models = onlyModels{m}
	_, _, err = f.runs.Start(t.Context(), big, today, nil, false)
	must(t, err)
	small := f.start(today, false)
	worked := map[string]int{}
	ended := 0 // of the small one: after how many messages
	for n := 1; ; n++ {
		live, _, err := f.bus.Depth(t.Context(), ChunkQueue)
		must(t, err)
		if live > 2*wide {
			t.Fatalf("%d messages of two runs that are %d wide", live, wide)
		}
		list, err := f.bus.Receive(t.Context(), ChunkQueue, 1, time.Minute, 0)
		must(t, err)
		if len(list) == 0 {
			break
		}
		var q ChunkRequest
		must(t, json.Unmarshal(list[0].Body, &q))
		must(t, f.runs.Work(t.Context(), q))
		must(t, f.bus.Complete(t.Context(), list[0]))
		if worked[q.Tenant]++; worked[f.tenant.ID] == f.tenant.Buckets && ended == 0 {
			ended = n
		}
	}
	if worked["big"] != large || worked[f.tenant.ID] != f.tenant.Buckets {
		t.Errorf("worked %v", worked)
	}
	if most := 2*f.tenant.Buckets + wide; ended > most {
		t.Errorf("the small tenant's %d chunks were done after %d messages, want %d at most", f.tenant.Buckets, ended, most)
	}
	f.finished(small.ID)
}

// onlyModels are the same for everybody.
type onlyModels struct{ *scoring.Models }

func (m onlyModels) Current(context.Context, string) (*scoring.Models, error) { return m.Models, nil }

func (m onlyModels) Version(context.Context, string, string) (*scoring.Models, error) {
	return m.Models, nil
}

// A chunk that fails for good does not hold up those behind it, and one that fails for a passing
// reason does.
func TestAFailedChunkPassesItsLaneOn(t *testing.T) {
	for why, passes := range map[fault.Kind]bool{fault.Internal: true, fault.Unavailable: false, fault.Cancelled: false, fault.Unconfigured: false} {
		f := newFixture(t)
		f.runs = f.runs.WithWidth(func(string) int { return 1 })
		p := f.start(today, false)
		f.runs.models = failing{f.runs.models, fault.New(why, "no models")}
		err := f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, p.ID, 0, 0, 0})
		if !fault.Is(err, why) {
			t.Errorf("%v: %v", why, err)
		}
		live, _, err := f.bus.Depth(t.Context(), ChunkQueue)
		must(t, err)
		if passed := live == 2; passed != passes {
			t.Errorf("%v: %d messages in the queue", why, live)
		}
	}
}

type failing struct {
	Models
	err error
}

func (f failing) Version(context.Context, string, string) (*scoring.Models, error) { return nil, f.err }

// A chunk that fails for good while the bus is away comes again: in the dead letters it would
// take its lane with it.
func TestALaneThatCannotBePassedOnWaits(t *testing.T) {
	f := newFixture(t)
	f.runs = f.runs.WithWidth(func(string) int { return 1 })
	p := f.start(today, false)
	models, wire := f.runs.models, f.runs.bus
	f.runs.models = failing{models, fault.New(fault.Invalid, "no such model")}
	f.runs.bus = deaf{}
	req := ChunkRequest{f.tenant.ID, p.ID, 0, 0, 0}
	if err := f.runs.Work(t.Context(), req); !fault.Is(err, fault.Unavailable) {
		t.Errorf("while the bus is away: %v", err)
	}
	f.runs.bus = wire
	if err := f.runs.Work(t.Context(), req); !fault.Is(err, fault.Invalid) {
		t.Errorf("afterwards: %v", err)
	}
	if live, _, err := f.bus.Depth(t.Context(), ChunkQueue); err != nil || live != 2 {
		t.Errorf("%d messages in the queue, %v", live, err)
	}
}

// deaf is a bus that is away.
type deaf struct{}

func (deaf) Send(context.Context, string, ...bus.Message) error {
	return fault.New(fault.Unavailable, "the bus is away")
}

// A run of before there were lanes goes on as it began: all chunks are sent for.
func TestARunWithoutLanes(t *testing.T) {
	f := newFixture(t)
	f.runs = f.runs.WithWidth(func(string) int { return 1 })
	p := f.start(today, false)
	old := p.Run
	old.Width = 0
	body, err := json.Marshal(old)
	must(t, err)
	must(t, f.docs.Write(t.Context(), shared(f.tenant.ID), []store.Op{{Document: store.Document{Key: runKey + p.ID, Body: body}}}))
	f.start(today, false)
	live, _, err := f.bus.Depth(t.Context(), ChunkQueue)
	must(t, err)
	if live != f.tenant.Buckets {
		t.Errorf("%d of %d chunks are sent for", live, f.tenant.Buckets)
	}
	must(t, f.drain(t.Context()))
	f.finished(p.ID)
}
