// Package feature turns what was known of a customer on a date into the numbers and
// names that models read. One definition serves training and scoring, so that the two
// cannot drift apart; features read views only, so that none can see the future.
//
// Never used: gender, free text, health or injury, names of staff.
package feature

import (
	"math"

	"polis/handler/internal/portfolio"
)

// missing is a number that is not known. Models have a bin for it.
var missing = math.NaN()

// Months after which things are forgotten, and after which a customer is long silent.
const (
	recent = 12
	window = 36
)

// Group is what a relation adds up to: a company group, a household, or a customer by
// itself. The zero Group is empty; Reset fills it.
type Group struct {
	Members  int
	Policies int             // in force
	Premium  portfolio.Cents // a year, of policies in force
	Held     uint64          // bit i: branch i of portfolio.Branches is in force
	Other    bool            // a branch that is not listed is in force
	Lapsed   int             // policies lapsed in the last 12 months
	Claims   int             // with a loss in the last 36 months
	Incurred portfolio.Cents // of these
	Trouble  int             // complaints in the last 12 months
	// Primary is the member with the most premium in force, ties by order; one who objects
	// to profiling only where all do.
	Primary *portfolio.View
	Views   []*portfolio.View
}

// Reset adds up the members' views, all as of one date.
func (g *Group) Reset(views []*portfolio.View) {
	*g = Group{Members: len(views), Views: views}
	var most portfolio.Cents
	for _, v := range views {
		var own portfolio.Cents
		year, years3 := v.AsOf.AddMonths(-recent), v.AsOf.AddMonths(-window)
		for i := range v.Policies {
			p := &v.Policies[i]
			if p.InForce(v.AsOf) {
				g.Policies++
				own += p.AnnualPremium
				if b := portfolio.BranchIndex(p.Branch); b >= 0 {
					g.Held |= 1 << b
				} else {
					g.Other = true
				}
			}
			if p.Ended == portfolio.Lapse && p.EndDate > year && p.EndDate <= v.AsOf {
				g.Lapsed++
			}
		}
		g.Premium += own
		if g.Primary == nil || Objects(g.Primary) && !Objects(v) || Objects(g.Primary) == Objects(v) && own > most {
			most, g.Primary = own, v
		}
		for i := range v.Claims {
			if c := &v.Claims[i]; c.LossDate > years3 && c.Status != portfolio.ClaimRejected {
				g.Claims++
				g.Incurred += c.Incurred()
			}
		}
		for i := len(v.Contacts) - 1; i >= 0 && v.Contacts[i].At.Date() > year; i-- {
			if v.Contacts[i].Reason == Complaint {
				g.Trouble++
			}
		}
	}
}

// Relations parts the views of those who are one relation now into the relations that
// they were on the views' date: it appends to of, for each view, the number of its
// relation, counted from 0. A household that somebody joins or leaves later was another
// one then, and would tell of what was still to come.
func Relations(views []*portfolio.View, of []int) (_ []int, n int) {
next:
	for i, v := range views {
		for j := range i {
			if v.Related(views[j]) {
				of = append(of, of[j])
				continue next
			}
		}
		of = append(of, n)
		n++
	}
	return of, n
}

// Objects reports whether the customer objects to profiling (GDPR art. 21).
func Objects(v *portfolio.View) bool { return v.Customer != nil && v.Customer.Objects }

// Holds reports whether the relation has a policy of the branch in force.
func (g *Group) Holds(branch int) bool { return g.Held&(1<<branch) != 0 }

// Complaint is the contact reason that Polis knows.
const Complaint = "complaint"

// Input is what features are made of: a customer's view, and its relation.
type Input struct {
	View  *portfolio.View
	Group *Group
}

// facts are what one pass over a view finds, for the definitions to pick from.
type facts struct {
	v *portfolio.View
	g *Group

	inForce, essential, branches, carriers int
	premium, motor                         portfolio.Cents
	main                                   *portfolio.PolicyView // the one with the most premium
	since, newest                          portfolio.Date
	ageSum                                 float64
	ended12, lapsed12, lapsedEver          int
	change, announced                      float64
	mutations                              int
	nextEnd                                portfolio.Date
	frequency, commission                  float64

	claims12, claims36, atFault36, open int
	incurred36, earned36                portfolio.Cents
	lastLoss                            portfolio.Date

	contacts12, complaints12, unresolved int
	sentiment                            float64
	sentiments                           int
	lastContact                          portfolio.Date
}

