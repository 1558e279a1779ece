package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/book"
	"polis/handler/internal/deflate"
	"polis/handler/internal/effect"
	"polis/handler/internal/event"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
)

// complete records a run whose chunks are all done, with its action list, in one batch
// that creates the record: whoever comes second finds it there, and only makes sure
// that the event is sent.
func (r *Runs) complete(ctx context.Context, run Run) error {
	ctx = store.Allowing(ctx, toComplete(run.Chunks))
	meter := store.NewMeter()
	asked := store.Metered(ctx, meter)
	done, err := r.doneChunks(asked, run)
	if err != nil {
		return err
	}
	if len(done) < run.Chunks {
		return fault.New(fault.Internal, "completing run %s with %d of %d chunks", run.ID, len(done), run.Chunks)
	}
	now := r.now().UTC()
	sum := Summary{CompletedAt: now, Elapsed: now.Sub(run.Created).Seconds()}
	sum.Engines = map[scoring.Engine]*EngineTally{}
	for bucket := range run.Chunks {
		sum.add(&done[bucket].Tally)
		sum.Actions += done[bucket].Actions
	}
	var ops []store.Op
	if slices.Contains(run.Engines, scoring.Defend) {
		last, err := r.lists.Counted(asked, run.Tenant)
		switch {
		case err != nil && !fault.Is(err, fault.NotFound):
			return err
		case last != nil && last.AsOf > run.AsOf:
			sum.NoList = past
		default:
			ops, err = r.listed(asked, run, done, now)
			if errors.Is(err, errTidied) {
				return r.settle(ctx, run)
			}
			if err != nil {
				return fmt.Errorf("making the action list of run %s: %w", run.ID, err)
			}
		}
	}
	// All that the list took is counted; the write of this cannot be.
	cost := costOf(meter)
	if sum.Store.add(&cost); sum.Customers > 0 {
		sum.Store.PerThousand = 1000 * sum.Store.Units / float64(sum.Customers)
	}
	body, err := json.Marshal(sum)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a run's summary")
	}
	ops = append(ops, store.Op{Verb: store.Create, Document: store.Document{Key: doneKey + run.ID, Body: body, Expires: run.Created.Add(keep)}})
	if err := r.store.Write(ctx, shared(run.Tenant), ops); err != nil && !fault.Is(err, fault.Conflict) {
		return fmt.Errorf("completing run %s: %w", run.ID, err)
	}
	return r.settle(ctx, run)
}

// past is why a run makes no list: whom to act on is a question of the latest date. Suggestions
// of a date that others were made for since would be nobody's to act on, and yet be counted as
// not acted on.
const past = "a list of a later date was made before"

// listed makes the run's list, and counts what became of what was suggested before. That the
// list suggests something is kept with the customers first: a kill in between brings the
// same list again.
func (r *Runs) listed(ctx context.Context, run Run, done map[int]*chunk, now time.Time) ([]store.Op, error) {
	m, err := r.models.Version(ctx, run.Tenant, run.Model)
	if err != nil {
		return nil, err
	}
	t, err := r.book.Tenant(ctx, run.Tenant)
	if err != nil {
		return nil, err
	}
	head := actions.Head{Date: run.AsOf, Run: run.ID}
	for bucket := range run.Chunks {
		head.Due += done[bucket].Actions
		head.Care.Due += done[bucket].Care
		head.Advice.Due += done[bucket].Advice
	}
	head.Commercial.Due = head.Due - head.Care.Due - head.Advice.Due
	op, err := r.list(ctx, t, head, run.Chunks, &m.Settings.Feedback, now)
	if err != nil {
		return nil, err
	}
	ops := []store.Op{op}
	counted := effect.Counted{AsOf: run.AsOf, Run: run.ID, Settings: m.Settings.Feedback}
	for bucket := range run.Chunks {
		counted.Tally.Add(&done[bucket].Counted)
	}
	op, err = actions.CountedOp(&counted)
	return append(ops, op), err
}

// settle does what is left to do for a run that is recorded as completed. A kill may
// have come before any of it, so whoever meets such a run does it again.
func (r *Runs) settle(ctx context.Context, run Run) error {
	d, err := r.store.Get(ctx, shared(run.Tenant), doneKey+run.ID)
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.Unavailable, err, "run %s is completed, and its record cannot be seen yet", run.ID)
	}
	if err != nil {
		return err
	}
	var sum Summary
	if err := json.Unmarshal(d.Body, &sum); err != nil {
		return fault.Wrap(fault.Internal, err, "decoding a run's summary")
	}
	// Before anybody is told of the list: also what an attempt that was killed has left of it.
	if slices.Contains(run.Engines, scoring.Defend) {
		if err := r.lists.TakenOff(ctx, run.Tenant, run.AsOf, run.Created); err != nil {
			return fmt.Errorf("taking off the list of run %s who was erased meanwhile: %w", run.ID, err)
		}
	}
	if err := r.announce(ctx, run, &sum); err != nil {
		return err
	}
	if r.exporter != nil {
		if err := r.exporter.AfterRun(ctx, run, sum.CompletedAt); err != nil {
			return fmt.Errorf("asking for the export of run %s: %w", run.ID, err)
		}
	}
	return r.tidy(ctx, run)
}

