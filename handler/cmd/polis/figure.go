package main

import (
	"strings"
	"time"

	"polis/handler/internal/dataset"
	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// figure is a column of numbers with a role. Learning and scoring read the same ones, so
// that one refuses what the other does.
type figure struct {
	column string // "": it is not there, and its value stays
	into   *float64
	check  func(float64) error // what is wrong with a value; nil: any will do
	yes    bool                // yes and no are 1 and 0
	date   bool                // dates are days since 1970

	sort byte // of what a column of numbers or dates holds: 'n' or 'd'; 0 before the first
}

func targetOf(column string, loss model.Loss, into *float64) figure {
	return figure{column: column, into: into, check: loss.CheckTarget, yes: true}
}

func exposureOf(column string, into *float64) figure {
	return figure{column: column, into: into, check: model.CheckExposure}
}

func weightOf(column string, into *float64) figure {
	return figure{column: column, into: into, check: model.CheckWeight}
}

func offsetOf(column string, into *float64) figure {
	return figure{column: column, into: into, check: model.CheckOffset}
}

func timeOf(column string, into *float64) figure {
	return figure{column: column, into: into, check: model.CheckTime, date: true}
}

// readFigures reads the first columns of a row, those of the figures. A column in which one
// value is no number holds names for the table: it is that value that is wrong, not the
// first one, so names are read as numbers where they can be.
func readFigures(t *dataset.File, row model.Row, figures []figure) error {
	for at := range figures {
		g := &figures[at]
		if g.column == "" {
			continue
		}
		v, text := row.Num[at], row.Cat[at]
		if v != v && text == "" {
			return fault.New(fault.Invalid, "the column %s is missing", g.column)
		}
		if v != v {
			var err error
			if v, err = g.parse(t, text); err != nil {
				return err
			}
		}
		if g.check != nil {
			if err := g.check(v); err != nil {
				return fault.Wrap(fault.Invalid, err, "the column %s", g.column)
			}
		}
		*g.into = v
	}
	return nil
}

// parse reads what is written.
func (g *figure) parse(t *dataset.File, text string) (float64, error) {
	v, ok := t.Number(text)
	sort := byte('n')
	if !ok && g.yes {
		v, ok = yesOrNo(text)
	}
	if !ok && g.date {
		v, ok = days(text)
		sort = 'd'
	}
	switch {
	case ok && g.date && g.sort != 0 && g.sort != sort:
		return 0, fault.New(fault.Invalid, "the column %s holds a number in one row and a date in another", g.column)
	case ok:
		g.sort = sort
		return v, nil
	case g.date:
		return 0, fault.New(fault.Invalid, "the column %s is neither a number nor a date as 2024-03-31", g.column)
	case g.yes:
		return 0, fault.New(fault.Invalid, "the column %s is neither a number nor yes or no", g.column)
	}
	return 0, fault.New(fault.Invalid, "the column %s is to hold numbers", g.column)
}

func yesOrNo(s string) (v float64, ok bool) {
	switch strings.ToLower(s) {
	case "yes", "true", "y", "t", "ja":
		return 1, true
	case "no", "false", "n", "f", "nee":
		return 0, true
	}
	return 0, false
}

// days reads a date as days since 1970, as Parquet has them.
func days(s string) (float64, bool) {
	layouts := []string{time.DateTime, time.RFC3339, "2006-01-02T15:04:05"}
	if len(s) == len(time.DateOnly) {
		layouts = []string{time.DateOnly}
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, s); err == nil {
			return float64(at.Unix()) / 86400, true
		}
	}
	return 0, false
}
