package portfolio

import "strings"

// Objection is what a customer told Polis itself about profiling (GDPR art. 21): that it
// objects, or withdraws that. It stands beside the rows and not among them: what callers
// write, an import, a replacement or a free text in a row, neither makes nor undoes one.
type Objection struct {
	Objects    bool
	Since      Date // from when it holds
	RecordedAt Date
	Source     string // by which way it came
}

// Objection is what the customer last told us; false where that was nothing.
func (a *Aggregate) Objection() (Objection, bool) {
	if n := len(a.Objections); n > 0 {
		return a.Objections[n-1], true
	}
	return Objection{}, false
}

// objects reports whether a customer, of which c is the row that holds, objects as far as was
// known on a date. What it told us goes before its row; a row that says that it objects counts
// again where it was recorded on a later day than a withdrawal.
func (a *Aggregate) objects(c *Customer, asOf Date) bool {
	for i := len(a.Objections) - 1; i >= 0; i-- {
		if o := &a.Objections[i]; o.RecordedAt <= asOf && o.Since <= asOf {
			return o.Objects || c.Objects && c.RecordedAt > o.RecordedAt
		}
	}
	return c.Objects
}

// SetObjection adds what the customer told us today. It reports false, and adds nothing, where
// the customer had told us so before, or there is nothing to withdraw.
func (a *Aggregate) SetObjection(o Objection, today Date) bool {
	if len(a.Customers) == 0 {
		return false
	}
	last, _ := a.Objection()
	now := -1
	for i := range a.Customers {
		if c := &a.Customers[i]; c.ValidFrom <= today && (now < 0 || c.ValidFrom >= a.Customers[now].ValidFrom) {
			now = i
		}
	}
	if now < 0 {
		now = 0 // all of it is announced, and not valid yet
	}
	if o.Objects && last.Objects || !o.Objects && !last.Objects && !a.objects(&a.Customers[now], today) {
		return false
	}
	o.RecordedAt = today
	a.Objections = append(a.Objections, o)
	return true
}

// KeepObjections takes over from a customer that a replaces what it told us.
func (a *Aggregate) KeepObjections(before *Aggregate) { a.Objections = before.Objections }

// Before objections stood apart they were versions of the customer's row, of which the reason
// began with one of these.
const (
	objectedBy  = "objection to profiling: "
	withdrawnBy = "objection withdrawn: "
)

// rowObjections appends those that rows of then tell of.
func (a *Aggregate) rowObjections(out []Objection) []Objection {
	for i := range a.Customers {
		if c := &a.Customers[i]; c.tells() {
			_, source, _ := strings.Cut(c.Reason, ": ")
			out = append(out, Objection{c.Objects, c.ValidFrom, c.RecordedAt, source})
		}
	}
	return out
}

// rowsTell reports whether a row looks like one of then.
func (a *Aggregate) rowsTell() bool {
	for i := range a.Customers {
		if a.Customers[i].tells() {
			return true
		}
	}
	return false
}

func (c *Customer) tells() bool {
	return strings.HasPrefix(c.Reason, objectedBy) || strings.HasPrefix(c.Reason, withdrawnBy)
}
