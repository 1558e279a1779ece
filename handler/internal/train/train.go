// Package train learns the engines' models from a book: it looks back to dates whose
// following twelve months are known, sees each relation as it was known then, and
// learns what came of it.
package train

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/audit"
	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/develop"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/feedback"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
)

// Source yields a book's relations, each time from the beginning. What it yields is
// good until the next step.
type Source func(ctx context.Context) iter.Seq2[[]*portfolio.Aggregate, error]

// Options are how to train. Zero values mean the defaults.
type Options struct {
	AsOf portfolio.Date
	Ends portfolio.EndTable // default portfolio.DefaultEnds
	// BranchNames are the tenant's own. The book has branches; the models need the names for what is sent to be scored.
	BranchNames portfolio.BranchNames
	Settings    *scoring.Settings // default scoring.DefaultSettings
	Seed        uint64
	// Amounts is the date until which amounts of claims may be recorded that came without
	// recorded_at after AsOf; by default AsOf itself. A back-test has them of its own date.
	Amounts   portfolio.Date
	Snapshots int // years looked back on, at most; as the settings have it
	MaxRows   int // rows of one model's table, at most; 120,000. Of policies, which have fewer fields, three times as many
	// Bring are model files of LightGBM's by the names of the models whose places they
	// take: see scoring.Bring.
	Bring map[string][]byte
	// Progress hears how far a stage is, from one goroutine at a time. Stages go side by side.
	Progress func(stage string, done, total int)
	// LeftOut, if not nil, hears which attributes of policies are no features, and why.
	LeftOut func([]feature.LeftOut)
	// Baseline, if not nil, is filled with how features and scores are distributed in the
	// book, for what is compared with it later.
	Baseline *audit.Baseline
}

// What an office may expect where its own book says too little: published orders of
// magnitude, with the weight of so many events of its own.
const (
	priorEvents = 20 // own experience counts n/(n+20) where n events were to be expected
	fewEvents   = 50 // below this nothing but a mean is learnt
)

// A table that is full drops half of its relations, with all that came of them. So that few
// are, rows without an event are thinned out first, and what is kept counts for the rest:
// beside five of each event or more they say little (Breslow and Day 1980, ch. 7). Months
// without an end are to come to half of a table and, since most lapses are theirs, those of
// a renewal to a quarter; relations that did not buy likewise.
const (
	leastMonths  = 4
	mostMonths   = 64
	mostRenewals = 16
	mostNot      = 32
)

// Fit learns all models. Two passes over the book: what attributes there are and what
// claims cost, then the tables. A book without closed years has the market's figures, and so has
// one without customers. One with customers but no policy in force, then or in any snapshot, is
// fault.Conflict: the date is not one of the book's.
func Fit(ctx context.Context, source Source, o Options) (*scoring.Models, error) {
	f, err := look(ctx, source, o)
	if err != nil {
		return nil, err
	}
	if f.relations > 0 && f.inForce == 0 && f.alive == 0 {
		return nil, fault.New(fault.Conflict, "the book has no policy in force as of %s or in the years before it", o.AsOf)
	}
	return f.learn(ctx, source)
}

// Table is what the model of a name is learnt from.
type Table struct {
	Name string // as in Options.Bring
	model.Frame
	model.Target
}

// Tables are what Fit would learn from.
func Tables(ctx context.Context, source Source, o Options) ([]Table, error) {
	f, err := look(ctx, source, o)
	if err != nil {
		return nil, err
	}
	return tables(f.places()), nil
}

func tables(places []place) (out []Table) {
	for _, p := range places {
		frame, target := p.table.training(p.loss)
		out = append(out, Table{p.name, frame, target})
	}
	return out
}

// Engines learns what risk, churn and the next best product predict with, as Fit does, and
// no more: no values, no what-ifs, and nothing is frozen. It is for judging how good they
// are; beside them are the tables that they were learnt from.
func Engines(ctx context.Context, source Source, o Options) (*scoring.Models, []Table, error) {
	f, err := look(ctx, source, o)
	if err != nil {
		return nil, nil, err
	}
	places := f.places()
	m, err := f.engines(ctx, places)
	return m, tables(places), err
}

