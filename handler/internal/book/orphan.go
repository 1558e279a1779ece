package book

import (
	"context"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// DeleteOrphan deletes what a scan of the writer's bucket named as what is there of nobody. Parts
// of an aggregate may be those of one that is being written at the moment: they go at once, and
// only where that is not so.
func (b *Book) DeleteOrphan(ctx context.Context, t Tenant, w *Writer, key string) error {
	relation, id, kind, ok := splitMember(key)
	if ok && strings.HasPrefix(kind, partKind) {
		return b.deleteParts(ctx, t, relation, id)
	}
	return w.DeleteKey(ctx, key)
}

// deleteParts deletes the parts that a relation holds of somebody who has no aggregate and no place
// there: a large customer was erased while a writer, who has read what was there before, was putting
// the parts of another. Whoever writes parts has written the place first, so that parts that were
// there before it was looked at the place, and are the same after, are nobody's.
func (b *Book) deleteParts(ctx context.Context, t Tenant, relation, id string) error {
	aggregate := memberKey(relation, id, kindAggregate)
	var parts []store.Op
	for d, err := range b.store.Scan(ctx, t.partition(relation), aggregate, "") {
		switch {
		case err != nil:
			return err
		case d.Key == aggregate:
			return nil
		case strings.HasPrefix(d.Key, aggregate+sep):
			// The store deletes on no condition, but replaces on one: by what has expired.
			parts = append(parts, store.Op{Verb: store.Replace, Document: store.Document{Key: strings.Clone(d.Key), ETag: d.ETag, Expires: b.now()}})
		}
	}
	if len(parts) == 0 {
		return nil
	}
	p, ok, err := b.Place(ctx, t, id)
	if err != nil || ok && (p.Relation == relation || p.Leaving == relation) {
		return err
	}
	for len(parts) > 0 {
		n := min(len(parts), store.MaxOps)
		if err := b.store.Write(ctx, t.partition(relation), parts[:n]); err != nil {
			if fault.Is(err, fault.Conflict) { // somebody is writing them again
				return nil
			}
			return err
		}
		parts = parts[n:]
	}
	return nil
}
