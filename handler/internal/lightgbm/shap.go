package lightgbm

// element is a feature on the path to a node: the share of the training rows that pass
// its splits where it is not known, whether the row passes them where it is, and the
// weight of the sets of features that are known so far (Lundberg et al. 2018, algorithm 2).
type element struct {
	feature   int
	zero, one float64
	weight    float64
}

// Explain adds up what each feature contributes to the raw score of a row: with Expected
// the contributions sum to Raw. phi is as long as the features.
func (m *Model) Explain(row, phi []float64) {
	clear(phi)
	path, _ := m.scratch.Get().(*[]element)
	if path == nil {
		// A path of depth d is followed by those of its descendants, each one longer.
		s := make([]element, (m.depth+2)*(m.depth+3)/2)
		path = &s
	}
	for i := range m.trees {
		t := &m.trees[i]
		if len(t.feature) > 0 {
			t.shap(row, phi, 0, *path, 0, 1, 1, -1)
		}
	}
	m.scratch.Put(path)
	if m.average {
		for i := range phi {
			phi[i] /= float64(len(m.trees))
		}
	}
}

// shap walks the subtree below a node. path[:depth] is the parent's, which is copied to
// behind it so that both children find it as it was.
func (t *tree) shap(row, phi []float64, node int, path []element, depth int, zero, one float64, feature int) {
	own := path[depth:]
	copy(own[:depth], path[:depth])
	extend(own, depth, zero, one, feature)
	if node < 0 {
		value := t.value[^node]
		for i := 1; i <= depth; i++ {
			e := &own[i]
			phi[e.feature] += float64(unwoundSum(own, depth, i) * (e.one - e.zero) * value)
		}
		return
	}
	hot := t.next(node, row)
	cold := t.left[node] + t.right[node] - hot
	passZero, passOne := 1.0, 1.0
	split := t.feature[node]
	for i := 1; i <= depth; i++ {
		if own[i].feature == split {
			// The feature splits again: both of its splits count as one.
			passZero, passOne = own[i].zero, own[i].one
			unwind(own, depth, i)
			depth--
			break
		}
	}
	all := t.nodeCount[node]
	t.shap(row, phi, hot, own, depth+1, passZero*t.count(hot)/all, passOne, split)
	t.shap(row, phi, cold, own, depth+1, passZero*t.count(cold)/all, 0, split)
}

func (t *tree) count(node int) float64 {
	if node < 0 {
		return t.leafCount[^node]
	}
	return t.nodeCount[node]
}

func extend(path []element, depth int, zero, one float64, feature int) {
	path[depth] = element{feature: feature, zero: zero, one: one}
	if depth == 0 {
		path[0].weight = 1
	}
	n := float64(depth + 1)
	for i := depth - 1; i >= 0; i-- {
		path[i+1].weight += one * path[i].weight * float64(i+1) / n
		path[i].weight = zero * path[i].weight * float64(depth-i) / n
	}
}

// unwind takes a feature off the path again.
func unwind(path []element, depth, at int) {
	zero, one, n := path[at].zero, path[at].one, float64(depth+1)
	next := path[depth].weight
	for i := depth - 1; i >= 0; i-- {
		if one != 0 {
			w := path[i].weight
			path[i].weight = next * n / (float64(i+1) * one)
			next = w - path[i].weight*zero*float64(depth-i)/n
		} else {
			path[i].weight = path[i].weight * n / (zero * float64(depth-i))
		}
	}
	for i := at; i < depth; i++ {
		path[i].feature, path[i].zero, path[i].one = path[i+1].feature, path[i+1].zero, path[i+1].one
	}
}

// unwoundSum is the weight of the path without a feature.
func unwoundSum(path []element, depth, at int) float64 {
	zero, one, n := path[at].zero, path[at].one, float64(depth+1)
	next, total := path[depth].weight, 0.0
	for i := depth - 1; i >= 0; i-- {
		if one != 0 {
			w := next * n / (float64(i+1) * one)
			total += w
			next = path[i].weight - w*zero*float64(depth-i)/n
		} else {
			total += path[i].weight / zero / (float64(depth-i) / n)
		}
	}
	return total
}
