// Package imports takes files in: what is sent is kept as blobs, a message asks for the
// work, and the work is done by whoever gets the message, as often as it takes.
package imports

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"os"
	"slices"
	"strings"
	"time"

	"polis/handler/internal/blob"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/enrichment"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake"
	"polis/handler/internal/intake/tabular"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
)

// Queue is where work is asked for.
const Queue = "imports"

// Keep is for how long an import and its report can be looked at.
const Keep = 90 * 24 * time.Hour

// Import is an import and what came of it.
type Import struct {
	ID     string         `json:"import_id"`
	Status string         `json:"status"` // waiting, completed, failed
	AsOf   portfolio.Date `json:"as_of"`
	// Written is how the files are written where that is not to be guessed.
	Written   intake.Detected `json:"written,omitzero"`
	Created   time.Time       `json:"created_at"`
	Completed time.Time       `json:"completed_at,omitzero"`
	Detail    string          `json:"detail,omitempty"` // why it failed, or what else is to be known of it
	Summary   *intake.Summary `json:"summary,omitempty"`
}

// idTime is how an import's id begins: when its files began to be sent.
const idTime = "20060102T150405"

func (i Import) began() time.Time {
	at, err := time.Parse(idTime, i.ID[:min(len(i.ID), len(idTime))])
	if err != nil {
		return i.Created.Add(-time.Hour) // not an id of ours; no upload takes an hour
	}
	return at
}

// Upload yields the parts of a request, one after the other: *multipart.Reader.
type Upload interface {
	NextPart() (*multipart.Part, error)
}

// Imports takes in, works and shows imports.
type Imports struct {
	book  *book.Book
	store store.Store
	blobs blob.Store
	bus   bus.Sender
	lists Lists
	now   func() time.Time
}

// New is the imports into a book.
func New(b *book.Book, s store.Store, blobs blob.Store, sender bus.Sender, l Lists, now func() time.Time) *Imports {
	if b == nil || s == nil || blobs == nil || sender == nil || l == nil || now == nil {
		panic("imports: a dependency is missing")
	}
	return &Imports{b, s, blobs, sender, l, now}
}

func key(id string) string { return "import\x1f" + id }

func partition(tenant string) store.Partition {
	return store.Partition{Tenant: tenant, Bucket: store.Shared}
}

func folder(tenant, id string) string { return prefix + tenant + "/" + id + "/" }

// prefix is what the names of imports' files begin with.
const prefix = "imports/"

// report is the file with an import's findings.
const report = "report.ndjson"

// Request is the message that asks for the work.
type Request struct {
	Tenant string `json:"tenant"`
	Import string `json:"import_id"`
}

// Start keeps what is sent and asks for the work. Nothing stays of an upload that broke off or is refused.
func (m *Imports) Start(ctx context.Context, t book.Tenant, u Upload) (Import, error) {
	i, err := m.keep(ctx, t, u)
	if err != nil {
		// Its caller may be gone. What cannot be deleted now is by the night: see Tidy.
		lost, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer stop()
		if left := m.forget(lost, t.ID, i.ID); left != nil {
			err = errors.Join(err, left)
		}
		return Import{}, err
	}
	i.Created = m.now().UTC() // which of two was sent later goes by when it was here
	if err := m.put(ctx, t.ID, i, store.Create, ""); err != nil {
		return Import{}, err
	}
	if err := m.ask(ctx, t.ID, i.ID, time.Time{}); err != nil {
		// Who is told so sends it again. What cannot be recorded now is by the night.
		lost, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer stop()
		if left := m.fail(lost, t.ID, i.ID, "its work could not be asked for: send the files again"); left != nil {
			err = errors.Join(err, left)
		}
		return Import{}, err
	}
	return i, nil
}

// keep keeps what is sent.
func (m *Imports) keep(ctx context.Context, t book.Tenant, u Upload) (Import, error) {
	now := m.now().UTC()
	i := Import{ID: now.Format(idTime) + "-" + strings.ToLower(rand.Text()[:8]), Status: "waiting", AsOf: portfolio.DateOf(now), Created: now}
	seen := map[string]bool{}
	for {
		p, err := u.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return i, fault.Wrap(fault.Malformed, err, "reading the upload")
		}
		if err := m.part(ctx, t, &i, p, seen); err != nil {
			return i, err
		}
	}
	if !seen["customers"] {
		return i, invalid("/customers", "is required")
	}
	return i, nil
}

func invalid(pointer, detail string) error {
	return &fault.Error{Kind: fault.Invalid, Detail: "the upload breaks a rule", Fields: []fault.Field{{Pointer: pointer, Detail: detail}}}
}

