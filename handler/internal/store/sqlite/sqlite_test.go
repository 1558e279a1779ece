package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

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
