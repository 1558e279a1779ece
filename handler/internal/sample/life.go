package sample

import "math"

// Kinds of coins: see coin.
const (
	coinLeave = iota + 1
	coinLapse
	coinBuy
)

// begin opens the book: who is there when the clock starts.
func (h *household) begin() {
	h.m = 0
	for i := range h.members {
		if p := &h.members[i]; p.joinMonth < 0 {
			p.since = h.w.edges[0] - day(30+h.r.exponential(1900))
			p.joined = h.w.edges[0]
			h.join(p)
		}
	}
	h.count()
}

// join enters a customer with the policies it comes with.
func (h *household) join(p *person) {
	p.in = true
	p.heard = h.m
	h.writeCustomer(p, p.joined, p.joined, "new")
	age, opened := h.age(p), 0
	for _, b := range h.lines() {
		if b == building && !h.owner {
			continue
		}
		u := h.r.unit()
		if need := h.need(p, b); need > 0 && u < min(firstShare[b]*need, 0.9) && (b != motor || age < 85) {
			h.openFirst(p, b)
			opened++
		}
	}
	if opened == 0 {
		b := motor
		if h.business {
			b = bizLiability
		}
		h.openFirst(p, b)
	}
	// What is held here is not held elsewhere.
	for i := range h.pol {
		if q := &h.pol[i]; q.owner == p.no {
			p.elsewhere &^= 1 << q.line
		}
	}
}

// firstShare is how many of those who need a branch bring it when they join.
var firstShare = [branches]float64{
	motor: 0.52, liability: 0.38, contents: 0.34, building: 0.30, legal: 0.17, travel: 0.20, accident: 0.12, pet: 0.05, boat: 0.03,
	disability: 0.13, funeral: 0.10, property: 0.62, bizLiability: 0.70, interruption: 0.22, fleet: 0.28, transport: 0.12, cyber: 0.14, absence: 0.32,
}

func (h *household) openFirst(p *person, line int) {
	start := p.joined
	if p.joinMonth < 0 || p.origin == fromAcquisition {
		// A book that is taken over brings policies that began before.
		start = min(p.since+day(h.r.unit()*float64(p.joined-p.since)), p.joined-1)
	}
	h.open(p, line, start, p.joined, -1, "new")
}

// step lives one month.
func (h *household) step(m int) {
	h.m = m
	for i := range h.members {
		p := &h.members[i]
		if p.joinMonth == m && !p.in && p.alive {
			p.joined = h.dayIn()
			p.since = p.joined
			if p.origin == fromAcquisition {
				p.joined = h.w.edges[acquiredAt]
				p.since = p.joined - day(60+h.r.exponential(1400))
			}
			h.join(p)
		}
	}
	h.count()
	h.events()
	h.leaving()
	for i := 0; i < len(h.pol); i++ { // replacements are appended on the way
		if q := &h.pol[i]; q.endedIn(m) || q.active() {
			h.policyMonth(i)
		}
	}
	for i := range h.members {
		if p := &h.members[i]; p.in && p.alive {
			h.feel(p)
			if m%3 == p.no%3 {
				h.purchases(p)
			}
		}
	}
}

// dayIn is a day of the month.
func (h *household) dayIn() day {
	from, to := h.w.edges[h.m], h.w.edges[h.m+1]
	return from + day(h.r.below(int(to-from)))
}

// holds reports whether the customer has anything in force.
func (h *household) holds(p *person) bool {
	for i := range h.pol {
		if q := &h.pol[i]; q.owner == p.no && q.active() {
			return true
		}
	}
	return false
}

// who names a decider for coins.
func (h *household) who(kind, no int) uint64 { return h.no<<16 | uint64(kind)<<12 | uint64(no) }

// leaving lets a relation take everything elsewhere: a household decides together, one
// who has left it alone.
func (h *household) leaving() {
	for i := range h.members {
		p := &h.members[i]
		if !p.in || !p.alive || !h.holds(p) {
			continue
		}
		no := 0
		if p.apart {
			no = p.no
		}
		hazard := min(h.w.form.leave(h, p)*h.touched(p), 0.9)
		if h.measure {
			p.fate.leave *= 1 - hazard
			for j := range h.pol {
				if q := &h.pol[j]; q.owner == p.no && q.active() {
					q.kept *= 1 - hazard
				}
			}
			continue
		}
		if coin(h.seed, h.who(0, no), h.m, coinLeave) >= hazard {
			continue
		}
		on := h.dayIn()
		for j := range h.pol {
			if q := &h.pol[j]; q.owner == p.no && q.active() {
				h.end(q, max(on, q.start+1), endLapse)
			}
		}
		for _, b := range h.lines() {
			p.elsewhere |= 1 << b
		}
	}
}

