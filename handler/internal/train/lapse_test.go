package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"polis/handler/internal/churn"
	"polis/handler/internal/portfolio"
)

// TestPolicyMonths: what is learnt of a policy is how it ends, by itself or with its relation,
// until it is replaced; and of the only one that counts whether its relation ends with it.
func TestPolicyMonths(t *testing.T) {
	stays := policy("s", "contents", then-500, 0, "")
	p := func(end portfolio.Date, reason string) []portfolio.Policy {
		return policy("p", "motor", then-500, end, reason)
	}
	for name, tc := range map[string]struct {
		policies       [][]portfolio.Policy
		lapses, others float64
		along          [2][3][2]float64
		otherwise      [2][3][2]float64
		carried        [2][2]float64
	}{
		"stays":                 {policies: [][]portfolio.Policy{p(0, ""), stays}},
		"lapses":                {policies: [][]portfolio.Policy{p(then+100, "lapse"), stays}, lapses: 1},
		"is sold":               {policies: [][]portfolio.Policy{p(then+100, "sold"), stays}, others: 1},
		"is replaced":           {policies: [][]portfolio.Policy{p(then+100, "lapse"), policy("q", "motor", then+110, 0, ""), stays}},
		"is renumbered":         {policies: [][]portfolio.Policy{p(then+100, "renumbered"), stays}},
		"ends with all":         {policies: [][]portfolio.Policy{p(then+100, "lapse")}, lapses: 1, otherwise: [2][3][2]float64{{{0, 1}}}, carried: [2][2]float64{{0, 1}}},
		"ends with all, sold":   {policies: [][]portfolio.Policy{p(then+100, "sold"), policy("s", "contents", then-500, then+100, "lapse")}, lapses: 1, others: 1, otherwise: [2][3][2]float64{{{}, {1, 2}}}},
		"ends the month before": {policies: [][]portfolio.Policy{p(then+60, "lapse"), policy("s", "contents", then-500, then+100, "lapse")}, lapses: 2, otherwise: [2][3][2]float64{{{}, {0, 1}}}},
		"is carried on":         {policies: [][]portfolio.Policy{p(then+100, "lapse"), policy("s", "contents", then+20, 0, "")}, lapses: 1, carried: [2][2]float64{{1, 1}}},
		"is carried on, sold":   {policies: [][]portfolio.Policy{p(then+100, "sold"), policy("s", "contents", then+20, 0, "")}, others: 1, carried: [2][2]float64{{}, {1, 1}}},
		"ends a year later":     {policies: [][]portfolio.Policy{p(until+1, "lapse"), stays}},
		"travel goes along":     {lapses: 2, carried: [2][2]float64{{0, 1}}, policies: [][]portfolio.Policy{p(then+100, "lapse"), policy("t", "travel", then-500, then+100, "lapse")}, along: [2][3][2]float64{{{1, 1}}}, otherwise: [2][3][2]float64{{{0, 1}}, {{0, 1}}}},
		"travel stays":          {lapses: 1, carried: [2][2]float64{{0, 1}}, policies: [][]portfolio.Policy{p(then+100, "lapse"), policy("t", "travel", then-500, 0, "")}, along: [2][3][2]float64{{{0, 1}}}, otherwise: [2][3][2]float64{{{0, 1}}}},
		"travel stays of two": {
			policies: [][]portfolio.Policy{p(then+100, "deceased"), policy("s", "contents", then-500, then+100, "deceased"), policy("t", "travel", then-500, 0, "")},
			along:    [2][3][2]float64{{}, {{}, {0, 1}}}, others: 2,
		},
	} {
		f := collected(t, alone(customer(tc.policies...)))
		l := &f.lapses
		if l.policyLapses != tc.lapses || l.policyOthers != tc.others || l.policyLapse.events() != tc.lapses || l.policyOther.events() != tc.others {
			t.Errorf("%s: %v lapses and %v others, want %v and %v", name, l.policyLapses, l.policyOthers, tc.lapses, tc.others)
		}
		for i, c := range l.carried {
			if c.on != tc.carried[i][0] || c.all != tc.carried[i][1] {
				t.Errorf("%s: of %v relations %v were carried on, want %v", name, c.all, c.on, tc.carried[i])
			}
		}
		for i := range l.along {
			for k, a := range l.along[i] {
				if a.ended != tc.along[i][k][0] || a.all != tc.along[i][k][1] {
					t.Errorf("%s: of %v policies beside %d that count %v went along", name, a.all, k+1, a.ended)
				}
				if o := l.otherwise[i][k]; o.ended != tc.otherwise[i][k][0] || o.all != tc.otherwise[i][k][1] {
					t.Errorf("%s: of %v policies that ended as their relation lapsed %v did otherwise, want %v", name, o.all, o.ended, tc.otherwise[i][k])
				}
			}
		}
	}
	// An end that was recorded ahead is a fact by then.
	a := customer(p(then+20, "lapse"), stays)
	for i := range a.Policies {
		if a.Policies[i].EndDate != 0 {
			a.Policies[i].Version = portfolio.Version{RecordedAt: then - 5, ValidFrom: then + 20}
		}
	}
	a.Normalise(asOf)
	if f := collected(t, alone(a)); f.lapses.policyLapses != 0 || f.lapses.policyMonths != 12 {
		t.Errorf("an end that was known is learnt from: %v lapses in %v months", f.lapses.policyLapses, f.lapses.policyMonths)
	}
}

