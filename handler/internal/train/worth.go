package train

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"

	"polis/handler/internal/care"
	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
)

// worth is what the years that are looked back on say of how policies and customers go on:
// what the model of package clv is made of.
type worth struct {
	ends            map[string]*[clv.Ages]seen // of policies by branch and age, while their relation goes on
	stayed, left    float64                    // policies that do not count, when their relation ended
	grown           moments                    // logarithm of the premium's change in a year, weighted by premium
	before, after   float64                    // premiums of those
	premiums        float64                    // how many
	contacts, next  float64                    // a customer's in a year and in the one after
	square, product float64
	called          float64    // customers whose contacts are counted
	customers       [6]float64 // customer-years, by kind
	wanted          wares
	own, others     map[*wanted]bool // what the customer at hand holds, and others of its relation
}

// seen are events at an exposure.
type seen struct{ events, exposure float64 }

func (s *seen) add(o seen) { s.events, s.exposure = s.events+o.events, s.exposure+o.exposure }

// moments are weighted.
type moments struct{ n, sum, square float64 }

func (m *moments) add(x, weight float64) {
	m.n += weight
	m.sum += weight * x
	m.square += weight * x * x
}

func (m *moments) mean() float64 { return m.sum / m.n }

func (m *moments) variance() float64 { return max(0, m.square/m.n-m.mean()*m.mean()) }

// goesOn adds a year of a relation: f.then as it was seen, f.now as it came.
func (f *fitter) goesOn(then portfolio.Date) {
	w, until := &f.worth, then.AddMonths(12)
	counted := f.o.Settings.Churn.Definition.Relation().Of(&f.then.group)
	gone, _ := churn.End(f.now.refs, then, until, counted)
	seen := f.untouched(then, until)
	if seen == then {
		return
	}
	if gone > seen {
		gone = 0
	}
	last := seen
	if gone != 0 {
		last = gone
	}
	n := 0
	for _, v := range f.then.refs {
		for i := range v.Policies {
			if p := &v.Policies[i]; p.InForce(then) && counted.Counts(p.Branch) {
				n++
			}
		}
	}
	for m, v := range f.then.refs {
		now := f.now.refs[m]
		any := false
		for i := range v.Policies {
			p := &v.Policies[i]
			later := now.Policy(p.ID)
			if !p.InForce(then) || later == nil {
				continue
			}
			any = true
			f.endsSingly(p, later, last, n > 1 || !counted.Counts(p.Branch))
			if gone != 0 && !counted.Counts(p.Branch) && later.InForce(gone-1) {
				if later.InForce(gone + now.ReplacementDays) {
					w.stayed++
				} else {
					w.left++
				}
			}
			if seen == until {
				f.grows(p, later, until)
			}
		}
		if any {
			f.buys(v, now, then, seen)
			if gone == 0 && seen == until {
				f.calls(now, then, until)
			}
		}
	}
}

// endsSingly counts a policy's time until the relation's end, and whether it ended before.
// The last policy that counts cannot: with it the relation ends.
func (f *fitter) endsSingly(p, later *portfolio.PolicyView, last portfolio.Date, can bool) {
	if !can {
		return
	}
	ages := f.worth.ends[p.Branch]
	if ages == nil {
		ages = &[clv.Ages]seen{}
		f.worth.ends[clone(p.Branch)] = ages
	}
	then := f.then.views[0].AsOf
	// Its age in the middle of the year: years are short beside the bands.
	s := &ages[clv.AgeBand(portfolio.Years(p.StartDate, then)+0.5)]
	end := later.EndDate
	if end != 0 && end < last {
		last = end
		if later.Ended != portfolio.Replaced && later.Ended != portfolio.Transferred {
			s.events++
		}
	}
	s.exposure += float64(last-then) / 365.25
}

