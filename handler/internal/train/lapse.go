package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// lapses are the tables and counts of how relations and policies end.
type lapses struct {
	policyLapse, policyOther *table

	policyMonths, policyLapses, policyOthers float64
	months, lapses, others                   float64 // of relations of several policies that count
	// Of ends of the only policy that counts, by a lapse and otherwise, those after which the
	// relation went on: see churn.Book.
	carried [2]struct{ on, all float64 }
	// Of policies that do not count, those that were in force when their relation ended, by
	// a lapse and otherwise, and those of them that ended with it.
	// By how many do: see churn.Book.
	along [2][3]struct{ ended, all float64 }
	// Of policies that ended as their relation lapsed, those that did otherwise.
	otherwise [2][3]struct{ ended, all float64 }

	renewals             *table // with the band of the premium's change as their last field
	renewed              float64
	bands                map[int]*band
	row                  model.Row
	changes              []float64 // at renewals, those of none left out
	changed, unannounced float64
}

// band counts renewals with changes of one band.
type band struct{ lapses, stayed float64 }

// mostChange is the largest change, up or down, that is taken for one of the tariff and not
// for another insured object or a correction. A share of the premium before; our choice,
// because tariffs rarely move by half at a renewal, and another car or cover often does.
const mostChange = 0.5

func (l *lapses) reset(s *churn.Support, fields []model.Field, made func(fields []model.Field, max int) *table, max int) {
	l.policyLapse, l.policyOther = made(fields, max), made(fields, max)
	var order []string
	for k := int(math.Floor(-mostChange / s.Width)); float64(k)*s.Width < mostChange; k++ {
		if order = append(order, strconv.Itoa(k)); k == -1 {
			order = append(order, unchanged)
		}
	}
	l.renewals = made(append(slices.Clone(fields), model.Field{Name: change, Kind: model.Category, Order: strings.Join(order, "|")}), max)
	l.bands = map[int]*band{}
}

// The field of a change's band, and its name where there is no change.
const (
	change    = "change"
	unchanged = "none"
)

// noBand is the number of the band of no change, beyond those of changes.
const noBand = math.MaxInt

// bandOf is the number of a change's band.
func bandOf(v float64, s *churn.Support) int {
	if math.Abs(v) < s.Width/4 {
		return noBand
	}
	return int(math.Floor(v / s.Width))
}

func bandName(k int) string {
	if k == noBand {
		return unchanged
	}
	return strconv.Itoa(k)
}

// hazards adds the months of a relation, and of its policies, until they end or a year has
// passed. Where its end was recorded ahead there is nothing to predict. A relation with one
// policy that counts is learnt from as that policy.
func (f *fitter) hazards(key string, then portfolio.Date) {
	g := &f.then.group
	d := f.o.Settings.Churn.Definition.Relation().Of(g)
	if day, _ := churn.End(f.then.refs, then, then.AddMonths(churn.Horizon), d); day != 0 {
		return
	}
	ended, lapsed := churn.End(f.now.refs, then, then.AddMonths(12), d)
	last := 0 // the month in which it ended
	if ended != 0 {
		last = 1 + feature.MonthsAhead(then, ended)
	}
	several := churn.Counted(g, d) > 0
	if several {
		f.reader.Hazard(feature.Input{View: g.Primary, Group: g}, &f.row)
	}
	f.rates.relations++
	yl, yo := endsBy(lapsed)
	l, keep := &f.lapses, f.months(f.looked.relations)
	for k := 1; k <= 12 && (last == 0 || k <= last); k++ {
		event := portfolio.Date(0)
		if k == last {
			event = ended
		}
		without, with := f.acted.Count(then.AddMonths(k-1), then.AddMonths(k), event)
		f.rates.months += without + with
		f.rates.lapses += float64(yl * with)
		f.rates.others += float64(yo * with)
		if !several {
			continue
		}
		l.months += without + with
		l.lapses += float64(yl * with)
		l.others += float64(yo * with)
		f.apart.months += 1 - without - with
		weight, ok := sampled(k == last, keep.of(&f.reader, k), key, uint64(then), uint64(k))
		if !ok {
			continue
		}
		f.reader.SetMonth(&f.row, k)
		if without > 0 {
			f.lapse.add(key, &f.row, 0, float64(weight*without), 0)
			f.other.add(key, &f.row, 0, float64(weight*without), 0)
		}
		if with > 0 {
			f.lapse.add(key, &f.row, yl, with, 0)
			f.other.add(key, &f.row, yo, with, 0)
		}
	}
	for m, v := range f.then.refs {
		f.policyHazards(key, d, v, f.now.refs[m], last, ended, lapsed)
	}
}

