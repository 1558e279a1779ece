package hazard_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"polis/handler/internal/fault"
	. "polis/handler/internal/hazard"
	"polis/handler/internal/model"
)

var twoEnds = []string{"lapse", "death"}

// portfolio is a world with two ends that depend on age (four of them), on a sign that
// says nothing, and on the period.
var portfolio = world{
	fields: []model.Field{{Name: "age"}, {Name: "sign"}},
	draw:   func(r *rand.Rand) []float64 { return []float64{float64(20 * (1 + r.IntN(4))), r.Float64()} },
	hazards: func(x []float64, t int) []float64 {
		return []float64{logistic(-2.2 - x[0]/40 - float64(t)/30), logistic(-6.5 + x[0]/25 + float64(t)/40)}
	},
	censored: 0.02,
	horizon:  30,
}

var ages = []float64{20, 40, 60, 80}

// closeTo compares survival and incidence with the truth within three standard errors of
// what as many subjects could tell who are all watched until then.
func closeTo(t *testing.T, what string, m *Model, w *world, cells [][]float64, subjects []Subject, periods ...int) {
	t.Helper()
	left := func(period int) (n float64) {
		for _, s := range subjects {
			if s.Entry < float64(period) && (s.Cause > 0 || s.Duration >= float64(period)) {
				n++
			}
		}
		return n
	}
	for _, period := range periods {
		var got, want [3]float64
		for _, x := range cells {
			c := predict(t, m, numbers(x...), 0, period)
			survival, incidence := w.truth(x, period)
			for i, v := range []float64{c.Survival[period], c.Incidence[0][period], c.Incidence[1][period]} {
				got[i] += v / float64(len(cells))
			}
			for i, v := range []float64{survival[period], incidence[period][0], incidence[period][1]} {
				want[i] += v / float64(len(cells))
			}
		}
		n := left(period)
		for i, name := range []string{"survival", "incidence of the first", "of the second"} {
			se := math.Sqrt(want[i] * (1 - want[i]) / n)
			if d := got[i] - want[i]; math.Abs(d) > 3*se {
				t.Errorf("%s, period %d: %s %.4f, truly %.4f: %.1f standard errors", what, period, name, got[i], want[i], d/se)
			}
		}
	}
}

// TestRecoversKnownHazards, on average and for each age by itself.
func TestRecoversKnownHazards(t *testing.T) {
	long(t)
	w := portfolio
	subjects := w.lives(20_000, 1)
	m := mustFit(t, w.fields, subjects, Options{Causes: twoEnds})
	var cells [][]float64
	for _, age := range ages {
		cell := []float64{age, 0.5}
		cells = append(cells, cell)
		var own []Subject
		for _, s := range subjects {
			if s.Num[0] == age {
				own = append(own, s)
			}
		}
		closeTo(t, "an age", m, &w, [][]float64{cell}, own, 1, 3, 6, 12, 24, 30)
	}
	closeTo(t, "all", m, &w, cells, subjects, 1, 3, 6, 12, 24, 30)
	if m.Last() != 30 || m.Meta().Subjects != 20_000 || m.Meta().Rows < 100_000 || m.Meta().Events < 1000 {
		t.Errorf("last %d, %+v", m.Last(), m.Meta())
	}
}

