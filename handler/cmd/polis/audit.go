package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"polis/handler/internal/audit"
	"polis/handler/internal/fault"
	"polis/handler/internal/watch"
)

type auditCmd struct {
	place
	Tenant string `help:"Tenant." default:"sample"`
	AsOf   string `help:"Audit what was known on this date; by default today."`
	Refit  bool   `help:"Hold outcomes against models that did not see them: trained for this audit as of the day that the outcomes follow. Takes as long as a training."`
	JSON   bool   `name:"json" help:"Print the audit as JSON."`
	Out    string `help:"Write the audit as one page of HTML to this file." type:"path" placeholder:"FILE"`
}

// Run audits the tenant's published models.
func (m *auditCmd) Run(ctx context.Context) error {
	on, err := asOf(m.AsOf)
	if err != nil {
		return err
	}
	return m.there(func(s *stack) error {
		t, err := s.found(ctx, m.Tenant)
		if err != nil {
			return err
		}
		st := newProgress(os.Stderr).stage("audit")
		r, err := watch.New(s.book, s.blobs, s.queues, s.models, time.Now).Audit(ctx, t, on, m.Refit,
			func(_ string, done, total int) { st.set(int64(done), int64(total)) })
		if err != nil {
			st.abort()
			return fmt.Errorf("auditing: %w", err)
		}
		st.end(fmt.Sprintf("models %s, %d of %d relations", r.Model.Version, r.Looked, r.Relations))
		if m.Out != "" {
			var page bytes.Buffer
			if err := audit.Write(&page, r); err != nil {
				return err
			}
			if err := os.WriteFile(m.Out, page.Bytes(), 0o600); err != nil {
				return fault.Wrap(fault.Unconfigured, err, "--out")
			}
		}
		if m.JSON {
			body, err := r.Encode()
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(body)
			return err
		}
		return printAudit(os.Stdout, r)
	})
}

// printAudit prints what is over a threshold, and what each engine foretold and what came.
func printAudit(w io.Writer, r *audit.Report) (err error) {
	say := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format, args...)
		}
	}
	say("%s\n", r.Outcomes.Say())
	for i := range r.Calibration {
		m := &r.Calibration[i]
		say("%-8s %-50s", m.Engine, m.Name)
		switch {
		case m.All.Relations == 0:
			say(" %s\n", m.Note)
		case m.All.Difference != nil:
			say(" foretold %10.0f, came %10.0f: %.0f a customer more (%.0f to %.0f)\n", m.All.Expected, m.All.Actual, m.All.Difference.Value, m.All.Difference.Low, m.All.Difference.High)
		case m.All.Ratio != nil:
			say(" foretold %10.0f, came %10.0f: ratio %.3f (%.3f to %.3f)\n", m.All.Expected, m.All.Actual, m.All.Ratio.Value, m.All.Ratio.Low, m.All.Ratio.High)
		default:
			say(" foretold %10.0f, came %10.0f\n", m.All.Expected, m.All.Actual)
		}
		for _, d := range m.By {
			for _, c := range d.Cells {
				if c.Apart {
					say("%-8s   %s %s is apart\n", "", d.Name, c.Name)
				}
			}
		}
	}
	for _, p := range r.Proxies {
		if p.Note != "" {
			say("proxy    %s of %s: %s\n", p.Attribute, p.Models, p.Note)
		}
		if p.Found {
			say("proxy    %s %s can be told from what %s read: AUC %.3f (%.3f to %.3f)", p.Attribute, p.Value, p.Models, p.AUC.Value, p.AUC.Low, p.AUC.High)
			for _, c := range p.Carriers[:min(3, len(p.Carriers))] {
				say(", %s %.0f%%", c.Feature, 100*c.Share)
			}
			say("\n")
		}
	}
	if r.DriftNote != "" {
		say("drift    not known: %s\n", r.DriftNote)
	}
	for _, d := range r.Drift {
		if d.Verdict == audit.Some || d.Verdict == audit.Much {
			say("drift    %s %s has moved %s: PSI %.3f, by chance %.3f at most\n", d.Population, d.Name, d.Verdict, d.PSI, d.Limit)
		}
	}
	say("%d features and scores moved much, %d some; %d cells apart; %d proxies\n", r.Counts.Much, r.Counts.Some, r.Counts.Cells, r.Counts.Proxies)
	return err
}
