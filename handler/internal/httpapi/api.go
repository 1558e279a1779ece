// Package httpapi is Polis's HTTP API: routes, callers, problems and idempotency.
// openapi.yaml beside it is the truth about every operation; tests hold the two together.
package httpapi

import (
	"context"
	_ "embed" // the specification
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/actions"
	"polis/handler/internal/audit"
	"polis/handler/internal/book"
	"polis/handler/internal/caller"
	"polis/handler/internal/decision"
	"polis/handler/internal/effect"
	"polis/handler/internal/exports"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/imports"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/quota"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
	"polis/handler/internal/watch"
	"polis/handler/internal/wording"
)

//go:embed openapi.yaml
var spec []byte

// Scores answers score requests.
type Scores interface {
	Score(ctx context.Context, tenant string, e scoring.Engine, q *scoring.Request) (*scoring.Answer, error)
	WhatIf(ctx context.Context, tenant string, q *scoring.WhatIfRequest) (*scoring.WhatIfAnswer, error)
}

// Runs starts and shows runs.
type Runs interface {
	StartWithin(ctx context.Context, t book.Tenant, asOf portfolio.Date, engines []scoring.Engine, again bool, most int) (run.Progress, bool, error)
	Get(ctx context.Context, tenant, id string) (run.Progress, error)
	List(ctx context.Context, tenant, before string, max int) ([]run.Progress, error)
}

// Lists shows action lists and takes what people did.
type Lists interface {
	Heads(ctx context.Context, tenant string) ([]actions.Head, error)
	Head(ctx context.Context, tenant string, date portfolio.Date) (actions.Head, error)
	Newest(ctx context.Context, tenant string) (actions.Head, error)
	Items(ctx context.Context, tenant string, h *actions.Head, part actions.Part, after, most int) ([]actions.Item, bool, error)
	Record(ctx context.Context, t book.Tenant, date portfolio.Date, item string, r feedback.Reply) (actions.Item, error)
	Counted(ctx context.Context, tenant string) (*effect.Counted, error)
	Forget(ctx context.Context, tenant, customer string) error
	Clear(ctx context.Context, tenant, customer string) error
	Withdraw(ctx context.Context, tenant, customer string) error
}

// Imports takes files in and shows what came of them.
type Imports interface {
	Start(ctx context.Context, t book.Tenant, u imports.Upload) (imports.Import, error)
	Get(ctx context.Context, tenant, id string) (imports.Import, error)
	List(ctx context.Context, tenant string) ([]imports.Import, error)
	Report(ctx context.Context, tenant, id string) (io.ReadCloser, error)
}

// Exports makes a tenant's tables, and gives them out.
type Exports interface {
	Start(ctx context.Context, t book.Tenant) (exports.Export, error)
	Get(ctx context.Context, tenant, id string) (exports.Export, error)
	List(ctx context.Context, tenant string) ([]exports.Export, error)
	Open(ctx context.Context, tenant, id, name string) (io.ReadCloser, exports.File, error)
	Delete(ctx context.Context, tenant, id string) error
}

// Decisions explains decisions and keeps what people did with them.
type Decisions interface {
	Get(ctx context.Context, t book.Tenant, id string) (*decision.Decision, error)
	Rely(ctx context.Context, t book.Tenant, id string, r decision.Reliance) (*decision.Decision, error)
	Review(ctx context.Context, t book.Tenant, id string, r decision.Review) (*decision.Review, bool, error)
	Decide(ctx context.Context, t book.Tenant, id, status string, o decision.Outcome) (*decision.Review, error)
	Open(ctx context.Context, t book.Tenant) ([]decision.Open, error)
	Sentences(ctx context.Context, t book.Tenant) (*wording.Sentences, error)
	Object(ctx context.Context, t book.Tenant, customer string, o portfolio.Objection) (decision.Objection, string, error)
	Objection(ctx context.Context, t book.Tenant, customer string) (decision.Objection, error)
}

// Reports shows the monthly reports on models.
type Reports interface {
	Get(ctx context.Context, tenant, month string) (*audit.Report, error)
	List(ctx context.Context, tenant string, max int) ([]watch.Head, error)
}

