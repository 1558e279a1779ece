package churn

import (
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
)

// Definition says what must lapse for a relation to count as lapsed.
type Definition string

// The definitions. Of a relation in which no policy counts all policies do, and the score
// says All.
const (
	OnePolicy    Definition = "one_policy"    // any policy
	OneBranch    Definition = "one_branch"    // all policies of any branch that is held
	AllNonLife   Definition = "all_non_life"  // all but life insurance
	AllEssential Definition = "all_essential" // all of essential branches; the default
	All          Definition = "all"
)

// life are the branches of life insurance: the classes of Directive 2009/138/EC, Annex II.
// Disability, sickness and health are non-life by its Annex I.
var life = map[string]bool{"life": true, "funeral": true}

// valid reports whether it is one of the definitions.
func (d Definition) valid() bool {
	switch d {
	case OnePolicy, OneBranch, AllNonLife, AllEssential, All:
		return true
	}
	return false
}

// Relation is the definition by which the relation as a whole ends: with one policy or
// one branch it does not.
func (d Definition) Relation() Definition {
	if d == AllNonLife || d == All {
		return d
	}
	return AllEssential
}

// Counts reports whether a policy of a branch must have ended for the relation to have.
func (d Definition) Counts(branch string) bool {
	switch d {
	case AllNonLife:
		return !life[branch]
	case AllEssential:
		b, _ := portfolio.BranchOf(branch)
		return b.Essential
	}
	return true
}

// Of is the definition that applies to a relation: All where nothing that it has in force
// would count.
func (d Definition) Of(g *feature.Group) Definition {
	if d != AllNonLife && d != AllEssential || d == AllNonLife && g.Other {
		return d
	}
	for i, b := range portfolio.Branches {
		if g.Holds(i) && d.Counts(b.Name) {
			return d
		}
	}
	return All
}

// DefinitionOf is the default definition, as it applies to a relation.
func DefinitionOf(g *feature.Group) Definition { return AllEssential.Of(g) }

// End finds the first day in (from, until] on which none of the policies that count is in
// force, and whether it came by a lapse: one at least of those that ended that day was
// ended by the customer. A policy that begins within the days of a replacement carries the
// relation on. 0 where there is no such day.
func End(views []*portfolio.View, from, until portfolio.Date, d Definition) (day portfolio.Date, lapsed bool) {
	carried := func(end portfolio.Date) bool {
		for _, w := range views {
			for j := range w.Policies {
				q := &w.Policies[j]
				if ends, _ := endOf(q); q.StartDate <= end+w.ReplacementDays && (ends == 0 || ends > end) && d.Counts(q.Branch) {
					return true
				}
			}
		}
		return false
	}
	for _, v := range views {
		for i := range v.Policies {
			p := &v.Policies[i]
			end, by := endOf(p)
			if end <= from || end > until || p.StartDate > end || day != 0 && end > day || !d.Counts(p.Branch) {
				continue
			}
			switch {
			case end == day:
				lapsed = lapsed || by == portfolio.Lapse
			case !carried(end):
				day, lapsed = end, by == portfolio.Lapse
			}
		}
	}
	return day, lapsed
}

// endOf is when a policy ended or, as far as is recorded, will end, and by whom; 0 where
// no end is known.
func endOf(p *portfolio.PolicyView) (portfolio.Date, portfolio.End) {
	if p.EndsOn != 0 {
		return p.EndsOn, p.EndsBy
	}
	return p.EndDate, p.Ended
}
