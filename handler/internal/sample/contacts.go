package sample

// Contacts a month.
const (
	ordinary  = 0.040 // a customer with a question
	outreach  = 0.008 // the intermediary, unasked
	complains = 0.045 // at a dissatisfaction of 1
	forgets   = 0.95  // of dissatisfaction, by month
)

// feel lets dissatisfaction grow, fade and speak.
func (h *household) feel(p *person) {
	f := h.w.form
	if f.lives() {
		p.grief = p.grief*forgets + f.unease(h, p)
	}
	if !h.holds(p) {
		return
	}
	r := &h.r
	u := r.unit()
	speak := 0.0
	if f.lives() {
		speak = complains * p.grief * p.grief / (0.4 + p.grief)
		if r.chance(0.006) { // something goes wrong
			p.grief += 0.4 + 0.8*r.unit()
		}
	}
	switch {
	case u < speak:
		h.complain(p)
	case u < speak+ordinary*(1+0.6*min(p.grief, 2)):
		h.contact(p, h.dayIn(), "in", []string{"question", "mutation", "invoice", "document"}[r.below(4)], 0.15-p.grief)
	case u > 1-outreach:
		h.contact(p, h.dayIn(), "out", "review", 0.3-0.5*p.grief)
		h.touch(p)
	}
}

// touch starts the effect of a contact that we sought.
func (h *household) touch(p *person) {
	p.reach = h.w.form.reached(h, p)
	p.called = h.m
}

// complain is a complaint: resolved, or not, as the office is.
func (h *household) complain(p *person) {
	r := &h.r
	on := h.dayIn()
	resolved := day(0)
	if r.chance(min(max(0.62+0.25*h.w.quality[p.office], 0.1), 0.95)) {
		resolved = on + 1 + day(r.exponential(14))
		p.grief *= 0.4
	} else {
		p.grief += 0.7
	}
	h.writeContact(p, on, "in", "complaint", resolved, max(-0.35-0.4*r.unit(), -1), r.chance(0.8))
	p.heard = h.m
	if r.chance(0.3) { // and somebody calls back: contacts go to those who are displeased
		h.writeContact(p, on+2, "out", "callback", 0, 0, false)
		h.touch(p)
	}
}

// contact is any other contact; mood is around what is felt. What is felt is noted more
// often where it is bad.
func (h *household) contact(p *person, on day, direction, reason string, mood float64) {
	r := &h.r
	mood = min(max(mood+0.3*r.normal(), -1), 1)
	noted := 0.35
	if mood < -0.2 && h.w.form.lives() {
		noted = 0.7
	}
	h.writeContact(p, on, direction, reason, 0, mood, r.chance(noted))
	p.heard = h.m
}