func (m *Imports) part(ctx context.Context, t book.Tenant, i *Import, p *multipart.Part, seen map[string]bool) error {
	name := p.FormName()
	set := map[string]func(string) bool{
		"as_of": func(v string) (ok bool) {
			i.AsOf, ok = portfolio.ParseDate(strings.TrimSpace(v))
			return ok && i.AsOf <= portfolio.DateOf(m.now())
		},
		"delimiter": func(v string) bool { i.Written.Delimiter = v; return i.Written.Check() == nil },
		"encoding":  func(v string) bool { i.Written.Encoding = tabular.Encoding(v); return i.Written.Check() == nil },
		"decimal":   func(v string) bool { i.Written.Decimal = intake.Decimal(v); return i.Written.Check() == nil },
		"dates":     func(v string) bool { i.Written.Dates = intake.Dates(v); return i.Written.Check() == nil },
	}[name]
	if set != nil {
		body, err := io.ReadAll(io.LimitReader(p, 32))
		if err != nil {
			return fault.Wrap(fault.Malformed, err, "reading the upload")
		}
		if !set(string(body)) {
			return invalid("/"+name, settings[name])
		}
		return nil
	}
	if !slices.Contains(files, name) {
		return invalid("", "has a part that is none of "+strings.Join(files, ", ")+", as_of, delimiter, encoding, decimal, dates")
	}
	if seen[name] {
		return invalid("/"+name, "is there twice")
	}
	seen[name] = true
	if _, err := m.blobs.Put(ctx, folder(t.ID, i.ID)+name, sent{p}); err != nil {
		return fmt.Errorf("keeping a part of the upload: %w", err)
	}
	return nil
}

// brought is the part that holds what was brought of policies from outside the
// administration: see package enrichment.
const brought = "enrichment"

// named is the part with the tenant's own names of branches, which are kept for later imports.
const named = "branches"

// files are the parts of an upload that are files: the tables, what was brought, and names of branches.
var files = func() (out []string) {
	for _, t := range portfolio.Tables {
		out = append(out, t.String())
	}
	return append(out, brought, named)
}()

// settings are the parts of an upload that are no files, and what they must be.
var settings = map[string]string{
	"as_of":     "is a date such as 2026-03-31, not after today",
	"delimiter": "is a comma, a semicolon or a tab",
	"encoding":  "is utf-8 or windows-1252",
	"decimal":   "is point or comma",
	"dates":     "is iso or dutch",
}

// sent is what a caller sends: where it breaks off the fault is the caller's.
type sent struct{ r io.Reader }

func (s sent) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fault.Wrap(fault.Malformed, err, "the upload broke off")
	}
	return n, err
}

func (m *Imports) put(ctx context.Context, tenant string, i Import, verb store.Verb, etag string) error {
	body, err := json.Marshal(i)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding an import")
	}
	return m.store.Write(ctx, partition(tenant), []store.Op{{Verb: verb, Document: store.Document{Key: key(i.ID), Body: body, ETag: etag, Expires: i.Created.Add(Keep)}}})
}

// ask sends for the work, at once or for later.
func (m *Imports) ask(ctx context.Context, tenant, id string, due time.Time) error {
	body, err := json.Marshal(Request{Tenant: tenant, Import: id})
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding an import's request")
	}
	message := bus.Message{ID: tenant + "/" + id, Body: body, ContentType: "application/json", Subject: "import", Due: due}
	if !due.IsZero() {
		message.ID += due.UTC().Format("/20060102T150405")
	}
	return m.bus.Send(ctx, Queue, message)
}

// begun is the name of a file with the time at which an import's message came last.
const begun = "begun"

// wasBegun is when an import's message came last; zero where it never did.
func (m *Imports) wasBegun(ctx context.Context, tenant, id string) (time.Time, error) {
	r, info, err := m.blobs.Open(ctx, folder(tenant, id)+begun)
	if fault.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return time.Time{}, fault.Wrap(fault.Unavailable, err, "reading when an import was begun")
	}
	var at time.Time
	if err := at.UnmarshalText(text); err != nil {
		return info.Modified, nil // by another clock, but about then
	}
	return at, nil
}

// begin notes that an import's message has come, and returns when it came before.
func (m *Imports) begin(ctx context.Context, tenant, id string) (time.Time, error) {
	before, err := m.wasBegun(ctx, tenant, id)
	if err != nil {
		return before, err
	}
	now, err := m.now().UTC().MarshalText()
	if err != nil {
		return before, fault.Wrap(fault.Internal, err, "noting that an import is begun")
	}
	_, err = m.blobs.Put(ctx, folder(tenant, id)+begun, bytes.NewReader(now))
	return before, err
}

