package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/effect"
	"polis/handler/internal/feedback"
	"polis/handler/internal/portfolio"
)

// TestNowhere: a command that reads makes no store in a folder that is mistyped.
func TestNowhere(t *testing.T) {
	data := filepath.Join(t.TempDir(), "nowhere")
	for _, args := range [][]string{{"audit"}, {"effects"}, {"top"}, {"peek", "score-results"}, {"backtest", "--out", filepath.Join(t.TempDir(), "page.html")}, {"train"}, {"run"}, {"settings"}, {"replay", "score-results"}} {
		code, _, stderr := polis(t, "", append(args, "--data", data)...)
		if code != 3 || !strings.Contains(stderr, "no Polis data in "+data) || exists(data) {
			t.Errorf("%s: exit code %d, %s", args[0], code, stderr)
		}
	}
}

// TestEffects: what somebody did with a list of long ago is left out of training, and a run
// tells what came of it.
func TestEffects(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "var")
	run := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		got, stdout, stderr := polis(t, "", append(args, "--data", data)...)
		if got != code {
			t.Fatalf("%v: exit code %d, want %d: %s", args, got, code, stderr)
		}
		return stdout, stderr
	}
	book := filepath.Join(dir, "book")
	if code, _, stderr := polis(t, "", "sample", "--customers", "150", "--as-of", "2026-03-31", "--out", book); code != 0 {
		t.Fatal(stderr)
	}
	run(0, "import", book, "--as-of", "2026-03-31")
	train := []string{"train", "--tenant", "book", "--as-of", "2026-03-31"}
	if stdout, _ := run(0, train...); strings.Contains(stdout, "left out") {
		t.Errorf("nobody acted, and something is left out:\n%s", stdout)
	}
	if _, stderr := run(3, "effects", "--tenant", "book"); !strings.Contains(stderr, "nothing was counted yet") {
		t.Errorf("before any run: %s", stderr)
	}
	run(0, "run", "--tenant", "book", "--as-of", "2025-01-31")
	if text, _ := run(0, "effects", "--tenant", "book"); !strings.Contains(text, "followed to its end yet") {
		t.Errorf("after the first run effects are\n%s", text)
	}
	s, err := openStack(data)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := s.tenant(t.Context(), "book", 64)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.lists.Newest(t.Context(), "book")
	if err != nil {
		t.Fatal(err)
	}
	items, _, err := s.lists.Items(t.Context(), "book", &list, "", 0, list.Listed)
	if err != nil {
		t.Fatal(err)
	}
	at := portfolio.MustDate(2025, 2, 10).Time().Add(9 * time.Hour)
	for _, it := range items[:len(items)/2] {
		if _, err := s.lists.Record(t.Context(), tenant, list.Date, it.ID, feedback.Reply{Outcome: feedback.Done, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if stdout, _ := run(0, train...); !strings.Contains(stdout, "more at risk left out: somebody had acted") {
		t.Errorf("of what somebody acted on nothing is left out:\n%s", stdout)
	}
	run(0, "run", "--tenant", "book", "--as-of", "2026-03-31")
	text, _ := run(0, "effects", "--tenant", "book")
	if !strings.Contains(text, "acted on") || !strings.Contains(text, "association") || strings.Contains(text, "effect ") {
		t.Errorf("effects are\n%s", text)
	}
	body, _ := run(0, "effects", "--tenant", "book", "--json")
	var r effect.Report
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	suggested, acted := 0, 0
	for _, a := range r.Actions {
		suggested, acted = suggested+a.Suggested, acted+a.Association.With.Customers
	}
	if suggested < len(items) || acted < len(items)/3 || acted > len(items)/2 {
		t.Errorf("of %d on the list %d are counted, %d of them acted on:\n%s", len(items), suggested, acted, text)
	}
}
