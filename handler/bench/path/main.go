// Path says whether the way through the engines loses anything that the learner by itself
// would find: it turns public data sets into the four tables, learns from them as any book
// is learnt from, and compares what is predicted of customers that were held out with what
// model.Fit says that was given the data sets' own columns, on the same folds.
//
//	go run ./handler/bench/path            # of ../shared/data
//
// Frequency is the risk engine's: its model and its branch's level. Severity and cost leave out what
// projects them to the year ahead. Lapse is the churn engine's over twelve months. No one is
// given the sex of a policyholder.
package main

import (
	"cmp"
	"compress/gzip"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"polis/handler/bench/made"
	"polis/handler/internal/book"
	"polis/handler/internal/churn"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "path:", err)
		os.Exit(1)
	}
}

// folds are the parts that are held out in turn.
const folds = 5

// most is by how much of the bare learner's deviance the engines' may differ.
const most = 0.005

// set is a data set.
type set struct {
	name, file string
	asOf       portfolio.Date // on which its outcomes are known
	numbers    []string       // its columns by kind
	names      []string
	key        func(row map[string]string, n int) string // the customer that realbook makes of a row
	judge      func(*fold) error
}

var sets = []set{
	{
		"bemtpl97", "bemtpl97/beMTPL97.csv.gz", portfolio.MustDate(1998, 4, 1),
		[]string{"ageph", "bm", "power", "agec", "fleet", "lat", "long"},
		[]string{"coverage", "fuel", "use", "postcode"},
		func(row map[string]string, _ int) string { return "C" + row["id"] }, (*fold).belgian,
	},
	{
		"eudirectlapse", "eudirectlapse/eudirectlapse.csv.gz", portfolio.MustDate(2011, 4, 1),
		[]string{
			"polholder_age", "policy_age", "policy_nbcontract", "prem_final", "prem_last", "prem_market", "prem_pure",
			"vehicl_age", "vehicl_agepurchase",
		},
		[]string{
			"polholder_BMCevol", "polholder_diffdriver", "polholder_job", "policy_caruse", "prem_freqperyear",
			"vehicl_garage", "vehicl_powerkw", "vehicl_region",
		},
		func(_ map[string]string, n int) string { return "C" + strconv.Itoa(n) }, (*fold).european,
	},
}

func run(ctx context.Context) error {
	data := flag.String("data", filepath.Join("..", "shared", "data"), "folder of the data sets")
	only := flag.String("sets", "", "which, by comma; all")
	flag.Parse()
	fmt.Println("| | deviance, engines | bare learner | difference | at most | explained, engines | bare |\n|---|---|---|---|---|---|---|")
	for _, s := range sets {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), s.name) {
			continue
		}
		if err := s.run(ctx, *data); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// run compares on a set, and prints.
func (s *set) run(ctx context.Context, data string) error {
	dir, err := os.MkdirTemp("", "path")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	raw, err := s.read(filepath.Join(data, filepath.FromSlash(s.file)))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "run", "./scripts/realbook", "-set", s.name, "-in", data, "-out", dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("making the four tables: %w", err)
	}
	relations, err := take(ctx, dir, s.asOf)
	if err != nil {
		return err
	}
	sums := map[string]*sum{}
	for k := range folds {
		f := &fold{ctx: ctx, set: s, no: k, raw: raw, relations: relations, sums: sums}
		if f.models, _, err = train.Engines(ctx, f.source(false), train.Options{AsOf: s.asOf}); err != nil {
			return err
		}
		if err := s.judge(f); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		v := sums[name]
		by := v.engines/v.bare - 1
		verdict := "met"
		if by > most {
			verdict = "**missed**"
		}
		fmt.Printf("| %s, %s | %.5f | %.5f | %+.2f%% | %.1f%%: %s | %.2f%% | %.2f%% |\n", s.name, name, v.engines/v.weight, v.bare/v.weight,
			100*by, 100*most, verdict, 100*(1-v.engines/v.constant), 100*(1-v.bare/v.constant))
	}
	return nil
}

// sum is deviance over all folds: the engines', the bare learner's and that of the mean of
// what was learnt from.
type sum struct{ engines, bare, constant, weight float64 }

