package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/rs/zerolog"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/bus/sqlitebus"
	"polis/handler/internal/caller"
	"polis/handler/internal/decision"
	"polis/handler/internal/exports"
	"polis/handler/internal/feedback"
	"polis/handler/internal/imports"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/quota"
	"polis/handler/internal/ready"
	"polis/handler/internal/registry"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
	"polis/handler/internal/watch"
)

// world is the API over real parts, with two tenants, a validator of all that goes in
// and out, and what its tests need to work the queues by hand.
type world struct {
	t       *testing.T
	api     http.Handler
	made    API // what api is made of
	blobs   *folder.Store
	check   validator.Validator
	book    *book.Book
	runs    *run.Runs
	imports *imports.Imports
	exports *exports.Exports
	reports *watch.Reports
	bus     *sqlitebus.Bus
	broken  error // what /ready meets, besides documents and models
}

var noon = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	docs, err := sqlite.Open(filepath.Join(dir, "store.db"), sqlite.WithClock(func() time.Time { return noon }))
	must(t, err)
	t.Cleanup(func() { docs.Close() })
	queues, err := sqlitebus.Open(filepath.Join(dir, "bus.db"), sqlitebus.WithClock(func() time.Time { return noon }))
	must(t, err)
	t.Cleanup(func() { queues.Close() })
	blobs, err := folder.Open(filepath.Join(dir, "blobs"))
	must(t, err)
	t.Cleanup(func() { blobs.Close() })

	now := func() time.Time { return noon }
	b := book.New(docs)
	models := registry.New(blobs, now)
	var keys []caller.Key
	for _, id := range []string{"one", "two", "slow"} {
		must(t, b.CreateTenant(t.Context(), book.Tenant{ID: id, Buckets: 4, Created: noon}))
		m, err := train.Fit(t.Context(), nobody, train.Options{AsOf: portfolio.DateOf(noon)})
		must(t, err)
		must(t, models.Publish(t.Context(), id, m))
		keys = append(keys, caller.Key{SHA256: caller.Digest("key-" + id), Tenant: id, Roles: caller.Roles})
	}
	for _, id := range []string{"one", "two"} {
		keys = append(keys, caller.Key{SHA256: caller.Digest("key-admin-" + id), Tenant: id, Roles: []caller.Role{caller.Admin}})
	}
	keys = append(keys, caller.Key{SHA256: caller.Digest("key-reader"), Tenant: "one", Roles: []caller.Role{caller.ScoresRead}})
	auth, err := caller.NewKeys(keys)
	must(t, err)
	w := &world{t: t, book: b, bus: queues, blobs: blobs}
	lists := actions.New(b, docs)
	w.runs = run.New(b, docs, queues, models, lists, now)
	w.imports = imports.New(b, docs, blobs, queues, lists, now)
	w.exports = exports.New(exports.NewMaker(b, w.runs, lists, models, now), docs, blobs, queues, now)
	w.reports = watch.New(b, blobs, queues, models, now)
	quotas, err := quota.New(quota.Quota{Chunks: 32, Runs: 2, Imports: 2, Exports: 2, Requests: 100_000}, `{"slow": {"requests": 3}}`, now)
	must(t, err)
	w.made = API{
		Auth: auth, Book: b, Scores: scoring.NewService(b, models, now), Runs: w.runs, Lists: lists, Imports: w.imports, Exports: w.exports,
		Decisions: decision.New(b, models, now), Reports: w.reports, Ready: w.ready(models), Quotas: quotas, Keep: docs, Now: now, Log: zerolog.Nop(),
	}
	w.api = New(w.made)
	doc, err := libopenapi.NewDocument(spec)
	must(t, err)
	check, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	w.check = check
	return w
}

// ready asks what the handler asks, and w.broken.
func (w *world) ready(models *registry.Registry) *ready.Ready {
	return ready.New(time.Now, ready.Part{Name: "documents", Ask: w.book.Reachable}, ready.Part{Name: "models", Ask: models.Reachable},
		ready.Part{Name: "what breaks", Ask: func(context.Context) error { return w.broken }})
}

