// Package feature turns what was known of a customer on a date into the numbers and
// names that models read. One definition serves training and scoring, so that the two
// cannot drift apart; features read views only, so that none can see the future.
//
// Never used: gender, free text, health or injury, names of staff; see never.go.
package feature

import (
	"math"
	"math/bits"

	"polis/handler/internal/enrichment"
	"polis/handler/internal/portfolio"
)

// missing is a number that is not known. Models have a bin for it.
var missing = math.NaN()

// Months after which things are forgotten, and after which a customer is long silent: the
// year and the three years that portfolios are looked at in; our choice. No settings, since
// features are named after them (claims_12m, claims_36m) and say the same in every book.
const (
	recent = 12
	window = 36
)

// Group is what a relation adds up to: a company group, a household, or a customer by
// itself. The zero Group is empty; Reset fills it.
type Group struct {
	Members   int             // of whom something was known by then
	Policies  int             // in force
	Essential int             // of them, of essential branches
	Premium   portfolio.Cents // a year, of policies in force
	Held      uint64          // bit i: branch i of portfolio.Branches is in force
	Other     bool            // a branch that is not listed is in force
	Undated   bool            // of a policy in force nothing but branch, start and end was known
	Lapsed    int             // policies lapsed in the last 12 months
	Claims    int             // with a loss in the last 36 months
	Incurred  portfolio.Cents // of these
	Trouble   int             // complaints in the last 12 months
	// Primary is the member with the most premium in force, ties by order; one who objects
	// to profiling only where all do.
	Primary *portfolio.View
	Views   []*portfolio.View
}

