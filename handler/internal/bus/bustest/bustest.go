// Package bustest holds what every bus.Broker must do, as tests.
package bustest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
)

// Clock is a clock that a test sets. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock is a clock at a fixed instant.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)}
}

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Window is the duplicate window that a bus under test must have.
const Window = 10 * time.Minute

const lock = time.Minute

// Run tests a bus. The function opens an empty one that tells time by the clock and has
// the duplicate Window; the suite closes it.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) bus.Broker) {
	for name, test := range map[string]func(*suite){
		"message":        testMessage,
		"order":          testOrder,
		"queues":         testQueues,
		"settle":         testSettle,
		"abandon":        testAbandon,
		"lock runs out":  testLockRunsOut,
		"renew":          testRenew,
		"deliveries":     testDeliveries,
		"dead letter":    testDeadLetter,
		"replay":         testReplay,
		"duplicates":     testDuplicates,
		"scheduled":      testScheduled,
		"peek and depth": testPeekAndDepth,
		"bad arguments":  testBadArguments,
		"cancelled":      testCancelled,
		"many receivers": testManyReceivers,
		"many messages":  testManyMessages,
	} {
		t.Run(name, func(t *testing.T) {
			clock := NewClock()
			s := &suite{T: t, bus: open(t, clock.Now), clock: clock}
			t.Cleanup(func() {
				if err := s.bus.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
			test(s)
		})
	}
}

type suite struct {
	*testing.T
	bus   bus.Broker
	clock *Clock
}

const queue = "run-chunks"

// send puts messages with these IDs, which are their bodies as well, on the queue.
func (s *suite) send(ids ...string) {
	s.Helper()
	msgs := make([]bus.Message, len(ids))
	for i, id := range ids {
		msgs[i] = bus.Message{ID: id, Body: []byte(id)}
	}
	s.ok(s.bus.Send(s.Context(), queue, msgs...))
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) conflict(err error) {
	s.Helper()
	if !fault.Is(err, fault.Conflict) {
		s.Errorf("got %v, want a conflict", err)
	}
}

// receive wants just these messages, in this order.
func (s *suite) receive(max int, want ...string) []bus.Delivery {
	s.Helper()
	return s.receiveAtMost(max, 0, want...)
}

func (s *suite) receiveAtMost(max, deliveries int, want ...string) []bus.Delivery {
	s.Helper()
	got, err := s.bus.Receive(s.Context(), queue, max, lock, deliveries)
	s.ok(err)
	s.are(got, want...)
	return got
}

func (s *suite) are(got []bus.Delivery, want ...string) {
	s.Helper()
	ids := make([]string, len(got))
	for i := range got {
		ids[i] = got[i].ID
	}
	if !slices.Equal(ids, want) {
		s.Fatalf("got the messages %q, want %q", ids, want)
	}
}

func (s *suite) depth(live, dead int) {
	s.Helper()
	l, d, err := s.bus.Depth(s.Context(), queue)
	s.ok(err)
	if l != live || d != dead {
		s.Fatalf("%d live and %d dead messages, want %d and %d", l, d, live, dead)
	}
}

func testMessage(s *suite) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for i, m := range []bus.Message{
		{
			ID: "m1", Body: []byte(`{"a":1}`), ContentType: "application/cloudevents+json", Subject: "a subject", CorrelationID: "r-1",
			Properties: map[string]string{"traceparent": "00-1-2-01", "odd \"name\"": "é\n\x1f", "": ""},
		},
		{},
		{ID: "é %_'\"", Body: all},
		{ID: "large", Body: bytes.Repeat(all, 800)},
	} {
		s.ok(s.bus.Send(s.Context(), queue, m))
		got, err := s.bus.Receive(s.Context(), queue, 10, lock, 0)
		s.ok(err)
		if len(got) != 1 {
			s.Fatalf("message %d came %d times", i, len(got))
		}
		d := got[0]
		if len(m.Body) == 0 {
			m.Body, d.Body = nil, d.Body[:len(d.Body):len(d.Body)]
			if len(d.Body) == 0 {
				d.Body = nil
			}
		}
		want := bus.Delivery{
			Message: m, Queue: queue, Sequence: d.Sequence, Attempt: 1, Enqueued: s.clock.Now(),
			LockToken: d.LockToken, LockedUntil: s.clock.Now().Add(lock),
		}
		if diff := cmp.Diff(want, d); diff != "" {
			s.Errorf("message %d (-want +got):\n%s", i, diff)
		}
		if d.LockToken == "" || d.Sequence <= 0 {
			s.Errorf("message %d has the token %q and the number %d", i, d.LockToken, d.Sequence)
		}
		s.ok(s.bus.Complete(s.Context(), d))
	}
}

