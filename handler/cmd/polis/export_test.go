package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestBringYourOwn exports what models would learn from, brings in models that were
// learnt elsewhere, and scores a book with them.
func TestBringYourOwn(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	model := func(name string) string {
		return filepath.Join("..", "..", "internal", "scoring", "testdata", name+".txt")
	}
	run := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		got, stdout, stderr := polis(t, "", append(args, "--data", at("var"))...)
		if got != code {
			t.Fatalf("%v: exit code %d, want %d: %s", args, got, code, stderr)
		}
		return stdout, stderr
	}
	train := []string{"train", "--tenant", "book", "--as-of", "2026-03-31"}
	if code, _, stderr := polis(t, "", "sample", "--customers", "400", "--as-of", "2026-03-31", "--out", at("book")); code != 0 {
		t.Fatal(stderr)
	}
	run(0, "import", at("book"), "--as-of", "2026-03-31")

	_, stderr := run(0, append(train, "--export-tables", at("tables"))...)
	if !strings.Contains(stderr, "tables in "+at("tables")) {
		t.Errorf("the export says %s", stderr)
	}
	var types map[string]map[string]string
	body, err := os.ReadFile(at("tables/types.json"))
	if err == nil {
		err = json.Unmarshal(body, &types)
	}
	if err != nil || len(types) < 5 {
		t.Fatalf("types of %d tables, %v", len(types), err)
	}
	for name := range types {
		checkTable(t, at("tables/"+name+".csv"), types[name])
	}
	if code, _, _ := polis(t, "", "run", "--tenant", "book", "--data", at("var")); code != 3 {
		t.Error("an export publishes models")
	}

	stdout, _ := run(0, append(train, "--bring", "frequency="+model("frequency"), "--bring", "lapse="+model("lapse"))...)
	learnt, branches, _ := strings.Cut(stdout, "\n\n")
	if !strings.Contains(branches, "motor") || !strings.Contains(branches, "blended") {
		t.Errorf("of branches it says %s", branches)
	}
	for line := range strings.Lines(learnt) {
		name := strings.TrimSpace(line[:24])
		if want := name == "claim frequency" || name == "lapse of a relation"; strings.Contains(line, "brought in: 8 trees of LightGBM's") != want {
			t.Error(line)
		}
	}
	current := func() string {
		t.Helper()
		body, err := os.ReadFile(at("var/blobs/models/book/current.json"))
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	published := current()
	write(t, dir, map[string]string{"broken.txt": "tree\nversion=v4\n"})
	for name, tc := range map[string]struct {
		bring, says string
		code        int
	}{
		"another loss":    {"frequency=" + model("severity"), "loss is gamma", 3},
		"other features":  {"lapse=" + model("frequency"), "the feature branch, which the engine has not", 3},
		"a broken file":   {"lapse=" + at("broken.txt"), "bringing in lapse", 3},
		"no file":         {"lapse=" + at("nothing.txt"), "--bring lapse", 3},
		"no such model":   {"moon=" + model("lapse"), "no model is called moon", 3},
		"a file, no name": {model("lapse"), "--bring", 2},
	} {
		if _, stderr := run(tc.code, append(train, "--bring", tc.bring)...); !strings.Contains(last(stderr), tc.says) {
			t.Errorf("%s: %s", name, stderr)
		}
		if current() != published {
			t.Fatalf("%s: and yet something is published", name)
		}
	}
	run(2, append(train, "--bring", "lapse="+model("lapse"), "--export-tables", at("tables"))...)
	if stdout, _ := run(0, "run", "--tenant", "book", "--as-of", "2026-03-31", "--json"); !strings.Contains(stdout, `"customers": 400`) {
		t.Errorf("the run says %s", stdout)
	}
}

// checkTable makes sure that a table has the columns that its types say, and then what
// came of its rows.
func checkTable(t *testing.T, path string, types map[string]string) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	n := len(types)
	if head := all[0]; len(head) != n+4 || !slices.Equal(head[n:], []string{"y", "weight", "exposure", "group"}) {
		t.Fatalf("%s has the columns %v", path, head)
	}
	for i, record := range all[1:] {
		for c, value := range record {
			if c < n && (value == "" || types[all[0][c]] == "category") {
				continue
			}
			v, err := strconv.ParseFloat(value, 64)
			if err != nil || c > n && v <= 0 {
				t.Fatalf("%s, line %d: %s is no such number", path, i+2, all[0][c])
			}
		}
	}
	if len(all) < 10 {
		t.Errorf("%s has %d lines", path, len(all))
	}
}
