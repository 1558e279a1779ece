package clv

import (
	"math"
	"slices"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// Model is what training publishes for this engine: how policies and customers of the book
// go on, how far values that it could check were off, and the book's distributions.
type Model struct {
	// Ends are single ends of policies a year while their relation goes on, by branch; ""
	// is of branches that are not listed. CarryOn is the share of policies that outlive the
	// end of a relation, of those that do not count in churn's definition.
	Ends    map[string]float64 `json:"single_ends"`
	CarryOn float64            `json:"carry_on"`
	// ByAge multiplies single ends by the policy's age: until 1, 3, 7 years, and after.
	ByAge [Ages]float64 `json:"ends_by_age"`
	// Growth of the premium of a policy that stays, a year, and the standard deviation of
	// its logarithm.
	Growth   float64 `json:"growth"`
	GrowthSD float64 `json:"growth_sd"`
	// Spread is the squared coefficient of variation of a claim's amount, by branch ("" as
	// above); Frailty the variance of what multiplies a customer's claims.
	Spread  map[string]float64 `json:"spread"`
	Frailty float64            `json:"frailty"`
	// Losses is the day in whose year ahead risk expects its losses; Inflation is risk's, a
	// year, which training copies: by how much they are more, or less, in years from other
	// days, and in the years after the first.
	Losses    portfolio.Date `json:"losses_of"`
	Inflation float64        `json:"claims_inflation"`
	// Contacts of the next year are Mean + Weight × (those of the last − Mean).
	Contacts Contacts `json:"contacts"`
	// Wares are what customers buy. What is known of a customer's purchases fades to what is
	// usual of its kind: a year is off that by a share e^(−WantsFade·years) of what the first
	// is. WantsFrailty is the variance of what multiplies a customer's purchases beyond it.
	Wares        []Ware  `json:"wares"`
	WantsFade    float64 `json:"wants_fade"`
	WantsFrailty float64 `json:"wants_frailty"`
	// WantsWane is how fast all purchases get fewer, a year: who is there longer has more of
	// what it needs.
	WantsWane float64     `json:"wants_wane"`
	Cells     [cells]Cell `json:"cells"`
	// HazardError is the standard error of the logarithm of the hazard of relations, Error
	// that of expected values as a share of expected income.
	HazardError float64 `json:"hazard_error"`
	Error       float64 `json:"error"`

	Bands  score.Bands `json:"bands"`                     // of the value
	Values []float64   `json:"value_quantiles,omitempty"` // 101 points of the book's
	Lapses []float64   `json:"lapse_quantiles,omitempty"` // and of the probability of a lapse within 12 months
}

// Contacts is Bühlmann's credibility estimate of a customer's contacts a year.
type Contacts struct {
	Mean   float64 `json:"mean"`
	Weight float64 `json:"weight"`
}

// Cell is a kind of customer, and what was seen of it where values could be held against
// what came: how far expectations and intervals had to be moved.
type Cell struct {
	Name      string  `json:"name"`
	Customers float64 `json:"customers"` // customer-years seen
	Drift     float64 `json:"drift"`     // margin beyond what was expected, as a share of income, a year
	Low       float64 `json:"low"`       // factor on what lies below the expectation
	High      float64 `json:"high"`      // and above it
}

const (
	cells     = 6
	seenYears = 3.0  // as far as drifts and widths were seen; beyond it what a drift reached goes on
	minEnds   = 1e-9 // a year: an end that never comes divides by nothing
)

var cellNames = [cells]string{"private_1", "private_2", "private_3_more", "business_1", "business_2", "business_3_more"}

// CellOf is the kind of a customer, by segment and the policies of its own in force.
func CellOf(v *portfolio.View) int {
	n := 0
	for i := range v.Policies {
		if v.Policies[i].InForce(v.AsOf) {
			n++
		}
	}
	return kind(min(max(n, 1), counts)-1, business(v))
}

func kind(n int, business bool) int {
	if business {
		return n + counts
	}
	return n
}

func business(v *portfolio.View) bool {
	return v.Customer != nil && v.Customer.Segment == portfolio.Business
}

// NewModel is the model of a book of which nothing was seen: the market's.
func NewModel(m Market) *Model {
	out := &Model{
		Ends: map[string]float64{"": m.SingleEnds}, CarryOn: m.CarryOn, Growth: m.Growth, GrowthSD: m.GrowthSD,
		Spread: map[string]float64{"": m.Spread}, Frailty: m.Frailty, Contacts: Contacts{Weight: 1}, WantsFade: m.WantsFade,
		HazardError: 1 / math.Sqrt(max(1, m.Weight)),
	}
	for b := range out.ByAge {
		out.ByAge[b] = 1
	}
	for i := range out.Cells {
		out.Cells[i] = Cell{Name: cellNames[i], Low: 1, High: 1}
	}
	return out
}

// Check makes sure that values can be made with the model: fault.Malformed names the field.
func (m *Model) Check() error {
	bad := func(name string) error {
		return fault.New(fault.Malformed, "clv model: %s is out of bounds", name)
	}
	in := func(v, low, high float64) bool { return v >= low && v <= high } // false for NaN
	for name, rates := range map[string]map[string]float64{"single_ends": m.Ends, "spread": m.Spread} {
		if _, ok := rates[""]; !ok {
			return bad(name)
		}
		for _, r := range rates {
			if !in(r, 0, 1e4) {
				return bad(name)
			}
		}
	}
	for _, f := range [...]struct {
		name        string
		v, low, top float64
	}{
		{"carry_on", m.CarryOn, 0, 1},
		{"growth", m.Growth, -0.5, 1},
		{"growth_sd", m.GrowthSD, 0, 2},
		{"frailty", m.Frailty, 0, 100},
		{"claims_inflation", m.Inflation, -0.5, 1},
		{"wants_fade", m.WantsFade, 0, 10},
		{"wants_frailty", m.WantsFrailty, 0, 100},
		{"wants_wane", m.WantsWane, 0, 1},
		{"contacts.mean", m.Contacts.Mean, 0, 1e4},
		{"contacts.weight", m.Contacts.Weight, 0, 1},
		{"hazard_error", m.HazardError, 0, 2},
		{"error", m.Error, 0, 2},
	} {
		if !in(f.v, f.low, f.top) {
			return bad(f.name)
		}
	}
	for _, f := range m.ByAge {
		if !in(f, 0, 100) {
			return bad("ends_by_age")
		}
	}
	for i := range m.Wares {
		w := &m.Wares[i]
		if !in(w.Premium, 0, 1e9) || !in(w.Spread, 0, 1e4) || !in(w.Rate, 0, 1) || !in(w.Insured, 0, 1) || !in(w.Ends, 0, 100) ||
			!in(w.Frequency, 0, 1e4) || !in(w.Severity, 0, 1e9) || !in(w.Held, 0, 1e4) || !in(w.Beside, 0, 1e4) || !in(w.Open, 0, 1e4) || !in(w.Primary, 0, 1) ||
			slices.ContainsFunc(w.Usual[:], func(v float64) bool { return !in(v, 0, 1e4) }) {
			return bad("wares")
		}
	}
	for _, c := range m.Cells {
		if !in(c.Drift, -1, 1) || !in(c.Low, 0, 100) || !in(c.High, 0, 100) {
			return bad("cells")
		}
	}
	for name, q := range map[string][]float64{"value_quantiles": m.Values, "lapse_quantiles": m.Lapses} {
		for i := range q {
			if math.IsNaN(q[i]) || i > 0 && q[i] < q[i-1] {
				return bad(name)
			}
		}
	}
	return nil
}

// of is a rate by branch, or that of the branches that are not listed.
func of(rates map[string]float64, branch string) float64 {
	if r, ok := rates[branch]; ok {
		return r
	}
	return rates[""]
}

// CellName is the name of a kind of customer.
func CellName(cell int) string { return cellNames[cell] }
