package measure

import (
	"math"

	"polis/handler/internal/exact"
)

// closest is how near to 0 and 1 a probability's logit is still taken.
const closest = 1e-12

// link of a prediction.
func (f Family) link(mean float64) float64 {
	if f == Logistic {
		p := max(closest, min(1-closest, mean))
		return exact.Log(p / (1 - p))
	}
	return exact.Log(mean)
}

// deviance is twice the log likelihood that an outcome of y loses by a mean of m.
func (f Family) deviance(y, m float64) float64 {
	surplus := func(y, m float64) float64 { // y log(y/m), which is 0 for 0
		if y == 0 {
			return 0
		}
		return float64(y * exact.Log(y/m))
	}
	switch f {
	case Logistic:
		m = max(closest, min(1-closest, m))
		return 2 * (surplus(y, m) + surplus(1-y, 1-m))
	case Poisson:
		return 2 * (surplus(y, m) - (y - m))
	case Gamma:
		return 2 * ((y-m)/m - exact.Log(y/m))
	default:
		if m == 0 {
			return 0
		}
		d := math.Sqrt(y) - math.Sqrt(m)
		return 4 * d * d / math.Sqrt(m)
	}
}

// line is a fit on the link in progress: the link of the mean is level + slope × (link of
// the prediction - middle).
type line struct {
	middle, level, slope float64
}

// moments are sums at a line: the loss, its downward gradient, the information and the
// gradient's own squares.
type moments struct {
	nats          float64
	g0, g1        float64
	h00, h01, h11 float64
	s00, s01, s11 float64
}

// calibrate fits the line by Newton's method, with robust errors (White 1982), which hold
// whatever the outcomes' variance truly is. nil where the predictions are all the same or
// the outcomes put no bound to the slope.
func (r *rows) calibrate() *Calibration {
	if len(r.order) < 3 {
		return nil
	}
	middle := r.family.link(r.expected / r.units)
	l := line{middle: middle, level: middle, slope: 1}
	m := r.moments(l)
	for range 50 {
		det := float64(m.h00*m.h11) - float64(m.h01*m.h01)
		if !(det > 1e-12*m.h00*m.h00) {
			return nil
		}
		d0 := (float64(m.g0*m.h11) - float64(m.g1*m.h01)) / det
		d1 := (float64(m.g1*m.h00) - float64(m.g0*m.h01)) / det
		if math.Abs(d0)+math.Abs(d1) < 1e-9 {
			return l.estimates(m, det, len(r.order))
		}
		// A step too far is halved: far from the best line Newton's may be.
		for half := 0; ; half++ {
			next := line{l.middle, l.level + d0, l.slope + d1}
			at := r.moments(next)
			if at.nats <= m.nats+float64(1e-9*math.Abs(m.nats)) {
				l, m = next, at
				break
			}
			if half == 30 {
				return nil
			}
			d0, d1 = d0/2, d1/2
		}
		if math.Abs(l.slope) > 1e3 {
			return nil
		}
	}
	return nil
}

func (r *rows) moments(l line) (m moments) {
	for k := range r.order {
		row := r.at(k)
		x := r.family.link(row.mean) - l.middle
		nats, g, h := r.family.newton(l.level+float64(l.slope*x), row.rate)
		g, h = float64(row.units*g), float64(row.units*h)
		gx, hx := float64(g*x), float64(h*x)
		m.nats += float64(row.units * nats)
		m.g0 += g
		m.g1 += gx
		m.h00 += h
		m.h01 += hx
		m.h11 += float64(hx * x)
		m.s00 += float64(g * g)
		m.s01 += float64(g * gx)
		m.s11 += float64(gx * gx)
	}
	return m
}

// newton is the loss of an outcome at a link, its downward gradient, and its curvature,
// which is nowhere negative.
func (f Family) newton(link, y float64) (nats, g, h float64) {
	m := exact.Exp(link)
	switch f {
	case Logistic:
		p := m / (1 + m)
		return exact.Log(1+m) - float64(y*link), y - p, float64(p * (1 - p))
	case Poisson:
		return m - float64(y*link), y - m, m
	case Gamma:
		return y/m + link, y/m - 1, y / m
	default:
		root := math.Sqrt(m)
		return 2 * (y/root + root), y/root - root, (y/root + root) / 2
	}
}

// estimates are the line's, with the intercept where the prediction's link is 0.
func (l line) estimates(m moments, det float64, n int) *Calibration {
	few := float64(n) / float64(n-2)
	// The inverse information, and with the gradient's squares between two of it the
	// variances and the covariance of level and slope.
	i00, i01, i11 := m.h11/det, -m.h01/det, m.h00/det
	sandwich := func(a0, a1, b0, b1 float64) float64 {
		v := float64(a0*float64(m.s00*b0)) + float64(a0*float64(m.s01*b1)) + float64(a1*float64(m.s01*b0)) + float64(a1*float64(m.s11*b1))
		return float64(v * few)
	}
	v00, v01, v11 := sandwich(i00, i01, i00, i01), sandwich(i00, i01, i01, i11), sandwich(i01, i11, i01, i11)
	variance := v00 - float64(float64(2*l.middle)*v01) + float64(float64(l.middle*l.middle)*v11)
	intercept := estimate(l.level-float64(l.slope*l.middle), variance, math.Inf(-1), math.Inf(1))
	slope := estimate(l.slope, v11, math.Inf(-1), math.Inf(1))
	if intercept == nil || slope == nil {
		return nil
	}
	return &Calibration{Intercept: *intercept, Slope: *slope}
}
