package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"polis/handler/internal/audit"
	"polis/handler/internal/blob"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/event"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/scoring"
)

// Models finds published models and the baselines beside them.
type Models interface {
	scoring.Current
	Baseline(ctx context.Context, tenant, version string) (*audit.Baseline, string, error)
}

// Reports makes, keeps and shows the monthly reports of tenants.
type Reports struct {
	book   *book.Book
	blobs  blob.Store
	bus    bus.Sender
	models Models
	now    func() time.Time
}

// New is the reports in a blob store.
func New(b *book.Book, blobs blob.Store, sender bus.Sender, m Models, now func() time.Time) *Reports {
	if b == nil || blobs == nil || sender == nil || m == nil || now == nil {
		panic("watch: a dependency is missing")
	}
	return &Reports{b, blobs, sender, m, now}
}

// Event is the type of the event that says that a month's report is there.
const Event = "polis.drift.reported"

func folderOf(tenant string) string           { return "drift/" + tenant + "/" }
func fileOf(tenant, month string) string      { return folderOf(tenant) + month + ".json" }
func pageOf(tenant, month string) string      { return folderOf(tenant) + month + ".html" }
func announcedOf(tenant, month string) string { return folderOf(tenant) + month + ".announced" }

const monthForm = "2006-01"

// Audit audits a tenant's current models as of a date; fault.Conflict where there are none, or
// the book has no policy in force on it.
func (r *Reports) Audit(ctx context.Context, t book.Tenant, asOf portfolio.Date, refit bool, progress func(stage string, done, total int)) (*audit.Report, error) {
	m, err := r.models.Current(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	o := Options{Tenant: t.ID, AsOf: asOf, Ends: t.EndTable(), Refit: refit, Progress: progress}
	o.Baseline, o.Digest, err = r.models.Baseline(ctx, t.ID, m.Version)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Malformed) { // none, or one that this program does not read
		o.Missing = err.Error()
	} else if err != nil {
		return nil, err
	}
	return Make(ctx, Relations(r.book, t), m, o)
}

// Month makes the tenant's report of this month, unless it is there, and says that it is.
// Where there is nothing to report on, no models yet or no policy in force, it says why in
// nothing, and tries again when the timer next fires. It may be repeated after a kill at any point: the report is made once by create-if-absent,
// its page follows from it, and the event has an id of its own, so that one that is sent
// again is dropped by the bus or by whoever receives it.
func (r *Reports) Month(ctx context.Context, t book.Tenant) (nothing string, err error) {
	defer func() { // a book that breaks an audit must not stop those of others
		if p := recover(); p != nil {
			nothing, err = "", fault.New(fault.Internal, "the audit broke off")
		}
	}()
	now := r.now().UTC()
	month := now.Format(monthForm)
	report, err := r.report(ctx, t.ID, month)
	if fault.Is(err, fault.NotFound) {
		report, err = r.Audit(ctx, t, portfolio.DateOf(now), false, nil)
		// Only of an audit, and not of models that cannot be read: those are to be seen to.
		if fault.Is(err, fault.Conflict) && !errors.Is(err, registry.ErrUnreadable) {
			return err.Error(), nil
		}
		if err == nil {
			report, err = r.keep(ctx, report, now, month)
		}
	}
	if err != nil {
		return "", err
	}
	return "", r.announce(ctx, report)
}

// keep keeps a report that was made now as the month's.
func (r *Reports) keep(ctx context.Context, report *audit.Report, now time.Time, month string) (*audit.Report, error) {
	report.Month, report.Made = month, now.Truncate(time.Second)
	body, err := report.Encode()
	if err != nil {
		return nil, err
	}
	_, err = r.blobs.Create(ctx, fileOf(report.Tenant, month), bytes.NewReader(body))
	if fault.Is(err, fault.Conflict) {
		return r.report(ctx, report.Tenant, month) // somebody else made it meanwhile: theirs stands
	}
	if err != nil {
		return nil, fmt.Errorf("keeping the report: %w", err)
	}
	return report, nil
}

