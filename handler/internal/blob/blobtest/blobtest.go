// Package blobtest holds what every blob.Store must do, as tests.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"polis/handler/internal/blob"
	"polis/handler/internal/fault"
)

// Run tests a blob store. The function opens an empty one.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for name, test := range map[string]func(*suite){
		"put and open":     testPutAndOpen,
		"create":           testCreate,
		"replace":          testReplace,
		"one replace wins": testOneReplaceWins,
		"delete":           testDelete,
		"names":            testNames,
		"list":             testList,
		"list and change":  testListAndChange,
		"etags":            testETags,
		"whole":            testWhole,
		"failed reader":    testFailedReader,
		"open while put":   testOpenWhilePut,
		"one create wins":  testOneCreateWins,
		"cancelled":        testCancelled,
		"streams":          testStreams,
	} {
		t.Run(name, func(t *testing.T) { test(&suite{T: t, blobs: open(t)}) })
	}
}

type suite struct {
	*testing.T
	blobs blob.Store
}

func (s *suite) put(name, body string) blob.Info {
	s.Helper()
	info, err := s.blobs.Put(s.Context(), name, strings.NewReader(body))
	if err != nil {
		s.Fatalf("putting %q: %v", name, err)
	}
	return info
}

// is wants a blob to hold the body.
func (s *suite) is(name, body string) blob.Info {
	s.Helper()
	r, info, err := s.blobs.Open(s.Context(), name)
	if err != nil {
		s.Fatalf("opening %q: %v", name, err)
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil || string(got) != body {
		s.Errorf("%q holds %.50q, want %.50q (%v)", name, got, body, err)
	}
	if info.Name != name || info.Size != int64(len(body)) || info.ETag == "" || info.Modified.IsZero() {
		s.Errorf("%q is described as %+v", name, info)
	}
	return info
}

func (s *suite) missing(name string) {
	s.Helper()
	if _, _, err := s.blobs.Open(s.Context(), name); !fault.Is(err, fault.NotFound) {
		s.Errorf("opening %q, which is not there: %v", name, err)
	}
}

func (s *suite) list(prefix string) []string {
	s.Helper()
	names := []string{}
	for info, err := range s.blobs.List(s.Context(), prefix) {
		if err != nil {
			s.Fatalf("listing %q: %v", prefix, err)
		}
		names = append(names, info.Name)
	}
	return names
}

func testPutAndOpen(s *suite) {
	s.missing("a/b.json")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, body := range []string{"one", "", string(all), strings.Repeat(string(all), 20_000), "two"} {
		put := s.put("a/b.json", body)
		if got := s.is("a/b.json", body); got.ETag != put.ETag || got.Size != put.Size || !got.Modified.Equal(put.Modified) {
			s.Errorf("Put says %+v, Open says %+v", put, got)
		}
		for listed, err := range s.blobs.List(s.Context(), "") {
			if err != nil || listed.ETag != put.ETag || listed.Size != put.Size || !listed.Modified.Equal(put.Modified) {
				s.Errorf("Put says %+v, List says %+v (%v)", put, listed, err)
			}
		}
	}
	s.missing("a")
	s.missing("a/b")
	s.missing("a/b.json/c")
}

func testCreate(s *suite) {
	create := func(body string) error {
		_, err := s.blobs.Create(s.Context(), "a/b", strings.NewReader(body))
		return err
	}
	if err := create("one"); err != nil {
		s.Fatal(err)
	}
	if err := create("two"); !fault.Is(err, fault.Conflict) {
		s.Errorf("a second create: %v", err)
	}
	s.is("a/b", "one")
	if err := s.blobs.Delete(s.Context(), "a/b"); err != nil {
		s.Fatal(err)
	}
	if err := create("three"); err != nil {
		s.Fatal(err)
	}
	s.is("a/b", "three")
	if got := s.list(""); !slices.Equal(got, []string{"a/b"}) {
		s.Errorf("there are %q", got)
	}
}

func testReplace(s *suite) {
	replace := func(etag, body string) (blob.Info, error) {
		return s.blobs.Replace(s.Context(), "a/b", etag, strings.NewReader(body))
	}
	if _, err := replace("x", "none"); !fault.Is(err, fault.Conflict) {
		s.Errorf("replacing what is not there: %v", err)
	}
	s.missing("a/b")
	first := s.put("a/b", "one")
	second, err := replace(first.ETag, "two")
	if err != nil {
		s.Fatal(err)
	}
	if got := s.is("a/b", "two"); got.ETag != second.ETag {
		s.Errorf("Replace says %+v, Open says %+v", second, got)
	}
	for _, etag := range []string{first.ETag, "x"} {
		if _, err := replace(etag, "three"); !fault.Is(err, fault.Conflict) {
			s.Errorf("replacing what was replaced: %v", err)
		}
	}
	s.is("a/b", "two")
	failed := errors.New("failed")
	if _, err := s.blobs.Replace(s.Context(), "a/b", second.ETag, iotest.ErrReader(failed)); !errors.Is(err, failed) {
		s.Errorf("replacing from a reader that fails: %v", err)
	}
	if _, err := s.blobs.Replace(s.Context(), "../a", "x", strings.NewReader("x")); !fault.Is(err, fault.Invalid) {
		s.Errorf("a name that is none: %v", err)
	}
	s.is("a/b", "two")
}

func testOneReplaceWins(s *suite) {
	const n = 8
	etag := s.put("a", "start").ETag
	for range 5 {
		infos, errs := make([]blob.Info, n), make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				infos[i], errs[i] = s.blobs.Replace(s.Context(), "a", etag, strings.NewReader(fmt.Sprint(i)))
			})
		}
		wg.Wait()
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				won++
				etag = infos[i].ETag
				s.is("a", fmt.Sprint(i))
			case !fault.Is(err, fault.Conflict):
				s.Error(err)
			}
		}
		if won != 1 {
			s.Fatalf("%d replaced the same blob", won)
		}
	}
}

