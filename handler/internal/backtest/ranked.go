package backtest

import (
	"cmp"
	"math"
	"slices"

	"polis/handler/internal/measure"
)

// row is a case: what was said of it and what came, each per unit.
type row struct {
	relation   int32
	group      int16 // branch or product group
	mean, rate float64
	units      float64
	base       float64 // what would be said of it without a model; 0: the mean of all
	// Of losses: what is expected when all is settled, and what is known of it by now.
	ultimate, known float64
}

// ranked are cases in the order of what was said of them, the lowest first.
type ranked struct {
	family measure.Family
	rows   []row
	ends   []int32     // where each stretch of equal predictions ends
	places [][]partial // by stretch: the tenths that it lies in
	off    []float64   // deviance of each row, per unit
	based  []float64   // likewise of what would be said without a model; nil: the mean of all
	term   []float64   // what of a row's deviance does not depend on the prediction
	events int         // cases to which something happened
	shown  []bool      // of the tenths, whether there is enough in it to show
	groups []bool      // likewise of the groups
}

type partial struct {
	tenth int
	share float64
}

const tenths = 10

// Figures of few events are noise, and are not shown: with 30 of each kind an AUC has a
// standard error of 0.05 to 0.08. A tenth or a group shows actual over expected from 10
// events on, whose Poisson error is a third. Our choice.
const (
	fewEvents  = 30
	fewInGroup = 10
)

func newRanked(family measure.Family, rows []row, groups int, keys []string) *ranked {
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.mean, b.mean), cmp.Compare(a.rate, b.rate), cmp.Compare(a.units, b.units), cmp.Compare(keys[a.relation], keys[b.relation]), cmp.Compare(a.group, b.group))
	})
	r := &ranked{family: family, rows: rows, shown: make([]bool, tenths), groups: make([]bool, groups)}
	total := 0.0
	for i := range rows {
		x := &rows[i]
		total += x.units
		if x.rate > 0 {
			r.events++
		}
		r.off, r.term = append(r.off, deviance(family, x.rate, x.mean)), append(r.term, constantTerm(family, x.rate))
		if x.base > 0 {
			r.based = append(r.based, deviance(family, x.rate, x.base))
		}
	}
	at := 0.0
	for from := 0; from < len(rows); {
		to, units := from, 0.0
		for ; to < len(rows) && rows[to].mean == rows[from].mean; to++ {
			units += rows[to].units
		}
		r.ends, r.places = append(r.ends, int32(to)), append(r.places, places(at, at+units, total))
		at += units
		from = to
	}
	r.enough()
	return r
}

// few reports whether there is too little to say anything: of events, or of cases without.
func (r *ranked) few() bool {
	return r.events < fewEvents || r.family == measure.Logistic && len(r.rows)-r.events < fewEvents
}

// enough finds the tenths and groups that hold enough: events, or, since that few came of
// many that were expected is worth knowing, expected ones.
func (r *ranked) enough() {
	type sums struct{ expected, events float64 }
	in, of := make([]sums, tenths), make([]sums, len(r.groups))
	from := 0
	for s, end := range r.ends {
		for _, x := range r.rows[from:end] {
			expected, events := x.units*x.mean, 0.0
			if x.rate > 0 {
				events = 1
			}
			if r.family == measure.Tweedie { // euros are no events
				expected = 0
			}
			for _, p := range r.places[s] {
				in[p.tenth].expected += p.share * expected
				in[p.tenth].events += p.share * events
			}
			if len(of) > 0 {
				of[x.group].expected += expected
				of[x.group].events += events
			}
		}
		from = int(end)
	}
	mark := func(of []sums, shown []bool) {
		for k, s := range of {
			shown[k] = s.events > 0 && max(s.events, s.expected) >= fewInGroup
		}
	}
	mark(in, r.shown)
	mark(of, r.groups)
}

// places are the tenths of total that a stretch from a to b lies in, with its share in each.
func places(a, b, total float64) (out []partial) {
	width := total / tenths
	for k := min(int(a/width), tenths-1); k < tenths; k++ {
		low, high := max(a, float64(k)*width), min(b, float64(k+1)*width)
		if k == tenths-1 {
			high = b
		}
		if high > low {
			out = append(out, partial{k, (high - low) / (b - a)})
		}
	}
	return out
}

