package portfolio

import (
	"math"
	"strconv"
	"strings"

	"polis/handler/internal/fault"
)

// Breach is a rule that a row breaks: the field and the rule, never the value, since
// a value may be personal data.
type Breach struct {
	Field string // within a field that is a list as consents/1/purpose: the row's JSON pointer, less its first slash
	Rule  string
}

// InFile is the breach as of a row of a file, where a list is one column.
func (b Breach) InFile() Breach {
	column, within, nested := strings.Cut(b.Field, "/")
	if !nested {
		return b
	}
	return Breach{column, within[strings.LastIndexByte(within, '/')+1:] + " " + b.Rule}
}

const maxID = 128

// checkID accepts 1 to 128 bytes without control characters: the store's keys
// are built from ids with a control character between them.
func checkID(field, id string, add func(Breach)) {
	switch {
	case id == "":
		add(Breach{field, "is required"})
	case len(id) > maxID:
		add(Breach{field, "is longer than 128 characters"})
	}
	checkText(field, id, add)
}

// ValidID reports whether a text can be an id.
func ValidID(id string) bool {
	ok := true
	checkID("", id, func(Breach) { ok = false })
	return ok
}

func checkText(field, s string, add func(Breach)) {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			add(Breach{field, "holds a control character"})
			return
		}
	}
	if len(s) > 1000 {
		add(Breach{field, "is longer than 1000 characters"})
	}
}

// checkNested checks a text of the i-th of a list that a row holds. Its place is made only
// where it is said: rows that break no rule are checked a million at a time.
func checkNested(list string, i int, name, s string, optional bool, add func(Breach)) {
	at := func(b Breach) { add(Breach{list + "/" + strconv.Itoa(i) + "/" + name, b.Rule}) }
	if s == "" && !optional {
		at(Breach{Rule: "is required"})
	}
	checkText("", s, at)
}

func checkVersion(v Version, asOf Date, add func(Breach)) {
	checkText("mutation_reason", v.Reason, add)
	if v.RecordedAt > asOf {
		add(Breach{"recorded_at", "is after the as-of date"})
	}
}

// Check adds the rules that the row breaks, as of the date on which it is imported.
func (c *Customer) Check(asOf Date, add func(Breach)) {
	checkID("customer_id", c.ID, add)
	if c.BirthYear != 0 && (c.BirthYear < 1900 || c.BirthYear > asOf.Year()) {
		add(Breach{"birth_year", "is not between 1900 and the as-of year"})
	}
	if c.Segment != "" && c.Segment != Private && c.Segment != Business {
		add(Breach{"segment", "is neither private nor business"})
	}
	switch c.Origin {
	case "", "direct", "broker", "acquisition":
	default:
		add(Breach{"origin", "is none of direct, broker, acquisition"})
	}
	if c.Employees < 0 {
		add(Breach{"employees", "is negative"})
	}
	for _, f := range [...]struct{ name, value string }{
		{"household_id", c.HouseholdID}, {"company_group_id", c.CompanyGroupID},
	} {
		if f.value != "" {
			checkID(f.name, f.value, add)
		}
	}
	for _, f := range [...]struct{ name, value string }{
		{"postcode", c.Postcode},
		{"region", c.Region},
		{"legal_form", c.LegalForm},
		{"sbi_code", c.SBICode},
		{"advisor_id", c.AdvisorID},
		{"office_id", c.OfficeID},
	} {
		checkText(f.name, f.value, add)
	}
	for i, s := range c.Consents {
		for _, f := range [...]struct {
			name, value string
			optional    bool
		}{{name: "purpose", value: s.Purpose}, {name: "channel", value: s.Channel}, {"source", s.Source, true}} {
			checkNested("consents", i, f.name, f.value, f.optional, add)
		}
	}
	checkVersion(c.Version, asOf, add)
}

// Check adds the rules that the row breaks.
func (p *Policy) Check(asOf Date, add func(Breach)) {
	checkID("policy_id", p.ID, add)
	checkID("customer_id", p.CustomerID, add)
	if p.Branch == "" {
		add(Breach{"branch", "is required"})
	}
	if p.StartDate == 0 {
		add(Breach{"start_date", "is required"})
	}
	if p.EndDate != 0 && p.EndDate < p.StartDate {
		add(Breach{"end_date", "is before start_date"})
	}
	if p.AnnualPremium < 0 {
		add(Breach{"annual_premium", "is negative"})
	}
	if !(p.CommissionRate.Share >= 0 && p.CommissionRate.Share <= 1) {
		add(Breach{"commission_rate", "is not between 0 and 1"})
	}
	if p.SumInsured < 0 {
		add(Breach{"sum_insured", "is negative"})
	}
	if p.Deductible < 0 {
		add(Breach{"deductible", "is negative"})
	}
	if p.NoticeMonths < 0 || p.NoticeMonths > 120 {
		add(Breach{"notice_months", "is not between 0 and 120"})
	}
	switch p.PaymentFrequency {
	case 0, 1, 2, 4, 12:
	default:
		add(Breach{"payment_frequency", "is none of 1, 2, 4, 12"})
	}
	switch p.Channel {
	case "", "provincial", "mandated":
	default:
		add(Breach{"channel", "is neither provincial nor mandated"})
	}
	switch p.Status {
	case Active, Suspended:
	case Ended:
		if p.EndDate == 0 {
			add(Breach{"end_date", "is required where status is ended"})
		}
	case "":
		add(Breach{"status", "is required"})
	default:
		add(Breach{"status", "is none of active, ended, suspended"})
	}
	for _, f := range [...]struct{ name, value string }{
		{"branch", p.Branch},
		{"product", p.Product},
		{"carrier", p.Carrier},
		{"afd_list", p.AFDList},
		{"afd_code", p.AFDCode},
		{"end_reason", p.EndReason},
	} {
		checkText(f.name, f.value, add)
	}
	for i, a := range p.Attributes {
		checkNested("attributes", i, "key", a.Key, false, add)
		checkNested("attributes", i, "value", a.Value, true, add)
		checkRebuild(i, a, asOf, add)
	}
	checkVersion(p.Version, asOf, add)
}

