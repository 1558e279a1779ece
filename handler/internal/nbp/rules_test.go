package nbp_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"polis/handler/internal/fault"
	. "polis/handler/internal/nbp"
)

const head = "code;kind;segment;age_below;factor;source;nl;en\n"

// TestRulesThatCannotBe name the file, the line and the column, and no value.
func TestRulesThatCannotBe(t *testing.T) {
	for name, tc := range map[string]struct{ table, says string }{
		"nothing":                {"", "my.csv line 1 is no row of column names"},
		"an unknown column":      {"code;kinds\n", "my.csv line 1: column 2 is none of a rule's"},
		"a column twice":         {"code;code\n", "my.csv line 1: column code is there twice"},
		"a column missing":       {"code;kind;source;nl\n", "my.csv line 1: column en is missing"},
		"an unknown kind":        {head + "x;secretkind;private;18;;s;n;e\n", "my.csv line 2: kind is missing or no such value"},
		"no number":              {head + "ok;eligibility;private;18;;s;n;e\nx;eligibility;private;secret;;s;n;e\n", "my.csv line 3: age_below is missing or no such value"},
		"a factor of 2":          {head + "x;ask;private;;2;s;n;e\n", "my.csv line 2: factor"},
		"no factor":              {head + "x;ask;private;;;s;n;e\n", "my.csv line 2: factor goes with kind suitability or ask"},
		"no condition":           {head + "x;eligibility;;;;s;n;e\n", "my.csv line 2: a rule that keeps offers away needs a condition"},
		"a state with condition": {head + "held;state;private;;;s;n;e\n", "my.csv line 2: a rule of kind state or contact has no conditions"},
		"no source":              {head + "x;eligibility;private;18;;;n;e\n", "my.csv line 2: source is missing"},
		"a cell too few":         {head + "x;eligibility;private;18\n", "my.csv line 2: not as many cells"},
		"an open quote":          {head + "x;eligibility;\"private;18;;s;n;e\n", "my.csv line 2: not as many cells"},
	} {
		rules, err := ParseRules("my.csv", []byte(tc.table))
		if rules != nil || !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSettingsThatCannotBe name the field.
func TestSettingsThatCannotBe(t *testing.T) {
	for says, change := range map[string]func(*Settings){
		"own_events":                  func(s *Settings) { s.OwnEvents = 1 },
		"prior_events":                func(s *Settings) { s.PriorEvents = -1 },
		"offers is from 1":            func(s *Settings) { s.Offers = 0 },
		"explained":                   func(s *Settings) { s.Explained = 0 },
		"commission_rate":             func(s *Settings) { s.CommissionRate = 2 },
		"cool_off_months":             func(s *Settings) { s.CoolOffMonths = -1 },
		"elsewhere_months":            func(s *Settings) { s.ElsewhereMonths = 999 },
		"cooling_off_days":            func(s *Settings) { s.CoolingOffDays = -1 },
		"channels[0].name":            func(s *Settings) { s.Channels[0].Name = "all" },
		"declined_reasons":            func(s *Settings) { s.DeclinedReasons = []string{""} },
		"market_rate names no group":  func(s *Settings) { s.Market = map[string]Market{"moon": {0.1, "x"}} },
		"market_rate.travel.source":   func(s *Settings) { s.Market = map[string]Market{"travel": {0.1, ""}} },
		"market_rate_default.rate":    func(s *Settings) { s.MarketDefault.Rate = 1 },
		"the code held needs a line":  func(s *Settings) { s.Rules = s.Rules[:3] },
		"the code minor is there twi": func(s *Settings) { s.Rules = append(s.Rules, s.Rules[0]) },
		"moon is no code of the prog": func(s *Settings) {
			s.Rules = append(s.Rules, Rule{Code: "moon", Kind: State, Source: "x", NL: "x", EN: "x"})
		},
	} {
		s := Defaults()
		change(&s)
		if err := s.Check(); !fault.Is(err, fault.Invalid) && err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want one that says %s", err, says)
		}
	}
	s := Defaults()
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// TestSettingsComeBack: what is saved is read as it was, over any other settings.
func TestSettingsComeBack(t *testing.T) {
	s := Defaults()
	s.Rules = s.Rules[1:]
	s.Groups = Groups{{Code: "car", NL: "x", EN: "x", Branch: "motor", Private: true}}
	body, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	got := Defaults().Clone()
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, s) {
		t.Error("they differ")
	}
	if err := json.Unmarshal([]byte(`{"rules": [{"colour": "red"}]}`), &got); err == nil {
		t.Error("an unknown condition is taken")
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add([]byte(head + "x;eligibility;private;18;;s;n;e\n"))
	f.Add([]byte("code,kind,source,nl,en\nheld,state,\"a \"\"b\"\"\",n,e\n"))
	g, err := NewGrouping(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		if rules, err := ParseRules("x", body); err == nil {
			_ = rules.Check(g)
		}
	})
}
