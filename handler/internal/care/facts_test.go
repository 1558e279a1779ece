package care

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/score/scoretest"
)

var asOf = portfolio.MustDate(2026, 3, 31)

// days is so many days before the as-of date; months is of 30.4375 days.
func days(n int) portfolio.Date { return asOf - portfolio.Date(n) }

func recorded(n int) portfolio.Version {
	return portfolio.Version{ValidFrom: days(n), RecordedAt: days(n)}
}

// policy began so many days ago, and that was recorded on the day.
func policy(id, branch string, began int, change ...func(*portfolio.Policy)) portfolio.Policy {
	p := portfolio.Policy{ID: id, CustomerID: "c", Branch: branch, StartDate: days(began), AnnualPremium: 300_00, Carrier: "one", Status: portfolio.Active, Version: recorded(began)}
	for _, f := range change {
		f(&p)
	}
	return p
}

// since is a change that was recorded so many days ago.
func since(n int, f func(*portfolio.Policy)) func(*portfolio.Policy) {
	return func(p *portfolio.Policy) { p.Version = recorded(n); f(p) }
}

func ended(n int, reason string) func(*portfolio.Policy) {
	return func(p *portfolio.Policy) {
		p.EndDate, p.EndReason, p.Status = days(n), reason, portfolio.Ended
	}
}

func sum(euro portfolio.Cents) func(*portfolio.Policy) {
	return func(p *portfolio.Policy) { p.SumInsured = euro * 100 }
}

func brought(value, source, on string) func(*portfolio.Policy) {
	return func(p *portfolio.Policy) {
		p.Attributes = []portfolio.Attribute{{Key: "enrichment:rebuild_value", Value: value}, {Key: "enrichment:rebuild_value:date", Value: on}, {Key: "enrichment:rebuild_value:source", Value: source}}
	}
}

func claim(id, policy string, n int, change ...func(*portfolio.Claim)) portfolio.Claim {
	c := portfolio.Claim{ID: id, PolicyID: policy, CustomerID: "c", LossDate: days(n), ReportedDate: days(n), SettledDate: days(max(n-10, 0)), Paid: 1000_00, Status: portfolio.ClaimClosed, Version: recorded(n)}
	for _, f := range change {
		f(&c)
	}
	return c
}

func open(c *portfolio.Claim) { c.Status, c.SettledDate, c.Reserve = portfolio.ClaimOpen, 0, 500_00 }

func rejected(c *portfolio.Claim) { c.Status = portfolio.ClaimRejected }

func contact(n int, direction, reason string, resolved int) portfolio.Contact {
	c := portfolio.Contact{CustomerID: "c", At: portfolio.Instant(days(n).Time().Unix()), Direction: direction, Reason: reason}
	if resolved >= 0 {
		c.ResolvedAt = portfolio.Instant(days(resolved).Time().Unix())
	}
	return c
}

// file is one customer's: of 1980, and whatever is added.
func file(rows ...any) *portfolio.Aggregate {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: 1980, Postcode: "1234", HouseholdID: "h", Version: recorded(4000)}}}
	for _, row := range rows {
		switch row := row.(type) {
		case portfolio.Policy:
			a.Policies = append(a.Policies, row)
		case portfolio.Claim:
			a.Claims = append(a.Claims, row)
		case portfolio.Contact:
			a.Contacts = append(a.Contacts, row)
		case func(*portfolio.Customer):
			row(&a.Customers[0])
		case []func(*portfolio.Customer): // a version more
			c := a.Customers[len(a.Customers)-1]
			for _, f := range row {
				f(&c)
			}
			a.Customers = append(a.Customers, c)
		}
	}
	return a
}

func of(a *portfolio.Aggregate, id string) *portfolio.Aggregate {
	for i := range a.Customers {
		a.Customers[i].ID = id
	}
	for i := range a.Policies {
		a.Policies[i].CustomerID, a.Policies[i].ID = id, id+a.Policies[i].ID
	}
	for i := range a.Claims {
		a.Claims[i].CustomerID, a.Claims[i].PolicyID = id, id+a.Claims[i].PolicyID
	}
	return a
}

func company(change ...func(*portfolio.Customer)) func(*portfolio.Customer) {
	return func(c *portfolio.Customer) {
		c.Segment = portfolio.Business
		for _, f := range change {
			f(c)
		}
	}
}

func acquired(n int) func(*portfolio.Customer) {
	return func(c *portfolio.Customer) { c.Origin, c.AcquiredOn = "acquisition", days(n) }
}

func movedTo(postcode string, n int) []func(*portfolio.Customer) {
	return []func(*portfolio.Customer){func(c *portfolio.Customer) { c.Postcode, c.Version = postcode, recorded(n) }}
}

const month = 30.4375