// look fills the tables.
func look(ctx context.Context, source Source, o Options) (*fitter, error) {
	if source == nil || o.AsOf == 0 {
		return nil, fault.New(fault.Invalid, "training needs a book and an as-of date")
	}
	if o.Ends.Reasons == nil {
		o.Ends = portfolio.DefaultEnds
	}
	if o.Settings == nil {
		s := scoring.DefaultSettings()
		o.Settings = &s
	}
	if err := o.Settings.Check(); err != nil {
		return nil, err
	}
	o.Ends = o.Ends.Within(o.Settings.Churn.ReplacementDays)
	defaultTo(&o.Snapshots, o.Settings.Features.Snapshots)
	defaultTo(&o.MaxRows, 120_000)
	if o.Amounts == 0 {
		o.Amounts = o.AsOf
	}
	if tell := o.Progress; tell == nil {
		o.Progress = func(string, int, int) {}
	} else {
		var mu sync.Mutex
		o.Progress = func(stage string, done, total int) {
			mu.Lock()
			defer mu.Unlock()
			tell(stage, done, total)
		}
	}
	f := &fitter{o: o, rates: &rates{}, brought: map[string]score.Model{}}
	if err := f.newBuyers(); err != nil {
		return nil, err
	}
	if err := f.survey(ctx, source); err != nil {
		return nil, fmt.Errorf("surveying the book: %w", err)
	}
	if err := f.bring(); err != nil {
		return nil, err
	}
	if err := f.collect(ctx, source); err != nil {
		return nil, fmt.Errorf("collecting training rows: %w", err)
	}
	return f, nil
}

func defaultTo(v *int, d int) {
	if *v == 0 {
		*v = d
	}
}

type fitter struct {
	o      Options
	schema feature.PolicySchema
	claims map[string][]float64 // incurred by branch
	caps   map[string]float64

	lines      map[line]*develop.Claims
	patterns   map[line]*pattern
	experience map[string]*experience

	frequency, severity, lapse, other *table
	groups                            *nbp.Grouping
	buyers                            []buyers // by group
	past                              nbp.Past // of the relation then
	premium                           map[string]*mean
	rates                             *rates
	relations, inForce                int // of the book as it is; policies in force
	alive                             int // relations with a policy in force, over the snapshots
	looked                            looked
	moved                             movers
	contacts                          portfolio.Date // the first of the book
	lapses                            lapses
	brought                           map[string]score.Model // by place
	worth                             worth
	lasted                            []lasted
	acted, offered                    feedback.Windows // of the relation at hand, and of an offer to it
	apart                             censored
	undated                           undated

	then, now rel   // as of a snapshot, and of when its labels close
	of        []int // which relation each member was in then
	reader    feature.Reader
	row       model.Row
}

// censored is what was not learnt from because somebody had acted: months at risk, of
// relations and of policies by themselves.
type censored struct{ months, policyMonths float64 }

// undated are claims of rows that came without recorded_at and were not recorded when the
// labels of their year closed.
type undated struct {
	taken   int   // with amounts as they came to be known later
	unknown []int // by snapshot: in scope, and of amounts that are not known at all
}

// forgotten reports whether what claims of a snapshot's year cost is not known.
func (u *undated) forgotten(k int) bool { return u.unknown[k] > 0 }

// years is how many that are.
func (u *undated) years() (n int) {
	for k := range u.unknown {
		if u.forgotten(k) {
			n++
		}
	}
	return n
}

// label is a claim as labels have it: as known when those of its year closed, or, of a row
// that came without recorded_at and was not recorded by then, as it came to be known later;
// and the date of that. False: its amounts are not known.
func (f *fitter) label(c *portfolio.ClaimView, closed portfolio.Date) (portfolio.ClaimView, portfolio.Date, bool) {
	if !c.CurrentOnly {
		return *c, closed, true
	}
	later, ok := c.Since(f.o.Amounts)
	return later, f.o.Amounts, ok
}

