package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"polis/handler/internal/sample"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

// everybody is all portfolios of a book.
var everybody = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}

// sizes are what is learnt from in turn: a quarter of a portfolio, one, and ten.
var sizes = []struct {
	nth   int
	parts []int
	share float64 // of a portfolio
}{{4, []int{0}, 0.25}, {1, []int{0}, 1}, {1, everybody, portfolios}}

// bySize prints a line of a markdown table for each size, of the book's last day: what the
// engines explain of the truth of the year after it, and what their levels rest on.
func (o *options) bySize(ctx context.Context, world sample.World, seed uint64) error {
	dir, err := os.MkdirTemp("", "sizes")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	what := sample.Options{Customers: parts * o.customers, Seed: seed, World: world, AsOf: sample.DefaultAsOf}
	b, err := makeBook(ctx, dir, what)
	if err != nil {
		return err
	}
	t, err := tell(ctx, what, 0)
	if err != nil {
		return err
	}
	for _, s := range sizes {
		start := time.Now()
		m, _, err := train.Engines(ctx, b.source(s.nth, s.parts...), train.Options{AsOf: b.asOf, Settings: o.settings})
		if err != nil {
			return err
		}
		took := time.Since(start)
		v, err := judge(ctx, b.source(1, portfolios, portfolios+1), m, t, b.asOf)
		if err != nil {
			return err
		}
		fmt.Printf("| %.0f | %s |", s.share*float64(o.customers), world)
		for _, f := range figures {
			fmt.Printf(" %.0f%% (%.2f, %.2f) |", 100*v[f].Explained, v[f].Gini, v[f].True/v[f].Predicted)
		}
		fmt.Printf(" %s | %.0f s, %d MiB |\n", restsOn(m), took.Seconds(), peak()>>10)
	}
	return nil
}

// restsOn counts what the levels of branches and the models of groups rest on.
func restsOn(m *scoring.Models) string {
	branches, groups := map[string]int{}, map[string]int{}
	for _, b := range m.Risk.Branches {
		if b.Claims > 0 || b.Exposure > 0 {
			branches[string(b.Basis)]++
		}
	}
	for _, g := range m.Nbp.Fitted {
		groups[string(g.Basis)]++
	}
	count := func(of map[string]int) string {
		var out []string
		for _, basis := range []string{"own", "blended", "market"} {
			if of[basis] > 0 {
				out = append(out, fmt.Sprintf("%d %s", of[basis], basis))
			}
		}
		return strings.Join(out, ", ")
	}
	return count(branches) + "; " + count(groups)
}

// peak is the most memory that the process has had, in KiB; it only grows.
func peak() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss
}
