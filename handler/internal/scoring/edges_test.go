package scoring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/store"
)

// edge is a case at the edge: who is scored, what each engine answers in docs/edges.md, and
// what of that a test can ask.
type edge struct {
	name    string
	members []*portfolio.Aggregate // the first is looked at
	status  [len(engineNames)]score.Status
	says    [len(engineNames)]string
	as      []*portfolio.Aggregate // scores are those of these, to the byte
	check   func(t *testing.T, s *Scorer, sheets []Sheet)
}

func one(change func(*portfolio.Aggregate)) []*portfolio.Aggregate {
	return []*portfolio.Aggregate{person("c", change)}
}

func all(s score.Status) [len(engineNames)]score.Status {
	return [len(engineNames)]score.Status{s, s, s, s, s}
}

// claimed is a change that adds a claim.
func claimed(c portfolio.Claim) func(*portfolio.Aggregate) {
	return func(a *portfolio.Aggregate) {
		c.ID, c.PolicyID, c.CustomerID = "l", a.Policies[0].ID, a.ID()
		a.Claims = []portfolio.Claim{c}
	}
}

// grouped is a customer that names a company group and a household.
func grouped(id, group, house string) *portfolio.Aggregate {
	return person(id, func(a *portfolio.Aggregate) {
		a.Customers[0].CompanyGroupID, a.Customers[0].HouseholdID = group, house
	})
}

// merging is a customer who is known to live with others from the as-of date on.
func merging(id string, on portfolio.Date) *portfolio.Aggregate {
	return person(id, func(a *portfolio.Aggregate) {
		moved := a.Customers[0]
		a.Customers[0].HouseholdID = "of " + id
		moved.HouseholdID, moved.Version = "h", portfolio.Version{RecordedAt: on, ValidFrom: on}
		a.Customers = append(a.Customers, moved)
	})
}

const vehicles = 2000

func fleet(a *portfolio.Aggregate) {
	a.Customers[0].Segment = portfolio.Business
	p := a.Policies[0]
	p.Branch = "fleet"
	a.Policies = nil
	for i := range vehicles {
		p.ID = fmt.Sprintf("vehicle-%04d", i)
		a.Policies = append(a.Policies, p)
	}
}

