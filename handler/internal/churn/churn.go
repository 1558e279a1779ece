// Package churn answers with what probability a relation, each of its policies and each
// branch that it holds lapses within 1 to 36 months.
//
// Two pairs of discrete-time hazards by month with competing ends (Singer and Willett 1993)
// make one joint law, from which everything follows, so that no two figures contradict each
// other:
//
//   - A policy ends, whether with its relation or by itself.
//   - The relation ends: all its policies that count by the definition are gone, by a lapse
//     or by another end. One with a single policy that counts ends as that does, but for the
//     share of ends after which another that was bought since carries it on; where its
//     customer objects to profiling, as policies of the book do in the mean. One with several
//     has hazards of its own; those policies end with it, of the others a share goes along,
//     all together, and the rest goes on. A relation lapses with the lapse of one of its last
//     policies: of those that end with it some end otherwise, independently.
//   - What a policy's hazards say beyond what comes with its relation is an end by itself, in
//     a month in which the relation goes on, or for a policy that does not count after its
//     relation has ended; given its features independently of the relation's other policies.
//
// By construction, for each month: every probability of an end rises with the horizon; a
// policy that counts has ended at least as probably as its relation, and each of a branch's
// policies at least as probably as the branch; some policy lapses at least as probably as
// any one of them, some branch as any one of these, some policy as some branch, and some
// branch as the relation. No order holds between the lapses, apart from the ends, of a
// policy and its branch or relation: the last to end decides whether these lapsed.
//
// Only an end by the customer is a lapse. What is replaced, renumbered or transferred goes
// on as what took its place. An end that is recorded ahead is taken as the fact that it is.
// Premiums, claims and all else but the months' own fields stay in each month what they
// were on the as-of date; docs/churn.md says what rolls forward. What is known this way
// fades, year by year, by as much as training saw it fade: Fade.
package churn

