package httpapi

import (
	"encoding/base64"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/book"
	"polis/handler/internal/caller"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/feedback"
	"polis/handler/internal/imports"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
)

func (a *API) health(w http.ResponseWriter, _ *http.Request, _ call) error {
	return writeBody(w, http.StatusOK, "application/health+json", []byte(`{"status":"pass","serviceId":"polis"}`))
}

// ready answers who has no token: what does not answer is for the log alone.
func (a *API) ready(w http.ResponseWriter, r *http.Request, c call) error {
	if err := a.Ready.Ask(r.Context()); err != nil {
		a.Log.Error().Err(err).Msg("not ready")
		return err
	}
	return a.health(w, r, c)
}

func (a *API) openAPI(w http.ResponseWriter, _ *http.Request, _ call) error {
	return writeBody(w, http.StatusOK, "application/yaml", spec)
}

// score answers with {"results": […], "errors": […]}. The results are JSON already.
func (a *API) score(w http.ResponseWriter, r *http.Request, c call, e scoring.Engine) error {
	var q scoring.Request
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	ans, err := a.Scores.Score(r.Context(), c.tenant.ID, e, &q)
	if err != nil {
		return err
	}
	in, err := a.wanted(w, r, c)
	if err != nil {
		return err
	}
	b := append(make([]byte, 0, 2048), `{"results":[`...)
	for i, s := range ans.Scores {
		if i > 0 {
			b = append(b, ',')
		}
		if s, err = in.add(s); err != nil {
			return err
		}
		b = append(b, s...)
	}
	b = append(b, `],"errors":[`...)
	for i, e := range ans.Errors {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(e.Index), 10)
		b = append(b, `,"detail":`...)
		b = strconv.AppendQuote(b, e.Detail)
		b = append(b, '}')
	}
	return writeBody(w, http.StatusOK, "application/json", append(b, "]}"...))
}

// whatIf answers what goes with changes of premiums.
func (a *API) whatIf(w http.ResponseWriter, r *http.Request, c call) error {
	var q scoring.WhatIfRequest
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	ans, err := a.Scores.WhatIf(r.Context(), c.tenant.ID, &q)
	if err != nil {
		return err
	}
	in, err := a.wanted(w, r, c)
	if err != nil {
		return err
	}
	if in.asked {
		for i := range ans.Results {
			for k := range ans.Results[i].Policies {
				p := &ans.Results[i].Policies[k]
				var d scoring.WhatIfDifference
				if p.WhatIfDifference != nil {
					d = *p.WhatIfDifference
				}
				p.Text = in.sentences.WhatIf(in.lang, p.Why, p.Percent/100, d.With, d.Without)
			}
		}
	}
	return writeJSON(w, http.StatusOK, ans)
}

// maxUpload is the Functions host's own limit of a request.
const maxUpload = 100 << 20

func (a *API) startImport(w http.ResponseWriter, r *http.Request, c call) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		return fault.New(fault.Unsupported, "send multipart/form-data with the parts customers, policies, claims, contacts, enrichment and branches")
	}
	if r.ContentLength > maxUpload {
		return fault.New(fault.TooLarge, "an upload is at most %d bytes: gzip the files, or bring them in with polis import", maxUpload)
	}
	list, err := a.Imports.List(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	if err := room(a.Now(), list, "imports", a.Quotas.Of(c.tenant.ID).Imports, func(i *imports.Import) (string, time.Time) { return i.Status, i.Created }); err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	parts, err := r.MultipartReader()
	if err != nil {
		return fault.Wrap(fault.Malformed, err, "reading the upload")
	}
	i, err := a.Imports.Start(r.Context(), c.tenant, parts)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return fault.New(fault.TooLarge, "an upload is at most %d bytes", maxUpload)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/imports/"+i.ID)
	return writeJSON(w, http.StatusAccepted, i)
}

// room refuses what is asked for where as many of the tenant's jobs wait already as may.
func room[T any](now time.Time, jobs []T, called string, most int, of func(*T) (status string, created time.Time)) error {
	waiting := 0
	for i := range jobs {
		if status, created := of(&jobs[i]); status == "waiting" && now.Sub(created) < run.Forgotten {
			waiting++
		}
	}
	if waiting >= most {
		return fault.Later(time.Minute, "%d %s of the tenant wait, and %d may", waiting, called, most)
	}
	return nil
}

func (a *API) listImports(w http.ResponseWriter, r *http.Request, c call) error {
	list, err := a.Imports.List(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Imports []imports.Import `json:"imports"`
	}{orEmpty(list)})
}

