package model

import (
	"math"

	"polis/handler/internal/exact"
)

// calibration is a line on the link, fitted to scores of rows not learnt from:
// calibrated = intercept + slope × link (Cox 1958; Steyerberg 2019, ch. 15).
type calibration struct {
	intercept, slope float64
	deviance         float64 // mean, of the calibrated scores
	constant         float64 // mean, of the mean alone
}

// The slope is drawn to 1 as by a normal prior of this standard deviation, so that
// a small portfolio's noise does not stretch or flatten its whole tariff.
const (
	slopeDeviation     = 0.2
	minSlope, maxSlope = 0.25, 2
)

// calibrate fits the line on the rows that are held out, and measures what it makes of them.
func (b *booster) calibrate() calibration {
	c := b.line(-1)
	b.measure(&c)
	return c
}

// line fits the line by Newton's method, on the rows that are held out of all bags but one
// (-1: of all).
func (b *booster) line(but int) calibration {
	t := b.table
	c := calibration{slope: 1}
	prior := t.phi / (slopeDeviation * slopeDeviation)
	for range 25 {
		var g0, g1, h00, h01, h11 float64
		b.eachHeld(but, func(i int, link float64) {
			x := link - t.offsetOf(i)
			g, h := t.newton(c.at(x)+t.offsetOf(i), i)
			g0 += g
			g1 += float64(g * x)
			h00 += h
			h01 += float64(h * x)
			h11 += float64(float64(h*x) * x)
		})
		g1 -= float64(prior * (c.slope - 1))
		h11 += prior
		det := float64(h00*h11) - float64(h01*h01)
		if !(det > 0) {
			break
		}
		d0 := (float64(g0*h11) - float64(g1*h01)) / det
		d1 := (float64(g1*h00) - float64(g0*h01)) / det
		c.intercept += d0
		c.slope += d1
		if math.Abs(d0)+math.Abs(d1) < 1e-9 {
			break
		}
	}
	if !finite(c.intercept) || !finite(c.slope) || c.slope < minSlope || c.slope > maxSlope {
		// The scores say next to nothing about the target, or nothing that a line can
		// mend: keep them, but right on average.
		c = calibration{slope: 1}
		c.intercept = b.level(but)
	}
	return c
}

func (c calibration) at(link float64) float64 { return c.intercept + float64(c.slope*link) }

// newton is the gradient of the log likelihood in the link and the information.
func newton(loss Loss, link, y, weight, scale float64) (g, h float64) {
	mean := exact.Exp(link)
	switch loss {
	case Logistic:
		p := mean / (1 + mean)
		return float64(weight * (y - p)), float64(weight * float64(p*(1-p)))
	case Poisson:
		return float64(weight*y) - float64(scale*mean), float64(scale * mean)
	case Tweedie:
		root := math.Sqrt(mean)
		return float64(weight * (y/root - root)), float64(weight * root)
	default:
		return float64(weight * (y/mean - 1)), weight
	}
}

func (t *table) newton(link float64, i int) (g, h float64) {
	return newton(t.loss, link, float64(t.y[i]), t.weightOf(i), float64(t.scale[i]))
}

// level is what must be added to the links of the rows held out for them to be right on
// average.
func (b *booster) level(but int) float64 {
	return rightOnAverage(func(a float64) (g, h float64) {
		b.eachHeld(but, func(i int, link float64) {
			gi, hi := b.table.newton(a+link, i)
			g, h = g+gi, h+hi
		})
		return g, h
	})
}

// shift is what must be added to start for rows with offsets to be right on average.
func shift(t *table, each func(func(lo, hi int)), start float64) float64 {
	return rightOnAverage(func(a float64) (g, h float64) {
		each(func(lo, hi int) {
			for i := lo; i < hi; i++ {
				slope, bend := t.newton(a+start+t.offsetOf(i), i)
				g, h = g+slope, h+bend
			}
		})
		return g, h
	})
}

// rightOnAverage is the root of a gradient, by Newton's method.
func rightOnAverage(newton func(a float64) (g, h float64)) float64 {
	a := 0.0
	for range 50 {
		g, h := newton(a)
		if !(h > 0) {
			return 0
		}
		d := max(-1, min(1, g/h))
		a += d
		if math.Abs(d) < 1e-9 {
			break
		}
	}
	return a
}

// measure is the mean deviance of the calibrated scores and of the mean alone, of what came
// of the rows whole.
func (b *booster) measure(c *calibration) {
	t := b.table
	num, den, total := 0.0, 0.0, 0.0
	b.eachHeld(-1, func(i int, _ float64) {
		num += float64(t.weightOf(i) * t.actual(i))
		den += float64(t.scale[i])
		total += t.weightOf(i)
	})
	start := startOf(t.loss, num, den)
	if t.offset != nil {
		start += rightOnAverage(func(a float64) (g, h float64) {
			b.eachHeld(-1, func(i int, _ float64) {
				gi, hi := newton(t.loss, a+start+t.offsetOf(i), t.actual(i), t.weightOf(i), float64(t.scale[i]))
				g, h = g+gi, h+hi
			})
			return g, h
		})
	}
	c.deviance, c.constant = 0, 0
	b.eachHeld(-1, func(i int, link float64) {
		y, w, s := t.actual(i), t.weightOf(i), float64(t.scale[i])
		perfect := saturated(t.loss, y, w, s)
		c.deviance += 2 * (nats(t.loss, c.at(link-t.offsetOf(i))+t.offsetOf(i)+t.load, y, w, s) - perfect)
		c.constant += 2 * (nats(t.loss, start+t.offsetOf(i), y, w, s) - perfect)
	})
	if total > 0 {
		c.deviance *= t.money / total
		c.constant *= t.money / total
	}
}

// saturated is the nats of a row predicted as it turned out.
func saturated(loss Loss, y, weight, scale float64) float64 {
	switch {
	case loss == Logistic || y == 0 || weight == 0:
		return 0
	case loss == Poisson:
		wy := float64(weight * y)
		return wy - float64(wy*exact.Log(wy/scale))
	case loss == Tweedie:
		return 4 * float64(weight*math.Sqrt(y))
	default:
		return float64(weight * (1 + exact.Log(y)))
	}
}
