// Package actions keeps the lists that an office works from: whom to act on today, and
// what came of it. A list lives across runs: an action that is still due keeps its id
// and the date on which it was opened, and what people did with one decides when the
// same may be suggested again.
package actions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// MaxItems bounds a list: the first of a tenant by priority. A list is one document.
const MaxItems = 500

// keep is how long a list stays: a year and a month, for the yearly review.
const keep = 400 * 24 * time.Hour

// Candidate is an action that a run suggests for a customer.
type Candidate struct {
	Customer string         `json:"customer_id"`
	Relation string         `json:"relation"`
	Action   string         `json:"action"`
	About    string         `json:"about,omitempty"` // what is missed or offered, for a gap or an offer
	Priority float64        `json:"priority"`
	Due      portfolio.Date `json:"due"`
}

// before orders candidates: by priority, and by customer so that ties do not depend on
// which chunk came first.
func (c Candidate) compare(d Candidate) int {
	return cmp.Or(cmp.Compare(d.Priority, c.Priority), cmp.Compare(c.Customer, d.Customer))
}

// Top keeps the first MaxItems of the candidates it is given.
type Top struct{ heap []Candidate }

// Add offers a candidate.
func (t *Top) Add(c Candidate) {
	if len(t.heap) < MaxItems {
		t.heap = append(t.heap, c)
		if len(t.heap) == MaxItems {
			slices.SortFunc(t.heap, Candidate.compare)
		}
		return
	}
	last := len(t.heap) - 1
	if c.compare(t.heap[last]) >= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(t.heap, c, Candidate.compare)
	copy(t.heap[at+1:], t.heap[at:last])
	t.heap[at] = c
}

// Ranked is what was kept, first to last.
func (t *Top) Ranked() []Candidate {
	slices.SortFunc(t.heap, Candidate.compare)
	return t.heap
}

// Status is what became of an item.
type Status string

// The states of an item. All but Open are outcomes that people give.
const (
	Open      Status = "open"
	Done      Status = "done"
	Dismissed Status = "dismissed"
	Snoozed   Status = "snoozed"
	NotUseful Status = "not_useful"
	Declined  Status = "declined" // by the customer, who was offered something
)

// quiet is for how many days an outcome keeps the same action from being suggested for
// the same customer. A snooze names its own day. What was declined is kept longer, by what
// it was about; something else may be offered when it would be after any other talk.
var quiet = map[Status]int{Done: 90, Dismissed: 180, NotUseful: 365, Declined: 90}

// Item is one action on a list.
type Item struct {
	ID       string          `json:"item_id"`
	Rank     int             `json:"rank"`
	Customer string          `json:"customer_id"`
	Action   string          `json:"action"`
	About    string          `json:"about,omitempty"`
	Priority float64         `json:"priority"`
	Opened   portfolio.Date  `json:"opened_on"`
	Due      portfolio.Date  `json:"due_on,omitzero"`
	Status   Status          `json:"status"`
	Until    portfolio.Date  `json:"snoozed_until,omitzero"`
	Score    json.RawMessage `json:"score,omitempty"` // the defend score it comes from
	Relation string          `json:"relation"`
}

// Head says of a list what a table of lists shows.
type Head struct {
	Date   portfolio.Date `json:"date"`
	Run    string         `json:"run_id"`
	Due    int            `json:"due"`    // customers for whom an action is due, on the list or not
	Listed int            `json:"listed"` // of those, on the list
}

// List is a tenant's list of a date.
type List struct {
	Head
	Items []Item `json:"items"`

	ETag string `json:"-"`
}

// itemID is the same for the same action opened on the same day, so that a repeated
// run makes the same list.
func itemID(customer, action string, opened portfolio.Date) string {
	sum := sha256.Sum256([]byte(customer + "\x1f" + action + "\x1f" + opened.String()))
	return hex.EncodeToString(sum[:8])
}

// Make makes the list of a date from ranked candidates. Items that were on the list
// before, for the same customer and action, keep their id and opening date.
func Make(head Head, before *List, ranked []Candidate) *List {
	opened := map[[2]string]portfolio.Date{}
	if before != nil {
		for _, it := range before.Items {
			if it.Status == Open || before.Date == head.Date {
				opened[[2]string{it.Customer, it.Action}] = it.Opened
			}
		}
	}
	l := &List{Head: head}
	for i, c := range ranked {
		on, ok := opened[[2]string{c.Customer, c.Action}]
		if !ok {
			on = head.Date
		}
		l.Items = append(l.Items, Item{
			ID: itemID(c.Customer, c.Action, on), Rank: i + 1, Customer: c.Customer, Relation: c.Relation,
			Action: c.Action, About: c.About, Priority: c.Priority, Opened: on, Due: c.Due, Status: Open,
		})
	}
	l.Listed = len(l.Items)
	return l
}

