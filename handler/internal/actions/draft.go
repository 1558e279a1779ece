package actions

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"iter"
	"slices"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/store"
)

// What care asks for at once has no bound, so a draft has it in scratch files, in lots by customer. Of each lot what
// is due meets what was on the list before, in memory. The items that this makes lie in lots once more, now by the
// buckets of their relations, and in that order their scores are read and what is suggested is kept: so many at a
// time in the order of the list would visit every bucket for each. What was scored at a time is sorted; these runs
// are merged, and pages are written as they fill.
// All are our choice: a book of ten million customers, 700,000 of whom care asks something for, has 2,700 in a lot.
const (
	lots      = 256
	lotBlock  = 4 << 10 // bytes of each lot, or run, that are in memory until they are written, or once they are read
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

// placeOf is the lot in which a relation's items lie: with those of the same bucket and, where a book has more buckets
// than there are lots, of some beside it.
func placeOf(t book.Tenant, relation string) int {
	return t.RelationBucket(relation) * lots / max(t.Buckets, lots)
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
	After     int                  `json:"after,omitempty"` // where it stands beyond care, from 1
	Instead   bool                 `json:"instead,omitempty"`
	Suggested *feedback.Suggestion `json:"suggested,omitempty"` // what is to be remembered; nil where that was done
}

// compare is the order of the list: what care asks for, and then the rest as it stands.
func (d *drafted) compare(e *drafted) int {
	return cmp.Or(cmp.Compare(d.After, e.After), cmp.Compare(e.Priority, d.Priority), cmp.Compare(d.Due, e.Due), cmp.Compare(d.Customer, e.Customer))
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
				if !yield(&drafted{kept: kept{Item: it, Held: k == 1, Cause: it.cause}, Instead: it.instead, Suggested: opened[it.ID]}) {
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

// items are what care asks for and the rest, by where their customers lie; before is the head of the list before, nil
// for none.
func (d *Draft) items(t book.Tenant, before *Head, rest *List) (_ *spill.File, err error) {
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
			if err := appendTo(w, placeOf(t, it.Relation), it); err != nil {
				return nil, err
			}
		}
	}
	after := 0
	for it := range rest.drafted() {
		after++
		it.After = after
		if err := appendTo(w, placeOf(t, it.Relation), it); err != nil {
			return nil, err
		}
	}
	return out, w.Flush()
}

// cursor is at an item of a run.
type cursor struct {
	at   drafted
	next func() (drafted, error, bool)
	stop func()
}

// merge is a heap of cursors, in the order of the list.
type merge []*cursor

func (m merge) Len() int { return len(m) }

func (m merge) Less(i, j int) bool { return m[i].at.compare(&m[j].at) < 0 }

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

// merged yields the items of all runs, in the order of the list.
func merged(f *spill.File) iter.Seq2[*drafted, error] {
	return func(yield func(*drafted, error) bool) {
		var m merge
		var all []*cursor
		defer func() {
			for _, c := range all {
				c.stop()
			}
		}()
		for run := range f.Parts() {
			c := &cursor{}
			c.next, c.stop = iter.Pull2(records[drafted](f, run, lotBlock))
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
	items, err := d.items(t, was, rest)
	if err != nil {
		return op, err
	}
	defer func() { err = errors.Join(err, items.Close()) }()
	out, err := newPager(rest.Head)
	if err != nil {
		return op, err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	if err := out.take(ctx, items, s.atOnce, score); err != nil {
		return op, err
	}
	if op, err = s.write(ctx, d.tenant, out, now); err != nil {
		return op, err
	}
	return op, s.suggest(ctx, t, out)
}

// take adds all items that have a place on the list, of which at most so many are scored at a time.
func (p *pager) take(ctx context.Context, items *spill.File, most int, score Score) (err error) {
	runs, err := spill.New("", lotBlock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runs.Close()) }()
	if err := p.score(ctx, items, runs, most, score); err != nil {
		return err
	}
	for it, err := range merged(runs) {
		if err == nil {
			err = p.add(it)
		}
		if err != nil {
			return err
		}
	}
	return p.end()
}

// score has the items scored as they lie, so many at a time at most, and puts those that have a place on the list
// into runs.
func (p *pager) score(ctx context.Context, items, runs *spill.File, most int, score Score) error {
	var wait []*drafted
	settle := func() error {
		run := runs.Parts()
		stand, err := p.stand(ctx, wait, score)
		if err != nil {
			return err
		}
		w := runs.Writer()
		for _, it := range stand {
			if err := appendTo(w, run, it); err != nil {
				return err
			}
		}
		clear(wait)
		wait = wait[:0]
		return w.Flush()
	}
	for lot := range items.Parts() {
		for it, err := range records[drafted](items, lot, lotBlock) {
			if err != nil {
				return err
			}
			it.cause, it.instead = it.Cause, it.Instead
			if wait = append(wait, &it); len(wait) < most {
				continue
			}
			if err := settle(); err != nil {
				return err
			}
		}
	}
	if len(wait) == 0 {
		return nil
	}
	return settle()
}

// stand are those of some items that have a place on the list, with their scores, in the order of the list. What is
// to be remembered of them is kept as they lay.
func (p *pager) stand(ctx context.Context, all []*drafted, score Score) ([]*drafted, error) {
	items := make([]*Item, len(all))
	for i, it := range all {
		items[i] = &it.Item
	}
	there, err := score(ctx, items)
	if err != nil {
		return nil, err
	}
	var stand []*drafted
	for i, it := range all {
		if !there[i] {
			continue
		}
		if it.Suggested != nil {
			if err := appendTo(p.writer, suggestions, &suggested{it.Relation, it.Customer, *it.Suggested}); err != nil {
				return nil, err
			}
			it.Suggested = nil
		}
		stand = append(stand, it)
	}
	slices.SortStableFunc(stand, (*drafted).compare)
	return stand, nil
}

// suggested is what is to be remembered of a customer.
type suggested struct {
	Relation, Customer string
	Suggestion         feedback.Suggestion
}

// suggest keeps with its customers what a list suggests that was not suggested before, as they lie.
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
		if all = append(all, r); len(all) == s.atOnce {
			if err := keep(); err != nil {
				return err
			}
		}
	}
	return keep()
}