// TestFacts has a case for every fact, with one beside it where it lies just on the other
// side wherever there is a window.
func TestFacts(t *testing.T) {
	motor := policy("m", "motor", 2000)
	type files []*portfolio.Aggregate
	cases := []struct {
		fact string
		want float64
		of   files
	}{
		{"segment", 0, files{file()}},
		{"segment", 1, files{file(company())}},
		{"origin", 0, files{file()}},
		{"origin", 2, files{file(acquired(40))}},
		{"age", 46, files{file()}},
		{"age", unknown, files{file(func(c *portfolio.Customer) { c.BirthYear = 1900 })}},
		{"age", unknown, files{file(company())}},
		{"employees", 4, files{file(company(func(c *portfolio.Customer) { c.Employees = 4 }))}},
		{"sole_trader", 1, files{file(company(func(c *portfolio.Customer) { c.LegalForm = "zzp" }))}},
		{"sole_trader", 0, files{file(company(func(c *portfolio.Customer) { c.LegalForm = "bv" }))}},
		{"objects", 1, files{file(func(c *portfolio.Customer) { c.Objects = true })}},
		{"tenure_months", 2000 / month, files{file(motor, policy("x", "pet", 100))}},
		{"tenure_months", unknown, files{file(policy("x", "pet", -1))}},
		{"acquired_months", 40 / month, files{file(acquired(40))}},
		{"acquired_months", unknown, files{file()}},
		{"moves_24m", 1, files{file(movedTo("2222", 900), movedTo("3333", 700))}},
		{"moves_24m", 0, files{file(movedTo("1234", 700))}},
		{"moved_months", 700 / month, files{file(movedTo("2222", 900), movedTo("3333", 700))}},
		{"household_change_months", 50 / month, files{file([]func(*portfolio.Customer){func(c *portfolio.Customer) { c.HouseholdID, c.Version = "", recorded(50) }})}},

		{"household_members", 2, files{file(motor), of(file(), "d")}},
		{"household_businesses", 1, files{file(motor), of(file(company()), "d")}},
		{"household_policies", 3, files{file(motor), of(file(motor, policy("x", "pet", 100), policy("y", "pet", -1)), "d")}},
		{"household_branches", 3, files{file(motor), of(file(motor, policy("x", "pet", 100), policy("y", "drone", 100)), "d")}},
		{"household_carriers", 2, files{file(motor), of(file(motor, policy("x", "pet", 100, func(p *portfolio.Policy) { p.Carrier = "two" })), "d")}},
		{"household_double_covers", 1, files{file(motor, policy("l", "liability", 100)), of(file(motor, policy("l", "liability", 90)), "d")}},
		{"household_double_covers", 0, files{file(motor, policy("l", "legal", 100)), of(file(company(), policy("l", "legal", 90)), "d")}},
		{"household_deaths_24m", 1, files{file(), of(file(policy("l", "life", 900, ended(700, "death"))), "d")}},
		{"household_deaths_24m", 0, files{file(), of(file(policy("l", "life", 900, ended(740, "death"))), "d")}},
		{"household_lapsed_12m", 1, files{file(), of(file(policy("l", "pet", 900, ended(300, "lapse"))), "d")}},
		{"household_lapsed_12m", 0, files{file(), of(file(policy("l", "pet", 900, ended(370, "lapse"))), "d")}},
		{"household_claims_12m", 2, files{file(motor, claim("1", "m", 300)), of(file(motor, claim("1", "m", 300), claim("2", "m", 370), claim("3", "m", 3, rejected)), "d")}},
		{"household_complaints_12m", 2, files{file(contact(300, "in", "complaint", -1)), of(file(contact(300, "in", "complaint", -1), contact(370, "in", "complaint", -1)), "d")}},

		{"policies", 1, files{file(motor, policy("x", "pet", 100, ended(0, "lapse")), policy("y", "pet", -1))}},
		{"branches", 2, files{file(motor, policy("x", "motor", 100), policy("y", "drone", 100))}},
		{"carriers", 2, files{file(motor, policy("x", "motor", 100), policy("y", "pet", 100, func(p *portfolio.Policy) { p.Carrier = "two" }))}},
		{"suspended", 1, files{file(policy("x", "motor", 100, func(p *portfolio.Policy) { p.Status = portfolio.Suspended }))}},
		{"newest_policy_months", 100 / month, files{file(motor, policy("x", "pet", 100))}},
		{"policies_begun_12m", 1, files{file(motor, policy("x", "pet", 300), policy("y", "boat", 370))}},
		{"policies_begun_12m", 0, files{file(motor, policy("x", "pet", 900, ended(310, "lapse")), policy("y", "pet", 300))}},
		{"not_reviewed_years", portfolio.Years(days(2000), asOf), files{file(motor, policy("m", "motor", 2000, since(300, func(p *portfolio.Policy) { p.AnnualPremium++ })))}},
		{"not_reviewed_years", portfolio.Years(days(300), asOf), files{file(motor, policy("m", "motor", 2000, since(300, func(p *portfolio.Policy) { p.Product = "plus" })))}},
		{"mutations_12m", 1, files{file(motor, policy("m", "motor", 2000, since(300, func(p *portfolio.Policy) { p.Product = "plus" })), policy("m", "motor", 2000, since(200, func(p *portfolio.Policy) { p.Product = "plus"; p.AnnualPremium++ })))}},
		{"mutations_12m", 0, files{file(motor, policy("m", "motor", 2000, since(370, func(p *portfolio.Policy) { p.Product = "plus" })))}},
		{"mutations_12m", 0, files{file(motor, policy("m", "motor", 2000, since(300, brought("1", "s", "2026-01-01"))))}},
		{"premium_rise_12m", 0.5, files{file(motor, policy("m", "motor", 2000, since(300, func(p *portfolio.Policy) { p.AnnualPremium = 450_00 })))}},
		{"premium_rise_12m", unknown, files{file(motor, policy("m", "motor", 2000, since(370, func(p *portfolio.Policy) { p.AnnualPremium = 450_00 })))}},
		{"announced_rise", 0.5, files{file(motor, announced(450_00))}},
		{"announced_rise", unknown, files{file(motor)}},
		{"announced_extra", 150, files{file(motor, announced(450_00))}},
		{"pays_more_often_12m", 1, files{file(policy("m", "motor", 2000, pays(1)), policy("m", "motor", 2000, since(300, pays(12))))}},
		{"pays_more_often_12m", 0, files{file(policy("m", "motor", 2000, pays(12)), policy("m", "motor", 2000, since(300, pays(1))))}},
		{"ended_12m", 1, files{file(policy("x", "pet", 900, ended(300, "sold")), policy("y", "pet", 900, ended(370, "lapse")), policy("z", "boat", 900, ended(20, "transferred")))}},
		{"lapsed_12m", 1, files{file(policy("x", "pet", 900, ended(300, "sold")), policy("y", "pet", 900, ended(200, "lapse")))}},
		{"ended_by_insurer_12m", 1, files{file(policy("x", "pet", 2000, ended(364, "insurer")), policy("y", "pet", 2000, ended(365, "insurer")))}},
		{"missed_payments_24m", 1, files{file(policy("x", "pet", 2000, ended(700, "non_payment")), policy("y", "pet", 2000, ended(740, "non_payment")))}},
		{"risk_gone_12m", 1, files{file(policy("x", "pet", 900, ended(300, "sold")), policy("y", "pet", 900, ended(200, "lapse")))}},
		{"transferred_12m", 1, files{file(policy("x", "pet", 900, ended(300, "transferred")), policy("y", "boat", 900, ended(370, "transferred")))}},
		{"ends_soon", 1, files{file(policy("x", "pet", 900, ended(-60, "lapse")), policy("y", "boat", 900, ended(-61, "lapse")), policy("z", "motor", 900, ended(-5, "sold")))}},
		{"due_without_offer", 1, files{file(policy("x", "pet", 900, until(-60)), policy("y", "pet", 900, until(-61)))}},
		{"due_without_offer", 0, files{file(policy("x", "pet", 900, until(-60)), policy("x", "pet", 900, until(-425), func(p *portfolio.Policy) { p.RecordedAt, p.ValidFrom = days(5), days(-60) }))}},
		{"deductible_to_premium", 2, files{file(motor, policy("x", "pet", 900, deductible(600)))}},
		{"deductible_raised_12m", 1, files{file(policy("x", "pet", 900, deductible(100)), policy("x", "pet", 900, since(300, deductible(200))))}},
		{"sum_lowered_12m", 1, files{file(policy("x", "building", 900, sum(300000)), policy("x", "building", 900, since(300, sum(200000))))}},
		{"sums_missing", 1, files{file(motor, policy("x", "building", 900), policy("y", "contents", 900, sum(1)))}},

		{"building_behind_index", 1 - 100.0/150, files{file(policy("x", "building", 3900, sum(300000)), policy("x", "building", 3900, since(300, func(p *portfolio.Policy) { p.SumInsured, p.AnnualPremium = 300000_00, 1 })))}},
		{"building_behind_index", 1 - 147.0/150, files{file(policy("x", "building", 3900, sum(200000)), policy("x", "building", 3900, since(300, sum(300000))))}},
		{"contents_behind_index", 1 - 100.0/138, files{file(policy("x", "contents", 3900, sum(60000)))}},
		{"property_behind_index", 1 - 100.0/150, files{file(policy("x", "business_property", 3900, sum(60000)))}},
		{"valuables_behind_index", 1 - 100.0/138, files{file(policy("x", "valuables", 3900, sum(60000)))}},
		{"building_to_common", 0.5, files{file(policy("x", "building", 900, sum(700000)), policy("y", "building", 900, common("building", 0.5)))}},
		{"building_to_common_high", 4, files{file(policy("x", "building", 900, sum(100)), policy("y", "building", 900, common("building", 4)))}},
		{"contents_to_common", 0.5, files{file(policy("x", "contents", 900, sum(700000)), policy("y", "contents", 900, common("contents", 0.5)))}},
		{"contents_to_common_high", 4, files{file(policy("x", "contents", 900, sum(100)), policy("y", "contents", 900, common("contents", 4)))}},
		{"rebuild_shortfall", 0.25, files{file(policy("x", "building", 900, sum(300000), brought("400000", "a register", "2025-06-30")))}},
		{"rebuild_shortfall", 0.25, files{file(policy("x", "building", 900, sum(300000), brought("400000", "a register", "2025-06-30")), policy("x", "building", 900, since(20, sum(300000))))}},
		{"rebuild_shortfall", unknown, files{file(policy("x", "building", 900, sum(300000), brought("400000", "a register", "2026-04-01")))}},
		{"rebuild_shortfall", unknown, files{file(policy("x", "building", 900, sum(300000), brought("400000", "", "2025-06-30")))}},
		{"rebuild_excess", 0.5, files{file(policy("x", "building", 900, sum(600000), brought("400000.00", "a register", "2025-06-30")))}},
		{"rebuild_value_years", 6, files{file(policy("x", "building", 900, sum(600000), brought("400000", "a register", "2020-03-31")))}},
		{"liability_sum", 2500000, files{file(policy("x", "liability", 900, sum(1000000))), of(file(policy("x", "liability", 900, sum(2500000))), "d")}},
		{"liability_sum", unknown, files{file(policy("x", "liability", 900))}},
		{"business_liability_sum", 1000000, files{file(policy("x", "business_liability", 900, sum(1000000)))}},

		{"claims_90d", 1, files{file(motor, claim("1", "m", 89), claim("2", "m", 90))}},
		{"claims_12m", 1, files{file(motor, claim("1", "m", 364), claim("2", "m", 365), claim("3", "m", 5, rejected), claim("4", "m", 5, cover("glass")))}},
		{"claims_12m", 0, files{file(policy("h", "health", 900), policy("a", "accident", 900), claim("1", "h", 5), claim("2", "a", 5, cover("injury")))}},
		{"claims_36m", 1, files{file(motor, claim("1", "m", 1095), claim("2", "m", 1096))}},
		{"light_claims_12m", 1, files{file(motor, claim("1", "m", 364, cover("glass")), claim("2", "m", 365, cover("glass")))}},
		{"claimed_branches_12m", 2, files{file(motor, policy("x", "pet", 900), claim("1", "m", 3), claim("2", "m", 4), claim("3", "x", 5))}},
		{"at_fault_12m", 1, files{file(motor, claim("1", "m", 364, atFault), claim("2", "m", 365, atFault), claim("3", "m", 4))}},
		{"at_fault_36m", 2, files{file(motor, claim("1", "m", 364, atFault), claim("2", "m", 1095, atFault), claim("3", "m", 1096, atFault))}},
		{"incurred_12m", 1500, files{file(motor, claim("1", "m", 364, open), claim("2", "m", 365))}},
		{"incurred_36m", 2500, files{file(motor, claim("1", "m", 364, open), claim("2", "m", 1095), claim("3", "m", 1096))}},
		{"largest_claim_12m", 1500, files{file(motor, claim("1", "m", 364, open), claim("2", "m", 3))}},
		{"last_claim_months", 3 / month, files{file(motor, claim("1", "m", 364), claim("2", "m", 3))}},
		{"open_claims", 1, files{file(motor, claim("1", "m", 364, open), claim("2", "m", 3))}},
		{"largest_open_claim", 1500, files{file(motor, claim("1", "m", 364, open), claim("2", "m", 3))}},
		{"oldest_open_claim_months", 364 / month, files{file(motor, claim("1", "m", 364, open), claim("2", "m", 3, open), claim("3", "m", 900))}},
		{"reopened_12m", 1, files{file(motor, claim("1", "m", 364), claim("1", "m", 364, open, func(c *portfolio.Claim) { c.Version = recorded(20) }))}},
		{"rejected_12m", 1, files{file(motor, claim("1", "m", 364, rejected), claim("2", "m", 365, rejected))}},
		{"rejected_36m", 1, files{file(motor, claim("1", "m", 1095, rejected), claim("2", "m", 1096, rejected))}},
		{"claims_on_new_policy_24m", 1, files{file(policy("x", "pet", 500), claim("1", "x", 411), claim("2", "x", 410))}},
		{"late_reports_24m", 1, files{file(motor, claim("1", "m", 400, late(61)), claim("2", "m", 400, late(60)))}},
		{"claim_without_contact_months", 200 / month, files{file(motor, contact(201, "in", "claim", -1), claim("1", "m", 200))}},
		{"claim_without_contact_months", 0, files{file(motor, contact(200, "in", "claim", -1), claim("1", "m", 200))}},
		{"claim_without_contact_months", unknown, files{file(motor)}},

		{"contacts_12m", 1, files{file(contact(364, "in", "question", -1), contact(365, "in", "question", -1))}},
		{"contacts_in_30d", 1, files{file(contact(29, "in", "question", -1), contact(30, "in", "question", -1), contact(5, "out", "question", -1))}},
		{"complaints_12m", 1, files{file(contact(364, "in", "complaint", -1), contact(365, "in", "complaint", -1), contact(5, "in", "question", -1))}},
		{"complaints_36m", 2, files{file(contact(364, "in", "complaint", -1), contact(1095, "in", "complaint", -1), contact(1096, "in", "complaint", -1))}},
		{"unresolved", 2, files{file(contact(364, "in", "complaint", -1), contact(50, "in", "complaint", -1), contact(40, "in", "complaint", 30))}},
		{"unresolved_days", 50, files{file(contact(50, "in", "complaint", -1), contact(60, "in", "complaint", 30))}},
		{"slowest_complaint_days_12m", 30, files{file(contact(50, "in", "complaint", 40), contact(60, "in", "complaint", 30))}},
		{"complaints_about_claims_12m", 1, files{file(motor, claim("1", "m", 100), contact(90, "in", "complaint", -1))}},
		{"complaints_about_claims_12m", 1, files{file(motor, claim("1", "m", 110), contact(10, "in", "complaint", -1))}},
		{"complaints_about_claims_12m", 0, files{file(motor, claim("1", "m", 111), contact(10, "in", "complaint", -1))}},
		{"complaints_about_claims_12m", 0, files{file(policy("h", "health", 900), claim("1", "h", 100), contact(90, "in", "complaint", -1))}},
		{"household_claims_12m", 0, files{file(), of(file(policy("h", "health", 900), claim("1", "h", 100)), "d")}},
		{"negative_contacts_12m", 1, files{file(mood(5, -0.5), mood(4, -0.49))}},
		{"silent_months", 40 / month, files{file(motor, contact(40, "in", "question", -1))}},
		{"silent_months", 2000 / month, files{file(motor)}},
		{"silent_months", unknown, files{file()}},
		{"unasked_months", 50 / month, files{file(motor, contact(50, "out", "question", -1), contact(40, "in", "question", -1))}},
		{"review_months", 50 / month, files{file(motor, contact(50, "out", "review", -1), contact(40, "out", "question", -1))}},
		{"contacts_since_acquired", 1, files{file(acquired(40), contact(40, "in", "question", -1), contact(41, "in", "question", -1))}},
		{"contacts_since_acquired", unknown, files{file(contact(40, "in", "question", -1))}},
	}
	for _, b := range portfolio.Branches {
		held := files{file(), of(file(policy("x", b.Name, 100), policy("y", b.Name, 100)), "d")}
		gone := files{file(), of(file(policy("x", b.Name, 900, ended(300, "lapse"))), "d")}
		cases = append(cases, []struct {
			fact string
			want float64
			of   files
		}{
			{"holds_" + b.Name, 1, held},
			{"holds_" + b.Name, 0, gone},
			{"policies_" + b.Name, 2, held},
			{"lost_" + b.Name, 1, gone},
			{"lost_" + b.Name, 0, files{file(policy("x", b.Name, 900, ended(370, "lapse")))}},
			{"lost_" + b.Name, 0, files{file(policy("x", b.Name, 900, ended(300, "lapse")), policy("y", b.Name, 900))}},
		}...)
		if factIndex["claims_24m_"+b.Name] > 0 {
			cases = append(cases, struct {
				fact string
				want float64
				of   files
			}{"claims_24m_" + b.Name, 1, files{file(policy("x", b.Name, 900), claim("1", "x", 700), claim("2", "x", 740))}})
		}
	}
	e := engine(t, Defaults(), all())
	seen := map[string]bool{}
	for i, tc := range cases {
		got := e.reader.read(scoretest.Input(asOf, tc.of...))[factIndex[tc.fact]]
		if got != tc.want && !(math.IsNaN(got) && math.IsNaN(tc.want)) && math.Abs(got-tc.want) > 1e-7 { // sums are in whole cents
			t.Errorf("case %d: %s is %v, want %v", i, tc.fact, got, tc.want)
		}
		if tc.want != 0 && !math.IsNaN(tc.want) {
			seen[tc.fact] = true
		}
	}
	for _, f := range FactList {
		if f.Name != "" && !seen[f.Name] {
			t.Errorf("%s has no case in which there is something", f.Name)
		}
	}
}

