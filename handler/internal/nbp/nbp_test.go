package nbp_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/care"
	"polis/handler/internal/model"
	. "polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

var (
	asOf  = portfolio.MustDate(2026, 3, 31)
	known = portfolio.Version{RecordedAt: asOf - 900, ValidFrom: asOf - 900}
)

func logit(p float64) float64 { return math.Log(p / (1 - p)) }

// made sells every group that it has a model for but boat, which nobody has a premium of.
func made(t testing.TB, s *Settings) *Model {
	t.Helper()
	g, err := NewGrouping(s.Groups)
	if err != nil {
		t.Fatal(err)
	}
	rates := map[string]float64{"motor": 0.05, "liability": 0.04, "contents": 0.08, "travel": 0.15, "accident": 0.01, "legal": 0.02, "cyber": 0.12, "boat": 0.5, "building": 0.03, "pet": 0.06, "transport": 0.03, "business_property": 0.07, "business_liability": 0.07, "business_interruption": 0.2, "fleet": 0.1}
	m := &Model{Common: model.Constant(g.Fields(), model.Logistic, 0, ""), Groups: map[string]score.Model{}, Fitted: map[string]Fitted{}, Premium: map[string]float64{}, Bands: score.Bands{0.05, 0.1, 0.2}}
	for _, x := range g.Groups {
		p, ok := rates[x.Branch]
		if !ok {
			continue
		}
		m.Groups[x.Code] = scoretest.Model(t, g.Fields(), model.Logistic, logit(p), scoretest.Step{Field: "policies", Edges: []float64{2}, Values: []float64{0, 0, 0.5}})
		m.Fitted[x.Code] = Fitted{Basis: Own, Weight: 1, Purchases: 99, Shift: -1, Premium: 100}
		m.Premium[x.Branch] = 100
	}
	m.Fitted["boat"] = Fitted{Basis: Own, Weight: 1}
	return m
}

func person(birth int, branches ...string) *portfolio.Aggregate {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: birth, Version: known}}}
	for _, b := range branches {
		a.Policies = append(a.Policies, portfolio.Policy{
			ID: b, CustomerID: "c", Branch: b, StartDate: asOf - 800, AnnualPremium: 30000, Status: portfolio.Active, Version: known,
		})
	}
	return a
}

func business(change func(*portfolio.Customer), branches ...string) *portfolio.Aggregate {
	a := person(0, branches...)
	a.Customers[0].Segment = portfolio.Business
	if change != nil {
		change(&a.Customers[0])
	}
	return a
}

func scoredUnder(t testing.TB, s Settings, rk *risk.Result, declines []Decline, members ...*portfolio.Aggregate) *Result {
	t.Helper()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	e, err := New(made(t, &s), &s)
	if err != nil {
		t.Fatal(err)
	}
	in := scoretest.Input(asOf, members...)
	var r Result
	for range 2 { // used before, it says the same
		e.Relation(in.Group, declines)
		e.Score(in.View, rk, &r)
	}
	every(t, &s, &r)
	return &r
}

func scored(t testing.TB, rk *risk.Result, members ...*portfolio.Aggregate) *Result {
	t.Helper()
	return scoredUnder(t, Defaults(), rk, nil, members...)
}

// every group is offered or has a code that the rules explain, and none both.
func every(t testing.TB, s *Settings, r *Result) {
	t.Helper()
	g, _ := NewGrouping(s.Groups)
	seen := map[string]int{}
	for i := range r.Offers {
		seen[r.Offers[i].Group.Code]++
		for _, code := range r.Offers[i].Ask {
			explained(t, s, code)
		}
	}
	for _, x := range r.Excluded {
		seen[x.Group.Code]++
		explained(t, s, x.Code)
	}
	for _, c := range r.Contact {
		explained(t, s, c.Code)
	}
	for _, x := range g.Groups {
		if r.Status == score.Scored && seen[x.Code] != 1 {
			t.Errorf("%s is there %d times", x.Code, seen[x.Code])
		}
	}
}

func explained(t testing.TB, s *Settings, code string) {
	t.Helper()
	if nl, en, source, ok := s.Rules.Sentence(code); !ok || nl == "" || en == "" || source == "" {
		t.Errorf("no rule explains %s", code)
	}
}

func groups(r *Result) []string {
	var out []string
	for _, o := range r.Offers {
		out = append(out, o.Group.Code)
	}
	return out
}

