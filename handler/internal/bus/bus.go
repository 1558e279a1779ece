// Package bus says how Polis's parts send each other work: durable queues with
// locks, delivery counts and dead letters, as Azure Service Bus has them.
package bus

import (
	"context"
	"time"
)

// Properties of Polis's own.
const (
	// OriginalID holds a message's id where it cannot go by that: what is sent again within the duplicate
	// window needs another.
	OriginalID = "polis-id"
	// Tries counts how often a message was sent again for later, and Since is when it was first put on its
	// queue. A replay begins anew.
	Tries = "polis-tries"
	Since = "polis-since"
)

// Message is what a sender puts on a queue.
type Message struct {
	ID            string // the sender's; a second message with an ID seen within the duplicate window is dropped
	Body          []byte
	ContentType   string
	Subject       string
	CorrelationID string
	Properties    map[string]string // application properties; traceparent travels here
	Due           time.Time         // zero: at once. Otherwise not delivered before
}

// Delivery is a message as a receiver holds it, locked until LockedUntil.
type Delivery struct {
	Message
	Queue        string
	Sequence     int64
	Attempt      int // 1 on the first delivery
	Enqueued     time.Time
	LockToken    string
	LockedUntil  time.Time
	DeadReason   string // only on dead letters
	DeadDetail   string
	DeadEnqueued time.Time // zero where the bus does not tell
}

// Sender is all that the handler needs of a bus: receiving is the Functions host's work.
type Sender interface {
	// Send puts messages on a queue, all durable when it returns nil. After an
	// error some may have been sent: IDs make a second try safe.
	Send(ctx context.Context, queue string, msgs ...Message) error
}

// Broker is the whole of a bus: what the local host, tests and tools need.
type Broker interface {
	Sender

	// Receive locks up to max messages that are due, oldest first, for the given
	// time, and returns at once, possibly with none. A message whose lock ran out
	// comes again with a higher Attempt; one delivered maxDeliveries times goes
	// to the queue's dead letters instead (maxDeliveries 0: never).
	Receive(ctx context.Context, queue string, max int, lock time.Duration, maxDeliveries int) ([]Delivery, error)

	// Complete, Abandon, Renew and DeadLetter settle or keep a locked message;
	// with a lock that ran out they fail with fault.Conflict.
	Complete(ctx context.Context, d Delivery) error
	Abandon(ctx context.Context, d Delivery) error
	Renew(ctx context.Context, d Delivery, lock time.Duration) (Delivery, error)
	DeadLetter(ctx context.Context, d Delivery, reason, detail string) error

	// Peek lists up to max messages (dead: the dead letters) without locking them.
	Peek(ctx context.Context, queue string, dead bool, max int) ([]Delivery, error)

	// Depth counts messages: waiting or locked, and dead.
	Depth(ctx context.Context, queue string) (live, dead int, err error)

	// Replay puts the queue's dead letters back, attempts starting anew; it says how many.
	Replay(ctx context.Context, queue string) (int, error)

	Close() error
}
