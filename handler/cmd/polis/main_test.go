package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestMain is polis itself where a test asks for it.
func TestMain(m *testing.M) {
	if os.Getenv("POLIS_TEST_IS_POLIS") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// polis runs a command as a person would.
func polis(t *testing.T, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	c := exec.CommandContext(t.Context(), exe, args...)
	c.Env = append(os.Environ(), "POLIS_TEST_IS_POLIS=1")
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(in), &out, &errs
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	customersCSV = "customer_id,birth_year,postcode\nK1,1980,1234 AB\nK2,2980,2345 CD\n"
	policiesCSV  = "policy_id,customer_id,branch,start_date,annual_premium,status\nP1,K1,motor,2024-01-01,300.50,active\n"
)

// TestCommands: each call ends with a code that means something and says what is wrong
// in a line, without showing what anybody's row holds.
func TestCommands(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "var")
	good := write(t, filepath.Join(dir, "Good Book"), map[string]string{"customers.csv": customersCSV, "policies.csv": policiesCSV})
	strangers := write(t, filepath.Join(dir, "strangers"), map[string]string{"customers.csv": customersCSV, "policies.csv": strings.ReplaceAll(policiesCSV, "K1", "K9")})
	header := write(t, filepath.Join(dir, "header"), map[string]string{"customers.csv": "customer,birth_year\nK1,1980\n"})
	empty := write(t, filepath.Join(dir, "empty"), nil)
	file := filepath.Join(write(t, dir, map[string]string{"file": "x"}), "file")
	for _, tc := range []struct {
		name   string
		in     string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"help", "", []string{"--help"}, 0, "import", ""},
		{"help of a command", "", []string{"run", "--help"}, 0, "--engines", ""},
		{"nothing", "", nil, 2, "", "polis: expected one of"},
		{"no such command", "", []string{"improt"}, 2, "", "improt"},
		{"no such flag", "", []string{"run", "--engine", "risk"}, 2, "", "--engine"},
		{"import of nothing", "", []string{"import"}, 2, "", "<dir>"},
		{"no such folder", "", []string{"import", filepath.Join(dir, "missing")}, 3, "", "customers"},
		{"an empty folder", "", []string{"import", empty}, 3, "", "customers"},
		{"a header mistake", "", []string{"import", header}, 3, "", "customers.csv, line 1: the header lacks customer_id"},
		{"no decimal sign", "", []string{"import", good, "--decimal", "x"}, 2, "", "--decimal"},
		{"no date", "", []string{"import", good, "--as-of", "yesterday"}, 2, "", "--as-of"},
		{"a date to come", "", []string{"run", "--as-of", "2999-01-01"}, 2, "", "not after today"},
		{"train nobody", "", []string{"train", "--tenant", "nobody"}, 3, "", "no such tenant: nobody; there are header"},
		{"top of nobody", "", []string{"top", "--tenant", "nobody"}, 3, "", "no such tenant: nobody"},
		{"import", "", []string{"import", good, "--as-of", "2026-03-31"}, 0, "customers.csv: csv, comma, ascii", "1 rows rejected"},
		{"import again", "", []string{"import", good, "--as-of", "2026-03-31"}, 0, "", "0 customers new, 0 changed, 1 unchanged"},
		{"a table that does not fit", "", []string{"import", strangers, "--as-of", "2026-03-31"}, 3, "1 rejected", "none of the 1 rows of policies landed"},
		{"import as JSON", "", []string{"import", good, "--as-of", "2026-03-31", "--json"}, 0, `"rows_read": 2`, ""},
		{"run without models", "", []string{"run", "--tenant", "good-book"}, 3, "", "train"},
		{"run another engine", "", []string{"run", "--tenant", "good-book", "--engines", "weather"}, 2, "", "weather"},
		{"train", "", []string{"train", "--tenant", "good-book", "--as-of", "2026-03-31"}, 0, "the mean alone", ""},
		{"train as of an earlier date", "", []string{"train", "--tenant", "good-book", "--as-of", "2025-03-31"}, 3, "", "models as of 2026-03-31 are published"},
		{"so older models are asked for", "", []string{"train", "--tenant", "good-book", "--as-of", "2025-03-31", "--older"}, 0, "the mean alone", ""},
		{"later ones are not older", "", []string{"train", "--tenant", "good-book", "--as-of", "2026-03-31"}, 0, "the mean alone", ""},
		{"before there was a policy", "", []string{"train", "--tenant", "good-book", "--as-of", "1950-01-01", "--older"}, 3, "", "no policy"},
		{"help says how", "", []string{"train", "--help"}, 0, "--older", ""},
		{"run", "", []string{"run", "--tenant", "good-book", "--as-of", "2026-03-31", "--json"}, 0, `"customers": 1`, ""},
		{"top", "", []string{"top", "--tenant", "good-book", "-n", "3"}, 0, "on the list; an action is due for", ""},
		{"run of another tenant", "", []string{"run", "--tenant", "sample"}, 3, "", "no such tenant: sample; there are good-book, header, strangers"},
		{"effects of another tenant", "", []string{"effects"}, 3, "", "no such tenant: sample; there are"},
		{"send", `{"tenant":"good-book"}`, []string{"send", "risk-requests", "--id", "m1"}, 0, "", ""},
		{"send nothing there", "", []string{"send", "risk-requests", filepath.Join(dir, "nothing")}, 3, "", "nothing"},
		{"send too much", strings.Repeat("x", 1<<20+1), []string{"send", "risk-requests"}, 3, "", "1048576 bytes"},
		{"peek", "", []string{"peek", "risk-requests"}, 0, `"id":"m1"`, ""},
		{"peek dead ones", "", []string{"peek", "risk-requests", "--dead"}, 0, "", ""},
		{"replay of no queue", "", []string{"replay", "nosuch"}, 3, "", "no such queue: there are churn-requests"},
		{"peek at no queue", "", []string{"peek", "nosuch"}, 3, "", "no such queue"},
		{"other buckets", "", []string{"import", good, "--buckets", "128"}, 3, "", "has 64 buckets"},
		{"Azure without a tenant", "", []string{"import", good, "--azure"}, 2, "", "--tenant"},
		{"replay", "", []string{"replay", "risk-requests"}, 0, "0 messages put back on risk-requests", ""},
		{"sample without folder", "", []string{"sample"}, 2, "", "--out"},
		{"sample of another world", "", []string{"sample", "--out", dir, "--world", "C"}, 2, "", "--world"},
		{"sample of nobody", "", []string{"sample", "--out", dir, "--customers", "0"}, 2, "", "--customers: needs a whole number above 0"},
		{"sample of fewer", "", []string{"sample", "--out", dir, "--customers", "-5"}, 2, "", "--customers: needs a whole number above 0"},
		{"simulate fewer", "", []string{"simulate", "--customers", "1000,-5"}, 2, "", "--customers: needs a whole number above 0"},
		{"local of fewer", "", []string{"local", "--customers", "-5"}, 2, "", "--customers: needs a whole number above 0"},
		{"a file for a folder", "", []string{"peek", "risk-requests", "--data", file}, 3, "", "no Polis data in"},
		{"a folder and Azure", "", []string{"import", good, "--azure", "--data", data}, 2, "", "--data and --azure can't be used together"},
		{"a made book in Azure", "", []string{"backtest", "--customers", "50", "--azure"}, 2, "", "--azure names those that are in Azure"},
		{"nothing staged", "", []string{"local", "--root", empty}, 2, "", "make build"},
	} {
		args := tc.args
		if len(args) > 0 && args[0] != "sample" && args[0][0] != '-' && !strings.Contains(strings.Join(args, " "), "--data") && !slices.Contains(args, "--azure") {
			args = append(slices.Clone(args), "--data", data)
		}
		code, stdout, stderr := polis(t, tc.in, args...)
		if code != tc.code || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) {
			t.Errorf("%s: exit code %d, want %d\nstdout: %s\nstderr: %s", tc.name, code, tc.code, stdout, stderr)
		}
		if tc.code != 0 && !strings.HasPrefix(last(stderr), "polis: ") {
			t.Errorf("%s: the last line does not say what is wrong: %s", tc.name, stderr)
		}
		if strings.Contains(stdout+stderr, "panic") || strings.Contains(stderr, "1234 AB") || strings.Contains(stderr, "2980") {
			t.Errorf("%s: shows what it should not:\n%s", tc.name, stderr)
		}
	}
}

