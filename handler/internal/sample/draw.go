package sample

import (
	"math"
	"math/rand/v2"
)

// draw is a stream of random numbers. The generator is PCG-DXSM, which the standard
// library fixes; everything on top is our own, so that no release changes a book.
// It is a value: a copy continues independently from the same point.
type draw struct{ pcg rand.PCG }

func newDraw(seed, stream uint64) draw { return draw{*rand.NewPCG(mix(seed), mix(stream))} }

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring seeds give
// unrelated streams.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit is uniform on [0,1).
func (d *draw) unit() float64 { return float64(d.pcg.Uint64()>>11) * 0x1p-53 }

func (d *draw) chance(p float64) bool { return d.unit() < p }

func (d *draw) below(n int) int { return int(d.unit() * float64(n)) }

func (d *draw) between(lo, hi float64) float64 { return lo + d.unit()*(hi-lo) }

// normal is standard normal, by the polar method of Marsaglia.
func (d *draw) normal() float64 {
	for {
		u, v := d.between(-1, 1), d.between(-1, 1)
		if s := u*u + v*v; s > 0 && s < 1 {
			return u * math.Sqrt(-2*math.Log(s)/s)
		}
	}
}

// lognormal has mean 1.
func (d *draw) lognormal(sigma float64) float64 { return math.Exp(sigma*d.normal() - sigma*sigma/2) }

func (d *draw) exponential(mean float64) float64 { return -mean * math.Log(1-d.unit()) }

// poisson is exact, and costs one number and no logarithm where nothing happens.
func (d *draw) poisson(mean float64) int {
	u := d.unit()
	if u < 1-mean { // exp(−x) is at least 1−x
		return 0
	}
	p := math.Exp(-mean)
	n := 0
	for sum := p; u >= sum && n < 50; sum += p {
		n++
		p *= mean / float64(n)
	}
	return n
}

// pick chooses an index by weights that sum to 1.
func (d *draw) pick(weights []float64) int {
	u := d.unit()
	for i, w := range weights {
		if u -= w; u < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// coin is a number on [0,1) that belongs to a decision, not to a place in a stream: what
// a customer does with and without a contact is compared on the same coins.
func coin(seed, who uint64, month, kind int) float64 {
	return float64(mix(mix(seed^who*0x9e3779b97f4a7c15)+uint64(month)<<8+uint64(kind))>>11) * 0x1p-53
}
