package model

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// wide is a table of many fields that all matter, a fifth of them categories.
func wide(rows, fields int) (Frame, Target) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := Frame{N: rows, Fields: make([]Field, fields), Num: make([][]float64, fields), Cat: make([][]string, fields)}
	link := make([]float64, rows)
	for c := range fields {
		f.Fields[c] = Field{Name: "field_" + strconv.Itoa(c)}
		var effect func() float64
		if c%5 == 4 {
			f.Fields[c].Kind = Category
			f.Cat[c] = make([]string, 0, rows)
			effect = func() float64 {
				k := rng.IntN(25)
				f.Cat[c] = append(f.Cat[c], "category "+strconv.Itoa(k))
				return math.Sin(float64(k * c))
			}
		} else {
			effect = func() float64 {
				v := math.Round(rng.NormFloat64()*1e4) / 10
				f.Num[c] = append(f.Num[c], v)
				return math.Sin(v / 500 * float64(1+c%3))
			}
		}
		for i := range rows {
			link[i] += 0.15 * effect()
		}
	}
	y := Target{Y: make([]float64, rows)}
	for i := range rows {
		y.Y[i] = poisson(rng, 0.14*math.Exp(link[i]))
	}
	return f, y
}

func benchmarkFit(b *testing.B, rows, fields int, loss Loss) {
	f, y := wide(rows, fields)
	if loss == Logistic {
		for i := range y.Y {
			y.Y[i] = min(y.Y[i], 1)
		}
	}
	for b.Loop() {
		m := mustFit(b, f, y, Options{Loss: loss})
		b.ReportMetric(m.Meta().Metrics["rounds"], "rounds")
		b.ReportMetric(m.Meta().Metrics["pair_rounds"], "pair-rounds")
		b.ReportMetric(float64(len(saved(b, m))), "bytes")
	}
}

func BenchmarkFit160kRows12Fields(b *testing.B)         { benchmarkFit(b, 160_000, 12, Poisson) }
func BenchmarkFit300kRows40Fields(b *testing.B)         { benchmarkFit(b, 300_000, 40, Poisson) }
func BenchmarkFit300kRows40FieldsLogistic(b *testing.B) { benchmarkFit(b, 300_000, 40, Logistic) }

func BenchmarkScore40Fields(b *testing.B) {
	f, y := wide(40_000, 40)
	m := mustFit(b, f, y, Options{Loss: Poisson})
	contrib := make([]float64, len(m.Terms()))
	rows := make([]Row, 1000)
	for i := range rows {
		rows[i] = newRow(f)
		rowOf(f, i, &rows[i])
	}
	b.ReportAllocs()
	b.ReportMetric(float64(len(m.Terms())), "terms")
	i := 0
	for b.Loop() {
		m.Score(rows[i%len(rows)], contrib)
		i++
	}
}

func BenchmarkLoad45Fields(b *testing.B) {
	f, y := wide(60_000, 45)
	content := saved(b, mustFit(b, f, y, Options{Loss: Poisson}))
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(bytes.NewReader(content)); err != nil {
			b.Fatal(err)
		}
	}
}