// grows adds what the premium of a policy that stays has become in a year: what it earns
// in its last month against what was known before.
func (f *fitter) grows(p, later *portfolio.PolicyView, until portfolio.Date) {
	if p.CurrentOnly || p.AnnualPremium <= 0 || !later.InForce(until) {
		return
	}
	const month = 28 // days
	years := later.Exposure(until-month, until)
	now := later.EarnedPremium(until-month, until).EUR() / years
	before := p.AnnualPremium.EUR()
	if !(years > 0) || now <= 0 || now > 3*before || before > 3*now {
		return // another policy under an old number, or a correction
	}
	f.worth.premiums++
	f.worth.before += before
	f.worth.after += now
	f.worth.grown.add(math.Log(now/before), before)
}

// calls counts a customer's contacts of a year and of the one after.
func (f *fitter) calls(now *portfolio.View, then, until portfolio.Date) {
	w := &f.worth
	before, after := 0.0, 0.0
	year := then.AddMonths(-12)
	for i := range now.Contacts {
		switch on := now.Contacts[i].At.Date(); {
		case on > year && on <= then:
			before++
		case on > then && on <= until:
			after++
		}
	}
	w.called++
	w.contacts += before
	w.next += after
	w.square += before * before
	w.product += before * after
}

// learnWorth is the model of how policies and customers go on: the book's own rates, by
// credibility towards the market's.
func (f *fitter) learnWorth() *clv.Model {
	w, market := &f.worth, f.o.Settings.Clv.Market
	weigh := func(events, own, prior float64) float64 {
		if events <= 0 {
			return prior
		}
		z := events / (events + market.Weight)
		return z*own + (1-z)*prior
	}
	m := clv.NewModel(market)
	var all seen
	branches, byAge := map[string]seen{}, [clv.Ages]seen{}
	names := slices.Sorted(maps.Keys(w.ends))
	for _, b := range names {
		own := branches[b]
		for _, s := range w.ends[b] {
			own.add(s)
		}
		branches[b] = own
		all.add(own)
	}
	book := weigh(all.events, all.events/all.exposure, market.SingleEnds)
	m.Ends[""] = round(book)
	for _, b := range names {
		s := branches[b]
		if s.exposure > 0 { // no event in a long time says something too
			expected := s.exposure * book
			m.Ends[b] = round(weigh(expected, s.events/s.exposure, book))
		}
		for k, s := range w.ends[b] {
			byAge[k].add(seen{s.events, s.exposure * endsOf(m, b)})
		}
	}
	for k, s := range byAge { // events over what branches alone let expect
		m.ByAge[k] = round((s.events + market.Weight) / (s.exposure + market.Weight))
	}
	m.CarryOn = round(weigh(w.stayed+w.left, w.stayed/(w.stayed+w.left), market.CarryOn))
	if w.before > 0 {
		m.Growth = round(weigh(w.premiums, w.after/w.before-1, market.Growth))
		m.GrowthSD = round(weigh(w.premiums, math.Sqrt(w.grown.variance()), market.GrowthSD))
	}
	f.learnSpread(m, market.Spread, weigh)
	if w.called > 0 {
		before, next := w.contacts/w.called, w.next/w.called
		variance, both := w.square/w.called-before*before, w.product/w.called-before*next
		m.Contacts.Mean = round(next)
		if variance > 0 {
			m.Contacts.Weight = round(min(max(weigh(w.called, both/variance, 0.5), 0), 1))
		}
	}
	for i := range m.Cells {
		m.Cells[i].Customers = math.Round(w.customers[i])
	}
	f.learnWares(m)
	m.Losses, m.Inflation = f.o.AsOf, f.o.Settings.Risk.Inflation
	m.HazardError = round(1 / math.Sqrt(f.rates.lapses+f.rates.others+market.Weight))
	return m
}

