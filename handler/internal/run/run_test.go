package run

import (
	"cmp"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus/sqlitebus"
	"polis/handler/internal/churn"
	"polis/handler/internal/event"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
)

var (
	noon  = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	today = portfolio.DateOf(noon)
)

// fixture is a small book over real parts; every write goes through cut, which can
// fail from a given one on, as a kill would have it.
type fixture struct {
	t      *testing.T
	docs   *cut
	bus    *sqlitebus.Bus
	book   *book.Book
	runs   *Runs
	tenant book.Tenant
	now    time.Time // of the runs
}

// cut is a store that dies after so many writes; 0: it lives.
type cut struct {
	store.Store
	left atomic.Int64
	dies atomic.Bool
}

var errKilled = fault.New(fault.Unavailable, "killed")

func (c *cut) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if c.dies.Load() && c.left.Add(-1) < 0 {
		return errKilled
	}
	return c.Store.Write(ctx, p, ops)
}

const customers = 40

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir := t.TempDir()
	now := func() time.Time { return noon }
	docs, err := sqlite.Open(filepath.Join(dir, "store.db"), sqlite.WithClock(now))
	must(t, err)
	t.Cleanup(func() { docs.Close() })
	queues, err := sqlitebus.Open(filepath.Join(dir, "bus.db"), sqlitebus.WithClock(now))
	must(t, err)
	t.Cleanup(func() { queues.Close() })
	blobs, err := folder.Open(filepath.Join(dir, "blobs"))
	must(t, err)
	t.Cleanup(func() { blobs.Close() })
	f := &fixture{t: t, docs: &cut{Store: docs}, bus: queues, tenant: book.Tenant{ID: "t", Buckets: 4, Created: noon}, now: noon}
	f.book = book.New(f.docs)
	must(t, f.book.CreateTenant(t.Context(), f.tenant))
	for i := range customers {
		must(t, f.book.Put(t.Context(), f.tenant, customer(i), ""))
	}
	models := registry.New(blobs, now)
	m, err := train.Fit(t.Context(), func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(func([]*portfolio.Aggregate, error) bool) {}
	}, train.Options{AsOf: today})
	must(t, err)
	m.Churn.Book.Relations.Basis, m.Churn.Book.Policies.Basis = churn.Own, churn.Own // else nobody is likelier to leave than others
	must(t, models.Publish(t.Context(), f.tenant.ID, m))
	f.runs = New(f.book, f.docs, queues, models, actions.New(f.book, f.docs), func() time.Time { return f.now })
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// customer makes a customer; every fourth has an unresolved complaint, every third
// shares a household.
func customer(i int) *portfolio.Aggregate {
	id := fmt.Sprintf("c%02d", i)
	known := portfolio.Version{RecordedAt: today - 400}
	a := &portfolio.Aggregate{
		Customers: []portfolio.Customer{{ID: id, BirthYear: 1950 + i, Version: known}},
		Policies: []portfolio.Policy{{
			ID: "p" + id, CustomerID: id, Branch: "motor", StartDate: today - 390, AnnualPremium: portfolio.Cents(30000 + 1000*i), Status: portfolio.Active, Version: known,
		}},
	}
	if i%3 == 0 {
		a.Customers[0].HouseholdID = fmt.Sprintf("h%d", i/9)
	}
	if i%4 == 0 {
		a.Contacts = []portfolio.Contact{{CustomerID: id, At: portfolio.Instant((today - 20).Time().Unix()), Reason: "complaint"}}
	}
	a.Normalise(today)
	return a
}

// drain works the chunk queue until it is empty; a failed message is given back, as the
// host does.
func (f *fixture) drain(ctx context.Context) error {
	for {
		list, err := f.bus.Receive(ctx, ChunkQueue, 10, time.Minute, 0)
		if err != nil || len(list) == 0 {
			return err
		}
		var failed error
		for _, d := range list {
			var q ChunkRequest
			must(f.t, json.Unmarshal(d.Body, &q))
			if err := f.runs.Work(ctx, q); err != nil {
				failed = errors.Join(failed, err, f.bus.Abandon(ctx, d))
				continue
			}
			must(f.t, f.bus.Complete(ctx, d))
		}
		if failed != nil {
			return failed
		}
	}
}

