// Package actions keeps the lists that an office works from: whom to act on today, and
// what came of it. A list lives across runs: an action that is still due keeps its id
// and the date on which it was opened. What was suggested, and what people did with it, is
// kept with the customer as history: see package feedback.
package actions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/effect"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// MaxCommercial bounds the commercial actions of a list: the first of a tenant by priority,
// more than an office calls in a day (our choice). Advice is bounded by feedback.List, and
// what else care asks for by nothing.
const MaxCommercial = 500

// Part is a part of a list.
type Part string

// The parts.
const (
	Care       Part = "care"       // what care asks for at once: all of it
	Advice     Part = "advice"     // care that can wait its turn: what is missing, or insured for too little
	Commercial Part = "commercial" // what is at stake, or may be sold
)

// Owed reports whether the duty of care asks for what is in the part: it is neither put after
// others by judgements nor held out.
func (p Part) Owed() bool { return p == Care || p == Advice }

// keep is how long a list stays: a year and a month, for the yearly review.
const keep = 400 * 24 * time.Hour

// Candidate is an action that a run suggests for a customer.
type Candidate struct {
	Customer string         `json:"customer_id"`
	Relation string         `json:"relation"`
	Part     Part           `json:"part"`
	Action   string         `json:"action"`
	About    string         `json:"about,omitempty"` // what is missed or offered, for a gap or an offer
	Priority float64        `json:"priority"`
	Due      portfolio.Date `json:"due"`
	Chance   float64        `json:"chance,omitempty"`   // see feedback.Suggestion
	Severity float64        `json:"severity,omitempty"` // the score of care, of advice
	Urgent   bool           `json:"urgent,omitempty"`   // advice that stands before commerce
	After    bool           `json:"after,omitempty"`    // of a kind that was judged to be of little use
	Also     Also           `json:"also,omitzero"`      // advice beside what is commercial
	Instead  bool           `json:"instead,omitempty"`  // of what is owed, where the score suggests something else that is not shown
	Cause    feedback.Cause `json:"cause,omitzero"`     // of what is owed
	New      []string       `json:"new,omitempty"`      // in its cause, since somebody last replied to the same
	// Channels are those by which the customer may be approached with something commercial.
	Channels []string `json:"channels,omitempty"`
}

// Also is advice that is spoken of with something commercial; its Action is "" for none.
type Also struct {
	Action   string         `json:"action"`
	About    string         `json:"about,omitempty"`
	Priority float64        `json:"priority"`
	Due      portfolio.Date `json:"due"`
	Chance   float64        `json:"chance,omitempty"`
	Severity float64        `json:"severity"`
	Urgent   bool           `json:"urgent,omitempty"`
	Cause    feedback.Cause `json:"cause,omitzero"`
}

// Alone is the advice beside something commercial as a candidate of its own, and whether there
// is any: it is owed, and no bound, lot or silence of the other puts it off.
func (c Candidate) Alone() (Candidate, bool) {
	a := &c.Also
	return Candidate{
		Customer: c.Customer, Relation: c.Relation, Part: Advice, Action: a.Action, About: a.About, Priority: a.Priority, Due: a.Due,
		Chance: a.Chance, Severity: a.Severity, Urgent: a.Urgent, Instead: true, Cause: a.Cause,
	}, a.Action != ""
}

// place is where a candidate's kind stands on a list.
func (c *Candidate) place() int {
	switch {
	case c.Part == Care:
		return 0
	case c.Urgent:
		return 1
	case c.Part == Advice:
		return 3
	case c.After:
		return 4
	}
	return 2
}

// compare orders candidates: care by priority and by when it is due; advice that is urgent, by
// severity; commercial ones by priority; the rest of advice; and commercial ones of little use.
// Then by customer, so that ties do not depend on which chunk came first.
func (c Candidate) compare(d Candidate) int {
	place, severity, due := c.place(), 0, 0
	switch c.Part {
	case Care:
		due = cmp.Compare(c.Due, d.Due)
	case Advice:
		severity = cmp.Compare(d.Severity, c.Severity)
	}
	return cmp.Or(cmp.Compare(place, d.place()), severity, cmp.Compare(d.Priority, c.Priority), due, cmp.Compare(c.Customer, d.Customer))
}

// Top keeps, of the candidates it is given, all that care asks for at once, and the first of
// advice and of commercial ones. Neither takes the other's places.
type Top struct {
	care, advice, commercial []Candidate
	maxAdvice                int
}

