package book

import (
	"context"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// Who is a customer whose relation is known.
type Who struct{ Relation, ID string }

// asked is how many calls to the store are under way at once for many customers: in Azure
// each waits for an answer most of its time. Our choice.
const asked = 8

// lot is some customers of one bucket, as many as the store reads at once.
type lot struct {
	part store.Partition
	keys []string
	of   map[string][]int // by key, which of those that were named
}

// lots parts customers by where their documents of a kind lie.
func (t Tenant) lots(kind string, of []Who) []*lot {
	var all []*lot
	open := map[int]*lot{}
	placed := map[string]*lot{}
	for i, w := range of {
		key := memberKey(w.Relation, w.ID, kind)
		l := placed[key]
		if l == nil {
			bucket := t.RelationBucket(w.Relation)
			if l = open[bucket]; l == nil || len(l.keys) == store.MaxOps {
				l = &lot{part: store.Partition{Tenant: t.ID, Bucket: bucket}, of: map[string][]int{}}
				open[bucket], all = l, append(all, l)
			}
			l.keys, placed[key] = append(l.keys, key), l
		}
		l.of[key] = append(l.of[key], i)
	}
	return all
}

func each(ctx context.Context, lots []*lot, do func(context.Context, *lot) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(asked)
	for _, l := range lots {
		g.Go(func() error { return do(ctx, l) })
	}
	return g.Wait()
}

// Scores reads the latest scores of customers, and gives each to whoever it is of; those
// without scores are left out. It is called from several goroutines, for a customer from one.
func (b *Book) Scores(ctx context.Context, t Tenant, of []Who, give func(i int, scores []byte)) error {
	return each(ctx, t.lots(kindScores, of), func(ctx context.Context, l *lot) error {
		docs, err := b.store.GetMany(ctx, l.part, l.keys)
		for i := range docs {
			for _, k := range l.of[docs[i].Key] {
				give(k, docs[i].Body)
			}
		}
		return err
	})
}

// ChangeFeedback changes what is kept of what was suggested for customers, and of what people
// did about it. change is told what is kept, nil for nothing, and returns what it should be,
// nil where it is so already. It is asked again where somebody else's change came between, and
// is called from several goroutines, for a customer from one. What was written when it fails
// stays.
func (b *Book) ChangeFeedback(ctx context.Context, t Tenant, of []Who, change func(i int, body []byte) ([]byte, error)) error {
	return each(ctx, t.lots(kindFeedback, of), func(ctx context.Context, l *lot) error {
		for tries := 0; ; {
			ops, err := b.changed(ctx, l, change)
			if err != nil {
				return err
			}
			err = b.writeAll(ctx, l.part, ops)
			if !fault.Is(err, fault.Conflict) {
				return err
			}
			if tries++; tries == maxTries {
				return fault.New(fault.Unavailable, "others keep writing the feedback of the same customers")
			}
		}
	})
}

// changed are the writes that a lot needs.
func (b *Book) changed(ctx context.Context, l *lot, change func(i int, body []byte) ([]byte, error)) ([]store.Op, error) {
	docs, err := b.store.GetMany(ctx, l.part, l.keys)
	if err != nil {
		return nil, err
	}
	there := make(map[string]store.Document, len(docs))
	for _, d := range docs {
		there[d.Key] = d
	}
	var ops []store.Op
	for _, key := range l.keys {
		d, ok := there[key]
		op := store.Op{Verb: store.Replace, Document: store.Document{Key: key, ETag: d.ETag}}
		if !ok {
			op.Verb = store.Create
		}
		body := d.Body
		for _, i := range l.of[key] {
			next, err := change(i, body)
			if err != nil {
				return nil, err
			}
			if next != nil {
				op.Body, body = next, next
			}
		}
		if op.Body != nil {
			ops = append(ops, op)
		}
	}
	return ops, nil
}

// writeAll writes in batches as large as the store takes.
func (b *Book) writeAll(ctx context.Context, part store.Partition, ops []store.Op) error {
	w := &Writer{store: b.store, partition: part}
	for _, op := range ops {
		if err := w.add(ctx, op); err != nil {
			return err
		}
	}
	return w.Flush(ctx)
}

// ForgetFeedback deletes what is kept of what was suggested for somebody who is not in the book: a list that was
// being made while he was erased may have written it after.
func (b *Book) ForgetFeedback(ctx context.Context, t Tenant, of Who) error {
	_, there, err := b.Place(ctx, t, of.ID)
	if err != nil || there {
		return err
	}
	gone := store.Document{Key: memberKey(of.Relation, of.ID, kindFeedback)}
	return b.store.Write(ctx, t.partition(of.Relation), []store.Op{{Verb: store.Delete, Document: gone}})
}