// raw is a data set as it is.
type raw struct {
	keys  []string
	rows  []map[string]string
	frame model.Frame
	at    map[string]int // by key
}

func (s *set) read(path string) (*raw, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	all, err := csv.NewReader(z).ReadAll()
	if err != nil {
		return nil, err
	}
	out := &raw{at: map[string]int{}}
	for i, cells := range all[1:] {
		row := map[string]string{}
		for k, name := range all[0] {
			row[name] = cells[k]
		}
		key := s.key(row, i+1)
		out.at[key] = len(out.keys)
		out.keys, out.rows = append(out.keys, key), append(out.rows, row)
	}
	frame := &out.frame
	frame.N = len(out.rows)
	for _, name := range append(slices.Clone(s.numbers), s.names...) {
		field := model.Field{Name: name, Kind: model.Category}
		if slices.Contains(s.numbers, name) {
			field.Kind = model.Numeric
		}
		frame.Fields = append(frame.Fields, field)
		var num []float64
		var cat []string
		for _, row := range out.rows {
			if field.Kind == model.Category {
				cat = append(cat, row[name])
			} else {
				num = append(num, number(row[name]))
			}
		}
		frame.Num, frame.Cat = append(frame.Num, num), append(frame.Cat, cat)
	}
	return out, nil
}

func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// take imports four tables and returns the relations of the book.
func take(ctx context.Context, dir string, asOf portfolio.Date) ([][]*portfolio.Aggregate, error) {
	b, err := made.Import(ctx, dir, dir, book.DefaultBuckets, asOf)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return b.All(ctx)
}

// fold is a part that is held out.
type fold struct {
	ctx       context.Context
	set       *set
	no        int
	raw       *raw
	relations [][]*portfolio.Aggregate
	models    *scoring.Models
	sums      map[string]*sum
}

// held reports whether a customer is held out.
func (f *fold) held(customer string) bool {
	h := fnv.New32a()
	io.WriteString(h, customer)
	return int(h.Sum32()>>8%folds) == f.no
}

// source yields those that are held out, or all others.
func (f *fold) source(held bool) train.Source {
	return func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			for _, members := range f.relations {
				if f.held(members[0].ID()) == held && !yield(members, nil) {
					return
				}
			}
		}
	}
}

// deviance of a prediction, per unit.
func deviance(loss model.Loss, y, m float64) float64 {
	part := func(y, m float64) float64 {
		if y == 0 {
			return 0
		}
		return y * math.Log(y/m)
	}
	switch loss {
	case model.Logistic:
		return 2 * (part(y, m) + part(1-y, 1-m))
	case model.Poisson:
		return 2 * (part(y, m) - (y - m))
	case model.Gamma:
		return 2 * (y/m - 1 - math.Log(y/m))
	}
	return 4 * (math.Sqrt(y) - math.Sqrt(m)) * (math.Sqrt(y) - math.Sqrt(m)) / math.Sqrt(m) // of power 1.5
}

