package model

import (
	"cmp"
	"slices"
)

// leafRules say which leaves a tree may have. All are in units of information:
// expected claims for Poisson, weight for Gamma, weight × p(1-p) for Logistic.
type leafRules struct {
	minimum float64 // information on each side of a split
	shrink  float64 // added to a leaf's information: credibility towards no change
	gain    float64 // nats that a split must gain
}

const (
	maxLeaves = 3
	maxStep   = 4 // on the link: bounds a Newton step where there is little information
	// A category's order is taken from the gradient itself, so its splits look better
	// than they are; they are shrunk this much more.
	categoryShrink = 10
)

func (r leafRules) value(grad, info float64) float64 {
	return max(-maxStep, min(maxStep, grad/(info+r.shrink)))
}

// worth is twice the gain in nats of a leaf's Newton step.
func (r leafRules) worth(grad, info float64) float64 {
	return float64(grad*grad) / (info + r.shrink)
}

// grow fits one small tree to a column's gradient and puts its steps into delta.
// It reports whether there was anything worth a step.
func grow(col *column, grad, info, delta *cells, r leafRules) bool {
	if col.width > 0 {
		return growPair(col, grad, info, delta, r)
	}
	var space [256]uint8
	order := space[:0]
	grew := false
	switch col.kind {
	case Category:
		r.shrink *= categoryShrink
		for k := range col.n {
			if info[k] > 0 {
				order = append(order, uint8(k))
			}
		}
		slices.SortFunc(order, func(a, b uint8) int {
			return cmp.Or(cmp.Compare(grad[a]/(info[a]+r.shrink), grad[b]/(info[b]+r.shrink)), cmp.Compare(a, b))
		})
	default:
		// Missing has no place in the order: it is a leaf of its own.
		if info[missing] >= r.minimum && r.worth(grad[missing], info[missing]) > 2*r.gain {
			delta[missing] = r.value(grad[missing], info[missing])
			grew = true
		}
		for k := 1; k < col.n; k++ {
			order = append(order, uint8(k))
		}
	}
	return growLine(order, grad, info, delta, r) || grew
}

// leaf is a run of bins order[lo:hi] with its best split, if it has one.
type leaf struct {
	lo, hi     int
	grad, info float64
	gain       float64 // of its best split, in half nats; 0 if none is good enough
	cut        int
}

// growLine splits a line of bins best first.
func growLine(order []uint8, grad, info, delta *cells, r leafRules) bool {
	leaves := make([]leaf, 1, maxLeaves)
	leaves[0] = bestSplit(order, 0, len(order), grad, info, r)
	for len(leaves) < maxLeaves {
		best := 0
		for i := range leaves {
			if leaves[i].gain > leaves[best].gain {
				best = i
			}
		}
		l := leaves[best]
		if l.gain == 0 {
			break
		}
		leaves[best] = bestSplit(order, l.lo, l.cut, grad, info, r)
		leaves = append(leaves, bestSplit(order, l.cut, l.hi, grad, info, r))
	}
	if len(leaves) == 1 {
		return false
	}
	for _, l := range leaves {
		v := r.value(l.grad, l.info)
		for _, k := range order[l.lo:l.hi] {
			delta[k] = v
		}
	}
	return true
}

func bestSplit(order []uint8, lo, hi int, grad, info *cells, r leafRules) leaf {
	l := leaf{lo: lo, hi: hi}
	for _, k := range order[lo:hi] {
		l.grad += grad[k]
		l.info += info[k]
	}
	whole := r.worth(l.grad, l.info)
	g, h := 0.0, 0.0
	for i := lo; i < hi-1; i++ {
		g += grad[order[i]]
		h += info[order[i]]
		if h < r.minimum || l.info-h < r.minimum {
			continue
		}
		gain := r.worth(g, h) + r.worth(l.grad-g, l.info-h) - whole
		if gain > 2*r.gain && gain > l.gain {
			l.gain, l.cut = gain, i+1
		}
	}
	return l
}

