package model

import "polis/handler/internal/exact"

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
		b := &m.binnings[f]
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
