package clv_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/care"
	"polis/handler/internal/churn"
	. "polis/handler/internal/clv"
	"polis/handler/internal/defend"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

var (
	asOf  = portfolio.MustDate(2026, 3, 31)
	start = portfolio.MustDate(2025, 4, 1) // with the as-of date, a policy year
	known = portfolio.Version{RecordedAt: start, ValidFrom: start}
)

func person(policies ...portfolio.Policy) *portfolio.Aggregate {
	return &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: 1980, Version: known}}, Policies: policies}
}

// policy gives its commission unless that is 0.
func policy(id, branch string, premium portfolio.Cents, commission float64) portfolio.Policy {
	rate := portfolio.Rate{}
	if commission != 0 {
		rate = portfolio.RateOf(commission)
	}
	return portfolio.Policy{
		ID: id, CustomerID: "c", Branch: branch, StartDate: start, AnnualPremium: premium, CommissionRate: rate, Status: portfolio.Active, Version: known,
	}
}

// ends is a churn result of a constant monthly probability of any end.
func ends(hazard float64) *churn.Result {
	r := &churn.Result{Status: score.Scored, Definition: churn.All}
	r.Alive[0] = 1
	for k := 1; k <= churn.Horizon; k++ {
		r.Alive[k] = float64(r.Alive[k-1] * (1 - hazard))
		r.Lapsed[k] = 1 - r.Alive[k]
	}
	return r
}

// settings make sums that can be done by hand.
func settings(v View) Settings {
	s := Defaults
	s.View, s.DiscountRate = v, 0
	s.CommissionRate, s.ExpenseRatio, s.AgencyCommission, s.ProfitShare = 0.2, 0.25, 0.05, 0.1
	s.ServicingCost, s.ContactCost, s.AcquisitionCost = 10, 5, 30
	s.UnseenError, s.Market = 0, Market{}
	return s
}

// still is a book in which nothing moves but what the test moves: contacts go on as they
// were.
func still(s Settings) *Model {
	m := NewModel(s.Market)
	m.HazardError = 0
	m.Freeze([]float64{-100, 0, 100, 1000}, []float64{0, 0.05, 0.1, 0.2})
	return m
}

// claims are what risk says of the first policy: frequency and severity.
func claims(id string, frequency, severity float64) *risk.Result {
	return &risk.Result{Status: score.Scored, Loss: frequency * severity, Policies: []risk.Policy{{ID: id, Frequency: frequency, Severity: severity, Loss: frequency * severity}}}
}

func scored(s Settings, m *Model, in feature.Input, rk *risk.Result, ch *churn.Result, contacts int, wants ...float64) *Result {
	var r Result
	e := New(s, m)
	e.Begin(in.Group, ch)
	e.Score(in, rk, contacts, wants, &r)
	r.Relation = e.Relation()
	return &r
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-3*max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestTheMarginByView: two policies of EUR 1,000 and 500 a year, an expected loss of EUR
// 600 and two contacts, over ten years in which nothing ends.
func TestTheMarginByView(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0), policy("b", "travel", 50000, 0.3)))
	for v, want := range map[View]float64{
		Insurer:      1500 - 600 - 0.25*1500 - 2*5,
		Intermediary: 0.2*1000 + 0.3*500 - 2*10 - 2*5,
		Agency:       0.2*1000 + 0.3*500 + 0.05*1500 + 0.1*(1500-600) - 2*10 - 2*5,
	} {
		s := settings(v)
		r := scored(s, still(s), in, claims("a", 0.5, 1200), ends(0), 2)
		near(t, string(v)+"'s margin", r.Margin, want)
		near(t, string(v)+"'s value", r.Value, 10*want)
		near(t, string(v)+"'s components", r.Income-r.Loss-r.Cost, r.Value)
	}
	// The pool's profit is shared, so that a customer with a loss takes from it.
	s := settings(Agency)
	r := scored(s, still(s), in, claims("a", 1, 2000), ends(0), 2)
	near(t, "the agency's margin in years of losses", r.Margin, 0.2*1000+0.3*500+0.05*1500-0.1*500-2*10-2*5)
}

