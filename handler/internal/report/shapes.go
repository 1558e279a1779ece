package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/model"
	"polis/handler/internal/page"
)

// drawn is a term with what says how much it matters: the mean size of what it adds,
// weighted by exposure, or where no weights are known the span of it.
type drawn struct {
	name    string
	cells   []model.Cell
	fields  [2]string
	kinds   [2]model.Kind
	sign    int8 // of a main effect
	pair    bool
	matters float64
}

// important is a bar of the picture of what matters.
type important struct {
	Name, Effect string
	Width        float64
	Pair         bool
}

// shape is a main effect: of numbers a curve, of names bars.
type shape struct {
	Name, Spread, Sign string
	Matters            float64 // of what matters most
	Curve              template.HTML
	Bars               []bar
	More               []bar // beyond those that are shown at once
	Cells              []value
	Errors, Weights    bool // are known
}

type bar struct {
	Label, Factor string
	Zero          float64 // as shares of the picture's width
	Left, Width   float64
	Low, Wide     float64 // the whisker
	Higher        bool
}

// value is a line of the table below a picture.
type value struct{ Label, Factor, Interval, Weight string }

type heatMap struct {
	Name, Spread string
	Down, Along  string // the fields
	Across       []string
	Rows         []heatRow
}

type heatRow struct {
	Label string
	Cells []heatCell
}

type heatCell struct {
	Factor, Says string
	Share        float64 // of the colour, never so strong that the number is hard to read
	Higher       bool
	Weak         bool // it is 1 to two page.Decimals, or its interval contains 1
	Blank        bool // training had no rows there
}

// mostBars are shown at once: the highest and the lowest; the others can be unfolded.
const mostBars = 16

func (s subject) pictures(p *contents) {
	s.cells = s.banded()
	terms, weighted := s.drawn()
	p.Weighted = weighted
	for _, c := range s.cells {
		p.Errors = p.Errors || c.Error > 0
	}
	most := 0.0
	for _, t := range terms {
		most = max(most, t.matters)
	}
	for _, t := range terms {
		share := 0.0
		if most > 0 {
			share = 100 * t.matters / most
		}
		effect := page.Percent(multiple(t.matters) - 1)
		if !weighted {
			effect = page.Times(multiple(t.matters))
		}
		p.Importance = append(p.Importance, important{t.name, effect, share, t.pair})
		if t.pair {
			p.Maps = append(p.Maps, mapOf(t, weighted))
		} else {
			p.Shapes = append(p.Shapes, shapeOf(t, share))
		}
	}
}

// drawn are the terms, what matters most first.
func (s subject) drawn() (terms []drawn, weighted bool) {
	cells := s.cells
	for i := 0; len(cells) > 0; i++ {
		n := 1
		for n < len(cells) && cells[n].Term == cells[0].Term && (cells[n].Second == "") == (cells[0].Second == "") {
			n++
		}
		t := drawn{name: cells[0].Term, cells: cells[:n], pair: cells[0].Second != ""}
		for k, f := range s.terms[i].Fields {
			t.fields[k], t.kinds[k] = s.fields[f].Name, s.fields[f].Kind
			if !t.pair {
				t.sign = s.fields[f].Monotone
			}
		}
		terms, cells = append(terms, t), cells[n:]
	}
	for _, c := range s.cells {
		weighted = weighted || c.Weight > 0
	}
	for i := range terms {
		t := &terms[i]
		if !weighted {
			low, high := span(t.cells, false)
			t.matters = high - low
			continue
		}
		sum, total := 0.0, 0.0
		for _, c := range t.cells {
			sum, total = sum+c.Weight*math.Abs(c.Value), total+c.Weight
		}
		if total > 0 {
			t.matters = sum / total
		}
	}
	slices.SortStableFunc(terms, func(a, b drawn) int { return cmp.Compare(b.matters, a.matters) })
	return terms, weighted
}

// bounds are the ends of a value's band of chance.
func bounds(c model.Cell) (low, high float64) { return c.Value - c.Error, c.Value + c.Error }

