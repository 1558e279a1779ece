package scoring

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"polis/handler/internal/portfolio"
)

// TestCareIsShown: the score, the signals with what they are of, and the gaps (the book
// sells liability and no contents); of who objects as of who does not.
func TestCareIsShown(t *testing.T) {
	const want = `"care":70.88,"signals":[` +
		`{"code":"unresolved_complaint","number":1,"points":45,"holds_offers":true},` +
		`{"code":"below_rebuild_value","number":0.25,"points":20,"source":"a \u0022register\u0022","value_as_of":"2025-06-30"},` +
		`{"code":"household_without_liability","number":1,"points":20},` +
		`{"code":"contents_lost","number":1,"points":12},` +
		`{"code":"motor_lost","number":1,"points":6}],` +
		`"gaps":[{"code":"household_without_liability","branch":"liability"}]`
	for name, objecting := range map[string]bool{"scored": false, "objecting": true} {
		sh := newScorer(t).Relation(subjects(troubled(objecting)), asOf, NewSet(Risk))
		body := sh[0].AppendJSON(nil, Risk, "t", noon)
		if !json.Valid(body) || !strings.Contains(string(body), `"care":`) {
			t.Fatalf("%s: %s", name, body)
		}
		if got := careOf(body); got != want && !objecting {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		if objecting && !bytes.Contains(body, []byte("objector_with_complaint")) {
			t.Errorf("%s: %s", name, body)
		}
	}
}

// careOf cuts what is of care out of a score.
func careOf(body []byte) string {
	_, rest, _ := strings.Cut(string(body), `,"care":`)
	at := strings.Index(rest, `"gaps":[`)
	end := strings.Index(rest[at:], "]")
	return `"care":` + rest[:at+end+1]
}

// troubled has a complaint, a home insured too low, and has lost two covers.
func troubled(objecting bool) *portfolio.Aggregate {
	return person("a", func(a *portfolio.Aggregate) {
		a.Customers[0].Objects = objecting
		home := a.Policies[0]
		home.ID, home.Branch, home.SumInsured = "home", "building", 300000_00
		home.Attributes = []portfolio.Attribute{
			{Key: portfolio.RebuildDate, Value: "2025-06-30"},
			{Key: portfolio.RebuildSource, Value: `a "register"`},
			{Key: portfolio.RebuildValue, Value: "400000"},
		}
		for i := range a.Policies {
			a.Policies[i].EndDate, a.Policies[i].Status, a.Policies[i].EndReason = asOf-40, portfolio.Ended, "insurer_left"
		}
		a.Policies = append(a.Policies, home)
		a.Contacts[0].Reason = "complaint"
	})
}

// TestATenantsRules reach scores by its settings, and by the file that models are kept in.
func TestATenantsRules(t *testing.T) {
	m := learnt(t)
	base := m.Settings
	settings, err := ReadSettings(strings.NewReader(`{"care": {
		"off": ["unresolved_complaint"], "points": {"motor_lost": 100}, "one_is_enough": ["pet"],
		"index": [{"branches": ["contents"], "source": "s", "levels": [{"year": 2020, "level": 1}]}],
		"add": ["own_rule,own,policies >= 1,50,,yes,our choice,nl {number},en {number}"]
	}}`), base)
	if err != nil {
		t.Fatal(err)
	}
	if len(base.Care.Index) != 2 || base.Care.Index[0].Levels[0].Level != 81 || base.Care.OneIsEnough[0] != "liability" || base.Care.Points != nil {
		t.Errorf("what a tenant set went into what it was set over: %+v", base.Care)
	}
	m.Settings = settings
	var buf bytes.Buffer
	if err := m.Save(&buf); err != nil {
		t.Fatal(err)
	}
	if m, err = Parse(buf.Bytes()); err != nil {
		t.Fatal(err)
	}
	s, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	c := s.Relation(subjects(troubled(false)), asOf, NewSet(Nbp))[0]
	if c.Risk.Care.Score != 100 || c.Risk.Care.Triggers[0].Code != "motor_lost" || c.Nbp.Withheld != "own_rule" {
		t.Errorf("%+v, withheld for %q", c.Risk.Care, c.Nbp.Withheld)
	}
	if _, err := ReadSettings(strings.NewReader(`{"care": {"add": ["own_rule,own,policys >= 1,50,,,s,nl,en"]}}`), base); err == nil || !strings.Contains(err.Error(), `"policys"`) {
		t.Errorf("a wrong word: %v", err)
	}
}
