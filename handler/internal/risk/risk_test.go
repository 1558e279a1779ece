package risk_test

import (
	"math"
	"strconv"
	"testing"

	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	. "polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

var (
	asOf  = portfolio.MustDate(2026, 3, 31)
	known = portfolio.Version{RecordedAt: asOf - 900, ValidFrom: asOf - 900}
)

// made says: 0.1 claims a year of EUR 1,000, three times as many below the age of 30.
func made(t *testing.T) *Model {
	fields := feature.PolicySchema{}.Fields()
	return &Model{
		Frequency: scoretest.Model(t, fields, model.Poisson, math.Log(0.1), scoretest.Step{Field: "age", Edges: []float64{30}, Values: []float64{0, math.Log(3), 0}}),
		Severity:  model.Constant(fields, model.Gamma, math.Log(1000), ""),
		Excess:    map[string]float64{"motor": 1.5},
		Quantiles: []float64{0, 0.25, 0.5, 1, 2}, LossQuantiles: []float64{0, 100, 200},
		Bands: score.Bands{50, 80, 95},
		Sold:  map[string]bool{"liability": true, "contents": true},
	}
}

func policy(id, branch string, premium portfolio.Cents) portfolio.Policy {
	return portfolio.Policy{ID: id, CustomerID: "c", Branch: branch, StartDate: asOf - 800, AnnualPremium: premium, Status: portfolio.Active, Version: known}
}

func person(birth int, policies ...portfolio.Policy) *portfolio.Aggregate {
	return &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: birth, Version: known}}, Policies: policies}
}

