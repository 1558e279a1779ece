package exports

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob"
	blobs "polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
	"polis/handler/internal/watch"
)

var (
	noon  = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	today = portfolio.DateOf(noon)
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is exports over real parts, of a book that was scored, with writes of blobs that can be cut off.
type world struct {
	*Exports
	t      *testing.T
	maker  *Maker
	book   *book.Book
	docs   *sqlite.Store
	blobs  *mortal
	tenant book.Tenant
	models *registry.Registry
	sent   []bus.Message
}

// mortal is a blob store that dies after so many writes and deletions; below zero it lives.
type mortal struct {
	blob.Store
	left atomic.Int64
}

func (m *mortal) dies() error {
	if m.left.Load() == 0 {
		return fault.New(fault.Unavailable, "killed")
	}
	m.left.Add(-1)
	return nil
}

func (m *mortal) Create(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	if err := m.dies(); err != nil {
		return blob.Info{}, err
	}
	return m.Store.Create(ctx, name, r)
}

func (m *mortal) Delete(ctx context.Context, name string) error {
	if err := m.dies(); err != nil {
		return err
	}
	return m.Store.Delete(ctx, name)
}

func (w *world) Send(_ context.Context, _ string, m ...bus.Message) error {
	w.sent = append(w.sent, m...)
	return nil
}

// accepted is models whose training accepted two attributes.
type accepted struct{ *registry.Registry }

func (a accepted) Version(ctx context.Context, tenant, version string) (*scoring.Models, error) {
	m, err := a.Registry.Version(ctx, tenant, version)
	if err != nil {
		return nil, err
	}
	with, risk := *m, *m.Risk
	risk.Schema = feature.PolicySchema{Attributes: []feature.Attr{{Key: "build_year", Numeric: true}, {Key: "roof", Values: []string{"flat", "tiles"}}}}
	with.Risk = &risk
	return &with, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	clock := func() time.Time { return noon }
	docs, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.WithClock(clock))
	must(t, err)
	t.Cleanup(func() { docs.Close() })
	files, err := blobs.Open(t.TempDir())
	must(t, err)
	t.Cleanup(func() { files.Close() })
	w := &world{t: t, docs: docs, blobs: &mortal{Store: files}, tenant: book.Tenant{ID: "t", Buckets: 4}}
	w.blobs.left.Store(-1)
	w.book = book.New(docs)
	must(t, w.book.CreateTenant(t.Context(), w.tenant))
	models := registry.New(files, clock)
	w.models = models
	lists := actions.New(w.book, docs)
	runs := run.New(w.book, docs, w, models, lists, clock)
	w.maker = NewMaker(w.book, runs, lists, accepted{models}, clock)
	w.Exports = New(w.maker, docs, w.blobs, w, clock)

	for _, a := range people() {
		a.Normalise(today)
		must(t, w.book.Put(t.Context(), w.tenant, a, ""))
	}
	m, err := train.Fit(t.Context(), watch.Relations(w.book, w.tenant), train.Options{AsOf: today})
	must(t, err)
	must(t, models.Publish(t.Context(), "t", m))
	_, _, err = runs.Start(t.Context(), w.tenant, today, nil, false)
	must(t, err)
	for len(w.sent) > 0 {
		next := w.sent[0]
		w.sent = w.sent[1:]
		if next.Subject == run.CompletedEvent {
			continue
		}
		var q run.ChunkRequest
		must(t, json.Unmarshal(next.Body, &q))
		must(t, runs.Work(t.Context(), q))
	}
	return w
}

// secret is in all that must not leave the book.
const secret = "Geheim"

