package defend_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/care"
	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	. "polis/handler/internal/defend"
	"polis/handler/internal/fault"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

var asOf = portfolio.MustDate(2026, 3, 31)

// said is what the other engines say; change spoils or mends it.
type said struct {
	rk        risk.Result
	ch        churn.Result
	cv        clv.Result
	nb        nbp.Result
	announced float64
}

func suggested(change func(*said)) *Result {
	s := said{
		rk: risk.Result{Status: score.Scored}, ch: churn.Result{Status: score.Scored, Band: score.Low}, cv: clv.Result{Status: score.Scored, AtStake: 1000, AtRisk: 400},
		nb: nbp.Result{Status: score.Scored, MayContact: true}, announced: math.NaN(),
	}
	change(&s)
	var r Result
	New(&Default).Score(asOf, &s.rk, &s.ch, &s.cv, &s.nb, s.announced, &r)
	return &r
}

const (
	openComplaint = "unresolved_complaint"
	manyClaims    = "claims_in_short_time"
)

func triggered(s *said, x care.Trigger) { s.rk.Care.Triggers = append(s.rk.Care.Triggers, x) }

func complaint(s *said) { triggered(s, care.Trigger{Code: openComplaint, Holds: true}) }
func claims(s *said)    { triggered(s, care.Trigger{Code: manyClaims, Holds: true}) }
func leaving(s *said)   { s.ch.Band, s.ch.Headline[12] = score.High, 0.4 }
func rise(s *said)      { s.announced = 0.15 }
func gap(s *said) {
	triggered(s, care.Trigger{Branch: "liability", Code: "household_without_liability"})
}

func low(s *said) { triggered(s, care.Trigger{Code: "far_below_rebuild_value", Low: true}) }

func buying(s *said) {
	s.nb.Offers = []nbp.Offer{{Group: &nbp.Group{Code: "travel", Branch: "travel"}, Probability: 0.3, Value: 20}}
}

// days until the play of a trigger is due.
func days(trigger string) int {
	p, own := Default.Plays[trigger]
	if !own {
		p = Default.Plays[Care]
	}
	return p.Days
}

// TestAPlayOfItsOwn: what holds offers back is played by its code where the playbook has
// that, though something weightier has not; what holds nothing back is not played.
func TestAPlayOfItsOwn(t *testing.T) {
	r := suggested(func(s *said) {
		triggered(s, care.Trigger{Code: "turning_18", Points: 90})
		claims(s)
		complaint(s)
	})
	if r.Trigger != openComplaint || r.Action != "resolve_complaint" {
		t.Errorf("%+v", r)
	}
	if r := suggested(func(s *said) { triggered(s, care.Trigger{Code: "turning_18", Points: 90}) }); r.Action != "" {
		t.Errorf("%+v", r)
	}
}

// TestCareComesFirst: of all that could be done the first in this order is.
func TestCareComesFirst(t *testing.T) {
	order := []struct {
		trigger, action, about string
		cause                  func(*said)
	}{
		{openComplaint, "resolve_complaint", "", complaint},
		{manyClaims, "care_review", "", claims},
		{Lapse, "retention_call", "", leaving},
		{Rise, "renewal_review", "", rise},
		{Gap, "coverage_advice", "liability", gap},
		{Low, "sum_advice", "", low},
		{Buy, "offer", "travel", buying},
	}
	for i, first := range order {
		r := suggested(func(s *said) {
			for _, o := range order[i:] {
				o.cause(s)
			}
		})
		if r.Trigger != first.trigger || r.Action != first.action || r.About != first.about {
			t.Errorf("%s before %s: %s, %s, about %q", r.Trigger, first.trigger, r.Action, first.action, r.About)
		}
		if r.Due != asOf+portfolio.Date(days(first.trigger)) || r.NL == "" || r.EN == "" {
			t.Errorf("%s: %+v", first.trigger, r)
		}
	}
	if r := suggested(func(*said) {}); r.Action != "" || r.Due != 0 || r.Status != score.Scored {
		t.Errorf("without a cause: %+v", r)
	}
}

