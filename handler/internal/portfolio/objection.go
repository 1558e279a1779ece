package portfolio

import "strings"

// An objection to profiling (GDPR art. 21), and its withdrawal, is a version of the
// customer's row whose reason says so and by which way it came. What came to Polis itself
// stands until it is withdrawn there: an export of an administration that does not know of
// it must not undo it overnight.
const (
	objectedBy  = "objection to profiling: "
	withdrawnBy = "objection withdrawn: "
)

// Objection is what a customer last said to us about profiling.
type Objection struct {
	Objects bool
	Since   Date   // from when it holds
	Source  string // by which way it came
}

// Objection is what the customer last told us; false where that was nothing.
func (a *Aggregate) Objection() (Objection, bool) {
	if i := a.said(maxDate); i >= 0 {
		c := &a.Customers[i]
		_, source, _ := strings.Cut(c.Reason, ": ")
		return Objection{c.Objects, c.ValidFrom, source}, true
	}
	return Objection{}, false
}

// said is the newest version by which the customer objected, or withdrew that, as known on
// a date; −1 for none.
func (a *Aggregate) said(asOf Date) int {
	for i := len(a.Customers) - 1; i >= 0; i-- {
		c := &a.Customers[i]
		if c.RecordedAt <= asOf && c.ValidFrom <= asOf && (strings.HasPrefix(c.Reason, objectedBy) || strings.HasPrefix(c.Reason, withdrawnBy)) {
			return i
		}
	}
	return -1
}

// SetObjection adds what the customer said on a date, recorded today, as a version of each
// row that holds from then on. It reports false, and adds nothing, where the customer had
// said so before.
func (a *Aggregate) SetObjection(o Objection, today Date) bool {
	last, told := a.Objection()
	objects := told && last.Objects
	if len(a.Customers) == 0 || o.Objects && objects {
		return false
	}
	reason := withdrawnBy + o.Source
	if o.Objects {
		reason = objectedBy + o.Source
	}
	now := -1
	for i := range a.Customers {
		if c := &a.Customers[i]; c.ValidFrom <= today && (now < 0 || c.ValidFrom >= a.Customers[now].ValidFrom) {
			now = i
		}
	}
	if now < 0 {
		now = 0 // all of it is announced, and not valid yet
	}
	if !o.Objects && !objects && !a.Customers[now].Objects {
		return false // there is nothing to withdraw
	}
	n := len(a.Customers)
	for i := range n {
		c := a.Customers[i]
		if i != now && c.ValidFrom <= today { // superseded
			continue
		}
		c.Objects = o.Objects
		c.Version = Version{ValidFrom: max(c.ValidFrom, o.Since), RecordedAt: max(today, c.RecordedAt), Reason: reason}
		a.Customers = append(a.Customers, c)
	}
	a.Sort()
	return true
}

// KeepObjection takes over from a customer that a replaces what it told us: whoever
// replaces a customer need not know of it.
func (a *Aggregate) KeepObjection(before *Aggregate) {
	_, told := before.Objection()
	if _, ok := a.Objection(); ok || !told {
		return
	}
	for i := range before.Customers {
		if r := before.Customers[i].Reason; strings.HasPrefix(r, objectedBy) || strings.HasPrefix(r, withdrawnBy) {
			a.Customers = append(a.Customers, before.Customers[i])
		}
	}
	a.Sort()
}
