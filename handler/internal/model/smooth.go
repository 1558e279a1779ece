package model

import "math"

// A smoother is what a column's table is drawn from: a Gaussian prior under which the
// values of neighbouring bins differ little (a random walk; Whittaker 1923, Besag 1974),
// and unordered ones are near zero (credibility; Bühlmann and Straub 1970). How little is
// learnt with the table, by restricted maximum likelihood: λ goes up until the values are
// as large as the prior says (Fellner–Schall; Wood and Fasiolo 2017), so that a field
// that says nothing becomes flat, and one that says much is hardly drawn at all.
type smoother struct {
	kind      smootherKind
	group     []int32 // cell by bin; -1 for bins that it says nothing of
	n         int     // cells
	rows      int     // of a grid: n is rows × columns
	penalties []*band
	spectra   [][]float64 // eigenvalues of the penalties in a common basis; of a line there is none
	lambda    []float64
	loose     [2][]float64 // of a line: how much each step and bend is drawn, by penalty
	walk      [3]*band     // of a line: the prior as a form in its steps, factored; its inverse; room for a penalty
	df, size  []float64    // what the last update found: degrees of freedom and quadratic form, by penalty
	s         []float64    // the values
	best      memory
	h, g, x   []float64
	matrix    band
	inverse   band
}

type smootherKind uint8

const (
	level  smootherKind = iota // unordered: a ridge
	line                       // ordered: a random walk with a second one for its slope
	plane                      // of a pair: a random walk over a grid, and a ridge
	single                     // one value, such as that of missing
	smootherKinds
)

// Where a prior's size is not known yet, effects on the link have a variance of this.
const priorVariance = 0.05

// pseudoDF is the weight, in degrees of freedom, of what the smoothers of one kind have
// in common against what a single one shows: fields with little data borrow from others.
const pseudoDF = 2

// tails are the degrees of freedom of Student's t for the steps and bends of a line: few, so
// that a jump costs little more than a slope, and what is flat beside it stays flat.
const tails = 1

func newSmoother(kind smootherKind, group []int32, n, rows int, phi float64) *smoother {
	s := &smoother{kind: kind, group: group, n: n, rows: rows}
	one := func(w int) *band {
		b := newBand(n, w)
		s.penalties = append(s.penalties, b)
		return b
	}
	switch kind {
	case level, single:
		ridge := one(0)
		for i := range n {
			ridge.add(i, i, 1)
		}
		s.spectra = [][]float64{ones(n)}
	case line:
		w := min(2, n-1)
		one(w)
		s.loose[0] = ones(n - 1)
		if n > 2 {
			one(w)
			s.loose[1] = ones(n - 2)
		}
		for i := range s.walk {
			s.walk[i] = newBand(n-1, min(1, n-2))
		}
		s.penalise()
	case plane:
		width := n / rows
		ridge, walk := one(width), one(width)
		for k := range n {
			ridge.add(k, k, 1)
			if k >= width {
				walk.difference(1, []int{k, k - width}, []float64{1, -1})
			}
			if k%width > 0 {
				walk.difference(1, []int{k, k - 1}, []float64{1, -1})
			}
		}
		across, along := pathSpectrum(rows), pathSpectrum(width)
		both := make([]float64, 0, n)
		for _, a := range across {
			for _, b := range along {
				both = append(both, a+b)
			}
		}
		s.spectra = [][]float64{ones(n), both}
	}
	for range s.penalties {
		s.lambda = append(s.lambda, phi/priorVariance)
	}
	s.df, s.size = make([]float64, len(s.penalties)), make([]float64, len(s.penalties))
	s.s = make([]float64, n)
	s.keep()
	s.h, s.g, s.x = make([]float64, n), make([]float64, n), make([]float64, n)
	s.matrix = *newBand(n, s.penalties[0].w)
	s.inverse = *newBand(n, s.penalties[0].w)
	return s
}

// memory is a smoother at the best round so far.
type memory struct {
	s, lambda []float64
	loose     [2][]float64
}

func (s *smoother) keep() {
	s.best.s, s.best.lambda = append(s.best.s[:0], s.s...), append(s.best.lambda[:0], s.lambda...)
	for i, l := range s.loose {
		s.best.loose[i] = append(s.best.loose[i][:0], l...)
	}
}

func (s *smoother) reset() {
	copy(s.s, s.best.s)
	copy(s.lambda, s.best.lambda)
	for i, l := range s.best.loose {
		copy(s.loose[i], l)
	}
	if s.kind == line {
		s.penalise()
	}
}

// penalise fills a line's penalties. Both are scaled by the number of steps, so that λ is
// about the whole range.
func (s *smoother) penalise() {
	steps := float64(s.n - 1)
	clear(s.penalties[0].a)
	for i := 1; i < s.n; i++ {
		s.penalties[0].difference(steps*s.loose[0][i-1], []int{i, i - 1}, []float64{1, -1})
	}
	if s.n > 2 {
		clear(s.penalties[1].a)
		for i := 2; i < s.n; i++ {
			s.penalties[1].difference(steps*steps*steps*s.loose[1][i-2], []int{i, i - 1, i - 2}, []float64{1, -2, 1})
		}
	}
}

