package store

import (
	"context"
	"sync/atomic"
)

type allowanceKey struct{}

// Allowing is a context whose calls may, all together, be tried again so many times; not at all for 0. It
// stands in place of what the context allowed. Where nothing was said there is no bound.
func Allowing(ctx context.Context, retries int) context.Context {
	left := new(atomic.Int64)
	left.Store(int64(retries))
	return context.WithValue(ctx, allowanceKey{}, left)
}

// Retry counts a retry with the context's meter, takes it from what the context allows, and
// reports whether there was one left.
func Retry(ctx context.Context) bool {
	if m := MeterOf(ctx); m != nil {
		m.Retries.Add(1)
	}
	left, bounded := ctx.Value(allowanceKey{}).(*atomic.Int64)
	return !bounded || left.Add(-1) >= 0
}
