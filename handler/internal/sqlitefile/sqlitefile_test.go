package sqlitefile_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"polis/handler/internal/fault"
	"polis/handler/internal/sqlitefile"
)

var format = sqlitefile.Format{Name: "thing", ID: 77, Version: 2, PageSize: 8192, Schema: `CREATE TABLE things (n INTEGER PRIMARY KEY, body BLOB) STRICT`}

func open(t *testing.T, path string) *sqlitefile.File {
	t.Helper()
	f, err := sqlitefile.Open(path, format)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func add(t *testing.T, f *sqlitefile.File, n int, body []byte) {
	t.Helper()
	if err := f.Write(t.Context(), func(tx sqlitefile.Tx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO things VALUES (?, ?)`, n, body)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, f *sqlitefile.File) int {
	t.Helper()
	var n int
	if _, err := f.Row(t.Context(), []any{&n}, `SELECT count(*) FROM things`); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPragmas(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "f"))
	for pragma, want := range map[string]string{
		"page_size": "8192", "journal_mode": "wal", "synchronous": "1", "application_id": "77", "user_version": "2", "mmap_size": "0",
	} {
		var got string
		if _, err := f.Row(t.Context(), []any{&got}, "PRAGMA "+pragma); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		make       func(t *testing.T, path string)
	}{
		{"a newer format", "newer than this program", func(t *testing.T, path string) { openAs(t, path, 77, 3) }},
		{"an older format", "too old", func(t *testing.T, path string) { openAs(t, path, 77, 1) }},
		{"another kind of file of ours", "not a thing", func(t *testing.T, path string) { openAs(t, path, 78, 2) }},
		{"no SQLite file", "opening the thing", func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("text "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"a folder", "opening the thing", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			tc.make(t, path)
			_, err := sqlitefile.Open(path, format)
			if !fault.Is(err, fault.Unconfigured) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func openAs(t *testing.T, path string, id int32, version int) {
	t.Helper()
	other := format
	other.ID, other.Version = id, version
	f, err := sqlitefile.Open(path, other)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Locks lie with connections, so many in one process contend as many processes do.
func TestManyMakeOneFile(t *testing.T) {
	for range 5 {
		path := filepath.Join(t.TempDir(), "f")
		files := make([]*sqlitefile.File, 8)
		var wg sync.WaitGroup
		for i := range files {
			wg.Go(func() {
				f, err := sqlitefile.Open(path, format)
				if err != nil {
					t.Error(err)
					return
				}
				files[i] = f
				add(t, f, i, nil)
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		for _, f := range files {
			if n := count(t, f); n != len(files) {
				t.Errorf("%d rows", n)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "f"))
	failed := errors.New("failed")
	half := func(tx sqlitefile.Tx) {
		if _, err := tx.Exec(`INSERT INTO things VALUES (1, NULL)`); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Write(t.Context(), func(tx sqlitefile.Tx) error { half(tx); return failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = f.Write(t.Context(), func(tx sqlitefile.Tx) error { half(tx); panic("panic") })
		t.Error("a panic was lost")
	}()
	if n := count(t, f); n != 0 {
		t.Errorf("%d rows", n)
	}
	add(t, f, 1, nil)
}

// Two files on one path stand for two processes.
func TestContextEndsTheWaitForAnotherWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	one, two := open(t, path), open(t, path)
	for _, waiting := range []*sqlitefile.File{one, two} {
		err := one.Write(t.Context(), func(tx sqlitefile.Tx) error {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				done <- waiting.Write(ctx, func(sqlitefile.Tx) error { return errors.New("two write") })
			}()
			cancel()
			if err := waiting.Fault(<-done, "writing"); !fault.Is(err, fault.Cancelled) {
				t.Errorf("the waiting one: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		add(t, waiting, 1, nil)
	}
}

// A reader that never ends lets the WAL grow, but once it is gone the WAL starts over.
func TestWALStaysShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := open(t, path)
	body := make([]byte, 256<<10)
	length := func() int64 {
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	for i := range 64 { // 16 MiB
		add(t, f, i%8, body)
		if n := length(); n > 6<<20 {
			t.Fatalf("with no reader the WAL has %d bytes", n)
		}
	}
	rows, err := f.Query(t.Context(), `SELECT n FROM things`)
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	for i := range 100 {
		add(t, f, i%8, body)
	}
	if n := length(); n < 20<<20 {
		t.Fatalf("with a reader in it the WAL has only %d bytes: this test tests nothing", n)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		add(t, f, i%8, body)
	}
	if n := length(); n > 6<<20 {
		t.Errorf("after the reader has gone the WAL has %d bytes", n)
	}
}

func TestWALStaysShortUnderManyReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := open(t, path)
	body := make([]byte, 64<<10)
	for i := range 50 {
		add(t, f, i, body)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				var n int
				if _, err := f.Row(t.Context(), []any{&n}, `SELECT sum(length(body)) FROM things`); err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched()
			}
		})
	}
	longest := int64(0)
	for i := range 800 { // 50 MiB
		add(t, f, i%50, body)
		if info, err := os.Stat(path + "-wal"); err == nil {
			longest = max(longest, info.Size())
		}
	}
	close(done)
	wg.Wait()
	if longest > 40<<20 {
		t.Errorf("the WAL grew to %d bytes", longest)
	}
}

func TestClosed(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "f"))
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), func(sqlitefile.Tx) error { return nil }); err == nil {
		t.Error("a write after Close")
	}
	if _, err := f.Query(t.Context(), `SELECT 1`); err == nil {
		t.Error("a query after Close")
	}
}

func TestFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := open(t, path)
	impatient, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	if err := f.Write(t.Context(), func(sqlitefile.Tx) error {
		_, busy := impatient.Exec(`INSERT INTO things VALUES (1, NULL)`)
		if err := f.Fault(busy, "writing"); !fault.Is(err, fault.Unavailable) || !errors.Is(err, busy) {
			t.Errorf("a busy file: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, syntax := impatient.Exec(`no SQL`)
	for _, tc := range []struct {
		err  error
		want fault.Kind
	}{
		{syntax, fault.Internal},
		{context.Canceled, fault.Cancelled},
		{context.DeadlineExceeded, fault.Cancelled},
		{fault.New(fault.Conflict, "conflict"), fault.Conflict},
		{errors.New("any"), fault.Internal},
	} {
		if err := f.Fault(tc.err, "writing"); !fault.Is(err, tc.want) || !errors.Is(err, tc.err) {
			t.Errorf("%v became %v", tc.err, err)
		}
	}
	if err := f.Fault(nil, "writing"); err != nil {
		t.Error(err)
	}
}
