package store

import (
	"context"
	"iter"

	"polis/handler/internal/later"
)

// Later is a store that is opened when it is first asked for: each call waits until it is.
type Later struct{ store *later.Value[Store] }

// Open is a store that is opened later.
func Open(open func() (Store, error)) *Later { return &Later{later.New(open)} }

// Wait waits until the store is open, and says why it could not be.
func (l *Later) Wait(ctx context.Context) error {
	_, err := l.store.Get(ctx)
	return err
}

// Get implements Store.
func (l *Later) Get(ctx context.Context, p Partition, key string) (Document, error) {
	s, err := l.store.Get(ctx)
	if err != nil {
		return Document{}, err
	}
	return s.Get(ctx, p, key)
}

// GetMany implements Store.
func (l *Later) GetMany(ctx context.Context, p Partition, keys []string) ([]Document, error) {
	s, err := l.store.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.GetMany(ctx, p, keys)
}

// Scan implements Store.
func (l *Later) Scan(ctx context.Context, p Partition, prefix, after string) iter.Seq2[Document, error] {
	s, err := l.store.Get(ctx)
	if err != nil {
		return func(yield func(Document, error) bool) { yield(Document{}, err) }
	}
	return s.Scan(ctx, p, prefix, after)
}

// Write implements Store.
func (l *Later) Write(ctx context.Context, p Partition, ops []Op) error {
	s, err := l.store.Get(ctx)
	if err != nil {
		return err
	}
	return s.Write(ctx, p, ops)
}

// Close implements Store.
func (l *Later) Close() error {
	if s, ok := l.store.End(); ok {
		return s.Close()
	}
	return nil
}
