// Package exports writes a tenant's scores, action list and tables as Parquet, for those who analyse them
// elsewhere; docs/exports.md has the columns. What leaves the book is what it holds and what engines said: no free text, no
// names of staff, and no attribute of a policy that training refuses.
//
// Tables are written one row group at a time to scratch files, and sent one after the other, so that neither memory
// nor disk grows with the book. An export is whole once its manifest is there, which is created once.
package exports

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob"
	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
)

// Runs finds runs.
type Runs interface {
	List(ctx context.Context, tenant, before string, max int) ([]run.Progress, error)
}

// Models finds published models.
type Models interface {
	Current(ctx context.Context, tenant string) (*scoring.Models, error)
	Version(ctx context.Context, tenant, version string) (*scoring.Models, error)
}

// Lists reads action lists.
type Lists interface {
	Newest(ctx context.Context, tenant string) (actions.Head, error)
	Items(ctx context.Context, tenant string, h *actions.Head, part actions.Part, after, most int) ([]actions.Item, bool, error)
}

// format is of the tables: it rises when a column goes or means something else.
const format = 1

// ManifestName is the file that says that an export is whole.
const ManifestName = "manifest.json"

// Manifest says what an export is of, and which files it has.
type Manifest struct {
	Format int            `json:"format"`
	Tenant string         `json:"tenant"`
	AsOf   portfolio.Date `json:"as_of"` // what the portfolio's tables are as known on: the run's date
	// The newest completed run, and its models; none where there was no run yet.
	Run     string    `json:"run_id,omitempty"`
	Model   string    `json:"model_version,omitempty"`
	Actions *Listed   `json:"action_list,omitempty"`
	Made    time.Time `json:"made_at"` // when its reading began
	// Damaged are customers of whom something stored could not be read; what could is there.
	Damaged int    `json:"damaged_customers"`
	Files   []File `json:"files"`

	Folder string `json:"folder,omitempty"` // of the files, beside the manifest
}

// Listed says of which list the actions are.
type Listed struct {
	Date    portfolio.Date `json:"date"`
	Run     string         `json:"run_id"`
	Version string         `json:"version"`
}

// Save writes the manifest; fault.Conflict where there is one.
func (m *Manifest) Save(ctx context.Context, to blob.Store, folder string) error {
	body, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a manifest")
	}
	_, err = to.Create(ctx, folder+ManifestName, bytes.NewReader(append(body, '\n')))
	return err
}

// Maker makes exports of tenants' books.
type Maker struct {
	book   *book.Book
	runs   Runs
	lists  Lists
	models Models
	now    func() time.Time
	most   int64 // bytes of a part
}

// NewMaker makes exports of a book.
func NewMaker(b *book.Book, r Runs, l Lists, m Models, now func() time.Time) *Maker {
	if b == nil || r == nil || l == nil || m == nil || now == nil {
		panic("exports: a dependency is missing")
	}
	return &Maker{b, r, l, m, now, partBytes}
}

// Make writes a tenant's tables to a folder of a blob store ("" or one that ends in a slash) in which none of them
// is, and returns the manifest, which is for the caller to save. It reads the book once, bucket by bucket, and
// holds a row group of each table in memory and a part of them in scratch files.
func (m *Maker) Make(ctx context.Context, t book.Tenant, to blob.Store, folder string, progress func(done, total int)) (_ *Manifest, err error) {
	out := &Manifest{Format: format, Tenant: t.ID, Made: m.now().UTC().Truncate(time.Second), AsOf: portfolio.DateOf(m.now())}
	schema, err := m.found(ctx, t, out)
	if err != nil {
		return nil, err
	}
	r := &reader{schema: schema, asOf: out.AsOf, ends: t.EndTable(), tenant: t.ID}
	defer func() { err = errors.Join(err, r.abandon()) }()
	if err := r.begin(); err != nil {
		return nil, err
	}
	if err := m.actions(ctx, t, r, out); err != nil {
		return nil, fmt.Errorf("exporting the action list: %w", err)
	}
	for bucket := range t.Buckets {
		if err := m.bucket(ctx, t, r, bucket); err != nil {
			return nil, fmt.Errorf("exporting bucket %d: %w", bucket, err)
		}
		if progress != nil {
			progress(bucket+1, t.Buckets)
		}
		last := bucket == t.Buckets-1
		if !last && !r.full(m.most) {
			continue
		}
		files, err := r.end(ctx, to, folder)
		if err != nil {
			return nil, err
		}
		if out.Files = append(out.Files, files...); !last {
			if err := r.begin(); err != nil {
				return nil, err
			}
		}
	}
	out.Damaged = r.damaged
	return out, nil
}

func (m *Maker) bucket(ctx context.Context, t book.Tenant, r *reader, bucket int) error {
	for rel, err := range m.book.Relations(ctx, t, bucket, nil) { // a replica that lags may have who was erased
		if err != nil {
			return err
		}
		for _, member := range rel.Members {
			r.member(rel.Key, member)
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
	return nil
}

// found fills in what the export is of, and gives what attributes training accepted.
func (m *Maker) found(ctx context.Context, t book.Tenant, out *Manifest) (feature.PolicySchema, error) {
	newest, err := m.newest(ctx, t.ID)
	if err != nil {
		return feature.PolicySchema{}, fmt.Errorf("finding the newest run: %w", err)
	}
	var models *scoring.Models
	if newest != nil {
		out.AsOf, out.Run, out.Model = newest.AsOf, newest.ID, newest.Model
		models, err = m.models.Version(ctx, t.ID, newest.Model)
	} else {
		models, err = m.models.Current(ctx, t.ID)
	}
	switch {
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.NotFound): // nobody has trained yet
		return feature.PolicySchema{}, nil
	case err != nil:
		return feature.PolicySchema{}, fmt.Errorf("finding the models: %w", err)
	}
	return models.Risk.Schema, nil
}

// newest is the completed run of the latest date, of several the one that was completed last; nil where there is
// none. Runs are listed by date, the newest first.
func (m *Maker) newest(ctx context.Context, tenant string) (*run.Progress, error) {
	const page = 20
	before := ""
	var found *run.Progress
	for {
		list, err := m.runs.List(ctx, tenant, before, page)
		if err != nil {
			return nil, err
		}
		for i := range list {
			p := &list[i]
			switch {
			case found != nil && p.AsOf < found.AsOf:
				return found, nil
			case p.Summary != nil && (found == nil || p.Summary.CompletedAt.After(found.Summary.CompletedAt)):
				found = p
			}
		}
		if len(list) < page {
			return found, nil
		}
		before = list[len(list)-1].ID
	}
}

// actions exports the newest action list, if there is one.
func (m *Maker) actions(ctx context.Context, t book.Tenant, r *reader, out *Manifest) error {
	h, err := m.lists.Newest(ctx, t.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	out.Actions = &Listed{h.Date, h.Run, h.Version}
	const page = 1000
	for after, more := 0, true; more; {
		var items []actions.Item
		if items, more, err = m.lists.Items(ctx, t.ID, &h, "", after, page); err != nil {
			return err
		}
		for i := range items {
			r.action(h.Date, &items[i])
			after = items[i].Rank
		}
		if err := r.actionItems.flush(); err != nil {
			return err
		}
	}
	return nil
}
