// Package book keeps tenants' portfolios in a store: which documents there are,
// under which keys, and in which order they must be written so that a kill at any
// point leaves every customer findable and whole.
//
// A customer's documents lie in the partition of its relation's bucket, next to each
// other and to those of the relation's other members, so that one scan of a bucket
// meets relations one after the other:
//
//	b ␟ relation ␟ customer ␟ a    the aggregate; see large.go for one that is too large
//	b ␟ relation ␟ customer ␟ f    what was suggested for it, and what people did about it
//	b ␟ relation ␟ customer ␟ s    its latest scores, if any
//
// Where those are is said in the partition of places of the customer's own bucket, in
// a document that it shares with the customers whose ids hash alike:
//
//	p ␟ shelf                      their places
//
// Scores that were superseded lie under h ␟ relation ␟ customer ␟ as of and when they
// were made, and expire. So do aggregates that were replaced after they had been scored,
// under w ␟ relation ␟ customer ␟ until when they stood: what a score was made of is there as
// long as the score is. Who left a relation is noted there under l ␟ relation ␟ customer.
package book

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"strings"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// sep parts the pieces of a key; ids hold no control characters.
const sep = "\x1f"

// Buckets bounds: a chunk of a run is one bucket.
const (
	DefaultBuckets = 64
	MaxBuckets     = 65536
)

// customersPerBucket makes a chunk that a quarter of a core works in some 20 seconds, and keeps a bucket below half of
// what a logical partition of Cosmos DB holds after five years: docs/scale.md.
const customersPerBucket = 19_000

// BucketsFor is how many buckets a book of so many customers should have: a power of two.
func BucketsFor(customers int) int {
	n := DefaultBuckets
	for customers > n*customersPerBucket && n < MaxBuckets {
		n *= 2
	}
	return n
}

// Tenant is one book.
type Tenant struct {
	ID      string    `json:"id"`
	Buckets int       `json:"buckets"` // fixed at creation: where every customer lies depends on it
	Created time.Time `json:"created"`
	// Ends are end reasons of the tenant's own, over the built-in ones.
	Ends map[string]string `json:"ends,omitempty"`
	// Branches are the tenant's own names of branches.
	Branches portfolio.BranchNames `json:"branches,omitempty"`
}

// EndTable is the built-in table of end reasons with the tenant's own over it.
func (t Tenant) EndTable() portfolio.EndTable {
	if len(t.Ends) == 0 {
		return portfolio.DefaultEnds
	}
	table := portfolio.DefaultEnds
	table.Reasons = maps.Clone(table.Reasons)
	for reason, name := range t.Ends {
		if end, ok := portfolio.ParseEnd(name); ok {
			table.Reasons[strings.ToLower(reason)] = end
		}
	}
	return table
}

// Book reads and writes portfolios.
type Book struct {
	store store.Store
	now   func() time.Time // when an aggregate is replaced
}

// Option changes a book.
type Option func(*Book)

// WithClock has a book take the time from now, and not from the system.
func WithClock(now func() time.Time) Option { return func(b *Book) { b.now = now } }

// New is a book over a store.
func New(s store.Store, options ...Option) *Book {
	if s == nil {
		panic("book: no store")
	}
	b := &Book{store: s, now: time.Now}
	for _, o := range options {
		o(b)
	}
	return b
}

var directory = store.Partition{Bucket: store.Shared}

// CreateTenant makes a tenant; fault.Conflict where there is one of that id.
func (b *Book) CreateTenant(ctx context.Context, t Tenant) error {
	if !validTenant(t.ID) {
		return fault.New(fault.Invalid, "a tenant's id is 1 to 64 of a-z, 0-9, - and _")
	}
	if t.Buckets < 1 || t.Buckets > MaxBuckets {
		return fault.New(fault.Invalid, "a tenant has 1 to %d buckets", MaxBuckets)
	}
	for reason, name := range t.Ends {
		if _, ok := portfolio.ParseEnd(name); !ok {
			return fault.New(fault.Invalid, "end reason %q maps to %q, which is no end", reason, name)
		}
	}
	if err := t.Branches.Check(); err != nil {
		return err
	}
	body, err := json.Marshal(t)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding tenant %s", t.ID)
	}
	return b.store.Write(ctx, directory, []store.Op{{Verb: store.Create, Document: store.Document{Key: "tenant" + sep + t.ID, Body: body}}})
}

