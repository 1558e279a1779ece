package care

import (
	"cmp"
	"math"
	"slices"

	"polis/handler/internal/enrichment"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
)

// Book is what care needs to know of the book that a customer is in.
type Book struct {
	// Sold are the branches that the book has: what an office does not sell, its customers
	// hold elsewhere, and missing it here is no gap.
	Sold map[string]bool
	// ContactsSince is the first contact of the book; no date where it keeps none. Who has
	// had no contact since is silent, and in a book without contacts nobody is.
	ContactsSince portfolio.Date
}

// reader finds the facts of one customer after another; its buffers are reused.
type reader struct {
	settings *Settings
	book     Book
	index    []*Index // by branch
	common   []Common // by branch; 0 EUR: none
	facts    Facts
	// The values that rebuild_shortfall, rebuild_excess and rebuild_value_years are of.
	short, over, oldest enrichment.Value

	v                         *portfolio.View
	year, years2, years3      portfolio.Date
	carriers                  []string
	claimed, doubles, holding uint64
}

func newReader(s *Settings, b Book) *reader {
	n := len(portfolio.Branches)
	r := &reader{settings: s, book: b, index: make([]*Index, n), common: make([]Common, n), facts: make(Facts, len(FactList))}
	for i := range s.Index {
		for _, name := range s.Index[i].Branches {
			r.index[portfolio.BranchIndex(name)] = &s.Index[i]
		}
	}
	for _, c := range s.Common {
		r.common[portfolio.BranchIndex(c.Branch)] = c
	}
	return r
}

// unknowns are the facts that may be not known, and are so until something tells of them;
// all others are counts and amounts, and 0 until then.
var unknowns = []int{
	fAge, fTenureMonths, fAcquiredMonths, fMovedMonths, fHouseholdChangeMonths,
	fNewestPolicyMonths, fNotReviewedYears, fPremiumRise12m, fAnnouncedRise, fDeductibleToPremium,
	fBuildingBehindIndex, fContentsBehindIndex, fPropertyBehindIndex, fValuablesBehindIndex,
	fBuildingToCommon, fBuildingToCommonHigh, fContentsToCommon, fContentsToCommonHigh,
	fRebuildShortfall, fRebuildExcess, fRebuildValueYears, fLiabilitySum, fBusinessLiabilitySum,
	fLastClaimMonths, fOldestOpenClaimMonths, fClaimWithoutContactMonths,
	fSilentMonths, fUnaskedMonths, fReviewMonths, fContactsSinceAcquired,
}

// read fills the facts of a customer and its household.
func (r *reader) read(in feature.Input) Facts {
	f, v := r.facts, in.View
	clear(f)
	for _, i := range unknowns {
		f[i] = unknown
	}
	r.v, r.short, r.over, r.oldest = v, enrichment.Value{}, enrichment.Value{}, enrichment.Value{}
	r.year, r.years2, r.years3 = v.AsOf.AddMonths(-12), v.AsOf.AddMonths(-24), v.AsOf.AddMonths(-36)
	since := r.customer()
	r.policies()
	r.claims()
	r.contacts(since)
	r.household(in.Group, v)
	return f
}

