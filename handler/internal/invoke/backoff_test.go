package invoke

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/bus"
	"polis/handler/internal/bus/sqlitebus"
	"polis/handler/internal/fault"
	"polis/handler/internal/trace"
)

type refusing struct{}

func (refusing) Send(context.Context, string, ...bus.Message) error {
	return fault.New(fault.Unavailable, "the bus is away")
}

// none is a back-off that nothing can be sent by.
func none() *Backoff { return NewBackoff(refusing{}, map[string]string{"Work": "work"}, time.Now) }

const deliveries = 10 // infra/estate/estate.json

// queue is a queue on a bus whose clock stands still, and its function as the host calls it.
type queue struct {
	*testing.T
	*sqlitebus.Bus
	now  time.Time
	fail func() error
	seen []Message
	host http.Handler
	dead letters
}

func newQueue(t *testing.T, to func(bus.Sender) bus.Sender) *queue {
	t.Helper()
	q := &queue{T: t, now: time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC), fail: func() error { return nil }}
	clock := func() time.Time { return q.now }
	var err error
	if q.Bus, err = sqlitebus.Open(filepath.Join(t.TempDir(), "bus.db"), sqlitebus.WithClock(clock)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	f := Functions{Queues: map[string]Queue{"Work": func(_ context.Context, m Message) error {
		q.seen = append(q.seen, m)
		return q.fail()
	}}}
	q.host = New(f, &q.dead, NewBackoff(to(trace.Sender(q.Bus)), map[string]string{"Work": "work"}, clock), zerolog.Nop())
	return q
}

func (q *queue) ok(err error) {
	q.Helper()
	if err != nil {
		q.Fatal(err)
	}
}

// deliver brings what is due to the function, as the host in Azure does: what fails is given back at once. Killed,
// it is given back though it was done. It says how many calls failed.
func (q *queue) deliver(killed bool) (failed int) {
	q.Helper()
	for {
		got, err := q.Receive(q.Context(), "work", 1, time.Minute, deliveries)
		if q.ok(err); len(got) == 0 {
			return failed
		}
		d := got[0]
		properties, err := json.Marshal(d.Properties)
		q.ok(err)
		metadata := map[string]any{"MessageId": d.ID, "SequenceNumber": d.Sequence, "DeliveryCount": d.Attempt, "EnqueuedTimeUtc": d.Enqueued.Format("2006-01-02T15:04:05.999"), "Subject": d.Subject, "ContentType": d.ContentType, "CorrelationId": d.CorrelationID, "ApplicationProperties": json.RawMessage(properties)}
		body, err := json.Marshal(map[string]any{"Data": map[string]any{"message": string(d.Body)}, "Metadata": metadata})
		q.ok(err)
		code := call(q.host, "/Work", "application/json", string(body)).Code
		switch {
		case code != http.StatusOK:
			failed++
			fallthrough
		case killed:
			q.ok(q.Abandon(q.Context(), d))
		default:
			q.ok(q.Complete(q.Context(), d))
		}
		if killed {
			return failed
		}
	}
}

func (q *queue) depth(live, dead int) {
	q.Helper()
	l, d, err := q.Depth(q.Context(), "work")
	if q.ok(err); l != live || d != dead {
		q.Errorf("%d messages and %d dead ones, want %d and %d", l, d, live, dead)
	}
}

func itself(s bus.Sender) bus.Sender { return s }

// TestAnOutage: a message outlives an outage of five minutes, as it was sent, with growing waits, and is done
// once, by few calls, though the one who sends it again is killed before it settles it.
func TestAnOutage(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, kind := range []fault.Kind{fault.Unavailable, fault.Unconfigured} {
		q := newQueue(t, itself)
		sent := bus.Message{ID: "t/run/3", Body: []byte(`{"bucket": 3}`), ContentType: "application/json", Subject: "run.chunk", CorrelationID: "c", Properties: map[string]string{"tenant": "t", trace.Parent: parent}}
		q.ok(q.Send(t.Context(), "work", sent))
		begin := q.now
		var calls []time.Duration
		q.fail = func() error {
			calls = append(calls, q.now.Sub(begin))
			if q.now.Sub(begin) < 5*time.Minute {
				return fault.New(kind, "the store is away")
			}
			return nil
		}
		q.deliver(true) // killed after it was sent again: it comes again, and is sent again under the same id
		for q.now.Sub(begin) < 20*time.Minute {
			if failed := q.deliver(false); failed > 0 {
				t.Errorf("%d calls failed: the bus would deliver again at once", failed)
			}
			q.now = q.now.Add(time.Second)
		}
		q.depth(0, 0)
		want := []time.Duration{0, 0, 2, 6, 14, 30, 62, 126, 254, 510}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(calls, want) {
			t.Errorf("%s: called after %v, want %v", kind, calls, want)
		}
		for i, m := range q.seen {
			came := i // the second call is of the first message again
			if i < 2 {
				came++
			}
			if m.ID != sent.ID || string(m.Body) != string(sent.Body) || m.Parent != parent || m.Tries != max(0, i-1) || m.sent.Subject != sent.Subject ||
				m.sent.ContentType != sent.ContentType || m.sent.CorrelationID != "c" || m.since != "2026-03-31T12:00:00" || m.Deliveries != came || m.sent.Properties["tenant"] != "t" {
				t.Errorf("call %d gets %+v", i, m)
			}
		}
		if len(q.dead.reasons) > 0 {
			t.Errorf("dead letters: %q", q.dead.reasons)
		}
	}
}

