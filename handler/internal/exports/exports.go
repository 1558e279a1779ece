package exports

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"polis/handler/internal/blob"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// Queue is where work is asked for.
const Queue = "exports"

// Prefix is what the names of exports' blobs begin with.
const Prefix = "exports/"

// Keep is for how long an export is there: who is erased is in none after a month, which is what GDPR art. 12(3)
// gives to answer the request.
const Keep = 30 * 24 * time.Hour

// Export is an export that was asked for, and what came of it.
type Export struct {
	ID        string    `json:"export_id"`
	Status    string    `json:"status"` // waiting, completed
	Created   time.Time `json:"created_at"`
	Completed time.Time `json:"completed_at,omitzero"`
	Expires   time.Time `json:"expires_at"`
	Manifest  *Manifest `json:"manifest,omitempty"`
}

// Exports starts, works and shows exports.
type Exports struct {
	maker *Maker
	store store.Store
	blobs blob.Store
	bus   bus.Sender
	now   func() time.Time
	after After
}

// New is the exports that a maker makes.
func New(m *Maker, s store.Store, blobs blob.Store, sender bus.Sender, now func() time.Time) *Exports {
	if m == nil || s == nil || blobs == nil || sender == nil || now == nil {
		panic("exports: a dependency is missing")
	}
	return &Exports{maker: m, store: s, blobs: blobs, bus: sender, now: now}
}

const prefix = "export\x1f"

func key(id string) string { return prefix + id }

func partition(tenant string) store.Partition {
	return store.Partition{Tenant: tenant, Bucket: store.Shared}
}

func folder(tenant, id string) string { return Prefix + tenant + "/" + id + "/" }

// Request is the message that asks for the work.
type Request struct {
	Tenant string `json:"tenant"`
	Export string `json:"export_id"`
}

// Start asks for an export.
func (x *Exports) Start(ctx context.Context, t book.Tenant) (Export, error) {
	return x.ask(ctx, t.ID, x.now().UTC(), strings.ToLower(rand.Text()[:8]))
}

// ask records that an export waits, unless that is recorded already, and sends for the work.
func (x *Exports) ask(ctx context.Context, tenant string, at time.Time, mark string) (Export, error) {
	e := Export{ID: at.Format("20060102T150405") + "-" + mark, Status: "waiting", Created: at, Expires: at.Add(Keep)}
	if err := x.put(ctx, tenant, e, store.Create, ""); err != nil && !fault.Is(err, fault.Conflict) {
		return Export{}, err
	}
	return e, x.send(ctx, tenant, e.ID)
}

// send sends for the work.
func (x *Exports) send(ctx context.Context, tenant, id string) error {
	body, err := json.Marshal(Request{tenant, id})
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding an export's request")
	}
	return x.bus.Send(ctx, Queue, bus.Message{ID: tenant + "/export/" + id, Body: body, ContentType: "application/json", Subject: "export"})
}

// Resend sends again for the work of the tenant's exports that were created in a span of time and never begun: a
// kill after one was recorded and before its message was sent would leave it waiting for ever. One that was begun
// has a file: it is being made, or was given up and lies in the dead letters.
func (x *Exports) Resend(ctx context.Context, tenant string, from, to time.Time) error {
	all, err := x.List(ctx, tenant)
	if err != nil {
		return err
	}
	var failed error
	for _, e := range all {
		if e.Status != "waiting" || e.Created.Before(from) || !e.Created.Before(to) {
			continue
		}
		begun, err := x.begun(ctx, folder(tenant, e.ID))
		if err == nil && !begun {
			err = x.send(ctx, tenant, e.ID)
		}
		if err != nil { // the others go on
			failed = errors.Join(failed, fmt.Errorf("sending again for an export: %w", err))
		}
	}
	return failed
}

// begun reports whether there is a file in a folder.
func (x *Exports) begun(ctx context.Context, folder string) (bool, error) {
	for _, err := range x.blobs.List(ctx, folder) {
		return err == nil, err
	}
	return false, nil
}

func (x *Exports) put(ctx context.Context, tenant string, e Export, verb store.Verb, etag string) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding an export")
	}
	return x.store.Write(ctx, partition(tenant), []store.Op{{Verb: verb, Document: store.Document{Key: key(e.ID), Body: body, ETag: etag, Expires: e.Expires}}})
}

// Get finds an export.
func (x *Exports) Get(ctx context.Context, tenant, id string) (Export, error) {
	e, _, err := x.get(ctx, tenant, id)
	return e, err
}

func (x *Exports) get(ctx context.Context, tenant, id string) (Export, string, error) {
	d, err := x.store.Get(ctx, partition(tenant), key(id))
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return Export{}, "", fault.New(fault.NotFound, "no such export")
	}
	if err != nil {
		return Export{}, "", err
	}
	e, err := read(d)
	return e, d.ETag, err
}

func read(d store.Document) (Export, error) {
	var e Export
	if err := json.Unmarshal(d.Body, &e); err != nil {
		return e, fault.Wrap(fault.Internal, err, "decoding an export")
	}
	return e, nil
}

