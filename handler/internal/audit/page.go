package audit

import (
	"cmp"
	_ "embed" // the page
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"polis/handler/internal/measure"
	"polis/handler/internal/page"
)

//go:embed page.html
var pageHTML string

// Write writes the report as one page of HTML.
func Write(w io.Writer, r *Report) error {
	c := contents{Report: r, Said: r.Outcomes.Say(), Tiles: r.tiles(), Chance: r.Settings.FalseAlarm, Unchanged: 1 - r.Settings.FalseAlarm}
	for i := range r.Calibration {
		c.Measures = append(c.Measures, measuredOf(&r.Calibration[i]))
	}
	c.Proxies, c.Asked, c.Read = r.proxies()
	c.moved()
	return page.Write(w, "audit", pageHTML, c)
}

// contents are what the template shows.
type contents struct {
	*Report
	Said              string
	Tiles             []page.Tile
	Chance, Unchanged float64 // that a report of an unchanged book alarms, and that it does not
	Measures          []measured
	Proxies           []proxied // with a figure
	Asked             []string  // attributes of which nothing could be asked, with why
	Read              []string  // that models read themselves
	Moved             []moving
	Others            []Shift // that a model reads, or are scores, and did not move; by index
	Unread            int     // of those that did not move, what no model reads
}

func (r *Report) tiles() []page.Tile {
	t := []page.Tile{{Name: "Relations", Value: page.Count(r.Looked), Note: "of " + page.Count(r.Relations) + " in the book"}}
	moved := page.Tile{Name: "Moved since training", Value: "–", Note: "no baseline"}
	if r.Baseline != nil {
		n := r.Counts.Much + r.Counts.Some
		moved = page.Tile{
			Name: moved.Name, Value: page.Count(n), Bad: r.Counts.Much > 0,
			Note: fmt.Sprintf("of %d features and scores, %d of them much", len(r.Drift), r.Counts.Much),
		}
	}
	cells := 0
	for _, m := range r.Calibration {
		for _, d := range m.By {
			cells += len(d.Cells)
		}
	}
	return append(t, moved,
		page.Tile{Name: "Groups apart", Value: page.Count(r.Counts.Cells), Note: fmt.Sprintf("of %d held against what came", cells), Bad: r.Counts.Cells > 0},
		r.proxyTile())
}

// measured is how an engine did, for the page.
type measured struct {
	Measure
	Foretold, Came string
	Level          string // ratio or difference of all, with its interval
	Off            bool
	Told           []named // how cases are told apart
	Tenths         template.HTML
	Dimension      []dimension
}

type named struct{ Name, Value string }

type dimension struct {
	Name, Said string
	Rows       []row
	Picture    template.HTML
}

type row struct {
	Name, Relations, Expected, Actual, Level, Error string
	Off, Apart                                      bool
}

// amount is a sum, with decimals where it is small.
func amount(v float64) string {
	if math.Abs(v) >= 100 {
		return page.Number(math.Round(v))
	}
	return page.Number(math.Round(10*v) / 10)
}

// level is a cell's ratio, or difference, with its interval.
func (c *Cell) level() string {
	if c.Difference != nil {
		return page.Interval(c.Difference, func(v float64) string { return page.Rounded(v, 0) })
	}
	return page.Interval(c.Ratio, func(v float64) string { return page.Rounded(v, 2) })
}

func measuredOf(m *Measure) measured {
	out := measured{Measure: *m, Foretold: amount(m.All.Expected), Came: amount(m.All.Actual), Level: m.All.level(), Off: m.All.Off}
	if m.All.Relations == 0 {
		return out
	}
	tell := func(name string, e *measure.Estimate) {
		if e != nil {
			out.Told = append(out.Told, named{name, page.Interval(e, page.Decimals)})
		}
	}
	if m.Explained != nil {
		out.Told = append(out.Told, named{"Deviance explained", page.Percent(*m.Explained)})
	}
	tell("AUC", m.AUC)
	if m.AUC == nil {
		tell("Gini", m.Gini)
	}
	tell("Calibration slope", m.Slope)
	tell("Calibration intercept", m.Intercept)
	out.Told = append(out.Told, named{"Mean absolute error", page.Number(rounded(m.All.Error)) + " " + m.Unit})
	if len(m.Tenths) > 0 {
		out.Tenths = page.Calibration(&measure.Trial{Tenths: m.Tenths}, m.Unit+" a year")
	}
	for i := range m.By {
		out.Dimension = append(out.Dimension, dimensionOf(&m.By[i]))
	}
	return out
}

var titles = map[string]string{"segment": "By segment", "age": "By age", "region": "By region"}

func dimensionOf(d *Dimension) dimension {
	out := dimension{Name: titles[d.Name]}
	for i := range d.Cells {
		c := &d.Cells[i]
		out.Rows = append(out.Rows, row{
			Name: c.Name, Relations: page.Count(c.Relations), Expected: amount(c.Expected), Actual: amount(c.Actual),
			Level: c.level(), Error: page.Number(rounded(c.Error)), Off: c.Off, Apart: c.Apart,
		})
	}
	if d.Small > 0 {
		out.Said = fmt.Sprintf("%d groups are too small to be shown by themselves", d.Small)
		if n := len(d.Cells); n == 0 || d.Cells[n-1].Name != Together {
			out.Said += ", and too small together"
		}
		out.Said += "."
	}
	out.Picture = forest(d)
	return out
}

