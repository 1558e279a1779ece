package feature

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/vocabulary"
)

// TestThePageIsFresh: docs/features.md is what `polis features` prints.
func TestThePageIsFresh(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "features.md")
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(body) != Page() {
		t.Error("docs/features.md is stale: go run ./handler/cmd/polis features > docs/features.md")
	}
	if strings.Contains(Page(), "{{") {
		t.Error("the page has a place that nothing was put into")
	}
}

// TestDefinitions are complete, and no name is one that may not be a feature.
func TestDefinitions(t *testing.T) {
	if len(Customers) < 40 {
		t.Errorf("%d features of a customer", len(Customers))
	}
	for _, set := range Catalogue() {
		seen := map[string]bool{}
		for _, d := range set.Features {
			if d.Name == "" || d.Group == "" || d.Meaning == "" || seen[d.Name] {
				t.Errorf("%s feature %+v: something is missing, or there are two", set.Name, d)
			}
			seen[d.Name] = true
			// Branches and what was claimed are named; of no other feature may a name be one
			// that an attribute would be left out for.
			if set.Name != "holding" && d.Name != "employees" && d.Name != "phone_12m" && d.Name != "mail_12m" && Forbidden(d.Name) {
				t.Errorf("%s may not be a feature", d.Name)
			}
		}
	}
}

// undated is what an export without dates would say on the day of the import of what
// history made: the last word of each row.
func undated(a *portfolio.Aggregate, on portfolio.Date) *portfolio.Aggregate {
	out := &portfolio.Aggregate{Contacts: a.Contacts}
	for i, c := range a.Customers {
		if i == len(a.Customers)-1 {
			c.Version = portfolio.Version{}
			out.Customers = append(out.Customers, c)
		}
	}
	for i, p := range a.Policies {
		if i == len(a.Policies)-1 || a.Policies[i+1].ID != p.ID {
			p.Version = portfolio.Version{}
			out.Policies = append(out.Policies, p)
		}
	}
	for i, c := range a.Claims {
		if i == len(a.Claims)-1 || a.Claims[i+1].ID != c.ID {
			c.Version = portfolio.Version{}
			out.Claims = append(out.Claims, c)
		}
	}
	out.Normalise(on)
	return out
}

// plain is a history in which all was recorded on the day it happened, and nothing changed
// that an undated row would not tell: it differs from its undated form in versions only.
func plain(r *rand.Rand, id string) *portfolio.Aggregate {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{
		ID: id, BirthYear: 1960 + r.IntN(30), Region: "Utrecht", Postcode: "1011", Origin: "broker", OfficeID: "O1", Employees: 3,
		Consents: []portfolio.Consent{{Purpose: "marketing", Channel: "email", Given: true, On: asOf - 2000}}, Version: portfolio.Version{RecordedAt: asOf - 3000, ValidFrom: asOf - 3000},
	}}}
	for i := range 1 + r.IntN(4) {
		start := asOf - portfolio.Date(900+r.IntN(900))
		p := portfolio.Policy{
			ID: fmt.Sprint(id, i), CustomerID: id, Branch: portfolio.Branches[r.IntN(6)].Name, StartDate: start, AnnualPremium: 50_000, Status: portfolio.Active, Product: "plus", Carrier: "North",
			PaymentFrequency: 12, CommissionRate: portfolio.RateOf(0.1), NoticeMonths: 1, ContractEnd: asOf + 100, SumInsured: 1000, Deductible: 100, Attributes: []portfolio.Attribute{{Key: "bm", Value: "4"}},
			Version: portfolio.Version{RecordedAt: start, ValidFrom: start},
		}
		a.Policies = append(a.Policies, p)
		if r.IntN(3) == 0 {
			p.EndDate = asOf - portfolio.Date(r.IntN(700)-200)
			p.Status, p.EndReason, p.Version = portfolio.Ended, pick(r, "lapse", "sold"), portfolio.Version{RecordedAt: p.EndDate, ValidFrom: p.EndDate}
			a.Policies = append(a.Policies, p)
		}
		for c := range r.IntN(3) {
			loss := asOf - portfolio.Date(r.IntN(1200)-100)
			a.Claims = append(a.Claims, portfolio.Claim{
				ID: fmt.Sprint(p.ID, c), PolicyID: p.ID, CustomerID: id, LossDate: loss, ReportedDate: loss + 9, AtFault: portfolio.AtFault, Paid: 70_000, Status: portfolio.ClaimOpen,
				Version: portfolio.Version{RecordedAt: loss + 9, ValidFrom: loss + 9},
			})
		}
	}
	for range r.IntN(4) {
		a.Contacts = append(a.Contacts, portfolio.Contact{CustomerID: id, At: at(asOf - portfolio.Date(r.IntN(900)-100)), Channel: "phone", Reason: "complaint"})
	}
	a.Normalise(asOf)
	return a
}

// TestCommissionOfZero: a commission of 0 is one that is known, and none is missing.
func TestCommissionOfZero(t *testing.T) {
	of := func(rates ...portfolio.Rate) float64 {
		a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", Version: portfolio.Version{RecordedAt: asOf - 900, ValidFrom: asOf - 900}}}}
		for i, rate := range rates {
			a.Policies = append(a.Policies, portfolio.Policy{
				ID: fmt.Sprint(i), CustomerID: "c", Branch: "motor", StartDate: asOf - 900, AnnualPremium: 1000, CommissionRate: rate, Status: portfolio.Active,
				Version: portfolio.Version{RecordedAt: asOf - 900, ValidFrom: asOf - 900},
			})
		}
		a.Normalise(asOf)
		for i, f := range CustomerFields() {
			if f.Name == "commission_rate" {
				return rows(a)[0].Num[i]
			}
		}
		t.Fatal("there is no such feature")
		return 0
	}
	if got := of(portfolio.Rate{}, portfolio.Rate{}); !math.IsNaN(got) {
		t.Errorf("of policies that give none it is %v", got)
	}
	if got := of(portfolio.RateOf(0), portfolio.Rate{}); got != 0 {
		t.Errorf("of one at 0 and one that gives none it is %v", got)
	}
	if got := of(portfolio.RateOf(0), portfolio.RateOf(0.2)); got != 0.1 {
		t.Errorf("of one at 0 and one at 0.2 it is %v", got)
	}
}

