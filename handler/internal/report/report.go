// Package report writes what a model is on one page: what it may be used for, how good it
// is, and its tables as pictures. The page is whole in itself: no scripts, nothing from
// elsewhere, light and dark, readable on a phone and on paper.
package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/hazard"
	"polis/handler/internal/measure"
	"polis/handler/internal/model"
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
	p := page{
		Meta: s.meta, Version: s.version, Card: s.card(), Unit: s.unit(), Rows: s.rows(), On: "the mean",
		Life:        s.life(),
		Comparisons: comparisons(s.meta.Comparisons), Proxies: s.meta.Proxies, Groups: s.groups(),
	}
	if s.loss == model.Logistic {
		p.On = "the odds"
	}
	held := "Rows held out in training"
	if s.whole != nil {
		held = "Periods of subjects held out in training"
	}
	if t := s.meta.Trial; t != nil {
		p.Trials = append(p.Trials, s.trialOf(t, held))
	}
	if tried != nil {
		if tried.Trial == nil {
			return fault.New(fault.Invalid, "a report of a table needs its trial")
		}
		p.Trials, p.Tried = append(p.Trials, s.trialOf(tried.Trial, tried.Table)), true
	}
	for _, t := range p.Trials {
		p.Simulated = p.Simulated || t.Perfect != ""
	}
	p.Measures = s.measures(p.Trials)
	p.Tiles = s.tiles(p.Trials)
	s.pictures(&p)
	slices.SortStableFunc(p.Proxies, func(a, b model.Proxy) int { return cmp.Compare(b.Share, a.Share) })
	for _, name := range slices.Sorted(maps.Keys(s.meta.Metrics)) {
		p.Metrics = append(p.Metrics, named{strings.ReplaceAll(name, "_", " "), number(s.meta.Metrics[name])})
	}
	p.Metrics = append(p.Metrics, named{"intercept, on the link", number(s.intercept)})
	page, err := template.New("report").Funcs(template.FuncMap{
		"percent": percent, "number": number, "count": count,
		"bounded": func(share float64) float64 { return 100 * within(share) },
	}).Parse(pageHTML)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "parsing the report's page")
	}
	if err := page.Execute(w, p); err != nil {
		return fault.Wrap(fault.Internal, err, "writing the report")
	}
	return nil
}

// page is what the template shows.
type page struct {
	Meta        model.Meta
	Version     string
	Card        card
	Life        *life  // of a hazard whose file keeps how subjects fared
	Unit        string // of what is predicted
	Rows        string // what they are called
	On          string // what factors are on
	Tiles       []tile
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

// tile is a figure at the top of the page.
type tile struct {
	Name, Value, Note string
	Bad               bool // it says that something is not in order
}

// tiles are from the rows held out, or from the table, or else the little that the metrics say.
func (s subject) tiles(trials []trial) (tiles []tile) {
	if len(trials) == 0 {
		if d, c := s.meta.Metrics["deviance"], s.meta.Metrics["deviance_constant"]; c > 0 {
			tiles = append(tiles, tile{Name: "Deviance explained", Value: percent(1 - d/c), Note: "of rows held out in training"})
		}
		return tiles
	}
	t := trials[0].Trial
	tiles = append(tiles, tile{Name: "Deviance explained", Value: percent(t.Explained()), Note: "of what the mean alone leaves"})
	add := func(name string, e *measure.Estimate, value func(float64) string, bad bool) {
		if e != nil {
			tiles = append(tiles, tile{Name: name, Value: value(e.Value), Note: value(e.Low) + " to " + value(e.High), Bad: bad})
		}
	}
	add("AUC", t.AUC, decimals, false)
	if t.AUC == nil {
		add("Gini", t.Gini, decimals, false)
	}
	add("Highest tenth", t.Lift, times, false)
	add(ofCapped("Actual / expected", s.capped() != nil), t.Ratio, decimals, t.Ratio != nil && !t.Ratio.Has(1))
	if k := t.Calibration; k != nil {
		add("Calibration slope", &k.Slope, decimals, !k.Slope.Has(1))
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
		row := compared{Name: c.Name, Deviance: number(c.Deviance), Explained: percent(explained(c)), Note: c.Note}
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
		row := group{Column: g.Column, Value: g.Value, Rows: count(g.Rows), Exposure: number(g.Exposure), Ratio: "–"}
		if g.Exposure > 0 {
			row.Expected, row.Actual = number(g.Expected/g.Exposure), number(g.Actual/g.Exposure)
		}
		if g.Expected > 0 {
			ratio := g.Actual / g.Expected
			row.Ratio = decimals(ratio)
			// Counts vary as Poisson's do; of amounts the sums say nothing about how they vary.
			if g.Actual > 0 && (s.loss == model.Poisson || s.loss == model.Logistic) {
				half := 1.96 * math.Sqrt(g.Actual) / g.Expected
				row.Interval = decimals(max(0, ratio-half)) + " to " + decimals(ratio+half)
				row.Apart = math.Abs(ratio-1) > half
			}
		}
		out = append(out, row)
	}
	return out
}

// number is short: five digits, or all of those before the point with thousands apart.
func number(v float64) string {
	if a := math.Abs(v); a >= 1e4 && a < 1e15 {
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	}
	return minus(fmt.Sprintf("%.5g", v))
}

func count(n int) string {
	if n < 10_000 {
		return strconv.Itoa(n)
	}
	return grouped(strconv.Itoa(n))
}

// grouped puts narrow spaces between thousands.
func grouped(digits string) string {
	out := ""
	for len(digits) > 3 && digits[len(digits)-4] != '-' {
		out = "\u202f" + digits[len(digits)-3:] + out
		digits = digits[:len(digits)-3]
	}
	return minus(digits + out)
}

func minus(s string) string {
	if strings.HasPrefix(s, "-") {
		return "−" + s[1:]
	}
	return s
}

func decimals(v float64) string { return rounded(v, 3) }
func times(v float64) string    { return rounded(v, 2) + "×" }
func percent(v float64) string  { return rounded(100*v, 1) + "%" }

// rounded has so many decimals, or none that count where the number is large.
func rounded(v float64, decimals int) string {
	if math.Abs(v) >= 1e4 {
		return number(v)
	}
	return minus(strconv.FormatFloat(v, 'f', decimals, 64))
}