// NewTop keeps as much advice as the settings say.
func NewTop(l *feedback.List) *Top { return &Top{maxAdvice: l.MaxAdvice} }

// Add offers a candidate. What something commercial would have said beside itself stands alone
// where there is no place for it.
func (t *Top) Add(c Candidate) {
	switch c.Part {
	case Care:
		t.care = append(t.care, c)
	case Advice:
		t.advice, _, _ = first(t.advice, c, t.maxAdvice)
	default:
		var out Candidate
		var fell bool
		if t.commercial, out, fell = first(t.commercial, c, MaxCommercial); fell {
			t.alone(out)
		}
	}
}

// alone adds the advice beside a commercial candidate that is not shown.
func (t *Top) alone(c Candidate) {
	if a, ok := c.Alone(); ok {
		t.Add(a)
	}
}

// first adds a candidate to a list that keeps the first so many, and has them in order once
// it is full; out is the one that has no place.
func first(list []Candidate, c Candidate, most int) (kept []Candidate, out Candidate, fell bool) {
	if len(list) < most {
		if list = append(list, c); len(list) == most {
			slices.SortFunc(list, Candidate.compare)
		}
		return list, out, false
	}
	last := most - 1
	if c.compare(list[last]) >= 0 {
		return list, c, true
	}
	out = list[last]
	at, _ := slices.BinarySearchFunc(list, c, Candidate.compare)
	copy(list[at+1:], list[at:last])
	list[at] = c
	return list, out, true
}

// Ranked is what was kept, first to last.
func (t *Top) Ranked() []Candidate {
	all := slices.Concat(t.care, t.advice, t.commercial)
	slices.SortFunc(all, Candidate.compare)
	return all
}

// Item is one action on a list.
type Item struct {
	ID        string             `json:"item_id"`
	Rank      int                `json:"rank"`
	Customer  string             `json:"customer_id"`
	Part      Part               `json:"part"`
	Action    string             `json:"action"`
	About     string             `json:"about,omitempty"`
	Also      []Beside           `json:"also,omitempty"` // what is to be spoken of as well
	New       []string           `json:"new,omitempty"`  // why it is back after a reply: see feedback.History.News
	Priority  float64            `json:"priority"`
	Opened    portfolio.Date     `json:"opened_on"`
	Due       portfolio.Date     `json:"due_on,omitzero"`
	Status    feedback.Outcome   `json:"status"`
	Until     portfolio.Date     `json:"snoozed_until,omitzero"`
	Judgement feedback.Judgement `json:"judgement,omitempty"`
	Channels  []string           `json:"channels,omitempty"` // by which the customer may be approached with it, of what is commercial
	// Score is the defend score it comes from; none where that suggests something that the
	// list does not show, and this stands instead.
	Score    json.RawMessage `json:"score,omitempty"`
	Relation string          `json:"relation"`

	instead bool
	cause   feedback.Cause
}

// Beside is advice that goes along with an item.
type Beside struct {
	Action string `json:"action"`
	About  string `json:"about,omitempty"`
}

// Instead reports whether an item stands in place of something that is not shown, whose score
// is not its own.
func (it *Item) Instead() bool { return it.instead }

// Count says of a kind of action for how many customers it is due, and for how many of
// these it is on the list.
type Count struct {
	Due    int `json:"due"`
	Listed int `json:"listed"`
}

// Head says of a list what a table of lists shows, as it was made. What is due and not listed
// is advice beyond its bound, or commercial: beyond its own, or held out. Whoever is listed for
// advice instead of something commercial is due for the one and listed for the other.
type Head struct {
	Date portfolio.Date `json:"date"`
	Run  string         `json:"run_id"`
	Count
	Care       Count           `json:"care"`
	Advice     Count           `json:"advice"`
	Commercial Count           `json:"commercial"`
	Snooze     feedback.Snooze `json:"snooze"`  // how long its items can be put off
	Version    string          `json:"version"` // of its items, as they were made
}

// List is a tenant's list of a date.
type List struct {
	Head
	Items []Item `json:"items"`

	held []Item // due, and by lot not shown
	// What is to be remembered of items that were opened on the list's date.
	opened []feedback.Suggestion
}

// matter is what an item is about: what of a customer's is one item, from list to list.
type matter struct{ customer, action, about string }

func (c *Candidate) matter() matter { return matter{c.Customer, c.Action, c.About} }

