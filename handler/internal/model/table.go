package model

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"slices"

	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
)

// table is the training data as the boosting reads it: binned columns and targets. The
// rows lie fold by fold, and in an order that follows from what they hold, so that the
// order in which they came makes no difference.
type table struct {
	loss      Loss
	rows      int
	y         []float32
	whole     []float32 // the amounts before they were capped; nil: none was
	weight    []float32 // nil: all 1
	scale     []float32 // weight × exposure: what a unit of mean counts for
	offset    []float32 // nil: all 0
	bounds    []int     // fold k is rows bounds[k] to bounds[k+1]
	from      []int     // of fold k, the first row that is judged; those before it are neither learnt from nor judged
	past      bool      // folds are in order of time, and learnt from are only earlier ones
	order     []int32   // where each row came from
	columns   []column
	fields    int      // columns that are fields; pairs follow
	protected []column // what is reported on and not learnt from
	phi       float64
	unit      float64 // the caller's link is the one here plus this
	load      float64 // of it, what makes up for capping
	years     float64 // a unit of scale here, in the caller's exposure
	amount    float64 // a target here, in the caller's money
	money     float64 // a deviance here, in the caller's
}

// column is a binned field, or a pair of coarsely binned ones, seen as one.
type column struct {
	narrow []uint8  // bins, where there are up to 256
	wide   []uint16 // bins, where there are more
	n      int      // bins
	kind   Kind
	line   bool      // the bins from first on have an order
	first  int       // of them
	signs  [2]int8   // monotone constraints; of a pair by field
	weight []float64 // scale by bin, over all rows
	width  int       // of a pair: coarse bins of its second field; else 0
	begin  [2]int    // of a pair: the first coarse bins with a place in the order
	levels [][]int32 // of codes: group by bin, a level of beginnings each
}

func newColumn(n, rows int) column {
	c := column{n: n}
	if n > 256 {
		c.wide = make([]uint16, rows)
	} else {
		c.narrow = make([]uint8, rows)
	}
	return c
}

func (c *column) bin(i int) int {
	if c.wide != nil {
		return int(c.wide[i])
	}
	return int(c.narrow[i])
}

func (c *column) set(i int, k uint16) {
	if c.wide != nil {
		c.wide[i] = k
	} else {
		c.narrow[i] = uint8(k)
	}
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

func (c *column) weigh(scale []float32) {
	c.weight = make([]float64, c.n)
	for i, s := range scale {
		c.weight[c.bin(i)] += float64(s)
	}
}

// reader collects a training table in two passes.
type reader struct {
	fields    []Field
	loss      Loss
	limit     int     // bins of a number
	quantile  float64 // of amounts, at which they are capped
	cap       float64
	protected int // of the last fields, which are not learnt from
	binnings  []binning
	t         *table
	group     []uint64 // hash of the group; nil: each row is its own
	time      []float64
}

// protectedBins are the bins of a protected number: few, as people read of each.
const protectedBins = 8

// hashText is FNV-1a, the same on every machine.
func hashText(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h, uint64(len(s)))
}

