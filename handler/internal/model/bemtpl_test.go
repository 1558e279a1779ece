package model

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// bemtpl reads the Belgian motor liability book, or skips.
func bemtpl(t testing.TB) (Frame, Target) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "shared", "data", "bemtpl97", "beMTPL97.csv.gz")
	file, err := os.Open(path)
	if err != nil {
		t.Skipf("SKIPPED: no real data to measure against: %v", err)
	}
	defer file.Close()
	zr, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(zr)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, name := range header {
		at[name] = i
	}
	f := Frame{}
	for _, name := range []string{"ageph", "bm", "power", "agec", "fleet", "lat", "long"} {
		f.Fields = append(f.Fields, Field{Name: name})
	}
	for _, name := range []string{"coverage", "sex", "fuel", "use"} {
		f.Fields = append(f.Fields, Field{Name: name, Kind: Category})
	}
	f.Num = make([][]float64, len(f.Fields))
	f.Cat = make([][]string, len(f.Fields))
	var y Target
	for {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		num := func(name string) float64 {
			v, err := strconv.ParseFloat(row[at[name]], 64)
			if err != nil {
				return math.NaN()
			}
			return v
		}
		for i, field := range f.Fields {
			if field.Kind == Numeric {
				f.Num[i] = append(f.Num[i], num(field.Name))
			} else {
				f.Cat[i] = append(f.Cat[i], string([]byte(row[at[field.Name]])))
			}
		}
		y.Y = append(y.Y, num("nclaims"))
		y.Exposure = append(y.Exposure, num("expo"))
		f.N++
	}
	return f, y
}

// poissonDeviance is the mean per row.
func poissonDeviance(m *Model, f Frame, y Target) float64 {
	row := newRow(f)
	sum := 0.0
	for i := range f.N {
		rowOf(f, i, &row)
		mu := m.Mean(m.Score(row, nil)) * y.Exposure[i]
		sum += mu - y.Y[i]
		if y.Y[i] > 0 {
			sum += y.Y[i] * math.Log(y.Y[i]/mu)
		}
	}
	return 2 * sum / float64(f.N)
}
