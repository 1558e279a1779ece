package scoring

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/churn"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

func objects(a *portfolio.Aggregate) { a.Customers[0].Objects = true }

// household puts people in one.
func household(members ...*portfolio.Aggregate) []*portfolio.Aggregate {
	for _, a := range members {
		a.Customers[0].HouseholdID = "h"
	}
	return members
}

func newScorer(tb testing.TB) *Scorer {
	tb.Helper()
	s, err := New(learnt(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func subjects(members ...*portfolio.Aggregate) []Subject {
	var out []Subject
	for _, a := range members {
		out = append(out, Subject{Aggregate: a})
	}
	return out
}

// TestAnObjectionIsOneMembers: whoever objects is not profiled, wherever the member
// stands in its relation, and the others are.
func TestAnObjectionIsOneMembers(t *testing.T) {
	s := newScorer(t)
	for name, who := range map[string]int{"first": 0, "second": 1} {
		t.Run(name, func(t *testing.T) {
			members := household(person("a", nil), person("b", nil))
			objects(members[who])
			sheets := s.Relation(subjects(members...), asOf, NewSet(Engines...))
			for i := range sheets {
				want := score.Scored
				if i == who {
					want = score.Objected
				}
				sh := &sheets[i]
				if sh.Risk.Status != want || sh.Churn.Status != want || sh.Clv.Status != want || sh.Nbp.Status != want {
					t.Errorf("member %d: risk %s, churn %s, clv %s, nbp %s; want %s", i, sh.Risk.Status, sh.Churn.Status, sh.Clv.Status, sh.Nbp.Status, want)
				}
			}
		})
	}
}

// TestAnObjectorIsNotReadForOthers: churn reads the features of a relation's primary
// member, which is one who does not object, whatever the premium.
func TestAnObjectorIsNotReadForOthers(t *testing.T) {
	s := newScorer(t)
	big := person("a", func(a *portfolio.Aggregate) { objects(a); a.Policies[0].AnnualPremium = 900000 })
	s.Relation(subjects(household(big, person("b", nil))...), asOf, NewSet(Engines...))
	if s.group.Primary.ID != "b" {
		t.Errorf("the primary member is %s", s.group.Primary.ID)
	}
	s.Relation(subjects(household(big, person("b", objects))...), asOf, NewSet(Engines...))
	if s.group.Primary.ID != "a" {
		t.Errorf("where all object the primary member is %s", s.group.Primary.ID)
	}
}

// TestWhoJoinedLaterTellsNothing: a score as of a date before a household came together,
// or before somebody was a customer at all, is that of those who were there.
func TestWhoJoinedLaterTellsNothing(t *testing.T) {
	s := newScorer(t)
	render := func(sheets []Sheet, i int) (out []byte) {
		for _, e := range Engines {
			sheets[i].Fingerprint, sheets[i].Parted = 0, false // of the data and what became of it, which do differ
			out = sheets[i].AppendJSON(out, e, "t", noon)
		}
		return out
	}
	// What b holds is not offered to who is known to live with b.
	holds := func(a *portfolio.Aggregate) { a.Policies[1].Branch = "liability" }
	joins := func(a *portfolio.Aggregate) {
		moved := a.Customers[0]
		moved.HouseholdID, moved.Version = "h", portfolio.Version{RecordedAt: asOf + 9, ValidFrom: asOf + 9}
		a.Customers = append(a.Customers, moved)
		if a.ID() == "b" {
			holds(a)
		}
	}
	isNew := func(a *portfolio.Aggregate) {
		a.Customers[0].HouseholdID, a.Customers[0].Version = "h", portfolio.Version{RecordedAt: asOf + 9, ValidFrom: asOf + 9}
		for i := range a.Policies {
			a.Policies[i].Version, a.Policies[i].StartDate = a.Customers[0].Version, asOf+9
		}
		a.Contacts = nil
		holds(a)
	}
	all := NewSet(Engines...)
	alone := render(s.Relation(subjects(person("a", nil)), asOf, all), 0)
	lived := render(s.Relation(subjects(household(person("a", nil))...), asOf, all), 0)
	together := render(s.Relation(subjects(household(person("a", nil), person("b", holds))...), asOf, all), 0)
	for name, tc := range map[string]struct {
		members []*portfolio.Aggregate
		want    []byte
	}{
		"both join later":   {[]*portfolio.Aggregate{person("a", joins), person("b", joins)}, alone},
		"one is there":      {[]*portfolio.Aggregate{household(person("a", nil))[0], person("b", joins)}, lived},
		"one is new":        {[]*portfolio.Aggregate{household(person("a", nil))[0], person("b", isNew)}, lived},
		"the new one first": {[]*portfolio.Aggregate{person("b", isNew), household(person("a", nil))[0]}, lived},
		"they are together": {household(person("a", nil), person("b", holds)), together},
	} {
		for i, sheets := 0, s.Relation(subjects(tc.members...), asOf, all); i < len(sheets); i++ {
			if got := render(sheets, i); sheets[i].Customer == "a" && !bytes.Equal(got, tc.want) {
				t.Errorf("%s:\n%s\nwant\n%s", name, got, tc.want)
			}
		}
	}
	if bytes.Equal(alone, together) {
		t.Error("a household scores as one alone: the test shows nothing")
	}
}

// TestReasonsOfAnotherMember: what churn and offers were read from is said not to be of the
// customer, wherever it is of another.
func TestReasonsOfAnotherMember(t *testing.T) {
	s := newScorer(t)
	rich := person("a", func(a *portfolio.Aggregate) { a.Policies[0].AnnualPremium = 900000 })
	for i, sh := range s.Relation(subjects(household(rich, person("b", nil))...), asOf, NewSet(Engines...)) {
		for e, says := range map[Engine]string{Churn: `"of":"another_member"`, Nbp: `"whose":"another_member"`} {
			if body := sh.AppendJSON(nil, e, "t", noon); bytes.Contains(body, []byte(says)) != (i == 1) {
				t.Errorf("%s of member %d: %s", e, i, body)
			}
		}
	}
}

// TestRecordOfAnotherMember: a record holds all that its models read, and no id of another
// member's policy; asked again they answer the same.
func TestRecordOfAnotherMember(t *testing.T) {
	s := newScorer(t)
	learnt := s.models.learnt()
	motor := person("a", func(a *portfolio.Aggregate) { a.Policies = a.Policies[:1] })
	travel := person("b", func(a *portfolio.Aggregate) { a.Policies = a.Policies[:1]; a.Policies[0].Branch = "travel" })
	s.Relation(subjects(household(motor, travel)...), asOf, NewSet(Engines...))
	for i, of := range []string{"p1a", anotherMember} {
		r := s.Record(i, Churn, "t")
		if r.Inputs[0].Of != of || r.Models[0].Of != of {
			t.Errorf("member %d: inputs of %q", i, r.Inputs[0].Of)
		}
		if link, err := r.Again(&r.Models[0], learnt[r.Models[0].Model]); err != nil || link != r.Models[0].Link {
			t.Errorf("member %d: %v, asked again %v, %v", i, r.Models[0].Link, link, err)
		}
		for _, e := range Engines {
			if body, err := s.Record(i, e, "t").JSON(); err != nil || bytes.Contains(body, []byte(`"p1`+[]string{"b", "a"}[i]+`"`)) {
				t.Errorf("%v: %s of member %d names another's policy", err, e, i)
			}
		}
	}
	rich := person("a", func(a *portfolio.Aggregate) { a.Policies[0].AnnualPremium = 900000 })
	s.Relation(subjects(household(rich, person("b", nil))...), asOf, NewSet(Engines...))
	for i, whose := range []string{"", anotherMember} {
		if in := s.Record(i, Nbp, "t").Inputs; in[0].Whose != "" || in[1].Whose != whose {
			t.Errorf("member %d: offers by the features of %q", i, in[1].Whose)
		}
		if of := s.Record(i, Churn, "t").Inputs[0].Of; (of == anotherMember) != (i == 1) {
			t.Errorf("member %d: inputs of %q", i, of)
		}
	}
}

// TestPartedRelations: a score as of a date on which a household was whole says so once
// somebody has left it, and is the same score.
func TestPartedRelations(t *testing.T) {
	s := newScorer(t)
	// b is of h until a week later.
	left := func(a *portfolio.Aggregate) {
		a.Customers[0].HouseholdID = "h"
		moved := a.Customers[0]
		moved.HouseholdID, moved.Version = "of its own", portfolio.Version{RecordedAt: asOf + 7, ValidFrom: asOf + 7}
		a.Customers = append(a.Customers, moved)
	}
	every := NewSet(Engines...)
	for name, tc := range map[string]struct {
		on     portfolio.Date
		b      *portfolio.Aggregate
		parted [2]bool
	}{
		"before":        {asOf, person("b", left), [2]bool{true, true}},
		"since":         {asOf + 7, person("b", left), [2]bool{}},
		"nobody left":   {asOf, household(person("b", nil))[0], [2]bool{}},
		"joined by now": {asOf, merging("b", asOf+7), [2]bool{false, true}},
	} {
		for i, sh := range s.Relation(subjects(household(person("a", nil))[0], tc.b), tc.on, every) {
			for _, e := range Engines {
				if says := bytes.Contains(sh.AppendJSON(nil, e, "t", noon), []byte(`"relation_as_of":"`+tc.on.String()+`"`)); says != tc.parted[i] {
					t.Errorf("%s, %s of member %d: said %v, want %v", name, e, i, says, tc.parted[i])
				}
			}
		}
	}
	whole := household(person("a", nil), person("b", nil))
	stored, err := DecodeStored(s.Relation(subjects(whole...), asOf, every)[0].AppendStored(nil, &Stored{}, every, every, 1, noon))
	if err != nil {
		t.Fatal(err)
	}
	again := &s.Relation(subjects(whole[0], person("b", left)), asOf, every)[0]
	for _, e := range Engines {
		if !again.Reproduces(&stored, e) {
			t.Errorf("%s is not made again once somebody has left", e)
		}
	}
}

// TestCareIsOwedToObjectors: a complaint is resolved whether its customer objects or not.
func TestCareIsOwedToObjectors(t *testing.T) {
	s := newScorer(t)
	sh := &s.Relation(subjects(person("a", func(a *portfolio.Aggregate) {
		objects(a)
		a.Contacts[0].Reason = "complaint"
	})), asOf, NewSet(Engines...))[0]
	if sh.Risk.Care.Held() != "unresolved_complaint" || sh.Defend.Action != "resolve_complaint" {
		t.Errorf("care %v, action %q", sh.Risk.Care, sh.Defend.Action)
	}
	if sh.Risk.Score != 0 || len(sh.Risk.Policies) != 0 || sh.Risk.Loss != 0 {
		t.Errorf("an objector has a risk score: %+v", sh.Risk)
	}
	for _, e := range Engines {
		for _, field := range []string{`"score"`, `"probability"`, `"offers"`, `"value"`, `"policies"`, `"reasons"`} {
			if body := sh.AppendJSON(nil, e, "t", noon); bytes.Contains(body, []byte(field)) {
				t.Errorf("%s shows %s of an objector: %s", e, field, body)
			}
		}
	}
}

// TestAScorerForgets: what a scorer says of a relation does not depend on those before.
func TestAScorerForgets(t *testing.T) {
	used, all := newScorer(t), NewSet(Engines...)
	models := used.models
	var before [][]byte
	render := func(s *Scorer, name string) []byte {
		var out []byte
		for i, sheets := 0, s.Relation(subjects(person("c", cases[name])), asOf, all); i < len(sheets); i++ {
			for _, e := range Engines {
				out = sheets[i].AppendJSON(out, e, "t", noon)
			}
		}
		return out
	}
	for name := range cases {
		fresh, err := New(models)
		if err != nil {
			t.Fatal(err)
		}
		got, want := render(used, name), render(fresh, name)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: after %d others\n%s\nalone\n%s", name, len(before), got, want)
		}
		before = append(before, got)
	}
}

// TestOneEngineSaysWhatAllSay: asking for one engine gives what a run of all gives.
func TestOneEngineSaysWhatAllSay(t *testing.T) {
	m := learnt(t)
	s, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	one, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range cases {
		members := subjects(household(person("a", change), person("b", nil))...)
		for i := range members {
			for _, e := range Engines {
				want := s.Relation(members, asOf, NewSet(Engines...))[i].AppendJSON(nil, e, "t", noon)
				got := one.Relation(members, asOf, NewSet(e))[i].AppendJSON(nil, e, "t", noon)
				if !bytes.Equal(got, want) {
					t.Errorf("%s, %s alone:\n%s\namong all:\n%s", name, e, got, want)
				}
			}
		}
	}
}

// TestTheStoredFormHasTheSameFingerprint: a customer sent along with a request and the
// same one stored have one decision.
func TestTheStoredFormHasTheSameFingerprint(t *testing.T) {
	s, a := newScorer(t), person("a", nil)
	var enc portfolio.Encoder
	body := enc.Append(nil, a)
	sent := s.Relation([]Subject{{Aggregate: a}}, asOf, NewSet(Risk))[0].Fingerprint
	if stored := s.Relation([]Subject{{Aggregate: a, Body: body}}, asOf, NewSet(Risk))[0].Fingerprint; stored != sent {
		t.Errorf("fingerprint %x stored, %x sent", stored, sent)
	}
	if later := s.Relation([]Subject{{Aggregate: a}}, asOf+9, NewSet(Risk))[0].Fingerprint; later != sent {
		t.Error("the calendar changes the fingerprint")
	}
	other := person("a", func(a *portfolio.Aggregate) { a.Policies[0].AnnualPremium++ })
	if changed := s.Relation([]Subject{{Aggregate: other}}, asOf, NewSet(Risk))[0].Fingerprint; changed == sent {
		t.Error("a cent more leaves the fingerprint as it is")
	}
}

func TestNobodyToScore(t *testing.T) {
	if sheets := newScorer(t).Relation(nil, asOf, NewSet(Engines...)); len(sheets) != 0 {
		t.Errorf("%d sheets", len(sheets))
	}
}

// TestAnyAggregateIsScored: whatever decodes is scored without a panic, into numbers
// that make sense, even where an import would have refused it.
func TestAnyAggregateIsScored(t *testing.T) {
	s := newScorer(t)
	day := rapid.Custom(func(t *rapid.T) portfolio.Date {
		return asOf + portfolio.Date(rapid.IntRange(-1500, 300).Draw(t, "day"))
	})
	maybe := rapid.OneOf(rapid.Just(portfolio.Date(0)), day)
	cents := rapid.Map(rapid.Int64Range(-50_000, 2_000_000), func(n int64) portfolio.Cents { return portfolio.Cents(n) })
	version := rapid.Custom(func(t *rapid.T) portfolio.Version {
		return portfolio.Version{ValidFrom: maybe.Draw(t, "valid from"), RecordedAt: maybe.Draw(t, "recorded at"), Undated: rapid.Bool().Draw(t, "undated")}
	})
	branch := rapid.SampledFrom([]string{"motor", "contents", "liability", "travel", "health", "", "unheard of"})
	rapid.Check(t, func(t *rapid.T) {
		var members []Subject
		for range rapid.IntRange(1, 3).Draw(t, "members") {
			a := &portfolio.Aggregate{}
			for range rapid.IntRange(0, 2).Draw(t, "versions") {
				a.Customers = append(a.Customers, portfolio.Customer{
					ID: "c", BirthYear: rapid.IntRange(-5, 3000).Draw(t, "birth year"), Objects: rapid.Bool().Draw(t, "objects"),
					Segment:  rapid.SampledFrom([]portfolio.Segment{"", portfolio.Private, portfolio.Business, "other"}).Draw(t, "segment"),
					Consents: []portfolio.Consent{{Purpose: "marketing", Given: rapid.Bool().Draw(t, "given"), On: maybe.Draw(t, "on")}},
					Version:  version.Draw(t, "version"),
				})
			}
			for range rapid.IntRange(0, 5).Draw(t, "policies") {
				a.Policies = append(a.Policies, portfolio.Policy{
					ID: rapid.SampledFrom([]string{"p", "q", "r"}).Draw(t, "policy"), Branch: branch.Draw(t, "branch"),
					StartDate: maybe.Draw(t, "start"), EndDate: maybe.Draw(t, "end"), ContractEnd: maybe.Draw(t, "contract end"),
					AnnualPremium: cents.Draw(t, "premium"), CommissionRate: portfolio.RateOf(rapid.Float64Range(-1, 2).Draw(t, "commission")),
					EndReason: rapid.SampledFrom([]string{"", "lapse", "death", "?"}).Draw(t, "reason"), Version: version.Draw(t, "version"),
				})
			}
			for range rapid.IntRange(0, 3).Draw(t, "claims") {
				a.Claims = append(a.Claims, portfolio.Claim{
					ID: rapid.SampledFrom([]string{"k", "l"}).Draw(t, "claim"), PolicyID: rapid.SampledFrom([]string{"p", "gone"}).Draw(t, "of"),
					LossDate: maybe.Draw(t, "loss"), Paid: cents.Draw(t, "paid"), Reserve: cents.Draw(t, "reserve"),
					Status: rapid.SampledFrom([]portfolio.Status{"", portfolio.ClaimOpen, portfolio.ClaimRejected}).Draw(t, "status"), Version: version.Draw(t, "version"),
				})
			}
			for range rapid.IntRange(0, 3).Draw(t, "contacts") {
				a.Contacts = append(a.Contacts, portfolio.Contact{
					At:     portfolio.Instant(day.Draw(t, "at").Time().Unix()),
					Reason: rapid.SampledFrom([]string{"complaint", "question"}).Draw(t, "why"), Sentiment: rapid.Float64Range(-9, 9).Draw(t, "sentiment"),
				})
			}
			a.Sort()
			members = append(members, Subject{Aggregate: a})
		}
		for _, sh := range s.Relation(members, asOf, NewSet(Engines...)) {
			if !(sh.Risk.Score >= 0 && sh.Risk.Score <= 100) || !(sh.Risk.Loss >= 0) {
				t.Fatalf("risk %v, loss %v", sh.Risk.Score, sh.Risk.Loss)
			}
			for _, p := range sh.Risk.Policies {
				if !(p.Frequency >= 0) || !(p.Severity >= 0) || p.Ratio < 0 {
					t.Fatalf("policy: %+v", p)
				}
			}
			for k := 1; k <= churn.Horizon; k++ {
				if !(sh.Churn.Lapsed[k] >= sh.Churn.Lapsed[k-1]) || !(sh.Churn.Lapsed[k] <= 1) || sh.Churn.Alive[k] > sh.Churn.Alive[k-1] && k > 1 || sh.Churn.Alive[k] < 0 {
					t.Fatalf("month %d: lapsed %v, alive %v", k, sh.Churn.Lapsed[k], sh.Churn.Alive[k])
				}
			}
			for _, v := range []float64{sh.Clv.Value, sh.Clv.Realisable.Low, sh.Clv.Realisable.High, sh.Clv.Half.Low, sh.Clv.Half.High, sh.Clv.Expected.Low, sh.Clv.Expected.High, sh.Clv.AtStake, sh.Clv.AtRisk, sh.Clv.Relation.Value, sh.Clv.Realised, sh.Clv.Margin, sh.Defend.Priority, sh.Defend.Stake} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%+v, %+v", sh.Clv, sh.Defend)
				}
			}
			if sh.Defend.Priority < 0 || sh.Defend.Priority > 100 {
				t.Fatalf("priority %v", sh.Defend.Priority)
			}
			for _, o := range sh.Nbp.Offers {
				if !(o.Probability >= 0 && o.Probability <= 1) {
					t.Fatalf("offer: %+v", o)
				}
			}
		}
	})
}