func people() []*portfolio.Aggregate {
	known := portfolio.Version{RecordedAt: today - 900, ValidFrom: today - 900, Reason: secret + " reason"}
	later := portfolio.Version{RecordedAt: today + 10}
	all := []*portfolio.Aggregate{{
		Customers: []portfolio.Customer{{
			ID: "C1", BirthYear: 1970, Postcode: "1234 AB", Region: "Utrecht", HouseholdID: "H1", AdvisorID: secret, OfficeID: "O1", Origin: "direct",
			Consents: []portfolio.Consent{{Purpose: "marketing", Channel: "email", Given: true, Source: secret + " form"}, {Purpose: "marketing", Channel: "phone"}}, Version: known,
		}},
		Policies: []portfolio.Policy{
			{
				ID: "P1", CustomerID: "C1", Branch: "building", StartDate: portfolio.MustDate(1970, 1, 1), AnnualPremium: 123_45, CommissionRate: portfolio.RateOf(0), Status: portfolio.Active,
				Product: "Woon Plus", Carrier: strings.Repeat(secret, 9),
				Attributes: []portfolio.Attribute{{Key: "build_year", Value: " 1931 "}, {Key: "gender", Value: secret}, {Key: "notes", Value: secret}, {Key: "roof", Value: "flat"}}, Version: known,
			},
			{ID: "P2", CustomerID: "C1", Branch: "motor", StartDate: today - 400, AnnualPremium: 500_00, Status: portfolio.Active, Attributes: []portfolio.Attribute{{Key: "roof", Value: secret}}, Version: known},
			{ID: "P2", CustomerID: "C1", Branch: "motor", StartDate: today - 400, EndDate: today - 30, AnnualPremium: 600_00, Status: portfolio.Ended, EndReason: "price", Version: portfolio.Version{RecordedAt: today - 40}},
			{ID: "P3", CustomerID: "C1", Branch: "travel", StartDate: today + 20, AnnualPremium: 60_00, Status: portfolio.Active, Version: later},
		},
		Claims: []portfolio.Claim{
			{ID: "L1", PolicyID: "P2", CustomerID: "C1", LossDate: today - 300, Cover: "glass", AtFault: portfolio.NotAtFault, Paid: 200_00, Reserve: 50_00, Recovered: 25_50, Status: portfolio.ClaimOpen, Version: portfolio.Version{RecordedAt: today - 200}},
			{ID: "L2", PolicyID: "P2", CustomerID: "C1", LossDate: today - 300, Cover: "letselschade", Version: portfolio.Version{RecordedAt: today - 200}},
		},
		Contacts: []portfolio.Contact{
			{CustomerID: "C1", At: portfolio.Instant(noon.Unix() - 86400*9), Direction: "in", Channel: "phone", Reason: "complaint", Employee: secret, Sentiment: -0.5},
			{CustomerID: "C1", At: portfolio.Instant(noon.Unix() - 86400*8), Direction: "in", Channel: "phone", Reason: "belde over " + secret, ResolvedAt: portfolio.Instant(noon.Unix() - 86400*7)},
		},
	}}
	for i := 2; i <= 12; i++ {
		id := fmt.Sprint("C", i)
		all = append(all, &portfolio.Aggregate{
			Customers: []portfolio.Customer{{ID: id, BirthYear: 1950 + i, Objects: i == 2, Consents: []portfolio.Consent{{Purpose: "marketing", Channel: "email", Given: true}}, Version: known}},
			Policies:  []portfolio.Policy{{ID: "P" + id, CustomerID: id, Branch: "liability", StartDate: today - 800, AnnualPremium: 70_00, Status: portfolio.Active, Version: known}},
		})
	}
	return all
}

// made is an export into a folder of its own.
func (w *world) made(folder string) *Manifest {
	w.t.Helper()
	m, err := w.maker.Make(w.t.Context(), w.tenant, w.blobs, folder, nil)
	must(w.t, err)
	return m
}