// TestLifeIsNoProfit: where losses count, the premium of branches whose losses are not
// estimated does not.
func TestLifeIsNoProfit(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0), policy("l", "life", 100000, 0)))
	value := func(v View) *Result {
		s := settings(v)
		return scored(s, still(s), in, claims("a", 0.5, 1200), ends(0), 0)
	}
	near(t, "the insurer's margin", value(Insurer).Margin, 1000-600-250)
	near(t, "the intermediary's margin", value(Intermediary).Margin, 400-20)
	near(t, "what the insurer has earned", value(Insurer).Realised, 750)
	only := scoretest.Input(asOf, person(policy("l", "life", 100000, 0)))
	s := settings(Insurer)
	if r := scored(s, still(s), only, &risk.Result{Status: score.NotInScope}, ends(0), 0); r.Status != score.Scored || r.Value != 0 {
		t.Errorf("an insurer's customer with life alone: %+v", r)
	}
}

// TestClaimsInflation: the year ahead has risk's figure as it is, whatever inflation is;
// each later year has so much more, and the money of another day's year is another.
func TestClaimsInflation(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	s := settings(Insurer)
	loss := func(months int, inflation float64, learnt portfolio.Date) float64 {
		s.HorizonMonths = months
		m := still(s)
		m.Inflation, m.Losses = inflation, learnt
		return scored(s, m, in, claims("a", 0.5, 1200), ends(0), 0).Loss
	}
	near(t, "the year ahead without inflation", loss(12, 0, asOf), 600)
	near(t, "the year ahead", loss(12, 0.1, asOf), 600)
	near(t, "two years", loss(24, 0.1, asOf), 600+660)
	near(t, "three years", loss(36, 0.1, asOf), 600+660+726)
	near(t, "the year ahead, risk's being of a year before", loss(12, 0.1, asOf.AddMonths(-12)), 660)
}

// TestSurvivalAndDiscount: the value of a constant margin is a geometric sum.
func TestSurvivalAndDiscount(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	s := settings(Intermediary)
	s.DiscountRate = 0.04
	const hazard = 0.01
	value := func(s Settings, hazard float64) float64 {
		return scored(s, still(s), in, claims("a", 0, 0), ends(hazard), 0).Value
	}
	discount, sum := math.Pow(1.04, -1.0/12), 0.0
	for k := range 120 { // ends fall in the middle of a month, and so does what it brings
		sum += (math.Pow(1-hazard, float64(k)) + math.Pow(1-hazard, float64(k+1))) / 2 * math.Pow(discount, float64(k)+0.5)
	}
	near(t, "the value, the last year's hazard carried on after three", value(s, hazard), 190.0/12*sum)
	if value(s, hazard/2) <= value(s, hazard) {
		t.Error("a relation that lasts longer is worth less")
	}
	dearer := s
	dearer.DiscountRate = 0.08
	if value(dearer, hazard) >= value(s, hazard) {
		t.Error("a higher discount rate makes it worth more")
	}
}

// TestSingleEnds: of n policies that end singly, given that the relation is there, the sum
// is what it is among those draws of them in which at least one is left.
func TestSingleEnds(t *testing.T) {
	s := settings(Intermediary)
	m := still(s)
	m.Ends[""] = 0.2
	year := s
	year.HorizonMonths = 12
	for n, want := range map[int]float64{
		1: 1, // the last one is there as long as the relation
		2: func() float64 {
			// ∫ P(i alive at u | one of two alive at 1) du over a year, by hand.
			end, sum := math.Exp(-0.2), 0.0
			const steps = 10000
			for k := range steps {
				u := math.Exp(-0.2 * (float64(k) + 0.5) / steps)
				sum += (u*end + end*(1-end)) / (1 - (1-end)*(1-end)) / steps
			}
			return sum
		}(),
	} {
		var p []portfolio.Policy
		for i := range n {
			p = append(p, policy(string(rune('a'+i)), "unheard of", 100000, 0))
		}
		r := scored(year, m, scoretest.Input(asOf, person(p...)), claims("a", 0, 0), ends(0), 0)
		near(t, "the income per policy", r.Income/float64(n)/200, want)
	}
}

