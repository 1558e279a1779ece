package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/text/encoding/unicode"

	"polis/handler/internal/fault"
)

// csvFile is a table as text, with one of three delimiters, perhaps compressed.
type csvFile struct {
	file  *os.File
	size  int64
	comma byte
	names []heading
}

func openCSV(file *os.File, size int64) (*csvFile, error) {
	c := &csvFile{file: file, size: size}
	r, err := c.reader()
	if err != nil {
		return nil, err
	}
	c.comma = delimiter(r)
	names, err := newRecords(r, c.comma).next()
	if errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Malformed, "the table is empty; it needs a header at least")
	}
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if bytes.IndexByte(name, 0) >= 0 {
			return nil, fault.New(fault.Malformed, "the header has zero bytes, as UTF-16 without its mark has: save the table as UTF-8")
		}
		if bytes.ContainsRune(name, '\r') {
			return nil, fault.New(fault.Malformed, "the header has line breaks of CR alone: save the table with LF or CRLF")
		}
		c.names = append(c.names, heading{name: strings.TrimSpace(readable(string(name)))})
	}
	return c, nil
}

// reader is the text from its beginning.
func (c *csvFile) reader() (*bufio.Reader, error) {
	r := bufio.NewReaderSize(io.NewSectionReader(c.file, 0, c.size), bufferSize)
	if magic, _ := r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, err, "not a gzip file")
		}
		r = bufio.NewReaderSize(z, bufferSize)
	}
	switch bom, _ := r.Peek(3); {
	case bytes.Equal(bom, []byte{0xef, 0xbb, 0xbf}):
		_, _ = r.Discard(3) // it was there a moment ago
	case bytes.HasPrefix(bom, []byte{0xff, 0xfe}), bytes.HasPrefix(bom, []byte{0xfe, 0xff}):
		utf16 := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()
		r = bufio.NewReaderSize(utf16.Reader(r), bufferSize)
	}
	return r, nil
}

const bufferSize = 256 << 10

// delimiter is the one that the first line has most of.
func delimiter(r *bufio.Reader) byte {
	first, _ := r.Peek(64 << 10) // whatever is wrong will be so again
	line, _, _ := bytes.Cut(first, []byte{'\n'})
	best := byte(',')
	for _, d := range []byte{';', '\t'} {
		if bytes.Count(line, []byte{d}) > bytes.Count(line, []byte{best}) {
			best = d
		}
	}
	return best
}

func (c *csvFile) unit() string { return "line" }

func (c *csvFile) header() []heading { return c.names }

func (c *csvFile) each(ctx context.Context, columns []place, s sink) error {
	text, err := c.reader()
	if err != nil {
		return err
	}
	r := newRecords(text, c.comma)
	if _, err := r.next(); err != nil {
		return fault.Wrap(fault.Malformed, err, "reading the header")
	}
	for n := 0; ; n++ {
		if err := goOn(ctx, n); err != nil {
			return err
		}
		fields, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i, p := range columns {
			if !s.text(i, fields[p.at]) {
				return noNumber(c.unit(), r.line, c.names[p.at].name)
			}
		}
		if err := s.row(r.line); err != nil {
			return err
		}
	}
}