// customer reads the customer's own rows, and since when it has been one by its policies.
func (r *reader) customer() (since portfolio.Date) {
	f, v := r.facts, r.v
	for i := range v.Policies {
		if p := &v.Policies[i]; p.StartDate <= v.AsOf && (since == 0 || p.StartDate < since) {
			since = p.StartDate
		}
	}
	f[fTenureMonths] = monthsSince(since, v.AsOf)
	c := v.Customer
	if c == nil {
		return since
	}
	f[fSegment] = float64(max(0, slices.Index(FactList[fSegment].Names, string(c.Segment))))
	f[fOrigin] = float64(max(0, slices.Index(FactList[fOrigin].Names, c.Origin)))
	f[fEmployees] = float64(c.Employees)
	business := c.Segment == portfolio.Business
	if born := c.BirthYear; !business && born > 1900 && born <= v.AsOf.Year() {
		f[fAge] = float64(v.AsOf.Year() - born)
	}
	f.set(fSoleTrader, business && portfolio.AmongCodes(r.settings.SoleTraders, c.LegalForm))
	f.set(fObjects, c.Objects)
	if c.Origin == "acquisition" && c.AcquiredOn != 0 && c.AcquiredOn <= v.AsOf {
		f[fAcquiredMonths] = monthsSince(c.AcquiredOn, v.AsOf)
	}
	for i := 1; i < len(v.Versions); i++ {
		before, now := &v.Versions[i-1], &v.Versions[i]
		if now.Postcode != before.Postcode && now.Postcode != "" && before.Postcode != "" {
			f[fMovedMonths] = monthsSince(now.RecordedAt, v.AsOf)
			if now.RecordedAt > r.years2 {
				f[fMoves24m]++
			}
		}
		if before.HouseholdID != "" && now.HouseholdID != before.HouseholdID {
			f[fHouseholdChangeMonths] = monthsSince(now.RecordedAt, v.AsOf)
		}
	}
	return since
}

// policies reads the customer's own policies.
func (r *reader) policies() {
	f, v := r.facts, r.v
	r.carriers = r.carriers[:0]
	held, other := uint64(0), false
	for i := range v.Policies {
		p := &v.Policies[i]
		if p.StartDate > r.year && p.StartDate <= v.AsOf && !p.Replaces {
			f[fPoliciesBegun12m]++
		}
		if p.EndDate != 0 && p.EndDate <= v.AsOf {
			r.ended(p)
		}
		r.changes(p)
		if !p.InForce(v.AsOf) {
			continue
		}
		f[fPolicies]++
		if b := portfolio.BranchIndex(p.Branch); b >= 0 {
			held |= 1 << b
			r.sums(p, b)
		} else {
			other = true
		}
		if p.Carrier != "" && !slices.Contains(r.carriers, p.Carrier) {
			r.carriers = append(r.carriers, p.Carrier)
		}
		if p.Status == portfolio.Suspended {
			f[fSuspended]++
		}
		f.least(fNewestPolicyMonths, monthsSince(p.StartDate, v.AsOf))
		r.term(p)
		if p.AnnualPremium > 0 && p.Deductible > 0 {
			f.most(fDeductibleToPremium, p.Deductible.EUR()/p.AnnualPremium.EUR())
		}
	}
	f[fBranches] = float64(ones(held))
	if other {
		f[fBranches]++
	}
	f[fCarriers] = float64(len(r.carriers))
}

// ended counts a policy that has ended.
func (r *reader) ended(p *portfolio.PolicyView) {
	f := r.facts
	switch p.Ended {
	case portfolio.Replaced:
		return
	case portfolio.Transferred:
		if p.EndDate > r.year {
			f[fTransferred12m]++
		}
		return
	}
	if p.EndDate > r.years2 && portfolio.AmongCodes(r.settings.MissedReason, p.EndReason) {
		f[fMissedPayments24m]++
	}
	if p.EndDate <= r.year {
		return
	}
	f[fEnded12m]++
	switch p.Ended {
	case portfolio.Lapse:
		f[fLapsed12m]++
	case portfolio.ByInsurer:
		f[fEndedByInsurer12m]++
	case portfolio.RiskGone:
		f[fRiskGone12m]++
	}
}

