// Package risk answers what each policy will cost and which customers need care.
// Expected loss is claim frequency (Poisson, with exposure) times mean claim (Gamma on
// amounts capped per branch), at the level of the branch: see Branch.
package risk

import (
	"math"
	"sort"

	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
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
	// Sold are the branches that the book has: what an office does not sell, its
	// customers hold elsewhere, and missing it here is no gap.
	Sold map[string]bool
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

// Signal is something in the file that asks for care, with what triggered it.
type Signal struct {
	Code  string
	Count int
}

// Gap is a branch that the relation misses, and why it would be expected to have it.
type Gap struct {
	Branch string
	Code   string
}

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
	Signals     []Signal
	Gaps        []Gap
	Of          string // the policy that the reasons are of: the one with the largest expected loss
	Reasons     score.Reasons
}

// Engine scores customers with a model. One per goroutine.
type Engine struct {
	model    *Model
	settings *Settings
	levels   map[string]*level
	others   *level
	reader   feature.Reader
	explain  *score.Explainer
	row      model.Row
}

// New is an engine with a model and the settings that it was trained under.
func New(m *Model, s *Settings) *Engine {
	e := &Engine{model: m, settings: s, levels: map[string]*level{}, others: newLevel(&neutral), explain: score.NewExplainer(m.Frequency, m.Severity)}
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
		Status: s, Band: score.Low, Ratio: math.NaN(), Policies: r.Policies[:0], Signals: r.Signals[:0], Gaps: r.Gaps[:0],
		Reasons: score.Reasons{Top: r.Reasons.Top[:0]},
	}
}

// Care fills the result for a customer who objects to profiling: signals and gaps come
// from the file and not from a model, and care is owed all the same.
func (e *Engine) Care(in feature.Input, r *Result) {
	r.reset(score.Objected)
	e.reader.Policies(in)
	e.care(in, r)
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
	e.care(in, r)
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

// Thresholds of the care signals: counts in 12 months, and the incurred amount from
// which on an open claim is one that upsets a household or a small business.
const (
	manyClaims     = 3
	manyMutations  = 6
	manyComplaints = 2
	severeClaim    = portfolio.Cents(10_000_00)
)

// Codes of the care signals that keep offers away.
const (
	Claims    = "claims_in_short_time"
	Severe    = "open_severe_claim"
	Complaint = "unresolved_complaint"
)

// care looks for what asks for care whatever it costs: the duty of care of Dutch law
// (Wft art. 4:23) is owed to every customer.
func (e *Engine) care(in feature.Input, r *Result) {
	c := e.reader.Care()
	for _, s := range [...]Signal{
		{Claims, over(c.Claims, manyClaims)},
		{Severe, severe(in.View)},
		{Complaint, c.Unresolved},
		{"repeated_complaints", over(c.Complaints, manyComplaints)},
		{"many_mutations", over(c.Mutations, manyMutations)},
	} {
		if s.Count > 0 {
			r.Signals = append(r.Signals, s)
		}
	}
	g := in.Group
	business := in.View.Customer != nil && in.View.Customer.Segment == portfolio.Business
	for _, rule := range gaps {
		if rule.business == business && g.Policies > 0 && e.model.Sold[rule.missing[0]] && !holdsAny(g, rule.missing) && holdsAny(g, rule.holding) {
			r.Gaps = append(r.Gaps, Gap{rule.missing[0], rule.code})
		}
	}
}

// severe counts open claims that are large.
func severe(v *portfolio.View) int {
	n := 0
	for i := range v.Claims {
		if c := &v.Claims[i]; c.Status == portfolio.ClaimOpen && c.Incurred() >= severeClaim {
			n++
		}
	}
	return n
}

func over(n, limit int) int {
	if n < limit {
		return 0
	}
	return n
}

// gaps are the rules by which a branch is missed: who holds one of these and none of
// those.
var gaps = []struct {
	code     string
	business bool
	holding  []string
	missing  []string
}{
	{"household_without_liability", false, []string{"motor", "contents", "building", "travel"}, []string{"liability"}},
	{"building_without_contents", false, []string{"building"}, []string{"contents"}},
	{"business_without_liability", true, []string{"business_property", "fleet", "business_interruption"}, []string{"business_liability"}},
	{"property_without_interruption", true, []string{"business_property"}, []string{"business_interruption"}},
}

func holdsAny(g *feature.Group, branches []string) bool {
	for _, b := range branches {
		if i := portfolio.BranchIndex(b); i >= 0 && g.Holds(i) {
			return true
		}
	}
	return false
}
