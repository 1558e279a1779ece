package train

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"polis/handler/internal/credibility"
	"polis/handler/internal/develop"
	"polis/handler/internal/exact"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// line is the claims that develop together: a branch's, the covers apart by themselves.
type line struct {
	branch string
	apart  bool
}

// lineOf is the line of a claim of a policy.
func (f *fitter) lineOf(p *portfolio.PolicyView, c *portfolio.ClaimView) line {
	return line{p.Branch, f.o.Settings.Risk.IsApart(c.Cover)}
}

// pattern is how a line develops.
type pattern struct{ claims, amounts develop.Pattern }

// develop finds how each line develops, by credibility towards all.
func (f *fitter) develop() {
	f.patterns = map[line]*pattern{}
	s := &f.o.Settings.Risk
	lines := slices.SortedFunc(maps.Keys(f.lines), func(a, b line) int {
		return cmp.Or(cmp.Compare(a.branch, b.branch), boolCompare(a.apart, b.apart))
	})
	if !s.Development {
		return
	}
	var claims, amounts []develop.Triangle
	var ones, units []float64
	followed := 0
	for _, l := range lines {
		c := f.lines[l]
		n, a := c.Counts(), c.Amounts()
		claims, amounts, ones = append(claims, n), append(amounts, a), append(ones, 1)
		unit := 0.0
		if sum := a.Latest(); sum > 0 && c.Followed() > 0 {
			unit = sum / float64(c.Followed())
		}
		units = append(units, unit)
		followed += c.Followed()
	}
	byCount := develop.Credible(claims, ones, s.PriorEvents, 1)
	byAmount := develop.Credible(amounts, units, s.PriorEvents, s.Tail)
	for i, l := range lines {
		f.patterns[l] = &pattern{byCount[i], byAmount[i]}
		if followed == 0 { // no history of any claim: those to come are like those that are
			f.patterns[l].amounts = byCount[i]
		}
	}
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// factors are what a claim of a loss date, as it was known on a date, stands for: so many
// claims, and so many times its amount; and the inflation from the loss to the middle of
// the year ahead. Claims of older snapshots are as known when their labels closed, and have
// developed no further than until then.
func (f *fitter) factors(l line, loss, known portfolio.Date) (claims, amount, inflation float64) {
	claims, amount = 1, 1
	if p := f.patterns[l]; p != nil {
		age := develop.Age(loss, known)
		claims, amount = p.claims.Ultimate(age), p.amounts.Ultimate(age)
	}
	years := portfolio.Years(loss, f.o.AsOf.AddMonths(6))
	return claims, amount, exact.Exp(float64(years * exact.Log(1+f.o.Settings.Risk.Inflation)))
}

// experience is what the book saw of a branch in the years that are learnt from.
type experience struct {
	years map[int]*year // by snapshot
	nil   float64
	// Of claims that count and are not apart: amounts as known, developed, and developed in
	// the money of the year ahead; and the capped ones, plain and likewise.
	incurred, ultimate, dear        float64
	capped, cappedLater, cappedDear float64
	claims, happened                float64 // reported, and with those that are not
	large                           float64 // claims above the cap
	exposure                        float64
	covers, apart                   map[string]*cover
}

type year struct{ exposure, claims, amount float64 }

// cover is what was seen of one.
type cover struct {
	claims float64 // developed
	amount float64 // likewise, in the money of the year ahead
	class  credibility.Class
}

func (f *fitter) seen(branch string) *experience {
	x := f.experience[branch]
	if x == nil {
		x = &experience{years: map[int]*year{}, covers: map[string]*cover{}, apart: map[string]*cover{}}
		f.experience[clone(branch)] = x
	}
	return x
}

func (x *experience) year(k int) *year {
	y := x.years[k]
	if y == nil {
		y = &year{}
		x.years[k] = y
	}
	return y
}

// coversKept is how many covers a branch is split over, the rest together: more are free
// text, and nobody's cover.
const coversKept = 20

const otherCover = "other"

func coverOf(m map[string]*cover, name string) *cover {
	if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
		name = "unspecified"
	}
	c := m[name]
	if c == nil {
		if len(m) >= 1000 {
			name = otherCover
		}
		if c = m[name]; c == nil {
			c = &cover{}
			m[clone(name)] = c
		}
	}
	return c
}

