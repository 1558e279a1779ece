package score

import "polis/handler/internal/model"

// Rolling scores rows of which only some fields change from one to the next: those of a
// month, say. Models of our own look the rest up once; others score each row anew. The
// scores are Model.Score's to the bit. One per goroutine.
type Rolling struct {
	model Model
	own   *model.Rolling
}

// NewRolling is for rows of a model in which the given fields change.
func NewRolling(m Model, fields ...int) *Rolling {
	r := &Rolling{model: m}
	if own, ok := m.(*model.Model); ok {
		r.own = own.Rolling(fields...)
	}
	return r
}

// Start is the score of a row.
func (r *Rolling) Start(row model.Row) float64 {
	if r.own == nil {
		return r.model.Score(row, nil)
	}
	return r.own.Start(row)
}

// Next is the score of the row that Start had, with other values in the fields that change.
func (r *Rolling) Next(row model.Row) float64 {
	if r.own == nil {
		return r.model.Score(row, nil)
	}
	return r.own.Next(row)
}
