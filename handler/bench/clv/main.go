// Clv says how well values and their intervals hold on the sample's books: it trains on
// one, values its customers, and draws their futures.
//
//	go run ./handler/bench/clv -world B -view insurer
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

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

func run(ctx context.Context) error {
	customers := flag.Int("customers", 20_000, "in the book that is trained on")
	drawn := flag.Int("drawn", 4_000, "of them, whose futures are drawn")
	paths := flag.Int("paths", 200, "futures of each")
	seed := flag.Uint64("seed", 1, "of the book")
	world := flag.String("world", "A", "A, B or null")
	view := flag.String("view", string(clv.Defaults.View), "insurer, intermediary or agency")
	horizon := flag.Int("months", clv.Defaults.HorizonMonths, "horizon")
	model := flag.Bool("model", false, "print what was learnt of how customers go on")
	flag.Parse()
	dir, err := os.MkdirTemp("", "clv")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o := sample.Options{Customers: *customers, Seed: *seed, World: sample.World(*world)}
	source, closed, err := hindsight.Book(ctx, dir, o)
	if err != nil {
		return err
	}
	defer closed()
	settings := scoring.DefaultSettings()
	settings.Clv.View, settings.Clv.HorizonMonths = clv.View(*view), *horizon
	asOf, err := hindsight.AsOf(o)
	if err != nil {
		return err
	}
	m, err := train.Fit(ctx, source, train.Options{AsOf: asOf, Settings: &settings})
	if err != nil {
		return err
	}
	if *model {
		shown := *m.Clv
		shown.Values, shown.Lapses = nil, nil
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", " ")
		if err := e.Encode(shown); err != nil {
			return err
		}
	}
	o.Customers = *drawn
	v, err := hindsight.Value(ctx, source, m, o, *paths)
	if err != nil {
		return err
	}
	return v.Print(os.Stdout)
}
