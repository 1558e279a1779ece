package backtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
)

// firsts are the places up to which hits are counted.
var firsts = [...]int{1, 3, 5}

// The rankings that are compared, each of the groups that the relation could have been
// offered. Served is the product's own, by need first: it is not meant to hit most. Chance
// takes groups in any order.
const (
	served = iota
	likeliest
	popular
	chance
	rankings
)

var rankingNames = [rankings]string{"As served", "By probability", "By popularity", "In any order"}

// rankingCodes are those that figures of them begin with.
var rankingCodes = [rankings]string{"served", "probability", "popularity", "chance"}

// buyer is a relation that bought something it could have been offered: by ranking, whether
// a group that it bought was among the first.
type buyer struct {
	relation int32
	hits     [rankings][len(firsts)]float64
}

// The places of a group that no rule keeps from being offered, and stands below those that
// are shown; and of one that may not be offered: by its rules, or by a sign of care.
const (
	below     = math.MaxInt - 1
	notServed = math.MaxInt
)

// candidate is a group that the relation could buy.
type candidate struct {
	group    int
	mean     float64
	rate     float64 // a year, of all relations, as was known then
	bought   bool
	servedAt int // its place among the offers
}

// offer ranks what the relation's first member could be offered, and notes what the relation
// bought in the year. As in training, buying competes with going away: one that ended and
// had not bought counts for the share of the year in which it could have.
func (y *year) offer(key int32, in feature.Input) {
	g, m := y.e.groups, y.e.models
	y.e.nbp.Score(in.View, &y.risk, &y.offers)
	segment := portfolio.Private
	if c := in.View.Customer; c != nil && c.Segment == portfolio.Business {
		segment = portfolio.Business
	}
	y.past.Reset(g, in.Group.Views)
	g.Row(&y.reader, in.Group, &y.past, &y.row)
	bought := g.Bought(y.came.refs, y.w.o.Ends, &m.Settings.Nbp, y.AsOf, y.until)
	stayed := 1.0
	if ended, _ := churn.End(y.came.refs, y.AsOf, y.until, churn.All); ended != 0 {
		stayed = float64(ended-y.AsOf) / float64(y.until-y.AsOf)
	}
	y.candidates = y.candidates[:0]
	any := false
	for i := range g.Groups {
		x := &g.Groups[i]
		own := m.Nbp.Groups[x.Code]
		if own == nil || (y.past.Held|y.past.Soon)>>i&1 == 1 || !x.Fits(segment) {
			continue
		}
		g.About(i, &y.past, &y.row)
		c := candidate{group: i, mean: own.Mean(m.Nbp.Link(x.Code, y.row)), rate: m.Nbp.Fitted[x.Code].Rate, bought: bought>>i&1 == 1, servedAt: notServed}
		for k := range y.offers.Offers {
			if y.offers.Offers[k].Group.Code == x.Code {
				c.servedAt = k
			}
		}
		for k := range y.offers.Excluded {
			if x := &y.offers.Excluded[k]; x.Group.Code == g.Groups[i].Code && x.Code == nbp.FurtherDown {
				c.servedAt = below
			}
		}
		weight := stayed
		if c.bought {
			weight, any = 1, true
		}
		if weight > 0 {
			y.pairs = append(y.pairs, row{relation: key, group: int16(i), mean: c.mean, rate: one(c.bought), units: weight})
		}
		y.candidates = append(y.candidates, c)
	}
	if len(y.candidates) > 0 {
		y.asked = append(y.asked, key)
	}
	if !any {
		return
	}
	if h, ok := hits(y.candidates); ok {
		y.buyers = append(y.buyers, buyer{key, h})
	} else {
		y.barred = append(y.barred, key)
	}
}

