package bustest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"polis/handler/internal/bus"
)

// RunApart tests a bus whose clock cannot be moved, and of which there is one queue, that nobody else uses: a
// subscription's. What waits for locks, windows and times to come is left out.
func RunApart(t *testing.T, open func(t *testing.T) bus.Broker) {
	for name, test := range map[string]func(*suite){
		"order":          testOrder,
		"abandon":        testAbandon,
		"cancelled":      testCancelled,
		"many receivers": testManyReceivers,
		"many messages":  testManyMessages,
	} {
		t.Run(name, func(t *testing.T) {
			s := &suite{T: t, bus: open(t), clock: NewClock()}
			t.Cleanup(func() {
				if err := s.bus.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
			test(s)
		})
	}
}

// Apart is a bus with one queue, whatever is asked for, and ids that begin with a name: those of an earlier test are in the
// duplicate window. Closed, it completes what was received and is still locked, which would come back in the next
// test.
func Apart(b bus.Broker, queue, name string) bus.Broker {
	return &apart{Broker: b, queue: queue, name: name, held: map[string]bus.Delivery{}}
}

type apart struct {
	bus.Broker
	queue, name string
	mu          sync.Mutex
	held        map[string]bus.Delivery // by lock
}

func (a *apart) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.held {
		_ = a.Complete(context.Background(), d) // most are settled already
	}
	return a.Broker.Close()
}

func (a *apart) Send(ctx context.Context, _ string, msgs ...bus.Message) error {
	named := make([]bus.Message, len(msgs))
	for i, m := range msgs {
		if m.ID != "" {
			m.ID = a.name + m.ID
		}
		named[i] = m
	}
	return a.Broker.Send(ctx, a.queue, named...)
}

func (a *apart) out(list []bus.Delivery, err error) ([]bus.Delivery, error) {
	for i := range list {
		list[i].ID = strings.TrimPrefix(list[i].ID, a.name)
	}
	return list, err
}

func (a *apart) Receive(ctx context.Context, _ string, most int, lock time.Duration, deliveries int) ([]bus.Delivery, error) {
	list, err := a.out(a.Broker.Receive(ctx, a.queue, most, lock, deliveries))
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range list {
		a.held[d.LockToken] = d
	}
	return list, err
}

func (a *apart) Peek(ctx context.Context, _ string, dead bool, most int) ([]bus.Delivery, error) {
	return a.out(a.Broker.Peek(ctx, a.queue, dead, most))
}

func (a *apart) Depth(ctx context.Context, _ string) (live, dead int, err error) {
	return a.Broker.Depth(ctx, a.queue)
}

func (a *apart) Replay(ctx context.Context, _ string) (int, error) {
	return a.Broker.Replay(ctx, a.queue)
}
