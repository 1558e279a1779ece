package scoring

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

var (
	asOf = portfolio.MustDate(2026, 3, 31)
	noon = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
)

// learnt fits small models on rows that have something to tell, so that contributions
// and reasons are not empty.
func learnt(t testing.TB) *Models {
	t.Helper()
	fit := func(fields []model.Field, loss model.Loss, column int) *model.Model {
		const n = 600
		f := model.Frame{Fields: fields, N: n, Num: make([][]float64, len(fields)), Cat: make([][]string, len(fields))}
		y := model.Target{Y: make([]float64, n)}
		for c, field := range fields {
			f.Num[c], f.Cat[c] = nil, nil
			if field.Kind == model.Numeric {
				f.Num[c] = make([]float64, n)
			} else {
				f.Cat[c] = make([]string, n)
			}
		}
		for i := range n {
			f.Num[column][i] = float64(i % 40)
			y.Y[i] = float64((i*7 + i/3) % 2)
			if i%40 > 20 {
				y.Y[i] = float64(min(1, i%3))
			}
			if loss == model.Gamma {
				y.Y[i] = 500 + float64(i%40)*20
			}
		}
		m, err := model.Fit(context.Background(), f, y, model.Options{Loss: loss, Bags: 1, Pairs: -1, Rounds: 50})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	policy, hazard, held, offer := feature.PolicySchema{}.Fields(), feature.HazardFields(), feature.PolicyHazardFields(), branches(t).Fields()
	m := &Models{
		Clv:     clv.NewModel(clv.Defaults.Market),
		Trained: asOf, Settings: DefaultSettings(), Ends: portfolio.DefaultEnds,
		Risk: &risk.Model{Frequency: fit(policy, model.Poisson, 9), Severity: fit(policy, model.Gamma, 9), Quantiles: []float64{0, 0.5, 1, 2, 4}, Bands: score.Bands{50, 80, 95}},
		Churn: &churn.Model{
			Definition: churn.AllEssential, Lapse: fit(hazard, model.Logistic, 8), Other: model.Constant(hazard, model.Logistic, -7, ""),
			PolicyLapse: fit(held, model.Logistic, 8), PolicyOther: model.Constant(held, model.Logistic, -6, ""),
			Book: churn.Book{Relations: churn.Experience{Basis: churn.Own, Weight: 1}, Policies: churn.Experience{Basis: churn.Blended, Weight: 0.5}, AlongLapse: [3]float64{0.3, 0.8, 0.9}, AlongOther: [3]float64{0.2, 0.6, 0.7}, Fade: churn.Fade{Lapse: 0.006, Other: 0.001, PolicyLapse: 0.01, PolicyOther: 0.002}},
		},
		Nbp: &nbp.Model{Common: model.Constant(offer, model.Logistic, 0, ""), Fitted: map[string]nbp.Fitted{"liability": {Basis: nbp.Own, Weight: 1, Premium: 60}, "travel": {Basis: nbp.Blended, Weight: 0.5, Premium: 90, Shift: -1}}, Groups: map[string]score.Model{"liability": fit(offer, model.Logistic, 8), "travel": model.Constant(offer, model.Logistic, -2, "")}, Premium: map[string]float64{"liability": 60, "travel": 90}},
	}
	m.Usual = usualOf()
	var buf bytes.Buffer
	if err := m.Save(&buf); err != nil {
		t.Fatal(err)
	}
	out, err := Parse(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if out.Version != m.Version {
		t.Errorf("the version is %s when saved and %s when loaded", m.Version, out.Version)
	}
	return out
}

func person(id string, change func(*portfolio.Aggregate)) *portfolio.Aggregate {
	known := portfolio.Version{RecordedAt: asOf - 700}
	a := &portfolio.Aggregate{
		Customers: []portfolio.Customer{{ID: id, BirthYear: 1980, Version: known}},
		Policies: []portfolio.Policy{
			{ID: "p1" + id, CustomerID: id, Branch: "motor", StartDate: asOf - 690, AnnualPremium: 64000, Status: portfolio.Active, Version: known},
			{ID: "p2" + id, CustomerID: id, Branch: "contents", StartDate: asOf - 400, AnnualPremium: 9000, Status: portfolio.Active, Version: known},
		},
		Contacts: []portfolio.Contact{{CustomerID: id, At: portfolio.Instant((asOf - 10).Time().Unix()), Reason: "question"}},
	}
	if change != nil {
		change(a)
	}
	a.Normalise(asOf)
	return a
}

// cases are aggregates at the edges: each has a documented answer, and none may panic.
var cases = map[string]func(*portfolio.Aggregate){
	"plain":       nil,
	"no policies": func(a *portfolio.Aggregate) { a.Policies = nil },
	"only ended ones": func(a *portfolio.Aggregate) {
		for i := range a.Policies {
			a.Policies[i].EndDate, a.Policies[i].Status, a.Policies[i].EndReason = asOf-5, portfolio.Ended, "lapse"
		}
	},
	"starting tomorrow": func(a *portfolio.Aggregate) {
		a.Policies = a.Policies[:1]
		a.Policies[0].StartDate = asOf + 1
	},
	"claim before its policy": func(a *portfolio.Aggregate) {
		a.Claims = []portfolio.Claim{{ID: "l", PolicyID: a.Policies[0].ID, CustomerID: a.Customers[0].ID, LossDate: asOf - 3000, Paid: 100, Version: portfolio.Version{RecordedAt: asOf - 20}}}
	},
	"reported late": func(a *portfolio.Aggregate) {
		a.Claims = []portfolio.Claim{{ID: "l", PolicyID: a.Policies[0].ID, CustomerID: a.Customers[0].ID, LossDate: asOf - 300, ReportedDate: asOf + 20, Paid: 100, Version: portfolio.Version{RecordedAt: asOf + 20}}}
	},
	"born in the future": func(a *portfolio.Aggregate) { a.Customers[0].BirthYear = 2100 },
	"premium of nothing": func(a *portfolio.Aggregate) { a.Policies[0].AnnualPremium, a.Policies[1].AnnualPremium = 0, 0 },
	"unknown until later": func(a *portfolio.Aggregate) {
		a.Customers[0].RecordedAt = asOf + 10
		for i := range a.Policies {
			a.Policies[i].RecordedAt = asOf + 10
		}
	},
	"undated": func(a *portfolio.Aggregate) {
		a.Customers[0].Version = portfolio.Version{}
		for i := range a.Policies {
			a.Policies[i].Version = portfolio.Version{}
		}
	},
	"objects":     func(a *portfolio.Aggregate) { a.Customers[0].Objects = true },
	"health only": func(a *portfolio.Aggregate) { a.Policies = a.Policies[:1]; a.Policies[0].Branch = "health" },
}

func TestScoresAtTheEdges(t *testing.T) {
	s, err := New(learnt(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]score.Status{"no policies": score.NoPolicies, "only ended ones": score.NoPolicies, "starting tomorrow": score.NoPolicies, "unknown until later": score.NoPolicies, "objects": score.Objected}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			sh := &s.Relation([]Subject{{Aggregate: person("c", change)}}, asOf, NewSet(Engines...))[0]
			status := score.Scored
			if w, ok := want[name]; ok {
				status = w
			}
			if sh.Churn.Status != status {
				t.Errorf("churn is %s, want %s", sh.Churn.Status, status)
			}
			if name == "health only" && sh.Risk.Status != score.NotInScope {
				t.Errorf("a health policy is scored for risk: %s", sh.Risk.Status)
			}
			last := 0.0
			for k := 1; k <= churn.Horizon && sh.Churn.Status == score.Scored; k++ {
				p := sh.Churn.Lapsed[k]
				if p < last || p > 1 || sh.Churn.Alive[k] < 0 || p+sh.Churn.Alive[k] > 1+1e-12 {
					t.Fatalf("month %d: lapsed %v after %v, alive %v", k, p, last, sh.Churn.Alive[k])
				}
				last = p
			}
			for _, r := range []*score.Reasons{&sh.Risk.Reasons, &sh.Churn.Reasons, &sh.Nbp.Reasons} {
				sum := r.Base + r.Rest
				for _, top := range r.Top {
					sum += top.Contribution
				}
				if math.Abs(sum-r.Link) > 1e-9 {
					t.Errorf("reasons add up to %v, the score is %v", sum, r.Link)
				}
			}
			if v := sh.Clv; v.Status == score.Scored && (math.Abs(v.Income-v.Loss-v.Cost-v.Value) > 1e-6 || v.Realisable.Low > v.Realisable.High || !v.Expected.Holds(v.Value)) {
				t.Errorf("value: %+v", v)
			}
			for _, e := range Engines {
				if body := sh.AppendJSON(nil, e, "t", noon); !json.Valid(body) {
					t.Errorf("%s is no JSON: %s", e, body)
				}
			}
			if name == "plain" && (len(sh.Risk.Reasons.Top) == 0 || len(sh.Churn.Reasons.Top) == 0) {
				t.Error("no reasons are given")
			}
		})
	}
}