func (w *world) bytes(name string) []byte {
	w.t.Helper()
	r, _, err := w.blobs.Open(w.t.Context(), name)
	must(w.t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(w.t, err)
	return b
}

// rows reads all parts of a table back.
func rows[T any](w *world, m *Manifest, folder, table string) (out []T) {
	w.t.Helper()
	for _, f := range m.Files {
		if f.Table != table {
			continue
		}
		b := w.bytes(folder + f.Name)
		sum := sha256.Sum256(b)
		part, err := parquet.Read[T](bytes.NewReader(b), int64(len(b)))
		must(w.t, err)
		if f.Bytes != int64(len(b)) || f.SHA256 != hex.EncodeToString(sum[:]) || f.Rows != int64(len(part)) {
			w.t.Errorf("%s has %d bytes and %d rows, and the manifest says %+v", f.Name, len(b), len(part), f)
		}
		out = append(out, part...)
	}
	return out
}

func find[T any](t *testing.T, rows []T, is func(*T) bool) T {
	t.Helper()
	i := slices.IndexFunc(rows, func(r T) bool { return is(&r) })
	if i < 0 {
		t.Fatalf("no such row of %d", len(rows))
	}
	return rows[i]
}

// TestPortfolio: the four tables are what was known on the run's date, and nothing that must stay.
func TestPortfolio(t *testing.T) {
	w := newWorld(t)
	m := w.made("x/")
	if m.AsOf != today || m.Run != "2026-03-31-all-1" || len(m.Model) != 16 || m.Damaged != 0 || len(m.Files) != len(new(tables).all()) {
		t.Errorf("%+v", m)
	}
	known := dayOf(today - 900)
	customers := rows[customerRow](w, m, "x/", "customers")
	if got, want := find(t, customers, func(r *customerRow) bool { return r.Customer == "C1" }), (customerRow{
		Customer: "C1", Relation: "h:H1", BirthYear: 1970, Postcode: "1234 AB", Region: "Utrecht", Segment: "private", Household: "H1", Origin: "direct", Office: "O1",
		Consents: "marketing:email:yes|marketing:phone:no", ValidFrom: known, Recorded: known,
	}); len(customers) != 12 || !cmp.Equal(got, want) {
		t.Errorf("%d customers, %s", len(customers), cmp.Diff(want, got))
	}
	policies := rows[policyRow](w, m, "x/", "policies")
	if len(policies) != 13 { // P3 is not known yet
		t.Errorf("%d policies", len(policies))
	}
	start := day(0)
	premium, none := 123.45, 0.0
	if got, want := find(t, policies, func(r *policyRow) bool { return r.Policy == "P1" }), (policyRow{
		Policy: "P1", Customer: "C1", Branch: "building", Start: &start, InForce: true, Product: "Woon Plus", Premium: &premium, Commission: &none, Status: "active",
		ValidFrom: known, Recorded: known,
	}); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if got := find(t, policies, func(r *policyRow) bool { return r.Policy == "P2" }); got.InForce || got.EndedBy != "lapse" || *got.End != *dayOf(today - 30) || *got.Premium != 600 {
		t.Errorf("%+v", got)
	}
	year := 1931.0
	if got, want := rows[attributeRow](w, m, "x/", "policy_attributes"), []attributeRow{
		{Policy: "P1", Customer: "C1", Key: "build_year", Number: &year}, {Policy: "P1", Customer: "C1", Key: "roof", Name: "flat"},
	}; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	claims := rows[claimRow](w, m, "x/", "claims")
	first, second := find(t, claims, func(r *claimRow) bool { return r.Claim == "L1" }), find(t, claims, func(r *claimRow) bool { return r.Claim == "L2" })
	if len(claims) != 2 || first.Cover != "glass" || *first.AtFault || *first.Incurred != 224.5 || second.Cover != "" || second.AtFault != nil {
		t.Errorf("%+v, %+v", first, second)
	}
	contacts := rows[contactRow](w, m, "x/", "contacts")
	if len(contacts) != 2 || contacts[0].Reason != "complaint" || !contacts[0].At.Equal(noon.AddDate(0, 0, -9)) || contacts[1].Reason != "" || !contacts[1].Resolved.Equal(noon.AddDate(0, 0, -7)) {
		t.Errorf("%+v", contacts)
	}
	for _, f := range m.Files {
		for _, v := range texts(t, w.bytes("x/"+f.Name)) {
			if strings.Contains(v, secret) {
				t.Errorf("%s has %q", f.Name, v)
			}
		}
	}
}

// texts are all texts of a file.
func texts(t *testing.T, b []byte) (out []string) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	must(t, err)
	for _, g := range f.RowGroups() {
		r := g.Rows()
		buf := make([]parquet.Row, 8)
		for {
			n, err := r.ReadRows(buf)
			for _, row := range buf[:n] {
				for _, v := range row {
					if v.Kind() == parquet.ByteArray {
						out = append(out, string(v.ByteArray()))
					}
				}
			}
			if err != nil {
				break
			}
		}
		must(t, r.Close())
	}
	return out
}

