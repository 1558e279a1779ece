package sample

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"polis/handler/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files")

// memory keeps files.
type memory map[string]*bytes.Buffer

func (m memory) open(name string) (io.WriteCloser, error) {
	m[name] = &bytes.Buffer{}
	return keep{m[name]}, nil
}

type keep struct{ io.Writer }

func (keep) Close() error { return nil }

func write(t testing.TB, o Options) (memory, Summary) {
	t.Helper()
	m := memory{}
	o.Open = m.open
	s, err := Write(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return m, s
}

func TestGolden(t *testing.T) {
	m, _ := write(t, Options{Customers: 20, Seed: 1, Truth: true})
	for name, got := range m {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s differs from testdata; where that is meant, run with -update", name)
		}
	}
}

func TestSameBytesOnAnyNumberOfProcessors(t *testing.T) {
	o := Options{Customers: 3000, Seed: 7, World: B}
	var sums []string
	for _, n := range []int{1, 4} {
		old := runtime.GOMAXPROCS(n)
		m, _ := write(t, o)
		runtime.GOMAXPROCS(old)
		h := sha256.New()
		for _, name := range []string{CustomersFile, PoliciesFile, ClaimsFile, ContactsFile} {
			h.Write(m[name].Bytes())
		}
		sums = append(sums, hex.EncodeToString(h.Sum(nil)))
	}
	if sums[0] != sums[1] {
		t.Error("the number of processors changes the book")
	}
}

func TestSeedsAndWorldsDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, o := range []Options{{Seed: 1}, {Seed: 2}, {Seed: 1, World: B}, {Seed: 1, World: Null}, {Seed: 1, AsOf: "2024-02-29"}} {
		o.Customers = 50
		m, _ := write(t, o)
		key := m[PoliciesFile].String()
		if seen[key] != "" {
			t.Errorf("%+v and %s make the same policies", o, seen[key])
		}
		seen[key] = o.AsOf + string(o.World)
	}
}

// TestSmallBookBeginsLargeOne: a customer does not depend on how many follow.
func TestSmallBookBeginsLargeOne(t *testing.T) {
	for _, n := range []int{1, 99, 100, 513} {
		small, s := write(t, Options{Customers: n, Seed: 3, Truth: true})
		large, _ := write(t, Options{Customers: 1000, Seed: 3, Truth: true})
		if s.Customers != n {
			t.Fatalf("asked for %d customers, got %d", n, s.Customers)
		}
		ids := map[string]bool{}
		for _, r := range read(t, small, CustomersFile).rows {
			ids[r[0]] = true
		}
		for name := range small {
			var of []string
			for line := range strings.Lines(large[name].String()) {
				if name == PoliciesFile || name == TruthPoliciesFile || name == ClaimsFile {
					col := 1
					if name == ClaimsFile {
						col = 2
					}
					if f := strings.Split(line, ","); !ids[f[col]] && f[col] != "customer_id" {
						continue
					}
				} else if id, _, _ := strings.Cut(line, ","); !ids[id] && id != "customer_id" {
					continue
				}
				of = append(of, line)
			}
			if strings.Join(of, "") != small[name].String() {
				t.Errorf("%s: the first %d customers are not those of 1000", name, n)
			}
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	open := memory{}.open
	for name, o := range map[string]Options{
		"no customers": {Open: open}, "no folder": {Customers: 1}, "no such world": {Customers: 1, Open: open, World: "C"},
		"no such date": {Customers: 1, Open: open, AsOf: "2026-02-30"}, "other form": {Customers: 1, Open: open, AsOf: "31-03-2026"},
		"too early": {Customers: 1, Open: open, AsOf: "1999-01-01"},
	} {
		if _, err := Write(t.Context(), o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Customers: 1 << 40, Open: memory{}.open, Progress: func(int, int) { cancel() }}
	if _, err := Write(ctx, o); !fault.Is(err, fault.Cancelled) || !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }
func (full) Close() error              { return nil }

func TestWritingFails(t *testing.T) {
	o := Options{Customers: 5000, Open: func(string) (io.WriteCloser, error) { return full{}, nil }}
	if _, err := Write(t.Context(), o); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error: %v", err)
	}
	o.Open = func(string) (io.WriteCloser, error) { return nil, os.ErrPermission }
	if _, err := Write(t.Context(), o); !errors.Is(err, os.ErrPermission) {
		t.Errorf("error: %v", err)
	}
}

func TestFolderAndProgress(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	var last []int
	s, err := Write(t.Context(), Options{Customers: 1200, Dir: dir, Progress: func(done, total int) { last = append(last, done, total) }})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(last); n < 4 || last[n-2] != 1200 || last[n-1] != 1200 {
		t.Errorf("progress: %v", last)
	}
	var size int64
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		i, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += i.Size()
		names = append(names, e.Name())
	}
	if size != s.Bytes || !slices.Equal(names, []string{ClaimsFile, ContactsFile, CustomersFile, PoliciesFile}) {
		t.Errorf("%d bytes in %v, said %d", size, names, s.Bytes)
	}
}

func BenchmarkWrite(b *testing.B) {
	const customers = 5000
	for b.Loop() {
		if _, err := Write(b.Context(), Options{Customers: customers, Seed: 1, Open: func(string) (io.WriteCloser, error) { return keep{io.Discard}, nil }}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/customers, "µs/customer")
}
