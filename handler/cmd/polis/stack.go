package main

import (
	"cmp"
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
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

// stack is the parts that hold a tenant's data, opened. Of a folder documents are embedded; blobs
// and messages are too, or are in stand-ins for Azure's services. In Azure all are there.
type stack struct {
	dir    string // for what is written on this computer
	docs   store.Store
	queues bus.Broker
	blobs  blob.Store
	book   *book.Book // nil, as the lists, where no documents are opened
	models *registry.Registry
	lists  *actions.Lists

	embedded *sqlite.Store     // the documents of a folder
	app      map[string]string // settings by which the handler finds the same parts of a folder
	topics   bool              // results and events are read from a subscription
	azure    *config.Config    // the apps in Azure work the queues; nil: this is a folder
}

// In a data folder: the embedded store, its blobs, and what stand-ins keep.
const (
	storeFile     = "store.db"
	blobFolder    = "blobs"
	standinFolder = "standins"
)

// openStack opens the parts of a folder.
func openStack(dir string) (*stack, error) {
	s := &stack{dir: dir}
	var err error
	if s.embedded, err = sqlite.Open(filepath.Join(dir, storeFile)); err != nil {
		return nil, err
	}
	s.docs = s.embedded
	if exists(filepath.Join(dir, standinFolder)) {
		err = s.openStandins()
	} else {
		err = s.openEmbedded()
	}
	return s.opened(err)
}

// openAzure opens the parts that the settings of the environment name, documents only where they are asked for: who
// moves messages has no rights on them. What is written on this computer goes to the folder.
func openAzure(dir string, documents bool) (*stack, error) {
	c, err := config.Operator(documents)
	if err != nil {
		return nil, err
	}
	s := &stack{dir: dir, azure: &c}
	return s.opened(s.reach(c, documents))
}

// reach opens parts in Azure, or in what plays its part.
func (s *stack) reach(c config.Config, documents bool) error {
	from, err := parts.New(c)
	if err != nil {
		return err
	}
	s.topics = true
	if documents {
		docs, err := from.Store()
		if err != nil {
			return err
		}
		s.docs = docs
	}
	blobs, err := from.Blobs()
	if err != nil {
		return err
	}
	s.blobs = blobs
	queues, err := from.Bus()
	if err != nil {
		return err
	}
	s.queues = queues
	return nil
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

// opened is the stack with what rests on its parts; none, and they are closed, where opening them failed.
func (s *stack) opened(err error) (*stack, error) {
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.models = registry.New(s.blobs, time.Now)
	if s.docs != nil {
		s.book = book.New(s.docs)
		s.lists = actions.New(s.book, s.docs)
	}
	return s, nil
}

func (s *stack) close() error {
	var err error
	for _, part := range []any{s.docs, s.queues, s.blobs} {
		if c, ok := part.(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
	}
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

// tenant finds a tenant, making it where it is missing, with so many buckets; 0: as many as it has, or by default.
func (s *stack) tenant(ctx context.Context, id string, buckets int) (book.Tenant, error) {
	t, err := s.book.Tenant(ctx, id)
	if fault.Is(err, fault.NotFound) {
		if buckets == 0 && s.azure != nil {
			return t, fault.New(fault.Unconfigured, "tenant %s is not there: --buckets says how many it is to have, for ever (docs/scale.md)", id)
		}
		t = book.Tenant{ID: id, Buckets: cmp.Or(buckets, book.DefaultBuckets), Created: time.Now().UTC()}
		if err = s.book.CreateTenant(ctx, t); fault.Is(err, fault.Conflict) {
			t, err = s.book.Tenant(ctx, id)
		}
	}
	if err == nil && buckets != 0 && buckets != t.Buckets {
		return t, fault.New(fault.Conflict, "tenant %s has %d buckets, for ever, and --buckets says %d", id, t.Buckets, buckets)
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
