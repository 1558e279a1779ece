package wording

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"polis/handler/internal/care"
	"polis/handler/internal/clv"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
)

// sentences are those of a tenant that has refined travel and has a segment of its own.
var sentences = func() *Sentences {
	s := care.Defaults()
	r, err := care.Compile(&s)
	if err != nil {
		panic(err)
	}
	segments := append(clv.Segments{{Code: "ours", NL: "Goud", EN: "Gold", ValueFrom: 0.9}, {Code: "core", NL: "Kern", EN: "Core", ValueFrom: 0.6}}, clv.Defaults.Segments[0])
	return Default().With(Own{
		Care: r, Offers: nbp.DefaultRules(), Segments: segments,
		Groups: nbp.Groups{{Code: "travel_world", NL: "wereldreisverzekering", EN: "worldwide travel insurance", Branch: "travel"}},
	})
}()

var update = flag.Bool("update", false, "write the golden files anew")

// features are the fields that reasons can be of, by whether they are of a policy.
func features() map[bool][]model.Field {
	offers, err := nbp.NewGrouping(nil)
	if err != nil {
		panic(err)
	}
	schema := feature.PolicySchema{Attributes: []feature.Attr{{Key: "roof_kind"}, {Key: "power_kw", Numeric: true}}}
	return map[bool][]model.Field{
		false: slices.Concat(schema.HazardFields(), schema.PolicyHazardFields(), offers.Fields()[len(feature.CustomerFields()):]),
		true:  schema.Fields(),
	}
}

// TestEveryFeatureHasSentences in both languages. A new feature needs a line in
// sentences.csv. All other codes are walked where scores are made: package scoring.
func TestEveryFeatureHasSentences(t *testing.T) {
	s := Default()
	for policy, list := range features() {
		for _, f := range list {
			if !s.HasFeature(policy, f.Name) {
				t.Errorf("sentences.csv has no name and sentence, in both languages, for the feature %s (of a policy: %v)", f.Name, policy)
			}
		}
	}
}

// TestSentencesAreFit to be read to a customer: no placeholder that nothing fills, no
// jargon, nothing that blames.
func TestSentencesAreFit(t *testing.T) {
	filled := map[string]bool{}
	for _, name := range strings.Fields("value band of why on horizon name other branch key book share common change without") {
		filled[name] = true
	}
	for key, r := range Default().rows {
		for _, text := range r.text {
			for _, cell := range []string{text.name, text.sentence, text.missing} {
				for rest := cell; ; {
					_, after, ok := strings.Cut(rest, "{")
					if !ok {
						break
					}
					name, after, _ := strings.Cut(after, "}")
					if name, _, _ = strings.Cut(name, " "); !filled[name] {
						t.Errorf("%s: nothing fills {%s}", key, name)
					}
					rest = after
				}
				for _, word := range strings.FieldsFunc(strings.ToLower(cell), func(c rune) bool { return !unicode.IsLetter(c) }) {
					if slices.Contains(unfit, word) {
						t.Errorf("%s: %q is no word for a customer", key, word)
					}
				}
			}
		}
	}
}

// TestNothingOfAnotherMember: whose age, or notice, made a household's chance what it is
// nobody else hears.
func TestNothingOfAnotherMember(t *testing.T) {
	for name, score := range map[string]string{
		"reasons": `{"engine":"churn","status":"scored","band":"high","definition":"all","probability":0.2,"basis":"own","policies":[{"policy_id":"t","branch":"travel"}],"reasons":{"of":"another_member","top":[{"code":"age","value":27,"contribution":0.5}]},"explained":{"parts":[{"code":"lapse_level","contribution":0.062}]}}`,
		"notice":  `{"engine":"churn","status":"scored","band":"high","definition":"all","probability":1,"basis":"own","ends_on":"2027-03-01","policies":[{"policy_id":"t","branch":"travel"}],"reasons":{"of":"another_member","top":[]}}`,
	} {
		for _, l := range []Lang{NL, EN} {
			list, err := Default().Text(l, []byte(score))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list {
				if s.About == "part" || strings.Contains(s.Text, "27") || strings.Contains(s.Text, "2027") || strings.Contains(s.Text, "100%") {
					t.Errorf("%s: %q", name, s.Text)
				}
			}
		}
	}
}

