package train

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"polis/handler/internal/churn"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// With an as-of date of 30 June 2026 and three months for claims to be reported, a book
// is looked at as of 30 March 2025, and labels are what happened until 30 March 2026.
var (
	asOf  = portfolio.MustDate(2026, 6, 30)
	then  = portfolio.MustDate(2025, 3, 30)
	until = portfolio.MustDate(2026, 3, 30)
	known = portfolio.Version{RecordedAt: then - 1000, ValidFrom: then - 1000}
)

// recorded is a version that became known on a date.
func recorded(on portfolio.Date) portfolio.Version {
	return portfolio.Version{RecordedAt: on, ValidFrom: on}
}

func policy(id, branch string, start, end portfolio.Date, reason string) []portfolio.Policy {
	p := portfolio.Policy{
		ID: id, CustomerID: "c", Branch: branch, StartDate: start, AnnualPremium: 36500, Status: portfolio.Active,
		Version: portfolio.Version{RecordedAt: start, ValidFrom: start},
	}
	out := []portfolio.Policy{p}
	if end != 0 {
		p.EndDate, p.Status, p.EndReason, p.Version = end, portfolio.Ended, reason, recorded(end)
		out = append(out, p)
	}
	return out
}

func customer(policies ...[]portfolio.Policy) *portfolio.Aggregate {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", BirthYear: 1980, Version: known}}, Policies: slices.Concat(policies...)}
	a.Normalise(asOf)
	return a
}

func claim(id, policy string, loss portfolio.Date, paid portfolio.Cents, status portfolio.Status) portfolio.Claim {
	return portfolio.Claim{ID: id, PolicyID: policy, CustomerID: "c", LossDate: loss, Paid: paid, Status: status, Version: recorded(loss + 20)}
}

func source(relations ...[]*portfolio.Aggregate) Source {
	return func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			for _, members := range relations {
				if !yield(members, nil) {
					return
				}
			}
		}
	}
}

func newFitter(t *testing.T, settings scoring.Settings, snapshots, rows int) *fitter {
	t.Helper()
	f := &fitter{
		o:     Options{AsOf: asOf, Ends: portfolio.DefaultEnds, Settings: &settings, Snapshots: snapshots, MaxRows: rows, Progress: func(string, int, int) {}},
		rates: &rates{},
	}
	if err := f.newBuyers(); err != nil {
		t.Fatal(err)
	}
	return f
}

func settings() *scoring.Settings {
	s := scoring.DefaultSettings()
	return &s
}

// collected are the tables of one look back at relations.
func collected(t *testing.T, relations ...[]*portfolio.Aggregate) *fitter {
	t.Helper()
	return collectedUnder(t, scoring.DefaultSettings(), relations...)
}

func collectedUnder(t *testing.T, settings scoring.Settings, relations ...[]*portfolio.Aggregate) *fitter {
	t.Helper()
	f := newFitter(t, settings, 1, 10_000)
	if err := f.survey(t.Context(), source(relations...)); err != nil {
		t.Fatal(err)
	}
	if err := f.collect(t.Context(), source(relations...)); err != nil {
		t.Fatal(err)
	}
	return f
}

// buyersOf are the buyers of a group.
func (f *fitter) buyersOf(group string) *buyers {
	for i := range f.buyers {
		if f.buyers[i].Code == group {
			return &f.buyers[i]
		}
	}
	return nil
}

func alone(a *portfolio.Aggregate) []*portfolio.Aggregate { return []*portfolio.Aggregate{a} }

