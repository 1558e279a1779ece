package backtest

import (
	"slices"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
)

// branchNames are those of the groups of claims and losses, the last one of all others.
func branchNames() (names []string) {
	for _, b := range portfolio.Branches {
		names = append(names, b.Name)
	}
	return append(names, "other")
}

func branchOf(name string) int16 {
	i := slices.IndexFunc(portfolio.Branches, func(b portfolio.Branch) bool { return b.Name == name })
	if i < 0 {
		i = len(portfolio.Branches)
	}
	return int16(i)
}

// leastMean keeps a prediction of nothing from being measured on a logarithm.
const leastMean = 1e-9

// cost notes what the policies of a member claimed in the year from the day after, beside
// what risk said of them: claims as many as are reported by the time of the labels, and
// losses as they are known by then. What recoveries take beyond the losses of a policy's year
// counts as nothing.
func (y *year) cost(key int32, member int) {
	now, today := y.came.refs[member], y.today.refs[member]
	from, to := y.AsOf+1, y.until+1
	s := &y.e.models.Settings.Risk
	for i := range y.risk.Policies {
		p := &y.risk.Policies[i]
		later := now.Policy(p.ID)
		if later == nil {
			continue
		}
		exposure := later.Exposure(from, to)
		if exposure <= 0 {
			continue
		}
		claims, loss, undated := came(now, p.ID, from, to, s, y.w.o.AsOf)
		_, known, forgotten := came(today, p.ID, from, to, s, y.w.o.AsOf)
		y.Later, y.Forgotten = y.Later+undated, y.Forgotten+forgotten
		branch := y.branch(p.Branch)
		group := branchOf(p.Branch)
		y.claims = append(y.claims, row{relation: key, group: group, units: exposure, mean: max(p.Frequency/branch.Reporting, leastMean), rate: claims / exposure})
		y.losses = append(y.losses, row{
			relation: key, group: group, units: exposure, mean: max(p.Undeveloped, leastMean), rate: max(loss, 0) / exposure,
			ultimate: p.Loss, known: known / exposure,
		})
	}
}

// branch is the level of a branch in the year's models.
func (y *year) branch(name string) risk.Branch {
	for _, n := range [...]string{name, ""} {
		if b, ok := y.e.models.Risk.Branches[n]; ok {
			return b
		}
	}
	return risk.Branch{Reporting: 1}
}

// came are the claims of a policy that count, covers apart aside, and all its losses in EUR;
// and how many there are of rows without recorded_at that were not recorded by then. Those
// are as known on a later date.
func came(v *portfolio.View, policy string, from, to portfolio.Date, s *risk.Settings, later portfolio.Date) (claims, loss float64, undated int) {
	for i := range v.Claims {
		c := &v.Claims[i]
		if c.PolicyID != policy || c.LossDate < from || c.LossDate >= to {
			continue
		}
		if c.CurrentOnly {
			undated++
			since, ok := c.Since(later)
			if !ok {
				continue
			}
			c = &since
		}
		if c.Status == portfolio.ClaimRejected {
			continue
		}
		loss += c.Incurred().EUR()
		if risk.Counts(c) && !s.IsApart(c.Cover) {
			claims++
		}
	}
	return claims, loss, undated
}

// claimSpecs are the figures of how often policies claim.
var claimSpecs = []spec{
	counted("cases", "Policies"),
	counted("events", "Claims"),
	overExpected("ratio", "Actual / expected"),
	{"gini", "Gini", Index, 0, -1, 1},
	{"top", "Of all claims, in the highest tenth", Share, 0.1, 0, 1},
	explained("explained", "Deviance explained"),
}

func claimed(o *outcome, into []float64) {
	copy(into, []float64{o.cases, o.actual, o.ratio, o.gini, o.top, o.explained})
}

// lossSpecs are the figures of what policies cost.
var lossSpecs = []spec{
	counted("cases", "Policies"),
	counted("events", "With a loss"),
	overExpected("ratio", "Actual / expected"),
	overExpected("known", "Actual / expected, as known today"),
	{"gini", "Gini", Index, 0, -1, 1},
	{"top", "Of all losses, in the highest tenth", Share, 0.1, 0, 1},
	explained("explained", "Deviance explained"),
}

func lost(o *outcome, into []float64) {
	copy(into, []float64{o.cases, o.events, o.ratio, o.known, o.gini, o.top, o.explained})
}