// looked is how many relations and policies are looked at, over all snapshots.
type looked struct{ relations, policies int }

type mean struct{ sum, n float64 }

func (m *mean) add(v float64) { m.sum, m.n = m.sum+v, m.n+1 }

// rel is a relation's views as of a date, reused: of all who are its members now, and of
// those among them who were one relation then.
type rel struct {
	views []portfolio.View
	all   []*portfolio.View
	refs  []*portfolio.View
	group feature.Group
}

func (r *rel) reset(members []*portfolio.Aggregate, asOf portfolio.Date, ends portfolio.EndTable) {
	for len(r.views) < len(members) {
		r.views = append(r.views, portfolio.View{})
	}
	r.all = r.all[:0]
	for i, a := range members {
		r.views[i].Reset(a, asOf, ends)
		r.all = append(r.all, &r.views[i])
	}
	r.refs = append(r.refs[:0], r.all...)
}

// only leaves those members of whom of says that they are n.
func (r *rel) only(of []int, n int) {
	r.refs = r.refs[:0]
	for i, v := range r.all {
		if of[i] == n {
			r.refs = append(r.refs, v)
		}
	}
}

// only turns to those members who were relation r then, and to when somebody acted for them.
func (f *fitter) only(members []*portfolio.Aggregate, r int) {
	f.then.only(f.of, r)
	f.now.only(f.of, r)
	portfolio.Relate(f.now.refs)
	f.acted.Reset(&f.o.Settings.Feedback)
	for i, a := range members {
		if f.of[i] == r {
			f.acted.Add(&f.o.Settings.Feedback, a, f.o.AsOf)
		}
	}
}

// untouched is the last day until which the relation at hand went on without anybody having
// acted, from one day to another. What lies behind it counts by its weight, which here is
// the share of relations that are seen whole: what is looked back on has no weights.
func (f *fitter) untouched(from, until portfolio.Date) portfolio.Date {
	day := f.acted.First(from, until)
	if day == 0 || float64(hash(f.then.refs[0].Relation(), uint64(from), 6)>>11)/(1<<53) < f.o.Settings.Feedback.Weight {
		return until
	}
	return day - 1
}

// survey finds the rating factors, and what claims cost by branch.
func (f *fitter) survey(ctx context.Context, source Source) error {
	var s feature.Survey
	f.undated.unknown = make([]int, f.o.Snapshots)
	f.claims, f.premium, f.lines = map[string][]float64{}, map[string]*mean{}, map[line]*develop.Claims{}
	for members, err := range source(ctx) {
		if err != nil {
			return err
		}
		f.relations++
		f.moved.note(members)
		f.now.reset(members, f.o.AsOf, f.o.Ends)
		f.lookAhead()
		for _, v := range f.now.refs {
			for i := range v.Policies {
				p := &v.Policies[i]
				s.Add(p.Policy)
				if p.InForce(f.o.AsOf) {
					f.inForce++
				}
				if p.AnnualPremium > 0 {
					m := f.premium[p.Branch]
					if m == nil {
						m = &mean{}
						f.premium[clone(p.Branch)] = m
					}
					m.add(p.AnnualPremium.EUR())
					if i := f.groups.Of(p.Policy); i >= 0 {
						f.buyers[i].premium.add(p.AnnualPremium.EUR())
					}
				}
			}
			if len(v.Contacts) > 0 {
				if on := v.Contacts[0].At.Date(); f.contacts == 0 || on < f.contacts {
					f.contacts = on
				}
			}
			for i := range v.Claims {
				c := &v.Claims[i]
				p := v.Policy(c.PolicyID)
				if p == nil || !f.o.Settings.Risk.InScope(p.Branch) {
					continue
				}
				as, _, ok := f.label(c, f.o.AsOf)
				if !ok {
					f.forget(c)
				}
				l, counts := f.lineOf(p, &as), risk.Counts(&as)
				if f.lines[l] == nil {
					f.lines[line{clone(l.branch), l.apart}] = develop.NewClaims(f.o.AsOf, f.o.Settings.Risk.Quarters)
				}
				f.lines[l].Add(c, counts)
				if counts && !l.apart && len(f.claims[p.Branch]) < 200_000 {
					f.claims[clone(p.Branch)] = append(f.claims[p.Branch], as.Incurred().EUR())
				}
			}
		}
		if f.relations%1000 == 0 {
			f.o.Progress("looking at the book", f.relations, 0)
		}
	}
	if err := f.o.Settings.Features.CheckAttributes(&s); err != nil {
		return err
	}
	var left []feature.LeftOut
	f.schema, left = s.Schema(f.o.Settings.Features)
	if f.o.LeftOut != nil {
		f.o.LeftOut(left)
	}
	f.reader.Schema = f.schema
	f.caps = map[string]float64{}
	for branch, amounts := range f.claims {
		f.caps[branch] = score.Quantile(amounts, f.o.Settings.Risk.CapQuantile)
	}
	f.develop()
	return nil
}

