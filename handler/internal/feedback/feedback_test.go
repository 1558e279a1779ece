package feedback

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

var (
	monday = portfolio.MustDate(2026, 3, 2)
	anna   = Person{"anna", "actions.write"}
)

// on is an instant of a day.
func on(d portfolio.Date) time.Time { return d.Time().Add(9 * time.Hour) }

func suggested(action, about string, replies ...Reply) Suggestion {
	return Suggestion{Item: action + about, Action: action, About: about, Opened: monday, Replies: replies}
}

func TestQuiet(t *testing.T) {
	q := Defaults().Quiet
	for _, tc := range []struct {
		name    string
		replies []Reply
		days    int // after the first reply
		want    bool
	}{
		{"done: not again at once", []Reply{{Outcome: Done}}, 1, true},
		{"done: on the last quiet day", []Reply{{Outcome: Done}}, 89, true},
		{"done: again after a quarter", []Reply{{Outcome: Done}}, 90, false},
		{"done before it was said", []Reply{{Outcome: Done, On: monday - 30}}, 60, false},
		{"dismissed: half a year", []Reply{{Outcome: Dismissed}}, 179, true},
		{"declined: something else after a quarter", []Reply{{Outcome: Declined}}, 90, false},
		{"snoozed: until its day", []Reply{{Outcome: Snoozed, Until: monday + 7}}, 6, true},
		{"snoozed: on its day", []Reply{{Outcome: Snoozed, Until: monday + 7}}, 7, false},
		{"snoozed, then done", []Reply{{Outcome: Snoozed, Until: monday + 300}, {Outcome: Done, At: on(monday + 1)}}, 91, false},
		{"judged useful", []Reply{{Judgement: Useful}}, 0, false},
		{"not useful: a year", []Reply{{Judgement: NotUseful}}, 364, true},
		{"not useful: and no longer", []Reply{{Judgement: NotUseful}}, 365, false},
		{"wrong", []Reply{{Judgement: Wrong}}, 364, true},
		{"known", []Reply{{Judgement: AlreadyKnown}}, 179, true},
		{"done and not useful: the longer", []Reply{{Outcome: Done, Judgement: NotUseful}}, 300, true},
		{"judged otherwise since", []Reply{{Judgement: NotUseful}, {Judgement: Useful, At: on(monday + 2)}}, 300, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i := range tc.replies {
				if tc.replies[i].At.IsZero() {
					tc.replies[i].At = on(monday)
				}
			}
			h := History{[]Suggestion{suggested("call", "", tc.replies...)}}
			if got := h.Quiet(&q, "call", monday+portfolio.Date(tc.days)); got != tc.want {
				t.Errorf("quiet = %v", got)
			}
			if h.Quiet(&q, "care", monday+1) {
				t.Error("quiet about an action that nobody judged")
			}
		})
	}
}

// TestNews: what is back after a reply says what was not there then.
func TestNews(t *testing.T) {
	asked := Cause{Rules: []string{"claims", "death"}, Complaints: 1, Claims: 3}
	for name, tc := range map[string]struct {
		now  Cause
		want []string
	}{
		"the same":                   {asked, nil},
		"fewer":                      {Cause{Rules: []string{"claims"}}, nil},
		"another rule, and a claim":  {Cause{Rules: []string{"claims", "payment"}, Claims: 4}, []string{"payment"}},
		"the same rule, and a claim": {Cause{Rules: []string{"claims"}, Claims: 4}, []string{NewClaim}},
		"both":                       {Cause{Rules: asked.Rules, Complaints: 2, Claims: 4}, []string{NewComplaint, NewClaim}},
	} {
		s := suggested("care", "", Reply{Outcome: Done, At: on(monday)})
		s.Cause = asked
		h := History{[]Suggestion{s}}
		if got := h.News(&Owed{Action: "care", Cause: tc.now}); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v", name, got)
		}
		if got := h.News(&Owed{Action: "care", About: "contents", Cause: tc.now}); got != nil {
			t.Errorf("%s, of something else: %v", name, got)
		}
		s.Replies = nil
		h = History{[]Suggestion{s}}
		if got := h.News(&Owed{Action: "care", Cause: tc.now}); got != nil {
			t.Errorf("%s, and nothing was said: %v", name, got)
		}
	}
}

