// Package hindsight holds what was foretold of the sample's customers against futures that
// are drawn from the same day on: whether intervals of value hold as many as they say, and
// how narrow they are beside those of the simulator itself, which knows everything.
package hindsight

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/clv"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/sample"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
)

// AsOf is the date from which a sample's futures are drawn.
func AsOf(o sample.Options) (portfolio.Date, error) {
	asOf, ok := portfolio.ParseDate(cmp.Or(o.AsOf, sample.DefaultAsOf))
	if !ok {
		return 0, fault.New(fault.Invalid, "the sample's as-of date is no date such as 2026-03-31")
	}
	return asOf, nil
}

// Book writes the sample's book to a folder and imports it there. The source is good until
// close is called.
func Book(ctx context.Context, dir string, o sample.Options) (source train.Source, closed func() error, err error) {
	asOf, err := AsOf(o)
	if err != nil {
		return nil, nil, err
	}
	o.Dir = filepath.Join(dir, "tables")
	if _, err := sample.Write(ctx, o); err != nil {
		return nil, nil, err
	}
	s, err := sqlite.Open(filepath.Join(dir, "store.db"))
	if err != nil {
		return nil, nil, err
	}
	b, t := book.New(s), book.Tenant{ID: "hindsight", Buckets: book.DefaultBuckets, Created: time.Unix(0, 0)}
	if err := Load(ctx, b, t, o.Dir, dir, asOf); err != nil {
		_ = s.Close() // the first error is the one to tell
		return nil, nil, err
	}
	return relations(b, t), s.Close, nil
}

// Load makes a tenant in a book and takes the tables of a folder in.
func Load(ctx context.Context, b *book.Book, t book.Tenant, tables, scratch string, asOf portfolio.Date) error {
	if err := b.CreateTenant(ctx, t); err != nil {
		return err
	}
	files := map[portfolio.Table]intake.Source{}
	for _, table := range portfolio.Tables {
		path := filepath.Join(tables, table.String()+".csv")
		info, err := os.Stat(path)
		if err != nil {
			return fault.Wrap(fault.NotFound, err, "looking for %s", table)
		}
		files[table] = intake.Source{Name: table.String(), Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	}
	_, err := intake.Import(ctx, b, intake.Options{Tenant: t.ID, AsOf: asOf, Files: files, Scratch: scratch})
	return err
}

func relations(b *book.Book, t book.Tenant) train.Source {
	return func(ctx context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			var members []*portfolio.Aggregate
			for bucket := range t.Buckets {
				for rel, err := range b.Relations(ctx, t, bucket, nil) {
					if err != nil {
						yield(nil, err)
						return
					}
					members = members[:0]
					for _, m := range rel.Members {
						members = append(members, m.Aggregate)
					}
					if !yield(members, nil) {
						return
					}
				}
			}
		}
	}
}

// Interval is how an interval did on the futures of a group of customers.
type Interval struct {
	Coverage float64 // the share of futures that it holds
	// Score is the mean interval score (Gneiting and Raftery 2007) over that of the interval
	// between the same quantiles of the customer's own futures. Those quantiles, scored on the
	// futures that they were taken from, do too well by about c/n with n futures, and halves
	// scored on each other too badly by 2c/n: what is taken is 2/3 of the one and 1/3 of the other.
	Score        float64
	Below, Above float64 // the shares of futures below and above it
}

// Group is a part of the book.
type Group struct {
	Name      string
	Customers int
	Value     float64 // mean, EUR, as foretold
	Came      float64 // mean over the futures
	Interval  Interval
	Half      float64 // coverage of the central half
	Expected  float64 // share of customers whose mean future the interval of the expectation holds
}

// Values is how values did.
type Values struct {
	Deciles   []Group // of the foretold value, lowest first
	Segments  []Group // the named ones
	Kinds     []Group // private persons and businesses, by policies
	Relations []Group // of more than one customer: their sums
	All       Group
}

// customer is one that was valued, and its futures.
type customer struct {
	worth    clv.Result
	kind     string
	relation *sum
	futures  []float64
}

// sum is a relation of several.
type sum struct {
	worth   clv.Sum
	futures []float64
}

