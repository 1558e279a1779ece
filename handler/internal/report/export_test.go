package report

import (
	"io"

	"polis/handler/internal/model"
)

// WriteCells is Write for cells of the test's own making.
func WriteCells(w io.Writer, m *model.Model, cells []model.Cell, tried *Tried) error {
	s := subjectOf(m)
	s.cells = cells
	return s.write(w, tried)
}

// IsStretch reports whether a label is read as a bin of numbers.
func IsStretch(label string) bool {
	_, ok := stretchOf(label)
	return ok
}
