package store_test

import (
	"path/filepath"
	"testing"
	"time"

	. "polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/store/storetest"
)

func TestCountedIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) Store {
		s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.WithClock(now))
		if err != nil {
			t.Fatal(err)
		}
		return Counted(s)
	})
}

func TestCounted(t *testing.T) {
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	c := Counted(s)
	defer func() { _ = c.Close() }()
	m := NewMeter()
	ctx := Metered(t.Context(), m)
	ops := []Op{{Document: Document{Key: "a", Body: []byte("123")}}, {Document: Document{Key: "b", Body: []byte("45")}}}
	if err := c.Write(ctx, partition, ops); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(t.Context(), partition, ops); err != nil { // nobody counts this
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, partition, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetMany(ctx, partition, []string{"b", "c"}); err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Scan(ctx, partition, "", "") {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := [...]int64{m.Reads.Load(), m.Queries.Load(), m.Documents.Load(), m.Batches.Load(), m.Writes.Load(), m.BytesRead.Load(), m.BytesWritten.Load()}
	if want := [...]int64{1, 2, 3, 1, 2, 4 + 3 + 7, 7}; got != want {
		t.Errorf("counted %v, want %v", got, want)
	}
}
