// Package invoke takes the calls that the Functions host makes for queue and timer
// functions: a POST to /<FunctionName> with the event in an envelope. HTTP functions
// do not come this way.
package invoke

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/trace"
)

// Message is a queue message as it came. Nothing in it may be trusted but that it was
// on the queue: a message's own properties overwrite those of the host.
type Message struct {
	ID     string
	Body   []byte
	Parent string // the trace that it is of, as its sender said
	Tries  int    // how often it was sent again for later, since it failed for a passing reason

	Deliveries int // how often it has come, this time included, and what it was sent again as; 0 where that is not known

	sequence string      // its number in the queue, a redelivery's too; "" where the host does not say
	since    string      // when it was first put on the queue, as the host writes times
	sent     bus.Message // as its sender sent it, but for its body
}

// Queue answers messages. What fails for a passing reason is Unavailable, or Unconfigured (a right or a setting
// that is missing is no fault of the message), and comes again: see Backoff. What can never succeed is
// an error of a kind other than these, Cancelled or Internal: it goes to the dead letters.
type Queue func(ctx context.Context, m Message) error

// Timer answers the tick of a schedule.
type Timer func(ctx context.Context) error

// DeadLetters keeps messages that can never succeed. A custom handler cannot
// dead-letter on the bus: it can only complete a message or give it back.
type DeadLetters interface {
	Put(ctx context.Context, function string, m Message, reason string) error
}

// Functions are the functions by name.
type Functions struct {
	Queues map[string]Queue
	Timers map[string]Timer
}

// maxEnvelope bounds a call: a Service Bus Premium message is at most 100 MB, and one
// that holds work for Polis has no reason to be larger than this.
const maxEnvelope = 16 << 20

// New answers the host's calls.
func New(f Functions, dead DeadLetters, later *Backoff, log zerolog.Logger) http.Handler {
	if dead == nil || later == nil {
		panic("invoke: no dead letters or no back-off")
	}
	return &handler{f, dead, later, log}
}

type handler struct {
	f     Functions
	dead  DeadLetters
	later *Backoff
	log   zerolog.Logger
}

// envelope is what the host sends.
type envelope struct {
	Data     map[string]json.RawMessage `json:"Data"`
	Metadata map[string]json.RawMessage `json:"Metadata"`
}

// ServeHTTP implements http.Handler. Only what carries the host's invocation header is
// a call: a catch-all HTTP route would let others reach these paths.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Azure-Functions-InvocationId")
	name := strings.TrimPrefix(r.URL.Path, "/")
	queue, isQueue := h.f.Queues[name]
	timer, isTimer := h.f.Timers[name]
	if id == "" || r.Method != http.MethodPost || !isQueue && !isTimer {
		http.NotFound(w, r)
		return
	}
	log := h.log.With().Str("invocation", id).Str("function", name).Logger()
	started := time.Now()
	oldest, err := h.call(r, name, queue, timer, log)
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
		log.Warn().Err(err).Msg("the call failed: the host will try again")
	}
	said := log.Info().Int("status", status).Float64("ms", float64(time.Since(started).Microseconds())/1000)
	if !oldest.IsZero() {
		// The platform says how many messages wait, and not for how long: an alert reads it here.
		said = said.Float64("waited_s", max(0, started.Sub(oldest).Seconds()))
	}
	said.Msg("invocation")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// Always an object: on null or nothing the host would wait until its time-out.
	_, _ = io.WriteString(w, `{"Outputs":{},"Logs":[],"ReturnValue":""}`)
}

// call answers a call, and says since when the oldest of its messages had waited; zero where it
// brought none or the host does not say.
func (h *handler) call(r *http.Request, name string, queue Queue, timer Timer, log zerolog.Logger) (oldest time.Time, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, "the call broke off")
		}
	}()
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return oldest, fault.New(fault.Unsupported, "a call is application/json")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxEnvelope+1))
	if err != nil {
		return oldest, fault.Wrap(fault.Unavailable, err, "reading a call")
	}
	if len(body) > maxEnvelope {
		return oldest, fault.New(fault.TooLarge, "a call of more than %d bytes", maxEnvelope)
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return oldest, fault.New(fault.Malformed, "a call that is no envelope")
	}
	if timer != nil {
		return oldest, timer(r.Context())
	}
	oldest = e.oldest()
	messages, err := e.messages()
	if err != nil {
		return oldest, err
	}
	for _, m := range messages {
		if err := h.message(r.Context(), name, queue, m, log); err != nil {
			return oldest, err
		}
	}
	return oldest, nil
}

// message answers one message, sends again for later what failed for a passing reason, and puts what
// can never succeed aside.
func (h *handler) message(ctx context.Context, name string, queue Queue, m Message, log zerolog.Logger) error {
	ctx = trace.With(ctx, m.Parent)
	err := queue(ctx, m)
	if passing(err) {
		return h.again(ctx, name, &m, err, log)
	}
	switch fault.KindOf(err) {
	case fault.Internal, fault.Cancelled:
		return err // nil, or worth another try
	}
	var f *fault.Error
	reason := "cannot succeed"
	if errors.As(err, &f) {
		reason = f.Kind.String() + ": " + f.Detail
	}
	log.Warn().Str("reason", reason).Msg("a message goes to the dead letters")
	err = h.dead.Put(ctx, name, m, reason)
	if passing(err) {
		return h.again(ctx, name, &m, err, log)
	}
	return err
}

