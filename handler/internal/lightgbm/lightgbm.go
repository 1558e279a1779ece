// Package lightgbm reads models that LightGBM saved as text, predicts with them as
// LightGBM does, and explains a prediction exactly by TreeSHAP (Lundberg et al. 2018).
// It is for models that a house already has.
package lightgbm

import (
	"math"
	"sync"
)

// Model is a loaded model. It does not change, so any number of goroutines may use it.
type Model struct {
	names      []string
	categories map[int][]string // by feature: names in the order of their codes, where the file has them
	trees      []tree
	average    bool // a random forest: the trees are averaged
	objective  string
	response   func(raw float64) float64
	slope      float64 // of the link over the raw score: a binary objective's sigmoid, else 1
	expected   float64
	most       float64   // what no raw score goes beyond, in either direction
	scratch    sync.Pool // *[]element
	depth      int
}

// tree is one tree; a child below 0 is the leaf ^child.
type tree struct {
	feature   []int
	threshold []float64
	decision  []uint8
	left      []int
	right     []int
	value     []float64  // of leaves
	members   [][]uint32 // of categorical splits: the categories that go left, as bits
	nodeCount []float64  // training rows
	leafCount []float64
	expected  float64
}

// The bits of a decision.
const (
	categorical = 1
	defaultLeft = 2
	missingBits = 2 // shift
	missingMask = 3
	missingZero = 1
	missingNaN  = 2
)

// zero is below what LightGBM takes a number for 0; it is a float there.
const zero = float64(float32(1e-35))

// Features are the names of the features, in the order of a row.
func (m *Model) Features() []string { return append([]string(nil), m.names...) }

// Categories are the names of a feature's categories by code, where the training data
// was a data frame of such; nil: the codes are the caller's, or the feature is numeric.
func (m *Model) Categories(feature int) []string { return m.categories[feature] }

// Objective is what the model was trained for, as in its file.
func (m *Model) Objective() string { return m.objective }

// Expected is the mean raw score of the training rows: what contributions are added to.
func (m *Model) Expected() float64 { return m.expected }

// Predict is the prediction for a row, one value a feature: NaN for missing, the code for
// a category. What is beyond the end of a short row is missing. It allocates nothing.
func (m *Model) Predict(row []float64) float64 { return m.response(m.Raw(row)) }

// Response is what a raw score stands for: a probability, a frequency or an amount.
func (m *Model) Response(raw float64) float64 { return m.response(raw) }

// Raw is the prediction on the scale of the link.
func (m *Model) Raw(row []float64) float64 {
	sum := 0.0
	for i := range m.trees {
		t := &m.trees[i]
		sum += t.value[t.leaf(row)]
	}
	if m.average {
		sum /= float64(len(m.trees))
	}
	return sum
}

func (t *tree) leaf(row []float64) int {
	if len(t.feature) == 0 {
		return 0
	}
	node := 0
	for node >= 0 {
		node = t.next(node, row)
	}
	return ^node
}

// next is the child that a row goes to.
func (t *tree) next(node int, row []float64) int {
	v := math.NaN()
	if f := t.feature[node]; f < len(row) {
		v = row[f]
	}
	d := t.decision[node]
	if d&categorical != 0 {
		if t.has(node, v) {
			return t.left[node]
		}
		return t.right[node]
	}
	missing := d >> missingBits & missingMask
	if v != v && missing != missingNaN {
		v = 0
	}
	left := v <= t.threshold[node]
	if missing == missingZero && v >= -zero && v <= zero || missing == missingNaN && v != v {
		left = d&defaultLeft != 0
	}
	if left {
		return t.left[node]
	}
	return t.right[node]
}

// has reports whether a category is among those that go left.
func (t *tree) has(node int, v float64) bool {
	bits := t.members[node]
	if !(v > -1) || v >= float64(32*len(bits)) { // also not for NaN
		return false
	}
	k := uint(v)
	return bits[k/32]>>(k%32)&1 != 0
}
