package sample

import (
	"math"
	"slices"
)

// The book's clock: months before the as-of date that are simulated, and months after
// it that are only known to the truth.
const (
	history = 72
	future  = 12
)

// Things that happen to the whole book, in months of the clock.
const (
	acquiredAt  = 30 // another intermediary's book is taken over
	renumberAt  = 21 // a carrier moves to a new system: every policy gets a new number
	carrierExit = 47 // a carrier leaves: its policies end at their next renewal
	breakAt     = 43 // the regime break: fewer kilometres, customers who compare more
)

const (
	renumbering = 2 // the carrier that renumbers
	leaving     = 6 // the carrier that leaves
)

// branch is a line of business. Frequencies and severities follow published orders of
// magnitude: motor liability 0.139 claims a year with a mean of 1,309 EUR (Belgian motor
// book 1997, bemtpl97); the others are chosen to give loss ratios between 40% and 70%.
type branch struct {
	name      string
	essential bool
	frequency float64 // claims a year at average risk
	severity  float64 // EUR, mean claim in money of the as-of date
	sigma     float64 // of the lognormal body
	tail      float64 // share of claims from the Pareto tail
	premium   float64 // EUR a year at average risk
	appetite  float64 // purchases a year of a customer who needs it and has it nowhere
	elsewhere float64 // share of customers who hold it with somebody else
	cover     string  // what its claims are called
	storm     float64 // claims per policy on a storm day of intensity 1
	slow      float64 // days between report and settlement of an average claim
}

// Places of branches in the table below.
const (
	motor = iota
	liability
	contents
	building
	legal
	travel
	accident
	pet
	boat
	disability
	funeral
	property
	bizLiability
	interruption
	fleet
	transport
	cyber
	absence
	branches
)

var lines = [branches]branch{
	motor:        {"motor", true, 0.139, 1360, 1.0, 0.012, 302, 0.10, 0.30, "liability", 0.0010, 70},
	liability:    {"liability", true, 0.040, 620, 0.9, 0.006, 36, 0.11, 0.25, "liability", 0, 60},
	contents:     {"contents", true, 0.055, 880, 1.0, 0.010, 96, 0.10, 0.30, "water", 0.0030, 35},
	building:     {"building", true, 0.050, 1900, 1.1, 0.020, 180, 0.08, 0.35, "water", 0.0110, 45},
	legal:        {"legal", false, 0.045, 1500, 0.8, 0.004, 110, 0.05, 0.20, "advice", 0, 160},
	travel:       {"travel", false, 0.085, 330, 0.9, 0.010, 45, 0.09, 0.35, "luggage", 0, 20},
	accident:     {"accident", false, 0.012, 2600, 1.0, 0.020, 41, 0.04, 0.15, "injury", 0, 120},
	pet:          {"pet", false, 0.320, 340, 0.7, 0.002, 133, 0.03, 0.10, "vet", 0, 12},
	boat:         {"boat", false, 0.040, 1700, 1.0, 0.010, 104, 0.02, 0.06, "hull", 0.0060, 50},
	disability:   {"disability", false, 0.030, 14000, 1.1, 0.020, 870, 0.05, 0.12, "income", 0, 320},
	funeral:      {"funeral", false, 0.002, 6500, 0.3, 0, 81, 0.02, 0.45, "funeral", 0, 10},
	property:     {"business_property", true, 0.055, 6200, 1.3, 0.020, 551, 0.10, 0.20, "fire", 0.0090, 90},
	bizLiability: {"business_liability", true, 0.065, 4300, 1.3, 0.015, 418, 0.11, 0.20, "liability", 0, 200},
	interruption: {"business_interruption", false, 0.015, 9500, 1.1, 0.010, 220, 0.06, 0.15, "interruption", 0.0008, 180},
	fleet:        {"fleet", true, 0.140, 1500, 1.0, 0.010, 278, 0.05, 0.15, "liability", 0.0010, 70},
	transport:    {"transport", false, 0.100, 2300, 1.0, 0.010, 371, 0.03, 0.10, "cargo", 0, 60},
	cyber:        {"cyber", false, 0.025, 7800, 1.2, 0.020, 244, 0.06, 0.08, "incident", 0, 90},
	absence:      {"absence", false, 0.180, 5200, 0.9, 0.006, 986, 0.06, 0.20, "sickness", 0, 150},
}

