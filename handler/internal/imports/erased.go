package imports

import (
	"context"
	"fmt"
	"time"

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
		if err := lists.Clear(ctx, t.ID, customer); err != nil {
			return err
		}
		if err := b.EraseUnder(ctx, t, customer, relations); err != nil {
			return fmt.Errorf("erasing again whom an import brought back: %w", err)
		}
	}
	return nil
}
