package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"polis/handler/internal/fault"
)

// status is the one table from what went wrong to what HTTP calls it.
var status = map[fault.Kind]int{
	fault.Internal:         http.StatusInternalServerError,
	fault.Malformed:        http.StatusBadRequest,
	fault.Invalid:          http.StatusUnprocessableEntity,
	fault.Unauthenticated:  http.StatusUnauthorized,
	fault.Forbidden:        http.StatusForbidden,
	fault.NotFound:         http.StatusNotFound,
	fault.MethodNotAllowed: http.StatusMethodNotAllowed,
	fault.Conflict:         http.StatusConflict,
	fault.TooLarge:         http.StatusRequestEntityTooLarge,
	fault.Unsupported:      http.StatusUnsupportedMediaType,
	fault.Unavailable:      http.StatusServiceUnavailable,
	fault.Cancelled:        http.StatusServiceUnavailable,
	fault.Unconfigured:     http.StatusServiceUnavailable,
	fault.Exhausted:        http.StatusTooManyRequests,
}

// problem is an answer that says what is wrong: RFC 9457.
type problem struct {
	Type   string        `json:"type"`
	Title  string        `json:"title"`
	Status int           `json:"status"`
	Detail string        `json:"detail,omitempty"`
	Errors []fault.Field `json:"errors,omitempty"`
}

func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	kind := fault.KindOf(err)
	p := problem{Type: "about:blank", Status: status[kind], Detail: "something went wrong on our side"}
	p.Title = http.StatusText(p.Status)
	var f *fault.Error
	if errors.As(err, &f) && kind != fault.Internal {
		p.Detail, p.Errors = f.Detail, f.Fields
	}
	h := w.Header()
	switch kind {
	case fault.Unauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="polis"`)
	case fault.Unavailable, fault.Cancelled:
		h.Set("Retry-After", "5")
	case fault.Exhausted:
		h.Set("Retry-After", strconv.Itoa(max(1, int(f.After.Seconds()))))
	}
	body, merr := json.Marshal(p)
	if merr != nil {
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500}`)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Del("ETag")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the caller may have gone
	}
}

func writeJSON(w http.ResponseWriter, code int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding an answer")
	}
	return writeBody(w, code, "application/json", body)
}

func writeBody(w http.ResponseWriter, code int, media string, body []byte) error {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(code)
	_, _ = w.Write(body) // the caller may have gone
	return nil
}
