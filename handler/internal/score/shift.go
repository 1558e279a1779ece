package score

import (
	"math"

	"polis/handler/internal/fault"
)

// Shift is what to add to a model's link so that a mean over rows is rate. mean tells of a
// shift the mean and its slope; what it fails with is returned. By Newton's method on the
// mean's logarithm, which for a log link is there at once, held to what is known to be too
// low and too high. fault.Invalid where no shift brings the mean there.
func Shift(rate float64, mean func(shift float64) (mean, slope float64, err error)) (float64, error) {
	const (
		near   = 1e-10 // relative
		stride = 10    // the longest step: further, links leave the range of numbers
	)
	shift, low, high := 0.0, math.Inf(-1), math.Inf(1)
	for range 100 {
		m, slope, err := mean(shift)
		if err != nil {
			return 0, err
		}
		if math.Abs(m/rate-1) <= near {
			return shift, nil
		}
		if m < rate {
			low = shift
		} else {
			high = shift
		}
		step := math.Log(rate/m) * m / slope
		if step != step { // flat, as far away as this
			step = math.Copysign(stride, rate-m)
		}
		next := shift + max(-stride, min(stride, step))
		if next <= low || next >= high {
			next = (low + high) / 2
		}
		shift = next
	}
	return 0, fault.New(fault.Invalid, "no shift brings the mean to the rate")
}