// Resend sends again for the tenant's imports that were sent in a span of time and never began: a kill after one
// was recorded and before its message was sent would leave it waiting for ever. One that was begun is being worked,
// or lies in the dead letters, from where it can be replayed.
func (m *Imports) Resend(ctx context.Context, tenant string, from, to time.Time) error {
	all, err := m.List(ctx, tenant)
	if err != nil {
		return err
	}
	var failed error
	for _, i := range all {
		if i.Status != "waiting" || i.Created.Before(from) || !i.Created.Before(to) {
			continue
		}
		came, err := m.wasBegun(ctx, tenant, i.ID)
		if err == nil && came.IsZero() {
			err = m.ask(ctx, tenant, i.ID, time.Time{})
		}
		if err != nil { // the others go on
			failed = errors.Join(failed, fmt.Errorf("sending again for an import: %w", err))
		}
	}
	return failed
}

// Patience is how long an import waits: as long as the queue keeps its message (estate.json, timeToLive). Nobody
// sends for it any more then, but who replays it from the dead letters.
const Patience = 14 * 24 * time.Hour

// Tidy records as failed those of the tenant's imports that were never begun in all of Patience, erases again who was
// erased while one was loaded by somebody who was killed, and deletes files of before then that no import needs any
// more: those of uploads that a kill cut off, of imports that have ended, and of some whose record has expired.
func (m *Imports) Tidy(ctx context.Context, tenant string, then time.Time) error {
	t, err := m.book.Tenant(ctx, tenant)
	if err != nil {
		return err
	}
	all, err := m.List(ctx, tenant)
	if err != nil {
		return err
	}
	status := map[string]string{}
	var failed error
	for _, i := range all {
		status[i.ID] = i.Status
		if i.Status != "waiting" || !i.Created.Before(m.now().Add(-Patience)) {
			continue
		}
		came, err := m.wasBegun(ctx, tenant, i.ID)
		if err == nil && came.IsZero() {
			err = m.fail(ctx, tenant, i.ID, "it was not begun in time: send the files again, if they still hold")
		}
		if err != nil { // the others go on
			failed = errors.Join(failed, fmt.Errorf("tidying up after an import: %w", err))
		}
	}
	return errors.Join(failed, m.sweep(ctx, t, then, status))
}

// sweep deletes the files of before then that no import needs, and looks after who was killed while he loaded one.
func (m *Imports) sweep(ctx context.Context, t book.Tenant, then time.Time, status map[string]string) error {
	all := prefix + t.ID + "/"
	for info, err := range m.blobs.List(ctx, all) {
		if err != nil {
			return fmt.Errorf("looking for files of imports: %w", err)
		}
		id, name, _ := strings.Cut(strings.TrimPrefix(info.Name, all), "/")
		s, known := status[id]
		if l, ok := loadOf(info); ok && known {
			if !l.at.After(m.now().Add(-worked)) {
				err = m.eraseAgain(ctx, t, l)
			}
		} else if info.Modified.Before(then) && !(known && (s == "waiting" || name == report)) {
			err = m.blobs.Delete(ctx, info.Name)
		}
		if err != nil {
			return fmt.Errorf("tidying up files of imports: %w", err)
		}
	}
	return nil
}

// fail records an import that waits as failed, and forgets its files.
func (m *Imports) fail(ctx context.Context, tenant, id, why string) error {
	i, etag, err := m.get(ctx, tenant, id)
	if err != nil {
		return err
	}
	if i.Status == "waiting" {
		i.Status, i.Detail, i.Completed = "failed", why, m.now().UTC()
		if err := m.put(ctx, tenant, i, store.Replace, etag); fault.Is(err, fault.Conflict) {
			return m.fail(ctx, tenant, id, why) // recorded by another
		} else if err != nil {
			return err
		}
	}
	return m.forget(ctx, tenant, id)
}

// How long an import waits for one that was sent before it. Both are our choice: for one whose message has come,
// longer than a function may run (host.json, functionTimeout), after which it is killed or lies in the dead letters;
// for one whose message has not come yet, as long as a queue may be behind.
const (
	worked = 45 * time.Minute
	queued = 10 * time.Minute
	again  = time.Minute // and then it looks again
)

