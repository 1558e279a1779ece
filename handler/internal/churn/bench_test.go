package churn_test

import (
	"math/rand/v2"
	"testing"

	. "polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
)

// fitted is a model of hazards as rich as training makes them: of rows of noise, in which
// every field has something to say.
func fitted(tb testing.TB, fields []model.Field, seed uint64) *model.Model {
	tb.Helper()
	const n = 6000
	r := rand.New(rand.NewPCG(seed, 1))
	f := model.Frame{Fields: fields, N: n, Num: make([][]float64, len(fields)), Cat: make([][]string, len(fields))}
	y := model.Target{Y: make([]float64, n)}
	link := make([]float64, n)
	for c, field := range fields {
		if field.Kind == model.Category {
			f.Cat[c] = make([]string, n)
		} else {
			f.Num[c] = make([]float64, n)
		}
		for i := range n {
			v := r.IntN(12)
			if field.Kind == model.Category {
				f.Cat[c][i] = string(rune('a' + v))
			} else {
				f.Num[c][i] = float64(v)
			}
			link[i] += 0.06 * float64(v-6)
		}
	}
	for i := range n {
		if r.NormFloat64()*2 < link[i] {
			y.Y[i] = 1
		}
	}
	m, err := model.Fit(tb.Context(), f, y, model.Options{Bins: 32, Bags: 2, Pairs: 4})
	if err != nil {
		tb.Fatal(err)
	}
	return m.Lean()
}

// BenchmarkScore is a customer with five policies: its features, its relation's curves, and
// each policy's and branch's.
func BenchmarkScore(b *testing.B) {
	m := &Model{
		Lapse: fitted(b, feature.HazardFields(), 1), Other: fitted(b, feature.HazardFields(), 2),
		PolicyLapse: fitted(b, feature.PolicyHazardFields(), 3), PolicyOther: fitted(b, feature.PolicyHazardFields(), 4),
	}
	b.Logf("%v; %v", m.Lapse, m.PolicyLapse)
	e, g := New(m), relation("motor", "contents", "liability", "travel", "motor")
	var r Result
	e.Score(g, &r)
	b.ReportAllocs()
	for b.Loop() {
		e.Score(g, &r)
	}
}