// again sends a message again for later; why it failed is what the host hears where that cannot be, or not any more.
func (h *handler) again(ctx context.Context, name string, m *Message, why error, log zerolog.Logger) error {
	sent, lost := h.later.again(ctx, name, m)
	if !sent {
		return errors.Join(why, lost)
	}
	log.Warn().Err(why).Int("tries", m.Tries).Dur("wait_ms", Wait(m.Tries)).Msg("a message is sent again for later")
	return nil
}

// messages finds the trigger's value, whatever its binding is called. A string is
// JSON in JSON, decoded twice; a batch may be an array or a string that holds one.
func (e envelope) messages() ([]Message, error) {
	if len(e.Data) != 1 {
		return nil, fault.New(fault.Malformed, "an envelope with %d values, one is expected", len(e.Data))
	}
	for _, raw := range e.Data {
		body := raw
		if _, batch := e.Metadata["MessageIdArray"]; batch {
			return batchOf(unquote(raw))
		}
		return []Message{e.message(unquote(body))}, nil
	}
	return nil, nil
}

// deliveries is the host's count, or what a message's own property of that name has put in
// its place: no queue delivers more often than maxDeliveries.
func (e envelope) deliveries() int {
	n, err := strconv.Atoi(text(e.Metadata["DeliveryCount"]))
	if err != nil {
		return 0
	}
	return max(0, min(n, maxDeliveries))
}

// maxDeliveries bounds what is believed of a count of deliveries: our queues' own is 10.
const maxDeliveries = 100

// oldest is when the first of the messages was put on its queue: by its first sending, however
// often it was given back or sent again since.
func (e envelope) oldest() time.Time {
	all := []json.RawMessage{e.Metadata["EnqueuedTimeUtc"], e.properties()[bus.Since]}
	if list, batch := e.Metadata["EnqueuedTimeUtcArray"]; batch && json.Unmarshal(unquote(list), &all) != nil {
		return time.Time{}
	}
	var first time.Time
	for _, raw := range all {
		s := text(raw)
		// UTC, with or without saying so: that differs between versions of the extension.
		t, err := time.Parse("2006-01-02T15:04:05.999999999", strings.TrimSuffix(strings.TrimSuffix(s, "+00:00"), "Z"))
		if err == nil && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// properties are a message's own; none where they are not there or are not as they should be.
func (e envelope) properties() (p map[string]json.RawMessage) {
	if json.Unmarshal(unquote(e.Metadata["ApplicationProperties"]), &p) != nil {
		return nil
	}
	return p
}

// message is the one message of an envelope.
func (e envelope) message(body []byte) Message {
	m := Message{ID: text(e.Metadata["MessageId"]), Body: body, Deliveries: e.deliveries(), sequence: text(e.Metadata["SequenceNumber"]), since: text(e.Metadata["EnqueuedTimeUtc"])}
	m.sent = bus.Message{ContentType: text(e.Metadata["ContentType"]), Subject: text(e.Metadata["Subject"]), CorrelationID: text(e.Metadata["CorrelationId"])}
	if m.sent.Subject == "" {
		m.sent.Subject = text(e.Metadata["Label"]) // what older hosts call it
	}
	properties := e.properties()
	m.sent.Properties = make(map[string]string, len(properties))
	for name, value := range properties {
		m.sent.Properties[name] = text(value)
	}
	if id := m.sent.Properties[bus.OriginalID]; id != "" {
		m.ID = id
	}
	// The trace context is under its name by the W3C, or the one that clients for .NET give it.
	if m.Parent = m.sent.Properties[trace.Parent]; m.Parent == "" {
		m.Parent = m.sent.Properties["Diagnostic-Id"]
	}
	if tries, err := strconv.ParseUint(m.sent.Properties[bus.Tries], 10, 16); err == nil {
		m.Tries = min(int(tries), MostWaits)
	}
	if m.Deliveries > 0 {
		m.Deliveries += m.Tries // each of which came once at least
	}
	if first := m.sent.Properties[bus.Since]; first != "" {
		m.since = first
	}
	return m
}

func batchOf(raw []byte) ([]Message, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fault.New(fault.Malformed, "a batch that is no array")
	}
	var out []Message
	for _, el := range list {
		out = append(out, Message{Body: unquote(el)})
	}
	return out, nil
}

// unquote undoes up to two layers of a string; what is no string is left as it is. A
// plain text that only looks like JSON stays text.
func unquote(raw []byte) []byte {
	for range 2 {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return raw
		}
		raw = []byte(s)
	}
	return raw
}

func text(raw json.RawMessage) string { return string(unquote(raw)) }
