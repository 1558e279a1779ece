package dataset

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"

	"polis/handler/internal/fault"
)

// records parts CSV into records as encoding/csv does (RFC 4180; blank lines are none),
// but allocates nothing for them: a table is gone through many times.
type records struct {
	r      *bufio.Reader
	comma  byte
	line   int // where the record begins
	read   int // lines
	width  int // fields of every record; 0 before the first
	fields [][]byte
	long   []byte // a line that the reader's buffer does not hold
	quoted []byte // a record without its quotes
	ends   []int  // of the fields in quoted
}

// maxRecord bounds a record: what is longer lacks a quote.
const maxRecord = 16 << 20

func newRecords(r *bufio.Reader, comma byte) *records { return &records{r: r, comma: comma} }

// next is the next record, good until the one after; io.EOF is the end.
func (r *records) next() ([][]byte, error) {
	var line []byte
	for len(line) == 0 {
		var err error
		if line, err = r.readLine(); err != nil {
			return nil, err
		}
		line = chomp(line)
	}
	r.line = r.read
	r.fields = r.fields[:0]
	if bytes.IndexByte(line, '"') >= 0 {
		if err := r.unquote(line); err != nil {
			return nil, err
		}
	} else {
		r.split(line)
	}
	if r.width == 0 {
		r.width = len(r.fields)
	}
	if len(r.fields) != r.width {
		return nil, fault.New(fault.Malformed, "line %d: %d fields, where the header has %d", r.line, len(r.fields), r.width)
	}
	return r.fields, nil
}

// split parts a record without quotes. It is where most of the time goes, so it looks at
// eight bytes at once: a comma is what the exclusive or leaves nothing of, and only of
// nothing does the sum, which carries from no byte to the next, not set the top bit.
func (r *records) split(line []byte) {
	const low, top = 0x7f7f7f7f7f7f7f7f, 0x8080808080808080
	start, i := 0, 0
	commas := uint64(r.comma) * 0x0101010101010101
	for ; i+8 <= len(line); i += 8 {
		x := binary.LittleEndian.Uint64(line[i:]) ^ commas
		for found := ^(x&low + low | x) & top; found != 0; found &= found - 1 {
			at := i + bits.TrailingZeros64(found)/8
			r.fields = append(r.fields, line[start:at])
			start = at + 1
		}
	}
	for ; i < len(line); i++ {
		if line[i] == r.comma {
			r.fields = append(r.fields, line[start:i])
			start = i + 1
		}
	}
	r.fields = append(r.fields, line[start:])
}

// readLine is the next line with its end; the last may have none.
func (r *records) readLine() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	if err == nil {
		r.read++
		return line, nil
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = r.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) && len(r.long) <= maxRecord {
			r.long = append(r.long, line...)
			line, err = r.r.ReadSlice('\n')
		}
		r.long = append(r.long, line...)
		line = r.long
	}
	switch {
	case len(line) > maxRecord:
		return nil, tooLong(r.read + 1)
	case errors.Is(err, io.EOF) && len(line) > 0:
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, fault.Wrap(fault.Malformed, err, "reading the table after line %d", r.read)
	}
	r.read++
	return line, nil
}

func tooLong(line int) error {
	return fault.New(fault.Malformed, "line %d: a record of more than %d MiB; is there a quote too many?", line, maxRecord>>20)
}

// chomp cuts the end of a line off.
func chomp(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'})
}

// unquote parts a record that has quotes, and may go on over several lines.
func (r *records) unquote(line []byte) error {
	r.quoted, r.ends = r.quoted[:0], r.ends[:0]
	for more := true; more; {
		if len(line) == 0 || line[0] != '"' {
			var field []byte
			field, line, more = bytes.Cut(line, []byte{r.comma})
			if bytes.IndexByte(field, '"') >= 0 {
				return fault.New(fault.Malformed, "line %d: a quote inside a field without quotes", r.read)
			}
			r.quoted = append(r.quoted, field...)
		} else {
			var err error
			if line, more, err = r.quotedField(line[1:]); err != nil {
				return err
			}
		}
		r.ends = append(r.ends, len(r.quoted))
	}
	start := 0
	for _, end := range r.ends {
		r.fields = append(r.fields, r.quoted[start:end])
		start = end
	}
	return nil
}

// quotedField takes a field from behind its first quote; it returns what follows, and
// whether that is another field.
func (r *records) quotedField(line []byte) (rest []byte, more bool, err error) {
	for {
		text, after, closed := bytes.Cut(line, []byte{'"'})
		r.quoted = append(r.quoted, text...)
		switch {
		case closed && len(after) == 0:
			return nil, false, nil
		case closed && after[0] == r.comma:
			return after[1:], true, nil
		case closed && after[0] == '"':
			r.quoted = append(r.quoted, '"')
			line = after[1:]
			continue
		case closed:
			return nil, false, fault.New(fault.Malformed, "line %d: something follows the quote that ends a field", r.read)
		case len(r.quoted) > maxRecord:
			return nil, false, tooLong(r.line)
		}
		if line, err = r.readLine(); errors.Is(err, io.EOF) {
			return nil, false, fault.New(fault.Malformed, "line %d: a quoted field that does not end", r.line)
		}
		if err != nil {
			return nil, false, err
		}
		r.quoted = append(r.quoted, '\n')
		line = chomp(line)
	}
}
