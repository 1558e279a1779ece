package feature

import (
	"math/bits"
	"strings"

	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
)

// Definition is one feature: what docs and reasons say of it, and how it is found.
type Definition struct {
	Name    string `json:"name"` // as in models, reasons and Settings
	Group   string `json:"group"`
	Unit    string `json:"unit,omitempty"` // "" for a name
	Meaning string `json:"meaning"`
	// CurrentOnly marks what reads a field that an undated row gives no history of: as of
	// a date before such a row was recorded it is missing. See portfolio.PolicyView.
	CurrentOnly bool `json:"current_only,omitempty"`

	num func(*facts) float64
	cat func(*facts) string
}

// The groups of features, in the order of docs/features.md.
const (
	who      = "customer"
	relation = "relation"
	held     = "policies"
	premium  = "premium"
	contract = "contract"
	changes  = "changes and ends"
	claims   = "claims"
	contacts = "contacts"
	month    = "month"
	terms    = "terms"
	insured  = "insured"
)

// Customers are the features of a customer, in the order of CustomerFields.
var Customers = []Definition{
	{Name: "segment", Group: who, Meaning: "private or business", cat: func(f *facts) string { return string(f.customer().Segment) }},
	{Name: "age", Group: who, Unit: "years", Meaning: "age of the customer, by year of birth; 1900 and years to come are taken as not known", num: (*facts).age},
	{Name: "origin", Group: who, CurrentOnly: true, Meaning: "direct, broker or acquisition", cat: func(f *facts) string { return f.customer().Origin }},
	{Name: "region", Group: who, CurrentOnly: true, Meaning: "region of the customer", cat: func(f *facts) string { return f.customer().Region }},
	{Name: "area", Group: who, CurrentOnly: true, Meaning: "first two characters of the postcode", cat: func(f *facts) string { return area(f.customer().Postcode) }},
	{Name: "office", Group: who, CurrentOnly: true, Meaning: "office that serves the customer", cat: func(f *facts) string { return f.customer().OfficeID }},
	{Name: "employees", Group: who, Unit: "people", CurrentOnly: true, Meaning: "employees of a business", num: func(f *facts) float64 { return known(float64(f.customer().Employees)) }},
	{Name: "consents", Group: who, Unit: "count", CurrentOnly: true, Meaning: "consents given and standing", num: (*facts).consents},
	{Name: "tenure", Group: who, Unit: "months", Meaning: "since the first policy began", num: func(f *facts) float64 { return monthsSince(f.since, f.v.AsOf) }},
	{Name: "relation_members", Group: relation, Unit: "count", Meaning: "customers of the relation of whom something was known by then", num: func(f *facts) float64 { return float64(f.g.Members) }},
	{Name: "relation_policies", Group: relation, Unit: "count", Meaning: "policies in force of the relation", num: func(f *facts) float64 { return float64(f.g.Policies) }},
	{Name: "relation_branches", Group: relation, Unit: "count", Meaning: "different branches that the relation has in force; those that Polis does not know count as one", num: func(f *facts) float64 { return float64(f.g.Branches()) }},
	{Name: "policies_per_member", Group: relation, Unit: "policies a customer", Meaning: "policy density: policies in force of the relation by its members", num: func(f *facts) float64 { return ratio(float64(f.g.Policies), float64(f.g.Members)) }},
	{Name: "common_share", Group: relation, Unit: "share", Meaning: "policy density: of the branches that such customers commonly hold, those that the relation has in force", num: (*facts).common},
	{Name: "relation_premium", Group: relation, Unit: "EUR a year", CurrentOnly: true, Meaning: "annual premium in force of the relation", num: func(f *facts) float64 { return unless(f.g.Undated, f.g.Premium.EUR()) }},
	{Name: "relation_lapsed_12m", Group: relation, Unit: "count", Meaning: "policies of the relation lapsed in the last 12 months", num: func(f *facts) float64 { return float64(f.g.Lapsed) }},
	{Name: "relation_claims_36m", Group: relation, Unit: "count", Meaning: "claims of the relation with a loss in the last 36 months", num: func(f *facts) float64 { return float64(f.g.Claims) }},
	{Name: "relation_complaints_12m", Group: relation, Unit: "count", Meaning: "complaints of the relation in the last 12 months", num: func(f *facts) float64 { return float64(f.g.Trouble) }},
	{Name: "policies", Group: held, Unit: "count", Meaning: "policies in force", num: func(f *facts) float64 { return float64(f.inForce) }},
	{Name: "branches", Group: held, Unit: "count", Meaning: "different branches in force; those that Polis does not know count as one", num: func(f *facts) float64 { return float64(f.branches) }},
	{Name: "essential", Group: held, Unit: "count", Meaning: "policies in force of essential branches", num: func(f *facts) float64 { return float64(f.essential) }},
	{Name: "main_branch", Group: held, CurrentOnly: true, Meaning: "branch of the policy with the most premium", cat: func(f *facts) string { return f.mainText(func(p *portfolio.PolicyView) string { return p.Branch }) }},
	{Name: "main_carrier", Group: held, CurrentOnly: true, Meaning: "carrier of the policy with the most premium", cat: func(f *facts) string { return f.mainText(func(p *portfolio.PolicyView) string { return p.Carrier }) }},
	{Name: "carriers", Group: held, Unit: "count", CurrentOnly: true, Meaning: "different carriers, 8 at most", num: func(f *facts) float64 { return unless(f.undated, float64(f.carriers)) }},
	{Name: "policy_age", Group: held, Unit: "years", Meaning: "mean age of policies in force", num: func(f *facts) float64 { return ratio(f.ageSum, float64(f.inForce)) }},
	{Name: "newest_policy", Group: held, Unit: "months", Meaning: "since the newest policy in force began", num: func(f *facts) float64 { return monthsSince(f.newest, f.v.AsOf) }},
	{Name: "premium", Group: premium, Unit: "EUR a year", CurrentOnly: true, Meaning: "annual premium in force", num: func(f *facts) float64 { return unless(f.undated, f.premium.EUR()) }},
	{Name: "motor_share", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "share of motor in the premium", num: func(f *facts) float64 { return unless(f.undated, ratio(f.motor.EUR(), f.premium.EUR())) }},
	{Name: "premium_change", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "largest change of a policy's premium over the last 12 months", num: func(f *facts) float64 { return unless(f.undated, f.change) }},
	{Name: "renewal_change", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "largest change of a policy's premium at its last renewal", num: func(f *facts) float64 { return unless(f.undated, f.renewal) }},
	{Name: "midterm_change", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "largest change of a policy's premium over the last 12 months, its renewal's left out", num: func(f *facts) float64 { return unless(f.undated, f.midterm) }},
	{Name: "premium_change_36m", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "change of the premium of policies in force over the last 36 months, or since they began", num: func(f *facts) float64 { return unless(f.undated, ratio(f.now36.EUR(), f.then36.EUR())-1) }},
	{Name: "announced_change", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "largest change of a policy's premium that is recorded and not yet valid", num: func(f *facts) float64 { return unless(f.undated, f.announced) }},
	{Name: "payment_frequency", Group: premium, Unit: "payments a year", CurrentOnly: true, Meaning: "mean over policies in force of which it is known", num: func(f *facts) float64 { return unless(f.undated, ratio(f.payments, f.paid)) }},
	{Name: "commission_rate", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "mean over policies in force of which it is known", num: func(f *facts) float64 { return unless(f.undated, ratio(f.commission, f.commissioned)) }},
	{Name: "contract_end", Group: contract, Unit: "months", CurrentOnly: true, Meaning: "until the first of the contracts in force ends", num: (*facts).contractEnd},
	{Name: "notice_months", Group: contract, Unit: "months", CurrentOnly: true, Meaning: "longest notice period of policies in force", num: func(f *facts) float64 { return unless(f.undated, known(float64(f.notice))) }},
	{Name: "mutations_12m", Group: changes, Unit: "count", CurrentOnly: true, Meaning: "versions of policies recorded in the last 12 months, first ones and renewals left out", num: func(f *facts) float64 { return unless(f.undated || f.unseen, float64(f.mutations)) }},
	{Name: "ended_12m", Group: changes, Unit: "count", Meaning: "policies ended in the last 12 months", num: func(f *facts) float64 { return float64(f.ended12) }},
	{Name: "lapsed_12m", Group: changes, Unit: "count", Meaning: "policies lapsed in the last 12 months", num: func(f *facts) float64 { return float64(f.lapsed12) }},
	{Name: "lapsed_ever", Group: changes, Unit: "count", Meaning: "policies lapsed ever", num: func(f *facts) float64 { return float64(f.lapsedEver) }},
	{Name: "claims_12m", Group: claims, Unit: "count", Meaning: "claims with a loss in the last 12 months", num: func(f *facts) float64 { return float64(f.claims12) }},
	{Name: "claims_36m", Group: claims, Unit: "count", Meaning: "claims with a loss in the last 36 months", num: func(f *facts) float64 { return float64(f.claims36) }},
	{Name: "at_fault_36m", Group: claims, Unit: "count", CurrentOnly: true, Meaning: "claims at fault with a loss in the last 36 months", num: func(f *facts) float64 { return unless(f.vague, float64(f.atFault36)) }},
	{Name: "incurred_36m", Group: claims, Unit: "EUR", CurrentOnly: true, Meaning: "incurred of losses in the last 36 months, as known by then", num: func(f *facts) float64 { return unless(f.vague, f.incurred36.EUR()) }},
	{Name: "burden_36m", Group: claims, Unit: "share", CurrentOnly: true, Meaning: "incurred over earned premium, last 36 months", num: func(f *facts) float64 {
		return unless(f.vague || f.undated, ratio(f.incurred36.EUR(), f.earned36.EUR()))
	}},
	{Name: "open_claims", Group: claims, Unit: "count", CurrentOnly: true, Meaning: "claims that are open, of any age", num: func(f *facts) float64 { return unless(f.vague, float64(f.open)) }},
	{Name: "last_claim", Group: claims, Unit: "months", Meaning: "since the last loss", num: func(f *facts) float64 { return monthsSince(f.lastLoss, f.v.AsOf) }},
	{Name: "contacts_12m", Group: contacts, Unit: "count", Meaning: "contacts in the last 12 months", num: func(f *facts) float64 { return float64(f.contacts12) }},
	{Name: "phone_12m", Group: contacts, Unit: "count", Meaning: "contacts by telephone in the last 12 months", num: func(f *facts) float64 { return float64(f.by[phone]) }},
	{Name: "mail_12m", Group: contacts, Unit: "count", Meaning: "contacts by letter or email in the last 12 months", num: func(f *facts) float64 { return float64(f.by[mail]) }},
	{Name: "online_12m", Group: contacts, Unit: "count", Meaning: "contacts by chat, app or portal in the last 12 months", num: func(f *facts) float64 { return float64(f.by[online]) }},
	{Name: "visits_12m", Group: contacts, Unit: "count", Meaning: "contacts face to face in the last 12 months", num: func(f *facts) float64 { return float64(f.by[visit]) }},
	{Name: "outreach_12m", Group: contacts, Unit: "count", Meaning: "contacts that were sought by us in the last 12 months", num: func(f *facts) float64 { return float64(f.outreach) }},
	{Name: "questions_12m", Group: contacts, Unit: "count", Meaning: "questions, invoices and documents included, in the last 12 months", num: func(f *facts) float64 { return float64(f.about[question]) }},
	{Name: "changes_12m", Group: contacts, Unit: "count", Meaning: "contacts about a change in the last 12 months", num: func(f *facts) float64 { return float64(f.about[change]) }},
	{Name: "claim_contacts_12m", Group: contacts, Unit: "count", Meaning: "contacts about a claim in the last 12 months", num: func(f *facts) float64 { return float64(f.about[claim]) }},
	{Name: "advice_12m", Group: contacts, Unit: "count", Meaning: "contacts for advice or review in the last 12 months", num: func(f *facts) float64 { return float64(f.about[advice]) }},
	{Name: "complaints_12m", Group: contacts, Unit: "count", Meaning: "complaints in the last 12 months", num: func(f *facts) float64 { return float64(f.about[complaint]) }},
	{Name: "unresolved", Group: contacts, Unit: "count", Meaning: "complaints of any age that are not resolved", num: func(f *facts) float64 { return float64(f.unresolved) }},
	{Name: "unresolved_age", Group: contacts, Unit: "months", Meaning: "since the oldest complaint that is not resolved", num: func(f *facts) float64 { return monthsSince(f.complained, f.v.AsOf) }},
	{Name: "sentiment_12m", Group: contacts, Unit: "−1 to 1", Meaning: "mean sentiment of contacts in the last 12 months", num: func(f *facts) float64 { return ratio(f.sentiment, float64(f.sentiments)) }},
	{Name: "last_contact", Group: contacts, Unit: "months", Meaning: "since the last contact", num: func(f *facts) float64 { return monthsSince(f.lastContact, f.v.AsOf) }},
	{Name: "silence", Group: contacts, Unit: "months", Meaning: "since anything was heard: a contact, a loss, a new policy", num: func(f *facts) float64 { return monthsSince(max(f.lastContact, f.lastLoss, f.lastStart), f.v.AsOf) }},
}

