package develop_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"pgregory.net/rapid"

	. "polis/handler/internal/develop"
	"polis/handler/internal/portfolio"
)

// published is a triangle and what is published of it.
type published struct {
	Source    string    `json:"source"`
	Paid      Triangle  `json:"paid"`
	Factors   []float64 `json:"factors"`
	Reserves  []float64 `json:"reserves"`
	Errors    []float64 `json:"errors"`
	Total     float64   `json:"total"`
	TotalErr  float64   `json:"total_error"`
	Thousands float64   `json:"unit_of_rows"`
}

// TestTaylorAshe: the triangle in Mack's paper, with the figures that are published of it.
func TestTaylorAshe(t *testing.T) {
	body, err := os.ReadFile("testdata/taylor-ashe.json")
	if err != nil {
		t.Fatal(err)
	}
	var want published
	if err := json.Unmarshal(body, &want); err != nil {
		t.Fatal(err)
	}
	p := Fit(want.Paid, 1)
	for k, f := range want.Factors {
		if math.Abs(p.Factors[k]-f) > 5e-5 {
			t.Errorf("factor %d is %v, published %v", k, p.Factors[k], f)
		}
	}
	got := p.Project(want.Paid, 0, len(want.Paid))
	if math.Abs(got.Ultimate-got.Latest-want.Total) > 0.5 || math.Abs(got.Error-want.TotalErr) > 0.5 {
		t.Errorf("the reserve is %.0f ± %.0f, published %.0f ± %.0f", got.Ultimate-got.Latest, got.Error, want.Total, want.TotalErr)
	}
	for i, r := range got.Rows {
		if math.Abs((r.Ultimate-r.Latest)/want.Thousands-want.Reserves[i]) > 0.5 || math.Abs(r.Error/want.Thousands-want.Errors[i]) > 0.5 {
			t.Errorf("row %d: %.0f ± %.0f, published %v ± %v thousand", i, r.Ultimate-r.Latest, r.Error, want.Reserves[i], want.Errors[i])
		}
	}
	// Half of the triangle has less to come, and all of it more than the sum of its parts.
	half := p.Project(want.Paid, 0, 5)
	if len(half.Rows) != 5 || !(half.Error < got.Error) {
		t.Errorf("half of it: %+v", half)
	}
}

// TestByHand is small enough for a pencil.
func TestByHand(t *testing.T) {
	tri := Triangle{{100, 150, 165}, {200, 300}, {60}}
	p := Fit(tri, 1.02)
	if p.Factors[0] != 1.5 || p.Factors[1] != 1.1 {
		t.Errorf("factors %v", p.Factors)
	}
	for age, want := range map[int]float64{-1: 1.5 * 1.1 * 1.02, 0: 1.5 * 1.1 * 1.02, 1: 1.1 * 1.02, 2: 1.02, 9: 1.02} {
		if got := p.Ultimate(age); math.Abs(got-want) > 1e-12 {
			t.Errorf("from age %d on %v, want %v", age, got, want)
		}
	}
	got := p.Project(tri, 0, 3)
	if math.Abs(got.Ultimate-1.02*(165+330+99)) > 1e-9 || got.Latest != 525 {
		t.Errorf("%+v", got)
	}
	if got.Error != 0 {
		t.Errorf("factors that never vary have an error of %v", got.Error)
	}
}

// TestRecoveriesAndNothing: factors below 1 are what they are; where nothing is known, and
// where more was recovered than paid, they are 1.
func TestRecoveriesAndNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		triangle Triangle
		want     float64
	}{
		"recoveries":         {Triangle{{100, 80}, {50}}, 0.8},
		"nothing at all":     {Triangle{{0, 0}, {0}}, 1},
		"nothing at first":   {Triangle{{0, 70}, {50}}, 1},
		"nothing left":       {Triangle{{100, 0}, {50}}, 1},
		"more than was paid": {Triangle{{100, -20}, {50}}, 1},
		"a row from nothing": {Triangle{{0, 30, 30}, {100, 120}, {50}}, 1.5},
		"no rows":            {nil, 1},
	} {
		p := Fit(tc.triangle, 1)
		if got := p.Ultimate(0); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		c := Credible([]Triangle{tc.triangle, nil}, []float64{1, 0}, 0, 1)
		if len(c) != 2 || c[0].Ultimate(0) != tc.want || c[1].Ultimate(0) != tc.want {
			t.Errorf("%s, shared with a branch that has nothing: %v and %v", name, c[0].Factors, c[1].Factors)
		}
		if pr := p.Project(tc.triangle, 0, len(tc.triangle)); math.IsNaN(pr.Error) || math.IsInf(pr.Error, 0) {
			t.Errorf("%s: an error of %v", name, pr.Error)
		}
	}
}