// orEmpty makes an empty list [] rather than null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (a *API) getImport(w http.ResponseWriter, r *http.Request, c call) error {
	i, err := a.Imports.Get(r.Context(), c.tenant.ID, r.PathValue("import"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, i)
}

func (a *API) importReport(w http.ResponseWriter, r *http.Request, c call) error {
	report, err := a.Imports.Report(r.Context(), c.tenant.ID, r.PathValue("import"))
	if err != nil {
		return err
	}
	defer report.Close()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	_, err = io.Copy(w, report)
	if err != nil {
		a.Log.Warn().Err(err).Msg("a report was cut off")
	}
	return nil
}

func (a *API) getCustomer(w http.ResponseWriter, r *http.Request, c call) error {
	rec, err := a.Book.Customer(r.Context(), c.tenant, r.PathValue("customer"))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", strconv.Quote(rec.ETag))
	return writeJSON(w, http.StatusOK, rec.Aggregate)
}

// putCustomer replaces a customer with all its versions, or creates it. If-Match names
// what is replaced; without it the stored one is, whatever it is.
func (a *API) putCustomer(w http.ResponseWriter, r *http.Request, c call) error {
	var agg portfolio.Aggregate
	if err := readJSON(w, r, &agg); err != nil {
		return err
	}
	today := portfolio.DateOf(a.Now())
	fields := agg.Check("", today)
	if len(fields) == 0 && agg.ID() != r.PathValue("customer") {
		fields = append(fields, fault.Field{Pointer: "/customers/0/customer_id", Detail: "is not that of the path"})
	}
	if len(fields) > 0 {
		return &fault.Error{Kind: fault.Invalid, Detail: "rows break rules", Fields: fields[:min(len(fields), 100)]}
	}
	agg.NameBranches(c.tenant.Branches)
	agg.Normalise(today)
	rec, err := a.Book.Customer(r.Context(), c.tenant, agg.ID())
	exists := err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := precondition(r, exists, rec.ETag); err != nil {
		return err
	}
	if exists {
		agg.KeepObjections(rec.Aggregate)
	}
	if err := a.Book.Put(r.Context(), c.tenant, &agg, rec.ETag); err != nil {
		return err
	}
	if exists {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Location", "/api/v1/customers/"+url.PathEscape(agg.ID()))
	w.WriteHeader(http.StatusCreated)
	return nil
}

// precondition checks If-Match and If-None-Match; Conflict where they do not hold.
func precondition(r *http.Request, exists bool, etag string) error {
	if m := r.Header.Get("If-Match"); m != "" && (!exists || m != "*" && !hasTag(m, etag)) {
		return fault.New(fault.Conflict, "the customer is not the one that If-Match names")
	}
	if m := r.Header.Get("If-None-Match"); m != "" && exists && (m == "*" || hasTag(m, etag)) {
		return fault.New(fault.Conflict, "the customer exists")
	}
	return nil
}

func hasTag(header, etag string) bool {
	for _, t := range strings.Split(header, ",") {
		if strings.TrimSpace(t) == strconv.Quote(etag) {
			return true
		}
	}
	return false
}

// eraseCustomer removes all that is kept of a customer: on lists first, since a repeat, and the note for
// lists in the making, find the customer by its place, which goes last.
func (a *API) eraseCustomer(w http.ResponseWriter, r *http.Request, c call) error {
	id := r.PathValue("customer")
	if err := a.Lists.Forget(r.Context(), c.tenant.ID, id); err != nil {
		return err
	}
	found, err := a.Book.Erase(r.Context(), c.tenant, id)
	if err != nil {
		return err
	}
	if !found {
		return fault.New(fault.NotFound, "no such customer")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) customerScores(w http.ResponseWriter, r *http.Request, c call) error {
	rec, err := a.Book.Customer(r.Context(), c.tenant, r.PathValue("customer"))
	if err != nil {
		return err
	}
	stored, err := scoring.DecodeStored(rec.Scores)
	if err != nil {
		return err
	}
	in, err := a.wanted(w, r, c)
	if err != nil {
		return err
	}
	body, err := appendScores(nil, &stored, c.tenant.ID, r.PathValue("customer"), in)
	if err != nil {
		return err
	}
	return writeBody(w, http.StatusOK, "application/json", body)
}

// appendScores appends {"scores": […]}: the latest of each engine.
func appendScores(b []byte, s *scoring.Stored, tenant, customer string, in words) ([]byte, error) {
	b = append(b, `{"scores":[`...)
	first := true
	for _, e := range scoring.Engines {
		if !s.Has(e) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		score, err := in.add(s.AppendJSON(nil, e, tenant, customer))
		if err != nil {
			return nil, err
		}
		b, first = append(b, score...), false
	}
	return append(b, "]}"...), nil
}

// limit reads ?limit=, 1 to most.
func limit(r *http.Request, otherwise, most int) (int, error) {
	s := r.URL.Query().Get("limit")
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fault.New(fault.Malformed, "limit is a whole number from 1 to %d", most)
	}
	return n, nil
}

// listScores pages through the latest scores of all customers, bucket by bucket. The
// cursor is where the last page ended.
func (a *API) listScores(w http.ResponseWriter, r *http.Request, c call) error {
	n, err := limit(r, 100, 1000)
	if err != nil {
		return err
	}
	bucket, after, err := readCursor(r.URL.Query().Get("cursor"), c.tenant.Buckets)
	if err != nil {
		return err
	}
	in, err := a.wanted(w, r, c)
	if err != nil {
		return err
	}
	b := []byte(`{"customers":[`)
	count, next := 0, ""
	for ; bucket < c.tenant.Buckets && next == ""; bucket, after = bucket+1, "" {
		for s, err := range a.Book.AllScores(r.Context(), c.tenant, bucket, after) {
			if err != nil {
				return err
			}
			stored, err := scoring.DecodeStored(s.Body)
			if err != nil {
				return err
			}
			if count == n {
				next = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(bucket) + "\x1f" + after))
				break
			}
			if count > 0 {
				b = append(b, ',')
			}
			if b, err = appendScores(b, &stored, c.tenant.ID, book.ScoredCustomer(s.Key), in); err != nil {
				return err
			}
			after, count = s.Key, count+1
		}
	}
	b = append(b, ']')
	if next != "" {
		w.Header().Set("Link", `</api/v1/scores?limit=`+strconv.Itoa(n)+`&cursor=`+next+`>; rel="next"`)
		b = append(append(append(b, `,"next":"`...), next...), '"')
	}
	return writeBody(w, http.StatusOK, "application/json", append(b, '}'))
}