func nobody(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
	return func(func([]*portfolio.Aggregate, error) bool) {}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// do sends a request, and holds what comes back, and what went in where it was
// accepted, to the specification.
func (w *world) do(key, method, path, media string, body []byte, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	request := func() *http.Request {
		r := httptest.NewRequest(method, path, bytes.NewReader(body))
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		if media != "" {
			r.Header.Set("Content-Type", media)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return r
	}
	out := httptest.NewRecorder()
	w.api.ServeHTTP(out, request())
	if out.Code >= 500 && w.broken == nil {
		w.t.Errorf("%s %s: %d %s", method, path, out.Code, out.Body)
	}
	if out.Code == http.StatusMethodNotAllowed || out.Code == http.StatusNotFound && !strings.HasPrefix(path, "/api/v1/") {
		return out // nothing in the specification to hold it to
	}
	if ok, errs := w.check.ValidateHttpResponse(request(), out.Result()); !ok {
		for _, e := range errs {
			if !strings.Contains(e.Message, "not found") {
				w.t.Errorf("%s %s: %d: %s: %s %v", method, path, out.Code, e.Message, e.Reason, e.SchemaValidationErrors)
			}
		}
	}
	if out.Code < 300 && !strings.HasPrefix(media, "multipart/") {
		if ok, errs := w.check.ValidateHttpRequest(request()); !ok {
			for _, e := range errs {
				w.t.Errorf("%s %s was accepted: %s: %s", method, path, e.Message, e.Reason)
			}
		}
	}
	return out
}

func (w *world) json(key, method, path string, body any, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	b, err := json.Marshal(body)
	must(w.t, err)
	return w.do(key, method, path, "application/json", b, header...)
}

func aggregate(id string) map[string]any {
	return map[string]any{
		"customers": []any{map[string]any{"customer_id": id, "birth_year": 1980, "recorded_at": "2020-01-01"}},
		"policies": []any{map[string]any{
			"policy_id": "P-" + id, "customer_id": id, "branch": "motor", "start_date": "2022-05-01", "annual_premium": 640.25, "status": "active", "recorded_at": "2022-05-01",
		}},
		"claims": []any{map[string]any{
			"claim_id": "L-" + id, "policy_id": "P-" + id, "customer_id": id, "loss_date": "2023-02-03", "paid": "1200.50", "recorded_at": "2023-03-01",
		}},
		"contacts": []any{map[string]any{"customer_id": id, "contacted_at": "2026-03-02T09:00:00Z", "direction": "in", "reason": "complaint"}},
	}
}

// work does what the queues ask for.
func (w *world) work() {
	w.t.Helper()
	for queue, do := range map[string]func([]byte) error{
		imports.Queue: func(b []byte) error {
			var q imports.Request
			must(w.t, json.Unmarshal(b, &q))
			return w.imports.Work(w.t.Context(), q)
		},
		exports.Queue: func(b []byte) error {
			var q exports.Request
			must(w.t, json.Unmarshal(b, &q))
			return w.exports.Work(w.t.Context(), q)
		},
		run.ChunkQueue: func(b []byte) error {
			var q run.ChunkRequest
			must(w.t, json.Unmarshal(b, &q))
			return w.runs.Work(w.t.Context(), q)
		},
	} {
		for {
			list, err := w.bus.Receive(w.t.Context(), queue, 10, time.Minute, 10)
			must(w.t, err)
			if len(list) == 0 {
				break
			}
			for _, d := range list {
				must(w.t, do(d.Body))
				must(w.t, w.bus.Complete(w.t.Context(), d))
			}
		}
	}
}

func upload(t *testing.T, parts ...string) (string, []byte) {
	t.Helper()
	var buf bytes.Buffer
	m := multipart.NewWriter(&buf)
	for i := 0; i < len(parts); i += 2 {
		p, err := m.CreateFormField(parts[i])
		must(t, err)
		_, err = io.WriteString(p, parts[i+1])
		must(t, err)
	}
	must(t, m.Close())
	return m.FormDataContentType(), buf.Bytes()
}

const (
	customersCSV = "customer_id,birth_year,recorded_at\nA1,1970,2021-01-01\nA2,1990,2021-01-01\n"
	policiesCSV  = "policy_id,customer_id,branch,start_date,annual_premium,status,recorded_at\nP1,A1,motor,2021-01-01,500,active,2021-01-01\nP2,A9,motor,2021-01-01,500,active,2021-01-01\n"
)

// TestTheMainJob loads, scores and acts over the API, and every answer fits the
// specification.
func TestTheMainJob(t *testing.T) {
	w := newWorld(t)
	expect := func(want int, out *httptest.ResponseRecorder) *httptest.ResponseRecorder {
		t.Helper()
		if out.Code != want {
			t.Fatalf("%d, want %d: %s", out.Code, want, out.Body)
		}
		return out
	}
	for _, p := range []string{"/api/health", "/api/ready", "/api/openapi.yaml", "/api/docs"} {
		expect(200, w.do("", "GET", p, "", nil))
	}
	media, body := upload(t, "as_of", "2026-03-31", "customers", customersCSV, "policies", policiesCSV)
	started := expect(202, w.do("key-one", "POST", "/api/v1/imports", media, body, "Idempotency-Key", "k1"))
	again := expect(202, w.do("key-one", "POST", "/api/v1/imports", media, body, "Idempotency-Key", "k1"))
	if started.Body.String() != again.Body.String() || again.Header().Get("Idempotent-Replayed") != "true" {
		t.Error("a repeat with the same key is another import")
	}
	w.work()
	done := expect(200, w.do("key-one", "GET", started.Header().Get("Location"), "", nil))
	if !strings.Contains(done.Body.String(), `"status":"completed"`) {
		t.Errorf("the import: %s", done.Body)
	}
	report := expect(200, w.do("key-one", "GET", started.Header().Get("Location")+"/report", "", nil))
	if !strings.Contains(report.Body.String(), `"line":3`) {
		t.Errorf("the report does not name the bad row's line: %s", report.Body)
	}
	expect(200, w.do("key-one", "GET", "/api/v1/imports", "", nil))

	expect(201, w.json("key-one", "PUT", "/api/v1/customers/B1", aggregate("B1")))
	expect(409, w.json("key-one", "PUT", "/api/v1/customers/B1", aggregate("B1"), "If-None-Match", "*"))
	got := expect(200, w.do("key-one", "GET", "/api/v1/customers/B1", "", nil))
	expect(204, w.json("key-one", "PUT", "/api/v1/customers/B1", aggregate("B1"), "If-Match", got.Header().Get("ETag")))
	expect(409, w.json("key-one", "PUT", "/api/v1/customers/B1", aggregate("B1"), "If-Match", `"of another time"`))

	for _, e := range scoring.Engines {
		out := expect(200, w.json("key-one", "POST", "/api/v1/"+e.String()+"/scores", map[string]any{"customers": []string{"B1", "nobody", "A2"}}))
		if !strings.Contains(out.Body.String(), `"errors":[{"index":1,`) {
			t.Errorf("%s: no error for the customer that is not there: %s", e, out.Body)
		}
		expect(200, w.json("key-one", "POST", "/api/v1/"+e.String()+"/scores", map[string]any{"as_of": "2026-01-01", "aggregates": []any{aggregate("X1"), aggregate("X2")}}))
	}
	r := expect(202, w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-31"}))
	w.work()
	out := expect(200, w.do("key-one", "GET", r.Header().Get("Location"), "", nil))
	if !strings.Contains(out.Body.String(), `"status":"completed"`) || !strings.Contains(out.Body.String(), `"customers":3,"scored":2,"changed":3`) ||
		strings.Count(out.Body.String(), `"scored":2,"not_scored":{"no_policies":1}`) != len(scoring.Engines) {
		t.Errorf("the run: %s", out.Body)
	}
	expect(200, w.do("key-one", "GET", "/api/v1/runs", "", nil))
	scores := expect(200, w.do("key-one", "GET", "/api/v1/customers/B1/scores", "", nil))
	if n := strings.Count(scores.Body.String(), `"decision_id":`); n != len(scoring.Engines) {
		t.Errorf("%d scores are stored", n)
	}
	first := expect(200, w.do("key-one", "GET", "/api/v1/scores?limit=2", "", nil))
	var page struct{ Next string }
	must(t, json.Unmarshal(first.Body.Bytes(), &page))
	second := expect(200, w.do("key-one", "GET", "/api/v1/scores?limit=2&cursor="+page.Next, "", nil))
	if n := strings.Count(first.Body.String()+second.Body.String(), `"engine":"risk"`); n != 3 {
		t.Errorf("two pages have %d customers", n)
	}

	expect(200, w.do("key-one", "GET", "/api/v1/action-lists", "", nil))
	list := expect(200, w.do("key-one", "GET", "/api/v1/action-lists/latest", "", nil))
	var l actions.List
	must(t, json.Unmarshal(list.Body.Bytes(), &l))
	if len(l.Items) == 0 || l.Items[0].Customer != "B1" || l.Items[0].Action != "resolve_complaint" {
		t.Fatalf("the complaint is not first: %s", list.Body)
	}
	path := "/api/v1/action-lists/2026-03-31/items/" + l.Items[0].ID + "/feedback"
	expect(200, w.json("key-one", "POST", path, map[string]any{"outcome": "snoozed", "until": "2026-04-14"}))
	if s := expect(422, w.json("key-one", "POST", path, map[string]any{"outcome": "snoozed", "until": "2026-04-15"})).Body.String(); !strings.Contains(s, `"/until"`) {
		t.Errorf("care is put off for more than a fortnight: %s", s)
	}
	expect(422, w.json("key-one", "POST", path, map[string]any{"outcome": "snoozed"}))
	expect(200, w.json("key-one", "POST", strings.Replace(path, "2026-03-31", "latest", 1), map[string]any{"outcome": "done"}))
	expect(404, w.json("key-one", "POST", "/api/v1/action-lists/2026-03-31/items/none/feedback", map[string]any{"outcome": "done"}))
	expect(422, w.json("key-one", "POST", path, map[string]any{}))
	expect(422, w.json("key-one", "POST", path, map[string]any{"judgement": "dull"}))
	expect(422, w.json("key-one", "POST", path, map[string]any{"outcome": "done", "on": "2026-03-30"})) // before it was suggested
	expect(422, w.json("key-one", "POST", path, map[string]any{"outcome": "done", "on": "2026-04-02"}))
	judged := expect(200, w.json("key-one", "POST", path, map[string]any{"judgement": "already_known"}))
	if s := judged.Body.String(); !strings.Contains(s, `"status":"done"`) || !strings.Contains(s, `"judgement":"already_known"`) {
		t.Errorf("a judgement changes what was done: %s", s)
	}
	var history struct{ Suggestions []feedback.Suggestion }
	must(t, json.Unmarshal(expect(200, w.do("key-one", "GET", "/api/v1/customers/B1/actions", "", nil)).Body.Bytes(), &history))
	if len(history.Suggestions) != 1 || len(history.Suggestions[0].Replies) != 3 || !strings.HasPrefix(history.Suggestions[0].Replies[0].By.Subject, "key-") {
		t.Errorf("the history is %+v", history)
	}
	expect(404, w.do("key-two", "GET", "/api/v1/actions/effects", "", nil))
	effects := expect(200, w.do("key-one", "GET", "/api/v1/actions/effects", "", nil))
	if s := effects.Body.String(); !strings.Contains(s, `"run_id":"2026-03-31-all-1"`) || !strings.Contains(s, `"hold_out":0`) {
		t.Errorf("effects: %s", s)
	}

	media, body = upload(t, "as_of", "2026-03-31", "customers", "customer_id,birth_year\nB1,1980\n")
	expect(202, w.do("key-one", "POST", "/api/v1/imports", media, body)) // it waits, and knows him
	expect(204, w.do("key-one", "DELETE", "/api/v1/customers/B1", "", nil))
	w.work()
	expect(404, w.do("key-one", "GET", "/api/v1/customers/B1", "", nil))
	expect(404, w.do("key-one", "GET", "/api/v1/customers/B1/scores", "", nil))
	expect(404, w.do("key-one", "GET", "/api/v1/customers/B1/actions", "", nil))
	list = expect(200, w.do("key-one", "GET", "/api/v1/action-lists/latest", "", nil))
	if strings.Contains(list.Body.String(), "B1") {
		t.Error("an erased customer is still on a list")
	}
}

// TestListsArePaged: pages follow each other by rank to the end, each with the counts of the
// whole list, and a cursor is good for the list that gave it out and for no other.
func TestListsArePaged(t *testing.T) {
	w := newWorld(t)
	const n = 5
	for i := range n {
		w.want(201, w.json("key-one", "PUT", fmt.Sprintf("/api/v1/customers/B%d", i), aggregate(fmt.Sprintf("B%d", i))))
	}
	w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-31"})
	w.work()
	type page struct {
		actions.List
		Next string
	}
	get := func(path string) (p page, link string) {
		t.Helper()
		out := w.want(200, w.do("key-one", "GET", path, "", nil))
		must(t, json.Unmarshal(out.Body.Bytes(), &p))
		return p, out.Header().Get("Link")
	}
	const latest = "/api/v1/action-lists/latest"
	p, link := get(latest + "?limit=2")
	first := p.Next
	for seen := 0; ; {
		if p.Due != n || p.Listed != n || p.Care != (actions.Count{Due: n, Listed: n}) || p.Commercial != (actions.Count{}) {
			t.Fatalf("the head is %+v", p.Head)
		}
		for _, it := range p.Items {
			if seen++; it.Rank != seen || it.Part != actions.Care {
				t.Errorf("item %d: %+v", seen, it)
			}
		}
		if seen == n {
			break
		}
		if len(p.Items) != 2 || p.Next == "" {
			t.Fatalf("%d items after %d, next %q", len(p.Items), seen, p.Next)
		}
		path, rel, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
		if !ok || rel != `; rel="next"` || !strings.HasSuffix(path, "&cursor="+p.Next) {
			t.Fatalf("the link is %q", link)
		}
		p, link = get(path)
	}
	if p.Next != "" || link != "" {
		t.Errorf("after the last page comes %q, %q", p.Next, link)
	}
	for query, says := range map[string]string{"limit=0": "limit", "limit=1001": "limit", "cursor=nonsense": "cursor"} {
		if s := w.want(400, w.do("key-one", "GET", latest+"?"+query, "", nil)).Body.String(); !strings.Contains(s, says) {
			t.Errorf("%s: %s", query, s)
		}
	}
	w.want(201, w.json("key-one", "PUT", "/api/v1/customers/B9", aggregate("B9")))
	w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-31", "again": true})
	w.work()
	if s := w.want(400, w.do("key-one", "GET", latest+"?cursor="+first, "", nil)).Body.String(); !strings.Contains(s, "made anew") {
		t.Errorf("a cursor of a list that was replaced: %s", s)
	}
}

// everyPath is every route with its placeholders filled.
func everyPath(fill map[string]string) [][2]string {
	var out [][2]string
	for _, rt := range routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		for name, v := range fill {
			path = strings.ReplaceAll(path, "{"+name+"}", v)
		}
		if rt.role != "" {
			out = append(out, [2]string{method, path})
		}
	}
	return out
}

// TestTenantsNeverSeeEachOther fills one tenant and looks for any of it by every route
// as the other.
func TestTenantsNeverSeeEachOther(t *testing.T) {
	w := newWorld(t)
	media, body := upload(t, "customers", strings.ReplaceAll(customersCSV, "A1", "SECRET1"))
	imp := w.do("key-one", "POST", "/api/v1/imports", media, body)
	w.json("key-one", "PUT", "/api/v1/customers/SECRET", aggregate("SECRET"))
	r := w.json("key-one", "POST", "/api/v1/runs", map[string]any{})
	w.work()
	l := w.do("key-one", "GET", "/api/v1/action-lists/latest", "", nil)
	var list actions.List
	must(t, json.Unmarshal(l.Body.Bytes(), &list))
	fill := map[string]string{
		"customer": "SECRET", "import": strings.TrimPrefix(imp.Header().Get("Location"), "/api/v1/imports/"),
		"run": strings.TrimPrefix(r.Header().Get("Location"), "/api/v1/runs/"), "date": "2026-03-31", "item": list.Items[0].ID,
	}
	before := w.do("key-one", "GET", "/api/v1/customers/SECRET", "", nil).Body.String()
	for _, p := range everyPath(fill) {
		var body []byte
		if p[0] == "POST" || p[0] == "PUT" {
			body = []byte(`{"customers":["SECRET"]}`)
			if strings.HasSuffix(p[1], "/feedback") {
				body = []byte(`{"outcome":"done"}`)
			}
		}
		for range 2 {
			out := w.do("key-two", p[0], p[1], "application/json", body)
			if strings.Contains(out.Body.String(), "SECRET") {
				t.Errorf("%s %s shows another tenant's data: %d %s", p[0], p[1], out.Code, out.Body)
			}
		}
	}
	if after := w.do("key-one", "GET", "/api/v1/customers/SECRET", "", nil).Body.String(); after != before {
		t.Error("another tenant changed the customer")
	}
}

// TestNobodyGetsIn calls every route without a caller, and with one that lacks the role.
func TestNobodyGetsIn(t *testing.T) {
	w := newWorld(t)
	fill := map[string]string{"customer": "C", "import": "I", "run": "R", "date": "latest", "item": "X"}
	for _, p := range everyPath(fill) {
		for _, key := range []string{"", "wrong", "key-one "} {
			out := w.do(strings.TrimSuffix(key, " "), p[0], p[1], "application/json", []byte("{}"))
			if key != "key-one " && out.Code != http.StatusUnauthorized {
				t.Errorf("%s %s with key %q: %d", p[0], p[1], key, out.Code)
			}
		}
	}
	for _, p := range [][2]string{{"POST", "/api/v1/runs"}, {"DELETE", "/api/v1/customers/C"}, {"POST", "/api/v1/imports"}, {"POST", "/api/v1/action-lists/latest/items/X/feedback"}} {
		if out := w.do("key-reader", p[0], p[1], "application/json", []byte("{}")); out.Code != http.StatusForbidden {
			t.Errorf("%s %s without the role: %d", p[0], p[1], out.Code)
		}
	}
	if out := w.do("", "GET", "/api/v1/nowhere", "", nil); out.Code != http.StatusUnauthorized {
		t.Errorf("a stranger learns which routes there are: %d", out.Code)
	}
}

// TestWrongInput holds each endpoint to a clear answer.
func TestWrongInput(t *testing.T) {
	w := newWorld(t)
	score := "/api/v1/risk/scores"
	bad := aggregate("C1")
	bad["policies"].([]any)[0].(map[string]any)["end_date"] = "2021-01-01"
	future := aggregate("C1")
	future["claims"].([]any)[0].(map[string]any)["loss_date"] = "2030-01-01"
	unknown := aggregate("C1")
	unknown["polices"] = []any{}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	js := func(v any) []byte { b, err := json.Marshal(v); must(t, err); return b }
	for _, tc := range []struct {
		name, method, path, media string
		body                      []byte
		want                      int
		says                      string
	}{
		{"no body", "POST", score, "application/json", nil, 400, "empty"},
		{"no JSON", "POST", score, "application/json", []byte("{"), 400, "too early"},
		{"half a number", "POST", score, "application/json", []byte(`{"as_of": 12x}`), 400, "byte"},
		{"two values", "POST", score, "application/json", []byte(`{} {}`), 400, "more"},
		{"not UTF-8", "POST", score, "application/json", []byte("{\"customers\":[\"\xff\"]}"), 400, "UTF-8"},
		{"form", "POST", score, "application/x-www-form-urlencoded", []byte("a=b"), 415, "application/json"},
		{"no media type", "POST", score, "", []byte("{}"), 415, "application/json"},
		{"nothing asked", "POST", score, "application/json", []byte("{}"), 422, "customers or aggregates"},
		{"array", "POST", score, "application/json", []byte("[]"), 422, "array"},
		{"null", "POST", score, "application/json", []byte("null"), 422, "customers or aggregates"},
		{"wrong type", "POST", score, "application/json", []byte(`{"customers":"C1"}`), 422, "/customers"},
		{"unknown field", "POST", score, "application/json", []byte(`{"costumers":["C1"]}`), 422, "/costumers"},
		{"bad date", "POST", score, "application/json", []byte(`{"as_of":"31-03-2026","customers":["C1"]}`), 422, "ISO 8601"},
		{"a day to come", "POST", score, "application/json", []byte(`{"as_of":"2026-04-02","customers":["C1"]}`), 422, "/as_of"},
		{"a run to come", "POST", "/api/v1/runs", "application/json", []byte(`{"as_of":"2999-01-01"}`), 422, "/as_of"},
		{"too many", "POST", score, "application/json", js(map[string]any{"customers": many}), 422, "100"},
		{"end before start", "POST", score, "application/json", js(map[string]any{"aggregates": []any{bad}}), 422, "/aggregates/0/policies/0/end_date"},
		{"future claim", "POST", score, "application/json", js(map[string]any{"aggregates": []any{future}}), 422, "/aggregates/0/claims/0/loss_date"},
		{"misspelt table", "POST", score, "application/json", js(map[string]any{"aggregates": []any{unknown}}), 422, "polices"},
		{"the same customer twice", "POST", score, "application/json", js(map[string]any{"aggregates": []any{aggregate("A"), aggregate("A")}}), 422, "/aggregates/1/customers/0/customer_id"},
		{"aggregate of nobody", "POST", score, "application/json", []byte(`{"aggregates":[{}]}`), 422, "/aggregates/0/customers"},
		{"deep", "POST", score, "application/json", bytes.Repeat([]byte("["), 1<<20), 400, ""},
		{"large", "POST", score, "application/json", append([]byte(`{"customers":["`), bytes.Repeat([]byte("x"), maxBody)...), 413, "larger"},
		{"unknown engine", "POST", "/api/v1/weather/scores", "application/json", []byte("{}"), 404, ""},
		{"wrong method", "DELETE", score, "", nil, 405, "POST"},
		{"other customer", "PUT", "/api/v1/customers/C2", "application/json", js(aggregate("C1")), 422, "/customers/0/customer_id"},
		{"no rows", "PUT", "/api/v1/customers/C2", "application/json", []byte("{}"), 422, "/customers"},
		{"no customer", "GET", "/api/v1/customers/C2", "", nil, 404, ""},
		{"strange customer", "GET", "/api/v1/customers/%1f%00", "", nil, 404, ""},
		{"erase nobody", "DELETE", "/api/v1/customers/C2", "", nil, 404, ""},
		{"run of an unknown engine", "POST", "/api/v1/runs", "application/json", []byte(`{"engines":["weather"]}`), 422, "engine"},
		{"no run", "GET", "/api/v1/runs/2020-01-01-all-1", "", nil, 404, ""},
		{"limit", "GET", "/api/v1/runs?limit=0", "", nil, 400, "limit"},
		{"cursor", "GET", "/api/v1/scores?cursor=nonsense", "", nil, 400, "cursor"},
		{"no list", "GET", "/api/v1/action-lists/2020-01-01", "", nil, 404, ""},
		{"no date", "GET", "/api/v1/action-lists/yesterday", "", nil, 404, "date"},
		{"no import", "GET", "/api/v1/imports/x", "", nil, 404, ""},
		{"import of JSON", "POST", "/api/v1/imports", "application/json", []byte("{}"), 415, "multipart"},
		{"import without boundary", "POST", "/api/v1/imports", "multipart/form-data", []byte("x"), 400, ""},
		{"import cut off", "POST", "/api/v1/imports", "multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"customers\"\r\n\r\nabc"), 400, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := w.do("key-one", tc.method, tc.path, tc.media, tc.body)
			if out.Code != tc.want || !strings.Contains(out.Body.String(), tc.says) {
				t.Errorf("%d, want %d saying %q: %s", out.Code, tc.want, tc.says, out.Body)
			}
			if ct := out.Header().Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("no problem document but %s", ct)
			}
		})
	}
	media, body := upload(t, "customers", "id,name\n1,x\n")
	out := w.do("key-one", "POST", "/api/v1/imports", media, body)
	w.work()
	if got := w.do("key-one", "GET", out.Header().Get("Location"), "", nil); !strings.Contains(got.Body.String(), `"status":"failed"`) || !strings.Contains(got.Body.String(), "customer_id") {
		t.Errorf("a header mistake: %s", got.Body)
	}
}

