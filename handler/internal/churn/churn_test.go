package churn_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	. "polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

var (
	asOf  = portfolio.MustDate(2026, 3, 31)
	known = portfolio.Version{RecordedAt: asOf - 900, ValidFrom: asOf - 900}
)

func logit(p float64) float64 { return math.Log(p / (1 - p)) }

func constant(p float64) *model.Model {
	return model.Constant(feature.HazardFields(), model.Logistic, logit(p), "")
}

func alone(p float64) *model.Model {
	return model.Constant(feature.PolicyHazardFields(), model.Logistic, logit(p), "")
}

// flat is a model of hazards that are the same in every month.
func flat(lapse, other, policyLapse, policyOther float64) *Model {
	return &Model{Lapse: constant(lapse), Other: constant(other), PolicyLapse: alone(policyLapse), PolicyOther: alone(policyOther), Bands: score.Bands{0.1, 0.2, 0.3}}
}

func relation(branches ...string) *feature.Group {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: 1980, Version: known}}}
	for i, b := range branches {
		a.Policies = append(a.Policies, portfolio.Policy{
			ID: string(rune('a' + i)), CustomerID: "c", Branch: b, StartDate: portfolio.MustDate(2020, 7, 1), AnnualPremium: 30000, Status: portfolio.Active, Version: known,
		})
	}
	return scoretest.Input(asOf, a).Group
}

func scored(m *Model, g *feature.Group) *Result {
	var r Result
	New(m).Score(g, &r)
	return &r
}

// TestConstantHazards: with hazards that do not change, cumulative incidence has a
// closed form: each cause's share of all that ended.
func TestConstantHazards(t *testing.T) {
	const lapse, other = 0.02, 0.005
	r := scored(flat(lapse, other, 0.01, 0.001), relation("motor", "contents"))
	for k := 0; k <= Horizon; k++ {
		alive := math.Pow(1-lapse-other, float64(k))
		if math.Abs(r.Alive[k]-alive) > 1e-12 || math.Abs(r.Lapsed[k]-(1-alive)*lapse/(lapse+other)) > 1e-12 {
			t.Errorf("month %d: alive %v, lapsed %v", k, r.Alive[k], r.Lapsed[k])
		}
	}
	if r.Band != score.High {
		t.Errorf("a probability of %v is %s", r.Lapsed[12], r.Band)
	}
}

// TestHorizonsNeverCross: whatever the hazards, even such as add up to more than
// certainty, the probabilities are some and ascend.
func TestHorizonsNeverCross(tb *testing.T) {
	g := relation("motor", "contents")
	rapid.Check(tb, func(t *rapid.T) {
		link := rapid.Float64Range(-40, 40)
		values := rapid.SliceOfN(link, 14, 14).Draw(t, "by calendar month")
		months := scoretest.Step{Field: "month_calendar", Edges: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, Values: values}
		hazard := feature.HazardFields()
		m := &Model{
			Lapse: scoretest.Model(tb, hazard, model.Logistic, link.Draw(t, "lapse"), months),
			Other: model.Constant(hazard, model.Logistic, link.Draw(t, "other"), ""), PolicyLapse: alone(0.01), PolicyOther: alone(0.01),
		}
		r := scored(m, g)
		for k := 1; k <= Horizon; k++ {
			if r.Lapsed[k] < r.Lapsed[k-1] || r.Alive[k] > r.Alive[k-1] || r.Alive[k] < 0 || r.Lapsed[k] > 1 || r.Lapsed[k]+r.Alive[k] > 1+1e-9 {
				t.Fatalf("month %d: lapsed %v after %v, alive %v after %v", k, r.Lapsed[k], r.Lapsed[k-1], r.Alive[k], r.Alive[k-1])
			}
		}
	})
}

// TestTheRenewalMonthComesRound: the hazard of the month of renewal, July here, is met
// in July of each year.
func TestTheRenewalMonthComesRound(t *testing.T) {
	m := &Model{
		Lapse: scoretest.Model(t, feature.HazardFields(), model.Logistic, logit(0.001), scoretest.Step{Field: "month_renewal", Edges: []float64{1}, Values: []float64{0, 5, 0}}),
		Other: constant(1e-9), PolicyLapse: alone(0.01), PolicyOther: alone(0.01),
	}
	r := scored(m, relation("motor", "contents"))
	var high []int
	for k := 1; k <= Horizon; k++ {
		if r.Lapsed[k]-r.Lapsed[k-1] > 0.02*r.Alive[k-1] {
			high = append(high, k)
		}
	}
	// From the end of March, 1 July is in the fourth month.
	if len(high) != 3 || high[0] != 4 || high[1] != 16 || high[2] != 28 {
		t.Errorf("months of renewal: %v", high)
	}
}

func TestReasonsAreOfTheFirstMonth(t *testing.T) {
	m := &Model{
		Lapse: scoretest.Model(
			t, feature.HazardFields(), model.Logistic, -4,
			scoretest.Step{Field: "policies", Edges: []float64{3}, Values: []float64{0, 0.75, -0.5}},
			scoretest.Step{Field: "month_calendar", Edges: []float64{4}, Values: []float64{0, 0.25, -0.125}},
		),
		Other: constant(0.001), PolicyLapse: alone(0.01), PolicyOther: alone(0.01),
	}
	r := scored(m, relation("motor", "contents"))
	if r.Of != "" || len(r.Reasons.Top) != 2 || r.Reasons.Top[0].Code != "policies" || r.Reasons.Top[0].Contribution != 0.75 || r.Reasons.Top[1].Contribution != 0.25 {
		t.Errorf("%+v", r.Reasons)
	}
	if r.Reasons.Base+0.75+0.25+r.Reasons.Rest != r.Reasons.Link || math.Abs(r.Lapsed[1]-1/(1+math.Exp(3))) > 1e-12 {
		t.Errorf("link %v, lapsed within a month %v", r.Reasons.Link, r.Lapsed[1])
	}
}

func TestDefinitions(t *testing.T) {
	m := flat(0.01, 0.001, 0.01, 0.001)
	for _, tc := range []struct {
		branches []string
		want     Definition
		status   score.Status
	}{
		{[]string{"motor", "travel"}, AllEssential, score.Scored},
		{[]string{"travel", "legal"}, All, score.Scored},
		{[]string{"drone"}, All, score.Scored},
		{nil, All, score.NoPolicies},
	} {
		if r := scored(m, relation(tc.branches...)); r.Definition != tc.want || r.Status != tc.status {
			t.Errorf("%v: %s, %s", tc.branches, r.Definition, r.Status)
		}
	}
}

func TestScoringAllocatesNothing(t *testing.T) {
	e, g := New(flat(0.01, 0.001, 0.01, 0.001)), relation("motor", "contents", "motor", "travel")
	var r Result
	e.Score(g, &r)
	if n := testing.AllocsPerRun(20, func() { e.Score(g, &r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
