package tabular

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Split cuts a CSV record (RFC 4180) in fields, appended to dst. Fields are parts of
// the record unless they hold doubled quotes.
func Split(dst []string, record string, delimiter byte) ([]string, error) {
	if strings.IndexByte(record, '"') < 0 {
		for {
			i := strings.IndexByte(record, delimiter)
			if i < 0 {
				return append(dst, record), nil
			}
			dst = append(dst, record[:i])
			record = record[i+1:]
		}
	}
	for {
		field, rest, last, err := first(record, delimiter)
		if err != nil {
			return dst, err
		}
		if dst = append(dst, field); last {
			return dst, nil
		}
		record = rest
	}
}

// first cuts the first field off a record.
func first(record string, delimiter byte) (field, rest string, last bool, err error) {
	if record == "" || record[0] != '"' {
		i := strings.IndexByte(record, delimiter)
		if last = i < 0; last {
			field = record
		} else {
			field, rest = record[:i], record[i+1:]
		}
		if strings.IndexByte(field, '"') >= 0 {
			return "", "", false, ErrBare
		}
		return field, rest, last, nil
	}
	record = record[1:]
	var unescaped []byte
	for {
		i := strings.IndexByte(record, '"')
		if i < 0 {
			return "", "", false, ErrQuote
		}
		if i+1 < len(record) && record[i+1] == '"' {
			unescaped = append(unescaped, record[:i+1]...)
			record = record[i+2:]
			continue
		}
		field, record = record[:i], record[i+1:]
		if unescaped != nil {
			field = string(append(unescaped, field...))
		}
		switch {
		case record == "":
			return field, "", true, nil
		case record[0] != delimiter:
			return "", "", false, ErrAfter
		}
		return field, record[1:], false, nil
	}
}

// Member is a name and a value of an NDJSON record. A value is its text: that of a
// string, a number or a boolean, and "" for null.
type Member struct{ Name, Value string }

// What may be wrong with an NDJSON record.
var (
	ErrJSON   = errors.New("is not a JSON object")
	ErrNested = errors.New("holds an object or an array where a text, a number or a boolean is expected")
	ErrTwice  = errors.New("names a field twice")
)

// Members reads a JSON object with plain values, appended to dst.
func Members(dst []Member, record string) ([]Member, error) {
	s := space(record)
	if s == "" || s[0] != '{' {
		return dst, ErrJSON
	}
	from := len(dst)
	if s = space(s[1:]); s != "" && s[0] == '}' {
		return dst, end(s[1:])
	}
	for {
		var m Member
		var err error
		if m.Name, s, err = text(s); err != nil {
			return dst, err
		}
		if s = space(s); s == "" || s[0] != ':' {
			return dst, ErrJSON
		}
		if m.Value, s, err = value(space(s[1:])); err != nil {
			return dst, err
		}
		for _, earlier := range dst[from:] {
			if earlier.Name == m.Name {
				return dst, ErrTwice
			}
		}
		dst = append(dst, m)
		if s = space(s); s == "" {
			return dst, ErrJSON
		}
		switch s[0] {
		case '}':
			return dst, end(s[1:])
		case ',':
			s = space(s[1:])
		default:
			return dst, ErrJSON
		}
	}
}

func space(s string) string { return strings.TrimLeft(s, " \t\r\n") }

func end(s string) error {
	if space(s) != "" {
		return ErrJSON
	}
	return nil
}

// text reads a JSON string.
func text(s string) (v, rest string, err error) {
	if s == "" || s[0] != '"' {
		return "", "", ErrJSON
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[1:i], s[i+1:], nil
		case c < 0x20:
			return "", "", ErrJSON
		case c == '\\':
			return escaped(s)
		}
	}
	return "", "", ErrJSON
}

// escaped reads a JSON string that holds escapes.
func escaped(s string) (v, rest string, err error) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if err := json.Unmarshal([]byte(s[:i+1]), &v); err != nil {
				return "", "", ErrJSON
			}
			return v, s[i+1:], nil
		}
	}
	return "", "", ErrJSON
}

func value(s string) (v, rest string, err error) {
	if s == "" {
		return "", "", ErrJSON
	}
	switch s[0] {
	case '"':
		return text(s)
	case '{', '[':
		return "", "", ErrNested
	}
	n := strings.IndexAny(s, ",} \t\r\n")
	if n < 0 {
		return "", "", ErrJSON
	}
	if v = s[:n]; !json.Valid([]byte(v)) {
		return "", "", ErrJSON
	}
	if v == "null" {
		v = ""
	}
	return v, s[n:], nil
}

// Text gives a record of a block as UTF-8, or says why it is none.
func (b *Block) Text(record string) (string, error) {
	if b.HasNUL && strings.IndexByte(record, 0) >= 0 {
		return "", ErrNUL
	}
	switch b.Encoding {
	case UTF8:
		if !utf8.ValidString(record) {
			return "", ErrUTF8
		}
	case Windows1252:
		if !ascii(record) {
			return charmap.Windows1252.NewDecoder().String(record)
		}
	}
	return record, nil
}

func ascii[T ~string | ~[]byte](s T) bool {
	for len(s) >= 8 {
		// Eight bytes at a time: every byte of every file passes here.
		if (s[0]|s[1]|s[2]|s[3]|s[4]|s[5]|s[6]|s[7])&utf8.RuneSelf != 0 {
			return false
		}
		s = s[8:]
	}
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// GuessFormat tells NDJSON from CSV by how it begins.
func GuessFormat(head []byte) Format {
	if h := bytes.TrimLeft(head, " \t\r\n"); len(h) > 0 && h[0] == '{' {
		return NDJSON
	}
	return CSV
}

// GuessDelimiter finds the delimiter with which a header names most of what is known.
func GuessDelimiter(header string, known func(name string) bool) byte {
	best, most := byte(','), -1
	for _, d := range []byte{',', ';', '\t'} {
		fields, err := Split(nil, header, d)
		if err != nil {
			continue
		}
		n := 0
		for _, f := range fields {
			if known(f) {
				n++
			}
		}
		if n > most {
			best, most = d, n
		}
	}
	return best
}
