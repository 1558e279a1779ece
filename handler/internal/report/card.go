package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"polis/handler/internal/model"
	"polis/handler/internal/page"
)

// card is the model card's words that depend on the model.
type card struct {
	Title    string
	Kind     string // family and link
	Predicts string
	For      string
	Features string // names of the fields it reads
	Monotone string
	Unread   string // names of those it does not
	Capped   *capped
	Ends     *ends
}

// ends are whom a hazard was learnt from, and how they ended.
type ends struct {
	Subjects, Periods string
	Duration          string // what the periods are counted by, with the entry where there is one
	By                []named
	Watched           string // who ended in no way; "" where the file does not say
}

// ends is nil where the model is none of a hazard.
func (s subject) ends() *ends {
	if s.whole == nil {
		return nil
	}
	meta := s.whole.Meta()
	out := &ends{Subjects: page.Count(meta.Subjects), Periods: page.Count(meta.Rows), Duration: meta.Duration}
	if meta.Entry != "" {
		out.Duration += ", watched from " + meta.Entry
	}
	left := meta.Subjects
	for i, c := range s.whole.Causes() {
		n := named{Name: c.Name, Value: page.Number(c.Hazard.Meta().Events)}
		if len(meta.Ends) > 0 { // of older files the weighted number is all there is
			n.Value = page.Count(meta.Ends[i])
			left -= meta.Ends[i]
		}
		out.By = append(out.By, n)
	}
	if len(meta.Ends) > 0 {
		out.Watched = page.Count(left)
	}
	return out
}

// capped is what a model of capped amounts leaves out.
type capped struct{ At, Left, Loading string }

// capped reads what the fit has noted of its cap; nil where amounts are whole. Left is the
// share of the total above the cap: the loading is the total over what is below it.
func (s subject) capped() *capped {
	at, err := strconv.ParseFloat(s.meta.Settings["cap"], 64)
	if err != nil {
		return nil
	}
	c := &capped{At: page.Number(at)}
	if loading, err := strconv.ParseFloat(s.meta.Settings["excess_loading"], 64); err == nil && loading >= 1 {
		c.Left, c.Loading = page.Percent(1-1/loading), page.Decimals(loading)
	}
	return c
}

// words are what a model of a loss is and is good for.
var words = map[model.Loss]struct{ title, kind, predicts, purpose, capped string }{
	model.Logistic: {
		"Probability", "Logistic, on the log odds",
		"how likely the outcome is for a case like those it was learnt from",
		"Ranking and weighing cases: whom to look at first, how many of many to expect, what a portfolio will do.",
		"",
	},
	model.Poisson: {
		"Frequency", "Poisson, on the log of the mean",
		"how often something happens in a unit of exposure, on average of many cases alike",
		"Expected frequency in tariffs, reserving and steering of portfolios.",
		"",
	},
	model.Gamma: {
		"Severity", "Gamma, on the log of the mean",
		"what one claim costs on average of many alike",
		"Expected cost of a claim in tariffs, reserving and steering of portfolios.",
		"what one claim costs up to the cap, on average of many alike",
	},
	model.Tweedie: {
		"Cost", "Tweedie of power 1.5, on the log of the mean",
		"what a unit of exposure costs on average of many cases alike",
		"Expected cost in tariffs and steering of portfolios.",
		"what a unit of exposure costs up to the cap, on average of many cases alike",
	},
}

func (s subject) card() card {
	w := words[s.loss]
	c := card{Title: s.meta.Name, Kind: w.kind, Predicts: w.predicts, For: w.purpose, Capped: s.capped()}
	if c.Capped != nil {
		c.Predicts = w.capped
		c.For = w.purpose + " Multiplied by the excess loading first: without it, what is above the cap is missing."
	}
	if c.Ends = s.ends(); c.Ends != nil {
		c.Kind = "Hazard in discrete time, logistic, on the log odds"
		c.Predicts = "how likely one that is still there when a period begins is to end in this way before it is over: a hazard, and not the probability of ever ending so, which follows from the hazards of all ends over the periods. The end"
		c.For = "Incidence and survival by a horizon (polis predict --horizon): how many of many will have ended by when, and whom to look at first."
		c.Title = "Hazard of " + s.meta.Target
	}
	if c.Title == "" {
		c.Title = w.title + " model"
		if s.meta.Target != "" {
			c.Title = w.title + " of " + s.meta.Target
		}
	}
	read := make([]bool, len(s.fields))
	for _, t := range s.terms {
		for _, f := range t.Fields {
			read[f] = true
		}
	}
	var features, monotone, unread []string
	for i, f := range s.fields {
		if !read[i] {
			unread = append(unread, f.Name)
			continue
		}
		features = append(features, f.Name)
		switch f.Monotone {
		case 1:
			monotone = append(monotone, f.Name+" (only rises)")
		case -1:
			monotone = append(monotone, f.Name+" (only falls)")
		}
	}
	c.Features, c.Monotone, c.Unread = strings.Join(features, ", "), strings.Join(monotone, ", "), strings.Join(unread, ", ")
	return c
}

// rows are what a line of the table that it was fitted to is called.
func (s subject) rows() string {
	if s.whole != nil {
		return "periods at risk"
	}
	return "rows"
}

// title begins with a capital letter.
func title(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// unit says what a prediction is per, or as what it is to be read.
func (s subject) unit() string {
	unit := s.per()
	if s.capped() != nil {
		unit += ", capped"
	}
	return unit
}

func (s subject) per() string {
	switch {
	case s.whole != nil:
		return "in a period, given no end before"
	case s.meta.Exposure != "":
		return "per " + s.meta.Exposure
	case s.loss == model.Logistic:
		return "as a probability"
	case s.loss == model.Gamma:
		return "per claim"
	default:
		return "per row"
	}
}
