package sample

// Where a customer came from.
const (
	direct = iota
	broker
	fromAcquisition
)

var origins = [...]string{"direct", "broker", "acquisition"}

// Streams of a household's numbers: sizes are known before anything is simulated.
const (
	streamSize = iota + 1
	streamLife
	streamPaths
	streamFutures
)

// person is a customer: a natural person or a company.
type person struct {
	no         int // within the household
	group      int // which household id; 0 is the first
	born       int // year
	joinMonth  int
	joined     day
	since      day // first policy
	office     int
	advisor    int
	origin     int
	legalForm  string
	staff      int
	consent    string
	objects    bool
	hideBirth  int // 0 shown, 1 empty, 2 the system's default
	hideLetter bool
	selfMade   bool // self-employed
	duplicate  bool // the same person as the first of the household, under another id
	emit       bool // below the asked number of customers
	shown      bool // has a row
	alive      bool
	apart      bool // has left the household
	in         bool // has joined

	// What no table shows.
	frailty   float64 // lasting, multiplies claims; mean 1
	sense     float64 // to premiums; mean 1
	drive     float64 // to buy; mean 1
	temper    float64 // how soon displeased; mean 1
	grief     float64 // dissatisfaction, 0 and up
	elsewhere uint32  // branches held with somebody else
	reach     float64 // factor on leaving after that contact
	called    int     // month of the last contact that we sought
	heard     int     // month of the last contact

	lastRow day // when its last row was recorded
	fate    fate
}

// quiet is the months without a contact.
func (p *person) quiet(m int) int { return m - p.heard }

// household is a private household or a company group: what is simulated together.
type household struct {
	w        *world
	r        draw
	no       uint64
	seed     uint64
	business bool
	sector   int // of a business: 0 crafts, 1 care, 2 trade, 3 services
	at       place
	frailty  float64
	owner    bool
	kids     int
	groups   int
	members  []person
	pol      []policy
	policies int // ids given out
	claims   int
	m        int // the month

	held  int           // policies in force
	has   [branches]int // of each branch
	worst float64       // the largest recent rise of a premium

	out     *rows    // nil: nothing is written
	measure bool     // add up probabilities and let nobody lapse or buy
	flows   [][]Flow // of a drawn future, by member and month; nil: not added up
}

// sizeOf is how many customers household no has, and whether it is of businesses.
func sizeOf(seed, no uint64) (persons int, business, duplicate bool) {
	r := newDraw(seed^streamSize<<56, no)
	business = r.chance(0.12)
	weights := []float64{0.60, 0.31, 0.09}
	if business {
		weights = []float64{0.82, 0.13, 0.05}
	}
	persons = 1 + r.pick(weights)
	if !business && r.chance(0.02) {
		duplicate = true
		persons++
	}
	return persons, business, duplicate
}

// start draws a household as it stands when the clock starts.
func (h *household) start(w *world, no uint64, emit int, out *rows) {
	n, business, duplicate := sizeOf(w.seed, no)
	members, pol := h.members[:0], h.pol[:0]
	*h = household{w: w, r: newDraw(w.seed^streamLife<<56, no), no: no, seed: w.seed, business: business, out: out, members: members, pol: pol}
	r := &h.r
	h.at = newPlace(r, r.pick(provinceShares))
	h.frailty = r.lognormal(0.30)
	h.sector = r.below(4)
	acquired := r.chance(0.09)
	joined := -1
	if r.chance(0.38) {
		joined = r.below(history)
	}
	if acquired {
		joined = acquiredAt
	}
	head := 22 + int(62*r.unit()*(0.4+0.6*r.unit()))
	h.owner = r.chance(min(0.1+float64(head-20)*0.018, 0.72)) && !business
	if !business && head >= 27 && head < 56 && n > 1 {
		h.kids = r.pick([]float64{0.35, 0.25, 0.28, 0.12})
	}
	office, advisor := r.below(offices), r.below(4)
	for k := range n {
		p := person{
			no: k, emit: k < emit, alive: true, joinMonth: joined, office: office, advisor: advisor,
			frailty: r.lognormal(0.45), sense: r.lognormal(0.55), drive: r.lognormal(0.5), temper: r.lognormal(0.8), grief: r.exponential(0.2),
			called: -99, heard: -r.below(30), selfMade: r.chance(0.09),
		}
		age := head
		if k > 0 {
			age = max(18, head-4+r.below(8))
			if k > 1 && !business { // a grown child
				age = max(18, head-26-r.below(6))
			}
			if joined < history-2 && r.chance(0.3) {
				p.joinMonth = max(joined, r.below(history-1))
			}
		}
		p.born = w.edges[0].year() + 3 - age
		h.dress(&p, acquired)
		if business {
			p.born, p.selfMade = 0, false
			p.staff = 1 + int(5*r.lognormal(1.1))
			p.legalForm = []string{"bv", "eenmanszaak", "vof", "stichting"}[r.pick([]float64{0.5, 0.32, 0.13, 0.05})]
		}
		if duplicate && k == n-1 {
			h.twin(&p)
		}
		h.members = append(h.members, p)
	}
	if business {
		h.kids, h.owner = 0, false
	}
}