// TestAzureNeedsSettings: each command says which setting it lacks, and asks no more of who moves messages than it uses.
func TestAzureNeedsSettings(t *testing.T) {
	for _, name := range []string{"COSMOS__accountEndpoint", "BLOBS__blobServiceUri", "BLOBS__accountName", "SERVICEBUS__fullyQualifiedNamespace", "POLIS_STANDINS"} {
		t.Setenv(name, "")
	}
	dir := write(t, filepath.Join(t.TempDir(), "book"), map[string]string{"customers.csv": customersCSV, "policies.csv": policiesCSV})
	for _, tc := range []struct {
		lacks    string
		commands [][]string
	}{
		{"COSMOS__accountEndpoint", [][]string{
			{"import", dir, "--tenant", "t"},
			{"train"},
			{"run"},
			{"export", "--to", filepath.Join(dir, "out")},
			{"top"},
			{"effects"},
			{"settings"},
			{"audit"},
			{"backtest", "--out", filepath.Join(dir, "page.html")},
		}},
		{"BLOBS__blobServiceUri", [][]string{{"send", "risk-requests"}, {"peek", "risk-requests"}, {"replay", "risk-requests"}}},
	} {
		for _, args := range tc.commands {
			code, stdout, stderr := polis(t, "", append(args, "--azure")...)
			if code != 2 || stdout != "" || !strings.HasPrefix(last(stderr), "polis: "+tc.lacks) {
				t.Errorf("%v: exit code %d: %s%s", args, code, stdout, stderr)
			}
		}
	}
	t.Setenv("COSMOS__accountEndpoint", "https://polis.documents.azure.com:443/")
	t.Setenv("BLOBS__blobServiceUri", "https://polis.blob.core.windows.net/")
	t.Setenv("SERVICEBUS__fullyQualifiedNamespace", "polis.servicebus.windows.net")
	t.Setenv("POLIS_STANDINS", dir)
	if code, _, stderr := polis(t, "", "top", "--azure"); code != 2 || !strings.Contains(last(stderr), "POLIS_STANDINS") && !strings.Contains(last(stderr), "certificate") {
		t.Errorf("stand-ins that this program does not know, or that are not there: exit code %d: %s", code, stderr)
	}
}

