package model

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A survey of a field's values is taken in bounded memory and does not depend on the
// order of the rows.

// numberSurvey counts values: each by itself, or, where they are too many, those that
// agree in their leading binary digits together.
type numberSurvey struct {
	at     []int32 // into values, less one, by hash of the key; 0: free
	values []numberCount
	drop   uint // binary digits that are left out
}

type numberCount struct {
	low, high float64 // the values that are counted together
	n         int
}

const (
	maxCounted = 1 << 15
	countSlots = 2 * maxCounted
)

func newNumberSurvey() *numberSurvey { return &numberSurvey{at: make([]int32, countSlots)} }

// rank is a number that grows with v.
func rank(v float64) uint64 {
	u := math.Float64bits(v)
	if u>>63 != 0 {
		return ^u
	}
	return u | 1<<63
}

func (s *numberSurvey) add(v float64) {
	if v != v {
		return
	}
	// Infinities are read as the largest numbers, so that every edge is finite; -0 is 0.
	v = min(max(v, -math.MaxFloat64), math.MaxFloat64) + 0
	s.count(numberCount{v, v, 1})
}

// count is a hash table of its own: one value a row goes through it, and a map takes longer
// than the fit.
func (s *numberSurvey) count(c numberCount) {
	key := rank(c.low) >> s.drop
	slot := key * 0x9e3779b97f4a7c15 >> 48
	for ; s.at[slot] != 0; slot = (slot + 1) % countSlots {
		if v := &s.values[s.at[slot]-1]; rank(v.low)>>s.drop == key {
			v.low, v.high, v.n = min(v.low, c.low), max(v.high, c.high), v.n+c.n
			return
		}
	}
	s.values = append(s.values, c)
	s.at[slot] = int32(len(s.values))
	if len(s.values) > maxCounted {
		all := s.values
		clear(s.at)
		*s = numberSurvey{at: s.at, values: make([]numberCount, 0, maxCounted/2), drop: s.drop + 3}
		for _, v := range all {
			s.count(v)
		}
	}
}

// binning places at most limit bins so that each holds about as many rows; a value
// frequent enough to fill a bin gets one to itself.
func (s *numberSurvey) binning(limit int) binning {
	slices.SortFunc(s.values, func(a, b numberCount) int { return cmp.Compare(a.low, b.low) })
	left := 0
	for _, v := range s.values {
		left += v.n
	}
	var edges []float64
	held := 0
	for i := 0; i+1 < len(s.values) && len(edges) < limit-1; i++ {
		held += s.values[i].n
		target := max(minCount, left/(limit-len(edges)))
		heavyNext := s.values[i+1].n >= target
		if (held >= target || heavyNext && held >= minCount) && left-held >= minCount {
			edges = append(edges, between(s.values[i].high, s.values[i+1].low))
			left -= held
			held = 0
		}
	}
	return binning{edges: edges}
}

// quantile is the value that so large a share of those counted does not exceed; infinite of none.
func (s *numberSurvey) quantile(q float64) float64 {
	slices.SortFunc(s.values, func(a, b numberCount) int { return cmp.Compare(a.low, b.low) })
	total, below := 0, 0
	for _, v := range s.values {
		total += v.n
	}
	for _, v := range s.values {
		if below += v.n; float64(below) >= float64(q*float64(total)) {
			return v.high
		}
	}
	return math.Inf(1)
}

// nameSurvey counts names.
type nameSurvey struct {
	counts map[string]int
	over   bool
}

const (
	maxSurveyed = 1 << 17 // names that are counted; a field with more is no category
	maxNames    = 1 << 14 // names that get a bin
	minNamed    = 5       // rows that a name needs: with fewer it is read as what it begins with, or other
	minCodes    = 60      // names beyond which codes are looked at by what they begin with
)

func newNameSurvey() *nameSurvey { return &nameSurvey{counts: map[string]int{}} }

func (s *nameSurvey) add(v string) {
	if v == "" || s.over {
		return
	}
	if n, ok := s.counts[v]; ok {
		s.counts[v] = n + 1
		return
	}
	if len(s.counts) == maxSurveyed {
		s.counts, s.over = nil, true
		return
	}
	s.counts[strings.Clone(v)] = 1
}

// binning names what is frequent, equal counts by name. Codes whose beginnings are regions,
// as postcodes' are, get bins for these too, for what is rare or new.
func (s *nameSurvey) binning(order []string) binning {
	if order != nil {
		b := binning{names: order}
		b.buildIndex()
		return b
	}
	b := binning{prefixes: prefixes(s.counts)}
	var names []string
	known := map[string]int{}
	for v, n := range s.counts {
		if !utf8.ValidString(v) { // the file holds UTF-8 only
			continue
		}
		if n >= minNamed {
			names = append(names, v)
		}
		for _, p := range b.prefixes {
			if len(v) > p {
				known[v[:p]] += n
			}
		}
	}
	byCount := func(counts map[string]int) func(a, b string) int {
		return func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) }
	}
	slices.SortFunc(names, byCount(s.counts))
	names = names[:min(len(names), maxNames)]
	named := make(map[string]bool, len(names))
	for _, v := range names {
		named[v] = true
	}
	var begins []string
	for p, n := range known {
		if n >= minNamed && !named[p] { // some codes may be what others begin with
			begins = append(begins, p)
		}
	}
	slices.SortFunc(begins, byCount(known))
	b.names = append(names, begins...)
	b.buildIndex()
	return b
}

// outside are the rows whose names an order lacks.
func (s *nameSurvey) outside(b *binning, order []string) (rows int) {
	if order == nil {
		return 0
	}
	for v, n := range s.counts {
		if _, ok := b.index[v]; !ok {
			rows += n
		}
	}
	return rows
}

// prefixes are the lengths of the beginnings that mean something, the longest first: for
// postcodes of four or five digits, perhaps with letters after them, the digits, the first
// two and the first one. None where the names are no such codes.
func prefixes(counts map[string]int) []int {
	if len(counts) < minCodes {
		return nil
	}
	digits, longer := 0, false
	for v := range counts {
		d := 0
		for d < len(v) && v[d] >= '0' && v[d] <= '9' {
			d++
		}
		if d != 4 && d != 5 || digits != 0 && d != digits || len(v) > d+3 {
			return nil
		}
		digits, longer = d, longer || len(v) > d
	}
	if longer {
		return []int{digits, 2, 1}
	}
	return []int{2, 1}
}
