package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"polis/handler/internal/fault"
)

// maxBody bounds a JSON body: a hundred aggregates of a hundred kilobytes.
const maxBody = 10 << 20

// readJSON reads a JSON body into v, strictly: one value, no field that v does not have.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if err := isJSON(r); err != nil {
		return err
	}
	body, err := readAll(w, r)
	if err != nil {
		return err
	}
	return decode(body, v)
}

func isJSON(r *http.Request) error {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return fault.New(fault.Unsupported, "send application/json")
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return fault.New(fault.Unsupported, "send UTF-8")
	}
	return nil
}

func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, fault.New(fault.TooLarge, "the body is larger than %d bytes", maxBody)
	}
	buf := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, fault.New(fault.TooLarge, "the body is larger than %d bytes", maxBody)
		}
		return nil, fault.Wrap(fault.Malformed, err, "the body broke off")
	}
	return buf.Bytes(), nil
}

func decode(body []byte, v any) error {
	if !utf8.Valid(body) {
		return fault.New(fault.Malformed, "the body is not UTF-8")
	}
	d := strict(body)
	if err := d.Decode(v); err != nil {
		return jsonFault(err, body, reflect.TypeOf(v).Elem())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Malformed, "there is more after the JSON value")
	}
	if fields := unclear(body); len(fields) > 0 {
		return &fault.Error{Kind: fault.Invalid, Detail: "the body does not fit", Fields: fields}
	}
	if r, ok := v.(interface{ NoteGiven(body []byte) error }); ok {
		return r.NoteGiven(body)
	}
	return nil
}

// unclear tells of what encoding/json takes without a word, and callers mean otherwise: a name
// that an object has twice, of which the last would count, and null in a list, which would
// count as nothing. The body is JSON.
func unclear(body []byte) (out []fault.Field) {
	type level struct {
		names map[string]bool // of an object; nil in a list
		name  string          // under which its next value stands
		at    int             // place in a list
	}
	var levels []level
	pointer := func() string {
		var b strings.Builder
		for i := range levels {
			b.WriteByte('/')
			if l := &levels[i]; l.names != nil {
				b.WriteString(escapePointer.Replace(l.name))
			} else {
				b.WriteString(strconv.Itoa(l.at))
			}
		}
		return b.String()
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	named := false // the name of a value has come
	for len(out) < maxMisfits {
		token, err := d.Token()
		if err != nil {
			return out
		}
		if n := len(levels); n > 0 && levels[n-1].names != nil && !named {
			if name, ok := token.(string); ok {
				l := &levels[n-1]
				folded := strings.ToLower(name) // as it decodes
				if l.name = name; l.names[folded] {
					out = append(out, fault.Field{Pointer: pointer(), Detail: "is given twice"})
				}
				l.names[folded], named = true, true
				continue
			}
		}
		named = false
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{names: map[string]bool{}})
			continue
		case json.Delim('['):
			levels = append(levels, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		case nil:
			if n := len(levels); n > 0 && levels[n-1].names == nil {
				out = append(out, fault.Field{Pointer: pointer(), Detail: "is null"})
			}
		}
		if n := len(levels); n > 0 && levels[n-1].names == nil {
			levels[n-1].at++
		}
	}
	return out
}

func strict(body []byte) *json.Decoder {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d
}

// jsonFault says what is wrong with a body that should be a t, and where, without its values.
func jsonFault(err error, body []byte, t reflect.Type) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return fault.New(fault.Malformed, "the body is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Malformed, "the JSON ends too early")
	case errors.As(err, &syntax):
		return fault.New(fault.Malformed, "not JSON, at byte %d", syntax.Offset)
	}
	return &fault.Error{Kind: fault.Invalid, Detail: "the body does not fit", Fields: misfits(nil, "", body, t)}
}

// maxMisfits is how many faults of a body are told: as many as of rows that break rules.
const maxMisfits = 100

// misfits adds what in a JSON value does not go into a t, each with its JSON pointer (RFC 6901).
// encoding/json tells of one only, and not where in a list or, of our own types, where at
// all: so what did not decode as a whole is decoded part by part.
func misfits(to []fault.Field, pointer string, value []byte, t reflect.Type) []fault.Field {
	err := strict(value).Decode(reflect.New(t).Interface())
	if err == nil || len(to) == maxMisfits {
		return to
	}
	before := len(to)
	var list []json.RawMessage
	switch {
	case t.Kind() == reflect.Slice && json.Unmarshal(value, &list) == nil:
		for i, v := range list {
			to = misfits(to, pointer+"/"+strconv.Itoa(i), v, t.Elem())
		}
	case t.Kind() == reflect.Struct && bytes.HasPrefix(bytes.TrimSpace(value), []byte("{")):
		to = misfitsOf(to, pointer, value, t)
	}
	if len(to) == before { // it is the value itself
		to = append(to, fault.Field{Pointer: pointer, Detail: misfit(err)})
	}
	return to
}

// misfitsOf adds what in a JSON object does not go into the fields of a t.
func misfitsOf(to []fault.Field, pointer string, object []byte, t reflect.Type) []fault.Field {
	d := json.NewDecoder(bytes.NewReader(object))
	_, err := d.Token() // {
	for err == nil && d.More() && len(to) < maxMisfits {
		var name json.Token
		var value json.RawMessage
		if name, err = d.Token(); err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			break
		}
		at := pointer + "/" + escapePointer.Replace(name.(string))
		if f, ok := fieldNamed(t, name.(string)); ok {
			to = misfits(to, at, value, f.Type)
		} else {
			to = append(to, fault.Field{Pointer: at, Detail: "is not a field"})
		}
	}
	return to
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// fieldNamed finds the field that encoding/json would decode a name into: case is folded, and
// the fields of what is embedded are fields.
func fieldNamed(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.Anonymous && f.IsExported() && tag != "-" && strings.EqualFold(cmp.Or(tag, f.Name), name) {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// misfit says what is wrong with a value that has no parts, or with the kind of one that has.
func misfit(err error) string {
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) {
		kind, _, _ := strings.Cut(typed.Value, " ") // "number 1.5" holds the value
		return "a JSON " + kind + " does not go here"
	}
	// What is left is what our own types say of a value: dates, amounts, engines.
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Detail
	}
	return err.Error()
}