// Value scores the customers of the sample's book and draws, for those of its first
// households, futures of as many months as a value looks ahead.
func Value(ctx context.Context, source train.Source, m *scoring.Models, o sample.Options, paths int) (*Values, error) {
	if m.Settings.Clv.CustomerFee != 0 || len(m.Settings.Clv.PolicyFees) > 0 {
		return nil, fault.New(fault.Invalid, "made futures know no fees: clv.customer_fee and clv.policy_fees have to be none")
	}
	asOf, err := AsOf(o)
	if err != nil {
		return nil, err
	}
	valued, err := foretell(ctx, source, m, asOf)
	if err != nil {
		return nil, err
	}
	s := &m.Settings.Clv
	err = sample.Futures(ctx, o, s.HorizonMonths, paths, func(f sample.Future) error {
		for i, id := range f.Customers {
			c := valued[id]
			if c == nil {
				continue
			}
			v := s.Discounted(s.HorizonMonths, func(k, n int) (out clv.Flow) {
				for _, m := range f.Flows[i][k : k+n] {
					out.Premium += m.Premium
					out.Commission += m.Commission
					out.Insured += m.Insured
					out.Loss += m.Loss
					out.Exposure += m.Exposure
					out.Contacts += float64(m.Contacts)
					out.Opened += float64(m.Opened)
				}
				return out
			})
			c.futures = append(c.futures, v)
			if c.relation != nil {
				if f.No == len(c.relation.futures) {
					c.relation.futures = append(c.relation.futures, 0)
				}
				c.relation.futures[f.No] += v
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return judge(valued, s.Coverage), nil
}

// foretell values every customer of the book.
func foretell(ctx context.Context, source train.Source, m *scoring.Models, asOf portfolio.Date) (map[string]*customer, error) {
	scorer, err := scoring.New(m)
	if err != nil {
		return nil, err
	}
	out := map[string]*customer{}
	var subjects []scoring.Subject
	for members, err := range source(ctx) {
		if err != nil {
			return nil, fmt.Errorf("reading the book: %w", err)
		}
		subjects = subjects[:0]
		for _, a := range members {
			subjects = append(subjects, scoring.Subject{Aggregate: a})
		}
		sums := map[clv.Sum]*sum{}
		for i, sh := range scorer.Relation(subjects, asOf, scoring.NewSet(scoring.Clv)) {
			if sh.Clv.Status != score.Scored {
				continue
			}
			c := &customer{worth: sh.Clv, kind: kind(members[i], asOf, m.Ends)}
			if r := sh.Clv.Relation; r.Customers > 1 {
				if sums[r] == nil {
					sums[r] = &sum{worth: r}
				}
				c.relation = sums[r]
			}
			out[sh.Customer] = c
		}
	}
	return out, nil
}

func kind(a *portfolio.Aggregate, asOf portfolio.Date, ends portfolio.EndTable) string {
	var v portfolio.View
	v.Reset(a, asOf, ends)
	return clv.CellName(clv.CellOf(&v))
}

// judge sorts customers into groups.
func judge(valued map[string]*customer, coverage float64) *Values {
	var all []*customer
	for _, id := range slices.Sorted(maps.Keys(valued)) {
		if len(valued[id].futures) > 0 {
			all = append(all, valued[id])
		}
	}
	slices.SortStableFunc(all, func(a, b *customer) int { return cmp.Compare(a.worth.Value, b.worth.Value) })
	var out Values
	of := func(name string, of []*customer) Group {
		g := tally{coverage: coverage}
		for _, c := range of {
			g.add(c.worth.Value, c.worth.Realisable, c.worth.Half, c.worth.Expected, c.futures)
		}
		return g.group(name)
	}
	out.All = of("all", all)
	for k := range 10 {
		out.Deciles = append(out.Deciles, of(fmt.Sprint(k+1), all[k*len(all)/10:(k+1)*len(all)/10]))
	}
	segments, kinds := map[string][]*customer{}, map[string][]*customer{}
	sums := tally{coverage: coverage}
	done := map[*sum]bool{}
	for _, c := range all {
		segments[c.worth.Segment.Code] = append(segments[c.worth.Segment.Code], c)
		kinds[c.kind] = append(kinds[c.kind], c)
		if r := c.relation; r != nil && !done[r] {
			done[r] = true
			sums.add(r.worth.Value, r.worth.Realisable, r.worth.Half, clv.Interval{}, r.futures)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(segments)) {
		out.Segments = append(out.Segments, of(name, segments[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		out.Kinds = append(out.Kinds, of(name, kinds[name]))
	}
	out.Relations = append(out.Relations, sums.group("relations of several"))
	return &out
}

// tally adds up how intervals did.
type tally struct {
	coverage                     float64
	n                            int
	value, came                  float64
	held, below, above, half     float64
	score, ideal, paths, expects float64
	scratch                      []float64 // scratch
}

func (t *tally) add(value float64, i, half, expected clv.Interval, futures []float64) {
	n := float64(len(futures))
	mean, own := 0.0, slices.Sorted(slices.Values(futures))
	miss := (1 - t.coverage) / 2
	ideal := clv.Interval{Low: quantile(own, miss), High: quantile(own, 1-miss)}
	var halves [2]clv.Interval // of the futures of the other half
	for h := range halves {
		t.scratch = t.scratch[:0]
		for k := 1 - h; k < len(futures); k += 2 {
			t.scratch = append(t.scratch, futures[k])
		}
		slices.Sort(t.scratch)
		if len(t.scratch) > 0 {
			halves[h] = clv.Interval{Low: quantile(t.scratch, miss), High: quantile(t.scratch, 1-miss)}
		}
	}
	for k, v := range futures {
		mean += v / n
		t.paths++
		switch {
		case v < i.Low:
			t.below++
		case v > i.High:
			t.above++
		default:
			t.held++
		}
		if half.Holds(v) {
			t.half++
		}
		t.score += loss(i, v, 2*miss)
		t.ideal += (2*loss(ideal, v, 2*miss) + loss(halves[k%2], v, 2*miss)) / 3
	}
	t.n++
	t.value += value
	t.came += mean
	if expected.Holds(mean) {
		t.expects++
	}
}

// loss is the interval score: the width, and what lies outside by 2/α.
func loss(i clv.Interval, v, alpha float64) float64 {
	return i.High - i.Low + 2/alpha*(max(0, i.Low-v)+max(0, v-i.High))
}

func quantile(sorted []float64, q float64) float64 {
	x := q*float64(len(sorted)) - 0.5
	i := min(max(int(math.Floor(x)), 0), max(0, len(sorted)-2))
	if i+1 >= len(sorted) {
		return sorted[i]
	}
	w := min(max(x-float64(i), 0), 1)
	return sorted[i] + w*(sorted[i+1]-sorted[i])
}

func (t *tally) group(name string) Group {
	n := max(1, float64(t.n))
	paths := max(1, t.paths)
	g := Group{Name: name, Customers: t.n, Value: t.value / n, Came: t.came / n, Half: t.half / paths, Expected: t.expects / n}
	g.Interval = Interval{Coverage: t.held / paths, Below: t.below / paths, Above: t.above / paths}
	if t.ideal > 0 {
		g.Interval.Score = t.score / t.ideal
	}
	return g
}

// Print writes the groups as a table.
func (v *Values) Print(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%-22s %9s %9s %9s %9s %7s %7s %7s %7s %9s\n", "", "customers", "foretold", "came", "coverage", "below", "above", "score", "half", "expected"); err != nil {
		return err
	}
	for _, part := range [...][]Group{{v.All}, v.Deciles, v.Segments, v.Kinds, v.Relations} {
		for _, g := range part {
			_, err := fmt.Fprintf(w, "%-22s %9d %9.0f %9.0f %8.1f%% %6.1f%% %6.1f%% %7.2f %6.1f%% %8.1f%%\n", g.Name, g.Customers, g.Value, g.Came,
				100*g.Interval.Coverage, 100*g.Interval.Below, 100*g.Interval.Above, g.Interval.Score, 100*g.Half, 100*g.Expected)
			if err != nil {
				return err
			}
		}
	}
	return nil
}
