package train

import (
	"hash/fnv"
	"math"

	"polis/handler/internal/model"
)

// table collects rows, at most max: when it is full it drops half of the relations, by
// hash, and from then on takes only those of the other half. Which rows are kept thus
// does not depend on how many come or in which order.
type table struct {
	fields   []model.Field
	hidden   []bool // of each field, whether its values are left missing
	max      int
	n        int
	num      [][]float64
	cat      [][]string
	y        []float64
	weight   []float64
	exposure []float64
	group    []string
	mark     []uint64
	below    uint64
	words    map[string]string // one copy of each category: rows outlive what they were read from
}

func newTable(fields []model.Field, hidden []bool, max int) *table {
	return &table{
		fields: fields, hidden: hidden, max: max, num: make([][]float64, len(fields)), cat: make([][]string, len(fields)),
		below: 1<<64 - 1, words: map[string]string{},
	}
}

func hash(key string, more ...uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	s := h.Sum64()
	for _, v := range append(more, 0) {
		s = (s ^ v) * 0x9e3779b97f4a7c15
		s ^= s >> 29
	}
	return s
}

func (t *table) word(s string) string {
	w, ok := t.words[s]
	if !ok {
		w = clone(s)
		t.words[w] = w
	}
	return w
}

func (t *table) add(key string, row *model.Row, y, weight, exposure float64) {
	mark := hash(key)
	if mark > t.below {
		return
	}
	if t.n == t.max {
		t.halve()
		if mark > t.below {
			return
		}
	}
	for i, f := range t.fields {
		switch {
		case f.Kind == model.Numeric && t.hidden[i]:
			t.num[i] = append(t.num[i], math.NaN())
		case f.Kind == model.Numeric:
			t.num[i] = append(t.num[i], row.Num[i])
		case t.hidden[i]:
			t.cat[i] = append(t.cat[i], "")
		default:
			t.cat[i] = append(t.cat[i], t.word(row.Cat[i]))
		}
	}
	t.y, t.weight, t.exposure = append(t.y, y), append(t.weight, weight), append(t.exposure, exposure)
	t.group, t.mark = append(t.group, t.word(key)), append(t.mark, mark)
	t.n++
}

func (t *table) halve() {
	t.below /= 2
	k := 0
	for i := range t.n {
		if t.mark[i] > t.below {
			continue
		}
		for c, f := range t.fields {
			if f.Kind == model.Numeric {
				t.num[c][k] = t.num[c][i]
			} else {
				t.cat[c][k] = t.cat[c][i]
			}
		}
		t.y[k], t.weight[k], t.exposure[k], t.group[k], t.mark[k] = t.y[i], t.weight[i], t.exposure[i], t.group[i], t.mark[i]
		k++
	}
	for c, f := range t.fields {
		if f.Kind == model.Numeric {
			t.num[c] = t.num[c][:k]
		} else {
			t.cat[c] = t.cat[c][:k]
		}
	}
	t.y, t.weight, t.exposure, t.group, t.mark, t.n = t.y[:k], t.weight[:k], t.exposure[:k], t.group[:k], t.mark[:k], k
}

func (t *table) events() float64 {
	sum := 0.0
	for _, y := range t.y {
		sum += y
	}
	return sum
}

// row fills into with a row.
func (t *table) row(i int, into model.Row) model.Row {
	for c, f := range t.fields {
		if f.Kind == model.Numeric {
			into.Num[c] = t.num[c][i]
		} else {
			into.Cat[c] = t.cat[c][i]
		}
	}
	return into
}

// training is the table in the learner's form.
func (t *table) training(loss model.Loss) (model.Frame, model.Target) {
	f := model.Frame{Fields: t.fields, Num: t.num, Cat: t.cat, N: t.n}
	target := model.Target{Y: t.y, Weight: t.weight, Group: t.group}
	if loss == model.Poisson {
		target.Weight, target.Exposure = nil, t.exposure
	}
	return f, target
}
