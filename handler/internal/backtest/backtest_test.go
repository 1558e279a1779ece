package backtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/html"

	"polis/handler/internal/fault"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

var today = portfolio.MustDate(2026, 6, 30)

func recorded(on portfolio.Date) portfolio.Version {
	return portfolio.Version{RecordedAt: on, ValidFrom: on}
}

func source(relations [][]*portfolio.Aggregate) train.Source {
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

// book groups customers by the relation that they are of now, as a store does.
func book(customers ...*portfolio.Aggregate) (relations [][]*portfolio.Aggregate) {
	by := map[string][]*portfolio.Aggregate{}
	for _, a := range customers {
		a.Sort()
		by[a.Latest().Relation()] = append(by[a.Latest().Relation()], a)
	}
	for _, key := range slices.Sorted(maps.Keys(by)) {
		relations = append(relations, by[key])
	}
	return relations
}

func customer(id string, policies ...portfolio.Policy) *portfolio.Aggregate {
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: id, BirthYear: 1980, Version: recorded(today - 2000)}}}
	for _, p := range policies {
		p.CustomerID = id
		a.Policies = append(a.Policies, p)
	}
	return a
}

func policy(id, branch string, from portfolio.Date) portfolio.Policy {
	return portfolio.Policy{ID: id, Branch: branch, StartDate: from, AnnualPremium: 400_00, Status: portfolio.Active, Version: recorded(from)}
}

// ended is a policy's version that says that it ended, recorded on a date.
func ended(p portfolio.Policy, on portfolio.Date, reason string, at portfolio.Date) portfolio.Policy {
	p.EndDate, p.EndReason, p.Status, p.Version = on, reason, portfolio.Ended, recorded(at)
	return p
}

func claimOf(a *portfolio.Aggregate, policy string, on, at portfolio.Date, amount portfolio.Cents, cover string) {
	a.Claims = append(a.Claims, portfolio.Claim{
		ID: fmt.Sprint("k", len(a.Claims)), PolicyID: policy, CustomerID: a.ID(), LossDate: on, Paid: amount, Cover: cover, Status: portfolio.ClaimOpen, Version: recorded(at),
	})
}

// scored is the last year of a book, with no more training than the book allows.
func scored(t *testing.T, relations [][]*portfolio.Aggregate) (*year, *walk) {
	t.Helper()
	settings := scoring.DefaultSettings()
	w := &walk{o: Options{AsOf: today, Years: 1, Ends: portfolio.DefaultEnds, Settings: &settings}, lag: settings.Features.ReportingLag, at: map[string]int32{}}
	y := newYear(w, 0)
	m, err := train.Fit(t.Context(), source(relations), train.Options{AsOf: y.AsOf, Settings: &settings})
	if err != nil {
		t.Fatal(err)
	}
	lived, err := train.Lived(t.Context(), source(relations))
	if err != nil {
		t.Fatal(err)
	}
	if err := y.score(t.Context(), lived, m, func(int) {}); err != nil {
		t.Fatal(err)
	}
	w.years = append(w.years, y)
	return y, w
}

