package intake

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/portfolio"
)

// gathering is the second stage: a partition at a time, the rows of each customer are
// brought together and put aside by where the customer lies, or will lie. It knows of a
// customer that is not stored yet from its own rows where that is, and writes its place.
type gathering struct {
	book    *book.Book
	tenant  book.Tenant
	reading *reading
	out     *spill.File
	erased  map[string][]string // whose rows are left out
	left    atomic.Int64        // how many of them there were
}

// maxPartition is how much of a partition is taken into memory. Partitions are sized
// to stay far below; only one customer with millions of rows comes near.
const maxPartition = 512 << 20

// fewBytes is up to where a bucket's places are looked up one by one.
const fewBytes = 64 << 10

// run gathers all partitions.
func (g *gathering) run(ctx context.Context, done func(int)) error {
	both, working := errgroup.WithContext(ctx)
	toPlace := make(chan placing, 1)
	both.Go(func() error { return g.place(working, toPlace) })
	free := make(chan *gatherer, workers)
	for range workers {
		free <- &gatherer{gathering: g, out: g.out.Writer(), toPlace: toPlace}
	}
	both.Go(func() error {
		defer close(toPlace)
		return g.gather(working, free, done)
	})
	if err := both.Wait(); err != nil {
		return err
	}
	close(free)
	for w := range free {
		if err := w.out.Flush(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// gather gathers bucket after bucket, two at a time.
func (g *gathering) gather(ctx context.Context, free chan *gatherer, done func(int)) error {
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for bucket := range g.tenant.Buckets {
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			defer done(1)
			w := <-free
			defer func() { free <- w }()
			return w.bucket(working, bucket)
		})
	}
	return group.Wait()
}

// placing are places to be written to a bucket.
type placing struct {
	bucket int
	places []book.Place
}

// place writes places while others gather.
func (g *gathering) place(ctx context.Context, all <-chan placing) error {
	for p := range all {
		if err := g.book.PutPlaces(ctx, g.tenant, p.bucket, p.places); err != nil {
			return err
		}
	}
	return nil
}

// gatherer gathers one bucket after another; what it needs is reused.
type gatherer struct {
	*gathering
	ctx     context.Context
	out     *spill.Writer
	buf     []byte
	data    string // the partition
	entries []entry
	toPlace chan<- placing
	places  map[string]book.Place // nil: look up one by one
	placed  []book.Place          // places to be written

	rows  portfolio.RowDecoder
	fresh portfolio.Aggregate
	group []byte
}

// bucket gathers the partitions of the customers whose places lie in one bucket.
func (w *gatherer) bucket(ctx context.Context, bucket int) error {
	w.ctx, w.places = ctx, nil
	size := 0
	for part := bucket; part < w.reading.parts; part += w.tenant.Buckets {
		n := w.reading.rows.Bytes(part)
		if n > maxPartition {
			return fault.New(fault.TooLarge, "too many rows for one customer, or files of unknown size too large to be joined")
		}
		size += n
	}
	if size == 0 {
		return nil
	}
	if size > fewBytes {
		w.places = make(map[string]book.Place)
		for p, err := range w.book.Places(ctx, w.tenant, bucket) {
			if err != nil {
				return err
			}
			w.places[p.ID] = p
		}
	}
	for part := bucket; part < w.reading.parts; part += w.tenant.Buckets {
		if err := w.partition(part); err != nil {
			return err
		}
	}
	select {
	case w.toPlace <- placing{bucket, w.placed}:
		w.placed = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// entry is a record in a partition: small, because sorting moves it about.
type entry struct {
	customer uint64 // a hash with a secret seed: within a partition two do not collide
	order    uint64 // kind and line
	at       int    // where the record begins in the partition
}

// lineBits leaves room for the kind above the line in an entry's order.
const lineBits = 56

// record is what an entry stands for.
func (w *gatherer) record(e entry) (customer, row string) {
	record, _ := spill.Next(w.data[e.at:])
	_, record = cutLine(record[1:])
	return cutText(record)
}

func (w *gatherer) partition(part int) error {
	return w.reading.rows.Read(part, 0, &w.buf, func(piece []byte) error {
		// Rows are parts of this one copy: they cost no allocation of their own.
		w.data = string(piece)
		w.rows, w.fresh = portfolio.RowDecoder{}, portfolio.Aggregate{} // they hold parts of the copy before
		w.entries = w.entries[:0]
		for at := 0; at < len(w.data); {
			record, rest := spill.Next(w.data[at:])
			line, named := cutLine(record[1:])
			customer, _ := cutText(named)
			w.entries = append(w.entries, entry{
				customer: maphash.String(w.reading.seed, customer), order: uint64(record[0])<<lineBits | uint64(line), at: at,
			})
			at = len(w.data) - len(rest)
		}
		slices.SortFunc(w.entries, func(a, b entry) int {
			if c := cmp.Compare(a.customer, b.customer); c != 0 {
				return c
			}
			return cmp.Compare(a.order, b.order)
		})
		for from := 0; from < len(w.entries); {
			to := from + 1
			for to < len(w.entries) && w.entries[to].customer == w.entries[from].customer {
				to++
			}
			if err := w.ctx.Err(); err != nil {
				return err
			}
			id, _ := w.record(w.entries[from])
			if err := w.one(id, w.entries[from:to]); err != nil {
				return err
			}
			from = to
		}
		return nil
	})
}

// A group of rows begins with whether the customer had a place when they were gathered.
const (
	fresh uint8 = iota
	placed
)

// one puts a customer's rows aside: its state, relation and id, then each row with its
// kind and line, in that order. No relation says that it is nobody we know of.
func (w *gatherer) one(id string, entries []entry) error {
	if _, gone := w.erased[id]; gone {
		w.left.Add(1)
		return nil
	}
	p, stored := w.places[id]
	var err error
	if w.places == nil {
		if p, stored, err = w.book.Place(w.ctx, w.tenant, id); err != nil {
			return err
		}
	}
	relation, state := p.Relation, placed
	switch {
	case !stored:
		state = fresh
		if relation, err = w.relation(id, entries); err != nil {
			return err
		}
		if relation != "" {
			w.placed = append(w.placed, book.Place{ID: strings.Clone(id), Relation: strings.Clone(relation)})
		}
	case p.Leaving != "":
		if p, err = w.book.Settle(w.ctx, w.tenant, p); err != nil {
			return err
		}
		relation = p.Relation
	}
	w.group = appendText(appendText(append(w.group[:0], state), relation), id)
	for _, e := range entries {
		_, row := w.record(e)
		w.group = binary.AppendUvarint(append(w.group, uint8(e.order>>lineBits)), e.order&(1<<lineBits-1))
		w.group = appendText(w.group, row)
	}
	return w.out.Append(w.tenant.RelationBucket(relation), w.group)
}

// relation is that of the customer's newest row; of two that are alike in their dates
// the first line counts.
func (w *gatherer) relation(id string, entries []entry) (string, error) {
	w.rows.Reset()
	w.fresh.Customers = w.fresh.Customers[:0]
	for _, e := range entries {
		if portfolio.Table(e.order>>lineBits) != portfolio.Customers {
			break // they come first
		}
		_, row := w.record(e)
		if err := w.rows.Add(&w.fresh, portfolio.Customers, id, row); err != nil {
			return "", fault.Wrap(fault.Internal, err, "reading a scratch file")
		}
	}
	var newest *portfolio.Customer
	for i := range w.fresh.Customers {
		c := &w.fresh.Customers[i]
		c.Stamp(w.reading.asOf)
		if newest == nil || c.Version.Compare(newest.Version) > 0 {
			newest = c
		}
	}
	if newest == nil {
		return "", nil
	}
	return newest.Relation(), nil
}
