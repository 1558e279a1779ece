package backtest

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"polis/handler/internal/measure"
	"polis/handler/internal/page"
	"polis/handler/internal/scoring"
)

//go:embed page.html
var pageHTML string

// Write writes the page.
func (r *Result) Write(w io.Writer) error {
	c := contents{Result: r, Title: r.title(), Over: r.over(), Caveat: r.caveat(), Tiles: r.tiles()}
	for _, y := range r.Years {
		c.Columns = append(c.Columns, "as of "+y.AsOf.String())
	}
	for _, p := range r.Parts {
		if n := len(c.Engines); n == 0 || c.Engines[n-1].Engine != p.Engine {
			c.Engines = append(c.Engines, engine{Engine: p.Engine, Title: titles[p.Engine], Says: says[p.Engine]})
		}
		e := &c.Engines[len(c.Engines)-1]
		e.Parts = append(e.Parts, r.part(&p))
	}
	return page.Write(w, "back-test", pageHTML, c)
}

// contents are what the template shows.
type contents struct {
	*Result
	Title   string
	Over    string // which years
	Caveat  string // of claims without recorded_at
	Tiles   []page.Tile
	Columns []string
	Engines []engine
}

type engine struct {
	scoring.Engine
	Title, Says string
	Parts       []part
}

type part struct {
	Title  string
	Lines  []line
	Chance bool // is known of some figure
	Plots  []plot
	Groups []line
	Chart  template.HTML // of the groups
}

// line is a figure by year.
type line struct {
	Title, Chance string
	Years         []cell
	All           cell
	Off           bool // all years together are not what they should be
}

// cell is a figure with its interval; "" where it has none.
type cell struct{ Value, Interval string }

func cellOf(k Kind, e *measure.Estimate) cell {
	switch {
	case e == nil:
		return cell{Value: "–"}
	case k == Count:
		return cell{Value: k.write(e.Value)}
	}
	return cell{k.write(e.Value), k.write(e.Low) + " to " + k.write(e.High)}
}

// plot is a picture of each year.
type plot struct {
	Title, Says string
	Key         []key
	Years       []picture
}

type key struct{ Class, Text string }

// picture is one with its numbers.
type picture struct {
	Title, Why string // Title goes on after the year's date
	Chart      template.HTML
	Head       []string
	Lines      [][]string
}

var titles = map[scoring.Engine]string{scoring.Risk: "Risk", scoring.Churn: "Churn", scoring.Clv: "Customer value", scoring.Nbp: "Next best product"}

var says = map[scoring.Engine]string{
	scoring.Churn: "The probability of a lapse within 12 months, by the tenant's definition, against whether there was one. Other ends are no lapses; a relation whose end was recorded already is left out.",
	scoring.Risk:  "Expected claims and losses a policy-year against those of the 12 months after, by exposure. Claims of nothing, and of covers such as glass, are no claims and part of the losses. Expected losses are those before development, as far as they are known by then; those known today are held against what all will come to.",
	scoring.Clv:   "The margin of each customer over the months that can be looked back on, against what came, discounted alike: a longer window for earlier years. Customers of one relation end together, and all of a year share what that year brought.",
	scoring.Nbp:   "What relations bought of the groups that they did not hold. All rankings are of the same groups: those that the relation could have been offered, which the rules of eligibility, a sign of care or a recent refusal did not exclude. Offers are served by need and suitability and not by likelihood: they are not made to hit most, and popularity, the book's rate of each group, is not easily beaten.",
}

func lineOf(f *Figure) line {
	l := line{Title: f.Title, All: cellOf(f.Kind, f.All), Off: f.Kind == Ratio && f.All != nil && !f.All.Has(1)}
	if f.Chance != nil {
		l.Chance = f.Kind.write(*f.Chance)
	}
	for _, e := range f.Years {
		l.Years = append(l.Years, cellOf(f.Kind, e))
	}
	return l
}

func (r *Result) part(p *Part) part {
	out := part{Title: p.Title}
	for i := range p.Figures {
		out.Lines = append(out.Lines, lineOf(&p.Figures[i]))
		out.Chance = out.Chance || p.Figures[i].Chance != nil
	}
	for i := range p.Groups {
		out.Groups = append(out.Groups, lineOf(&p.Groups[i]))
	}
	if len(p.Groups) > 0 {
		out.Chart = groupChart(p.Groups)
	}
	draw := func(title, text string, k []key, of func(year int, s *Shown) picture) {
		x := plot{Title: title, Says: text, Key: k}
		for y := range p.By {
			s := picture{Why: p.By[y].Why}
			if s.Why == "" {
				s = of(y, &p.By[y])
			}
			s.Title = "as of " + r.Years[y].AsOf.String() + s.Title
			x.Years = append(x.Years, s)
		}
		out.Plots = append(out.Plots, x)
	}
	switch {
	case p.Engine == scoring.Clv:
		r.drawValues(draw)
	case p.Code == "hits":
		draw("Hits", "Of those who bought something that they could have been offered, the share that bought one of the first of the groups that they could have been offered.", []key{{"k-dot k-actual", "as served"}, {"k-dot k-expected", "by probability"}, {"k-dot k-soft", "by popularity"}, {"k-dot k-hollow", "in any order"}},
			func(year int, _ *Shown) picture { return hitPicture(p, year) })
	default:
		drawTrials(p, draw)
	}
	return out
}

// happened is the key of pictures of dots.
func happened(what string) []key {
	return []key{{"k-dot k-actual", what + ", with 95% interval; hollow where that leaves out what was said"}, {"k-even", "as was said"}}
}

