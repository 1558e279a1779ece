package dataset_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	. "polis/handler/internal/dataset"
	"polis/handler/internal/model"
)

// wideTable is n rows of ten columns as a portfolio has them.
func wideTable(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("age,power,bonus,density,sum,long,lat,region,fuel,postcode\n")
	for range n {
		fmt.Fprintf(&b, "%d,%d,%d,%.1f,%.2f,%.6f,%.6f,region %d,fuel %d,%d\n", 18+r.IntN(70), 40+r.IntN(150), r.IntN(23),
			1000*r.ExpFloat64(), 20000*r.ExpFloat64(), 3+3*r.Float64(), 50+2*r.Float64(), r.IntN(6), r.IntN(3), 1000+r.IntN(4000))
	}
	return []byte(b.String())
}

// BenchmarkOpen and BenchmarkEach say how fast the first pass and those after it are; what
// they allocate does not grow with the rows.
func BenchmarkOpen(b *testing.B) {
	eachSize(b, func(b *testing.B, path string) {
		for b.Loop() {
			open(b, path, Options{})
		}
	})
}

func BenchmarkEach(b *testing.B) {
	eachSize(b, func(b *testing.B, path string) {
		f := open(b, path, Options{})
		var columns []string
		for _, c := range f.Columns {
			columns = append(columns, c.Name)
		}
		for b.Loop() {
			if err := f.Each(b.Context(), columns, func(model.Row) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func eachSize(b *testing.B, run func(b *testing.B, path string)) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		body := wideTable(n)
		path := file(b, body)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			run(b, path)
		})
	}
}
