// Package nbp answers what to offer a customer: for each product group that the relation
// does not hold here, how likely it buys it here within 12 months, whether it is needed,
// and whether it may be offered at all. Need comes first; value orders only the adviser's
// work, never the customer's options.
package nbp

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

var notKnown = math.NaN()

// Model is what training publishes for this engine.
type Model struct {
	// Common is what is alike in who buys anything at all: with the model of a group it adds
	// up to the log-odds that the relation buys that group here within 12 months. A small
	// book has too few purchases of each to learn it from them.
	Common score.Model
	Groups map[string]score.Model // by group: what it adds, or, where Fitted says so, all
	Fitted map[string]Fitted      // by group: what the model rests on
	// Premium is the mean annual premium, EUR, by branch of all that the book has; what is
	// not among them is not sold.
	Premium map[string]float64
	Bands   score.Bands // of the first offer's probability
}

// Basis says whose experience a probability rests on.
type Basis string

// The bases: the book's own, that and the market's by credibility, the market's alone.
const (
	Own        Basis = "own"
	Blended    Basis = "blended"
	FromMarket Basis = "market"
)

// Fitted is what a group's model rests on.
type Fitted struct {
	Alone     bool    `json:"alone,omitempty"` // the group's model is all there is: it was brought in
	Basis     Basis   `json:"basis"`
	Weight    float64 `json:"weight"`    // of the book's own experience, 0 to 1
	Purchases float64 `json:"purchases"` // in the book, in the years that were looked back on
	Rate      float64 `json:"rate"`      // a year, of the relations that could buy
	// Shift moves the link so that the mean over those relations is the market's rate.
	Shift   float64 `json:"shift"`
	Premium float64 `json:"premium"` // EUR a year, mean; 0: the book has none, and it is not sold
}

// of are the models that add up to a group's link.
func (m *Model) of(group string) []score.Model {
	if m.Fitted[group].Alone {
		return []score.Model{m.Groups[group]}
	}
	return []score.Model{m.Common, m.Groups[group]}
}

// Alone reports whether a group's model is all there is, and Common has no part in it.
func (m *Model) Alone(group string) bool { return m.Fitted[group].Alone }

// Link is the log-odds that a relation buys a group, on a row that is about it.
func (m *Model) Link(group string, row model.Row) float64 {
	own := m.Groups[group].Score(row, nil)
	if m.Fitted[group].Alone {
		return own
	}
	return m.Common.Score(row, nil) + own
}

// Sold are the branches that the book has a premium for.
func (m *Model) Sold() map[string]bool {
	sold := make(map[string]bool, len(m.Premium))
	for b := range m.Premium {
		sold[b] = true
	}
	return sold
}

// Need is why a group would be needed, the most pressing first.
type Need uint8

// The needs.
const (
	Gap       Need = iota // a rule of care misses it
	Essential             // its group is essential
	Useful
)

var needs = [...]string{"gap", "essential", "useful"}

func (n Need) String() string { return needs[n] }

// Offer is a group that could be offered.
type Offer struct {
	Group       *Group
	Probability float64 // that the relation, if it stays, buys it here within 12 months
	AtMarket    float64 // the same, shifted to the market's rate
	Market      Market
	Basis       Basis
	Weight      float64
	Need        Need
	Suitability float64  // 0 to 1: the product of the factors of the rules that apply
	Ask         []string // codes of what must be asked before it is offered
	Value       float64  // EUR: expected first-year commission, for the adviser's planning
	Explained   bool     // of the first offers, as many as the settings say
	Reasons     score.Reasons

	at int // of its group
}

// Exclusion is why a group is not offered.
type Exclusion struct {
	Group *Group
	Code  string // of a rule
}

// Result is what the engine says of a customer.
type Result struct {
	Status   score.Status
	Offers   []Offer     // ranked
	Excluded []Exclusion // all other groups, in their order
	Band     score.Band
	// MayContact is whether any channel may be used for an offer, or to keep the customer;
	// Contact says of each. In a conversation that the customer starts advice is always allowed.
	MayContact bool
	Contact    []Approach
	// Withheld is the rule of care that holds offers back: nothing is offered.
	Withheld string
	Reasons  score.Reasons // of the first offer
}