func TestTheSameTwice(t *testing.T) {
	m := learnt(t)
	var first []byte
	for range 2 {
		s, err := New(m)
		if err != nil {
			t.Fatal(err)
		}
		var out []byte
		for range 2 { // a scorer that was used before is as good as new
			out = out[:0]
			for _, sh := range s.Relation([]Subject{{Aggregate: person("a", nil)}, {Aggregate: person("b", cases["objects"])}}, asOf, NewSet(Engines...)) {
				for _, e := range Engines {
					out = sh.AppendJSON(out, e, "t", noon)
				}
			}
		}
		if first == nil {
			first = bytes.Clone(out)
		} else if !bytes.Equal(first, out) {
			t.Error("the same customers have other scores")
		}
	}
}

// TestDeclined: a decline of one member is the relation's, and another score.
func TestDeclined(t *testing.T) {
	s, err := New(learnt(t))
	if err != nil {
		t.Fatal(err)
	}
	in := func(id string) *portfolio.Aggregate {
		return person(id, func(a *portfolio.Aggregate) { a.Customers[0].HouseholdID = "h" })
	}
	ask := func(declined ...nbp.Decline) (travel string, fingerprint uint64) {
		sh := s.Relation([]Subject{{Aggregate: in("a")}, {Aggregate: in("b"), Declined: declined}}, asOf, NewSet(Nbp))[0]
		for _, x := range sh.Nbp.Excluded {
			if x.Group.Code == "travel" {
				travel = x.Code
			}
		}
		return travel, sh.Fingerprint
	}
	before, fingerprint := ask()
	after, other := ask(nbp.Decline{Group: "travel", On: asOf - 9})
	if before != "" || after != nbp.Declined || fingerprint == other {
		t.Errorf("travel is %q, and %q once it was declined; fingerprints %x and %x", before, after, fingerprint, other)
	}
}

