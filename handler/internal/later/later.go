// Package later opens things when they are first asked for. A process that starts on
// demand can so answer what needs no store before it has one.
package later

import (
	"context"
	"sync"

	"polis/handler/internal/fault"
)

// Value is something that is opened once, in the background, when it is first asked for.
type Value[T any] struct {
	open   func() (T, error)
	once   sync.Once
	opened chan struct{}
	value  T
	err    error
}

// New is a value that open opens.
func New[T any](open func() (T, error)) *Value[T] {
	if open == nil {
		panic("later: nothing opens it")
	}
	return &Value[T]{open: open, opened: make(chan struct{})}
}

// Get waits until the value is open, and says why it could not be. Who asks first and
// goes away does not keep the next from getting it.
func (l *Value[T]) Get(ctx context.Context) (T, error) {
	l.once.Do(func() {
		go func() {
			defer close(l.opened)
			l.value, l.err = l.open()
		}()
	})
	select {
	case <-l.opened:
		return l.value, l.err
	case <-ctx.Done():
		var none T
		return none, fault.Wrap(fault.Cancelled, ctx.Err(), "waiting until it is open")
	}
}

// End waits for an opening that has begun, and lets none begin. It returns what must be
// closed; false where nothing was opened.
func (l *Value[T]) End() (T, bool) {
	never := false
	l.once.Do(func() {
		never = true
		l.err = fault.New(fault.Cancelled, "it was closed before it was opened")
		close(l.opened)
	})
	<-l.opened
	return l.value, !never && l.err == nil
}
