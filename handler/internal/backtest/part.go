package backtest

import (
	"fmt"
	"math"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/measure"
	"polis/handler/internal/nbp"
	"polis/handler/internal/scoring"
)

// making is a part on its way: how its figures are filled, and what comes after them.
type making struct {
	Part
	specs  []spec // those that are shown come first
	shown  int
	groups []string // of which actual over expected is shown, after the tenths
	years  []judged
	tally  *tally
	show   func(m *making, year int) (Shown, error)
}

// cases are those of a year that are ranked, with how the part's figures are picked.
type cases struct {
	*ranked
	pick func(o *outcome, into []float64)
	n    int // figures that are picked
}

func (c cases) at(weights, into []float64) {
	o := c.weigh(weights)
	if c.pick(&o, into); c.few() {
		for k := 2; k < len(into); k++ { // cases and events are counted all the same
			into[k] = math.NaN()
		}
		return
	}
	copy(into[c.n:], o.tenths)
	copy(into[c.n+tenths:], o.groups)
}

// rankedPart is one whose cases are ranked by what was said of them.
func (w *walk) rankedPart(e scoring.Engine, code, title string, f measure.Family, specs []spec, pick func(*outcome, []float64), groups []string, rows func(*year) []row) *making {
	m := &making{Part: Part{Engine: e, Code: code, Title: title}, shown: len(specs), groups: groups, show: showTrial}
	m.specs = append(m.specs, specs...)
	for k := range tenths {
		m.specs = append(m.specs, overExpected(fmt.Sprint("tenth_", k+1), ""))
	}
	for _, g := range groups {
		m.specs = append(m.specs, overExpected(g, strings.ReplaceAll(g, "_", " ")))
	}
	for _, y := range w.years {
		m.years = append(m.years, cases{newRanked(f, rows(y), len(groups), w.keys), pick, len(specs)})
	}
	return m
}

// parts are all of them.
func (w *walk) parts() ([]*making, error) {
	grouping, err := nbp.NewGrouping(w.o.Settings.Nbp.Groups)
	if err != nil {
		return nil, err
	}
	var codes []string
	for i := range grouping.Groups {
		codes = append(codes, grouping.Groups[i].Code)
	}
	for _, y := range w.years {
		byGroup(y.pairs, len(codes))
	}
	worth := &making{Part: Part{Engine: scoring.Clv, Code: "values", Title: "Value of customers"}, specs: append([]spec{}, valueSpecs...), shown: len(valueSpecs), show: showValues}
	for k := range tenths {
		worth.specs = append(worth.specs, amount(fmt.Sprint("came_", k+1), ""))
	}
	for _, code := range []string{"coverage_", "pit_"} {
		for k := range tenths {
			worth.specs = append(worth.specs, share(fmt.Sprint(code, k+1), ""))
		}
	}
	hit := &making{Part: Part{Engine: scoring.Nbp, Code: "hits", Title: "What buyers bought"}, specs: hitSpecs(), shown: len(hitSpecs()), show: showHits}
	for _, y := range w.years {
		worth.years = append(worth.years, newWorths(y.values, w.keys))
		hit.years = append(hit.years, purchases{y.buyers, y.barred, y.asked})
	}
	out := []*making{
		w.rankedPart(scoring.Churn, "relations", "Relations that lapse", measure.Logistic, lapseSpecs, lapsed, heldNames, func(y *year) []row { return y.relations }),
		w.rankedPart(scoring.Churn, "policies", "Policies that lapse", measure.Logistic, lapseSpecs, lapsed, heldNames, func(y *year) []row { return y.policies }),
		w.rankedPart(scoring.Risk, "claims", "Claim frequency of policies", measure.Poisson, claimSpecs, claimed, branchNames(), func(y *year) []row { return y.claims }),
		w.rankedPart(scoring.Risk, "losses", "Loss of policies", measure.Tweedie, lossSpecs, lost, branchNames(), func(y *year) []row { return y.losses }),
		worth, hit,
		w.rankedPart(scoring.Nbp, "purchases", "Probability of buying", measure.Logistic, pairSpecs, paired, codes, func(y *year) []row { return y.pairs }),
	}
	for _, m := range out {
		m.tally = newTally(m.specs, m.years, len(w.keys))
	}
	return out, nil
}

// finish is the part with its intervals.
func (m *making) finish() (Part, error) {
	all := m.tally.figures()
	m.Figures = all[:m.shown]
	if n := len(m.groups); n > 0 {
		for _, f := range all[len(all)-n:] {
			if f.All != nil {
				m.Groups = append(m.Groups, f)
			}
		}
	}
	for y := range m.years {
		s, err := m.show(m, y)
		if err != nil {
			return Part{}, err
		}
		m.By = append(m.By, s)
	}
	return m.Part, nil
}

// at is a figure of a year by its place, nil where it is not known.
func (m *making) at(year, figure int) *measure.Estimate { return m.tally.estimate(year, figure) }

// showTrial is what measure says of a year's cases, with the intervals of relations drawn anew.
func showTrial(m *making, year int) (Shown, error) {
	c := m.years[year].(cases)
	if c.few() {
		return Shown{Why: fmt.Sprintf("%d of %d cases: too few", c.events, len(c.rows))}, nil
	}
	mean, actual, units := make([]float64, len(c.rows)), make([]float64, len(c.rows)), make([]float64, len(c.rows))
	for i, x := range c.rows {
		mean[i], actual[i], units[i] = x.mean, x.rate*x.units, x.units
		if c.family == measure.Logistic {
			actual[i] = min(actual[i], units[i]) // by rounding alone may it be more
		}
	}
	t, err := measure.Try(c.family, mean, actual, units, nil)
	if err != nil {
		return Shown{}, fault.Wrap(fault.Internal, err, "measuring %s", m.Code)
	}
	for k, s := range m.specs[:m.shown] {
		e := m.at(year, k)
		switch s.code {
		case "ratio":
			t.Ratio = e
		case "auc":
			t.AUC = e
		case "gini":
			t.Gini = e
		}
	}
	for k := range t.Tenths {
		t.Tenths[k].Ratio = m.at(year, m.shown+k)
	}
	return Shown{Trial: t}, nil
}

func showValues(m *making, year int) (Shown, error) {
	v := m.years[year].(worths)
	if v.few() {
		return Shown{Why: fmt.Sprintf("%d customers: too few", len(v))}, nil
	}
	var s Shown
	for k := range tenths {
		sum, of := 0.0, v.tenth(k)
		for i := range of {
			sum += of[i].value
		}
		s.Value = append(s.Value, Tenth{round(sum / float64(len(of))), m.at(year, m.shown+k), m.at(year, m.shown+tenths+k)})
		s.Pit = append(s.Pit, m.at(year, m.shown+2*tenths+k))
	}
	return s, nil
}

func showHits(m *making, year int) (Shown, error) {
	p := m.years[year].(purchases)
	if p.few() {
		return Shown{Why: fmt.Sprintf("%d relations bought something that could be offered: too few", len(p.buyers))}, nil
	}
	return Shown{}, nil
}
