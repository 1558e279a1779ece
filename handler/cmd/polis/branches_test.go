package main

import (
	"strings"
	"testing"

	"polis/handler/internal/risk"
)

func TestPrintBranches(t *testing.T) {
	var b strings.Builder
	printBranches(&b, map[string]risk.Branch{
		"motor": {Exposure: 1000, Claims: 100, Nil: 7, Incurred: 150_000, Ultimate: 160_000, Error: 5000, Excess: 1.2, Basis: risk.Blended, Credibility: 0.87, Apart: []risk.Cover{{Name: "glass", Claims: 0.05}, {Name: "roadside", Claims: 0.02}}},
		"boat":  {Basis: risk.Market}, // of the market alone: the book has none
	})
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || strings.Join(strings.Fields(lines[1]), " ") != "motor 1000 100 7 0.070 150000 160000 5000 1.20 blended 0.87" {
		t.Errorf("%s", b.String())
	}
}
