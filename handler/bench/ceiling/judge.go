package main

import (
	"context"
	"math"
	"slices"

	"polis/handler/internal/care"
	"polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/measure"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

// A figure is something that an engine predicts.
type figure string

// The figures, and how their outcomes vary.
const (
	claims    figure = "claims of a policy"
	loss      figure = "loss of a policy"
	relations figure = "lapse of a relation"
	policies  figure = "lapse of a policy"
	purchases figure = "purchase of a group"
)

var figures = []figure{claims, loss, relations, policies, purchases}

var families = map[figure]measure.Family{
	claims: measure.Poisson, loss: measure.Tweedie, relations: measure.Logistic, policies: measure.Logistic, purchases: measure.Logistic,
}

// said is what was predicted of cases, and the truth's expectation, per unit of exposure.
type said struct{ predicted, truth, exposure []float64 }

func (s *said) add(predicted, truth, exposure float64) {
	s.predicted, s.truth, s.exposure = append(s.predicted, predicted), append(s.truth, truth), append(s.exposure, exposure)
}

// verdict is how predictions stand to the truth.
type verdict struct {
	Rows int
	// Means per unit.
	Predicted, True float64
	// Deviances as they are expected by the truth, beyond the truth's own: of one mean for
	// all, which is the truth's, and of the predictions.
	Constant, Deviance float64
	// Explained is the share of Constant that the predictions take away.
	Explained float64
	// Gini is that of the predictions against the truth.
	Gini float64
}

// deviance of a prediction m where y is expected, beyond that of predicting y: what is left
// of the deviance's expectation, whatever is drawn around y.
func deviance(f measure.Family, y, m float64) float64 {
	part := func(y, m float64) float64 {
		if y == 0 {
			return 0
		}
		return y * math.Log(y/m)
	}
	switch f {
	case measure.Logistic:
		m = min(max(m, 1e-9), 1-1e-9)
		return 2 * (part(y, m) + part(1-y, 1-m))
	case measure.Poisson:
		return 2 * (part(y, m) - (y - m))
	}
	// Tweedie's, of power 1.5: half way between a count and an amount.
	return 4 * (math.Sqrt(y) - math.Sqrt(m)) * (math.Sqrt(y) - math.Sqrt(m)) / math.Sqrt(m)
}

// verdict measures.
func (s *said) verdict(f measure.Family) (v verdict) {
	v.Rows = len(s.truth)
	units := 0.0
	for i, e := range s.exposure {
		units += e
		v.Predicted += e * s.predicted[i]
		v.True += e * s.truth[i]
	}
	v.Predicted, v.True = v.Predicted/units, v.True/units
	for i, e := range s.exposure {
		v.Constant += e * deviance(f, s.truth[i], v.True)
		v.Deviance += e * deviance(f, s.truth[i], s.predicted[i])
	}
	v.Constant, v.Deviance = v.Constant/units, v.Deviance/units
	v.Explained = 1 - v.Deviance/v.Constant
	v.Gini = s.gini()
	return v
}

// gini is 1 less twice the area under the Lorenz curve of the truth, the lowest predictions first.
func (s *said) gini() float64 {
	order := make([]int, len(s.truth))
	units, total := 0.0, 0.0
	for i, e := range s.exposure {
		order[i] = i
		units += e
		total += e * s.truth[i]
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case s.predicted[i] < s.predicted[j]:
			return -1
		case s.predicted[i] > s.predicted[j]:
			return 1
		}
		return 0
	})
	area, below := 0.0, 0.0
	for _, i := range order {
		part := s.exposure[i] * s.truth[i]
		area += s.exposure[i] * (below + part/2)
		below += part
	}
	return 1 - 2*area/(units*total)
}

// kept is the part of what a claim costs in the sample's truth that stays with the insurer,
// and the part of claims that are paid: the truth counts rejected claims (4.5%) and knows
// no recoveries, which in motor and fleet are about half of every eighth claim, and of a
// fleet's another tenth (sample/claims.go).
func kept(branch string) float64 {
	switch branch {
	case "motor":
		return paid * 0.94
	case "fleet":
		return paid * 0.89
	}
	return paid
}

const paid = 0.955

