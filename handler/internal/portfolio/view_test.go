package portfolio_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	. "polis/handler/internal/portfolio"
)

// shown is all that a view lets its readers see.
func shown(v *View) any {
	type policy struct {
		P        Policy
		Versions []Policy
		Ended    End
		EndsOn   Date
		EndsBy   End
		Only     bool
	}
	type claim struct {
		C        Claim
		Versions []Claim
		Only     bool
	}
	s := struct {
		Customer *Customer
		Policies []policy
		Claims   []claim
		Contacts []Contact
	}{Customer: v.Customer, Contacts: v.Contacts}
	for _, p := range v.Policies {
		s.Policies = append(s.Policies, policy{*p.Policy, p.Versions, p.Ended, p.EndsOn, p.EndsBy, p.CurrentOnly})
	}
	for _, c := range v.Claims {
		s.Claims = append(s.Claims, claim{*c.Claim, c.Versions, c.CurrentOnly})
	}
	return s
}

// Notice that was given shows as an end to come, until it is withdrawn.
func TestNoticeIsSeen(t *testing.T) {
	start, end := MustDate(2020, 1, 1), MustDate(2026, 6, 1)
	p := Policy{ID: "p", CustomerID: "c", Branch: "motor", StartDate: start, Status: Active, Version: Version{RecordedAt: start, ValidFrom: start}}
	given := p
	given.EndDate, given.EndReason, given.Version = end, "lapse", Version{RecordedAt: MustDate(2026, 5, 1), ValidFrom: end}
	back := p
	back.Version = Version{RecordedAt: MustDate(2026, 5, 20), ValidFrom: end}
	a := &Aggregate{Customers: []Customer{{ID: "c"}}, Policies: []Policy{p, given, back}}
	for on, want := range map[Date]Date{MustDate(2026, 4, 30): 0, MustDate(2026, 5, 1): end, MustDate(2026, 5, 19): end, MustDate(2026, 5, 20): 0} {
		var v View
		v.Reset(a, on, DefaultEnds)
		if q := &v.Policies[0]; q.EndsOn != want || (q.EndsBy == Lapse) != (want != 0) || !q.InForce(on) || q.EndDate != 0 {
			t.Errorf("on %v: ends on %v, by %v", on, q.EndsOn, q.EndsBy)
		}
	}
}

// What was recorded after the date changes nothing, or a model would be trained on
// what nobody knew.
func TestTheFutureCannotBeSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someAggregate.Draw(t, "aggregate")
		dated(a)
		asOf := someDate.Draw(t, "as of")
		past := decode(encode(a))
		past.Customers = slices.DeleteFunc(past.Customers, func(c Customer) bool { return c.RecordedAt > asOf })
		past.Policies = slices.DeleteFunc(past.Policies, func(p Policy) bool { return p.RecordedAt > asOf })
		past.Claims = slices.DeleteFunc(past.Claims, func(c Claim) bool { return c.RecordedAt > asOf })
		past.Contacts = slices.DeleteFunc(past.Contacts, func(c Contact) bool { return c.At.Date() > asOf })
		var v, w View
		v.Reset(a, asOf, DefaultEnds)
		w.Reset(past, asOf, DefaultEnds)
		if diff := cmp.Diff(shown(&w), shown(&v), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("as of %s:\n%s", asOf, diff)
		}
	})
}

func dated(a *Aggregate) {
	for i := range a.Customers {
		a.Customers[i].Undated = false
	}
	for i := range a.Policies {
		a.Policies[i].Undated = false
	}
	for i := range a.Claims {
		a.Claims[i].Undated = false
	}
}

