package feedback

import (
	"slices"

	"polis/handler/internal/portfolio"
)

// Windows are days in which what a relation does may be the work of somebody who acted:
// each from the day of an action for as long as it is taken to work.
type Windows struct {
	spans  []span
	weight float64
}

type span struct {
	from, until portfolio.Date // until is the first day after it
	about       string
}

// Reset empties the windows, to be filled by settings.
func (w *Windows) Reset(s *Settings) { w.spans, w.weight = w.spans[:0], s.Weight }

// Add adds those of a customer, as far as they were recorded by a date: of actions that came
// of a list, and of contacts that the office sought for the same.
func (w *Windows) Add(s *Settings, a *portfolio.Aggregate, known portfolio.Date) {
	add := func(on portfolio.Date, about string) {
		w.spans = append(w.spans, span{on, on.AddMonths(s.WindowMonths), about})
	}
	for i := range a.Actions {
		if x := &a.Actions[i]; x.RecordedAt <= known && x.On <= known {
			add(x.On, x.About)
		}
	}
	for i := range a.Contacts {
		c := &a.Contacts[i]
		if c.Direction != "out" || c.At.Date() > known {
			continue
		}
		if _, ok := s.RetentionReasons.About(c.Reason); ok {
			add(c.At.Date(), "")
		} else if about, ok := s.OfferReasons.About(c.Reason); ok {
			if about == "" {
				about = anything
			}
			add(c.At.Date(), about)
		}
	}
}

// anything is what an offer is about that does not say.
const anything = "*"

// None reports whether nobody ever acted.
func (w *Windows) None() bool { return len(w.spans) == 0 }

// Offers keeps into those windows in which one of the names was offered.
func (w *Windows) Offers(into *Windows, names ...string) {
	into.spans, into.weight = into.spans[:0], w.weight
	for _, s := range w.spans {
		if s.about == anything || portfolio.AmongCodes(names, s.about) {
			into.spans = append(into.spans, s)
		}
	}
}

// In reports whether a day lies in a window.
func (w *Windows) In(day portfolio.Date) bool {
	return slices.ContainsFunc(w.spans, func(s span) bool { return s.from <= day && day < s.until })
}

// Free is the share of the days in (from, to] that lie in no window.
func (w *Windows) Free(from, to portfolio.Date) float64 {
	if len(w.spans) == 0 || to <= from {
		return 1
	}
	free := 0
	for day := from + 1; day <= to; day++ {
		if !w.In(day) {
			free++
		}
	}
	return float64(free) / float64(to-from)
}

// First is the first day of (from, to] in a window; 0 where there is none.
func (w *Windows) First(from, to portfolio.Date) portfolio.Date {
	for day := from + 1; day <= to && len(w.spans) > 0; day++ {
		if w.In(day) {
			return day
		}
	}
	return 0
}

// Count says how a span of time of a life counts, (from, to] with an event on a day of it,
// 0 for none: how much as one without an event, and how much as one with it. What lies in no
// window counts whole, the rest by its weight. A month in which somebody acted thus counts
// for the days before as one in which nothing happened yet: to leave it out, and to keep
// months in which the customer had gone before anybody could act, would make the others
// look as if they left more often.
func (w *Windows) Count(from, to, event portfolio.Date) (without, with float64) {
	switch {
	case len(w.spans) == 0 && event == 0:
		return 1, 0
	case len(w.spans) == 0:
		return 0, 1
	}
	switch {
	case event == 0:
		free := w.Free(from, to)
		return free + float64(w.weight*(1-free)), 0
	case w.In(event):
		before := float64(event-from) / float64(to-from)
		return (1 - w.weight) * w.Free(from, event) * before, w.weight
	}
	return 0, 1
}
