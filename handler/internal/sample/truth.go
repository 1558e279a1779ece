package sample

import (
	"math"
	"strconv"
)

// truthPaths is how many futures probabilities are averaged over. A path adds up hazards
// instead of drawing what they decide (Rao-Blackwell), so few suffice.
const truthPaths = 16

const (
	truthPoliciesHeader = "policy_id,customer_id,branch,exposure,expected_claims,claim_probability,expected_loss," +
		"realised_claims,realised_loss,lapse,lapsed\n"
	truthCustomersHeader = "customer_id,lapse_any,lapse_all,lapse_essential,lapse_any_contacted," +
		"y0_any,y1_any,y0_all,y1_all,y0_essential,y1_essential,contacted,realised_any," +
		"purchase,purchased,held_elsewhere,same_person_as,frailty,price_sensitivity,dissatisfaction\n"
)

// fate is what the truth says of a customer in the year after the truth is told.
type fate struct {
	leave   float64           // on a path: probability of not having left so far
	without [branches]float64 // on a path: probability of not having bought so far
	bought  uint32            // in the drawn future

	any, all, essential, anyContacted float64
	purchase                          [branches]float64
}

// outcome is what a customer did in a drawn future.
type outcome struct{ any, all, essential bool }

// tell works out and writes the truth of a household that has lived up to the month of
// telling. It draws nothing that the household's own life would: that goes on as if
// nothing had been told.
func (h *household) tell(scratch *household) {
	known := len(h.pol)
	for i := range h.pol {
		q := &h.pol[i]
		q.exposure, q.expected, q.loss, q.none, q.gone = 0, 0, 0, 0, 0
	}
	for path := range truthPaths {
		for _, contacted := range [...]bool{false, true} {
			scratch.copyFrom(h)
			scratch.r = newDraw(h.seed^streamPaths<<56, h.no*truthPaths+uint64(path))
			scratch.measure = true
			scratch.year(contacted)
			for i := range h.members {
				h.members[i].fate.add(scratch, &h.members[i], contacted)
			}
			if contacted {
				continue
			}
			for i := range known {
				from, to := &scratch.pol[i], &h.pol[i]
				to.exposure += from.exposure / truthPaths
				to.expected += from.expected / truthPaths
				to.loss += from.loss / truthPaths
				to.none += math.Exp(-from.expected) / truthPaths
				to.gone += (1 - from.kept) / truthPaths
			}
		}
	}
	scratch.copyFrom(h)
	scratch.year(true)
	var treated [8]outcome
	for i := range h.members {
		treated[i] = scratch.outcome(known, i)
	}
	scratch.copyFrom(h)
	scratch.year(false)
	for i := range h.members {
		if p := &h.members[i]; p.shown && h.holds(p) {
			h.writeTruth(p, scratch, scratch.outcome(known, i), treated[i], known)
		}
	}
}

// copyFrom makes h a household like o, from which nothing is written.
func (h *household) copyFrom(o *household) {
	members, pol := h.members[:0], h.pol[:0]
	*h = *o
	h.members = append(members, o.members...)
	h.pol = append(pol, o.pol...)
	h.out = nil
	for i := range h.members {
		f := &h.members[i].fate
		f.leave, f.bought = 1, 0
		for b := range f.without {
			f.without[b] = 1
		}
	}
	for i := range h.pol {
		q := &h.pol[i]
		q.stay, q.kept, q.exposure, q.expected, q.loss, q.happened, q.happenedAmount = 1, 1, 0, 0, 0, 0, 0
	}
}

// year lives the twelve months from the month of telling; contacted says that everybody is
// called as it begins.
func (h *household) year(contacted bool) {
	h.m = h.w.told - 1
	h.count()
	if contacted {
		for i := range h.members {
			h.touch(&h.members[i])
		}
	}
	for m := h.w.told; m < h.w.told+future; m++ {
		h.step(m)
	}
}

