package lightgbm

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/fault"
)

// Limits of what is loaded: far above what models have, far below what memory bears.
const (
	maxFile     = 256 << 20
	maxFeatures = 1 << 16
	maxLeaves   = 1 << 17
	maxDepth    = 1000
)

// Load reads a model that LightGBM saved as text (Booster.save_model). What is not such a
// file, or is cut off, is fault.Malformed; a kind of model that cannot be read, or one
// that contradicts itself, is fault.Invalid.
func Load(r io.Reader) (*Model, error) {
	l := &loader{r: bufio.NewScanner(io.LimitReader(r, maxFile))}
	l.r.Buffer(make([]byte, 0, 1<<16), 1<<26)
	m := &Model{}
	if l.next(); l.text != "tree" {
		return nil, fault.New(fault.Malformed, "not a LightGBM text model")
	}
	head := l.fields()
	if err := m.header(head); err != nil {
		return nil, err
	}
	for strings.HasPrefix(l.text, "Tree=") {
		t, err := newTree(l.fields(), len(m.names))
		if err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "tree %d", len(m.trees))
		}
		m.trees = append(m.trees, t.tree)
		m.depth = max(m.depth, t.depth)
		m.expected += t.expected
		m.most += max(slices.Max(t.value), -slices.Min(t.value))
	}
	if l.text != "end of trees" {
		return nil, l.broken()
	}
	if len(m.trees) == 0 {
		return nil, fault.New(fault.Malformed, "the model has no trees")
	}
	if math.IsInf(m.most, 0) {
		return nil, fault.New(fault.Invalid, "the trees add up to no finite number")
	}
	if m.average {
		m.expected /= float64(len(m.trees))
		m.most /= float64(len(m.trees))
	}
	features := ""
	for l.next() {
		if list, ok := strings.CutPrefix(l.text, "[categorical_feature: "); ok {
			features = strings.TrimSuffix(list, "]")
		}
		if list, ok := strings.CutPrefix(l.text, "pandas_categorical:"); ok {
			if err := m.nameCategories(list, features); err != nil {
				return nil, err
			}
		}
	}
	if l.r.Err() != nil {
		return nil, l.broken()
	}
	return m, nil
}

// loader reads lines.
type loader struct {
	r    *bufio.Scanner
	text string
	line int
}

func (l *loader) next() bool {
	ok := l.r.Scan()
	l.text = strings.TrimRight(l.r.Text(), "\r")
	l.line++
	return ok
}

// fields reads key=value lines up to the next section's first line. A line without a
// value is there, and empty.
func (l *loader) fields() map[string]string {
	out := map[string]string{}
	for l.next() {
		if l.text == "" {
			continue
		}
		key, value, _ := strings.Cut(l.text, "=")
		if key == "Tree" || key == "end of trees" {
			break
		}
		out[key] = value
	}
	return out
}

func (l *loader) broken() error {
	if err := l.r.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return fault.Wrap(fault.Unavailable, err, "reading a model")
	}
	return fault.New(fault.Malformed, "the model is cut off at line %d", l.line)
}

func (m *Model) header(h map[string]string) error {
	m.names = strings.Fields(h["feature_names"])
	last, err := strconv.Atoi(h["max_feature_idx"])
	switch {
	case err != nil || last < 0 || last >= maxFeatures || len(m.names) != last+1:
		return fault.New(fault.Malformed, "the features and their names do not agree")
	case h["num_class"] != "1" || h["num_tree_per_iteration"] != "1":
		return fault.New(fault.Invalid, "a model of several classes cannot be used")
	}
	_, m.average = h["average_output"]
	return m.setObjective(h["objective"])
}