// changes reads what became of a policy from version to version.
func (r *reader) changes(p *portfolio.PolicyView) {
	f, v := r.facts, r.v
	if p.CurrentOnly {
		return
	}
	inForce := p.InForce(v.AsOf)
	reviewed := p.Versions[0].ValidFrom
	announced := -1
	for j := range p.Versions {
		w := &p.Versions[j]
		if w.ValidFrom > v.AsOf {
			announced = j
		}
		if j == 0 {
			continue
		}
		u := &p.Versions[j-1]
		terms := !sameTerms(u, w)
		if terms && w.RecordedAt > reviewed {
			reviewed = w.RecordedAt
		}
		if w.RecordedAt > r.year && w.ValidFrom <= v.AsOf {
			if terms {
				f[fMutations12m]++
			}
			if u.Deductible > 0 && w.Deductible > u.Deductible {
				f[fDeductibleRaised12m]++
			}
			if w.SumInsured > 0 && w.SumInsured < u.SumInsured {
				f[fSumLowered12m]++
			}
			if u.PaymentFrequency > 0 && w.PaymentFrequency > u.PaymentFrequency {
				f[fPaysMoreOften12m]++
			}
		}
		if inForce && w.ValidFrom > r.year && w.ValidFrom <= v.AsOf && u.AnnualPremium > 0 && u.ValidFrom < w.ValidFrom {
			f.most(fPremiumRise12m, w.AnnualPremium.EUR()/u.AnnualPremium.EUR()-1)
		}
	}
	if !inForce {
		return
	}
	if announced >= 0 && p.AnnualPremium > 0 && p.ValidFrom <= v.AsOf {
		next := &p.Versions[announced]
		f.most(fAnnouncedRise, next.AnnualPremium.EUR()/p.AnnualPremium.EUR()-1)
		f[fAnnouncedExtra] += (next.AnnualPremium - p.AnnualPremium).EUR()
	}
	f.most(fNotReviewedYears, portfolio.Years(min(reviewed, v.AsOf), v.AsOf))
}

// sameTerms reports whether a version of a policy differs from another in no more than its
// premium, its term, how it ends, and what was brought in.
func sameTerms(a, b *portfolio.Policy) bool {
	return a.Branch == b.Branch && a.Product == b.Product && a.Carrier == b.Carrier && a.Channel == b.Channel &&
		a.SumInsured == b.SumInsured && a.Deductible == b.Deductible && a.PaymentFrequency == b.PaymentFrequency &&
		enrichment.SameBut(a.Attributes, b.Attributes)
}

// term reads when a policy in force runs out.
func (r *reader) term(p *portfolio.PolicyView) {
	f, v := r.facts, r.v
	ahead := v.AsOf + portfolio.Date(r.settings.AheadDays)
	if p.EndDate != 0 {
		if p.EndDate <= ahead {
			switch p.Ended {
			case portfolio.Replaced, portfolio.Transferred, portfolio.RiskGone, portfolio.Death:
			default:
				f[fEndsSoon]++
			}
		}
		return
	}
	if p.ContractEnd <= v.AsOf || p.ContractEnd > ahead {
		return
	}
	for i := range p.Versions {
		if w := &p.Versions[i]; w.ContractEnd > p.ContractEnd || w.ValidFrom > v.AsOf {
			return
		}
	}
	f[fDueWithoutOffer]++
}

// sums reads what a policy in force insures its thing for.
func (r *reader) sums(p *portfolio.PolicyView, branch int) {
	f, v := r.facts, r.v
	name := portfolio.Branches[branch].Name
	if p.SumInsured == 0 {
		switch name {
		case "building", "contents", "business_property":
			if !p.CurrentOnly {
				f[fSumsMissing]++
			}
		}
		return
	}
	if x := r.index[branch]; x != nil {
		behind := 1 - x.level(sumSince(p, v.AsOf).Year())/x.level(v.AsOf.Year())
		switch name {
		case "building":
			f.most(fBuildingBehindIndex, behind)
		case "contents":
			f.most(fContentsBehindIndex, behind)
		case "business_property":
			f.most(fPropertyBehindIndex, behind)
		case "valuables":
			f.most(fValuablesBehindIndex, behind)
		}
	}
	if c := &r.common[branch]; c.EUR > 0 {
		common := c.EUR
		if x := r.index[branch]; x != nil {
			common *= x.level(v.AsOf.Year()) / x.level(c.Year)
		}
		share := p.SumInsured.EUR() / common
		switch name {
		case "building":
			f.least(fBuildingToCommon, share)
			f.most(fBuildingToCommonHigh, share)
		case "contents":
			f.least(fContentsToCommon, share)
			f.most(fContentsToCommonHigh, share)
		}
	}
	if e, ok := enrichment.Known(p, v.AsOf); ok {
		ratio := p.SumInsured.EUR() / e.Amount.EUR()
		if short := 1 - ratio; !(f[fRebuildShortfall] >= short) {
			f[fRebuildShortfall], r.short = short, e
		}
		if over := ratio - 1; !(f[fRebuildExcess] >= over) {
			f[fRebuildExcess], r.over = over, e
		}
		if years := portfolio.Years(e.On, v.AsOf); !(f[fRebuildValueYears] >= years) {
			f[fRebuildValueYears], r.oldest = years, e
		}
	}
}

