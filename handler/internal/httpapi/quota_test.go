package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// later is that an answer is 429 and says when to try again.
func later(t *testing.T, what string, out *httptest.ResponseRecorder) {
	t.Helper()
	if seconds, err := strconv.Atoi(out.Header().Get("Retry-After")); out.Code != http.StatusTooManyRequests || err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("%s: %d, Retry-After %q: %s", what, out.Code, out.Header().Get("Retry-After"), out.Body)
	}
}

func TestRequestsOfATenant(t *testing.T) {
	w := newWorld(t)
	for left := 2; left >= 0; left-- {
		out := w.do("key-slow", http.MethodGet, "/api/v1/runs", "", nil)
		if out.Code != http.StatusOK || out.Header().Get("RateLimit") != fmt.Sprintf(`"tenant";r=%d`, left) || out.Header().Get("RateLimit-Policy") != `"tenant";q=3;w=60` {
			t.Errorf("%d, %v", out.Code, out.Header())
		}
	}
	later(t, "a fourth request in a minute", w.do("key-slow", http.MethodGet, "/api/v1/runs", "", nil))
	if out := w.do("key-one", http.MethodGet, "/api/v1/runs", "", nil); out.Code != http.StatusOK {
		t.Errorf("another tenant: %d", out.Code)
	}
	if out := w.do("", http.MethodGet, "/api/health", "", nil); out.Code != http.StatusOK {
		t.Errorf("what needs no caller: %d", out.Code)
	}
}

func TestOpenRunsOfATenant(t *testing.T) {
	w := newWorld(t)
	start := func(on, key string) *httptest.ResponseRecorder {
		return w.do("key-one", http.MethodPost, "/api/v1/runs", "application/json", []byte(`{"as_of":"`+on+`"}`), "Idempotency-Key", key)
	}
	for _, on := range []string{"2026-03-30", "2026-03-31", "2026-03-31"} { // the last joins
		if out := start(on, "first-"+on[8:]); out.Code != http.StatusAccepted {
			t.Fatalf("%s: %d %s", on, out.Code, out.Body)
		}
	}
	later(t, "a third run", start("2026-03-29", "again"))
	w.work()
	if out := start("2026-03-29", "again"); out.Code != http.StatusAccepted {
		t.Errorf("after the others are done, under the same key: %d %s", out.Code, out.Body)
	}
}

func TestWaitingImportsOfATenant(t *testing.T) {
	w := newWorld(t)
	send := func() *httptest.ResponseRecorder {
		media, body := upload(t, "customers", customersCSV)
		return w.do("key-one", http.MethodPost, "/api/v1/imports", media, body)
	}
	for range 2 {
		if out := send(); out.Code != http.StatusAccepted {
			t.Fatalf("%d %s", out.Code, out.Body)
		}
	}
	later(t, "a third import", send())
}

func TestWaitingExportsOfATenant(t *testing.T) {
	w := newWorld(t)
	ask := func() *httptest.ResponseRecorder {
		return w.do("key-admin-one", http.MethodPost, "/api/v1/exports", "", nil)
	}
	for range 2 {
		if out := ask(); out.Code != http.StatusAccepted {
			t.Fatalf("%d %s", out.Code, out.Body)
		}
	}
	later(t, "a third export", ask())
	w.work()
	if out := ask(); out.Code != http.StatusAccepted {
		t.Errorf("after the others are done: %d %s", out.Code, out.Body)
	}
}