// snapshot is the date of a snapshot, the last one's first.
func (f *fitter) snapshot(k int) portfolio.Date {
	return f.o.AsOf.AddMonths(-f.o.Settings.Features.ReportingLag - 12*(k+1))
}

// forget notes a claim of which no amount is known. With one claim its whole year is left
// out, policies without claims too: policies that are left out because they claimed would
// leave those that did not.
func (f *fitter) forget(c *portfolio.ClaimView) {
	for k := range f.undated.unknown {
		if then := f.snapshot(k); c.LossDate > then && c.LossDate <= then.AddMonths(12) {
			f.undated.unknown[k]++
		}
	}
}

// lookAhead counts a relation, and its policies, where snapshots will find them.
func (f *fitter) lookAhead() {
	for k := range f.o.Snapshots {
		then, before := f.snapshot(k), f.looked.policies
		for _, v := range f.now.refs {
			for i := range v.Policies {
				p := &v.Policies[i]
				if known := &p.Versions[0]; p.InForce(then) && (known.Undated || known.RecordedAt <= then) {
					f.looked.policies++
				}
			}
		}
		if f.looked.policies > before {
			f.looked.relations++
		}
	}
}

// bring reads the models that are not learnt here.
func (f *fitter) bring() error {
	for _, name := range slices.Sorted(maps.Keys(f.o.Bring)) {
		m, err := scoring.Bring(name, f.o.Bring[name], f.schema, f.groups)
		if err == nil {
			err = f.o.Settings.Allow(m)
		}
		if group, ok := strings.CutPrefix(name, buys); err == nil && ok && !slices.ContainsFunc(f.buyers, func(b buyers) bool { return b.Code == group && b.offered() }) {
			err = fault.New(fault.Invalid, "the group %s is not offered: there is none, or the book has no premium of it", group)
		}
		if err != nil {
			return fmt.Errorf("bringing in %s: %w", name, err)
		}
		f.brought[name] = m
	}
	return nil
}

func clone(s string) string { return string([]byte(s)) }

// made is a table in which what the settings exclude is missing.
func (f *fitter) made(fields []model.Field, max int) *table {
	return newTable(fields, f.o.Settings.Features.Hidden(fields), max)
}

