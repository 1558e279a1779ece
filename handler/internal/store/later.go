package store

import (
	"context"
	"iter"

	"polis/handler/internal/fault"
)

// Later is a store that is still being opened: each call waits until it is. A process
// that starts on demand can so answer what needs no store before it has one.
type Later struct {
	opened chan struct{}
	store  Store
	err    error
}

// Open opens a store in the background.
func Open(open func() (Store, error)) *Later {
	l := &Later{opened: make(chan struct{})}
	go func() {
		defer close(l.opened)
		l.store, l.err = open()
	}()
	return l
}

// Wait waits until the store is open, and says why it could not be.
func (l *Later) Wait(ctx context.Context) error {
	select {
	case <-l.opened:
		return l.err
	case <-ctx.Done():
		return fault.Wrap(fault.Cancelled, ctx.Err(), "waiting for the store to open")
	}
}

// Get implements Store.
func (l *Later) Get(ctx context.Context, p Partition, key string) (Document, error) {
	if err := l.Wait(ctx); err != nil {
		return Document{}, err
	}
	return l.store.Get(ctx, p, key)
}

// Scan implements Store.
func (l *Later) Scan(ctx context.Context, p Partition, prefix, after string) iter.Seq2[Document, error] {
	if err := l.Wait(ctx); err != nil {
		return func(yield func(Document, error) bool) { yield(Document{}, err) }
	}
	return l.store.Scan(ctx, p, prefix, after)
}

// Write implements Store.
func (l *Later) Write(ctx context.Context, p Partition, ops []Op) error {
	if err := l.Wait(ctx); err != nil {
		return err
	}
	return l.store.Write(ctx, p, ops)
}

// Close implements Store.
func (l *Later) Close() error {
	<-l.opened
	if l.err != nil {
		return nil // there is nothing to close
	}
	return l.store.Close()
}
