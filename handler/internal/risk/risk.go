// Package risk answers what each policy will cost and which customers need care.
// Expected loss is claim frequency (Poisson, with exposure) times mean claim (Gamma on
// amounts capped per branch) times the excess loading that keeps the branch's total.
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
	Excess    map[string]float64 // by branch: total incurred over capped incurred; 1 where not listed
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
	ID        string
	Branch    string
	Frequency float64 // claims a year
	Severity  float64 // EUR a claim
	Loss      float64 // EUR a year
	Ratio     float64 // Loss over annual premium; NaN where the premium is not known
}

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
	Status   score.Status
	Score    float64 // 0–100: the share of the book with a lower expected loss ratio
	Band     score.Band
	Loss     float64 // EUR a year, policies in scope
	Ratio    float64 // of loss to premium, where that is known; NaN where no policy's is
	Policies []Policy
	Signals  []Signal
	Gaps     []Gap
	Of       string // the policy that the reasons are of: the one with the largest expected loss
	Reasons  score.Reasons
}

// Engine scores customers with a model. One per goroutine.
type Engine struct {
	model   *Model
	reader  feature.Reader
	explain *score.Explainer
	row     model.Row
}

// New is an engine with a model.
func New(m *Model) *Engine {
	return &Engine{model: m, explain: score.NewExplainer(m.Frequency, m.Severity)}
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
		// insurance is high-risk, and off.
		if b, _ := portfolio.BranchOf(p.Branch); b.LifeOrHealth {
			continue
		}
		e.reader.Policy(e.model.Schema, i, &e.row)
		frequency := e.model.Frequency.Mean(e.model.Frequency.Score(e.row, nil))
		severity := e.model.Severity.Mean(e.model.Severity.Score(e.row, nil)) * e.excess(p.Branch)
		q := Policy{ID: p.ID, Branch: p.Branch, Frequency: frequency, Severity: severity, Loss: frequency * severity, Ratio: math.NaN()}
		if p.AnnualPremium > 0 {
			q.Ratio = q.Loss / p.AnnualPremium.EUR()
			premium += p.AnnualPremium.EUR()
			covered += q.Loss
		}
		r.Loss += q.Loss
		if q.Loss > most {
			most, r.Of = q.Loss, p.ID
			e.explain.Explain(e.row, &r.Reasons)
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

func (e *Engine) excess(branch string) float64 {
	if x, ok := e.model.Excess[branch]; ok {
		return x
	}
	return 1
}

// place is the percentage of a frozen distribution below v; the middle where there is
// no distribution.
func place(quantiles []float64, v float64) float64 {
	n := len(quantiles)
	if n < 2 {
		return 50
	}
	i := sort.SearchFloat64s(quantiles, v)
	switch {
	case i == 0:
		return 0
	case i == n:
		return 100
	}
	lo, hi := quantiles[i-1], quantiles[i]
	share := 1.0
	if hi > lo {
		share = (v - lo) / (hi - lo)
	}
	return 100 * (float64(i-1) + share) / float64(n-1)
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
