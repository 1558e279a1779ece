package care

import (
	"math"

	"polis/handler/internal/portfolio"
)

// Fact is something that rules can ask of a customer's file.
type Fact struct {
	Name    string
	Unit    string
	Meaning string
	Names   []string // what it can be, where it is a name
}

// Facts are the facts of a customer in the order of FactList. A name is its place in the
// fact's Names, yes is 1 and no is 0, and what is not known is NaN.
type Facts []float64

// The units of facts.
const (
	yesNo       = "yes or no"
	unitName    = "name"
	unitCount   = "count"
	unitPeople  = "people"
	unitDays    = "days"
	unitMonths  = "months"
	unitYears   = "years"
	unitEUR     = "EUR"
	unitEURYear = "EUR a year"
	unitShare   = "share"
	unitTimes   = "times"
)

// The facts that are one of a kind, in their order; those by branch come after them.
const (
	fSegment = iota
	fOrigin
	fAge
	fEmployees
	fSoleTrader
	fObjects
	fTenureMonths
	fAcquiredMonths
	fMoves24m
	fMovedMonths
	fHouseholdChangeMonths
	fHouseholdMembers
	fHouseholdBusinesses
	fHouseholdPolicies
	fHouseholdBranches
	fHouseholdCarriers
	fHouseholdDoubleCovers
	fHouseholdDeaths24m
	fHouseholdLapsed12m
	fHouseholdClaims12m
	fHouseholdComplaints12m
	fPolicies
	fBranches
	fCarriers
	fSuspended
	fNewestPolicyMonths
	fPoliciesBegun12m
	fNotReviewedYears
	fMutations12m
	fPremiumRise12m
	fAnnouncedRise
	fAnnouncedExtra
	fPaysMoreOften12m
	fEnded12m
	fLapsed12m
	fEndedByInsurer12m
	fMissedPayments24m
	fRiskGone12m
	fTransferred12m
	fEndsSoon
	fDueWithoutOffer
	fDeductibleToPremium
	fDeductibleRaised12m
	fSumLowered12m
	fSumsMissing
	fBuildingBehindIndex
	fContentsBehindIndex
	fPropertyBehindIndex
	fValuablesBehindIndex
	fBuildingToCommon
	fBuildingToCommonHigh
	fContentsToCommon
	fContentsToCommonHigh
	fRebuildShortfall
	fRebuildExcess
	fRebuildValueYears
	fLiabilitySum
	fBusinessLiabilitySum
	fClaims90d
	fClaims12m
	fClaims36m
	fLightClaims12m
	fClaimedBranches12m
	fAtFault12m
	fAtFault36m
	fIncurred12m
	fIncurred36m
	fLargestClaim12m
	fLastClaimMonths
	fOpenClaims
	fLargestOpenClaim
	fOldestOpenClaimMonths
	fReopened12m
	fRejected12m
	fRejected36m
	fClaimsOnNewPolicy24m
	fLateReports24m
	fClaimWithoutContactMonths
	fContacts12m
	fContactsIn30d
	fComplaints12m
	fComplaints36m
	fUnresolved
	fUnresolvedDays
	fSlowestComplaintDays12m
	fComplaintsAboutClaims12m
	fNegativeContacts12m
	fSilentMonths
	fUnaskedMonths
	fReviewMonths
	fContactsSinceAcquired
	singles
)

