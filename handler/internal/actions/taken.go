package actions

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// Who is erased, or objects, leaves the pages that there are. A list in the making has no pages yet: it may have read
// his score a moment before, and write it a moment after. So that he is being taken off is noted before the pages
// are cleaned, and TakenOff looks for notes once a list is there: what is written before the cleaning is cleaned by
// it, and what is written after it is there when the notes are read.
const (
	takenKey = "taken-off\x1f" // and when, and the customer
	takenAt  = "2006-01-02T15:04:05.000000000Z"

	// keepTaken is how long a note stays: an import with the customer's rows may be landed from dead letters as long
	// as its record is kept (imports.Keep).
	keepTaken = 90 * 24 * time.Hour

	// takes is how long before a run a note may be of which the erasure still goes on in it, and by how much two
	// instances' clocks may differ; our choice: twice the longest call (functionTimeout in host.json).
	takes = time.Hour
)

// taken is a note that a customer was taken off the lists.
type taken struct {
	Erased     bool     `json:"erased,omitempty"`
	Relations  []string `json:"relations"`            // where his history lies
	Commercial bool     `json:"commercial,omitempty"` // care stays

	at time.Time // as the key says
}

func (n *taken) of(k *kept) bool { return !n.Commercial || k.Part == Commercial }

// Forget takes an erased customer off every page there is, also of lists that were replaced
// or never shown, and off those that are being made. It is to be called before the book's Erase.
func (s *Lists) Forget(ctx context.Context, tenant, customer string) error {
	return s.takeOff(ctx, tenant, customer, taken{Erased: true})
}

// Clear is Forget for a customer who stays in the book, and of whom nothing is to be on a list.
func (s *Lists) Clear(ctx context.Context, tenant, customer string) error {
	return s.takeOff(ctx, tenant, customer, taken{})
}

// Withdraw takes what is commercial to do for a customer off every page there is, and off those that are being
// made: care stays.
func (s *Lists) Withdraw(ctx context.Context, tenant, customer string) error {
	return s.takeOff(ctx, tenant, customer, taken{Commercial: true})
}

func (s *Lists) takeOff(ctx context.Context, tenant, customer string, n taken) error {
	if err := s.note(ctx, tenant, customer, n); err != nil {
		return err
	}
	return s.clean(ctx, tenant, pageKey, func(k *kept) bool { return k.Customer == customer && n.of(k) })
}

// note keeps that a customer is being taken off; nothing of who is not in the book, whom no list can be about to name.
func (s *Lists) note(ctx context.Context, tenant, customer string, n taken) error {
	t, err := s.book.Tenant(ctx, tenant)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p, there, err := s.book.Place(ctx, t, customer)
	if err != nil || !there {
		return err
	}
	if n.Relations = []string{p.Relation}; p.Leaving != "" {
		n.Relations = append(n.Relations, p.Leaving)
	}
	body, err := json.Marshal(n)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding who is taken off lists")
	}
	now := s.now()
	return s.store.Write(ctx, shared(tenant), []store.Op{{Document: store.Document{
		Key: takenKey + now.UTC().Format(takenAt) + "\x1f" + customer, Body: body, Expires: now.Add(keepTaken),
	}}})
}

// TakenOff takes off a date's pages who was taken off lists since they began to be made, and deletes what they
// remember of who is in the book no more. It is to be called when the list is there, and may be repeated. Of a note
// it keeps some hundred bytes in memory; where there is none it reads no page.
func (s *Lists) TakenOff(ctx context.Context, tenant string, date portfolio.Date, began time.Time) error {
	notes, err := s.taken(ctx, tenant, began.Add(-takes))
	if err != nil || len(notes) == 0 {
		return err
	}
	err = s.clean(ctx, tenant, pageKey+date.String()+"\x1f", func(k *kept) bool {
		n, noted := notes[k.Customer]
		return noted && n.of(k)
	})
	if err != nil {
		return err
	}
	t, err := s.book.Tenant(ctx, tenant)
	if err != nil {
		return err
	}
	for customer, n := range notes {
		for _, relation := range n.Relations {
			if err := s.book.ForgetFeedback(ctx, t, book.Who{Relation: relation, ID: customer}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Erased are the customers whose erasure was asked for from a time until another (zero: now), with the relations
// that they lay under.
func (s *Lists) Erased(ctx context.Context, tenant string, from, until time.Time) (map[string][]string, error) {
	notes, err := s.taken(ctx, tenant, from)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for customer, n := range notes {
		if n.Erased && (until.IsZero() || !n.at.After(until)) {
			out[customer] = n.Relations
		}
	}
	return out, nil
}

// taken are the notes since a time, by customer.
func (s *Lists) taken(ctx context.Context, tenant string, since time.Time) (map[string]taken, error) {
	notes := map[string]taken{}
	for d, err := range s.store.Scan(ctx, shared(tenant), takenKey, takenKey+since.UTC().Format(takenAt)) {
		if err != nil {
			return nil, err
		}
		var n taken
		if err := json.Unmarshal(d.Body, &n); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "decoding who is taken off lists")
		}
		at, customer, _ := strings.Cut(strings.TrimPrefix(d.Key, takenKey), "\x1f")
		if n.at, err = time.Parse(takenAt, at); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "decoding who is taken off lists")
		}
		if before, again := notes[customer]; again {
			if before.Erased {
				n.Erased, n.at = true, before.at // the first of them
			}
			n.Commercial = n.Commercial && before.Commercial
			n.Relations = append(n.Relations, before.Relations...)
		}
		notes[customer] = n
	}
	return notes, nil
}

// clean takes what gone says off every page whose key has a prefix.
func (s *Lists) clean(ctx context.Context, tenant, prefix string, gone func(*kept) bool) error {
	for d, err := range s.store.Scan(ctx, shared(tenant), prefix, "") {
		for {
			if err != nil {
				return err
			}
			p, err := readPage(d)
			if err != nil {
				return err
			}
			n := len(p.items)
			p.items = slices.DeleteFunc(p.items, func(k kept) bool { return gone(&k) })
			if len(p.items) == n {
				break
			}
			if err = s.replace(ctx, tenant, p); err == nil {
				break
			}
			if !fault.Is(err, fault.Conflict) {
				return err
			}
			var there bool
			if d, there, err = store.GetOr(ctx, s.store, shared(tenant), d.Key); err != nil {
				return err
			} else if !there {
				break
			}
		}
	}
	return nil
}