// TestAKnownEndIsOnesOwn: of a household each member is told when its own policies end, and not
// when another's do, which the relation's end goes by.
func TestAKnownEndIsOnesOwn(t *testing.T) {
	for policies, want := range map[string]string{
		`{"policy_id":"a","branch":"motor","ends_on":"2027-02-01"}`:                                                               "1 February 2027",
		`{"policy_id":"b","branch":"motor","ends_on":"2027-02-01"},{"policy_id":"a","branch":"home","ends_on":"2026-12-15"}`:      "1 February 2027",
		`{"policy_id":"a","branch":"motor","ends_on":"2027-05-01"},{"policy_id":"b","branch":"liability","ends_on":"2027-02-01"}`: "1 May 2027",
	} {
		list, err := Default().Text(EN, []byte(`{"engine":"churn","status":"scored","band":"high","definition":"all","probability":1,"basis":"own","ends_on":"2027-05-01","policies":[`+policies+`],"reasons":{"of":"another_member","top":[]}}`))
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 || !strings.Contains(list[0].Text, want) {
			t.Errorf("%s: %+v, want %s", policies, list, want)
		}
	}
}

// TestNoCauseIsClaimed: a model knows what goes together, so no reason says that what is
// known of a customer makes anything happen.
func TestNoCauseIsClaimed(t *testing.T) {
	for key, r := range Default().rows {
		if key[0] != "direction" || strings.Contains(key[1], ".load.") {
			continue
		}
		for _, text := range r.text {
			for _, cause := range []string{"aardoor", "aarom", "akt ", "makes", "ecause", "So we"} {
				if strings.Contains(text.sentence, cause) {
					t.Errorf("%s claims a cause: %q", key, text.sentence)
				}
			}
		}
	}
}

// TestNumbersRead renders every sentence that shows a number at none, one, two and a
// fraction, and finds nothing that nobody would say.
func TestNumbersRead(t *testing.T) {
	s := Default()
	odd := regexp.MustCompile(`\(\d|\b0 (maand|month|dag|day|keer|time)|(^|\s)[01] (times|\pL*en|\pL*s)\b|(^|\s)0 \pL|  `)
	for key, r := range s.rows {
		if key[0] != "customer" && key[0] != "policy" || slices.Contains([]string{"", "name", "eur", "years"}, r.format) {
			continue // nothing and a year are amounts like others
		}
		code := key[1]
		if strings.HasSuffix(code, "_") {
			code += "motor"
		}
		for _, l := range []Lang{NL, EN} {
			for _, v := range []float64{0, 0.04, 1, 1.04, 2, 2.5} {
				engine := map[string]string{"customer": "churn", "policy": "risk"}[key[0]]
				if text := s.Reason(l, engine, &Reason{Code: code, Value: v, Contribution: 1}); odd.MatchString(text) {
					t.Errorf("%s at %v in %s: %q", key, v, l, text)
				}
			}
		}
	}
}

// TestPartsOfNothing get no sentence: what rounds to nothing moves nothing.
func TestPartsOfNothing(t *testing.T) {
	score := `{"engine":"churn","basis":"own","status":"scored","explained":{"parts":[{"code":"lapse_level","contribution":0.1},{"code":"other_ends","contribution":-0.0001},{"code":"renewal_timing","contribution":0}]}}`
	list, err := sentences.Text(EN, []byte(score))
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, line := range list {
		if line.About == "part" {
			parts = append(parts, line.Code)
		}
	}
	if !slices.Equal(parts, []string{"lapse_level"}) {
		t.Errorf("sentences of %v", parts)
	}
}

// unfit are words of the trade, and words that blame.
var unfit = strings.Fields("churn lapse score model algoritme algorithm segment portefeuille portfolio royement polis propensity shapley clv " +
	"schuld fault helaas moet must fraude fraud wanbetaler defaulter")

