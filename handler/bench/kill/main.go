// Kill runs a book again and again over the adapters for Azure and what plays Azure's part (the
// wire of Cosmos DB, Azurite, Service Bus by AMQP), and mistreats it: the handler is killed with
// SIGKILL at random points, one store call in twenty goes wrong, and messages come twice and out
// of order. Each run must leave what a run leaves that nobody disturbed: see compare.go for what
// that is to the byte. It ends with one line that starts "kill-test: ok".
//
// With -peak it disturbs nothing, has the handler do everything at once, and says how much memory that took: see peak.go.
//
// A run's seed decides when the handler is killed, what goes wrong and which messages are held
// back. What of it meets what is up to the machine: a seed repeats the plan, not the moment.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/book"
	"polis/handler/internal/portfolio"
)

// The book is as of a date, was run once two months before, and is run again then: most
// customers have scores to be superseded, and the list has one before it.
var (
	asOf   = portfolio.MustDate(2026, 3, 31)
	before = portfolio.MustDate(2026, 1, 31)
)

func main() {
	keep := flag.Bool("keep", false, "leave the folder with the host's log and the handler's")
	runs := flag.Int("runs", 5, "how many runs")
	customers := flag.Int("customers", 20000, "customers of the book")
	jobs := flag.Int("jobs", 1, "how many runs are under way at a time, each with a book and stand-ins of its own")
	seed := flag.Uint64("seed", 1, "of the first run; the next has the next")
	root := flag.String("root", "bin/standins/dist", "staged app whose handler finds the stand-ins")
	polis := flag.String("polis", "bin/standins/polis", "command line that finds the stand-ins, by which the book is made")
	during := flag.Duration("peak", 0, "instead, how long to have the handler do everything at once, undisturbed, to see what memory it takes")
	flag.Parse()
	debug.SetGCPercent(400) // what plays Cosmos DB's part shares the cores with what is tested
	if *jobs < 1 || *runs < 1 || *customers < 1 {
		fmt.Fprintln(os.Stderr, "kill-test: -runs, -customers and -jobs are whole numbers above 0")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	name := "kill-test"
	dir, err := os.MkdirTemp("", "polis-kill-")
	if err == nil {
		if *during > 0 {
			name = "peak"
			err = measure(ctx, dir, *root, *polis, *customers, *during)
		} else {
			err = test(ctx, dir, *root, *polis, *runs, *customers, *jobs, *seed)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, name+": failed:", err)
		fmt.Fprintln(os.Stderr, name+": the host's log is in", dir)
		os.Exit(1)
	}
	if *keep {
		fmt.Println(name+": kept", dir)
		return
	}
	_ = os.RemoveAll(dir) // a temporary folder that stays is no failure
}

// fewBuckets make chunks of thousands of customers, as those of a large book are.
const fewBuckets = 2

func measure(ctx context.Context, dir, root, polis string, customers int, during time.Duration) (err error) {
	w, err := open(ctx, dir, root, polis, customers, fewBuckets)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	fmt.Printf("peak: a book of %d customers in %d chunks, trained and run as of %s\n", customers, fewBuckets, before)
	return w.peak(ctx, during)
}

// test has some worlds, side by side, each run the next seed when it is done with one: a run that is mistreated mostly
// waits, for locks that expire and for messages that are sent again for later.
func test(ctx context.Context, dir, root, polis string, runs, customers, jobs int, seed uint64) error {
	started := time.Now()
	seeds := make(chan uint64, runs)
	for n := range runs {
		seeds <- seed + uint64(n)
	}
	close(seeds)
	r := &results{runs: runs, customers: customers}
	all, working := errgroup.WithContext(ctx)
	for job := range jobs {
		all.Go(func() error { return r.job(working, filepath.Join(dir, strconv.Itoa(job)), root, polis, seeds) })
	}
	err := all.Wait()
	if ctx.Err() != nil {
		fmt.Printf("kill-test: stopped after %d of %d runs of %d customers, %s, lost 0, doubled 0, dead letters 0, %.0f seconds\n", r.done, runs, customers, r.sum.say(), time.Since(started).Seconds())
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	fmt.Printf("kill-test: ok: %d runs of %d customers, %s, lost 0, doubled 0, dead letters 0, %.0f seconds\n", runs, customers, r.sum.say(), time.Since(started).Seconds())
	return nil
}

// results are of all runs.
type results struct {
	runs, customers int

	mu   sync.Mutex
	done int
	sum  tally
}

func (r *results) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Printf(format, args...)
}

// job makes a world, and runs seeds in it until there are none left.
func (r *results) job(ctx context.Context, dir, root, polis string, seeds <-chan uint64) (err error) {
	started := time.Now()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	w, err := open(ctx, dir, root, polis, r.customers, book.DefaultBuckets)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	r.say("kill-test: a book of %d customers, trained and run as of %s (%.0f s)\n", r.customers, before, time.Since(started).Seconds())
	wanted := map[bool]*state{}
	for _, export := range []bool{false, true} {
		want, err := w.run(ctx, calm(), export)
		if err != nil {
			return fmt.Errorf("the run that nobody disturbs: %w", err)
		}
		if (len(want.exported) > 0) != export {
			return fmt.Errorf("the run that nobody disturbs exports %d tables", len(want.exported))
		}
		if again, err := w.run(ctx, calm(), export); err != nil {
			return fmt.Errorf("a second run that nobody disturbs: %w", err)
		} else if err := again.equal(want); err != nil {
			return fmt.Errorf("two runs that nobody disturbs differ: %w", err)
		}
		r.say("kill-test: undisturbed: %d store calls, %d documents, %d events and answers sent, %d tables exported (%.1f s)\n", want.calls, len(want.documents), len(want.sent), len(want.exported), want.seconds)
		wanted[export] = want
	}
	for seed := range seeds {
		export := seed%exportsOf == 1
		p := newPlan(seed, wanted[export].calls)
		got, err := w.run(ctx, p, export)
		if err == nil {
			err = got.equal(wanted[export])
		}
		if err != nil {
			return fmt.Errorf("seed %d (make kill-test RUNS=1 CUSTOMERS=%d SEED=%d): %w", seed, r.customers, seed, err)
		}
		r.add(got, seed)
	}
	return nil
}

func (r *results) add(got *state, seed uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	r.sum.add(&got.tally)
	fmt.Printf("run %d of %d, seed %d: %s, %d tables exported, %.1f s\n", r.done, r.runs, seed, got.say(), len(got.exported), got.seconds)
}

// exportsOf is of how many runs one is exported when it is completed: an export takes as long as all the rest.
const exportsOf = 4

// tally counts what was done to runs, and what came of it on the wire.
type tally struct {
	kills      int
	recorded   int // of these, after the run was recorded as completed and before its event was sent or its message settled
	calls      int // of the store
	faults     int
	again      int // deliveries of messages that had been delivered before
	shuffled   int // messages that others overtook
	duplicates int // copies of messages sent, beyond the first
}

func (t *tally) add(o *tally) {
	t.kills += o.kills
	t.recorded += o.recorded
	t.calls += o.calls
	t.faults += o.faults
	t.again += o.again
	t.shuffled += o.shuffled
	t.duplicates += o.duplicates
}

func (t *tally) say() string {
	return fmt.Sprintf("%d kills (%d between record and settling), %d faults (%.1f%% of %d store calls), %d redeliveries, %d out of order, %d duplicates on the wire",
		t.kills, t.recorded, t.faults, 100*float64(t.faults)/float64(max(1, t.calls)), t.calls, t.again, t.shuffled, t.duplicates)
}
