package localhost

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"strings"
	"time"

	"polis/handler/internal/fault"
)

// envelope is what a function gets in payload mode.
type envelope struct {
	Data     map[string]any
	Metadata map[string]any
}

// plainTime is a date as the host writes it in metadata: UTC, without a zone.
type plainTime time.Time

// MarshalJSON writes the date.
func (t plainTime) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(t).UTC().Format("2006-01-02T15:04:05.999"))
}

// wire encodes a value of Data or Metadata: strings, numbers and booleans as
// JSON inside a JSON string, bytes as base64, objects and dates as they are.
func wire(v any) (any, error) {
	switch v := v.(type) {
	case string, bool, int, int64:
		inner, err := marshal(v)
		return string(inner), err
	case []byte:
		return base64.StdEncoding.EncodeToString(v), nil
	}
	return v, nil
}

// encode writes the envelope. As in Azure, what is null and any metadata whose
// name ends in "trigger" is left out.
func (e envelope) encode() ([]byte, error) {
	out := struct{ Data, Metadata map[string]any }{map[string]any{}, map[string]any{}}
	var err error
	for k, v := range e.Data {
		if out.Data[k], err = wire(v); err != nil {
			return nil, err
		}
	}
	for k, v := range e.Metadata {
		if v == nil || strings.HasSuffix(strings.ToLower(k), "trigger") {
			continue
		}
		if out.Metadata[k], err = wire(v); err != nil {
			return nil, err
		}
	}
	return marshal(out)
}

// marshal is json.Marshal without HTML escapes, which the host does not write.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// set gives metadata a value under the name it has already, whatever its case.
func (e envelope) set(name string, v any) {
	for k := range e.Metadata {
		if strings.EqualFold(k, name) {
			name = k
		}
	}
	e.Metadata[name] = v
}

// spread copies the top-level properties of a JSON object into the metadata,
// over what is there: the host does, which is why metadata cannot be trusted.
// Arrays are left out; numbers and the like become strings.
func (e envelope) spread(body []byte) {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return
	}
	for name, raw := range object {
		switch raw[0] {
		case '[':
		case '{':
			e.set(name, raw)
		case '"':
			var s string
			if json.Unmarshal(raw, &s) == nil {
				e.set(name, s)
			}
		case 't':
			e.set(name, "True") // .NET's own spelling
		case 'f':
			e.set(name, "False")
		case 'n':
			e.set(name, "")
		default:
			e.set(name, string(raw))
		}
	}
}

// answer is what a function gives back in payload mode.
type answer struct {
	Outputs     map[string]json.RawMessage
	Logs        []string
	ReturnValue json.RawMessage
}

// decodeAnswer reads the body of a 2xx response.
func decodeAnswer(contentType string, body []byte) (answer, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" && media != "text/json" {
		return answer{}, fault.New(fault.Malformed, "the handler answered %q: want application/json", media)
	}
	var a *answer
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fault.Wrap(fault.Malformed, err, "the handler's answer")
	}
	// In Azure such an answer leaves the call hanging until its time-out.
	if a == nil {
		return answer{}, fault.New(fault.Malformed, "the handler answered null: want an object")
	}
	return *a, nil
}

func null(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// outputBytes is what an output binding sends: a string's own bytes (decoded,
// where they happen to be base64 and the binding is not binary), else JSON.
func outputBytes(b binding, raw json.RawMessage) (body []byte, contentType string, err error) {
	if raw[0] != '"' {
		return raw, "application/json", nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, "", fault.Wrap(fault.Malformed, err, "output %s", b.Name)
	}
	if decoded, ok := fromBase64(s); ok && !b.binary() {
		return decoded, "application/octet-stream", nil
	}
	return []byte(s), "text/plain", nil
}

// fromBase64 decodes as .NET does: white space is skipped, padding required.
func fromBase64(s string) ([]byte, bool) {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, s)
	b, err := base64.StdEncoding.DecodeString(s)
	return b, err == nil
}

// httpOutput is the response a function describes with its http output.
type httpOutput struct {
	StatusCode any
	Status     any
	Body       json.RawMessage
	Headers    map[string]any
}

// decodeHTTPOutput reads an http output; every field may be absent.
func decodeHTTPOutput(raw json.RawMessage) (httpOutput, error) {
	var out httpOutput
	if null(raw) {
		return out, nil
	}
	// The host takes the value's text for JSON, so an object in a string will do.
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fault.New(fault.Malformed, "the http output must be an object of statusCode, status, body and headers")
	}
	return out, nil
}

func (o httpOutput) empty() bool {
	return o.StatusCode == nil && o.Status == nil && o.Body == nil && o.Headers == nil
}

// status is the response's status, 200 where none is given.
func (o httpOutput) status() int {
	for _, v := range []any{o.StatusCode, o.Status} {
		var n int
		if _, err := fmt.Sscanf(fmt.Sprint(v), "%d", &n); v != nil && err == nil && n >= 200 && n <= 599 {
			return n
		}
	}
	return 200
}
