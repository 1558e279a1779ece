package report

import (
	"fmt"
	"html/template"

	"polis/handler/internal/page"
)

// life is how the subjects of a hazard fared over the periods.
type life struct {
	Curves     []lifeCurve
	Lines      [][]string // as numbers: periods gone, at risk, then each curve's two
	First, Few string     // most at risk, and the share of them below which the count ends
	Short      bool       // it ends before the last period
}

type lifeCurve struct {
	Name  string
	Chart template.HTML
}

// fewAtRisk is the share of those at risk below which what is counted is not drawn: a single
// end may then be a leap over half of the picture. Our choice.
const fewAtRisk = 0.02

// mostLines is how many periods the numbers show; of more, every so many.
const mostLines = 30

// life is nil where the file does not keep it.
func (s subject) life() *life {
	if s.whole == nil || s.whole.Meta().Life == nil {
		return nil
	}
	of := s.whole.Meta().Life
	first := 0.0
	for _, n := range of.AtRisk { // of late entrants there may be more later
		first = max(first, n)
	}
	solid := len(of.AtRisk)
	for solid > 1 && of.AtRisk[solid-1] < fewAtRisk*first {
		solid--
	}
	out := &life{First: page.Number(first), Few: page.Percent(fewAtRisk), Short: solid < len(of.AtRisk)}
	unit := "periods gone"
	if d := s.whole.Meta().Duration; d != "" {
		unit = page.Cut(d, 30) + ", in periods"
	}
	add := func(name, says string, expected, observed []float64) {
		out.Curves = append(out.Curves, lifeCurve{name, lifeChart(says, unit, expected, observed, solid)})
	}
	for i, c := range s.whole.Causes() {
		add("Ended by "+c.Name, "Share that has ended by "+c.Name, of.Expected.Incidence[i], of.Observed.Incidence[i])
	}
	add("Still there", "Share that no end has come to", of.Expected.Survival, of.Observed.Survival)

	every := max(1, (len(of.AtRisk)+mostLines-1)/mostLines)
	for t := every; t <= len(of.AtRisk); t += every {
		line := []string{page.Count(t), page.Number(of.AtRisk[t-1])}
		both := func(expected, observed []float64) {
			line = append(line, page.Percent(expected[t]), page.Percent(observed[t]))
		}
		for i := range of.Expected.Incidence {
			both(of.Expected.Incidence[i], of.Observed.Incidence[i])
		}
		both(of.Expected.Survival, of.Observed.Survival)
		out.Lines = append(out.Lines, line)
	}
	return out
}

// lifeChart draws both curves from 0, the count as the steps that it is.
func lifeChart(says, unit string, expected, observed []float64, solid int) template.HTML {
	most := 0.0
	for t := range expected {
		most = max(most, expected[t], observed[min(t, solid)])
	}
	most = min(1, max(0.001, most*1.06))
	last := float64(len(expected) - 1)
	c := page.NewChart(page.Narrow, 220, 0, last, 0, most)
	c.Levels(page.Ticks(0, most, 4), func(v float64) string { return page.Plain(100*v) + "%" })
	c.Marks(page.Ticks(0, last, 5), page.Plain)
	var counted, model []page.Point
	for t := range expected {
		x := float64(t)
		model = append(model, c.At(x, expected[t]))
		if t > 0 && t <= solid {
			counted = append(counted, c.At(x, observed[t-1]), c.At(x, observed[t]))
		}
	}
	c.Path("actual", false, counted...)
	c.Path("expected", false, model...)
	c.Titles(unit)
	return c.SVG(fmt.Sprintf("%s after %d periods: %s as the model says, %s counted", says, len(expected)-1, page.Percent(expected[len(expected)-1]), page.Percent(observed[len(observed)-1])))
}
