// Package report writes what a model is on one page: what it may be used for, how good it
// is, and its tables as pictures. The page is whole in itself: no scripts, nothing from
// elsewhere, light and dark, readable on a phone and on paper.
package report

import (
	"cmp"
	_ "embed"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/hazard"
	"polis/handler/internal/measure"
	"polis/handler/internal/model"
	"polis/handler/internal/page"
)

//go:embed page.html
var pageHTML string

// Tried is how a model did on a table.
type Tried struct {
	Table string // its file's name
	Trial *measure.Trial
}

// Write writes the page. With a Tried it shows how the model did on that table, beside the
// rows that were held out in training.
func Write(w io.Writer, m *model.Model, tried *Tried) error {
	return subjectOf(m).write(w, tried)
}

// WriteHazard writes the page of a hazard model: the target's hazard as Write shows a model,
// and how subjects end over the periods.
func WriteHazard(w io.Writer, h *hazard.Model) error {
	s := subjectOf(h.Causes()[0].Hazard)
	whole := h.Meta()
	s.whole, s.version = h, h.Version()
	s.meta.Data, s.meta.Settings, s.meta.Weight, s.meta.Trained = whole.Data, whole.Settings, whole.Weight, whole.Trained
	s.meta.Note = title(strings.TrimPrefix(s.meta.Note+"; "+whole.Note, "; "))
	s.meta.Name = ""
	return s.write(w, nil)
}

// subject is what the page is about.
type subject struct {
	whole     *hazard.Model // nil where the model is none of a hazard
	meta      model.Meta
	loss      model.Loss
	version   string
	intercept float64
	fields    []model.Field
	terms     []model.Term
	cells     []model.Cell
}

func subjectOf(m *model.Model) subject {
	return subject{nil, m.Meta(), m.Loss(), m.Version(), m.Intercept(), m.Fields(), m.Terms(), m.Cells()}
}

func (s subject) write(w io.Writer, tried *Tried) error {
	c := contents{
		Meta: s.meta, Version: s.version, Card: s.card(), Unit: s.unit(), Rows: s.rows(), On: "the mean",
		Life:        s.life(),
		Comparisons: comparisons(s.meta.Comparisons), Proxies: s.meta.Proxies, Groups: s.groups(),
	}
	if s.loss == model.Logistic {
		c.On = "the odds"
	}
	held := "Rows held out in training"
	if s.whole != nil {
		held = "Periods of subjects held out in training"
	}
	if t := s.meta.Trial; t != nil {
		c.Trials = append(c.Trials, s.trialOf(t, held))
	}
	if tried != nil {
		if tried.Trial == nil {
			return fault.New(fault.Invalid, "a report of a table needs its trial")
		}
		c.Trials, c.Tried = append(c.Trials, s.trialOf(tried.Trial, tried.Table)), true
	}
	for _, t := range c.Trials {
		c.Simulated = c.Simulated || t.Perfect != ""
	}
	c.Measures = s.measures(c.Trials)
	c.Tiles = s.tiles(c.Trials)
	s.pictures(&c)
	slices.SortStableFunc(c.Proxies, func(a, b model.Proxy) int { return cmp.Compare(b.Share, a.Share) })
	for _, name := range slices.Sorted(maps.Keys(s.meta.Metrics)) {
		c.Metrics = append(c.Metrics, named{strings.ReplaceAll(name, "_", " "), page.Number(s.meta.Metrics[name])})
	}
	c.Metrics = append(c.Metrics, named{"intercept, on the link", page.Number(s.intercept)})
	return page.Write(w, "report", pageHTML, c)
}

// contents are what the template shows.
type contents struct {
	Meta        model.Meta
	Version     string
	Card        card
	Life        *life  // of a hazard whose file keeps how subjects fared
	Unit        string // of what is predicted
	Rows        string // what they are called
	On          string // what factors are on
	Tiles       []page.Tile
	Trials      []trial
	Tried       bool // on a table
	Simulated   bool // a perfect model was, of some trial
	Measures    []measured
	Comparisons []compared
	Importance  []important
	Weighted    bool // importance is by exposure
	Errors      bool // standard errors are known
	Shapes      []shape
	Maps        []heatMap
	Proxies     []model.Proxy
	Groups      []group
	Metrics     []named
}