// Reset empties the result and keeps its buffers.
func (r *Result) Reset(s score.Status) {
	*r = Result{
		Status: s, Band: score.Low, Offers: r.Offers[:0], Excluded: r.Excluded[:0], Contact: r.Contact[:0],
		Reasons: score.Reasons{Top: r.Reasons.Top[:0]},
	}
}

// next is a place for an offer, with the buffers of what was there before.
func (r *Result) next() *Offer {
	if n := len(r.Offers); n < cap(r.Offers) {
		r.Offers = r.Offers[:n+1]
	} else {
		r.Offers = append(r.Offers, Offer{})
	}
	o := &r.Offers[len(r.Offers)-1]
	*o = Offer{Ask: o.Ask[:0], Reasons: score.Reasons{Top: o.Reasons.Top[:0]}}
	return o
}

// Decline is an offer that was declined, as an office recorded it on its action list.
type Decline struct {
	Group string // or branch; "" for whatever was offered
	On    portfolio.Date
}

// Engine ranks offers with a model. One per goroutine.
type Engine struct {
	model    *Model
	settings *Settings
	grouping *Grouping
	rules    []compiled
	groups   []group
	reader   feature.Reader
	row      model.Row

	// Of the relation at hand.
	past                Past
	elsewhere, declined uint64
	policies            int
}

// group is a group with its model, and what that says of the relation at hand.
type group struct {
	*Group
	Fitted
	market  Market
	model   score.Model // nil: not sold
	explain *score.Explainer
	scored  bool
	link    float64
	chance  float64
	why     bool
	reasons score.Reasons
}

// New is an engine with a model and settings, which must have passed their check.
func New(m *Model, s *Settings) (*Engine, error) {
	g, err := NewGrouping(s.Groups)
	if err != nil {
		return nil, err
	}
	e := &Engine{model: m, settings: s, grouping: g, rules: s.Rules.compile(g)}
	for i := range g.Groups {
		x := group{Group: &g.Groups[i], Fitted: m.Fitted[g.Groups[i].Code], market: s.MarketOf(&g.Groups[i])}
		if bm := m.Groups[x.Code]; bm != nil && x.Premium > 0 {
			x.model = bm
		}
		e.groups = append(e.groups, x)
	}
	return e, nil
}

// Relation readies the engine for the members of a relation: what it holds here and
// elsewhere, and what it declined, of which declines are those on action lists. What a
// model says is of the relation, and the same for each of its members.
func (e *Engine) Relation(rel *feature.Group, declines []Decline) {
	e.policies = rel.Policies
	for i := range e.groups {
		e.groups[i].scored, e.groups[i].why = false, false
	}
	e.past.Reset(e.grouping, rel.Views)
	e.elsewhere, e.declined = 0, 0
	for i := range e.rules {
		e.rules[i].attribute = false
	}
	for _, v := range rel.Views {
		for i := range v.Policies {
			if p := &v.Policies[i]; p.InForce(v.AsOf) && len(p.Attributes) > 0 {
				e.attributes(p.Policy)
			}
		}
		e.contacts(v)
	}
	if len(rel.Views) > 0 {
		for _, d := range declines {
			if asOf := rel.Views[0].AsOf; d.On <= asOf && d.On > asOf.AddMonths(-e.settings.CoolOffMonths) {
				e.declined |= e.named(d.Group)
			}
		}
	}
	if rel.Policies > 0 {
		e.grouping.Row(&e.reader, rel, &e.past, &e.row)
	}
}

// named are the groups of a name; all for none.
func (e *Engine) named(name string) uint64 {
	if name == "" {
		return 1<<len(e.groups) - 1
	}
	return e.grouping.Named(name)
}

func (e *Engine) attributes(p *portfolio.Policy) {
	for i := range p.Attributes {
		a := &p.Attributes[i]
		if portfolio.IsCode(a.Key, e.settings.ElsewhereAttribute) {
			for name := range strings.FieldsFuncSeq(a.Value, func(r rune) bool { return r == ' ' || r == ',' || r == ';' }) {
				e.elsewhere |= e.grouping.Named(name)
			}
		}
		for k := range e.rules {
			if r := &e.rules[k]; r.key == a.Key && r.value == a.Value {
				r.attribute = true
			}
		}
	}
}

