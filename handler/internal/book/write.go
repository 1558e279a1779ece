package book

import (
	"context"
	"time"

	"polis/handler/internal/store"
)

// Writer collects changes to one bucket and writes them in batches as large as the
// store takes. What one call adds is written in one batch: all or nothing.
type Writer struct {
	store     store.Store
	partition store.Partition
	ops       []store.Op
	bytes     int
	stale     []store.Op // deletions of parts that nothing needs once ops are written
}

// Writer starts writing to a bucket. Nothing is certain to be written before Flush.
func (b *Book) Writer(t Tenant, bucket int) *Writer {
	return &Writer{store: b.store, partition: store.Partition{Tenant: t.ID, Bucket: bucket}}
}

// ReplaceAggregate stores an aggregate as it was encoded in place of old, which has the
// etag; the batch fails with fault.Conflict where it has not. What old was is kept where it
// had been scored: see Was. The bodies must not change before Flush.
func (b *Book) ReplaceAggregate(ctx context.Context, t Tenant, w *Writer, relation, id string, body, old []byte, etag string) error {
	if err := b.keep(ctx, t, w, relation, relation, id, old); err != nil {
		return err
	}
	op := store.Op{Verb: store.Replace, Document: store.Document{Key: memberKey(relation, id, kindAggregate), Body: body, ETag: etag}}
	return w.addWhole(ctx, op, len(old))
}

// HistoryKept is how long superseded scores stay: what was relied on must be there to
// contest for as long as a decision can be (GDPR art. 22; Dutch limitation, 5 years).
const HistoryKept = 5 * 366 * 24 * time.Hour

// PutScores stores a customer's latest scores and, where old is not nil, keeps old as
// history under its name, which begins with its as-of date, until expires, in the same batch: a repeat finds either
// both or neither.
func (w *Writer) PutScores(ctx context.Context, relation, id string, scores, old []byte, name string, expires time.Time) error {
	latest := store.Op{Document: store.Document{Key: memberKey(relation, id, kindScores), Body: scores}}
	if old == nil {
		return w.add(ctx, latest)
	}
	return w.add(ctx, latest, store.Op{Document: store.Document{
		Key: historyKey(relation, id) + name, Body: old, Expires: expires,
	}})
}

// PutPast keeps scores of a past date as history under their name, as PutScores does those
// that are superseded; the latest stay as they are.
func (w *Writer) PutPast(ctx context.Context, relation, id string, scores []byte, name string, expires time.Time) error {
	return w.add(ctx, store.Op{Document: store.Document{Key: historyKey(relation, id) + name, Body: scores, Expires: expires}})
}

// DeleteKey deletes a document by its key: an orphan that a scan named.
func (w *Writer) DeleteKey(ctx context.Context, key string) error {
	return w.add(ctx, store.Op{Verb: store.Delete, Document: store.Document{Key: key}})
}

func (w *Writer) add(ctx context.Context, ops ...store.Op) error {
	bytes := 0
	for _, op := range ops {
		bytes += len(op.Key) + len(op.Body)
	}
	if len(w.ops)+len(ops) > store.MaxOps || w.bytes+bytes > store.MaxBytes {
		if err := w.Flush(ctx); err != nil {
			return err
		}
	}
	w.ops = append(w.ops, ops...)
	w.bytes += bytes
	return nil
}

// Flush writes what was collected.
func (w *Writer) Flush(ctx context.Context) error {
	if len(w.ops) == 0 {
		return nil
	}
	err := w.store.Write(ctx, w.partition, w.ops)
	w.ops, w.bytes = w.ops[:0], 0
	for len(w.stale) > 0 && err == nil {
		n := min(len(w.stale), store.MaxOps)
		err = w.store.Write(ctx, w.partition, w.stale[:n])
		w.stale = w.stale[n:]
	}
	w.stale = nil
	return err
}
