package effect

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestInterval holds intervals to those that Newcombe (1998, table II) has of Miettinen and
// Nurminen's method.
func TestInterval(t *testing.T) {
	for _, tc := range []struct{ x1, n1, x0, n0, low, high float64 }{
		{56, 70, 48, 80, 0.0528, 0.3382},
		{9, 10, 3, 10, 0.1700, 0.8406},
		{5, 56, 0, 29, -0.0326, 0.1933},
		{0, 10, 0, 20, -0.1658, 0.2844},
		{0, 10, 0, 10, -0.2879, 0.2879},
		{10, 10, 0, 20, 0.7156, 1},
		{10, 10, 0, 10, 0.6636, 1},
	} {
		low, high := interval([]cell{{tc.n1, tc.x1, tc.n0, tc.x0}}, 1.959964)
		if math.Abs(low-tc.low) > 6e-5 || math.Abs(high-tc.high) > 6e-5 {
			t.Errorf("%v of %v and %v of %v: %.4f to %.4f, published is %.4f to %.4f", tc.x1, tc.n1, tc.x0, tc.n0, low, high, tc.low, tc.high)
		}
	}
}

// TestRestricted holds the closed form to the likelihood: no other pair of rates with the
// difference is likelier.
func TestRestricted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cell{n1: float64(rapid.IntRange(1, 50).Draw(t, "n1")), n0: float64(rapid.IntRange(1, 50).Draw(t, "n0"))}
		c.x1, c.x0 = float64(rapid.IntRange(0, int(c.n1)).Draw(t, "x1")), float64(rapid.IntRange(0, int(c.n0)).Draw(t, "x0"))
		delta := rapid.Float64Range(-0.99, 0.99).Draw(t, "delta")
		p1, p0 := restricted(&c, delta)
		if math.Abs(p1-p0-delta) > 1e-9 || p1 < 0 || p1 > 1 || p0 < 0 || p0 > 1 {
			t.Fatalf("rates %v and %v for a difference of %v", p1, p0, delta)
		}
		likely := func(p0 float64) float64 {
			term := func(x, p float64) float64 {
				if x == 0 {
					return 0
				}
				return x * math.Log(p)
			}
			p1 := p0 + delta
			return term(c.x1, p1) + term(c.n1-c.x1, 1-p1) + term(c.x0, p0) + term(c.n0-c.x0, 1-p0)
		}
		best, from, to := likely(p0), max(0, -delta), min(1, 1-delta)
		for k := range 50 {
			if other := likely(from + (to-from)*(float64(k)+0.5)/50); other > best+1e-6 {
				t.Fatalf("%v is likelier than %v", other, best)
			}
		}
	})
}

// TestIntervalHolds: the interval has the estimate in it, and mirrors with the sides.
func TestIntervalHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var cells, other []cell
		for range rapid.IntRange(1, 4).Draw(t, "strata") {
			c := cell{n1: float64(rapid.IntRange(1, 200).Draw(t, "n1")), n0: float64(rapid.IntRange(1, 200).Draw(t, "n0"))}
			c.x1, c.x0 = float64(rapid.IntRange(0, int(c.n1)).Draw(t, "x1")), float64(rapid.IntRange(0, int(c.n0)).Draw(t, "x0"))
			cells, other = append(cells, c), append(other, cell{c.n0, c.x0, c.n1, c.x1})
		}
		d := difference(cells)
		low, high := interval(cells, 1.96)
		if !(low <= d && d <= high) || low < -1 || high > 1 || high-low <= 0 {
			t.Fatalf("%v to %v around %v", low, high, d)
		}
		if l, h := interval(other, 1.96); math.Abs(l+high) > 1e-9 || math.Abs(h+low) > 1e-9 {
			t.Fatalf("the other way round %v to %v, and not %v to %v", l, h, -high, -low)
		}
	})
}

// TestCoverage: over books of three bands, with and without an effect, with the riskier acted
// on more often, the interval holds the truth as often as it says; and an effect of the size
// that could have been seen is seen in four of five.
func TestCoverage(t *testing.T) {
	const books = 2000
	for _, tc := range []struct {
		name   string
		effect float64
		many   int
	}{{"none", 0, 200}, {"a true one", -0.03, 200}, {"few", -0.03, 25}} {
		r := rand.New(rand.NewPCG(7, uint64(tc.many)))
		held, raw := 0, 0
		for range books {
			cells, all := make([]cell, 3), cell{}
			for k, p := range []float64{0.04, 0.1, 0.25} {
				for range tc.many * (3 - k) {
					acted := r.Float64() < []float64{0.2, 0.4, 0.7}[k]
					q := p
					if acted {
						q += tc.effect
					}
					x := 0.0
					if r.Float64() < q {
						x = 1
					}
					for _, c := range []*cell{&cells[k], &all} {
						if acted {
							c.n1, c.x1 = c.n1+1, c.x1+x
						} else {
							c.n0, c.x0 = c.n0+1, c.x0+x
						}
					}
				}
			}
			in := func(cells []cell) int {
				if low, high := interval(cells, 1.959964); low <= tc.effect && tc.effect <= high {
					return 1
				}
				return 0
			}
			held += in(cells)
			raw += in([]cell{all})
		}
		share := float64(held) / books
		t.Logf("%s: %.3f of intervals hold the truth, unadjusted %.3f", tc.name, share, float64(raw)/books)
		if share < 0.95-0.015 || share > 0.95+0.025 {
			t.Errorf("%s: %.3f of intervals hold the truth", tc.name, share)
		}
		if tc.many == 200 && float64(raw)/books > 0.5 {
			t.Errorf("%s: unadjusted it is as good, and the test cannot fail", tc.name)
		}
	}
}

// TestDetectable: of effects of the size that could have been seen four in five are.
func TestDetectable(t *testing.T) {
	z, power := quantile(0.975), quantile(0.8)
	rates, n1, n0 := []float64{0.05, 0.15, 0.3}, []float64{150, 150, 150}, []float64{300, 300, 300}
	expected := make([]cell, len(rates))
	for k, p := range rates {
		expected[k] = cell{n1[k], n1[k] * p, n0[k], n0[k] * p}
	}
	for _, sign := range []float64{1, -1} {
		by := detectable(expected, sign, z, power)
		r, seen := rand.New(rand.NewPCG(3, 4)), 0
		const books = 2000
		for range books {
			cells := make([]cell, len(rates))
			for k, p := range rates {
				cells[k] = cell{n1[k], drawn(r, n1[k], max(0, p+sign*by)), n0[k], drawn(r, n0[k], p)}
			}
			if math.Abs(statistic(cells, 0)) > z {
				seen++
			}
		}
		if share := float64(seen) / books; math.Abs(share-0.8) > 0.04 {
			t.Errorf("effects of %.3f are seen in %.3f of books", sign*by, share)
		}
	}
	if by := detectable([]cell{{5, 0, 5, 0}}, -1, z, power); !math.IsNaN(by) {
		t.Errorf("of five customers an effect of %v is seen", by)
	}
	if by := detectable(nil, 1, z, power); !math.IsNaN(by) {
		t.Errorf("of nobody an effect of %v is seen", by)
	}
}

func drawn(r *rand.Rand, n, p float64) (x float64) {
	for range int(n) {
		if r.Float64() < p {
			x++
		}
	}
	return x
}
