// Package ready says whether what requests need can be reached: unlike the constant answer of a
// program that is up, it sees a role that is missing, a name that leads nowhere, a key that is gone.
package ready

import (
	"context"
	"fmt"
	"sync"
	"time"

	"polis/handler/internal/fault"
)

// Kept is how long an answer stands for those that follow: whoever asks, and nobody needs a token
// for it, costs two reads in this time and no more. Our choice; probes ask every five minutes.
const Kept = 10 * time.Second

// Patience is how long what is asked may take: longer than a slow read, shorter than a probe waits
// (30 s). Our choice.
const Patience = 5 * time.Second

// Part is something that requests need. Ask reads from it what is of no tenant.
type Part struct {
	Name string
	Ask  func(context.Context) error
}

// Ready asks parts, and remembers for a while what came of it.
type Ready struct {
	parts []Part
	now   func() time.Time

	mu    sync.Mutex // held while asking: who comes meanwhile wants the same answer
	asked time.Time
	err   error
}

// New is of the parts, which are asked in their order. It panics where there is none or a clock is missing.
func New(now func() time.Time, parts ...Part) *Ready {
	if now == nil || len(parts) == 0 {
		panic("ready: a dependency is missing")
	}
	for _, p := range parts {
		if p.Name == "" || p.Ask == nil {
			panic("ready: a part without a name or a question")
		}
	}
	return &Ready{parts: parts, now: now}
}

// Ask is nil where every part answers. Otherwise it is of kind fault.Unavailable, and says to the
// caller no more than that; its cause, which is for the log, names the part.
func (r *Ready) Ask(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if !r.asked.IsZero() && now.Sub(r.asked) < Kept {
		return r.err
	}
	// The answer is for others as well: a caller who leaves does not make it a bad one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel()
	r.err = r.each(ctx)
	r.asked = now
	return r.err
}

func (r *Ready) each(ctx context.Context) error {
	for _, p := range r.parts {
		if err := p.Ask(ctx); err != nil {
			return fault.Wrap(fault.Unavailable, fmt.Errorf("asking %s: %w", p.Name, err), "not ready")
		}
	}
	return nil
}
