package train

import (
	"math"
	"testing"

	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
)

// TestPurchases: what is a purchase, who is asked, and for which share of the year.
func TestPurchases(t *testing.T) {
	carried := policy("t", "travel", then+50, 0, "")
	carried[0].Reason = "overgevoerd"
	renumbered := policy("s", "travel", then-99, then+50, "renumbered")
	early := policy("t", "travel", then+5, 0, "")
	early[0].Version = recorded(then - 5)
	type policies = [][]portfolio.Policy
	for name, tc := range map[string]struct {
		policies policies
		asked    float64 // years
		bought   float64
	}{
		"does not buy":                 {nil, 1, 0},
		"buys":                         {policies{policy("t", "travel", then+50, 0, "")}, 1, 1},
		"buys on the last day":         {policies{policy("t", "travel", until, 0, "")}, 1, 1},
		"buys the same day":            {policies{policy("t", "travel", then, 0, "")}, 0, 0},
		"buys a year later":            {policies{policy("t", "travel", until+1, 0, "")}, 1, 0},
		"buys twice":                   {policies{policy("t", "travel", then+50, 0, ""), policy("u", "travel", then+50, 0, "")}, 1, 1},
		"has it":                       {policies{policy("t", "travel", then-50, 0, "")}, 0, 0},
		"has arranged it":              {policies{early}, 0, 0},
		"is moved to another":          {policies{policy("s", "travel", then-99, then-5, "lapse"), policy("t", "travel", then+20, 0, "")}, 1, 0},
		"moved 45 days later":          {policies{policy("s", "travel", then-99, then-5, "lapse"), policy("t", "travel", then+40, 0, "")}, 1, 0},
		"comes back after 46":          {policies{policy("s", "travel", then-99, then-5, "lapse"), policy("t", "travel", then+41, 0, "")}, 1, 1},
		"comes back after all":         {policies{policy("s", "travel", then-400, then-300, "lapse"), policy("t", "travel", then+20, 0, "")}, 1, 1},
		"buys, then moves it":          {policies{policy("s", "travel", then+50, then+200, "lapse"), policy("t", "travel", then+210, 0, "")}, 1, 1},
		"is carried over":              {policies{carried}, 1, 0},
		"renumbered while in force":    {policies{renumbered, policy("t", "travel", then+50, 0, "")}, 0, 0},
		"undone within 14 days":        {policies{policy("t", "travel", then+50, then+64, "lapse")}, 1, 0},
		"ended after 15":               {policies{policy("t", "travel", then+50, then+65, "lapse")}, 1, 1},
		"never began":                  {policies{policy("t", "travel", then+50, then+50, "lapse")}, 1, 0},
		"goes away after a fifth":      {policies{policy("p", "motor", then-500, then+73, "lapse")}, 0.2, 0},
		"goes away, and had bought":    {policies{policy("p", "motor", then-500, then+73, "lapse"), policy("t", "travel", then+50, then+73, "lapse")}, 1, 1},
		"another branch is taken over": {policies{policy("s", "pet", then-99, then+40, "lapse"), policy("t", "travel", then+50, 0, "")}, 1, 1},
	} {
		if len(tc.policies) == 0 || tc.policies[0][0].ID != "p" {
			tc.policies = append(tc.policies, policy("p", "motor", then-500, 0, ""))
		}
		f := collected(t, alone(customer(tc.policies...)))
		b := f.buyersOf("travel")
		if math.Abs(b.asked-tc.asked) > 1e-9 || b.bought != tc.bought || b.table.events() != tc.bought {
			t.Errorf("%s: asked for %v years, bought %v; want %v, %v", name, b.asked, b.bought, tc.asked, tc.bought)
		}
		if b.table.n == 1 && math.Abs(b.table.weight[0]-tc.asked) > 1e-9 {
			t.Errorf("%s: the row weighs %v", name, b.table.weight[0])
		}
		if f.buyersOf("life") != nil || f.buyersOf("cyber").asked > 0 {
			t.Errorf("%s: life, or what businesses buy, is asked for", name)
		}
	}
}