// What private customers and businesses can hold.
var (
	privateLines  = []int{motor, liability, contents, building, legal, travel, accident, pet, boat, disability, funeral}
	businessLines = []int{property, bizLiability, interruption, fleet, transport, cyber, absence, legal, disability}
	// In the null world businesses buy motor, like all others: it is offered to them.
	nullLines = append(slices.Clone(businessLines), motor)
)

// paretoShape is the tail's: finite mean and, just, variance.
const paretoShape = 2.2

// paretoStart is where the tail begins, in mean claims.
const paretoStart = 6.0

// province has rough coordinates on the unit square (east, north), its share of the
// population, how built-up it is, and the first and last two digits of its postcodes.
type province struct {
	name           string
	share, x, y    float64
	density        float64
	firstPC, endPC int
}

var provinces = [...]province{
	{"Groningen", 0.034, 0.78, 0.95, 0.35, 96, 100},
	{"Friesland", 0.037, 0.56, 0.92, 0.25, 84, 93},
	{"Drenthe", 0.028, 0.80, 0.80, 0.20, 93, 96},
	{"Overijssel", 0.066, 0.82, 0.62, 0.40, 74, 82},
	{"Flevoland", 0.025, 0.55, 0.66, 0.45, 82, 84},
	{"Gelderland", 0.120, 0.70, 0.48, 0.45, 65, 74},
	{"Utrecht", 0.078, 0.48, 0.50, 0.70, 34, 40},
	{"Noord-Holland", 0.165, 0.38, 0.70, 0.80, 10, 22},
	{"Zuid-Holland", 0.214, 0.28, 0.45, 0.90, 22, 34},
	{"Zeeland", 0.022, 0.08, 0.22, 0.20, 43, 46},
	{"Noord-Brabant", 0.147, 0.48, 0.25, 0.50, 46, 58},
	{"Limburg", 0.064, 0.75, 0.12, 0.50, 58, 65},
}

var provinceShares = func() (out []float64) {
	for _, p := range provinces {
		out = append(out, p.share)
	}
	return out
}()

// carriers are made names.
var carriers = [...]string{"Duinrand", "Waterwolf", "Oostlicht", "Merenhof", "Hanzepoort", "Kruidberg", "Zilverduin", "Polderkracht"}

var carrierShares = []float64{0.22, 0.17, 0.15, 0.12, 0.11, 0.09, 0.08, 0.06}

const offices = 6

// storm is a day on which a region is hit.
type storm struct {
	on        day
	intensity float64
}

// world is what the whole book shares: drawn once from the seed, then only read.
type world struct {
	form      form
	seed      uint64
	asOf      day
	told      int       // the month before which the truth is told
	edges     []day     // the first day of each month of the clock, and the day after the last
	inflation []float64 // of claims by month, 1 at the as-of date
	// tariff is the change of a carrier's premium for a branch in a calendar year of the
	// clock, from outside: inflation, results, strategy.
	tariff  [len(carriers)][branches][]float64
	storms  [len(provinces)][][]storm // by month
	quality [offices]float64          // of service, hidden; 0 is average
}

// stormsAYear and stormMean are the process that storms come from.
const (
	stormsAYear = 2.4
	stormMean   = 1.0
)

func newWorld(seed uint64, asOf day, f form) *world {
	w := &world{form: f, seed: seed, asOf: asOf, told: history}
	const months = history + future
	w.edges = makeEdges(asOf, months)
	d := newDraw(seed, 0x776f726c64)
	w.makeInflation(months)
	for c := range carriers {
		for b := range lines {
			for y := range months/12 + 1 {
				w.tariff[c][b] = append(w.tariff[c][b], tariffChange(&d, y))
			}
		}
	}
	for o := range w.quality {
		w.quality[o] = 0.5 * d.normal()
	}
	w.makeStorms(&d, 0, months)
	return w
}

// continued is a world with the same past and so many months of a future of its own: what
// carriers ask, how claims are inflated and where storms pass is drawn anew.
func (w *world) continued(months int, no uint64) *world {
	c := *w
	d := newDraw(w.seed, 0x667574757265+no<<32)
	c.edges = makeEdges(w.asOf, history+months)
	c.makeInflation(history + months)
	for i := range carriers {
		for b := range lines {
			c.tariff[i][b] = slices.Clone(w.tariff[i][b][:history/12])
			for y := history / 12; y <= (history+months)/12; y++ {
				c.tariff[i][b] = append(c.tariff[i][b], tariffChange(&d, y))
			}
		}
	}
	for i := range c.storms {
		c.storms[i] = slices.Clone(w.storms[i][:history])
	}
	c.makeStorms(&d, history, history+months)
	return &c
}