// turn says where an import stands among those that are as of the same date, of whose rows the later written are the
// later version, whoever wrote them: whether one that was sent before it is still to land, and whether one that was
// sent after it has landed. Those of other dates are in its way in no order: their versions are told apart by date.
func (m *Imports) turn(ctx context.Context, tenant string, i Import) (early, late bool, err error) {
	all, err := m.List(ctx, tenant)
	if err != nil {
		return false, false, err
	}
	for _, o := range all {
		if o.ID == i.ID || o.AsOf != i.AsOf {
			continue
		}
		late = late || o.Status == "completed" && o.Created.After(i.Created)
		if early || o.Status != "waiting" || !o.Created.Before(i.Created) {
			continue
		}
		came, err := m.wasBegun(ctx, tenant, o.ID)
		if err != nil {
			return false, false, err
		}
		early = m.now().Before(o.Created.Add(queued)) || m.now().Before(came.Add(worked))
	}
	return early, late, nil
}

// late reports whether an import as of the same date that was sent later has landed, or is being loaded.
func (m *Imports) late(ctx context.Context, tenant string, i Import) (bool, error) {
	all, err := m.List(ctx, tenant)
	if err != nil {
		return false, err
	}
	for _, o := range all {
		if o.AsOf != i.AsOf || !o.Created.After(i.Created) || o.Status == "failed" {
			continue
		}
		if o.Status == "completed" {
			return true, nil
		}
		if loads, err := m.loads(ctx, tenant, o.ID); err != nil || len(loads) > 0 {
			return true, err
		}
	}
	return false, nil
}

// Get finds an import.
func (m *Imports) Get(ctx context.Context, tenant, id string) (Import, error) {
	i, _, err := m.get(ctx, tenant, id)
	return i, err
}

func (m *Imports) get(ctx context.Context, tenant, id string) (Import, string, error) {
	d, err := m.store.Get(ctx, partition(tenant), key(id))
	if fault.Is(err, fault.NotFound) {
		return Import{}, "", fault.New(fault.NotFound, "no such import")
	}
	if err != nil {
		return Import{}, "", err
	}
	i, err := read(d)
	return i, d.ETag, err
}

func read(d store.Document) (Import, error) {
	var i Import
	if err := json.Unmarshal(d.Body, &i); err != nil {
		return i, fault.Wrap(fault.Internal, err, "decoding an import")
	}
	return i, nil
}

// List lists the imports, newest first.
func (m *Imports) List(ctx context.Context, tenant string) ([]Import, error) {
	var out []Import
	for d, err := range m.store.Scan(ctx, partition(tenant), key(""), "") {
		if err != nil {
			return nil, err
		}
		i, err := read(d)
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	slices.Reverse(out)
	return out, nil
}

// Report is the import's findings, a JSON object a line.
func (m *Imports) Report(ctx context.Context, tenant, id string) (io.ReadCloser, error) {
	i, err := m.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	r, _, err := m.blobs.Open(ctx, folder(tenant, i.ID)+report)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "the import has no report yet")
	}
	return r, err
}

// Work does an import that waits, and forgets its files: what they say is in the book.
// Repeated after a kill it begins anew, and what had landed costs no write. Where two are at
// it, since one lost its lock, what the first of them records stands. One that is not its turn yet
// sends for itself again, for later.
func (m *Imports) Work(ctx context.Context, q Request) error {
	// Before anything else that may fail: what was tried in vain is not taken for what was never sent.
	before, err := m.begin(ctx, q.Tenant, q.Import)
	if err != nil {
		return fmt.Errorf("beginning an import: %w", err)
	}
	t, err := m.book.Tenant(ctx, q.Tenant)
	if err != nil {
		return err
	}
	i, etag, err := m.get(ctx, t.ID, q.Import)
	if err != nil {
		return err
	}
	if i.Status != "waiting" {
		return m.forget(ctx, t.ID, i.ID) // killed before all were forgotten
	}
	early, late, err := m.turn(ctx, t.ID, i)
	switch {
	case err != nil:
		return err
	case late: // it must not lie over what is newer
		why := "files that were sent later have landed already: send these again, if they still hold"
		if !before.IsZero() {
			why += "; a part of them may have landed"
		}
		return m.fail(ctx, t.ID, i.ID, why)
	case early:
		return m.ask(ctx, t.ID, i.ID, m.now().Add(again))
	}
	if err := m.eraseAfter(ctx, t, i.ID, m.now()); err != nil { // who loaded it before was killed, or is slow and looks himself
		return err
	}
	sum, err := m.load(ctx, t, i)
	switch {
	case fault.Is(err, fault.NotFound): // another has recorded it, and is forgetting the files
		now, lost := m.Get(ctx, t.ID, i.ID)
		if lost != nil {
			return lost
		}
		if now.Status == "waiting" {
			return err
		}
		return m.forget(ctx, t.ID, i.ID)
	case err == nil:
		i.Status, i.Summary = "completed", &sum
		if late, err := m.late(ctx, t.ID, i); err != nil {
			return err
		} else if late { // replayed while the other was being worked
			i.Detail = "files as of the same date that were sent later landed before these were done: of rows that both have, the later may be the older; send the later files again"
		}
	case fault.Is(err, fault.Malformed), fault.Is(err, fault.Invalid), fault.Is(err, fault.TooLarge):
		// The files are wrong and will be the next time: that is the outcome.
		i.Status, i.Detail = "failed", detail(err)
	default:
		return err
	}
	i.Completed = m.now().UTC()
	err = m.put(ctx, t.ID, i, store.Replace, etag)
	if fault.Is(err, fault.Conflict) { // recorded by another
		return m.Work(ctx, q)
	}
	if err != nil {
		return err
	}
	return m.forget(ctx, t.ID, i.ID)
}

