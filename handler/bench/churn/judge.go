package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/intake"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/sample"
	"polis/handler/internal/score"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
)

// made is a sample's book, and what its truth says.
type made struct {
	asOf      portfolio.Date
	relations [][]*portfolio.Aggregate
	policies  map[string]float64    // probability of a lapse within 12 months
	customers map[string][2]float64 // that all essential policies lapse, and that all do
	drawn     sample.Options
}

// file is one of the sample's, in memory.
type file struct{ bytes.Buffer }

func (*file) Close() error { return nil }

// makeBook makes a sample and takes it in as an import would.
func makeBook(ctx context.Context, dir string, o sample.Options) (*made, error) {
	files := map[string]*file{}
	o.AsOf, o.Truth = cmp.Or(o.AsOf, sample.DefaultAsOf), true
	o.Open = func(name string) (io.WriteCloser, error) {
		files[name] = &file{}
		return files[name], nil
	}
	if _, err := sample.Write(ctx, o); err != nil {
		return nil, err
	}
	m := &made{policies: map[string]float64{}, customers: map[string][2]float64{}, drawn: sample.Options{Customers: o.Customers, Seed: o.Seed, World: o.World, AsOf: o.AsOf}}
	m.asOf, _ = portfolio.ParseDate(o.AsOf)
	if err := m.read(files[sample.TruthPoliciesFile], files[sample.TruthCustomersFile]); err != nil {
		return nil, err
	}
	s, err := sqlite.Open(filepath.Join(dir, "store.db"))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	b, tenant := book.New(s), book.Tenant{ID: "t", Buckets: book.DefaultBuckets, Created: time.Unix(0, 0)}
	if err := b.CreateTenant(ctx, tenant); err != nil {
		return nil, err
	}
	tables := map[portfolio.Table]intake.Source{}
	for _, table := range portfolio.Tables {
		body := files[table.String()+".csv"].Bytes()
		tables[table] = intake.Source{Name: table.String(), Size: int64(len(body)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
	}
	if _, err := intake.Import(ctx, b, intake.Options{Tenant: tenant.ID, AsOf: m.asOf, Files: tables, Scratch: dir}); err != nil {
		return nil, err
	}
	var enc portfolio.Encoder
	for bucket := range tenant.Buckets {
		for rel, err := range b.Relations(ctx, tenant, bucket, nil) {
			if err != nil {
				return nil, err
			}
			var members []*portfolio.Aggregate
			for _, one := range rel.Members {
				var d portfolio.Decoder // one each, since they are kept
				a, err := d.Decode(enc.Append(nil, one.Aggregate))
				if err != nil {
					return nil, err
				}
				members = append(members, a)
			}
			m.relations = append(m.relations, members)
		}
	}
	return m, nil
}

// read reads the truth.
func (m *made) read(policies, customers io.Reader) error {
	each := func(r io.Reader, do func(row []string, number func(name string) float64)) error {
		rows, err := csv.NewReader(r).ReadAll()
		if err != nil {
			return fmt.Errorf("reading the truth: %w", err)
		}
		for _, row := range rows[1:] {
			do(row, func(name string) float64 {
				v, e := strconv.ParseFloat(row[slices.Index(rows[0], name)], 64)
				err = cmp.Or(err, e)
				return v
			})
		}
		return err
	}
	if err := each(policies, func(row []string, number func(string) float64) { m.policies[row[0]] = number("lapse") }); err != nil {
		return err
	}
	return each(customers, func(row []string, number func(string) float64) {
		m.customers[row[0]] = [2]float64{number("lapse_essential"), number("lapse_all")}
	})
}

func source(relations [][]*portfolio.Aggregate) train.Source {
	return func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			for _, members := range relations {
				if !yield(members, nil) {
					return
				}
			}
		}
	}
}

// said is what was predicted of cases, and the truth; coarse is what is known of them
// without a model of their own.
type said struct{ predicted, truth, coarse []float64 }

func (s *said) add(predicted, truth, coarse float64) {
	s.predicted, s.truth, s.coarse = append(s.predicted, predicted), append(s.truth, truth), append(s.coarse, coarse)
}

// judged is what is said of relations and policies, and what is true of them.
type judged struct {
	relations, policies *said
	// Of relations, by years ahead: as the engine says, and as it would if nothing that it
	// knows faded.
	faded, plain [horizon / 12]*said
	model        *churn.Model
}

const horizon = churn.Horizon