func TestStored(t *testing.T) {
	s, err := New(learnt(t))
	if err != nil {
		t.Fatal(err)
	}
	all := NewSet(Engines...)
	at := func(on portfolio.Date, change func(*portfolio.Aggregate)) *Sheet {
		return &s.Relation([]Subject{{Aggregate: person("c", change)}}, on, all)[0]
	}
	sh := at(asOf, nil)
	body := sh.AppendStored(nil, &Stored{}, all, all, 7, noon)
	old, err := DecodeStored(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range Engines {
		if got, want := old.AppendJSON(nil, e, "t", "c"), sh.AppendJSON(nil, e, "t", noon); !bytes.Equal(got, want) {
			t.Errorf("%s is kept as\n%s\nand was\n%s", e, got, want)
		}
	}
	glance, err := Glance(body)
	if err != nil || glance.Engines() != all || glance.Name() != old.Name() || sh.Changed(&glance, all, 8) != 0 {
		t.Errorf("a glance shows %+v, %v", glance, err)
	}
	for at := range body {
		if at > 0 && at < storedHead-4 { // dates and values have no sum: wrong ones are written anew
			continue
		}
		bad := bytes.Clone(body)
		if bad[at] ^= 4; func() error { _, err := Glance(bad); return err }() == nil {
			t.Fatalf("damage at byte %d is not seen", at)
		}
	}
	for _, tc := range []struct {
		name string
		on   portfolio.Date
		what func(*portfolio.Aggregate)
		mark uint64
		want Set
	}{
		{"the same run again", asOf, nil, 7, all},
		{"the next day", asOf + 1, nil, 8, 0},
		{"another run of the day", asOf, nil, 8, 0},
		{"thirty days later", asOf + 30, nil, 8, all},
		{"an earlier date", asOf - 1, nil, 8, all},
		{"other data", asOf + 1, cases["claim before its policy"], 8, all},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := at(tc.on, tc.what).Changed(&old, all, tc.mark); got != tc.want {
				t.Errorf("changed %05b, want %05b", got, tc.want)
			}
		})
	}
	one := at(asOf+1, nil).AppendStored(nil, &old, NewSet(Churn), NewSet(Churn), 9, noon)
	partly, err := DecodeStored(one)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(partly.AppendJSON(nil, Risk, "t", "c"), old.AppendJSON(nil, Risk, "t", "c")) {
		t.Error("a run of one engine changes another's score")
	}
	if bytes.Equal(partly.AppendJSON(nil, Churn, "t", "c"), old.AppendJSON(nil, Churn, "t", "c")) {
		t.Error("a run of one engine does not change its score")
	}
}

