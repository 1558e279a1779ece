package train

import (
	"context"
	"fmt"
	"slices"

	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/scoring"
)

// Lookback sees relations as they were known at a snapshot and what came of them in the
// twelve months after it, by the same rules as labels are made. It is for one goroutine.
type Lookback struct {
	f *fitter
	m *scoring.Models

	Then, Until portfolio.Date // outcomes of the days after Then, Until among them
	Relations   int            // of the book
	// Forgotten is how many claims of the year came without recorded_at and were not
	// recorded on the as-of date: what the year cost is not known then.
	Forgotten int
	year      Year
}

// Year is what came of a relation. It is good until the next one.
type Year struct {
	Key     string
	Members []*portfolio.Aggregate // all who are or ever were of it, as engines are given them
	Sheet   []int                  // of each customer below, the place among Members
	// Then are those who were of the relation at the snapshot, as known then; Now the same
	// customers as known when the year's outcomes were in.
	Then, Now []*portfolio.View
	Group     *feature.Group // of Then
	// Known is that an end of the relation was recorded ahead: there was nothing to foretell.
	Known  bool
	Lapsed bool    // the relation ended by a lapse
	Stayed float64 // the share of the year before the end of all policies; 1 where there is none

	bought uint64 // groups
	look   *Lookback
}

// PolicyYear is what a policy that was in force at the snapshot came to.
type PolicyYear struct {
	ID       string
	Exposure float64 // policy-years
	Claims   float64 // with something incurred, those still to be reported among them
	Incurred float64 // EUR, covers apart included, developed, in the money of the year that the models look ahead to
}

// NewLookback reads the book once, for what develops and who moved. Outcomes are those
// known on o.AsOf; the year closed o.Settings.Features.ReportingLag months before.
func NewLookback(ctx context.Context, source Source, m *scoring.Models, o Options) (*Lookback, error) {
	if source == nil || m == nil || o.AsOf == 0 {
		return nil, fault.New(fault.Invalid, "looking back needs a book, models and an as-of date")
	}
	settings := m.Settings
	settings.Features.Exclude = nil // what the models may not read is what an audit asks about
	if o.Ends.Reasons == nil {
		o.Ends = portfolio.DefaultEnds
	}
	o.Ends = o.Ends.Within(settings.Churn.ReplacementDays)
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	o.Settings, o.Snapshots, o.Amounts = &settings, 1, o.AsOf
	f := &fitter{o: o, rates: &rates{}}
	if err := f.newBuyers(); err != nil {
		return nil, err
	}
	if err := f.survey(ctx, source); err != nil {
		return nil, fmt.Errorf("surveying the book: %w", err)
	}
	if f.relations > 0 && f.inForce == 0 {
		return nil, fault.New(fault.Conflict, "the book has no policy in force as of %s", o.AsOf)
	}
	until := o.AsOf.AddMonths(-settings.Features.ReportingLag)
	return &Lookback{f: f, m: m, Then: until.AddMonths(-12), Until: until, Relations: f.relations, Forgotten: f.undated.unknown[0]}, nil
}

