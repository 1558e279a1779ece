package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polis/handler/internal/backtest"
)

// backTested runs a back-test of a made book, and gives its figures by part and code.
func backTested(t *testing.T, args ...string) (r backtest.Result, of func(part, figure string) backtest.Figure, page string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "page.html")
	code, stdout, stderr := polis(t, "", append([]string{"backtest", "--as-of", "2026-06-30", "--json", "--out", out}, args...)...)
	if code != 0 {
		t.Fatal(stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return r, func(part, figure string) backtest.Figure {
		t.Helper()
		for _, p := range r.Parts {
			for _, f := range p.Figures {
				if p.Code == part && f.Code == figure {
					return f
				}
			}
		}
		t.Fatalf("there is no figure %s of %s", figure, part)
		return backtest.Figure{}
	}, string(body)
}

// TestBacktest: on a made book each year is there, with what drives it; in the null world
// nothing goes beyond chance.
func TestBacktest(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: run without the race detector")
	}
	r, of, page := backTested(t, "--customers", "2000", "--world", "A", "--years", "1")
	if len(r.Years) != 1 || r.Years[0].AsOf.String() != "2025-03-30" || r.Years[0].Relations < 800 {
		t.Errorf("years: %+v", r.Years)
	}
	if f := of("claims", "gini").All; f == nil || f.Value < 3*f.Error {
		t.Errorf("world A: the Gini of claims is %+v", f)
	}
	if f := of("relations", "auc").All; f == nil || f.Value-0.5 < 2*f.Error {
		t.Errorf("world A: the AUC of lapses is %+v", f)
	}
	if !strings.Contains(page, "Back-test of a made book of 2000 customers, world A, seed 1") || !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
		t.Error("the page is not that of the book, or not whole")
	}

	r, of, _ = backTested(t, "--customers", "2000", "--world", "null", "--seed", "3", "--years", "3")
	if len(r.Years) != 3 {
		t.Errorf("years: %+v", r.Years)
	}
	for _, x := range []struct{ part, figure string }{
		{"relations", "auc"},
		{"policies", "auc"},
		{"claims", "gini"},
		{"losses", "gini"},
		{"hits", "over_popularity_1"},
		{"hits", "over_popularity_3"},
	} {
		f := of(x.part, x.figure)
		// Of six figures, one beyond 3 standard errors is a matter of 1 in 60.
		if f.All == nil || f.All.Value-*f.Chance > 3*f.All.Error {
			t.Errorf("null world: %s of %s is %+v", x.figure, x.part, f.All)
		}
	}
	for _, part := range []string{"relations", "policies", "claims", "purchases"} {
		if f := of(part, "explained").All; f == nil || f.Value > 3*f.Error {
			t.Errorf("null world: %s explains %+v", part, f)
		}
	}
}

// TestBacktestOfWrongInput says what is wrong, before the work, and leaves no page.
func TestBacktestOfWrongInput(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "var")
	good := write(t, filepath.Join(dir, "book"), map[string]string{"customers.csv": customersCSV, "policies.csv": policiesCSV})
	if code, _, stderr := polis(t, "", "import", good, "--as-of", "2026-03-31", "--data", data); code != 0 {
		t.Fatal(stderr)
	}
	page := filepath.Join(dir, "page.html")
	for _, tc := range []struct {
		name   string
		args   []string
		code   int
		stderr string
	}{
		{"no such tenant", []string{"--tenant", "nobody"}, 3, "no such tenant: nobody; there are book"},
		{"the tenant that is not there by default", nil, 3, "no such tenant: sample; there are book"},
		{"a short book", []string{"--tenant", "book", "--as-of", "2026-03-31"}, 3, "the book has 0 of the 3 years asked for"},
		{"no years", []string{"--years", "0"}, 2, "--years is from 1 to 20"},
		{"no number of years", []string{"--years", "x"}, 2, "--years"},
		{"a world without a size", []string{"--world", "B"}, 2, "--customers says how large"},
		{"a seed without a size", []string{"--seed", "4"}, 2, "--customers says how large"},
		{"a tenant of a made book", []string{"--tenant", "book", "--customers", "100"}, 2, "give one of them"},
		{"fewer than nobody", []string{"--customers", "-1"}, 2, "polis: --customers: needs a whole number above 0"},
		{"nobody", []string{"--customers", "0"}, 2, "polis: --customers: needs a whole number above 0"},
		{"no number", []string{"--customers", "many"}, 2, "polis: --customers: needs a whole number above 0"},
		{"no such world", []string{"--customers", "100", "--world", "C"}, 2, "--world"},
		{"a date to come", []string{"--as-of", "2999-01-01"}, 2, "not after today"},
		{"no file", []string{"--out", "-"}, 2, "--out is a file"},
		{"a folder for a file", []string{"--out", dir}, 2, "--out is a folder"},
		{"nowhere", []string{"--out", filepath.Join(dir, "no", "page.html")}, 2, "folder of --out"},
	} {
		args := append([]string{"backtest", "--data", data}, tc.args...)
		if !strings.Contains(strings.Join(args, " "), "--out") {
			args = append(args, "--out", page)
		}
		if code, _, stderr := polis(t, "", args...); code != tc.code || !strings.Contains(last(stderr), tc.stderr) {
			t.Errorf("%s: exit code %d, want %d: %s", tc.name, code, tc.code, stderr)
		}
	}
	if exists(page) {
		t.Error("a back-test that failed leaves a page")
	}
}

// TestBacktestIsInterrupted in the middle: it ends cleanly, and leaves neither a page nor
// the made book.
func TestBacktestIsInterrupted(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := exec.CommandContext(t.Context(), exe, "backtest", "--customers", "1500", "--as-of", "2026-06-30", "--out", filepath.Join(dir, "page.html"))
	c.Env = append(os.Environ(), "POLIS_TEST_IS_POLIS=1", "TMPDIR="+dir)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said = lines.Text()
		if strings.HasPrefix(said, "import:") { // the first year is next
			if err := c.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = c.Wait() // what it ended with is looked at
	if code := c.ProcessState.ExitCode(); code != 130 || said != "polis: interrupted" {
		t.Errorf("exit code %d, at last: %s", code, said)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("%s is left", f.Name())
	}
}
