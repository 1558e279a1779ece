package feature

import (
	"strings"

	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
)

// Definition is one feature: what docs and reasons say of it, and how it is found.
type Definition struct {
	Name    string
	Unit    string
	Meaning string

	num func(*facts) float64
	cat func(*facts) string
}

// Customers are the features of a customer, in the order of CustomerFields.
var Customers = []Definition{
	{Name: "segment", Meaning: "private or business", cat: func(f *facts) string { return string(f.customer().Segment) }},
	{Name: "age", Unit: "years", Meaning: "age of the customer, by year of birth; 1900 is taken as not known", num: (*facts).age},
	{Name: "origin", Meaning: "direct, broker or acquisition", cat: func(f *facts) string { return f.customer().Origin }},
	{Name: "region", Meaning: "region of the customer", cat: func(f *facts) string { return f.customer().Region }},
	{Name: "area", Meaning: "first two characters of the postcode", cat: func(f *facts) string { return area(f.customer().Postcode) }},
	{Name: "office", Meaning: "office that serves the customer", cat: func(f *facts) string { return f.customer().OfficeID }},
	{Name: "employees", Unit: "people", Meaning: "employees of a business", num: func(f *facts) float64 { return known(float64(f.customer().Employees)) }},
	{Name: "consents", Unit: "count", Meaning: "consents given and standing", num: (*facts).consents},
	{Name: "tenure", Unit: "months", Meaning: "since the first policy began", num: func(f *facts) float64 { return monthsSince(f.since, f.v.AsOf) }},
	{Name: "policies", Unit: "count", Meaning: "policies in force", num: func(f *facts) float64 { return float64(f.inForce) }},
	{Name: "branches", Unit: "count", Meaning: "different branches in force", num: func(f *facts) float64 { return float64(f.branches) }},
	{Name: "essential", Unit: "count", Meaning: "policies in force of essential branches", num: func(f *facts) float64 { return float64(f.essential) }},
	{Name: "relation_members", Unit: "count", Meaning: "customers of the relation", num: func(f *facts) float64 { return float64(f.g.Members) }},
	{Name: "relation_policies", Unit: "count", Meaning: "policies in force of the relation", num: func(f *facts) float64 { return float64(f.g.Policies) }},
	{Name: "premium", Unit: "EUR a year", Meaning: "annual premium in force", num: func(f *facts) float64 { return f.money(f.premium) }},
	{Name: "relation_premium", Unit: "EUR a year", Meaning: "annual premium in force of the relation", num: func(f *facts) float64 { return f.money(f.g.Premium) }},
	{Name: "motor_share", Unit: "share", Meaning: "share of motor in the premium", num: func(f *facts) float64 { return ratio(f.motor.EUR(), f.premium.EUR()) }},
	{Name: "premium_change", Unit: "share", Meaning: "largest change of a policy's premium in the last 12 months", num: func(f *facts) float64 { return f.change }},
	{Name: "announced_change", Unit: "share", Meaning: "largest change of a policy's premium that is recorded and not yet valid", num: func(f *facts) float64 { return f.announced }},
	{Name: "main_branch", Meaning: "branch of the policy with the most premium", cat: func(f *facts) string { return f.mainText(func(p *portfolio.PolicyView) string { return p.Branch }) }},
	{Name: "main_carrier", Meaning: "carrier of the policy with the most premium", cat: func(f *facts) string { return f.mainText(func(p *portfolio.PolicyView) string { return p.Carrier }) }},
	{Name: "carriers", Unit: "count", Meaning: "different carriers", num: func(f *facts) float64 { return float64(f.carriers) }},
	{Name: "policy_age", Unit: "years", Meaning: "mean age of policies in force", num: func(f *facts) float64 { return ratio(f.ageSum, float64(f.inForce)) }},
	{Name: "newest_policy", Unit: "months", Meaning: "since the newest policy began", num: func(f *facts) float64 { return monthsSince(f.newest, f.v.AsOf) }},
	{Name: "payment_frequency", Unit: "payments a year", Meaning: "mean over policies in force", num: func(f *facts) float64 { return known(ratio(f.frequency, float64(f.inForce))) }},
	{Name: "commission_rate", Unit: "share", Meaning: "mean over policies in force", num: func(f *facts) float64 { return known(ratio(f.commission, float64(f.inForce))) }},
	{Name: "mutations_12m", Unit: "count", Meaning: "versions of policies recorded in the last 12 months", num: func(f *facts) float64 { return float64(f.mutations) }},
	{Name: "ended_12m", Unit: "count", Meaning: "policies ended in the last 12 months", num: func(f *facts) float64 { return float64(f.ended12) }},
	{Name: "lapsed_12m", Unit: "count", Meaning: "policies lapsed in the last 12 months", num: func(f *facts) float64 { return float64(f.lapsed12) }},
	{Name: "lapsed_ever", Unit: "count", Meaning: "policies lapsed ever", num: func(f *facts) float64 { return float64(f.lapsedEver) }},
	{Name: "relation_lapsed_12m", Unit: "count", Meaning: "policies of the relation lapsed in the last 12 months", num: func(f *facts) float64 { return float64(f.g.Lapsed) }},
	{Name: "claims_12m", Unit: "count", Meaning: "claims with a loss in the last 12 months", num: func(f *facts) float64 { return float64(f.claims12) }},
	{Name: "claims_36m", Unit: "count", Meaning: "claims with a loss in the last 36 months", num: func(f *facts) float64 { return float64(f.claims36) }},
	{Name: "at_fault_36m", Unit: "count", Meaning: "claims at fault in the last 36 months", num: func(f *facts) float64 { return float64(f.atFault36) }},
	{Name: "burden_36m", Unit: "share", Meaning: "incurred over earned premium, last 36 months", num: func(f *facts) float64 { return ratio(f.incurred36.EUR(), f.earned36.EUR()) }},
	{Name: "relation_claims_36m", Unit: "count", Meaning: "claims of the relation in the last 36 months", num: func(f *facts) float64 { return float64(f.g.Claims) }},
	{Name: "open_claims", Unit: "count", Meaning: "claims that are open", num: func(f *facts) float64 { return float64(f.open) }},
	{Name: "last_claim", Unit: "months", Meaning: "since the last loss", num: func(f *facts) float64 { return monthsSince(f.lastLoss, f.v.AsOf) }},
	{Name: "contacts_12m", Unit: "count", Meaning: "contacts in the last 12 months", num: func(f *facts) float64 { return float64(f.contacts12) }},
	{Name: "complaints_12m", Unit: "count", Meaning: "complaints in the last 12 months", num: func(f *facts) float64 { return float64(f.complaints12) }},
	{Name: "unresolved", Unit: "count", Meaning: "complaints of the last 12 months that are not resolved", num: func(f *facts) float64 { return float64(f.unresolved) }},
	{Name: "relation_complaints_12m", Unit: "count", Meaning: "complaints of the relation in the last 12 months", num: func(f *facts) float64 { return float64(f.g.Trouble) }},
	{Name: "sentiment_12m", Unit: "−1 to 1", Meaning: "mean sentiment of contacts in the last 12 months", num: func(f *facts) float64 { return ratio(f.sentiment, float64(f.sentiments)) }},
	{Name: "last_contact", Unit: "months", Meaning: "since the last contact", num: func(f *facts) float64 { return monthsSince(f.lastContact, f.v.AsOf) }},
}

