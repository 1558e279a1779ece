// Package sample makes the book of a Dutch intermediary that does not exist: customers,
// policies, claims and contacts of six years, in the formats of docs/tables.md, and, in
// files of their own, the truth behind them. Nothing in it is a person's or a company's.
//
// The book exists to find out what Polis can and cannot learn, so it must not have the
// form of Polis's own models: see World. For the same reason nothing that learns or
// scores imports this package, and it imports nothing of them.
package sample

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/fault"
)

// World says how causes work on outcomes.
type World string

// The worlds.
const (
	// A has hidden lasting frailty, thresholds, effects of three causes, smooth geography,
	// drift, saturation and a regime break.
	A World = "A"
	// B has sums of hazards, oblique splits, cycles and maxima. For reports only: nothing
	// may be tuned on it.
	B World = "B"
	// Null has one rate for everything: nothing that is recorded says anything of what
	// comes. What scores well on it is wrong.
	Null World = "null"
)

// DefaultAsOf is the as-of date where none is given.
const DefaultAsOf = "2026-06-30"

// The files. The truth's are written only where Options.Truth asks for them.
const (
	CustomersFile      = "customers.csv"
	PoliciesFile       = "policies.csv"
	ClaimsFile         = "claims.csv"
	ContactsFile       = "contacts.csv"
	TruthPoliciesFile  = "truth_policies.csv"
	TruthCustomersFile = "truth_customers.csv"
)

// Options say what to make. Equal options make equal bytes, whatever the number of
// processors; a book of more customers begins with that of fewer. Where a processor fuses
// multiplications with additions (arm64, not amd64), the last bit of a probability may
// differ, and with it, once in very many customers, what a coin decides.
type Options struct {
	Customers int
	Seed      uint64
	World     World  // "" is A
	AsOf      string // ISO 8601; "" is DefaultAsOf. Nothing later is in the four tables.
	Truth     bool   // also the truth's files: about six times the work
	// Told is how many whole years before the as-of date the truth is told, 0 to 5: it is
	// then of those who were there and of the twelve months from that day, and the four
	// tables are what they are without.
	Told int

	Dir      string                                    // where the files go; made where absent
	Open     func(name string) (io.WriteCloser, error) // instead of Dir
	Progress func(done, total int)                     // may be nil; customers, from one goroutine
}

// Summary counts what was written. Rows are versions.
type Summary struct {
	Customers, CustomerRows int
	Policies, PolicyRows    int
	Claims, ClaimRows       int
	Contacts                int
	Bytes                   int64
}

func (s *Summary) add(o Summary) {
	s.Customers += o.Customers
	s.CustomerRows += o.CustomerRows
	s.Policies += o.Policies
	s.PolicyRows += o.PolicyRows
	s.Claims += o.Claims
	s.ClaimRows += o.ClaimRows
	s.Contacts += o.Contacts
}

// As-of dates that leave room for a history in which people are born after 1900.
var earliest, latest = civilDay(2006, 1, 1), civilDay(2100, 12, 31)

// chunkCustomers is about how many customers are made at a time: it bounds the memory.
const chunkCustomers = 512

// Write makes a book. Errors: fault.Invalid for options that cannot be, fault.Cancelled
// where ctx ends, else what the files say. What was written up to an error stays.
func Write(ctx context.Context, o Options) (Summary, error) {
	asOf, f, err := o.check()
	if err != nil {
		return Summary{}, err
	}
	open := o.Open
	if open == nil {
		if err := os.MkdirAll(o.Dir, 0o750); err != nil {
			return Summary{}, fmt.Errorf("sample: making the folder: %w", err)
		}
		open = func(name string) (io.WriteCloser, error) { return os.Create(filepath.Join(o.Dir, name)) }
	}
	files, err := openFiles(open, o.Truth)
	if err != nil {
		return Summary{}, err
	}
	w := newWorld(o.Seed, asOf, f)
	w.told -= 12 * o.Told
	sum, err := produce(ctx, w, o, files)
	for _, file := range files {
		if e := file.Close(); e != nil && err == nil {
			err = fmt.Errorf("sample: closing a file: %w", e)
		}
	}
	if ctx.Err() != nil {
		err = fault.Wrap(fault.Cancelled, ctx.Err(), "sample: writing was broken off")
	}
	return sum, err
}

