package httpapi

import (
	"encoding/json"
	"errors"
	"slices"
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
		"an amount":                     {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"annual_premium":"secret"}`, 1), []string{"/policies/2/annual_premium"}},
		"a date":                        {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"start_date":"secret"}`, 1), []string{"/policies/2/start_date"}},
		"another kind of JSON":          {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"notice_months":1234567.5}`, 1), []string{"/policies/2/notice_months"}},
		"of the version":                {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"recorded_at":"secret"}`, 1), []string{"/policies/2/recorded_at"}},
		"no field":                      {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `{"a/b~c":"secret"}`, 1), []string{"/policies/2/a~1b~0c"}},
		"no row":                        {new(portfolio.Aggregate), strings.Replace(aggregateOf, "%s", `"secret"`, 1), []string{"/policies/2"}},
		"no rows":                       {new(portfolio.Aggregate), `{"claims":{"secret":1}}`, []string{"/claims"}},
		"no object":                     {new(portfolio.Aggregate), `["secret"]`, []string{""}},
		"a list in a row":               {new(portfolio.Aggregate), `{"customers":[{"consents":[{},{"given":"secret"}]}]}`, []string{"/customers/0/consents/1/given"}},
		"several":                       {new(portfolio.Aggregate), `{"contacts":[{"contacted_at":"secret"}],"claims":[{"paid":0.001},{"paid":true}]}`, []string{"/contacts/0/contacted_at", "/claims/0/paid", "/claims/1/paid"}},
		"a batch":                       {new(scoring.Request), `{"aggregates":[{"customers":[]},{"claims":[{"loss_date":"secret"}]}]}`, []string{"/aggregates/1/claims/0/loss_date"}},
		"an engine":                     {new(runRequest), `{"engines":["risk","secret"]}`, []string{"/engines/1"}},
		"case is folded, as it decodes": {new(portfolio.Aggregate), `{"Policies":[{"START_DATE":"secret"}]}`, []string{"/Policies/0/START_DATE"}},
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
	out = w.json("key-one", "POST", "/api/v1/risk/scores", map[string]any{"aggregates": []any{aggregate("A"), bad}})
	if got := told(out.Body.Bytes()); out.Code != 422 || !slices.Equal(got, want) {
		t.Errorf("%d %q, want %q", out.Code, got, want)
	}
}

func pointers(fields []fault.Field) (out []string) {
	for _, f := range fields {
		out = append(out, f.Pointer)
	}
	return out
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
