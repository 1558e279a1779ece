package imports_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/enrichment"
	"polis/handler/internal/fault"
	. "polis/handler/internal/imports"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

var noon = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

// world is imports over real parts, a store that can be cut off and a bus that notes
// what is sent.
type world struct {
	*Imports
	book   *book.Book
	blobs  *clinging
	docs   *cut
	sent   []bus.Message
	deaf   bool // nothing can be sent
	tenant book.Tenant
	later  time.Duration // than noon
	lists  *actions.Lists
}

// cut is a store that dies after so many writes; below zero it lives.
type cut struct {
	store.Store
	left atomic.Int64
	away atomic.Bool // it answers nobody
	then func()      // called once, after a write
	in   atomic.Int64
}

func (c *cut) Get(ctx context.Context, p store.Partition, key string) (store.Document, error) {
	if c.away.Load() {
		return store.Document{}, fault.New(fault.Unavailable, "away")
	}
	return c.Store.Get(ctx, p, key)
}

func (c *cut) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if c.left.Load() == 0 {
		return fault.New(fault.Unavailable, "killed")
	}
	c.left.Add(-1)
	err := c.Store.Write(ctx, p, ops)
	if c.in.Add(-1) == 0 {
		c.then()
	}
	return err
}

// clinging is a blob store that deletes so many and then fails; below zero it goes on.
type clinging struct {
	blob.Store
	left  int
	lists func() // called once before a list, or
	opens func() // before a blob is opened
}

func once(call *func()) {
	if c := *call; c != nil {
		*call = nil
		c()
	}
}

func (c *clinging) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	once(&c.lists)
	return c.Store.List(ctx, prefix)
}

func (c *clinging) Open(ctx context.Context, name string) (io.ReadCloser, blob.Info, error) {
	once(&c.opens)
	return c.Store.Open(ctx, name)
}

func (c *clinging) Delete(ctx context.Context, name string) error {
	if c.left == 0 {
		return fault.New(fault.Unavailable, "killed")
	}
	c.left--
	return c.Store.Delete(ctx, name)
}

func (w *world) Send(_ context.Context, queue string, m ...bus.Message) error {
	if w.deaf {
		return fault.New(fault.Unavailable, "no bus")
	}
	if queue != Queue {
		return fault.New(fault.Internal, "sent to %s", queue)
	}
	w.sent = append(w.sent, m...)
	return nil
}

// erase erases a customer, as the API does.
func (w *world) erase(t *testing.T, customer string) {
	t.Helper()
	must(t, w.lists.Forget(t.Context(), "t", customer))
	_, err := w.book.Erase(t.Context(), w.tenant, customer)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.WithClock(func() time.Time { return noon }))
	must(t, err)
	t.Cleanup(func() { s.Close() })
	blobs, err := folder.Open(t.TempDir())
	must(t, err)
	t.Cleanup(func() { blobs.Close() })
	w := &world{blobs: &clinging{Store: blobs, left: -1}, docs: &cut{Store: s}, tenant: book.Tenant{ID: "t", Buckets: 4}}
	w.docs.left.Store(-1)
	w.book = book.New(w.docs)
	clock := func() time.Time { return noon.Add(w.later) }
	w.lists = actions.New(w.book, w.docs).WithClock(clock)
	w.Imports = New(w.book, w.docs, w.blobs, w, w.lists, clock)
	must(t, w.book.CreateTenant(t.Context(), w.tenant))
	return w
}

type part struct{ name, body string }

func upload(t *testing.T, parts ...part) *multipart.Reader {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		f, err := w.CreateFormField(p.name)
		must(t, err)
		_, err = io.WriteString(f, p.body)
		must(t, err)
	}
	must(t, w.Close())
	return multipart.NewReader(&b, w.Boundary())
}

var (
	customers = part{"customers", "customer_id,birth_year\nC1,1980\nC2,1990\nC3,2100\n"}
	policies  = part{"policies", "policy_id,customer_id,branch,start_date,annual_premium,status\nP1,C1,motor,2024-01-01,300,active\nP9,C9,motor,2024-01-01,300,active\n"}
)