// TestWhatStaysAway: what fails for good for a passing reason lies in the bus's dead letters in the end, and is
// sent again as many times as before once it is put back.
func TestWhatStaysAway(t *testing.T) {
	q := newQueue(t, itself)
	q.ok(q.Send(t.Context(), "work", bus.Message{ID: "m", Body: []byte("{}")}))
	q.fail = func() error { return fault.New(fault.Unavailable, "the store is away") }
	for life := 1; life <= 2; life++ {
		failed := 0
		for range 30 * 60 {
			failed += q.deliver(false)
			q.now = q.now.Add(time.Second)
		}
		q.depth(0, 1)
		if failed != deliveries || len(q.seen) != life*(MostWaits+deliveries) || len(q.dead.reasons) > 0 {
			t.Errorf("life %d: %d calls, %d failed; dead letters %q", life, len(q.seen), failed, q.dead.reasons)
		}
		n, err := q.Replay(t.Context(), "work")
		if q.ok(err); n != 1 {
			t.Errorf("%d put back", n)
		}
	}
	q.fail = func() error { return nil }
	q.deliver(false)
	q.depth(0, 0)
}

// TestNothingIsLostWhereTheBusIsAwayToo: what cannot be sent again is given back.
func TestNothingIsLostWhereTheBusIsAwayToo(t *testing.T) {
	q := newQueue(t, func(bus.Sender) bus.Sender { return refusing{} })
	q.ok(q.Send(t.Context(), "work", bus.Message{ID: "m", Body: []byte("{}")}))
	q.fail = func() error { return fault.New(fault.Unavailable, "the store is away") }
	if failed := q.deliver(true); failed != 1 {
		t.Errorf("%d failed", failed)
	}
	q.depth(1, 0)
}

// TestAnothersNumber: a message that claims to have the number of another takes nothing from it.
func TestAnothersNumber(t *testing.T) {
	q := newQueue(t, itself)
	q.fail = func() error { return fault.New(fault.Unavailable, "the store is away") }
	for _, id := range []string{"a", "b"} {
		body := `{"Data":{"message":"{}"},"Metadata":{"MessageId":"` + id + `","SequenceNumber":7}}`
		if w := call(q.host, "/Work", "application/json", body); w.Code != http.StatusOK {
			t.Errorf("%d", w.Code)
		}
	}
	q.depth(2, 0)
	for _, tries := range []string{"10", "65535", "99999999999"} {
		body := `{"Data":{"message":"{}"},"Metadata":{"MessageId":"c","SequenceNumber":8,"ApplicationProperties":{"polis-tries":"` + tries + `"}}}`
		w := call(q.host, "/Work", "application/json", body)
		if want := map[bool]int{true: 200, false: 500}[len(tries) > 5]; w.Code != want {
			t.Errorf("sent again %s times: %d", tries, w.Code)
		}
	}
}

func TestWaits(t *testing.T) {
	sum := time.Duration(0)
	var said []string
	for n := range MostWaits {
		sum += Wait(n)
		said = append(said, Wait(n).String())
	}
	if got := strings.Join(said, " "); got != "2s 4s 8s 16s 32s 1m4s 2m8s 4m16s 5m0s 5m0s" || sum < 18*time.Minute || Wait(60000) != LongestWait {
		t.Errorf("%s: %s", got, sum)
	}
}

// Where the dead letters are away too, what belongs there comes later, and is not burnt on the queue's own count.
func TestDeadLettersThatAreAway(t *testing.T) {
	q := newQueue(t, func(s bus.Sender) bus.Sender { return s })
	q.fail = func() error { return fault.New(fault.Invalid, "no") }
	q.dead.err = fault.New(fault.Unavailable, "blobs are away")
	q.ok(q.Send(t.Context(), "work", bus.Message{ID: "1", Body: []byte("{}")}))
	if failed := q.deliver(false); failed != 0 || len(q.dead.reasons) != 1 { // which was refused
		t.Errorf("while they are away: %d calls failed, dead letters %q", failed, q.dead.reasons)
	}
	q.dead.err = nil
	q.now = q.now.Add(time.Hour)
	if failed := q.deliver(false); failed != 0 || len(q.dead.reasons) != 2 {
		t.Errorf("afterwards: %d calls failed, dead letters %q", failed, q.dead.reasons)
	}
}