// why is the code by which a group is not offered; "" where it is.
func why(r *Result, group string) string {
	for _, x := range r.Excluded {
		if x.Group.Code == group {
			return x.Code
		}
	}
	return ""
}

// TestWhatIsOffered: gaps first, then what is essential, then by probability and
// suitability; nothing that the relation holds or that its segment cannot buy.
func TestWhatIsOffered(t *testing.T) {
	partner := person(1981, "travel")
	partner.Customers[0].ID = "d"
	for name, tc := range map[string]struct {
		members []*portfolio.Aggregate
		gaps    []care.Trigger
		want    []string
	}{
		"essential, then likely": {[]*portfolio.Aggregate{person(1980, "motor")}, nil, []string{"contents", "liability", "building", "travel", "pet"}},
		"a gap comes first":      {[]*portfolio.Aggregate{person(1980, "motor")}, []care.Trigger{{Branch: "travel"}}, []string{"travel", "contents", "liability", "building", "pet"}},
		"what the partner holds": {[]*portfolio.Aggregate{person(1980, "motor"), partner}, nil, []string{"contents", "liability", "building", "pet", "legal"}},
		"everything but two":     {[]*portfolio.Aggregate{person(1980, "motor", "contents", "liability", "building", "pet", "travel")}, nil, []string{"legal", "accident"}},
	} {
		if got := groups(scored(t, &risk.Result{Care: care.Result{Triggers: tc.gaps}}, tc.members...)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestAnOffer(t *testing.T) {
	s := Defaults()
	s.Explained = 5
	r := scoredUnder(t, s, &risk.Result{Care: care.Result{Triggers: []care.Trigger{{Branch: "liability"}}}}, nil, person(1980, "motor", "pet"))
	link := logit(0.04) + 0.5
	p, market := 1/(1+math.Exp(-link)), 1/(1+math.Exp(1-link))
	first := r.Offers[0]
	if first.Need != Gap || math.Abs(first.Probability-p) > 1e-12 || math.Abs(first.AtMarket-market) > 1e-12 || math.Abs(first.Value-p*100*0.17) > 1e-12 || r.Band != score.Medium {
		t.Errorf("%+v, band %s", first, r.Band)
	}
	if first.Basis != Own || first.Weight != 1 || first.Market.Rate != 0.02 || first.Market.Source == "" {
		t.Errorf("rests on %+v", first)
	}
	if r.Offers[1].Need != Essential || r.Offers[3].Need != Useful {
		t.Errorf("needs: %+v", r.Offers)
	}
	for i := range r.Offers {
		o := &r.Offers[i]
		if len(o.Reasons.Top) != 1 || o.Reasons.Top[0].Contribution != 0.5 || o.Reasons.Base+o.Reasons.Top[0].Contribution+o.Reasons.Rest != o.Reasons.Link || math.Abs(o.Reasons.Link-logit(o.Probability)) > 1e-12 {
			t.Errorf("reasons of %s: %+v", o.Group.Code, o.Reasons)
		}
	}
	if one := scored(t, &risk.Result{}, person(1980, "motor")); !one.Offers[0].Explained || one.Offers[1].Explained {
		t.Errorf("by default the first is explained: %+v", one.Offers)
	}
	if !slices.Equal(r.Reasons.Top, first.Reasons.Top) || r.Reasons.Link != first.Reasons.Link {
		t.Errorf("the score's reasons are %+v", r.Reasons)
	}
}

// TestEdges: each has its documented answer.
func TestEdges(t *testing.T) {
	ended := person(1980, "motor")
	ended.Policies[0].EndDate, ended.Policies[0].Status, ended.Policies[0].EndReason = asOf-5, portfolio.Ended, "lapse"
	tomorrow := person(1980, "motor", "travel")
	tomorrow.Policies[1].StartDate = asOf + 1
	onlyTomorrow := person(1980, "travel")
	onlyTomorrow.Policies[0].StartDate = asOf + 1
	partner := person(1981, "motor")
	partner.Customers[0].ID = "d"
	rewritten := person(1980, "motor", "travel")
	old := rewritten.Policies[1]
	old.ID, old.EndDate, old.Status, old.EndReason = "old", asOf-20, portfolio.Ended, "lapse"
	rewritten.Policies[1].StartDate = asOf - 20
	rewritten.Policies = append(rewritten.Policies, old)
	everything := []string{"motor", "liability", "contents", "building", "legal", "travel", "accident", "valuables", "boat", "pet"}
	for name, tc := range map[string]struct {
		members []*portfolio.Aggregate
		status  score.Status
		offers  bool
		group   string
		code    string
	}{
		"no policies":                 {[]*portfolio.Aggregate{person(1980)}, score.NoPolicies, false, "travel", ""},
		"only ended ones":             {[]*portfolio.Aggregate{ended}, score.NoPolicies, false, "travel", ""},
		"one that starts tomorrow":    {[]*portfolio.Aggregate{onlyTomorrow}, score.NoPolicies, false, "travel", ""},
		"another starts tomorrow":     {[]*portfolio.Aggregate{tomorrow}, score.Scored, true, "travel", HeldSoon},
		"a partner of an insured":     {[]*portfolio.Aggregate{person(1980), partner}, score.Scored, true, "motor", Held},
		"moved to another carrier":    {[]*portfolio.Aggregate{rewritten}, score.Scored, true, "travel", Held},
		"a minor":                     {[]*portfolio.Aggregate{person(2015, "pet")}, score.Scored, false, "travel", "minor"},
		"born in the future":          {[]*portfolio.Aggregate{person(2090, "motor")}, score.Scored, true, "travel", ""},
		"no year of birth":            {[]*portfolio.Aggregate{person(1900, "motor")}, score.Scored, true, "travel", ""},
		"too old for accident":        {[]*portfolio.Aggregate{person(1950, "motor")}, score.Scored, true, "accident", "accident_age"},
		"70 is not too old":           {[]*portfolio.Aggregate{person(1956, "motor")}, score.Scored, true, "accident", FurtherDown},
		"nobody sells it":             {[]*portfolio.Aggregate{person(1980, "motor")}, score.Scored, true, "boat", NotSold},
		"for businesses only":         {[]*portfolio.Aggregate{person(1980, "motor")}, score.Scored, true, "cyber", WrongSegment},
		"for private persons only":    {[]*portfolio.Aggregate{business(nil, "motor")}, score.Scored, true, "pet", WrongSegment},
		"nothing to interrupt":        {[]*portfolio.Aggregate{business(nil, "motor")}, score.Scored, true, "business_interruption", "interruption_needs_property"},
		"something to interrupt":      {[]*portfolio.Aggregate{business(nil, "business_property")}, score.Scored, true, "business_interruption", ""},
		"no SBI code":                 {[]*portfolio.Aggregate{business(nil, "business_property", "cyber")}, score.Scored, true, "transport", ""},
		"a school":                    {[]*portfolio.Aggregate{business(func(c *portfolio.Customer) { c.SBICode = "8520" }, "cyber")}, score.Scored, true, "transport", "transport_sectors"},
		"a haulier":                   {[]*portfolio.Aggregate{business(func(c *portfolio.Customer) { c.SBICode = "4941" }, "cyber")}, score.Scored, true, "transport", ""},
		"one person":                  {[]*portfolio.Aggregate{business(func(c *portfolio.Customer) { c.Employees = 1 }, "cyber")}, score.Scored, true, "fleet", "fleet_too_small"},
		"an owners' association":      {[]*portfolio.Aggregate{business(func(c *portfolio.Customer) { c.LegalForm = "VVE" }, "motor")}, score.Scored, true, "cyber", "owners_association"},
		"everything held":             {[]*portfolio.Aggregate{person(1980, everything...)}, score.Scored, false, "travel", Held},
		"everything excluded, or not": {[]*portfolio.Aggregate{person(2015, everything[1:]...)}, score.Scored, false, "motor", "minor"},
	} {
		t.Run(name, func(t *testing.T) {
			r := scored(t, &risk.Result{}, tc.members...)
			if r.Status != tc.status || len(r.Offers) > 0 != tc.offers || why(r, tc.group) != tc.code {
				t.Errorf("%s, %d offers, %s: %q", r.Status, len(r.Offers), tc.group, why(r, tc.group))
			}
			if tc.code == "" && tc.offers && !slices.Contains(groups(r), tc.group) {
				t.Errorf("%s is not offered: %v", tc.group, groups(r))
			}
		})
	}
}

// TestWhatMustBeAsked: a rule that fails only for something that is not known is asked.
func TestWhatMustBeAsked(t *testing.T) {
	asked := func(r *Result, group string) []string {
		for i := range r.Offers {
			if r.Offers[i].Group.Code == group {
				return r.Offers[i].Ask
			}
		}
		t.Fatalf("%s is not offered but %v", group, groups(r))
		return nil
	}
	r := scored(t, &risk.Result{}, business(nil, "business_property", "cyber"))
	if got := asked(r, "transport"); !slices.Equal(got, []string{"sbi_code", "legal_form", "moves_goods"}) {
		t.Errorf("of a business of which nothing is known: %v", got)
	}
	if got := asked(scored(t, &risk.Result{}, person(0, "motor")), "travel"); !slices.Equal(got, []string{"birth_year"}) {
		t.Errorf("of a person without a year of birth: %v", got)
	}
	if got := asked(scored(t, &risk.Result{}, person(1980, "motor")), "travel"); len(got) != 0 {
		t.Errorf("of a person who is known: %v", got)
	}
}

// TestDeclines: by a contact or on an action list, of a group or of all, for so long.
func TestDeclines(t *testing.T) {
	said := func(reason string, on portfolio.Date) *portfolio.Aggregate {
		a := person(1980, "motor")
		a.Contacts = []portfolio.Contact{{CustomerID: "c", At: portfolio.Instant(on.Time().Unix()), Reason: reason}}
		return a
	}
	year, two := asOf.AddMonths(-12), asOf.AddMonths(-24)
	for name, tc := range map[string]struct {
		a        *portfolio.Aggregate
		declines []Decline
		travel   string
		contents string
	}{
		"nothing":                  {person(1980, "motor"), nil, "", ""},
		"all":                      {said("declined", asOf-9), nil, Declined, Declined},
		"one":                      {said("offer_declined:travel", asOf-9), nil, Declined, ""},
		"on the as-of date":        {said("offer_declined:travel", asOf), nil, Declined, ""},
		"the last day of the year": {said("declined:travel", year+1), nil, Declined, ""},
		"in capitals":              {said("Offer_Declined:Travel", asOf-9), nil, Declined, ""},
		"with spaces":              {said(" DECLINED : travel ", asOf-9), nil, Declined, ""},
		"a year ago":               {said("declined:travel", year), nil, "", ""},
		"something else":           {said("declines:travel", asOf-9), nil, "", ""},
		"of no group":              {said("declined:moon", asOf-9), nil, "", ""},
		"on a list":                {person(1980, "motor"), []Decline{{"travel", asOf - 9}}, Declined, ""},
		"on a list, a year ago":    {person(1980, "motor"), []Decline{{"travel", year}}, "", ""},
		"on a list, tomorrow":      {person(1980, "motor"), []Decline{{"travel", asOf + 1}}, "", ""},
		"has it elsewhere":         {said("held_elsewhere:travel", asOf-9), nil, HeldElsewhere, ""},
		"had it elsewhere":         {said("held_elsewhere:travel", two), nil, "", ""},
		"something elsewhere":      {said("held_elsewhere", asOf-9), nil, "", ""},
	} {
		r := scoredUnder(t, Defaults(), &risk.Result{}, tc.declines, tc.a)
		if why(r, "travel") != tc.travel || why(r, "contents") != tc.contents {
			t.Errorf("%s: travel %q, contents %q", name, why(r, "travel"), why(r, "contents"))
		}
	}
	a := person(1980, "motor")
	a.Policies[0].Attributes = []portfolio.Attribute{{Key: "held_elsewhere", Value: "travel; building,motor"}, {Key: "roof", Value: "tiles"}}
	r := scored(t, &risk.Result{}, a)
	if why(r, "travel") != HeldElsewhere || why(r, "building") != HeldElsewhere || why(r, "motor") != Held || why(r, "contents") != "" {
		t.Errorf("an attribute says what is held elsewhere: %+v", r.Excluded)
	}
	a.Policies[0].Attributes[1].Value, a.Policies[0].Attributes[0].Value = "thatch", ""
	if got := why(scored(t, &risk.Result{}, a), "building"); got != "thatched_roof" {
		t.Errorf("under thatch a building is %q", got)
	}
}

// TestCareWithholdsOffers: where a rule of care holds them back, nothing is offered.
func TestCareWithholdsOffers(t *testing.T) {
	for name, tc := range map[string]struct {
		triggers []care.Trigger
		want     string
	}{
		"nothing":              {nil, ""},
		"what holds none back": {[]care.Trigger{{Code: "turning_18", Points: 90}}, ""},
		"the weightiest":       {[]care.Trigger{{Code: "turning_18", Points: 90}, {Code: "unresolved_complaint", Points: 45, Holds: true}, {Code: "claims_in_short_time", Points: 30, Holds: true}, {Code: "gap", Branch: "travel"}}, "unresolved_complaint"},
	} {
		r := scored(t, &risk.Result{Care: care.Result{Triggers: tc.triggers}}, person(1980, "motor"))
		if r.Withheld != tc.want || (len(r.Offers) == 0) != (tc.want != "") || tc.want != "" && why(r, "travel") != CareSignal {
			t.Errorf("%s: offers are withheld for %q: %v", name, r.Withheld, groups(r))
		}
	}
}

// TestConsent: by channel the last word on marketing by the as-of date holds; without one
// an existing customer may be approached who said no to nothing else, but not by phone.
func TestConsent(t *testing.T) {
	word := func(purpose, channel string, given bool, on portfolio.Date) portfolio.Consent {
		return portfolio.Consent{Purpose: purpose, Channel: channel, Given: given, Source: "web", On: on}
	}
	for name, tc := range map[string]struct {
		said               []portfolio.Consent
		email, phone, post string
	}{
		"nothing said":             {nil, "existing_customer", "no_consent", "existing_customer"},
		"refused":                  {[]portfolio.Consent{word("marketing", "email", false, asOf-9)}, "consent_refused", "no_consent", "refused_otherwise"},
		"in capitals":              {[]portfolio.Consent{word("Marketing", "ALL", false, asOf-9)}, "consent_refused", "consent_refused", "consent_refused"},
		"with spaces":              {[]portfolio.Consent{word(" marketing ", " Email", false, asOf-9)}, "consent_refused", "no_consent", "refused_otherwise"},
		"given in capitals":        {[]portfolio.Consent{word("MARKETING", "Phone ", true, asOf-9)}, "existing_customer", "consent_given", "existing_customer"},
		"by another word":          {[]portfolio.Consent{word("Reclame", "alle", false, asOf-9)}, "consent_refused", "consent_refused", "consent_refused"},
		"an unknown purpose":       {[]portfolio.Consent{word("blorp", "all", false, asOf-9)}, "consent_refused", "consent_refused", "consent_refused"},
		"an unknown one is given":  {[]portfolio.Consent{word("blorp", "all", true, asOf-9)}, "existing_customer", "no_consent", "existing_customer"},
		"profiling":                {[]portfolio.Consent{word("Profiling", "all", false, asOf-9)}, "existing_customer", "no_consent", "existing_customer"},
		"refused without date":     {[]portfolio.Consent{word("marketing", "email", false, 0)}, "consent_refused", "no_consent", "refused_otherwise"},
		"given, then refused":      {[]portfolio.Consent{word("marketing", "email", true, asOf-90), word("marketing", "email", false, asOf-9)}, "consent_refused", "no_consent", "refused_otherwise"},
		"refused, then given":      {[]portfolio.Consent{word("marketing", "email", false, asOf-90), word("marketing", "email", true, asOf-9)}, "consent_given", "no_consent", "existing_customer"},
		"the other way round":      {[]portfolio.Consent{word("marketing", "email", true, asOf-9), word("marketing", "email", false, asOf-90)}, "consent_given", "no_consent", "existing_customer"},
		"both on a day":            {[]portfolio.Consent{word("marketing", "email", false, asOf-9), word("marketing", "email", true, asOf-9)}, "consent_refused", "no_consent", "refused_otherwise"},
		"one yes, one no":          {[]portfolio.Consent{word("marketing", "email", true, asOf-9), word("marketing", "phone", false, asOf-9)}, "consent_given", "consent_refused", "refused_otherwise"},
		"no to all":                {[]portfolio.Consent{word("marketing", "email", true, asOf-90), word("marketing", "all", false, asOf-9)}, "consent_refused", "consent_refused", "consent_refused"},
		"no to all, later one yes": {[]portfolio.Consent{word("marketing", "email", true, asOf-9), word("marketing", "", false, asOf-90)}, "consent_given", "consent_refused", "consent_refused"},
		"no to what is not used":   {[]portfolio.Consent{word("marketing", "fax", false, asOf-90)}, "refused_otherwise", "no_consent", "refused_otherwise"},
		"refused tomorrow":         {[]portfolio.Consent{word("marketing", "email", false, asOf+1)}, "existing_customer", "no_consent", "existing_customer"},
		"refused something else":   {[]portfolio.Consent{word("service", "email", false, asOf-9)}, "existing_customer", "no_consent", "existing_customer"},
	} {
		a := person(1980, "motor")
		a.Customers[0].Consents = tc.said
		r := scored(t, &risk.Result{}, a)
		var got []string
		may := false
		for _, c := range r.Contact {
			got = append(got, c.Code)
			if may = may || c.Allowed; c.Allowed != (c.Code == "consent_given" || c.Code == "existing_customer") {
				t.Errorf("%s: %+v", name, c)
			}
		}
		if want := []string{tc.email, tc.phone, tc.post}; !slices.Equal(got, want) || r.MayContact != may {
			t.Errorf("%s: %v, want %v; contact is allowed: %v", name, got, want, r.MayContact)
		}
		if len(r.Offers) == 0 {
			t.Errorf("%s: without consent advice is still worked out", name)
		}
	}
	partner := person(1981, "motor")
	partner.Customers[0].ID = "d"
	if r := scored(t, &risk.Result{}, person(1980), partner); r.MayContact || r.Contact[0].Code != "no_consent" {
		t.Errorf("who is no customer may be approached: %+v", r.Contact)
	}
}

// TestGroups: a branch that a tenant refines is offered in its parts.
func TestGroups(t *testing.T) {
	s := Defaults()
	s.Groups = Groups{
		{Code: "motorcycle", NL: "motorverzekering", EN: "motorcycle insurance", Branch: "motor", Attribute: "vehicle", Value: "motorcycle", Private: true},
		{Code: "oldtimer", NL: "oldtimerverzekering", EN: "classic car insurance", Branch: "motor", Product: "classic", Private: true},
		{Code: "car", NL: "autoverzekering", EN: "car insurance", Branch: "motor", Private: true, Essential: true},
	}
	a := person(1980, "motor", "motor", "liability", "contents", "building", "travel")
	a.Policies[0].Attributes = []portfolio.Attribute{{Key: "vehicle", Value: "motorcycle"}}
	a.Policies[1].ID, a.Policies[1].Product = "second", "classic"
	r := scoredUnder(t, s, &risk.Result{}, nil, a)
	if got := groups(r)[0]; got != "car" || why(r, "motorcycle") != Held || why(r, "oldtimer") != Held {
		t.Errorf("first %s, %+v", got, r.Excluded)
	}
	for i := range a.Policies {
		a.Policies[i].Product = ""
	}
	if r := scoredUnder(t, s, &risk.Result{}, nil, a); why(r, "car") != Held || why(r, "oldtimer") == Held {
		t.Errorf("%+v", r.Excluded)
	}
	for want, bad := range map[string]Groups{
		"groups[0] needs code":              {{Branch: "motor"}},
		"groups[0].branch":                  {{Code: "x", NL: "x", EN: "x", Branch: "life", Private: true}},
		"needs both attribute and value":    {{Code: "x", NL: "x", EN: "x", Branch: "motor", Attribute: "vehicle", Private: true}},
		"must be private or business":       {{Code: "x", NL: "x", EN: "x", Branch: "pet", Business: true}},
		"the last of branch motor":          s.Groups[:2],
		"the code car is there twice":       {s.Groups[2], s.Groups[2]},
		"groups[0].code is the name of":     {{Code: "pet", NL: "x", EN: "x", Branch: "motor", Private: true}},
		"groups: 80 are more than 64":       many(80),
		"rules[5]: groups of fleet_too_sma": nil,
	} {
		s := Defaults()
		s.Groups = bad
		if bad == nil {
			s.Rules[5].Groups = []string{"moon"}
		}
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func many(n int) (out Groups) {
	for i := range n - 15 {
		out = append(out, Group{Code: fmt.Sprint("g", i), NL: "x", EN: "x", Branch: "motor", Private: true})
	}
	return out
}

// TestValueOrdersNothing: what a premium or a commission is changes the value and no offer,
// no probability and no place.
func TestValueOrdersNothing(t *testing.T) {
	s := Defaults()
	m := made(t, &s)
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		held := []string{"motor"}
		for _, b := range []string{"liability", "contents", "travel", "legal"} {
			if r.IntN(3) == 0 {
				held = append(held, b)
			}
		}
		a := person(1950+r.IntN(50), held...)
		in := scoretest.Input(asOf, a)
		ask := func(m *Model, s *Settings) *Result {
			e, err := New(m, s)
			if err != nil {
				rt.Fatal(err)
			}
			var out Result
			e.Relation(in.Group, nil)
			e.Score(in.View, &risk.Result{}, &out)
			return &out
		}
		before := ask(m, &s)
		other, dear := *m, s
		other.Fitted, dear.CommissionRate = map[string]Fitted{}, r.Float64()
		for code, f := range m.Fitted {
			if f.Premium > 0 {
				f.Premium = 1 + 5000*r.Float64()
			}
			other.Fitted[code] = f
		}
		for i := range in.View.Policies {
			in.View.Policies[i].CommissionRate = portfolio.RateOf(r.Float64())
		}
		after := ask(&other, &dear)
		if !slices.Equal(groups(before), groups(after)) {
			rt.Fatalf("%v became %v", groups(before), groups(after))
		}
		for i := range before.Excluded {
			if group := before.Excluded[i].Group.Code; why(before, group) != why(after, group) {
				rt.Fatalf("%s was not offered for %s, and then for %q", group, why(before, group), why(after, group))
			}
		}
		changed := false
		for i := range before.Offers {
			x, y := &before.Offers[i], &after.Offers[i]
			changed = changed || x.Value != y.Value
			if x.Group.Code != y.Group.Code || x.Probability != y.Probability || x.Suitability != y.Suitability || x.Need != y.Need {
				rt.Fatalf("%+v became %+v", x, y)
			}
		}
		if len(before.Offers) > 0 && !changed {
			rt.Fatal("no value changed")
		}
	})
}

// TestCommissionIsNoFeature: what an adviser earns on what is held is hidden from the model.
func TestCommissionIsNoFeature(t *testing.T) {
	s := Defaults()
	g, err := NewGrouping(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := made(t, &s)
	m.Groups["travel"] = scoretest.Model(t, g.Fields(), model.Logistic, logit(0.1), scoretest.Step{Field: "commission_rate", Edges: []float64{0.1, 0.2}, Values: []float64{0, 1, 2, 3}})
	e, err := New(m, &s)
	if err != nil {
		t.Fatal(err)
	}
	for _, rate := range []float64{0, 0.05, 0.15, 0.5} {
		a := person(1980, "motor", "contents", "liability", "building")
		for i := range a.Policies {
			a.Policies[i].CommissionRate = portfolio.RateOf(rate)
		}
		in := scoretest.Input(asOf, a)
		var r Result
		e.Relation(in.Group, nil)
		e.Score(in.View, &risk.Result{}, &r)
		if r.Offers[0].Group.Code != "travel" || math.Abs(r.Offers[0].Probability-0.1) > 1e-12 {
			t.Errorf("at a commission of %v: %+v", rate, r.Offers[0])
		}
	}
}

func TestSoldIsWhatHasAPremium(t *testing.T) {
	s := Defaults()
	m := made(t, &s)
	delete(m.Premium, "boat")
	if sold := m.Sold(); sold["boat"] || !sold["travel"] {
		t.Errorf("%v", sold)
	}
}

func TestScoringAllocatesNothing(t *testing.T) {
	s := Defaults()
	e, err := New(made(t, &s), &s)
	if err != nil {
		t.Fatal(err)
	}
	a := person(1980, "motor", "contents")
	a.Policies[0].Attributes = []portfolio.Attribute{{Key: "held_elsewhere", Value: "travel"}}
	a.Contacts = []portfolio.Contact{{CustomerID: "c", At: portfolio.Instant((asOf - 9).Time().Unix()), Reason: "declined:pet"}}
	in := scoretest.Input(asOf, a)
	var r Result
	if n := testing.AllocsPerRun(100, func() {
		e.Relation(in.Group, nil)
		e.Score(in.View, &risk.Result{}, &r)
	}); n != 0 {
		t.Errorf("%v allocations a customer", n)
	}
}

func BenchmarkScore(b *testing.B) {
	s := Defaults()
	e, err := New(made(b, &s), &s)
	if err != nil {
		b.Fatal(err)
	}
	in := scoretest.Input(asOf, person(1980, "motor", "contents"))
	var r Result
	for b.Loop() {
		e.Relation(in.Group, nil)
		e.Score(in.View, &risk.Result{}, &r)
	}
}
