package train

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// TestLabelsClose when the lag is over, in every snapshot: what is recorded on the last day
// is a label, what is recorded a day later is none, and nor is what happens after the year.
func TestLabelsClose(t *testing.T) {
	for k := range 2 {
		then := asOf.AddMonths(-3 - 12*(k+1))
		until, closes := then.AddMonths(12), then.AddMonths(15)
		for name, tc := range map[string]struct {
			on, recorded portfolio.Date
			label        bool
		}{
			"in the year":               {then + 100, then + 100, true},
			"the first day":             {then + 1, then + 1, true},
			"the last day":              {until, until, true},
			"the last day, told late":   {until, closes, true},
			"the day after":             {until + 1, until + 1, false},
			"told after the labels":     {then + 100, closes + 1, false},
			"told long after":           {then + 100, closes + 200, false},
			"before, and told after it": {then - 30, then + 30, false},
		} {
			if tc.recorded > asOf {
				continue // nothing of that is known
			}
			stays := policy("m", "motor", then-900, 0, "")
			claimed := customer(stays)
			claimed.Claims = []portfolio.Claim{claim("k", "m", tc.on, 500_00, portfolio.ClaimOpen)}
			claimed.Claims[0].Version = recorded(tc.recorded)
			lapsed := customer(policy("m", "motor", then-900, tc.on, "lapse"))
			lapsed.Policies[1].Version = recorded(tc.recorded)
			bought := customer(stays, policy("b", "travel", tc.on, 0, ""))
			bought.Policies[0].Version, bought.Policies[1].Version = recorded(tc.recorded), recorded(then-900)
			if bought.Policies[0].ID != "b" {
				t.Fatal("policies are in another order")
			}
			for what, kind := range map[string]struct {
				a      *portfolio.Aggregate
				events func(*fitter) float64
			}{
				"claim":    {claimed, func(f *fitter) float64 { return f.frequency.events() }},
				"lapse":    {lapsed, func(f *fitter) float64 { return f.lapses.policyLapse.events() }},
				"purchase": {bought, func(f *fitter) float64 { return f.buyersOf("travel").table.events() }},
			} {
				if what == "purchase" && tc.on < then {
					continue // it may have been bought before it was known: one who has it is not asked
				}
				// Of this snapshot alone: those after it have years of their own.
				if got := kind.events(snapshots(t, k+1, kind.a)) - kind.events(snapshots(t, k, kind.a)); (got == 1) != tc.label || got > 1 {
					t.Errorf("snapshot %d: a %s %s counts %v times", k, what, name, got)
				}
			}
		}
	}
}

