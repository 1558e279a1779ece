package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"polis/handler/internal/exports"
)

// TestExport writes a book as Parquet where nothing else is, once, and again over what an export that was cut off left.
func TestExport(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	run := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		got, stdout, stderr := polis(t, "", append(args, "--data", at("var"))...)
		if got != code {
			t.Fatalf("%v: exit code %d, want %d: %s", args, got, code, stderr)
		}
		return stdout, stderr
	}
	if code, _, stderr := polis(t, "", "sample", "--customers", "300", "--as-of", "2026-03-31", "--out", at("book")); code != 0 {
		t.Fatal(stderr)
	}
	run(3, "export", "--tenant", "book", "--to", at("out"))
	run(0, "import", at("book"), "--as-of", "2026-03-31")
	run(3, "export", "--tenant", "other", "--to", at("out"))
	run(2, "export", "--tenant", "book")
	if stdout, _ := run(0, "export", "--tenant", "book", "--to", at("bare")); !strings.Contains(stdout, "no run is completed yet") {
		t.Error(stdout)
	}
	run(0, "train", "--tenant", "book", "--as-of", "2026-03-31")
	run(0, "run", "--tenant", "book", "--as-of", "2026-03-31")

	write(t, at("out"), map[string]string{"risk.parquet": "half of it", "risk.2.parquet": "of a larger book"})
	write(t, at("out/.partial"), map[string]string{"x": "half of another"})
	run(0, "export", "--tenant", "book", "--to", at("out"))
	body, err := os.ReadFile(at("out/manifest.json"))
	var m exports.Manifest
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	if err != nil || m.Tenant != "book" || m.Run != "2026-03-31-all-1" || m.Actions == nil || m.Damaged != 0 {
		t.Fatalf("%v: %s", err, body)
	}
	entries, err := os.ReadDir(at("out"))
	if err != nil || len(entries) != len(m.Files)+1 {
		t.Errorf("%d files and a manifest, and there are %v, %v", len(m.Files), entries, err)
	}
	tables := map[string]int64{}
	for _, f := range m.Files {
		file, err := os.Open(filepath.Join(at("out"), f.Name))
		if err != nil {
			t.Fatal(err)
		}
		p, err := parquet.OpenFile(file, f.Bytes)
		if err != nil || p.NumRows() != f.Rows {
			t.Errorf("%s: %v", f.Name, err)
		}
		tables[f.Table] += f.Rows
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"risk", "churn", "clv", "nbp", "defend"} {
		if tables[table] != tables["customers"] || tables[table] < 300 {
			t.Errorf("%d rows of %s, and %d customers", tables[table], table, tables["customers"])
		}
	}
	for _, table := range []string{"policies", "policy_attributes", "claims", "contacts", "risk_policies", "churn_policies", "nbp_offers", "actions"} {
		if tables[table] == 0 {
			t.Errorf("nothing in %s", table)
		}
	}

	if _, stderr := run(3, "export", "--tenant", "book", "--to", at("out")); !strings.Contains(stderr, "holds an export already") {
		t.Error(stderr)
	}
	write(t, at("mine"), map[string]string{"customers.parquet": "", "thesis.txt": "mine"})
	if _, stderr := run(3, "export", "--tenant", "book", "--to", at("mine")); !strings.Contains(stderr, "no part of an export") {
		t.Error(stderr)
	}
	if _, err := os.Stat(at("mine/customers.parquet")); err != nil {
		t.Errorf("something of mine is gone: %v", err)
	}
}
