package model

import (
	"context"
	"math"
)

// table is the training data as the boosting reads it: binned columns and
// targets, rows ordered fold by fold.
type table struct {
	loss    Loss
	rows    int
	y       []float64
	weight  []float64 // never nil
	scale   []float64 // weight × exposure: what a unit of mean counts for
	bounds  []int     // fold k is rows bounds[k] to bounds[k+1]
	columns []column
	phi     float64 // dispersion: 1, or Pearson's for Gamma
}

// column is a binned field, or a pair of coarsely binned ones, seen as one.
type column struct {
	bins   []uint8
	n      int // bins
	kind   Kind
	sign   int8      // monotone constraint
	weight []float64 // scale by bin, over all rows
	width  int       // of a pair: coarse bins of its second field; else 0
}

// cells is one value per bin; its fixed size lets a uint8 index go unchecked.
type cells [256]float64

// bag is one of the models that are averaged: it learns from all folds but its
// own, which tells when to stop and what the model is worth on rows it never saw.
type bag struct {
	t      *table
	fold   int
	start  float64     // its intercept
	tables [][]float64 // by column
	best   [][]float64 // tables at the best round so far

	// state is a row's current mean in a form that one product updates: scale × mean
	// for Poisson, odds for Logistic, scale × target / mean for Gamma, and for Tweedie
	// scale × √mean, with scale × target / √mean in twin.
	state, twin []float64
	fixed       []*cells // what of a column's gradient never changes, by column

	resting []int // rounds for which a column is left out, having had nothing to give
	rest    []int // how long its last rest was

	pending struct { // an update that state has not had yet
		column  []uint8
		factor  cells
		inverse cells // Tweedie only
	}
	held []float64 // link of the own fold's rows
}

func newBag(t *table, fold int) *bag {
	b := &bag{t: t, fold: fold, state: make([]float64, t.rows)}
	if t.loss == Tweedie {
		b.twin = make([]float64, t.rows)
	}
	num, den := 0.0, 0.0
	b.eachTrained(func(lo, hi int) {
		for i := lo; i < hi; i++ {
			num += float64(t.weight[i] * t.y[i])
			den += t.scale[i]
		}
	})
	b.start = startOf(t.loss, num, den)
	b.held = make([]float64, t.bounds[fold+1]-t.bounds[fold])
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
		return log(mean / (1 - mean))
	}
	if !(mean > 0) {
		mean = least
	}
	return max(-expMax, min(expMax, log(mean)))
}

// eachTrained calls f with the ranges of rows that the bag learns from.
func (b *bag) eachTrained(f func(lo, hi int)) {
	f(0, b.t.bounds[b.fold])
	f(b.t.bounds[b.fold+1], b.t.rows)
}

// grow makes room for columns added to the table.
func (b *bag) grow() {
	for c := len(b.tables); c < len(b.t.columns); c++ {
		col := &b.t.columns[c]
		b.tables = append(b.tables, make([]float64, col.n))
		b.best = append(b.best, make([]float64, col.n))
		b.resting = append(b.resting, 0)
		b.rest = append(b.rest, 0)
		fixed := new(cells)
		b.eachTrained(func(lo, hi int) {
			for i := lo; i < hi; i++ {
				if b.t.loss == Gamma {
					fixed[col.bins[i]] += b.t.scale[i]
				} else {
					fixed[col.bins[i]] += float64(b.t.weight[i] * b.t.y[i])
				}
			}
		})
		b.fixed = append(b.fixed, fixed)
	}
}

// keep remembers the tables as the best; reset goes back to them.
func (b *bag) keep() {
	for c := range b.tables {
		copy(b.best[c], b.tables[c])
	}
}

func (b *bag) reset() {
	link := make([]float64, b.t.rows)
	for i := range link {
		link[i] = b.start
	}
	for c, best := range b.best {
		copy(b.tables[c], best)
		addTo(link, b.t.columns[c].bins, best)
		b.resting[c], b.rest[c] = 0, 0
	}
	b.eachTrained(func(lo, hi int) {
		for i := lo; i < hi; i++ {
			switch e := exp(link[i]); b.t.loss {
			case Logistic:
				b.state[i] = e
			case Poisson:
				b.state[i] = b.t.scale[i] * e
			case Tweedie:
				root := math.Sqrt(e)
				b.state[i] = b.t.scale[i] * root
				b.twin[i] = b.t.scale[i] * b.t.y[i] / root
			default:
				b.state[i] = b.t.scale[i] * b.t.y[i] / e
			}
		}
	})
	b.pending.column = nil
}

func addTo(link []float64, bins []uint8, table []float64) {
	for i, k := range bins {
		link[i] += table[k]
	}
}

// score brings held up to date and returns the loss of the own fold, in nats.
func (b *bag) score() float64 {
	lo, hi := b.t.bounds[b.fold], b.t.bounds[b.fold+1]
	for i := range b.held {
		b.held[i] = b.start
	}
	for c, table := range b.tables {
		addTo(b.held, b.t.columns[c].bins[lo:hi], table)
	}
	sum := 0.0
	for i, link := range b.held {
		sum += nats(b.t.loss, link, b.t.y[lo+i], b.t.weight[lo+i], b.t.scale[lo+i])
	}
	return sum
}

