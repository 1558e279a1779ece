package model

import (
	"context"
	"math"

	"polis/handler/internal/exact"
)

// cells is one value a bin. Every uint16 is an index into it, so none is checked in the
// loops where the time of a fit goes; only as much of it is touched as a column has bins.
type cells [1 << 16]float64

// factors are likewise, and as short as the rows' state.
type factors [1 << 16]float32

// bag is one of the models that are averaged: it learns from all folds but its own (where
// there is time, from their early rows), which tells when to stop and what the model is worth on
// rows it never saw.
type bag struct {
	t         *table
	fold      int
	start     float64       // its intercept
	tables    [][]float64   // by column
	best      [][]float64   // tables at the best round so far
	smoothers [][]*smoother // by column, of which tables are the sums
	bestStart float64
	common    pool
	temper    float64 // how much nearer to nothing all smoothers draw
	stirs     float64 // see Options.Stirs

	// state is a row's current mean in a form that one product updates: scale × mean
	// for Poisson, odds for Logistic, scale × target / mean for Gamma, and for Tweedie
	// scale × √mean.
	state []float32
	fixed [][]float64 // what of a column's gradient never changes, by column

	resting []int // rounds for which a column is left out, having had nothing to give
	rest    []int // how long its last rest was

	pending *column // an update that state has not had yet; nil: none
	factor  *factors

	grad, info, odd, oddInfo *cells
	held                     []float64 // link of the own fold's rows that are judged
}

func newBag(t *table, fold int, stirs float64) *bag {
	b := &bag{
		t: t, fold: fold, temper: 1, stirs: stirs, state: make([]float32, t.rows), factor: new(factors),
		grad: new(cells), info: new(cells), odd: new(cells), oddInfo: new(cells),
	}
	num, den := 0.0, 0.0
	b.eachTrained(func(lo, hi int) {
		for i := lo; i < hi; i++ {
			num += float64(t.weightOf(i) * float64(t.y[i]))
			den += float64(t.scale[i])
		}
	})
	b.start = startOf(t.loss, num, den)
	if t.offset != nil {
		b.start += shift(t, b.eachTrained, b.start)
	}
	b.bestStart = b.start
	b.held = make([]float64, t.bounds[fold+1]-t.from[fold])
	b.grow()
	b.reset()
	return b
}

// startOf is the link of the mean num/den, kept off the ends where the link is infinite.
func startOf(loss Loss, num, den float64) float64 {
	const least = 1e-6 // of a mean that came out as 0, as where a bag has no event
	mean := min(num/den, math.MaxFloat64)
	if loss == Logistic {
		mean = max(least, min(1-least, mean))
		return exact.Log(mean / (1 - mean))
	}
	if !(mean > 0) {
		mean = least
	}
	return max(-exact.Most, min(exact.Most, exact.Log(mean)))
}

// eachTrained calls f with the ranges of rows that the bag learns from.
func (b *bag) eachTrained(f func(lo, hi int)) {
	if !b.t.past {
		f(0, b.t.bounds[b.fold])
		f(b.t.bounds[b.fold+1], b.t.rows)
		return
	}
	for k, from := range b.t.from {
		if k != b.fold {
			f(b.t.bounds[k], from)
		}
	}
}

// grow makes room for columns added to the table.
func (b *bag) grow() {
	for c := len(b.tables); c < len(b.t.columns); c++ {
		col := &b.t.columns[c]
		b.tables = append(b.tables, make([]float64, col.n))
		b.best = append(b.best, make([]float64, col.n))
		b.smoothers = append(b.smoothers, col.newSmoothers(b.t.phi))
		b.resting, b.rest = append(b.resting, 0), append(b.rest, 0)
		fixed := make([]float64, col.n)
		b.eachTrained(func(lo, hi int) {
			for i := lo; i < hi; i++ {
				switch b.t.loss {
				case Gamma:
					fixed[col.bin(i)] += float64(b.t.scale[i])
				case Logistic, Poisson:
					fixed[col.bin(i)] += float64(b.t.weightOf(i) * float64(b.t.y[i]))
				}
			}
		})
		b.fixed = append(b.fixed, fixed)
	}
}