// TestScores: each row says what the API says of the same score.
func TestScores(t *testing.T) {
	w := newWorld(t)
	m := w.made("x/")
	said := map[scoring.Engine]map[string]map[string]any{}
	for bucket := range w.tenant.Buckets {
		for d, err := range w.book.AllScores(t.Context(), w.tenant, bucket, "") {
			must(t, err)
			s, err := scoring.DecodeStored(d.Body)
			must(t, err)
			for _, e := range scoring.Engines {
				var doc map[string]any
				must(t, json.Unmarshal(s.AppendJSON(nil, e, "t", book.ScoredCustomer(d.Key)), &doc))
				if said[e] == nil {
					said[e] = map[string]map[string]any{}
				}
				said[e][book.ScoredCustomer(d.Key)] = doc
			}
		}
	}
	compared := 0
	compare := func(what string, row any, doc map[string]any) {
		t.Helper()
		b, err := json.Marshal(row)
		must(t, err)
		var got map[string]any
		must(t, json.Unmarshal(b, &got))
		for name, v := range got {
			want := doc[name]
			if s, ok := want.(string); ok && (name == "as_of" || strings.HasSuffix(name, "_on")) {
				d, _ := portfolio.ParseDate(s)
				want = float64(d - epoch)
			}
			if want == nil && (v == nil || v == "" || v == 0.0) {
				continue
			}
			if compared++; v != want {
				t.Errorf("%s: %s is %v, and the score says %v", what, name, v, want)
			}
		}
	}
	risk, churn := rows[riskRow](w, m, "x/", "risk"), rows[churnRow](w, m, "x/", "churn")
	clv, nbp, defend := rows[clvRow](w, m, "x/", "clv"), rows[nbpRow](w, m, "x/", "nbp"), rows[defendRow](w, m, "x/", "defend")
	if n := len(said[scoring.Risk]); n != 12 || len(risk) != n || len(churn) != n || len(clv) != n || len(nbp) != n || len(defend) != n {
		t.Fatalf("%d, %d, %d, %d and %d rows of %d customers", len(risk), len(churn), len(clv), len(nbp), len(defend), n)
	}
	for i := range risk {
		for e, row := range map[scoring.Engine]any{scoring.Risk: risk[i], scoring.Churn: churn[i], scoring.Clv: clv[i], scoring.Nbp: nbp[i], scoring.Defend: defend[i]} {
			compare(e.String(), row, said[e][risk[i].Customer])
		}
	}
	part := func(e scoring.Engine, list, key, customer, value string) map[string]any {
		parts, _ := said[e][customer][list].([]any)
		for _, p := range parts {
			if p := p.(map[string]any); p[key] == value {
				return p
			}
		}
		t.Errorf("%s says nothing of %s", e, value)
		return nil
	}
	for _, r := range rows[riskPolicyRow](w, m, "x/", "risk_policies") {
		compare("risk_policies", r, part(scoring.Risk, "policies", "policy_id", r.Customer, r.Policy))
	}
	for _, r := range rows[churnPolicyRow](w, m, "x/", "churn_policies") {
		p := part(scoring.Churn, "policies", "policy_id", r.Customer, r.Policy)
		compare("churn_policies", r, p)
		if year := p["horizons"].([]any)[3].(map[string]any); year["lapsed"] != *r.Lapsed12 || year["alive"] != *r.Alive12 {
			t.Errorf("%+v, and the score says %v", r, year)
		}
	}
	offers := rows[offerRow](w, m, "x/", "nbp_offers")
	for _, r := range offers {
		compare("nbp_offers", r, part(scoring.Nbp, "offers", "group", r.Customer, r.Group))
	}
	c1 := find(t, clv, func(r *clvRow) bool { return r.Customer == "C1" })
	doc := said[scoring.Clv]["C1"]
	if doc["prediction"].(map[string]any)["high"] != *c1.PredictionHigh || doc["components"].(map[string]any)["cost"] != *c1.Cost || c1.RelationMembers != 1 {
		t.Errorf("%+v, and the score says %v", c1, doc)
	}
	if len(offers) == 0 || compared < 400 {
		t.Errorf("only %d values were compared, of %d offers", compared, len(offers))
	}
	objector := find(t, churn, func(r *churnRow) bool { return r.Customer == "C2" })
	if objector.Status != "objected" || objector.Probability != nil {
		t.Errorf("who objects is scored: %+v", objector)
	}
	items := rows[actionRow](w, m, "x/", "actions")
	if m.Actions == nil || m.Actions.Run != m.Run || len(items) == 0 || items[0].Rank != 1 || *items[0].Date != *dayOf(today) || items[0].Status != "open" {
		t.Errorf("%+v, %+v", m.Actions, items)
	}
}