// learnFrailty is how much relations differ in claims beyond what the model sees: the
// moment estimate of the variance of a gamma that multiplies a Poisson mean.
func (f *fitter) learnFrailty(frequency score.Model, m *clv.Model) {
	t := f.frequency
	row := model.Row{Num: make([]float64, len(t.fields)), Cat: make([]string, len(t.fields))}
	expected, came := map[string]float64{}, map[string]float64{}
	for i := range t.n {
		for c, field := range t.fields {
			if field.Kind == model.Numeric {
				row.Num[c] = t.num[c][i]
			} else {
				row.Cat[c] = t.cat[c][i]
			}
		}
		expected[t.group[i]] += frequency.Mean(frequency.Score(row, nil)) * t.exposure[i]
		came[t.group[i]] += t.y[i]
	}
	over, squares, claims := 0.0, 0.0, 0.0
	for _, key := range slices.Sorted(maps.Keys(expected)) {
		e, n := expected[key], came[key]
		over += (n-e)*(n-e) - e
		squares += e * e
		claims += n
	}
	if squares > 0 {
		z := claims / (claims + f.o.Settings.Clv.Market.Weight*10) // a variance takes more than a mean
		m.Frailty = round(z*min(max(over/squares, 0), 5) + (1-z)*m.Frailty)
	}
}

// learnSpread is how much claims of a branch differ in amount.
func (f *fitter) learnSpread(m *clv.Model, prior float64, weigh func(events, own, prior float64) float64) {
	var pooled moments
	for _, b := range slices.Sorted(maps.Keys(f.claims)) {
		var own moments
		for _, a := range f.claims[b] {
			own.add(a, 1)
		}
		if own.n < 2 {
			continue
		}
		cv := own.variance() / (own.mean() * own.mean())
		m.Spread[b] = round(weigh(own.n, cv, prior))
		pooled.add(m.Spread[b], own.n)
	}
	if pooled.n > 0 {
		m.Spread[""] = round(pooled.mean())
	}
}

