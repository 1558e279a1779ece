package sample

import "math"

// lose has the policy's claims of the month.
func (h *household) lose(q *policy, p *person) {
	from, to := max(h.w.edges[h.m], q.start), h.w.edges[h.m+1]
	if !q.active() {
		to = min(to, q.end)
	}
	if to <= from {
		q.term(h.w.edges[h.m+1])
		return
	}
	if q.rate == 0 || h.m%12 == 0 {
		q.rate = h.w.form.claimRate(h, p, q)
		q.bad = h.w.form.severity(h, p, q)
	}
	share := float64(to-from) / 365.25
	h.accrue(q, share)
	if h.measure {
		q.exposure += share
		storms := stormClimate[h.at.province] * lines[q.line].storm * h.w.form.stormExposure(h, q)
		n := share * (q.rate + storms)
		q.expected += n
		q.loss += n * lines[q.line].severity * q.bad * h.w.inflation[h.m]
		q.term(h.w.edges[h.m+1])
		return
	}
	for range h.r.poisson(q.rate * share) {
		h.claim(q, p, from+day(h.r.below(int(to-from))), false)
	}
	if lines[q.line].storm > 0 {
		for _, s := range h.w.storms[h.at.province][h.m] {
			if s.on >= from && s.on < to && h.r.chance(min(s.intensity*lines[q.line].storm*h.w.form.stormExposure(h, q), 0.9)) {
				h.claim(q, p, s.on, true)
			}
		}
	}
	q.term(h.w.edges[h.m+1])
}

// body is the share of the mean that the lognormal body has to have, so that body and
// tail together have the branch's mean.
func (l *branch) body() float64 {
	tail := l.tail * paretoStart * paretoShape / (paretoShape - 1)
	return (1 - tail) / (1 - l.tail)
}

// claim is one claim, from loss to settlement, in as many versions as it takes.
func (h *household) claim(q *policy, p *person, on day, stormy bool) {
	r, l := &h.r, &lines[q.line]
	x := l.body() * r.lognormal(l.sigma)
	if r.chance(l.tail) {
		x = paretoStart * math.Pow(1-r.unit(), -1/paretoShape)
	}
	ultimate := cents(max(l.severity*q.bad*x*h.w.inflation[h.m], 10))
	fault := ""
	if q.line == motor || q.line == fleet {
		fault = "yes" // a liability claim: the insured caused it, as a rule
		if r.chance(0.12) {
			fault = "no"
		}
	}
	if fault != "no" && !stormy {
		q.atFault++
	}
	if h.m >= h.w.told {
		q.happened++
		q.happenedAmount += ultimate
	}
	h.claims++
	c := claim{no: h.claims, loss: on, cover: l.cover, fault: fault}
	if stormy {
		c.cover = "storm"
	}
	if fault != "" && x > 4 && h.w.form.lives() && r.chance(0.5) {
		c.fault = "" // contested where much is at stake
	}
	h.develop(&c, q, p, ultimate, x)
}

// claim is what the versions of a claim share.
type claim struct {
	no             int
	loss, reported day
	cover, fault   string
	shown          bool
}

// develop reports, reserves, pays, recovers and settles.
func (h *household) develop(c *claim, q *policy, p *person, ultimate, x float64) {
	r, l := &h.r, &lines[q.line]
	lag := r.exponential(9)
	if r.chance(0.05) {
		lag += r.exponential(150)
	}
	c.reported = c.loss + day(lag)
	duration := day(3 + r.exponential(l.slow)*math.Sqrt(min(max(x, 0.15), 9)))
	settled := c.reported + duration
	if h.w.form.lives() && duration > 120 {
		p.grief += 0.25 + 0.15*r.unit()
	}
	rejected := r.chance(0.045)
	if rejected && h.w.form.lives() {
		p.grief += 0.6
	}
	if !h.measure && r.chance(0.55) {
		h.contact(p, c.reported, "in", "claim", 0.2)
	}
	if h.flows != nil && !rejected && !healthOrLife[q.line] {
		net := ultimate
		if c.fault == "no" {
			net *= 1 - r.between(0.2, 0.9) // recovered, as below
		}
		h.flows[p.no][h.m-history].Loss += net
	}
	if h.out == nil {
		return
	}
	// The first reserve knows little, and since the break it is set lower.
	reserve := ultimate * r.lognormal(0.5)
	if h.m >= breakAt {
		reserve *= 0.88
	}
	recovered := 0.0
	if c.fault == "no" || q.line == fleet && r.chance(0.1) {
		recovered = cents(ultimate * r.between(0.2, 0.9))
	}
	paid := 0.0
	if duration > 10 {
		h.writeClaim(c, q, p, c.reported, 0, 0, math.Round(reserve/50)*50+50, 0, "open")
	}
	if duration > 90 {
		paid = cents(ultimate * r.between(0.2, 0.7))
		left := max(ultimate-paid, 0) * r.lognormal(0.25)
		h.writeClaim(c, q, p, c.reported+duration/2, 0, paid, math.Round(left/50)*50+50, 0, "open")
	}
	if rejected {
		h.writeClaim(c, q, p, settled, settled, paid, 0, 0, "rejected")
		return
	}
	h.writeClaim(c, q, p, settled, settled, ultimate, 0, 0, "closed")
	if recovered > 0 {
		h.writeClaim(c, q, p, settled+30+day(r.exponential(90)), settled, ultimate, 0, recovered, "closed")
	}
}
