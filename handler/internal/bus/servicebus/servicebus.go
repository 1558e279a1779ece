// Package servicebus is a bus on Azure Service Bus, over AMQP. The handler only sends; receiving
// and settling are for tools, tests and the Functions host for a laptop, since in Azure the
// Functions host receives. Queues and topics are made by the estate's template (infra/bicep),
// and have their own lock times, delivery counts and duplicate windows.
package servicebus

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	sdk "github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/go-amqp"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
)

// Options are where the bus is.
type Options struct {
	Namespace string // NAME.servicebus.windows.net
	// Endpoint and TLS are for a stand-in: an address to dial instead of the namespace's,
	// and who is trusted there.
	Endpoint string
	TLS      *tls.Config
	// Patience is how long Receive waits for a message; default a second. Gathering is how long
	// it waits for each further one, once it has one to give; default 20 ms.
	Patience, Gathering time.Duration
}

// Bus implements bus.Broker. Receive's lock time and count of deliveries are the queue's own,
// whatever the caller asks for.
type Bus struct {
	client              *sdk.Client
	patience, gathering time.Duration

	mu        sync.Mutex
	senders   map[string]*sdk.Sender
	receivers map[string]*receiver
}

// receiver is a queue's; it receives for one caller at a time.
type receiver struct {
	*sdk.Receiver
	mu     sync.Mutex
	linked bool
}

var _ bus.Broker = (*Bus)(nil)

// Open is a bus over a namespace. It connects when it is first used.
func Open(cred azcore.TokenCredential, o Options) (*Bus, error) {
	switch {
	case cred == nil:
		return nil, fault.New(fault.Unconfigured, "Service Bus needs a credential")
	case o.Namespace == "":
		return nil, fault.New(fault.Unconfigured, "Service Bus needs a namespace")
	}
	if o.Patience == 0 {
		o.Patience = time.Second
	}
	if o.Gathering == 0 {
		o.Gathering = 20 * time.Millisecond
	}
	client, err := sdk.NewClient(o.Namespace, cred, &sdk.ClientOptions{
		TLSConfig: o.TLS, CustomEndpoint: o.Endpoint, ApplicationID: "polis",
		RetryOptions: sdk.RetryOptions{MaxRetries: 4, RetryDelay: 100 * time.Millisecond, MaxRetryDelay: 3 * time.Second},
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening Service Bus")
	}
	return &Bus{client: client, patience: o.Patience, gathering: o.Gathering, senders: map[string]*sdk.Sender{}, receivers: map[string]*receiver{}}, nil
}

// Close implements bus.Broker.
func (b *Bus) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return wrap(ctx, b.client.Close(ctx), "closing Service Bus")
}

// wrap gives the service's errors the bus's kinds.
func wrap(ctx context.Context, err error, doing string) error {
	var e *sdk.Error
	var refused *amqp.Error // not all of them are the client's own errors
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fault.Wrap(fault.Cancelled, errors.Join(ctx.Err(), err), "%s", doing)
	case errors.Is(err, sdk.ErrMessageTooLarge):
		return fault.Wrap(fault.TooLarge, err, "%s", doing)
	case errors.As(err, &refused) && refused.Condition == amqp.ErrCondNotFound:
		return fault.Wrap(fault.Unconfigured, err, "%s: there is no such queue or topic", doing)
	case errors.As(err, &e):
		switch e.Code {
		case sdk.CodeLockLost:
			return fault.Wrap(fault.Conflict, err, "%s", doing)
		case sdk.CodeUnauthorizedAccess:
			return fault.Wrap(fault.Unconfigured, err, "%s: the identity has no role there", doing)
		case sdk.CodeNotFound:
			return fault.Wrap(fault.Unconfigured, err, "%s: there is no such queue or topic", doing)
		}
	}
	return fault.Wrap(fault.Unavailable, err, "%s", doing)
}

func (b *Bus) sender(name string) (*sdk.Sender, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.senders[name]; s != nil {
		return s, nil
	}
	s, err := b.client.NewSender(name, nil)
	if err == nil {
		b.senders[name] = s
	}
	return s, fault.Wrap(fault.Unavailable, err, "opening a queue to send to")
}

func (b *Bus) receiver(name string, dead bool) (*receiver, error) {
	var o sdk.ReceiverOptions
	key := name
	if dead {
		o.SubQueue = sdk.SubQueueDeadLetter
		key += "/$dead"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.receivers[key]; r != nil {
		return r, nil
	}
	r, err := b.client.NewReceiverForQueue(name, &o)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "opening a queue to receive from")
	}
	b.receivers[key] = &receiver{Receiver: r}
	return b.receivers[key], nil
}

