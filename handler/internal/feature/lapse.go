package feature

import (
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
)

// lapsing are the features of a policy that the hazards of its end read beside those of
// its customer.
var lapsing = []policyDefinition{
	{Definition: Definition{Name: "policy_branch", Group: insured, Meaning: "branch of the policy"}, cat: func(f *policyFacts) string { return f.p.Branch }},
	{Definition: Definition{Name: "policy_carrier", Group: insured, CurrentOnly: true, Meaning: "carrier of the policy"}, cat: func(f *policyFacts) string { return f.p.Carrier }},
	{Definition: Definition{Name: "policy_premium", Group: terms, Unit: "EUR a year", CurrentOnly: true, Meaning: "annual premium of the policy"}, num: func(f *policyFacts) float64 { return known(f.p.AnnualPremium.EUR()) }},
	{Definition: Definition{Name: "policy_share", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "share of the policy in its customer's premium"}, num: func(f *policyFacts) float64 {
		return unless(f.undated, ratio(f.p.AnnualPremium.EUR(), f.premium.EUR()))
	}},
	{Definition: Definition{Name: "policy_payments", Group: terms, Unit: "payments a year", CurrentOnly: true, Meaning: "how often the policy's premium is paid"}, num: func(f *policyFacts) float64 { return known(float64(f.p.PaymentFrequency)) }},
	{Definition: Definition{Name: "policy_change", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "change of the policy's premium over the last 12 months"}, num: func(f *policyFacts) float64 { return f.changes.year }},
	{Definition: Definition{Name: "policy_announced", Group: premium, Unit: "share", CurrentOnly: true, Meaning: "change of the policy's premium that is recorded and not yet valid"}, num: func(f *policyFacts) float64 { return f.changes.announced }},
	{Definition: Definition{Name: "policy_claims_36m", Group: claims, Unit: "count", Meaning: "claims of the customer in the policy's branch with a loss in the last 36 months"}, num: func(f *policyFacts) float64 { return float64(f.claims) }},
	{Definition: Definition{Name: "essential_beside", Group: relation, Unit: "count", Meaning: "policies of essential branches that the relation has in force beside the policy, or of all branches where it has no essential one"}, num: func(f *policyFacts) float64 {
		n := f.g.Essential
		if b, _ := portfolio.BranchOf(f.p.Branch); b.Essential {
			n--
		} else if n == 0 {
			n = f.g.Policies - 1
		}
		return float64(n)
	}},
}

// PolicyMonths are what a month adds to a policy's hazards.
var PolicyMonths = []Definition{
	{Name: "policy_month_age", Group: month, Unit: "months", Meaning: "since the policy began, in that month"},
	{Name: "policy_month_renewal", Group: month, Unit: "months", CurrentOnly: true, Meaning: "until the policy's next renewal, in that month: 0 is the month of it"},
	{Name: "month_calendar", Group: month, Unit: "month", Meaning: "calendar month"},
}

// Announced are the fields of a policy's hazards that tell of a change that is announced.
var Announced = []string{"announced_change", "policy_announced"}

// PolicyHazardFields are the fields of PolicyHazard's rows: the customer's, the policy's,
// and those of a month.
func PolicyHazardFields() []model.Field {
	out := fields(Customers)
	for _, d := range lapsing {
		f := model.Field{Name: d.Name}
		if d.cat != nil {
			f.Kind = model.Category
		}
		out = append(out, f)
	}
	return append(out, fields(PolicyMonths)...)
}

// PolicyHazards readies the reader and a row for the hazards of a customer's policies.
func (r *Reader) PolicyHazards(in Input, row *model.Row) {
	r.Policies(in)
	resize(row, len(Customers)+len(lapsing)+len(PolicyMonths)+len(r.Schema.Attributes))
	fill(Customers, &r.facts, row)
}