// contents is all documents of the tenant, what tells time apart.
func (f *fixture) contents() map[string]string {
	f.t.Helper()
	out := map[string]string{}
	for bucket := -10; bucket < f.tenant.Buckets; bucket++ {
		for d, err := range f.docs.Scan(f.t.Context(), store.Partition{Tenant: f.tenant.ID, Bucket: bucket}, "", "") {
			must(f.t, err)
			body := string(d.Body)
			for _, prefix := range []string{chunkKey, doneKey} {
				if strings.HasPrefix(d.Key, prefix) {
					body = timeless(f.t, d.Body)
				}
			}
			out[fmt.Sprintf("%d %q", bucket, d.Key)] = body
		}
	}
	return out
}

// timeless takes the seconds out of a record.
func timeless(t *testing.T, body []byte) string {
	t.Helper()
	var v map[string]any
	must(t, json.Unmarshal(body, &v))
	var strip func(any)
	strip = func(v any) {
		if m, ok := v.(map[string]any); ok {
			for k, w := range m {
				if k == "seconds" || k == "elapsed_seconds" {
					delete(m, k)
				}
				strip(w)
			}
		}
	}
	strip(v)
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	for k := range want {
		if got[k] != want[k] {
			t.Errorf("%s differs or is missing:\n got %.300q\nwant %.300q", k, got[k], want[k])
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s is there and should not be", k)
		}
	}
}

func (f *fixture) start(asOf portfolio.Date, again bool) Progress {
	f.t.Helper()
	p, _, err := f.runs.Start(f.t.Context(), f.tenant, asOf, nil, again)
	must(f.t, err)
	return p
}

func (f *fixture) finished(id string) Progress {
	f.t.Helper()
	p, err := f.runs.Get(f.t.Context(), f.tenant.ID, id)
	must(f.t, err)
	if p.Status != "completed" {
		f.t.Fatalf("run %s is %s, %d of %d chunks", id, p.Status, p.Done, p.Chunks)
	}
	return p
}

// listed is the newest list, as it is shown.
func (f *fixture) listed() actions.List {
	f.t.Helper()
	lists := actions.New(f.book, f.docs)
	h, err := lists.Newest(f.t.Context(), f.tenant.ID)
	must(f.t, err)
	items, _, err := lists.Items(f.t.Context(), f.tenant.ID, &h, "", 0, 10*customers)
	must(f.t, err)
	return actions.List{Head: h, Items: items}
}

func TestARunScoresEverybodyOnce(t *testing.T) {
	f := newFixture(t)
	p := f.start(today, false)
	must(t, f.drain(t.Context()))
	done := f.finished(p.ID)
	if s := done.Summary; s.Customers != customers || s.Scored != customers || s.Changed != customers || len(s.Failed) != 0 || s.Actions < customers/4 {
		t.Errorf("summary: %+v", s)
	}
	for _, e := range scoring.Engines {
		if done.Summary.Engines[e].Scored != customers {
			t.Errorf("%s scored %d", e, done.Summary.Engines[e].Scored)
		}
	}
	before := f.contents()
	if again := f.start(today, false); again.ID != p.ID || again.Status != "completed" {
		t.Errorf("a timer starts another run of a date that is done: %s %s", again.ID, again.Status)
	}
	for bucket := range f.tenant.Buckets { // the broker may bring a message twice
		must(t, f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, p.ID, bucket, 0, 0}))
	}
	same(t, f.contents(), before)
	events, err := f.bus.Peek(t.Context(), event.Queue, false, 10)
	must(t, err)
	if len(events) != 1 {
		t.Errorf("%d events of one completion", len(events))
	}
}

func TestOnlyWhatChangedIsWritten(t *testing.T) {
	f := newFixture(t)
	f.start(today, false)
	must(t, f.drain(t.Context()))
	r, err := f.book.Customer(t.Context(), f.tenant, "c01")
	must(t, err)
	r.Aggregate.Contacts = append(r.Aggregate.Contacts, portfolio.Contact{CustomerID: "c01", At: portfolio.Instant(noon.Unix()), Reason: "question"})
	must(t, f.book.Put(t.Context(), f.tenant, r.Aggregate, r.ETag))
	p := f.start(today+1, false)
	must(t, f.drain(t.Context()))
	if s := f.finished(p.ID).Summary; s.Scored != customers || s.Changed != 1 {
		t.Errorf("scored %d, changed %d", s.Scored, s.Changed)
	}
	f.now = noon.AddDate(0, 0, 40)
	p = f.start(today+40, false)
	must(t, f.drain(t.Context()))
	if s := f.finished(p.ID).Summary; s.Changed != customers {
		t.Errorf("after 40 days %d of %d are stored again", s.Changed, customers)
	}
}