func announced(premium portfolio.Cents) portfolio.Policy {
	return policy("m", "motor", 2000, func(p *portfolio.Policy) {
		p.AnnualPremium, p.RecordedAt, p.ValidFrom = premium, days(5), days(-30)
	})
}

func pays(n int) func(*portfolio.Policy) {
	return func(p *portfolio.Policy) { p.PaymentFrequency = n }
}

func until(n int) func(*portfolio.Policy) {
	return func(p *portfolio.Policy) { p.ContractEnd = days(n) }
}

func deductible(euro portfolio.Cents) func(*portfolio.Policy) {
	return func(p *portfolio.Policy) { p.Deductible = euro * 100 }
}

// common insures so many times what is common in a branch on the as-of date.
func common(branch string, times float64) func(*portfolio.Policy) {
	s := Defaults()
	i := slices.IndexFunc(s.Common, func(c Common) bool { return c.Branch == branch })
	j := slices.IndexFunc(s.Index, func(x Index) bool { return slices.Contains(x.Branches, branch) })
	eur := times * s.Common[i].EUR * s.Index[j].level(2026) / s.Index[j].level(s.Common[i].Year)
	return func(p *portfolio.Policy) { p.SumInsured = portfolio.Euros(eur) }
}

func cover(name string) func(*portfolio.Claim) { return func(c *portfolio.Claim) { c.Cover = name } }