func scored(t *testing.T, members ...*portfolio.Aggregate) *Result {
	t.Helper()
	var r Result
	New(made(t)).Score(scoretest.Input(asOf, members...), &r)
	return &r
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestExpectedLoss(t *testing.T) {
	r := scored(t, person(2000, policy("m", "motor", 30000), policy("x", "liability", 6000)))
	if len(r.Policies) != 2 || r.Status != score.Scored {
		t.Fatalf("%+v", r)
	}
	motor, other := r.Policies[0], r.Policies[1]
	near(t, "motor's frequency", motor.Frequency, 0.3)
	near(t, "motor's severity, with the excess loading", motor.Severity, 1500)
	near(t, "motor's loss", motor.Loss, 450)
	near(t, "motor's loss ratio", motor.Ratio, 1.5)
	near(t, "the other's severity", other.Severity, 1000)
	near(t, "the customer's loss", r.Loss, 750)
	near(t, "the customer's loss ratio", r.Ratio, 750.0/360)
	near(t, "the score beyond the distribution", r.Score, 100)
	if r.Band != score.VeryHigh || r.Of != "m" {
		t.Errorf("band %s, reasons of %s", r.Band, r.Of)
	}
}

// TestReasonsAreOfTheLargestLoss: they add up to the log of that policy's expected loss,
// which is frequency times severity before the excess loading.
func TestReasonsAreOfTheLargestLoss(t *testing.T) {
	r := scored(t, person(2000, policy("x", "liability", 6000), policy("m", "motor", 30000)))
	if r.Of != "m" || len(r.Reasons.Top) != 1 || r.Reasons.Top[0].Code != "age" || r.Reasons.Top[0].Number != 26 {
		t.Fatalf("of %s: %+v", r.Of, r.Reasons)
	}
	near(t, "the link", r.Reasons.Link, math.Log(0.3*1000))
	near(t, "score minus intercept", r.Reasons.Top[0].Contribution+r.Reasons.Rest, r.Reasons.Link-r.Reasons.Base)
}

func TestThePlaceInTheBook(t *testing.T) {
	for _, tc := range []struct {
		premium portfolio.Cents // of a motor policy with an expected loss of EUR 150
		score   float64
		band    score.Band
	}{
		{60000, 25, score.Low}, // a ratio of 0.25 is a quantile
		{40000, 37.5, score.Low},
		{20000, 62.5, score.Medium},
		{15000, 75, score.Medium},
		{10000, 87.5, score.High},
		{1, 100, score.VeryHigh},
	} {
		r := scored(t, person(1980, policy("m", "motor", tc.premium)))
		near(t, "the score at a premium of "+tc.premium.String(), r.Score, tc.score)
		if r.Band != tc.band {
			t.Errorf("a score of %v is %s, not %s", r.Score, r.Band, tc.band)
		}
	}
}

// TestPremiumsThatAreNotKnown: losses without a premium do not make a ratio, and euros
// have no place among ratios.
func TestPremiumsThatAreNotKnown(t *testing.T) {
	r := scored(t, person(1980, policy("a", "motor", 15000), policy("b", "motor", 0)))
	near(t, "the ratio of the policy with a premium", r.Ratio, 1)
	near(t, "the loss of both", r.Loss, 300)
	if !math.IsNaN(r.Policies[1].Ratio) {
		t.Errorf("a policy without a premium has the ratio %v", r.Policies[1].Ratio)
	}
	r = scored(t, person(1980, policy("b", "motor", 0)))
	near(t, "the place of EUR 150 among losses", r.Score, 75)
	if !math.IsNaN(r.Ratio) {
		t.Errorf("the ratio without any premium is %v", r.Ratio)
	}
	m := made(t)
	m.Quantiles = nil
	var got Result
	New(m).Score(scoretest.Input(asOf, person(1980, policy("a", "motor", 15000))), &got)
	near(t, "the place in a book without a distribution", got.Score, 50)
}

func TestWhoIsNotScored(t *testing.T) {
	ended := policy("e", "motor", 30000)
	ended.EndDate, ended.Status, ended.EndReason = asOf, portfolio.Ended, "lapse"
	tomorrow := policy("t", "motor", 30000)
	tomorrow.StartDate = asOf + 1
	for name, tc := range map[string]struct {
		policies []portfolio.Policy
		want     score.Status
	}{
		"no policies":        {nil, score.NoPolicies},
		"ended today":        {[]portfolio.Policy{ended}, score.NoPolicies},
		"starts tomorrow":    {[]portfolio.Policy{tomorrow}, score.NoPolicies},
		"life and health":    {[]portfolio.Policy{policy("l", "life", 9000), policy("h", "health", 9000)}, score.NotInScope},
		"health and motor":   {[]portfolio.Policy{policy("h", "health", 9000), policy("m", "motor", 9000)}, score.Scored},
		"an unlisted branch": {[]portfolio.Policy{policy("u", "drone", 9000)}, score.Scored},
	} {
		r := scored(t, person(1980, tc.policies...))
		if r.Status != tc.want {
			t.Errorf("%s: %s, want %s", name, r.Status, tc.want)
		}
		for _, p := range r.Policies {
			if b, _ := portfolio.BranchOf(p.Branch); b.LifeOrHealth {
				t.Errorf("%s: %s is scored", name, p.Branch)
			}
		}
	}
}

func claim(id string, on portfolio.Date, reserve portfolio.Cents, status portfolio.Status) portfolio.Claim {
	return portfolio.Claim{ID: id, PolicyID: "m", CustomerID: "c", LossDate: on, Reserve: reserve, Status: status, Version: portfolio.Version{RecordedAt: on, ValidFrom: on}}
}

func contact(on portfolio.Date, reason string, resolved portfolio.Date) portfolio.Contact {
	c := portfolio.Contact{CustomerID: "c", At: portfolio.Instant(on.Time().Unix()), Reason: reason}
	if resolved != 0 {
		c.ResolvedAt = portfolio.Instant(resolved.Time().Unix())
	}
	return c
}

func TestCareSignals(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*portfolio.Aggregate)
		want   []Signal
	}{
		"nothing": {func(*portfolio.Aggregate) {}, nil},
		"two claims": {func(a *portfolio.Aggregate) {
			a.Claims = []portfolio.Claim{claim("1", asOf-30, 100, portfolio.ClaimClosed), claim("2", asOf-60, 100, portfolio.ClaimClosed)}
		}, nil},
		"three claims": {func(a *portfolio.Aggregate) {
			a.Claims = []portfolio.Claim{claim("1", asOf-30, 100, portfolio.ClaimClosed), claim("2", asOf-60, 100, portfolio.ClaimClosed), claim("3", asOf-90, 100, portfolio.ClaimClosed)}
		}, []Signal{{Claims, 3}}},
		"three claims, one rejected": {func(a *portfolio.Aggregate) {
			a.Claims = []portfolio.Claim{claim("1", asOf-30, 100, portfolio.ClaimClosed), claim("2", asOf-60, 100, portfolio.ClaimClosed), claim("3", asOf-90, 100, portfolio.ClaimRejected)}
		}, nil},
		"a large open claim": {func(a *portfolio.Aggregate) {
			a.Claims = []portfolio.Claim{claim("1", asOf-30, 1_000_000, portfolio.ClaimOpen)}
		}, []Signal{{Severe, 1}}},
		"a large closed claim": {func(a *portfolio.Aggregate) {
			a.Claims = []portfolio.Claim{claim("1", asOf-30, 1_000_000, portfolio.ClaimClosed)}
		}, nil},
		"an open complaint":    {func(a *portfolio.Aggregate) { a.Contacts = []portfolio.Contact{contact(asOf-9, "complaint", 0)} }, []Signal{{Complaint, 1}}},
		"resolved tomorrow":    {func(a *portfolio.Aggregate) { a.Contacts = []portfolio.Contact{contact(asOf-9, "complaint", asOf+1)} }, []Signal{{Complaint, 1}}},
		"a resolved complaint": {func(a *portfolio.Aggregate) { a.Contacts = []portfolio.Contact{contact(asOf-9, "complaint", asOf-8)} }, nil},
		"a complaint of long ago": {func(a *portfolio.Aggregate) {
			a.Contacts = []portfolio.Contact{contact(asOf-500, "complaint", 0)}
		}, nil},
		"two resolved complaints": {func(a *portfolio.Aggregate) {
			a.Contacts = []portfolio.Contact{contact(asOf-19, "complaint", asOf-18), contact(asOf-9, "complaint", asOf-8)}
		}, []Signal{{"repeated_complaints", 2}}},
		"six mutations": {func(a *portfolio.Aggregate) {
			for i := range 6 {
				p := policy("m", "motor", portfolio.Cents(30000+i))
				p.RecordedAt = asOf - portfolio.Date(100-i)
				a.Policies = append(a.Policies, p)
			}
		}, []Signal{{"many_mutations", 6}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := person(1980, policy("m", "motor", 30000), policy("x", "liability", 6000))
			tc.change(a)
			if r := scored(t, a); !same(r.Signals, tc.want) {
				t.Errorf("%v, want %v", r.Signals, tc.want)
			}
			var r Result // care is the same for who objects
			New(made(t)).Care(scoretest.Input(asOf, a), &r)
			if r.Status != score.Objected || !same(r.Signals, tc.want) || len(r.Policies) != 0 {
				t.Errorf("of an objector: %s %v", r.Status, r.Signals)
			}
		})
	}
}

