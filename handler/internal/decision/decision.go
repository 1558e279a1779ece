// Package decision keeps what is needed to explain a score and to contest it (GDPR arts.
// 15(1)(h), 21 and 22(3)). A score is found by its decision's id, made again from the
// versions of the book and the models of then, and compared to what was stored, to the
// bit. Once somebody relies on it, or asks for a person to look at it, its record is kept
// whole, whatever becomes of the book. See docs/adr/008-decision-record.md.
package decision

import (
	"context"
	"encoding/json"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/care"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
	"polis/handler/internal/wording"
)

// Models finds the models that scores were made with.
type Models interface {
	scoring.Current
	Version(ctx context.Context, tenant, version string) (*scoring.Models, error)
}

// Decisions explains decisions, and keeps what people did with them.
type Decisions struct {
	book   *book.Book
	models Models
	now    func() time.Time
}

// New is the decisions of the customers in a book.
func New(b *book.Book, m Models, now func() time.Time) *Decisions {
	if b == nil || m == nil || now == nil {
		panic("decision: a dependency is missing")
	}
	return &Decisions{b, m, now}
}

// Source says where a decision's score comes from.
type Source string

// The sources. A score that was given on request is not stored: it is made again, for as
// long as the customer's data and the models are those of then.
const (
	Latest    Source = "latest"
	History   Source = "history"
	OnRequest Source = "on_request"
)

// Decision is a score with all that it was made of, and what people did with it.
type Decision struct {
	ID       string         `json:"decision_id"`
	Engine   scoring.Engine `json:"engine"`
	Customer string         `json:"customer_id"`
	AsOf     portfolio.Date `json:"as_of"`
	Source   Source         `json:"source"`
	Model    Model          `json:"model"`
	// Program is the one that made the record, and compared; the score says which made it.
	Program Program   `json:"program"`
	Score   scoreJSON `json:"score"` // as it was given
	// Reproduced says that the score was made again and is the same to the bit. Where it is
	// not, Difference says why, and the record is of what is known now.
	Reproduced bool            `json:"reproduced"`
	Difference string          `json:"difference,omitempty"`
	Record     *scoring.Record `json:"record,omitempty"`
	// KeptAt is when the record was put aside because somebody relied on it.
	KeptAt   *time.Time `json:"kept_at,omitempty"`
	Reliance []Reliance `json:"reliance"`
	Reviews  []Review   `json:"reviews"`

	etag string // of what is kept; "" where nothing is
}

type scoreJSON = json.RawMessage

// Model is the set of models that a score was made with.
type Model struct {
	Version string         `json:"version"`
	SHA256  string         `json:"sha256,omitempty"` // of the models' file
	Trained portfolio.Date `json:"trained_as_of,omitzero"`
}

// Program is a version of what works scores out.
type Program struct {
	Version int    `json:"version"`
	Build   string `json:"build,omitempty"`
}

// Why a score could not be made again. Where the program is another one too, and other rows are
// there than were read, what the program would have made of those is not known.
const (
	otherRows    = "rows that were recorded by then have been added, replaced or erased since, or the relation has other members"
	otherProgram = "the program works it out otherwise since: the rows and the models are those that the score was made of"
	otherBoth    = otherRows + "; and the program is another version, which may work it out otherwise"
	goneModels   = "the models of then are not there any more, or not as this program reads them"
)

// Get finds a decision by its id; fault.NotFound where there is none, or not any more.
func (d *Decisions) Get(ctx context.Context, t book.Tenant, id string) (*Decision, error) {
	none := fault.New(fault.NotFound, "no such decision: it was never made, its customer was erased, or it was given on request and the data has changed since")
	ref, ok := scoring.ParseDecision(id)
	if !ok {
		return nil, none
	}
	places, err := d.book.Hashed(ctx, t, ref.Customer)
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		doc, kept, err := d.book.Decision(ctx, t, p.ID, id)
		if err != nil {
			return nil, err
		}
		if kept {
			out := &Decision{etag: doc.ETag}
			if err := json.Unmarshal(doc.Body, out); err != nil {
				return nil, fault.Wrap(fault.Internal, err, "decoding a decision's record")
			}
			return out, nil
		}
		out, err := d.make(ctx, t, p.ID, id, ref)
		if out != nil || err != nil {
			return out, err
		}
	}
	return nil, none
}

