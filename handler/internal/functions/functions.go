// Package functions is what the queue and timer functions of functions/ do.
package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/decision"
	"polis/handler/internal/event"
	"polis/handler/internal/exports"
	"polis/handler/internal/fault"
	"polis/handler/internal/imports"
	"polis/handler/internal/invoke"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
	"polis/handler/internal/watch"
)

// ResultQueue is where answers to queued score requests go.
const ResultQueue = "score-results"

// Queues are the queues that the queue functions receive from, by the function's name.
func Queues() map[string]string {
	q := map[string]string{"ImportWork": imports.Queue, "ExportWork": exports.Queue, "RunChunks": run.ChunkQueue}
	for _, e := range scoring.Engines {
		q[requestsOf(e)] = e.String() + "-requests"
	}
	return q
}

// requestsOf is the function that answers an engine's queued requests.
func requestsOf(e scoring.Engine) string { return capital(e) + "Requests" }

func capital(e scoring.Engine) string {
	name := e.String()
	return strings.ToUpper(name[:1]) + name[1:]
}

// Services are what the functions work with. All are required; a zero Log writes nothing.
type Services struct {
	Book      *book.Book
	Runs      *run.Runs
	Imports   *imports.Imports
	Exports   *exports.Exports
	Scores    *scoring.Service
	Decisions *decision.Decisions
	Reports   *watch.Reports
	Bus       bus.Sender
	Now       func() time.Time
	Log       zerolog.Logger
}

// New is the functions by name.
func New(s Services) invoke.Functions {
	f := invoke.Functions{Queues: map[string]invoke.Queue{}, Timers: map[string]invoke.Timer{}}
	for _, e := range scoring.Engines {
		f.Queues[requestsOf(e)] = func(ctx context.Context, m invoke.Message) error { return s.scores(ctx, e, m) }
		f.Timers[capital(e)+"Nightly"] = func(ctx context.Context) error { return s.nightly(ctx, e == scoring.Engines[0]) }
	}
	f.Timers["DriftMonthly"] = s.monthly
	f.Queues["ImportWork"] = work(s.Imports.Work)
	f.Queues["ExportWork"] = work(s.Exports.Work)
	f.Queues["RunChunks"] = s.chunk
	return f
}

// work is a queue of messages that Polis sends to itself. While one version takes over from
// another each reads what the other sent, so fields that it does not know are passed over.
func work[T any](do func(context.Context, T) error) invoke.Queue {
	return func(ctx context.Context, m invoke.Message) error {
		var q T
		if err := json.Unmarshal(m.Body, &q); err != nil {
			return fault.New(fault.Malformed, "the message is not the JSON that this queue takes")
		}
		return do(ctx, q)
	}
}

// chunk works a chunk of a run, which has fewer retries the more often it came in vain.
func (s Services) chunk(ctx context.Context, m invoke.Message) error {
	return work(func(ctx context.Context, q run.ChunkRequest) error {
		q.Before = max(0, m.Deliveries-1)
		return s.Runs.Work(ctx, q)
	})(ctx, m)
}

// decode reads a caller's JSON, strictly: a field that we do not know may be one that the
// sender counts on.
func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fault.New(fault.Malformed, "the message is not the JSON that this queue takes")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Malformed, "there is more after the message's JSON")
	}
	return nil
}

// scoreRequest is a message on <engine>-requests. The answer carries its request_id, and
// goes to score-results under an id made of it, so a repeat is dropped.
type scoreRequest struct {
	Tenant string `json:"tenant"`
	ID     string `json:"request_id"`
	scoring.Request
}

