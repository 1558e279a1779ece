package book

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// Records of decisions that somebody relied on, or asked a person to look at, lie with
// their customer's place and not with its relation, so that households may merge and part
// without moving them:
//
//	d ␟ customer ␟ decision    the record
//
// and a tenant's open reviews are told apart in its own partition, by their decisions:
//
//	review ␟ decision          that it is open

// Hashed finds the customers whose ids have a hash, portfolio.Hash: one, as a rule.
func (b *Book) Hashed(ctx context.Context, t Tenant, hash uint64) ([]Place, error) {
	key := shelfOf(int(hash%uint64(t.Buckets*shelves)) / t.Buckets)
	s, err := b.shelf(ctx, t.places(int(hash%uint64(t.Buckets))), key)
	var found []Place
	for _, p := range s.places {
		if portfolio.Hash(p.ID) == hash {
			found = append(found, p)
		}
	}
	return found, err
}

func decisionKey(customer, decision string) string { return "d" + sep + customer + sep + decision }

// Decision reads the record of a decision; false where none is kept.
func (b *Book) Decision(ctx context.Context, t Tenant, customer, decision string) (store.Document, bool, error) {
	return store.GetOr(ctx, b.store, t.places(t.HomeBucket(customer)), decisionKey(customer, decision))
}

// Decisions yields all kept records of a customer.
func (b *Book) Decisions(ctx context.Context, t Tenant, customer string) iter.Seq2[store.Document, error] {
	return b.store.Scan(ctx, t.places(t.HomeBucket(customer)), decisionKey(customer, ""), "")
}

// PutDecision keeps the record of a decision until it expires; etag as in Put.
func (b *Book) PutDecision(ctx context.Context, t Tenant, customer, decision string, body []byte, etag string, expires time.Time) error {
	op := store.Op{Verb: store.Create, Document: store.Document{Key: decisionKey(customer, decision), Body: body, ETag: etag, Expires: expires}}
	if etag != "" {
		op.Verb = store.Replace
	}
	return b.store.Write(ctx, t.places(t.HomeBucket(customer)), []store.Op{op})
}

const reviewKey = "review" + sep

// OpenReview notes that a review of a decision is open, or no longer.
func (b *Book) OpenReview(ctx context.Context, t Tenant, decision string, open bool) error {
	op := store.Op{Verb: store.Delete, Document: store.Document{Key: reviewKey + decision}}
	if open {
		op.Verb, op.Body = store.Put, []byte("{}")
	}
	return b.store.Write(ctx, store.Partition{Tenant: t.ID, Bucket: store.Shared}, []store.Op{op})
}

// OpenReviews yields the decisions of which a review may be open: one that was cut off
// while it was asked for or answered may be among them.
func (b *Book) OpenReviews(ctx context.Context, t Tenant) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for d, err := range b.store.Scan(ctx, store.Partition{Tenant: t.ID, Bucket: store.Shared}, reviewKey, "") {
			if !yield(strings.TrimPrefix(d.Key, reviewKey), err) || err != nil {
				return
			}
		}
	}
}

// told is the body of an open review of which it was told that it is overdue.
const told = `{"overdue":true}`

// ReviewTold reports whether it was told of an open review that it is overdue.
func (b *Book) ReviewTold(ctx context.Context, t Tenant, decision string) (bool, error) {
	d, ok, err := store.GetOr(ctx, b.store, store.Partition{Tenant: t.ID, Bucket: store.Shared}, reviewKey+decision)
	return ok && string(d.Body) == told, err
}

// TellReview notes that it was; one that was answered meanwhile stays so.
func (b *Book) TellReview(ctx context.Context, t Tenant, decision string) error {
	part := store.Partition{Tenant: t.ID, Bucket: store.Shared}
	d, ok, err := store.GetOr(ctx, b.store, part, reviewKey+decision)
	if err != nil || !ok {
		return err
	}
	err = b.store.Write(ctx, part, []store.Op{{Verb: store.Replace, Document: store.Document{Key: d.Key, Body: []byte(told), ETag: d.ETag}}})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// forgetDecisions removes what is kept of a customer's decisions: that reviews are open
// first, since the records say which they are.
func (b *Book) forgetDecisions(ctx context.Context, t Tenant, customer string) error {
	w := &Writer{store: b.store, partition: t.places(t.HomeBucket(customer))}
	for d, err := range b.Decisions(ctx, t, customer) {
		if err != nil {
			return err
		}
		if err := b.OpenReview(ctx, t, d.Key[strings.LastIndex(d.Key, sep)+len(sep):], false); err != nil {
			return err
		}
		if err := w.DeleteKey(ctx, d.Key); err != nil {
			return err
		}
	}
	return w.Flush(ctx)
}

func shelfOf(number int) string { return fmt.Sprintf("p%s%02x", sep, number) }
