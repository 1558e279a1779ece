package model

import (
	"math"
	"strconv"

	"polis/handler/internal/exact"
)

// A model's values lie on a grid of 2⁻³³ on the link: any sum of them is exact, in any
// order, on any machine. Those that a fit finds are the nearest to numbers of five decimals,
// a thousandth of a per cent, and are written as these.
const grid = 1 << 33

// OnGrid is the nearest number that can be added to a model's values exactly.
func OnGrid(v float64) float64 {
	r := math.Round(v*grid) / grid
	if r == 0 {
		return 0 // not -0
	}
	return r
}

func round(v float64) float64 { return OnGrid(math.Round(v*1e5) / 1e5) }

// assemble averages the bags, folds the calibration in, moves what pairs hold of main
// effects to these, centres every table, and drops what says nothing. Standard errors are
// those of the delete-a-group jackknife (Kott 2001): each bag left one fold out. So few bags
// know a single value's variance badly: half of it is the table's mean.
func (b *booster) assemble(fields []Field, binnings []binning, pairs []pair, cal calibration, events float64) *Model {
	t := b.table
	m := &Model{loss: t.loss, fields: append([]Field(nil), fields...), binnings: binningsOf(binnings)}
	tables, squares := make([][]float64, len(t.columns)), make([][]float64, len(t.columns))
	for c := range tables {
		tables[c], squares[c] = make([]float64, t.columns[c].n), make([]float64, t.columns[c].n)
	}
	start := 0.0
	n := float64(len(b.bags))
	for _, bag := range b.bags {
		start += b.pure(bag, pairs, binnings) / n
		for c := range tables {
			for k, v := range bag.tables[c] {
				tables[c][k] += v / n
			}
		}
	}
	for _, bag := range b.bags {
		for c := range tables {
			for k, v := range bag.tables[c] {
				d := v - tables[c][k]
				squares[c][k] += float64(d * d)
			}
		}
	}
	m.intercept = round(max(-exact.Most, min(exact.Most, cal.intercept+float64(cal.slope*start)+t.unit)))
	left := float64(len(t.bounds)-2) / n // folds less one
	if len(b.bags) < 2 {
		left = 0
	}
	add := func(c int, of []int) {
		term := term{fields: of, table: tables[c], stride: t.columns[c].width}
		moved := 0.0
		pooled, weight := 0.0, 0.0
		for k, s := range squares[c] {
			pooled += float64(s * t.columns[c].weight[k])
			weight += t.columns[c].weight[k]
		}
		pooled /= max(weight, math.SmallestNonzeroFloat64)
		for k, v := range term.table {
			v = round(float64(cal.slope * v))
			moved += float64(float64(v*v) * t.columns[c].weight[k])
			term.table[k] = v
			if t.columns[c].weight[k] == 0 { // of which there was none
				term.errors = append(term.errors, 0)
				continue
			}
			term.errors = append(term.errors, digits(float64(cal.slope*math.Sqrt(float64(left*(squares[c][k]+pooled)/2)))))
		}
		for _, w := range t.columns[c].weight {
			term.weight = append(term.weight, digits(w*t.years))
		}
		if weight > 0 && float64(moved/weight*events) > 2*least*t.phi {
			m.terms = append(m.terms, term)
		}
	}
	for f := range fields {
		add(f, []int{f})
	}
	paired := map[int]bool{}
	for i, p := range pairs {
		add(len(fields)+i, []int{p.first, p.second})
	}
	for f := range fields {
		m.keepMonotone(f, t.columns[f].first)
	}
	for _, t := range m.terms {
		if len(t.fields) > 1 {
			paired[t.fields[0]], paired[t.fields[1]] = true, true
		}
	}
	for f := range binnings {
		if !paired[f] {
			binnings[f].coarse = nil
		}
	}
	return m
}

// least is the nats that a table must say of all events together to be kept, about: less is
// nothing to know, and would be half of many models' tables.
const least = 0.05

// digits keeps three of them, enough for an error or a weight, so that files are small.
func digits(v float64) float64 {
	out, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	if err != nil {
		return 0
	}
	return out
}