// banded are cells whose Error is not the standard error but what their band of chance
// reaches to either side, by the bags of the fit; by default there are at least four.
func (s subject) banded() []model.Cell {
	bags, err := strconv.Atoi(s.meta.Settings["bags"])
	if err != nil {
		bags = 8
	}
	out := slices.Clone(s.cells)
	for i := range out {
		out[i].Error *= model.Band(bags)
	}
	return out
}

// span is from the lowest to the highest value, or end of an interval.
func span(cells []model.Cell, intervals bool) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range cells {
		a, b := c.Value, c.Value
		if intervals {
			a, b = bounds(c)
		}
		low, high = min(low, a), max(high, b)
	}
	return low, high
}

// there leaves out the bins for missing and other values where training had none.
func there(cells []model.Cell) (out []model.Cell) {
	for _, c := range cells {
		if c.Value == 0 && c.Weight == 0 && (c.First == "missing" || c.First == "other") {
			continue
		}
		out = append(out, c)
	}
	return out
}

// multiple is the factor of a link. A file may hold links of thousands, whose factors are
// no numbers any more; that they are huge is all there is to show.
func multiple(link float64) float64 { return math.Exp(max(-200, min(200, link))) }

func factor(link float64) string {
	switch f := multiple(link); {
	case f >= 1e5 || f < 1e-3:
		return fmt.Sprintf("%.1e", f)
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	default:
		return fmt.Sprintf("%.3f", f)
	}
}

func shapeOf(t drawn, share float64) shape {
	cells := there(t.cells)
	low, high := span(cells, false)
	s := shape{Name: t.name, Matters: share, Spread: page.Times(multiple(high - low))}
	switch t.sign {
	case 1:
		s.Sign = "only rises"
	case -1:
		s.Sign = "only falls"
	}
	for _, c := range cells {
		s.Errors, s.Weights = s.Errors || c.Error > 0, s.Weights || c.Weight > 0
	}
	names := labels(cells, func(c model.Cell) string { return c.First }, t.kinds[0])
	for i, c := range cells {
		v := value{Label: names[i], Factor: factor(c.Value), Weight: page.Number(c.Weight)}
		if c.Error > 0 {
			low, high := bounds(c)
			v.Interval = factor(low) + " to " + factor(high)
		}
		if s.Weights && c.Weight == 0 {
			v.Interval = "not known"
			if of := below(cells, c); of > 0 {
				v.Weight += ", its codes " + page.Number(of)
			}
		}
		s.Cells = append(s.Cells, v)
	}
	if bins := stretches(cells); t.kinds[0] == model.Numeric && len(bins) >= 4 {
		s.Curve = curve(t.name, cells, bins)
		return s
	}
	s.Bars = bars(cells, names)
	if len(s.Bars) > mostBars {
		slices.SortStableFunc(s.Bars, func(a, b bar) int { return cmp.Compare(b.Left+b.Width*side(b), a.Left+a.Width*side(a)) })
		s.More = slices.Clone(s.Bars[mostBars/2 : len(s.Bars)-mostBars/2])
		s.Bars = append(s.Bars[:mostBars/2:mostBars/2], s.Bars[len(s.Bars)-mostBars/2:]...)
	}
	return s
}

// below is the exposure of the codes that begin as a cell says; 0 where it is no beginning.
func below(cells []model.Cell, begins model.Cell) (weight float64) {
	start, ok := strings.CutSuffix(begins.First, model.Beginning)
	if !ok {
		return 0
	}
	for _, c := range cells {
		if strings.HasPrefix(c.First, start) && !strings.HasSuffix(c.First, model.Beginning) {
			weight += c.Weight
		}
	}
	return weight
}

// side is 1 where a bar's end is at the right of it.
func side(b bar) float64 {
	if b.Higher {
		return 1
	}
	return 0
}

