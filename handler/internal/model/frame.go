package model

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"polis/handler/internal/fault"
)

// Target is what to learn, one value per row of the Frame.
type Target struct {
	// Y is 0 or 1 for Logistic, a count for Poisson, a positive mean amount for Gamma, an
	// amount of 0 or more for Tweedie.
	Y []float64
	// Weight is how much each row counts, ≥ 0; nil means 1. For Gamma it is the
	// number of claims that Y is the mean of.
	Weight []float64
	// Exposure is for Poisson and Tweedie: years at risk, > 0, to which Y belongs; nil
	// means 1.
	Exposure []float64
	// Offset is added to the link before anything is learnt, and is no part of the model;
	// nil means 0.
	Offset []float64
	// Time orders the rows: where it is there, the late ones, about four in ten, are judged
	// by what was learnt from the early ones; when it is known how to learn, all are learnt
	// from. Any unit will do.
	Time []float64
	// Group keeps the rows of one group on the same side of every inner split;
	// nil means that each row is its own.
	Group []string
}

// Case is a row with what came of it: one line of a training table that is not held in
// memory. The fields are those of Target; Weight and Exposure are 1 where there are none.
type Case struct {
	Row
	Y, Weight, Exposure, Offset, Time float64
	Group                             string
}

// Rows gives a training table row by row to do, each time all of it and in the same
// order. What it gives is good until do returns; an error of do's ends it.
type Rows func(ctx context.Context, do func(*Case) error) error

// check says what is wrong with the shape of a training table, if anything.
func check(f Frame, t Target) error {
	if f.N <= 0 {
		return fault.New(fault.Invalid, "the training table has no rows")
	}
	for i, field := range f.Fields {
		var rows int
		switch {
		case field.Kind == Numeric && i < len(f.Num):
			rows = len(f.Num[i])
		case field.Kind == Category && i < len(f.Cat):
			rows = len(f.Cat[i])
		}
		if rows != f.N {
			return fault.New(fault.Invalid, "field %s has %d values for %d rows", field.Name, rows, f.N)
		}
	}
	if len(t.Y) != f.N {
		return fault.New(fault.Invalid, "%d targets for %d rows", len(t.Y), f.N)
	}
	for _, v := range [][]float64{t.Weight, t.Exposure, t.Offset, t.Time} {
		if v != nil && len(v) != f.N {
			return fault.New(fault.Invalid, "weights, exposures, offsets, times and groups must each be one per row or absent")
		}
	}
	if t.Group != nil && len(t.Group) != f.N {
		return fault.New(fault.Invalid, "weights, exposures, offsets, times and groups must each be one per row or absent")
	}
	return nil
}

// rows gives a frame row by row.
func (f *Frame) rows(t Target) Rows {
	return func(ctx context.Context, do func(*Case) error) error {
		c := Case{Row: Row{Num: make([]float64, len(f.Fields)), Cat: make([]string, len(f.Fields))}}
		of := func(v []float64, i int, none float64) float64 {
			if v == nil {
				return none
			}
			return v[i]
		}
		for i := range f.N {
			for k, field := range f.Fields {
				if field.Kind == Numeric {
					c.Num[k] = f.Num[k][i]
				} else {
					c.Cat[k] = f.Cat[k][i]
				}
			}
			c.Y, c.Weight, c.Exposure = t.Y[i], of(t.Weight, i, 1), of(t.Exposure, i, 1)
			c.Offset, c.Time = of(t.Offset, i, 0), of(t.Time, i, 0)
			if t.Group != nil {
				c.Group = t.Group[i]
			}
			if err := do(&c); err != nil {
				return err
			}
		}
		return nil
	}
}

func checkFields(fields []Field) error {
	if len(fields) > MaxFields {
		return fault.New(fault.Invalid, "%d fields are more than %d", len(fields), MaxFields)
	}
	seen := map[string]bool{}
	for _, field := range fields {
		if err := checkField(field, seen); err != nil {
			return err
		}
	}
	return nil
}

