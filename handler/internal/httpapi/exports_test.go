package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"polis/handler/internal/exports"
)

// TestExports: a book is asked for, made and read, by its tenant's administrators alone, and deleted.
func TestExports(t *testing.T) {
	w := scored(t)
	const admin, all = "key-admin-one", "/api/v1/exports"
	for _, key := range []string{"key-reader", "key-one"} {
		w.want(403, w.do(key, "POST", all, "", nil))
		w.want(403, w.do(key, "GET", all, "", nil))
	}
	if list := w.want(200, w.do(admin, "GET", all, "", nil)).Body.String(); list != `{"exports":[]}` {
		t.Errorf("before there is one: %s", list)
	}
	out := w.want(202, w.do(admin, "POST", all, "", nil, "Idempotency-Key", "k"))
	at := out.Header().Get("Location")
	again := w.want(202, w.do(admin, "POST", all, "", nil, "Idempotency-Key", "k"))
	if again.Header().Get("Location") != at || !strings.HasPrefix(at, all+"/") {
		t.Errorf("%s, and again %s", at, again.Header().Get("Location"))
	}
	get := func() (e exports.Export) {
		t.Helper()
		must(t, json.Unmarshal(w.want(200, w.do(admin, "GET", at, "", nil)).Body.Bytes(), &e))
		return e
	}
	if e := get(); e.Status != "waiting" || e.Manifest != nil {
		t.Errorf("%+v", e)
	}
	w.want(404, w.do(admin, "GET", at+"/risk.parquet", "", nil))
	w.work()
	e := get()
	if e.Status != "completed" || e.Manifest.Run != "2026-03-30-all-1" || len(e.Manifest.Files) < 14 {
		t.Fatalf("%+v", e)
	}
	for _, f := range e.Manifest.Files {
		out := w.want(200, w.do(admin, "GET", at+"/"+f.Name, "", nil))
		body := out.Body.Bytes()
		sum := sha256.Sum256(body)
		if hex.EncodeToString(sum[:]) != f.SHA256 || out.Header().Get("Repr-Digest") != "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":" || out.Header().Get("Content-Type") != exports.Media {
			t.Errorf("%s: %v", f.Name, out.Header())
		}
		if p, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body))); err != nil || p.NumRows() != f.Rows {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	for _, path := range []string{at, at + "/risk.parquet"} {
		w.want(404, w.do("key-admin-two", http.MethodGet, path, "", nil))
		w.want(403, w.do("key-reader", http.MethodGet, path, "", nil))
	}
	for _, path := range []string{all + "/none", at + "/manifest.json", at + "/..%2Frisk.parquet"} {
		w.want(404, w.do(admin, http.MethodGet, path, "", nil))
	}
	w.want(404, w.do("key-admin-two", http.MethodDelete, at, "", nil))
	w.want(204, w.do(admin, http.MethodDelete, at, "", nil))
	w.want(404, w.do(admin, http.MethodDelete, at, "", nil))
	w.want(404, w.do(admin, http.MethodGet, at+"/risk.parquet", "", nil))
}
