package main

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"polis/handler/internal/measure"
	"polis/handler/internal/model"
	"polis/handler/internal/risk"
	"polis/handler/internal/sample"
	"polis/handler/internal/train"
)

// TestDeviance: by hand, and nothing beyond the truth where the truth is predicted.
func TestDeviance(t *testing.T) {
	for _, tc := range []struct {
		family  measure.Family
		y, m    float64
		want    float64
		perfect float64
	}{
		{measure.Logistic, 0.5, 0.25, 2 * (0.5*math.Log(2) + 0.5*math.Log(0.5/0.75)), 0.5},
		{measure.Logistic, 0, 0.25, 2 * math.Log(1/0.75), 0},
		{measure.Poisson, 2, 1, 2 * (2*math.Log(2) - 1), 2},
		{measure.Poisson, 0, 1, 2, 0},
		{measure.Tweedie, 4, 1, 4, 4},
	} {
		if got := deviance(tc.family, tc.y, tc.m); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: %v for %v is %v, want %v", tc.family, tc.m, tc.y, got, tc.want)
		}
		if got := deviance(tc.family, tc.perfect, max(tc.perfect, 1e-12)); got > 1e-8 {
			t.Errorf("%s: %v for itself is %v", tc.family, tc.perfect, got)
		}
	}
}

func TestVerdict(t *testing.T) {
	var s, mean said
	for i := range 10 {
		truth := 0.01 + 0.02*float64(i)
		s.add(truth, truth, 1)
		mean.add(0.1, truth, 1)
	}
	if v := s.verdict(measure.Logistic); math.Abs(v.Explained-1) > 1e-9 || math.Abs(v.True-0.1) > 1e-12 || v.Gini < 0.3 {
		t.Errorf("of the truth: %+v", v)
	}
	if v := mean.verdict(measure.Logistic); math.Abs(v.Explained) > 1e-9 {
		t.Errorf("of the mean: %+v", v)
	}
	half := said{predicted: []float64{1, 2}, truth: []float64{1, 3}, exposure: []float64{3, 1}}
	if v := half.verdict(measure.Poisson); v.True != 1.5 || v.Predicted != 1.25 || math.Abs(v.Gini-0.25) > 1e-12 {
		t.Errorf("with exposure: %+v", v)
	}
}

// TestReport: the ceiling is the best of all, of each seed and year; a portfolio's share is
// over its years; and the interval holds the mean.
func TestReport(t *testing.T) {
	add := func(all []result, back int, model string, explained float64) []result {
		return append(all, result{World: sample.A, Seed: 1, Back: back, Model: model, Figures: map[figure]verdict{claims: {Explained: explained}}})
	}
	var all []result
	for back, best := range []float64{0.5, 0.25} {
		all = add(add(add(all, back, ceiling, best), back, "default", 0.1), back, "tuned", best-0.2)
	}
	for book := range 4 {
		all = add(add(all, 0, strconv.Itoa(book), 0.4+0.01*float64(book)), 1, strconv.Itoa(book), 0.2)
	}
	s := shares(all, sample.A, claims)
	if len(s) != 4 || s[0].best != 0.375 || math.Abs(s[0].ours-0.3) > 1e-12 || math.Abs(s[3].ours-0.315) > 1e-12 {
		t.Fatalf("shares %v", s)
	}
	mean, low, high := interval(s)
	if want := (0.3 + 0.305 + 0.31 + 0.315) / 4 / 0.375; math.Abs(mean-want) > 1e-12 || !(low < mean && mean < high && high-low < 0.05) {
		t.Errorf("%v (%v to %v), want %v", mean, low, high, want)
	}
	if text := report(all); !strings.Contains(text, "| claims of a policy | A | 4 | 82% (81 to 83) | **missed by 8 points** |") || strings.Contains(text, "| B |") {
		t.Errorf("it reads\n%s", text)
	}
	all = append(all, result{World: sample.B, Seed: 1, Model: "0"}) // not finished: its ceiling is missing
	if s := shares(all, sample.B, claims); s != nil {
		t.Errorf("shares without a ceiling: %v", s)
	}
}

