package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// chart is a picture in progress: SVG without a script, sized so that its letters can be
// read where it is shrunk to a phone.
type chart struct {
	strings.Builder
	width, height            float64
	left, right, top, bottom float64 // of the frame that values are drawn in
	x0, x1, y0, y1           float64 // the values at its sides
}

func newChart(width, height, x0, x1, y0, y1 float64) *chart {
	return &chart{
		width: width, height: height, left: 44, right: width - 10, top: 10, bottom: height - 34,
		x0: x0, x1: x1, y0: y0, y1: y1,
	}
}

func (c *chart) x(v float64) float64 {
	return c.left + (c.right-c.left)*within((v-c.x0)/(c.x1-c.x0))
}

func (c *chart) y(v float64) float64 {
	return c.bottom - (c.bottom-c.top)*within((v-c.y0)/(c.y1-c.y0))
}

// within keeps what is drawn inside the frame.
func within(share float64) float64 {
	if share != share {
		return 0
	}
	return max(0, min(1, share))
}

func (c *chart) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func (c *chart) rect(class string, x, y, width, height float64) {
	fmt.Fprintf(c, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, x, y, width, height)
}

func (c *chart) dot(class string, x, y, r float64) {
	fmt.Fprintf(c, `<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f"/>`, class, x, y, r)
}

// whisker is an interval's line, with feet.
func (c *chart) whisker(class string, x, low, high float64) {
	c.line(class, x, low, x, high)
	c.line(class, x-3, low, x+3, low)
	c.line(class, x-3, high, x+3, high)
}

// text is escaped: labels are other people's.
func (c *chart) text(x, y float64, anchor, label string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, template.HTMLEscapeString(label))
}

type point struct{ x, y float64 }

func (c *chart) path(class string, closed bool, points ...point) {
	if len(points) == 0 {
		return
	}
	fmt.Fprintf(c, `<path class="%s" d="`, class)
	for i, p := range points {
		fmt.Fprintf(c, "%c%.1f %.1f", "ML"[min(i, 1)], p.x, p.y)
	}
	if closed {
		c.WriteByte('Z')
	}
	c.WriteString(`"/>`)
}

// levels draws lines across at values, with their labels at the left.
func (c *chart) levels(at []float64, label func(float64) string) {
	for _, v := range at {
		c.line("grid", c.left, c.y(v), c.right, c.y(v))
		c.text(c.left-6, c.y(v)+3.8, "end", label(v))
	}
}

// marks labels the axis below.
func (c *chart) marks(at []float64, label func(float64) string) {
	for _, v := range at {
		c.line("axis", c.x(v), c.bottom, c.x(v), c.bottom+4)
		c.text(c.x(v), c.bottom+16, "middle", label(v))
	}
}

// titles names the axes.
func (c *chart) titles(x string) {
	c.line("axis", c.left, c.bottom, c.right, c.bottom)
	c.text((c.left+c.right)/2, c.height-4, "middle", x)
}

// svg is the picture; says is what it shows, for those who do not see it.
func (c *chart) svg(says string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">%s</svg>`,
		c.width, c.height, template.HTMLEscapeString(says), c.String()))
}

// ticks are about n round numbers from low to high.
func ticks(low, high float64, n int) (at []float64) {
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

// factorTicks are the links of round factors between two links, with that of 1 among them
// where it lies between.
func factorTicks(low, high float64) (at []float64) {
	var factors []float64
	if from, to := math.Exp(low), math.Exp(high); to/from < 4 {
		factors = ticks(from, to, 4)
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

// plain is a number on an axis, as short as round numbers are.
func plain(v float64) string {
	if math.Abs(v) >= 1e4 {
		return number(math.Round(v*1e6) / 1e6)
	}
	return minus(strconv.FormatFloat(v, 'g', 6, 64))
}
