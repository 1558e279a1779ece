package intake

import (
	"bytes"
	"context"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// finished is an aggregate to be written.
type finished struct {
	relation, id, etag string // etag "": it is new
	body, old          []byte // and what it replaces
}

// write writes the batch.
func (w *joiner) write() error {
	out := w.book.Writer(w.tenant, w.bucket)
	var err error
	for i := range w.batch {
		f := &w.batch[i]
		if f.etag == "" {
			err = out.CreateAggregate(w.ctx, f.relation, f.id, f.body)
		} else {
			err = w.book.ReplaceAggregate(w.ctx, w.tenant, out, f.relation, f.id, f.body, f.old, f.etag)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = out.Flush(w.ctx)
	}
	if fault.Is(err, fault.Conflict) {
		// Someone wrote one of them since it was read: merge one by one.
		for i := range w.batch {
			if err := w.again(&w.batch[i]); err != nil {
				return err
			}
		}
		err = nil
	}
	w.batch, w.bodies = w.batch[:0], w.bodies[:0]
	return err
}

// again writes an aggregate over what is stored by now. One that was erased since it
// was read stays erased.
func (w *joiner) again(f *finished) error {
	a, err := new(portfolio.Decoder).Decode(f.body)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "reading a scratch file")
	}
	if f.etag != "" {
		if _, ok, err := w.book.Place(w.ctx, w.tenant, f.id); err != nil || !ok {
			return err
		}
	}
	return put(w.ctx, w.book, w.tenant, a)
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
