// Package effect answers what came of acting: of customers for whom an action was due, how
// many left or bought of those whom somebody acted for, and of the others that are alike.
//
// What people choose to act on is not drawn by lot, so the difference is an association. It
// is adjusted for the probability that was predicted when the action was suggested, as a
// prognostic score (Hansen 2008) in bands. Where a tenant holds suggestions out at random,
// what became of those that were shown and of those that were not is an effect: of showing
// them, whatever was done then.
package effect

import (
	"polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/feedback"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// Tally is what became of suggestions, counted. It adds up over the parts of a book.
type Tally struct {
	// By kind of action, of suggestions that are about nothing, which are to keep the
	// customer, and of those about something that it may buy.
	Lapses    map[string]*Counts          `json:"lapses,omitempty"`
	Purchases map[string]*Counts          `json:"purchases,omitempty"`
	Judged    map[string]*feedback.Judged `json:"judged,omitempty"`
}

// Counts are those of one kind of action.
type Counts struct {
	Suggested int `json:"suggested"`
	Open      int `json:"open"` // whose time is not over yet
	// By band of the predicted probability: of suggestions that were shown, those acted on
	// soon and those that were not; and of all of which it was drawn, those that were shown
	// and those that were held out.
	Acted []Cell `json:"acted,omitempty"`
	Left  []Cell `json:"left,omitempty"`
	Shown []Cell `json:"shown,omitempty"`
	Held  []Cell `json:"held_out,omitempty"`
}

// Cell is how many customers there were, and for how many of them what is counted came.
type Cell struct {
	Customers int `json:"customers"`
	Events    int `json:"events"`
}

func count(cells []Cell, band int, came bool) []Cell {
	for len(cells) <= band {
		cells = append(cells, Cell{})
	}
	cells[band].Customers++
	if came {
		cells[band].Events++
	}
	return cells
}

func merge(to, from []Cell) []Cell {
	for i, c := range from {
		if i == len(to) {
			to = append(to, Cell{})
		}
		to[i].Customers += c.Customers
		to[i].Events += c.Events
	}
	return to
}

func at[T any](m *map[string]*T, key string) *T {
	if *m == nil {
		*m = map[string]*T{}
	}
	v := (*m)[key]
	if v == nil {
		v = new(T)
		(*m)[key] = v
	}
	return v
}

// Add adds another part's counts.
func (t *Tally) Add(o *Tally) {
	for key, from := range o.Judged {
		to := at(&t.Judged, key)
		to.All += from.All
		to.Against += from.Against
	}
	add := func(to *map[string]*Counts, from map[string]*Counts) {
		for key, f := range from {
			c := at(to, key)
			c.Suggested += f.Suggested
			c.Open += f.Open
			c.Acted, c.Left = merge(c.Acted, f.Acted), merge(c.Left, f.Left)
			c.Shown, c.Held = merge(c.Shown, f.Shown), merge(c.Held, f.Held)
		}
	}
	add(&t.Lapses, o.Lapses)
	add(&t.Purchases, o.Purchases)
}

// Member is a customer with what was suggested for it.
type Member struct {
	*portfolio.Aggregate
	History *feedback.History
}

// Counter counts what became of the suggestions of a book, relation by relation. One per
// goroutine.
type Counter struct {
	Tally Tally

	settings  *scoring.Settings
	ends      portfolio.EndTable
	asOf      portfolio.Date
	groups    *nbp.Grouping
	now, then []portfolio.View
	refs      []*portfolio.View
	group     feature.Group
	ready     bool
}

// NewCounter counts with what is known as of a date, under the settings that models were
// trained under.
func NewCounter(m *scoring.Models, asOf portfolio.Date) (*Counter, error) {
	groups, err := nbp.NewGrouping(m.Settings.Nbp.Groups)
	if err != nil {
		return nil, err
	}
	return &Counter{settings: &m.Settings, ends: m.Ends, asOf: asOf, groups: groups}, nil
}

// Relation counts the suggestions for a relation's members.
func (c *Counter) Relation(members []Member) {
	c.ready = false
	for _, m := range members {
		over := map[[2]string]portfolio.Date{} // until when the last that counts was followed
		for i := range m.History.Suggestions {
			s := &m.History.Suggestions[i]
			if s.Opened > c.asOf {
				continue
			}
			at(&c.Tally.Judged, s.Action).Add(s)
			// What is suggested again while the first is followed is no customer more.
			key := [2]string{s.Action, s.About}
			if s.Opened < over[key] {
				continue
			}
			over[key] = c.suggestion(members, s)
		}
	}
}

// suggestion counts one, and says until when it is followed.
func (c *Counter) suggestion(members []Member, s *feedback.Suggestion) portfolio.Date {
	f := &c.settings.Feedback
	counts := at(&c.Tally.Lapses, s.Action)
	if s.About != "" {
		counts = at(&c.Tally.Purchases, s.Action)
	}
	counts.Suggested++
	landmark := s.Opened + portfolio.Date(f.Effects.LandmarkDays)
	until := landmark.AddMonths(f.WindowMonths)
	if until.AddMonths(c.settings.Features.ReportingLag) > c.asOf {
		counts.Open++ // of one that is followed no part counts before all does
		return until
	}
	gone, came := c.came(members, s, until)
	band := f.Effects.Band(s.Chance)
	if f.Effects.HoldOut > 0 && s.Share == f.Effects.HoldOut {
		arm := &counts.Shown
		if s.Held {
			arm = &counts.Held
		}
		end := s.Opened.AddMonths(f.WindowMonths)
		*arm = count(*arm, band, came && gone <= end)
	}
	// Who left or bought before the landmark could not be acted on any more: to count these
	// as not acted on would be to see an effect of having stayed (Anderson et al. 1983).
	if s.Held || gone != 0 && gone <= landmark {
		return until
	}
	arm := &counts.Left
	if s.ActedBy(landmark) {
		arm = &counts.Acted
	}
	*arm = count(*arm, band, came)
	return until
}

// came is when after the suggestion the relation ended, or what it is about was bought, 0
// for neither, and whether that is what is counted: an end that is no lapse is not.
func (c *Counter) came(members []Member, s *feedback.Suggestion, until portfolio.Date) (day portfolio.Date, counted bool) {
	if !c.ready {
		c.now = c.views(c.now, members, c.asOf)
		c.ready = true
	}
	if s.About != "" {
		c.refs = refs(c.refs, c.now)
		day = c.groups.First(c.refs, c.ends, &c.settings.Nbp, s.Opened, until, c.groups.Named(s.About))
		return day, day != 0
	}
	c.then = c.views(c.then, members, s.Opened)
	c.refs = refs(c.refs, c.then)
	c.group.Reset(c.refs)
	definition := c.settings.Churn.Definition.Relation().Of(&c.group)
	c.refs = refs(c.refs, c.now)
	portfolio.Relate(c.refs)
	return churn.End(c.refs, s.Opened, until, definition)
}

func (c *Counter) views(views []portfolio.View, members []Member, on portfolio.Date) []portfolio.View {
	for len(views) < len(members) {
		views = append(views, portfolio.View{})
	}
	views = views[:len(members)]
	for i, m := range members {
		views[i].Reset(m.Aggregate, on, c.ends)
	}
	return views
}

func refs(to []*portfolio.View, views []portfolio.View) []*portfolio.View {
	to = to[:0]
	for i := range views {
		to = append(to, &views[i])
	}
	return to
}
