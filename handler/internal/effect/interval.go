package effect

import "math"

// cell is one stratum: how many there were on either side, and on how many of these what is
// counted came.
type cell struct{ n1, x1, n0, x0 float64 }

// weight is that of Mantel and Haenszel (1959): the more, the more both sides have.
func (c *cell) weight() float64 { return c.n1 * c.n0 / (c.n1 + c.n0) }

// both leaves the strata that have somebody on either side: of the others there is nothing
// to compare.
func both(cells []cell) (out []cell) {
	for _, c := range cells {
		if c.n1 > 0 && c.n0 > 0 {
			out = append(out, c)
		}
	}
	return out
}

// difference is the weighted difference of rates, those of the first side less those of the
// second.
func difference(cells []cell) float64 {
	sum, weights := 0.0, 0.0
	for _, c := range cells {
		w := c.weight()
		weights += w
		sum += float64(w * (c.x1/c.n1 - c.x0/c.n0))
	}
	return sum / weights
}

// interval is the score interval of Miettinen and Nurminen (1985) of the common difference
// of rates over strata: all differences that a test of theirs would not reject. z is the
// normal quantile. It has a width also where nothing came.
func interval(cells []cell, z float64) (low, high float64) {
	d := difference(cells)
	edge := func(outer float64) float64 {
		inside, outside := d, outer
		for range 60 {
			mid := (inside + outside) / 2
			if math.Abs(statistic(cells, mid)) <= z {
				inside = mid
			} else {
				outside = mid
			}
		}
		return inside
	}
	return edge(-1), edge(1)
}

// statistic tells how far the strata are from a difference, in standard errors under it.
func statistic(cells []cell, delta float64) float64 {
	off, variance := 0.0, 0.0
	for _, c := range cells {
		w := c.weight()
		p1, p0 := restricted(&c, delta)
		n := c.n1 + c.n0
		off += float64(w * (c.x1/c.n1 - c.x0/c.n0 - delta))
		correction := 1.0
		if n > 1 {
			correction = n / (n - 1)
		}
		variance += float64(w * w * (float64(p1*(1-p1)/c.n1) + float64(p0*(1-p0)/c.n0)) * correction)
	}
	switch {
	case off == 0:
		return 0
	case variance <= 0:
		return math.Copysign(math.Inf(1), off)
	}
	return off / math.Sqrt(variance)
}

// restricted are the rates of most likelihood among those that differ by delta: the root of
// a cubic in closed form (Miettinen and Nurminen 1985, appendix).
func restricted(c *cell, delta float64) (p1, p0 float64) {
	n := c.n1 + c.n0
	a3 := n
	a2 := (c.n1+2*c.n0)*delta - n - (c.x1 + c.x0)
	a1 := (c.n0*delta-n-2*c.x0)*delta + c.x1 + c.x0
	a0 := c.x0 * delta * (1 - delta)
	q := math.Pow(a2/(3*a3), 3) - a1*a2/(6*a3*a3) + a0/(2*a3)
	p := math.Copysign(math.Sqrt(max(0, math.Pow(a2/(3*a3), 2)-a1/(3*a3))), q)
	if p == 0 {
		p0 = -a2 / (3 * a3)
	} else {
		a := (math.Pi + math.Acos(min(max(q/(p*p*p), -1), 1))) / 3
		p0 = 2*p*math.Cos(a) - a2/(3*a3)
	}
	p0 = min(max(p0, max(0, -delta)), min(1, 1-delta))
	return min(max(p0+delta, 0), 1), p0
}

// detectable is the smallest difference from nothing, in the direction of sign, that a test
// at the level of z would have found with the power of zPower, at the rates of the second
// side; NaN where none would.
func detectable(cells []cell, sign, z, zPower float64) float64 {
	found := func(by float64) bool {
		null, alternative, shift := 0.0, 0.0, 0.0
		for _, c := range cells {
			w := c.weight()
			p0 := (c.x0 + 0.5) / (c.n0 + 1) // Jeffreys: no rate is known to be 0
			p1 := min(max(p0+sign*by, 0), 1)
			p := (float64(c.n1*p1) + float64(c.n0*p0)) / (c.n1 + c.n0) // what the test would take for both
			shift += float64(w * (p1 - p0))
			null += float64(w * w * p * (1 - p) * (1/c.n1 + 1/c.n0))
			alternative += float64(w * w * (float64(p1*(1-p1)/c.n1) + float64(p0*(1-p0)/c.n0)))
		}
		return math.Abs(shift) >= float64(z*math.Sqrt(null))+float64(zPower*math.Sqrt(alternative))
	}
	if len(cells) == 0 || !found(1) {
		return math.NaN()
	}
	low, high := 0.0, 1.0
	for range 50 {
		if mid := (low + high) / 2; found(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// quantile is that of the normal distribution.
func quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
