package measure_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
	. "polis/handler/internal/measure"
)

var families = []Family{Logistic, Poisson, Gamma, Tweedie}

// columns are what Try takes.
type columns struct {
	family                         Family
	mean, actual, exposure, weight []float64
}

func (c columns) try(t interface{ Fatal(...any) }) *Trial {
	got, err := Try(c.family, c.mean, c.actual, c.exposure, c.weight)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// drawn are rows of any family, with ties among the predictions.
func drawn(t *rapid.T) columns {
	c := columns{family: rapid.SampledFrom(families).Draw(t, "family")}
	mean := rapid.Float64Range(0.01, 0.9)
	if rapid.Bool().Draw(t, "ties") {
		mean = rapid.SampledFrom([]float64{0.1, 0.2, 0.5})
	}
	for range rapid.IntRange(1, 60).Draw(t, "rows") {
		c.mean = append(c.mean, mean.Draw(t, "mean"))
		c.exposure = append(c.exposure, rapid.Float64Range(0.1, 2).Draw(t, "exposure"))
		c.weight = append(c.weight, rapid.SampledFrom([]float64{0.5, 1, 1, 1, 3}).Draw(t, "weight"))
		y := 0.0
		switch c.family {
		case Logistic:
			c.exposure[len(c.exposure)-1] = 1
			y = float64(rapid.IntRange(0, 1).Draw(t, "outcome"))
		case Poisson:
			y = float64(rapid.IntRange(0, 3).Draw(t, "count"))
		case Gamma:
			y = rapid.Float64Range(0.01, 5).Draw(t, "amount")
		case Tweedie:
			y = rapid.SampledFrom([]float64{0, 0, 0, 0.5, 1, 7}).Draw(t, "cost")
		}
		c.actual = append(c.actual, y)
	}
	return c
}

// shuffled are the same rows in another order.
func (c columns) shuffled(seed uint64) columns {
	out := columns{family: c.family}
	for _, i := range rand.New(rand.NewPCG(seed, 1)).Perm(len(c.mean)) {
		out.mean, out.actual = append(out.mean, c.mean[i]), append(out.actual, c.actual[i])
		out.exposure, out.weight = append(out.exposure, c.exposure[i]), append(out.weight, c.weight[i])
	}
	return out
}

func TestWhatHoldsOfAnyRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawn(t)
		got := c.try(t)
		if again := c.shuffled(rapid.Uint64().Draw(t, "order")).try(t); !reflect.DeepEqual(again, got) {
			t.Fatalf("in another order\n%+v\nand not\n%+v", again, got)
		}
		content, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var read Trial
		if err := json.Unmarshal(content, &read); err != nil || !reflect.DeepEqual(&read, got) {
			t.Fatalf("%s\nreads as %+v: %v", content, read, err)
		}

		var units, expected, actual, isotonic, steps float64
		for _, x := range got.Tenths {
			units, expected, actual = units+x.Exposure, expected+x.Expected, actual+x.Actual
			if !near(x.Exposure, got.Exposure/10) {
				t.Fatalf("a tenth of %v has %v", got.Exposure, x.Exposure)
			}
		}
		for i, s := range got.Isotonic {
			isotonic, steps = isotonic+s.Exposure*s.Actual, steps+s.Exposure
			if i > 0 && (s.Actual < got.Isotonic[i-1].Actual || s.From < got.Isotonic[i-1].To) {
				t.Fatalf("the isotonic curve falls: %+v", got.Isotonic)
			}
		}
		if !near(units, got.Exposure) || !near(expected, got.Expected) || !near(actual, got.Actual) || !near(isotonic, got.Actual) || !near(steps, got.Exposure) {
			t.Fatalf("parts do not add up to %+v", got)
		}
		last := got.Gains[len(got.Gains)-1]
		if got.Gains[0] != (Gain{}) || last.Share != 1 || !near(last.Expected, 1) || got.Actual > 0 && !near(last.Actual, 1) {
			t.Fatalf("gains from %+v to %+v", got.Gains[0], last)
		}
		if got.Deviance < 0 || got.Constant < 0 || got.Explained() > 1 {
			t.Fatalf("deviances %v and %v", got.Deviance, got.Constant)
		}
	})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*max(1e-6, math.Abs(a), math.Abs(b)) }

