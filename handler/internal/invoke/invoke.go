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

	"polis/handler/internal/fault"
	"polis/handler/internal/trace"
)

// Message is a queue message as it came. Nothing in it may be trusted but that it was
// on the queue: a message's own properties overwrite those of the host.
type Message struct {
	ID     string
	Body   []byte
	Parent string // the trace that it is of, as its sender said

	Deliveries int // how often it has come, this time included; 0 where that is not known
}

// Queue answers messages. What can never succeed is an error of a kind other than
// Unavailable, Cancelled or Internal: it goes to the dead letters.
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
func New(f Functions, dead DeadLetters, log zerolog.Logger) http.Handler {
	if dead == nil {
		panic("invoke: no dead letters")
	}
	return &handler{f, dead, log}
}

type handler struct {
	f    Functions
	dead DeadLetters
	log  zerolog.Logger
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

// message answers one message, and puts what can never succeed aside.
func (h *handler) message(ctx context.Context, name string, queue Queue, m Message, log zerolog.Logger) error {
	err := queue(trace.With(ctx, m.Parent), m)
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable, fault.Cancelled, fault.Unconfigured:
		// Nil, or worth another try: a right or a setting that is missing is no fault of the message.
		return err
	}
	var f *fault.Error
	reason := "cannot succeed"
	if errors.As(err, &f) {
		reason = f.Kind.String() + ": " + f.Detail
	}
	log.Warn().Str("reason", reason).Msg("a message goes to the dead letters")
	return h.dead.Put(ctx, name, m, reason)
}

// messages finds the trigger's value, whatever its binding is called. A string is
// JSON in JSON, decoded twice; a batch may be an array or a string that holds one.
func (e envelope) messages() ([]Message, error) {
	if len(e.Data) != 1 {
		return nil, fault.New(fault.Malformed, "an envelope with %d values, one is expected", len(e.Data))
	}
	id := text(e.Metadata["MessageId"])
	for _, raw := range e.Data {
		body := raw
		if _, batch := e.Metadata["MessageIdArray"]; batch {
			return batchOf(unquote(raw))
		}
		return []Message{{ID: id, Body: unquote(body), Parent: e.parent(), Deliveries: e.deliveries()}}, nil
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
// often it was given back since.
func (e envelope) oldest() time.Time {
	all := []json.RawMessage{e.Metadata["EnqueuedTimeUtc"]}
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

// parent is the trace context among a message's own properties: under its name by the W3C, or
// the one that clients for .NET give it.
func (e envelope) parent() string {
	var properties map[string]json.RawMessage
	if json.Unmarshal(unquote(e.Metadata["ApplicationProperties"]), &properties) != nil {
		return ""
	}
	for _, name := range []string{trace.Parent, "Diagnostic-Id"} {
		if p := text(properties[name]); p != "" {
			return p
		}
	}
	return ""
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
