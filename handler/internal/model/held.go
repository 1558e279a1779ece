package model

import (
	"context"
	"math"

	"polis/handler/internal/fault"
	"polis/handler/internal/measure"
)

// HeldOut is what the rows that a fit held out were predicted: its Put is for Options.Held,
// its Try compares them with what came of them.
type HeldOut struct {
	mean []float32 // by row; 0 where it was not held out
	any  bool
}

// NewHeldOut is for a table of so many rows.
func NewHeldOut(rows int) *HeldOut { return &HeldOut{mean: make([]float32, rows)} }

// Put notes a row's mean.
func (h *HeldOut) Put(row int, mean float64) { h.mean[row], h.any = short(mean), true }

// short keeps what is over 0 over 0.
func short(v float64) float32 {
	if v > 0 {
		return min(max(float32(v), math.SmallestNonzeroFloat32), math.MaxFloat32)
	}
	return float32(v)
}

// Try is how the predictions did on the same rows; nil where none was held out.
func (h *HeldOut) Try(ctx context.Context, loss Loss, rows Rows) (*measure.Trial, error) {
	if !h.any {
		return nil, nil
	}
	var mean, y, exposure, weight []float32
	n := 0
	err := rows(ctx, func(c *Case) error {
		if n == len(h.mean) {
			return fault.New(fault.Invalid, "the table has grown since it was fitted to")
		}
		if m := h.mean[n]; m > 0 {
			mean, y = append(mean, m), append(y, short(c.Y))
			exposure, weight = append(exposure, short(c.Exposure)), append(weight, short(c.Weight))
		}
		n++
		return nil
	})
	if err != nil {
		return nil, err
	}
	return measure.Try(measure.Family(loss), mean, y, exposure, weight)
}
