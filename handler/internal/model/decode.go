package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-faster/jx"

	"polis/handler/internal/fault"
)

// A process that has just started reads the files of all engines' models before its first
// score. encoding/json would take most of that time: the file is read without reflection,
// its few words about itself aside.

// decode reads a whole file: each member is there once, and no other.
func (f *fileModel) decode(content []byte) error {
	if !utf8.Valid(content) {
		return errors.New("the text is not UTF-8")
	}
	d := jx.DecodeBytes(content)
	err := members(d, modelMembers, len(modelMembers), func(d *jx.Decoder, name string) (err error) {
		switch name {
		case "polis_model":
			if f.Format, err = d.Int(); err == nil && f.Format != fileVersion {
				err = errors.New("another version")
			}
		case "loss":
			err = called(d, &f.Loss)
		case "intercept":
			var n jx.Num
			if n, err = d.Num(); err == nil {
				f.Intercept, err = valueOf(n)
			}
		case "meta":
			err = f.Meta.decode(d)
		case "fields":
			f.Fields = make([]fileField, 0, counted(content, `"kind":`))
			err = d.Arr(func(d *jx.Decoder) error {
				f.Fields = append(f.Fields, fileField{})
				return f.Fields[len(f.Fields)-1].decode(d)
			})
		case "terms":
			f.Terms = make([]fileTerm, 0, counted(content, `"table":`))
			err = d.Arr(func(d *jx.Decoder) error {
				f.Terms = append(f.Terms, fileTerm{})
				return f.Terms[len(f.Terms)-1].decode(d)
			})
		case "sha256":
			err = d.Skip() // see checkSeal
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := d.Skip(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the model")
	}
	return nil
}

// counted is how often a file has a member, as far as its fields and terms may be: what is made
// for them is then neither too small nor, of a file of few, a page too large.
func counted(content []byte, member string) int {
	return min(bytes.Count(content, []byte(member)), MaxFields)
}

// decode leaves to encoding/json what only models have that are read by people.
func (m *Meta) decode(d *jx.Decoder) error {
	raw, err := d.Raw()
	if err != nil {
		return err
	}
	rich := false
	err = jx.DecodeBytes(raw).ObjBytes(func(d *jx.Decoder, key []byte) (err error) {
		switch string(key) {
		case "name":
			m.Name, err = d.Str()
		case "note":
			m.Note, err = d.Str()
		case "trained":
			m.Trained, err = d.Str()
		case "rows":
			m.Rows, err = d.Int()
		case "events":
			m.Events, err = d.Float64()
		case "metrics":
			m.Metrics = map[string]float64{}
			err = d.Obj(func(d *jx.Decoder, key string) (err error) {
				m.Metrics[key], err = d.Float64()
				return err
			})
		default:
			rich = true
			err = d.Skip()
		}
		return err
	})
	if err != nil || !rich {
		return err
	}
	*m = Meta{}
	return json.Unmarshal(raw, m)
}

// members reads an object's members: those of names, in their order, the first so many of
// which must be there. What has one twice, or another, was not written by Save.
func members(d *jx.Decoder, names []string, required int, read func(d *jx.Decoder, name string) error) error {
	next := 0
	err := d.ObjBytes(func(d *jx.Decoder, key []byte) error {
		at := next
		for at < len(names) && names[at] != string(key) {
			at++
		}
		if at == len(names) || at > next && next < required {
			return errMembers
		}
		next = at + 1
		return read(d, names[at])
	})
	if err == nil && next < required {
		return errMembers
	}
	return err
}

var errMembers = errors.New("a member of an object is missing, there twice, out of place, or unknown")

var (
	modelMembers = []string{"polis_model", "loss", "intercept", "meta", "fields", "terms", "sha256"}
	fieldMembers = []string{"name", "kind", "monotone", "order", "edges", "names", "coarse", "prefixes"}
	termMembers  = []string{"fields", "table", "errors", "weight"}
)

func (f *fileField) decode(d *jx.Decoder) error {
	return members(d, fieldMembers, 2, func(d *jx.Decoder, name string) (err error) {
		switch name {
		case "name":
			f.Name, err = d.Str()
		case "kind":
			err = called(d, &f.Kind)
		case "monotone":
			f.Monotone, err = d.Int8()
		case "order":
			f.Order, err = d.Str()
		case "edges":
			f.Edges, err = floats(d, false)
		case "names":
			err = d.Arr(func(d *jx.Decoder) error {
				s, err := d.Str()
				f.Names = append(f.Names, s)
				return err
			})
		case "coarse":
			f.Coarse, err = ints(d)
		case "prefixes":
			f.Prefixes, err = ints(d)
		}
		return err
	})
}

func (t *fileTerm) decode(d *jx.Decoder) error {
	return members(d, termMembers, 2, func(d *jx.Decoder, name string) (err error) {
		switch name {
		case "fields":
			t.Fields, err = ints(d)
		case "table":
			t.Table, err = floats(d, true)
		case "errors":
			t.Errors, err = floats(d, false)
		case "weight":
			t.Weight, err = floats(d, false)
		}
		return err
	})
}

// called reads a kind or a loss.
func called(d *jx.Decoder, v interface{ UnmarshalText([]byte) error }) error {
	text, err := d.StrBytes()
	if err != nil {
		return err
	}
	return v.UnmarshalText(text)
}

func ints(d *jx.Decoder) (out []int, err error) {
	err = d.Arr(func(d *jx.Decoder) error {
		v, err := d.Int()
		out = append(out, v)
		return err
	})
	return out, err
}

// floats reads an array of numbers: the values of a model, or others.
func floats(d *jx.Decoder, values bool) ([]float64, error) {
	raw, err := d.Raw()
	if err != nil {
		return nil, err
	}
	// It is valid JSON: what is not a flat array of numbers fails to parse as numbers.
	b := bytes.TrimSpace(raw)
	if len(b) < 2 || b[0] != '[' {
		return nil, errNumbers
	}
	b = bytes.TrimSpace(b[1 : len(b)-1])
	out := make([]float64, 0, bytes.Count(b, []byte{','})+1)
	for len(b) > 0 {
		v, n, err := scan(b, values)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if b = trimLeft(b[n:]); len(b) == 0 {
			break
		}
		if b = trimLeft(b[1:]); len(b) == 0 { // after a comma: scan stops at nothing else
			return nil, errNumbers
		}
	}
	return out, nil
}

// trimLeft is b without the blanks that JSON may have before what matters; most files have none.
func trimLeft(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

var errNumbers = fault.New(fault.Malformed, "an array of numbers holds something else, or a number out of range")

// number is strconv's, and valueOf that on its grid: see scan.
func number(text []byte) (float64, error) { return exactly(text, false) }

func valueOf(text []byte) (float64, error) { return exactly(text, true) }

func exactly(text []byte, value bool) (float64, error) {
	v, n, err := scan(text, value)
	if err == nil && n != len(text) {
		err = errNumbers
	}
	return v, err
}

// scan is the number that a text begins with and that ends with it, a comma or a blank, and its length. It is
// strconv's, and faster for what most of a file is: up to fifteen digits, which a float64 holds, over a power
// of ten, which it holds too, are rounded once. A value of a model's, when it has up to
// five decimals, means the nearest on its grid.
func scan(text []byte, value bool) (v float64, n int, err error) {
	digits, from, point := 0, 0, -1
	if len(text) > 0 && text[0] == '-' {
		from = 1
	}
	all := uint64(0)
	i := from
	for ; i < len(text); i++ {
		c := text[i]
		if d := c - '0'; d <= 9 {
			all = all*10 + uint64(d)
			digits++
			continue
		}
		if c != '.' || point >= 0 || i == from {
			break
		}
		point = i
	}
	decimals := 0
	if point >= 0 {
		decimals = i - 1 - point
	}
	plain := i == len(text) || text[i] == ',' || isBlank(text[i])
	if digits == 0 || digits > 15 || point == i-1 || !plain {
		for i < len(text) && text[i] != ',' && !isBlank(text[i]) {
			i++
		}
		if v, err = slowNumber(text[:i]); err != nil {
			return 0, 0, err
		}
		plain = plain && digits > 0
	} else {
		v = float64(all)
		if point >= 0 {
			v /= tens[decimals]
		}
		if from == 1 {
			v = -v
		}
	}
	if value && plain && decimals <= 5 {
		v = OnGrid(v)
	}
	return v, i, nil
}

func slowNumber(text []byte) (float64, error) {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) { // which strconv knows, and JSON does not
		return 0, errNumbers
	}
	return v, nil
}

var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}
