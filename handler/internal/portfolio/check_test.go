package portfolio_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "polis/handler/internal/portfolio"
)

var today = date("2026-03-31")

func breaches(check func(Date, func(Breach))) []string {
	var list []string
	check(today, func(b Breach) { list = append(list, b.Field+" "+b.Rule) })
	return list
}

func TestGoodRowsPass(t *testing.T) {
	a := example()
	for i := range a.Customers {
		if b := breaches(a.Customers[i].Check); b != nil {
			t.Error(b)
		}
	}
	for i := range a.Policies {
		if b := breaches(a.Policies[i].Check); b != nil {
			t.Error(b)
		}
	}
	for i := range a.Claims {
		if b := breaches(a.Claims[i].Check); b != nil {
			t.Error(b)
		}
	}
	for i := range a.Contacts {
		if b := breaches(a.Contacts[i].Check); b != nil {
			t.Error(b)
		}
	}
}

func TestCheckCustomer(t *testing.T) {
	for _, c := range []struct {
		change func(*Customer)
		want   string
	}{
		{func(c *Customer) { c.ID = "" }, "customer_id is required"},
		{func(c *Customer) { c.ID = strings.Repeat("x", 129) }, "customer_id is longer than 128 characters"},
		{func(c *Customer) { c.ID = "a\x1fb" }, "customer_id holds a control character"},
		{func(c *Customer) { c.ID = "a\x7f" }, "customer_id holds a control character"},
		{func(c *Customer) { c.ID = strings.Repeat("é", 64) }, ""},
		{func(c *Customer) { c.BirthYear = 1899 }, "birth_year is not between 1900 and the as-of year"},
		{func(c *Customer) { c.BirthYear = 2026 }, ""},
		{func(c *Customer) { c.BirthYear = 2027 }, "birth_year is not between 1900 and the as-of year"},
		{func(c *Customer) { c.Segment = "corporate" }, "segment is neither private nor business"},
		{func(c *Customer) { c.Origin = "web" }, "origin is none of direct, broker, acquisition"},
		{func(c *Customer) { c.Employees = -1 }, "employees is negative"},
		{func(c *Customer) { c.HouseholdID = "a\nb" }, "household_id holds a control character"},
		{func(c *Customer) { c.CompanyGroupID = strings.Repeat("x", 129) }, "company_group_id is longer than 128 characters"},
		{func(c *Customer) { c.Postcode = "\t" }, "postcode holds a control character"},
		{func(c *Customer) { c.Region = strings.Repeat("x", 1001) }, "region is longer than 1000 characters"},
		{func(c *Customer) { c.Consents = []Consent{{Purpose: "marketing"}} }, "consents/0/channel is required"},
		{func(c *Customer) { c.Consents = []Consent{{Purpose: "a", Channel: "b", Source: "\x00"}} }, "consents/0/source holds a control character"},
		{func(c *Customer) { c.RecordedAt = today + 1 }, "recorded_at is after the as-of date"},
		{func(c *Customer) { c.RecordedAt, c.ValidFrom = today, today+90 }, ""},
		{func(c *Customer) { c.Reason = "\x01" }, "mutation_reason holds a control character"},
	} {
		row := example().Customers[0]
		c.change(&row)
		one(t, breaches(row.Check), c.want)
	}
}

func TestCheckPolicy(t *testing.T) {
	for _, c := range []struct {
		change func(*Policy)
		want   string
	}{
		{func(p *Policy) { p.ID = "" }, "policy_id is required"},
		{func(p *Policy) { p.CustomerID = "" }, "customer_id is required"},
		{func(p *Policy) { p.Branch = "" }, "branch is required"},
		{func(p *Policy) { p.Branch = "drones" }, ""},
		{func(p *Policy) { p.StartDate = 0 }, "start_date is required"},
		{func(p *Policy) { p.StartDate = today + 30 }, ""},
		{func(p *Policy) { p.EndDate = p.StartDate - 1 }, "end_date is before start_date"},
		{func(p *Policy) { p.EndDate = p.StartDate }, ""},
		{func(p *Policy) { p.AnnualPremium = -1 }, "annual_premium is negative"},
		{func(p *Policy) { p.AnnualPremium = 0 }, ""},
		{func(p *Policy) { p.CommissionRate = RateOf(1.01) }, "commission_rate is not between 0 and 1"},
		{func(p *Policy) { p.CommissionRate = RateOf(math.NaN()) }, "commission_rate is not between 0 and 1"},
		{func(p *Policy) { p.SumInsured = -1 }, "sum_insured is negative"},
		{func(p *Policy) { p.Deductible = -1 }, "deductible is negative"},
		{func(p *Policy) { p.NoticeMonths = 121 }, "notice_months is not between 0 and 120"},
		{func(p *Policy) { p.PaymentFrequency = 3 }, "payment_frequency is none of 1, 2, 4, 12"},
		{func(p *Policy) { p.Channel = "web" }, "channel is neither provincial nor mandated"},
		{func(p *Policy) { p.Status = "" }, "status is required"},
		{func(p *Policy) { p.Status = "gone" }, "status is none of active, ended, suspended"},
		{func(p *Policy) { p.Status = Ended }, "end_date is required where status is ended"},
		{func(p *Policy) { p.Status = Suspended }, ""},
		{func(p *Policy) { p.Attributes = []Attribute{{Value: "x"}} }, "attributes/0/key is required"},
		{func(p *Policy) { p.Attributes = []Attribute{{"k", "\x02"}} }, "attributes/0/value holds a control character"},
		{func(p *Policy) { p.Attributes = []Attribute{{RebuildValue, "412000.50"}, {RebuildDate, "2026-03-31"}} }, ""},
		{func(p *Policy) { p.Attributes = []Attribute{{RebuildValue, "0"}} }, "attributes/0/value enrichment:rebuild_value is not an amount above 0"},
		{func(p *Policy) { p.Attributes = []Attribute{{RebuildDate, "2026-04-01"}} }, "attributes/0/value enrichment:rebuild_value:date is not an ISO 8601 date up to the as-of date"},
		{func(p *Policy) { p.Carrier = "\r" }, "carrier holds a control character"},
	} {
		row := example().Policies[0]
		c.change(&row)
		one(t, breaches(row.Check), c.want)
	}
}