// List lists the exports that have not expired, newest first.
func (x *Exports) List(ctx context.Context, tenant string) ([]Export, error) {
	var out []Export
	for d, err := range x.store.Scan(ctx, partition(tenant), prefix, "") {
		if err != nil {
			return nil, err
		}
		e, err := read(d)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	slices.Reverse(out)
	return out, nil
}

// Open reads a file of an export.
func (x *Exports) Open(ctx context.Context, tenant, id, name string) (io.ReadCloser, File, error) {
	e, err := x.Get(ctx, tenant, id)
	if err != nil {
		return nil, File{}, err
	}
	if e.Manifest != nil {
		for _, f := range e.Manifest.Files {
			if f.Name == name {
				r, _, err := x.blobs.Open(ctx, folder(tenant, id)+e.Manifest.Folder+name)
				return r, f, err
			}
		}
	}
	return nil, File{}, fault.New(fault.NotFound, "the export has no such file")
}

// Delete removes an export: its record first, so that nobody reads half of it and work that is under way finds
// that it is not wanted.
func (x *Exports) Delete(ctx context.Context, tenant, id string) error {
	if _, err := x.Get(ctx, tenant, id); err != nil {
		return err
	}
	if err := x.store.Write(ctx, partition(tenant), []store.Op{{Verb: store.Delete, Document: store.Document{Key: key(id)}}}); err != nil {
		return err
	}
	return x.clear(ctx, folder(tenant, id), func(blob.Info) bool { return true })
}

// clear deletes those blobs of a folder that are not wanted.
func (x *Exports) clear(ctx context.Context, folder string, unwanted func(blob.Info) bool) error {
	for info, err := range x.blobs.List(ctx, folder) {
		if err == nil && unwanted(info) {
			err = x.blobs.Delete(ctx, info.Name)
		}
		if err != nil {
			return fmt.Errorf("clearing away exports: %w", err)
		}
	}
	return nil
}

// Work makes an export that waits. Each attempt writes to a folder of its own, and the one that creates the manifest
// is the export: what others wrote, killed or slower, goes. One that was deleted meanwhile leaves nothing.
func (x *Exports) Work(ctx context.Context, q Request) error {
	t, err := x.maker.book.Tenant(ctx, q.Tenant)
	if err != nil {
		return err
	}
	e, etag, err := x.get(ctx, t.ID, q.Export)
	if fault.Is(err, fault.NotFound) {
		// It was deleted, or it expired: a message is no reason to make it again.
		return x.clear(ctx, folder(t.ID, q.Export), func(blob.Info) bool { return true })
	}
	if err != nil {
		return err
	}
	if e.Manifest == nil {
		if e.Manifest, err = x.make(ctx, t, e.ID); err != nil {
			return err
		}
		e.Status, e.Completed = "completed", x.now().UTC()
		err := x.put(ctx, t.ID, e, store.Replace, etag)
		if fault.Is(err, fault.Conflict) { // recorded by another, or deleted: find out
			return x.Work(ctx, q)
		}
		if err != nil {
			return err
		}
	}
	return x.tidy(ctx, t.ID, e)
}

// make is the export's manifest: that which is there, or that of the files that it makes.
func (x *Exports) make(ctx context.Context, t book.Tenant, id string) (*Manifest, error) {
	at := folder(t.ID, id)
	m, err := x.manifest(ctx, at)
	if !fault.Is(err, fault.NotFound) {
		return m, err
	}
	attempt := strings.ToLower(rand.Text()[:8]) + "/"
	if m, err = x.maker.Make(ctx, t, x.blobs, at+attempt, nil); err != nil {
		return nil, err
	}
	m.Folder = attempt
	err = m.Save(ctx, x.blobs, at)
	if fault.Is(err, fault.Conflict) {
		return x.manifest(ctx, at)
	}
	return m, err
}

func (x *Exports) manifest(ctx context.Context, at string) (*Manifest, error) {
	r, _, err := x.blobs.Open(ctx, at+ManifestName)
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read
	m := new(Manifest)
	return m, fault.Wrap(fault.Internal, json.NewDecoder(r).Decode(m), "reading an export's manifest")
}

// tidy deletes what other attempts have written of an export.
func (x *Exports) tidy(ctx context.Context, tenant string, e Export) error {
	at := folder(tenant, e.ID)
	return x.clear(ctx, at, func(b blob.Info) bool { return !e.has(strings.TrimPrefix(b.Name, at)) })
}

// has reports whether a file below an export's folder is one of its own.
func (e *Export) has(name string) bool {
	return e.Manifest == nil || name == ManifestName || strings.HasPrefix(name, e.Manifest.Folder)
}

// Tidy deletes files of before then that are of no export: what an attempt wrote that lost its lock and was killed
// when another had made the export and tidied up, and what is left of exports that are no more. In Azure a rule of
// the storage account does so too, after Keep.
func (x *Exports) Tidy(ctx context.Context, tenant string, then time.Time) error {
	all, err := x.List(ctx, tenant)
	if err != nil {
		return err
	}
	of := map[string]*Export{}
	for i := range all {
		of[all[i].ID] = &all[i]
	}
	return x.clear(ctx, Prefix+tenant+"/", func(b blob.Info) bool {
		id, name, _ := strings.Cut(strings.TrimPrefix(b.Name, Prefix+tenant+"/"), "/")
		e := of[id]
		return b.Modified.Before(then) && (e == nil || !e.has(name))
	})
}