// TestClaimsOfTheYear: claims count where something is incurred and their loss lies in the
// year, over the part of it in which the policy was in force.
func TestClaimsOfTheYear(t *testing.T) {
	a := customer(
		policy("stays", "motor", then-500, 0, ""),
		policy("ends", "motor", then-500, then+74, "sold"), // a fifth of the year
		policy("ended", "motor", then-500, then-1, "sold"),
		policy("begins", "motor", then+10, 0, ""),
		policy("life", "life", then-500, 0, ""),
	)
	a.Claims = []portfolio.Claim{
		claim("the day itself", "stays", then, 100, portfolio.ClaimClosed),
		claim("first day", "stays", then+1, 200_00, portfolio.ClaimClosed),
		claim("nothing paid", "stays", then+9, 0, portfolio.ClaimClosed),
		claim("last day", "stays", until, 400_00, portfolio.ClaimOpen),
		claim("refused", "stays", then+5, 100, portfolio.ClaimRejected),
		claim("after", "stays", until+1, 100, portfolio.ClaimOpen),
		claim("other", "ends", then+5, 300_00, portfolio.ClaimOpen),
		claim("later policy", "begins", then+50, 100, portfolio.ClaimOpen),
	}
	a.Normalise(asOf)
	f := collected(t, alone(a))
	if want := []float64{1, 2}; !slices.Equal(sorted(f.frequency.y), want) {
		t.Errorf("claims are %v, want %v", f.frequency.y, want)
	}
	if want := []float64{0.2, 1}; !near(sorted(f.frequency.exposure), want) {
		t.Errorf("exposure is %v, want %v", f.frequency.exposure, want)
	}
	if x := f.experience["motor"]; x.claims != 3 || x.nil != 1 || !near([]float64{x.exposure}, []float64{1.2}) || f.experience["life"] != nil {
		t.Errorf("of the branch: %+v", x)
	}
	if y, w := f.severity.y, f.severity.weight; !slices.Equal(sorted(y), []float64{300, 300}) || !slices.Equal(sorted(w), []float64{1, 2}) {
		t.Errorf("mean amounts %v of %v claims", y, w)
	}
}

// TestLargeClaimsAreCapped: one claim of a million among a hundred of a thousand counts
// as a thousand, and what is cut off is spread by the branch's excess.
func TestLargeClaimsAreCapped(t *testing.T) {
	var relations [][]*portfolio.Aggregate
	for i := range 100 {
		a := customer(policy("p", "motor", then-500, 0, ""))
		a.Customers[0].ID = fmt.Sprint("c", i)
		a.Claims = []portfolio.Claim{claim("k", "p", then+9, 1000_00, portfolio.ClaimClosed)}
		if i == 0 {
			a.Claims[0].Paid = 1_000_000_00
		}
		a.Normalise(asOf)
		relations = append(relations, alone(a))
	}
	f := collected(t, relations...)
	x := f.experience["motor"]
	if most := slices.Max(f.severity.y); most != 1000 || math.Abs(x.dear/x.cappedDear-10.99) > 1e-9 {
		t.Errorf("the largest counts as %v, and the excess is %v", most, x.dear/x.cappedDear)
	}
}

func sorted(v []float64) []float64 { return slices.Sorted(slices.Values(v)) }

func near(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) < 1e-9 })
}

// TestNothingIsKnownInAdvance: whatever was recorded after the date that is looked back
// to changes labels and never what they are learnt from.
func TestNothingIsKnownInAdvance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	date := func() portfolio.Date { return then + 2 + portfolio.Date(r.IntN(400)) }
	changed := 0
	for range 200 {
		a := customer(policy("p", "motor", then-500, 0, ""), policy("q", "contents", then-800, 0, ""))
		a.Claims = []portfolio.Claim{claim("old", "p", then-200, 50_000, portfolio.ClaimOpen)}
		a.Normalise(asOf)
		b := customer(policy("p", "motor", then-500, date()+1, "lapse"), policy("q", "contents", then-800, 0, ""), policy("r", "travel", date()+1, 0, ""))
		b.Claims = append(slices.Clone(a.Claims), claim("new", "q", date(), 70_000, portfolio.ClaimOpen))
		late := a.Claims[0]
		late.Paid, late.Status, late.Version = 90_000, portfolio.ClaimClosed, recorded(date()+1)
		b.Claims = append(b.Claims, late)
		b.Contacts = []portfolio.Contact{{CustomerID: "c", At: portfolio.Instant((date() + 1).Time().Unix()), Reason: "complaint"}}
		b.Policies = append(b.Policies, portfolio.Policy{
			ID: "q", CustomerID: "c", Branch: "contents", StartDate: then - 800, AnnualPremium: 99_900, Status: portfolio.Active, Version: recorded(date() + 1),
		})
		b.Normalise(asOf)
		// Somebody joins the household, and one of them may be new altogether.
		joined := portfolio.Customer{ID: "c", BirthYear: 1980, HouseholdID: "h", Version: recorded(date() + 1)}
		b.Customers = append(b.Customers, joined)
		partner := customer(policy("x", "travel", date()+1, 0, ""))
		joined.ID = "d"
		partner.Customers = []portfolio.Customer{joined}
		fa, fb := collected(t, alone(a)), collected(t, []*portfolio.Aggregate{partner, b})
		for _, pair := range [][2]*table{{fa.frequency, fb.frequency}, {fa.buyersOf("travel").table, fb.buyersOf("travel").table}} {
			if pair[0].n == 0 || !same(pair[0].num, pair[1].num) || !reflect.DeepEqual(pair[0].cat, pair[1].cat) {
				for i := range pair[0].fields {
					if !same(pair[0].num[i:i+1], pair[1].num[i:i+1]) || !reflect.DeepEqual(pair[0].cat[i], pair[1].cat[i]) {
						t.Errorf("%s: %v %v, with what came after it %v %v", pair[0].fields[i].Name, pair[0].num[i], pair[0].cat[i], pair[1].num[i], pair[1].cat[i])
					}
				}
				t.Fatal("rows of a past differ by what came after it")
			}
		}
		if !slices.Equal(fa.frequency.y, fb.frequency.y) {
			changed++
		}
	}
	if changed == 0 {
		t.Error("the claim that came after never became a label")
	}
}