func bars(cells []model.Cell, names []string) (out []bar) {
	low, high := span(cells, true)
	low, high = min(low, -0.02), max(high, 0.02) // what does next to nothing looks like it
	at := func(v float64) float64 { return 100 * (v - low) / (high - low) }
	for i, c := range cells {
		from, to := min(0, c.Value), max(0, c.Value)
		b := bar{
			Label: names[i], Factor: factor(c.Value), Higher: c.Value > 0,
			Zero: at(0), Left: at(from), Width: at(to) - at(from),
		}
		if c.Error > 0 {
			a, z := bounds(c)
			b.Low, b.Wide = at(a), at(z)-at(a)
		}
		out = append(out, b)
	}
	return out
}

// stretch is where a bin of numbers lies; the outermost have no end.
type stretch struct{ from, to float64 }

// stretchOf reads a bin's label as package model writes it.
func stretchOf(label string) (s stretch, ok bool) {
	parse := func(text string, into *float64) bool {
		v, err := strconv.ParseFloat(text, 64)
		*into = v
		return err == nil
	}
	s = stretch{math.Inf(-1), math.Inf(1)}
	if high, found := strings.CutPrefix(label, "below "); found {
		return s, parse(high, &s.to)
	}
	if low, found := strings.CutSuffix(label, " and above"); found {
		return s, parse(low, &s.from)
	}
	low, high, found := strings.Cut(label, " to below ")
	return s, found && parse(low, &s.from) && parse(high, &s.to)
}

// stretches are those of the cells that are bins of numbers, in order.
func stretches(cells []model.Cell) (out []stretch) {
	for _, c := range cells {
		if s, ok := stretchOf(c.First); ok {
			out = append(out, s)
		}
	}
	return out
}

// labels shortens bins' labels: "18 to 25" is from 18 to below 25, with as few digits as
// keep all edges apart.
func labels(cells []model.Cell, of func(model.Cell) string, kind model.Kind) []string {
	var edges []float64
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = of(c)
		if s, ok := stretchOf(out[i]); ok && kind == model.Numeric && !math.IsInf(s.to, 1) {
			edges = append(edges, s.to)
		}
	}
	if kind == model.Category {
		for i := range out { // what a group of categories is named after comes first
			if rest, ok := strings.CutPrefix(out[i], "missing, other, "); ok {
				out[i] = rest + ", other, missing"
			}
		}
	}
	if len(edges) == 0 {
		return out
	}
	short := page.Shorten(edges)
	for i := range out {
		s, ok := stretchOf(out[i])
		switch {
		case !ok:
		case math.IsInf(s.from, -1):
			out[i] = "< " + short(s.to)
		case math.IsInf(s.to, 1):
			out[i] = "≥ " + short(s.from)
		default:
			out[i] = short(s.from) + " to " + short(s.to)
		}
	}
	return out
}