// nats is the negative log likelihood of a row, less what no model changes.
func nats(loss Loss, link, y, weight, scale float64) float64 {
	switch loss {
	case Logistic:
		if link > 0 {
			return float64(weight * (link + log(1+exp(-link)) - float64(y*link)))
		}
		return float64(weight * (log(1+exp(link)) - float64(y*link)))
	case Poisson:
		return float64(scale*exp(link)) - float64(weight*y*link)
	case Tweedie:
		root := math.Sqrt(exp(link))
		return 2 * float64(weight*(y/root+root))
	default:
		return float64(weight * (float64(y*exp(-link)) + link))
	}
}

// rounds boosts each of the columns in turn, n times.
func (b *bag) rounds(ctx context.Context, columns []int, n int, o Options) error {
	var grad, info cells
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, c := range columns {
			if b.resting[c] > 0 {
				b.resting[c]--
				continue
			}
			b.gradient(c, &grad, &info)
			if b.step(c, &grad, &info, o) {
				b.rest[c] = 0
				continue
			}
			// Nothing to give: look again after a rest, twice as long each time.
			b.rest[c] = min(2*b.rest[c]+1, 15)
			b.resting[c] = b.rest[c]
		}
	}
	return nil
}

// step adds one small tree to a column's table and reports whether there was
// anything worth adding.
func (b *bag) step(c int, grad, info *cells, o Options) bool {
	col := &b.t.columns[c]
	var delta cells
	if !grow(col, grad, info, &delta, leafRules{
		minimum: o.MinLeaf * b.t.phi,
		shrink:  o.Shrink * b.t.phi,
		gain:    o.MinGain * b.t.phi,
	}) {
		return false
	}
	table := b.tables[c]
	for k := range table {
		delta[k] = table[k] + float64(o.LearningRate*delta[k])
	}
	if col.sign != 0 {
		project(delta[1:col.n], col.weight[1:], col.sign)
	}
	// The pass that reads the next column's gradient applies the factors.
	power := 1.0
	switch b.t.loss {
	case Gamma:
		power = -1
	case Tweedie:
		power = 0.5
	}
	for k := range table {
		f := exp(power * (delta[k] - table[k]))
		b.pending.factor[k], b.pending.inverse[k] = f, 1/f
		table[k] = delta[k]
	}
	b.pending.column = col.bins
	return true
}

// gradient sums, by bin of a column, the gradient of the log likelihood in the
// link and its information, applying the pending update in the same pass.
func (b *bag) gradient(c int, grad, info *cells) {
	col := &b.t.columns[c]
	*grad, *info = cells{}, cells{}
	update := b.pending.column
	factor := &b.pending.factor
	if update == nil {
		update = col.bins
		for k := range factor {
			factor[k], b.pending.inverse[k] = 1, 1
		}
	}
	b.eachTrained(func(lo, hi int) {
		switch b.t.loss {
		case Logistic:
			sweepOdds(b.state[lo:hi], b.t.weight[lo:hi], update[lo:hi], factor, col.bins[lo:hi], grad, info)
		case Tweedie:
			sweep(b.twin[lo:hi], update[lo:hi], &b.pending.inverse, col.bins[lo:hi], grad)
			sweep(b.state[lo:hi], update[lo:hi], factor, col.bins[lo:hi], info)
		default:
			sweep(b.state[lo:hi], update[lo:hi], factor, col.bins[lo:hi], grad)
		}
	})
	b.pending.column = nil
	fixed := b.fixed[c]
	for k := range col.n {
		switch b.t.loss {
		case Logistic:
			grad[k] = fixed[k] - grad[k]
		case Poisson:
			info[k] = grad[k]
			grad[k] = fixed[k] - grad[k]
		case Tweedie:
			grad[k] -= info[k]
		default:
			info[k] = fixed[k]
			grad[k] -= fixed[k]
		}
	}
}

// sweep and sweepOdds are where the time of a fit goes. Rows go by twos into two
// sets of sums, because a sum just written cannot be read again at once.
func sweep(state []float64, update []uint8, factor *cells, bins []uint8, sums *cells) {
	var odd cells
	update, bins = update[:len(state)], bins[:len(state)]
	i := 0
	for ; i+1 < len(state); i += 2 {
		u := float64(state[i] * factor[update[i]])
		v := float64(state[i+1] * factor[update[i+1]])
		state[i], state[i+1] = u, v
		sums[bins[i]] += u
		odd[bins[i+1]] += v
	}
	if i < len(state) {
		state[i] = float64(state[i] * factor[update[i]])
		sums[bins[i]] += state[i]
	}
	for k := range sums {
		sums[k] += odd[k]
	}
}

func sweepOdds(state, weight []float64, update []uint8, factor *cells, bins []uint8, sums, info *cells) {
	update, bins, weight = update[:len(state)], bins[:len(state)], weight[:len(state)]
	for i := range state {
		odds := float64(state[i] * factor[update[i]])
		state[i] = odds
		q := 1 / (1 + odds)
		wp := float64(weight[i] * float64(odds*q))
		k := bins[i]
		sums[k] += wp
		info[k] += float64(wp * q)
	}
}
