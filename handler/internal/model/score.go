package model

import (
	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
)

// Score is the score of row on the link scale: Intercept() plus the contributions,
// added in the order of Terms. contrib is nil, or receives contribution i at index
// i as far as it is long. Score allocates nothing and may be called concurrently.
//
// It never fails: a value beyond the end of a short row is missing, an infinite
// number falls into the outermost bin, and what is missing or unseen where
// training had none of it contributes 0, as an average case would.
func (m *Model) Score(row Row, contrib []float64) float64 {
	var bins [MaxFields]uint16
	for _, f := range m.used {
		b := m.binnings[f]
		if m.fields[f].Kind == Numeric {
			if f < len(row.Num) {
				bins[f] = b.number(row.Num[f])
			}
		} else if f < len(row.Cat) {
			bins[f] = b.category(row.Cat[f])
		}
	}
	score := m.intercept
	for i := range m.terms {
		t := &m.terms[i]
		at := int(bins[t.fields[0]])
		if len(t.fields) == 2 {
			second := t.fields[1]
			at = int(m.binnings[t.fields[0]].coarse[at])*t.stride + int(m.binnings[second].coarse[bins[second]])
		}
		c := t.table[at]
		if i < len(contrib) {
			contrib[i] = c
		}
		score += c
	}
	return score
}

// ScoreAll puts the score of each row of a table into out, on all processors. The table's
// fields are the model's, by place and kind.
func (m *Model) ScoreAll(f Frame, out []float64) error {
	if len(f.Fields) != len(m.fields) || len(out) != f.N {
		return fault.New(fault.Invalid, "a table of %d fields and %d rows for a model of %d and room for %d", len(f.Fields), f.N, len(m.fields), len(out))
	}
	for _, k := range m.used {
		n := len(f.Num[k])
		if m.fields[k].Kind == Category {
			n = len(f.Cat[k])
		}
		if f.Fields[k].Name != m.fields[k].Name || n != f.N {
			return fault.New(fault.Invalid, "field %d of the table is not the model's %s, or has %d values for %d rows", k, m.fields[k].Name, n, f.N)
		}
	}
	each((f.N+scoreBlock-1)/scoreBlock, func(i int) {
		lo := i * scoreBlock
		m.scoreBlock(&f, lo, out[lo:min(f.N, lo+scoreBlock)])
	})
	return nil
}

// scoreBlock rows are scored field by field, and their bins stay in the nearest cache.
const scoreBlock = 4096

func (m *Model) scoreBlock(f *Frame, lo int, out []float64) {
	bins := make([]uint16, len(m.used)*len(out))
	at := make([][]uint16, len(m.fields))
	for i, k := range m.used {
		b := m.binnings[k]
		at[k] = bins[i*len(out) : (i+1)*len(out)]
		if m.fields[k].Kind == Numeric {
			for j, v := range f.Num[k][lo : lo+len(out)] {
				at[k][j] = b.number(v)
			}
			continue
		}
		for j, v := range f.Cat[k][lo : lo+len(out)] {
			at[k][j] = b.category(v)
		}
	}
	for i := range out {
		out[i] = m.intercept
	}
	for i := range m.terms {
		t := &m.terms[i]
		first := at[t.fields[0]]
		if len(t.fields) == 1 {
			for j, k := range first {
				out[j] += t.table[k]
			}
			continue
		}
		second := at[t.fields[1]]
		across, along := m.binnings[t.fields[0]].coarse, m.binnings[t.fields[1]].coarse
		for j, k := range first {
			out[j] += t.table[int(across[k])*t.stride+int(along[second[j]])]
		}
	}
}

// Mean is the inverse link: the probability, frequency or amount that a score
// stands for. Scores beyond ±700 are read as ±700.
func (m *Model) Mean(link float64) float64 { return mean(m.loss, link) }

func mean(loss Loss, link float64) float64 {
	e := exact.Exp(link)
	if loss == Logistic {
		return e / (1 + e)
	}
	return e
}
