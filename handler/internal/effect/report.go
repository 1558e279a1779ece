package effect

import (
	"encoding/json"
	"maps"
	"math"
	"slices"

	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/portfolio"
)

// Counted is a tally as it is kept: of which run, and under which settings.
type Counted struct {
	AsOf     portfolio.Date    `json:"as_of"`
	Run      string            `json:"run_id"`
	Settings feedback.Settings `json:"settings"`
	Tally    Tally             `json:"tally"`
}

// Read reads a tally as it is kept.
func Read(body []byte) (*Counted, error) {
	c := &Counted{}
	if err := json.Unmarshal(body, c); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "decoding what became of suggestions")
	}
	for _, list := range [...]map[string]*Counts{c.Tally.Lapses, c.Tally.Purchases} {
		for key, n := range list {
			if n == nil {
				delete(list, key)
			}
		}
	}
	maps.DeleteFunc(c.Tally.Judged, func(_ string, j *feedback.Judged) bool { return j == nil })
	return c, nil
}

// After are the kinds of actions that stand after all others, by what was thought of them.
func (c *Counted) After(s *feedback.Suppression) (kinds []string) {
	for _, kind := range slices.Sorted(maps.Keys(c.Tally.Judged)) {
		if s.After(*c.Tally.Judged[kind]) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Report is what came of acting, by kind of action.
type Report struct {
	AsOf   portfolio.Date `json:"as_of"`
	Run    string         `json:"run_id"`
	Months int            `json:"window_months"` // for which customers were followed
	Level  float64        `json:"level"`         // of the intervals
	Power  float64        `json:"power"`         // with which the smallest effect would have been seen
	// HoldOut is the share that is held out; with 0 nothing here is an effect.
	HoldOut float64  `json:"hold_out"`
	Actions []Action `json:"actions"`
}

// The outcomes that are counted.
const (
	Lapse    = "lapse"
	Purchase = "purchase"
)

// Action is what came of one kind of action.
type Action struct {
	Action    string          `json:"action"`
	Outcome   string          `json:"outcome"`
	Suggested int             `json:"suggested"`
	Open      int             `json:"open"` // too young to say
	Judged    feedback.Judged `json:"judgements"`
	After     bool            `json:"after_others"` // suggested after all others, by what was thought of it
	// Association compares those acted on to those not, Effect, where suggestions are held
	// out at random, those shown to those not.
	Association Comparison  `json:"association"`
	Effect      *Comparison `json:"effect,omitempty"`
}

// Comparison is of two groups of customers over the window. Rates and differences are
// shares of customers, those of With less those of Without.
type Comparison struct {
	With    Cell `json:"with"`
	Without Cell `json:"without"`
	// LeftOut are customers in bands in which the other group has nobody.
	LeftOut int `json:"left_out"`
	// Difference with its interval is only there where enough has come to say anything.
	Difference *float64 `json:"difference,omitempty"`
	Low        *float64 `json:"low,omitempty"`
	High       *float64 `json:"high,omitempty"`
	// Smallest is the smallest difference that could have been seen with so many customers;
	// none where none could, however large.
	Smallest *float64 `json:"smallest_detectable,omitempty"`
	// Why there is no difference: nobody to compare, or too few events.
	Why string `json:"why,omitempty"`
}

// Why there is no difference.
const (
	Nobody = "nobody_to_compare"
	TooFew = "too_few_events"
)

// Report works out what came of acting.
func (c *Counted) Report() *Report {
	e := &c.Settings.Effects
	r := &Report{AsOf: c.AsOf, Run: c.Run, Months: c.Settings.WindowMonths, Level: e.Level, Power: e.Power, HoldOut: e.HoldOut, Actions: []Action{}}
	for _, of := range [...]struct {
		outcome string
		sign    float64 // of what the action is for
		counts  map[string]*Counts
	}{{Lapse, -1, c.Tally.Lapses}, {Purchase, 1, c.Tally.Purchases}} {
		for _, kind := range slices.Sorted(maps.Keys(of.counts)) {
			n := of.counts[kind]
			a := Action{
				Action: kind, Outcome: of.outcome, Suggested: n.Suggested, Open: n.Open,
				Association: compare(e, n.Acted, n.Left, of.sign),
			}
			if j := c.Tally.Judged[kind]; j != nil {
				a.Judged, a.After = *j, c.Settings.Suppression.After(*j)
			}
			if e.HoldOut > 0 {
				effect := compare(e, n.Shown, n.Held, of.sign)
				a.Effect = &effect
			}
			r.Actions = append(r.Actions, a)
		}
	}
	return r
}

func compare(e *feedback.Effects, with, without []Cell, sign float64) (c Comparison) {
	var all []cell
	for k := range max(len(with), len(without)) {
		var x cell
		if k < len(with) {
			x.n1, x.x1 = float64(with[k].Customers), float64(with[k].Events)
		}
		if k < len(without) {
			x.n0, x.x0 = float64(without[k].Customers), float64(without[k].Events)
		}
		all = append(all, x)
		c.With.Customers, c.With.Events = c.With.Customers+int(x.n1), c.With.Events+int(x.x1)
		c.Without.Customers, c.Without.Events = c.Without.Customers+int(x.n0), c.Without.Events+int(x.x0)
	}
	cells := both(all)
	c.LeftOut = c.With.Customers + c.Without.Customers
	events := 0.0
	for _, x := range cells {
		c.LeftOut -= int(x.n1 + x.n0)
		events += x.x1 + x.x0
	}
	if len(cells) == 0 {
		c.Why = Nobody
		return c
	}
	z := quantile((1 + e.Level) / 2)
	if by := detectable(cells, sign, z, quantile(e.Power)); !math.IsNaN(by) {
		c.Smallest = share(sign * by)
	}
	if events < e.Events {
		c.Why = TooFew
		return c
	}
	low, high := interval(cells, z)
	c.Difference, c.Low, c.High = share(difference(cells)), share(low), share(high)
	return c
}

// share keeps four decimals: hundredths of a percent.
func share(v float64) *float64 {
	v = math.Round(1e4*v) / 1e4
	return &v
}
