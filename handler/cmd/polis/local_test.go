package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/run"
)

// TestARunOfAPastDate makes no list where there is a later one: that is shown, and nothing ends.
func TestARunOfAPastDate(t *testing.T) {
	lists := map[string]string{
		"/api/v1/action-lists/latest": `{"date":"2026-11-26"}`, "/api/v1/action-lists/2026-11-26": `{"date":"2026-11-26"}`,
	}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := lists[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(host.Close)
	for on, why := range map[portfolio.Date]string{
		portfolio.MustDate(2026, 3, 31): "a list of a later date was made before", portfolio.MustDate(2026, 11, 26): "",
	} {
		var out strings.Builder
		done := run.Progress{Run: run.Run{AsOf: on}, Summary: &run.Summary{NoList: why}}
		list, err := client{base: host.URL}.list(t.Context(), &out, done)
		if err != nil || list.Date != portfolio.MustDate(2026, 11, 26) {
			t.Errorf("%s: %+v, %v", on, list, err)
		}
		if said := out.String(); strings.Contains(said, on.String()) != (why != "") || !strings.Contains(said, why) {
			t.Errorf("%s: %q", on, said)
		}
	}
}
