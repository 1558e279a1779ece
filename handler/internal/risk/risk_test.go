package risk_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/care"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	. "polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

var (
	asOf  = portfolio.MustDate(2026, 3, 31)
	known = portfolio.Version{RecordedAt: asOf - 900, ValidFrom: asOf - 900}
)

// made says: 0.1 claims a year of EUR 1,000, three times as many below the age of 30.
func made(t *testing.T) *Model {
	fields := feature.PolicySchema{}.Fields()
	return &Model{
		Frequency: scoretest.Model(t, fields, model.Poisson, math.Log(0.1), scoretest.Step{Field: "age", Edges: []float64{30}, Values: []float64{0, math.Log(3), 0}}),
		Severity:  model.Constant(fields, model.Gamma, math.Log(1000), ""),
		Branches:  map[string]Branch{"motor": {Basis: Blended, Credibility: 0.7, Frequency: 1, Severity: 1, Excess: 1.5, Reporting: 1, Development: 1, Inflation: 1}},
		Quantiles: []float64{0, 0.25, 0.5, 1, 2}, LossQuantiles: []float64{0, 100, 200},
		Bands: score.Bands{50, 80, 95},
	}
}

func policy(id, branch string, premium portfolio.Cents) portfolio.Policy {
	return portfolio.Policy{ID: id, CustomerID: "c", Branch: branch, StartDate: asOf - 800, AnnualPremium: premium, Status: portfolio.Active, Version: known}
}

func person(birth int, policies ...portfolio.Policy) *portfolio.Aggregate {
	return &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: birth, Version: known}}, Policies: policies}
}

func scored(t *testing.T, members ...*portfolio.Aggregate) *Result {
	t.Helper()
	var r Result
	New(made(t), &Defaults, careful(t)).Score(scoretest.Input(asOf, members...), &r)
	return &r
}

