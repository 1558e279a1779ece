package measure

import "math"

const (
	tenths = 10
	gains  = 20
)

// part is what lies in a part of the exposure, with the sums of squares of which the
// variance of actual over expected is made.
type part struct {
	rows, units, expected, actual float64
	aa, ap, pp                    float64
}

// add adds a share of s. Shares are of rows, which a share of their own may not make
// appear independent: squares go by the share's square.
func (p *part) add(s part, share float64) {
	p.rows += float64(share * s.rows)
	p.units += float64(share * s.units)
	p.expected += float64(share * s.expected)
	p.actual += float64(share * s.actual)
	square := share * share
	p.aa += float64(square * s.aa)
	p.ap += float64(square * s.ap)
	p.pp += float64(square * s.pp)
}

func (r *rows) sum(from, to int) (s part) {
	for k := from; k < to; k++ {
		x := r.at(k)
		a, p := x.actual(), x.expected()
		s.rows++
		s.units += x.units
		s.actual += a
		s.expected += p
		s.aa += float64(a * a)
		s.ap += float64(a * p)
		s.pp += float64(p * p)
	}
	return s
}

// ratio is actual over expected (Cochran 1977, ch. 6), nil where nothing happened: then
// nothing says how it varies.
func (p *part) ratio() *Estimate {
	if p.actual <= 0 || p.expected <= 0 || p.rows <= 1 {
		return nil
	}
	v := p.actual / p.expected
	squares := p.aa - float64(float64(2*v)*p.ap) + float64(float64(v*v)*p.pp)
	return estimate(v, float64(squares/p.expected/p.expected*(p.rows/(p.rows-1))), 0, math.Inf(1))
}

// spread parts a stretch of the exposure, from … to of total, among n equal parts.
func spread(from, to, total float64, n int, do func(k int, share float64)) {
	width := total / float64(n)
	for k := min(int(from/width), n-1); k < n; k++ {
		low, high := max(from, float64(float64(k)*width)), to
		if k < n-1 {
			high = min(to, float64(float64(k+1)*width))
		}
		if high > low {
			do(k, (high-low)/(to-from))
		}
		if high == to {
			return
		}
	}
}

// rank goes through the rows twice: for what lies where in the order of the predictions,
// and for how sure that is.
func (r *rows) rank(t *Trial) {
	var all part
	var byTenth [tenths]part
	var byGain [gains]part
	var gini, auc pairs
	var curve curve
	at, mean := 0.0, r.actual/r.units
	r.ties(func(from, to int) {
		s := r.sum(from, to)
		all.add(s, 1)
		spread(at, at+s.units, r.units, tenths, func(k int, share float64) { byTenth[k].add(s, share) })
		spread(at, at+s.units, r.units, gains, func(k int, share float64) { byGain[k].add(s, share) })
		at += s.units
		gini.add(s.units, s.actual)
		auc.add(s.actual, s.units-s.actual)
		curve.add(pool{r.at(from).mean, r.at(from).mean, s.units, s.actual}, r.units)
		for k := from; k < to; k++ {
			x := r.at(k)
			t.Deviance += float64(x.units * r.family.deviance(x.rate, x.mean))
			t.Constant += float64(x.units * r.family.deviance(x.rate, mean))
		}
	})
	t.Deviance, t.Constant = max(0, t.Deviance), max(0, t.Constant)
	t.Ratio = all.ratio()
	for _, p := range byTenth {
		t.Tenths = append(t.Tenths, Tenth{Exposure: short(p.units), Expected: short(p.expected), Actual: short(p.actual), Ratio: p.ratio()})
	}
	t.ECE = short(r.ece(func(k int) float64 { return byTenth[k].actual - byTenth[k].expected }))
	g := Gain{}
	t.Gains = append(t.Gains, g)
	for k := gains - 1; k >= 0; k-- {
		if r.actual > 0 {
			g.Actual += byGain[k].actual / r.actual
		}
		g.Expected += byGain[k].expected / r.expected
		t.Gains = append(t.Gains, Gain{Share: short(float64(gains-k) / gains), Actual: short(min(1, g.Actual)), Expected: short(min(1, g.Expected))})
	}
	t.Isotonic = curve.steps()
	if r.actual > 0 {
		r.errors(t, &gini, &auc, byTenth[tenths-1])
	}
}

// errors is the second time, for what depends on all rows. The lift is the mean of the top
// tenth over that of all, and its error the delta method's.
func (r *rows) errors(t *Trial, gini, auc *pairs, top part) {
	mean := r.actual / r.units
	lift := top.actual / top.units / mean
	variance, at := 0.0, 0.0
	r.ties(func(from, to int) {
		s, share := r.sum(from, to), 0.0
		spread(at, at+s.units, r.units, tenths, func(k int, in float64) {
			if k == tenths-1 {
				share = in
			}
		})
		at += s.units
		gini.enter(s.units, s.actual)
		auc.enter(s.actual, s.units-s.actual)
		for k := from; k < to; k++ {
			x := r.at(k)
			a := x.actual()
			above := a - float64(mean*x.units)
			d := float64(share*(a-float64(lift*float64(mean*x.units))))/top.units/mean - float64(lift*above)/r.actual
			variance += float64(d * d)
			gini.without(x.units, a)
			auc.without(a, x.units-a)
		}
	})
	t.Lift = estimate(lift, variance, 0, math.Inf(1))
	if c, variance, ok := gini.share(len(r.order)); ok {
		t.Gini = estimate(1-2*c, 4*variance, -1, 1)
	}
	if c, variance, ok := auc.share(len(r.order)); ok && r.family == Logistic {
		t.AUC = estimate(c, variance, 0, 1)
	}
}

// ece is the mean over the tenths of the difference of their means.
func (r *rows) ece(difference func(tenth int) float64) float64 {
	e := 0.0
	for k := range tenths {
		e += math.Abs(difference(k)) / r.units
	}
	return e
}

// pairs are those of one x and one y of which that of x has the higher prediction; equal
// ones count half. The error is the jackknife's (Efron and Stein 1981), which leaves each
// row out in turn: what it took part in is known from sums.
type pairs struct {
	x, y, right    float64 // of all stretches added
	belowX, belowY float64 // before the stretch entered
	inX, inY       float64 // and in it
	first, second  float64 // moments of the shares without one row
	alone          bool    // one row holds all of x or of y
}

func (p *pairs) add(x, y float64) {
	p.right += float64(x * (p.y + y/2))
	p.x += x
	p.y += y
}

func (p *pairs) enter(x, y float64) {
	p.belowX, p.belowY = p.belowX+p.inX, p.belowY+p.inY
	p.inX, p.inY = x, y
}

func (p *pairs) without(x, y float64) {
	restX, restY := p.x-x, p.y-y
	if restX < 1e-9*p.x || restY < 1e-9*p.y {
		p.alone = true
		return
	}
	right := p.right - float64(x*(p.belowY+p.inY/2)) - float64(y*(p.x-p.belowX-p.inX/2)) + float64(x*y)/2
	d := right/restX/restY - p.right/p.x/p.y
	p.first += d
	p.second += float64(d * d)
}

// share is the share of all pairs, if it and its error can be known of n rows.
func (p *pairs) share(n int) (value, variance float64, ok bool) {
	if p.alone || !(p.x > 0 && p.y > 0) {
		return 0, 0, false
	}
	rows := float64(n)
	return p.right / p.x / p.y, (rows - 1) / rows * (p.second - float64(p.first*p.first)/rows), true
}