// judge trains on every other relation of a book and scores the others as of the end of it.
// Relations are judged that are one customer, since the truth is a customer's: by all
// essential policies, or all where there are none.
func judge(ctx context.Context, m *made, o train.Options, futures map[string]*lasting) (*judged, error) {
	var learn, rest [][]*portfolio.Aggregate
	for i, members := range m.relations {
		if i%2 == 0 {
			learn = append(learn, members)
		} else {
			rest = append(rest, members)
		}
	}
	o.AsOf = m.asOf
	models, err := train.Fit(ctx, source(learn), o)
	if err != nil {
		return nil, err
	}
	out := &judged{relations: &said{}, policies: &said{}, model: models.Churn}
	for y := range out.faded {
		out.faded[y], out.plain[y] = &said{}, &said{}
	}
	same := *models.Churn
	same.Book.Fade.Rate = 0
	e, forgetful := churn.New(&same), churn.New(models.Churn)
	var r, faded churn.Result
	for _, members := range rest {
		var views []*portfolio.View
		for _, a := range members {
			v := &portfolio.View{}
			v.Reset(a, m.asOf, portfolio.DefaultEnds)
			views = append(views, v)
		}
		of, n := feature.Relations(views, nil)
		for k := range n {
			var own []*portfolio.View
			for i, v := range views {
				if of[i] == k {
					own = append(own, v)
				}
			}
			var g feature.Group
			g.Reset(own)
			if e.Score(&g, &r); r.Status != score.Scored {
				continue
			}
			which := 0
			if r.Definition == churn.All {
				which = 1
			}
			if truth, ok := m.customers[own[0].ID]; ok && len(own) == 1 {
				out.relations.add(r.Lapsed[12], truth[which], 0)
			}
			if l := futures[own[0].ID]; l != nil && len(own) == 1 && r.EndsOn == 0 {
				forgetful.Score(&g, &faded)
				for y := range out.faded {
					truth := l.lapsed[which][y] / l.paths
					out.faded[y].add(faded.Lapsed[12*y+12], truth, 0)
					out.plain[y].add(r.Lapsed[12*y+12], truth, 0)
				}
			}
			for i := range r.Policies {
				if truth, ok := m.policies[r.Policies[i].ID]; ok {
					out.policies.add(r.Policies[i].Lapsed[year], truth, r.Lapsed[12])
				}
			}
		}
	}
	return out, nil
}

// lasting counts in how many futures a customer had lapsed within 1, 2, … years: with all
// that is essential, and with all that it has.
type lasting struct {
	paths  float64
	lapsed [2][horizon / 12]float64
}

// draw draws futures of the book's customers. A relation has ended in the month after which
// it has no exposure, and lapsed if the customer ended a policy in that month.
func draw(ctx context.Context, o sample.Options, paths int) (map[string]*lasting, error) {
	out := map[string]*lasting{}
	err := sample.Futures(ctx, o, horizon+1, paths, func(f sample.Future) error {
		for i, id := range f.Customers {
			l := out[id]
			if l == nil {
				l = &lasting{}
				out[id] = l
			}
			l.paths++
			for which := range l.lapsed {
				for k := 1; k <= horizon; k++ {
					left := f.Flows[i][k].Exposure
					if which == 0 {
						left = f.Flows[i][k].Essential
					}
					if left > 0 {
						continue
					}
					if f.Flows[i][k-1].Lapsed+f.Flows[i][k].Lapsed > 0 {
						for y := (k - 1) / 12; y < horizon/12; y++ {
							l.lapsed[which][y]++
						}
					}
					break
				}
			}
		}
		return nil
	})
	return out, err
}

// year is the place of 12 months in churn.Horizons.
var year = slices.Index(churn.Horizons[:], 12)

// figures are how predictions stand to the truth.
type figures struct {
	N               int
	Predicted, True float64 // means
	// AUC is the probability that of two cases, of which by the truth one lapses and one
	// does not, the first was said to be likelier; Ceiling is that of the truth itself.
	AUC, Ceiling, Coarse float64
	// Explained is the share that the prediction has of the deviance that the truth
	// explains beyond the mean.
	Explained float64
	// Slope is that of the truth on the prediction: below 1 the prediction is too sure.
	Slope float64
	// Fifths are true over predicted lapses in fifths of the predictions, ascending.
	Fifths [5]float64
}

func (s *said) figures() (f figures) {
	f.N = len(s.truth)
	for i := range s.truth {
		f.Predicted += s.predicted[i] / float64(f.N)
		f.True += s.truth[i] / float64(f.N)
	}
	f.AUC, f.Ceiling, f.Coarse = auc(s.predicted, s.truth), auc(s.truth, s.truth), auc(s.coarse, s.truth)
	constant, mean, best := 0.0, 0.0, 0.0
	for i, p := range s.truth {
		constant += deviance(p, f.True)
		mean += deviance(p, s.predicted[i])
		best += deviance(p, p)
	}
	both, square := 0.0, 0.0
	for i := range s.truth {
		d := s.predicted[i] - f.Predicted
		both += d * (s.truth[i] - f.True)
		square += d * d
	}
	f.Slope = both / square
	f.Explained = (constant - mean) / (constant - best)
	order := byValue(s.predicted)
	for k := range f.Fifths {
		said, truth := 0.0, 0.0
		for _, i := range order[k*f.N/5 : (k+1)*f.N/5] {
			said += s.predicted[i]
			truth += s.truth[i]
		}
		f.Fifths[k] = truth / said
	}
	return f
}

// deviance is that of a prediction where a lapse has probability p.
func deviance(p, said float64) float64 {
	said = min(max(said, 1e-9), 1-1e-9)
	return -2 * (p*math.Log(said) + (1-p)*math.Log(1-said))
}

func byValue(v []float64) []int {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(v[i], v[j]) })
	return order
}

// auc weighs each case as lapsed by its probability and as stayed by the rest; ties count half.
func auc(said, truth []float64) float64 {
	order := byValue(said)
	pairs, below, lapses, stays := 0.0, 0.0, 0.0, 0.0
	for from := 0; from < len(order); {
		to, p, q := from, 0.0, 0.0
		for ; to < len(order) && said[order[to]] == said[order[from]]; to++ {
			p += truth[order[to]]
			q += 1 - truth[order[to]]
		}
		pairs += p * (below + q/2)
		below += q
		lapses += p
		stays += q
		from = to
	}
	return pairs / (lapses * stays)
}