// Months are what a hazard's month adds to a customer's features.
var Months = []Definition{
	{Name: "month_tenure", Group: month, Unit: "months", Meaning: "since the first policy began, in that month"},
	{Name: "month_renewal", Group: month, Unit: "months", CurrentOnly: true, Meaning: "until the next renewal, in that month: 0 is the month of it"},
	{Name: "month_calendar", Group: month, Unit: "month", Meaning: "calendar month"},
}

// Holdings are the branches, held or not by the relation, that an offer's model sees.
func holding(branch int) Definition {
	return Definition{
		Name: "holds_" + portfolio.Branches[branch].Name, Group: relation, Unit: "0 or 1", Meaning: "the relation has this branch in force",
		num: func(f *facts) float64 {
			if f.g.Holds(branch) {
				return 1
			}
			return 0
		},
	}
}

var offers = func() []Definition {
	all := append([]Definition(nil), Customers...)
	for i := range portfolio.Branches {
		all = append(all, holding(i))
	}
	return all
}()

func fields(defs []Definition) []model.Field {
	out := make([]model.Field, len(defs))
	for i, d := range defs {
		out[i].Name = d.Name
		if d.cat != nil {
			out[i].Kind = model.Category
		}
	}
	return out
}

// CustomerFields are the fields of Customer's rows.
func CustomerFields() []model.Field { return fields(Customers) }