// collect fills the tables, snapshot by snapshot.
func (f *fitter) collect(ctx context.Context, source Source) error {
	f.frequency, f.severity = f.made(f.schema.Fields(), 3*f.o.MaxRows), f.made(f.schema.Fields(), 3*f.o.MaxRows)
	f.lapse, f.other = f.made(f.schema.HazardFields(), f.o.MaxRows), f.made(f.schema.HazardFields(), f.o.MaxRows)
	f.experience = map[string]*experience{}
	f.worth.ends, f.worth.wanted = map[string]*[clv.Ages]seen{}, wares{}
	f.worth.own, f.worth.others = map[*wanted]bool{}, map[*wanted]bool{}
	f.lapses.reset(&f.o.Settings.Churn.Changes, f.schema.PolicyHazardFields(), f.made, f.o.MaxRows)
	n, lag := 0, f.o.Settings.Features.ReportingLag
	for rel, err := range f.moved.lived(ctx, source) {
		if err != nil {
			return err
		}
		for k := range f.o.Snapshots {
			then := f.snapshot(k)
			f.then.reset(rel.Members, then, f.o.Ends)
			// Labels close when what belongs to them should have been reported: what comes
			// to be known later is no label, or older snapshots would know more.
			f.now.reset(rel.Members, then.AddMonths(12+lag), f.o.Ends)
			relations := 0
			f.of, relations = feature.Relations(f.then.all, f.of[:0])
			for r := range relations {
				f.only(rel.Members, r)
				if f.then.refs[0].Relation() != rel.Key {
					continue // it has its own turn
				}
				if f.then.group.Reset(f.then.refs); f.then.group.Policies == 0 {
					continue
				}
				f.alive++
				f.policies(rel.Key, k, then)
				f.hazards(rel.Key, then)
				f.purchases(rel.Key, then)
				f.goesOn(then)
			}
		}
		if n++; n%1000 == 0 {
			f.o.Progress("looking back", n, f.relations)
		}
	}
	f.ofBook()
	return nil
}

func relationKey(members []*portfolio.Aggregate) string {
	if c := members[0].Latest(); c != nil {
		return c.Relation()
	}
	return ""
}

// policies adds each policy in force at snapshot k: what it was then, and its claims in the
// year from the day after, since a loss of the day itself may be known already. A claim
// whose loss lies before its policy or after it counts by its loss date like all others:
// policies are renumbered, and some covers reach back or run off.
func (f *fitter) policies(key string, k int, then portfolio.Date) {
	if f.undated.forgotten(k) {
		return
	}
	from, until := then+1, then.AddMonths(12)+1
	for m, v := range f.then.refs {
		in := feature.Input{View: v, Group: &f.then.group}
		f.reader.Policies(in)
		now := f.now.refs[m]
		for i := range v.Policies {
			p := &v.Policies[i]
			if !p.InForce(then) || !f.o.Settings.Risk.InScope(p.Branch) {
				continue
			}
			later := now.Policy(p.ID)
			if later == nil {
				continue
			}
			exposure := later.Exposure(from, until)
			if exposure <= 0 {
				continue
			}
			x := f.seen(p.Branch)
			x.exposure += exposure
			x.year(k).exposure += exposure
			claims, amount := 0.0, 0.0
			for j := range now.Claims {
				c := &now.Claims[j]
				if c.PolicyID != p.ID || c.LossDate < from || c.LossDate >= until {
					continue
				}
				as, known, ok := f.label(c, now.AsOf)
				if !ok {
					continue
				}
				if c.CurrentOnly {
					f.undated.taken++
				}
				if learnt, a := f.claim(x, k, f.lineOf(p, &as), &as, known); learnt {
					claims++
					amount += a
				}
			}
			f.rates.exposure += exposure
			f.rates.claims += claims
			f.reader.Policy(f.schema, i, &f.row)
			f.frequency.add(key, &f.row, claims, 1, exposure)
			if claims > 0 {
				f.severity.add(key, &f.row, amount/claims, claims, 0)
			}
		}
	}
}

// rates are the book's own means.
type rates struct {
	exposure, claims                  float64
	relations, months, lapses, others float64
}

// shrunk is a rate of the book's own, by credibility towards the market's: as if the market
// had been seen for as long as it takes to so many events. A book in which nothing ever
// happened did not record it.
func shrunk(events, at, market float64) float64 {
	if events <= 0 {
		return market
	}
	return (events + priorEvents) / (at + priorEvents/market)
}

