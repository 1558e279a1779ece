package sample

import "math"

// How policies really end; what the administration writes may be another thing.
type ending uint8

const (
	notEnded ending = iota
	endLapse
	endInsurer
	endCarrier
	endRiskGone
	endDeath
	endReplaced
	endTransferred
)

var endCodes = [...]string{"", "customer", "non_payment", "carrier_left", "sold", "death", "replaced", "renumbered"}

// policy is one policy; its versions are written as they come about.
type policy struct {
	no      int
	owner   int // member of the household
	line    int
	carrier int
	start   day
	end     day // 0: none
	endedAt int // month
	why     ending
	renewal day  // the next one
	shown   bool // has a row

	premium    float64 // EUR a year
	offered    float64 // of the next term; 0: not announced
	offeredOn  day     // from when it would hold
	offerRow   day     // from when the last offer that was written holds
	lastRow    day     // when the last version was recorded
	change     float64 // the last change of premium
	changed    int     // the month it takes effect
	sum        int     // EUR
	deductible int     // EUR
	pay        int     // times a year
	mandated   bool
	commission float64

	size      float64 // engine power in kW, sum insured in thousands, vehicles of a fleet
	use       float64 // thousands of kilometres a year, or the year it was built
	year      int     // of the vehicle
	claimless float64 // years
	atFault   int     // claims since the last renewal
	hideUse   bool
	hideSum   bool

	rate float64 // claims a year, storms aside; 0: to be worked out again
	bad  float64 // factor on the mean claim

	// For the truth.
	stay           float64 // probability of not lapsing so far, while the relation stays
	kept           float64 // on a path: probability that the customer has not ended it so far, the relation's leaving included
	gone           float64 // probability that the customer ends it
	exposure       float64
	expected       float64 // claims
	loss           float64 // EUR, expected
	none           float64 // probability of no claim
	happened       int
	happenedAmount float64
}

func (q *policy) active() bool { return q.why == notEnded }

func (q *policy) endedIn(m int) bool { return q.why != notEnded && q.endedAt == m }

// open starts a policy; carrier −1 lets the customer choose.
func (h *household) open(p *person, line int, start, recorded day, carrier int, why string) *policy {
	r := &h.r
	h.policies++
	if carrier < 0 {
		carrier = r.pick(carrierShares)
		if carrier == leaving && h.m >= carrierExit-6 {
			carrier = 0
		}
	}
	h.pol = append(h.pol, policy{
		no: h.policies, owner: p.no, line: line, carrier: carrier, start: start, changed: -99, stay: 1, kept: 1,
		mandated: carrier >= 4 && line != funeral, pay: []int{1, 2, 4, 12}[r.pick([]float64{0.30, 0.05, 0.10, 0.55})],
	})
	q := &h.pol[len(h.pol)-1]
	h.describe(q, p)
	q.renewal = start.addMonths(12)
	for q.renewal <= recorded {
		q.renewal = q.renewal.addMonths(12)
	}
	q.premium = h.tariff(q, p)
	q.commission = float64([]int{12, 15, 18, 20, 22}[r.below(5)]) / 100
	h.writePolicy(q, p, max(start, recorded), recorded, why)
	return q
}

// describe draws what is insured.
func (h *household) describe(q *policy, p *person) {
	r := &h.r
	age := h.age(p)
	switch q.line {
	case motor:
		q.size = math.Round(min(85*r.lognormal(0.3), 350))
		q.use = math.Round(min(13*r.lognormal(0.5), 80))
		q.year = h.w.edges[h.m].year() - r.below(16)
		q.claimless = float64(min(r.below(max(age-18, 0)+1), 20))
		q.hideUse = r.chance(0.10 + 0.01*max(q.use-15, 0)) // who drives much prefers not to say
		q.deductible = []int{0, 150, 300}[r.below(3)]
	case contents:
		q.size = math.Round(min(50*r.lognormal(0.35), 400))
		q.sum = int(q.size) * 1000
		q.hideSum = r.chance(0.15)
	case building:
		q.size = math.Round(min(330*r.lognormal(0.35), 3000))
		q.sum, q.use = int(q.size)*1000, float64(1900+r.below(120))
	case property:
		q.size = math.Round(min(400*r.lognormal(0.9), 20000))
		q.sum, q.use = int(q.size)*1000, float64(1900+r.below(120))
		q.deductible = []int{500, 1000, 2500}[r.below(3)]
	case fleet:
		q.size = float64(2 + int(min(float64(p.staff), 60)*r.unit()*0.6))
	case liability, bizLiability:
		q.sum = []int{1250000, 2500000}[r.below(2)]
	case disability:
		q.sum = 12000 + 1000*r.below(40)
	default:
		q.size = 1
	}
}

