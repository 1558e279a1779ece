package backtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/measure"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-6*max(1, math.Abs(want))) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func ones(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// keysOf are keys of so many relations.
func keysOf(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprint("r", i))
	}
	return keys
}

// TestByHand: five relations of which it is said 0.1, 0.2, 0.2, 0.4 and 0.6, and the third
// and the last lapse.
func TestByHand(t *testing.T) {
	of := func() []row {
		return []row{
			{relation: 0, mean: 0.6, rate: 1, units: 1},
			{relation: 1, mean: 0.2, rate: 0, units: 1},
			{relation: 2, mean: 0.2, rate: 1, units: 1},
			{relation: 3, mean: 0.4, rate: 0, units: 1},
			{relation: 4, mean: 0.1, rate: 0, units: 1},
		}
	}
	o := newRanked(measure.Logistic, of(), 0, keysOf(5)).weigh(ones(5))
	near(t, "cases", o.cases, 5)
	near(t, "events", o.events, 2)
	near(t, "actual over expected", o.ratio, 2/1.5)
	// Of 2 × 3 pairs the last wins three; the third one, half one, and loses one.
	near(t, "AUC", o.auc, 4.5/6)
	near(t, "Brier score", o.brier, (0.16+0.04+0.64+0.16+0.01)/5)
	near(t, "Brier score of the mean", o.brierMean, 0.4*0.6)
	ours := math.Log(0.6) + math.Log(0.8) + math.Log(0.2) + math.Log(0.6) + math.Log(0.9)
	near(t, "deviance explained", o.explained, 1-ours/(2*math.Log(0.4)+3*math.Log(0.6)))
	near(t, "of all, in the highest tenth", o.top, 0.25) // half of the last one's fifth of the cases
	// Without the last relation, and the third twice.
	o = newRanked(measure.Logistic, of(), 0, keysOf(5)).weigh([]float64{0, 1, 2, 1, 1})
	near(t, "actual over expected of others", o.ratio, 2/(0.2+0.4+0.4+0.1))
	near(t, "AUC of others", o.auc, (1+0.5)/3)

	// Claims over exposure: 2 of 0.5 years at 1 a year, none of 1.5 at 0.2.
	o = newRanked(measure.Poisson, []row{{relation: 0, mean: 1, rate: 4, units: 0.5}, {relation: 1, mean: 0.2, rate: 0, units: 1.5}}, 0, keysOf(2)).weigh(ones(2))
	near(t, "claims over expected", o.ratio, 2/0.8)
	near(t, "Gini of claims", o.gini, 0.75) // all happened in the quarter of the exposure that was ranked highest
	perfect := 2 * (0.5*(4*math.Log(4)-3) + 1.5*0.2)
	near(t, "deviance of claims explained", o.explained, 1-perfect/(2*(2*math.Log(4))))
}

// TestAsMeasureSays: with every relation once, the figures are those of package measure,
// which goes about it in another way.
func TestAsMeasureSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.SampledFrom([]measure.Family{measure.Logistic, measure.Poisson, measure.Tweedie}).Draw(t, "family")
		n := rapid.IntRange(2, 200).Draw(t, "n")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var rows []row
		var mean, actual, units []float64
		for i := range n {
			x := row{relation: int32(i), mean: 0.05 + 0.9*float64(r.IntN(12))/12, units: 0.25 + r.Float64()}
			switch {
			case family == measure.Logistic:
				x.rate = float64(r.IntN(2))
			case r.IntN(3) == 0:
				x.rate = float64(1+r.IntN(3)) / x.units
			}
			rows = append(rows, x)
			mean, actual, units = append(mean, x.mean), append(actual, x.rate*x.units), append(units, x.units)
		}
		trial, err := measure.Try(family, mean, actual, units, nil)
		if err != nil {
			t.Fatal(err)
		}
		ranked := newRanked(family, rows, 0, keysOf(n))
		o := ranked.weigh(ones(n))
		same := func(what string, got float64, want *measure.Estimate) {
			if want != nil && math.Abs(got-want.Value) > 1e-6*max(1, want.Value) {
				t.Fatalf("%s: %v, want %v", what, got, want.Value)
			}
		}
		same("ratio", o.ratio, trial.Ratio)
		same("AUC", o.auc, trial.AUC)
		same("Gini", o.gini, trial.Gini)
		if trial.Constant > 1e-6 && math.Abs(o.explained-trial.Explained()) > 1e-5*max(1, math.Abs(o.explained)) {
			t.Fatalf("explained: %v, want %v", o.explained, trial.Explained())
		}
		for k, want := range trial.Tenths {
			if ranked.shown[k] {
				same(fmt.Sprint("tenth ", k+1), o.tenths[k], want.Ratio)
			}
		}
		near := o.top - trial.Tenths[9].Actual/max(trial.Actual, 1e-9)
		if trial.Actual > 0 && math.Abs(near) > 1e-6 {
			t.Fatalf("highest tenth: off by %v", near)
		}
	})
}

