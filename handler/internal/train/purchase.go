package train

import (
	"fmt"
	"math"
	"strconv"

	"polis/handler/internal/churn"
	"polis/handler/internal/exact"
	"polis/handler/internal/feature"
	"polis/handler/internal/feedback"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// buyers is what training gathers of a group: who could buy it, and who did.
type buyers struct {
	*nbp.Group
	table   *table
	premium mean
	asked   float64 // relation-years
	bought  float64
	book    float64 // see ofBook
	apart   float64 // relation-years after an offer that somebody made
}

// offered reports whether the book has a premium of the group.
func (b *buyers) offered() bool { return b.premium.n > 0 }

func (f *fitter) newBuyers() error {
	g, err := nbp.NewGrouping(f.o.Settings.Nbp.Groups)
	if err != nil {
		return err
	}
	f.groups = g
	for i := range g.Groups {
		f.buyers = append(f.buyers, buyers{Group: &g.Groups[i], table: f.made(g.Fields(), f.o.MaxRows/4)})
	}
	return nil
}

// purchases adds, for each group that the relation did not hold, nor was about to, whether
// it bought it within a year. Buying competes with going away: a relation that ends within
// the year and has not bought counts for the share of it in which it could have, so that
// what is learnt is the probability of one that stays. Who objects to profiling is not
// learnt from.
func (f *fitter) purchases(key string, then portfolio.Date) {
	until := then.AddMonths(12)
	g := &f.then.group
	if feature.Objects(g.Primary) {
		return
	}
	segment := portfolio.Private
	if c := g.Primary.Customer; c != nil && c.Segment == portfolio.Business {
		segment = portfolio.Business
	}
	f.past.Reset(f.groups, g.Views)
	f.groups.Row(&f.reader, g, &f.past, &f.row)
	bought, last, stayed := f.groups.Bought(f.now.refs, f.o.Ends, &f.o.Settings.Nbp, then, until), until, 1.0
	if ended, _ := churn.End(f.now.refs, then, until, churn.All); ended != 0 {
		last, stayed = ended, float64(ended-then)/float64(until-then)
	}
	// Of a large book the many who do not buy are thinned out, and the few who do are kept.
	not := uint64(min(max(f.looked.relations/(f.o.MaxRows/8), 1), mostNot))
	for i := range f.buyers {
		b := &f.buyers[i]
		f.groups.About(i, &f.past, &f.row)
		switch {
		case (f.past.Held|f.past.Soon)>>i&1 == 1 || !b.Fits(segment):
		case bought>>i&1 == 1:
			without, with := f.offers(b).Count(then, until, f.groups.First(f.now.refs, f.o.Ends, &f.o.Settings.Nbp, then, until, 1<<i))
			b.asked, b.bought = b.asked+without+with, b.bought+with
			b.apart += 1 - without - with
			if without > 0 {
				b.table.add(key, &f.row, 0, without, 0)
			}
			if with > 0 {
				b.table.add(key, &f.row, 1, with, 0)
			}
		default:
			without, _ := f.offers(b).Count(then, last, 0)
			b.apart += float64(stayed * (1 - without))
			b.asked += float64(stayed * without)
			if without > 0 && hash(key, uint64(then), uint64(i))%not == 0 {
				b.table.add(key, &f.row, 0, float64(stayed*without)*float64(not), 0)
			}
		}
	}
}

// offers are the windows in which the group was offered to the relation at hand.
func (f *fitter) offers(b *buyers) *feedback.Windows {
	f.acted.Offers(&f.offered, b.Code, b.Branch)
	return &f.offered
}

// rate is the group's a year, by credibility between the book's own and the market's.
func (b *buyers) rate(s *nbp.Settings) float64 {
	own, expected := 0.0, b.expected(s)
	if b.asked > 0 {
		own = min(b.bought/b.asked, mostRate)
	}
	z := b.credibility(s)
	return float64(z*own) + float64((1-z)*expected)
}

// expected is the group's rate before anything is seen of it: the market's, by as much as
// the book's purchases of all groups together differ from what the market would have.
func (b *buyers) expected(s *nbp.Settings) float64 {
	return min(float64(s.MarketOf(b.Group).Rate*b.book), mostRate)
}

// ofBook finds how purchases of all groups together differ from the market's: a group of
// which little is seen is in that like the others.
func (f *fitter) ofBook() {
	s := &f.o.Settings.Nbp
	as := max(s.PriorEvents, 1) // as many purchases at the market's rate
	bought, market := as, as
	for i := range f.buyers {
		if b := &f.buyers[i]; b.offered() {
			bought += b.bought
			market += float64(b.asked * s.MarketOf(b.Group).Rate)
		}
	}
	for i := range f.buyers {
		f.buyers[i].book = bought / market
	}
}

// credibility is what the group's own rate counts.
func (b *buyers) credibility(s *nbp.Settings) float64 {
	return s.Credibility(b.asked * b.expected(s))
}

// mostRate, purchases per relation-year at risk, keeps a book in which everybody bought
// from saying that everybody will: the logit of one has no end. Our choice, far above any
// group's rate, so that it touches only books of a handful of customers.
const mostRate = 0.99

// place is where the group's model comes.
func (b *buyers) place(s *nbp.Settings) place {
	return place{
		name: buys + b.Code, title: "purchase of " + b.Code, table: b.table, loss: model.Logistic, events: b.table.events(),
		few: s.OwnEvents, prior: logit(b.rate(s)), note: noteOf(s), buyers: b, apart: b.apart,
	}
}

// buys is the name of the model of who buys anything; with a group after it, of that group.
const (
	buy  = "buy"
	buys = "buy_"
)

func noteOf(s *nbp.Settings) string {
	return "weighed with the market's rate as if that were " + strconv.FormatFloat(s.PriorEvents, 'g', 3, 64)
}

// common is where the model of all groups together comes: its rows are theirs, and of
// those that did not buy as few as the table takes.
func (f *fitter) common() place {
	t := f.made(f.groups.Fields(), math.MaxInt)
	rows, bought, rate := 0, 0.0, 0.0
	for i := range f.buyers {
		if b := &f.buyers[i]; b.offered() {
			rows += b.table.n
		}
	}
	keep := uint64(rows/(f.o.MaxRows/2) + 1)
	row := model.Row{Num: make([]float64, len(t.fields)), Cat: make([]string, len(t.fields))}
	for i := range f.buyers {
		b := &f.buyers[i]
		if !b.offered() {
			continue
		}
		for k := range b.table.n {
			w := b.table.weight[k]
			if b.table.y[k] == 0 {
				if hash(b.table.group[k], uint64(i), uint64(k))%keep != 0 {
					continue
				}
				w *= float64(keep)
			}
			r := b.table.row(k, row)
			t.add(b.table.group[k], &r, b.table.y[k], w, 0)
		}
		bought += b.bought
		rate += float64(b.rate(&f.o.Settings.Nbp) * max(b.asked, 1))
	}
	asked := 0.0
	for i := range f.buyers {
		if b := &f.buyers[i]; b.offered() {
			asked += max(b.asked, 1)
		}
	}
	apart := 0.0
	for i := range f.buyers {
		apart += f.buyers[i].apart
	}
	prior := f.o.Settings.Nbp.MarketDefault.Rate
	if asked > 0 {
		prior = rate / asked
	}
	s := &f.o.Settings.Nbp
	return place{name: buy, title: "purchase of anything", table: t, loss: model.Logistic, events: t.events(), few: s.OwnEvents, prior: onGrid(logit(prior)), note: noteOf(s), apart: apart, bags: buyBags}
}

// links are the model's on the table's rows.
func (t *table) links(m score.Model) []float64 {
	links := make([]float64, t.n)
	row := model.Row{Num: make([]float64, len(t.fields)), Cat: make([]string, len(t.fields))}
	for i := range links {
		links[i] = m.Score(t.row(i, row), nil)
	}
	return links
}

// beside is what to add to the common model so that the group's mean is its rate.
func (b *buyers) beside(common score.Model, offset []float64, s *nbp.Settings) (float64, error) {
	if b.table.n == 0 { // nobody could buy: the common model has its intercept alone
		return onGrid(logit(b.rate(s)) - common.Score(model.Row{}, nil)), nil
	}
	return b.shift(offset, b.rate(s))
}

// shift takes the mean over the group's rows to a rate.
func (b *buyers) shift(links []float64, rate float64) (float64, error) {
	shift, err := score.Shift(rate, func(shift float64) (float64, float64, error) {
		sum, slope, weight := 0.0, 0.0, 0.0
		for i, l := range links {
			e := exact.Exp(l + shift)
			p := e / (1 + e)
			weight += b.table.weight[i]
			sum += float64(b.table.weight[i] * p)
			slope += float64(b.table.weight[i] * float64(p*(1-p)))
		}
		return sum / weight, slope / weight, nil
	})
	if err != nil {
		return 0, fmt.Errorf("taking %s to a rate: %w", b.Code, err)
	}
	return onGrid(shift), nil
}

// onGrid keeps six decimals, as near as a model's values can be added to exactly.
func onGrid(v float64) float64 { return model.OnGrid(places6(v)) }

// fitted says what the group's model rests on; learnt is whether that is more than a mean,
// and alone whether it is all there is.
func (b *buyers) fitted(s *nbp.Settings, m *nbp.Model, learnt, alone bool) (nbp.Fitted, error) {
	out := nbp.Fitted{
		Alone: alone, Basis: nbp.Blended, Weight: places4(b.credibility(s)), Purchases: b.bought,
		Premium: places4(b.premium.sum / b.premium.n),
	}
	if b.asked > 0 {
		out.Rate = places6(b.bought / b.asked)
	}
	switch {
	case learnt:
		out.Basis, out.Weight = nbp.Own, 1
	case b.asked <= 0:
		out.Basis = nbp.FromMarket
	}
	links := b.table.links(m.Groups[b.Code])
	if !alone {
		for i, l := range b.table.links(m.Common) {
			links[i] += l
		}
	}
	market := s.MarketOf(b.Group).Rate
	if b.table.n == 0 {
		out.Shift = onGrid(logit(market) - logit(b.rate(s)))
		return out, nil
	}
	shift, err := b.shift(links, market)
	out.Shift = shift
	return out, err
}