// same compares numbers of which some are missing.
func same(a, b [][]float64) bool {
	return slices.EqualFunc(a, b, func(x, y []float64) bool {
		return slices.EqualFunc(x, y, func(u, v float64) bool { return u == v || math.IsNaN(u) && math.IsNaN(v) })
	})
}

// TestRelationEnds: when a relation ends, and whether it left.
func TestRelationEnds(t *testing.T) {
	day := func(n int) portfolio.Date { return then + portfolio.Date(n) }
	type policies = [][]portfolio.Policy
	for name, tc := range map[string]struct {
		policies  policies
		essential bool
		ended     portfolio.Date
		lapsed    bool
	}{
		"stays":                       {policies{policy("p", "motor", day(-9), 0, "")}, true, 0, false},
		"lapses":                      {policies{policy("p", "motor", day(-9), day(100), "lapse")}, true, day(100), true},
		"dies":                        {policies{policy("p", "motor", day(-9), day(100), "deceased")}, true, day(100), false},
		"on the last day":             {policies{policy("p", "motor", day(-9), until, "lapse")}, true, until, true},
		"a day later":                 {policies{policy("p", "motor", day(-9), until+1, "lapse")}, true, 0, false},
		"ended already":               {policies{policy("p", "motor", day(-9), then, "lapse")}, true, 0, false},
		"another stays":               {policies{policy("p", "motor", day(-9), day(100), "lapse"), policy("q", "contents", day(-9), 0, "")}, true, 0, false},
		"one after the other":         {policies{policy("p", "motor", day(-9), day(100), "lapse"), policy("q", "contents", day(-9), day(200), "sold")}, true, day(200), false},
		"both, one by a lapse":        {policies{policy("p", "motor", day(-9), day(100), "lapse"), policy("q", "contents", day(-9), day(100), "sold")}, true, day(100), true},
		"only travel stays":           {policies{policy("p", "motor", day(-9), day(100), "lapse"), policy("q", "travel", day(-9), 0, "")}, true, day(100), true},
		"travel counts":               {policies{policy("p", "motor", day(-9), day(100), "lapse"), policy("q", "travel", day(-9), 0, "")}, false, 0, false},
		"rewritten in time":           {policies{policy("p", "motor", day(-9), day(100), "lapse"), policy("q", "motor", day(145), 0, "")}, true, 0, false},
		"too late":                    {policies{policy("p", "motor", day(-9), day(100), "lapse"), policy("q", "motor", day(146), 0, "")}, true, day(100), true},
		"cancelled before it began":   {policies{policy("p", "motor", day(-9), day(100), "lapse"), policy("q", "motor", day(300), day(200), "lapse")}, true, day(100), true},
		"rewritten, and then it ends": {policies{policy("p", "motor", day(-9), day(100), "lapse"), policy("q", "motor", day(110), day(150), "lapse")}, true, day(150), true},
	} {
		var r rel
		r.reset(alone(customer(tc.policies...)), asOf, portfolio.DefaultEnds)
		if ended, lapsed := churn.End(r.refs, then, until, map[bool]churn.Definition{true: churn.AllEssential, false: churn.All}[tc.essential]); ended != tc.ended || lapsed != tc.lapsed {
			t.Errorf("%s: ends on day %d, lapsed %v; want day %d, %v", name, ended-then, lapsed, tc.ended-then, tc.lapsed)
		}
	}
}

