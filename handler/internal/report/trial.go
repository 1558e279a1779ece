package report

import (
	"fmt"
	"html/template"

	"polis/handler/internal/measure"
	"polis/handler/internal/page"
)

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
		Sum:   fmt.Sprintf("%s %s: %s expected, %s happened%s", page.Count(t.Rows), s.rows(), page.Number(t.Expected), page.Number(t.Actual), sums),
		Gains: page.Gains(t), Lift: page.Lift(t), Calibration: page.Calibration(t, s.unit()),
		ECE: page.Number(t.ECE),
	}
	for i, x := range t.Tenths {
		line := tenth{Name: fmt.Sprint(i + 1), Predicted: page.Number(x.Expected / x.Exposure), Actual: page.Number(x.Actual / x.Exposure), Ratio: "–"}
		if r := x.Ratio; r != nil {
			line.Ratio, line.Interval, line.Off = page.Decimals(r.Value), page.Decimals(r.Low)+" to "+page.Decimals(r.High), !r.Has(1)
			if !line.Off {
				out.Inside++
			}
		}
		out.Lines = append(out.Lines, line)
	}
	if t.Perfect != nil {
		out.Perfect = page.Number(t.Perfect.Mean) + ", in 95% of simulations below " + page.Number(t.Perfect.High)
	}
	if k := t.Calibration; k != nil {
		out.Slope, out.Intercept = page.Interval(&k.Slope, page.Decimals), page.Interval(&k.Intercept, page.Decimals)
		out.Straight = k.Slope.Has(1) && k.Intercept.Has(0)
	}
	return out
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
	add(title(s.rows()), func(t *measure.Trial) string { return page.Count(t.Rows) })
	add("Exposure", func(t *measure.Trial) string { return page.Number(t.Exposure) })
	add(ofCapped("Expected", capped), func(t *measure.Trial) string { return page.Number(t.Expected) })
	add(ofCapped("Actual", capped), func(t *measure.Trial) string { return page.Number(t.Actual) })
	add(ofCapped("Actual / expected", capped), func(t *measure.Trial) string { return page.Interval(t.Ratio, page.Decimals) })
	add("Mean deviance", func(t *measure.Trial) string { return page.Number(t.Deviance) })
	add("Mean deviance of the mean alone", func(t *measure.Trial) string { return page.Number(t.Constant) })
	add("Deviance explained", func(t *measure.Trial) string { return page.Percent(t.Explained()) })
	add("Gini", func(t *measure.Trial) string { return page.Interval(t.Gini, page.Decimals) })
	add("AUC", func(t *measure.Trial) string { return page.Interval(t.AUC, page.Decimals) })
	add("Highest tenth, of the mean", func(t *measure.Trial) string { return page.Interval(t.Lift, page.Times) })
	return out
}
