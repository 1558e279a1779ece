package churn

import (
	"math"
	"slices"
	"sort"

	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// Changes is what went with changes of the premium at renewals in the book: an
// association, adjusted for what the models read of policies and customers. It is no effect:
// what nobody recorded may have brought about both the change and the lapse.
type Changes struct {
	// Why says why there is none: TooFew or Unannounced; "" where there is one.
	Why      string  `json:"why,omitempty"`
	Low      float64 `json:"low"` // the support, as shares of the premium
	High     float64 `json:"high"`
	Renewals float64 `json:"renewals"` // that it rests on
	Lapses   float64 `json:"lapses"`
	Bands    []Band  `json:"bands,omitempty"` // ascending; what lies in none is beyond support
}

// Band is a band of changes: from From, and below To. One is that of none.
type Band struct {
	From   float64 `json:"from"`
	To     float64 `json:"to"`
	None   bool    `json:"none,omitempty"`
	Effect float64 `json:"effect"` // on the log-odds of a lapse around the renewal, against the book's mean
	Error  float64 `json:"error"`  // its standard error, of the model and of how many lapsed
	Lapses float64 `json:"lapses"` // in the band and those beside it
}

// Reasons for which a what-if is empty.
const (
	TooFew      = "too_few"       // the book has too few lapses around renewals
	Unannounced = "not_announced" // too many changes come without having been recorded before
	Outside     = "outside"       // the change is beyond what the book has seen enough of
	Announced   = "announced"     // the change of this renewal is known already
	Ending      = "ending"        // the policy's end is recorded already
	NoRenewal   = "no_renewal"    // none within 12 months, or it is not known when
)

// The months around a renewal in which a lapse is put down to it: from the one before,
// when the premium is announced, to two after, in which a customer who found out with the
// first payment can still leave. In months; our choice, because announcements come about a
// month ahead and notice afterwards is usually a month. No setting: what was learnt with
// other months could not be compared.
const (
	MonthsBefore = 1
	MonthsAfter  = 2
)

// studentT is that of 95% and seven degrees of freedom: standard errors are of eight bags.
// It stands for errors of counts too, which have more: effects are drawn to the mean, and so
// lie off the truth by more than chance (train's TestIntervalsCover).
const studentT = 2.365

func (c *Changes) check() error {
	if c.Why != "" {
		if c.Why != TooFew && c.Why != Unannounced {
			return fault.New(fault.Malformed, "churn: there is no such reason for an empty what-if")
		}
		return nil
	}
	none := 0
	for i, b := range c.Bands {
		if !(b.From < b.To) || i > 0 && b.From < c.Bands[i-1].To || !(math.Abs(b.Effect) <= 700) || !(b.Error >= 0 && b.Error <= 700) {
			return fault.New(fault.Malformed, "churn: band %d of premium changes overlaps, or holds no number", i)
		}
		if b.None {
			none++
		}
	}
	if len(c.Bands) > 0 && none != 1 {
		return fault.New(fault.Malformed, "churn: of the bands of premium changes one is that of none")
	}
	return nil
}

// at is the band of a change; nil beyond support.
func (c *Changes) at(change float64) *Band {
	i := sort.Search(len(c.Bands), func(i int) bool { return c.Bands[i].To > change })
	if !(change >= c.Low && change <= c.High) || i == len(c.Bands) || c.Bands[i].From > change {
		return nil
	}
	return &c.Bands[i]
}

// none is the band of no change.
func (c *Changes) none() *Band {
	i := slices.IndexFunc(c.Bands, func(b Band) bool { return b.None })
	return &c.Bands[i]
}

// Association is what goes with a change against none, on the log-odds, and how far its 95%
// interval reaches to either side; NaN beyond support.
func (c *Changes) Association(change float64) (effect, off float64) {
	band := c.at(change)
	if band == nil {
		return math.NaN(), math.NaN()
	}
	none := c.none()
	return band.Effect - none.Effect, reach(band, none)
}

// reach is how far the 95% interval of the difference of two bands reaches. Their lapses are
// of other policies, so that their errors are independent.
func reach(a, b *Band) float64 {
	return studentT * math.Sqrt(float64(a.Error*a.Error)+float64(b.Error*b.Error))
}

// WhatIf is what goes with a change of a policy's premium at its next renewal: the
// probability that the policy lapses within 12 months, if its premium stays and if it
// changes so, as far as the book has seen the like.
type WhatIf struct {
	PolicyID string
	Branch   string
	Renews   portfolio.Date // 0: not known
	Change   float64        // a share of the premium
	Why      string         // why there is no answer; "" where there is one
	Without  float64
	With     float64
	// Low and High are the 95% interval of With − Without.
	Low, High float64
}

// WhatIfs appends what goes with changes of the premiums of a customer's policies in force,
// policy by policy; nothing where there is no score, as r then says.
func (e *Engine) WhatIfs(in feature.Input, changes []float64, r *Result, out []WhatIf) []WhatIf {
	if e.Score(in.Group, r); feature.Objects(in.View) {
		r.Clear(score.Objected, r.Definition)
	}
	if r.Status != score.Scored {
		return out
	}
	whole, v := e.definition.Relation().Of(in.Group), in.View
	e.reader.PolicyHazards(in, &e.held)
	var a alone
	for i := range v.Policies {
		p := &v.Policies[i]
		if !p.InForce(v.AsOf) {
			continue
		}
		side := Side(whole, p)
		e.alone(i, p, v.AsOf, side, &a)
		for _, change := range changes {
			w := WhatIf{PolicyID: p.ID, Branch: p.Branch, Renews: feature.Renewal(p, v.AsOf), Change: change}
			e.whatIf(p, v.AsOf, &a, side, &w)
			out = append(out, w)
		}
	}
	return out
}

func (e *Engine) whatIf(p *portfolio.PolicyView, asOf portfolio.Date, a *alone, side int, w *WhatIf) {
	c := &e.model.Book.Changes
	renewal := 0
	for k := 1; k <= 12 && renewal == 0; k++ {
		if e.reader.Renews(k) {
			renewal = k
		}
	}
	band := c.at(w.Change)
	switch {
	case c.Why != "":
		w.Why = c.Why
	case p.EndsOn != 0:
		w.Why = Ending
	case renewal == 0 || w.Renews == 0:
		w.Why = NoRenewal
	case feature.ChangeAnnounced(p, asOf):
		w.Why = Announced
	case band == nil:
		w.Why = Outside
	}
	if w.Why != "" {
		return
	}
	none := c.none()
	shifted := func(by float64) float64 { return a.shifted(&e.with[side], 1-e.otherwise[side], renewal, by) }
	w.Without, w.With = shifted(none.Effect), shifted(band.Effect)
	if band == none {
		return
	}
	off := reach(band, none)
	w.Low = shifted(band.Effect-off) - w.Without
	w.High = shifted(band.Effect+off) - w.Without
}

// shifted is the probability that the policy lapses within 12 months where the log-odds of
// a lapse are higher by so much in the months around a renewal. Of the relation's lapses a
// share is one of the policy.
func (a *alone) shifted(s *shock, lapses float64, renewal int, by float64) float64 {
	alive, lapsed := 1.0, 0.0
	before := 1.0 // as it is without the shift
	for k := 1; k <= 12; k++ {
		if before <= 0 {
			break
		}
		now := float64(s.stays[k] * (1 - a.gone[k]))
		add := float64(float64(s.lapse[k]*(1-a.gone[k-1]))*lapses) + float64(s.stays[k]*(a.gone[k]-a.kept[k]))
		lapse := min(1, add/before)
		other := max(0, 1-now/before-lapse)
		if k >= renewal-MonthsBefore && k <= renewal+MonthsAfter {
			lapse = moved(lapse, by)
		}
		if all := lapse + other; all > 1 {
			lapse, other = lapse/all, other/all
		}
		lapsed += float64(alive * lapse)
		alive = float64(alive * max(0, 1-lapse-other))
		before = now
	}
	return min(1, lapsed)
}

// moved is a probability whose log-odds are higher by so much.
func moved(p, by float64) float64 {
	odds := float64(p * exact.Exp(by))
	return odds / (1 - p + odds)
}
