package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/bus/sqlitebus"
	"polis/handler/internal/config"
	"polis/handler/internal/event"
	"polis/handler/internal/fault"
	"polis/handler/internal/functions"
	"polis/handler/internal/parts"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/store/sqlite"
)

// stack is the parts of a folder, opened: documents are embedded; blobs and messages are too,
// or are in stand-ins for Azure's services.
type stack struct {
	dir    string
	docs   *sqlite.Store
	queues bus.Broker
	blobs  blob.Store
	book   *book.Book
	models *registry.Registry
	lists  *actions.Lists

	app    map[string]string // settings by which the handler finds the same parts
	topics bool              // results and events are read from a subscription
	close  func() error
}

// In a data folder: the embedded store, its blobs, and what stand-ins keep.
const (
	storeFile     = "store.db"
	blobFolder    = "blobs"
	standinFolder = "standins"
)

func openStack(dir string) (_ *stack, err error) {
	s := &stack{dir: dir}
	var opened []io.Closer
	s.close = func() error {
		var err error
		for _, c := range opened {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.docs, err = sqlite.Open(filepath.Join(dir, storeFile)); err != nil {
		return nil, err
	}
	opened = append(opened, s.docs)
	if exists(filepath.Join(dir, standinFolder)) {
		err = s.openStandins()
	} else {
		err = s.openEmbedded()
	}
	if s.queues != nil {
		opened = append(opened, s.queues)
	}
	if c, ok := s.blobs.(io.Closer); ok {
		opened = append(opened, c)
	}
	if err != nil {
		return nil, err
	}
	s.book = book.New(s.docs)
	s.models = registry.New(s.blobs, time.Now)
	s.lists = actions.New(s.book, s.docs)
	return s, nil
}

func (s *stack) openEmbedded() error {
	queues, err := sqlitebus.Open(filepath.Join(s.dir, "bus.db"))
	if err != nil {
		return err
	}
	s.queues = queues
	blobs, err := folder.Open(filepath.Join(s.dir, blobFolder))
	if err != nil {
		return err
	}
	s.blobs = blobs
	return nil
}

// openAzure opens blobs and queues in Azure, or in what plays its part.
func (s *stack) openAzure(c config.Config) error {
	from, err := parts.New(c)
	if err != nil {
		return err
	}
	s.topics = true
	if s.blobs, err = from.Blobs(); err != nil {
		return err
	}
	s.queues, err = from.Bus()
	return err
}

// readFrom is where a queue's messages are read: those of a topic, where there are topics, in
// the subscription that gets them all.
func (s *stack) readFrom(queue string) string {
	if s.topics && (queue == event.Queue || queue == functions.ResultQueue) {
		return queue + "/Subscriptions/all"
	}
	return queue
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

// maxNamed is how many tenants are named to who asks for another.
const maxNamed = 20

// found finds a tenant that must be there; where it is not, it says which are.
func (s *stack) found(ctx context.Context, id string) (book.Tenant, error) {
	t, err := s.book.Tenant(ctx, id)
	if !fault.Is(err, fault.NotFound) {
		return t, err
	}
	var there []string
	for t, err := range s.book.Tenants(ctx) {
		if err != nil {
			return t, err
		}
		if len(there) == maxNamed {
			there = append(there, "and more")
			break
		}
		there = append(there, t.ID)
	}
	if len(there) == 0 {
		return t, fault.New(fault.NotFound, "no such tenant: %s; there is none yet: polis import makes one", id)
	}
	return t, fault.New(fault.NotFound, "no such tenant: %s; there are %s", id, strings.Join(there, ", "))
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