// contacts reads what a member said of offers and of cover elsewhere.
func (e *Engine) contacts(v *portfolio.View) {
	cool, away := v.AsOf.AddMonths(-e.settings.CoolOffMonths), v.AsOf.AddMonths(-e.settings.ElsewhereMonths)
	for i := len(v.Contacts) - 1; i >= 0; i-- {
		on, reason := v.Contacts[i].At.Date(), v.Contacts[i].Reason
		if on <= cool && on <= away {
			return
		}
		code, about, named := strings.Cut(reason, ":")
		if on > cool && portfolio.AmongCodes(e.settings.DeclinedReasons, code) {
			e.declined |= e.named(strings.TrimSpace(about))
		}
		if named && on > away && portfolio.AmongCodes(e.settings.ElsewhereReasons, code) {
			e.elsewhere |= e.grouping.Named(about)
		}
	}
}

// Score fills the result for a member of the relation that Relation was called with, from
// what risk says of care.
func (e *Engine) Score(v *portfolio.View, rk *risk.Result, r *Result) {
	r.Reset(score.NoPolicies)
	if e.policies == 0 {
		return
	}
	r.Status = score.Scored
	r.Contact, r.MayContact = approaches(e.settings.Channels, v, own(v), r.Contact)
	r.Withheld = rk.Care.Held()
	p := e.person(v)
	for i := range e.groups {
		x := &e.groups[i]
		code := e.state(i, x, &p)
		if code == "" {
			code = e.offer(i, x, &p, rk, r)
		}
		if code != "" {
			r.Excluded = append(r.Excluded, Exclusion{x.Group, code})
		}
	}
	e.rank(r)
	if len(r.Offers) == 0 {
		return
	}
	for i := range r.Offers[:min(len(r.Offers), e.settings.Explained)] {
		e.reasons(&r.Offers[i])
	}
	first := &r.Offers[0]
	r.Band = e.model.Bands.Of(first.Probability)
	top := append(r.Reasons.Top, first.Reasons.Top...)
	r.Reasons = first.Reasons
	r.Reasons.Top = top
}

func own(v *portfolio.View) bool {
	return slices.ContainsFunc(v.Policies, func(p portfolio.PolicyView) bool { return p.InForce(v.AsOf) })
}

// state is the code of what keeps a group from being offered whatever the rules are.
func (e *Engine) state(i int, x *group, p *person) string {
	bit := uint64(1) << i
	switch {
	case e.past.Held&bit != 0:
		return Held
	case e.past.Soon&bit != 0:
		return HeldSoon
	case !x.Fits(p.segment):
		return WrongSegment
	case x.model == nil:
		return NotSold
	case e.elsewhere&bit != 0:
		return HeldElsewhere
	}
	return ""
}

// offer adds the group's offer, or is the code of why there is none.
func (e *Engine) offer(i int, x *group, p *person, rk *risk.Result, r *Result) string {
	bit := uint64(1) << i
	o := r.next()
	drop := func(code string) string {
		r.Offers = r.Offers[:len(r.Offers)-1]
		return code
	}
	o.Suitability = 1
	for k := range e.rules {
		rule := &e.rules[k]
		if rule.groups&bit == 0 {
			continue
		}
		yes, ask := rule.applies(p)
		switch {
		case rule.Kind.excludes() && yes:
			return drop(rule.Code)
		case rule.Kind.excludes() && ask != "" && !slices.Contains(o.Ask, ask):
			o.Ask = append(o.Ask, ask)
		case !rule.Kind.excludes() && yes:
			o.Suitability *= rule.Factor
			if rule.Kind == Ask {
				o.Ask = append(o.Ask, rule.Code)
			}
		}
	}
	switch {
	case e.declined&bit != 0:
		return drop(Declined)
	case r.Withheld != "":
		return drop(CareSignal)
	}
	e.ask(i, x)
	o.at = i
	o.Group, o.Basis, o.Weight, o.Market = x.Group, x.Basis, x.Weight, x.market
	o.Probability, o.AtMarket = x.chance, x.model.Mean(x.link+x.Shift)
	o.Value = o.Probability * x.Premium * e.settings.CommissionRate
	o.Need = Useful
	if x.Essential {
		o.Need = Essential
	}
	if rk.Care.Misses(x.Branch) {
		o.Need = Gap
	}
	return ""
}