// TestOrderIsAllThatRanks: what a rising function makes of the predictions ranks the same,
// and turned round it ranks the opposite way.
func TestOrderIsAllThatRanks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawn(t)
		other, turned := c, c
		other.mean, turned.mean = nil, nil
		for _, m := range c.mean {
			other.mean, turned.mean = append(other.mean, m*m/2), append(turned.mean, 1-m)
		}
		a, b, d := c.try(t), other.try(t), turned.try(t)
		if !reflect.DeepEqual(a.Gini, b.Gini) || !reflect.DeepEqual(a.AUC, b.AUC) || !reflect.DeepEqual(a.Lift, b.Lift) {
			t.Fatalf("Gini %v, AUC %v, lift %v became %v, %v, %v", a.Gini, a.AUC, a.Lift, b.Gini, b.AUC, b.Lift)
		}
		if a.Gini != nil && math.Abs(a.Gini.Value+d.Gini.Value) > 1e-7 {
			t.Fatalf("Gini %v turned round is %v", a.Gini.Value, d.Gini.Value)
		}
	})
}

// TestAUC is the share of pairs in order, counted one by one, and its error that of leaving
// out one row after another.
func TestAUC(t *testing.T) {
	counted := func(c columns, without int) (auc, gini float64) {
		var pairs, right, area, units, total float64
		for i := range c.mean {
			for j := range c.mean {
				if i == without || j == without {
					continue
				}
				order := 0.5
				if c.mean[i] != c.mean[j] {
					order = map[bool]float64{true: 1}[c.mean[i] > c.mean[j]]
				}
				w := c.weight[i] * c.weight[j]
				pairs += w * c.actual[i] * (1 - c.actual[j])
				right += w * c.actual[i] * (1 - c.actual[j]) * order
				area += w * c.exposure[i] * c.actual[j] / c.exposure[j] * c.exposure[j] * order
			}
			if i != without {
				units, total = units+c.weight[i]*c.exposure[i], total+c.weight[i]*c.actual[i]
			}
		}
		return right / pairs, 1 - 2*area/units/total
	}
	jackknife := func(of []float64) float64 {
		n, mean, sum := float64(len(of)), 0.0, 0.0
		for _, v := range of {
			mean += v / n
		}
		for _, v := range of {
			sum += (v - mean) * (v - mean)
		}
		return math.Sqrt((n - 1) / n * sum)
	}
	rapid.Check(t, func(t *rapid.T) {
		c := drawn(t)
		got := c.try(t)
		auc, gini := counted(c, -1)
		var aucs, ginis []float64
		for i := range c.mean {
			a, g := counted(c, i)
			aucs, ginis = append(aucs, a), append(ginis, g)
		}
		check := func(what string, got *Estimate, want, err float64) {
			if got == nil {
				if !math.IsNaN(want) && !math.IsNaN(err) && !math.IsInf(err, 0) && len(c.mean) > 1 {
					t.Fatalf("no %s, counted %v ± %v", what, want, err)
				}
				return
			}
			if math.Abs(got.Value-want) > 1e-7 || math.Abs(got.Error-err) > 1e-6 {
				t.Fatalf("%s %v ± %v, counted %v ± %v", what, got.Value, got.Error, want, err)
			}
		}
		check("Gini", got.Gini, gini, jackknife(ginis))
		if c.family == Logistic {
			check("AUC", got.AUC, auc, jackknife(aucs))
		} else if got.AUC != nil {
			t.Fatal("an AUC of what is no class")
		}
	})
}

