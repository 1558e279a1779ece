package imports

import (
	"context"
	"fmt"
	"strings"

	"polis/handler/internal/book"
	"polis/handler/internal/store"
)

// erasedKey is what the keys of notes begin with that a customer was erased while an import waited.
func erasedKey(id string) string { return "import-erased\x1f" + id + "\x1f" }

// Erasing notes with each import that waits that a customer is being erased, whom its files may bring back: it
// erases him again when they have landed. It is to be called before the book's Erase. The notes go with the
// import, and where none waits there are none.
func (m *Imports) Erasing(ctx context.Context, tenant, customer string) error {
	all, err := m.List(ctx, tenant)
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Status != "waiting" {
			continue
		}
		err := m.store.Write(ctx, partition(tenant), []store.Op{{
			Verb: store.Put, Document: store.Document{Key: erasedKey(i.ID) + customer, Body: []byte("{}"), Expires: i.Created.Add(Keep)},
		}})
		if err != nil {
			return fmt.Errorf("noting an erasure with an import: %w", err)
		}
	}
	return nil
}

// noted are the customers erased since an import was sent.
func (m *Imports) noted(ctx context.Context, tenant, id string) ([]string, error) {
	var out []string
	for d, err := range m.store.Scan(ctx, partition(tenant), erasedKey(id), "") {
		if err != nil {
			return nil, err
		}
		out = append(out, strings.TrimPrefix(d.Key, erasedKey(id)))
	}
	return out, nil
}

// eraseAgain erases those whom an import that has landed may have brought back, lists first, as the API does.
func (m *Imports) eraseAgain(ctx context.Context, t book.Tenant, id string) error {
	erased, err := m.noted(ctx, t.ID, id)
	if err != nil {
		return err
	}
	for _, customer := range erased {
		if err := m.lists.Forget(ctx, t.ID, customer); err != nil {
			return err
		}
		if _, err := m.book.Erase(ctx, t, customer); err != nil {
			return fmt.Errorf("erasing again whom an import brought back: %w", err)
		}
	}
	return nil
}

// forgetErased deletes the notes of an import that has ended.
func (m *Imports) forgetErased(ctx context.Context, tenant, id string) error {
	erased, err := m.noted(ctx, tenant, id)
	if err != nil {
		return err
	}
	for _, customer := range erased {
		op := store.Op{Verb: store.Delete, Document: store.Document{Key: erasedKey(id) + customer}}
		if err := m.store.Write(ctx, partition(tenant), []store.Op{op}); err != nil {
			return err
		}
	}
	return nil
}
