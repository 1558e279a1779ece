package feature

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"polis/handler/internal/enrichment"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
)

var asOf = portfolio.MustDate(2026, 3, 31)

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

func at(d portfolio.Date) portfolio.Instant { return portfolio.Instant(d.Time().Unix()) }

// history makes a customer with versions, claims and contacts before and after the date,
// in which every field that a feature reads differs.
func history(r *rand.Rand, id string) *portfolio.Aggregate {
	on := func() portfolio.Date { return asOf + portfolio.Date(r.IntN(2000)-1400) }
	a := &portfolio.Aggregate{}
	for v := range 3 {
		since := asOf + portfolio.Date(600*v-1500-r.IntN(100))
		c := portfolio.Customer{
			ID: id, BirthYear: 1950 + r.IntN(50), Region: pick(r, "Utrecht", "Drenthe"), Postcode: pick(r, "1011", "9712 AB"), Origin: pick(r, "direct", "broker"),
			OfficeID: pick(r, "O1", "O2"), HouseholdID: pick(r, "", "h"), Segment: portfolio.Segment(pick(r, "private", "business")), Employees: r.IntN(9),
			Version: portfolio.Version{RecordedAt: since + 9, ValidFrom: since},
		}
		for range r.IntN(3) {
			c.Consents = append(c.Consents, portfolio.Consent{Purpose: "marketing", Channel: "email", Given: r.IntN(4) > 0, On: since})
		}
		a.Customers = append(a.Customers, c)
	}
	for i := range 1 + r.IntN(5) {
		start := on()
		pid := fmt.Sprintf("%s-%d", id, i)
		for v := range 1 + r.IntN(4) {
			from := start + portfolio.Date(365*v)
			if v == 2 {
				from += portfolio.Date(r.IntN(2) * 100) // mid-term
			}
			p := portfolio.Policy{
				ID: pid, CustomerID: id, Branch: portfolio.Branches[r.IntN(len(portfolio.Branches))].Name, StartDate: start, AnnualPremium: portfolio.Cents(r.IntN(90000)),
				Product: pick(r, "", "plus"), Carrier: pick(r, "North", "South", "East"), CommissionRate: portfolio.RateOf(float64(r.IntN(3)) / 10), NoticeMonths: r.IntN(3), ContractEnd: start + portfolio.Date(365*(v+1)),
				SumInsured: portfolio.Cents(r.IntN(3) * 1000), Deductible: portfolio.Cents(r.IntN(3) * 100), Attributes: []portfolio.Attribute{{Key: "bm", Value: pick(r, "1", "2")}},
				Status: portfolio.Active, PaymentFrequency: []int{0, 1, 12}[r.IntN(3)], Version: portfolio.Version{ValidFrom: from, RecordedAt: from - portfolio.Date(r.IntN(60))},
			}
			if v == 3 {
				p.EndDate, p.Status, p.EndReason = p.ValidFrom, portfolio.Ended, pick(r, "lapse", "sold")
			}
			a.Policies = append(a.Policies, p)
		}
		for c := range r.IntN(3) {
			loss := start + portfolio.Date(r.IntN(700))
			for v := range 2 {
				a.Claims = append(a.Claims, portfolio.Claim{
					ID: fmt.Sprintf("%s-%d", pid, c), PolicyID: pid, CustomerID: id, LossDate: loss, ReportedDate: loss + 5, Cover: pick(r, "glass", "theft", "injury"), AtFault: portfolio.Fault(pick(r, "", "yes", "no")),
					Paid: portfolio.Cents(1000 * (v + 1)), Status: portfolio.Status(pick(r, "open", "closed", "rejected")), Version: portfolio.Version{RecordedAt: loss + portfolio.Date(10+200*v)},
				})
			}
		}
	}
	for range r.IntN(12) {
		c := portfolio.Contact{
			CustomerID: id, At: at(on()), Direction: pick(r, "in", "out"), Channel: pick(r, "phone", "EMAIL", "chat", "bezoek", "fax"),
			Reason: pick(r, "complaint", "Klacht", "question", "schade", "wijziging", "advice", "other"), Sentiment: r.Float64() - 0.5, Employee: "E1",
		}
		if r.IntN(3) == 0 {
			c.ResolvedAt = c.At + portfolio.Instant(r.IntN(200)*86400)
		}
		a.Contacts = append(a.Contacts, c)
	}
	a.Normalise(asOf + 2000)
	return a
}