// OfferFields are the fields of Offer's rows: the customer's, and what the relation holds.
func OfferFields() []model.Field { return fields(offers) }

// HazardFields are the fields of Hazard's rows: the customer's, and those of a month.
func HazardFields() []model.Field { return append(fields(Customers), fields(Months)...) }

func resize(row *model.Row, n int) {
	if cap(row.Num) < n {
		row.Num, row.Cat = make([]float64, n), make([]string, n)
	}
	row.Num, row.Cat = row.Num[:n], row.Cat[:n]
}

func fill(defs []Definition, f *facts, row *model.Row) {
	for i := range defs {
		if defs[i].cat != nil {
			row.Cat[i] = defs[i].cat(f)
		} else if defs[i].num != nil {
			row.Num[i] = defs[i].num(f)
		}
	}
}

// Reader makes rows. Its buffers are reused, so it is for one goroutine.
type Reader struct {
	// Schema has the attributes that rows of hazards end with; without it they have none.
	Schema PolicySchema

	facts  facts
	policy policyFacts
	claims []branchClaims // of the customer that Policies was called with

	months  [Ahead + 1]portfolio.Date // after the as-of date; see calendar
	monthOf [Ahead + 1]float64        // of the year
	renewal int                       // whole months until it, of who was read last; −1: not known
}

