package model

import (
	"cmp"
	"slices"
)

// pair is two fields that act together, with what the pair gains over its fields
// acting apart.
type pair struct {
	first, second int
	gain          float64 // nats
}

// minPairGain is the nats a pair must gain to be tried: the best of a hundred cuts
// through noise gains about half of it.
const minPairGain = 10

// addPairs finds pairs worth trying, the best first, and adds them to the table
// and the bags as columns. It looks at rows as predicted by the bag that did not
// learn from them (FAST: Lou et al. 2013), and leaves out monotone fields, whose
// promise a pair could break.
func (b *booster) addPairs(fields []Field, binnings []binning, mains []int) []pair {
	if b.options.Pairs < 0 {
		return nil
	}
	t := b.table
	link, held := b.heldOut()
	grad := make([]float64, held)
	info := make([]float64, held)
	for i := range held {
		grad[i], info[i] = newton(t.loss, link[i], t.y[i], t.weight[i], t.scale[i])
	}
	var eligible []int
	for _, f := range mains {
		if fields[f].Monotone != 0 {
			continue
		}
		b.coarsen(f, &binnings[f])
		if binnings[f].coarseBins() > 1 {
			eligible = append(eligible, f)
		}
	}
	var all []pair
	for i, f := range eligible {
		for _, g := range eligible[i+1:] {
			all = append(all, pair{first: f, second: g})
		}
	}
	rules := leafRules{minimum: b.options.MinLeaf * t.phi, shrink: b.options.Shrink * t.phi}
	each(len(all), func(i int) {
		p := &all[i]
		p.gain = interaction(t.columns[p.first].bins[:held], t.columns[p.second].bins[:held],
			&binnings[p.first], &binnings[p.second], grad, info, rules)
	})
	slices.SortStableFunc(all, func(x, y pair) int { return cmp.Compare(y.gain, x.gain) })
	n := 0
	for n < min(len(all), b.options.Pairs) && all[n].gain >= minPairGain*t.phi {
		n++
	}
	chosen := all[:n]
	for _, p := range chosen {
		t.columns = append(t.columns, pairColumn(t, p, binnings))
	}
	each(len(b.bags), func(i int) { b.bags[i].grow() })
	return chosen
}

// coarsen gives a field its coarse bins: numbers in their order, categories in the
// order of their main effect.
func (b *booster) coarsen(f int, into *binning) {
	col := &b.table.columns[f]
	order := make([]int, 0, col.n)
	if col.kind == Category {
		for k := range col.n {
			order = append(order, k)
		}
		effect := make([]float64, col.n)
		for k := range effect {
			for _, bag := range b.bags {
				effect[k] += bag.tables[f][k]
			}
		}
		slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(effect[x], effect[y]) })
		into.coarse = coarsen(order, col.weight, b.options.PairBins)
		return
	}
	// Missing numbers, if there are any, are a coarse bin of their own, the lowest.
	for k := 1; k < col.n; k++ {
		order = append(order, k)
	}
	if col.weight[missing] == 0 {
		into.coarse = coarsen(order, col.weight, b.options.PairBins)
		return
	}
	weight := slices.Clone(col.weight)
	weight[missing] = 0
	into.coarse = coarsen(order, weight, b.options.PairBins-1)
	for k := 1; k < col.n; k++ {
		into.coarse[k]++
	}
}

// interaction is the gain in nats of the best pair of cuts over its two cuts apart.
func interaction(first, second []uint8, a, b *binning, grad, info []float64, r leafRules) float64 {
	n, m := a.coarseBins(), b.coarseBins()
	var g, h [maxCoarse * maxCoarse]float64
	var at [256]int
	for k, c := range a.coarse {
		at[k] = int(c) * m
	}
	for i := range first {
		k := at[first[i]] + int(b.coarse[second[i]])
		g[k] += grad[i]
		h[k] += info[i]
	}
	// Sums over the rectangle below and left of each cell.
	for i := range n {
		for j := range m {
			k := i*m + j
			if i > 0 {
				g[k] += g[k-m]
				h[k] += h[k-m]
			}
		}
	}
	for i := range n {
		for j := 1; j < m; j++ {
			k := i*m + j
			g[k] += g[k-1]
			h[k] += h[k-1]
		}
	}
	all := n*m - 1
	best := 0.0
	for i := range n - 1 {
		gi, hi := g[i*m+m-1], h[i*m+m-1]
		for j := range m - 1 {
			k := i*m + j
			gj, hj := g[all-m+1+j], h[all-m+1+j]
			h11, h12, h21 := h[k], hi-h[k], hj-h[k]
			h22 := h[all] - hi - hj + h[k]
			if min(h11, h12, h21, h22) < r.minimum {
				continue
			}
			together := r.worth(g[k], h11) + r.worth(gi-g[k], h12) + r.worth(gj-g[k], h21) + r.worth(g[all]-gi-gj+g[k], h22)
			apart := r.worth(gi, hi) + r.worth(g[all]-gi, h[all]-hi) +
				r.worth(gj, hj) + r.worth(g[all]-gj, h[all]-hj) - r.worth(g[all], h[all])
			best = max(best, (together-apart)/2)
		}
	}
	return best
}

func pairColumn(t *table, p pair, binnings []binning) column {
	a, b := &binnings[p.first], &binnings[p.second]
	col := column{width: b.coarseBins(), bins: make([]uint8, t.rows)}
	col.n = a.coarseBins() * col.width
	first, second := t.columns[p.first].bins, t.columns[p.second].bins
	for i := range col.bins {
		col.bins[i] = a.coarse[first[i]]*uint8(col.width) + b.coarse[second[i]]
	}
	col.weigh(t.scale)
	return col
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