func same(got, want []Signal) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if got[i] != want[i] {
			return false
		}
	}
	return true
}

func TestCoverageGaps(t *testing.T) {
	motor, liability, building := policy("m", "motor", 30000), policy("x", "liability", 6000), policy("b", "building", 20000)
	for name, tc := range map[string]struct {
		segment portfolio.Segment
		holds   []portfolio.Policy
		partner []portfolio.Policy
		want    []string
	}{
		"motor alone":                        {"", []portfolio.Policy{motor}, nil, []string{"household_without_liability"}},
		"motor and liability":                {"", []portfolio.Policy{motor, liability}, nil, nil},
		"the partner has liability":          {"", []portfolio.Policy{motor}, []portfolio.Policy{liability}, nil},
		"a building alone":                   {"", []portfolio.Policy{building}, nil, []string{"household_without_liability", "building_without_contents"}},
		"health alone":                       {"", []portfolio.Policy{policy("h", "health", 9000)}, nil, nil},
		"nothing":                            {"", nil, nil, nil},
		"a business with motor":              {portfolio.Business, []portfolio.Policy{motor}, nil, nil},
		"what the office does not sell":      {portfolio.Business, []portfolio.Policy{policy("f", "fleet", 9000)}, nil, nil},
		"a partner's motor is the household": {"", nil, []portfolio.Policy{motor}, []string{"household_without_liability"}},
	} {
		a := person(1980, tc.holds...)
		a.Customers[0].Segment = tc.segment
		b := person(1981, tc.partner...)
		b.Customers[0].ID = "d"
		r, codes := scored(t, a, b), []string(nil)
		for _, g := range r.Gaps {
			codes = append(codes, g.Code)
		}
		if len(codes) != len(tc.want) {
			t.Errorf("%s: %v, want %v", name, codes, tc.want)
			continue
		}
		for i := range codes {
			if codes[i] != tc.want[i] {
				t.Errorf("%s: %v, want %v", name, codes, tc.want)
			}
		}
	}
}

// TestALateClaimIsNotSeen: what was reported after the as-of date was not known on it.
func TestALateClaimIsNotSeen(t *testing.T) {
	a := person(1980, policy("m", "motor", 30000))
	before := *scored(t, a)
	late := claim("1", asOf-30, 1_000_000, portfolio.ClaimOpen)
	late.RecordedAt = asOf + 5
	a.Claims = append(a.Claims, late)
	if r := scored(t, a); r.Loss != before.Loss || len(r.Signals) != 0 {
		t.Errorf("loss %v and signals %v, before %v", r.Loss, r.Signals, before.Loss)
	}
}

func TestAFleetIsScored(t *testing.T) {
	a := person(0)
	a.Customers[0].Segment = portfolio.Business
	for i := range 2000 {
		a.Policies = append(a.Policies, policy("v"+strconv.Itoa(i), "motor", 30000))
	}
	for i := range 200 {
		c := claim(strconv.Itoa(i), asOf-portfolio.Date(i+1), 100000, portfolio.ClaimClosed)
		c.PolicyID = "v" + strconv.Itoa(i*7)
		a.Claims = append(a.Claims, c)
	}
	r := scored(t, a)
	if len(r.Policies) != 2000 {
		t.Fatalf("%d policies are scored", len(r.Policies))
	}
	near(t, "2,000 times EUR 150", r.Loss, 300_000)
}
