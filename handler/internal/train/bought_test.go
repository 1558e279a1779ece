package train

import (
	"math"
	"testing"

	"polis/handler/internal/clv"
	"polis/handler/internal/portfolio"
)

// TestWhoBuysWhat: who holds a ware, lives beside one who does, or does neither, is counted
// apart, and of relations of several who of them buys.
func TestWhoBuysWhat(t *testing.T) {
	first := customer(policy("m", "motor", then-500, 0, ""), policy("t", "travel", then+60, 0, ""))
	second := customer(policy("l", "legal", then-500, 0, ""), policy("m2", "motor", then+60, 0, ""), policy("p", "pet", then+90, 0, ""))
	second.Customers[0].ID = "d"
	for i := range second.Policies {
		second.Policies[i].CustomerID, second.Policies[i].AnnualPremium = "d", 10000
	}
	for _, a := range []*portfolio.Aggregate{first, second} {
		for i := range a.Customers {
			a.Customers[i].HouseholdID = "h"
		}
	}
	w := collected(t, []*portfolio.Aggregate{first, second}).worth.wanted
	motor, travel, pet := w[ware{"motor", false}], w[ware{"travel", false}], w[ware{"pet", false}]
	if motor == nil || motor.years != [3]float64{motor.years[0], motor.years[0], 0} || motor.bought != [3]float64{0, 1, 0} || motor.several != 0 {
		t.Errorf("motor, which one holds and the other buys: %+v", motor)
	}
	if travel == nil || travel.bought != [3]float64{0, 0, 1} || travel.several != 1 || travel.first != 1 {
		t.Errorf("travel, which the first buys: %+v", travel)
	}
	if pet == nil || pet.several != 1 || pet.first != 0 {
		t.Errorf("pet, which the second buys: %+v", pet)
	}
}

// TestWhatIsKnownOfPurchases: a slope that falls to a half a year, more spread than chance,
// and fewer purchases each year are found.
func TestWhatIsKnownOfPurchases(t *testing.T) {
	w := wants{bought: 1e6, expected: 1000, over: 300}
	for y := range w.came {
		w.known[y] = 1e6
		w.came[y] = 1e6 * math.Pow(0.5, float64(y))
		w.years[y] = 1e5
		w.number[y] = 2e4 * math.Exp(-0.05*float64(y))
	}
	var m clv.Model
	market := &clv.Defaults.Market
	w.learn(&m, market)
	if math.Abs(m.WantsFade-math.Ln2) > 0.01 || math.Abs(m.WantsFrailty-0.3) > 0.01 || math.Abs(m.WantsWane-0.05) > 0.01 {
		t.Errorf("fade %v, frailty %v, wane %v", m.WantsFade, m.WantsFrailty, m.WantsWane)
	}
	nothing := wants{}
	m = clv.Model{WantsFade: market.WantsFade}
	if nothing.learn(&m, market); m.WantsFade != market.WantsFade || m.WantsFrailty != 0 || m.WantsWane != 0 {
		t.Errorf("of nothing was learnt %+v", m)
	}
}
