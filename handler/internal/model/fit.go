package model

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
)

// Options are how to fit. The zero value of each means its default, which is good
// for portfolios of a few thousand to a few million rows.
type Options struct {
	Loss         Loss
	Seed         uint64
	Bins         int     // most bins a field of numbers gets, without missing: 2 to 250; 64
	PairBins     int     // most coarse bins a field of a pair gets: 2 to 32; 15
	Rounds       int     // most rounds over the fields; 200
	Bags         int     // models averaged, each holding out its own part of the rows: 1 to 32; see bagsOf
	Pairs        int     // most pairs of fields: 0 means 20, less than 0 none
	LearningRate float64 // share of a tree's step that is taken: over 0 to 1; 0.1
	MinLeaf      float64 // information a leaf needs (about: events, claims); 5
	Shrink       float64 // information added to a leaf's, pulling its step to zero; 1
	MinGain      float64 // nats of log likelihood that a tree's split must gain; 2
	// Tolerance is the gain on the rows held out, in nats a bag, for which more rounds are not
	// worth their time; 0.02, less than which is noise and would drag fitting on for hundreds.
	Tolerance float64
	// Stirs is the change of a field's values on the link, in the round before, that is worth
	// the next round's time; 0.0002.
	Stirs float64
	// Lean leaves out what scoring does not need: see Model.Lean.
	Lean bool
	// Cap is for Gamma and Tweedie: the quantile of the amounts over 0 at which they are capped
	// while the tables are learnt. What is cut off is spread evenly, so that the model is of
	// whole amounts and keeps their total. 1 caps none; 0.98.
	Cap float64
	// Prior is the link of what is expected where the rows are too few to say: for Gamma
	// with fewer than a thousand claims. nil: the rows' own mean, however few.
	Prior *float64
	// Protected is how many of the last fields are no features: the model knows nothing of
	// them, and its Meta says which features tell something of them, and how it does on each
	// of their values.
	Protected int
	// Progress hears of rounds done, from the goroutine that called Fit. Stopping
	// early leaps to the end.
	Progress func(done, total int)
	// Held hears, at the end, of each row that was held out: its place in the table and
	// its mean (per unit of exposure) as predicted by what did not learn from it, nor was
	// calibrated on it.
	Held func(row int, mean float64)
}

const (
	blockRounds = 4    // rounds between looks at the rows held out
	treeBlock   = 10   // the same of trees, which move less
	patience    = 2    // looks without a better result before stopping
	minFolds    = 4    // so that a single bag still learns from three quarters
	minEvents   = 30   // fewer cannot place a single split with confidence
	maxCoarse   = 32   // coarse bins beside that of missing
	maxTemper   = 32.0 // beyond this next to nothing is left
	// Names are put in order by what they did before they are split: of many, some did much by chance.
	maxTreeNames = 32

	// FullCredibility is how many claims an average claim needs to be taken at its word:
	// within 5% with a probability of 90%, of claims alike (Mowbray 1914); with fewer, n,
	// it counts for √(n/FullCredibility) against what was expected. Below gammaClaims,
	// which claims cost more is not asked.
	FullCredibility = 1082
	gammaClaims     = 1000
)

