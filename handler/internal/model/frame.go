package model

import (
	"cmp"
	"context"
	"hash/fnv"
	"slices"
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
	// Time orders the rows: where it is there, rows are judged only by what was learnt from
	// earlier ones. Any unit will do.
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

// check says what is wrong with the training data, if anything.
func check(f Frame, t Target, loss Loss) error {
	switch {
	case int(loss) >= len(lossNames):
		return fault.New(fault.Invalid, "loss %d is unknown", loss)
	case f.N <= 0:
		return fault.New(fault.Invalid, "the training table has no rows")
	case len(f.Fields) > MaxFields:
		return fault.New(fault.Invalid, "%d fields are more than %d", len(f.Fields), MaxFields)
	}
	seen := map[string]bool{}
	for i, field := range f.Fields {
		if err := checkField(field, seen); err != nil {
			return err
		}
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
	return t.check(f.N, loss)
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
	case f.Monotone != 0 && f.Kind == Category:
		return fault.New(fault.Invalid, "field %s: a category has no order to be monotone in", f.Name)
	}
	seen[f.Name] = true
	return nil
}

func (t Target) check(rows int, loss Loss) error {
	if len(t.Y) != rows {
		return fault.New(fault.Invalid, "%d targets for %d rows", len(t.Y), rows)
	}
	if (t.Weight != nil && len(t.Weight) != rows) || (t.Exposure != nil && len(t.Exposure) != rows) ||
		(t.Group != nil && len(t.Group) != rows) {
		return fault.New(fault.Invalid, "weights, exposures and groups must each be one per row or absent")
	}
	if t.Exposure != nil && loss != Poisson && loss != Tweedie {
		return fault.New(fault.Invalid, "exposure goes with poisson and tweedie, not with %s", loss)
	}
	total := 0.0
	for i, y := range t.Y {
		switch {
		case !finite(y):
			return fault.New(fault.Invalid, "row %d: the target is not a finite number", i)
		case loss == Logistic && y != 0 && y != 1:
			return fault.New(fault.Invalid, "row %d: a logistic target is 0 or 1", i)
		case loss == Poisson && y < 0:
			return fault.New(fault.Invalid, "row %d: a count is not negative", i)
		case loss == Gamma && y <= 0:
			return fault.New(fault.Invalid, "row %d: a gamma target is positive; tweedie takes amounts of 0", i)
		case loss == Tweedie && y < 0:
			return fault.New(fault.Invalid, "row %d: a cost is not negative", i)
		}
		w := 1.0
		if t.Weight != nil {
			w = t.Weight[i]
			if !finite(w) || w < 0 {
				return fault.New(fault.Invalid, "row %d: the weight must be finite and not negative", i)
			}
		}
		if t.Exposure != nil && (!finite(t.Exposure[i]) || t.Exposure[i] <= 0) {
			return fault.New(fault.Invalid, "row %d: the exposure must be finite and positive", i)
		}
		total += w
	}
	if total == 0 || !finite(total) {
		return fault.New(fault.Invalid, "the weights add up to nothing usable")
	}
	return nil
}

// folds deals the rows into k folds and returns the rows fold by fold, in their
// own order within each, with the k+1 bounds. Groups stay together; those with an
// event and those without are dealt apart, so that rare events spread evenly.
// Which fold a group lands in depends on its name and the seed, not on row order.
func folds(t Target, rows, k int, seed uint64) (order []int, bounds []int) {
	type unit struct {
		key   uint64
		name  string
		event bool
	}
	units := make([]unit, 0, rows)
	unitOf := make([]int, rows)
	byName := map[string]int{}
	for i := range rows {
		var u int
		if t.Group == nil {
			u = len(units)
			units = append(units, unit{key: mix(seed, uint64(i))})
		} else {
			var ok bool
			if u, ok = byName[t.Group[i]]; !ok {
				u = len(units)
				byName[t.Group[i]] = u
				h := fnv.New64a()
				h.Write([]byte(t.Group[i]))
				units = append(units, unit{key: mix(seed, h.Sum64()), name: t.Group[i]})
			}
		}
		unitOf[i] = u
		units[u].event = units[u].event || t.Y[i] > 0
	}
	deal := make([]int, len(units))
	for i := range deal {
		deal[i] = i
	}
	slices.SortFunc(deal, func(a, b int) int {
		x, y := units[a], units[b]
		if x.event != y.event {
			if x.event {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(x.key, y.key), cmp.Compare(x.name, y.name))
	})
	foldOf := make([]int, len(units))
	for i, u := range deal {
		foldOf[u] = i % k
	}
	bounds = make([]int, k+1)
	for _, u := range unitOf {
		bounds[foldOf[u]+1]++
	}
	for i := range k {
		bounds[i+1] += bounds[i]
	}
	next := slices.Clone(bounds)
	order = make([]int, rows)
	for i, u := range unitOf {
		order[next[foldOf[u]]] = i
		next[foldOf[u]]++
	}
	return order, bounds
}

// mix is splitmix64 of seed and x (Steele et al. 2014): well spread, and the same everywhere.
func mix(seed, x uint64) uint64 {
	z := seed + (x+1)*0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
