package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestRoute: what is public is answered by the API, with the prefix alone too, and only the
// rest by what the host calls.
func TestRoute(t *testing.T) {
	as := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	h := route(as(299), as(298))
	for path, want := range map[string]int{"/api/health": 299, "/api": 299, "/api/": 299, "/": 200, "/RunChunks": 298, "/apis": 298} {
		out := httptest.NewRecorder()
		if h.ServeHTTP(out, httptest.NewRequest("GET", path, nil)); out.Code != want {
			t.Errorf("%s: %d, want %d", path, out.Code, want)
		}
	}
}
