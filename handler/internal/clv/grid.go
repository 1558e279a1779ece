package clv

import (
	"math"

	"polis/handler/internal/exact"
	"polis/handler/internal/portfolio"
)

// grid are the months at which a relation's end is looked at; between them, straight
// lines. Fine where hazards move, coarse where only the discount does.
type grid []int

const maxGrid = 52

func newGrid(horizon int) grid {
	g := grid{}
	for k := 0; k < horizon; {
		g = append(g, k)
		switch {
		case k < 6:
			k++
		case k < 12:
			k += 2
		case k < 24:
			k += 3
		case k < 36:
			k += 4
		case k < 120:
			k += 8
		default:
			k += 24
		}
	}
	return append(g, horizon)
}

// line is a value at each month of the grid.
type line [maxGrid]float64

// annuity is what EUR 1 a year comes to until a month of the grid, for a policy with single
// ends at a constant rate. Sums by parts give the moments: the second is the sum of the
// growth of the squared annuity certain times the probability to be there (Bowers et al.,
// Actuarial Mathematics, 1997, ch. 5).
type annuity struct {
	alive                 line // probability that it has not ended singly
	income, square, cube  line // moments of an income that grows as premiums do
	flat, loss, years     line // means: of a cost that does not grow, of a loss with claims inflation, of exposure
	certain, certainFlat  line // the same if it never ended singly
	certainLoss, allYears line
}

// market are the steps of a month that all annuities have in common.
type steps struct {
	discount, growth, inflation float64 // a month
	half                        [3]float64
	year                        float64 // of inflation: of what the year ahead expects, what the as-of date does
}

func newSteps(s *Settings, m *Model) steps {
	log := [3]float64{-exact.Log(1+s.DiscountRate) / 12, exact.Log(1+m.Growth) / 12, exact.Log(1+m.Inflation) / 12}
	return steps{
		exact.Exp(log[0]), exact.Exp(log[1]), exact.Exp(log[2]),
		[3]float64{exact.Exp(log[0] / 2), exact.Exp(log[1] / 2), exact.Exp(log[2] / 2)},
		exact.Exp(-6 * log[2]),
	}
}

// Ages are how many bands of a policy's age there are: its single ends differ by them.
const Ages = 4

// agesUntil are the ages in years at which the bands end, and agesAt where a policy of each
// is taken to be. Our choice: a first contract year, the years in which people still compare,
// and those after.
var (
	agesUntil = [Ages - 1]float64{1, 3, 7}
	agesAt    = [Ages]float64{0.5, 2, 5, 10}
)

// AgeBand is the band of a policy's age in years.
func AgeBand(years float64) int {
	b := 0
	for b < len(agesUntil) && years >= agesUntil[b] {
		b++
	}
	return b
}

// lasting is the probability that a policy does not end singly in a month, and in half of
// one, by the band of its age.
type lasting struct{ month, half [Ages]float64 }

func newLasting(ends float64, byAge [Ages]float64) (l lasting) {
	for b, f := range byAge {
		rate := max(float64(ends*f), minEnds)
		l.month[b], l.half[b] = exact.Exp(-rate/12), exact.Exp(-rate/24)
	}
	return l
}

