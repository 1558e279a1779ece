package train

import (
	"cmp"
	"math"
	"slices"

	"polis/handler/internal/clv"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
)

// wanted is what the years that are looked back on say of a ware: who could buy it, who
// did, and what was bought.
type wanted struct {
	years, bought  [3]float64 // of customers by whether they, others of their relation, or nobody there held it
	usual          [3]float64 // bought by customers with 1, 2, 3 or more policies
	several, first float64    // bought in relations of several, and by the first of them
	premiums       moments    // of what was bought
	held           moments    // of what was in force
	commission     float64    // on it, EUR
	branch         string
}

// Who holds a ware: the places in wanted.years.
const (
	byItself = iota
	byOthers
	byNobody
)

// ware names a wanted.
type ware struct {
	name     string
	business bool
}

// wares are the wanted by their names, made as they come about.
type wares map[ware]*wanted

func (w wares) of(g *nbp.Grouping, v *portfolio.View, p *portfolio.Policy) *wanted {
	name := ware{clv.WareOf(g, p), isBusiness(v)}
	x := w[name]
	if x == nil {
		x = &wanted{branch: clone(p.Branch)}
		w[name] = x
	}
	return x
}

func isBusiness(v *portfolio.View) bool {
	return v.Customer != nil && v.Customer.Segment == portfolio.Business
}

// buys counts what a customer bought while it had a policy.
func (f *fitter) buys(v, now *portfolio.View, then, until portfolio.Date) {
	w, cell := &f.worth, clv.CellOf(v)
	years := present(now, then, until)
	w.customers[cell] += years
	// What is held, by the customer and by others; what nobody holds is all the rest.
	clear(w.own)
	clear(w.others)
	members := 0
	for _, m := range f.then.refs {
		any := false
		for i := range m.Policies {
			p := &m.Policies[i]
			if !p.InForce(then) {
				continue
			}
			any = true
			x := w.wanted.of(f.groups, m, p.Policy)
			if m == v {
				w.own[x] = true
				if !p.CurrentOnly {
					x.held.add(p.AnnualPremium.EUR(), 1)
				}
			} else {
				w.others[x] = true
			}
		}
		if any {
			members++
		}
	}
	where := func(x *wanted) int {
		switch {
		case w.own[x]:
			return byItself
		case w.others[x]:
			return byOthers
		}
		return byNobody
	}
	for x := range w.own {
		x.years[byItself] += years
	}
	for x := range w.others {
		if !w.own[x] {
			x.years[byOthers] += years
		}
	}
	for i := range now.Policies {
		p := &now.Policies[i]
		if !bought(p, then, until) {
			continue
		}
		x := w.wanted.of(f.groups, v, p.Policy)
		x.bought[where(x)]++
		x.usual[cell%len(x.usual)]++
		if members > 1 && where(x) == byNobody {
			x.several++
			if f.then.group.Primary == v {
				x.first++
			}
		}
		premium := p.AnnualPremium.EUR()
		commission, _ := f.o.Settings.Clv.Pay(p.Policy)
		x.premiums.add(premium, 1)
		x.commission += premium * commission
	}
}

// bought reports whether a policy is a purchase of the time after a date until another.
func bought(p *portfolio.PolicyView, after, until portfolio.Date) bool {
	return p.StartDate > after && p.StartDate <= until && !p.Replaces
}

// learnWares is what customers buy and how often. The market's rate is as if so many
// purchases of it had been seen, in the proportions of what the book has in force.
func (f *fitter) learnWares(m *clv.Model) {
	w, market := &f.worth, &f.o.Settings.Clv.Market
	var all [2]struct{ years, held float64 } // by kind of customer
	names := make([]ware, 0, len(w.wanted))
	for name, x := range w.wanted {
		names = append(names, name)
		all[kindOf(name.business)].held += x.held.n
	}
	for c, years := range w.customers {
		all[c/len(wanted{}.usual)].years += years
	}
	slices.SortFunc(names, func(a, b ware) int {
		return cmp.Or(cmp.Compare(kindOf(a.business), kindOf(b.business)), cmp.Compare(a.name, b.name))
	})
	for _, name := range names {
		x, kind := w.wanted[name], kindOf(name.business)
		a, premiums := &all[kind], x.premiums
		if a.years <= 0 || a.held <= 0 || market.Purchases <= 0 {
			continue
		}
		mean := (x.premiums.n + market.Weight*x.held.n/a.held) / (a.years + market.Weight/market.Purchases)
		if h := x.held; h.n > 0 { // what is in force tells of what is bought, as so many purchases would
			weight := min(1, market.Weight/h.n)
			premiums.n += weight * h.n
			premiums.sum += weight * h.sum
			premiums.square += weight * h.square
		}
		if mean <= 0 || premiums.n <= 0 || premiums.sum <= 0 {
			continue
		}
		rate := func(n, years, weight float64) float64 { return round((n + weight) / (years + weight/mean)) }
		out := clv.Ware{
			Name: name.name, Business: name.business, Premium: round(premiums.mean()), Spread: round(premiums.variance() / (premiums.mean() * premiums.mean())),
			Insured: 1, Ends: endsOf(m, x.branch), Primary: round((x.first + market.Weight/2) / (x.several + market.Weight)),
		}
		out.Rate, out.Fee = f.o.Settings.Clv.Pay(&portfolio.Policy{Branch: x.branch})
		if b, _ := portfolio.BranchOf(x.branch); b.LifeOrHealth {
			out.Insured = 0
		}
		if n := x.premiums.n; n > 0 {
			z := n / (n + market.Weight)
			out.Rate = round(z*x.commission/x.premiums.sum + (1-z)*out.Rate)
		}
		for n := range out.Usual {
			out.Usual[n] = rate(x.usual[n], w.customers[kind*len(out.Usual)+n], market.Weight)
		}
		// Who holds it is another kind of buyer altogether: a tenth of the weight, our choice.
		out.Held = rate(x.bought[byItself], x.years[byItself], market.Weight/10)
		out.Beside = rate(x.bought[byOthers], x.years[byOthers], market.Weight/10)
		out.Open = rate(x.bought[byNobody], a.years-x.years[byItself]-x.years[byOthers], market.Weight/10)
		out.Frequency, out.Severity = f.costs(x.branch)
		m.Wares = append(m.Wares, out)
	}
}