func atFault(c *portfolio.Claim) { c.AtFault = portfolio.AtFault }

func late(n int) func(*portfolio.Claim) {
	return func(c *portfolio.Claim) { c.ReportedDate = c.LossDate + portfolio.Date(n) }
}

func mood(n int, sentiment float64) portfolio.Contact {
	c := contact(n, "in", "question", -1)
	c.Sentiment = sentiment
	return c
}

// TestABookWithoutContacts: where none are kept, nobody is silent.
func TestABookWithoutContacts(t *testing.T) {
	b := all()
	b.ContactsSince = 0
	f := engine(t, Defaults(), b).reader.read(scoretest.Input(asOf, file(policy("m", "motor", 2000), acquired(400), claim("1", "m", 200))))
	for _, i := range []int{fSilentMonths, fUnaskedMonths, fReviewMonths, fClaimWithoutContactMonths, fContactsSinceAcquired} {
		if !math.IsNaN(f[i]) {
			t.Errorf("%s is %v", FactList[i].Name, f[i])
		}
	}
}

// TestWhatIsBroughtInHasASource: it is part of the trigger.
func TestWhatIsBroughtInHasASource(t *testing.T) {
	e := engine(t, Defaults(), all())
	var r Result
	e.Score(scoretest.Input(asOf, file(
		policy("x", "building", 400, sum(300000), brought("400000", "a register", "2025-06-30")),
		policy("y", "building", 400, sum(600000), brought("400000", "a valuation", "2025-07-31")))), &r)
	got := map[string]string{}
	for _, x := range r.Triggers {
		if x.Source != "" {
			got[x.Code] = fmt.Sprint(x.Source, " of ", x.On)
		}
	}
	if len(got) != 2 || got["below_rebuild_value"] != "a register of 2025-06-30" || got["above_rebuild_value"] != "a valuation of 2025-07-31" {
		t.Errorf("%v", got)
	}
}

