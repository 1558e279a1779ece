// Package hazard is survival in discrete time with competing ends: for each way to end a
// model of the probability that it comes in a period, given that none has come before
// (Singer and Willett 1993; Tutz and Schmid 2016). All horizons follow from these hazards
// together, so that no two of them can contradict each other.
package hazard

import (
	"fmt"
	"math"
	"slices"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// MaxPeriods is how many periods a subject may last and a prediction may reach: a
// hundred years of months. More of them are shorter than they need to be.
const MaxPeriods = 1200

// Cause is one way to end. Its model is of the covariates, with the period as their last.
type Cause struct {
	Name   string
	Hazard *model.Model
}

// Roll says how a field goes on with the periods: By every so many of them. Where
// High > Low it goes round, from High back to Low or the other way, and never reaches High.
// Age in years by month is 1 every 12; days to renewal -365 every 12, from 0 to 365.
type Roll struct {
	Field string  `json:"field"`
	By    float64 `json:"by"`
	Every float64 `json:"every"`
	Low   float64 `json:"low,omitempty"`
	High  float64 `json:"high,omitempty"`
}

// at is the field's value, some periods after it was v.
func (r *Roll) at(v, periods float64) float64 {
	v += float64(r.By*periods) / r.Every
	if r.High > r.Low {
		width := r.High - r.Low
		v -= float64(width * math.Floor((v-r.Low)/width))
		if v < r.Low || v >= r.High { // by rounding
			v = r.Low
		}
	}
	return v
}

func (r *Roll) String() string {
	s := fmt.Sprintf("%s by %v every %v periods", r.Field, r.By, r.Every)
	if r.High > r.Low {
		s += fmt.Sprintf(", round from %v to %v", r.Low, r.High)
	}
	return s
}

// Model is a fitted model. It does not change, so any number of goroutines may predict
// with it, each with a Curve of its own.
type Model struct {
	causes  []Cause
	fields  []model.Field // of each cause's model: the covariates, then the period
	last    int
	watched int // periods in training
	rolls   []Roll
	rolled  []int // the field of each
	meta    Meta
	version string
}

// Meta is what a model says about itself. Rows are person-periods, events those of the
// first cause.
type Meta struct {
	model.Meta
	Subjects int   `json:"subjects"`
	Ends     []int `json:"ends,omitempty"` // subjects that ended, by cause
	Life     *Life `json:"life,omitempty"` // it is never changed
	// Of a model fitted to a table of somebody's own: further columns that are no features.
	Duration string `json:"duration,omitempty"`
	Entry    string `json:"entry,omitempty"`
}

// Causes are the ways to end, the target first.
func (m *Model) Causes() []Cause { return slices.Clone(m.causes) }

// Fields are the covariates, in the order in which a Row gives their values.
func (m *Model) Fields() []model.Field { return slices.Clone(m.fields[:len(m.fields)-1]) }

// Last is the last period that training saw. Beyond it the period stands still: the
// hazard goes on as it was, but for fields that roll forward.
func (m *Model) Last() int { return m.last }

// Rolls are the fields that roll forward.
func (m *Model) Rolls() []Roll { return slices.Clone(m.rolls) }

// Meta is what the model says about itself.
func (m *Model) Meta() Meta {
	meta := m.meta
	meta.Meta = m.causes[0].Hazard.WithMeta(meta.Meta).Meta() // its maps are copies
	return meta
}

// Version is a short hex digest of the model's file, the same wherever it is read.
func (m *Model) Version() string { return m.version }

// String is for a log line: what it predicts and how large it is.
func (m *Model) String() string {
	return fmt.Sprintf("hazard model %s: %d causes, %d covariates, %d periods", m.version, len(m.causes), len(m.fields)-1, m.last)
}

// Curve is what a model predicts for a subject, and the room that this takes: used again,
// it costs no allocation. Both are by the periods that have gone by, from 0 up to the horizon.
type Curve struct {
	Survival  []float64   // the probability that no end has come
	Incidence [][]float64 // by cause: that this end has come

	row     model.Row
	hazards []float64
	sums    []float64
}

// Predict fills the curve of a subject that has survived so many periods, with its
// covariates as they are then. Incidence never falls, survival never rises, and together
// they are 1 but for rounding, some 1e-16 for each period.
func (m *Model) Predict(row model.Row, survived, horizon int, c *Curve) error {
	switch {
	case horizon < 1 || horizon > MaxPeriods:
		return fault.New(fault.Invalid, "a horizon is from 1 to %d periods", MaxPeriods)
	case survived < 0:
		return fault.New(fault.Invalid, "the periods survived must not be negative")
	}
	c.fit(len(m.causes), horizon)
	m.begin(row, c)
	for i := range c.Incidence {
		c.Incidence[i][0] = 0
	}
	clear(c.sums)
	alive := 1.0
	c.Survival[0] = alive
	for k := 1; k <= horizon; k++ {
		m.forward(row, survived+k, float64(k-1), c)
		for i := range m.causes {
			h := m.causes[i].Hazard
			c.hazards[i] = h.Mean(h.Score(c.row, nil))
		}
		alive = Step(alive, c.hazards, c.sums)
		c.Survival[k] = alive
		for i := range c.Incidence {
			c.Incidence[i][k] = c.sums[i]
		}
	}
	return nil
}

// Link is a cause's hazard on the link scale in the period that is ahead of a subject
// (1: the next), with the contributions of its terms. The curve lends its room.
func (m *Model) Link(cause int, row model.Row, survived, ahead int, contributions []float64, c *Curve) float64 {
	m.begin(row, c)
	m.forward(row, survived+ahead, float64(ahead-1), c)
	return m.causes[cause].Hazard.Score(c.row, contributions)
}

// Step goes through one period: from the probability of being alive at its start and each
// cause's hazard it returns that of being alive at its end, and adds to the causes'
// incidence. Hazards that add up to more than certainty are scaled to it, in place.
func Step(alive float64, hazards, incidence []float64) float64 {
	all := 0.0
	for _, h := range hazards {
		all += h
	}
	left := 1.0
	for i, h := range hazards {
		if all > 1 {
			h /= all
			hazards[i] = h
		}
		left -= h
		// Rounding may not make more of it than certainty, nor what is left less than
		// nothing: horizons would cross.
		incidence[i] = min(1, incidence[i]+float64(alive*h))
	}
	return alive * max(0, left)
}

// fit makes room for a horizon.
func (c *Curve) fit(causes, horizon int) {
	c.Survival = slices.Grow(c.Survival[:0], horizon+1)[:horizon+1]
	if len(c.Incidence) != causes {
		c.Incidence = make([][]float64, causes)
		c.hazards, c.sums = make([]float64, causes), make([]float64, causes)
	}
	for i, f := range c.Incidence {
		c.Incidence[i] = slices.Grow(f[:0], horizon+1)[:horizon+1]
	}
}

// begin copies a subject's covariates; what a short row lacks is missing.
func (m *Model) begin(row model.Row, c *Curve) {
	n := len(m.fields)
	if len(c.row.Num) != n {
		c.row = model.Row{Num: make([]float64, n), Cat: make([]string, n)}
	}
	numbers, names := copy(c.row.Num[:n-1], row.Num), copy(c.row.Cat[:n-1], row.Cat)
	for i := numbers; i < n; i++ {
		c.row.Num[i] = math.NaN()
	}
	clear(c.row.Cat[names:])
}

// forward takes the covariates to a period, so many after those in which they were known.
func (m *Model) forward(row model.Row, period int, gone float64, c *Curve) {
	for i, f := range m.rolled {
		if f < len(row.Num) {
			c.row.Num[f] = m.rolls[i].at(row.Num[f], gone)
		}
	}
	c.row.Num[len(m.fields)-1] = float64(min(period, m.last))
}