// Outcome is what people did with an action for a customer.
type Outcome struct {
	Status Status         `json:"status"`
	On     portfolio.Date `json:"on"`
	Until  portfolio.Date `json:"until,omitzero"` // of a snooze
	Item   string         `json:"item_id"`
}

// Feedback is a customer's latest outcome by action, as stored with the customer, and of
// each offer that it declined by what was offered.
type Feedback map[string]Outcome

// declines begins the keys of declined offers; what was offered comes after it.
const declines = "declined\x1f"

// Declines are what was offered and declined, in order, and when.
func (f Feedback) Declines() iter.Seq2[string, portfolio.Date] {
	return func(yield func(string, portfolio.Date) bool) {
		for _, key := range slices.Sorted(maps.Keys(f)) {
			if about, ok := strings.CutPrefix(key, declines); ok && !yield(about, f[key].On) {
				return
			}
		}
	}
}

// ReadFeedback reads what Store wrote; nothing for nil.
func ReadFeedback(body []byte) (Feedback, error) {
	if body == nil {
		return nil, nil
	}
	var f Feedback
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "decoding feedback")
	}
	return f, nil
}

// Quiet reports whether the action should not be suggested on the date.
func (f Feedback) Quiet(action string, on portfolio.Date) bool {
	o, ok := f[action]
	if !ok {
		return false
	}
	if o.Status == Snoozed {
		return on < o.Until
	}
	return on < o.On+portfolio.Date(quiet[o.Status])
}

// Lists reads and writes lists and feedback.
type Lists struct {
	book  *book.Book
	store store.Store
}

// New is the lists in a store, of the customers in a book.
func New(b *book.Book, s store.Store) *Lists {
	if b == nil || s == nil {
		panic("actions: no book or no store")
	}
	return &Lists{b, s}
}

const (
	headKey = "list-head\x1f" // and the date: small, so that all can be listed
	bodyKey = "list\x1f"      // and the date
)

func shared(tenant string) store.Partition {
	return store.Partition{Tenant: tenant, Bucket: store.Shared}
}

// Ops are the writes that store a list. The caller adds them to a batch of its own, so
// that a list and the run that made it appear together.
func (l *List) Ops(now time.Time) ([]store.Op, error) {
	head, err := json.Marshal(l.Head)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encoding a list's head")
	}
	// A list is one document: what would not fit is left off its end.
	const most = store.MaxBytes * 3 / 4
	body, err := json.Marshal(l)
	for err == nil && len(body) > most && len(l.Items) > 1 {
		l.Items = l.Items[:len(l.Items)*9/10]
		l.Listed = len(l.Items)
		body, err = json.Marshal(l)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encoding a list")
	}
	date, expires := l.Date.String(), now.Add(keep)
	return []store.Op{
		{Document: store.Document{Key: headKey + date, Body: head, Expires: expires}},
		{Document: store.Document{Key: bodyKey + date, Body: body, Expires: expires}},
	}, nil
}

// Heads lists the lists there are, newest first.
func (s *Lists) Heads(ctx context.Context, tenant string) ([]Head, error) {
	var heads []Head
	for d, err := range s.store.Scan(ctx, shared(tenant), headKey, "") {
		if err != nil {
			return nil, err
		}
		var h Head
		if err := json.Unmarshal(d.Body, &h); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "decoding a list's head")
		}
		heads = append(heads, h)
	}
	slices.Reverse(heads)
	return heads, nil
}

// Get reads the list of a date.
func (s *Lists) Get(ctx context.Context, tenant string, date portfolio.Date) (*List, error) {
	d, err := s.store.Get(ctx, shared(tenant), bodyKey+date.String())
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no action list of that date")
	}
	if err != nil {
		return nil, err
	}
	l := &List{ETag: d.ETag}
	if err := json.Unmarshal(d.Body, l); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "decoding a list")
	}
	return l, nil
}

