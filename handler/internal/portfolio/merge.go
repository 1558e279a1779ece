package portfolio

import (
	"slices"
	"strings"
)

// Table is one of the four tables.
type Table uint8

// The tables.
const (
	Customers Table = iota
	Policies
	Claims
	Contacts
)

var tableNames = [...]string{"customers", "policies", "claims", "contacts"}

func (t Table) String() string { return tableNames[t] }

// Tables are the four, in the order in which they are loaded.
var Tables = [...]Table{Customers, Policies, Claims, Contacts}

// Stamp completes what a row leaves out of its version: rows without recorded_at are
// recorded on the as-of date and marked, and hold from when they were recorded.
func (v *Version) Stamp(asOf Date) {
	if v.RecordedAt == 0 {
		v.RecordedAt, v.Undated = asOf, true
	}
	if v.ValidFrom == 0 {
		v.ValidFrom = v.RecordedAt
	}
}

// Normalise stamps every row and puts values that may be written in several ways in
// one form, so that equal content has equal bytes.
func (a *Aggregate) Normalise(asOf Date) {
	for i := range a.Customers {
		c := &a.Customers[i]
		c.Stamp(asOf)
		if c.Segment == "" {
			c.Segment = Private
		}
		if c.Origin == "" {
			c.Origin = "direct"
		}
	}
	for i := range a.Policies {
		p := &a.Policies[i]
		p.Stamp(asOf)
		p.Branch = strings.ToLower(p.Branch)
	}
	for i := range a.Claims {
		c := &a.Claims[i]
		c.Stamp(asOf)
		if c.Status == "" {
			if c.Status = ClaimOpen; c.SettledDate != 0 {
				c.Status = ClaimClosed
			}
		}
	}
	a.Sort()
}

// Merge adds the rows of in to a, both normalised, and sorts. Nothing is overwritten:
//   - a dated row whose (id, recorded_at, valid_from) is stored with the same content
//     is skipped, with other content it is a conflict and is left out;
//   - an undated row is skipped where it says what the newest version known by then
//     says, else it becomes a version;
//   - a contact is added as often as in has it more than a; one that only got its
//     resolution or sentiment since replaces the unresolved one.
//
// Merge reports conflicts by table and index in in. Merging the same rows twice
// changes nothing.
func (a *Aggregate) Merge(in *Aggregate, conflict func(Table, int)) {
	a.Customers = mergeRows(a.Customers, in.Customers, Customers, conflict,
		func(c *Customer) (string, *Version) { return c.ID, &c.Version }, (*Customer).Same)
	a.Policies = mergeRows(a.Policies, in.Policies, Policies, conflict,
		func(p *Policy) (string, *Version) { return p.ID, &p.Version }, (*Policy).Same)
	a.Claims = mergeRows(a.Claims, in.Claims, Claims, conflict,
		func(c *Claim) (string, *Version) { return c.ID, &c.Version }, (*Claim).Same)
	a.mergeContacts(in.Contacts)
	a.Sort()
}

func mergeRows[R any](stored, in []R, t Table, conflict func(Table, int), head func(*R) (string, *Version), same func(*R, *R) bool) []R {
	if len(stored) == 0 {
		return in
	}
	n := len(stored)
next:
	for i := range in {
		r := &in[i]
		id, v := head(r)
		newest := -1
		for j := range n {
			jid, w := head(&stored[j])
			if jid != id {
				continue
			}
			if !v.Undated && v.RecordedAt == w.RecordedAt && v.ValidFrom == w.ValidFrom && !w.Undated {
				if !same(r, &stored[j]) || v.Reason != w.Reason {
					conflict(t, i)
				}
				continue next
			}
			if w.RecordedAt <= v.RecordedAt && (newest < 0 || !less(w, headVersion(&stored[newest], head))) {
				newest = j
			}
		}
		if v.Undated && newest >= 0 && same(r, &stored[newest]) {
			continue
		}
		stored = append(stored, *r)
	}
	return stored
}

func headVersion[R any](r *R, head func(*R) (string, *Version)) *Version {
	_, v := head(r)
	return v
}

func less(v, w *Version) bool { return v.compare(*w) < 0 }

func (a *Aggregate) mergeContacts(in []Contact) {
	if len(a.Contacts) == 0 {
		a.Contacts = in
		return
	}
	taken := make([]bool, len(a.Contacts))
	n := len(a.Contacts)
	match := func(c Contact, equal func(x, y Contact) bool) int {
		for j := range n {
			if !taken[j] && equal(a.Contacts[j], c) {
				return j
			}
		}
		return -1
	}
	var rest []Contact
	for _, c := range in {
		if j := match(c, func(x, y Contact) bool { return x == y }); j >= 0 {
			taken[j] = true
			continue
		}
		rest = append(rest, c)
	}
	for _, c := range rest {
		j := match(c, func(x, y Contact) bool {
			x.ResolvedAt, x.Sentiment = y.ResolvedAt, y.Sentiment
			return x == y
		})
		if j >= 0 && a.Contacts[j].ResolvedAt == 0 {
			taken[j], a.Contacts[j] = true, c
			continue
		}
		a.Contacts = append(a.Contacts, c)
	}
}

// Same reports whether two rows say the same, their versions apart.
func (c *Customer) Same(d *Customer) bool {
	return c.ID == d.ID && c.BirthYear == d.BirthYear && c.Postcode == d.Postcode && c.Region == d.Region &&
		c.Segment == d.Segment && c.HouseholdID == d.HouseholdID && c.CompanyGroupID == d.CompanyGroupID &&
		c.LegalForm == d.LegalForm && c.SBICode == d.SBICode && c.Employees == d.Employees && c.Origin == d.Origin &&
		c.AcquiredOn == d.AcquiredOn && c.AdvisorID == d.AdvisorID && c.OfficeID == d.OfficeID &&
		c.Objects == d.Objects && slices.Equal(c.Consents, d.Consents)
}

// Same reports whether two rows say the same, their versions apart.
func (p *Policy) Same(q *Policy) bool {
	return p.ID == q.ID && p.CustomerID == q.CustomerID && p.Branch == q.Branch && p.StartDate == q.StartDate &&
		p.EndDate == q.EndDate && p.ContractEnd == q.ContractEnd && p.NoticeMonths == q.NoticeMonths &&
		p.Product == q.Product && p.Carrier == q.Carrier && p.Channel == q.Channel && p.AFDList == q.AFDList &&
		p.AFDCode == q.AFDCode && p.AnnualPremium == q.AnnualPremium && p.CommissionRate == q.CommissionRate &&
		p.SumInsured == q.SumInsured && p.Deductible == q.Deductible && p.PaymentFrequency == q.PaymentFrequency &&
		p.Status == q.Status && p.EndReason == q.EndReason && slices.Equal(p.Attributes, q.Attributes)
}

// Same reports whether two rows say the same, their versions apart.
func (c *Claim) Same(d *Claim) bool {
	return c.ID == d.ID && c.PolicyID == d.PolicyID && c.CustomerID == d.CustomerID && c.LossDate == d.LossDate &&
		c.ReportedDate == d.ReportedDate && c.SettledDate == d.SettledDate && c.Cover == d.Cover &&
		c.AtFault == d.AtFault && c.Paid == d.Paid && c.Reserve == d.Reserve && c.Recovered == d.Recovered &&
		c.Status == d.Status
}