// A view that is used again shows nothing of its last customer.
func TestViewsAreReused(t *testing.T) {
	var v View
	rapid.Check(t, func(t *rapid.T) {
		a, asOf := someAggregate.Draw(t, "aggregate"), someDate.Draw(t, "as of")
		v.Reset(a, asOf, DefaultEnds)
		var w View
		w.Reset(a, asOf, DefaultEnds)
		if diff := cmp.Diff(shown(&w), shown(&v), cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Before an undated row was recorded only its own dates are known.
func TestUndatedRowsBeforeTheyWereRecorded(t *testing.T) {
	recorded := date("2026-03-31")
	undated := Version{ValidFrom: recorded, RecordedAt: recorded, Undated: true}
	a := &Aggregate{
		Customers: []Customer{{ID: "C", BirthYear: 1970, Postcode: "1234", Region: "Utrecht", Segment: Private, HouseholdID: "H", Version: undated}},
		Policies: []Policy{
			{ID: "P1", CustomerID: "C", Branch: "motor", StartDate: date("2020-01-01"), AnnualPremium: 50000, Product: "x", Status: Active, Version: undated},
			{ID: "P2", CustomerID: "C", Branch: "legal", StartDate: date("2020-01-01"), EndDate: date("2022-06-01"), EndReason: "opgezegd", Status: Ended, AnnualPremium: 9900, Version: undated},
			{ID: "P3", CustomerID: "C", Branch: "travel", StartDate: date("2024-01-01"), Status: Active, Version: undated},
		},
		Claims: []Claim{{ID: "L", PolicyID: "P1", CustomerID: "C", LossDate: date("2021-02-01"), ReportedDate: date("2021-04-01"), Paid: 70000, Status: ClaimClosed, Version: undated}},
	}
	a.Sort()
	var v View
	for _, c := range []struct {
		asOf   string
		ids    []string
		ended  End // of P2
		claims int
	}{
		{"2019-12-31", nil, NotEnded, 0},
		{"2021-03-01", []string{"P1", "P2"}, NotEnded, 0},
		{"2021-04-01", []string{"P1", "P2"}, NotEnded, 1},
		{"2022-06-01", []string{"P1", "P2"}, Lapse, 1},
		{"2024-01-01", []string{"P1", "P2", "P3"}, Lapse, 1},
	} {
		v.Reset(a, date(c.asOf), DefaultEnds)
		want := &Customer{ID: "C", BirthYear: 1970, Segment: Private}
		if diff := cmp.Diff(want, v.Customer); diff != "" {
			t.Errorf("%s: the customer:\n%s", c.asOf, diff)
		}
		var ids []string
		for _, p := range v.Policies {
			ids = append(ids, p.ID)
			if !p.CurrentOnly || p.AnnualPremium != 0 || p.Product != "" || p.EarnedPremium(1, v.AsOf) != 0 {
				t.Errorf("%s: %s shows more than its dates", c.asOf, p.ID)
			}
			if p.ID == "P2" && p.Ended != c.ended {
				t.Errorf("%s: P2 ended by %q, want %q", c.asOf, p.Ended, c.ended)
			}
		}
		if !slices.Equal(ids, c.ids) {
			t.Errorf("%s: policies %v, want %v", c.asOf, ids, c.ids)
		}
		if len(v.Claims) != c.claims || c.claims > 0 && (v.Claims[0].Paid != 0 || !v.Claims[0].CurrentOnly) {
			t.Errorf("%s: claims %+v, want %d without amounts", c.asOf, v.Claims, c.claims)
		}
	}
	v.Reset(a, recorded, DefaultEnds)
	if v.Customer.Postcode != "1234" || v.Policy("P1").AnnualPremium != 50000 || v.Claims[0].Paid != 70000 || v.Policy("P1").CurrentOnly {
		t.Error("on the day it was recorded not all is known")
	}
}

func TestVersionInEffect(t *testing.T) {
	version := func(validFrom, recordedAt string, premium Cents) Policy {
		return Policy{
			ID: "P", Branch: "motor", StartDate: date("2020-01-01"), AnnualPremium: premium, Status: Active,
			Version: Version{ValidFrom: date(validFrom), RecordedAt: date(recordedAt)},
		}
	}
	a := &Aggregate{Policies: []Policy{
		version("2020-01-01", "2019-12-01", 100),
		version("2022-01-01", "2021-11-01", 200), // a renewal, entered ahead
		version("2021-01-01", "2022-03-01", 150), // a late correction of the year before
		version("2022-01-01", "2022-04-01", 210), // a correction of the current year
	}}
	a.Sort()
	var v View
	for asOf, want := range map[string]Cents{
		"2019-12-15": 100, // announced, not yet begun
		"2021-10-31": 100,
		"2021-12-01": 100, // the renewal is known and not yet valid
		"2022-01-01": 200,
		"2022-03-01": 200, // what came after is not undone
		"2022-04-01": 210,
	} {
		v.Reset(a, date(asOf), DefaultEnds)
		if got := v.Policies[0].AnnualPremium; got != want {
			t.Errorf("as of %s the premium is %s, want %s", asOf, got, want)
		}
	}
}

func TestReplaced(t *testing.T) {
	for _, c := range []struct {
		name               string
		branch, start, end string // of the other policy; the first is of motor and ends on 2023-06-01
		reason             string
		want               End
	}{
		{"the day it ends", "motor", "2023-06-01", "", "opgezegd", Replaced},
		{"45 days later", "motor", "2023-07-16", "", "opgezegd", Replaced},
		{"46 days later", "motor", "2023-07-17", "", "opgezegd", Lapse},
		{"45 days before", "motor", "2023-04-17", "", "price", Replaced},
		{"46 days before", "motor", "2023-04-16", "", "price", Lapse},
		{"another branch", "contents", "2023-06-01", "", "opgezegd", Lapse},
		{"ended before the first did", "motor", "2023-05-01", "2023-05-20", "opgezegd", Lapse},
		{"an unknown reason", "motor", "2023-06-01", "", "7", Replaced},
		{"a death", "motor", "2023-06-01", "", "overlijden", Death},
		{"the insurer", "motor", "2023-06-01", "", "Royement ", ByInsurer},
		{"an older policy", "motor", "2019-06-01", "", "opgezegd", Lapse},
	} {
		known := Version{ValidFrom: date("2019-01-01"), RecordedAt: date("2019-01-01")}
		a := &Aggregate{Policies: []Policy{
			{ID: "P1", Branch: "motor", StartDate: date("2020-01-01"), EndDate: date("2023-06-01"), EndReason: c.reason, Status: Ended, Version: known},
			{ID: "P2", Branch: c.branch, StartDate: date(c.start), EndDate: date(c.end), Status: Active, Version: known},
		}}
		var v View
		v.Reset(a, date("2024-01-01"), DefaultEnds)
		if got := v.Policies[0].Ended; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		// The same if another member of the relation holds it.
		var w View
		v.Reset(&Aggregate{Policies: a.Policies[:1]}, v.AsOf, DefaultEnds)
		w.Reset(&Aggregate{Policies: a.Policies[1:]}, v.AsOf, DefaultEnds)
		if got := v.Policies[0].Ended; got == Replaced {
			t.Errorf("%s: replaced by nothing of its own", c.name)
		}
		Relate([]*View{&w, &v})
		if got := v.Policies[0].Ended; got != c.want || c.want == Replaced && !w.Policies[0].Replaces || v.Policies[0].Replaces {
			t.Errorf("%s, of another member: %q, want %q; it replaces: %t", c.name, got, c.want, w.Policies[0].Replaces)
		}
	}
}

// TestReplacementDays are the tenant's: of two policies 20 days apart one replaces the other
// where that many are allowed, and is a lapse and a new one where fewer are.
func TestReplacementDays(t *testing.T) {
	known := Version{ValidFrom: date("2019-01-01"), RecordedAt: date("2019-01-01")}
	a := &Aggregate{Policies: []Policy{
		{ID: "P1", Branch: "motor", StartDate: date("2020-01-01"), EndDate: date("2023-06-01"), EndReason: "price", Status: Ended, Version: known},
		{ID: "P2", Branch: "motor", StartDate: date("2023-06-21"), Status: Active, Version: known},
	}}
	for days, want := range map[int]End{0: Lapse, 19: Lapse, 20: Replaced, 45: Replaced, 366: Replaced} {
		var v View
		v.Reset(a, date("2024-01-01"), DefaultEnds.Within(days))
		if v.Policies[0].Ended != want || v.Policies[1].Replaces != (want == Replaced) {
			t.Errorf("within %d days: %q, want %q", days, v.Policies[0].Ended, want)
		}
	}
	if DefaultEnds.ReplacementDays != DefaultReplacementDays {
		t.Error("a tenant's days are everybody's")
	}
}

func TestEndNames(t *testing.T) {
	for e := Lapse; e <= UnknownReason; e++ {
		if got, ok := ParseEnd(e.String()); !ok || got != e {
			t.Errorf("%d is %q, which is %d, %t", e, e, got, ok)
		}
	}
	if _, ok := ParseEnd(""); ok {
		t.Error("no name is an end")
	}
}