// NameBranches makes a table all of a tenant's own names of branches. What is stored keeps the
// branches that it has until its customers are imported again.
func (b *Book) NameBranches(ctx context.Context, tenant string, names portfolio.BranchNames) error {
	if err := names.Check(); err != nil {
		return err
	}
	for {
		t, etag, err := b.tenant(ctx, tenant)
		if err != nil {
			return err
		}
		t.Branches = names
		body, err := json.Marshal(t)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "encoding tenant %s", t.ID)
		}
		err = b.store.Write(ctx, directory, []store.Op{{Verb: store.Replace, Document: store.Document{Key: "tenant" + sep + t.ID, Body: body, ETag: etag}}})
		if !fault.Is(err, fault.Conflict) { // somebody else's change came between: once more
			return err
		}
	}
}

// validTenant keeps tenant ids fit for blob names, log lines and URLs.
func validTenant(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	return strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// Tenant finds a tenant.
func (b *Book) Tenant(ctx context.Context, id string) (Tenant, error) {
	t, _, err := b.tenant(ctx, id)
	return t, err
}

func (b *Book) tenant(ctx context.Context, id string) (Tenant, string, error) {
	if !validTenant(id) {
		return Tenant{}, "", fault.New(fault.NotFound, "no such tenant")
	}
	d, err := b.store.Get(ctx, directory, "tenant"+sep+id)
	if fault.Is(err, fault.NotFound) {
		return Tenant{}, "", fault.New(fault.NotFound, "no such tenant")
	}
	if err != nil {
		return Tenant{}, "", err
	}
	t, err := decodeTenant(d.Body)
	return t, d.ETag, err
}

func decodeTenant(body []byte) (Tenant, error) {
	var t Tenant
	if err := json.Unmarshal(body, &t); err != nil {
		return Tenant{}, fault.Wrap(fault.Internal, err, "decoding a tenant")
	}
	return t, nil
}

// Tenants yields all tenants by id.
func (b *Book) Tenants(ctx context.Context) iter.Seq2[Tenant, error] {
	return func(yield func(Tenant, error) bool) {
		for d, err := range b.store.Scan(ctx, directory, "tenant"+sep, "") {
			if err != nil {
				yield(Tenant{}, err)
				return
			}
			if t, err := decodeTenant(d.Body); !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// Reachable reads the first tenant of the directory, or finds that there is none: either way the
// store has answered.
func (b *Book) Reachable(ctx context.Context) error {
	for _, err := range b.Tenants(ctx) {
		return err
	}
	return nil
}

func (t Tenant) partition(key string) store.Partition {
	return store.Partition{Tenant: t.ID, Bucket: portfolio.Bucket(key, t.Buckets)}
}

// RelationBucket is the bucket in which a relation's members lie.
func (t Tenant) RelationBucket(relation string) int { return portfolio.Bucket(relation, t.Buckets) }

func memberKey(relation, id, kind string) string {
	return "b" + sep + relation + sep + id + sep + kind
}

// The kinds of a customer's documents.
const (
	kindAggregate = "a"
	kindFeedback  = "f"
	kindScores    = "s"
)

// Record is one customer as stored.
type Record struct {
	Relation  string
	Aggregate *portfolio.Aggregate
	ETag      string
	Scores    []byte // nil where it was never scored
	Feedback  []byte // nil where there was none
}

// Customer reads one customer; fault.NotFound where there is none.
func (b *Book) Customer(ctx context.Context, t Tenant, id string) (Record, error) {
	notFound := fault.New(fault.NotFound, "no such customer")
	p, ok, err := b.Place(ctx, t, id)
	if err != nil {
		return Record{}, err
	}
	if !ok {
		return Record{}, notFound
	}
	part := t.partition(p.Relation)
	d, ok, err := b.read(ctx, part, memberKey(p.Relation, id, kindAggregate))
	if err == nil && !ok && p.Leaving != "" {
		// Killed between the place's writing and the aggregate's: it is still there.
		p.Relation = p.Leaving
		part = t.partition(p.Relation)
		d, ok, err = b.read(ctx, part, memberKey(p.Relation, id, kindAggregate))
	}
	if err != nil {
		return Record{}, err
	}
	if !ok {
		return Record{}, notFound
	}
	a, err := new(portfolio.Decoder).Decode(d.Body)
	if err != nil {
		return Record{}, fault.Wrap(fault.Internal, err, "decoding a stored customer")
	}
	s, _, err := store.GetOr(ctx, b.store, part, memberKey(p.Relation, id, kindScores))
	if err != nil {
		return Record{}, err
	}
	f, _, err := store.GetOr(ctx, b.store, part, memberKey(p.Relation, id, kindFeedback))
	if err != nil {
		return Record{}, err
	}
	return Record{Relation: p.Relation, Aggregate: a, ETag: d.ETag, Scores: s.Body, Feedback: f.Body}, nil
}

// Put stores a customer's aggregate, normalised. etag "" creates it, another replaces
// the one that has it; fault.Conflict where that is not what is stored. Where the
// customer's relation changed the aggregate moves: the place names both relations
// while it does, so a kill leaves it findable and Settle ends or undoes the move. One that
// had been scored is kept: see Was.
func (b *Book) Put(ctx context.Context, t Tenant, a *portfolio.Aggregate, etag string) error {
	id, relation := a.ID(), a.Latest().Relation()
	var enc portfolio.Encoder
	body := enc.Append(nil, a)
	if len(body) > MaxAggregate { // before its place is written
		return fault.New(fault.TooLarge, "a customer of %d bytes, encoded; at most %d", len(body), MaxAggregate)
	}
	place, placed, err := b.Place(ctx, t, id)
	if err != nil {
		return err
	}
	if placed {
		if place, err = b.Settle(ctx, t, place); err != nil {
			return err
		}
	}
	op := store.Op{Verb: store.Create, Document: store.Document{Key: memberKey(relation, id, kindAggregate), Body: body, ETag: etag}}
	if etag != "" {
		op.Verb = store.Replace
	}
	if placed && place.Relation != relation {
		d, there, err := store.GetOr(ctx, b.store, t.partition(place.Relation), memberKey(place.Relation, id, kindAggregate))
		if err != nil {
			return err
		}
		// A place whose aggregate never came (killed in between) is no customer.
		if there != (etag != "") || d.ETag != etag {
			return fault.New(fault.Conflict, "the customer is not as it was read")
		}
		if there {
			op.Verb, place.Leaving = store.Put, place.Relation
		}
	}
	if !placed || place.Relation != relation {
		place.ID, place.Relation = id, relation
		if err := b.PutPlaces(ctx, t, t.HomeBucket(id), []Place{place}); err != nil {
			return err
		}
	}
	w := b.Writer(t, t.RelationBucket(relation))
	replaced := 0
	if etag != "" {
		from := relation
		if place.Leaving != "" {
			from = place.Leaving
		}
		old, there, err := b.read(ctx, t.partition(from), memberKey(from, id, kindAggregate))
		if err != nil {
			return err
		}
		if replaced = len(old.Body); there {
			if err := b.keep(ctx, t, w, from, relation, id, old.Body); err != nil {
				return err
			}
		}
	}
	if err := w.addWhole(ctx, op, replaced); err != nil {
		return err
	}
	if err := w.Flush(ctx); err != nil {
		if fault.Is(err, fault.Conflict) { // it may have been erased meanwhile
			if lost := b.deleteParts(ctx, t, relation, id); lost != nil {
				return lost
			}
		}
		return err
	}
	_, err = b.Settle(ctx, t, place)
	return err
}

// Settle ends a move that is under way: forward where the aggregate has reached its
// new relation, back where it has not. It returns the place as it then is.
func (b *Book) Settle(ctx context.Context, t Tenant, p Place) (Place, error) {
	if p.Leaving == "" {
		return p, nil
	}
	from, to := t.partition(p.Leaving), t.partition(p.Relation)
	_, arrived, err := store.GetOr(ctx, b.store, to, memberKey(p.Relation, p.ID, kindAggregate))
	if err != nil {
		return p, err
	}
	left := p.Leaving
	p.Leaving = ""
	if !arrived {
		p.Relation = left
		return p, b.PutPlaces(ctx, t, t.HomeBucket(p.ID), []Place{p})
	}
	for _, kind := range []string{kindFeedback, kindScores} {
		d, ok, err := store.GetOr(ctx, b.store, from, memberKey(left, p.ID, kind))
		if err != nil {
			return p, err
		}
		if ok {
			moved := store.Document{Key: memberKey(p.Relation, p.ID, kind), Body: d.Body}
			if err := b.store.Write(ctx, to, []store.Op{{Document: moved}}); err != nil {
				return p, err
			}
		}
	}
	if err := b.movePast(ctx, t, left, p); err != nil {
		return p, err
	}
	if err := b.deleteMember(ctx, t, left, p.ID, b.left(left, p.ID)...); err != nil {
		return p, err
	}
	return p, b.PutPlaces(ctx, t, t.HomeBucket(p.ID), []Place{p})
}

// movePast copies a customer's superseded scores, and what they were made of, to its new
// relation: what was relied on must stay there to be contested.
func (b *Book) movePast(ctx context.Context, t Tenant, left string, p Place) error {
	w := b.Writer(t, t.RelationBucket(p.Relation))
	for _, key := range pasts {
		for d, err := range b.store.Scan(ctx, t.partition(left), key(left, p.ID), "") {
			if err != nil {
				return err
			}
			d.Key = key(p.Relation, p.ID) + strings.TrimPrefix(d.Key, key(left, p.ID))
			if err := w.add(ctx, store.Op{Document: store.Document{Key: d.Key, Body: d.Body, Expires: d.Expires}}); err != nil {
				return err
			}
		}
	}
	return w.Flush(ctx)
}

// deleteMember removes all that a relation's partition holds of a customer, after it wrote
// what is to be there first.
func (b *Book) deleteMember(ctx context.Context, t Tenant, relation, id string, first ...store.Op) error {
	w := b.Writer(t, t.RelationBucket(relation))
	if err := w.add(ctx, first...); err != nil {
		return err
	}
	for _, key := range pasts {
		for d, err := range b.store.Scan(ctx, t.partition(relation), key(relation, id), "") {
			if err != nil {
				return err
			}
			if err := w.add(ctx, store.Op{Verb: store.Delete, Document: store.Document{Key: d.Key}}); err != nil {
				return err
			}
		}
	}
	keys, err := partsOf(ctx, b.store, t.partition(relation), memberKey(relation, id, kindAggregate))
	if err != nil {
		return err
	}
	// Parts of an aggregate go after what names them.
	for _, kind := range []string{kindAggregate, kindFeedback, kindScores} {
		keys = append([]string{memberKey(relation, id, kind)}, keys...)
	}
	for _, key := range keys {
		if err := w.DeleteKey(ctx, key); err != nil {
			return err
		}
	}
	return w.Flush(ctx)
}

// Erase removes a customer: aggregate, scores, history, records of decisions and place. It reports whether
// there was one.
func (b *Book) Erase(ctx context.Context, t Tenant, id string) (bool, error) {
	p, ok, err := b.Place(ctx, t, id)
	if err != nil || !ok {
		return false, err
	}
	if err := b.forgetDecisions(ctx, t, id); err != nil {
		return false, err
	}
	for _, relation := range []string{p.Leaving, p.Relation} {
		if relation == "" {
			continue
		}
		if err := b.eraseMember(ctx, t, relation, id); err != nil {
			return false, err
		}
	}
	// The place goes last: while it is there a repeat finds what is left to erase.
	return true, b.deletePlace(ctx, t, id)
}

// EraseUnder is Erase for a customer who may lie under some relations and has no place: somebody was writing him
// when he was erased.
func (b *Book) EraseUnder(ctx context.Context, t Tenant, id string, relations []string) error {
	if _, err := b.Erase(ctx, t, id); err != nil {
		return err
	}
	for _, relation := range relations {
		if err := b.eraseMember(ctx, t, relation, id); err != nil {
			return err
		}
	}
	return nil
}

// eraseMember removes what there is of a customer under a relation.
func (b *Book) eraseMember(ctx context.Context, t Tenant, relation, id string) error {
	if err := b.forgetLeft(ctx, t, relation, id); err != nil {
		return err
	}
	return b.deleteMember(ctx, t, relation, id)
}

func historyKey(relation, id string) string { return "h" + sep + relation + sep + id + sep }

// History yields a customer's superseded scores, oldest first.
func (b *Book) History(ctx context.Context, t Tenant, relation, id string) iter.Seq2[store.Document, error] {
	return b.store.Scan(ctx, t.partition(relation), historyKey(relation, id), "")
}