// sumSince is since when a policy has had its sum insured, as far as its versions tell.
func sumSince(p *portfolio.PolicyView, asOf portfolio.Date) portfolio.Date {
	since := p.ValidFrom
	for i := len(p.Versions) - 1; i >= 0 && (p.Versions[i].ValidFrom > asOf || p.Versions[i].SumInsured == p.SumInsured); i-- {
		since = min(since, p.Versions[i].ValidFrom)
	}
	return min(since, asOf)
}

// claims reads the customer's claims, but for those that tell of somebody's health (GDPR
// art. 9).
func (r *reader) claims() {
	f, v := r.facts, r.v
	var last portfolio.Date
	r.claimed = 0
	for i := range v.Claims {
		c := &v.Claims[i]
		p, branch := policyOf(v, c.PolicyID)
		if feature.Delicate(p, c) || c.LossDate > v.AsOf {
			continue
		}
		if c.Status == portfolio.ClaimRejected {
			if c.LossDate > r.year {
				f[fRejected12m]++
			}
			if c.LossDate > r.years3 {
				f[fRejected36m]++
			}
			continue
		}
		reported := max(c.LossDate, c.ReportedDate)
		last = max(last, reported)
		f.least(fLastClaimMonths, monthsSince(c.LossDate, v.AsOf))
		r.open(c, reported)
		if c.LossDate > r.years3 {
			f[fIncurred36m] += c.Incurred().EUR()
		}
		if c.LossDate > r.year {
			f[fIncurred12m] += c.Incurred().EUR()
			f.most(fLargestClaim12m, c.Incurred().EUR())
		}
		if portfolio.AmongCodes(r.settings.LightCovers, c.Cover) {
			if c.LossDate > r.year {
				f[fLightClaims12m]++
			}
			continue
		}
		r.count(c, branch)
		if c.LossDate > r.years2 {
			if p != nil && c.LossDate >= p.StartDate && c.LossDate < p.StartDate+portfolio.Date(r.settings.NewPolicyDays) {
				f[fClaimsOnNewPolicy24m]++
			}
			if reported-c.LossDate > portfolio.Date(r.settings.LateDays) {
				f[fLateReports24m]++
			}
		}
	}
	f[fClaimedBranches12m] = float64(ones(r.claimed))
	if last != 0 && r.book.ContactsSince != 0 && last >= r.book.ContactsSince {
		f[fClaimWithoutContactMonths] = 0
		if n := len(v.Contacts); n == 0 || v.Contacts[n-1].At.Date() < last {
			f[fClaimWithoutContactMonths] = monthsSince(last, v.AsOf)
		}
	}
}

// open reads the state of a claim.
func (r *reader) open(c *portfolio.ClaimView, reported portfolio.Date) {
	f := r.facts
	if c.Status == portfolio.ClaimOpen {
		f[fOpenClaims]++
		f.most(fLargestOpenClaim, c.Incurred().EUR())
		f.most(fOldestOpenClaimMonths, monthsSince(reported, r.v.AsOf))
	}
	for j := 1; j < len(c.Versions); j++ {
		if w := &c.Versions[j]; w.Status == portfolio.ClaimOpen && c.Versions[j-1].Status == portfolio.ClaimClosed && w.RecordedAt > r.year {
			f[fReopened12m]++
		}
	}
}

