package intake

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// writing is the last stage: changed aggregates go to their buckets in the order of
// their keys, in batches.
type writing struct {
	book   *book.Book
	tenant book.Tenant
	in     *spill.File

	created, replaced atomic.Int64
}

// pieceBytes bounds how much of a bucket is sorted at a time.
const pieceBytes = 16 << 20

func (w *writing) run(ctx context.Context, done func(int)) error {
	g, working := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	bufs := make(chan *[]byte, workers)
	for range workers {
		bufs <- new([]byte)
	}
	for bucket := range w.in.Parts() {
		if working.Err() != nil {
			break
		}
		g.Go(func() error {
			defer done(1)
			buf := <-bufs
			defer func() { bufs <- buf }()
			return w.in.Read(bucket, pieceBytes, buf, func(piece []byte) error {
				return w.piece(working, bucket, piece)
			})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// finished is an aggregate to be written.
type finished struct {
	relation, id, etag string // etag "": it is new
	body               []byte
}

func (w *writing) piece(ctx context.Context, bucket int, piece []byte) error {
	var list []finished
	for len(piece) > 0 {
		var record, relation, id, etag []byte
		record, piece = spill.Next(piece)
		relation, record = cutText(record)
		id, record = cutText(record)
		etag, record = cutText(record)
		list = append(list, finished{relation: string(relation), id: string(id), etag: string(etag), body: record})
	}
	slices.SortFunc(list, func(a, b finished) int {
		if c := cmp.Compare(a.relation, b.relation); c != 0 {
			return c
		}
		return cmp.Compare(a.id, b.id)
	})
	for batch := range slices.Chunk(list, store.MaxOps) {
		if err := w.batch(ctx, bucket, batch); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) batch(ctx context.Context, bucket int, batch []finished) error {
	out := w.book.Writer(w.tenant, bucket)
	var err error
	for i := range batch {
		f := &batch[i]
		if f.etag == "" {
			err = out.CreateAggregate(ctx, f.relation, f.id, f.body)
		} else {
			err = out.PutAggregate(ctx, f.relation, f.id, f.body, f.etag)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = out.Flush(ctx)
	}
	switch {
	case fault.Is(err, fault.Conflict):
		// Someone wrote one of them since it was read: merge one by one.
		for i := range batch {
			if err := w.again(ctx, &batch[i]); err != nil {
				return err
			}
		}
	case err != nil:
		return err
	}
	for i := range batch {
		if batch[i].etag == "" {
			w.created.Add(1)
		} else {
			w.replaced.Add(1)
		}
	}
	return nil
}

// again writes an aggregate over what is stored by now. One that was erased since it
// was read stays erased.
func (w *writing) again(ctx context.Context, f *finished) error {
	a, err := new(portfolio.Decoder).Decode(f.body)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "reading a scratch file")
	}
	if f.etag != "" {
		if _, ok, err := w.book.Place(ctx, w.tenant, f.id); err != nil || !ok {
			return err
		}
	}
	return put(ctx, w.book, w.tenant, a)
}

// put merges an aggregate into what is stored of the customer and stores it, again
// where someone else was quicker.
func put(ctx context.Context, b *book.Book, t book.Tenant, a *portfolio.Aggregate) error {
	for tries := 0; ; tries++ {
		r, err := b.Customer(ctx, t, a.ID())
		merged := a
		switch {
		case fault.Is(err, fault.NotFound):
		case err != nil:
			return err
		default:
			var enc portfolio.Encoder
			before := enc.Append(nil, r.Aggregate)
			r.Aggregate.Merge(a, func(portfolio.Table, int) {})
			merged = r.Aggregate
			if bytes.Equal(before, enc.Append(nil, merged)) {
				return nil
			}
		}
		if err = b.Put(ctx, t, merged, r.ETag); !fault.Is(err, fault.Conflict) || tries == 5 {
			return err
		}
	}
}