func checkField(f Field, seen map[string]bool) error {
	switch {
	case f.Name == "" || !utf8.ValidString(f.Name):
		return fault.New(fault.Invalid, "a field has no name, or one that is not UTF-8")
	case seen[f.Name]:
		return fault.New(fault.Invalid, "field %s is there twice", f.Name)
	case f.Kind > Category:
		return fault.New(fault.Invalid, "field %s is of an unknown kind", f.Name)
	case f.Monotone < -1 || f.Monotone > 1:
		return fault.New(fault.Invalid, "field %s: monotone must be -1, 0 or 1", f.Name)
	case f.Order != "" && f.Kind != Category:
		return fault.New(fault.Invalid, "field %s: numbers have an order already", f.Name)
	case f.Order != "" && !distinct(f.order()):
		return fault.New(fault.Invalid, "field %s: the order must name two or more different values", f.Name)
	case f.Monotone != 0 && f.Kind == Category && f.Order == "":
		return fault.New(fault.Invalid, "field %s: a category has no order to be monotone in", f.Name)
	}
	seen[f.Name] = true
	return nil
}

// order are the names of an ordered category; nil where there is no order.
func (f *Field) order() []string {
	if f.Order == "" {
		return nil
	}
	return strings.Split(f.Order, "|")
}

func distinct(names []string) bool {
	sorted := slices.Sorted(slices.Values(names))
	return len(names) > 1 && len(names) < maxNames && sorted[0] != "" && len(slices.Compact(sorted)) == len(names)
}

// check says what is wrong with row i (from 0; rows are counted from 1 where they are named).
func (c *Case) check(i int, loss Loss) error {
	err := loss.CheckTarget(c.Y)
	switch {
	case err != nil:
	case c.Exposure != 1 && loss != Poisson && loss != Tweedie:
		return fault.New(fault.Invalid, "exposure goes with poisson and tweedie, not with %s", loss)
	default:
		err = cmp.Or(CheckWeight(c.Weight), CheckExposure(c.Exposure), CheckOffset(c.Offset), CheckTime(c.Time))
	}
	return fault.Wrap(fault.Invalid, err, "row %d", i+1)
}

// CheckTarget says what is wrong with a target, if anything: see Target.
func (l Loss) CheckTarget(y float64) error {
	switch {
	case !finite(y):
		return fault.New(fault.Invalid, "the target is not a finite number")
	case l == Logistic && y != 0 && y != 1:
		return fault.New(fault.Invalid, "a logistic target is 0 or 1")
	case l == Poisson && y < 0:
		return fault.New(fault.Invalid, "a count is not negative")
	case l == Gamma && y <= 0:
		return fault.New(fault.Invalid, "a gamma target is positive; tweedie takes amounts of 0")
	case l == Tweedie && y < 0:
		return fault.New(fault.Invalid, "a cost is not negative")
	case math.Abs(y) > maxSize:
		return fault.New(fault.Invalid, "the target is beyond %g", maxSize)
	}
	return nil
}

// Sizes beyond these are slips: a row of such a size would be all that is learnt from, and
// its square does not fit into what a row is kept in.
const minSize, maxSize = 1e-12, 1e12

// CheckWeight says what is wrong with a weight, if anything.
func CheckWeight(v float64) error {
	if !finite(v) || v < 0 {
		return fault.New(fault.Invalid, "the weight must be finite and not negative")
	}
	if v > maxSize {
		return fault.New(fault.Invalid, "the weight is beyond %g", maxSize)
	}
	return nil
}

// CheckExposure says what is wrong with an exposure, if anything.
func CheckExposure(v float64) error {
	if !finite(v) || v <= 0 {
		return fault.New(fault.Invalid, "the exposure must be finite and positive")
	}
	if v < minSize || v > maxSize {
		return fault.New(fault.Invalid, "the exposure is not from %g to %g", minSize, maxSize)
	}
	return nil
}

// CheckOffset says what is wrong with an offset, if anything.
func CheckOffset(v float64) error {
	if !(math.Abs(v) <= maxOffset) {
		return fault.New(fault.Invalid, "the offset must be within ±%v", maxOffset)
	}
	return nil
}

// CheckTime says what is wrong with a time, if anything.
func CheckTime(v float64) error {
	if !finite(v) {
		return fault.New(fault.Invalid, "the time is not a finite number")
	}
	return nil
}

// maxOffset is far beyond what two means differ by on the link.
const maxOffset = 50.0

// mix is splitmix64 of seed and x (Steele et al. 2014): well spread, and the same everywhere.
func mix(seed, x uint64) uint64 {
	z := seed + (x+1)*0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