// careful finds the care that is owed in a book that sells liability and contents.
func careful(t testing.TB) *care.Engine {
	t.Helper()
	s := care.Defaults()
	rules, err := care.Compile(&s)
	if err != nil {
		t.Fatal(err)
	}
	e, err := care.New(rules, care.Book{Sold: map[string]bool{"liability": true, "contents": true}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestExpectedLoss(t *testing.T) {
	r := scored(t, person(2000, policy("m", "motor", 30000), policy("x", "liability", 6000)))
	if len(r.Policies) != 2 || r.Status != score.Scored {
		t.Fatalf("%+v", r)
	}
	motor, other := r.Policies[0], r.Policies[1]
	near(t, "motor's frequency", motor.Frequency, 0.3)
	near(t, "motor's severity, with the excess loading", motor.Severity, 1500)
	near(t, "motor's loss", motor.Loss, 450)
	near(t, "motor's loss ratio", motor.Ratio, 1.5)
	near(t, "the other's severity", other.Severity, 1000)
	near(t, "the customer's loss", r.Loss, 750)
	near(t, "the customer's loss ratio", r.Ratio, 750.0/360)
	near(t, "the score beyond the distribution", r.Score, 100)
	if r.Band != score.VeryHigh || r.Of != "m" {
		t.Errorf("band %s, reasons of %s", r.Band, r.Of)
	}
}

// TestReasonsAreOfTheLargestLoss: they add up to the log of that policy's expected loss.
func TestReasonsAreOfTheLargestLoss(t *testing.T) {
	r := scored(t, person(2000, policy("x", "liability", 6000), policy("m", "motor", 30000)))
	if r.Of != "m" || len(r.Reasons.Top) != 2 || r.Reasons.Top[0].Code != "age" || r.Reasons.Top[0].Number != 26 {
		t.Fatalf("of %s: %+v", r.Of, r.Reasons)
	}
	if load := r.Reasons.Top[1]; load.Code != LargeClaims || load.Number != 1.5 {
		t.Errorf("the second reason is %+v", load)
	}
	near(t, "the link", r.Reasons.Link, math.Log(0.3*1500))
	near(t, "the reasons", r.Reasons.Top[0].Contribution+r.Reasons.Top[1].Contribution+r.Reasons.Rest, r.Reasons.Link-r.Reasons.Base)
}

// loaded is a branch with every load there is.
var loaded = Branch{
	Basis: Own, Credibility: 1, Exposure: 200, Nil: 10, Frequency: 1.1, Severity: 0.9, Excess: 1.25, Reporting: 1.05, Development: 0.8, Inflation: 1.06,
	Covers: []Cover{{"theft", 0.25, 0.5}, {"collision", 0.75, 0.5}},
	Apart:  []Cover{{"glass", 0.07, 30}, {"roadside", 0.1, 9}},
}

// TestEveryLoadIsAReason of its own name, and nothing of the level hides in the rest: they
// add up to the log of the loss for any levels.
func TestEveryLoadIsAReason(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		factor := rapid.Float64Range(0.2, 5)
		b := loaded
		for name, v := range map[string]*float64{"f": &b.Frequency, "s": &b.Severity, "x": &b.Excess, "r": &b.Reporting, "d": &b.Development, "i": &b.Inflation} {
			*v = factor.Draw(rt, name)
		}
		if rapid.Bool().Draw(rt, "nothing apart") {
			b.Apart = nil
		}
		m := made(t)
		m.Branches = map[string]Branch{"": b}
		var r Result
		New(m, &Defaults, careful(t)).Score(scoretest.Input(asOf, person(2000, policy("m", "drone", 30000))), &r)
		sum, said := r.Reasons.Base+r.Reasons.Rest, map[string]float64{}
		for _, top := range r.Reasons.Top {
			sum += top.Contribution
			said[top.Code] = top.Number
		}
		if got := math.Exp(sum); math.Abs(got/r.Loss-1) > 1e-9 || math.Abs(r.Reasons.Rest) > 1e-9 {
			rt.Fatalf("reasons say EUR %v, the loss is %v", got, r.Loss)
		}
		want := map[string]float64{BranchLevel: b.Frequency * b.Severity, LargeClaims: b.Excess, DevelopmentLoad: b.Development, InflationLoad: b.Inflation}
		if b.Apart != nil {
			want[ApartLoad] = r.Loss / (r.Loss - 39)
		}
		for code, v := range want {
			if math.Abs(said[code]-v) > 1e-9*v && v != 1 {
				rt.Fatalf("%s is said to be %v, want %v", code, said[code], v)
			}
		}
	})
}

// TestCovers: a loss is split over the branch's covers, those apart by themselves, and the
// parts make the whole.
func TestCovers(t *testing.T) {
	m := made(t)
	m.Branches = map[string]Branch{"motor": loaded}
	var r Result
	New(m, &Defaults, careful(t)).Score(scoretest.Input(asOf, person(1980, policy("m", "motor", 30000), policy("x", "liability", 6000))), &r)
	p := &r.Policies[0]
	frequency, severity := 0.1*1.1*1.05, 1000*0.9*1.25*(0.8/1.05)*1.06
	near(t, "frequency", p.Frequency, frequency)
	near(t, "severity", p.Severity, severity)
	near(t, "loss", p.Loss, frequency*severity+39)
	near(t, "undeveloped loss", p.Undeveloped, frequency*severity/0.8+39)
	near(t, "claims with nothing incurred", p.Nil, 0.05)
	want := []CoverLoss{
		{"theft", false, frequency / 4, frequency * severity / 2},
		{"collision", false, 3 * frequency / 4, frequency * severity / 2},
		{"glass", true, 0.07, 30},
		{"roadside", true, 0.1, 9},
	}
	sum := 0.0
	for i := range p.Covers() {
		c := p.Cover(i)
		if c.Cover != want[i].Cover || c.Apart != want[i].Apart {
			t.Errorf("cover %d is %+v", i, c)
		}
		near(t, c.Cover+"'s claims", c.Frequency, want[i].Frequency)
		near(t, c.Cover+"'s loss", c.Loss, want[i].Loss)
		sum += c.Loss
	}
	near(t, "all covers", sum, p.Loss)
	near(t, "the customer's undeveloped loss", r.Undeveloped, p.Undeveloped+100)
	if b, z := p.Basis(); b != Own || z != 1 || r.Policies[1].Covers() != 0 {
		t.Errorf("basis %s, credibility %v; covers of a branch without claims: %d", b, z, r.Policies[1].Covers())
	}
}

// TestTies: who stands with many stands in their middle.
func TestTies(t *testing.T) {
	for name, tc := range map[string]struct {
		quantiles []float64
		score     float64 // of a ratio of exactly 1
	}{
		"all alike":      {[]float64{1, 1, 1, 1, 1}, 50},
		"half below":     {[]float64{0, 0.5, 1, 1, 1}, 75},
		"the lowest":     {[]float64{1, 1, 1, 2, 3}, 25},
		"one of many":    {[]float64{0, 0.5, 1, 2, 3}, 50},
		"below all":      {[]float64{2, 2, 3}, 0},
		"above all":      {[]float64{0, 0.5, 0.5}, 100},
		"between":        {[]float64{0, 0.5, 1.5, 2, 3}, 37.5},
		"one alone":      {[]float64{3}, 50},
		"without a book": {nil, 50},
	} {
		m := made(t)
		// A claim a year of EUR 1 for a premium of EUR 1: a ratio of exactly 1.
		m.Frequency, m.Severity = model.Constant(m.Schema.Fields(), model.Poisson, 0, ""), model.Constant(m.Schema.Fields(), model.Gamma, 0, "")
		m.Quantiles = tc.quantiles
		var r Result
		New(m, &Defaults, careful(t)).Score(scoretest.Input(asOf, person(1980, policy("x", "liability", 100))), &r)
		near(t, "the score of one "+name, r.Score, tc.score)
	}
}

// TestLifeAndHealth are in scope for who answers for it, and for nobody else.
func TestLifeAndHealth(t *testing.T) {
	s := Defaults.Clone()
	s.LifeAndHealth = true
	for _, assessment := range []string{"", " \t"} {
		s.Assessment = assessment
		if err := s.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "life_and_health_assessment") {
			t.Errorf("switched on without an assessment: %v", err)
		}
	}
	s.Assessment = "FRIA 2026-04, register no. 12"
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	a := person(1980, policy("h", "health", 9000), policy("m", "motor", 30000))
	for _, tc := range []struct {
		s    *Settings
		want int
	}{{&Defaults, 1}, {&s, 2}} {
		var r Result
		New(made(t), tc.s, careful(t)).Score(scoretest.Input(asOf, a), &r)
		if len(r.Policies) != tc.want {
			t.Errorf("%d policies are scored, want %d", len(r.Policies), tc.want)
		}
	}
}