// snapshots is what so many looks back find of a customer.
func snapshots(t *testing.T, n int, a *portfolio.Aggregate) *fitter {
	t.Helper()
	f := newFitter(t, scoring.DefaultSettings(), n, 10_000)
	for _, pass := range []func(context.Context, Source) error{f.survey, f.collect} {
		if err := pass(t.Context(), source(alone(a))); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// book groups customers as a store does: by the relation that they are of now.
func book(customers []*portfolio.Aggregate) (relations [][]*portfolio.Aggregate) {
	by := map[string][]*portfolio.Aggregate{}
	for _, a := range customers {
		key := a.Latest().Relation()
		by[key] = append(by[key], a)
	}
	for _, key := range slices.Sorted(maps.Keys(by)) {
		relations = append(relations, by[key])
	}
	return relations
}

// street is customers in households, who move between them, with all that happens to them
// until two years after the as-of date of training.
func street(n int) (out []*portfolio.Aggregate) {
	r := rand.New(rand.NewPCG(11, 11))
	day := func() portfolio.Date { return asOf + portfolio.Date(r.IntN(2600)-1900) }
	for i := range n {
		id := fmt.Sprintf("c%04d", i)
		a := &portfolio.Aggregate{}
		home := portfolio.Customer{ID: id, BirthYear: 1950 + r.IntN(55), HouseholdID: fmt.Sprint("h", i/2), Region: []string{"N", "S"}[r.IntN(2)], Version: recorded(asOf - 2000)}
		a.Customers = append(a.Customers, home)
		if r.IntN(3) == 0 {
			home.HouseholdID, home.Version = fmt.Sprint("h", r.IntN(n/2)), recorded(day())
			a.Customers = append(a.Customers, home)
		}
		for k := range 1 + r.IntN(3) {
			p := portfolio.Policy{
				ID: fmt.Sprint(id, "-", k), CustomerID: id, Branch: portfolio.Branches[r.IntN(6)].Name, StartDate: day() - 400, AnnualPremium: portfolio.Cents(20_000 + r.IntN(50_000)),
				Status: portfolio.Active, Attributes: []portfolio.Attribute{{Key: "fuel", Value: []string{"petrol", "diesel"}[r.IntN(2)]}},
			}
			p.Version = recorded(p.StartDate)
			a.Policies = append(a.Policies, p)
			for y := range r.IntN(4) {
				q := p
				q.AnnualPremium, q.Version = portfolio.Cents(20_000+r.IntN(50_000)), recorded(p.StartDate+portfolio.Date(365*(y+1)))
				if y == 2 {
					q.EndDate, q.Status, q.EndReason = q.RecordedAt, portfolio.Ended, "lapse"
				}
				a.Policies = append(a.Policies, q)
			}
			for c := range r.IntN(3) {
				loss := p.StartDate + portfolio.Date(r.IntN(900))
				for v := range 2 {
					a.Claims = append(a.Claims, portfolio.Claim{
						ID: fmt.Sprint(p.ID, "-", c), PolicyID: p.ID, CustomerID: id, LossDate: loss, Paid: portfolio.Cents(10_000 + r.IntN(90_000)), Status: portfolio.ClaimOpen,
						Version: recorded(loss + portfolio.Date(9+300*v)),
					})
				}
			}
		}
		for range r.IntN(5) {
			on := day()
			a.Contacts = append(a.Contacts, portfolio.Contact{CustomerID: id, At: instant(on), ResolvedAt: instant(on + portfolio.Date(r.IntN(300))), Channel: "phone", Reason: "complaint"})
		}
		a.Normalise(asOf + 3000)
		out = append(out, a)
	}
	return out
}

func instant(d portfolio.Date) portfolio.Instant { return portfolio.Instant(d.Time().Unix()) }

// rewritten are customers with everything recorded after the date gone, and other things
// recorded in its place: moves, ends, premiums, claims, contacts, and new customers.
func rewritten(customers []*portfolio.Aggregate, on portfolio.Date) (out []*portfolio.Aggregate) {
	r := rand.New(rand.NewPCG(12, 12))
	later := func() portfolio.Version {
		v := recorded(on + 1 + portfolio.Date(r.IntN(200)))
		v.ValidFrom -= portfolio.Date(r.IntN(1200)) // true since long ago, and told now
		return v
	}
	for i, a := range customers {
		b := &portfolio.Aggregate{}
		for _, c := range a.Customers {
			if c.RecordedAt <= on {
				b.Customers = append(b.Customers, c)
			}
		}
		for _, p := range a.Policies {
			if p.RecordedAt <= on {
				b.Policies = append(b.Policies, p)
			}
		}
		for _, c := range a.Claims {
			if c.RecordedAt <= on {
				b.Claims = append(b.Claims, c)
			}
		}
		for _, c := range a.Contacts {
			if c.At.Date() > on {
				continue
			}
			if c.ResolvedAt.Date() > on {
				c.ResolvedAt = 0
			}
			b.Contacts = append(b.Contacts, c)
		}
		if len(b.Customers) == 0 {
			continue
		}
		if r.IntN(2) == 0 {
			c := *b.Latest()
			c.HouseholdID, c.Region, c.BirthYear, c.Version = fmt.Sprint("h", r.IntN(len(customers))), "E", 1999, later()
			b.Customers = append(b.Customers, c)
		}
		for _, p := range slices.Clone(b.Policies) {
			if p.AnnualPremium, p.Branch, p.Version = 1, "boat", later(); r.IntN(2) == 0 {
				p.EndDate, p.Status, p.EndReason = max(p.StartDate, p.ValidFrom), portfolio.Ended, "lapse"
			}
			b.Policies = append(b.Policies, p)
		}
		for _, c := range slices.Clone(b.Claims) {
			c.Paid, c.Status, c.Version = 9_000_000, portfolio.ClaimRejected, later()
			b.Claims = append(b.Claims, c)
		}
		id := b.ID()
		b.Policies = append(b.Policies, portfolio.Policy{ID: "new-" + id, CustomerID: id, Branch: "pet", StartDate: on - 300, AnnualPremium: 100, Status: portfolio.Active, Version: later(), Attributes: []portfolio.Attribute{{Key: "later", Value: "1"}}})
		b.Claims = append(b.Claims, portfolio.Claim{ID: "new-" + id, PolicyID: b.Policies[0].ID, CustomerID: id, LossDate: on - 200, Paid: 1_000_000, Status: portfolio.ClaimOpen, Version: later()})
		b.Contacts = append(b.Contacts, portfolio.Contact{CustomerID: id, At: instant(on + 5), Reason: "complaint"})
		if i%3 == 0 { // somebody new, of whom the past was never told
			c := *b.Latest()
			c.ID, c.Version = "n"+c.ID, later()
			out = append(out, &portfolio.Aggregate{Customers: []portfolio.Customer{c}, Policies: []portfolio.Policy{{ID: "p" + c.ID, CustomerID: c.ID, Branch: "motor", StartDate: on - 1500, AnnualPremium: 100, Status: portfolio.Active, Version: later()}}})
			out[len(out)-1].Normalise(on + 1000)
		}
		b.Normalise(on + 1000)
		out = append(out, b)
	}
	return out
}

// lines are a table's rows as text, sorted: which relation comes first says nothing.
func lines(t *Table) (out []string) {
	for i := range t.N {
		var b strings.Builder
		for k, f := range t.Fields {
			if f.Kind == model.Numeric {
				fmt.Fprintf(&b, "%x ", math.Float64bits(t.Num[k][i]))
			} else {
				fmt.Fprintf(&b, "%q ", t.Cat[k][i])
			}
		}
		fmt.Fprint(&b, t.Y[i], t.Group[i])
		for _, column := range [][]float64{t.Weight, t.Exposure} {
			if column != nil {
				fmt.Fprint(&b, " ", column[i])
			}
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out
}

// TestTheFutureChangesNothing rewrites everything that was recorded after the as-of date of
// a training, and finds no row that is learnt from changed, and no score.
func TestTheFutureChangesNothing(t *testing.T) {
	past := street(300)
	future := rewritten(past, asOf)
	if reflect.DeepEqual(len(book(past)), len(book(future))) {
		t.Fatal("nobody moved")
	}
	o := Options{AsOf: asOf, Snapshots: 2}
	tables := func(customers []*portfolio.Aggregate) []Table {
		out, err := Tables(t.Context(), source(book(customers)...), o)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	was, is := tables(past), tables(future)
	if len(was) != len(is) {
		t.Fatalf("%d tables, and %d after the future was rewritten", len(was), len(is))
	}
	for i := range was {
		a, b := lines(&was[i]), lines(&is[i])
		if was[i].Name != is[i].Name || !slices.Equal(a, b) {
			t.Errorf("%s: %d rows, and %d that are not the same", was[i].Name, len(a), len(b))
		}
		if i == 0 && len(a) < 300 {
			t.Errorf("%d rows are few", len(a))
		}
	}
	scored := func(customers []*portfolio.Aggregate) map[string]string {
		m, err := Fit(t.Context(), source(book(customers)...), o)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scoring.New(m)
		if err != nil {
			t.Fatal(err)
		}
		// All together: as of the date they part into the relations of then.
		var subjects []scoring.Subject
		for _, a := range customers {
			subjects = append(subjects, scoring.Subject{Aggregate: a})
		}
		out := map[string]string{}
		for _, sh := range s.Relation(subjects, asOf, scoring.NewSet(scoring.Engines...)) {
			sh.Fingerprint = 0 // of what is stored, which differs
			sh.Parted = false  // says that the relation is another by now
			for _, e := range scoring.Engines {
				out[sh.Customer] += string(sh.AppendJSON(nil, e, "tenant", time.Unix(0, 0))) + "\n"
			}
		}
		return out
	}
	before, after := scored(past), scored(future)
	n := 0
	for id, s := range before {
		if s != after[id] {
			t.Fatalf("%s is scored\n%s\nand after the future was rewritten\n%s", id, s, after[id])
		}
		if strings.Contains(s, `"status":"scored"`) {
			n++
		}
	}
	if n < 100 {
		t.Errorf("%d customers are scored", n)
	}
}

// TestWhoLeftIsSeenThere: a household is looked back at with those who left it since.
func TestWhoLeftIsSeenThere(t *testing.T) {
	member := func(id string, gone portfolio.Date) *portfolio.Aggregate {
		a := customer(policy("p"+id, "motor", then-900, 0, ""))
		for i := range a.Policies {
			a.Policies[i].CustomerID = id
		}
		a.Customers[0] = portfolio.Customer{ID: id, HouseholdID: "h", Version: known}
		if gone != 0 {
			a.Customers = append(a.Customers, portfolio.Customer{ID: id, HouseholdID: "other", Version: recorded(gone)})
		}
		a.Normalise(asOf)
		return a
	}
	for name, tc := range map[string]struct {
		gone [2]portfolio.Date
		want []float64 // members of the relations at the snapshot
	}{
		"both stay":               {[2]portfolio.Date{}, []float64{2}},
		"one leaves":              {[2]portfolio.Date{0, then + 50}, []float64{2}},
		"both leave":              {[2]portfolio.Date{then + 40, then + 50}, []float64{2}},
		"one had left":            {[2]portfolio.Date{0, then - 50}, []float64{1, 1}},
		"one had, and one leaves": {[2]portfolio.Date{then + 50, then - 50}, []float64{1, 1}},
	} {
		f := collected(t, book([]*portfolio.Aggregate{member("a", tc.gone[0]), member("b", tc.gone[1])})...)
		i := slices.IndexFunc(feature.OfferFields(), func(f model.Field) bool { return f.Name == "relation_members" })
		if got := sorted(f.buyersOf("travel").table.num[i]); !slices.Equal(got, tc.want) {
			t.Errorf("%s: relations of %v members, want %v", name, got, tc.want)
		}
	}
}

// TestExcluded: what a tenant excludes is missing in all that is learnt from, no model has a
// term of it, and none that has is brought in.
func TestExcluded(t *testing.T) {
	settings := func(names ...string) *scoring.Settings {
		s := scoring.DefaultSettings()
		s.Features.Exclude = names
		return &s
	}
	relations := town(3000)
	o := Options{AsOf: asOf, Snapshots: 1, Settings: settings("age", "main_branch", "month_calendar")}
	tables, err := Tables(t.Context(), source(relations...), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for k, f := range table.Fields {
			for i := range table.N {
				if f.Kind == model.Numeric && o.Settings.Features.Excludes(f.Name) && !math.IsNaN(table.Num[k][i]) || f.Name == "main_branch" && table.Cat[k][i] != "" {
					t.Fatalf("%s: %s is known", table.Name, f.Name)
				}
			}
		}
	}
	reads := func(o Options) bool {
		m, err := Fit(t.Context(), source(relations...), o)
		if err != nil {
			t.Fatal(err)
		}
		return m.Settings.Features.Excludes("age") == (settings("age").Allow(m.Risk.Frequency) != nil)
	}
	if reads(o) || reads(Options{AsOf: asOf, Snapshots: 1}) {
		t.Error("the model of claims reads the age where it is excluded, or does not where it is not")
	}
	for _, tc := range []struct {
		o    Options
		says string
	}{
		{Options{Settings: settings("attribute_fuel")}, `no policy has the attribute "fuel"`},
		{Options{Settings: settings("agee")}, `no feature is called "agee"`},
		{Options{Settings: settings("tenure"), Bring: map[string][]byte{"lapse": modelFile(t, "lapse")}}, "the model reads tenure"},
	} {
		tc.o.AsOf = asOf
		if _, err := Fit(t.Context(), source(town(20)...), tc.o); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v; want one that says %s", err, tc.says)
		}
	}
}
