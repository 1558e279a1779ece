package hazard_test

import (
	"compress/gzip"
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

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
		t.Skipf("the data set is not here: %v", err)
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
		for i, cause := range []string{"surrender", "death", "other"} {
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
	fields, subjects := whole(t)
	started := time.Now()
	m := mustFit(t, fields, subjects, Options{Causes: []string{"surrender", "death", "other"}})
	t.Log(m, m.Meta(), time.Since(started))
	for _, c := range m.Causes() {
		t.Log(c.Name, c.Hazard, c.Hazard.Meta().Metrics)
		for _, term := range c.Hazard.Terms() {
			t.Log("   ", term.Name)
		}
	}
	_, truth := aalenJohansen(subjects, 3, 62)
	started = time.Now()
	mean := map[int][3]float64{}
	var c Curve
	for _, s := range subjects {
		if err := m.Predict(s.Row, 0, 60, &c); err != nil {
			t.Fatal(err)
		}
		for _, h := range []int{8, 20, 40, 60} {
			v := mean[h]
			for i := range v {
				v[i] += c.Incidence[i][h] / float64(len(subjects))
			}
			mean[h] = v
		}
	}
	t.Log("predicted", time.Since(started))
	for _, h := range []int{8, 20, 40, 60} {
		t.Logf("%d: %.4v, Aalen-Johansen %.4v", h, mean[h], truth[h])
	}
}
