package nbp_test

import (
	"math"
	"slices"
	"testing"

	"polis/handler/internal/care"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	. "polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

var (
	asOf  = portfolio.MustDate(2026, 3, 31)
	known = portfolio.Version{RecordedAt: asOf - 900, ValidFrom: asOf - 900}
)

func logit(p float64) float64 { return math.Log(p / (1 - p)) }

// made sells every branch that it has a model for but boat, which nobody has a premium of.
func made(t *testing.T) *Model {
	fields := feature.OfferFields()
	m := &Model{Branches: map[string]score.Model{}, Premium: map[string]float64{}, Bands: score.Bands{0.05, 0.1, 0.2}}
	for branch, p := range map[string]float64{"liability": 0.04, "contents": 0.08, "travel": 0.15, "accident": 0.01, "legal": 0.02, "life": 0.9, "cyber": 0.12, "boat": 0.5, "building": 0.03} {
		m.Branches[branch] = scoretest.Model(t, fields, model.Logistic, logit(p), scoretest.Step{Field: "policies", Edges: []float64{2}, Values: []float64{0, 0, 0.5}})
		m.Premium[branch] = 100
	}
	delete(m.Premium, "boat")
	return m
}

func person(birth int, branches ...string) *portfolio.Aggregate {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: birth, Version: known}}}
	for _, b := range branches {
		a.Policies = append(a.Policies, portfolio.Policy{
			ID: b, CustomerID: "c", Branch: b, StartDate: asOf - 800, AnnualPremium: 30000, Status: portfolio.Active, Version: known,
		})
	}
	return a
}

func scored(t *testing.T, rk *risk.Result, members ...*portfolio.Aggregate) *Result {
	t.Helper()
	var r Result
	New(made(t)).Score(scoretest.Input(asOf, members...), rk, &r)
	return &r
}

func branches(r *Result) []string {
	var out []string
	for _, o := range r.Offers {
		out = append(out, o.Branch)
	}
	return out
}

