package model

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	"polis/handler/internal/fault"
)

// Options are how to fit. The zero value of each means its default, which is good
// for portfolios of a few thousand to a few million rows.
type Options struct {
	Loss         Loss
	Seed         uint64
	Bins         int     // most bins a field gets, without missing and other: 2 to 250; 32
	PairBins     int     // most coarse bins a field of a pair gets: 2 to 15; 12
	Rounds       int     // most rounds over the fields; 1000
	Bags         int     // models averaged, each holding out its own part of the rows: 1 to 32; 4
	Pairs        int     // most pairs of fields: 0 means 6, less than 0 none
	LearningRate float64 // share of a step that is taken: over 0 to 1; 0.08
	MinLeaf      float64 // information a leaf needs (about: events, claims); 5
	Shrink       float64 // information added to a leaf's, pulling its step to zero; 1
	MinGain      float64 // nats of log likelihood that a split must gain; 1
	// Progress hears of rounds done, from the goroutine that called Fit. Stopping
	// early leaps to the end.
	Progress func(done, total int)
	// Held hears, at the end, of each row that was held out: its place in the table and
	// its mean (per unit of exposure) as predicted by what did not learn from it,
	// calibrated.
	Held func(row int, mean float64)
}

const (
	blockRounds = 10 // rounds between looks at the rows held out
	patience    = 3  // looks without a better result before stopping
	minFolds    = 4  // so that a single bag still learns from three quarters
	minEvents   = 30 // fewer cannot place a single split with confidence
	maxCoarse   = 15 // its square fits a uint8
)

