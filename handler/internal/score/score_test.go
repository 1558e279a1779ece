package score_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/model"
	. "polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

var fields = []model.Field{{Name: "age"}, {Name: "region", Kind: model.Category}, {Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}}

func steps() []scoretest.Step {
	out := []scoretest.Step{
		{Field: "age", Edges: []float64{30, 60}, Values: []float64{0.01, 0.5, 0, -0.25}},
		{Field: "region", Names: []string{"north"}, Values: []float64{0, 0.125, -0.75}},
	}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		out = append(out, scoretest.Step{Field: name, Edges: []float64{0}, Values: []float64{0.001, -0.1 * float64(i), 0.07 * float64(i)}})
	}
	return out
}

func TestReasonsAreRankedAndNamed(t *testing.T) {
	m := scoretest.Model(t, fields, model.Poisson, -2, steps()...)
	var r Reasons
	NewExplainer(m).Explain(model.Row{Num: []float64{25, 0, 1, 1, 1, 1, 1}, Cat: []string{1: "north", 6: ""}}, &r)
	if len(r.Top) != Most || r.Base != -2 {
		t.Fatalf("%d reasons over a base of %v", len(r.Top), r.Base)
	}
	first, second := r.Top[0], r.Top[1]
	if first.Code != "region" || first.Text != "north" || first.Numeric || first.Contribution != -0.75 {
		t.Errorf("first: %+v", first)
	}
	if second.Code != "age" || second.Number != 25 || !second.Numeric || second.Contribution != 0.5 {
		t.Errorf("second: %+v", second)
	}
	for i := 1; i < len(r.Top); i++ {
		if math.Abs(r.Top[i].Contribution) > math.Abs(r.Top[i-1].Contribution) {
			t.Errorf("reason %d outweighs the one before it", i)
		}
	}
}

// TestTwoModelsGiveOneReason is the case of a frequency and a severity: their links
// add up to that of the expected loss, and so do the reasons of one feature.
func TestTwoModelsGiveOneReason(t *testing.T) {
	frequency := scoretest.Model(t, fields, model.Poisson, -2, steps()[0])
	severity := scoretest.Model(t, fields, model.Gamma, 7, scoretest.Step{Field: "age", Edges: []float64{40}, Values: []float64{0, 0.125, 0}})
	var r Reasons
	NewExplainer(frequency, severity).Explain(model.Row{Num: []float64{25, 0, 0, 0, 0, 0, 0}}, &r)
	if len(r.Top) != 1 || r.Top[0].Contribution != 0.625 || r.Base != 5 || r.Link != 5.625 || r.Rest != 0 {
		t.Errorf("%+v", r)
	}
}

// TestModelsConform: the learner's, by hand, fitted with a pair, and a mean alone.
func TestModelsConform(t *testing.T) {
	const n = 2000
	frame := model.Frame{Fields: fields[:3], N: n, Num: [][]float64{make([]float64, n), nil, make([]float64, n)}, Cat: [][]string{1: make([]string, n), 2: nil}}
	target := model.Target{Y: make([]float64, n)}
	for i := range n {
		frame.Num[0][i], frame.Cat[1][i], frame.Num[2][i] = float64(i%50), []string{"north", "south"}[i%2], float64(i/50%2)
		if (i%50 < 25) == (i/50%2 == 1) && i%7 > 1 {
			target.Y[i] = 1
		}
	}
	fitted, err := model.Fit(t.Context(), frame, target, model.Options{Bags: 1, Rounds: 30})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(fitted.Terms(), func(t model.Term) bool { return len(t.Fields) == 2 }) {
		t.Error("the fitted model has no pair to try")
	}
	for name, m := range map[string]Model{
		"by hand": scoretest.Model(t, fields, model.Poisson, -2, steps()...), "fitted": fitted, "constant": model.Constant(fields, model.Gamma, 7, ""),
	} {
		t.Run(name, func(t *testing.T) { scoretest.Conforms(t, m, "north", "south") })
	}
}

func TestReasonsAddUp(t *testing.T) {
	m := scoretest.Model(t, fields, model.Poisson, -2, steps()...)
	e, alone := NewExplainer(m), NewExplainer(m)
	var r Reasons
	rapid.Check(t, func(t *rapid.T) {
		row := model.Row{Num: make([]float64, len(fields)), Cat: make([]string, len(fields))}
		for i := range row.Num {
			row.Num[i] = rapid.OneOf(rapid.Just(math.NaN()), rapid.Float64(), rapid.Float64Range(-100, 100)).Draw(t, "value")
		}
		row.Cat[1] = rapid.SampledFrom([]string{"", "north", "south"}).Draw(t, "region")
		e.Explain(row, &r)
		sum := r.Base + r.Rest
		for _, reason := range r.Top {
			sum += reason.Contribution
		}
		if math.Abs(sum-r.Link) > 1e-12 || r.Link != m.Score(row, nil) {
			t.Fatalf("base, reasons and rest are %v, the score is %v", sum, r.Link)
		}
		var fresh Reasons
		alone.Explain(row, &fresh)
		if len(fresh.Top) != len(r.Top) || fresh.Rest != r.Rest {
			t.Fatal("what an explainer said before changes what it says")
		}
	})
}

func TestExplainingAllocatesNothing(t *testing.T) {
	m := scoretest.Model(t, fields, model.Poisson, -2, steps()...)
	e, row := NewExplainer(m), model.Row{Num: make([]float64, len(fields)), Cat: make([]string, len(fields))}
	var r Reasons
	e.Explain(row, &r)
	if n := testing.AllocsPerRun(50, func() { e.Explain(row, &r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBands(t *testing.T) {
	var values []float64
	for i := range 100 {
		values = append(values, float64(99-i))
	}
	b := Cuts(values)
	if b != (Bands{50, 80, 95}) {
		t.Fatalf("cuts of 0…99: %v", b)
	}
	for v, want := range map[float64]Band{-1: Low, 50: Low, 50.5: Medium, 80: Medium, 81: High, 95: High, 96: VeryHigh, math.Inf(1): VeryHigh} {
		if got := b.Of(v); got != want {
			t.Errorf("%v is %s, not %s", v, got, want)
		}
	}
	if Cuts(nil) != (Bands{}) || Quantile(nil, 0.5) != 0 {
		t.Error("a book without values has cuts")
	}
	if got := Quantile([]float64{3, 1, 2}, 1); got != 3 {
		t.Errorf("the largest of three is %v", got)
	}
}