// forget deletes an import's files.
func (m *Imports) forget(ctx context.Context, tenant, id string) error {
	for _, file := range append(slices.Clone(files), begun) {
		if err := m.blobs.Delete(ctx, folder(tenant, id)+file); err != nil {
			return err
		}
	}
	return nil
}

func detail(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Detail
	}
	return "the files could not be read"
}

func (m *Imports) load(ctx context.Context, t book.Tenant, i Import) (_ intake.Summary, err error) {
	scratch, err := os.MkdirTemp("", "polis-import-")
	if err != nil {
		return intake.Summary{}, fault.Wrap(fault.Unavailable, err, "making a scratch folder")
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	tables, written := map[portfolio.Table]intake.Source{}, map[portfolio.Table]intake.Detected{}
	var values *enrichment.Table
	for info, err := range m.blobs.List(ctx, folder(t.ID, i.ID)) {
		if err != nil {
			return intake.Summary{}, err
		}
		if info.Name == folder(t.ID, i.ID)+brought {
			if values, err = m.enrichment(ctx, info.Name, i.AsOf); err != nil {
				return intake.Summary{}, err
			}
		}
		if info.Name == folder(t.ID, i.ID)+named {
			if err := m.names(ctx, t, info.Name); err != nil {
				return intake.Summary{}, err
			}
		}
		for _, table := range portfolio.Tables {
			if info.Name == folder(t.ID, i.ID)+table.String() {
				written[table] = i.Written
				tables[table] = intake.Source{Name: table.String(), Size: info.Size, Open: func() (io.ReadCloser, error) {
					r, _, err := m.blobs.Open(ctx, info.Name)
					return r, err
				}}
			}
		}
	}
	var findings bytes.Buffer
	mine, err := m.startLoading(ctx, t.ID, i.ID)
	if err != nil {
		return intake.Summary{}, err
	}
	sum, err := intake.Import(ctx, m.book, intake.Options{
		Erased: func(ctx context.Context) (map[string][]string, error) {
			return m.lists.Erased(ctx, t.ID, i.began(), time.Time{})
		},
		Tenant: t.ID, AsOf: i.AsOf, Files: tables, Enrichment: values, Overrides: written, Scratch: scratch, Report: &capped{b: &findings},
	})
	if erased := m.eraseAgain(context.WithoutCancel(ctx), t, mine); erased != nil {
		return sum, errors.Join(erased, err) // tried again, whatever came of the rest
	}
	if err != nil {
		return sum, err
	}
	_, err = m.blobs.Put(ctx, folder(t.ID, i.ID)+report, &findings)
	return sum, err
}

// enrichment reads what was brought, which is as of the import's date at the latest.
func (m *Imports) enrichment(ctx context.Context, name string, asOf portfolio.Date) (*enrichment.Table, error) {
	r, _, err := m.blobs.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	values, err := enrichment.Read(brought, r, asOf)
	return values, errors.Join(err, r.Close())
}

// names makes the table of branches' names that was sent the tenant's.
func (m *Imports) names(ctx context.Context, t book.Tenant, name string) error {
	r, _, err := m.blobs.Open(ctx, name)
	if err != nil {
		return err
	}
	names, err := portfolio.ReadBranchNames(named, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	return m.book.NameBranches(ctx, t.ID, names)
}

// capped keeps the first bytes of a report: one that long has told its story.
type capped struct{ b *bytes.Buffer }

const maxReport = 16 << 20

func (c *capped) Write(p []byte) (int, error) {
	if c.b.Len()+len(p) <= maxReport {
		c.b.Write(p)
	}
	return len(p), nil
}
