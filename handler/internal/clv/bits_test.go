package clv_test

import (
	"fmt"
	"hash/fnv"
	"math"
	"testing"

	. "polis/handler/internal/clv"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score/scoretest"
)

// TestTheSameToTheBit: these are the digests of what amd64 and arm64 have given. A change
// of the engine changes them, and has to be seen to do so on both
// (GOARCH=arm64 go test -c, under qemu where there is no such machine).
func TestTheSameToTheBit(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 81234, 0.17), policy("b", "travel", 30301, 0.21), policy("c", "legal", 12003, 0), policy("d", "unheard of", 99999, 0.5)))
	for v, want := range map[View]string{Insurer: "8542348419b5d9de", Intermediary: "e58d56892d91f9d9", Agency: "d9520126fbf76948"} {
		h := fnv.New64a()
		for _, months := range []int{1, 36, 120, 600} {
			s := Defaults
			s.View, s.HorizonMonths = v, months
			m := NewModel(s.Market)
			m.Growth, m.Error, m.Inflation, m.Losses = 0.0237, 0.013, 0.031, portfolio.MustDate(2024, 9, 30)
			m.Contacts = Contacts{Mean: 1.03, Weight: 0.07}
			m.WantsFade, m.WantsFrailty, m.WantsWane, m.ByAge = 0.37, 0.21, 0.023, [Ages]float64{0.31, 1.37, 1.03, 0.71}
			for i, name := range []string{"legal", "travel", "pet"} {
				m.Wares = append(m.Wares, Ware{
					Name: name, Premium: 127.3 + 51.1*float64(i), Spread: 1.4, Rate: 0.173, Insured: 0.77, Ends: 0.169, Frequency: 0.081, Severity: 1041.7,
					Usual: [3]float64{0.173, 0.061, 0.037},
				})
			}
			for i := range m.Cells {
				m.Cells[i].Drift, m.Cells[i].Low, m.Cells[i].High = 0.0123, 1.19, 0.87
			}
			r := scored(s, m, in, claims("a", 0.137, 1312.7), ends(0.0113), 3, []float64{0.211, 0.017, 0}...)
			for _, x := range []float64{
				r.Value, r.Realisable.Low, r.Realisable.High, r.Half.Low, r.Half.High, r.Expected.Low, r.Expected.High,
				r.Margin, r.Realised, r.AtStake, r.AtRisk, r.Income, r.Loss, r.Cost,
			} {
				fmt.Fprintf(h, "%x", math.Float64bits(x))
			}
		}
		if got := fmt.Sprintf("%016x", h.Sum64()); got != want {
			t.Errorf("%s: digest %s, want %s", v, got, want)
		}
	}
}