// TestIdempotency holds POSTs that create to the draft's rules.
func TestIdempotency(t *testing.T) {
	w := newWorld(t)
	one := w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-01"}, "Idempotency-Key", "a")
	two := w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-01"}, "Idempotency-Key", "a")
	if one.Code != 202 || two.Code != 202 || one.Body.String() != two.Body.String() {
		t.Errorf("a repeat: %d %s, then %d %s", one.Code, one.Body, two.Code, two.Body)
	}
	if out := w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-02"}, "Idempotency-Key", "a"); out.Code != 422 {
		t.Errorf("another body under the same key: %d", out.Code)
	}
	if out := w.json("key-two", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-02"}, "Idempotency-Key", "a"); out.Code != 202 {
		t.Errorf("another tenant's key is in the way: %d", out.Code)
	}
	if out := w.json("key-one", "POST", "/api/v1/runs", map[string]any{}, "Idempotency-Key", strings.Repeat("k", 201)); out.Code != 400 {
		t.Errorf("a key too long: %d", out.Code)
	}
}

// TestSpecCodeAndFunctionsAgree finds every operation of the specification in the code
// and in functions/, and the other way round.
func TestSpecCodeAndFunctionsAgree(t *testing.T) {
	doc, err := libopenapi.NewDocument(spec)
	must(t, err)
	model, err := doc.BuildV3Model()
	must(t, err)
	inSpec, says := map[string]bool{}, summaries()
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			pattern := strings.ToUpper(method) + " /api" + path
			inSpec[pattern] = true
			if op.Summary == "" || says[pattern] != op.Summary {
				t.Errorf("%s: the page of operations says %q, the specification %q", pattern, says[pattern], op.Summary)
			}
		}
	}
	inCode, paths := map[string]bool{}, map[string]map[string]bool{"Unknown": {"{*path}": true}}
	for _, rt := range routes() {
		inCode[rt.pattern] = true
		if paths[rt.function] == nil {
			paths[rt.function] = map[string]bool{}
		}
		_, path, _ := strings.Cut(rt.pattern, " /api/")
		paths[rt.function][path] = true
	}
	same(t, "operations of openapi.yaml", inSpec, "routes of the code", inCode)

	inFunctions := map[string]bool{}
	root := filepath.Join("..", "..", "..", "functions")
	entries, err := os.ReadDir(root)
	must(t, err)
	for _, e := range entries {
		body, err := os.ReadFile(filepath.Join(root, e.Name(), "function.json"))
		must(t, err)
		var f struct {
			Bindings []struct {
				Type, Route string
				Methods     []string
				AuthLevel   string
			}
		}
		must(t, json.Unmarshal(body, &f))
		if f.Bindings[0].Type != "httpTrigger" {
			continue
		}
		inFunctions[e.Name()] = true
		if f.Bindings[0].AuthLevel != "anonymous" {
			t.Errorf("%s: authLevel %s: Polis's callers guard its routes, not functions keys", e.Name(), f.Bindings[0].AuthLevel)
		}
		if len(f.Bindings[0].Methods) > 0 {
			t.Errorf("%s: the host answers methods that a function does not name with 404 and without Allow: name none", e.Name())
		}
		same(t, "route of functions/"+e.Name(), map[string]bool{f.Bindings[0].Route: true}, "routes of the code", paths[e.Name()])
	}
	for name := range paths {
		if !inFunctions[name] {
			t.Errorf("functions/ has no %s", name)
		}
	}
}

