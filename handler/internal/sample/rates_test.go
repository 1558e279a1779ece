package sample

import "testing"

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
	for id, r := range last {
		if p.get(r, "end_reason") != "customer" {
			continue
		}
		for other, q := range last {
			if other[:9] == id[:9] && other != id && p.get(q, "branch") == p.get(r, "branch") && p.get(q, "customer_id") == p.get(r, "customer_id") {
				if gap := p.date(q, "start_date") - p.date(r, "end_date"); gap >= 0 && gap <= 45 {
					lapses--
					break
				}
			}
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

func TestLookRates(t *testing.T) {
	for _, w := range []World{A, B, Null} {
		for seed := range uint64(2) {
			t.Logf("%s %+v", w, measure(t, Options{Customers: 4000, Seed: seed, World: w}))
		}
	}
}