// TestWhatAnOfficeDoesNotSellIsNoGap and what is no gap is a trigger all the same.
func TestWhatAnOfficeDoesNotSellIsNoGap(t *testing.T) {
	b := Book{Sold: map[string]bool{"contents": true}}
	var r Result
	engine(t, Defaults(), b).Score(scoretest.Input(asOf, file(policy("x", "building", 100, sum(300000)))), &r)
	if len(r.Triggers) != 1 || r.Triggers[0].Branch != "contents" || !r.Misses("contents") || r.Misses("liability") {
		t.Errorf("%+v", r)
	}
}

// TestNamesOfBranchesChangeNoGap: a book whose branches have the names that houses give them has the gaps of
// the same book with Polis's names, and offers what that does.
func TestNamesOfBranchesChangeNoGap(t *testing.T) {
	names := []string{
		"motor Autoverzekering Personenauto motorrijtuigen Kfz-Versicherung", "liability aansprakelijkheid AVP Privathaftpflicht", "contents Inboedel Hausrat", "building opstal Woonhuisverzekering Wohngebäude",
		"legal Rechtsbijstand Rechtsschutz", "travel reis Reiseversicherung", "accident ongevallen Unfallversicherung", "valuables kostbaarheden", "boat pleziervaartuig Bootverzekering", "pet huisdier Hondenverzekering",
		"business_property bedrijfsgebouw", "business_liability bedrijfsaansprakelijkheid AVB", "business_interruption bedrijfsschade", "fleet wagenpark", "transport goederentransport", "cyber Cyberverzekering",
	}
	book := func(pick func(n int) int) (lines string) {
		var customers []*portfolio.Aggregate
		b := Book{Sold: map[string]bool{}}
		for i := range names {
			for j := range names {
				var rows []any
				if i >= 10 {
					rows = append(rows, company())
				}
				for _, at := range []int{i, j} {
					list := strings.Fields(names[at])
					rows = append(rows, policy(fmt.Sprint("p", at), list[pick(len(list))], 900))
				}
				a := file(rows...)
				a.NameBranches(nil)
				for k := range a.Policies {
					b.Sold[a.Policies[k].Branch] = true
				}
				customers = append(customers, a)
			}
		}
		e := engine(t, Defaults(), b)
		for _, a := range customers {
			var r Result
			e.Score(scoretest.Input(asOf, a), &r)
			lines += fmt.Sprintln(r)
		}
		return lines
	}
	plain, k := book(func(int) int { return 0 }), 0
	given := book(func(n int) int { k++; return 1 + k%(n-1) })
	if plain != given || !strings.Contains(plain, "household_without_liability") {
		t.Errorf("the gaps are other ones:\n%s", cmp.Diff(plain, given))
	}
}

