package portfolio

import (
	"slices"
	"sort"
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
		p.Branch = strings.ToLower(strings.TrimSpace(p.Branch))
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

// Merge adds the rows of in to a, both normalised, and sorts. It copies the rows, not what they hold. Nothing is overwritten:
//   - a dated row whose (id, recorded_at, valid_from) is stored with the same content
//     is skipped, with other content it is a conflict and is left out;
//   - an undated row is skipped where it says what the newest version known by then
//     says, or the newest that holds from the same date, else it becomes a version;
//   - a contact is added as often as in has it more than a; one that only got its
//     resolution or sentiment since replaces the unresolved one, and one without a
//     resolution is skipped where it has got one since.
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

// mergeRows finds the stored versions of each row's id by search: a fleet has
// thousands of policies.
func mergeRows[R any](stored, in []R, t Table, conflict func(Table, int), head func(*R) (string, *Version), same func(*R, *R) bool) []R {
	n := len(stored)
next:
	for i := range in {
		r := &in[i]
		id, v := head(r)
		newest, alike := -1, -1
		for j := sort.Search(n, func(j int) bool { at, _ := head(&stored[j]); return at >= id }); j < n; j++ {
			at, w := head(&stored[j])
			if at != id {
				break
			}
			if !v.Undated && !w.Undated && v.Compare(*w) == 0 {
				if v.Reason != w.Reason || !same(r, &stored[j]) {
					conflict(t, i)
				}
				continue next
			}
			if w.RecordedAt <= v.RecordedAt {
				newest = j // the versions of an id stand in order
				if w.ValidFrom == v.ValidFrom {
					alike = j
				}
			}
		}
		if v.Undated && (newest >= 0 && same(r, &stored[newest]) || alike >= 0 && same(r, &stored[alike])) {
			continue
		}
		stored = append(stored, *r)
	}
	return stored
}

// mergeContacts walks both in order. What the store has and the file has not stays;
// what the file has over may be a stored one at another time of its life.
func (a *Aggregate) mergeContacts(in []Contact) {
	stored := a.Contacts
	var over []Contact
	var unmatched []int
	j := 0
	for _, c := range in {
		for ; j < len(stored) && compareContacts(stored[j], c) < 0; j++ {
			unmatched = append(unmatched, j)
		}
		if j < len(stored) && compareContacts(stored[j], c) == 0 {
			j++
			continue
		}
		over = append(over, c)
	}
	if len(over) == 0 {
		return
	}
	for ; j < len(stored); j++ {
		unmatched = append(unmatched, j)
	}
	lives := make(map[Contact][]int, len(unmatched))
	for _, j := range unmatched {
		key := stored[j].begun()
		lives[key] = append(lives[key], j)
	}
	for _, c := range over {
		key := c.begun()
		list := lives[key]
		k := slices.IndexFunc(list, func(j int) bool { return stored[j].ResolvedAt == 0 || c.ResolvedAt == 0 })
		if k < 0 {
			a.Contacts = append(a.Contacts, c)
			continue
		}
		if j := list[k]; stored[j].ResolvedAt == 0 {
			a.Contacts[j] = c
		}
		lives[key] = slices.Delete(list, k, k+1)
	}
}

// begun is what of a contact does not change when it is resolved.
func (c Contact) begun() Contact {
	c.ResolvedAt, c.Sentiment = 0, 0
	return c
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
