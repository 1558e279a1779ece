package model

import (
	"context"
	"slices"
)

// FitRows is Fit for a table that is not held in memory: it goes through the rows more
// than once, and keeps a byte or two for each value. Without any
// group each row is its own; where all times are the same there is no time.
func FitRows(ctx context.Context, fields []Field, rows Rows, o Options) (*Model, error) {
	f := Frame{Fields: fields, Num: make([][]float64, len(fields)), Cat: make([][]string, len(fields))}
	var y Target
	grouped := false
	if err := rows(ctx, func(c *Case) error {
		f.N++
		for i, field := range fields {
			if field.Kind == Numeric {
				f.Num[i] = append(f.Num[i], c.Num[i])
			} else {
				f.Cat[i] = append(f.Cat[i], c.Cat[i])
			}
		}
		y.Y, y.Weight, y.Exposure = append(y.Y, c.Y), append(y.Weight, c.Weight), append(y.Exposure, c.Exposure)
		y.Group, grouped = append(y.Group, c.Group), grouped || c.Group != ""
		return nil
	}); err != nil {
		return nil, err
	}
	if o.Loss == Logistic || o.Loss == Gamma || !slices.ContainsFunc(y.Exposure, func(e float64) bool { return e != 1 }) {
		y.Exposure = nil
	}
	if !grouped {
		y.Group = nil
	}
	return Fit(ctx, f, y, o)
}
