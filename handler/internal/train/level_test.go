package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/scoring"
)

// office is a book of one policy a customer, with the claims that claims gives each.
func office(branch string, n int, claims func(i int) []portfolio.Claim) (relations [][]*portfolio.Aggregate) {
	for i := range n {
		a := customer(policy("p", branch, then-500, 0, ""))
		a.Customers[0].ID = fmt.Sprint(branch, i)
		a.Customers[0].BirthYear = 1950 + i%50
		a.Claims = claims(i)
		a.Normalise(asOf)
		relations = append(relations, alone(a))
	}
	return relations
}

// paid is a claim under a cover that is settled at once.
func paid(cover string, loss portfolio.Date, amount portfolio.Cents) portfolio.Claim {
	c := claim("k"+cover, "p", loss, amount, portfolio.ClaimClosed)
	c.Cover = cover
	return c
}

// every has each n-th customer claim, in turn on the days of the year.
func every(n int, amount portfolio.Cents) func(int) []portfolio.Claim {
	return func(i int) []portfolio.Claim {
		if i%n != 0 {
			return nil
		}
		return []portfolio.Claim{paid("fire", then+1+portfolio.Date(i*7%360), amount+portfolio.Cents(i%9)*1000)}
	}
}

// plain are settings without what changes amounts over time, under which a branch of so
// many claims stands on its own.
func plain(full float64) *scoring.Settings {
	s := settings()
	s.Risk.Inflation, s.Risk.Development, s.Risk.FullEvents = 0, false, full
	return s
}

func learn(t *testing.T, s *scoring.Settings, relations ...[]*portfolio.Aggregate) *scoring.Models {
	t.Helper()
	return learnYears(t, s, 1, relations...)
}

