package model

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"polis/handler/internal/fault"
)

// TestOffset: what is given beforehand is not learnt again, and not part of the model.
func TestOffset(t *testing.T) {
	long(t)
	for loss, data := range madeBy {
		f, y, link := data(30_000, 31)
		for i := range f.N {
			y.Offset = append(y.Offset, 0.04*f.Num[2][i]) // what bonus does
		}
		m := mustFit(t, f, y, Options{Loss: loss})
		for _, c := range m.Cells() {
			if c.Term == "bonus" && math.Abs(c.Value) > 0.12 {
				t.Errorf("%s: bonus, which the offset has, is learnt again: %s %.2f", loss, c.First, c.Value)
			}
		}
		row, mean, truth := newRow(f), 0.0, 0.0
		for i := range f.N {
			rowOf(f, i, &row)
			mean += (m.Score(row, nil) + y.Offset[i]) / float64(f.N)
			truth += link[i] / float64(f.N)
		}
		if math.Abs(mean-truth) > 0.08 {
			t.Errorf("%s: with the offset the mean link is %.3f, truly %.3f", loss, mean, truth)
		}
	}
}

// TestTime: rows are judged by what came before them, and by that only.
func TestTime(t *testing.T) {
	long(t)
	f, y, _ := madePoisson(20_000, 32)
	for i := range f.N {
		y.Time = append(y.Time, float64(i/2000)) // ten years
		y.Group = append(y.Group, fmt.Sprint(i%7000))
	}
	judged := map[float64]int{}
	m := mustFit(t, f, y, Options{Loss: Poisson, Bags: 4, Held: func(row int, mean float64) {
		judged[y.Time[row]]++
		if !(mean > 0) {
			t.Errorf("row %d: a mean of %v", row, mean)
		}
	}})
	for year, n := range judged {
		if year < 6 || n != 2000 {
			t.Errorf("%d rows of year %v were judged", n, year)
		}
	}
	if len(judged) != 4 {
		t.Errorf("judged were %v, not the last four of ten years", judged)
	}
	if len(m.Terms()) < 3 {
		t.Errorf("little was learnt: %v", m)
	}
	// From a year on, nothing is as it was: judged by the past, there is nothing to learn.
	rng := rand.New(rand.NewPCG(8, 8))
	for i := range f.N {
		if y.Time[i] >= 6 {
			y.Y[i] = poisson(rng, 0.5*y.Exposure[i])
		}
	}
	past := mustFit(t, f, y, Options{Loss: Poisson, Bags: 4})
	y.Time = nil
	mixed := mustFit(t, f, y, Options{Loss: Poisson, Bags: 4})
	explains := func(m *Model) float64 {
		return 1 - m.Meta().Metrics["deviance"]/m.Meta().Metrics["deviance_constant"]
	}
	if !(explains(past) < explains(mixed)) {
		t.Errorf("judged by the past it explains %.4f, by all years %.4f", explains(past), explains(mixed))
	}
}

// TestCodes: of many codes each is drawn to those that begin alike, and one that is new
// is read as these.
func TestCodes(t *testing.T) {
	long(t)
	rng := rand.New(rand.NewPCG(3, 33))
	region := map[string]float64{}
	f := Frame{Fields: []Field{{Name: "pc4", Kind: Category}}, Num: [][]float64{nil}, Cat: [][]string{nil}, N: 80_000}
	var y Target
	for range f.N {
		code := fmt.Sprint(1000 + 2*rng.IntN(2000)) // even ones only
		r, ok := region[code[:2]]
		if !ok {
			r = 0.4 * rng.NormFloat64()
			region[code[:2]] = r
		}
		f.Cat[0] = append(f.Cat[0], code)
		y.Y = append(y.Y, poisson(rng, 0.15*math.Exp(r)))
	}
	m := mustFit(t, f, y, Options{Loss: Poisson})
	squares, all := 0.0, 0.0
	for begin, truth := range region {
		for _, code := range []string{begin + "02", begin + "03"} { // 03 is new
			d := m.Score(Row{Num: []float64{0}, Cat: []string{code}}, nil) - math.Log(0.15) - truth
			squares, all = squares+d*d, all+truth*truth
		}
	}
	if r2 := 1 - squares/all; r2 < 0.9 {
		t.Errorf("%.2f of what regions do is found", r2)
	}
	begins, named := 0, 0
	for _, c := range m.Cells() {
		switch {
		case strings.HasSuffix(c.First, Beginning):
			begins++
		case len(c.First) == 4:
			named++
		case c.First != "missing" && c.First != "other":
			t.Errorf("a table has the code %q", c.First)
		}
	}
	if begins != len(region)+4 || named != 2000 { // the first two digits, and from 1 to 4 the first alone
		t.Errorf("%d beginnings and %d codes", begins, named)
	}
}