// scores answers a queued request.
func (s Services) scores(ctx context.Context, e scoring.Engine, m invoke.Message) error {
	var q scoreRequest
	if err := decode(m.Body, &q); err != nil {
		return err
	}
	if err := q.NoteGiven(m.Body); err != nil {
		return err
	}
	if q.ID == "" || len(q.ID) > 200 {
		return fault.New(fault.Invalid, "request_id is 1 to 200 characters")
	}
	if _, err := s.Book.Tenant(ctx, q.Tenant); err != nil {
		return err
	}
	a, err := s.Scores.Score(ctx, q.Tenant, e, &q.Request)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"tenant":%s,"request_id":%s,"engine":"%s","results":[`, quote(q.Tenant), quote(q.ID), e)
	for i, r := range a.Scores {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(r)
	}
	errs, err := json.Marshal(append([]scoring.ItemError{}, a.Errors...))
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding an answer")
	}
	b.WriteString(`],"errors":`)
	b.Write(errs)
	b.WriteByte('}')
	return s.Bus.Send(ctx, ResultQueue, event.Answer(q.Tenant+"/"+e.String()+"/"+q.ID, q.Tenant, e.String(), q.ID, b.Bytes()))
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s)
	}
	return string(b)
}

// nightly joins or starts the run of every tenant for today, and tells of reviews that are
// overdue. All engines' timers do the same: the first makes the run, with all engines, and
// a chunk is read once for all. One of them also looks for what never began. A tenant without models has nothing to be scored with yet,
// and is passed over.
func (s Services) nightly(ctx context.Context, looks bool) error {
	var failed error
	for t, err := range s.Book.Tenants(ctx) {
		if err != nil {
			return err
		}
		_, _, err := s.Runs.Start(ctx, t, portfolio.DateOf(s.Now()), nil, false)
		if err != nil && !untrained(err) {
			failed = errors.Join(failed, fmt.Errorf("tenant %s: %w", t.ID, err)) // the others go on
		}
		if looks {
			if err := s.resend(ctx, t.ID); err != nil {
				failed = errors.Join(failed, fmt.Errorf("tenant %s: %w", t.ID, err))
			}
		}
		if err := s.overdue(ctx, t); err != nil {
			failed = errors.Join(failed, fmt.Errorf("tenant %s: %w", t.ID, err))
		}
	}
	return failed
}

// What was asked for and recorded, and has not begun after stuck, is sent for again, by the nights that
// come until it is given up. Our choice: what fails is tried for 18 minutes (invoke.Backoff) and
// then ten times more, so that after two hours its message was most likely never sent.
const (
	stuck   = 2 * time.Hour
	givenUp = 72 * time.Hour
)

// resend sends again for runs, imports and exports that a kill left between their record and their message, under
// the ids that the messages would have had, and clears away what is left of imports and exports. What is past that is told of.
func (s Services) resend(ctx context.Context, tenant string) error {
	from, to := s.Now().Add(-givenUp), s.Now().Add(-stuck)
	return errors.Join(
		s.Runs.Resend(ctx, tenant, from, to), s.Imports.Resend(ctx, tenant, from, to), s.Imports.Tidy(ctx, tenant, to), s.Exports.Resend(ctx, tenant, from, to), s.Exports.Tidy(ctx, tenant, to),
		s.forsaken(ctx, tenant, from.AddDate(0, 0, -1), from),
	)
}

// forsaken tells in the log of what was created in a span of time and is not done: nothing here sends for it any
// more.
func (s Services) forsaken(ctx context.Context, tenant string, from, to time.Time) error {
	tell := func(kind, id string) {
		s.Log.Warn().Str("tenant", tenant).Str(kind, id).Msg("given up: not done in three days")
	}
	runs, noRuns := s.Runs.Open(ctx, tenant, from, to)
	for _, r := range runs {
		tell("run", r.ID)
	}
	within := func(status string, created time.Time) bool {
		return status == "waiting" && !created.Before(from) && created.Before(to)
	}
	loads, noLoads := s.Imports.List(ctx, tenant)
	for _, i := range loads {
		if within(i.Status, i.Created) {
			tell("import", i.ID)
		}
	}
	files, noFiles := s.Exports.List(ctx, tenant)
	for _, e := range files {
		if within(e.Status, e.Created) {
			tell("export", e.ID)
		}
	}
	return errors.Join(noRuns, noLoads, noFiles)
}

// untrained reports whether a tenant has no models yet; models that cannot be read must not go
// unnoticed.
func untrained(err error) bool {
	return fault.Is(err, fault.Conflict) && !errors.Is(err, registry.ErrUnreadable)
}

// OverdueEvent is the type of the event that says that nobody has looked at a decision by
// the day that the law asks for (GDPR art. 12(3)).
const OverdueEvent = "polis.review.overdue"

// overdue says once of each review that it is overdue: of which decision, and no more.
func (s Services) overdue(ctx context.Context, t book.Tenant) error {
	open, err := s.Decisions.Open(ctx, t)
	if err != nil {
		return fmt.Errorf("looking for overdue reviews: %w", err)
	}
	for _, o := range open {
		if o.Due >= portfolio.DateOf(s.Now()) {
			break // the first due come first
		}
		told, err := s.Book.ReviewTold(ctx, t, o.Decision)
		if err != nil {
			return err
		}
		if told {
			continue
		}
		id := t.ID + "/review/" + o.Decision + "/" + o.Due.String()
		overdue := event.Event{
			ID: id, Tenant: t.ID, Type: OverdueEvent, Subject: o.Decision, Time: s.Now().UTC().Truncate(time.Second),
			Data: map[string]any{"decision_id": o.Decision, "engine": o.Engine, "requested_at": o.RequestedAt, "due_on": o.Due},
		}
		m, err := overdue.Message()
		if err == nil {
			err = s.Bus.Send(ctx, event.Queue, m)
		}
		if err != nil {
			return fmt.Errorf("telling of an overdue review: %w", err)
		}
		// Killed in between it is told once more, under the same id.
		if err := s.Book.TellReview(ctx, t, o.Decision); err != nil {
			return err
		}
	}
	return nil
}

// monthly makes the month's report of every tenant; what is there already is not made
// again, so that a timer that was cut off goes on where it was. A tenant that has nothing to
// report on is passed over, with a line in the log.
func (s Services) monthly(ctx context.Context) error {
	var failed error
	for t, err := range s.Book.Tenants(ctx) {
		if err != nil {
			return err
		}
		nothing, err := s.Reports.Month(ctx, t)
		switch {
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("tenant %s: %w", t.ID, err)) // the others go on
		case nothing != "": // no other try would find more
			s.Log.Info().Str("tenant", t.ID).Str("reason", nothing).Msg("no drift report this month")
		}
	}
	return failed
}