// vehicles is motor in three groups.
func vehicles() scoring.Settings {
	s := scoring.DefaultSettings()
	s.Nbp.Groups = nbp.Groups{
		{Code: "motorcycle", NL: "motorverzekering", EN: "motorcycle insurance", Branch: "motor", Attribute: "vehicle", Value: "motorcycle", Private: true},
		{Code: "van", NL: "bestelautoverzekering", EN: "van insurance", Branch: "motor", Attribute: "vehicle", Value: "van", Private: true, Business: true},
		{Code: "car", NL: "autoverzekering", EN: "car insurance", Branch: "motor", Private: true, Business: true, Essential: true},
	}
	return s
}

// TestPurchasesOfGroups: a branch may be held and one of its groups bought; what takes the
// place of another group of the branch is a replacement, unless that one has a successor of
// its own.
func TestPurchasesOfGroups(t *testing.T) {
	as := func(vehicle string, versions []portfolio.Policy) []portfolio.Policy {
		for i := range versions {
			versions[i].Attributes = []portfolio.Attribute{{Key: "vehicle", Value: vehicle}}
		}
		return versions
	}
	type policies = [][]portfolio.Policy
	for name, tc := range map[string]struct {
		policies policies
		want     map[string]float64 // bought by group that is asked
	}{
		"a motorcycle beside the car": {
			policies{policy("p", "motor", then-500, 0, ""), as("motorcycle", policy("q", "motor", then+30, 0, ""))},
			map[string]float64{"motorcycle": 1, "van": 0},
		},
		"a van for the car": {
			policies{policy("p", "motor", then-500, then+30, "sold"), as("van", policy("q", "motor", then+40, 0, ""))},
			map[string]float64{"motorcycle": 0, "van": 0},
		},
		"a new car, and a motorcycle": {
			policies{policy("p", "motor", then-500, then+30, "sold"), policy("r", "motor", then+30, 0, ""), as("motorcycle", policy("q", "motor", then+40, 0, ""))},
			map[string]float64{"motorcycle": 1, "van": 0},
		},
	} {
		f := collectedUnder(t, vehicles(), alone(customer(tc.policies...)))
		for _, g := range []string{"motorcycle", "van", "car"} {
			b := f.buyersOf(g)
			want, asked := tc.want[g]
			if (b.asked > 0) != asked || b.bought != want {
				t.Errorf("%s: %s asked %v, bought %v", name, g, b.asked, b.bought)
			}
		}
		if f.buyersOf("motor") != nil {
			t.Errorf("%s: the branch is a group still", name)
		}
		table := f.buyersOf("van").table
		car := len(table.fields) - len(nbp.Added) - 1
		if table.fields[car].Name != "holds_car" || table.num[car][0] != 1 {
			t.Errorf("%s: its place has %s, of %v", name, table.fields[car].Name, table.num[car])
		}
	}
}

// TestHouseholdsThatMerge: before they were one, each bought for itself; from then on what
// one of them holds is held.
func TestHouseholdsThatMerge(t *testing.T) {
	member := func(id, before string, policies ...[]portfolio.Policy) *portfolio.Aggregate {
		a := customer(policies...)
		a.Customers = []portfolio.Customer{
			{ID: id, HouseholdID: before, BirthYear: 1980, Version: known},
			{ID: id, HouseholdID: "both", BirthYear: 1980, Version: recorded(then + 100)},
		}
		a.Normalise(asOf)
		return a
	}
	f := collected(t, []*portfolio.Aggregate{
		member("a", "one", policy("p", "motor", then-500, 0, ""), policy("q", "travel", then-500, 0, "")),
		member("b", "two", policy("r", "contents", then-500, 0, ""), policy("s", "travel", then+200, 0, "")),
	})
	if b := f.buyersOf("travel"); b.asked != 1 || b.bought != 1 {
		t.Errorf("travel is asked %v times and bought %v: the second household alone had none, and bought", b.asked, b.bought)
	}
	if b := f.buyersOf("contents"); b.asked != 1 || b.bought != 0 {
		t.Errorf("contents is asked %v times and bought %v: moving in with who has it is no purchase", b.asked, b.bought)
	}
}

// TestObjectionsAreNotLearntFrom (GDPR art. 21).
func TestObjectionsAreNotLearntFrom(t *testing.T) {
	a := customer(policy("p", "motor", then-500, 0, ""), policy("t", "travel", then+50, 0, ""))
	a.Customers[0].Objects = true
	if b := collected(t, alone(a)).buyersOf("travel"); b.asked != 0 || b.table.n != 0 {
		t.Errorf("asked %v times", b.asked)
	}
}

