// Package exact has the exponential and the logarithm to the same last bit on every
// machine, for results that are kept in files. The standard library's are assembly on
// some processors and may be fused on others; here each product is rounded before it is
// added. Both are good to about 1e-15.
package exact

import "math"

const (
	ln2High = 6.93147180369123816490e-01 // ln 2 to 33 bits: k·ln2High is exact for small k
	ln2Low  = 1.90821492927058770002e-10
	// Most bounds what Exp takes: beyond it results would leave the normal range.
	Most = 700
)

// taylor are 1/13!, …, 1/1!, 1/0!: enough for |r| ≤ ln2/2.
var taylor = func() (c [14]float64) {
	f := 1.0
	for i := range c {
		if i > 0 {
			f *= float64(i)
		}
		c[len(c)-1-i] = 1 / f
	}
	return c
}()

// odd are 1/23, 1/21, …, 1/1.
var odd = func() (c [12]float64) {
	for i := range c {
		c[i] = 1 / float64(23-2*i)
	}
	return c
}()

// Exp is e to the x, with x held within ±Most; NaN for NaN.
func Exp(x float64) float64 {
	if x != x {
		return x
	}
	x = max(-Most, min(Most, x))
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := (x - float64(k*ln2High)) - float64(k*ln2Low)
	p := 0.0
	for _, c := range taylor {
		p = float64(p*r) + c
	}
	return p * math.Float64frombits(uint64(int64(k)+1023)<<52)
}

// Log is the natural logarithm of a positive, finite x.
func Log(x float64) float64 {
	f, e := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f *= 2
		e--
	}
	// log f = 2 atanh s, with |s| ≤ 0.172.
	s := (f - 1) / (f + 1)
	s2 := float64(s * s)
	sum := 0.0
	for _, c := range odd {
		sum = float64(sum*s2) + c
	}
	k := float64(e)
	return float64(k*ln2High) + (float64(2*s*sum) + float64(k*ln2Low))
}
