package intake

import (
	"strconv"
	"strings"

	"polis/handler/internal/portfolio"
)

// kind says what a field's values show of a file's notation.
type kind uint8

const (
	text kind = iota
	date
	money
	rate
)

// field is a column of a table: how its text becomes part of a row. set returns the
// rule that a value breaks, or "".
type field[R any] struct {
	name     string
	required bool
	kind     kind
	verbatim bool // ids are compared byte for byte, so not even spaces are cut off
	set      func(r *R, s string, n notation) string
}

func id[R any](name string, required bool, to func(*R) *string) field[R] {
	f := str(name, to)
	f.required, f.verbatim = required, true
	return f
}

func str[R any](name string, to func(*R) *string) field[R] {
	return field[R]{name: name, set: func(r *R, s string, _ notation) string {
		*to(r) = s
		return ""
	}}
}

// code is a text of which the case says nothing.
func code[R any, S ~string](name string, required bool, to func(*R) *S) field[R] {
	return field[R]{name: name, required: required, set: func(r *R, s string, _ notation) string {
		*to(r) = S(strings.ToLower(s))
		return ""
	}}
}

func day[R any](name string, required bool, to func(*R) *portfolio.Date) field[R] {
	return field[R]{name: name, required: required, kind: date, set: func(r *R, s string, n notation) string {
		d, ok := n.date(s)
		if !ok {
			return ruleDate
		}
		*to(r) = d
		return ""
	}}
}

func moment[R any](name string, required bool, to func(*R) *portfolio.Instant) field[R] {
	return field[R]{name: name, required: required, kind: date, set: func(r *R, s string, n notation) string {
		i, ok := n.instant(s)
		if !ok {
			return ruleTime
		}
		*to(r) = i
		return ""
	}}
}

func amount[R any](name string, required bool, to func(*R) *portfolio.Cents) field[R] {
	return field[R]{name: name, required: required, kind: money, set: func(r *R, s string, n notation) string {
		c, ok := n.cents(s)
		if !ok {
			return ruleMoney
		}
		*to(r) = c
		return ""
	}}
}

func fraction[R any](name string, to func(*R) *float64) field[R] {
	return field[R]{name: name, kind: rate, set: func(r *R, s string, _ notation) string {
		v, ok := number(s)
		if !ok {
			return ruleNumber
		}
		*to(r) = v
		return ""
	}}
}

func whole[R any](name string, to func(*R) *int) field[R] {
	return field[R]{name: name, set: func(r *R, s string, _ notation) string {
		v, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return ruleWhole
		}
		*to(r) = int(v)
		return ""
	}}
}

func versions[R any](to func(*R) *portfolio.Version) []field[R] {
	return []field[R]{
		day("valid_from", false, func(r *R) *portfolio.Date { return &to(r).ValidFrom }),
		day("recorded_at", false, func(r *R) *portfolio.Date { return &to(r).RecordedAt }),
		str("mutation_reason", func(r *R) *string { return &to(r).Reason }),
	}
}

var customerFields = append([]field[portfolio.Customer]{
	id("customer_id", true, func(c *portfolio.Customer) *string { return &c.ID }),
	whole("birth_year", func(c *portfolio.Customer) *int { return &c.BirthYear }),
	str("postcode", func(c *portfolio.Customer) *string { return &c.Postcode }),
	str("region", func(c *portfolio.Customer) *string { return &c.Region }),
	code("segment", false, func(c *portfolio.Customer) *portfolio.Segment { return &c.Segment }),
	id("household_id", false, func(c *portfolio.Customer) *string { return &c.HouseholdID }),
	id("company_group_id", false, func(c *portfolio.Customer) *string { return &c.CompanyGroupID }),
	str("legal_form", func(c *portfolio.Customer) *string { return &c.LegalForm }),
	str("sbi_code", func(c *portfolio.Customer) *string { return &c.SBICode }),
	whole("employees", func(c *portfolio.Customer) *int { return &c.Employees }),
	code("origin", false, func(c *portfolio.Customer) *string { return &c.Origin }),
	day("acquired_on", false, func(c *portfolio.Customer) *portfolio.Date { return &c.AcquiredOn }),
	str("advisor_id", func(c *portfolio.Customer) *string { return &c.AdvisorID }),
	str("office_id", func(c *portfolio.Customer) *string { return &c.OfficeID }),
	{name: "consents", set: func(c *portfolio.Customer, s string, n notation) (rule string) {
		c.Consents, rule = n.consents(s)
		return rule
	}},
	{name: "objects_to_profiling", set: func(c *portfolio.Customer, s string, _ notation) string {
		v, ok := boolean(s)
		if !ok {
			return ruleBool
		}
		c.Objects = v
		return ""
	}},
}, versions(func(c *portfolio.Customer) *portfolio.Version { return &c.Version })...)

