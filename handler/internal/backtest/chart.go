package backtest

import (
	"fmt"
	"html/template"
	"math"

	"polis/handler/internal/measure"
	"polis/handler/internal/page"
)

// percents writes a share on an axis.
func percents(v float64) string { return page.Plain(math.Round(1e4*v)/100) + "%" }

// dots draws estimates side by side with their intervals; hollow where the interval leaves
// out what is right of it. Of one that lies above the frame an arrow says so.
func dots(c *page.Chart, of []*measure.Estimate, right func(k int) float64) {
	for k, e := range of {
		if e == nil {
			continue
		}
		x, class := c.X(float64(k)+0.5), "actual-dot"
		if !e.Has(right(k)) {
			class += " off"
		}
		if e.Value > c.Y1 {
			c.Text(x, c.Top+9, "middle", "↑")
			continue
		}
		c.Whisker("actual-error", x, c.Y(e.Low), c.Y(e.High))
		c.Dot(class, x, c.Y(e.Value), 3.2)
	}
}

// numbered labels so many places from 1.
func numbered(c *page.Chart, n int) {
	for k := range n {
		c.Text(c.X(float64(k)+0.5), c.Bottom+16, "middle", fmt.Sprint(k+1))
	}
}

// ratioChart is actual over expected by tenth. What lies above three times is cut off.
func ratioChart(t *measure.Trial) template.HTML {
	const least, utmost = 2, 3
	most := 0.0
	var of []*measure.Estimate
	for i := range t.Tenths {
		of = append(of, t.Tenths[i].Ratio)
		if r := t.Tenths[i].Ratio; r != nil {
			most = max(most, r.High)
		}
	}
	c := page.NewChart(page.Narrow, 200, 0, float64(len(of)), 0, min(max(most, least), utmost))
	c.Levels(page.Ticks(0, c.Y1, 4), page.Plain)
	c.Line("even", c.Left, c.Y(1), c.Right, c.Y(1))
	dots(c, of, func(int) float64 { return 1 })
	numbered(c, len(of))
	c.Titles("tenths of the exposure, lowest predictions first")
	return c.SVG("Actual over expected by tenths of the exposure, with 95% intervals")
}

// groupChart is actual over expected over all years, a line a group. What lies above three
// times is cut off.
func groupChart(groups []Figure) template.HTML {
	const line, utmost = 24, 3
	most := 1.5
	for _, g := range groups {
		most = max(most, g.All.High)
	}
	height := float64(line*len(groups)) + 44
	c := page.NewChart(page.Wide, height, 0, min(most, utmost), 0, 1)
	c.Left = 138
	for _, v := range page.Ticks(0, c.X1, 4) {
		c.Line("grid", c.X(v), c.Top, c.X(v), c.Bottom)
	}
	c.Line("even", c.X(1), c.Top, c.X(1), c.Bottom)
	c.Marks(page.Ticks(0, c.X1, 4), page.Plain)
	for i, g := range groups {
		y, class := c.Top+float64(line*i)+line/2, "actual-dot"
		if !g.All.Has(1) {
			class += " off"
		}
		c.Text(c.Left-8, y+3.8, "end", page.Cut(g.Title, 22))
		if g.All.Value > c.X1 {
			c.Text(c.Right-4, y+3.8, "end", "→")
			continue
		}
		c.Line("actual-error", c.X(g.All.Low), y, c.X(g.All.High), y)
		c.Dot(class, c.X(g.All.Value), y, 3.4)
	}
	c.Titles("actual / expected, all years")
	return c.SVG("Actual over expected by group, all years together, with 95% intervals")
}

