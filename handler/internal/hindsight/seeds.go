package hindsight

import (
	"fmt"
	"io"
	"math"
)

// Figure is a number over several books: its mean, and the standard error of that.
type Figure struct{ Mean, Error float64 }

// interval is half the width of the 95% interval of a mean over n books, in standard
// errors: Student's quantile.
func interval(n int) float64 {
	quantiles := [...]float64{0, 0, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26}
	switch {
	case n < 2:
		return 0
	case n < len(quantiles):
		return quantiles[n]
	}
	return 2.2
}

// Over is a part of the book, over several books.
type Over struct {
	Name      string
	Books     int
	Customers float64 // mean of a book
	Value     Figure
	Came      Figure
	Coverage  Figure
	Below     Figure
	Above     Figure
	Score     Figure
	Half      Figure
	Expected  Figure
}

// few is how many customers of a book a part of it has at least, or the book does not count
// in it: the coverage of fewer says more of their hidden traits than of intervals.
const few = 20

// Together are the parts of several books, each over those books that have it.
func Together(books []*Values) []Over {
	var names []string
	parts := map[string][]Group{}
	for _, v := range books {
		for _, part := range [...]struct {
			kind   string
			groups []Group
		}{{"", []Group{v.All}}, {"tenth ", v.Deciles}, {"", v.Segments}, {"", v.Kinds}, {"", v.Relations}} {
			for _, g := range part.groups {
				g.Name = part.kind + g.Name
				if parts[g.Name] == nil {
					names = append(names, g.Name)
					parts[g.Name] = []Group{}
				}
				if g.Customers >= few {
					parts[g.Name] = append(parts[g.Name], g)
				}
			}
		}
	}
	var out []Over
	for _, name := range names {
		of := parts[name]
		if len(of) == 0 {
			continue
		}
		figure := func(number func(g *Group) float64) Figure {
			n, sum, square := float64(len(of)), 0.0, 0.0
			for i := range of {
				sum += number(&of[i])
			}
			for i := range of {
				d := number(&of[i]) - sum/n
				square += d * d
			}
			return Figure{sum / n, math.Sqrt(square / max(1, n-1) / n)}
		}
		out = append(out, Over{
			Name: name, Books: len(of), Customers: figure(func(g *Group) float64 { return float64(g.Customers) }).Mean,
			Value: figure(func(g *Group) float64 { return g.Value }), Came: figure(func(g *Group) float64 { return g.Came }),
			Coverage: figure(func(g *Group) float64 { return g.Interval.Coverage }),
			Below:    figure(func(g *Group) float64 { return g.Interval.Below }), Above: figure(func(g *Group) float64 { return g.Interval.Above }),
			Score: figure(func(g *Group) float64 { return g.Interval.Score }), Half: figure(func(g *Group) float64 { return g.Half }),
			Expected: figure(func(g *Group) float64 { return g.Expected }),
		})
	}
	return out
}

// PrintOver writes the parts as a table, each figure with its 95% interval over books.
func PrintOver(w io.Writer, parts []Over) error {
	if _, err := fmt.Fprintf(w, "%-22s %5s %9s %9s %9s  %-14s %7s %7s  %-12s %-14s %9s\n",
		"", "books", "customers", "foretold", "came", "coverage", "below", "above", "score", "half", "expected"); err != nil {
		return err
	}
	for i := range parts {
		p := &parts[i]
		t := interval(p.Books)
		_, err := fmt.Fprintf(w, "%-22s %5d %9.0f %9.0f %9.0f  %5.1f ± %4.1f %% %6.1f%% %6.1f%%  %4.2f ± %4.2f  %5.1f ± %4.1f %% %8.1f%%\n",
			p.Name, p.Books, p.Customers, p.Value.Mean, p.Came.Mean, 100*p.Coverage.Mean, 100*t*p.Coverage.Error, 100*p.Below.Mean, 100*p.Above.Mean,
			p.Score.Mean, t*p.Score.Error, 100*p.Half.Mean, 100*t*p.Half.Error, 100*p.Expected.Mean)
		if err != nil {
			return err
		}
	}
	return nil
}
