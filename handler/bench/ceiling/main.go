// Ceiling says how much of what can be learnt from its features each engine learns: it
// compares what engines that are trained on a portfolio explain with what the best of
// theirs and LightGBM's explain when they are trained on ten such portfolios.
//
//	scripts/bench-ceiling/run -customers 20000 -seeds 1,2 -books 5
//	go run ./handler/bench/ceiling -report          # of what was measured already
//	go run ./handler/bench/ceiling -sizes -customers 20000 -seeds 1   # learnt from 5,000, 20,000 and 200,000
//
// Of each world and seed one book is made, of twelve parts. Ten are portfolios; all ten
// together are what the ceiling is learnt from; on the customers of the other two everyone
// is judged, against the truth's probabilities and expected losses of the year that follows
// each date. So the calendar's drift, storms and tariffs are those that a portfolio meets.
// It walks forward: to the book's last day, and to the same day of years before, with what
// was known by then.
//
// What is trained is what scores: train.Engines. What is judged is the engines' answers.
// Results are appended to a file, and what is in it is not measured again.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"polis/handler/internal/sample"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "ceiling:", err)
		os.Exit(1)
	}
}

// options are what the command is asked.
type options struct {
	customers      int // of a portfolio
	books, years   int
	python, script string
	results        string
	settings       *scoring.Settings
}

// result is what came of a model.
type result struct {
	World     sample.World       `json:"world"`
	Seed      uint64             `json:"seed"`
	Customers int                `json:"customers"` // of a portfolio
	Back      int                `json:"years_back"`
	Model     string             `json:"model"` // ceiling, a peer's name, or the number of a portfolio
	Seconds   float64            `json:"seconds"`
	Figures   map[figure]verdict `json:"figures,omitempty"`
}

// ceiling is the name of ours on all ten portfolios.
const ceiling = "ceiling"

// rows are what a model's table has at most, of a portfolio; the ceiling's has ten times as many.
const rows = 120_000

func run(ctx context.Context) error {
	var o options
	worlds := flag.String("worlds", "A,B", "which, by comma; nothing is to be tuned on B")
	seeds := flag.String("seeds", "1,2", "of the books, by comma")
	flag.IntVar(&o.customers, "customers", 20_000, "of a portfolio")
	flag.IntVar(&o.books, "books", 5, "portfolios of a book, of ten, that are learnt from by themselves")
	flag.IntVar(&o.years, "years", 3, "dates that are walked to, a year apart")
	flag.StringVar(&o.python, "python", "", "a Python with LightGBM; without it the ceiling is ours alone")
	flag.StringVar(&o.script, "fit", filepath.Join("scripts", "bench-ceiling", "fit.py"), "what fits LightGBM")
	flag.StringVar(&o.results, "results", filepath.Join("var", "bench-ceiling", "results.ndjson"), "the file of results")
	settings := flag.String("settings", "", "a JSON `file` with a tenant's settings")
	only := flag.Bool("report", false, "measure nothing")
	bySize := flag.Bool("sizes", false, "learn from a quarter of a portfolio, one and ten, as a tenant would, and compare with nothing")
	flag.Parse()
	s := scoring.DefaultSettings()
	if *settings != "" {
		f, err := os.Open(*settings)
		if err != nil {
			return err
		}
		defer f.Close()
		if s, err = scoring.ReadSettings(f, s); err != nil {
			return err
		}
	}
	o.settings = &s
	if *bySize {
		fmt.Println("| learnt from | world | claims, explained (Gini, true/predicted) | loss | lapse of a relation | of a policy | purchase | branches; groups | |\n|---|---|---|---|---|---|---|---|---|")
	}
	if err := os.MkdirAll(filepath.Dir(o.results), 0o750); err != nil {
		return err
	}
	for world := range strings.SplitSeq(*worlds, ",") {
		for field := range strings.SplitSeq(*seeds, ",") {
			seed, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				return fmt.Errorf("reading -seeds: %w", err)
			}
			switch {
			case *only:
			case *bySize:
				err = o.bySize(ctx, sample.World(world), seed)
			default:
				err = o.measure(ctx, sample.World(world), seed)
			}
			if err != nil {
				return fmt.Errorf("world %s, seed %d: %w", world, seed, err)
			}
		}
	}
	if *bySize {
		return nil
	}
	all, err := load(o.results)
	if err != nil {
		return err
	}
	fmt.Print(report(all))
	return nil
}

