package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"polis/handler/internal/clv"
	"polis/handler/internal/portfolio"
)

// TestHowPoliciesGoOn: single ends count while another policy that counts is left, the
// last one is the relation's, and what was replaced did not end.
func TestHowPoliciesGoOn(t *testing.T) {
	f := collected(t,
		alone(customer( // two that count: one ends halfway, the other stays
			policy("stays", "motor", then-500, 0, ""), policy("ends", "motor", then-500, then+183, "lapse"),
		)),
		alone(customer(policy("last", "building", then-500, then+50, "lapse"))),
		alone(customer( // the relation ends; one that does not count goes on, another went with it
			policy("x", "contents", then-500, then+100, "lapse"), policy("goes on", "travel", then-500, 0, ""), policy("with it", "legal", then-500, then+100, "lapse"),
		)),
		alone(customer(
			policy("old", "motor", then-500, then+40, "replaced"), policy("new", "motor", then+41, 0, ""), policy("other", "motor", then-400, 0, ""),
		)),
	)
	w := &f.worth
	if s := w.ends["motor"]; s == nil || s[1].events != 1 || math.Abs(s[1].exposure-(1+0.5+40.0/365+1)) > 0.01 {
		t.Errorf("motor: %+v", s)
	}
	if s := w.ends["building"]; s != nil {
		t.Errorf("the last policy that counts ends with its relation: %+v", s)
	}
	if w.stayed != 1 || w.left != 1 {
		t.Errorf("%v of what does not count stayed and %v left", w.stayed, w.left)
	}
}

// TestWhatIsBought counts purchases at the time in which there is a policy, by kind of
// customer, and contacts a year before and after.
func TestWhatIsBought(t *testing.T) {
	a := customer(policy("p", "motor", then-500, 0, ""), policy("bought", "travel", then+30, 0, ""), policy("later", "legal", until+30, 0, ""))
	for _, on := range []portfolio.Date{then - 30, then - 60, then + 40, until + 1, then - 400} {
		a.Contacts = append(a.Contacts, portfolio.Contact{CustomerID: "c", At: portfolio.Instant(on.Time().Unix())})
	}
	a.Normalise(asOf)
	leaves := customer(policy("p", "motor", then-500, then+73, "lapse"))
	f := collected(t, alone(a), alone(leaves))
	w := &f.worth
	x := w.wanted[ware{"travel", false}]
	if x == nil || x.usual[0] != 1 || x.bought[byNobody] != 1 || math.Abs(w.customers[0]-1.2) > 0.01 {
		t.Fatalf("%+v bought in %v years, want 1 in 1.2", x, w.customers)
	}
	if p := w.wanted[ware{"motor", false}]; math.Abs(p.years[byItself]-1.2) > 0.01 || p.premiums.n != 0 {
		t.Errorf("%+v is what both hold", p)
	}
	if x.premiums.mean() != 365 || w.called != 1 || w.contacts != 2 || w.next != 1 {
		t.Errorf("premium %v, %v customers with %v contacts and %v the year after", x.premiums.mean(), w.called, w.contacts, w.next)
	}
}

// TestPremiumsGrow: a renewal at a tenth more is a growth of a tenth.
func TestPremiumsGrow(t *testing.T) {
	a := customer(policy("p", "motor", then-500, 0, ""))
	dearer := a.Policies[0]
	dearer.AnnualPremium, dearer.Version = 40150, recorded(then+100)
	a.Policies = append(a.Policies, dearer)
	a.Normalise(asOf)
	f := collected(t, alone(a))
	if g := f.worth.after/f.worth.before - 1; math.Abs(g-0.1) > 0.001 || f.worth.premiums != 1 {
		t.Errorf("growth %v of %v premiums", g, f.worth.premiums)
	}
}

// TestAFewCustomersAreTheMarkets: without experience the model is the market's, and with
// some of it between.
func TestAFewCustomersAreTheMarkets(t *testing.T) {
	f := collected(t, alone(customer(policy("p", "motor", then-500, 0, ""))))
	m, market := f.learnWorth(), clv.Defaults.Market
	if m.Ends[""] != market.SingleEnds || m.CarryOn != market.CarryOn || m.Spread[""] != market.Spread {
		t.Errorf("%+v", m)
	}
	if len(m.Wares) != 1 || m.Wares[0].Name != "motor" || m.Wares[0].Usual[0] >= market.Purchases || m.Wares[0].Usual[0] < market.Purchases/2 {
		t.Errorf("after a year without a purchase these are expected: %+v", m.Wares)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

// TestCalibration finds a drift and a spread that were put in, and leaves alone what was
// right.
func TestCalibration(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	made := func(drift, wide float64) *clv.Model {
		var seen []foretold
		for i := range 30_000 {
			x := foretold{cell: i % 6, months: windows[i%3], value: 500, income: 1000}
			sd := 100.0
			x.low, x.high = x.value-1.645*sd, x.value+1.645*sd
			x.came = x.value + drift*x.grew() + wide*sd*r.NormFloat64()
			seen = append(seen, x)
		}
		m := clv.NewModel(clv.Defaults.Market)
		calibrate(m, &clv.Defaults, seen)
		return m
	}
	for _, tc := range []struct{ drift, wide float64 }{{0, 1}, {0.03, 1}, {-0.02, 1.5}, {0, 0.7}} {
		for _, c := range made(tc.drift, tc.wide).Cells {
			if math.Abs(c.Drift-tc.drift) > 0.005 || math.Abs(c.Low-tc.wide) > 0.1 || math.Abs(c.High-tc.wide) > 0.1 {
				t.Errorf("drift %v and width %v: %+v", tc.drift, tc.wide, c)
			}
		}
	}
	m := clv.NewModel(clv.Defaults.Market)
	calibrate(m, &clv.Defaults, nil)
	if m.Cells[0].Drift != 0 || m.Cells[0].Low != 1 {
		t.Errorf("nothing was seen, and moved %+v", m.Cells[0])
	}
}

// TestFade: where what churn sees tells half as much in the second year and a quarter in
// the third, the fade says so; where it tells all of it always, nothing fades.
func TestFade(t *testing.T) {
	for _, fade := range []float64{0, 0.5} {
		r := rand.New(rand.NewPCG(3, 4))
		f := &fitter{o: Options{Settings: settings()}}
		for range 60_000 {
			own := math.Exp(0.8*r.NormFloat64()) * 0.1
			l := lasted{force: [3]float64{own, own, own}, years: 3}
			for y := range 3 {
				force := 0.1 * math.Pow(own/0.1, math.Exp(-fade*float64(y)))
				if u := r.ExpFloat64() / force; u < 1 {
					l.years, l.ended = float64(y)+u, true
					break
				}
			}
			f.lasted = append(f.lasted, l)
		}
		if got := f.fade(); math.Abs(got-fade) > 0.07 {
			t.Errorf("fade %v, want %v", got, fade)
		}
	}
}