// round keeps six digits: models' files are read by people.
func round(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// foretold is a customer's value as it would have been scored at the beginning of a window
// that is over, and what came.
type foretold struct {
	cell             int
	months           int
	value, low, high float64
	income, came     float64

	// Of its relation: the band of the probability that it would lapse, for how many days it
	// went on, those of the window, and a lot from 0 to 1.
	band         int
	days, window portfolio.Date
	lot          float64
}

// windows are how many months are looked back on.
var windows = [...]int{12, 24, longest}

// held is how many relations are held against what came, at most: enough for a twentieth
// of each cell to be a number of tens.
const held = 8_000

// longest is the longest window.
const longest = 36

// windowed goes to the relations of the book as they were at the beginnings of windows that are
// over: f.then and f.now are theirs, and f.then.group.
func (f *fitter) windowed(ctx context.Context, source Source, windows []int, visit func(months int, then portfolio.Date)) error {
	keep, n := uint64(max(1, f.relations/held)), 0
	for rel, err := range f.moved.lived(ctx, source) {
		if err != nil {
			return err
		}
		if n++; hash(rel.Key, 3)%keep != 0 {
			continue
		}
		f.now.reset(rel.Members, f.o.AsOf, f.o.Ends)
		for _, months := range windows {
			then := f.o.AsOf.AddMonths(-f.o.Settings.Features.ReportingLag - months)
			f.then.reset(rel.Members, then, f.o.Ends)
			relations := 0
			f.of, relations = feature.Relations(f.then.all, f.of[:0])
			for r := range relations {
				f.only(rel.Members, r)
				if f.then.refs[0].Relation() != rel.Key {
					continue // it has its own turn
				}
				if f.then.group.Reset(f.then.refs); f.then.group.Policies > 0 {
					visit(months, then)
				}
			}
		}
		if n%1000 == 0 {
			f.o.Progress("holding values against what came", n, f.relations)
		}
	}
	return nil
}

// lookBack values customers as of the beginnings of windows that are over, and in which
// nobody acted for their relation.
func (f *fitter) lookBack(ctx context.Context, source Source, m *scoring.Models) ([]foretold, error) {
	rules, err := care.Compile(&m.Settings.Care)
	if err != nil {
		return nil, err
	}
	careful, err := care.New(rules, care.Book{Sold: m.Nbp.Sold(), ContactsSince: m.ContactsSince})
	if err != nil {
		return nil, err
	}
	offers, err := nbp.New(m.Nbp, &m.Settings.Nbp)
	if err != nil {
		return nil, err
	}
	demand := clv.NewDemand(m.Clv, offers)
	risks, churns := risk.New(m.Risk, &m.Settings.Risk, careful), churn.New(m.Churn)
	engines := map[int]*clv.Engine{}
	for _, months := range windows {
		s := m.Settings.Clv
		s.HorizonMonths = months
		engines[months] = clv.New(s, m.Clv)
	}
	s := &m.Settings.Clv
	var out []foretold
	var all []followed
	var rk risk.Result
	var ends churn.Result
	var worth clv.Result
	err = f.windowed(ctx, source, windows[:], func(months int, then portfolio.Date) {
		until := then.AddMonths(months)
		churns.Score(&f.then.group, &ends)
		gone, _ := churn.End(f.now.refs, then, until, f.o.Settings.Churn.Definition.Relation().Of(&f.then.group))
		if gone == 0 {
			gone = until
		}
		seen := f.untouched(then, gone)
		band := int(bandsOf * ends.Lapsed[12])
		all = append(all, followed{months, band, seen - then, seen < gone})
		if seen < gone {
			return
		}
		engine := engines[months]
		lot := float64(hash(f.then.refs[0].Relation(), uint64(then), 7)>>11) / (1 << 53)
		engine.Begin(&f.then.group, &ends)
		offers.Relation(&f.then.group, nil)
		demand.Begin(&f.then.group)
		for k, v := range f.then.refs {
			if feature.Objects(v) || uncertain(v) {
				continue
			}
			in := feature.Input{View: v, Group: &f.then.group}
			risks.Score(in, &rk)
			f.reader.Policies(in)
			engine.Score(in, &rk, f.reader.Care().Contacts, demand.Of(&f.then.group, v), &worth)
			if worth.Status == score.Scored {
				out = append(out, foretold{
					cell: clv.CellOf(v), months: months, value: worth.Value, low: worth.Realisable.Low, high: worth.Realisable.High,
					income: worth.Income, came: s.Realise(f.now.refs[k], then, months),
					band: band, days: gone - then, window: until - then, lot: lot,
				})
			}
		}
	})
	return evened(out, all), err
}

// learnWants looks back on what customers bought after nbp would have looked at them.
func (f *fitter) learnWants(ctx context.Context, source Source, m *scoring.Models) error {
	offers, err := nbp.New(m.Nbp, &m.Settings.Nbp)
	if err != nil {
		return err
	}
	demand := clv.NewDemand(m.Clv, offers)
	var w wants
	err = f.windowed(ctx, source, []int{longest}, func(_ int, then portfolio.Date) {
		if until := then.AddMonths(longest); f.untouched(then, until) < until {
			return
		}
		offers.Relation(&f.then.group, nil)
		demand.Begin(&f.then.group)
		for k, v := range f.then.refs {
			if !feature.Objects(v) {
				w.add(m.Clv, demand.Of(&f.then.group, v), v, f.now.refs[k], f.groups, then)
			}
		}
	})
	w.learn(m.Clv, &m.Settings.Clv.Market)
	return err
}

// uncertain reports whether a customer holds a policy of which the premium was not known.
func uncertain(v *portfolio.View) bool {
	for i := range v.Policies {
		if p := &v.Policies[i]; p.InForce(v.AsOf) && p.CurrentOnly {
			return true
		}
	}
	return false
}

// lasted is how long a relation went on, beside the force of ending that churn saw in each
// year.
type lasted struct {
	force [longest / 12]float64
	years float64 // until its end, or as long as it was watched
	ended bool
}

func (f *fitter) last(ends *churn.Result, then, seen portfolio.Date) lasted {
	var l lasted
	for y := range l.force {
		l.force[y] = math.Log(ends.Alive[12*y]+tiny) - math.Log(ends.Alive[12*y+12]+tiny)
	}
	l.years = float64(len(l.force))
	if seen < then.AddMonths(12*len(l.force)) {
		l.years = float64(seen-then) / 365.25
	}
	end, _ := churn.End(f.now.refs, then, then.AddMonths(12*len(l.force)), f.o.Settings.Churn.Definition.Relation().Of(&f.then.group))
	if end != 0 && end <= seen {
		l.years, l.ended = float64(end-then)/365.25, true
	}
	return l
}

const tiny = 1e-9

// learnFade looks back on how relations went on after churn would have scored them.
func (f *fitter) learnFade(ctx context.Context, source Source, m *churn.Model) error {
	churns := churn.New(m) // nothing of what it knows fades yet
	var ends churn.Result
	err := f.windowed(ctx, source, []int{longest}, func(_ int, then portfolio.Date) {
		seen := f.untouched(then, then.AddMonths(longest))
		if seen == then {
			return
		}
		churns.Score(&f.then.group, &ends)
		f.lasted = append(f.lasted, f.last(&ends, then, seen))
	})
	m.Book.Fade.Rate = f.fade()
	return err
}

// fade is how fast what churn knows is forgotten: in each year after the first the slope of
// the logarithm of the hazard that came on that which was seen, a Poisson regression, and
// through those slopes an exponential from one in the first year.
func (f *fitter) fade() float64 {
	var ends, weighed, squares float64
	for y := range longest / 12 {
		events, slope, information := forceSlope(f.lasted, y)
		ends += events
		if y == 0 || information == 0 {
			continue
		}
		t := float64(y)
		weighed += information * t * -math.Log(min(max(slope, 0.05), 1))
		squares += information * t * t
	}
	s := &f.o.Settings.Churn
	if squares == 0 {
		return s.Market.Fade
	}
	z := ends / (ends + 10*s.PriorEvents) // a slope takes more than a mean
	return round(z*weighed/squares + (1-z)*s.Market.Fade)
}

// forceSlope fits events ~ Poisson(exposure · exp(a + b·log force)) of a year by Newton's
// method, and says how much it learnt of b.
func forceSlope(of []lasted, y int) (events, b, information float64) {
	var x, t []float64
	var came []bool
	for i := range of {
		l := &of[i]
		watched := min(l.years-float64(y), 1)
		if watched <= 0 || l.force[y] <= 0 {
			continue
		}
		x, t = append(x, math.Log(l.force[y])), append(t, watched)
		came = append(came, l.ended && l.years <= float64(y+1))
		if came[len(came)-1] {
			events++
		}
	}
	if events < fewEvents {
		return events, 1, 0
	}
	a, b := 0.0, 1.0
	for range 25 {
		var ga, gb, haa, hab, hbb float64
		for i := range x {
			mu := t[i] * math.Exp(min(a+b*x[i], 20))
			d := -mu
			if came[i] {
				d++
			}
			ga, gb = ga+d, gb+d*x[i]
			haa, hab, hbb = haa+mu, hab+mu*x[i], hbb+mu*x[i]*x[i]
		}
		det := haa*hbb - hab*hab
		if !(det > 0) {
			return events, 1, 0
		}
		a, b = a+(hbb*ga-hab*gb)/det, b+(haa*gb-hab*ga)/det
		information = det / haa
	}
	return events, b, information
}

// calibrate moves expectations and intervals to what came, cell by cell, with credibility
// towards all cells (Bühlmann and Straub 1970).
func calibrate(m *clv.Model, s *clv.Settings, seen []foretold) {
	if len(seen) == 0 {
		return
	}
	drifts(m, seen)
	moved := slices.Clone(seen)
	for i := range moved {
		t := &moved[i]
		by := m.Cells[t.cell].Drift * t.grew()
		t.value, t.low, t.high = t.value+by, t.low+by, t.high+by
	}
	widths(m, s, moved)
	m.Error = round(min(unexplained(moved), maxError))
}

// grew is the income at which a drift of a whole adds up, as the engine adds it.
func (t *foretold) grew() float64 { return t.income * float64(t.months) / 24 }

const (
	maxDrift = 0.2  // a year: more is not drift but another book
	maxError = 0.3  // of income
	maxWidth = 3.0  // factor on an interval, and its inverse the least
	fewTails = 20.0 // misses of an interval that count half
)

// drifts are how much more a year came than was expected, as a share of income.
func drifts(m *clv.Model, seen []foretold) {
	var off, grew, square [len(m.Cells)]float64
	for i := range seen {
		t := &seen[i]
		d := t.came - t.value
		off[t.cell] += d
		square[t.cell] += d * d
		grew[t.cell] += t.grew()
	}
	all, at := 0.0, 0.0
	for c := range off {
		all, at = all+off[c], at+grew[c]
	}
	if !(at > 0) {
		return
	}
	mean := all / at
	between, n := 0.0, 0.0
	var noise [len(m.Cells)]float64
	for c := range off {
		if grew[c] > 0 {
			noise[c] = square[c] / (grew[c] * grew[c])
			d := off[c]/grew[c] - mean
			between += d*d - noise[c]
			n++
		}
	}
	between = max(0, between/n)
	overall := 0.0
	for c := range square {
		overall += square[c]
	}
	// The book's own drift is believed as far as it is no noise, against a percent of income
	// a year: the standard deviation of a book's drift before anything is seen of it. Our
	// choice, small, because it goes on over years that nobody has seen.
	const usual = 0.01
	mean *= usual * usual / (usual*usual + overall/(at*at))
	for c := range m.Cells {
		d := mean
		if between > 0 && grew[c] > 0 {
			d += between / (between + noise[c]) * (off[c]/grew[c] - mean)
		}
		m.Cells[c].Drift = round(min(max(d, -maxDrift), maxDrift))
	}
}

// widths are the factors that make the misses of intervals, below and above, as many as
// they should be: the conformal quantile of what came in half-widths (Romano, Patterson
// and Candès 2019), on the longest window.
func widths(m *clv.Model, s *clv.Settings, seen []foretold) {
	miss := (1 - s.Coverage) / 2
	var below, above [len(m.Cells) + 1][]float64 // the last: all
	for i := range seen {
		t := &seen[i]
		if t.months != longest {
			continue
		}
		for _, c := range [...]int{t.cell, len(m.Cells)} {
			if d := t.value - t.low; d > 0 {
				below[c] = append(below[c], (t.value-t.came)/d)
			}
			if d := t.high - t.value; d > 0 {
				above[c] = append(above[c], (t.came-t.value)/d)
			}
		}
	}
	factor := func(of []float64, towards float64) float64 {
		n := miss * float64(len(of))
		z := n / (n + fewTails)
		own := min(max(score.Quantile(of, 1-miss), 1/maxWidth), maxWidth)
		return math.Exp(z*math.Log(own) + (1-z)*math.Log(towards))
	}
	low, high := 1.0, 1.0
	if len(below[len(m.Cells)]) > 0 {
		low = factor(below[len(m.Cells)], 1)
	}
	if len(above[len(m.Cells)]) > 0 {
		high = factor(above[len(m.Cells)], 1)
	}
	for c := range m.Cells {
		m.Cells[c].Low, m.Cells[c].High = round(low), round(high)
		if len(below[c]) > 0 {
			m.Cells[c].Low = round(factor(below[c], low))
		}
		if len(above[c]) > 0 {
			m.Cells[c].High = round(factor(above[c], high))
		}
	}
}

// unexplained is by how much, as a share of income, tenths of the book by value still were
// off on the longest window, noise aside.
func unexplained(seen []foretold) float64 {
	var last []foretold
	for _, t := range seen {
		if t.months == longest {
			last = append(last, t)
		}
	}
	slices.SortStableFunc(last, func(a, b foretold) int { return cmp.Compare(a.value, b.value) })
	const parts = 10
	sum, n := 0.0, 0.0
	for k := range parts {
		off, square, income := 0.0, 0.0, 0.0
		for _, t := range last[k*len(last)/parts : (k+1)*len(last)/parts] {
			d := t.came - t.value
			off, square, income = off+d, square+d*d, income+t.income
		}
		if income > 0 {
			sum += (off*off - square) / (income * income)
			n++
		}
	}
	if n == 0 || sum <= 0 {
		return 0
	}
	return math.Sqrt(sum / n)
}