// load reads results; none of no file.
func load(path string) (out []result, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		out = append(out, r)
	}
	return out, lines.Err()
}

// measure adds the results of a world and seed that are not there yet.
func (o *options) measure(ctx context.Context, world sample.World, seed uint64) error {
	before, err := load(o.results)
	if err != nil {
		return err
	}
	has := func(back int, model string) bool {
		for _, r := range before {
			if r.World == world && r.Seed == seed && r.Customers == o.customers && r.Back == back && r.Model == model {
				return true
			}
		}
		return false
	}
	dir, err := os.MkdirTemp("", "ceiling")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	what := sample.Options{Customers: parts * o.customers, Seed: seed, World: world, AsOf: sample.DefaultAsOf}
	var b *parted
	for back := o.years - 1; back >= 0; back-- {
		var todo []string
		for i := range o.books {
			if name := strconv.Itoa(i); !has(back, name) {
				todo = append(todo, name)
			}
		}
		ours, theirs := !has(back, ceiling), o.python != "" && !has(back, peers[0])
		if len(todo) == 0 && !ours && !theirs {
			continue
		}
		if b == nil {
			if b, err = makeBook(ctx, dir, what); err != nil {
				return err
			}
		}
		t, err := tell(ctx, what, back)
		if err != nil {
			return err
		}
		one := func(model string, m *scoring.Models, since time.Time) error {
			r := result{World: world, Seed: seed, Customers: o.customers, Back: back, Model: model, Seconds: time.Since(since).Seconds()}
			if r.Figures, err = judge(ctx, b.source(1, portfolios, portfolios+1), m, t, b.asOf.AddMonths(-12*back)); err != nil {
				return err
			}
			return o.keep(&r)
		}
		learn := train.Options{AsOf: b.asOf.AddMonths(-12 * back), Settings: o.settings, MaxRows: rows}
		if ours || theirs {
			start, all := time.Now(), learn
			all.MaxRows *= portfolios
			m, tables, err := train.Engines(ctx, b.source(1, everybody...), all)
			if err != nil {
				return err
			}
			if ours {
				if err := one(ceiling, m, start); err != nil {
					return err
				}
			}
			if theirs {
				start = time.Now()
				fitted, err := fitPeers(ctx, dir, o.python, o.script, m, tables)
				if err != nil {
					return err
				}
				for _, p := range peers {
					if fitted[p] == nil { // kept, so that it is not fitted again: it explains nothing
						if err := o.keep(&result{World: world, Seed: seed, Customers: o.customers, Back: back, Model: p, Seconds: time.Since(start).Seconds()}); err != nil {
							return err
						}
						continue
					}
					if err := one(p, fitted[p], start); err != nil {
						return err
					}
				}
			}
		}
		for _, name := range todo {
			start := time.Now()
			part, _ := strconv.Atoi(name)
			m, _, err := train.Engines(ctx, b.source(1, part), learn)
			if err != nil {
				return err
			}
			if err := one(name, m, start); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep appends a result to the file, so that an interruption loses nothing.
func (o *options) keep(r *result) (err error) {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(o.results, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	_, err = f.Write(append(line, '\n'))
	fmt.Fprintf(os.Stderr, "world %s, seed %d, %d years back, %s: %.0f s\n", r.World, r.Seed, r.Back, r.Model, r.Seconds)
	return err
}
