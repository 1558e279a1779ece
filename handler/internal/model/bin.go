package model

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Bins of a field. Number bins follow the missing bin in order; named categories
// follow the two special ones, the most frequent first.
const (
	missing  = 0
	other    = 1 // categories only: unseen in training or too rare to name
	maxBins  = 255
	minCount = 20 // rows that a bin needs: fewer teach nothing and cost table space
)

// binning is how one field's values fall into bins, and bins into coarse bins.
type binning struct {
	edges  []float64        // numeric: v is in bin 1 + the number of edges ≤ v
	names  []string         // category: names[k] is bin k+2
	index  map[string]uint8 // of names
	coarse []uint8          // coarse bin by bin, for pairs; nil if the field is in none
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

func (b *binning) number(v float64) uint8 {
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
	return uint8(lo + 1)
}

func (b *binning) category(s string) uint8 {
	if s == "" {
		return missing
	}
	if k, ok := b.index[s]; ok {
		return k
	}
	return other
}

func (b *binning) buildIndex() {
	b.index = make(map[string]uint8, len(b.names))
	for i, s := range b.names {
		b.index[s] = uint8(i + 2)
	}
}

// binNumbers places at most limit bins so that each holds about as many rows; a
// value frequent enough to fill a bin gets one to itself.
func binNumbers(values []float64, limit int) binning {
	sorted := make([]float64, 0, len(values))
	for _, v := range values {
		if v == v {
			// Infinities are read as the largest numbers, so that every edge is finite.
			sorted = append(sorted, min(max(v, -math.MaxFloat64), math.MaxFloat64))
		}
	}
	slices.Sort(sorted)
	var edges []float64
	left := len(sorted)
	held := 0
	for i := 0; i < len(sorted); {
		j := i + 1
		for j < len(sorted) && sorted[j] == sorted[i] {
			j++
		}
		held += j - i
		if j == len(sorted) || len(edges) == limit-1 {
			break
		}
		target := max(minCount, left/(limit-len(edges)))
		next := j + 1
		for next < len(sorted) && next-j < target && sorted[next] == sorted[j] {
			next++
		}
		heavyNext := next-j >= target
		if (held >= target || heavyNext && held >= minCount) && len(sorted)-j >= minCount {
			edges = append(edges, between(sorted[i], sorted[j]))
			left -= held
			held = 0
		}
		i = j
	}
	return binning{edges: edges}
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

// binCategories names the most frequent categories, equal counts by name, and
// leaves what is rare to the bin "other".
func binCategories(values []string, limit int) binning {
	counts := map[string]int{}
	for _, v := range values {
		if v != "" {
			counts[v]++
		}
	}
	var names []string
	for v, n := range counts {
		if n >= minCount && utf8.ValidString(v) { // the file holds UTF-8 only
			names = append(names, v)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	b := binning{names: names[:min(len(names), limit)]}
	b.buildIndex()
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