// curve is a numeric field's step line with its band, and the exposure below it where it
// is known.
func curve(name string, cells []model.Cell, bins []stretch) template.HTML {
	edges := make([]float64, 0, len(bins)-1)
	for _, b := range bins[:len(bins)-1] {
		edges = append(edges, b.to)
	}
	var numbers []model.Cell
	var missing *model.Cell
	heaviest := 0.0
	for i, c := range cells {
		if _, ok := stretchOf(c.First); ok {
			numbers = append(numbers, c)
			heaviest = max(heaviest, c.Weight)
		} else {
			missing = &cells[i]
		}
	}
	low, high := span(cells, true)
	low, high = min(low, -0.05), max(high, 0.05)
	pad := (high - low) * 0.04
	c := page.NewChart(page.Narrow, 220, 0, 1, low-pad, high+pad)
	if missing != nil {
		c.Right -= 54
	}

	// Where most bins would be slivers on the field's own scale, all are drawn as wide.
	width := make([]float64, len(edges)-1)
	for i := range width {
		width[i] = edges[i+1] - edges[i]
	}
	slices.Sort(width)
	middle, all := width[len(width)/2], edges[len(edges)-1]-edges[0]
	even := !(middle*float64(len(width)) > 0.3*all)
	at := make([]float64, len(bins)+1) // where bins begin and end, on the x axis
	if even {
		for i := range at {
			at[i] = float64(i)
		}
	} else {
		outer := max(middle, 0.03*all)
		at[0], at[len(at)-1] = edges[0]-outer, edges[len(edges)-1]+outer
		copy(at[1:], edges)
	}
	c.X0, c.X1 = at[0], at[len(at)-1]

	if heaviest > 0 {
		for i, n := range numbers {
			h := 0.26 * (c.Bottom - c.Top) * n.Weight / heaviest
			c.Rect("exposure", c.X(at[i]), c.Bottom-h, max(0.5, c.X(at[i+1])-c.X(at[i])-0.6), h)
		}
	}
	c.Levels(page.FactorTicks(c.Y0, c.Y1), func(v float64) string { return page.Plain(math.Exp(v)) })
	c.Line("even", c.Left, c.Y(0), c.Right, c.Y(0))
	var upper, lower, line []page.Point
	banded := false
	for i, n := range numbers {
		a, z := at[i], at[i+1]
		bottom, top := bounds(n)
		banded = banded || n.Error > 0
		upper = append(upper, c.At(a, top), c.At(z, top))
		lower = append(lower, c.At(a, bottom), c.At(z, bottom))
		line = append(line, c.At(a, n.Value), c.At(z, n.Value))
	}
	if banded {
		slices.Reverse(lower)
		c.Path("band", true, append(upper, lower...)...)
	}
	c.Path("step", false, line...)
	for i := range edges {
		c.Line("axis", c.X(at[i+1]), c.Bottom, c.X(at[i+1]), c.Bottom+2.5)
	}
	title := "bins as ticks"
	if even {
		title = "bins, each as wide"
		c.Edges(at[1:len(at)-1], edges)
	} else {
		c.Marks(page.Ticks(edges[0], edges[len(edges)-1], 5), page.Plain)
	}
	if missing != nil {
		x, y := c.Right+31, c.Y(missing.Value)
		if missing.Error > 0 {
			bottom, top := bounds(*missing)
			c.Whisker("step-error", x, c.Y(bottom), c.Y(top))
		}
		c.Dot("step-dot", x, y, 3.2)
		c.Text(x, c.Bottom+16, "middle", "missing")
	}
	c.Titles(page.Cut(name, 36) + ", " + title)
	return c.SVG(fmt.Sprintf("Factors by %s, from %s to %s", name, factor(low), factor(high)))
}

func mapOf(t drawn, weighted bool) heatMap {
	blank := func(c model.Cell) bool { return weighted && c.Weight == 0 }
	low, high := span(slices.DeleteFunc(slices.Clone(t.cells), blank), false)
	if low > high { // nothing has rows behind it
		low, high = 0, 0
	}
	most := max(0.05, -low, high)
	h := heatMap{Name: t.name, Spread: page.Times(multiple(high - low)), Down: t.fields[0], Along: t.fields[1]}
	down := labels(t.cells, func(c model.Cell) string { return c.First }, t.kinds[0])
	across := labels(t.cells, func(c model.Cell) string { return c.Second }, t.kinds[1])
	for i, c := range t.cells {
		if i == 0 || c.First != t.cells[i-1].First {
			h.Rows = append(h.Rows, heatRow{Label: down[i]})
		}
		r := &h.Rows[len(h.Rows)-1]
		cell := heatCell{Factor: fmt.Sprintf("%.3g", multiple(c.Value)), Share: 0.62 * math.Abs(c.Value) / most, Higher: c.Value > 0}
		cell.Says = down[i] + ", " + across[i] + ": " + factor(c.Value)
		if math.Abs(c.Value) < 2 {
			cell.Factor = fmt.Sprintf("%.2f", multiple(c.Value))
		}
		cell.Weak = cell.Factor == "1.00"
		switch {
		case blank(c):
			cell = heatCell{Blank: true, Says: cell.Says + ", with no rows there to learn it from"}
		case c.Error > 0:
			a, z := bounds(c)
			cell.Weak = cell.Weak || a <= 0 && z >= 0
			cell.Says += " (" + factor(a) + " to " + factor(z) + ")"
		}
		r.Cells = append(r.Cells, cell)
		if len(h.Rows) == 1 {
			h.Across = append(h.Across, across[i])
		}
	}
	return h
}
