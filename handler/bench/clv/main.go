// Clv says how well values and their intervals hold on the sample's books: it trains on
// each, values its customers, draws their futures, and says what came of each tenth of the
// values and each segment, with intervals over the books.
//
//	go run ./handler/bench/clv -worlds A,B -views intermediary -seeds 1,2,3
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"polis/handler/internal/clv"
	"polis/handler/internal/hindsight"
	"polis/handler/internal/sample"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "clv:", err)
		os.Exit(1)
	}
}

// options are of each book.
type options struct {
	customers, drawn, paths, months int
	model                           bool
}

func run(ctx context.Context) error {
	var o options
	flag.IntVar(&o.customers, "customers", 20_000, "in each book, which is trained on")
	flag.IntVar(&o.drawn, "drawn", 4_000, "of them, whose futures are drawn")
	flag.IntVar(&o.paths, "paths", 80, "futures of each")
	flag.IntVar(&o.months, "months", clv.Defaults.HorizonMonths, "horizon")
	flag.BoolVar(&o.model, "model", false, "print what was learnt of how customers go on")
	seeds := flag.String("seeds", "1", "of the books")
	worlds := flag.String("worlds", "A", "of A, B and null")
	views := flag.String("views", string(clv.Defaults.View), "of insurer, intermediary and agency")
	flag.Parse()
	for _, view := range strings.Split(*views, ",") {
		for _, world := range strings.Split(*worlds, ",") {
			var books []*hindsight.Values
			for _, s := range strings.Split(*seeds, ",") {
				seed, err := strconv.ParseUint(s, 10, 64)
				if err != nil {
					return fmt.Errorf("seeds: %w", err)
				}
				v, err := o.one(ctx, sample.World(world), clv.View(view), seed)
				if err != nil {
					return fmt.Errorf("world %s, %s, seed %d: %w", world, view, seed, err)
				}
				books = append(books, v)
				fmt.Fprintf(os.Stderr, "world %s, %s, seed %d: %.1f%% held, score %.3f\n", world, view, seed, 100*v.All.Interval.Coverage, v.All.Interval.Score)
			}
			fmt.Printf("\nworld %s, %s, %d customers, seeds %s, %d futures of each\n", world, view, o.customers, *seeds, o.paths)
			if err := hindsight.PrintOver(os.Stdout, hindsight.Together(books)); err != nil {
				return err
			}
		}
	}
	return nil
}

// one trains on a book and holds its values against futures.
func (o options) one(ctx context.Context, world sample.World, view clv.View, seed uint64) (*hindsight.Values, error) {
	dir, err := os.MkdirTemp("", "clv")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	of := sample.Options{Customers: o.customers, Seed: seed, World: world}
	source, closed, err := hindsight.Book(ctx, dir, of)
	if err != nil {
		return nil, err
	}
	defer closed()
	settings := scoring.DefaultSettings()
	settings.Clv.View, settings.Clv.HorizonMonths = view, o.months
	asOf, err := hindsight.AsOf(of)
	if err != nil {
		return nil, err
	}
	m, err := train.Fit(ctx, source, train.Options{AsOf: asOf, Settings: &settings})
	if err != nil {
		return nil, err
	}
	if o.model {
		shown := *m.Clv
		shown.Values, shown.Lapses = nil, nil
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", " ")
		if err := e.Encode(shown); err != nil {
			return nil, err
		}
	}
	of.Customers = o.drawn
	return hindsight.Value(ctx, source, m, of, o.paths)
}