func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestSampleIsTheSame to the byte with the same seed, and another with another.
func TestSampleIsTheSame(t *testing.T) {
	read := func(seed string) string {
		dir := t.TempDir()
		if code, _, stderr := polis(t, "", "sample", "--customers", "50", "--seed", seed, "--as-of", "2026-03-31", "--out", dir); code != 0 {
			t.Fatal(stderr)
		}
		all := ""
		for _, name := range []string{"customers", "policies", "claims", "contacts"} {
			body, err := os.ReadFile(filepath.Join(dir, name+".csv"))
			if err != nil {
				t.Fatal(err)
			}
			all += string(body)
		}
		return all
	}
	if first := read("7"); first != read("7") || first == read("8") {
		t.Error("the seed does not say what the sample is")
	}
}

// TestNothingIsFoundWhereThereIsNothing: in a world in which nothing drives anything the
// models must explain nothing, and in one with causes something.
func TestNothingIsFoundWhereThereIsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: run without the race detector")
	}
	explained := func(world string) map[string]float64 {
		dir := filepath.Join(t.TempDir(), "book")
		data := filepath.Join(t.TempDir(), "var")
		for _, args := range [][]string{
			{"sample", "--customers", "3000", "--world", world, "--as-of", "2026-03-31", "--out", dir},
			{"import", dir, "--as-of", "2026-03-31", "--data", data},
		} {
			if code, _, stderr := polis(t, "", args...); code != 0 {
				t.Fatal(stderr)
			}
		}
		code, stdout, stderr := polis(t, "", "train", "--tenant", "book", "--as-of", "2026-03-31", "--data", data)
		if code != 0 {
			t.Fatal(stderr)
		}
		out := map[string]float64{}
		for line := range strings.Lines(stdout) {
			if before, after, ok := strings.Cut(line, "explains"); ok {
				percent, err := strconv.ParseFloat(strings.TrimSpace(strings.Split(after, "%")[0]), 64)
				if err != nil {
					t.Fatal(line, err)
				}
				out[strings.TrimSpace(before[:24])] = percent
			}
		}
		return out
	}
	null, a := explained("null"), explained("A")
	if len(null) < 6 {
		t.Errorf("only %v were learnt", null)
	}
	for name, percent := range null {
		if percent > 3 {
			t.Errorf("null world: %s explains %.1f%% of the deviance", name, percent)
		}
	}
	if a["purchase of motor"] < 2 || a["claim frequency"] < 3 {
		t.Errorf("world A: %v", a)
	}
	t.Logf("null: %v\nA: %v", null, a)
}
