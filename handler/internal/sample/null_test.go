package sample_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/feature"
	"polis/handler/internal/intake"
	"polis/handler/internal/measure"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/sample"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
)

// file is one of the sample's, in memory.
type file struct{ bytes.Buffer }

func (*file) Close() error { return nil }

// relations makes a sample, imports it, and gives what is stored, by relation.
func relations(t *testing.T, o sample.Options) [][]*portfolio.Aggregate {
	t.Helper()
	files := map[string]*file{}
	o.Open = func(name string) (io.WriteCloser, error) {
		files[name] = &file{}
		return files[name], nil
	}
	if _, err := sample.Write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, tenant := book.New(s), book.Tenant{ID: "t", Buckets: book.DefaultBuckets, Created: time.Unix(0, 0)}
	if err := b.CreateTenant(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	tables := map[portfolio.Table]intake.Source{}
	for _, table := range portfolio.Tables {
		body := files[table.String()+".csv"].Bytes()
		tables[table] = intake.Source{Name: table.String(), Size: int64(len(body)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
	}
	asOf, _ := portfolio.ParseDate(o.AsOf)
	if _, err := intake.Import(t.Context(), b, intake.Options{Tenant: "t", AsOf: asOf, Files: tables, Scratch: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	var out [][]*portfolio.Aggregate
	var enc portfolio.Encoder
	for bucket := range tenant.Buckets {
		for rel, err := range b.Relations(t.Context(), tenant, bucket, nil) {
			if err != nil {
				t.Fatal(err)
			}
			var members []*portfolio.Aggregate
			for _, m := range rel.Members {
				var d portfolio.Decoder // one each, since they are kept
				a, err := d.Decode(enc.Append(nil, m.Aggregate))
				if err != nil {
					t.Fatal(err)
				}
				members = append(members, a)
			}
			out = append(out, members)
		}
	}
	return out
}

// outcome is what models said of cases, and what came of them.
type outcome struct{ said, came, exposure []float64 }

func (o *outcome) add(said, came, exposure float64) {
	o.said, o.came, o.exposure = append(o.said, said), append(o.came, came), append(o.exposure, exposure)
}

// judge trains on every other relation of a book as of 15 months before its end, scores the
// others, and sees what came of them in the year after: whether the relation lapsed,
// whether it bought each branch, and what each policy claimed and cost.
func judge(t *testing.T, o sample.Options) map[string]*outcome {
	t.Helper()
	all := relations(t, o)
	var learn, rest [][]*portfolio.Aggregate
	for i, members := range all {
		if i%2 == 0 {
			learn = append(learn, members)
		} else {
			rest = append(rest, members)
		}
	}
	end, _ := portfolio.ParseDate(o.AsOf)
	then := end.AddMonths(-15)
	until := then.AddMonths(12)
	m, err := train.Fit(t.Context(), func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			for _, members := range learn {
				if !yield(members, nil) {
					return
				}
			}
		}
	}, train.Options{AsOf: then, Snapshots: 2})
	if err != nil {
		t.Fatal(err)
	}
	s, err := scoring.New(m)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*outcome{}
	at := func(name string) *outcome {
		if out[name] == nil {
			out[name] = &outcome{}
		}
		return out[name]
	}
	var reader feature.Reader
	var row model.Row
	var held nbp.Past
	groups, err := nbp.NewGrouping(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, members := range rest {
		subjects := make([]scoring.Subject, len(members))
		past, later := make([]*portfolio.View, len(members)), make([]*portfolio.View, len(members))
		for i, a := range members {
			subjects[i].Aggregate = a
			past[i], later[i] = &portfolio.View{}, &portfolio.View{}
			past[i].Reset(a, then, portfolio.DefaultEnds)
			later[i].Reset(a, end, portfolio.DefaultEnds)
		}
		sheets := s.Relation(subjects, then, scoring.NewSet(scoring.Engines...))
		var g feature.Group
		g.Reset(past)
		if g.Policies == 0 {
			continue
		}
		left, bought := 1.0, map[string]bool{}
		for i, v := range past {
			for j := range v.Policies {
				if p := &v.Policies[j]; p.InForce(then) {
					if q := later[i].Policy(p.ID); q.InForce(until) {
						left = 0
					}
				}
			}
			for j := range later[i].Policies {
				if q := &later[i].Policies[j]; q.StartDate > then && q.StartDate <= until {
					bought[q.Branch] = true
				}
			}
			for _, p := range sheets[i].Risk.Policies {
				cost, claims := 0.0, 0.0
				for j := range later[i].Claims {
					if c := &later[i].Claims[j]; c.PolicyID == p.ID && c.LossDate > then && c.LossDate <= until && c.Status != portfolio.ClaimRejected {
						cost += c.Incurred().EUR()
						claims++
					}
				}
				if exposure := later[i].Policy(p.ID).Exposure(then+1, until+1); exposure > 0 {
					at("risk").add(p.Loss, cost, exposure)
					at("frequency").add(p.Frequency, claims, exposure)
				}
			}
		}
		i := slices.Index(past, g.Primary)
		if sheets[i].Churn.Status == score.Scored {
			at("churn").add(sheets[i].Churn.Lapsed[12], left, 1)
		}
		business := g.Primary.Customer != nil && g.Primary.Customer.Segment == portfolio.Business
		held.Reset(groups, past)
		groups.Row(&reader, &g, &held, &row)
		for k := range groups.Groups {
			b := &groups.Groups[k]
			bm := m.Nbp.Groups[b.Code]
			if bm == nil || held.Held>>k&1 == 1 || business && !b.Business || !business && !b.Private {
				continue
			}
			came := 0.0
			if bought[b.Branch] {
				came = 1
			}
			groups.About(k, &held, &row)
			at("buy "+b.Code).add(bm.Mean(m.Nbp.Link(b.Code, row)), came, 1)
		}
	}
	return out
}

// figure is how far engines' figures lie from chance, over books: AUC from a half, Gini from
// nought, with the variance that chance gives them, weighted by events.
type figure struct{ off, variance, weight, events float64 }

func (f *figure) add(g figure) {
	f.off += g.off
	f.variance += g.variance
	f.weight += g.weight
	f.events += g.events
}

// z is the distance from chance in standard errors.
func (f *figure) z() float64 { return f.off / math.Sqrt(f.variance) }

func (f *figure) String() string {
	return fmt.Sprintf("%+.4f from chance, %.1f standard errors, of %.0f events", f.off/f.weight, f.z(), f.events)
}

// figureOf is that of one book: the Gini of what policies cost, or claimed, by what was expected, or the
// AUC of what happened. The variance of an AUC is that of Mann and Whitney (1947) under
// chance and without ties; a model that says the same of most has less.
func figureOf(t *testing.T, name string, o *outcome) (f figure) {
	t.Helper()
	for _, y := range o.came {
		if y > 0 {
			f.events++
		}
	}
	family := measure.Logistic
	switch name {
	case "risk":
		family = measure.Tweedie
	case "frequency":
		family = measure.Poisson
	}
	trial, err := measure.Try(family, o.said, o.came, o.exposure, nil)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	off, variance := 0.0, 0.0
	switch yes, no := f.events, float64(len(o.came))-f.events; {
	case family != measure.Logistic && trial.Gini != nil:
		off, variance = trial.Gini.Value, trial.Gini.Error*trial.Gini.Error
	case family == measure.Logistic && trial.AUC != nil:
		off, variance = trial.AUC.Value-0.5, (yes+no+1)/(12*yes*no)
	default:
		return figure{}
	}
	f.weight = f.events
	f.off, f.variance = f.weight*off, f.weight*f.weight*variance
	return f
}

// enough is how many purchases of a branch are judged, at least.
const enough = 100

// TestNoEngineFindsAnythingInTheNullWorld: with customers that no model has seen, all figures
// lie within 2 standard errors of chance, over several books together: of the engines, and of
// each branch that was bought often enough. What lies outside is looked at once more with
// as many books again: chance does not last, and an effect grows with them.
func TestNoEngineFindsAnythingInTheNullWorld(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models on several books")
	}
	const books = 4
	all := map[string]*figure{}
	look := func(first uint64) (outside []string) {
		for seed := range uint64(books) {
			found := judge(t, sample.Options{Customers: 9000, Seed: first + seed, World: sample.Null, AsOf: sample.DefaultAsOf})
			for _, name := range slices.Sorted(maps.Keys(found)) {
				f := figureOf(t, name, found[name])
				engine, branch, ok := strings.Cut(name, " ")
				names := []string{engine}
				if ok {
					names = append(names, "buy "+branch)
				}
				for _, name := range names {
					if all[name] == nil {
						all[name] = &figure{}
					}
					all[name].add(f)
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if f := all[name]; f.events >= enough {
				t.Logf("%-16s %v", name, f)
				if math.Abs(f.z()) > 2 {
					outside = append(outside, name)
				}
			}
		}
		return outside
	}
	outside := look(1000)
	if outside != nil {
		outside = look(2000)
	}
	for _, name := range outside {
		t.Errorf("%s is %v", name, all[name])
	}
	for _, name := range []string{"risk", "frequency", "churn", "buy", "buy pet", "buy legal"} {
		if f := all[name]; f == nil || f.events < enough {
			t.Errorf("%s was hardly judged", name)
		}
	}
	// The same look finds what drives the other worlds, or it would prove nothing.
	found := judge(t, sample.Options{Customers: 6000, Seed: 1, World: sample.A, AsOf: sample.DefaultAsOf})
	for _, name := range []string{"frequency", "churn"} {
		if f := figureOf(t, name, found[name]); !(f.z() > 4) {
			t.Errorf("world A: %s is %v", name, &f)
		}
	}
}