// TestTheOrderOfCasesSaysNothing to the last bit.
func TestTheOrderOfCasesSaysNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	var rows []row
	for i := range 500 {
		rows = append(rows, row{relation: int32(i % 90), group: int16(r.IntN(3)), mean: float64(1+r.IntN(9)) / 10, rate: float64(r.IntN(2)), units: 0.1 + r.Float64()})
	}
	weights := make([]float64, 90)
	resample(keysOf(90), 7, weights)
	first := newRanked(measure.Logistic, slices.Clone(rows), 3, keysOf(90)).weigh(weights)
	for range 5 {
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		if again := newRanked(measure.Logistic, slices.Clone(rows), 3, keysOf(90)).weigh(weights); fmt.Sprint(again) != fmt.Sprint(first) {
			t.Fatalf("%v\n%v", again, first)
		}
	}
}

// TestResample: a relation's number of times is a Poisson one of mean 1, and hangs on its
// key and the draw alone.
func TestResample(t *testing.T) {
	const n = 20_000
	keys, weights := keysOf(n), make([]float64, n)
	resample(keys, 3, weights)
	sum, square, none := 0.0, 0.0, 0.0
	for _, w := range weights {
		sum += w / n
		square += w * w / n
		if w == 0 {
			none += 1.0 / n
		}
	}
	if math.Abs(sum-1) > 0.03 || math.Abs(square-sum*sum-1) > 0.06 || math.Abs(none-math.Exp(-1)) > 0.015 {
		t.Errorf("mean %v, variance %v, never %v", sum, square-sum*sum, none)
	}
	one, other := make([]float64, 1), make([]float64, 1)
	differ := 0
	for i := range 100 {
		resample(keys[i:i+1], 3, one)
		resample(keys[i:i+1], 4, other)
		if one[0] != weights[i] {
			t.Fatal("who else is drawn changes how often a relation is")
		}
		if one[0] != other[0] {
			differ++
		}
	}
	if differ < 40 {
		t.Errorf("of 100 relations %d are drawn otherwise the next time", differ)
	}
}

// mean is the mean of values, one of each relation.
type meanOf []float64

func (m meanOf) at(weights, into []float64) {
	sum, n := 0.0, 0.0
	for i, v := range m {
		sum, n = sum+weights[i]*v, n+weights[i]
	}
	into[0], into[1] = n, sum/n
}