// TestSettled: what is owed rests as anything does, but no longer than it can be put off where it
// does not wait its turn, and only while nothing asks for it that did not.
func TestSettled(t *testing.T) {
	q := Defaults().Quiet
	asked := Cause{Rules: []string{"claims", "death"}, Complaints: 1, Claims: 3}
	for _, tc := range []struct {
		name    string
		replies []Reply
		now     Cause
		advice  bool
		days    int
		want    bool
	}{
		{"dismissed", []Reply{{Outcome: Dismissed}}, asked, false, 13, true},
		{"dismissed: looked at again after a fortnight", []Reply{{Outcome: Dismissed}}, asked, false, 14, false},
		{"wrong: after a fortnight too", []Reply{{Outcome: Dismissed, Judgement: Wrong}}, asked, false, 14, false},
		{"known", []Reply{{Judgement: AlreadyKnown}}, asked, false, 14, false},
		{"not useful", []Reply{{Judgement: NotUseful}}, asked, false, 14, false},
		{"done", []Reply{{Outcome: Done}}, asked, false, 29, true},
		{"done is not never again", []Reply{{Outcome: Done}}, asked, false, 30, false},
		{"snoozed", []Reply{{Outcome: Snoozed, Until: monday + 7}}, asked, false, 6, true},
		{"snoozed: on its day", []Reply{{Outcome: Snoozed, Until: monday + 7}}, asked, false, 7, false},
		{"another rule", []Reply{{Outcome: Dismissed}}, Cause{Rules: []string{"death", "payment"}, Complaints: 1, Claims: 3}, false, 1, false},
		{"fewer rules", []Reply{{Outcome: Dismissed}}, Cause{Rules: []string{"death"}, Complaints: 1, Claims: 3}, false, 1, true},
		{"another complaint", []Reply{{Outcome: Dismissed, Judgement: Wrong}}, Cause{Rules: asked.Rules, Complaints: 2, Claims: 3}, false, 1, false},
		{"another claim", []Reply{{Outcome: Done}}, Cause{Rules: asked.Rules, Complaints: 1, Claims: 4}, false, 1, false},
		{"another complaint while snoozed", []Reply{{Outcome: Snoozed, Until: monday + 7}}, Cause{Rules: asked.Rules, Complaints: 2, Claims: 3}, false, 1, false},
		{"one less since", []Reply{{Outcome: Done}}, Cause{Rules: asked.Rules, Claims: 3}, false, 1, true},
		{"nothing was said", nil, asked, false, 1, false},
		{"advice waits as others do", []Reply{{Outcome: Dismissed}}, asked, true, 179, true},
		{"and no longer", []Reply{{Outcome: Dismissed}}, asked, true, 180, false},
		{"advice for another reason", []Reply{{Outcome: Dismissed}}, Cause{Rules: []string{"another"}}, true, 1, false},
	} {
		for i := range tc.replies {
			tc.replies[i].At = on(monday)
		}
		s := suggested("care", "", tc.replies...)
		s.Cause = asked
		of := Owed{Action: "care", Cause: tc.now, AtOnce: !tc.advice}
		h := History{[]Suggestion{s}}
		if got := h.Settled(&q, &of, monday+portfolio.Date(tc.days)); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
		// Of old it is not known what asked: then the days alone say.
		s.Cause, of.Cause = Cause{}, asked
		if h = (History{[]Suggestion{s}}); tc.want && !h.Settled(&q, &of, monday+portfolio.Date(tc.days)) {
			t.Errorf("%s, of old: it does not rest", tc.name)
		}
		if of.About = "contents"; h.Settled(&q, &of, monday+1) {
			t.Errorf("%s: it settles what is about something else", tc.name)
		}
	}
	// What was said last is what counts: opened again for another reason, and dismissed too.
	again := suggested("care", "", Reply{Outcome: Dismissed, At: on(monday + 2)})
	again.Item, again.Opened, again.Cause = "again", monday+1, Cause{Rules: []string{"payment"}, Complaints: 1, Claims: 3}
	first := suggested("care", "", Reply{Outcome: Dismissed, At: on(monday)})
	first.Cause = asked
	h := History{[]Suggestion{first, again}}
	if !h.Settled(&q, &Owed{Action: "care", Cause: again.Cause, AtOnce: true}, monday+3) || h.Settled(&q, &Owed{Action: "care", Cause: asked, AtOnce: true}, monday+3) {
		t.Error("the first of two that were dismissed counts")
	}
	rapid.Check(t, func(t *rapid.T) { // however it is set, care does not rest beyond the bound
		days := func(of string) int { return rapid.IntRange(0, 3660).Draw(t, of) }
		q := Quiet{days("done"), days("dismissed"), days("declined"), days("not useful"), days("wrong"), days("known"), 14, 30}
		r := Reply{
			Outcome:   rapid.SampledFrom([]Outcome{"", Done, Dismissed, Declined}).Draw(t, "outcome"),
			Judgement: rapid.SampledFrom([]Judgement{Useful, NotUseful, Wrong, AlreadyKnown}).Draw(t, "judgement"), At: on(monday),
		}
		h := History{[]Suggestion{suggested("care", "", r)}}
		if h.Settled(&q, &Owed{Action: "care", AtOnce: true}, monday+30) {
			t.Fatalf("%+v takes care off the list for more than a month", r)
		}
	})
}

