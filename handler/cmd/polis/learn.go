package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/dataset"
	"polis/handler/internal/fault"
	"polis/handler/internal/hazard"
	"polis/handler/internal/lightgbm"
	"polis/handler/internal/measure"
	"polis/handler/internal/model"
	"polis/handler/internal/report"
)

type fitCmd struct {
	Data     string   `required:"" help:"Table to learn from: CSV (also .gz) or Parquet, with a header." type:"existingfile"`
	Target   string   `required:"" help:"Column to predict."`
	Loss     string   `required:"" help:"poisson: a count, per exposure; logistic: 0 or 1; gamma: a positive amount, weighted by its count; tweedie: a cost, per exposure; hazard: whether it came, within --duration." enum:"poisson,logistic,gamma,tweedie,hazard"`
	Exposure string   `help:"Column of years at risk, for poisson and tweedie: the target belongs to them."`
	Weight   string   `help:"Column of weights; for gamma, the number of claims."`
	Group    string   `help:"Column whose equal values stay on one side of every inner split."`
	Exclude  []string `help:"Columns that are no features." placeholder:"COL,…"`
	Monotone []string `help:"Columns with which the prediction may only rise (COL=+) or fall (COL=-)." placeholder:"COL=+,…"`
	Bags     int      `help:"Models that are averaged." default:"4"`
	Pairs    int      `help:"Most pairs of columns that act together; -1 is none." default:"6"`
	Seed     uint64   `help:"Seed of the inner splits." default:"1"`
	Out      string   `required:"" help:"File for the model."`

	Competing []string `help:"For hazard: columns of other ends, 0 or 1." placeholder:"COL,…"`
	Duration  string   `help:"For hazard: column of how many periods a row was watched, until its end if it has one."`
	Entry     string   `help:"For hazard: column of how many periods had gone by before it was watched."`
	Roll      []string `help:"For hazard: columns that go on with the periods, by 1 every 12 (COL=12), by another step (COL=-365/12), round (COL=-365/12@0:365). All others stay as they were." placeholder:"COL=12,…"`
}

func (m *fitCmd) Run(ctx context.Context) error {
	if m.Loss == "hazard" {
		return m.hazard(ctx)
	}
	if len(m.Competing) > 0 || len(m.Roll) > 0 || m.Duration != "" || m.Entry != "" {
		return fault.New(fault.Unconfigured, "--competing, --duration, --entry and --roll go with --loss hazard")
	}
	if slices.Contains([]string{m.Exposure, m.Weight, m.Group}, m.Target) {
		return fault.New(fault.Unconfigured, "--target is not also exposure, weight or group")
	}
	skip := slices.DeleteFunc(slices.Clone(m.Exclude), func(name string) bool {
		return slices.Contains([]string{m.Target, m.Exposure, m.Weight, m.Group}, name)
	})
	t, err := dataset.Read(m.Data, dataset.Options{Skip: skip})
	if err != nil {
		return err
	}
	frame, target, err := m.table(t)
	if err != nil {
		return err
	}
	var loss model.Loss
	if err := loss.UnmarshalText([]byte(m.Loss)); err != nil {
		return err
	}
	st := newProgress(os.Stderr).stage("fit")
	o := model.Options{
		Loss: loss, Seed: m.Seed, Bags: m.Bags, Pairs: m.Pairs,
		Progress: func(done, total int) { st.set(int64(done), int64(total)) },
	}
	fitted, err := model.Fit(ctx, frame, target, o)
	if err != nil {
		st.abort()
		return err
	}
	meta := fitted.Meta()
	meta.Target, meta.Exposure, meta.Weight, meta.Data = m.Target, m.Exposure, m.Weight, t.Fingerprint
	meta.Settings = map[string]string{"seed": strconv.FormatUint(m.Seed, 10), "bags": strconv.Itoa(m.Bags), "pairs": strconv.Itoa(m.Pairs)}
	fitted = fitted.WithMeta(meta)
	st.end(fitted.String())
	for _, name := range slices.Sorted(mapKeys(meta.Metrics)) {
		fmt.Printf("%-22s %.6g\n", name, meta.Metrics[name])
	}
	if meta.Note != "" {
		fmt.Println(meta.Note)
	}
	return writeFile(m.Out, fitted.Save)
}