// Sentences are those that scores are told in, with what the tenant's current settings say
// in their own words; those that Polis comes with where there are no models yet.
func (d *Decisions) Sentences(ctx context.Context, t book.Tenant) (*wording.Sentences, error) {
	settings := scoring.DefaultSettings()
	switch m, err := d.models.Current(ctx, t.ID); {
	case err == nil:
		settings = m.Settings
	case !fault.Is(err, fault.Conflict):
		return nil, err
	}
	rules, err := care.Compile(&settings.Care)
	if err != nil {
		return nil, err
	}
	return wording.Default().With(wording.Own{
		Care: rules, Offers: settings.Nbp.Rules, Groups: settings.Nbp.Groups, Segments: settings.Clv.Segments,
	}), nil
}

// make finds a decision of a customer among its scores, or makes one that was given on
// request again; nil where it is neither.
func (d *Decisions) make(ctx context.Context, t book.Tenant, customer, id string, ref scoring.DecisionRef) (*Decision, error) {
	rec, err := d.book.Customer(ctx, t, customer)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	stored, source, err := d.stored(ctx, t, customer, id, ref.Engine, &rec)
	if err != nil {
		return nil, err
	}
	out := &Decision{
		ID: id, Engine: ref.Engine, Customer: customer, AsOf: ref.AsOf, Source: source,
		Program: Program{scoring.Program, scoring.Build()}, Reliance: []Reliance{}, Reviews: []Review{},
	}
	var m *scoring.Models
	if stored != nil {
		out.Score = stored.AppendJSON(nil, ref.Engine, t.ID, customer)
		out.Model.Version = stored.Model(ref.Engine)
		m, err = d.models.Version(ctx, t.ID, out.Model.Version)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) { // gone, or of an older format
			out.Difference = goneModels
			return out, nil
		}
	} else {
		m, err = d.models.Current(ctx, t.ID)
		if fault.Is(err, fault.Conflict) { // there are none, so nothing was scored either
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	out.Model = Model{m.Version, m.SHA256, m.Trained}
	scorer, err := scoring.New(m)
	if err != nil {
		return nil, err
	}
	a := again{d: d, t: t, rec: rec, ref: ref, scorer: scorer}
	if stored == nil {
		sheet, at, err := a.score(ctx, reading{})
		if err != nil || sheet.Decision(ref.Engine, t.ID) != id {
			return nil, err
		}
		out.Reproduced = true
		out.Score = sheet.AppendJSON(nil, ref.Engine, t.ID, d.now())
		out.Record = scorer.Record(at, ref.Engine, t.ID)
		return out, nil
	}
	at, difference, err := a.reproduce(ctx, stored)
	if err != nil {
		return nil, err
	}
	out.Reproduced, out.Difference = difference == "", difference
	out.Record = scorer.Record(at, ref.Engine, t.ID)
	return out, nil
}

// stored looks for a decision among a customer's latest and superseded scores; nil where
// it is not among them.
func (d *Decisions) stored(ctx context.Context, t book.Tenant, customer, id string, e scoring.Engine, rec *book.Record) (*scoring.Stored, Source, error) {
	is := func(body []byte) *scoring.Stored {
		s, err := scoring.DecodeStored(body)
		if err == nil && s.Has(e) && s.Decision(e, t.ID, customer) == id {
			return &s
		}
		return nil // damaged scores are written anew by the next run, and are no decision
	}
	if s := is(rec.Scores); s != nil {
		return s, Latest, nil
	}
	for h, err := range d.book.History(ctx, t, rec.Relation, customer) {
		if err != nil {
			return nil, "", err
		}
		if s := is(h.Body); s != nil {
			return s, History, nil
		}
	}
	return nil, OnRequest, nil
}

// keep writes a decision's record, for as long again as scores are kept; fault.Conflict where somebody else did meanwhile.
func (d *Decisions) keep(ctx context.Context, t book.Tenant, dec *Decision) error {
	if dec.KeptAt == nil {
		at := d.now().UTC().Truncate(time.Second)
		dec.KeptAt = &at
	}
	body, err := json.Marshal(dec)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a decision's record")
	}
	return d.book.PutDecision(ctx, t, dec.Customer, dec.ID, body, dec.etag, d.now().Add(book.HistoryKept))
}

// change reads a decision, changes and keeps it, as often as others come in between.
// Where change reports false, all is as it should be already.
func (d *Decisions) change(ctx context.Context, t book.Tenant, id string, change func(*Decision) (bool, error)) (*Decision, error) {
	const tries = 10
	for n := 1; ; n++ {
		dec, err := d.Get(ctx, t, id)
		if err != nil {
			return nil, err
		}
		changed, err := change(dec)
		if err != nil || !changed {
			return dec, err
		}
		err = d.keep(ctx, t, dec)
		if !fault.Is(err, fault.Conflict) || n == tries {
			return dec, err
		}
	}
}
