package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/bus"
	"polis/handler/internal/deadletter"
	"polis/handler/internal/enrichment"
	"polis/handler/internal/event"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/functions"
	"polis/handler/internal/intake"
	"polis/handler/internal/intake/tabular"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/train"
)

// dataFolder is where what is kept lies on this computer. Fit and predict have a --data of
// their own, a table.
type dataFolder struct {
	Dir string `name:"data" help:"Folder of the embedded store, queues and blobs; by default $POLIS_DATA_DIR, or ./var." type:"path" placeholder:"DIR" xor:"place"`
}

// AfterApply finds the folder where none is named. Kong's own defaults would count as named.
func (c *dataFolder) AfterApply() error {
	c.Dir = cmp.Or(c.Dir, os.Getenv("POLIS_DATA_DIR"), "var")
	abs, err := filepath.Abs(c.Dir)
	c.Dir = abs
	return fault.Wrap(fault.Unconfigured, err, "finding the data folder")
}

// with opens the stack for a command.
func (c dataFolder) with(f func(*stack) error) error {
	s, err := openStack(c.Dir)
	return using(s, err, f)
}

// there opens the stack for a command that needs what was kept before, and makes nothing
// where a folder is mistyped.
func (c dataFolder) there(f func(*stack) error) error {
	if !exists(filepath.Join(c.Dir, storeFile)) {
		return fault.New(fault.NotFound, "no Polis data in %s: --data names the folder, polis import or polis local fills one", c.Dir)
	}
	return c.with(f)
}

// using closes a stack that was opened, after use.
func using(s *stack, err error, f func(*stack) error) error {
	if err != nil {
		return err
	}
	err = f(s)
	return errors.Join(err, s.close())
}

// place is where a command finds what is kept: in a folder, or in Azure.
type place struct {
	dataFolder
	Azure bool `help:"Instead of a data folder the documents, blobs and queues in Azure that the environment's settings name, as the handler reads them (docs/azure.md), as who has signed in with az or azd." xor:"place"`
}

func (p place) with(f func(*stack) error) error  { return p.open(p.dataFolder.with, true, f) }
func (p place) there(f func(*stack) error) error { return p.open(p.dataFolder.there, true, f) }

// open opens the stack of the folder, or what is in Azure.
func (p place) open(folder func(func(*stack) error) error, documents bool, f func(*stack) error) error {
	if !p.Azure {
		return folder(f)
	}
	s, err := openAzure(p.Dir, documents)
	return using(s, err, f)
}

// messages is where a command finds queues and dead letters. In Azure it needs no documents.
type messages struct{ place }

func (m messages) with(f func(*stack) error) error  { return m.open(m.dataFolder.with, false, f) }
func (m messages) there(f func(*stack) error) error { return m.open(m.dataFolder.there, false, f) }

type importCmd struct {
	place
	From       string `arg:"" name:"dir" help:"Folder with customers.csv, policies.csv, claims.csv, contacts.csv (or .ndjson, or .gz)." type:"path"`
	Tenant     string `help:"Tenant; by default the folder's name, but with --azure, where it must be named."`
	AsOf       string `help:"Date that rows without recorded_at are recorded at; by default today."`
	Enrichment string `help:"CSV of what the insured things of policies would cost to rebuild or replace: policy_id, or postcode and branch; value, source, date. See docs/care.md." type:"existingfile" placeholder:"FILE"`
	Buckets    int    `help:"Parts of a tenant that is made now, fixed for ever: one for each 19,000 customers of the book's size in five years, a power of two, by default 64; see docs/scale.md." placeholder:"N"`
	Branches   string `help:"CSV of your own names of branches: name; branch, one of docs/tables.md or non_life. Kept for later imports, in place of the table before." type:"existingfile" placeholder:"FILE"`
	JSON       bool   `name:"json" help:"Print the summary as JSON."`
	written
}

// enrichment reads the table that is named, if one is.
func (m *importCmd) enrichment(asOf portfolio.Date) (*enrichment.Table, error) {
	if m.Enrichment == "" {
		return nil, nil
	}
	f, err := os.Open(m.Enrichment)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "--enrichment")
	}
	defer f.Close() // only read
	return enrichment.Read(m.Enrichment, f, asOf)
}

