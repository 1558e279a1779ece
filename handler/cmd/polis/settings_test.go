package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSettings trains under settings, finds that the next training keeps them, and audits
// the models.
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
	if _, stderr := run(3, append(train, "--offer-rules", file("rules.csv", "code,kind,source,nl,en\nheld,states,s,n,e\n"))...); !strings.Contains(stderr, "rules.csv line 2: kind") {
		t.Errorf("a rule of no kind is refused with %s", stderr)
	}
	if _, stderr := run(3, append(train, "--offer-rules", file("rules.csv", "code,kind,source,nl,en\nheld,state,s,n,e\n"))...); !strings.Contains(stderr, "the code held_soon needs a line") {
		t.Errorf("rules without the program's codes are refused with %s", stderr)
	}
	own, err := os.ReadFile(filepath.Join("..", "..", "internal", "nbp", "rules.csv"))
	if err != nil {
		t.Fatal(err)
	}
	run(0, append(train, "--offer-rules", file("rules.csv", strings.Replace(string(own), "U bent nog geen 18 jaar.", "U bent minderjarig.", 1)))...)
	run(0, append(train, "--settings", file("good.json", `{"clv": {"horizon_months": 77}}`))...)
	run(0, train...)
	if stdout, _ := run(0, "settings", "--tenant", "book"); !strings.Contains(stdout, `"horizon_months": 77`) || !strings.Contains(stdout, `"discount_rate": 0.04`) || !strings.Contains(stdout, "U bent minderjarig.") {
		t.Errorf("settings are %s", stdout)
	}
	current, err := filepath.Glob(filepath.Join(dir, "var", "blobs", "models", "book", "current.json"))
	if err != nil || len(current) != 1 {
		t.Fatal(current, err)
	}
	if err := os.WriteFile(current[0], []byte(`{"version":"0123456789abcdef"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(3, "run", "--tenant", "book", "--as-of", "2026-03-31"); !strings.Contains(stderr, "train again") {
		t.Errorf("models that cannot be read are told of with %s", stderr)
	}
	if _, stderr := run(0, train...); !strings.Contains(stderr, "settings: the defaults, since") {
		t.Errorf("settings that cannot be read are replaced with %s", stderr)
	}
	page := filepath.Join(dir, "audit.html")
	stdout, _ := run(0, "audit", "--tenant", "book", "--as-of", "2026-03-31", "--out", page)
	if !strings.Contains(stdout, "trained on these same outcomes") || !strings.Contains(stdout, "0 features and scores moved much") {
		t.Errorf("the audit says %s", stdout)
	}
	if body, err := os.ReadFile(page); err != nil || !strings.Contains(string(body), "Audit of the models of book") {
		t.Errorf("%v: the page is %s", err, body)
	}
	if stdout, _ := run(0, "audit", "--tenant", "book", "--as-of", "2026-03-31", "--json"); !strings.Contains(stdout, `"in_sample": "all"`) {
		t.Errorf("as JSON %s", stdout)
	}
	run(3, "audit", "--tenant", "nobody")
}