// Latest reads the newest list; fault.NotFound where there is none yet.
func (s *Lists) Latest(ctx context.Context, tenant string) (*List, error) {
	heads, err := s.Heads(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if len(heads) == 0 {
		return nil, fault.New(fault.NotFound, "no action list yet: a run makes one")
	}
	return s.Get(ctx, tenant, heads[0].Date)
}

// Record stores what people did with an item: with its customer first, which is what
// the next run reads, then on the list. Recording the same twice changes nothing.
func (s *Lists) Record(ctx context.Context, t book.Tenant, date portfolio.Date, item string, o Outcome) (Item, error) {
	if err := o.check(); err != nil {
		return Item{}, err
	}
	o.Item = item
	for {
		l, err := s.Get(ctx, t.ID, date)
		if err != nil {
			return Item{}, err
		}
		i := slices.IndexFunc(l.Items, func(it Item) bool { return it.ID == item })
		if i < 0 {
			return Item{}, fault.New(fault.NotFound, "no such item on that list")
		}
		it := &l.Items[i]
		if o.Status == Declined && it.About == "" {
			return Item{}, &fault.Error{Kind: fault.Invalid, Detail: "nothing was offered", Fields: []fault.Field{{Pointer: "/outcome", Detail: "declined is for items that are about an offer or a gap"}}}
		}
		if err := s.remember(ctx, t, it, o); err != nil {
			return Item{}, err
		}
		it.Status, it.Until = o.Status, o.Until
		err = s.replace(ctx, t.ID, l)
		if !fault.Is(err, fault.Conflict) { // somebody else's outcome came between: once more
			return *it, err
		}
	}
}

func (o Outcome) check() error {
	switch o.Status {
	case Done, Dismissed, NotUseful, Declined:
		if o.Until != 0 {
			return &fault.Error{Kind: fault.Invalid, Detail: "only a snooze has an end", Fields: []fault.Field{{Pointer: "/until", Detail: "is for outcome snoozed only"}}}
		}
	case Snoozed:
		if o.Until <= o.On {
			return &fault.Error{Kind: fault.Invalid, Detail: "a snooze needs an end", Fields: []fault.Field{{Pointer: "/until", Detail: "is a date after today"}}}
		}
	default:
		return &fault.Error{Kind: fault.Invalid, Detail: "unknown outcome", Fields: []fault.Field{{Pointer: "/outcome", Detail: "is one of done, dismissed, snoozed, not_useful, declined"}}}
	}
	return nil
}

func (s *Lists) remember(ctx context.Context, t book.Tenant, it *Item, o Outcome) error {
	for {
		r, err := s.book.Customer(ctx, t, it.Customer)
		if err != nil {
			return err
		}
		f, err := ReadFeedback(r.Feedback)
		if err != nil {
			return err
		}
		if f == nil {
			f = Feedback{}
		}
		if f[it.Action] == o {
			return nil
		}
		f[it.Action] = o
		if o.Status == Declined {
			f[declines+it.About] = o
		}
		body, err := json.Marshal(f)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "encoding feedback")
		}
		err = s.book.PutFeedback(ctx, t, r.Relation, it.Customer, body, r.FeedbackETag)
		if !fault.Is(err, fault.Conflict) {
			return err
		}
	}
}

func (s *Lists) replace(ctx context.Context, tenant string, l *List) error {
	body, err := json.Marshal(l)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a list")
	}
	key := bodyKey + l.Date.String()
	d, err := s.store.Get(ctx, shared(tenant), key) // for its expiry
	if err != nil {
		return err
	}
	return s.store.Write(ctx, shared(tenant), []store.Op{{Verb: store.Replace, Document: store.Document{
		Key: key, Body: body, ETag: l.ETag, Expires: d.Expires,
	}}})
}

// Forget takes an erased customer off every list.
func (s *Lists) Forget(ctx context.Context, tenant, customer string) error {
	heads, err := s.Heads(ctx, tenant)
	if err != nil {
		return err
	}
	for _, h := range heads {
		for {
			l, err := s.Get(ctx, tenant, h.Date)
			if fault.Is(err, fault.NotFound) {
				break
			}
			if err != nil {
				return err
			}
			n := len(l.Items)
			l.Items = slices.DeleteFunc(l.Items, func(it Item) bool { return it.Customer == customer })
			if len(l.Items) == n {
				break
			}
			l.Listed = len(l.Items)
			if err = s.replace(ctx, tenant, l); err == nil {
				break
			}
			if !fault.Is(err, fault.Conflict) {
				return err
			}
		}
	}
	return nil
}
