package nbp

import "polis/handler/internal/portfolio"

// Bought are the groups of which a policy of a relation began in (from, until] that is a
// purchase: one that stayed beyond the days in which it may be undone, that stands in for
// no other, and that no administration says was carried over. The views are of when that
// is known.
func (g *Grouping) Bought(views []*portfolio.View, ends portfolio.EndTable, s *Settings, from, until portfolio.Date) (set uint64) {
	for _, v := range views {
		for j := range v.Policies {
			p := &v.Policies[j]
			if p.StartDate <= from || p.StartDate > until {
				continue
			}
			if i := g.Of(p.Policy); i >= 0 && set>>i&1 == 0 && g.purchase(views, ends, s, p, i) {
				set |= 1 << i
			}
		}
	}
	return set
}

// First is when the first purchase of one of the groups in (from, until] began; 0 for none.
func (g *Grouping) First(views []*portfolio.View, ends portfolio.EndTable, s *Settings, from, until portfolio.Date, groups uint64) (day portfolio.Date) {
	for _, v := range views {
		for j := range v.Policies {
			p := &v.Policies[j]
			if p.StartDate <= from || p.StartDate > until || day != 0 && p.StartDate >= day {
				continue
			}
			if i := g.Of(p.Policy); i >= 0 && groups>>i&1 == 1 && g.purchase(views, ends, s, p, i) {
				day = p.StartDate
			}
		}
	}
	return day
}

// purchase reports whether a policy of group i that began is one.
func (g *Grouping) purchase(views []*portfolio.View, ends portfolio.EndTable, s *Settings, p *portfolio.PolicyView, i int) bool {
	if p.EndDate != 0 && p.EndDate <= p.StartDate+portfolio.Date(s.CoolingOffDays) {
		return false
	}
	switch ends.Of(p.Versions[0].Reason) {
	case portfolio.Transferred, portfolio.Replaced:
		return false
	}
	return !g.replaces(views, p, i)
}

// replaces reports whether a policy of group i stands in for one of its branch that ended
// within the days of a replacement, with any carrier. One of another group it stands in
// for only if nothing of that group does.
func (g *Grouping) replaces(views []*portfolio.View, p *portfolio.PolicyView, i int) bool {
	for _, v := range views {
		for j := range v.Policies {
			q := &v.Policies[j]
			if q.Branch != p.Branch || q.StartDate >= p.StartDate || q.EndDate == 0 || !about(v, q.EndDate, p.StartDate) {
				continue
			}
			if of := g.Of(q.Policy); of == i || !g.begins(views, q, of) {
				return true
			}
		}
	}
	return false
}

// begins reports whether a policy of the group began about when q ended.
func (g *Grouping) begins(views []*portfolio.View, q *portfolio.PolicyView, group int) bool {
	for _, v := range views {
		for j := range v.Policies {
			p := &v.Policies[j]
			if p.StartDate > q.StartDate && about(v, q.EndDate, p.StartDate) && g.Of(p.Policy) == group {
				return true
			}
		}
	}
	return false
}

func about(v *portfolio.View, a, b portfolio.Date) bool {
	return a-b <= v.ReplacementDays && b-a <= v.ReplacementDays
}