// itemID is the same for the same matter opened on the same day, so that a repeated run makes
// the same list; but where what is new brings it back after a reply, that is another item, whose
// reply is another one too.
func (c *Candidate) itemID(opened portfolio.Date) string {
	of := c.Customer + "\x1f" + c.Action + "\x1f" + c.About + "\x1f" + opened.String()
	if len(c.New) > 0 {
		of += fmt.Sprintf("\x1f%q\x1f%d\x1f%d", c.Cause.Rules, c.Cause.Complaints, c.Cause.Claims)
	}
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:8])
}

// Make makes a tenant's list of a date from what was kept of its candidates. Items that were on
// the list before, for the same customer, action and what it is about, keep their id, their
// opening date and when they are due, or sooner where that is now. A share of commercial ones
// is held out: see feedback.Effects.
func Make(tenant string, head Head, before *List, top *Top, f *feedback.Settings) *List {
	type place struct {
		*Item
		held bool
	}
	old := map[matter]place{}
	if before != nil {
		for k, items := range [...][]Item{before.Items, before.held} {
			for i := range items {
				if it := &items[i]; it.Status == feedback.Open || before.Date == head.Date {
					old[matter{it.Customer, it.Action, it.About}] = place{it, k == 1}
				}
			}
		}
	}
	goesOn := func(c *Candidate) (place, bool) {
		was, there := old[c.matter()]
		return was, there && (was.Status == feedback.Open && was.Judgement == "" || len(c.New) == 0 || was.ID == c.itemID(head.Date))
	}
	held := func(c *Candidate) bool {
		if c.Part.Owed() {
			return false
		}
		if was, lives := goesOn(c); lives { // its lot has fallen
			return was.held
		}
		return f.Effects.HeldOut(tenant, c.Customer, c.Action, head.Date)
	}
	for i := range top.commercial {
		if c := &top.commercial[i]; c.Also.Action != "" && held(c) {
			top.alone(*c)
		}
	}
	for _, part := range [...][]Candidate{top.care, top.advice, top.commercial} {
		for i := range part {
			if was, lives := goesOn(&part[i]); lives && was.Due != 0 {
				part[i].Due = min(part[i].Due, was.Due)
			}
		}
	}
	l := &List{Head: head}
	l.Snooze = f.Snooze
	for _, c := range top.Ranked() {
		it := Item{
			ID: c.itemID(head.Date), Customer: c.Customer, Relation: c.Relation, Part: c.Part, Action: c.Action, About: c.About,
			Priority: c.Priority, Opened: head.Date, Due: c.Due, Status: feedback.Open, Channels: c.Channels, instead: c.Instead, cause: c.Cause, New: c.New,
		}
		if c.Also.Action != "" {
			it.Also = []Beside{{c.Also.Action, c.Also.About}}
		}
		if was, lives := goesOn(&c); lives {
			it.ID, it.Opened, it.Judgement = was.ID, was.Opened, was.Judgement
		}
		out := held(&c)
		if it.Opened == head.Date {
			s := it.suggestion()
			if s.Chance, s.Held = c.Chance, out; !c.Part.Owed() {
				s.Share = f.Effects.HoldOut
			}
			l.opened = append(l.opened, s)
		}
		if out {
			l.held = append(l.held, it)
		} else {
			l.Items = append(l.Items, it)
		}
	}
	l.number()
	return l
}

// suggestion is what is kept of an item with its customer.
func (it *Item) suggestion() feedback.Suggestion {
	return feedback.Suggestion{Item: it.ID, Action: it.Action, About: it.About, Opened: it.Opened, Cause: it.cause}
}

// number ranks the items, those that are shown first, and counts them.
func (l *List) number() {
	l.Listed, l.Care.Listed, l.Advice.Listed, l.Commercial.Listed = len(l.Items), 0, 0, 0
	for i := range l.Items {
		l.Items[i].Rank = i + 1
		l.Head.Of(l.Items[i].Part).Listed++
	}
	for i := range l.held {
		l.held[i].Rank = l.Listed + i + 1
	}
}

// Of is the head's count of a part.
func (h *Head) Of(p Part) *Count {
	switch p {
	case Care:
		return &h.Care
	case Advice:
		return &h.Advice
	}
	return &h.Commercial
}

// Lists reads and writes lists, and what people say of them.
type Lists struct {
	book   *book.Book
	store  store.Store
	atOnce int // items that are read from the book at a time
	now    func() time.Time
}

// New is the lists in a store, of the customers in a book.
func New(b *book.Book, s store.Store) *Lists {
	if b == nil || s == nil {
		panic("actions: no book or no store")
	}
	return &Lists{b, s, atOnce, time.Now}
}