// files are the names of the blobs that are there.
func (w *world) files(t *testing.T) (names []string) {
	t.Helper()
	for i, err := range w.blobs.List(t.Context(), "") {
		must(t, err)
		names = append(names, i.Name[strings.LastIndex(i.Name, "/")+1:])
	}
	return names
}

func TestAnImport(t *testing.T) {
	w := newWorld(t)
	i, err := w.Start(t.Context(), w.tenant, upload(t, part{"as_of", "2026-03-30"}, policies, customers))
	must(t, err)
	if i.Status != "waiting" || i.AsOf != portfolio.MustDate(2026, 3, 30) || !i.Created.Equal(noon) {
		t.Errorf("started: %+v", i)
	}
	var q Request
	must(t, json.Unmarshal(w.sent[0].Body, &q))
	if len(w.sent) != 1 || q != (Request{Tenant: "t", Import: i.ID}) || w.sent[0].ID != "t/"+i.ID {
		t.Errorf("asked for: %+v", w.sent)
	}
	if _, err := w.Report(t.Context(), "t", i.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a report of what was not done: %v", err)
	}
	must(t, w.Work(t.Context(), q))
	done, err := w.Get(t.Context(), "t", i.ID)
	must(t, err)
	if done.Status != "completed" || done.Summary.Customers.Created != 2 || done.Summary.Tables["policies"].Rejected != 1 {
		t.Errorf("done: %+v", done)
	}
	r, err := w.Report(t.Context(), "t", i.ID)
	must(t, err)
	report, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	for _, want := range []string{`"file":"customers","line":4,"column":"birth_year"`, `"file":"policies","line":3,"column":"customer_id"`} {
		if !strings.Contains(string(report), want) {
			t.Errorf("the report lacks %s:\n%s", want, report)
		}
	}
	// What was sent is personal data, and the book has it now.
	if got := w.files(t); !slices.Equal(got, []string{"report.ndjson"}) {
		t.Errorf("blobs left: %v", got)
	}
	// The message comes again: at least once is what a queue promises.
	w.docs.left.Store(0)
	must(t, w.Work(t.Context(), q))
}

// TestNothingOfTheFilesStays where the work was killed while it forgot them.
func TestNothingOfTheFilesStays(t *testing.T) {
	for n := range 2 {
		w := newWorld(t)
		i, err := w.Start(t.Context(), w.tenant, upload(t, customers, policies))
		must(t, err)
		w.blobs.left = n
		if err := w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("killed before delete %d: %v", n, err)
		}
		w.blobs.left = -1
		must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
		if got := w.files(t); !slices.Equal(got, []string{"report.ndjson"}) {
			t.Errorf("killed before delete %d: left are %v", n, got)
		}
	}
}

