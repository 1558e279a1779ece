package main

import (
	"math"
	"testing"

	"polis/handler/internal/churn"
	"polis/handler/internal/sample"
	"polis/handler/internal/train"
)

// TestAgainstTheTruth holds what is said of relations and policies that were not trained on
// to the sample's truth, with bounds that a worse model breaks and another book does not.
func TestAgainstTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: run without the race detector")
	}
	for _, tc := range []struct {
		world               sample.World
		relation, policy    float64 // least AUC
		relationGap, within float64 // most between it and the truth's own; most that the means may differ
	}{
		{sample.A, 0.64, 0.55, 0.08, 0.3},
		{sample.B, 0.56, 0.515, 0.08, 0.3},
	} {
		m, err := makeBook(t.Context(), t.TempDir(), sample.Options{Customers: 8000, Seed: 2, World: tc.world})
		if err != nil {
			t.Fatal(err)
		}
		futures, err := draw(t.Context(), m.drawn, 12)
		if err != nil {
			t.Fatal(err)
		}
		j, err := judge(t.Context(), m, train.Options{}, futures)
		if err != nil {
			t.Fatal(err)
		}
		r, p, model := j.relations.figures(), j.policies.figures(), j.model
		for y, s := range j.faded {
			f, plain := s.figures(), j.plain[y].figures()
			t.Logf("%s, %d months: %+v, without a fade %+v", tc.world, 12*y+12, f, plain)
			if f.N < 1000 || math.Abs(f.True/f.Predicted-1) > tc.within {
				t.Errorf("%s, %d months: %.4f predicted, %.4f true", tc.world, 12*y+12, f.Predicted, f.True)
			}
			// What is too sure, or not sure enough, in the first year stays so, and no more than that.
			first := j.faded[0].figures().Slope
			if y > 0 && math.Abs(f.Slope/first-1) > math.Abs(plain.Slope/first-1) {
				t.Errorf("%s, %d months: the slope is %.2f after %.2f in the first year, without a fade %.2f", tc.world, 12*y+12, f.Slope, first, plain.Slope)
			}
		}
		t.Logf("%s: relations %+v", tc.world, r)
		t.Logf("%s: policies %+v", tc.world, p)
		if !(r.AUC > tc.relation) || !(r.AUC > r.Ceiling-tc.relationGap) || !(r.Explained > 0) {
			t.Errorf("%s: AUC of relations %.3f of the truth's %.3f, explained %.2f", tc.world, r.AUC, r.Ceiling, r.Explained)
		}
		if !(p.AUC > tc.policy) || !(p.AUC > p.Coarse) {
			t.Errorf("%s: AUC of policies %.3f of the truth's %.3f, by their relation's %.3f", tc.world, p.AUC, p.Ceiling, p.Coarse)
		}
		for _, f := range []figures{r, p} {
			if math.Abs(f.True/f.Predicted-1) > tc.within {
				t.Errorf("%s: %.4f predicted, %.4f true", tc.world, f.Predicted, f.True)
			}
		}
		if model.Book.Relations.Basis != churn.Own || model.Book.Policies.Basis != churn.Own {
			t.Errorf("%s: %+v", tc.world, model.Book)
		}
	}
}

func TestAUC(t *testing.T) {
	for _, tc := range []struct {
		said, truth []float64
		want        float64
	}{
		{[]float64{1, 2, 3}, []float64{0, 0, 1}, 1},
		{[]float64{3, 2, 1}, []float64{0, 0, 1}, 0},
		{[]float64{1, 1, 1}, []float64{0, 0.5, 1}, 0.5},
		{[]float64{1, 2}, []float64{0.5, 0.5}, 0.5},
	} {
		if got := auc(tc.said, tc.truth); got != tc.want {
			t.Errorf("%v of %v: %v, want %v", tc.said, tc.truth, got, tc.want)
		}
	}
}