// inSteps is a penalty of a line's as a form in its steps.
func (s *smoother) inSteps(p int, scale float64, into *band) {
	steps := float64(s.n - 1)
	for i := range s.loose[p] {
		if p == 0 {
			into.add(i, i, scale*steps*s.loose[p][i])
		} else {
			into.difference(scale*steps*steps*steps*s.loose[p][i], []int{i + 1, i}, []float64{1, -1})
		}
	}
}

// loosen gives way to what is a step or a kink: under a prior with long tails (Student's t)
// a large difference is drawn less than a small one.
func (s *smoother) loosen(phi float64) {
	steps := float64(s.n - 1)
	z := &s.inverse
	at := func(i, j int) float64 { return z.a[i*(z.w+1)+i-j] }
	for i := range s.loose[0] {
		u := s.x[i+1] - s.x[i]
		v := float64(u*u) + float64(phi*(at(i+1, i+1)+at(i, i)-2*at(i+1, i)))
		s.loose[0][i] = (tails + 1) / (tails + float64(float64(s.lambda[0]*steps)*v)/phi)
	}
	for i := range s.loose[1] {
		u := s.x[i+2] - 2*s.x[i+1] + s.x[i]
		v := at(i+2, i+2) + 4*at(i+1, i+1) + at(i, i) - 4*at(i+2, i+1) - 4*at(i+1, i) + 2*at(i+2, i)
		v = float64(u*u) + float64(phi*v)
		s.loose[1][i] = (tails + 1) / (tails + float64(float64(s.lambda[1]*steps*steps*steps)*v)/phi)
	}
	s.penalise()
}

