package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"polis/handler/internal/effect"
	"polis/handler/internal/portfolio"
)

type effectsCmd struct {
	place
	Tenant string `help:"Tenant." default:"sample"`
	JSON   bool   `name:"json" help:"Print it as JSON."`
}

// Run prints what came of acting, as the tenant's last run counted it.
func (m *effectsCmd) Run(ctx context.Context) error {
	return m.there(func(s *stack) error {
		if _, err := s.found(ctx, m.Tenant); err != nil {
			return err
		}
		counted, err := s.lists.Counted(ctx, m.Tenant)
		if err != nil {
			return err
		}
		if m.JSON {
			return printJSON(counted.Report())
		}
		return printEffects(os.Stdout, counted)
	})
}

// printEffects prints a line a comparison, as a sentence.
func printEffects(w io.Writer, counted *effect.Counted) error {
	r, followed := counted.Report(), 0
	fmt.Fprintf(w, "\nWhat came of acting within %d months, as of %s\n\n", r.Months, r.AsOf)
	for i := range r.Actions {
		a := &r.Actions[i]
		followed += a.Suggested - a.Open
		fmt.Fprintf(w, "%s, counted by %s: suggested %d times, %d of these too young to say", a.Action, a.Outcome, a.Suggested, a.Open)
		if a.Judged.All > 0 {
			fmt.Fprintf(w, "; %d of %d judgements against it", a.Judged.Against, a.Judged.All)
		}
		if a.After {
			fmt.Fprint(w, ", so that it stands after all others")
		}
		fmt.Fprintln(w)
		printComparison(w, "association", "acted on", "not acted on", &a.Association, r)
		if a.Effect != nil {
			printComparison(w, "effect", "shown", "held out", a.Effect, r)
		}
	}
	if followed == 0 {
		made := r.AsOf + portfolio.Date(counted.Settings.Effects.LandmarkDays)
		fmt.Fprintf(w, "No suggestion has been followed to its end yet. Those of this run are from %s on; the first run after that and the reporting lag counts them.\n", made.AddMonths(r.Months))
	}
	_, err := fmt.Fprintln(w)
	return err
}

func printComparison(w io.Writer, name, with, without string, c *effect.Comparison, r *effect.Report) {
	fmt.Fprintf(w, "  %-11s %d of %d %s, %d of %d %s", name, c.With.Events, c.With.Customers, with, c.Without.Events, c.Without.Customers, without)
	if c.Difference != nil {
		fmt.Fprintf(w, ": %+.1f points (%g%%: %+.1f to %+.1f)", 100**c.Difference, 100*r.Level, 100**c.Low, 100**c.High)
	}
	switch {
	case c.Why == effect.Nobody:
		fmt.Fprint(w, "; nobody to compare them to")
	case c.Smallest != nil:
		fmt.Fprintf(w, "; the smallest that could have been seen: %+.1f", 100**c.Smallest)
	default:
		fmt.Fprint(w, "; with so few customers no difference could have been seen")
	}
	fmt.Fprintln(w)
}
