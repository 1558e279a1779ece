package scoring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"polis/handler/internal/defend"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/risk"
	"polis/handler/internal/score/scoretest"
)

func TestReadSettings(t *testing.T) {
	base := DefaultSettings()
	for _, tt := range []struct {
		name, text string
		kind       fault.Kind
		says       string
	}{
		{"no object", `[`, fault.Malformed, "settings"},
		{"an unknown section", `{"clw": {}}`, fault.Malformed, "clw"},
		{"an unknown field", `{"clv": {"horizon": 3}}`, fault.Malformed, "horizon"},
		{"a wrong type", `{"clv": {"horizon_months": "ten"}}`, fault.Invalid, "horizon_months"},
		{"a number for a number of months", `{"clv": {"horizon_months": 1.5}}`, fault.Invalid, "clv.horizon_months is a number where a whole number is expected"},
		{"a section that is none", `{"clv": 3}`, fault.Invalid, "clv is a number where an object is expected"},
		{"a list", `[]`, fault.Invalid, "settings are one JSON object"},
		{"no JSON", `{"clv": }`, fault.Malformed, "no JSON at byte 9"},
		{"a misspelt field", `{"clv": {"horizon": 3}}`, fault.Malformed, `there is no "horizon"; polis settings`},
		{"a rule broken", `{"clv": {"horizon_months": 0}}`, fault.Invalid, "horizon_months"},
		{"no such feature", `{"features": {"exclude": ["regoin"]}}`, fault.Invalid, "regoin"},
		{"a forbidden attribute named", `{"features": {"attributes": ["fuel", "SekseCode"]}}`, fault.Invalid, "features.attributes[1]"},
		{"nothing to protect", `{"audit": {"protected": ["age", "zzz"]}}`, fault.Invalid, `audit.protected[1]: no feature is called "zzz"`},
		{"risk without a source", `{"risk": {"market": {"boat": {"frequency": 0.1, "severity": 900}}}}`, fault.Invalid, "market.boat.source"},
		{"a play of no trigger", `{"defend": {"plays": {"likely_laps": {"action": "x"}}}}`, fault.Invalid, "likely_laps is no trigger"},
		{"a play of a rule that holds nothing back", `{"defend": {"plays": {"turning_18": {"action": "x"}}}}`, fault.Invalid, "turning_18 is no trigger"},
		{"a play with a field that there is not", `{"defend": {"plays": {"likely_lapse": {"acton": "x"}}}}`, fault.Malformed, "acton"},
		{"no plays", `{"defend": {"plays": null}}`, fault.Invalid, "care is owed to everyone"},
		{"no play for what is missing", `{"defend": {"plays": {"coverage_gap": null}}}`, fault.Invalid, "coverage_gap is owed to everyone"},
		{"two objects", `{} {}`, fault.Malformed, "more follows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadSettings(strings.NewReader(tt.text), base)
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v; want %v that says %q", err, tt.kind, tt.says)
			}
		})
	}
	got, err := ReadSettings(strings.NewReader(`{"clv": {"horizon_months": 60}}`), base)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultSettings()
	want.Clv.HorizonMonths = 60
	if !reflect.DeepEqual(got, want) {
		t.Errorf("settings %+v, want the defaults but for the horizon", got)
	}
}