func testOrder(s *suite) {
	s.send("c", "a")
	s.send("b")
	first := s.receive(2, "c", "a")
	if first[0].Sequence >= first[1].Sequence || first[0].LockToken == first[1].LockToken {
		s.Errorf("numbers %d, %d; tokens %q, %q", first[0].Sequence, first[1].Sequence, first[0].LockToken, first[1].LockToken)
	}
	s.send("d")
	s.ok(s.bus.Abandon(s.Context(), first[1]))
	s.receive(10, "a", "b", "d") // the oldest first, wherever it has been
	s.receive(10)
}

func testQueues(s *suite) {
	m := bus.Message{ID: "same", Body: []byte("x")}
	names := []string{"a", "b", "a/b", "a_b", "a.b", "a-b"}
	for _, name := range names {
		s.ok(s.bus.Send(s.Context(), name, m))
	}
	for _, name := range names {
		got, err := s.bus.Receive(s.Context(), name, 10, lock, 0)
		s.ok(err)
		s.are(got, "same")
	}
	if got, err := s.bus.Receive(s.Context(), "never sent to", 10, lock, 0); err != nil || len(got) != 0 {
		s.Errorf("an unknown queue: %v, %v", got, err)
	}
}

func testSettle(s *suite) {
	s.send("a")
	d := s.receive(1, "a")[0]
	forged := d
	forged.LockToken = "forged"
	for _, bad := range []bus.Delivery{forged, {Queue: queue, Sequence: d.Sequence}} {
		s.conflict(s.bus.Complete(s.Context(), bad))
		s.conflict(s.bus.Abandon(s.Context(), bad))
		s.conflict(s.bus.DeadLetter(s.Context(), bad, "r", "d"))
		_, err := s.bus.Renew(s.Context(), bad, lock)
		s.conflict(err)
	}
	s.depth(1, 0)
	s.ok(s.bus.Complete(s.Context(), d))
	s.depth(0, 0)
	s.conflict(s.bus.Complete(s.Context(), d))
	s.conflict(s.bus.Abandon(s.Context(), d))
	s.clock.Advance(time.Hour)
	s.receive(10)
}

func testAbandon(s *suite) {
	s.send("a")
	for attempt := range 3 {
		d := s.receive(10, "a")[0]
		if d.Attempt != attempt+1 {
			s.Errorf("attempt %d, want %d", d.Attempt, attempt+1)
		}
		s.ok(s.bus.Abandon(s.Context(), d))
		s.conflict(s.bus.Complete(s.Context(), d))
	}
}

func testLockRunsOut(s *suite) {
	s.send("a", "b")
	first := s.receive(1, "a")[0]
	s.receive(10, "b")
	s.clock.Advance(lock - time.Millisecond)
	s.receive(10)
	s.clock.Advance(time.Millisecond)
	// Nobody has taken it yet, but the lock is over all the same.
	s.conflict(s.bus.Complete(s.Context(), first))
	again := s.receive(10, "a", "b")
	if again[0].Attempt != 2 || again[0].Sequence != first.Sequence || again[0].LockToken == first.LockToken {
		s.Errorf("first %+v, again %+v", first, again[0])
	}
	s.conflict(s.bus.Complete(s.Context(), first))
	s.conflict(s.bus.DeadLetter(s.Context(), first, "r", "d"))
	s.ok(s.bus.Complete(s.Context(), again[0]))
	s.depth(1, 0)
}

func testRenew(s *suite) {
	s.send("a")
	d := s.receive(1, "a")[0]
	for range 5 {
		s.clock.Advance(lock * 3 / 4)
		renewed, err := s.bus.Renew(s.Context(), d, lock)
		s.ok(err)
		if !renewed.LockedUntil.Equal(s.clock.Now().Add(lock)) || renewed.Attempt != 1 {
			s.Errorf("renewed: %+v", renewed)
		}
		s.receive(1)
		d = renewed
	}
	s.clock.Advance(lock)
	_, err := s.bus.Renew(s.Context(), d, lock)
	s.conflict(err)
	s.receive(1, "a")
}

