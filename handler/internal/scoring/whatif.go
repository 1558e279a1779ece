package scoring

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"

	"polis/handler/internal/book"
	"polis/handler/internal/churn"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// MaxChanges is how many changes of the premium one request may ask about.
const MaxChanges = 20

// WhatIfRequest asks what goes with changes of the premium of customers' policies at
// their next renewal. As of today where it says nothing else.
type WhatIfRequest struct {
	AsOf      portfolio.Date `json:"as_of,omitzero"`
	Customers []string       `json:"customers"`
	Changes   []float64      `json:"changes_percent"`
}

// WhatIfAnswer is what goes with the changes, in the book's experience. It says nothing of
// what a change would bring about, and no premium.
type WhatIfAnswer struct {
	Kind         string           `json:"kind"`   // association
	Use          string           `json:"use"`    // retention
	Caveat       string           `json:"caveat"` // for whoever reads it
	AsOf         portfolio.Date   `json:"as_of"`
	Months       int              `json:"months"` // that a lapse is foreseen over
	ModelVersion string           `json:"model_version"`
	Support      *WhatIfSupport   `json:"support,omitempty"` // none where the book has seen too little
	Why          string           `json:"why,omitempty"`     // and then why
	Results      []WhatIfCustomer `json:"results"`
	Segments     []WhatIfSegment  `json:"segments"` // by branch, and all together
	Errors       []ItemError      `json:"errors"`
}

// WhatIfSupport is what the answer rests on.
type WhatIfSupport struct {
	LowPercent  float64 `json:"low_percent"`
	HighPercent float64 `json:"high_percent"`
	Renewals    float64 `json:"renewals"`
	Lapses      float64 `json:"lapses"`
}

// WhatIfCustomer is a customer's policies, each with every change.
type WhatIfCustomer struct {
	CustomerID string         `json:"customer_id"`
	Status     score.Status   `json:"status"`
	Policies   []WhatIfPolicy `json:"policies"`
}

// WhatIfPolicy is one policy with one change. Where it is empty, Why says so.
type WhatIfPolicy struct {
	PolicyID string         `json:"policy_id"`
	Branch   string         `json:"branch"`
	RenewsOn portfolio.Date `json:"renews_on,omitzero"`
	Percent  float64        `json:"change_percent"`
	Empty    bool           `json:"empty"`
	Why      string         `json:"why,omitempty"`
	Text     string         `json:"text,omitempty"` // a sentence, where a language is asked for
	*WhatIfDifference
}

// WhatIfDifference is the probability of a lapse with the premium as it is and with the
// change, and the 95% interval of the difference.
type WhatIfDifference struct {
	Without    float64 `json:"without"`
	With       float64 `json:"with"`
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
}

// WhatIfSegment is the mean over the policies of a branch that have an answer; of all
// where Branch is "".
type WhatIfSegment struct {
	Branch   string  `json:"branch,omitempty"`
	Percent  float64 `json:"change_percent"`
	Policies int     `json:"policies"`
	WhatIfDifference
}

// caveat goes with every answer.
const caveat = "An association, not an effect: of policies that are alike in all that the models read, those whose premium changed so lapsed more or less often. " +
	"What is not recorded may have brought about both. For keeping customers; not for setting a customer's premium."

// WhatIf answers what goes with changes of the premium.
func (s *Service) WhatIf(ctx context.Context, tenant string, q *WhatIfRequest) (*WhatIfAnswer, error) {
	if err := q.check(portfolio.DateOf(s.now())); err != nil {
		return nil, err
	}
	m, err := s.models.Current(ctx, tenant)
	if err != nil {
		return nil, err
	}
	t, err := s.book.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	scorer, err := s.scorer(m)
	if err != nil {
		return nil, err
	}
	defer s.release(m, scorer)
	c := &m.Churn.Book.Changes
	a := &WhatIfAnswer{
		Kind: "association", Use: "retention", Caveat: caveat, AsOf: q.AsOf, Months: 12, ModelVersion: m.Version, Why: c.Why,
		Results: []WhatIfCustomer{}, Segments: []WhatIfSegment{}, Errors: []ItemError{},
	}
	if c.Why == "" {
		a.Support = &WhatIfSupport{percent(c.Low), percent(c.High), c.Renewals, c.Lapses}
	}
	changes := make([]float64, len(q.Changes))
	for i, p := range q.Changes {
		changes[i] = p / 100
	}
	for i, id := range q.Customers {
		one, err := s.whatIf(ctx, scorer, t, id, q.AsOf, changes)
		switch {
		case fault.Is(err, fault.NotFound):
			a.Errors = append(a.Errors, ItemError{i, "no such customer"})
		case err != nil:
			return nil, err
		default:
			a.Results = append(a.Results, one)
		}
	}
	a.segment()
	return a, nil
}