// TestGapsAreCare: what is missing goes along with what may keep a customer, and is told instead
// of it to whoever does not want to be approached, as care and by the score of care alone; an
// offer to close it is commerce, and is not made then.
func TestGapsAreCare(t *testing.T) {
	if !IsCare(Gap) || !IsCare(Low) || IsCare(Buy) || IsCare(Lapse) || IsCare(Rise) || !IsAdvice(Gap) || !IsAdvice(Low) || IsAdvice(Care) || IsAdvice(Buy) {
		t.Error("a gap is care, and what is at stake is commerce")
	}
	for name, unwanted := range map[string]func(*said){
		"commercial contact is refused": func(s *said) { s.nb.MayContact = false },
		"profiling is objected to": func(s *said) {
			s.nb.Reset(score.Objected)
			s.ch.Status = score.Objected
			s.cv = clv.Result{Status: score.Objected}
		},
	} {
		r := suggested(func(s *said) {
			gap(s)
			rise(s)
			leaving(s)
			buying(s)
			unwanted(s)
		})
		if r.Trigger != Gap || r.Action != "coverage_advice" || r.About != "liability" || r.Stake != 0 {
			t.Errorf("%s: %+v", name, r)
		}
		if r := suggested(func(s *said) {
			buying(s)
			s.nb.Offers[0].Group = &nbp.Group{Code: "liability", Branch: "liability"}
			unwanted(s)
		}); r.Action != "" {
			t.Errorf("%s: an offer is made: %+v", name, r)
		}
	}
	for trigger, cause := range map[string]func(*said){Lapse: leaving, Rise: rise} {
		for name, missing := range map[string]func(*said){Gap: gap, Low: low} {
			alone, without := suggested(missing), suggested(cause)
			both := suggested(func(s *said) { missing(s); cause(s) })
			if want := (Advice{alone.Action, alone.About, alone.Priority, alone.Due, alone.NL, alone.EN}); both.Trigger != trigger || both.Also != want {
				t.Errorf("%s with %s: %+v", trigger, name, both)
			}
			if both.Also = (Advice{}); *both != *without {
				t.Errorf("%s is another with %s: %+v, %+v", trigger, name, both, without)
			}
		}
	}
	little := suggested(func(s *said) { gap(s); s.rk.Care.Score, s.cv.AtRisk = 10, 9000 })
	much := suggested(func(s *said) { gap(s); s.rk.Care.Score, s.cv.AtRisk = 60, 0 })
	if little.Priority >= much.Priority {
		t.Errorf("what is at stake orders care: %v and %v", little.Priority, much.Priority)
	}
}

// TestNothingCommercial: who may be approached by no channel is neither called to be kept nor
// offered anything, whatever is at stake; care goes on as it would.
func TestNothingCommercial(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var causes []func(*said)
		for _, cause := range []func(*said){leaving, rise, buying, gap, low, complaint, claims} {
			if rapid.Bool().Draw(t, "there") {
				causes = append(causes, cause)
			}
		}
		may := func(contact bool) *Result {
			return suggested(func(s *said) {
				for _, cause := range causes {
					cause(s)
				}
				s.nb.MayContact, s.cv.AtRisk = contact, 1e6
			})
		}
		refused, reached := may(false), may(true)
		if refused.Action != "" && !IsCare(refused.Trigger) || refused.Also.Action != "" {
			t.Fatalf("%+v", refused)
		}
		owed := New(&Default).Owed(asOf, &care.Result{})
		suggested(func(s *said) {
			for _, cause := range causes {
				cause(s)
			}
			owed = New(&Default).Owed(asOf, &s.rk.Care)
		})
		var first Advice
		if len(owed) > 0 {
			first = owed[0].Advice
		}
		if got := (Advice{refused.Action, refused.About, refused.Priority, refused.Due, refused.NL, refused.EN}); got != first {
			t.Fatalf("suggested is %+v, and owed first %+v", got, first)
		}
		if len(owed) > 0 && IsCare(reached.Trigger) && owed[0].Trigger != Care && owed[0].Trigger != reached.Trigger {
			t.Fatalf("suggested for %s, owed for %s", reached.Trigger, owed[0].Trigger)
		}
	})
}

