package sample

import (
	"slices"
	"testing"
)

// rates are what the tables show, counted without the truth.
type rates struct {
	motorFrequency, motorMean  float64
	lapse                      float64
	policies, claims, contacts float64
	rows                       float64
	lossRatio                  float64
}

func measure(t testing.TB, o Options) rates {
	m, s := write(t, o)
	w := newWorld(o.Seed, mustDay(t, DefaultAsOf), formA{})
	from, to := w.edges[0], w.asOf+1
	p, c := read(t, m, PoliciesFile), read(t, m, ClaimsFile)
	last := p.latest("policy_id")
	var out rates
	var motorYears, years, lapses, premium, incurred float64
	first := map[string]day{}
	for _, r := range p.rows {
		id := p.get(r, "policy_id")
		if d := p.date(r, "recorded_at"); first[id] == 0 || d < first[id] {
			first[id] = d
		}
	}
	for id, r := range last {
		start, end := max(p.date(r, "start_date"), from, first[id]), to
		if d := p.date(r, "end_date"); d != 0 {
			end = d
		}
		e := float64(end-start) / 365.25
		years += e
		premium += e * p.num(r, "annual_premium")
		if p.get(r, "branch") == "motor" {
			motorYears += e
		}
		switch p.get(r, "end_reason") {
		case "customer", "price", "service", "other", "term":
			lapses++
		}
	}
	// A lapse that another policy of the branch follows is a replacement.
	starts := map[string][]day{}
	for _, r := range last {
		key := p.get(r, "customer_id") + p.get(r, "branch")
		starts[key] = append(starts[key], p.date(r, "start_date"))
	}
	for _, r := range last {
		if p.get(r, "end_reason") != "customer" {
			continue
		}
		end := p.date(r, "end_date")
		if slices.ContainsFunc(starts[p.get(r, "customer_id")+p.get(r, "branch")], func(d day) bool {
			return d > p.date(r, "start_date") && d >= end && d-end <= 45
		}) {
			lapses--
		}
	}
	motorClaims, amount := 0.0, 0.0
	for _, r := range c.latest("claim_id") {
		x := c.num(r, "paid") + c.num(r, "reserve") - c.num(r, "recovered")
		incurred += x
		if c.get(r, "cover") == "liability" && p.get(last[c.get(r, "policy_id")], "branch") == "motor" {
			motorClaims++
			amount += c.num(r, "paid") + c.num(r, "reserve")
		}
	}
	n := float64(s.Customers)
	out.motorFrequency, out.motorMean, out.lapse = motorClaims/motorYears, amount/motorClaims, lapses/years
	out.policies, out.claims, out.contacts = float64(s.Policies)/n, float64(s.Claims)/n, float64(s.Contacts)/n
	out.rows = float64(s.PolicyRows) / n
	out.lossRatio = incurred / premium
	return out
}

func mustDay(t testing.TB, s string) day {
	t.Helper()
	d, err := parseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRates holds the book of world A to published rates: a motor liability frequency
// of 0.139 a year and a mean claim of 1,309 EUR (Belgian motor book 1997), a lapse of
// 12.81% a year (European direct motor book), and to sizes that benchmarks count on.
func TestRates(t *testing.T) {
	got := measure(t, Options{Customers: 10000, Seed: 1})
	for _, c := range []struct {
		what              string
		got, want, within float64
	}{
		{"motor liability claims a year", got.motorFrequency, 0.139, 0.01},
		{"mean motor liability claim", got.motorMean, 1309, 110},
		{"lapses a policy-year", got.lapse, 0.13, 0.012},
		{"policies a customer", got.policies, 3.1, 0.3},
		{"claims a customer", got.claims, 0.7, 0.2},
		{"contacts a customer", got.contacts, 3.5, 0.6},
		{"versions a customer", got.rows, 7.4, 1},
		{"loss ratio", got.lossRatio, 0.55, 0.1},
	} {
		if abs(c.got-c.want) > c.within {
			t.Errorf("%s: %.4g, want %g ± %g", c.what, c.got, c.want, c.within)
		}
		t.Logf("%s: %.4g", c.what, c.got)
	}
}

// TestOtherWorldsAreOfTheSameSize: they need not have the published rates, but a book
// that is ten times another would compare nothing.
func TestOtherWorldsAreOfTheSameSize(t *testing.T) {
	for _, w := range []World{B, Null} {
		got := measure(t, Options{Customers: 2500, Seed: 1, World: w})
		t.Logf("%s: %+v", w, got)
		if got.lapse < 0.09 || got.lapse > 0.18 || got.policies < 2.5 || got.policies > 4 || got.claims < 0.4 || got.claims > 1.1 {
			t.Errorf("%s: %+v", w, got)
		}
	}
}
