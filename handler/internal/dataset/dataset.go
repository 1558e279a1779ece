// Package dataset reads a table of any columns, CSV or Parquet, for learning and
// scoring: it finds out which columns hold numbers and which hold names, says so, and
// then goes through the rows as often as asked. No table is ever held in memory.
package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// File is a table in a file. It is not for use by several goroutines at once.
type File struct {
	Columns     []Column // those not left out, in the file's order
	N           int      // rows
	Fingerprint string   // of the file's bytes: SHA-256, hex

	file    *os.File
	info    fs.FileInfo // as it was opened
	source  source
	counted bool // N is known
	comma   decimalComma
}

// Column is what is known of a column.
type Column struct {
	Name     string
	Kind     model.Kind
	Missing  int
	Distinct int    // values: exact up to 4,096, estimated within some percent beyond
	Whole    bool   // all are whole numbers
	Place    bool   // it is called as columns of postcodes are
	Postcode bool   // whole numbers that are read as names, for they are places
	Hint     string // what else its names may be; "" where nothing suggests itself

	at int // its place in the file
}

// String says what a column is taken for.
func (c Column) String() string {
	what := "numbers"
	switch {
	case c.Postcode:
		what = "names (it is called as postcodes are, and all have as many digits)"
	case c.Kind == model.Category:
		what = "names"
	case c.Whole:
		what = "whole numbers"
	}
	about := ""
	if c.Distinct > mostKept {
		about = "about "
	}
	said := fmt.Sprintf("%s%d %s, %d missing", about, c.Distinct, what, c.Missing)
	if c.Hint != "" {
		said += "; " + c.Hint
	}
	return said
}

// Column finds a column by its name; nil where there is none.
func (f *File) Column(name string) *Column {
	for i := range f.Columns {
		if f.Columns[i].Name == name {
			return &f.Columns[i]
		}
	}
	return nil
}

// Options are what to read. The zero value reads everything as it looks.
type Options struct {
	Skip  []string              // columns to leave out
	Need  []string              // columns that must be there; those of Skip and Kinds must too
	Kinds map[string]model.Kind // columns whose kind is known: they must hold that
	// Known says that Kinds is all there is to know: other columns are left out, and the
	// file is not gone through to find anything out. Columns then have no counts, the file
	// has no fingerprint, and N is known after a first Each.
	Known bool
	Also  string // with Known: a column of numbers to read too, if it is there
	// Comma says that a CSV file's numbers have a decimal comma, and points between thousands
	// if anything.
	Comma bool
}

// Open finds out what a file holds; Close lets go of it. A file that is no table is
// fault.Malformed, and says where; a column of the options that it lacks is fault.Invalid.
func Open(ctx context.Context, path string, o Options) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "opening the table")
	}
	f := &File{file: file}
	if err := f.open(ctx, o); err != nil {
		return nil, errors.Join(f.named(err), file.Close())
	}
	return f, nil
}

// named is an error of the table's with the file that it is in.
func (f *File) named(err error) error {
	return fault.Wrap(fault.KindOf(err), err, "%s", filepath.Base(f.file.Name()))
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

func (f *File) open(ctx context.Context, o Options) (err error) {
	if f.info, err = f.file.Stat(); err != nil {
		return fault.Wrap(fault.Unavailable, err, "reading the table")
	}
	if !f.info.Mode().IsRegular() {
		return fault.New(fault.Malformed, "the table is no file that can be read more than once")
	}
	magic := make([]byte, 4)
	if _, err := f.file.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return fault.Wrap(fault.Unavailable, err, "reading the table")
	}
	if bytes.Equal(magic, []byte("PAR1")) {
		f.source, err = openParquet(f.file, f.info.Size())
	} else {
		f.comma = decimalComma(o.Comma)
		f.source, err = openCSV(f.file, f.info.Size())
	}
	if err != nil {
		return err
	}
	found, err := f.choose(o)
	if err != nil || o.Known {
		return err
	}
	if f.Fingerprint, err = f.fingerprint(ctx); err != nil {
		return err
	}
	places := make([]place, len(f.Columns))
	for i, c := range f.Columns {
		places[i] = place{c.at, c.Kind}
	}
	s := &survey{columns: found, comma: f.comma}
	if err := f.pass(ctx, places, s, &s.rows); err != nil {
		return err
	}
	for i := range found {
		f.Columns[i] = found[i].column(f.comma)
	}
	return nil
}