// deviance is the unit deviance of an outcome (McCullagh and Nelder 1989): of a share,
// a count, or, with the power 1.5, an amount.
func deviance(f measure.Family, y, m float64) float64 {
	switch f {
	case measure.Logistic:
		m = min(max(m, 1e-9), 1-1e-9)
		return -2 * (float64(y*math.Log(m)) + float64((1-y)*math.Log(1-m)))
	case measure.Poisson:
		return constantTerm(f, y) - 2*float64(y*math.Log(m)) - 2*(y-m)
	default:
		root := math.Sqrt(m)
		return constantTerm(f, y) + 4*(y/root+root)
	}
}

// constantTerm is what of it does not depend on the mean.
func constantTerm(f measure.Family, y float64) float64 {
	switch {
	case f == measure.Poisson && y > 0:
		return 2 * float64(y*math.Log(y))
	case f == measure.Tweedie:
		return -8 * math.Sqrt(y)
	}
	return 0
}

// outcome is what cases say with weights.
type outcome struct {
	cases, events                float64
	units, expected, actual      float64
	ratio, known, auc, gini, top float64
	explained                    float64
	brier, brierMean             float64
	tenths, groups               []float64 // actual over expected; NaN where that rests on too little
}

// weigh works everything out in one pass.
func (r *ranked) weigh(weights []float64) (o outcome) {
	type sums struct{ expected, actual float64 }
	var off, based, term, squares, pairsY, pairsU, ultimate, known float64
	var in [tenths]sums
	groups := make([]sums, len(r.groups))
	from := 0
	for s, end := range r.ends {
		var units, expected, actual float64
		for i := from; i < int(end); i++ {
			x := &r.rows[i]
			u := weights[x.relation] * x.units
			e, a := u*x.mean, u*x.rate
			units, expected, actual = units+u, expected+e, actual+a
			off += u * r.off[i]
			term += u * r.term[i]
			if r.based != nil {
				based += u * r.based[i]
			}
			squares += u * (x.rate - x.mean) * (x.rate - x.mean)
			ultimate, known = ultimate+u*x.ultimate, known+u*x.known
			o.cases += weights[x.relation]
			if x.rate > 0 {
				o.events += weights[x.relation]
			}
			if len(groups) > 0 {
				g := &groups[x.group]
				g.expected, g.actual = g.expected+e, g.actual+a
			}
		}
		// Pairs of a unit of what happened and one of what did not, or for the Gini of the
		// exposure, of which the first was ranked higher; equal ones count half.
		pairsY += actual * (o.units - o.actual + (units-actual)/2)
		pairsU += actual * (o.units + units/2)
		o.units, o.expected, o.actual = o.units+units, o.expected+expected, o.actual+actual
		for _, p := range r.places[s] {
			t := &in[p.tenth]
			t.expected, t.actual = t.expected+p.share*expected, t.actual+p.share*actual
		}
		from = int(end)
	}
	mean := o.actual / o.units
	o.ratio, o.known = o.actual/o.expected, known/ultimate
	o.auc = pairsY / (o.actual * (o.units - o.actual))
	o.gini = 2*pairsU/(o.actual*o.units) - 1
	o.top = in[tenths-1].actual / o.actual
	o.brier, o.brierMean = squares/o.units, mean*(1-mean)
	constant := based
	if r.based == nil {
		constant = r.constant(o.units, o.actual, mean, term)
	}
	o.explained = 1 - off/constant
	over := func(of []sums, shown []bool) (out []float64) {
		for k, s := range of {
			v := math.NaN()
			if shown[k] {
				v = s.actual / s.expected
			}
			out = append(out, v)
		}
		return out
	}
	o.tenths, o.groups = over(in[:], r.shown), over(groups, r.groups)
	return o
}

// constant is the deviance of the mean of all.
func (r *ranked) constant(units, actual, mean, term float64) float64 {
	switch r.family {
	case measure.Logistic:
		return -2 * (actual*math.Log(mean) + (units-actual)*math.Log(1-mean))
	case measure.Poisson:
		return term - 2*actual*math.Log(mean)
	default:
		return term + 4*(actual/math.Sqrt(mean)+units*math.Sqrt(mean))
	}
}
