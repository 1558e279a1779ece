package sample

import "strconv"

// rows are a chunk's lines, by table.
type rows struct {
	customers, policies, claims, contacts, truthPolicies, truthCustomers []byte
	count                                                                Summary
}

func (r *rows) reset() {
	*r = rows{
		customers: r.customers[:0], policies: r.policies[:0], claims: r.claims[:0], contacts: r.contacts[:0],
		truthPolicies: r.truthPolicies[:0], truthCustomers: r.truthCustomers[:0],
	}
}

// The tables' columns, as docs/tables.md has them.
const (
	customersHeader = "customer_id,birth_year,postcode,region,segment,household_id,company_group_id,legal_form,sbi_code," +
		"employees,origin,acquired_on,advisor_id,office_id,consents,objects_to_profiling,valid_from,recorded_at,mutation_reason\n"
	policiesHeader = "policy_id,customer_id,branch,start_date,end_date,contract_end,notice_months,product,carrier,channel," +
		"annual_premium,commission_rate,sum_insured,deductible,payment_frequency,status,end_reason,attributes," +
		"valid_from,recorded_at,mutation_reason\n"
	claimsHeader = "claim_id,policy_id,customer_id,loss_date,reported_date,settled_date,cover,at_fault,paid,reserve,recovered," +
		"status,valid_from,recorded_at,mutation_reason\n"
	contactsHeader = "customer_id,contacted_at,direction,channel,reason,resolved_at,sentiment,employee\n"
)

// id is a letter, the household and a number within it.
func id(b []byte, letter byte, household uint64, n int) []byte {
	b = append(b, letter)
	for width := uint64(10000000); width > household && width > 1; width /= 10 {
		b = append(b, '0')
	}
	b = strconv.AppendUint(b, household, 10)
	b = append(b, '-')
	return strconv.AppendInt(b, int64(n), 10)
}

func (h *household) customerID(b []byte, p *person) []byte { return id(b, 'C', h.no, p.no+1) }

func (h *household) policyID(b []byte, q *policy) []byte { return id(b, 'P', h.no, q.no) }

// money writes EUR with two decimals.
func money(b []byte, eur float64) []byte {
	n := int64(eur*100 + 0.5)
	b = strconv.AppendInt(b, n/100, 10)
	return append(b, '.', byte('0'+n%100/10), byte('0'+n%10))
}