func TestReplies(t *testing.T) {
	s := suggested("call", "")
	add := func(r Reply, want bool) {
		t.Helper()
		if got, err := s.Reply(r); err != nil || got != want {
			t.Fatalf("%+v: %v, %v", r, got, err)
		}
	}
	add(Reply{Outcome: Done, By: anna, At: on(monday)}, true)
	add(Reply{Outcome: Done, By: anna, At: on(monday + 1)}, false)
	add(Reply{Outcome: Done, By: Person{"bert", "actions.write"}, At: on(monday + 1)}, true)
	add(Reply{Outcome: Dismissed, By: anna, At: on(monday + 2)}, true)
	add(Reply{Outcome: Done, By: anna, At: on(monday + 3)}, true)
	for len(s.Replies) < MaxReplies {
		s.Replies = append(s.Replies, Reply{})
	}
	if _, err := s.Reply(Reply{Outcome: Done, On: 9}); !fault.Is(err, fault.Conflict) {
		t.Errorf("without end: %v", err)
	}
	for _, tc := range []struct {
		r    Reply
		says string
	}{
		{Reply{}, "/outcome"},
		{Reply{Outcome: "maybe"}, "/outcome"},
		{Reply{Outcome: Open}, "/outcome"},
		{Reply{Judgement: "bad"}, "/judgement"},
		{Reply{Outcome: Snoozed}, "/until"},
		{Reply{Outcome: Snoozed, Until: monday}, "/until"},
		{Reply{Outcome: Done, Until: monday + 1}, "/until"},
		{Reply{Judgement: Wrong, Until: monday + 1}, "/until"},
		{Reply{Outcome: Done, On: monday + 2}, "/on"},
	} {
		tc.r.At = on(monday)
		var f *fault.Error
		if err := tc.r.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", tc.r, err)
		} else if f, _ = err.(*fault.Error); f.Fields[0].Pointer != tc.says {
			t.Errorf("%+v: %s, want %s", tc.r, f.Fields[0].Pointer, tc.says)
		}
	}
	for _, r := range []Reply{{Judgement: Useful}, {Outcome: Done, Judgement: Wrong, On: monday - 3}, {Outcome: Snoozed, Until: monday + 1}} {
		if r.At = on(monday); r.Check() != nil {
			t.Errorf("%+v: %v", r, r.Check())
		}
	}
}

