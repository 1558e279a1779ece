package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"polis/handler/internal/model"
)

// world is a made table whose truth is known: the mean of each row, per unit of exposure.
type world struct {
	name  string
	loss  model.Loss
	frame model.Frame
	y     model.Target
	mean  []float64
}

// maker draws a world of so many rows.
type maker struct {
	name string
	loss model.Loss
	rows int
	draw func(r *rand.Rand, rows int) world
}

// The worlds are like what the learner is for: motor frequencies with a map, costs with
// heavy tails, lapses at renewal that depend on ratios of premiums, and a survey of many
// counts of which few matter.
var makers = []maker{
	{"motor", model.Poisson, 130_000, func(r *rand.Rand, n int) world { return motor(r, n, country) }},
	{"motor-small", model.Poisson, 12_000, func(r *rand.Rand, n int) world { return motor(r, n, country) }},
	{"cities", model.Poisson, 130_000, func(r *rand.Rand, n int) world { return motor(r, n, cities) }},
	{"postcodes", model.Poisson, 130_000, func(r *rand.Rand, n int) world { return motor(r, n, coded) }},
	{"steps", model.Poisson, 60_000, steps},
	{"cost", model.Tweedie, 130_000, cost},
	{"severity", model.Gamma, 15_000, severity},
	{"lapse", model.Logistic, 18_000, lapse},
	{"survey", model.Logistic, 4_600, survey},
}

type columns struct {
	f model.Frame
}

func (c *columns) number(name string, v []float64) []float64 {
	c.f.Fields = append(c.f.Fields, model.Field{Name: name})
	c.f.Num, c.f.Cat, c.f.N = append(c.f.Num, v), append(c.f.Cat, nil), len(v)
	return v
}

func (c *columns) names(name string, v []int) []int {
	text := make([]string, len(v))
	for i, k := range v {
		text[i] = fmt.Sprintf("%04d", k)
	}
	c.f.Fields = append(c.f.Fields, model.Field{Name: name, Kind: model.Category})
	c.f.Num, c.f.Cat = append(c.f.Num, nil), append(c.f.Cat, text)
	return v
}

func fill[T any](n int, draw func() T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = draw()
	}
	return out
}

func bern(r *rand.Rand, p float64) int {
	if r.Float64() < p {
		return 1
	}
	return 0
}

func clamp(v, lo, hi float64) float64 { return math.Max(lo, math.Min(hi, v)) }

func draws(r *rand.Rand, mean float64) float64 {
	n, p, limit := 0.0, r.Float64(), math.Exp(-mean)
	for p > limit {
		n++
		p *= r.Float64()
	}
	return n
}

// land is where policyholders live, on a map of side 1: places cluster around towns, and have
// an effect that fades with the distance from towns and one of their own.
type land struct {
	places, towns  int
	scatter, reach float64 // standard deviations: of places around their town, of its effect
	effect, own    float64 // standard deviations of effects, on the log scale
	open           float64 // share of places that lie in the open country
	codes          bool    // a place is known by its code alone
}

// In a country of 280 km a reach of 0.1 is a region, and one of 0.03 a city with its suburbs.
var (
	country = land{places: 580, towns: 10, scatter: 0.1, reach: 0.1, effect: 0.35, own: 0.08}
	cities  = land{places: 580, towns: 25, scatter: 0.03, reach: 0.03, effect: 0.25, own: 0.08, open: 0.4}
	coded   = land{places: 4000, towns: 10, scatter: 0.1, reach: 0.1, effect: 0.35, own: 0.08, codes: true}
)