// FactList describes the facts that rules can name.
var FactList = append([]Fact{
	fSegment:                   {Name: "segment", Unit: unitName, Meaning: "private or business; private where it is not stated", Names: []string{"private", "business"}},
	fOrigin:                    {Name: "origin", Unit: unitName, Meaning: "direct, broker or acquisition", Names: []string{"direct", "broker", "acquisition"}},
	fAge:                       {Name: "age", Unit: unitYears, Meaning: "age of a private customer by year of birth, as reached in the calendar year; 1900 is taken as not known"},
	fEmployees:                 {Name: "employees", Unit: unitPeople, Meaning: "employees of a business; 0 where none are stated"},
	fSoleTrader:                {Name: "sole_trader", Unit: yesNo, Meaning: "a business whose legal form is that of a person who works alone (settings: sole_traders)"},
	fObjects:                   {Name: "objects", Unit: yesNo, Meaning: "the customer objects to profiling"},
	fTenureMonths:              {Name: "tenure_months", Unit: unitMonths, Meaning: "since the customer's first policy began"},
	fAcquiredMonths:            {Name: "acquired_months", Unit: unitMonths, Meaning: "since the customer came with an acquired portfolio"},
	fMoves24m:                  {Name: "moves_24m", Unit: unitCount, Meaning: "changes of postcode recorded in the last 24 months"},
	fMovedMonths:               {Name: "moved_months", Unit: unitMonths, Meaning: "since the last change of postcode"},
	fHouseholdChangeMonths:     {Name: "household_change_months", Unit: unitMonths, Meaning: "since the customer left its household for another, or for none"},
	fHouseholdMembers:          {Name: "household_members", Unit: unitCount, Meaning: "customers of the household or company group"},
	fHouseholdBusinesses:       {Name: "household_businesses", Unit: unitCount, Meaning: "businesses among them"},
	fHouseholdPolicies:         {Name: "household_policies", Unit: unitCount, Meaning: "policies in force of the household"},
	fHouseholdBranches:         {Name: "household_branches", Unit: unitCount, Meaning: "different branches in force of the household"},
	fHouseholdCarriers:         {Name: "household_carriers", Unit: unitCount, Meaning: "different carriers of the household's policies in force"},
	fHouseholdDoubleCovers:     {Name: "household_double_covers", Unit: unitCount, Meaning: "branches of which the private members hold two policies or more where one is enough (settings: one_is_enough)"},
	fHouseholdDeaths24m:        {Name: "household_deaths_24m", Unit: unitCount, Meaning: "policies of the household that ended by a death in the last 24 months"},
	fHouseholdLapsed12m:        {Name: "household_lapsed_12m", Unit: unitCount, Meaning: "policies of the household that its members ended in the last 12 months"},
	fHouseholdClaims12m:        {Name: "household_claims_12m", Unit: unitCount, Meaning: "claims of the household with a loss in the last 12 months, light ones apart"},
	fHouseholdComplaints12m:    {Name: "household_complaints_12m", Unit: unitCount, Meaning: "complaints of the household in the last 12 months"},
	fPolicies:                  {Name: "policies", Unit: unitCount, Meaning: "policies in force"},
	fBranches:                  {Name: "branches", Unit: unitCount, Meaning: "different branches in force"},
	fCarriers:                  {Name: "carriers", Unit: unitCount, Meaning: "different carriers of policies in force"},
	fSuspended:                 {Name: "suspended", Unit: unitCount, Meaning: "policies in force that are suspended"},
	fNewestPolicyMonths:        {Name: "newest_policy_months", Unit: unitMonths, Meaning: "since the newest policy in force began"},
	fPoliciesBegun12m:          {Name: "policies_begun_12m", Unit: unitCount, Meaning: "policies that began in the last 12 months and replaced none"},
	fNotReviewedYears:          {Name: "not_reviewed_years", Unit: unitYears, Meaning: "the longest that the terms of a policy in force have stayed as they are, as far as is recorded; its premium apart"},
	fMutations12m:              {Name: "mutations_12m", Unit: unitCount, Meaning: "changes of policies recorded in the last 12 months; premiums at renewal, ends and enrichment apart"},
	fPremiumRise12m:            {Name: "premium_rise_12m", Unit: unitShare, Meaning: "the largest rise of a policy's premium that came into effect in the last 12 months"},
	fAnnouncedRise:             {Name: "announced_rise", Unit: unitShare, Meaning: "the largest rise of a policy's premium that is recorded and not yet valid"},
	fAnnouncedExtra:            {Name: "announced_extra", Unit: unitEURYear, Meaning: "what all announced premiums are above those of today"},
	fPaysMoreOften12m:          {Name: "pays_more_often_12m", Unit: unitCount, Meaning: "policies of which the premium came to be paid in more parts in the last 12 months"},
	fEnded12m:                  {Name: "ended_12m", Unit: unitCount, Meaning: "policies that ended in the last 12 months and were not replaced or renumbered"},
	fLapsed12m:                 {Name: "lapsed_12m", Unit: unitCount, Meaning: "policies that the customer ended in the last 12 months"},
	fEndedByInsurer12m:         {Name: "ended_by_insurer_12m", Unit: unitCount, Meaning: "policies that an insurer ended in the last 12 months"},
	fMissedPayments24m:         {Name: "missed_payments_24m", Unit: unitCount, Meaning: "policies that ended in the last 24 months because premiums were not paid (settings: missed_reason)"},
	fRiskGone12m:               {Name: "risk_gone_12m", Unit: unitCount, Meaning: "policies that ended in the last 12 months because what they insured was sold or gone"},
	fTransferred12m:            {Name: "transferred_12m", Unit: unitCount, Meaning: "policies that were transferred or renumbered in the last 12 months"},
	fEndsSoon:                  {Name: "ends_soon", Unit: unitCount, Meaning: "policies that end within the days ahead (settings: ahead_days) and are not replaced"},
	fDueWithoutOffer:           {Name: "due_without_offer", Unit: unitCount, Meaning: "contracts that run out within the days ahead (settings: ahead_days) without a next term that is recorded"},
	fDeductibleToPremium:       {Name: "deductible_to_premium", Unit: unitTimes, Meaning: "the largest deductible of a policy against its annual premium"},
	fDeductibleRaised12m:       {Name: "deductible_raised_12m", Unit: unitCount, Meaning: "policies of which the deductible went up in the last 12 months"},
	fSumLowered12m:             {Name: "sum_lowered_12m", Unit: unitCount, Meaning: "policies of which the sum insured went down in the last 12 months"},
	fSumsMissing:               {Name: "sums_missing", Unit: unitCount, Meaning: "buildings, contents and business properties in force without a sum insured on record"},
	fBuildingBehindIndex:       {Name: "building_behind_index", Unit: unitShare, Meaning: "how far a building's sum insured lags behind the index since it was last changed; the worst (settings: index)"},
	fContentsBehindIndex:       {Name: "contents_behind_index", Unit: unitShare, Meaning: "the same of contents"},
	fPropertyBehindIndex:       {Name: "property_behind_index", Unit: unitShare, Meaning: "the same of business property"},
	fValuablesBehindIndex:      {Name: "valuables_behind_index", Unit: unitShare, Meaning: "the same of valuables"},
	fBuildingToCommon:          {Name: "building_to_common", Unit: unitTimes, Meaning: "a building's sum insured over what is common, brought to the year of the as-of date; the lowest (settings: common)"},
	fBuildingToCommonHigh:      {Name: "building_to_common_high", Unit: unitTimes, Meaning: "the same, the highest"},
	fContentsToCommon:          {Name: "contents_to_common", Unit: unitTimes, Meaning: "the same of contents, the lowest"},
	fContentsToCommonHigh:      {Name: "contents_to_common_high", Unit: unitTimes, Meaning: "the same of contents, the highest"},
	fRebuildShortfall:          {Name: "rebuild_shortfall", Unit: unitShare, Meaning: "how far a sum insured is below what it would cost to rebuild or replace, as brought in (enrichment); the worst"},
	fRebuildExcess:             {Name: "rebuild_excess", Unit: unitShare, Meaning: "how far a sum insured is above that; the worst"},
	fRebuildValueYears:         {Name: "rebuild_value_years", Unit: unitYears, Meaning: "age of the oldest value that was brought in for a policy in force"},
	fLiabilitySum:              {Name: "liability_sum", Unit: unitEUR, Meaning: "the highest sum insured of a liability policy of the household"},
	fBusinessLiabilitySum:      {Name: "business_liability_sum", Unit: unitEUR, Meaning: "the highest sum insured of a business liability policy of the household or group"},
	fClaims90d:                 {Name: "claims_90d", Unit: unitCount, Meaning: "claims with a loss in the last 90 days, light ones apart; as all counts of claims, without rejected ones and those of life, health and accident"},
	fClaims12m:                 {Name: "claims_12m", Unit: unitCount, Meaning: "claims with a loss in the last 12 months, light ones apart"},
	fClaims36m:                 {Name: "claims_36m", Unit: unitCount, Meaning: "claims with a loss in the last 36 months, light ones apart"},
	fLightClaims12m:            {Name: "light_claims_12m", Unit: unitCount, Meaning: "claims for glass or assistance in the last 12 months (settings: light_covers)"},
	fClaimedBranches12m:        {Name: "claimed_branches_12m", Unit: unitCount, Meaning: "different branches with such a claim in the last 12 months, light ones apart"},
	fAtFault12m:                {Name: "at_fault_12m", Unit: unitCount, Meaning: "claims at fault in the last 12 months"},
	fAtFault36m:                {Name: "at_fault_36m", Unit: unitCount, Meaning: "claims at fault in the last 36 months"},
	fIncurred12m:               {Name: "incurred_12m", Unit: unitEUR, Meaning: "paid, reserved and not recovered for losses of the last 12 months"},
	fIncurred36m:               {Name: "incurred_36m", Unit: unitEUR, Meaning: "paid, reserved and not recovered for losses of the last 36 months"},
	fLargestClaim12m:           {Name: "largest_claim_12m", Unit: unitEUR, Meaning: "the largest of these of the last 12 months"},
	fLastClaimMonths:           {Name: "last_claim_months", Unit: unitMonths, Meaning: "since the last loss"},
	fOpenClaims:                {Name: "open_claims", Unit: unitCount, Meaning: "claims that are open"},
	fLargestOpenClaim:          {Name: "largest_open_claim", Unit: unitEUR, Meaning: "what the largest open claim has come to"},
	fOldestOpenClaimMonths:     {Name: "oldest_open_claim_months", Unit: unitMonths, Meaning: "since the oldest open claim was reported"},
	fReopened12m:               {Name: "reopened_12m", Unit: unitCount, Meaning: "claims that were closed and opened again in the last 12 months"},
	fRejected12m:               {Name: "rejected_12m", Unit: unitCount, Meaning: "claims with a loss in the last 12 months that were rejected"},
	fRejected36m:               {Name: "rejected_36m", Unit: unitCount, Meaning: "the same of the last 36 months"},
	fClaimsOnNewPolicy24m:      {Name: "claims_on_new_policy_24m", Unit: unitCount, Meaning: "claims of the last 24 months within the first days of their policy (settings: new_policy_days)"},
	fLateReports24m:            {Name: "late_reports_24m", Unit: unitCount, Meaning: "claims of the last 24 months that were reported late (settings: late_days)"},
	fClaimWithoutContactMonths: {Name: "claim_without_contact_months", Unit: unitMonths, Meaning: "since the last claim was reported, where there was no contact after it; 0 where there was"},
	fContacts12m:               {Name: "contacts_12m", Unit: unitCount, Meaning: "contacts in the last 12 months"},
	fContactsIn30d:             {Name: "contacts_in_30d", Unit: unitCount, Meaning: "contacts that the customer sought in the last 30 days"},
	fComplaints12m:             {Name: "complaints_12m", Unit: unitCount, Meaning: "complaints in the last 12 months"},
	fComplaints36m:             {Name: "complaints_36m", Unit: unitCount, Meaning: "complaints in the last 36 months"},
	fUnresolved:                {Name: "unresolved", Unit: unitCount, Meaning: "complaints of the last 12 months that are not resolved"},
	fUnresolvedDays:            {Name: "unresolved_days", Unit: unitDays, Meaning: "since the oldest of these"},
	fSlowestComplaintDays12m:   {Name: "slowest_complaint_days_12m", Unit: unitDays, Meaning: "the longest that a complaint of the last 12 months took to be resolved"},
	fComplaintsAboutClaims12m:  {Name: "complaints_about_claims_12m", Unit: unitCount, Meaning: "complaints of the last 12 months while a claim was open or soon after (settings: after_days)"},
	fNegativeContacts12m:       {Name: "negative_contacts_12m", Unit: unitCount, Meaning: "contacts of the last 12 months with a negative sentiment (settings: negative)"},
	fSilentMonths:              {Name: "silent_months", Unit: unitMonths, Meaning: "since the last contact; since the first policy or the book's first contact, whichever is later, where there was none"},
	fUnaskedMonths:             {Name: "unasked_months", Unit: unitMonths, Meaning: "the same of contacts that the house sought"},
	fReviewMonths:              {Name: "review_months", Unit: unitMonths, Meaning: "the same of contacts that went through the portfolio (settings: reviews)"},
	fContactsSinceAcquired:     {Name: "contacts_since_acquired", Unit: unitCount, Meaning: "contacts since the customer came with an acquired portfolio"},
}, byBranch()...)

