package book

import (
	"fmt"
	"testing"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

func TestHashedFindsACustomer(t *testing.T) {
	b, _, tenant := newBook(t)
	for i := range 200 {
		must(t, b.Put(t.Context(), tenant, customer(fmt.Sprint("c", i), ""), ""))
	}
	for i := range 200 {
		id := fmt.Sprint("c", i)
		found, err := b.Hashed(t.Context(), tenant, portfolio.Hash(id))
		must(t, err)
		if len(found) != 1 || found[0].ID != id {
			t.Fatalf("%s is found as %v", id, found)
		}
	}
	if found, err := b.Hashed(t.Context(), tenant, portfolio.Hash("nobody")); err != nil || len(found) != 0 {
		t.Errorf("nobody is found as %v, %v", found, err)
	}
}

func TestDecisionsAndReviews(t *testing.T) {
	b, _, tenant := newBook(t)
	must(t, b.PutDecision(t.Context(), tenant, "c", "d1", []byte("one"), "", time.Time{}))
	must(t, b.PutDecision(t.Context(), tenant, "c1", "d2", []byte("another customer's"), "", time.Time{}))
	if err := b.PutDecision(t.Context(), tenant, "c", "d1", []byte("two"), "", time.Time{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("a record is overwritten: %v", err)
	}
	d, ok, err := b.Decision(t.Context(), tenant, "c", "d1")
	must(t, err)
	if !ok || string(d.Body) != "one" {
		t.Fatalf("%v %q", ok, d.Body)
	}
	must(t, b.PutDecision(t.Context(), tenant, "c", "d1", []byte("two"), d.ETag, time.Time{}))
	n := 0
	for d, err := range b.Decisions(t.Context(), tenant, "c") {
		must(t, err)
		if n++; string(d.Body) != "two" {
			t.Errorf("%q", d.Body)
		}
	}
	if n != 1 {
		t.Errorf("a customer with one record has %d", n)
	}
	open := func() (list []string) {
		for id, err := range b.OpenReviews(t.Context(), tenant) {
			must(t, err)
			list = append(list, id)
		}
		return list
	}
	for range 2 { // twice is as good as once
		must(t, b.OpenReview(t.Context(), tenant, "d1", true))
	}
	if got := open(); len(got) != 1 || got[0] != "d1" {
		t.Errorf("open reviews: %q", got)
	}
	for range 2 {
		must(t, b.OpenReview(t.Context(), tenant, "d1", false))
	}
	if got := open(); len(got) != 0 {
		t.Errorf("open reviews: %q", got)
	}
}