// TestCodesThatOthersBeginWith: where some postcodes have letters and some have none, one
// without is a name once, and the file can be read again.
func TestCodesThatOthersBeginWith(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 35))
	f := Frame{Fields: []Field{{Name: "pc", Kind: Category}}, Num: [][]float64{nil}, Cat: [][]string{nil}, N: 8000}
	var y Target
	for i := range f.N {
		k := rng.IntN(80)
		f.Cat[0] = append(f.Cat[0], fmt.Sprint(1000+k)+[]string{"", "AB"}[i%2])
		y.Y = append(y.Y, poisson(rng, 0.1+float64(k)/40))
	}
	m := mustFit(t, f, y, Options{Loss: Poisson})
	var file bytes.Buffer
	if err := m.Save(&file); err != nil {
		t.Fatal(err)
	}
	again, err := Load(&file)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.terms) != 1 {
		t.Fatalf("%d terms", len(again.terms))
	}
	for _, code := range []string{"1079", "1079AB", "1079XY"} { // the last as it begins
		if link := again.Score(Row{Num: []float64{0}, Cat: []string{code}}, nil); math.Abs(link-math.Log(0.1+79.0/40)) > 0.3 {
			t.Errorf("%s is scored %.2f", code, link)
		}
	}
}

// TestOrderedCategories keep their order, and a promise in it.
func TestOrderedCategories(t *testing.T) {
	long(t)
	names := []string{"none", "low", "middle", "high", "top"}
	rng := rand.New(rand.NewPCG(3, 34))
	f := Frame{Fields: []Field{{Name: "cover", Kind: Category, Order: strings.Join(names, "|"), Monotone: 1}}, Num: [][]float64{nil}, Cat: [][]string{nil}, N: 20_000}
	var y Target
	effect := []float64{-0.4, -0.1, -0.2, 0.2, 0.5} // low and middle are the wrong way round
	for range f.N {
		k := rng.IntN(len(names))
		f.Cat[0] = append(f.Cat[0], names[k])
		y.Y = append(y.Y, poisson(rng, 0.2*math.Exp(effect[k])))
	}
	m := mustFit(t, f, y, Options{Loss: Poisson})
	last := math.Inf(-1)
	for i, name := range names {
		s := m.Score(Row{Num: []float64{0}, Cat: []string{name}}, nil)
		if s < last || math.Abs(s-math.Log(0.2)-effect[i]) > 0.12 {
			t.Errorf("%s scores %.3f after %.3f", name, s, last)
		}
		last = s
	}
	for _, order := range []string{"none", "none|low|none", "|low"} {
		f.Fields[0].Order = order
		if _, err := Fit(t.Context(), f, y, Options{Loss: Poisson}); !fault.Is(err, fault.Invalid) {
			t.Errorf("the order %q: %v", order, err)
		}
	}
}

// TestScoreAll: many rows at once score what each scores by itself.
func TestScoreAll(t *testing.T) {
	long(t)
	f, y, _ := madePoisson(20_001, 35)
	m := mustFit(t, f, y, Options{Loss: Poisson})
	got := make([]float64, f.N)
	if err := m.ScoreAll(f, got); err != nil {
		t.Fatal(err)
	}
	row := newRow(f)
	for i := range f.N {
		rowOf(f, i, &row)
		if want := m.Score(row, nil); got[i] != want {
			t.Fatalf("row %d scores %v at once, %v by itself", i, got[i], want)
		}
	}
	f.Num[0] = f.Num[0][1:]
	if err := m.ScoreAll(f, got); !fault.Is(err, fault.Invalid) {
		t.Errorf("a short column: %v", err)
	}
	if err := m.ScoreAll(f, got[1:]); !fault.Is(err, fault.Invalid) {
		t.Errorf("too little room: %v", err)
	}
}

// TestRowsThatChange between the passes are an error, and so is one that gives it.
func TestRowsThatChange(t *testing.T) {
	f, y, _ := madePoisson(1000, 36)
	whole := f.rows(y)
	for name, change := range map[string]int{"grown": 1, "shrunk": -1} {
		pass := 0
		_, err := FitRows(t.Context(), f.Fields, func(ctx context.Context, do func(*Case) error) error {
			pass++
			n, last := 0, f.N-1+(pass-1)*change
			var kept Case
			err := whole(ctx, func(c *Case) error {
				kept = *c
				if n++; n-1 > last {
					return nil
				}
				return do(c)
			})
			if err == nil && last >= f.N {
				err = do(&kept)
			}
			return err
		}, Options{Loss: Poisson})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := fault.New(fault.Unavailable, "out of order")
	if _, err := FitRows(t.Context(), f.Fields, func(context.Context, func(*Case) error) error { return broken }, Options{Loss: Poisson}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("rows that cannot be read: %v", err)
	}
}

// TestValuesBeyondCounting: with more values than are counted one by one, bins still hold
// about as many rows, whatever the order of these.
func TestValuesBeyondCounting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 37))
	values := make([]float64, 5*maxCounted)
	for i := range values {
		values[i] = 1000 * rng.NormFloat64()
	}
	edges := func() []float64 {
		s := newNumberSurvey()
		for _, v := range values {
			s.add(v)
		}
		b := s.binning(64)
		return b.edges
	}
	first := edges()
	counts := make([]int, len(first)+1)
	b := binning{edges: first}
	for _, v := range values {
		counts[b.number(v)-1]++
	}
	if want := len(values) / 64; len(first) != 63 || slices.Min(counts) < want/2 || slices.Max(counts) > 2*want {
		t.Errorf("%d bins of %d to %d rows", len(counts), slices.Min(counts), slices.Max(counts))
	}
	rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
	if !slices.Equal(first, edges()) {
		t.Error("in another order the edges are others")
	}
}