func makeEdges(asOf day, months int) (edges []day) {
	for m := range months + 1 {
		edges = append(edges, (asOf + 1).addMonths(m-history))
	}
	return edges
}

// makeInflation gives claims 3% a year, and 9% in the fourth year of the clock.
func (w *world) makeInflation(months int) {
	w.inflation = make([]float64, months)
	level := 1.0
	for m := range w.inflation {
		rate := 0.03
		if m >= 36 && m < 48 {
			rate = 0.09
		}
		level *= 1 + rate/12
		w.inflation[m] = level
	}
	asOf := w.inflation[history-1]
	for m := range w.inflation {
		w.inflation[m] /= asOf
	}
}

// tariffChange leaves a tariff alone in two years of three, as carriers do.
func tariffChange(d *draw, year int) float64 {
	u, noise := d.unit(), d.normal()
	if u < 0.66 {
		return 0
	}
	change := 0.075 + 0.05*noise
	if year == 4 { // the year after claims inflation peaked
		change += 0.05
	}
	return min(max(change, -0.08), 0.25)
}

// makeStorms draws days of storm. Each has a centre and fades with distance, so that
// neighbouring provinces are hit together.
func (w *world) makeStorms(d *draw, from, until int) {
	for m := from; m < until; m++ {
		for i := range w.storms {
			w.storms[i] = append(w.storms[i], nil)
		}
		_, month, _ := w.edges[m].ymd()
		season := 0.4
		if month >= 10 || month <= 3 {
			season = 1.6
		}
		for range d.poisson(stormsAYear / 12 * season) {
			length := int(w.edges[m+1] - w.edges[m])
			on := w.edges[m] + day(d.below(length))
			x, y, force := d.unit(), d.unit(), d.exponential(stormMean)
			for i, p := range provinces {
				if s := force * stormReach(p.x-x, p.y-y); s > 0.02 {
					w.storms[i][m] = append(w.storms[i][m], storm{on, s})
				}
			}
		}
	}
}

func stormReach(dx, dy float64) float64 { return math.Exp(-(dx*dx + dy*dy) / 0.12) }

// stormClimate is the mean of the sum of intensities a year in each province: what the
// truth expects, not knowing next year's storms.
var stormClimate = func() (out [len(provinces)]float64) {
	const grid = 40
	for i, p := range provinces {
		for a := range grid {
			for b := range grid {
				s := stormReach(p.x-(float64(a)+0.5)/grid, p.y-(float64(b)+0.5)/grid)
				// An intensity below 0.02 is no storm: the mean of the rest of an exponential.
				cut := 0.02 / (s * stormMean)
				out[i] += s * stormMean * (1 + cut) * math.Exp(-cut) / (grid * grid)
			}
		}
		out[i] *= stormsAYear
	}
	return out
}()

// place is where a household lives or a business stands.
type place struct {
	province int
	x, y     float64
	postcode int
	letters  [2]byte
	density  float64
	hazard   float64 // the smooth geography of claims, around 0
}

func newPlace(d *draw, province int) place {
	p := provinces[province]
	dx, dy := d.between(-0.5, 0.5), d.between(-0.5, 0.5)
	l := place{province: province, x: p.x + 0.2*dx, y: p.y + 0.2*dy}
	// Postcodes run from west to east, so that their first digits say something of place.
	l.postcode = p.firstPC*100 + int((dx+0.5)*float64((p.endPC-p.firstPC)*100))
	const letters = "ABCDEGHJKLNPRTVWXZ"
	l.letters = [2]byte{letters[d.below(len(letters))], letters[d.below(len(letters))]}
	l.density = min(max(p.density+0.25*d.normal(), 0), 1)
	l.hazard = 0.5*math.Sin(6*l.x+2.5*l.y) + 0.8*math.Exp(-((l.x-0.32)*(l.x-0.32)+(l.y-0.5)*(l.y-0.5))/0.02) - 0.25
	return l
}
