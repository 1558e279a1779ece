package model

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWhatGoesTogether: copies, coded or noised, are a cluster; what is independent is not,
// however many bins it has.
func TestWhatGoesTogether(t *testing.T) {
	long(t)
	f, y, _ := madePoisson(20_000, 21)
	rng := rand.New(rand.NewPCG(5, 1))
	f.Fields = append(f.Fields, Field{Name: "age_next_year"}, Field{Name: "youth", Kind: Category})
	next, youth := make([]float64, f.N), make([]string, f.N)
	for i := range f.N {
		next[i] = f.Num[0][i] + 1 + rng.NormFloat64()
		youth[i] = map[bool]string{true: "young", false: "old"}[f.Num[0][i] < 50]
	}
	f.Num, f.Cat = append(f.Num, next, nil), append(f.Cat, nil, youth)
	m := mustFit(t, f, y, Options{Loss: Poisson, Bags: 2})
	if got := m.Meta().Clusters; len(got) != 1 || !slices.Equal(got[0], []string{"age", "age_next_year", "youth"}) {
		t.Fatalf("clusters %v", got)
	}
	seen := make([]bool, len(m.Terms()))
	for _, r := range m.Reasons() {
		for _, i := range r.Terms {
			if seen[i] {
				t.Errorf("term %d counts twice", i)
			}
			seen[i] = true
		}
		if r.Name == "age" {
			t.Error("age is a reason of its own, though others say the same")
		}
	}
	if slices.Contains(seen, false) {
		t.Errorf("not every term is in a reason: %v", seen)
	}
}

// TestProtected: a column that is kept out is not in the model, what tells of it is named,
// and its values' outcomes add up to the whole.
func TestProtected(t *testing.T) {
	long(t)
	f, y, _ := madePoisson(20_000, 22)
	rng := rand.New(rand.NewPCG(6, 1))
	group := make([]string, f.N)
	for i := range f.N {
		group[i] = "a"
		if (f.Num[0][i] < 40) != (rng.Float64() < 0.2) {
			group[i] = "b"
		}
	}
	f.Fields = append(f.Fields, Field{Name: "group", Kind: Category})
	f.Num, f.Cat = append(f.Num, nil), append(f.Cat, group)
	m := mustFit(t, f, y, Options{Loss: Poisson, Protected: 1})
	if slices.ContainsFunc(m.Fields(), func(f Field) bool { return f.Name == "group" }) {
		t.Error("the model has the protected column")
	}
	meta := m.Meta()
	if len(meta.Proxies) == 0 || meta.Proxies[0].Feature != "age" || meta.Proxies[0].Share < 0.1 || meta.Proxies[0].Share > 0.5 {
		t.Errorf("proxies %v", meta.Proxies)
	}
	for _, p := range meta.Proxies[1:] {
		if p.Share > 0.01 {
			t.Errorf("%s tells of the group: %v", p.Feature, p.Share)
		}
	}
	rows, actual, exposure := 0, 0.0, 0.0
	for _, g := range meta.Protected {
		rows, actual, exposure = rows+g.Rows, actual+g.Actual, exposure+g.Exposure
		if g.Expected/g.Actual < 0.9 || g.Expected/g.Actual > 1.1 {
			t.Errorf("%s: %v expected, %v happened", g.Value, g.Expected, g.Actual)
		}
	}
	sum, years := 0.0, 0.0
	for i := range y.Y {
		sum, years = sum+y.Y[i], years+y.Exposure[i]
	}
	if rows != f.N || actual < 0.999*sum || actual > 1.001*sum || exposure < 0.999*years || exposure > 1.001*years {
		t.Errorf("%d rows with %v claims in %v years, all are %d with %v in %v", rows, actual, exposure, f.N, sum, years)
	}
}