// TestIntervals: the error of a mean is what it should be; over two years that hold the same
// relations it is no smaller, and over two that are independent it is.
func TestIntervals(t *testing.T) {
	const n = 1000
	r := rand.New(rand.NewPCG(9, 9))
	var a, b meanOf
	square := 0.0
	for range n {
		v := r.NormFloat64()
		a, b, square = append(a, v), append(b, r.NormFloat64()), square+v*v
	}
	specs := []spec{counted("n", "N"), amount("mean", "Mean")}
	run := func(years ...judged) []Figure {
		tally, weights := newTally(specs, years, n), make([]float64, n)
		for d := range draws {
			resample(keysOf(n), d, weights)
			tally.draw(weights)
		}
		return tally.figures()
	}
	want := math.Sqrt(square/n) / math.Sqrt(n)
	one := run(a)[1]
	if e := one.Years[0].Error; math.Abs(e/want-1) > 0.2 || math.Abs(one.All.Error-e) > 1e-9 {
		t.Errorf("the error of a mean is %v, want %v", e, want)
	}
	if e := run(a, a)[1].All.Error; math.Abs(e/one.All.Error-1) > 1e-3 {
		t.Errorf("over the same year twice it is %v", e)
	}
	if e := run(a, b)[1].All.Error; math.Abs(e/one.All.Error-math.Sqrt(0.5)) > 0.15 {
		t.Errorf("over two years that have nothing in common it is %v", e)
	}
	figures := run(a, nil)
	if figures[1].Years[1] != nil || *figures[1].All != *one.All {
		t.Errorf("a year without cases: %v, all %v", figures[1].Years[1], figures[1].All)
	}
	if figures[0].All.Value != n || figures[0].All.Low != n {
		t.Errorf("counted: %v", figures[0].All)
	}
}

// TestTooFew events are said to be so, and counted all the same.
func TestTooFew(t *testing.T) {
	of := func(events, others int) []float64 {
		var rows []row
		for i := range events + others {
			rows = append(rows, row{relation: int32(i), mean: float64(1+i%7) / 10, rate: one(i < events), units: 1})
		}
		specs := lapseSpecs
		into := make([]float64, len(specs)+tenths)
		cases{newRanked(measure.Logistic, rows, 0, keysOf(len(rows))), lapsed, len(specs)}.at(ones(len(rows)), into)
		return into
	}
	for _, tc := range []struct {
		events, others int
		shown          bool
	}{{fewEvents, 500, true}, {fewEvents - 1, 500, false}, {500, fewEvents - 1, false}, {500, fewEvents, true}, {0, 3, false}} {
		into := of(tc.events, tc.others)
		if into[0] != float64(tc.events+tc.others) || into[1] != float64(tc.events) {
			t.Errorf("%d events and %d others are counted as %v", tc.events, tc.others, into[:2])
		}
		for k, v := range into[2:len(lapseSpecs)] {
			if math.IsNaN(v) == tc.shown {
				t.Errorf("%d events and %d others: %s is %v", tc.events, tc.others, lapseSpecs[2+k].code, v)
			}
		}
	}
	// A group, or a tenth, of few is not shown either, but that few came of many expected is.
	var rows []row
	add := func(group int16, n, events int, mean float64) {
		for i := range n {
			rows = append(rows, row{relation: int32(len(rows)), group: group, mean: mean, rate: one(i < events), units: 1})
		}
	}
	add(0, 20, 9, 0.2)
	add(1, 20, 10, 0.2)
	add(2, 100, 3, 0.3)
	add(3, 100, 0, 0.3)
	if got := fmt.Sprint(newRanked(measure.Logistic, rows, 4, keysOf(len(rows))).groups); got != "[false true true false]" {
		t.Errorf("groups that are shown: %s", got)
	}
}

// TestHitsByHand: four groups, of which the second likeliest was bought; it is the least
// popular, and stands below the offers that are shown.
func TestHitsByHand(t *testing.T) {
	of := []candidate{
		{group: 0, mean: 0.5, rate: 0.2, servedAt: 1},
		{group: 1, mean: 0.4, rate: 0.1, servedAt: below, bought: true},
		{group: 2, mean: 0.3, rate: 0.3, servedAt: 0},
		{group: 3, mean: 0.2, rate: 0.4, servedAt: 2},
	}
	want := [rankings][len(firsts)]float64{served: {0, 0, 0}, likeliest: {0, 1, 1}, popular: {0, 0, 1}, chance: {0.25, 0.75, 1}}
	if h, ok := hits(of); !ok || h != want {
		t.Errorf("%v, %t, want %v", h, ok, want)
	}
}