// TestCurrentOnly: as of a date before rows without dates were recorded, what is marked as
// current only is missing, and what is not says what it says of the same rows with dates.
func TestCurrentOnly(t *testing.T) {
	schema := PolicySchema{Attributes: []Attr{{Key: "bm", Numeric: true}}}
	var own []Definition
	for _, p := range policies {
		own = append(own, p.Definition)
	}
	own = append(own, Definition{Name: "attribute_bm", CurrentOnly: true})
	all := [][]Definition{Customers, offers, append(append([]Definition(nil), Customers...), Months...), own}
	fields := [][]model.Field{CustomerFields(), OfferFields(), HazardFields(), schema.Fields()}
	said := map[string]bool{}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 6))
		a := plain(r, "c")
		dated, bare := read(asOf, a), read(asOf, undated(a, asOf+500))
		if len(dated) != len(bare) {
			t.Fatalf("seed %d: %d rows, %d without dates", seed, len(dated), len(bare))
		}
		for i := range dated {
			for k := range all {
				if len(dated[i].Num) != len(fields[k]) {
					continue
				}
				for j, d := range all[k] {
					number := fields[k][j].Kind == model.Numeric
					known := !number && dated[i].Cat[j] != "" || number && !math.IsNaN(dated[i].Num[j])
					said[d.Name] = said[d.Name] || known
					switch alike := number && math.Float64bits(bare[i].Num[j]) == math.Float64bits(dated[i].Num[j]) || !number && bare[i].Cat[j] == dated[i].Cat[j]; {
					case !d.CurrentOnly && !alike:
						t.Fatalf("seed %d: %s is %v%v, without dates %v%v", seed, d.Name, dated[i].Num[j], dated[i].Cat[j], bare[i].Num[j], bare[i].Cat[j])
					case !d.CurrentOnly || alike && number && bare[i].Num[j] == 0:
						// Where there is no row that lacks a history, none is counted.
					case number && !math.IsNaN(bare[i].Num[j]), !number && bare[i].Cat[j] != "":
						t.Fatalf("seed %d: %s is current only and is %v%v", seed, d.Name, bare[i].Num[j], bare[i].Cat[j])
					}
				}
			}
		}
	}
	for k := range all {
		for _, d := range all[k] {
			if d.CurrentOnly && !said[d.Name] && d.Name != "announced_change" {
				t.Errorf("%s is never known, so that this test says nothing of it", d.Name)
			}
		}
	}
}

// TestUndatedRowsSayNothingElse: whatever an undated row says beyond its own dates may be
// otherwise, and no feature as of a date before changes.
func TestUndatedRowsSayNothingElse(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		a := history(r, "c")
		x, y := undated(a, asOf+900), undated(a, asOf+900)
		for i := range y.Customers {
			c := &y.Customers[i]
			c.Region, c.Postcode, c.Origin, c.OfficeID, c.Employees, c.Consents, c.Objects = "Drenthe", "9999", "direct", "O7", 77, nil, !c.Objects
		}
		for i := range y.Policies {
			p := &y.Policies[i]
			p.AnnualPremium, p.Carrier, p.Product, p.ContractEnd, p.NoticeMonths, p.PaymentFrequency, p.CommissionRate, p.Attributes = 1, "Other", "x", asOf+9, 9, 4, portfolio.RateOf(0.5), nil
			p.SumInsured, p.Deductible = 1, 1
			if p.EndDate > asOf { // what comes is not known
				p.EndDate, p.EndReason, p.Status = 0, "", portfolio.Active
			}
		}
		for i := range y.Claims {
			c := &y.Claims[i]
			c.Paid, c.Reserve, c.Status, c.AtFault, c.SettledDate = 1, 1, portfolio.ClaimRejected, "", 0
		}
		if !same(rows(x), rows(y)) {
			t.Fatalf("seed %d: a field without a history is read as of a date before it was recorded", seed)
		}
	}
}

// value is a feature of the first of the members, as of the date.
func value(t *testing.T, name string, members ...*portfolio.Aggregate) float64 {
	t.Helper()
	for _, a := range members {
		a.Normalise(asOf)
	}
	row := rows(members...)[0]
	for i, f := range CustomerFields() {
		if f.Name == name {
			return row.Num[i]
		}
	}
	t.Fatalf("there is no feature %s", name)
	return 0
}

func version(on portfolio.Date) portfolio.Version {
	return portfolio.Version{RecordedAt: on, ValidFrom: on}
}

// policyOf is a policy in its versions: pairs of a day and the premium from then on.
func policyOf(start portfolio.Date, steps ...int) *portfolio.Aggregate {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", Version: version(start)}}}
	for i := 0; i < len(steps); i += 2 {
		on := start + portfolio.Date(steps[i])
		a.Policies = append(a.Policies, portfolio.Policy{
			ID: "p", CustomerID: "c", Branch: "motor", StartDate: start, AnnualPremium: portfolio.Cents(steps[i+1]), Status: portfolio.Active, Version: version(on),
		})
	}
	return a
}

