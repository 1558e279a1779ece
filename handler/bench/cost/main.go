// Cost prints docs/cost.md: what an import, a run and a score ask of the store and of the bus, and
// what that costs. What is asked is counted by playing them over the adapter for Cosmos DB
// against a fake of the service, whose charges are Microsoft's published table.
//
//	go run ./handler/bench/cost > docs/cost.md
//
// With -azure it plays the same in the Cosmos DB account that the settings of docs/azure.md name, and prints
// what the service charged, which is kept in measured.json and stands on the page from then on:
//
//	go run ./handler/bench/cost -azure > handler/bench/cost/measured.json
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"polis/handler/internal/fault"
)

func main() {
	azure := flag.Bool("azure", false, "play in Azure, and print what was charged")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := do(ctx, *azure); err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

func do(ctx context.Context, azure bool) error {
	dir, err := os.MkdirTemp("", "polis-cost-")
	if err != nil {
		return fault.Wrap(fault.Internal, err, "making a scratch folder")
	}
	defer os.RemoveAll(dir)
	if azure {
		p, err := real(ctx, dir)
		if err != nil {
			return err
		}
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(p)
	}
	p, err := fake(ctx, dir)
	if err != nil {
		return err
	}
	text, err := page(p, ".")
	if err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(text)
	return err
}
