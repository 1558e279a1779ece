package score

import (
	"fmt"
	"math"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

func TestNormsOfABook(t *testing.T) {
	s := NewSurvey()
	for i := range 1000 {
		s.Number("premium", float64(i))
		s.Number("claims", float64(max(0, i-899)/50)) // 0, but for one in twenty-one 1 or 2
		s.Name("origin", [...]string{"direct", "broker", "direct", ""}[i%4])
		s.Name("plate", fmt.Sprint("plate ", i))
	}
	s.Number("premium", math.NaN())
	n := s.Norms()
	for _, tc := range []struct {
		feature string
		value   float64
		want    Book
	}{
		{"premium", 499, Book{Known: true, Median: 500, Percentile: 49.9}},
		{"premium", -1, Book{Known: true, Median: 500}},
		{"premium", 5000, Book{Known: true, Median: 500, Percentile: 100}},
		{"claims", 0, Book{Known: true, Median: 0, Percentile: 45}},
		{"claims", 1, Book{Known: true, Median: 0, Percentile: 95}},
		{"unheard of", 1, Book{}},
	} {
		r := Reasons{Top: []Reason{{Code: tc.feature, Numeric: true, Number: tc.value}}}
		n.Compare(&r)
		if got := r.Top[0].Book; got.Known != tc.want.Known || got.Median != tc.want.Median || math.Abs(got.Percentile-tc.want.Percentile) > 1e-9 {
			t.Errorf("%s %v: %+v, want %+v", tc.feature, tc.value, got, tc.want)
		}
	}
	r := Reasons{Top: []Reason{{Code: "origin", Text: "broker"}, {Code: "plate", Text: "plate 1"}, {Code: "premium", Numeric: true, Number: math.NaN()}}}
	n.Compare(&r)
	if got := r.Top[0].Book; got != (Book{Known: true, Common: "direct", Share: 0.5}) {
		t.Errorf("origin: %+v", got)
	}
	if got := r.Top[1].Book; got.Known {
		t.Errorf("a name that one customer has is kept for all: %+v", got)
	}
	if got := r.Top[2].Book; got.Median != 500 || !math.IsNaN(got.Percentile) {
		t.Errorf("an unknown premium: %+v", got)
	}
}

// TestPlaceIsAPercentage holds places to 0–100, rising with the number.
func TestPlaceIsAPercentage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.SliceOfN(rapid.Float64Range(-100, 100), 2, 30).Draw(t, "quantiles")
		sort.Float64s(q)
		n := Norm{Quantiles: q}
		a, b := rapid.Float64Range(-200, 200).Draw(t, "a"), rapid.Float64Range(-200, 200).Draw(t, "b")
		if a > b {
			a, b = b, a
		}
		if x, y := n.Place(a), n.Place(b); x > y || x < 0 || y > 100 {
			t.Fatalf("%v is at %v, %v at %v", a, x, b, y)
		}
	})
}
