package audit

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"polis/handler/internal/measure"
)

// Kind is what a measure is of.
type Kind struct {
	Engine string `json:"engine"`
	Name   string `json:"name"`
	Unit   string `json:"unit"` // of what is expected and of what came
	// Money is that what came is a sum of EUR: it must come from several relations to be shown.
	Money bool `json:"money,omitempty"`
	// Signed is that sums may be negative: there is a difference a customer and no ratio.
	Signed bool `json:"signed,omitempty"`

	Family measure.Family `json:"-"` // of unsigned ones
}

// Case is what was foretold of a customer, or of a relation, and what came.
type Case struct {
	Relation uint64  // the same of all cases of a relation
	Exposure float64 // years
	Expected float64 // over the exposure
	Actual   float64
	Segment  string
	Band     string // of age
	Region   string
}

// Measure is how an engine did in one respect.
type Measure struct {
	Kind
	All Cell `json:"all"`
	// Explained is the share of the deviance beyond the mean's, of counts and events.
	Explained *float64 `json:"deviance_explained,omitempty"`
	// Gini and AUC say how well cases are told apart, Slope and Intercept whether they are
	// told apart too much (below 1) or too little: the line on the link of Cox (1958).
	Gini      *measure.Estimate `json:"gini,omitempty"`
	AUC       *measure.Estimate `json:"auc,omitempty"`
	Slope     *measure.Estimate `json:"slope,omitempty"`
	Intercept *measure.Estimate `json:"intercept,omitempty"`
	// Tenths are ten equal parts of the exposure, the lowest predictions first; neighbours
	// are put together where one could tell of a single relation.
	Tenths []measure.Tenth `json:"tenths,omitempty"`
	By     []Dimension     `json:"by"`
	// Note says why there is less than there might be.
	Note string `json:"note,omitempty"`
}

// Dimension is the cells of one way to part the book.
type Dimension struct {
	Name  string `json:"name"` // segment, age or region
	Cells []Cell `json:"cells"`
	// Small is how many groups are too small to be shown; what they are together is the
	// last cell, where they are not too small together.
	Small int `json:"too_small,omitempty"`
}

// Cell is a part of the book.
type Cell struct {
	Name      string  `json:"name"`
	Relations int     `json:"relations"`
	Exposure  float64 `json:"exposure"`
	Expected  float64 `json:"expected"`
	Actual    float64 `json:"actual"`
	// Ratio is actual over expected with its 95% interval; nil of signed measures.
	Ratio *measure.Estimate `json:"ratio,omitempty"`
	// Difference is actual less expected a year of exposure, of signed measures.
	Difference *measure.Estimate `json:"difference,omitempty"`
	// Error is the mean absolute difference of a case.
	Error float64 `json:"mean_absolute_error"`
	// Off is that the interval does not hold 1, or 0 of a difference. Of twenty cells one is
	// off by chance; Apart is that it is off by what
	// matters though all that are looked at are counted in: see Settings.Material.
	Off   bool `json:"off,omitempty"`
	Apart bool `json:"apart,omitempty"`
}

// The names of cells that are of no value of their own.
const (
	Together = "small, together"
	Unknown  = "not known"
)

const (
	// leastContributors is how many relations a sum of money must come from, and
	// mostOfOne what share of it one may have: the threshold rule and the (n,k) dominance rule
	// with n of 1 and k of 50 (Hundepool et al. 2012, Statistical Disclosure Control, ch. 4).
	leastContributors = 10
	mostOfOne         = 0.5
	// tooClose is the p of their p% rule: the relation with the second largest amount, who takes
	// its own from the sum, may not come to know the largest to within this share of it. Our
	// choice, of the 10 to 20% that are usual.
	tooClose = 0.1
	// regionsShown is how many regions are shown at most, the largest.
	regionsShown = 25
)