// read is all that models would read as of a date of customers who are a relation now.
func read(on portfolio.Date, members ...*portfolio.Aggregate) []model.Row {
	var r Reader
	var out []model.Row
	views := make([]*portfolio.View, len(members))
	for i, a := range members {
		views[i] = &portfolio.View{}
		views[i].Reset(a, on, portfolio.DefaultEnds)
	}
	add := func(fill func(*model.Row)) {
		var row model.Row
		fill(&row)
		out = append(out, row)
	}
	of, n := Relations(views, nil)
	for k := range n {
		var g Group
		var among []*portfolio.View
		for i, v := range views {
			if of[i] == k {
				among = append(among, v)
			}
		}
		g.Reset(among)
		for _, v := range among {
			in := Input{v, &g}
			add(func(row *model.Row) { r.Customer(in, row) })
			add(func(row *model.Row) { r.Offer(in, row) })
			add(func(row *model.Row) { r.Hazard(in, row) })
			add(func(row *model.Row) { r.Hazard(in, row); r.SetMonth(row, 14) })
			r.Policies(in)
			for i := range v.Policies {
				add(func(row *model.Row) { r.Policy(PolicySchema{Attributes: []Attr{{Key: "bm", Numeric: true}}}, i, row) })
			}
		}
	}
	return out
}

func rows(members ...*portfolio.Aggregate) []model.Row { return read(asOf, members...) }

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

// upTo keeps what was recorded by the as-of date.
func upTo(a *portfolio.Aggregate) *portfolio.Aggregate {
	kept := &portfolio.Aggregate{}
	for _, c := range a.Customers {
		if c.RecordedAt <= asOf {
			kept.Customers = append(kept.Customers, c)
		}
	}
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
		if c.At.Date() > asOf {
			continue
		}
		if c.ResolvedAt.Date() > asOf {
			c.ResolvedAt = 0
		}
		kept.Contacts = append(kept.Contacts, c)
	}
	kept.Sort()
	return kept
}

// rewritten has other things recorded after the as-of date, and more of them.
func rewritten(r *rand.Rand, a *portfolio.Aggregate) *portfolio.Aggregate {
	out, other := upTo(a), history(r, a.ID())
	later := func() portfolio.Version {
		v := portfolio.Version{RecordedAt: asOf + 1 + portfolio.Date(r.IntN(300))}
		v.ValidFrom = v.RecordedAt - portfolio.Date(r.IntN(900)) // of what it is true may be long ago
		return v
	}
	for _, c := range other.Customers {
		c.Version = later()
		out.Customers = append(out.Customers, c)
	}
	for _, p := range other.Policies {
		p.Version = later()
		out.Policies = append(out.Policies, p)
	}
	for _, c := range other.Claims {
		c.Version = later()
		out.Claims = append(out.Claims, c)
	}
	for _, c := range other.Contacts {
		c.At, c.ResolvedAt = at(asOf+1+portfolio.Date(r.IntN(300))), 0
		out.Contacts = append(out.Contacts, c)
	}
	for i := range out.Contacts {
		if c := &out.Contacts[i]; c.ResolvedAt == 0 && r.IntN(2) == 0 {
			c.ResolvedAt = max(c.At, at(asOf+1+portfolio.Date(r.IntN(300))))
		}
	}
	out.Sort()
	return out
}

// TestTheFutureChangesNothing rewrites everything that was recorded after the as-of date,
// moves between households included, and drops it, and finds no feature changed.
func TestTheFutureChangesNothing(t *testing.T) {
	changed := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		a, b := history(r, "c"), history(r, "d")
		before := rows(a, b)
		if !same(before, rows(upTo(a), upTo(b))) {
			t.Fatalf("seed %d: dropping the future changes a feature", seed)
		}
		x, y := rewritten(r, a), rewritten(r, b)
		if !same(before, rows(x, y)) {
			t.Fatalf("seed %d: rewriting the future changes a feature", seed)
		}
		if !same(read(asOf+400, a, b), read(asOf+400, x, y)) {
			changed++
		}
	}
	if changed < 290 {
		t.Errorf("of 300 futures %d differ: nothing was rewritten", changed)
	}
}

// TestEveryFeatureSays something: in what is made for these tests each takes several values,
// and is missing where it may be.
func TestEveryFeatureSays(t *testing.T) {
	nums, cats := map[string]map[float64]bool{}, map[string]map[string]bool{}
	note := func(fields []model.Field, row *model.Row) {
		for i, f := range fields {
			if f.Kind == model.Category {
				if cats[f.Name] == nil {
					cats[f.Name] = map[string]bool{}
				}
				cats[f.Name][row.Cat[i]] = true
			} else if v := row.Num[i]; v == v {
				if nums[f.Name] == nil {
					nums[f.Name] = map[float64]bool{}
				}
				nums[f.Name][v] = true
			}
		}
	}
	schema := PolicySchema{Attributes: []Attr{{Key: "bm", Numeric: true}}}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		for _, row := range rows(history(r, "c"), history(r, "d")) {
			for _, fields := range [][]model.Field{OfferFields(), HazardFields(), schema.Fields()} {
				if len(row.Num) == len(fields) {
					note(fields, &row)
				}
			}
		}
	}
	for _, fields := range [][]model.Field{OfferFields(), HazardFields(), schema.Fields()} {
		for _, f := range fields {
			if len(nums[f.Name]) < 2 && len(cats[f.Name]) < 2 {
				t.Errorf("%s takes the values %v%v", f.Name, nums[f.Name], cats[f.Name])
			}
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
		p := portfolio.Policy{Attributes: []portfolio.Attribute{{Key: "bm", Value: fmt.Sprint(i % 20)}, {Key: "fuel", Value: " diesel"}, {Key: "Gender", Value: "f"}}}
		if i == 0 {
			p.Attributes = append(p.Attributes, portfolio.Attribute{Key: "rare", Value: "x"})
		}
		s.Add(&p)
	}
	want := []Attr{{Key: "bm", Numeric: true}, {Key: "fuel", Values: []string{"diesel"}}}
	if got, _ := s.Schema(Settings{}); !reflect.DeepEqual(got.Attributes, want) {
		t.Errorf("rating factors %v, want %v", got, want)
	}
}

