package clv_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/churn"
	. "polis/handler/internal/clv"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

var (
	asOf  = portfolio.MustDate(2026, 3, 31)
	start = portfolio.MustDate(2025, 3, 31) // a policy year before the as-of date
	known = portfolio.Version{RecordedAt: start, ValidFrom: start}
)

func person(policies ...portfolio.Policy) *portfolio.Aggregate {
	return &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: 1980, Version: known}}, Policies: policies}
}

func policy(id, branch string, premium portfolio.Cents, commission float64) portfolio.Policy {
	return portfolio.Policy{
		ID: id, CustomerID: "c", Branch: branch, StartDate: start, AnnualPremium: premium, CommissionRate: commission, Status: portfolio.Active, Version: known,
	}
}

// ends is a churn result of a constant monthly probability of any end.
func ends(hazard float64) *churn.Result {
	r := &churn.Result{Status: score.Scored}
	r.Alive[0] = 1
	for k := 1; k <= churn.Horizon; k++ {
		r.Alive[k] = r.Alive[k-1] * (1 - hazard)
		r.Lapsed[k] = 1 - r.Alive[k]
	}
	return r
}

// assumptions make sums that can be done by hand.
func assumptions(v View) Assumptions {
	return Assumptions{
		View: v, HorizonMonths: 120, CommissionRate: 0.2, ExpenseRatio: 0.25, AgencyCommission: 0.05, ProfitShare: 0.1,
		ServicingCost: 10, ContactCost: 5, AcquisitionCost: 30,
	}
}

func scored(a Assumptions, in feature.Input, loss float64, ch *churn.Result, contacts int) *Result {
	var r Result
	e := New(a)
	e.Score(in, &risk.Result{Status: score.Scored, Loss: loss}, ch, contacts, &r)
	return &r
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestTheMarginByView: two policies of EUR 1,000 and 500 a year, an expected loss of EUR
// 600 and two contacts.
func TestTheMarginByView(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0), policy("b", "travel", 50000, 0.3)))
	for v, want := range map[View]float64{
		Insurer:      1500 - 600 - 0.25*1500 - 2*5,
		Intermediary: 0.2*1000 + 0.3*500 - 2*10 - 2*5,
		Agency:       0.2*1000 + 0.3*500 + 0.05*1500 + 0.1*(1500-600) - 2*10 - 2*5,
	} {
		r := scored(assumptions(v), in, 600, ends(0), 2)
		near(t, string(v)+"'s margin", r.Margin, want)
		near(t, string(v)+"'s value over ten years in which nobody leaves", r.Value, 10*want)
		near(t, string(v)+"'s components", r.Income-r.Loss-r.Cost, r.Value)
	}
	r := scored(assumptions(Agency), in, 2000, ends(0), 2)
	near(t, "the agency's margin in a year of losses, which it does not share", r.Margin, 0.2*1000+0.3*500+0.05*1500-2*10-2*5)
}

// TestLifeIsNoProfit: where losses count, the premium of branches whose losses are not
// estimated does not.
func TestLifeIsNoProfit(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0), policy("l", "life", 100000, 0)))
	near(t, "the insurer's margin", scored(assumptions(Insurer), in, 600, ends(0), 0).Margin, 1000-600-250)
	near(t, "the intermediary's margin", scored(assumptions(Intermediary), in, 600, ends(0), 0).Margin, 400-20)
	near(t, "what the insurer has earned", scored(assumptions(Insurer), in, 600, ends(0), 0).Realised, 750)
}

// TestSurvivalAndDiscount: the value of a constant margin is a geometric sum.
func TestSurvivalAndDiscount(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	a := assumptions(Intermediary)
	a.DiscountRate = 0.04
	const hazard = 0.01
	r := scored(a, in, 0, ends(hazard), 0)
	discount, sum := math.Pow(1.04, -1.0/12), 0.0
	for k := range 120 {
		sum += math.Pow(1-hazard, float64(k)) * math.Pow(discount, float64(k+1))
	}
	near(t, "the value, the last year's hazard carried on after three", r.Value, 190.0/12*sum)
	if longer := scored(a, in, 0, ends(hazard/2), 0); longer.Value <= r.Value {
		t.Error("a relation that lasts longer is worth less")
	}
	a.DiscountRate = 0.08
	if dearer := scored(a, in, 0, ends(hazard), 0); dearer.Value >= r.Value {
		t.Error("a higher discount rate makes it worth more")
	}
}

