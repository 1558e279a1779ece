package page

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Chart is a picture in progress: SVG without a script, sized so that its letters can be
// read where it is shrunk to a phone.
type Chart struct {
	strings.Builder
	Width, Height            float64
	Left, Right, Top, Bottom float64 // of the frame that values are drawn in
	X0, X1, Y0, Y1           float64 // the values at its sides
}

// The widths of pictures: of one that stands in a half of a page, and of one of which three
// stand side by side.
const (
	Wide   = 380
	Narrow = 330
)

// NewChart is an empty picture whose frame reaches from x0 to x1 and from y0 to y1.
func NewChart(width, height, x0, x1, y0, y1 float64) *Chart {
	return &Chart{
		Width: width, Height: height, Left: 44, Right: width - 10, Top: 10, Bottom: height - 34,
		X0: x0, X1: x1, Y0: y0, Y1: y1,
	}
}

// X is where a value lies across; one outside the frame lies on its edge.
func (c *Chart) X(v float64) float64 {
	return c.Left + (c.Right-c.Left)*within((v-c.X0)/(c.X1-c.X0))
}

// Y is where a value lies up, as X.
func (c *Chart) Y(v float64) float64 {
	return c.Bottom - (c.Bottom-c.Top)*within((v-c.Y0)/(c.Y1-c.Y0))
}

// within keeps what is drawn inside the frame.
func within(share float64) float64 {
	if share != share {
		return 0
	}
	return max(0, min(1, share))
}

// At is where a pair of values lies.
func (c *Chart) At(x, y float64) Point { return Point{c.X(x), c.Y(y)} }

// Line is straight; class is one of the style sheet's.
func (c *Chart) Line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

// Rect is a bar from its upper left.
func (c *Chart) Rect(class string, x, y, width, height float64) {
	fmt.Fprintf(c, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, x, y, width, height)
}

// Dot is a filled circle.
func (c *Chart) Dot(class string, x, y, r float64) {
	fmt.Fprintf(c, `<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f"/>`, class, x, y, r)
}

// Whisker is an interval's line, with feet.
func (c *Chart) Whisker(class string, x, low, high float64) {
	c.Line(class, x, low, x, high)
	c.Line(class, x-3, low, x+3, low)
	c.Line(class, x-3, high, x+3, high)
}

// Text is escaped: labels are other people's.
func (c *Chart) Text(x, y float64, anchor, label string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, template.HTMLEscapeString(label))
}

// Point is a place in the picture, not a value: see Chart.At.
type Point struct{ X, Y float64 }

// Path is a line through points, or an area.
func (c *Chart) Path(class string, closed bool, points ...Point) {
	if len(points) == 0 {
		return
	}
	fmt.Fprintf(c, `<path class="%s" d="`, class)
	for i, p := range points {
		fmt.Fprintf(c, "%c%.1f %.1f", "ML"[min(i, 1)], p.X, p.Y)
	}
	if closed {
		c.WriteByte('Z')
	}
	c.WriteString(`"/>`)
}

// Levels draws lines across at values, with their labels at the left.
func (c *Chart) Levels(at []float64, label func(float64) string) {
	for _, v := range at {
		c.Line("grid", c.Left, c.Y(v), c.Right, c.Y(v))
		c.Text(c.Left-6, c.Y(v)+3.8, "end", label(v))
	}
}

// Marks labels the axis below.
func (c *Chart) Marks(at []float64, label func(float64) string) {
	for _, v := range at {
		c.Line("axis", c.X(v), c.Bottom, c.X(v), c.Bottom+4)
		c.Text(c.X(v), c.Bottom+16, "middle", label(v))
	}
}

// Titles names the axes.
func (c *Chart) Titles(x string) {
	c.Line("axis", c.Left, c.Bottom, c.Right, c.Bottom)
	c.Text((c.Left+c.Right)/2, c.Height-4, "middle", x)
}

// SVG is the picture; says is what it shows, for those who do not see it.
func (c *Chart) SVG(says string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">%s</svg>`,
		c.Width, c.Height, template.HTMLEscapeString(says), c.String()))
}

// Ticks are about n round numbers from low to high.
func Ticks(low, high float64, n int) (at []float64) {
	if !(high > low) {
		return nil
	}
	raw := (high - low) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * unit
	for _, k := range []float64{1, 2, 2.5, 5} {
		if k*unit >= raw*0.999 {
			step = k * unit
			break
		}
	}
	for k := math.Ceil(low/step - 1e-9); k*step <= high+1e-9*step; k++ {
		at = append(at, k*step+0) // not -0
	}
	return at
}

// FactorTicks are the links of round factors between two links, with that of 1 among them
// where it lies between.
func FactorTicks(low, high float64) (at []float64) {
	var factors []float64
	if from, to := math.Exp(low), math.Exp(high); to/from < 4 {
		factors = Ticks(from, to, 4)
	} else {
		of, every, decades := []float64{1, 2, 5}, 1.0, (high-low)/math.Ln10
		if decades > 2.5 {
			of, every = of[:1], math.Ceil(decades/6)
		}
		for k := every * math.Floor(low/math.Ln10/every); k <= high/math.Ln10; k += every {
			for _, m := range of {
				factors = append(factors, m*math.Pow(10, k))
			}
		}
	}
	for _, f := range factors {
		if v := math.Log(f); v >= low-1e-9 && v <= high+1e-9 {
			at = append(at, v)
		}
	}
	return at
}

// Plain is a number on an axis, as short as round numbers are.
func Plain(v float64) string {
	if math.Abs(v) >= 1e4 {
		return Number(math.Round(v*1e6) / 1e6)
	}
	return minus(strconv.FormatFloat(v, 'g', 6, 64))
}

// Edges writes as many edges below the axis as there is room for.
func (c *Chart) Edges(at, edges []float64) {
	write := Shorten(edges)
	last := math.Inf(-1)
	for i, e := range edges {
		label := write(e)
		half := 3.2 * float64(len([]rune(label)))
		if x := c.X(at[i]); x-half > last+10 && x+half < c.Right+4 {
			c.Line("axis", x, c.Bottom, x, c.Bottom+4)
			c.Text(x, c.Bottom+16, "middle", label)
			last = x + half
		}
	}
}
