package actions

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"iter"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/store"
)

// What care asks for at once has no bound, so a draft has it in scratch files, in lots by customer. Of each lot what
// is due meets what was on the list before, in memory; then the lots are merged, and pages are written as they fill.
// All are our choice: a book of ten million customers, 700,000 of whom care asks something for, has 2,700 in a lot.
const (
	lots      = 256
	lotBlock  = 4 << 10 // bytes of each lot that wait to be written
	atOnce    = 4000    // items whose scores are in memory at a time
	pageBlock = 1 << 20 // bytes of pages, and of what is to be remembered, that are in memory at a time
)

// Draft is a list in the making, of a book of any size: what is bounded is kept in memory, and the rest in scratch
// files until Close.
type Draft struct {
	tenant string
	head   Head
	f      *feedback.Settings
	top    *Top // no care
	in     *spill.File
	writer *spill.Writer // by lot, what care asks for; and beyond these, by lot, the items before
	care   int
}

// NewDraft begins a tenant's list.
func NewDraft(tenant string, head Head, f *feedback.Settings) (*Draft, error) {
	in, err := spill.New("", lotBlock)
	if err != nil {
		return nil, err
	}
	return &Draft{tenant: tenant, head: head, f: f, top: NewTop(&f.List), in: in, writer: in.Writer()}, nil
}

// Close gives up what the draft has on disk.
func (d *Draft) Close() error { return d.in.Close() }

// Add offers a candidate.
func (d *Draft) Add(c Candidate) error {
	if c.Part != Care {
		d.top.Add(c)
		return nil
	}
	d.care++
	return appendTo(d.writer, lotOf(c.Customer), &c)
}

func lotOf(customer string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(customer)) // a hash takes all
	return int(h.Sum32() % lots)
}

func appendTo(w *spill.Writer, part int, v any) error {
	record, err := json.Marshal(v)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a part of a list in the making")
	}
	return w.Append(part, record)
}

// records yields a partition's records, decoded, of which a piece of so many bytes is in memory at a time.
func records[T any](f *spill.File, part, limit int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var buf []byte
		stop := errors.New("stopped")
		err := f.Read(part, limit, &buf, func(piece []byte) error {
			for len(piece) > 0 {
				var v T
				var record []byte
				record, piece = spill.Next(piece)
				if err := json.Unmarshal(record, &v); err != nil {
					return fault.Wrap(fault.Internal, err, "decoding a part of a list in the making")
				}
				if !yield(v, nil) {
					return stop
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			var none T
			yield(none, err)
		}
	}
}

// drafted is an item of a list in the making.
type drafted struct {
	kept
	Instead   bool                 `json:"instead,omitempty"`
	Suggested *feedback.Suggestion `json:"suggested,omitempty"` // what is to be remembered; nil where that was done
}

// drafted are the list's items, those that are shown first.
func (l *List) drafted() iter.Seq[*drafted] {
	opened := map[string]*feedback.Suggestion{}
	for i := range l.opened {
		opened[l.opened[i].Item] = &l.opened[i]
	}
	return func(yield func(*drafted) bool) {
		for k, items := range [...][]Item{l.Items, l.held} {
			for _, it := range items {
				if !yield(&drafted{kept{Item: it, Held: k == 1, Cause: it.cause}, it.instead, opened[it.ID]}) {
					return
				}
			}
		}
	}
}

// put adds an item as it was on a list before.
func (l *List) put(k *kept) {
	if k.Score, k.cause = nil, k.Cause; k.Held {
		l.held = append(l.held, k.Item)
	} else {
		l.Items = append(l.Items, k.Item)
	}
}

// matters are what the bounded candidates are about, and what may yet stand alone.
func (t *Top) matters() map[matter]bool {
	all := map[matter]bool{}
	for _, part := range [...][]Candidate{t.advice, t.commercial} {
		for i := range part {
			all[part[i].matter()] = true
			if alone, ok := part[i].Alone(); ok {
				all[alone.matter()] = true
			}
		}
	}
	return all
}

// before takes in the newest list there is: its items by lot, and, of those that a bounded candidate is about, as a
// list of their own.
func (d *Draft) before(ctx context.Context, s *Lists) (*List, error) {
	h, err := s.Newest(ctx, d.tenant)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bounded := &List{Head: h}
	matters := d.top.matters()
	for p, err := range s.from(ctx, d.tenant, &h, 0) {
		if err != nil {
			return nil, err
		}
		for i := range p.items {
			k := &p.items[i]
			if k.Score = nil; matters[matter{k.Customer, k.Action, k.About}] {
				bounded.put(k)
			}
			if d.care > 0 {
				if err := appendTo(d.writer, lots+lotOf(k.Customer), k); err != nil {
					return nil, err
				}
			}
		}
	}
	return bounded, nil
}

// sorted are the lots, each in the order of the list; before is the head of the list before, nil for none.
func (d *Draft) sorted(before *Head) (_ *spill.File, err error) {
	out, err := spill.New("", lotBlock)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close())
		}
	}()
	if err := d.writer.Flush(); err != nil {
		return nil, err
	}
	w := out.Writer()
	for lot := range lots {
		top := &Top{}
		for c, err := range records[Candidate](d.in, lot, lotBlock) {
			if err != nil {
				return nil, err
			}
			top.care = append(top.care, c)
		}
		if len(top.care) == 0 {
			continue
		}
		var was *List
		if before != nil {
			was = &List{Head: *before}
			for k, err := range records[kept](d.in, lots+lot, lotBlock) {
				if err != nil {
					return nil, err
				}
				was.put(&k)
			}
		}
		for it := range Make(d.tenant, d.head, was, top, d.f).drafted() {
			if err := appendTo(w, lot, it); err != nil {
				return nil, err
			}
		}
	}
	return out, w.Flush()
}

