package report

import (
	"strconv"
	"strings"

	"polis/handler/internal/model"
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
	c := &capped{At: number(at)}
	if loading, err := strconv.ParseFloat(s.meta.Settings["excess_loading"], 64); err == nil && loading >= 1 {
		c.Left, c.Loading = percent(1-1/loading), decimals(loading)
	}
	return c
}

// words are what a model of a loss is and is good for.
var words = map[model.Loss]struct{ title, kind, predicts, purpose, capped string }{
	model.Logistic: {
		"Probability", "logistic, on the log odds",
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
		"what one claim costs below the cap, on average of many alike",
	},
	model.Tweedie: {
		"Cost", "Tweedie of power 1.5, on the log of the mean",
		"what a unit of exposure costs on average of many cases alike",
		"Expected cost in tariffs and steering of portfolios.",
		"what a unit of exposure costs below the cap, on average of many cases alike",
	},
}

func (s subject) card() card {
	w := words[s.loss]
	c := card{Title: s.meta.Name, Kind: w.kind, Predicts: w.predicts, For: w.purpose, Capped: s.capped()}
	if c.Capped != nil {
		c.Predicts = w.capped
		c.For = w.purpose + " Multiplied by the excess loading first: without it, what is above the cap is missing."
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