// claim adds a claim of a branch in a year; it returns what is learnt from it: whether it
// counts, and its capped amount in EUR. It is as known on the date given.
func (f *fitter) claim(x *experience, k int, l line, c *portfolio.ClaimView, asKnown portfolio.Date) (learnt bool, amount float64) {
	if c.Status == portfolio.ClaimRejected {
		return false, 0
	}
	known := c.Incurred().EUR()
	n, developed, inflation := f.factors(l, c.LossDate, asKnown)
	if known > 0 && l.apart {
		a := coverOf(x.apart, c.Cover)
		a.claims += n
		a.amount += known * developed * inflation
		return false, 0
	}
	if l.apart {
		x.nil++
		return false, 0
	}
	// Recoveries beyond what was paid take from the total, and are no claim.
	x.incurred += known
	x.ultimate += known * developed
	x.dear += known * developed * inflation
	if known <= 0 {
		x.nil++
		return false, 0
	}
	amount = min(known, f.caps[l.branch])
	dear := amount * developed * inflation
	x.claims++
	x.happened += n
	if known > amount {
		x.large++
	}
	x.capped += amount
	x.cappedLater += amount * inflation
	x.cappedDear += dear
	y := x.year(k)
	y.claims += n
	y.amount += dear
	v := coverOf(x.covers, c.Cover)
	v.claims += n
	v.amount += dear
	v.class.Add(n, dear)
	return true, amount
}

// Loads beyond these, or of what was recovered on balance, say that a branch's rows are at
// fault, and not what it costs. Ours.
const leastLoad, mostLoad = 0.01, 100

func loaded(a, b float64) float64 {
	if a <= 0 || b <= 0 {
		return 1
	}
	return min(max(a/b, leastLoad), mostLoad)
}

// levels finds the level of each branch, given the models of single policies. The market's
// prior is what is expected beforehand; a branch's own claims over that are a case for
// Bühlmann and Straub, with the branches as classes and the years as observations, for
// frequency with expected claims as weights and for severity with claims. What branches
// have in common says how the book as a whole differs from the market.
func (f *fitter) levels(frequency, severity score.Model) map[string]risk.Branch {
	s := &f.o.Settings.Risk
	names := slices.Sorted(maps.Keys(f.experience))
	often, dear := make([]credibility.Class, len(names)), make([]credibility.Class, len(names))
	excess, total := make([]float64, len(names)), &experience{}
	for _, n := range names {
		x := f.experience[n]
		total.dear += x.dear
		total.cappedDear += x.cappedDear
		total.claims += x.claims
		total.large += x.large
	}
	all := loaded(total.dear, total.cappedDear)
	for i, n := range names {
		x, market := f.experience[n], s.Expected(n)
		z := credibility.Limited(x.claims, s.FullEvents)
		// What the few large claims of a branch were is chance; that so many were cut is
		// not, and of a branch in which none was there is nothing to give back.
		usual := 1.0
		if x.large > 0 {
			usual += float64((all - 1) * (x.large / x.claims) / (total.large / total.claims))
		}
		excess[i] = float64(z*loaded(x.dear, x.cappedDear)) + float64((1-z)*max(usual, leastLoad))
		for _, k := range slices.Sorted(maps.Keys(x.years)) {
			y := x.years[k]
			often[i].Add(y.exposure*market.Frequency, y.claims)
			dear[i].Add(y.claims, y.amount*excess[i]/market.Severity)
		}
	}
	common := credibility.Limited(total.claims, s.FullEvents)
	oftenAll, dearAll := credibility.Estimate(often, s.PriorEvents), credibility.Estimate(dear, s.PriorEvents)
	// A book of few claims is not known to differ from the market at all.
	blend := func(all *credibility.Structure, c *credibility.Class, z float64) float64 {
		complement := float64(common*all.Mean) + (1 - common)
		return float64(z*c.Ratio()) + float64((1-z)*complement)
	}
	out, means := map[string]risk.Branch{}, f.means(frequency, severity)
	for i, n := range names {
		x, market := f.experience[n], s.Expected(n)
		zo, zd := oftenAll.Z(often[i].Weight()), dearAll.Z(dear[i].Weight())
		basis := risk.Blended
		switch {
		case x.claims >= s.FullEvents:
			zo, zd, basis = 1, 1, risk.Own
		case x.claims == 0:
			zo, zd, basis = 0, 0, risk.Market
		}
		b := risk.Branch{
			Basis: basis, Credibility: short(min(zo, zd)), Exposure: short(x.exposure), Claims: x.claims, Nil: x.nil,
			Incurred: cents(x.incurred), Ultimate: cents(x.ultimate), Error: cents(f.errorOf(n)), Cap: f.caps[n],
			Excess: excess[i], Reporting: 1, Development: 1, Inflation: 1,
		}
		if x.claims > 0 {
			b.Reporting = loaded(x.happened, x.claims)
			b.Development = loaded(x.cappedDear, x.cappedLater)
			b.Inflation = loaded(x.cappedLater, x.capped)
		}
		m := means.of(n)
		b.Frequency = market.Frequency * blend(&oftenAll, &often[i], zo) / b.Reporting / m.frequency()
		b.Severity = market.Severity * blend(&dearAll, &dear[i], zd) / (b.Excess * (b.Development / b.Reporting) * b.Inflation) / m.severity()
		b.Covers, b.Apart = split(x.covers, s.PriorEvents), apart(x.apart, x.exposure)
		steady(&b)
		out[n] = b
	}
	// Branches that the market knows and the book does not, and those that nobody knows.
	for _, n := range slices.Sorted(maps.Keys(s.Market)) {
		if _, ok := out[n]; ok || !s.InScope(n) {
			continue
		}
		market, m := s.Market[n], means.of(n)
		b := risk.Branch{
			Basis:     risk.Market,
			Frequency: market.Frequency * blend(&oftenAll, &credibility.Class{}, 0) / m.frequency(),
			Severity:  market.Severity * blend(&dearAll, &credibility.Class{}, 0) / m.severity(),
			Excess:    1, Reporting: 1, Development: 1, Inflation: 1,
		}
		steady(&b)
		out[n] = b
	}
	return out
}

