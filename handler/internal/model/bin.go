package model

import (
	"math"
	"slices"
	"strconv"
)

// Bins of a field. Number bins follow the missing bin in order; named categories
// follow the two special ones, the most frequent first.
const (
	missing  = 0
	other    = 1 // categories only: unseen in training or too rare to name
	maxBins  = 1 << 16
	minCount = 20 // rows that a bin of numbers needs: fewer teach nothing and cost table space
)

// binning is how one field's values fall into bins, and bins into coarse bins.
type binning struct {
	edges  []float64         // numeric: v is in bin 1 + the number of edges ≤ v
	names  []string          // category: names[k] is bin k+2
	index  map[string]uint16 // of names
	coarse []uint8           // coarse bin by bin, for pairs; nil if the field is in none
	// Lengths of the beginnings of codes that are names too, for codes that are not: the
	// longest first. A postcode that is none of the names is read as its region.
	prefixes []int
}

// unused is how a field is binned that no term reads.
var unused = &binning{}

func binningsOf(of []binning) []*binning {
	out := make([]*binning, len(of))
	for i := range of {
		out[i] = &of[i]
	}
	return out
}

// bins is the number of bins, the special ones included.
func (b *binning) bins(k Kind) int {
	if k == Category {
		return len(b.names) + 2
	}
	return len(b.edges) + 2
}

// coarseBins is the number of coarse bins.
func (b *binning) coarseBins() int {
	if len(b.coarse) == 0 {
		return 0
	}
	return int(slices.Max(b.coarse)) + 1
}

func (b *binning) number(v float64) uint16 {
	if v != v {
		return missing
	}
	// Halving without a branch that depends on the value: a mispredicted one costs
	// more than the whole search.
	lo, n := 0, len(b.edges)
	for n > 0 {
		half := (n + 1) / 2
		over := 0
		if b.edges[lo+half-1] <= v {
			over = 1
		}
		lo += half & -over
		n -= half
	}
	return uint16(lo + 1)
}

func (b *binning) category(s string) uint16 {
	if s == "" {
		return missing
	}
	if k, ok := b.index[s]; ok {
		return k
	}
	for _, p := range b.prefixes {
		if len(s) > p {
			if k, ok := b.index[s[:p]]; ok {
				return k
			}
		}
	}
	return other
}

// name is that of a category's bin; "" of those that have none.
func (b *binning) name(k int) string {
	if k < 2 {
		return ""
	}
	return b.names[k-2]
}

// levels are, for codes, the groups of bins with the same beginning: one level a length.
func (b *binning) levels() (levels [][]int32) {
	for _, p := range b.prefixes {
		group := make([]int32, len(b.names)+2)
		at := map[string]int32{}
		for k := range group {
			group[k] = -1
			if k < 2 || len(b.names[k-2]) < p {
				continue
			}
			begin := b.names[k-2][:p]
			g, ok := at[begin]
			if !ok {
				g = int32(len(at))
				at[begin] = g
			}
			group[k] = g
		}
		if len(at) > 1 {
			levels = append(levels, group)
		}
	}
	return levels
}

func (b *binning) buildIndex() {
	b.index = make(map[string]uint16, len(b.names))
	for i, s := range b.names {
		b.index[s] = uint16(i + 2)
	}
}

// between is the shortest decimal in (a, b], near the middle: rating tables are
// read by people.
func between(a, b float64) float64 {
	mid := a/2 + b/2
	for digits := 1; digits < 17; digits++ {
		v, err := strconv.ParseFloat(strconv.FormatFloat(mid, 'e', digits-1, 64), 64)
		if err == nil && a < v && v <= b {
			return v
		}
	}
	return b
}

// coarsen joins neighbouring bins, in the order given, into at most limit coarse
// bins of about equal weight. Bins without weight join their neighbour.
func coarsen(order []int, weight []float64, limit int) []uint8 {
	out := make([]uint8, len(weight))
	left := 0.0
	for _, w := range weight {
		left += w
	}
	group, held := 0, 0.0
	for i, b := range order {
		if i > 0 && group < limit-1 && held > 0 {
			// Close the group where stopping short is nearer to the target than going on.
			target := left / float64(limit-group)
			if held+weight[b]/2 >= target {
				left -= held
				held = 0
				group++
			}
		}
		out[b] = uint8(group)
		held += weight[b]
	}
	return out
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
