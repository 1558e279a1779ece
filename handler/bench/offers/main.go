// Command offers judges the next best product on made books whose truth is known:
//
//	go run ./handler/bench/offers -customers 20000 -worlds A,B -seeds 1,2
//
// It learns from half of the relations, and ranks for the other half what they do not
// hold as of the book's last day. In the year after it each buys what the world has drawn.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"polis/handler/internal/sample"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "offers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	customers := flag.Int("customers", 20_000, "of each book")
	worlds := flag.String("worlds", "A,B", "which, by comma; nothing is to be tuned on B")
	seeds := flag.String("seeds", "1", "of the books, by comma")
	rows := flag.Int("rows", 0, "of a model's table, at most; 0: as training has it")
	flag.Parse()
	for world := range strings.SplitSeq(*worlds, ",") {
		for s := range strings.SplitSeq(*seeds, ",") {
			seed, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return fmt.Errorf("reading -seeds: %w", err)
			}
			dir, err := os.MkdirTemp("", "offers")
			if err != nil {
				return err
			}
			v, err := judge(ctx, dir, sample.Options{Customers: *customers, Seed: seed, World: sample.World(world)}, *rows)
			if e := os.RemoveAll(dir); err == nil {
				err = e
			}
			if err != nil {
				return err
			}
			fmt.Printf("world %s, seed %d, %d customers: %d relations held out, %d bought\n%s\n", world, seed, *customers, v.Relations, v.Buyers, v)
		}
	}
	return nil
}