// endsBy is how an end counts for a lapse and for any other end.
func endsBy(lapsed bool) (lapse, other float64) {
	if lapsed {
		return 1, 0
	}
	return 0, 1
}

// thinned is of how many rows without an event one is kept, where there are about so many.
func (f *fitter) thinned(rows, least, most int) uint64 {
	return uint64(min(max(rows/(f.o.MaxRows/2), least), most))
}

// months are of how many months one is kept, those of a renewal and others, where about so
// many lives are looked at, each for a year.
type months struct{ renewal, other uint64 }

func (f *fitter) months(lives int) months {
	return months{f.thinned(2*lives, 1, mostRenewals), f.thinned(12*lives, leastMonths, mostMonths)}
}

func (m months) of(r *feature.Reader, month int) uint64 {
	if r.Renews(month) {
		return m.renewal
	}
	return m.other
}

// sampled is whether a row is kept, and its weight: all with an event, of the others one
// in keep, by what the row is of.
func sampled(event bool, keep uint64, key string, of ...uint64) (float64, bool) {
	if event {
		return 1, true
	}
	return float64(keep), hash(key, of...)%keep == 0
}

// policyHazards adds the months of a customer's policies until they end, with their relation,
// which did in month last, or by themselves, or a year has passed. What is replaced,
// renumbered or transferred is followed no further: it goes on under another number.
func (f *fitter) policyHazards(key string, d churn.Definition, v, now *portfolio.View, last int, gone portfolio.Date, lapsed bool) {
	l, then := &f.lapses, v.AsOf
	counted, ready := churn.Counted(&f.then.group, d), false
	keep := f.months(f.looked.policies)
	for i := range v.Policies {
		p := &v.Policies[i]
		later := now.Policy(p.ID)
		if !p.InForce(then) || p.EndsOn != 0 || later == nil {
			continue
		}
		if !ready {
			f.reader.PolicyHazards(feature.Input{View: v, Group: &f.then.group}, &f.row)
			ready = true
		}
		f.reader.PolicyHazard(i, &f.row)
		ends := 0
		if later.EndDate > then {
			ends = 1 + feature.MonthsAhead(then, later.EndDate)
		}
		f.renewal(key, p, later, ends)
		counts, id := d.Counts(p.Branch), hash(p.ID)
		for k := 1; k <= 12; k++ {
			if k == last {
				without, with := f.acted.Count(gone-1, gone, gone) // who was talked to may keep more
				l.together(churn.Side(d, p), counted, counts, ends == k, lapsed, later, without+with)
			}
			if ends == k && (later.Ended == portfolio.Replaced || later.Ended == portfolio.Transferred) {
				break
			}
			event := portfolio.Date(0)
			if ends == k {
				event = later.EndDate
			}
			yl, yo := endsBy(later.Ended == portfolio.Lapse)
			without, with := f.acted.Count(then.AddMonths(k-1), then.AddMonths(k), event)
			l.policyMonths += without + with
			l.policyLapses += float64(yl * with)
			l.policyOthers += float64(yo * with)
			f.apart.policyMonths += 1 - without - with
			if counts && counted == 0 && ends == k {
				l.carry(yl == 1, k != last, with)
			}
			if weight, ok := sampled(ends == k, keep.of(&f.reader, k), key, id, uint64(then), uint64(k)); ok {
				f.reader.SetPolicyMonth(&f.row, k)
				if without > 0 {
					l.policyLapse.add(key, &f.row, 0, float64(weight*without), 0)
					l.policyOther.add(key, &f.row, 0, float64(weight*without), 0)
				}
				if with > 0 {
					l.policyLapse.add(key, &f.row, yl, with, 0)
					l.policyOther.add(key, &f.row, yo, with, 0)
				}
			}
			if ends == k || k == last && counts {
				break
			}
		}
	}
}

