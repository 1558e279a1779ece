// Package tabular reads CSV and NDJSON as other programs really write them: it cuts
// a stream in records with their line numbers, and records in fields. What a field
// means is for its callers.
//
// Reading is in two steps so that the second can be done in parallel: a Framer finds
// where records begin and end; Split and Members cut one record in fields.
package tabular

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// Limits of a record.
const (
	MaxRecord = 1 << 20 // bytes
	// A quoted field may hold line breaks, within these bounds: where a quote is not
	// closed, they are what is searched before the line is given up.
	maxQuotedBytes = 64 << 10
	maxQuotedLines = 200

	blockBytes = 256 << 10
)

// Format is how records are written.
type Format string

// The formats.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
)

// Encoding is how text is written.
type Encoding string

// The encodings. ASCII is both, until a text shows which.
const (
	ASCII       Encoding = "ascii"
	UTF8        Encoding = "utf-8"
	Windows1252 Encoding = "windows-1252"
)

// Frame is where a record lies in its block, without its line break.
type Frame struct {
	Line     int64 // of its beginning; the first is 1
	From, To int
	Fault    error // why it is no record: ErrTooLong, ErrQuote
}

// Block is a piece of a file with whole records.
type Block struct {
	Data     []byte
	Frames   []Frame
	Encoding Encoding // of this block: ASCII where that is all it holds
	HasNUL   bool
}

// What may be wrong with a record.
var (
	ErrTooLong = errors.New("is longer than 1 MiB")
	ErrQuote   = errors.New("has a quote that is not closed")
	ErrBare    = errors.New("has a quote inside a field, which must then be quoted and the quote doubled")
	ErrAfter   = errors.New("has text after a closing quote")
	ErrNUL     = errors.New("holds a NUL byte")
	ErrUTF8    = errors.New("is not valid UTF-8")
)

// Framer cuts a stream in blocks of records.
type Framer struct {
	r         io.Reader
	format    Format
	delimiter byte
	// Columns is how many fields a record has, once that is known. A quoted field
	// with line breaks is believed only where its record has that many.
	Columns  int
	encoding Encoding

	rest     []byte
	line     int64
	eof      bool
	skipping bool // in a line that is too long
	fields   []string
}

// NewFramer starts framing. With encoding ASCII the first other text decides.
func NewFramer(r io.Reader, format Format, delimiter byte, encoding Encoding) *Framer {
	return &Framer{r: r, format: format, delimiter: delimiter, encoding: encoding, line: 1}
}

// Encoding is what the text has been so far.
func (f *Framer) Encoding() Encoding { return f.encoding }

// Next fills the block with the next records; io.EOF after the last.
func (f *Framer) Next(b *Block) error {
	b.Frames = b.Frames[:0]
	b.Data = append(b.Data[:0], f.rest...)
	f.rest = f.rest[:0]
	for want := blockBytes; ; want = len(b.Data) + blockBytes {
		if f.eof && len(b.Data) == 0 {
			return io.EOF
		}
		if err := f.fill(b, want); err != nil {
			return err
		}
		done := f.frame(b)
		if len(b.Frames) > 0 {
			f.rest = append(f.rest, b.Data[done:]...)
			b.Data = b.Data[:done]
			f.encode(b)
			return nil
		}
		b.Data = b.Data[:copy(b.Data, b.Data[done:])]
	}
}

// fill reads until the block has as many bytes as wanted.
func (f *Framer) fill(b *Block, want int) error {
	if cap(b.Data) < want {
		b.Data = append(make([]byte, 0, want), b.Data...)
	}
	for len(b.Data) < want && !f.eof {
		n, err := f.r.Read(b.Data[len(b.Data):want])
		b.Data = b.Data[:len(b.Data)+n]
		if err == io.EOF {
			f.eof = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// frame finds the block's records and returns where the first incomplete one begins.
func (f *Framer) frame(b *Block) int {
	at := 0
	for at < len(b.Data) {
		end := bytes.IndexByte(b.Data[at:], '\n')
		next := at + end + 1
		if end < 0 {
			if !f.eof {
				if f.skipping {
					return len(b.Data)
				}
				if len(b.Data)-at > MaxRecord {
					b.Frames = append(b.Frames, Frame{Line: f.line, From: at, To: at, Fault: ErrTooLong})
					f.skipping = true
					return len(b.Data)
				}
				return at
			}
			next, end = len(b.Data), len(b.Data)-at
		}
		frame := Frame{Line: f.line, From: at, To: at + end}
		lines := int64(1)
		switch {
		case f.skipping:
			f.skipping = false
			f.line++
			at = next
			continue
		case end > MaxRecord:
			frame.To, frame.Fault = at, ErrTooLong
		case f.format == CSV && bytes.Count(b.Data[at:at+end], quote)%2 == 1:
			to, n, more := f.quoted(b.Data[at:])
			if more {
				return at
			}
			if n == 0 {
				frame.Fault = ErrQuote
				break
			}
			lines, frame.To = n, at+to
			next = min(frame.To+1, len(b.Data))
		}
		if frame.To > frame.From && b.Data[frame.To-1] == '\r' {
			frame.To--
		}
		if frame.Fault != nil || len(bytes.TrimSpace(b.Data[frame.From:frame.To])) > 0 {
			b.Frames = append(b.Frames, frame)
		}
		f.line += lines
		at = next
	}
	return at
}

var quote = []byte{'"'}

// quoted finds the end of a record whose first line leaves a quote open, and its
// number of lines; 0 where there is no good end, so that a broken quote costs its own
// line and not what follows. more asks for more data.
func (f *Framer) quoted(data []byte) (end int, lines int64, more bool) {
	open := false
	for n := int64(1); n <= maxQuotedLines && end <= maxQuotedBytes; n++ {
		i := bytes.IndexByte(data[end:], '\n')
		if i < 0 {
			if !f.eof {
				return 0, 0, len(data)-end <= maxQuotedBytes
			}
			i = len(data) - end
		}
		if bytes.Count(data[end:end+i], quote)%2 == 1 {
			open = !open
		}
		end += i
		if !open {
			var err error
			f.fields, err = Split(f.fields[:0], string(bytes.TrimSuffix(data[:end], []byte{'\r'})), f.delimiter)
			if err != nil || f.Columns > 0 && len(f.fields) != f.Columns {
				return 0, 0, false
			}
			return end, n, false
		}
		if end++; end >= len(data) {
			return 0, 0, !f.eof
		}
	}
	return 0, 0, false
}

// encode settles the block's encoding.
func (f *Framer) encode(b *Block) {
	b.HasNUL = bytes.IndexByte(b.Data, 0) >= 0
	b.Encoding = ASCII
	if ascii(b.Data) {
		return
	}
	if f.encoding == ASCII {
		f.encoding = GuessEncoding(b.Data)
	}
	b.Encoding = f.encoding
}

// GuessEncoding tells UTF-8 from Windows-1252 by whether its bytes above ASCII form
// UTF-8 more often than not: one broken name must not turn all others into mojibake.
func GuessEncoding(b []byte) Encoding {
	good, bad := 0, 0
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRune(b) { // cut off at the end of a sample
				break
			}
			bad++
		} else {
			good++
		}
		b = b[n:]
	}
	switch {
	case good == 0 && bad == 0:
		return ASCII
	case good > bad:
		return UTF8
	}
	return Windows1252
}