// The facts that each branch has. Of branch i they stand at singles + i*perBranch.
const (
	fHolds = iota
	fInForce
	fClaimed
	fLost
	perBranch
)

func byBranch() []Fact {
	out := make([]Fact, 0, len(portfolio.Branches)*perBranch)
	for _, b := range portfolio.Branches {
		claimed := Fact{Name: "claims_24m_" + b.Name, Unit: unitCount, Meaning: "claims of the customer in " + b.Name + " with a loss in the last 24 months, light ones apart"}
		if b.LifeOrHealth || b.Name == "accident" {
			claimed = Fact{} // tells of somebody's health, and has no name that a rule could use
		}
		out = append(out,
			Fact{Name: "holds_" + b.Name, Unit: yesNo, Meaning: "the household has a policy of " + b.Name + " in force"},
			Fact{Name: "policies_" + b.Name, Unit: unitCount, Meaning: "policies of " + b.Name + " in force of the household"},
			claimed,
			Fact{Name: "lost_" + b.Name, Unit: yesNo, Meaning: "the household had " + b.Name + ", it ended in the last 12 months, and there is none in force now"})
	}
	return out
}

// ofBranch is where a fact of a branch stands.
func ofBranch(branch, fact int) int { return singles + branch*perBranch + fact }

var factIndex = func() map[string]int {
	m := make(map[string]int, len(FactList))
	for i := range FactList {
		if FactList[i].Name != "" {
			m[FactList[i].Name] = i
		}
	}
	return m
}()

// unknown is a fact that is not known.
var unknown = math.NaN()

// least and most keep the lower and the higher of a fact and a value; not known gives way.
func (f Facts) least(i int, v float64) {
	if !(f[i] <= v) && !math.IsNaN(v) {
		f[i] = v
	}
}

func (f Facts) most(i int, v float64) {
	if !(f[i] >= v) && !math.IsNaN(v) {
		f[i] = v
	}
}