func readCursor(s string, buckets int) (int, string, error) {
	if s == "" {
		return 0, "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	number, after, ok := strings.Cut(string(raw), "\x1f")
	bucket, nerr := strconv.Atoi(number)
	if err != nil || nerr != nil || !ok || bucket < 0 || bucket >= buckets {
		return 0, "", fault.New(fault.Malformed, "the cursor is not one that was given out")
	}
	return bucket, after, nil
}

// runRequest asks for a run. Again runs a date that was run before once more.
type runRequest struct {
	AsOf    portfolio.Date   `json:"as_of,omitzero"`
	Engines []scoring.Engine `json:"engines,omitempty"`
	Again   bool             `json:"again,omitempty"`
}

func (a *API) startRun(w http.ResponseWriter, r *http.Request, c call) error {
	var q runRequest
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	if q.AsOf == 0 {
		q.AsOf = portfolio.DateOf(a.Now())
	}
	p, _, err := a.Runs.StartWithin(r.Context(), c.tenant, q.AsOf, q.Engines, q.Again, a.Quotas.Of(c.tenant.ID).Runs)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/runs/"+p.ID)
	return writeJSON(w, http.StatusAccepted, p)
}

func (a *API) listRuns(w http.ResponseWriter, r *http.Request, c call) error {
	n, err := limit(r, 20, 100)
	if err != nil {
		return err
	}
	list, err := a.Runs.List(r.Context(), c.tenant.ID, r.URL.Query().Get("before"), n)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"runs": orEmpty(list)})
}

func (a *API) getRun(w http.ResponseWriter, r *http.Request, c call) error {
	p, err := a.Runs.Get(r.Context(), c.tenant.ID, r.PathValue("run"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, p)
}

func (a *API) listLists(w http.ResponseWriter, r *http.Request, c call) error {
	heads, err := a.Lists.Heads(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"lists": orEmpty(heads)})
}

// listPage is a page of a list.
type listPage struct {
	actions.Head
	Items []actions.Item `json:"items"`
	Next  string         `json:"next,omitempty"`
}