// TestParts: a book in parts says what it says in one, and no table is without a file.
func TestParts(t *testing.T) {
	w := newWorld(t)
	whole := w.made("x/")
	w.maker.most = 0
	parts := w.made("y/")
	if len(parts.Files) <= len(whole.Files) {
		t.Errorf("%d files in parts, %d without", len(parts.Files), len(whole.Files))
	}
	if got, want := rows[riskRow](w, parts, "y/", "risk"), rows[riskRow](w, whole, "x/", "risk"); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if got, want := rows[policyRow](w, parts, "y/", "policies"), rows[policyRow](w, whole, "x/", "policies"); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	for _, f := range parts.Files {
		if !IsFile(f.Name) {
			t.Errorf("%s is no file of an export", f.Name)
		}
	}
	for _, name := range []string{"manifest.json", "risk", "risk.txt", "mine.parquet", ".parquet"} {
		if IsFile(name) {
			t.Errorf("%s is a file of an export", name)
		}
	}
}

// TestBeforeAnything: a book that was never trained on nor run is exported without scores; damage is counted, and stops nothing.
func TestBeforeAnything(t *testing.T) {
	w := newWorld(t)
	other := book.Tenant{ID: "bare", Buckets: 2}
	must(t, w.book.CreateTenant(t.Context(), other))
	for _, a := range people() {
		a.Normalise(today)
		must(t, w.book.Put(t.Context(), other, a, ""))
	}
	scores := w.book.Writer(other, other.RelationBucket("c:C3"))
	must(t, scores.PutScores(t.Context(), "c:C3", "C3", []byte("damaged"), nil, "", noon))
	must(t, scores.Flush(t.Context()))
	m, err := w.maker.Make(t.Context(), other, w.blobs, "x/", nil)
	must(t, err)
	if m.Run != "" || m.Model != "" || m.Actions != nil || m.AsOf != today || m.Damaged != 1 {
		t.Errorf("%+v", m)
	}
	if n, scored, held := len(rows[customerRow](w, m, "x/", "customers")), len(rows[riskRow](w, m, "x/", "risk")), len(rows[attributeRow](w, m, "x/", "policy_attributes")); n != 12 || scored != 0 || held != 0 {
		t.Errorf("%d customers, %d scores, %d attributes", n, scored, held)
	}
}

// names are the blobs of exports.
func (w *world) names() (out []string) {
	w.t.Helper()
	for info, err := range w.blobs.List(w.t.Context(), Prefix) {
		must(w.t, err)
		out = append(out, info.Name)
	}
	return out
}

// one holds what there is to one whole export.
func (w *world) one(id string) {
	w.t.Helper()
	e, err := w.Get(w.t.Context(), "t", id)
	must(w.t, err)
	if e.Status != "completed" || e.Manifest == nil || !e.Completed.Equal(noon) {
		w.t.Fatalf("%+v", e)
	}
	want := []string{folder("t", id) + ManifestName}
	for _, f := range e.Manifest.Files {
		want = append(want, folder("t", id)+e.Manifest.Folder+f.Name)
	}
	slices.Sort(want)
	if got := w.names(); !slices.Equal(got, want) {
		w.t.Errorf("there is %v, and the export is %v", got, want)
	}
	if len(rows[customerRow](w, e.Manifest, folder("t", id)+e.Manifest.Folder, "customers")) != 12 {
		w.t.Error("not all customers are there")
	}
}

// TestKilledAnywhere kills the work before each write and deletion: done again there is one whole export, and nothing else.
func TestKilledAnywhere(t *testing.T) {
	w := newWorld(t)
	for n := int64(0); ; n++ {
		w.sent = nil
		e, err := w.Start(t.Context(), w.tenant)
		must(t, err)
		var q Request
		must(t, json.Unmarshal(w.sent[0].Body, &q))
		if len(w.sent) != 1 || q != (Request{"t", e.ID}) || e.Status != "waiting" || !e.Expires.Equal(noon.Add(Keep)) {
			t.Fatalf("%+v, %+v", e, w.sent)
		}
		w.blobs.left.Store(n)
		err = w.Work(t.Context(), q)
		w.blobs.left.Store(2) // and once more in the middle
		again := w.Work(t.Context(), q)
		w.blobs.left.Store(-1)
		if err != nil && !fault.Is(err, fault.Unavailable) || again != nil && !fault.Is(again, fault.Unavailable) {
			t.Fatalf("killed before write %d: %v, %v", n, err, again)
		}
		must(t, w.Work(t.Context(), q))
		w.one(e.ID)
		must(t, w.Work(t.Context(), q)) // the message comes again
		w.one(e.ID)
		must(t, w.Delete(t.Context(), "t", e.ID))
		if err == nil {
			return
		}
	}
}

