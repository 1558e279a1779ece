package churn_test

import (
	"math"
	"testing"

	. "polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/score/scoretest"
)

// TestWhatIsKnownFades: the first year is the model's own; then the logarithm of a year's
// hazard is off the book's by what the fade leaves of it, the months of a year keep their
// proportions, and beyond the months of the engine the same law goes on.
func TestWhatIsKnownFades(t *testing.T) {
	const mean, rate = 0.01, 0.4
	t.Run("of several", func(t *testing.T) { fades(t, relation("motor", "contents"), Fade{Rate: rate, Lapse: mean}, mean) })
	t.Run("of one", func(t *testing.T) { fades(t, relation("motor"), Fade{Rate: rate, PolicyLapse: mean}, mean) })
	for _, bad := range []Fade{{Rate: -1}, {Rate: math.NaN()}, {Lapse: 2}, {PolicyOther: -0.1}} {
		m := anyEnds(t, -3)
		if m.Book.Fade = bad; m.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}

// fades holds a relation's hazards to what a fade to a mean makes of them.
func fades(t *testing.T, g *feature.Group, fade Fade, mean float64) {
	m, rate := anyEnds(t, -3), fade.Rate
	var plain, faded Result
	New(m).Score(g, &plain)
	m.Book.Fade = fade
	New(m).Score(g, &faded)
	for k := range 13 {
		if plain.Lapsed[k] != faded.Lapsed[k] {
			t.Fatalf("month %d of the first year: %v, without a fade %v", k, faded.Lapsed[k], plain.Lapsed[k])
		}
	}
	hazard := func(r *Result, k int) float64 { return (r.Lapsed[k] - r.Lapsed[k-1]) / r.Alive[k-1] }
	for k := 13; k <= Horizon; k++ {
		y := float64((k - 1) / 12)
		own := 0.0 // mean of the year
		for j := range 12 {
			own += hazard(&plain, int(y)*12+j+1) / 12
		}
		want := hazard(&plain, k) * math.Pow(mean/own, 1-math.Exp(-rate*y))
		if got := hazard(&faded, k); math.Abs(got/want-1) > 1e-9 {
			t.Errorf("month %d: hazard %v, want %v", k, got, want)
		}
	}
	last := faded.Force(24, 36) / 12
	for _, to := range []int{48, 120} {
		want := mean * math.Pow(last/mean, math.Exp(-rate*(float64(2*to-12)/24-2.5)))
		if got := faded.Force(to-12, to) / 12; math.Abs(got/want-1) > 1e-9 {
			t.Errorf("the year until month %d: force %v a month, want %v", to, got, want)
		}
	}
	if got, want := plain.Force(36, 48), plain.Force(24, 36); math.Abs(got-want) > 1e-12 {
		t.Errorf("without a fade the last year goes on: %v, want %v", got, want)
	}
}

// anyEnds are relations that lapse at a link which moves with the calendar, and never end
// otherwise.
func anyEnds(t *testing.T, link float64) *Model {
	never := -30.0
	step := scoretest.Step{Field: "month_calendar", Edges: []float64{3, 6, 9}, Values: []float64{0, 1, -1, 0.5, 0}}
	return &Model{
		Definition: All,
		Lapse:      scoretest.Model(t, feature.HazardFields(), model.Logistic, link, step), Other: scoretest.Model(t, feature.HazardFields(), model.Logistic, never),
		PolicyLapse: scoretest.Model(t, feature.PolicyHazardFields(), model.Logistic, link, step), PolicyOther: scoretest.Model(t, feature.PolicyHazardFields(), model.Logistic, never),
		Book: Book{Relations: Experience{Basis: Own, Weight: 1}, Policies: Experience{Basis: Own, Weight: 1}},
	}
}
