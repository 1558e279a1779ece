package churn_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

// book draws a household: policies that run, that have ended, that are still to begin, and
// some whose end is recorded ahead.
func book(t *rapid.T) *feature.Group {
	var members []*portfolio.Aggregate
	for m := range rapid.IntRange(1, 3).Draw(t, "members") {
		id := fmt.Sprint("c", m)
		a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: id, HouseholdID: "h", BirthYear: 1980, Objects: rapid.IntRange(0, 5).Draw(t, "objects") == 0, Version: known}}}
		for i := range rapid.IntRange(0, 5).Draw(t, "policies") {
			p := portfolio.Policy{
				ID: fmt.Sprint(id, "-", i), CustomerID: id, AnnualPremium: 30000, Status: portfolio.Active, Version: known,
				Branch:    rapid.SampledFrom([]string{"motor", "contents", "travel", "legal", "life", "drone"}).Draw(t, "branch"),
				StartDate: asOf + portfolio.Date(rapid.IntRange(-3000, 20).Draw(t, "start")),
			}
			if rapid.Bool().Draw(t, "contract") {
				p.ContractEnd = p.StartDate + portfolio.Date(rapid.IntRange(1, 4000).Draw(t, "contract end"))
			}
			if rapid.IntRange(0, 4).Draw(t, "ends") == 0 {
				p.EndDate, p.EndReason = max(p.StartDate, asOf+portfolio.Date(rapid.IntRange(-300, 1300).Draw(t, "end"))), rapid.SampledFrom([]string{"lapse", "sold", "replaced"}).Draw(t, "reason")
			}
			a.Policies = append(a.Policies, p)
		}
		members = append(members, a)
	}
	return scoretest.Input(asOf, members...).Group
}

// anyModel draws hazards that move with the months, some of them absurd.
func anyModel(tb testing.TB, t *rapid.T) *Model {
	link := rapid.OneOf(rapid.Float64Range(-8, -1), rapid.Float64Range(-30, 30))
	made := func(fields []model.Field, name string) *model.Model {
		steps := []scoretest.Step{{Field: "month_calendar", Edges: []float64{3, 6, 9}, Values: rapid.SliceOfN(rapid.Float64Range(-2, 2), 5, 5).Draw(t, name+" by month")}}
		if len(fields) == len(feature.PolicyHazardFields()) {
			steps = append(steps, scoretest.Step{Field: "policy_month_renewal", Edges: []float64{1}, Values: []float64{0, 2, -1}})
		}
		return scoretest.Model(tb, fields, model.Logistic, link.Draw(t, name), steps...)
	}
	share := rapid.Float64Range(0, 1)
	shares := func(name string) (out [3]float64) {
		for i := range out {
			out[i] = share.Draw(t, name)
		}
		return out
	}
	return &Model{
		Definition: rapid.SampledFrom([]Definition{"", OnePolicy, OneBranch, AllNonLife, AllEssential, All}).Draw(t, "definition"),
		Lapse:      made(feature.HazardFields(), "lapse"), Other: made(feature.HazardFields(), "other"),
		PolicyLapse: made(feature.PolicyHazardFields(), "policy lapse"), PolicyOther: made(feature.PolicyHazardFields(), "policy other"),
		Book: Book{AlongLapse: shares("along"), AlongOther: shares("along otherwise"), Otherwise: [2][3]float64{{0, share.Draw(t, "otherwise of two"), share.Draw(t, "otherwise of more")}, shares("otherwise beside")}, Carried: [2]float64{share.Draw(t, "carried on"), share.Draw(t, "carried on otherwise")}, Fade: Fade{
			Rate: rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 10)).Draw(t, "fade"), Lapse: share.Draw(t, "mean"), Other: share.Draw(t, "mean of others"),
			PolicyLapse: share.Draw(t, "mean of policies"), PolicyOther: share.Draw(t, "mean of others of policies"),
		}},
	}
}

// near is what rounding in 36 months may add up to.
const near = 1e-12

