package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// readCSV reads a file twice: whether a column holds numbers only is known at its end.
func readCSV(f *os.File, b *builder) error {
	if err := eachRecord(f, b.open, func(line int, record []string) error {
		for i, c := range b.columns {
			if c == nil || c.known || c.Kind == model.Category {
				continue
			}
			if s := strings.TrimSpace(record[i]); !Absent(s) {
				if _, ok := Number(s); !ok {
					c.Kind = model.Category
				}
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return eachRecord(f, func([]string) error { return nil }, func(line int, record []string) error {
		b.rows++
		for i, c := range b.columns {
			if c != nil && !c.text(record[i]) {
				return fault.New(fault.Malformed, "line %d: the column %s is to hold numbers", line, c.Name)
			}
		}
		return nil
	})
}

// eachRecord reads a file from its beginning: the header, then each record with its line.
func eachRecord(f *os.File, header func([]string) error, record func(line int, record []string) error) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fault.Wrap(fault.Unavailable, err, "reading the table")
	}
	r := bufio.NewReaderSize(f, 1<<20)
	if magic, _ := r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fault.Wrap(fault.Malformed, err, "not a gzip file")
		}
		r = bufio.NewReaderSize(z, 1<<20)
	}
	if bom, _ := r.Peek(3); bytes.Equal(bom, []byte{0xef, 0xbb, 0xbf}) {
		_, _ = r.Discard(3) // it was there a moment ago
	}
	first, err := r.Peek(64 << 10)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return fault.Wrap(fault.Malformed, err, "reading the table")
	}
	line, _, _ := bytes.Cut(first, []byte{'\n'})
	c := csv.NewReader(r)
	c.ReuseRecord = true
	for _, d := range []byte{';', '\t'} {
		if bytes.Count(line, []byte{d}) > bytes.Count(line, []byte{byte(c.Comma)}) {
			c.Comma = rune(d)
		}
	}
	names, err := c.Read()
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Malformed, "the table is empty; it needs a header at least")
	}
	if err != nil {
		return csvFault(err)
	}
	if err := header(names); err != nil {
		return err
	}
	for {
		fields, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return csvFault(err)
		}
		at, _ := c.FieldPos(0)
		if err := record(at, fields); err != nil {
			return err
		}
	}
}

// csvFault says where, and never what is there: it may be somebody's.
func csvFault(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fault.New(fault.Malformed, "line %d: %v", p.Line, p.Err)
	}
	return fault.Wrap(fault.Malformed, err, "reading the table")
}
