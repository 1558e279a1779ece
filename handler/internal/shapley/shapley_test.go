package shapley

import (
	"math"
	"math/bits"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// game draws a value for every coalition.
func game(t *rapid.T, k int, name string) []float64 {
	return rapid.SliceOfN(rapid.Float64Range(-1e4, 1e4), 1<<k, 1<<k).Draw(t, name)
}

func of(v []float64, k int) (phi []float64, reference float64) {
	phi = make([]float64, k)
	return phi, Values(phi, func(s uint) float64 { return v[s] })
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-8*(1+math.Abs(a)+math.Abs(b)) }

func TestAxioms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, Most).Draw(t, "components")
		v, w := game(t, k, "game"), game(t, k, "another")
		phi, reference := of(v, k)
		sum := reference
		for _, p := range phi {
			sum += p
		}
		if !near(sum, v[1<<k-1]) {
			t.Fatalf("efficiency: %v is shared out as %v", v[1<<k-1], sum)
		}

		i := rapid.IntRange(0, k-1).Draw(t, "null player")
		null := make([]float64, 1<<k)
		for s := range null {
			null[s] = v[s&^(1<<i)]
		}
		if got, _ := of(null, k); got[i] != 0 {
			t.Fatalf("null player: it changes nothing and gets %v", got[i])
		}

		a, b := rapid.Float64Range(-3, 3).Draw(t, "a"), rapid.Float64Range(-3, 3).Draw(t, "b")
		both := make([]float64, 1<<k)
		for s := range both {
			both[s] = a*v[s] + b*w[s]
		}
		other, _ := of(w, k)
		mixed, _ := of(both, k)
		for i := range mixed {
			if !near(mixed[i], a*phi[i]+b*other[i]) {
				t.Fatalf("linearity: %v, want %v", mixed[i], a*phi[i]+b*other[i])
			}
		}

		even := make([]float64, 1<<k)
		for s := range even {
			even[s] = v[1<<bits.OnesCount(uint(s))-1] // all components do the same
		}
		same, _ := of(even, k)
		for i := range same {
			if !near(same[i], same[0]) {
				t.Fatalf("symmetry: %v", same)
			}
		}
	})
}

// TestKnown is the glove game: two left gloves and a right one, a pair is worth 1.
func TestKnown(t *testing.T) {
	phi := make([]float64, 3)
	Values(phi, func(s uint) float64 {
		if s&0b100 != 0 && s&0b011 != 0 {
			return 1
		}
		return 0
	})
	for i, want := range []float64{1. / 6, 1. / 6, 4. / 6} {
		if !near(phi[i], want) {
			t.Errorf("component %d gets %v, want %v", i, phi[i], want)
		}
	}
}

func TestRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, decimals := rapid.IntRange(1, Most).Draw(t, "components"), rapid.IntRange(0, 6).Draw(t, "decimals")
		v := game(t, k, "game")
		phi, reference := of(v, k)
		total, before := v[1<<k-1], append([]float64(nil), phi...)
		if !Round(&reference, phi, total, decimals) {
			t.Fatal("it could not be rounded")
		}
		shown := func(v float64) int64 {
			s := strconv.FormatFloat(v, 'f', decimals, 64)
			f, err := strconv.ParseFloat(s, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int64(math.Round(f * math.Pow10(decimals)))
		}
		sum := shown(reference)
		for i, p := range phi {
			sum += shown(p)
			if math.Abs(p-before[i]) > 1.0001*math.Pow10(-decimals) {
				t.Fatalf("part %d was %v and is %v at %d decimals", i, before[i], p, decimals)
			}
		}
		if sum != shown(total) {
			t.Fatalf("what is shown adds up to %d, not %d", sum, shown(total))
		}
	})
	r := 1.0
	for _, bad := range []float64{math.NaN(), math.Inf(1), 1e300} {
		if Round(&r, []float64{1}, bad, 2) || Round(&r, []float64{bad}, 1, 2) {
			t.Errorf("%v was rounded", bad)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	phi := make([]float64, 4)
	if n := testing.AllocsPerRun(100, func() {
		r := Values(phi, func(s uint) float64 { return float64(s) * phi[0] })
		Round(&r, phi, 3.14, 2)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkValues(b *testing.B) {
	phi := make([]float64, 4)
	for b.Loop() {
		Values(phi, func(s uint) float64 { return float64(s) })
	}
}