func TestTheIntervalHoldsTheValue(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	rapid.Check(t, func(t *rapid.T) {
		a := assumptions(rapid.SampledFrom([]View{Insurer, Intermediary, Agency}).Draw(t, "view"))
		a.DiscountRate = rapid.Float64Range(0, 1).Draw(t, "discount")
		a.HorizonMonths = rapid.IntRange(1, 600).Draw(t, "horizon")
		r := scored(a, in, rapid.Float64Range(0, 5000).Draw(t, "loss"), ends(rapid.Float64Range(0, 1).Draw(t, "hazard")), rapid.IntRange(0, 300).Draw(t, "contacts"))
		if !(r.Low <= r.Value && r.Value <= r.High) || math.IsInf(r.Low, 0) || math.IsInf(r.High, 0) {
			t.Fatalf("%v in [%v, %v]", r.Value, r.Low, r.High)
		}
		if math.Abs(r.Income-r.Loss-r.Cost-r.Value) > 1e-6 || math.Signbit(r.Margin) != math.Signbit(r.Value) && r.Value != 0 {
			t.Fatalf("%+v", r)
		}
	})
}

// TestANegativeValue: a customer may cost more than it brings, and the interval then
// lies the other way round: the longer it lasts the worse.
func TestANegativeValue(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100, 0)))
	r := scored(assumptions(Intermediary), in, 0, ends(0.02), 10)
	if r.Status != score.Scored || r.Value >= 0 || r.Low >= r.Value || r.High < r.Value {
		t.Errorf("%+v", r)
	}
}

func TestRealised(t *testing.T) {
	a := person(policy("a", "motor", 100000, 0))
	a.Claims = []portfolio.Claim{{ID: "l", PolicyID: "a", CustomerID: "c", LossDate: start + 9, Paid: 20000, Reserve: 5000, Recovered: 1000, Status: portfolio.ClaimOpen, Version: known}}
	a.Contacts = []portfolio.Contact{{CustomerID: "c", At: portfolio.Instant((start + 3).Time().Unix())}}
	in := scoretest.Input(asOf, a)
	near(t, "an insurer's year", scored(assumptions(Insurer), in, 0, ends(0), 0).Realised, 750-240)
	near(t, "an intermediary's year", scored(assumptions(Intermediary), in, 0, ends(0), 0).Realised, 200-30-10-5)
}

func TestWhoIsNotValued(t *testing.T) {
	ended := policy("e", "motor", 100000, 0)
	ended.EndDate, ended.Status, ended.EndReason = asOf, portfolio.Ended, "lapse"
	r := scored(assumptions(Intermediary), scoretest.Input(asOf, person(ended)), 0, ends(0.01), 0)
	if r.Status != score.NoPolicies || r.Value != 0 || r.Realised <= 0 {
		t.Errorf("of who left: %+v", r)
	}
	if r := scored(assumptions(Intermediary), scoretest.Input(asOf, person()), 0, &churn.Result{Status: score.NoPolicies}, 0); r.Status != score.NoPolicies {
		t.Errorf("without policies: %s", r.Status)
	}
	free := scored(assumptions(Insurer), scoretest.Input(asOf, person(policy("f", "motor", 0, 0))), 0, ends(0.01), 0)
	if free.Status != score.Scored || free.Value != 0 {
		t.Errorf("a policy without a premium: %+v", free)
	}
}

func TestAssumptionsAreChecked(t *testing.T) {
	if err := Defaults.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Assumptions){
		"no view":             func(a *Assumptions) { a.View = "" },
		"no horizon":          func(a *Assumptions) { a.HorizonMonths = 0 },
		"a century":           func(a *Assumptions) { a.HorizonMonths = 1200 },
		"a rate that is none": func(a *Assumptions) { a.DiscountRate = math.NaN() },
		"a rate of −100%":     func(a *Assumptions) { a.DiscountRate = -1 },
		"a rate in percent":   func(a *Assumptions) { a.CommissionRate = 17 },
		"a negative cost":     func(a *Assumptions) { a.ServicingCost = -1 },
		"an endless cost":     func(a *Assumptions) { a.AcquisitionCost = math.Inf(1) },
	} {
		a := Defaults
		spoil(&a)
		if err := a.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