// TestNotToBeGuessed: what the caller says of the files goes over what they look like.
func TestNotToBeGuessed(t *testing.T) {
	w := newWorld(t)
	ambiguous := part{"policies", "policy_id;customer_id;branch;start_date;annual_premium;status\nP1;C1;motor;01-02-2024;1.234;active\n"}
	i, err := w.Start(t.Context(), w.tenant, upload(t, customers, ambiguous, part{"decimal", "comma"}, part{"dates", "dutch"}))
	must(t, err)
	must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
	r, err := w.book.Customer(t.Context(), w.tenant, "C1")
	must(t, err)
	if p := r.Aggregate.Policies[0]; p.AnnualPremium != 1_234_00 || p.StartDate != portfolio.MustDate(2024, 2, 1) {
		t.Errorf("%+v", p)
	}
	i, err = w.Start(t.Context(), w.tenant, upload(t, customers, ambiguous, part{"delimiter", ","}))
	must(t, err)
	must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
	if i, err = w.Get(t.Context(), "t", i.ID); err != nil || i.Status != "failed" || !strings.Contains(i.Detail, "policy_id") {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestKilledAnywhere kills the work before each of its writes: done again it ends as if
// nothing had happened.
func TestKilledAnywhere(t *testing.T) {
	for n := int64(0); ; n++ {
		w := newWorld(t)
		i, err := w.Start(t.Context(), w.tenant, upload(t, customers, policies))
		must(t, err)
		w.docs.left.Store(n)
		err = w.Work(t.Context(), Request{Tenant: "t", Import: i.ID})
		w.docs.left.Store(-1)
		if err != nil {
			if !fault.Is(err, fault.Unavailable) {
				t.Fatalf("killed before write %d: %v", n, err)
			}
			if i, err := w.Get(t.Context(), "t", i.ID); err != nil || i.Status != "waiting" {
				t.Errorf("killed before write %d: %+v, %v", n, i, err)
			}
			must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
		}
		done, gone := w.Get(t.Context(), "t", i.ID)
		must(t, gone)
		c := done.Summary.Customers
		if done.Status != "completed" || c.Created+c.Unchanged != 2 || !slices.Equal(w.files(t), []string{"report.ndjson"}) {
			t.Errorf("killed before write %d, then done again: %+v, %v", n, done, w.files(t))
		}
		for _, id := range []string{"C1", "C2"} {
			if _, err := w.book.Customer(t.Context(), w.tenant, id); err != nil {
				t.Errorf("killed before write %d: %s: %v", n, id, err)
			}
		}
		if err == nil {
			return
		}
	}
}

// TestTwoAtOnce: of two who do the same import, since one lost its lock, the second finds that it
// is done, wherever it is when the first records so and forgets the files.
func TestTwoAtOnce(t *testing.T) {
	for name, at := range map[string]func(*world, func()){
		"before it looks for files": func(w *world, other func()) { w.blobs.lists = other },
		"before it opens one":       func(w *world, other func()) { w.blobs.opens = other },
		"when it has read one":      func(w *world, other func()) { w.blobs.opens = func() { w.blobs.opens = other } },
	} {
		w := newWorld(t)
		i, err := w.Start(t.Context(), w.tenant, upload(t, customers, policies))
		must(t, err)
		at(w, func() { must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID})) })
		if err := w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		done, err := w.Get(t.Context(), "t", i.ID)
		must(t, err)
		if done.Status != "completed" || done.Summary.Customers.Created != 2 || !slices.Equal(w.files(t), []string{"report.ndjson"}) {
			t.Errorf("%s: %+v, %v", name, done, w.files(t))
		}
	}
}

// TestOvertaken: an import that comes late does not lie over one that was sent after it, and brings nobody back.
func TestOvertaken(t *testing.T) {
	w := newWorld(t)
	policies := func(premium string) part {
		return part{"policies", "policy_id,customer_id,branch,start_date,annual_premium,status\nP1,C1,motor,2024-01-01," + premium + ",active\n"}
	}
	first, err := w.Start(t.Context(), w.tenant, upload(t, policies("300"), customers))
	must(t, err)
	late := w.sent
	w.sent, w.later = nil, time.Minute
	_, err = w.Start(t.Context(), w.tenant, upload(t, policies("600"), customers))
	must(t, err)
	work := func(m bus.Message) {
		t.Helper()
		var q Request
		must(t, json.Unmarshal(m.Body, &q))
		must(t, w.Work(t.Context(), q))
	}
	w.later = time.Hour // its message is that late
	work(w.sent[0])
	w.erase(t, "C2")
	work(late[0])
	if i, err := w.Get(t.Context(), "t", first.ID); err != nil || i.Status != "failed" || !strings.Contains(i.Detail, "send these again") {
		t.Errorf("%+v, %v", i, err)
	}
	c, err := w.book.Customer(t.Context(), w.tenant, "C1")
	must(t, err)
	if len(c.Aggregate.Policies) != 1 || c.Aggregate.Policies[0].AnnualPremium != 60000 {
		t.Errorf("policies %+v", c.Aggregate.Policies)
	}
	if _, err := w.book.Customer(t.Context(), w.tenant, "C2"); !fault.Is(err, fault.NotFound) {
		t.Errorf("who was erased: %v", err)
	}
}