// Ready says whether what requests need can be reached.
type Ready interface {
	Ask(ctx context.Context) error
}

// API is what the routes need. All of it is required.
type API struct {
	Auth      caller.Authenticator
	Book      *book.Book
	Scores    Scores
	Runs      Runs
	Lists     Lists
	Imports   Imports
	Exports   Exports
	Decisions Decisions
	Reports   Reports
	Ready     Ready
	Quotas    *quota.Quotas
	Keep      store.Store // idempotency records
	Now       func() time.Time
	Log       zerolog.Logger
}

// route is one operation: a function of functions/, which it names, answers it.
type route struct {
	pattern   string
	function  string
	role      caller.Role // "" where the route is public
	creates   bool        // honours Idempotency-Key
	storeless bool        // may need nothing that is stored: the tenant is not looked up
	query     []string    // the parameters that it takes in the query
	serve     func(*API, http.ResponseWriter, *http.Request, call) error
}

// call is a request's caller and its tenant.
type call struct {
	caller.Caller
	tenant book.Tenant
}

// Prefix is what all routes begin with; the Functions host's routePrefix.
const Prefix = "/api"

// routes are all operations. Each is HTTP-triggered; queue and timer functions do not
// come this way.
func routes() []route {
	words := []string{"lang"}
	list := []route{
		{"GET /api/health", "Health", "", false, false, nil, (*API).health},
		{"GET /api/ready", "Ready", "", false, false, nil, (*API).ready},
		{"GET /api/openapi.yaml", "OpenApi", "", false, false, nil, (*API).openAPI},
		{"GET /api/docs", "Docs", "", false, false, nil, (*API).docs},
		{"POST /api/v1/imports", "Imports", caller.PortfolioWrite, true, false, nil, (*API).startImport},
		{"GET /api/v1/imports", "Imports", caller.PortfolioWrite, false, false, nil, (*API).listImports},
		{"GET /api/v1/imports/{import}", "Import", caller.PortfolioWrite, false, false, nil, (*API).getImport},
		{"GET /api/v1/imports/{import}/report", "ImportReport", caller.PortfolioWrite, false, false, nil, (*API).importReport},
		{"POST /api/v1/exports", "Exports", caller.Admin, true, false, nil, (*API).startExport},
		{"GET /api/v1/exports", "Exports", caller.Admin, false, false, nil, (*API).listExports},
		{"GET /api/v1/exports/{export}", "Export", caller.Admin, false, false, nil, (*API).getExport},
		{"DELETE /api/v1/exports/{export}", "Export", caller.Admin, false, false, nil, (*API).deleteExport},
		{"GET /api/v1/exports/{export}/{file}", "ExportFile", caller.Admin, false, false, nil, (*API).exportFile},
		{"GET /api/v1/customers/{customer}", "Customer", caller.ScoresRead, false, false, nil, (*API).getCustomer},
		{"PUT /api/v1/customers/{customer}", "Customer", caller.PortfolioWrite, false, false, nil, (*API).putCustomer},
		{"DELETE /api/v1/customers/{customer}", "Customer", caller.PortfolioWrite, false, false, nil, (*API).eraseCustomer},
		{"GET /api/v1/customers/{customer}/scores", "CustomerScores", caller.ScoresRead, false, false, words, (*API).customerScores},
		{"GET /api/v1/customers/{customer}/actions", "CustomerActions", caller.ScoresRead, false, false, nil, (*API).customerActions},
		{"GET /api/v1/customers/{customer}/objection", "CustomerObjection", caller.ScoresRead, false, false, nil, (*API).getObjection},
		{"POST /api/v1/customers/{customer}/objection", "CustomerObjection", caller.ActionsWrite, true, false, nil, (*API).object},
		{"POST /api/v1/customers/{customer}/objection/withdrawal", "CustomerObjectionWithdrawal", caller.ActionsWrite, true, false, nil, (*API).withdraw},
		{"GET /api/v1/decisions/{decision}", "Decision", caller.ScoresRead, false, false, words, (*API).getDecision},
		{"POST /api/v1/decisions/{decision}/reliance", "DecisionReliance", caller.ActionsWrite, true, false, nil, (*API).rely},
		{"POST /api/v1/decisions/{decision}/review", "DecisionReview", caller.ActionsWrite, true, false, nil, (*API).review},
		{"POST /api/v1/decisions/{decision}/review/outcome", "DecisionReviewOutcome", caller.ReviewsWrite, true, false, nil, (*API).decide},
		{"GET /api/v1/reviews", "Reviews", caller.ScoresRead, false, false, nil, (*API).listReviews},
		{"GET /api/v1/scores", "Scores", caller.ScoresRead, false, false, []string{"lang", "limit", "cursor"}, (*API).listScores},
		{"POST /api/v1/churn/what-ifs", "ChurnWhatIf", caller.ScoresRead, false, false, words, (*API).whatIf},
		{"POST /api/v1/runs", "Runs", caller.ScoresRun, true, false, nil, (*API).startRun},
		{"GET /api/v1/runs", "Runs", caller.ScoresRead, false, false, []string{"limit", "before"}, (*API).listRuns},
		{"GET /api/v1/runs/{run}", "Run", caller.ScoresRead, false, false, nil, (*API).getRun},
		{"GET /api/v1/drift-reports", "DriftReports", caller.ScoresRead, false, false, nil, (*API).listReports},
		{"GET /api/v1/drift-reports/{month}", "DriftReport", caller.ScoresRead, false, false, nil, (*API).getReport},
		{"GET /api/v1/action-lists", "ActionLists", caller.ScoresRead, false, false, nil, (*API).listLists},
		{"GET /api/v1/action-lists/{date}", "ActionList", caller.ScoresRead, false, false, []string{"part", "limit", "cursor"}, (*API).getList},
		{"POST /api/v1/action-lists/{date}/items/{item}/feedback", "ActionFeedback", caller.ActionsWrite, true, false, nil, (*API).feedback},
		{"GET /api/v1/actions/effects", "ActionEffects", caller.ScoresRead, false, false, nil, (*API).effects},
	}
	for _, e := range scoring.Engines {
		name := e.String()
		list = append(list, route{
			"POST /api/v1/" + name + "/scores", strings.ToUpper(name[:1]) + name[1:] + "Score", caller.ScoresRead, false, true, words,
			func(a *API, w http.ResponseWriter, r *http.Request, c call) error { return a.score(w, r, c, e) },
		})
	}
	return list
}

