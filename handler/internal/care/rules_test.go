package care

import (
	"encoding/csv"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// all is a book that sells everything, so that every gap is one.
func all() Book {
	sold := map[string]bool{}
	for _, b := range portfolio.Branches {
		sold[b.Name] = true
	}
	return Book{Sold: sold, ContactsSince: asOf - 10000}
}

func engine(t testing.TB, s Settings, b Book) *Engine {
	t.Helper()
	rules, err := Compile(&s)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(rules, b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// nothing are the facts of who has nothing.
func nothing() Facts {
	f := make(Facts, len(FactList))
	for _, i := range unknowns {
		f[i] = unknown
	}
	return f
}

// set puts facts such as "claims_12m=3 policies=1" in place.
func set(t *testing.T, f Facts, text string) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		i, ok := factIndex[name]
		v, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			t.Fatalf("%s is no fact with a value", word)
		}
		f[i] = v
	}
}

// TestEveryRuleFiresWhereItShould: testdata/pairs.csv has for every rule facts with which it
// fires, and one fact that differs with which it does not.
func TestEveryRuleFiresWhereItShould(t *testing.T) {
	file, err := os.Open("testdata/pairs.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t, Defaults(), all())
	fires := func(code string, f Facts) bool {
		var r Result
		e.fill(f, &r)
		return slices.ContainsFunc(r.Triggers, func(t Trigger) bool { return t.Code == code })
	}
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		code := row[0]
		if e.rules.Rule(code) == nil || seen[code] {
			t.Errorf("%s is no rule, or here twice", code)
			continue
		}
		seen[code] = true
		f := nothing()
		set(t, f, row[1])
		if !fires(code, f) {
			t.Errorf("%s does not fire where %s", code, row[1])
		}
		if len(strings.Fields(row[2])) != 1 {
			t.Errorf("%s: %q is not one fact", code, row[2])
		}
		set(t, f, row[2])
		if fires(code, f) {
			t.Errorf("%s fires where %s but %s", code, row[1], row[2])
		}
	}
	for i := range e.rules.list {
		if code := e.rules.list[i].Code; !seen[code] {
			t.Errorf("%s has no pair in testdata/pairs.csv", code)
		}
	}
}

// TestNothingAsksForNothing: the facts of who has nothing fire no rule.
func TestNothingAsksForNothing(t *testing.T) {
	var r Result
	engine(t, Defaults(), all()).fill(nothing(), &r)
	if r.Score != 0 || len(r.Triggers) != 0 || r.Held() != "" {
		t.Errorf("%+v", r)
	}
}

// draw are facts within reason.
func draw(t *rapid.T) Facts {
	f := nothing()
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(f)-1), 0, 40).Draw(t, "facts") {
		switch def := &FactList[i]; {
		case def.Unit == yesNo || len(def.Names) > 0:
			f[i] = float64(rapid.IntRange(0, 1).Draw(t, def.Name))
		case def.Unit == unitShare:
			f[i] = rapid.Float64Range(0, 1).Draw(t, def.Name)
		default:
			f[i] = float64(rapid.IntRange(0, 100).Draw(t, def.Name))
		}
	}
	return f
}

// TestMoreTriggersNeverLowerTheScore: switching any rule off lowers it or leaves it alone,
// and the score lies between the weightiest trigger and 100.
func TestMoreTriggersNeverLowerTheScore(t *testing.T) {
	full := engine(t, Defaults(), all())
	rapid.Check(t, func(rt *rapid.T) {
		f := draw(rt)
		var r, less Result
		full.fill(f, &r)
		sum, most := 0.0, 0.0
		for _, x := range r.Triggers {
			sum, most = sum+x.Points, max(most, x.Points)
		}
		if r.Score < most-1e-9 || r.Score > min(100, sum+1e-9) {
			rt.Fatalf("the score is %v, of triggers of at most %v and %v together", r.Score, most, sum)
		}
		if len(r.Triggers) == 0 {
			if r.Score != 0 {
				rt.Fatalf("the score is %v of nothing", r.Score)
			}
			return
		}
		s := Defaults()
		off := rapid.SampledFrom(r.Triggers).Draw(rt, "off")
		s.Off = []string{off.Code}
		engine(t, s, all()).fill(f, &less)
		if less.Score > r.Score || len(less.Triggers) != len(r.Triggers)-1 {
			rt.Fatalf("without %s the score is %v of %d triggers, with it %v of %d", off.Code, less.Score, len(less.Triggers), r.Score, len(r.Triggers))
		}
	})
}

