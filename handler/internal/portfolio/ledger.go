package portfolio

import "math"

// Exposure is the policy's exposure in [from, to), in policy-years: each day in force
// counts one over the days of its own policy year, so a full policy year is exactly 1
// and windows add up.
func (p *PolicyView) Exposure(from, to Date) float64 {
	from, to = p.clip(from, to)
	if from >= to {
		return 0
	}
	return yearsSince(p.StartDate, to) - yearsSince(p.StartDate, from)
}

// EarnedPremium is the written premium × exposure in [from, to), as known at the
// view's date. It is the difference of two rounded running totals, so that windows
// that meet add up to the cent.
func (p *PolicyView) EarnedPremium(from, to Date) Cents {
	from, to = p.clip(from, to)
	if from >= to || p.CurrentOnly {
		return 0
	}
	// Totals run from the start, and the years up to where a premium changes are found once.
	total, before, years := 0.0, Cents(0), 0.0
	for day := p.StartDate; day < to; {
		premium, until := p.premiumOn(day)
		if day < from && from <= until {
			before = Cents(math.Round(total + float64(float64(premium)*(yearsSince(p.StartDate, from)-years))))
		}
		until = min(until, to)
		next := yearsSince(p.StartDate, until)
		total += float64(float64(premium) * (next - years))
		day, years = until, next
	}
	return Cents(math.Round(total)) - before
}

// clip cuts a window to the time in force.
func (p *PolicyView) clip(from, to Date) (Date, Date) {
	from = max(from, p.StartDate)
	if p.EndDate != 0 {
		to = min(to, p.EndDate)
	}
	return from, to
}

// premiumOn is the annual premium in effect on a day, and the day it next changes.
// Of versions valid on the day the one with the latest valid_from holds, then the
// one recorded last: a correction replaces what it corrects.
func (p *PolicyView) premiumOn(day Date) (Cents, Date) {
	best, next := -1, maxDate
	for i := range p.Versions {
		from := p.Versions[i].ValidFrom
		switch {
		case from > day:
			next = min(next, from)
		case best < 0 || from >= p.Versions[best].ValidFrom:
			best = i
		}
	}
	if best < 0 {
		// The first version says since when it holds, and a policy that began
		// earlier had that premium, as far as anyone knows.
		best = p.earliest()
	}
	return p.Versions[best].AnnualPremium, next
}

func (p *PolicyView) earliest() int {
	e := 0
	for i := range p.Versions {
		if p.Versions[i].ValidFrom < p.Versions[e].ValidFrom {
			e = i
		}
	}
	return e
}

// yearsSince is the time from start to day in years, whole ones by anniversary and
// the rest in days over the days of that policy year.
func yearsSince(start, day Date) float64 {
	if day <= start {
		return 0
	}
	n := day.Year() - start.Year()
	anniversary := start.AddMonths(12 * n)
	if anniversary > day {
		n--
		anniversary = start.AddMonths(12 * n)
	}
	next := start.AddMonths(12 * (n + 1))
	return float64(n) + float64(day-anniversary)/float64(next-anniversary)
}

// Years is the time between two dates in years, negative where b is before a.
func Years(a, b Date) float64 {
	if b < a {
		return -yearsSince(b, a)
	}
	return yearsSince(a, b)
}

// Ledger is what a policy or a customer adds up to in a window.
type Ledger struct {
	Exposure float64 // policy-years
	Earned   Cents
	Incurred Cents // of losses in the window, as known at the view's date
	Paid     Cents
	Claims   int // with a loss in the window, rejected ones apart
	Open     int
}

// Add sums two ledgers.
func (l *Ledger) Add(m Ledger) {
	l.Exposure += m.Exposure
	l.Earned += m.Earned
	l.Incurred += m.Incurred
	l.Paid += m.Paid
	l.Claims += m.Claims
	l.Open += m.Open
}

// Ledger adds up the view's policies and claims in [from, to); branch "" is all.
func (v *View) Ledger(branch string, from, to Date) Ledger {
	var l Ledger
	for i := range v.Policies {
		p := &v.Policies[i]
		if branch == "" || p.Branch == branch {
			l.Exposure += p.Exposure(from, to)
			l.Earned += p.EarnedPremium(from, to)
		}
	}
	for i := range v.Claims {
		c := &v.Claims[i]
		if c.LossDate < from || c.LossDate >= to {
			continue
		}
		if branch != "" {
			if p := v.Policy(c.PolicyID); p == nil || p.Branch != branch {
				continue
			}
		}
		l.Incurred += c.Incurred()
		l.Paid += c.Paid
		if c.Status != ClaimRejected {
			l.Claims++
		}
		if c.Status == ClaimOpen {
			l.Open++
		}
	}
	return l
}
