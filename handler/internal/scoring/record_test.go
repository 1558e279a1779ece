package scoring

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
)

var update = flag.Bool("update", false, "write the golden files anew")

// couple is a household with something to tell: claims, a complaint, a premium that rose.
func couple() []Subject {
	a := person("a", func(a *portfolio.Aggregate) {
		known := portfolio.Version{RecordedAt: asOf - 200}
		a.Claims = []portfolio.Claim{
			{ID: "l1", PolicyID: "p1a", CustomerID: "a", LossDate: asOf - 220, Paid: 123456, Version: known},
			{ID: "l2", PolicyID: "p1a", CustomerID: "a", LossDate: asOf - 100, Reserve: 2500000, AtFault: portfolio.AtFault, Version: portfolio.Version{RecordedAt: asOf - 90}},
		}
		p := a.Policies[0]
		p.AnnualPremium, p.Version = 75500, portfolio.Version{RecordedAt: asOf - 150, ValidFrom: asOf - 120}
		a.Policies = append(a.Policies, p)
		a.Contacts = append(a.Contacts, portfolio.Contact{CustomerID: "a", At: portfolio.Instant((asOf - 3).Time().Unix()), Reason: "complaint", Sentiment: -0.7})
	})
	return subjects(household(a, person("b", nil))...)
}

// golden is a decision as testdata keeps it.
type golden struct {
	Value  string          `json:"value"` // the number that runs compare, all its bits
	Score  json.RawMessage `json:"score"`
	Record *Record         `json:"record"`
}

// TestTheSameRecordOnEveryMachine: amd64 and arm64 have made these records to the bit
// (GOARCH=arm64 go test -c, under qemu where there is no such machine). A change of
// features or engines changes them: go test -update writes them anew.
func TestTheSameRecordOnEveryMachine(t *testing.T) {
	s := newScorer(t)
	var got bytes.Buffer
	sheets := s.Relation(couple(), asOf, NewSet(Engines...))
	enc := json.NewEncoder(&got)
	enc.SetIndent("", " ")
	for _, e := range Engines {
		if err := enc.Encode(golden{
			strconv.FormatUint(math.Float64bits(sheets[0].keyOf(e).value), 16), sheets[0].AppendJSON(nil, e, "t", noon), s.Record(0, e, "t"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join("testdata", "records.json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := bytes.Split(got.Bytes(), []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) {
			t.Fatalf("%s, line %d: it is %s and was %s", path, i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%s has %d lines, not %d", path, len(b), len(a))
	}
}

// TestARecordMakesItsScoreAgain reads records back, asks the models once more, and adds up
// every contribution.
func TestARecordMakesItsScoreAgain(t *testing.T) {
	s := newScorer(t)
	learnt := s.models.learnt()
	rapid.Check(t, func(t *rapid.T) {
		members := couple()
		a := members[0].Aggregate
		a.Customers[0].BirthYear = rapid.IntRange(1900, 2030).Draw(t, "birth year")
		a.Policies[0].AnnualPremium = portfolio.Cents(rapid.IntRange(0, 1e6).Draw(t, "premium"))
		a.Policies[0].StartDate = asOf - portfolio.Date(rapid.IntRange(-10, 9000).Draw(t, "age of the policy"))
		asked := 0
		sheets := s.Relation(members, asOf, NewSet(Engines...))
		for _, e := range Engines {
			body, err := s.Record(0, e, "t").JSON()
			if err != nil {
				t.Fatal(err)
			}
			var r Record
			if err := json.Unmarshal(body, &r); err != nil {
				t.Fatal(err)
			}
			for i := range r.Models {
				m := &r.Models[i]
				link, err := r.Again(m, learnt[m.Model])
				if err != nil {
					t.Fatal(err)
				}
				sum := m.Intercept
				for _, c := range m.Contributions {
					sum += c.Value
				}
				if asked++; link != m.Link || sum != m.Link || learnt[m.Model].Mean(link) != m.Mean {
					t.Fatalf("%s: %s of %s was %v, is %v asked again and %v added up", e, m.Model, m.Of, m.Link, link, sum)
				}
			}
			if e == Churn && sheets[0].Churn.Status == score.Scored && r.Models[0].Link != sheets[0].Churn.Reasons.Link {
				t.Fatalf("the record's link is %v, the score's %v", r.Models[0].Link, sheets[0].Churn.Reasons.Link)
			}
		}
		if asked == 0 {
			t.Fatal("no model was asked")
		}
	})
}

// TestAStoredScoreIsReproduced tells the same score from any other.
func TestAStoredScoreIsReproduced(t *testing.T) {
	s, all := newScorer(t), NewSet(Engines...)
	sheets := s.Relation(couple(), asOf, all)
	stored, err := DecodeStored(sheets[0].AppendStored(nil, &Stored{}, all, all, 7, noon))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range Engines {
		sh := &s.Relation(couple(), asOf, NewSet(e))[0]
		if !sh.Reproduces(&stored, e) {
			t.Errorf("%s is not reproduced by itself", e)
		}
		id := stored.Decision(e, "t", "a")
		ref, ok := ParseDecision(id)
		if !ok || ref != (DecisionRef{portfolio.Hash("a"), asOf, e}) || sh.Decision(e, "t") != id {
			t.Errorf("%s: %s says %+v, and the score's is %s", e, id, ref, sh.Decision(e, "t"))
		}
		if stored.Decision(e, "u", "a") == id || stored.Decision(e, "t", "b") == id {
			t.Error("another tenant's or customer's decision has the same id")
		}
	}
	changed := couple()
	changed[0].Aggregate.Policies[1].AnnualPremium += 4321 // the version in force
	for _, sh := range s.Relation(changed, asOf, all)[:1] {
		if sh.Reproduces(&stored, Risk) || sh.Reproduces(&stored, Clv) {
			t.Error("another premium gives the same score")
		}
	}
}

func FuzzParseDecision(f *testing.F) {
	f.Add("")
	f.Add("00000000000000000000000000000000")
	f.Fuzz(func(t *testing.T, id string) {
		if ref, ok := ParseDecision(id); ok {
			_ = ref.AsOf.String()
			_ = ref.Engine.String()
		}
	})
}
