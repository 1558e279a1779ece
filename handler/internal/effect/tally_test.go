package effect

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"polis/handler/internal/feedback"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
)

// A suggestion of opened is followed from 30 days later on for six months, and counts when
// the lag of three months is over: on the as-of date itself.
var (
	opened   = portfolio.MustDate(2025, 3, 1)
	landmark = opened + 30
	until    = landmark.AddMonths(6)
	asOf     = until.AddMonths(3)
)

// customer has a motor policy that ends on a day, 0 for never, and what else is given.
func customer(end portfolio.Date, reason string, more ...portfolio.Policy) *portfolio.Aggregate {
	known := portfolio.Version{RecordedAt: opened - 900, ValidFrom: opened - 900}
	p := portfolio.Policy{ID: "p", CustomerID: "c", Branch: "motor", StartDate: opened - 900, AnnualPremium: 100, Status: portfolio.Active, Version: known}
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "c", Version: known}}, Policies: append(more, p)}
	if end != 0 {
		p.EndDate, p.EndReason, p.Status, p.Version = end, reason, portfolio.Ended, portfolio.Version{RecordedAt: end, ValidFrom: end}
		a.Policies = append(a.Policies, p)
	}
	a.Normalise(asOf)
	return a
}

func travel(start portfolio.Date) portfolio.Policy {
	return portfolio.Policy{ID: "t", CustomerID: "c", Branch: "travel", StartDate: start, Status: portfolio.Active, Version: portfolio.Version{RecordedAt: start, ValidFrom: start}}
}

func acted(on portfolio.Date) []feedback.Reply {
	return []feedback.Reply{{Outcome: feedback.Done, On: on, At: on.Time().Add(time.Hour)}}
}

func counted(t *testing.T, holdOut float64, asOf portfolio.Date, a *portfolio.Aggregate, s ...feedback.Suggestion) *Tally {
	t.Helper()
	m := &scoring.Models{Settings: scoring.DefaultSettings(), Ends: portfolio.DefaultEnds}
	m.Settings.Feedback.Effects.HoldOut = holdOut
	c, err := NewCounter(m, asOf)
	if err != nil {
		t.Fatal(err)
	}
	c.Relation([]Member{{a, &feedback.History{Suggestions: s}}})
	return &c.Tally
}

func TestCounter(t *testing.T) {
	call := func(replies ...feedback.Reply) feedback.Suggestion {
		return feedback.Suggestion{Item: "i", Action: "call", Opened: opened, Chance: 0.07, Replies: replies}
	}
	offer := call()
	offer.About = "travel"
	again := call(acted(opened + 100)...)
	again.Item, again.Opened = "again", opened+90
	shown, held := call(), call()
	shown.Share, held.Share, held.Held = 0.2, 0.2, true
	other := held
	other.Share = 0.3
	one := func(came int) []Cell { return []Cell{{}, {1, came}} }
	for name, tc := range map[string]struct {
		a       *portfolio.Aggregate
		s       []feedback.Suggestion
		holdOut float64
		early   portfolio.Date // days before the as-of date
		want    Counts
	}{
		"stays, nobody acted":            {a: customer(0, ""), s: []feedback.Suggestion{call()}, want: Counts{Suggested: 1, Left: one(0)}},
		"stays, somebody acted":          {a: customer(0, ""), s: []feedback.Suggestion{call(acted(opened + 9)...)}, want: Counts{Suggested: 1, Acted: one(0)}},
		"lapses":                         {a: customer(landmark+1, "lapse"), s: []feedback.Suggestion{call()}, want: Counts{Suggested: 1, Left: one(1)}},
		"lapses on the last day":         {a: customer(until, "lapse"), s: []feedback.Suggestion{call()}, want: Counts{Suggested: 1, Left: one(1)}},
		"lapses later":                   {a: customer(until+1, "lapse"), s: []feedback.Suggestion{call()}, want: Counts{Suggested: 1, Left: one(0)}},
		"lapses before the landmark":     {a: customer(landmark, "lapse"), s: []feedback.Suggestion{call()}, want: Counts{Suggested: 1}},
		"dies":                           {a: customer(landmark+1, "deceased"), s: []feedback.Suggestion{call()}, want: Counts{Suggested: 1, Left: one(0)}},
		"acted on late":                  {a: customer(0, ""), s: []feedback.Suggestion{call(acted(landmark + 1)...)}, want: Counts{Suggested: 1, Left: one(0)}},
		"too young":                      {a: customer(0, ""), s: []feedback.Suggestion{call()}, early: 1, want: Counts{Suggested: 1, Open: 1}},
		"suggested again":                {a: customer(0, ""), s: []feedback.Suggestion{call(), again}, want: Counts{Suggested: 1, Left: one(0)}},
		"buys":                           {a: customer(0, "", travel(landmark+5)), s: []feedback.Suggestion{offer}, want: Counts{Suggested: 1, Left: one(1)}},
		"bought before the landmark":     {a: customer(0, "", travel(landmark)), s: []feedback.Suggestion{offer}, want: Counts{Suggested: 1}},
		"shown":                          {a: customer(0, ""), s: []feedback.Suggestion{shown}, holdOut: 0.2, want: Counts{Suggested: 1, Left: one(0), Shown: one(0)}},
		"shown, lapses at once":          {a: customer(opened+5, "lapse"), s: []feedback.Suggestion{shown}, holdOut: 0.2, want: Counts{Suggested: 1, Shown: one(1)}},
		"held out":                       {a: customer(landmark+1, "lapse"), s: []feedback.Suggestion{held}, holdOut: 0.2, want: Counts{Suggested: 1, Held: one(1)}},
		"held out when it was otherwise": {a: customer(0, ""), s: []feedback.Suggestion{other}, holdOut: 0.2, want: Counts{Suggested: 1}},
		"drawn, and nobody draws now":    {a: customer(0, ""), s: []feedback.Suggestion{shown}, want: Counts{Suggested: 1, Left: one(0)}},
	} {
		got := counted(t, tc.holdOut, asOf-tc.early, tc.a, tc.s...)
		of := got.Lapses["call"]
		if tc.s[0].About != "" {
			of = got.Purchases["call"]
		}
		if of == nil || !reflect.DeepEqual(*of, tc.want) {
			t.Errorf("%s: %+v, want %+v", name, of, tc.want)
		}
	}
	if got := counted(t, 0, opened-1, customer(0, ""), call()); !reflect.DeepEqual(*got, Tally{}) {
		t.Errorf("what is suggested later is counted: %+v", got)
	}
}