// value is one that a feature could have, and the book's.
func value(s *Sentences, f model.Field) (v any, book map[string]any) {
	r, _ := s.feature("policy", f.Name)
	if f.Kind == model.Category {
		v := map[string]string{"value:segment": "business", "value:origin": "broker", "value:branch": "contents"}[r.format]
		if v == "" {
			v = "Noord"
		}
		return v, map[string]any{"common": "Zuid", "share": 0.624}
	}
	switch r.format {
	case "eur":
		return 1234.5, map[string]any{"median": 640, "percentile": 93}
	case "share":
		return 0.045, map[string]any{"median": 0.2, "percentile": 3}
	case "change", "coming":
		return 0.18, map[string]any{"median": 0.04, "percentile": 97}
	case "months":
		return 38.2, map[string]any{"median": 61, "percentile": 31}
	case "years":
		return 46.0, map[string]any{"median": 51, "percentile": 40}
	case "decimal_years":
		return 3.17, map[string]any{"median": 5, "percentile": 40}
	case "mood":
		return -0.6, map[string]any{"median": 0.1, "percentile": 4}
	}
	return 3.0, map[string]any{"median": 1, "percentile": 80}
}

// TestReasons reads every feature's sentences as they come out: raising, with a value, and
// lowering, not known. Read the golden files when a sentence changes: a customer will.
func TestReasons(t *testing.T) {
	s := Default()
	for _, l := range []Lang{NL, EN} {
		var b strings.Builder
		say := func(engine, code string, v any, book map[string]any, contribution float64) {
			body, err := json.Marshal(map[string]any{"code": code, "value": v, "book": book, "contribution": contribution})
			if err != nil {
				t.Fatal(err)
			}
			var r Reason
			if err := json.Unmarshal(body, &r); err != nil {
				t.Fatal(err)
			}
			text := s.Reason(l, engine, &r)
			if strings.ContainsAny(text, "{}|") || strings.Contains(text, "  ") || !strings.HasSuffix(text, ".") {
				t.Errorf("%s %s in %s: %q", engine, code, l, text)
			}
			fmt.Fprintf(&b, "%s %s\n  %s\n", engine, code, text)
		}
		for _, policy := range []bool{false, true} {
			engine := "churn"
			if policy {
				engine = "risk"
			}
			for _, f := range features()[policy] {
				v, book := value(s, f)
				say(engine, f.Name, v, book, 0.3)
				say(engine, f.Name, nil, book, -0.3)
			}
		}
		say("nbp", "holds_motor", 0.0, nil, 0.1)
		say("nbp", "claims_12m", 1.0, nil, 0.1)
		say("nbp", "product_group", "business_liability", map[string]any{"common": "motor", "share": 0.1}, 0.1)
		say("churn", "age × main_branch", nil, nil, -0.2)
		say("churn", "premium_change", -0.031, map[string]any{"median": -0.02, "percentile": 40}, -0.2)
		say("churn", "origin", "direct", map[string]any{"common": "direct", "share": 0.7}, -0.2)
		say("risk", "attribute_fuel", "electric", map[string]any{"common": "petrol", "share": 0.7}, 0.2)
		say("risk", "attribute_vehicle_year", 2007.0, map[string]any{"median": 2015}, 0.2)
		say("churn", "carriers", 0.0, map[string]any{"median": 0}, -0.2)
		say("churn", "silence", 59.0, map[string]any{"median": 0.2}, 0.2)
		say("churn", "last_contact", 3.0, map[string]any{"median": 0.2}, 0.2)
		say("churn", "last_contact", 3.0, map[string]any{"median": 1.2}, 0.2)
		say("churn", "not listed", 3.0, nil, -0.2)
		golden(t, "reasons."+l.String()+".txt", b.String())
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as it was; go test -update writes it anew. It is now:\n%s", path, got)
	}
}