// Each gives the relations, one in keep of them by hash: with all who are or ever were of
// it as known on the as-of date, and the year that came of those who were of it at the
// snapshot; nil where nobody was, or had no policy in force.
func (l *Lookback) Each(ctx context.Context, source Source, keep uint64, do func(key string, now []*portfolio.View, members []*portfolio.Aggregate, y *Year) error) error {
	f, n := l.f, 0
	for rel, err := range f.moved.lived(ctx, source) {
		if err != nil {
			return err
		}
		if n++; n%1000 == 0 {
			f.o.Progress("holding scores against what came", n, f.relations)
		}
		if !Kept(rel.Key, 7, keep) {
			continue
		}
		f.then.reset(rel.Members, l.Then, f.o.Ends)
		f.now.reset(rel.Members, f.o.AsOf, f.o.Ends)
		relations, any := 0, false
		f.of, relations = feature.Relations(f.then.all, f.of[:0])
		for r := range relations {
			f.then.only(f.of, r)
			f.now.only(f.of, r)
			portfolio.Relate(f.now.refs)
			if f.then.refs[0].Relation() != rel.Key {
				continue // it has its own turn
			}
			f.then.group.Reset(f.then.refs)
			any = f.then.group.Policies > 0
			if any {
				l.fill(rel, r)
			}
			break
		}
		y := &l.year
		if !any {
			y = nil
		}
		if err := do(rel.Key, f.now.all, rel.Members, y); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lookback) fill(rel Relation, r int) {
	f, y := l.f, &l.year
	*y = Year{Key: rel.Key, Members: rel.Members, Sheet: y.Sheet[:0], Then: f.then.refs, Now: f.now.refs, Group: &f.then.group, Stayed: 1, bought: f.groups.Bought(f.now.refs, f.o.Ends, &f.o.Settings.Nbp, l.Then, l.Until), look: l}
	for i, of := range f.of {
		if of == r {
			y.Sheet = append(y.Sheet, i)
		}
	}
	d := f.o.Settings.Churn.Definition.Relation().Of(y.Group)
	day, _ := churn.End(y.Then, l.Then, l.Then.AddMonths(churn.Horizon), d)
	y.Known = day != 0
	ended, lapsed := churn.End(y.Now, l.Then, l.Until, d)
	y.Lapsed = ended != 0 && lapsed
	if ended, _ := churn.End(y.Now, l.Then, l.Until, churn.All); ended != 0 {
		y.Stayed = float64(ended-l.Then) / float64(l.Until-l.Then)
	}
}

// Policies appends what came of the policies in force and in scope of customer k of Then.
func (y *Year) Policies(k int, to []PolicyYear) []PolicyYear {
	f, l := y.look.f, y.look
	from, until := l.Then+1, l.Until+1
	v, now := y.Then[k], y.Now[k]
	for i := range v.Policies {
		p := &v.Policies[i]
		if !p.InForce(l.Then) || !f.o.Settings.Risk.InScope(p.Branch) {
			continue
		}
		later := now.Policy(p.ID)
		if later == nil {
			continue
		}
		out := PolicyYear{ID: p.ID, Exposure: later.Exposure(from, until)}
		if out.Exposure <= 0 {
			continue
		}
		for j := range now.Claims {
			c := &now.Claims[j]
			if c.PolicyID != p.ID || c.LossDate < from || c.LossDate >= until || c.Status == portfolio.ClaimRejected {
				continue
			}
			line := f.lineOf(p, c)
			n, developed, _ := f.factors(line, c.LossDate, f.o.AsOf)
			years := portfolio.Years(c.LossDate, l.m.Trained.AddMonths(6))
			out.Incurred += c.Incurred().EUR() * developed * exact.Exp(float64(years*exact.Log(1+f.o.Settings.Risk.Inflation)))
			if risk.Counts(c) && !line.apart {
				out.Claims += n
			}
		}
		to = append(to, out)
	}
	return to
}

// Bought reports whether the relation bought a product group in the year.
func (y *Year) Bought(group string) bool {
	at := slices.IndexFunc(y.look.f.groups.Groups, func(g nbp.Group) bool { return g.Code == group })
	return at >= 0 && y.bought>>at&1 == 1
}

// Realised is the margin that customer k brought in the year, EUR, discounted to the
// snapshot; false where it cannot be told, since the premium of a policy was not known, or
// losses count and are not.
func (y *Year) Realised(k int) (float64, bool) {
	l := y.look
	if uncertain(y.Then[k]) || l.Forgotten > 0 && l.m.Settings.Clv.View != clv.Intermediary {
		return 0, false
	}
	return l.m.Settings.Clv.Realise(y.Now[k], l.Then, 12), true
}

// Kept reports whether one relation in keep, by hash with a salt, is this one: which are
// does not depend on the order of a book.
func Kept(key string, salt, keep uint64) bool { return hash(key, salt)%max(1, keep) == 0 }