// TestQueriesOfTheSpecification finds the query parameters of every operation in the code, and
// the other way round.
func TestQueriesOfTheSpecification(t *testing.T) {
	doc, err := libopenapi.NewDocument(spec)
	must(t, err)
	model, err := doc.BuildV3Model()
	must(t, err)
	for _, rt := range routes() {
		method, path, _ := strings.Cut(rt.pattern, " /api")
		op, ok := model.Model.Paths.PathItems.GetOrZero(path).GetOperations().Get(strings.ToLower(method))
		if !ok {
			t.Fatalf("%s is not in the specification", rt.pattern)
		}
		inSpec, inCode := map[string]bool{}, map[string]bool{}
		for _, p := range op.Parameters {
			if p.In == "query" {
				inSpec[p.Name] = true
			}
		}
		for _, name := range rt.query {
			inCode[name] = true
		}
		same(t, rt.pattern+" of openapi.yaml", inSpec, "queries of the code", inCode)
	}
}

// TestQueries: what an operation does not know it refuses, and names it.
func TestQueries(t *testing.T) {
	w := newWorld(t)
	score, err := json.Marshal(map[string]any{"aggregates": []any{aggregate("C1")}})
	must(t, err)
	for _, c := range []struct {
		method, path string
		want         int
		says         string
	}{
		{"GET", "/api/v1/runs?limit=5", 200, ""},
		{"GET", "/api/v1/runs?limitt=5", 400, "limitt"},
		{"GET", "/api/v1/runs?Limit=5", 400, "Limit"},
		{"GET", "/api/v1/runs?limit=5&limit=5", 400, "limit"},
		{"GET", "/api/v1/runs?before=a%2Cb", 400, "before"}, // as the host joins them
		{"GET", "/api/v1/runs?lang=nl", 400, "lang"},
		{"GET", "/api/v1/runs?%zz=1", 400, "query"},
		{"GET", "/api/v1/imports?cursor=1", 400, "cursor"},
		{"GET", "/api/v1/imports?code=a&clientId=b&subscription-key=c", 200, ""}, // not for us
		{"GET", "/api/v1/imports/none?as_of=2026-01-01", 400, "as_of"},
		{"GET", "/api/health?probe=1", 400, "probe"},
		{"GET", "/api/health?code=a", 200, ""},
		{"POST", "/api/v1/risk/scores?lang=nl", 200, ""},
		{"POST", "/api/v1/risk/scores?lang=nl&lang=en", 400, "lang"},
		{"POST", "/api/v1/risk/scores?as_of=2026-01-01", 400, "as_of"},
	} {
		media, body := "", []byte(nil)
		if c.method == "POST" {
			media, body = "application/json", score
		}
		out := w.do("key-one", c.method, c.path, media, body)
		if out.Code != c.want || !strings.Contains(out.Body.String(), c.says) {
			t.Errorf("%s %s: %d, want %d naming %s: %s", c.method, c.path, out.Code, c.want, c.says, out.Body)
		}
		if out.Code >= 400 && out.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: no problem", c.method, c.path)
		}
	}
	if out := w.do("key-reader", "GET", "/api/v1/imports?x=1", "", nil); out.Code != 403 {
		t.Errorf("who may not is told of parameters: %d", out.Code)
	}
}

