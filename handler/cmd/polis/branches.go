package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"polis/handler/internal/risk"
)

// printBranches prints what training found of each branch that the book has: what claims
// are known to be and expected to become, and what its level rests on.
func printBranches(w io.Writer, branches map[string]risk.Branch) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\nbranch\tpolicy-years\tclaims\tof nothing\tapart a year\tincurred EUR\tdeveloped\t±\texcess\tbasis\tcredibility\t")
	for _, name := range slices.Sorted(maps.Keys(branches)) {
		b := branches[name]
		if b.Exposure == 0 {
			continue
		}
		apart := 0.0
		for _, c := range b.Apart {
			apart += c.Claims
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t%.3f\t%.0f\t%.0f\t%.0f\t%.2f\t%s\t%.2f\t\n",
			name, b.Exposure, b.Claims, b.Nil, apart, b.Incurred, b.Ultimate, b.Error, b.Excess, b.Basis, b.Credibility)
	}
	t.Flush()
}