// cursor is at an item of a lot.
type cursor struct {
	at   drafted
	next func() (drafted, error, bool)
	stop func()
}

// merge is a heap of cursors, in the order of what care asks for.
type merge []*cursor

func (m merge) Len() int { return len(m) }

func (m merge) Less(i, j int) bool {
	a, b := &m[i].at, &m[j].at
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Due, b.Due), cmp.Compare(a.Customer, b.Customer)) < 0
}

func (m merge) Swap(i, j int) { m[i], m[j] = m[j], m[i] }

// Push implements heap.Interface.
func (m *merge) Push(x any) { *m = append(*m, x.(*cursor)) }

// Pop implements heap.Interface.
func (m *merge) Pop() any {
	last := len(*m) - 1
	c := (*m)[last]
	*m = (*m)[:last]
	return c
}

// merged yields the items of all lots, in the order of the list.
func merged(f *spill.File) iter.Seq2[*drafted, error] {
	return func(yield func(*drafted, error) bool) {
		var m merge
		var all []*cursor
		defer func() {
			for _, c := range all {
				c.stop()
			}
		}()
		for lot := range f.Parts() {
			c := &cursor{}
			c.next, c.stop = iter.Pull2(records[drafted](f, lot, lotBlock))
			all = append(all, c)
			at, err, more := c.next()
			if err != nil {
				yield(nil, err)
				return
			}
			if c.at = at; more {
				m = append(m, c)
			}
		}
		heap.Init(&m)
		for len(m) > 0 {
			it := m[0].at
			it.cause, it.instead = it.Cause, it.Instead
			if !yield(&it, nil) {
				return
			}
			at, err, more := m[0].next()
			switch {
			case err != nil:
				yield(nil, err)
				return
			case more:
				m[0].at = at
				heap.Fix(&m, 0)
			default:
				heap.Pop(&m)
			}
		}
	}
}

// Score gives items the scores that they come from, and says which of them stand on the list.
type Score func(ctx context.Context, items []*Item) (there []bool, err error)

// Publish makes the list of a draft: its pages are stored, and what it suggests that was not suggested before is
// kept with its customers, of which what was kept already, by a run that was cut off, stays as it is. It returns the
// write of the list's head, by which the list is there: the caller adds it to a batch of its own, so that a list and
// the run that made it appear together. Until then the date's list is the one it was. Pages are named by what they
// say: a repeat finds those that were written, also with what people have replied meanwhile, and those that no head
// names expire.
func (s *Lists) Publish(ctx context.Context, t book.Tenant, d *Draft, now time.Time, score Score) (op store.Op, err error) {
	before, err := d.before(ctx, s)
	if err != nil {
		return op, err
	}
	rest := Make(d.tenant, d.head, before, d.top, d.f)
	var was *Head
	if before != nil {
		was = &before.Head
	}
	care, err := d.sorted(was)
	if err != nil {
		return op, err
	}
	defer func() { err = errors.Join(err, care.Close()) }()
	out, err := newPager(rest.Head)
	if err != nil {
		return op, err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	if err := out.take(ctx, merged(care), rest, score); err != nil {
		return op, err
	}
	if op, err = s.write(ctx, d.tenant, out, now); err != nil {
		return op, err
	}
	return op, s.suggest(ctx, t, out)
}

// take adds all items that have a place on the list: what care asks for, and the rest.
func (p *pager) take(ctx context.Context, care iter.Seq2[*drafted, error], rest *List, score Score) error {
	wait := make([]*drafted, 0, atOnce)
	items := make([]*Item, 0, atOnce)
	settle := func() error {
		for _, it := range wait {
			items = append(items, &it.Item)
		}
		there, err := score(ctx, items)
		for i := 0; err == nil && i < len(wait); i++ {
			if there[i] {
				err = p.add(wait[i])
			}
		}
		clear(wait)
		clear(items)
		wait, items = wait[:0], items[:0]
		return err
	}
	add := func(it *drafted) error {
		if wait = append(wait, it); len(wait) < atOnce {
			return nil
		}
		return settle()
	}
	for it, err := range care {
		if err == nil {
			err = add(it)
		}
		if err != nil {
			return err
		}
	}
	for it := range rest.drafted() {
		if err := add(it); err != nil {
			return err
		}
	}
	if err := settle(); err != nil {
		return err
	}
	return p.end()
}

// suggested is what is to be remembered of a customer.
type suggested struct {
	Relation, Customer string
	Suggestion         feedback.Suggestion
}

// suggest keeps with its customers what a list suggests that was not suggested before.
func (s *Lists) suggest(ctx context.Context, t book.Tenant, p *pager) error {
	var all []suggested
	keep := func() error {
		of := make([]book.Who, len(all))
		for i := range all {
			of[i] = book.Who{Relation: all[i].Relation, ID: all[i].Customer}
		}
		err := s.book.ChangeFeedback(ctx, t, of, func(i int, body []byte) ([]byte, error) {
			return changed(body, func(h *feedback.History) (bool, error) { return h.Suggest(all[i].Suggestion), nil })
		})
		clear(all)
		all = all[:0]
		return err
	}
	for r, err := range records[suggested](p.out, suggestions, pageBlock) {
		if err != nil {
			return err
		}
		if all = append(all, r); len(all) == atOnce {
			if err := keep(); err != nil {
				return err
			}
		}
	}
	return keep()
}