// TestByHand has the means 0.01 … 0.10, ten rows each, and twice as much happens.
func TestByHand(t *testing.T) {
	c := columns{family: Poisson}
	for i := range 100 {
		p := float64(i/10+1) / 100
		c.mean, c.actual = append(c.mean, p), append(c.actual, 2*p)
	}
	got := c.try(t)
	if got.Rows != 100 || got.Exposure != 100 || got.Expected != 5.5 || got.Actual != 11 || got.Ratio.Value != 2 || got.Ratio.Error > 1e-6 {
		t.Errorf("%+v", got)
	}
	// Gini of 1, 2, …, 10 is 0.3; the last tenth has 10 where the mean is 5.5.
	if got.Gini.Value != 0.3 || !near(got.Lift.Value, 10/5.5) || !near(got.ECE, 0.055) || !near(got.Gains[2].Actual, 10.0/55) {
		t.Errorf("Gini %v, lift %v, ECE %v, gains %+v", got.Gini, got.Lift, got.ECE, got.Gains[2])
	}
	if s := got.Calibration; math.Abs(s.Slope.Value-1) > 1e-7 || math.Abs(s.Intercept.Value-math.Ln2) > 1e-7 {
		t.Errorf("calibration %+v", s)
	}
	// 2 (0.2 ln 2 - 0.1) for a row of 0.1, and so on.
	if want := 2 * (11*math.Ln2 - 5.5) / 100; !near(got.Deviance, want) {
		t.Errorf("deviance %v, want %v", got.Deviance, want)
	}
	if n := len(got.Isotonic); n != 10 || !near(got.Isotonic[9].Actual, 0.2) || got.Isotonic[9].From != 0.1 {
		t.Errorf("isotonic %+v", got.Isotonic)
	}
	// The other deviances, and what cannot be known.
	for _, x := range []struct {
		family             Family
		mean, actual, want float64
		exposure, weight   float64
	}{
		{family: Logistic, mean: 0.2, actual: 1, exposure: 1, weight: 3, want: -2 * math.Log(0.2)},
		{family: Gamma, mean: 2, actual: 3, exposure: 1, weight: 5, want: 2 * (0.5 - math.Log(1.5))},
		{family: Tweedie, mean: 4, actual: 18, exposure: 2, weight: 5, want: 4 * 1 / 2.0},
		{family: Poisson, mean: 2, actual: 0, exposure: 3, weight: 5, want: 12},
	} {
		got := columns{x.family, []float64{x.mean}, []float64{x.actual}, []float64{x.exposure}, []float64{x.weight}}.try(t)
		if !near(got.Deviance, x.want) || got.Constant > 1e-9 || got.Exposure != x.exposure*x.weight || got.Gini != nil || got.Calibration != nil || got.Ratio != nil {
			t.Errorf("%v: %+v, want a deviance of %v", x.family, got, x.want)
		}
	}
}

// simulated are rows whose predictions are true.
func simulated(family Family, n int, seed uint64) columns {
	r := rand.New(rand.NewPCG(seed, 7))
	c := columns{family: family}
	for range n {
		link := -1.5 + 0.6*r.NormFloat64()
		e, w := 1.0, 1.0
		mean, y := math.Exp(link), 0.0
		switch family {
		case Logistic:
			if mean /= 1 + mean; r.Float64() < mean {
				y = 1
			}
		case Poisson:
			e = 0.2 + r.Float64()
			for u := r.ExpFloat64(); u < mean*e; u += r.ExpFloat64() {
				y++
			}
		case Gamma: // the mean of w amounts of shape 2
			w = float64(1 + r.IntN(3))
			for range 2 * int(w) {
				y += mean * r.ExpFloat64() / 2 / w
			}
		case Tweedie: // claims of frequency 1.5 √mean, so that the variance has the power 1.5
			for u := r.ExpFloat64(); u < 1.5*math.Sqrt(mean); u += r.ExpFloat64() {
				y += math.Sqrt(mean) / 1.5 * r.ExpFloat64()
			}
		}
		c.mean, c.actual, c.exposure, c.weight = append(c.mean, mean), append(c.actual, y), append(c.exposure, e), append(c.weight, w)
	}
	return c
}

// TestIntervalsHold: 95% intervals of true predictions contain what is true about as often
// as they say. The Gini and the AUC have no true value by hand, so it is their mean.
func TestIntervalsHold(t *testing.T) {
	const runs = 200
	for _, family := range families {
		held := map[string]float64{}
		var trials []*Trial
		var gini, auc, lift, beyond float64
		for seed := range uint64(runs) {
			got := simulated(family, 2000, seed).try(t)
			trials = append(trials, got)
			gini, lift = gini+got.Gini.Value/runs, lift+got.Lift.Value/runs
			if family == Logistic {
				auc += got.AUC.Value / runs
			}
			if got.Perfect != nil && got.ECE > got.Perfect.High {
				beyond++
			}
		}
		count := func(what string, ok bool) {
			if ok {
				held[what]++
			}
		}
		for _, x := range trials {
			count("slope", x.Calibration.Slope.Has(1))
			count("intercept", x.Calibration.Intercept.Has(0))
			count("ratio", x.Ratio.Has(1))
			count("gini", x.Gini.Has(gini))
			count("lift", x.Lift.Has(lift))
			if family == Logistic {
				count("auc", x.AUC.Has(auc))
			}
			for _, k := range x.Tenths {
				held["tenth"] += map[bool]float64{true: 0.1}[k.Ratio != nil && k.Ratio.Has(1)]
			}
		}
		t.Logf("%v: %v of %d, %v beyond the perfect ECE", family, held, runs, beyond)
		for what, n := range held {
			// Three standard errors of 95% in so many runs.
			if share := n / runs; share < 0.91 || share > 0.995 {
				t.Errorf("%v: the interval of the %s holds %.1f%% of the time", family, what, 100*share)
			}
		}
		if beyond > 0.09*runs {
			t.Errorf("%v: true predictions are beyond a perfect model's ECE %v times of %d", family, beyond, runs)
		}
	}
}