// TestHitsOfWhatMayBeOffered: a group that no ranking may offer is in none of them, however
// likely and popular it is, and who bought nothing else is no buyer.
func TestHitsOfWhatMayBeOffered(t *testing.T) {
	of := func(bought bool) []candidate {
		return []candidate{
			{group: 0, mean: 0.9, rate: 0.9, servedAt: notServed, bought: true},
			{group: 1, mean: 0.5, rate: 0.1, servedAt: 0, bought: bought},
			{group: 2, mean: 0.4, rate: 0.2, servedAt: 1},
		}
	}
	want := [rankings][len(firsts)]float64{served: {1, 1, 1}, likeliest: {1, 1, 1}, popular: {0, 1, 1}, chance: {0.5, 1, 1}}
	if h, ok := hits(of(true)); !ok || h != want {
		t.Errorf("%v, %t, want %v", h, ok, want)
	}
	if h, ok := hits(of(false)); ok {
		t.Errorf("nothing that could be offered was bought, and it hits %v", h)
	}
}

// TestChanceOfAHit is what all orders of the groups have in common.
func TestChanceOfAHit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "groups")
		bought := rapid.IntRange(1, n).Draw(t, "bought")
		var of []candidate
		for i := range n {
			of = append(of, candidate{group: i, bought: i < bought})
		}
		h, _ := hits(of)
		for k, first := range firsts {
			hit, all := 0, 0
			for set := range 1 << n { // every choice of the first places
				chosen, any := 0, false
				for i := range n {
					if set>>i&1 == 1 {
						chosen++
						any = any || i < bought
					}
				}
				if chosen == min(first, n) {
					all++
					if any {
						hit++
					}
				}
			}
			if math.Abs(h[chance][k]-float64(hit)/float64(all)) > 1e-12 {
				t.Fatalf("first %d of %d, %d bought: %v, want %d of %d", first, n, bought, h[chance][k], hit, all)
			}
		}
	})
}

// TestValuesByHand: 300 customers in tenths of 30, foretold 0, 10, …, 90. EUR 5 more came
// than was foretold of every one, within the interval save in the lowest tenth.
func TestValuesByHand(t *testing.T) {
	var of []valued
	for i := range 300 {
		v := float64(10 * (i / 30))
		x := valued{relation: int32(i), value: v, came: v + 5, low: v - 10, high: v + 10, place: 0.75, half: i%2 == 0}
		if v == 0 {
			x.high, x.place = 4, 1
		}
		of = append(of, x)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	into := make([]float64, len(valueSpecs)+3*tenths)
	newWorths(of, keysOf(300)).at(ones(300), into)
	variance := 0.0
	for k := range 10 {
		variance += (10*float64(k) - 45) * (10*float64(k) - 45) / 10
	}
	for k, want := range []float64{300, 45, 50, 5, 1 - 25/variance, 0.9, 0, 0.1, 0.5} {
		near(t, valueSpecs[k].code, into[k], want)
	}
	for k := range tenths {
		near(t, fmt.Sprint("what came in tenth ", k+1), into[len(valueSpecs)+k], float64(10*k)+5)
		near(t, fmt.Sprint("held in tenth ", k+1), into[len(valueSpecs)+tenths+k], one(k > 0))
		near(t, fmt.Sprint("PIT ", k+1), into[len(valueSpecs)+2*tenths+k], map[int]float64{7: 0.9, 9: 0.1}[k])
	}
	for k := range into {
		into[k] = math.NaN()
	}
	if newWorths(of[:299], keysOf(300)).at(ones(300), into); into[0] != 299 || !math.IsNaN(into[1]) {
		t.Errorf("few customers: %v", into[:2])
	}
}