// TestPremiumChanges: the renewal's and the others', of a policy that began so many days
// before the as-of date.
func TestPremiumChanges(t *testing.T) {
	nan := math.NaN()
	for name, tc := range map[string]struct {
		age                              int
		steps                            []int
		year, renewal, midterm, in36, mu float64
	}{
		"new":                        {100, []int{0, 1000}, 0, nan, 0, 0, 0},
		"renewed at the same":        {400, []int{0, 1000}, 0, 0, 0, 0, 0},
		"a rise at the renewal":      {400, []int{0, 1000, 365, 1100}, 0.1, 0.1, 0, 0.1, 0},
		"ten days after it":          {400, []int{0, 1000, 375, 1100}, 0.1, 0.1, 0, 0.1, 0},
		"ten days before it":         {400, []int{0, 1000, 355, 1100}, 0.1, 0.1, 0, 0.1, 0},
		"mid-term":                   {400, []int{0, 1000, 200, 1200}, 0.2, 0, 0.2, 0.2, 1},
		"both":                       {500, []int{0, 1000, 365, 1100, 450, 1320}, 0.32, 0.1, 0.2, 0.32, 1},
		"the renewal before":         {800, []int{0, 1000, 365, 2000}, 0, 0, 0, 1, 0},
		"over five years":            {1800, []int{0, 1000, 400, 2000, 1100, 3000}, 0, 0, 0, 0.5, 0},
		"seen late":                  {800, []int{740, 1000}, nan, nan, nan, nan, 0},
		"seen before the renewal":    {800, []int{600, 1000, 730, 1300}, nan, 0.3, nan, nan, 0},
		"a correction of the past":   {400, []int{0, 1000, 365, 1100, 365, 1050}, 0.05, 0.05, 0, 0.05, 0},
		"it began with no premium":   {400, []int{0, 0, 200, 1000}, nan, 0, nan, nan, 1},
		"a renewal of the same year": {366, []int{0, 1000, 365, 1100}, 0.1, 0.1, 0, 0.1, 0},
	} {
		start := asOf - portfolio.Date(tc.age)
		for feature, want := range map[string]float64{
			"premium_change": tc.year, "renewal_change": tc.renewal, "midterm_change": tc.midterm, "premium_change_36m": tc.in36, "mutations_12m": tc.mu,
		} {
			a := policyOf(start, tc.steps...)
			for i := range a.Policies { // a correction is recorded after what it corrects
				a.Policies[i].RecordedAt += portfolio.Date(i)
			}
			if got := value(t, feature, a); math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > 1e-12 || want == 0 && got != 0 {
				t.Errorf("%s: %s is %v, want %v", name, feature, got, want)
			}
		}
	}
}

// TestOddData has the answers of docs/features.md.
func TestOddData(t *testing.T) {
	customer := func() *portfolio.Aggregate {
		return &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: 1980, Version: version(asOf - 2000)}}}
	}
	with := func(start, end portfolio.Date) *portfolio.Aggregate {
		a := customer()
		p := portfolio.Policy{ID: "p", CustomerID: "c", Branch: "motor", StartDate: start, AnnualPremium: 1000, Status: portfolio.Active, Version: version(min(start, asOf))}
		if end != 0 {
			p.EndDate, p.Status, p.EndReason = end, portfolio.Ended, "lapse"
		}
		a.Policies = []portfolio.Policy{p}
		return a
	}
	claimed := func(a *portfolio.Aggregate, loss, recorded portfolio.Date, set func(*portfolio.Claim)) *portfolio.Aggregate {
		c := portfolio.Claim{ID: "k", PolicyID: "p", CustomerID: "c", LossDate: loss, Paid: 500, Status: portfolio.ClaimOpen, Version: version(recorded)}
		if set != nil {
			set(&c)
		}
		a.Claims = append(a.Claims, c)
		return a
	}
	nan := math.NaN()
	for name, tc := range map[string]struct {
		a    *portfolio.Aggregate
		want map[string]float64
	}{
		"no policies": {customer(), map[string]float64{
			"policies": 0, "premium": 0, "tenure": nan, "policy_age": nan, "renewal_change": nan, "contract_end": nan, "policies_per_member": 0, "silence": nan,
		}},
		"only an ended one": {with(asOf-1000, asOf-100), map[string]float64{
			"policies": 0, "premium": 0, "tenure": 1000 / 30.4375, "policy_age": nan, "lapsed_12m": 1, "ended_12m": 1, "newest_policy": nan,
		}},
		"one that starts tomorrow": {with(asOf+1, 0), map[string]float64{
			"policies": 0, "premium": 0, "tenure": nan, "relation_policies": 0, "newest_policy": nan, "silence": nan,
		}},
		"one that started today": {with(asOf, 0), map[string]float64{"policies": 1, "premium": 10, "tenure": 0, "silence": 0}},
		"a claim before its policy": {claimed(with(asOf-100, 0), asOf-200, asOf-150, nil), map[string]float64{
			"claims_12m": 1, "open_claims": 1, "last_claim": 200 / 30.4375, "incurred_36m": 5,
		}},
		"a claim of an unknown policy": {claimed(customer(), asOf-200, asOf-150, nil), map[string]float64{"claims_12m": 1, "burden_36m": nan}},
		"a claim reported late":        {claimed(with(asOf-900, 0), asOf-500, asOf-1, nil), map[string]float64{"claims_12m": 0, "claims_36m": 1}},
		"a claim reported later":       {claimed(with(asOf-900, 0), asOf-500, asOf+1, nil), map[string]float64{"claims_36m": 0, "last_claim": nan}},
		"a rejected claim": {claimed(with(asOf-900, 0), asOf-90, asOf-80, func(c *portfolio.Claim) { c.Status = portfolio.ClaimRejected }), map[string]float64{
			"claims_36m": 0, "last_claim": nan, "relation_claims_36m": 0,
		}},
		"an injury": {claimed(with(asOf-900, 0), asOf-90, asOf-80, func(c *portfolio.Claim) { c.Cover = "Letsel" }), map[string]float64{
			"claims_36m": 0, "last_claim": nan, "relation_claims_36m": 0, "open_claims": 0, "incurred_36m": 0,
		}},
	} {
		for feature, want := range tc.want {
			if got := value(t, feature, tc.a); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("%s: %s is %v, want %v", name, feature, got, want)
			}
		}
	}
	for _, branch := range []string{"health", "disability", "life", "accident"} {
		a := claimed(with(asOf-900, 0), asOf-90, asOf-80, nil)
		a.Policies[0].Branch = branch
		if n := value(t, "claims_36m", a) + value(t, "relation_claims_36m", a) + value(t, "open_claims", a); n != 0 {
			t.Errorf("a claim of %s is counted", branch)
		}
	}
	for year, want := range map[int]float64{1980: 46, 2026: 0, 2027: nan, 2300: nan, 1900: nan, 0: nan} {
		a := customer()
		a.Customers[0].BirthYear = year
		if got := value(t, "age", a); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("born in %d: age is %v, want %v", year, got, want)
		}
	}
}