// Band is the name of the band of an age; NaN is not known.
func (s *Settings) Band(age float64) string {
	if math.IsNaN(age) {
		return Unknown
	}
	for i, from := range s.AgeBands {
		if age < float64(from) {
			if i == 0 {
				return "under " + strconv.Itoa(from)
			}
			return fmt.Sprintf("%d to %d", s.AgeBands[i-1], from-1)
		}
	}
	if n := len(s.AgeBands); n > 0 {
		return strconv.Itoa(s.AgeBands[n-1]) + " and over"
	}
	return "all ages"
}

// Measure holds what was foretold to what came, in all and by segment, age and region.
func (s *Settings) Measure(k Kind, cases []Case) Measure {
	m := Measure{Kind: k, By: []Dimension{}}
	if k.Family != measure.Logistic || k.Signed {
		cases = slices.DeleteFunc(slices.Clone(cases), func(c Case) bool { return c.Exposure <= 0 || !k.Signed && c.Expected <= 0 })
	}
	parts := s.part(k, "", cases, func(*Case) string { return "" })
	if len(parts) == 0 || parts[0].small {
		m.Note = fmt.Sprintf("too few to be shown: %d relations at least, and money from %d of them", s.MinimumCell, leastContributors)
		return m
	}
	m.All = parts[0].cell("all")
	varies := parts[0].spread() / parts[0].expected
	if k.Signed {
		varies = parts[0].spread() / parts[0].exposure
	}
	for _, d := range [...]struct {
		name string
		of   func(*Case) string
	}{
		{"segment", func(c *Case) string { return c.Segment }},
		{"age", func(c *Case) string { return c.Band }},
		{"region", func(c *Case) string { return c.Region }},
	} {
		m.By = append(m.By, s.dimension(k, d.name, cases, d.of, varies))
	}
	if !k.Signed {
		s.whole(&m, cases)
	}
	return m
}

// whole tells how cases are told apart, all together.
func (s *Settings) whole(m *Measure, cases []Case) {
	mean, actual, exposure := make([]float64, len(cases)), make([]float64, len(cases)), make([]float64, len(cases))
	for i, c := range cases {
		mean[i], actual[i], exposure[i] = c.Expected/c.Exposure, c.Actual, c.Exposure
	}
	if m.Family == measure.Logistic {
		exposure = nil
	}
	t, err := measure.Try(m.Family, mean, actual, exposure, nil)
	if err != nil {
		m.Note = "how cases are told apart cannot be measured: " + err.Error()
		return
	}
	if m.Money {
		contributors := 0
		for _, c := range cases {
			if c.Actual > 0 {
				contributors++
			}
		}
		if contributors < 10*leastContributors {
			m.Note = fmt.Sprintf("tenths are shown from %d claimants on", 10*leastContributors)
			return
		}
	}
	if len(cases) < 10*s.MinimumCell {
		m.Note = fmt.Sprintf("tenths are shown from %d cases on", 10*s.MinimumCell)
		return
	}
	m.Gini, m.AUC, m.Tenths = t.Gini, t.AUC, s.tenths(m.Kind, cases)
	if len(m.Tenths) < tenths {
		m.Note = "tenths are put together of which a figure could be one relation's"
	}
	if c := t.Calibration; c != nil {
		m.Slope, m.Intercept = &c.Slope, &c.Intercept
	}
	if !m.Money {
		e := places4(t.Explained())
		m.Explained = &e
	}
}

// tenths is how many parts the exposure is parted into.
const tenths = 10

