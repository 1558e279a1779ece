package care

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/care.md anew")

// TestDocs keeps docs/care.md what the rules and facts are: go test ./handler/internal/care -update.
func TestDocs(t *testing.T) {
	const path = "../../../docs/care.md"
	want := docs(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/care.md is stale (%v): run go test ./handler/internal/care -update", err)
	}
}

func docs(t *testing.T) string {
	intro, err := os.ReadFile("testdata/intro.md")
	if err != nil {
		t.Fatal(err)
	}
	s := Defaults()
	rules, err := readRules("rules.csv", rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.Write(intro)
	fmt.Fprintf(&b, "\n## The %d rules\n", len(rules))
	group := ""
	for i := range rules {
		r := rules[i]
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(&b, "\n### %s\n| code | when | points | offers wait | misses | source |\n|---|---|---|---|---|---|\n", group)
		}
		holds := ""
		if r.Holds {
			holds = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s |\n", r.Code, r.When, strconv.FormatFloat(r.Points, 'f', -1, 64), holds, r.Branch, r.Source)
	}
	b.WriteString("\n## The facts\n| fact | unit | meaning |\n|---|---|---|\n")
	unsure := map[int]bool{}
	for _, i := range unknowns {
		unsure[i] = true
	}
	for i, f := range FactList[:singles] {
		unit := f.Unit
		if unsure[i] {
			unit += ", or not known"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, unit, f.Meaning)
	}
	b.WriteString("\nAnd for each branch of [tables.md](tables.md), here for `motor`:\n\n| fact | unit | meaning |\n|---|---|---|\n")
	for _, f := range FactList[singles : singles+perBranch] {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, f.Unit, f.Meaning)
	}
	b.WriteString("\n## The data that come with it\n")
	for _, x := range s.Index {
		fmt.Fprintf(&b, "\nIndex of %s. Source: %s.\n\n| year | level |\n|---|---|\n", strings.Join(x.Branches, ", "), x.Source)
		for _, l := range x.Levels {
			fmt.Fprintf(&b, "| %d | %g |\n", l.Year, l.Level)
		}
	}
	b.WriteString("\n| branch | common sum insured | as of | source |\n|---|---|---|---|\n")
	for _, c := range s.Common {
		fmt.Fprintf(&b, "| %s | EUR %s | %d | %s |\n", c.Branch, strconv.FormatFloat(c.EUR, 'f', -1, 64), c.Year, c.Source)
	}
	b.WriteString("\n| setting | default |\n|---|---|\n")
	for _, l := range []struct {
		name  string
		value any
	}{
		{"gap_from", s.GapFrom},
		{"light_covers", strings.Join(s.LightCovers, ", ")},
		{"reviews", strings.Join(s.Reviews, ", ")},
		{"missed_reason", strings.Join(s.MissedReason, ", ")},
		{"sole_traders", strings.Join(s.SoleTraders, ", ")},
		{"one_is_enough", strings.Join(s.OneIsEnough, ", ")},
		{"ahead_days", s.AheadDays},
		{"new_policy_days", s.NewPolicyDays},
		{"late_days", s.LateDays},
		{"after_days", s.AfterDays},
		{"negative", s.Negative},
	} {
		fmt.Fprintf(&b, "| `%s` | %v |\n", l.name, l.value)
	}
	return b.String()
}