func mapKeys(m map[string]float64) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// table parts the columns into features and what they are to explain, and says which is
// what.
func (m *fitCmd) table(t *dataset.Table) (f model.Frame, y model.Target, err error) {
	roles := map[string]*[]float64{m.Target: &y.Y}
	if m.Exposure != "" {
		roles[m.Exposure] = &y.Exposure
	}
	if m.Weight != "" {
		roles[m.Weight] = &y.Weight
	}
	for name, into := range roles {
		c := t.Column(name)
		if c == nil {
			return f, y, fault.New(fault.Unconfigured, "the table has no column %s", name)
		}
		if *into, err = numbers(c); err != nil {
			return f, y, err
		}
	}
	if m.Group != "" {
		c := t.Column(m.Group)
		if c == nil {
			return f, y, fault.New(fault.Unconfigured, "the table has no column %s", m.Group)
		}
		y.Group = texts(c)
	}
	f.N = t.N
	if f.Fields, err = m.features(t, []string{m.Target, m.Exposure, m.Weight, m.Group}); err != nil {
		return f, y, err
	}
	for _, field := range f.Fields {
		c := t.Column(field.Name)
		f.Num, f.Cat = append(f.Num, c.Num), append(f.Cat, c.Cat)
	}
	return f, y, nil
}

// features are the columns without a role, and says what they hold.
func (m *fitCmd) features(t *dataset.Table, roles []string) (fields []model.Field, err error) {
	signs, err := m.signs(t)
	if err != nil {
		return nil, err
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		if slices.Contains(roles, c.Name) {
			continue
		}
		if c.Kind == model.Category && c.Distinct > 100 && 2*c.Distinct > t.N {
			fmt.Fprintf(os.Stderr, "%-24s left out: nearly every row has a name of its own\n", c.Name)
			continue
		}
		kind := "numbers"
		if c.Kind == model.Category {
			kind = "names"
		}
		fmt.Fprintf(os.Stderr, "%-24s %d %s, %d missing\n", c.Name, c.Distinct, kind, c.Missing)
		fields = append(fields, model.Field{Name: c.Name, Kind: c.Kind, Monotone: signs[c.Name]})
	}
	return fields, nil
}

func (m *fitCmd) signs(t *dataset.Table) (map[string]int8, error) {
	signs := map[string]int8{}
	for _, s := range m.Monotone {
		name, sign, _ := strings.Cut(s, "=")
		if t.Column(name) == nil {
			return nil, fault.New(fault.Unconfigured, "--monotone: the table has no column %s", name)
		}
		switch sign {
		case "+":
			signs[name] = 1
		case "-":
			signs[name] = -1
		default:
			return nil, fault.New(fault.Unconfigured, "--monotone is COL=+ or COL=-, not %s", s)
		}
	}
	return signs, nil
}

// numbers are a column's; yes and no are 1 and 0.
func numbers(c *dataset.Column) ([]float64, error) {
	out := c.Num
	if c.Kind == model.Category {
		out = make([]float64, len(c.Cat))
		for i, s := range c.Cat {
			switch strings.ToLower(s) {
			case "yes", "true", "y", "t", "ja":
				out[i] = 1
			case "no", "false", "n", "f", "nee":
			default:
				return nil, fault.New(fault.Invalid, "the column %s holds neither numbers nor yes and no", c.Name)
			}
		}
	}
	if c.Missing > 0 {
		return nil, fault.New(fault.Invalid, "the column %s has %d missing values", c.Name, c.Missing)
	}
	return out, nil
}