// TestTalliesAddUp: two halves are the whole, and what is kept is what was counted.
func TestTalliesAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var halves [2]Tally
	var whole Tally
	for range 300 {
		s := feedback.Suggestion{Action: []string{"a", "b"}[r.IntN(2)], Opened: opened, Chance: r.Float64(), Replies: []feedback.Reply{{Judgement: feedback.Wrong, Outcome: feedback.Done, At: opened.Time()}}[:r.IntN(2)]}
		one := counted(t, 0, asOf, customer(0, ""), s)
		whole.Add(one)
		halves[r.IntN(2)].Add(one)
	}
	var sum Tally
	sum.Add(&halves[1])
	sum.Add(&halves[0])
	if !reflect.DeepEqual(sum, whole) || whole.Judged["a"].All == 0 {
		t.Errorf("%+v and %+v", sum, whole)
	}
	c := &Counted{AsOf: asOf, Run: "r", Settings: feedback.Defaults(), Tally: whole}
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Read(body); err != nil || !reflect.DeepEqual(c, again) {
		t.Errorf("%v: %+v is read as %+v", err, c, again)
	}
	if after := c.After(&c.Settings.Suppression); len(after) != 2 {
		t.Errorf("what everybody is against does not stand last: %v", after)
	}
}

// TestReport says no more than there is to say.
func TestReport(t *testing.T) {
	report := func(holdOut float64, n *Counts) *Action {
		c := Counted{Settings: feedback.Defaults(), Tally: Tally{Lapses: map[string]*Counts{"call": n}}}
		c.Settings.Effects.HoldOut = holdOut
		return &c.Report().Actions[0]
	}
	if a := report(0, &Counts{}); a.Association.Why != Nobody || a.Association.Smallest != nil || a.Effect != nil {
		t.Errorf("of nobody: %+v", a)
	}
	few := report(0, &Counts{Acted: []Cell{{300, 5}}, Left: []Cell{{300, 9}}}).Association
	if few.Why != TooFew || few.Difference != nil || few.Low != nil || few.High != nil || few.Smallest == nil || *few.Smallest > -0.01 {
		t.Errorf("of few: %+v", few)
	}
	tiny := report(0, &Counts{Acted: []Cell{{8, 1}}, Left: []Cell{{8, 0}}}).Association
	if tiny.Smallest != nil {
		t.Errorf("of eight an effect of %v is seen", *tiny.Smallest)
	}
	many := report(0, &Counts{Acted: []Cell{{300, 20}, {40, 1}}, Left: []Cell{{300, 40}}}).Association
	if many.Why != "" || math.Abs(*many.Difference-(-0.0667)) > 1e-9 || !(*many.Low < -0.0667 && *many.High < 0) || many.LeftOut != 40 || many.With.Customers != 340 {
		t.Errorf("of many: %+v", many)
	}
	drawn := report(0.1, &Counts{Shown: []Cell{{900, 60}}, Held: []Cell{{100, 10}}})
	if drawn.Effect == nil || drawn.Effect.Difference == nil || drawn.Association.Why != Nobody {
		t.Errorf("by lot: %+v", drawn)
	}
}

// FuzzRead: whatever is stored is read or refused, and what is read makes a report.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`{}`, `null`, `{"tally":{"lapses":{"call":null},"judged":{"call":null}}}`,
		`{"settings":{"effects":{"hold_out":0.1,"level":0.95,"power":0.8}},"tally":{"lapses":{"call":{"acted":[{"customers":3,"events":1}],"left":[{"customers":9,"events":2}]}},"judged":{"call":{"judged":9,"against":8}}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		if c, err := Read(body); err == nil {
			c.Report()
			c.After(&c.Settings.Suppression)
		}
	})
}