// judge scores the relations of a source as of a date, and holds what is said of them to
// the truth of the year that follows.
func judge(ctx context.Context, source train.Source, m *scoring.Models, t *truth, asOf portfolio.Date) (map[figure]verdict, error) {
	j, err := newJudge(m, t)
	if err != nil {
		return nil, err
	}
	for members, err := range source(ctx) {
		if err != nil {
			return nil, err
		}
		views := make([]*portfolio.View, len(members))
		for i, a := range members {
			views[i] = &portfolio.View{}
			views[i].Reset(a, asOf, m.Ends)
		}
		of, n := feature.Relations(views, nil)
		for k := range n {
			var own []*portfolio.View
			for i, v := range views {
				if of[i] == k {
					own = append(own, v)
				}
			}
			var g feature.Group
			if g.Reset(own); g.Policies > 0 {
				j.risk(&g)
				j.churn(&g)
				j.offers(&g)
			}
		}
	}
	out := map[figure]verdict{}
	for f, s := range j.said {
		out[f] = s.verdict(families[f])
	}
	return out, nil
}

// judging is a judge at work.
type judging struct {
	models   *scoring.Models
	truth    *truth
	said     map[figure]*said
	risks    *risk.Engine
	lapses   *churn.Engine
	grouping *nbp.Grouping
	reader   feature.Reader
	row      model.Row
	past     nbp.Past
	cost     risk.Result
	end      churn.Result
}

func newJudge(m *scoring.Models, t *truth) (*judging, error) {
	j := &judging{models: m, truth: t, said: map[figure]*said{}, lapses: churn.New(m.Churn)}
	for _, f := range figures {
		j.said[f] = &said{}
	}
	rules, err := care.Compile(&m.Settings.Care)
	if err != nil {
		return nil, err
	}
	careful, err := care.New(rules, care.Book{Sold: m.Nbp.Sold()})
	if err != nil {
		return nil, err
	}
	j.risks = risk.New(m.Risk, &m.Settings.Risk, careful)
	j.grouping, err = nbp.NewGrouping(m.Settings.Nbp.Groups)
	return j, err
}

func (j *judging) risk(g *feature.Group) {
	for _, v := range g.Views {
		j.risks.Score(feature.Input{View: v, Group: g}, &j.cost)
		for _, p := range j.cost.Policies {
			if t, ok := j.truth.policies[p.ID]; ok && t.exposure > 0 {
				j.said[claims].add(p.Frequency, t.claims*paid/t.exposure, t.exposure)
				j.said[loss].add(p.Loss, t.loss*kept(p.Branch)/t.exposure, t.exposure)
			}
		}
	}
}

// churn judges relations of one customer, since the truth is a customer's: by all essential
// policies, or by all where there are none. Where an end is recorded ahead the engine takes
// it for the fact that it is, and the truth knows nothing of it: such relations are left out.
func (j *judging) churn(g *feature.Group) {
	j.lapses.Score(g, &j.end)
	known := func(p churn.Policy) bool { return p.EndsOn != 0 }
	if j.end.Status != score.Scored || slices.ContainsFunc(j.end.Policies, known) {
		return
	}
	if t, ok := j.truth.customers[g.Views[0].ID]; ok && len(g.Views) == 1 {
		happens := t.essential
		if j.end.Definition == churn.All {
			happens = t.all
		}
		j.said[relations].add(j.end.Lapsed[12], happens, 1)
	}
	for i := range j.end.Policies {
		if t, ok := j.truth.policies[j.end.Policies[i].ID]; ok {
			j.said[policies].add(j.end.Policies[i].Lapsed[year], t.lapse, 1)
		}
	}
}

// year is the place of 12 months in churn.Horizons.
var year = slices.Index(churn.Horizons[:], 12)

// offers judges every group that a relation does not hold, all groups together.
func (j *judging) offers(g *feature.Group) {
	if feature.Objects(g.Primary) {
		return
	}
	segment := portfolio.Private
	if c := g.Primary.Customer; c != nil && c.Segment == portfolio.Business {
		segment = portfolio.Business
	}
	j.past.Reset(j.grouping, g.Views)
	j.grouping.Row(&j.reader, g, &j.past, &j.row)
	for i := range j.grouping.Groups {
		of := &j.grouping.Groups[i]
		m := j.models.Nbp.Groups[of.Code]
		if (j.past.Held|j.past.Soon)>>i&1 == 1 || !of.Fits(segment) || m == nil {
			continue
		}
		j.grouping.About(i, &j.past, &j.row)
		none := 1.0
		for _, v := range g.Views {
			none *= 1 - j.truth.customers[v.ID].purchase[of.Branch]
		}
		j.said[purchases].add(m.Mean(j.models.Nbp.Link(of.Code, j.row)), 1-none, 1)
	}
}