// valueChart is what was foretold and what came, EUR a customer, by tenths of the first.
func valueChart(of []Tenth) template.HTML {
	low, high := 0.0, 1.0
	came := make([]*measure.Estimate, len(of))
	for k, t := range of {
		came[k] = t.Came
		low, high = min(low, t.Foretold), max(high, t.Foretold)
		if t.Came != nil {
			low, high = min(low, t.Came.Low), max(high, t.Came.High)
		}
	}
	pad := 0.04 * (high - low)
	c := page.NewChart(page.Narrow, 240, 0, float64(len(of)), low-pad, high+pad)
	c.Levels(page.Ticks(low, high, 4), page.Plain)
	c.Line("axis", c.Left, c.Y(0), c.Right, c.Y(0))
	var line []page.Point
	for k, t := range of {
		line = append(line, c.At(float64(k)+0.5, t.Foretold))
	}
	c.Path("expected", false, line...)
	dots(c, came, func(k int) float64 { return of[k].Foretold })
	numbered(c, len(of))
	c.Titles("tenths of the customers by foretold value")
	return c.SVG("Margin that came and was foretold, EUR a customer, by tenths of the foretold value, with 95% intervals")
}

// coverageChart is the share of customers that prediction intervals held, by tenths.
func coverageChart(of []Tenth, stated float64) template.HTML {
	low := stated
	held := make([]*measure.Estimate, len(of))
	for k, t := range of {
		if held[k] = t.Coverage; t.Coverage != nil {
			low = min(low, t.Coverage.Low)
		}
	}
	c := page.NewChart(page.Narrow, 200, 0, float64(len(of)), math.Floor(10*(low-0.02))/10, 1)
	c.Levels(page.Ticks(c.Y0, 1, 4), percents)
	c.Line("even", c.Left, c.Y(stated), c.Right, c.Y(stated))
	dots(c, held, func(int) float64 { return stated })
	numbered(c, len(of))
	c.Titles("tenths of the customers by foretold value")
	return c.SVG("Share of customers whose margin the prediction interval held, by tenths of the foretold value, with 95% intervals")
}

// pitChart is the histogram of where what came lay among what had been drawn.
func pitChart(of []*measure.Estimate) template.HTML {
	most := 0.0
	for _, e := range of {
		if e != nil {
			most = max(most, e.High)
		}
	}
	c := page.NewChart(page.Narrow, 200, 0, float64(len(of)), 0, max(0.2, 1.05*most))
	c.Levels(page.Ticks(0, c.Y1, 4), percents)
	each := c.X(1) - c.X(0)
	for k, e := range of {
		if e == nil {
			continue
		}
		c.Rect("bar", c.X(float64(k))+0.06*each, c.Y(e.Value), 0.88*each, c.Bottom-c.Y(e.Value))
		c.Whisker("actual-error", c.X(float64(k)+0.5), c.Y(e.Low), c.Y(e.High))
	}
	c.Line("even", c.Left, c.Y(1.0/float64(len(of))), c.Right, c.Y(1.0/float64(len(of))))
	numbered(c, len(of))
	c.Titles("tenths of what had been drawn, the lowest first")
	return c.SVG("Histogram of where the margin that came lay among what had been drawn of the customer, with 95% intervals")
}

// hitChart is the share of buyers of whom a ranking had what they bought among its first.
func hitChart(of [rankings][len(firsts)]*measure.Estimate) template.HTML {
	c := page.NewChart(page.Narrow, 220, 0, float64(len(firsts)), 0, 1)
	c.Levels([]float64{0, 0.25, 0.5, 0.75, 1}, percents)
	styles := [rankings]struct{ line, dot string }{
		served: {"actual-error", "actual-dot"}, likeliest: {"step-error", "step-dot"}, popular: {"axis", "soft-dot"}, chance: {"axis", "soft-dot off"},
	}
	for r := range of {
		for k, e := range of[r] {
			if e == nil {
				continue
			}
			x := c.X(float64(k) + 0.2 + 0.2*float64(r))
			c.Whisker(styles[r].line, x, c.Y(e.Low), c.Y(e.High))
			c.Dot(styles[r].dot, x, c.Y(e.Value), 3.2)
		}
	}
	for k, n := range firsts {
		c.Text(c.X(float64(k)+0.5), c.Bottom+16, "middle", fmt.Sprintf("first %d", n))
	}
	c.Titles("groups offered")
	return c.SVG("Share of buyers who bought one of the first 1, 3 and 5 groups, by ranking, with 95% intervals")
}
