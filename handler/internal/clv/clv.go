// Package clv answers what a customer is worth: the margin that it is expected to bring
// over a horizon, discounted, how far what really comes may lie from that, and what was
// realised so far.
//
// The end of a relation is one event for all of its members, with the hazard that package
// churn gives; within it policies end singly, premiums move, policies are bought, claims
// and contacts come. Given when the relation ends, the first three moments of what a
// customer brings follow in closed form; over the ends, a fixed grid of equidistributed
// points takes the place of random numbers, the same for all members of a relation, so
// that their sum has an interval too. docs/clv.md has the formulas and how well they hold.
//
// A value may be negative. It orders an adviser's day and is never a reason to serve less:
// nothing of care, eligibility or price reads it.
package clv

import (
	"math"
	"slices"

	"polis/handler/internal/churn"
	"polis/handler/internal/exact"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// Interval is a range of EUR.
type Interval struct{ Low, High float64 }

// Holds reports whether the interval holds a value.
func (i Interval) Holds(v float64) bool { return i.Low <= v && v <= i.High }

// Result is what the engine says of a customer. Amounts are EUR.
type Result struct {
	Status   score.Status
	View     View
	Months   int     // the horizon
	Coverage float64 // of Realisable and Expected

	Value      float64  // expected discounted margin over the horizon; may be negative
	Realisable Interval // prediction interval of the realised discounted margin
	Half       Interval // its central half
	Expected   Interval // of the expectation: how sure the models are of Value

	Margin   float64 // a year, at today's rate and with the contacts that are expected
	Realised float64 // so far, not discounted
	// AtStake is what a lapse within 12 months takes away: Value if the relation is there
	// after them less Value if it lapses within them. AtRisk is that times the probability
	// of such a lapse. Both may be negative.
	AtStake, AtRisk float64
	// The value's components, discounted: Income − Loss − Cost is Value.
	Income, Loss, Cost float64
	// Years is how long the relation lasts within the horizon, expected and discounted.
	Years float64

	Band    score.Band
	Segment *Segment // nil where there is no value
	// WithoutChurn is that churn knows too little to tell the customer from others, and has one
	// probability for all who are as it, or for the book; or that the relation's end is recorded:
	// the segment is then of value alone.
	WithoutChurn bool

	// Relation is the sum over those members of the relation that are valued.
	Relation Sum
}

// Sum is the value of several customers of one relation together.
type Sum struct {
	Customers  int
	Value      float64
	Realisable Interval
	Half       Interval
}

// points is how many ends and circumstances a value is taken at. The 5% quantile then is
// between the 13th and 14th lowest, and the error of its level below half a percent.
const points = 256

// Coordinates of a point beside the relation's end.
const (
	byIncome = iota // what a customer brings, given the end
	byCount         // how many claims
	byAmount        // how large
	byFrailty
	byError  // of the models
	byBuying // how many purchases
	coordinates
)

// Plan is what a model and its settings come to before any customer is seen: how a euro a year is
// discounted for each way of lasting, and the points that values are taken at. It is a few
// milliseconds of work, does not change, and serves any number of engines.
type Plan struct {
	s    Settings
	m    *Model
	grid grid

	classes   [][Ages]annuity
	spread    []float64                    // by class
	usual     [cells]newcomers             // what a kind of customer buys
	wares     []newcomers                  // one a year of a ware, fading
	shares    []float64                    // what is left of what is known of purchases, by year
	faded     line                         // discounted years, of which so much counts
	z         [coordinates][points]float64 // standard normals
	uniform   [points]float64              // uniform: quantiles of how many claims
	chance    [points]float64              // and of how many purchases
	frail     [points]float64
	erring    [points]float64 // multiplies income
	ends      [points]float64 // descending: what is left of relations when the point's ends
	err       float64         // of expected income, a share
	confident float64         // of a standard normal, half the width of an interval of the coverage
	alike     bool            // churn has one probability for the book
}

// Engine values customers with a model. One per goroutine.
type Engine struct {
	*Plan

	// Of the relation.
	ch      *churn.Result
	all     churn.Definition
	dear    float64 // claims inflation since the models were learnt
	gone    line    // probability that all policies that count have ended singly
	left    line    // probability that the relation goes on
	segment [points]uint8
	within  [points]float64
	sum     [points]float64
	total   Sum
	values  [points]float64
	sorted  [points]float64
	members int

	// Of the customer.
	income, cost, loss, claims, square, cube line
	there, later                             line // discounted time with a policy, while the relation goes on and after
	thereKnown, laterKnown                   line // the same, fading
	bought, beyond                           newcomers
	buying                                   [maxGrid]buying
	own, rest                                line // probability that it has a policy while the relation goes on; one that does not count
}

// New is an engine with settings and a model, which must be as their checks demand.
func New(s Settings, m *Model) *Engine { return NewPlan(s, m).Engine() }

// Engine is one with the plan.
func (e *Plan) Engine() *Engine { return &Engine{Plan: e} }

// NewPlan makes the plan of a model with settings, which must be as their checks demand.
func NewPlan(s Settings, m *Model) *Plan {
	e := &Plan{s: s, m: m, grid: newGrid(s.HorizonMonths)}
	st := newSteps(&s, m)
	e.classes, e.spread = make([][Ages]annuity, branches), make([]float64, branches)
	for i := range e.classes {
		branch := ""
		if i < len(portfolio.Branches) {
			branch = portfolio.Branches[i].Name
		}
		l := newLasting(of(m.Ends, branch), m.ByAge)
		for b := range Ages {
			newAnnuity(e.grid, st, l, agesAt[b], &e.classes[i][b])
		}
		e.spread[i] = of(m.Spread, branch)
	}
	e.wares = make([]newcomers, len(m.Wares))
	for i := range m.Wares {
		w := &m.Wares[i]
		var plain newcomers
		l := newLasting(w.Ends, m.ByAge)
		newNewcomers(e.grid, st, &s, w, l, m.WantsWane, &plain)
		newNewcomers(e.grid, st, &s, w, l, m.WantsWane+m.WantsFade, &e.wares[i])
		for n, rate := range w.Usual {
			e.usual[kind(n, w.Business)].add(rate, &plain, len(e.grid))
		}
	}
	e.shares = fading(m.WantsFade, s.HorizonMonths)
	for k := 1; k < len(e.grid); k++ {
		e.faded[k] = e.faded[k-1] + float64((e.classes[0][0].certainFlat[k]-e.classes[0][0].certainFlat[k-1])*e.share(k))
	}
	e.scatter()
	e.confident = normal(0.5 + s.Coverage/2)
	e.alike = m.alike()
	return e
}

// share is what is left of what is known of purchases, up to a month of the grid from the
// one before.
func (e *Plan) share(k int) float64 { return e.shares[(e.grid[k]+e.grid[k-1])/24] }

// scatter lays out the points: ends evenly by probability, the rest by Roberts' sequence,
// whose steps are powers of the root of x⁷ = x + 1 (the plastic number's kin), so that
// every few points in a row are spread evenly over all circumstances.
func (e *Plan) scatter() {
	const root = 1.1127756842787055
	step := 1.0
	for c := range coordinates {
		step /= root
		u := 0.5
		for i := range points {
			u += step
			u -= math.Floor(u)
			e.z[c][i] = normal(min(max(u, 1e-6), 1-1e-6))
			switch c {
			case byCount:
				e.uniform[i] = u
			case byBuying:
				e.chance[i] = u
			}
		}
	}
	// The error that was seen, and that which grows from where nothing was seen any more.
	unseen := float64(e.s.UnseenError*max(0, float64(e.s.HorizonMonths)/12-seenYears)) / (10 - seenYears)
	e.err = math.Sqrt(float64(e.m.Error*e.m.Error) + float64(unseen*unseen))
	sigma := math.Sqrt(exact.Log(1 + e.m.Frailty))
	for i := range points {
		e.frail[i] = exact.Exp(float64(sigma*e.z[byFrailty][i]) - float64(sigma*sigma)/2)
		e.erring[i] = 1 + float64(e.err*e.z[byError][i])
		// What a hazard that is a few percent off makes of the curve: S to that power.
		power := exact.Exp(float64(e.m.HazardError * e.z[byFrailty][(i+points/2)%points]))
		e.ends[i] = exact.Exp(exact.Log(1-(float64(i)+0.5)/points) / power)
	}
	slices.Sort(e.ends[:])
	slices.Reverse(e.ends[:])
}

// Begin turns to a relation, of which churn says how it ends. It comes before Score.
func (e *Engine) Begin(g *feature.Group, ch *churn.Result) {
	e.ch, e.members, e.total = ch, 0, Sum{}
	clear(e.sum[:])
	if ch.Status != score.Scored {
		return
	}
	e.all, e.dear = ch.Definition, 1
	if len(g.Views) > 0 && e.m.Losses != 0 {
		e.dear = exact.Exp(exact.Log(1+e.m.Inflation) * portfolio.Years(e.m.Losses, g.Views[0].AsOf))
	}
	for i := range e.grid {
		e.gone[i] = 1
	}
	for _, v := range g.Views {
		for i := range v.Policies {
			if p := &v.Policies[i]; p.InForce(v.AsOf) && p.EndDate == 0 && e.counts(p) {
				a := e.annuityOf(p, v.AsOf)
				for k := range e.grid {
					e.gone[k] *= 1 - a.alive[k]
				}
			}
		}
	}
	e.follow()
}

// annuityOf is that of a policy by its branch and age.
func (e *Engine) annuityOf(p *portfolio.PolicyView, asOf portfolio.Date) *annuity {
	return &e.classes[class(p.Branch)][AgeBand(portfolio.Years(p.StartDate, asOf))]
}

// counts reports whether the relation ends with its last policy of this kind.
func (e *Engine) counts(p *portfolio.PolicyView) bool {
	if e.all != churn.AllEssential {
		return true
	}
	b, _ := portfolio.BranchOf(p.Branch)
	return b.Essential
}

// follow finds what is left of the relation by month, and where on the grid each point's
// relation ends.
func (e *Engine) follow() {
	e.left[0] = 1
	for i := 1; i < len(e.grid); i++ {
		e.left[i] = e.left[i-1] * exact.Exp(-e.ch.Force(e.grid[i-1], e.grid[i]))
	}
	last, i := len(e.grid)-1, 0
	for p, u := range e.ends {
		for i < last && e.left[i+1] > u {
			i++
		}
		e.segment[p], e.within[p] = uint8(i), 0
		switch {
		case i == last:
			e.segment[p], e.within[p] = uint8(last-1), 1
		case e.left[i] > e.left[i+1]:
			e.within[p] = min(max((e.left[i]-u)/(e.left[i]-e.left[i+1]), 0), 1)
		}
	}
}

// Score fills the result of a member of the relation from what risk says. contacts is how
// many there were in the last 12 months, and wants what it buys, by ware, as Demand says;
// nil where no more is known than of its kind.
func (e *Engine) Score(in feature.Input, rk *risk.Result, contacts int, wants []float64, r *Result) {
	v := in.View
	*r = Result{Status: e.ch.Status, View: e.s.View, Months: e.s.HorizonMonths, Coverage: e.s.Coverage, Band: score.Low}
	r.Realised = e.realised(v)
	if e.ch.Status != score.Scored {
		return
	}
	rates, ok := e.policies(v, rk)
	if !ok {
		r.Status = score.NoPolicies
		return
	}
	calls := e.contacts(v, rates, contacts)
	r.Margin = rates.income + e.fee() - rates.cost - rates.loss - calls
	e.purchases(v, wants)
	e.expect(r)
	e.draw(v, rates, r)
	r.Band = e.m.Bands.Of(r.Value)
	// An end that is recorded is a fact: it puts nobody among those who are likelier to leave.
	r.WithoutChurn = e.alike || e.ch.Experience.Alike() || e.ch.EndsOn != 0
	r.Segment = e.m.segment(&e.s, r.Value, e.ch.Lapsed[12], r.WithoutChurn)
	e.members++
}

// rates are a customer's a year, today.
type rates struct {
	income, cost, loss float64
	claims             float64
	severity, second   float64 // Σ frequency × mean claim and × mean square
}

// policies adds up the policies in force, given that the relation ends at each month.
func (e *Engine) policies(v *portfolio.View, rk *risk.Result) (t rates, ok bool) {
	n := len(e.grid)
	clear(e.income[:n])
	clear(e.cost[:n])
	clear(e.loss[:n])
	clear(e.claims[:n])
	clear(e.square[:n])
	clear(e.cube[:n])
	for k := range e.grid {
		e.rest[k] = 1
	}
	own, next := line{}, 0 // own: that all of its policies that count have ended singly
	for k := range e.grid {
		own[k] = 1
	}
	for i := range v.Policies {
		p := &v.Policies[i]
		if !p.InForce(v.AsOf) {
			continue
		}
		ok = true
		frequency, severity, expected := 0.0, 0.0, 0.0
		if next < len(rk.Policies) && rk.Policies[next].ID == p.ID {
			if q := &rk.Policies[next]; insured(p.Branch) {
				frequency, severity, expected = q.Frequency, q.Severity, q.Loss
			}
			next++
		}
		premium := p.AnnualPremium.EUR()
		counted := 0.0
		if insured(p.Branch) {
			counted = premium
		}
		commission, fee := e.s.Pay(p.Policy)
		income, cost, loss := e.s.yearly(premium, counted, commission, fee, float64(expected*e.dear))
		c := class(p.Branch)
		t.income += income
		t.cost += cost
		t.loss += loss
		t.claims += frequency
		t.severity += float64(frequency * severity)
		t.second += float64(float64(frequency*severity) * float64(severity*(1+e.spread[c])))
		a := e.annuityOf(p, v.AsOf)
		switch {
		case p.EndDate != 0:
			e.known(p, v.AsOf, a, income, cost, loss, frequency)
		case e.counts(p):
			e.countedPolicy(a, income, cost, loss, frequency)
			for k := range e.grid {
				own[k] *= 1 - a.alive[k]
			}
		default:
			e.otherPolicy(a, income, cost, loss, frequency)
			for k := range e.grid {
				e.rest[k] *= 1 - a.alive[k]
			}
		}
	}
	// The customer still has a policy, given that the relation has one.
	for k := range e.grid {
		alive := 1 - own[k]
		if q := 1 - e.gone[k]; q > 0 {
			alive = min(1, alive/q)
		}
		e.rest[k] = 1 - e.rest[k]
		e.own[k] = 1 - float64((1-alive)*(1-e.rest[k]))
	}
	return t, ok
}

// add counts a policy until a month of the grid, with the moments of its annuities.
func (e *Engine) add(k int, income, cost, loss, frequency, net, mean, square, cube, flat, lost, years float64) {
	e.income[k] += float64(income * mean)
	if e.s.costGrows() {
		flat = mean
	}
	e.cost[k] += float64(cost * flat)
	e.loss[k] += float64(loss * lost)
	e.claims[k] += float64(frequency * years)
	variance := max(0, square-float64(mean*mean))
	e.square[k] += float64(float64(net*net) * variance)
	third := cube - float64(3*float64(mean*square)) + float64(2*float64(mean*mean*mean))
	e.cube[k] += float64(float64(net*net*net) * third)
}

// countedPolicy: given that the relation is there at t, so is one of its n policies that
// count. With S the probability that this one is, and R that all others are not, a moment
// of its annuity is ((1−R)·A + S·R·a) / (1 − Π(1−S)): with R they are not, and it lasted
// until t for certain. Of a single policy nothing is left to chance.
func (e *Engine) countedPolicy(a *annuity, income, cost, loss, frequency float64) {
	net := income - cost - loss
	for k := 1; k < len(e.grid); k++ {
		s := a.alive[k]
		q := 1 - e.gone[k]
		if q <= 0 || s >= 1 {
			continue
		}
		rest := e.gone[k] / (1 - s)
		w, c := (1-rest)/q, float64(s*rest)/q
		full := a.certain[k]
		e.add(k, income, cost, loss, frequency, net,
			float64(w*a.income[k])+float64(c*full),
			float64(w*a.square[k])+float64(c*float64(full*full)),
			float64(w*a.cube[k])+float64(c*float64(full*full*full)),
			float64(w*a.flat[k])+float64(c*a.certainFlat[k]),
			float64(w*a.loss[k])+float64(c*a.certainLoss[k]),
			float64(w*a.years[k])+float64(c*a.allYears[k]))
	}
}

// otherPolicy: one that does not count may outlive the relation, until the horizon.
func (e *Engine) otherPolicy(a *annuity, income, cost, loss, frequency float64) {
	net, last, stays := income-cost-loss, len(e.grid)-1, e.m.CarryOn
	mix := func(l *line, k int) float64 { return float64((1-stays)*l[k]) + float64(stays*l[last]) }
	for k := range e.grid {
		e.add(k, income, cost, loss, frequency, net,
			mix(&a.income, k), mix(&a.square, k), mix(&a.cube, k), mix(&a.flat, k), mix(&a.loss, k), mix(&a.years, k))
	}
}

// known: a policy whose end is announced lasts until then, or until the relation ends.
func (e *Engine) known(p *portfolio.PolicyView, asOf portfolio.Date, a *annuity, income, cost, loss, frequency float64) {
	months := float64(portfolio.Years(asOf, p.EndDate) * 12)
	i := 1
	for i < len(e.grid)-1 && float64(e.grid[i]) < months {
		i++
	}
	low, high := float64(e.grid[i-1]), float64(e.grid[i])
	w := min(max((months-low)/(high-low), 0), 1)
	until := func(l *line, k int) float64 { return min(l[k], l[i-1]+float64(w*(l[i]-l[i-1]))) }
	for k := range e.grid {
		mean := until(&a.certain, k)
		e.add(k, income, cost, loss, frequency, 0, mean, 0, 0, until(&a.certainFlat, k), until(&a.certainLoss, k), until(&a.allYears, k))
	}
}

// having is the time in which the customer has a policy, given that the relation ends at
// each month: until then, and after it for those whom policies that do not count keep. Time
// counts by per, what it comes to until each month: discounted, say.
func (e *Engine) having(per, there, later *line) {
	last := len(e.grid) - 1
	later[last] = 0
	for k := last; k > 0; k-- {
		later[k-1] = later[k] + float64(e.m.CarryOn*float64((per[k]-per[k-1])*(e.rest[k]+e.rest[k-1])/2))
	}
	there[0] = 0
	for k := 1; k <= last; k++ {
		there[k] = there[k-1] + float64((per[k]-per[k-1])*(e.own[k]+e.own[k-1])/2)
	}
}

// contacts adds what contacts cost while the customer has a policy, and returns it a year.
func (e *Engine) contacts(v *portfolio.View, t rates, last int) float64 {
	c := e.m.Contacts
	a := c.Mean + float64(c.Weight*(float64(last)-c.Mean))
	yearly := float64(max(0, a) * e.s.ContactCost)
	e.having(&e.classes[0][0].certainFlat, &e.there, &e.later)
	e.having(&e.faded, &e.thereKnown, &e.laterKnown)
	for k := range e.grid {
		sum := e.there[k] + e.later[k]
		e.cost[k] += float64(yearly * sum)
		// Contacts come in bunches: twice the variance of a Poisson number.
		e.square[k] += float64(float64(2*yearly*e.s.ContactCost) * sum)
	}
	return yearly
}

// fee adds what the customer pays the office while it has a policy, and returns it a year.
func (e *Engine) fee() float64 {
	if e.s.CustomerFee == 0 || e.s.View == Insurer {
		return 0
	}
	var there, later line
	e.having(&e.classes[0][0].certain, &there, &later)
	for k := range e.grid {
		e.income[k] += float64(e.s.CustomerFee * (there[k] + later[k]))
	}
	return e.s.CustomerFee
}

// purchases adds the policies that the customer may yet buy, while it has one: what is
// usual of its kind, and by how much it is off that, which fades.
func (e *Engine) purchases(v *portfolio.View, wants []float64) {
	cell, n := CellOf(v), len(e.grid)
	e.bought, e.beyond = newcomers{}, newcomers{}
	flat := &e.classes[0][0].certainFlat
	e.while(&e.usual[cell], flat, &e.there, &e.later)
	if wants != nil {
		for i := range e.m.Wares {
			if w := &e.m.Wares[i]; w.Business == business(v) {
				e.beyond.add(wants[i]-w.Usual[cell%counts], &e.wares[i], n)
			}
		}
		e.while(&e.beyond, &e.faded, &e.thereKnown, &e.laterKnown)
	}
	b := &e.bought
	for k := range n {
		b.loss[k] = float64(b.loss[k] * e.dear)
		e.income[k] += b.income[k]
		e.cost[k] += b.cost[k]
		e.loss[k] += b.loss[k]
		b.claims[k] = max(0, b.claims[k])
		e.claims[k] += b.claims[k]
		e.count(k)
	}
	// What the book's margins did beyond all of this, as far as it was seen.
	drift := e.m.Cells[CellOf(v)].Drift
	added, before := 0.0, e.income[0]
	for k := 1; k < len(e.grid); k++ {
		years := min(float64(e.grid[k]+e.grid[k-1])/24, seenYears)
		step := e.income[k] - before
		before = e.income[k]
		added += float64(step * float64(drift*years))
		e.income[k] += added
	}
	// Premiums wander: a random walk of the logarithm, averaged over the time.
	wander := float64(e.m.GrowthSD*e.m.GrowthSD) / 3
	for k := range e.grid {
		variance := float64(float64(e.income[k]*e.income[k]) * float64(wander*float64(e.grid[k])) / 12)
		e.square[k] += variance
	}
}

// buying is how many policies a customer buys until a month of the grid, and what one of
// them brings.
type buying struct {
	upTo               [most]float64 // probability of so many at most
	mean, square, cube float64       // cumulants of what one brings, its claims apart
	claims, loss       float64       // of one
}

// number is how many are bought at a chance.
func (b *buying) number(chance float64) float64 {
	n := 0
	for n < most && chance >= b.upTo[n] {
		n++
	}
	return float64(n)
}

// most is how many purchases of a customer are told apart.
const most = 12

// count is a Poisson number of purchases that a gamma multiplies: negative binomial. What
// one of them brings has the moments of the compound sum over their number.
func (e *Engine) count(k int) {
	b, x, number := &e.bought, &e.buying[k], e.bought.number[k]
	*x = buying{}
	if number < least {
		x.upTo[0] = 1
		return
	}
	x.mean = (b.income[k] - b.cost[k] - b.loss[k]) / number
	second, third := max(0, b.square[k])/number, b.cube[k]/number
	x.square = max(0, second-float64(x.mean*x.mean))
	x.cube = third - float64(3*float64(x.mean*second)) + float64(2*float64(x.mean*x.mean*x.mean))
	x.mean += b.loss[k] / number
	x.claims, x.loss = b.claims[k]/number, b.loss[k]/number
	p, ratio, spread := 0.0, number, e.m.WantsFrailty
	if spread > least {
		p = exact.Exp(-exact.Log(1+float64(spread*number)) / spread)
		ratio = number / (1 + float64(spread*number))
	} else {
		p, spread = exact.Exp(-number), 0
	}
	sum := 0.0
	for n := range x.upTo {
		sum += p
		x.upTo[n] = sum
		p = float64(p*float64(ratio*(1+float64(spread*float64(n))))) / float64(n+1)
	}
}

// least is what is taken for nothing: of purchases, and of how customers differ in them.
const least = 1e-6

// while counts purchases in at the shares of the time in which the customer is there to
// make them, until the relation ends and after.
func (e *Engine) while(n *newcomers, whole, there, later *line) {
	into, from, last := e.bought.lines(), n.lines(), len(e.grid)-1
	for k := range e.grid {
		then, after := 0.0, later[k]/whole[last]
		if k > 0 {
			then = there[k] / whole[k]
		}
		for i, l := range from {
			into[i][k] += float64(then*l[k]) + float64(after*l[last])
		}
	}
}

// expect fills what is expected, and how sure that is.
func (e *Engine) expect(r *Result) {
	last := len(e.grid) - 1
	mean := func(l *line, from, until int) float64 { // of those whose relation ends between, not divided
		sum := 0.0
		for k := from + 1; k <= until; k++ {
			sum += float64((e.left[k-1] - e.left[k]) * (l[k] + l[k-1]) / 2)
		}
		return sum
	}
	whole := func(l *line) float64 { return mean(l, 0, last) + float64(e.left[last]*l[last]) }
	r.Income, r.Loss, r.Cost = whole(&e.income), whole(&e.loss), whole(&e.cost)
	r.Value, r.Years = r.Income-r.Loss-r.Cost, whole(&e.classes[0][0].certainFlat)
	r.AtStake, r.AtRisk = e.stake()
	// What a hazard that is off by one in its logarithm does to the value: S·log S, summed.
	slope := 0.0
	for k := 1; k <= last; k++ {
		if e.left[k] <= 0 {
			break
		}
		middle := (e.left[k] + e.left[k-1]) / 2
		slope += float64(float64(middle*exact.Log(middle)) * (e.net(k) - e.net(k-1)))
	}
	a, b := float64(slope*e.m.HazardError), float64(r.Income*e.err)
	width := float64(e.confident * math.Sqrt(float64(a*a)+float64(b*b)))
	r.Expected = Interval{r.Value - width, r.Value + width}
}

// net is what the customer is expected to have brought by a month of the grid.
func (e *Engine) net(k int) float64 { return e.income[k] - e.cost[k] - e.loss[k] }

// stake is what a lapse within 12 months takes away, and that times its probability.
func (e *Engine) stake() (lost, expected float64) {
	year := 0
	for year < len(e.grid)-1 && e.grid[year] < 12 {
		year++
	}
	lapsed := 0.0
	for k := 1; k <= year; k++ {
		share := e.ch.Lapsed[min(e.grid[k], 12)] - e.ch.Lapsed[min(e.grid[k-1], 12)]
		lapsed += float64(share * (e.net(k) + e.net(k-1)) / 2)
	}
	probability := e.ch.Lapsed[min(e.grid[year], 12)]
	if probability <= 0 || e.left[year] <= 0 {
		return 0, 0
	}
	last, stays := len(e.grid)-1, 0.0
	for k := year + 1; k <= last; k++ {
		stays += float64((e.left[k-1] - e.left[k]) * (e.net(k) + e.net(k-1)) / 2)
	}
	stays += float64(e.left[last] * e.net(last))
	lost = stays/e.left[year] - lapsed/probability
	return lost, float64(probability * lost)
}

// cent is the EUR below which nothing is worth a shape.
const cent = 0.01

// few is how many claims are counted one by one; more are as good as normal.
const few = 16

// draw takes the value at each point, and the interval from that.
func (e *Engine) draw(v *portfolio.View, t rates, r *Result) {
	var mean, claims, loss line // apart from what is bought
	losing, b := e.lossWeight(), &e.bought
	for k := range e.grid {
		mean[k] = e.income[k] - b.income[k] - (e.cost[k] - b.cost[k])
		claims[k], loss[k] = e.claims[k]-b.claims[k], e.loss[k]-b.loss[k]
	}
	var amounts [few + 1]float64 // the deviation of the logarithm of a sum of so many claims
	second := 0.0
	if losing > 0 && t.severity > cent {
		second = float64(t.second*t.claims)/float64(t.severity*t.severity) - 1
		for n := 1; n <= few; n++ {
			amounts[n] = math.Sqrt(exact.Log(1 + second/float64(n)))
		}
	}
	cell := &e.m.Cells[CellOf(v)]
	low, high := e.stretched(cell.Low), e.stretched(cell.High)
	// Each member has circumstances of its own, and all share the relation's end.
	turn := turnOf(v.ID)
	for p := range points {
		k, w := int(e.segment[p]), e.within[p]
		at := func(l *line) float64 { return l[k] + float64(w*(l[k+1]-l[k])) }
		i := (p + turn) % points
		z := e.z[byIncome][i]
		buys := &e.buying[k+int(w+0.5)]
		n := buys.number(e.chance[i])
		x := float64((at(&mean) + float64(n*buys.mean)) * e.erring[i])
		if square := at(&e.square) + float64(n*buys.square); square > cent*cent {
			// Cornish and Fisher 1938, to the third cumulant; its bend is held where it is monotone.
			deviation := math.Sqrt(square)
			bend := min(max((at(&e.cube)+float64(n*buys.cube))/float64(square*deviation), -1.5), 1.5) / 6
			x += float64(deviation * (z + float64(bend*(float64(z*z)-1))))
		}
		if losing > 0 {
			expected, lost := at(&claims)+float64(n*buys.claims), at(&loss)+float64(n*buys.loss)
			if !(expected > 0) {
				x -= lost
			} else {
				x -= float64(lost / expected * e.claimed(float64(expected*e.frail[i]), i, &amounts))
			}
		}
		off := x - r.Value
		if off < 0 {
			off = float64(off * low)
		} else {
			off = float64(off * high)
		}
		e.values[p] = r.Value + off
		e.sum[p] += e.values[p]
	}
	r.Realisable, r.Half = e.intervals(&e.values)
	e.total.Value += r.Value
}

// stretched is a factor on widths that was seen over three years, for the horizon: it is
// believed by the root of the share of it that was seen, as what is not known adds up over time.
func (e *Engine) stretched(factor float64) float64 {
	seen := min(1, 12*seenYears/float64(e.s.HorizonMonths))
	return 1 + float64((factor-1)*math.Sqrt(seen))
}

// turnOf is where in the order of points a customer's circumstances begin: by its id (FNV-1a),
// so that who else is of the relation, and in which order, changes nothing.
func turnOf(id string) int {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return int(h>>8) % points
}

func (e *Engine) lossWeight() float64 {
	switch e.s.View {
	case Insurer:
		return 1
	case Agency:
		return e.s.ProfitShare
	}
	return 0
}

// claimed is the sum of claims at a point, in mean claims: a Poisson number of them, and a
// lognormal sum (Fenton 1960).
func (e *Engine) claimed(mean float64, i int, amounts *[few + 1]float64) float64 {
	if mean > few {
		n := max(0, mean+float64(math.Sqrt(mean)*e.z[byCount][i]))
		spread := float64(amounts[1]) // of one; the variance of many shrinks with their number
		variance := (exact.Exp(float64(spread*spread)) - 1) / max(n, 1)
		sigma := math.Sqrt(exact.Log(1 + variance))
		return float64(n * exact.Exp(float64(sigma*e.z[byAmount][i])-float64(sigma*sigma)/2))
	}
	p := exact.Exp(-mean)
	u, n, sum := e.uniform[i], 0, p
	for u >= sum && n < 4*few {
		n++
		p = float64(p*mean) / float64(n)
		sum += p
	}
	if n == 0 {
		return 0
	}
	sigma := amounts[min(n, few)]
	return float64(float64(n) * exact.Exp(float64(sigma*e.z[byAmount][i])-float64(sigma*sigma)/2))
}

// intervals are the prediction interval and its central half, of the values at the points.
func (e *Engine) intervals(values *[points]float64) (all, half Interval) {
	e.sorted = *values
	slices.Sort(e.sorted[:])
	out := (1 - e.s.Coverage) / 2
	return Interval{e.quantile(out), e.quantile(1 - out)}, Interval{e.quantile(0.25), e.quantile(0.75)}
}

// Place is where an amount lies among what Score found that the customer may bring: the
// share of that below it, with half of what equals it. It is of the last customer scored.
func (e *Engine) Place(v float64) float64 {
	below := 0.0
	for _, x := range e.values {
		switch {
		case x < v:
			below++
		case x == v:
			below += 0.5
		}
	}
	return below / points
}

func (e *Engine) quantile(q float64) float64 {
	x := float64(q*points) - 0.5
	i := min(max(int(x), 0), points-2)
	w := min(max(x-float64(i), 0), 1)
	return e.sorted[i] + float64(w*(e.sorted[i+1]-e.sorted[i]))
}

// Relation is the sum over the members that were scored since Begin: their ends are one
// event, so that their values rise and fall together.
func (e *Engine) Relation() Sum {
	if e.members == 0 {
		return Sum{}
	}
	e.total.Customers = e.members
	e.total.Realisable, e.total.Half = e.intervals(&e.sum)
	return e.total
}

// realised is what the customer brought so far, this day included.
func (e *Engine) realised(v *portfolio.View) float64 {
	first := v.AsOf
	for i := range v.Policies {
		first = min(first, v.Policies[i].StartDate)
	}
	if len(v.Contacts) > 0 {
		first = min(first, v.Contacts[0].At.Date())
	}
	for i := range v.Claims {
		first = min(first, v.Claims[i].LossDate)
	}
	return e.s.Margin(e.s.Flow(v, first, v.AsOf+1))
}