// pure parts a bag's tables: pairs keep what is interaction alone, every table has a mean
// of nothing, and the intercept, returned, has the rest.
func (b *booster) pure(bag *bag, pairs []pair, binnings []binning) (start float64) {
	start = bag.start
	for i, p := range pairs {
		c := b.table.fields + i
		purify(bag.tables[c], b.table.columns[c].weight, p, binnings, bag.tables)
	}
	for c, table := range bag.tables {
		start += centre(table, b.table.columns[c].weight)
		if col := &b.table.columns[c]; col.width == 0 {
			for k := range max(2, col.first) { // missing and other, of which there were none
				if k < len(table) && col.weight[k] == 0 && (k == missing || col.kind == Category) {
					table[k] = 0
				}
			}
		}
	}
	return start
}

// purify moves from a pair's table to its fields' main effects what these can hold,
// so that the pair's weighted mean is zero along each row and column and its table
// is interaction alone (Lengerich et al. 2020). The sum of the three is unchanged.
func purify(table, weight []float64, p pair, binnings []binning, tables [][]float64) {
	a, b := &binnings[p.first], &binnings[p.second]
	n, m := a.coarseBins(), b.coarseBins()
	rows, cols := make([]float64, n), make([]float64, m)
	for range 30 {
		moved := false
		for i := range n {
			moved = move(table, weight, i*m, 1, m, &rows[i]) || moved
		}
		for j := range m {
			moved = move(table, weight, j, m, n, &cols[j]) || moved
		}
		if !moved {
			break
		}
	}
	for k, c := range a.coarse {
		tables[p.first][k] += rows[c]
	}
	for k, c := range b.coarse {
		tables[p.second][k] += cols[c]
	}
}

// move takes the weighted mean out of n cells, step apart, and adds it to into.
func move(table, weight []float64, from, step, n int, into *float64) bool {
	sum, total := 0.0, 0.0
	for i := range n {
		sum += float64(table[from+i*step] * weight[from+i*step])
		total += weight[from+i*step]
	}
	if total == 0 {
		return false
	}
	mean := sum / total
	for i := range n {
		table[from+i*step] -= mean
	}
	*into += mean
	return mean > 1e-9 || mean < -1e-9
}

// centre takes the weighted mean out of a table and returns it.
func centre(values, weight []float64) float64 {
	sum, total := 0.0, 0.0
	for k, v := range values {
		sum += float64(v * weight[k])
		total += weight[k]
	}
	if total == 0 {
		return 0
	}
	mean := sum / total
	for k := range values {
		values[k] -= mean
	}
	return mean
}

// keepMonotone mends what rounding has moved by a last digit: it goes through the field's
// bins, and where the worst of its pairs' cells would break the promise it moves the main
// effect of that bin and all after it by as much.
func (m *Model) keepMonotone(f, first int) {
	sign := float64(m.fields[f].Monotone)
	if sign == 0 {
		return
	}
	main := -1
	for i, t := range m.terms {
		if len(t.fields) == 1 && t.fields[0] == f {
			main = i
		}
	}
	n := m.binnings[f].bins(m.fields[f].Kind)
	lift := make([]float64, n)
	for k := first + 1; k < n; k++ {
		lift[k] = lift[k-1]
		if worst := sign * m.worstStep(f, k); worst < 0 {
			lift[k] -= sign * worst
		}
	}
	if lift[n-1] == 0 {
		return
	}
	if main < 0 {
		t := term{fields: []int{f}, table: make([]float64, n), errors: make([]float64, n), weight: make([]float64, n)}
		m.terms = append([]term{t}, m.terms...)
		main = 0
	}
	for k := range lift {
		m.terms[main].table[k] += lift[k]
	}
}

// worstStep is the least (where the field rises; else the greatest) change of the score
// from bin k-1 of a field to bin k, whatever the other fields are.
func (m *Model) worstStep(f, k int) float64 {
	sign := float64(m.fields[f].Monotone)
	sum := 0.0
	coarse := m.binnings[f].coarse
	for i := range m.terms {
		t := &m.terms[i]
		switch {
		case len(t.fields) == 1 && t.fields[0] == f:
			sum += t.table[k] - t.table[k-1]
		case len(t.fields) == 2 && t.fields[0] == f:
			from, to := int(coarse[k-1])*t.stride, int(coarse[k])*t.stride
			least := math.Inf(1)
			for j := range t.stride {
				least = min(least, sign*(t.table[to+j]-t.table[from+j]))
			}
			sum += sign * least
		case len(t.fields) == 2 && t.fields[1] == f:
			least := math.Inf(1)
			for at := 0; at < len(t.table); at += t.stride {
				least = min(least, sign*(t.table[at+int(coarse[k])]-t.table[at+int(coarse[k-1])]))
			}
			sum += sign * least
		}
	}
	return sum
}
