package backtest

import (
	"hash/fnv"
	"math"

	"polis/handler/internal/measure"
)

// draws is how many times relations are drawn anew for an interval: a standard error from so
// many is itself right within a twentieth. Our choice.
const draws = 200

// normal975 is the normal distribution's quantile that leaves 2.5% on each side.
const normal975 = 1.959963984540054

// Kind says how a figure is written.
type Kind string

// The kinds of figures.
const (
	Count  Kind = "count"  // things counted
	Share  Kind = "share"  // from 0 to 1, or a difference of such
	Ratio  Kind = "ratio"  // actual over expected; 1 is right
	Index  Kind = "index"  // such as an AUC or a Gini
	Amount Kind = "amount" // EUR
)

// Figure is one figure, by year and over all years.
type Figure struct {
	Code  string `json:"figure"`
	Title string `json:"title"`
	Kind  Kind   `json:"kind"`
	// Chance is what it would be of scores that say nothing, where that is a number.
	Chance *float64 `json:"chance,omitempty"`
	// Years are the figure of each year, null where it cannot be known or rests on too
	// little. All is the mean of those that are known. Their intervals are of relations
	// drawn anew, the same ones in all years, since most relations are there in several.
	Years []*measure.Estimate `json:"years"`
	All   *measure.Estimate   `json:"all"`
}

// spec is a figure before it is worked out.
type spec struct {
	code, title string
	kind        Kind
	chance      float64 // NaN where it is no number
	low, high   float64 // bounds of the interval
}

func counted(code, title string) spec {
	return spec{code, title, Count, math.NaN(), 0, math.Inf(1)}
}

func share(code, title string) spec { return spec{code, title, Share, math.NaN(), 0, 1} }

// explained is a share of a deviance or variance; scores may also say less than nothing.
func explained(code, title string) spec { return spec{code, title, Share, 0, math.Inf(-1), 1} }

func overExpected(code, title string) spec {
	return spec{code, title, Ratio, math.NaN(), 0, math.Inf(1)}
}

func amount(code, title string) spec {
	return spec{code, title, Amount, math.NaN(), math.Inf(-1), math.Inf(1)}
}

// judged is what a year's cases say: each figure of its specs, NaN where it is not known,
// with every relation as often as its weight says.
type judged interface {
	at(weights []float64, into []float64)
}

// resample draws relations anew, each as often as a Poisson number of mean 1: the bootstrap
// of Hanley and MacGibbon (2006), which needs no second look at the cases. The number is a
// hash of the relation's key, so that it is the same in every year and in any order.
func resample(keys []string, draw int, weights []float64) {
	for i, key := range keys {
		u := float64(mix(spread(key)+uint64(draw+1)*0x9e3779b97f4a7c15)>>11) / (1 << 53)
		n, p := 0.0, math.Exp(-1)
		for u >= p && n < 20 {
			u -= p
			n++
			p /= n
		}
		weights[i] = n
	}
}

// spread is a number of a key's, as good as drawn.
func spread(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return mix(h.Sum64())
}

// mix is SplitMix64's finaliser (Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// tally adds up what draws made of the figures of one part.
type tally struct {
	specs     []spec
	years     []judged // nil of a year without cases
	value     [][]float64
	sum, sq   [][]float64 // by year, the last one all
	n         [][]float64
	into, all []float64
	known     []float64
}

func newTally(specs []spec, years []judged, relations int) *tally {
	t := &tally{specs: specs, years: years, into: make([]float64, len(specs)), all: make([]float64, len(specs)), known: make([]float64, len(specs))}
	for range len(years) + 1 {
		for _, of := range []*[][]float64{&t.value, &t.sum, &t.sq, &t.n} {
			*of = append(*of, make([]float64, len(specs)))
		}
	}
	ones := make([]float64, relations)
	for i := range ones {
		ones[i] = 1
	}
	t.each(ones, func(year, figure int, v float64) { t.value[year][figure] = v })
	return t
}

// each works out all figures: those of the years, and last their means. A year of which a
// figure is not known has no part in its mean, in any draw.
func (t *tally) each(weights []float64, do func(year, figure int, v float64)) {
	clear(t.all)
	clear(t.known)
	for y, j := range t.years {
		for k := range t.into {
			t.into[k] = math.NaN()
		}
		if j != nil {
			j.at(weights, t.into)
		}
		for k, v := range t.into {
			do(y, k, v)
			if !math.IsNaN(t.value[y][k]) {
				t.all[k] += v
				t.known[k]++
			}
		}
	}
	for k, sum := range t.all {
		if t.specs[k].kind == Count {
			do(len(t.years), k, sum)
		} else {
			do(len(t.years), k, sum/t.known[k]) // NaN of none
		}
	}
}

func (t *tally) draw(weights []float64) {
	t.each(weights, func(y, k int, v float64) {
		if !math.IsNaN(v) {
			t.sum[y][k] += v
			t.sq[y][k] += v * v
			t.n[y][k]++
		}
	})
}

// estimate is a figure with its interval; nil where it is not known, or its interval is not.
func (t *tally) estimate(year, figure int) *measure.Estimate {
	v, s := t.value[year][figure], &t.specs[figure]
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	if s.kind == Count {
		return &measure.Estimate{Value: round(v), Low: round(v), High: round(v)}
	}
	n := t.n[year][figure]
	if n < 0.9*draws { // it hangs on a few relations
		return nil
	}
	mean := t.sum[year][figure] / n
	e := math.Sqrt(max(0, t.sq[year][figure]/n-mean*mean))
	low, high := max(s.low, v-normal975*e), min(s.high, v+normal975*e)
	return &measure.Estimate{Value: round(v), Error: round(e), Low: round(min(low, v)), High: round(max(high, v))}
}

func (t *tally) figures() (out []Figure) {
	for k, s := range t.specs {
		f := Figure{Code: s.code, Title: s.title, Kind: s.kind, All: t.estimate(len(t.years), k)}
		if !math.IsNaN(s.chance) {
			f.Chance = &s.chance
		}
		for y := range t.years {
			f.Years = append(f.Years, t.estimate(y, k))
		}
		out = append(out, f)
	}
	return out
}

// round keeps six decimals: sums in another order differ in their last digits.
func round(v float64) float64 { return math.Round(v*1e6)/1e6 + 0 }
