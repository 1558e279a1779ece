package localhost

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
)

// hostVersion is the version of the Functions host whose behaviour this is.
const hostVersion = "4.1037.0.0"

// The headers that mark a request of the host.
const (
	headerInvocation = "X-Azure-Functions-InvocationId"
	headerVersion    = "X-Azure-Functions-HostVersion"
	headerProxied    = "X-Ms-Invocation-Id"
	userAgent        = "Azure-Functions-Host/" + hostVersion
)

var errTimeout = errors.New("functionTimeout passed")

// call is one invocation of a function.
type call struct {
	id      string
	fn      *function
	log     zerolog.Logger
	started time.Time
}

func (h *Host) newCall(fn *function) *call {
	id := newID()
	return &call{id: id, fn: fn, started: time.Now(), log: h.log.With().Str("function", fn.name).Str("invocation", id).Logger()}
}

// newID is a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (c *call) done(err error) {
	took := time.Since(c.started)
	if err != nil {
		c.log.Error().Err(err).Dur("ms", took).Msg("failed")
		return
	}
	c.log.Info().Dur("ms", took).Msg("succeeded")
}

// within runs f with a handler that is ready, under the function's time limit.
// A call that overruns takes the handler with it, and every other call in flight.
func (h *Host) within(ctx context.Context, f func(context.Context, *child) error) error {
	if h.cfg.functionTimeout != unbounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, h.cfg.functionTimeout, errTimeout)
		defer cancel()
	}
	c, err := h.handler.ready(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "wait for the handler")
	}
	// Not after f: a proxied call leaves f by a panic where its answer breaks off.
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), errTimeout) {
			c.kill()
		}
	})
	defer stop()
	err = f(ctx, c)
	if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
		return fault.Wrap(fault.Cancelled, errTimeout, "the call took longer than %s: the handler is restarted", h.cfg.functionTimeout)
	}
	return err
}

// invoke calls a function in payload mode and carries out its outputs, except
// the HTTP one, which it returns with the answer.
func (h *Host) invoke(ctx context.Context, c *call, e envelope) (answer, error) {
	e.Metadata["sys"] = map[string]any{"MethodName": c.fn.name, "UtcNow": plainTime(c.started), "RandGuid": newID()}
	body, err := e.encode()
	if err != nil {
		return answer{}, fault.Wrap(fault.Internal, err, "encode the call")
	}
	var a answer
	err = h.within(ctx, func(ctx context.Context, handler *child) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+handler.address+"/"+c.fn.name, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		c.mark(req.Header)
		req.Header.Set("User-Agent", userAgent)
		resp, err := h.client.RoundTrip(req)
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "call the handler")
		}
		defer func() { _ = resp.Body.Close() }()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "read the handler's answer")
		}
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			return fault.New(fault.Internal, "the handler answered %d", resp.StatusCode)
		}
		a, err = decodeAnswer(resp.Header.Get("Content-Type"), raw)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	for _, line := range a.Logs {
		c.log.Info().Str("from", "answer").Msg(line)
	}
	return a, h.send(ctx, c, a)
}

func (c *call) mark(header http.Header) {
	header.Set(headerInvocation, c.id)
	header.Set(headerVersion, hostVersion)
}

// send puts the queue outputs of an answer on their queues. An array is a
// message per element.
func (h *Host) send(ctx context.Context, c *call, a answer) error {
	for _, b := range c.fn.outputs {
		raw := a.output(b)
		if b.Type != queueOut || null(raw) {
			continue
		}
		items := []json.RawMessage{raw}
		if raw[0] == '[' {
			if err := json.Unmarshal(raw, &items); err != nil {
				return fault.Wrap(fault.Malformed, err, "output %s", b.Name)
			}
		}
		msgs := make([]bus.Message, len(items))
		for i, item := range items {
			body, contentType, err := outputBytes(b, item)
			if err != nil {
				return err
			}
			msgs[i] = bus.Message{ID: newID(), Body: body, ContentType: contentType}
		}
		if err := h.broker.Send(ctx, b.QueueName, msgs...); err != nil {
			return fault.Wrap(fault.Unavailable, err, "output %s", b.Name)
		}
	}
	return nil
}

func (a answer) output(b binding) json.RawMessage {
	if b.Name == returnName {
		return a.ReturnValue
	}
	return a.Outputs[b.Name]
}