// made draws a triangle that follows factors, each amount with the variance that Mack's
// model gives it.
func made(r *rand.Rand, rows int, size float64, factors []float64) Triangle {
	out := make(Triangle, rows)
	for i := range out {
		c := size * (0.5 + r.Float64())
		out[i] = append(out[i], c)
		for k := 0; k < len(factors) && k < rows-1-i; k++ {
			c = max(0.01, factors[k]*c+math.Sqrt(c)*r.NormFloat64())
			out[i] = append(out[i], c)
		}
	}
	return out
}

// TestCredibility: a large branch keeps its own factor, a small one takes nearly that of
// all, and both are better than their own alone.
func TestCredibility(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	alone, credible, large := 0.0, 0.0, 0.0
	const times = 100
	for range times {
		var triangles []Triangle
		var units, truth []float64
		for b := range 12 {
			f := 1.3 + 0.05*r.NormFloat64()
			size := 5.0
			if b%3 == 0 {
				size = 5000
			}
			truth, units = append(truth, f), append(units, 1)
			triangles = append(triangles, made(r, 12, size, []float64{f, 1.1, 1, 1}))
		}
		for b, p := range Credible(triangles, units, 20, 1) {
			own := Fit(triangles[b], 1)
			if b%3 == 0 {
				large = max(large, math.Abs(p.Factors[0]-own.Factors[0]))
				continue
			}
			alone += math.Pow(own.Factors[0]-truth[b], 2)
			credible += math.Pow(p.Factors[0]-truth[b], 2)
		}
	}
	if large > 0.02 {
		t.Errorf("the factor of a large branch moved by %v", large)
	}
	if !(credible < alone/3) {
		t.Errorf("small branches err by %v on their own, and by %v with credibility", alone/times/8, credible/times/8)
	}
}

// TestErrorsHold: Mack's interval of two standard errors holds what claims come to nearly
// as often as it should, on their own factors and on credible ones.
func TestErrorsHold(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	factors := []float64{1.6, 1.2, 1.05, 0.97}
	in, times := [2]int{}, 400
	for range times {
		tri := made(r, 9, 300, factors)
		full := 0.0
		for _, row := range tri {
			c := row[len(row)-1]
			for k := len(row) - 1; k < len(factors); k++ {
				c = max(0.01, factors[k]*c+math.Sqrt(c)*r.NormFloat64())
			}
			full += c
		}
		others := made(r, 9, 300, factors)
		patterns := [2]Pattern{Fit(tri, 1), Credible([]Triangle{tri, others}, []float64{1, 1}, 20, 1)[0]}
		for i := range patterns {
			if p := patterns[i].Project(tri, 0, 9); math.Abs(p.Ultimate-full) < 2*p.Error {
				in[i]++
			}
		}
	}
	for i, n := range in {
		if share := float64(n) / float64(times); share < 0.85 || share > 0.99 {
			t.Errorf("method %d: two standard errors hold in %v of cases", i, share)
		}
	}
}

// TestScale: EUR or cents, factors are the same, and errors scale.
func TestScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		a := made(r, 6, 200, []float64{1.5, 1.2, 0.9, 1, 1})
		scale := rapid.Float64Range(0.01, 100).Draw(t, "scale")
		b := make(Triangle, len(a))
		for i, row := range a {
			for _, v := range row {
				b[i] = append(b[i], scale*v)
			}
		}
		pa, pb := Fit(a, 1), Fit(b, 1)
		x, y := pa.Project(a, 0, 6), pb.Project(b, 0, 6)
		if math.Abs(y.Ultimate/scale-x.Ultimate) > 1e-6*x.Ultimate || math.Abs(y.Error/scale-x.Error) > 1e-6*(1+x.Error) {
			t.Fatalf("%v ± %v, scaled %v ± %v", x.Ultimate, x.Error, y.Ultimate, y.Error)
		}
	})
}

var asOf = portfolio.MustDate(2026, 6, 30)