// TestRelationsOfThen: a group that points at itself, and two households that merge.
func TestRelationsOfThen(t *testing.T) {
	member := func(id, household, group string) *portfolio.Aggregate {
		a := policyOf(asOf-900, 0, 1000)
		a.Customers[0] = portfolio.Customer{ID: id, HouseholdID: household, CompanyGroupID: group, Version: version(asOf - 900)}
		a.Policies[0].ID, a.Policies[0].CustomerID = "p"+id, id
		return a
	}
	if n := value(t, "relation_members", member("c", "", "c")); n != 1 {
		t.Errorf("a company that is its own group has %v members", n)
	}
	if n := value(t, "relation_members", member("c", "", "c"), member("d", "", "c")); n != 2 {
		t.Errorf("a company that is its own group, and its daughter, have %v members", n)
	}
	merging := func() (*portfolio.Aggregate, *portfolio.Aggregate) {
		a, b := member("a", "h1", ""), member("b", "h2", "")
		for _, m := range []*portfolio.Aggregate{a, b} {
			moved := m.Customers[0]
			moved.HouseholdID, moved.Version = "h3", version(asOf-30)
			m.Customers = append(m.Customers, moved)
			m.Normalise(asOf)
		}
		return a, b
	}
	a, b := merging()
	place := 0
	for i, f := range CustomerFields() {
		if f.Name == "relation_policies" {
			place = i
		}
	}
	for on, want := range map[portfolio.Date]float64{asOf - 31: 1, asOf - 30: 2, asOf: 2} {
		if got := read(on, a, b)[0].Num[place]; got != want {
			t.Errorf("as of %d days before: the relation has %v policies, want %v", asOf-on, got, want)
		}
	}
}

// TestMembersWhoWereThere: of undated rows, only who had something by then.
func TestMembersWhoWereThere(t *testing.T) {
	row := func(id string) *portfolio.Aggregate {
		return undated(&portfolio.Aggregate{Customers: []portfolio.Customer{{ID: id, HouseholdID: "h"}}}, asOf+100)
	}
	there, later, never, called := row("a"), row("b"), row("c"), row("d")
	for a, start := range map[*portfolio.Aggregate]portfolio.Date{there: asOf - 100, later: asOf + 50} {
		a.Policies = []portfolio.Policy{{ID: a.ID(), CustomerID: a.ID(), Branch: "motor", StartDate: start, Status: portfolio.Active}}
	}
	called.Contacts = []portfolio.Contact{{CustomerID: "d", At: at(asOf - 3)}}
	for _, a := range []*portfolio.Aggregate{there, later, never, called} {
		a.Normalise(asOf + 100)
	}
	for i, f := range CustomerFields() {
		if f.Name == "relation_members" {
			if got := rows(there, later, never, called)[0].Num[i]; got != 2 {
				t.Errorf("%v members, want 2", got)
			}
		}
	}
}

// TestAFleetOfOne is 2,000 vehicles with two claims each: each is read once, whatever the
// others are.
func TestAFleetOfOne(t *testing.T) {
	const vehicles = 2000
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", Segment: portfolio.Business, Version: version(asOf - 2000)}}}
	for i := range vehicles {
		id := fmt.Sprintf("p%04d", i)
		a.Policies = append(a.Policies, portfolio.Policy{
			ID: id, CustomerID: "c", Branch: "fleet", StartDate: asOf - 900, AnnualPremium: 100_01, Carrier: fmt.Sprint("carrier", i%20), Status: portfolio.Active, Version: version(asOf - 900),
		})
		for k := range 2 {
			loss := asOf - portfolio.Date(300+400*k)
			a.Claims = append(a.Claims, portfolio.Claim{ID: fmt.Sprint(id, k), PolicyID: id, CustomerID: "c", LossDate: loss, Paid: 100, Status: portfolio.ClaimClosed, Version: version(loss)})
		}
	}
	for name, want := range map[string]float64{
		"policies": vehicles, "relation_policies": vehicles, "branches": 1, "premium": 200_020, "claims_12m": vehicles, "claims_36m": 2 * vehicles, "incurred_36m": 4000, "carriers": 8,
		"policies_per_member": vehicles, "tenure": 900 / 30.4375,
	} {
		if got := value(t, name, a); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	all := rows(a)
	fields := PolicySchema{}.Fields()
	for _, row := range all[len(all)-vehicles:] {
		for i, f := range fields {
			if want := map[string]float64{"premium": 100.01, "branch_claims_36m": 2 * vehicles, "policies": vehicles}[f.Name]; want != 0 && row.Num[i] != want {
				t.Fatalf("of a vehicle %s is %v, want %v", f.Name, row.Num[i], want)
			}
		}
	}
}

// TestContacts: by channel and reason in any case, the unresolved of any age.
func TestContacts(t *testing.T) {
	contact := func(days portfolio.Date, channel, reason, direction string, resolved portfolio.Date) portfolio.Contact {
		c := portfolio.Contact{CustomerID: "c", At: at(asOf - days), Channel: channel, Reason: reason, Direction: direction}
		if resolved != 0 {
			c.ResolvedAt = at(resolved)
		}
		return c
	}
	a := policyOf(asOf-3000, 0, 1000)
	a.Contacts = []portfolio.Contact{
		contact(2000, "phone", "complaint", "in", 0),
		contact(1500, "phone", "complaint", "in", asOf-1400),
		contact(400, "phone", "question", "in", 0),
		contact(300, "Telefoon", "KLACHT", "in", asOf-1),
		contact(200, "E-mail", "invoice", "in", 0),
		contact(100, "whatsapp", "mutatie", "in", 0),
		contact(50, "visit", "review", "out", 0),
		contact(20, "pigeon", "schade", "in", 0),
		contact(10, "", "complaint", "in", asOf+1),
	}
	for name, want := range map[string]float64{
		"contacts_12m": 6, "phone_12m": 1, "mail_12m": 1, "online_12m": 1, "visits_12m": 1, "outreach_12m": 1, "questions_12m": 1, "changes_12m": 1,
		"claim_contacts_12m": 1, "advice_12m": 1, "complaints_12m": 2, "unresolved": 2, "unresolved_age": 2000 / 30.4375, "last_contact": 10 / 30.4375, "silence": 10 / 30.4375,
		"relation_complaints_12m": 2,
	} {
		if got := value(t, name, a); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestRenewalAndMidterm make the year together, whatever versions there are.
func TestRenewalAndMidterm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := asOf - portfolio.Date(rapid.IntRange(0, 2000).Draw(t, "age"))
		p := portfolio.PolicyView{}
		for i, n := 0, rapid.IntRange(1, 6).Draw(t, "versions"); i < n; i++ {
			on := start + portfolio.Date(rapid.IntRange(0, 2000).Draw(t, "from"))
			if i == 0 {
				on = start
			}
			p.Versions = append(p.Versions, portfolio.Policy{StartDate: start, AnnualPremium: portfolio.Cents(rapid.IntRange(1, 1_000_000).Draw(t, "premium")), Version: version(on)})
		}
		if rapid.Bool().Draw(t, "ends") {
			for i := range p.Versions {
				p.Versions[i].ContractEnd = start + 400
			}
		}
		p.Policy = &p.Versions[0]
		for i := range p.Versions {
			if w := &p.Versions[i]; w.ValidFrom <= asOf && w.ValidFrom >= p.ValidFrom {
				p.Policy = w
			}
		}
		c := premiumChanges(&p, asOf, asOf.AddMonths(-12))
		renewal := c.renewal
		if math.IsNaN(renewal) {
			renewal = 0
		}
		if got := (1+renewal)*(1+c.midterm) - 1; math.Abs(got-c.year) > 1e-9*(1+c.year) {
			t.Fatalf("renewal %v and mid-term %v make %v, the year is %v", c.renewal, c.midterm, got, c.year)
		}
		if !(c.year > -1) || c.renewal <= -1 || !(c.midterm > -1) {
			t.Fatalf("%+v", c)
		}
	})
}

