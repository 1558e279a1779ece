package model

// Rolling scores a row again and again while only some of its fields change, as those of a
// month do in a hazard: what the others add is looked up once. Its scores are Score's to
// the last bit. It holds what it has looked up, so it is for one goroutine.
type Rolling struct {
	m      *Model
	moving []int     // fields that change and that some term reads
	reads  []bool    // by term: whether it reads one of them
	first  int       // the first term that does; before it nothing changes
	before float64   // the intercept and the terms before first
	adds   []float64 // by term, as far as it stands still
	bins   [MaxFields]uint16
}

// Rolling is for rows of which only the given fields change from one score to the next.
func (m *Model) Rolling(fields ...int) *Rolling {
	changes := make([]bool, len(m.fields))
	for _, f := range fields {
		changes[f] = true
	}
	r := &Rolling{m: m, reads: make([]bool, len(m.terms)), first: len(m.terms), adds: make([]float64, len(m.terms))}
	for _, f := range m.used {
		if changes[f] {
			r.moving = append(r.moving, f)
		}
	}
	for i, t := range m.terms {
		for _, f := range t.fields {
			r.reads[i] = r.reads[i] || changes[f]
		}
		if r.reads[i] && r.first == len(m.terms) {
			r.first = i
		}
	}
	return r
}

// Start is the score of a row, from which Next goes on.
func (r *Rolling) Start(row Row) float64 {
	for _, f := range r.m.used {
		r.bins[f] = r.m.bin(f, row)
	}
	r.before = r.m.intercept
	for i := range r.m.terms {
		if !r.reads[i] {
			r.adds[i] = r.m.terms[i].at(r.m, &r.bins)
		}
		if i < r.first {
			r.before += r.adds[i]
		}
	}
	return r.sum()
}

// Next is the score of the row that Start had, with other values in the fields that change.
func (r *Rolling) Next(row Row) float64 {
	for _, f := range r.moving {
		r.bins[f] = r.m.bin(f, row)
	}
	return r.sum()
}

func (r *Rolling) sum() float64 {
	score := r.before
	for i := r.first; i < len(r.adds); i++ {
		if r.reads[i] {
			score += r.m.terms[i].at(r.m, &r.bins)
		} else {
			score += r.adds[i]
		}
	}
	return score
}

// bin is that of a row's value of a field.
func (m *Model) bin(f int, row Row) uint16 {
	switch {
	case m.fields[f].Kind == Numeric && f < len(row.Num):
		return m.binnings[f].number(row.Num[f])
	case m.fields[f].Kind == Category && f < len(row.Cat):
		return m.binnings[f].category(row.Cat[f])
	}
	return missing
}

// at is what the term adds for the fields' bins.
func (t *term) at(m *Model, bins *[MaxFields]uint16) float64 {
	k := int(bins[t.fields[0]])
	if len(t.fields) == 2 {
		second := t.fields[1]
		k = int(m.binnings[t.fields[0]].coarse[k])*t.stride + int(m.binnings[second].coarse[bins[second]])
	}
	return t.table[k]
}