// TestAKillAnywhereLosesAndDoublesNothing kills a run before each of its writes in turn
// and carries on: the store is that of a run that was left alone.
func TestAKillAnywhereLosesAndDoublesNothing(t *testing.T) {
	whole := newFixture(t)
	id := whole.start(today, false).ID
	must(t, whole.drain(t.Context()))
	whole.finished(id)
	want := whole.contents()
	for n := int64(0); ; n++ {
		f := newFixture(t)
		f.docs.left.Store(n)
		f.docs.dies.Store(true)
		_, _, err := f.runs.Start(t.Context(), f.tenant, today, nil, false)
		if err == nil {
			err = f.drain(t.Context())
		}
		killed := err != nil
		if killed && !fault.Is(err, fault.Unavailable) {
			t.Fatalf("kill before write %d: %v", n, err)
		}
		f.docs.dies.Store(false)
		f.start(today, false) // the timer, or whoever asked, tries again
		must(t, f.drain(t.Context()))
		f.finished(id)
		same(t, f.contents(), want)
		events, err := f.bus.Peek(t.Context(), event.Queue, false, 10)
		must(t, err)
		if len(events) != 1 {
			t.Errorf("kill before write %d: %d events", n, len(events))
		}
		if t.Failed() {
			t.Fatalf("after a kill before write %d", n)
		}
		if !killed {
			return // the run has no more writes than that
		}
	}
}

// TestTheLastChunkCompletes: in whatever order chunks are done, the last one completes the run
// and none before it does.
func TestTheLastChunkCompletes(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}} {
		f := newFixture(t)
		p := f.start(today, false)
		for i, bucket := range order {
			must(t, f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, p.ID, bucket, 0, 0}))
			now, err := f.runs.Get(t.Context(), f.tenant.ID, p.ID)
			must(t, err)
			if last := i == len(order)-1; last != (now.Status == "completed") {
				t.Errorf("%v: after %d chunks the run is %s", order, i+1, now.Status)
			}
		}
	}
}

// before calls somebody before the first scan of a kind of documents.
type before struct {
	store.Store
	kind string
	call func()
}

func (s *before) Scan(ctx context.Context, p store.Partition, prefix, after string) iter.Seq2[store.Document, error] {
	if call := s.call; call != nil && strings.HasPrefix(prefix, s.kind) {
		s.call = nil
		call()
	}
	return s.Store.Scan(ctx, p, prefix, after)
}

// TestTwoComplete: who comes to complete a run while another has done so, and is tidying up, makes no
// list of what is left. Where nobody has, what is missing is looked for again.
func TestTwoComplete(t *testing.T) {
	for _, completed := range []bool{true, false} {
		f := newFixture(t)
		p := f.start(today, false)
		for bucket := range f.tenant.Buckets - 1 {
			must(t, f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, p.ID, bucket, 0, 0}))
		}
		docs := f.docs.Store
		var want map[string]string
		f.docs.Store = &before{docs, partKey, func() {
			left, err := docs.Get(t.Context(), shared(f.tenant.ID), chunkDocument(partKey, p.Run, 0))
			must(t, err)
			gone := store.Op{Verb: store.Delete, Document: store.Document{Key: chunkDocument(partKey, p.Run, 1)}}
			if !completed {
				must(t, docs.Write(t.Context(), shared(f.tenant.ID), []store.Op{gone}))
			} else {
				must(t, f.runs.complete(t.Context(), p.Run))
				want = f.contents()
				left.ETag = "" // it is not tidied away yet
				must(t, docs.Write(t.Context(), shared(f.tenant.ID), []store.Op{{Document: left}}))
			}
		}}
		err := f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, p.ID, f.tenant.Buckets - 1, 0, 0})
		if !completed {
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("a share is missing, and nobody completed the run: %v", err)
			}
			continue
		}
		must(t, err)
		same(t, f.contents(), want)
	}
}

func TestTwoAtTheSameChunk(t *testing.T) {
	f := newFixture(t)
	p := f.start(today, false)
	var wg sync.WaitGroup
	for bucket := range f.tenant.Buckets {
		for range 2 {
			wg.Go(func() {
				if err := f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, p.ID, bucket, 0, 0}); err != nil {
					t.Errorf("chunk %d: %v", bucket, err)
				}
			})
		}
	}
	wg.Wait()
	if s := f.finished(p.ID).Summary; s.Customers != customers || s.Scored != customers {
		t.Errorf("summary: %+v", s)
	}
}