func edges(t *testing.T) []edge {
	nothing := func(t *testing.T, _ *Scorer, sheets []Sheet) {
		if sh := &sheets[0]; sh.Defend.Action != "" || len(sh.Risk.Policies)+len(sh.Churn.Policies)+len(sh.Nbp.Offers) != 0 {
			t.Errorf("something is said: %q, %d offers", sh.Defend.Action, len(sh.Nbp.Offers))
		}
	}
	same := func(what string) [len(engineNames)]string { return [...]string{what, what, what, what, what} }
	noPolicies := [...]string{"`no_policies`; care is looked at all the same", "`no_policies`", "`no_policies`; what was realised is kept", "`no_policies`", "`no_policies`; no action, unless care asks for one"}
	return []edge{
		{
			name: "no policies", members: one(cases["no policies"]), status: all(score.NoPolicies), says: noPolicies, check: nothing,
		},
		{
			name: "only ended policies", members: one(cases["only ended ones"]), status: all(score.NoPolicies), says: noPolicies,
			check: func(t *testing.T, _ *Scorer, sheets []Sheet) {
				nothing(t, nil, sheets)
				var answer struct {
					Status   string
					Realised float64
					Value    *float64
				}
				if err := json.Unmarshal(sheets[0].AppendJSON(nil, Clv, "t", noon), &answer); err != nil {
					t.Fatal(err)
				}
				if answer.Status != "no_policies" || answer.Realised == 0 || answer.Value != nil {
					t.Errorf("what was realised is forgotten, or there is a value: %+v", answer)
				}
			},
		},
		{
			name: "only a policy that starts tomorrow", members: one(cases["starting tomorrow"]), status: all(score.NoPolicies), says: noPolicies, check: nothing,
		},
		{
			name: "a policy that starts tomorrow, beside others", status: all(score.Scored),
			members: one(func(a *portfolio.Aggregate) {
				p := a.Policies[0]
				p.ID, p.Branch, p.StartDate, p.RecordedAt = "p9", "liability", asOf+1, asOf-3
				a.Policies = append(a.Policies, p)
			}),
			says: [...]string{"not scored before it begins; who misses it is told until then", "not counted before it begins", "not counted before it begins", "its product is not offered: `held_soon`", "as the others say"},
			check: func(t *testing.T, _ *Scorer, sheets []Sheet) {
				sh := &sheets[0]
				if len(sh.Risk.Policies) != 2 || len(sh.Churn.Policies) != 2 {
					t.Errorf("%d and %d policies are scored", len(sh.Risk.Policies), len(sh.Churn.Policies))
				}
				if why := excluded(sh, "liability"); why != "held_soon" {
					t.Errorf("liability: %q", why)
				}
			},
		},
		{
			name: "a claim that happened before its policy began", status: all(score.Scored),
			members: one(claimed(portfolio.Claim{LossDate: asOf - 800, Paid: 40000, Version: portfolio.Version{RecordedAt: asOf - 20}})),
			says:    [...]string{"counts by its loss date as any other; for care it is no claim on a new policy", "counts by its loss date", "counts by its loss date", "counts by its loss date", "as the others say"},
			check: func(t *testing.T, s *Scorer, sheets []Sheet) {
				for _, e := range []Engine{Churn, Clv, Nbp} {
					if n := s.Record(0, e, "t").Inputs[0].Values["claims_36m"]; n != 1.0 {
						t.Errorf("%s reads claims_36m as %v", e, n)
					}
				}
				if fired(&sheets[0], "claim_on_new_policy") {
					t.Error("it is a claim on a new policy")
				}
			},
		},
		{
			name: "a claim that is reported after the as-of date", status: all(score.Scored), members: one(cases["reported late"]), as: one(nil),
			says: same("not known yet: as without it"),
		},
		{
			name: "a year of birth in the future", status: all(score.Scored), members: one(cases["born in the future"]),
			as:   one(func(a *portfolio.Aggregate) { a.Customers[0].BirthYear = 0 }),
			says: same("an import refuses the row; where it is there all the same the age is not known"),
		},
		{
			name: "a company group that points at itself", status: all(score.Scored), members: []*portfolio.Aggregate{grouped("c", "c", "")}, as: one(nil),
			says: same("a group of one: an id of a group is a name, and no pointer"),
		},
		{
			name: "a household that points at itself", status: all(score.Scored), members: []*portfolio.Aggregate{grouped("c", "", "c")}, as: one(nil),
			says: same("likewise"),
		},
		{
			name: "two customers that name each other as their group", status: all(score.Scored), members: []*portfolio.Aggregate{grouped("c", "d", ""), grouped("d", "c", "")}, as: one(nil),
			says: same("two groups of one: together are those who name the same group"),
		},
		{
			name: "a group and a household of one name", status: all(score.Scored), members: []*portfolio.Aggregate{grouped("c", "x", ""), grouped("d", "", "x")}, as: one(nil),
			says: same("two relations: names of groups, households and customers are kept apart"),
		},
		{
			name: "two households that merge, the day before it is known", status: all(score.Scored),
			members: []*portfolio.Aggregate{merging("c", asOf+1), merging("d", asOf+1)}, as: one(nil),
			says: same("each by itself, and once it is known `relation_as_of` says that the relation is that of then"),
			check: func(t *testing.T, _ *Scorer, sheets []Sheet) {
				if !sheets[0].Parted {
					t.Error("the score does not say that its relation is that of then")
				}
			},
		},
		{
			name: "two households that have merged", status: all(score.Scored),
			members: []*portfolio.Aggregate{merging("c", asOf), merging("d", asOf)},
			says: [...]string{
				"each its own policies; care asks those whose household changed", "one relation, and one probability of its end",
				"each its own value; their ends are one event, and `relation` is the sum", "what one holds is held by all", "each its own action",
			},
			check: func(t *testing.T, _ *Scorer, sheets []Sheet) {
				c, d := &sheets[0], &sheets[1]
				if c.Churn.Lapsed[12] != d.Churn.Lapsed[12] || c.Clv.Relation != d.Clv.Relation || c.Clv.Relation.Customers != 2 {
					t.Errorf("no one relation: %v and %v, %+v", c.Churn.Lapsed[12], d.Churn.Lapsed[12], c.Clv.Relation)
				}
				if !fired(c, "left_household") {
					t.Error("nobody asks who left a household")
				}
			},
		},
		{
			name: "a fleet of 2,000 vehicles", status: all(score.Scored), members: one(fleet),
			says: [...]string{"each vehicle is scored; claims that so many have anyway ask for no care", "each vehicle is scored; the branch ends with its relation, hardly by itself", "2,000 policies; claims beyond 16 are counted by a normal distribution", "as any other", "as any other"},
			check: func(t *testing.T, _ *Scorer, sheets []Sheet) {
				sh := &sheets[0]
				if len(sh.Risk.Policies) != vehicles || len(sh.Churn.Policies) != vehicles || len(sh.Churn.Branches) != 1 {
					t.Errorf("%d and %d vehicles are scored, in %d branches", len(sh.Risk.Policies), len(sh.Churn.Policies), len(sh.Churn.Branches))
				}
				every := NewSet(Engines...)
				body := sh.AppendStored(nil, &Stored{}, every, every, 1, noon)
				if most := store.MaxBytes / 4; len(body) > most {
					t.Errorf("its scores take %d bytes: with those that they supersede no batch takes them", len(body))
				}
				old, err := DecodeStored(body)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range Engines {
					if !sh.Reproduces(&old, e) {
						t.Errorf("%s is not kept as it was", e)
					}
				}
				// Another engine's run keeps the others' as they are.
				if again, err := DecodeStored(sh.AppendStored(nil, &old, NewSet(Defend), 0, 2, noon)); err != nil || !sh.Reproduces(&again, Risk) {
					t.Errorf("risk is not kept when others are written: %v", err)
				}
				if _, err := DecodeStored(append(bytes.Clone(body[:len(body)-1]), body[len(body)-1]^1)); err == nil {
					t.Error("damage is not seen")
				}
			},
		},
		{
			name: "a premium of nothing", status: all(score.Scored), members: one(cases["premium of nothing"]),
			says: [...]string{"a place among expected losses, without a loss ratio", "scored", "no income, and the cost of servicing", "as any other", "as the others say"},
		},
		{
			name: "only health insurance", members: one(cases["health only"]),
			status: [...]score.Status{score.NotInScope, score.Scored, score.Scored, score.Scored, score.Scored},
			says:   [...]string{"`not_in_scope` (EU AI Act, Annex III); care is looked at", "scored, by the definition `all`", "commission as of any other policy; an insurer's value has neither its premium nor its loss", "as any other; no life or health insurance is ever offered", "as the others say"},
		},
		{
			name: "an objection to profiling", members: one(cases["objects"]),
			status: all(score.Objected),
			says:   [...]string{"`objected`; care is looked at", "`objected`", "`objected`, and no part of the relation's sum", "`objected`", "`objected`; no action but what care asks for"},
			check: func(t *testing.T, _ *Scorer, sheets []Sheet) {
				if sh := &sheets[0]; sh.Defend.Action != "coverage_advice" || sh.Defend.Stake != 0 || len(sh.Risk.Policies)+len(sh.Churn.Policies)+len(sh.Nbp.Offers) != 0 {
					t.Errorf("more is said than a rule of care asks for: %+v", sh.Defend)
				}
			},
		},
		{
			name: "the only policy that counts is of another member, who objects", status: all(score.Scored),
			members: household(
				person("c", func(a *portfolio.Aggregate) { a.Policies = a.Policies[:1]; a.Policies[0].Branch = "travel" }),
				person("d", func(a *portfolio.Aggregate) { objects(a); a.Policies = a.Policies[:1] })),
			says: [...]string{"its own policies", "the mean of the book's policies, without `reasons`; of an own book `basis` is `mean`", "its own value; the segment is without churn", "what one holds is held by all", "as the others say"},
			check: func(t *testing.T, s *Scorer, sheets []Sheet) {
				c := &sheets[0]
				if body := c.AppendJSON(nil, Churn, "t", noon); !bytes.Contains(body, []byte(`"basis":"blended","weight":0.5,`)) || bytes.Contains(body, []byte(`"reasons"`)) || !c.Clv.WithoutChurn {
					t.Errorf("segment without churn %v, and %s", c.Clv.WithoutChurn, body)
				}
				r, mean, every := s.Record(0, Churn, "t"), &s.models.Churn.Book, NewSet(Engines...)
				if stored, err := DecodeStored(c.AppendStored(nil, &Stored{}, every, every, 1, noon)); err != nil || !c.Reproduces(&stored, Churn) {
					t.Errorf("it is not made again: %v", err)
				}
				if len(r.Models)+len(r.Inputs) != 0 || r.Mean == nil || r.Mean.Lapse != mean.Fade.PolicyLapse || r.Mean.Lapse == 0 || r.Months[0].Lapse != nil || r.Months[0].Lapsed != r.Mean.Lapse {
					t.Errorf("the record has models, or not the mean: %+v", r.Mean)
				}
			},
		},
		{
			name: "a suspended policy", status: all(score.Scored),
			members: one(func(a *portfolio.Aggregate) { a.Policies[0].Status = portfolio.Suspended }),
			says:    [...]string{"as in force; a rule of care asks for it", "as in force", "as in force, with the premium that is recorded", "as in force: held", "as the others say"},
			check: func(t *testing.T, s *Scorer, sheets []Sheet) {
				if !fired(&sheets[0], "suspended") {
					t.Error("nobody asks why it is suspended")
				}
				was, every := make([][]byte, len(Engines)), NewSet(Engines...)
				for i, e := range Engines {
					was[i] = sheets[0].appendBody(nil, e)
				}
				loss := sheets[0].Risk.Loss
				active := s.Relation(subjects(person("c", nil)), asOf, every)
				for i, e := range Engines {
					if e != Risk && e != Defend && !bytes.Equal(was[i], active[0].appendBody(nil, e)) {
						t.Errorf("%s is not as of one in force: %s", e, was[i])
					}
				}
				if loss != active[0].Risk.Loss {
					t.Errorf("a loss of %v, in force of %v", loss, active[0].Risk.Loss)
				}
			},
		},
		{
			name: "notice given for all that counts", status: all(score.Scored),
			members: one(func(a *portfolio.Aggregate) {
				for i := range a.Policies {
					a.Policies[i].EndDate, a.Policies[i].EndReason = asOf+60, "lapse"
				}
			}),
			says: [...]string{"scored while in force", "`ends_on` and probabilities of 0 and 1: a fact, without `reasons`", "the margin until then", "as any other", "as the others say"},
			check: func(t *testing.T, s *Scorer, sheets []Sheet) {
				body, r := sheets[0].AppendJSON(nil, Churn, "t", noon), s.Record(0, Churn, "t")
				if !bytes.Contains(body, []byte(`"ends_on"`)) || bytes.Contains(body, []byte(`"reasons"`)) || len(r.Models) != 0 || r.Mean != nil || r.Months[35].Lapsed != 1 {
					t.Errorf("%s", body)
				}
			},
		},
	}
}