func (r *reader) read(ctx context.Context, rows Rows) error {
	numbers, names := make([]*numberSurvey, len(r.fields)), make([]*nameSurvey, len(r.fields))
	for i, f := range r.fields {
		if f.Kind == Numeric {
			numbers[i] = newNumberSurvey()
		} else {
			names[i] = newNameSurvey()
		}
	}
	n := 0
	var sumY, sumScale float64
	amounts := newNumberSurvey()
	weighed, offset, grouped, timed := false, false, false, false
	first := 0.0
	err := rows(ctx, func(c *Case) error {
		if n&(1<<16-1) == 0 && ctx.Err() != nil {
			return fault.Wrap(fault.Cancelled, ctx.Err(), "reading the training table")
		}
		if len(c.Num) < len(r.fields) || len(c.Cat) < len(r.fields) {
			return fault.New(fault.Invalid, "row %d has fewer values than there are fields", n+1)
		}
		if err := c.check(n, r.loss); err != nil {
			return err
		}
		for i := range r.fields {
			if numbers[i] != nil {
				numbers[i].add(c.Num[i])
			} else {
				names[i].add(c.Cat[i])
			}
		}
		if n == 0 {
			first = c.Time
		}
		if r.capped() && c.Y > 0 {
			amounts.add(c.Y)
		}
		weighed, offset = weighed || c.Weight != 1, offset || c.Offset != 0
		grouped, timed = grouped || c.Group != "", timed || c.Time != first
		sumY += float64(c.Weight * c.Y)
		sumScale += float64(c.Weight * c.Exposure)
		n++
		return nil
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		return fault.New(fault.Invalid, "the training table has no rows")
	case n > math.MaxInt32:
		return fault.New(fault.Invalid, "%d rows are more than %d", n, math.MaxInt32)
	case sumScale == 0 || !finite(sumScale):
		return fault.New(fault.Invalid, "the weights add up to nothing usable")
	case !finite(sumY):
		return fault.New(fault.Invalid, "the targets, weights or exposures are too large or too small to add up")
	}
	r.cap = amounts.quantile(r.quantile)
	t := &table{loss: r.loss, rows: n, fields: len(r.fields) - r.protected, phi: 1, y: make([]float32, n), scale: make([]float32, n)}
	r.t = t
	if weighed {
		t.weight = make([]float32, n)
	}
	if offset {
		t.offset = make([]float32, n)
	}
	if grouped {
		r.group = make([]uint64, n)
	}
	if timed {
		r.time = make([]float64, n)
	}
	r.binnings, t.columns = make([]binning, len(r.fields)), make([]column, len(r.fields))
	for i, f := range r.fields {
		b := &r.binnings[i]
		if numbers[i] != nil {
			limit := r.limit
			if i >= t.fields {
				limit = protectedBins
			}
			*b = numbers[i].binning(limit)
		} else {
			*b = names[i].binning(f.order())
			if n := names[i].outside(b, f.order()); n > 0 {
				return fault.New(fault.Invalid, "field %s: %d rows have names that its order lacks", f.Name, n)
			}
		}
		numbers[i], names[i] = nil, nil
		t.columns[i] = newColumn(b.bins(f.Kind), n)
		col := &t.columns[i]
		col.kind, col.signs[0] = f.Kind, f.Monotone
		switch {
		case f.Kind == Numeric:
			col.line, col.first = true, 1
		case f.Order != "":
			col.line, col.first = true, 2
		}
		col.levels = b.levels()
	}
	return r.fill(ctx, rows, sumY, sumScale)
}

// capped reports whether amounts are learnt from, and hence capped: a few of the largest
// say next to nothing of what drives them, and would drown what the others say.
func (r *reader) capped() bool { return r.loss == Gamma || r.loss == Tweedie }

// fill is the second pass. Exposures and amounts are kept as multiples of their means, so
// that four bytes hold them.
func (r *reader) fill(ctx context.Context, rows Rows, sumY, sumScale float64) error {
	t := r.t
	yUnit, exposureUnit := 1.0, 1.0
	left := 0.0 // of the amounts, after capping
	if r.loss != Logistic && sumY > 0 {
		// Powers of two: to divide by them rounds nothing, and they do not change with the last
		// digit of a sum, which depends on the order of the rows.
		_, e := math.Frexp(sumY / sumScale)
		if r.capped() {
			yUnit = math.Ldexp(1, e)
		} else {
			exposureUnit = math.Ldexp(1, -e)
		}
	}
	if !finite(yUnit) || !finite(exposureUnit) || yUnit == 0 || exposureUnit == 0 {
		return fault.New(fault.Invalid, "the targets, weights or exposures are too large or too small to add up")
	}
	i := 0
	err := rows(ctx, func(c *Case) error {
		if i&(1<<16-1) == 0 && ctx.Err() != nil {
			return fault.Wrap(fault.Cancelled, ctx.Err(), "reading the training table")
		}
		if i == t.rows {
			return fault.New(fault.Invalid, "the training table has grown between two passes")
		}
		amount := c.Y
		if r.capped() {
			amount = min(amount, r.cap)
		}
		left += float64(c.Weight * amount)
		y, whole, w := amount/yUnit, c.Y/yUnit, c.Weight
		scale := float64(w*c.Exposure) / exposureUnit
		if r.loss == Tweedie { // a cost a year, which counts by its years
			y, whole = y/c.Exposure, whole/c.Exposure
			w = scale
		}
		if amount < c.Y && t.whole == nil {
			t.whole = slices.Clone(t.y)
		}
		if t.whole != nil {
			t.whole[i] = float32(whole)
		}
		t.y[i], t.scale[i] = float32(y), float32(scale)
		if t.weight != nil {
			t.weight[i] = float32(w)
		}
		if t.offset != nil {
			t.offset[i] = float32(c.Offset)
		}
		if r.group != nil {
			if c.Group != "" {
				r.group[i] = max(1, hashText(c.Group))
			}
		}
		if r.time != nil {
			r.time[i] = c.Time
		}
		for k := range r.fields {
			b := &r.binnings[k]
			if r.fields[k].Kind == Numeric {
				t.columns[k].set(i, b.number(c.Num[k]))
			} else {
				t.columns[k].set(i, b.category(c.Cat[k]))
			}
		}
		i++
		return nil
	})
	if err != nil {
		return err
	}
	if i != t.rows {
		return fault.New(fault.Invalid, "the training table has shrunk between two passes")
	}
	if r.loss == Tweedie {
		t.weight = t.scale
	}
	t.columns, t.protected = t.columns[:t.fields:t.fields], t.columns[t.fields:]
	if t.whole != nil && left > 0 {
		t.load = math.Round(exact.Log(sumY/left)*1e9) / 1e9
	}
	t.unit = exact.Log(yUnit) - exact.Log(exposureUnit) + t.load
	t.years, t.amount, t.money = exposureUnit, yUnit, 1
	if r.loss == Tweedie {
		t.money = math.Sqrt(yUnit)
	}
	return nil
}

// arrange deals the rows into k folds, and puts them in order. Groups stay together; those
// with an event and those without are dealt apart, so that rare events spread evenly.
// Which fold a row lands in depends on what it holds and the seed, not on where it stood.
// In time, the early rows of a fold come first: only they are learnt from, and only the
// late ones are judged.
func (r *reader) arrange(k int, seed uint64, inTime bool) error {
	t := r.t
	key := r.keys(seed)
	at := make([]int32, t.rows) // into the table as it lies now
	unit := key
	if r.group != nil {
		unit = slices.Clone(r.group)
	}
	if r.group == nil || slices.Contains(r.group, 0) {
		// Of rows that are alike each goes its own way: dealt in turn, what is chance in how
		// often they are there would be the same in every fold, and look like a cause.
		byHash(at, key, cmp.Compare[int32])
		for i := 0; i < len(at); {
			same := key[at[i]]
			for n := uint64(0); i < len(at) && key[at[i]] == same; n++ {
				key[at[i]] = mix(same, n)
				i++
			}
		}
	}
	late := func(int32) bool { return false }
	if inTime {
		cut := r.cut()
		late = func(i int32) bool { return r.time[i] >= cut }
	}
	if r.group != nil {
		for i, g := range r.group {
			if g == 0 { // in no group: its own
				unit[i] = key[i]
			}
		}
	}
	event := r.events(unit)
	if t.order == nil {
		t.order = make([]int32, t.rows)
		for i := range t.order {
			t.order[i] = int32(i)
		}
	}
	turn := make([]uint64, t.rows) // a hash again, those with an event first
	for i := range turn {
		if turn[i] = mix(seed, unit[i]) >> 1; !event(int32(i)) {
			turn[i] |= 1 << 63
		}
	}
	byHash(at, turn, func(a, b int32) int { return cmp.Or(cmp.Compare(key[a], key[b]), cmp.Compare(a, b)) })
	part := make([]uint8, t.rows) // twice the fold, and one more for the late rows
	for i, n := 0, 0; i < len(at); n++ {
		for j := i; i < len(at) && (i == j || r.group != nil && unit[at[i]] == unit[at[j]]); i++ {
			part[at[i]] = uint8(2 * (n % k))
			if late(at[i]) {
				part[at[i]]++
			}
		}
	}
	starts := make([]int, 2*k+1)
	for _, p := range part {
		starts[p+1]++
	}
	for i := range 2 * k {
		starts[i+1] += starts[i]
	}
	t.past, t.bounds, t.from = inTime, make([]int, k+1), make([]int, k)
	for f := range k {
		t.bounds[f+1] = starts[2*f+2]
		if t.from[f] = starts[2*f]; inTime {
			t.from[f] = starts[2*f+1]
		}
	}
	sorted := make([]int32, t.rows)
	for _, i := range at {
		sorted[starts[part[i]]] = i
		starts[part[i]]++
	}
	r.permute(sorted)
	for _, columns := range [][]column{t.columns, t.protected} {
		for c := range columns {
			columns[c].weigh(t.scale)
		}
	}
	for f := range k {
		if t.bounds[f+1] == t.from[f] {
			return fault.New(fault.Invalid, "too few groups or times to hold any out")
		}
	}
	return nil
}

// byHash fills at with all rows in the order of their keys, ties by then. The keys are
// hashes: dealt by their first digits, few rows are left to compare, and the time grows
// with the rows and no faster.
func byHash(at []int32, key []uint64, then func(a, b int32) int) {
	shift := 64 - max(0, bits.Len(uint(len(at)))-3)
	next := make([]int32, 1<<(64-shift)+1)
	for _, k := range key {
		next[k>>shift+1]++
	}
	for b := range len(next) - 1 {
		next[b+1] += next[b]
	}
	for i, k := range key {
		at[next[k>>shift]] = int32(i)
		next[k>>shift]++
	}
	from := int32(0)
	for _, to := range next[:len(next)-1] {
		slices.SortFunc(at[from:to], func(a, b int32) int { return cmp.Or(cmp.Compare(key[a], key[b]), then(a, b)) })
		from = to
	}
}

// keys are what the rows hold, as one number each.
func (r *reader) keys(seed uint64) []uint64 {
	t := r.t
	key := make([]uint64, t.rows)
	for i := range key {
		h := mix(seed, uint64(math.Float32bits(t.y[i])))
		h = mix(h, uint64(math.Float32bits(t.scale[i])))
		if t.weight != nil {
			h = mix(h, uint64(math.Float32bits(t.weight[i])))
		}
		if t.offset != nil {
			h = mix(h, uint64(math.Float32bits(t.offset[i])))
		}
		if r.time != nil {
			h = mix(h, math.Float64bits(r.time[i]))
		}
		key[i] = h
	}
	for c := range t.columns[:t.fields] {
		col := &t.columns[c]
		if col.weigh(t.scale); !col.varies() {
			continue // so that a field that says nothing changes nothing
		}
		for i := range key {
			key[i] = (key[i] ^ uint64(col.bin(i))) * 0x9e3779b97f4a7c15
			key[i] ^= key[i] >> 29
		}
	}
	return key
}

// early is the share of the rows that is learnt from where there is time, about.
const early = 0.6

// cut is the time from which rows are late.
func (r *reader) cut() float64 {
	sorted := slices.Clone(r.time)
	slices.Sort(sorted)
	at := int(early * float64(len(sorted)))
	cut := sorted[at]
	if cut == sorted[0] { // so many of the first: whatever is later is late
		for _, v := range sorted {
			if v > cut {
				return v
			}
		}
	}
	return cut
}

// events tells whether a row's group has an event.
func (r *reader) events(unit []uint64) func(i int32) bool {
	if r.group == nil {
		return func(i int32) bool { return r.t.y[i] > 0 }
	}
	has := map[uint64]bool{}
	for i, g := range unit {
		if r.t.y[i] > 0 {
			has[g] = true
		}
	}
	return func(i int32) bool { return has[unit[i]] }
}

// permute puts the rows into an order.
func (r *reader) permute(order []int32) {
	t := r.t
	for _, columns := range [][]column{t.columns, t.protected} {
		each(len(columns), func(c int) { columns[c] = columns[c].picked(order) })
	}
	same := t.loss == Tweedie
	t.y, t.scale, t.whole = gather(t.y, order), gather(t.scale, order), gather(t.whole, order)
	t.weight, t.offset = gather(t.weight, order), gather(t.offset, order)
	if same {
		t.weight = t.scale
	}
	t.order = gather(t.order, order)
	r.group, r.time = gather(r.group, order), gather(r.time, order)
}

func gather[T any](v []T, order []int32) []T {
	if v == nil {
		return nil
	}
	out := make([]T, len(order))
	for i, k := range order {
		out[i] = v[k]
	}
	return out
}

// actual is what came of row i, whole.
func (t *table) actual(i int) float64 {
	if t.whole == nil {
		return float64(t.y[i])
	}
	return float64(t.whole[i])
}

// weightOf is the weight of row i.
func (t *table) weightOf(i int) float64 {
	if t.weight == nil {
		return 1
	}
	return float64(t.weight[i])
}

func (t *table) offsetOf(i int) float64 {
	if t.offset == nil {
		return 0
	}
	return float64(t.offset[i])
}