// carry counts an end of the only policy that counts.
func (l *lapses) carry(lapsed, on bool, weight float64) {
	c := &l.carried[1]
	if lapsed {
		c = &l.carried[0]
	}
	if c.all += weight; on {
		c.on += weight
	}
}

// together counts what a policy does as its relation ends: whether it ends too, and how.
func (l *lapses) together(side, counted int, counts, ends, lapsed bool, later *portfolio.PolicyView, weight float64) {
	if o := &l.otherwise[side][counted]; lapsed && ends {
		if o.all++; later.Ended != portfolio.Lapse {
			o.ended++
		}
	}
	if counts {
		return
	}
	a := &l.along[0][counted]
	if !lapsed {
		a = &l.along[1][counted]
	}
	if a.all += weight; ends {
		a.ended += weight
	}
}

// renewal adds a policy's next renewal, if all the months around it lie in the year: with
// what change of the premium, and whether the customer ended the policy in those months.
func (f *fitter) renewal(key string, p, later *portfolio.PolicyView, ends int) {
	l, s, then := &f.lapses, &f.o.Settings.Churn.Changes, f.then.views[0].AsOf
	due := feature.Renewal(p, then)
	if due == 0 || p.AnnualPremium <= 0 || feature.ChangeAnnounced(p, then) {
		return
	}
	month := 1 + feature.MonthsAhead(then, due)
	first, last := month-churn.MonthsBefore, month+churn.MonthsAfter
	if first < 1 || last > 12 || ends > 0 && ends < first {
		return
	}
	by, announced := feature.RenewalChange(later, due)
	k := noBand
	if !(math.Abs(by) < mostChange) {
		return
	}
	if k = bandOf(by, s); k != noBand {
		if l.changed++; !announced {
			l.unannounced++
			return // of those who left the like is not known
		}
		l.changes = append(l.changes, by)
	}
	b := l.bands[k]
	if b == nil {
		b = &band{}
		l.bands[k] = b
	}
	event := portfolio.Date(0)
	if ends > 0 && ends <= last && later.Ended == portfolio.Lapse {
		event = later.EndDate
	}
	without, with := f.acted.Count(then.AddMonths(first-1), then.AddMonths(last), event)
	l.renewed += without + with
	b.lapses += with
	b.stayed += without
	weight, ok := sampled(event != 0, f.thinned(f.looked.policies, 1, mostRenewals), key, hash(p.ID), uint64(then))
	if !ok {
		return
	}
	f.reader.SetPolicyMonth(&f.row, month)
	l.row.Num, l.row.Cat = append(append(l.row.Num[:0], f.row.Num...), math.NaN()), append(append(l.row.Cat[:0], f.row.Cat...), bandName(k))
	if without > 0 {
		l.renewals.add(key, &l.row, 0, float64(weight*without), 0)
	}
	if with > 0 {
		l.renewals.add(key, &l.row, 1, with, 0)
	}
}

