package clv

import (
	"math"

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
	// Newcomer is a policy that a customer buys: of private persons, of businesses.
	Newcomer [2]Newcomer `json:"newcomer"`
	Cells    [cells]Cell `json:"cells"`
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

// Newcomer is what a policy that is bought is like. Amounts are EUR.
type Newcomer struct {
	Premium   float64 `json:"premium"` // a year, mean
	Spread    float64 `json:"spread"`  // squared coefficient of variation of the premium
	Rate      float64 `json:"rate"`    // commission
	Insured   float64 `json:"insured"` // share of the premium that is neither life nor health
	Ends      float64 `json:"ends"`    // single ends a year
	Frequency float64 `json:"frequency"`
	Severity  float64 `json:"severity"`
}

// Cell is a kind of customer, and what was seen of it: purchases, and, where values could
// be held against what came, how far expectations and intervals had to be moved.
type Cell struct {
	Name      string  `json:"name"`
	Customers float64 `json:"customers"` // customer-years seen
	Purchases float64 `json:"purchases"` // policies a year
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
	c := min(max(n, 1), 3) - 1
	if business(v) {
		c += 3
	}
	return c
}

func business(v *portfolio.View) bool {
	return v.Customer != nil && v.Customer.Segment == portfolio.Business
}

// NewModel is the model of a book of which nothing was seen: the market's.
func NewModel(m Market) *Model {
	out := &Model{
		Ends: map[string]float64{"": m.SingleEnds}, CarryOn: m.CarryOn, Growth: m.Growth, GrowthSD: m.GrowthSD,
		Spread: map[string]float64{"": m.Spread}, Frailty: m.Frailty, Contacts: Contacts{Weight: 1},
		HazardError: 1 / math.Sqrt(max(1, m.Weight)),
	}
	for i := range out.Newcomer {
		out.Newcomer[i] = Newcomer{Ends: m.SingleEnds, Insured: 1}
	}
	for i := range out.Cells {
		out.Cells[i] = Cell{Name: cellNames[i], Purchases: m.Purchases, Low: 1, High: 1}
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
		{"contacts.mean", m.Contacts.Mean, 0, 1e4},
		{"contacts.weight", m.Contacts.Weight, 0, 1},
		{"hazard_error", m.HazardError, 0, 2},
		{"error", m.Error, 0, 2},
	} {
		if !in(f.v, f.low, f.top) {
			return bad(f.name)
		}
	}
	for _, n := range m.Newcomer {
		if !in(n.Premium, 0, 1e9) || !in(n.Spread, 0, 1e4) || !in(n.Rate, 0, 1) || !in(n.Insured, 0, 1) || !in(n.Ends, 0, 100) ||
			!in(n.Frequency, 0, 1e4) || !in(n.Severity, 0, 1e9) {
			return bad("newcomer")
		}
	}
	for _, c := range m.Cells {
		if !in(c.Purchases, 0, 1e4) || !in(c.Drift, -1, 1) || !in(c.Low, 0, 100) || !in(c.High, 0, 100) {
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