// branches keeps the table of branches' names that is named, if one is.
func (m *importCmd) branches(ctx context.Context, s *stack) error {
	if m.Branches == "" {
		return nil
	}
	f, err := os.Open(m.Branches)
	if err != nil {
		return fault.Wrap(fault.NotFound, err, "--branches")
	}
	defer f.Close() // only read
	names, err := portfolio.ReadBranchNames(m.Branches, f)
	if err != nil {
		return err
	}
	return s.book.NameBranches(ctx, m.Tenant, names)
}

// written says how files are written where that is not to be guessed.
type written struct {
	Delimiter string `help:"Of CSV: comma, semicolon or tab; by default as detected." enum:"comma,semicolon,tab," default:""`
	Encoding  string `help:"utf-8 or windows-1252; by default as detected." enum:"utf-8,windows-1252," default:""`
	Decimal   string `help:"Decimal sign, point or comma; by default as detected." enum:"point,comma," default:""`
	Dates     string `help:"iso (2026-03-31) or dutch (31-03-2026); by default as detected." enum:"iso,dutch," default:""`
}

func (w written) detected() intake.Detected {
	return intake.Detected{
		Delimiter: map[string]string{"comma": ",", "semicolon": ";", "tab": "\t"}[w.Delimiter],
		Encoding:  tabular.Encoding(w.Encoding), Decimal: intake.Decimal(w.Decimal), Dates: intake.Dates(w.Dates),
	}
}

func (m *importCmd) Run(ctx context.Context) error {
	on, err := asOf(m.AsOf)
	if err != nil {
		return err
	}
	switch {
	case m.Tenant == "" && m.Azure:
		return fault.New(fault.Unconfigured, "--tenant is needed with --azure: the value of the tenant's claim in its callers' tokens (docs/bootstrap.md)")
	case m.Tenant == "":
		m.Tenant = tenantOf(m.From)
	}
	brought, err := m.enrichment(on)
	if err != nil {
		return err
	}
	if _, err := tables(m.From); err != nil { // before a tenant is made for them
		return err
	}
	return m.with(func(s *stack) error {
		t, err := s.tenant(ctx, m.Tenant, m.Buckets)
		if err != nil {
			return err
		}
		if err := m.branches(ctx, s); err != nil {
			return err
		}
		sum, err := s.load(ctx, newProgress(os.Stderr), t, m.From, on, m.detected(), brought)
		if err != nil {
			return err
		}
		if m.JSON {
			return printJSON(sum)
		}
		for _, name := range []string{"customers", "policies", "claims", "contacts"} {
			ts, ok := sum.Tables[name]
			if !ok {
				fmt.Printf("%-10s missing\n", name)
				continue
			}
			fmt.Printf("%-10s %d rows read, %d landed, %d rejected, %d warnings (%s: %s)\n", name, ts.Read, ts.Landed, ts.Rejected, ts.Warnings, ts.File, say(ts.Detected))
			for _, col := range ts.Unknown {
				fmt.Printf("%-10s column %q is not known and left out\n", "", col)
			}
		}
		for _, n := range sum.BranchNames {
			if n.TakenFor == portfolio.NonLife {
				fmt.Printf("%-10s branch %q stands for none of Polis's: %d rows are taken for a non-life branch of their own; --branches says what it is\n", "policies", n.Name, n.Policies)
			} else {
				fmt.Printf("%-10s branch %q is taken for %s: %d rows\n", "policies", n.Name, n.TakenFor, n.Policies)
			}
		}
		for name, ts := range sum.Tables {
			if ts.Read > 0 && ts.Landed == 0 {
				return fault.New(fault.Invalid, "none of the %d rows of %s landed: the report says why", ts.Read, name)
			}
		}
		if sum.Vanished > 0 {
			fmt.Printf("%d policies in force are stored and not in the files; they were not ended\n", sum.Vanished)
		}
		return nil
	})
}