// The client gives an id to messages without; see also bus.OriginalID.
func outgoing(m *bus.Message, replay bool) *sdk.Message {
	out := &sdk.Message{Body: m.Body, ApplicationProperties: map[string]any{}}
	for k, v := range m.Properties {
		out.ApplicationProperties[k] = v
	}
	if replay {
		delete(out.ApplicationProperties, bus.Tries)
		delete(out.ApplicationProperties, bus.Since)
	}
	out.MessageID = to.Ptr(m.ID)
	if m.ID == "" || replay {
		out.ApplicationProperties[bus.OriginalID] = m.ID
		out.MessageID = to.Ptr(rand.Text())
	}
	for _, f := range []struct {
		from string
		to   **string
	}{{m.ContentType, &out.ContentType}, {m.Subject, &out.Subject}, {m.CorrelationID, &out.CorrelationID}} {
		if f.from != "" {
			*f.to = to.Ptr(f.from)
		}
	}
	if !m.Due.IsZero() {
		out.ScheduledEnqueueTime = to.Ptr(m.Due.UTC())
	}
	return out
}

// Send implements bus.Sender: in batches as large as the service takes.
func (b *Bus) Send(ctx context.Context, queue string, msgs ...bus.Message) error {
	return b.send(ctx, queue, msgs, false)
}

func (b *Bus) send(ctx context.Context, queue string, msgs []bus.Message, replay bool) error {
	const doing = "sending messages"
	if queue == "" {
		return fault.New(fault.Invalid, "a queue has a name")
	}
	if err := ctx.Err(); err != nil || len(msgs) == 0 {
		return wrap(ctx, err, doing)
	}
	s, err := b.sender(queue)
	if err != nil {
		return err
	}
	var batch *sdk.MessageBatch
	flush := func() error {
		if batch == nil || batch.NumMessages() == 0 {
			return nil
		}
		full := batch
		batch = nil
		return wrap(ctx, s.SendMessageBatch(ctx, full, nil), doing)
	}
	for i := 0; i < len(msgs); {
		if batch == nil {
			if batch, err = s.NewMessageBatch(ctx, nil); err != nil {
				return wrap(ctx, err, doing)
			}
		}
		switch err := batch.AddMessage(outgoing(&msgs[i], replay), nil); {
		case err == nil:
			i++
		case errors.Is(err, sdk.ErrMessageTooLarge) && batch.NumMessages() > 0:
			if err := flush(); err != nil {
				return err
			}
		default:
			return wrap(ctx, err, doing)
		}
	}
	return flush()
}

