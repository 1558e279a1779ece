package portfolio

import (
	"slices"
	"sort"
)

// View is what was known of a customer on the as-of date: the newest version of each
// row that was recorded by then. Features, engines and ledgers read views only, so
// that none of them can see the future. A View is reused: Reset overwrites it.
type View struct {
	AsOf Date
	ID   string
	// Versions are all that were known of the customer, oldest first.
	Versions []Customer
	Customer *Customer // nil where nothing was known yet
	Policies []PolicyView
	Claims   []ClaimView
	Contacts []Contact // up to and including the as-of date, oldest first
	// CurrentOnly marks a customer of an undated row seen before it was recorded: only the
	// year of birth and the segment are known.
	CurrentOnly bool
	// ReplacementDays are those of the table of ends that the view was filled with.
	ReplacementDays Date

	member  *Customer // whose relation it was in then; nil where nothing at all was known
	early   Customer  // stands in for an undated row before it was recorded
	told    Customer  // stands in for a row that does not know what the customer told us of profiling
	undated []Policy  // what could be said of undated rows before they were recorded
	losses  []Claim   // likewise
}

// PolicyView is a policy as known on the as-of date.
type PolicyView struct {
	*Policy           // the newest version known
	Versions []Policy // all known versions, oldest first
	Ended    End      // why it ended or will end; NotEnded while no end is known
	// EndsOn and EndsBy are an end that is recorded and not in effect yet: notice was given.
	EndsOn Date
	EndsBy End
	// Replaces is that it stands in for another policy of its branch: see Relate.
	Replaces bool
	// CurrentOnly marks an undated row seen before it was recorded: only branch,
	// start and end are known, and the premium is not.
	CurrentOnly bool
}

// ClaimView is a claim as known on the as-of date.
type ClaimView struct {
	*Claim
	Versions    []Claim
	CurrentOnly bool // amounts are not known: see PolicyView.CurrentOnly

	stored []Claim // of a row seen before it was recorded
}

// Since is the claim as it came to be known until a later date, of a row that is CurrentOnly:
// false where it was not recorded by then either. It is no part of what was known on the
// view's date, and is for labels only.
func (c ClaimView) Since(on Date) (ClaimView, bool) {
	known := 0
	for known < len(c.stored) && c.stored[known].RecordedAt <= on {
		known++
	}
	if known == 0 {
		return c, false
	}
	return ClaimView{Claim: &c.stored[known-1], Versions: c.stored[:known]}, true
}

// Reported is when the claim was reported as far as is known: where that is not said, when
// it was first recorded, and of an undated row when it happened. Never before the loss.
func (c *ClaimView) Reported() Date {
	on := c.ReportedDate
	if on == 0 && len(c.Versions) > 0 && !c.Versions[0].Undated {
		on = c.Versions[0].RecordedAt
	}
	return max(on, c.LossDate)
}

// InForce reports whether the policy gives cover on the date.
func (p *PolicyView) InForce(on Date) bool {
	return p.StartDate <= on && (p.EndDate == 0 || on < p.EndDate)
}

// Reset fills the view from an aggregate, which must be sorted, as of a date.
func (v *View) Reset(a *Aggregate, asOf Date, ends EndTable) {
	v.AsOf, v.ID, v.Customer, v.CurrentOnly, v.ReplacementDays = asOf, a.ID(), nil, false, ends.ReplacementDays
	v.Policies, v.Claims, v.undated = v.Policies[:0], v.Claims[:0], v.undated[:0]
	v.Versions = nil
	for i := range a.Customers {
		c := &a.Customers[i]
		if c.RecordedAt <= asOf {
			v.Versions = a.Customers[:i+1]
		}
		if c.RecordedAt <= asOf && c.ValidFrom <= asOf && (v.Customer == nil || c.ValidFrom >= v.Customer.ValidFrom) {
			v.Customer = c
		}
	}
	if v.Customer == nil && len(a.Customers) > 0 && a.Customers[0].Undated {
		// A birth year cannot have changed; all else of an undated row may have.
		c := &a.Customers[0]
		v.early = Customer{ID: c.ID, BirthYear: c.BirthYear, Segment: c.Segment}
		v.Customer, v.CurrentOnly = &v.early, true
	}
	if v.Customer != nil {
		if objects := a.objects(v.Customer, asOf); objects != v.Customer.Objects {
			v.told = *v.Customer
			v.told.Objects = objects
			v.Customer = &v.told
		}
	}
	// Growing while PolicyViews point into it would leave them behind.
	v.undated, v.losses = slices.Grow(v.undated, len(a.Policies)), slices.Grow(v.losses[:0], len(a.Claims))
	for from := 0; from < len(a.Policies); {
		to := from + 1
		for to < len(a.Policies) && a.Policies[to].ID == a.Policies[from].ID {
			to++
		}
		v.addPolicy(a.Policies[from:to], ends)
		from = to
	}
	for from := 0; from < len(a.Claims); {
		to := from + 1
		for to < len(a.Claims) && a.Claims[to].ID == a.Claims[from].ID {
			to++
		}
		v.addClaim(a.Claims[from:to])
		from = to
	}
	n := len(a.Contacts)
	for n > 0 && a.Contacts[n-1].At.Date() > asOf {
		n--
	}
	v.Contacts = a.Contacts[:n]
	if v.member = v.Customer; v.CurrentOnly || v.Customer == nil && len(v.Policies) > 0 && len(a.Customers) > 0 {
		// Undated, or recorded after its policies: of its relation there is no earlier word.
		v.member = &a.Customers[0]
	}
	v.replacedBy(v)
}