// TestEverybodyIsOwedCare: value, price and an objection to profiling change nothing.
func TestEverybodyIsOwedCare(t *testing.T) {
	e := engine(t, Defaults(), all())
	score := func(change func(*portfolio.Aggregate)) string {
		a := file(policy("m", "motor", 900), claim("1", "m", 5), claim("2", "m", 6), claim("3", "m", 7), contact(9, "in", "complaint", -1))
		change(a)
		var r Result
		e.Score(scoretest.Input(asOf, a), &r)
		return fmt.Sprint(r)
	}
	plain := score(func(*portfolio.Aggregate) {})
	dear := score(func(a *portfolio.Aggregate) {
		a.Policies[0].AnnualPremium, a.Policies[0].CommissionRate = 9_000_00, portfolio.RateOf(0.5)
	})
	for _, f := range FactList {
		if f.Name == "premium" || strings.Contains(f.Name, "commission") {
			t.Errorf("rules can ask for %s", f.Name)
		}
	}
	if plain != dear || !strings.Contains(plain, "unresolved_complaint") {
		t.Errorf("%s, and of a dear policy %s", plain, dear)
	}
	objects := score(func(a *portfolio.Aggregate) { a.Customers[0].Objects = true })
	for _, code := range []string{"unresolved_complaint", "claims_in_short_time", "objector_with_complaint"} {
		if !strings.Contains(objects, code) {
			t.Errorf("who objects is not told of %s: %s", code, objects)
		}
	}
}

// TestAnObjectorIsNotReadForOthers: of another member who objects it counts what is insured
// and nothing that happened; for the objector itself all counts.
func TestAnObjectorIsNotReadForOthers(t *testing.T) {
	e := engine(t, Defaults(), all())
	plain := file(policy("x", "pet", 100))
	objector := of(file(func(c *portfolio.Customer) { c.Objects = true },
		policy("l", "liability", 900), policy("g", "motor", 900, ended(100, "lapse")), policy("d", "life", 900, ended(100, "death")),
		claim("1", "l", 5), contact(5, "in", "complaint", -1)), "d")
	read := func(members ...*portfolio.Aggregate) [6]float64 {
		f := e.reader.read(scoretest.Input(asOf, members...))
		var out [6]float64
		for i, name := range []string{"holds_liability", "lost_motor", "household_deaths_24m", "household_lapsed_12m", "household_claims_12m", "household_complaints_12m"} {
			out[i] = f[factIndex[name]]
		}
		return out
	}
	if got, want := read(plain, objector), [6]float64{1, 0, 0, 0, 0, 0}; got != want {
		t.Errorf("of another: %v, want %v", got, want)
	}
	if got, want := read(objector, plain), [6]float64{1, 1, 1, 1, 1, 1}; got != want {
		t.Errorf("of its own: %v, want %v", got, want)
	}
}