func (t *Tally) add(c *Tally) {
	t.Customers += c.Customers
	t.Scored += c.Scored
	t.Changed += c.Changed
	t.Seconds += c.Seconds
	t.Store.add(&c.Store)
	for why, n := range c.Failed {
		if t.Failed == nil {
			t.Failed = map[string]int{}
		}
		t.Failed[why] += n
	}
	for e, et := range c.Engines {
		if t.Engines[e] == nil {
			t.Engines[e] = &EngineTally{}
		}
		t.Engines[e].Scored += et.Scored
		for why, n := range et.NotScored {
			t.Engines[e].count(why, n)
		}
		t.Engines[e].Changed += et.Changed
		t.Engines[e].Seconds += et.Seconds
	}
}

// A chunk's share of the list is packed: it names most of the chunk's customers. More than
// maxPart of what was packed is damage.
const maxPart = 64 << 20 // bytes

func readPart(d store.Document) (part []actions.Candidate, err error) {
	body, err := deflate.Unpack(d.Body, maxPart)
	if err == nil {
		err = json.Unmarshal(body, &part)
	}
	return part, fault.Wrap(fault.Internal, err, "decoding a chunk's actions")
}

// errTidied is of a run whose chunks are all done and of whose shares of the list some are gone:
// somebody else has completed it at the same moment, and tidies up. A list of what is left would
// suggest things to customers who are on no list.
var errTidied = errors.New("the run's shares of the list are gone")

// list merges the chunks' shares into the tenant's list of the date.
func (r *Runs) list(ctx context.Context, t book.Tenant, head actions.Head, chunks int, f *feedback.Settings, now time.Time) (op store.Op, err error) {
	draft, err := actions.NewDraft(t.ID, head, f)
	if err != nil {
		return op, err
	}
	defer func() { err = errors.Join(err, draft.Close()) }()
	shares := 0
	for d, err := range r.store.Scan(ctx, shared(t.ID), partKey+head.Run+"\x1f", "") {
		if err != nil {
			return op, err
		}
		part, err := readPart(d)
		if err != nil {
			return op, err
		}
		shares++
		for _, c := range part {
			if err := draft.Add(c); err != nil {
				return op, err
			}
		}
	}
	if shares < chunks {
		return op, errTidied
	}
	return r.lists.Publish(ctx, t, draft, now, func(ctx context.Context, items []*actions.Item) ([]bool, error) {
		return r.scores(ctx, t, head.Date, items)
	})
}

// scores gives items the scores that they come from. A customer erased since its chunk was scored
// has no score, and no place on the list.
func (r *Runs) scores(ctx context.Context, t book.Tenant, asOf portfolio.Date, items []*actions.Item) ([]bool, error) {
	of := make([]book.Who, len(items))
	for i, it := range items {
		of[i] = book.Who{Relation: it.Relation, ID: it.Customer}
	}
	there := make([]bool, len(items)) // each by its own: buckets are read side by side
	err := r.book.Scores(ctx, t, of, func(i int, scores []byte) {
		stored, err := scoring.DecodeStored(scores)
		// A run of a later date that is under way has scored some already: it will list them.
		if err == nil && stored.Has(scoring.Defend) && !stored.After(asOf).Has(scoring.Defend) {
			if there[i] = true; !items[i].Instead() {
				items[i].Score = stored.AppendJSON(nil, scoring.Defend, t.ID, items[i].Customer)
			}
		}
	})
	return there, err
}

// CompletedEvent is the type of the event that says that a run is completed.
const CompletedEvent = "polis.run.completed"

// announce sends the run's one event. Its id is the run's, so a second one is dropped
// by the bus or by whoever receives it.
func (r *Runs) announce(ctx context.Context, run Run, sum *Summary) error {
	id := run.Tenant + "/" + run.ID + "/completed"
	told := event.Event{
		ID: id, Tenant: run.Tenant, Type: CompletedEvent, Subject: run.ID, Time: sum.CompletedAt,
		Data: map[string]any{"run_id": run.ID, "as_of": run.AsOf, "engines": run.Engines, "summary": sum},
	}
	m, err := told.Message()
	if err == nil {
		err = r.bus.Send(ctx, event.Queue, m)
	}
	if err != nil {
		return fmt.Errorf("announcing run %s: %w", run.ID, err)
	}
	return nil
}

// tidy deletes the chunks' shares of the list, which nobody reads any more. What a kill
// leaves of them expires.
func (r *Runs) tidy(ctx context.Context, run Run) error {
	var ops []store.Op
	for bucket := range run.Chunks {
		ops = append(ops, store.Op{Verb: store.Delete, Document: store.Document{Key: chunkDocument(partKey, run, bucket)}})
		if len(ops) == store.MaxOps || bucket == run.Chunks-1 {
			if err := r.store.Write(ctx, shared(run.Tenant), ops); err != nil {
				return err
			}
			ops = ops[:0]
		}
	}
	return nil
}
