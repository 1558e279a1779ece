package enrichment_test

import (
	"slices"
	"strings"
	"testing"

	. "polis/handler/internal/enrichment"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

var asOf = portfolio.MustDate(2026, 3, 31)

func read(t *testing.T, text string) *Table {
	t.Helper()
	table, err := Read("values.csv", strings.NewReader(text), asOf)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestATable(t *testing.T) {
	table := read(t, "\ufeffpolicy_id;postcode;branch;value;source;date\n"+
		"p1;;;400000;a register;2025-06-30\n"+
		"p1;;;410000.50;a valuation;2025-07-31\n"+
		"p1;;;1;an old one;2020-07-31\n"+
		";1234 ab;Building;350000;a register;2025-06-30\n")
	on := portfolio.MustDate(2025, 7, 31)
	for _, tt := range []struct {
		policy, branch, postcode string
		want                     Value
		ok                       bool
	}{
		{"p1", "building", "1234AB", Value{41000050, "a valuation", on}, true},
		{"p2", "building", "1234AB", Value{35000000, "a register", portfolio.MustDate(2025, 6, 30)}, true},
		{"p2", "building", "1234 ab", Value{35000000, "a register", portfolio.MustDate(2025, 6, 30)}, true},
		{"p2", "contents", "1234AB", Value{}, false},
		{"p2", "building", "", Value{}, false},
	} {
		if got, ok := table.Of(tt.policy, tt.branch, tt.postcode); got != tt.want || ok != tt.ok {
			t.Errorf("%s of %s in %s: %v, %v", tt.policy, tt.branch, tt.postcode, got, ok)
		}
	}
	if table.Len() != 2 {
		t.Errorf("%d values", table.Len())
	}
}

func TestTablesThatAreWrong(t *testing.T) {
	const head = "policy_id,postcode,branch,value,source,date\n"
	for text, says := range map[string]string{
		"":                                          "reading the heading",
		"policy_id,value,source\n":                  "line 1: column date is missing",
		"policy_id,value,source,date,colour\n":      "line 1: column 5 is none of",
		"policy_id,value,source,date,value\n":       "line 1: column value is there twice",
		"postcode,value,source,date\n":              "line 1: column policy_id is missing",
		head + "p1,,,many,s,2025-01-01\n":           "line 2: value is not an amount",
		head + "p1,,,0,s,2025-01-01\n":              "line 2: value is not an amount",
		head + "p1,,,-5,s,2025-01-01\n":             "line 2: value is not an amount",
		head + "p1,,,5,,2025-01-01\n":               "line 2: source is not",
		head + "p1,,,5,s,01-01-2025\n":              "line 2: date is not an ISO 8601",
		head + "p1,,,5,s,2026-04-01\n":              "line 2: date is after",
		head + ",,,5,s,2025-01-01\n":                "line 2: policy_id is required",
		head + ",1234,,5,s,2025-01-01\n":            "line 2: branch is no branch",
		head + "p1,1234,building,5,s,2025-01-01\n":  "line 2: postcode stands beside",
		head + "p1,,,5,s,2025-01-01\np2,,,5\n":      "line 3",
		head + "p1,,,5,\"s,2025-01-01\n":            "values.csv",
		head + "p\x01,,,5,s,2025-01-01\n":           "line 2: policy_id is no id",
		head + "p1,,,5,\xff,2025-01-01\n":           "line 2: source is not UTF-8",
		head + "secret1,,,secret2,s,2025-01-01\n":   "line 2: value",
		head + "secret1,,,5,s,secret3\n":            "line 2: date",
		head + strings.Repeat("x", 200) + ",,,5,s,": "line 2",
	} {
		_, err := Read("values.csv", strings.NewReader(text), asOf)
		if !fault.Is(err, fault.Malformed) && !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "values.csv") {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: a value is in the error: %v", text, err)
		}
	}
}

// FuzzRead: whatever a file holds is refused or has values that can be stood for.
func FuzzRead(f *testing.F) {
	f.Add("policy_id,postcode,branch,value,source,date\np1,,,5,s,2025-01-01\n,1234,building,5,s,2025-01-01\n")
	f.Add("value;source;date;policy_id\n5;s;2025-01-01;p1\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := Read("f", strings.NewReader(text), asOf)
		if err != nil {
			if !fault.Is(err, fault.Malformed) && !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		if v, ok := table.Of("p1", "building", "1234"); ok && (v.Amount <= 0 || v.Source == "" || v.On == 0 || v.On > asOf) {
			t.Errorf("%v", v)
		}
	})
}

func book() *portfolio.Aggregate {
	known := portfolio.Version{RecordedAt: asOf - 500, ValidFrom: asOf - 500}
	ahead := portfolio.Version{RecordedAt: asOf - 5, ValidFrom: asOf + 20}
	p := portfolio.Policy{ID: "p1", CustomerID: "c", Branch: "building", StartDate: asOf - 500, AnnualPremium: 100, SumInsured: 300000_00, Status: portfolio.Active, Attributes: []portfolio.Attribute{{Key: "build_year", Value: "1990"}}, Version: known}
	q, gone := p, p
	q.Version, q.AnnualPremium = ahead, 120
	gone.ID, gone.EndDate, gone.Status = "p2", asOf-1, portfolio.Ended
	return &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", Postcode: "1234 AB", Version: known}}, Policies: []portfolio.Policy{p, q, gone}}
}

// TestAVersionOfItsOwn: what is brought is recorded on the import's date, beside what
// holds then; brought again it changes nothing, and a newer value does.
func TestAVersionOfItsOwn(t *testing.T) {
	a := book()
	table := read(t, "postcode,branch,value,source,date\n1234AB,building,400000,a register,2025-06-30\n")
	table.Add(a, asOf)
	if len(a.Policies) != 4 {
		t.Fatalf("%d versions", len(a.Policies))
	}
	var v portfolio.View
	v.Reset(a, asOf, portfolio.DefaultEnds)
	got, ok := Known(&v.Policies[0], asOf)
	if !ok || got.Source != "a register" || v.Policies[0].AnnualPremium != 100 || v.Policies[0].Reason != Reason {
		t.Errorf("%+v of %+v", got, v.Policies[0].Policy)
	}
	v.Reset(a, asOf-1, portfolio.DefaultEnds)
	if _, ok := Known(&v.Policies[0], asOf-1); ok {
		t.Error("it was known the day before")
	}
	v.Reset(a, asOf+30, portfolio.DefaultEnds)
	if _, ok := Known(&v.Policies[0], asOf+30); !ok || v.Policies[0].AnnualPremium != 120 {
		t.Error("the renewal took it away, or did not come")
	}
	table.Add(a, asOf+30)
	if len(a.Policies) != 4 {
		t.Errorf("%d versions after the same once more", len(a.Policies))
	}
	read(t, "postcode,branch,value,source,date\n1234AB,building,1,an older one,2024-06-30\n").Add(a, asOf+30)
	if len(a.Policies) != 4 {
		t.Errorf("%d versions after an older one", len(a.Policies))
	}
	read(t, "postcode,branch,value,source,date\n1234AB,building,1,a newer one,2026-01-31\n").Add(a, asOf+30)
	if len(a.Policies) != 5 {
		t.Errorf("%d versions after a newer one", len(a.Policies))
	}
}

// TestAnExportThatDoesNotKnow takes nothing away: rows without a date say the same as
// before, and dated ones add their versions.
func TestAnExportThatDoesNotKnow(t *testing.T) {
	a := book()
	read(t, "policy_id,value,source,date\np1,400000,a register,2025-06-30\n").Add(a, asOf)
	before := len(a.Policies)
	export := portfolio.Aggregate{Policies: []portfolio.Policy{book().Policies[0]}}
	export.Policies[0].Version = portfolio.Version{}
	export.Policies[0].Stamp(asOf + 3)
	Carry(export.Policies, a.Policies)
	export.Normalise(asOf + 3)
	a.Merge(&export, func(portfolio.Table, int) { t.Error("a conflict") })
	if len(a.Policies) != before {
		t.Errorf("%d versions, before %d", len(a.Policies), before)
	}
	// A row that was recorded on the very day of the enrichment is no conflict with it.
	dated := portfolio.Aggregate{Policies: []portfolio.Policy{book().Policies[0]}}
	dated.Policies[0].RecordedAt, dated.Policies[0].SumInsured = asOf, 1
	Carry(dated.Policies, a.Policies)
	dated.Normalise(asOf + 3)
	a.Merge(&dated, func(portfolio.Table, int) { t.Error("a conflict") })
	if len(a.Policies) != before+1 {
		t.Errorf("%d versions, before %d", len(a.Policies), before)
	}
}

func TestAttributes(t *testing.T) {
	v := Value{Amount: 5, Source: "s", On: asOf}
	a := []portfolio.Attribute{{Key: "a", Value: "1"}, {Key: portfolio.RebuildValue, Value: "9"}, {Key: "z", Value: "2"}}
	p := portfolio.Policy{Attributes: Put(a, v)}
	if got, ok := Of(&p); !ok || got != v || len(p.Attributes) != 5 || a[1].Value != "9" {
		t.Errorf("%v of %v", got, p.Attributes)
	}
	if _, ok := Of(&portfolio.Policy{Attributes: a}); ok {
		t.Error("a value without a source is one")
	}
	sorted := slices.Clone(p.Attributes)
	slices.SortFunc(sorted, func(x, y portfolio.Attribute) int { return strings.Compare(x.Key, y.Key) })
	for _, tt := range []struct {
		b    []portfolio.Attribute
		same bool
	}{
		{[]portfolio.Attribute{{Key: "a", Value: "1"}, {Key: "z", Value: "2"}}, true},
		{[]portfolio.Attribute{{Key: "a", Value: "1"}, {Key: "z", Value: "3"}}, false},
		{[]portfolio.Attribute{{Key: "a", Value: "1"}}, false},
		{nil, false},
	} {
		if SameBut(sorted, tt.b) != tt.same || SameBut(tt.b, sorted) != tt.same {
			t.Errorf("same as %v: %v", tt.b, !tt.same)
		}
	}
}