// TestOneLaw holds all figures to what the package promises by construction, on any models
// and households.
func TestOneLaw(tb *testing.T) {
	rapid.Check(tb, func(t *rapid.T) {
		m, g := anyModel(tb, t), book(t)
		e := New(m)
		var r Result
		e.Score(g, &r)
		if r.Status != score.Scored {
			return
		}
		whole := m.Definition
		if whole == "" {
			whole = AllEssential
		}
		one := whole == OnePolicy || whole == OneBranch
		whole = whole.Relation().Of(g)
		for k := 1; k <= Horizon; k++ {
			other := max(0, 1-r.Lapsed[k]-r.Alive[k])
			if sum := r.Lapsed[k] + r.Alive[k] + other; math.Abs(sum-1) > 0x1p-52 {
				t.Fatalf("month %d: lapsed, alive and other add up to 1%+g", k, sum-1)
			}
			if r.Lapsed[k] < r.Lapsed[k-1] || r.Alive[k] > r.Alive[k-1] || r.Headline[k] < r.Headline[k-1] || r.Alive[k] < 0 || r.Headline[k] > 1 {
				t.Fatalf("month %d: lapsed %v after %v, alive %v after %v, headline %v after %v", k, r.Lapsed[k], r.Lapsed[k-1], r.Alive[k], r.Alive[k-1], r.Headline[k], r.Headline[k-1])
			}
			if one && r.Headline[k] < r.Lapsed[k]-near {
				t.Fatalf("month %d: something lapses with %v, the relation with %v", k, r.Headline[k], r.Lapsed[k])
			}
		}
		ends := func(what string, x *Ends) {
			for i := range Horizons {
				if !(x.Lapsed[i] >= 0 && x.Alive[i] >= 0) || x.Lapsed[i]+x.Alive[i] > 1+0x1p-52 {
					t.Fatalf("%s: lapsed %v, alive %v", what, x.Lapsed[i], x.Alive[i])
				}
				if i > 0 && (x.Lapsed[i] < x.Lapsed[i-1] || x.Alive[i] > x.Alive[i-1]) {
					t.Fatalf("%s: lapsed %v, alive %v", what, x.Lapsed, x.Alive)
				}
			}
			if x.Renewal < 0 || x.Renewal > 1 {
				t.Fatalf("%s: %v of the lapses at renewals", what, x.Renewal)
			}
		}
		branches := map[string]*Branch{}
		for i := range r.Branches {
			b := &r.Branches[i]
			branches[b.Name] = b
			ends(b.Name, &b.Ends)
			if m.Definition == OneBranch {
				for i, k := range Horizons {
					if b.Lapsed[i] > r.Headline[k]+near {
						t.Fatalf("%s lapses with %v, some branch with %v", b.Name, b.Lapsed[i], r.Headline[k])
					}
				}
			}
		}
		for i := range r.Policies {
			p := &r.Policies[i]
			ends(p.ID, &p.Ends)
			b := branches[p.Branch]
			for i, k := range Horizons {
				if whole.Counts(p.Branch) && p.Alive[i] > r.Alive[k]+near {
					t.Fatalf("%s goes on with %v, its relation with %v", p.ID, p.Alive[i], r.Alive[k])
				}
				if p.Alive[i] > b.Alive[i]+near {
					t.Fatalf("%s goes on with %v, its branch with %v", p.ID, p.Alive[i], b.Alive[i])
				}
				if m.Definition == OnePolicy && p.Lapsed[i] > r.Headline[k]+near {
					t.Fatalf("%s lapses with %v, some policy with %v", p.ID, p.Lapsed[i], r.Headline[k])
				}
			}
			if b.Policies == 1 && p.Lapsed != b.Lapsed {
				t.Fatalf("%s lapses with %v, its branch with %v", p.ID, p.Lapsed, b.Lapsed)
			}
		}
		if m.Definition == OnePolicy {
			some := *m
			some.Definition = OneBranch
			var s Result
			New(&some).Score(g, &s)
			for k := range s.Headline {
				if s.Headline[k] > r.Headline[k]+near {
					t.Fatalf("month %d: some branch lapses with %v, some policy with %v", k, s.Headline[k], r.Headline[k])
				}
			}
		}
	})
}

