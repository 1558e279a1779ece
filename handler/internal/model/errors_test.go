package model

import (
	"math"
	"testing"
)

// TestStandardErrorsCover: of values whose truth is known, about as many lie within two
// standard errors as normal variables do. What two fields do together is left out of the
// truth here, so that each field's effect is known by itself.
func TestStandardErrorsCover(t *testing.T) {
	long(t)
	within, all := 0, 0
	for seed := range uint64(6) {
		f, y, _ := madePoisson(40_000, 100+seed)
		truth := func(i int) (bonus, region float64) {
			return 0.04 * f.Num[2][i], map[string]float64{"r1": 0.3, "r2": -0.4, "r4": 0.1}[f.Cat[1][i]]
		}
		m := mustFit(t, f, y, Options{Loss: Poisson, Seed: seed})
		var meanBonus, meanRegion, exposure float64
		for i := range f.N {
			b, r := truth(i)
			e := y.Exposure[i]
			meanBonus, meanRegion, exposure = meanBonus+e*b, meanRegion+e*r, exposure+e
		}
		byRegion := map[string]float64{"r0": 0, "r1": 0.3, "r2": -0.4, "r3": 0, "r4": 0.1, "r5": 0}
		for _, c := range m.Cells() {
			var want float64
			switch {
			case c.Term == "region" && c.Weight > 0:
				want = byRegion[c.First] - meanRegion/exposure
			case c.Term == "bonus" && c.Weight > 0:
				b := &m.binnings[2]
				for k := range b.bins(Numeric) {
					if b.label(Numeric, k, k) == c.First {
						lo := 0.0
						if k > 1 {
							lo = math.Ceil(b.edges[k-2])
						}
						want = 0.04*lo - meanBonus/exposure
					}
				}
			default:
				continue
			}
			if all++; math.Abs(c.Value-want) <= 2*c.Error {
				within++
			}
			if seed == 0 {
				t.Logf("%s %s: %.3f ± %.3f, truly %.3f", c.Term, c.First, c.Value, c.Error, want)
			}
		}
	}
	t.Logf("%d of %d within two standard errors", within, all)
	if share := float64(within) / float64(all); share < 0.85 {
		t.Errorf("%.2f of the values lie within two standard errors", share)
	}
}
