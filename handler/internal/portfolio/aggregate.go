// Package portfolio is the domain: the four tables of a policy administration,
// their versions, and what they add up to. It knows no storage and no clock.
package portfolio

import (
	"cmp"
	"hash/fnv"
	"slices"

	"polis/handler/internal/fault"
)

// Version says since when a row holds and since when that was known. Scoring as of
// a date reads only what was recorded by then, or a model would be trained on
// what nobody knew.
type Version struct {
	ValidFrom  Date   `json:"valid_from,omitzero"`
	RecordedAt Date   `json:"recorded_at,omitzero"`
	Reason     string `json:"mutation_reason,omitempty"`
	// Undated marks a row that came without recorded_at: RecordedAt is then the
	// import's as-of date, and before it only the row's own event dates are known.
	Undated bool `json:"undated,omitempty"`
}

// Segment tells people from businesses.
type Segment string

// The segments.
const (
	Private  Segment = "private"
	Business Segment = "business"
)

// Customer is one version of a customer's row.
type Customer struct {
	ID             string    `json:"customer_id"`
	BirthYear      int       `json:"birth_year,omitempty"` // 0: not known
	Postcode       string    `json:"postcode,omitempty"`
	Region         string    `json:"region,omitempty"`
	Segment        Segment   `json:"segment,omitempty"` // "" is private
	HouseholdID    string    `json:"household_id,omitempty"`
	CompanyGroupID string    `json:"company_group_id,omitempty"`
	LegalForm      string    `json:"legal_form,omitempty"`
	SBICode        string    `json:"sbi_code,omitempty"`
	Employees      int       `json:"employees,omitempty"`
	Origin         string    `json:"origin,omitempty"` // direct, broker, acquisition
	AcquiredOn     Date      `json:"acquired_on,omitzero"`
	AdvisorID      string    `json:"advisor_id,omitempty"`
	OfficeID       string    `json:"office_id,omitempty"`
	Consents       []Consent `json:"consents,omitempty"`
	Objects        bool      `json:"objects_to_profiling,omitempty"`
	Version
}

// Consent is what a customer agreed to or refused, by purpose and channel.
type Consent struct {
	Purpose string `json:"purpose"`
	Channel string `json:"channel"`
	Given   bool   `json:"given"`
	Source  string `json:"source,omitempty"`
	On      Date   `json:"date,omitzero"`
}

// Status is the state of a policy.
type Status string

// The states of a policy.
const (
	Active    Status = "active"
	Ended     Status = "ended"
	Suspended Status = "suspended"
)

// Policy is one version of a policy's row.
type Policy struct {
	ID               string      `json:"policy_id"`
	CustomerID       string      `json:"customer_id"`
	Branch           string      `json:"branch"`
	StartDate        Date        `json:"start_date"`
	EndDate          Date        `json:"end_date,omitzero"` // the first day without cover
	ContractEnd      Date        `json:"contract_end,omitzero"`
	NoticeMonths     int         `json:"notice_months,omitempty"`
	Product          string      `json:"product,omitempty"`
	Carrier          string      `json:"carrier,omitempty"`
	Channel          string      `json:"channel,omitempty"` // provincial, mandated
	AFDList          string      `json:"afd_list,omitempty"`
	AFDCode          string      `json:"afd_code,omitempty"`
	AnnualPremium    Cents       `json:"annual_premium"` // a year, net of premium tax and fees, including commission
	CommissionRate   Rate        `json:"commission_rate,omitzero"`
	SumInsured       Cents       `json:"sum_insured,omitzero"`
	Deductible       Cents       `json:"deductible,omitzero"`
	PaymentFrequency int         `json:"payment_frequency,omitempty"` // payments a year; 0: not known
	Status           Status      `json:"status"`
	EndReason        string      `json:"end_reason,omitempty"`
	Attributes       []Attribute `json:"attributes,omitempty"` // by key
	Version
}

// Attribute is a free key and value of a policy: a rating factor, say.
type Attribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// The attributes that hold what the insured thing would cost to rebuild or replace, in EUR,
// who says so, and as of when: see package enrichment.
const (
	RebuildValue  = "enrichment:rebuild_value"
	RebuildSource = "enrichment:rebuild_value:source"
	RebuildDate   = "enrichment:rebuild_value:date"
)

// Fault says whether the insured caused a motor claim.
type Fault string

// What is known of fault; "" is unknown.
const (
	AtFault    Fault = "yes"
	NotAtFault Fault = "no"
)

// The states of a claim.
const (
	ClaimOpen     Status = "open"
	ClaimClosed   Status = "closed"
	ClaimRejected Status = "rejected"
)

// Claim is one version of a claim's row. Amounts are cumulative.
type Claim struct {
	ID           string `json:"claim_id"`
	PolicyID     string `json:"policy_id"`
	CustomerID   string `json:"customer_id"`
	LossDate     Date   `json:"loss_date"`
	ReportedDate Date   `json:"reported_date,omitzero"`
	SettledDate  Date   `json:"settled_date,omitzero"`
	Cover        string `json:"cover,omitempty"`
	AtFault      Fault  `json:"at_fault,omitempty"`
	Paid         Cents  `json:"paid,omitzero"`
	Reserve      Cents  `json:"reserve,omitzero"`
	Recovered    Cents  `json:"recovered,omitzero"`
	Status       Status `json:"status,omitempty"` // open, closed, rejected
	Version
}

