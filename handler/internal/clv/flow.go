package clv

import (
	"polis/handler/internal/exact"
	"polis/handler/internal/portfolio"
)

// Flow is what a customer's policies did in a time: what a margin is made of in any view.
// Amounts are EUR.
type Flow struct {
	Premium    float64 // earned
	Commission float64 // on it, at each policy's own rate or the tenant's
	Fees       float64 // of policies and of the customer
	Insured    float64 // the part of Premium that is neither life nor health: what Loss belongs to
	Loss       float64 // incurred
	Exposure   float64 // policy-years
	Contacts   float64
	Opened     float64 // new policies; a replacement is none
}

// Margin is the flow's in the view of the settings, EUR, not discounted. Life and health
// are left out where losses count: theirs are not estimated, and their premium alone would
// pass for profit. The profit share is linear, since a contract shares the profit of the
// whole binder, to which a customer with a loss contributes less than nothing.
func (s *Settings) Margin(f Flow) float64 {
	contacts := float64(f.Contacts * s.ContactCost)
	if s.View == Insurer {
		return float64(f.Insured*(1-s.ExpenseRatio)) - f.Loss - contacts
	}
	m := f.Commission + f.Fees - float64(f.Exposure*s.ServicingCost) - contacts - float64(f.Opened*s.AcquisitionCost)
	if s.View == Agency {
		m += float64(f.Premium*s.AgencyCommission) + float64((f.Insured-f.Loss)*s.ProfitShare)
	}
	return m
}

// Pay is what an office earns on a policy: a share of its premium, and a fee in EUR a year.
// A rate that the policy gives is what it is, 0 too; where it gives none it is the tenant's,
// in branches for which there is no fee.
func (s *Settings) Pay(p *portfolio.Policy) (commission, fee float64) {
	fee, asked := s.PolicyFees[p.Branch]
	switch {
	case p.CommissionRate.Given:
		return p.CommissionRate.Share, fee
	case asked:
		return 0, fee
	}
	return s.CommissionRate, 0
}

// Flow is what came about from a date until another, the first included and the second
// not, as known at the view's date. A policy that stands in for one of the same branch and
// relation is not counted as opened.
func (s *Settings) Flow(v *portfolio.View, from, until portfolio.Date) (f Flow) {
	for i := range v.Policies {
		p := &v.Policies[i]
		if p.StartDate >= until || p.EndDate != 0 && p.EndDate <= from {
			continue
		}
		earned := p.EarnedPremium(from, until).EUR()
		f.Premium += earned
		commission, fee := s.Pay(p.Policy)
		exposure := p.Exposure(from, until)
		f.Commission += float64(earned * commission)
		f.Fees += float64(exposure * fee)
		f.Exposure += exposure
		if insured(p.Branch) {
			f.Insured += earned
		}
		if p.StartDate >= from && !p.Replaces {
			f.Opened++
		}
	}
	if s.CustomerFee > 0 {
		f.Fees += float64(s.CustomerFee * covered(v, from, until))
	}
	for i := range v.Claims {
		c := &v.Claims[i]
		if c.LossDate < from || c.LossDate >= until {
			continue
		}
		// A claim whose policy is not known counts: nobody says that it is life.
		if p := v.Policy(c.PolicyID); p == nil || insured(p.Branch) {
			f.Loss += c.Incurred().EUR()
		}
	}
	for i := range v.Contacts {
		if on := v.Contacts[i].At.Date(); on >= from && on < until {
			f.Contacts++
		}
	}
	return f
}

// covered is how many years from a date until another the customer had a policy.
func covered(v *portfolio.View, from, until portfolio.Date) float64 {
	years := 0.0
	for from < until {
		// Until when the policies that are in force reach, and when the next begins.
		reach, next := from, until
		for i := range v.Policies {
			p := &v.Policies[i]
			switch {
			case p.InForce(from) && p.EndDate == 0:
				reach = until
			case p.InForce(from):
				reach = max(reach, min(p.EndDate, until))
			case p.StartDate > from && (p.EndDate == 0 || p.EndDate > p.StartDate):
				next = min(next, p.StartDate)
			}
		}
		if reach == from {
			from = next
			continue
		}
		years += portfolio.Years(from, reach)
		from = reach
	}
	return years
}

func insured(branch string) bool {
	b, _ := portfolio.BranchOf(branch)
	return !b.LifeOrHealth
}

// step is how many months' margins are discounted at once: a quarter, in its middle, which
// a margin that comes evenly moves by less than a thousandth.
const step = 3

// Realise is the margin of so many months after a date, discounted to it: what a value
// with that horizon foretold.
func (s *Settings) Realise(v *portfolio.View, from portfolio.Date, months int) float64 {
	return s.Discounted(months, func(k, n int) Flow { return s.Flow(v, from.AddMonths(k)+1, from.AddMonths(k+n)+1) })
}

// Discounted is the value of what came in so many months: flow gives what came in the n
// months from the k-th on, counted from 0.
func (s *Settings) Discounted(months int, flow func(k, n int) Flow) float64 {
	sum, force := 0.0, -exact.Log(1+s.DiscountRate)/12
	for k := 0; k < months; k += step {
		n := min(step, months-k)
		sum += float64(s.Margin(flow(k, n)) * exact.Exp(force*(float64(k)+float64(n)/2)))
	}
	return sum
}
