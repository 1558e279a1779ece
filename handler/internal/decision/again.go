package decision

import (
	"context"
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
}

// reproduce makes a stored score again from what was stored when it was made: an import of
// the same day may have brought rows since that would have been read as well. A score says
// when it was made in whole seconds, so that of what was replaced within that second either
// may be what it was made of; the fingerprint of what was read tells. It leaves the scorer
// with the customer at the place that it returns, and says why the score is another; "" where
// it is the same.
func (a *again) reproduce(ctx context.Context, stored *scoring.Stored) (at int, difference string, err error) {
	made := stored.ScoredAt(a.ref.Engine)
	times := [...]time.Time{made, made.Add(time.Second), {}}
	var sheet *scoring.Sheet
	for _, then := range times {
		if sheet, at, err = a.score(ctx, then); err != nil {
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
	for _, then := range times {
		if sheet, at, err = a.score(ctx, then); err != nil {
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

// score scores the customer with its relation, all as they were stored at a time; no time
// is now.
func (a *again) score(ctx context.Context, then time.Time) (*scoring.Sheet, int, error) {
	rec := a.rec
	if was, _, err := a.was(ctx, rec.Relation, rec.Aggregate.ID(), then); err != nil {
		return nil, 0, err
	} else if was != nil {
		rec.Aggregate = was
	}
	members, at, err := scoring.Members(ctx, a.d.book, a.t, &rec, a.ref.AsOf)
	if err != nil {
		return nil, 0, err
	}
	for i := range members {
		m := &members[i]
		was, body, err := a.was(ctx, m.Aggregate.Latest().Relation(), m.Aggregate.ID(), then)
		if err != nil {
			return nil, 0, err
		}
		if was != nil {
			m.Aggregate, m.Body = was, body
		}
	}
	return &a.scorer.Relation(members, a.ref.AsOf, scoring.NewSet(a.ref.Engine))[at], at, nil
}

// was is a customer as it was stored at a time; nil where it is as it was, or of no time.
func (a *again) was(ctx context.Context, relation, id string, then time.Time) (*portfolio.Aggregate, []byte, error) {
	if then.IsZero() {
		return nil, nil, nil
	}
	body, ok, err := a.d.book.Was(ctx, a.t, relation, id, then)
	if err != nil || !ok {
		return nil, nil, err
	}
	was, err := new(portfolio.Decoder).Decode(body)
	return was, body, fault.Wrap(fault.Internal, err, "decoding what a customer was")
}