// book is a motor book: its columns, exposures and the log of its frequencies.
func book(r *rand.Rand, n int, home land) (c columns, exposure, link []float64) {
	age := c.number("age", fill(n, func() float64 { return math.Floor(clamp(46+15*r.NormFloat64(), 18, 95)) }))
	bonus := c.number("bonus", fill(n, func() float64 { return math.Floor(clamp(math.Abs(5*r.NormFloat64()), 0, 22)) }))
	power := c.number("power", fill(n, func() float64 { return math.Floor(clamp(math.Exp(4+0.33*r.NormFloat64()), 10, 250)) }))
	old := c.number("vehicle_age", fill(n, func() float64 { return math.Floor(clamp(7+4.5*r.NormFloat64(), 0, 40)) }))
	cover := c.names("coverage", fill(n, func() int { return min(2, int(3.4*r.Float64()*r.Float64())) }))
	fuel := c.names("fuel", fill(n, func() int { return bern(r, 0.31) }))
	use := c.names("use", fill(n, func() int { return bern(r, 0.05) }))
	fleet := c.names("fleet", fill(n, func() int { return bern(r, 0.03) }))
	sex := c.names("holder", fill(n, func() int { return bern(r, 0.74) }))

	type place struct{ x, y, effect, weight float64 }
	towns := make([]place, home.towns)
	for t := range towns {
		towns[t] = place{x: r.Float64(), y: r.Float64(), effect: home.effect * r.NormFloat64()}
	}
	places := home.places
	all := make([]place, places)
	total := 0.0
	for i := range all {
		t := towns[i*len(towns)/places]
		p := place{x: clamp(t.x+home.scatter*r.NormFloat64(), 0, 1), y: clamp(t.y+home.scatter*r.NormFloat64(), 0, 1), weight: math.Exp(0.9 * r.NormFloat64())}
		if home.open > 0 && r.Float64() < home.open {
			p.x, p.y = r.Float64(), r.Float64()
		}
		for _, o := range towns {
			d := (p.x-o.x)*(p.x-o.x) + (p.y-o.y)*(p.y-o.y)
			p.effect += o.effect * math.Exp(-d/(2*home.reach*home.reach))
		}
		p.effect += home.own * r.NormFloat64()
		total += p.weight
		all[i] = p
	}
	up := make([]float64, places)
	sum := 0.0
	for i, p := range all {
		sum += p.weight / total
		up[i] = sum
	}
	at := fill(n, func() int {
		u, lo, hi := r.Float64(), 0, places-1
		for lo < hi {
			if m := (lo + hi) / 2; up[m] < u {
				lo = m + 1
			} else {
				hi = m
			}
		}
		return lo
	})
	of := func(v func(place) float64) []float64 {
		out := make([]float64, n)
		for i, k := range at {
			out[i] = v(all[k])
		}
		return out
	}
	if home.codes {
		shifted := make([]int, n)
		for i, k := range at {
			shifted[i] = 1000 + 2*k
		}
		c.names("pc4", shifted)
	} else {
		c.number("postcode", func() []float64 {
			out := make([]float64, n)
			for i, k := range at {
				out[i] = float64(1000 + 15*k)
			}
			return out
		}())
		c.number("long", of(func(p place) float64 { return math.Round(1e4*(3+3*p.x)) / 1e4 }))
		c.number("lat", of(func(p place) float64 { return math.Round(1e4*(49.5+2*p.y)) / 1e4 }))
	}
	exposure = fill(n, func() float64 {
		if r.Float64() < 0.75 {
			return 1
		}
		return math.Ceil(365*r.Float64()) / 365
	})
	link = make([]float64, n)
	for i := range link {
		l := -2.2 + 0.45*math.Exp(-(age[i]-18)/9) + 0.15*math.Pow((age[i]-60)/30, 2)*float64(boolTo(age[i] > 60)) - 0.1*math.Exp(-(age[i]-47)*(age[i]-47)/60)
		l += 0.055*bonus[i] + 0.12*math.Log(power[i]/60) - 0.012*old[i] + 0.05*float64(boolTo(old[i] < 1))
		l += []float64{0, -0.1, -0.12}[cover[i]] + 0.17*float64(fuel[i]) - 0.07*float64(use[i]) - 0.12*float64(fleet[i]) - 0.03*float64(sex[i])
		l += all[at[i]].effect
		if sex[i] == 1 && age[i] < 30 {
			l += 0.2
		}
		l += 0.15 * math.Tanh((power[i]-80)/20) * math.Tanh((40-age[i])/8)
		if fuel[i] == 1 {
			l += 0.008 * (old[i] - 7)
		}
		link[i] = l
	}
	return c, exposure, link
}

