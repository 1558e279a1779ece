package model

import (
	"bytes"
	"context"
	"math"
	"runtime"
	"slices"
	"testing"

	"polis/handler/internal/fault"
)

func saved(t testing.TB, m *Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFitRecoversWhatMadeTheData(t *testing.T) {
	long(t)
	for loss, data := range madeBy {
		t.Run(loss.String(), func(t *testing.T) {
			f, y, link := data(40_000, 1)
			m := mustFit(t, f, y, Options{Loss: loss})
			row := newRow(f)
			var squares, variance, mean float64
			for i := range f.N {
				mean += link[i] / float64(f.N)
			}
			for i := range f.N {
				rowOf(f, i, &row)
				d := m.Score(row, nil) - link[i]
				squares += d * d
				variance += (link[i] - mean) * (link[i] - mean)
			}
			// A twelfth of the rows hide their power, so not all can be known.
			if r2 := 1 - squares/variance; r2 < 0.85 {
				t.Errorf("the fit explains %.3f of the true link's variance, want 0.85; %v %v", r2, m, m.Meta().Metrics)
			}
		})
	}
}

func TestContributionsSumToTheScoreExactly(t *testing.T) {
	long(t)
	for loss, data := range madeBy {
		f, y, _ := data(10_000, 2)
		m := mustFit(t, f, y, Options{Loss: loss})
		contrib := make([]float64, len(m.Terms()))
		row := newRow(f)
		for i := range f.N {
			rowOf(f, i, &row)
			score := m.Score(row, contrib)
			sum := m.Intercept()
			for _, c := range contrib {
				sum += c
			}
			if sum != score {
				t.Fatalf("%s row %d: contributions sum to %v, score %v", loss, i, sum, score)
			}
		}
	}
}

func TestTheSameModelWhateverTheWorkers(t *testing.T) {
	for loss, data := range madeBy {
		f, y, _ := data(8_000, 3)
		one := runtime.GOMAXPROCS(1)
		first := saved(t, mustFit(t, f, y, Options{Loss: loss, Seed: 7}))
		runtime.GOMAXPROCS(5)
		second := saved(t, mustFit(t, f, y, Options{Loss: loss, Seed: 7}))
		runtime.GOMAXPROCS(one)
		if !bytes.Equal(first, second) {
			t.Errorf("%s: one worker and five made different models", loss)
		}
	}
}

func TestSaveThenLoad(t *testing.T) {
	f, y, _ := madePoisson(10_000, 4)
	m := mustFit(t, f, y, Options{Loss: Poisson}).WithMeta(Meta{Name: "frequency", Trained: "2026-01-31"})
	content := saved(t, m)
	got, err := Load(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content, saved(t, got)) {
		t.Error("a loaded model saves to other bytes")
	}
	if got.Version() != m.Version() || got.Meta().Name != "frequency" || got.Loss() != Poisson {
		t.Errorf("loaded %v %+v, saved %v", got, got.Meta(), m)
	}
	if !slices.Equal(got.Fields(), f.Fields) {
		t.Errorf("fields %v, want %v", got.Fields(), f.Fields)
	}
	row := newRow(f)
	for i := range 1000 {
		rowOf(f, i, &row)
		if a, b := m.Score(row, nil), got.Score(row, nil); a != b {
			t.Fatalf("row %d scores %v before and %v after", i, a, b)
		}
	}
}

func TestConstant(t *testing.T) {
	fields := []Field{{Name: "age"}}
	m := Constant(fields, Logistic, math.NaN(), "12 policies are too few")
	if got := m.Mean(m.Score(Row{}, nil)); got != 0.5 {
		t.Errorf("mean %v, want 0.5", got)
	}
	if _, err := Load(bytes.NewReader(saved(t, m))); err != nil {
		t.Error(err)
	}
	if m.Meta().Note == "" || len(m.Terms()) != 0 {
		t.Errorf("%+v with %d terms", m.Meta(), len(m.Terms()))
	}
}

func TestFitIsCancelled(t *testing.T) {
	f, y, _ := madePoisson(5_000, 5)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Fit(ctx, f, y, Options{Loss: Poisson, Progress: func(int, int) { cancel() }})
	if !fault.Is(err, fault.Cancelled) {
		t.Errorf("got %v, want a cancellation", err)
	}
}

func TestLean(t *testing.T) {
	f, y, _ := madePoisson(10_000, 41)
	m := mustFit(t, f, y, Options{Loss: Poisson})
	lean := m.Lean()
	if a, b := len(saved(t, m)), len(saved(t, lean)); b > 2*a/3 {
		t.Errorf("%d bytes are made %d", a, b)
	}
	row := newRow(f)
	for i := range 1000 {
		rowOf(f, i, &row)
		if m.Score(row, nil) != lean.Score(row, nil) {
			t.Fatalf("row %d scores something else", i)
		}
	}
	for _, c := range lean.Cells() {
		if c.Error != 0 || c.Weight != 0 {
			t.Fatalf("%+v", c)
		}
	}
	if lean.Version() == m.Version() {
		t.Error("another file has the same version")
	}
}

// TestOver: a lean file has the fields in use alone; over all fields again, in whatever order,
// it scores the same and is the same file.
func TestOver(t *testing.T) {
	f, y, _ := madePoisson(10_000, 41)
	idle := make([]float64, f.N) // says nothing
	f.Fields, f.Num, f.Cat = append([]Field{{Name: "idle"}}, f.Fields...), append([][]float64{idle}, f.Num...), append([][]string{nil}, f.Cat...)
	m := mustFit(t, f, y, Options{Loss: Poisson, Lean: true})
	own, err := Parse(saved(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if len(own.Fields()) >= len(f.Fields) {
		t.Fatalf("%d fields of %d are in use", len(own.Fields()), len(f.Fields))
	}
	back := slices.Clone(f.Fields)
	slices.Reverse(back)
	for name, fields := range map[string][]Field{"as they were": f.Fields, "the other way round": back} {
		over, err := own.Over(fields)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(over.Fields()) != len(fields) || over.Version() != m.Version() {
			t.Errorf("%s: %d fields, version %s, want %s", name, len(over.Fields()), over.Version(), m.Version())
		}
		row, turned := newRow(f), newRow(f)
		for i := range 1000 {
			rowOf(f, i, &row)
			for k := range fields {
				from := slices.IndexFunc(f.Fields, func(g Field) bool { return g.Name == fields[k].Name })
				turned.Num[k], turned.Cat[k] = row.Num[from], row.Cat[from]
			}
			if m.Score(row, nil) != over.Score(turned, nil) {
				t.Fatalf("%s: row %d scores something else", name, i)
			}
		}
	}
	if over, _ := own.Over(f.Fields); !bytes.Equal(saved(t, over), saved(t, m)) {
		t.Error("over all fields it is another file")
	}
	other := slices.Clone(f.Fields)
	other[slices.IndexFunc(other, func(g Field) bool { return g.Name == own.Fields()[0].Name })].Name = "another"
	if _, err := own.Over(other); !fault.Is(err, fault.Invalid) {
		t.Errorf("over rows without one of its fields: %v", err)
	}
}