func TestCheckClaim(t *testing.T) {
	for _, c := range []struct {
		change func(*Claim)
		want   string
	}{
		{func(c *Claim) { c.ID = "" }, "claim_id is required"},
		{func(c *Claim) { c.PolicyID = "" }, "policy_id is required"},
		{func(c *Claim) { c.LossDate = 0 }, "loss_date is required"},
		{func(c *Claim) { c.LossDate, c.ReportedDate = today+1, 0 }, "loss_date is after the as-of date"},
		{func(c *Claim) { c.LossDate, c.ReportedDate = today, today }, ""},
		{func(c *Claim) { c.ReportedDate = c.LossDate - 1 }, "reported_date is before loss_date"},
		{func(c *Claim) { c.ReportedDate = today + 1 }, "reported_date is after the as-of date"},
		{func(c *Claim) { c.SettledDate = c.LossDate - 1 }, "settled_date is before loss_date"},
		{func(c *Claim) { c.SettledDate = today + 1 }, "settled_date is after the as-of date"},
		{func(c *Claim) { c.Paid = -1 }, "paid is negative"},
		{func(c *Claim) { c.Reserve = -1 }, "reserve is negative"},
		{func(c *Claim) { c.Recovered = -1 }, "recovered is negative"},
		{func(c *Claim) { c.AtFault = "maybe" }, "at_fault is neither yes nor no"},
		{func(c *Claim) { c.Status = "lost" }, "status is none of open, closed, rejected"},
		{func(c *Claim) { c.Cover = "\x00" }, "cover holds a control character"},
	} {
		row := example().Claims[0]
		c.change(&row)
		one(t, breaches(row.Check), c.want)
	}
}

func TestCheckContact(t *testing.T) {
	for _, c := range []struct {
		change func(*Contact)
		want   string
	}{
		{func(c *Contact) { c.CustomerID = "" }, "customer_id is required"},
		{func(c *Contact) { c.At = 0 }, "contacted_at is required"},
		{func(c *Contact) { c.At = Instant((today + 1).Time().Unix()) }, "contacted_at is after the as-of date"},
		{func(c *Contact) { c.At = Instant((today + 1).Time().Unix()) - 1 }, ""},
		{func(c *Contact) { c.ResolvedAt = c.At - 1 }, "resolved_at is before contacted_at"},
		{func(c *Contact) { c.Direction = "up" }, "direction is neither in nor out"},
		{func(c *Contact) { c.Sentiment = -1.1 }, "sentiment is not between -1 and 1"},
		{func(c *Contact) { c.Sentiment = math.NaN() }, "sentiment is not between -1 and 1"},
		{func(c *Contact) { c.Employee = "\x1b" }, "employee holds a control character"},
	} {
		row := example().Contacts[0]
		c.change(&row)
		one(t, breaches(row.Check), c.want)
	}
}

func one(t *testing.T, got []string, want string) {
	t.Helper()
	var list []string
	if want != "" {
		list = []string{want}
	}
	if diff := cmp.Diff(list, got); diff != "" {
		t.Errorf("want %q:\n%s", want, diff)
	}
}

func TestBranches(t *testing.T) {
	for _, b := range Branches {
		if got, ok := BranchOf(b.Name); !ok || got != b {
			t.Errorf("%s is %+v, %t", b.Name, got, ok)
		}
	}
	if b, ok := BranchOf("drones"); ok || b.Name != "drones" || b.Essential || b.LifeOrHealth {
		t.Errorf("an unknown branch is %+v, %t", b, ok)
	}
}

// TestInFile: in a file a list is one column, and what is wrong within is said in words.
func TestInFile(t *testing.T) {
	for in, want := range map[Breach]Breach{
		{"start_date", "is required"}:            {"start_date", "is required"},
		{"consents/12/channel", "is required"}:   {"consents", "channel is required"},
		{"attributes/0/value", "is not a value"}: {"attributes", "value is not a value"},
	} {
		if got := in.InFile(); got != want {
			t.Errorf("%v: %v, want %v", in, got, want)
		}
	}
}
