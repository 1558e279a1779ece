package main

import (
	"context"
	"fmt"
	"os"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/sample"
)

type date = portfolio.Date

type sampleCmd struct {
	Customers count  `help:"How many customers." default:"20000"`
	Seed      uint64 `help:"The same seed gives the same files." default:"1"`
	World     string `help:"A; B has another functional form; null has outcomes that depend on nothing." default:"A" enum:"A,B,null"`
	AsOf      string `help:"The last date of the book; by default today."`
	Out       string `help:"Folder for the files." required:"" type:"path"`
	Truth     bool   `help:"Also write what the world knows and no administration does: probabilities, expected losses, what would have come of a contact. Ten times the work."`
}

func (m *sampleCmd) Run(ctx context.Context) error {
	on, err := asOf(m.AsOf)
	if err != nil {
		return err
	}
	return makeSample(ctx, newProgress(os.Stderr), sampleOptions{Customers: int(m.Customers), Seed: m.Seed, World: m.World, AsOf: on, Dir: m.Out, Truth: m.Truth})
}

type sampleOptions struct {
	Customers int
	Seed      uint64
	World     string
	AsOf      date
	Dir       string
	Truth     bool
}

func makeSample(ctx context.Context, p *progress, o sampleOptions) error {
	st := p.stage("make the sample")
	_, err := sample.Write(ctx, sample.Options{
		Customers: o.Customers, Seed: o.Seed, World: sample.World(o.World), AsOf: o.AsOf.String(), Dir: o.Dir, Truth: o.Truth,
		Progress: func(done, total int) { st.set(int64(done), int64(total)) },
	})
	if err != nil {
		st.abort()
		return err
	}
	st.end(fmt.Sprintf("%d customers in %s", o.Customers, o.Dir))
	return nil
}