// TestHazardsReadRatingFactors: rows of hazards end with attributes, a policy's with its own
// and a relation's with those of the policy with the most premium; without a schema with none.
func TestHazardsReadRatingFactors(t *testing.T) {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", Version: portfolio.Version{RecordedAt: asOf - 400, ValidFrom: asOf - 400}}}}
	for i, bm := range []string{"3", "11", ""} {
		p := portfolio.Policy{
			ID: fmt.Sprint(i), CustomerID: "c", Branch: "motor", Status: portfolio.Active, StartDate: asOf - 400, AnnualPremium: portfolio.Cents(i%2*5000 + 10_000),
			Version: portfolio.Version{RecordedAt: asOf - 400, ValidFrom: asOf - 400},
		}
		if bm != "" {
			p.Attributes = []portfolio.Attribute{{Key: "fuel", Value: "diesel"}, {Key: "bm", Value: bm}}
		}
		a.Policies = append(a.Policies, p)
	}
	var v portfolio.View
	v.Reset(a, asOf, portfolio.DefaultEnds)
	var g Group
	g.Reset([]*portfolio.View{&v})
	s := PolicySchema{Attributes: []Attr{{Key: "bm", Numeric: true}, {Key: "fuel", Values: []string{"diesel"}}}}
	r, row := Reader{Schema: s}, model.Row{}
	last := func(of []model.Field) (bm float64, fuel string) {
		n := len(of) - 2
		if len(row.Num) != len(of) || of[n].Name != "attribute_bm" || of[n+1].Name != "attribute_fuel" {
			t.Fatalf("%d values for fields that end with %s, %s", len(row.Num), of[n].Name, of[n+1].Name)
		}
		return row.Num[n], row.Cat[n+1]
	}
	r.Hazard(Input{&v, &g}, &row)
	if bm, fuel := last(s.HazardFields()); bm != 11 || fuel != "diesel" {
		t.Errorf("of the relation: %v, %q", bm, fuel)
	}
	r.PolicyHazards(Input{&v, &g}, &row)
	for i, want := range []float64{3, 11, math.NaN()} {
		r.PolicyHazard(i, &row)
		if bm, fuel := last(s.PolicyHazardFields()); bm != want && want == want || bm == bm && want != want || (fuel == "") != (want != want) {
			t.Errorf("of policy %d: %v, %q", i, bm, fuel)
		}
	}
	r.Schema = PolicySchema{}
	if r.Hazard(Input{&v, &g}, &row); len(row.Num) != len(HazardFields()) {
		t.Errorf("without a schema: %d values", len(row.Num))
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	a := history(rand.New(rand.NewPCG(3, 4)), "c")
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
		in := Input{&v, &g}
		r.Offer(in, &row)
		r.Policies(in)
		for i := range v.Policies {
			r.Policy(PolicySchema{}, i, &row)
		}
		r.Hazard(in, &row)
		for k := 1; k <= 36; k++ {
			r.SetMonth(&row, k)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a customer", n)
	}
}

// TestWhatIsBroughtInIsNoFeature: a version that holds only that is no mutation, and its
// attributes are no rating factors.
func TestWhatIsBroughtInIsNoFeature(t *testing.T) {
	var s Survey
	for _, key := range []string{portfolio.RebuildValue, portfolio.RebuildDate, portfolio.RebuildSource, "build_year"} {
		s.Add(&portfolio.Policy{Attributes: []portfolio.Attribute{{Key: key, Value: "1"}}})
	}
	if got, _ := s.Schema(Settings{}); len(got.Attributes) != 1 || got.Attributes[0].Key != "build_year" {
		t.Errorf("rating factors are %v", got)
	}
	known := portfolio.Policy{ID: "p", CustomerID: "c", Branch: "building", StartDate: asOf - 900, Status: portfolio.Active, Version: portfolio.Version{RecordedAt: asOf - 900, ValidFrom: asOf - 900}}
	brought := known
	brought.RecordedAt, brought.Reason = asOf-9, enrichment.Reason
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", Version: known.Version}}, Policies: []portfolio.Policy{known, brought}}
	var v portfolio.View
	v.Reset(a, asOf, portfolio.DefaultEnds)
	var g Group
	g.Reset([]*portfolio.View{&v})
	var f facts
	if f.reset(Input{View: &v, Group: &g}); f.mutations != 0 {
		t.Errorf("%d mutations", f.mutations)
	}
}