// count counts a claim that is not a light one.
func (r *reader) count(c *portfolio.ClaimView, branch int) {
	f := r.facts
	if c.LossDate > r.years3 {
		f[fClaims36m]++
		if c.AtFault == portfolio.AtFault {
			f[fAtFault36m]++
		}
	}
	if c.LossDate > r.years2 && branch >= 0 {
		f[ofBranch(branch, fClaimed)]++
	}
	if c.LossDate > r.year {
		f[fClaims12m]++
		if branch >= 0 {
			r.claimed |= 1 << branch
		}
		if c.AtFault == portfolio.AtFault {
			f[fAtFault12m]++
		}
	}
	if c.LossDate > r.v.AsOf-90 {
		f[fClaims90d]++
	}
}

// contacts reads the customer's contacts; since is when its first policy began.
func (r *reader) contacts(since portfolio.Date) {
	f, v := r.facts, r.v
	var last, sought, review portfolio.Date
	acquired := !math.IsNaN(f[fAcquiredMonths])
	if acquired && r.book.ContactsSince != 0 {
		f[fContactsSinceAcquired] = 0
	}
	for i := range v.Contacts {
		c := &v.Contacts[i]
		on := c.At.Date()
		last = on
		if c.Direction == "out" {
			sought = on
		}
		if portfolio.AmongCodes(r.settings.Reviews, c.Reason) {
			review = on
		}
		if acquired && on >= v.Customer.AcquiredOn {
			f[fContactsSinceAcquired]++
		}
		complaint := feature.IsComplaint(c.Reason)
		if complaint && on > r.years3 {
			f[fComplaints36m]++
		}
		if on <= r.year {
			continue
		}
		f[fContacts12m]++
		if c.Direction == "in" && on > v.AsOf-30 {
			f[fContactsIn30d]++
		}
		if c.Sentiment != 0 && c.Sentiment <= r.settings.Negative {
			f[fNegativeContacts12m]++
		}
		if complaint {
			r.complaint(c, on)
		}
	}
	if r.book.ContactsSince == 0 || since == 0 {
		return
	}
	first := max(since, r.book.ContactsSince)
	f[fSilentMonths] = monthsSince(max(last, first), v.AsOf)
	f[fUnaskedMonths] = monthsSince(max(sought, first), v.AsOf)
	f[fReviewMonths] = monthsSince(max(review, first), v.AsOf)
}

// complaint reads a complaint of the last 12 months.
func (r *reader) complaint(c *portfolio.Contact, on portfolio.Date) {
	f, v := r.facts, r.v
	f[fComplaints12m]++
	// A resolution after the as-of date is not known yet.
	if c.ResolvedAt == 0 || c.ResolvedAt.Date() > v.AsOf {
		f[fUnresolved]++
		f.most(fUnresolvedDays, float64(v.AsOf-on))
	} else {
		f.most(fSlowestComplaintDays12m, float64(c.ResolvedAt.Date()-on))
	}
	for i := range v.Claims {
		k := &v.Claims[i]
		running := k.Status == portfolio.ClaimOpen
		if k.SettledDate != 0 {
			running = on <= k.SettledDate+portfolio.Date(r.settings.AfterDays)
		}
		if !running || max(k.LossDate, k.ReportedDate) > on {
			continue
		}
		if p, _ := policyOf(v, k.PolicyID); !feature.Delicate(p, k) {
			f[fComplaintsAboutClaims12m]++
			return
		}
	}
}

