package report

import (
	"fmt"
	"html/template"
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
	out := &life{First: number(first), Few: percent(fewAtRisk), Short: solid < len(of.AtRisk)}
	unit := "periods gone"
	if d := s.whole.Meta().Duration; d != "" {
		unit = cut(d, 30) + ", in periods"
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
		line := []string{count(t), number(of.AtRisk[t-1])}
		both := func(expected, observed []float64) {
			line = append(line, percent(expected[t]), percent(observed[t]))
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
	c := newChart(narrow, 220, 0, last, 0, most)
	c.levels(ticks(0, most, 4), func(v float64) string { return plain(100*v) + "%" })
	c.marks(ticks(0, last, 5), plain)
	var counted, model []point
	for t := range expected {
		x := c.x(float64(t))
		model = append(model, point{x, c.y(expected[t])})
		if t > 0 && t <= solid {
			counted = append(counted, point{x, c.y(observed[t-1])}, point{x, c.y(observed[t])})
		}
	}
	c.path("actual", false, counted...)
	c.path("expected", false, model...)
	c.titles(unit)
	return c.svg(fmt.Sprintf("%s after %d periods: %s as the model says, %s counted", says, len(expected)-1, percent(expected[len(expected)-1]), percent(observed[len(observed)-1])))
}