// tenths are the parts of the exposure by what is foretold a year. One that is too small joins
// the next, the last the one before: left out it could be found by taking the others from the
// whole. What one relation has on both sides is then added up anew.
func (s *Settings) tenths(k Kind, cases []Case) []measure.Tenth {
	sorted := slices.Clone(cases)
	slices.SortStableFunc(sorted, func(a, b Case) int {
		return cmp.Or(cmp.Compare(a.Expected/a.Exposure, b.Expected/b.Exposure), cmp.Compare(a.Relation, b.Relation),
			cmp.Compare(a.Exposure, b.Exposure), cmp.Compare(a.Actual, b.Actual))
	})
	all, at := 0.0, 0.0
	for i := range sorted {
		all += sorted[i].Exposure
	}
	for i := range sorted {
		c := &sorted[i]
		c.Band = strconv.Itoa(min(tenths-1, int(tenths*(at+c.Exposure/2)/all)))
		at += c.Exposure
	}
	for {
		parts := s.part(k, "tenth", sorted, func(c *Case) string { return c.Band })
		slices.SortFunc(parts, func(a, b group) int { return cmp.Compare(a.name, b.name) })
		small := slices.IndexFunc(parts, func(g group) bool { return g.small })
		switch {
		case len(parts) < 2:
			return nil
		case small < 0:
			out := make([]measure.Tenth, len(parts))
			for i := range parts {
				c := parts[i].cell("")
				out[i] = measure.Tenth{Exposure: c.Exposure, Expected: c.Expected, Actual: c.Actual, Ratio: c.Ratio}
			}
			return out
		}
		from, to := parts[small].name, parts[max(0, small-1)].name
		if small+1 < len(parts) {
			to = parts[small+1].name
		}
		for i := range sorted {
			if sorted[i].Band == from {
				sorted[i].Band = to
			}
		}
	}
}

// sums are what a cell adds up to.
type sums struct {
	relations                         int
	cases                             int
	exposure, expected, actual, error float64
	aa, ae, ee, at, et, tt            float64 // of relations' sums: actual, expected, exposure
	contributors                      int
	largest, second, absolute         float64
}

// add adds a relation's part.
func (t *sums) add(exposure, expected, actual float64) {
	t.relations++
	t.exposure, t.expected, t.actual = t.exposure+exposure, t.expected+expected, t.actual+actual
	t.aa, t.ae, t.ee = t.aa+actual*actual, t.ae+actual*expected, t.ee+expected*expected
	t.at, t.et, t.tt = t.at+actual*exposure, t.et+expected*exposure, t.tt+exposure*exposure
	if actual != 0 {
		t.contributors++
	}
	one := math.Abs(actual)
	t.largest, t.second, t.absolute = max(t.largest, one), max(t.second, min(t.largest, one)), t.absolute+one
}

// join adds another cell's sums.
func (t *sums) join(o *sums) {
	t.relations, t.cases, t.contributors = t.relations+o.relations, t.cases+o.cases, t.contributors+o.contributors
	t.exposure, t.expected, t.actual, t.error = t.exposure+o.exposure, t.expected+o.expected, t.actual+o.actual, t.error+o.error
	t.aa, t.ae, t.ee = t.aa+o.aa, t.ae+o.ae, t.ee+o.ee
	t.at, t.et, t.tt = t.at+o.at, t.et+o.et, t.tt+o.tt
	t.largest, t.second = max(t.largest, o.largest), max(t.second, o.second, min(t.largest, o.largest))
	t.absolute += o.absolute
}

// group is a cell under way.
type group struct {
	sums
	name  string
	kind  Kind
	small bool
	// varies is how much what comes varies in the whole book, squared, for each unit that is
	// expected, of signed measures for each year: a cell in which nothing large happened to
	// come is no surer for it.
	varies float64
}

// tooSmall reports whether a figure of the cell could be one person's.
func (s *Settings) tooSmall(k Kind, t *sums) bool {
	if t.relations < s.MinimumCell {
		return true
	}
	return k.Money && (t.contributors < leastContributors || t.largest > mostOfOne*t.absolute ||
		t.absolute-t.largest-t.second < tooClose*t.largest)
}