// getList pages through a list, or a part of it, by rank. The cursor is the list's version and the rank where
// the last page ended, so that no two versions of a list are read as one.
func (a *API) getList(w http.ResponseWriter, r *http.Request, c call) error {
	n, err := limit(r, 100, 1000)
	if err != nil {
		return err
	}
	part := actions.Part(r.URL.Query().Get("part"))
	switch part {
	case "", actions.Care, actions.Advice, actions.Commercial:
	default:
		return fault.New(fault.Malformed, "part is one of care, advice, commercial")
	}
	h, err := a.list(r, c)
	if err != nil {
		return err
	}
	after, err := readListCursor(r.URL.Query().Get("cursor"), &h)
	if err != nil {
		return err
	}
	items, more, err := a.Lists.Items(r.Context(), c.tenant.ID, &h, part, after, n)
	if err != nil {
		return err
	}
	p := listPage{Head: h, Items: orEmpty(items)}
	if more {
		p.Next = base64.RawURLEncoding.EncodeToString([]byte(h.Version + "\x1f" + strconv.Itoa(items[len(items)-1].Rank)))
		query := `?limit=`
		if part != "" {
			query = `?part=` + string(part) + `&limit=`
		}
		w.Header().Set("Link", `</api/v1/action-lists/`+h.Date.String()+query+strconv.Itoa(n)+`&cursor=`+p.Next+`>; rel="next"`)
	}
	return writeJSON(w, http.StatusOK, p)
}

func readListCursor(s string, h *actions.Head) (after int, err error) {
	if s == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	version, rank, ok := strings.Cut(string(raw), "\x1f")
	after, nerr := strconv.Atoi(rank)
	switch {
	case err != nil || nerr != nil || !ok || after < 0:
		return 0, fault.New(fault.Malformed, "the cursor is not one that was given out")
	case version != h.Version:
		return 0, fault.New(fault.Malformed, "the cursor is of another list, or of one that was made anew since: read it from its beginning")
	}
	return after, nil
}

// list is the head of the list that the path names, by its date or as the latest.
func (a *API) list(r *http.Request, c call) (actions.Head, error) {
	name := r.PathValue("date")
	if name == "latest" {
		return a.Lists.Newest(r.Context(), c.tenant.ID)
	}
	date, err := listDate(name)
	if err != nil {
		return actions.Head{}, err
	}
	return a.Lists.Head(r.Context(), c.tenant.ID, date)
}

func listDate(s string) (portfolio.Date, error) {
	d, ok := portfolio.ParseDate(s)
	if !ok {
		return 0, fault.New(fault.NotFound, "a list has a date such as 2026-03-31, or is the latest")
	}
	return d, nil
}

// reply is what somebody says of an item of a list.
type reply struct {
	Outcome   feedback.Outcome   `json:"outcome,omitempty"`
	Judgement feedback.Judgement `json:"judgement,omitempty"`
	On        portfolio.Date     `json:"on,omitzero"`
	Until     portfolio.Date     `json:"until,omitzero"`
}

func (a *API) feedback(w http.ResponseWriter, r *http.Request, c call) error {
	var q reply
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	l, err := a.list(r, c)
	if err != nil {
		return err
	}
	it, err := a.Lists.Record(r.Context(), c.tenant, l.Date, r.PathValue("item"), feedback.Reply{
		Outcome: q.Outcome, Judgement: q.Judgement, On: q.On, Until: q.Until,
		By: feedback.Person(c.by(caller.ActionsWrite)), At: a.Now().UTC().Truncate(time.Second),
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, it)
}

// reportsListed is how many months are listed: two years.
const reportsListed = 24

func (a *API) listReports(w http.ResponseWriter, r *http.Request, c call) error {
	heads, err := a.Reports.List(r.Context(), c.tenant.ID, reportsListed)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"reports": orEmpty(heads)})
}

func (a *API) getReport(w http.ResponseWriter, r *http.Request, c call) error {
	report, err := a.Reports.Get(r.Context(), c.tenant.ID, r.PathValue("month"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}

// customerActions shows what was ever suggested for a customer, and what was said of it. What
// was predicted of it is a profile's, and none of who objects to that.
func (a *API) customerActions(w http.ResponseWriter, r *http.Request, c call) error {
	rec, err := a.Book.Customer(r.Context(), c.tenant, r.PathValue("customer"))
	if err != nil {
		return err
	}
	h, err := feedback.Read(rec.Feedback)
	if err != nil {
		return err
	}
	h.Suggestions = orEmpty(h.Suggestions)
	var v portfolio.View
	v.Reset(rec.Aggregate, portfolio.DateOf(a.Now()), c.tenant.EndTable())
	for i := range h.Suggestions {
		s := &h.Suggestions[i]
		if s.Chance = math.Round(1e4*s.Chance) / 1e4; feature.Objects(&v) {
			s.Chance = 0
		}
	}
	return writeJSON(w, http.StatusOK, h)
}

// effects shows what came of acting, as the last run counted it.
func (a *API) effects(w http.ResponseWriter, r *http.Request, c call) error {
	counted, err := a.Lists.Counted(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, counted.Report())
}
