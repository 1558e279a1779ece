package churn

import (
	"math"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Settings are what a tenant may set of this engine. They are frozen with the models that
// were trained under them.
type Settings struct {
	// Definition is that of the figure that is shown for a relation, and of the relation's
	// end: see Definition.Relation.
	Definition Definition `json:"definition"`
	Market     Market     `json:"market"`
	// A rate of the book's own counts n/(n + PriorEvents) where the market would have n lapses
	// (Bühlmann and Straub's credibility: what counts is how much was seen, and not how much
	// came of it); from OwnEvents lapses on there is a model of its own, without the market.
	PriorEvents float64 `json:"prior_events"`
	OwnEvents   float64 `json:"own_events"`
	// ReplacementDays is how far apart the end of one policy and the start of the next of the
	// same branch and relation may lie for the one to have replaced the other, which is no
	// lapse, no purchase and no acquisition. All engines go by it; days.
	ReplacementDays int     `json:"replacement_days"`
	Changes         Support `json:"premium_changes"`
}

// Market is what is expected where a book says too little: a year.
type Market struct {
	Lapse         float64 `json:"lapse"`          // of policies
	Other         float64 `json:"other"`          // of policies, by any other end
	RelationLapse float64 `json:"relation_lapse"` // of relations of several policies that count
	RelationOther float64 `json:"relation_other"` // likewise, by any other end
	Along         float64 `json:"along"`          // of policies that do not count, those that end when their relation does
	Fade          float64 `json:"fade"`           // of what is known of a relation, its logarithm: see Fade
}

// Support says when a book has seen enough of changes of a premium to say what goes with
// them.
type Support struct {
	// Tail is the share of changes at either end that is beyond support.
	Tail float64 `json:"tail"`
	// Width is that of the bands that changes are counted in, as a share of the premium. A
	// change within a quarter of it, up or down, is none.
	Width float64 `json:"width"`
	// Lapses is how many there must be of policies with such a change, in the band and the
	// two beside it, and as many policies that stayed.
	Lapses float64 `json:"lapses"`
	// Unannounced is the largest share of changes that may come without having been recorded
	// before the renewal. Of policies that lapsed such changes are never known: with many of
	// them those who stay would seem to be those whose premium changed.
	Unannounced float64 `json:"unannounced"`
}

// Defaults are what Polis comes with. No rate of lapse is published for Dutch
// intermediaries: those here are our assumptions, of the order of what offices tell.
var Defaults = Settings{
	Definition: AllEssential,
	Market:     Market{Lapse: 0.13, Other: 0.02, RelationLapse: 0.08, RelationOther: 0.02, Along: 0.8, Fade: 0.3},

	PriorEvents: 20, // our choice: half own at twenty lapses
	OwnEvents:   50, // our choice: fewer cannot tell relations apart

	ReplacementDays: portfolio.DefaultReplacementDays,
	Changes: Support{
		Tail:        0.02, // the outermost 2% at either end; our choice
		Width:       0.02, // our choice: tariffs change by whole percentages
		Lapses:      10,   // a rate of ten events has a standard error of a third; our choice
		Unannounced: 0.2,  // our choice
	},
}

// Check makes sure that a tenant's settings make sense.
func (s *Settings) Check() error {
	if !s.Definition.valid() {
		return fault.New(fault.Invalid, "churn: definition is one of one_policy, one_branch, all_non_life, all_essential, all")
	}
	if s.ReplacementDays < 0 || s.ReplacementDays > 366 {
		return fault.New(fault.Invalid, "churn: replacement_days is from 0 to 366")
	}
	for _, f := range [...]struct {
		name        string
		value       float64
		least, most float64
	}{
		{"market.lapse", s.Market.Lapse, 1e-6, 0.999},
		{"market.other", s.Market.Other, 1e-6, 0.999},
		{"market.relation_lapse", s.Market.RelationLapse, 1e-6, 0.999},
		{"market.relation_other", s.Market.RelationOther, 1e-6, 0.999},
		{"market.along", s.Market.Along, 0, 1},
		{"market.fade", s.Market.Fade, 0, mostFade},
		{"prior_events", s.PriorEvents, 0, 1e6},
		{"own_events", s.OwnEvents, 30, 1e6}, // what the learner needs at least
		{"premium_changes.tail", s.Changes.Tail, 0, 0.25},
		{"premium_changes.width", s.Changes.Width, 0.005, 0.25},
		{"premium_changes.lapses", s.Changes.Lapses, 1, 1e6},
		{"premium_changes.unannounced", s.Changes.Unannounced, 0, 1},
	} {
		if !(f.value >= f.least && f.value <= f.most) {
			return fault.New(fault.Invalid, "churn: %s is from %v to %v", f.name, f.least, f.most)
		}
	}
	return nil
}

// Credibility is the weight of what the book says itself where so many events were to be
// expected, or so many cases seen.
func (s *Settings) Credibility(expected float64) float64 {
	if expected <= 0 {
		return 0
	}
	return expected / (expected + s.PriorEvents)
}

// Experience is what the level of a probability rests on, where the market would have had
// so many lapses.
func (s *Settings) Experience(lapses, expected float64) Experience {
	x := Experience{Basis: Blended, Weight: math.Round(1e4*s.Credibility(expected)) / 1e4, Lapses: lapses}
	switch {
	case lapses >= s.OwnEvents:
		x.Basis, x.Weight = Own, 1
	case expected <= 0:
		x.Basis = FromMarket
	}
	return x
}

// Basis says whose experience a probability rests on.
type Basis string

// The bases.
const (
	Own        Basis = "own"     // the book's alone
	Blended    Basis = "blended" // the book's and the market's, by credibility
	FromMarket Basis = "market"  // the book has none
	Mean       Basis = "mean"    // the book's mean stands for what may not be read
)

// Experience is a basis, the weight of the book's own in it, and the lapses that this
// rests on.
type Experience struct {
	Basis  Basis   `json:"basis"`
	Weight float64 `json:"weight"`
	Lapses float64 `json:"lapses"`
}

// Alike reports whether customers are not told apart, since the book knows too little or what
// it knows may not be read: one probability is that of many.
func (x *Experience) Alike() bool {
	return x.Basis == Blended || x.Basis == FromMarket || x.Basis == Mean
}

func (x *Experience) check() error {
	if x.Basis != Own && x.Basis != Blended && x.Basis != FromMarket {
		return fault.New(fault.Malformed, "churn: basis is one of own, blended, market")
	}
	if !(x.Weight >= 0 && x.Weight <= 1) || !(x.Lapses >= 0) {
		return fault.New(fault.Malformed, "churn: a weight is from 0 to 1, and lapses are not negative")
	}
	return nil
}