// steady leaves of factors and shares what they would be whatever the order of the rows:
// sums in another order differ in their last digits.
func steady(b *risk.Branch) {
	round := func(v *float64) { *v = math.Round(*v*1e9) / 1e9 }
	for _, v := range [...]*float64{&b.Frequency, &b.Severity, &b.Excess, &b.Reporting, &b.Development, &b.Inflation} {
		round(v)
	}
	for _, covers := range [...][]risk.Cover{b.Covers, b.Apart} {
		for i := range covers {
			round(&covers[i].Claims)
			round(&covers[i].Loss)
		}
	}
}

// errorOf is Mack's standard error of what the losses of the years that are learnt from
// come to.
func (f *fitter) errorOf(branch string) float64 {
	l := line{branch, false}
	c, p := f.lines[l], f.patterns[l]
	if c == nil || p == nil || c.Followed() == 0 {
		return 0
	}
	t := asLearnt(c.Amounts(), f.o.Settings.Features.ReportingLag, f.o.Snapshots)
	return p.amounts.Project(t, 0, len(t)).Error
}

// asLearnt leaves of a triangle, the oldest period first, what is learnt from it: of each
// snapshot's year its periods of loss, as they were known when its labels closed. What has
// come the furthest comes first, as errors have it that rows share.
func asLearnt(t develop.Triangle, lag, snapshots int) (out develop.Triangle) {
	for k := range snapshots {
		for q := range 12 / develop.Period {
			back := (lag+12*k)/develop.Period + q
			if at := len(t) - 1 - back; at >= 0 {
				out = append(out, t[at][:len(t[at])-12*k/develop.Period])
			}
		}
	}
	slices.SortStableFunc(out, func(a, b []float64) int { return cmp.Compare(len(b), len(a)) })
	return out
}