func TestADamagedCustomerDoesNotStopTheOthers(t *testing.T) {
	f := newFixture(t)
	w := f.book.Writer(f.tenant, f.tenant.RelationBucket("c:broken"))
	must(t, w.CreateAggregate(t.Context(), "c:broken", "broken", []byte("nonsense")))
	must(t, w.Flush(t.Context()))
	p := f.start(today, false)
	must(t, f.drain(t.Context()))
	s := f.finished(p.ID).Summary
	if s.Scored != customers || s.Customers != customers+1 || s.Failed["stored aggregate is damaged"] != 1 {
		t.Errorf("summary: %+v", s)
	}
}

func TestFeedbackKeepsQuiet(t *testing.T) {
	f := newFixture(t)
	f.start(today, false)
	must(t, f.drain(t.Context()))
	lists := actions.New(f.book, f.docs)
	l := f.listed()
	if len(l.Items) < customers/4 || l.Items[0].Action != "resolve_complaint" {
		t.Fatalf("%d items, first %s", len(l.Items), l.Items[0].Action)
	}
	_, err := lists.Record(t.Context(), f.tenant, today, l.Items[0].ID, feedback.Reply{Outcome: feedback.Done, At: noon})
	must(t, err)
	f.start(today+1, false)
	must(t, f.drain(t.Context()))
	next := f.listed()
	if len(next.Items) != len(l.Items)-1 {
		t.Errorf("%d items, %d after one was done", len(l.Items), len(next.Items))
	}
	for _, it := range next.Items {
		if it.Customer == l.Items[0].Customer {
			t.Error("what was done is suggested again the next day")
		}
		if it.Opened != today {
			t.Errorf("an item that lives on was opened on %s", it.Opened)
		}
	}
}

// night runs as of a date, and returns the list by customer.
func (f *fixture) night(on portfolio.Date) map[string]actions.Item {
	f.t.Helper()
	f.now = noon.AddDate(0, 0, int(on-today))
	f.start(on, false)
	must(f.t, f.drain(f.t.Context()))
	l := f.listed()
	if l.Date != on {
		f.t.Fatalf("the list is of %s, not of %s", l.Date, on)
	}
	items, _, err := actions.New(f.book, f.docs).Items(f.t.Context(), f.tenant.ID, &l.Head, "", 0, 1000)
	must(f.t, err)
	by := map[string]actions.Item{}
	for _, it := range items {
		by[it.Customer] = it
	}
	return by
}

// change changes what is known of a customer.
func (f *fixture) change(id string, change func(*portfolio.Aggregate)) {
	f.t.Helper()
	r, err := f.book.Customer(f.t.Context(), f.tenant, id)
	must(f.t, err)
	change(r.Aggregate)
	r.Aggregate.Normalise(today)
	must(f.t, f.book.Put(f.t.Context(), f.tenant, r.Aggregate, r.ETag))
}

// say records what somebody says of an item.
func (f *fixture) say(list portfolio.Date, it actions.Item, r feedback.Reply) {
	f.t.Helper()
	r.At = noon
	_, err := actions.New(f.book, f.docs).Record(f.t.Context(), f.tenant, list, it.ID, r)
	must(f.t, err)
}

func complain(days portfolio.Date) func(*portfolio.Aggregate) {
	return func(a *portfolio.Aggregate) {
		a.Contacts = append(a.Contacts, portfolio.Contact{CustomerID: a.ID(), At: portfolio.Instant((today - days).Time().Unix()), Direction: "in", Reason: "complaint"})
	}
}