// TestWhatCame: of a book of a few customers, what counts as a lapse, a claim, a loss, a
// purchase and a margin, and who is left out.
func TestWhatCame(t *testing.T) {
	then := today.AddMonths(-15)
	until, known := then.AddMonths(12), today
	motor := policy("m", "motor", then-800)
	lapsed := func(id string, on, at portfolio.Date) *portfolio.Aggregate {
		m := motor
		m.ID = "m" + id
		return customer(id, m, ended(m, on, "lapse", at))
	}
	quiet := customer("quiet", policy("q", "motor", then-800))
	buys := customer("buys", policy("b", "motor", then-800), policy("b2", "travel", then+50), policy("b3", "legal", then+60))
	claims := customer("claims", policy("c", "motor", then-800))
	claimOf(claims, "c", then, then, 900_00, "collision")       // on the day itself: known, or may be
	claimOf(claims, "c", then+1, then+5, 1000_00, "collision")  // counts
	claimOf(claims, "c", until, known, 500_00, "collision")     // counts, told on the last day
	claimOf(claims, "c", until, known+1, 700_00, "collision")   // told too late
	claimOf(claims, "c", until+1, until+2, 800_00, "collision") // too late
	claimOf(claims, "c", then+9, then+9, 60_00, "glass")        // a loss, and no claim
	claimOf(claims, "c", then+9, then+9, 0, "collision")        // of nothing
	objects := customer("objects", policy("o", "motor", then-800))
	objects.Customers = append(objects.Customers, objects.Customers[0])
	objects.Customers[1].Objects, objects.Customers[1].Version = true, recorded(then+200)
	dies := customer("dies", policy("d", "motor", then-800), ended(policy("d", "motor", then-800), then+100, "death", then+110))
	relations := book(
		quiet, buys, claims, objects, dies,
		lapsed("in", then+100, then+100), lapsed("late", until, known), lapsed("after", until+1, until+1), lapsed("untold", then+100, known+1),
		lapsed("before", then-10, then-10), lapsed("announced", then+30, then-5),
		customer("new", policy("n", "motor", then+1)),
	)
	y, w := scored(t, relations)
	if y.AsOf != then || y.until != until || y.Known != known || y.Months != 12 {
		t.Fatalf("the year is %+v until %s", y.Year, y.until)
	}
	of := func(rows []row) map[string]float64 {
		out := map[string]float64{}
		for _, x := range rows {
			out[w.keys[x.relation]] += x.rate * x.units
		}
		return out
	}
	want := map[string]float64{"quiet": 0, "buys": 0, "claims": 0, "dies": 0, "in": 1, "late": 1, "after": 0, "untold": 0}
	key := func(id string) string { return customer(id).Latest().Relation() }
	same := func(what string, got, want map[string]float64) {
		t.Helper()
		keyed := map[string]float64{}
		for id, v := range want {
			keyed[key(id)] = v
		}
		if !maps.EqualFunc(got, keyed, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("%s: %v, want %v", what, got, keyed)
		}
	}
	same("relations that lapsed", of(y.relations), want)
	same("policies that lapsed", of(y.policies), want)
	want["announced"], want["in"], want["late"], want["claims"] = 0, 0, 0, 2
	same("claims", of(y.claims), want)
	want["claims"] = 1560
	same("losses", of(y.losses), want)
	if y.Relations != 10 || y.Objected != 1 || y.Announced != 1 || y.Undated != 0 {
		t.Errorf("counted: %+v", y.Year)
	}
	for _, x := range y.losses { // known today is what was known when the labels closed: it is that day
		if math.Abs(x.known-x.rate) > 1e-9 || !(x.ultimate > 0) {
			t.Errorf("a loss known today of %v, beside %v", x.known, x.rate)
		}
	}

	// Who ended counts for the share of the year in which it could have bought.
	groups, err := nbp.NewGrouping(nil)
	if err != nil {
		t.Fatal(err)
	}
	bought := map[string]float64{}
	for _, x := range y.pairs {
		if code := groups.Groups[x.group].Code; x.rate > 0 {
			bought[code] += x.units
		} else if w.keys[x.relation] == key("dies") && math.Abs(x.units-100.0/float64(until-then)) > 1e-9 {
			t.Errorf("one that died on the hundredth day could buy for %v of the year", x.units)
		}
	}
	// Only what the book has a premium of is sold: as of then it had motor alone.
	if len(bought) != 0 || len(y.buyers) != 0 {
		t.Errorf("bought: %v, %d buyers", bought, len(y.buyers))
	}

	settings := w.o.Settings.Clv
	if len(y.values) != 9 { // the announced one has a value too
		t.Errorf("%d customers are valued", len(y.values))
	}
	for _, v := range y.values {
		switch w.keys[v.relation] {
		case key("quiet"):
			// A year's commission on EUR 400 less serving it, as it is discounted.
			margin := (400*settings.CommissionRate - settings.ServicingCost) / math.Sqrt(1+settings.DiscountRate)
			if math.Abs(v.came-margin) > 0.02*margin {
				t.Errorf("one who went on brought %v, want about %v", v.came, margin)
			}
		case key("in"):
			if margin := (400*settings.CommissionRate - settings.ServicingCost) * 100 / 365.25; math.Abs(v.came-margin) > 0.03*margin {
				t.Errorf("one who left on the hundredth day brought %v, want about %v", v.came, margin)
			}
		}
	}
}

