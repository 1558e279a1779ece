package feature

import (
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
)

// Attr is a rating factor found in policies' attributes.
type Attr struct {
	Key     string `json:"key"`
	Numeric bool   `json:"numeric"` // nearly all values are numbers
	// Values are those of a category that enough customers had, in order; any other is read as Rare.
	Values []string `json:"values,omitempty"`
}

// read is a value of a category as models read it.
func (a *Attr) read(value string) string {
	value = strings.TrimSpace(value)
	if value == "" {
		return ""
	}
	if i, ok := slices.BinarySearch(a.Values, value); ok {
		return a.Values[i]
	}
	return Rare
}

// Attribute begins the names of features that are a tenant's own attributes.
const Attribute = "attribute_"

// PolicySchema is the features of a policy: the built-in ones and, after them, the
// tenant's own rating factors as training found them. Rows of hazards end with these too: a
// policy's with its own, a relation's with those of the customer's policy with the most premium.
type PolicySchema struct {
	Attributes []Attr `json:"attributes,omitempty"`
}

// Check makes sure that no attribute is one that may never be a feature, that the settings
// exclude, or that is no known rating factor and not named in them, and that categories say
// which values they have.
func (s PolicySchema) Check(settings Settings) error {
	for _, a := range s.Attributes {
		if Forbidden(a.Key) || settings.Excludes(Attribute+a.Key) || !settings.allows(a.Key) {
			return fault.New(fault.Invalid, "the attribute %q may not be a feature", a.Key)
		}
		switch {
		case !a.Numeric && len(a.Values) == 0:
			return fault.New(fault.Invalid, "the attribute %q has no values: train again", a.Key)
		case !slices.IsSorted(a.Values) || slices.ContainsFunc(a.Values, ForbiddenValue):
			return fault.New(fault.Invalid, "the attribute %q has values that may not be a feature, or are in no order", a.Key)
		}
	}
	return nil
}

// policyFacts are what one look at a policy finds.
type policyFacts struct {
	*facts
	p          *portfolio.PolicyView
	claims     int // of this policy's branch in the last 36 months
	freeMonths float64
	changes    premiumChange // of its premium; for hazards
}

type policyDefinition struct {
	Definition
	num func(*policyFacts) float64
	cat func(*policyFacts) string
}