// TestCareIsNotSilenced: one word takes nobody off the care part for good. What is said of a
// complaint says nothing of another that comes in, or of a claim, and no longer than
// it could have been put off of the same.
func TestCareIsNotSilenced(t *testing.T) {
	const id = "c04"
	said := map[string]feedback.Reply{
		"dismissed": {Outcome: feedback.Dismissed, Judgement: feedback.Wrong}, "done": {Outcome: feedback.Done}, "snoozed": {Outcome: feedback.Snoozed, Until: today + 14},
	}
	for name, reply := range said {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			it := f.night(today)[id]
			if it.Action != "resolve_complaint" || it.Part != actions.Care || it.New != nil {
				t.Fatalf("%+v", it)
			}
			f.say(today, it, reply)
			if it, there := f.night(today + 1)[id]; there {
				t.Fatalf("the same complaint the day after: %+v", it)
			}
			f.change(id, complain(1))
			again, there := f.night(today + 2)[id]
			if !there || again.Action != "resolve_complaint" || again.ID == it.ID || again.Opened != today+2 || len(again.New) == 0 {
				t.Errorf("of another complaint the list says %+v", again)
			}
		})
		t.Run(name+", and nothing new", func(t *testing.T) {
			f := newFixture(t)
			f.change(id, func(a *portfolio.Aggregate) { a.Contacts = nil; complain(100)(a) }) // open for long already
			f.say(today, f.night(today)[id], reply)
			bound := portfolio.Date(14)
			if reply.Outcome == feedback.Done {
				bound = 30
			}
			if _, there := f.night(today + bound - 1)[id]; there {
				t.Error("it is suggested again before the bound")
			}
			if _, there := f.night(today + bound)[id]; !there {
				t.Errorf("a complaint that is open is off the list after %d days", bound)
			}
		})
	}
	f := newFixture(t)
	f.say(today, f.night(today)[id], feedback.Reply{Outcome: feedback.Dismissed})
	f.change(id, func(a *portfolio.Aggregate) {
		for k := range 3 {
			a.Claims = append(a.Claims, portfolio.Claim{
				ID: fmt.Sprint(k), PolicyID: "p" + id, CustomerID: id, LossDate: today - 9, Paid: 50000, Status: portfolio.ClaimClosed, Version: portfolio.Version{RecordedAt: today - 8},
			})
		}
	})
	if it := f.night(today + 1)[id]; it.Action != "resolve_complaint" {
		t.Errorf("after three claims the complaint is not looked at again: %+v", it)
	} else {
		f.say(today+1, it, feedback.Reply{Outcome: feedback.Dismissed})
	}
	it := f.night(today + 2)[id]
	if it.Action != "care_review" || it.Part != actions.Care || it.Score != nil {
		t.Errorf("with the complaint settled the claims ask for %+v, with score %s", it, it.Score)
	}
	if it.Due != today+2+7 {
		t.Errorf("it is due on %s", it.Due)
	}
	if next := f.night(today + 3)[id]; next.ID != it.ID || next.Due != it.Due {
		t.Errorf("the night after it is %+v", next)
	}
}

// TestWhoMayBeApproached: something commercial says by which channels, and who refuses all of
// them has nothing commercial on the list.
func TestWhoMayBeApproached(t *testing.T) {
	f := newFixture(t)
	var called []string
	for id, it := range f.night(today) {
		switch {
		case it.Part.Owed() && it.Channels != nil:
			t.Errorf("care has channels: %+v", it)
		case it.Part == actions.Commercial && !slices.Equal(it.Channels, []string{"email", "post"}):
			t.Errorf("nobody consented to calls, and %s may be approached by %q", it.Action, it.Channels)
		case it.Part == actions.Commercial:
			called = append(called, id)
		}
	}
	if len(called) < 3 {
		t.Fatalf("%d customers have something commercial", len(called))
	}
	slices.Sort(called)
	word := func(id, channel string, given bool) {
		f.change(id, func(a *portfolio.Aggregate) {
			c := &a.Customers[0]
			c.Consents = append(c.Consents, portfolio.Consent{Purpose: "marketing", Channel: channel, Given: given, On: today - 1, Source: "form"})
		})
	}
	word(called[0], "all", false)
	word(called[1], "phone", true)
	word(called[2], "email", false)
	word(called[2], "phone", true)
	next := f.night(today + 1)
	if it, there := next[called[0]]; there && it.Part == actions.Commercial {
		t.Errorf("who refused all has %+v", it)
	}
	for id, want := range map[string][]string{called[1]: {"email", "phone", "post"}, called[2]: {"phone"}} {
		if it := next[id]; !slices.Equal(it.Channels, want) {
			t.Errorf("%s may be approached by %q, want %q", id, it.Channels, want)
		}
	}
}

