package main

import (
	"context"
	"sync"
	"time"

	"polis/handler/internal/bus"
	"polis/handler/internal/bus/servicebus"
)

// unruly is a bus as the Functions host sees it on a bad day: messages overtake each other, come
// again after they were done, and lose their locks while they are worked on.
type unruly struct {
	*servicebus.Bus
	plan *plan

	mu   sync.Mutex
	held map[string][]bus.Delivery // by queue: what others overtake
}

// Receive implements bus.Broker.
func (u *unruly) Receive(ctx context.Context, queue string, max int, lock time.Duration, deliveries int) ([]bus.Delivery, error) {
	if out := u.release(queue, max); len(out) > 0 {
		return out, nil
	}
	got, err := u.Bus.Receive(ctx, queue, max, lock, deliveries)
	var out []bus.Delivery
	for _, d := range got {
		if d.Attempt > 1 {
			u.plan.count(func(t *tally) { t.again++ })
		}
		switch {
		case u.plan.chance(heldBack, func(t *tally) { t.shuffled++ }):
			u.mu.Lock()
			u.held[queue] = append(u.held[queue], d)
			u.mu.Unlock()
			continue
		case u.plan.chance(lockLost, nil):
			if err := u.Abandon(ctx, d); err != nil {
				return out, err
			}
		}
		out = append(out, d)
	}
	u.plan.shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out, err
}

// release gives some of what was held back, in any order.
func (u *unruly) release(queue string, max int) []bus.Delivery {
	u.mu.Lock()
	defer u.mu.Unlock()
	held := u.held[queue]
	u.plan.shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	n := 0
	for n < min(max, len(held)) && u.plan.chance(0.5, nil) {
		n++
	}
	u.held[queue] = held[n:]
	return held[:n:n]
}

// Complete implements bus.Broker.
func (u *unruly) Complete(ctx context.Context, d bus.Delivery) error {
	if u.plan.chance(again, nil) {
		return u.Abandon(ctx, d)
	}
	return u.Bus.Complete(ctx, d)
}