// Months are what a hazard's month adds to a customer's features.
var Months = []Definition{
	{Name: "month_tenure", Unit: "months", Meaning: "since the first policy began, in that month"},
	{Name: "month_renewal", Unit: "months", Meaning: "until the next renewal, in that month: 0 is the month of it"},
	{Name: "month_calendar", Unit: "month", Meaning: "calendar month"},
}

// Holdings are the branches, held or not by the relation, that an offer's model sees.
func holding(branch int) Definition {
	return Definition{
		Name: "holds_" + portfolio.Branches[branch].Name, Unit: "0 or 1", Meaning: "the relation has this branch in force",
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
	facts   facts
	claimed []*portfolio.PolicyView // by claim, of the customer that Policies was called with
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
	resize(row, len(Customers)+len(Months))
	fill(Customers, &r.facts, row)
	r.SetMonth(row, 1)
}

// SetMonth moves a row that Hazard filled to the month that ends so many months after
// the as-of date. Tenure, renewal and calendar roll forward; all else stays what was
// known on the as-of date.
func (r *Reader) SetMonth(row *model.Row, month int) {
	f, at := &r.facts, len(Customers)
	from := f.v.AsOf.AddMonths(month - 1)
	row.Num[at] = missing
	if f.since != 0 {
		row.Num[at] = monthsSince(f.since, from)
	}
	row.Num[at+1] = missing
	if f.nextEnd != 0 {
		ahead := int(float64(f.nextEnd-f.v.AsOf)/30.4375) - (month - 1)
		if ahead %= 12; ahead < 0 {
			ahead += 12
		}
		row.Num[at+1] = float64(ahead)
	}
	_, m, _ := from.YMD()
	row.Num[at+2] = float64(m)
}

var nobody portfolio.Customer

func (f *facts) customer() *portfolio.Customer {
	if f.v.Customer == nil {
		return &nobody
	}
	return f.v.Customer
}

// age takes 1900 as not known: administrations fill it in where they must.
func (f *facts) age() float64 {
	y := f.customer().BirthYear
	if y <= 1900 || y > f.v.AsOf.Year() {
		return missing
	}
	return float64(f.v.AsOf.Year() - y)
}

func (f *facts) consents() float64 {
	n := 0
	for _, c := range f.customer().Consents {
		if c.Given && c.On <= f.v.AsOf {
			n++
		}
	}
	return float64(n)
}

// money is missing where the policies in force come from rows without a history.
func (f *facts) money(c portfolio.Cents) float64 {
	if f.main != nil && f.main.CurrentOnly {
		return missing
	}
	return c.EUR()
}

func (f *facts) mainText(get func(*portfolio.PolicyView) string) string {
	if f.main == nil {
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