func (f *facts) reset(in Input) {
	v := in.View
	*f = facts{v: v, g: in.Group, change: missing, announced: missing}
	year, years3 := v.AsOf.AddMonths(-recent), v.AsOf.AddMonths(-window)
	var held uint64
	var carriers [8]string
	for i := range v.Policies {
		p := &v.Policies[i]
		if f.since == 0 || p.StartDate < f.since {
			f.since = p.StartDate
		}
		for j := range p.Versions {
			if w := &p.Versions[j]; w.RecordedAt > year && w.RecordedAt > p.StartDate {
				f.mutations++
			}
		}
		if p.Ended != portfolio.NotEnded && p.EndDate <= v.AsOf {
			if p.EndDate > year {
				f.ended12++
			}
			if p.Ended == portfolio.Lapse {
				f.lapsedEver++
				if p.EndDate > year {
					f.lapsed12++
				}
			}
		}
		f.earned36 += p.EarnedPremium(years3, v.AsOf)
		if p.InForce(v.AsOf) {
			f.policy(p, &held, &carriers)
		}
	}
	for i := range v.Claims {
		c := &v.Claims[i]
		if c.Status == portfolio.ClaimRejected {
			continue
		}
		f.lastLoss = max(f.lastLoss, c.LossDate)
		if c.Status == portfolio.ClaimOpen {
			f.open++
		}
		if c.LossDate > years3 {
			f.claims36++
			f.incurred36 += c.Incurred()
			if c.AtFault == portfolio.AtFault {
				f.atFault36++
			}
			if c.LossDate > year {
				f.claims12++
			}
		}
	}
	for i := len(v.Contacts) - 1; i >= 0; i-- {
		c := &v.Contacts[i]
		on := c.At.Date()
		f.lastContact = max(f.lastContact, on)
		if on <= year {
			break
		}
		f.contacts12++
		if c.Reason == Complaint {
			f.complaints12++
			// A resolution after the as-of date is not known yet.
			if c.ResolvedAt == 0 || c.ResolvedAt.Date() > v.AsOf {
				f.unresolved++
			}
		}
		if c.Sentiment != 0 {
			f.sentiment += c.Sentiment
			f.sentiments++
		}
	}
}

// policy adds a policy in force.
func (f *facts) policy(p *portfolio.PolicyView, held *uint64, carriers *[8]string) {
	v := f.v
	f.inForce++
	f.premium += p.AnnualPremium
	f.newest = max(f.newest, p.StartDate)
	f.ageSum += portfolio.Years(p.StartDate, v.AsOf)
	f.frequency += float64(p.PaymentFrequency)
	f.commission += p.CommissionRate
	if p.Branch == "motor" {
		f.motor += p.AnnualPremium
	}
	if b := portfolio.BranchIndex(p.Branch); b >= 0 {
		if *held&(1<<b) == 0 {
			*held |= 1 << b
			f.branches++
		}
		if portfolio.Branches[b].Essential {
			f.essential++
		}
	} else {
		f.branches++
	}
	if f.main == nil || p.AnnualPremium > f.main.AnnualPremium {
		f.main = p
	}
	for k := range carriers {
		if carriers[k] == p.Carrier {
			break
		}
		if carriers[k] == "" {
			carriers[k] = p.Carrier
			f.carriers++
			break
		}
	}
	if end := nextRenewal(p, v.AsOf); f.nextEnd == 0 || end < f.nextEnd {
		f.nextEnd = end
	}
	change, announced := premiumChanges(p, v.AsOf)
	f.change = worse(f.change, change)
	f.announced = worse(f.announced, announced)
}

// worse is the larger of two that may be missing.
func worse(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// nextRenewal is the next date on which the policy can be ended without more: the
// contract's end, else the next anniversary of its start.
func nextRenewal(p *portfolio.PolicyView, asOf portfolio.Date) portfolio.Date {
	if p.ContractEnd > asOf {
		return p.ContractEnd
	}
	next := p.StartDate.AddMonths(12 * (asOf.Year() - p.StartDate.Year()))
	if next <= asOf {
		next = p.StartDate.AddMonths(12 * (asOf.Year() - p.StartDate.Year() + 1))
	}
	return next
}

// premiumChanges are the last change of the premium in the past 12 months, and one that
// is recorded already but not yet valid (a renewal offer), both as a share.
func premiumChanges(p *portfolio.PolicyView, asOf portfolio.Date) (change, announced float64) {
	change, announced = missing, missing
	if p.CurrentOnly || len(p.Versions) < 2 {
		return change, announced
	}
	year := asOf.AddMonths(-recent)
	var before portfolio.Cents
	for i := range p.Versions {
		w := &p.Versions[i]
		switch {
		case w.ValidFrom > asOf:
			if p.AnnualPremium > 0 {
				announced = float64(w.AnnualPremium)/float64(p.AnnualPremium) - 1
			}
		case w.ValidFrom > year && before > 0 && w.AnnualPremium != before:
			change = float64(w.AnnualPremium)/float64(before) - 1
			before = w.AnnualPremium
		default:
			before = w.AnnualPremium
		}
	}
	return change, announced
}

// monthsSince is the time from a date to another in months; missing for no date.
func monthsSince(from, to portfolio.Date) float64 {
	if from == 0 {
		return missing
	}
	return float64(to-from) / 30.4375
}

// ratio is a share; missing where there is nothing to divide by.
func ratio(a, b float64) float64 {
	if b <= 0 {
		return missing
	}
	return a / b
}