// place is a model to be learnt.
type place struct {
	name, title   string
	table         *table
	loss          model.Loss
	events, prior float64 // of the book; the link of the mean, where they are few
	few           float64 // fewer events than this are
	note          string  // how the mean came about then
	caveat        string  // of what it is learnt from, in any case
	apart         float64 // of what was at risk, what was left out because somebody had acted
	buyers        *buyers // of a group's model, which is learnt beside that of all; else nil
	alone         bool    // no fields act together
	bags          int     // models averaged; 0: usualBags
}

// Bags of a model. On made books of 10,000 customers four explained 2% more of relations'
// lapses than two, and eight 5% more of all groups' purchases; of claims, of what a policy
// or a group does by itself, and of the many other ends, no more (docs/engines.md).
const usualBags, lapseBags, buyBags = 2, 4, 8

// places are the models to be learnt, in their order.
func (f *fitter) places() []place {
	r, market := f.rates, f.o.Settings.Risk.Expected("")
	caveat := f.undated.say(f.o)
	few, note := f.o.Settings.Risk.MinimumEvents, fmt.Sprintf("weighed with the market's rate as if that were %d", priorEvents)
	out := []place{
		{name: "frequency", title: "claim frequency", table: f.frequency, loss: model.Poisson, events: r.claims, prior: math.Log(shrunk(r.claims, r.exposure, market.Frequency)), few: few, note: note, caveat: caveat},
		{name: "severity", title: "claim severity", table: f.severity, loss: model.Gamma, events: r.claims, prior: math.Log(market.Severity), few: few, note: note, caveat: caveat},
	}
	out = append(append(out, f.ending()...), f.common())
	for i := range f.buyers {
		if b := &f.buyers[i]; b.offered() {
			out = append(out, b.place(&f.o.Settings.Nbp))
		}
	}
	return out
}

// learn fits the tables side by side, as far as none needs what another gives, then scores
// the book once to freeze its distributions. Whatever comes first, the models are the same.
func (f *fitter) learn(ctx context.Context, source Source) (*scoring.Models, error) {
	var changes churn.Changes
	m, err := f.engines(ctx, f.places(),
		func(ctx context.Context, m *scoring.Models) error { return f.learnFade(ctx, source, m.Churn) },
		func(ctx context.Context, _ *scoring.Models) (err error) {
			changes, err = f.changes(ctx)
			return err
		})
	if err != nil {
		return nil, err
	}
	m.Churn.Book.Changes = changes
	if err := f.value(ctx, source, m); err != nil {
		return nil, err
	}
	if err := f.freeze(ctx, source, m); err != nil {
		return nil, err
	}
	return m, f.baseline(ctx, source, m)
}