// split is the shares of covers in a branch. A cover's share of claims is its own; its
// mean claim is its own as far as it is credible, and else the branch's.
func split(covers map[string]*cover, k float64) []risk.Cover {
	names := kept(covers)
	classes := make([]credibility.Class, len(names))
	for i, n := range names {
		classes[i] = covers[n].class
	}
	s := credibility.Estimate(classes, k)
	var out []risk.Cover
	claims, amount := 0.0, 0.0
	for i, n := range names {
		c := risk.Cover{Name: n, Claims: covers[n].claims, Loss: covers[n].claims * s.Ratio(&classes[i])}
		claims, amount = claims+c.Claims, amount+c.Loss
		out = append(out, c)
	}
	for i := range out {
		out[i].Claims /= claims
		out[i].Loss /= amount
	}
	return out
}

// apart is what covers apart come to in a policy-year.
func apart(covers map[string]*cover, exposure float64) []risk.Cover {
	var out []risk.Cover
	for _, n := range kept(covers) {
		out = append(out, risk.Cover{Name: n, Claims: covers[n].claims / exposure, Loss: covers[n].amount / exposure})
	}
	return out
}

// kept are the names of the covers with the most claims, in their order; those of the
// others are put together.
func kept(covers map[string]*cover) []string {
	names := slices.SortedFunc(maps.Keys(covers), func(a, b string) int {
		return cmp.Or(cmp.Compare(covers[b].claims, covers[a].claims), cmp.Compare(a, b))
	})
	if len(names) <= coversKept {
		return names
	}
	rest := &cover{}
	for _, n := range names[coversKept-1:] {
		c := covers[n]
		rest.claims, rest.amount = rest.claims+c.claims, rest.amount+c.amount
		rest.class.Add(c.class.Weight(), c.class.Weight()*c.class.Ratio())
	}
	names = names[:coversKept-1]
	if at := slices.Index(names, otherCover); at >= 0 {
		c := covers[otherCover]
		rest.claims, rest.amount = rest.claims+c.claims, rest.amount+c.amount
		rest.class.Add(c.class.Weight(), c.class.Weight()*c.class.Ratio())
		names = slices.Delete(names, at, at+1)
	}
	covers[otherCover] = rest
	return append(names, otherCover)
}

// mean predictions of the rows of a branch, with exposures as weights, and for severity
// claims too.
type meanRow struct{ exposure, claims, amount float64 }

func (m meanRow) frequency() float64 { return m.claims / m.exposure }
func (m meanRow) severity() float64  { return m.amount / m.claims }

// meanRows are those by branch; "" is of all rows.
type meanRows map[string]meanRow

// of is a branch's; that of all rows where it has none.
func (m meanRows) of(branch string) meanRow {
	if r, ok := m[branch]; ok {
		return r
	}
	return m[""]
}

// means predicts the rows that frequency was learnt from. They may be a part of the
// book's: levels are of all rows, and how a policy differs from its branch of these.
func (f *fitter) means(frequency, severity score.Model) meanRows {
	t, out := f.frequency, meanRows{}
	row := model.Row{Num: make([]float64, len(t.fields)), Cat: make([]string, len(t.fields))}
	at := slices.IndexFunc(t.fields, func(f model.Field) bool { return f.Name == "branch" })
	add := func(branch string, exposure float64) {
		n := exposure * frequency.Mean(frequency.Score(row, nil))
		a := n * severity.Mean(severity.Score(row, nil))
		for _, name := range [...]string{branch, ""} {
			m := out[name]
			m.exposure, m.claims, m.amount = m.exposure+exposure, m.claims+float64(n), m.amount+float64(a)
			out[name] = m
		}
	}
	for i := range t.n {
		for c, field := range t.fields {
			if field.Kind == model.Numeric {
				row.Num[c] = t.num[c][i]
			} else {
				row.Cat[c] = t.cat[c][i]
			}
		}
		add(row.Cat[at], t.exposure[i])
	}
	if t.n == 0 { // models without a book are constants: any row will do
		for c := range t.fields {
			row.Num[c], row.Cat[c] = math.NaN(), ""
		}
		add("", 1)
	}
	return out
}

// short keeps what is said of a branch readable in the models' file; cents likewise.
func short(v float64) float64 { return math.Round(v*1e4) / 1e4 }
func cents(v float64) float64 { return math.Round(v*100) / 100 }
