package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSettings trains under settings, and finds that the next training keeps them.
func TestSettings(t *testing.T) {
	dir := t.TempDir()
	run := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		got, stdout, stderr := polis(t, "", append(args, "--data", filepath.Join(dir, "var"))...)
		if got != code {
			t.Fatalf("%v: exit code %d, want %d: %s", args, got, code, stderr)
		}
		return stdout, stderr
	}
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	book := filepath.Join(dir, "book")
	if code, _, stderr := polis(t, "", "sample", "--customers", "60", "--as-of", "2026-03-31", "--out", book); code != 0 {
		t.Fatal(stderr)
	}
	run(0, "import", book, "--as-of", "2026-03-31")
	train := []string{"train", "--tenant", "book", "--as-of", "2026-03-31"}
	if _, stderr := run(3, append(train, "--settings", file("bad.json", `{"clv": {"horizon": 1}}`))...); !strings.Contains(stderr, "bad.json") || !strings.Contains(stderr, "horizon") {
		t.Errorf("an unknown field is refused with %s", stderr)
	}
	run(0, append(train, "--settings", file("good.json", `{"clv": {"horizon_months": 77}}`))...)
	run(0, train...)
	if stdout, _ := run(0, "settings", "--tenant", "book"); !strings.Contains(stdout, `"horizon_months": 77`) || !strings.Contains(stdout, `"discount_rate": 0.04`) {
		t.Errorf("settings are %s", stdout)
	}
}