// TestPersonMonths: a relation of several policies is at risk each month until it ends; of the months
// without an end a quarter is kept, with the weight of four.
func TestPersonMonths(t *testing.T) {
	var relations [][]*portfolio.Aggregate
	const n = 400
	for i := range n {
		why := []string{"lapse", "deceased"}[i%2]
		a := customer(policy("p", "motor", then-500, then+100, why), policy("q", "contents", then-500, then+100, why))
		a.Customers[0].ID = fmt.Sprint("c", i)
		relations = append(relations, alone(a))
	}
	f := collected(t, relations...)
	if f.rates.lapses != n/2 || f.rates.others != n/2 || f.rates.months != 4*n { // 100 days: in the fourth month
		t.Errorf("%+v", *f.rates)
	}
	if f.lapse.events() != n/2 || f.other.events() != n/2 || f.lapse.n != f.other.n {
		t.Errorf("%v lapses and %v others in %d and %d rows", f.lapse.events(), f.other.events(), f.lapse.n, f.other.n)
	}
	weight := 0.0
	for _, w := range f.lapse.weight {
		weight += w
	}
	if math.Abs(weight/(4*n)-1) > 0.1 {
		t.Errorf("the rows weigh %v, which should be about the %d months that there were", weight, 4*n)
	}
}

// begun is a relation whose first policy is of this week.
func begun() []*portfolio.Aggregate { return alone(customer(policy("p", "motor", asOf-5, 0, ""))) }

// TestNothingToLearn: of a book in which nothing was in force, then or before, there are no models.
func TestNothingToLearn(t *testing.T) {
	long := alone(customer(policy("p", "motor", asOf-4000, asOf-3900, "lapse")))
	for name, tc := range map[string]struct {
		book []*portfolio.Aggregate
		on   portfolio.Date
		fits bool
	}{
		"before the book":       {begun(), portfolio.MustDate(1950, 1, 1), false},
		"ended long ago":        {long, asOf, false},
		"has just begun":        {begun(), asOf, true},
		"ended in the last one": {alone(customer(policy("p", "motor", asOf-900, asOf-100, "lapse"))), asOf, true},
	} {
		_, err := Fit(t.Context(), source(tc.book), Options{AsOf: tc.on})
		if tc.fits && err != nil || !tc.fits && (!fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), tc.on.String())) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTooLittleToLearn: the mean alone, by credibility between the market's and the