func boolTo(b bool) int {
	if b {
		return 1
	}
	return 0
}

func motor(r *rand.Rand, n int, l land) world {
	c, exposure, link := book(r, n, l)
	w := world{frame: c.f, y: model.Target{Exposure: exposure}}
	for i, l := range link {
		w.mean = append(w.mean, math.Exp(l))
		w.y.Y = append(w.y.Y, draws(r, exposure[i]*math.Exp(l)))
	}
	return w
}

// amount is heavy in its tail, with the given mean.
func amount(r *rand.Rand, mean float64) float64 {
	const s = 1.3
	return math.Max(1, math.Round(100*mean*math.Exp(s*r.NormFloat64()-s*s/2))/100)
}

func size(f *model.Frame, i int) float64 {
	return 1300 * math.Exp(0.2*math.Log(f.Num[2][i]/60)+0.25*math.Exp(-(f.Num[0][i]-18)/12)-0.01*f.Num[3][i])
}

func cost(r *rand.Rand, n int) world {
	c, exposure, link := book(r, n, country)
	w := world{frame: c.f, y: model.Target{Exposure: exposure}}
	for i, l := range link {
		m := size(&c.f, i)
		w.mean = append(w.mean, m*math.Exp(l))
		sum := 0.0
		for range int(draws(r, exposure[i]*math.Exp(l))) {
			sum += amount(r, m)
		}
		w.y.Y = append(w.y.Y, sum)
	}
	return w
}

func severity(r *rand.Rand, n int) world {
	c, _, _ := book(r, n, country)
	w := world{frame: c.f}
	for i := range n {
		m := size(&c.f, i)
		claims := 1 + float64(bern(r, 0.1))
		sum := 0.0
		for range int(claims) {
			sum += amount(r, m)
		}
		w.mean, w.y.Y, w.y.Weight = append(w.mean, m), append(w.y.Y, sum/claims), append(w.y.Weight, claims)
	}
	return w
}

func outcomes(r *rand.Rand, w *world, link []float64) {
	for _, l := range link {
		p := 1 / (1 + math.Exp(-l))
		w.mean = append(w.mean, p)
		w.y.Y = append(w.y.Y, float64(bern(r, p)))
	}
}

func lapse(r *rand.Rand, n int) world {
	var c columns
	age := c.number("age", fill(n, func() float64 { return math.Floor(clamp(43+12*r.NormFloat64(), 19, 90)) }))
	tenure := c.number("tenure", fill(n, func() float64 { return math.Floor(clamp(1+3.5*math.Abs(r.NormFloat64()), 1, 18)) }))
	contracts := c.number("contracts", fill(n, func() float64 { return 1 + math.Floor(clamp(math.Abs(1.2*r.NormFloat64()), 0, 12)) }))
	pure := c.number("pure", fill(n, func() float64 { return math.Round(100*math.Exp(5.3+0.4*r.NormFloat64())) / 100 }))
	noisy := func(of []float64, s float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = math.Round(100*of[i]*math.Exp(s*r.NormFloat64())) / 100
		}
		return out
	}
	last := c.number("last", noisy(pure, 0.25))
	final := c.number("final", noisy(last, 0.09))
	market := c.number("market", noisy(final, 0.16))
	car := c.number("car_age", fill(n, func() float64 { return math.Floor(clamp(8+5*r.NormFloat64(), 0, 25)) }))
	c.number("car_age_bought", noisy(car, 0.5))
	power := c.names("power", fill(n, func() int { return min(7, int(12*r.Float64()*r.Float64())) }))
	trend := c.names("bonus_trend", fill(n, func() int { return min(2, int(1.1+3*r.Float64()*r.Float64())) }))
	diff := c.names("other_driver", fill(n, func() int { return min(5, int(8*r.Float64()*r.Float64())) }))
	c.names("holder", fill(n, func() int { return bern(r, 0.65) }))
	c.names("job", fill(n, func() int { return bern(r, 0.8) }))
	c.names("use", fill(n, func() int { return bern(r, 0.3) }))
	freq := c.number("payments", fill(n, func() float64 { return []float64{1, 2, 4, 12}[r.IntN(4)] }))
	c.names("garage", fill(n, func() int { return r.IntN(4) }))
	c.names("region", fill(n, func() int { return min(13, int(20*r.Float64()*r.Float64())) }))
	link := make([]float64, n)
	for i := range link {
		l := -2.05 - 0.012*(age[i]-43) - 0.05*math.Min(tenure[i], 6) - 0.08*math.Log(contracts[i]) + 0.06*math.Log(freq[i])
		l += clamp(2.5*math.Log(final[i]/last[i]), -0.3, 0.6) + clamp(0.9*math.Log(final[i]/market[i]), -0.3, 0.4)
		l += 0.03*float64(power[i]-3) + []float64{-0.05, 0, 0.25}[trend[i]] + 0.04*float64(diff[i]%3) - 0.012*(car[i]-8)
		link[i] = l
	}
	w := world{frame: c.f}
	outcomes(r, &w, link)
	return w
}

