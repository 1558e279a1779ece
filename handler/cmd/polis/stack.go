package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus/sqlitebus"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/store/sqlite"
)

// stack is the embedded parts, opened in a folder.
type stack struct {
	dir    string
	docs   *sqlite.Store
	queues *sqlitebus.Bus
	blobs  *folder.Store
	book   *book.Book
	models *registry.Registry
	lists  *actions.Lists
}

// storeFile is the embedded store in its folder.
const storeFile = "store.db"

func openStack(dir string) (_ *stack, err error) {
	s := &stack{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.docs, err = sqlite.Open(filepath.Join(dir, storeFile)); err != nil {
		return nil, err
	}
	if s.queues, err = sqlitebus.Open(filepath.Join(dir, "bus.db")); err != nil {
		return nil, err
	}
	if s.blobs, err = folder.Open(filepath.Join(dir, "blobs")); err != nil {
		return nil, err
	}
	s.book = book.New(s.docs)
	s.models = registry.New(s.blobs, time.Now)
	s.lists = actions.New(s.book, s.docs)
	return s, nil
}

func (s *stack) close() error {
	var err error
	if s.docs != nil {
		err = errors.Join(err, s.docs.Close())
	}
	if s.queues != nil {
		err = errors.Join(err, s.queues.Close())
	}
	if s.blobs != nil {
		err = errors.Join(err, s.blobs.Close())
	}
	return err
}

// tenant finds a tenant, making it where it is missing, with so many buckets.
func (s *stack) tenant(ctx context.Context, id string, buckets int) (book.Tenant, error) {
	t, err := s.book.Tenant(ctx, id)
	if !fault.Is(err, fault.NotFound) {
		return t, err
	}
	t = book.Tenant{ID: id, Buckets: buckets, Created: time.Now().UTC()}
	err = s.book.CreateTenant(ctx, t)
	if fault.Is(err, fault.Conflict) {
		return s.book.Tenant(ctx, id)
	}
	return t, err
}

// asOf reads a date from the command line; today where there is none.
func asOf(text string) (portfolio.Date, error) {
	if text == "" {
		return portfolio.DateOf(time.Now()), nil
	}
	d, ok := portfolio.ParseDate(text)
	if !ok || d > portfolio.DateOf(time.Now())+1 {
		return 0, fault.New(fault.Unconfigured, "--as-of is a date such as 2026-03-31, not after today (or tomorrow, which has begun east of UTC)")
	}
	return d, nil
}

// tenantOf makes a tenant's id of a folder's name.
func tenantOf(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, filepath.Base(abs))
	return name[:min(len(name), 64)]
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