// part parts cases by name, the cell with the most relations first.
func (s *Settings) part(k Kind, dimension string, cases []Case, of func(*Case) string) []group {
	order := make([]int, len(cases))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &cases[a], &cases[b]
		return cmp.Or(cmp.Compare(of(x), of(y)), cmp.Compare(x.Relation, y.Relation),
			cmp.Compare(x.Expected, y.Expected), cmp.Compare(x.Actual, y.Actual), cmp.Compare(x.Exposure, y.Exposure))
	})
	var out []group
	for i := 0; i < len(order); {
		first := &cases[order[i]]
		name := of(first)
		if len(out) == 0 || out[len(out)-1].name != name {
			out = append(out, group{name: name, kind: k})
		}
		g := &out[len(out)-1]
		exposure, expected, actual := 0.0, 0.0, 0.0
		for ; i < len(order); i++ {
			c := &cases[order[i]]
			if of(c) != name || c.Relation != first.Relation {
				break
			}
			exposure, expected, actual = exposure+c.Exposure, expected+c.Expected, actual+c.Actual
			g.error += math.Abs(c.Actual - c.Expected)
			g.cases++
		}
		g.add(exposure, expected, actual)
	}
	for i := range out {
		out[i].small = s.tooSmall(k, &out[i].sums)
		if out[i].name == "" && dimension != "" {
			out[i].name = Unknown
		}
	}
	slices.SortStableFunc(out, func(a, b group) int { return cmp.Compare(b.relations, a.relations) })
	return out
}

// dimension shows the cells that may be shown. What is left out is never so little that it
// could be found by taking the others from the whole: the smallest join it until it is not.
func (s *Settings) dimension(k Kind, name string, cases []Case, of func(*Case) string, varies float64) Dimension {
	d := Dimension{Name: name, Cells: []Cell{}}
	parts := s.part(k, name, cases, of)
	var shown []group
	rest := group{kind: k, varies: varies}
	for i := range parts {
		parts[i].varies = varies
		if parts[i].small || name == "region" && len(shown) >= regionsShown {
			rest.join(&parts[i].sums)
			d.Small++
			continue
		}
		shown = append(shown, parts[i])
	}
	for d.Small > 0 && s.tooSmall(k, &rest.sums) && len(shown) > 0 {
		last := &shown[len(shown)-1]
		rest.join(&last.sums)
		d.Small++
		shown = shown[:len(shown)-1]
	}
	for i := range shown {
		d.Cells = append(d.Cells, shown[i].cell(shown[i].name))
	}
	if name == "age" {
		slices.SortStableFunc(d.Cells, func(a, b Cell) int { return cmp.Compare(ageOrder(a.Name), ageOrder(b.Name)) })
	}
	if d.Small > 0 && !s.tooSmall(k, &rest.sums) {
		d.Cells = append(d.Cells, rest.cell(Together))
	}
	return d
}

// ageOrder puts bands in their order, and what is not known last.
func ageOrder(name string) int {
	n := 0
	if _, err := fmt.Sscanf(name, "under %d", &n); err == nil {
		return 0
	}
	if _, err := fmt.Sscanf(name, "%d", &n); err == nil {
		return n
	}
	return math.MaxInt
}

// z975 is the normal quantile of a 95% interval.
var z975 = normal(0.975)

// cell is what is shown of a group.
func (g *group) cell(name string) Cell {
	c := Cell{
		Name: name, Relations: g.relations, Exposure: digits(g.exposure), Expected: digits(g.expected), Actual: digits(g.actual),
		Error: digits(g.error / float64(max(1, g.cases))),
	}
	if g.kind.Signed {
		c.Difference = g.difference(z975)
		c.Off = c.Difference != nil && !c.Difference.Has(0)
		return c
	}
	c.Ratio = g.ratio(z975)
	c.Off = c.Ratio != nil && !c.Ratio.Has(1)
	return c
}

