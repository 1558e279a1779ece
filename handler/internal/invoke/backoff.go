package invoke

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strconv"
	"time"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
)

// A message that fails for a passing reason is not given back, since the bus would deliver it again at
// once, ten times within seconds, and then put it in its dead letters. It is sent again as a scheduled message,
// and then settled; how often that was done is one of its properties. What still fails after MostWaits is given
// back, and the bus's own count goes on from there.
//
// The copy's id is made of the number that the bus gave the message, so that one who is killed between the
// sending and the settling, and then sends it again, sends a duplicate, which the bus drops.

// Waits between deliveries double from FirstWait to LongestWait. Our choice: with MostWaits they add up to
// 18 minutes, in which a regional failover of Cosmos DB ends, and are short enough at first
// for what passes by itself.
const (
	FirstWait   = 2 * time.Second
	LongestWait = 5 * time.Minute
	MostWaits   = 10
)

// Wait is how long a message waits that was sent again so many times before.
func Wait(tries int) time.Duration {
	w := FirstWait
	for ; tries > 0 && w < LongestWait; tries-- {
		w *= 2
	}
	return min(w, LongestWait)
}

// Backoff sends messages again for later.
type Backoff struct {
	bus    bus.Sender
	queues map[string]string
	now    func() time.Time
}

// NewBackoff sends to the queues from which functions receive, by the function's name.
func NewBackoff(to bus.Sender, queues map[string]string, now func() time.Time) *Backoff {
	if to == nil || queues == nil || now == nil {
		panic("invoke: no bus, queues or clock")
	}
	return &Backoff{to, queues, now}
}

// again sends a message again for later; false where it is to be given back instead.
func (b *Backoff) again(ctx context.Context, function string, m *Message) (bool, error) {
	queue, ok := b.queues[function]
	if !ok || m.sequence == "" || m.Tries >= MostWaits {
		return false, nil
	}
	again := m.sent
	again.Body = m.Body
	// The number is the host's word, unless a property of the message's own has its name: so the id is of the whole.
	sum := sha256.Sum256([]byte(m.sequence + "\x1f" + m.ID + "\x1f" + string(m.Body)))
	again.ID = "again/" + hex.EncodeToString(sum[:16])
	again.Due = b.now().Add(Wait(m.Tries))
	again.Properties = maps.Clone(m.sent.Properties)
	if again.Properties == nil {
		again.Properties = map[string]string{}
	}
	again.Properties[bus.OriginalID] = m.ID
	again.Properties[bus.Since] = m.since
	again.Properties[bus.Tries] = strconv.Itoa(m.Tries + 1)
	if err := b.bus.Send(ctx, queue, again); err != nil {
		return false, fmt.Errorf("sending a message again for later: %w", err)
	}
	return true, nil
}

// passing reports whether a message may do better later: something that it needs is away or refuses it. What
// broke off or is our fault is given back at once.
func passing(err error) bool {
	return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Unconfigured)
}
