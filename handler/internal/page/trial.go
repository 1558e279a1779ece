package page

import (
	"fmt"
	"html/template"

	"polis/handler/internal/measure"
)

// Interval is an estimate with its interval, or a dash where it is not known.
func Interval(e *measure.Estimate, show func(float64) string) string {
	if e == nil {
		return "–"
	}
	return fmt.Sprintf("%s (%s to %s)", show(e.Value), show(e.Low), show(e.High))
}

// Gains is what share of all that happened is found in the highest predictions.
func Gains(t *measure.Trial) template.HTML {
	c := NewChart(Wide, 260, 0, 1, 0, 1)
	at := []float64{0, 0.25, 0.5, 0.75, 1}
	whole := func(v float64) string { return fmt.Sprintf("%.0f%%", 100*v) }
	c.Levels(at, whole)
	c.Marks(at, whole)
	c.Titles("share of the exposure, highest predictions first")
	var actual, expected []Point
	for _, g := range t.Gains {
		actual = append(actual, c.At(g.Share, g.Actual))
		expected = append(expected, c.At(g.Share, g.Expected))
	}
	corners := []Point{c.At(0, 0), c.At(1, 1)}
	c.Path("area", true, append(append([]Point{}, actual...), corners[0])...)
	c.Path("even", false, corners...)
	c.Path("expected", false, expected...)
	c.Path("actual", false, actual...)
	return c.SVG("Gains: the share of what happened over the share of the exposure, highest predictions first")
}

// Lift is the tenths' means as multiples of the mean of all.
func Lift(t *measure.Trial) template.HTML {
	mean, predicted, most := t.Mean(), t.Expected/t.Exposure, 0.0
	of := func(v, by float64) float64 {
		if by <= 0 {
			return 0
		}
		return v / by
	}
	for _, x := range t.Tenths {
		most = max(most, of(x.Actual/x.Exposure, mean), of(x.Expected/x.Exposure, predicted))
	}
	c := NewChart(Wide, 260, 0, float64(len(t.Tenths)), 0, most*1.06)
	c.Levels(Ticks(0, most*1.06, 4), func(v float64) string { return Plain(v) + "×" })
	var line []Point
	each := c.X(1) - c.X(0)
	for i, x := range t.Tenths {
		left := c.X(float64(i))
		y := c.Y(of(x.Actual/x.Exposure, mean))
		c.Rect("bar", left+each*0.14, y, each*0.72, c.Bottom-y)
		line = append(line, Point{left + each/2, c.Y(of(x.Expected/x.Exposure, predicted))})
		c.Text(left+each/2, c.Bottom+16, "middle", fmt.Sprint(i+1))
	}
	c.Line("even", c.Left, c.Y(1), c.Right, c.Y(1))
	c.Path("expected", false, line...)
	for _, p := range line {
		c.Dot("expected-dot", p.X, p.Y, 2.6)
	}
	c.Titles("tenths of the exposure, lowest predictions first")
	return c.SVG("Lift: what happened in each tenth of the exposure as a multiple of the mean, with what was predicted")
}

// Calibration is what happened over what was predicted, by tenths.
func Calibration(t *measure.Trial, unit string) template.HTML {
	most := 0.0
	for _, x := range t.Tenths {
		p := x.Expected / x.Exposure
		top := max(p, x.Actual/x.Exposure)
		if x.Ratio != nil {
			top = max(top, min(p*x.Ratio.High, 1.5*top)) // a very wide interval is cut off
		}
		most = max(most, top*1.04)
	}
	// From 0, so that no difference looks larger than it is.
	c := NewChart(Wide, 300, 0, most, 0, most)
	c.Levels(Ticks(0, most, 4), Plain)
	c.Marks(Ticks(0, most, 4), Plain)
	c.Titles("predicted " + Cut(unit, 40))
	c.Path("even", false, c.At(0, 0), c.At(most, most))
	var steps []Point
	for _, s := range t.Isotonic {
		if s.From > most {
			break
		}
		steps = append(steps, c.At(s.From, s.Actual), c.At(s.To, s.Actual))
	}
	c.Path("isotonic", false, steps...)
	for _, x := range t.Tenths {
		p := x.Expected / x.Exposure
		class := "actual-dot"
		if x.Ratio != nil {
			c.Whisker("actual-error", c.X(p), c.Y(p*x.Ratio.Low), c.Y(p*x.Ratio.High))
			if !x.Ratio.Has(1) {
				class = "actual-dot off"
			}
		}
		c.Dot(class, c.X(p), c.Y(x.Actual/x.Exposure), 3.4)
	}
	return c.SVG("Calibration: what happened over what was predicted, by tenths of the exposure, with 95% intervals")
}