// New is the API's handler. It panics where something that it needs is missing.
func New(a API) http.Handler {
	if a.Auth == nil || a.Book == nil || a.Scores == nil || a.Runs == nil || a.Lists == nil || a.Imports == nil || a.Exports == nil || a.Decisions == nil || a.Reports == nil || a.Ready == nil || a.Quotas == nil || a.Keep == nil || a.Now == nil {
		panic("httpapi: a dependency is missing")
	}
	mux := http.NewServeMux()
	for _, rt := range routes() {
		mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := a.serve(rt, w, r); err != nil {
				writeProblem(w, r, err)
			}
		})
	}
	return a.observe(mux)
}

// serve finds the caller, checks its role and tenant, and runs the operation.
func (a *API) serve(rt route, w http.ResponseWriter, r *http.Request) error {
	if rt.role == "" {
		if err := checkQuery(r, rt.query); err != nil {
			return err
		}
		return rt.serve(a, w, r, call{})
	}
	c, _ := r.Context().Value(callerKey{}).(caller.Caller)
	if !c.May(rt.role) {
		return fault.New(fault.Forbidden, "this needs the role %s", rt.role)
	}
	if err := checkQuery(r, rt.query); err != nil {
		return err
	}
	if rt.storeless {
		return rt.serve(a, w, r, call{c, book.Tenant{ID: c.Tenant}})
	}
	t, err := a.Book.Tenant(r.Context(), c.Tenant)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Forbidden, "the caller's tenant does not exist: polis import makes it, of the same id as in the caller's tokens")
		}
		return err
	}
	in := call{c, t}
	if rt.creates {
		return a.once(rt, w, r, in)
	}
	return rt.serve(a, w, r, in)
}

