package scoring

import (
	"maps"
	"math"
	"slices"

	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/shapley"
)

// Usual is what was usual in the book when the models were published, frozen with them:
// what reasons compare a customer's features to, and the reference customer against which
// numbers that several models make together are explained.
type Usual struct {
	Customers score.Norms `json:"customers,omitempty"` // of customers' features
	Policies  score.Norms `json:"policies,omitempty"`  // of policies' features
	Reference *Reference  `json:"reference,omitempty"`
}

// Reference is a customer with the book's mean components.
type Reference struct {
	// Of the hazards of the next twelve months: the mean log-odds of a lapse, how each
	// month is off it, and the probability of any other end in each.
	Lapse  float64     `json:"lapse_log_odds"`
	Timing [12]float64 `json:"lapse_timing"`
	Other  [12]float64 `json:"other_ends"`
	// Of the value: EUR for each discounted year that the relation lasts, and these years.
	Income float64 `json:"income"`
	Loss   float64 `json:"loss"`
	Cost   float64 `json:"cost"`
	Years  float64 `json:"discounted_years"`
	// Of the first offer: the probability, and EUR where it is taken.
	Probability float64 `json:"purchase_probability"`
	Worth       float64 `json:"purchase_worth"`
}

// Shares are a number that several models make together, shared out among its components
// as exact Shapley values: Reference and the parts add up to it as it is shown. There are
// none where Codes are nil.
type Shares struct {
	Reference float64 // what the number is for the reference customer
	Codes     []string
	Parts     [shapley.Most]float64
}

// The components, by what they explain.
var (
	lapseParts = []string{"lapse_level", "renewal_timing", "other_ends"}
	valueParts = []string{"premium", "loss", "cost", "survival"}
	offerParts = []string{"probability", "worth"}
)

// The decimals of the numbers that are shared out, as they are shown.
const (
	probabilityDecimals = 6
	moneyDecimals       = 2
)

// check makes sure that what was frozen can be compared and explained with.
func (u *Usual) check() error {
	for _, norms := range []score.Norms{u.Customers, u.Policies} {
		for _, name := range slices.Sorted(maps.Keys(norms)) {
			if q := norms[name].Quantiles; len(q) == 1 || !slices.IsSorted(q) {
				return fault.New(fault.Malformed, "the book's quantiles of %s do not ascend", name)
			}
		}
	}
	return nil
}

// share shares out total, the value of all components together.
func (s *Shares) share(codes []string, total float64, decimals int, value func(coalition uint) float64) {
	parts := s.Parts[:len(codes)]
	s.Codes = codes
	if s.Reference = shapley.Values(parts, value); !shapley.Round(&s.Reference, parts, total, decimals) {
		s.Codes = nil
	}
}

// twelve are a relation's hazards in each of the next twelve months, found back from the
// curves that the churn engine shows.
type twelve struct {
	lapse  float64 // mean log-odds
	timing [12]float64
	other  [12]float64
}

// leastHazard keeps log-odds finite where nothing, or everything, ends in a month.
const leastHazard = 1e-9

func hazards(c *churn.Result) (h twelve) {
	for k := range 12 {
		before := c.Alive[k]
		if before <= 0 {
			before = 1 // all have ended already: whatever follows changes nothing
		}
		lapse := (c.Lapsed[k+1] - c.Lapsed[k]) / before
		h.other[k] = max(0, (1-c.Alive[k+1]/before)-lapse)
		lapse = max(leastHazard, min(1-leastHazard, lapse))
		h.timing[k] = exact.Log(lapse / (1 - lapse))
		h.lapse += h.timing[k]
	}
	h.lapse /= 12
	for k := range h.timing {
		h.timing[k] -= h.lapse
	}
	return h
}

// lapsed is the probability of a lapse within twelve months.
func lapsed(lapse float64, timing, other *[12]float64) float64 {
	alive, sum := 1.0, 0.0
	for k := range 12 {
		e := exact.Exp(lapse + timing[k])
		h := e / (1 + e)
		sum += float64(alive * h)
		alive = float64(alive * max(0, (1-h)-other[k]))
	}
	return sum
}

// lapse shares out the probability of a lapse within twelve months: how high the hazard
// is, when in the year it is, and what else may end the relation before. Where the
// definition asks for less than the relation, its hazards do not explain the figure.
func (ref *Reference) lapse(c *churn.Result, s *Shares) {
	s.Codes = nil
	if ref == nil || c.Status != score.Scored || c.Definition == churn.OnePolicy || c.Definition == churn.OneBranch {
		return
	}
	h := hazards(c)
	s.share(lapseParts, c.Lapsed[12], probabilityDecimals, func(who uint) float64 {
		level, timing, other := ref.Lapse, &ref.Timing, &ref.Other
		if who&1 != 0 {
			level = h.lapse
		}
		if who&2 != 0 {
			timing = &h.timing
		}
		if who&4 != 0 {
			other = &h.other
		}
		return lapsed(level, timing, other)
	})
}

