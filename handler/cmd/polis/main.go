// Polis is what a person runs: the local host, imports, training, runs, and a look at
// what came of them. `polis --help` lists it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"polis/handler/internal/fault"
)

type cli struct {
	Local    localCmd    `cmd:"" help:"Start the Functions host on this computer, load a portfolio, score it, show whom to act on."`
	Import   importCmd   `cmd:"" help:"Import the four tables of a folder."`
	Sample   sampleCmd   `cmd:"" help:"Write a made portfolio as four CSV files."`
	Train    trainCmd    `cmd:"" help:"Learn a tenant's models from its book and publish them."`
	Settings settingsCmd `cmd:"" help:"Print what a tenant has set of its engines, as JSON."`
	Backtest backtestCmd `cmd:"" help:"Walk forward over the years of a book: train, score, wait, compare; one page of HTML."`
	Features featuresCmd `cmd:"" help:"Print what the models read: docs/features.md."`
	Run      runCmd      `cmd:"" help:"Score a tenant's whole book as of a date."`
	Export   exportCmd   `cmd:"" help:"Write a tenant's scores, action list and tables as Parquet: docs/exports.md."`
	Top      topCmd      `cmd:"" help:"Show the first customers of the latest action list."`
	Effects  effectsCmd  `cmd:"" help:"Show what came of acting on suggestions, by kind of action."`
	Send     sendCmd     `cmd:"" help:"Put a message on a queue."`
	Peek     peekCmd     `cmd:"" help:"Show the messages on a queue, one JSON object a line."`
	Replay   replayCmd   `cmd:"" help:"Put a queue's dead letters back on it: those that the bus gave up, and those that could not succeed."`
	Fit      fitCmd      `cmd:"" help:"Fit a model to a table of your own, CSV or Parquet."`
	Predict  predictCmd  `cmd:"" help:"Score a table with a model."`
	Report   reportCmd   `cmd:"" help:"Write what a model is, and how it does, as one page of HTML."`
	Audit    auditCmd    `cmd:"" help:"Say how the published models do on what came after, for whom, through which proxies, and how far the book has moved."`
	Simulate simulateCmd `cmd:"" help:"Play runs over many instances: how long they take, what they cost, and who waits for whom."`
	Tables   tablesCmd   `cmd:"" help:"Write a model's rating tables as CSV."`
}

// Exit codes: 0 done, 1 something failed, 2 a wrong call or setting, 3 wrong input, 130
// interrupted.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	parser := kong.Must(&c, kong.Name("polis"), kong.Description("Insurance intelligence from four tables."),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.BindTo(ctx, (*context.Context)(nil)))
	k, err := parser.Parse(os.Args[1:])
	if err != nil {
		var p *kong.ParseError
		if errors.As(err, &p) {
			_ = p.Context.PrintUsage(true) // the error below says what is wrong
		}
		fmt.Fprintln(os.Stderr, "polis:", err)
		os.Exit(2)
	}
	if err := k.Run(); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "polis: interrupted")
			os.Exit(130)
		}
		fmt.Fprintln(os.Stderr, "polis:", err)
		os.Exit(exitCode(err))
	}
}

func exitCode(err error) int {
	switch fault.KindOf(err) {
	case fault.Unconfigured:
		return 2
	case fault.Malformed, fault.Invalid, fault.NotFound, fault.Conflict, fault.TooLarge:
		return 3
	}
	return 1
}