// Customer fills a row of CustomerFields.
func (r *Reader) Customer(in Input, row *model.Row) {
	r.facts.reset(in)
	resize(row, len(Customers))
	fill(Customers, &r.facts, row)
}

// Offer fills a row of OfferFields.
func (r *Reader) Offer(in Input, row *model.Row) {
	r.facts.reset(in)
	resize(row, len(offers))
	fill(offers, &r.facts, row)
}

// Hazard fills a row of HazardFields for the first month after the as-of date.
func (r *Reader) Hazard(in Input, row *model.Row) {
	r.facts.reset(in)
	resize(row, len(Customers)+len(Months)+len(r.Schema.Attributes))
	fill(Customers, &r.facts, row)
	main := r.facts.main
	if r.facts.undated {
		main = nil // which one it is is not known
	}
	r.Schema.attributes(main, row, len(Customers)+len(Months))
	r.renewal = -1
	if f := &r.facts; f.nextEnd != 0 && !f.undated {
		r.renewal = MonthsAhead(f.v.AsOf, f.nextEnd)
	}
	r.SetMonth(row, 1)
}

// SetMonth moves a row that Hazard filled to the month that ends so many months after
// the as-of date, at most Ahead. Tenure, renewal and calendar roll forward; all else stays what was
// known on the as-of date.
func (r *Reader) SetMonth(row *model.Row, month int) {
	f, at := &r.facts, len(Customers)
	row.Num[at] = monthsSince(f.since, r.calendar(month-1))
	row.Num[at+1] = untilRenewal(r.renewal, month)
	row.Num[at+2] = r.monthOf[month-1]
}