// TestTheInterval: intervals nest, are finite, and a sum of the points' mean is near the
// value.
func TestTheInterval(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0), policy("b", "travel", 30000, 0)))
	rapid.Check(t, func(t *rapid.T) {
		s := Defaults
		s.View = rapid.SampledFrom([]View{Insurer, Intermediary, Agency}).Draw(t, "view")
		s.DiscountRate = rapid.Float64Range(0, 1).Draw(t, "discount")
		s.HorizonMonths = rapid.IntRange(1, 600).Draw(t, "horizon")
		s.Coverage = rapid.Float64Range(0.5, 0.99).Draw(t, "coverage")
		rk := claims("a", rapid.Float64Range(0, 3).Draw(t, "frequency"), rapid.Float64Range(0, 5000).Draw(t, "severity"))
		r := scored(s, NewModel(s.Market), in, rk, ends(rapid.Float64Range(0, 1).Draw(t, "hazard")), rapid.IntRange(0, 300).Draw(t, "contacts"))
		p, h, x := r.Realisable, r.Half, r.Expected
		for _, v := range []float64{p.Low, h.Low, h.High, p.High, x.Low, x.High, r.AtStake, r.AtRisk, r.Margin} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%+v", r)
			}
		}
		if !(p.Low <= h.Low && h.Low <= h.High && h.High <= p.High) || !x.Holds(r.Value) {
			t.Fatalf("%+v", r)
		}
		if math.Abs(r.Income-r.Loss-r.Cost-r.Value) > 1e-6*max(1, r.Income) || r.Segment == nil {
			t.Fatalf("%+v", r)
		}
		if r.Relation.Customers != 1 || r.Relation.Realisable != p || r.Relation.Value != r.Value {
			t.Fatalf("alone, %+v, and the sum %+v", r, r.Relation)
		}
	})
}

// TestWhatMakesIntervalsWide: each thing that is not known widens them.
func TestWhatMakesIntervalsWide(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0), policy("b", "motor", 60000, 0)))
	s := settings(Insurer)
	width := func(m *Model, hazard, frequency float64) float64 {
		r := scored(s, m, in, claims("a", frequency, 500), ends(hazard), 0)
		return r.Realisable.High - r.Realisable.Low
	}
	if w := width(still(s), 0, 0); w > 5 {
		t.Errorf("where all is certain the interval is EUR %v wide", w)
	}
	for name, wide := range map[string]float64{
		"ends of the relation": width(still(s), 0.01, 0),
		"claims":               width(still(s), 0, 0.3),
		"single ends":          width(changed(s, func(m *Model) { m.Ends[""] = 0.2 }), 0, 0),
		"premiums":             width(changed(s, func(m *Model) { m.GrowthSD = 0.1 }), 0, 0),
		"purchases": width(changed(s, func(m *Model) {
			m.Wares = []Ware{{Name: "travel", Premium: 500, Rate: 0.2, Insured: 1, Usual: [3]float64{0.2, 0.2, 0.2}}}
		}), 0, 0),
		"the models' error": width(changed(s, func(m *Model) { m.Error = 0.1 }), 0, 0),
	} {
		if wide < 100 {
			t.Errorf("%s: EUR %v wide", name, wide)
		}
	}
	frail := changed(s, func(m *Model) { m.Frailty = 1 })
	if width(frail, 0, 2) <= width(still(s), 0, 2) {
		t.Error("customers that differ in claims do not widen the interval")
	}
	r := scored(s, changed(s, func(m *Model) { m.HazardError = 0.2 }), in, claims("a", 0, 0), ends(0.01), 0)
	exact := scored(s, still(s), in, claims("a", 0, 0), ends(0.01), 0)
	if exact.Expected.Low != exact.Expected.High || r.Expected.High-r.Expected.Low < 10 || r.Expected.High-r.Expected.Low > r.Realisable.High-r.Realisable.Low {
		t.Errorf("the expectation's interval is %v, and %v where the models are sure", r.Expected, exact.Expected)
	}
}

func changed(s Settings, change func(*Model)) *Model {
	m := still(s)
	change(m)
	return m
}

