package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/store/storetest"
)

func open(t testing.TB, path string, options ...sqlite.Option) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(path, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return open(t, filepath.Join(t.TempDir(), "a folder?", "store.db"), sqlite.WithClock(now))
	})
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	p := store.Partition{Tenant: "t1", Bucket: 1}
	var etag string
	for i := range 3 {
		s := open(t, path)
		if i > 0 {
			d, err := s.Get(t.Context(), p, "a")
			if err != nil || string(d.Body) != fmt.Sprint(i-1) || d.ETag != etag {
				t.Errorf("opened again: %+v, %v", d, err)
			}
		}
		if err := s.Write(t.Context(), p, []store.Op{{Document: store.Document{Key: "a", Body: []byte(fmt.Sprint(i))}}}); err != nil {
			t.Fatal(err)
		}
		d, err := s.Get(t.Context(), p, "a")
		if err != nil {
			t.Fatal(err)
		}
		etag = d.ETag
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), p, "a"); err == nil || fault.Is(err, fault.NotFound) {
			t.Errorf("read from a closed store: %v", err)
		}
	}
}

// What one process has written another sees at once.
func TestTwoOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	one, two := open(t, path), open(t, path)
	defer one.Close()
	defer two.Close()
	p := store.Partition{Tenant: "t1", Bucket: 1}
	for i := range 50 {
		writer, reader := one, two
		if i%2 == 1 {
			writer, reader = two, one
		}
		if err := writer.Write(t.Context(), p, []store.Op{{Document: store.Document{Key: "a", Body: []byte(fmt.Sprint(i))}}}); err != nil {
			t.Fatal(err)
		}
		if d, err := reader.Get(t.Context(), p, "a"); err != nil || string(d.Body) != fmt.Sprint(i) {
			t.Fatalf("%q, %v", d.Body, err)
		}
	}
}

func TestPurge(t *testing.T) {
	clock := storetest.NewClock()
	s := open(t, filepath.Join(t.TempDir(), "store.db"), sqlite.WithClock(clock.Now))
	defer s.Close()
	const n = 1234 // several batches
	for i := range n {
		var ops []store.Op
		for k, life := range []time.Duration{time.Minute, time.Hour, 0} {
			d := store.Document{Key: fmt.Sprintf("%d-%d", i, k)}
			if life != 0 {
				d.Expires = clock.Now().Add(life)
			}
			ops = append(ops, store.Op{Document: d})
		}
		if err := s.Write(t.Context(), store.Partition{Tenant: fmt.Sprint(i % 3)}, ops); err != nil {
			t.Fatal(err)
		}
	}
	purge := func(want int) {
		t.Helper()
		if got, err := s.Purge(t.Context()); err != nil || got != want {
			t.Errorf("purged %d, %v, want %d", got, err, want)
		}
	}
	purge(0)
	clock.Advance(time.Minute)
	purge(n)
	purge(0)
	clock.Advance(time.Hour)
	purge(n)
	left := 0
	for tenant := range 3 {
		for _, err := range s.Scan(t.Context(), store.Partition{Tenant: fmt.Sprint(tenant)}, "", "") {
			if err != nil {
				t.Fatal(err)
			}
			left++
		}
	}
	if left != n {
		t.Errorf("%d documents without an end are left of %d", left, n)
	}
}
