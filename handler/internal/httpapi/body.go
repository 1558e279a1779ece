package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
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
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return jsonFault(err, d.InputOffset())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Malformed, "there is more after the JSON value")
	}
	return nil
}

// jsonFault says what is wrong with a body and where, without its values.
func jsonFault(err error, at int64) error {
	var (
		syntax *json.SyntaxError
		typed  *json.UnmarshalTypeError
	)
	invalid := func(pointer, detail string) error {
		return &fault.Error{Kind: fault.Invalid, Detail: "the body does not fit", Fields: []fault.Field{{Pointer: pointer, Detail: detail}}}
	}
	switch {
	case errors.Is(err, io.EOF):
		return fault.New(fault.Malformed, "the body is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Malformed, "the JSON ends too early")
	case errors.As(err, &syntax):
		return fault.New(fault.Malformed, "not JSON, at byte %d", syntax.Offset)
	case errors.As(err, &typed):
		return invalid("/"+strings.ReplaceAll(typed.Field, ".", "/"), "a JSON "+typed.Value+" does not go here")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid("/"+strings.Trim(name, `"`), fmt.Sprintf("is not a field, near byte %d", at))
	}
	// What is left is what our own types say of a value: dates, amounts, engines.
	return invalid("", fmt.Sprintf("near byte %d: %s", at, err.Error()))
}