// TestAHouseholdsSum: members whose relation ends as one do not even each other out.
func TestAHouseholdsSum(t *testing.T) {
	one := person(policy("a", "motor", 100000, 0))
	two := person(policy("b", "motor", 100000, 0))
	two.Customers[0].ID = "d"
	views := []*portfolio.View{scoretest.Input(asOf, one).View, scoretest.Input(asOf, two).View}
	var g feature.Group
	g.Reset(views)
	s := settings(Intermediary)
	e := New(s, still(s))
	e.Begin(&g, ends(0.02))
	var r [2]Result
	for i, v := range views {
		e.Score(feature.Input{View: v, Group: &g}, claims("a", 0, 0), 0, nil, &r[i])
	}
	sum := e.Relation()
	near(t, "the sum's value", sum.Value, r[0].Value+r[1].Value)
	near(t, "its low end", sum.Realisable.Low, r[0].Realisable.Low+r[1].Realisable.Low)
	if high := r[0].Realisable.High + r[1].Realisable.High; math.Abs(sum.Realisable.High/high-1) > 0.01 {
		t.Errorf("the sum's high end is %v, want %v", sum.Realisable.High, high)
	}
	// Claims of two are their own, and even out.
	s = settings(Insurer)
	e = New(s, still(s))
	e.Begin(&g, ends(0))
	for i, v := range views {
		e.Score(feature.Input{View: v, Group: &g}, claims([]string{"a", "b"}[i], 0.5, 1000), 0, nil, &r[i])
	}
	width := func(i Interval) float64 { return i.High - i.Low }
	if w, both := width(e.Relation().Realisable), width(r[0].Realisable)+width(r[1].Realisable); w > 0.9*both {
		t.Errorf("the sum's interval is %v wide, its members' %v together", w, both)
	}
	if e.Begin(&g, ends(0)); e.Relation() != (Sum{}) {
		t.Error("a relation of which nobody is valued has a sum")
	}
}

// TestANegativeValue: a customer may cost more than it brings.
func TestANegativeValue(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100, 0)))
	s := settings(Intermediary)
	r := scored(s, still(s), in, claims("a", 0, 0), ends(0.02), 10)
	if r.Status != score.Scored || r.Value >= 0 || r.Realisable.Low >= r.Value || r.Realisable.High < r.Value || r.Segment.Code != "loss_making" || r.AtStake >= 0 {
		t.Errorf("%+v, segment %+v", r, r.Segment)
	}
}

// TestValueServesNobodyLess: what is owed and what may be offered does not read the value:
// risk's care and nbp's offers take no result of this engine, and defend suggests the same
// action for a customer whatever it is worth.
func TestValueServesNobodyLess(t *testing.T) {
	worth := reflect.TypeFor[*Result]()
	for name, f := range map[string]any{"risk": (*risk.Engine).Score, "care": (*risk.Engine).Care, "rules": (*care.Engine).Score, "nbp": (*nbp.Engine).Score, "churn": (*churn.Engine).Score} {
		typ := reflect.TypeOf(f)
		for i := range typ.NumIn() {
			if typ.In(i) == worth {
				t.Errorf("%s reads the value", name)
			}
		}
	}
	e := defend.New(&defend.Default)
	for name, rk := range map[string]*risk.Result{
		"a complaint": owed(care.Trigger{Code: "unresolved_complaint", Holds: true}),
		"claims":      owed(care.Trigger{Code: "claims_in_short_time", Holds: true}),
		"a gap":       owed(care.Trigger{Branch: "liability", Code: "household_without_liability"}),
		"a lapse":     {Status: score.Scored},
	} {
		ch := &churn.Result{Status: score.Scored}
		if name == "a lapse" {
			ch.Band = score.VeryHigh
		}
		var actions []string
		for _, value := range []float64{-5000, 0, 5000} {
			var r defend.Result
			e.Score(asOf, rk, ch, &Result{Status: score.Scored, Value: value, AtStake: value, AtRisk: value / 10}, &nbp.Result{MayContact: true}, math.NaN(), &r)
			actions = append(actions, r.Action)
		}
		if actions[0] == "" || actions[0] != actions[1] || actions[1] != actions[2] {
			t.Errorf("%s: what is done depends on the value: %q", name, actions)
		}
	}
}

// owed is what risk says of one of whom care asks something.
func owed(t care.Trigger) *risk.Result {
	return &risk.Result{Status: score.Scored, Care: care.Result{Triggers: []care.Trigger{t}}}
}

