package exact_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	. "polis/handler/internal/exact"
)

func TestExpAndLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-Most, Most).Draw(t, "x")
		if got, want := Exp(x), math.Exp(x); math.Abs(got-want) > 4e-15*want {
			t.Fatalf("exp is %v, want %v", got, want)
		}
		v := rapid.Float64Range(0x1p-1022, math.MaxFloat64).Draw(t, "v")
		if got, want := Log(v), math.Log(v); math.Abs(got-want) > 4e-15*max(1e-3, math.Abs(want)) {
			t.Fatalf("log is %v, want %v", got, want)
		}
	})
	for x, want := range map[float64]float64{0: 1, Most + 1: Exp(Most), math.Inf(1): Exp(Most), math.Inf(-1): Exp(-Most)} {
		if got := Exp(x); got != want {
			t.Errorf("exp of %v is %v, want %v", x, got, want)
		}
	}
	if got := Exp(math.NaN()); got == got || Log(1) != 0 {
		t.Errorf("exp of NaN is %v, log of 1 %v", got, Log(1))
	}
}

// TestBits: these must be the same on every machine.
func TestBits(t *testing.T) {
	for _, c := range []struct {
		got  float64
		want uint64
	}{
		{Exp(0.1), 0x3ff1aec7b35a00d4},
		{Exp(-2.3), 0x3fb9aa9046ec997c},
		{Exp(41.7), 0x43b1e19fb4d6edf1},
		{Log(0.1), 0xc0026bb1bbb55515},
		{Log(3), 0x3ff193ea7aad030b},
		{Log(1e9), 0x4034b927f32bffb8},
	} {
		if math.Float64bits(c.got) != c.want {
			t.Errorf("%v is %#x, want %#x", c.got, math.Float64bits(c.got), c.want)
		}
	}
}
