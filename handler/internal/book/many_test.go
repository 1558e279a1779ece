package book

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

func putFeedback(ctx context.Context, b *Book, t Tenant, relation, id, body string) error {
	return b.ChangeFeedback(ctx, t, []Who{{relation, id}}, func(int, []byte) ([]byte, error) { return []byte(body), nil })
}

// people are customers of a few relations: more of a bucket than a store reads at once.
func people(n int) []Who {
	of := make([]Who, n)
	for i := range of {
		of[i] = Who{fmt.Sprint("h:", i%5), fmt.Sprint("c", i)}
	}
	return of
}

func TestScoresOfMany(t *testing.T) {
	b, _, tenant := newBook(t)
	of := people(700)
	for i, who := range of {
		if i%3 == 0 {
			continue
		}
		w := b.Writer(tenant, tenant.RelationBucket(who.Relation))
		must(t, w.PutScores(t.Context(), who.Relation, who.ID, []byte(who.ID), nil, "", day.Time()))
		must(t, w.Flush(t.Context()))
	}
	of = append(of, of[1]) // asked for twice
	got := make([]string, len(of))
	must(t, b.Scores(t.Context(), tenant, of, func(i int, scores []byte) { got[i] = string(scores) }))
	for i, who := range of {
		want := who.ID
		if i%3 == 0 && i < 700 {
			want = ""
		}
		if got[i] != want {
			t.Fatalf("%d of %d: %q, want %q", i, len(of), got[i], want)
		}
	}
}

// calls counts what is asked of a store, and lets somebody else come between.
type calls struct {
	store.Store
	mu            sync.Mutex
	reads, writes int
	between       func()
}

func (c *calls) GetMany(ctx context.Context, p store.Partition, keys []string) ([]store.Document, error) {
	docs, err := c.Store.GetMany(ctx, p, keys)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reads++; c.between != nil {
		c.between()
		c.between = nil
	}
	return docs, err
}

func (c *calls) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	c.mu.Lock()
	c.writes++
	c.mu.Unlock()
	return c.Store.Write(ctx, p, ops)
}

func TestFeedbackOfMany(t *testing.T) {
	plain, s, tenant := newBook(t)
	c := &calls{Store: s.Store} // what counts lives is for one goroutine
	b := New(c)
	of := people(300)
	word := func(word string) func(int, []byte) ([]byte, error) {
		return func(_ int, body []byte) ([]byte, error) {
			if slices.Contains(bytesOf(body), word) {
				return nil, nil
			}
			return append(slices.Clone(body), word...), nil
		}
	}
	must(t, b.ChangeFeedback(t.Context(), tenant, of, word("a")))
	if c.reads > 8 || c.writes > 8 {
		t.Errorf("300 customers of 5 relations took %d reads and %d writes", c.reads, c.writes)
	}
	c.writes = 0
	must(t, b.ChangeFeedback(t.Context(), tenant, of, word("a")))
	if c.writes != 0 {
		t.Errorf("what is so already was written in %d batches", c.writes)
	}
	// One customer is named twice, and another is changed by somebody else meanwhile.
	c.between = func() { must(t, putFeedback(t.Context(), plain, tenant, of[0].Relation, of[0].ID, "other")) }
	must(t, b.ChangeFeedback(t.Context(), tenant, append(of[:2:2], of[1]), word("b")))
	for i, want := range []string{"otherb", "ab", "a"} {
		must(t, b.ChangeFeedback(t.Context(), tenant, of[i:i+1], func(_ int, body []byte) ([]byte, error) {
			if string(body) != want {
				t.Errorf("customer %d has %q, want %q", i, body, want)
			}
			return nil, nil
		}))
	}
	if err := b.ChangeFeedback(t.Context(), tenant, of, func(int, []byte) ([]byte, error) {
		return nil, fault.New(fault.Invalid, "no")
	}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a change that fails: %v", err)
	}
}

// bytesOf are the letters of a body.
func bytesOf(body []byte) (out []string) {
	for _, c := range body {
		out = append(out, string(c))
	}
	return out
}