// compare learns from the raw columns of those that are not held out and adds what both say
// of the others. of gives a row's target and weight (exposure for counts and costs), and
// whether it takes part; engines predicts, per unit.
func (f *fold) compare(name string, loss model.Loss, of func(i int) (y, weight float64, ok bool), engines map[string]float64) error {
	frame := model.Frame{Fields: f.raw.frame.Fields, Num: make([][]float64, len(f.raw.frame.Fields)), Cat: make([][]string, len(f.raw.frame.Fields))}
	var t model.Target
	mean, units := 0.0, 0.0
	for i, key := range f.raw.keys {
		y, w, ok := of(i)
		if !ok || f.held(key) {
			continue
		}
		for c, field := range frame.Fields {
			if field.Kind == model.Numeric {
				frame.Num[c] = append(frame.Num[c], f.raw.frame.Num[c][i])
			} else {
				frame.Cat[c] = append(frame.Cat[c], f.raw.frame.Cat[c][i])
			}
		}
		t.Y = append(t.Y, y)
		mean, units = mean+y, units+w
		switch loss {
		case model.Poisson, model.Tweedie:
			t.Exposure = append(t.Exposure, w)
		default:
			mean += y * (w - 1)
			t.Weight = append(t.Weight, w)
		}
		frame.N++
	}
	mean /= units
	bare, err := model.Fit(f.ctx, frame, t, model.Options{Loss: loss})
	if err != nil {
		return fmt.Errorf("the bare learner of %s: %w", name, err)
	}
	v := f.sums[name]
	if v == nil {
		v = &sum{}
		f.sums[name] = v
	}
	row := model.Row{Num: make([]float64, len(frame.Fields)), Cat: make([]string, len(frame.Fields))}
	for i, key := range f.raw.keys {
		y, w, ok := of(i)
		if !ok || !f.held(key) {
			continue
		}
		said, ok := engines[key]
		if !ok {
			continue
		}
		for c, field := range frame.Fields {
			if field.Kind == model.Numeric {
				row.Num[c] = f.raw.frame.Num[c][i]
			} else {
				row.Cat[c] = f.raw.frame.Cat[c][i]
			}
		}
		if loss == model.Poisson || loss == model.Tweedie {
			y /= w
		}
		v.engines += w * deviance(loss, y, said)
		v.bare += w * deviance(loss, y, bare.Mean(bare.Score(row, nil)))
		v.constant += w * deviance(loss, y, mean)
		v.weight += w
	}
	return nil
}

// belgian compares frequency, severity and cost of the year 1997.
func (f *fold) belgian() error {
	frequency, severity, cost := map[string]float64{}, map[string]float64{}, map[string]float64{}
	m, then := f.models.Risk, f.set.asOf.AddMonths(-f.models.Settings.Features.ReportingLag-12)
	var reader feature.Reader
	var row model.Row
	for members, err := range f.source(true)(f.ctx) {
		if err != nil {
			return err
		}
		g, views := group(members, then)
		for _, v := range views {
			reader.Policies(feature.Input{View: v, Group: g})
			for i := range v.Policies {
				if !v.Policies[i].InForce(then) {
					continue
				}
				reader.Policy(m.Schema, i, &row)
				b := m.Branches[v.Policies[i].Branch]
				often := m.Frequency.Mean(m.Frequency.Score(row, nil)) * b.Frequency
				much := m.Severity.Mean(m.Severity.Score(row, nil)) * b.Severity * b.Excess
				frequency[v.ID], severity[v.ID], cost[v.ID] = often, much, often*much
			}
		}
	}
	cell := func(i int, name string) float64 { return number(f.raw.rows[i][name]) }
	return cmp.Or(
		f.compare("frequency", model.Poisson, func(i int) (float64, float64, bool) { return cell(i, "nclaims"), cell(i, "expo"), true }, frequency),
		f.compare("severity", model.Gamma, func(i int) (float64, float64, bool) {
			return cell(i, "average"), cell(i, "nclaims"), cell(i, "nclaims") > 0 && cell(i, "average") > 0
		}, severity),
		f.compare("cost", model.Tweedie, func(i int) (float64, float64, bool) {
			return cell(i, "amount"), cell(i, "expo"), !math.IsNaN(cell(i, "amount"))
		}, cost),
	)
}

// european compares lapses at the renewals of 2010.
func (f *fold) european() error {
	said, then := map[string]float64{}, f.set.asOf.AddMonths(-f.models.Settings.Features.ReportingLag-12)
	e := churn.New(f.models.Churn)
	var r churn.Result
	for members, err := range f.source(true)(f.ctx) {
		if err != nil {
			return err
		}
		g, views := group(members, then)
		if e.Score(g, &r); r.Status == score.Scored {
			said[views[0].ID] = r.Lapsed[12]
		}
	}
	return f.compare("lapse", model.Logistic, func(i int) (float64, float64, bool) { return number(f.raw.rows[i]["lapse"]), 1, true }, said)
}

// group is the relation of customers as of a date.
func group(members []*portfolio.Aggregate, asOf portfolio.Date) (*feature.Group, []*portfolio.View) {
	var views []*portfolio.View
	for _, a := range members {
		v := &portfolio.View{}
		v.Reset(a, asOf, portfolio.DefaultEnds)
		views = append(views, v)
	}
	g := &feature.Group{}
	g.Reset(views)
	return g, views
}
