package book

import (
	"context"
	"fmt"
	"strings"
	"time"

	"polis/handler/internal/store"
)

// wasKey begins the keys of what a customer's aggregate was.
func wasKey(relation, id string) string { return "w" + sep + relation + sep + id + sep }

// pasts are how keys begin of what is kept of a customer's past.
var pasts = []func(relation, id string) string{historyKey, wasKey}

// keep has an aggregate that is about to be replaced stay for as long as the scores that
// were made of it; of one that was never scored nothing is kept. It lies where the customer
// goes to, in the batch of what replaces it, where both fit into one.
func (b *Book) keep(ctx context.Context, t Tenant, w *Writer, from, to, id string, body []byte) error {
	_, scored, err := store.GetOr(ctx, b.store, t.partition(from), memberKey(from, id, kindScores))
	if err != nil || !scored {
		return err
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
		part := strings.Contains(strings.TrimPrefix(d.Key, wasKey(relation, id)), sep)
		if d.Key >= first && !part {
			d, ok, err := b.read(ctx, t.partition(relation), d.Key)
			return d.Body, ok, err
		}
	}
	return nil, false, nil
}