// TestReplacementDays: a tenant's are kept with its models, and every view goes by them; models
// whose settings do not say have what Polis came with.
func TestReplacementDays(t *testing.T) {
	saved := func(change func(s *Settings), edit func(string) string) *Models {
		m := learnt(t)
		change(&m.Settings)
		var b bytes.Buffer
		if err := m.Save(&b); err != nil {
			t.Fatal(err)
		}
		out, err := Parse([]byte(edit(b.String())))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	same := func(s string) string { return s }
	older := func(s string) string { return strings.Replace(s, `"replacement_days":20,`, "", 1) }
	twenty := func(s *Settings) { s.Churn.ReplacementDays = 20 }
	for _, tc := range []struct {
		m    *Models
		want int
	}{{saved(func(*Settings) {}, same), 45}, {saved(twenty, same), 20}, {saved(twenty, older), 45}} {
		if got := tc.m.Ends.ReplacementDays; int(got) != tc.want || tc.m.Settings.Churn.ReplacementDays != tc.want {
			t.Errorf("views within %d days, settings %d; want %d", got, tc.m.Settings.Churn.ReplacementDays, tc.want)
		}
	}
}

// TestTenantsPlaysStayTheirOwn: plays are a map, and the defaults serve all tenants.
func TestTenantsPlaysStayTheirOwn(t *testing.T) {
	text := `{"defend": {"plays": {"likely_lapse": {"action": "call", "from": 1, "to": 2, "days": 3}}}}`
	if _, err := ReadSettings(strings.NewReader(text), DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	if defend.Default.Plays["likely_lapse"].Action == "call" {
		t.Error("a tenant's play went into the defaults")
	}
}

// TestPlaysLeftOut: null leaves a play out, the others stay, and models that were saved so are
// read so. A play of a rule that is off is no mistake.
func TestPlaysLeftOut(t *testing.T) {
	text := `{"care": {"off": ["unresolved_complaint"]}, "defend": {"plays": {"likely_lapse": null, "likely_purchase": null, "death_in_household": {"action": "condole", "to": 99}}}}`
	s, err := ReadSettings(strings.NewReader(text), DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	line, err := settingsLine(s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := readSettings(line)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]map[string]*defend.Play{"given": s.Defend.Plays, "stored": again.Defend.Plays} {
		if p[defend.Lapse] != nil || p[defend.Buy] != nil || p[defend.Rise] == nil || p["death_in_household"].Action != "condole" || p["unresolved_complaint"] == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// TestExcluded: what a tenant excludes no model reads, and its list stays its own.
func TestExcluded(t *testing.T) {
	base := DefaultSettings()
	base.Features.Exclude = []string{"region"}
	s, err := ReadSettings(strings.NewReader(`{"features": {"exclude": ["age"]}}`), base)
	if err != nil || base.Features.Exclude[0] != "region" {
		t.Errorf("%v, and before it %v was excluded", err, base.Features.Exclude)
	}
	aged := scoretest.Model(t, feature.HazardFields(), model.Logistic, -4, scoretest.Step{Field: "age", Edges: []float64{40}, Values: []float64{0, 1, -1}})
	if err := s.Allow(aged); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "age") {
		t.Errorf("a model that reads what is excluded: %v", err)
	}
	if err := base.Allow(aged); err != nil {
		t.Error(err)
	}
}

// TestTenantsRiskStaysTheirOwn: a branch's prior is set beside those of the others, a list
// of covers takes the place of the built-in one, and neither goes into the defaults.
func TestTenantsRiskStaysTheirOwn(t *testing.T) {
	text := `{"risk": {"market": {"drone": {"frequency": 0.2, "severity": 900, "source": "our own book"}}, "apart_covers": ["ruitbreuk"]}}`
	got, err := ReadSettings(strings.NewReader(text), DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	if got.Risk.Expected("drone").Frequency != 0.2 || got.Risk.Expected("motor") != risk.Defaults.Expected("motor") {
		t.Errorf("of drones %+v, of motor %+v", got.Risk.Expected("drone"), got.Risk.Expected("motor"))
	}
	if !got.Risk.IsApart("Ruitbreuk") || got.Risk.IsApart("glass") || !risk.Defaults.IsApart("glass") || risk.Defaults.IsApart("ruitbreuk") {
		t.Error("covers apart are not the tenant's own")
	}
	if _, ok := risk.Defaults.Market["drone"]; ok {
		t.Error("a tenant's prior went into the defaults")
	}
}

// TestNoModelsOfWhatMayNotBe: models that were made otherwise are not scored with.
func TestNoModelsOfWhatMayNotBe(t *testing.T) {
	for name, change := range map[string]func(*Models){
		"a forbidden attribute": func(m *Models) { m.Risk.Schema.Attributes = []feature.Attr{{Key: "geslacht", Values: []string{"x"}}} },
		"a forbidden value":     func(m *Models) { m.Risk.Schema.Attributes = []feature.Attr{{Key: "fuel", Values: []string{"vrouw"}}} },
		"an excluded attribute": func(m *Models) {
			m.Risk.Schema.Attributes, m.Settings.Features.Exclude = []feature.Attr{{Key: "fuel", Values: []string{"x"}}}, []string{"attribute_fuel"}
		},
		"an excluded feature":     func(m *Models) { m.Settings.Features.Exclude = []string{"age"} },
		"what is not a feature":   func(m *Models) { m.Settings.Features.Exclude = []string{"regoin"} },
		"nothing to look back on": func(m *Models) { m.Settings.Features.Snapshots = 0 },
	} {
		m := learnt(t)
		m.Churn.Lapse = scoretest.Model(t, feature.HazardFields(), model.Logistic, -4, scoretest.Step{Field: "age", Edges: []float64{40}, Values: []float64{0, 1, -1}})
		if _, err := New(m); err != nil {
			t.Fatal(err)
		}
		change(m)
		m.checked = false // they are no longer what was read
		if m.Risk.Schema.Attributes != nil {
			fields := m.Risk.Schema.Fields()
			m.Risk.Frequency, m.Risk.Severity = model.Constant(fields, model.Poisson, -2, ""), model.Constant(fields, model.Gamma, 7, "")
		}
		if _, err := New(m); err == nil {
			t.Errorf("%s: is scored with", name)
		}
	}
}

// TestSettingsOfBeforeFormat6: what was said of relations stays of relations.
func TestSettingsOfBeforeFormat6(t *testing.T) {
	const line = `{"churn":{"definition":"all","market":{"lapse":0.2,"other":0.03,"policy_lapse":0.07,"policy_other":0.04,"fade":0.4}}}`
	want := DefaultSettings()
	want.Churn.Definition = "all"
	now := want
	want.Churn.Market.RelationLapse, want.Churn.Market.RelationOther, want.Churn.Market.Fade = 0.2, 0.03, 0.4
	now.Churn.Market.Lapse, now.Churn.Market.Other, now.Churn.Market.Fade = 0.2, 0.03, 0.4
	for format, want := range map[int]Settings{5: want, 6: now} {
		got, err := ParseSettings(fmt.Appendf(nil, "{\"format\":%d}\n%s\n{}\n", format, line))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("of format %d: %v, churn %+v; want %+v", format, err, got.Churn, want.Churn)
		}
	}
}

// TestOlderSettings: of models that were saved before a setting was there, the setting is what
// this program comes with; each is taken for the newest in turn.
func TestOlderSettings(t *testing.T) {
	m := learnt(t)
	m.Settings.Clv.HorizonMonths = 60 // the standard settings are not read
	var b bytes.Buffer
	if err := m.Save(&b); err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(b.Bytes(), []byte{'\n'})
	var all map[string]any
	if err := json.Unmarshal(lines[1], &all); err != nil {
		t.Fatal(err)
	}
	defaults := reflect.ValueOf(DefaultSettings())
	tried := 0
	var without func(path string, within map[string]any, s reflect.Value, now func(*Settings) reflect.Value)
	without = func(path string, within map[string]any, s reflect.Value, now func(*Settings) reflect.Value) {
		for i := range s.NumField() {
			name, _, _ := strings.Cut(s.Type().Field(i).Tag.Get("json"), ",")
			at := strings.TrimPrefix(path+"."+name, ".")
			value, ok := within[name]
			if !ok {
				continue
			}
			of := func(s *Settings) reflect.Value { return reflect.Indirect(now(s)).Field(i) }
			if section, ok := value.(map[string]any); ok && s.Field(i).Kind() == reflect.Struct {
				without(at, section, s.Field(i), of)
			}
			delete(within, name)
			older, err := json.Marshal(all)
			within[name] = value
			if err != nil {
				t.Fatal(err)
			}
			read, err := Parse(slices.Concat(lines[0], older, []byte{'\n'}, bytes.Join(lines[2:], nil)))
			if tried++; err != nil {
				t.Errorf("without %s: %v", at, err)
			} else if got := of(&read.Settings); !reflect.DeepEqual(got.Interface(), s.Field(i).Interface()) {
				t.Errorf("without %s it is %v, not %v", at, got, s.Field(i))
			}
		}
	}
	without("", all, defaults, func(s *Settings) reflect.Value { return reflect.ValueOf(s) })
	if tried < 80 {
		t.Errorf("%d settings tried", tried)
	}
}
