package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/deflate"
	"polis/handler/internal/feedback"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// named are the documents that name a customer, but for notes that he was taken off.
func (l *lists) named(tenant book.Tenant, customer string) (keys []string) {
	l.t.Helper()
	for bucket := store.Shared; bucket < tenant.Buckets; bucket++ {
		for d, err := range l.docs.Scan(l.t.Context(), store.Partition{Tenant: tenant.ID, Bucket: bucket}, "", "") {
			must(l.t, err)
			body := d.Body
			if bucket == store.Shared {
				body, err = deflate.Unpack(d.Body, maxPage)
				must(l.t, err)
			}
			if !strings.HasPrefix(d.Key, takenKey) && strings.Contains(d.Key+string(body), customer) {
				keys = append(keys, d.Key)
			}
		}
	}
	return keys
}

// TestWhoIsTakenOffWhileAListIsMade: whoever is erased while a list is being made, at whatever moment, is neither on
// it once it is there, nor remembered; and of who objects no more than care.
func TestWhoIsTakenOffWhileAListIsMade(t *testing.T) {
	f := feedback.Defaults()
	tenant := book.Tenant{ID: "t", Buckets: 3}
	const n = 200
	erase := func(l *lists, customer string) {
		must(t, l.Forget(t.Context(), "t", customer))
		_, err := l.book.Erase(t.Context(), tenant, customer)
		must(t, err)
	}
	object := func(l *lists, customer string) { must(t, l.Withdraw(t.Context(), "t", customer)) }
	// The moments: before scores are read of the second lot, before a page is written, before the head is.
	for name, c := range map[string]struct {
		part Part
		when string
		do   func(*lists, string)
		gone bool // from lists
		left bool // something of him, anywhere
	}{
		"erased, before all is scored":       {Care, "scores", erase, true, false},
		"erased, before the pages":           {Care, "pages", erase, true, false},
		"erased, before what is remembered":  {Care, "history", erase, true, false},
		"erased, before the head":            {Care, "head", erase, true, false},
		"objects, before the pages":          {Commercial, "pages", object, true, true},
		"objects, before the head":           {Commercial, "head", object, true, true},
		"objects, and care asks for it":      {Care, "pages", object, false, true},
		"objected a day before, and no more": {Commercial, "before", object, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLists(t)
			l.atOnce = 50
			began := monday.Time()
			l.Lists = l.WithClock(func() time.Time { return began.Add(time.Minute) })
			must(t, l.book.CreateTenant(t.Context(), tenant))
			var all []Candidate
			for i := range n {
				id := fmt.Sprintf("C%04d", i)
				must(t, l.book.Put(t.Context(), tenant, &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: id}}}, ""))
				all = append(all, Candidate{Customer: id, Relation: "c:" + id, Part: c.part, Action: "call", Priority: 1, Due: monday})
			}
			who := ""
			at := func(when string) {
				if when == c.when {
					c.do(l, who)
				}
			}
			docs := &watched{Store: l.docs, wrote: at}
			l.Lists.store = docs
			d, err := NewDraft("t", Head{Date: monday, Run: "r"}, &f)
			must(t, err)
			defer d.Close()
			for _, c := range all {
				must(t, d.Add(c))
			}
			op, err := l.Publish(t.Context(), tenant, d, began, func(_ context.Context, items []*Item) ([]bool, error) {
				if who == "" {
					who = items[0].Customer
					l.now = func() time.Time { return began.Add(-25 * time.Hour) }
					at("before")
					l.now = func() time.Time { return began.Add(time.Minute) }
				} else {
					at("scores")
				}
				for _, it := range items {
					it.Score = json.RawMessage(`{"of":"` + it.Customer + `"}`)
				}
				return slices.Repeat([]bool{true}, len(items)), nil
			})
			must(t, err)
			at("head")
			must(t, l.docs.Write(t.Context(), shared("t"), []store.Op{op}))
			for range 2 { // a kill may come after it
				must(t, l.TakenOff(t.Context(), "t", monday, began))
			}
			on := map[string]bool{}
			h, err := l.Newest(t.Context(), "t")
			must(t, err)
			for p, err := range l.from(t.Context(), "t", &h, 0) {
				must(t, err)
				for _, k := range p.items {
					on[k.Customer] = true
				}
			}
			if on[who] == c.gone || len(on) < n-1 {
				t.Errorf("%s is on the list: %t; %d are: %q", who, on[who], len(on), slices.Sorted(maps.Keys(on)))
			}
			if keys := l.named(tenant, who); (len(keys) > 0) != c.left {
				t.Errorf("%s is in %q", who, keys)
			}
		})
	}
}

// watched says what is about to be written.
type watched struct {
	store.Store
	wrote func(when string)
}

func (w *watched) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if wrote := w.wrote; wrote != nil && strings.HasPrefix(ops[0].Key, pageKey) {
		w.wrote = nil
		wrote("pages")
		err := w.Store.Write(ctx, p, ops)
		wrote("history")
		return err
	}
	return w.Store.Write(ctx, p, ops)
}
