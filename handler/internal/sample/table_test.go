package sample

import (
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// table is a CSV file read back, without help from what wrote it.
type table struct {
	t    testing.TB
	name string
	col  map[string]int
	rows [][]string
}

func read(t testing.TB, m memory, name string) *table {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(m[name].String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := &table{t, name, map[string]int{}, all[1:]}
	for i, c := range all[0] {
		out.col[c] = i
	}
	return out
}

func (t *table) get(row []string, col string) string {
	i, ok := t.col[col]
	if !ok {
		t.t.Fatalf("%s has no column %s", t.name, col)
	}
	return row[i]
}

// date reads a date; 0 for none.
func (t *table) date(row []string, col string) day {
	t.t.Helper()
	s := t.get(row, col)
	if s == "" {
		return 0
	}
	d, err := parseDay(s)
	if err != nil {
		t.t.Fatalf("%s: %s: %v", t.name, col, err)
	}
	return d
}

// num reads a number; 0 for none.
func (t *table) num(row []string, col string) float64 {
	t.t.Helper()
	s := t.get(row, col)
	if s == "" {
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.t.Fatalf("%s: %s: %v", t.name, col, err)
	}
	return v
}

// latest keeps the newest version of each id: the last recorded of the last valid.
func (t *table) latest(id string) map[string][]string {
	out := map[string][]string{}
	for _, r := range t.rows {
		old, ok := out[t.get(r, id)]
		if !ok || slices.Compare([]string{t.get(r, "recorded_at"), t.get(r, "valid_from")},
			[]string{t.get(old, "recorded_at"), t.get(old, "valid_from")}) > 0 {
			out[t.get(r, id)] = r
		}
	}
	return out
}

// column is the name of a column by its place.
func (t *table) column(i int) string {
	for name, at := range t.col {
		if at == i {
			return name
		}
	}
	return ""
}
