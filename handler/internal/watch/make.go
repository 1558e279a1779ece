// Package watch keeps an eye on tenants' models: it makes audits from their books, on
// demand and once a month, keeps the monthly ones and says that they are there.
package watch

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/audit"
	"polis/handler/internal/book"
	"polis/handler/internal/enrichment"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/feedback"
	"polis/handler/internal/measure"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

// How many relations are looked at, at most, by hash: what is kept of each is some hundred
// bytes, so that a book of any size takes the same memory. An event rate of 5% is then off
// by chance by a hundredth of it, an index by less than a hundredth. Our choice.
const (
	judged  = 50_000 // for calibration
	counted = 20_000 // for drift
	asked   = 10_000 // for proxies
)

// Options are what an audit is made with.
type Options struct {
	Tenant   string
	AsOf     portfolio.Date
	Ends     portfolio.EndTable
	Baseline *audit.Baseline // of the models; nil where there is none
	Digest   string          // of its file, SHA-256 in hex
	Missing  string          // why there is none
	// Refit is to hold outcomes against models that did not see them: trained under the same
	// settings as of the day that the outcomes follow.
	Refit    bool
	Progress func(stage string, done, total int)
}

// Relations yields a tenant's book, with when somebody acted for its customers.
func Relations(b *book.Book, t book.Tenant) train.Source {
	return func(ctx context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			var members []*portfolio.Aggregate
			for bucket := range t.Buckets {
				for rel, err := range b.Relations(ctx, t, bucket, nil) {
					if err != nil {
						yield(nil, err)
						return
					}
					members = members[:0]
					for _, m := range rel.Members {
						if m.Err != nil {
							continue
						}
						h, err := feedback.Read(m.Feedback)
						if err != nil {
							yield(nil, err)
							return
						}
						m.Aggregate.Actions = h.Actions(nil)
						members = append(members, m.Aggregate)
					}
					if len(members) > 0 && !yield(members, nil) {
						return
					}
				}
			}
		}
	}
}

