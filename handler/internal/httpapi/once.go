package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// remembered is for how long the answer to an Idempotency-Key is kept; an operation
// that was cut off is forgotten sooner, so that it can be tried again.
const (
	remembered = 24 * time.Hour
	underWay   = 5 * time.Minute
)

// answer is what an Idempotency-Key got.
type answer struct {
	Request string            `json:"request"` // digest of the body
	Status  int               `json:"status"`  // 0: under way
	Header  map[string]string `json:"header,omitempty"`
	Body    []byte            `json:"body,omitempty"`
}

// kept are the headers that an answer needs to be the same again.
var kept = []string{"Content-Type", "Location", "ETag"}

// once runs an operation that creates. With an Idempotency-Key it runs once a key: a
// repeat gets the first answer, another body under the same key 422, and a repeat
// while the first is under way 409. Answers that ask to be tried again are not kept.
func (a *API) once(rt route, w http.ResponseWriter, r *http.Request, c call) error {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return rt.serve(a, w, r, c)
	}
	if len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r <= 0x20 || r >= 0x7f }) {
		return fault.New(fault.Malformed, "an Idempotency-Key is 1 to 200 visible ASCII characters")
	}
	digest, err := requestDigest(w, r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(rt.pattern + "\x1f" + r.URL.Path + "\x1f" + key))
	p := store.Partition{Tenant: c.tenant.ID, Bucket: store.Shared}
	doc := store.Document{Key: "once\x1f" + hex.EncodeToString(sum[:]), Expires: a.Now().Add(underWay)}
	if doc.Body, err = json.Marshal(answer{Request: digest}); err != nil {
		return fault.Wrap(fault.Internal, err, "encoding an idempotency record")
	}
	err = a.Keep.Write(r.Context(), p, []store.Op{{Verb: store.Create, Document: doc}})
	if fault.Is(err, fault.Conflict) {
		return a.again(w, r, p, doc.Key, digest)
	}
	if err != nil {
		return err
	}
	out := &tee{ResponseWriter: w}
	if err := rt.serve(a, out, r, c); err != nil {
		writeProblem(out, r, err)
	}
	if out.status >= 500 || out.status == http.StatusConflict || out.status == http.StatusTooManyRequests {
		return a.Keep.Write(r.Context(), p, []store.Op{{Verb: store.Delete, Document: doc}})
	}
	ans := answer{Request: digest, Status: out.status, Header: map[string]string{}, Body: out.body.Bytes()}
	for _, h := range kept {
		if v := out.Header().Get(h); v != "" {
			ans.Header[h] = v
		}
	}
	doc.Expires = a.Now().Add(remembered)
	if doc.Body, err = json.Marshal(ans); err == nil {
		err = a.Keep.Write(r.Context(), p, []store.Op{{Document: doc}})
	}
	if err != nil {
		a.Log.Warn().Err(err).Msg("an answer could not be kept: a repeat may run again")
	}
	return nil
}

func (a *API) again(w http.ResponseWriter, r *http.Request, p store.Partition, key, digest string) error {
	d, err := a.Keep.Get(r.Context(), p, key)
	if err != nil {
		return err
	}
	var ans answer
	if err := json.Unmarshal(d.Body, &ans); err != nil {
		return fault.Wrap(fault.Internal, err, "decoding an idempotency record")
	}
	switch {
	case ans.Request != digest:
		return fault.New(fault.Invalid, "the Idempotency-Key was used with another request")
	case ans.Status == 0:
		return fault.New(fault.Conflict, "the first request with this Idempotency-Key is under way")
	}
	for h, v := range ans.Header {
		w.Header().Set(h, v)
	}
	w.Header().Set("Idempotent-Replayed", "true")
	w.WriteHeader(ans.Status)
	_, _ = w.Write(ans.Body) // the caller may have gone
	return nil
}

// requestDigest tells bodies apart. An upload is too large to be read twice: there the
// length and type stand for it.
func requestDigest(w http.ResponseWriter, r *http.Request) (string, error) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		return media + " " + r.Header.Get("Content-Length"), nil
	}
	body, err := readAll(w, r)
	if err != nil {
		return "", err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}

// tee keeps a copy of what it passes on.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(b []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	t.body.Write(b)
	return t.ResponseWriter.Write(b)
}
