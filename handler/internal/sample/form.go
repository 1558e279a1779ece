package sample

// form is how causes work on outcomes: what differs between the worlds. Everything else
// (the clock, the tables, how an administration records) is shared.
type form interface {
	// claimRate is the claims a year of a policy, storms aside.
	claimRate(h *household, p *person, q *policy) float64
	// stormExposure multiplies the claims per storm.
	stormExposure(h *household, q *policy) float64
	// severity multiplies the branch's mean claim.
	severity(h *household, p *person, q *policy) float64
	// leave is the probability that, this month, the relation takes everything elsewhere.
	leave(h *household, p *person) float64
	// lapse is the probability that the customer ends the policy this month; renewing
	// says that its renewal falls in it.
	lapse(h *household, p *person, q *policy, renewing bool) float64
	// buy is the probability of buying a branch that is not held, per month.
	buy(h *household, p *person, b int) float64
	// reached multiplies leave and lapse in the six months after a contact.
	reached(h *household, p *person) float64
	// unease is what a month adds to a customer's hidden dissatisfaction.
	unease(h *household, p *person) float64
	// lives is false where no life event happens.
	lives() bool
}

// formA: products of thresholds and saturating responses, with effects of three causes
// at once. None of it is a sum of functions of one or two columns on a link scale.
type formA struct{}

func (formA) lives() bool { return true }

func (formA) claimRate(h *household, p *person, q *policy) float64 {
	age, s := h.age(p), 1.0
	years := float64(h.m-history) / 12
	switch q.line {
	case motor:
		switch {
		case age < 24:
			s = 1.8
		case age < 30:
			s = 1.25
		case age > 75 && q.use > 12: // old, and still driving much
			s = 1.6
		}
		if age < 28 && q.size > 95 && h.at.density > 0.6 {
			s *= 1.9
		}
		use := min(q.use, 35)
		if h.m >= breakAt && use > 20 {
			use *= 0.7 // those who commute work from home since
		}
		s *= 0.55 + 0.035*use
		if q.size > 110 {
			s *= 1 + 0.03*(years+6)
		}
		s *= 1 + 0.5*h.at.hazard
	case liability:
		s = 1 + 0.35*float64(h.kids)
		if h.kids > 0 && h.has[pet] > 0 {
			s *= 1.4
		}
	case contents:
		s = 1 + 0.6*h.at.hazard
		if h.at.density > 0.75 && !h.owner && q.size > 60 {
			s *= 2 // much to take, easily entered, in town
		}
	case building:
		if q.use < 1945 {
			s = 1.5
		}
		s *= 0.8 + 0.4*min(q.size/350, 2)
		if q.use < 1975 && h.at.x < 0.35 && h.m >= breakAt {
			s *= 1.5 // subsidence after dry summers, in the west
		}
	case travel:
		s = 0.7 + 0.25*float64(h.kids)
		if age < 32 && h.kids == 0 {
			s = 1.7
		}
	case legal:
		s = 0.8
		if h.at.density > 0.7 && age > 35 && age < 60 {
			s = 1.5
		}
	case disability:
		s = 0.4 + max(0, float64(age-30))*max(0, float64(age-30))/400
	case pet:
		s = 0.6 + 0.12*max(0, years+6)
	case fleet:
		s = q.size * (0.8 + 0.4*h.at.density)
	case property, interruption:
		s = 0.7 + 0.3*min(q.size/400, 3)
		if h.sector == 0 && q.use < 1980 {
			s *= 1.7
		}
	case bizLiability, absence, cyber:
		s = 0.5 + 0.5*min(float64(p.staff)/8, 4)
		if h.sector == 1 && p.staff > 10 && q.line == absence {
			s *= 1.5
		}
	}
	s *= p.frailty * h.frailty
	return lines[q.line].frequency * 1.19 * s / (1 + 0.12*s)
}

func (formA) stormExposure(h *household, q *policy) float64 {
	if h.at.x < 0.3 && q.line == building && q.use < 1960 {
		return 2.5
	}
	return 0.8
}

func (formA) severity(h *household, p *person, q *policy) float64 {
	s := 1.0
	switch q.line {
	case motor:
		s = 0.75 + 0.3*min(q.size/80, 2)
		if h.at.density < 0.3 {
			s *= 1.25 // faster roads
		}
	case contents, building, property:
		s = 0.6 + 0.4*min(q.size/averageSize(q.line), 3)
	}
	return s
}

func (formA) leave(h *household, p *person) float64 {
	d, age := h.strain(p), h.age(p)
	s := 1 + 3*d*d/(1+d)
	if age < 32 && !h.owner {
		s *= 1.6
	}
	switch n := h.held; {
	case n <= 1:
		s *= 1.7
	case n >= 5:
		s *= 0.45
	}
	if h.worst > 0.08 && d > 0.8 && h.held <= 2 { // dearer, displeased and hardly tied
		s *= 2.4
	}
	if h.tenure(p) > 96 {
		s *= 0.6
	}
	return 0.0022 * s
}

func (formA) lapse(h *household, p *person, q *policy, renewing bool) float64 {
	s := 1 + 1.5*p.grief
	if age := h.age(p); age < 30 {
		s *= 1.5
	} else if age > 64 {
		s *= 0.65
	}
	rise := 0.0
	if h.m-q.changed <= 2 && h.m >= q.changed-1 {
		rise = q.change
	}
	if rise > 0.02 {
		sense := p.sense
		if h.m >= breakAt {
			sense *= 1.35
		}
		s *= 1 + sense*12*(rise-0.02)
		if rise > 0.09 {
			s *= 1.8
		}
	}
	switch months := int(h.w.edges[h.m]-q.start) / 30; {
	case months < 12 && !renewing:
		return 0 // the first term binds
	case months < 30:
		s *= 1.5
	case months > 90:
		s *= 0.65
	}
	if lines[q.line].essential {
		s *= 0.8
	}
	if renewing {
		s *= 3
	}
	return min(0.0041*s, 0.6)
}