// TestInTurn: of imports as of one date each waits for those that were sent before it, for as long as they may be
// worked, so that a passing fault does not turn their order. Another date is another version, in any order.
func TestInTurn(t *testing.T) {
	for _, tc := range []struct {
		name, of string
		tried    bool          // the first was
		after    time.Duration // its last delivery comes the second's
		waits    bool
		first    string // what becomes of it afterwards
	}{
		{"of the same date", "2026-03-30", true, time.Minute, true, "completed"},
		{"of the same date, of one that takes long", "2026-03-30", true, 29 * time.Minute, true, "completed"},
		{"of the same date, of one that lies in the dead letters", "2026-03-30", true, time.Hour, false, "failed"},
		{"of the same date, whose message is on its way", "2026-03-30", false, time.Minute, true, "completed"},
		{"of the same date, whose message was never sent", "2026-03-30", false, time.Hour, false, "failed"},
		{"of another date", "2026-03-31", true, time.Minute, false, "completed"},
	} {
		w := newWorld(t)
		first, err := w.Start(t.Context(), w.tenant, upload(t, part{"as_of", "2026-03-30"}, customers))
		must(t, err)
		w.later = time.Second
		second, err := w.Start(t.Context(), w.tenant, upload(t, part{"as_of", tc.of}, part{"customers", "customer_id,birth_year\nD1,1980\n"}))
		must(t, err)
		if tc.tried {
			w.docs.left.Store(2) // it lands in part
			if err := w.Work(t.Context(), Request{Tenant: "t", Import: first.ID}); !fault.Is(err, fault.Unavailable) {
				t.Fatal(err)
			}
			w.docs.left.Store(-1)
		}
		w.later += tc.after
		w.sent = nil
		must(t, w.Work(t.Context(), Request{Tenant: "t", Import: second.ID}))
		now, err := w.Get(t.Context(), "t", second.ID)
		must(t, err)
		if waits := now.Status == "waiting"; waits != tc.waits || waits != (len(w.sent) == 1 && w.sent[0].Due.After(noon.Add(w.later)) && w.sent[0].ID != "t/"+second.ID) {
			t.Errorf("an import %s is %s, and sends %+v", tc.name, now.Status, w.sent)
		}
		must(t, w.Work(t.Context(), Request{Tenant: "t", Import: first.ID}))
		must(t, w.Work(t.Context(), Request{Tenant: "t", Import: second.ID}))
		for id, want := range map[string]string{first.ID: tc.first, second.ID: "completed"} {
			if i, err := w.Get(t.Context(), "t", id); err != nil || i.Status != want || want == "failed" && tc.tried != strings.Contains(i.Detail, "a part") {
				t.Errorf("an import %s: %+v, %v", tc.name, i, err)
			}
		}
	}
}