// Incurred is paid + case reserve − recoveries.
func (c *Claim) Incurred() Cents { return c.Paid + c.Reserve - c.Recovered }

// Contact is one contact with a customer. Contacts have no versions: they happened.
type Contact struct {
	CustomerID string  `json:"customer_id"`
	At         Instant `json:"contacted_at"`
	Direction  string  `json:"direction,omitempty"` // in, out
	Channel    string  `json:"channel,omitempty"`
	Reason     string  `json:"reason,omitempty"`
	ResolvedAt Instant `json:"resolved_at,omitzero"`
	Sentiment  float64 `json:"sentiment,omitempty"` // −1 to 1
	Employee   string  `json:"employee,omitempty"`
}

// Aggregate is a customer with its policies, claims and contacts, in all their
// versions: the unit of storage, of scoring and of erasure. The rows are flat and
// sorted (see Sort), so the versions of one policy stand together, oldest first.
type Aggregate struct {
	Customers []Customer `json:"customers"`
	Policies  []Policy   `json:"policies,omitempty"`
	Claims    []Claim    `json:"claims,omitempty"`
	Contacts  []Contact  `json:"contacts,omitempty"`
	// Objections are what the customer told us about profiling, oldest first. They are not
	// among the rows, and nobody who writes rows writes them.
	Objections []Objection `json:"-"`
	// Actions are no rows of an administration: what people did about suggestions is kept
	// apart, and a training puts it here. No feature reads it.
	Actions []Action `json:"-"`
	// Absent is what its JSON requires and did not have: see Note. Check reports it.
	Absent []fault.Field `json:"-"`
}

// Action is that somebody acted on a suggestion for a customer.
type Action struct {
	Kind       string
	About      string // what was missed or offered, if anything
	On         Date
	RecordedAt Date
}

// ID is the customer's id; "" for an aggregate without customer rows.
func (a *Aggregate) ID() string {
	if len(a.Customers) == 0 {
		return ""
	}
	return a.Customers[0].ID
}

// Latest is the newest version of the customer.
func (a *Aggregate) Latest() *Customer {
	if len(a.Customers) == 0 {
		return nil
	}
	return &a.Customers[len(a.Customers)-1]
}

// Compare orders versions as they became known, then by when they hold.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.RecordedAt, w.RecordedAt), cmp.Compare(v.ValidFrom, w.ValidFrom))
}

// Sort puts the rows in canonical order: by id, then recorded_at, then valid_from;
// contacts by time. Equal content then encodes to equal bytes.
func (a *Aggregate) Sort() {
	slices.SortStableFunc(a.Customers, func(x, y Customer) int { return x.Version.Compare(y.Version) })
	slices.SortStableFunc(a.Policies, func(x, y Policy) int {
		return cmp.Or(cmp.Compare(x.ID, y.ID), x.Version.Compare(y.Version))
	})
	slices.SortStableFunc(a.Claims, func(x, y Claim) int {
		return cmp.Or(cmp.Compare(x.ID, y.ID), x.Version.Compare(y.Version))
	})
	slices.SortStableFunc(a.Contacts, compareContacts)
	for i := range a.Policies {
		slices.SortStableFunc(a.Policies[i].Attributes, func(x, y Attribute) int { return cmp.Compare(x.Key, y.Key) })
	}
}

// compareContacts is 0 for equal contacts only.
func compareContacts(x, y Contact) int {
	if c := cmp.Compare(x.At, y.At); c != 0 {
		return c // nearly always
	}
	return cmp.Or(cmp.Compare(x.Reason, y.Reason), cmp.Compare(x.Channel, y.Channel),
		cmp.Compare(x.Direction, y.Direction), cmp.Compare(x.Employee, y.Employee),
		cmp.Compare(x.CustomerID, y.CustomerID),
		cmp.Compare(x.ResolvedAt, y.ResolvedAt), cmp.Compare(x.Sentiment, y.Sentiment))
}

// Relation is whom churn and value are counted for: the company group, else the
// household, else the customer itself. Its text is a key that keeps the three apart.
func (c *Customer) Relation() string {
	switch {
	case c.CompanyGroupID != "":
		return "g:" + c.CompanyGroupID
	case c.HouseholdID != "":
		return "h:" + c.HouseholdID
	}
	return "c:" + c.ID
}

// Bucket spreads keys evenly over n buckets. The count is fixed when a tenant is
// made: changing it, or this function, would move every customer.
func Bucket(key string, n int) int { return int(Hash(key) % uint64(n)) }

// Hash is what Bucket spreads keys by.
func Hash(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	s := h.Sum64()
	// FNV's low bits are weak for keys that differ in their last byte only.
	s ^= s >> 29
	s *= 0xbf58476d1ce4e5b9
	s ^= s >> 32
	return s
}
