package sample

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestTruthIsTrue holds probabilities against what then happened, over all and among
// those with the highest and the lowest.
func TestTruthIsTrue(t *testing.T) {
	for _, o := range []Options{{World: A}, {World: B}, {World: Null}, {World: A, Told: 2}} {
		w := o.World
		o.Customers, o.Seed, o.Truth = 4000, 5, true
		m, _ := write(t, o)
		p, c := read(t, m, TruthPoliciesFile), read(t, m, TruthCustomersFile)
		for _, f := range []struct {
			what           string
			of             *table
			said, happened string
			exact          bool
		}{
			// Expected as long as the customer keeps the policy, so fewer happen.
			{"claims", p, "expected_claims", "realised_claims", false},
			{"lapse of a policy", p, "lapse", "lapsed", true},
			{"lapse of any", c, "lapse_any", "y0_any", true},
			{"lapse of any, contacted", c, "lapse_any_contacted", "y1_any", true},
			{"lapse of all", c, "lapse_all", "y0_all", false},
			{"lapse of the essential", c, "lapse_essential", "y0_essential", false},
		} {
			middle := 0.0
			for _, r := range f.of.rows {
				middle += f.of.num(r, f.said) / float64(len(f.of.rows))
			}
			for _, part := range []string{"below", "above"} {
				var said, happened float64
				for _, r := range f.of.rows {
					if v := f.of.num(r, f.said); (v < middle) == (part == "below") {
						said += v
						happened += f.of.num(r, f.happened)
					}
				}
				// Four standard errors of a count; what is an approximation may be a tenth off, too.
				tolerance := 4*math.Sqrt(said) + 1
				if !f.exact {
					tolerance += 0.1 * said
				}
				t.Logf("%s: %s, %s the mean: %.0f said, %.0f happened", w, f.what, part, said, happened)
				if abs(said-happened) > tolerance {
					t.Errorf("%s: %s, %s the mean: %.0f said, %.0f happened", w, f.what, part, said, happened)
				}
			}
		}
		t.Logf("%s: concordance of the truth: lapse %.3f, claims %.3f", w, concordance(c, "lapse_any", "y0_any"), concordance(p, "expected_claims", "realised_claims"))
		purchases(t, w, c)
	}
}

// TestToldBefore: a truth told years before changes nothing of the book, and is of those
// who were there then.
func TestToldBefore(t *testing.T) {
	now, _ := write(t, Options{Customers: 500, Seed: 5, Truth: true})
	then, _ := write(t, Options{Customers: 500, Seed: 5, Truth: true, Told: 3})
	for _, name := range []string{CustomersFile, PoliciesFile, ClaimsFile, ContactsFile} {
		if now[name].String() != then[name].String() {
			t.Errorf("%s differs", name)
		}
	}
	start := map[string]string{}
	p := read(t, then, PoliciesFile)
	for _, r := range p.rows {
		start[p.get(r, "policy_id")] = p.get(r, "start_date")
	}
	truth := read(t, then, TruthPoliciesFile)
	for _, r := range truth.rows {
		if id := truth.get(r, "policy_id"); start[id] == "" || start[id] > "2023-06-30" {
			t.Errorf("policy %s is not known or begins on %s", id, start[id])
		}
	}
	if len(truth.rows) == 0 {
		t.Error("there were no policies")
	}
}

// concordance is the share of pairs, one that happened and one that did not, in which
// the first was said to be likelier: what a perfect model would reach.
func concordance(of *table, said, happened string) float64 {
	rows := slices.Clone(of.rows)
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(of.num(a, said), of.num(b, said)) })
	below, pairs, events := 0.0, 0.0, 0.0
	for _, r := range rows {
		if of.num(r, happened) > 0 {
			pairs += below
			events++
		} else {
			below++
		}
	}
	return pairs / (events * below)
}

func purchases(t *testing.T, w World, c *table) {
	t.Helper()
	said, happened := 0.0, 0.0
	for _, r := range c.rows {
		for _, s := range strings.Split(c.get(r, "purchase"), "|") {
			if _, v, ok := strings.Cut(s, "="); ok {
				said += c.num([]string{v}, c.column(0))
			}
		}
		if s := c.get(r, "purchased"); s != "" {
			happened += float64(strings.Count(s, "|") + 1)
		}
	}
	t.Logf("%s: purchases: %.0f said, %.0f happened", w, said, happened)
	// Who leaves buys no more, which the truth of a purchase does not foresee.
	if abs(said-happened) > 4*math.Sqrt(said)+0.15*said {
		t.Errorf("%s: purchases: %.0f said, %.0f happened", w, said, happened)
	}
}