// TestJudgements: where most judge a kind of action to be of no use, its suggestions stand after
// all others from the next run on, and what care asks for stays where it is. What a run counted
// a repeat of its chunks does not count twice, and suggestions are there once.
func TestJudgements(t *testing.T) {
	f := newFixture(t)
	f.start(today, false)
	must(t, f.drain(t.Context()))
	lists := actions.New(f.book, f.docs)
	l := f.listed()
	judged := map[string]int{}
	for _, it := range l.Items {
		rec, err := f.book.Customer(t.Context(), f.tenant, it.Customer)
		must(t, err)
		h, err := feedback.Read(rec.Feedback)
		must(t, err)
		if s := h.Find(it.ID, it.About); s == nil || s.Opened != today || len(h.Suggestions) != 1 {
			t.Fatalf("of %s is kept %+v", it.Customer, h)
		}
		if judged[it.Action]++; judged[it.Action] <= 6 {
			_, err = lists.Record(t.Context(), f.tenant, today, it.ID, feedback.Reply{Judgement: feedback.NotUseful, At: noon})
			must(t, err)
		}
	}
	const care, trade = "resolve_complaint", "retention_call"
	if judged[care] < 7 || judged[trade] < 7 {
		t.Fatalf("the list has %v", judged)
	}
	f.start(today+1, false)
	must(t, f.drain(t.Context()))
	counted, err := lists.Counted(t.Context(), f.tenant.ID)
	must(t, err)
	if n := counted.Tally.Judged[care]; n == nil || *n != (feedback.Judged{All: 6, Against: 6}) || counted.AsOf != today+1 {
		t.Fatalf("counted %+v", counted)
	}
	f.now = f.now.AddDate(0, 0, 1)
	p := f.start(today+2, false)
	if !slices.Contains(p.After, care) || !slices.Contains(p.After, trade) {
		t.Errorf("after others stand %v", p.After)
	}
	must(t, f.work(t.Context(), p))
	after := map[string]bool{}
	for _, c := range f.candidates(p) {
		after[c.Action] = c.After
	}
	if after[care] || !after[trade] {
		t.Errorf("put after all others are %v", after)
	}
	must(t, f.drain(t.Context()))
	f.start(today-3, false)
	must(t, f.drain(t.Context()))
	if counted, err = lists.Counted(t.Context(), f.tenant.ID); err != nil || counted.AsOf != today+2 {
		t.Errorf("%v, a run of a past date counts as the last: %s", err, counted.AsOf)
	}
}

// TestCareIsTheSameForAnyPremium: a book whose every premium and commission is another, and
// with it every value, has the same care on its list in the same order.
func TestCareIsTheSameForAnyPremium(t *testing.T) {
	listed := func(change func(i int, p *portfolio.Policy)) (care []string, all []float64) {
		f := newFixture(t)
		for i := range customers {
			r, err := f.book.Customer(t.Context(), f.tenant, fmt.Sprintf("c%02d", i))
			must(t, err)
			change(i, &r.Aggregate.Policies[0])
			must(t, f.book.Put(t.Context(), f.tenant, r.Aggregate, r.ETag))
		}
		f.start(today, false)
		must(t, f.drain(t.Context()))
		l := f.listed()
		if l.Care.Due != l.Care.Listed || l.Advice.Due != l.Advice.Listed || l.Care.Due+l.Advice.Due < customers/4 || l.Due != l.Care.Due+l.Advice.Due+l.Commercial.Due || l.Listed != len(l.Items) {
			t.Errorf("counts are %+v", l.Head)
		}
		items, more, err := actions.New(f.book, f.docs).Items(t.Context(), f.tenant.ID, &l.Head, "", 0, len(l.Items))
		if must(t, err); more || len(items) != len(l.Items) {
			t.Errorf("%d items of %d, more: %t", len(items), len(l.Items), more)
		}
		for i, it := range items {
			var score struct {
				Value float64 `json:"value"`
			}
			must(t, json.Unmarshal(it.Score, &score))
			if all = append(all, score.Value); it.Part.Owed() {
				care = append(care, fmt.Sprintf("%d %s %s %v %s", i, it.Customer, it.Action, it.Priority, it.Due))
			}
		}
		return care, all
	}
	rich, of := listed(func(i int, p *portfolio.Policy) {
		p.AnnualPremium, p.CommissionRate = portfolio.Cents(900000-7000*i), portfolio.RateOf(0.25)
	})
	poor, at := listed(func(i int, p *portfolio.Policy) {
		p.AnnualPremium, p.CommissionRate = portfolio.Cents(1000+100*i), portfolio.RateOf(0.01)
	})
	if !slices.Equal(rich, poor) {
		t.Errorf("care is\n%q of a rich book, and\n%q of a poor one", rich, poor)
	}
	if of[0] <= at[0] {
		t.Errorf("the values did not change: %v and %v", of[0], at[0])
	}
}

// work does the first chunk of a run that has others.
func (f *fixture) work(ctx context.Context, p Progress) error {
	return f.runs.Work(ctx, ChunkRequest{f.tenant.ID, p.ID, 0, 0, 0})
}

// candidates are those of a run's first chunk.
func (f *fixture) candidates(p Progress) (out []actions.Candidate) {
	f.t.Helper()
	d, err := f.docs.Get(f.t.Context(), shared(f.tenant.ID), chunkDocument(partKey, p.Run, 0))
	must(f.t, err)
	out, err = readPart(d)
	must(f.t, err)
	return out
}

