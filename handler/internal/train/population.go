package train

import (
	"context"
	"fmt"
	"math"

	"polis/handler/internal/audit"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
)

// The populations of baselines and drift reports.
const (
	OfCustomers = "customers" // those with a policy in force who do not object to profiling
	OfPolicies  = "policies"  // of these, each in force: what risk reads
	OfLapsing   = "policies in churn"
	OfScores    = "scores" // of these customers
)

// scoreFields are the scores that are watched: of risk, churn, CLV, next best product and
// defend, one or two each.
var scoreFields = []model.Field{
	{Name: "risk_score"},
	{Name: "expected_loss"},
	{Name: "care_score"},
	{Name: "lapse_12m"},
	{Name: "value"},
	{Name: "first_offer"},
	{Name: "first_offer_group", Kind: model.Category},
	{Name: "action", Kind: model.Category},
}

// Population reads, of the relations of a book as of a date, what models read and what the
// engines said, and gives it to counters. It is for one goroutine.
type Population struct {
	asOf     portfolio.Date
	schema   feature.PolicySchema
	settings feature.Settings
	reader   feature.Reader
	group    feature.Group
	views    []*portfolio.View
	row      model.Row
	scores   model.Row
	part     model.Row
	counters [4]audit.Counter
}

// Watched are the fields of a population's rows by its name, and which of them are hidden;
// nil of one that does not exist.
func Watched(name string, schema feature.PolicySchema, s feature.Settings) ([]model.Field, []bool) {
	var fields []model.Field
	switch name {
	case OfCustomers:
		fields = feature.OfferFields()
	case OfPolicies:
		fields = schema.Fields()
	case OfLapsing:
		fields = feature.PolicyHazardFields()
		fields = fields[len(feature.Customers) : len(fields)-len(feature.PolicyMonths)]
	case OfScores:
		fields = scoreFields
	}
	return fields, s.Hidden(fields)
}

// Populations are the names of all, in their order.
var Populations = []string{OfCustomers, OfPolicies, OfLapsing, OfScores}

// NewPopulation reads a book as of a date; counter makes the counter of each population.
func NewPopulation(asOf portfolio.Date, schema feature.PolicySchema, s feature.Settings, counter func(name string) audit.Counter) *Population {
	p := &Population{asOf: asOf, schema: schema, settings: s, scores: model.Row{Num: make([]float64, len(scoreFields)), Cat: make([]string, len(scoreFields))}}
	for i, name := range Populations {
		p.counters[i] = counter(name)
	}
	return p
}

// Relation counts those of the views who are of the relation of a key, with the sheets
// that the engines made of them, which are in the views' order.
func (p *Population) Relation(key string, views []*portfolio.View, sheets []scoring.Sheet) {
	p.views = p.views[:0]
	for _, v := range views {
		if v.Relation() == key {
			p.views = append(p.views, v)
		}
	}
	p.group.Reset(p.views)
	for k, v := range views {
		if v.Relation() == key && !feature.Objects(v) {
			p.customer(v, &sheets[k])
		}
	}
	for _, c := range p.counters {
		c.Next()
	}
}

func (p *Population) customer(v *portfolio.View, sh *scoring.Sheet) {
	in := feature.Input{View: v, Group: &p.group}
	inForce := false
	p.reader.Policies(in)
	for i := range v.Policies {
		if v.Policies[i].InForce(p.asOf) {
			inForce = true
			p.reader.Policy(p.schema, i, &p.row)
			p.counters[1].Add(&p.row)
		}
	}
	if !inForce {
		return
	}
	p.reader.PolicyHazards(in, &p.row)
	from := len(feature.Customers)
	for i := range v.Policies {
		if v.Policies[i].InForce(p.asOf) {
			p.reader.PolicyHazard(i, &p.row)
			to := len(p.row.Num) - len(feature.PolicyMonths)
			p.part.Num, p.part.Cat = p.row.Num[from:to], p.row.Cat[from:to]
			p.counters[2].Add(&p.part)
		}
	}
	p.reader.Offer(in, &p.row)
	p.counters[0].Add(&p.row)
	p.sheet(sh)
	p.counters[3].Add(&p.scores)
}

// sheet fills the row of scores; what an engine did not score is not known.
func (p *Population) sheet(sh *scoring.Sheet) {
	none := math.NaN()
	p.scores.Num = append(p.scores.Num[:0], none, none, sh.Risk.Care.Score, none, none, none, none, none)
	clear(p.scores.Cat)
	if sh.Risk.Status == score.Scored {
		p.scores.Num[0], p.scores.Num[1] = sh.Risk.Score, sh.Risk.Loss
	}
	if sh.Churn.Status == score.Scored {
		p.scores.Num[3] = sh.Churn.Headline[12]
	}
	if sh.Clv.Status == score.Scored {
		p.scores.Num[4] = sh.Clv.Value
	}
	if len(sh.Nbp.Offers) > 0 {
		o := &sh.Nbp.Offers[0]
		p.scores.Num[5], p.scores.Cat[6] = o.Probability, o.Group.Code
	} else {
		p.scores.Cat[6] = "none"
	}
	if p.scores.Cat[7] = sh.Defend.Action; sh.Defend.Action == "" {
		p.scores.Cat[7] = "none"
	}
}

// baselineSample is how many relations a baseline is of, at most: the chance in an index
// of so many is below a hundredth.
const baselineSample = 10_000

// baseline finds how features and scores are distributed, with models that are complete:
// scores are places in what was frozen before.
func (f *fitter) baseline(ctx context.Context, source Source, m *scoring.Models) error {
	if f.o.Baseline == nil {
		return nil
	}
	scorer, err := scoring.New(m)
	if err != nil {
		return err
	}
	surveys := map[string]*audit.Survey{}
	read := NewPopulation(f.o.AsOf, f.schema, m.Settings.Features, func(name string) audit.Counter {
		surveys[name] = audit.NewSurvey(Watched(name, f.schema, m.Settings.Features))
		return surveys[name]
	})
	keep, n := uint64(max(1, f.relations/baselineSample)), 0
	var subjects []scoring.Subject
	for rel, err := range f.moved.lived(ctx, source) {
		if err != nil {
			return fmt.Errorf("making the baseline: %w", err)
		}
		if n++; n%1000 == 0 {
			f.o.Progress("keeping distributions", n, f.relations)
		}
		if hash(rel.Key, 5, 6)%keep != 0 {
			continue
		}
		f.now.reset(rel.Members, f.o.AsOf, f.o.Ends)
		subjects = appendSubjects(subjects[:0], rel.Members)
		read.Relation(rel.Key, f.now.all, scorer.Relation(subjects, f.o.AsOf, scoring.NewSet(scoring.Engines...)))
	}
	*f.o.Baseline = audit.Baseline{AsOf: f.o.AsOf}
	for _, name := range Populations {
		f.o.Baseline.Populations = append(f.o.Baseline.Populations, surveys[name].Population(name))
	}
	return nil
}

func appendSubjects(to []scoring.Subject, members []*portfolio.Aggregate) []scoring.Subject {
	for _, a := range members {
		to = append(to, scoring.Subject{Aggregate: a})
	}
	return to
}
