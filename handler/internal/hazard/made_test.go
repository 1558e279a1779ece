package hazard_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	. "polis/handler/internal/hazard"
	"polis/handler/internal/model"
)

// long marks a test whose fits take minutes under the race detector: scripts/test runs it
// without.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED with -short: run without the race detector")
	}
}

// from gives subjects that are held in memory.
func from(subjects []Subject) Subjects {
	return func(ctx context.Context, do func(*Subject) error) error {
		for i := range subjects {
			s := subjects[i]
			if err := do(&s); err != nil {
				return err
			}
		}
		return nil
	}
}

func mustFit(t testing.TB, fields []model.Field, subjects []Subject, o Options) *Model {
	t.Helper()
	m, err := Fit(t.Context(), fields, from(subjects), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func predict(t testing.TB, m *Model, row model.Row, survived, horizon int) *Curve {
	t.Helper()
	var c Curve
	if err := m.Predict(row, survived, horizon, &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func numbers(v ...float64) model.Row { return model.Row{Num: v, Cat: make([]string, len(v))} }

// world is made data of which the truth is known: each cause's hazard in a period, for a
// subject's numbers, in which it may end or, by chance alone, be lost sight of.
type world struct {
	fields   []model.Field
	draw     func(r *rand.Rand) []float64
	hazards  func(x []float64, period int) []float64
	censored float64 // the chance, after each period, of being lost sight of
	horizon  int     // the last period watched
}

// live is one life. It ends within the period at any time, so that durations have fractions.
func (w *world) live(r *rand.Rand) Subject {
	x := w.draw(r)
	s := Subject{Row: numbers(x...), Weight: 1}
	for t := 1; ; t++ {
		u := r.Float64()
		for i, h := range w.hazards(x, t) {
			if u -= h; u < 0 {
				s.Duration, s.Cause = float64(t)-r.Float64(), i+1
				return s
			}
		}
		if t == w.horizon || r.Float64() < w.censored {
			s.Duration = float64(t)
			return s
		}
	}
}

func (w *world) lives(n int, seed uint64) []Subject {
	r := rand.New(rand.NewPCG(seed, 2))
	out := make([]Subject, n)
	for i := range out {
		out[i] = w.live(r)
	}
	return out
}

// truth is the true curve of a subject.
func (w *world) truth(x []float64, horizon int) (survival []float64, incidence [][]float64) {
	alive, sums := 1.0, make([]float64, len(w.hazards(x, 1)))
	survival, incidence = []float64{1}, [][]float64{make([]float64, len(sums))}
	for t := 1; t <= horizon; t++ {
		left := 1.0
		next := append([]float64(nil), sums...)
		for i, h := range w.hazards(x, t) {
			next[i] += alive * h
			left -= h
		}
		alive *= left
		sums = next
		survival, incidence = append(survival, alive), append(incidence, sums)
	}
	return survival, incidence
}

func logistic(link float64) float64 { return 1 / (1 + math.Exp(-link)) }

// aalenJohansen is the incidence of each cause by period and survival, without a model
// (Aalen and Johansen 1978), by periods: those watched from the start of each, in part if lost sight of.
func aalenJohansen(subjects []Subject, causes, horizon int) (survival []float64, incidence [][]float64) {
	risk, ends := make([]float64, horizon+2), make([][]float64, horizon+2)
	for t := range ends {
		ends[t] = make([]float64, causes)
	}
	for _, s := range subjects {
		last, seen := int(math.Ceil(s.Duration)), 1.0
		if part := s.Duration - math.Floor(s.Duration); s.Cause == 0 && part > 0 {
			seen = part
		}
		for t := int(math.Ceil(s.Entry)) + 1; t <= min(last, horizon); t++ {
			if t < last {
				risk[t] += s.Weight
				continue
			}
			risk[t] += s.Weight * seen
			if s.Cause > 0 {
				ends[t][s.Cause-1] += s.Weight
			}
		}
	}
	alive, sums := 1.0, make([]float64, causes)
	survival, incidence = []float64{1}, [][]float64{make([]float64, causes)}
	for t := 1; t <= horizon; t++ {
		next, left := append([]float64(nil), sums...), 1.0
		for i, d := range ends[t] {
			if risk[t] > 0 {
				next[i] += alive * d / risk[t]
				left -= d / risk[t]
			}
		}
		alive *= left
		sums = next
		survival, incidence = append(survival, alive), append(incidence, sums)
	}
	return survival, incidence
}
