// Package risk answers what each policy will cost and which customers need care.
// Expected loss is claim frequency (Poisson, with exposure) times mean claim (Gamma on
// amounts capped per branch), at the level of the branch: see Branch.
package risk

import (
	"math"
	"sort"

	"polis/handler/internal/care"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/score"
)

// Model is what training publishes for this engine.
type Model struct {
	Frequency score.Model // claims per policy-year
	Severity  score.Model // EUR per claim, capped
	Schema    feature.PolicySchema
	Branches  map[string]Branch // "" is of those that are not listed
	// Quantiles are 101 points of the loss ratio over the book when the model was
	// published: a score is a place among them, and stays comparable until the next.
	// LossQuantiles are the same of Ranked, for customers without a known premium.
	Quantiles     []float64
	LossQuantiles []float64
	Bands         score.Bands // of the score
}

// Policy is what a policy is expected to do in a year.
type Policy struct {
	ID          string
	Branch      string
	Frequency   float64 // claims a year with something incurred, covers apart aside
	Nil         float64 // claims a year with nothing incurred, of the branch
	Severity    float64 // EUR a claim
	Loss        float64 // EUR a year: frequency × severity, and the covers apart
	Undeveloped float64 // Loss without the load for development
	Ratio       float64 // Loss over annual premium; NaN where the premium is not known

	proper float64 // frequency × severity
	level  *level
}

// Basis is what the level of the policy's branch rests on, and the weight that the book's
// own claims have in it.
func (p *Policy) Basis() (Basis, float64) { return p.level.Basis, p.level.Credibility }

// Result is what the engine says of a customer.
type Result struct {
	Status score.Status
	Score  float64 // 0–100: the share of the book with a lower expected loss ratio
	Band   score.Band
	Loss   float64 // EUR a year, policies in scope
	// Undeveloped is Loss without the load for development, beside it.
	Undeveloped float64
	Ratio       float64 // of loss to premium, where that is known; NaN where no policy's is
	Policies    []Policy
	Care        care.Result
	Of          string // the policy that the reasons are of: the one with the largest expected loss
	Reasons     score.Reasons
}

// Engine scores customers with a model. One per goroutine.
type Engine struct {
	model    *Model
	settings *Settings
	care     *care.Engine
	levels   map[string]*level
	others   *level
	reader   feature.Reader
	explain  *score.Explainer
	row      model.Row
}

// New is an engine with a model and the settings that it was trained under, and with one
// that finds the care that is owed.
func New(m *Model, s *Settings, c *care.Engine) *Engine {
	if m == nil || s == nil || c == nil {
		panic("risk: a dependency is missing")
	}
	e := &Engine{model: m, settings: s, care: c, levels: map[string]*level{}, others: newLevel(&neutral), explain: score.NewExplainer(m.Frequency, m.Severity)}
	for name, b := range m.Branches {
		e.levels[name] = newLevel(&b)
	}
	if l := e.levels[""]; l != nil {
		e.others = l
	}
	return e
}

func (e *Engine) level(branch string) *level {
	if l := e.levels[branch]; l != nil {
		return l
	}
	return e.others
}

// PerPolicy is the mean expected loss of the policies in scope, EUR a year.
func (r *Result) PerPolicy() float64 { return r.Loss / float64(len(r.Policies)) }

func (r *Result) reset(s score.Status) {
	*r = Result{
		Status: s, Band: score.Low, Ratio: math.NaN(), Policies: r.Policies[:0],
		Care:    care.Result{Triggers: r.Care.Triggers[:0]},
		Reasons: score.Reasons{Top: r.Reasons.Top[:0]},
	}
}

// Care fills the result for a customer who objects to profiling: care comes from the file
// and not from a model, and is owed all the same.
func (e *Engine) Care(in feature.Input, r *Result) {
	r.reset(score.Objected)
	e.care.Score(in, &r.Care)
}

// Score fills the result for a customer.
func (e *Engine) Score(in feature.Input, r *Result) {
	v := in.View
	r.reset(score.NoPolicies)
	e.reader.Policies(in)
	premium, covered, most, inForce := 0.0, 0.0, -1.0, false
	for i := range v.Policies {
		p := &v.Policies[i]
		if !p.InForce(v.AsOf) {
			continue
		}
		inForce = true
		// EU AI Act, Annex III 5(c): risk scoring of people in life and health
		// insurance is high-risk, and off unless a tenant answers for it.
		if !e.settings.InScope(p.Branch) {
			continue
		}
		e.reader.Policy(e.model.Schema, i, &e.row)
		l := e.level(p.Branch)
		q := Policy{ID: p.ID, Branch: p.Branch, Nil: l.nilClaims, Ratio: math.NaN(), level: l}
		q.Frequency = e.model.Frequency.Mean(e.model.Frequency.Score(e.row, nil)) * l.frequency
		q.Severity = e.model.Severity.Mean(e.model.Severity.Score(e.row, nil)) * l.severity
		q.proper = q.Frequency * q.Severity
		q.Loss = float64(q.proper) + l.apart
		q.Undeveloped = float64(q.proper/l.Development) + l.apart
		if p.AnnualPremium > 0 {
			q.Ratio = q.Loss / p.AnnualPremium.EUR()
			premium += p.AnnualPremium.EUR()
			covered += q.Loss
		}
		r.Loss += q.Loss
		r.Undeveloped += q.Undeveloped
		if q.Loss > most {
			most, r.Of = q.Loss, p.ID
			e.explain.Explain(e.row, &r.Reasons)
			l.explain(&q, &r.Reasons)
		}
		r.Policies = append(r.Policies, q)
	}
	e.care.Score(in, &r.Care)
	switch {
	case len(r.Policies) > 0:
		r.Status = score.Scored
	case inForce:
		r.Status = score.NotInScope
		return
	default:
		return
	}
	if premium > 0 {
		r.Ratio = covered / premium
		r.Score = place(e.model.Quantiles, r.Ratio)
	} else { // euros have no place among ratios
		r.Score = place(e.model.LossQuantiles, r.PerPolicy())
	}
	r.Band = e.model.Bands.Of(r.Score)
}

// place is the percentage of a frozen distribution below v, half of what equals it
// counted as below; the middle where there is no distribution.
func place(quantiles []float64, v float64) float64 {
	n := len(quantiles)
	if n < 2 {
		return 50
	}
	from, to := sort.SearchFloat64s(quantiles, v), sort.Search(n, func(i int) bool { return quantiles[i] > v })
	switch {
	case from < to:
		return 100 * float64(from+to-1) / float64(2*(n-1))
	case from == 0:
		return 0
	case from == n:
		return 100
	}
	lo, hi := quantiles[from-1], quantiles[from]
	return 100 * (float64(from-1) + (v-lo)/(hi-lo)) / float64(n-1)
}
