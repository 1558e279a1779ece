// Package shapley shares a number out among the components that it was computed from:
// each gets its mean effect over all orders in which the reference's components could be
// exchanged for the customer's (Shapley 1953; for explanations Lipovetsky and Conklin
// 2001). It is exact: all 2^k coalitions are valued, in a fixed order and without sums
// that a processor could fuse, so that every machine finds the same last bit.
package shapley

import (
	"math"
	"strconv"
)

// Most is how many components a number may have.
const Most = 5

// Values fills phi, which has one place for each component, and returns the value of no
// component at all. value tells what the number is when those components whose bit is
// set in the coalition are the customer's and the others the reference's. More than Most
// components panic: that is a mistake in the program.
func Values(phi []float64, value func(coalition uint) float64) (reference float64) {
	k := len(phi)
	if k > Most {
		panic("shapley: too many components")
	}
	var v [1 << Most]float64
	for s := range v[:1<<k] {
		v[s] = value(uint(s))
	}
	clear(phi)
	for i := range phi {
		for s := range v[:1<<k] {
			if s&(1<<i) == 0 {
				phi[i] += float64(weights[k][ones(s)] * (v[s|1<<i] - v[s]))
			}
		}
	}
	return v[0]
}

// weights are |S|!·(k−|S|−1)!/k! by k and |S|: the share of orders in which the coalition
// S stands before a component.
var weights = func() (w [Most + 1][Most]float64) {
	factorial := [Most + 1]float64{1, 1, 2, 6, 24, 120}
	for k := 1; k <= Most; k++ {
		for s := range k {
			w[k][s] = factorial[s] * factorial[k-s-1] / factorial[k]
		}
	}
	return w
}()

func ones(s int) (n int) {
	for ; s != 0; s &= s - 1 {
		n++
	}
	return n
}

// Round rounds a reference and its parts to so many decimals such that they add up to
// total as it is shown with as many: what rounding each by itself leaves over goes to the
// parts that it moved the most. None is off by more than one in the last decimal where
// they added up before. It reports false, and rounds nothing, where a number is too large
// to be counted in that unit, or is none.
func Round(reference *float64, parts []float64, total float64, decimals int) bool {
	unit := math.Pow10(decimals)
	shown, ok := units(total, decimals)
	base, fine := units(*reference, decimals)
	if !ok || !fine || len(parts) == 0 || len(parts) > Most {
		return false
	}
	var whole, off [Most]float64
	left := shown - base
	for i, p := range parts {
		n, ok := units(p, decimals)
		if !ok {
			return false
		}
		whole[i], off[i] = n, float64(p*unit)-n
		left -= n
	}
	for left != 0 {
		step := math.Copysign(1, left)
		if math.Abs(left) > 2*Most { // they never added up: the first takes what is missing
			step = left
		}
		at := 0
		for i := range parts {
			if off[i]*step > off[at]*step {
				at = i
			}
		}
		whole[at] += step
		off[at] -= step
		left -= step
	}
	*reference = base / unit
	for i := range parts {
		parts[i] = whole[i] / unit
	}
	return true
}

// units is a number in units of its last decimal, rounded as strconv shows it.
func units(v float64, decimals int) (float64, bool) {
	const countable = 1 << 53
	if !(math.Abs(v)*math.Pow10(decimals) < countable) {
		return 0, false
	}
	var buf [32]byte
	b := strconv.AppendFloat(buf[:0], v, 'f', decimals, 64)
	n, digits := 0.0, b
	if b[0] == '-' {
		digits = b[1:]
	}
	for _, c := range digits {
		if c != '.' {
			n = float64(n*10) + float64(c-'0')
		}
	}
	if b[0] == '-' {
		n = -n
	}
	return n, true
}
