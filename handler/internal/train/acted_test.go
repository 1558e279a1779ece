package train

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"polis/handler/internal/feedback"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// treated is a book in which somebody acts for customers, more often for those who are likely
// to leave, which their year of birth tells and nothing else does; for half a year they then
// leave a fifth as often. So it is by chance, given what is recorded, who was acted for.
type treated struct {
	customers int
	buys      bool // what they do is buy travel insurance, and an offer makes it four times as likely
}

// The monthly hazards of those who are likely to leave, or to buy, and of the others.
var monthly = map[bool]float64{true: 0.04, false: 0.012}

func (b treated) book() (relations [][]*portfolio.Aggregate) {
	r := rand.New(rand.NewPCG(11, uint64(b.customers)))
	for i := range b.customers {
		likely := r.IntN(2) == 0
		born := 1950
		if likely {
			born = 1995
		}
		act := map[bool]float64{true: 0.12, false: 0.03}[likely] / 30
		times := 0.2
		if b.buys {
			times = 4
		}
		var acted []portfolio.Action
		event := portfolio.Date(0)
		for day := then - 200; day <= until && event == 0; day++ {
			daily := monthly[likely] / 30.4
			if b.buys {
				daily /= 4
			}
			if n := len(acted); n > 0 && day < acted[n-1].On.AddMonths(6) {
				daily *= times
			} else if r.Float64() < act {
				acted = append(acted, portfolio.Action{Kind: "call", On: day, RecordedAt: day + portfolio.Date(r.IntN(20))})
				daily *= times
			}
			if r.Float64() < daily {
				event = day
			}
		}
		if event != 0 && event <= then {
			continue
		}
		id := fmt.Sprintf("c%05d", i)
		var a *portfolio.Aggregate
		switch {
		case !b.buys && event != 0:
			a = customer(policy("p"+id, "motor", then-900, event, "lapse"), policy("q"+id, "contents", then-900, event, "lapse"))
		case b.buys && event != 0:
			a = customer(policy("p"+id, "motor", then-900, 0, ""), policy("t"+id, "travel", event, 0, ""))
		case b.buys:
			a = customer(policy("p"+id, "motor", then-900, 0, ""))
		default:
			a = customer(policy("p"+id, "motor", then-900, 0, ""), policy("q"+id, "contents", then-900, 0, ""))
		}
		a.Customers[0].ID, a.Customers[0].BirthYear, a.Actions = id, born, acted
		for k := range a.Policies {
			a.Policies[k].CustomerID = id
		}
		if b.buys {
			for k := range a.Actions {
				a.Actions[k].Kind, a.Actions[k].About = "offer", "travel"
			}
		}
		relations = append(relations, alone(a))
	}
	return relations
}