// TestFewEndsOfMany: that next to nothing ended of much is known, and no reason to expect what
// the market does; that nothing ever did, says that it was not recorded.
func TestFewEndsOfMany(t *testing.T) {
	book := func(lapses int) (relations [][]*portfolio.Aggregate) {
		for i := range 600 {
			end := portfolio.Date(0)
			if i < lapses {
				end = then + 100
			}
			a := customer(policy("p", "motor", then-500, end, "lapse"), policy("s", "contents", then-500, 0, ""))
			a.Customers[0].ID = fmt.Sprint("c", i)
			a.Normalise(asOf)
			relations = append(relations, alone(a))
		}
		return relations
	}
	yearly := func(lapses int) (float64, churn.Experience) {
		f := collected(t, book(lapses)...)
		for _, p := range f.ending() {
			if p.name == "policy_lapse" {
				return 12 / (1 + math.Exp(-p.prior)), f.churn(nil).Book.Policies
			}
		}
		panic("no place of that name")
	}
	// Of 1,200 policies the market has 60 lapse by themselves.
	if rate, x := yearly(6); !(rate > 0.006 && rate < 0.02) || x.Basis != churn.Blended || !(x.Weight > 0.7) {
		t.Errorf("six lapses of 1,200 policies: %v a year, %+v", rate, x)
	}
	if rate, x := yearly(0); !(rate > 0.045) || x.Basis != churn.FromMarket {
		t.Errorf("no end at all: %v a year, %+v", rate, x)
	}
}

// renewing is a book of policies whose premium changes at a renewal in the year that is
// looked back on. Those of leavers lapse anyway; a rise makes anyone's odds e times as high
// for each 10%.
type renewing struct {
	customers int
	unfair    bool // leavers get the rises
	tells     bool // who they are, their year of birth tells
	late      bool // changes are recorded when they are in force
	seed      uint64
}

const perTenth = 0.5 // log-odds of a lapse for a rise of 10%, in truth