// TestHistory: what is suggested again is there once, the old is forgotten, and what was
// acted on is known with the day on which it was recorded.
func TestHistory(t *testing.T) {
	var h History
	offer := suggested("offer", "travel", Reply{Outcome: Snoozed, Until: monday + 9, At: on(monday)}, Reply{Outcome: Declined, On: monday + 10, At: on(monday + 12)})
	if !h.Suggest(offer) || h.Suggest(offer) {
		t.Error("a suggestion is new twice, or never")
	}
	h.Suggest(suggested("call", "", Reply{Outcome: Done, At: on(monday + 1)}, Reply{Judgement: Useful, At: on(monday + 2)}, Reply{Outcome: Dismissed, At: on(monday + 3)}))
	want := []portfolio.Action{
		{Kind: "call", On: monday + 1, RecordedAt: monday + 1},
		{Kind: "offer", About: "travel", On: monday + 10, RecordedAt: monday + 12},
	}
	if got := h.Actions(nil); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	for about, day := range h.Declines() {
		if about != "travel" || day != monday+12 {
			t.Errorf("declined %s on %s", about, day)
		}
	}
	if s := h.Find("offertravel", "travel"); !s.ActedBy(monday+10) || s.ActedBy(monday+9) {
		t.Error("acted on some other day")
	}
	body, err := h.Body()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Read(body); err != nil || !reflect.DeepEqual(h, again) {
		t.Errorf("%v: %+v is read as %+v", err, h, again)
	}
	late := suggested("call", "")
	late.Item, late.Opened = "late", monday+keptDays+1
	if h.Suggest(late); len(h.Suggestions) != 1 {
		t.Errorf("%d suggestions are kept", len(h.Suggestions))
	}
}

func FuzzRead(f *testing.F) {
	h := History{[]Suggestion{suggested("offer", "travel", Reply{Outcome: Declined, Judgement: Wrong, On: monday, By: anna, At: on(monday)})}}
	body, err := h.Body()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(body), `{}`, `null`, `{"suggestions":[{"replies":[{}]}]}`, `{"suggestions":[{"opened_on":"2026-02-30"}]}`, `[`} {
		f.Add([]byte(s))
	}
	q := Defaults().Quiet
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := Read(body)
		if err != nil {
			return
		}
		h.Quiet(&q, "offer", monday)
		h.Settled(&q, &Owed{Action: "offer", About: "travel"}, monday)
		h.Actions(nil)
		for i := range h.Suggestions {
			var j Judged
			j.Add(&h.Suggestions[i])
		}
		if body, err = h.Body(); err != nil {
			return // an instant that JSON has no form for
		}
		if _, err := Read(body); err != nil {
			t.Errorf("what was written is not read: %v", err)
		}
	})
}

// windowed are windows of actions on days.
func windowed(weight float64, days ...portfolio.Date) *Windows {
	s := Defaults()
	s.Weight = weight
	var w Windows
	w.Reset(&s)
	var a portfolio.Aggregate
	for _, d := range days {
		a.Actions = append(a.Actions, portfolio.Action{On: d, RecordedAt: d})
	}
	w.Add(&s, &a, monday+10_000)
	return &w
}