// Policies are the built-in features of a policy.
var policies = []policyDefinition{
	{Definition: Definition{Name: "branch", Group: insured, Meaning: "branch"}, cat: func(f *policyFacts) string { return f.p.Branch }},
	{Definition: Definition{Name: "product", Group: insured, Meaning: "product", CurrentOnly: true}, cat: func(f *policyFacts) string { return f.p.Product }},
	{Definition: Definition{Name: "carrier", Group: insured, Meaning: "carrier", CurrentOnly: true}, cat: func(f *policyFacts) string { return f.p.Carrier }},
	{Definition: Definition{Name: "segment", Group: who, Meaning: "private or business"}, cat: func(f *policyFacts) string { return string(f.customer().Segment) }},
	{Definition: Definition{Name: "region", Group: who, Meaning: "region of the customer", CurrentOnly: true}, cat: func(f *policyFacts) string { return f.customer().Region }},
	{Definition: Definition{Name: "area", Group: who, Meaning: "first two characters of the postcode", CurrentOnly: true}, cat: func(f *policyFacts) string { return area(f.customer().Postcode) }},
	{Definition: Definition{Name: "age", Group: who, Unit: "years", Meaning: "age of the customer"}, num: func(f *policyFacts) float64 { return f.age() }},
	{Definition: Definition{Name: "policy_age", Group: held, Unit: "years", Meaning: "age of the policy"}, num: func(f *policyFacts) float64 { return portfolio.Years(f.p.StartDate, f.v.AsOf) }},
	{Definition: Definition{Name: "tenure", Group: who, Unit: "months", Meaning: "since the customer's first policy began"}, num: func(f *policyFacts) float64 { return monthsSince(f.since, f.v.AsOf) }},
	{Definition: Definition{Name: "premium", Group: terms, Unit: "EUR a year", Meaning: "annual premium", CurrentOnly: true}, num: func(f *policyFacts) float64 { return known(f.p.AnnualPremium.EUR()) }},
	{Definition: Definition{Name: "sum_insured", Group: terms, Unit: "EUR", Meaning: "sum insured", CurrentOnly: true}, num: func(f *policyFacts) float64 { return known(f.p.SumInsured.EUR()) }},
	{Definition: Definition{Name: "deductible", Group: terms, Unit: "EUR", Meaning: "deductible", CurrentOnly: true}, num: func(f *policyFacts) float64 { return known(f.p.Deductible.EUR()) }},
	{Definition: Definition{Name: "payment_frequency", Group: terms, Unit: "payments a year", Meaning: "how often the premium is paid", CurrentOnly: true}, num: func(f *policyFacts) float64 { return known(float64(f.p.PaymentFrequency)) }},
	{Definition: Definition{Name: "employees", Group: who, Unit: "people", Meaning: "employees of a business", CurrentOnly: true}, num: func(f *policyFacts) float64 { return known(float64(f.customer().Employees)) }},
	{Definition: Definition{Name: "policies", Group: held, Unit: "count", Meaning: "policies in force of the customer"}, num: func(f *policyFacts) float64 { return float64(f.inForce) }},
	{Definition: Definition{Name: "branch_claims_36m", Group: claims, Unit: "count", Meaning: "claims of the customer in this branch, last 36 months"}, num: func(f *policyFacts) float64 { return float64(f.claims) }},
	{Definition: Definition{Name: "claims_36m", Group: claims, Unit: "count", Meaning: "claims of the customer, last 36 months"}, num: func(f *policyFacts) float64 { return float64(f.claims36) }},
	{Definition: Definition{Name: "at_fault_36m", Group: claims, Unit: "count", Meaning: "claims at fault, last 36 months", CurrentOnly: true}, num: func(f *policyFacts) float64 { return unless(f.vague, float64(f.atFault36)) }},
	{Definition: Definition{Name: "relation_claims_36m", Group: claims, Unit: "count", Meaning: "claims of the relation, last 36 months"}, num: func(f *policyFacts) float64 { return float64(f.g.Claims) }},
	{Definition: Definition{Name: "claim_free", Group: claims, Unit: "months", Meaning: "since the customer's last loss in this branch"}, num: func(f *policyFacts) float64 { return f.freeMonths }},
	{Definition: Definition{Name: "contacts_12m", Group: contacts, Unit: "count", Meaning: "contacts in the last 12 months"}, num: func(f *policyFacts) float64 { return float64(f.contacts12) }},
}

// Fields are the fields of Policy's rows.
func (s PolicySchema) Fields() []model.Field {
	out := make([]model.Field, 0, len(policies)+len(s.Attributes))
	for _, d := range policies {
		f := model.Field{Name: d.Name}
		if d.cat != nil {
			f.Kind = model.Category
		}
		out = append(out, f)
	}
	return s.with(out)
}

// HazardFields are the fields of the rows of Hazard of a reader with the schema.
func (s PolicySchema) HazardFields() []model.Field { return s.with(HazardFields()) }

// PolicyHazardFields are those of PolicyHazard, likewise.
func (s PolicySchema) PolicyHazardFields() []model.Field { return s.with(PolicyHazardFields()) }

// with appends the attributes.
func (s PolicySchema) with(out []model.Field) []model.Field {
	for _, a := range s.Attributes {
		f := model.Field{Name: Attribute + a.Key, Kind: model.Category}
		if a.Numeric {
			f.Kind = model.Numeric
		}
		out = append(out, f)
	}
	return out
}

