// Package backtest walks forward over the years of a book: as of each it trains on what was
// known then, scores, and holds the scores against what came in the twelve months after, as
// it was known when the reporting lag was over.
//
// A relation is mostly there in several years, and a policy beside others of its relation:
// intervals are therefore of relations drawn anew (a bootstrap by cluster, the same relations
// in all years), and not of cases. Nothing that was recorded after a year's date reaches its
// models or scores; docs/backtest.md says what a back-test cannot say.
package backtest

import (
	"context"
	"fmt"
	"math"

	"polis/handler/internal/fault"
	"polis/handler/internal/measure"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

// Options are how to test. Zero values mean the defaults.
type Options struct {
	Book     string         // what the book is called on the page
	AsOf     portfolio.Date // what is known is known on this date
	Years    int            // default 3
	Ends     portfolio.EndTable
	Settings *scoring.Settings // of the engines; default scoring.DefaultSettings
	Seed     uint64
	// Progress is told how far a year is; year counts from 0.
	Progress func(year int, asOf portfolio.Date, stage string, done, total int)
}

// mostYears is how many years may be asked: more than any book has with its history.
const mostYears = 20

// fewRelations is how many relations with a policy a book must have had at a date for
// anything to be learnt as of it. Our choice.
const fewRelations = 100

// mostRelations is about how many relations are held against what came: of a larger book one
// in so many, by their keys, the same in all years. So many give every figure an interval
// that is narrower than years differ, and are 100 MB. Our choice.
const mostRelations = 25_000

// Result is what a back-test found.
type Result struct {
	Book  string         `json:"book,omitempty"`
	AsOf  portfolio.Date `json:"as_of"`
	Lag   int            `json:"reporting_lag_months"`
	Draws int            `json:"draws"` // of relations, for the intervals
	// OneIn is of how many relations one was held against what came.
	OneIn int `json:"one_in"`
	// Coverage is what prediction intervals of value are said to hold.
	Coverage float64 `json:"coverage"`
	Years    []Year  `json:"years"` // the earliest first
	Parts    []Part  `json:"parts"`
}

// Year is one of those that were tested.
type Year struct {
	AsOf      portfolio.Date `json:"as_of"` // of the training and of the scores
	Known     portfolio.Date `json:"known"` // when what came was known
	Months    int            `json:"months_of_value"`
	Relations int            `json:"relations"` // with a policy in force
	Objected  int            `json:"objected"`  // of those looked at, left out since they object to profiling, then or now
	Announced int            `json:"announced"` // left out of churn, since their end was recorded already
	// Undated is the share of relations of whose policies only branch, start and end were
	// known then: features without a history are missing in those.
	Undated float64 `json:"undated"`
	// Later is how many claims of the year came without recorded_at and were not recorded
	// when it was known: they count with their amounts as known on the date of the test.
	Later int `json:"claims_as_known_later"`
	// Forgotten is how many of them were not recorded by the date of the test either: then
	// claims and losses of the year are not known, and nothing is held against them.
	Forgotten int `json:"claims_not_known"`
}

// Part is how an engine did in one respect.
type Part struct {
	Engine  scoring.Engine `json:"engine"`
	Code    string         `json:"part"`
	Title   string         `json:"title"`
	Figures []Figure       `json:"figures"`
	// Groups are actual over expected by number of policies, branch or product group, where
	// there is enough.
	Groups []Figure `json:"groups,omitempty"`
	By     []Shown  `json:"by_year"`
}

// Shown is what is drawn of a year.
type Shown struct {
	// Trial is nil where the year holds too little; Why says so.
	Trial *measure.Trial `json:"trial,omitempty"`
	Value []Tenth        `json:"tenths,omitempty"`
	// Pit are the shares of customers by where what came lay among what had been drawn of
	// them, in tenths: a tenth each where intervals are right.
	Pit []*measure.Estimate `json:"pit,omitempty"`
	Why string              `json:"why,omitempty"`
}

// Tenth is a tenth of the customers by foretold value, means in EUR.
type Tenth struct {
	Foretold float64           `json:"foretold"`
	Came     *measure.Estimate `json:"came"`
	Coverage *measure.Estimate `json:"coverage"`
}

// Run back-tests a book. Errors: fault.Invalid for options that cannot be, or a book that
// does not reach back far enough, else what training or the source says.
func Run(ctx context.Context, source train.Source, o Options) (*Result, error) {
	if source == nil || o.AsOf == 0 {
		return nil, fault.New(fault.Invalid, "a back-test needs a book and an as-of date")
	}
	if o.Years == 0 {
		o.Years = 3
	}
	if o.Years < 1 || o.Years > mostYears {
		return nil, fault.New(fault.Invalid, "years: from 1 to %d", mostYears)
	}
	if o.Ends.Reasons == nil {
		o.Ends = portfolio.DefaultEnds
	}
	if o.Settings == nil {
		s := scoring.DefaultSettings()
		o.Settings = &s
	}
	o.Ends = o.Ends.Within(o.Settings.Churn.ReplacementDays)
	if o.Progress == nil {
		o.Progress = func(int, portfolio.Date, string, int, int) {}
	}
	w := &walk{o: o, lag: o.Settings.Features.ReportingLag, at: map[string]int32{}}
	if err := w.reaches(ctx, source); err != nil {
		return nil, err
	}
	lived, err := train.Lived(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("reading the book: %w", err)
	}
	for k := range o.Years {
		y := newYear(w, o.Years-1-k)
		models, err := train.Fit(ctx, source, train.Options{
			AsOf: y.AsOf, Amounts: o.AsOf, Ends: o.Ends, Settings: o.Settings, Seed: o.Seed,
			Progress: func(stage string, done, total int) { o.Progress(k, y.AsOf, stage, done, total) },
		})
		if err != nil {
			return nil, fmt.Errorf("training as of %s: %w", y.AsOf, err)
		}
		if err := y.score(ctx, lived, models, func(done int) { o.Progress(k, y.AsOf, "holding scores against what came", done, w.relations) }); err != nil {
			return nil, fmt.Errorf("scoring as of %s: %w", y.AsOf, err)
		}
		w.years = append(w.years, y)
	}
	return w.result(ctx)
}

// walk is a back-test under way.
type walk struct {
	o         Options
	lag       int
	relations int
	years     []*year
	keys      []string // of relations, by number
	at        map[string]int32
}

// oneIn is of how many relations one is looked at.
func (w *walk) oneIn() int { return max(1, w.relations/mostRelations) }

// number is that of a relation.
func (w *walk) number(key string) int32 {
	n, ok := w.at[key]
	if !ok {
		n = int32(len(w.keys))
		key = string([]byte(key)) // what a source yields does not last
		w.keys, w.at[key] = append(w.keys, key), n
	}
	return n
}

// asOf is the date of the year that began so many years before the last.
func (w *walk) asOf(before int) portfolio.Date { return w.o.AsOf.AddMonths(-w.lag - 12*(before+1)) }

// reaches makes sure that the book goes back far enough: at the beginning of the last year
// that each training can look back on it must have had relations.
func (w *walk) reaches(ctx context.Context, source train.Source) error {
	there := make([]int, w.o.Years)
	var v portfolio.View
	for members, err := range source(ctx) {
		if err != nil {
			return fmt.Errorf("reading the book: %w", err)
		}
		w.relations++
		for k := range there {
			on := w.asOf(k).AddMonths(-w.lag - 12)
			for _, a := range members {
				if v.Reset(a, on, w.o.Ends); inForce(&v) {
					there[k]++
					break
				}
			}
		}
	}
	for k, n := range there {
		if n < fewRelations {
			return fault.New(fault.Invalid, "the book has %d of the %d years asked for: for one more, %d relations must have had a policy by %s, and of %d that is known",
				k, w.o.Years, fewRelations, w.asOf(k).AddMonths(-w.lag-12), n)
		}
	}
	return nil
}

func inForce(v *portfolio.View) bool {
	for i := range v.Policies {
		if v.Policies[i].InForce(v.AsOf) {
			return true
		}
	}
	return false
}

// result works the figures out of all years' cases.
func (w *walk) result(ctx context.Context) (*Result, error) {
	r := &Result{Book: w.o.Book, AsOf: w.o.AsOf, Lag: w.lag, Draws: draws, OneIn: w.oneIn(), Coverage: w.o.Settings.Clv.Coverage}
	for _, y := range w.years {
		r.Years = append(r.Years, y.Year)
	}
	parts, err := w.parts()
	if err != nil {
		return nil, err
	}
	weights := make([]float64, len(w.keys))
	for d := range draws {
		if err := ctx.Err(); err != nil {
			return nil, fault.Wrap(fault.Cancelled, err, "drawing relations")
		}
		last := len(w.years) - 1
		w.o.Progress(last, w.years[last].AsOf, "drawing relations", d, draws)
		resample(w.keys, d, weights)
		for i := range parts {
			parts[i].tally.draw(weights)
		}
	}
	for i := range parts {
		p, err := parts[i].finish()
		if err != nil {
			return nil, err
		}
		r.Parts = append(r.Parts, p)
	}
	return r, nil
}

var notKnown = math.NaN()