func (q *WhatIfRequest) check(today portfolio.Date) error {
	var fields []fault.Field
	bad := func(pointer, detail string) { fields = append(fields, fault.Field{Pointer: pointer, Detail: detail}) }
	if n := len(q.Customers); n < 1 || n > MaxItems {
		bad("/customers", "has from 1 to 100 items")
	}
	fields = append(fields, twice("/customers", q.Customers[:min(len(q.Customers), MaxItems)])...)
	if n := len(q.Changes); n < 1 || n > MaxChanges {
		bad("/changes_percent", "has from 1 to 20 items")
	}
	for i, v := range q.Changes {
		if !(v > -100 && v <= 1000) {
			bad("/changes_percent/"+strconv.Itoa(i), "is over -100 and at most 1000")
		}
	}
	if q.AsOf > today+1 { // east of UTC tomorrow has begun
		bad("/as_of", "is after today")
	}
	if len(fields) > 0 {
		return &fault.Error{Kind: fault.Invalid, Detail: "the request breaks a rule", Fields: fields}
	}
	if q.AsOf == 0 {
		q.AsOf = today
	}
	return nil
}

// whatIf answers for a stored customer, among the members of its relation.
func (s *Service) whatIf(ctx context.Context, sc *Scorer, t book.Tenant, id string, asOf portfolio.Date, changes []float64) (WhatIfCustomer, error) {
	out := WhatIfCustomer{CustomerID: id, Policies: []WhatIfPolicy{}}
	r, err := s.book.Customer(ctx, t, id)
	if err != nil {
		return out, err
	}
	members, at, err := Members(ctx, s.book, t, &r, asOf)
	if err != nil {
		return out, err
	}
	var answers []churn.WhatIf
	answers, out.Status = sc.WhatIfs(members, at, asOf, changes)
	for _, w := range answers {
		p := WhatIfPolicy{PolicyID: w.PolicyID, Branch: w.Branch, RenewsOn: w.Renews, Percent: percent(w.Change), Empty: w.Why != "", Why: w.Why}
		if !p.Empty {
			p.WhatIfDifference = &WhatIfDifference{places6(w.Without), places6(w.With), places6(w.With - w.Without), places6(w.Low), places6(w.High)}
		}
		out.Policies = append(out.Policies, p)
	}
	return out, nil
}

// WhatIfs is what goes with changes of the premiums, as shares, of a member's policies.
func (s *Scorer) WhatIfs(members []Subject, at int, asOf portfolio.Date, changes []float64) ([]churn.WhatIf, score.Status) {
	for len(s.views) < len(members) {
		s.views, s.sheets = append(s.views, portfolio.View{}), append(s.sheets, Sheet{})
	}
	s.refs = s.refs[:0]
	for i := range members {
		s.views[i].Reset(members[i].Aggregate, asOf, s.models.Ends)
		s.refs = append(s.refs, &s.views[i])
	}
	s.then, _ = feature.Relations(s.refs, s.then[:0])
	s.among = s.among[:0]
	for i, v := range s.refs {
		if s.then[i] == s.then[at] {
			s.among = append(s.among, v)
		}
	}
	s.group.Reset(s.among)
	out := s.churn.WhatIfs(feature.Input{View: s.refs[at], Group: &s.group}, changes, &s.lapse, nil)
	return out, s.lapse.Status
}

// segment adds up the policies that have an answer. The effect behind the intervals is one
// for all of them, so that the bounds' means bound the mean.
func (a *WhatIfAnswer) segment() {
	type key struct {
		branch  string
		percent float64
	}
	sums := map[key]*WhatIfSegment{}
	for _, c := range a.Results {
		for _, p := range c.Policies {
			if p.Empty {
				continue
			}
			for _, branch := range [...]string{"", p.Branch} {
				k := key{branch, p.Percent}
				s := sums[k]
				if s == nil {
					s = &WhatIfSegment{Branch: branch, Percent: p.Percent}
					sums[k] = s
				}
				s.Policies++
				s.Without, s.With = s.Without+p.Without, s.With+p.With
				s.Difference, s.Low, s.High = s.Difference+p.Difference, s.Low+p.Low, s.High+p.High
			}
		}
	}
	for _, s := range sums {
		n := float64(s.Policies)
		for _, v := range [...]*float64{&s.Without, &s.With, &s.Difference, &s.Low, &s.High} {
			*v = places6(*v / n)
		}
		a.Segments = append(a.Segments, *s)
	}
	slices.SortFunc(a.Segments, func(x, y WhatIfSegment) int {
		return cmp.Or(cmp.Compare(x.Branch, y.Branch), cmp.Compare(x.Percent, y.Percent))
	})
}

// percent is a share in percent, with two decimals.
func percent(v float64) float64 { return math.Round(1e4*v) / 100 }

func places6(v float64) float64 { return math.Round(1e6*v) / 1e6 }