var nobody portfolio.Customer

func (f *facts) customer() *portfolio.Customer {
	if f.v.Customer == nil {
		return &nobody
	}
	return f.v.Customer
}

func (f *facts) age() float64 { return Age(f.customer(), f.v.AsOf) }

// Age is a customer's in the year of a date, by year of birth; NaN where it is not known.
// It takes 1900 as not known: administrations fill it in where they must.
func Age(c *portfolio.Customer, on portfolio.Date) float64 {
	if c.BirthYear <= 1900 || c.BirthYear > on.Year() {
		return missing
	}
	return float64(on.Year() - c.BirthYear)
}

// consents are missing of a customer whose row is not known: a consent that was given
// says nothing while its withdrawal may not be known.
func (f *facts) consents() float64 {
	if f.v.Customer == nil || f.v.CurrentOnly {
		return missing
	}
	n := 0
	for _, c := range f.customer().Consents {
		if c.Given && c.On <= f.v.AsOf {
			n++
		}
	}
	return float64(n)
}

// The branches that people and businesses commonly hold: those that most Dutch households
// insure, and what a business is hardly without. Our choice.
var (
	commonPrivate  = branchSet("motor", "liability", "contents", "building", "travel", "legal")
	commonBusiness = branchSet("business_liability", "business_property", "legal", "absence", "disability")
)

func branchSet(names ...string) (set uint64) {
	for _, n := range names {
		set |= 1 << portfolio.BranchIndex(n)
	}
	return set
}

func (f *facts) common() float64 {
	set := commonPrivate
	if f.customer().Segment == portfolio.Business {
		set = commonBusiness
	}
	return float64(bits.OnesCount64(f.g.Held&set)) / float64(bits.OnesCount64(set))
}

func (f *facts) contractEnd() float64 {
	if f.undated || f.termEnd == 0 {
		return missing
	}
	return monthsSince(f.v.AsOf, f.termEnd)
}

// unless makes a value missing where a row that it needs was not known yet.
func unless(unknown bool, v float64) float64 {
	if unknown {
		return missing
	}
	return v
}

func (f *facts) mainText(get func(*portfolio.PolicyView) string) string {
	if f.main == nil || f.undated {
		return ""
	}
	return get(f.main)
}

// known makes a 0 that stands for "not given" missing.
func known(v float64) float64 {
	if v == 0 {
		return missing
	}
	return v
}

func area(postcode string) string {
	p := strings.TrimSpace(postcode)
	if len(p) < 2 {
		return ""
	}
	return p[:2]
}