// TestNotAskedFor: an import whose work could not be asked for is in nobody's way: its sender sends it again.
func TestNotAskedFor(t *testing.T) {
	w := newWorld(t)
	w.deaf = true
	if _, err := w.Start(t.Context(), w.tenant, upload(t, customers)); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	w.deaf = false
	if all, err := w.List(t.Context(), "t"); err != nil || len(all) != 1 || all[0].Status != "failed" || len(w.files(t)) > 0 {
		t.Errorf("%+v, %v", all, err)
	}
	w.later = time.Second
	i, err := w.Start(t.Context(), w.tenant, upload(t, customers))
	must(t, err)
	must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
	if i, err = w.Get(t.Context(), "t", i.ID); err != nil || i.Status != "completed" {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestNeverBegun: an import whose message was never sent is sent for again, and given up when its message would
// have expired. One that was tried in vain lies in the dead letters, whatever it failed at, and a replay lands it.
func TestNeverBegun(t *testing.T) {
	w := newWorld(t)
	never, err := w.Start(t.Context(), w.tenant, upload(t, customers))
	must(t, err)
	w.later = time.Minute
	tried, err := w.Start(t.Context(), w.tenant, upload(t, customers))
	must(t, err)
	w.docs.away.Store(true)
	if err := w.Work(t.Context(), Request{Tenant: "t", Import: tried.ID}); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	w.docs.away.Store(false)
	for _, tc := range []struct {
		from, to time.Duration
		sent     int
	}{{-time.Hour, 0, 0}, {-time.Hour, time.Hour, 1}, {time.Second, time.Hour, 0}} {
		w.sent = nil
		must(t, w.Resend(t.Context(), "t", noon.Add(tc.from), noon.Add(tc.to)))
		if len(w.sent) != tc.sent || tc.sent > 0 && w.sent[0].ID != "t/"+never.ID {
			t.Errorf("sent again: %+v", w.sent)
		}
	}
	status := func(id string) string {
		t.Helper()
		i, err := w.Get(t.Context(), "t", id)
		must(t, err)
		return i.Status
	}
	written := time.Now().Add(time.Hour) // after all files
	must(t, w.Tidy(t.Context(), "t", written))
	if a, b := status(never.ID), status(tried.ID); a != "waiting" || b != "waiting" {
		t.Errorf("too early: %s, %s", a, b)
	}
	w.later = Patience + time.Hour
	w.blobs.left = 0
	if err := w.Tidy(t.Context(), "t", written); !fault.Is(err, fault.Unavailable) {
		t.Errorf("killed before its files were forgotten: %v", err)
	}
	w.blobs.left = -1
	must(t, w.Tidy(t.Context(), "t", written))
	if a, b := status(never.ID), status(tried.ID); a != "failed" || b != "waiting" {
		t.Errorf("given up: %s, %s", a, b)
	}
	must(t, w.Work(t.Context(), Request{Tenant: "t", Import: tried.ID}))
	if b := status(tried.ID); b != "completed" {
		t.Errorf("replayed: %s", b)
	}
	must(t, w.Tidy(t.Context(), "t", written))
	if got := w.files(t); !slices.Equal(got, []string{"report.ndjson"}) {
		t.Errorf("left are %v", got)
	}
}

// TestRefusedUploads leave no file, which no record would name; what a kill leaves of one goes at night.
func TestRefusedUploads(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Start(t.Context(), w.tenant, upload(t, customers, policies, part{"as_off", "2026-03-31"})); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	if got := w.files(t); len(got) > 0 {
		t.Errorf("left are %v", got)
	}
	w.blobs.left = 0
	if _, err := w.Start(t.Context(), w.tenant, upload(t, policies)); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	w.blobs.left = -1
	must(t, w.Tidy(t.Context(), "t", time.Now().Add(-time.Hour))) // one that is being sent
	if got := w.files(t); !slices.Equal(got, []string{"policies"}) {
		t.Errorf("too early: %v", got)
	}
	must(t, w.Tidy(t.Context(), "t", time.Now().Add(time.Hour)))
	if got := w.files(t); len(got) > 0 {
		t.Errorf("at night: %v", got)
	}
}

// during is a part of an upload at which something else happens.
type during struct {
	*multipart.Reader
	parts int
	call  func()
}

func (d *during) NextPart() (*multipart.Part, error) {
	if d.parts--; d.parts < 0 {
		once(&d.call)
	}
	return d.Reader.NextPart()
}

// TestErasedMeanwhile: who is erased while an import is being sent, or waits, or is worked, by one or by two, is not
// brought back by it, whatever it is killed at; an import that is sent afterwards may bring him.
func TestErasedMeanwhile(t *testing.T) {
	for name, tc := range map[string]func(t *testing.T, w *world, erase func()) Import{
		"while it is being sent": func(t *testing.T, w *world, erase func()) Import {
			i, err := w.Start(t.Context(), w.tenant, &during{upload(t, customers), 1, erase})
			must(t, err)
			return i
		},
		"while it waits": func(t *testing.T, w *world, erase func()) Import {
			i, err := w.Start(t.Context(), w.tenant, upload(t, customers))
			must(t, err)
			erase()
			return i
		},
		"while two work it": func(t *testing.T, w *world, erase func()) Import {
			i, err := w.Start(t.Context(), w.tenant, upload(t, customers))
			must(t, err)
			w.blobs.opens = func() {
				w.blobs.lists = func() {
					left := w.docs.left.Swap(-1) // the other is not killed
					erase()
					must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
					w.docs.left.Store(left)
				}
			}
			return i
		},
	} {
		w := newWorld(t)
		i, err := w.Start(t.Context(), w.tenant, upload(t, customers))
		must(t, err)
		must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
		there := func(id string) bool {
			t.Helper()
			_, ok, err := w.book.Place(t.Context(), w.tenant, id)
			must(t, err)
			return ok
		}
		w.later = time.Minute
		i = tc(t, w, func() { w.erase(t, "C1") })
		for writes := int64(0); ; writes++ {
			w.docs.left.Store(writes)
			err := w.Work(t.Context(), Request{Tenant: "t", Import: i.ID})
			w.docs.left.Store(-1)
			if err == nil {
				break
			}
		}
		if there("C1") || !there("C2") {
			t.Errorf("erased %s: C1 is there: %t, C2: %t", name, there("C1"), there("C2"))
		}
		w.later = time.Hour
		i, err = w.Start(t.Context(), w.tenant, upload(t, customers))
		must(t, err)
		must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
		if !there("C1") {
			t.Errorf("erased %s: an import that was sent afterwards does not bring him", name)
		}
	}
}

// TestErasedWhileItIsWritten: who is erased at any moment while an import writes him is in the book afterwards neither
// with a place nor without.
func TestErasedWhileItIsWritten(t *testing.T) {
	for writes := int64(1); ; writes++ {
		w := newWorld(t)
		i, err := w.Start(t.Context(), w.tenant, upload(t, policies, customers))
		must(t, err)
		w.later = time.Minute
		ended, erased := true, false
		w.docs.then = func() {
			ended = false
			if _, there, err := w.book.Place(t.Context(), w.tenant, "C1"); err == nil && there {
				w.erase(t, "C1")
				erased = true
			}
		}
		w.docs.in.Store(writes)
		must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
		left := func(when string) {
			t.Helper()
			for bucket := store.Shared + 1; bucket < w.tenant.Buckets; bucket++ {
				for d, err := range w.docs.Scan(t.Context(), store.Partition{Tenant: "t", Bucket: bucket}, "", "") {
					if must(t, err); erased && strings.Contains(d.Key+string(d.Body), "C1") {
						t.Errorf("erased after write %d, %s: %q is left", writes, when, d.Key)
					}
				}
			}
		}
		left("landed")
		if ended {
			if writes < 4 {
				t.Errorf("%d writes", writes)
			}
			return
		}
	}
}

// TestWhoComesBack: who was erased, and comes back by an import that was sent afterwards, is erased again by none that only
// waits, that comes again when it has landed, or that ends without having landed.
func TestWhoComesBack(t *testing.T) {
	w := newWorld(t)
	send := func(of string, after time.Duration) Request {
		t.Helper()
		w.later += after
		i, err := w.Start(t.Context(), w.tenant, upload(t, part{"as_of", of}, customers))
		must(t, err)
		return Request{Tenant: "t", Import: i.ID}
	}
	there := func(when string) {
		t.Helper()
		if _, ok, err := w.book.Place(t.Context(), w.tenant, "C1"); err != nil || !ok {
			t.Errorf("%s: %t, %v", when, ok, err)
		}
	}
	must(t, w.Work(t.Context(), send("2026-03-29", 0)))
	first := send("2026-03-30", time.Minute)
	waits := send("2026-03-30", time.Minute)
	must(t, w.Work(t.Context(), waits))
	w.later += time.Minute
	w.erase(t, "C1")
	back := send("2026-03-31", 2*time.Minute)
	w.blobs.left = 1 // killed when it has recorded that it landed
	if err := w.Work(t.Context(), back); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	w.blobs.left = -1
	there("landed")
	must(t, w.Work(t.Context(), back))
	there("when it came again")
	must(t, w.Work(t.Context(), waits))
	there("when another looked whether it is its turn")
	w.later += time.Hour
	must(t, w.Work(t.Context(), waits))
	must(t, w.Work(t.Context(), first))
	if i, err := w.Get(t.Context(), "t", first.Import); err != nil || i.Status != "failed" {
		t.Errorf("%+v, %v", i, err)
	}
	there("when others, from before, were worked, or came too late")
}

// TestErasedWhileOneIsKilled: whom an import wrote while he was erased, and then was killed when another had done it and
// forgotten its files, is erased again at night.
func TestErasedWhileOneIsKilled(t *testing.T) {
	w := newWorld(t)
	i, err := w.Start(t.Context(), w.tenant, upload(t, customers))
	must(t, err)
	must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
	c, err := w.book.Customer(t.Context(), w.tenant, "C1")
	must(t, err)
	_, err = w.blobs.Put(t.Context(), "imports/t/"+i.ID+"/loading-"+noon.Format("20060102T150405")+"-killed", strings.NewReader(""))
	must(t, err)
	w.later = time.Minute
	w.erase(t, "C1")
	must(t, w.book.Put(t.Context(), w.tenant, c.Aggregate, ""))
	for _, tc := range []struct {
		later time.Duration
		there bool
	}{{time.Minute, true}, {time.Hour, false}} {
		w.later = tc.later
		must(t, w.Tidy(t.Context(), "t", time.Now()))
		if _, ok, err := w.book.Place(t.Context(), w.tenant, "C1"); err != nil || ok != tc.there {
			t.Errorf("after %v: %t, %v", tc.later, ok, err)
		}
	}
	if got := w.files(t); !slices.Equal(got, []string{"report.ndjson"}) {
		t.Errorf("left are %v", got)
	}
}

// TestWrongFiles end as failed, once: another try would say the same.
func TestWrongFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		body, says string
	}{
		"a header mistake": {"customer,birth_year\nC1,1980\n", "customer_id"},
		"empty":            {"", "customers"},
		"no text":          {"\x00\x01\x02\x03", "customers"},
		"half a gzip file": {"\x1f\x8b\x08\x00", "customers"},
	} {
		w := newWorld(t)
		i, err := w.Start(t.Context(), w.tenant, upload(t, part{"customers", tc.body}))
		must(t, err)
		if err := w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if i, err = w.Get(t.Context(), "t", i.ID); err != nil || i.Status != "failed" || !strings.Contains(i.Detail, tc.says) || len(w.files(t)) > 0 {
			t.Errorf("%s: %+v, %v, %v", name, i, w.files(t), err)
		}
	}
}