func TestCount(t *testing.T) {
	from := monday
	for _, tc := range []struct {
		name          string
		acted         []portfolio.Date
		weight        float64
		event         portfolio.Date // after from
		without, with float64
	}{
		{"nobody acted", nil, 0, 0, 1, 0},
		{"nobody acted, and it came", nil, 0, 9, 0, 1},
		{"long ago", []portfolio.Date{-300}, 0, 0, 1, 0},
		{"before", []portfolio.Date{-30}, 0, 0, 0, 0},
		{"before, and it came", []portfolio.Date{-30}, 0, 9, 0, 0},
		{"before, by half", []portfolio.Date{-30}, 0.5, 0, 0.5, 0},
		{"before, by half, and it came", []portfolio.Date{-30}, 0.5, 9, 0, 0.5},
		{"before, and nothing set apart", []portfolio.Date{-30}, 1, 9, 0, 1},
		{"on day 10 of 30: nine days", []portfolio.Date{10}, 0, 0, 0.3, 0},
		{"it came on the day before", []portfolio.Date{10}, 0, 9, 0, 1},
		{"it came on the day itself", []portfolio.Date{10}, 0, 10, 0.3, 0},
		{"it came after", []portfolio.Date{10}, 0, 20, 0.3, 0},
		{"it came after, by half", []portfolio.Date{10}, 0.5, 20, 0.15, 0.5},
		{"later", []portfolio.Date{31}, 0, 0, 1, 0},
	} {
		var days []portfolio.Date
		for _, d := range tc.acted {
			days = append(days, from+d)
		}
		event := tc.event
		if event != 0 {
			event += from
		}
		without, with := windowed(tc.weight, days...).Count(from, from+30, event)
		if math.Abs(without-tc.without) > 1e-12 || math.Abs(with-tc.with) > 1e-12 {
			t.Errorf("%s: %v and %v, want %v and %v", tc.name, without, with, tc.without, tc.with)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		day := rapid.Custom(func(t *rapid.T) portfolio.Date {
			return monday + portfolio.Date(rapid.IntRange(-400, 400).Draw(t, "day"))
		})
		w := windowed(rapid.Float64Range(0, 1).Draw(t, "weight"), rapid.SliceOfN(day, 0, 4).Draw(t, "acted")...)
		to := monday + portfolio.Date(rapid.IntRange(1, 120).Draw(t, "long"))
		event := portfolio.Date(0)
		if rapid.Bool().Draw(t, "came") {
			event = monday + portfolio.Date(rapid.IntRange(1, int(to-monday)).Draw(t, "event"))
		}
		without, with := w.Count(monday, to, event)
		if without < 0 || with < 0 || without+with > 1+1e-12 || event == 0 && with != 0 {
			t.Fatalf("a span counts %v and %v", without, with)
		}
		if first := w.First(monday, to); first != 0 && (!w.In(first) || w.Free(monday, first-1) != 1) || first == 0 && w.Free(monday, to) != 1 {
			t.Fatalf("the first day in a window is %s", first)
		}
	})
}

// TestWhatOpensAWindow: what was recorded by then, and contacts that the office sought with
// one of the reasons, each for what it was about.
func TestWhatOpensAWindow(t *testing.T) {
	s := Defaults()
	at := portfolio.Instant(monday.Time().Unix())
	acted := func(x portfolio.Action) portfolio.Aggregate {
		return portfolio.Aggregate{Actions: []portfolio.Action{x}}
	}
	said := func(direction, reason string) portfolio.Aggregate {
		return portfolio.Aggregate{Contacts: []portfolio.Contact{{At: at, Direction: direction, Reason: reason}}}
	}
	for name, tc := range map[string]struct {
		a                  portfolio.Aggregate
		any, travel, motor bool
	}{
		"nothing":               {portfolio.Aggregate{}, false, false, false},
		"a call":                {acted(portfolio.Action{On: monday, RecordedAt: monday}), true, false, false},
		"recorded later":        {acted(portfolio.Action{On: monday, RecordedAt: monday + 2}), false, false, false},
		"an offer":              {acted(portfolio.Action{About: "travel", On: monday, RecordedAt: monday}), true, true, false},
		"a retention contact":   {said("out", "Retention"), true, false, false},
		"one that they sought":  {said("in", "retention"), false, false, false},
		"another":               {said("out", "review"), false, false, false},
		"an offered product":    {said("out", "offer:travel"), true, true, false},
		"an offer of something": {said("out", "aanbod"), true, true, true},
	} {
		var w, offers Windows
		w.Reset(&s)
		w.Add(&s, &tc.a, monday+1)
		if w.In(monday) != tc.any || w.None() == tc.any {
			t.Errorf("%s: a window is %v", name, w.In(monday))
		}
		if w.Offers(&offers, "travel", "travel"); offers.In(monday+100) != tc.travel {
			t.Errorf("%s: travel was offered is %v", name, offers.In(monday))
		}
		if w.Offers(&offers, "car", "motor"); offers.In(monday) != tc.motor {
			t.Errorf("%s: motor was offered is %v", name, offers.In(monday))
		}
		if w.In(monday-1) || w.In(monday.AddMonths(6)) || tc.any && !w.In(monday.AddMonths(6)-1) {
			t.Errorf("%s: the window is not six months", name)
		}
	}
}

