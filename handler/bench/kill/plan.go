package main

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"polis/handler/internal/store/cosmos/cosmosfake"
)

// Shares of what goes wrong.
const (
	faulty   = 0.05  // of store calls
	heldBack = 0.3   // of messages: others overtake them
	again    = 0.05  // of messages: delivered once more after they were done
	lockLost = 0.05  // of messages: delivered to another while they are worked on
	hang     = 0.004 // of faults: no answer at all, which costs an attempt's five seconds
)

// moment is when the handler is killed, seen from a store call.
type moment int

// The moments.
const (
	never  moment = iota
	asked         // as it asks
	done          // when what it asked for is done, and it has not heard of it
	passed        // up to 40 ms after it was answered
)

// plan is what is done to a run. It is safe for concurrent use.
type plan struct {
	seed uint64

	mu     sync.Mutex
	rand   *rand.Rand // nil: nothing
	kills  map[int]moment
	record bool // kill when the run has been recorded as completed, before that is known
	settle bool // kill when its event has been sent, before its message is settled
	tally  tally
}

// calm does nothing to a run.
func calm() *plan { return &plan{} }

// newPlan is a plan for a run that takes about so many store calls: one to four kills at any of
// them, and in half of the runs each one more just after the run was recorded, where an event
// could be lost, and just after the event was sent, where it could be doubled.
func newPlan(seed uint64, calls int) *plan {
	p := &plan{seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), kills: map[int]moment{}}
	for range 1 + p.rand.IntN(4) {
		p.kills[1+p.rand.IntN(calls)] = asked + moment(p.rand.IntN(3))
	}
	p.record, p.settle = p.rand.IntN(2) == 0, p.rand.IntN(2) == 0
	return p
}

// What is in a request that records a run as completed, and in one that tidies up after its event
// was sent, as the wire has it.
var (
	recording = []byte(`"key":"done!1f`)
	tidying   = []byte(`"operationType":"Delete"`)
)

// strike says when, seen from a store call, to kill the handler.
func (p *plan) strike(body []byte) moment {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.calls++
	switch {
	case p.record && bytes.Contains(body, recording):
		p.record = false
		p.tally.recorded++
		return done
	case p.settle && bytes.Contains(body, tidying):
		p.settle = false
		p.tally.recorded++
		return asked
	}
	return p.kills[p.tally.calls]
}

func (p *plan) soon() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Duration(p.rand.IntN(40)) * time.Millisecond
}

// fault is what goes wrong with a store call.
func (p *plan) fault(*http.Request) cosmosfake.Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rand == nil || p.rand.Float64() >= faulty {
		return cosmosfake.Fault{}
	}
	p.tally.faults++
	after := p.rand.IntN(2) == 0 // it was done all the same
	wait := time.Duration(1+p.rand.IntN(20)) * time.Millisecond
	if p.rand.Float64() < hang {
		return cosmosfake.Fault{Hang: true, After: after}
	}
	// After the last two the SDK waits a second before it reads again.
	switch n := p.rand.IntN(20); {
	case n < 9:
		return cosmosfake.Fault{Status: http.StatusTooManyRequests, RetryAfter: wait}
	case n < 16:
		return cosmosfake.Fault{Status: http.StatusServiceUnavailable, RetryAfter: wait, After: after}
	case n < 18:
		return cosmosfake.Fault{Status: http.StatusRequestTimeout, RetryAfter: wait, After: after}
	default:
		return cosmosfake.Fault{Drop: true, After: after}
	}
}

// chance is true so often, and counts it.
func (p *plan) chance(share float64, count func(*tally)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rand == nil || p.rand.Float64() >= share {
		return false
	}
	if count != nil {
		count(&p.tally)
	}
	return true
}

func (p *plan) count(count func(*tally)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	count(&p.tally)
}

func (p *plan) shuffle(n int, swap func(i, j int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rand != nil {
		p.rand.Shuffle(n, swap)
	}
}

func (p *plan) total() tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tally
}