// say puts in words how a file is written.
func say(d intake.Detected) string {
	words := []string{string(d.Format)}
	if name, ok := map[string]string{",": "comma", ";": "semicolon", "\t": "tab"}[d.Delimiter]; ok {
		words = append(words, name)
	}
	words = append(words, string(d.Encoding))
	if d.Decimal != "" {
		words = append(words, "decimal "+string(d.Decimal))
	}
	if d.Dates != "" {
		words = append(words, string(d.Dates)+" dates")
	}
	return strings.Join(words, ", ")
}

func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

type trainCmd struct {
	place
	Tenant       string            `help:"Tenant." default:"sample"`
	AsOf         string            `help:"Train on what was known on this date; by default today."`
	Older        bool              `help:"Publish models as of a date before that of the models that are published, which take no part in scores any more."`
	Bring        map[string]string `help:"Models of LightGBM's to publish in place of ours: NAME is frequency, severity, lapse, other_end, buy, or buy_ and a product group, FILE the model as text." mapsep:"none" placeholder:"NAME=FILE" xor:"what"`
	Settings     string            `help:"What the tenant sets of its engines, over the settings of its current models; see polis settings." type:"existingfile" placeholder:"FILE"`
	OfferRules   string            `help:"The tenant's table of rules on what may be offered, CSV; see docs/nbp.md." type:"existingfile" placeholder:"FILE"`
	ExportTables string            `help:"Write what the models would learn from to this folder, as CSV, and train nothing." type:"path" placeholder:"DIR" xor:"what"`
}

func (m *trainCmd) Run(ctx context.Context) error {
	on, err := asOf(m.AsOf)
	if err != nil {
		return err
	}
	return m.there(func(s *stack) error {
		t, err := s.found(ctx, m.Tenant)
		if err != nil {
			return err
		}
		base, err := s.models.Base(ctx, t.ID) // before the settings are read that are learnt with
		if err != nil {
			return err
		}
		settings, err := s.settings(ctx, t, m.Settings)
		if err != nil {
			return err
		}
		if m.OfferRules != "" {
			body, err := os.ReadFile(m.OfferRules)
			if err != nil {
				return fault.Wrap(fault.NotFound, err, "--offer-rules")
			}
			if settings.Nbp.Rules, err = nbp.ParseRules(filepath.Base(m.OfferRules), body); err != nil {
				return fmt.Errorf("--offer-rules: %w", err)
			}
		}
		if m.ExportTables != "" {
			return s.exportTables(ctx, newProgress(os.Stderr), t, on, &settings, m.ExportTables)
		}
		if !m.Older {
			if err := s.notOlder(ctx, t, on); err != nil {
				return err
			}
		}
		brought := map[string][]byte{}
		for name, path := range m.Bring {
			if brought[name], err = os.ReadFile(path); err != nil {
				return fault.Wrap(fault.NotFound, err, "--bring %s", name)
			}
		}
		var left []feature.LeftOut
		models, err := s.train(ctx, newProgress(os.Stderr), t, on, base, train.Options{Bring: brought, Settings: &settings, LeftOut: func(l []feature.LeftOut) { left = l }})
		if err != nil {
			return err
		}
		for _, l := range left {
			fmt.Printf("no feature: the attribute %q: %s\n", l.Key, l.Why)
		}
		for _, l := range models.Learnt() {
			meta := l.Model.Meta()
			fmt.Printf("%-24s", l.Name)
			if meta.Rows > 0 { // the file of a model that was brought in does not say
				fmt.Printf(" %7d rows %8.0f events", meta.Rows, meta.Events)
			}
			if d, ok := meta.Metrics["deviance"]; ok && meta.Metrics["deviance_constant"] > 0 {
				fmt.Printf("  explains %4.1f%% of the deviance", 100*(1-d/meta.Metrics["deviance_constant"]))
			}
			if meta.Censored > 0 {
				fmt.Printf("  %.0f more at risk left out: somebody had acted", meta.Censored)
			}
			if meta.Note != "" {
				fmt.Printf("  %s", meta.Note)
			}
			fmt.Println()
		}
		printBranches(os.Stdout, models.Risk.Branches)
		return nil
	})
}

type runCmd struct {
	place
	Tenant  string   `help:"Tenant." default:"sample"`
	AsOf    string   `help:"Score as of this date; by default today."`
	Engines []string `help:"Engines; by default all five."`
	Again   bool     `help:"Run a date once more that was run before."`
	JSON    bool     `name:"json" help:"Print the run as JSON."`
}

