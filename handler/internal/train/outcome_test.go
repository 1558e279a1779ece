package train

import (
	"context"
	"iter"
	"math"
	"reflect"
	"slices"
	"testing"

	"polis/handler/internal/audit"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// steadyModels are models of a book that has just begun, under settings in which nothing develops or grows dearer.
func steadyModels(t *testing.T) *scoring.Models {
	t.Helper()
	s := scoring.DefaultSettings()
	s.Risk.Development, s.Risk.Inflation = false, 0
	m, err := Fit(t.Context(), source(begun()), Options{AsOf: asOf, Settings: &s})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// years are what a look back at relations gives, by relation; nil of those that were not there.
func years(t *testing.T, m *scoring.Models, do func(y *Year), relations ...[]*portfolio.Aggregate) (keys []string) {
	t.Helper()
	l, err := NewLookback(t.Context(), source(relations...), m, Options{AsOf: asOf})
	if err != nil {
		t.Fatal(err)
	}
	if l.Then != then || l.Until != until || l.Relations != len(relations) {
		t.Fatalf("from %v to %v, %d relations", l.Then, l.Until, l.Relations)
	}
	err = l.Each(t.Context(), source(relations...), 1, func(key string, now []*portfolio.View, members []*portfolio.Aggregate, y *Year) error {
		if len(now) != len(members) || now[0].AsOf != asOf {
			t.Errorf("%s: %d views of %d members", key, len(now), len(members))
		}
		if y != nil {
			keys = append(keys, key)
			do(y)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestYearOfPolicies: what came is what labels count, and the covers apart beside it.
func TestYearOfPolicies(t *testing.T) {
	a := customer(
		policy("stays", "motor", then-500, 0, ""),
		policy("ends", "motor", then-500, then+74, "sold"), // a fifth of the year
		policy("begins", "motor", then+10, 0, ""),
		policy("life", "life", then-500, 0, ""),
	)
	glass := claim("glass", "stays", then+7, 50_00, portfolio.ClaimClosed)
	glass.Cover = "glass"
	a.Claims = []portfolio.Claim{
		claim("the day itself", "stays", then, 100, portfolio.ClaimClosed),
		claim("first day", "stays", then+1, 200_00, portfolio.ClaimClosed),
		claim("nothing paid", "stays", then+9, 0, portfolio.ClaimClosed),
		claim("last day", "stays", until, 400_00, portfolio.ClaimOpen),
		claim("refused", "stays", then+5, 100, portfolio.ClaimRejected),
		claim("after", "stays", until+1, 100, portfolio.ClaimOpen),
		glass,
	}
	a.Normalise(asOf)
	var got []PolicyYear
	years(t, steadyModels(t), func(y *Year) {
		got = y.Policies(0, nil)
		if y.Lapsed || y.Known || y.Stayed != 1 {
			t.Errorf("the relation goes on: %+v", y)
		}
	}, alone(a))
	if len(got) != 2 || got[0].ID != "ends" || got[1].ID != "stays" {
		t.Fatalf("policies %+v", got)
	}
	if p := got[0]; math.Abs(p.Exposure-0.2) > 0.003 || p.Claims != 0 || p.Incurred != 0 {
		t.Errorf("a fifth of the year, no claims: %+v", p)
	}
	if p := got[1]; math.Abs(p.Exposure-1) > 1e-9 || p.Claims != 2 || math.Abs(p.Incurred-650) > 1e-9 {
		t.Errorf("claims of 200 and 400, and glass of 50: %+v", p)
	}
}

// TestYearOfRelations: a lapse is one by the customer in the year, an end that was recorded
// ahead is known, and who was not there yet, or had nothing in force, is in no year.
func TestYearOfRelations(t *testing.T) {
	one := func(id string, end portfolio.Date, reason string) *portfolio.Aggregate {
		a := customer(policy("p"+id, "motor", then-500, end, reason))
		a.Customers[0].ID = id
		for i := range a.Policies {
			a.Policies[i].CustomerID = id
		}
		a.Normalise(asOf)
		return a
	}
	ahead := one("ahead", then+30, "cancelled_by_customer")
	ahead.Policies[len(ahead.Policies)-1].Version = recorded(then - 10)
	ahead.Normalise(asOf)
	late := one("late", 0, "")
	late.Customers[0].Version, late.Policies[0].Version = recorded(then+1), recorded(then+1)
	late.Policies[0].StartDate = then + 1
	late.Normalise(asOf)
	type came struct {
		lapsed, known bool
		stayed        float64
	}
	got := map[string]came{}
	keys := years(t, steadyModels(t), func(y *Year) { got[y.Key] = came{y.Lapsed, y.Known, math.Round(100 * y.Stayed)} },
		alone(one("lapses", then+73, "cancelled_by_customer")), alone(one("sold", then+73, "sold")), alone(one("stays", 0, "")),
		alone(one("after", until+1, "cancelled_by_customer")), alone(ahead), alone(late), alone(one("gone", then-1, "cancelled_by_customer")))
	want := map[string]came{
		"lapses": {true, false, 20}, "sold": {false, false, 20}, "stays": {false, false, 100}, "after": {false, false, 100}, "ahead": {true, true, 8},
	}
	for k, w := range want {
		found := false
		for key, g := range got {
			if key == k || len(key) > len(k) && key[len(key)-len(k):] == k {
				found = true
				if g != w {
					t.Errorf("%s: %+v, want %+v", k, g, w)
				}
			}
		}
		if !found {
			t.Errorf("%s is not among %v", k, keys)
		}
	}
	if len(keys) != len(want) {
		t.Errorf("%d relations in the year: %v", len(keys), keys)
	}
}

// TestLookbackNeedsAll: what is missing is said.
func TestLookbackNeedsAll(t *testing.T) {
	if _, err := NewLookback(t.Context(), nil, steadyModels(t), Options{AsOf: asOf}); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	broken := func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			yield(nil, fault.New(fault.Unavailable, "out of order"))
		}
	}
	if _, err := NewLookback(t.Context(), broken, steadyModels(t), Options{AsOf: asOf}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}

// TestBaseline: customers, policies and scores in force on the day are in it, each in a bin;
// what is excluded is not, and neither is who objects to profiling; models are the same
// with it and without.
func TestBaseline(t *testing.T) {
	var relations [][]*portfolio.Aggregate
	for i := range 60 {
		a := customer(policy("a", "motor", then-portfolio.Date(500+i), 0, ""), policy("b", "legal", then-400, 0, ""))
		id := string(rune('A'+i/26)) + string(rune('a'+i%26))
		a.Customers[0].ID, a.Customers[0].BirthYear = id, 1950+i
		a.Customers[0].Objects = i == 0
		for k := range a.Policies {
			a.Policies[k].CustomerID = id
			a.Policies[k].ID += id
			a.Policies[k].AnnualPremium = portfolio.Cents(10_000 + 1000*i)
		}
		a.Normalise(asOf)
		relations = append(relations, alone(a))
	}
	s := scoring.DefaultSettings()
	s.Features.Exclude = []string{"age"}
	var base audit.Baseline
	with, err := Fit(t.Context(), source(relations...), Options{AsOf: asOf, Settings: &s, Baseline: &base})
	if err != nil {
		t.Fatal(err)
	}
	without, err := Fit(t.Context(), source(relations...), Options{AsOf: asOf, Settings: &s})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(with.Usual, without.Usual) || !reflect.DeepEqual(with.Risk.Quantiles, without.Risk.Quantiles) {
		t.Error("a baseline changes the models")
	}
	rows := map[string]int{OfCustomers: 59, OfPolicies: 118, OfLapsing: 118, OfScores: 59}
	for _, p := range base.Populations {
		if p.Rows != rows[p.Name] || p.Relations != 59 || p.Effective != 59 {
			t.Errorf("%s has %d rows of %d relations, effective %v", p.Name, p.Rows, p.Relations, p.Effective)
		}
		for _, c := range p.Columns {
			n := 0
			for _, k := range c.Counts {
				n += k
			}
			if n != p.Rows || c.Name == "age" {
				t.Errorf("%s %s counts %d of %d rows", p.Name, c.Name, n, p.Rows)
			}
		}
	}
	at := slices.IndexFunc(base.Populations, func(p audit.Population) bool { return p.Name == OfPolicies })
	premium := base.Populations[at].Columns[slices.IndexFunc(base.Populations[at].Columns, func(c audit.Column) bool { return c.Name == "premium" })]
	if len(premium.Edges) != 9 {
		t.Errorf("premiums of 110 to 690 EUR have edges %v", premium.Edges)
	}
}
