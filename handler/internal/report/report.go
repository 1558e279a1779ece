// Package report writes what a model is on one page: its tables as pictures, how good it
// is, and what it may be used for. The page is whole in itself: no scripts, nothing from
// elsewhere, light and dark, and readable on a phone.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

//go:embed page.html
var pageHTML string

// Outcome is what happened in rows that the model has scored: a prediction for the row's
// own exposure, what came of it, and the exposure (1 where there is none).
type Outcome struct {
	Predicted, Actual, Exposure []float64
	Table                       string // the file's name
}

// Write writes the page. o may be nil: then the model is shown and not tried.
func Write(w io.Writer, m *model.Model, o *Outcome) error {
	p := page{Model: m, Meta: m.Meta(), Loss: m.Loss().String(), Intercept: number(m.Intercept()), Use: uses[m.Loss()]}
	for _, name := range slices.Sorted(maps.Keys(p.Meta.Metrics)) {
		p.Metrics = append(p.Metrics, row{name, number(p.Meta.Metrics[name])})
	}
	if d, c := p.Meta.Metrics["deviance"], p.Meta.Metrics["deviance_constant"]; c > 0 {
		p.Explained = fmt.Sprintf("%.1f%%", 100*(1-d/c))
	}
	p.terms(m)
	if o != nil {
		t, err := try(o)
		if err != nil {
			return err
		}
		p.Trial = t
	}
	page, err := template.New("report").Parse(pageHTML)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "parsing the report's page")
	}
	if err := page.Execute(w, p); err != nil {
		return fault.Wrap(fault.Internal, err, "writing the report")
	}
	return nil
}

type page struct {
	Model     *model.Model
	Meta      model.Meta
	Loss      string
	Intercept string
	Explained string
	Use       string
	Metrics   []row
	Shapes    []shape
	Maps      []heatMap
	Trial     *trial
}

type row struct{ Name, Value string }

// uses is what a model of each loss may be used for.
var uses = map[model.Loss]string{
	model.Logistic: "ranks cases by how likely the outcome is; it decides about nobody by itself",
	model.Poisson:  "estimates how often something happens a unit of exposure, on average of many cases alike",
	model.Gamma:    "estimates what one claim costs, on average of many cases alike",
	model.Tweedie:  "estimates what a unit of exposure costs, on average of many cases alike",
}

func number(v float64) string { return fmt.Sprintf("%.5g", v) }

// shape is a main effect as bars: factors on the mean, or on the odds.
type shape struct {
	Name   string
	Spread string // the largest factor over the smallest
	Bars   []bar
}

type bar struct {
	Label, Factor string
	// The bar as shares of the picture's width: from the middle to the right for more
	// than average, to the left for less.
	Left, Width float64
	More        bool
}

type heatMap struct {
	Name   string
	Spread string
	Across []string
	Rows   []heatRow
}

type heatRow struct {
	Label string
	Cells []heatCell
}

type heatCell struct {
	Factor string
	Share  float64 // of the colour, never so strong that the number is hard to read
	More   bool
}

func (p *page) terms(m *model.Model) {
	cells := m.Cells()
	var mains []model.Cell
	for _, c := range cells {
		if c.Second == "" {
			mains = append(mains, c)
		}
	}
	most, _ := strongest(mains) // one scale for all, so that what matters most looks it
	for from := 0; from < len(cells); {
		to := from
		for to < len(cells) && cells[to].Term == cells[from].Term {
			to++
		}
		term := cells[from:to]
		if term[0].Second == "" {
			p.Shapes = append(p.Shapes, shapeOf(term, most))
		} else {
			p.Maps = append(p.Maps, mapOf(term))
		}
		from = to
	}
}

// strongest is the largest value of cells, at least a twentieth so that what does next
// to nothing looks like it.
func strongest(term []model.Cell) (most float64, spread string) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range term {
		low, high = min(low, c.Value), max(high, c.Value)
	}
	return max(0.05, -low, high), fmt.Sprintf("%.2f", math.Exp(high-low))
}

func shapeOf(term []model.Cell, most float64) shape {
	_, spread := strongest(term)
	s := shape{Name: term[0].Term, Spread: spread}
	for _, c := range term {
		if c.Value == 0 && (c.First == "missing" || c.First == "other") {
			continue // of which training had none
		}
		b := bar{Label: c.First, Factor: fmt.Sprintf("%.3f", c.Relativity()), More: c.Value > 0, Left: 50, Width: 50 * math.Abs(c.Value) / most}
		if !b.More {
			b.Left -= b.Width
		}
		s.Bars = append(s.Bars, b)
	}
	return s
}