func (o Options) withDefaults() (Options, error) {
	defaultTo := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defaultTo(&o.Bins, 32)
	defaultTo(&o.PairBins, 12)
	defaultTo(&o.Rounds, 1000)
	defaultTo(&o.Bags, 4)
	defaultTo(&o.Pairs, 6)
	for v, d := range map[*float64]float64{&o.LearningRate: 0.08, &o.MinLeaf: 5, &o.Shrink: 1, &o.MinGain: 1} {
		if *v == 0 {
			*v = d
		}
		if !finite(*v) || *v < 0 {
			return o, fault.New(fault.Invalid, "learning rate, leaf size, shrinkage and gain must be finite and positive")
		}
	}
	switch {
	case o.Bins < 2 || o.Bins > 250:
		return o, fault.New(fault.Invalid, "bins must be from 2 to 250")
	case o.PairBins < 2 || o.PairBins > maxCoarse:
		return o, fault.New(fault.Invalid, "bins of a pair must be from 2 to %d", maxCoarse)
	case o.Rounds < 1 || o.Bags < 1 || o.Bags > 32:
		return o, fault.New(fault.Invalid, "rounds must be at least 1, bags from 1 to 32")
	case o.LearningRate > 1:
		return o, fault.New(fault.Invalid, "the learning rate must not exceed 1")
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return o, nil
}

// Fit learns a model. Each bag learns from all rows but those of its own fold; on
// these it is judged, and boosting stops where all bags together are best on rows
// they have not seen. The average of the bags is then calibrated on such rows.
//
// The model's Metrics are, all from held-out rows: "deviance" and
// "deviance_constant", the mean deviance per unit of weight of the fit and of the
// mean alone; "calibration_slope" and "calibration_intercept", as folded into the
// model; "rounds" and "pair_rounds", where boosting stopped.
//
// Too few rows or events to learn from give a Constant model whose Meta says so.
// Targets that break the rules of Target are fault.Invalid, and so is a logistic
// target of one class only or a Poisson target without a claim. A cancelled ctx
// is fault.Cancelled.
func Fit(ctx context.Context, f Frame, y Target, o Options) (*Model, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := check(f, y, o.Loss); err != nil {
		return nil, err
	}
	k := max(o.Bags, minFolds)
	order, bounds := folds(y, f.N, k, o.Seed)
	t := newTable(y, o.Loss, order, bounds)
	events, start, err := t.overall()
	if err != nil {
		return nil, err
	}
	meta := Meta{Rows: f.N, Events: events}
	if note := t.tooLittle(events); note != "" {
		meta.Note = note
		o.Progress(1, 1)
		return Constant(f.Fields, o.Loss, round(start), "").WithMeta(meta), nil
	}

	binnings := t.bin(f, order, o.Bins)
	b := &booster{table: t, options: o}
	mains := make([]int, 0, len(f.Fields))
	for c := range t.columns {
		if t.columns[c].varies() {
			mains = append(mains, c)
		}
	}
	if err := b.start(); err != nil {
		return nil, err
	}
	rounds, err := b.run(ctx, mains, 0)
	if err != nil {
		return nil, err
	}
	chosen := b.addPairs(f.Fields, binnings, mains)
	pairRounds := 0
	if len(chosen) > 0 {
		pairColumns := make([]int, len(chosen))
		for i := range chosen {
			pairColumns[i] = len(f.Fields) + i
		}
		if pairRounds, err = b.run(ctx, pairColumns, o.Rounds); err != nil {
			return nil, err
		}
	}
	o.Progress(2*o.Rounds, 2*o.Rounds)

	link, held := b.heldOut()
	cal := calibrate(t, link, held)
	meta.Metrics = map[string]float64{
		"deviance":              cal.deviance,
		"deviance_constant":     cal.constant,
		"calibration_slope":     cal.slope,
		"calibration_intercept": cal.intercept,
		"rounds":                float64(rounds),
		"pair_rounds":           float64(pairRounds),
	}
	for k, v := range meta.Metrics {
		meta.Metrics[k] = round(v)
	}
	if o.Held != nil {
		for i := range held {
			o.Held(order[i], mean(o.Loss, cal.at(link[i])))
		}
	}
	m := b.assemble(f.Fields, binnings, chosen, cal)
	m.meta = meta
	m.seal()
	return m, nil
}

// newTable orders the targets fold by fold.
func newTable(y Target, loss Loss, order, bounds []int) *table {
	n := len(order)
	t := &table{
		loss: loss, rows: n, bounds: bounds, phi: 1,
		y: make([]float64, n), weight: make([]float64, n), scale: make([]float64, n),
	}
	for i, row := range order {
		t.y[i], t.weight[i] = y.Y[row], 1
		if y.Weight != nil {
			t.weight[i] = y.Weight[row]
		}
		t.scale[i] = t.weight[i]
		if y.Exposure != nil {
			t.scale[i] = t.weight[i] * y.Exposure[row]
		}
		if loss == Tweedie && y.Exposure != nil { // a cost a year, which counts by its years
			t.y[i] /= y.Exposure[row]
			t.weight[i] = t.scale[i]
		}
	}
	return t
}

// overall is the number of events, the link of the mean, and for Gamma and Tweedie the
// dispersion (Pearson's).
func (t *table) overall() (events, start float64, err error) {
	num, den, squares := 0.0, 0.0, 0.0
	for i, y := range t.y {
		num += float64(t.weight[i] * y)
		den += t.scale[i]
	}
	switch {
	case t.loss == Logistic && (num == 0 || num == den):
		return 0, 0, fault.New(fault.Invalid, "all rows are of one class: there is nothing to tell apart")
	case t.loss == Poisson && num == 0:
		return 0, 0, fault.New(fault.Invalid, "no row has a claim: there is nothing to learn a frequency from")
	case t.loss == Tweedie && num == 0:
		return 0, 0, fault.New(fault.Invalid, "no row has a cost: there is nothing to learn from")
	case !finite(num) || !finite(den) || den == 0:
		return 0, 0, fault.New(fault.Invalid, "the targets, weights or exposures are too large or too small to add up")
	}
	start = startOf(t.loss, num, den)
	if t.loss != Gamma && t.loss != Tweedie {
		return num, start, nil
	}
	mean, costs := num/den, 0.0
	for i, y := range t.y {
		d := y/mean - 1
		squares += float64(t.weight[i] * float64(d*d))
		if y > 0 {
			costs++
		}
	}
	if t.rows > 1 {
		t.phi = max(squares/float64(t.rows-1), 1e-3)
	}
	if t.loss == Gamma {
		return den, start, nil
	}
	t.phi *= math.Sqrt(mean) // the variance goes with the mean's power of 1.5, not with its square
	return costs, start, nil
}

// tooLittle says why nothing but the mean can be learnt, or nothing.
func (t *table) tooLittle(events float64) string {
	if t.loss == Logistic {
		total := 0.0
		for _, w := range t.weight {
			total += w
		}
		events = min(events, total-events)
	}
	if events < minEvents {
		return fmt.Sprintf("the mean alone: %.4g events are fewer than %d", events, minEvents)
	}
	for i := 1; i < len(t.bounds); i++ {
		if t.bounds[i] == t.bounds[i-1] {
			return "the mean alone: too few groups to hold any out"
		}
	}
	return ""
}

// bin makes the fields' bins and the table's columns.
func (t *table) bin(f Frame, order []int, limit int) []binning {
	binnings := make([]binning, len(f.Fields))
	t.columns = make([]column, len(f.Fields))
	each(len(f.Fields), func(i int) {
		b := &binnings[i]
		col := column{kind: f.Fields[i].Kind, sign: f.Fields[i].Monotone, bins: make([]uint8, t.rows)}
		if col.kind == Category {
			*b = binCategories(f.Cat[i], limit)
			for r, row := range order {
				col.bins[r] = b.category(f.Cat[i][row])
			}
		} else {
			*b = binNumbers(f.Num[i], limit)
			for r, row := range order {
				col.bins[r] = b.number(f.Num[i][row])
			}
		}
		col.n = b.bins(col.kind)
		col.weigh(t.scale)
		t.columns[i] = col
	})
	return binnings
}

// varies reports whether the rows fall into more than one bin: a column that does not
// has nothing to say, by itself or in a pair.
func (c *column) varies() bool {
	n := 0
	for _, w := range c.weight {
		if w > 0 {
			n++
		}
	}
	return n > 1
}

func (c *column) weigh(scale []float64) {
	c.weight = make([]float64, c.n)
	for i, k := range c.bins {
		c.weight[k] += scale[i]
	}
}

// each calls f(0), …, f(n-1) on all processors. Each call writes only what is its
// own, so that the result does not depend on which finishes first.
func each(n int, f func(i int)) {
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range n {
		limit <- struct{}{}
		wg.Go(func() {
			f(i)
			<-limit
		})
	}
	wg.Wait()
}

// booster runs the bags side by side.
type booster struct {
	table   *table
	options Options
	bags    []*bag
	loss    float64 // nats of the best round so far, all bags together
}

func (b *booster) start() error {
	b.bags = make([]*bag, b.options.Bags)
	each(len(b.bags), func(i int) { b.bags[i] = newBag(b.table, i) })
	b.loss = b.score()
	if !finite(b.loss) {
		return fault.New(fault.Invalid, "the targets differ too much in size to be fitted")
	}
	return nil
}

func (b *booster) score() float64 {
	losses := make([]float64, len(b.bags))
	each(len(b.bags), func(i int) { losses[i] = b.bags[i].score() })
	sum := 0.0
	for _, l := range losses {
		sum += l
	}
	return sum
}

// run boosts the columns until the rows held out gain no more, and returns the
// best number of rounds. The bags are left at that round.
func (b *booster) run(ctx context.Context, columns []int, before int) (best int, err error) {
	// Less than this is noise, and would drag boosting on for thousands of rounds.
	tolerance := 0.02 * b.table.phi * float64(len(b.bags))
	failures := make([]error, len(b.bags))
	for done, worse := 0, 0; done < b.options.Rounds && worse < patience && len(columns) > 0; {
		n := min(blockRounds, b.options.Rounds-done)
		each(len(b.bags), func(i int) { failures[i] = b.bags[i].rounds(ctx, columns, n, b.options) })
		for _, err := range failures {
			if err != nil {
				return 0, fault.Wrap(fault.Cancelled, err, "fitting a model")
			}
		}
		done += n
		b.options.Progress(before+done, 2*b.options.Rounds)
		if loss := b.score(); loss < b.loss-tolerance {
			b.loss, best, worse = loss, done, 0
			each(len(b.bags), func(i int) { b.bags[i].keep() })
		} else {
			worse++
		}
	}
	each(len(b.bags), func(i int) { b.bags[i].reset() })
	return best, nil
}

// heldOut is, for each row, the link by the bag that did not learn from it. held
// is how many of the first rows have one: all, unless there are fewer bags than folds.
func (b *booster) heldOut() (link []float64, held int) {
	each(len(b.bags), func(i int) { b.bags[i].score() })
	held = b.table.bounds[len(b.bags)]
	link = make([]float64, 0, held)
	for _, bag := range b.bags {
		link = append(link, bag.held...)
	}
	return link, held
}

// assemble averages the bags, folds the calibration in, moves what pairs hold of
// main effects to these, centres every table, rounds, and drops what says nothing.
func (b *booster) assemble(fields []Field, binnings []binning, pairs []pair, cal calibration) *Model {
	m := &Model{loss: b.table.loss, fields: append([]Field(nil), fields...), binnings: binnings}
	mean := func(value func(*bag) float64) float64 {
		sum := 0.0
		for _, bag := range b.bags {
			sum += value(bag)
		}
		return sum / float64(len(b.bags))
	}
	m.intercept = cal.intercept + float64(cal.slope*mean(func(b *bag) float64 { return b.start }))
	tables := make([][]float64, len(b.table.columns))
	for c := range tables {
		tables[c] = make([]float64, b.table.columns[c].n)
		for k := range tables[c] {
			tables[c][k] = cal.slope * mean(func(b *bag) float64 { return b.tables[c][k] })
		}
	}
	for i, p := range pairs {
		c := len(fields) + i
		purify(tables[c], b.table.columns[c].weight, p, binnings, tables)
	}
	for c := range tables {
		m.intercept += centre(tables[c], b.table.columns[c].weight)
		for k := range tables[c] {
			tables[c][k] = round(tables[c][k])
		}
		if sign := b.table.columns[c].sign; sign != 0 {
			keepMonotone(tables[c][1:], sign)
		}
	}
	m.intercept = round(max(-expMax, min(expMax, m.intercept)))

	for f := range fields {
		if tells(tables[f]) {
			m.terms = append(m.terms, term{fields: []int{f}, table: tables[f]})
		}
	}
	paired := map[int]bool{}
	for i, p := range pairs {
		if table := tables[len(fields)+i]; tells(table) {
			m.terms = append(m.terms, term{fields: []int{p.first, p.second}, table: table, stride: b.table.columns[len(fields)+i].width})
			paired[p.first], paired[p.second] = true, true
		}
	}
	for f := range binnings {
		if !paired[f] {
			binnings[f].coarse = nil
		}
	}
	return m
}

// centre takes the weighted mean out of a table and returns it. Bins that no row
// was in become 0: an average case.
func centre(values, weight []float64) float64 {
	sum, total := 0.0, 0.0
	for k, v := range values {
		sum += float64(v * weight[k])
		total += weight[k]
	}
	if total == 0 {
		return 0
	}
	mean := sum / total
	for k := range values {
		if weight[k] == 0 {
			values[k] = 0
		} else {
			values[k] -= mean
		}
	}
	return mean
}

// keepMonotone mends what averaging and rounding may have moved by a last digit.
func keepMonotone(values []float64, sign int8) {
	for k := 1; k < len(values); k++ {
		if (values[k]-values[k-1])*float64(sign) < 0 {
			values[k] = values[k-1]
		}
	}
}

// tells reports whether a table moves any score by more than a twentieth of a per cent.
func tells(table []float64) bool {
	for _, v := range table {
		if math.Abs(v) > 5e-4 {
			return true
		}
	}
	return false
}

// round keeps five decimals: on a log link that is a thousandth of a per cent, and
// it keeps files small.
func round(v float64) float64 {
	r := math.Round(v*1e5) / 1e5
	if r == 0 {
		return 0 // not -0
	}
	return r
}