func survey(r *rand.Rand, n int) world {
	var c columns
	kinds := fill(n, func() float64 { return r.NormFloat64() })
	wealth := fill(n, func() float64 { return r.NormFloat64() })
	level := func(mean func(i int) float64, top float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = clamp(math.Round(mean(i)+1.6*r.NormFloat64()), 0, top)
		}
		return out
	}
	var held [85][]float64
	for k := range held {
		name := fmt.Sprintf("v%02d", k)
		switch {
		case k < 43: // how a neighbourhood lives
			a, b := math.Sin(float64(k)), math.Cos(float64(2*k))
			held[k] = c.number(name, level(func(i int) float64 { return 4 + 2*(a*kinds[i]+b*wealth[i]) }, 9))
		default: // what a household holds: mostly nothing
			rate := 0.02 + 0.5*math.Exp(-float64((k-43)%21)/4)
			held[k] = c.number(name, fill(n, func() float64 {
				if r.Float64() > rate {
					return 0
				}
				return float64(1 + r.IntN(6))
			}))
		}
	}
	link := make([]float64, n)
	for i := range link {
		l := -3.9 + 0.75*math.Tanh(held[43][i]-2) + 0.45*float64(boolTo(held[45][i] > 3)) + 0.28*wealth[i] + 0.15*kinds[i]
		l += 1.1*float64(boolTo(held[60][i] > 0)) + 0.1*(held[5][i]-4) - 0.08*(held[17][i]-4)
		if held[43][i] > 3 && held[30][i] > 5 {
			l += 0.4
		}
		link[i] = l
	}
	w := world{frame: c.f}
	outcomes(r, &w, link)
	return w
}

// steps is a book whose causes are steps: what small trees find and smooth lines do not.
func steps(r *rand.Rand, n int) world {
	var c columns
	age := c.number("age", fill(n, func() float64 { return 18 + math.Floor(60*r.Float64()) }))
	sum := c.number("sum", fill(n, func() float64 { return math.Round(1000 * math.Exp(4+0.7*r.NormFloat64())) }))
	years := c.number("years", fill(n, func() float64 { return math.Floor(12 * r.Float64()) }))
	c.number("noise", fill(n, func() float64 { return r.NormFloat64() }))
	kind := c.names("kind", fill(n, func() int { return r.IntN(12) }))
	w := world{frame: c.f}
	for i := range n {
		l := -2 + 0.5*float64(boolTo(age[i] < 25)) - 0.3*float64(boolTo(age[i] >= 65)) + 0.4*float64(boolTo(sum[i] > 100_000)) -
			0.5*float64(boolTo(years[i] >= 5)) + 0.4*float64(boolTo(kind[i] == 3))
		if years[i] < 1 && sum[i] > 100_000 {
			l += 0.5
		}
		w.mean = append(w.mean, math.Exp(l))
		w.y.Y = append(w.y.Y, draws(r, math.Exp(l)))
	}
	return w
}