func (o Options) withDefaults() (Options, error) {
	defaultTo := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defaultTo(&o.Bins, 64)
	defaultTo(&o.PairBins, 15)
	defaultTo(&o.Rounds, 200)
	defaultTo(&o.Pairs, 20)
	for v, d := range map[*float64]float64{&o.LearningRate: 0.1, &o.MinLeaf: 5, &o.Shrink: 1, &o.MinGain: 2, &o.Tolerance: 0.02, &o.Stirs: 2e-4, &o.Cap: 0.98} {
		if *v == 0 {
			*v = d
		}
		if !finite(*v) || *v < 0 {
			return o, fault.New(fault.Invalid, "learning rate, leaf size, shrinkage, gain, tolerance, stirs and cap must be finite and positive")
		}
	}
	switch {
	case int(o.Loss) >= len(lossNames):
		return o, fault.New(fault.Invalid, "loss %d is unknown", o.Loss)
	case o.Bins < 2 || o.Bins > 250:
		return o, fault.New(fault.Invalid, "bins must be from 2 to 250")
	case o.PairBins < 2 || o.PairBins > maxCoarse:
		return o, fault.New(fault.Invalid, "bins of a pair must be from 2 to %d", maxCoarse)
	case o.Rounds < 1 || o.Bags < 0 || o.Bags > 32:
		return o, fault.New(fault.Invalid, "rounds must be at least 1, bags from 1 to 32")
	case o.Cap > 1:
		return o, fault.New(fault.Invalid, "the quantile at which amounts are capped must not exceed 1")
	case o.LearningRate > 1:
		return o, fault.New(fault.Invalid, "the learning rate must not exceed 1")
	case o.Prior != nil && !(math.Abs(*o.Prior) <= exact.Most):
		return o, fault.New(fault.Invalid, "the prior must be a link within ±%v", float64(exact.Most))
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return o, nil
}

// Fit learns a model. Each bag learns from all rows but those of its own fold; on
// these it is judged, and fitting stops where all bags together are best on rows
// they have not seen. The average of the bags is then calibrated on such rows.
//
// A round draws the table of each field anew, by a penalised Newton step towards what the
// rows say where the others stand (see smoother); then pairs are looked for, and rounds
// go on with these; then all is drawn nearer to nothing as far as the rows held out gain;
// then small trees add what is no smooth function.
//
// The model's Metrics are, all from held-out rows: "deviance" and
// "deviance_constant", the mean deviance per unit of weight of the fit and of the
// mean alone; "calibration_slope" and "calibration_intercept", as folded into the
// model; "rounds", "pair_rounds" and "tree_rounds", where fitting stopped; "temper", how
// much nearer to nothing the tables are drawn than they ask by themselves.
//
// Too few rows or events to learn from give a Constant model whose Meta says so, and so
// does Gamma with fewer than a thousand claims. Targets that break the rules of Target are
// fault.Invalid, and so is a logistic target of one class only or a Poisson target
// without a claim. A cancelled ctx is fault.Cancelled.
func Fit(ctx context.Context, f Frame, y Target, o Options) (*Model, error) {
	if err := checkFields(f.Fields); err != nil {
		return nil, err
	}
	if err := check(f, y); err != nil {
		return nil, err
	}
	return FitRows(ctx, f.Fields, f.rows(y), o)
}

// FitRows is Fit for a table that is not held in memory: it goes through the rows twice,
// and keeps a byte or two for each value. Without any group each row is its own; where
// all times are the same there is no time.
func FitRows(ctx context.Context, fields []Field, rows Rows, o Options) (*Model, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkFields(fields); err != nil {
		return nil, err
	}
	if o.Protected < 0 || o.Protected > len(fields) {
		return nil, fault.New(fault.Invalid, "%d of %d fields cannot be protected", o.Protected, len(fields))
	}
	r := &reader{fields: fields, loss: o.Loss, limit: o.Bins, protected: o.Protected, quantile: o.Cap}
	fields = fields[:len(fields)-o.Protected]
	if err := r.read(ctx, rows); err != nil {
		return nil, err
	}
	t := r.t
	if o.Bags == 0 {
		o.Bags = bagsOf(t.rows)
	}
	events, start, err := t.overall()
	if err != nil {
		return nil, err
	}
	meta := Meta{Rows: t.rows, Events: events}
	if o.Loss == Gamma && events < gammaClaims {
		o.Progress(1, 1)
		return credible(fields, start+t.unit, o.Prior, meta), nil
	}
	note := t.tooLittle(events)
	if note == "" {
		// Where there are fewer groups than folds, fewer folds.
		for k := o.folds(); ; k /= 2 {
			err := r.arrange(k, o.Seed, r.time != nil)
			if err == nil {
				o.Bags = min(o.Bags, k)
				break
			}
			if k < 4 {
				note = "the mean alone: " + err.Error()
				break
			}
		}
	}
	if note != "" {
		meta.Note = note
		o.Progress(1, 1)
		return Constant(fields, o.Loss, round(start+t.unit), "").WithMeta(meta), nil
	}
	return r.fit(ctx, fields, meta, o)
}

// bagsOf is how many bags there are by default: eight, and of more than 250,000 rows fewer,
// down to four of two million, as their cube root. What the average of bags gains is chance,
// which many rows have little of; their time grows with the rows times the bags.
func bagsOf(rows int) int {
	bags := 8
	for bags > 4 && bags*bags*bags*(rows/1000) > 8*8*8*250 {
		bags--
	}
	return bags
}

// folds are how many parts the rows are dealt into.
func (o *Options) folds() int { return max(o.Bags, minFolds) }

// fit learns from the table that was read.
func (r *reader) fit(ctx context.Context, fields []Field, meta Meta, o Options) (*Model, error) {
	t := r.t
	b := &booster{table: t, options: o}
	var p plan
	if err := b.learn(ctx, r.binnings, &p); err != nil {
		return nil, err
	}
	b.score()
	cal := b.calibrate()
	meta.Metrics = p.metrics(cal)
	r.protect(b, fields, &meta, o)
	if !o.Lean {
		meta.Comparisons, meta.Clusters = b.comparisons(&p, cal), t.clusters(namesOf(fields))
	}
	if slices.ContainsFunc(fields, func(f Field) bool { return f.Monotone != 0 }) {
		free, err := b.unconstrained(ctx, r.binnings)
		if err != nil {
			return nil, err
		}
		meta.Comparisons = append(meta.Comparisons, free)
	}
	if r.time != nil {
		// What was learnt of how to learn holds; the model itself is of all rows.
		t.columns = t.columns[:t.fields]
		if err := r.arrange(len(t.bounds)-1, o.Seed, false); err != nil {
			return nil, err
		}
		b = &booster{table: t, options: o}
		p.follow = true
		if err := b.learn(ctx, r.binnings, &p); err != nil {
			return nil, err
		}
	}
	o.Progress(1, 1)
	m := b.assemble(fields, r.binnings, p.pairs, cal, meta.Events)
	m.meta = meta
	if o.Lean {
		return m.Lean(), nil
	}
	m.seal()
	return m, nil
}

func namesOf(fields []Field) (names []string) {
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

func (p *plan) metrics(cal calibration) map[string]float64 {
	metrics := map[string]float64{
		"deviance":              cal.deviance,
		"deviance_constant":     cal.constant,
		"calibration_slope":     cal.slope,
		"calibration_intercept": cal.intercept,
		"rounds":                float64(p.rounds),
		"pair_rounds":           float64(p.pairRounds),
		"tree_rounds":           float64(p.treeRounds),
		"temper":                p.temper,
	}
	for k, v := range metrics {
		metrics[k] = math.Round(v*1e5) / 1e5
	}
	return metrics
}

// protect tells of each row held out, and how the model does on the protected columns.
func (r *reader) protect(b *booster, fields []Field, meta *Meta, o Options) {
	t := r.t
	if o.Held == nil && len(t.protected) == 0 {
		return
	}
	groups := make([][]ProtectedGroup, len(t.protected))
	for i := range groups {
		f := len(fields) + i
		for k := range t.protected[i].n {
			groups[i] = append(groups[i], ProtectedGroup{Column: r.fields[f].Name, Value: r.binnings[f].label(r.fields[f].Kind, k, k)})
		}
	}
	for k, bag := range b.bags {
		cal := b.line(k)
		lo := t.from[bag.fold]
		for j, link := range bag.held {
			i := lo + j
			off := t.offsetOf(i)
			predicted := mean(t.loss, cal.at(link-off)+off+t.unit)
			if o.Held != nil {
				o.Held(int(t.order[i]), predicted)
			}
			for c := range t.protected {
				g := &groups[c][t.protected[c].bin(i)]
				exposure := float64(float64(t.scale[i]) * t.years)
				g.Rows++
				g.Exposure += exposure
				g.Expected += float64(predicted * exposure)
				g.Actual += float64(float64(t.weightOf(i)*t.actual(i)) * t.amount)
			}
		}
	}
	names := namesOf(fields)
	for c := range t.protected {
		meta.Proxies = append(meta.Proxies, t.proxies(&t.protected[c], r.fields[len(fields)+c].Name, names)...)
		slices.SortStableFunc(groups[c], func(a, b ProtectedGroup) int { return cmp.Compare(b.Rows, a.Rows) })
		for _, g := range groups[c][:min(len(groups[c]), maxGroups)] {
			if g.Rows > 0 {
				meta.Protected = append(meta.Protected, g)
			}
		}
	}
}

// maxGroups are the values of a protected column that are reported on, the most frequent.
const maxGroups = 20

// comparisons are what simpler fits than the whole would do on the rows held out.
func (b *booster) comparisons(p *plan, cal calibration) []Comparison {
	out := []Comparison{
		{Name: "the mean alone", Deviance: cal.constant},
		{Name: "each field by itself", Deviance: p.mains, Note: "before calibration"},
	}
	if len(p.pairs) > 0 {
		out = append(out, Comparison{Name: "with pairs", Deviance: cal.deviance})
	}
	return out
}

// unconstrained is how a fit does without monotone constraints: what they cost.
func (b *booster) unconstrained(ctx context.Context, binnings []binning) (Comparison, error) {
	free := *b.table
	free.columns = slices.Clone(free.columns[:free.fields])
	for c := range free.columns {
		free.columns[c].signs = [2]int8{}
	}
	other := &booster{table: &free, options: b.options}
	var p plan
	if err := other.learn(ctx, slices.Clone(binnings), &p); err != nil {
		return Comparison{}, err
	}
	other.score()
	return Comparison{Name: "without monotone constraints", Deviance: other.calibrate().deviance}, nil
}

// credible is the mean claim alone, weighed with what was expected.
func credible(fields []Field, start float64, prior *float64, meta Meta) *Model {
	z := min(1, math.Sqrt(meta.Events/FullCredibility))
	meta.Note = fmt.Sprintf("the mean alone: %.4g claims are fewer than %d", meta.Events, gammaClaims)
	if prior != nil {
		start = exact.Log(float64(z*exact.Exp(start)) + float64((1-z)*exact.Exp(*prior)))
		meta.Note += fmt.Sprintf("; they count for %.0f%% against what was expected", 100*z)
	}
	return Constant(fields, Gamma, round(start), "").WithMeta(meta)
}

// overall is the number of events, the link of the mean, and for Gamma and Tweedie the
// dispersion (Pearson's).
//
// The rows lie as they came, and sums in another order differ in their last digits: what
// follows from them is rounded, so that nothing that is learnt depends on it.
func (t *table) overall() (events, start float64, err error) {
	num, den, squares := 0.0, 0.0, 0.0
	costs := 0.0
	for i, y := range t.y {
		num += float64(t.weightOf(i) * float64(y))
		den += float64(t.scale[i])
		if y > 0 {
			costs++
		}
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
	if t.offset != nil {
		start += shift(t, func(f func(lo, hi int)) { f(0, t.rows) }, start)
	}
	start = OnGrid(start)
	if t.loss != Gamma && t.loss != Tweedie {
		return num, start, nil
	}
	mean := num / den
	for i, y := range t.y {
		d := float64(y)/mean - 1
		squares += float64(t.weightOf(i) * float64(d*d))
	}
	if t.rows > 1 {
		t.phi = max(squares/float64(t.rows-1), 1e-3)
	}
	if !finite(t.phi) {
		return 0, 0, fault.New(fault.Invalid, "the targets differ too much in size to be fitted")
	}
	if t.loss == Tweedie {
		t.phi *= math.Sqrt(mean) // the variance goes with the mean's power of 1.5, not with its square
	}
	t.phi = float64(float32(t.phi))
	if t.loss == Gamma {
		return den, start, nil
	}
	return costs, start, nil
}

// tooLittle says why nothing but the mean can be learnt, or nothing.
func (t *table) tooLittle(events float64) string {
	if t.loss == Logistic {
		total := 0.0
		for i := range t.y {
			total += t.weightOf(i)
		}
		events = min(events, total-events)
	}
	if events < minEvents {
		return fmt.Sprintf("the mean alone: %.4g events are fewer than %d", events, minEvents)
	}
	return ""
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

// plan is what the rows held out have said of how to fit; followed, it is done again on
// other folds without asking.
type plan struct {
	follow                         bool
	pairs                          []pair
	rounds, pairRounds, treeRounds int
	temper                         float64
	mains                          float64 // deviance of the rows held out, before pairs
}

// booster runs the bags side by side.
type booster struct {
	table   *table
	options Options
	bags    []*bag
	loss    float64 // nats of the best round so far, all bags together
}

func (b *booster) learn(ctx context.Context, binnings []binning, p *plan) error {
	t := b.table
	var columns []int
	for c := range t.columns {
		if t.columns[c].varies() {
			columns = append(columns, c)
		}
	}
	b.bags = make([]*bag, b.options.Bags)
	each(len(b.bags), func(i int) {
		b.bags[i] = newBag(t, i, b.options.Stirs)
	})
	if b.loss = b.score(); !finite(b.loss) {
		return fault.New(fault.Invalid, "the targets differ too much in size to be fitted")
	}
	smooth := func(learn bool) func(*bag, int) error {
		return func(bag *bag, n int) error { return bag.smooth(ctx, columns, n, learn) }
	}
	err := b.run(p, &p.rounds, b.options.Rounds, blockRounds, smooth(true))
	if err != nil || len(columns) == 0 {
		return err
	}
	if !p.follow {
		before := calibration{slope: 1}
		b.score()
		b.measure(&before)
		p.mains = before.deviance
		p.pairs = b.findPairs(binnings, columns)
	}
	if len(p.pairs) > 0 {
		columns = append(columns, b.addPairs(p.pairs, binnings)...)
		if err := b.run(p, &p.pairRounds, b.options.Rounds, blockRounds, smooth(true)); err != nil {
			return err
		}
	}
	if err := b.temper(p, smooth(false)); err != nil {
		return err
	}
	steps := slices.DeleteFunc(slices.Clone(columns), func(c int) bool {
		col := &t.columns[c]
		return col.width > 0 || !col.line && col.n > maxTreeNames
	})
	return b.run(p, &p.treeRounds, 10*b.options.Rounds, treeBlock, func(bag *bag, n int) error {
		return bag.trees(ctx, steps, n, b.options)
	})
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

// all does something with each bag.
func (b *booster) all(do func(*bag) error) error {
	failures := make([]error, len(b.bags))
	each(len(b.bags), func(i int) { failures[i] = do(b.bags[i]) })
	for _, err := range failures {
		if err != nil {
			return fault.Wrap(fault.Cancelled, err, "fitting a model")
		}
	}
	return nil
}

// run does rounds until the rows held out gain no more, and sets the best number of them;
// or does that number, where the plan is followed. The bags are left at that round.
func (b *booster) run(p *plan, best *int, most, block int, rounds func(*bag, int) error) error {
	if p.follow {
		err := b.all(func(bag *bag) error { return rounds(bag, *best) })
		each(len(b.bags), func(i int) { b.bags[i].keep() })
		return err
	}
	tolerance := float64(b.options.Tolerance * b.table.phi * float64(len(b.bags)))
	for done, worse := 0, 0; done < most && worse < patience; {
		n := min(block, most-done)
		if err := b.all(func(bag *bag) error { return rounds(bag, n) }); err != nil {
			return err
		}
		done += n
		b.options.Progress(done, most)
		if loss := b.score(); loss < b.loss-tolerance {
			b.loss, *best, worse = loss, done, 0
			each(len(b.bags), func(i int) { b.bags[i].keep() })
		} else {
			worse++
		}
	}
	each(len(b.bags), func(i int) { b.bags[i].reset() })
	return nil
}

// temper draws everything nearer to nothing, step by step, for as long as the rows held out
// gain: what a field needs by itself is too much where many fields say the same.
func (b *booster) temper(p *plan, rounds func(*bag, int) error) error {
	set := func(t float64) {
		for _, bag := range b.bags {
			bag.temper = t
		}
	}
	if p.follow {
		set(p.temper)
		n := 2 * blockRounds
		return b.run(p, &n, 0, 0, rounds)
	}
	p.temper = 1
	for t := 2.0; t <= maxTemper; t *= 2 {
		before := b.loss
		set(t)
		var n int
		if err := b.run(p, &n, 2*blockRounds, blockRounds, rounds); err != nil {
			return err
		}
		if b.loss >= before {
			break
		}
		p.temper = t
	}
	return nil
}

// eachHeld calls f with each row that is held out and its link by the bag that did not
// learn from it; of all bags but one (-1: of all).
func (b *booster) eachHeld(but int, f func(i int, link float64)) {
	for k, bag := range b.bags {
		if k == but {
			continue
		}
		lo := b.table.from[bag.fold]
		for i, link := range bag.held {
			f(lo+i, link)
		}
	}
}
