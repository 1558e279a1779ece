package book

import (
	"context"
	"errors"
	"iter"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// Member is a customer met in a scan. All of it is good until the scan's next step.
type Member struct {
	ID        string
	Aggregate *portfolio.Aggregate
	Body      []byte // the aggregate as stored
	ETag      string
	Feedback  []byte // nil where there was none
	Scores    []byte // nil where it was never scored
	// Err says why the aggregate could not be decoded; Aggregate is then empty. One
	// damaged document must not stop a scan of ten thousand.
	Err error

	decoder portfolio.Decoder
	parts   string // how the kinds begin of the parts of a body that is split
	bytes   int    // and how long it is
}

// partKind begins the kinds of parts of aggregates; none is the beginning of none.
const (
	partKind = kindAggregate + sep
	none     = sep
)

// Relation is a company group, a household or a single customer, with its members.
type Relation struct {
	Key     string
	Members []*Member
}

// Relations yields the relations of a bucket in key order, each with all its members,
// in one pass over the bucket. What is there of a customer whose aggregate is gone (a
// run was writing scores while it was erased) is no member: the keys go to orphan, if
// not nil, for the caller to delete by DeleteOrphan once the scan has ended.
func (b *Book) Relations(ctx context.Context, t Tenant, bucket int, orphan func(key string)) iter.Seq2[*Relation, error] {
	return b.scan(ctx, store.Partition{Tenant: t.ID, Bucket: bucket}, "b"+sep, orphan)
}

// Relation reads one relation; it has no members where there is none.
func (b *Book) Relation(ctx context.Context, t Tenant, key string) (*Relation, error) {
	for rel, err := range b.scan(ctx, t.partition(key), "b"+sep+key+sep, nil) {
		return rel, err
	}
	return &Relation{Key: key}, nil
}

func (b *Book) scan(ctx context.Context, p store.Partition, prefix string, orphan func(key string)) iter.Seq2[*Relation, error] {
	return func(yield func(*Relation, error) bool) {
		var (
			rel  Relation
			pool []*Member // members are reused from one relation to the next
		)
		for d, err := range b.store.Scan(ctx, p, prefix, "") {
			if err != nil {
				yield(nil, err)
				return
			}
			relation, id, kind, ok := splitMember(d.Key)
			if !ok {
				yield(nil, fault.New(fault.Internal, "bucket %d holds a document with a key of unknown form", p.Bucket))
				return
			}
			if relation != rel.Key {
				if !b.give(ctx, p, &rel, yield) {
					return
				}
				rel.Key, rel.Members = strings.Clone(relation), rel.Members[:0]
			}
			n := len(rel.Members)
			if kind != kindAggregate {
				switch {
				case n > 0 && rel.Members[n-1].ID == id && strings.HasPrefix(kind, partKind):
					if strings.HasPrefix(kind, rel.Members[n-1].parts) { // others no head names
						rel.Members[n-1].Body = append(rel.Members[n-1].Body, d.Body...)
					}
				case n > 0 && rel.Members[n-1].ID == id && kind == kindScores:
					rel.Members[n-1].Scores = d.Body
				case n > 0 && rel.Members[n-1].ID == id:
					rel.Members[n-1].Feedback = d.Body
				case orphan != nil:
					orphan(strings.Clone(d.Key))
				}
				continue
			}
			if len(pool) == n {
				pool = append(pool, new(Member))
			}
			m := pool[n]
			m.ID, m.Body, m.ETag, m.Feedback, m.Scores = id, d.Body, d.ETag, nil, nil
			m.parts, m.bytes = none, 0
			if h, split := readHead(d.Body); split {
				m.Body, m.parts, m.bytes = make([]byte, 0, h.Bytes), partKind+h.Generation+sep, h.Bytes
			}
			rel.Members = append(rel.Members, m)
		}
		b.give(ctx, p, &rel, yield)
	}
}

// give decodes a relation's members and yields it, if it has any.
func (b *Book) give(ctx context.Context, p store.Partition, rel *Relation, yield func(*Relation, error) bool) bool {
	kept := rel.Members[:0]
	for _, m := range rel.Members {
		if len(m.Body) != m.bytes && m.parts != none {
			// It was replaced between its head and its parts. Only parts that stay away are damage: what
			// the store refuses now it gives another time.
			d, ok, err := b.read(store.Fresh(ctx), p, memberKey(rel.Key, m.ID, kindAggregate))
			if err != nil && !errors.Is(err, errInPart) {
				yield(nil, err)
				return false
			}
			if err == nil && !ok {
				continue // it was erased, or it moved
			}
			m.Body, m.ETag = d.Body, d.ETag
		}
		if m.Aggregate, m.Err = m.decoder.Decode(m.Body); m.Err != nil {
			m.Aggregate = new(portfolio.Aggregate)
		}
		kept = append(kept, m)
	}
	rel.Members = kept
	return len(kept) == 0 || yield(rel, nil)
}

func splitMember(key string) (relation, id, kind string, ok bool) {
	rest, ok := strings.CutPrefix(key, "b"+sep)
	if !ok {
		return "", "", "", false
	}
	relation, rest, ok = strings.Cut(rest, sep)
	if !ok {
		return "", "", "", false
	}
	id, kind, ok = strings.Cut(rest, sep)
	return relation, id, kind, ok && (kind == kindAggregate || kind == kindFeedback || kind == kindScores || strings.HasPrefix(kind, partKind))
}

// AllScores yields the scores of a bucket whose key is greater than after, in key order.
func (b *Book) AllScores(ctx context.Context, t Tenant, bucket int, after string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		for d, err := range b.store.Scan(ctx, store.Partition{Tenant: t.ID, Bucket: bucket}, "b"+sep, after) {
			if err == nil && !strings.HasSuffix(d.Key, sep+kindScores) {
				continue
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// ScoredCustomer is the customer that a document of AllScores is of.
func ScoredCustomer(key string) string {
	_, id, _, _ := splitMember(key)
	return id
}