func testDeliveries(s *suite) {
	const most = 3
	s.send("a", "b")
	for i := range most {
		got := s.receiveAtMost(10, most, "a", "b")
		if i%2 == 0 { // whether abandoned or left
			s.ok(s.bus.Abandon(s.Context(), got[0]))
			s.ok(s.bus.Abandon(s.Context(), got[1]))
		}
		s.clock.Advance(lock)
	}
	s.send("c")
	s.receiveAtMost(1, most, "c") // the spent ones do not take its place
	s.depth(1, 2)
	dead, err := s.bus.Peek(s.Context(), queue, true, 10)
	s.ok(err)
	s.are(dead, "a", "b")
	for _, d := range dead {
		if d.Attempt != most || d.DeadReason == "" || !known(d.DeadEnqueued, s.clock.Now()) || string(d.Body) != d.ID {
			s.Errorf("dead: %+v", d)
		}
	}
}

// known reports whether a time is as wanted, or one that the bus does not tell.
func known(got, want time.Time) bool { return got.IsZero() || got.Equal(want) }

func testDeadLetter(s *suite) {
	s.send("a", "b")
	d := s.receive(1, "a")[0]
	s.clock.Advance(time.Second)
	s.ok(s.bus.DeadLetter(s.Context(), d, "bad-body", "the body is no JSON"))
	s.conflict(s.bus.Complete(s.Context(), d))
	s.clock.Advance(time.Hour)
	s.receive(10, "b")
	s.depth(1, 1)
	dead, err := s.bus.Peek(s.Context(), queue, true, 10)
	s.ok(err)
	s.are(dead, "a")
	if x := dead[0]; x.DeadReason != "bad-body" || x.DeadDetail != "the body is no JSON" || x.Attempt != 1 ||
		!known(x.DeadEnqueued, s.clock.Now().Add(-time.Hour)) || x.LockToken != "" || x.Sequence != d.Sequence {
		s.Errorf("dead: %+v", x)
	}
}

func testReplay(s *suite) {
	if n, err := s.bus.Replay(s.Context(), queue); n != 0 || err != nil {
		s.Errorf("replayed %d of nothing, %v", n, err)
	}
	s.ok(s.bus.Send(s.Context(), queue, bus.Message{ID: "a", Properties: map[string]string{bus.Tries: "10", bus.Since: "2026", "tenant": "t"}}))
	s.send("b", "c")
	got := s.receive(3, "a", "b", "c")
	s.ok(s.bus.DeadLetter(s.Context(), got[0], "r", "d"))
	s.ok(s.bus.DeadLetter(s.Context(), got[2], "r", "d"))
	n, err := s.bus.Replay(s.Context(), queue)
	if s.ok(err); n != 2 {
		s.Errorf("replayed %d", n)
	}
	s.depth(3, 0)
	again := s.receive(10, "a", "c")
	for _, d := range again {
		if d.Attempt != 1 || d.DeadReason != "" || d.DeadDetail != "" || !d.DeadEnqueued.IsZero() {
			s.Errorf("replayed: %+v", d)
		}
	}
	if p := again[0].Properties; p[bus.Tries] != "" || p[bus.Since] != "" || p["tenant"] != "t" {
		s.Errorf("replayed with properties %v", p)
	}
	s.ok(s.bus.Complete(s.Context(), got[1])) // another's lock is not touched
}

func testDuplicates(s *suite) {
	s.send("a", "a", "b")
	s.clock.Advance(Window - time.Second)
	s.send("a")
	got := s.receive(10, "a", "b")
	s.ok(s.bus.Complete(s.Context(), got[0]))
	s.send("a") // completed, yet not forgotten
	s.receive(10)
	s.clock.Advance(time.Second)
	s.send("a")
	s.receive(10, "a")
	for range 2 { // messages without an ID are never the same
		s.ok(s.bus.Send(s.Context(), queue, bus.Message{Body: []byte("x")}))
	}
	s.receive(10, "", "")
}