func (r *Result) drawValues(draw func(string, string, []key, func(int, *Shown) picture)) {
	head := []string{"tenth", "foretold", "came", "held"}
	lines := func(s *Shown) (out [][]string) {
		for k, t := range s.Value {
			out = append(out, []string{fmt.Sprint(k + 1), Amount.write(t.Foretold), Amount.say(t.Came), Share.say(t.Coverage)})
		}
		return out
	}
	window := func(year int) string { return fmt.Sprintf(", %d months", r.Years[year].Months) }
	draw("Foretold and came", "EUR a customer.", []key{{"k-dot k-actual", "came, with 95% interval; hollow where that leaves out what was foretold"}, {"", "foretold"}},
		func(y int, s *Shown) picture {
			return picture{Title: window(y), Chart: valueChart(s.Value), Head: head, Lines: lines(s)}
		})
	draw("Held by prediction intervals", fmt.Sprintf("They are said to hold %s.", Share.write(r.Coverage)), happened("held"),
		func(y int, s *Shown) picture {
			return picture{Title: window(y), Chart: coverageChart(s.Value, r.Coverage), Head: head, Lines: lines(s)}
		})
	draw("Where what came lay among what had been drawn", "The probability integral transform (Dawid 1984): a tenth everywhere if the draws are right; high at both ends if they lie too close together, in the middle if too wide apart, at one end if what came was more or less than foretold.", []key{{"k-bar", "share of customers, with 95% interval"}, {"k-even", "a tenth"}},
		func(y int, s *Shown) picture {
			x := picture{Title: window(y), Chart: pitChart(s.Pit), Head: []string{"tenth", "share"}}
			for k, e := range s.Pit {
				x.Lines = append(x.Lines, []string{fmt.Sprint(k + 1), Share.say(e)})
			}
			return x
		})
}

func hitPicture(p *Part, year int) picture {
	var of [rankings][len(firsts)]*measure.Estimate
	x := picture{Head: []string{"ranking", "first 1", "first 3", "first 5"}}
	for r := range of {
		l := []string{strings.ToLower(rankingNames[r])}
		for k, n := range firsts {
			of[r][k] = figureOf(p.Figures, fmt.Sprintf("%s_%d", rankingCodes[r], n)).Years[year]
			l = append(l, Share.say(of[r][k]))
		}
		x.Lines = append(x.Lines, l)
	}
	x.Chart = hitChart(of)
	return x
}

func figureOf(figures []Figure, code string) *Figure {
	return &figures[slices.IndexFunc(figures, func(f Figure) bool { return f.Code == code })]
}

// drawTrials draws what measure says of cases.
func drawTrials(p *Part, draw func(string, string, []key, func(int, *Shown) picture)) {
	tenths := func(s *Shown) (out [][]string) {
		for k, t := range s.Trial.Tenths {
			out = append(out, []string{fmt.Sprint(k + 1), page.Number(t.Expected / t.Exposure), page.Number(t.Actual / t.Exposure), Ratio.say(t.Ratio)})
		}
		return out
	}
	head := []string{"tenth", "said", "happened", "ratio"}
	gains := func() {
		draw("Gains", "Of all that happened, the share found among the highest predictions.", []key{{"k-actual", "found of what happened"}, {"", "of what was said"}, {"k-even", "by chance"}},
			func(_ int, s *Shown) picture {
				x := picture{Chart: page.Gains(s.Trial), Head: []string{"highest", "happened", "said"}}
				for _, g := range s.Trial.Gains[1:] {
					x.Lines = append(x.Lines, []string{percents(g.Share), page.Percent(g.Actual), page.Percent(g.Expected)})
				}
				return x
			})
	}
	calibration := func(unit string) {
		draw("Calibration", "Tenths of the cases by what was said of them.", append(happened("happened"), key{"k-dots", "isotonic curve, a diagnostic only"}),
			func(_ int, s *Shown) picture {
				return picture{Chart: page.Calibration(s.Trial, unit), Head: head, Lines: tenths(s)}
			})
	}
	switch p.Engine {
	case scoring.Risk:
		draw("Lift", "Tenths of the exposure by what was expected, over the mean of all.", []key{{"k-bar", "happened, over the mean"}, {"", "expected, over its mean"}},
			func(_ int, s *Shown) picture { return picture{Chart: page.Lift(s.Trial), Head: head, Lines: tenths(s)} })
		draw("Actual / expected", "Of the same tenths.", []key{{"k-dot k-actual", "with 95% interval; hollow where that leaves out 1"}, {"k-even", "as expected"}},
			func(_ int, s *Shown) picture {
				return picture{Chart: ratioChart(s.Trial), Head: head, Lines: tenths(s)}
			})
	case scoring.Churn:
		gains()
		calibration("within 12 months")
	default:
		calibration("within 12 months")
	}
}

// tiles are a figure of each engine, over all years.
func (r *Result) tiles() (out []page.Tile) {
	for _, t := range [...]struct{ part, figure, name string }{
		{"relations", "auc", "Churn: AUC"},
		{"relations", "ratio", "Lapses / expected"},
		{"claims", "gini", "Claims: Gini"},
		{"losses", "ratio", "Loss / expected"},
		{"values", "coverage", "Value: held"},
		{"hits", "probability_3", "Bought of likeliest 3"},
	} {
		i := slices.IndexFunc(r.Parts, func(p Part) bool { return p.Code == t.part })
		f := figureOf(r.Parts[i].Figures, t.figure)
		if f.All == nil {
			continue
		}
		tile := page.Tile{Name: t.name, Value: f.Kind.write(f.All.Value), Note: f.Kind.write(f.All.Low) + " to " + f.Kind.write(f.All.High)}
		switch {
		case f.Kind == Ratio:
			tile.Bad = !f.All.Has(1)
		case f.Chance != nil:
			tile.Bad = f.All.Low <= *f.Chance
		}
		out = append(out, tile)
	}
	return out
}