// TestALargeBook is looked at in part, the same part whatever the order, and counted whole.
func TestALargeBook(t *testing.T) {
	relations := street(120, today, 2)
	of := func(n int) *year {
		settings := scoring.DefaultSettings()
		w := &walk{o: Options{AsOf: today, Years: 1, Ends: portfolio.DefaultEnds, Settings: &settings}, lag: 3, relations: n, at: map[string]int32{}}
		y := newYear(w, 0)
		m, err := train.Fit(t.Context(), source(relations[:20]), train.Options{AsOf: y.AsOf})
		if err != nil {
			t.Fatal(err)
		}
		lived, err := train.Lived(t.Context(), source(relations))
		if err != nil {
			t.Fatal(err)
		}
		if err := y.score(t.Context(), lived, m, func(int) {}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(w.keys)
		return y
	}
	all, half := of(mostRelations), of(2*mostRelations)
	slices.Reverse(relations[20:])
	again := of(2*mostRelations + 1)
	if half.Relations != all.Relations || len(all.w.keys) != all.Relations {
		t.Errorf("%d relations, looked at in part %d", all.Relations, half.Relations)
	}
	if n := len(half.w.keys); n < all.Relations/3 || n > 2*all.Relations/3 {
		t.Errorf("of %d relations, one in two are %d", all.Relations, n)
	}
	if !slices.Equal(half.w.keys, again.w.keys) {
		t.Error("in another order others are looked at")
	}
}

// TestPurchases of groups that the book sells: what is carried over or undone is none.
func TestPurchases(t *testing.T) {
	then := today.AddMonths(-15)
	sells := customer("sells", policy("s", "motor", then-800), policy("s1", "travel", then-700), policy("s2", "legal", then-700))
	buys := customer("buys", policy("b", "motor", then-800), policy("b2", "travel", then+50))
	undone := customer("undone", policy("u", "motor", then-800), policy("u2", "travel", then+50))
	undone.Policies = append(undone.Policies, ended(undone.Policies[1], then+55, "lapse", then+55))
	late := customer("late", policy("l", "motor", then-800), policy("l2", "travel", today.AddMonths(-3)+1))
	y, w := scored(t, book(sells, buys, undone, late))
	if len(y.asked) != 3 || len(y.buyers) != 1 || w.keys[y.buyers[0].relation] != buys.Latest().Relation() {
		t.Fatalf("%d could buy, bought: %+v", len(y.asked), y.buyers)
	}
	// Of travel and legal it bought one: of the first three it is there in any order.
	b := y.buyers[0].hits
	if b[chance] != [...]float64{0.5, 1, 1} || b[likeliest][1] != 1 || b[popular][2] != 1 {
		t.Errorf("hits: %v", b)
	}
	byGroup(y.pairs, 16)
	for _, x := range y.pairs {
		if w.keys[x.relation] == buys.Latest().Relation() && x.rate == 1 && math.Abs(x.base-1.0/3) > 1e-9 {
			t.Errorf("one of three bought it, and its rate is %v", x.base)
		}
	}
}

// TestAHouseholdThatParted is judged as the one that it was: a member who has left since
// still counts among those of then.
func TestAHouseholdThatParted(t *testing.T) {
	then := today.AddMonths(-15)
	member := func(id string, p portfolio.Policy) *portfolio.Aggregate {
		a := customer(id, p)
		a.Customers[0].HouseholdID = "home"
		return a
	}
	stays := member("stays", policy("s", "motor", then-800))
	stays.Policies = append(stays.Policies, ended(stays.Policies[0], then+40, "lapse", then+40))
	leaves := member("leaves", policy("l", "motor", then-800))
	leaves.Customers = append(leaves.Customers, leaves.Customers[0])
	leaves.Customers[1].HouseholdID, leaves.Customers[1].Version = "", recorded(then+20)
	y, _ := scored(t, book(stays, leaves))
	if y.Relations != 1 || len(y.relations) != 1 || y.relations[0].rate != 0 || len(y.policies) != 2 {
		t.Errorf("%d relations: %+v; policies %+v", y.Relations, y.relations, y.policies)
	}
}

// street is a book with enough of everything for models, six years long. What happens after
// the last day that is known comes from another seed.
func street(n int, last portfolio.Date, after uint64) [][]*portfolio.Aggregate {
	var customers []*portfolio.Aggregate
	for i := range n {
		past, future := rand.New(rand.NewPCG(uint64(i), 1)), rand.New(rand.NewPCG(uint64(i), after))
		a := customer(fmt.Sprintf("c%04d", i))
		a.Customers[0].BirthYear = 1945 + past.IntN(60)
		a.Customers[0].Version = recorded(today - 2300)
		young := a.Customers[0].BirthYear > 1980
		for k, branch := range []string{"motor", "liability", "contents", "travel"} {
			from := today - 2300 + portfolio.Date(past.IntN(1600))
			if k > 0 && past.IntN(2) == 0 {
				continue
			}
			if from > last {
				from += portfolio.Date(future.IntN(30))
			}
			p := policy(fmt.Sprint(a.ID(), "-", k), branch, from)
			p.CustomerID = a.ID()
			a.Policies = append(a.Policies, p)
			rate := 0.12
			if young {
				rate = 0.5
			}
			for on := from + 1; on < today; on += 30 {
				r := past
				if on > last {
					r = future
				}
				lapses, claims := r.Float64() < rate/12/2, r.Float64() < rate/12
				if claims {
					claimOf(a, p.ID, on, on+3, portfolio.Cents(30_000+r.IntN(200_000)), "collision")
				}
				if lapses {
					a.Policies = append(a.Policies, ended(p, on, "lapse", on))
					break
				}
			}
		}
		customers = append(customers, a)
	}
	return book(customers...)
}

// TestNothingOfTheFutureIsKnown: with another future, what is said of every case stays the
// same to the bit, and what came differs.
func TestNothingOfTheFutureIsKnown(t *testing.T) {
	then := today.AddMonths(-15)
	one, _ := scored(t, street(400, then, 2))
	other, _ := scored(t, street(400, then, 3))
	said := func(rows []row) (out []string) {
		for _, x := range rows {
			out = append(out, fmt.Sprint(x.relation, x.mean))
		}
		return out
	}
	came := func(rows []row) (sum float64) {
		for i, x := range rows {
			sum += float64(i) * x.rate
		}
		return sum
	}
	for name, pair := range map[string][2][]row{"relations": {one.relations, other.relations}, "policies": {one.policies, other.policies}} {
		a, b := said(pair[0]), said(pair[1])
		slices.Sort(a)
		slices.Sort(b)
		distinct := slices.Compact(slices.Clone(a))
		if !slices.Equal(a, b) || len(a) < 100 {
			t.Errorf("%s: with another future something else is said of %d and %d", name, len(a), len(b))
		}
		if len(distinct) < 50 || came(pair[0]) == came(pair[1]) {
			t.Errorf("%s: %d different things are said, and what came is the same", name, len(distinct))
		}
	}
	var a, b []string
	for i := range one.values {
		a = append(a, fmt.Sprint(one.values[i].relation, one.values[i].value, one.values[i].low))
	}
	for i := range other.values {
		b = append(b, fmt.Sprint(other.values[i].relation, other.values[i].value, other.values[i].low))
	}
	if !slices.Equal(a, b) || len(a) < 100 {
		t.Error("with another future customers are worth something else")
	}
}

// streetResult is a back-test of the street over two years.
var streetResult = sync.OnceValues(func() (*Result, error) {
	return Run(context.Background(), source(street(400, today, 2)), Options{Book: evil, AsOf: today, Years: 2})
})

const evil = `"'><x-evil onclick=a()>&`

// TestRun: every part has each year, what is found by whom is young is found, and the JSON
// is a result again.
func TestRun(t *testing.T) {
	r, err := streetResult()
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, p := range r.Parts {
		parts = append(parts, p.Code)
		if len(p.By) != 2 || len(p.Figures) == 0 {
			t.Errorf("%s has %d years and %d figures", p.Code, len(p.By), len(p.Figures))
		}
		for _, f := range p.Figures {
			if len(f.Years) != 2 {
				t.Errorf("%s, %s: %d years", p.Code, f.Code, len(f.Years))
			}
			for _, e := range append(slices.Clone(f.Years), f.All) {
				if e != nil && !(e.Low <= e.Value && e.Value <= e.High) {
					t.Errorf("%s, %s: %+v", p.Code, f.Code, e)
				}
			}
		}
		for _, s := range p.By {
			if s.Trial != nil {
				if err := s.Trial.Check(); err != nil {
					t.Errorf("%s: %v", p.Code, err)
				}
			}
		}
	}
	if got := strings.Join(parts, " "); got != "relations policies claims losses values hits purchases" {
		t.Errorf("parts: %s", got)
	}
	if r.Years[0].AsOf != today.AddMonths(-27) || r.Years[0].Months != 24 || r.Years[1].Known != today || r.Years[1].Relations < 100 {
		t.Errorf("years: %+v", r.Years)
	}
	gini := figureOf(r.Parts[2].Figures, "gini").All
	if gini == nil || gini.Low <= 0 {
		t.Errorf("four times as many claims of the young are not found: %+v", gini)
	}
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again Result
	if err := json.Unmarshal(body, &again); err != nil {
		t.Fatal(err)
	}
	if second, err := json.Marshal(again); err != nil || !bytes.Equal(second, body) {
		t.Errorf("the JSON does not lead back to itself: %v", err)
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"risk: Claim frequency of policies", "as of 2024-03-30", "all years", "too few", "95% intervals"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}

// TestThePageIsWhole: nothing comes from elsewhere, nothing runs, names stay names, links
// lead somewhere, and every picture has its numbers beside it.
func TestThePageIsWhole(t *testing.T) {
	r, err := streetResult()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	doc, err := html.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	allowed := strings.Fields(`html head meta title style body header main section nav h1 h2 h3 h4 p a b br small span div code
		table thead tbody tr th td figure figcaption details summary svg line path rect circle text`)
	ids, links, pictures, tables := map[string]bool{}, map[string]bool{}, 0, 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if !slices.Contains(allowed, n.Data) {
			t.Errorf("the page has a <%s>", n.Data)
		}
		label := ""
		for _, a := range n.Attr {
			switch {
			case a.Key == "href" && strings.HasPrefix(a.Val, "#"):
				links[a.Val[1:]] = true
			case a.Key == "id":
				ids[a.Val] = true
			case a.Key == "aria-label":
				label = a.Val
			case a.Key == "src", a.Key == "href", strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
		switch n.Data {
		case "svg":
			if pictures++; label == "" {
				t.Error("a picture does not say what it shows")
			}
		case "table":
			tables++
		}
	}
	if pictures < 20 || tables < pictures {
		t.Errorf("%d pictures, %d tables", pictures, tables)
	}
	for id := range links {
		if !ids[id] {
			t.Errorf("a link to #%s, which is not there", id)
		}
	}
	for _, no := range []string{"http:", "https:", "url(", "@import", "NaN", "Inf", "ZgotmplZ", "%!", "<x-evil", ">-0<"} {
		if strings.Contains(text, no) {
			t.Errorf("the page has %q", no)
		}
	}
	for _, want := range []string{"&lt;x-evil", "too few", ", 24 months", "What this cannot say", `<td>0.500</td>`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestAPageOfNothing: a book in which nothing happened has a page that says so.
func TestAPageOfNothing(t *testing.T) {
	settings := scoring.DefaultSettings()
	w := &walk{o: Options{AsOf: today, Years: 1, Ends: portfolio.DefaultEnds, Settings: &settings, Progress: func(int, portfolio.Date, string, int, int) {}}, lag: 3, at: map[string]int32{}}
	w.years = []*year{newYear(w, 0)}
	r, err := w.result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := errors.Join(r.Write(&b), r.Print(&b)); err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"NaN", "Inf", "<svg"} {
		if strings.Contains(b.String(), no) {
			t.Errorf("the page has %q", no)
		}
	}
	if strings.Count(b.String(), "too few") < 7 {
		t.Errorf("the page does not say that there is too little: %s", b.String())
	}
}

// TestWrongInput is told what is wrong with it.
func TestWrongInput(t *testing.T) {
	whole := source(street(120, today, 2))
	broken := func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			yield(nil, fault.New(fault.Unavailable, "broken"))
		}
	}
	for name, tc := range map[string]struct {
		source train.Source
		o      Options
		kind   fault.Kind
		says   string
	}{
		"no book":        {nil, Options{AsOf: today}, fault.Invalid, "needs a book"},
		"no date":        {whole, Options{}, fault.Invalid, "an as-of date"},
		"no years":       {whole, Options{AsOf: today, Years: -1}, fault.Invalid, "from 1 to 20"},
		"too many years": {whole, Options{AsOf: today, Years: 21}, fault.Invalid, "from 1 to 20"},
		"a short book":   {whole, Options{AsOf: today, Years: 6}, fault.Invalid, "the book has 1 of the 6 years asked for: for one more, 100 relations must have had a policy by 2022-12-30, and of 96 that is known"},
		"a small book":   {source(street(50, today, 2)), Options{AsOf: today}, fault.Invalid, "the book has 0 of the 3 years"},
		"a broken book":  {broken, Options{AsOf: today}, fault.Unavailable, "broken"},
	} {
		_, err := Run(t.Context(), tc.source, tc.o)
		if !fault.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, whole, Options{AsOf: today, Years: 1, Progress: func(int, portfolio.Date, string, int, int) { cancel() }})
	if err == nil || ctx.Err() == nil {
		t.Errorf("one that was interrupted goes on: %v", err)
	}
}

// TestClaimsWithoutDates: claims that came without recorded_at after their year was known
// count as they are known on the date of the test, and the result says so; of a test from
// before they were recorded they are not known, and nothing is held against them.
func TestClaimsWithoutDates(t *testing.T) {
	then := today.AddMonths(-15)
	for on, want := range map[portfolio.Date]struct{ claims, later, forgotten int }{today: {1, 0, 0}, today + 1: {0, 1, 1}} {
		a := customer("a", policy("m", "motor", then-800))
		claimOf(a, "m", then+9, 0, 1000_00, "collision")
		a.Claims[0].Version = portfolio.Version{}
		a.Normalise(on)
		y, w := scored(t, book(a, customer("b", policy("b", "motor", then-800))))
		n := 0
		for _, c := range y.claims {
			if c.rate > 0 {
				n++
			}
		}
		if n != want.claims || y.Later != want.later || y.Forgotten != want.forgotten || want.forgotten > 0 && len(y.claims)+len(y.losses) > 0 {
			t.Errorf("recorded on %v: %d claims, %d as known later, %d not known", on, n, y.Later, y.Forgotten)
		}
		r := Result{AsOf: w.o.AsOf, Years: []Year{y.Year}}
		if said := r.caveat(); (said != "") != (want.forgotten > 0) {
			t.Errorf("recorded on %v: %q", on, said)
		}
	}
	// Of an earlier year, of which a row of today says what it came to.
	r := Result{AsOf: today, Years: []Year{{Later: 3}}}
	if said := r.caveat(); !strings.Contains(said, "3 claims of these years came without recorded_at") {
		t.Error(said)
	}
	from := today.AddMonths(-27)
	a := customer("a", policy("m", "motor", from-800))
	claimOf(a, "m", from+9, 0, 1000_00, "collision")
	a.Claims[0].Version = portfolio.Version{}
	a.Normalise(today)
	v := new(portfolio.View)
	v.Reset(a, from.AddMonths(15), portfolio.DefaultEnds)
	s := scoring.DefaultSettings()
	if claims, loss, later := came(v, "m", from+1, from.AddMonths(12)+1, &s.Risk, today); claims != 1 || loss != 1000 || later != 1 {
		t.Errorf("%v claims of EUR %v, %d as known later", claims, loss, later)
	}
}

// TestAnotherMemberTakesOver: what another member takes over has not lapsed.
func TestAnotherMemberTakesOver(t *testing.T) {
	then := today.AddMonths(-15)
	for household, want := range map[string]int{"": 1, "h": 0} {
		a := customer("a", policy("m", "motor", then-800), ended(policy("m", "motor", then-800), then+100, "lapse", then+100), policy("s", "contents", then-800))
		b := customer("b", policy("n", "motor", then+110), policy("l", "legal", then-800))
		a.Customers[0].HouseholdID, b.Customers[0].HouseholdID = household, household
		y, _ := scored(t, book(a, b))
		n := 0
		for _, p := range y.policies {
			if p.rate > 0 {
				n++
			}
		}
		if n != want || len(y.policies) != 3 {
			t.Errorf("household %q: %d of %d policies lapsed, want %d", household, n, len(y.policies), want)
		}
	}
}