func (b renewing) book() (relations [][]*portfolio.Aggregate) {
	r := rand.New(rand.NewPCG(5, 9+b.seed))
	for i := range b.customers {
		leaver := r.IntN(2) == 0
		// The renewal is about half a year after the date that is looked back to.
		due := then.AddMonths(5 + r.IntN(3))
		start := due.AddMonths(-36)
		change := 0.0
		chance := 0.5
		if b.unfair {
			chance = map[bool]float64{true: 0.85, false: 0.15}[leaver]
		}
		if r.Float64() < chance {
			change = 0.06 + 0.1*r.Float64()
		}
		odds := math.Exp(-3 + perTenth*change*10)
		if leaver {
			odds *= math.Exp(1.6)
		}
		end := portfolio.Date(0)
		if r.Float64() < odds/(1+odds) {
			end = due
		}
		id := fmt.Sprintf("c%05d", i)
		a := customer(policy("p", "motor", start, 0, ""), policy("s", "contents", start-200, 0, ""))
		a.Customers[0].ID, a.Customers[0].BirthYear = id, 1950+r.IntN(40)
		if b.tells && leaver {
			a.Customers[0].BirthYear = 1995
		}
		next := a.Policies[0]
		if change != 0 {
			next.AnnualPremium = portfolio.Cents(math.Round(float64(next.AnnualPremium) * (1 + change)))
			next.Version = portfolio.Version{RecordedAt: due - 60, ValidFrom: due}
			if b.late {
				next.RecordedAt = due + 5
			}
			if !b.late || end == 0 {
				a.Policies = append(a.Policies, next)
			}
		}
		if end != 0 {
			gone := next
			gone.EndDate, gone.Status, gone.EndReason, gone.Version = end, portfolio.Ended, "lapse", recorded(end)
			a.Policies = append(a.Policies, gone)
		}
		for k := range a.Policies {
			a.Policies[k].CustomerID = id
		}
		a.Normalise(asOf)
		relations = append(relations, alone(a))
	}
	return relations
}

// association is what the book says of a rise of 10%, on the log-odds; raw is the same
// without regard to who got it.
func association(t *testing.T, b renewing) (c churn.Changes, adjusted, raw, spread float64) {
	t.Helper()
	f := collected(t, b.book()...)
	c, err := f.changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	with, none := f.lapses.near(4, 5), f.lapses.near(noBand) // 8% to 12%
	raw = math.Log(with.lapses/with.stayed) - math.Log(none.lapses/none.stayed)
	var at, zero *churn.Band
	for i := range c.Bands {
		if b := &c.Bands[i]; b.None {
			zero = b
		} else if b.From <= 0.1 && 0.1 < b.To {
			at = b
		}
	}
	if at == nil || zero == nil {
		return c, math.NaN(), raw, 0
	}
	return c, at.Effect - zero.Effect, raw, math.Sqrt(at.Error*at.Error + zero.Error*zero.Error)
}

// TestConfoundedChanges: where those who would have left anyway get the rises, the raw
// association is far from the truth. Adjusted for what is recorded it is near; where
// nothing recorded tells of it, it is not, and that is why it is no effect.
func TestConfoundedChanges(t *testing.T) {
	const n = 9000
	_, fair, rawFair, spread := association(t, renewing{customers: n, tells: true})
	_, told, rawTold, _ := association(t, renewing{customers: n, unfair: true, tells: true})
	_, hidden, rawHidden, _ := association(t, renewing{customers: n, unfair: true})
	t.Logf("of a rise of 10%%, truth %.2f: by chance %.2f (raw %.2f), confounded %.2f (raw %.2f), by what is hidden %.2f (raw %.2f); standard error %.2f", perTenth, fair, rawFair, told, rawTold, hidden, rawHidden, spread)
	if math.Abs(fair-perTenth) > 0.25 {
		t.Errorf("by chance: %.2f, the truth is %.2f", fair, perTenth)
	}
	if math.Abs(told-perTenth) > 0.35 || !(math.Abs(told-perTenth) < math.Abs(rawTold-perTenth)/2) {
		t.Errorf("confounded: adjusted %.2f, raw %.2f, the truth is %.2f", told, rawTold, perTenth)
	}
	if !(hidden > perTenth+0.4) {
		t.Errorf("a hidden cause adjusts itself: %.2f", hidden)
	}
}