// engines fits the models of risk, churn and the next best product, and finds the levels
// of branches and groups. What is to be done beside needs the models of risk and churn.
func (f *fitter) engines(ctx context.Context, places []place, beside ...func(context.Context, *scoring.Models) error) (*scoring.Models, error) {
	learnt, means := maps.Clone(f.brought), map[string]bool{}
	var first, groups []place
	for _, p := range places {
		switch {
		case learnt[p.name] != nil:
		case p.buyers == nil:
			first = append(first, p)
		default:
			groups = append(groups, p)
		}
		if learnt[p.name] == nil {
			means[p.name] = p.tooFew()
		}
	}
	var mu sync.Mutex
	one := func(ctx context.Context, p place, common score.Model) error {
		m, err := f.one(ctx, p, common)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			learnt[p.name] = m
		}
		return err
	}
	// The longest first, so that no processor waits long for the last.
	slices.SortStableFunc(first, func(a, b place) int { return cmp.Compare(b.table.n, a.table.n) })
	g, gctx := sideBySide(ctx)
	for _, p := range first {
		g.Go(func() error { return one(gctx, p, nil) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	m := &scoring.Models{
		Trained: f.o.AsOf, Settings: *f.o.Settings, Ends: f.o.Ends, BranchNames: f.o.BranchNames, ContactsSince: f.contacts,
		Risk:  &risk.Model{Frequency: learnt["frequency"], Severity: learnt["severity"], Schema: f.schema, Branches: f.levels(learnt["frequency"], learnt["severity"])},
		Churn: f.churn(learnt),
		Nbp:   &nbp.Model{Common: learnt[buy], Groups: map[string]score.Model{}, Fitted: map[string]nbp.Fitted{}, Premium: map[string]float64{}},
	}
	for b, p := range f.premium {
		m.Nbp.Premium[b] = math.Round(100*p.sum/p.n) / 100
	}
	common := learnt[buy]
	g, gctx = sideBySide(ctx)
	for _, do := range beside {
		g.Go(func() error { return do(gctx, m) })
	}
	for _, p := range groups {
		g.Go(func() error { return one(gctx, p, common) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i := range f.buyers {
		b := &f.buyers[i]
		if !b.offered() {
			continue
		}
		name := buys + b.Code
		m.Nbp.Groups[b.Code] = learnt[name]
		fitted, err := b.fitted(&f.o.Settings.Nbp, m.Nbp, !means[name], f.brought[name] != nil)
		if err != nil {
			return nil, err
		}
		m.Nbp.Fitted[b.Code] = fitted
	}
	return m, nil
}

// sideBySide is a group of as many goroutines as there are processors.
func sideBySide(ctx context.Context) (*errgroup.Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	return g, ctx
}

// value learns how policies and customers go on, and holds values against what came. It
// needs the models of all other engines.
func (f *fitter) value(ctx context.Context, source Source, m *scoring.Models) error {
	m.Clv = f.learnWorth()
	f.learnFrailty(m.Risk.Frequency, m.Clv)
	if err := f.learnWants(ctx, source, m); err != nil {
		return err
	}
	seen, err := f.lookBack(ctx, source, m)
	if err != nil {
		return err
	}
	calibrate(m.Clv, &m.Settings.Clv, seen)
	return nil
}

func places4(v float64) float64 { return math.Round(1e4*v) / 1e4 }

func places6(v float64) float64 { return math.Round(1e6*v) / 1e6 }

func logit(p float64) float64 { return math.Log(p / (1 - p)) }

// tooFew reports whether nothing but a mean can be learnt.
func (p *place) tooFew() bool { return p.events < p.few && (p.loss != model.Gamma || p.events < 1) }

// one learns a model; common is that of who buys anything, beside which a group's is learnt.
func (f *fitter) one(ctx context.Context, p place, common score.Model) (*model.Model, error) {
	t := p.table
	var offset []float64
	if p.buyers != nil {
		offset = t.links(common)
	}
	if p.tooFew() {
		note := fmt.Sprintf("the mean alone: %.0f events in the book; %s", p.events, p.note)
		meta := model.Meta{Name: p.title, Trained: f.o.AsOf.String(), Rows: t.n, Events: p.events, Censored: places4(p.apart), Note: joined(note, p.caveat)}
		if p.buyers != nil {
			var err error
			if p.prior, err = p.buyers.beside(common, offset, &f.o.Settings.Nbp); err != nil {
				return nil, err
			}
		}
		return model.Constant(t.fields, p.loss, p.prior, "").Lean().WithMeta(meta), nil
	}
	frame, target := t.training(p.loss)
	target.Offset = offset
	opts := model.Options{Loss: p.loss, Seed: f.o.Seed, Bins: 32, Bags: cmp.Or(p.bags, usualBags), Pairs: 4, Stirs: stirs, Lean: true, Progress: func(done, total int) { f.o.Progress("learning "+p.title, done, total) }}
	if p.buyers == nil { // a group's few rows gain little by little, and are soon gone through
		opts.Tolerance = tolerance
	}
	if p.alone {
		opts.Pairs = -1
	}
	if p.loss == model.Gamma {
		opts.Prior = &p.prior
	}
	m, err := model.Fit(ctx, frame, target, opts)
	if err != nil {
		return nil, fmt.Errorf("learning %s: %w", p.title, err)
	}
	meta := m.Meta()
	meta.Name, meta.Trained, meta.Events, meta.Censored = p.title, f.o.AsOf.String(), p.events, places4(p.apart)
	meta.Note = joined(meta.Note, p.caveat)
	return m.WithMeta(meta), nil
}

// joined are two notes, as far as there are any.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// say is what was left out and what was assumed; "" where nothing was.
func (u *undated) say(o Options) string {
	said := ""
	if u.taken > 0 {
		said = fmt.Sprintf("%d claims of rows without recorded_at are taken with their amounts as known on %s", u.taken, o.Amounts)
	}
	switch n := u.years(); {
	case n == 1:
		said = joined(said, fmt.Sprintf("1 of %d years of claims is left out: amounts were not recorded by %s", o.Snapshots, o.Amounts))
	case n > 1:
		said = joined(said, fmt.Sprintf("%d of %d years of claims are left out: amounts were not recorded by %s", n, o.Snapshots, o.Amounts))
	}
	return said
}

// What is not worth a fit's time: a gain on the rows held out of one bag, in nats (by
// likelihood ratio a parameter that says nothing gains half of one), and a change of all
// values of a field, on the link, far below their standard errors. Our choice.
const (
	tolerance = 0.25
	stirs     = 0.003
)

// freezeSample is how many customers the distributions are frozen from, at most.
const freezeSample = 50_000

// percentiles are 101 points of the values' distribution; none of no values.
func percentiles(values []float64) []float64 {
	if len(values) == 0 {
		return nil
	}
	var out []float64
	for i := range 101 {
		out = append(out, score.Quantile(values, float64(i)/100))
	}
	return out
}

// freeze scores the book and keeps the distributions that scores are places in.
func (f *fitter) freeze(ctx context.Context, source Source, m *scoring.Models) error {
	m.Risk.Quantiles, m.Risk.LossQuantiles = nil, nil
	scorer, err := scoring.New(m)
	if err != nil {
		return err
	}
	var ratios, losses, lapses, values, chances, offers []float64
	usual := newUsual(f.schema)
	var referee scoring.Referee
	var subjects []scoring.Subject
	keep := max(1, f.relations/freezeSample)
	n := 0
	for rel, err := range f.moved.lived(ctx, source) {
		if err != nil {
			return err
		}
		if n++; hash(rel.Key, 1, 2)%uint64(keep) != 0 {
			continue
		}
		subjects = subjects[:0]
		for _, a := range rel.Members {
			subjects = append(subjects, scoring.Subject{Aggregate: a})
		}
		f.now.reset(rel.Members, f.o.AsOf, f.o.Ends)
		f.usual(usual, rel.Key, max(1, f.relations/usualSample))
		for i, sh := range scorer.Relation(subjects, f.o.AsOf, scoring.NewSet(scoring.Engines...)) {
			if f.now.all[i].Relation() != rel.Key {
				continue
			}
			referee.Add(&sh)
			if sh.Risk.Status == score.Scored {
				losses = append(losses, sh.Risk.PerPolicy())
				if !math.IsNaN(sh.Risk.Ratio) {
					ratios = append(ratios, sh.Risk.Ratio)
				}
			}
			if sh.Churn.Status == score.Scored {
				lapses = append(lapses, sh.Churn.Headline[12])
			}
			if sh.Clv.Status == score.Scored {
				values, chances = append(values, sh.Clv.Value), append(chances, sh.Churn.Lapsed[12])
			}
			if len(sh.Nbp.Offers) > 0 {
				offers = append(offers, sh.Nbp.Offers[0].Probability)
			}
		}
		if n%1000 == 0 {
			f.o.Progress("freezing distributions", n, f.relations)
		}
	}
	m.Risk.Quantiles, m.Risk.LossQuantiles = percentiles(ratios), percentiles(losses)
	m.Risk.Bands = score.Bands{50, 80, 95}
	m.Churn.Bands, m.Nbp.Bands = score.Cuts(lapses), score.Cuts(offers)
	m.Clv.Freeze(values, chances)
	m.Usual = usual.found()
	m.Usual.Reference = referee.Reference()
	return nil
}