// TestOwed: all that care asks for, each with what asks for it; rules that come to the same are
// one, and behind what holds offers back there is nothing else.
func TestOwed(t *testing.T) {
	c := care.Result{Triggers: []care.Trigger{
		{Code: "death_in_household", Holds: true},
		{Code: openComplaint, Holds: true},
		{Code: manyClaims, Holds: true},
		{Code: "several_unresolved_complaints", Holds: true},
		{Code: "household_without_liability", Branch: "liability"},
		{Code: "turning_18"},
	}}
	say := func(owed []Owed) (all []string) {
		for _, o := range owed {
			all = append(all, o.Action+" "+o.About+": "+strings.Join(o.Rules, " "))
		}
		return all
	}
	for name, tc := range map[string]struct {
		triggers []care.Trigger
		want     []string
	}{
		"held": {c.Triggers, []string{"resolve_complaint : unresolved_complaint several_unresolved_complaints", "care_review : death_in_household claims_in_short_time"}},
		"not held": {[]care.Trigger{
			{Code: "low_sum", Low: true},
			{Code: "household_without_liability", Branch: "liability"},
			{Code: "without_contents", Branch: "contents"},
			{Code: "children_without_liability", Branch: "liability"},
		}, []string{"sum_advice : low_sum", "coverage_advice liability: household_without_liability children_without_liability", "coverage_advice contents: without_contents"}},
		"nothing": {nil, nil},
	} {
		if got := say(New(&Default).Owed(asOf, &care.Result{Triggers: tc.triggers})); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestWhenNothingIsOffered(t *testing.T) {
	for name, change := range map[string]func(*said){
		"marketing is refused":   func(s *said) { buying(s); s.nb.MayContact = false },
		"care withholds it":      func(s *said) { buying(s); s.nb.Withheld = "open_severe_claim" },
		"the customer objects":   func(s *said) { buying(s); s.nb.Status = score.Objected },
		"it is unlikely":         func(s *said) { buying(s); s.nb.Offers[0].Probability = 0.149 },
		"a small rise":           func(s *said) { s.announced = 0.119 },
		"a fall":                 func(s *said) { s.announced = -0.5 },
		"lapse is in the middle": func(s *said) { leaving(s); s.ch.Band = score.Medium },
		"churn is not scored":    func(s *said) { leaving(s); s.ch.Status = score.Objected },
	} {
		if r := suggested(change); r.Action != "" {
			t.Errorf("%s: %s", name, r.Action)
		}
	}
}

// TestALowValueIsNoReasonToServeLess: it puts a customer further down and never off the
// list.
func TestALowValueIsNoReasonToServeLess(t *testing.T) {
	for _, cause := range []func(*said){leaving, rise, gap} {
		rich := suggested(func(s *said) { cause(s); s.cv.AtStake, s.cv.AtRisk = 5000, 2000 })
		poor := suggested(func(s *said) { cause(s); s.cv.AtStake, s.cv.AtRisk = -300, -120 })
		if poor.Action != rich.Action || poor.Due != rich.Due || poor.Priority > rich.Priority {
			t.Errorf("%s for EUR 5,000 (%v), %q for EUR −300 (%v)", rich.Action, rich.Priority, poor.Action, poor.Priority)
		}
	}
}

// TestCareKnowsNoValue: whatever a customer is worth, may buy or is likely to do, what care
// suggests is the same to the last field, and the more urgent the more care is owed.
func TestCareKnowsNoValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		refused := func(of func(*said)) func(*said) { return func(s *said) { of(s); s.nb.MayContact = false } }
		cause := rapid.SampledFrom([]func(*said){complaint, claims, refused(gap), refused(low)}).Draw(t, "cause")
		owed := rapid.Float64Range(0, 100).Draw(t, "care score")
		draw := func(what string) *Result {
			return suggested(func(s *said) {
				cause(s)
				s.rk.Care.Score = owed
				amount := func(of string) float64 { return rapid.Float64Range(-1e9, 1e9).Draw(t, what+of) }
				s.rk.Loss, s.rk.Ratio = amount(" loss"), amount(" loss ratio")
				s.cv.Value, s.cv.AtStake, s.cv.AtRisk, s.cv.Margin = amount(" value"), amount(" at stake"), amount(" at risk"), amount(" margin")
				buying(s)
				s.nb.Offers[0].Value, s.announced = amount(" offer"), amount(" rise")
				s.ch.Band = rapid.SampledFrom([]score.Band{score.Low, score.High, score.VeryHigh}).Draw(t, what+" churn")
			})
		}
		one, other := draw("one"), draw("other")
		if *one != *other || one.Stake != 0 {
			t.Fatalf("%+v, and %+v", one, other)
		}
		less := suggested(func(s *said) { cause(s); s.rk.Care.Score = owed / 2 })
		if one.Priority < less.Priority || owed > 1 && one.Priority == less.Priority {
			t.Fatalf("care of %v has priority %v, half of it %v", owed, one.Priority, less.Priority)
		}
	})
}