// newSmoothers are what a column's table is the sum of.
func (c *column) newSmoothers(phi float64) (out []*smoother) {
	if !c.varies() {
		return nil
	}
	group := make([]int32, c.n)
	if c.width > 0 {
		// Of missing numbers a pair says nothing: they are no neighbours of the lowest.
		rows, width := c.n/c.width-c.begin[0], c.width-c.begin[1]
		for k := range group {
			i, j := k/c.width-c.begin[0], k%c.width-c.begin[1]
			group[k] = int32(i*width + j)
			if i < 0 || j < 0 {
				group[k] = -1
			}
		}
		return []*smoother{newSmoother(plane, group, rows*width, rows, phi)}
	}
	for k := range group {
		group[k] = int32(k)
		if c.line {
			group[k] = int32(k - c.first) // what has no place in the order is below 0
		}
	}
	if !c.line {
		// The widest first: a code by itself has what is left of those that begin alike.
		for i := len(c.levels) - 1; i >= 0; i-- {
			n := int32(0)
			for _, v := range c.levels[i] {
				n = max(n, v+1)
			}
			out = append(out, newSmoother(level, c.levels[i], int(n), 1, phi))
		}
		out = append(out, newSmoother(level, group, c.n, 1, phi))
		return out
	}
	if c.n-c.first > 1 {
		out = append(out, newSmoother(line, group, c.n-c.first, 1, phi))
	}
	for k := range c.first { // missing, other
		if c.weight[k] > 0 {
			alone := make([]int32, c.n)
			for i := range alone {
				alone[i] = -1
			}
			alone[k] = 0
			out = append(out, newSmoother(single, alone, 1, 1, phi))
		}
	}
	return out
}

// keep remembers the tables as the best; reset goes back to them.
func (b *bag) keep() {
	b.bestStart = b.start
	for c := range b.tables {
		copy(b.best[c], b.tables[c])
		for _, s := range b.smoothers[c] {
			s.keep()
		}
	}
}

func (b *bag) reset() {
	link := make([]float64, 4096) // by blocks: a fit of many rows has no room for all links
	b.start = b.bestStart
	for c, best := range b.best {
		copy(b.tables[c], best)
		b.resting[c], b.rest[c] = 0, 0
		for _, s := range b.smoothers[c] {
			s.reset()
		}
	}
	b.eachTrained(func(lo, hi int) {
		for ; lo < hi; lo += len(link) {
			n := min(len(link), hi-lo)
			b.links(link[:n], lo)
			b.setState(link[:n], lo)
		}
	})
	b.pending = nil
}

// links are those of the rows from lo on.
func (b *bag) links(link []float64, lo int) {
	for i := range link {
		link[i] = b.start
	}
	if b.t.offset != nil {
		for i := range link {
			link[i] += float64(b.t.offset[lo+i])
		}
	}
	for c := range b.tables {
		b.t.columns[c].addTo(link, b.tables[c], lo)
	}
}

func (c *column) addTo(link, table []float64, lo int) {
	if c.wide != nil {
		for i, k := range c.wide[lo : lo+len(link)] {
			link[i] += table[k]
		}
		return
	}
	for i, k := range c.narrow[lo : lo+len(link)] {
		link[i] += table[k]
	}
}

func (b *bag) setState(link []float64, lo int) {
	t := b.t
	for i, l := range link {
		e, scale := exact.Exp(l), float64(t.scale[lo+i])
		switch t.loss {
		case Logistic:
		case Poisson:
			e *= scale
		case Tweedie:
			e = scale * math.Sqrt(e)
		default:
			e = scale * float64(t.y[lo+i]) / e
		}
		b.state[lo+i] = float32(e)
	}
}

// score brings held up to date and returns the loss of the own fold, in nats.
func (b *bag) score() float64 {
	lo := b.t.from[b.fold]
	b.links(b.held, lo)
	sum := 0.0
	for i, link := range b.held {
		sum += b.t.nats(link, lo+i)
	}
	return sum
}

