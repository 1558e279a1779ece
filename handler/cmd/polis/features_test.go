package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"polis/handler/internal/feature"
)

// TestFeatures prints docs/features.md, or what it is made of.
func TestFeatures(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "features.md"))
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := polis(t, "", "features"); code != 0 || stdout != string(page) {
		t.Errorf("exit code %d, %d bytes of %d: %s", code, len(stdout), len(page), stderr)
	}
	code, stdout, stderr := polis(t, "", "features", "--json")
	var sets []feature.Set
	if err := json.Unmarshal([]byte(stdout), &sets); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v: %s", code, err, stderr)
	}
	if len(sets) != len(feature.Catalogue()) || sets[0].Features[3].Name != "region" || !sets[0].Features[3].CurrentOnly {
		t.Errorf("%+v", sets)
	}
}