// TestCensoringDoesNotBias: where most are lost sight of, and the more so the older they
// are, the truth is found all the same; without those lost sight of it would not be.
func TestCensoringDoesNotBias(t *testing.T) {
	long(t)
	w := portfolio
	r := rand.New(rand.NewPCG(3, 3))
	subjects := w.lives(30_000, 2)
	var ended []Subject
	for i := range subjects {
		s := &subjects[i]
		if until := 1 + math.Floor(r.ExpFloat64()*400/s.Num[0]); s.Duration > until {
			s.Duration, s.Cause = until, 0
		}
		if s.Cause > 0 {
			ended = append(ended, *s)
		}
	}
	if len(ended)*2 > len(subjects) {
		t.Fatalf("%d of %d are not lost sight of", len(ended), len(subjects))
	}
	m := mustFit(t, w.fields, subjects, Options{Causes: twoEnds})
	for _, age := range ages {
		cell := []float64{age, 0.5}
		var own []Subject
		for _, s := range subjects {
			if s.Num[0] == age {
				own = append(own, s)
			}
		}
		closeTo(t, "an age", m, &w, [][]float64{cell}, own, 1, 3, 6, 10)
	}
	naive := mustFit(t, w.fields, ended, Options{Causes: twoEnds})
	row := numbers(40, 0.5)
	if all, few := predict(t, m, row, 0, 6).Survival[6], predict(t, naive, row, 0, 6).Survival[6]; few > all/2 {
		t.Errorf("survival %.3f of all and %.3f of those that ended: the test is too easy", all, few)
	}
}

// TestLateEntry: those who ended before they could be watched are not there, and the
// hazard is the true one all the same.
func TestLateEntry(t *testing.T) {
	long(t)
	w := portfolio
	r := rand.New(rand.NewPCG(4, 4))
	var subjects, ignored []Subject
	for _, s := range w.lives(24_000, 5) {
		entry := float64(r.IntN(20))
		if s.Duration <= entry {
			continue
		}
		ignored = append(ignored, s)
		s.Entry = entry
		subjects = append(subjects, s)
	}
	m := mustFit(t, w.fields, subjects, Options{Causes: twoEnds})
	var cells [][]float64
	for _, age := range ages {
		cells = append(cells, []float64{age, 0.5})
	}
	// Of those watched from the start there are a twentieth: they tell of the beginning.
	early := slices.DeleteFunc(slices.Clone(subjects), func(s Subject) bool { return s.Entry > 3 })
	closeTo(t, "all", m, &w, cells, early, 3, 6, 12, 24)
	wrong := mustFit(t, w.fields, ignored, Options{Causes: twoEnds})
	if right, wrong := predict(t, m, numbers(40, 0.5), 0, 12).Survival[12], predict(t, wrong, numbers(40, 0.5), 0, 12).Survival[12]; wrong < right*1.15 {
		t.Errorf("survival %.3f with the entry and %.3f without: the test is too easy", right, wrong)
	}

	// Who has survived some periods goes on from there.
	whole := predict(t, m, numbers(40, 0.5), 0, 24)
	rest := predict(t, m, numbers(40, 0.5), 12, 12)
	if d := rest.Survival[12] - whole.Survival[24]/whole.Survival[12]; math.Abs(d) > 1e-12 {
		t.Errorf("survival given survival is off by %v", d)
	}
}

// TestAalenJohansen: without covariates the incidence is what counting gives.
func TestAalenJohansen(t *testing.T) {
	long(t)
	w := portfolio
	subjects := w.lives(20_000, 6)
	for i := range subjects {
		subjects[i].Row = model.Row{}
	}
	m := mustFit(t, nil, subjects, Options{Causes: twoEnds})
	survival, incidence := aalenJohansen(subjects, 2, 30)
	c := predict(t, m, model.Row{}, 0, 30)
	for k := range survival {
		for i, d := range []float64{c.Survival[k] - survival[k], c.Incidence[0][k] - incidence[k][0], c.Incidence[1][k] - incidence[k][1]} {
			if math.Abs(d) > 0.006 {
				t.Errorf("period %d, curve %d: off by %.4f", k, i, d)
			}
		}
	}
}

