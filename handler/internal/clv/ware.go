package clv

import (
	"slices"

	"polis/handler/internal/exact"
	"polis/handler/internal/feature"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
)

// Ware is what customers buy: a product group of package nbp, or a branch that it offers to
// nobody, for private persons or for businesses.
type Ware struct {
	Name     string `json:"name"`
	Business bool   `json:"business,omitempty"`

	// What a policy of it is like when it is bought. Amounts are EUR.
	Premium   float64 `json:"premium"`       // a year, mean
	Spread    float64 `json:"spread"`        // squared coefficient of variation of the premium
	Rate      float64 `json:"rate"`          // commission
	Fee       float64 `json:"fee,omitempty"` // a year
	Insured   float64 `json:"insured"`       // share of the premium that is neither life nor health
	Ends      float64 `json:"ends"`          // single ends a year
	Frequency float64 `json:"frequency"`
	Severity  float64 `json:"severity"`

	// Policies that a customer buys a year while it has one: Usual is what those with 1, 2, 3
	// or more policies do; Held what those do who hold it already, Beside those of whose
	// relation another does, and Open those of whose relation nobody does.
	Usual  [counts]float64 `json:"usual"`
	Held   float64         `json:"held"`
	Beside float64         `json:"beside"`
	Open   float64         `json:"open"`
	// Primary is the share of what relations of several buy that the first of them does.
	Primary float64 `json:"primary"`
}

// counts is how many kinds of customers there are by how many policies they have.
const counts = cells / 2

// Other is the name of what is of no known branch.
const Other = "other"

// WareOf is the name of the ware that a policy is of.
func WareOf(g *nbp.Grouping, p *portfolio.Policy) string {
	if i := g.Of(p); i >= 0 {
		return g.Groups[i].Code
	}
	if portfolio.BranchIndex(p.Branch) >= 0 {
		return p.Branch
	}
	return Other
}

// Demand finds what a customer is expected to buy in the year ahead. One per goroutine.
type Demand struct {
	m        *Model
	offers   *nbp.Engine
	grouping *nbp.Grouping
	groups   []int // of wares: their groups; −1 for one that is not offered
	wants    []float64
	own, all []bool // by ware: held by the customer, by its relation
	members  int
}

// NewDemand is a demand by the models of who buys.
func NewDemand(m *Model, offers *nbp.Engine) *Demand {
	n := len(m.Wares)
	d := &Demand{m: m, offers: offers, grouping: offers.Grouping(), groups: make([]int, n), wants: make([]float64, n), own: make([]bool, n), all: make([]bool, n)}
	for i := range m.Wares {
		d.groups[i] = slices.IndexFunc(d.grouping.Groups, func(g nbp.Group) bool { return g.Code == m.Wares[i].Name })
	}
	return d
}

// Begin turns to a relation, to which the engine of offers has turned already.
func (d *Demand) Begin(g *feature.Group) {
	d.members = 0
	clear(d.all)
	for _, v := range g.Views {
		if d.hold(v, d.all) {
			d.members++
		}
	}
}

// hold marks the wares that a customer holds, and reports whether it holds anything.
func (d *Demand) hold(v *portfolio.View, held []bool) (any bool) {
	for i := range v.Policies {
		p := &v.Policies[i]
		if !p.InForce(v.AsOf) {
			continue
		}
		any = true
		name, firm := WareOf(d.grouping, p.Policy), business(v)
		for k := range d.m.Wares {
			if w := &d.m.Wares[k]; w.Name == name && w.Business == firm {
				held[k] = true
			}
		}
	}
	return any
}

// Of is what a member of the relation buys, policies a year by ware, while it has one: what
// the models of who buys say of the relation, which is shared by those of its members who
// have a policy. It is good until the next call.
func (d *Demand) Of(g *feature.Group, v *portfolio.View) []float64 {
	clear(d.own)
	d.hold(v, d.own)
	firm := business(v)
	for i := range d.m.Wares {
		w := &d.m.Wares[i]
		d.wants[i] = 0
		if w.Business != firm {
			continue
		}
		chance, asked := 0.0, false
		if d.groups[i] >= 0 {
			chance, asked = d.offers.Chance(d.groups[i])
		}
		switch {
		case d.own[i]:
			d.wants[i] = w.Held
		case d.all[i]:
			d.wants[i] = w.Beside
		case !asked:
			d.wants[i] = w.Open
		default:
			share := 1.0
			if d.members > 1 {
				if share = w.Primary; g.Primary != v {
					share = (1 - w.Primary) / float64(d.members-1)
				}
			}
			d.wants[i] = -float64(share * exact.Log(1-min(chance, mostChance)))
		}
	}
	return d.wants
}

// mostChance keeps a certain purchase from being one at every moment.
const mostChance = 0.99
