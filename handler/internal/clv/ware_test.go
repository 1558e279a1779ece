package clv_test

import (
	"math"
	"testing"

	. "polis/handler/internal/clv"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

// offers is an engine in whose models everybody buys travel and pet with one probability
// each, and which sells nothing else.
func offers(t *testing.T, travel, pet float64) *nbp.Engine {
	t.Helper()
	s := nbp.Defaults()
	g, err := nbp.NewGrouping(s.Groups)
	if err != nil {
		t.Fatal(err)
	}
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	m := &nbp.Model{
		Common: scoretest.Model(t, g.Fields(), model.Logistic, 0),
		Groups: map[string]score.Model{
			"travel": scoretest.Model(t, g.Fields(), model.Logistic, logit(travel)),
			"pet":    scoretest.Model(t, g.Fields(), model.Logistic, logit(pet)),
		},
		Fitted: map[string]nbp.Fitted{"travel": {Basis: nbp.Own, Weight: 1, Premium: 50}, "pet": {Basis: nbp.Own, Weight: 1, Premium: 150}},
	}
	e, err := nbp.New(m, &s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestWhatACustomerWants: of what a relation holds, the rates are those of such customers;
// of what it does not, nbp's probability, which its members share; of what nbp asks of
// nobody, the rate of those who have it not. Wares of the other kind are none of theirs.
func TestWhatACustomerWants(t *testing.T) {
	m := NewModel(Defaults.Market)
	for _, name := range []string{"motor", "travel", "pet", "funeral"} {
		m.Wares = append(m.Wares, Ware{Name: name, Held: 0.01, Beside: 0.02, Open: 0.03, Primary: 0.7})
	}
	m.Wares = append(m.Wares, Ware{Name: "travel", Business: true, Open: 0.5})
	other := policy("b", "travel", 10000, 0)
	other.CustomerID = "d"
	in := scoretest.Input(asOf,
		&portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", HouseholdID: "h", BirthYear: 1980, Version: known}}, Policies: []portfolio.Policy{policy("a", "motor", 100000, 0)}},
		&portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "d", HouseholdID: "h", BirthYear: 1980, Version: known}}, Policies: []portfolio.Policy{other}},
	)
	e := offers(t, 0.2, 0.3)
	d := NewDemand(m, e)
	e.Relation(in.Group, nil)
	d.Begin(in.Group)
	rate := -math.Log(1 - 0.3)
	for i, want := range [][]float64{{0.01, 0.02, 0.7 * rate, 0.03, 0}, {0.02, 0.01, 0.3 * rate, 0.03, 0}} {
		for k, got := range d.Of(in.Group, in.Group.Views[i]) {
			if math.Abs(got-want[k]) > 1e-6 {
				t.Errorf("member %d, %s: %v a year, want %v", i, m.Wares[k].Name, got, want[k])
			}
		}
	}
	alone := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	e.Relation(alone.Group, nil)
	d.Begin(alone.Group)
	if got := d.Of(alone.Group, alone.View); math.Abs(got[1]+math.Log(1-0.2)) > 1e-6 || math.Abs(got[2]-rate) > 1e-6 {
		t.Errorf("a customer alone wants %v", got)
	}
}

// TestPurchases: what is wanted comes evenly over the first year and brings its margin from
// then on; in the second, what was known has faded to what is usual.
func TestPurchases(t *testing.T) {
	in := scoretest.Input(asOf, person(policy("a", "motor", 100000, 0)))
	s := settings(Intermediary)
	m := still(s)
	m.Wares = []Ware{{Name: "travel", Premium: 1000, Rate: 0.2, Insured: 1}}
	m.WantsFade = math.Log(4)
	value := func(months int, wants ...float64) *Result {
		s.HorizonMonths = months
		return scored(s, m, in, claims("a", 0, 0), ends(0), 0, wants...)
	}
	base, year, two := value(24), value(12, 0.4), value(24, 0.4)
	near(t, "income of the first year's purchases", year.Income, base.Income/2+0.4*200*0.5)
	near(t, "what they cost", year.Cost, base.Cost/2+0.4*(30+10*0.5))
	// In the second year a quarter as many are bought.
	near(t, "income of two years' purchases", two.Income, base.Income+0.4*200*1.5+0.1*200*0.5)
	// Whoever buys nothing, as two thirds do, brings what is there already and no less.
	near(t, "the lower quartile", year.Half.Low, value(12).Value)
	if year.Realisable.High < year.Value+50 {
		t.Errorf("who buys early brings more: %+v", year.Realisable)
	}
	m.WantsFrailty = 2
	if wide := value(24, 0.4); wide.Realisable.High <= two.Realisable.High || math.Abs(wide.Value-two.Value) > 1e-9 {
		t.Errorf("customers who differ: %+v around %v, else %+v around %v", wide.Realisable, wide.Value, two.Realisable, two.Value)
	}
}

// TestSingleEndsByAge: a policy in its first year lasts as such a policy does, and goes
// through the later ages.
func TestSingleEndsByAge(t *testing.T) {
	s := settings(Intermediary)
	s.HorizonMonths = 12
	value := func(start portfolio.Date, byAge [Ages]float64) float64 {
		m := still(s)
		m.Ends[""], m.ByAge = 0.5, byAge
		p := policy("a", "travel", 100000, 0)
		p.StartDate = start
		// A relation that another policy carries, so that this one may end.
		return scored(s, m, scoretest.Input(asOf, person(p, policy("b", "motor", 0, 0))), claims("a", 0, 0), ends(0), 0).Income
	}
	one := [Ages]float64{1, 1, 1, 1}
	if young, old := value(asOf-100, [Ages]float64{1, 1, 1, 2}), value(asOf-3000, [Ages]float64{1, 1, 1, 2}); young != value(asOf-100, one) || old >= value(asOf-3000, one) {
		t.Errorf("where old policies end twice as often, a young one brings %v, an old one %v", young, old)
	}
	if young := value(asOf-100, [Ages]float64{0.5, 1, 1, 1}); young <= value(asOf-100, one) {
		t.Errorf("where young policies end half as often, one brings %v", young)
	}
	for years, want := range map[float64]int{-0.1: 0, 0.99: 0, 1: 1, 3: 2, 7: 3, 50: 3} {
		if got := AgeBand(years); got != want {
			t.Errorf("%v years: band %d, want %d", years, got, want)
		}
	}
}