// TestTwoAtOnce: of two that work the same export one is it; one that is deleted while it is made leaves nothing.
func TestTwoAtOnce(t *testing.T) {
	w := newWorld(t)
	e, err := w.Start(t.Context(), w.tenant)
	must(t, err)
	slow, err := w.make(t.Context(), w.tenant, e.ID) // which wrote all, and did not record it
	must(t, err)
	must(t, w.Work(t.Context(), Request{"t", e.ID}))
	w.one(e.ID)
	if done, err := w.Get(t.Context(), "t", e.ID); err != nil || done.Manifest.Folder != slow.Folder {
		t.Errorf("%+v, %v", done, err)
	}
	must(t, w.Delete(t.Context(), "t", e.ID))

	e, err = w.Start(t.Context(), w.tenant)
	must(t, err)
	deleting := &whileMaking{mortal: w.blobs, do: func() { must(t, w.Delete(t.Context(), "t", e.ID)) }}
	x := New(w.maker, w.docs, deleting, w, func() time.Time { return noon })
	must(t, x.Work(t.Context(), Request{"t", e.ID}))
	if _, err := w.Get(t.Context(), "t", e.ID); !fault.Is(err, fault.NotFound) || len(w.names()) > 0 {
		t.Errorf("%v, %v", err, w.names())
	}
}

// whileMaking does something once, before a manifest is created.
type whileMaking struct {
	*mortal
	do func()
}

func (m *whileMaking) Create(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	if strings.HasSuffix(name, ManifestName) {
		m.do()
	}
	return m.mortal.Create(ctx, name, r)
}

// TestWhatIsThere: files are read by those whose export it is, until it expires or is deleted.
func TestWhatIsThere(t *testing.T) {
	w := newWorld(t)
	e, err := w.Start(t.Context(), w.tenant)
	must(t, err)
	if _, _, err := w.Open(t.Context(), "t", e.ID, "risk.parquet"); !fault.Is(err, fault.NotFound) {
		t.Errorf("before it is made: %v", err)
	}
	must(t, w.Work(t.Context(), Request{"t", e.ID}))
	r, f, err := w.Open(t.Context(), "t", e.ID, "risk.parquet")
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	if int64(len(b)) != f.Bytes || f.Table != "risk" {
		t.Errorf("%d bytes of %+v", len(b), f)
	}
	for _, tc := range [][3]string{{"other", e.ID, "risk.parquet"}, {"t", "none", "risk.parquet"}, {"t", e.ID, ManifestName}, {"t", e.ID, "../" + e.ID + "/" + ManifestName}, {"t", e.ID, ""}} {
		if _, _, err := w.Open(t.Context(), tc[0], tc[1], tc[2]); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v: %v", tc, err)
		}
	}
	if err := w.Delete(t.Context(), "other", e.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another tenant's: %v", err)
	}
	if list, err := w.List(t.Context(), "t"); err != nil || len(list) != 1 || list[0].ID != e.ID {
		t.Errorf("%+v, %v", list, err)
	}

	// The night clears away what an attempt left that was killed when another had made the export, and what no record names.
	_, err = w.maker.Make(t.Context(), w.tenant, w.blobs, folder("t", e.ID)+"killed/", nil)
	must(t, err)
	waits, err := w.Start(t.Context(), w.tenant)
	must(t, err)
	_, err = w.maker.Make(t.Context(), w.tenant, w.blobs, folder("t", waits.ID)+"going-on/", nil)
	must(t, err)
	_, err = w.maker.Make(t.Context(), w.tenant, w.blobs, folder("t", "nobody")+"x/", nil)
	must(t, err)
	count := func() map[string]int {
		n := map[string]int{}
		for _, name := range w.names() {
			n[strings.Split(name, "/")[2]]++
		}
		return n
	}
	before := count()
	must(t, w.Tidy(t.Context(), "t", time.Now().Add(-time.Hour)))
	if !maps.Equal(before, count()) {
		t.Errorf("what was written a moment ago: %v, and then %v", before, count())
	}
	must(t, w.Tidy(t.Context(), "t", time.Now().Add(time.Hour)))
	files := before["nobody"]
	if want := map[string]int{e.ID: files + 1, waits.ID: files}; !maps.Equal(want, count()) || before[e.ID] != 2*files+1 {
		t.Errorf("left are %v, want %v", count(), want)
	}
	must(t, w.Delete(t.Context(), "t", waits.ID))
	w.one(e.ID)
}

