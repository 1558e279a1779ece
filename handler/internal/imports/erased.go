package imports

import (
	"context"
	"crypto/rand"
	"fmt"
	"path"
	"strings"
	"time"

	"polis/handler/internal/blob"
	"polis/handler/internal/book"
)

// Lists knows who was erased lately, and clears action lists of a customer.
type Lists interface {
	// Erased are the customers whose erasure was asked for from a time until another (zero: now), with the
	// relations that they lay under.
	Erased(ctx context.Context, tenant string, from, until time.Time) (map[string][]string, error)
	Clear(ctx context.Context, tenant, customer string) error
}

// skew is by how much two computers' clocks may differ, our choice.
const skew = time.Minute

// EraseAgain erases whom rows that were written in a span of time may have brought back: whose erasure was asked for
// in it. Who was erased before is left out of what is written. The note of an erasure is there before the book is
// touched, so that whoever writes a customer and looks for notes afterwards finds that of an erasure which did not
// find the customer.
func EraseAgain(ctx context.Context, b *book.Book, lists Lists, t book.Tenant, from, until time.Time) error {
	if !until.IsZero() {
		until = until.Add(skew)
	}
	erased, err := lists.Erased(ctx, t.ID, from.Add(-skew), until)
	if err != nil {
		return err
	}
	for customer, relations := range erased {
		there, err := present(ctx, b, t, customer, relations)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if err := lists.Clear(ctx, t.ID, customer); err != nil {
			return err
		}
		if err := b.EraseUnder(ctx, t, customer, relations); err != nil {
			return fmt.Errorf("erasing again whom an import brought back: %w", err)
		}
	}
	return nil
}

// present reports whether a customer has a place, or rows under one of the relations.
func present(ctx context.Context, b *book.Book, t book.Tenant, customer string, relations []string) (bool, error) {
	_, there, err := b.Place(ctx, t, customer)
	for _, relation := range relations {
		if err != nil || there {
			break
		}
		_, _, there, err = b.Stored(ctx, t, book.Place{ID: customer, Relation: relation})
	}
	return there, err
}

// loading is what the names of files begin with that say that somebody loads an import, and since when: from before he
// looks who was erased until he has erased again who was meanwhile. One that stays is of who was killed.
const loading = "loading-"

// load is a file that says so.
type load struct {
	name string
	at   time.Time
}

// loads are those of an import, the first of them first.
func (m *Imports) loads(ctx context.Context, tenant, id string) ([]load, error) {
	var out []load
	for info, err := range m.blobs.List(ctx, folder(tenant, id)+loading) {
		if err != nil {
			return nil, fmt.Errorf("looking who loads an import: %w", err)
		}
		if l, ok := loadOf(info); ok {
			out = append(out, l)
		}
	}
	return out, nil
}

// loadOf is what a file says by its name; false where it is another.
func loadOf(info blob.Info) (load, bool) {
	text, ok := strings.CutPrefix(path.Base(info.Name), loading)
	text, _, _ = strings.Cut(text, "-")
	at, err := time.Parse(idTime, text)
	if err != nil {
		at = info.Modified
	}
	return load{info.Name, at}, ok
}

// startLoading says that somebody loads an import.
func (m *Imports) startLoading(ctx context.Context, tenant, id string) (load, error) {
	l := load{at: m.now().UTC()}
	l.name = folder(tenant, id) + loading + l.at.Format(idTime) + "-" + strings.ToLower(rand.Text()[:8])
	_, err := m.blobs.Put(ctx, l.name, strings.NewReader(""))
	return l, err
}

// eraseAgain erases again who was erased while somebody loaded, who is done.
func (m *Imports) eraseAgain(ctx context.Context, t book.Tenant, l load) error {
	if err := EraseAgain(ctx, m.book, m.lists, t, l.at, l.at.Add(worked)); err != nil {
		return err
	}
	return m.blobs.Delete(ctx, l.name)
}

// eraseAfter does so for all who loaded an import and must be done by then: they were killed.
func (m *Imports) eraseAfter(ctx context.Context, t book.Tenant, id string, then time.Time) error {
	all, err := m.loads(ctx, t.ID, id)
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.at.After(then) {
			continue
		}
		if err := m.eraseAgain(ctx, t, l); err != nil {
			return err
		}
	}
	return nil
}