// TestAtStake: what a lapse within a year takes away, of a certain margin.
func TestAtStake(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	s := settings(Intermediary)
	s.HorizonMonths = 24
	ch := ends(0)
	for k := 6; k <= churn.Horizon; k++ { // half of them lapse in the sixth month
		ch.Alive[k], ch.Lapsed[k] = 0.5, 0.5
	}
	r := scored(s, still(s), in, claims("a", 0, 0), ch, 0)
	near(t, "at stake", r.AtStake, 190*2-190*5.5/12)
	near(t, "at risk", r.AtRisk, r.AtStake/2)
	s.HorizonMonths = 3
	if r := scored(s, still(s), in, claims("a", 0, 0), ch, 0); r.AtStake != 0 {
		t.Errorf("nobody lapses within the horizon, and at stake are EUR %v", r.AtStake)
	}
}

func TestRealised(t *testing.T) {
	a := person(policy("a", "motor", 100000, 0))
	a.Claims = []portfolio.Claim{{ID: "l", PolicyID: "a", CustomerID: "c", LossDate: start + 9, Paid: 20000, Reserve: 5000, Recovered: 1000, Status: portfolio.ClaimOpen, Version: known}}
	a.Contacts = []portfolio.Contact{{CustomerID: "c", At: portfolio.Instant((start + 3).Time().Unix())}}
	in := scoretest.Input(asOf, a)
	realised := func(v View) float64 {
		s := settings(v)
		return scored(s, still(s), in, claims("a", 0, 0), ends(0), 0).Realised
	}
	near(t, "an insurer's year", realised(Insurer), 750-240-5)
	near(t, "an intermediary's year", realised(Intermediary), 200-30-10-5)
	near(t, "an agency's year", realised(Agency), 200+50+0.1*(1000-240)-30-10-5)
}

// TestFlowsAddUp: what windows that meet realise is what the whole of them does, and a
// policy that stands in for another is not acquired again.
func TestFlowsAddUp(t *testing.T) {
	old, stand := policy("a", "motor", 100000, 0), policy("b", "motor", 120000, 0)
	old.EndDate, old.Status, old.EndReason = asOf-100, portfolio.Ended, "replaced"
	stand.StartDate = asOf - 90
	a := person(old, stand, policy("c", "travel", 10000, 0.3))
	a.Contacts = []portfolio.Contact{{CustomerID: "c", At: portfolio.Instant((start + 200).Time().Unix())}}
	v := scoretest.Input(asOf, a).View
	s := settings(Intermediary)
	whole := s.Margin(s.Flow(v, start, asOf+1))
	if n := s.Flow(v, start, asOf+1).Opened; n != 2 {
		t.Errorf("%v policies opened, want the first and the one of another branch", n)
	}
	parts := 0.0
	for d := start; d <= asOf; d += 13 {
		parts += s.Margin(s.Flow(v, d, min(d+13, asOf+1)))
	}
	if math.Abs(whole-parts) > 0.01 {
		t.Errorf("the whole is %v, its parts %v", whole, parts)
	}
	near(t, "a year without discount", s.Realise(v, start-1, 12), whole)
	s.DiscountRate = 0.1
	if r := s.Realise(v, start-1, 12); r >= whole || r < whole*0.9 {
		t.Errorf("discounted %v of %v", r, whole)
	}
}