// ending are the places of the models of how relations and policies end.
func (f *fitter) ending() []place {
	l, s := &f.lapses, &f.o.Settings.Churn
	of := func(name, title string, t *table, events, at, yearly, apart float64) place {
		own, market := 0.0, ofMonth(yearly)
		if at > 0 {
			own = events / at
		}
		z := s.Credibility(f.foreseen(at, yearly))
		return place{
			name: name, title: title, table: t, loss: model.Logistic, events: events, prior: logit(z*own + (1-z)*market),
			few: s.OwnEvents, apart: apart, note: fmt.Sprintf("weighed with the market's rate as if that were %.0f", s.PriorEvents),
		}
	}
	// Pairs of fields learnt from made books of policies what the next year did not bear out
	// (docs/engines.md).
	policy := of("policy_lapse", "lapse of a policy", l.policyLapse, l.policyLapses, l.policyMonths, s.Market.Lapse, f.apart.policyMonths)
	policy.alone = true
	lapse := of("lapse", "lapse of a relation of several", f.lapse, l.lapses, l.months, s.Market.RelationLapse, f.apart.months)
	lapse.bags = lapseBags
	return []place{
		lapse,
		of("other_end", "other ends of a relation of several", f.other, l.others, l.months, s.Market.RelationOther, f.apart.months),
		policy,
		of("policy_other_end", "other ends of a policy", l.policyOther, l.policyOthers, l.policyMonths, s.Market.Other, f.apart.policyMonths),
	}
}

// ofMonth is the hazard a month that comes to a probability a year.
func ofMonth(yearly float64) float64 { return 1 - math.Pow(1-yearly, 1.0/12) }

// foreseen is how many ends the market would have had in so many months; none of a book in
// which nothing ever ended, since there ends are not recorded.
func (f *fitter) foreseen(months, yearly float64) float64 {
	if f.rates.lapses+f.rates.others+f.lapses.policyLapses+f.lapses.policyOthers == 0 {
		return 0
	}
	return months * ofMonth(yearly)
}

// churn is the engine's model, but for its bands and what went with changes of premiums.
func (f *fitter) churn(learnt map[string]score.Model) *churn.Model {
	s, l := &f.o.Settings.Churn, &f.lapses
	along := func(k int) (out [3]float64) {
		for i, a := range l.along[k] {
			out[i] = s.Market.Along
			if a.all > 0 {
				z := s.Credibility(a.all)
				out[i] = round4(z*a.ended/a.all + (1-z)*s.Market.Along)
			}
		}
		return out
	}
	otherwise := func(side int) (out [3]float64) {
		for i, o := range l.otherwise[side] {
			if o.all > 0 {
				out[i] = round4(s.Credibility(o.all) * o.ended / o.all)
			}
		}
		return out
	}
	both := [2][3]float64{otherwise(0), otherwise(1)}
	carried := [2]float64{}
	for i, c := range l.carried {
		if c.all > 0 {
			carried[i] = round4(s.Credibility(c.all) * c.on / c.all)
		}
	}
	both[0][0] = 0 // the relation's lapse is that of the only policy that counts, or of one that was bought since
	return &churn.Model{
		Definition: s.Definition, Lapse: learnt["lapse"], Other: learnt["other_end"], PolicyLapse: learnt["policy_lapse"], PolicyOther: learnt["policy_other_end"],
		Schema: f.schema,
		Book: churn.Book{
			Relations:  s.Experience(l.lapses, f.foreseen(l.months, s.Market.RelationLapse)),
			Policies:   s.Experience(l.policyLapses, f.foreseen(l.policyMonths, s.Market.Lapse)),
			AlongLapse: along(0), AlongOther: along(1), Otherwise: both, Carried: carried,
			Fade: f.hazardMeans(),
		},
	}
}

// hazardMeans are the hazards a month that all come to in the end, by credibility towards the
// market's.
func (f *fitter) hazardMeans() (out churn.Fade) {
	for _, p := range f.ending() {
		mean := round(1 / (1 + math.Exp(-p.prior)))
		switch p.name {
		case "lapse":
			out.Lapse = mean
		case "other_end":
			out.Other = mean
		case "policy_lapse":
			out.PolicyLapse = mean
		case "policy_other_end":
			out.PolicyOther = mean
		}
	}
	return out
}