// book's own, and never none.
func TestTooLittleToLearn(t *testing.T) {
	m, err := Fit(t.Context(), source(begun()), Options{AsOf: asOf})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Learnt() {
		if l.Model == nil || l.Model.Meta().Note == "" {
			t.Errorf("%s says nothing of what it rests on", l.Name)
		}
	}
	for _, tc := range []struct{ events, at, want float64 }{
		{0, 0, 0.1}, {0, 1000, 0.1}, {20, 200, 0.1}, {40, 200, 0.15}, {4, 1000, 0.02}, {1e9, 1e10, 0.1},
	} {
		if got := shrunk(tc.events, tc.at, 0.1); math.Abs(got-tc.want) > 1e-6 {
			t.Errorf("%v events at %v: %v, want %v", tc.events, tc.at, got, tc.want)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	for name, fit := range map[string]func() (*scoring.Models, error){
		"no book":       func() (*scoring.Models, error) { return Fit(t.Context(), nil, Options{AsOf: asOf}) },
		"no as-of date": func() (*scoring.Models, error) { return Fit(t.Context(), source(), Options{}) },
	} {
		if _, err := fit(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := fault.New(fault.Unavailable, "out of order")
	if _, err := Fit(t.Context(), func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) { yield(nil, broken) }
	}, Options{AsOf: asOf}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a book that cannot be read: %v", err)
	}
}

// town is a book in which young drivers claim and lapse more.
func town(n int) (relations [][]*portfolio.Aggregate) {
	r := rand.New(rand.NewPCG(7, 7))
	for i := range n {
		young := i%2 == 0
		end, birth, rate := portfolio.Date(0), 1950, 0.02
		if young {
			birth, rate = 1999, 0.3
		}
		if r.Float64() < rate {
			end = then + portfolio.Date(1+r.IntN(360))
		}
		a := customer(policy("p", "motor", then-500, end, "lapse"))
		a.Customers[0].ID, a.Customers[0].BirthYear = fmt.Sprintf("c%05d", i), birth
		if r.Float64() < rate {
			a.Claims = []portfolio.Claim{claim("k", "p", then+portfolio.Date(r.IntN(300)), portfolio.Cents(50_000+r.IntN(90_000)), portfolio.ClaimClosed)}
		}
		a.Normalise(asOf)
		relations = append(relations, alone(a))
	}
	return relations
}

// TestTheSameBookTheSameModels to the byte.
func TestTheSameBookTheSameModels(t *testing.T) {
	relations := town(800)
	var first []byte
	for range 2 {
		m, err := Fit(t.Context(), source(relations...), Options{AsOf: asOf, Snapshots: 1})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := m.Save(&b); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
		} else if !bytes.Equal(first, b.Bytes()) {
			t.Error("two trainings on one book differ")
		}
	}
}

// TestItLearns what there is to learn.
func TestItLearns(t *testing.T) {
	relations := town(3000)
	m, err := Fit(t.Context(), source(relations...), Options{AsOf: asOf, Snapshots: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := scoring.New(m)
	if err != nil {
		t.Fatal(err)
	}
	loss, lapse := map[bool]float64{}, map[bool]float64{}
	for i, members := range town(100) {
		for _, sheet := range s.Relation([]scoring.Subject{{Aggregate: members[0]}}, then, scoring.NewSet(scoring.Engines...)) {
			loss[i%2 == 0] += sheet.Risk.Loss / 50
			lapse[i%2 == 0] += sheet.Churn.Lapsed[12] / 50
		}
	}
	for what, got := range map[string]map[bool]float64{"expected loss": loss, "probability of lapse": lapse} {
		if !(got[true] > 4*got[false]) {
			t.Errorf("%s: of the young %v, of the old %v", what, got[true], got[false])
		}
	}
}

// TestTables are those that models are learnt from, in their places. Everybody in town has
// a motor policy and no other, so nobody is asked whether they bought one, and policies stand
// for their relations.
func TestTables(t *testing.T) {
	o := Options{AsOf: asOf, Snapshots: 1}
	tables, err := Tables(t.Context(), source(town(400)...), o)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range tables {
		names = append(names, table.Name)
		none := strings.HasPrefix(table.Name, "buy") || table.Name == "lapse" || table.Name == "other_end"
		if (table.N == 0) != none || len(table.Y) != table.N || len(table.Group) != table.N || (table.Exposure != nil) != (table.Name == "frequency") {
			t.Errorf("%s: %d rows, %d targets, %d exposures", table.Name, table.N, len(table.Y), len(table.Exposure))
		}
	}
	if want := []string{"frequency", "severity", "lapse", "other_end", "policy_lapse", "policy_other_end", "buy", "buy_motor"}; !slices.Equal(names, want) {
		t.Errorf("tables %v, want %v", names, want)
	}
}

func modelFile(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "scoring", "testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestBroughtIn: models that were learnt elsewhere take the places of those learnt here,
// and what is frozen is frozen with them.
func TestBroughtIn(t *testing.T) {
	relations := town(400)
	fit := func(o Options) *scoring.Models {
		t.Helper()
		o.AsOf, o.Snapshots = asOf, 1
		m, err := Fit(t.Context(), source(relations...), o)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := m.Save(&b); err != nil {
			t.Fatal(err)
		}
		return m
	}
	own, brought := fit(Options{}), fit(Options{Bring: map[string][]byte{"frequency": modelFile(t, "frequency"), "policy_lapse": modelFile(t, "lapse")}})
	for i, l := range brought.Learnt() {
		isBrought := strings.HasPrefix(l.Model.Meta().Note, "brought in")
		if want := l.Name == "claim frequency" || l.Name == "lapse of a policy"; isBrought != want || !want && !reflect.DeepEqual(l, own.Learnt()[i]) {
			t.Errorf("%s: %s", l.Name, l.Model.Meta().Note)
		}
	}
	if own.Version == brought.Version || slices.Equal(own.Risk.Quantiles, brought.Risk.Quantiles) || own.Churn.Bands == brought.Churn.Bands {
		t.Error("other models have the same distributions")
	}
}

func TestNotBroughtIn(t *testing.T) {
	relations := town(20)
	for name, tc := range map[string]struct {
		place string
		file  []byte
		kind  fault.Kind
		says  string
	}{
		"a corrupt file":     {"frequency", modelFile(t, "frequency")[:3000], fault.Malformed, "bringing in frequency: tree 3: leaf_value"},
		"another loss":       {"frequency", modelFile(t, "severity"), fault.Invalid, "bringing in frequency: the model's loss is gamma"},
		"another's features": {"severity", modelFile(t, "lapse"), fault.Invalid, "bringing in severity: the model has the feature main_branch"},
		"no such model":      {"claims", modelFile(t, "frequency"), fault.Invalid, "bringing in claims: no model is called claims"},
		"no such branch":     {"buy_moon", modelFile(t, "buy_liability"), fault.Invalid, "the group moon is not offered"},
		"a branch not sold":  {"buy_liability", modelFile(t, "buy_liability"), fault.Invalid, "the group liability is not offered"},
	} {
		m, err := Fit(t.Context(), source(relations...), Options{AsOf: asOf, Snapshots: 1, Bring: map[string][]byte{tc.place: tc.file}})
		if m != nil || !fault.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTablesKeepWhatTheyKeep: which relations a full table keeps does not depend on the
// order in which they come.
func TestTablesKeepWhatTheyKeep(t *testing.T) {
	relations := town(600)
	keep := func() []string {
		f := newFitter(t, scoring.DefaultSettings(), 1, 100)
		for _, pass := range []func(context.Context, Source) error{f.survey, f.collect} {
			if err := pass(t.Context(), source(relations...)); err != nil {
				t.Fatal(err)
			}
		}
		if f.frequency.n > 300 || f.frequency.n < 100 {
			t.Errorf("%d rows of at most 300", f.frequency.n)
		}
		return slices.Sorted(slices.Values(f.frequency.group))
	}
	first := keep()
	rand.New(rand.NewPCG(3, 3)).Shuffle(len(relations), func(i, j int) { relations[i], relations[j] = relations[j], relations[i] })
	if !slices.Equal(first, keep()) {
		t.Error("in another order other relations are kept")
	}
}

// TestAFleetIsOneCustomer: it has most of a book's policies, and is one of its customers.
func TestAFleetIsOneCustomer(t *testing.T) {
	var vehicles [][]portfolio.Policy
	var book [][]*portfolio.Aggregate
	for i := range 100 {
		vehicles = append(vehicles, policy(fmt.Sprint("v", i), "motor", then-400, 0, ""))
		if i < 40 {
			book = append(book, []*portfolio.Aggregate{customer(policy("p", "motor", then-portfolio.Date(400+i), 0, ""))})
		}
	}
	m, err := Fit(t.Context(), source(append(book, []*portfolio.Aggregate{customer(vehicles...)})...), Options{AsOf: asOf})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Usual.Customers["essential_beside"]; len(got.Quantiles) == 0 || got.Median() != 0 {
		t.Errorf("beside a policy half of the customers have %v", got.Quantiles)
	}
}

// TestTheBookIsFrozen finds what is usual in a book in its models.
func TestTheBookIsFrozen(t *testing.T) {
	var book [][]*portfolio.Aggregate
	for i := range 40 {
		a := customer(policy("p", "motor", then-portfolio.Date(400+i), 0, ""))
		a.Customers[0].Origin = "broker"
		a.Policies[0].AnnualPremium = portfolio.Cents(10000 + 1000*i)
		a.Customers[0].Objects = i == 39 // and is left out
		book = append(book, []*portfolio.Aggregate{a})
	}
	m, err := Fit(t.Context(), source(book...), Options{AsOf: asOf})
	if err != nil {
		t.Fatal(err)
	}
	u := m.Usual
	if got := u.Policies["premium"]; got.Median() != 290 || got.Quantiles[len(got.Quantiles)-1] != 480 {
		t.Errorf("premium: %v", got)
	}
	if got := u.Customers["origin"]; got.Common != "broker" || got.Share != 1 {
		t.Errorf("origin: %+v", got)
	}
	for _, name := range []string{"month_renewal", "holds_motor", "tenure"} {
		if len(u.Customers[name].Quantiles) == 0 {
			t.Errorf("%s is not compared", name)
		}
	}
	if r := u.Reference; r == nil || !(r.Lapse < 0) || !(r.Years > 1) || !(r.Income > 0) {
		t.Errorf("the reference customer: %+v", r)
	}
}