func TestLoadRefuses(t *testing.T) {
	m := learnt(t)
	var buf bytes.Buffer
	if err := m.Save(&buf); err != nil {
		t.Fatal(err)
	}
	good := buf.Bytes()
	for name, bad := range map[string][]byte{
		"nothing": {}, "no JSON": []byte("{"), "another format": bytes.Replace(good, []byte(`"format":6`), []byte(`"format":9`), 1),
		"a line less": good[:bytes.LastIndexByte(good[:len(good)-1], '\n')+1], "a field of another name": bytes.Replace(good, []byte(`"name":"tenure"`), []byte(`"name":"tenor"`), 1),
	} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%s is loaded", name)
		}
	}
}

func FuzzDecodeStored(f *testing.F) {
	f.Add([]byte{storedFormat})
	f.Add((&Sheet{Customer: "c", AsOf: asOf}).AppendStored(nil, &Stored{}, NewSet(Engines...), NewSet(Engines...), 1, noon))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if b = bytes.Clone(b); len(b) >= storedHead { // damage is not all that there is to find
			binary.BigEndian.PutUint32(b[storedHead-4:], sumOf(b[storedHead:]))
		}
		if s, err := DecodeStored(b); err == nil {
			for _, e := range Engines {
				s.AppendJSON(nil, e, "t", "c")
			}
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"format":4,"models":[]}`))
	f.Add([]byte("{\"format\":3,\"models\":[\"lapse\"]}\n{}\n"))
	f.Add([]byte("{\"format\":3,\"models\":[\"lapse\"]}\n{\"lightgbm\":\"tree\"}\n"))
	var buf bytes.Buffer
	if err := mixed(f).Save(&buf); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Fuzz(func(_ *testing.T, b []byte) {
		if m, err := Parse(b); err == nil {
			if _, err := New(m); err != nil {
				panic(fmt.Sprint("models that load cannot score: ", err))
			}
		}
	})
}