func number(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

// version ends a row with since when it holds and was known.
func version(b []byte, validFrom, recorded day, reason string) []byte {
	b = validFrom.append(append(b, ','))
	b = recorded.append(append(b, ','))
	b = append(b, ',')
	b = append(b, reason...)
	return append(b, '\n')
}

var sectorCodes = [...]string{"4120", "8710", "4711", "6201"}

// writeCustomer writes a version of a customer, unless it was not known by the as-of date.
func (h *household) writeCustomer(p *person, validFrom, recorded day, reason string) {
	recorded = max(recorded, p.lastRow+1)
	if h.out == nil || !p.emit || recorded > h.w.asOf {
		return
	}
	p.lastRow = recorded
	b := h.customerID(h.out.customers, p)
	b = append(b, ',')
	switch {
	case p.born == 0 || p.hideBirth == 1:
	case p.hideBirth == 2: // what an old system writes where it knows nothing
		b = append(b, "1900"...)
	default:
		b = number(b, p.born)
	}
	b = number(append(b, ','), h.at.postcode)
	if !p.hideLetter {
		b = append(b, ' ', h.at.letters[0], h.at.letters[1])
	}
	b = append(b, ',')
	b = append(b, provinces[h.at.province].name...)
	if h.business {
		b = append(b, ",business,,"...)
		if len(h.members) > 1 {
			b = id(b, 'G', h.no, 1)
		}
		b = append(b, ',')
		b = append(b, p.legalForm...)
		b = append(b, ',')
		b = append(b, sectorCodes[h.sector]...)
		b = append(b, ',')
		if p.staff > 2 { // the smallest do not say
			b = number(b, p.staff)
		}
	} else {
		b = append(b, ",private,"...)
		// A second registration of a person does not know of the first.
		if !p.duplicate {
			b = id(b, 'H', h.no, p.group+1)
		}
		b = append(b, ",,,,"...)
	}
	b = append(b, ',')
	b = append(b, origins[p.origin]...)
	b = append(b, ',')
	if p.origin == fromAcquisition {
		b = h.w.edges[acquiredAt].append(b)
	}
	b = append(b, ",A"...)
	b = number(b, p.office*4+p.advisor+1)
	b = append(b, ",O"...)
	b = number(b, p.office+1)
	b = append(b, ',')
	if p.consent != "" {
		b = append(b, p.consent...)
		b = p.joined.append(b)
	}
	if p.objects {
		b = append(b, ",yes"...)
	} else {
		b = append(b, ",no"...)
	}
	h.out.customers = version(b, validFrom, recorded, reason)
	h.out.count.CustomerRows++
	if !p.shown {
		p.shown = true
		h.out.count.Customers++
	}
}

// policyState is what differs between the versions of a policy.
type policyState struct {
	premium     float64
	end         day
	code        string
	contractEnd day
	validFrom   day
	recorded    day
	reason      string
}

func (h *household) writePolicy(q *policy, p *person, validFrom, recorded day, reason string) {
	h.writeState(q, p, policyState{premium: q.premium, contractEnd: q.renewal, validFrom: validFrom, recorded: recorded, reason: reason})
}

// writeOffer writes the next term's premium, ahead of its beginning.
func (h *household) writeOffer(q *policy, p *person, recorded day) {
	q.offerRow = q.renewal
	h.writeState(q, p, policyState{
		premium: q.offered, contractEnd: q.renewal.addMonths(12), validFrom: q.renewal, recorded: recorded, reason: "renewal",
	})
}

// writeEnd writes the end of a policy and takes back an offer that was announced, or
// the offer would hold from its date on.
func (h *household) writeEnd(q *policy, p *person, recorded day, code string) {
	recorded = max(recorded, q.lastRow+1)
	s := policyState{premium: q.premium, end: q.end, code: code, contractEnd: q.end, validFrom: q.end, recorded: recorded, reason: "ended"}
	h.writeState(q, p, s)
	if q.offerRow > q.end {
		q.lastRow-- // on the same day
		s.validFrom, s.reason = q.offerRow, "withdrawn"
		h.writeState(q, p, s)
	}
}

func (h *household) writeState(q *policy, p *person, s policyState) {
	s.recorded = max(s.recorded, q.lastRow+1)
	if h.out == nil || !p.emit || s.recorded > h.w.asOf || !p.shown {
		return
	}
	if !q.shown && s.end != 0 {
		return // never known to have begun
	}
	q.lastRow = s.recorded
	l := &lines[q.line]
	b := h.policyID(h.out.policies, q)
	b = append(b, ',')
	b = h.customerID(b, p)
	b = append(b, ',')
	b = append(b, l.name...)
	b = q.start.append(append(b, ','))
	b = append(b, ',')
	if s.end != 0 {
		b = s.end.append(b)
	}
	b = s.contractEnd.append(append(b, ','))
	b = append(b, ',')
	if q.mandated { // of what the carrier administers, the terms are not known here
		b = append(b, '1')
	}
	b = append(b, ',')
	if q.line == motor || q.line == building || q.line == property {
		if q.size > averageSize(q.line) {
			b = append(b, "plus"...)
		} else {
			b = append(b, "basic"...)
		}
	}
	b = append(b, ',')
	b = append(b, carriers[q.carrier]...)
	if q.mandated {
		b = append(b, ",mandated,"...)
	} else {
		b = append(b, ",provincial,"...)
	}
	b = money(b, s.premium)
	b = strconv.AppendFloat(append(b, ','), q.commission, 'f', 2, 64)
	b = append(b, ',')
	if q.sum > 0 && !q.hideSum {
		b = number(b, q.sum)
	}
	b = append(b, ',')
	if q.deductible > 0 {
		b = number(b, q.deductible)
	}
	b = number(append(b, ','), q.pay)
	if s.end != 0 {
		b = append(b, ",ended,"...)
	} else {
		b = append(b, ",active,"...)
	}
	b = append(b, s.code...)
	b = q.attributes(append(b, ','))
	h.out.policies = version(b, s.validFrom, s.recorded, s.reason)
	h.out.count.PolicyRows++
	if !q.shown {
		q.shown = true
		h.out.count.Policies++
	}
}

// attributes are the rating factors of the branches that have any.
func (q *policy) attributes(b []byte) []byte {
	switch q.line {
	case motor:
		b = number(append(b, "power_kw="...), int(q.size))
		b = number(append(b, "|vehicle_year="...), q.year)
		b = number(append(b, "|claim_free_years="...), int(q.claimless))
		if !q.hideUse {
			b = number(append(b, "|kilometers="...), int(q.use)*1000)
		}
	case building, property:
		b = number(append(b, "build_year="...), int(q.use))
	case fleet:
		b = number(append(b, "vehicles="...), int(q.size))
	}
	return b
}

// writeClaim writes a version of a claim.
func (h *household) writeClaim(c *claim, q *policy, p *person, recorded, settled day, paid, reserve, recovered float64, status string) {
	if h.out == nil || !q.shown || recorded > h.w.asOf {
		return
	}
	b := id(h.out.claims, 'S', h.no, c.no)
	b = h.policyID(append(b, ','), q)
	b = h.customerID(append(b, ','), p)
	b = c.loss.append(append(b, ','))
	b = c.reported.append(append(b, ','))
	b = append(b, ',')
	if settled != 0 {
		b = settled.append(b)
	}
	b = append(b, ',')
	b = append(b, c.cover...)
	b = append(b, ',')
	b = append(b, c.fault...)
	b = money(append(b, ','), paid)
	b = money(append(b, ','), reserve)
	b = money(append(b, ','), recovered)
	b = append(b, ',')
	b = append(b, status...)
	h.out.claims = version(b, recorded, recorded, status)
	h.out.count.ClaimRows++
	if !c.shown {
		c.shown = true
		h.out.count.Claims++
	}
}

var channels = [...]string{"phone", "email", "chat", "office"}

// writeContact writes a contact; what is resolved after the as-of date is not yet.
func (h *household) writeContact(p *person, on day, direction, reason string, resolved day, mood float64, noted bool) {
	u, v, e := h.r.unit(), h.r.unit(), h.r.below(6)
	if h.flows != nil {
		h.flows[p.no][h.m-history].Contacts++
	}
	if h.out == nil || !p.shown || on > h.w.asOf {
		return
	}
	b := h.customerID(h.out.contacts, p)
	b = on.append(append(b, ','))
	minute := int(u * 540) // between 08:00 and 17:00
	hour := 8 + minute/60
	b = append(b, 'T', byte('0'+hour/10), byte('0'+hour%10), ':', byte('0'+minute%60/10), byte('0'+minute%10))
	b = append(b, ":00Z,"...)
	b = append(b, direction...)
	b = append(b, ',')
	b = append(b, channels[int(v*v*4)]...)
	b = append(b, ',')
	b = append(b, reason...)
	b = append(b, ',')
	if resolved != 0 && resolved <= h.w.asOf {
		b = append(resolved.append(b), "T17:00:00Z"...)
	}
	b = append(b, ',')
	if noted {
		b = strconv.AppendFloat(b, mood, 'f', 2, 64)
	}
	b = append(b, ",E"...)
	b = number(b, p.office*6+e+1)
	h.out.contacts = append(b, '\n')
	h.out.count.Contacts++
}
