// Package nbp answers what to offer a customer: for each branch that the relation does
// not hold, how likely it is to be bought within 12 months, whether it is needed, and
// whether it may be offered at all. Need comes first; value orders only the adviser's
// work, never the customer's options.
package nbp

import (
	"cmp"
	"slices"

	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// Model is what training publishes for this engine.
type Model struct {
	Branches map[string]score.Model // probability of buying within 12 months
	// Premium is the mean annual premium, EUR, of each branch that the book has; the
	// others are not offered.
	Premium map[string]float64
	Bands   score.Bands // of the best offer's probability
}

// Sold are the branches that the book has a premium for.
func (m *Model) Sold() map[string]bool {
	sold := make(map[string]bool, len(m.Premium))
	for b := range m.Premium {
		sold[b] = true
	}
	return sold
}

// Offer is a branch that could be offered.
type Offer struct {
	Branch      string
	Probability float64 // of buying within 12 months
	Need        string  // gap: a rule of care misses it; essential; useful
	Value       float64 // EUR: expected first-year commission, for the adviser's planning
}

// Result is what the engine says of a customer.
type Result struct {
	Status score.Status
	Offers []Offer // ranked
	Band   score.Band
	// MayContact is false where the customer refused marketing; advice in a
	// conversation that the customer starts is still allowed.
	MayContact bool
	// Withheld says why nothing should be offered now: care goes first.
	Withheld string
	Reasons  score.Reasons // of the first offer
}

// most is how many offers are ranked: nobody talks about more in one conversation.
const most = 5

// Ages outside which a branch is not offered to a private person, by year of birth. An
// age that is not known shuts nobody out.
const (
	ofAge       = 18 // who is younger cannot be bound by a contract (Dutch Civil Code 1:234)
	accidentAge = 70 // accident insurers commonly accept nobody older
)

// oldest is the last age, in years, at which a branch is offered; any where not listed.
var oldest = map[string]int{"accident": accidentAge}

// commission is the share of a first premium that the value counts.
const commission = 0.17

// Engine ranks offers with a model. One per goroutine.
type Engine struct {
	model    *Model
	reader   feature.Reader
	branches []branch
	row      model.Row
}

type branch struct {
	portfolio.Branch
	index   int
	model   score.Model
	explain *score.Explainer
}

// New is an engine with a model.
func New(m *Model) *Engine {
	e := &Engine{model: m}
	for i, b := range portfolio.Branches {
		if bm := m.Branches[b.Name]; bm != nil && m.Premium[b.Name] > 0 {
			e.branches = append(e.branches, branch{b, i, bm, score.NewExplainer(bm)})
		}
	}
	return e
}

// Score fills the result from what risk says of care.
func (e *Engine) Score(in feature.Input, rk *risk.Result, r *Result) {
	*r = Result{Status: score.NoPolicies, Offers: r.Offers[:0], Band: score.Low, Reasons: score.Reasons{Top: r.Reasons.Top[:0]}, MayContact: mayContact(in.View)}
	if in.Group.Policies == 0 {
		return
	}
	r.Status = score.Scored
	r.Withheld = rk.Care.Held()
	e.reader.Offer(in, &e.row)
	for i := range e.branches {
		b := &e.branches[i]
		if in.Group.Holds(b.index) || b.LifeOrHealth || !eligible(in.View, &b.Branch) {
			continue
		}
		p := b.model.Mean(b.model.Score(e.row, nil))
		o := Offer{Branch: b.Name, Probability: p, Need: "useful", Value: p * e.model.Premium[b.Name] * commission}
		if b.Essential {
			o.Need = "essential"
		}
		if rk.Care.Misses(b.Name) {
			o.Need = "gap"
		}
		r.Offers = append(r.Offers, o)
	}
	if len(r.Offers) == 0 {
		return
	}
	slices.SortStableFunc(r.Offers, func(x, y Offer) int {
		return cmp.Or(cmp.Compare(rank(x.Need), rank(y.Need)), cmp.Compare(y.Probability, x.Probability))
	})
	r.Offers = r.Offers[:min(len(r.Offers), most)]
	first := r.Offers[0]
	r.Band = e.model.Bands.Of(first.Probability)
	for i := range e.branches {
		if e.branches[i].Name == first.Branch {
			e.branches[i].explain.Explain(e.row, &r.Reasons)
		}
	}
}

// eligible reports whether the branch may be offered to such a customer at all.
func eligible(v *portfolio.View, b *portfolio.Branch) bool {
	c := v.Customer
	if c != nil && c.Segment == portfolio.Business {
		return b.Business
	}
	// 1900 stands for a year of birth that is not known, as in the features.
	if c == nil || c.BirthYear <= 1900 || c.BirthYear > v.AsOf.Year() {
		return b.Private
	}
	age := v.AsOf.Year() - c.BirthYear
	last, limited := oldest[b.Name]
	return b.Private && age >= ofAge && (!limited || age <= last)
}

// rank puts what care misses first; essential and useful compete on probability.
func rank(need string) int {
	if need == "gap" {
		return 0
	}
	return 1
}

// mayContact is false where the customer's last word on marketing was no.
func mayContact(v *portfolio.View) bool {
	if v.Customer == nil {
		return true
	}
	may := true
	var last portfolio.Date
	for _, c := range v.Customer.Consents {
		if c.Purpose == "marketing" && c.On >= last && c.On <= v.AsOf {
			may, last = c.Given, c.On
		}
	}
	return may
}
