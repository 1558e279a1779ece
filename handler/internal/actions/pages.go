package actions

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"iter"
	"slices"
	"time"

	"polis/handler/internal/deflate"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/intake/spill"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// A list is kept in pages of about so many bytes, so that it has no bound of its own: far
// below store.MaxBytes, since one page is written again with each reply to an item. They are
// stored packed, to some tenth of that.
const (
	pageBytes = 256 << 10
	maxPage   = 64 << 20 // of what was packed: more is damage
)

// kept is an item as it is stored.
type kept struct {
	Item
	Held  bool           `json:"held_out,omitempty"`
	Cause feedback.Cause `json:"cause,omitzero"`
	Care  bool           `json:"care,omitempty"` // of lists from before they had parts
}

// page is a stored part of a list.
type page struct {
	store.Document
	items []kept
}

// encode makes the page's body, and returns what is packed in it.
func (p *page) encode() ([]byte, error) {
	plain, err := json.Marshal(p.items)
	p.Body = deflate.Pack(plain)
	return plain, fault.Wrap(fault.Internal, err, "encoding a page of a list")
}

func readPage(d store.Document) (*page, error) {
	p := &page{Document: d}
	plain, err := deflate.Unpack(d.Body, maxPage)
	if err == nil {
		err = json.Unmarshal(plain, &p.items)
	}
	for i := range p.items {
		k := &p.items[i]
		if k.cause = k.Cause; k.Part == "" {
			if k.Part = Commercial; k.Care {
				k.Part = Care
			}
		}
	}
	return p, fault.Wrap(fault.Internal, err, "decoding a page of a list")
}

// pager parts a list into pages as its items come, in scratch files until it is known what they say in all: their
// keys have that.
type pager struct {
	Head
	out    *spill.File // of pages, and of suggestions
	writer *spill.Writer
	page   page
	size   int   // of its items, about
	last   int   // the rank of the last item
	ends   []int // by page, the rank of its last item
	sum    hash.Hash
}

// The partitions of a pager's file.
const (
	pages = iota
	suggestions
)

// newPager is the pages of a list of which the head says what is due; what is listed is counted anew.
func newPager(h Head) (*pager, error) {
	out, err := spill.New("", pageBlock/4)
	if err != nil {
		return nil, err
	}
	h.Listed, h.Care.Listed, h.Advice.Listed, h.Commercial.Listed = 0, 0, 0, 0
	return &pager{Head: h, out: out, writer: out.Writer(), sum: sha256.New()}, nil
}

func (p *pager) close() error { return p.out.Close() }

// add adds an item after those before it, of which those that are held out come last.
func (p *pager) add(it *drafted) error {
	const fields = 500 // bytes of an item without its score, about
	size := len(it.Score) + fields
	if p.size+size > pageBytes && len(p.page.items) > 0 {
		if err := p.turn(); err != nil {
			return err
		}
	}
	p.last++
	it.Rank = p.last
	if !it.Held {
		p.Listed++
		p.Of(it.Part).Listed++
	}
	p.page.items, p.size = append(p.page.items, it.kept), p.size+size
	return nil
}

// turn ends a page.
func (p *pager) turn() error {
	plain, err := p.page.encode()
	if err != nil {
		return err
	}
	_, _ = p.sum.Write(plain) // a hash takes all
	p.ends = append(p.ends, p.last)
	err = p.writer.Append(pages, p.page.Body)
	clear(p.page.items)
	p.page, p.size = page{items: p.page.items[:0]}, 0
	return err
}

// end ends the last page, and names the version that the items make.
func (p *pager) end() error {
	if len(p.page.items) > 0 {
		if err := p.turn(); err != nil {
			return err
		}
	}
	p.Version = hex.EncodeToString(p.sum.Sum(nil)[:8])
	return p.writer.Flush()
}

// pageKey is the key of the page that ends with a rank: those of pages with later items are
// greater.
func (h *Head) pageKey(last int) string { return fmt.Sprintf("%s%08d", h.pagesKey(), last) }

func (h *Head) pagesKey() string { return pageKey + h.Date.String() + "\x1f" + h.Version + "\x1f" }

// write stores a list's pages, and returns the write of its head.
func (s *Lists) write(ctx context.Context, tenant string, p *pager, now time.Time) (store.Op, error) {
	var buf []byte
	n := 0
	err := p.out.Read(pages, pageBlock, &buf, func(piece []byte) error {
		var docs []store.Document
		for len(piece) > 0 {
			var body []byte
			body, piece = spill.Next(piece)
			docs = append(docs, store.Document{Key: p.pageKey(p.ends[n]), Body: bytes.Clone(body), Expires: now.Add(keep)})
			n++
		}
		return s.create(ctx, tenant, docs)
	})
	if err != nil {
		return store.Op{}, err
	}
	body, err := json.Marshal(p.Head)
	if err != nil {
		return store.Op{}, fault.Wrap(fault.Internal, err, "encoding a list's head")
	}
	return store.Op{Document: store.Document{Key: headKey + p.Date.String(), Body: body, Expires: now.Add(keep)}}, nil
}

