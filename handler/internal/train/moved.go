package train

import (
	"context"
	"iter"
	"maps"
	"slices"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// movers are customers who once were of another relation than they are of now, encoded, by
// the key of the relation that they left. A book yields relations as they are; looking
// back at one without those who left it since would tell who was going to leave.
type movers struct {
	left map[string][]mover
	enc  portfolio.Encoder
	dec  []*portfolio.Decoder
	seen []string
}

// mover is one of them, with what is not encoded.
type mover struct {
	body    []byte
	actions []portfolio.Action
}

// note keeps those of a relation's members who come from others.
func (m *movers) note(members []*portfolio.Aggregate) {
	key := relationKey(members)
	for _, a := range members {
		m.seen = m.seen[:0]
		for i := range a.Customers {
			if was := a.Customers[i].Relation(); was != key && !slices.Contains(m.seen, was) {
				m.seen = append(m.seen, was)
			}
		}
		for _, was := range m.seen {
			if m.left == nil {
				m.left = map[string][]mover{}
			}
			m.left[was] = append(m.left[was], mover{m.enc.Append(nil, a), slices.Clone(a.Actions)})
		}
	}
}

// back appends those who left a relation. They are good until the next call.
func (m *movers) back(key string, members []*portfolio.Aggregate) ([]*portfolio.Aggregate, error) {
	for i, was := range m.left[key] {
		if i == len(m.dec) {
			m.dec = append(m.dec, &portfolio.Decoder{})
		}
		a, err := m.dec[i].Decode(was.body)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "decoding a customer who moved")
		}
		a.Actions = was.actions
		members = append(members, a)
	}
	return members, nil
}

// Relation is one that is or was, with all who are or ever were of it.
type Relation struct {
	Key     string
	Members []*portfolio.Aggregate
}

// Lived goes through a book to find who moved between relations, and gives a source of every
// relation that is or was, for who looks back. What that yields is good until the next step.
func Lived(ctx context.Context, source Source) (func(context.Context) iter.Seq2[Relation, error], error) {
	m := &movers{}
	for members, err := range source(ctx) {
		if err != nil {
			return nil, err
		}
		m.note(members)
	}
	return func(ctx context.Context) iter.Seq2[Relation, error] { return m.lived(ctx, source) }, nil
}

// lived yields every relation that is or was: those of the book with those who left them,
// and then those that nobody is of any more. What it yields is good until the next step.
func (m *movers) lived(ctx context.Context, source Source) iter.Seq2[Relation, error] {
	return func(yield func(Relation, error) bool) {
		gone := maps.Clone(m.left)
		var all []*portfolio.Aggregate
		give := func(key string, members []*portfolio.Aggregate) bool {
			delete(gone, key)
			var err error
			all, err = m.back(key, append(all[:0], members...))
			return yield(Relation{key, all}, err) && err == nil
		}
		for members, err := range source(ctx) {
			if err != nil {
				yield(Relation{}, err)
				return
			}
			if !give(relationKey(members), members) {
				return
			}
		}
		for _, key := range slices.Sorted(maps.Keys(gone)) {
			if !give(key, nil) {
				return
			}
		}
	}
}