func excluded(sh *Sheet, group string) string {
	for _, x := range sh.Nbp.Excluded {
		if x.Group.Code == group {
			return x.Code
		}
	}
	return ""
}

func fired(sh *Sheet, code string) bool {
	for _, tr := range sh.Risk.Care.Triggers {
		if tr.Code == code {
			return true
		}
	}
	return false
}

// TestEdges holds each engine to the answer that docs/edges.md gives for each case, and the
// page to this table: go test -update writes it anew.
func TestEdges(t *testing.T) {
	s := newScorer(t)
	page := bytes.NewBufferString(edgesIntro)
	for _, x := range edges(t) {
		t.Run(x.name, func(t *testing.T) {
			render := func(members []*portfolio.Aggregate) (out [len(engineNames)]string, sheets []Sheet) {
				sheets = s.Relation(subjects(members...), asOf, NewSet(Engines...))
				as := sheets[0]
				as.Fingerprint, as.Parted = 0, false // of the data and what became of it, which do differ
				for _, e := range Engines {
					out[e] = string(as.AppendJSON(nil, e, "t", noon))
				}
				return out, sheets
			}
			var want [len(engineNames)]string
			if x.as != nil {
				want, _ = render(x.as)
			}
			got, sheets := render(x.members)
			for _, e := range Engines {
				if status := sheets[0].Status(e); status != x.status[e] {
					t.Errorf("%s is %s, want %s", e, status, x.status[e])
				}
				if x.as != nil && got[e] != want[e] {
					t.Errorf("%s:\n%s\nwant\n%s", e, got[e], want[e])
				}
			}
			if x.check != nil {
				x.check(t, s, sheets)
			}
		})
		fmt.Fprintf(page, "| %s | %s |\n", x.name, strings.Join(x.says[:], " | "))
	}
	path := filepath.Join("..", "..", "..", "docs", "edges.md")
	if *update {
		if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(is, page.Bytes()) {
		t.Error("docs/edges.md is not as the table has it; go test -update writes it anew")
	}
}

const edgesIntro = `# What do the engines answer at the edges?

One row a case, one column an engine. The table is written by a test, which holds the engines to it (` + "`TestEdges`" + ` in package scoring);
each engine's own page has what concerns it alone.

| the file | risk, and care | churn | clv | nbp | defend |
|---|---|---|---|---|---|
`
