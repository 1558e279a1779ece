package model

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"polis/handler/internal/exact"
)

// Rows that associations are looked for in, at most: cells of a table of counts times pairs
// of fields are what takes time.
const (
	associateRows  = 100_000
	associateVisit = 100_000_000
)

// together is from where two fields are reported as going together: their informational
// correlation (Linfoot 1957), which for normal variables is the correlation.
const together = 0.7

// information is the mutual information of two columns in nats, less what chance shows
// (Miller 1955), and the entropy of the first.
func information(x, y *column, rows []int32) (mutual, entropy float64) {
	nx, ny := x.n, y.n
	counts, cx, cy := make([]float64, nx*ny), make([]float64, nx), make([]float64, ny)
	for _, i := range rows {
		a, b := x.bin(int(i)), y.bin(int(i))
		counts[a*ny+b]++
		cx[a]++
		cy[b]++
	}
	n := float64(len(rows))
	entropyOf := func(counts []float64) (h, cells float64) {
		for _, c := range counts {
			if c > 0 {
				h -= float64(c / n * exact.Log(c/n))
				cells++
			}
		}
		return h, cells
	}
	hx, kx := entropyOf(cx)
	hy, ky := entropyOf(cy)
	both, _ := entropyOf(counts)
	chance := (kx - 1) * (ky - 1) / (2 * n)
	return max(0, hx+hy-both-chance), hx
}

// coarse is a column of at most so many bins: neighbours, or what is beyond the most
// frequent, are joined.
func (c *column) coarse(limit int) *column {
	if c.n <= limit {
		return c
	}
	order := make([]int, 0, c.n)
	for k := c.first; k < c.n; k++ {
		order = append(order, k)
	}
	joined := make([]uint8, c.n)
	if c.line {
		joined = coarsen(order, c.weight, limit-c.first)
		for k := c.first; k < c.n; k++ {
			joined[k] += uint8(c.first)
		}
		for k := range c.first {
			joined[k] = uint8(k)
		}
	} else {
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.weight[b], c.weight[a]) })
		for i, k := range order {
			joined[k] = uint8(min(i, limit-1))
		}
	}
	n := int(slices.Max(joined)) + 1
	out := newColumn(n, c.rows())
	for i := range c.rows() {
		out.set(i, uint16(joined[c.bin(i)]))
	}
	return &out
}

func (c *column) rows() int { return len(c.narrow) + len(c.wide) }

// sample are rows spread over the table, which lies in no order of its own.
func (t *table) sample(n int) []int32 {
	n = max(1, min(n, t.rows))
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i * t.rows / n)
	}
	return rows
}

// picked are the rows of a column, as one of its own.
func (c *column) picked(rows []int32) column {
	out := *c
	if c.wide != nil {
		out.wide = gather(c.wide, rows)
	} else {
		out.narrow = gather(c.narrow, rows)
	}
	return out
}

// clusters are fields that go together, so that what one of them is said to do might as
// well be another's; each is reached from each by pairs that do.
func (t *table) clusters(names []string) [][]string {
	var columns []*column
	var of []int
	m := t.fields
	rows := t.sample(min(associateRows, associateVisit/max(1, m*m/2)))
	all := make([]int32, len(rows))
	for i := range all {
		all[i] = int32(i)
	}
	for c := range m {
		if t.columns[c].varies() {
			picked := t.columns[c].picked(rows)
			columns, of = append(columns, picked.coarse(12)), append(of, c)
		}
	}
	near := make([][]bool, len(columns))
	each(len(columns), func(i int) {
		near[i] = make([]bool, i)
		for j := range i {
			mutual, _ := information(columns[i], columns[j], all)
			near[i][j] = 1-exact.Exp(-2*mutual) > together*together
		}
	})
	group := make([]int, len(columns))
	for i := range group {
		group[i] = i
		for j := range i {
			if near[i][j] && group[j] != group[i] {
				from, to := max(group[i], group[j]), min(group[i], group[j])
				for k := range i + 1 {
					if group[k] == from {
						group[k] = to
					}
				}
			}
		}
	}
	members := map[int][]string{}
	for i, g := range group {
		members[g] = append(members[g], names[of[i]])
	}
	var out [][]string
	for i := range group {
		if len(members[i]) > 1 {
			out = append(out, members[i])
		}
	}
	return out
}

// proxies are the features that tell something of a protected column: the share of its
// entropy that each explains (Theil's uncertainty coefficient), the largest first.
func (t *table) proxies(protected *column, name string, fields []string) (out []Proxy) {
	rows := t.sample(associateRows)
	all := make([]int32, len(rows))
	for i := range all {
		all[i] = int32(i)
	}
	p := protected.picked(rows)
	y := p.coarse(12)
	for c, f := range fields {
		if !t.columns[c].varies() {
			continue
		}
		picked := t.columns[c].picked(rows)
		mutual, entropy := information(y, picked.coarse(64), all)
		if share := mutual / entropy; entropy > 0 && share >= leastProxy {
			out = append(out, Proxy{Protected: name, Feature: f, Share: math.Round(share*1e4) / 1e4})
		}
	}
	slices.SortStableFunc(out, func(a, b Proxy) int { return cmp.Compare(b.Share, a.Share) })
	return out
}

// leastProxy is the share below which a feature tells next to nothing.
const leastProxy = 0.001

// Reason is what can be told apart of what a score is made of: terms whose fields go
// together (Meta.Clusters) are one, since what one of them contributes might as well be
// another's.
type Reason struct {
	Name  string
	Terms []int // whose contributions are to be added
}

// Reasons part the terms, in their order.
func (m *Model) Reasons() (out []Reason) {
	of := map[string]string{}
	for _, cluster := range m.meta.Clusters {
		for _, f := range cluster {
			of[f] = strings.Join(cluster, " + ")
		}
	}
	at := map[string]int{}
	for i, t := range m.terms {
		var names []string
		for _, f := range t.fields {
			name := m.fields[f].Name
			if c, ok := of[name]; ok {
				name = c
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		name := strings.Join(names, " × ")
		k, ok := at[name]
		if !ok {
			k = len(out)
			at[name] = k
			out = append(out, Reason{Name: name})
		}
		out[k].Terms = append(out[k].Terms, i)
	}
	return out
}
