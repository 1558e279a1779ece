// Package churn answers with what probability a relation lapses within 1 to 36 months:
// a discrete-time hazard by month with competing ends (Singer and Willett 1993), so
// that all horizons come from one model and cannot cross.
package churn

import (
	"polis/handler/internal/feature"
	"polis/handler/internal/hazard"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// Horizon is how many months ahead the engine looks.
const Horizon = 36

// Definition says which policies must lapse for the relation to have lapsed.
type Definition string

// The definitions: of relations without an essential policy all policies count.
const (
	AllEssential Definition = "all_essential"
	All          Definition = "all"
)

// Model is what training publishes for this engine.
type Model struct {
	Lapse score.Model // monthly hazard of a lapse
	Other score.Model // monthly hazard of any other end
	Bands score.Bands // of the probability over 12 months
}

// Result is what the engine says of a relation, the same for each of its members.
type Result struct {
	Status     score.Status
	Definition Definition
	// Lapsed[k] is the probability of a lapse within k months; Alive[k] that no end of
	// any kind has come. Both for k = 0 … Horizon.
	Lapsed  [Horizon + 1]float64
	Alive   [Horizon + 1]float64
	Band    score.Band
	Reasons score.Reasons // of the lapse hazard in the first month, on the log-odds scale
}

// Engine scores relations with a model. One per goroutine.
type Engine struct {
	model   *Model
	reader  feature.Reader
	explain *score.Explainer
	row     model.Row
}

// New is an engine with a model.
func New(m *Model) *Engine {
	return &Engine{model: m, explain: score.NewExplainer(m.Lapse)}
}

// Score fills the result for a relation, by its primary member.
func (e *Engine) Score(g *feature.Group, r *Result) {
	*r = Result{Status: score.NoPolicies, Band: score.Low, Reasons: score.Reasons{Top: r.Reasons.Top[:0]}}
	r.Definition = DefinitionOf(g)
	if g.Policies == 0 {
		return
	}
	r.Status = score.Scored
	e.reader.Hazard(feature.Input{View: g.Primary, Group: g}, &e.row)
	e.explain.Explain(e.row, &r.Reasons)
	r.Alive[0] = 1
	var hazards, ended [2]float64 // by a lapse, by anything else
	for k := 1; k <= Horizon; k++ {
		e.reader.SetMonth(&e.row, k)
		hazards[0] = e.model.Lapse.Mean(e.model.Lapse.Score(e.row, nil))
		hazards[1] = e.model.Other.Mean(e.model.Other.Score(e.row, nil))
		r.Alive[k] = hazard.Step(r.Alive[k-1], hazards[:], ended[:])
		r.Lapsed[k] = ended[0]
	}
	r.Band = e.model.Bands.Of(r.Lapsed[12])
}

// DefinitionOf is the definition that applies to a relation.
func DefinitionOf(g *feature.Group) Definition {
	for i, b := range portfolio.Branches {
		if b.Essential && g.Holds(i) {
			return AllEssential
		}
	}
	return All
}
