package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"polis/handler/internal/backtest"
	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake"
	"polis/handler/internal/watch"
)

type backtestCmd struct {
	place
	Tenant    string `help:"Tenant whose book is tested; by default sample."`
	AsOf      string `help:"Look back from this date; by default today."`
	Years     int    `help:"How many years: as of each the models are trained anew." default:"3"`
	Settings  string `help:"Settings to test, over those of the tenant's current models; see polis settings." type:"existingfile" placeholder:"FILE"`
	Customers count  `help:"Test on a made book of so many customers instead of a tenant's." placeholder:"N"`
	World     string `help:"Of the made book: A, B, or null, in which nothing drives anything." enum:"A,B,null," default:""`
	Seed      uint64 `help:"Of the made book." placeholder:"N"`
	JSON      bool   `name:"json" help:"Print the figures as JSON."`
	Out       string `help:"File for the page." default:"backtest.html"`
}

// mostYears is as many as may be asked.
const mostYears = 20

func (m *backtestCmd) Run(ctx context.Context) error {
	on, err := asOf(m.AsOf)
	if err != nil {
		return err
	}
	switch {
	case m.Years < 1 || m.Years > mostYears:
		return fault.New(fault.Unconfigured, "--years is from 1 to %d", mostYears)
	case m.Customers == 0 && (m.World != "" || m.Seed != 0):
		return fault.New(fault.Unconfigured, "--world and --seed are of a made book: --customers says how large")
	case m.Customers > 0 && m.Tenant != "":
		return fault.New(fault.Unconfigured, "--customers makes a book, and --tenant names one: give one of them")
	case m.Customers > 0 && m.Azure:
		return fault.New(fault.Unconfigured, "--customers makes a book here, and --azure names those that are in Azure: give one of them")
	case m.Out == "-":
		return fault.New(fault.Unconfigured, "--out is a file: the figures go to standard output")
	}
	if err := writable(m.Out); err != nil {
		return err
	}
	if m.Customers > 0 {
		return m.made(ctx, on)
	}
	return m.there(func(s *stack) error {
		t, err := s.found(ctx, cmp.Or(m.Tenant, "sample"))
		if err != nil {
			return err
		}
		return m.test(ctx, s, t, "the book of "+t.ID, on)
	})
}

// made tests on a sample, in a folder that is gone afterwards.
func (m *backtestCmd) made(ctx context.Context, on date) (err error) {
	dir, err := os.MkdirTemp("", "polis-backtest")
	if err != nil {
		return fault.Wrap(fault.Unconfigured, err, "making a folder for the book")
	}
	defer os.RemoveAll(dir)
	m.Dir = filepath.Join(dir, "var")
	return m.dataFolder.with(func(s *stack) error {
		o := sampleOptions{Customers: int(m.Customers), Seed: cmp.Or(m.Seed, 1), World: cmp.Or(m.World, "A"), AsOf: on, Dir: filepath.Join(dir, "tables")}
		p := newProgress(os.Stderr)
		if err := makeSample(ctx, p, o); err != nil {
			return err
		}
		t := book.Tenant{ID: "sample", Buckets: book.DefaultBuckets, Created: time.Now().UTC()}
		if err := s.book.CreateTenant(ctx, t); err != nil {
			return err
		}
		if _, err := s.load(ctx, p, t, o.Dir, on, intake.Detected{}, nil); err != nil {
			return err
		}
		return m.test(ctx, s, t, fmt.Sprintf("a made book of %d customers, world %s, seed %d", o.Customers, o.World, o.Seed), on)
	})
}

// test back-tests a tenant's book, writes the page and prints the figures.
func (m *backtestCmd) test(ctx context.Context, s *stack, t book.Tenant, name string, on date) error {
	settings, err := s.settings(ctx, t, m.Settings)
	if err != nil {
		return err
	}
	p := newProgress(os.Stderr)
	var st *stage
	shown, stages, last := -1, 0, ""
	end := func() {
		if st != nil {
			st.end("done")
			st = nil
		}
	}
	r, err := backtest.Run(ctx, watch.Relations(s.book, t), backtest.Options{
		Book: name, AsOf: on, Years: m.Years, Ends: t.EndTable(), Settings: &settings,
		Progress: func(year int, asOf date, stage string, done, total int) {
			if year != shown {
				end()
				shown, stages, last, st = year, 0, "", p.stage("as of "+asOf.String())
			}
			if stage != last {
				last, stages = stage, stages+1
			}
			st.set(int64(stages), int64(max(stages, trainStages+1)))
		},
	})
	if err != nil {
		if st != nil {
			st.abort()
		}
		return fmt.Errorf("back-testing: %w", err)
	}
	end()
	if err := writeFile(m.Out, func(w io.Writer) error { return r.Write(w) }); err != nil {
		return err
	}
	if m.JSON {
		return printJSON(r)
	}
	if err := r.Print(os.Stdout); err != nil {
		return err
	}
	_, err = fmt.Printf("\nThe page with the plots: %s\n", m.Out)
	return err
}
