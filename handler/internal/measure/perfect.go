package measure

import (
	"math"
	"math/rand/v2"
	"slices"

	"polis/handler/internal/exact"
)

// draws are about how many outcomes are simulated: enough of them that the mean of the
// simulations hardly differs from one seed to another, and a second of work at most.
const (
	draws            = 20_000_000
	fewest, mostRuns = 20, 100
)

// perfect simulates the outcomes that true predictions would have, and measures the ECE of
// each run. nil for families that do not say how amounts are distributed.
func (r *rows) perfect() *Perfect {
	if r.family != Logistic && r.family != Poisson {
		return nil
	}
	runs := max(fewest, min(mostRuns, draws/len(r.order)))
	var differences [tenths][]float64
	for k := range differences {
		differences[k] = make([]float64, runs)
	}
	random := rand.New(rand.NewPCG(1, 1))
	happened := make([]float64, runs)
	at := 0.0
	r.ties(func(from, to int) {
		clear(happened)
		for k := from; k < to; k++ {
			r.family.draw(random, r.at(k), happened)
		}
		s := r.sum(from, to)
		spread(at, at+s.units, r.units, tenths, func(k int, share float64) {
			for i, h := range happened {
				differences[k][i] += float64(share * (h - s.expected))
			}
		})
		at += s.units
	})
	eces := make([]float64, runs)
	mean := 0.0
	for i := range eces {
		eces[i] = r.ece(func(k int) float64 { return differences[k][i] })
		mean += eces[i] / float64(runs)
	}
	slices.Sort(eces)
	return &Perfect{Mean: short(mean), High: short(eces[runs*95/100])}
}

// draw adds an outcome of a row, weighted, to each run.
func (f Family) draw(r *rand.Rand, x row, happened []float64) {
	if f == Logistic {
		for i := range happened {
			if r.Float64() < x.mean {
				happened[i] += x.units
			}
		}
		return
	}
	mean := x.expected() / x.weight
	none := exact.Exp(-mean)
	for i := range happened {
		happened[i] += float64(x.weight * count(r, mean, none))
	}
}

// count draws from a Poisson distribution, of which none is the chance of 0: by inversion, and from the normal curve where
// the mean is large. The curve is a sum of uniform numbers, as the standard library's is
// not the same everywhere.
func count(r *rand.Rand, mean, none float64) float64 {
	if mean > 30 {
		z := -6.0
		for range 12 {
			z += r.Float64()
		}
		return max(0, math.Round(mean+float64(math.Sqrt(mean)*z)))
	}
	n, p := 0.0, none
	for u := r.Float64(); u > p && n < 200; {
		u -= p
		n++
		p = float64(p * (mean / n))
	}
	return n
}