// TestHazardsThatCross: those who leave early and those who leave late are told apart,
// which takes the period and a covariate together.
func TestHazardsThatCross(t *testing.T) {
	long(t)
	w := world{
		fields: []model.Field{{Name: "noise"}, {Name: "kind"}},
		draw:   func(r *rand.Rand) []float64 { return []float64{r.Float64(), float64(r.IntN(2))} },
		hazards: func(x []float64, t int) []float64 {
			early, late := logistic(-2-float64(t)/8), logistic(-4+float64(t)/8)
			if x[1] == 1 {
				return []float64{late, 0.01}
			}
			return []float64{early, 0.01}
		},
		censored: 0.01,
		horizon:  24,
	}
	subjects := w.lives(20_000, 7)
	m := mustFit(t, w.fields, subjects, Options{Causes: twoEnds})
	found := slices.ContainsFunc(m.Causes()[0].Hazard.Terms(), func(term model.Term) bool { return term.Name == "kind × tenure" })
	if !found {
		t.Errorf("no pair of kind and tenure among %v", m.Causes()[0].Hazard.Terms())
	}
	for _, kind := range []float64{0, 1} {
		var own []Subject
		for _, s := range subjects {
			if s.Num[1] == kind {
				own = append(own, s)
			}
		}
		closeTo(t, "a kind", m, &w, [][]float64{{0.5, kind}}, own, 3, 6, 12, 20)
	}
}

// TestARenewalComesRound: a field that goes round carries its hazard with it, beyond the
// last period that training saw too.
func TestARenewalComesRound(t *testing.T) {
	long(t)
	w := world{
		fields: []model.Field{{Name: "month"}},
		draw:   func(r *rand.Rand) []float64 { return []float64{float64(1 + r.IntN(12))} },
		hazards: func(x []float64, t int) []float64 {
			if (int(x[0])+t-2)%12+1 == 12 {
				return []float64{0.2}
			}
			return []float64{0.005}
		},
		censored: 0.01,
		horizon:  18,
	}
	m := mustFit(t, w.fields, w.lives(10_000, 8), Options{
		Causes: []string{"lapse"},
		Rolls:  []Roll{{Field: "month", By: 1, Every: 1, Low: 1, High: 13}},
	})
	c := predict(t, m, numbers(10), 0, 40)
	var high []int
	for k := 1; k <= 40; k++ {
		if h := 1 - c.Survival[k]/c.Survival[k-1]; h > 0.15 {
			high = append(high, k)
		} else if h > 0.03 {
			t.Errorf("hazard %.3f in period %d", h, k)
		}
	}
	if !slices.Equal(high, []int{3, 15, 27, 39}) {
		t.Errorf("renewals in %v", high)
	}
}

// TestAPeriodOfItsOwn: a hazard that is there every twelfth period only is not smeared
// over its neighbours, even late, where few are left.
func TestAPeriodOfItsOwn(t *testing.T) {
	long(t)
	w := world{
		draw: func(*rand.Rand) []float64 { return nil },
		hazards: func(_ []float64, t int) []float64 {
			if t%12 == 0 {
				return []float64{0.15}
			}
			return []float64{0.005}
		},
		censored: 0.005,
		horizon:  60,
	}
	m := mustFit(t, nil, w.lives(8000, 17), Options{Causes: []string{"lapse"}})
	c := predict(t, m, model.Row{}, 0, 60)
	for k := 1; k <= 60; k++ {
		if h := 1 - c.Survival[k]/c.Survival[k-1]; (k%12 == 0) != (h > 0.1) || h > 0.03 && k%12 != 0 {
			t.Errorf("hazard %.3f in period %d", h, k)
		}
	}
}

func TestWhatIsFrozenIsSaid(t *testing.T) {
	long(t)
	w := portfolio
	m := mustFit(t, w.fields, w.lives(3000, 9), Options{Causes: twoEnds, Period: "month", Rolls: []Roll{{Field: "age", By: 1, Every: 12}}})
	const want = "with the periods (month) roll forward: age by 1 every 12 periods; frozen as at entry: sign; beyond period 30, the last in training, month stands still"
	if got := m.Meta().Note; got != want {
		t.Errorf("%q", got)
	}
}

// TestGroupsAreNotSplit: one group is too few to hold any out, however many subjects and
// periods it is.
func TestGroupsAreNotSplit(t *testing.T) {
	w := portfolio
	subjects := w.lives(3000, 10)
	for i := range subjects {
		subjects[i].Group = "one"
	}
	m := mustFit(t, w.fields, subjects, Options{Causes: twoEnds})
	for _, c := range m.Causes() {
		if note := c.Hazard.Meta().Note; !strings.Contains(note, "too few groups") {
			t.Errorf("%s: %q", c.Name, note)
		}
	}
}

