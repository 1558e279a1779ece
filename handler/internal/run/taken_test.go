package run

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/store"
)

// paged calls somebody before the first page of a list is written.
type paged struct {
	store.Store
	call func()
}

func (s *paged) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if call := s.call; call != nil && strings.HasPrefix(ops[0].Key, "list\x1f") {
		s.call = nil
		call()
	}
	return s.Store.Write(ctx, p, ops)
}

// TestErasedWhileTheListIsMade: whoever is erased after his score was read for a list, and before its pages are
// written, is not on it once the run is announced, wherever a kill comes then.
func TestErasedWhileTheListIsMade(t *testing.T) {
	for n := int64(0); ; n++ {
		f := newFixture(t)
		lists := actions.New(f.book, f.docs).WithClock(func() time.Time { return f.now })
		p := f.start(today, false)
		docs := f.docs.Store
		const who = "c00" // of whom there is a complaint
		f.docs.Store = &paged{docs, func() {
			must(t, lists.Forget(t.Context(), f.tenant.ID, who))
			_, err := f.book.Erase(t.Context(), f.tenant, who)
			must(t, err)
			f.docs.left.Store(n)
			f.docs.dies.Store(true)
		}}
		killed := f.drain(t.Context()) != nil
		f.docs.dies.Store(false)
		if killed {
			must(t, f.drain(t.Context()))
		}
		f.finished(p.ID)
		l := f.listed()
		if len(l.Items) == 0 || slices.ContainsFunc(l.Items, func(it actions.Item) bool { return it.Customer == who }) {
			t.Errorf("a kill before write %d: %d items, with who was erased", n, len(l.Items))
		}
		for bucket := range f.tenant.Buckets {
			for d, err := range docs.Scan(t.Context(), store.Partition{Tenant: f.tenant.ID, Bucket: bucket}, "", "") {
				must(t, err)
				if strings.Contains(d.Key, who) {
					t.Errorf("a kill before write %d leaves %q", n, d.Key)
				}
			}
		}
		if !killed {
			return
		}
	}
}
