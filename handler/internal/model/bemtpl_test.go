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

// TestTheBelgianBook: of a fifth of the policies that were not learnt from, as much of the
// deviance is explained as learners explain on this book, and claims are as many as expected.
func TestTheBelgianBook(t *testing.T) {
	long(t)
	f, y := bemtpl(t)
	part := func(i int) bool { return mix(1, uint64(i))%5 == 0 }
	learn, yLearn := split(f, y, func(i int) bool { return !part(i) })
	test, yTest := split(f, y, part)
	m := mustFit(t, learn, yLearn, Options{Loss: Poisson, Bags: 4})
	sum, exposure := 0.0, 0.0
	for i := range yTest.Y {
		sum, exposure = sum+yTest.Y[i], exposure+yTest.Exposure[i]
	}
	mean := Constant(f.Fields, Poisson, math.Log(sum/exposure), "")
	if explained := 1 - poissonDeviance(m, test, yTest)/poissonDeviance(mean, test, yTest); explained < 0.03 || explained > 0.06 {
		t.Errorf("%.4f of the deviance is explained", explained)
	}
	expected, row := 0.0, newRow(test)
	for i := range test.N {
		rowOf(test, i, &row)
		expected += yTest.Exposure[i] * m.Mean(m.Score(row, nil))
	}
	if ratio := sum / expected; ratio < 0.95 || ratio > 1.05 {
		t.Errorf("%v claims where %v were expected", sum, expected)
	}
}
