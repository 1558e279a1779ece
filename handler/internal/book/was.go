package book

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// wasKey begins the keys of what a customer's aggregate was.
func wasKey(relation, id string) string { return "w" + sep + relation + sep + id + sep }

// pasts are how keys begin of what is kept of a customer's past.
var pasts = []func(relation, id string) string{historyKey, wasKey}

// keep has an aggregate that is about to be replaced stay for as long as the scores that
// were made of it; of one that was never scored, and stays where it is, nothing is kept. It
// lies where the customer goes to, in the batch of what replaces it, where both fit into one.
func (b *Book) keep(ctx context.Context, t Tenant, w *Writer, from, to, id string, body []byte) error {
	if from == to {
		_, scored, err := store.GetOr(ctx, b.store, t.partition(from), memberKey(from, id, kindScores))
		if err != nil || !scored {
			return err
		}
	}
	now := b.now()
	return w.addWhole(ctx, store.Op{Document: store.Document{
		Key: wasKey(to, id) + fmt.Sprintf("%019d", now.UnixNano()), Body: body, Expires: now.Add(HistoryKept),
	}}, 0)
}

// Was is a customer's aggregate, as it was encoded, at a time; false where it is still what
// is stored, or where of then nothing is kept.
func (b *Book) Was(ctx context.Context, t Tenant, relation, id string, at time.Time) ([]byte, bool, error) {
	first := wasKey(relation, id) + fmt.Sprintf("%019d", at.UnixNano())
	for d, err := range b.store.Scan(ctx, t.partition(relation), wasKey(relation, id), "") {
		if err != nil {
			return nil, false, err
		}
		if d.Key >= first && !isPart(d.Key, relation, id) {
			d, ok, err := b.read(ctx, t.partition(relation), d.Key)
			return d.Body, ok, err
		}
	}
	return nil, false, nil
}

// isPart reports whether a document of what a customer was is a part of a large one.
func isPart(key, relation, id string) bool {
	return strings.Contains(strings.TrimPrefix(key, wasKey(relation, id)), sep)
}

// leftKey begins the keys of who was of a relation, and is of another by now. That is all that
// such a document says: what it was is kept where the customer is.
func leftKey(relation string) string { return "l" + sep + relation + sep }

// left notes that a customer leaves a relation of several, for as long as what it was is kept.
func (b *Book) left(relation, id string) []store.Op {
	if relation == (&portfolio.Customer{ID: id}).Relation() {
		return nil
	}
	return []store.Op{{Document: store.Document{Key: leftKey(relation) + id, Body: []byte("{}"), Expires: b.now().Add(HistoryKept)}}}
}

// Left are the customers who were of a relation and left it since.
func (b *Book) Left(ctx context.Context, t Tenant, relation string) (ids []string, err error) {
	for d, err := range b.store.Scan(ctx, t.partition(relation), leftKey(relation), "") {
		if err != nil {
			return nil, err
		}
		ids = append(ids, strings.TrimPrefix(d.Key, leftKey(relation)))
	}
	return ids, nil
}

// forgetLeft removes a customer from those who left relations: which, what it was says.
func (b *Book) forgetLeft(ctx context.Context, t Tenant, relation, id string) error {
	gone := map[string]bool{}
	var dec portfolio.Decoder
	for d, err := range b.store.Scan(ctx, t.partition(relation), wasKey(relation, id), "") {
		if err != nil {
			return err
		}
		if isPart(d.Key, relation, id) {
			continue
		}
		whole, ok, err := b.read(ctx, t.partition(relation), d.Key)
		if err != nil {
			return err
		}
		if was, err := dec.Decode(whole.Body); ok && err == nil { // damage must not keep anybody from being erased
			gone[was.Latest().Relation()] = true
		}
	}
	for _, from := range slices.Sorted(maps.Keys(gone)) {
		w := b.Writer(t, t.RelationBucket(from))
		if err := w.DeleteKey(ctx, leftKey(from)+id); err != nil {
			return err
		}
		if err := w.Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}