// create stores documents, as many at a time as the store takes. Those that are there stay as
// they are.
func (s *Lists) create(ctx context.Context, tenant string, docs []store.Document) error {
	for len(docs) > 0 {
		var ops []store.Op
		bytes := 0
		for _, d := range docs[:min(len(docs), store.MaxOps)] {
			if bytes += len(d.Key) + len(d.Body); bytes > store.MaxBytes && len(ops) > 0 {
				break
			}
			ops = append(ops, store.Op{Verb: store.Create, Document: d})
		}
		docs = docs[len(ops):]
		err := s.store.Write(ctx, shared(tenant), ops)
		for i := 0; fault.Is(err, fault.Conflict) && i < len(ops); i++ { // which of them are there?
			if one := s.store.Write(ctx, shared(tenant), ops[i:i+1]); one != nil && !fault.Is(one, fault.Conflict) {
				return one
			}
		}
		if err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// Heads lists the lists there are, newest first.
func (s *Lists) Heads(ctx context.Context, tenant string) ([]Head, error) {
	var heads []Head
	for d, err := range s.store.Scan(ctx, shared(tenant), headKey, "") {
		if err != nil {
			return nil, err
		}
		h, err := readHead(d)
		if err != nil {
			return nil, err
		}
		heads = append(heads, h)
	}
	slices.Reverse(heads)
	return heads, nil
}

func readHead(d store.Document) (h Head, err error) {
	err = json.Unmarshal(d.Body, &h)
	return h, fault.Wrap(fault.Internal, err, "decoding a list's head")
}

// Head is that of the list of a date.
func (s *Lists) Head(ctx context.Context, tenant string, date portfolio.Date) (Head, error) {
	d, err := s.store.Get(ctx, shared(tenant), headKey+date.String())
	if fault.Is(err, fault.NotFound) {
		return Head{}, fault.New(fault.NotFound, "no action list of that date: a run makes one, unless there is one of a later date")
	}
	if err != nil {
		return Head{}, err
	}
	return readHead(d)
}

// Newest is the head of the newest list; fault.NotFound where there is none yet.
func (s *Lists) Newest(ctx context.Context, tenant string) (Head, error) {
	heads, err := s.Heads(ctx, tenant)
	if err != nil {
		return Head{}, err
	}
	if len(heads) == 0 {
		return Head{}, fault.New(fault.NotFound, "no action list yet: a run makes one")
	}
	return heads[0], nil
}

// from yields a list's pages that have items beyond a rank.
func (s *Lists) from(ctx context.Context, tenant string, h *Head, after int) iter.Seq2[*page, error] {
	return func(yield func(*page, error) bool) {
		for d, err := range s.store.Scan(ctx, shared(tenant), h.pagesKey(), h.pageKey(after)) {
			var p *page
			if err == nil {
				p, err = readPage(d)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Items reads the first most of a list's items, or of those of a part of it, that stand beyond
// a rank, and reports whether there are more.
func (s *Lists) Items(ctx context.Context, tenant string, h *Head, part Part, after, most int) (items []Item, more bool, err error) {
	for p, err := range s.from(ctx, tenant, h, after) {
		if err != nil {
			return nil, false, err
		}
		for i := range p.items {
			switch k := &p.items[i]; {
			case k.Held:
				return items, false, nil // they stand last
			case k.Rank <= after, part != "" && k.Part != part:
			case len(items) == most:
				return items, true, nil
			default:
				items = append(items, k.Item)
			}
		}
	}
	return items, false, nil
}

// find finds an item that is shown, and the page it stands on.
func (s *Lists) find(ctx context.Context, tenant string, h *Head, id string) (*page, *Item, error) {
	for p, err := range s.from(ctx, tenant, h, 0) {
		if err != nil {
			return nil, nil, err
		}
		for i := range p.items {
			if k := &p.items[i]; k.ID == id && !k.Held {
				return p, &k.Item, nil
			}
		}
	}
	return nil, nil, fault.New(fault.NotFound, "no such item on that list")
}

// replace stores a page that was changed; fault.Conflict where somebody else's change came
// between.
func (s *Lists) replace(ctx context.Context, tenant string, p *page) error {
	if _, err := p.encode(); err != nil {
		return err
	}
	return s.store.Write(ctx, shared(tenant), []store.Op{{Verb: store.Replace, Document: p.Document}})
}