// attributes fills in a policy's, from a place in the row on; nil is of no policy.
func (s PolicySchema) attributes(p *portfolio.PolicyView, row *model.Row, at int) {
	for k := range s.Attributes {
		a := &s.Attributes[k]
		value := ""
		if p != nil {
			for j := range p.Attributes {
				if p.Attributes[j].Key == a.Key {
					value = p.Attributes[j].Value
				}
			}
		}
		if !a.Numeric {
			row.Cat[at+k] = a.read(value)
			continue
		}
		row.Num[at+k] = number(strings.TrimSpace(value))
	}
}

// Each gives those attributes of a policy that are features, as models read them: a number, or a name,
// of which the number is NaN. One that the policy has not, or that reads as no number, is left out.
func (s PolicySchema) Each(p *portfolio.Policy, give func(key, name string, number float64)) {
	for i := range p.Attributes {
		for k := range s.Attributes {
			a := &s.Attributes[k]
			if a.Key != p.Attributes[i].Key {
				continue
			}
			if !a.Numeric {
				if name := a.read(p.Attributes[i].Value); name != "" {
					give(a.Key, name, missing)
				}
			} else if v := number(strings.TrimSpace(p.Attributes[i].Value)); v == v {
				give(a.Key, "", v)
			}
		}
	}
}

// Care is what the care signals count, over the last 12 months.
type Care struct{ Claims, Complaints, Unresolved, Mutations, Contacts int }

// Care is that of the customer that was read last.
func (r *Reader) Care() Care {
	f := &r.facts
	return Care{f.claims12, f.about[complaint], f.unresolved12, f.mutations, f.contacts12}
}

// Announced is the largest change of a premium that is recorded and not yet valid, of
// the customer that was read last; NaN for none.
func (r *Reader) Announced() float64 { return r.facts.announced }

// branchClaims are a customer's claims in a branch.
type branchClaims struct {
	branch string
	n      int // with a loss in the last 36 months
	last   portfolio.Date
}

// Policies readies the reader for the policies of a customer.
func (r *Reader) Policies(in Input) {
	r.facts.reset(in)
	// Once a customer and not once a policy: a fleet has thousands of either.
	r.claims = r.claims[:0]
	since := in.View.AsOf.AddMonths(-window)
	for i := range in.View.Claims {
		c := &in.View.Claims[i]
		p := in.View.Policy(c.PolicyID)
		if p == nil || c.Status == portfolio.ClaimRejected || Delicate(p, c) {
			continue
		}
		b := r.claimsIn(p.Branch)
		if b == nil {
			r.claims = append(r.claims, branchClaims{branch: p.Branch})
			b = &r.claims[len(r.claims)-1]
		}
		b.last = max(b.last, c.LossDate)
		if c.LossDate > since {
			b.n++
		}
	}
}

// claimsIn are the customer's claims in a branch; nil where there are none.
func (r *Reader) claimsIn(branch string) *branchClaims {
	for i := range r.claims {
		if r.claims[i].branch == branch {
			return &r.claims[i]
		}
	}
	return nil
}

// Policy fills a row for policy i of the view that Policies was called with.
func (r *Reader) Policy(s PolicySchema, i int, row *model.Row) {
	resize(row, len(policies)+len(s.Attributes))
	f := &r.policy // kept, since what definitions are given escapes
	*f = policyFacts{facts: &r.facts, p: &r.facts.v.Policies[i], freeMonths: missing}
	if b := r.claimsIn(f.p.Branch); b != nil {
		f.claims, f.freeMonths = b.n, monthsSince(b.last, f.v.AsOf)
	}
	for k := range policies {
		if policies[k].cat != nil {
			row.Cat[k] = policies[k].cat(f)
		} else {
			row.Num[k] = policies[k].num(f)
		}
	}
	s.attributes(f.p, row, len(policies))
}

func number(s string) float64 {
	if s == "" {
		return missing
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v-v != 0 {
		return missing
	}
	return v
}
