package feature

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
)

var asOf = portfolio.MustDate(2026, 3, 31)

// history makes a customer with versions, claims and contacts before and after the date.
func history(r *rand.Rand, id string) *portfolio.Aggregate {
	on := func() portfolio.Date { return asOf + portfolio.Date(r.IntN(2000)-1400) }
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: id, BirthYear: 1950 + r.IntN(50), Region: "Utrecht", Version: portfolio.Version{RecordedAt: asOf - 1500}}}}
	for i := range 1 + r.IntN(5) {
		start := on()
		pid := fmt.Sprintf("%s-%d", id, i)
		for v := range 1 + r.IntN(4) {
			p := portfolio.Policy{
				ID: pid, CustomerID: id, Branch: portfolio.Branches[r.IntN(8)].Name, StartDate: start, AnnualPremium: portfolio.Cents(r.IntN(90000)),
				Status: portfolio.Active, PaymentFrequency: 12, Version: portfolio.Version{ValidFrom: start + portfolio.Date(365*v), RecordedAt: start + portfolio.Date(365*v-r.IntN(60))},
			}
			if v == 3 {
				p.EndDate, p.Status, p.EndReason = p.ValidFrom, portfolio.Ended, "lapse"
			}
			a.Policies = append(a.Policies, p)
		}
		for c := range r.IntN(3) {
			loss := start + portfolio.Date(r.IntN(700))
			for v := range 2 {
				a.Claims = append(a.Claims, portfolio.Claim{
					ID: fmt.Sprintf("%s-%d", pid, c), PolicyID: pid, CustomerID: id, LossDate: loss, Paid: portfolio.Cents(1000 * (v + 1)), Status: portfolio.ClaimOpen,
					Version: portfolio.Version{RecordedAt: loss + portfolio.Date(10+200*v)},
				})
			}
		}
	}
	for range r.IntN(6) {
		a.Contacts = append(a.Contacts, portfolio.Contact{CustomerID: id, At: portfolio.Instant(on().Time().Unix()), Reason: []string{"complaint", "question"}[r.IntN(2)], Sentiment: r.Float64() - 0.5})
	}
	a.Normalise(asOf + 2000)
	return a
}

// rows is all that models would read of a customer as of the date.
func rows(a *portfolio.Aggregate) []model.Row {
	var (
		v   portfolio.View
		g   Group
		r   Reader
		out []model.Row
	)
	v.Reset(a, asOf, portfolio.DefaultEnds)
	g.Reset([]*portfolio.View{&v})
	in := Input{&v, &g}
	add := func(fill func(*model.Row)) {
		var row model.Row
		fill(&row)
		out = append(out, row)
	}
	add(func(row *model.Row) { r.Customer(in, row) })
	add(func(row *model.Row) { r.Offer(in, row) })
	add(func(row *model.Row) { r.Hazard(in, row); r.SetMonth(row, 14) })
	r.Policies(in)
	for i := range v.Policies {
		add(func(row *model.Row) { r.Policy(PolicySchema{Attributes: []Attr{{Key: "bm", Numeric: true}}}, i, row) })
	}
	return out
}

// same compares rows bit by bit: NaN is missing, and equals itself.
func same(a, b []model.Row) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !reflect.DeepEqual(a[i].Cat, b[i].Cat) || len(a[i].Num) != len(b[i].Num) {
			return false
		}
		for k := range a[i].Num {
			if math.Float64bits(a[i].Num[k]) != math.Float64bits(b[i].Num[k]) {
				return false
			}
		}
	}
	return true
}

