// Package measure says how good predictions are: whether they are right on average,
// whether they tell cases apart, and how sure one may be of both.
//
// Try makes a Trial of rows with a prediction and what came of them. A row counts by its
// units, weight × exposure, and what it is predicted and what came of it are taken per
// unit, so that all families are measured alike. Rows of equal predictions have no order
// among themselves: where a tenth of the exposure ends within them, each counts in part.
// The same rows in any order give the same Trial to the last bit, on every machine.
package measure

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"polis/handler/internal/fault"
)

// Family is how outcomes vary around their mean. The names and their order are those of
// the losses in package model, so that one converts to the other.
type Family uint8

// The families. The link is the logit for Logistic and the log for the others; the variance
// is m(1-m), m, m² and m to the power of 1.5.
const (
	Logistic Family = iota
	Poisson
	Gamma
	Tweedie
)

var familyNames = [...]string{"logistic", "poisson", "gamma", "tweedie"}

func (f Family) String() string {
	if int(f) < len(familyNames) {
		return familyNames[f]
	}
	return "unknown"
}

// MarshalText writes the family's name.
func (f Family) MarshalText() ([]byte, error) {
	if int(f) >= len(familyNames) {
		return nil, fault.New(fault.Invalid, "family %d is unknown", f)
	}
	return []byte(f.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (f *Family) UnmarshalText(b []byte) error {
	i := slices.Index(familyNames[:], string(b))
	if i < 0 {
		return fault.New(fault.Invalid, "the family is unknown")
	}
	*f = Family(i)
	return nil
}

// Estimate is a value with its standard error and 95% interval.
type Estimate struct {
	Value float64 `json:"value"`
	Error float64 `json:"error"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Has reports whether the interval contains v.
func (e Estimate) Has(v float64) bool { return e.Low <= v && v <= e.High }

// normal975 is the normal distribution's quantile that leaves 2.5% on each side.
const normal975 = 1.959963984540054

// estimate is nil where the error is not a number. What lies outside of from … to is cut off.
func estimate(value, variance, from, to float64) *Estimate {
	if !finite(value) || !finite(variance) {
		return nil
	}
	e := math.Sqrt(max(0, variance))
	half := float64(normal975 * e)
	return &Estimate{
		Value: short(value), Error: short(e),
		Low: short(max(from, value-half)), High: short(min(to, value+half)),
	}
}

// Trial is how predictions did on rows. It does not change once it is made. What cannot be
// known of the rows is nil: a ratio's interval where nothing happened, a slope where all
// predictions are the same.
type Trial struct {
	Family   Family  `json:"family"`
	Rows     int     `json:"rows"`     // of some weight
	Exposure float64 `json:"exposure"` // units: the sum of weight × exposure
	Expected float64 `json:"expected"` // in total
	Actual   float64 `json:"actual"`
	// Mean deviance per unit of weight, of Tweedie per unit; of the predictions, and of the
	// rows' own mean for all.
	Deviance float64 `json:"deviance"`
	Constant float64 `json:"deviance_constant"`
	// Ratio is actual over expected, all rows together.
	Ratio *Estimate `json:"ratio,omitempty"`
	// Gini is 1 less twice the area under the Lorenz curve: the share of what happened that
	// lies in the rows of lowest prediction, over their share of the exposure.
	Gini *Estimate `json:"gini,omitempty"`
	AUC  *Estimate `json:"auc,omitempty"` // of Logistic only
	// Lift is the mean of the tenth with the highest predictions over that of all.
	Lift *Estimate `json:"lift,omitempty"`
	// Gains are the shares found among the highest predictions, by twentieths of the
	// exposure, from (0, 0, 0) to (1, 1, 1).
	Gains []Gain `json:"gains"`
	// Tenths are ten equal parts of the exposure, the lowest predictions first.
	Tenths      []Tenth      `json:"tenths"`
	Calibration *Calibration `json:"calibration,omitempty"`
	// ECE is the expected calibration error: by how much a tenth's mean differs from its
	// prediction, on average.
	ECE float64 `json:"ece"`
	// Perfect is the ECE of predictions that are true, which is not 0, as outcomes are
	// random. Of Logistic and Poisson only: the other families do not say how an amount is
	// distributed, only how it varies.
	Perfect *Perfect `json:"perfect,omitempty"`
	// Isotonic is the rising step function of the prediction that fits best: a look at
	// where a line on the link does not do, and no more.
	Isotonic []Step `json:"isotonic"`
}

// Gain is what is found among the rows of highest prediction that hold Share of the exposure.
type Gain struct {
	Share    float64 `json:"share"`
	Actual   float64 `json:"actual"`   // share of what happened
	Expected float64 `json:"expected"` // share of what was predicted
}

// Tenth is a tenth of the exposure.
type Tenth struct {
	Exposure float64   `json:"exposure"`
	Expected float64   `json:"expected"`
	Actual   float64   `json:"actual"`
	Ratio    *Estimate `json:"ratio,omitempty"` // actual over expected
}

// Calibration is the line on the link that fits the outcomes best: link of the mean =
// intercept + slope × link of the prediction (Cox 1958). Perfect predictions have 0 and 1.
type Calibration struct {
	Intercept Estimate `json:"intercept"`
	Slope     Estimate `json:"slope"`
}

// Perfect is the ECE over simulations of what was predicted: the mean, and what 95% of
// them stay below.
type Perfect struct {
	Mean float64 `json:"mean"`
	High float64 `json:"high"`
}

// Step is a step of the isotonic curve: predictions From … To had a mean of Actual.
type Step struct {
	From     float64 `json:"from"`
	To       float64 `json:"to"`
	Actual   float64 `json:"actual"`
	Exposure float64 `json:"exposure"`
}

// Mean is what happened per unit.
func (t *Trial) Mean() float64 { return t.Actual / t.Exposure }

// Explained is the share of the constant's deviance that the predictions take away.
func (t *Trial) Explained() float64 {
	if t.Constant <= 0 {
		return 0
	}
	return 1 - t.Deviance/t.Constant
}

// Float is what a caller keeps its columns in.
type Float interface{ ~float32 | ~float64 }

// Try measures predictions. mean is what was predicted per unit of exposure; actual what
// came of a row, as a model's target has it: 0 or 1, a count, the mean amount of weight
// claims, or a cost. exposure is what actual belongs to and weight how much a row counts;
// nil means 1. Rows of no weight are left out. Beyond its arguments it needs four bytes a row.
func Try[M, Y Float](family Family, mean []M, actual, exposure, weight []Y) (*Trial, error) {
	n := len(mean)
	switch {
	case int(family) >= len(familyNames):
		return nil, fault.New(fault.Invalid, "family %d is unknown", family)
	case n == 0:
		return nil, fault.New(fault.Invalid, "there are no rows to measure")
	case len(actual) != n || exposure != nil && len(exposure) != n || weight != nil && len(weight) != n:
		return nil, fault.New(fault.Invalid, "outcomes, exposures and weights must each be one for a prediction or absent")
	case n > math.MaxInt32:
		return nil, fault.New(fault.TooLarge, "more than %d rows", math.MaxInt32)
	}
	one := func(of []Y, i int32) float64 {
		if of == nil {
			return 1
		}
		return float64(of[i])
	}
	r := rows{family: family, order: make([]int32, 0, n)}
	weights := 0.0
	for i := range int32(n) {
		e, w := one(exposure, i), one(weight, i)
		if err := check(family, int(i)+1, float64(mean[i]), float64(actual[i]), e, w); err != nil {
			return nil, err
		}
		if w > 0 {
			r.order = append(r.order, i)
		}
	}
	if len(r.order) == 0 {
		return nil, fault.New(fault.Invalid, "no row has a weight")
	}
	// Equal rows may change places: whatever is summed in this order is the same.
	slices.SortFunc(r.order, func(a, b int32) int {
		if mean[a] != mean[b] {
			return cmp.Compare(mean[a], mean[b])
		}
		return cmp.Or(cmp.Compare(actual[a], actual[b]), cmp.Compare(one(exposure, a), one(exposure, b)), cmp.Compare(one(weight, a), one(weight, b)))
	})
	r.at = func(k int) row {
		i := r.order[k]
		x := row{mean: float64(mean[i]), rate: float64(actual[i]), weight: 1, units: 1}
		if exposure != nil {
			x.units = float64(exposure[i])
			x.rate /= x.units
		}
		if weight != nil {
			x.weight = float64(weight[i])
			x.units = float64(x.units * x.weight)
		}
		return x
	}
	for _, i := range r.order {
		weights += one(weight, i)
	}
	if family == Tweedie {
		weights = 0
	}
	return r.trial(weights)
}

// check says what is wrong with row i, from 1, if anything.
func check(f Family, i int, mean, actual, exposure, weight float64) error {
	switch {
	case !finite(mean) || !finite(actual) || !finite(exposure) || !finite(weight):
		return fault.New(fault.Invalid, "row %d: prediction, outcome, exposure and weight must be finite", i)
	case exposure <= 0 || weight < 0:
		return fault.New(fault.Invalid, "row %d: the exposure must be positive, the weight not negative", i)
	case f == Logistic && (mean < 0 || mean > 1):
		return fault.New(fault.Invalid, "row %d: the prediction is no probability", i)
	case f == Logistic && (actual < 0 || actual > exposure):
		return fault.New(fault.Invalid, "row %d: a logistic outcome is from 0 to 1", i)
	case f != Logistic && mean <= 0:
		return fault.New(fault.Invalid, "row %d: nothing is predicted", i)
	case f == Gamma && actual <= 0:
		return fault.New(fault.Invalid, "row %d: a gamma outcome is positive", i)
	case actual < 0:
		return fault.New(fault.Invalid, "row %d: the outcome is negative", i)
	}
	return nil
}

// rows are what is measured, the lowest predictions first.
type rows struct {
	family Family
	order  []int32
	at     func(k int) row

	units, expected, actual float64
}

// row is a row per unit.
type row struct{ mean, rate, weight, units float64 }

func (x row) expected() float64 { return float64(x.units * x.mean) }
func (x row) actual() float64   { return float64(x.units * x.rate) }

// ties goes through the rows by stretches of equal predictions, the lowest first: from is
// a stretch's first row and to the one after its last.
func (r *rows) ties(do func(from, to int)) {
	from, mean := 0, r.at(0).mean
	for k := range r.order {
		if m := r.at(k).mean; m != mean {
			do(from, k)
			from, mean = k, m
		}
	}
	do(from, len(r.order))
}

// trial measures everything; weights is what the mean deviance is per, 0 for the units.
func (r *rows) trial(weights float64) (*Trial, error) {
	r.ties(func(from, to int) {
		s := r.sum(from, to)
		r.units += s.units
		r.expected += s.expected
		r.actual += s.actual
	})
	switch {
	case !finite(r.units) || !finite(r.expected) || !finite(r.actual) || r.units <= 0:
		return nil, fault.New(fault.Invalid, "the rows are too large or too small to add up")
	case r.expected <= 0:
		return nil, fault.New(fault.Invalid, "nothing is predicted of any row")
	}
	if weights == 0 {
		weights = r.units
	}
	t := &Trial{
		Family: r.family, Rows: len(r.order),
		Exposure: short(r.units), Expected: short(r.expected), Actual: short(r.actual),
	}
	r.rank(t)
	t.Deviance, t.Constant = short(t.Deviance/weights), short(t.Constant/weights)
	t.Calibration = r.calibrate()
	t.Perfect = r.perfect()
	if err := t.Check(); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the rows differ too much in size to be measured")
	}
	return t, nil
}

// UnmarshalJSON reads a trial and refuses one that contradicts itself: a report is drawn
// from what it says.
func (t *Trial) UnmarshalJSON(b []byte) error {
	type plain Trial
	var p plain
	if err := json.Unmarshal(b, &p); err != nil {
		return fault.Wrap(fault.Malformed, err, "reading a trial")
	}
	read := Trial(p)
	if err := read.Check(); err != nil {
		return err
	}
	*t = read
	return nil
}

// Check says what no rows could have led to.
func (t *Trial) Check() error {
	bad := func(what string) error { return fault.New(fault.Invalid, "the trial's %s cannot be", what) }
	amount := func(vs ...float64) bool {
		return !slices.ContainsFunc(vs, func(v float64) bool { return !finite(v) || v < 0 })
	}
	ordered := func(es ...*Estimate) bool {
		for _, e := range es {
			if e != nil && !(finite(e.Value) && finite(e.Error) && finite(e.Low) && finite(e.High) && e.Low <= e.Value && e.Value <= e.High) {
				return false
			}
		}
		return true
	}
	switch {
	case t.Rows < 1 || !amount(t.Exposure, t.Expected, t.Actual) || t.Exposure == 0 || t.Expected == 0:
		return bad("totals")
	case !amount(t.Deviance, t.Constant, t.ECE) || t.Perfect != nil && !amount(t.Perfect.Mean, t.Perfect.High):
		return bad("deviance or calibration error")
	case !ordered(t.Ratio, t.Gini, t.AUC, t.Lift) || t.Calibration != nil && !ordered(&t.Calibration.Intercept, &t.Calibration.Slope):
		return bad("interval")
	case len(t.Gains) != gains+1 || len(t.Tenths) != tenths || len(t.Isotonic) == 0 || len(t.Isotonic) > maxSteps:
		return bad("number of gains, tenths or steps")
	}
	for i, g := range t.Gains {
		if !amount(g.Share, g.Actual, g.Expected) || max(g.Share, g.Actual, g.Expected) > 1+1e-6 || i > 0 && g.Share <= t.Gains[i-1].Share {
			return bad("gains")
		}
	}
	for _, x := range t.Tenths {
		if !amount(x.Exposure, x.Expected, x.Actual) || x.Exposure == 0 || !ordered(x.Ratio) {
			return bad("tenths")
		}
	}
	for i, s := range t.Isotonic {
		if !amount(s.From, s.To, s.Actual, s.Exposure) || s.To < s.From || i > 0 && (s.From < t.Isotonic[i-1].To || s.Actual < t.Isotonic[i-1].Actual) {
			return bad("isotonic curve")
		}
	}
	return nil
}

// short keeps eight digits, so that a model's file stays readable.
func short(v float64) float64 {
	if !finite(v) {
		return v
	}
	s, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 8, 64), 64)
	return s + 0 // not -0
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