func TestPriorities(t *testing.T) {
	r := suggested(leaving) // EUR 400 are at risk, which is half of very much
	if r.Stake != 400 || r.Priority != 57.5 || r.Band != score.High {
		t.Errorf("%+v", r)
	}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64Range(-1e9, 1e9).Draw(t, "value")
		w := rapid.Float64Range(-1e9, 1e9).Draw(t, "another")
		at := func(v float64) float64 { return suggested(func(s *said) { leaving(s); s.cv.AtRisk = v }).Priority }
		play := Default.Plays[Lapse]
		if p := at(v); !(p >= play.From && p <= play.To) || v < w && p > at(w) {
			t.Fatalf("priority %v of EUR %v, %v of EUR %v", p, v, at(w), w)
		}
	})
	if care, trade := suggested(claims), suggested(func(s *said) { leaving(s); s.cv.AtRisk = 1e9 }); care.Priority < trade.Priority {
		t.Errorf("care has %v, a retention call %v", care.Priority, trade.Priority)
	}
}

// TestNoticeIsNoLikelihood: of who is known to leave nothing says that it is likely, or that
// the premium will rise; what is missing is told all the same.
func TestNoticeIsNoLikelihood(t *testing.T) {
	for name, change := range map[string]func(*said){"likely": leaving, "a rise": func(s *said) { s.announced = 0.5 }} {
		before, after := suggested(change), suggested(func(s *said) { change(s); s.ch.EndsOn = asOf + 30 })
		if before.Action == "" || after.Action != "" {
			t.Errorf("%s: %q, and once notice is given %q", name, before.Action, after.Action)
		}
	}
	if r := suggested(func(s *said) { leaving(s); gap(s); s.ch.EndsOn = asOf + 30 }); r.Action != "coverage_advice" {
		t.Errorf("what is missing: %q", r.Action)
	}
}

// TestStatus: what the file says of a customer without a score is still acted on.
func TestStatus(t *testing.T) {
	for from, want := range map[score.Status]score.Status{
		score.Scored: score.Scored, score.NotInScope: score.Scored, score.NoPolicies: score.NoPolicies, score.Objected: score.Objected,
	} {
		r := suggested(func(s *said) { complaint(s); s.rk.Status = from })
		if r.Status != want || r.Action != "resolve_complaint" {
			t.Errorf("risk %s: %s, %s", from, r.Status, r.Action)
		}
	}
}

// TestDraftsSayNothingOfAnybody: drafts are the playbook's words, without blanks to fill.
func TestDraftsSayNothingOfAnybody(t *testing.T) {
	for trigger, p := range Default.Plays {
		if p.NL == "" || p.EN == "" || strings.ContainsAny(p.NL+p.EN, "{}%<>0123456789") {
			t.Errorf("%s: %q, %q", trigger, p.NL, p.EN)
		}
	}
}

func TestPlaybooksAreChecked(t *testing.T) {
	if err := Default.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Playbook){
		"no scale":                func(b *Playbook) { b.StakeScale = 0 },
		"a scale without end":     func(b *Playbook) { b.StakeScale = math.Inf(1) },
		"a play without action":   func(b *Playbook) { b.Plays[Gap] = &Play{To: 1} },
		"a priority above 100":    func(b *Playbook) { b.Plays[Gap] = &Play{Action: "a", To: 101} },
		"priorities that fall":    func(b *Playbook) { b.Plays[Gap] = &Play{Action: "a", From: 3, To: 2} },
		"a priority that is none": func(b *Playbook) { b.Plays[Gap] = &Play{Action: "a", From: math.NaN(), To: 2} },
		"due before today":        func(b *Playbook) { b.Plays[Gap] = &Play{Action: "a", Days: -1} },
	} {
		b := Default
		b.Plays = maps.Clone(Default.Plays)
		spoil(&b)
		if err := b.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fewer := Default
	fewer.Plays = maps.Clone(Default.Plays)
	fewer.Plays[openComplaint], fewer.Plays[Care], fewer.Plays[Lapse] = nil, nil, nil
	if err := fewer.Check(); err != nil {
		t.Errorf("a playbook may leave plays out: %v", err)
	}
	var r Result
	New(&fewer).Score(asOf, &risk.Result{Status: score.Scored, Care: care.Result{Triggers: []care.Trigger{{Code: openComplaint, Holds: true}}}}, &churn.Result{}, &clv.Result{}, &nbp.Result{}, math.NaN(), &r)
	if r.Action != "" {
		t.Errorf("a play that is left out is suggested: %s", r.Action)
	}
}