// TestCalibration: predictions that exaggerate have the slope that mends them.
func TestCalibration(t *testing.T) {
	for _, family := range families {
		c := simulated(family, 20_000, 1)
		link, back := math.Log, math.Exp
		if family == Logistic {
			link = func(p float64) float64 { return math.Log(p / (1 - p)) }
			back = func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
		}
		for i, m := range c.mean { // link = 0.2 + 0.5 × (what is predicted)
			c.mean[i] = back((link(m) - 0.2) / 0.5)
		}
		got := c.try(t)
		if k := got.Calibration; !k.Slope.Has(0.5) || !k.Intercept.Has(0.2) || k.Slope.Has(1) {
			t.Errorf("%v: %+v", family, k)
		}
		if got.Perfect != nil && got.ECE < 2*got.Perfect.High {
			t.Errorf("%v: an ECE of %v beside %+v", family, got.ECE, got.Perfect)
		}
	}
	// Where the outcomes put no bound to the slope, or the predictions are the same, there is none.
	apart := columns{family: Logistic, mean: []float64{0.1, 0.2, 0.3, 0.7, 0.8}, actual: []float64{0, 0, 0, 1, 1}}
	same := columns{family: Poisson, mean: []float64{1, 1, 1, 1, 1}, actual: []float64{0, 2, 0, 1, 1}}
	for _, c := range []columns{apart, same} {
		if got := c.try(t); got.Calibration != nil {
			t.Errorf("%v: %+v", c.family, got.Calibration)
		}
	}
}

// TestColumnsOfFloat32 measure as the same numbers of float64 do.
func TestColumnsOfFloat32(t *testing.T) {
	c := simulated(Poisson, 500, 2)
	var mean, actual, exposure []float32
	for i := range c.mean {
		mean, actual, exposure = append(mean, float32(c.mean[i])), append(actual, float32(c.actual[i])), append(exposure, float32(c.exposure[i]))
		c.mean[i], c.exposure[i], c.weight[i] = float64(mean[i]), float64(exposure[i]), 1
	}
	got, err := Try(Poisson, mean, actual, exposure, nil)
	if err != nil || !reflect.DeepEqual(got, c.try(t)) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestRowsOfNoWeight count for nothing, and many steps become few.
func TestRowsOfNoWeight(t *testing.T) {
	c := columns{family: Gamma}
	for i := range 5000 {
		v := 1 + float64(i)
		c.mean, c.actual, c.exposure, c.weight = append(c.mean, v), append(c.actual, v), append(c.exposure, 1), append(c.weight, 1)
	}
	want := c.try(t)
	c.mean, c.actual, c.exposure, c.weight = append(c.mean, 3.5), append(c.actual, 1e6), append(c.exposure, 1), append(c.weight, 0)
	if got := c.try(t); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\n%+v", got, want)
	}
	if n := len(want.Isotonic); n != 30 {
		t.Errorf("%d steps", n)
	}
	if want.Deviance != 0 || want.Calibration.Slope.Value != 1 {
		t.Errorf("%+v", want)
	}
}