// value shares out the value: what a discounted year of the relation brings and costs,
// and how many of them there will be.
func (ref *Reference) value(v *clv.Result, s *Shares) {
	s.Codes = nil
	if ref == nil || v.Status != score.Scored || !(v.Years > 0) {
		return
	}
	lasts := v.Years
	income, loss, cost := v.Income/lasts, v.Loss/lasts, v.Cost/lasts
	s.share(valueParts, v.Value, moneyDecimals, func(who uint) float64 {
		i, l, k, y := ref.Income, ref.Loss, ref.Cost, ref.Years
		if who&1 != 0 {
			i = income
		}
		if who&2 != 0 {
			l = loss
		}
		if who&4 != 0 {
			k = cost
		}
		if who&8 != 0 {
			y = lasts
		}
		return y * (i - l - k)
	})
}

// offer shares out the value of the first offer: how likely it is to be taken, and what
// it is worth if it is.
func (ref *Reference) offer(r *nbp.Result, s *Shares) {
	s.Codes = nil
	if ref == nil || r.Status != score.Scored || len(r.Offers) == 0 || !(r.Offers[0].Probability > 0) {
		return
	}
	first := &r.Offers[0]
	s.share(offerParts, first.Value, moneyDecimals, func(who uint) float64 {
		p, w := ref.Probability, ref.Worth
		if who&1 != 0 {
			p = first.Probability
		}
		if who&2 != 0 {
			w = first.Value / first.Probability
		}
		return p * w
	})
}

// tell compares what the engines of the set say of a customer to the book, and shares out
// what several models make together.
func (s *Scorer) tell(v *portfolio.View, sh *Sheet, set Set) {
	u := &s.models.Usual
	if set.Has(Risk) {
		u.Policies.Compare(&sh.Risk.Reasons)
	}
	if set.Has(Churn) {
		u.Customers.Compare(&sh.Churn.Reasons)
		u.Reference.lapse(&sh.Churn, &sh.Lapse)
	}
	sh.Another = s.group.Primary != v
	if set.Has(Clv) {
		u.Reference.value(&sh.Clv, &sh.Value)
	}
	if set.Has(Nbp) {
		u.Customers.Compare(&sh.Nbp.Reasons)
		for i := range sh.Nbp.Offers {
			u.Customers.Compare(&sh.Nbp.Offers[i].Reasons)
		}
		u.Reference.offer(&sh.Nbp, &sh.Offer)
	}
}

// Referee finds the reference customer of a book from its scores.
type Referee struct {
	sum                     Reference
	relations, valued, told float64
}

// Add counts a customer in.
func (r *Referee) Add(sh *Sheet) {
	if sh.Churn.Status == score.Scored {
		h := hazards(&sh.Churn)
		r.relations++
		r.sum.Lapse += h.lapse
		for k := range 12 {
			r.sum.Timing[k] += h.timing[k]
			r.sum.Other[k] += h.other[k]
		}
		if v := &sh.Clv; v.Status == score.Scored && v.Years > 0 {
			lasts := v.Years
			r.valued++
			r.sum.Years += lasts
			r.sum.Income += v.Income / lasts
			r.sum.Loss += v.Loss / lasts
			r.sum.Cost += v.Cost / lasts
		}
	}
	if len(sh.Nbp.Offers) > 0 && sh.Nbp.Offers[0].Probability > 0 {
		first := &sh.Nbp.Offers[0]
		r.told++
		r.sum.Probability += first.Probability
		r.sum.Worth += first.Value / first.Probability
	}
}

// Reference is the mean of those who were added; nil where there was nobody to explain.
func (r *Referee) Reference() *Reference {
	if r.relations == 0 {
		return nil
	}
	out := r.sum
	mean := func(n float64, sums ...*float64) {
		for _, v := range sums {
			*v = rounded(*v / max(n, 1))
		}
	}
	mean(r.relations, &out.Lapse)
	for k := range 12 {
		mean(r.relations, &out.Timing[k], &out.Other[k])
	}
	mean(r.valued, &out.Income, &out.Loss, &out.Cost, &out.Years)
	mean(r.told, &out.Probability, &out.Worth)
	return &out
}

// rounded keeps six decimals: a models' file is read by people too.
func rounded(v float64) float64 { return math.Round(v*1e6) / 1e6 }