// TestContactWorksUnequally: some are kept by a call, some are lost by it.
func TestContactWorksUnequally(t *testing.T) {
	m, _ := write(t, Options{Customers: 3000, Seed: 5, Truth: true})
	c := read(t, m, TruthCustomersFile)
	better, worse := 0, 0
	for _, r := range c.rows {
		switch d := c.num(r, "lapse_any_contacted") - c.num(r, "lapse_any"); {
		case d < -0.02:
			better++
		case d > 0.02:
			worse++
		}
	}
	t.Logf("of %d, %d better and %d worse by two points", len(c.rows), better, worse)
	if better < len(c.rows)/50 || worse < len(c.rows)/100 {
		t.Errorf("of %d, %d better and %d worse by two points", len(c.rows), better, worse)
	}
}

// signal is the largest difference, in standard errors, that a split on something
// recorded makes in what happens after the as-of date.
func signal(t *testing.T, w World) (lapse, claims float64) {
	m, _ := write(t, Options{Customers: 6000, Seed: 11, World: w, Truth: true})
	c, truth, truthPolicies := read(t, m, CustomersFile), read(t, m, TruthCustomersFile), read(t, m, TruthPoliciesFile)
	p := read(t, m, PoliciesFile)
	customer, policy := c.latest("customer_id"), p.latest("policy_id")
	held, claimed, complained := map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range truthPolicies.rows {
		held[r[1]]++
	}
	past := read(t, m, ClaimsFile)
	for _, r := range past.latest("claim_id") {
		claimed[past.get(r, "customer_id")]++
	}
	contacts := read(t, m, ContactsFile)
	for _, r := range contacts.rows {
		if contacts.get(r, "reason") == "complaint" {
			complained[r[0]]++
		}
	}
	about := map[string]func(id string) bool{
		"policies":   func(id string) bool { return held[id] > 1 },
		"claims":     func(id string) bool { return claimed[id] > 0 },
		"complaints": func(id string) bool { return complained[id] > 0 },
		"age":        func(id string) bool { return c.num(customer[id], "birth_year") > 1985 },
		"business":   func(id string) bool { return c.get(customer[id], "segment") == "business" },
		"origin":     func(id string) bool { return c.get(customer[id], "origin") == "acquisition" },
		"postcode":   func(id string) bool { return c.get(customer[id], "postcode")[0] < '4' },
	}
	for what, split := range about {
		var d difference
		var e difference
		for _, r := range truth.rows {
			d.add(split(r[0]), truth.num(r, "y0_any"), 1)
		}
		for _, r := range truthPolicies.rows {
			e.add(split(r[1]), truthPolicies.num(r, "realised_claims"), truthPolicies.num(r, "exposure"))
		}
		t.Logf("%s: %s: lapse %.1f, claims %.1f", w, what, d.z(), e.z())
		lapse, claims = max(lapse, d.z()), max(claims, e.z())
	}
	var branch, premium difference
	for _, r := range truthPolicies.rows {
		n, e := truthPolicies.num(r, "realised_claims"), truthPolicies.num(r, "exposure")
		branch.add(r[2] == "motor", n, e)
		premium.add(p.num(policy[r[0]], "annual_premium") > 200, n, e)
	}
	t.Logf("%s: claims by branch %.1f, by premium %.1f", w, branch.z(), premium.z())
	return lapse, max(claims, branch.z(), premium.z())
}

// difference compares two rates.
type difference struct{ events, exposure [2]float64 }

func (d *difference) add(second bool, events, exposure float64) {
	i := 0
	if second {
		i = 1
	}
	d.events[i] += events
	d.exposure[i] += exposure
}

// z is the difference in standard errors of counts. Members of a household decide
// together, so a true null stays below about 4.
func (d *difference) z() float64 {
	if d.exposure[0] == 0 || d.exposure[1] == 0 {
		return 0 // nobody to compare with: in the null world nobody complains
	}
	rate := (d.events[0] + d.events[1]) / (d.exposure[0] + d.exposure[1])
	return abs(d.events[0]/d.exposure[0]-d.events[1]/d.exposure[1]) / math.Sqrt(rate/d.exposure[0]+rate/d.exposure[1])
}

func TestNothingDrivesTheNullWorld(t *testing.T) {
	if lapse, claims := signal(t, Null); lapse > 4 || claims > 4 {
		t.Errorf("something recorded tells of lapses (%.1f standard errors) or claims (%.1f)", lapse, claims)
	}
	// The same look finds what drives the other worlds, or it would prove nothing.
	for _, w := range []World{A, B} {
		if lapse, claims := signal(t, w); lapse < 5 || claims < 4.5 {
			t.Errorf("%s: lapses %.1f and claims %.1f standard errors", w, lapse, claims)
		}
	}
}