// TestResults: what is measured is kept line by line and read again.
func TestResults(t *testing.T) {
	o := options{results: filepath.Join(t.TempDir(), "r.ndjson")}
	if all, err := load(o.results); all != nil || err != nil {
		t.Fatal(all, err)
	}
	for _, model := range []string{ceiling, "0"} {
		if err := o.keep(&result{World: sample.A, Seed: 3, Model: model, Figures: map[figure]verdict{loss: {Rows: 2, Explained: 0.25}}}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := load(o.results)
	if err != nil || len(all) != 2 || all[1].Model != "0" || all[0].Figures[loss].Explained != 0.25 {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestParts: ten portfolios and what is judged on share no household.
func TestParts(t *testing.T) {
	for customer, want := range map[string][2]int{"C00000000-1": {0, 0}, "C00000025-2": {1, 2}, "C00000035-1": {11, 2}} {
		if part, no, err := partOf(customer); part != want[0] || no != want[1] || err != nil || judgedOn(part) != (part > 9) {
			t.Errorf("%s: part %d, number %d, %v", customer, part, no, err)
		}
	}
	if _, _, err := partOf("somebody"); err == nil {
		t.Error("somebody has a household")
	}
}

// TestMeasures makes a small book and holds the engines of a tenth of it, and of all of it,
// to the truth.
func TestMeasures(t *testing.T) {
	if testing.Short() {
		t.Skip("makes and learns a book of 6,000 customers")
	}
	o := options{customers: 500, books: 1, years: 1, results: filepath.Join(t.TempDir(), "r.ndjson")}
	for range 2 { // the second time nothing is left to do
		if err := o.measure(t.Context(), sample.A, 101); err != nil {
			t.Fatal(err)
		}
	}
	all, err := load(o.results)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d results, %v", len(all), err)
	}
	for _, f := range figures {
		ten, one := all[0].Figures[f], all[1].Figures[f]
		if ten.Rows < 300 || ten.Rows != one.Rows || ten.True != one.True {
			t.Errorf("%s: judged on %d and %d", f, ten.Rows, one.Rows)
		}
		if !(ten.Explained > one.Explained && ten.Explained < 1) {
			t.Errorf("%s: of ten portfolios %.3f is explained, of one %.3f", f, ten.Explained, one.Explained)
		}
	}
}

// TestRelevel: a model that says twice as much of a branch comes to the same total.
func TestRelevel(t *testing.T) {
	fields := []model.Field{{Name: "branch", Kind: model.Category}}
	table := &train.Table{Name: "frequency", Frame: model.Frame{Fields: fields, Num: [][]float64{nil}, Cat: [][]string{nil}, N: 2 * every}}
	for i := range table.N {
		table.Cat[0], table.Exposure = append(table.Cat[0], []string{"motor", "legal"}[i/every]), append(table.Exposure, 0.5)
	}
	of := func(frequency, severity float64) *risk.Model {
		return &risk.Model{
			Frequency: model.Constant(fields, model.Poisson, math.Log(frequency), ""), Severity: model.Constant(fields, model.Gamma, math.Log(severity), ""),
			Branches: map[string]risk.Branch{"motor": {Frequency: 1.5, Severity: 2}, "legal": {Frequency: 1, Severity: 1}},
		}
	}
	ours, theirs := of(0.1, 1000), of(0.2, 250)
	relevel(theirs, ours, table)
	if b := theirs.Branches["motor"]; math.Abs(b.Frequency-0.75) > 1e-12 || math.Abs(b.Severity-8) > 1e-12 || ours.Branches["motor"].Frequency != 1.5 {
		t.Errorf("motor: %+v, ours %+v", b, ours.Branches["motor"])
	}
}
