package model

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polis/handler/internal/fault"
	"polis/handler/internal/measure"
)

// TestMetaOfAReport is kept by the file as it is, apart from numbers that JSON has not, and
// nobody changes a model through it.
func TestMetaOfAReport(t *testing.T) {
	trial, err := measure.Try(measure.Poisson, []float64{1, 2, 3}, []float64{0, 3, 4}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	meta := Meta{
		Metrics:     map[string]float64{"deviance": 1},
		Trial:       trial,
		Comparisons: []Comparison{{Name: "the mean alone", Deviance: 2, Note: "nothing learnt"}},
		Clusters:    [][]string{{"age", "bonus"}},
		Proxies:     []Proxy{{Protected: "sex", Feature: "power", Share: 0.1}},
		Protected:   []ProtectedGroup{{Column: "sex", Value: "f", Rows: 3, Expected: 6, Actual: 7, Exposure: 3}},
	}
	spoilt := meta.clone()
	spoilt.Metrics["bad"] = math.NaN()
	spoilt.Comparisons = append(spoilt.Comparisons, Comparison{Deviance: math.Inf(1)})
	spoilt.Proxies = append(spoilt.Proxies, Proxy{Share: math.NaN()})
	spoilt.Protected = append(spoilt.Protected, ProtectedGroup{Actual: math.NaN()})
	m := Constant([]Field{{Name: "age"}}, Poisson, 0, "").WithMeta(spoilt)
	got := m.Meta()
	got.Metrics["deviance"], got.Clusters[0][0], got.Comparisons[0].Name, got.Proxies[0].Share = 9, "x", "x", 9
	got.Protected[0].Rows = 9

	var file bytes.Buffer
	if err := m.Save(&file); err != nil {
		t.Fatal(err)
	}
	text := file.String()
	read, err := Load(&file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(meta, read.Meta()); diff != "" {
		t.Errorf("the file keeps\n%s", diff)
	}
	broken := *trial
	broken.Deviance = math.Inf(1)
	if Constant(nil, Poisson, 0, "").WithMeta(Meta{Trial: &broken}).Meta().Trial != nil {
		t.Error("a trial that is not finite is kept")
	}
	for name, change := range map[string][2]string{
		"not finite":      {`"ece":`, `"ece":1e999,"_":`},
		"not as measured": {`"gains":[`, `"gains":[{"share":2},`},
	} {
		if _, err := Load(strings.NewReader(strings.Replace(text, change[0], change[1], 1))); !fault.Is(err, fault.Malformed) {
			t.Errorf("a trial %s: %v", name, err)
		}
	}
}

// TestLossesAreFamilies: the one converts to the other.
func TestLossesAreFamilies(t *testing.T) {
	for l := range lossNames {
		if f := measure.Family(l); f.String() != lossNames[l] {
			t.Errorf("%s is %s", lossNames[l], f)
		}
	}
}