// TestWhatIsOffered: gaps first, then by probability; nothing that the relation holds,
// that its segment cannot buy, or that is life or health.
func TestWhatIsOffered(t *testing.T) {
	business := person(0, "business_property")
	business.Customers[0].Segment = portfolio.Business
	partner := person(1981, "travel")
	partner.Customers[0].ID = "d"
	for name, tc := range map[string]struct {
		members []*portfolio.Aggregate
		gaps    []care.Trigger
		want    []string
	}{
		"by probability":          {[]*portfolio.Aggregate{person(1980, "motor")}, nil, []string{"travel", "contents", "liability", "building", "legal"}},
		"a gap comes first":       {[]*portfolio.Aggregate{person(1980, "motor")}, []care.Trigger{{Branch: "liability"}}, []string{"liability", "travel", "contents", "building", "legal"}},
		"what the partner holds":  {[]*portfolio.Aggregate{person(1980, "motor"), partner}, nil, []string{"contents", "liability", "building", "legal", "accident"}},
		"what a business can buy": {[]*portfolio.Aggregate{business}, nil, []string{"cyber", "legal"}},
		"too old for accident":    {[]*portfolio.Aggregate{person(1950, "motor", "travel")}, nil, []string{"contents", "liability", "building", "legal"}},
		"not of age":              {[]*portfolio.Aggregate{person(2015, "pet")}, nil, nil},
		"born in the future":      {[]*portfolio.Aggregate{person(2090, "motor", "travel", "contents")}, nil, []string{"liability", "building", "legal", "accident"}},
		"no year of birth":        {[]*portfolio.Aggregate{person(1900, "motor", "travel", "contents")}, nil, []string{"liability", "building", "legal", "accident"}},
	} {
		if got := branches(scored(t, &risk.Result{Care: care.Result{Triggers: tc.gaps}}, tc.members...)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestTheFirstOffer(t *testing.T) {
	r := scored(t, &risk.Result{Care: care.Result{Triggers: []care.Trigger{{Branch: "liability"}}}}, person(1980, "motor", "pet"))
	p := 1 / (1 + math.Exp(-logit(0.04)-0.5))
	first := r.Offers[0]
	if first.Need != "gap" || math.Abs(first.Probability-p) > 1e-12 || math.Abs(first.Value-p*100*0.17) > 1e-12 || r.Band != score.Medium {
		t.Errorf("%+v, band %s", first, r.Band)
	}
	if r.Offers[1].Need != "useful" || r.Offers[2].Need != "essential" {
		t.Errorf("needs: %+v", r.Offers)
	}
	if len(r.Reasons.Top) != 1 || r.Reasons.Top[0].Contribution != 0.5 || math.Abs(r.Reasons.Link-logit(first.Probability)) > 1e-12 {
		t.Errorf("reasons: %+v", r.Reasons)
	}
}

// TestAReplacedPolicyIsStillHeld: a branch rewritten with another carrier is no branch
// that is missing.
func TestAReplacedPolicyIsStillHeld(t *testing.T) {
	a := person(1980, "motor", "travel")
	old := a.Policies[1]
	old.ID, old.EndDate, old.Status, old.EndReason = "old", asOf-20, portfolio.Ended, "lapse"
	a.Policies[1].StartDate = asOf - 20
	a.Policies = append(a.Policies, old)
	if got := branches(scored(t, &risk.Result{}, a)); slices.Contains(got, "travel") {
		t.Errorf("travel is offered: %v", got)
	}
}

func TestCareWithholdsOffers(t *testing.T) {
	for name, tc := range map[string]struct {
		triggers []care.Trigger
		want     string
	}{
		"nothing":              {nil, ""},
		"what holds none back": {[]care.Trigger{{Code: "turning_18", Points: 90}}, ""},
		"the weightiest":       {[]care.Trigger{{Code: "turning_18", Points: 90}, {Code: "unresolved_complaint", Points: 45, Holds: true}, {Code: "claims_in_short_time", Points: 30, Holds: true}}, "unresolved_complaint"},
	} {
		r := scored(t, &risk.Result{Care: care.Result{Triggers: tc.triggers}}, person(1980, "motor"))
		if r.Withheld != tc.want {
			t.Errorf("%s: offers are withheld for %q", name, r.Withheld)
		}
	}
}

// TestConsent: the last word on marketing by the as-of date holds; without one contact
// is allowed.
func TestConsent(t *testing.T) {
	word := func(purpose string, given bool, on portfolio.Date) portfolio.Consent {
		return portfolio.Consent{Purpose: purpose, Channel: "email", Given: given, On: on}
	}
	for name, tc := range map[string]struct {
		said []portfolio.Consent
		want bool
	}{
		"nothing said":                  {nil, true},
		"refused":                       {[]portfolio.Consent{word("marketing", false, asOf-9)}, false},
		"refused without date":          {[]portfolio.Consent{word("marketing", false, 0)}, false},
		"given, then refused":           {[]portfolio.Consent{word("marketing", true, asOf-90), word("marketing", false, asOf-9)}, false},
		"refused, then given":           {[]portfolio.Consent{word("marketing", false, asOf-90), word("marketing", true, asOf-9)}, true},
		"the same, the other way round": {[]portfolio.Consent{word("marketing", true, asOf-9), word("marketing", false, asOf-90)}, true},
		"refused tomorrow":              {[]portfolio.Consent{word("marketing", false, asOf+1)}, true},
		"refused something else":        {[]portfolio.Consent{word("newsletter", false, asOf-9)}, true},
	} {
		a := person(1980, "motor")
		a.Customers[0].Consents = tc.said
		if r := scored(t, &risk.Result{}, a); r.MayContact != tc.want {
			t.Errorf("%s: contact is allowed: %v", name, r.MayContact)
		}
	}
}

func TestWithoutPolicies(t *testing.T) {
	if r := scored(t, &risk.Result{}, person(1980)); r.Status != score.NoPolicies || len(r.Offers) != 0 {
		t.Errorf("%+v", r)
	}
	partner := person(1981, "motor")
	partner.Customers[0].ID = "d"
	if r := scored(t, &risk.Result{}, person(1980), partner); r.Status != score.Scored || len(r.Offers) == 0 {
		t.Errorf("a partner of somebody insured: %+v", r)
	}
}

func TestSoldIsWhatHasAPremium(t *testing.T) {
	if sold := made(t).Sold(); sold["boat"] || !sold["travel"] {
		t.Errorf("%v", sold)
	}
}
