package backtest

import (
	"slices"

	"polis/handler/internal/churn"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

// twelve is the place of 12 months in churn.Horizons.
var twelve = slices.Index(churn.Horizons[:], 12)

// lapse scores the relation and its policies, and notes whether they lapsed in the year. An
// end that was recorded already is no prediction.
func (y *year) lapse(key int32, objects func(int) bool) {
	y.e.churn.Score(&y.group, &y.churn)
	if y.churn.Status != score.Scored {
		return
	}
	if y.churn.EndsOn != 0 && y.churn.EndsOn <= y.until {
		y.Announced++
		return
	}
	group := held(y.group.Policies)
	d := y.e.models.Settings.Churn.Definition.Relation().Of(&y.group)
	_, lapsed := churn.End(y.came.refs, y.AsOf, y.until, d)
	y.relations = append(y.relations, row{relation: key, group: group, mean: y.churn.Lapsed[12], rate: one(lapsed), units: 1})
	next := 0
	for i, v := range y.then.refs {
		if objects(i) {
			continue
		}
		for j := range v.Policies {
			p := &v.Policies[j]
			if !p.InForce(y.AsOf) {
				continue
			}
			// What is scored stands in the order of the policies.
			for next < len(y.churn.Policies) && y.churn.Policies[next].ID != p.ID {
				next++
			}
			later := y.came.refs[i].Policy(p.ID)
			if next == len(y.churn.Policies) || later == nil || p.EndsOn != 0 {
				continue
			}
			lapsed := later.Ended == portfolio.Lapse && later.EndDate > y.AsOf && later.EndDate <= y.until
			y.policies = append(y.policies, row{relation: key, group: group, mean: y.churn.Policies[next].Lapsed[twelve], rate: one(lapsed), units: 1})
		}
	}
}

// heldNames are those of the groups of relations by how many policies they have in force.
var heldNames = []string{"one policy held", "two", "three or more"}

func held(policies int) int16 { return int16(min(policies, len(heldNames)) - 1) }

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// lapseSpecs are the figures of lapses.
var lapseSpecs = []spec{
	counted("cases", "Cases"),
	counted("events", "Lapsed"),
	overExpected("ratio", "Actual / expected"),
	{"auc", "AUC", Index, 0.5, 0, 1},
	{"top", "Of all lapses, in the highest tenth", Share, 0.1, 0, 1},
	explained("explained", "Deviance explained"),
	{"brier", "Brier score", Index, notKnown, 0, 1},
	{"brier_mean", "Brier score of the mean", Index, notKnown, 0, 1},
}

func lapsed(o *outcome, into []float64) {
	copy(into, []float64{o.cases, o.events, o.ratio, o.auc, o.top, o.explained, o.brier, o.brierMean})
}