// Help says where a run is worked.
func (m *runCmd) Help() string {
	return "A run of a data folder is worked by this command. One in Azure (--azure) is started as the API starts it: the apps there work it, while this command shows how far they are, until it is completed. It takes no message off a queue. Interrupted, it leaves the run to go on; the same call finds it again."
}

func (m *runCmd) Run(ctx context.Context) error {
	on, err := asOf(m.AsOf)
	if err != nil {
		return err
	}
	engines, err := enginesOf(m.Engines)
	if err != nil {
		return err
	}
	return m.there(func(s *stack) error {
		t, err := s.found(ctx, m.Tenant)
		if err != nil {
			return err
		}
		score := s.score
		if s.azure != nil {
			score = s.ask
		}
		p, made, err := score(ctx, newProgress(os.Stderr), t, on, engines, m.Again)
		if err != nil {
			return err
		}
		if m.JSON {
			return printJSON(p)
		}
		if !made {
			fmt.Printf("run %s was completed at %s: nothing is scored once more; --again does\n", p.ID, p.Summary.CompletedAt.UTC().Format(time.RFC3339))
			return nil
		}
		fmt.Printf("run %s: %s\n", p.ID, describe(p))
		return nil
	})
}

type topCmd struct {
	place
	Tenant string `help:"Tenant." default:"sample"`
	N      int    `help:"How many." short:"n" default:"10"`
	Part   string `help:"Only of care, advice or commercial." enum:",care,advice,commercial" default:""`
}

func (m *topCmd) Run(ctx context.Context) error {
	if m.N < 0 {
		return fault.New(fault.Invalid, "-n is how many to show, from 0 on")
	}
	return m.there(func(s *stack) error {
		if _, err := s.found(ctx, m.Tenant); err != nil {
			return err
		}
		h, err := s.lists.Newest(ctx, m.Tenant)
		if err != nil {
			return err
		}
		items, _, err := s.lists.Items(ctx, m.Tenant, &h, actions.Part(m.Part), 0, m.N)
		if err != nil {
			return err
		}
		return printTop(os.Stdout, &actions.List{Head: h, Items: items}, m.N)
	})
}

// printTop prints the first items of a list with the reason for each.
func printTop(w io.Writer, l *actions.List, n int) error {
	fmt.Fprintf(w, "\nWhom to act on first, %s (%d of the %d on the list; an action is due for %d):\n", l.Date, min(n, len(l.Items)), l.Listed, l.Due)
	for _, part := range [...]actions.Part{actions.Care, actions.Advice, actions.Commercial} {
		c := l.Of(part)
		fmt.Fprintf(w, "  %-10s %d on the list, %d due\n", part, c.Listed, c.Due)
	}
	fmt.Fprintln(w)
	for _, it := range l.Items[:min(n, len(l.Items))] {
		var sc struct {
			Trigger string   `json:"trigger"`
			Stake   float64  `json:"at_stake"`
			Lapse   *float64 `json:"lapse_probability"`
			Value   *float64 `json:"value"`
		}
		if err := json.Unmarshal(it.Score, &sc); err != nil && it.Score != nil {
			return fault.Wrap(fault.Internal, err, "reading an action's score")
		}
		reason := cmp.Or(sc.Trigger, string(it.Part))
		if it.About != "" {
			reason += " (" + it.About + ")"
		}
		if len(it.New) > 0 {
			reason += ", new: " + strings.Join(it.New, ", ")
		}
		for _, also := range it.Also {
			reason += ", also " + also.Action
			if also.About != "" {
				reason += " (" + also.About + ")"
			}
		}
		if sc.Lapse != nil {
			reason += fmt.Sprintf(", may lapse within a year: %.0f%%", 100**sc.Lapse)
		}
		if sc.Value != nil && !it.Part.Owed() {
			reason += fmt.Sprintf(", worth EUR %.0f", *sc.Value)
		}
		fmt.Fprintf(w, "  %2d  %-10s %-14s %-18s due %s  %s\n", it.Rank, it.Part, it.Customer, it.Action, it.Due, reason)
	}
	_, err := fmt.Fprintln(w)
	return err
}

