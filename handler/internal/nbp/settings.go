package nbp

import (
	"errors"
	"maps"
	"math"
	"slices"

	"polis/handler/internal/fault"
)

// Market is a rate of buying that somebody else states: of a hundred customers without
// the product, how many buy it in a year.
type Market struct {
	Rate   float64 `json:"rate"`
	Source string  `json:"source"`
}

// Settings are what a tenant may set of this engine.
type Settings struct {
	Groups Groups `json:"groups,omitempty"` // of branches that are refined; any other is one group
	Rules  Rules  `json:"rules"`
	// Market are the rates by group or branch; MarketDefault is that of any other. A group
	// with few events is drawn to it, and every probability is shown at it too.
	Market        map[string]Market `json:"market_rate,omitempty"`
	MarketDefault Market            `json:"market_rate_default"`
	// A group's own rate counts n/(n + PriorEvents) where the market would have bought n times
	// (Bühlmann and Straub's credibility); from OwnEvents purchases on there is a model of
	// its own.
	PriorEvents float64 `json:"prior_events"`
	OwnEvents   float64 `json:"own_events"`
	// CoolingOffDays is how soon a purchase may be undone, and then was none.
	CoolingOffDays int `json:"cooling_off_days"`

	// Explained is how many offers come with reasons: the first at least. Those of all five
	// make a score twice as long to write and to keep.
	Explained      int      `json:"explained"`
	Offers         int      `json:"offers"`          // ranked, at most
	CommissionRate float64  `json:"commission_rate"` // share of a first premium that the value counts
	Channels       Channels `json:"channels"`
	// Contacts with these reasons, alone or followed by ":" and a group or branch, say that
	// the customer declined an offer, or has the product elsewhere.
	DeclinedReasons  []string `json:"declined_reasons"`
	ElsewhereReasons []string `json:"elsewhere_reasons"`
	// ElsewhereAttribute is the attribute of policies that lists groups or branches held
	// elsewhere, separated by spaces, commas or semicolons.
	ElsewhereAttribute string `json:"elsewhere_attribute"`
	CoolOffMonths      int    `json:"cool_off_months"`  // after a decline nothing of the kind is offered
	ElsewhereMonths    int    `json:"elsewhere_months"` // for so long a contact that tells of cover elsewhere holds
}

// Groups are a tenant's groups.
type Groups []Group

// UnmarshalJSON reads groups into places of their own, as Rules does.
func (g *Groups) UnmarshalJSON(b []byte) error { return anew(b, (*[]Group)(g)) }

// Channels are a tenant's channels.
type Channels []Channel

// UnmarshalJSON reads channels into places of their own, as Rules does.
func (c *Channels) UnmarshalJSON(b []byte) error { return anew(b, (*[]Channel)(c)) }

// Defaults are what Polis comes with; each call makes them anew. No rate of buying by
// branch is published for the Dutch market: the one here is our assumption, of the order
// of one customer in fifty a year, and says so with every score.
func Defaults() Settings {
	return Settings{
		Rules:         DefaultRules(),
		MarketDefault: Market{0.02, "assumption of Polis"},
		PriorEvents:   20, // our choice: half own at twenty purchases
		OwnEvents:     50, // our choice: fewer cannot tell customers apart
		// Fourteen days, at a distance: Burgerlijk Wetboek 6:230x, by Directive 2002/65/EC art. 6
		// and, from 19 June 2026, 2011/83/EU art. 16b. Taken for all purchases: our choice.
		CoolingOffDays: 14,
		Explained:      1, // our choice, for the length
		Offers:         5, // our choice: nobody talks about more in one conversation
		// The commission of a private non-life policy is commonly a fifth of the premium or
		// less; an order of magnitude, as in package clv.
		CommissionRate: 0.17,
		Channels:       Channels{{"email", true}, {"phone", false}, {"post", true}},

		DeclinedReasons: []string{"declined", "offer_declined"}, ElsewhereReasons: []string{"held_elsewhere"}, ElsewhereAttribute: "held_elsewhere",
		CoolOffMonths: 12, ElsewhereMonths: 24, // our choice: a renewal, and two
	}
}

// Clone shares nothing with s that can be changed in place.
func (s Settings) Clone() Settings {
	s.Groups, s.Rules, s.Market, s.Channels = slices.Clone(s.Groups), slices.Clone(s.Rules), maps.Clone(s.Market), slices.Clone(s.Channels)
	s.DeclinedReasons, s.ElsewhereReasons = slices.Clone(s.DeclinedReasons), slices.Clone(s.ElsewhereReasons)
	return s
}

// Check makes sure that a tenant's settings can be worked with: fault.Invalid, naming the
// field.
func (s *Settings) Check() error {
	g, err := NewGrouping(s.Groups)
	if err != nil {
		return err
	}
	var errs []error
	invalid := func(format string, args ...any) {
		errs = append(errs, fault.New(fault.Invalid, "nbp: "+format, args...))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Market)) {
		if g.Named(name) == 0 {
			invalid("market_rate names no group or branch that is offered")
		}
		s.Market[name].check("market_rate."+name, invalid)
	}
	s.MarketDefault.check("market_rate_default", invalid)
	for _, f := range [...]struct {
		name      string
		value     float64
		low, high float64
	}{
		{"prior_events", s.PriorEvents, 0, 1e6},
		{"own_events", s.OwnEvents, 2, 1e6},
		{"cooling_off_days", float64(s.CoolingOffDays), 0, 366},
		{"offers", float64(s.Offers), 1, maxGroups},
		{"explained", float64(s.Explained), 1, maxGroups},
		{"commission_rate", s.CommissionRate, 0, 1},
		{"cool_off_months", float64(s.CoolOffMonths), 0, 120},
		{"elsewhere_months", float64(s.ElsewhereMonths), 0, 120},
	} {
		if !(f.value >= f.low && f.value <= f.high) || math.IsInf(f.value, 0) {
			invalid("%s is from %v to %v", f.name, f.low, f.high)
		}
	}
	for i, c := range s.Channels {
		if c.Name == "" || everywhere(c.Name) == "" {
			invalid("channels[%d].name is missing, or stands for all channels", i)
		}
	}
	for name, codes := range map[string][]string{"declined_reasons": s.DeclinedReasons, "elsewhere_reasons": s.ElsewhereReasons} {
		if slices.Contains(codes, "") {
			invalid("%s has an empty code", name)
		}
	}
	return errors.Join(append(errs, s.Rules.Check(g))...)
}

func (m Market) check(name string, invalid func(string, ...any)) {
	if !(m.Rate > 0 && m.Rate < 1) {
		invalid("%s.rate is over 0 and under 1", name)
	}
	if m.Source == "" {
		invalid("%s.source is missing", name)
	}
}

// MarketOf is the market's rate of a group.
func (s *Settings) MarketOf(g *Group) Market {
	if m, ok := s.Market[g.Code]; ok {
		return m
	}
	if m, ok := s.Market[g.Branch]; ok {
		return m
	}
	return s.MarketDefault
}

// Credibility is what a book counts against the market where so many purchases were to be
// expected by the market's rate.
func (s *Settings) Credibility(expected float64) float64 {
	if expected <= 0 {
		return 0
	}
	return expected / (expected + s.PriorEvents)
}