// TestDeclinedOffers: what a customer declined on a list is known when it is scored next,
// also after something else came of the same action.
func TestDeclinedOffers(t *testing.T) {
	f := newFixture(t)
	lists := actions.New(f.book, f.docs)
	draft, err := actions.NewDraft(f.tenant.ID, actions.Head{Date: today - 20, Run: "r"}, &feedback.Settings{List: feedback.List{MaxAdvice: 1}})
	must(t, err)
	defer draft.Close()
	for _, c := range []actions.Candidate{
		{Customer: "c01", Relation: "c:c01", Action: "offer", About: "travel", Priority: 3},
		{Customer: "c01", Relation: "c:c01", Action: "coverage_advice", About: "liability", Priority: 2},
		{Customer: "c01", Relation: "c:c01", Action: "retention_call", Priority: 1},
	} {
		must(t, draft.Add(c))
	}
	op, err := lists.Publish(t.Context(), f.tenant, draft, noon, func(_ context.Context, items []*actions.Item) ([]bool, error) {
		return slices.Repeat([]bool{true}, len(items)), nil
	})
	must(t, err)
	must(t, f.docs.Write(t.Context(), shared(f.tenant.ID), []store.Op{op}))
	l := f.listed()
	record := func(item int, o feedback.Outcome, on portfolio.Date) error {
		_, err := lists.Record(t.Context(), f.tenant, today-20, l.Items[item].ID, feedback.Reply{Outcome: o, At: on.Time()})
		return err
	}
	must(t, record(0, feedback.Declined, today-9))
	must(t, record(1, feedback.Declined, today-8))
	must(t, record(0, feedback.Done, today))
	if err := record(2, feedback.Declined, today); !fault.Is(err, fault.Invalid) {
		t.Errorf("a call that offers nothing is declined: %v", err)
	}
	r, err := f.book.Customer(t.Context(), f.tenant, "c01")
	must(t, err)
	got, err := scoring.Declined(r.Feedback)
	must(t, err)
	slices.SortFunc(got, func(a, b nbp.Decline) int { return cmp.Compare(a.Group, b.Group) })
	if want := []nbp.Decline{{Group: "liability", On: today - 8}, {Group: "travel", On: today - 9}}; !slices.Equal(got, want) {
		t.Errorf("declined %v, want %v", got, want)
	}
}

func TestUnknownWorkNeverSucceeds(t *testing.T) {
	f := newFixture(t)
	p := f.start(today, false)
	for _, q := range []ChunkRequest{{"nobody", p.ID, 0, 0, 0}, {f.tenant.ID, "no-run", 0, 0, 0}, {f.tenant.ID, p.ID, -1, 0, 0}, {f.tenant.ID, p.ID, 4, 0, 0}} {
		if err := f.runs.Work(t.Context(), q); !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v: a kind that would be tried for ever", q, err)
		}
	}
}

// TestTooManyPolicies: a customer whose scores no document holds fails alone.
func TestTooManyPolicies(t *testing.T) {
	f := newFixture(t)
	big := customer(1000)
	for i := range 9500 {
		p := big.Policies[0]
		id := sha512.Sum512([]byte{byte(i), byte(i >> 8)}) // which nothing packs
		p.ID = base64.RawURLEncoding.EncodeToString(id[:])
		big.Policies = append(big.Policies, p)
	}
	big.Normalise(today)
	must(t, f.book.Put(t.Context(), f.tenant, big, ""))
	p := f.start(today, false)
	must(t, f.drain(t.Context()))
	s := f.finished(p.ID).Summary
	if s.Customers != customers+1 || s.Scored != customers || s.Failed["too many policies for one document of scores"] != 1 {
		t.Errorf("%+v", s)
	}
}