// Grouping is the engine's.
func (e *Engine) Grouping() *Grouping { return e.grouping }

// Chance is the probability that the relation that Relation was called with buys a group
// here within 12 months, if it stays; whether it may be offered is not looked at. There is
// none of a group that it holds, or has arranged, or that the book does not sell.
func (e *Engine) Chance(i int) (float64, bool) {
	x := &e.groups[i]
	if x.model == nil || e.policies == 0 || (e.past.Held|e.past.Soon)>>i&1 != 0 {
		return 0, false
	}
	e.ask(i, x)
	return x.chance, true
}

// ask has the models say once of the relation how likely it buys a group.
func (e *Engine) ask(i int, x *group) {
	if !x.scored {
		e.grouping.About(i, &e.past, &e.row)
		x.link, x.scored = e.model.Link(x.Code, e.row), true
		x.chance = x.model.Mean(x.link)
	}
}

// Fields are the fields of Row's rows.
func (e *Engine) Fields() []model.Field { return e.grouping.Fields() }

// Row is what the models read of an offer to the relation that Relation was called with. It
// is good until the next call.
func (e *Engine) Row(o *Offer) *model.Row {
	e.grouping.About(o.at, &e.past, &e.row)
	return &e.row
}

// reasons gives an offer its reasons, worked out once for the relation.
func (e *Engine) reasons(o *Offer) {
	x := &e.groups[o.at]
	if !x.why {
		e.grouping.About(o.at, &e.past, &e.row)
		if x.explain == nil { // few groups are ever explained by one engine
			x.explain = score.NewExplainer(e.model.of(x.Code)...)
		}
		x.explain.Explain(e.row, &x.reasons)
		x.why = true
	}
	top := append(o.Reasons.Top, x.reasons.Top...)
	o.Explained, o.Reasons = true, x.reasons
	o.Reasons.Top = top
}

// rank orders the offers: by need, then by probability times suitability, and keeps the
// first. Value is not looked at.
func (e *Engine) rank(r *Result) {
	slices.SortStableFunc(r.Offers, func(x, y Offer) int {
		return cmp.Or(cmp.Compare(x.Need, y.Need), cmp.Compare(y.Probability*y.Suitability, x.Probability*x.Suitability))
	})
	if most := e.settings.Offers; len(r.Offers) > most {
		for i := range r.Offers[most:] {
			r.Excluded = append(r.Excluded, Exclusion{r.Offers[most+i].Group, FurtherDown})
		}
		r.Offers = r.Offers[:most]
	}
}

// person is what rules ask of a customer. 1900 stands for a year of birth that is not
// known, as in the features, and so does one after the as-of date.
func (e *Engine) person(v *portfolio.View) person {
	p := person{segment: portfolio.Private, age: -1, held: e.past.Held | e.past.Soon}
	c := v.Customer
	if c == nil {
		return p
	}
	if c.Segment == portfolio.Business {
		p.segment = portfolio.Business
	}
	if year := v.AsOf.Year(); c.BirthYear > 1900 && c.BirthYear <= year {
		p.age = year - c.BirthYear
	}
	p.legalForm, p.sbi, p.employees = c.LegalForm, c.SBICode, c.Employees
	return p
}

// Check makes sure that the model is one of a grouping's: fault.Malformed where it is not.
func (m *Model) Check(g *Grouping) error {
	for code := range m.Groups {
		f, ok := m.Fitted[code]
		switch {
		case !slices.ContainsFunc(g.Groups, func(x Group) bool { return x.Code == code }):
			return fault.New(fault.Malformed, "models of who buys are of a group that the settings have not")
		case !ok || f.Basis != Own && f.Basis != Blended && f.Basis != FromMarket || !(f.Weight >= 0 && f.Weight <= 1):
			return fault.New(fault.Malformed, "what the model of group %s rests on is missing or no such thing", code)
		case f.Shift-f.Shift != 0 || !(f.Premium >= 0) || math.IsInf(f.Premium, 0):
			return fault.New(fault.Malformed, "the shift or premium of group %s is no number", code)
		}
	}
	return nil
}