func TestAge(t *testing.T) {
	for loss, want := range map[portfolio.Date]int{
		asOf: 0, portfolio.MustDate(2026, 3, 31): 0, portfolio.MustDate(2026, 3, 30): 1, portfolio.MustDate(2025, 12, 31): 1,
		portfolio.MustDate(2025, 12, 30): 2, portfolio.MustDate(2025, 6, 30): 4, portfolio.MustDate(2025, 7, 1): 3, portfolio.MustDate(2006, 6, 30): 80,
	} {
		if got := Age(loss, asOf); got != want {
			t.Errorf("%v: %d, want %d", loss, got, want)
		}
	}
	for d := range portfolio.Date(4000) {
		q := Age(asOf-d, asOf)
		if asOf-d > asOf.AddMonths(-3*q) || asOf-d <= asOf.AddMonths(-3*(q+1)) {
			t.Fatalf("%v is not of age %d", asOf-d, q)
		}
	}
}

// view is what is known of a claim on a date.
func view(on portfolio.Date, versions ...portfolio.Claim) *portfolio.ClaimView {
	a := portfolio.Aggregate{Claims: versions}
	var v portfolio.View
	v.Reset(&a, on, portfolio.DefaultEnds)
	if len(v.Claims) == 0 {
		return nil
	}
	return &v.Claims[0]
}

func version(recorded portfolio.Date, reserve portfolio.Cents, status portfolio.Status) portfolio.Claim {
	return portfolio.Claim{ID: "k", PolicyID: "p", LossDate: asOf - 300, ReportedDate: asOf - 200, Reserve: reserve, Status: status, Version: portfolio.Version{RecordedAt: recorded}}
}

// TestVersions: a claim of 300 days ago, reported 200 days ago, is in the triangle with
// what was known of it at each age, and no later than the date.
func TestVersions(t *testing.T) {
	first, second, rejected := version(asOf-200, 1000_00, portfolio.ClaimOpen), version(asOf-50, 400_00, portfolio.ClaimOpen), version(asOf-10, 0, portfolio.ClaimRejected)
	loaded := version(asOf-5, 900_00, portfolio.ClaimOpen)
	undated := loaded
	undated.Undated, undated.RecordedAt = true, asOf
	future := version(asOf+1, 7000_00, portfolio.ClaimOpen)
	for name, tc := range map[string]struct {
		on              portfolio.Date
		versions        []portfolio.Claim
		amounts, counts []float64
		followed        int
	}{
		"one version":               {asOf, []portfolio.Claim{first}, []float64{0, 1000, 1000, 1000}, []float64{0, 1, 1, 1}, 1},
		"two":                       {asOf, []portfolio.Claim{first, second}, []float64{0, 1000, 1000, 400}, []float64{0, 1, 1, 1}, 1},
		"and one to come":           {asOf, []portfolio.Claim{first, second, future}, []float64{0, 1000, 1000, 400}, []float64{0, 1, 1, 1}, 1},
		"rejected":                  {asOf, []portfolio.Claim{first, second, rejected}, []float64{0, 1000, 1000, 0}, []float64{0, 0, 0, 0}, 1},
		"loaded from elsewhere":     {asOf, []portfolio.Claim{loaded}, []float64{0, 0, 0, 0}, []float64{0, 1, 1, 1}, 0},
		"without dates":             {asOf, []portfolio.Claim{undated}, []float64{0, 0, 0, 0}, []float64{0, 1, 1, 1}, 0},
		"as of earlier, two of two": {asOf - 92, []portfolio.Claim{first, second}, []float64{0, 1000, 1000}, []float64{0, 1, 1}, 1},
	} {
		c := NewClaims(tc.on, 8)
		v := view(tc.on, tc.versions...)
		if v == nil {
			t.Fatalf("%s: not known", name)
		}
		c.Add(v, v.Status != portfolio.ClaimRejected)
		age := len(tc.amounts) - 1
		a, n := c.Amounts(), c.Counts()
		row := len(a) - 1 - age
		if !equal(a[row], tc.amounts) || !equal(n[row], tc.counts) || c.Followed() != tc.followed {
			t.Errorf("%s: amounts %v, counts %v, followed %d", name, a[row], n[row], c.Followed())
		}
		if sum := a.Latest(); sum != tc.amounts[age] {
			t.Errorf("%s: %v in other rows", name, sum)
		}
	}
	c := NewClaims(asOf, 2)
	c.Add(view(asOf, first), true) // older than what is gathered
	if c.Counts().Latest() != 0 {
		t.Error("a claim from before is counted")
	}
}

func equal(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