// newAnnuity fills the annuity of a policy of an age in years.
func newAnnuity(g grid, st steps, l lasting, age float64, a *annuity) {
	// Losses are in the money of the year ahead, whose months are alike; inflation comes after.
	d, income, dear := st.half[0], st.half[1], float64(st.half[2]*st.year)
	var sum [8]float64 // income, square, cube, flat, loss, years, certain, certain flat
	certainLoss, end, at := 0.0, 1.0, 1
	for k := 1; k <= g[len(g)-1]; k++ {
		band := AgeBand(age + (float64(k)-0.5)/12)
		alive := end * l.half[band]
		step := float64(d*income) / 12
		loss := dear
		if k <= 12 {
			loss = 1
		}
		before := sum[6]
		sum[6] += step
		sum[0] += float64(step * alive)
		sum[1] += float64((float64(sum[6]*sum[6]) - float64(before*before)) * alive)
		sum[2] += float64((float64(sum[6]*sum[6]*sum[6]) - float64(before*before*before)) * alive)
		sum[3] += float64(d*alive) / 12
		sum[4] += float64(float64(d*loss)*alive) / 12
		sum[5] += alive / 12
		sum[7] += d / 12
		certainLoss += float64(d*loss) / 12
		end *= l.month[band]
		d, income, dear = d*st.discount, income*st.growth, dear*st.inflation
		if k == g[at] {
			a.alive[at] = end
			a.income[at], a.square[at], a.cube[at], a.flat[at], a.loss[at], a.years[at] = sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]
			a.certain[at], a.certainFlat[at], a.certainLoss[at], a.allYears[at] = sum[6], sum[7], certainLoss, float64(k)/12
			at++
		}
	}
	a.alive[0] = 1
}

// newcomers are the moments of what purchases at a rate of one a year bring until a month
// of the grid: a marked Poisson process, each purchase living on for its own time.
type newcomers struct {
	income, cost, loss, claims line // means
	square, cube               line // of the margin: the cumulants of a compound Poisson sum
	number                     line // of purchases
}

// lines are all of them.
func (n *newcomers) lines() [7]*line {
	return [...]*line{&n.income, &n.cost, &n.loss, &n.claims, &n.square, &n.cube, &n.number}
}

// add counts so many purchases a year of another kind in.
func (n *newcomers) add(rate float64, o *newcomers, grid int) {
	from := o.lines()
	for i, l := range n.lines() {
		for k := range grid {
			l[k] += float64(rate * from[i][k])
		}
	}
}

// newNewcomers adds up over the months of purchase what a policy has brought by its age,
// at the premiums of its month. A premium's second and third moment are a lognormal's. In
// each year purchases are a share of one a year that fades at a rate.
func newNewcomers(g grid, st steps, s *Settings, n *Ware, l lasting, fade float64, out *newcomers) {
	type age struct{ mean, square, cube, flat, loss, years float64 }
	horizon := g[len(g)-1]
	by := make([]age, horizon+1)
	d, up, dear, alive, certain := 1.0, 1.0, 1.0, 1.0, 0.0
	for k := 1; k <= horizon; k++ {
		share := 1.0 / 12
		if k == 1 {
			share = 1.0 / 24 // bought in the middle of a month
		}
		before, now := certain, by[k-1]
		certain += float64(float64(d*up) * share)
		now.mean += float64((certain - before) * alive)
		now.square += float64((float64(certain*certain) - float64(before*before)) * alive)
		now.cube += float64((float64(certain*certain*certain) - float64(before*before*before)) * alive)
		now.flat += float64(float64(d*alive) * share)
		now.loss += float64(float64(float64(d*dear)*alive) * share)
		now.years += float64(alive * share)
		by[k] = now
		d, up, dear, alive = d*st.discount, up*st.growth, dear*st.inflation, alive*l.month[AgeBand((float64(k)-0.5)/12)]
	}
	insured := float64(n.Insured * n.Premium)
	income, cost, loss := s.yearly(n.Premium, insured, n.Rate, n.Fee, float64(float64(n.Frequency*n.Insured)*n.Severity))
	y, spread := income-cost-loss, 1+n.Spread
	y2, y3 := float64(y*y)*spread, float64(float64(y*y*y)*float64(spread*spread*spread))
	acquisition := s.AcquisitionCost
	if s.View == Insurer {
		acquisition = 0 // it is in the expenses
	}
	shares := fading(fade, horizon)
	for i := 1; i < len(g); i++ {
		d, up, dear := st.half[0], 1.0, st.year
		for u := range g[i] {
			a := &by[g[i]-u]
			of, share := float64(d*up), shares[u/12]
			out.income[i] += float64(share*float64(float64(income*of)*a.mean)) / 12
			if s.costGrows() {
				out.cost[i] += float64(share*float64(float64(cost*of)*a.mean)) / 12
			} else {
				out.cost[i] += float64(share*float64(d*(float64(cost*a.flat)+acquisition))) / 12
			}
			out.loss[i] += float64(share*float64(float64(loss*float64(d*dear))*a.loss)) / 12
			out.claims[i] += float64(share*float64(float64(n.Frequency*n.Insured)*a.years)) / 12
			// Moments of what a purchase brings, x, less what it costs at once, c.
			c, x, x2, x3 := acquisition, float64(y*up)*a.mean, float64(y2*float64(up*up))*a.square, float64(y3*float64(up*up*up))*a.cube
			square := float64(x2) - float64(2*float64(c*x)) + float64(c*c)
			cube := float64(x3) - float64(3*float64(c*x2)) + float64(3*float64(float64(c*c)*x)) - float64(c*float64(c*c))
			out.square[i] += float64(share*float64(float64(d*d)*max(0, square))) / 12
			out.cube[i] += float64(share*float64(float64(d*d*d)*cube)) / 12
			out.number[i] += share / 12
			d, up, dear = d*st.discount, up*st.growth, dear*st.inflation
		}
	}
}

