package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"polis/handler/internal/fault"
	. "polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

var partition = Partition{Tenant: "t", Bucket: 1}

// calls are all that can be asked of a store.
func calls(ctx context.Context, s Store) map[string]func() error {
	return map[string]func() error{
		"write": func() error {
			return s.Write(ctx, partition, []Op{{Document: Document{Key: "k", Body: []byte("v")}}})
		},
		"get": func() error {
			_, err := s.Get(ctx, partition, "k")
			return err
		},
		"get many": func() error {
			_, err := s.GetMany(ctx, partition, []string{"k"})
			return err
		},
		"scan": func() error {
			for _, err := range s.Scan(ctx, partition, "", "") {
				return err
			}
			return errors.New("nothing is there")
		},
	}
}

func TestLaterWaits(t *testing.T) {
	open := make(chan struct{})
	l := Open(func() (Store, error) {
		<-open
		return sqlite.Open(filepath.Join(t.TempDir(), "store.db"))
	})
	written := make(chan error)
	go func() { written <- calls(t.Context(), l)["write"]() }()

	gone, leave := context.WithCancel(t.Context())
	leave()
	for name, call := range calls(gone, l) {
		if err := call(); !fault.Is(err, fault.Cancelled) {
			t.Errorf("a %s whose caller has gone: %v", name, err)
		}
	}
	close(open)
	if err := <-written; err != nil {
		t.Errorf("a write that came early: %v", err)
	}
	for name, call := range calls(t.Context(), l) {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(l.Wait(t.Context()), l.Close()); err != nil {
		t.Error(err)
	}
}

func TestLaterCannotOpen(t *testing.T) {
	l := Open(func() (Store, error) { return nil, fault.New(fault.Unconfigured, "no such store") })
	for name, call := range calls(t.Context(), l) {
		if err := call(); !fault.Is(err, fault.Unconfigured) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !fault.Is(l.Wait(t.Context()), fault.Unconfigured) || l.Close() != nil {
		t.Error("there is something to close, or nothing to say")
	}
}