func (o *Options) check() (day, form, error) {
	if o.Customers < 1 {
		return 0, nil, fault.New(fault.Invalid, "sample: the number of customers must be 1 or more, not %d", o.Customers)
	}
	if o.Dir == "" && o.Open == nil {
		return 0, nil, fault.New(fault.Invalid, "sample: a folder to write to is missing")
	}
	if o.AsOf == "" {
		o.AsOf = DefaultAsOf
	}
	asOf, err := parseDay(o.AsOf)
	if err != nil {
		return 0, nil, fault.Wrap(fault.Invalid, err, "sample: reading the as-of date")
	}
	if asOf < earliest || asOf > latest {
		return 0, nil, fault.New(fault.Invalid, "sample: the as-of date must lie in 2006 to 2100, not %s", o.AsOf)
	}
	if o.Told < 0 || o.Told >= history/12 {
		return 0, nil, fault.New(fault.Invalid, "sample: the truth is told 0 to %d years before the as-of date, not %d", history/12-1, o.Told)
	}
	switch o.World {
	case A, "":
		return asOf, formA{}, nil
	case B:
		return asOf, formB{}, nil
	case Null:
		return asOf, formNull{}, nil
	}
	return 0, nil, fault.New(fault.Invalid, "sample: the world must be A, B or null, not %q", string(o.World))
}

func openFiles(open func(string) (io.WriteCloser, error), truth bool) ([]io.WriteCloser, error) {
	names := []string{CustomersFile, PoliciesFile, ClaimsFile, ContactsFile}
	if truth {
		names = append(names, TruthPoliciesFile, TruthCustomersFile)
	}
	var files []io.WriteCloser
	for _, name := range names {
		w, err := open(name)
		if err != nil {
			for _, opened := range files {
				_ = opened.Close() // the first error is the one to tell
			}
			return nil, fmt.Errorf("sample: opening %s: %w", name, err)
		}
		files = append(files, w)
	}
	return files, nil
}

// chunk is a run of households.
type chunk struct {
	first     uint64
	customers []int // of each household, how many to write
	total     int
	done      chan *rows
}

// produce plans chunks, makes them on all processors and writes them in order.
func produce(ctx context.Context, w *world, o Options, files []io.WriteCloser) (Summary, error) {
	workers := runtime.GOMAXPROCS(0)
	g, ctx := errgroup.WithContext(ctx)
	todo, order := make(chan *chunk), make(chan *chunk, 2*workers)
	// Buffers go round: there are as many as chunks can be under way.
	free := make(chan *rows, 4*workers)
	for range cap(free) {
		free <- &rows{}
	}
	g.Go(func() error {
		defer close(todo)
		defer close(order)
		left := o.Customers
		for no := uint64(0); left > 0; {
			c := plan(w.seed, no, left)
			no += uint64(len(c.customers))
			left -= c.total
			for _, to := range [...]chan *chunk{order, todo} {
				select {
				case to <- c:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	for range workers {
		g.Go(func() error {
			var h, scratch household
			for c := range todo {
				select {
				case out := <-free:
					c.fill(w, &h, &scratch, out, o.Truth)
					c.done <- out
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}
	var sum Summary
	g.Go(func() error {
		if err := headers(files, &sum); err != nil {
			return err
		}
		done := 0
		for c := range order {
			select {
			case out := <-c.done:
				if err := out.flush(files, &sum); err != nil {
					return err
				}
				free <- out
			case <-ctx.Done():
				return ctx.Err()
			}
			done += c.total
			if o.Progress != nil {
				o.Progress(done, o.Customers)
			}
		}
		return nil
	})
	err := g.Wait()
	return sum, err
}

// plan takes households from first on until there are enough customers; the last
// household may be written in part, and is lived in full.
func plan(seed, first uint64, left int) *chunk {
	c := &chunk{first: first, done: make(chan *rows, 1)}
	for no := first; c.total < min(chunkCustomers, left); no++ {
		n, _, _ := sizeOf(seed, no)
		n = min(n, left-c.total)
		c.customers = append(c.customers, n)
		c.total += n
	}
	return c
}

func (c *chunk) fill(w *world, h, scratch *household, out *rows, truth bool) {
	out.reset()
	for i, n := range c.customers {
		h.start(w, c.first+uint64(i), n, out)
		h.begin()
		for m := range history {
			if truth && m == w.told {
				h.tell(scratch)
			}
			h.step(m)
		}
		if truth && w.told == history {
			h.tell(scratch)
		}
	}
}

func headers(files []io.WriteCloser, sum *Summary) error {
	for i, line := range [...]string{
		customersHeader, policiesHeader, claimsHeader, contactsHeader, truthPoliciesHeader, truthCustomersHeader,
	} {
		if i < len(files) {
			if err := put(files[i], []byte(line), sum); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rows) flush(files []io.WriteCloser, sum *Summary) error {
	for i, b := range [...][]byte{r.customers, r.policies, r.claims, r.contacts, r.truthPolicies, r.truthCustomers} {
		if i < len(files) {
			if err := put(files[i], b, sum); err != nil {
				return err
			}
		}
	}
	sum.add(r.count)
	return nil
}

func put(w io.Writer, b []byte, sum *Summary) error {
	n, err := w.Write(b)
	sum.Bytes += int64(n)
	if err != nil {
		return fmt.Errorf("sample: writing: %w", err)
	}
	return nil
}