// TestEnrichment: what was brought is kept with the policies; what is wrong with it fails
// the import before anything is written.
func TestEnrichment(t *testing.T) {
	w := newWorld(t)
	do := func(values string) Import {
		t.Helper()
		i, err := w.Start(t.Context(), w.tenant, upload(t, part{"enrichment", values}, customers, policies))
		must(t, err)
		must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
		i, err = w.Get(t.Context(), "t", i.ID)
		must(t, err)
		return i
	}
	for values, says := range map[string]string{
		"policy_id,value,source,date\nP1,much,a register,2025-06-30\n":   "enrichment line 2: value",
		"policy_id,value,source,date\nP1,400000,a register,2026-04-01\n": "enrichment line 2: date",
		"policy_id,value,source\nP1,400000,a register\n":                 "enrichment line 1: column date",
	} {
		if i := do(values); i.Status != "failed" || !strings.Contains(i.Detail, says) || len(w.files(t)) > 0 {
			t.Errorf("%+v, %v left, want %s", i, w.files(t), says)
		}
		if _, err := w.book.Customer(t.Context(), w.tenant, "C1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("something was written: %v", err)
		}
	}
	if i := do("policy_id;value;source;date\nP1;400000;a register;2025-06-30\n"); i.Status != "completed" || !slices.Equal(w.files(t), []string{"report.ndjson"}) {
		t.Errorf("%+v, %v left", i, w.files(t))
	}
	r, err := w.book.Customer(t.Context(), w.tenant, "C1")
	must(t, err)
	last := r.Aggregate.Policies[len(r.Aggregate.Policies)-1]
	if v, ok := enrichment.Of(&last); !ok || v.Amount != 400_000_00 || v.Source != "a register" {
		t.Errorf("kept is %+v", v)
	}
}