func incoming(m *sdk.ReceivedMessage, queue string, dead bool) bus.Delivery {
	d := bus.Delivery{Queue: queue, Attempt: int(m.DeliveryCount)}
	d.ID, d.Body = m.MessageID, m.Body
	for _, f := range []struct {
		from *string
		to   *string
	}{
		{m.ContentType, &d.ContentType},
		{m.Subject, &d.Subject},
		{m.CorrelationID, &d.CorrelationID},
		{m.DeadLetterReason, &d.DeadReason},
		{m.DeadLetterErrorDescription, &d.DeadDetail},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	for k, v := range m.ApplicationProperties {
		text, ok := v.(string)
		switch {
		case !ok || dead && (k == "DeadLetterReason" || k == "DeadLetterErrorDescription"):
		case k == bus.OriginalID:
			d.ID = text
		default:
			if d.Properties == nil {
				d.Properties = map[string]string{}
			}
			d.Properties[k] = text
		}
	}
	for _, f := range []struct {
		from *time.Time
		to   *time.Time
	}{{m.EnqueuedTime, &d.Enqueued}, {m.LockedUntil, &d.LockedUntil}, {m.ScheduledEnqueueTime, &d.Due}} {
		if f.from != nil {
			*f.to = f.from.UTC()
		}
	}
	if m.SequenceNumber != nil {
		d.Sequence = *m.SequenceNumber
	}
	if dead && m.EnqueuedSequenceNumber != nil {
		d.Sequence = *m.EnqueuedSequenceNumber // as it was in the queue
	}
	if m.LockToken != [16]byte{} {
		d.LockToken = hex.EncodeToString(m.LockToken[:])
	}
	return d
}

// Receive implements bus.Broker. It asks for one message at a time: what it had asked for
// beyond those that came would be delivered to it later, and lie there locked.
func (b *Bus) Receive(ctx context.Context, queue string, max int, lock time.Duration, _ int) ([]bus.Delivery, error) {
	const doing = "receiving messages"
	switch {
	case lock <= 0:
		return nil, fault.New(fault.Invalid, "a lock takes time")
	case ctx.Err() != nil:
		return nil, wrap(ctx, ctx.Err(), doing)
	case max <= 0:
		return nil, nil
	}
	r, err := b.receiver(queue, false)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []bus.Delivery
	for wait := b.patience; len(out) < max; wait = b.gathering {
		m, err := r.next(ctx, wait)
		switch {
		case err != nil && len(out) == 0:
			return nil, wrap(ctx, err, doing)
		case m == nil:
			return out, nil
		}
		out = append(out, incoming(m, queue, false))
	}
	return out, nil
}

// next is the next message, or none where there was none for so long. The time that it takes to
// connect does not count.
func (r *receiver) next(ctx context.Context, patience time.Duration) (*sdk.ReceivedMessage, error) {
	if !r.linked {
		if _, err := r.PeekMessages(ctx, 1, nil); err != nil {
			return nil, err
		}
		r.linked = true
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := r.ReceiveMessages(waiting, 1, nil)
	switch {
	case len(got) > 0:
		return got[0], nil
	case err != nil && waiting.Err() != nil && ctx.Err() == nil:
		return nil, nil
	}
	return nil, err
}

// settle does something to a locked message by its token, in whatever process it was received.
func (b *Bus) settle(ctx context.Context, d bus.Delivery, doing string, do func(*receiver, *sdk.ReceivedMessage) error) error {
	if err := ctx.Err(); err != nil {
		return wrap(ctx, err, doing)
	}
	token, err := hex.DecodeString(d.LockToken)
	m := &sdk.ReceivedMessage{}
	if err != nil || copy(m.LockToken[:], token) != len(m.LockToken) {
		return fault.New(fault.Conflict, "%s: the lock is not, or no longer, held", doing)
	}
	r, err := b.receiver(d.Queue, false)
	if err != nil {
		return err
	}
	return wrap(ctx, do(r, m), doing)
}

// Complete implements bus.Broker.
func (b *Bus) Complete(ctx context.Context, d bus.Delivery) error {
	return b.settle(ctx, d, "completing a message", func(r *receiver, m *sdk.ReceivedMessage) error { return r.CompleteMessage(ctx, m, nil) })
}

// Abandon implements bus.Broker.
func (b *Bus) Abandon(ctx context.Context, d bus.Delivery) error {
	return b.settle(ctx, d, "abandoning a message", func(r *receiver, m *sdk.ReceivedMessage) error { return r.AbandonMessage(ctx, m, nil) })
}

// Renew implements bus.Broker.
func (b *Bus) Renew(ctx context.Context, d bus.Delivery, _ time.Duration) (bus.Delivery, error) {
	err := b.settle(ctx, d, "renewing a lock", func(r *receiver, m *sdk.ReceivedMessage) error {
		err := r.RenewMessageLock(ctx, m, nil)
		if err == nil && m.LockedUntil != nil {
			d.LockedUntil = m.LockedUntil.UTC()
		}
		return err
	})
	return d, err
}

// DeadLetter implements bus.Broker.
func (b *Bus) DeadLetter(ctx context.Context, d bus.Delivery, reason, detail string) error {
	return b.settle(ctx, d, "giving up a message", func(r *receiver, m *sdk.ReceivedMessage) error {
		return r.DeadLetterMessage(ctx, m, &sdk.DeadLetterOptions{Reason: &reason, ErrorDescription: &detail})
	})
}

// Peek implements bus.Broker.
func (b *Bus) Peek(ctx context.Context, queue string, dead bool, max int) ([]bus.Delivery, error) {
	var out []bus.Delivery
	err := b.look(ctx, queue, dead, func(m *sdk.ReceivedMessage) bool {
		if len(out) < max {
			d := incoming(m, queue, dead)
			d.LockToken, d.LockedUntil = "", time.Time{}
			if !dead {
				d.Attempt--
			}
			out = append(out, d)
		}
		return len(out) < max
	})
	return out, err
}

// page is how many messages are looked at in one request.
const page = 250

// look shows the messages of a queue in their order, until it is told to stop.
func (b *Bus) look(ctx context.Context, queue string, dead bool, see func(*sdk.ReceivedMessage) (more bool)) error {
	r, err := b.receiver(queue, dead)
	if err != nil {
		return err
	}
	for from := int64(0); ; {
		got, err := r.PeekMessages(ctx, page, &sdk.PeekMessagesOptions{FromSequenceNumber: &from})
		if err != nil || len(got) == 0 {
			return wrap(ctx, err, "looking at messages")
		}
		for _, m := range got {
			if m.SequenceNumber != nil {
				from = *m.SequenceNumber + 1
			}
			if !see(m) {
				return nil
			}
		}
	}
}

// Depth implements bus.Broker, by looking at every message: counting at once would take the
// right to manage the namespace.
func (b *Bus) Depth(ctx context.Context, queue string) (live, dead int, err error) {
	for _, q := range []struct {
		dead bool
		n    *int
	}{{false, &live}, {true, &dead}} {
		if err := b.look(ctx, queue, q.dead, func(*sdk.ReceivedMessage) bool { *q.n++; return true }); err != nil {
			return 0, 0, err
		}
	}
	return live, dead, nil
}

// Replay implements bus.Broker: each dead letter is sent again and then completed, so that a
// kill between leaves it twice rather than never.
func (b *Bus) Replay(ctx context.Context, queue string) (int, error) {
	const doing = "replaying dead letters"
	r, err := b.receiver(queue, true)
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := 0; ; n++ {
		m, err := r.next(ctx, b.patience)
		if err != nil || m == nil {
			return n, wrap(ctx, err, doing)
		}
		again := incoming(m, queue, true).Message
		again.Due = time.Time{}
		if err := b.send(ctx, queue, []bus.Message{again}, true); err != nil {
			return n, err
		}
		if err := r.CompleteMessage(ctx, m, nil); err != nil {
			return n, wrap(ctx, err, doing)
		}
	}
}
