package store

import (
	"context"
	"iter"
)

// Counted is a store whose calls are counted by the meters of their contexts: what is asked of
// it, whatever it is.
func Counted(s Store) Store { return counted{s} }

type counted struct{ Store }

func (c counted) Get(ctx context.Context, p Partition, key string) (Document, error) {
	d, err := c.Store.Get(ctx, p, key)
	if m := MeterOf(ctx); m != nil {
		m.Reads.Add(1)
		m.BytesRead.Add(int64(len(d.Key) + len(d.Body)))
	}
	return d, err
}

func (c counted) GetMany(ctx context.Context, p Partition, keys []string) ([]Document, error) {
	docs, err := c.Store.GetMany(ctx, p, keys)
	if m := MeterOf(ctx); m != nil && len(keys) > 0 {
		m.Queries.Add(1)
		m.Documents.Add(int64(len(docs)))
		for i := range docs {
			m.BytesRead.Add(int64(len(docs[i].Key) + len(docs[i].Body)))
		}
	}
	return docs, err
}

func (c counted) Scan(ctx context.Context, p Partition, prefix, after string) iter.Seq2[Document, error] {
	scan, m := c.Store.Scan(ctx, p, prefix, after), MeterOf(ctx)
	if m == nil {
		return scan
	}
	return func(yield func(Document, error) bool) {
		m.Queries.Add(1)
		for d, err := range scan {
			if err == nil {
				m.Documents.Add(1)
				m.BytesRead.Add(int64(len(d.Key) + len(d.Body)))
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

func (c counted) Write(ctx context.Context, p Partition, ops []Op) error {
	if m := MeterOf(ctx); m != nil && len(ops) > 0 {
		m.Batches.Add(1)
		m.Writes.Add(int64(len(ops)))
		for i := range ops {
			m.BytesWritten.Add(int64(len(ops[i].Key) + len(ops[i].Body)))
		}
	}
	return c.Store.Write(ctx, p, ops)
}
