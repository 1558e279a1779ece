package model

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"polis/handler/internal/exact"
)

// Cell is one value of a rating table: what a term adds on the link scale where its
// fields' values lie as First and Second say.
type Cell struct {
	Term          string
	First, Second string // Second is "" for a main effect
	Value         float64
	Error         float64 // standard error of Value, from the bags; 0 where it is not known
	Weight        float64 // exposure behind it in training; 0 where it is not known
}

// Relativity is the factor by which a cell multiplies the mean, or for a logistic model
// the odds.
func (c Cell) Relativity() float64 { return exact.Exp(c.Value) }

// Beginning is at the end of First and Second where what stands before it is no name, but
// how codes begin that training saw too rarely, or not at all: postcodes in 10… of which
// each that it saw is named.
const Beginning = "… (beginning)"

// Cells are the model as rating tables: every term's values, in the order of Terms.
func (m *Model) Cells() []Cell {
	var out []Cell
	for i, t := range m.Terms() {
		table := m.terms[i].table
		first := m.labels(t.Fields[0], len(t.Fields) > 1)
		if len(t.Fields) == 1 {
			for k, v := range table {
				out = append(out, m.terms[i].cell(Cell{Term: t.Name, First: first[k], Value: v}, k))
			}
			continue
		}
		second := m.labels(t.Fields[1], true)
		for k, v := range table {
			stride := m.terms[i].stride
			out = append(out, m.terms[i].cell(Cell{Term: t.Name, First: first[k/stride], Second: second[k%stride], Value: v}, k))
		}
	}
	return out
}

func (t *term) cell(c Cell, k int) Cell {
	if t.errors != nil {
		c.Error = t.errors[k]
	}
	if t.weight != nil {
		c.Weight = t.weight[k]
	}
	return c
}

// labels say which values fall into a field's bins, or into its coarse bins.
func (m *Model) labels(f int, coarse bool) []string {
	b, kind := m.binnings[f], m.fields[f].Kind
	n := b.bins(kind)
	if !coarse {
		out := make([]string, n)
		for k := range out {
			out[k] = b.label(kind, k, k)
		}
		return out
	}
	out := make([]string, b.coarseBins())
	for c := range out {
		first, last := -1, -1
		for k := range n {
			if int(b.coarse[k]) != c {
				continue
			}
			switch {
			case kind == Category && first >= 0:
				out[c] += ", " + b.label(kind, k, k)
			case kind == Category:
				out[c], first = b.label(kind, k, k), k
			case first < 0 || first == missing:
				first, last = k, k
			default:
				last = k
			}
		}
		if kind == Numeric && first >= 0 {
			out[c] = b.label(kind, first, last)
		}
	}
	return out
}

// begins reports whether a name is the beginning of codes, for those that are no names: it
// is shorter than they are.
func (b *binning) begins(name string) bool { return slices.Contains(b.prefixes, len(name)) }

// label says which values fall into bins from first to last.
func (b *binning) label(k Kind, first, last int) string {
	switch {
	case first == missing:
		return "missing"
	case k == Category && first == other:
		return "other"
	case k == Category && b.begins(b.names[first-2]):
		return b.names[first-2] + Beginning
	case k == Category:
		return b.names[first-2]
	}
	low, high := math.Inf(-1), math.Inf(1)
	if first > 1 {
		low = b.edges[first-2]
	}
	if last-1 < len(b.edges) {
		high = b.edges[last-1]
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		return "any"
	case math.IsInf(low, -1):
		return "below " + number(high)
	case math.IsInf(high, 1):
		return number(low) + " and above"
	}
	return fmt.Sprintf("%s to below %s", number(low), number(high))
}