// setObjective fixes what a raw score stands for.
func (m *Model) setObjective(text string) error {
	m.objective, m.slope = text, 1
	words := strings.Fields(text)
	if len(words) == 0 {
		return fault.New(fault.Invalid, "the model does not say what it predicts")
	}
	switch words[0] {
	case "binary":
		for _, w := range words[1:] {
			if s, ok := strings.CutPrefix(w, "sigmoid:"); ok {
				v, err := strconv.ParseFloat(s, 64)
				if err != nil || !(v > 0) || math.IsInf(v, 0) {
					return fault.New(fault.Malformed, "the objective's sigmoid is no positive number")
				}
				m.slope = v
			}
		}
		m.response = func(raw float64) float64 { return 1 / (1 + math.Exp(-m.slope*raw)) }
	case "cross_entropy":
		m.response = func(raw float64) float64 { return 1 / (1 + math.Exp(-raw)) }
	case "poisson", "gamma", "tweedie":
		m.response = math.Exp
	case "regression", "regression_l1", "huber", "fair", "quantile", "mape":
		if slices.Contains(words, "sqrt") {
			return fault.New(fault.Invalid, "a model of square roots cannot be used")
		}
		m.response = func(raw float64) float64 { return raw }
	default:
		return fault.New(fault.Invalid, "the objective %s is not one that can be used", words[0])
	}
	return nil
}

// builder is a tree being read.
type builder struct {
	tree
	depth  int
	fields map[string]string
}

func newTree(fields map[string]string, features int) (*builder, error) {
	b := &builder{fields: fields}
	leaves, err := strconv.Atoi(fields["num_leaves"])
	switch {
	case err != nil || leaves < 1 || leaves > maxLeaves:
		return nil, fault.New(fault.Malformed, "the number of leaves is not from 1 to %d", maxLeaves)
	case fields["is_linear"] != "" && fields["is_linear"] != "0":
		return nil, fault.New(fault.Invalid, "linear trees cannot be used")
	}
	if b.value, err = b.floats("leaf_value", leaves); err != nil {
		return nil, err
	}
	if leaves == 1 {
		b.expected = b.value[0]
		return b, nil
	}
	for _, list := range []struct {
		name string
		into *[]int
	}{{"split_feature", &b.feature}, {"left_child", &b.left}, {"right_child", &b.right}} {
		if *list.into, err = b.ints(list.name, leaves-1); err != nil {
			return nil, err
		}
	}
	for _, list := range []struct {
		name string
		n    int
		into *[]float64
	}{{"threshold", leaves - 1, &b.threshold}, {"internal_count", leaves - 1, &b.nodeCount}, {"leaf_count", leaves, &b.leafCount}} {
		if *list.into, err = b.floats(list.name, list.n); err != nil {
			return nil, err
		}
	}
	decisions, err := b.ints("decision_type", leaves-1)
	if err != nil {
		return nil, err
	}
	for i, d := range decisions {
		if d < 0 || d > 15 || d>>missingBits == missingMask {
			return nil, fault.New(fault.Malformed, "node %d decides in an unknown way", i)
		}
		if b.feature[i] < 0 || b.feature[i] >= features {
			return nil, fault.New(fault.Malformed, "node %d splits by a feature that is not there", i)
		}
		b.decision = append(b.decision, uint8(d))
	}
	if err := b.sets(); err != nil {
		return nil, err
	}
	return b, b.walk()
}

// sets reads the categories of categorical splits, each as a run of 32-bit words.
func (b *builder) sets() error {
	b.members = make([][]uint32, len(b.feature))
	n, err := strconv.Atoi(b.fields["num_cat"])
	if err != nil || n < 0 || n > len(b.feature) {
		return fault.New(fault.Malformed, "the number of categorical splits is wrong")
	}
	var bounds, words []int
	if n > 0 {
		if bounds, err = b.ints("cat_boundaries", n+1); err != nil {
			return err
		}
		if words, err = b.ints("cat_threshold", -1); err != nil {
			return err
		}
		if bounds[0] != 0 || bounds[n] != len(words) || !slices.IsSorted(bounds) {
			return fault.New(fault.Malformed, "the bounds of the categories do not agree with them")
		}
	}
	for i, d := range b.decision {
		if d&categorical == 0 {
			continue
		}
		k := int(b.threshold[i])
		if k < 0 || k >= n || float64(k) != b.threshold[i] {
			return fault.New(fault.Malformed, "node %d splits by categories that are not there", i)
		}
		for _, w := range words[bounds[k]:bounds[k+1]] {
			if w < 0 || w > math.MaxUint32 {
				return fault.New(fault.Malformed, "the categories are no 32-bit words")
			}
			b.members[i] = append(b.members[i], uint32(w))
		}
	}
	return nil
}

