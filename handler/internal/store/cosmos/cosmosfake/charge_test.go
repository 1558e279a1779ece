package cosmosfake

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestChargesAreTheTables(t *testing.T) {
	for _, row := range table {
		size := int(row.kb * 1024)
		if ReadUnits(size) != row.read || WriteUnits(size) != row.write {
			t.Errorf("%v KB: %v and %v", row.kb, ReadUnits(size), WriteUnits(size))
		}
	}
	if got := ReadUnits(3 << 10); math.Abs(got-1.09) > 1e-9 {
		t.Errorf("3 KB: %v", got)
	}
	if got := WriteUnits(4 << 20); math.Abs(got-2500) > 1e-9 {
		t.Errorf("4 MB: %v", got)
	}
	if WriteUnits(0) != 4.95 {
		t.Errorf("a deletion: %v", WriteUnits(0))
	}
}

// More bytes never cost less.
func TestChargesRise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.IntRange(0, 8<<20).Draw(t, "a")
		b := rapid.IntRange(a, 8<<20).Draw(t, "b")
		if ReadUnits(a) > ReadUnits(b) || WriteUnits(a) > WriteUnits(b) || QueryUnits(a) > QueryUnits(b) {
			t.Fatalf("%d and %d", a, b)
		}
	})
}
