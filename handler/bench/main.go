// Bench prints one table of figures, and writes it as JSON: each is a ratio to a floor
// that is measured in the same run, on the same cores, in turn with it.
//
//	go run ./handler/bench              20,000 and 100,000 customers
//	go run ./handler/bench -full        also 1,000,000
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sort"
	"time"
)

// figure is one row of the table.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"`
	Met    bool    `json:"met"`
	Detail string  `json:"detail,omitempty"`
}

type bench struct {
	ctx     context.Context
	dir     string
	handler string
	bare    string
	polis   string
	figures []figure
}

func main() {
	full := flag.Bool("full", false, "also 1,000,000 customers: about ten minutes and 6 GB of disk")
	out := flag.String("json", "bench.json", "where the table goes as JSON")
	only := flag.String("only", "", "one part: cold, engines, run, score, size")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := do(ctx, *full, *out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func do(ctx context.Context, full bool, out, only string) error {
	dir, err := os.MkdirTemp("", "polis-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{ctx: ctx, dir: dir, handler: filepath.Join(dir, "handler"), bare: filepath.Join(dir, "bare"), polis: filepath.Join(dir, "polis")}
	for bin, pkg := range map[string]string{b.handler: "./handler", b.bare: "./handler/bench/bare", b.polis: "./handler/cmd/polis"} {
		c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, pkg)
		c.Env, c.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("building %s: %w", pkg, err)
		}
	}
	book, err := b.prepare(20_000)
	if err != nil {
		return fmt.Errorf("preparing 20,000 customers: %w", err)
	}
	parts := []struct {
		name string
		do   func() error
	}{
		{"cold", func() error { return b.cold(book) }},
		{"engines", func() error { return b.engines(book) }},
		{"run", func() error { return b.runs(book) }},
		{"score", func() error { return b.scores(book) }},
		{"size", func() error { return b.size(full) }},
	}
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench:", p.name)
		if err := p.do(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return b.print(out)
}

func (b *bench) add(f figure) { b.figures = append(b.figures, f) }

// atMost and atLeast add a row with a target.
func (b *bench) atMost(name string, v, target float64, unit, detail string) {
	b.add(figure{name, v, unit, fmt.Sprintf("≤ %g", target), v <= target, detail})
}

func (b *bench) atLeast(name string, v, target float64, unit, detail string) {
	b.add(figure{name, v, unit, fmt.Sprintf("≥ %g", target), v >= target, detail})
}

func (b *bench) print(out string) error {
	fmt.Printf("%d cores, %s %s/%s, %s\n\n", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, time.Now().UTC().Format(time.DateOnly))
	fmt.Printf("%-58s %10s %-12s %-8s %-6s %s\n", "figure", "value", "unit", "target", "", "")
	for _, f := range b.figures {
		met := ""
		if f.Target != "" {
			if met = "met"; !f.Met {
				met = "MISSED"
			}
		}
		fmt.Printf("%-58s %10.3g %-12s %-8s %-6s %s\n", f.Name, f.Value, f.Unit, f.Target, met, f.Detail)
	}
	body, err := json.MarshalIndent(b.figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(body, '\n'), 0o644)
}

func median(v []float64) float64 {
	s := append([]float64(nil), v...)
	sort.Float64s(s)
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
