package model

import "math"

// The standard library's Exp and Log are assembly on some processors and may be
// fused on others, so their last bit depends on the machine. These do not: each
// product is rounded before it is added. Both are good to about 1e-15.

const (
	ln2High = 6.93147180369123816490e-01 // ln 2 to 33 bits: k·ln2High is exact for small k
	ln2Low  = 1.90821492927058770002e-10
	expMax  = 700 // beyond this both results would leave the normal range
)

// expCoefficients are 1/13!, …, 1/1!, 1/0!: enough for |r| ≤ ln2/2.
var expCoefficients = func() (c [14]float64) {
	f := 1.0
	for i := range c {
		if i > 0 {
			f *= float64(i)
		}
		c[len(c)-1-i] = 1 / f
	}
	return c
}()

// exp is e to the x, with x held within ±700; NaN for NaN.
func exp(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > expMax:
		x = expMax
	case x < -expMax:
		x = -expMax
	}
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := (x - float64(k*ln2High)) - float64(k*ln2Low)
	p := 0.0
	for _, c := range expCoefficients {
		p = float64(p*r) + c
	}
	return p * math.Float64frombits(uint64(int64(k)+1023)<<52)
}

// log is the natural logarithm of a positive, finite x.
func log(x float64) float64 {
	f, e := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f *= 2
		e--
	}
	// log f = 2 atanh s, with |s| ≤ 0.172.
	s := (f - 1) / (f + 1)
	s2 := float64(s * s)
	sum := 0.0
	for n := 23; n >= 1; n -= 2 {
		sum = float64(sum*s2) + 1/float64(n)
	}
	k := float64(e)
	return float64(k*ln2High) + (float64(2*s*sum) + float64(k*ln2Low))
}
