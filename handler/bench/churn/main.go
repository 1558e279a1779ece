// Churn says how well probabilities of lapse hold against the truth of the sample's books:
// it trains on half of one, and scores the relations and policies of the other half.
//
//	go run ./handler/bench/churn -world B -customers 20000
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"polis/handler/internal/sample"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "churn:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	customers := flag.Int("customers", 20_000, "in the book, of whom half are trained on")
	seed := flag.Uint64("seed", 1, "of the book")
	world := flag.String("world", "A", "A, B or null")
	paths := flag.Int("paths", 40, "futures of each customer")
	settings := flag.String("settings", "", "a JSON `file` with a tenant's settings")
	flag.Parse()
	dir, err := os.MkdirTemp("", "churn")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
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
	m, err := makeBook(ctx, dir, sample.Options{Customers: *customers, Seed: *seed, World: sample.World(*world)})
	if err != nil {
		return err
	}
	futures, err := draw(ctx, m.drawn, *paths)
	if err != nil {
		return err
	}
	j, err := judge(ctx, m, train.Options{Settings: &s}, futures)
	if err != nil {
		return err
	}
	fmt.Printf("world %s, %d customers, seed %d; lapse within 12 months, against the truth, of those not trained on\n\n", *world, *customers, *seed)
	fmt.Println("             n   predicted    true     AUC  of the truth  by the relation's  explained  true over predicted, by fifths")
	for _, row := range []struct {
		name string
		said *said
	}{{"relations", j.relations}, {"policies", j.policies}} {
		f := row.said.figures()
		fmt.Printf("%-10s %6d  %8.4f  %7.4f  %6.3f  %12.3f  %17.3f  %8.0f%%   %.2f\n", row.name, f.N, f.Predicted, f.True, f.AUC, f.Ceiling, f.Coarse, 100*f.Explained, f.Fifths)
	}
	fmt.Printf("\nrelations, lapse within so many months, against %d futures of each; without and with what is known fading\n\n", *paths)
	fmt.Println("months  fades       n  predicted    true   slope  true over predicted, by fifths")
	for y := range j.faded {
		for k, s := range []*said{j.plain[y], j.faded[y]} {
			f := s.figures()
			fmt.Printf("%6d  %-5s  %6d  %9.4f %7.4f  %6.2f  %.2f\n", 12*y+12, []string{"no", "yes"}[k], f.N, f.Predicted, f.True, f.Slope, f.Fifths)
		}
	}
	fmt.Println()
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	return e.Encode(j.model.Book)
}