// ratio is actual over expected. Its interval is Byar's for a Poisson count (Rothman and
// Boice 1979), of as many events as would vary as much as these do from relation to
// relation: what comes in clusters, or in unequal amounts, counts for fewer. Of no event
// the upper end is the exact one.
func (g *group) ratio(z float64) *measure.Estimate {
	if !(g.expected > 0) {
		return nil
	}
	if g.actual <= 0 {
		if g.kind.Money {
			return nil // how large a claim would have been is not known
		}
		return &measure.Estimate{Error: digits(1 / g.expected), High: digits(noneBelow(z) / g.expected)}
	}
	ratio, spread := g.actual/g.expected, max(g.spread(), g.varies*g.expected)
	if !g.kind.Money && g.kind.Family != measure.Logistic {
		spread = max(spread, g.actual) // counts vary as Poisson's at least
	}
	if !(spread > 0) {
		return nil
	}
	events := g.actual * g.actual / spread
	low := 1 - 1/(9*events) - z/(3*math.Sqrt(events))
	high := 1 - 1/(9*(events+1)) + z/(3*math.Sqrt(events+1))
	return &measure.Estimate{
		Value: digits(ratio), Error: digits(math.Sqrt(spread) / g.expected),
		Low: digits(ratio * math.Pow(max(0, low), 3)), High: digits(ratio * (events + 1) / events * math.Pow(high, 3)),
	}
}

// spread is the variance of what came about what was expected, at the group's level, from
// relation to relation.
func (g *group) spread() float64 {
	if g.kind.Signed {
		d := (g.actual - g.expected) / g.exposure
		return max(0, g.aa-2*g.ae+g.ee-2*d*(g.at-g.et)+d*d*g.tt)
	}
	ratio := g.actual / g.expected
	return max(0, g.aa-2*ratio*g.ae+ratio*ratio*g.ee)
}

// difference is actual less expected a year, as a ratio of sums over relations (Cochran
// 1977, ch. 6).
func (g *group) difference(z float64) *measure.Estimate {
	if !(g.exposure > 0) || g.relations < 2 {
		return nil
	}
	d := (g.actual - g.expected) / g.exposure
	squares := max(g.spread(), g.varies*g.exposure)
	e := math.Sqrt(squares*float64(g.relations)/float64(g.relations-1)) / g.exposure
	return &measure.Estimate{Value: digits(d), Error: digits(e), Low: digits(d - z*e), High: digits(d + z*e)}
}

// noneBelow is the mean of a Poisson count that is none with the probability beyond z.
func noneBelow(z float64) float64 { return -math.Log(math.Erfc(z/math.Sqrt2) / 2) }

// digits keeps six, so that a report stays readable.
func digits(v float64) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	if err != nil {
		return v
	}
	return f + 0 // not -0
}

// material reports whether what came differs from what was foretold by a share that matters.
func (s *Settings) material(c *Cell) bool {
	return math.Abs(c.Actual-c.Expected) >= s.Material*math.Abs(c.Expected)
}

// Apart marks the cells that are off by what matters, though all cells of all measures are
// counted in (Bonferroni), and says how many there are.
func (s *Settings) Apart(of []Measure) int {
	cells := 0
	for i := range of {
		for _, d := range of[i].By {
			cells += len(d.Cells)
		}
	}
	if cells == 0 {
		return 0
	}
	wide := normal(1-s.FalseAlarm/float64(2*cells)) / z975
	n := 0
	for i := range of {
		for _, d := range of[i].By {
			for k := range d.Cells {
				c := &d.Cells[k]
				c.Apart = s.material(c) && (apart(c.Ratio, 1, wide) || apart(c.Difference, 0, wide))
				if c.Apart {
					n++
				}
			}
		}
	}
	return n
}

// apart reports whether an interval that is so much wider does not hold v. An interval of a
// ratio is widened on the log.
func apart(e *measure.Estimate, v, wide float64) bool {
	if e == nil || e.Has(v) {
		return false
	}
	if v == 0 {
		return math.Abs(e.Value) > wide*(e.High-e.Low)/2
	}
	if e.Value <= 0 {
		return e.High*noneBelow(z975*wide)/noneBelow(z975) < v
	}
	if e.High < v {
		return e.Value*math.Pow(e.High/e.Value, wide) < v
	}
	return e.Low > 0 && e.Value*math.Pow(e.Low/e.Value, wide) > v
}