// TestIntervalsCover: of made books the 95% interval of a change holds the truth in about as
// many as it says, and is not wide for nothing.
func TestIntervalsCover(t *testing.T) {
	if testing.Short() {
		t.Skip("trains thirty models")
	}
	const (
		books  = 30
		change = 0.11 // the middle of a band
		truth  = perTenth * change * 10
	)
	held, sum, squares, reach := 0, 0.0, 0.0, 0.0
	for seed := range uint64(books) {
		c, err := collected(t, renewing{customers: 1500, tells: true, seed: 1 + seed}.book()...).changes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		effect, off := c.Association(change)
		if math.Abs(effect-truth) <= off {
			held++
		}
		sum, squares, reach = sum+effect, squares+effect*effect, reach+off
	}
	spread := math.Sqrt(squares/books - sum/books*sum/books)
	t.Logf("the truth, %.2f, is held by %d of %d; mean %.3f, spread %.3f, reach %.3f", truth, held, books, sum/books, spread, reach/books)
	if share := float64(held) / books; !(share >= 0.9 && share <= 0.99) {
		t.Errorf("%d of %d hold the truth", held, books)
	}
	if reach /= books; !(reach > 1.7*spread && reach < 2.8*spread) {
		t.Errorf("intervals reach %.3f to either side, estimates spread by %.3f", reach, spread)
	}
}

// TestSupport is where changes were seen, and nowhere else.
func TestSupport(t *testing.T) {
	c, _, _, _ := association(t, renewing{customers: 4000, tells: true})
	if c.Why != "" || c.Low < 0.055 || c.Low > 0.07 || c.High < 0.15 || c.High > 0.165 {
		t.Fatalf("support from %v to %v, %s", c.Low, c.High, c.Why)
	}
	for _, b := range c.Bands {
		if !b.None && (b.From < 0.04 || b.To > 0.18) || b.Lapses < 10 {
			t.Errorf("a band from %v to %v with %v lapses", b.From, b.To, b.Lapses)
		}
	}
	if c, _, _, _ := association(t, renewing{customers: 100}); c.Why != churn.TooFew || len(c.Bands) != 0 {
		t.Errorf("of a hundred policies: %+v", c)
	}
	if c, _, _, _ := association(t, renewing{customers: 3000, late: true}); c.Why != churn.Unannounced || len(c.Bands) != 0 {
		t.Errorf("with changes that were not announced: %+v", c)
	}
}

// TestAnotherMemberTakesOver: a motor policy that lapses while another of the household takes
// one out is a replacement, and no lapse; nor was the new one acquired.
func TestAnotherMemberTakesOver(t *testing.T) {
	book := func(together string) [][]*portfolio.Aggregate {
		a := customer(policy("a", "motor", then-500, then+100, "lapse"), policy("s", "contents", then-500, 0, ""))
		b := customer(policy("b", "motor", then+110, 0, ""), policy("t", "legal", then-500, 0, ""))
		b.Customers[0].ID = "d"
		for _, x := range []*portfolio.Aggregate{a, b} {
			x.Customers[0].HouseholdID = together
			for i := range x.Policies {
				x.Policies[i].CustomerID = x.ID()
			}
			x.Normalise(asOf)
		}
		if together == "" {
			return [][]*portfolio.Aggregate{alone(a), alone(b)}
		}
		return [][]*portfolio.Aggregate{{a, b}}
	}
	for together, want := range map[string]float64{"": 1, "h": 0} {
		f := collected(t, book(together)...)
		if n := f.lapses.policyLapses; n != want {
			t.Errorf("household %q: %v lapses of policies, want %v", together, n, want)
		}
		bought := 0.0
		for _, x := range f.worth.wanted {
			for _, n := range x.bought {
				bought += n
			}
		}
		if bought != want {
			t.Errorf("household %q: %v were bought, want %v", together, bought, want)
		}
	}
}