func (t *table) nats(link float64, i int) float64 {
	return nats(t.loss, link, float64(t.y[i]), t.weightOf(i), float64(t.scale[i]))
}

// nats is the negative log likelihood of a row, less what no model changes.
func nats(loss Loss, link, y, weight, scale float64) float64 {
	switch loss {
	case Logistic:
		if link > 0 {
			return float64(weight * (link + exact.Log(1+exact.Exp(-link)) - float64(y*link)))
		}
		return float64(weight * (exact.Log(1+exact.Exp(link)) - float64(y*link)))
	case Poisson:
		return float64(scale*exact.Exp(link)) - float64(weight*y*link)
	case Tweedie:
		root := math.Sqrt(exact.Exp(link))
		return 2 * float64(weight*(y/root+root))
	default:
		return float64(weight * (float64(y*exact.Exp(-link)) + link))
	}
}

// turns calls visit for each of the columns in turn, n times, and after once a round. A
// column whose visit gave nothing is left out of the next rounds: twice as many each time.
func (b *bag) turns(ctx context.Context, columns []int, n int, visit func(c int) (gave bool), after func()) error {
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, c := range columns {
			switch {
			case b.resting[c] > 0:
				b.resting[c]--
			case visit(c):
				b.rest[c] = 0
			default:
				b.rest[c] = min(2*b.rest[c]+1, 15)
				b.resting[c] = b.rest[c]
			}
		}
		after()
	}
	return nil
}

// smooth draws each of the columns anew in turn, n times.
func (b *bag) smooth(ctx context.Context, columns []int, n int, learn bool) error {
	return b.turns(ctx, columns, n, func(c int) bool { return b.redraw(c, learn) > b.stirs }, func() {
		if !learn {
			return
		}
		b.common = pool{}
		for _, c := range columns {
			for _, s := range b.smoothers[c] {
				b.common.add(s)
			}
		}
	})
}

// redraw is one penalised Newton step of a column's smoothers. It returns the largest change
// of a value.
func (b *bag) redraw(c int, learn bool) (most float64) {
	if len(b.smoothers[c]) == 0 {
		return 0
	}
	col := &b.t.columns[c]
	b.gradient(c)
	grad, info := b.grad[:col.n], b.info[:col.n]
	times := 1
	if len(b.smoothers[c]) > 1 {
		times = 2 // they share what they explain
	}
	for range times {
		for _, s := range b.smoothers[c] {
			s.update(info, grad, b.t.phi, b.temper, learn, &b.common)
			if col.signs != [2]int8{} {
				s.constrain(col, info, grad)
			}
		}
	}
	// What is left of the gradient's sum is the intercept's.
	g, h := 0.0, 0.0
	for k := range grad {
		g, h = g+grad[k], h+info[k]
	}
	move := 0.0
	if h > 0 {
		move = max(-1, min(1, g/h))
	}
	next := grad // used up
	clear(next)
	for _, s := range b.smoothers[c] {
		for k, g := range s.group {
			if g >= 0 {
				next[k] += s.s[g]
			}
		}
	}
	for k, v := range next {
		most = max(most, math.Abs(v-b.tables[c][k]))
	}
	b.change(c, next, move)
	return most
}

// change makes next the table of a column, and moves the intercept. The pass that reads the
// next column's gradient applies it to the rows.
func (b *bag) change(c int, next []float64, move float64) {
	power := 1.0
	switch b.t.loss {
	case Gamma:
		power = -1
	case Tweedie:
		power = 0.5
	}
	b.start += move
	for k, v := range next {
		b.factor[k] = float32(exact.Exp(power * (v - b.tables[c][k] + move)))
		b.tables[c][k] = v
	}
	b.pending = &b.t.columns[c]
}