func TestWhatCannotBeMeasured(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, x := range map[string]struct {
		c    columns
		says string
	}{
		"nothing":                {columns{}, "no rows"},
		"too few outcomes":       {columns{mean: []float64{0.1, 0.2}, actual: []float64{1}}, "one for a prediction"},
		"too few exposures":      {columns{mean: []float64{0.1, 0.2}, actual: []float64{1, 0}, exposure: []float64{1}}, "one for a prediction"},
		"too many weights":       {columns{mean: []float64{0.1}, actual: []float64{1}, weight: []float64{1, 1}}, "one for a prediction"},
		"NaN for a prediction":   {columns{mean: []float64{0.1, nan}, actual: []float64{1, 0}}, "row 2:"},
		"an infinite outcome":    {columns{family: Poisson, mean: []float64{1}, actual: []float64{inf}}, "finite"},
		"an infinite weight":     {columns{mean: []float64{0.1}, actual: []float64{1}, weight: []float64{inf}}, "finite"},
		"no exposure":            {columns{mean: []float64{0.1}, actual: []float64{1}, exposure: []float64{0}}, "exposure"},
		"a negative weight":      {columns{mean: []float64{0.1}, actual: []float64{1}, weight: []float64{-1}}, "weight"},
		"no weight":              {columns{mean: []float64{0.1}, actual: []float64{1}, weight: []float64{0}}, "no row has a weight"},
		"a probability of 2":     {columns{mean: []float64{2}, actual: []float64{1}}, "no probability"},
		"an outcome of 2":        {columns{mean: []float64{0.2}, actual: []float64{2}}, "from 0 to 1"},
		"probabilities of 0":     {columns{mean: []float64{0, 0}, actual: []float64{1, 0}}, "nothing is predicted"},
		"nothing predicted":      {columns{family: Tweedie, mean: []float64{0}, actual: []float64{1}}, "nothing is predicted"},
		"an amount of 0":         {columns{family: Gamma, mean: []float64{1}, actual: []float64{0}}, "positive"},
		"a negative count":       {columns{family: Poisson, mean: []float64{1}, actual: []float64{-1}}, "negative"},
		"no such family":         {columns{family: 9, mean: []float64{1}, actual: []float64{1}}, "family"},
		"more than adds up":      {columns{family: Poisson, mean: []float64{1e300, 1e300}, actual: []float64{1, 1}, exposure: []float64{1e10, 1e10}}, "add up"},
		"weights out of numbers": {columns{mean: []float64{0.5, 0.5}, actual: []float64{1, 1}, weight: []float64{math.MaxFloat64, math.MaxFloat64}}, "add up"},
	} {
		_, err := Try(x.c.family, x.c.mean, x.c.actual, x.c.exposure, x.c.weight)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNothingHappened: no claims at all leave most of it open.
func TestNothingHappened(t *testing.T) {
	got := columns{family: Poisson, mean: []float64{0.1, 0.2, 0.3}, actual: []float64{0, 0, 0}}.try(t)
	if got.Actual != 0 || got.Ratio != nil || got.Gini != nil || got.Lift != nil || got.Calibration != nil || !near(got.Deviance, 0.4) || got.Mean() != 0 {
		t.Errorf("%+v", got)
	}
}

// FuzzTrial: what is read back is what was read, and refused where it contradicts itself.
func FuzzTrial(f *testing.F) {
	for _, family := range families {
		content, err := json.Marshal(simulated(family, 200, 1).try(f))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte(`{"family":"poisson","rows":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, content []byte) {
		var read, again Trial
		if json.Unmarshal(content, &read) != nil {
			return
		}
		out, err := json.Marshal(&read)
		if err != nil {
			t.Fatalf("%+v: %v", read, err)
		}
		if err := json.Unmarshal(out, &again); err != nil || !reflect.DeepEqual(read, again) {
			t.Fatalf("%s: %v", out, err)
		}
	})
}

func TestATrialThatContradictsItself(t *testing.T) {
	for name, spoil := range map[string]func(t *Trial){
		"no rows":              func(t *Trial) { t.Rows = 0 },
		"no exposure":          func(t *Trial) { t.Exposure = 0 },
		"a negative deviance":  func(t *Trial) { t.Deviance = -1 },
		"an interval reversed": func(t *Trial) { t.Gini = &Estimate{Value: 0.2, Low: 0.3, High: 0.1} },
		"nine tenths":          func(t *Trial) { t.Tenths = t.Tenths[:9] },
		"an empty tenth":       func(t *Trial) { t.Tenths[4].Exposure = 0 },
		"gains beyond all":     func(t *Trial) { t.Gains[3].Actual = 2 },
		"gains in no order":    func(t *Trial) { t.Gains[3].Share = 0 },
		"a falling curve":      func(t *Trial) { t.Isotonic[0].Actual = 9 },
		"no curve":             func(t *Trial) { t.Isotonic = nil },
		"a slope of nothing":   func(t *Trial) { t.Calibration.Slope.Low = 9 },
		"a perfect ECE below":  func(t *Trial) { t.Perfect.Mean = -1 },
	} {
		x := simulated(Poisson, 500, 1).try(t)
		spoil(x)
		content, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(content, &Trial{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{`{"rows":1e999}`, `{"family":"normal"}`, `[]`} {
		if err := json.Unmarshal([]byte(text), &Trial{}); !fault.Is(err, fault.Malformed) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := json.Marshal(Family(9)); err == nil || Family(9).String() != "unknown" {
		t.Errorf("a family of no name: %v", err)
	}
}

func BenchmarkTry(b *testing.B) {
	for _, family := range families {
		c := simulated(family, 1_000_000, 1)
		b.Run(family.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.try(b)
			}
		})
	}
}
