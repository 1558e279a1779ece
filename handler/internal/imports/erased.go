package imports

import (
	"context"
	"fmt"
	"time"

	"polis/handler/internal/book"
)

// Lists knows who was erased lately, and takes him off action lists.
type Lists interface {
	// Erased are the customers whose erasure was asked for since a time.
	Erased(ctx context.Context, tenant string, since time.Time) ([]string, error)
	Forget(ctx context.Context, tenant, customer string) error
}

// EraseAgain erases whom an import may have brought back: whose erasure was asked for since its files began to be
// sent, and who is in the book. The note of an erasure is there before the book is touched, so that whoever writes a
// customer and looks for notes afterwards finds that of an erasure which did not find the customer.
func EraseAgain(ctx context.Context, b *book.Book, lists Lists, t book.Tenant, since time.Time) error {
	erased, err := lists.Erased(ctx, t.ID, since)
	if err != nil {
		return err
	}
	for _, customer := range erased {
		_, there, err := b.Place(ctx, t, customer)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if err := lists.Forget(ctx, t.ID, customer); err != nil {
			return err
		}
		if _, err := b.Erase(ctx, t, customer); err != nil {
			return fmt.Errorf("erasing again whom an import brought back: %w", err)
		}
	}
	return nil
}