// TestScores puts whole scores into words.
func TestScores(t *testing.T) {
	scores := []string{
		`{"engine":"risk","status":"scored","band":"high","expected_loss":312.4,"loss_ratio":null,"policies":[{"policy_id":"p1","branch":"motor","basis":"blended"}],"reasons":{"of":"p1","top":[{"code":"branch_level","value":1.2,"contribution":0.18},{"code":"development","value":0.9,"contribution":-0.1}]}}`,
		`{"engine":"churn","status":"scored","band":"low","definition":"one_policy","probability":0.12,"basis":"market"}`,
		`{"engine":"churn","status":"scored","band":"very_high","definition":"all","probability":1,"basis":"own","ends_on":"2026-12-31","policies":[{"policy_id":"p","branch":"motor","ends_on":"2026-12-31"}],"reasons":{"top":[{"code":"tenure","value":38,"contribution":-0.1}]}}`,
		`{"engine":"churn","status":"scored","band":"very_high","definition":"all","probability":1,"basis":"own","ends_on":"2026-12-31","policies":[{"policy_id":"t","branch":"travel"}],"reasons":{"of":"another_member","top":[{"code":"tenure","value":38,"contribution":-0.1}]}}`,
		`{"engine":"churn","status":"scored","band":"low","definition":"all","probability":0.1,"basis":"mean","explained":{"of":"probability","reference":0.08,"parts":[{"code":"lapse_level","contribution":0.02}]}}`,
		`{"engine":"churn","status":"scored","band":"low","definition":"all","probability":0.1,"basis":"blended","reasons":{"top":[]},"explained":{"of":"probability","reference":0.08,"parts":[{"code":"lapse_level","contribution":0.02}]}}`,
		`{"engine":"clv","status":"scored","band":"high","value":812,"horizon_months":120,"view":"intermediary","segment":{"code":"loss_making","nl":"Verlieslatend","en":"Loss-making"}}`,
		`{"engine":"clv","status":"scored","band":"high","value":812,"horizon_months":120,"view":"agency","segment":{"code":"ours","nl":"Goud","en":"Gold"}}`,
		`{"engine":"clv","status":"scored","band":"high","value":812,"horizon_months":6,"view":"insurer","segment":{"code":"core","nl":"Kern","en":"Core"}}`,
		`{"engine":"clv","status":"scored","band":"low","value":8,"horizon_months":120,"view":"agency","segment":{"code":"steady","nl":"Gestaag","en":"Steady"}}`,
		`{"engine":"clv","status":"scored","band":"low","value":8,"horizon_months":120,"view":"agency","segment":{"code":"steady","nl":"Gestaag","en":"Steady","without_churn":true}}`,
		`{"engine":"clv","status":"scored","band":"high","value":812,"horizon_months":120,"view":"agency","segment":{"code":"loss_making","nl":"Verlieslatend","en":"Loss-making","without_churn":true}}`,
		`{"engine":"nbp","status":"scored","band":"low","may_contact":true,"contact":[{"channel":"email","allowed":true,"code":"existing_customer"},{"channel":"phone","allowed":false,"code":"no_consent"},{"channel":"fax","allowed":false,"code":"of_old"}],"offers":[{"group":"travel_world","branch":"travel","probability":0.08,"need":"useful","basis":"blended","ask":["birth_year"]},{"group":"motor","branch":"motor","probability":0.03,"need":"essential","basis":"own","ask":[],"reasons":{"of":"motor","top":[{"code":"had_it","contribution":-0.1}]}}],"excluded":[{"group":"boat","code":"held"},{"group":"cyber","code":"segment"}],"reasons":{"of":"travel_world","top":[{"code":"product_group","value":"travel_world","contribution":0.1},{"code":"holds_travel_world","value":0,"contribution":0.2}]}}`,
		`{"engine":"risk","status":"scored","band":"high","expected_loss":312.4,"loss_ratio":0.6,"signals":[{"code":"claims_in_short_time","number":3},{"code":"house_rule","number":1}],"gaps":[{"code":"household_without_liability","branch":"liability"},{"code":"house_rule","branch":"travel"}],"policies":[{"policy_id":"p0","branch":"travel","basis":"market"},{"policy_id":"p1","branch":"motor","basis":"own"}],"reasons":{"of":"p1","top":[{"code":"claims_36m","value":3,"book":{"median":0,"percentile":96},"contribution":0.41}]}}`,
		`{"engine":"churn","status":"scored","band":"very_high","definition":"all_essential","probability":0.2371,"basis":"own","explained":{"parts":[{"code":"lapse_level","contribution":0.11},{"code":"renewal_timing","contribution":-0.0031},{"code":"other_ends","contribution":0}]},"reasons":{"top":[{"code":"premium_change","value":0.18,"book":{"median":0.04,"percentile":97},"contribution":0.5}]}}`,
		`{"engine":"churn","status":"scored","band":"low","definition":"all","probability":0.01,"basis":"own","reasons":{"of":"another_member","top":[{"code":"age","value":51,"contribution":0.5}]},"explained":{"of":"probability","reference":0.08,"parts":[{"code":"lapse_level","contribution":0.062}]}}`,
		`{"engine":"churn","status":"objected","definition":"all"}`,
		`{"engine":"clv","status":"scored","band":"low","value":-1234.5,"horizon_months":120,"view":"intermediary","explained":{"parts":[{"code":"premium","contribution":12.3},{"code":"loss","contribution":-900},{"code":"cost","contribution":0.01},{"code":"survival","contribution":-3}]}}`,
		`{"engine":"nbp","status":"scored","band":"medium","may_contact":false,"contact":[{"channel":"email","allowed":false,"code":"consent_refused"}],"withheld":"unresolved_complaint","offers":[],"excluded":[{"group":"liability","code":"care_signal"},{"group":"motor","code":"held"}],"explained":{"parts":[{"code":"probability","contribution":1},{"code":"worth","contribution":-1}]}}`,
		`{"engine":"nbp","status":"scored","band":"low","may_contact":true,"offers":[{"group":"boat","probability":0.03,"need":"useful","basis":"own","ask":[]}],"reasons":{"of":"boat","whose":"another_member","top":[{"code":"age","value":51,"contribution":0.5}]}}`,
		`{"engine":"nbp","status":"scored","band":"low","may_contact":true,"offers":[]}`,
		`{"engine":"defend","status":"scored","band":"high","action":"resolve_complaint","trigger":"unresolved_complaint"}`,
		`{"engine":"defend","status":"scored","band":"high","action":"house_action","trigger":"house_rule"}`,
		`{"engine":"defend","status":"no_policies","action":"none"}`,
	}
	for _, l := range []Lang{NL, EN} {
		var b strings.Builder
		for _, score := range scores {
			list, err := sentences.Text(l, []byte(score))
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range list {
				if strings.ContainsAny(line.Text, "{}|") {
					t.Errorf("%q", line.Text)
				}
				fmt.Fprintf(&b, "%s %s\n  %s\n", line.About, line.Code, line.Text)
			}
			out, err := sentences.Append(l, []byte(score))
			if err != nil || !json.Valid(out) {
				t.Errorf("%v: %s", err, out)
			}
			b.WriteByte('\n')
		}
		for _, why := range []string{"", "outside"} {
			fmt.Fprintf(&b, "what_if %s\n  %s\n", why, sentences.WhatIf(l, why, -0.1, 0.05, 0.0612))
		}
		golden(t, "scores."+l.String()+".txt", b.String())
	}
}