// TestSuppression: few judgements decide nothing, many do.
func TestSuppression(t *testing.T) {
	s := Defaults().Suppression
	for _, tc := range []struct {
		all, against int
		want         bool
	}{
		{0, 0, false}, {1, 1, false}, {3, 3, false}, {4, 4, true}, {10, 7, false}, {10, 8, true}, {100, 55, false}, {100, 60, true}, {5000, 2500, false}, {5000, 2600, true}, {1000, 0, false},
	} {
		if got := s.After(Judged{tc.all, tc.against}); got != tc.want {
			t.Errorf("%d of %d against it: %v", tc.against, tc.all, got)
		}
	}
	// Beta(a, b) at x, of whole numbers a sum of binomial probabilities (DLMF 8.17.5).
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.IntRange(1, 60).Draw(t, "a"), rapid.IntRange(1, 60).Draw(t, "b")
		x := rapid.Float64Range(0, 1).Draw(t, "x")
		want, n := 0.0, a+b-1
		for j := a; j <= n; j++ {
			choose, _ := math.Lgamma(float64(n + 1))
			l1, _ := math.Lgamma(float64(j + 1))
			l2, _ := math.Lgamma(float64(n - j + 1))
			want += math.Exp(choose-l1-l2) * math.Pow(x, float64(j)) * math.Pow(1-x, float64(n-j))
		}
		if got := beta(x, float64(a), float64(b)); math.Abs(got-want) > 1e-10 {
			t.Fatalf("%v at %v, want %v", got, x, want)
		}
	})
}

func TestSettings(t *testing.T) {
	s := Defaults()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Settings){
		"window_months":                  func(s *Settings) { s.WindowMonths = 0 },
		"weight":                         func(s *Settings) { s.Weight = math.NaN() },
		"retention_reasons[0]":           func(s *Settings) { s.RetentionReasons = Reasons{""} },
		"offer_reasons[1]":               func(s *Settings) { s.OfferReasons = Reasons{"a", "b:c"} },
		"quiet.done_days":                func(s *Settings) { s.Quiet.Done = -1 },
		"quiet.care_days":                func(s *Settings) { s.Quiet.Care = 91 },
		"quiet.care_done_days":           func(s *Settings) { s.Quiet.CareDone = -1 },
		"snooze.days":                    func(s *Settings) { s.Snooze.Days = 367 },
		"snooze.care_days":               func(s *Settings) { s.Snooze.CareDays = 0 },
		"suppression.limit":              func(s *Settings) { s.Suppression.Limit = 2 },
		"effects.hold_out":               func(s *Settings) { s.Effects.HoldOut = 0.6 },
		"effects.bands[1]":               func(s *Settings) { s.Effects.Bands = []float64{0.2, 0.2} },
		"effects.bands has fewer than 2": func(s *Settings) { s.Effects.Bands = make([]float64, MaxBands) },
		"effects.power":                  func(s *Settings) { s.Effects.Power = 1 },
	} {
		s := Defaults()
		spoil(&s)
		if err := s.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	c := s.Clone()
	if err := json.Unmarshal([]byte(`{"effects":{"bands":[0.5]},"offer_reasons":["x"]}`), &c); err != nil || !reflect.DeepEqual(s, Defaults()) {
		t.Errorf("%v, and one tenant's settings are another's", err)
	}
}

func TestLots(t *testing.T) {
	e := Effects{HoldOut: 0.1}
	held := 0
	for i := range 20_000 {
		id := string(rune('a'+i%26)) + portfolio.Date(i+1).String()
		if e.HeldOut("t", id, "call", monday) {
			held++
		}
		if e.HeldOut("t", id, "call", monday) != e.HeldOut("t", id, "call", monday+200) {
			t.Fatal("one lot falls twice in a year")
		}
	}
	if math.Abs(float64(held)-2000) > 4*math.Sqrt(20_000*0.1*0.9) {
		t.Errorf("%d of 20000 are held out", held)
	}
	for p, band := range map[float64]int{0: 5, 0.01: 0, 0.05: 0, 0.0501: 1, 0.9: 4} {
		d := Defaults()
		if got := d.Effects.Band(p); got != band {
			t.Errorf("a probability of %v is in band %d", p, got)
		}
	}
}