// fading are the shares that are left in each year of what was known.
func fading(rate float64, months int) []float64 {
	out := make([]float64, months/12+1)
	for y := range out {
		out[y] = exact.Exp(-float64(rate * float64(y)))
	}
	return out
}

// yearly is what a premium and a fee bring and cost in a year, in the view of the settings;
// loss is the expected loss, and what of it counts is returned. A fee grows as premiums do.
func (s *Settings) yearly(premium, insured, commission, fee, loss float64) (income, cost, counted float64) {
	switch s.View {
	case Insurer:
		return insured, insured * s.ExpenseRatio, loss
	case Agency:
		return float64(premium*(commission+s.AgencyCommission)) + fee + float64(insured*s.ProfitShare), s.ServicingCost, float64(loss * s.ProfitShare)
	}
	return float64(premium*commission) + fee, s.ServicingCost, 0
}

// costGrows reports whether a cost of yearly grows with the premium.
func (s *Settings) costGrows() bool { return s.View == Insurer }

// branches is how many classes of annuities there are: the known branches and the rest.
var branches = len(portfolio.Branches) + 1

func class(branch string) int {
	if i := portfolio.BranchIndex(branch); i >= 0 {
		return i
	}
	return branches - 1
}

// quantile of the standard normal distribution: Wichura, Algorithm AS 241, 1988.
func normal(p float64) float64 {
	q := p - 0.5
	if math.Abs(q) <= 0.425 {
		r := 0.180625 - float64(q*q)
		return q * horner(r, &central[0]) / horner(r, &central[1])
	}
	r := p
	if q > 0 {
		r = 1 - p
	}
	r = math.Sqrt(-exact.Log(r))
	x := 0.0
	if r <= 5 {
		x = horner(r-1.6, &middle[0]) / horner(r-1.6, &middle[1])
	} else {
		x = horner(r-5, &far[0]) / horner(r-5, &far[1])
	}
	if q < 0 {
		return -x
	}
	return x
}

func horner(x float64, c *[8]float64) float64 {
	sum := 0.0
	for _, v := range c {
		sum = float64(sum*x) + v
	}
	return sum
}

// The coefficients of AS 241, highest power first.
var (
	central = [2][8]float64{
		{2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.3871328727963666080},
		{5226.4952788528545610, 28729.085735721942674, 39307.895800092710610, 21213.794301586595867, 5394.1960214247511077, 687.18700749205790830, 42.313330701600911252, 1},
	}
	middle = [2][8]float64{
		{7.7454501427834140764e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258, 3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734},
		{1.05075007164441684324e-9, 5.475938084995344946e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187, 1},
	}
	far = [2][8]float64{
		{2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720},
		{2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1},
	}
)