func TestWrongUploads(t *testing.T) {
	for name, tc := range map[string]struct {
		parts []part
		where string
	}{
		"nothing":               {nil, "/customers"},
		"no customers":          {[]part{policies}, "/customers"},
		"customers twice":       {[]part{customers, customers}, "/customers"},
		"enrichment twice":      {[]part{customers, {"enrichment", "x"}, {"enrichment", "x"}}, "/enrichment"},
		"another table":         {[]part{customers, {"cars", "x"}}, ""},
		"a name with slashes":   {[]part{customers, {"../customers", "x"}}, ""},
		"no date":               {[]part{{"as_of", "31 March"}, customers}, "/as_of"},
		"tomorrow":              {[]part{{"as_of", "2026-04-01"}, customers}, "/as_of"},
		"no delimiter":          {[]part{{"delimiter", "|"}, customers}, "/delimiter"},
		"no encoding":           {[]part{{"encoding", "ebcdic"}, customers}, "/encoding"},
		"no decimal sign":       {[]part{customers, {"decimal", "."}}, "/decimal"},
		"no way to write dates": {[]part{{"dates", "american"}, customers}, "/dates"},
		"a date without an end": {[]part{{"as_of", "2026-03-30" + strings.Repeat("0", 1<<16)}, customers}, "/as_of"},
	} {
		w := newWorld(t)
		_, err := w.Start(t.Context(), w.tenant, upload(t, tc.parts...))
		var f *fault.Error
		if !fault.Is(err, fault.Invalid) || !asFault(err, &f) || f.Fields[0].Pointer != tc.where {
			t.Errorf("%s: %v", name, err)
		}
		if all, err := w.List(t.Context(), "t"); err != nil || len(all) > 0 || len(w.sent) > 0 {
			t.Errorf("%s: %v is there, %v; %d messages", name, all, err, len(w.sent))
		}
	}
}