// tariff is what the carrier asks: made of what it sees, not of what drives claims.
func (h *household) tariff(q *policy, p *person) float64 {
	l := &lines[q.line]
	s := 0.92 + 0.03*float64(q.carrier%5)
	age := h.age(p)
	switch q.line {
	case motor:
		s *= 0.55 + 0.5*q.size/85
		s *= 0.8 + 0.015*min(q.use, 30)
		s *= math.Pow(0.965, q.claimless)
		if age < 25 {
			s *= 1.7
		}
		s *= 1.1 + 0.25*(provinces[h.at.province].density-0.5)
	case contents, building, property:
		s *= 0.35 + 0.65*q.size/averageSize(q.line)
	case fleet:
		s *= q.size
	case bizLiability, cyber, absence:
		s *= 0.5 + float64(min(p.staff, 200))/10
	case disability, funeral:
		s *= 0.5 + float64(max(age-20, 0))/45
	}
	s *= h.r.lognormal(0.12)
	// Premiums are in money of the as-of date, lower before.
	return cents(l.premium * s * (0.7 + 0.3*h.w.inflation[h.m]))
}

func cents(x float64) float64 { return math.Round(x*100) / 100 }

// noticeDays is how long before a renewal its premium is announced.
const noticeDays = 60

// renew announces the next term's premium and reports whether the renewal falls in this
// month.
func (h *household) renew(q *policy, p *person) bool {
	next := h.w.edges[h.m+1]
	if q.offeredOn != q.renewal && q.renewal-noticeDays < next {
		h.announce(q, p)
	}
	if q.renewal >= next {
		return false
	}
	if q.offered > 0 {
		q.premium, q.offered = q.offered, 0
	}
	if q.change > 0.05 && h.w.form.lives() {
		p.grief += p.sense * (q.change - 0.05) * 2
	}
	return true
}

// announce sets the premium of the next term.
func (h *household) announce(q *policy, p *person) {
	q.offeredOn = q.renewal
	factor := 1 + h.w.tariff[q.carrier][q.line][h.m/12]
	if q.line == motor || q.line == fleet {
		if q.atFault > 0 {
			factor *= 1.16 + 0.1*float64(min(q.atFault-1, 2))
			q.claimless = max(q.claimless-5*float64(q.atFault), -5)
		} else {
			if q.claimless < 5 {
				factor *= 0.96
			}
			q.claimless++
		}
	} else if q.atFault > 1 {
		factor *= 1.10 // and the portfolio's manager looks at who claims twice
	}
	q.atFault = 0
	q.rate = 0
	q.changed = h.m
	for q.changed+1 < len(h.w.edges) && h.w.edges[q.changed+1] <= q.renewal {
		q.changed++
	}
	factor *= 1 + 0.006*h.r.normal()
	if abs(factor-1) < 0.04 { // not worth a letter
		q.change, q.offered = 0, 0
		return
	}
	q.offered = cents(q.premium * factor)
	q.change = q.offered/q.premium - 1
	h.writeOffer(q, p, max(h.w.edges[h.m], q.renewal-noticeDays))
}

// term moves the renewal on, once the policy has lived through it.
func (q *policy) term(next day) {
	if q.active() && q.renewal < next {
		q.renewal = q.renewal.addMonths(12)
	}
}

// end ends a policy and writes what the administration makes of it.
func (h *household) end(q *policy, on day, why ending) {
	q.end, q.why, q.endedAt = on, why, h.m
	p := &h.members[q.owner]
	if h.flows != nil && why == endLapse {
		h.flows[q.owner][h.m-history].Lapsed++
	}
	if h.out == nil {
		return
	}
	r := &h.r
	code := endCodes[why]
	u, v := r.unit(), r.unit()
	recorded := on - day(r.below(30))
	switch why {
	case endLapse:
		switch {
		case u < 0.03:
			code = "term"
		case u < 0.06:
			code = "other"
		case u < 0.25:
			code = "price"
		case u < 0.30:
			code = "service"
		}
	case endReplaced:
		if u < 0.5 {
			code = "customer"
		}
		recorded = on
	case endDeath:
		recorded = on + 5 + day(r.below(40))
		if u < 0.08 {
			code = "customer"
		}
	case endRiskGone:
		if u < 0.15 {
			code = "customer"
		}
		recorded = on + day(r.below(15))
	case endTransferred:
		recorded = on
	}
	if v < 0.12 && why != endTransferred { // heard or entered late
		recorded = on + day(20+r.below(100))
	}
	if !h.w.form.lives() {
		recorded = max(recorded, on) // notice given ahead would tell of what comes
	}
	h.writeEnd(q, p, recorded, code)
}

// replace opens a policy of the same branch in place of one that ended, under a new
// number and within 45 days.
func (h *household) replace(p *person, line int, ended day, carrier int) {
	gap := day(0)
	if h.r.chance(0.3) {
		gap = day(h.r.below(28))
	}
	h.open(p, line, ended+gap, ended+gap, carrier, "replacement")
}

// renumber carries a policy over to the carrier's new system.
func (h *household) renumber(q *policy) {
	on := h.w.edges[h.m]
	next := *q
	h.end(q, on, endTransferred)
	h.policies++
	next.no = h.policies
	next.start, next.lastRow, next.offerRow = on, 0, 0
	h.pol = append(h.pol, next)
	n := &h.pol[len(h.pol)-1]
	p := &h.members[n.owner]
	h.writePolicy(n, p, on, on, "renumbered")
	if n.offered > 0 {
		h.writeOffer(n, p, on)
	}
}
