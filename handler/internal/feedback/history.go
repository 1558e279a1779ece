// Package feedback is what people did with the actions that were suggested to them, and
// what they thought of these: kept as history, each word with the day on which it was
// recorded, so that a training as of a past date reads only what was known then.
//
// What people did says in which months churn would not have been "without action". What
// they thought decides what is suggested again, and to whom: it is never a label, and no
// training reads it.
package feedback

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Outcome is what became of a suggestion.
type Outcome string

// The outcomes. All but Open are what people say.
const (
	Open      Outcome = "open"
	Done      Outcome = "done"
	Dismissed Outcome = "dismissed"
	Snoozed   Outcome = "snoozed"
	Declined  Outcome = "declined" // by the customer, who was offered something
)

// acted reports whether somebody approached the customer.
func (o Outcome) acted() bool { return o == Done || o == Declined }

// Judgement is what somebody thought of a suggestion.
type Judgement string

// The judgements. All but Useful are against it.
const (
	Useful       Judgement = "useful"
	NotUseful    Judgement = "not_useful"
	Wrong        Judgement = "wrong"         // what it rests on is not so
	AlreadyKnown Judgement = "already_known" // and being worked on
)

// Person is who said something: by the id and the role with which they called, and nothing
// that names them.
type Person struct {
	Subject string `json:"subject"`
	Role    string `json:"role"`
}

// Reply is what somebody said of a suggestion: an outcome, a judgement, or both.
type Reply struct {
	Outcome   Outcome        `json:"outcome,omitempty"`
	Judgement Judgement      `json:"judgement,omitempty"`
	On        portfolio.Date `json:"on,omitzero"`    // when it was acted on
	Until     portfolio.Date `json:"until,omitzero"` // of a snooze
	By        Person         `json:"by,omitzero"`
	At        time.Time      `json:"recorded_at"`
}

// recorded is the day from which on the reply is known.
func (r *Reply) recorded() portfolio.Date { return portfolio.DateOf(r.At) }

// Check makes sure that the reply says something, and that what it says goes together.
func (r *Reply) Check() error {
	invalid := func(pointer, detail string) error {
		return &fault.Error{Kind: fault.Invalid, Detail: "the feedback breaks a rule", Fields: []fault.Field{{Pointer: pointer, Detail: detail}}}
	}
	switch r.Judgement {
	case "", Useful, NotUseful, Wrong, AlreadyKnown:
	default:
		return invalid("/judgement", "is one of useful, not_useful, wrong, already_known")
	}
	switch r.Outcome {
	case Done, Dismissed, Declined:
		if r.Until != 0 {
			return invalid("/until", "is for outcome snoozed only")
		}
	case Snoozed:
		if r.Until <= r.recorded() {
			return invalid("/until", "is a date after today")
		}
	case "":
		switch {
		case r.Judgement == "":
			return invalid("/outcome", "is given, or a judgement is")
		case r.Until != 0:
			return invalid("/until", "is for outcome snoozed only")
		}
	default:
		return invalid("/outcome", "is one of done, dismissed, snoozed, declined")
	}
	if r.On > r.recorded()+1 { // east of UTC tomorrow has begun
		return invalid("/on", "is not after today")
	}
	return nil
}

// Suggestion is one action that was due for a customer, from the day it was opened.
type Suggestion struct {
	Item   string         `json:"item_id"`
	Action string         `json:"action"`
	About  string         `json:"about,omitempty"` // what is missed or offered
	Opened portfolio.Date `json:"opened_on"`
	// Cause is what asked for it when it was opened or, after a reply, on the list that was
	// replied to; of what care does not ask for, and of old ones, nothing.
	Cause Cause `json:"cause,omitzero"`
	// Chance is what was predicted when it was opened, for a year: that what it is about is
	// bought, or that the relation lapses where it is about nothing; 0 where neither is known.
	Chance float64 `json:"chance,omitempty"`
	// Share is that of suggestions that were held out then, 0 where it was not drawn of this
	// one; Held says that it was.
	Share   float64 `json:"hold_out,omitempty"`
	Held    bool    `json:"held_out,omitempty"`
	Replies []Reply `json:"replies,omitempty"`
}

// Cause is what asks for something that is owed: rules of care by their codes, and how many
// complaints and claims there have been, ever.
type Cause struct {
	Rules      []string `json:"rules,omitempty"`
	Complaints int      `json:"complaints,omitempty"`
	Claims     int      `json:"claims,omitempty"`
}