// touched is how a contact in the past half year works on the will to leave.
func (h *household) touched(p *person) float64 {
	if h.m-p.called > 6 || h.m == p.called {
		return 1
	}
	return p.reach
}

// policyMonth is a month of one policy: its renewal, its end, its claims.
func (h *household) policyMonth(i int) {
	q := &h.pol[i]
	p := &h.members[q.owner]
	if q.active() {
		renewing := h.renew(q, p)
		if h.competing(q, p, renewing) {
			h.lapsing(q, p, renewing)
		}
	}
	// Opening a replacement may have moved the policies.
	q = &h.pol[i]
	h.lose(q, p)
}

// lapsing lets the customer end the policy.
func (h *household) lapsing(q *policy, p *person, renewing bool) {
	hazard := min(h.w.form.lapse(h, p, q, renewing)*h.touched(p), 0.95)
	if h.measure {
		q.stay *= 1 - hazard
		q.kept *= 1 - hazard
		return
	}
	if coin(h.seed, h.who(1, q.no), h.m, coinLapse) >= hazard {
		return
	}
	on := q.renewal
	if !renewing {
		on = max(h.dayIn(), q.start+1)
	}
	h.end(q, on, endLapse)
	p.elsewhere |= 1 << q.line
}

// competing lets a policy end for other reasons; it reports whether it goes on.
func (h *household) competing(q *policy, p *person, renewing bool) bool {
	if !h.w.form.lives() {
		return true
	}
	r := &h.r
	switch {
	case q.carrier == leaving && renewing && h.m >= carrierExit:
		h.end(q, q.renewal, endCarrier)
		if r.chance(0.75) {
			h.replace(p, q.line, q.end, r.below(leaving))
		}
		return false
	case q.carrier == renumbering && h.m == renumberAt && q.start < h.w.edges[renumberAt]:
		h.renumber(q)
		return false
	}
	u := r.unit()
	switch q.line {
	case motor, boat, pet:
		if u < 0.006 { // sold, or dead
			on := max(h.dayIn(), q.start+1)
			again := r.chance(0.72)
			why := endRiskGone
			if again {
				why = endReplaced
			}
			h.end(q, on, why)
			if again {
				h.replace(p, q.line, on, -1)
			}
			return false
		}
	}
	switch {
	case u > 0.9995 || q.pay == 12 && u > 0.9988: // not paid
		h.end(q, max(h.dayIn(), q.start+1), endInsurer)
		return false
	case u > 0.9955 && u < 0.9975: // rewritten with another carrier
		on := max(h.dayIn(), q.start+1)
		h.end(q, on, endReplaced)
		h.replace(p, q.line, on, -1)
		return false
	}
	return true
}

// events are what happens to people.
func (h *household) events() {
	if h.business || !h.w.form.lives() {
		return
	}
	head := &h.members[0]
	if head.in && head.alive {
		rate := 0.035
		if !h.owner {
			rate = 0.10
		}
		if h.age(head) < 32 {
			rate *= 1.8
		}
		if h.r.chance(rate / 12) {
			h.move()
		}
		if h.kids < 3 && h.age(head) >= 25 && h.age(head) < 40 && h.r.chance(0.07/12) {
			h.birth(head)
		}
	}
	for i := range h.members {
		p := &h.members[i]
		if !p.in || !p.alive || p.duplicate {
			continue
		}
		age := h.age(p)
		if i == 1 && !p.apart && age >= 24 && h.r.chance(0.016/12) {
			h.divorce(p)
		}
		if !p.selfMade && age >= 25 && age < 52 && h.r.chance(0.014/12) {
			p.selfMade = true
			h.want(p, disability, 0.25)
			h.want(p, legal, 0.15)
		}
		// Gompertz: mortality doubles every seven years or so.
		if age > 40 && h.r.chance(0.00002*math.Exp(0.1*float64(age))/12) {
			h.death(p)
		}
	}
}