// Reset adds up the members' views, all as of one date, and relates them to each other.
func (g *Group) Reset(views []*portfolio.View) {
	portfolio.Relate(views)
	*g = Group{Views: views}
	var most portfolio.Cents
	for _, v := range views {
		var own portfolio.Cents
		year, years3 := v.AsOf.AddMonths(-recent), v.AsOf.AddMonths(-window)
		if present(v) {
			g.Members++
		}
		for i := range v.Policies {
			p := &v.Policies[i]
			if p.InForce(v.AsOf) {
				g.Policies++
				g.Undated = g.Undated || p.CurrentOnly
				own += p.AnnualPremium
				if b := portfolio.BranchIndex(p.Branch); b >= 0 {
					g.Held |= 1 << b
					if portfolio.Branches[b].Essential {
						g.Essential++
					}
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
			if c := &v.Claims[i]; c.LossDate > years3 && c.Status != portfolio.ClaimRejected && !Delicate(v.Policy(c.PolicyID), c) {
				g.Claims++
				g.Incurred += c.Incurred()
			}
		}
		for i := len(v.Contacts) - 1; i >= 0 && v.Contacts[i].At.Date() > year; i-- {
			if reasonOf(v.Contacts[i].Reason) == complaint {
				g.Trouble++
			}
		}
	}
}

// present reports whether a customer was known to be one. An undated row says so of no
// day before it was recorded; what has a date of its own does.
func present(v *portfolio.View) bool {
	if v.Customer != nil && !v.CurrentOnly {
		return true
	}
	for i := range v.Policies {
		if v.Policies[i].StartDate <= v.AsOf {
			return true
		}
	}
	return len(v.Claims)+len(v.Contacts) > 0
}

// Branches counts the branches that the relation has in force.
func (g *Group) Branches() int {
	n := bits.OnesCount64(g.Held)
	if g.Other {
		n++
	}
	return n
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

// Input is what features are made of: a customer's view, and its relation.
type Input struct {
	View  *portfolio.View
	Group *Group
}

// facts are what one pass over a view finds, for the definitions to pick from.
type facts struct {
	v *portfolio.View
	g *Group

	undated bool // of a policy nothing but branch, start and end was known
	unseen  bool // of a policy the last 12 months were not seen
	vague   bool // of a claim nothing but its dates was known

	inForce, essential, branches, carriers int
	premium, motor                         portfolio.Cents
	main                                   *portfolio.PolicyView // the one with the most premium
	since, newest, lastStart               portfolio.Date
	ageSum                                 float64
	ended12, lapsed12, lapsedEver          int
	change, renewal, midterm, announced    float64
	now36, then36                          portfolio.Cents // of policies whose premium then is known
	mutations                              int
	nextEnd, termEnd                       portfolio.Date
	notice                                 int
	payments, paid                         float64 // and the policies of which these are known
	commission, commissioned               float64 // likewise

	claims12, claims36, atFault36, open int
	incurred36, earned36                portfolio.Cents
	lastLoss                            portfolio.Date

	contacts12, outreach, unresolved, unresolved12 int
	by                                             [channelKinds]int
	about                                          [reasonKinds]int
	complained                                     portfolio.Date // the oldest that is not resolved
	sentiment                                      float64
	sentiments                                     int
	lastContact                                    portfolio.Date
}

// seenFrom is how long after its start a policy may first be recorded and still count as
// seen from the start: exports come once a quarter at least, and the longest has 92 days.
// In days; our choice. No setting, as it says what a feature is: docs/features.md has it.
const seenFrom = 92

func (f *facts) reset(in Input) {
	v := in.View
	*f = facts{v: v, g: in.Group, change: missing, renewal: missing, midterm: missing, announced: missing}
	year, years3 := v.AsOf.AddMonths(-recent), v.AsOf.AddMonths(-window)
	var held uint64
	var carriers [8]string
	for i := range v.Policies {
		p := &v.Policies[i]
		if p.StartDate > v.AsOf {
			continue // announced: it counts from the day it begins
		}
		if f.since == 0 || p.StartDate < f.since {
			f.since = p.StartDate
		}
		f.lastStart = max(f.lastStart, p.StartDate)
		f.undated = f.undated || p.CurrentOnly
		if first := &p.Versions[0]; first.Undated && first.RecordedAt > year && first.RecordedAt > p.StartDate+seenFrom {
			f.unseen = true
		}
		for j := 1; j < len(p.Versions); j++ {
			if w := &p.Versions[j]; w.RecordedAt > year && w.Reason != enrichment.Reason && !renews(&p.Versions[j-1], w.ValidFrom) {
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
			f.policy(p, year, years3, &held, &carriers)
		}
	}
	for i := range v.Claims {
		c := &v.Claims[i]
		if c.Status == portfolio.ClaimRejected || Delicate(v.Policy(c.PolicyID), c) {
			continue
		}
		f.vague = f.vague || c.CurrentOnly
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
		f.contact(&v.Contacts[i], year)
	}
}

// contact adds a contact, of which those of long ago say only whether they still wait.
func (f *facts) contact(c *portfolio.Contact, year portfolio.Date) {
	on := c.At.Date()
	f.lastContact = max(f.lastContact, on)
	// A resolution after the as-of date is not known yet.
	waits := c.ResolvedAt == 0 || c.ResolvedAt.Date() > f.v.AsOf
	if on <= year && !waits {
		return
	}
	reason := reasonOf(c.Reason)
	if reason == complaint && waits {
		f.unresolved++
		f.complained = on // the last to come is the oldest
		if on > year {
			f.unresolved12++
		}
	}
	if on <= year {
		return
	}
	f.contacts12++
	f.by[channelOf(c.Channel)]++
	f.about[reason]++
	if c.Direction == "out" {
		f.outreach++
	}
	if c.Sentiment != 0 {
		f.sentiment += c.Sentiment
		f.sentiments++
	}
}

// policy adds a policy in force.
func (f *facts) policy(p *portfolio.PolicyView, year, years3 portfolio.Date, held *uint64, carriers *[8]string) {
	v := f.v
	f.inForce++
	f.premium += p.AnnualPremium
	f.newest = max(f.newest, p.StartDate)
	f.ageSum += portfolio.Years(p.StartDate, v.AsOf)
	if p.PaymentFrequency > 0 {
		f.payments += float64(p.PaymentFrequency)
		f.paid++
	}
	if p.CommissionRate.Given {
		f.commission += p.CommissionRate.Share
		f.commissioned++
	}
	f.notice = max(f.notice, p.NoticeMonths)
	if p.ContractEnd > v.AsOf && (f.termEnd == 0 || p.ContractEnd < f.termEnd) {
		f.termEnd = p.ContractEnd
	}
	if p.Branch == "motor" {
		f.motor += p.AnnualPremium
	}
	b := portfolio.BranchIndex(p.Branch)
	if b >= 0 && portfolio.Branches[b].Essential {
		f.essential++
	}
	bit := uint64(1) << (b + 1) // the first is for all that are not listed
	if *held&bit == 0 {
		*held |= bit
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
	if p.CurrentOnly || p.AnnualPremium <= 0 {
		return
	}
	c := premiumChanges(p, v.AsOf, year)
	f.change, f.renewal = worse(f.change, c.year), worse(f.renewal, c.renewal)
	f.midterm, f.announced = worse(f.midterm, c.midterm), worse(f.announced, c.announced)
	if then := premiumOn(p, max(years3, p.StartDate)); then > 0 {
		f.now36, f.then36 = f.now36+p.AnnualPremium, f.then36+then
	}
}

// worse is the larger of two that may be missing.
func worse(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// nextRenewal is the next date on which the policy can be ended without more: the
// contract's end or its yearly return, else the next anniversary of its start.
func nextRenewal(p *portfolio.PolicyView, asOf portfolio.Date) portfolio.Date {
	due := p.StartDate
	if p.ContractEnd != 0 {
		due = p.ContractEnd
	}
	if due > asOf {
		return due
	}
	next := due.AddMonths(12 * (asOf.Year() - due.Year()))
	if next <= asOf {
		next = due.AddMonths(12 * (asOf.Year() - due.Year() + 1))
	}
	return next
}

// renews reports whether a version that holds from a day is its predecessor's renewal.
func renews(before *portfolio.Policy, from portfolio.Date) bool {
	last := lastRenewal(before, from+aroundRenewal)
	return last > before.StartDate && from-last <= aroundRenewal
}

// lastRenewal is the yearly return of the contract's end, else of the start, that came
// last; it may be the start itself, which is none.
func lastRenewal(p *portfolio.Policy, asOf portfolio.Date) portfolio.Date {
	due := p.StartDate
	if p.ContractEnd != 0 {
		due = p.ContractEnd
	}
	years := asOf.Year() - due.Year()
	last := due.AddMonths(12 * years)
	if last > asOf {
		last = due.AddMonths(12 * (years - 1))
	}
	return last
}

// aroundRenewal is how far from a renewal a new premium may begin and still be the
// renewal's. In days; our choice: administrations post to the first of a month, which is
// never more than half a month from a renewal. No setting, as it says what a feature is.
const aroundRenewal = 15

// premiumChange is what became of a policy's premium, as shares; missing where not known.
type premiumChange struct {
	year      float64 // over the last 12 months
	renewal   float64 // at the last renewal, no longer than 12 months ago
	midterm   float64 // over the last 12 months, the renewal apart
	announced float64 // recorded and not yet valid: a renewal offer
}

// noChange is known of a policy without a premium or a history.
var noChange = premiumChange{missing, missing, missing, missing}

// premiumChanges of a policy in force that has a premium, from a year before the as-of
// date. Its start is looked back to where it is younger.
func premiumChanges(p *portfolio.PolicyView, asOf, year portfolio.Date) premiumChange {
	c := noChange
	now := p.AnnualPremium
	for i := range p.Versions {
		if w := &p.Versions[i]; w.ValidFrom > asOf {
			c.announced = changed(w.AnnualPremium, now)
		}
	}
	from := max(year, p.StartDate)
	due := lastRenewal(p.Policy, asOf)
	before, after := portfolio.Cents(0), portfolio.Cents(0)
	if eve := due - aroundRenewal - 1; eve >= p.StartDate {
		before, after = premiumOn(p, eve), premiumOn(p, min(asOf, due+aroundRenewal))
		from = min(from, eve)
	}
	base := premiumOn(p, from)
	c.year, c.midterm = changed(now, base), changed(now, base)
	if before > 0 && after > 0 {
		c.renewal = changed(after, before)
		if base > 0 {
			// One division: what did not change is exactly 0.
			c.midterm = float64(now)*float64(before)/(float64(base)*float64(after)) - 1
		}
	}
	return c
}

// changed is a change as a share of what was before.
func changed(now, before portfolio.Cents) float64 {
	if before <= 0 {
		return missing
	}
	return float64(now)/float64(before) - 1
}

// premiumOn is the annual premium in effect on a day; 0 where it was not seen. What a
// policy cost when it was first seen it cost since its start, if that is not long before.
func premiumOn(p *portfolio.PolicyView, day portfolio.Date) portfolio.Cents {
	best, first := -1, 0
	for i := range p.Versions {
		from := p.Versions[i].ValidFrom
		if from <= day && (best < 0 || from >= p.Versions[best].ValidFrom) {
			best = i
		}
		if from < p.Versions[first].ValidFrom {
			first = i
		}
	}
	if best < 0 {
		if best = first; p.Versions[first].ValidFrom > p.StartDate+seenFrom {
			return 0
		}
	}
	return p.Versions[best].AnnualPremium
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
