package book

import (
	"context"

	"polis/handler/internal/store"
)

// Stored reads the aggregate at a settled place as it was encoded; false where there
// is none. It is one read, or two where it is large, and Customer takes four.
func (b *Book) Stored(ctx context.Context, t Tenant, p Place) (body []byte, etag string, ok bool, err error) {
	d, ok, err := b.read(ctx, t.partition(p.Relation), memberKey(p.Relation, p.ID, kindAggregate))
	return d.Body, d.ETag, ok, err
}

// CreateAggregate stores an aggregate as it was encoded; the batch fails with
// fault.Conflict where there is one already. The body must not change before Flush.
func (w *Writer) CreateAggregate(ctx context.Context, relation, id string, body []byte) error {
	return w.addWhole(ctx, store.Op{Verb: store.Create, Document: store.Document{Key: memberKey(relation, id, kindAggregate), Body: body}}, 0)
}