// forest is the cells' ratios, or differences, with their intervals, one below the other.
func forest(d *Dimension) template.HTML {
	if len(d.Cells) == 0 {
		return ""
	}
	estimate := func(c *Cell) *measure.Estimate { return cmp.Or(c.Ratio, c.Difference) }
	low, high, even := math.Inf(1), math.Inf(-1), 1.0
	for i := range d.Cells {
		if e := estimate(&d.Cells[i]); e != nil {
			if d.Cells[i].Difference != nil {
				even = 0
			}
			low, high = min(low, e.Low), max(high, e.High)
		}
	}
	if !(low < high) {
		return ""
	}
	if even == 1 { // an interval that is many times as wide as it should be is cut off
		low, high = 0, min(max(high, 1.5), 3)
	} else {
		half := max(math.Abs(low), math.Abs(high))
		low, high = -half, half
	}
	const line = 22
	c := page.NewChart(page.Narrow, float64(line*len(d.Cells))+46, low, high, 0, 1)
	c.Left = 118
	for _, v := range page.Ticks(low, high, 4) {
		c.Line("grid", c.X(v), c.Top, c.X(v), c.Bottom)
		c.Text(c.X(v), c.Bottom+16, "middle", page.Plain(v))
	}
	c.Line("even", c.X(even), c.Top, c.X(even), c.Bottom)
	for i := range d.Cells {
		cell := &d.Cells[i]
		y := c.Top + line*(float64(i)+0.5)
		c.Text(c.Left-8, y+3.8, "end", page.Cut(cell.Name, 18))
		e := estimate(cell)
		if e == nil {
			continue
		}
		c.Line("actual-error", c.X(e.Low), y, c.X(e.High), y)
		class := "actual-dot"
		if cell.Off {
			class += " off"
		}
		c.Dot(class, c.X(e.Value), y, 3.6)
	}
	c.Titles("")
	says := "Actual over expected of each group, with 95% intervals"
	if even == 0 {
		says = "Actual less expected of each group, EUR a customer, with 95% intervals"
	}
	return c.SVG(says)
}

// proxyTile counts proxies beside how many values were looked at: none of none is no all-clear.
func (r *Report) proxyTile() page.Tile {
	asked := 0
	for _, p := range r.Proxies {
		if p.AUC != nil {
			asked++
		}
	}
	if asked == 0 {
		return page.Tile{Name: "Proxies", Value: "–", Note: "nothing could be looked at"}
	}
	return page.Tile{Name: "Proxies", Value: page.Count(r.Counts.Proxies), Note: fmt.Sprintf("of %d values looked at, that features tell", asked), Bad: r.Counts.Proxies > 0}
}

// proxied is a proxy for the page.
type proxied struct {
	Proxy
	Level, Share, Tells string
	Width               float64 // of the bar: 0 at chance, 100 at certainty
}

func (r *Report) proxies() (out []proxied, asked, read []string) {
	for _, p := range r.Proxies {
		switch {
		case p.Read:
			read = append(read, p.Attribute+" ("+p.Models+")")
		case p.AUC == nil:
			asked = append(asked, p.Attribute+" ("+p.Models+"): "+p.Note)
		default:
			x := proxied{
				Proxy: p, Level: page.Interval(p.AUC, func(v float64) string { return page.Rounded(v, 2) }),
				Share: page.Percent(float64(p.With) / float64(p.Rows)), Width: 200 * max(0, p.AUC.Value-0.5),
			}
			var by []string
			for _, c := range p.Carriers {
				by = append(by, fmt.Sprintf("%s %.0f%%", c.Feature, 100*c.Share))
			}
			x.Tells = strings.Join(by, ", ")
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, func(a, b proxied) int { return cmp.Compare(b.AUC.Low, a.AUC.Low) })
	return out, asked, read
}

// moving is a feature that moved, with a picture of its shares then and now.
type moving struct {
	Shift
	Picture template.HTML
}

// moved parts what moved from what did not. What a model reads comes first.
func (c *contents) moved() {
	for _, s := range c.Drift {
		switch {
		case s.Verdict == Some || s.Verdict == Much:
			c.Moved = append(c.Moved, moving{s, shares(&s)})
		case s.Read || s.Verdict == ByChance:
			c.Others = append(c.Others, s)
		default:
			c.Unread++
		}
	}
	slices.SortStableFunc(c.Moved, func(a, b moving) int {
		switch {
		case a.Read == b.Read:
			return 0
		case a.Read:
			return -1
		}
		return 1
	})
}

// shares are the bins' then, as bars, and now, as a line.
func shares(s *Shift) template.HTML {
	most := 0.0
	for _, b := range s.Bins {
		most = max(most, b.Then, b.Now)
	}
	if most == 0 {
		return ""
	}
	const line = 20
	c := page.NewChart(page.Narrow, float64(line*len(s.Bins))+46, 0, most*1.05, 0, 1)
	c.Left = 118
	for _, v := range page.Ticks(0, most*1.05, 4) {
		c.Line("grid", c.X(v), c.Top, c.X(v), c.Bottom)
		c.Text(c.X(v), c.Bottom+16, "middle", fmt.Sprintf("%.3g%%", 100*v))
	}
	for i, b := range s.Bins {
		y := c.Top + line*float64(i)
		c.Text(c.Left-8, y+line*0.68, "end", page.Cut(b.Bin, 18))
		c.Rect("exposure", c.Left, y+3, c.X(b.Then)-c.Left, line-6)
		c.Dot("actual-dot", c.X(b.Now), y+line/2, 3.6)
	}
	c.Titles("")
	return c.SVG("Shares of " + s.Name + " at training and now")
}