func (formA) buy(h *household, p *person, b int) float64 {
	s := h.need(p, b)
	if s == 0 {
		return 0
	}
	if p.elsewhere>>b&1 == 1 {
		s *= 0.06
	}
	s *= p.drive / (1 + p.grief*p.grief)
	if h.held >= 2 && h.held <= 5 && h.m-p.called <= 6 {
		s *= 1.8
	}
	if b == accident && h.kids > 0 && h.has[travel] > 0 && h.age(p) < 45 {
		s *= 2.5
	}
	return lines[b].appetite / 12 * s
}

func (formA) reached(h *household, p *person) float64 {
	switch {
	case p.grief > 0.7:
		return 0.55 // a call repairs
	case p.sense > 1.3 && p.quiet(h.m) > 18:
		return 1.4 // sleeping dogs: the call reminds them to compare
	case p.sense > 1.3:
		return 0.75
	}
	return 0.95
}

func (formA) unease(h *household, p *person) float64 {
	add := 0.012 * p.temper * (1 - h.w.quality[p.office])
	if p.origin == fromAcquisition && h.m >= acquiredAt && h.m < acquiredAt+12 {
		add += 0.05
	}
	return max(add, 0)
}

// formB: sums of hazards, oblique splits, cycles and maxima: other marginal effects and
// other signs, with the same tables.
type formB struct{}

func (formB) lives() bool { return true }

func (formB) claimRate(h *household, p *person, q *policy) float64 {
	f := lines[q.line].frequency
	age := float64(h.age(p))
	s := 0.35 + 0.3*p.frailty*p.frailty + 0.25*h.frailty
	size := q.size / averageSize(q.line)
	switch q.line {
	case motor:
		if age+1.5*q.use < 62 { // an oblique split, where the other world has boxes
			s += 0.35
		}
		s += 0.25 * abs(size-1)
		s += 0.15 * (1 - h.at.density)
	case fleet:
		s += q.size
	case bizLiability, absence, cyber:
		s += 0.25 * max(float64(p.staff)/10, 3*h.at.density)
	default:
		s += 0.2 * max(size, h.at.y*2)
		if (int(age)/7)%2 == 0 { // waves over the years of life
			s += 0.25
		}
	}
	if h.m >= breakAt {
		s += 0.2 * (h.at.x - 0.5)
	}
	return 0.82 * f * max(s, 0.05)
}

func (formB) stormExposure(h *household, _ *policy) float64 { return 0.5 + h.at.y }

func (formB) severity(h *household, p *person, q *policy) float64 {
	return 0.8 + 0.6*abs(h.at.y-0.5) + 0.15*min(p.sense, 3)
}

func (formB) leave(h *household, p *person) float64 {
	s := 0.0022 + 0.0022*h.strain(p) + 0.0006*abs(float64(h.age(p))-48)/12
	if h.held%2 == 1 {
		s += 0.0008
	}
	return s + 0.0012*max(h.at.x-0.6, 0)*float64(min(h.held, 6))
}

func (formB) lapse(h *household, p *person, q *policy, renewing bool) float64 {
	months := int(h.w.edges[h.m]-q.start) / 30
	if months < 12 && !renewing {
		return 0
	}
	s := 0.0030 + 0.002*p.grief
	if h.m-q.changed <= 2 && h.m >= q.changed-1 {
		s += 0.10 * p.sense * abs(q.change) // any change wakes them
	}
	if renewing {
		s += 0.018 * min(2, 0.4+float64(months)/60) // older policies are shopped around more
	}
	return min(s+0.002*q.claimless/12, 0.6)
}

func (formB) buy(h *household, p *person, b int) float64 {
	if h.need(p, b) == 0 {
		return 0
	}
	s := 0.2 + 0.5*p.drive + 0.3*float64(h.held%3)
	if p.elsewhere>>b&1 == 1 {
		s *= 0.15
	}
	return lines[b].appetite / 12 * s
}

func (formB) reached(_ *household, p *person) float64 {
	return min(max(1.3-0.5*p.drive, 0.6), 1.2)
}

func (formB) unease(h *household, p *person) float64 {
	return max(0.008+0.015*(h.at.density-h.w.quality[p.office]), 0) * p.temper
}

// formNull: one rate for all. Branches, premiums and pasts say nothing of what comes.
type formNull struct{}

func (formNull) lives() bool                                    { return false }
func (formNull) claimRate(*household, *person, *policy) float64 { return 0.08 }
func (formNull) stormExposure(*household, *policy) float64      { return 0 }
func (formNull) severity(_ *household, _ *person, q *policy) float64 {
	return 1000 / lines[q.line].severity
}
func (formNull) leave(*household, *person) float64                { return 0.0115 }
func (formNull) lapse(*household, *person, *policy, bool) float64 { return 0 }

// buy is for one of a relation, the first who holds anything: two would buy twice as often,
// and nobody would of a household whose first is not there.
func (formNull) buy(h *household, p *person, _ int) float64 {
	for i := range h.members[:p.no] {
		if q := &h.members[i]; !p.duplicate && !q.duplicate && h.holds(q) {
			return 0
		}
	}
	return 0.003
}

func (formNull) reached(*household, *person) float64 { return 1 }
func (formNull) unease(*household, *person) float64  { return 0 }

func abs(x float64) float64 { return max(x, -x) }

// averageSize is the middle of policy.size of a branch.
func averageSize(line int) float64 {
	switch line {
	case motor:
		return 85
	case contents:
		return 50
	case building:
		return 330
	case property:
		return 400
	}
	return 1
}