// checkRebuild checks the attributes that Polis reads itself.
func checkRebuild(i int, a Attribute, asOf Date, add func(Breach)) {
	bad := func(rule string) { add(Breach{"attributes/" + strconv.Itoa(i) + "/value", rule}) }
	switch a.Key {
	case RebuildValue:
		if v, ok := ParseCents(a.Value); !ok || v <= 0 {
			bad(RebuildValue + " is not an amount above 0")
		}
	case RebuildDate:
		if d, ok := ParseDate(a.Value); !ok || d > asOf {
			bad(RebuildDate + " is not an ISO 8601 date up to the as-of date")
		}
	}
}

// Check adds the rules that the row breaks.
func (c *Claim) Check(asOf Date, add func(Breach)) {
	checkID("claim_id", c.ID, add)
	checkID("policy_id", c.PolicyID, add)
	checkID("customer_id", c.CustomerID, add)
	switch {
	case c.LossDate == 0:
		add(Breach{"loss_date", "is required"})
	case c.LossDate > asOf:
		add(Breach{"loss_date", "is after the as-of date"})
	}
	if c.ReportedDate != 0 && c.ReportedDate < c.LossDate {
		add(Breach{"reported_date", "is before loss_date"})
	}
	if c.ReportedDate > asOf {
		add(Breach{"reported_date", "is after the as-of date"})
	}
	if c.SettledDate != 0 && c.SettledDate < c.LossDate {
		add(Breach{"settled_date", "is before loss_date"})
	}
	if c.SettledDate > asOf {
		add(Breach{"settled_date", "is after the as-of date"})
	}
	for _, f := range [...]struct {
		name  string
		value Cents
	}{{"paid", c.Paid}, {"reserve", c.Reserve}, {"recovered", c.Recovered}} {
		if f.value < 0 {
			add(Breach{f.name, "is negative"})
		}
	}
	switch c.AtFault {
	case "", AtFault, NotAtFault:
	default:
		add(Breach{"at_fault", "is neither yes nor no"})
	}
	switch c.Status {
	case "", ClaimOpen, ClaimClosed, ClaimRejected:
	default:
		add(Breach{"status", "is none of open, closed, rejected"})
	}
	checkText("cover", c.Cover, add)
	checkVersion(c.Version, asOf, add)
}

// Check adds the rules that the row breaks.
func (c *Contact) Check(asOf Date, add func(Breach)) {
	checkID("customer_id", c.CustomerID, add)
	switch {
	case c.At == 0:
		add(Breach{"contacted_at", "is required"})
	case c.At.Date() > asOf:
		add(Breach{"contacted_at", "is after the as-of date"})
	}
	if c.ResolvedAt != 0 && c.ResolvedAt < c.At {
		add(Breach{"resolved_at", "is before contacted_at"})
	}
	switch c.Direction {
	case "", "in", "out":
	default:
		add(Breach{"direction", "is neither in nor out"})
	}
	if math.IsNaN(c.Sentiment) || c.Sentiment < -1 || c.Sentiment > 1 {
		add(Breach{"sentiment", "is not between -1 and 1"})
	}
	checkText("channel", c.Channel, add)
	checkText("reason", c.Reason, add)
	checkText("employee", c.Employee, add)
}

// Check says which rules the aggregate's rows break, each with a JSON pointer below
// base, as of the date on which it is taken in: those of each row, and that all rows
// are of one customer, with policies that the claims belong to.
func (a *Aggregate) Check(base string, asOf Date) []fault.Field {
	var out []fault.Field
	at := ""
	add := func(b Breach) { out = append(out, fault.Field{Pointer: base + at + "/" + b.Field, Detail: b.Rule}) }
	if len(a.Customers) == 0 {
		return append(out, fault.Field{Pointer: base + "/customers", Detail: "needs at least one row"})
	}
	id := a.Customers[0].ID
	policies := map[string]bool{}
	for i := range a.Customers {
		at = "/customers/" + strconv.Itoa(i)
		a.Customers[i].Check(asOf, add)
		if a.Customers[i].ID != id {
			add(Breach{"customer_id", "is not that of the first row"})
		}
	}
	for i := range a.Policies {
		at = "/policies/" + strconv.Itoa(i)
		a.Policies[i].Check(asOf, add)
		if a.Policies[i].CustomerID != id {
			add(Breach{"customer_id", "is not that of the customer"})
		}
		policies[a.Policies[i].ID] = true
	}
	for i := range a.Claims {
		at = "/claims/" + strconv.Itoa(i)
		a.Claims[i].Check(asOf, add)
		if a.Claims[i].CustomerID != id {
			add(Breach{"customer_id", "is not that of the customer"})
		}
		if !policies[a.Claims[i].PolicyID] {
			add(Breach{"policy_id", "is not that of a policy of the customer"})
		}
	}
	for i := range a.Contacts {
		at = "/contacts/" + strconv.Itoa(i)
		a.Contacts[i].Check(asOf, add)
		if a.Contacts[i].CustomerID != id {
			add(Breach{"customer_id", "is not that of the customer"})
		}
	}
	for _, f := range a.Absent {
		out = append(out, fault.Field{Pointer: base + f.Pointer, Detail: f.Detail})
	}
	return out
}