func mapOf(term []model.Cell) heatMap {
	most, spread := strongest(term)
	h := heatMap{Name: term[0].Term, Spread: spread}
	for _, c := range term {
		if len(h.Rows) == 0 || h.Rows[len(h.Rows)-1].Label != c.First {
			h.Rows = append(h.Rows, heatRow{Label: c.First})
		}
		r := &h.Rows[len(h.Rows)-1]
		r.Cells = append(r.Cells, heatCell{Factor: fmt.Sprintf("%.2f", c.Relativity()), Share: 0.7 * math.Abs(c.Value) / most, More: c.Value > 0})
		if len(h.Rows) == 1 {
			h.Across = append(h.Across, c.Second)
		}
	}
	return h
}

// trial is how the model did on rows.
type trial struct {
	Table               string
	Rows                int
	Expected, Happened  string
	Ratio, Gini, Lift   string
	Deciles             []decile
	Actual, Fit         template.HTMLAttr // points of the picture's lines
	Grid                []row             // y positions and labels of the picture
	Width, Height, Left int
}

type decile struct {
	N                        int
	Predicted, Actual, Ratio string
}

const (
	deciles = 10
	width   = 560
	height  = 240
	left    = 44
)

// try orders rows by what was predicted a unit of exposure, and compares tenths of the
// exposure with what happened.
func try(o *Outcome) (*trial, error) {
	n := len(o.Predicted)
	if n == 0 || len(o.Actual) != n || len(o.Exposure) != n {
		return nil, fault.New(fault.Invalid, "a report needs rows, each with a prediction, an outcome and an exposure")
	}
	order := make([]int, n)
	exposure, predicted, actual := 0.0, 0.0, 0.0
	for i := range order {
		order[i] = i
		exposure, predicted, actual = exposure+o.Exposure[i], predicted+o.Predicted[i], actual+o.Actual[i]
	}
	if !(exposure > 0) || !(predicted > 0) {
		return nil, fault.New(fault.Invalid, "the rows have no exposure, or nothing is predicted of them")
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := o.Predicted[a]*o.Exposure[b], o.Predicted[b]*o.Exposure[a]
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	t := &trial{
		Table: o.Table, Rows: n, Expected: number(predicted), Happened: number(actual), Ratio: fmt.Sprintf("%.3f", actual/predicted),
		Width: width, Height: height, Left: left,
	}
	var sums [deciles]struct{ e, p, a float64 }
	at, area, before := 0.0, 0.0, 0.0
	for _, i := range order {
		k := min(int(at/exposure*deciles), deciles-1)
		s := &sums[k]
		s.e, s.p, s.a = s.e+o.Exposure[i], s.p+o.Predicted[i], s.a+o.Actual[i]
		at += o.Exposure[i]
		area += o.Exposure[i] * (before + o.Actual[i]/2)
		before += o.Actual[i]
	}
	t.Gini, t.Lift = "–", "–"
	if actual > 0 {
		t.Gini = fmt.Sprintf("%.3f", 1-2*area/(exposure*actual))
		t.Lift = fmt.Sprintf("%.2f", sums[deciles-1].a/sums[deciles-1].e/(actual/exposure))
	}
	most := 0.0
	for _, s := range sums {
		if s.e > 0 {
			most = max(most, s.p/s.e, s.a/s.e)
		}
	}
	x := func(k int) float64 { return left + (float64(k)+0.5)*(width-left)/deciles }
	y := func(v float64) float64 { return height - 20 - v/most*(height-40) }
	var fit, happened strings.Builder
	for k, s := range sums {
		if s.e == 0 {
			continue
		}
		p, a := s.p/s.e, s.a/s.e
		t.Deciles = append(t.Deciles, decile{k + 1, number(p), number(a), fmt.Sprintf("%.2f", a/p)})
		fmt.Fprintf(&fit, "%.1f,%.1f ", x(k), y(p))
		fmt.Fprintf(&happened, "%.1f,%.1f ", x(k), y(a))
	}
	t.Fit = template.HTMLAttr(fmt.Sprintf("points=%q", strings.TrimSpace(fit.String())))
	t.Actual = template.HTMLAttr(fmt.Sprintf("points=%q", strings.TrimSpace(happened.String())))
	for i := range 5 {
		v := most * float64(i) / 4
		t.Grid = append(t.Grid, row{fmt.Sprintf("%.1f", y(v)), fmt.Sprintf("%.3g", v)})
	}
	return t, nil
}