// Make audits models on a book. It reads the book twice; with Refit as often again as a
// training does.
func Make(ctx context.Context, source train.Source, m *scoring.Models, o Options) (*audit.Report, error) {
	if source == nil || m == nil || o.AsOf == 0 {
		return nil, fault.New(fault.Invalid, "an audit needs a book, models and an as-of date")
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	r := &audit.Report{
		Tenant: o.Tenant, AsOf: o.AsOf, Model: audit.Model{Version: m.Version, Trained: m.Trained}, Settings: m.Settings.Audit.Clone(),
		Calibration: []audit.Measure{}, Proxies: []audit.Proxy{}, Drift: []audit.Shift{}, DriftNote: o.Missing, Rows: []audit.DriftRows{},
	}
	tried := m
	if o.Refit {
		then := o.AsOf.AddMonths(-m.Settings.Features.ReportingLag).AddMonths(-12)
		var err error
		if tried, err = train.Fit(ctx, source, train.Options{AsOf: then, Amounts: o.AsOf, Ends: o.Ends, Settings: &m.Settings, Progress: o.Progress}); err != nil {
			return nil, fmt.Errorf("training as of %s: %w", then, err)
		}
		r.Model = audit.Model{Version: m.Version, Trained: tried.Trained, Refit: true}
	}
	look, err := train.NewLookback(ctx, source, tried, train.Options{AsOf: o.AsOf, Ends: o.Ends, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	r.Relations = look.Relations
	r.Outcomes = audit.Outcomes{After: look.Then, Until: look.Until, Known: o.AsOf, InSample: inSample(tried, look)}
	a, err := newAuditor(m, tried, look, &o)
	if err != nil {
		return nil, err
	}
	keep := oneIn(look.Relations, judged)
	err = look.Each(ctx, source, keep, func(key string, now []*portfolio.View, members []*portfolio.Aggregate, y *train.Year) error {
		r.Looked++
		a.relation(key, now, members, y)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range a.kinds {
		k := &a.kinds[i]
		of := r.Settings.Measure(k.Kind, k.cases)
		if n := look.Forgotten; n > 0 && k.Engine == "risk" {
			of.Note = fmt.Sprintf("not known: amounts of %d claims of the year were not recorded by %s", n, o.AsOf)
		}
		r.Calibration = append(r.Calibration, of)
		k.cases = nil
	}
	a.drift(r, &o)
	if r.Proxies, err = a.proxies(ctx, &r.Settings); err != nil {
		return nil, err
	}
	r.Tally()
	return r, nil
}

// oneIn is of how many relations one is kept so that about so many are, at most.
func oneIn(relations, most int) uint64 { return uint64(max(1, (relations+most-1)/most)) }

// inSample is how much of the outcomes models were trained on.
func inSample(m *scoring.Models, l *train.Lookback) string {
	closed := m.Trained.AddMonths(-m.Settings.Features.ReportingLag) // the last labels
	switch {
	case closed <= l.Then:
		return audit.None
	case closed < l.Until:
		return audit.Part
	}
	return audit.All
}

// kind is a measure under way.
type kind struct {
	audit.Kind
	cases []audit.Case
}

// The measures, in the order in which they are shown.
const (
	lapses = iota
	claims
	losses
	margins
	purchases
)

// auditor goes through a book once.
type auditor struct {
	m      *scoring.Models
	scorer *scoring.Scorer // published models, as of today
	tried  *scoring.Scorer // as of the snapshot, with a value of twelve months
	asOf   portfolio.Date
	then   portfolio.Date
	kinds  [5]kind
	// forgotten is that what the year's claims cost is not known.
	forgotten bool

	counts     []*audit.Count
	population *train.Population
	keepCount  uint64
	keepAsked  uint64
	ask        *questioner

	subjects []scoring.Subject
	years    []train.PolicyYear
	words    map[string]string // one copy of each region: views are reused
}

func newAuditor(m, tried *scoring.Models, look *train.Lookback, o *Options) (*auditor, error) {
	a := &auditor{m: m, asOf: o.AsOf, then: look.Then, forgotten: look.Forgotten > 0, words: map[string]string{}}
	a.kinds[lapses].Kind = audit.Kind{Engine: "churn", Name: "relations that lapse within 12 months", Unit: "relations", Family: measure.Logistic}
	a.kinds[claims].Kind = audit.Kind{Engine: "risk", Name: "claims within 12 months", Unit: "claims", Family: measure.Poisson}
	a.kinds[losses].Kind = audit.Kind{Engine: "risk", Name: "losses within 12 months", Unit: "EUR", Money: true, Family: measure.Tweedie}
	a.kinds[margins].Kind = audit.Kind{Engine: "clv", Name: "margin within 12 months", Unit: "EUR", Money: true, Signed: true}
	a.kinds[purchases].Kind = audit.Kind{Engine: "nbp", Name: "purchases of what was on offer within 12 months", Unit: "purchases", Family: measure.Poisson}
	var err error
	if a.scorer, err = scoring.New(m); err != nil {
		return nil, err
	}
	// Of ten years nothing is known yet.
	if a.tried, err = scoring.New(tried.Within(12)); err != nil {
		return nil, err
	}
	a.keepCount, a.keepAsked = oneIn(look.Relations, counted), oneIn(look.Relations, asked)
	if o.Baseline != nil {
		a.population = train.NewPopulation(o.AsOf, m.Risk.Schema, m.Settings.Features, func(name string) audit.Counter {
			fields, _ := train.Watched(name, m.Risk.Schema, m.Settings.Features)
			before := audit.Population{Name: name}
			if at := slices.IndexFunc(o.Baseline.Populations, func(p audit.Population) bool { return p.Name == name }); at >= 0 {
				before = o.Baseline.Populations[at]
			}
			c := audit.NewCount(&before, fields)
			a.counts = append(a.counts, c)
			return c
		})
	}
	a.ask = newQuestioner(m)
	return a, nil
}

func (a *auditor) relation(key string, now []*portfolio.View, members []*portfolio.Aggregate, y *train.Year) {
	a.subjects = a.subjects[:0]
	for _, m := range members {
		a.subjects = append(a.subjects, scoring.Subject{Aggregate: m})
	}
	if y != nil {
		a.outcomes(y, a.tried.Relation(a.subjects, a.then, scoring.NewSet(scoring.Engines...)))
	}
	if a.population != nil && train.Kept(key, 8, a.keepCount) {
		a.population.Relation(key, now, a.scorer.Relation(a.subjects, a.asOf, scoring.NewSet(scoring.Engines...)))
	}
	if train.Kept(key, 9, a.keepAsked) {
		a.ask.relation(key, now)
	}
}

func mark(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return h.Sum64()
}

// outcomes adds what was foretold of a relation and what came of it. Who objects to
// profiling was not scored, and is in none.
func (a *auditor) outcomes(y *train.Year, sheets []scoring.Sheet) {
	c := audit.Case{Relation: mark(y.Key)}
	for k, v := range y.Then {
		sh := &sheets[y.Sheet[k]]
		a.place(&c, v, y.Now[k])
		if v == y.Group.Primary {
			a.together(c, y, sh)
		}
		if sh.Risk.Status == score.Scored && !a.forgotten {
			a.risk(c, y, k, sh)
		}
		if came, ok := y.Realised(k); ok && sh.Clv.Status == score.Scored {
			c.Exposure, c.Expected, c.Actual = 1, sh.Clv.Value, came
			a.add(margins, c)
		}
	}
}

func (a *auditor) add(k int, c audit.Case) { a.kinds[k].cases = append(a.kinds[k].cases, c) }

// place is to which cells a customer belongs: by age then, and by segment and region as
// known now, since of rows without dates that is all that is known.
func (a *auditor) place(c *audit.Case, then, now *portfolio.View) {
	c.Segment, c.Band, c.Region = "", audit.Unknown, ""
	if then.Customer != nil {
		c.Band = a.m.Settings.Audit.Band(feature.Age(then.Customer, a.then))
	}
	if now.Customer == nil {
		return
	}
	c.Segment, c.Region = a.word(string(now.Customer.Segment)), a.word(now.Customer.Region)
}

func (a *auditor) word(s string) string {
	w, ok := a.words[s]
	if !ok {
		w = string([]byte(s))
		a.words[w] = w
	}
	return w
}

// together adds what is foretold of the relation as one: its lapse, and what it buys.
func (a *auditor) together(c audit.Case, y *train.Year, sh *scoring.Sheet) {
	c.Exposure = 1
	if sh.Churn.Status == score.Scored && !y.Known {
		c.Expected, c.Actual = sh.Churn.Lapsed[12], 0
		if y.Lapsed {
			c.Actual = 1
		}
		a.add(lapses, c)
	}
	if sh.Nbp.Status != score.Scored || len(sh.Nbp.Offers) == 0 {
		return
	}
	c.Expected, c.Actual = 0, 0
	for i := range sh.Nbp.Offers {
		o := &sh.Nbp.Offers[i]
		if y.Bought(o.Group.Code) {
			c.Actual++
			c.Expected += o.Probability
		} else { // a probability is of a relation that stays
			c.Expected += o.Probability * y.Stayed
		}
	}
	a.add(purchases, c)
}

func (a *auditor) risk(c audit.Case, y *train.Year, k int, sh *scoring.Sheet) {
	c.Exposure, c.Expected, c.Actual = 0, 0, 0
	l := c
	a.years = y.Policies(k, a.years[:0])
	next := 0
	for i := range a.years {
		p := &a.years[i]
		for next < len(sh.Risk.Policies) && sh.Risk.Policies[next].ID != p.ID {
			next++ // of a policy without exposure nothing came
		}
		if next == len(sh.Risk.Policies) {
			break
		}
		q := &sh.Risk.Policies[next]
		c.Exposure += p.Exposure
		c.Expected += q.Frequency * p.Exposure
		c.Actual += p.Claims
		l.Expected += q.Loss * p.Exposure
		l.Actual += p.Incurred
	}
	if c.Exposure <= 0 {
		return
	}
	l.Exposure, l.Actual = c.Exposure, max(0, l.Actual) // recoveries beyond what was paid in the year
	a.add(claims, c)
	a.add(losses, l)
}

// drift compares what was counted with the baseline.
func (a *auditor) drift(r *audit.Report, o *Options) {
	if o.Baseline == nil {
		return
	}
	r.Baseline = &audit.Kept{SHA256: o.Digest, AsOf: o.Baseline.AsOf}
	var after []audit.Population
	for _, c := range a.counts {
		after = append(after, c.Population())
	}
	for i, p := range o.Baseline.Populations {
		if i < len(after) {
			r.Rows = append(r.Rows, audit.DriftRows{Population: p.Name, Then: p.Rows, Now: after[i].Rows})
		}
	}
	read := readBy(a.m)
	r.Drift = append(r.Drift, r.Settings.Compare(o.Baseline, after, func(population, name string) bool {
		// Churn reads a tenant's own attributes too, those of the customer's main policy.
		return population == train.OfScores || read.all(population)[name] || strings.HasPrefix(name, feature.Attribute) && read.relation[name]
	}, free)...)
}

// free reports whether a column holds what an office wrote as it pleased: an attribute that is
// no known rating factor.
func free(name string) bool {
	key, ok := attributeKey(name)
	return ok && !feature.RatingFactor(key)
}

// reads are the names of features that published models have a term of.
type reads struct{ risk, relation map[string]bool }

func readBy(m *scoring.Models) reads {
	r := reads{map[string]bool{}, map[string]bool{}}
	note := func(into map[string]bool, models ...score.Model) {
		for _, x := range models {
			fields := x.Fields()
			for _, t := range x.Terms() {
				for _, f := range t.Fields {
					into[fields[f].Name] = true
				}
			}
		}
	}
	note(r.risk, m.Risk.Frequency, m.Risk.Severity)
	note(r.relation, m.Churn.Lapse, m.Churn.Other, m.Churn.PolicyLapse, m.Churn.PolicyOther, m.Nbp.Common)
	for _, g := range m.Nbp.Groups {
		note(r.relation, g)
	}
	return r
}

func (r reads) all(population string) map[string]bool {
	if population == train.OfPolicies {
		return r.risk
	}
	return r.relation
}

// questioner gathers, of one customer a relation, what models read and what they may not.
type questioner struct {
	m        *scoring.Models
	names    []string // of attributes
	reader   feature.Reader
	group    feature.Group
	row      model.Row
	hazard   model.Row
	views    []*portfolio.View
	eligible []*portfolio.View
	words    map[string]string

	customers, policies model.Frame
	values              map[string][]string // of attributes of policies, by key
	keys                []string
	forbidden           bool // whether every forbidden attribute is asked about
}

// mostForbidden are the forbidden attributes that are asked about beside those that are
// named, at most: each takes some seconds.
const mostForbidden = 50

func newQuestioner(m *scoring.Models) *questioner {
	q := &questioner{m: m, words: map[string]string{}, values: map[string][]string{}}
	for _, list := range [...][]string{m.Settings.Features.Exclude, m.Settings.Audit.Protected} {
		for _, name := range list {
			if name == audit.EveryForbidden {
				q.forbidden = true
			} else if !slices.Contains(q.names, name) {
				q.names = append(q.names, name)
			}
		}
	}
	for _, name := range q.names {
		if key, ok := attributeKey(name); ok {
			q.keys = append(q.keys, key)
		}
	}
	frame := func(fields []model.Field) model.Frame {
		return model.Frame{Fields: fields, Num: make([][]float64, len(fields)), Cat: make([][]string, len(fields))}
	}
	q.reader.Schema = m.Risk.Schema
	hazard := m.Risk.Schema.HazardFields()
	own := hazard[len(hazard)-len(m.Risk.Schema.Attributes):]
	q.customers, q.policies = frame(append(feature.OfferFields(), own...)), frame(m.Risk.Schema.Fields())
	return q
}

func attributeKey(name string) (string, bool) { return strings.CutPrefix(name, feature.Attribute) }

// relation adds one customer of the relation, by hash, and one policy.
func (q *questioner) relation(key string, now []*portfolio.View) {
	q.views, q.eligible = q.views[:0], q.eligible[:0]
	for _, v := range now {
		if v.Relation() == key {
			q.views = append(q.views, v)
			if !feature.Objects(v) && slices.ContainsFunc(v.Policies, func(p portfolio.PolicyView) bool { return p.InForce(v.AsOf) }) {
				q.eligible = append(q.eligible, v)
			}
		}
	}
	if len(q.eligible) == 0 {
		return
	}
	q.group.Reset(q.views)
	m := mark(key)
	v := q.eligible[m%uint64(len(q.eligible))]
	in := feature.Input{View: v, Group: &q.group}
	// What offers read, and beside it the attributes that churn reads.
	q.reader.Hazard(in, &q.hazard)
	q.reader.Offer(in, &q.row)
	own := len(q.hazard.Num) - len(q.m.Risk.Schema.Attributes)
	q.row.Num, q.row.Cat = append(q.row.Num, q.hazard.Num[own:]...), append(q.row.Cat, q.hazard.Cat[own:]...)
	q.add(&q.customers)
	var inForce []int
	for i := range v.Policies {
		if v.Policies[i].InForce(v.AsOf) {
			inForce = append(inForce, i)
		}
	}
	q.reader.Policies(in)
	q.reader.Policy(q.m.Risk.Schema, inForce[(m>>8)%uint64(len(inForce))], &q.row)
	q.add(&q.policies)
	if q.forbidden {
		for _, i := range inForce {
			q.discover(v.Policies[i].Attributes)
		}
	}
	for _, key := range q.keys {
		q.values[key] = append(q.values[key], q.word(attribute(v, inForce, key)))
	}
}

// discover begins to gather the attributes that may never be a feature, by their key or by
// what somebody has of them; whoever came before has none.
// One that is a feature is not: what a few policies have of it is read as another value.
func (q *questioner) discover(attributes []portfolio.Attribute) {
	const most = 1000 // keys that are free text, of which hardly anyone has the same
	for _, a := range attributes {
		if _, known := q.values[a.Key]; known || len(q.keys) >= most || strings.HasPrefix(a.Key, enrichment.Prefix) || !feature.Forbidden(a.Key) && (!feature.ForbiddenValue(a.Value) || q.reads(a.Key)) || slices.Contains(q.keys, a.Key) {
			continue
		}
		key := strings.Clone(a.Key)
		q.keys, q.values[key] = append(q.keys, key), make([]string, q.policies.N-1)
	}
}

func (q *questioner) reads(key string) bool {
	return slices.ContainsFunc(q.m.Risk.Schema.Attributes, func(a feature.Attr) bool { return a.Key == key })
}

func attribute(v *portfolio.View, policies []int, key string) string {
	for _, i := range policies {
		for _, a := range v.Policies[i].Attributes {
			if a.Key == key && a.Value != "" {
				return a.Value
			}
		}
	}
	return ""
}

func (q *questioner) add(f *model.Frame) {
	f.N++
	for c, field := range f.Fields {
		if field.Kind == model.Numeric {
			f.Num[c] = append(f.Num[c], q.row.Num[c])
		} else {
			f.Cat[c] = append(f.Cat[c], q.word(q.row.Cat[c]))
		}
	}
}

func (q *questioner) word(s string) string {
	w, ok := q.words[s]
	if !ok {
		w = string([]byte(s))
		q.words[w] = w
	}
	return w
}

// attributes are those of the names that the book holds, and the names of those that it
// does not or that are not asked about.
func (q *questioner) attributes() (out []audit.Attribute, not []audit.Proxy) {
	names := slices.Clone(q.names)
	var found []string
	for _, key := range q.keys {
		if name := feature.Attribute + key; !slices.Contains(names, name) {
			found = append(found, name)
		}
	}
	holders := func(name string) (n int) {
		for _, v := range q.values[strings.TrimPrefix(name, feature.Attribute)] {
			if v != "" {
				n++
			}
		}
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return cmp.Or(cmp.Compare(holders(b), holders(a)), cmp.Compare(a, b)) })
	names = append(names, found[:min(len(found), mostForbidden)]...)
	for _, name := range found[min(len(found), mostForbidden):] {
		not = append(not, audit.Proxy{Attribute: name, Models: allModels, Note: fmt.Sprintf("not looked at: %d others are held by more", mostForbidden)})
	}
	for _, name := range names {
		_, own := attributeKey(name)
		a := audit.Attribute{Name: name, Free: own}
		found := false
		for _, f := range [...]*model.Frame{&q.customers, &q.policies} {
			at := slices.IndexFunc(f.Fields, func(f model.Field) bool { return f.Name == name })
			if at < 0 {
				continue
			}
			a.Numeric, a.Num, a.Cat, found = f.Fields[at].Kind == model.Numeric, f.Num[at], f.Cat[at], true
			break
		}
		if key, ok := attributeKey(name); ok && !found {
			a.Cat, found = q.values[key], true
			a.Num, a.Numeric = numbers(a.Cat)
		}
		switch {
		case !found:
			not = append(not, audit.Proxy{Attribute: name, Models: allModels, Note: "not looked at: it is of a month or of a policy beside its relation, not of a customer"})
		case !held(&a):
			not = append(not, audit.Proxy{Attribute: name, Models: allModels, Note: "not looked at: the book holds no value of it"})
		default:
			out = append(out, a)
		}
	}
	return out, not
}

// numbers are values as numbers, if all that are known are, and they are many.
func numbers(values []string) ([]float64, bool) {
	const many = 10
	out, distinct := make([]float64, len(values)), map[float64]bool{}
	for i, v := range values {
		out[i] = math.NaN()
		if v == "" {
			continue
		}
		var err error
		if out[i], err = strconv.ParseFloat(v, 64); err != nil {
			return nil, false
		}
		distinct[out[i]] = true
	}
	return out, len(distinct) > many
}

// held reports whether the book has any value of an attribute.
func held(a *audit.Attribute) bool {
	if a.Numeric {
		return slices.ContainsFunc(a.Num, func(v float64) bool { return v-v == 0 })
	}
	return slices.ContainsFunc(a.Cat, func(v string) bool { return v != "" })
}

// The models whose features are looked through.
const (
	relationModels = "churn, CLV and offers"
	riskModels     = "risk"
	allModels      = "all models"
)

// proxies asks of each attribute how well the features that models read tell it.
func (a *auditor) proxies(ctx context.Context, s *audit.Settings) ([]audit.Proxy, error) {
	out := []audit.Proxy{}
	read := readBy(a.m)
	attributes, not := a.ask.attributes()
	for _, attribute := range attributes {
		for _, of := range [...]struct {
			models string
			frame  *model.Frame
			read   map[string]bool
		}{{relationModels, &a.ask.customers, read.relation}, {riskModels, &a.ask.policies, read.risk}} {
			if of.read[attribute.Name] {
				out = append(out, audit.Proxy{Attribute: attribute.Name, Models: of.models, Rows: of.frame.N, Read: true})
				continue
			}
			f := model.Frame{N: of.frame.N}
			for c, field := range of.frame.Fields {
				if of.read[field.Name] {
					f.Fields, f.Num, f.Cat = append(f.Fields, field), append(f.Num, of.frame.Num[c]), append(f.Cat, of.frame.Cat[c])
				}
			}
			if len(f.Fields) == 0 {
				out = append(out, audit.Proxy{Attribute: attribute.Name, Models: of.models, Rows: f.N, Note: "these models read no feature"})
				continue
			}
			found, err := s.Proxies(ctx, of.models, f, &attribute, 1)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	return append(out, not...), nil
}
