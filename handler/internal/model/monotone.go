package model

// constrain moves a smoother's values to the nearest that keep the monotone constraints.
func (s *smoother) constrain(col *column, info, grad []float64) {
	switch s.kind {
	case line:
		copy(s.x, s.s)
		project(s.x, s.h, col.signs[0])
	case plane:
		copy(s.x, s.s)
		projectPlane(s.x, s.h, s.n/s.rows, col.signs)
	default:
		return
	}
	s.set(s.x, info, grad)
}

// constrain does the same to a field's table.
func (c *column) constrain(table, weight []float64) {
	if c.line && c.signs[0] != 0 {
		project(table[c.first:], weight[c.first:], c.signs[0])
	}
}

// projectPlane makes a grid monotone along the fields that have a sign: along each by turns,
// which comes near to the nearest, and at last by what is before, which makes it so.
func projectPlane(values, weight []float64, width int, signs [2]int8) {
	rows := len(values) / width
	line, w := make([]float64, max(rows, width)), make([]float64, max(rows, width))
	along := func(from, step, n int, sign int8) {
		for i := range n {
			line[i], w[i] = values[from+i*step], weight[from+i*step]
		}
		project(line[:n], w[:n], sign)
		for i := range n {
			values[from+i*step] = line[i]
		}
	}
	turns := 1
	if signs[0] != 0 && signs[1] != 0 {
		turns = 5
	}
	for range turns {
		if signs[0] != 0 {
			for j := range width {
				along(j, width, rows, signs[0])
			}
		}
		if signs[1] != 0 {
			for i := range rows {
				along(i*width, 1, width, signs[1])
			}
		}
	}
	if signs[0] == 0 || signs[1] == 0 {
		return
	}
	// In the order of the grid each value comes after those that it is held to.
	for k := width; k < len(values); k++ {
		values[k] = hold(values[k], values[k-width], signs[0])
	}
	for i := range rows {
		for j := 1; j < width; j++ {
			k := i*width + j
			values[k] = hold(values[k], values[k-1], signs[1])
		}
	}
}

// hold keeps v on the right side of what is before it.
func hold(v, before float64, sign int8) float64 {
	if sign > 0 {
		return max(v, before)
	}
	return min(v, before)
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