// ofOthers are query parameters that are not for operations: the keys that the Functions
// host and API Management take there, which both pass on.
var ofOthers = []string{"code", "clientId", "subscription-key"}

// checkQuery refuses a parameter that an operation does not take, which may be one that the
// caller counts on, and one that is there twice. The host joins those by commas when it
// forwards a request; no value of a parameter of ours has a comma in it.
func checkQuery(r *http.Request, takes []string) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Wrap(fault.Malformed, err, "the query cannot be read")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		switch {
		case slices.Contains(ofOthers, name):
		case !slices.Contains(takes, name):
			return fault.New(fault.Malformed, "%.50q is not a query parameter of this operation", name)
		case len(values) > 1 || strings.Contains(values[0], ","):
			return fault.New(fault.Malformed, "the query parameter %s is there more than once", name)
		}
	}
	return nil
}

type callerKey struct{}

// public are the paths that need no caller.
var public = map[string]bool{Prefix + "/health": true, Prefix + "/ready": true, Prefix + "/openapi.yaml": true, Prefix + "/docs": true}

// observe is around everything: a caller before any route, a problem for what no route
// takes, a log line a request without anything that could identify a person.
func (a *API) observe(mux *http.ServeMux) http.Handler {
	room := newBodies()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := a.Now()
		out := &recorder{ResponseWriter: w}
		defer drain(r.Body)
		_, pattern := mux.Handler(r)
		defer func() {
			if p := recover(); p != nil {
				a.Log.Error().Str("invocation", r.Header.Get("X-Azure-Functions-InvocationId")).Str("route", pattern).Msg("a request broke off")
				if out.status == 0 {
					writeProblem(out, r, fault.New(fault.Internal, "the request broke off"))
				}
			}
			tenant := ""
			if c, ok := r.Context().Value(callerKey{}).(caller.Caller); ok {
				tenant = c.Tenant
			}
			a.Log.Info().Str("invocation", r.Header.Get("X-Azure-Functions-InvocationId")).Str("method", r.Method).
				Str("route", pattern).Str("tenant", tenant).Int("status", out.status).
				Float64("ms", float64(a.Now().Sub(started).Microseconds())/1000).Msg("request")
		}()
		if !public[r.URL.Path] {
			c, err := a.Auth.Authenticate(r)
			if err != nil {
				writeProblem(out, r, err)
				return
			}
			*r = *r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
			if err := a.admit(out, c.Tenant); err != nil {
				writeProblem(out, r, err)
				return
			}
		}
		if pattern == "" {
			writeProblem(out, r, unrouted(mux, r, out))
			return
		}
		leave, err := room.enter(r.Context(), r)
		if err != nil {
			writeProblem(out, r, err)
			return
		}
		defer leave()
		mux.ServeHTTP(out, r)
	})
}

// drain reads what an answer left of a body, as much as the host lets through, before the
// answer goes out: the host writes a whole request before it reads, and would find the
// connection gone and say 502 in place of our 413, 401 or 429.
func drain(body io.Reader) {
	_, _ = io.CopyN(io.Discard, body, maxUpload) // the caller may have gone
}

// admit takes a request of the tenant's minute, and says in the headers of
// draft-ietf-httpapi-ratelimit-headers what is left of it.
func (a *API) admit(w http.ResponseWriter, tenant string) error {
	left, err := a.Quotas.Request(tenant)
	w.Header().Set("RateLimit-Policy", fmt.Sprintf(`"tenant";q=%d;w=60`, a.Quotas.Of(tenant).Requests))
	w.Header().Set("RateLimit", fmt.Sprintf(`"tenant";r=%d`, left))
	return err
}

// unrouted tells an unknown path from a known one with another method, and for that one
// names the methods it has.
func unrouted(mux *http.ServeMux, r *http.Request, w http.ResponseWriter) error {
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, p := mux.Handler(probe); p != "" {
			allow = append(allow, m)
		}
	}
	if len(allow) == 0 {
		return fault.New(fault.NotFound, "no such resource")
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	return fault.New(fault.MethodNotAllowed, "the resource takes %s", strings.Join(allow, ", "))
}

// recorder remembers the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what is below.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