// TestMethods: HEAD is answered wherever GET is, and any other method that a resource does not
// have with those it has.
func TestMethods(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewServer(w.api)
	defer srv.Close()
	takes := map[string][]string{}
	for _, rt := range routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if method == "GET" {
			takes[path] = append(takes[path], "GET", "HEAD")
			continue
		}
		takes[path] = append(takes[path], method)
	}
	call := func(method, path string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer key-one")
		resp, err := srv.Client().Do(r)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		return resp, string(body)
	}
	for path, methods := range takes {
		path = strings.NewReplacer("{", "", "}", "").Replace(path)
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			resp, body := call(m, path)
			allow := strings.Split(resp.Header.Get("Allow"), ", ")
			slices.Sort(allow)
			slices.Sort(methods)
			switch {
			case !slices.Contains(methods, m):
				if resp.StatusCode != 405 || !slices.Equal(allow, methods) || resp.Header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s %s: %d, Allow %v, want 405 and %v", m, path, resp.StatusCode, allow, methods)
				}
			case m == "HEAD":
				if get, _ := call("GET", path); resp.StatusCode != get.StatusCode || body != "" || resp.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
					t.Errorf("HEAD %s: %d %s, GET %d %s", path, resp.StatusCode, resp.Header.Get("Content-Type"), get.StatusCode, get.Header.Get("Content-Type"))
				}
			case resp.StatusCode == 405:
				t.Errorf("%s %s: 405", m, path)
			}
		}
	}
	if resp, body := call("GET", "/api/v1/none/such"); resp.StatusCode != 404 || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("an unknown path: %d %s", resp.StatusCode, body)
	}
}