// TestTheFutureChangesNothing rewrites everything that was recorded after the as-of
// date, and drops it, and finds no feature changed.
func TestTheFutureChangesNothing(t *testing.T) {
	for seed := range uint64(300) {
		a := history(rand.New(rand.NewPCG(seed, 1)), "c")
		before := rows(a)
		for i := range a.Policies {
			if p := &a.Policies[i]; p.RecordedAt > asOf {
				p.AnnualPremium, p.EndDate, p.Status, p.EndReason, p.Carrier = 1, p.StartDate, portfolio.Ended, "lapse", "Other"
			}
		}
		for i := range a.Claims {
			if c := &a.Claims[i]; c.RecordedAt > asOf {
				c.Paid, c.Status, c.LossDate = 999999, portfolio.ClaimRejected, c.LossDate+1
			}
		}
		for i := range a.Contacts {
			if c := &a.Contacts[i]; c.At.Date() > asOf {
				c.Reason = "complaint"
			}
		}
		if !same(before, rows(a)) {
			t.Fatalf("seed %d: rewriting the future changes a feature", seed)
		}
		kept := *a
		kept.Policies, kept.Claims, kept.Contacts = nil, nil, nil
		for _, p := range a.Policies {
			if p.RecordedAt <= asOf {
				kept.Policies = append(kept.Policies, p)
			}
		}
		for _, c := range a.Claims {
			if c.RecordedAt <= asOf {
				kept.Claims = append(kept.Claims, c)
			}
		}
		for _, c := range a.Contacts {
			if c.At.Date() <= asOf {
				kept.Contacts = append(kept.Contacts, c)
			}
		}
		if !same(before, rows(&kept)) {
			t.Fatalf("seed %d: dropping the future changes a feature", seed)
		}
	}
}

func TestFeaturesAreFiniteOrMissing(t *testing.T) {
	for seed := range uint64(300) {
		for i, row := range rows(history(rand.New(rand.NewPCG(seed, 2)), "c")) {
			for k, v := range row.Num {
				if math.IsInf(v, 0) {
					t.Fatalf("seed %d, row %d: number %d is infinite", seed, i, k)
				}
			}
		}
	}
	for _, a := range []*portfolio.Aggregate{{Customers: []portfolio.Customer{{ID: "c", BirthYear: 2300}}}, {Customers: []portfolio.Customer{{ID: "c", CompanyGroupID: "c"}}}} {
		a.Normalise(asOf)
		rows(a)
	}
}

// TestAFleet has 2,000 members in one company group.
func TestAFleet(t *testing.T) {
	views := make([]portfolio.View, 2000)
	refs := make([]*portfolio.View, len(views))
	for i := range views {
		a := history(rand.New(rand.NewPCG(uint64(i), 3)), fmt.Sprint("c", i))
		views[i].Reset(a, asOf, portfolio.DefaultEnds)
		refs[i] = &views[i]
	}
	var g Group
	g.Reset(refs)
	if g.Members != len(views) || g.Policies == 0 || g.Primary == nil {
		t.Errorf("group: %d members, %d policies", g.Members, g.Policies)
	}
}

func TestRatingFactors(t *testing.T) {
	var s Survey
	for i := range 100 {
		p := portfolio.Policy{Attributes: []portfolio.Attribute{{Key: "bm", Value: fmt.Sprint(i % 20)}, {Key: "fuel", Value: "diesel"}, {Key: "Gender", Value: "f"}}}
		if i == 0 {
			p.Attributes = append(p.Attributes, portfolio.Attribute{Key: "rare", Value: "x"})
		}
		s.Add(&p)
	}
	want := []Attr{{"bm", true}, {"fuel", false}}
	if got := s.Schema().Attributes; !reflect.DeepEqual(got, want) {
		t.Errorf("rating factors %v, want %v", got, want)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	a := history(rand.New(rand.NewPCG(1, 4)), "c")
	var (
		v   portfolio.View
		g   Group
		r   Reader
		row model.Row
	)
	refs := []*portfolio.View{&v}
	n := testing.AllocsPerRun(100, func() {
		v.Reset(a, asOf, portfolio.DefaultEnds)
		g.Reset(refs)
		r.Hazard(Input{&v, &g}, &row)
		for k := 1; k <= 36; k++ {
			r.SetMonth(&row, k)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a customer", n)
	}
}