// TestOrderOfRulesDoesNotMatter: the same rules in another order give the same to the bit.
func TestOrderOfRulesDoesNotMatter(t *testing.T) {
	list, err := readRules("rules.csv", rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	s := Defaults()
	rules, err := compile(list, &s)
	if err != nil {
		t.Fatal(err)
	}
	turned, err := New(rules, all())
	if err != nil {
		t.Fatal(err)
	}
	straight := engine(t, s, all())
	rapid.Check(t, func(rt *rapid.T) {
		f := draw(rt)
		var a, b Result
		straight.fill(f, &a)
		turned.fill(f, &b)
		if math.Float64bits(a.Score) != math.Float64bits(b.Score) || !slices.EqualFunc(a.Triggers, b.Triggers, func(x, y Trigger) bool { return x.Code == y.Code }) {
			rt.Fatalf("%v and %v", a, b)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	b.Run("the file", func(b *testing.B) {
		for b.Loop() {
			if _, err := readRules("rules.csv", rulesFile); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("a tenant", func(b *testing.B) {
		s := Defaults()
		for b.Loop() {
			if _, err := Compile(&s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestSettings(t *testing.T) {
	const own = `own_rule,claims,claims_12m >= 1,80,,yes,our choice,Er {was|waren} {number} {schade|schades}.,There {was|were} {number} {claim|claims}.`
	s := Defaults()
	s.Off, s.Points, s.Add = []string{"many_mutations"}, map[string]float64{"turning_18": 50}, []string{own}
	e := engine(t, s, all())
	f := nothing()
	set(t, f, "claims_12m=1 mutations_12m=9 age=18")
	var r Result
	e.fill(f, &r)
	if len(r.Triggers) != 2 || r.Triggers[0].Code != "own_rule" || r.Triggers[1].Points != 50 || math.Abs(r.Score-90) > 1e-9 || r.Held() != "own_rule" {
		t.Errorf("%+v", r)
	}
	if got := e.rules.Rule("own_rule"); got.Dutch(1) != "Er was 1 schade." || got.English(1) != "There was 1 claim." || got.Dutch(2) != "Er waren 2 schades." {
		t.Errorf("%q %q", got.Dutch(1), got.English(1))
	}
	for name, tt := range map[string]struct {
		change func(*Settings)
		says   string
	}{
		"an unknown rule off":  {func(s *Settings) { s.Off = []string{"nope"} }, "care.off: there is no rule nope"},
		"points of none":       {func(s *Settings) { s.Points = map[string]float64{"nope": 1} }, "care.points: there is no rule nope"},
		"too many points":      {func(s *Settings) { s.Points = map[string]float64{"turning_18": 101} }, "care.points: those of turning_18"},
		"a rule twice":         {func(s *Settings) { s.Add = []string{own, own} }, "two rules own_rule"},
		"a wrong word":         {func(s *Settings) { s.Add = []string{strings.Replace(own, "claims_12m", "claim_12m", 1)} }, `care.add[0], rule "own_rule": when: word 1, "claim_12m", is no fact; claims_12m is`},
		"two lines":            {func(s *Settings) { s.Add = []string{own + "\n" + own} }, "care.add[0] has more than one line"},
		"no line":              {func(s *Settings) { s.Add = []string{""} }, "reading care.add[0]"},
		"a column short":       {func(s *Settings) { s.Add = []string{"a,b,c"} }, "care.add[0] has 3 columns, not 9"},
		"an index of nothing":  {func(s *Settings) { s.Index[0].Levels = nil }, "care.index[0].levels"},
		"years that turn back": {func(s *Settings) { s.Index[0].Levels[1].Year = 2005 }, "care.index[0].levels[1].year"},
		"a level of 0":         {func(s *Settings) { s.Index[0].Levels[1].Level = 0 }, "care.index[0].levels[1].level"},
		"a common sum of 0":    {func(s *Settings) { s.Common[1].EUR = 0 }, "care.common[1].eur"},
		"a branch of none":     {func(s *Settings) { s.OneIsEnough = []string{"space"} }, "care.one_is_enough"},
		"days before now":      {func(s *Settings) { s.AheadDays = -1 }, "care.ahead_days"},
		"sentiment above 0":    {func(s *Settings) { s.Negative = 0.1 }, "care.negative"},
		"no source":            {func(s *Settings) { s.Index[0].Source = "" }, "care.index[0].source"},
	} {
		s := Defaults()
		tt.change(&s)
		if err := s.Check(); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
	c := Defaults().Clone()
	c.Index[0].Levels[0].Level, c.OneIsEnough[0] = 7, "pet"
	if d := Defaults(); d.Index[0].Levels[0].Level == 7 || d.OneIsEnough[0] == "pet" {
		t.Error("a clone is shared with the defaults")
	}
}

func TestRulesFilesThatAreWrong(t *testing.T) {
	head := strings.Join(columns, ",")
	for line, says := range map[string]string{
		"A,g,objects,1,,,s,nl,en":               "code is not",
		",g,objects,1,,,s,nl,en":                "code is not",
		"a,,objects,1,,,s,nl,en":                "group is required",
		"a,g,objects,1,,, ,nl,en":               "source is required",
		"a,g,objects,1,,,s,nl,":                 "en is required",
		"a,g,objects,x,,,s,nl,en":               "points",
		"a,g,objects,-1,,,s,nl,en":              "points",
		"a,g,objects,NaN,,,s,nl,en":             "points",
		"a,g,objects,1,moon,,s,nl,en":           `branch "moon"`,
		"a,g,objects,1,,maybe,s,nl,en":          "holds_offers",
		"a,g,objects,1,,,s,{naam},en":           "nl has a placeholder",
		"a,g,objects,1,,,s,nl,{number}":         "en shows a number",
		"a,g,objects,1,,,s,nl,{claim|claims}":   "en shows a number",
		"a,g,age > 1,1,,,s,{een|twee|drie},en":  "nl has a placeholder",
		"a,g,age > 1,1,,,s,{number,en":          "nl has a placeholder",
		"a,g,age > 1,1,,,s,number},en":          "nl has a }",
		"a,g,policies > 1 objects,1,,,s,nl,en":  `word 4, "objects", where`,
		"a,g,policies > 1 and,1,,,s,nl,en":      "ends where a fact is expected",
		"a,g,objects,1,,,s,nl,en,more":          "has 10 columns",
		"a,g,objects,1,,,s,nl,\"quote\" broken": "line 2",
	} {
		_, err := readRules("own.csv", []byte(head+"\n"+line+"\n"))
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "own.csv") {
			t.Errorf("%s: %v, want %q", line, err, says)
		}
	}
	if _, err := readRules("own.csv", []byte("code,when\n")); !fault.Is(err, fault.Malformed) {
		t.Errorf("another heading: %v", err)
	}
	if _, err := New(nil, Book{}); err == nil {
		t.Error("an engine without rules is made")
	}
}

// TestManyClaimsOfManyPolicies: how many claims are many goes by how many policies there are.
func TestManyClaimsOfManyPolicies(t *testing.T) {
	e := engine(t, Defaults(), all())
	for _, tt := range []struct {
		facts string
		want  []string // of the rules on many claims
	}{
		{"claims_12m=2 claims_90d=1 policies=2", nil},
		{"claims_12m=3 claims_90d=1 policies=19", []string{"claims_in_short_time"}},
		{"claims_12m=5 claims_90d=2 policies=4", []string{"claims_in_short_time", "many_claims_in_short_time", "claims_in_90_days"}},
		{"claims_12m=14 claims_90d=7 policies=20", nil},
		{"claims_12m=15 claims_90d=8 policies=99", []string{"claims_in_short_time", "claims_in_90_days"}},
		{"claims_12m=25 claims_90d=7 policies=99", []string{"claims_in_short_time", "many_claims_in_short_time"}},
		{"claims_12m=245 claims_90d=60 policies=2000", nil},
	} {
		f := nothing()
		set(t, f, tt.facts)
		var r Result
		var got []string
		for e.fill(f, &r); len(r.Triggers) > 0; r.Triggers = r.Triggers[1:] {
			if code := r.Triggers[0].Code; strings.HasPrefix(code, "claims_in_short") || strings.HasPrefix(code, "many_claims_in") || code == "claims_in_90_days" {
				got = append(got, code)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.facts, got, tt.want)
		}
	}
}

// TestNothingIsSaidTwice: rules that fire together say no number twice.
func TestNothingIsSaidTwice(t *testing.T) {
	rules := engine(t, Defaults(), all()).rules
	for lower, higher := range map[string]string{"claims_in_short_time": "many_claims_in_short_time", "many_mutations": "very_many_mutations"} {
		if a, b := rules.Rule(lower).English(46), rules.Rule(higher).English(46); !strings.Contains(a, "46") || strings.Contains(b, "46") {
			t.Errorf("%q and %q", a, b)
		}
	}
}

func TestSentences(t *testing.T) {
	for _, tt := range []struct {
		code   string
		number float64
		nl, en string
	}{
		{"claims_in_short_time", 3, "Er waren in 12 maanden 3 schades.", "There were 3 claims in 12 months."},
		{"open_severe_claim", 12345.6, "Er staat een grote schade open, van 12.346 euro.", "A large claim is open, of €12,346."},
		{"complaint_open_long", 42, "Een klacht staat al 42 dagen open.", "A complaint has been open for 42 days."},
		{"moved", 1.2, "U bent 1 maand geleden verhuisd: klopt de dekking van woning en inboedel nog?", "You moved 1 month ago: is the cover of home and contents still right?"},
		{"left_household", 0.3, "U heeft minder dan een maand geleden een huishouden verlaten: wie is nu waar verzekerd?", "You left a household less than a month ago: who is insured where now?"},
		{"moves_often", 1, "U bent in twee jaar 1 keer verhuisd.", "You moved once in two years."},
		{"deductible_high", 1, "Een eigen risico is 1 keer de jaarpremie.", "A deductible is once the annual premium."},
		{"never_asked", 70.8, "Het is 5,9 jaar geleden dat wij u benaderden.", "It is 5.9 years since we approached you."},
		{"large_rise_announced", 0.154, "Een premie stijgt binnenkort met 15%.", "A premium rises by 15% soon."},
		{"deductible_high", 3.25, "Een eigen risico is 3,3 keer de jaarpremie.", "A deductible is 3.3 times the annual premium."},
		{"policy_not_reviewed_long", 10.04, "Een polis is al 10 jaar niet gewijzigd.", "A policy has not changed for as long as 10 years."},
		{"age_not_known", math.NaN(), "Uw geboortejaar is niet bekend.", "Your year of birth is not known."},
	} {
		r := engine(t, Defaults(), all()).rules.Rule(tt.code)
		if r.Dutch(tt.number) != tt.nl || r.English(tt.number) != tt.en {
			t.Errorf("%s: %q %q", tt.code, r.Dutch(tt.number), r.English(tt.number))
		}
	}
}

// TestNumbersRead renders every rule's sentences at none, one, two and a fraction, and
// finds nothing that nobody would say.
func TestNumbersRead(t *testing.T) {
	odd := regexp.MustCompile(`\(\d|\b0 (maand|month|dag|day)|(^|\s)1 (times|months|days|maanden|dagen)`)
	rules := engine(t, Defaults(), all()).rules
	for _, r := range rules.list {
		for _, v := range []float64{0, 0.4, 1, 1.04, 2, 2.5} {
			for _, text := range []string{r.Dutch(v), r.English(v)} {
				if odd.MatchString(text) {
					t.Errorf("%s at %v: %q", r.Code, v, text)
				}
			}
		}
	}
}

// TestWordsGoWithTheirNumber: of whatever is counted, one is said otherwise than two and none, in
// both languages and for every code, other numbers of the sentence aside.
func TestWordsGoWithTheirNumber(t *testing.T) {
	counted := map[string]bool{unitCount: true, unitPeople: true}
	alike := regexp.MustCompile(`\b[012] keer\b`) // one and more alike
	n := 0
	for _, r := range engine(t, Defaults(), all()).rules.list {
		if !counted[r.Unit()] {
			continue
		}
		for _, say := range []func(float64) string{r.Dutch, r.English} {
			none, one, two := say(0), say(1), say(2)
			if two == one { // the sentence shows no number
				continue
			}
			n++
			if regexp.MustCompile(`\b0\b`).ReplaceAllString(none, "2") != two {
				t.Errorf("%s: %q, but %q", r.Code, none, two)
			}
			if regexp.MustCompile(`\b1\b`).ReplaceAllString(one, "2") == two && !alike.MatchString(one) {
				t.Errorf("%s: %q", r.Code, one)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d sentences count something", n)
	}
}

// TestUnderinsurance: of the rules that come with Polis those on sums that are too low are advice,
// and those on sums that are too high or missing are not.
func TestUnderinsurance(t *testing.T) {
	low := map[string]bool{}
	rules, err := readRules("rules.csv", rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		low[r.Code] = slices.Contains(lowSums, r.number)
	}
	for code, want := range map[string]bool{
		"below_rebuild_value": true, "far_below_rebuild_value": true, "building_far_behind_index": true, "building_far_below_common": true, "property_behind_index": true, "liability_sum_low": true,
		"above_rebuild_value": false, "building_far_above_common": false, "sum_missing": false, "rebuild_value_old": false, "household_without_liability": false,
	} {
		if got, ok := low[code]; !ok || got != want {
			t.Errorf("%s: %v, there: %v", code, got, ok)
		}
	}
}