// hits finds for each ranking whether one of its first was bought: like with like, so that
// what may not be offered is in none. There is nothing to find where nothing else was bought.
func hits(of []candidate) (h [rankings][len(firsts)]float64, ok bool) {
	of = slices.DeleteFunc(of, func(c candidate) bool { return c.servedAt == notServed })
	bought := 0
	for _, c := range of {
		if c.bought {
			bought++
		}
	}
	if bought == 0 {
		return h, false
	}
	orders := [...]func(a, b candidate) int{
		served:    func(a, b candidate) int { return cmp.Compare(a.servedAt, b.servedAt) },
		likeliest: func(a, b candidate) int { return cmp.Compare(b.mean, a.mean) },
		popular:   func(a, b candidate) int { return cmp.Compare(b.rate, a.rate) },
	}
	for r, order := range orders {
		slices.SortStableFunc(of, order)
		for k, n := range firsts {
			for _, c := range of[:min(n, len(of))] {
				if c.bought && (r != served || c.servedAt < below) {
					h[r][k] = 1
				}
			}
		}
	}
	for k, n := range firsts {
		// All of the first n are among those that were not bought.
		none := 1.0
		for i := range min(n, len(of)) {
			none *= max(0, float64(len(of)-bought-i)) / float64(len(of)-i)
		}
		h[chance][k] = 1 - none
	}
	return h, true
}

// hitSpecs are the figures of hits: relations, buyers of what could be offered and of nothing
// that could, then by ranking and place, and how much more than popularity those hit that know the relation.
func hitSpecs() []spec {
	out := []spec{counted("relations", "Relations"), counted("buyers", "Bought something that could be offered"), counted("barred", "Bought only what could not")}
	for r, name := range rankingNames {
		for _, n := range firsts {
			out = append(out, share(fmt.Sprintf("%s_%d", rankingCodes[r], n), fmt.Sprintf("%s: first %d", name, n)))
		}
	}
	for _, n := range firsts {
		out = append(out, spec{fmt.Sprintf("over_popularity_%d", n), fmt.Sprintf("Probability over popularity, first %d", n), Share, 0, -1, 1})
	}
	return out
}

// purchases are a year's buyers.
type purchases struct {
	buyers []buyer
	barred []int32 // relations that bought nothing but what could not be offered
	asked  []int32 // relations that could buy
}

func (p purchases) few() bool { return len(p.buyers) < fewEvents }

func (p purchases) at(weights, into []float64) {
	n := 0.0
	for _, r := range p.asked {
		n += weights[r]
	}
	into[0] = n
	into[2] = 0
	for _, r := range p.barred {
		into[2] += weights[r]
	}
	n = 0
	var sum [rankings][len(firsts)]float64
	for i := range p.buyers {
		w := weights[p.buyers[i].relation]
		n += w
		for r := range sum {
			for k := range firsts {
				sum[r][k] += w * p.buyers[i].hits[r][k]
			}
		}
	}
	if into[1] = n; p.few() {
		return
	}
	at := 3
	for r := range sum {
		for k := range firsts {
			into[at] = sum[r][k] / n
			at++
		}
	}
	for k := range firsts {
		into[at+k] = (sum[likeliest][k] - sum[popular][k]) / n
	}
}

// pairSpecs are the figures of all pairs of a relation and a group that it could buy.
var pairSpecs = []spec{
	counted("cases", "Relations times groups"),
	counted("events", "Bought"),
	overExpected("ratio", "Actual / expected"),
	{"auc", "AUC", Index, 0.5, 0, 1},
	explained("explained", "Deviance explained beyond group rates"),
}

func paired(o *outcome, into []float64) {
	copy(into, []float64{o.cases, o.events, o.ratio, o.auc, o.explained})
}

// byGroup sets what would be said of each pair without a model: the rate of its group in
// that year, which nobody knew before.
func byGroup(pairs []row, groups int) {
	type sums struct{ bought, asked float64 }
	of := make([]sums, groups)
	for _, x := range pairs {
		of[x.group].bought += x.units * x.rate
		of[x.group].asked += x.units
	}
	for i := range pairs {
		s := of[pairs[i].group]
		pairs[i].base = max(s.bought/s.asked, leastMean)
	}
}
