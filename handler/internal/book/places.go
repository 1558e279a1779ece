package book

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// Place says where a customer's aggregate lies.
type Place struct {
	ID       string // the customer's
	Relation string
	// Leaving is the relation from under which the aggregate is being moved, until
	// what is there has been deleted; else "".
	Leaving string
}

// shelves is how many documents the places of a bucket lie in. One document a customer
// would be as many writes again as an import has aggregates; one a bucket would be large,
// and all that create customers would meet in it. At 15,000 customers a bucket a shelf
// has some 6 KB.
const shelves = 64

// shelf is a document of places, ordered by customer. Its body has a line for each:
// customer ␟ relation, and ␟ the relation being left.
type shelf struct {
	key    string
	places []Place
	etag   string // "": it is not stored yet
}

// HomeBucket is the bucket in which a customer's place lies.
func (t Tenant) HomeBucket(customer string) int { return portfolio.Bucket(customer, t.Buckets) }

// places is the partition of a bucket's places. They lie apart from the buckets, below
// them: an import writes all places, then all aggregates, and so always at the end of
// the store, where an ordered store writes fastest.
func (t Tenant) places(bucket int) store.Partition {
	return store.Partition{Tenant: t.ID, Bucket: store.Shared - 1 - bucket}
}

// shelfKey is of the shelf, within its home bucket, of a customer's place.
func (t Tenant) shelfKey(customer string) string {
	return shelfOf(portfolio.Bucket(customer, t.Buckets*shelves) / t.Buckets)
}

// split cuts the first place off a shelf's body.
func split(body string) (p Place, rest string) {
	line, rest, _ := strings.Cut(body, "\n")
	p.ID, line, _ = strings.Cut(line, sep)
	p.Relation, p.Leaving, _ = strings.Cut(line, sep)
	return p, rest
}

func (b *Book) shelf(ctx context.Context, part store.Partition, key string) (shelf, error) {
	d, _, err := store.GetOr(ctx, b.store, part, key)
	s := shelf{key: key, etag: d.ETag}
	for body := string(d.Body); body != ""; {
		var p Place
		p, body = split(body)
		s.places = append(s.places, p)
	}
	return s, err
}

// find is where a customer's place is, or would be, on the shelf.
func (s *shelf) find(id string) (int, bool) {
	return slices.BinarySearchFunc(s.places, id, func(p Place, id string) int { return cmp.Compare(p.ID, id) })
}

func (s *shelf) put(p Place) {
	if i, ok := s.find(p.ID); ok {
		s.places[i] = p
	} else {
		s.places = slices.Insert(s.places, i, p)
	}
}

// op writes the shelf as long as nobody else has.
func (s *shelf) op() store.Op {
	op := store.Op{Verb: store.Create, Document: store.Document{Key: s.key, ETag: s.etag}}
	if s.etag != "" {
		op.Verb = store.Replace
	}
	for _, p := range s.places {
		op.Body = append(append(append(op.Body, p.ID...), sep...), p.Relation...)
		if p.Leaving != "" {
			op.Body = append(append(op.Body, sep...), p.Leaving...)
		}
		op.Body = append(op.Body, '\n')
	}
	return op
}

// Place finds a customer; false where there is none.
func (b *Book) Place(ctx context.Context, t Tenant, id string) (Place, bool, error) {
	if id == "" || len(id) > 128 || strings.ContainsAny(id, sep+"\n") {
		return Place{}, false, nil
	}
	d, _, err := store.GetOr(ctx, b.store, t.places(t.HomeBucket(id)), t.shelfKey(id))
	if err != nil {
		return Place{}, false, err
	}
	body := string(d.Body)
	at := 0
	if head := id + sep; !strings.HasPrefix(body, head) {
		if at = strings.Index(body, "\n"+head) + 1; at == 0 {
			return Place{}, false, nil
		}
	}
	p, _ := split(body[at:])
	return p, true, nil
}

// Places yields the places in a bucket, shelf by shelf.
func (b *Book) Places(ctx context.Context, t Tenant, bucket int) iter.Seq2[Place, error] {
	return func(yield func(Place, error) bool) {
		for d, err := range b.store.Scan(ctx, t.places(bucket), "p"+sep, "") {
			if err != nil {
				yield(Place{}, err)
				return
			}
			for body := string(d.Body); body != ""; {
				var p Place
				if p, body = split(body); !yield(p, nil) {
					return
				}
			}
		}
	}
}

// PutPlaces writes places that belong in one bucket, in batches.
func (b *Book) PutPlaces(ctx context.Context, t Tenant, bucket int, places []Place) error {
	byShelf := make(map[string][]Place)
	for _, p := range places {
		k := t.shelfKey(p.ID)
		byShelf[k] = append(byShelf[k], p)
	}
	return b.rewrite(ctx, t.places(bucket), slices.Sorted(maps.Keys(byShelf)), func(s *shelf) {
		for _, p := range byShelf[s.key] {
			s.put(p)
		}
	})
}

// deletePlace removes a customer's place.
func (b *Book) deletePlace(ctx context.Context, t Tenant, id string) error {
	return b.rewrite(ctx, t.places(t.HomeBucket(id)), []string{t.shelfKey(id)}, func(s *shelf) {
		if i, ok := s.find(id); ok {
			s.places = slices.Delete(s.places, i, i+1)
		}
	})
}

// maxTries is how often others may be quicker with the same shelf before it is given up.
const maxTries = 50

// rewrite changes shelves of a partition, as many at a time as the store takes.
func (b *Book) rewrite(ctx context.Context, part store.Partition, keys []string, change func(*shelf)) error {
	for tries := 0; len(keys) > 0; {
		var ops []store.Op
		bytes := 0
		for _, k := range keys[:min(len(keys), store.MaxOps)] {
			s, err := b.shelf(ctx, part, k)
			if err != nil {
				return err
			}
			change(&s)
			op := s.op()
			if bytes += len(op.Key) + len(op.Body); bytes > store.MaxBytes && len(ops) > 0 {
				break
			}
			ops = append(ops, op)
		}
		err := b.store.Write(ctx, part, ops)
		switch {
		case err == nil:
			keys, tries = keys[len(ops):], 0
		case !fault.Is(err, fault.Conflict):
			return err
		default:
			if tries++; tries == maxTries {
				return fault.New(fault.Unavailable, "others keep writing the places of the same customers")
			}
		}
	}
	return nil
}