func TestForbidden(t *testing.T) {
	for _, key := range []string{
		"gender", "Gender", "policyholder_gender", "sex", "insured-sex", "insuredSex", "geslacht", "GeslachtVerzekerde", "M/V", "aanhef", "salutation",
		"health", "healthDeclaration", "gezondheidsverklaring", "medical_history", "medisch", "letselschade", "injury_grade", "smoker", "is_smoker", "roker", "isRoker", "BMI", "arbeidsongeschiktheid", "verzuimpercentage", "zwangerschap", "diagnose",
		"ethnicity", "nationaliteit", "religion", "geloof", "vakbond", "strafrechtelijk_verleden",
		"name", "driver_name", "driverName", "bestuurdersnaam", "achternaam", "BSN", "iban", "e_mail", "email", "telefoon", "kenteken", "geboortedatum", "birth_date",
		"advisor", "advisor_id", "adviseurscode", "medewerker", "account_manager", "acceptant", "behandelaar",
		"notes", "remark", "opmerkingen", "omschrijving", "vrije_tekst", "free text", "memo", "toelichting",
		"sekse", "seks", "SekseCode", "m/v/x", "dame_heer", "vrouwelijk", "v-m", "aandoening", "Ziekmelding", "ziekenhuis", "hiv", "HIV_status", "depressie", "rokerscode", "nonsmoker", "nonSmoker", "huisarts", "operatie",
		"ziek_gemeld", "heeft hartklachten", "accountmanager", "relatiemanager", "relatie_manager", "inspecteur", "AccountManagerCode", "bijzonderheden", "aantekening", "info", "informatie", "vrij_veld", "vrijVeld", "omschr", "voorletters",
		"sexe", "kunne", "meneer", "girl", "boy", "husband", "aanspreekvorm", "bloeddruk", "beperking", "overgewicht", "ADHD", "burnout", "burn-out", "medewerkster", "vertegenwoordiger",
		"Geschlecht", "Anrede", "civilité", "Körpergewicht", "schwangerschaft", "santé", "fumeur", "Sachbearbeiter", "conseiller", "Vorname", "prénom", "Bemerkung", "ambulance", "verpleeghuis", "bodyWeight", "lichaamslengte",
		"geb_datum", "gebdatum", "gebDat", "geboorteland", "sofinummer", "Sofi-nummer", "enrichment:rebuild_value",
	} {
		if !Forbidden(key) {
			t.Errorf("%q may be a feature", key)
		}
	}
	for _, key := range []string{
		"bm", "power_kw", "kilometers", "build_year", "vehicles", "claim_free_years", "fuel", "brandstof", "ras", "sextant", "essex_area", "manual_gearbox", "catalogue_value", "dagwaarde", "gewicht",
		"oppervlakte", "bouwaard", "rieten_dak", "alarm", "private_use", "leeftijd", "regio", "no_claim", "millimetres", "usage", "deductible_glass", "notebook_cover", "contextual",
		"muziekinstrument", "archive", "rookmelder", "smoke_detector", "cooperatie", "hospitality", "essex", "operational_lease", "stroker",
		"office", "boiler", "tandem", "beperkt_casco", "man-made", "beperkt casco", "manual", "mandate", "mannheim", "officeSpace", "herring_boat", "heritage", "sunroof", "kunnen", "menage",
		"damper", "damwand", "bloemenwinkel", "gewicht", "ledig_gewicht", "lengte_vaartuig", "vertekening", "dekkingsbeperkt", "tandwielkast", "gezinsgrootte", "genre_vehicule", "titre", "zone_risque", "fraude", "frachtwert", "herkunft_fahrzeug",
		"informatiebeveiliging", "smoke_room", "vermogen_mw", "eigen_derden", "street_parking", "stress_bestand",
		"use_class", "driver_class", "occupation_class", "herbouwwaarde", "sanitair", "tabel", "motorhome", "mobile_home",
	} {
		if Forbidden(key) {
			t.Errorf("%q may not be a feature", key)
		}
	}
}