// TestWhatCameLaterIsNotSeen rewrites everything that was recorded after the as-of date, and
// finds every fact as it was.
func TestWhatCameLaterIsNotSeen(t *testing.T) {
	e := engine(t, Defaults(), all())
	rapid.Check(t, func(rt *rapid.T) {
		day := rapid.IntRange(-400, 1500)
		write := func(label string, later bool) portfolio.Version {
			n := day.Draw(rt, label)
			if later != (n < 0) {
				n = -1 - n
			}
			return portfolio.Version{RecordedAt: days(n), ValidFrom: days(n - rapid.IntRange(-60, 60).Draw(rt, label+" valid"))}
		}
		var known, after []any
		policies := rapid.IntRange(1, 4).Draw(rt, "policies")
		for i := range policies {
			began := rapid.IntRange(1, 2000).Draw(rt, "began")
			for j := range rapid.IntRange(1, 4).Draw(rt, "versions") {
				p := policy(fmt.Sprint(i), []string{"building", "contents", "pet", "motor"}[i], began, sum(portfolio.Cents(1000*rapid.IntRange(0, 400).Draw(rt, "sum"))))
				p.AnnualPremium = portfolio.Cents(rapid.IntRange(0, 90000).Draw(rt, "premium"))
				if rapid.IntRange(0, 4).Draw(rt, "brought") == 0 {
					brought("300000", "s", "2025-01-01")(&p)
				}
				if p.Version = write("recorded", j > 1); j > 1 {
					after = append(after, p)
				} else {
					known = append(known, p)
				}
			}
			for j := range rapid.IntRange(0, 3).Draw(rt, "claims") {
				c := claim(fmt.Sprint(i, j), fmt.Sprint(i), rapid.IntRange(0, 900).Draw(rt, "loss"))
				c.Version = write("reported", false)
				known = append(known, c)
				open(&c)
				c.Version = write("reopened", true)
				after = append(after, c)
			}
		}
		known = append(known, contact(rapid.IntRange(0, 900).Draw(rt, "contact"), "in", "complaint", -1))
		after = append(after, contact(-rapid.IntRange(1, 90).Draw(rt, "later"), "out", "complaint", -1),
			[]func(*portfolio.Customer){func(c *portfolio.Customer) {
				c.Postcode, c.HouseholdID, c.Objects, c.Version = "9999", "other", true, write("moved", true)
			}})
		want := slices.Clone(e.reader.read(scoretest.Input(asOf, file(known...))))
		got := e.reader.read(scoretest.Input(asOf, file(append(slices.Clone(known), after...)...)))
		for i := range want {
			if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
				rt.Fatalf("%s is %v, with what came later %v", FactList[i].Name, want[i], got[i])
			}
		}
	})
}

// TestOrderOfRowsDoesNotMatter, nor what was recorded later.
func TestOrderOfRowsDoesNotMatter(t *testing.T) {
	e := engine(t, Defaults(), all())
	rapid.Check(t, func(rt *rapid.T) {
		var rows []any
		branches := []string{"motor", "building", "contents", "liability", "pet", "drone"}
		for i := range rapid.IntRange(0, 5).Draw(rt, "policies") {
			rows = append(rows, policy(fmt.Sprint(i), rapid.SampledFrom(branches).Draw(rt, "branch"), rapid.IntRange(1, 3000).Draw(rt, "began"), sum(portfolio.Cents(rapid.IntRange(0, 500_000).Draw(rt, "sum")))))
			for j := range rapid.IntRange(0, 4).Draw(rt, "claims") {
				c := claim(fmt.Sprint(i, j), fmt.Sprint(i), rapid.IntRange(0, 1000).Draw(rt, "loss"))
				if rapid.Bool().Draw(rt, "open") {
					open(&c)
				}
				rows = append(rows, c)
			}
		}
		for range rapid.IntRange(0, 5).Draw(rt, "contacts") {
			rows = append(rows, contact(rapid.IntRange(0, 1000).Draw(rt, "on"), "in", rapid.SampledFrom([]string{"complaint", "question"}).Draw(rt, "reason"), -1))
		}
		said := func(rows []any) string {
			var r Result
			e.Score(scoretest.Input(asOf, file(rows...)), &r)
			return fmt.Sprint(r)
		}
		want := said(rows)
		if got := said(rapid.Permutation(rows).Draw(rt, "order")); got != want {
			rt.Fatalf("%s in another order %s", want, got)
		}
		later := claim("later", "0", 20, open, func(c *portfolio.Claim) { c.RecordedAt, c.ReportedDate = days(-5), days(-5) })
		complaint := contact(-3, "in", "complaint", -1)
		if got := said(append(slices.Clone(rows), later, complaint)); got != want {
			rt.Fatalf("%s with what came later %s", want, got)
		}
	})
}

