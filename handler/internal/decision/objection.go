package decision

import (
	"context"
	"errors"
	"slices"
	"strings"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// Sources are the ways in which an objection may come.
var Sources = []string{"phone", "email", "letter", "portal", "conversation", "other"}

// Objection is what a customer says about profiling.
type Objection struct {
	Customer string         `json:"customer_id"`
	Objects  bool           `json:"objects_to_profiling"`
	Source   string         `json:"source,omitempty"`
	Since    portfolio.Date `json:"since,omitzero"`
	// Stale is that the customer's stored scores are still those of before it said so: there are
	// no models that this program reads. The next run after a training has it.
	Stale bool `json:"scores_stale,omitempty"`
}

// Object records that a customer objects to profiling, or withdraws that, and scores it
// anew where it has scores: from that moment none of them is of a profile, unless they are
// Stale. It reports the action that is left, which care for a customer may ask for; "" for none.
func (d *Decisions) Object(ctx context.Context, t book.Tenant, customer string, o portfolio.Objection) (Objection, string, error) {
	today := portfolio.DateOf(d.now())
	if !slices.Contains(Sources, o.Source) {
		return Objection{}, "", invalid("/source", "is one of "+strings.Join(Sources, ", "))
	}
	if o.Since == 0 {
		o.Since = today
	}
	if o.Since > today {
		return Objection{}, "", invalid("/date", "is after today")
	}
	const tries = 10
	for n := 1; ; n++ {
		rec, err := d.book.Customer(ctx, t, customer)
		if err != nil {
			return Objection{}, "", err
		}
		if rec.Aggregate.SetObjection(o, today) {
			err := d.book.Put(ctx, t, rec.Aggregate, rec.ETag)
			if fault.Is(err, fault.Conflict) && n < tries {
				continue // somebody wrote the customer meanwhile
			}
			if err != nil {
				return Objection{}, "", err
			}
		}
		out := said(customer, rec.Aggregate, today, t)
		action, err := d.again(ctx, t, customer, today)
		if errors.Is(err, errNoModels) {
			out.Stale, err = true, nil
		}
		return out, action, err
	}
}

// Objection is what a customer said last.
func (d *Decisions) Objection(ctx context.Context, t book.Tenant, customer string) (Objection, error) {
	rec, err := d.book.Customer(ctx, t, customer)
	if err != nil {
		return Objection{}, err
	}
	return said(customer, rec.Aggregate, portfolio.DateOf(d.now()), t), nil
}

func said(customer string, a *portfolio.Aggregate, today portfolio.Date, t book.Tenant) Objection {
	out := Objection{Customer: customer}
	var v portfolio.View
	if v.Reset(a, today, t.EndTable()); v.Customer != nil {
		out.Objects = v.Customer.Objects
	}
	if o, ok := a.Objection(); ok && o.Objects == out.Objects {
		out.Source, out.Since = o.Source, o.Since
	}
	return out
}

// errNoModels is why a customer cannot be scored anew, and no reason to refuse what it says.
var errNoModels = errors.New("no models that this program reads")

// again scores a customer anew, with the engines that it has scores of; the superseded
// ones go to its history.
func (d *Decisions) again(ctx context.Context, t book.Tenant, customer string, today portfolio.Date) (string, error) {
	rec, err := d.book.Customer(ctx, t, customer)
	if err != nil || rec.Scores == nil {
		return "", err
	}
	m, err := d.models.Current(ctx, t.ID)
	if fault.Is(err, fault.Conflict) {
		return "", errors.Join(errNoModels, err)
	}
	if err != nil {
		return "", err
	}
	members, at, err := scoring.Members(ctx, d.book, t, &rec, today)
	if err != nil {
		return "", err
	}
	scorer, err := scoring.New(m)
	if err != nil {
		return "", err
	}
	old, oldErr := scoring.DecodeStored(rec.Scores)
	superseded := rec.Scores
	if oldErr != nil { // damaged: written anew
		old, superseded = scoring.Stored{}, nil
	}
	set := old.Engines()
	sheet := &scorer.Relation(members, today, set)[at]
	action := sheet.Defend.Action
	mark := scoring.RunMark("after " + old.Name())
	changed := sheet.Changed(&old, set, mark)
	if changed == 0 {
		return action, nil
	}
	body := sheet.AppendStored(nil, &old, set, changed, mark, d.now())
	w := d.book.Writer(t, t.RelationBucket(rec.Relation))
	if err := w.PutScores(ctx, rec.Relation, customer, body, superseded, old.Name(), d.now().Add(book.HistoryKept)); err != nil {
		return "", err
	}
	return action, w.Flush(ctx)
}