// TestWhoIsNotValued and how the edges are answered: docs/clv.md lists them.
func TestWhoIsNotValued(t *testing.T) {
	s := settings(Intermediary)
	value := func(ch *churn.Result, policies ...portfolio.Policy) *Result {
		return scored(s, still(s), scoretest.Input(asOf, person(policies...)), claims("a", 0, 0), ch, 0)
	}
	ended := policy("e", "motor", 100000, 0)
	ended.EndDate, ended.Status, ended.EndReason = asOf, portfolio.Ended, "lapse"
	if r := value(ends(0.01), ended); r.Status != score.NoPolicies || r.Value != 0 || r.Realised <= 0 || r.Segment != nil {
		t.Errorf("of who left: %+v", r)
	}
	if r := value(&churn.Result{Status: score.NoPolicies}); r.Status != score.NoPolicies || r.Realised != 0 {
		t.Errorf("without policies: %+v", r)
	}
	if r := value(&churn.Result{Status: score.Objected}, policy("a", "motor", 100000, 0)); r.Status != score.Objected || r.Value != 0 {
		t.Errorf("whoever objects: %+v", r)
	}
	tomorrow := policy("t", "motor", 100000, 0)
	tomorrow.StartDate = asOf + 1
	if r := value(&churn.Result{Status: score.NoPolicies}, tomorrow); r.Status != score.NoPolicies || r.Realised != 0 {
		t.Errorf("who begins tomorrow: %+v", r)
	}
	if r := value(ends(0.01), policy("a", "motor", 100000, 0), tomorrow); r.Value != value(ends(0.01), policy("a", "motor", 100000, 0)).Value {
		t.Errorf("a policy that begins tomorrow counts: %+v", r)
	}
	free := value(ends(0.01), policy("f", "motor", 0, 0))
	if free.Status != score.Scored || free.Income != 0 || free.Value >= 0 {
		t.Errorf("a policy without a premium costs its servicing: %+v", free)
	}
	announced := policy("a", "motor", 100000, 0)
	announced.EndDate, announced.EndReason = asOf.AddMonths(6), "lapse"
	near(t, "a policy that ends in half a year", value(ends(0), announced).Value, 190*183.0/365)
}

// TestHorizons: from a month to fifty years.
func TestHorizons(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	for _, months := range []int{1, 2, 12, 37, 119, 600} {
		s := settings(Intermediary)
		s.HorizonMonths = months
		near(t, "the value of a margin that never ends", scored(s, still(s), in, claims("a", 0, 0), ends(0), 0).Value, 190*float64(months)/12)
	}
}