func kindOf(business bool) int {
	if business {
		return 1
	}
	return 0
}

func endsOf(m *clv.Model, branch string) float64 {
	if e, ok := m.Ends[branch]; ok {
		return e
	}
	return m.Ends[""]
}

// costs are the claims a year and their mean of a branch, developed and in the money of the
// year ahead, by credibility towards the market's.
func (f *fitter) costs(branch string) (frequency, severity float64) {
	market := f.o.Settings.Risk.Expected(branch)
	frequency, severity = market.Frequency, market.Severity
	x := f.experience[branch]
	if x == nil || x.happened <= 0 || x.exposure <= 0 {
		return frequency, severity
	}
	amount := x.dear
	for _, c := range x.apart { // glass and assistance
		amount += c.amount
	}
	z := x.happened / (x.happened + priorEvents)
	frequency = shrunk(x.happened, x.exposure, frequency)
	return round(frequency), round(z*max(0, amount)/x.happened + (1-z)*severity)
}

// wants learns how fast what is known of a customer's purchases fades, and how much
// customers differ beyond it, from what they bought in each year after the engines would
// have looked at them.
type wants struct {
	came, known    [longest / 12]float64 // what was known of purchases against what came, and against itself
	over, expected float64               // squared deviations beyond Poisson's, and squared expectations
	bought         float64
	years, number  [longest / 12]float64 // in which customers were there, and what they bought
}

// add counts a customer in: what was known of it, and what came in each year.
func (w *wants) add(m *clv.Model, known []float64, v, now *portfolio.View, g *nbp.Grouping, then portfolio.Date) {
	n := clv.CellOf(v) % len(wanted{}.usual)
	total, mean := 0.0, 0.0
	for y := range w.came {
		from, until := then.AddMonths(12*y), then.AddMonths(12*y+12)
		there := present(now, from, until)
		if there <= 0 {
			break
		}
		w.years[y] += there
		for i := range m.Wares {
			ware := &m.Wares[i]
			if ware.Business != isBusiness(v) || ware.Usual[n] <= 0 {
				continue
			}
			came := 0.0
			for k := range now.Policies {
				if p := &now.Policies[k]; bought(p, from, until) && clv.WareOf(g, p.Policy) == ware.Name {
					came++
				}
			}
			usual := ware.Usual[n]
			w.number[y] += came
			off := known[i] - usual
			// Weighted by how much chance there is in it.
			w.came[y] += off * (came - there*usual) / usual
			w.known[y] += there * off * off / usual
			if y == 0 {
				total += came
				mean += there * known[i]
			}
		}
	}
	w.bought += total
	w.over += (total-mean)*(total-mean) - mean
	w.expected += mean * mean
}

// present is the share of a year in which a customer had a policy of those that it had at
// the beginning.
func present(now *portfolio.View, from, until portfolio.Date) float64 {
	last := from
	for i := range now.Policies {
		if p := &now.Policies[i]; p.StartDate <= from && (p.EndDate == 0 || p.EndDate > last) {
			last = until
			if p.EndDate != 0 {
				last = min(until, p.EndDate)
			}
		}
	}
	return float64(last-from) / 365.25
}

// learn fills the model from what was seen.
func (w *wants) learn(m *clv.Model, market *clv.Market) {
	weighed, squares := 0.0, 0.0
	for y := 1; y < len(w.came); y++ {
		if w.known[y] > 0 {
			t := float64(y)
			weighed += w.known[y] * t * -math.Log(min(max(w.came[y]/w.known[y], 0.05), 1))
			squares += w.known[y] * t * t
		}
	}
	z := w.bought / (w.bought + 10*market.Weight) // a slope and a variance take more than a mean
	if squares > 0 {
		m.WantsFade = round(z*weighed/squares + (1-z)*market.WantsFade)
	}
	m.WantsWane = w.wane()
	if w.expected > 0 {
		m.WantsFrailty = round(z * min(max(w.over/w.expected, 0), mostFrailty))
	}
}

// wane is how much fewer purchases get a year: the slope of the logarithm of their rate,
// believed as far as it is no noise, against three percent a year.
func (w *wants) wane() float64 {
	n, x, xx, xy, sum := 0.0, 0.0, 0.0, 0.0, 0.0
	for y := range w.number {
		if w.number[y] < fewEvents || w.years[y] <= 0 {
			continue
		}
		weight, at, rate := w.number[y], float64(y), math.Log(w.number[y]/w.years[y])
		n, x, xx = n+weight, x+weight*at, xx+weight*at*at
		sum, xy = sum+weight*rate, xy+weight*at*rate
	}
	spread := xx - x*x/max(n, 1)
	if !(spread > 0) {
		return 0
	}
	// How fast rates of purchase change in a book of which nothing is known, as a standard
	// deviation of the logarithm, a year. Our choice: what prices and incomes do in most years.
	const usual = 0.03
	slope := (xy - x*sum/n) / spread
	return round(max(0, -slope*usual*usual/(usual*usual+1/spread)))
}

// mostFrailty is where a variance of what multiplies a mean stops to be credible; ours.
const mostFrailty = 5
