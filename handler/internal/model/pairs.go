package model

import (
	"cmp"
	"slices"

	"polis/handler/internal/exact"
)

// pair is two fields that act together, with what the pair gains over its fields
// acting apart.
type pair struct {
	first, second int
	gain          float64 // nats
}

// minPairGain is the nats a pair must gain to be tried, beside the logarithm of how many
// pairs there are: the best of so many cuts through noise gains about as much.
const minPairGain = 3

// findPairs finds pairs worth trying, the best first, and adds them to the table
// and the bags as columns. It looks at rows as predicted by the bag that did not
// learn from them (FAST: Lou et al. 2013).
func (b *booster) findPairs(binnings []binning, mains []int) []pair {
	t := b.table
	if b.options.Pairs < 0 {
		return nil
	}
	var eligible []int
	for _, f := range mains {
		b.coarsen(f, &binnings[f])
		if n := binnings[f].coarseBins(); n > 1+b.begin(f) {
			eligible = append(eligible, f)
		}
	}
	var all []pair
	for i, f := range eligible {
		for _, g := range eligible[i+1:] {
			all = append(all, pair{first: f, second: g})
		}
	}
	// Gradient and information of the rows that are held out, bag by bag.
	var grad, info []float32
	var spans [][2]int
	for _, bag := range b.bags {
		bag.score()
		lo := t.from[bag.fold]
		spans = append(spans, [2]int{lo, lo + len(bag.held)})
		for i, link := range bag.held {
			g, h := t.newton(link, lo+i)
			grad, info = append(grad, float32(g)), append(info, float32(h))
		}
	}
	rules := leafRules{minimum: b.options.MinLeaf * t.phi, shrink: b.options.Shrink * t.phi}
	each(len(all), func(i int) {
		p := &all[i]
		p.gain = b.interaction(p, spans, grad, info, binnings, rules)
	})
	slices.SortStableFunc(all, func(x, y pair) int { return cmp.Compare(y.gain, x.gain) })
	least := (minPairGain + exact.Log(float64(max(1, len(all))))) * t.phi
	n := 0
	for n < min(len(all), b.options.Pairs) && all[n].gain >= least {
		n++
	}
	return all[:n]
}

// addPairs makes columns of pairs.
func (b *booster) addPairs(pairs []pair, binnings []binning) (columns []int) {
	t := b.table
	for _, p := range pairs {
		columns = append(columns, len(t.columns))
		t.columns = append(t.columns, b.pairColumn(p, binnings))
	}
	each(len(b.bags), func(i int) { b.bags[i].grow() })
	return columns
}

// begin is the first coarse bin of a field with a place in its order.
func (b *booster) begin(f int) int {
	if b.table.columns[f].line {
		return 1
	}
	return 0
}

// coarsen gives a field its coarse bins: what has an order in it, after one for what has
// none (missing, other); categories in the order of their main effect, if they are few.
func (b *booster) coarsen(f int, into *binning) {
	col := &b.table.columns[f]
	limit := b.options.PairBins
	order := make([]int, 0, col.n)
	if col.line {
		for k := col.first; k < col.n; k++ {
			order = append(order, k)
		}
		weight := slices.Clone(col.weight)
		clear(weight[:col.first])
		into.coarse = coarsen(order, weight, limit)
		for k := col.first; k < col.n; k++ {
			into.coarse[k]++
		}
		return
	}
	for k := range col.n {
		order = append(order, k)
	}
	// What many names do is known too little to put them in its order: it would tell a pair of
	// the very rows that it is to be judged by. Codes have an order of their own; other names
	// are in no pair.
	switch {
	case len(col.levels) > 0:
		slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(into.name(x), into.name(y)) })
		into.coarse = coarsen(order, col.weight, limit)
		return
	case col.n > maxTreeNames:
		into.coarse = make([]uint8, col.n)
		return
	}
	effect := make([]float64, col.n)
	for k := range effect {
		for _, bag := range b.bags {
			effect[k] += bag.tables[f][k]
		}
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(effect[x], effect[y]) })
	into.coarse = coarsen(order, col.weight, limit)
}

// interaction is the gain in nats of the best pair of cuts over its two cuts apart.
func (b *booster) interaction(p *pair, spans [][2]int, grad, info []float32, binnings []binning, r leafRules) float64 {
	first, second := &binnings[p.first], &binnings[p.second]
	n, m := first.coarseBins(), second.coarseBins()
	var g, h [(maxCoarse + 1) * (maxCoarse + 1)]float64
	x, y := &b.table.columns[p.first], &b.table.columns[p.second]
	i := 0
	for _, s := range spans {
		for row := s[0]; row < s[1]; row++ {
			k := int(first.coarse[x.bin(row)])*m + int(second.coarse[y.bin(row)])
			g[k] += float64(grad[i])
			h[k] += float64(info[i])
			i++
		}
	}
	// Sums over the rectangle below and left of each cell.
	for i := 1; i < n; i++ {
		for j := range m {
			g[i*m+j] += g[(i-1)*m+j]
			h[i*m+j] += h[(i-1)*m+j]
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

func (b *booster) pairColumn(p pair, binnings []binning) column {
	t := b.table
	first, second := &binnings[p.first], &binnings[p.second]
	width := second.coarseBins()
	col := newColumn(first.coarseBins()*width, t.rows)
	col.width = width
	col.begin = [2]int{b.begin(p.first), b.begin(p.second)}
	x, y := &t.columns[p.first], &t.columns[p.second]
	col.signs = [2]int8{x.signs[0], y.signs[0]}
	for i := range t.rows {
		col.set(i, uint16(int(first.coarse[x.bin(i)])*width+int(second.coarse[y.bin(i)])))
	}
	col.weigh(t.scale)
	return col
}