type named struct{ Name, Value string }

// tiles are from the rows held out, or from the table, or else the little that the metrics say.
func (s subject) tiles(trials []trial) (tiles []page.Tile) {
	if len(trials) == 0 {
		if d, c := s.meta.Metrics["deviance"], s.meta.Metrics["deviance_constant"]; c > 0 {
			tiles = append(tiles, page.Tile{Name: "Deviance explained", Value: page.Percent(1 - d/c), Note: "of rows held out in training"})
		}
		return tiles
	}
	t := trials[0].Trial
	tiles = append(tiles, page.Tile{Name: "Deviance explained", Value: page.Percent(t.Explained()), Note: "of what the mean alone leaves"})
	add := func(name string, e *measure.Estimate, value func(float64) string, bad bool) {
		if e != nil {
			tiles = append(tiles, page.Tile{Name: name, Value: value(e.Value), Note: value(e.Low) + " to " + value(e.High), Bad: bad})
		}
	}
	add("AUC", t.AUC, page.Decimals, false)
	if t.AUC == nil {
		add("Gini", t.Gini, page.Decimals, false)
	}
	add("Highest tenth", t.Lift, page.Times, false)
	add(ofCapped("Actual / expected", s.capped() != nil), t.Ratio, page.Decimals, t.Ratio != nil && !t.Ratio.Has(1))
	if k := t.Calibration; k != nil {
		add("Calibration slope", &k.Slope, page.Decimals, !k.Slope.Has(1))
	}
	return tiles
}

// ofCapped says of a figure that it is of capped amounts.
func ofCapped(name string, capped bool) string {
	if capped {
		name += ", capped"
	}
	return name
}

// compared is a row of the table of comparisons.
type compared struct {
	Name, Deviance, Explained, Note string
	Width                           float64 // of the bar, of the most that any explains
}

func comparisons(of []model.Comparison) (out []compared) {
	most := 0.0
	explained := func(c model.Comparison) float64 {
		if of[0].Deviance <= 0 {
			return 0
		}
		return 1 - c.Deviance/of[0].Deviance
	}
	for _, c := range of {
		most = max(most, explained(c))
	}
	for _, c := range of {
		row := compared{Name: c.Name, Deviance: page.Number(c.Deviance), Explained: page.Percent(explained(c)), Note: c.Note}
		if most > 0 {
			row.Width = 100 * max(0, explained(c)) / most
		}
		out = append(out, row)
	}
	return out
}

// group is a value of a protected column.
type group struct {
	Column, Value, Rows, Exposure, Expected, Actual, Ratio, Interval string
	Apart                                                            bool // its interval does not contain 1
}

func (s subject) groups() (out []group) {
	for _, g := range s.meta.Protected {
		row := group{Column: g.Column, Value: g.Value, Rows: page.Count(g.Rows), Exposure: page.Number(g.Exposure), Ratio: "–"}
		if g.Exposure > 0 {
			row.Expected, row.Actual = page.Number(g.Expected/g.Exposure), page.Number(g.Actual/g.Exposure)
		}
		if g.Expected > 0 {
			ratio := g.Actual / g.Expected
			row.Ratio = page.Decimals(ratio)
			// Counts vary as Poisson's do; of amounts the sums say nothing about how they vary.
			if g.Actual > 0 && (s.loss == model.Poisson || s.loss == model.Logistic) {
				half := 1.96 * math.Sqrt(g.Actual) / g.Expected
				row.Interval = page.Decimals(max(0, ratio-half)) + " to " + page.Decimals(ratio+half)
				row.Apart = math.Abs(ratio-1) > half
			}
		}
		out = append(out, row)
	}
	return out
}