// IsZero reports whether nothing is known of what asked.
func (c Cause) IsZero() bool { return len(c.Rules) == 0 }

// beyond reports whether there is something that was not there before.
func (c *Cause) beyond(before *Cause) bool {
	return len(c.since(before)) > 0
}

// since are the codes of what was not there before: rules of care, and where no rule is new
// NewComplaint or NewClaim.
func (c *Cause) since(before *Cause) (codes []string) {
	for _, code := range c.Rules {
		if !slices.Contains(before.Rules, code) {
			codes = append(codes, code)
		}
	}
	if len(codes) > 0 {
		return codes
	}
	if c.Complaints > before.Complaints {
		codes = append(codes, NewComplaint)
	}
	if c.Claims > before.Claims {
		codes = append(codes, NewClaim)
	}
	return codes
}

// What is new where the same rules ask again.
const (
	NewComplaint = "new_complaint"
	NewClaim     = "new_claim"
)

// History is what was suggested for a customer and what people said of it, as it is stored
// with the customer: suggestions by the day they were opened.
type History struct {
	Suggestions []Suggestion `json:"suggestions"`
}

// Bounds of a history: more is a mistake, and a history is one document. Replies to a
// suggestion, and days for which a suggestion is kept, as long as scores are.
const (
	MaxReplies = 100
	keptDays   = 5 * 366
)

// Read reads a history as it is stored; an empty one for nil.
func Read(body []byte) (History, error) {
	var h History
	if body == nil {
		return h, nil
	}
	if err := json.Unmarshal(body, &h); err != nil {
		return History{}, fault.Wrap(fault.Internal, err, "decoding a customer's feedback")
	}
	return h, nil
}

// Body is the history as it is stored.
func (h *History) Body() ([]byte, error) {
	body, err := json.Marshal(h)
	return body, fault.Wrap(fault.Internal, err, "encoding a customer's feedback")
}

// Find finds a suggestion by its item and what that is about; nil where there is none. Of old
// the id of an item did not say what it was about, and stayed when that changed.
func (h *History) Find(item, about string) *Suggestion {
	for i := range h.Suggestions {
		if s := &h.Suggestions[i]; s.Item == item && s.About == about {
			return s
		}
	}
	return nil
}

// Suggest adds a suggestion, and forgets those that are older than any is kept. It reports
// whether it was not there.
func (h *History) Suggest(s Suggestion) bool {
	if h.Find(s.Item, s.About) != nil {
		return false
	}
	h.Suggestions = slices.DeleteFunc(h.Suggestions, func(old Suggestion) bool { return old.Opened < s.Opened-keptDays })
	h.Suggestions = append(h.Suggestions, s)
	slices.SortStableFunc(h.Suggestions, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(a.Opened, b.Opened), cmp.Compare(a.Item, b.Item), cmp.Compare(a.About, b.About))
	})
	return true
}

// Reply adds a reply to a suggestion. The same person saying the same again adds nothing:
// it reports whether there is anything new.
func (s *Suggestion) Reply(r Reply) (bool, error) {
	for i := len(s.Replies) - 1; i >= 0; i-- {
		if s.Replies[i].By != r.By {
			continue
		}
		last := s.Replies[i]
		if last.At = r.At; last == r {
			return false, nil
		}
		break
	}
	if len(s.Replies) >= MaxReplies {
		return false, fault.New(fault.Conflict, "there were %d replies to the item already", MaxReplies)
	}
	s.Replies = append(s.Replies, r)
	return true, nil
}

// Latest are the last outcome and the last judgement.
func (s *Suggestion) Latest() (outcome, judged *Reply) {
	for i := range s.Replies {
		r := &s.Replies[i]
		if r.Outcome != "" {
			outcome = r
		}
		if r.Judgement != "" {
			judged = r
		}
	}
	return outcome, judged
}

// ActedBy reports whether somebody acted on it until the date.
func (s *Suggestion) ActedBy(on portfolio.Date) bool {
	return slices.ContainsFunc(s.Replies, func(r Reply) bool { return r.Outcome.acted() && r.day() <= on })
}

// Quiet reports whether something commercial should not be suggested for the customer on the
// date: so soon after what was last said of the action, whatever it was about.
func (h *History) Quiet(q *Quiet, action string, on portfolio.Date) bool {
	outcome, judged, _ := h.last(func(s *Suggestion) bool { return s.Action == action })
	return outcome != nil && on < outcome.quietUntil(q) || judged != nil && on < judged.against(q)
}