// twin makes a customer the first one once more, as a second registration does.
func (h *household) twin(p *person) {
	first := h.members[0]
	p.duplicate = true
	p.born, p.frailty, p.sense, p.selfMade = first.born, first.frailty, first.sense, first.selfMade
	p.joinMonth = min(max(first.joinMonth, 0)+h.r.below(20), history-1)
	p.hideBirth = 0
}

// dress draws what the administration knows and does not know. What is missing is not
// missing at random: it goes with age, with origin and, hidden, with carelessness.
func (h *household) dress(p *person, acquired bool) {
	r := &h.r
	p.origin = direct
	if r.chance(0.25) {
		p.origin = broker
	}
	none, standard := 0.02, 0.01
	if acquired {
		p.origin = fromAcquisition
		none, standard = 0.10, 0.12
		p.hideLetter = r.chance(0.6)
	}
	if p.frailty > 1.5 && h.w.form.lives() {
		none *= 3 // who reports little of himself claims more
	}
	switch u := r.unit(); {
	case u < none:
		p.hideBirth = 1
	case u < none+standard:
		p.hideBirth = 2
	}
	p.hideLetter = p.hideLetter || r.chance(0.05)
	for _, b := range h.lines() {
		if r.chance(lines[b].elsewhere) {
			p.elsewhere |= 1 << b
		}
	}
	switch u := r.unit(); {
	case u < 0.45:
		p.consent = "marketing:email:yes:web:"
	case u < 0.55:
		p.consent = "marketing:email:no:phone:"
	}
	p.objects = r.chance(0.012)
}

// lines are the branches that it can hold.
func (h *household) lines() []int {
	switch {
	case h.business && !h.w.form.lives():
		return nullLines
	case h.business:
		return businessLines
	}
	return privateLines
}

func (h *household) age(p *person) int {
	if p.born == 0 {
		return 45 // of a business nobody asks
	}
	return h.w.edges[h.m].year() - p.born
}

// tenure is months since the first policy.
func (h *household) tenure(p *person) int { return int(h.w.edges[h.m]-p.since) / 30 }

// strain is the dissatisfaction that decides on the relation: the worst of those who
// live together.
func (h *household) strain(p *person) float64 {
	if p.apart {
		return p.grief
	}
	d := 0.0
	for i := range h.members {
		if q := &h.members[i]; q.in && q.alive && !q.apart {
			d = max(d, q.grief)
		}
	}
	return d
}

// need is how much a customer has use for a branch; 0 for none.
func (h *household) need(p *person, b int) float64 {
	age := h.age(p)
	if h.business {
		switch b {
		case property, bizLiability, legal:
			return 1
		case interruption:
			return 0.5 + 0.5*float64(min(h.has[property], 1))
		case fleet, transport:
			if h.sector == 0 || h.sector == 2 {
				return 1
			}
			return 0.3
		case cyber:
			return 0.4 + 0.1*float64(max(h.m, 0))/12
		case absence:
			if p.staff >= 3 {
				return 1.2
			}
		case disability:
			return 0.5
		}
		return 0
	}
	if p.no > 0 && !p.apart && (b == contents || b == building || b == liability || b == travel) && !p.duplicate {
		return 0 // the first of a household holds what covers all
	}
	switch b {
	case motor, legal, travel:
		return 1
	case liability, contents:
		return 1.2
	case building:
		if h.owner {
			return 1.4
		}
	case accident:
		return 0.4 + 0.5*float64(h.kids)
	case pet:
		return 0.7
	case boat:
		if h.at.y > 0.6 {
			return 1.3
		}
		return 0.4
	case disability:
		if p.selfMade && age < 62 {
			return 2.5
		}
	case funeral:
		if age > 40 {
			return 1.2
		}
		return 0.4
	}
	return 0
}

// count refreshes what is in force.
func (h *household) count() {
	h.held, h.worst = 0, 0
	clear(h.has[:])
	for i := range h.pol {
		if q := &h.pol[i]; q.active() {
			h.held++
			h.has[q.line]++
			if h.m-q.changed <= 2 && h.m >= q.changed-1 {
				h.worst = max(h.worst, q.change)
			}
		}
	}
}
