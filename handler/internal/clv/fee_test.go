package clv_test

import (
	"testing"

	. "polis/handler/internal/clv"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score/scoretest"
)

// TestCommissionOrFee: a commission that is given is what it is, 0 too; where a policy gives
// none the tenant's counts, in a branch with a fee that fee alone.
func TestCommissionOrFee(t *testing.T) {
	given := func(rate portfolio.Rate) portfolio.Policy {
		p := policy("a", "disability", 100000, 0)
		p.CommissionRate = rate
		return p
	}
	fees := map[string]float64{"disability": 150}
	for name, tc := range map[string]struct {
		rate     portfolio.Rate
		fees     map[string]float64
		customer float64
		want     float64 // a year before its costs
	}{
		"no rate":               {want: 200},
		"a rate":                {rate: portfolio.RateOf(0.1), want: 100},
		"a rate of 0":           {rate: portfolio.RateOf(0)},
		"no rate, and a fee":    {fees: fees, want: 150},
		"a rate and a fee":      {rate: portfolio.RateOf(0.1), fees: fees, want: 250},
		"a rate of 0 and a fee": {rate: portfolio.RateOf(0), fees: fees, want: 150},
		"a fee of 0":            {fees: map[string]float64{"disability": 0}},
		"another branch's fee":  {fees: map[string]float64{"life": 150}, want: 200},
		"a customer's fee":      {rate: portfolio.RateOf(0), customer: 60, want: 60},
		"all of them":           {rate: portfolio.RateOf(0.1), fees: fees, customer: 60, want: 310},
	} {
		for _, view := range []View{Intermediary, Agency, Insurer} {
			want, realised := tc.want-10-2*5, tc.want-10-30
			switch view {
			case Agency:
				want, realised = want+50, realised+50
			case Insurer:
				want, realised = -2*5, 0
			}
			s := settings(view)
			s.PolicyFees, s.CustomerFee = tc.fees, tc.customer
			r := scored(s, still(s), scoretest.Input(asOf, person(given(tc.rate))), claims("a", 0, 0), ends(0), 2)
			near(t, name+": margin of the "+string(view), r.Margin, want)
			near(t, name+": value of the "+string(view), r.Value, 10*want)
			near(t, name+": income of the "+string(view), r.Income-r.Cost-r.Loss, r.Value)
			near(t, name+": realised of the "+string(view), r.Realised, realised)
		}
	}
}

// TestAFeeGrowsAsPremiumsDo: and lasts as long as what it is for.
func TestAFeeGrowsAsPremiumsDo(t *testing.T) {
	value := func(rate portfolio.Rate, change func(*Settings), hazard, growth float64) *Result {
		s := settings(Intermediary)
		s.ServicingCost, s.ContactCost = 0, 0
		change(&s)
		m := still(s)
		m.Growth = growth
		p := policy("a", "motor", 100000, 0)
		p.CommissionRate = rate
		return scored(s, m, scoretest.Input(asOf, person(p)), claims("a", 0, 0), ends(hazard), 0)
	}
	want := value(portfolio.RateOf(0.2), func(*Settings) {}, 0.02, 0.05)
	for name, change := range map[string]func(*Settings){
		"a policy's":   func(s *Settings) { s.PolicyFees = map[string]float64{"motor": 200} },
		"a customer's": func(s *Settings) { s.CustomerFee = 200 },
	} {
		got := value(portfolio.RateOf(0), change, 0.02, 0.05)
		near(t, name+" fee's value", got.Value, want.Value)
		near(t, name+" fee's part at stake", got.AtStake, want.AtStake)
		near(t, name+" fee's upper end", got.Realisable.High, want.Realisable.High)
	}
}

// TestFeesOfWhatCame: a customer's fee counts the days on which it had a policy once, however
// many it had, and none between them.
func TestFeesOfWhatCame(t *testing.T) {
	at := func(id string, from, until portfolio.Date) portfolio.Policy {
		p := policy(id, "motor", 0, 0)
		p.StartDate, p.EndDate, p.Status, p.EndReason = start+from, start+until, portfolio.Ended, "sold"
		p.Version = portfolio.Version{RecordedAt: start, ValidFrom: start}
		return p
	}
	s := settings(Intermediary)
	s.CustomerFee, s.PolicyFees = 365.25, map[string]float64{"motor": 36525}
	v := scoretest.Input(asOf, person(at("a", 0, 50), at("b", 20, 40), at("c", 45, 70), at("d", 100, 130), at("e", 300, 365))).View
	f := s.Flow(v, start+10, start+310)
	near(t, "fees", f.Fees, 60+30+10+100*(40+20+25+30+10))
	parts := 0.0
	for d := start + 10; d < start+310; d += 7 {
		parts += s.Flow(v, d, min(d+7, start+310)).Fees
	}
	near(t, "fees of its parts", parts, f.Fees)
}

// TestWaresBringTheirFee: what may yet be bought earns as what is held does.
func TestWaresBringTheirFee(t *testing.T) {
	income := func(rate, fee float64) float64 {
		s := settings(Intermediary)
		m := still(s)
		m.Wares = []Ware{{Name: "travel", Premium: 1000, Insured: 1, Rate: rate, Fee: fee, Usual: [3]float64{0.1, 0.1, 0.1}}}
		return scored(s, m, scoretest.Input(asOf, person(policy("a", "motor", 100000, 0))), claims("a", 0, 0), ends(0), 0).Income
	}
	near(t, "what a fee of 150 brings", income(0, 150), income(0.15, 0))
	if income(0, 150) <= income(0, 0) {
		t.Error("a fee brings nothing")
	}
}
