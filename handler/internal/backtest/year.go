package backtest

import (
	"context"
	"iter"
	"math"
	"slices"

	"polis/handler/internal/care"
	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

// longest is the longest window over which value is held against what came, in months: as
// long as its engine learns from.
const longest = 36

// year is one as of which the book is scored, with the cases that come of it.
type year struct {
	Year
	w     *walk
	until portfolio.Date // the last day of what came

	relations, policies []row // who lapsed
	claims, losses      []row // of policies in force
	values              []valued
	pairs               []row   // of a relation and a group that it could buy
	asked               []int32 // relations that could buy
	buyers              []buyer
	barred              []int32 // relations that bought nothing but what could not be offered

	e                        engines
	then, came, later, today views
	group                    feature.Group
	of                       []int
	risk                     risk.Result
	churn                    churn.Result
	worth                    clv.Result
	offers                   nbp.Result
	reader                   feature.Reader
	row                      model.Row
	past                     nbp.Past
	candidates               []candidate
}

// newYear is the one that began so many years before the last.
func newYear(w *walk, before int) *year {
	then := w.asOf(before)
	return &year{
		w: w, until: then.AddMonths(12),
		Year: Year{AsOf: then, Known: then.AddMonths(12 + w.lag), Months: min(12*(before+1), longest)},
	}
}

// engines are those of a year's models.
type engines struct {
	models *scoring.Models
	risk   *risk.Engine
	churn  *churn.Engine
	clv    *clv.Engine
	nbp    *nbp.Engine
	demand *clv.Demand
	groups *nbp.Grouping
}

// assemble readies the engines of a year: value looks ahead as far as it can be held
// against what came, and of offers all are ranked.
func (e *engines) assemble(m *scoring.Models, months int) error {
	rules, err := care.Compile(&m.Settings.Care)
	if err != nil {
		return err
	}
	careful, err := care.New(rules, care.Book{Sold: m.Nbp.Sold(), ContactsSince: m.ContactsSince})
	if err != nil {
		return err
	}
	offers, worth := m.Settings.Nbp, m.Settings.Clv
	offers.Offers, offers.Explained, worth.HorizonMonths = math.MaxInt, 0, months
	if e.nbp, err = nbp.New(m.Nbp, &offers); err != nil {
		return err
	}
	if e.groups, err = nbp.NewGrouping(m.Settings.Nbp.Groups); err != nil {
		return err
	}
	e.models, e.risk, e.churn, e.clv = m, risk.New(m.Risk, &m.Settings.Risk, careful), churn.New(m.Churn), clv.New(worth, m.Clv)
	e.demand = clv.NewDemand(m.Clv, e.nbp)
	return nil
}

// views are a relation's as of a date, reused: of all who are or were its members, and of
// those among them who were one relation then.
type views struct {
	own  []portfolio.View
	all  []*portfolio.View
	refs []*portfolio.View
}

func (s *views) reset(members []*portfolio.Aggregate, asOf portfolio.Date, ends portfolio.EndTable) {
	for len(s.own) < len(members) {
		s.own = append(s.own, portfolio.View{})
	}
	s.all = s.all[:0]
	for i, a := range members {
		s.own[i].Reset(a, asOf, ends)
		s.all = append(s.all, &s.own[i])
	}
}

func (s *views) only(of []int, n int) {
	s.refs = s.refs[:0]
	for i, v := range s.all {
		if of[i] == n {
			s.refs = append(s.refs, v)
		}
	}
}

// score scores every relation that there was on the year's date, and notes what came.
func (y *year) score(ctx context.Context, lived func(context.Context) iter.Seq2[train.Relation, error], m *scoring.Models, progress func(done int)) error {
	if err := y.e.assemble(m, y.Months); err != nil {
		return err
	}
	ends, n, undated := y.w.o.Ends, 0, 0
	for rel, err := range lived(ctx) {
		if err != nil {
			return err
		}
		y.then.reset(rel.Members, y.AsOf, ends)
		y.came.reset(rel.Members, y.Known, ends)
		y.later.reset(rel.Members, y.AsOf.AddMonths(y.Months+y.w.lag), ends)
		y.today.reset(rel.Members, y.w.o.AsOf, ends)
		relations := 0
		y.of, relations = feature.Relations(y.then.all, y.of[:0])
		for k := range relations {
			for _, s := range [...]*views{&y.then, &y.came, &y.later, &y.today} {
				s.only(y.of, k)
				portfolio.Relate(s.refs)
			}
			if y.then.refs[0].Relation() != rel.Key {
				continue // it has its own turn
			}
			if y.group.Reset(y.then.refs); y.group.Policies == 0 {
				continue
			}
			y.Relations++
			if y.group.Undated {
				undated++
			}
			if spread(rel.Key)%uint64(y.w.oneIn()) == 0 {
				y.relation(y.w.number(rel.Key))
			}
		}
		if n++; n%500 == 0 {
			progress(n)
		}
	}
	if y.Relations > 0 {
		y.Undated = round(float64(undated) / float64(y.Relations))
	}
	if y.Forgotten > 0 {
		y.claims, y.losses = nil, nil
	}
	y.e = engines{} // their models are not needed any more
	return nil
}

// relation scores one, and notes what came of it. Who objects to profiling today is not
// looked back on either (GDPR art. 21).
func (y *year) relation(key int32) {
	objects := func(i int) bool { return feature.Objects(y.then.refs[i]) || feature.Objects(y.today.refs[i]) }
	primary := slices.Index(y.then.refs, y.group.Primary)
	if objects(primary) {
		y.Objected++
		return
	}
	y.lapse(key, objects)
	y.e.clv.Begin(&y.group, &y.churn)
	y.e.nbp.Relation(&y.group, nil)
	y.e.demand.Begin(&y.group)
	for i, v := range y.then.refs {
		if objects(i) {
			continue
		}
		in := feature.Input{View: v, Group: &y.group}
		y.e.risk.Score(in, &y.risk)
		y.cost(key, i)
		y.value(key, i, in)
		if i == primary {
			y.offer(key, in)
		}
	}
}