// growPair cuts a grid once across one field and then each side across the other,
// trying both fields first.
func growPair(col *column, grad, info, delta *cells, r leafRules) bool {
	rows, width := col.n/col.width, col.width
	across := gridTree(rows, width, func(i, j int) int { return i*width + j }, grad, info, r)
	along := gridTree(width, rows, func(i, j int) int { return j*width + i }, grad, info, r)
	best, n, m := across, rows, width
	at := func(i, j int) int { return i*width + j }
	if along.gain > across.gain {
		best, n, m = along, width, rows
		at = func(i, j int) int { return j*width + i }
	}
	if best.gain <= 2*r.gain {
		return false
	}
	for i := range n {
		side := 0
		if i >= best.cut {
			side = 1
		}
		for j := range m {
			end := 0
			if j >= best.cuts[side] {
				end = 1
			}
			delta[at(i, j)] = best.values[side][end]
		}
	}
	return true
}

type grid struct {
	gain   float64 // in half nats
	cut    int     // of the first field
	cuts   [2]int  // of the second, on each side
	values [2][2]float64
}

// gridTree is the best tree that cuts the first index once, then each side.
func gridTree(n, m int, at func(i, j int) int, grad, info *cells, r leafRules) grid {
	var total, before [2][maxCoarse]float64 // gradient and information by second index
	g, h := 0.0, 0.0
	for i := range n {
		for j := range m {
			k := at(i, j)
			total[0][j] += grad[k]
			total[1][j] += info[k]
			g += grad[k]
			h += info[k]
		}
	}
	whole := r.worth(g, h)
	var best grid
	for i := range n - 1 {
		for j := range m {
			k := at(i, j)
			before[0][j] += grad[k]
			before[1][j] += info[k]
		}
		var after [2][maxCoarse]float64
		for j := range m {
			after[0][j] = total[0][j] - before[0][j]
			after[1][j] = total[1][j] - before[1][j]
		}
		lowWorth, lowCut, low := cutLine(before[0][:m], before[1][:m], r)
		highWorth, highCut, high := cutLine(after[0][:m], after[1][:m], r)
		if gain := lowWorth + highWorth - whole; lowCut+highCut > 0 && gain > best.gain {
			best = grid{gain: gain, cut: i + 1, cuts: [2]int{lowCut, highCut}, values: [2][2]float64{low, high}}
		}
	}
	return best
}

// cutLine is the best single cut of a line, or none (0), with the values of both
// ends. A line without enough information has worth 0 and changes nothing.
func cutLine(grad, info []float64, r leafRules) (worth float64, cut int, values [2]float64) {
	g, h := 0.0, 0.0
	for j := range grad {
		g += grad[j]
		h += info[j]
	}
	if h < r.minimum {
		return 0, 0, values
	}
	worth = r.worth(g, h)
	values[1] = r.value(g, h)
	a, b := 0.0, 0.0
	for j := range len(grad) - 1 {
		a += grad[j]
		b += info[j]
		if b < r.minimum || h-b < r.minimum {
			continue
		}
		if w := r.worth(a, b) + r.worth(g-a, h-b); w > worth {
			worth, cut = w, j+1
			values = [2]float64{r.value(a, b), r.value(g-a, h-b)}
		}
	}
	return worth, cut, values
}

// project replaces values by the nearest that only rise (sign +1) or only fall
// (-1), in weighted least squares: pool adjacent violators (Ayer et al. 1955).
func project(values, weight []float64, sign int8) {
	type block struct {
		sum, weight float64
		n           int
	}
	blocks := make([]block, 0, len(values))
	mean := func(b block) float64 { return b.sum / b.weight * float64(sign) }
	for i, v := range values {
		w := max(weight[i], 1e-9)
		blocks = append(blocks, block{float64(v * w), w, 1})
		for n := len(blocks); n > 1 && mean(blocks[n-2]) > mean(blocks[n-1]); n-- {
			last := blocks[n-1]
			blocks = blocks[:n-1]
			into := &blocks[n-2]
			into.sum += last.sum
			into.weight += last.weight
			into.n += last.n
		}
	}
	i := 0
	for _, b := range blocks {
		v := b.sum / b.weight
		for range b.n {
			values[i] = v
			i++
		}
	}
}
