package backtest

import (
	"fmt"
	"io"
	"strings"

	"polis/handler/internal/measure"
	"polis/handler/internal/page"
)

// write is a value in the words of its kind.
func (k Kind) write(v float64) string {
	switch k {
	case Count:
		return page.Count(int(v + 0.5))
	case Share:
		return page.Percent(v)
	case Amount:
		return page.Rounded(v, 0)
	case Ratio:
		return page.Rounded(v, 2)
	}
	return page.Decimals(v)
}

// say is an estimate with its interval; a dash where it is not known.
func (k Kind) say(e *measure.Estimate) string {
	switch {
	case e == nil:
		return "–"
	case k == Count:
		return k.write(e.Value)
	}
	return page.Interval(e, k.write)
}

// Print writes the figures as a table for a terminal.
func (r *Result) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", r.title(), r.over())
	for _, p := range r.Parts {
		fmt.Fprintf(&b, "\n%-44s", p.Engine.String()+": "+p.Title)
		for _, y := range r.Years {
			fmt.Fprintf(&b, "  %-24s", "as of "+y.AsOf.String())
		}
		b.WriteString("  all years\n")
		for _, f := range p.Figures {
			line := fmt.Sprintf("  %-42s", f.Title)
			for _, e := range f.Years {
				line += "  " + pad(f.Kind.say(e), 24)
			}
			b.WriteString(strings.TrimRight(line+"  "+f.Kind.say(f.All), " ") + "\n")
		}
		for i, s := range p.By {
			if s.Why != "" {
				fmt.Fprintf(&b, "  as of %s: %s\n", r.Years[i].AsOf, s.Why)
			}
		}
	}
	b.WriteString("\n" + r.footnote() + "\n")
	if said := r.caveat(); said != "" {
		b.WriteString(said + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// pad fills up with spaces to a width in letters, not in bytes.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-len([]rune(s))))
}

func (r *Result) title() string {
	if r.Book == "" {
		return "Back-test"
	}
	return "Back-test of " + r.Book
}

// over says which years.
func (r *Result) over() string {
	if len(r.Years) == 1 {
		return "One year, by what was known on " + r.AsOf.String()
	}
	return fmt.Sprintf("%d years, by what was known on %s", len(r.Years), r.AsOf)
}

// caveat is what was assumed of claims that came without recorded_at; "" where there are none.
func (r *Result) caveat() string {
	later, forgotten := 0, 0
	for _, y := range r.Years {
		later, forgotten = later+y.Later, forgotten+y.Forgotten
	}
	switch {
	case forgotten > 0:
		return fmt.Sprintf("Amounts of %d claims of these years were not recorded by %s: claims and losses of a year with such a claim are not known.", forgotten, r.AsOf)
	case later > 0:
		return fmt.Sprintf("%d claims of these years came without recorded_at: they, and those that were learnt from, count with their amounts as known on %s. Trainings knew more of the past than they would have.", later, r.AsOf)
	}
	return ""
}

func (r *Result) footnote() string {
	return fmt.Sprintf("Each year: trained and scored on what was known on its date, held against what was known of the 12 months after it %d months later.\nIn brackets 95%% intervals, of %d draws of relations.", r.Lag, r.Draws)
}