// TestOnePolicyOneRelation: where one policy counts, policy, branch and relation are one, by
// the policy's hazards; and where a share of relations is carried on, the policy has ended
// the more probably.
func TestOnePolicyOneRelation(t *testing.T) {
	m := flat(0.5, 0.1, 0.02, 0.005)
	r := scored(m, relation("motor"))
	for i, k := range Horizons {
		alive := math.Pow(1-0.02-0.005, float64(k))
		if p := &r.Policies[0]; math.Abs(p.Lapsed[i]-r.Lapsed[k]) > near || math.Abs(p.Alive[i]-r.Alive[k]) > near || p.Lapsed != r.Branches[0].Lapsed || math.Abs(r.Alive[k]-alive) > near {
			t.Errorf("month %d: policy %v, relation %v", k, p.Lapsed[i], r.Lapsed[k])
		}
	}
	if r.Of != "a" || r.Experience != r.PolicyExperience {
		t.Errorf("stood for by %q, on %+v", r.Of, r.Experience)
	}
	m.Book.Carried = [2]float64{0.1, 0.2}
	carried := scored(m, relation("motor"))
	for i, k := range Horizons {
		const lapse, other = 0.02 * 0.9, 0.005 * 0.8
		alive := math.Pow(1-lapse-other, float64(k))
		if math.Abs(carried.Alive[k]-alive) > near || math.Abs(carried.Lapsed[k]-(1-alive)*lapse/(lapse+other)) > near {
			t.Errorf("month %d: lapsed %v, alive %v", k, carried.Lapsed[k], carried.Alive[k])
		}
		if p := &carried.Policies[0]; math.Abs(p.Lapsed[i]-r.Policies[0].Lapsed[i]) > near || math.Abs(p.Alive[i]-r.Policies[0].Alive[i]) > near {
			t.Errorf("month %d: policy lapsed %v, where none is carried on %v", k, p.Lapsed[i], r.Policies[0].Lapsed[i])
		}
	}
}

// TestOwnerStandsForTheRelation: the reasons are those of who owns the only policy that
// counts, and another member's only for that one to hear.
func TestOwnerStandsForTheRelation(t *testing.T) {
	r, in := standing(flat(0.03, 0.001, 0.01, 0.001), false)
	if r.Of != "m" || math.Abs(r.Lapsed[1]-0.01) > near {
		t.Errorf("of %q, lapsed within a month %v", r.Of, r.Lapsed[1])
	}
	var own Result
	for i, v := range in.Group.Views {
		in.View = v
		if r.Member(in, &own); own.Another != (i != r.Whose) {
			t.Errorf("the reasons of %s are another's: %v", v.ID, own.Another)
		}
	}
}

// standing scores a household in which the only policy that counts is a member's who objects,
// or not.
func standing(m *Model, objects bool) (*Result, feature.Input) {
	start := portfolio.MustDate(2020, 7, 1)
	in := scoretest.Input(asOf,
		customer("c", false, policy("t", "travel", start, 0, ""), policy("l", "legal", start, 0, "")),
		customer("d", objects, policy("m", "motor", start, 0, "")))
	var r Result
	New(m).Score(in.Group, &r)
	return &r, in
}