func TestExclude(t *testing.T) {
	var found Survey
	found.Add(&portfolio.Policy{Attributes: []portfolio.Attribute{{Key: "bm", Value: "3"}, {Key: "fuel", Value: "x"}, {Key: "gender", Value: "x"}}})
	for _, tc := range []struct {
		exclude []string
		says    string
	}{
		{nil, ""},
		{[]string{"region", "month_renewal", "holds_motor", "sum_insured", "attribute_fuel", "attribute_gender"}, ""},
		{[]string{"region", "regoin"}, `exclude[1]: no feature is called "regoin"`},
		{[]string{"attribute_feul"}, `exclude[0]: no policy has the attribute "feul"`},
		{[]string{""}, `exclude[0]: no feature is called ""`},
	} {
		s := Defaults
		s.Exclude = tc.exclude
		err := s.Check()
		if err == nil {
			err = s.CheckAttributes(&found)
		}
		if (err == nil) != (tc.says == "") || err != nil && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%v: %v", tc.exclude, err)
		}
	}
	for field, s := range map[string]Settings{
		"snapshots": {Snapshots: 0, ReportingLag: 3, FewestCustomers: 1}, "features.snapshots": {Snapshots: 21, FewestCustomers: 1}, "reporting_lag_months": {Snapshots: 3, ReportingLag: -1, FewestCustomers: 1}, "features.reporting_lag": {Snapshots: 3, ReportingLag: 25, FewestCustomers: 1},
		"features.fewest_customers": {Snapshots: 3},
	} {
		if err := s.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	s := Settings{Exclude: []string{"region", "attribute_fuel"}}
	if got, _ := found.Schema(s); len(got.Attributes) != 1 || got.Attributes[0].Key != "bm" {
		t.Errorf("attributes %v", got)
	}
	for i, f := range CustomerFields() {
		if s.Hidden(CustomerFields())[i] != (f.Name == "region") {
			t.Errorf("%s is hidden, or is not", f.Name)
		}
	}
}

// BenchmarkRead is of a customer with five policies in force in four versions each, ten
// claims and twelve contacts.
func BenchmarkRead(b *testing.B) {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: 1980, Version: version(asOf - 2000)}}}
	for i := range 5 {
		start := asOf - portfolio.Date(1200+10*i)
		for v := range 4 {
			a.Policies = append(a.Policies, portfolio.Policy{
				ID: fmt.Sprint("p", i), CustomerID: "c", Branch: portfolio.Branches[i].Name, StartDate: start, ContractEnd: start + portfolio.Date(365*(v+1)), AnnualPremium: portfolio.Cents(20_000 + 100*v),
				Status: portfolio.Active, PaymentFrequency: 12, CommissionRate: portfolio.RateOf(0.2), Version: version(start + portfolio.Date(365*v)),
			})
		}
		for k := range 2 {
			loss := asOf - portfolio.Date(400*k+90)
			a.Claims = append(a.Claims, portfolio.Claim{ID: fmt.Sprint("k", i, k), PolicyID: fmt.Sprint("p", i), CustomerID: "c", LossDate: loss, Paid: 10_000, Cover: "theft", Version: version(loss)})
		}
	}
	for i := range 12 {
		a.Contacts = append(a.Contacts, portfolio.Contact{CustomerID: "c", At: at(asOf - portfolio.Date(60*i)), Channel: "phone", Reason: "question"})
	}
	a.Normalise(asOf)
	var v portfolio.View
	var g Group
	var r Reader
	var row model.Row
	refs := []*portfolio.View{&v}
	for b.Loop() {
		v.Reset(a, asOf, portfolio.DefaultEnds)
		g.Reset(refs)
		r.Offer(Input{&v, &g}, &row)
	}
}

// TestUnlistedAttributes: keys that are on no list, of which nobody can say what they hold,
// are no features until a tenant names them, and then only if they may be.
func TestUnlistedAttributes(t *testing.T) {
	var found Survey
	for i := range 200 {
		p := portfolio.Policy{}
		add := func(key, value string) {
			p.Attributes = append(p.Attributes, portfolio.Attribute{Key: key, Value: value})
		}
		add("blorp", fmt.Sprint("kind ", i%3))
		add("Kwispel-2", fmt.Sprint(i%7))
		add("zzq", "heeft hartklachten")
		add("pandas", fmt.Sprint("J. Jansen the ", i%60, "th"))
		add("wordy", fmt.Sprint("many words ", i%20, " of it"))
		add("lengthy", strings.Repeat("x", 41))
		add("SekseCode", "1")
		add("buildYear", "1990")
		add("Brandstof", []string{"benzine", "diesel"}[i%2])
		add("driver_class", []string{"only partner", "same", "all drivers > 24"}[i%3])
		add("beroepsklasse", fmt.Sprint("class", i%51))
		if i == 0 {
			add("seldom", "1")
		}
		found.Add(&p)
	}
	keys := func(s Settings) (out []string, left map[string]string) {
		schema, l := found.Schema(s)
		if err := schema.Check(s); err != nil {
			t.Error(err)
		}
		for _, a := range schema.Attributes {
			out = append(out, a.Key)
		}
		left = map[string]string{}
		for _, o := range l {
			left[o.Key] = o.Why
		}
		return out, left
	}
	got, left := keys(Settings{})
	if want := []string{"Brandstof", "buildYear", "driver_class"}; !slices.Equal(got, want) {
		t.Errorf("by default %q are features, want %q", got, want)
	}
	for key, why := range map[string]string{
		"blorp": "not listed", "Kwispel-2": "not listed", "zzq": "not listed", "pandas": "not listed", "wordy": "not listed", "lengthy": "not listed", "SekseCode": "forbidden", "beroepsklasse": "free text",
	} {
		if !strings.Contains(left[key], why) {
			t.Errorf("%s is left out as %q, want %q", key, left[key], why)
		}
	}
	if len(left) != 8 {
		t.Errorf("left out are %v", left)
	}
	named := Settings{Attributes: []string{"blorp", "Kwispel-2", "pandas", "wordy", "lengthy", "seldom", "nowhere"}, Exclude: []string{"attribute_driver_class"}}
	got, left = keys(named)
	if want := []string{"Brandstof", "Kwispel-2", "blorp", "buildYear"}; !slices.Equal(got, want) {
		t.Errorf("where they are named %q are features, want %q", got, want)
	}
	for key, why := range map[string]string{
		"pandas": "free text", "wordy": "free text", "lengthy": "free text", "seldom": "one policy in fifty", "nowhere": "no policy has it", "driver_class": "features.exclude", "zzq": "not listed",
	} {
		if !strings.Contains(left[key], why) {
			t.Errorf("%s is left out as %q, want %q", key, left[key], why)
		}
	}
	for _, key := range []string{"sekse", "accountManager", " "} {
		s := Defaults
		s.Attributes = []string{"blorp", key}
		if err := s.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "features.attributes[1]") {
			t.Errorf("%q named: %v", key, err)
		}
	}
	if err := (PolicySchema{Attributes: []Attr{{Key: "blorp", Values: []string{"x"}}}}).Check(Settings{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a schema with an attribute that nobody named: %v", err)
	}
}

