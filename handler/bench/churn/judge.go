package main

import (
	"cmp"
	"context"
	"iter"
	"math"
	"path/filepath"
	"slices"

	"polis/handler/bench/made"
	"polis/handler/internal/book"
	"polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/sample"
	"polis/handler/internal/score"
	"polis/handler/internal/train"
)

// judgedBook is a sample's book, and what its truth says.
type judgedBook struct {
	asOf      portfolio.Date
	relations [][]*portfolio.Aggregate
	policies  map[string]float64    // probability of a lapse within 12 months
	customers map[string][2]float64 // that all essential policies lapse, and that all do
	drawn     sample.Options
}

// makeBook makes a sample and takes it in as an import would.
func makeBook(ctx context.Context, dir string, o sample.Options) (*judgedBook, error) {
	m := &judgedBook{policies: map[string]float64{}, customers: map[string][2]float64{}}
	o.AsOf = cmp.Or(o.AsOf, sample.DefaultAsOf)
	m.drawn = o
	m.asOf, _ = portfolio.ParseDate(o.AsOf)
	o.Dir, o.Truth = filepath.Join(dir, "csv"), true
	if _, err := sample.Write(ctx, o); err != nil {
		return nil, err
	}
	err := made.ReadFile(filepath.Join(o.Dir, sample.TruthPoliciesFile), func(r *made.Row) error {
		m.policies[r.Text("policy_id")] = r.Number("lapse")
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = made.ReadFile(filepath.Join(o.Dir, sample.TruthCustomersFile), func(r *made.Row) error {
		m.customers[r.Text("customer_id")] = [2]float64{r.Number("lapse_essential"), r.Number("lapse_all")}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b, err := made.Import(ctx, o.Dir, dir, book.DefaultBuckets, m.asOf)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	m.relations, err = b.All(ctx)
	return m, err
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
func judge(ctx context.Context, m *judgedBook, o train.Options, futures map[string]*lasting) (*judged, error) {
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