// TestAGroupIsLikeItsBook: where all buy twice as much as the market, a group of which next to
// nothing was seen is expected to be bought twice as much as well; its own purchases count
// against that.
func TestAGroupIsLikeItsBook(t *testing.T) {
	s := settings()
	s.Nbp.Market = map[string]nbp.Market{"boat": {Rate: 0.01, Source: "made"}}
	f := fitter{o: Options{Settings: s}}
	if err := f.newBuyers(); err != nil {
		t.Fatal(err)
	}
	for code, of := range map[string]struct{ asked, bought float64 }{"travel": {50_000, 2000}, "legal": {50_000, 2000}, "boat": {10, 0}, "pet": {5000, 30}} {
		b := f.buyersOf(code)
		b.premium, b.asked, b.bought = mean{100, 1}, of.asked, of.bought
	}
	f.ofBook()
	for code, want := range map[string][2]float64{"boat": {0.0185, 0.0199}, "pet": {0.006, 0.01}, "cyber": {0.038, 0.04}} {
		if got := f.buyersOf(code).rate(&s.Nbp); !(got > want[0] && got < want[1]) {
			t.Errorf("%s: a rate of %v, want %v", code, got, want)
		}
	}
	// Of a book that says nothing it is the market's.
	f = fitter{o: Options{Settings: s}}
	if err := f.newBuyers(); err != nil {
		t.Fatal(err)
	}
	f.ofBook()
	if got := f.buyersOf("boat").rate(&s.Nbp); got != 0.01 {
		t.Errorf("boats without a book: %v", got)
	}
}

// TestWhatAModelRestsOn: the market's rate, both by credibility, or the book's own; and the
// shift takes the mean to the market's rate.
func TestWhatAModelRestsOn(t *testing.T) {
	s := nbp.Defaults()
	s.Market = map[string]nbp.Market{"travel": {Rate: 0.1, Source: "made"}}
	for _, tc := range []struct {
		bought, of int
		basis      nbp.Basis
		weight     float64
		rate       float64 // of the model
	}{
		{0, 0, nbp.FromMarket, 0, 0.1},
		{0, 400, nbp.Blended, 0.6667, 0.0333},
		{20, 400, nbp.Blended, 0.6667, 0.0667},
		{40, 400, nbp.Blended, 0.6667, 0.1},
		{100, 400, nbp.Own, 1, 0.25},
	} {
		g, err := nbp.NewGrouping(nil)
		if err != nil {
			t.Fatal(err)
		}
		b := buyers{Group: &nbp.Group{Code: "travel", Branch: "travel"}, table: newTable(g.Fields(), make([]bool, len(g.Fields())), 1000), premium: mean{500, 5}, book: 1}
		f := fitter{o: Options{Progress: func(string, int, int) {}, AsOf: asOf, Settings: &scoring.Settings{Nbp: s}}}
		row := f.row
		row.Num, row.Cat = make([]float64, len(g.Fields())), make([]string, len(g.Fields()))
		for i := range tc.of {
			y := 0.0
			if i < tc.bought {
				y = 1
			}
			b.table.add(string(rune('a'+i)), &row, y, 1, 0)
			b.asked, b.bought = b.asked+1, b.bought+y
		}
		p := b.place(&s)
		p.buyers = &b
		common := model.Constant(g.Fields(), model.Logistic, -1, "")
		m, err := f.one(t.Context(), p, common)
		if err != nil {
			t.Fatal(err)
		}
		both := &nbp.Model{Common: common, Groups: map[string]score.Model{"travel": m}, Fitted: map[string]nbp.Fitted{}}
		got, err := b.fitted(&s, both, !p.tooFew(), false)
		if err != nil {
			t.Fatal(err)
		}
		link := both.Link("travel", row)
		if got.Basis != tc.basis || math.Abs(got.Weight-tc.weight) > 1e-4 || math.Abs(m.Mean(link)-tc.rate) > 1e-4 || got.Premium != 100 {
			t.Errorf("%d of %d: %+v, rate %v", tc.bought, tc.of, got, m.Mean(link))
		}
		if at := m.Mean(link + got.Shift); math.Abs(at-0.1) > 1e-5 {
			t.Errorf("%d of %d: at the market's rate it is %v", tc.bought, tc.of, at)
		}
	}
}