func ones(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// pathSpectrum are the eigenvalues 2 - 2cos(πk/n) of the differences along a path of n
// places, by the recurrence of cosines so that they are the same on every machine.
func pathSpectrum(n int) []float64 {
	x := math.Pi / float64(n)
	c, term := 1.0, 1.0
	for i := 1; i < 16; i++ {
		term = -float64(term*float64(x*x)) / float64((2*i-1)*(2*i))
		c += term
	}
	out := make([]float64, n)
	before, now := c, 1.0 // cos(-π/n), cos 0
	for k := range out {
		out[k] = max(0, 2-2*now)
		before, now = now, float64(2*c*now)-before
	}
	return out
}

// update moves the values one penalised Newton step, given the information and the
// gradient of the column's bins at the values so far, and corrects the gradient for it.
// With learn it also moves λ. temper draws everything nearer to nothing by that factor.
func (s *smoother) update(info, grad []float64, phi, temper float64, learn bool, common *pool) {
	clear(s.h)
	clear(s.g)
	for k, c := range s.group {
		if c >= 0 {
			s.h[c] += info[k]
			s.g[c] += grad[k]
		}
	}
	a := &s.matrix
	clear(a.a)
	for p, penalty := range s.penalties {
		for i, v := range penalty.a {
			a.a[i] += float64(float64(temper*s.lambda[p]) * v)
		}
	}
	for i := range s.x {
		a.add(i, i, s.h[i]+float64(1e-9*phi))
		s.x[i] = float64(s.h[i]*s.s[i]) + s.g[i]
	}
	a.factor()
	a.solve(s.x)
	if s.kind == single {
		s.set(s.x, info, grad)
		return
	}
	if learn {
		s.tune(phi, common)
	}
	// The mean belongs to the intercept.
	sum, total := 0.0, 0.0
	for i, x := range s.x {
		sum += float64(x * s.h[i])
		total += s.h[i]
	}
	mean := 0.0
	if total > 0 {
		mean = sum / total
	}
	for i := range s.x {
		s.x[i] = max(-maxStep, min(maxStep, s.x[i]-mean))
	}
	s.set(s.x, info, grad)
}

// set makes x the values, and corrects the gradient for the difference.
func (s *smoother) set(x, info, grad []float64) {
	for k, c := range s.group {
		if c >= 0 {
			grad[k] -= float64(info[k] * (x[c] - s.s[c]))
		}
	}
	copy(s.s, x)
}

// free is the trace of a penalty times the prior's inverse: the degrees of freedom that
// there are, over λ.
func (s *smoother) free(p int) float64 {
	if s.kind == line {
		clear(s.walk[2].a)
		s.inSteps(p, 1, s.walk[2])
		return s.walk[1].trace(s.walk[2])
	}
	sum := 0.0
	for i, e := range s.spectra[p] {
		all := 0.0
		for q, l := range s.lambda {
			all += float64(l * s.spectra[q][i])
		}
		if all > 0 {
			sum += e / all
		}
	}
	return sum
}

// tune is the Fellner–Schall step, for the values x that matrix (factored) gave.
func (s *smoother) tune(phi float64, common *pool) {
	s.matrix.invert(&s.inverse)
	if s.kind == line {
		clear(s.walk[0].a)
		for p := range s.penalties {
			s.inSteps(p, s.lambda[p], s.walk[0])
		}
		s.walk[0].factor()
		s.walk[0].invert(s.walk[1])
	}
	for p, penalty := range s.penalties {
		l := s.lambda[p]
		s.df[p] = max(1e-3, float64(l*(s.free(p)-s.inverse.trace(penalty))))
		s.size[p] = penalty.quadratic(s.x)
		next := phi * (s.df[p] + pseudoDF) / (s.size[p] + float64(pseudoDF*common.variance(s.kind, p)))
		next = max(l/10, min(l*10, next))
		s.lambda[p] = max(1e-3*phi, min(1e8*phi, next))
	}
	if s.kind == line {
		s.loosen(phi)
	}
}

// pool is what the smoothers of one kind have in common: their prior's variance.
type pool struct{ df, size [smootherKinds][2]float64 }

func (p *pool) add(s *smoother) {
	for i := range s.penalties {
		p.df[s.kind][i] += s.df[i]
		p.size[s.kind][i] += s.size[i]
	}
}

func (p *pool) variance(kind smootherKind, penalty int) float64 {
	if p.df[kind][penalty] == 0 {
		return priorVariance
	}
	return p.size[kind][penalty] / p.df[kind][penalty]
}

// band is a symmetric matrix of n rows with w diagonals beside the main one; element
// (i, i-d) is a[i*(w+1)+d]. After factor it holds L and D of L·D·Lᵀ.
type band struct {
	n, w int
	a    []float64
}

func newBand(n, w int) *band { return &band{n: n, w: w, a: make([]float64, n*(w+1))} }

func (b *band) row(i int) []float64 { return b.a[i*(b.w+1) : (i+1)*(b.w+1)] }

func (b *band) add(i, j int, v float64) { b.a[i*(b.w+1)+i-j] += v }

// difference adds scale × (Σ c·x)² to the quadratic form.
func (b *band) difference(scale float64, at []int, c []float64) {
	for x, i := range at {
		for y, j := range at {
			if i >= j {
				b.add(i, j, float64(scale*c[x]*c[y]))
			}
		}
	}
}

func (b *band) factor() {
	for i := range b.n {
		ri := b.row(i)
		for d := min(b.w, i); d >= 0; d-- {
			j := i - d
			rj := b.row(j)
			sum := ri[d]
			for k := max(0, i-b.w); k < j; k++ {
				sum -= float64(float64(ri[i-k]*rj[j-k]) * b.a[k*(b.w+1)])
			}
			if d > 0 {
				sum /= rj[0]
			}
			ri[d] = sum
		}
	}
}

func (b *band) solve(x []float64) {
	for i := range x {
		r := b.row(i)
		for d := 1; d <= min(b.w, i); d++ {
			x[i] -= float64(r[d] * x[i-d])
		}
	}
	for i := range x {
		x[i] /= b.a[i*(b.w+1)]
	}
	for i := b.n - 1; i >= 0; i-- {
		for d := 1; d <= b.w && i+d < b.n; d++ {
			x[i] -= float64(b.a[(i+d)*(b.w+1)+d] * x[i+d])
		}
	}
}

// invert puts those elements of the inverse into z that lie in the band (Takahashi 1973).
func (b *band) invert(z *band) {
	w1 := b.w + 1
	for j := b.n - 1; j >= 0; j-- {
		last := min(b.n-1, j+b.w)
		for i := last; i >= j; i-- {
			sum := 0.0
			if i == j {
				sum = 1 / b.a[j*w1]
			}
			for k := j + 1; k <= last; k++ {
				hi, lo := max(i, k), min(i, k)
				sum -= float64(b.a[k*w1+k-j] * z.a[hi*w1+hi-lo])
			}
			z.a[i*w1+i-j] = sum
		}
	}
}

// trace is that of the product with another matrix of the same band.
func (b *band) trace(o *band) float64 {
	sum := 0.0
	for i := range b.n {
		x, y := b.row(i), o.row(i)
		sum += float64(x[0] * y[0])
		for d := 1; d <= min(b.w, i); d++ {
			sum += 2 * float64(x[d]*y[d])
		}
	}
	return sum
}

func (b *band) quadratic(x []float64) float64 {
	sum := 0.0
	for i := range b.n {
		r := b.row(i)
		sum += float64(float64(r[0]*x[i]) * x[i])
		for d := 1; d <= min(b.w, i); d++ {
			sum += 2 * float64(float64(r[d]*x[i])*x[i-d])
		}
	}
	return sum
}
