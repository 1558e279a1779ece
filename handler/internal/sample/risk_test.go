package sample_test

import (
	"context"
	"encoding/csv"
	"flag"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"polis/handler/internal/book"
	"polis/handler/internal/intake"
	"polis/handler/internal/measure"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/sample"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
)

var sampleAsOf = portfolio.MustDate(2026, 6, 30)

// made is a sample's book in memory, and what its truth says of each policy.
type made struct {
	relations [][]*portfolio.Aggregate
	truth     map[string]truth // by policy
}

type truth struct{ exposure, claims, loss float64 }

func (m *made) source(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
	return func(yield func([]*portfolio.Aggregate, error) bool) {
		for _, members := range m.relations {
			if !yield(members, nil) {
				return
			}
		}
	}
}

// makeSample makes a book of a world and takes it in as an import would.
func makeSample(t *testing.T, o sample.Options) *made {
	t.Helper()
	dir := t.TempDir()
	o.AsOf, o.Dir, o.Truth = sampleAsOf.String(), dir, true
	if _, err := sample.Write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(filepath.Join(dir, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, tenant := book.New(s), book.Tenant{ID: "t", Buckets: 4}
	if err := b.CreateTenant(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	files := map[portfolio.Table]intake.Source{}
	for _, table := range portfolio.Tables {
		path := filepath.Join(dir, table.String()+".csv")
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		files[table] = intake.Source{Name: table.String(), Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	}
	if _, err := intake.Import(t.Context(), b, intake.Options{Tenant: tenant.ID, AsOf: sampleAsOf, Files: files, Scratch: dir}); err != nil {
		t.Fatal(err)
	}
	m := &made{truth: map[string]truth{}}
	for bucket := range tenant.Buckets {
		for rel, err := range b.Relations(t.Context(), tenant, bucket, nil) {
			if err != nil {
				t.Fatal(err)
			}
			var members []*portfolio.Aggregate
			for _, one := range rel.Members {
				var d portfolio.Decoder
				a, err := d.Decode(slices.Clone(one.Body))
				if err != nil {
					t.Fatal(err)
				}
				members = append(members, a)
			}
			m.relations = append(m.relations, members)
		}
	}
	f, err := os.Open(filepath.Join(dir, sample.TruthPoliciesFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, r := range rows[1:] {
		m.truth[r[0]] = truth{exposure: number(r[3]), claims: number(r[4]), loss: number(r[6])}
	}
	return m
}

// net is the part of what a claim costs in the sample's truth that stays with the insurer:
// the truth counts rejected claims (4.5%) and knows no recoveries, which in motor and fleet
// are about half of every eighth claim, and of a fleet's another tenth (sample/claims.go).
func net(branch string) float64 {
	switch branch {
	case "motor":
		return 0.955 * 0.94
	case "fleet":
		return 0.955 * 0.89
	}
	return 0.955
}

// judged is how expected losses did against the truth, by policy and by customer.
type judged struct {
	policies, customers *measure.Trial
	ratio               float64 // of all true loss to all expected
}

func (m *made) judge(t *testing.T, models *scoring.Models) judged {
	t.Helper()
	s, err := scoring.New(models)
	if err != nil {
		t.Fatal(err)
	}
	type rows struct{ mean, actual, exposure []float64 }
	var policies, customers rows
	add := func(r *rows, mean, actual, exposure float64) {
		r.mean, r.actual, r.exposure = append(r.mean, mean), append(r.actual, actual), append(r.exposure, exposure)
	}
	expected, happens := 0.0, 0.0
	for _, members := range m.relations {
		var subjects []scoring.Subject
		for _, one := range members {
			subjects = append(subjects, scoring.Subject{Aggregate: one})
		}
		for _, sh := range s.Relation(subjects, sampleAsOf, scoring.NewSet(scoring.Risk)) {
			mean, actual := 0.0, 0.0
			for _, q := range sh.Risk.Policies {
				if w, ok := m.truth[q.ID]; ok && w.exposure > 0 {
					loss := w.loss * net(q.Branch)
					add(&policies, q.Loss, loss, w.exposure)
					mean, actual = mean+q.Loss*w.exposure, actual+loss
				}
			}
			if mean > 0 {
				add(&customers, mean, actual, 1)
				expected, happens = expected+mean, happens+actual
			}
		}
	}
	try := func(r rows) *measure.Trial {
		trial, err := measure.Try(measure.Tweedie, r.mean, r.actual, r.exposure, nil)
		if err != nil {
			t.Fatal(err)
		}
		return trial
	}
	return judged{try(policies), try(customers), happens / expected}
}

// customers is how many the sample of TestExpectedLossAgainstTheTruth has; the table in
// docs/risk.md is of 5,000 and 20,000.
var customers = flag.Int("customers", 4000, "customers of the sample that expected losses are judged on")

// TestExpectedLossAgainstTheTruth: what is expected of policies in force adds up to what the
// world is known to expect of them, and puts them in order better than the models of single
// policies do without the levels of branches, which is what the first version of Polis did.
func TestExpectedLossAgainstTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it learns two books; scripts/test runs it without the race detector")
	}
	for _, world := range []sample.World{sample.A, sample.B} {
		t.Run(string(world), func(t *testing.T) {
			t.Parallel()
			m := makeSample(t, sample.Options{Customers: *customers, Seed: 11, World: world})
			models, err := train.Fit(t.Context(), m.source, train.Options{AsOf: sampleAsOf})
			if err != nil {
				t.Fatal(err)
			}
			got := m.judge(t, models)
			claims, own, blended := 0.0, 0, 0
			plain := *models
			plain.Risk = new(risk.Model)
			*plain.Risk = *models.Risk
			plain.Risk.Branches = map[string]risk.Branch{}
			for name, b := range models.Risk.Branches {
				claims += b.Claims
				switch b.Basis {
				case risk.Own:
					own++
				case risk.Blended:
					blended++
				}
				plain.Risk.Branches[name] = risk.Branch{Basis: b.Basis, Frequency: 1, Severity: 1, Excess: b.Excess, Reporting: 1, Development: 1, Inflation: 1}
			}
			before := m.judge(t, &plain)
			t.Logf("%d customers, %.0f claims, branches: %d own, %d blended; true over expected %.3f (before %.3f); Gini by policy %.3f (%.3f), by customer %.3f (%.3f)",
				*customers, claims, own, blended, got.ratio, before.ratio, got.policies.Gini.Value, before.policies.Gini.Value,
				got.customers.Gini.Value, before.customers.Gini.Value)
			if claims == 0 {
				t.Fatal("no claims")
			}
			// Claims of all branches have a coefficient of variation of about 3.
			if off := math.Abs(got.ratio - 1); off > 3*3/math.Sqrt(claims) {
				t.Errorf("the truth is %.3f times what is expected, on %.0f claims", got.ratio, claims)
			}
			if !(got.policies.Gini.Value > before.policies.Gini.Value && got.policies.Deviance < before.policies.Deviance) {
				t.Errorf("policies: Gini %v, deviance %v; before levels %v, %v", got.policies.Gini.Value, got.policies.Deviance, before.policies.Gini.Value, before.policies.Deviance)
			}
			if !(got.customers.Gini.Value > before.customers.Gini.Value) {
				t.Errorf("customers: Gini %v; before levels %v", got.customers.Gini.Value, before.customers.Gini.Value)
			}
		})
	}
}