// TestWordsGoWithTheirNumber: of whatever a sentence counts, one is said otherwise than two, in
// both languages and for every code.
func TestWordsGoWithTheirNumber(t *testing.T) {
	alike := regexp.MustCompile(`\b[12] keer\b`) // one and more alike
	n := 0
	for key, r := range Default().rows {
		if r.format != "count" && r.format != "number" {
			continue
		}
		for _, text := range r.text {
			said := func(number string) string { return fill(text.sentence, is{"value": number}) }
			none, one, two := said("0"), said("1"), said("2")
			if n++; strings.ReplaceAll(one, "1", "2") == two && !alike.MatchString(one) || strings.Contains(none, " 0 ") {
				t.Errorf("%v: %q, %q, %q", key, none, one, two)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d sentences count something", n)
	}
}

func TestNumbers(t *testing.T) {
	s := Default()
	for _, tc := range []struct {
		format string
		v      float64
		nl, en string
	}{
		{"eur", 1234.5, "1.234,50 euro", "€1,234.50"},
		{"eur", 1234567, "1.234.567 euro", "€1,234,567"},
		{"eur", -12.345, "−12,35 euro", "−€12.35"},
		{"eur", -0.001, "0 euro", "€0"},
		{"months", 38, "3 jaar en 2 maanden", "3 years and 2 months"},
		{"months", 12, "1 jaar", "1 year"},
		{"months", 13.4, "1 jaar en 1 maand", "1 year and 1 month"},
		{"months", 0.2, "minder dan een maand", "less than a month"},
		{"decimal_years", 3.17, "3 jaar en 2 maanden", "3 years and 2 months"},
		{"share", 0.184, "18%", "18%"},
		{"share", 0.0451, "4,5%", "4.5%"},
		{"share", 12.3, "1.230%", "1,230%"},
		{"change", 0.18, "ging 18% omhoog", "rose by 18%"},
		{"change", -0.002, "ging 0,2% omlaag", "fell by 0.2%"},
		{"coming", 0.0001, "blijft gelijk", "will stay the same"},
		{"points", 0.0001, "0 procentpunt hoger", "0 percentage points higher"},
		{"points", 0.01, "1 procentpunt hoger", "1 percentage point higher"},
		{"points", -0.0213, "2,1 procentpunt lager", "2.1 percentage points lower"},
		{"difference", 12.3, "12,30 euro hoger", "€12.30 higher"},
		{"month", 3, "maart", "March"},
		{"number", 1.5, "1,5", "1.5"},
		{"count", 2000, "2.000", "2,000"},
		{"years", 46, "46 jaar", "46 years"},
		{"plain", 2010, "2010", "2010"},
		{"plain", 12500, "12.500", "12,500"},
		{"plain", 7.25, "7,3", "7.3"},
	} {
		if nl, en := s.write(NL, tc.format, tc.v, false), s.write(EN, tc.format, tc.v, false); nl != tc.nl || en != tc.en {
			t.Errorf("%s %v: %q and %q, want %q and %q", tc.format, tc.v, nl, en, tc.nl, tc.en)
		}
	}
	for _, v := range []float64{math.Inf(1), math.Inf(-1), 1e300, -1e300} {
		for format := range formats {
			s.write(NL, format, v, false) // and does not panic
		}
	}
}

func TestChoose(t *testing.T) {
	for _, tc := range []struct {
		query, accept string
		want          Lang
		asked         bool
	}{
		{"", "", EN, false},
		{"nl", "", NL, true},
		{"NL-be", "en", NL, true},
		{"fr", "nl", EN, true},
		{"", "nl-NL,nl;q=0.9,en;q=0.8", NL, true},
		{"", "en-GB, nl;q=0.9", EN, true},
		{"", "fr, nl;q=0.2, en;q=0.1", NL, true},
		{"", "fr", EN, true},
		{"", "*", EN, true},
		{"", "nl;q=0", EN, true},
		{"", ";;q=,,", EN, true},
	} {
		if got, asked := Choose(tc.query, tc.accept); got != tc.want || asked != tc.asked {
			t.Errorf("lang=%s, Accept-Language %q: %s, %v", tc.query, tc.accept, got, asked)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	head := strings.Join(header, ";") + "\n"
	for name, tc := range map[string]struct{ file, says string }{
		"nothing":          {"", "none"},
		"no lines":         {head, "none"},
		"another header":   {strings.Replace(head, "format", "unit", 1) + "band;low;;;a;;;b;\n", "column 3"},
		"a cell too few":   {head + "band;low;;;a;;;b\n", "line 2"},
		"the same twice":   {head + "band;low;;;a;;;b;\nband;low;;;a;;;b;\n", "line 3"},
		"an open brace":    {head + "band;low;;;{a;;;b;\n", "line 2"},
		"two forms":        {head + "band;low;count;;{value keer|keer};;;b;\n", "line 2"},
		"an unknown style": {head + "band;low;roman;;a;;;b;\n", "roman"},
	} {
		if _, err := Read(strings.NewReader(tc.file)); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(strings.NewReader("\ufeff" + head + "band;low;;;a;;;b;\n")); err != nil {
		t.Errorf("a spreadsheet's mark: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(string(embedded))
	f.Add("group;code\n")
	f.Fuzz(func(_ *testing.T, file string) {
		if s, err := Read(strings.NewReader(file)); err == nil {
			s.Reason(NL, "churn", &Reason{Code: "age", Value: 3.0})
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte(`{"engine":"churn","status":"scored","reasons":{"top":[{"code":"age × premium"},{"code":"holds_","value":1}]}}`))
	f.Fuzz(func(_ *testing.T, score []byte) {
		for _, l := range []Lang{NL, EN} {
			if out, err := sentences.Append(l, score); err == nil && !json.Valid(out) {
				panic("what was JSON is none any more")
			}
		}
	})
}
