package book

import (
	"context"
	"iter"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// Member is a customer met in a scan. All of it is good until the scan's next step.
type Member struct {
	ID         string
	Aggregate  *portfolio.Aggregate
	Body       []byte // the aggregate as stored
	ETag       string
	Scores     []byte // nil where it was never scored
	ScoresETag string

	decoder portfolio.Decoder
}

// Relation is a company group, a household or a single customer, with its members.
type Relation struct {
	Key     string
	Members []*Member
}

// Relations yields the relations of a bucket in key order, each with all its members,
// in one pass over the bucket. Scores whose customer is gone (a run was writing them
// while the customer was erased) are no member: their keys go to orphan, if not nil,
// for the caller to delete.
func (b *Book) Relations(ctx context.Context, t Tenant, bucket int, orphan func(key string)) iter.Seq2[*Relation, error] {
	return func(yield func(*Relation, error) bool) {
		var (
			rel  Relation
			pool []*Member // members are reused from one relation to the next
		)
		for d, err := range b.store.Scan(ctx, store.Partition{Tenant: t.ID, Bucket: bucket}, "b"+sep, "") {
			if err != nil {
				yield(nil, err)
				return
			}
			relation, id, kind, ok := splitMember(d.Key)
			if !ok {
				yield(nil, fault.New(fault.Internal, "bucket %d holds a document with a key of unknown form", bucket))
				return
			}
			if relation != rel.Key {
				if len(rel.Members) > 0 && !yield(&rel, nil) {
					return
				}
				rel.Key, rel.Members = strings.Clone(relation), rel.Members[:0]
			}
			if kind == "s" {
				n := len(rel.Members)
				if n > 0 && rel.Members[n-1].ID == id {
					rel.Members[n-1].Scores, rel.Members[n-1].ScoresETag = d.Body, d.ETag
				} else if orphan != nil {
					orphan(strings.Clone(d.Key))
				}
				continue
			}
			if len(pool) == len(rel.Members) {
				pool = append(pool, new(Member))
			}
			m := pool[len(rel.Members)]
			m.ID, m.Body, m.ETag, m.Scores, m.ScoresETag = id, d.Body, d.ETag, nil, ""
			if m.Aggregate, err = m.decoder.Decode(d.Body); err != nil {
				yield(nil, fault.Wrap(fault.Internal, err, "decoding a customer of bucket %d", bucket))
				return
			}
			rel.Members = append(rel.Members, m)
		}
		if len(rel.Members) > 0 {
			yield(&rel, nil)
		}
	}
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
	return relation, id, kind, ok && (kind == "a" || kind == "s")
}