func texts(c *dataset.Column) []string {
	if c.Kind == model.Category {
		return c.Cat
	}
	out := make([]string, len(c.Num))
	for i, v := range c.Num {
		out[i] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	return out
}

// writeFile writes a file beside its name first, so that nobody reads half of it; "-" is
// standard output.
func writeFile(path string, write func(io.Writer) error) (err error) {
	if path == "-" {
		b := bufio.NewWriter(os.Stdout)
		return errors.Join(write(b), b.Flush())
	}
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return fault.Wrap(fault.Unconfigured, err, "making the file")
	}
	b := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(write(b), b.Flush(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

type predictCmd struct {
	Model   string `required:"" help:"Model of polis fit, or LightGBM's as text (model.txt)." type:"existingfile"`
	Data    string `required:"" help:"Table to score: CSV (also .gz) or Parquet." type:"existingfile"`
	Horizon []int  `help:"For a hazard model: after how many periods; prediction is the incidence of its target by the first." placeholder:"PERIODS,…"`
	Reasons bool   `help:"Also write what each term contributes, on the link scale: with the intercept they add up to the link."`
	Out     string `required:"" help:"File for the scores, a line for each row in the table's order; - is standard output."`
}

func (m *predictCmd) Run(ctx context.Context) error {
	if h, err := loadHazard(m.Model); h != nil || err != nil {
		if err != nil {
			return err
		}
		return m.hazard(ctx, h)
	}
	if len(m.Horizon) > 0 {
		return fault.New(fault.Unconfigured, "--horizon goes with a hazard model")
	}
	p, err := loadPredictor(m.Model)
	if err != nil {
		return err
	}
	kinds := map[string]model.Kind{}
	for _, f := range p.fields() {
		if f.Name != "" {
			kinds[f.Name] = f.Kind
		}
	}
	t, err := dataset.Read(m.Data, dataset.Options{Kinds: kinds, Also: p.exposure()})
	if err != nil {
		return err
	}
	return writeFile(m.Out, func(w io.Writer) error { return scoreTable(ctx, w, p, t, m.Reasons) })
}

// predictor is a model of whichever kind.
type predictor interface {
	fields() []model.Field // by place in a row; one without a name is not read
	exposure() string      // the column that predictions are scaled by, if there is one
	reasons() []string     // what contributions are of
	base() float64         // what they are added to
	// score is the link and the prediction of a row.
	score(row model.Row, contributions []float64) (link, mean float64)
}

func loadPredictor(path string) (predictor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "opening the model")
	}
	defer f.Close()
	r := bufio.NewReader(f)
	if head, _ := r.Peek(5); strings.TrimSpace(string(head)) == "tree" {
		m, err := lightgbm.Load(r)
		if err != nil {
			return nil, err
		}
		return newTrees(m), nil
	}
	m, err := model.Load(r)
	if err != nil {
		return nil, err
	}
	return additive{m}, nil
}

func loadModel(path string) (*model.Model, error) {
	if h, err := loadHazard(path); h != nil || err != nil {
		if err != nil {
			return nil, err
		}
		return targetHazard(h), nil
	}
	p, err := loadPredictor(path)
	if err != nil {
		return nil, err
	}
	if a, ok := p.(additive); ok {
		return a.Model, nil
	}
	return nil, fault.New(fault.Invalid, "a model of trees has no rating tables")
}

// additive is a model of polis fit.
type additive struct{ *model.Model }

func (a additive) fields() []model.Field {
	fields := a.Fields()
	read := make([]bool, len(fields))
	for _, t := range a.Terms() {
		for _, f := range t.Fields {
			read[f] = true
		}
	}
	for i := range fields {
		if !read[i] {
			fields[i].Name = ""
		}
	}
	return fields
}

func (a additive) exposure() string { return a.Meta().Exposure }
func (a additive) base() float64    { return a.Intercept() }

func (a additive) reasons() (names []string) {
	for _, t := range a.Terms() {
		names = append(names, t.Name)
	}
	return names
}

func (a additive) score(row model.Row, contributions []float64) (link, mean float64) {
	link = a.Score(row, contributions)
	return link, a.Mean(link)
}

// trees is a model of LightGBM's.
type trees struct {
	*lightgbm.Model
	codes []map[string]float64 // by feature; nil: a number
	row   []float64
}

func newTrees(m *lightgbm.Model) *trees {
	t := &trees{Model: m, row: make([]float64, len(m.Features())), codes: make([]map[string]float64, len(m.Features()))}
	for i := range t.codes {
		names := m.Categories(i)
		if names == nil {
			continue
		}
		t.codes[i] = make(map[string]float64, len(names))
		for code, name := range names {
			t.codes[i][name] = float64(code)
		}
	}
	return t
}

func (t *trees) fields() (fields []model.Field) {
	for i, name := range t.Features() {
		f := model.Field{Name: name}
		if t.codes[i] != nil {
			f.Kind = model.Category
		}
		fields = append(fields, f)
	}
	return fields
}

func (t *trees) exposure() string  { return "" }
func (t *trees) reasons() []string { return t.Features() }
func (t *trees) base() float64     { return t.Expected() }

func (t *trees) score(row model.Row, contributions []float64) (link, mean float64) {
	for i, codes := range t.codes {
		t.row[i] = row.Num[i]
		if codes != nil {
			code, ok := codes[row.Cat[i]]
			if t.row[i] = code; !ok {
				t.row[i] = math.NaN()
			}
		}
	}
	if contributions != nil {
		t.Explain(t.row, contributions)
	}
	link = t.Raw(t.row)
	return link, t.Response(link)
}

// scoreTable writes a line for each row of a table.
func scoreTable(ctx context.Context, w io.Writer, p predictor, t *dataset.Table, reasons bool) error {
	out := csv.NewWriter(w)
	head := []string{"prediction"}
	var exposure *dataset.Column
	if name := p.exposure(); name != "" {
		exposure = t.Column(name)
	}
	if exposure != nil {
		head = append(head, "per_exposure")
	}
	var contributions []float64
	if reasons {
		head = append(append(head, "link", "intercept"), p.reasons()...)
		contributions = make([]float64, len(p.reasons()))
	}
	if err := out.Write(head); err != nil {
		return err
	}
	record := make([]string, 0, len(head))
	err := eachScore(ctx, p, t, contributions, func(i int, link, mean float64) error {
		record = record[:0]
		if exposure != nil {
			record = append(record, text(mean*exposure.Num[i]))
		}
		record = append(record, text(mean))
		if reasons {
			record = append(record, text(link), text(p.base()))
			for _, c := range contributions {
				record = append(record, text(c))
			}
		}
		return out.Write(record)
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// eachScore scores the rows of a table in their order.
func eachScore(ctx context.Context, p predictor, t *dataset.Table, contributions []float64, do func(i int, link, mean float64) error) error {
	fields := p.fields()
	columns := make([]*dataset.Column, len(fields))
	for i, f := range fields {
		columns[i] = t.Column(f.Name)
	}
	row := model.Row{Num: make([]float64, len(fields)), Cat: make([]string, len(fields))}
	for i := range t.N {
		if i%10_000 == 0 && ctx.Err() != nil {
			return fault.Wrap(fault.Cancelled, ctx.Err(), "scoring")
		}
		for f, c := range columns {
			switch {
			case c == nil:
			case c.Kind == model.Category:
				row.Cat[f] = c.Cat[i]
			default:
				row.Num[f] = c.Num[i]
			}
		}
		link, mean := p.score(row, contributions)
		if err := do(i, link, mean); err != nil {
			return err
		}
	}
	return nil
}

func text(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

type tablesCmd struct {
	Model string `arg:"" help:"File of a model." type:"existingfile"`
	Out   string `help:"File for the tables; - is standard output." default:"-"`
}

func (m *tablesCmd) Run() error {
	h, err := loadHazard(m.Model)
	if err != nil {
		return err
	}
	if h != nil {
		return writeFile(m.Out, func(w io.Writer) error { return writeTables(w, h.Causes()) })
	}
	loaded, err := loadModel(m.Model)
	if err != nil {
		return err
	}
	return writeFile(m.Out, func(w io.Writer) error { return writeTables(w, []hazard.Cause{{Hazard: loaded}}) })
}

// writeTables writes the rating tables of one model, or of each cause's with its name.
func writeTables(w io.Writer, causes []hazard.Cause) error {
	out := csv.NewWriter(w)
	line := func(cause string, cells ...string) error {
		if causes[0].Name != "" {
			cells = append([]string{cause}, cells...)
		}
		return out.Write(cells)
	}
	if err := line("cause", "term", "first", "second", "contribution", "relativity"); err != nil {
		return err
	}
	for _, cause := range causes {
		rows := append([]model.Cell{{Term: "intercept", Value: cause.Hazard.Intercept()}}, cause.Hazard.Cells()...)
		for _, c := range rows {
			if err := line(cause.Name, c.Term, c.First, c.Second, text(c.Value), text(c.Relativity())); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

type reportCmd struct {
	Model string `arg:"" help:"File of a model." type:"existingfile"`
	Data  string `help:"Table to try it on, with the columns it was fitted to; best one that it has not seen." type:"existingfile"`
	Out   string `help:"File for the page; - is standard output." default:"-"`
}

func (m *reportCmd) Run(ctx context.Context) error {
	loaded, err := loadModel(m.Model)
	if err != nil {
		return err
	}
	if h, _ := loadHazard(m.Model); h != nil && m.Data != "" {
		return fault.New(fault.Unconfigured, "a hazard is reported without --data: its table has no periods to try it on")
	}
	var tried *report.Tried
	if m.Data != "" {
		if tried, err = outcome(ctx, loaded, m.Data); err != nil {
			return err
		}
	}
	return writeFile(m.Out, func(w io.Writer) error { return report.Write(w, loaded, tried) })
}

// outcome scores a table that also holds what came of its rows.
func outcome(ctx context.Context, m *model.Model, path string) (*report.Tried, error) {
	meta := m.Meta()
	if meta.Target == "" {
		return nil, fault.New(fault.Invalid, "the model does not say which column it was fitted to")
	}
	kinds := map[string]model.Kind{}
	for _, f := range (additive{m}).fields() {
		if f.Name != "" {
			kinds[f.Name] = f.Kind
		}
	}
	columns := []string{meta.Target, meta.Exposure, meta.Weight}
	for _, name := range columns {
		if name != "" {
			kinds[name] = model.Numeric
		}
	}
	t, err := dataset.Read(path, dataset.Options{Kinds: kinds})
	if err != nil {
		return nil, err
	}
	var y [3][]float64
	for i, name := range columns {
		if name == "" {
			continue
		}
		if y[i], err = numbers(t.Column(name)); err != nil {
			return nil, err
		}
	}
	means := make([]float64, 0, t.N)
	err = eachScore(ctx, additive{m}, t, nil, func(_ int, _, mean float64) error {
		means = append(means, mean)
		return nil
	})
	if err != nil {
		return nil, err
	}
	trial, err := measure.Try(measure.Family(m.Loss()), means, y[0], y[1], y[2])
	if err != nil {
		return nil, err
	}
	return &report.Tried{Table: filepath.Base(path), Trial: trial}, nil
}
