package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"polis/handler/internal/blob"
	"polis/handler/internal/blob/blobtest"
	"polis/handler/internal/fault"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, filepath.Join(t.TempDir(), "new", "blobs")) })
}

func partials(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, Partial))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestLeavesNoPartialFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for range 2 {
		_, _ = s.Put(t.Context(), "a", strings.NewReader("x"))
		_, _ = s.Create(t.Context(), "b", strings.NewReader("x"))
		_, _ = s.Put(t.Context(), "c", iotest.ErrReader(errors.New("failed")))
	}
	if n := partials(t, dir); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// A killed writer leaves its file. The next to open the store removes it, but not
// that of a writer who is still at work in another process.
func TestSweepsWhatKilledWritersLeft(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	now := time.Now()
	for name, age := range map[string]time.Duration{"left": abandoned + time.Second, "at-work": abandoned / 2} {
		file := filepath.Join(dir, Partial, name)
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	for info := range s.List(t.Context(), "") {
		t.Errorf("%q is listed", info.Name)
	}
	if n := partials(t, dir); n != 1 {
		t.Errorf("%d are left, want that of the one at work", n)
	}
	for _, name := range []string{Partial, Partial + "/left", strings.ToUpper(Partial) + "/left"} {
		if _, _, err := s.Open(t.Context(), name); !fault.Is(err, fault.Invalid) {
			t.Errorf("opening %q: %v", name, err)
		}
	}
}

func TestStaysInItsFolder(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := open(t, dir)
	if err := errors.Join(os.Symlink(secret, filepath.Join(dir, "link")), os.Symlink(outside, filepath.Join(dir, "way-out"))); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	for _, name := range []string{"link", "way-out/secret"} {
		if f, _, err := s.Open(t.Context(), name); err == nil {
			body, _ := io.ReadAll(f)
			_ = f.Close()
			t.Errorf("%q leads outside, to %q", name, body)
		}
	}
	if _, err := s.Put(t.Context(), "way-out/new", strings.NewReader("x")); err == nil {
		t.Error("wrote outside")
	}
	for info := range s.List(t.Context(), "") {
		t.Errorf("%q is listed", info.Name)
	}
}

// In Blob Storage "a" and "a/b" may both be; here that is refused, and nothing lost.
func TestNameThatIsAFolder(t *testing.T) {
	s := open(t, t.TempDir())
	put := func(name string) error {
		_, err := s.Put(t.Context(), name, strings.NewReader(name))
		return err
	}
	if err := errors.Join(put("a/b"), put("c")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "c/d", "c/d/e"} {
		if err := put(name); !fault.Is(err, fault.Conflict) {
			t.Errorf("putting %q: %v", name, err)
		}
	}
	var names []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
		names = append(names, info.Name)
	}
	if got := strings.Join(names, " "); got != "a/b c" {
		t.Errorf("there are %s", got)
	}
}

func TestFolderCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("got %v", err)
	}
}

// Whatever name is accepted is listed as just that, and nothing else is there.
func FuzzName(f *testing.F) {
	for _, name := range []string{"a/b.json", "..", "/a", "a//b", `a\b`, ".partial/x", "a/.partial", "é", "a\xff", "nul.txt", " a", "a "} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s := open(t, t.TempDir())
		_, err := s.Create(t.Context(), name, strings.NewReader("body"))
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("%q: %v", name, err)
		}
		n := 0
		for info, listed := range s.List(t.Context(), "") {
			if n++; listed != nil || info.Name != name {
				t.Errorf("%q is listed as %q, %v", name, info.Name, listed)
			}
		}
		if (n == 1) != (err == nil) {
			t.Errorf("creating %q gave %v; %d are listed", name, err, n)
		}
	})
}

// TestStoreApart holds the suite in a folder of a store that is shared, as make test-azure has it.
func TestStoreApart(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	n := 0
	blobtest.Run(t, func(*testing.T) blob.Store {
		n++
		return blobtest.Apart(s, fmt.Sprint("test-", n))
	})
}

// TestReplaceTakesTurns: of those who replace the same content one succeeds, also where another was killed
// while it replaced, which left its file; and who holds the lock holds it, however long that takes and
// whoever opens the store meanwhile.
func TestReplaceTakesTurns(t *testing.T) {
	for range 100 {
		dir := t.TempDir()
		s := open(t, dir)
		was, err := s.Put(t.Context(), "m", strings.NewReader("old"))
		if err != nil {
			t.Fatal(err)
		}
		lock, long := filepath.Join(dir, filepath.FromSlash(replacing)), time.Now().Add(-2*abandoned)
		if err := errors.Join(os.WriteFile(lock, nil, 0o600), os.Chtimes(lock, long, long)); err != nil {
			t.Fatal(err)
		}
		results := make(chan error)
		const writers = 8
		for i := range writers {
			go func() {
				_, err := s.Replace(t.Context(), "m", was.ETag, strings.NewReader(strings.Repeat("x", i)))
				results <- err
			}()
		}
		won := 0
		for range writers {
			switch err := <-results; {
			case err == nil:
				won++
			case !fault.Is(err, fault.Conflict):
				t.Errorf("one who came late: %v", err)
			}
		}
		if won != 1 {
			t.Fatalf("%d of %d replaced the same content", won, writers)
		}
	}

	dir := t.TempDir()
	s := open(t, dir)
	was, err := s.Put(t.Context(), "m", strings.NewReader("old"))
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := s.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lock, long := filepath.Join(dir, filepath.FromSlash(replacing)), time.Now().Add(-2*abandoned)
	if err := os.Chtimes(lock, long, long); err != nil {
		t.Fatal(err)
	}
	other := open(t, dir)
	short, cancel := context.WithTimeout(t.Context(), 10*pause)
	defer cancel()
	if _, err := other.Replace(short, "m", was.ETag, strings.NewReader("new")); !fault.Is(err, fault.Cancelled) {
		t.Errorf("while another holds the lock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Replace(t.Context(), "m", was.ETag, strings.NewReader("new")); err != nil {
		t.Errorf("once the lock is free: %v", err)
	}
}