func testDelete(s *suite) {
	s.put("a/b", "1")
	s.put("a/c", "2")
	for _, name := range []string{"a/b", "a/b", "a", "x/y", "a/c/d"} {
		if err := s.blobs.Delete(s.Context(), name); err != nil {
			s.Errorf("deleting %q: %v", name, err)
		}
	}
	s.missing("a/b")
	s.is("a/c", "2")
}

func testNames(s *suite) {
	for _, name := range []string{
		"a", "a.b", ".a", "d/b/c/d/e", "a b", "a_b-c~d", "2026-03-02T02.json", "é/€", "a%2Fb", "a#b", "a&b=c+d", "...a", strings.Repeat("n", 200),
	} {
		s.put("ok/"+name, name)
		s.is("ok/"+name, name)
	}
	for _, name := range []string{
		"", ".", "..", "/", "/a", "a/", "a//b", "a/./b", "../a", "a/../b", "a/..", `a\b`, `..\a`, "a\x00b", "a\nb", "a\xff", "C:/a", "C:a",
		"a?b", "a*b", "a.", "a ", "a/b./c", "nul", "a/CON", "com1.txt", strings.Repeat("n", 201), strings.Repeat("n/", 500) + "n",
	} {
		_, put := s.blobs.Put(s.Context(), name, strings.NewReader("x"))
		_, create := s.blobs.Create(s.Context(), name, strings.NewReader("x"))
		_, _, open := s.blobs.Open(s.Context(), name)
		for _, err := range []error{put, create, open, s.blobs.Delete(s.Context(), name)} {
			if !fault.Is(err, fault.Invalid) {
				s.Errorf("the name %.50q: %v", name, err)
			}
		}
	}
}

func testList(s *suite) {
	names := []string{"a.c", "a/b", "a/b0", "a/c/d", "ab", "b/1", "b/10", "b/2", "c"}
	for _, name := range slices.Backward(names) {
		s.put(name, name)
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/c/", "a/c/d", "ab", "b/1", "c", "c/", "x", "/", "a/c/de", ".", "..", "../"} {
		want := []string{}
		for _, name := range names {
			if strings.HasPrefix(name, prefix) {
				want = append(want, name)
			}
		}
		if got := s.list(prefix); !slices.Equal(got, want) {
			s.Errorf("prefix %q: %q, want %q", prefix, got, want)
		}
	}
	for range s.blobs.List(s.Context(), "") {
		break
	}
}

func testListAndChange(s *suite) {
	for i := range 20 {
		s.put(fmt.Sprintf("a/%02d", i), "x")
	}
	n := 0
	for info, err := range s.blobs.List(s.Context(), "a/") {
		if err != nil {
			s.Fatal(err)
		}
		n++
		s.put("b/"+info.Name, "y")
		if err := s.blobs.Delete(s.Context(), info.Name); err != nil {
			s.Fatal(err)
		}
	}
	if n != 20 || len(s.list("a/")) != 0 || len(s.list("b/")) != 20 {
		s.Errorf("listed %d; now there are %q", n, s.list(""))
	}
}

func testETags(s *suite) {
	seen := map[string]bool{}
	for i := range 50 {
		etag := s.put("a", "same size, at the same moment").ETag
		if seen[etag] {
			s.Fatalf("write %d has an ETag of an earlier one", i)
		}
		seen[etag] = true
	}
}

