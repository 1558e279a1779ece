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
func grow(col *column, grad, info, delta []float64, r leafRules) bool {
	order := make([]uint16, 0, col.n)
	grew := false
	switch {
	case !col.line:
		r.shrink *= categoryShrink
		for k := range col.n {
			if info[k] > 0 {
				order = append(order, uint16(k))
			}
		}
		slices.SortFunc(order, func(a, b uint16) int {
			return cmp.Or(cmp.Compare(grad[a]/(info[a]+r.shrink), grad[b]/(info[b]+r.shrink)), cmp.Compare(a, b))
		})
	default:
		// Missing has no place in the order: it is a leaf of its own.
		if info[missing] >= r.minimum && r.worth(grad[missing], info[missing]) > 2*r.gain {
			delta[missing] = r.value(grad[missing], info[missing])
			grew = true
		}
		for k := col.first; k < col.n; k++ {
			order = append(order, uint16(k))
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
func growLine(order []uint16, grad, info, delta []float64, r leafRules) bool {
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

func bestSplit(order []uint16, lo, hi int, grad, info []float64, r leafRules) leaf {
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