// TestKnownRatingFactors are none that may not be a feature.
func TestKnownRatingFactors(t *testing.T) {
	for _, f := range ratingFactors {
		for _, key := range f.Keys {
			if Forbidden(key) || !RatingFactor(strings.ToUpper(key)) {
				t.Errorf("%s: %s is forbidden, or not found", f.Meaning, key)
			}
		}
	}
	// What the sample and the real sets of scripts/realbook write.
	for _, key := range strings.Fields("power_kw vehicle_year claim_free_years kilometers build_year vehicles coverage bm power vehicle_age fuel use_class fleet long lat bonus_malus driver_class occupation_class contracts age_at_purchase garage offer_over_market") {
		if !RatingFactor(key) {
			t.Errorf("%s is no rating factor", key)
		}
	}
}

func TestDelicateCovers(t *testing.T) {
	for _, cover := range []string{
		"slachtoffers", "patiënten", "brandwonden", "gewonden", "AD&D", "med pay", "MedPay", "doodsoorzaak",
		"OIV", "WEGAM", "wegas", "smartegeld", "ongevallen opvarenden", "werknemersschade", "arbeidsongeval", "verwonding", "gebitsschade", "death & dismemberment", "geneesmiddelen", "dokterskosten",
		"medische kosten", "geneeskundige_kosten", "Lichamelijk letsel", "letsel-inzittenden", "ziektekosten", "Bodily Injury", "bodily-injury", "BODILY_INJURY", "bodilyInjury", "overlijden", "Blijvende invaliditeit", "smartengeld",
		"accidental death", "permanent_disability", "injury", "letselschade", "income", "verzuim", "Schadeverzekering Inzittenden", strings.Repeat("x ", 100) + "letsel",
		"SVI", "svi", "OVI", "WA + SVI", "personenschade", "lichamelijke schade", "bodily", "BI", "fysiotherapie", "ambulance", "zwangerschap", "verpleging", "ziekenvervoer", "tand", "tandarts", "tandkosten", "Tandverzekering aanvullend",
		"mondzorg", "tandheelkunde", "zorgkosten", "PA", "passengers", "nursing care", "physiotherapy",
		"Personenschäden", "Körperverletzung", "Zahnersatz", "Zahnzusatzversicherung", "Insassenunfall", "Unfallversicherung", "Krankentagegeld", "Heilkosten", "Schmerzensgeld",
		"dommages corporels", "Décès", "frais médicaux", "santé", "individuelle accident", "invalidité", "hospitalisation", "garantie du conducteur",
	} {
		if !Delicate(nil, &portfolio.ClaimView{Claim: &portfolio.Claim{Cover: cover}}) {
			t.Errorf("%q is not delicate", cover)
		}
	}
	for _, cover := range []string{
		"", "liability", "glass", "fire", "theft", "storm", "collision", "brandschade", "gewone schade", "add-on", "material damage", "water", "legal expenses", "assistance", "own_damage", "aanrijding", "hagel", "é",
		"tandem", "tandwiel", "boiler", "office", "beperkt casco", "man-made", "bicycle", "bijtende stoffen", "zorgeloos", "verzorgd wonen pakket", "mondiaal", "paal", "bisque", "opzet", "glasbreuk", "dak", "brand",
		"sovereign", "savings", "svink", "ovaal", "zahnrad", "zahnriemen", "lebensmittel", "corporate", "passage", "sanitair", "storm en neerslag", "letter of credit", "injection", "business interruption", "bedrijfsschade",
		"inkomensderving", "pensionstal", "ovaal", "rechtsbijstand", "inbraak", "vandalisme", "ruitschade", "pechhulp", "kortsluiting", "waterschade", "kinderwagen", "elektrische installatie", "hospitality equipment", "fine arts", "optical equipment", "levenloze have", "huurdersbelang", "tandwielkast", "zorgplicht", "keuken",
	} {
		if Delicate(nil, &portfolio.ClaimView{Claim: &portfolio.Claim{Cover: cover}}) {
			t.Errorf("%q is delicate", cover)
		}
	}
	if n := testing.AllocsPerRun(100, func() { neverCovers.Find("Letselschade-inzittenden en medische kosten") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestWords: every word of the table is found where it is said to hold, unless an innocent is in its way.
func TestWords(t *testing.T) {
	find := map[string]func(string) bool{"first_names": func(s string) bool { return firstNames.Find(s) != nil }, "keys": Forbidden, "values": ForbiddenValue, "covers": func(s string) bool {
		return Delicate(nil, &portfolio.ClaimView{Claim: &portfolio.Claim{Cover: s}})
	}}
	for _, e := range never.Entries() {
		for _, w := range e.Words {
			for _, in := range e.In {
				if found := find[in](w); found == (e.Match == vocabulary.Trade || e.Match == vocabulary.Innocent) && !(found && e.Match == vocabulary.Trade) {
					t.Errorf("%s among %s (%s): found is %v", w, in, e.Match, found)
				}
			}
		}
	}
}

// TestValuesAreLookedAt: who somebody is, and how somebody is, may be in values whatever the key.
func TestValuesAreLookedAt(t *testing.T) {
	names := func(list ...string) func(int) string { return func(i int) string { return list[i%len(list)] } }
	for name, tc := range map[string]struct {
		key   string
		value func(int) string
		named bool
		why   string // "": it is a feature
	}{
		"gender of who drives":        {"driver", names("male", "female"), false, "not listed"},
		"health for an occupation":    {"occupation", names("patient", "ziek", "Jan de Vries", "Piet Bakker"), false, "not listed"},
		"a job":                       {"job", names("baker"), false, "not listed"},
		"a use":                       {"use", names("private"), false, "not listed"},
		"the same, named":             {"driver", names("Male", "Female"), true, "a value says gender"},
		"one value of many":           {"occupation", names("baker", "smith", "zwanger", "clerk"), true, "a value says gender, health"},
		"Dutch":                       {"driver_class", names("vrouw", "partner"), false, "a value says gender"},
		"in a sentence":               {"driver_class", names("de vrouw van", "partner"), false, "a value says gender"},
		"m and v":                     {"driver_class", names("m", "v", "?"), false, "a value says gender"},
		"M and F":                     {"driver_class", names("M", "F"), false, "a value says gender"},
		"sizes":                       {"vehicle_class", names("S", "M", "L"), false, ""},
		"makes":                       {"make", names("MAN", "DAF", "Land Rover"), false, ""},
		"an alarm":                    {"alarm", names("enabled", "disabled"), false, ""},
		"a sector":                    {"sector", names("gezondheidszorg", "healthcare", "women's clothing"), false, ""},
		"a medical occupation":        {"occupation_class", names("medical", "normal"), false, ""},
		"names of people":             {"driver", names("Jan de Vries", "P. Bakker", "A.B. van der Meer", "Piet Bakker"), true, "names of people"},
		"many names":                  {"driver", func(i int) string { return "Anna" + string(rune('a'+i%45)) }, true, "fewer than 10 customers"},
		"more names":                  {"driver", func(i int) string { return fmt.Sprint("Anna", 'a'+i%60) }, true, "free text"},
		"a category":                  {"hull_colour", names("red", "blue"), true, ""},
		"numbers with a word between": {"driver_age", func(i int) string { return []string{"ziek", fmt.Sprint(20 + i%50)}[min(i, 1)] }, false, ""},
		"a van for a wheelchair":      {"voertuigsoort", func(i int) string { return []string{"aangepast voor invalide", "auto", "bus"}[min(i, 1+i%2)] }, false, ""},
		"many of them":                {"voertuigsoort", names("aangepast voor invalide", "auto", "bus"), false, "a value says gender, health"},
		"places":                      {"regio", names("Hof van Twente", "Land van Cuijk", "Alphen aan den Rijn", "Jan Mayen"), false, ""},
		"places where one is named":   {"werkgebied", names("Hof van Twente", "Land van Cuijk"), true, ""},
		"breeds":                      {"ras", names("Dogue de Bordeaux", "Coton de Tulear", "Jack Russell"), false, ""},
		"fuels":                       {"brandstof", names("D", "H"), false, ""},
		"fuels of four":               {"brandstof", names("D", "H", "B", "E"), false, ""},
		"uses":                        {"use_class", names("M", "V"), false, ""},
		"schools":                     {"bedrijfssector", names("Katholiek onderwijs", "detailhandel"), false, ""},
		"names without a particle":    {"driver_class", names("Jan Bakker", "Piet Jansen", "Els Smit"), false, "names of people"},
		"in any class":                {"use_class", names("Jan Bakker", "Piet Jansen"), false, "names of people"},
		"in lower case":               {"driver_class", names("john smith", "mary jones"), false, "names of people"},
		"one colleague's region":      {"regio", names("Jan de Vries", "noord", "zuid"), false, ""},
		"makes named after people":    {"tractor", names("John Deere", "Fendt"), true, ""},
	} {
		var found Survey
		for i := range 200 {
			found.Add(&portfolio.Policy{CustomerID: fmt.Sprint("c", i), Attributes: []portfolio.Attribute{{Key: tc.key, Value: tc.value(i)}}})
		}
		s := Defaults
		if tc.named {
			s.Attributes = []string{tc.key}
		}
		schema, left := found.Schema(s)
		if (len(schema.Attributes) == 1) != (tc.why == "") || (len(left) == 1) != (tc.why != "") {
			t.Errorf("%s: %v is a feature, left out is %v", name, schema.Attributes, left)
		} else if tc.why != "" && !strings.Contains(left[0].Why, tc.why) {
			t.Errorf("%s is left out since %s, want %s", name, left[0].Why, tc.why)
		}
		for _, a := range schema.Attributes {
			for _, v := range []string{"ziek", "aangepast voor invalide", "Jan de Vries"} {
				if slices.Contains(a.Values, v) {
					t.Errorf("%s: %q is a value", name, v)
				}
			}
		}
	}
}

// TestRareValues are in no schema, and are read as one: also where one customer has many policies.
func TestRareValues(t *testing.T) {
	var found Survey
	for i := range 100 {
		value, customer := "tiles", fmt.Sprint("c", i)
		switch {
		case i < 9:
			value = "nine have it"
		case i < 19:
			value = "ten have it"
		case i < 60:
			value, customer = "one has many", "fleet"
		}
		found.Add(&portfolio.Policy{CustomerID: customer, Attributes: []portfolio.Attribute{{Key: "roof_kind", Value: value}}})
	}
	schema, left := found.Schema(Defaults)
	if len(left) != 0 || len(schema.Attributes) != 1 || !slices.Equal(schema.Attributes[0].Values, []string{"ten have it", "tiles"}) {
		t.Fatalf("%v, left out %v", schema.Attributes, left)
	}
	for value, want := range map[string]string{"tiles": "tiles", " tiles ": "tiles", "nine have it": Rare, "one has many": Rare, "never met": Rare, "": "", " ": ""} {
		if got := schema.Attributes[0].read(value); got != want {
			t.Errorf("%q is read as %q, want %q", value, got, want)
		}
	}
	for _, a := range []Attr{{Key: "fuel"}, {Key: "fuel", Values: []string{"b", "a"}}, {Key: "fuel", Values: []string{"male"}}} {
		if err := (PolicySchema{Attributes: []Attr{a}}).Check(Defaults); !fault.Is(err, fault.Invalid) {
			t.Errorf("a schema of %v: %v", a, err)
		}
	}
}
