package main

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTop runs a sample of 2,000 customers, half of whom may miss something: who may leave stands
// on the first screens all the same, and each part is where and as large as it should be.
func TestTop(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: run without the race detector")
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := polis(t, "", args...)
		if code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
		return stdout
	}
	book, data := filepath.Join(dir, "book"), filepath.Join(dir, "var")
	run("sample", "--customers", "2000", "--as-of", "2026-03-31", "--out", book)
	run("import", book, "--as-of", "2026-03-31", "--data", data)
	run("train", "--tenant", "book", "--as-of", "2026-03-31", "--data", data)
	run("run", "--tenant", "book", "--as-of", "2026-03-31", "--data", data)

	if code, _, stderr := polis(t, "", "top", "--tenant", "book", "--n=-2", "--data", data); code == 0 || !strings.Contains(stderr, "from 0 on") {
		t.Errorf("fewer than none: exit code %d: %s", code, stderr)
	}
	item := regexp.MustCompile(`(?m)^ +(\d+)  (\w+) +(\S+) +(\w+) +due `)
	top := func(part string) [][]string {
		return item.FindAllStringSubmatch(run("top", "--tenant", "book", "-n", "5000", "--part", part, "--data", data), -1)
	}
	all := top("")
	const screens = 300 // items: three pages of the default limit
	count, seen, calls := map[string]int{}, map[string]bool{}, 0
	for i, m := range all {
		if rank, err := strconv.Atoi(m[1]); err != nil || rank != i+1 || seen[m[3]] {
			t.Errorf("item %d is %v", i+1, m)
		}
		count[m[2]]++
		if seen[m[3]] = true; m[4] == "retention_call" && i < screens {
			calls++
		}
		if m[2] == "care" && i >= count["care"] {
			t.Errorf("care stands behind something else, at %d", i+1)
		}
	}
	if !strings.Contains(run("top", "--tenant", "book", "-n", "5000", "--part", "commercial", "--data", data), ", also coverage_advice") {
		t.Error("no call names what is missing")
	}
	if count["advice"] != 500 || count["care"] == 0 || count["commercial"] == 0 || calls < 20 {
		t.Errorf("%v, and %d calls to keep somebody among the first %d", count, calls, screens)
	}
	for part, n := range count {
		got := top(part)
		if len(got) != n || got[0][2] != part {
			t.Errorf("the part %s has %d items, %d on the list", part, len(got), n)
		}
	}
}
