package later

import (
	"context"
	"testing"

	"polis/handler/internal/fault"
)

func TestValue(t *testing.T) {
	let, opened := make(chan struct{}), 0
	l := New(func() (int, error) {
		<-let
		opened++
		return 7, nil
	})
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := l.Get(gone); !fault.Is(err, fault.Cancelled) {
		t.Errorf("one who has gone is told %v", err)
	}
	close(let)
	for range 2 {
		if v, err := l.Get(t.Context()); v != 7 || err != nil {
			t.Errorf("got %d, %v", v, err)
		}
	}
	if v, ok := l.End(); v != 7 || !ok || opened != 1 {
		t.Errorf("in the end %d, %v, opened %d times", v, ok, opened)
	}
}

func TestNobodyAsks(t *testing.T) {
	l := New(func() (int, error) { panic("opened") })
	if _, ok := l.End(); ok {
		t.Error("there is something to close")
	}
	if _, err := l.Get(t.Context()); !fault.Is(err, fault.Cancelled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestCannotOpen(t *testing.T) {
	l := New(func() (int, error) { return 0, fault.New(fault.Unconfigured, "no such store") })
	if _, err := l.Get(t.Context()); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("it opens: %v", err)
	}
	if _, ok := l.End(); ok {
		t.Error("there is something to close")
	}
}