// TestAFleet: two thousand vehicles as as many policies are nearly sure of their number,
// and their claims even out.
func TestAFleet(t *testing.T) {
	var p []portfolio.Policy
	rk := &risk.Result{Status: score.Scored}
	for i := range 2000 {
		id := "v" + string(rune('A'+i%26)) + string(rune('A'+i/26%26)) + string(rune('A'+i/676))
		p = append(p, policy(id, "fleet", 50000, 0))
		rk.Policies = append(rk.Policies, risk.Policy{ID: id, Frequency: 0.1, Severity: 1000, Loss: 100})
	}
	slices.SortFunc(p, func(a, b portfolio.Policy) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(rk.Policies, func(a, b risk.Policy) int { return strings.Compare(a.ID, b.ID) })
	s := settings(Insurer)
	m := still(s)
	m.Ends[""], m.Spread[""] = 0.1, 3
	s.HorizonMonths = 12
	r := scored(s, m, scoretest.Input(asOf, person(p...)), rk, ends(0), 0)
	want := 2000 * (375 - 100) * (1 - math.Exp(-0.1)) / 0.1
	if math.Abs(r.Value/want-1) > 0.01 {
		t.Errorf("a fleet is worth %v, want %v", r.Value, want)
	}
	if w := r.Realisable.High - r.Realisable.Low; w < 0.05*want || w > 0.4*want || !r.Realisable.Holds(want) {
		t.Errorf("of a value of %v, the interval is %v", want, r.Realisable)
	}
}

// TestSegments: the first that holds a customer, by the frozen quantiles.
func TestSegments(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	s := settings(Intermediary)
	s.HorizonMonths = 12 // worth about EUR 190
	for name, tc := range map[string]struct {
		values []float64
		hazard float64
		want   string
	}{
		"dear and leaving":   {[]float64{0, 10, 100, 150}, 0.05, "critical"},
		"dear and staying":   {[]float64{0, 10, 100, 150}, 0, "loyal_growth"},
		"dear, in between":   {[]float64{0, 10, 100, 150}, 0.006, "core"},
		"small and leaving":  {[]float64{0, 1000, 1000, 2000}, 0.05, "drifting"},
		"small and staying":  {[]float64{0, 1000, 1000, 2000}, 0, "steady"},
		"no book was frozen": {nil, 0.05, "steady"},
	} {
		m := still(s)
		m.Freeze(tc.values, []float64{0.01, 0.02, 0.03, 0.1, 0.2})
		if tc.values == nil {
			m.Freeze(nil, nil)
		}
		r := scored(s, m, in, claims("a", 0, 0), ends(tc.hazard), 0)
		if r.Segment.Code != tc.want || r.Segment.NL == "" || r.Segment.EN == "" {
			t.Errorf("%s: %+v, want %s", name, r.Segment, tc.want)
		}
	}
}

// TestAlikeIsNotAbove: customers who are as likely to lapse, or worth as much, as each other
// are not told that they are above the others.
func TestAlikeIsNotAbove(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	s := settings(Intermediary)
	s.HorizonMonths = 12 // worth about EUR 190
	const hazard = 0.01
	own := ends(hazard).Lapsed[12]
	worth := scored(s, still(s), in, claims("a", 0, 0), ends(hazard), 0).Value
	dear, small := []float64{0, 10, 100, 150}, []float64{0, 1000, 1000, 2000}
	tenths := func(low int, lower, higher float64) (q []float64) {
		for i := range 10 {
			if q = append(q, higher); i < low {
				q[i] = lower
			}
		}
		return q
	}
	for name, tc := range map[string]struct {
		values, lapses []float64
		want           string
		without        bool
	}{
		"one probability, dear":                 {dear, tenths(0, 0, own), "core", true},
		"one probability, small":                {small, tenths(0, 0, own), "steady", true},
		"no book":                               {dear, nil, "core", true},
		"three tenths have the highest, dear":   {dear, tenths(7, own/2, own), "core", false},
		"three tenths have the highest, small":  {small, tenths(7, own/2, own), "steady", false},
		"one tenth has the highest, dear":       {dear, tenths(9, own/2, own), "critical", false},
		"one tenth has the highest, small":      {small, tenths(9, own/2, own), "drifting", false},
		"seven tenths have the lowest, dear":    {dear, tenths(7, own, 2*own), "core", false},
		"three tenths have the lowest, dear":    {dear, tenths(3, own, 2*own), "loyal_growth", false},
		"all are worth the same and may lapse":  {tenths(0, 0, worth), tenths(9, own/2, own), "drifting", false},
		"all are worth the same and will not":   {tenths(0, 0, worth), tenths(3, own, 2*own), "steady", false},
		"most are worth the same, none is more": {tenths(4, 0, worth), tenths(3, own, 2*own), "steady", false},
	} {
		m := still(s)
		m.Freeze(slices.Clone(tc.values), slices.Clone(tc.lapses))
		r := scored(s, m, in, claims("a", 0, 0), ends(hazard), 0)
		if r.Segment.Code != tc.want || r.WithoutChurn != tc.without {
			t.Errorf("%s: %s, without churn %v; want %s, %v", name, r.Segment.Code, r.WithoutChurn, tc.want, tc.without)
		}
	}
}

// TestOneProbabilityForSome: who has the probability of all whom churn knows too little of is
// in no segment of lapse, wherever that probability lies among the others'.
func TestOneProbabilityForSome(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	s := settings(Intermediary)
	s.HorizonMonths = 12
	for basis, want := range map[churn.Basis]string{churn.Own: "critical", churn.Blended: "core", churn.FromMarket: "core"} {
		m := still(s)
		m.Freeze([]float64{0, 10, 100, 150}, []float64{0.01, 0.02, 0.03, 0.04, 0.05})
		ch := ends(0.01)
		ch.Experience.Basis = basis
		if r := scored(s, m, in, claims("a", 0, 0), ch, 0); r.Segment.Code != want || r.WithoutChurn != (basis != churn.Own) {
			t.Errorf("%s: %s, without churn %v", basis, r.Segment.Code, r.WithoutChurn)
		}
	}
}

// TestAKnownEndIsNoLikelihood: nor is who has given notice.
func TestAKnownEndIsNoLikelihood(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	s := settings(Intermediary)
	s.HorizonMonths = 12
	for known, want := range map[portfolio.Date]string{0: "critical", asOf.AddMonths(5): "core"} {
		m := still(s)
		m.Freeze([]float64{0, 10, 100, 150}, []float64{0.01, 0.02, 0.03, 0.04, 0.05})
		ch := ends(0.01)
		ch.EndsOn = known
		if r := scored(s, m, in, claims("a", 0, 0), ch, 0); r.Segment.Code != want || r.WithoutChurn != (known != 0) {
			t.Errorf("%v: %s, without churn %v", known, r.Segment.Code, r.WithoutChurn)
		}
	}
}

// TestSettingsAreChecked: each rule names its field.
func TestSettingsAreChecked(t *testing.T) {
	if err := Defaults.Check(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Settings){
		"view":               func(s *Settings) { s.View = "mine" },
		"horizon_months":     func(s *Settings) { s.HorizonMonths = 601 },
		"coverage":           func(s *Settings) { s.Coverage = 1 },
		"discount_rate":      func(s *Settings) { s.DiscountRate = math.NaN() },
		"commission_rate":    func(s *Settings) { s.CommissionRate = -0.1 },
		"servicing_cost":     func(s *Settings) { s.ServicingCost = math.Inf(1) },
		"customer_fee":       func(s *Settings) { s.CustomerFee = -1 },
		"policy_fees.life":   func(s *Settings) { s.PolicyFees = map[string]float64{"life": math.NaN()} },
		"policy_fees names":  func(s *Settings) { s.PolicyFees = map[string]float64{"Life": 1} },
		"market.weight":      func(s *Settings) { s.Market.Weight = -1 },
		"segments":           func(s *Settings) { s.Segments = nil },
		"segments[0].code":   func(s *Settings) { s.Segments[0].Code = "Best!" },
		"segments[1].code":   func(s *Settings) { s.Segments[1].Code = s.Segments[0].Code },
		"segments[2] needs":  func(s *Settings) { s.Segments[2].EN = "" },
		"segments[1]: value": func(s *Settings) { s.Segments[1].ValueFrom = 50 },
		"lapse_to":           func(s *Settings) { s.Segments[1].LapseTo = 0.1 },
		"the last":           func(s *Settings) { s.Segments[len(s.Segments)-1].Losing = true },
	} {
		s := Defaults
		s.Segments = slices.Clone(s.Segments)
		spoil(&s)
		if err := s.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestModelsAreChecked: a file that somebody has been at is refused.
func TestModelsAreChecked(t *testing.T) {
	if err := NewModel(Defaults.Market).Check(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Model){
		"single_ends":      func(m *Model) { delete(m.Ends, "") },
		"claims_inflation": func(m *Model) { m.Inflation = 2 },
		"spread":           func(m *Model) { m.Spread["motor"] = math.NaN() },
		"carry_on":         func(m *Model) { m.CarryOn = 1.1 },
		"growth":           func(m *Model) { m.Growth = -0.9 },
		"wares":            func(m *Model) { m.Wares = []Ware{{Rate: 2}} },
		"wants_fade":       func(m *Model) { m.WantsFade = -1 },
		"cells":            func(m *Model) { m.Cells[3].Low = -1 },
		"value_quantiles":  func(m *Model) { m.Values = []float64{2, 1} },
	} {
		m := NewModel(Defaults.Market)
		spoil(m)
		if err := m.Check(); !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestScoresAllocateNothing once an engine is warm.
func TestScoresAllocateNothing(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0), policy("b", "travel", 30000, 0)))
	rk, ch := claims("a", 0.3, 900), ends(0.01)
	for _, v := range []View{Insurer, Intermediary} {
		s := Defaults
		s.View = v
		e := New(s, NewModel(s.Market))
		var r Result
		if n := testing.AllocsPerRun(20, func() {
			e.Begin(in.Group, ch)
			e.Score(in, rk, 1, nil, &r)
			r.Relation = e.Relation()
		}); n != 0 {
			t.Errorf("%s: %v allocations a score", v, n)
		}
	}
}

func BenchmarkScore(b *testing.B) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0), policy("b", "travel", 30000, 0), policy("c", "contents", 20000, 0), policy("d", "legal", 20000, 0), policy("e", "pet", 20000, 0)))
	rk, ch := claims("a", 0.3, 900), ends(0.01)
	for _, v := range []View{Insurer, Intermediary} {
		s := Defaults
		s.View = v
		e := New(s, NewModel(s.Market))
		var r Result
		b.Run(string(v), func(b *testing.B) {
			for b.Loop() {
				e.Begin(in.Group, ch)
				e.Score(in, rk, 1, nil, &r)
				r.Relation = e.Relation()
			}
		})
	}
}
