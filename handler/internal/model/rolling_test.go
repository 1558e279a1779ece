package model

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestRollingIsScore to the last bit, whatever fields move and from whatever values.
func TestRollingIsScore(t *testing.T) {
	f, y, _ := madeLogistic(4000, 3)
	m := mustFit(t, f, y, Options{Loss: Logistic, Bags: 2})
	pairs := 0
	for _, term := range m.Terms() {
		pairs += len(term.Fields) - 1
	}
	if pairs == 0 {
		t.Fatal("no pair: the test shows less than it should")
	}
	value := rapid.OneOf(rapid.Just(math.NaN()), rapid.Float64Range(-20, 200))
	name := rapid.SampledFrom([]string{"", "r0", "r1", "r5", "of no training"})
	rapid.Check(t, func(t *rapid.T) {
		row := Row{Num: make([]float64, len(f.Fields)), Cat: make([]string, len(f.Fields))}
		fill := func(i int) {
			row.Num[i], row.Cat[i] = value.Draw(t, "number"), name.Draw(t, "name")
		}
		var moving []int
		for i := range f.Fields {
			fill(i)
			if rapid.Bool().Draw(t, "moves") {
				moving = append(moving, i)
			}
		}
		r := m.Rolling(moving...)
		for range 2 {
			if got, want := r.Start(row), m.Score(row, nil); math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("starts at %v, the score is %v", got, want)
			}
			for range 4 {
				for _, i := range moving {
					fill(i)
				}
				if got, want := r.Next(row), m.Score(row, nil); math.Float64bits(got) != math.Float64bits(want) {
					t.Fatalf("goes on at %v, the score is %v", got, want)
				}
			}
			for i := range f.Fields {
				fill(i)
			}
		}
		if short := (Row{Num: row.Num[:1]}); r.Start(short) != m.Score(short, nil) {
			t.Fatal("a short row has another score")
		}
	})
	r := m.Rolling(0, 4)
	row := Row{Num: []float64{40, 0, 3, 0, 90}, Cat: []string{"", "r1", "", "", ""}}
	if n := testing.AllocsPerRun(100, func() { r.Start(row); r.Next(row) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
