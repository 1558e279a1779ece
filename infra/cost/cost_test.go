package cost

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polis/infra/bicep/check"
)

const root = "../.."

// table is the page's: a row for each environment, in whole dollars.
func table(t *testing.T) string {
	t.Helper()
	prices, err := Prices()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, environment := range []string{"dev", "staging", "prod"} {
		e, err := check.Read(filepath.Join(root, "infra", "bicep", "environments", environment+".snapshot.json"), environment)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "| %s |", environment)
		for _, customers := range []float64{0, 10_000, 1_000_000} {
			lines, err := Month(e, prices, customers)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, " %.0f |", Sum(lines))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestPage: the page's table is what the snapshots and the prices come to.
func TestPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "estate-cost.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := table(t); !strings.Contains(string(page), want) {
		t.Errorf("docs/estate-cost.md has another table than\n%s", want)
	}
}

// TestFunctionGroups: the groups that are counted are those of functions/.
func TestFunctionGroups(t *testing.T) {
	functions, err := check.Functions(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]float64{}
	for _, f := range functions {
		n[f.Trigger]++
	}
	if groups("work") != n["serviceBusTrigger"] || groups("clock") != n["timerTrigger"] {
		t.Errorf("functions/ has %v groups", n)
	}
}

// TestDevRests: development costs next to nothing while nobody calls it.
func TestDevRests(t *testing.T) {
	prices, err := Prices()
	if err != nil {
		t.Fatal(err)
	}
	e, err := check.Read(filepath.Join(root, "infra", "bicep", "environments", "dev.snapshot.json"), "dev")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := Month(e, prices, 0)
	if err != nil {
		t.Fatal(err)
	}
	if sum := Sum(lines); sum > 30 {
		t.Errorf("development costs %.0f a month at rest: %v", sum, lines)
	}
}