func same(t *testing.T, aName string, a map[string]bool, bName string, b map[string]bool) {
	t.Helper()
	for k := range a {
		if !b[k] {
			t.Errorf("%s: %s is not among %s", aName, k, bName)
		}
	}
	for k := range b {
		if !a[k] {
			t.Errorf("%s: %s is not among %s", bName, k, aName)
		}
	}
}

func FuzzScoreRequest(f *testing.F) {
	seed, err := json.Marshal(map[string]any{"aggregates": []any{aggregate("C1")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"as_of":"2026-01-01","customers":["a"]}`))
	f.Add([]byte(`{"aggregates":[{"customers":[{"customer_id":"a"}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var q scoring.Request
		if err := decode(body, &q); err != nil {
			return
		}
		for i := range q.Aggregates {
			if len(q.Aggregates[i].Check("", portfolio.DateOf(noon))) > 0 {
				return
			}
			q.Aggregates[i].Normalise(portfolio.DateOf(noon))
			var e portfolio.Encoder
			b := e.Append(nil, &q.Aggregates[i])
			if _, err := new(portfolio.Decoder).Decode(b); err != nil {
				t.Fatalf("an aggregate that was accepted cannot be stored: %v", err)
			}
		}
	})
}

// TestBranchesUnderOtherNames: life and health are left out of risk under whatever name they are sent.
func TestBranchesUnderOtherNames(t *testing.T) {
	w := newWorld(t)
	status := func(branch string) string {
		a := aggregate("X1")
		a["policies"] = []any{map[string]any{"policy_id": "X1-P", "customer_id": "X1", "branch": branch, "start_date": "2022-01-01", "annual_premium": 500, "status": "active"}}
		var out struct {
			Results []struct {
				Status string `json:"status"`
			} `json:"results"`
		}
		delete(a, "claims")
		got := w.json("key-one", "POST", "/api/v1/risk/scores", map[string]any{"aggregates": []any{a}})
		if must(t, json.Unmarshal(got.Body.Bytes(), &out)); len(out.Results) != 1 {
			t.Fatalf("%s: %d %s", branch, got.Code, got.Body)
		}
		return out.Results[0].Status
	}
	for _, branch := range []string{"health", "Health", "LIFE", "zorg", "Leven", "aov", "ziektekosten", "health_dental", "uitvaart", "verzuim"} {
		if got := status(branch); got != "not_in_scope" {
			t.Errorf("%s: %s", branch, got)
		}
	}
	for _, branch := range []string{"motor", "caravan", "zorgeloos wonen"} {
		if got := status(branch); got != "scored" {
			t.Errorf("%s: %s", branch, got)
		}
	}
	must(t, w.book.NameBranches(t.Context(), "one", portfolio.BranchNames{"mijn plan": "life"}))
	a := aggregate("X2")
	a["policies"].([]any)[0].(map[string]any)["branch"] = "Mijn Plan"
	if got := w.json("key-one", "PUT", "/api/v1/customers/X2", a); got.Code != 201 {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	if got := w.do("key-one", "GET", "/api/v1/customers/X2", "", nil); !strings.Contains(got.Body.String(), `"branch":"life"`) {
		t.Errorf("kept as %s", got.Body)
	}
}

// TestNotReady: who asks without a token learns that it is not, and no more; the log has the part.
func TestNotReady(t *testing.T) {
	w := newWorld(t)
	w.broken = errors.New("account cosno-secret does not answer")
	out := w.do("", "GET", "/api/ready", "", nil)
	if want := `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"not ready"}`; out.Code != 503 || out.Body.String() != want {
		t.Errorf("%d %s", out.Code, out.Body)
	}
	if out := w.do("", "GET", "/api/health", "", nil); out.Code != 200 {
		t.Errorf("health asks as well: %d", out.Code)
	}
}
