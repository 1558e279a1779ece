// Package care finds what in a customer's file asks for care: the duty of care of Dutch law
// (Wft art. 4:23 and 4:24a) and of the Insurance Distribution Directive (art. 20, 25 and 30),
// as rules that are data. It reads the file and uses no model, so it is for everyone, also
// for who objects to profiling. What a customer is worth and what it pays are no facts that a
// rule could ask for; only how a premium changes, and a deductible against it.
package care

import (
	"slices"

	"polis/handler/internal/enrichment"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
)

// Trigger is a rule that fired.
type Trigger struct {
	Code   string
	Number float64 // the value of the first number in the rule's condition; 1 where it has none
	Points float64 // 0–100
	Holds  bool    // offers wait
	Branch string  // what is missing, of a coverage gap
	Low    bool    // something may be insured for too little: underinsurance
	// Source and On say whose value it was and as of when, of a rule on what was brought in
	// from outside the administration (package enrichment).
	Source string
	On     portfolio.Date
}

// Result is the care that a customer is owed.
type Result struct {
	// Score is 0–100: 100·(1 − Π(1 − points/100)) over the triggers. It grows with every
	// trigger and never beyond 100, and who has one trigger alone has its points.
	Score    float64
	Triggers []Trigger // by points, the most first, then by code
}

// Engine finds the care that customers are owed. One per goroutine.
type Engine struct {
	rules  *Rules
	reader *reader
	sold   []bool // by rule: its gap is one in this book
}

// New is an engine with rules, for a book. Without rules there is no care: that is
// fault.Internal.
func New(r *Rules, b Book) (*Engine, error) {
	if r == nil {
		return nil, fault.New(fault.Internal, "care without rules")
	}
	e := &Engine{rules: r, reader: newReader(&r.settings, b), sold: make([]bool, len(r.list))}
	for i := range r.list {
		e.sold[i] = r.list[i].Branch == "" || b.Sold[r.list[i].Branch]
	}
	return e, nil
}

// Score fills the result for a customer. It allocates nothing once the result has room.
func (e *Engine) Score(in feature.Input, r *Result) {
	e.fill(e.reader.read(in), r)
}

// fill lets the rules look at facts.
func (e *Engine) fill(facts Facts, r *Result) {
	r.Triggers = r.Triggers[:0]
	left := 1.0
	for i := range e.rules.list {
		rule := e.rules.list[i]
		if !e.sold[i] || rule.condition.of(facts) != yes {
			continue
		}
		t := Trigger{Code: rule.Code, Number: 1, Points: rule.Points, Holds: rule.Holds}
		if rule.Points >= e.rules.settings.GapFrom {
			t.Branch, t.Low = rule.Branch, slices.Contains(lowSums, rule.number)
		}
		if rule.number >= 0 {
			t.Number = facts[rule.number]
		}
		for _, f := range rule.condition.facts {
			switch f {
			case fRebuildShortfall:
				t.Source, t.On = e.reader.short.Source, e.reader.short.On
			case fRebuildExcess:
				t.Source, t.On = e.reader.over.Source, e.reader.over.On
			case fRebuildValueYears:
				t.Source, t.On = e.reader.oldest.Source, e.reader.oldest.On
			}
		}
		r.Triggers = append(r.Triggers, t)
		left = float64(left * (1 - rule.Points/100))
	}
	r.Score = 100 * (1 - left)
}

// Troubles are how many complaints of a customer's there have been by the as-of date and how many
// claims, ever: one more of either is a reason to look again. Claims that tell of somebody's
// health and light ones are left out.
func (e *Engine) Troubles(v *portfolio.View) (complaints, claims int) {
	for i := range v.Contacts {
		if feature.IsComplaint(v.Contacts[i].Reason) {
			complaints++
		}
	}
	for i := range v.Claims {
		c := &v.Claims[i]
		if p, _ := policyOf(v, c.PolicyID); c.LossDate <= v.AsOf && !feature.Delicate(p, c) && !portfolio.AmongCodes(e.reader.settings.LightCovers, c.Cover) {
			claims++
		}
	}
	return complaints, claims
}

// lowSums are the facts that say how far a sum insured is behind what it should be.
var lowSums = []int{
	fBuildingBehindIndex, fContentsBehindIndex, fPropertyBehindIndex, fValuablesBehindIndex, fBuildingToCommon, fContentsToCommon, fRebuildShortfall,
	fLiabilitySum, fBusinessLiabilitySum,
}

// Advice is the weightiest of coverage gaps and underinsurance; nil for neither.
func (r *Result) Advice() *Trigger {
	for i := range r.Triggers {
		if t := &r.Triggers[i]; t.Branch != "" || t.Low {
			return t
		}
	}
	return nil
}

// Gap is the weightiest coverage gap; nil for none.
func (r *Result) Gap() *Trigger {
	for i := range r.Triggers {
		if r.Triggers[i].Branch != "" {
			return &r.Triggers[i]
		}
	}
	return nil
}

// Held is the code of the weightiest trigger that holds offers back; "" for none.
func (r *Result) Held() string {
	for i := range r.Triggers {
		if r.Triggers[i].Holds {
			return r.Triggers[i].Code
		}
	}
	return ""
}

// Misses reports whether the branch is a coverage gap.
func (r *Result) Misses(branch string) bool {
	for i := range r.Triggers {
		if r.Triggers[i].Branch == branch {
			return true
		}
	}
	return false
}

// Facts are a customer's facts by name, for the record of a decision: numbers, names, and
// nil for what is not known.
func (e *Engine) Facts(in feature.Input) map[string]any {
	facts := e.reader.read(in)
	out := make(map[string]any, len(facts))
	for i, v := range facts {
		switch def := &FactList[i]; {
		case def.Name == "":
		case v != v:
			out[def.Name] = nil
		case len(def.Names) > 0:
			out[def.Name] = def.Names[int(v)]
		default:
			out[def.Name] = v
		}
	}
	return out
}

// Again finds the care once more from what Facts said, to the bit; whose the values were
// that had been brought in is in the score itself. Facts that are missing or of another kind
// are fault.Invalid.
func (e *Engine) Again(facts map[string]any, r *Result) error {
	values := make(Facts, len(FactList))
	for i := range FactList {
		def := &FactList[i]
		if def.Name == "" {
			continue
		}
		v, there := facts[def.Name]
		number, isNumber := v.(float64)
		name, isName := v.(string)
		switch {
		case there && v == nil:
			values[i] = unknown
		case len(def.Names) > 0 && isName && slices.Contains(def.Names, name):
			values[i] = float64(slices.Index(def.Names, name))
		case len(def.Names) == 0 && isNumber:
			values[i] = number
		default:
			return fault.New(fault.Invalid, "the fact %s is missing or not of its kind", def.Name)
		}
	}
	e.reader.short, e.reader.over, e.reader.oldest = enrichment.Value{}, enrichment.Value{}, enrichment.Value{}
	e.fill(values, r)
	return nil
}
