package decision

import (
	"context"
	"maps"
	"slices"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// again makes a score of a customer again.
type again struct {
	d      *Decisions
	t      book.Tenant
	rec    book.Record
	ref    scoring.DecisionRef
	scorer *scoring.Scorer
	made   time.Time // when the score was made, to the second
}

// reading is a guess at what a score was made of: who was read, and as of when.
type reading struct {
	then time.Time // no time is now
	// alone is that only the relation that the customer was of at the time was read, and not
	// the one of the as-of date: a run reads buckets.
	alone bool
	// scored is that who had no score by then was not there: a run scores all whom it reads.
	scored bool
}

// reproduce makes a stored score again from what was stored when it was made: an import of
// the same day may have brought rows since, or members, that would have been read as well. A
// score says when it was made in whole seconds, so that of what was replaced within that
// second either may be what it was made of; the fingerprint of what was read tells. It leaves
// the scorer with the customer at the place that it returns, and says why the score is
// another; "" where it is the same.
func (a *again) reproduce(ctx context.Context, stored *scoring.Stored) (at int, difference string, err error) {
	a.made = stored.ScoredAt(a.ref.Engine)
	var readings []reading
	for _, then := range []time.Time{a.made, a.made.Add(time.Second)} {
		for _, alone := range []bool{false, true} {
			readings = append(readings, reading{then, alone, false}, reading{then, alone, true})
		}
	}
	readings = append(readings, reading{})
	var sheet *scoring.Sheet
	for _, r := range readings {
		if sheet, at, err = a.score(ctx, r); err != nil {
			return 0, "", err
		}
		if !stored.MadeOf(a.ref.Engine, sheet.Fingerprint) {
			continue
		}
		if !sheet.Reproduces(stored, a.ref.Engine) {
			return at, otherProgram, nil
		}
		return at, "", nil
	}
	// Something else is there than was read. It may say the same all the same.
	for _, r := range readings {
		if sheet, at, err = a.score(ctx, r); err != nil {
			return 0, "", err
		}
		if sheet.Reproduces(stored, a.ref.Engine) {
			return at, "", nil
		}
	}
	if stored.Program(a.ref.Engine) != scoring.Program {
		return at, otherBoth, nil
	}
	return at, otherRows, nil
}

// score scores the customer with its relation, as a reading has them.
func (a *again) score(ctx context.Context, r reading) (*scoring.Sheet, int, error) {
	members, at, err := a.members(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	return &a.scorer.Relation(members, a.ref.AsOf, scoring.NewSet(a.ref.Engine))[at], at, nil
}

// members are those who were of the customer's relation, and which of them it is.
func (a *again) members(ctx context.Context, r reading) ([]scoring.Subject, int, error) {
	if r.then.IsZero() {
		return scoring.Members(ctx, a.d.book, a.t, &a.rec, a.ref.AsOf)
	}
	id := a.rec.Aggregate.ID()
	own, _, err := a.was(ctx, a.rec.Relation, id, r.then)
	if err != nil {
		return nil, 0, err
	}
	if own == nil {
		own = a.rec.Aggregate
	}
	keys := []string{own.Latest().Relation()}
	var v portfolio.View
	v.Reset(own, a.ref.AsOf, portfolio.EndTable{})
	if then := v.Relation(); !r.alone && then != "" && then != keys[0] {
		keys = append(keys, then)
	}
	met := map[string]scoring.Subject{}
	meet := func(rec *book.Record, body []byte) error {
		of := rec.Aggregate.ID()
		if _, ok := met[of]; ok {
			return nil
		}
		was, before, err := a.was(ctx, rec.Relation, of, r.then)
		if err != nil {
			return err
		}
		if was == nil {
			was, before = rec.Aggregate, body
		}
		if !slices.Contains(keys, was.Latest().Relation()) {
			return nil
		}
		if r.scored && of != id {
			if scored, err := a.scored(ctx, rec); err != nil || !scored {
				return err
			}
		}
		declined, err := scoring.Declined(rec.Feedback)
		met[of] = scoring.Subject{Aggregate: was, Body: before, Declined: declined}
		return err
	}
	for _, key := range keys {
		rel, err := a.d.book.Relation(ctx, a.t, key)
		if err != nil {
			return nil, 0, err
		}
		for _, m := range rel.Members {
			if m.Err != nil {
				continue
			}
			if err := meet(&book.Record{Relation: key, Aggregate: m.Aggregate, Scores: m.Scores, Feedback: m.Feedback}, m.Body); err != nil {
				return nil, 0, err
			}
		}
		left, err := a.d.book.Left(ctx, a.t, key)
		if err != nil {
			return nil, 0, err
		}
		for _, of := range left {
			rec, err := a.d.book.Customer(ctx, a.t, of)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return nil, 0, err
			}
			if err := meet(&rec, nil); err != nil {
				return nil, 0, err
			}
		}
	}
	if err := meet(&a.rec, nil); err != nil { // it may have come from elsewhere since
		return nil, 0, err
	}
	out := make([]scoring.Subject, 0, len(met))
	at := -1
	for _, of := range slices.Sorted(maps.Keys(met)) { // as a run meets them
		if of == id {
			at = len(out)
		}
		out = append(out, met[of])
	}
	if at < 0 {
		return nil, 0, fault.New(fault.Unavailable, "the customer is being moved: try again")
	}
	return out, at, nil
}

// scored reports whether a customer had a score when this one was made.
func (a *again) scored(ctx context.Context, rec *book.Record) (bool, error) {
	by := func(body []byte) bool {
		s, err := scoring.Glance(body)
		return err == nil && s.MadeBy(a.made) // damaged ones say nothing
	}
	if by(rec.Scores) {
		return true, nil
	}
	for h, err := range a.d.book.History(ctx, a.t, rec.Relation, rec.Aggregate.ID()) {
		if err != nil || by(h.Body) {
			return err == nil, err
		}
	}
	return false, nil
}

// was is a customer as it was stored at a time; nil where it is still so.
func (a *again) was(ctx context.Context, relation, id string, then time.Time) (*portfolio.Aggregate, []byte, error) {
	body, ok, err := a.d.book.Was(ctx, a.t, relation, id, then)
	if err != nil || !ok {
		return nil, nil, err
	}
	was, err := new(portfolio.Decoder).Decode(body)
	return was, body, fault.Wrap(fault.Internal, err, "decoding what a customer was")
}
