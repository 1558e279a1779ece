package backtest

import (
	"cmp"
	"math"
	"slices"

	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// valued is a customer with its value over the months that can be looked back on, and what
// it brought in them, EUR.
type valued struct {
	relation    int32
	value, came float64
	place       float64 // of what came among what was drawn
	low, high   float64
	half        bool // the central half of what was drawn holds what came
}

// value scores a member over the window, and notes its margin. Of one with a policy whose
// premium was not known there is none.
func (y *year) value(key int32, member int, in feature.Input) {
	if y.churn.Status != score.Scored || unknown(in.View) {
		return
	}
	y.reader.Policies(in)
	y.e.clv.Score(in, &y.risk, y.reader.Care().Contacts, y.e.demand.Of(in.Group, in.View), &y.worth)
	if y.worth.Status != score.Scored {
		return
	}
	came := y.e.models.Settings.Clv.Realise(y.later.refs[member], y.AsOf, y.Months)
	y.values = append(y.values, valued{
		relation: key, value: y.worth.Value, came: came, place: y.e.clv.Place(came),
		low: y.worth.Realisable.Low, high: y.worth.Realisable.High, half: y.worth.Half.Holds(came),
	})
}

func unknown(v *portfolio.View) bool {
	return slices.ContainsFunc(v.Policies, func(p portfolio.PolicyView) bool { return p.InForce(v.AsOf) && p.CurrentOnly })
}

// valueSpecs are the figures of values, in their order; those of the tenths come after them.
var valueSpecs = []spec{
	counted("cases", "Customers"),
	amount("foretold", "Foretold, EUR a customer"),
	amount("came", "Came, EUR a customer"),
	{"more", "Came less foretold, EUR", Amount, notKnown, math.Inf(-1), math.Inf(1)},
	explained("explained", "Variance explained"),
	share("coverage", "Held by the prediction interval"),
	share("below", "Below it"),
	share("above", "Above it"),
	share("half", "Held by the central half"),
}

// worths are a year's values, the lowest first. Their figures are those of valueSpecs, then
// of each tenth by value what came and what was held, and the ten shares of the PIT.
type worths []valued

func newWorths(of []valued, keys []string) worths {
	slices.SortFunc(of, func(a, b valued) int {
		return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.came, b.came), cmp.Compare(keys[a.relation], keys[b.relation]))
	})
	return of
}

func (v worths) few() bool { return len(v) < 10*fewEvents } // 30 in a tenth

// tenth is the k-th by value.
func (v worths) tenth(k int) worths { return v[k*len(v)/tenths : (k+1)*len(v)/tenths] }

func (v worths) at(weights, into []float64) {
	n := 0.0
	for i := range v {
		n += weights[v[i].relation]
	}
	if into[0] = n; v.few() {
		return
	}
	into = into[1:]
	var foretold, came, square, off, held, below, above, half float64
	var pit [tenths]float64
	for k := range tenths {
		of, in, here := 0.0, 0.0, 0.0
		for i := range v.tenth(k) {
			x := &v.tenth(k)[i]
			w := weights[x.relation]
			foretold += w * x.value
			came += w * x.came
			square += w * x.came * x.came
			off += w * (x.came - x.value) * (x.came - x.value)
			of, here = of+w, here+w*x.came
			switch {
			case x.came < x.low:
				below += w
			case x.came > x.high:
				above += w
			default:
				in += w
			}
			if x.half {
				half += w
			}
			pit[min(int(x.place*tenths), tenths-1)] += w
		}
		held += in
		into[len(valueSpecs)-1+k], into[len(valueSpecs)-1+tenths+k] = here/of, in/of
	}
	for k, w := range pit {
		into[len(valueSpecs)-1+2*tenths+k] = w / n
	}
	copy(into, []float64{foretold / n, came / n, (came - foretold) / n, 1 - off/(square-came*came/n), held / n, below / n, above / n, half / n})
}