func asFault(err error, f **fault.Error) bool {
	e, ok := err.(*fault.Error)
	*f = e
	return ok
}

// TestAnUploadThatBreaksOff leaves no import.
func TestAnUploadThatBreaksOff(t *testing.T) {
	w := newWorld(t)
	whole := fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n--b--\r\n", customers.name, customers.body)
	for n := range len(whole) - len("\r\n--\r\n") {
		_, err := w.Start(t.Context(), w.tenant, multipart.NewReader(strings.NewReader(whole[:n]), "b"))
		if !fault.Is(err, fault.Malformed) && !fault.Is(err, fault.Invalid) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	if all, err := w.List(t.Context(), "t"); err != nil || len(all) > 0 || len(w.sent) > 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestListIsNewestFirst(t *testing.T) {
	w := newWorld(t)
	var want []string
	for k := range 3 {
		at := noon.Add(time.Duration(k) * time.Second)
		i, err := New(w.book, w.docs, w.blobs, w, w.lists, func() time.Time { return at }).Start(t.Context(), w.tenant, upload(t, customers))
		must(t, err)
		want = append([]string{i.ID}, want...)
	}
	all, err := w.List(t.Context(), "t")
	must(t, err)
	var got []string
	for _, i := range all {
		got = append(got, i.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := w.Get(t.Context(), "other", want[0]); !fault.Is(err, fault.NotFound) {
		t.Errorf("another tenant's import: %v", err)
	}
	if err := w.Work(t.Context(), Request{Tenant: "nobody", Import: want[0]}); !fault.Is(err, fault.NotFound) {
		t.Errorf("work for a tenant that is not there: %v", err)
	}
	if err := w.Work(t.Context(), Request{Tenant: "t", Import: "nothing"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("work that nobody asked for: %v", err)
	}
}

// TestNamesOfBranches: a table that is sent is kept; a wrong one fails the import.
func TestNamesOfBranches(t *testing.T) {
	w := newWorld(t)
	for table, status := range map[string]string{"name,branch\nmotor,life\n": "failed", "name,branch\nZorg Plus,life\n": "completed"} {
		i, err := w.Start(t.Context(), w.tenant, upload(t, part{"branches", table}, customers, policies))
		must(t, err)
		must(t, w.Work(t.Context(), Request{Tenant: "t", Import: i.ID}))
		if i, err = w.Get(t.Context(), "t", i.ID); err != nil || i.Status != status || status == "failed" && !strings.Contains(i.Detail, "branches line 2") {
			t.Errorf("%+v, %v", i, err)
		}
	}
	if tenant, err := w.book.Tenant(t.Context(), "t"); err != nil || tenant.Branches["zorg plus"] != "life" {
		t.Errorf("%+v, %v", tenant, err)
	}
}
