package sqlite_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

var bucket = store.Partition{Tenant: "t1", Bucket: 7}

func key(i int) string { return fmt.Sprintf("b\x1fc:%08d\x1f%08d\x1fa", i, i) }

// filled is a store with n documents of 0.5 to 3 KiB.
func filled(b *testing.B, n int) *sqlite.Store {
	b.Helper()
	s := open(b, filepath.Join(b.TempDir(), "store.db"))
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	r := rand.New(rand.NewPCG(1, 1))
	var ops []store.Op
	for i := range n {
		ops = append(ops, put(i, 500+r.IntN(2500)))
		if len(ops) == store.MaxOps || i == n-1 {
			if err := s.Write(b.Context(), bucket, ops); err != nil {
				b.Fatal(err)
			}
			ops = ops[:0]
		}
	}
	return s
}

func put(i, size int) store.Op {
	return store.Op{Document: store.Document{Key: key(i), Body: bytes.Repeat([]byte("x"), size)}}
}

func BenchmarkScan(b *testing.B) {
	const n = 20_000
	s := filled(b, n)
	b.ReportAllocs()
	rows, size := 0, 0
	for b.Loop() {
		for d, err := range s.Scan(b.Context(), bucket, "b\x1f", "") {
			if err != nil {
				b.Fatal(err)
			}
			rows++
			size += len(d.Body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
	b.ReportMetric(float64(size)/1e6/b.Elapsed().Seconds(), "MB/s")
}

func BenchmarkGet(b *testing.B) {
	const n = 20_000
	s := filled(b, n)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Get(b.Context(), bucket, key(i*7919%n)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrite overwrites a hundred documents of 1 KiB, neighbours, in a batch.
func BenchmarkWrite(b *testing.B) {
	const n = 20_000
	s := filled(b, n)
	all := make([]store.Op, n)
	for i := range all {
		all[i] = put(i, 1024)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := i * store.MaxOps % n
		if err := s.Write(b.Context(), bucket, all[at:at+store.MaxOps]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*store.MaxOps), "ns/op-in-batch")
}

// BenchmarkWriteOne overwrites one document anywhere.
func BenchmarkWriteOne(b *testing.B) {
	const n = 20_000
	s := filled(b, n)
	for i := 0; b.Loop(); i++ {
		if err := s.Write(b.Context(), bucket, []store.Op{put(i*7919%n, 1024)}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens the store and reads one document, as a handler does that starts.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store.db")
	s := open(b, path)
	if err := s.Write(b.Context(), bucket, []store.Op{put(1, 1000)}); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		openAndGet(b, path)
	}
}

// BenchmarkOpenAfterKill does so with as long a WAL as a killed writer leaves.
func BenchmarkOpenAfterKill(b *testing.B) {
	dir := b.TempDir()
	path, copied := filepath.Join(dir, "store.db"), filepath.Join(dir, "copy.db")
	s := open(b, path)
	defer s.Close()
	if err := s.Write(b.Context(), bucket, []store.Op{put(1, 1000)}); err != nil {
		b.Fatal(err)
	}
	var longest int64
	files := map[string][]byte{}
	for i := range 2000 {
		if err := s.Write(b.Context(), bucket, []store.Op{put(i, 1000), put(2000+i*7919%2000, 1000)}); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(path + "-wal")
		if err != nil {
			b.Fatal(err)
		}
		if info.Size() > longest {
			longest = info.Size()
			for _, suffix := range []string{"", "-wal"} {
				if files[suffix], err = os.ReadFile(path + suffix); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	for b.Loop() {
		b.StopTimer()
		for suffix, content := range files {
			if err := os.WriteFile(copied+suffix, content, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		openAndGet(b, copied)
	}
	b.ReportMetric(float64(longest)/1e6, "MB-WAL")
}

func openAndGet(b *testing.B, path string) {
	s := open(b, path)
	if _, err := s.Get(b.Context(), bucket, key(1)); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}