// TestAPastDateLeavesTheLatest: scores of a later date stay the latest, whatever a run of a
// past date finds; its own are kept beside them, once however often it is killed.
func TestAPastDateLeavesTheLatest(t *testing.T) {
	f := newFixture(t)
	f.start(today, false)
	must(t, f.drain(t.Context()))
	lists := actions.New(f.book, f.docs)
	listed := f.listed()
	counted, err := lists.Counted(t.Context(), f.tenant.ID)
	must(t, err)
	before, err := f.book.Customer(t.Context(), f.tenant, "c01")
	must(t, err)
	due, err := f.book.Customer(t.Context(), f.tenant, "c00")
	must(t, err)
	p := f.start(today-100, false)
	f.docs.left.Store(3)
	f.docs.dies.Store(true)
	if err := f.drain(t.Context()); err == nil {
		t.Fatal("it was not killed")
	}
	f.docs.dies.Store(false)
	f.now = noon.Add(time.Hour)
	f.start(today-100, false)
	must(t, f.drain(t.Context()))
	if s := f.finished(p.ID).Summary; s.Scored != customers || s.Changed != customers || s.NoList == "" || s.Actions == 0 {
		t.Errorf("%+v", s)
	}
	if _, err := lists.Head(t.Context(), f.tenant.ID, today-100); !fault.Is(err, fault.NotFound) {
		t.Errorf("a past date has a list: %v", err)
	}
	if l := f.listed(); l.Date != listed.Date || l.Run != listed.Run {
		t.Error("the latest list is another")
	}
	if c, err := lists.Counted(t.Context(), f.tenant.ID); err != nil || c.Run != counted.Run {
		t.Errorf("%v: a past date is counted", err)
	}
	if rec, err := f.book.Customer(t.Context(), f.tenant, "c00"); err != nil || string(rec.Feedback) != string(due.Feedback) {
		t.Errorf("%v: a past date's suggestions are in the history", err)
	}
	after, err := f.book.Customer(t.Context(), f.tenant, "c01")
	must(t, err)
	if string(after.Scores) != string(before.Scores) {
		t.Error("a run of a past date writes over the latest scores")
	}
	n := 0
	for d, err := range f.book.History(t.Context(), f.tenant, after.Relation, "c01") {
		must(t, err)
		s, err := scoring.DecodeStored(d.Body)
		must(t, err)
		if n++; s.AsOf() != today-100 || !s.Has(scoring.Risk) {
			t.Errorf("history holds scores as of %v", s.AsOf())
		}
	}
	if n != 1 {
		t.Errorf("%d scores in the history", n)
	}
}

// TestCatchingUp: yesterday's run that is finished after midnight makes its list, of its own
// scores and of nobody whom today's run has scored meanwhile; after today's list it makes none.
func TestCatchingUp(t *testing.T) {
	for _, tc := range []struct {
		chunks int // of today's run, before yesterday's is finished
		listed bool
	}{{0, true}, {2, true}, {4, false}} {
		f := newFixture(t)
		f.now = noon.Add(11 * time.Hour)
		yesterday := f.start(today, false)
		must(t, f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, yesterday.ID, 0, 0, 0}))
		f.now = noon.Add(13 * time.Hour)
		now := f.start(today+1, false)
		for bucket := range tc.chunks {
			must(t, f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, now.ID, bucket, 0, 0}))
		}
		for bucket := range f.tenant.Buckets {
			must(t, f.runs.Work(t.Context(), ChunkRequest{f.tenant.ID, yesterday.ID, bucket, 0, 0}))
		}
		if s := f.finished(yesterday.ID).Summary; (s.NoList == "") != tc.listed {
			t.Errorf("%d chunks of today's: %+v", tc.chunks, s)
		}
		lists := actions.New(f.book, f.docs)
		l, err := lists.Newest(t.Context(), f.tenant.ID)
		must(t, err)
		items, _, err := lists.Items(t.Context(), f.tenant.ID, &l, "", 0, customers)
		must(t, err)
		if tc.listed != (l.Date == today) || len(items) == 0 {
			t.Errorf("%d chunks of today's: the latest list is of %v, %d items", tc.chunks, l.Date, len(items))
		}
		for _, it := range items {
			var s struct {
				AsOf portfolio.Date `json:"as_of"`
			}
			must(t, json.Unmarshal(it.Score, &s))
			if s.AsOf > l.Date {
				t.Errorf("%d chunks of today's: the list of %v shows a score of %v", tc.chunks, l.Date, s.AsOf)
			}
		}
		must(t, f.drain(t.Context()))
		if l, err = lists.Newest(t.Context(), f.tenant.ID); err != nil || l.Date != today+1 {
			t.Errorf("%v: today's list is of %v", err, l.Date)
		}
	}
}

// TestBeforeTheBook: of a date on which nobody had a policy there is no run.
func TestBeforeTheBook(t *testing.T) {
	f := newFixture(t)
	_, _, err := f.runs.Start(t.Context(), f.tenant, portfolio.MustDate(1900, 1, 1), nil, false)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "nobody had a policy") {
		t.Errorf("%v", err)
	}
	if _, _, err := f.runs.Start(t.Context(), f.tenant, today-390, nil, false); err != nil {
		t.Errorf("on the first day of the book: %v", err)
	}
	// Somebody waits for the answer: a large book is not read to its end.
	for most, kind := range map[int]bool{0: false, 1: true} {
		if err := f.runs.reaches(t.Context(), f.tenant, portfolio.MustDate(1900, 1, 1), most); fault.Is(err, fault.Invalid) != kind {
			t.Errorf("of %d relations: %v", most, err)
		}
	}
}