// PolicyHazard fills in what the row that PolicyHazards readied says of policy i of the
// view, which is in force, for the first month after the as-of date.
func (r *Reader) PolicyHazard(i int, row *model.Row) {
	f := &r.policy
	*f = policyFacts{facts: &r.facts, p: &r.facts.v.Policies[i], changes: noChange}
	if !f.p.CurrentOnly && f.p.AnnualPremium > 0 {
		f.changes = premiumChanges(f.p, f.v.AsOf, f.v.AsOf.AddMonths(-recent))
	}
	if b := r.claimsIn(f.p.Branch); b != nil {
		f.claims = b.n
	}
	at := len(Customers)
	for k := range lapsing {
		if lapsing[k].cat != nil {
			row.Cat[at+k] = lapsing[k].cat(f)
		} else {
			row.Num[at+k] = lapsing[k].num(f)
		}
	}
	r.Schema.attributes(f.p, row, len(Customers)+len(lapsing)+len(PolicyMonths))
	r.renewal = -1
	if due := Renewal(f.p, f.v.AsOf); due != 0 {
		r.renewal = MonthsAhead(f.v.AsOf, due)
	}
	r.SetPolicyMonth(row, 1)
}

// SetPolicyMonth moves a row that PolicyHazard filled to the month that ends so many
// months after the as-of date, at most Ahead. What does not roll forward stays what was
// known on the as-of date.
func (r *Reader) SetPolicyMonth(row *model.Row, month int) {
	at, from := len(Customers)+len(lapsing), r.calendar(month-1)
	row.Num[at] = monthsSince(r.policy.p.StartDate, from)
	row.Num[at+1] = untilRenewal(r.renewal, month)
	row.Num[at+2] = r.monthOf[month-1]
}

// untilRenewal is how many whole months a month lies before the next renewal, which on the
// as-of date was so many ahead; missing where that is not known.
func untilRenewal(ahead, month int) float64 {
	if ahead < 0 {
		return missing
	}
	if ahead -= month - 1; ahead < 0 {
		ahead = 11 - (-ahead-1)%12
	}
	return float64(ahead)
}

// Renews reports whether the policy that PolicyHazard was called with, or the relation that
// Hazard was, renews in a month ahead, from 1.
func (r *Reader) Renews(month int) bool { return untilRenewal(r.renewal, month) == 0 }

// Ahead is how many months a row can be moved ahead.
const Ahead = 36

// calendar is the date so many months after the as-of date, up to Ahead.
func (r *Reader) calendar(months int) portfolio.Date {
	if asOf := r.facts.v.AsOf; r.months[0] != asOf {
		for k := range r.months {
			r.months[k] = asOf.AddMonths(k)
			_, m, _ := r.months[k].YMD()
			r.monthOf[k] = float64(m)
		}
	}
	return r.months[months]
}

// MonthsAhead is how many whole months lie before the month that a later date falls in,
// where the first month ends on the day of the month that the as-of date has.
func MonthsAhead(asOf, date portfolio.Date) int {
	y, m, _ := date.YMD()
	y0, m0, _ := asOf.YMD()
	n := 12*(y-y0) + m - m0
	for n > 0 && date <= asOf.AddMonths(n) {
		n--
	}
	return n
}

// Renewal is the next date on which a policy's term ends and its premium is due anew: the
// contract's end, else its next yearly return; without one that of the start. 0 where it
// is not known. A contract of several years renews when it ends.
func Renewal(p *portfolio.PolicyView, asOf portfolio.Date) portfolio.Date {
	if p.CurrentOnly {
		return 0
	}
	return nextRenewal(p, asOf)
}

// ChangeAnnounced reports whether a change of the policy's premium is recorded that is not
// yet valid.
func ChangeAnnounced(p *portfolio.PolicyView, asOf portfolio.Date) bool {
	if p.CurrentOnly || p.AnnualPremium <= 0 {
		return false
	}
	for i := range p.Versions {
		if w := &p.Versions[i]; w.ValidFrom > asOf && w.AnnualPremium != p.AnnualPremium {
			return true
		}
	}
	return false
}

// RenewalChange is the change of a policy's premium at a renewal, as a share: 0 where no
// other premium came with it, missing where the one before is not known. A change is
// announced if it was recorded before the renewal. What was recorded with an end, or takes
// an offer back, is no premium of the next term.
func RenewalChange(p *portfolio.PolicyView, renewal portfolio.Date) (change float64, announced bool) {
	before := premiumOn(p, renewal-aroundRenewal-1)
	if p.CurrentOnly || before <= 0 {
		return missing, false
	}
	for i := range p.Versions {
		w := &p.Versions[i]
		if w.EndDate == 0 && w.ValidFrom >= renewal-aroundRenewal && w.ValidFrom <= renewal+aroundRenewal && w.AnnualPremium != before {
			change, announced = changed(w.AnnualPremium, before), w.RecordedAt < renewal
		}
	}
	return change, announced
}