// Related reports whether two customers belonged to one relation as far as was known on
// the as-of date. Nobody is related to a customer of whom nothing was known yet.
func (v *View) Related(w *View) bool { return related(v.member, w.member) }

// Moved reports whether the customer was of another relation on the as-of date than a
// version of it is.
func (v *View) Moved(now *Customer) bool { return v.member != nil && !related(v.member, now) }

func related(a, b *Customer) bool {
	switch {
	case a == nil || b == nil:
		return false
	case a.CompanyGroupID != "" || b.CompanyGroupID != "":
		return a.CompanyGroupID == b.CompanyGroupID
	case a.HouseholdID != "" || b.HouseholdID != "":
		return a.HouseholdID == b.HouseholdID
	}
	return a.ID == b.ID
}

// Relation is the key of the relation that the customer belonged to as far as was known on
// the as-of date; "" where nothing was known of it.
func (v *View) Relation() string {
	if v.member == nil {
		return ""
	}
	return v.member.Relation()
}

func (v *View) addPolicy(versions []Policy, ends EndTable) {
	known := 0
	for known < len(versions) && versions[known].RecordedAt <= v.AsOf {
		known++
	}
	p := PolicyView{Versions: versions[:known]}
	// The one that is true now: a renewal entered ahead waits until it is valid, and a
	// late correction of an earlier period does not undo what came after it.
	for i := range known {
		if w := &versions[i]; w.ValidFrom <= v.AsOf && (p.Policy == nil || w.ValidFrom >= p.ValidFrom) {
			p.Policy = w
		}
	}
	if p.Policy == nil && known > 0 {
		p.Policy = &versions[known-1] // announced, not yet begun
	}
	if p.Policy == nil {
		u := &versions[len(versions)-1]
		if !versions[0].Undated || u.StartDate > v.AsOf {
			return
		}
		q := Policy{ID: u.ID, CustomerID: u.CustomerID, Branch: u.Branch, StartDate: u.StartDate, Status: Active, Version: u.Version}
		if u.EndDate != 0 && u.EndDate <= v.AsOf {
			q.EndDate, q.EndReason, q.Status = u.EndDate, u.EndReason, Ended
		}
		v.undated = append(v.undated, q)
		p.Policy = &v.undated[len(v.undated)-1]
		p.Versions = v.undated[len(v.undated)-1:]
		p.CurrentOnly = true
	}
	if p.EndDate != 0 {
		p.Ended = ends.Of(p.EndReason)
	}
	if known > 0 {
		if last := &versions[known-1]; last.EndDate > v.AsOf {
			p.EndsOn, p.EndsBy = last.EndDate, ends.Of(last.EndReason)
		}
	}
	v.Policies = append(v.Policies, p)
}

func (v *View) addClaim(versions []Claim) {
	known := 0
	for known < len(versions) && versions[known].RecordedAt <= v.AsOf {
		known++
	}
	if known > 0 {
		v.Claims = append(v.Claims, ClaimView{Claim: &versions[known-1], Versions: versions[:known]})
		return
	}
	if u := &versions[0]; u.Undated && max(u.LossDate, u.ReportedDate) <= v.AsOf {
		v.losses = append(v.losses, Claim{
			ID: u.ID, PolicyID: u.PolicyID, CustomerID: u.CustomerID, LossDate: u.LossDate, ReportedDate: u.ReportedDate, Version: u.Version,
		})
		v.Claims = append(v.Claims, ClaimView{Claim: &v.losses[len(v.losses)-1], CurrentOnly: true, stored: versions})
	}
}

// Relate finds which policies of a relation took another's place, whichever member holds
// them: Replaces and Ended of its policies. A view by itself knows that of its own policies
// only. The views are of one date, and were one relation then.
func Relate(views []*View) {
	for _, v := range views {
		for _, w := range views {
			if v != w {
				v.replacedBy(w)
			}
		}
	}
}

// replacedBy marks policies of v where another of the branch started in w within
// v's ReplacementDays: the one stands in for the other. A lapse is then a replacement, since
// administrations often book a rewrite as one, if what took its place goes on.
func (v *View) replacedBy(w *View) {
	for i := range v.Policies {
		p := &v.Policies[i]
		if p.EndDate == 0 {
			continue
		}
		for j := range w.Policies {
			q := &w.Policies[j]
			if q.StartDate <= p.StartDate || q.StartDate-p.EndDate > v.ReplacementDays || p.EndDate-q.StartDate > v.ReplacementDays || q.Branch != p.Branch {
				continue
			}
			q.Replaces = true
			if (p.Ended == Lapse || p.Ended == UnknownReason) && q.InForce(max(q.StartDate, p.EndDate)) {
				p.Ended = Replaced
			}
		}
	}
}

// Policy finds a policy of the view by id; nil if it was not known. They stand in the
// order of their ids.
func (v *View) Policy(id string) *PolicyView {
	i := sort.Search(len(v.Policies), func(i int) bool { return v.Policies[i].ID >= id })
	if i == len(v.Policies) || v.Policies[i].ID != id {
		return nil
	}
	return &v.Policies[i]
}