func round4(v float64) float64 { return math.Round(1e4*v) / 1e4 }

// changes learns what went with changes of the premium at renewals: a model of who lapses
// around a renewal, of all that the hazards read and of the change, in bands. As the model
// is a sum, the change's table is what goes with it where all else is alike. What tells of
// the change in advance is left out, and so are pairs, which would take a part of it away.
func (f *fitter) changes(ctx context.Context) (churn.Changes, error) {
	l, s := &f.lapses, &f.o.Settings.Churn
	c := churn.Changes{Renewals: l.renewed, Lapses: l.renewals.events()}
	switch {
	case l.unannounced > s.Changes.Unannounced*l.changed:
		c.Why = churn.Unannounced
	case c.Lapses < s.OwnEvents || c.Renewals-c.Lapses < s.OwnEvents || l.bands[noBand] == nil:
		c.Why = churn.TooFew
	}
	if c.Why != "" {
		return c, nil
	}
	frame, target := l.renewals.training(model.Logistic)
	for i, field := range frame.Fields {
		if slices.Contains(feature.Announced, field.Name) {
			for k := range frame.Num[i] {
				frame.Num[i][k] = math.NaN()
			}
		}
	}
	const title = "premium changes"
	m, err := model.Fit(ctx, frame, target, model.Options{
		Seed: f.o.Seed, Bins: 32, Pairs: -1, Tolerance: tolerance, Stirs: stirs, Progress: func(done, total int) { f.o.Progress("learning "+title, done, total) },
	})
	if err != nil {
		return c, fmt.Errorf("learning %s: %w", title, err)
	}
	cells := map[string]model.Cell{}
	for _, cell := range m.Cells() {
		if cell.Term == change && cell.Second == "" {
			cells[cell.First] = cell
		}
	}
	c.Low, c.High = round4(score.Quantile(l.changes, s.Changes.Tail)), round4(score.Quantile(l.changes, 1-s.Changes.Tail))
	w := s.Changes.Width
	for k := int(math.Floor(-mostChange / w)); float64(k)*w < mostChange; k++ {
		near := l.near(k-1, k, k+1)
		inside := float64(k+1)*w > c.Low && float64(k)*w <= c.High
		if b := l.bands[k]; inside && b != nil && near.lapses >= s.Changes.Lapses && near.stayed >= s.Changes.Lapses {
			from, to := float64(float64(k)*w), float64(float64(k+1)*w)
			switch k {
			case -1:
				to = -w / 4
			case 0:
				from = w / 4
			}
			c.Bands = append(c.Bands, bandAt(k, cells, near, from, to))
		}
		if k == -1 {
			none := bandAt(noBand, cells, *l.bands[noBand], -w/4, w/4)
			none.None = true
			c.Bands = append(c.Bands, none)
		}
	}
	if len(c.Bands) == 1 {
		c.Bands, c.Why = nil, churn.TooFew // nothing but renewals without a change
	}
	return c, nil
}

// near adds up bands of changes.
func (l *lapses) near(bands ...int) (out band) {
	for _, k := range bands {
		if b := l.bands[k]; b != nil {
			out.lapses += b.lapses
			out.stayed += b.stayed
		}
	}
	return out
}

// bandAt is a band as the model has it; one that the model says nothing of has the mean's
// effect. Bags share most of their rows, and the model draws neighbours together, so that the
// jackknife over them sees only a part of chance: the error is at least that of the log-odds of
// so many lapses (Woolf 1955).
func bandAt(k int, cells map[string]model.Cell, near band, from, to float64) churn.Band {
	b := churn.Band{From: round4(from), To: round4(to), Lapses: near.lapses}
	counts := math.Sqrt(1/max(near.lapses, 1) + 1/max(near.stayed, 1))
	cell := cells[bandName(k)]
	b.Effect, b.Error = cell.Value, max(cell.Error, round4(counts))
	return b
}