// TestInPython: pandas and DuckDB read what is written, with the types that docs/exports.md names.
func TestInPython(t *testing.T) {
	python := os.Getenv("POLIS_PYTHON")
	if python == "" {
		python = "python3"
	}
	read := false
	w := newWorld(t)
	m := w.made("x/")
	dir := t.TempDir()
	for _, f := range m.Files {
		must(t, os.WriteFile(filepath.Join(dir, f.Name), w.bytes("x/"+f.Name), 0o600))
	}
	for library, script := range map[string]string{
		"pandas": `
import json, sys, glob, os, pandas as pd, pyarrow
out = {}
for f in glob.glob(sys.argv[1] + "/*.parquet"):
    d = pd.read_parquet(f)
    out[os.path.basename(f)] = len(d)
c = pd.read_parquet(sys.argv[1] + "/churn.parquet").merge(pd.read_parquet(sys.argv[1] + "/clv.parquet"), on="customer_id")
assert str(c.probability.dtype) == "float64" and str(c.scored_at_x.dtype) == "datetime64[ms, UTC]", c.dtypes
assert (c.probability * c.value).notna().any() and c.probability.isna().any()
print(json.dumps(out))`,
		"duckdb": `
import json, sys, glob, os, duckdb
out = {}
for f in glob.glob(sys.argv[1] + "/*.parquet"):
    out[os.path.basename(f)] = duckdb.sql(f"select count(*) from '{f}'").fetchall()[0][0]
d = sys.argv[1]
types = dict((r[0], r[1]) for r in duckdb.sql(f"describe select * from read_parquet('{d}/policies.*parquet')").fetchall())
assert types["start_date"] == "DATE" and types["annual_premium"] == "DOUBLE" and types["in_force"] == "BOOLEAN", types
assert duckdb.sql(f"select start_date from '{d}/policies.parquet' where policy_id = 'P1'").fetchall()[0][0].isoformat() == "1970-01-01"
print(json.dumps(out))`,
	} {
		if exec.CommandContext(t.Context(), python, "-c", "import duckdb").Run() != nil && library == "duckdb" ||
			exec.CommandContext(t.Context(), python, "-c", "import pandas, pyarrow").Run() != nil && library == "pandas" {
			t.Logf("SKIPPED: %s has no %s: name a Python that has it by POLIS_PYTHON", python, library)
			continue
		}
		read = true
		body, err := exec.CommandContext(t.Context(), python, "-c", script, dir).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", library, err, body)
			continue
		}
		want, got := map[string]int64{}, map[string]int64{}
		must(t, json.Unmarshal(body, &got))
		for _, f := range m.Files {
			want[f.Name] = f.Rows
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s reads %s", library, cmp.Diff(want, got))
		}
	}
	if !read {
		t.Skip("SKIPPED: neither pandas with pyarrow nor DuckDB is there")
	}
}

// TestNoScratchIsLeft: an export that is killed leaves nobody's rows on the disk, since its scratch files have no
// names.
func TestNoScratchIsLeft(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open keeps its name here")
	}
	w := newWorld(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	parts := 0
	_, err := w.maker.Make(t.Context(), w.tenant, w.blobs, "x/", func(done, _ int) {
		parts = done
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%v, a kill after bucket %d leaves %v", err, done, left)
		}
	})
	if must(t, err); parts != w.tenant.Buckets {
		t.Errorf("%d buckets", parts)
	}
}

// levels is a store that says how often it was asked for what may be old.
type levels struct {
	store.Store
	stale int
}

func (s *levels) Scan(ctx context.Context, p store.Partition, prefix, after string) iter.Seq2[store.Document, error] {
	if store.IsStale(ctx) {
		s.stale++
	}
	return s.Store.Scan(ctx, p, prefix, after)
}

// TestNoExportReadsWhatMayBeOld: a replica that lags has who was erased a moment ago.
func TestNoExportReadsWhatMayBeOld(t *testing.T) {
	w := newWorld(t)
	docs := &levels{Store: w.docs}
	w.maker.book = book.New(docs)
	_, err := w.maker.Make(t.Context(), w.tenant, w.blobs, "x/", nil)
	if must(t, err); docs.stale > 0 {
		t.Errorf("%d scans of what may be old", docs.stale)
	}
}