type sendCmd struct {
	messages
	Queue string `arg:"" help:"Queue, e.g. risk-requests."`
	File  string `arg:"" optional:"" help:"File with the message's body; by default standard input."`
	ID    string `name:"id" help:"Message ID: one that was seen in the last ten minutes is dropped."`
}

func (m *sendCmd) Run(ctx context.Context) error {
	in := io.Reader(os.Stdin)
	if m.File != "" && m.File != "-" {
		f, err := os.Open(m.File)
		if err != nil {
			return fault.Wrap(fault.NotFound, err, "opening the message")
		}
		defer f.Close()
		in = f
	}
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return fault.Wrap(fault.Malformed, err, "reading the message")
	}
	if len(body) > most {
		return fault.New(fault.TooLarge, "a message is at most %d bytes", most)
	}
	return m.with(func(s *stack) error {
		return s.queues.Send(ctx, m.Queue, bus.Message{ID: m.ID, Body: body, ContentType: "application/json"})
	})
}

type peekCmd struct {
	messages
	Queue string `arg:"" help:"Queue, e.g. score-results."`
	Dead  bool   `help:"The dead letters: those that could never succeed, with the reason, and those that were given up after many deliveries."`
	N     int    `help:"How many." short:"n" default:"20"`
}

func (m *peekCmd) Run(ctx context.Context) error {
	if err := known(m.Queue); err != nil {
		return err
	}
	return m.there(func(s *stack) error {
		list, err := s.queues.Peek(ctx, s.readFrom(m.Queue), m.Dead, m.N)
		if err != nil {
			return err
		}
		out := json.NewEncoder(os.Stdout)
		if m.Dead {
			if err := s.peekLetters(ctx, m.Queue, m.N-len(list), out); err != nil {
				return err
			}
		}
		for _, d := range list {
			line := map[string]any{"id": d.ID, "enqueued": d.Enqueued, "attempts": d.Attempt, "body": string(d.Body)}
			if m.Dead {
				line["reason"] = d.DeadReason
			}
			if err := out.Encode(line); err != nil {
				return err
			}
		}
		return nil
	})
}

type replayCmd struct {
	messages
	Queue string `arg:"" help:"Queue whose dead letters are put back."`
}

func (m *replayCmd) Run(ctx context.Context) error {
	if err := known(m.Queue); err != nil {
		return err
	}
	return m.there(func(s *stack) error {
		given, err := s.queues.Replay(ctx, s.readFrom(m.Queue))
		if err != nil {
			return err
		}
		kept := 0
		if function := functionOf(m.Queue); function != "" {
			if kept, err = s.letters().Replay(ctx, function, m.Queue, s.queues); err != nil {
				return err
			}
		}
		fmt.Printf("%d messages put back on %s: %d that were given up after many deliveries, %d that could not succeed\n", given+kept, m.Queue, given, kept)
		return nil
	})
}

// known refuses a queue that there is not, of which there would be nothing to tell.
func known(queue string) error {
	all := append(slices.Sorted(maps.Values(functions.Queues())), functions.ResultQueue, event.Queue)
	if slices.Contains(all, queue) {
		return nil
	}
	return fault.New(fault.NotFound, "no such queue: there are %s", strings.Join(all, ", "))
}

// functionOf is the function that receives from a queue; "" where none does.
func functionOf(queue string) string {
	for function, q := range functions.Queues() {
		if q == queue {
			return function
		}
	}
	return ""
}

func (s *stack) letters() *deadletter.Store { return deadletter.New(s.blobs, time.Now) }

// peekLetters shows the messages of a queue that could never succeed.
func (s *stack) peekLetters(ctx context.Context, queue string, most int, out *json.Encoder) error {
	function := functionOf(queue)
	if function == "" {
		return nil
	}
	for l, err := range s.letters().List(ctx, function) {
		if err != nil || most <= 0 {
			return err
		}
		most--
		if err := out.Encode(map[string]any{"id": l.Message, "dead": l.At, "function": function, "reason": l.Reason, "body": string(l.Body)}); err != nil {
			return err
		}
	}
	return nil
}
