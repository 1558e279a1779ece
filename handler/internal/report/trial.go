package report

import (
	"fmt"
	"html/template"

	"polis/handler/internal/measure"
)

// wide is the width of a picture that stands in a half of the page.
const wide = 380

// trial is how the model did on rows, with its pictures.
type trial struct {
	*measure.Trial
	Name, Sum                string
	Gains, Lift, Calibration template.HTML
	Inside                   int // tenths whose interval contains what was predicted
	ECE, Perfect             string
	Slope, Intercept         string
	Straight                 bool // slope and intercept are 1 and 0 as far as can be told
	Lines                    []tenth
}

// tenth is a tenth of the exposure as a line of a table.
type tenth struct {
	Name, Predicted, Actual, Ratio, Interval string
	Off                                      bool // the interval does not contain 1
}

func (s subject) trialOf(t *measure.Trial, name string) trial {
	sums := ""
	if s.capped() != nil {
		sums = ", both of capped amounts"
	}
	out := trial{
		Trial: t, Name: name,
		Sum:   fmt.Sprintf("%s %s: %s expected, %s happened%s", count(t.Rows), s.rows(), number(t.Expected), number(t.Actual), sums),
		Gains: gainsChart(t), Lift: liftChart(t), Calibration: calibrationChart(t, s.unit()),
		ECE: number(t.ECE),
	}
	for i, x := range t.Tenths {
		line := tenth{Name: fmt.Sprint(i + 1), Predicted: number(x.Expected / x.Exposure), Actual: number(x.Actual / x.Exposure), Ratio: "–"}
		if r := x.Ratio; r != nil {
			line.Ratio, line.Interval, line.Off = decimals(r.Value), decimals(r.Low)+" to "+decimals(r.High), !r.Has(1)
			if !line.Off {
				out.Inside++
			}
		}
		out.Lines = append(out.Lines, line)
	}
	if t.Perfect != nil {
		out.Perfect = number(t.Perfect.Mean) + ", in 95% of simulations below " + number(t.Perfect.High)
	}
	if k := t.Calibration; k != nil {
		out.Slope, out.Intercept = interval(&k.Slope, decimals), interval(&k.Intercept, decimals)
		out.Straight = k.Slope.Has(1) && k.Intercept.Has(0)
	}
	return out
}

func interval(e *measure.Estimate, show func(float64) string) string {
	if e == nil {
		return "–"
	}
	return fmt.Sprintf("%s (%s to %s)", show(e.Value), show(e.Low), show(e.High))
}

// measured is a measure, by trial.
type measured struct {
	Name   string
	Values []string
}

func (s subject) measures(trials []trial) []measured {
	capped := s.capped() != nil
	if len(trials) == 0 {
		return nil
	}
	var out []measured
	add := func(name string, value func(*measure.Trial) string) {
		row, known := measured{Name: name}, false
		for _, t := range trials {
			v := value(t.Trial)
			row.Values, known = append(row.Values, v), known || v != "–"
		}
		if known {
			out = append(out, row)
		}
	}
	add(title(s.rows()), func(t *measure.Trial) string { return count(t.Rows) })
	add("Exposure", func(t *measure.Trial) string { return number(t.Exposure) })
	add(ofCapped("Expected", capped), func(t *measure.Trial) string { return number(t.Expected) })
	add(ofCapped("Actual", capped), func(t *measure.Trial) string { return number(t.Actual) })
	add(ofCapped("Actual / expected", capped), func(t *measure.Trial) string { return interval(t.Ratio, decimals) })
	add("Mean deviance", func(t *measure.Trial) string { return number(t.Deviance) })
	add("Mean deviance of the mean alone", func(t *measure.Trial) string { return number(t.Constant) })
	add("Deviance explained", func(t *measure.Trial) string { return percent(t.Explained()) })
	add("Gini", func(t *measure.Trial) string { return interval(t.Gini, decimals) })
	add("AUC", func(t *measure.Trial) string { return interval(t.AUC, decimals) })
	add("Highest tenth, of the mean", func(t *measure.Trial) string { return interval(t.Lift, times) })
	return out
}

// gainsChart is what share of all that happened is found in the highest predictions.
func gainsChart(t *measure.Trial) template.HTML {
	c := newChart(wide, 260, 0, 1, 0, 1)
	at := []float64{0, 0.25, 0.5, 0.75, 1}
	whole := func(v float64) string { return fmt.Sprintf("%.0f%%", 100*v) }
	c.levels(at, whole)
	c.marks(at, whole)
	c.titles("share of the exposure, highest predictions first")
	var actual, expected []point
	for _, g := range t.Gains {
		actual = append(actual, point{c.x(g.Share), c.y(g.Actual)})
		expected = append(expected, point{c.x(g.Share), c.y(g.Expected)})
	}
	corners := []point{{c.x(0), c.y(0)}, {c.x(1), c.y(1)}}
	c.path("area", true, append(append([]point{}, actual...), corners[0])...)
	c.path("even", false, corners...)
	c.path("expected", false, expected...)
	c.path("actual", false, actual...)
	return c.svg("Gains: the share of what happened over the share of the exposure, highest predictions first")
}

// liftChart is the tenths' means as multiples of the mean of all.
func liftChart(t *measure.Trial) template.HTML {
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
	c := newChart(wide, 260, 0, float64(len(t.Tenths)), 0, most*1.06)
	c.levels(ticks(0, most*1.06, 4), func(v float64) string { return plain(v) + "×" })
	var line []point
	each := c.x(1) - c.x(0)
	for i, x := range t.Tenths {
		left := c.x(float64(i))
		y := c.y(of(x.Actual/x.Exposure, mean))
		c.rect("bar", left+each*0.14, y, each*0.72, c.bottom-y)
		line = append(line, point{left + each/2, c.y(of(x.Expected/x.Exposure, predicted))})
		c.text(left+each/2, c.bottom+16, "middle", fmt.Sprint(i+1))
	}
	c.line("even", c.left, c.y(1), c.right, c.y(1))
	c.path("expected", false, line...)
	for _, p := range line {
		c.dot("expected-dot", p.x, p.y, 2.6)
	}
	c.titles("tenths of the exposure, lowest predictions first")
	return c.svg("Lift: what happened in each tenth of the exposure as a multiple of the mean, with what was predicted")
}

// calibrationChart is what happened over what was predicted, by tenths.
func calibrationChart(t *measure.Trial, unit string) template.HTML {
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
	c := newChart(wide, 300, 0, most, 0, most)
	c.levels(ticks(0, most, 4), plain)
	c.marks(ticks(0, most, 4), plain)
	c.titles("predicted " + cut(unit, 40))
	c.path("even", false, point{c.x(0), c.y(0)}, point{c.x(most), c.y(most)})
	var steps []point
	for _, s := range t.Isotonic {
		if s.From > most {
			break
		}
		steps = append(steps, point{c.x(s.From), c.y(s.Actual)}, point{c.x(s.To), c.y(s.Actual)})
	}
	c.path("isotonic", false, steps...)
	for _, x := range t.Tenths {
		p := x.Expected / x.Exposure
		class := "actual-dot"
		if x.Ratio != nil {
			c.whisker("actual-error", c.x(p), c.y(p*x.Ratio.Low), c.y(p*x.Ratio.High))
			if !x.Ratio.Has(1) {
				class = "actual-dot off"
			}
		}
		c.dot(class, c.x(p), c.y(x.Actual/x.Exposure), 3.4)
	}
	return c.svg("Calibration: what happened over what was predicted, by tenths of the exposure, with 95% intervals")
}