// WithClock is the lists with another clock than the system's.
func (s *Lists) WithClock(now func() time.Time) *Lists {
	other := *s
	other.now = now
	return &other
}

const (
	headKey    = "list-head\x1f" // and the date: small, so that all can be listed
	pageKey    = "list\x1f"      // and the date, the list's version and the rank of the page's last item
	countedKey = "counted"       // what became of suggestions, as the last run found
)

// CountedOp is the write that stores what a run counted of what became of suggestions; the
// caller adds it to the batch that completes the run.
func CountedOp(c *effect.Counted) (store.Op, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return store.Op{}, fault.Wrap(fault.Internal, err, "encoding what became of suggestions")
	}
	return store.Op{Document: store.Document{Key: countedKey, Body: body}}, nil
}

// Counted is what the last run counted of what became of suggestions; fault.NotFound where
// none did yet.
func (s *Lists) Counted(ctx context.Context, tenant string) (*effect.Counted, error) {
	d, err := s.store.Get(ctx, shared(tenant), countedKey)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "nothing was counted yet: a run of the engine defend does it")
	}
	if err != nil {
		return nil, err
	}
	return effect.Read(d.Body)
}

func shared(tenant string) store.Partition {
	return store.Partition{Tenant: tenant, Bucket: store.Shared}
}

// Record stores what somebody said of an item: with its customer first, which is what the
// next run reads, then on the list. Recording the same twice changes nothing.
func (s *Lists) Record(ctx context.Context, t book.Tenant, date portfolio.Date, item string, r feedback.Reply) (Item, error) {
	if err := r.Check(); err != nil {
		return Item{}, err
	}
	for {
		h, err := s.Head(ctx, t.ID, date)
		if err != nil {
			return Item{}, err
		}
		p, it, err := s.find(ctx, t.ID, &h, item)
		if err != nil {
			return Item{}, err
		}
		if err := it.takes(&r, &h.Snooze); err != nil {
			return Item{}, err
		}
		if err := s.remember(ctx, t, it, r); err != nil {
			return Item{}, err
		}
		if r.Outcome != "" {
			it.Status, it.Until = r.Outcome, r.Until
		}
		if r.Judgement != "" {
			it.Judgement = r.Judgement
		}
		err = s.replace(ctx, t.ID, p)
		if !fault.Is(err, fault.Conflict) { // somebody else's outcome came between: once more
			return *it, err
		}
	}
}

// takes reports what is wrong with a reply to the item.
func (it *Item) takes(r *feedback.Reply, s *feedback.Snooze) error {
	invalid := func(detail, pointer, field string) error {
		return &fault.Error{Kind: fault.Invalid, Detail: detail, Fields: []fault.Field{{Pointer: pointer, Detail: field}}}
	}
	most := s.Days
	if it.Part.Owed() {
		most = s.CareDays
	}
	switch {
	case r.Outcome == feedback.Declined && it.About == "":
		return invalid("nothing was offered", "/outcome", "declined is for items that are about an offer or a gap")
	case r.On != 0 && r.On < it.Opened:
		return invalid("it was not suggested by then", "/on", "is not before the item was opened")
	case r.Outcome == feedback.Snoozed && r.Until > portfolio.DateOf(r.At)+portfolio.Date(most):
		return invalid("it cannot be put off for so long", "/until", fmt.Sprintf("is at most %d days after today for this item", most))
	}
	return nil
}

// remember adds a reply to its suggestion in the customer's history.
func (s *Lists) remember(ctx context.Context, t book.Tenant, it *Item, r feedback.Reply) error {
	rec, err := s.book.Customer(ctx, t, it.Customer)
	if err != nil {
		return err
	}
	return s.book.ChangeFeedback(ctx, t, []book.Who{{Relation: rec.Relation, ID: it.Customer}}, func(_ int, body []byte) ([]byte, error) {
		return changed(body, func(h *feedback.History) (bool, error) {
			// An item of a list whose run was cut off before it was remembered is added now.
			h.Suggest(it.suggestion())
			s := h.Find(it.ID, it.About)
			anything, err := s.Reply(r)
			if anything {
				s.Cause = it.cause
			}
			return anything, err
		})
	})
}

// changed is a stored history as a change makes it; nil where the change reports false: all is
// as it should be already.
func changed(body []byte, change func(*feedback.History) (bool, error)) ([]byte, error) {
	h, err := feedback.Read(body)
	if err != nil {
		return nil, err
	}
	if anything, err := change(&h); err != nil || !anything {
		return nil, err
	}
	return h.Body()
}