// TestTheMeanStandsForWhoObjects: where the only policy that counts is of who objects, its
// relation ends as policies of the book do in the mean, whatever the models would say of it,
// and beyond the months that are looked at too.
func TestTheMeanStandsForWhoObjects(t *testing.T) {
	m := flat(0.03, 0.001, 0.2, 0.1)
	m.Book.Fade = Fade{Rate: 0.3, Lapse: 0.005, Other: 0.001, PolicyLapse: 0.012, PolicyOther: 0.003}
	m.Book.Carried = [2]float64{0.1, 0.2}
	for is, want := range map[Basis]Basis{Own: Mean, Blended: Blended, FromMarket: FromMarket} {
		m.Book.Relations, m.Book.Policies = Experience{Own, 1, 90}, Experience{is, 0.7, 30}
		r, in := standing(m, true)
		const lapse, other = 0.012 * 0.9, 0.003 * 0.8
		for k := range r.Alive {
			alive := math.Pow(1-lapse-other, float64(k))
			if math.Abs(r.Alive[k]-alive) > near || math.Abs(r.Lapsed[k]-(1-alive)*lapse/(lapse+other)) > near {
				t.Fatalf("%s, month %d: lapsed %v, alive %v", is, k, r.Lapsed[k], r.Alive[k])
			}
		}
		if f, want := r.Force(Horizon, Horizon+12), -12*math.Log(1-lapse-other); math.Abs(f-want) > 1e-3 { // e to its negative, to first order
			t.Errorf("%s: the fourth year has a force of %v, want %v", is, f, want)
		}
		if (r.Experience != Experience{want, 0.7, 30}) || r.Band != score.Low || r.Whose != Nobody || r.Of != "" || len(r.Reasons.Top) != 0 || r.Reasons.Link != 0 {
			t.Errorf("%s: on %+v, band %s, whose %d, of %q, %+v", is, r.Experience, r.Band, r.Whose, r.Of, r.Reasons)
		}
		var own Result
		if r.Member(in, &own); own.Another {
			t.Errorf("%s: there are no reasons, and they are another's", is)
		}
	}
}

// TestOneChanceForMany puts nobody above anybody: its band is the lowest, whatever the number.
func TestOneChanceForMany(t *testing.T) {
	m := flat(0.03, 0.001, 0.05, 0.001)
	for basis, want := range map[Basis]score.Band{Own: score.VeryHigh, Blended: score.Low, FromMarket: score.Low} {
		m.Book.Relations.Basis, m.Book.Policies.Basis = basis, basis
		for _, g := range []*feature.Group{relation("motor"), relation("motor", "contents")} {
			if r := scored(m, g); r.Band != want {
				t.Errorf("%s, %d policies: %v", basis, g.Policies, r.Band)
			}
		}
	}
}

// TestPoliciesInClosedForm: with hazards that do not change, a policy ends by its own,
// whatever its relation does; and with its relation where that ends more probably.
func TestPoliciesInClosedForm(t *testing.T) {
	const lapse, other, ends, along = 0.03, 0.008, 0.003, 0.25
	for _, tc := range []struct{ relation, want float64 }{
		{0.02, lapse * (1 - math.Pow(1-lapse-other, 12)) / (lapse + other)},
		{0.06, 0.06 * (1 - math.Pow(1-0.06-ends, 12)) / (0.06 + ends)},
	} {
		m := flat(tc.relation, ends, lapse, other)
		m.Book.AlongLapse, m.Book.AlongOther = [3]float64{0, along, 1}, [3]float64{0, along, 1}
		r := scored(m, relation("motor", "contents", "travel"))
		if got := r.Policies[0].Lapsed[3]; math.Abs(got-tc.want) > near {
			t.Errorf("motor lapses with %v, want %v", got, tc.want)
		}
		if got, want := r.Policies[2].Lapsed[3], lapse*(1-math.Pow(1-lapse-other, 12))/(lapse+other); math.Abs(got-want) > near {
			t.Errorf("travel lapses with %v, want %v", got, want)
		}
	}
}

