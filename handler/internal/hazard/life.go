package hazard

import (
	"context"
	"math"

	"polis/handler/internal/fault"
)

// Life is how the subjects that a model was fitted to fared, all together, period by
// period, beside what the model says of them.
type Life struct {
	AtRisk   []float64 `json:"at_risk"`  // weighted, in period 1, 2, …
	Observed Course    `json:"observed"` // without a model (Aalen and Johansen 1978)
	// The mean of the subjects' curves from the origin. One that came in late stands for those
	// like it that had ended before, and weighs as many.
	Expected Course `json:"expected"`
}

// Course is a Curve of many, from no period gone by up to the last in training.
type Course struct {
	Survival  []float64   `json:"survival"`
	Incidence [][]float64 `json:"incidence"` // by cause
}

// mostScored is how many hazards are scored for the mean of the subjects' curves: some
// seconds' work. Of more, an even sample of the subjects has to do.
const mostScored = 10_000_000

// newCourse begins with all alive.
func newCourse(causes, last int) Course {
	c := Course{Survival: make([]float64, last+1), Incidence: make([][]float64, causes)}
	for i := range c.Incidence {
		c.Incidence[i] = make([]float64, last+1)
	}
	c.Survival[0] = 1
	return c
}

// life goes through the subjects for how they fared.
func (m *Model) life(ctx context.Context, subjects Subjects) (*Life, error) {
	causes := len(m.causes)
	l := Life{
		AtRisk:   make([]float64, m.last),
		Observed: newCourse(causes, m.last), Expected: newCourse(causes, m.last),
	}
	ends := newCourse(causes, m.last).Incidence // how many ended, by cause and period
	every := uint64(m.meta.Subjects*m.last*causes/mostScored + 1)
	one, all := newCourse(causes, m.last), 0.0
	var c Curve
	c.fit(causes, m.last)
	err := subjects(ctx, func(s *Subject) error {
		if ctx.Err() != nil {
			return fault.Wrap(fault.Cancelled, ctx.Err(), "following the subjects")
		}
		first, last := s.span()
		if first > last {
			return nil
		}
		for t := first; t < last; t++ {
			l.AtRisk[t-1] += even(s.Weight)
		}
		l.AtRisk[last-1] += even(float64(s.Weight * s.seen()))
		if s.Cause > 0 {
			ends[s.Cause-1][last] += even(s.Weight)
		}
		if s.hash()%every != 0 {
			return nil
		}
		m.follow(s, &c, &one)
		// As many as it stands for; near nobody's survival is no ground to count on.
		weight := s.Weight / max(one.Survival[first-1], 0.01)
		all += even(weight)
		for t := 1; t <= m.last; t++ {
			l.Expected.Survival[t] += even(float64(weight * one.Survival[t]))
			for i := range one.Incidence {
				l.Expected.Incidence[i][t] += even(float64(weight * one.Incidence[i][t]))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	clear(c.sums)
	alive := 1.0
	for t := 1; t <= m.last; t++ {
		for i := range ends {
			c.hazards[i] = ends[i][t] / max(l.AtRisk[t-1], math.SmallestNonzeroFloat64)
		}
		alive = Step(alive, c.hazards, c.sums)
		l.Observed.Survival[t] = sixth(alive)
		l.Expected.Survival[t] = sixth(l.Expected.Survival[t] / max(all, math.SmallestNonzeroFloat64))
		for i := range ends {
			l.Observed.Incidence[i][t] = sixth(c.sums[i])
			l.Expected.Incidence[i][t] = sixth(l.Expected.Incidence[i][t] / max(all, math.SmallestNonzeroFloat64))
		}
		l.AtRisk[t-1] = sixth(l.AtRisk[t-1])
	}
	if all == 0 { // nobody was in the sample, or has a weight
		return nil, nil
	}
	return &l, nil
}

// follow is the curve of a subject from its origin, the covariates that roll taken back
// from its entry.
func (m *Model) follow(s *Subject, c *Curve, one *Course) {
	m.begin(s.Row, c)
	clear(c.sums)
	for t := 1; t <= m.last; t++ {
		m.forward(s.Row, t, float64(t-1)-s.Entry, c)
		for i := range m.causes {
			h := m.causes[i].Hazard
			c.hazards[i] = h.Mean(h.Score(c.row, nil))
		}
		one.Survival[t] = Step(one.Survival[t-1], c.hazards, c.sums)
		for i := range one.Incidence {
			one.Incidence[i][t] = c.sums[i]
		}
	}
}

// even is v in steps so even that sums do not depend on the order of the summands.
func even(v float64) float64 {
	const steps = 1 << 24 // of 1: leaves 2^29 of subjects, or of their weights, to add up exactly
	return math.Round(v*steps) / steps
}

// sixth has six decimals, as many as a picture and more than chance leaves.
func sixth(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// check makes sure that there is a probability for each cause and period.
func (l *Life) check(causes, last int) error {
	if len(l.AtRisk) != last {
		return fault.New(fault.Invalid, "the life has %d periods, not %d", len(l.AtRisk), last)
	}
	for _, n := range l.AtRisk {
		if !finite(n) || n < 0 {
			return fault.New(fault.Invalid, "a number at risk is negative")
		}
	}
	for _, c := range []Course{l.Observed, l.Expected} {
		if len(c.Incidence) != causes {
			return fault.New(fault.Invalid, "the life has %d ends, not %d", len(c.Incidence), causes)
		}
		for _, curve := range append([][]float64{c.Survival}, c.Incidence...) {
			if len(curve) != last+1 {
				return fault.New(fault.Invalid, "a curve of the life has %d values, not %d", len(curve), last+1)
			}
			for _, p := range curve {
				if !(p >= 0 && p <= 1) {
					return fault.New(fault.Invalid, "a curve of the life is no probability")
				}
			}
		}
	}
	return nil
}
