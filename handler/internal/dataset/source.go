package dataset

import (
	"context"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// source is a file of one kind or the other.
type source interface {
	// unit is what rows are counted in: lines of the file, or rows.
	unit() string
	// header is the columns in the file's order.
	header() []heading
	// each goes through the file from its beginning and tells s the values of the columns
	// at these places.
	each(ctx context.Context, columns []place, s sink) error
}

// heading is a column as the file describes it.
type heading struct {
	name string
	kind model.Kind // as far as it says; else Numeric, until something else is met
	// nested: it holds more than a value a row, and can only be left out
	nested bool
}

// place is a column to read.
type place struct {
	at   int
	kind model.Kind // a Category is told as text
}

// sink is told the values of a table: those of the columns asked for, each as it is
// written or as a number, then that the row ends.
type sink interface {
	text(i int, s []byte) bool // s is good until it returns; false: no number, as it must be
	number(i int, v float64)   // NaN is missing
	row(at int) error          // ends the pass if it fails; at is where, in the unit of the source
}

// everySoOften is the rows between looks at whether the pass is to go on.
const everySoOften = 1024

// goOn says whether it is, before row n.
func goOn(ctx context.Context, n int) error {
	if n%everySoOften != 0 {
		return nil
	}
	return fault.Wrap(fault.Cancelled, ctx.Err(), "reading the table")
}

// noNumber says where, and never what is there: it may be somebody's.
func noNumber(what string, at int, column string) error {
	return fault.New(fault.Malformed, "%s %d: the column %s is to hold numbers", what, at, column)
}
