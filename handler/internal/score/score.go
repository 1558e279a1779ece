// Package score is what all engines' results have in common: a status, a band, and
// reasons that add up.
package score

import (
	"cmp"
	"io"
	"math"
	"slices"
	"sort"

	"polis/handler/internal/model"
)

// Status says whether there is a score, and if not, why.
type Status string

// The states of a result.
const (
	Scored     Status = "scored"
	NoPolicies Status = "no_policies" // none in force on the as-of date
	Objected   Status = "objected"    // the customer objects to profiling (GDPR art. 21)
	NotInScope Status = "not_in_scope"
)

// Band is a coarse place in the book, by thresholds frozen when the model was published.
type Band string

// The bands: below the median, to the 80th, to the 95th percentile, and above.
const (
	Low      Band = "low"
	Medium   Band = "medium"
	High     Band = "high"
	VeryHigh Band = "very_high"
)

// Bands are the thresholds between bands.
type Bands [3]float64

// Cuts are the thresholds of a book's values.
func Cuts(values []float64) Bands {
	return Bands{Quantile(values, 0.5), Quantile(values, 0.8), Quantile(values, 0.95)}
}

// Quantile is the q-quantile of values, which it sorts; 0 for none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sort.Float64s(values)
	return values[min(len(values)-1, int(q*float64(len(values))))]
}

// Of is the band of a value.
func (b Bands) Of(v float64) Band {
	switch {
	case v > b[2]:
		return VeryHigh
	case v > b[1]:
		return High
	case v > b[0]:
		return Medium
	}
	return Low
}

// Model is what engines score with: *model.Model, or one that a house already has. Any
// number of goroutines may use it.
type Model interface {
	Loss() model.Loss
	Fields() []model.Field // in the order in which a row gives their values
	Terms() []model.Term   // the summands of a score
	Intercept() float64
	// Score is a row's on the link scale: Intercept plus the contributions, added in the
	// order of Terms, to the last bit. contrib is nil, or receives contribution i at index
	// i as far as it is long; the score is the same. It allocates nothing.
	Score(row model.Row, contrib []float64) float64
	Mean(link float64) float64 // the inverse link
	Meta() model.Meta
	Save(w io.Writer) error // as one JSON object
}

// Reason is what a feature, or a pair of them, adds to a score on the link scale.
type Reason struct {
	Code         string  // the feature's name, or two with " × " between
	Number       float64 // the feature's value if it is a number; NaN: not known
	Text         string  // the feature's value if it is a name
	Numeric      bool
	Contribution float64
	Book         Book // how the value compares to the book; see Norms
}

// Reasons are the largest reasons of a score, and what the others add up to:
// Base + all contributions + Rest is the score on the link scale.
type Reasons struct {
	Base float64
	Top  []Reason
	Rest float64
	Link float64
}

// Most is how many reasons are named.
const Most = 5

// Explainer scores with models whose links add up (a frequency and a severity, say) and
// says why. Its buffers are reused: one per goroutine.
type Explainer struct {
	models  []Model
	terms   [][]model.Term
	slot    [][]int // of a model's term, the place of its code in codes
	codes   []code
	contrib []float64
	sum     []float64
	order   []int
}

type code struct {
	name   string
	fields []int
	kind   model.Kind
	model  int
}

// NewExplainer explains models that are scored on rows of the same fields.
func NewExplainer(models ...Model) *Explainer {
	e := &Explainer{models: models}
	at := map[string]int{}
	for i, m := range models {
		terms, slots := m.Terms(), []int{}
		fields := m.Fields()
		for _, t := range terms {
			k, ok := at[t.Name]
			if !ok {
				k = len(e.codes)
				at[t.Name] = k
				e.codes = append(e.codes, code{t.Name, t.Fields, fields[t.Fields[0]].Kind, i})
			}
			slots = append(slots, k)
		}
		e.terms, e.slot = append(e.terms, terms), append(e.slot, slots)
		e.contrib = append(e.contrib, make([]float64, max(0, len(terms)-len(e.contrib)))...)
	}
	e.sum = make([]float64, len(e.codes))
	return e
}

// Explain scores a row and fills the reasons, largest first.
func (e *Explainer) Explain(row model.Row, r *Reasons) {
	clear(e.sum)
	r.Base, r.Link = 0, 0
	for i, m := range e.models {
		r.Link += m.Score(row, e.contrib)
		r.Base += m.Intercept()
		for t, k := range e.slot[i] {
			e.sum[k] += e.contrib[t]
		}
	}
	e.order = e.order[:0]
	for k, v := range e.sum {
		if v != 0 {
			e.order = append(e.order, k)
		}
	}
	slices.SortFunc(e.order, func(i, j int) int {
		return cmp.Or(cmp.Compare(math.Abs(e.sum[j]), math.Abs(e.sum[i])), cmp.Compare(i, j))
	})
	r.Top, r.Rest = r.Top[:0], r.Link-r.Base
	for _, k := range e.order[:min(Most, len(e.order))] {
		c := &e.codes[k]
		reason := Reason{Code: c.name, Contribution: e.sum[k]}
		if len(c.fields) == 1 {
			if c.kind == model.Numeric {
				reason.Numeric, reason.Number = true, row.Num[c.fields[0]]
			} else {
				reason.Text = row.Cat[c.fields[0]]
			}
		}
		r.Top = append(r.Top, reason)
		r.Rest -= e.sum[k]
	}
}
