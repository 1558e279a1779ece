package spill_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	. "polis/handler/internal/intake/spill"
)

// What several writers put aside comes back whole, by partition, in pieces that keep
// to their limit.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	f, err := New(dir, 256)
	if err != nil {
		t.Fatal(err)
	}
	const parts, records = 5, 2000
	var wg sync.WaitGroup
	for g := range 3 {
		w := f.Writer()
		wg.Go(func() {
			for i := range records {
				if err := w.Append(i%parts, fmt.Appendf(nil, "%d/%d%s", g, i, strings.Repeat("x", i%300))); err != nil {
					t.Error(err)
				}
			}
			if err := w.Flush(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, limit := range []int{0, 1000, 1} {
		var got []string
		var buf []byte
		for part := range f.Parts() {
			size := 0
			err := f.Read(part, limit, &buf, func(piece []byte) error {
				size += len(piece)
				if limit > 1000 && len(piece) > limit {
					t.Errorf("a piece of %d bytes, limit %d", len(piece), limit)
				}
				for len(piece) > 0 {
					var record []byte
					record, piece = Next(piece)
					got = append(got, strings.TrimRight(string(record), "x"))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if size != f.Bytes(part) {
				t.Errorf("partition %d has %d bytes, read %d", part, f.Bytes(part), size)
			}
		}
		slices.Sort(got)
		if len(got) != 3*records || len(slices.Compact(got)) != 3*records {
			t.Errorf("limit %d: %d records", limit, len(got))
		}
	}
	if err := f.Read(99, 0, new([]byte), func([]byte) error { t.Error("a piece of nothing"); return nil }); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestNowhereToPutIt(t *testing.T) {
	if _, err := New(t.TempDir()+"/missing", 256); err == nil {
		t.Error("a scratch file in a folder that is missing")
	}
}
