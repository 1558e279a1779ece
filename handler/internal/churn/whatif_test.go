package churn_test

import (
	"math"
	"testing"

	. "polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

// seen is a book that has seen changes of −4% to 12%, but none of 4% to 8%.
func seen() Changes {
	return Changes{Low: -0.04, High: 0.11, Renewals: 1000, Lapses: 100, Bands: []Band{
		{From: -0.06, To: -0.005, Effect: -0.4, Error: 0.1, Lapses: 10},
		{From: -0.005, To: 0.005, None: true, Effect: -0.2, Error: 0.02, Lapses: 50},
		{From: 0.005, To: 0.04, Effect: 0.1, Error: 0.1, Lapses: 20},
		{From: 0.08, To: 0.12, Effect: 0.8, Error: 0.1, Lapses: 20},
	}}
}

func asked(m *Model, a *portfolio.Aggregate, changes ...float64) ([]WhatIf, *Result) {
	in := scoretest.Input(asOf, a)
	var r Result
	return New(m).WhatIfs(in, changes, &r, nil), &r
}

// TestWhatIfWithinSupport: the change's log-odds are added in the months around the
// renewal, and nowhere else.
func TestWhatIfWithinSupport(t *testing.T) {
	const h, o = 0.018, 0.005
	m := flat(0.5, 0.1, h, o) // of relations of several
	m.Book.Changes = seen()
	p := policy("p", "motor", portfolio.MustDate(2020, 7, 1), 0, "") // from the end of March it renews in the fourth month
	out, _ := asked(m, customer("c", false, p), 0.1, 0)
	if len(out) != 2 || out[0].Why != "" || out[1].Why != "" {
		t.Fatalf("%+v", out)
	}
	expected := func(by float64) float64 {
		alive, sum := 1.0, 0.0
		for k := 1; k <= 12; k++ {
			x := h
			if k >= 3 && k <= 6 {
				x = 1 / (1 + math.Exp(-(logit(h) + by)))
			}
			sum += alive * x
			alive *= 1 - x - o
		}
		return sum
	}
	w := out[0]
	off := 2.365 * math.Sqrt(0.1*0.1+0.02*0.02)
	for what, pair := range map[string][2]float64{
		"without": {w.Without, expected(-0.2)}, "with": {w.With, expected(0.8)},
		"low": {w.Low, expected(0.8-off) - expected(-0.2)}, "high": {w.High, expected(0.8+off) - expected(-0.2)},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-12 {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
	if n := out[1]; n.With != n.Without || n.Low != 0 || n.High != 0 {
		t.Errorf("no change makes a difference: %+v", n)
	}
}

// TestWhatIfIsEmpty where the book has seen nothing like it, with the reason.
func TestWhatIfIsEmpty(t *testing.T) {
	start := portfolio.MustDate(2020, 7, 1)
	plain := policy("p", "motor", start, 0, "")
	announced := plain
	announced.AnnualPremium, announced.ValidFrom = 33000, portfolio.MustDate(2026, 7, 1)
	later := plain
	later.ContractEnd = asOf + 700
	for name, tc := range map[string]struct {
		policies []portfolio.Policy
		change   float64
		changes  Changes
		why      string
	}{
		"a rise beyond":             {[]portfolio.Policy{plain}, 0.3, seen(), Outside},
		"just beyond":               {[]portfolio.Policy{plain}, 0.111, seen(), Outside}, // within a band, beyond the quantile
		"a fall beyond":             {[]portfolio.Policy{plain}, -0.05, seen(), Outside},
		"a gap":                     {[]portfolio.Policy{plain}, 0.06, seen(), Outside},
		"no number":                 {[]portfolio.Policy{plain}, math.NaN(), seen(), Outside},
		"too few":                   {[]portfolio.Policy{plain}, 0.1, Changes{Why: TooFew}, TooFew},
		"not announced in the book": {[]portfolio.Policy{plain}, 0.1, Changes{Why: Unannounced}, Unannounced},
		"announced here":            {[]portfolio.Policy{plain, announced}, 0.1, seen(), Announced},
		"ending":                    {[]portfolio.Policy{policy("p", "motor", start, asOf+100, "lapse")}, 0.1, seen(), Ending},
		"renews in two years":       {[]portfolio.Policy{later}, 0.1, seen(), NoRenewal},
	} {
		m := flat(0.01, 0.001, 0.01, 0.001)
		m.Book.Changes = tc.changes
		out, _ := asked(m, customer("c", false, tc.policies...), tc.change)
		if len(out) != 1 || out[0].Why != tc.why || out[0].With != 0 || out[0].Without != 0 {
			t.Errorf("%s: %+v", name, out)
		}
	}
	m := flat(0.01, 0.001, 0.01, 0.001)
	m.Book.Changes = seen()
	if out, r := asked(m, customer("c", true, plain), 0.1); len(out) != 0 || r.Status != score.Objected {
		t.Errorf("who objects gets %+v", out)
	}
	in := scoretest.Input(asOf, customer("d", false, policy("q", "contents", start, 0, "")), customer("c", true, plain))
	var r Result
	if out := New(m).WhatIfs(feature.Input{View: in.Group.Views[1], Group: in.Group}, []float64{0.1}, &r, nil); len(out) != 0 || r.Status != score.Objected {
		t.Errorf("who objects in a household gets %+v", out)
	}
	if out, r := asked(m, customer("c", false), 0.1); len(out) != 0 || r.Status != score.NoPolicies {
		t.Errorf("no policies: %+v", out)
	}
}

func TestDamagedBooks(t *testing.T) {
	good := func() *Model {
		m := flat(0.01, 0.001, 0.01, 0.001)
		m.Book = Book{Relations: Experience{Basis: Own, Weight: 1}, Policies: Experience{Basis: Own, Weight: 1}, Changes: seen()}
		return m
	}
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(*Model){
		"a definition": func(m *Model) { m.Definition = "none" },
		"a basis":      func(m *Model) { m.Book.Policies.Basis = "guess" },
		"a weight":     func(m *Model) { m.Book.Relations.Weight = 2 },
		"a share":      func(m *Model) { m.Book.AlongOther[2] = math.NaN() },
		"a reason":     func(m *Model) { m.Book.Changes.Why = "no" },
		"an overlap":   func(m *Model) { m.Book.Changes.Bands[3].From = 0.03 },
		"no band":      func(m *Model) { m.Book.Changes.Bands[1].None = false },
		"an effect":    func(m *Model) { m.Book.Changes.Bands[0].Effect = math.Inf(1) },
		"an error":     func(m *Model) { m.Book.Changes.Bands[0].Error = -1 },
	} {
		m := good()
		damage(m)
		if m.Check() == nil {
			t.Errorf("%s that is wrong is taken", name)
		}
	}
}
