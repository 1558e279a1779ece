package model

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// made is a frame with numbers, categories, missing values and a field that says
// nothing, and the link of each row, whose truth is known.
func made(rows int, seed uint64) (f Frame, link []float64, rng *rand.Rand) {
	rng = rand.New(rand.NewPCG(seed, 1))
	f = Frame{
		N: rows,
		Fields: []Field{
			{Name: "age"}, {Name: "region", Kind: Category}, {Name: "bonus", Monotone: 1}, {Name: "noise"}, {Name: "power"},
		},
		Num: make([][]float64, 5),
		Cat: make([][]string, 5),
	}
	for range rows {
		age, bonus, noise, power := 18+math.Floor(rng.Float64()*70), math.Floor(rng.Float64()*22), rng.NormFloat64(), 30+rng.Float64()*120
		region := rng.IntN(6)
		l := 0.04*bonus + []float64{0, 0.3, -0.4, 0, 0.1, 0}[region]
		if age < 30 {
			l += 0.7
		}
		if age < 40 && power > 100 {
			l += 0.6
		}
		if rng.Float64() < 0.1 {
			power = math.NaN()
		}
		f.Num[0] = append(f.Num[0], age)
		f.Cat[1] = append(f.Cat[1], "r"+strconv.Itoa(region))
		f.Num[2] = append(f.Num[2], bonus)
		f.Num[3] = append(f.Num[3], noise)
		f.Num[4] = append(f.Num[4], power)
		link = append(link, l)
	}
	return f, link, rng
}

func poisson(rng *rand.Rand, mean float64) float64 {
	n, p, limit := 0.0, rng.Float64(), math.Exp(-mean)
	for p > limit {
		n++
		p *= rng.Float64()
	}
	return n
}

func madePoisson(rows int, seed uint64) (Frame, Target, []float64) {
	f, link, rng := made(rows, seed)
	y := Target{}
	for i := range link {
		link[i] -= 2.5
		e := 0.1 + 0.9*rng.Float64()
		y.Exposure = append(y.Exposure, e)
		y.Y = append(y.Y, poisson(rng, e*math.Exp(link[i])))
	}
	return f, y, link
}

func madeLogistic(rows int, seed uint64) (Frame, Target, []float64) {
	f, link, rng := made(rows, seed)
	y := Target{}
	for i := range link {
		link[i] -= 2.5
		v := 0.0
		if rng.Float64() < 1/(1+math.Exp(-link[i])) {
			v = 1
		}
		y.Y = append(y.Y, v)
	}
	return f, y, link
}

func madeGamma(rows int, seed uint64) (Frame, Target, []float64) {
	f, link, rng := made(rows, seed)
	y := Target{}
	for i := range link {
		link[i] += 7
		n := 1 + rng.IntN(2)
		sum := 0.0
		for range n {
			sum -= math.Log(1-rng.Float64()) * math.Exp(link[i])
		}
		y.Weight = append(y.Weight, float64(n))
		y.Y = append(y.Y, math.Max(sum/float64(n), 1e-6))
	}
	return f, y, link
}

func madeTweedie(rows int, seed uint64) (Frame, Target, []float64) {
	f, link, rng := made(rows, seed)
	y := Target{}
	for i := range link {
		e := 0.1 + 0.9*rng.Float64()
		sum := 0.0
		for range int(poisson(rng, e*0.2*math.Exp(link[i]))) {
			sum -= math.Log(1-rng.Float64()) * 1000
		}
		link[i] += math.Log(0.2 * 1000)
		y.Exposure = append(y.Exposure, e)
		y.Y = append(y.Y, sum)
	}
	return f, y, link
}

// long marks a test whose fits take minutes under the race detector, which has nothing to
// find in them that the short ones do not show: scripts/test runs it without.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED with -short: run without the race detector")
	}
}

// madeBy is a made data set for each loss.
var madeBy = map[Loss]func(rows int, seed uint64) (Frame, Target, []float64){
	Logistic: madeLogistic, Poisson: madePoisson, Gamma: madeGamma, Tweedie: madeTweedie,
}

func mustFit(t testing.TB, f Frame, y Target, o Options) *Model {
	t.Helper()
	m, err := Fit(t.Context(), f, y, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func rowOf(f Frame, i int, row *Row) {
	for c := range f.Fields {
		if f.Fields[c].Kind == Numeric {
			row.Num[c] = f.Num[c][i]
		} else {
			row.Cat[c] = f.Cat[c][i]
		}
	}
}

func newRow(f Frame) Row {
	return Row{Num: make([]float64, len(f.Fields)), Cat: make([]string, len(f.Fields))}
}

// split takes the rows that keep accepts.
func split(f Frame, y Target, keep func(i int) bool) (Frame, Target) {
	out := Frame{Fields: f.Fields, Num: make([][]float64, len(f.Fields)), Cat: make([][]string, len(f.Fields))}
	var target Target
	for i := range f.N {
		if !keep(i) {
			continue
		}
		out.N++
		for c := range f.Fields {
			if f.Fields[c].Kind == Numeric {
				out.Num[c] = append(out.Num[c], f.Num[c][i])
			} else {
				out.Cat[c] = append(out.Cat[c], f.Cat[c][i])
			}
		}
		target.Y = append(target.Y, y.Y[i])
		if y.Exposure != nil {
			target.Exposure = append(target.Exposure, y.Exposure[i])
		}
		if y.Weight != nil {
			target.Weight = append(target.Weight, y.Weight[i])
		}
	}
	return out, target
}