// TestOtherwise: of policies that end as their relation lapses, some end in another way; a
// branch lapses with one of its policies, and one that has all that count as the relation does.
func TestOtherwise(t *testing.T) {
	m := flat(0.02, 0.005, 1e-300, 1e-300)
	m.Book.AlongLapse, m.Book.AlongOther = [3]float64{1, 1, 1}, [3]float64{1, 1, 1}
	m.Book.Otherwise = [2][3]float64{{0, 0.1, 0.2}, {0.3, 0.4, 0.5}}
	for name, tc := range map[string]struct {
		branches []string
		policy   []float64 // shares of the relation's lapses
		branch   []float64
	}{
		"one that counts":      {[]string{"motor"}, []float64{1}, []float64{1}},
		"one and one beside":   {[]string{"motor", "travel"}, []float64{1, 0.7}, []float64{1, 0.7}},
		"two of one branch":    {[]string{"motor", "motor", "travel"}, []float64{0.9, 0.9, 0.6}, []float64{1, 0.6}},
		"three of two":         {[]string{"motor", "motor", "contents"}, []float64{0.8, 0.8, 0.8}, []float64{1 - 0.04, 0.8}},
		"two beside of a kind": {[]string{"motor", "travel", "travel"}, []float64{1, 0.7, 0.7}, []float64{1, 1 - 0.09}},
	} {
		r := scored(m, relation(tc.branches...))
		for i, k := range Horizons {
			for p, want := range tc.policy {
				if got := r.Policies[p].Lapsed[i] / r.Lapsed[k]; math.Abs(got-want) > 1e-12 {
					t.Errorf("%s: policy %d lapses in %v of the relation's lapses, want %v", name, p, got, want)
				}
			}
			for b, want := range tc.branch {
				if got := r.Branches[b].Lapsed[i] / r.Lapsed[k]; math.Abs(got-want) > 1e-12 {
					t.Errorf("%s: %s lapses in %v of the relation's lapses, want %v", name, r.Branches[b].Name, got, want)
				}
			}
			if p := &r.Policies[0]; math.Abs(p.Alive[i]-r.Alive[k]) > 1e-12 {
				t.Errorf("%s: goes on with %v, the relation with %v", name, p.Alive[i], r.Alive[k])
			}
		}
	}
}

// TestRenewalsAreToldApart: hazards twenty times as high in the month of renewal put most
// lapses there; all in it where they are nothing else.
func TestRenewalsAreToldApart(t *testing.T) {
	m := flat(1e-9, 1e-9, 0.002, 1e-9)
	m.PolicyLapse = scoretest.Model(t, feature.PolicyHazardFields(), model.Logistic, -12, scoretest.Step{Field: "policy_month_renewal", Edges: []float64{1}, Values: []float64{0, 9, 0}})
	r := scored(m, relation("motor", "contents"))
	p := &r.Policies[0]
	if p.Renews != portfolio.MustDate(2026, 7, 1) || !(p.Renewal > 0.99) || p.Lapsed[1] > 1e-4 || p.Lapsed[2] < 0.04 {
		t.Errorf("renews %v, lapsed %v, of these at renewals %v", p.Renews, p.Lapsed, p.Renewal)
	}
	level := scored(flat(0.01, 0.001, 0.01, 0.001), relation("motor", "contents"))
	if s := level.Policies[0].Renewal; math.Abs(s-1.0/12) > 0.01 || math.Abs(level.Renewal-1.0/12) > 0.01 {
		t.Errorf("of lapses that are alike in all months %v and %v fall on renewals", s, level.Renewal)
	}
}

// TestDefinitionsOrder: of one relation, more is asked for from one policy to all.
func TestDefinitionsOrder(t *testing.T) {
	g := relation("motor", "motor", "contents", "travel", "life")
	last := 2.0
	for _, d := range []Definition{OnePolicy, OneBranch, AllEssential} {
		m := flat(0.01, 0.001, 0.02, 0.001)
		m.Definition = d
		r := scored(m, g)
		if r.Definition != d || !(r.Headline[12] < last) {
			t.Errorf("%s: %s, %v, after %v", d, r.Definition, r.Headline[12], last)
		}
		last = r.Headline[12]
	}
	for _, tc := range []struct {
		d        Definition
		branches []string
		want     Definition
	}{
		{AllNonLife, []string{"life", "travel"}, AllNonLife},
		{AllNonLife, []string{"life", "drone"}, AllNonLife},
		{AllNonLife, []string{"life", "funeral"}, All},
		{AllEssential, []string{"travel"}, All},
		{All, []string{"travel"}, All},
		{OnePolicy, []string{"travel"}, OnePolicy},
	} {
		if got := tc.d.Of(relation(tc.branches...)); got != tc.want {
			t.Errorf("%s of %v: %s, want %s", tc.d, tc.branches, got, tc.want)
		}
	}
	if !AllNonLife.Counts("disability") || AllNonLife.Counts("funeral") || AllEssential.Counts("travel") || !OnePolicy.Relation().Counts("motor") {
		t.Error("what counts is otherwise")
	}
}

func policy(id, branch string, start, end portfolio.Date, reason string) portfolio.Policy {
	return portfolio.Policy{ID: id, CustomerID: "c", Branch: branch, StartDate: start, EndDate: end, EndReason: reason, AnnualPremium: 30000, Status: portfolio.Active, Version: known}
}

