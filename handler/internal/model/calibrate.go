package model

import "math"

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

// calibrate fits the line by Newton's method on the first held rows.
func calibrate(t *table, link []float64, held int) calibration {
	c := calibration{slope: 1}
	prior := t.phi / (slopeDeviation * slopeDeviation)
	for range 25 {
		var g0, g1, h00, h01, h11 float64
		for i := range held {
			x := link[i]
			g, h := newton(t.loss, c.at(x), t.y[i], t.weight[i], t.scale[i])
			g0 += g
			g1 += float64(g * x)
			h00 += h
			h01 += float64(h * x)
			h11 += float64(float64(h*x) * x)
		}
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
		c.intercept = shift(t, link, held)
	}
	c.measure(t, link, held)
	return c
}

func (c calibration) at(link float64) float64 { return c.intercept + float64(c.slope*link) }

// newton is the gradient of the log likelihood in the link and the information.
func newton(loss Loss, link, y, weight, scale float64) (g, h float64) {
	mean := exp(link)
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

// shift is the intercept at which the scores are right on average.
func shift(t *table, link []float64, held int) float64 {
	a := 0.0
	for range 50 {
		var g, h float64
		for i := range held {
			gi, hi := newton(t.loss, a+link[i], t.y[i], t.weight[i], t.scale[i])
			g += gi
			h += hi
		}
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

// measure is the mean deviance of the calibrated scores and of the mean.
func (c *calibration) measure(t *table, link []float64, held int) {
	num, den, total := 0.0, 0.0, 0.0
	for i := range held {
		num += float64(t.weight[i] * t.y[i])
		den += t.scale[i]
		total += t.weight[i]
	}
	start := startOf(t.loss, num, den)
	for i := range held {
		perfect := saturated(t.loss, t.y[i], t.weight[i], t.scale[i])
		c.deviance += 2 * (nats(t.loss, c.at(link[i]), t.y[i], t.weight[i], t.scale[i]) - perfect)
		c.constant += 2 * (nats(t.loss, start, t.y[i], t.weight[i], t.scale[i]) - perfect)
	}
	if total > 0 {
		c.deviance /= total
		c.constant /= total
	}
}

// saturated is the nats of a row predicted as it turned out.
func saturated(loss Loss, y, weight, scale float64) float64 {
	switch {
	case loss == Logistic || y == 0 || weight == 0:
		return 0
	case loss == Poisson:
		wy := float64(weight * y)
		return wy - float64(wy*log(wy/scale))
	case loss == Tweedie:
		return 4 * float64(weight*math.Sqrt(y))
	default:
		return float64(weight * (1 + log(y)))
	}
}
