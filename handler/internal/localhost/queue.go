package localhost

import (
	"context"
	"time"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
)

// The queue is asked again at once while messages come, and ever less often,
// down to idleMost, while none do: the handler and other programs send through
// the same database, so nobody can wake us.
const (
	idleLeast = 2 * time.Millisecond
	idleMost  = 50 * time.Millisecond

	faultWait = time.Second // after the bus could not be asked, or the handler not be reached

	settleWait = 5 * time.Second // for settling messages while the host ends
)

// queuePump feeds a queue's messages to its function.
type queuePump struct {
	host *Host
	fn   *function
}

func (q *queuePump) run(ctx context.Context) error {
	free := make(chan struct{}, q.host.cfg.maxCalls)
	for range cap(free) {
		free <- struct{}{}
	}
	idle := idleLeast
	for {
		// Without a handler a message would only lose one of its deliveries.
		if _, err := q.host.handler.ready(ctx); err != nil {
			<-ctx.Done()
			return nil
		}
		n := takePlaces(ctx, free)
		if n == 0 {
			return nil
		}
		batch, err := q.host.broker.Receive(ctx, q.fn.trigger.QueueName, n, q.host.lock, q.host.maxDeliveries)
		for range n - len(batch) {
			free <- struct{}{}
		}
		for _, d := range batch {
			q.host.background(func() {
				defer func() { free <- struct{}{} }()
				q.handle(ctx, d)
			})
		}
		switch {
		case len(batch) > 0:
			idle = idleLeast
			continue
		case err != nil && ctx.Err() == nil:
			q.host.log.Error().Err(err).Str("queue", q.fn.trigger.QueueName).Msg("receive failed")
			idle = faultWait
		}
		if !pause(ctx, idle) {
			return nil
		}
		idle = min(2*idle, idleMost)
	}
}

// takePlaces waits for one free place and takes all there are; 0 when ctx ended.
func takePlaces(ctx context.Context, free chan struct{}) int {
	select {
	case <-ctx.Done():
		return 0
	case <-free:
	}
	for n := 1; ; n++ {
		select {
		case <-free:
		default:
			return n
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// handle calls the function with one message and settles it: complete on
// success, abandon on failure, at once where the handler says so, as the host in
// Azure does. The broker counts and dead-letters.
func (q *queuePump) handle(ctx context.Context, d bus.Delivery) {
	c := q.host.newCall(q.fn)
	c.log = c.log.With().Int64("sequence", d.Sequence).Int("attempt", d.Attempt).Logger()
	keep := q.keepLocked(ctx, c, d)
	_, err := q.host.invoke(ctx, c, q.envelope(d.Body, deliveryMetadata(d)))
	c.done(err)
	if fault.Is(err, fault.Unavailable) {
		// The handler has ended, and who starts it again will know in a moment: until then
		// a message must not lose all its deliveries.
		pause(ctx, faultWait)
	}
	d = keep()

	// The host may be ending: what is settled now need not wait for its lock to run out.
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWait)
	defer cancel()
	if err != nil {
		err = q.host.broker.Abandon(settle, d)
	} else {
		err = q.host.broker.Complete(settle, d)
	}
	if err != nil {
		c.log.Error().Err(err).Msg("the message could not be settled: it comes again when its lock has run out")
	}
}

// keepLocked renews a message's lock until the function it returns is called,
// which gives the delivery with its latest lock; and no longer than host.json allows.
func (q *queuePump) keepLocked(ctx context.Context, c *call, d bus.Delivery) func() bus.Delivery {
	ctx, cancel := context.WithCancel(ctx)
	last := make(chan bus.Delivery, 1)
	go func() {
		defer func() { last <- d }()
		for end := time.Now().Add(q.host.cfg.maxRenews); pause(ctx, q.host.lock/2) && time.Now().Before(end); {
			renewed, err := q.host.broker.Renew(ctx, d, q.host.lock)
			switch {
			case err == nil:
				d = renewed
			case ctx.Err() != nil:
				return
			case fault.Is(err, fault.Conflict):
				c.log.Warn().Msg("the message's lock was lost")
				return
			default:
				c.log.Warn().Err(err).Msg("the message's lock could not be renewed")
			}
		}
	}()
	return func() bus.Delivery {
		cancel()
		return <-last
	}
}

// byHand calls the function as if the input were a message.
func (q *queuePump) byHand(ctx context.Context, input []byte) {
	c := q.host.newCall(q.fn)
	_, err := q.host.invoke(ctx, c, q.envelope(input, map[string]any{}))
	c.done(err)
}

func (q *queuePump) envelope(body []byte, metadata map[string]any) envelope {
	var data any = string(body)
	if q.fn.trigger.binary() {
		data = body
	}
	e := envelope{Data: map[string]any{q.fn.trigger.Name: data}, Metadata: metadata}
	e.spread(body)
	return e
}

// neverExpires is Service Bus's date for a message without a time to live.
var neverExpires = time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC)

// deliveryMetadata is what the host says of a Service Bus message.
func deliveryMetadata(d bus.Delivery) map[string]any {
	properties := d.Properties
	if properties == nil {
		properties = map[string]string{}
	}
	m := map[string]any{
		"DeliveryCount":         d.Attempt,
		"LockToken":             d.LockToken,
		"ExpiresAtUtc":          plainTime(neverExpires),
		"EnqueuedTimeUtc":       plainTime(d.Enqueued),
		"MessageId":             d.ID,
		"SequenceNumber":        d.Sequence,
		"ApplicationProperties": properties,
		"UserProperties":        properties,
	}
	for name, v := range map[string]string{
		"ContentType": d.ContentType, "Subject": d.Subject, "Label": d.Subject, "CorrelationId": d.CorrelationID,
	} {
		if v != "" {
			m[name] = v
		}
	}
	for _, name := range []string{"MessageReceiver", "MessageSession", "MessageActions", "SessionActions", "Client", "ReceiveActions"} {
		m[name] = struct{}{}
	}
	return m
}