func (f *File) fingerprint(ctx context.Context) (string, error) {
	hash, body := sha256.New(), io.NewSectionReader(f.file, 0, f.info.Size())
	for {
		if err := goOn(ctx, 0); err != nil {
			return "", err
		}
		_, err := io.CopyN(hash, body, 16<<20)
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(hash.Sum(nil)), nil
		}
		if err != nil {
			return "", fault.Wrap(fault.Unavailable, err, "reading the table")
		}
	}
}

// choose starts the columns that the options do not leave out.
func (f *File) choose(o Options) (found []finding, err error) {
	seen := map[string]bool{}
	for i, h := range f.source.header() {
		name := strings.TrimSpace(h.name)
		switch {
		case name == "":
			return nil, fault.New(fault.Malformed, "column %d has no name", i+1)
		case seen[name]:
			return nil, fault.New(fault.Malformed, "the column %s is there twice", name)
		}
		seen[name] = true
		kind, known := o.Kinds[name]
		switch {
		case slices.Contains(o.Skip, name) || o.Known && !known && name != o.Also:
			continue
		case h.nested:
			return nil, fault.New(fault.Malformed, "the column %s is nested: it holds more than a value a row, and can only be left out", name)
		case !known && !o.Known:
			kind = h.kind
		}
		c := Column{Name: name, Kind: kind, Place: postcode(name), at: i}
		f.Columns = append(f.Columns, c)
		found = append(found, finding{Column: c, known: known, postcode: !known && c.Place})
	}
	var lacks []string
	for name := range o.Kinds {
		if !seen[name] {
			lacks = append(lacks, name)
		}
	}
	for _, name := range slices.Concat(o.Skip, o.Need) {
		if !seen[name] {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) > 0 {
		slices.Sort(lacks)
		return nil, fault.New(fault.Invalid, "the table lacks %s", strings.Join(slices.Compact(lacks), ", "))
	}
	return found, nil
}

// Each gives the rows to do, all of them in the file's order, until do fails. Column i of
// those asked for is in Num[i], with NaN for missing, or in Cat[i], with "", by its kind;
// a column "" is read from nowhere and always missing. The slices are the same each time:
// what is to be kept is to be copied. Where do says that a row is fault.Invalid, Each says
// which: by the file and the line that the row begins in, or in Parquet by its number from 1.
func (f *File) Each(ctx context.Context, columns []string, do func(model.Row) error) error {
	r := &rows{
		current: model.Row{Num: make([]float64, len(columns)), Cat: make([]string, len(columns))},
		do:      do,
		comma:   f.comma,
	}
	var places []place
	for i, name := range columns {
		r.current.Num[i] = nan
		if name == "" {
			continue
		}
		c := f.Column(name)
		if c == nil {
			return f.named(fault.New(fault.Invalid, "the table lacks %s", name))
		}
		places = append(places, place{c.at, c.Kind})
		r.cells = append(r.cells, cell{into: i, kind: c.Kind, words: map[string]string{}})
	}
	err := f.pass(ctx, places, r, &r.n)
	switch {
	case err == nil:
		return nil
	case r.failed == nil:
		return f.named(err)
	case fault.Is(err, fault.Invalid):
		return f.named(fault.Wrap(fault.Invalid, err, "%s %d", f.source.unit(), r.at))
	}
	return err
}

// Number reads a text as the table's numbers are read.
func (f *File) Number(text string) (float64, bool) { return f.comma.number([]byte(text)) }

// pass goes through the file once; rows is the count that s keeps.
func (f *File) pass(ctx context.Context, columns []place, s sink, rows *int) error {
	if err := f.unchanged(); err != nil {
		return err
	}
	err := f.source.each(ctx, columns, s)
	if err == nil || fault.Is(err, fault.Malformed) { // a file that is being written to looks damaged
		if changed := f.unchanged(); changed != nil {
			return changed
		}
	}
	switch {
	case err != nil:
		return err
	case f.counted && f.N != *rows:
		return errChanged
	}
	f.N, f.counted = *rows, true
	return nil
}

var errChanged = fault.New(fault.Conflict, "the table changed while it was being read")

// unchanged says whether the file is still what was opened, as far as that shows outside.
func (f *File) unchanged() error {
	info, err := f.file.Stat()
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "reading the table")
	}
	if info.Size() != f.info.Size() || !info.ModTime().Equal(f.info.ModTime()) {
		return errChanged
	}
	return nil
}
