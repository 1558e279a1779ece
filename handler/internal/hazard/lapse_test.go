package hazard_test

import (
	"compress/gzip"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	. "polis/handler/internal/hazard"
	"polis/handler/internal/model"
)

// whole is the US whole-life policies of 1995 to 2008 (CASdatasets), without DJIA, which
// tells when a policy was last seen.
func whole(t testing.TB) (fields []model.Field, subjects []Subject) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "shared", "data", "uslapseagent", "uslapseagent.csv.gz")
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("SKIPPED: no real data to measure against: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, name := range all[0] {
		at[name] = i
	}
	names := []string{"acc.death.rider", "gender", "premium.frequency", "risk.state", "underwriting.age", "living.place", "annual.premium"}
	for _, name := range names {
		kind := model.Category
		if name == "annual.premium" {
			kind = model.Numeric
		}
		fields = append(fields, model.Field{Name: name, Kind: kind})
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, record := range all[1:] {
		s := Subject{Row: model.Row{Num: make([]float64, len(names)), Cat: make([]string, len(names))}, Weight: 1}
		for i, f := range fields {
			if v := record[at[f.Name]]; f.Kind == model.Category {
				s.Cat[i] = v
			} else {
				s.Num[i] = number(v)
			}
		}
		s.Duration = number(record[at["duration"]])
		for i, cause := range wholeEnds {
			if record[at[cause]] == "1" {
				s.Cause = i + 1
			}
		}
		subjects = append(subjects, s)
	}
	return fields, subjects
}

// TestWholeLife: on real policies the mean predicted incidence is that of Aalen and
// Johansen, which knows of no covariates.
func TestWholeLife(t *testing.T) {
	long(t)
	fields, all := whole(t)
	var subjects []Subject
	for i := 0; i < len(all); i += 4 {
		subjects = append(subjects, all[i])
	}
	m := mustFit(t, fields, subjects, Options{Causes: wholeEnds})
	_, truth := aalenJohansen(subjects, 3, 40)
	for period, mean := range meanIncidence(t, m, subjects, 20, 40) {
		for i, f := range mean {
			if d := f - truth[period][i]; math.Abs(d) > 0.01 {
				t.Errorf("%s by period %d: %.4f, Aalen-Johansen %.4f", wholeEnds[i], period, f, truth[period][i])
			}
		}
	}
}

// BenchmarkWholeLife fits all of them, some 900,000 periods, and says what it predicts
// beside Aalen and Johansen.
func BenchmarkWholeLife(b *testing.B) {
	fields, subjects := whole(b)
	var m *Model
	for b.Loop() {
		m = mustFit(b, fields, subjects, Options{Causes: wholeEnds})
	}
	_, truth := aalenJohansen(subjects, 3, 40)
	for period, mean := range meanIncidence(b, m, subjects, 20, 40) {
		b.Logf("by period %d: %.4f, Aalen-Johansen %.4f", period, mean, truth[period])
	}
}

// BenchmarkPredict is one policy's curve of three ends over 40 periods.
func BenchmarkPredict(b *testing.B) {
	fields, subjects := whole(b)
	m := mustFit(b, fields, subjects[:5000], Options{Causes: wholeEnds})
	var c Curve
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Predict(subjects[i%len(subjects)].Row, 0, 40, &c); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

var wholeEnds = []string{"surrender", "death", "other"}

func meanIncidence(t testing.TB, m *Model, subjects []Subject, periods ...int) map[int][]float64 {
	t.Helper()
	mean := map[int][]float64{}
	for _, p := range periods {
		mean[p] = make([]float64, len(m.Causes()))
	}
	var c Curve
	for _, s := range subjects {
		if err := m.Predict(s.Row, 0, slices.Max(periods), &c); err != nil {
			t.Fatal(err)
		}
		for p, sums := range mean {
			for i := range sums {
				sums[i] += c.Incidence[i][p] / float64(len(subjects))
			}
		}
	}
	return mean
}