func learnYears(t *testing.T, s *scoring.Settings, years int, relations ...[]*portfolio.Aggregate) *scoring.Models {
	t.Helper()
	m, err := Fit(t.Context(), source(relations...), Options{AsOf: asOf, Snapshots: years, Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// expects is what models expect in the year that they were learnt from, by branch: each
// policy as it was before it, over its exposure.
func expects(t *testing.T, m *scoring.Models, relations [][]*portfolio.Aggregate) (claims, loss map[string]float64) {
	t.Helper()
	s, err := scoring.New(m)
	if err != nil {
		t.Fatal(err)
	}
	claims, loss = map[string]float64{}, map[string]float64{}
	for _, members := range relations {
		for _, sh := range s.Relation([]scoring.Subject{{Aggregate: members[0]}}, then, scoring.NewSet(scoring.Risk)) {
			for _, p := range sh.Risk.Policies {
				claims[p.Branch] += p.Frequency
				loss[p.Branch] += p.Loss
			}
		}
	}
	return claims, loss
}

// TestExpectedLossesKeepTheTotal: over the year that was learnt from, what is expected of a
// branch that stands on its own is what it cost, large claims, glass and recoveries
// included; to the precision of the machine.
func TestExpectedLossesKeepTheTotal(t *testing.T) {
	motor := office("motor", 900, func(i int) []portfolio.Claim {
		var out []portfolio.Claim
		if i%3 == 0 {
			out = append(out, paid("liability", then+1+portfolio.Date(i%350), portfolio.Cents(50_000+1000*(i%97))))
		}
		if i == 30 || i == 60 {
			out[0].Paid = 80_000_00
		}
		if i%10 == 1 {
			out = append(out, paid("Glas", then+9, 400_00))
		}
		if i%50 == 2 {
			out = append(out, paid("theft", then+8, 0)) // reported, and nothing came of it
			recovered := paid("collision", then+7, 300_00)
			recovered.Recovered = 350_00
			out = append(out, recovered)
		}
		return out
	})
	contents := office("contents", 600, every(5, 90_000))
	relations := slices.Concat(motor, contents)
	m := learn(t, plain(100), relations...)
	claims, loss := expects(t, m, relations)
	incurred, n := map[string]float64{}, map[string]float64{}
	for _, r := range relations {
		b := r[0].Policies[0].Branch
		for _, c := range r[0].Claims {
			incurred[b] += c.Incurred().EUR()
			if c.Incurred() > 0 && c.Cover != "Glas" {
				n[b]++
			}
		}
	}
	for _, b := range []string{"motor", "contents"} {
		if math.Abs(loss[b]/incurred[b]-1) > 1e-9 || math.Abs(claims[b]/n[b]-1) > 1e-9 {
			t.Errorf("%s: expected are %v claims and EUR %v, there were %v and EUR %v", b, claims[b], loss[b], n[b], incurred[b])
		}
	}
	b := m.Risk.Branches["motor"]
	if b.Basis != risk.Own || b.Nil != 36 || b.Claims != 300 || !(b.Excess > 1.3) || len(b.Apart) != 1 || b.Apart[0].Name != "glas" {
		t.Errorf("%+v", b)
	}
	if a := b.Apart[0]; math.Abs(a.Claims-0.1) > 1e-9 || math.Abs(a.Loss-40) > 1e-9 {
		t.Errorf("of glass %v claims and EUR %v a policy", a.Claims, a.Loss)
	}
}

// TestThinBranches: a branch of a few claims lies between the market and its own, one
// without any is the market's, and both say so.
func TestThinBranches(t *testing.T) {
	relations := slices.Concat(office("motor", 2000, every(4, 100_000)), office("contents", 1500, every(10, 60_000)),
		office("building", 1500, every(25, 300_000)), office("boat", 40, every(8, 50_000)), office("pet", 30, func(int) []portfolio.Claim { return nil }))
	s := plain(100)
	s.Risk.Market["boat"] = risk.Prior{Frequency: 0.02, Severity: 2000, Source: "a test"}
	m := learn(t, s, relations...)
	claims, _ := expects(t, m, relations)
	boat, pet := m.Risk.Branches["boat"], m.Risk.Branches["pet"]
	if m.Risk.Branches["motor"].Basis != risk.Own || boat.Basis != risk.Blended || pet.Basis != risk.Market || pet.Credibility != 0 {
		t.Errorf("motor %+v\nboat %+v\npet %+v", m.Risk.Branches["motor"], boat, pet)
	}
	if got := claims["boat"] / 40; !(got > 0.02 && got < 0.125) || !(boat.Credibility > 0 && boat.Credibility < 1) {
		t.Errorf("boats: %v claims a year at a credibility of %v; the market has 0.02, the book 0.125", got, boat.Credibility)
	}
	// What branches have in common moves the market's figure too.
	common := claims["pet"] / 30 / s.Risk.Expected("pet").Frequency
	if !(common > 0.4 && common < 3) {
		t.Errorf("pets: %v times the market", common)
	}
}

// TestNoClaimsAtAll: every branch is the market's, the unlisted too, to the cent.
func TestNoClaimsAtAll(t *testing.T) {
	relations := slices.Concat(office("motor", 50, func(int) []portfolio.Claim { return nil }), office("drone", 50, func(int) []portfolio.Claim { return nil }))
	for name, book := range map[string][][]*portfolio.Aggregate{"no claims": relations, "a book that has just begun": {begun()}} {
		m := learn(t, settings(), book...)
		claims, loss := expects(t, m, relations)
		for branch, prior := range map[string]risk.Prior{"motor": m.Settings.Risk.Expected("motor"), "drone": m.Settings.Risk.Expected("")} {
			if math.Abs(claims[branch]/50/prior.Frequency-1) > 1e-9 || math.Abs(loss[branch]/50/(prior.Frequency*prior.Severity)-1) > 1e-9 {
				t.Errorf("%s, %s: %v claims and EUR %v a year; the market has %v of EUR %v", name, branch, claims[branch]/50, loss[branch]/50, prior.Frequency, prior.Severity)
			}
		}
		if b := m.Risk.Branches["motor"]; b.Basis != risk.Market || b.Credibility != 0 || b.Claims != 0 {
			t.Errorf("%s: %+v", name, b)
		}
		if _, ok := m.Risk.Branches["health"]; ok {
			t.Errorf("%s: health is in scope", name)
		}
	}
}

// TestBranchesAreNotCountedTwice: whatever the models of single policies make of a branch's
// name, its level is its own: a model that says ten times too much of one changes nothing.
func TestBranchesAreNotCountedTwice(t *testing.T) {
	relations := slices.Concat(office("motor", 800, every(4, 100_000)), office("pet", 800, every(2, 20_000)))
	f := collected(t, relations...)
	f.o.Settings = plain(50)
	fields := f.schema.Fields()
	flat := model.Constant(fields, model.Poisson, math.Log(0.3), "")
	severity := model.Constant(fields, model.Gamma, math.Log(500), "")
	y := model.Target{Y: make([]float64, f.frequency.n)}
	for i := range y.Y {
		if y.Y[i] = 0.1; f.frequency.cat[0][i] == "pet" {
			y.Y[i] = 3
		}
	}
	frame, _ := f.frequency.training(model.Poisson)
	skewed, err := model.Fit(t.Context(), frame, y, model.Options{Loss: model.Poisson, Bags: 1, Pairs: -1, Rounds: 200})
	if err != nil {
		t.Fatal(err)
	}
	a, b := f.levels(flat, severity), f.levels(skewed, severity)
	am, bm := f.means(flat, severity), f.means(skewed, severity)
	if spread := bm.of("pet").frequency() / bm.of("motor").frequency(); spread < 5 {
		t.Fatalf("the skewed model says %v times as much of pets: the test is of nothing", spread)
	}
	for _, branch := range []string{"motor", "pet"} {
		x, y := a[branch].Frequency*am.of(branch).frequency(), b[branch].Frequency*bm.of(branch).frequency()
		if math.Abs(x/y-1) > 2e-8 { // factors have nine decimals
			t.Errorf("%s is expected to claim %v times a year by one model, %v by another", branch, x, y)
		}
	}
}

// TestWhatIsStillToCome: claims of which a third is reported half a year late, and which
// end at half as much again as was reserved, are expected at what they will come to; however
// long ago their labels closed, when no more was known of them.
func TestWhatIsStillToCome(t *testing.T) {
	for _, snapshots := range []int{1, 3} {
		t.Run(fmt.Sprint(snapshots, " years"), func(t *testing.T) { stillToCome(t, snapshots) })
	}
}

func stillToCome(t *testing.T, snapshots int) {
	var relations [][]*portfolio.Aggregate
	const each, quarters = 150, 20
	for q := range quarters {
		for i := range each {
			a := customer(policy("p", "liability", asOf-3000, 0, ""))
			a.Customers[0].ID = fmt.Sprint("c", q, "-", i)
			a.Customers[0].Version, a.Policies[0].Version = recorded(asOf-3000), recorded(asOf-3000)
			loss := asOf.AddMonths(-3*q) - portfolio.Date(10+i%70)
			report := loss + 5
			if i%3 == 0 {
				report = loss + 185
			}
			c := portfolio.Claim{ID: "k", PolicyID: "p", CustomerID: "c", LossDate: loss, ReportedDate: report, Reserve: 1000_00, Status: portfolio.ClaimOpen, Version: recorded(report)}
			settled := c
			settled.Reserve, settled.Paid, settled.Status, settled.Version = 0, 1500_00, portfolio.ClaimClosed, recorded(report+300)
			a.Claims = []portfolio.Claim{c, settled}
			a.Normalise(asOf)
			relations = append(relations, alone(a))
		}
	}
	s := settings()
	s.Risk.Inflation, s.Risk.FullEvents = 0, 100
	m := learnYears(t, s, snapshots, relations...)
	b := m.Risk.Branches["liability"]
	// Of the quarters of losses that are learnt from, each has 150 claims of EUR 1,500.
	will := float64(4 * snapshots * each)
	if got := b.Claims * b.Reporting; math.Abs(got/will-1) > 0.05 || !(b.Reporting > 1.03) {
		t.Errorf("%v claims are known, %v expected, %v there will be", b.Claims, got, will)
	}
	if b.Incurred >= b.Ultimate || math.Abs(b.Ultimate/(will*1500)-1) > 0.05 || !(b.Error > 0 && b.Error < 0.1*b.Ultimate) {
		t.Errorf("EUR %v are known, %v ± %v expected, %v it will be", b.Incurred, b.Ultimate, b.Error, will*1500)
	}
	if snapshots > 1 {
		return // policies are scored in the last year, and before it had other claims behind them
	}
	_, loss := expects(t, m, relations)
	if got := loss["liability"] * b.Incurred / b.Ultimate; math.Abs(loss["liability"]/b.Ultimate-1) > 1e-4 {
		t.Errorf("policies are expected to cost %v developed and %v undeveloped; their claims %v and %v", loss["liability"], got, b.Ultimate, b.Incurred)
	}
	off := *s
	off.Risk.Development = false
	if b := learnYears(t, &off, snapshots, relations...).Risk.Branches["liability"]; b.Development != 1 || b.Reporting != 1 || b.Incurred != b.Ultimate {
		t.Errorf("without development: %+v", b)
	}
}

// TestNextYearsMoney: at 10% a year, claims are dearer by what passes from their losses to
// the middle of the year ahead.
func TestNextYearsMoney(t *testing.T) {
	relations := office("motor", 400, func(i int) []portfolio.Claim {
		if i%4 != 0 {
			return nil
		}
		return []portfolio.Claim{paid("liability", then+183, 1000_00)}
	})
	s := plain(50)
	s.Risk.Inflation = 0.10
	b := learn(t, s, relations...).Risk.Branches["motor"]
	if want := math.Pow(1.1, portfolio.Years(then+183, asOf.AddMonths(6))); math.Abs(b.Inflation/want-1) > 1e-9 {
		t.Errorf("an inflation factor of %v, want %v", b.Inflation, want)
	}
}

// TestCoversOfABranch: shares of claims are as they are, and of loss as far as a cover's
// mean claim is credible; what is left after twenty is one.
func TestCoversOfABranch(t *testing.T) {
	covers := map[string]*cover{}
	add := func(name string, n int, mean float64) {
		c := coverOf(covers, name)
		for i := range n {
			amount := mean * (0.5 + float64(i%3)/2)
			c.claims, c.amount = c.claims+1, c.amount+amount
			c.class.Add(1, amount)
		}
	}
	add("fire", 300, 5000)
	add("Water ", 600, 1000)
	add("water", 300, 1000)
	add("", 3, 90_000)
	got := split(covers, 20)
	sum := [2]float64{}
	for _, c := range got {
		sum[0], sum[1] = sum[0]+c.Claims, sum[1]+c.Loss
	}
	if len(got) != 3 || got[0].Name != "water" || got[1].Name != "fire" || got[2].Name != "unspecified" || !near(sum[:], []float64{1, 1}) {
		t.Fatalf("%+v", got)
	}
	if ratio := got[1].Loss / got[1].Claims / (got[0].Loss / got[0].Claims); !(ratio > 4 && ratio < 5.2) {
		t.Errorf("a fire costs %v times as much as water, want about 5", ratio)
	}
	for i := range 40 {
		add(fmt.Sprint("word", i), 2, 700)
	}
	got = split(covers, 20)
	if last := got[len(got)-1]; len(got) != coversKept || last.Name != otherCover || math.Abs(last.Claims*1283-2*24) > 1e-9 {
		t.Errorf("%d covers, the last %+v", len(got), got[len(got)-1])
	}
}

// TestLateEarlyAndTomorrow: claims before their policy, after it, and reported too late to
// be known, and a policy that starts tomorrow, change nothing that they should not.
func TestLateEarlyAndTomorrow(t *testing.T) {
	base := func() *portfolio.Aggregate {
		return customer(policy("p", "motor", then-100, 0, ""), policy("t", "motor", then+1, 0, ""))
	}
	late := paid("a", then+50, 500_00)
	late.Version = recorded(asOf + 1)
	for name, tc := range map[string]struct {
		claim  portfolio.Claim
		claims float64
	}{
		"in the year":          {paid("a", then+50, 500_00), 1},
		"before its policy":    {paid("a", then-200, 500_00), 0},
		"not known yet":        {late, 0},
		"of an unknown policy": {func() portfolio.Claim { c := paid("a", then+50, 500_00); c.PolicyID = "q"; return c }(), 0},
		"starting tomorrow":    {func() portfolio.Claim { c := paid("a", then+50, 500_00); c.PolicyID = "t"; return c }(), 0},
	} {
		a := base()
		a.Claims = []portfolio.Claim{tc.claim}
		a.Normalise(asOf)
		f := collected(t, alone(a))
		x := f.experience["motor"]
		if x.claims != tc.claims || math.Abs(x.exposure-1) > 1e-12 || f.frequency.n != 1 {
			t.Errorf("%s: %v claims, %v policy-years, %d rows", name, x.claims, x.exposure, f.frequency.n)
		}
	}
}

// TestLifeAndHealthAreLearnt by who answers for it alone.
func TestLifeAndHealthAreLearnt(t *testing.T) {
	relations := office("disability", 200, every(4, 500_000))
	s := plain(20)
	if b, ok := learn(t, s, relations...).Risk.Branches["disability"]; ok {
		t.Errorf("learnt without being asked for: %+v", b)
	}
	s.Risk.LifeAndHealth = true
	if _, err := Fit(t.Context(), source(relations...), Options{AsOf: asOf, Settings: s}); !fault.Is(err, fault.Invalid) {
		t.Errorf("learnt without an assessment: %v", err)
	}
	s.Risk.Assessment = "impact assessment 7"
	if b := learn(t, s, relations...).Risk.Branches["disability"]; b.Basis != risk.Own || b.Claims != 50 {
		t.Errorf("%+v", b)
	}
}