// walk checks that the nodes form one tree, and finds its depth and its mean over the
// training rows.
func (b *builder) walk() error {
	type at struct{ node, depth int }
	nodes, leaves := make([]bool, len(b.feature)), make([]bool, len(b.value))
	for todo := []at{{0, 0}}; len(todo) > 0; {
		a := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if b.depth = max(b.depth, a.depth); b.depth > maxDepth {
			return fault.New(fault.Invalid, "the tree is deeper than %d", maxDepth)
		}
		if a.node < 0 {
			if ^a.node >= len(leaves) || leaves[^a.node] {
				return fault.New(fault.Malformed, "the leaves do not form a tree")
			}
			leaves[^a.node] = true
			continue
		}
		if a.node >= len(nodes) || nodes[a.node] {
			return fault.New(fault.Malformed, "the nodes do not form a tree")
		}
		nodes[a.node] = true
		todo = append(todo, at{b.left[a.node], a.depth + 1}, at{b.right[a.node], a.depth + 1})
	}
	if slices.Contains(leaves, false) || slices.Contains(nodes, false) {
		return fault.New(fault.Malformed, "the tree has parts that nothing leads to")
	}
	for i, all := range b.nodeCount {
		if !(all > 0) || !(b.count(b.left[i]) > 0) || !(b.count(b.right[i]) > 0) {
			return fault.New(fault.Invalid, "node %d does not say how many rows it had, which reasons need", i)
		}
	}
	for i, n := range b.leafCount {
		b.expected += float64(n / b.nodeCount[0] * b.value[i])
	}
	return nil
}

// floats reads n numbers. Thresholds may be infinite: these part what is known from what
// is not.
func (b *builder) floats(name string, n int) ([]float64, error) {
	words := strings.Fields(b.fields[name])
	if len(words) != n {
		return nil, fault.New(fault.Malformed, "%s has %d values, not %d", name, len(words), n)
	}
	out := make([]float64, n)
	for i, w := range words {
		v, err := strconv.ParseFloat(w, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) && name != "threshold" {
			return nil, fault.New(fault.Malformed, "%s holds something that is no finite number", name)
		}
		out[i] = v
	}
	return out, nil
}

// ints reads n whole numbers, or any number of them where n is negative.
func (b *builder) ints(name string, n int) ([]int, error) {
	words := strings.Fields(b.fields[name])
	if n >= 0 && len(words) != n {
		return nil, fault.New(fault.Malformed, "%s has %d values, not %d", name, len(words), n)
	}
	out := make([]int, len(words))
	for i, w := range words {
		v, err := strconv.Atoi(w)
		if err != nil {
			return nil, fault.New(fault.Malformed, "%s holds something that is no whole number", name)
		}
		out[i] = v
	}
	return out, nil
}

// nameCategories reads the names that a data frame had for its categories, one list for
// each categorical feature in their order.
func (m *Model) nameCategories(list, features string) error {
	var all [][]any
	if list == "null" {
		return nil
	}
	if err := json.Unmarshal([]byte(list), &all); err != nil {
		return fault.New(fault.Malformed, "the names of categories are not lists")
	}
	places := strings.Split(features, ",")
	if len(places) != len(all) {
		return nil // some have codes of the caller's own: which ones the file does not say
	}
	m.categories = make(map[int][]string, len(all))
	for i, names := range all {
		f, err := strconv.Atoi(places[i])
		if err != nil || f < 0 || f >= len(m.names) {
			return fault.New(fault.Malformed, "a categorical feature is not there")
		}
		for _, n := range names {
			text, ok := n.(string)
			if !ok {
				b, err := json.Marshal(n)
				if err != nil {
					return fault.Wrap(fault.Malformed, err, "reading the names of categories")
				}
				text = string(b)
			}
			m.categories[f] = append(m.categories[f], text)
		}
	}
	return nil
}
