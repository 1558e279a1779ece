package hazard

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// Subject is what was seen of one life, of whatever kind: a customer, a policy.
type Subject struct {
	model.Row         // its covariates as of Entry
	Duration  float64 // periods from the origin to the end, or to where it was last seen; > 0
	Entry     float64 // periods after the origin from which it was watched; 0: from the origin
	Cause     int     // what ended it, from 1; 0: nothing that was seen
	Weight    float64 // 1 where there is none
	Time      float64 // see model.Target
	Group     string  // those of one group stay together; "": it is its own
}

// Subjects gives the subjects one by one to do, each time all of them and in the same
// order. What it gives is good until do returns; an error of do's ends it.
type Subjects func(ctx context.Context, do func(*Subject) error) error

// Options are how to fit. The zero value of each means its default.
type Options struct {
	// Learner is how to fit each cause's model. Its Loss, Held and Protected are not used; Bins are
	// by default as many as make each period its own.
	Learner model.Options
	Causes  []string // their names, cause 1 first: the target
	Period  string   // what the period is called as a field; "tenure"
	Rolls   []Roll   // the fields that roll forward
}

// Fit learns a model for each cause from the subjects' periods, which are made as they
// are read and not held. A subject is at risk in a period that it is watched in from the
// start: that in which it ends is the one that its duration falls into, 2.3 and 3 both
// being the third; one that is only lost sight of counts in a period by the part of it that
// it was watched, so at 2.3 in two and three tenths; one that is watched from 1.5 comes in
// with the third. A subject's periods stay on one side of every split.
//
// A subject that breaks the rules is fault.Invalid, and so is a cause that ends nobody.
func Fit(ctx context.Context, fields []model.Field, subjects Subjects, o Options) (*Model, error) {
	m := &Model{fields: append(slices.Clone(fields), model.Field{Name: o.Period}), rolls: slices.Clone(o.Rolls)}
	if o.Period == "" {
		m.fields[len(fields)].Name = "tenure"
	}
	for _, name := range o.Causes {
		m.causes = append(m.causes, Cause{Name: name})
	}
	if err := m.checkShape(); err != nil {
		return nil, err
	}
	if err := m.survey(ctx, subjects); err != nil {
		return nil, err
	}
	learner := o.Learner
	learner.Loss, learner.Protected = model.Logistic, 0
	if learner.Bins == 0 {
		learner.Bins = max(64, min(m.last, 250))
	}
	furthest := 0
	for i := range m.causes {
		c := &m.causes[i]
		if o.Learner.Progress != nil {
			learner.Progress = func(done, total int) {
				const parts = 1000 // of each cause; its stages differ in length, and none goes back
				furthest = max(furthest, i*parts+parts*done/total)
				o.Learner.Progress(furthest, len(m.causes)*parts)
			}
		}
		held := model.NewHeldOut(m.watched)
		learner.Held = held.Put
		periods := m.periods(subjects, i+1)
		var err error
		if c.Hazard, err = model.FitRows(ctx, m.fields, periods, learner); err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "fitting the hazard of %s", c.Name)
		}
		meta := c.Hazard.Meta()
		if meta.Trial, err = held.Try(ctx, model.Logistic, periods); err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "trying the hazard of %s", c.Name)
		}
		meta.Name, meta.Target = "hazard of "+c.Name, c.Name
		c.Hazard = c.Hazard.WithMeta(meta)
	}
	first := m.causes[0].Hazard.Meta()
	m.meta.Rows, m.meta.Events = first.Rows, first.Events
	m.meta.Note = m.note()
	var err error
	if m.meta.Life, err = m.life(ctx, subjects); err != nil {
		return nil, err
	}
	m.seal()
	return m, nil
}

// survey reads the subjects once, checks them, and notes how many there are and how long
// they last.
func (m *Model) survey(ctx context.Context, subjects Subjects) error {
	ends := make([]int, len(m.causes))
	if err := subjects(ctx, func(s *Subject) error {
		m.meta.Subjects++
		if err := m.checkSubject(s); err != nil {
			return err
		}
		first, last := s.span()
		if first > last {
			return nil
		}
		m.last = max(m.last, last)
		m.watched += last - first + 1
		if s.Cause > 0 {
			ends[s.Cause-1]++
		}
		return nil
	}); err != nil {
		return err
	}
	if m.meta.Subjects < 2 {
		return fault.New(fault.Invalid, "a hazard is learnt from two subjects at least, there are %d", m.meta.Subjects)
	}
	for i, n := range ends {
		if n == 0 {
			return fault.New(fault.Invalid, "no subject that is at risk ends by %s: there is nothing to learn of it", m.causes[i].Name)
		}
	}
	m.meta.Ends = ends
	return nil
}