// add takes a path into the averages. That everything lapses is counted on the policies
// as they are when it is told: their dependence on one another within the year, but
// for leaving as a whole, is left out.
func (f *fate) add(path *household, p *person, contacted bool) {
	lived := &path.members[p.no].fate
	none, gone, essential := 1.0, 1.0, 1.0
	essentials := 0
	for i := range path.pol {
		q := &path.pol[i]
		if q.owner != p.no || q.why != notEnded && q.endedAt < path.w.told {
			continue
		}
		none *= q.stay
		if q.why != notEnded {
			continue // ended by something else on the way
		}
		gone *= 1 - q.stay
		if lines[q.line].essential {
			essential *= 1 - q.stay
			essentials++
		}
	}
	anyLapse := 1 - lived.leave*none
	if contacted {
		f.anyContacted += anyLapse / truthPaths
		return
	}
	f.any += anyLapse / truthPaths
	f.all += min(anyLapse, 1-lived.leave*(1-gone)) / truthPaths
	if essentials > 0 {
		f.essential += min(anyLapse, 1-lived.leave*(1-essential)) / truthPaths
	}
	for b := range f.purchase {
		f.purchase[b] += (1 - lived.without[b]) / truthPaths
	}
}

// outcome reads a drawn future. All and essential: nothing of it is left, and at least
// one was ended by the customer.
func (h *household) outcome(known, member int) (o outcome) {
	left, leftEssential, lapsedEssential := 0, 0, false
	for i := range h.pol {
		q := &h.pol[i]
		if q.owner != member {
			continue
		}
		if q.active() {
			left++
			if lines[q.line].essential {
				leftEssential++
			}
		}
		if q.why == endLapse && q.endedAt >= h.w.told {
			o.any = true
			lapsedEssential = lapsedEssential || lines[q.line].essential && i < known
		}
	}
	o.all = o.any && left == 0
	o.essential = lapsedEssential && leftEssential == 0
	return o
}

func (h *household) writeTruth(p *person, lived *household, y0, y1 outcome, known int) {
	b := h.out.truthPolicies
	for i := range known {
		q := &h.pol[i]
		if q.owner != p.no || !q.active() || !q.shown || q.start >= h.w.edges[h.w.told] {
			continue
		}
		b = h.policyID(b, q)
		b = h.customerID(append(b, ','), p)
		b = append(append(b, ','), lines[q.line].name...)
		for _, v := range [...]float64{q.exposure, q.expected, 1 - q.none, q.loss} {
			b = probability(append(b, ','), v)
		}
		b = number(append(b, ','), lived.pol[i].happened)
		b = money(append(b, ','), lived.pol[i].happenedAmount)
		b = probability(append(b, ','), q.gone)
		if lived.pol[i].why == endLapse {
			b = append(b, ",1\n"...)
		} else {
			b = append(b, ",0\n"...)
		}
	}
	h.out.truthPolicies = b

	f := &p.fate
	b = h.customerID(h.out.truthCustomers, p)
	for _, v := range [...]float64{f.any, f.all, f.essential, f.anyContacted} {
		b = probability(append(b, ','), v)
	}
	contacted := coin(h.seed, h.who(3, p.no), h.w.told, 0) < 0.5 // a fair trial
	realised := y0.any
	if contacted {
		realised = y1.any
	}
	for _, v := range [...]bool{y0.any, y1.any, y0.all, y1.all, y0.essential, y1.essential, contacted, realised} {
		if v {
			b = append(b, ",1"...)
		} else {
			b = append(b, ",0"...)
		}
	}
	b = append(b, ',')
	first := len(b)
	for line := range lines {
		if f.purchase[line] > 0 && !h.owns(p, line) {
			b = separate(b, first)
			b = append(append(b, lines[line].name...), '=')
			b = probability(b, f.purchase[line])
		}
	}
	b = list(append(b, ','), lived.members[p.no].fate.bought)
	b = list(append(b, ','), p.elsewhere)
	b = append(b, ',')
	if p.duplicate {
		b = h.customerID(b, &h.members[0])
	}
	for _, v := range [...]float64{p.frailty * h.frailty, p.sense, p.grief} {
		b = probability(append(b, ','), v)
	}
	h.out.truthCustomers = append(b, '\n')
}

// list names the branches of a set.
func list(b []byte, set uint32) []byte {
	first := len(b)
	for line := range lines {
		if set>>line&1 == 1 {
			b = append(separate(b, first), lines[line].name...)
		}
	}
	return b
}

func separate(b []byte, first int) []byte {
	if len(b) > first {
		b = append(b, '|')
	}
	return b
}

// probability is written with five significant digits, so that the last bits of a
// machine's arithmetic stay out of the file.
func probability(b []byte, v float64) []byte { return strconv.AppendFloat(b, v, 'g', 5, 64) }