func testScheduled(s *suite) {
	at := s.clock.Now().Add(time.Hour)
	s.ok(s.bus.Send(s.Context(), queue,
		bus.Message{ID: "later", Due: at},
		bus.Message{ID: "latest", Due: at.Add(time.Hour)},
		bus.Message{ID: "past", Due: s.clock.Now().Add(-time.Hour)},
		bus.Message{ID: "now"}))
	done := s.receive(10, "past", "now")
	s.depth(4, 0)
	for _, d := range done {
		s.ok(s.bus.Complete(s.Context(), d))
	}
	peeked, err := s.bus.Peek(s.Context(), queue, false, 10)
	s.ok(err)
	s.are(peeked, "later", "latest")
	if !peeked[0].Due.Equal(at) {
		s.Errorf("due at %v, want %v", peeked[0].Due, at)
	}
	s.clock.Advance(time.Hour - time.Millisecond)
	s.receive(10)
	s.clock.Advance(time.Millisecond)
	if d := s.receive(10, "later")[0]; d.Attempt != 1 {
		s.Errorf("attempt %d", d.Attempt)
	}
}

func testPeekAndDepth(s *suite) {
	s.depth(0, 0)
	s.send("a", "b", "c", "d")
	locked := s.receive(2, "a", "b")
	s.ok(s.bus.DeadLetter(s.Context(), locked[1], "r", "d"))
	s.depth(3, 1)
	for max, want := range [][]string{{}, {"a"}, {"a", "c"}, {"a", "c", "d"}, {"a", "c", "d"}} {
		got, err := s.bus.Peek(s.Context(), queue, false, max)
		s.ok(err)
		s.are(got, want...)
		for _, d := range got {
			if d.LockToken != "" {
				s.Error("a look gives a lock away")
			}
		}
	}
	s.receive(10, "c", "d") // a look changes nothing
}

func testBadArguments(s *suite) {
	s.ok(s.bus.Send(s.Context(), queue))
	if err := s.bus.Send(s.Context(), "", bus.Message{ID: "a"}); !fault.Is(err, fault.Invalid) {
		s.Errorf("a queue without a name: %v", err)
	}
	s.send("a")
	s.receive(0)
	s.receive(-1)
	if _, err := s.bus.Receive(s.Context(), queue, 1, 0, 0); !fault.Is(err, fault.Invalid) {
		s.Errorf("no time to lock for: %v", err)
	}
	s.receive(1, "a")
}

func testCancelled(s *suite) {
	s.send("a")
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if err := s.bus.Send(ctx, queue, bus.Message{ID: "b"}); !fault.Is(err, fault.Cancelled) {
		s.Errorf("Send: %v", err)
	}
	if _, err := s.bus.Receive(ctx, queue, 1, lock, 0); !fault.Is(err, fault.Cancelled) {
		s.Errorf("Receive: %v", err)
	}
	d := s.receive(10, "a")[0]
	if err := s.bus.Complete(ctx, d); !fault.Is(err, fault.Cancelled) {
		s.Errorf("Complete: %v", err)
	}
	s.ok(s.bus.Complete(s.Context(), d))
}

// testManyReceivers delivers each message to one of many who receive at once.
func testManyReceivers(s *suite) {
	const senders, receivers, each = 3, 4, 40
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for k := range each {
				if err := s.bus.Send(s.Context(), queue, bus.Message{ID: fmt.Sprintf("%d-%d", i, k)}); err != nil {
					s.Error(err)
				}
			}
		})
	}
	for range receivers {
		wg.Go(func() {
			for !s.Failed() {
				batch, err := s.bus.Receive(s.Context(), queue, 3, lock, 0)
				if err != nil {
					s.Error(err)
					return
				}
				mu.Lock()
				for _, d := range batch {
					got[d.ID]++
				}
				all := len(got) == senders*each
				mu.Unlock()
				for _, d := range batch {
					if err := s.bus.Complete(s.Context(), d); err != nil {
						s.Error(err)
					}
				}
				if all {
					return
				}
			}
		})
	}
	wg.Wait()
	for id, times := range got {
		if times != 1 {
			s.Errorf("%s was delivered %d times", id, times)
		}
	}
	s.depth(0, 0)
}

func testManyMessages(s *suite) {
	const n = 1000
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("m%04d", i)
	}
	s.send(ids...)
	for i := 0; i < n; i += 100 {
		for _, d := range s.receive(100, ids[i:i+100]...) {
			if strings.HasSuffix(d.ID, "7") {
				s.ok(s.bus.Abandon(s.Context(), d))
			} else {
				s.ok(s.bus.Complete(s.Context(), d))
			}
		}
		for _, d := range s.receive(10, slices.DeleteFunc(slices.Clone(ids[i:i+100]), func(id string) bool { return !strings.HasSuffix(id, "7") })...) {
			s.ok(s.bus.Complete(s.Context(), d))
		}
	}
	s.depth(0, 0)
}