import (
	"math"
	"slices"

	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/hazard"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// Horizon is how many months ahead the engine looks.
const Horizon = feature.Ahead

// Horizons are the months that are shown of policies and branches.
var Horizons = [...]int{1, 3, 6, 12, Horizon}

// Model is what training publishes for this engine.
type Model struct {
	Definition               Definition           // that it was trained under; "" is the default
	Lapse, Other             score.Model          // monthly hazards of a relation of several policies that count: of a lapse, of any other end
	PolicyLapse, PolicyOther score.Model          // likewise of a policy
	Schema                   feature.PolicySchema // whose attributes the hazards read
	Book                     Book
	Bands                    score.Bands // of the probability over 12 months
}

// Book is what training found beside the models, and froze.
type Book struct {
	Relations Experience `json:"relations"`
	Policies  Experience `json:"policies"`
	// AlongLapse is the share of policies that do not count and that end when their relation
	// lapses; AlongOther that of those which end when it ends otherwise. By how many
	// policies count: 1, 2, and more. A relation with one of them ends when that does.
	AlongLapse [3]float64 `json:"along_lapse"`
	AlongOther [3]float64 `json:"along_other"`
	// Otherwise is the share of policies that end in another way than by a lapse when their
	// relation lapses, likewise: of those that count, and of the others. One policy is enough
	// for the relation's lapse, so that it is none of those that count alone.
	Otherwise [2][3]float64 `json:"otherwise"`
	// Carried is the share of lapses, and of other ends, of the only policy that counts after
	// which the relation goes on: with another that was bought since.
	Carried [2]float64 `json:"carried_on"`
	Changes Changes    `json:"premium_changes"`
	Fade    Fade       `json:"fade"`
}

// Check makes sure that what was frozen can be scored with.
func (m *Model) Check() error {
	if m.Definition != "" && !m.Definition.valid() {
		return fault.New(fault.Malformed, "churn: there is no definition of that name")
	}
	for _, x := range [...]*Experience{&m.Book.Relations, &m.Book.Policies} {
		if err := x.check(); err != nil {
			return err
		}
	}
	for _, shares := range [...][]float64{m.Book.AlongLapse[:], m.Book.AlongOther[:], m.Book.Otherwise[counting][:], m.Book.Otherwise[beside][:], m.Book.Carried[:]} {
		for _, v := range shares {
			if !(v >= 0 && v <= 1) {
				return fault.New(fault.Malformed, "churn: a share of policies that go along or end otherwise, or of relations that are carried on, is from 0 to 1")
			}
		}
	}
	if m.Book.Otherwise[counting][0] != 0 {
		return fault.New(fault.Malformed, "churn: a policy that counts alone ends as its relation does")
	}
	if err := m.Book.Fade.check(); err != nil {
		return err
	}
	return m.Book.Changes.check()
}

// Result is what the engine says of a relation, the same for each of its members but for
// the policies: see Member.
type Result struct {
	Status     score.Status
	Definition Definition // of Headline, as it applies to this relation
	// Headline[k] is the probability that within k months what the definition asks for has
	// lapsed, and Renewal the share of that over 12 months that falls into months in which
	// a policy that counts is renewed; NaN where nothing lapses.
	Headline [Horizon + 1]float64
	Renewal  float64
	// Lapsed[k] is the probability that the relation as a whole has lapsed within k months,
	// Alive[k] that no end of any kind has come: Definition.Relation. Lapsed + Alive are at
	// most 1, and what is missing is other ends. All three are for k = 0 … Horizon.
	Lapsed [Horizon + 1]float64
	Alive  [Horizon + 1]float64
	Fade   Fade // of what is known, in Alive and beyond: see Force
	// EndsOn is when the relation ends, where that is recorded already.
	EndsOn   portfolio.Date
	Policies []Policy
	Branches []Branch // of the relation

	Experience       Experience // that the relation's probabilities rest on
	PolicyExperience Experience // likewise what policies do

	Band score.Band
	// Reasons are of the relation's lapse hazard in the first month, on the log-odds scale:
	// where one policy alone counts of that policy's, before a share is carried on. Of is its
	// id, "" in a relation of several; Whose is the place among the group's views of the
	// member whose features they are, and Another that this is not the one that the result is
	// for: they are not for that one to hear. Whose is Nobody where no model was asked when the
	// relation ends: the end is recorded, or the book's mean stands for it.
	Reasons score.Reasons
	Of      string
	Whose   int
	Another bool
}

// Nobody is in Result.Whose where the relation's end is foretold from nobody's features.
const Nobody = -1

// Ends are the probabilities by the months of Horizons: that there was a lapse, and that
// no end of any kind has come.
type Ends struct {
	Lapsed  [len(Horizons)]float64
	Alive   [len(Horizons)]float64
	Renewal float64 // the share of lapses within 12 months in months of a renewal; NaN without any
}

// Policy is what the engine says of a policy in force.
type Policy struct {
	ID     string
	Branch string
	Renews portfolio.Date // when next; 0: not known
	EndsOn portfolio.Date // when it ends, where that is recorded already
	Ends

	member int // in the group's views
}

// Branch is what the engine says of all policies of a branch: it has ended with the last,
// by a lapse if the customer ended one at least of those that ended last.
type Branch struct {
	Name     string
	Policies int
	Ends
}

// Clear makes a result of one that says why there is none.
func (r *Result) Clear(s score.Status, d Definition) {
	*r = Result{
		Status: s, Definition: d, Renewal: math.NaN(), Band: score.Low,
		Policies: r.Policies[:0], Branches: r.Branches[:0], Reasons: score.Reasons{Top: r.Reasons.Top[:0]},
	}
}

// Member fills out with the result for one of the relation's members: as it is, with the
// member's own policies only.
func (r *Result) Member(in feature.Input, out *Result) {
	member := slices.Index(in.Group.Views, in.View)
	policies, branches, top := out.Policies[:0], out.Branches[:0], out.Reasons.Top[:0]
	*out = *r
	out.Another = r.Whose != Nobody && member != r.Whose
	for i := range r.Policies {
		if r.Policies[i].member == member {
			policies = append(policies, r.Policies[i])
		}
	}
	out.Policies, out.Branches, out.Reasons.Top = policies, append(branches, r.Branches...), append(top, r.Reasons.Top...)
}

// Engine scores relations with a model. One per goroutine.
type Engine struct {
	model      *Model
	definition Definition
	reader     feature.Reader
	explain    [2]*score.Explainer // of a relation's lapse, and of a policy's
	row, held  model.Row           // of the relation's hazards, and of a policy's
	relation   [2]monthly
	policy     [2]monthly
	kept       [years]float64 // of what is known

	// Of the relation, by months: its own hazards, after scaling; and what they are to
	// policies that count and to the others.
	lapse, other [Horizon + 1]float64
	single       [2][Horizon + 1]float64 // of the policy at hand, however it ends
	with         [2]shock
	otherwise    [2]float64 // Book.Otherwise of the relation
	counted      int        // policies that count
	alongOther   float64
	some         some
	branches     []work
}

// The places in Engine.with and Book.Otherwise.
const (
	counting = iota
	beside
)

// counted is how many policies of a relation count.
func counted(g *feature.Group, whole Definition) (n int) {
	for _, v := range g.Views {
		for i := range v.Policies {
			if p := &v.Policies[i]; p.InForce(v.AsOf) && whole.Counts(p.Branch) {
				n++
			}
		}
	}
	return n
}

// Counted is the place in Book.AlongLapse of a relation: 0 where one policy counts.
func Counted(g *feature.Group, whole Definition) int { return placeOf(counted(g, whole)) }

func placeOf(counted int) int { return min(max(0, counted-1), len(Book{}.AlongLapse)-1) }

// Side is the place in Book.Otherwise of a policy.
func Side(whole Definition, p *portfolio.PolicyView) int {
	if whole.Counts(p.Branch) {
		return counting
	}
	return beside
}

// shock is what the relation's end is to policies: stays[k] is the probability that it has
// not taken them with it within k months, lapse[k] that it does in month k as it lapses.
type shock struct{ stays, lapse [Horizon + 1]float64 }

// alone is how a policy, or a branch, ends while the relation goes on: gone[k] is the
// probability that it has within k months, and kept[k] the same but for a lapse in month k.
type alone struct {
	gone, kept [Horizon + 1]float64
	renewals   uint64 // bit k: a policy of it is renewed in month k
}

// work is a branch under way.
type work struct {
	alone
	side      int
	otherwise float64 // none of its policies lapses when the relation does
}

// lapses is the probability that the branch lapses when it ends with the relation as that
// does: one that holds all policies that count has no other end.
func (b *work) lapses(policies, counted int) float64 {
	if b.side == counting && policies == counted {
		return 1
	}
	return 1 - b.otherwise
}

// New is an engine with a model.
func New(m *Model) *Engine {
	d := m.Definition
	if d == "" {
		d = AllEssential
	}
	months := func(n, of int) (fields []int) {
		for i := n - of; i < n; i++ {
			fields = append(fields, i)
		}
		return fields
	}
	relation := months(len(feature.HazardFields()), len(feature.Months))
	policy := months(len(feature.PolicyHazardFields()), len(feature.PolicyMonths))
	return &Engine{
		model: m, definition: d, explain: [2]*score.Explainer{score.NewExplainer(m.Lapse), score.NewExplainer(m.PolicyLapse)}, kept: m.Book.Fade.kept(),
		relation: [2]monthly{newMonthly(m.Lapse, relation), newMonthly(m.Other, relation)},
		policy:   [2]monthly{newMonthly(m.PolicyLapse, policy), newMonthly(m.PolicyOther, policy)},
		reader:   feature.Reader{Schema: m.Schema},
	}
}

// monthly is a hazard by month. Where the link is what it was a year before, so is what it
// stands for: most of the time goes into exponentials.
type monthly struct {
	model         score.Model
	roll          *score.Rolling
	link, hazards [12]float64 // by month of the year
}

func newMonthly(m score.Model, months []int) monthly {
	out := monthly{model: m, roll: score.NewRolling(m, months...)}
	for k := range out.link {
		out.link[k] = math.NaN()
	}
	return out
}

// at is the hazard of a month, which is the first one of a row or a later one.
func (m *monthly) at(month int, row model.Row) float64 {
	link := 0.0
	if month == 1 {
		link = m.roll.Start(row)
	} else {
		link = m.roll.Next(row)
	}
	k := month % 12
	if link != m.link[k] {
		m.link[k], m.hazards[k] = link, m.model.Mean(link)
	}
	return m.hazards[k]
}

// Score fills the result for a relation: the probabilities of several policies that count by
// its primary member's features, those of a policy by its customer's, and of nobody's who
// objects.
func (e *Engine) Score(g *feature.Group, r *Result) {
	d := e.definition.Of(g)
	switch {
	case g.Policies == 0:
		r.Clear(score.NoPolicies, d)
		return
	case feature.Objects(g.Primary): // so do all others
		r.Clear(score.Objected, d)
		return
	}
	r.Clear(score.Scored, d)
	r.Experience, r.PolicyExperience, r.Fade = e.model.Book.Relations, e.model.Book.Policies, e.model.Book.Fade
	whole := e.definition.Relation().Of(g)
	e.curves(g, whole, r)
	e.policies(g, whole, r)
	for i := range r.Branches {
		b := &e.branches[i]
		e.ends(&b.alone, &e.with[b.side], b.lapses(r.Branches[i].Policies, e.counted), &r.Branches[i].Ends)
		if e.definition == OneBranch {
			e.some.add(&b.alone, b.side)
		}
	}
	e.headline(r)
	if !r.Experience.Alike() { // else nobody is above anybody
		r.Band = e.model.Bands.Of(r.Headline[12])
	}
}

// curves are the relation's own, and what its ends are to policies.
func (e *Engine) curves(g *feature.Group, whole Definition, r *Result) {
	asOf := g.Primary.AsOf
	day, lapse := End(g.Views, asOf, asOf.AddMonths(Horizon), whole)
	known := 0
	if day != 0 {
		r.EndsOn, known = day, 1+feature.MonthsAhead(asOf, day)
	}
	e.counted = counted(g, whole)
	n := placeOf(e.counted)
	e.alongOther, e.otherwise = e.model.Book.AlongOther[n], [2]float64{}
	if known == 0 { // else it is known of each policy too
		e.otherwise = [2]float64{e.model.Book.Otherwise[counting][n], e.model.Book.Otherwise[beside][n]}
	}
	along := [2]float64{e.model.Book.AlongLapse[n], e.alongOther}
	r.Alive[0], e.with[counting].stays[0], e.with[beside].stays[0] = 1, 1, 1
	if r.Whose = Nobody; e.counted == 1 {
		r.Experience = r.PolicyExperience
	}
	if known == 0 { // else nothing is to be foretold
		e.relationHazards(g, whole, r)
	}
	var hazards, ended [2]float64 // by a lapse, by anything else
	for k := 1; k <= Horizon; k++ {
		switch {
		case known == 0:
			hazards = [2]float64{e.lapse[k], e.other[k]}
		case k < known:
			hazards = [2]float64{}
		case lapse:
			hazards = [2]float64{1, 0}
		default:
			hazards = [2]float64{0, 1}
		}
		before := r.Alive[k-1]
		r.Alive[k] = float64(hazard.Step(before, hazards[:], ended[:]))
		r.Lapsed[k] = min(ended[0], 1-r.Alive[k])
		e.lapse[k], e.other[k] = hazards[0], hazards[1]
		all, rest := &e.with[counting], &e.with[beside]
		all.stays[k], all.lapse[k] = r.Alive[k], float64(before*hazards[0])
		rest.lapse[k] = float64(all.lapse[k] * along[0])
		rest.stays[k] = max(0, rest.stays[k-1]-rest.lapse[k]-float64(float64(before*hazards[1])*along[1]))
	}
}

// relationHazards are those of the relation by month, and the reasons.
func (e *Engine) relationHazards(g *feature.Group, whole Definition, r *Result) {
	if e.counted == 1 {
		e.ofOne(g, whole, r)
		return
	}
	r.Whose = slices.Index(g.Views, g.Primary)
	e.reader.Hazard(feature.Input{View: g.Primary, Group: g}, &e.row)
	e.explain[0].Explain(e.row, &r.Reasons)
	for k := 1; k <= Horizon; k++ {
		e.reader.SetMonth(&e.row, k)
		e.lapse[k], e.other[k] = e.relation[0].at(k, e.row), e.relation[1].at(k, e.row)
	}
	after(&e.kept, &e.lapse, r.Fade.Lapse)
	after(&e.kept, &e.other, r.Fade.Other)
}

// ofOne are the relation's hazards where one policy alone counts: the policy's, but for the
// share that is carried on. Of one of somebody who objects nothing is read, and the book's
// mean of policies stands for it.
func (e *Engine) ofOne(g *feature.Group, whole Definition, r *Result) {
	ends := [2]float64{1 - e.model.Book.Carried[0], 1 - e.model.Book.Carried[1]}
	r.Fade.Lapse, r.Fade.Other = float64(r.Fade.PolicyLapse*ends[0]), float64(r.Fade.PolicyOther*ends[1])
	m, i := first(g, whole)
	v := g.Views[m]
	if feature.Objects(v) {
		if !r.Experience.Alike() {
			r.Experience.Basis = Mean
		}
		for k := 1; k <= Horizon; k++ {
			e.lapse[k], e.other[k] = r.Fade.Lapse, r.Fade.Other
		}
		return
	}
	r.Whose, r.Of = m, v.Policies[i].ID
	e.reader.PolicyHazards(feature.Input{View: v, Group: g}, &e.held)
	e.reader.PolicyHazard(i, &e.held)
	e.explain[1].Explain(e.held, &r.Reasons)
	e.hazards()
	for k := 1; k <= Horizon; k++ {
		e.lapse[k], e.other[k] = float64(e.single[0][k]*ends[0]), float64(e.single[1][k]*ends[1])
	}
}

// first is the place among a relation's members, and among that member's policies, of the
// first policy in force that counts.
func first(g *feature.Group, whole Definition) (member, policy int) {
	for m, v := range g.Views {
		for i := range v.Policies {
			if p := &v.Policies[i]; p.InForce(v.AsOf) && whole.Counts(p.Branch) {
				return m, i
			}
		}
	}
	return 0, 0
}

// policies scores each policy in force of those who do not object, and multiplies the
// branches up from them.
func (e *Engine) policies(g *feature.Group, whole Definition, r *Result) {
	e.some = some{}
	for k := range e.some.none[counting] {
		e.some.none[counting][k], e.some.none[beside][k] = 1, 1
	}
	e.branches = e.branches[:0]
	var a alone
	for member, v := range g.Views {
		if feature.Objects(v) {
			continue
		}
		ready := false
		for i := range v.Policies {
			p := &v.Policies[i]
			if !p.InForce(v.AsOf) {
				continue
			}
			if !ready {
				e.reader.PolicyHazards(feature.Input{View: v, Group: g}, &e.held)
				ready = true
			}
			side := Side(whole, p)
			e.alone(i, p, v.AsOf, side, &a)
			r.Policies = append(r.Policies, Policy{ID: p.ID, Branch: p.Branch, Renews: feature.Renewal(p, v.AsOf), EndsOn: p.EndsOn, member: member})
			e.ends(&a, &e.with[side], 1-e.otherwise[side], &r.Policies[len(r.Policies)-1].Ends)
			e.into(r, p.Branch, side, &a)
			if e.definition == OnePolicy {
				e.some.add(&a, side)
			}
		}
	}
}

// alone is how policy i of the view that the reader was readied with, of a side, ends by itself.
func (e *Engine) alone(i int, p *portfolio.PolicyView, asOf portfolio.Date, side int, a *alone) {
	*a = alone{}
	e.reader.PolicyHazard(i, &e.held)
	for k := 1; k <= 12; k++ {
		if e.reader.Renews(k) {
			a.renewals |= 1 << k
		}
	}
	if p.EndsOn != 0 {
		known := 1 + feature.MonthsAhead(asOf, p.EndsOn)
		for k := known; k <= Horizon; k++ {
			a.gone[k], a.kept[k] = 1, 1
		}
		if known <= Horizon && p.EndsBy == portfolio.Lapse {
			a.kept[known] = 0
		}
		return
	}
	e.hazards()
	a.apart(&e.single, &e.with[side], 1-e.otherwise[side])
}

// hazards are those of the policy that the reader was readied with, by month.
func (e *Engine) hazards() {
	for k := 1; k <= Horizon; k++ {
		if k > 1 {
			e.reader.SetPolicyMonth(&e.held, k)
		}
		e.single[0][k], e.single[1][k] = e.policy[0].at(k, e.held), e.policy[1].at(k, e.held)
	}
	after(&e.kept, &e.single[0], e.model.Book.Fade.PolicyLapse)
	after(&e.kept, &e.single[1], e.model.Book.Fade.PolicyOther)
}

// apart takes out of a policy's hazards of ending in any way what comes with its relation, of
// whose lapses a share lapses: what is left comes by itself, while the relation goes on. Where
// the relation ends more probably than the policy by its own hazards, it does with it alone.
func (a *alone) apart(single *[2][Horizon + 1]float64, s *shock, lapses float64) {
	alive, lapsed, has := 1.0, 0.0, 0.0 // by the hazards: goes on, has lapsed; and what lapses with what is found
	for k := 1; k <= Horizon; k++ {
		lapse, other := single[0][k], single[1][k]
		if all := lapse + other; all > 1 {
			lapse, other = lapse/all, other/all
		}
		lapsed += float64(alive * lapse)
		alive = float64(alive * max(0, 1-lapse-other))
		has += float64(float64(s.lapse[k]*(1-a.gone[k-1])) * lapses)
		a.kept[k], a.gone[k] = a.gone[k-1], a.gone[k-1]
		if !(s.stays[k] > 0) {
			continue
		}
		ends := max(0, 1-alive/s.stays[k]-a.gone[k-1])
		by := min(ends, max(0, (lapsed-has)/s.stays[k]))
		has += float64(s.stays[k] * by)
		a.kept[k] = min(1, a.gone[k-1]+(ends-by))
		a.gone[k] = min(1, a.kept[k]+by)
	}
}

// into multiplies a policy into its branch: given that the relation goes on, the branch is
// gone when all its policies are.
func (e *Engine) into(r *Result, branch string, side int, a *alone) {
	at := 0
	for at < len(r.Branches) && r.Branches[at].Name != branch {
		at++
	}
	if at == len(r.Branches) {
		r.Branches = append(r.Branches, Branch{Name: branch, Policies: 1})
		e.branches = append(e.branches, work{*a, side, e.otherwise[side]})
		return
	}
	r.Branches[at].Policies++
	b := &e.branches[at]
	b.otherwise *= e.otherwise[side]
	b.renewals |= a.renewals
	for k := 1; k <= Horizon; k++ {
		b.gone[k] *= a.gone[k]
		b.kept[k] *= a.kept[k]
	}
}

// ends adds up what comes with the relation, of whose lapses a share lapses too, and what
// comes alone.
func (e *Engine) ends(a *alone, s *shock, lapses float64, out *Ends) {
	lapsed, renewing, shown := 0.0, 0.0, 0
	for k := 1; k <= Horizon; k++ {
		add := float64(float64(s.lapse[k]*(1-a.gone[k-1]))*lapses) + float64(s.stays[k]*(a.gone[k]-a.kept[k]))
		lapsed += add
		if a.renewals&(1<<k) != 0 {
			renewing += add
		}
		if k == Horizons[shown] {
			alive := float64(s.stays[k] * (1 - a.gone[k]))
			out.Lapsed[shown], out.Alive[shown] = min(lapsed, 1-alive), alive
			shown++
		}
		if k == 12 {
			out.Renewal = renewing / lapsed // NaN for none of nothing
		}
	}
	if out.Renewal > 1 {
		out.Renewal = 1
	}
}

// some is how probably none of several policies or branches has lapsed alone, by months:
// those that count, and the others.
type some struct {
	none [2][Horizon + 1]float64
}

func (s *some) add(a *alone, side int) {
	lapsed := 0.0
	for k := 1; k <= Horizon; k++ {
		lapsed += a.gone[k] - a.kept[k]
		s.none[side][k] *= max(0, 1-lapsed)
	}
}

// headline is the figure by the tenant's definition.
func (e *Engine) headline(r *Result) {
	renewals := uint64(0)
	if e.definition != OnePolicy && e.definition != OneBranch {
		r.Headline = r.Lapsed
		for i := range r.Branches {
			if e.branches[i].side == counting {
				renewals |= e.branches[i].renewals
			}
		}
	} else {
		e.anyOf(r)
		for i := range r.Branches {
			renewals |= e.branches[i].renewals
		}
	}
	sum := 0.0
	for k := 1; k <= 12; k++ {
		if renewals&(1<<k) != 0 {
			sum += r.Headline[k] - r.Headline[k-1]
		}
	}
	r.Renewal = sum / r.Headline[12]
}

// anyOf is that some policy, or some branch, has lapsed: not so where none has by itself and
// the relation goes on, or has ended otherwise.
func (e *Engine) anyOf(r *Result) {
	count, others := &e.some.none[counting], &e.some.none[beside]
	along := e.alongOther
	over, left := 0.0, 0.0 // relations that ended otherwise: with all policies, but for those that do not count
	for k := 1; k <= Horizon; k++ {
		ended := float64(r.Alive[k-1] * e.other[k])
		over += float64(float64(float64(ended*along)*count[k-1]) * others[k-1])
		left += float64(float64(ended*(1-along)) * count[k-1])
		none := float64(float64(r.Alive[k]*count[k])*others[k]) + float64(left*others[k]) + over
		// By rounding alone may it fall.
		r.Headline[k] = max(r.Headline[k-1], min(1, 1-none))
	}
}