func (m *Model) checkSubject(s *Subject) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "subject %d: %s", m.meta.Subjects, fmt.Sprintf(format, args...))
	}
	switch {
	case len(s.Num) != len(m.fields)-1 || len(s.Cat) != len(m.fields)-1:
		return bad("%d numbers and %d names for %d covariates", len(s.Num), len(s.Cat), len(m.fields)-1)
	case !(s.Duration > 0):
		return bad("the duration must be a positive number")
	case s.Duration > MaxPeriods:
		return bad("the duration is over %d periods: use longer ones", MaxPeriods)
	case !(s.Entry >= 0) || s.Entry >= s.Duration:
		return bad("the entry must be 0 or more, and before the end of the duration")
	case s.Cause < 0 || s.Cause > len(m.causes):
		return bad("the cause must be from 0 to %d", len(m.causes))
	case !(s.Weight >= 0) || math.IsInf(s.Weight, 1):
		return bad("the weight must be finite and not negative")
	}
	return nil
}

// span is the first and the last period in which the subject is at risk; there is none
// where the last is before the first.
func (s *Subject) span() (first, last int) {
	return int(math.Ceil(s.Entry)) + 1, int(math.Ceil(s.Duration))
}

// hash is what the subject holds, as a number (FNV-1a).
func (s *Subject) hash() uint64 {
	h := uint64(14695981039346656037)
	add := func(v uint64) { h = (h ^ v) * 1099511628211 }
	for _, v := range append([]float64{s.Duration, s.Entry, s.Weight, s.Time, float64(s.Cause)}, s.Num...) {
		add(math.Float64bits(v))
		add(h >> 29)
	}
	for _, v := range s.Cat {
		for i := range len(v) {
			add(uint64(v[i]))
		}
		add(0x100)
	}
	return h
}

// seen is how much of its last period the subject counts for: all where it ended, else
// what it was watched, as in a life table's exposure.
func (s *Subject) seen() float64 {
	if part := s.Duration - math.Floor(s.Duration); s.Cause == 0 && part > 0 {
		return part
	}
	return 1
}

// periods are the subjects' periods at risk, with whether the cause ended them.
func (m *Model) periods(subjects Subjects, cause int) model.Rows {
	return func(ctx context.Context, do func(*model.Case) error) error {
		var c Curve
		row := model.Case{Exposure: 1}
		alike := map[uint64]int{}
		return subjects(ctx, func(s *Subject) error {
			if ctx.Err() != nil {
				return fault.Wrap(fault.Cancelled, ctx.Err(), "reading the subjects")
			}
			first, last := s.span()
			if first > last {
				return nil
			}
			row.Weight, row.Time, row.Group = s.Weight, s.Time, s.Group
			if row.Group == "" {
				// Its own, by what it holds and not by where it stands: the order of the subjects
				// makes no difference. No name of a group's begins so.
				k := s.hash()
				alike[k]++
				row.Group = "\x00" + strconv.FormatUint(k, 16) + " " + strconv.Itoa(alike[k])
			}
			m.begin(s.Row, &c)
			row.Row = c.row
			for t := first; t <= last; t++ {
				m.forward(s.Row, t, float64(t-1)-s.Entry, &c)
				row.Y = 0
				if t == last {
					row.Weight = float64(s.Weight * s.seen())
					if s.Cause == cause {
						row.Y = 1
					}
				}
				if err := do(&row); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// note says which fields roll forward and which do not.
func (m *Model) note() string {
	var frozen, rolls []string
	for i, f := range m.fields[:len(m.fields)-1] {
		if !slices.Contains(m.rolled, i) {
			frozen = append(frozen, f.Name)
		}
	}
	for i := range m.rolls {
		rolls = append(rolls, m.rolls[i].String())
	}
	list := func(names []string) string {
		if len(names) == 0 {
			return "nothing"
		}
		return strings.Join(names, ", ")
	}
	period := m.fields[len(m.fields)-1].Name
	return fmt.Sprintf("with the periods (%s) roll forward: %s; frozen as at entry: %s; beyond period %d, the last in training, %s stands still",
		period, list(rolls), list(frozen), m.last, period)
}