// learntOf is the mean that the model of a place gives to the rows of a year of birth, with
// its standard error as a rate of so many events.
func learntOf(t *testing.T, f *fitter, p place, born float64) (rate, spread float64) {
	t.Helper()
	m, err := f.one(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	age := slices.IndexFunc(p.table.fields, func(f model.Field) bool { return f.Name == "age" })
	sum, weight, events := 0.0, 0.0, 0.0
	for i, link := range p.table.links(m) {
		if old := p.table.num[age][i] > 50; old == (born < 1970) {
			w := p.table.weight[i]
			sum, weight, events = sum+w/(1+math.Exp(-link)), weight+w, events+w*p.table.y[i]
		}
	}
	return sum / weight, math.Sqrt(events) / weight
}

func named(t *testing.T, f *fitter, name string) place {
	t.Helper()
	for _, p := range f.places() {
		if p.name == name {
			return p
		}
	}
	t.Fatal("no such place")
	return place{}
}

// TestWithoutAction: where who is acted for depends on what is recorded, what is learnt is
// what happens without action; and of a book whose actions are not looked at it is not. Half
// the weight is half way.
func TestWithoutAction(t *testing.T) {
	relations := treated{customers: 8_000}.book()
	under := func(weight float64) *fitter {
		s := scoring.DefaultSettings()
		s.Feedback.Weight = weight
		f := newFitter(t, s, 1, 60_000)
		for _, step := range []func() error{
			func() error { return f.survey(t.Context(), source(relations...)) },
			func() error { return f.collect(t.Context(), source(relations...)) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	without, half, all := under(0), under(0.5), under(1)
	for born, likely := range map[float64]bool{1995: true, 1950: false} {
		truth := 1 - math.Exp(-monthly[likely])
		rate, spread := learntOf(t, without, named(t, without, "lapse"), born)
		between, _ := learntOf(t, half, named(t, half, "lapse"), born)
		raw, rawSpread := learntOf(t, all, named(t, all, "lapse"), born)
		t.Logf("born %v: truth %.4f, learnt %.4f ± %.4f, at half weight %.4f, where nobody looks %.4f ± %.4f", born, truth, rate, spread, between, raw, rawSpread)
		if math.Abs(rate-truth) > 2*spread {
			t.Errorf("born %v: %.4f is learnt, the truth is %.4f ± %.4f", born, rate, truth, spread)
		}
		if likely && raw > truth-4*rawSpread {
			t.Errorf("born %v: where nobody looks %.4f is learnt, and the test cannot fail", born, raw)
		}
		if !(raw < between && between < rate) {
			t.Errorf("born %v: at half weight %.4f is learnt", born, between)
		}
	}
	p := named(t, without, "lapse")
	m, err := without.one(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if left := m.Meta().Censored; left != places4(without.apart.months) || left < 10_000 || without.lapses.months+left < all.lapses.months-1e-6 {
		t.Errorf("%v months are said to be left out, of %v", left, all.lapses.months)
	}
	if all.apart.months != 0 {
		t.Errorf("%v months are left out where nothing is to be", all.apart.months)
	}
}

// TestPurchasesWithoutOffers: likewise of who buys after an offer that somebody made; an
// action that is about something else changes nothing.
func TestPurchasesWithoutOffers(t *testing.T) {
	relations := treated{customers: 6_000, buys: true}.book()
	rates := func(weight float64, about string) (f *fitter) {
		for _, members := range relations {
			for i := range members[0].Actions {
				members[0].Actions[i].About = about
			}
		}
		s := scoring.DefaultSettings()
		s.Feedback.Weight = weight
		return collectedUnder(t, s, relations...)
	}
	of := func(f *fitter, likely bool) (rate, spread float64) {
		table := f.buyersOf("travel").table
		age, bought, asked := slices.IndexFunc(table.fields, func(f model.Field) bool { return f.Name == "age" }), 0.0, 0.0
		for i := range table.n {
			if table.num[age][i] < 50 == likely {
				bought, asked = bought+table.weight[i]*table.y[i], asked+table.weight[i]
			}
		}
		return bought / asked, math.Sqrt(bought) / asked
	}
	without, all, other := rates(0, "travel"), rates(1, "travel"), rates(0, "pet")
	for _, likely := range []bool{true, false} {
		truth := 1 - math.Exp(-12*monthly[likely]/4)
		rate, spread := of(without, likely)
		raw, _ := of(all, likely)
		t.Logf("bought in a year: truth %.4f, counted %.4f ± %.4f, where nobody looks %.4f", truth, rate, spread, raw)
		if math.Abs(rate-truth) > 2*spread {
			t.Errorf("without offers %.4f ± %.4f buy, the truth is %.4f", rate, spread, truth)
		}
		if likely && raw < truth+4*spread {
			t.Errorf("where nobody looks %.4f buy, and the test cannot fail", raw)
		}
		if same, _ := of(other, likely); same != raw {
			t.Errorf("with offers of something else %.4f buy, and not %.4f", same, raw)
		}
	}
	if got := without.buyersOf("travel").apart; got < 500 {
		t.Errorf("%v years are said to be left out", got)
	}
}

// TestLateWords: a training as of a date reads only actions that were recorded by then.
func TestLateWords(t *testing.T) {
	relations := func(recorded portfolio.Date) [][]*portfolio.Aggregate {
		a := customer(policy("p", "motor", then-500, 0, ""))
		a.Actions = []portfolio.Action{{Kind: "call", On: then + 40, RecordedAt: recorded}}
		return [][]*portfolio.Aggregate{alone(a)}
	}
	if n := collected(t, relations(asOf)...).apart.policyMonths; math.Abs(n-6) > 0.2 {
		t.Errorf("of an action of six months %v months are left out", n)
	}
	if n := collected(t, relations(asOf+1)...).apart.policyMonths; n != 0 {
		t.Errorf("of one that nobody knew of %v months are left out", n)
	}
}

// TestMoversActions: actions go along with a customer who is looked back at in another
// relation.
func TestMoversActions(t *testing.T) {
	a := customer(policy("p", "motor", then-500, 0, ""))
	a.Customers = append(a.Customers, a.Customers[0])
	a.Customers[1].HouseholdID, a.Customers[1].Version = "h", recorded(then+200)
	a.Normalise(asOf)
	a.Actions = []portfolio.Action{{Kind: "call", On: then + 40, RecordedAt: then + 40}}
	if n := collected(t, alone(a)).apart.policyMonths; math.Abs(n-6) > 0.2 {
		t.Errorf("%v months are left out", n)
	}
}

// TestJudgementsAreNoLabels: what people thought of suggestions changes no byte of the models;
// what they did does.
func TestJudgementsAreNoLabels(t *testing.T) {
	base := treated{customers: 1200}.book()
	fit := func(outcome feedback.Outcome, judgement feedback.Judgement) []byte {
		for _, members := range base {
			a := members[0]
			var h feedback.History
			at := then.Time().Add(60 * 24 * time.Hour)
			h.Suggest(feedback.Suggestion{Item: "i", Action: "call", Opened: then, Replies: []feedback.Reply{
				{Judgement: judgement, At: at}, {Outcome: outcome, Judgement: judgement, At: at.Add(time.Hour)},
			}})
			a.Actions = h.Actions(nil)
		}
		s := scoring.DefaultSettings()
		m, err := Fit(t.Context(), source(base...), Options{AsOf: asOf, Settings: &s, Snapshots: 1})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := m.Save(&out); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	useful := fit(feedback.Done, feedback.Useful)
	if !bytes.Equal(useful, fit(feedback.Done, feedback.Wrong)) {
		t.Error("judgements are learnt from")
	}
	if bytes.Equal(useful, fit(feedback.Dismissed, feedback.Useful)) {
		t.Error("what was done changes nothing, and the test cannot fail")
	}
}

// TestEvened: of relations that end, and of which some are acted for before they do, what is
// held against what was foretold has as many that ended as there would be if nobody acted.
// Where nobody does nothing changes.
func TestEvened(t *testing.T) {
	const year = portfolio.Date(365)
	share := func(act func(band int) float64) (ended, raw, truth [2]float64) {
		r := rand.New(rand.NewPCG(3, 3))
		var seen []foretold
		var all []followed
		var n, gone [2]float64
		for i := range 40_000 {
			band := i % 2
			end, acted := year, year+1
			if at := portfolio.Date(365 * r.ExpFloat64() / []float64{0.2, 0.8}[band]); at < year {
				end = at + 1
				gone[band]++
			}
			n[band]++
			if rate := act(band); rate > 0 {
				acted = portfolio.Date(365*r.ExpFloat64()/rate) + 1
			}
			all = append(all, followed{12, band, min(end, acted-1), acted <= end})
			if acted > end {
				seen = append(seen, foretold{months: 12, band: band, days: end, window: year, lot: r.Float64()})
			}
		}
		count := func(of []foretold) (ended [2]float64) {
			var n [2]float64
			for _, x := range of {
				n[x.band]++
				if x.days < x.window {
					ended[x.band]++
				}
			}
			return [2]float64{ended[0] / n[0], ended[1] / n[1]}
		}
		raw = count(seen)
		return count(evened(seen, all)), raw, [2]float64{gone[0] / n[0], gone[1] / n[1]}
	}
	ended, raw, truth := share(func(band int) float64 { return []float64{0.1, 1}[band] })
	t.Logf("ended: truth %.3f, evened %.3f, as they are %.3f", truth, ended, raw)
	for band := range ended {
		if math.Abs(ended[band]-truth[band]) > 0.012 {
			t.Errorf("band %d: %.3f ended, and %.3f without action", band, ended[band], truth[band])
		}
	}
	if raw[1] < truth[1]+0.05 {
		t.Error("as they are there are no more that ended, and the test cannot fail")
	}
	if ended, raw, _ = share(func(int) float64 { return 0 }); ended != raw {
		t.Errorf("nobody acted, and of %.3f that ended %.3f are left", raw, ended)
	}
}