// move ends what covers the old home, opens what covers the new one and changes the
// address, which the administration may hear late.
func (h *household) move() {
	r := &h.r
	on := h.dayIn()
	province := h.at.province
	if r.chance(0.2) {
		province = r.pick(provinceShares)
	}
	h.at = newPlace(r, province)
	if !h.owner && r.chance(0.45) || h.owner && r.chance(0.15) {
		h.owner = !h.owner
	}
	late := day(r.below(20))
	if r.chance(0.15) {
		late = day(60 + r.below(200))
	}
	for i := range h.members {
		if p := &h.members[i]; p.in && p.alive && !p.apart && (h.holds(p) || i == 0) {
			h.writeCustomer(p, on, on+late, "moved")
		}
	}
	for i, n := 0, len(h.pol); i < n; i++ {
		q := &h.pol[i]
		p := &h.members[q.owner]
		if !q.active() || p.apart || q.line != contents && q.line != building {
			q.rate = 0
			continue
		}
		line, at := q.line, max(on, q.start+1)
		if (line == building && !h.owner) || r.chance(0.12) {
			h.end(q, at, endRiskGone)
			continue
		}
		if r.chance(0.5) { // a new number for the new address
			h.end(q, at, endReplaced)
			h.replace(p, line, at, q.carrier)
		}
	}
	head := &h.members[0]
	if h.owner {
		h.want(head, building, 0.3)
	}
	h.want(head, contents, 0.15)
	if h.holds(head) && !h.measure && r.chance(0.4) {
		h.contact(head, on, "in", "mutation", 0)
	}
}

func (h *household) birth(head *person) {
	h.kids++
	h.want(head, accident, 0.10)
	h.want(head, liability, 0.12)
	h.want(head, funeral, 0.06)
	for i := range h.pol {
		h.pol[i].rate = 0
	}
}

// divorce gives the second of a couple a household of their own.
func (h *household) divorce(p *person) {
	r := &h.r
	on := h.dayIn()
	p.apart = true
	h.groups++
	p.group = h.groups
	p.grief += 0.4 * r.unit()
	old := h.at
	h.at = newPlace(r, h.at.province)
	h.writeCustomer(p, on, on+day(10+r.below(80)), "household")
	h.at = old
	for i := range h.pol {
		q := &h.pol[i]
		if q.active() && (q.line == travel || q.line == legal) && r.chance(0.5) {
			h.end(q, max(on, q.start+1), endRiskGone)
		}
	}
	for _, b := range [...]int{contents, liability, travel} {
		h.want(p, b, 0.35)
	}
}

// death ends what a person held; the partner goes on with what covers the home.
func (h *household) death(p *person) {
	on := h.dayIn()
	p.alive = false
	var heir *person
	for i := range h.members {
		if q := &h.members[i]; q.alive && q.in && !q.apart && !p.apart {
			heir = q
			break
		}
	}
	for i, n := 0, len(h.pol); i < n; i++ {
		q := &h.pol[i]
		if q.owner != p.no || !q.active() {
			continue
		}
		line, carrier := q.line, q.carrier
		h.end(q, max(on, q.start+1), endDeath)
		if heir != nil && (line == contents || line == building || line == liability) && h.has[line] < 2 {
			h.replace(heir, line, max(on, h.pol[i].start+1), carrier)
		}
	}
}

// purchases lets a customer buy what it does not hold, looked at once a quarter.
func (h *household) purchases(p *person) {
	if !h.holds(p) {
		return
	}
	var own uint32
	for i := range h.pol {
		if q := &h.pol[i]; q.owner == p.no && q.active() {
			own |= 1 << q.line
		}
	}
	for _, b := range h.lines() {
		if own>>b&1 == 1 {
			continue
		}
		probability := min(3*h.w.form.buy(h, p, b), 0.9)
		if h.measure {
			p.fate.without[b] *= 1 - probability
			continue
		}
		if probability > 0 && coin(h.seed, h.who(2, p.no), h.m, coinBuy+b) < probability {
			h.buy(p, b)
		}
	}
}

// want is a purchase that a life event brings about, for one who holds something here.
func (h *household) want(p *person, b int, probability float64) {
	if p.elsewhere>>b&1 == 1 {
		probability *= 0.2
	}
	if !h.holds(p) || h.owns(p, b) {
		return
	}
	if h.measure {
		p.fate.without[b] *= 1 - probability
		return
	}
	if h.r.chance(probability) {
		h.buy(p, b)
	}
}

func (h *household) owns(p *person, b int) bool {
	for i := range h.pol {
		if q := &h.pol[i]; q.owner == p.no && q.line == b && q.active() {
			return true
		}
	}
	return false
}

func (h *household) buy(p *person, b int) {
	on := h.dayIn()
	if on <= p.joined {
		return
	}
	q := h.open(p, b, on, on, -1, "new")
	if h.flows != nil {
		h.flows[p.no][h.m-history].Opened++
		h.accrue(q, float64(h.w.edges[h.m+1]-on)/365.25)
	}
	p.elsewhere &^= 1 << b
	p.fate.bought |= 1 << b
	if h.r.chance(0.4) {
		h.contact(p, on, "in", "advice", 0)
	}
}
