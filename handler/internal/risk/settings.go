package risk

import (
	"maps"
	"slices"
	"strings"

	"polis/handler/internal/credibility"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Settings are what a tenant may set of this engine.
type Settings struct {
	// CapQuantile is the quantile of a branch's claims at which amounts are capped for
	// learning; what is cut off comes back as the excess load. Ours: with the largest
	// fiftieth cut, severities of the branches of an office can be learnt at all.
	CapQuantile float64 `json:"cap_quantile"`
	// Development says whether claims are developed to what they will come to. Quarters
	// are the quarters of loss that factors are learnt from, and Tail the factor beyond
	// the last. Ours: six years hold all but the longest liability claims, for which a
	// tail must be stated, since a book of that age cannot know it.
	Development bool    `json:"development"`
	Quarters    int     `json:"development_quarters"`
	Tail        float64 `json:"tail_factor"`
	// Inflation is by how much claims of the same kind grow dearer in a year: amounts are
	// taken to the middle of the year ahead. Ours, near the Dutch consumer price index
	// (CBS: 3.3% in 2024); repair and building costs have risen more in some years.
	Inflation float64 `json:"claims_inflation"`
	// MinimumEvents is below how many claims nothing but levels is learnt. Ours.
	MinimumEvents float64 `json:"minimum_events"`
	// FullEvents is from how many claims on a branch stands on its own: see
	// credibility.Full.
	FullEvents float64 `json:"full_credibility_events"`
	// PriorEvents is how many claims of its own weigh as much as the market, where the
	// book cannot say it: the constant K of Bühlmann and Straub. Ours.
	PriorEvents float64 `json:"prior_events"`
	// Market is what may be expected of branches where the book says too little; "" of
	// those that are not listed.
	Market map[string]Prior `json:"market"`
	// Apart are the covers whose claims are many, small and no sign of risk: they are
	// expected by branch, apart from claims proper. In any case of letters.
	Apart []string `json:"apart_covers"`
	// LifeAndHealth takes life and health branches into scope: risk scoring of people in
	// them is high-risk (EU AI Act, Annex III, 5(c)). It asks for Assessment, a reference
	// to the documented assessments that the Act then wants (articles 9, 27 and 43).
	LifeAndHealth bool   `json:"life_and_health"`
	Assessment    string `json:"life_and_health_assessment"`
}

// Prior is what may be expected of a policy of a branch in a year.
type Prior struct {
	Frequency float64 `json:"frequency"` // claims with something incurred, covers apart aside
	Severity  float64 `json:"severity"`  // EUR a claim, in the money of the as-of date
	Source    string  `json:"source"`
}

// What the priors are taken from.
const (
	belgium = "Belgian motor liability 1997 (bemtpl97): 0.14 claims a policy-year with a mean of EUR 1,309, in the money of 1997; set your own"
	ours    = "Polis: an order of magnitude, not published anywhere; set your own"
)

// Defaults are the settings that Polis comes with.
var Defaults = Settings{
	CapQuantile: 0.98,
	Development: true, Quarters: 24, Tail: 1,
	Inflation:     0.03,
	MinimumEvents: 50, FullEvents: credibility.Full, PriorEvents: 20,
	Market: map[string]Prior{
		"":                      {0.08, 1300, ours},
		"motor":                 {0.14, 1300, belgium},
		"liability":             {0.04, 700, ours},
		"contents":              {0.06, 1000, ours},
		"building":              {0.06, 2000, ours},
		"legal":                 {0.04, 1500, ours},
		"travel":                {0.08, 400, ours},
		"accident":              {0.01, 3000, ours},
		"valuables":             {0.03, 1200, ours},
		"boat":                  {0.04, 2000, ours},
		"pet":                   {0.4, 300, ours},
		"business_property":     {0.05, 8000, ours},
		"business_liability":    {0.05, 5000, ours},
		"business_interruption": {0.01, 12000, ours},
		"fleet":                 {0.15, 1500, ours},
		"transport":             {0.1, 2500, ours},
		"cyber":                 {0.02, 15000, ours},
		"disability":            {0.03, 15000, ours},
		"absence":               {0.2, 5000, ours},
		"health":                {1, 500, ours},
		"life":                  {0.003, 50000, ours},
		"funeral":               {0.005, 6000, ours},
	},
	Apart: []string{
		"glass", "glas", "ruit", "ruitschade", "windscreen", "voorruit",
		"assistance", "roadside", "roadside_assistance", "breakdown", "hulpverlening", "pechhulp", "alarmcentrale",
	},
}

// Clone is a copy that shares nothing.
func (s Settings) Clone() Settings {
	s.Market, s.Apart = maps.Clone(s.Market), slices.Clone(s.Apart)
	return s
}

// Check makes sure that the settings make sense; what does not is fault.Invalid.
func (s *Settings) Check() error {
	for _, f := range [...]struct {
		name            string
		value, from, to float64
	}{
		{"cap_quantile", s.CapQuantile, 0.5, 1},
		{"development_quarters", float64(s.Quarters), 1, 120},
		{"tail_factor", s.Tail, 0.5, 5},
		{"claims_inflation", s.Inflation, -0.2, 1},
		{"minimum_events", s.MinimumEvents, 1, 1e6},
		{"full_credibility_events", s.FullEvents, 1, 1e6},
		{"prior_events", s.PriorEvents, 1, 1e6},
	} {
		if !(f.value >= f.from && f.value <= f.to) {
			return fault.New(fault.Invalid, "risk: %s is from %v to %v", f.name, f.from, f.to)
		}
	}
	if _, ok := s.Market[""]; !ok {
		return fault.New(fault.Invalid, `risk: market has no entry "", for branches that are not listed`)
	}
	for _, b := range slices.Sorted(maps.Keys(s.Market)) {
		switch p := s.Market[b]; {
		case !(p.Frequency > 0 && p.Frequency <= 1000):
			return fault.New(fault.Invalid, "risk: market.%s.frequency is above 0 and at most 1000", b)
		case !(p.Severity > 0 && p.Severity <= 1e9):
			return fault.New(fault.Invalid, "risk: market.%s.severity is above 0 and at most 1e9", b)
		case p.Source == "":
			return fault.New(fault.Invalid, "risk: market.%s.source is missing: say where the figures are from", b)
		}
	}
	if s.LifeAndHealth && strings.TrimSpace(s.Assessment) == "" {
		return fault.New(fault.Invalid, "risk: life_and_health is high-risk under the EU AI Act (Annex III, 5(c)): "+
			"life_and_health_assessment must name your documented assessment")
	}
	return nil
}

// InScope reports whether policies of a branch are scored.
func (s *Settings) InScope(branch string) bool {
	b, _ := portfolio.BranchOf(branch)
	return !b.LifeOrHealth || s.LifeAndHealth
}

// Counts reports whether a claim counts: not rejected, and something is incurred. Claims
// of nothing are many where customers report whatever happens, and say more of the habit
// than of the risk.
func Counts(c *portfolio.ClaimView) bool {
	return c.Status != portfolio.ClaimRejected && c.Incurred() > 0
}

// IsApart reports whether a cover's claims are expected apart.
func (s *Settings) IsApart(cover string) bool {
	return slices.ContainsFunc(s.Apart, func(a string) bool { return strings.EqualFold(a, strings.TrimSpace(cover)) })
}

// Expected is the prior of a branch.
func (s *Settings) Expected(branch string) Prior {
	if p, ok := s.Market[branch]; ok {
		return p
	}
	return s.Market[""]
}
