// Package dataset reads a table of any columns, CSV or Parquet, for learning and
// scoring: it finds out which columns hold numbers and which hold names, and says so.
package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// Table is a table by columns, in the file's order.
type Table struct {
	Columns     []Column
	N           int    // rows
	Fingerprint string // of the file's bytes: SHA-256, hex
}

// Column is one column: Num if numeric, with NaN for missing, else Cat, with "".
type Column struct {
	Name     string
	Kind     model.Kind
	Num      []float64
	Cat      []string
	Missing  int
	Distinct int // values, up to MaxDistinct
}

// MaxDistinct is up to where distinct values are counted.
const MaxDistinct = 100_000

// Column finds a column by its name; nil where there is none.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// Options are what to read. The zero value reads everything as it looks.
type Options struct {
	Skip  []string              // columns to leave out
	Kinds map[string]model.Kind // columns whose kind is known; where set, all others are left out
	Also  string                // with Kinds: a column of numbers to read too, if it is there
}

// Read reads a file. A file that is no table is fault.Malformed, and says where.
func Read(path string, o Options) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "opening the table")
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "reading the table")
	}
	magic := make([]byte, 4)
	if _, err := f.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.Wrap(fault.Unavailable, err, "reading the table")
	}
	read := readCSV
	if bytes.Equal(magic, []byte("PAR1")) {
		read = readParquet
	}
	b := &builder{options: o}
	if err := read(f, b); err != nil {
		return nil, err
	}
	t := &Table{N: b.rows, Fingerprint: hex.EncodeToString(hash.Sum(nil))}
	for _, c := range b.columns {
		if c != nil {
			t.Columns = append(t.Columns, c.finish())
		}
	}
	var missing []string
	for name := range o.Kinds {
		if t.Column(name) == nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fault.New(fault.Invalid, "the table lacks %s", strings.Join(missing, ", "))
	}
	return t, nil
}

// Absent reports whether a text stands for nothing.
func Absent(s string) bool {
	switch s {
	case "", "NA", "N/A", "NaN", "nan", "null", "NULL", "None":
		return true
	}
	return false
}

// Number reads a number.
func Number(s string) (float64, bool) {
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil || errors.Is(err, strconv.ErrRange)
}

// builder collects columns.
type builder struct {
	options Options
	columns []*building // nil: left out
	rows    int
}

// building is a column that is being read.
type building struct {
	Column
	known bool // the kind is not to be found out
	words map[string]string
	seen  map[float64]struct{}
}

// open starts the columns of a header.
func (b *builder) open(names []string) error {
	seen := map[string]bool{}
	for i, name := range names {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
			return fault.New(fault.Malformed, "column %d has no name", i+1)
		case seen[name]:
			return fault.New(fault.Malformed, "the column %s is there twice", name)
		}
		seen[name] = true
		kind, known := b.options.Kinds[name]
		known = known || name == b.options.Also && b.options.Kinds != nil
		if b.options.Kinds != nil && !known || slices.Contains(b.options.Skip, name) {
			b.columns = append(b.columns, nil)
			continue
		}
		b.columns = append(b.columns, &building{
			Column: Column{Name: name, Kind: kind}, known: known, words: map[string]string{}, seen: map[float64]struct{}{},
		})
	}
	return nil
}

func (c *building) number(v float64) {
	if v != v {
		c.Missing++
	} else if len(c.seen) < MaxDistinct {
		c.seen[v] = struct{}{}
	}
	c.Num = append(c.Num, v)
}

func (c *building) name(s string) {
	if s == "" {
		c.Missing++
		c.Cat = append(c.Cat, "")
		return
	}
	w, ok := c.words[s]
	if !ok {
		w = strings.Clone(s)
		if len(c.words) < MaxDistinct {
			c.words[w] = w
		}
	}
	c.Cat = append(c.Cat, w)
}

// text adds a value as it is written; false where the column holds numbers and it is none.
func (c *building) text(s string) bool {
	s = strings.TrimSpace(s)
	switch {
	case c.Kind == model.Category:
		if Absent(s) {
			s = ""
		}
		c.name(s)
	case Absent(s):
		c.number(math.NaN())
	default:
		v, ok := Number(s)
		if !ok {
			return false
		}
		c.number(v)
	}
	return true
}

func (c *building) finish() Column {
	c.Distinct = max(len(c.words), len(c.seen))
	return c.Column
}