// Owed is something that the duty of care asks for.
type Owed struct {
	Action, About string
	Cause         Cause
	// AtOnce is of what does not wait its turn: all but advice on what is missing or too low.
	AtOnce bool
}

// Settled reports whether what is owed need not be suggested for the customer on the date: so
// soon after what was last said of the same, and while nothing asks for it that did not then.
// What does not wait its turn rests no longer than Quiet.Care and Quiet.CareDone allow.
func (h *History) Settled(q *Quiet, o *Owed, on portfolio.Date) bool {
	outcome, judged, last := h.last(func(s *Suggestion) bool { return s.Action == o.Action && s.About == o.About })
	if last == nil || !last.Cause.IsZero() && o.Cause.beyond(&last.Cause) {
		return false
	}
	if o.AtOnce {
		bounded := *q
		bounded.Done = min(q.Done, q.CareDone)
		for _, days := range [...]*int{&bounded.Dismissed, &bounded.Declined, &bounded.NotUseful, &bounded.Wrong, &bounded.AlreadyKnown} {
			*days = min(*days, q.Care)
		}
		q = &bounded
	}
	return outcome != nil && on < outcome.quietUntil(q) || judged != nil && on < judged.against(q)
}

// News is what asks for something owed that did not when the same was last replied to: why it
// is suggested again; nothing where nobody replied.
func (h *History) News(o *Owed) []string {
	_, _, last := h.last(func(s *Suggestion) bool { return s.Action == o.Action && s.About == o.About })
	if last == nil || last.Cause.IsZero() {
		return nil
	}
	return o.Cause.since(&last.Cause)
}

// last are the last outcome and the last judgement of suggestions, and the suggestion of which
// something was said last; nil for none.
func (h *History) last(of func(*Suggestion) bool) (outcome, judged *Reply, last *Suggestion) {
	var said *Reply
	for i := range h.Suggestions {
		s := &h.Suggestions[i]
		if !of(s) {
			continue
		}
		o, j := s.Latest()
		outcome, judged = later(outcome, o), later(judged, j)
		if now := later(later(said, o), j); now != said {
			said, last = now, s
		}
	}
	return outcome, judged, last
}

// later is the reply that was recorded later; of two of one instant the second.
func later(a, b *Reply) *Reply {
	if b == nil || a != nil && a.At.After(b.At) {
		return a
	}
	return b
}

func (r *Reply) quietUntil(q *Quiet) portfolio.Date {
	switch r.Outcome {
	case Snoozed:
		return r.Until
	case Done:
		return r.day() + portfolio.Date(q.Done)
	case Dismissed:
		return r.day() + portfolio.Date(q.Dismissed)
	case Declined:
		return r.day() + portfolio.Date(q.Declined)
	}
	return 0
}

func (r *Reply) against(q *Quiet) portfolio.Date {
	switch r.Judgement {
	case NotUseful:
		return r.day() + portfolio.Date(q.NotUseful)
	case Wrong:
		return r.day() + portfolio.Date(q.Wrong)
	case AlreadyKnown:
		return r.day() + portfolio.Date(q.AlreadyKnown)
	}
	return 0
}

// day is when it was acted on, else when that was said.
func (r *Reply) day() portfolio.Date {
	if r.On != 0 {
		return r.On
	}
	return r.recorded()
}

// Declines are what was offered and declined, and when that became known.
func (h *History) Declines() iter.Seq2[string, portfolio.Date] {
	return func(yield func(string, portfolio.Date) bool) {
		for i := range h.Suggestions {
			s := &h.Suggestions[i]
			for j := range s.Replies {
				if r := &s.Replies[j]; r.Outcome == Declined && !yield(s.About, r.recorded()) {
					return
				}
			}
		}
	}
}

// Actions appends when somebody acted for the customer.
func (h *History) Actions(to []portfolio.Action) []portfolio.Action {
	for i := range h.Suggestions {
		s := &h.Suggestions[i]
		for j := range s.Replies {
			if r := &s.Replies[j]; r.Outcome.acted() {
				to = append(to, portfolio.Action{Kind: s.Action, About: s.About, On: r.day(), RecordedAt: r.recorded()})
			}
		}
	}
	return to
}