func customer(id string, objects bool, policies ...portfolio.Policy) *portfolio.Aggregate {
	return &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: id, HouseholdID: "h", BirthYear: 1980, Objects: objects, Version: known}}, Policies: policies}
}

// TestEdges has the documented answer of each.
func TestEdges(t *testing.T) {
	m := flat(0.01, 0.001, 0.01, 0.001)
	score1 := func(members ...*portfolio.Aggregate) *Result {
		return scored(m, scoretest.Input(asOf, members...).Group)
	}
	old := asOf - 900
	t.Run("no policies", func(t *testing.T) {
		if r := score1(customer("c", false)); r.Status != score.NoPolicies || len(r.Policies)+len(r.Branches) != 0 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("only ended ones", func(t *testing.T) {
		if r := score1(customer("c", false, policy("p", "motor", old, asOf, "lapse"))); r.Status != score.NoPolicies {
			t.Errorf("%+v", r)
		}
	})
	t.Run("a policy starting tomorrow", func(t *testing.T) {
		if r := score1(customer("c", false, policy("p", "motor", asOf+1, 0, ""))); r.Status != score.NoPolicies {
			t.Errorf("alone: %+v", r)
		}
		r := score1(customer("c", false, policy("p", "motor", asOf+1, 0, ""), policy("q", "contents", old, 0, "")))
		if r.Status != score.Scored || len(r.Policies) != 1 || r.Policies[0].ID != "q" {
			t.Errorf("beside another: %+v", r.Policies)
		}
	})
	t.Run("a contract end in the past", func(t *testing.T) {
		p := policy("p", "motor", old, 0, "")
		p.ContractEnd = portfolio.MustDate(2024, 5, 15)
		if r := score1(customer("c", false, p)); r.Policies[0].Renews != portfolio.MustDate(2026, 5, 15) {
			t.Errorf("renews on %v", r.Policies[0].Renews)
		}
	})
	t.Run("a contract of several years", func(t *testing.T) {
		p := policy("p", "motor", old, 0, "")
		p.ContractEnd = asOf + 800
		r := score1(customer("c", false, p))
		if r.Policies[0].Renews != p.ContractEnd || r.Policies[0].Renewal != 0 {
			t.Errorf("renews on %v, %v of the lapses within a year fall on it", r.Policies[0].Renews, r.Policies[0].Renewal)
		}
	})
	t.Run("an end recorded ahead", func(t *testing.T) {
		r := score1(customer("c", false, policy("p", "motor", old, asOf+40, "lapse"), policy("q", "contents", old, 0, "")))
		if p := &r.Policies[0]; p.EndsOn != asOf+40 || p.Lapsed[0] > 0.02 || math.Abs(p.Lapsed[1]-1) > 0.01 || p.Alive[1] != 0 || r.EndsOn != 0 {
			t.Errorf("%+v", p)
		}
		r = score1(customer("c", false, policy("p", "motor", old, asOf+40, "lapse"), policy("q", "contents", old, asOf+30, "sold"), policy("t", "travel", old, 0, "")))
		if r.Whose != Nobody || len(r.Reasons.Top) != 0 {
			t.Errorf("a fact has reasons: %+v", r.Reasons)
		}
		if r.EndsOn != asOf+40 || r.Lapsed[1] != 0 || r.Lapsed[2] != 1 || r.Headline[12] != 1 || r.Alive[2] != 0 {
			t.Errorf("the relation ends on %v: %v", r.EndsOn, r.Lapsed[:4])
		}
	})
	t.Run("households merging", func(t *testing.T) {
		apart, together := customer("c", false, policy("p", "motor", old, 0, "")), customer("c", false, policy("p", "motor", old, 0, ""))
		r, s := score1(apart), score1(together, customer("d", false, policy("q", "contents", old, 0, "")))
		if len(r.Policies) != 1 || len(s.Policies) != 2 || len(s.Branches) != 2 {
			t.Errorf("apart %d policies, together %d in %d branches", len(r.Policies), len(s.Policies), len(s.Branches))
		}
		in := scoretest.Input(asOf, together, customer("d", false, policy("q", "contents", old, 0, "")))
		var of Result
		e := New(m)
		var whole Result
		e.Score(in.Group, &whole)
		for i, want := range []string{"p", "q"} {
			whole.Member(feature.Input{View: in.Group.Views[i], Group: in.Group}, &of)
			if len(of.Policies) != 1 || of.Policies[0].ID != want || len(of.Branches) != 2 || of.Headline != whole.Headline {
				t.Errorf("member %d: %+v", i, of.Policies)
			}
		}
	})
	t.Run("a relation that objects", func(t *testing.T) {
		if r := score1(customer("c", true, policy("p", "motor", old, 0, ""))); r.Status != score.Objected || len(r.Policies)+len(r.Branches) != 0 || r.Headline[12] != 0 {
			t.Errorf("%+v", r)
		}
		r := score1(customer("c", true, policy("p", "motor", old, 0, "")), customer("d", false, policy("q", "contents", old, 0, "")))
		if r.Status != score.Scored || len(r.Policies) != 1 || r.Policies[0].ID != "q" {
			t.Errorf("one who objects is scored: %+v", r.Policies)
		}
	})
	t.Run("a fleet", func(t *testing.T) {
		var fleet []portfolio.Policy
		for i := range 2000 {
			fleet = append(fleet, policy(fmt.Sprintf("v%04d", i), "motor", old-portfolio.Date(i%365), 0, ""))
		}
		r := score1(customer("c", false, fleet...))
		if len(r.Policies) != 2000 || len(r.Branches) != 1 || r.Branches[0].Policies != 2000 {
			t.Fatalf("%d policies in %d branches", len(r.Policies), len(r.Branches))
		}
		// Two thousand do not all end by themselves.
		for i, k := range Horizons {
			if b := &r.Branches[0]; math.Abs(b.Lapsed[i]-r.Lapsed[k]) > 1e-9 || math.Abs(b.Alive[i]-r.Alive[k]) > 1e-9 {
				t.Errorf("month %d: the branch lapses with %v, the relation with %v", k, b.Lapsed[i], r.Lapsed[k])
			}
		}
	})
}

// TestSettings names the field that breaks a rule.
func TestSettings(t *testing.T) {
	if err := Defaults.Check(); err != nil {
		t.Fatal(err)
	}
	for name, breaks := range map[string]func(*Settings){
		"definition":                  func(s *Settings) { s.Definition = "some" },
		"market.lapse":                func(s *Settings) { s.Market.Lapse = 1 },
		"market.other":                func(s *Settings) { s.Market.Other = math.NaN() },
		"market.relation_lapse":       func(s *Settings) { s.Market.RelationLapse = -1 },
		"market.relation_other":       func(s *Settings) { s.Market.RelationOther = 2 },
		"market.along":                func(s *Settings) { s.Market.Along = 2 },
		"prior_events":                func(s *Settings) { s.PriorEvents = -1 },
		"replacement_days":            func(s *Settings) { s.ReplacementDays = 367 },
		"own_events":                  func(s *Settings) { s.OwnEvents = 3 },
		"premium_changes.tail":        func(s *Settings) { s.Changes.Tail = 0.5 },
		"premium_changes.width":       func(s *Settings) { s.Changes.Width = 0 },
		"premium_changes.lapses":      func(s *Settings) { s.Changes.Lapses = 0 },
		"premium_changes.unannounced": func(s *Settings) { s.Changes.Unannounced = 2 },
	} {
		s := Defaults
		breaks(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, tc := range []struct {
		lapses, expected, weight float64
		basis                    Basis
	}{{0, 0, 0, FromMarket}, {0, 180, 0.9, Blended}, {20, 20, 0.5, Blended}, {49, 10, 0.3333, Blended}, {50, 10, 1, Own}} {
		if x := Defaults.Experience(tc.lapses, tc.expected); x.Basis != tc.basis || x.Weight != tc.weight || x.Lapses != tc.lapses {
			t.Errorf("%v lapses where %v were to be expected: %+v", tc.lapses, tc.expected, x)
		}
	}
}