// TestWeights: a subject counts as much as its weight says.
func TestWeights(t *testing.T) {
	long(t)
	subjects := portfolio.lives(4000, 11)
	for i := range subjects {
		s := &subjects[i]
		s.Row = model.Row{}
		s.Weight = 0.5
		if s.Cause == 1 {
			s.Weight = 2
		}
	}
	m := mustFit(t, nil, subjects, Options{Causes: twoEnds})
	_, incidence := aalenJohansen(subjects, 2, 20)
	if got := predict(t, m, model.Row{}, 0, 20).Incidence[0][20]; math.Abs(got-incidence[20][0]) > 0.015 {
		t.Errorf("incidence %.4f, counted with the weights %.4f", got, incidence[20][0])
	}
}

func TestTheSameModelWhateverTheWorkers(t *testing.T) {
	w := portfolio
	subjects := w.lives(2000, 12)
	var files [2]bytes.Buffer
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for i, n := range []int{1, 5} {
		runtime.GOMAXPROCS(n)
		m := mustFit(t, w.fields, subjects, Options{Causes: twoEnds, Learner: model.Options{Seed: 3}})
		if err := m.Save(&files[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0].Bytes(), files[1].Bytes()) {
		t.Error("one worker and five made different models")
	}
}

func TestFitRefuses(t *testing.T) {
	subject := func(change func(s *Subject)) func(o *Options, s *[]Subject) {
		return func(_ *Options, s *[]Subject) { change(&(*s)[1]) }
	}
	for _, c := range []struct {
		name   string
		change func(o *Options, s *[]Subject)
		want   string
	}{
		{"a duration that is not a number", subject(func(s *Subject) { s.Duration = math.NaN() }), "subject 2: the duration"},
		{"a negative duration", subject(func(s *Subject) { s.Duration = -1 }), "subject 2: the duration"},
		{"a duration of zero", subject(func(s *Subject) { s.Duration = 0 }), "subject 2: the duration"},
		{"an endless duration", subject(func(s *Subject) { s.Duration = math.Inf(1) }), "over 1200 periods"},
		{"a negative entry", subject(func(s *Subject) { s.Entry = -1 }), "subject 2: the entry"},
		{"an entry that is not a number", subject(func(s *Subject) { s.Entry = math.NaN() }), "subject 2: the entry"},
		{"an entry at the end", subject(func(s *Subject) { s.Entry = s.Duration }), "before the end"},
		{"an unknown cause", subject(func(s *Subject) { s.Cause = 3 }), "from 0 to 2"},
		{"a negative cause", subject(func(s *Subject) { s.Cause = -1 }), "from 0 to 2"},
		{"a negative weight", subject(func(s *Subject) { s.Weight = -1 }), "subject 2: the weight"},
		{"an infinite weight", subject(func(s *Subject) { s.Weight = math.Inf(1) }), "subject 2: the weight"},
		{"a short row", subject(func(s *Subject) { s.Num = s.Num[1:] }), "for 2 covariates"},
		{"nobody", func(_ *Options, s *[]Subject) { *s = nil }, "there are 0"},
		{"one subject", func(_ *Options, s *[]Subject) { *s = (*s)[:1] }, "there are 1"},
		{"no event", func(_ *Options, s *[]Subject) {
			for i := range *s {
				(*s)[i].Cause = 0
			}
		}, "ends by lapse"},
		{"a cause that ends nobody", func(o *Options, _ *[]Subject) { o.Causes = append(o.Causes, "fire") }, "ends by fire"},
		{"nobody survives a period", func(_ *Options, s *[]Subject) {
			for i := range *s {
				(*s)[i].Duration, (*s)[i].Cause = 1, 1+i%2
			}
		}, ""},
		{"no weight", func(_ *Options, s *[]Subject) {
			for i := range *s {
				(*s)[i].Weight = 0
			}
		}, "hazard of lapse"},
		{"no cause", func(o *Options, _ *[]Subject) { o.Causes = nil }, "causes"},
		{"a cause without a name", func(o *Options, _ *[]Subject) { o.Causes = []string{"lapse", ""} }, "no name"},
		{"a cause twice", func(o *Options, _ *[]Subject) { o.Causes = []string{"lapse", "lapse"} }, "that of another"},
		{"a period called as a field", func(o *Options, _ *[]Subject) { o.Period = "age" }, "as the period is"},
		{"a roll of no field", func(o *Options, _ *[]Subject) { o.Rolls = []Roll{{Field: "x", By: 1, Every: 1}} }, "no field x"},
		{"a roll of the period", func(o *Options, _ *[]Subject) { o.Rolls = []Roll{{Field: "tenure", By: 1, Every: 1}} }, "no field tenure"},
		{"a roll twice", func(o *Options, _ *[]Subject) {
			o.Rolls = []Roll{{Field: "age", By: 1, Every: 1}, {Field: "age", By: 1, Every: 1}}
		}, "twice"},
		{"a roll every 0", func(o *Options, _ *[]Subject) { o.Rolls = []Roll{{Field: "age", By: 1}} }, "every so many"},
		{"a roll by NaN", func(o *Options, _ *[]Subject) { o.Rolls = []Roll{{Field: "age", By: math.NaN(), Every: 1}} }, "every so many"},
		{"a roll round backwards", func(o *Options, _ *[]Subject) { o.Rolls = []Roll{{Field: "age", By: 1, Every: 1, Low: 2, High: 1}} }, "go round"},
		{"bags beyond all", func(o *Options, _ *[]Subject) { o.Learner.Bags = 100 }, "bags"},
	} {
		o, subjects := Options{Causes: slices.Clone(twoEnds)}, portfolio.lives(300, 13)
		c.change(&o, &subjects)
		m, err := Fit(t.Context(), portfolio.fields, from(subjects), o)
		if c.want == "" {
			if err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if m != nil || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v; want an invalid input: %s", c.name, m, err, c.want)
		}
	}
	o := Options{Causes: []string{"lapse"}, Rolls: []Roll{{Field: "name", By: 1, Every: 1}}}
	if _, err := Fit(t.Context(), []model.Field{{Name: "name", Kind: model.Category}}, from(nil), o); !fault.Is(err, fault.Invalid) {
		t.Errorf("a name that rolls forward: %v", err)
	}
}

func TestFewEventsGiveTheMeanAndSaySo(t *testing.T) {
	w := portfolio
	subjects := w.lives(2000, 14)
	for i := range subjects {
		if s := &subjects[i]; s.Cause == 2 && i > 100 {
			s.Cause = 0
		}
	}
	m := mustFit(t, w.fields, subjects, Options{Causes: twoEnds})
	if note := m.Causes()[1].Hazard.Meta().Note; !strings.Contains(note, "the mean alone") {
		t.Errorf("%q", note)
	}
}

func TestFitIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	subjects := portfolio.lives(2000, 15)
	o := Options{Causes: twoEnds}
	o.Learner.Progress = func(int, int) { cancel() }
	if _, err := Fit(ctx, portfolio.fields, from(subjects), o); !fault.Is(err, fault.Cancelled) {
		t.Errorf("got %v, want a cancellation", err)
	}
	if _, err := Fit(ctx, portfolio.fields, from(subjects), Options{Causes: twoEnds}); !fault.Is(err, fault.Cancelled) {
		t.Errorf("got %v, want a cancellation from the start", err)
	}
}

func TestProgressAscends(t *testing.T) {
	last, all := 0, 0
	o := Options{Causes: twoEnds}
	o.Learner.Progress = func(done, total int) {
		if done < last || done > total {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last, all = done, total
	}
	mustFit(t, portfolio.fields, portfolio.lives(2000, 16), o)
	if last != all || all == 0 {
		t.Errorf("it ends at %d of %d", last, all)
	}
}
