package hindsight_test

import (
	"strings"
	"testing"

	"polis/handler/internal/clv"
	. "polis/handler/internal/hindsight"
	"polis/handler/internal/sample"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

// TestValuesHold: on a small book of each world, intervals hold about as many futures as
// they say, over all and in each half. Larger books are judged by handler/bench/clv.
func TestValuesHold(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it learns two books and lives ten years of each; scripts/test runs it without the race detector")
	}
	for world, view := range map[sample.World]clv.View{sample.A: clv.Intermediary, sample.B: clv.Insurer} {
		t.Run(string(world)+" "+string(view), func(t *testing.T) {
			o := sample.Options{Customers: 2500, Seed: 3, World: world}
			source, closed, err := Book(t.Context(), t.TempDir(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer closed()
			asOf, err := AsOf(o)
			if err != nil {
				t.Fatal(err)
			}
			s := scoring.DefaultSettings()
			s.Clv.View = view
			m, err := train.Fit(t.Context(), source, train.Options{AsOf: asOf, Settings: &s})
			if err != nil {
				t.Fatal(err)
			}
			o.Customers = 600
			v, err := Value(t.Context(), source, m, o, 40)
			if err != nil {
				t.Fatal(err)
			}
			var page strings.Builder
			if err := v.Print(&page); err != nil {
				t.Fatal(err)
			}
			t.Log("\n" + page.String())
			if v.All.Customers < 200 || len(v.Deciles) != 10 || len(v.Segments) < 3 || len(v.Kinds) < 4 || v.Relations[0].Customers < 20 {
				t.Fatalf("groups are missing:\n%s", page.String())
			}
			// A small book knows less, and its bounds leave room for luck.
			if c := v.All.Interval.Coverage; c < 0.80 || c > 0.96 {
				t.Errorf("the interval of 90%% holds %.1f%%", 100*c)
			}
			if h := v.All.Half; h < 0.35 || h > 0.65 {
				t.Errorf("the central half holds %.1f%%", 100*h)
			}
			if v.All.Interval.Score > 1.6 || v.All.Interval.Score < 1 {
				t.Errorf("the interval score is %.2f times the simulator's", v.All.Interval.Score)
			}
			if c := v.Relations[0].Interval.Coverage; c < 0.75 || c > 0.98 {
				t.Errorf("the interval of sums holds %.1f%%", 100*c)
			}
		})
	}
}
