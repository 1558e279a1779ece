package localhost

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"polis/handler/internal/bus"
)

var queueApp = app{"host.json": hostJSON("", ""), "Work/function.json": queueFunction}

func (m *memoryBus) empty(queue string) func() bool {
	return func() bool { return len(m.queues[queue]) == 0 }
}

func TestFailedMessageComesAgainThenIsDead(t *testing.T) {
	f := start(t, queueApp, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, func(o *Options) { o.MaxDeliveries = 3 })
	f.send(bus.Message{ID: "m1", Body: []byte("x")})
	f.broker.until(func() bool { return len(f.broker.dead["work"]) == 1 })
	for _, want := range []string{`"1"`, `"2"`, `"3"`} {
		if got := string(f.next().envelope(t).Metadata["DeliveryCount"]); got != want {
			t.Errorf("DeliveryCount %s, want %s", got, want)
		}
	}
	if len(f.calls) != 0 {
		t.Error("delivered once more than allowed")
	}
}

func TestCrashInFlightRedelivers(t *testing.T) {
	var crashed atomic.Bool
	f := start(t, queueApp, func(w http.ResponseWriter, r *http.Request) {
		if crashed.CompareAndSwap(false, true) {
			w.Header().Set("X-Exit", "7")
			return
		}
		answerJSON(`{}`)(w, r)
	}, func(o *Options) { o.MaxDeliveries = 2 }) // none is lost on a handler that is not there
	f.send(bus.Message{ID: "m1", Body: []byte("x")})
	f.broker.until(f.broker.empty("work"))
	if first, second := f.next().child(t), f.next().child(t); first.Pid == second.Pid {
		t.Error("the same process answered")
	}
}

func TestLockIsRenewedWhileTheCallRuns(t *testing.T) {
	gate := make(chan struct{})
	f := start(t, queueApp, func(w http.ResponseWriter, r *http.Request) { <-gate; answerJSON(`{}`)(w, r) }, func(o *Options) { o.LockDuration = 400 * time.Millisecond })
	f.send(bus.Message{ID: "m1", Body: []byte("x")})
	f.broker.until(func() bool { return f.broker.renewed >= 3 })
	close(gate)
	f.broker.until(f.broker.empty("work"))
	if len(f.calls) != 1 {
		t.Errorf("delivered %d times", len(f.calls))
	}
}

func TestNoMoreCallsThanAllowed(t *testing.T) {
	var running, most atomic.Int32
	files := queueApp.with("host.json", hostJSON("", `,"extensions":{"serviceBus":{"maxConcurrentCalls":2}}`))
	f := start(t, files, func(w http.ResponseWriter, r *http.Request) {
		for n := running.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		defer running.Add(-1)
		answerJSON(`{}`)(w, r)
	}, nil)
	for range 40 {
		f.send(bus.Message{ID: newID(), Body: []byte("x")})
	}
	f.broker.until(f.broker.empty("work"))
	if n := most.Load(); n > 2 {
		t.Errorf("%d calls at a time", n)
	}
}

func TestEndOfTheHostGivesMessagesBack(t *testing.T) {
	gate := make(chan struct{})
	defer close(gate)
	f := start(t, queueApp, func(http.ResponseWriter, *http.Request) { <-gate }, nil)
	f.send(bus.Message{ID: "m1", Body: []byte("x")})
	f.next()
	f.cancel()
	if err := f.waitEnd(); err != nil {
		t.Fatal(err)
	}
	f.broker.mu.Lock()
	defer f.broker.mu.Unlock()
	if d := f.broker.queues["work"][0]; !d.LockedUntil.IsZero() {
		t.Error("the message is still locked")
	}
}
