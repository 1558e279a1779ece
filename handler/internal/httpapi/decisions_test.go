package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/decision"
	"polis/handler/internal/feedback"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
)

// scored is a world in which B1 has scores of a run.
func scored(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.want(201, w.json("key-one", "PUT", "/api/v1/customers/B1", aggregate("B1")))
	w.want(202, w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-30"}))
	w.work()
	return w
}

func (w *world) want(code int, out *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	w.t.Helper()
	if out.Code != code {
		w.t.Fatalf("%d, want %d: %s", out.Code, code, out.Body)
	}
	return out
}

// decided is what of a decision tests look at.
type decided struct {
	ID         string `json:"decision_id"`
	Engine     string
	Customer   string `json:"customer_id"`
	Source     string
	Reproduced bool
	Difference string
	KeptAt     string `json:"kept_at"`
	Model      struct{ Version, SHA256 string }
	Score      struct {
		Status string
		Text   *struct{ Lang string }
	}
	Record struct {
		Inputs  []struct{ Values map[string]any }
		RestsOn []string `json:"rests_on"`
	}
	Reliance []struct {
		Outcome string
		By      struct{ Subject, Role string }
	}
	Reviews []struct {
		Status, Text string
		Outcome      *struct{ Text string }
	}
}

func (w *world) decision(id string) decided {
	w.t.Helper()
	var d decided
	must(w.t, json.Unmarshal(w.want(200, w.do("key-one", "GET", "/api/v1/decisions/"+id, "", nil)).Body.Bytes(), &d))
	return d
}

// ids are the decisions of a customer's stored scores, by engine.
func (w *world) ids(customer string) map[string]string {
	w.t.Helper()
	var s struct {
		Scores []struct {
			Engine   string
			Decision string `json:"decision_id"`
			Status   string
		}
	}
	must(w.t, json.Unmarshal(w.want(200, w.do("key-one", "GET", "/api/v1/customers/"+customer+"/scores", "", nil)).Body.Bytes(), &s))
	out := map[string]string{}
	for _, e := range s.Scores {
		out[e.Engine], out[e.Engine+" status"] = e.Decision, e.Status
	}
	return out
}

// TestADecisionIsExplained finds every engine's decision, makes it again, and follows it to
// those that it rests on.
func TestADecisionIsExplained(t *testing.T) {
	w := scored(t)
	ids := w.ids("B1")
	for _, e := range []string{"risk", "churn", "clv", "nbp", "defend"} {
		d := w.decision(ids[e])
		if d.Engine != e || d.Customer != "B1" || d.Source != "latest" || !d.Reproduced || len(d.Model.SHA256) != 64 || !strings.HasPrefix(d.Model.SHA256, d.Model.Version) {
			t.Errorf("%s: %+v", e, d)
		}
		if e != "defend" && len(d.Record.Inputs) == 0 {
			t.Errorf("%s has no inputs", e)
		}
		for _, before := range d.Record.RestsOn {
			if b := w.decision(before); b.Customer != "B1" || !b.Reproduced {
				t.Errorf("%s rests on %+v", e, b)
			}
		}
	}
	if v := w.decision(ids["risk"]).Record.Inputs[0].Values; v["premium"] != 640.25 || v["sum_insured"] != nil {
		t.Errorf("the inputs are %v", v)
	}

	// Scores on request are found for as long as the data stands.
	out := w.want(200, w.json("key-one", "POST", "/api/v1/churn/scores", map[string]any{"as_of": "2026-02-01", "customers": []string{"B1"}}))
	var asked struct {
		Results []struct {
			Decision string `json:"decision_id"`
		}
	}
	must(t, json.Unmarshal(out.Body.Bytes(), &asked))
	if d := w.decision(asked.Results[0].Decision); d.Source != "on_request" || !d.Reproduced {
		t.Errorf("on request: %+v", d)
	}

	// Neither rows that were recorded after change anything, nor others in place of what was read.
	more := aggregate("B1")
	more["contacts"] = append(more["contacts"].([]any), map[string]any{"customer_id": "B1", "contacted_at": "2026-03-31T09:00:00Z", "direction": "in"})
	w.want(204, w.json("key-one", "PUT", "/api/v1/customers/B1", more))
	if d := w.decision(ids["risk"]); !d.Reproduced {
		t.Errorf("what came after it changes a score: %+v", d)
	}
	w.want(404, w.do("key-one", "GET", "/api/v1/decisions/"+asked.Results[0].Decision, "", nil))
	other := aggregate("B1")
	other["policies"].([]any)[0].(map[string]any)["annual_premium"] = 999
	w.want(204, w.json("key-one", "PUT", "/api/v1/customers/B1", other))
	if d := w.decision(ids["risk"]); !d.Reproduced || d.Record.Inputs[0].Values["premium"] != 640.25 {
		t.Errorf("a score is not made of what was read then: %+v", d)
	}

	// A later run supersedes it, and it is still there.
	w.want(202, w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-31", "again": true}))
	w.work()
	if w.ids("B1")["risk"] == ids["risk"] {
		t.Fatal("other data has the same decision")
	}
	if d := w.decision(ids["risk"]); d.Source != "history" {
		t.Errorf("superseded: %+v", d)
	}
}

// TestHouseholdsMergeAndPart follows decisions through both.
func TestHouseholdsMergeAndPart(t *testing.T) {
	w := newWorld(t)
	in := func(id, household, since string) map[string]any {
		a := aggregate(id)
		row := func(h, at string) map[string]any {
			r := map[string]any{"customer_id": id, "birth_year": 1980, "recorded_at": at}
			if h != "" {
				r["household_id"] = h
			}
			return r
		}
		a["customers"] = []any{row("", "2020-01-01")}
		if since != "" {
			a["customers"] = []any{row("", "2020-01-01"), row(household, since)}
		}
		return a
	}
	for _, id := range []string{"H1", "H2"} {
		w.want(201, w.json("key-one", "PUT", "/api/v1/customers/"+id, in(id, "", "")))
	}
	w.want(202, w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-30"}))
	w.work()
	before := w.ids("H1")
	for _, id := range []string{"H1", "H2"} {
		w.want(204, w.json("key-one", "PUT", "/api/v1/customers/"+id, in(id, "home", "2026-03-31")))
	}
	w.want(202, w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-31"}))
	w.work()
	together := w.ids("H1")
	for _, e := range []string{"churn", "clv"} {
		if d := w.decision(before[e]); d.Source != "history" || !d.Reproduced {
			t.Errorf("%s, before the merger: %+v", e, d)
		}
		if d := w.decision(together[e]); d.Source != "latest" || !d.Reproduced {
			t.Errorf("%s, together: %+v", e, d)
		}
	}
	w.want(200, w.json("key-one", "POST", "/api/v1/decisions/"+together["churn"]+"/reliance", map[string]any{"outcome": "followed"}))
	w.want(204, w.json("key-one", "PUT", "/api/v1/customers/H1", in("H1", "", "")))
	if d := w.decision(together["clv"]); d.Source != "latest" {
		t.Errorf("after they parted: %+v", d)
	}
	if d := w.decision(together["churn"]); d.KeptAt == "" || !d.Reproduced {
		t.Errorf("what somebody relied on is as it was: %+v", d)
	}
}

// TestAsOfADateTheRelationIsThatOfThen: who left a household is scored, as of a date before,
// with those who are still there, and the decision is found.
func TestAsOfADateTheRelationIsThatOfThen(t *testing.T) {
	w := newWorld(t)
	in := func(id string, rows ...any) map[string]any {
		a := aggregate(id)
		a["customers"] = rows
		return a
	}
	row := func(id, household, at string) map[string]any {
		return map[string]any{"customer_id": id, "birth_year": 1980, "recorded_at": at, "household_id": household}
	}
	w.want(201, w.json("key-one", "PUT", "/api/v1/customers/L1", in("L1", row("L1", "home", "2020-01-01"), row("L1", "away", "2026-03-31"))))
	w.want(201, w.json("key-one", "PUT", "/api/v1/customers/L2", in("L2", row("L2", "home", "2020-01-01"))))
	ask := func(id, asOf string) (s struct {
		ID       string `json:"decision_id"`
		Then     string `json:"relation_as_of"`
		Relation struct{ Customers int }
	},
	) {
		var a struct{ Results []json.RawMessage }
		body := w.want(200, w.json("key-one", "POST", "/api/v1/clv/scores", map[string]any{"as_of": asOf, "customers": []string{id}})).Body.Bytes()
		if err := json.Unmarshal(body, &a); err != nil || len(a.Results) != 1 {
			t.Fatalf("%v: %s", err, body)
		}
		if err := json.Unmarshal(a.Results[0], &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := ask("L1", "2026-03-30"); s.Relation.Customers != 2 || s.Then != "2026-03-30" {
		t.Errorf("the day before it left: %+v", s)
	} else if d := w.decision(s.ID); d.Source != "on_request" || !d.Reproduced {
		t.Errorf("its decision: %+v", d)
	}
	if s := ask("L1", "2026-03-31"); s.Relation.Customers != 1 || s.Then != "" {
		t.Errorf("the day it left: %+v", s)
	}
}

// TestACommissionOfZeroIsOne: inline and stored, in what is shown of the customer and in its
// decision's record, which scores to the same again.
func TestACommissionOfZeroIsOne(t *testing.T) {
	w := newWorld(t)
	realised := map[string]float64{}
	for i, rate := range []string{"", "0", "0.17"} {
		a := aggregate(fmt.Sprintf("Z%d", i))
		p := a["policies"].([]any)[0].(map[string]any)
		if p["branch"] = "disability"; rate != "" {
			p["commission_rate"] = json.RawMessage(rate)
		}
		var out struct {
			Results []struct {
				ID       string  `json:"decision_id"`
				Realised float64 `json:"realised"`
			}
		}
		must(t, json.Unmarshal(w.want(200, w.json("key-one", "POST", "/api/v1/clv/scores", map[string]any{"as_of": "2026-03-31", "aggregates": []any{a}})).Body.Bytes(), &out))
		realised[rate] = out.Results[0].Realised
		id := fmt.Sprintf("/api/v1/customers/Z%d", i)
		w.want(201, w.json("key-one", "PUT", id, a))
		body := w.want(200, w.do("key-one", "GET", id, "", nil)).Body.String()
		if shown := strings.Contains(body, `"commission_rate":`); shown != (rate == "0" || rate == "0.17") {
			t.Errorf("a commission of %q is shown in %s", rate, body)
		}
		must(t, json.Unmarshal(w.want(200, w.json("key-one", "POST", "/api/v1/clv/scores", map[string]any{"as_of": "2026-03-31", "customers": []string{fmt.Sprintf("Z%d", i)}})).Body.Bytes(), &out))
		if out.Results[0].Realised != realised[rate] {
			t.Errorf("a commission of %q brought %v inline and %v stored", rate, realised[rate], out.Results[0].Realised)
		}
		if d := w.decision(out.Results[0].ID); !d.Reproduced {
			t.Errorf("a commission of %q: %+v", rate, d)
		}
	}
	if realised[""] != realised["0.17"] || realised["0"] >= 0 || realised["0.17"] <= 0 {
		t.Errorf("realised by commission: %v", realised)
	}
}

// TestPeople relies on a decision, asks for a person, who changes it, and erases it all.
func TestPeople(t *testing.T) {
	w := scored(t)
	id := w.ids("B1")["churn"]
	path := "/api/v1/decisions/" + id
	for range 2 { // the second says nothing new
		w.want(200, w.json("key-one", "POST", path+"/reliance", map[string]any{"outcome": "overridden", "reason_code": "knows_the_customer"}))
	}
	w.want(200, w.json("key-one", "POST", path+"/reliance", map[string]any{"outcome": "followed"}))
	secret := "Ik ben het er niet mee eens"
	first := w.want(201, w.json("key-one", "POST", path+"/review", map[string]any{"reason_code": "wrong_data", "text": secret}, "Idempotency-Key", "r"))
	again := w.want(201, w.json("key-one", "POST", path+"/review", map[string]any{"reason_code": "wrong_data", "text": secret}, "Idempotency-Key", "r"))
	w.want(200, w.json("key-one", "POST", path+"/review", map[string]any{"reason_code": "other"}))
	if first.Body.String() != again.Body.String() || strings.Contains(first.Body.String(), secret) {
		t.Errorf("%s\n%s", first.Body, again.Body)
	}
	if list := w.want(200, w.do("key-one", "GET", "/api/v1/reviews", "", nil)).Body.String(); strings.Count(list, `"decision_id"`) != 1 || !strings.Contains(list, `"due_on":"2026-04-30"`) {
		t.Errorf("open reviews: %s", list)
	}
	w.want(422, w.json("key-one", "POST", path+"/review/outcome", map[string]any{"outcome": "maybe", "reason_code": "a"}))
	for range 2 {
		w.want(200, w.json("key-one", "POST", path+"/review/outcome", map[string]any{"outcome": "changed", "reason_code": "data_was_wrong", "text": "Premie hersteld"}))
	}
	w.want(409, w.json("key-one", "POST", path+"/review/outcome", map[string]any{"outcome": "upheld", "reason_code": "data_was_wrong"}))
	if list := w.want(200, w.do("key-one", "GET", "/api/v1/reviews", "", nil)).Body.String(); list != `{"reviews":[]}` {
		t.Errorf("a review that is done is open: %s", list)
	}
	d := w.decision(id)
	if len(d.Reliance) != 2 || d.Reliance[0].By.Role != "actions.write" || !strings.HasPrefix(d.Reliance[0].By.Subject, "key-") {
		t.Errorf("relied on: %+v", d.Reliance)
	}
	if len(d.Reviews) != 1 || d.Reviews[0].Status != "changed" || d.Reviews[0].Text != secret || d.Reviews[0].Outcome.Text != "Premie hersteld" {
		t.Errorf("reviews: %+v", d.Reviews)
	}
	w.want(201, w.json("key-one", "POST", path+"/review", map[string]any{"reason_code": "once_more", "text": secret}))

	w.want(403, w.json("key-reader", "POST", path+"/review/outcome", map[string]any{"outcome": "upheld", "reason_code": "a"}))
	w.want(404, w.do("key-two", "GET", path, "", nil))
	w.want(204, w.do("key-one", "DELETE", "/api/v1/customers/B1", "", nil))
	w.want(404, w.do("key-one", "GET", path, "", nil))
	w.want(404, w.json("key-one", "POST", path+"/review", map[string]any{"reason_code": "late"}))
	if list := w.want(200, w.do("key-one", "GET", "/api/v1/reviews", "", nil)).Body.String(); list != `{"reviews":[]}` {
		t.Errorf("an erased customer's review is open: %s", list)
	}
}

// TestAnObjectionIsHeardWithoutModels: that the models cannot be read is no reason to refuse
// an objection, and the answer says that the stored scores are those of before.
func TestAnObjectionIsHeardWithoutModels(t *testing.T) {
	w := scored(t)
	_, err := w.blobs.Put(t.Context(), "models/one/current.json", strings.NewReader("damaged"))
	must(t, err)
	now := func() time.Time { return noon }
	w.made.Decisions = decision.New(w.book, registry.New(w.blobs, now), now)
	w.api = New(w.made)
	path := "/api/v1/customers/B1/objection"
	want := `{"customer_id":"B1","objects_to_profiling":true,"source":"letter","since":"2026-03-31"`
	for range 2 {
		if got := w.want(200, w.json("key-one", "POST", path, map[string]any{"source": "letter"})).Body.String(); got != want+`,"scores_stale":true}` {
			t.Errorf("%s", got)
		}
	}
	if got := w.want(200, w.do("key-one", "GET", path, "", nil)).Body.String(); got != want+`}` {
		t.Errorf("%s", got)
	}
	if list := w.want(200, w.do("key-one", "GET", "/api/v1/action-lists/latest", "", nil)).Body.String(); !strings.Contains(list, "resolve_complaint") {
		t.Errorf("an objection takes care away: %s", list)
	}
}

// TestAnObjectionIsHeard scores a customer who then objects, and then no longer does.
func TestAnObjectionIsHeard(t *testing.T) {
	w := scored(t)
	before := w.ids("B1")
	path := "/api/v1/customers/B1/objection"
	if got := w.want(200, w.do("key-one", "GET", path, "", nil)).Body.String(); got != `{"customer_id":"B1","objects_to_profiling":false}` {
		t.Errorf("%s", got)
	}
	for range 2 {
		got := w.want(200, w.json("key-one", "POST", path, map[string]any{"source": "letter", "date": "2026-03-28"})).Body.String()
		if got != `{"customer_id":"B1","objects_to_profiling":true,"source":"letter","since":"2026-03-28"}` {
			t.Errorf("%s", got)
		}
	}
	after := w.ids("B1")
	for _, e := range []string{"risk", "churn", "clv", "nbp"} {
		if after[e+" status"] != "objected" {
			t.Errorf("%s is %s", e, after[e+" status"])
		}
		out := w.want(200, w.json("key-one", "POST", "/api/v1/"+e+"/scores?lang=nl", map[string]any{"customers": []string{"B1"}}))
		if !strings.Contains(out.Body.String(), `"status":"objected"`) || !strings.Contains(out.Body.String(), "U wilt niet dat wij voorspellingen") {
			t.Errorf("%s on request: %s", e, out.Body)
		}
		if d := w.decision(before[e]); d.Source != "history" || d.Score.Status != "scored" {
			t.Errorf("what was decided before can no longer be explained: %+v", d)
		}
	}
	if list := w.want(200, w.do("key-one", "GET", "/api/v1/action-lists/latest", "", nil)).Body.String(); !strings.Contains(list, "resolve_complaint") {
		t.Errorf("an objection takes care away: %s", list)
	}
	// Neither an import nor a replacement undoes it, whatever its rows say: as it was read, as
	// somebody who knows the words might write it, or as any other.
	stands := func(after string) {
		t.Helper()
		if got := w.want(200, w.do("key-one", "GET", path, "", nil)).Body.String(); got != `{"customer_id":"B1","objects_to_profiling":true,"source":"letter","since":"2026-03-28"}` {
			t.Errorf("after %s: %s", after, got)
		}
		if out := w.want(200, w.json("key-one", "POST", "/api/v1/churn/scores", map[string]any{"customers": []string{"B1"}, "as_of": "2026-04-01"})).Body.String(); !strings.Contains(out, `"status":"objected"`) {
			t.Errorf("after %s: %s", after, out)
		}
	}
	read := w.want(200, w.do("key-one", "GET", "/api/v1/customers/B1", "", nil)).Body.String()
	w.want(204, w.do("key-one", "PUT", "/api/v1/customers/B1", "application/json", []byte(read)))
	stands("a replacement by what was read")
	for _, reason := range []string{"", "objection to profiling: email", "objection withdrawn: phone"} {
		other := aggregate("B1")
		maps.Copy(other["customers"].([]any)[0].(map[string]any), map[string]any{"mutation_reason": reason, "valid_from": "2026-03-30", "recorded_at": "2026-03-31"})
		w.want(204, w.json("key-one", "PUT", "/api/v1/customers/B1", other))
		stands("a replacement of which the reason is " + reason)
	}
	for _, rows := range []string{"customer_id,birth_year\nB1,1981\n", "customer_id,birth_year,objects_to_profiling,mutation_reason,valid_from\nB1,1981,no,objection withdrawn: phone,2026-04-01\n"} {
		media, body := upload(t, "customers", rows)
		w.want(202, w.do("key-one", "POST", "/api/v1/imports", media, body))
		w.work()
		stands("an import")
	}
	w.want(200, w.json("key-one", "POST", path+"/withdrawal", map[string]any{"source": "phone"}))
	if got := w.ids("B1")["churn status"]; got != "scored" {
		t.Errorf("after the withdrawal churn is %s", got)
	}
	if d := w.decision(before["churn"]); d.Source != "history" {
		t.Errorf("three scores of one day: %+v", d)
	}
}

// TestWhatWasPredictedOfActions is shown in four decimals, and not of who objects to profiling.
func TestWhatWasPredictedOfActions(t *testing.T) {
	w := scored(t)
	t0, err := w.book.Tenant(t.Context(), "one")
	must(t, err)
	rec, err := w.book.Customer(t.Context(), t0, "B1")
	must(t, err)
	h := feedback.History{Suggestions: []feedback.Suggestion{{Item: "i", Action: "call", Opened: portfolio.MustDate(2026, 3, 1), Chance: 0.10466506437704558}}}
	body, err := h.Body()
	must(t, err)
	must(t, w.book.ChangeFeedback(t.Context(), t0, []book.Who{{Relation: rec.Relation, ID: "B1"}}, func(int, []byte) ([]byte, error) { return body, nil }))
	actions := func() string {
		return w.want(200, w.do("key-one", "GET", "/api/v1/customers/B1/actions", "", nil)).Body.String()
	}
	if got := actions(); !strings.Contains(got, `"chance":0.1047,`) && !strings.Contains(got, `"chance":0.1047}`) {
		t.Errorf("%s", got)
	}
	w.want(200, w.json("key-one", "POST", "/api/v1/customers/B1/objection", map[string]any{"source": "letter"}))
	if got := actions(); strings.Contains(got, "chance") || !strings.Contains(got, `"action":"call"`) {
		t.Errorf("of who objects: %s", got)
	}
}

// TestScoresInWords asks every endpoint of scores for sentences.
func TestScoresInWords(t *testing.T) {
	w := scored(t)
	post := func(path string, header ...string) *httptest.ResponseRecorder {
		return w.want(200, w.json("key-one", "POST", path, map[string]any{"customers": []string{"B1"}}, header...))
	}
	for _, out := range []*httptest.ResponseRecorder{
		post("/api/v1/churn/scores?lang=nl"),
		post("/api/v1/churn/scores", "Accept-Language", "nl-NL,nl;q=0.9"),
		w.want(200, w.do("key-one", "GET", "/api/v1/customers/B1/scores?lang=nl", "", nil)),
		w.want(200, w.do("key-one", "GET", "/api/v1/scores?lang=nl", "", nil)),
		w.want(200, w.do("key-one", "GET", "/api/v1/decisions/"+w.ids("B1")["churn"]+"?lang=nl", "", nil)),
	} {
		if !strings.Contains(out.Body.String(), "Wij schatten de kans dat u binnen een jaar") || out.Header().Get("Content-Language") != "nl" {
			t.Errorf("%s: %s", out.Header().Get("Content-Language"), out.Body)
		}
	}
	if out := post("/api/v1/churn/scores?lang=fr"); !strings.Contains(out.Body.String(), "We estimate") {
		t.Errorf("another language: %s", out.Body)
	}
	if out := post("/api/v1/churn/scores"); strings.Contains(out.Body.String(), `"text"`) || out.Header().Get("Content-Language") != "" {
		t.Errorf("nobody asked for words: %s", out.Body)
	}
}

func TestWrongPeople(t *testing.T) {
	w := scored(t)
	path := "/api/v1/decisions/" + w.ids("B1")["risk"]
	long := strings.Repeat("x", 2001)
	for _, tc := range []struct {
		path string
		body any
		want int
		says string
	}{
		{path + "/reliance", map[string]any{}, 422, "/outcome"},
		{path + "/reliance", map[string]any{"outcome": "overridden"}, 422, "/reason_code"},
		{path + "/reliance", map[string]any{"outcome": "followed", "reason_code": "Mrs Jansen said so"}, 422, "/reason_code"},
		{path + "/reliance", map[string]any{"outcome": "followed", "who": "me"}, 422, "/who"},
		{path + "/review", map[string]any{}, 422, "/reason_code"},
		{path + "/review", map[string]any{"reason_code": "a", "text": long}, 422, "/text"},
		{path + "/review", map[string]any{"reason_code": "a", "text": "\x00"}, 422, "/text"},
		{path + "/review/outcome", map[string]any{"outcome": "upheld", "reason_code": "a"}, 409, "open"},
		{path + "/review/outcome", map[string]any{"outcome": "upheld", "reason_code": "a", "text": long}, 422, "/text"},
		{"/api/v1/decisions/nonsense/reliance", map[string]any{"outcome": "followed"}, 404, "decision"},
		{"/api/v1/customers/B1/objection", map[string]any{}, 422, "/source"},
		{"/api/v1/customers/B1/objection", map[string]any{"source": "pigeon"}, 422, "/source"},
		{"/api/v1/customers/B1/objection", map[string]any{"source": "phone", "date": "2026-04-01"}, 422, "/date"},
		{"/api/v1/customers/nobody/objection", map[string]any{"source": "phone"}, 404, "customer"},
	} {
		out := w.json("key-one", "POST", tc.path, tc.body)
		if out.Code != tc.want || !strings.Contains(out.Body.String(), tc.says) || strings.Contains(out.Body.String(), "xxx") || strings.Contains(out.Body.String(), "Jansen") {
			t.Errorf("%s %v: %d, want %d saying %s: %s", tc.path, tc.body, out.Code, tc.want, tc.says, out.Body)
		}
	}
	for _, id := range []string{"", "x", strings.Repeat("0", 32), strings.Repeat("z", 32), fmt.Sprint(w.ids("B1")["risk"][:31], "0")} {
		if out := w.do("key-one", "GET", "/api/v1/decisions/"+id, "", nil); out.Code != 404 {
			t.Errorf("decision %q: %d", id, out.Code)
		}
	}
}

// TestMembersOfTheSameDay: who joins or leaves a household after a run, by rows that go back
// to its date, leaves the decisions of all who were there as they were made.
func TestMembersOfTheSameDay(t *testing.T) {
	w := newWorld(t)
	put := func(code int, id, household string) {
		t.Helper()
		a := aggregate(id)
		row := map[string]any{"customer_id": id, "birth_year": 1980, "recorded_at": "2020-01-01"}
		if household != "" {
			row["household_id"] = household
		}
		a["customers"] = []any{row}
		w.want(code, w.json("key-one", "PUT", "/api/v1/customers/"+id, a))
	}
	put(201, "H1", "home")
	put(201, "H2", "home")
	put(201, "H4", "")
	put(201, "H5", "other")
	put(201, "H6", "other")
	w.want(202, w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-31"}))
	w.work()
	ids := map[string]map[string]string{}
	for _, id := range []string{"H1", "H2", "H4", "H5", "H6"} {
		ids[id] = w.ids(id)
	}
	stand := func(after string, of ...string) {
		t.Helper()
		for _, id := range of {
			for _, e := range []string{"risk", "churn", "clv", "nbp", "defend"} {
				if d := w.decision(ids[id][e]); !d.Reproduced || d.Difference != "" || d.Source != "latest" {
					t.Errorf("after %s: %s of %s: %v, %s", after, e, id, d.Reproduced, d.Difference)
				}
			}
		}
	}
	all := []string{"H1", "H2", "H4", "H5", "H6"}
	stand("the run", all...)
	put(201, "H3", "home")
	stand("somebody new joined", all...)
	put(204, "H2", "elsewhere")
	stand("somebody left", all...)
	put(204, "H4", "home")
	stand("somebody came from a relation of their own", all...)
	put(204, "H5", "home")
	stand("somebody came from another household", all...)
	put(204, "H2", "home")
	put(204, "H2", "")
	put(204, "H3", "")
	stand("somebody came back and left again", all...)
	w.want(204, w.do("key-one", "DELETE", "/api/v1/customers/H3", "", nil))
	stand("who had come new was erased", all...)
	w.want(204, w.do("key-one", "DELETE", "/api/v1/customers/H2", "", nil))
	stand("another was erased", "H4", "H5", "H6")
	if d := w.decision(ids["H1"]["clv"]); d.Reproduced || !strings.Contains(d.Difference, "erased") {
		t.Errorf("a member of then was erased: %v, %q", d.Reproduced, d.Difference)
	}
}

// TestRowsOfTheSameDay: rows that come on the as-of date after its run, of the customer or of
// another of its household, leave the decision as it was made, with what was read for it.
func TestRowsOfTheSameDay(t *testing.T) {
	w := newWorld(t)
	in := func(id string, premium float64, birth int) map[string]any {
		a := aggregate(id)
		a["customers"] = []any{map[string]any{"customer_id": id, "birth_year": birth, "household_id": "home"}}
		a["policies"].([]any)[0].(map[string]any)["annual_premium"] = premium
		return a
	}
	for _, id := range []string{"H1", "H2"} {
		w.want(201, w.json("key-one", "PUT", "/api/v1/customers/"+id, in(id, 500, 1980)))
	}
	w.want(202, w.json("key-one", "POST", "/api/v1/runs", map[string]any{"as_of": "2026-03-31"}))
	w.work()
	ids := w.ids("H1")
	w.want(204, w.json("key-one", "PUT", "/api/v1/customers/H2", in("H2", 900, 1950)))
	w.want(204, w.json("key-one", "PUT", "/api/v1/customers/H1", in("H1", 700, 1960)))
	w.want(204, w.json("key-one", "PUT", "/api/v1/customers/H1", in("H1", 800, 1961)))
	for _, e := range []string{"risk", "churn", "clv", "nbp", "defend"} {
		if d := w.decision(ids[e]); !d.Reproduced || d.Source != "latest" {
			t.Errorf("%s: %+v", e, d)
		}
	}
	if v := w.decision(ids["risk"]).Record.Inputs[0].Values; v["premium"] != 500.0 {
		t.Errorf("the inputs are %v", v)
	}
}
