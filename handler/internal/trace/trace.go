// Package trace carries the trace context (W3C Trace Context) of what asked Polis for something
// to what Polis sends because of it, so that a message can be followed back to the request, the
// message or the timer that it came of. Polis makes no spans: it passes on what it got.
package trace

import (
	"context"
	"crypto/rand"
	"maps"
	"net/http"
	"regexp"
	"sync"

	"polis/handler/internal/bus"
)

// Parent is what the context is called as a header and as a message's property.
const Parent = "traceparent"

// Kept is the header in which the gateway passes on what the caller sent as traceparent: in that
// one it puts a span of its own.
const Kept = "Polis-Traceparent"

// version 00, the only one there is: trace, span, flags.
var form = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)
})

const (
	noTrace = "00000000000000000000000000000000"
	noSpan  = "0000000000000000"
)

type key struct{}

// With is a context that passes on a traceparent; the same context where it is none, since what
// callers send as one may be anything.
func With(ctx context.Context, parent string) context.Context {
	m := form().FindStringSubmatch(parent)
	if m == nil || m[1] == noTrace || m[2] == noSpan {
		return ctx
	}
	return context.WithValue(ctx, key{}, parent)
}

// Asked is a context with the trace of a request: the caller's own where the gateway kept it.
func Asked(ctx context.Context, h http.Header) context.Context {
	for _, name := range []string{Kept, Parent} {
		if parent := h.Get(name); parent != "" {
			if asked := With(ctx, parent); asked != ctx {
				return asked
			}
		}
	}
	return ctx
}

// Of is the context's traceparent; "" where nobody gave one.
func Of(ctx context.Context) string {
	parent, _ := ctx.Value(key{}).(string)
	return parent
}

// begin is the traceparent of a new trace that nobody records.
func begin() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	const digits = "0123456789abcdef"
	out := []byte("00-")
	for i, c := range b {
		if i == 16 {
			out = append(out, '-')
		}
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(append(out, "-00"...))
}

// Sender marks what it sends: with the trace of the context, or else with a new one.
func Sender(s bus.Sender) bus.Sender {
	if s == nil {
		panic("trace: no bus")
	}
	return sender{s}
}

type sender struct{ bus.Sender }

// Send implements bus.Sender.
func (s sender) Send(ctx context.Context, queue string, msgs ...bus.Message) error {
	parent := Of(ctx)
	if parent == "" {
		parent = begin()
	}
	marked := make([]bus.Message, len(msgs))
	for i, m := range msgs {
		m.Properties = maps.Clone(m.Properties)
		if m.Properties == nil {
			m.Properties = map[string]string{}
		}
		m.Properties[Parent] = parent
		marked[i] = m
	}
	return s.Sender.Send(ctx, queue, marked...)
}
