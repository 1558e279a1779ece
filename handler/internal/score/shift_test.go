package score_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
	. "polis/handler/internal/score"
)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// TestShift: whatever the links are, their mean at the shift is the rate.
func TestShift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		links := rapid.SliceOfN(rapid.Float64Range(-12, 6), 1, 20).Draw(t, "links")
		rate := rapid.Float64Range(1e-4, 0.99).Draw(t, "rate")
		mean := func(shift float64) (m, slope float64, _ error) {
			for _, l := range links {
				p := sigmoid(l + shift)
				m += p / float64(len(links))
				slope += p * (1 - p) / float64(len(links))
			}
			return m, slope, nil
		}
		shift, err := Shift(rate, mean)
		if err != nil {
			t.Fatal(err)
		}
		if m, _, _ := mean(shift); math.Abs(m/rate-1) > 1e-9 {
			t.Fatalf("the mean is %v, not %v", m, rate)
		}
	})
}

func TestNoShift(t *testing.T) {
	if _, err := Shift(0.5, func(float64) (float64, float64, error) { return 0.1, 0, nil }); !fault.Is(err, fault.Invalid) {
		t.Errorf("a mean that does not move: %v", err)
	}
	broken := errors.New("broken")
	if _, err := Shift(0.5, func(float64) (float64, float64, error) { return 0, 0, broken }); !errors.Is(err, broken) {
		t.Errorf("rows that cannot be read: %v", err)
	}
}
