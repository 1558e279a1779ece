package hazard_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "polis/handler/internal/hazard"
	"polis/handler/internal/model"
)

// TestLife: what the file keeps of how subjects fared is what counting gives, and what the
// model says of all of them together is near it. Late entry and the subjects' order make no
// difference to it but chance.
func TestLife(t *testing.T) {
	w := portfolio
	all := w.lives(4000, 31)
	late := slices.Clone(all)
	for i := range late {
		late[i].Entry = float64(i % 3)
	}
	late = slices.DeleteFunc(late, func(s Subject) bool { return s.Duration <= s.Entry })
	for name, subjects := range map[string][]Subject{"from the origin": all, "some of them late": late} {
		o := Options{Causes: twoEnds, Learner: model.Options{Bags: 2, Pairs: -1}}
		m := mustFit(t, w.fields, subjects, o)
		meta := m.Meta()
		life := meta.Life
		if life == nil {
			t.Fatalf("%s: no life", name)
		}
		survival, incidence := aalenJohansen(subjects, 2, m.Last())
		for k := range survival {
			got := []float64{life.Observed.Survival[k], life.Observed.Incidence[0][k], life.Observed.Incidence[1][k]}
			for i, want := range []float64{survival[k], incidence[k][0], incidence[k][1]} {
				if math.Abs(got[i]-want) > 1e-6 {
					t.Fatalf("%s: period %d, curve %d: %v, counted %v", name, k, i, got[i], want)
				}
			}
			expected := []float64{life.Expected.Survival[k], life.Expected.Incidence[0][k], life.Expected.Incidence[1][k]}
			for i := range got {
				if math.Abs(expected[i]-got[i]) > 0.03 {
					t.Errorf("%s: period %d, curve %d: the model says %.3f, counted %.3f", name, k, i, expected[i], got[i])
				}
			}
		}
		atRisk, ended := 0, make([]int, 2)
		for _, s := range subjects {
			if s.Entry == 0 {
				atRisk++
			}
			if s.Cause > 0 && math.Ceil(s.Entry)+1 <= math.Ceil(s.Duration) {
				ended[s.Cause-1]++
			}
		}
		if math.Round(life.AtRisk[0]) != float64(atRisk) || !slices.Equal(meta.Ends, ended) {
			t.Errorf("%s: %v at risk at first, %v ended; counted %d and %v", name, life.AtRisk[0], meta.Ends, atRisk, ended)
		}

		shuffled := slices.Clone(subjects)
		rand.New(rand.NewPCG(1, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		other := mustFit(t, w.fields, shuffled, o).Meta().Life
		if !slices.Equal(other.Observed.Survival, life.Observed.Survival) || !slices.Equal(other.Expected.Incidence[0], life.Expected.Incidence[0]) {
			t.Errorf("%s: in another order subjects fare otherwise", name)
		}
	}
}
