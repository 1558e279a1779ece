package score

import (
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"

	"github.com/go-faster/jx"

	"polis/handler/internal/fault"
)

// Norm is what is usual of a feature in the book when the models were published: of a
// number its quantiles, of a name the commonest.
type Norm struct {
	Quantiles []float64 `json:"quantiles,omitempty"` // at 0%, 5%, … 100%, where it is known
	Common    string    `json:"common,omitempty"`
	Share     float64   `json:"share,omitempty"` // of the customers who have the commonest
}

// Norms are those of features, by their names.
type Norms map[string]Norm

// UnmarshalJSON reads norms without reflection: a process that has just started reads those of
// all features before its first score.
func (n *Norms) UnmarshalJSON(b []byte) error {
	d := jx.DecodeBytes(b)
	if d.Next() == jx.Null {
		return nil
	}
	*n = Norms{}
	err := d.Obj(func(d *jx.Decoder, feature string) error {
		var norm Norm
		err := d.ObjBytes(func(d *jx.Decoder, key []byte) (err error) {
			switch string(key) {
			case "quantiles":
				norm.Quantiles = make([]float64, 0, normSteps+1)
				err = d.Arr(func(d *jx.Decoder) error {
					q, err := number(d)
					norm.Quantiles = append(norm.Quantiles, q)
					return err
				})
			case "common":
				norm.Common, err = d.Str()
			case "share":
				norm.Share, err = number(d)
			default:
				err = d.Skip()
			}
			return err
		})
		(*n)[feature] = norm
		return err
	})
	return fault.Wrap(fault.Malformed, err, "reading what is usual in a book")
}

// number is read to the bit, as what is compared with it was written; the decoder's own way of
// reading one rounds some twice.
func number(d *jx.Decoder) (float64, error) {
	n, err := d.Num()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(n), 64)
}

// Book is a reason's comparison to the book. The zero Book compares with nothing.
type Book struct {
	Known      bool
	Median     float64 // of a number
	Percentile float64 // of the customer's number: 0–100, the middle of those who have the same
	Common     string  // of a name
	Share      float64
}

const (
	normSteps = 20 // between the quantiles
	// rare is the share below which a name is not kept as the commonest: it could be one
	// person's.
	rare = 0.05
	// normNames is how many different names of a feature are counted; of more the first
	// so many, since a feature with so many has no commonest worth telling.
	normNames = 1000
)

// Compare fills the reasons' comparisons to the book.
func (n Norms) Compare(r *Reasons) {
	for i := range r.Top {
		t := &r.Top[i]
		norm, ok := n[t.Code]
		switch {
		case !ok:
		case t.Numeric && len(norm.Quantiles) > 1:
			t.Book = Book{Known: true, Median: norm.Median(), Percentile: norm.Place(t.Number)}
		case !t.Numeric && norm.Common != "":
			t.Book = Book{Known: true, Common: norm.Common, Share: norm.Share}
		}
	}
}

// Median is the middle of the book's numbers.
func (n Norm) Median() float64 { return n.Quantiles[(len(n.Quantiles)-1)/2] }

// Place is the percentage of the book below v; among many who have the same number, the
// middle of them. NaN for NaN.
func (n Norm) Place(v float64) float64 {
	q := n.Quantiles
	last := float64(len(q) - 1)
	from := sort.SearchFloat64s(q, v)
	to := from
	for to < len(q) && q[to] == v {
		to++
	}
	switch {
	case v != v:
		return v
	case to > from:
		return 100 * (float64(from+to-1) / 2) / last
	case from == 0:
		return 0
	case from == len(q):
		return 100
	}
	lo, hi := q[from-1], q[from]
	return 100 * (float64(from-1) + (v-lo)/(hi-lo)) / last
}

// Survey collects a book's features, to find what is usual.
type Survey struct {
	numbers map[string][]float64
	names   map[string]map[string]int
	asked   map[string]int // of a name: how many customers were looked at
}

// NewSurvey is a survey of nothing yet.
func NewSurvey() *Survey {
	return &Survey{map[string][]float64{}, map[string]map[string]int{}, map[string]int{}}
}

// Number adds a customer's number; one that is not known counts for nothing.
func (s *Survey) Number(feature string, v float64) {
	if v-v == 0 {
		s.numbers[feature] = append(s.numbers[feature], v)
	}
}

// Name adds a customer's name of something; "" is not known.
func (s *Survey) Name(feature, v string) {
	s.asked[feature]++
	if v == "" {
		return
	}
	m := s.names[feature]
	if m == nil {
		m = map[string]int{}
		s.names[feature] = m
	}
	if _, ok := m[v]; ok || len(m) < normNames {
		m[v]++
	}
}

// Norms is what was found. Numbers are kept with four digits: enough to tell somebody,
// and nobody's own premium.
func (s *Survey) Norms() Norms {
	n := Norms{}
	for feature, values := range s.numbers {
		var norm Norm
		for i := range normSteps + 1 {
			norm.Quantiles = append(norm.Quantiles, short(Quantile(values, float64(i)/normSteps)))
		}
		n[feature] = norm
	}
	for feature, counts := range s.names {
		best := ""
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			if best == "" || counts[name] > counts[best] {
				best = name
			}
		}
		if share := float64(counts[best]) / float64(s.asked[feature]); share >= rare {
			n[feature] = Norm{Common: best, Share: math.Round(share*1e4) / 1e4}
		}
	}
	return n
}

// short is a number with four significant digits.
func short(v float64) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return f
}
