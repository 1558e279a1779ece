package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// TestPointers: what is wrong with a body is said with the exact place of each fault, however
// deep it is, and without the value.
func TestPointers(t *testing.T) {
	const aggregateOf = `{"customers":[{"customer_id":"C","segment":"private"}],"policies":[{"policy_id":"A"},{"policy_id":"B"},%s]}`
	for name, c := range map[string]struct {
		into any
		body string
		want []string
	}{
		"an amount":                      {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"annual_premium":"secret"}`, 1), []string{"/policies/2/annual_premium"}},
		"a date":                         {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"start_date":"secret"}`, 1), []string{"/policies/2/start_date"}},
		"another kind of JSON":           {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"notice_months":1234567.5}`, 1), []string{"/policies/2/notice_months"}},
		"of the version":                 {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"recorded_at":"secret"}`, 1), []string{"/policies/2/recorded_at"}},
		"no field":                       {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"a/b~c":"secret"}`, 1), []string{"/policies/2/a~1b~0c"}},
		"no row":                         {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `"secret"`, 1), []string{"/policies/2"}},
		"no rows":                        {new(portfolio.Aggregate), `{"claims":{"secret":1}}`, []string{"/claims"}},
		"no object":                      {new(portfolio.Aggregate), `["secret"]`, []string{""}},
		"a list in a row":                {new(portfolio.Aggregate), `{"customers":[{"consents":[{},{"given":"secret"}]}]}`, []string{"/customers/0/consents/1/given"}},
		"several":                        {new(portfolio.Aggregate), `{"contacts":[{"contacted_at":"secret"}],"claims":[{"paid":0.001},{"paid":true}]}`, []string{"/contacts/0/contacted_at", "/claims/0/paid", "/claims/1/paid"}},
		"a batch":                        {new(scoring.Request), `{"aggregates":[{"customers":[]},{"claims":[{"loss_date":"secret"}]}]}`, []string{"/aggregates/1/claims/0/loss_date"}},
		"an engine":                      {new(runRequest), `{"engines":["risk","secret"]}`, []string{"/engines/1"}},
		"a name twice":                   {new(portfolio.Aggregate), `{"customers":[{"customer_id":"C","segment":"a"},{"segment":"b","customer_id":"C","customer_id":"secret"}],"customers":[]}`, []string{"/customers/1/customer_id", "/customers"}},
		"a name twice, in other letters": {new(scoring.Request), `{"as_of":"2026-03-31","As_Of":"2025-03-31"}`, []string{"/As_Of"}},
		"null in a list":                 {new(scoring.WhatIfRequest), `{"customers":["a",null],"changes_percent":[5,{},null]}`, []string{"/changes_percent/1"}},
		"only null in lists":             {new(scoring.WhatIfRequest), `{"as_of":null,"customers":["a",null],"changes_percent":[5,null,3,null]}`, []string{"/customers/1", "/changes_percent/1", "/changes_percent/3"}},
		"case is folded, as it decodes":  {new(portfolio.Aggregate), `{"Policies":[{"START_DATE":"secret"}]}`, []string{"/Policies/0/START_DATE"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := decode([]byte(c.body), c.into)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Invalid {
				t.Fatalf("%v", err)
			}
			if got := pointers(f.Fields); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if s, _ := json.Marshal(f); strings.Contains(string(s), "secret") || strings.Contains(string(s), "1234567") {
				t.Errorf("the value is in what is said: %s", s)
			}
		})
	}
}

// TestPointersOfRules: a rule that is broken is told with its exact place too.
func TestPointersOfRules(t *testing.T) {
	w := newWorld(t)
	bad := aggregate("B1")
	bad["policies"] = append(bad["policies"].([]any), map[string]any{
		"policy_id": "P2", "customer_id": "B1", "branch": "home", "start_date": "2022-05-01", "annual_premium": -1, "status": "active", "recorded_at": "2022-05-01",
		"attributes": []any{map[string]any{"key": "a", "value": "b"}, map[string]any{"key": "", "value": "c"}},
	})
	bad["customers"].([]any)[0].(map[string]any)["consents"] = []any{map[string]any{"purpose": "marketing", "channel": "email", "given": true}, map[string]any{"purpose": "marketing", "given": true}}
	want := []string{"/customers/0/consents/1/channel", "/policies/1/annual_premium", "/policies/1/attributes/1/key"}
	told := func(body []byte) []string {
		var p problem
		must(t, json.Unmarshal(body, &p))
		return pointers(p.Errors)
	}
	out := w.json("key-one", "PUT", "/api/v1/customers/B1", bad)
	if got := told(out.Body.Bytes()); out.Code != 422 || !slices.Equal(got, want) {
		t.Errorf("%d %q, want %q", out.Code, got, want)
	}
	for i := range want {
		want[i] = "/aggregates/1" + want[i]
	}
	// What Polis keeps it takes back, and scores: two rows of a version come of two imports of a day.
	kept := aggregate("B2")
	kept["policies"] = append(kept["policies"].([]any), kept["policies"].([]any)[0])
	if out := w.json("key-one", "PUT", "/api/v1/customers/B2", kept); out.Code != 201 {
		t.Errorf("two rows of a version: %d %s", out.Code, out.Body)
	}
	for _, path := range []string{"risk/scores", "churn/what-ifs"} {
		body := map[string]any{"customers": []string{"B1", "B2", "B1"}}
		if path == "churn/what-ifs" {
			body["changes_percent"] = []float64{5}
		}
		if out := w.json("key-one", "POST", "/api/v1/"+path, body); out.Code != 422 || !slices.Equal(told(out.Body.Bytes()), []string{"/customers/2"}) {
			t.Errorf("%s: %d %s", path, out.Code, out.Body)
		}
	}
	out = w.json("key-one", "POST", "/api/v1/risk/scores", map[string]any{"aggregates": []any{aggregate("A"), bad}})
	if got := told(out.Body.Bytes()); out.Code != 422 || !slices.Equal(got, want) {
		t.Errorf("%d %q, want %q", out.Code, got, want)
	}
}

// TestRequired: a field that the specification requires is refused where it is null or left
// out, with its place, in every row; and what is empty and a value is taken.
func TestRequired(t *testing.T) {
	w := newWorld(t)
	whole := func() map[string]any {
		a := aggregate("R1")
		a["customers"].([]any)[0].(map[string]any)["consents"] = []any{map[string]any{"purpose": "marketing", "channel": "email", "given": false}}
		p := a["policies"].([]any)[0].(map[string]any)
		p["annual_premium"], p["attributes"] = 0, []any{map[string]any{"key": "alarm", "value": ""}}
		return a
	}
	w.want(201, w.json("key-one", "PUT", "/api/v1/customers/R1", whole()))
	required := map[string][]string{
		"/customers/0":             {"customer_id"},
		"/customers/0/consents/0":  {"purpose", "channel", "given"},
		"/policies/0":              {"policy_id", "customer_id", "branch", "start_date", "annual_premium", "status"},
		"/policies/0/attributes/0": {"key", "value"},
		"/claims/0":                {"claim_id", "policy_id", "customer_id", "loss_date"},
		"/contacts/0":              {"customer_id", "contacted_at"},
	}
	for row, fields := range required {
		for _, field := range fields {
			for _, left := range []bool{false, true} {
				a := whole()
				var at any = a
				for _, step := range strings.Split(row, "/")[1:] {
					if i, err := strconv.Atoi(step); err == nil {
						at = at.([]any)[i]
					} else {
						at = at.(map[string]any)[step]
					}
				}
				at.(map[string]any)[field] = nil
				if left {
					delete(at.(map[string]any), field)
				}
				told := func(out *httptest.ResponseRecorder, want string) {
					t.Helper()
					var p problem
					must(t, json.Unmarshal(out.Body.Bytes(), &p))
					if out.Code != 422 || !slices.Contains(pointers(p.Errors), want) {
						t.Errorf("%s/%s, left out %v: %d %s", row, field, left, out.Code, out.Body)
					}
				}
				told(w.json("key-one", "PUT", "/api/v1/customers/R1", a), row+"/"+field)
				told(w.json("key-one", "POST", "/api/v1/clv/scores", map[string]any{"aggregates": []any{aggregate("A"), a}}), "/aggregates/1"+row+"/"+field)
			}
		}
	}
}

func pointers(fields []fault.Field) (out []string) {
	for _, f := range fields {
		out = append(out, f.Pointer)
	}
	return out
}

// endless is a body that has no end, and says how much of it was read.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	return len(p), nil
}

// TestAnswersComeAfterTheBody: who sends a whole body before it reads, as the Functions host
// does, gets an answer that was certain from the first byte all the same; but no body is
// read for ever.
func TestAnswersComeAfterTheBody(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		name, key, path, media string
		want                   int
	}{
		{"too large", "key-one", "/api/v1/risk/scores", "application/json", 413},
		{"too large with a key", "key-one", "/api/v1/runs", "application/json", 413},
		{"not JSON", "key-one", "/api/v1/risk/scores", "text/plain", 415},
		{"no caller", "", "/api/v1/risk/scores", "application/json", 401},
		{"no such route", "key-one", "/api/v1/weather/scores", "application/json", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, length := range []int64{11 << 20, -1} {
				body := new(endless)
				r := httptest.NewRequest("POST", tc.path, body)
				if length > 0 {
					r.Body = io.NopCloser(io.LimitReader(body, length))
				}
				r.ContentLength = length
				r.Header.Set("Content-Type", tc.media)
				r.Header.Set("Idempotency-Key", "a")
				if tc.key != "" {
					r.Header.Set("Authorization", "Bearer "+tc.key)
				}
				out := httptest.NewRecorder()
				w.api.ServeHTTP(out, r)
				if out.Code != tc.want || out.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("%d %s", out.Code, out.Body)
				}
				if length > 0 && body.read < length || body.read > maxUpload+maxBody+1<<20 {
					t.Errorf("%d bytes of %d were read", body.read, length)
				}
			}
		})
	}
}

// TestEarlyAnswerArrives: over a connection, too.
func TestEarlyAnswerArrives(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.api)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/api/v1/risk/scores", bytes.NewReader(make([]byte, 64<<20)))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer key-one")
	resp, err := server.Client().Do(r)
	must(t, err)
	defer resp.Body.Close()
	var p problem
	must(t, json.NewDecoder(resp.Body).Decode(&p))
	if resp.StatusCode != 413 || p.Status != 413 || p.Detail == "" {
		t.Errorf("%d %+v", resp.StatusCode, p)
	}
}

// FuzzPointers: whatever a body is, it decodes or is told why not, and never a panic.
func FuzzPointers(f *testing.F) {
	f.Add([]byte(`{"aggregates":[{"policies":[{"annual_premium":"x"}]}]}`))
	f.Add([]byte(`{"a":[1,{"b":null}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var q scoring.Request
		err := decode(body, &q)
		var e *fault.Error
		if err != nil && (!errors.As(err, &e) || e.Kind == fault.Invalid && (len(e.Fields) == 0 || len(e.Fields) > maxMisfits)) {
			t.Errorf("%v", err)
		}
	})
}