// TestTheUnusual has a documented answer for each.
func TestTheUnusual(t *testing.T) {
	e := engine(t, Defaults(), all())
	for name, a := range map[string]*portfolio.Aggregate{
		"nobody":                     {},
		"a customer alone":           file(),
		"a policy starting tomorrow": file(policy("x", "motor", -1)),
		"only ended long ago":        file(policy("x", "motor", 3000, ended(2000, "lapse"))),
		"a birth year in the future": file(func(c *portfolio.Customer) { c.BirthYear = 2050 }),
		"a group pointing at itself": file(company(func(c *portfolio.Customer) { c.CompanyGroupID = "c" })),
	} {
		var r Result
		e.Score(scoretest.Input(asOf, a), &r)
		if r.Score != 0 || len(r.Triggers) != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	merged := file([]func(*portfolio.Customer){func(c *portfolio.Customer) { c.HouseholdID, c.Version = "other", recorded(30) }})
	var r Result
	if e.Score(scoretest.Input(asOf, merged, of(file(), "d")), &r); len(r.Triggers) != 1 || r.Triggers[0].Code != "left_household" {
		t.Errorf("two households that merged: %+v", r)
	}
	before := file(policy("x", "motor", 10), claim("1", "x", 20), claim("2", "nowhere", 30))
	if f := e.reader.read(scoretest.Input(asOf, before)); f[fClaims12m] != 2 || f[fClaimsOnNewPolicy24m] != 0 {
		t.Errorf("claims before their policy or of none: %v, on a new one %v", f[fClaims12m], f[fClaimsOnNewPolicy24m])
	}
}

// TestOnceMoreFromARecord: facts that went through JSON give the same to the bit.
func TestOnceMoreFromARecord(t *testing.T) {
	e := engine(t, Defaults(), all())
	rapid.Check(t, func(rt *rapid.T) {
		var rows []any
		for i := range rapid.IntRange(0, 4).Draw(rt, "policies") {
			rows = append(rows, policy(fmt.Sprint(i), []string{"building", "contents", "pet", "motor"}[i], rapid.IntRange(1, 3000).Draw(rt, "began"), sum(portfolio.Cents(rapid.IntRange(0, 400_000).Draw(rt, "sum")))))
			rows = append(rows, claim(fmt.Sprint(i), fmt.Sprint(i), rapid.IntRange(0, 900).Draw(rt, "loss"), open))
		}
		in := scoretest.Input(asOf, file(rows...))
		var want, got Result
		e.Score(in, &want)
		body, err := json.Marshal(e.Facts(in))
		if err != nil {
			rt.Fatal(err)
		}
		var facts map[string]any
		if err := json.Unmarshal(body, &facts); err != nil {
			rt.Fatal(err)
		}
		if err := e.Again(facts, &got); err != nil {
			rt.Fatal(err)
		}
		if math.Float64bits(got.Score) != math.Float64bits(want.Score) || fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("%v, once more %v", want, got)
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(facts))).Draw(rt, "spoilt")
		facts[name] = []any{}
		if err := e.Again(facts, &got); err == nil || !strings.Contains(err.Error(), name) {
			rt.Fatalf("%s is a list: %v", name, err)
		}
	})
}

func fleet() []*portfolio.Aggregate {
	a := file(company(), policy("m", "liability", 900))
	for i := range 2000 {
		a.Policies = append(a.Policies, policy(fmt.Sprint("v", i), "motor", 100+i%900))
		if i%10 == 0 {
			a.Claims = append(a.Claims, claim(fmt.Sprint(i), fmt.Sprint("v", i), i%900))
		}
	}
	return []*portfolio.Aggregate{a}
}

func five() []*portfolio.Aggregate {
	var rows []any
	for i, b := range []string{"motor", "building", "contents", "liability", "travel"} {
		for j := range 5 {
			p := policy(b, b, 2000, sum(portfolio.Cents(300000+i)), since(2000-365*j, func(p *portfolio.Policy) { p.AnnualPremium += portfolio.Cents(j) }))
			rows = append(rows, p)
		}
	}
	rows = append(rows, claim("1", "motor", 100), claim("2", "building", 50, open), contact(20, "in", "complaint", -1), contact(90, "out", "review", -1))
	return []*portfolio.Aggregate{file(rows...), of(file(policy("x", "pet", 700)), "d")}
}

func TestNothingIsAllocated(t *testing.T) {
	e := engine(t, Defaults(), all())
	for name, members := range map[string][]*portfolio.Aggregate{"five policies": five(), "a fleet": fleet()} {
		in := scoretest.Input(asOf, members...)
		var r Result
		if n := testing.AllocsPerRun(10, func() { e.Score(in, &r) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkScore(b *testing.B) {
	for name, members := range map[string][]*portfolio.Aggregate{"five": five(), "fleet": fleet()} {
		b.Run(name, func(b *testing.B) {
			e, in := engine(b, Defaults(), all()), scoretest.Input(asOf, members...)
			var r Result
			for b.Loop() {
				e.Score(in, &r)
			}
		})
	}
	b.Run("rules alone", func(b *testing.B) {
		e, in := engine(b, Defaults(), all()), scoretest.Input(asOf, five()...)
		var r Result
		facts := e.reader.read(in)
		for b.Loop() {
			e.fill(facts, &r)
		}
	})
}
