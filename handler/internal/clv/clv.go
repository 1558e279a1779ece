// Package clv answers what a customer is worth: the expected discounted margin over a
// horizon, with survival from the churn engine, and what was realised so far.
package clv

import (
	"math"

	"polis/handler/internal/churn"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// View is whose margin is counted.
type View string

// The views.
const (
	Insurer      View = "insurer"      // earned premium − expected loss − expenses
	Intermediary View = "intermediary" // commission − servicing and acquisition
	Agency       View = "agency"       // commission + agency commission + profit share − servicing
)

// Assumptions are what the value rests on beside the models. All can be set per tenant.
type Assumptions struct {
	View             View        `json:"view"`
	HorizonMonths    int         `json:"horizon_months"`
	DiscountRate     float64     `json:"discount_rate"`     // a year
	CommissionRate   float64     `json:"commission_rate"`   // where a policy gives none
	ExpenseRatio     float64     `json:"expense_ratio"`     // of premium; insurer
	AgencyCommission float64     `json:"agency_commission"` // of premium, on top; agency
	ProfitShare      float64     `json:"profit_share"`      // of premium − loss, where positive; agency
	ServicingCost    float64     `json:"servicing_cost"`    // EUR per policy a year
	ContactCost      float64     `json:"contact_cost"`      // EUR per contact
	AcquisitionCost  float64     `json:"acquisition_cost"`  // EUR per policy, once
	Bands            score.Bands `json:"bands"`             // of the value; set at publication
}

// Defaults are a Dutch intermediary's, as orders of magnitude: the commission of a
// private non-life policy is commonly a fifth of the premium or less, and serving one
// costs about an hour of office work in three years. Set your own.
var Defaults = Assumptions{
	View: Intermediary, HorizonMonths: 120, DiscountRate: 0.04, CommissionRate: 0.17,
	ExpenseRatio: 0.28, AgencyCommission: 0.06, ProfitShare: 0.10,
	ServicingCost: 12, ContactCost: 9, AcquisitionCost: 60,
}

// maxHorizon is 50 years: nobody's assumptions hold longer.
const maxHorizon = 600

// Check makes sure that a tenant's assumptions make sense.
func (a *Assumptions) Check() error {
	if a.View != Insurer && a.View != Intermediary && a.View != Agency {
		return fault.New(fault.Invalid, "clv: view is one of insurer, intermediary, agency")
	}
	if a.HorizonMonths < 1 || a.HorizonMonths > maxHorizon {
		return fault.New(fault.Invalid, "clv: horizon_months is from 1 to %d", maxHorizon)
	}
	for _, f := range [...]struct {
		name  string
		value float64
		most  float64
	}{
		{"discount_rate", a.DiscountRate, 1},
		{"commission_rate", a.CommissionRate, 1},
		{"expense_ratio", a.ExpenseRatio, 1},
		{"agency_commission", a.AgencyCommission, 1},
		{"profit_share", a.ProfitShare, 1},
		{"servicing_cost", a.ServicingCost, 1e6},
		{"contact_cost", a.ContactCost, 1e6},
		{"acquisition_cost", a.AcquisitionCost, 1e6},
	} {
		if !(f.value >= 0 && f.value <= f.most) {
			return fault.New(fault.Invalid, "clv: %s is from 0 to %v", f.name, f.most)
		}
	}
	return nil
}

// Result is what the engine says of a customer. Amounts are EUR.
type Result struct {
	Status   score.Status
	View     View
	Value    float64 // expected discounted margin over the horizon; may be negative
	Low      float64 // 90% prediction interval that follows from how long the
	High     float64 // relation lasts, the margin a year being as expected
	Margin   float64 // expected in the first year
	Realised float64 // so far, undiscounted
	Band     score.Band
	// The value's components, discounted: they add up to it.
	Income, Loss, Cost float64
}

// Engine values customers. One per goroutine.
type Engine struct{ a Assumptions }

// New is an engine with assumptions.
func New(a Assumptions) *Engine { return &Engine{a} }

// Score fills the result from what risk and churn say.
func (e *Engine) Score(in feature.Input, rk *risk.Result, ch *churn.Result, contacts12 int, r *Result) {
	*r = Result{Status: score.NoPolicies, View: e.a.View, Band: score.Low}
	income, loss, cost, policies := e.yearly(in.View, rk)
	r.Realised = e.realised(in.View)
	if ch.Status != score.Scored || policies == 0 {
		return
	}
	cost += float64(float64(contacts12) * e.a.ContactCost)
	r.Status = score.Scored
	r.Margin = income - loss - cost
	monthly := r.Margin / 12
	discount := math.Pow(1+e.a.DiscountRate, -1.0/12)
	years, factor, paid := 0.0, 1.0, 0.0
	alive, last := 1.0, tailHazard(ch)
	low, high := math.Inf(1), math.Inf(1)
	for k := 1; k <= e.a.HorizonMonths; k++ {
		factor *= discount
		years += float64(alive * factor) // the month's margin comes if the month begins
		paid += float64(monthly * factor)
		if k <= churn.Horizon {
			alive = ch.Alive[k]
		} else {
			alive *= 1 - last
		}
		// The relation has ended within k months with probability 1 − alive: the
		// value of such an end is what was paid till then.
		if 1-alive >= 0.05 && math.IsInf(low, 1) {
			low = paid
		}
		if 1-alive >= 0.95 && math.IsInf(high, 1) {
			high = paid
		}
	}
	if math.IsInf(low, 1) {
		low = paid // so few end that the horizon does
	}
	if math.IsInf(high, 1) {
		high = paid
	}
	if monthly < 0 {
		low, high = high, low // a negative margin grows worse the longer it lasts
	}
	r.Income, r.Loss, r.Cost = income/12*years, loss/12*years, cost/12*years
	r.Value = r.Income - r.Loss - r.Cost
	r.Low, r.High = min(low, r.Value), max(high, r.Value)
	r.Band = e.a.Bands.Of(r.Value)
}

// tailHazard carries the last year's mean hazard on beyond what churn looks at.
func tailHazard(ch *churn.Result) float64 {
	a, b := ch.Alive[churn.Horizon-12], ch.Alive[churn.Horizon]
	if a <= 0 || b <= 0 {
		return 1
	}
	return 1 - math.Pow(b/a, 1.0/12)
}

// yearly is what the policies in force bring and cost in a year, and how many they are.
// Where losses count, life and health are left out: their losses are not estimated, and
// their premium alone would pass for profit.
func (e *Engine) yearly(v *portfolio.View, rk *risk.Result) (income, loss, cost float64, policies int) {
	premium, insured := 0.0, 0.0
	for i := range v.Policies {
		p := &v.Policies[i]
		if !p.InForce(v.AsOf) {
			continue
		}
		policies++
		premium += p.AnnualPremium.EUR()
		if b, _ := portfolio.BranchOf(p.Branch); !b.LifeOrHealth {
			insured += p.AnnualPremium.EUR()
		}
		cost += e.a.ServicingCost
		if e.a.View != Insurer {
			income += float64(p.AnnualPremium.EUR() * e.commission(p))
		}
	}
	switch e.a.View {
	case Insurer:
		income, loss, cost = insured, rk.Loss, insured*e.a.ExpenseRatio
	case Agency:
		income += float64(premium*e.a.AgencyCommission) + float64(e.a.ProfitShare*max(0, insured-rk.Loss))
	}
	return income, loss, cost, policies
}

func (e *Engine) commission(p *portfolio.PolicyView) float64 {
	if p.CommissionRate > 0 {
		return p.CommissionRate
	}
	return e.a.CommissionRate
}

// realised is what the customer brought so far.
func (e *Engine) realised(v *portfolio.View) float64 {
	sum := 0.0
	for i := range v.Policies {
		p := &v.Policies[i]
		if p.StartDate > v.AsOf {
			continue
		}
		earned := p.EarnedPremium(p.StartDate, v.AsOf).EUR()
		if e.a.View == Insurer {
			if b, _ := portfolio.BranchOf(p.Branch); !b.LifeOrHealth {
				sum += float64(earned * (1 - e.a.ExpenseRatio))
			}
			continue
		}
		sum += float64(earned*e.commission(p)) - e.a.AcquisitionCost - float64(e.a.ServicingCost*p.Exposure(p.StartDate, v.AsOf))
	}
	if e.a.View == Insurer {
		for i := range v.Claims {
			if p := v.Policy(v.Claims[i].PolicyID); p != nil {
				if b, _ := portfolio.BranchOf(p.Branch); b.LifeOrHealth {
					continue
				}
			}
			sum -= v.Claims[i].Incurred().EUR()
		}
		return sum
	}
	return sum - float64(float64(len(v.Contacts))*e.a.ContactCost)
}
