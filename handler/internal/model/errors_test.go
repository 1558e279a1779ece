package model

import (
	"math"
	"math/rand/v2"
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
				b := m.binnings[2]
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

// TestBandsCover prints how often a band of chance holds the truth, on twelve made fits of
// 6,000 rows: of effects that are a wave, a line and a step. What it asks is less than what
// it finds, as twelve fits are few; docs/learner.md says what it found.
func TestBandsCover(t *testing.T) {
	long(t)
	const rows, fits = 6000, 12
	effects := []struct {
		name   string
		of     func(x float64) float64
		lowest float64 // share that must be held
	}{
		{"wave", func(x float64) float64 { return 0.4 * math.Sin(2*math.Pi*x) }, 0.88},
		{"line", func(x float64) float64 { return 0.8 * x }, 0.85},
		{"step", func(x float64) float64 { return 0.6 * math.Floor(2*x) }, 0.75},
	}
	for _, bags := range []int{8, 4, 3, 2} {
		held, all := make([]int, len(effects)), make([]int, len(effects))
		for seed := range uint64(fits) {
			r := rand.New(rand.NewPCG(seed, 77))
			f := Frame{N: rows, Num: make([][]float64, len(effects)), Cat: make([][]string, len(effects))}
			var y Target
			for _, e := range effects {
				f.Fields = append(f.Fields, Field{Name: e.name})
			}
			for range rows {
				link := -0.8
				for k, e := range effects {
					x := r.Float64()
					f.Num[k] = append(f.Num[k], x)
					link += e.of(x)
				}
				y.Y = append(y.Y, poisson(r, math.Exp(link)))
			}
			m := mustFit(t, f, y, Options{Loss: Poisson, Seed: seed, Bags: bags})
			for _, term := range m.terms {
				if len(term.fields) > 1 {
					continue
				}
				k := term.fields[0]
				sum, n, mean := make([]float64, len(term.table)), make([]float64, len(term.table)), 0.0
				for _, x := range f.Num[k] {
					bin := m.binnings[k].number(x)
					sum[bin], n[bin], mean = sum[bin]+effects[k].of(x), n[bin]+1, mean+effects[k].of(x)/rows
				}
				for bin, v := range term.table {
					if n[bin] == 0 {
						continue
					}
					if all[k]++; math.Abs(v-(sum[bin]/n[bin]-mean)) <= Band(bags)*term.errors[bin] {
						held[k]++
					}
				}
			}
		}
		for k, e := range effects {
			share := float64(held[k]) / float64(all[k])
			t.Logf("%d bags, %s: %.0f%% of %d values within their band", bags, e.name, 100*share, all[k])
			if share < e.lowest {
				t.Errorf("%d bags, %s: only %.2f of the values lie within their band", bags, e.name, share)
			}
		}
	}
}
