// Package develop takes claims from what is known of them to what they will come to: the
// chain ladder, by volume-weighted age-to-age factors, with the standard errors of Mack,
// "Distribution-free calculation of the standard error of chain ladder reserve estimates",
// ASTIN Bulletin 23 (1993). A branch that has too few claims for factors of its own takes
// them from all branches by credibility: Gisler and Wüthrich, "Credibility for the chain
// ladder reserving method", ASTIN Bulletin 38 (2008).
package develop

import (
	"math"

	"polis/handler/internal/credibility"
)

// Triangle is cumulative amounts by period of loss, the oldest first, and by age in
// periods: row i has what was known at the ends of age 0, 1 and so on, as far as they
// have passed.
type Triangle [][]float64

// volume is the sum at age k over the rows that reached k+1, and what it became.
func (t Triangle) volume(k int) (from, to float64) {
	for _, row := range t {
		if k+1 < len(row) {
			from += row[k]
			to += row[k+1]
		}
	}
	return from, to
}

// ages is the length of the longest row.
func (t Triangle) ages() int {
	n := 0
	for _, row := range t {
		n = max(n, len(row))
	}
	return n
}

// Latest is what is known of all rows now.
func (t Triangle) Latest() float64 {
	sum := 0.0
	for _, row := range t {
		if len(row) > 0 {
			sum += row[len(row)-1]
		}
	}
	return sum
}

// Pattern is how claims develop.
type Pattern struct {
	// Factors are the age-to-age factors: Factors[k] takes an amount from age k to k+1.
	// They may be below 1: reserves prove too high, and recoveries come late.
	Factors []float64
	// Variance is Mack's σ² of each factor: what one unit of amount adds to the variance
	// of the factor's numerator, in units of amount.
	Variance []float64
	Tail     float64 // from the last age to the ultimate; stated, not estimated

	volume []float64 // what each factor is known from, in amounts: its error is Variance/volume
}

// Fit finds the pattern of a triangle by itself. A factor of which nothing is known, and
// one that would take an amount to nothing or less, is 1.
func Fit(t Triangle, tail float64) Pattern {
	p := newPattern(t.ages(), tail)
	for k := range p.Factors {
		from, to := t.volume(k)
		if from <= 0 || to <= 0 {
			continue
		}
		f := to / from
		sum, n := 0.0, 0
		for _, row := range t {
			if k+1 < len(row) && row[k] > 0 {
				d := row[k+1]/row[k] - f
				sum += float64(row[k] * float64(d*d))
				n++
			}
		}
		p.Factors[k], p.volume[k] = f, from
		if n > 1 {
			p.Variance[k] = sum / float64(n-1)
		} else {
			p.Variance[k] = extrapolated(p.Variance[:k])
		}
	}
	return p
}

// extrapolated is the variance of a factor that was seen once, from those before it: Mack's
// own rule, that they fall off exponentially.
func extrapolated(before []float64) float64 {
	n := len(before)
	if n < 2 || before[n-2] <= 0 {
		return 0
	}
	a, b := before[n-2], before[n-1]
	return min(float64(b*b/a), a, b)
}

func newPattern(ages int, tail float64) Pattern {
	n := max(0, ages-1)
	p := Pattern{Factors: make([]float64, n), Variance: make([]float64, n), volume: make([]float64, n), Tail: tail}
	for k := range p.Factors {
		p.Factors[k] = 1
	}
	return p
}

// Credible finds the pattern of each triangle with credibility towards all of them: each
// factor by itself is a case for Bühlmann and Straub, with the amounts before it as
// weights. Units are the amounts of one claim, by triangle, so that weights are in claims;
// k is the constant, in claims, where the triangles cannot say it. A unit of 0 says that
// there are no claims.
func Credible(triangles []Triangle, units []float64, k, tail float64) []Pattern {
	ages := 0
	for _, t := range triangles {
		ages = max(ages, t.ages())
	}
	out := make([]Pattern, len(triangles))
	for i := range out {
		out[i] = newPattern(ages, tail)
	}
	classes := make([]credibility.Class, len(triangles))
	var within []float64 // per claim, by age
	for age := range max(0, ages-1) {
		for i, t := range triangles {
			classes[i] = credibility.Class{}
			from, to := t.volume(age)
			if from <= 0 || to <= 0 || units[i] <= 0 {
				continue
			}
			for _, row := range t {
				if age+1 < len(row) {
					classes[i].Add(max(0, row[age])/units[i], row[age+1]/units[i])
				}
			}
		}
		s := credibility.Estimate(classes, k)
		if within = append(within, s.Within); s.Within == 0 {
			within[age] = extrapolated(within[:age])
		}
		for i := range out {
			p, c := &out[i], &classes[i]
			f := s.Ratio(c)
			if f <= 0 {
				continue // nobody knows
			}
			p.Factors[age] = f
			p.Variance[age] = within[age] * units[i]
			p.volume[age] = s.Known(c.Weight()) * units[i]
		}
	}
	return out
}

// Ultimate is the factor that takes an amount of an age to the ultimate. The age of losses
// of the period that ends now is 0.
func (p *Pattern) Ultimate(age int) float64 {
	f := p.Tail
	for k := len(p.Factors) - 1; k >= max(0, age); k-- {
		f = float64(f * p.Factors[k])
	}
	return f
}

// Projection is what a triangle will come to.
type Projection struct {
	Latest   float64 // as known now
	Ultimate float64
	// Error is the standard error of Ultimate: of the claims' own chance and of what is
	// not known of the factors. Mack's formula; of the tail there is none.
	Error float64
	Rows  []Row
}

// Row is one period of loss.
type Row struct{ Latest, Ultimate, Error float64 }

// Project takes the rows from…to of a triangle to the ultimate.
func (p *Pattern) Project(t Triangle, from, to int) Projection {
	var out Projection
	square := 0.0
	later := 0.0 // ultimates of younger rows
	for i := min(to, len(t)) - 1; i >= from; i-- {
		row := t[i]
		if len(row) == 0 {
			continue
		}
		age := len(row) - 1
		r := Row{Latest: row[age]}
		amount, own, common := r.Latest, 0.0, 0.0
		for k := age; k < len(p.Factors); k++ {
			share := p.Variance[k] / float64(p.Factors[k]*p.Factors[k])
			if amount > 0 {
				own += share / amount
			}
			if p.volume[k] > 0 {
				common += share / p.volume[k]
			}
			amount = float64(amount * p.Factors[k])
		}
		r.Ultimate = float64(amount * p.Tail)
		mse := float64(r.Ultimate * r.Ultimate * (own + common))
		r.Error = math.Sqrt(mse)
		// Rows share the factors that they have yet to go through, and their error.
		square += mse + float64(2*r.Ultimate*later*common)
		later += r.Ultimate
		out.Latest += r.Latest
		out.Ultimate += r.Ultimate
		out.Rows = append(out.Rows, r)
	}
	for i, j := 0, len(out.Rows)-1; i < j; i, j = i+1, j-1 {
		out.Rows[i], out.Rows[j] = out.Rows[j], out.Rows[i]
	}
	out.Error = math.Sqrt(max(0, square))
	return out
}