// step adds one small tree to a column's table and reports whether there was
// anything worth adding.
func (b *bag) step(c int, o Options) bool {
	col := &b.t.columns[c]
	b.gradient(c)
	delta := b.odd[:col.n]
	clear(delta)
	if !grow(col, b.grad[:col.n], b.info[:col.n], delta, leafRules{
		minimum: o.MinLeaf * b.t.phi,
		shrink:  o.Shrink * b.t.phi,
		gain:    o.MinGain * b.t.phi,
	}) {
		return false
	}
	for k := range delta {
		delta[k] = b.tables[c][k] + float64(o.LearningRate*delta[k])
	}
	if col.signs != [2]int8{} {
		col.constrain(delta, col.weight)
	}
	b.change(c, delta, 0)
	return true
}

// trees boosts each of the columns in turn, n times.
func (b *bag) trees(ctx context.Context, columns []int, n int, o Options) error {
	return b.turns(ctx, columns, n, func(c int) bool { return b.step(c, o) }, func() {})
}

// gradient sums, by bin of a column, the gradient of the log likelihood in the
// link and its information, applying the pending update in the same pass.
func (b *bag) gradient(c int) {
	col := &b.t.columns[c]
	for _, sums := range []*cells{b.grad, b.info, b.odd, b.oddInfo} {
		clear(sums[:col.n])
	}
	update := b.pending
	if update == nil {
		update = col
		for k := range col.n {
			b.factor[k] = 1
		}
	}
	switch {
	case update.wide == nil && col.wide == nil:
		sweep(b, update.narrow, col.narrow)
	case update.wide == nil:
		sweep(b, update.narrow, col.wide)
	case col.wide == nil:
		sweep(b, update.wide, col.narrow)
	default:
		sweep(b, update.wide, col.wide)
	}
	b.pending = nil
	fixed := b.fixed[c]
	for k := range col.n {
		g, h := b.grad[k]+b.odd[k], b.info[k]+b.oddInfo[k]
		switch b.t.loss {
		case Logistic:
			g = fixed[k] - g
		case Poisson:
			h = g
			g = fixed[k] - g
		case Tweedie:
			g -= h
		default:
			h = fixed[k]
			g -= h
		}
		b.grad[k], b.info[k] = g, h
	}
}

// sweep is where the time of a fit goes. Rows go by twos into two sets of sums, because a
// sum just written cannot be read again at once.
func sweep[U, B uint8 | uint16](b *bag, update []U, bins []B) {
	t, grad, info, odd, factor := b.t, b.grad, b.info, b.odd, b.factor
	b.eachTrained(func(lo, hi int) {
		state, up, at := b.state[lo:hi], update[lo:hi], bins[lo:hi]
		up, at = up[:len(state)], at[:len(state)]
		switch {
		case t.loss == Logistic && t.weight == nil:
			for i, s := range state {
				odds := float32(s * factor[up[i]])
				state[i] = odds
				q := 1 / (1 + odds)
				p := float32(odds * q)
				grad[at[i]] += float64(p)
				info[at[i]] += float64(float32(p * q))
			}
		case t.loss == Logistic:
			weight := t.weight[lo:hi][:len(state)]
			for i, s := range state {
				odds := float32(s * factor[up[i]])
				state[i] = odds
				q := 1 / (1 + odds)
				wp := float32(weight[i] * float32(odds*q))
				grad[at[i]] += float64(wp)
				info[at[i]] += float64(float32(wp * q))
			}
		case t.loss == Tweedie:
			scale, y := t.scale[lo:hi][:len(state)], t.y[lo:hi][:len(state)]
			for i, s := range state {
				root := float32(s * factor[up[i]])
				state[i] = root
				info[at[i]] += float64(root)
				if y[i] > 0 {
					w := float64(scale[i])
					grad[at[i]] += float64(w*w) * float64(y[i]) / float64(root)
				}
			}
		default:
			i := 0
			for ; i+1 < len(state); i += 2 {
				u := float32(state[i] * factor[up[i]])
				v := float32(state[i+1] * factor[up[i+1]])
				state[i], state[i+1] = u, v
				grad[at[i]] += float64(u)
				odd[at[i+1]] += float64(v)
			}
			if i < len(state) {
				state[i] = float32(state[i] * factor[up[i]])
				grad[at[i]] += float64(state[i])
			}
		}
	})
}