// testWhole reads a blob while it is replaced, small and large in turn.
func testWhole(s *suite) {
	body := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, 1+i%2*300_000) }
	s.put("a", string(body(0)))
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
				r, info, err := s.blobs.Open(s.Context(), "a")
				if err != nil {
					s.Errorf("opening what is there throughout: %v", err)
					return
				}
				got, err := io.ReadAll(r)
				if err = errors.Join(err, r.Close()); err != nil {
					s.Error(err)
					return
				}
				if int64(len(got)) != info.Size || !bytes.Equal(got, bytes.Repeat(got[:1], len(got))) || len(got) != 1 && len(got) != 300_001 {
					s.Errorf("%d bytes, said to be %d, of a mixture", len(got), info.Size)
					return
				}
			}
		})
	}
	for i := range 40 {
		s.put("a", string(body(i)))
	}
	close(done)
	wg.Wait()
}

func testFailedReader(s *suite) {
	s.put("there", "old")
	failed := errors.New("failed")
	tooLarge := fault.New(fault.TooLarge, "too large")
	for _, cause := range []error{failed, tooLarge} {
		for _, name := range []string{"there", "new/one"} {
			r := io.MultiReader(strings.NewReader(strings.Repeat("half", 10_000)), iotest.ErrReader(cause))
			if _, err := s.blobs.Put(s.Context(), name, r); !errors.Is(err, cause) || cause == tooLarge && !fault.Is(err, fault.TooLarge) {
				s.Errorf("putting from a reader that fails: %v", err)
			}
		}
	}
	if _, err := s.blobs.Create(s.Context(), "new/one", iotest.ErrReader(failed)); !errors.Is(err, failed) {
		s.Errorf("creating from a reader that fails: %v", err)
	}
	s.is("there", "old")
	s.missing("new/one")
	if got := s.list(""); !slices.Equal(got, []string{"there"}) {
		s.Errorf("there are %q", got)
	}
}

// testOpenWhilePut looks at the store in the middle of a write.
func testOpenWhilePut(s *suite) {
	s.put("a", "old")
	r, w := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.blobs.Put(s.Context(), "a", r); err != nil {
			s.Error(err)
		}
	})
	if _, err := w.Write(make([]byte, 100_000)); err != nil {
		s.Fatal(err)
	}
	s.is("a", "old")
	if got := s.list(""); !slices.Equal(got, []string{"a"}) {
		s.Errorf("while one is being written there are %q", got)
	}
	if err := w.Close(); err != nil {
		s.Fatal(err)
	}
	wg.Wait()
	s.is("a", string(make([]byte, 100_000)))
}

func testOneCreateWins(s *suite) {
	const n = 8
	for round := range 5 {
		name := fmt.Sprintf("dir%d/a", round)
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { _, errs[i] = s.blobs.Create(s.Context(), name, strings.NewReader(fmt.Sprint(i))) })
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				s.Error("two created one blob")
			case !fault.Is(err, fault.Conflict):
				s.Error(err)
			}
		}
		s.is(name, fmt.Sprint(winner))
	}
}

func testCancelled(s *suite) {
	s.put("a", "old")
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	_, _, open := s.blobs.Open(ctx, "a")
	_, put := s.blobs.Put(ctx, "a", strings.NewReader("new"))
	_, create := s.blobs.Create(ctx, "b", strings.NewReader("new"))
	errs := []error{open, put, create, s.blobs.Delete(ctx, "a")}
	for _, err := range s.blobs.List(ctx, "") {
		errs = append(errs, err)
	}
	if len(errs) != 5 {
		s.Errorf("a cancelled List yields %d times", len(errs)-4)
	}
	for i, err := range errs {
		if !fault.Is(err, fault.Cancelled) {
			s.Errorf("call %d: %v", i, err)
		}
	}
	s.is("a", "old")
	s.missing("b")
}

// testStreams writes what would not fit in the memory a test should take, from a
// reader that gives odd pieces.
func testStreams(s *suite) {
	const size = 24 << 20
	if _, err := s.blobs.Put(s.Context(), "large", io.LimitReader(iotest.HalfReader(pattern{}), size)); err != nil {
		s.Fatal(err)
	}
	r, info, err := s.blobs.Open(s.Context(), "large")
	if err != nil {
		s.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	if err = errors.Join(err, r.Close()); err != nil || n != size || info.Size != size {
		s.Errorf("%d bytes, said to be %d, %v", n, info.Size, err)
	}
}

type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}