// announce writes the page and sends the event, unless that was done.
func (r *Reports) announce(ctx context.Context, report *audit.Report) error {
	tenant, month := report.Tenant, report.Month
	f, _, err := r.blobs.Open(ctx, announcedOf(tenant, month))
	if err == nil {
		return f.Close()
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	var page bytes.Buffer
	if err := audit.Write(&page, report); err != nil {
		return err
	}
	if _, err := r.blobs.Put(ctx, pageOf(tenant, month), &page); err != nil {
		return fmt.Errorf("keeping the report's page: %w", err)
	}
	id := tenant + "/drift/" + month
	told := event.Event{
		ID: id, Tenant: tenant, Type: Event, Subject: month, Time: report.Made,
		Data: map[string]any{
			"tenant": tenant, "month": month, "as_of": report.AsOf, "model_version": report.Model.Version, "trained_as_of": report.Model.Trained,
			"baseline": report.Baseline != nil, "counts": report.Counts,
			"report": fileOf(tenant, month), "page": pageOf(tenant, month), "href": "/api/v1/drift-reports/" + month,
		},
	}
	m, err := told.Message()
	if err != nil {
		return err
	}
	if err := r.bus.Send(ctx, event.Queue, m); err != nil {
		return fmt.Errorf("announcing the report of %s: %w", month, err)
	}
	_, err = r.blobs.Put(ctx, announcedOf(tenant, month), strings.NewReader(""))
	return err
}

// report reads a month's report; fault.NotFound where there is none.
func (r *Reports) report(ctx context.Context, tenant, month string) (_ *audit.Report, err error) {
	f, _, err := r.blobs.Open(ctx, fileOf(tenant, month))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	body, err := io.ReadAll(f)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "reading a report")
	}
	return audit.ParseReport(body)
}

// Get finds a report by its month, such as 2026-03, or the latest; fault.NotFound where
// there is none.
func (r *Reports) Get(ctx context.Context, tenant, month string) (*audit.Report, error) {
	none := fault.New(fault.NotFound, "no such report: a report has a month such as 2026-03, or is the latest")
	if month == "latest" {
		months, err := r.months(ctx, tenant)
		if err != nil {
			return nil, err
		}
		if len(months) == 0 {
			return nil, none
		}
		month = months[0]
	}
	if at, err := time.Parse(monthForm, month); err != nil || at.Format(monthForm) != month {
		return nil, none
	}
	report, err := r.report(ctx, tenant, month)
	if fault.Is(err, fault.NotFound) {
		return nil, none
	}
	return report, err
}

// months are those of which there are reports, the latest first.
func (r *Reports) months(ctx context.Context, tenant string) (out []string, err error) {
	for i, err := range r.blobs.List(ctx, folderOf(tenant)) {
		if err != nil {
			return nil, err
		}
		if month, ok := strings.CutSuffix(strings.TrimPrefix(i.Name, folderOf(tenant)), ".json"); ok {
			out = append(out, month)
		}
	}
	slices.Reverse(out)
	return out, nil
}

// Head is what a list says of a report.
type Head struct {
	Month  string         `json:"month"`
	AsOf   portfolio.Date `json:"as_of"`
	Model  string         `json:"model_version"`
	Counts audit.Counts   `json:"counts"`
}

// List lists the newest reports, at most max.
func (r *Reports) List(ctx context.Context, tenant string, max int) ([]Head, error) {
	months, err := r.months(ctx, tenant)
	if err != nil {
		return nil, err
	}
	out := []Head{}
	for _, month := range months[:min(max, len(months))] {
		report, err := r.report(ctx, tenant, month)
		if err != nil {
			return nil, fmt.Errorf("reading the report of %s: %w", month, err)
		}
		out = append(out, Head{month, report.AsOf, report.Model.Version, report.Counts})
	}
	return out, nil
}
