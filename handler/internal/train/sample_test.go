package train_test

import (
	"context"
	"encoding/csv"
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
	"polis/handler/internal/sample"
	"polis/handler/internal/score"
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

// TestExpectedLossAgainstTheTruth: whether what is expected of policies in force adds up to
// what the world is known to expect of them, and whether it puts them in the same order.
func TestExpectedLossAgainstTheTruth(t *testing.T) {
	for _, world := range []sample.World{sample.A, sample.B} {
		t.Run(string(world), func(t *testing.T) {
			n := 20000
			if s := os.Getenv("N"); s != "" {
				n, _ = strconv.Atoi(s)
			}
			m := makeSample(t, sample.Options{Customers: n, Seed: 11, World: world})
			models, err := train.Fit(t.Context(), m.source, train.Options{AsOf: sampleAsOf})
			if err != nil {
				t.Fatal(err)
			}
			s, err := scoring.New(models)
			if err != nil {
				t.Fatal(err)
			}
			var predicted, actual, exposure, pc, ac, ec []float64
			p, a, ca, cp := map[string]float64{}, map[string]float64{}, map[string]float64{}, map[string]float64{}
			for _, members := range m.relations {
				var subjects []scoring.Subject
				for _, one := range members {
					subjects = append(subjects, scoring.Subject{Aggregate: one})
				}
				for _, sh := range s.Relation(subjects, sampleAsOf, scoring.NewSet(scoring.Risk)) {
					if sh.Risk.Status != score.Scored {
						continue
					}
					sp, sa, se := 0.0, 0.0, 0.0
					for _, q := range sh.Risk.Policies {
						if w, ok := m.truth[q.ID]; ok && w.exposure > 0 {
							predicted, actual, exposure = append(predicted, q.Loss), append(actual, w.loss/w.exposure), append(exposure, w.exposure)
							p[q.Branch] += q.Loss * w.exposure
							a[q.Branch] += w.loss
							cp[q.Branch] += q.Frequency * w.exposure
							ca[q.Branch] += w.claims
							sp += q.Loss * w.exposure
							sa += w.loss
							se += w.exposure
						}
					}
					if se > 0 {
						pc, ac, ec = append(pc, sp), append(ac, sa), append(ec, 1)
					}
				}
			}
			one := make([]float64, len(predicted))
			for i := range one {
				one[i] = 1
			}
			trial, err := measure.Try(measure.Tweedie, predicted, actual, exposure, one)
			if err != nil {
				t.Fatal(err)
			}
			one = one[:len(pc)]
			customers, err := measure.Try(measure.Tweedie, pc, ac, ec, one)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("policies: ratio %+v gini %+v; D %v of %v; customers: ratio %+v gini %+v", *trial.Ratio, *trial.Gini, trial.Deviance, trial.Constant, *customers.Ratio, *customers.Gini)
			for b := range p {
				t.Logf("%-22s true %9.0f/%7.0f predicted %9.0f/%7.0f loss ratio %.3f freq %.3f", b, a[b], ca[b], p[b], cp[b], a[b]/p[b], ca[b]/cp[b])
			}
			_ = math.Pi
		})
	}
}