var policyFields = append([]field[portfolio.Policy]{
	id("policy_id", true, func(p *portfolio.Policy) *string { return &p.ID }),
	id("customer_id", true, func(p *portfolio.Policy) *string { return &p.CustomerID }),
	code("branch", true, func(p *portfolio.Policy) *string { return &p.Branch }),
	day("start_date", true, func(p *portfolio.Policy) *portfolio.Date { return &p.StartDate }),
	day("end_date", false, func(p *portfolio.Policy) *portfolio.Date { return &p.EndDate }),
	day("contract_end", false, func(p *portfolio.Policy) *portfolio.Date { return &p.ContractEnd }),
	whole("notice_months", func(p *portfolio.Policy) *int { return &p.NoticeMonths }),
	str("product", func(p *portfolio.Policy) *string { return &p.Product }),
	str("carrier", func(p *portfolio.Policy) *string { return &p.Carrier }),
	code("channel", false, func(p *portfolio.Policy) *string { return &p.Channel }),
	str("afd_list", func(p *portfolio.Policy) *string { return &p.AFDList }),
	str("afd_code", func(p *portfolio.Policy) *string { return &p.AFDCode }),
	amount("annual_premium", true, func(p *portfolio.Policy) *portfolio.Cents { return &p.AnnualPremium }),
	{name: "commission_rate", kind: rate, set: func(p *portfolio.Policy, s string, _ notation) string {
		v, ok := number(s)
		if !ok {
			return ruleNumber
		}
		p.CommissionRate = portfolio.RateOf(v)
		return ""
	}},
	amount("sum_insured", false, func(p *portfolio.Policy) *portfolio.Cents { return &p.SumInsured }),
	amount("deductible", false, func(p *portfolio.Policy) *portfolio.Cents { return &p.Deductible }),
	{name: "payment_frequency", set: func(p *portfolio.Policy, s string, _ notation) string {
		switch strings.ToLower(s) {
		case "1", "annual":
			p.PaymentFrequency = 1
		case "2", "half-yearly":
			p.PaymentFrequency = 2
		case "4", "quarterly":
			p.PaymentFrequency = 4
		case "12", "monthly":
			p.PaymentFrequency = 12
		default:
			return "is none of 1, 2, 4, 12"
		}
		return ""
	}},
	code("status", true, func(p *portfolio.Policy) *portfolio.Status { return &p.Status }),
	str("end_reason", func(p *portfolio.Policy) *string { return &p.EndReason }),
	{name: "attributes", set: func(p *portfolio.Policy, s string, _ notation) (rule string) {
		p.Attributes, rule = attributes(p.Attributes[:0], s)
		return rule
	}},
}, versions(func(p *portfolio.Policy) *portfolio.Version { return &p.Version })...)

var claimFields = append([]field[portfolio.Claim]{
	id("claim_id", true, func(c *portfolio.Claim) *string { return &c.ID }),
	id("policy_id", true, func(c *portfolio.Claim) *string { return &c.PolicyID }),
	id("customer_id", true, func(c *portfolio.Claim) *string { return &c.CustomerID }),
	day("loss_date", true, func(c *portfolio.Claim) *portfolio.Date { return &c.LossDate }),
	day("reported_date", false, func(c *portfolio.Claim) *portfolio.Date { return &c.ReportedDate }),
	day("settled_date", false, func(c *portfolio.Claim) *portfolio.Date { return &c.SettledDate }),
	str("cover", func(c *portfolio.Claim) *string { return &c.Cover }),
	{name: "at_fault", set: func(c *portfolio.Claim, s string, _ notation) string {
		v, ok := boolean(s)
		if !ok {
			return ruleBool
		}
		if c.AtFault = portfolio.NotAtFault; v {
			c.AtFault = portfolio.AtFault
		}
		return ""
	}},
	amount("paid", false, func(c *portfolio.Claim) *portfolio.Cents { return &c.Paid }),
	amount("reserve", false, func(c *portfolio.Claim) *portfolio.Cents { return &c.Reserve }),
	amount("recovered", false, func(c *portfolio.Claim) *portfolio.Cents { return &c.Recovered }),
	code("status", false, func(c *portfolio.Claim) *portfolio.Status { return &c.Status }),
}, versions(func(c *portfolio.Claim) *portfolio.Version { return &c.Version })...)

var contactFields = []field[portfolio.Contact]{
	id("customer_id", true, func(c *portfolio.Contact) *string { return &c.CustomerID }),
	moment("contacted_at", true, func(c *portfolio.Contact) *portfolio.Instant { return &c.At }),
	code("direction", false, func(c *portfolio.Contact) *string { return &c.Direction }),
	str("channel", func(c *portfolio.Contact) *string { return &c.Channel }),
	str("reason", func(c *portfolio.Contact) *string { return &c.Reason }),
	moment("resolved_at", false, func(c *portfolio.Contact) *portfolio.Instant { return &c.ResolvedAt }),
	fraction("sentiment", func(c *portfolio.Contact) *float64 { return &c.Sentiment }),
	str("employee", func(c *portfolio.Contact) *string { return &c.Employee }),
}