func TestSettings(t *testing.T) {
	if err := Defaults.Check(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*Settings){
		"cap_quantile":            func(s *Settings) { s.CapQuantile = 0.2 },
		"development_quarters":    func(s *Settings) { s.Quarters = 0 },
		"tail_factor":             func(s *Settings) { s.Tail = math.NaN() },
		"claims_inflation":        func(s *Settings) { s.Inflation = 2 },
		"minimum_events":          func(s *Settings) { s.MinimumEvents = 0 },
		"full_credibility_events": func(s *Settings) { s.FullEvents = 0 },
		"prior_events":            func(s *Settings) { s.PriorEvents = math.Inf(1) },
		`no entry ""`:             func(s *Settings) { delete(s.Market, "") },
		"market.pet.frequency":    func(s *Settings) { s.Market["pet"] = Prior{0, 1, "x"} },
		"market.pet.severity":     func(s *Settings) { s.Market["pet"] = Prior{1, -1, "x"} },
		"market.pet.source":       func(s *Settings) { s.Market["pet"] = Prior{1, 1, ""} },
	} {
		s := Defaults.Clone()
		change(&s)
		if err := s.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	for cover, want := range map[string]bool{"glass": true, "Glas": true, " RUIT ": true, "pechhulp": true, "theft": false, "": false} {
		if Defaults.IsApart(cover) != want {
			t.Errorf("cover %q is apart: %v", cover, !want)
		}
	}
}

func TestBranchesThatCannotBe(t *testing.T) {
	if err := CheckBranches(map[string]Branch{"motor": loaded}); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*Branch){
		"basis":              func(b *Branch) { b.Basis = "guessed" },
		"credibility":        func(b *Branch) { b.Credibility = 1.1 },
		"frequency_factor":   func(b *Branch) { b.Frequency = 0 },
		"severity_factor":    func(b *Branch) { b.Severity = math.Inf(1) },
		"excess_load":        func(b *Branch) { b.Excess = -1 },
		"reporting_factor":   func(b *Branch) { b.Reporting = math.NaN() },
		"development_factor": func(b *Branch) { b.Development = 0 },
		"inflation_factor":   func(b *Branch) { b.Inflation = 0 },
		"a cover's":          func(b *Branch) { b.Apart = []Cover{{"glass", -1, 2}} },
	} {
		b := loaded
		change(&b)
		if err := CheckBranches(map[string]Branch{"motor": b}); !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestNothingIsAllocated per score once an engine is warm, beside what reading the
// features does.
func TestNothingIsAllocated(t *testing.T) {
	m := made(t)
	m.Branches = map[string]Branch{"": loaded}
	e := New(m, &Defaults, careful(t))
	in := scoretest.Input(asOf, person(2000, policy("a", "motor", 30000), policy("b", "liability", 6000), policy("c", "contents", 9000)))
	var r Result
	e.Score(in, &r)
	var reader feature.Reader
	var row model.Row
	read := testing.AllocsPerRun(100, func() {
		reader.Policies(in)
		for i := range in.View.Policies {
			reader.Policy(m.Schema, i, &row)
		}
	})
	if n := testing.AllocsPerRun(100, func() { e.Score(in, &r) }); n > read {
		t.Errorf("a score allocates %v times, reading the features %v", n, read)
	}
}

func TestThePlaceInTheBook(t *testing.T) {
	for _, tc := range []struct {
		premium portfolio.Cents // of a motor policy with an expected loss of EUR 150
		score   float64
		band    score.Band
	}{
		{60000, 25, score.Low}, // a ratio of 0.25 is a quantile
		{40000, 37.5, score.Low},
		{20000, 62.5, score.Medium},
		{15000, 75, score.Medium},
		{10000, 87.5, score.High},
		{1, 100, score.VeryHigh},
	} {
		r := scored(t, person(1980, policy("m", "motor", tc.premium)))
		near(t, "the score at a premium of "+tc.premium.String(), r.Score, tc.score)
		if r.Band != tc.band {
			t.Errorf("a score of %v is %s, not %s", r.Score, r.Band, tc.band)
		}
	}
}

// TestPremiumsThatAreNotKnown: losses without a premium do not make a ratio, and euros
// have no place among ratios.
func TestPremiumsThatAreNotKnown(t *testing.T) {
	r := scored(t, person(1980, policy("a", "motor", 15000), policy("b", "motor", 0)))
	near(t, "the ratio of the policy with a premium", r.Ratio, 1)
	near(t, "the loss of both", r.Loss, 300)
	if !math.IsNaN(r.Policies[1].Ratio) {
		t.Errorf("a policy without a premium has the ratio %v", r.Policies[1].Ratio)
	}
	r = scored(t, person(1980, policy("b", "motor", 0)))
	near(t, "the place of EUR 150 among losses", r.Score, 75)
	if !math.IsNaN(r.Ratio) {
		t.Errorf("the ratio without any premium is %v", r.Ratio)
	}
	m := made(t)
	m.Quantiles = nil
	var got Result
	New(m, &Defaults, careful(t)).Score(scoretest.Input(asOf, person(1980, policy("a", "motor", 15000))), &got)
	near(t, "the place in a book without a distribution", got.Score, 50)
}

func TestWhoIsNotScored(t *testing.T) {
	ended := policy("e", "motor", 30000)
	ended.EndDate, ended.Status, ended.EndReason = asOf, portfolio.Ended, "lapse"
	tomorrow := policy("t", "motor", 30000)
	tomorrow.StartDate = asOf + 1
	for name, tc := range map[string]struct {
		policies []portfolio.Policy
		want     score.Status
	}{
		"no policies":        {nil, score.NoPolicies},
		"ended today":        {[]portfolio.Policy{ended}, score.NoPolicies},
		"starts tomorrow":    {[]portfolio.Policy{tomorrow}, score.NoPolicies},
		"life and health":    {[]portfolio.Policy{policy("l", "life", 9000), policy("h", "health", 9000)}, score.NotInScope},
		"health and motor":   {[]portfolio.Policy{policy("h", "health", 9000), policy("m", "motor", 9000)}, score.Scored},
		"an unlisted branch": {[]portfolio.Policy{policy("u", "drone", 9000)}, score.Scored},
	} {
		r := scored(t, person(1980, tc.policies...))
		if r.Status != tc.want {
			t.Errorf("%s: %s, want %s", name, r.Status, tc.want)
		}
		for _, p := range r.Policies {
			if b, _ := portfolio.BranchOf(p.Branch); b.LifeOrHealth {
				t.Errorf("%s: %s is scored", name, p.Branch)
			}
		}
	}
}

func claim(id string, on portfolio.Date, reserve portfolio.Cents, status portfolio.Status) portfolio.Claim {
	return portfolio.Claim{ID: id, PolicyID: "m", CustomerID: "c", LossDate: on, Reserve: reserve, Status: status, Version: portfolio.Version{RecordedAt: on, ValidFrom: on}}
}

// TestCareIsForEverybody: it is the same of who is scored, of who objects, and of who has
// nothing in scope.
func TestCareIsForEverybody(t *testing.T) {
	for name, branch := range map[string]string{"scored": "motor", "not in scope": "health"} {
		a := person(1980, policy("m", branch, 30000))
		a.Contacts = []portfolio.Contact{{CustomerID: "c", At: portfolio.Instant((asOf - 9).Time().Unix()), Reason: "complaint"}}
		r := scored(t, a)
		var objected Result
		New(made(t), &Defaults, careful(t)).Care(scoretest.Input(asOf, a), &objected)
		if r.Care.Held() != "unresolved_complaint" || r.Care.Misses("liability") != (branch == "motor") {
			t.Errorf("%s: %+v", name, r.Care)
		}
		if objected.Status != score.Objected || len(objected.Policies) != 0 || objected.Care.Score != r.Care.Score || !slices.Equal(objected.Care.Triggers, r.Care.Triggers) {
			t.Errorf("%s: %+v, of an objector %+v", name, r.Care, objected)
		}
	}
}

// TestALateClaimIsNotSeen: what was reported after the as-of date was not known on it.
func TestALateClaimIsNotSeen(t *testing.T) {
	a := person(1980, policy("m", "motor", 30000))
	before := *scored(t, a)
	late := claim("1", asOf-30, 1_000_000, portfolio.ClaimOpen)
	late.RecordedAt = asOf + 5
	a.Claims = append(a.Claims, late)
	if r := scored(t, a); r.Loss != before.Loss || r.Care.Held() != "" {
		t.Errorf("loss %v and care %v, before %v", r.Loss, r.Care, before.Loss)
	}
}

func TestAFleetIsScored(t *testing.T) {
	a := person(0)
	a.Customers[0].Segment = portfolio.Business
	for i := range 2000 {
		a.Policies = append(a.Policies, policy("v"+strconv.Itoa(i), "motor", 30000))
	}
	for i := range 200 {
		c := claim(strconv.Itoa(i), asOf-portfolio.Date(i+1), 100000, portfolio.ClaimClosed)
		c.PolicyID = "v" + strconv.Itoa(i*7)
		a.Claims = append(a.Claims, c)
	}
	r := scored(t, a)
	if len(r.Policies) != 2000 {
		t.Fatalf("%d policies are scored", len(r.Policies))
	}
	near(t, "2,000 times EUR 150", r.Loss, 300_000)
}

// BenchmarkScore is a customer with five policies, with the reasons.
func BenchmarkScore(b *testing.B) {
	fields := feature.PolicySchema{}.Fields()
	m := &Model{
		Frequency: model.Constant(fields, model.Poisson, -2, ""), Severity: model.Constant(fields, model.Gamma, 7, ""),
		Branches: map[string]Branch{"": loaded}, Quantiles: []float64{0, 0.25, 0.5, 1, 2}, Bands: score.Bands{50, 80, 95},
	}
	e := New(m, &Defaults, careful(b))
	var policies []portfolio.Policy
	for _, branch := range []string{"motor", "liability", "contents", "building", "travel"} {
		policies = append(policies, policy(branch, branch, 30000))
	}
	in := scoretest.Input(asOf, person(1980, policies...))
	var r Result
	for b.Loop() {
		e.Score(in, &r)
	}
}