// household reads what the members of the relation add up to. Of another member who objects
// to profiling no more is read than what is insured: a gap would be a mistake without it.
func (r *reader) household(g *feature.Group, self *portfolio.View) {
	f := r.facts
	r.carriers, r.holding, r.doubles = r.carriers[:0], 0, 0
	var lost, singly uint64
	other := false
	f[fHouseholdMembers] = float64(len(g.Views))
	for _, v := range g.Views {
		reserved := v != self && feature.Objects(v)
		business := v.Customer != nil && v.Customer.Segment == portfolio.Business
		if business {
			f[fHouseholdBusinesses]++
		}
		for i := range v.Policies {
			p := &v.Policies[i]
			b := portfolio.BranchIndex(p.Branch)
			if !p.InForce(v.AsOf) {
				if !reserved {
					r.gone(v, p, b, &lost)
				}
				continue
			}
			f[fHouseholdPolicies]++
			if p.Carrier != "" && !slices.Contains(r.carriers, p.Carrier) {
				r.carriers = append(r.carriers, p.Carrier)
			}
			if b < 0 {
				other = true
				continue
			}
			f[ofBranch(b, fInForce)]++
			r.holding |= 1 << b
			switch p.Branch {
			case "liability":
				f.most(fLiabilitySum, known(p.SumInsured))
			case "business_liability":
				f.most(fBusinessLiabilitySum, known(p.SumInsured))
			}
			if business || !portfolio.AmongCodes(r.settings.OneIsEnough, p.Branch) {
				continue
			}
			if singly&(1<<b) != 0 {
				r.doubles |= 1 << b
			}
			singly |= 1 << b
		}
		if !reserved {
			r.troubles(v)
		}
	}
	f[fHouseholdBranches] = float64(ones(r.holding))
	if other {
		f[fHouseholdBranches]++
	}
	f[fHouseholdCarriers] = float64(len(r.carriers))
	f[fHouseholdDoubleCovers] = float64(ones(r.doubles))
	for b := range portfolio.Branches {
		f.set(ofBranch(b, fHolds), r.holding&(1<<b) != 0)
		f.set(ofBranch(b, fLost), lost&^r.holding&(1<<b) != 0)
	}
}

// gone counts a household's policy that is not in force.
func (r *reader) gone(v *portfolio.View, p *portfolio.PolicyView, branch int, lost *uint64) {
	f := r.facts
	if p.EndDate == 0 || p.EndDate > v.AsOf {
		return
	}
	if p.Ended == portfolio.Death && p.EndDate > r.years2 {
		f[fHouseholdDeaths24m]++
	}
	if p.EndDate <= r.year {
		return
	}
	if p.Ended == portfolio.Lapse {
		f[fHouseholdLapsed12m]++
	}
	switch p.Ended {
	case portfolio.RiskGone, portfolio.Death:
	default:
		if branch >= 0 {
			*lost |= 1 << branch
		}
	}
}

// troubles counts the recent claims and complaints of a member.
func (r *reader) troubles(v *portfolio.View) {
	f := r.facts
	for i := range v.Claims {
		c := &v.Claims[i]
		if c.LossDate <= r.year || c.Status == portfolio.ClaimRejected || portfolio.AmongCodes(r.settings.LightCovers, c.Cover) {
			continue
		}
		if p, _ := policyOf(v, c.PolicyID); !feature.Delicate(p, c) {
			f[fHouseholdClaims12m]++
		}
	}
	for i := len(v.Contacts) - 1; i >= 0 && v.Contacts[i].At.Date() > r.year; i-- {
		if feature.IsComplaint(v.Contacts[i].Reason) {
			f[fHouseholdComplaints12m]++
		}
	}
}

// policyOf finds a policy by id, and the place of its branch; nil and −1 for none. Views
// have them in the order of ids, and a fleet has thousands.
func policyOf(v *portfolio.View, id string) (p *portfolio.PolicyView, branch int) {
	i, ok := slices.BinarySearchFunc(v.Policies, id, func(p portfolio.PolicyView, id string) int { return cmp.Compare(p.ID, id) })
	if !ok {
		return nil, -1
	}
	return &v.Policies[i], portfolio.BranchIndex(v.Policies[i].Branch)
}

func (f Facts) set(i int, is bool) {
	if is {
		f[i] = 1
	}
}

// known is an amount in EUR; not known where it is 0.
func known(c portfolio.Cents) float64 {
	if c == 0 {
		return unknown
	}
	return c.EUR()
}

func ones(set uint64) int {
	n := 0
	for ; set != 0; set &= set - 1 {
		n++
	}
	return n
}

// monthsSince is the time between two dates in mean months of 30.4375 days, not known
// where there is no first date.
func monthsSince(from, to portfolio.Date) float64 {
	if from == 0 {
		return unknown
	}
	return float64(to-from) / 30.4375
}
