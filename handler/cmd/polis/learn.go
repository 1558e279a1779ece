package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"polis/handler/internal/dataset"
	"polis/handler/internal/fault"
	"polis/handler/internal/hazard"
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
	Offset   string   `help:"Column that is added to the link, in learning and in scoring."`
	Time     string   `help:"Column of numbers or ISO dates: rows are judged only by what was learnt from earlier ones."`
	Group    string   `help:"Column whose equal values stay on one side of every inner split."`
	Exclude  []string `help:"Columns that are no features." placeholder:"COL,…"`
	Protect  []string `help:"Columns that are no features because nobody is to be judged by them." placeholder:"COL,…"`
	Category []string `help:"Columns to read as names, whatever they look like." placeholder:"COL,…"`
	Numeric  []string `help:"Columns to read as numbers, whatever they look like." placeholder:"COL,…"`
	Decimal  string   `help:"Sign before decimals in CSV; with a comma, points stand between thousands if anything." enum:"point,comma" default:"point"`
	Ordered  []string `help:"Columns of names that have an order, from low to high: neighbours are drawn to each other." placeholder:"COL=low|high,…"`
	Monotone []string `help:"Columns with which the prediction may only rise (COL=+) or fall (COL=-)." placeholder:"COL=+,…"`
	Cap      string   `help:"For gamma and tweedie: learn from amounts capped at this one, or at a quantile of the positive ones (q0.98), and predict capped ones; none: learn from whole amounts." placeholder:"AMOUNT|qQ|none"`
	Bags     int      `help:"Models that are averaged; by default 8, and of more than 250,000 rows fewer, down to 4."`
	Pairs    int      `help:"Most pairs of columns that act together; 0 is none." default:"20"`
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
	if err := writable(m.Out, m.Data); err != nil {
		return err
	}
	var loss model.Loss
	if err := loss.UnmarshalText([]byte(m.Loss)); err != nil {
		return err
	}
	if m.Exposure != "" && loss != model.Poisson && loss != model.Tweedie {
		return fault.New(fault.Unconfigured, "--exposure goes with poisson and tweedie, not with %s", loss)
	}
	limit, err := m.limit(loss)
	if err != nil {
		return err
	}
	roles := []string{m.Target, m.Exposure, m.Weight, m.Offset, m.Time, m.Group}
	t, err := m.open(ctx, roles)
	if err != nil {
		return err
	}
	defer t.Close() // it was only read from
	fields, protected, err := m.features(t, roles)
	if err != nil {
		return err
	}
	// The learner keeps some bytes a row and a value. Garbage may fill the rest of what is
	// promised, which is 100 bytes a row of ten features and 64 MiB, but not go beyond.
	debug.SetMemoryLimit(48<<20 + int64(t.N)*int64(70+2*len(fields)))
	settings := m.settings()
	if limit != nil {
		if err := limit.find(ctx, t, loss, m.Target, m.Weight); err != nil {
			return err
		}
		settings["cap"], settings["excess_loading"] = text(limit.amount), text(limit.loading)
		printFigure("cap", limit.amount)
		printFigure("excess_loading", limit.loading)
	}
	st := newProgress(os.Stderr).stage("fit")
	started := time.Now()
	whole := 0.0 // the learner's default
	if m.Cap != "" {
		whole = 1 // what is to be capped is, and no more
	}
	cases := m.cases(t, loss, fields, limit)
	held := model.NewHeldOut(t.N)
	fitted, err := model.FitRows(ctx, fields, cases, model.Options{
		Loss: loss, Seed: m.Seed, Bags: m.Bags, Pairs: m.pairs(), Protected: protected,
		Progress: func(done, total int) { st.set(int64(done), int64(total)) }, Held: held.Put, Cap: whole,
	})
	if err != nil {
		st.abort()
		return err
	}
	took := time.Since(started)
	meta := fitted.Meta()
	meta.Target, meta.Exposure, meta.Weight, meta.Data, meta.Settings = m.Target, m.Exposure, m.Weight, t.Fingerprint, settings
	if meta.Trial, err = held.Try(ctx, loss, cases); err != nil {
		return err
	}
	fitted = fitted.WithMeta(meta)
	st.end(fitted.String())
	for _, name := range slices.Sorted(maps.Keys(meta.Metrics)) {
		printFigure(name, meta.Metrics[name])
	}
	printFigure("fit_seconds", took.Seconds())
	if meta.Note != "" {
		fmt.Println(meta.Note)
	}
	return writeFile(m.Out, fitted.Save)
}

// pairs are the most pairs as the learner has them, of which 0 is the default.
func (m *fitCmd) pairs() int {
	if m.Pairs == 0 {
		return -1
	}
	return m.Pairs
}

// settings are the options as the model's file keeps them.
func (m *fitCmd) settings() map[string]string {
	settings := map[string]string{"seed": strconv.FormatUint(m.Seed, 10), "pairs": strconv.Itoa(max(0, m.Pairs))}
	if m.Bags > 0 {
		settings["bags"] = strconv.Itoa(m.Bags)
	}
	for name, columns := range map[string]string{"offset": m.Offset, "time": m.Time, "group": m.Group, "protect": strings.Join(m.Protect, ",")} {
		if columns != "" {
			settings[name] = columns
		}
	}
	return settings
}

// printFigure prints one on a line.
func printFigure(name string, v float64) { fmt.Printf("%-22s %.6g\n", name, v) }

// open finds out what the table holds. The first of the roles is the target; one without
// a name is not there.
func (m *fitCmd) open(ctx context.Context, roles []string) (*dataset.File, error) {
	if slices.Contains(roles[1:], m.Target) {
		return nil, fault.New(fault.Unconfigured, "the column %s is the target, and cannot be anything else", m.Target)
	}
	if err := m.agree(); err != nil {
		return nil, err
	}
	o := dataset.Options{Kinds: map[string]model.Kind{}, Comma: m.Decimal == "comma"}
	for _, name := range roles {
		if name != "" {
			o.Need = append(o.Need, name)
		}
	}
	for _, name := range m.Category {
		o.Kinds[name] = model.Category
	}
	for _, name := range m.Numeric {
		o.Kinds[name] = model.Numeric
	}
	for _, name := range columnsOf(m.Ordered) {
		o.Kinds[name] = model.Category
	}
	if m.Group != "" { // its values are compared, and never calculated with
		o.Kinds[m.Group] = model.Category
	}
	for _, name := range m.Protect {
		if !slices.Contains(o.Need, name) {
			o.Need = append(o.Need, name)
		}
	}
	for _, name := range m.Exclude {
		if _, known := o.Kinds[name]; !known && !slices.Contains(o.Need, name) {
			o.Skip = append(o.Skip, name)
		}
	}
	t, err := dataset.Open(ctx, m.Data, o)
	if fault.Is(err, fault.Invalid) { // the call, not the table, is what is wrong
		return nil, fault.Wrap(fault.Unconfigured, err, "looking for the columns")
	}
	return t, err
}

// agree says which column is given for things that exclude each other, or twice.
func (m *fitCmd) agree() error {
	type given struct {
		flag    string
		columns []string
	}
	category, numeric := given{"--category", m.Category}, given{"--numeric", m.Numeric}
	ordered, monotone := given{"--ordered", columnsOf(m.Ordered)}, given{"--monotone", columnsOf(m.Monotone)}
	exclude, protect := given{"--exclude", m.Exclude}, given{"--protect", m.Protect}
	both := [][2]given{{category, numeric}, {ordered, numeric}, {protect, exclude}}
	for _, role := range []given{
		{"--target", []string{m.Target}},
		{"--exposure", []string{m.Exposure}},
		{"--weight", []string{m.Weight}},
		{"--offset", []string{m.Offset}},
		{"--time", []string{m.Time}},
		{"--group", []string{m.Group}},
		{"--competing", m.Competing},
		{"--duration", []string{m.Duration}},
		{"--entry", []string{m.Entry}},
	} {
		both = append(both, [2]given{exclude, role}, [2]given{protect, role})
	}
	for _, g := range both {
		for _, name := range g[0].columns {
			if slices.Contains(g[1].columns, name) {
				return fault.New(fault.Unconfigured, "the column %s is given as %s and as %s", name, g[0].flag, g[1].flag)
			}
		}
	}
	for _, g := range []given{ordered, monotone} {
		for i, name := range g.columns {
			if slices.Contains(g.columns[:i], name) {
				return fault.New(fault.Unconfigured, "%s: the column %s is given twice", g.flag, name)
			}
		}
	}
	return nil
}

// columnsOf are the columns of arguments such as COL=+.
func columnsOf(args []string) (names []string) {
	for _, s := range args {
		name, _, _ := strings.Cut(s, "=")
		names = append(names, name)
	}
	return names
}

// features are the columns without a role, with those that are protected, and only reported
// on, at the end. It says what each column is taken for.
func (m *fitCmd) features(t *dataset.File, roles []string) (fields []model.Field, protected int, err error) {
	signs, err := m.signs()
	if err != nil {
		return nil, 0, err
	}
	orders := map[string]string{}
	for _, s := range m.Ordered {
		name, order, ok := strings.Cut(s, "=")
		if !ok || !strings.Contains(order, "|") {
			return nil, 0, fault.New(fault.Unconfigured, "--ordered is COL=low|high, not %s", s)
		}
		orders[name] = order
	}
	var last []model.Field
	var lines strings.Builder
	for _, c := range t.Columns {
		out := ""
		switch {
		case slices.Contains(roles, c.Name):
			out = ", no feature"
		case slices.Contains(m.Protect, c.Name):
			last = append(last, model.Field{Name: c.Name, Kind: c.Kind})
			out = ", protected: no feature, but reported on"
		case slices.Contains(m.Exclude, c.Name):
			continue
		case m.keys(&c, t.N) && orders[c.Name] == "":
			out = ", left out: nearly every row has a name of its own"
		default:
			fields = append(fields, model.Field{Name: c.Name, Kind: c.Kind, Monotone: signs[c.Name], Order: orders[c.Name]})
			delete(signs, c.Name)
			delete(orders, c.Name)
		}
		fmt.Fprintf(&lines, "%-24s %s%s\n", c.Name, c, out)
	}
	most := model.MaxFields
	if m.Loss == "hazard" {
		most-- // the period is one more
	}
	if n := len(fields) + len(last); n > most {
		return nil, 0, fault.New(fault.Unconfigured, "%d columns are features or protected, more than %d: --exclude leaves columns out", n, most)
	}
	for name := range signs {
		return nil, 0, fault.New(fault.Unconfigured, "--monotone: %s is no feature", name)
	}
	for name := range orders {
		return nil, 0, fault.New(fault.Unconfigured, "--ordered: %s is no feature", name)
	}
	fmt.Fprint(os.Stderr, lines.String())
	return append(fields, last...), len(last), nil
}

// keys reports whether a column holds names of single rows, of which nothing can be learnt:
// a name of its own in nine of ten rows that have one. Who asks for a column of names gets it,
// and postcodes are read by their first digits too.
func (m *fitCmd) keys(c *dataset.Column, rows int) bool {
	const few = 100 // names that a small table may well have
	return c.Kind == model.Category && !c.Place && !slices.Contains(m.Category, c.Name) &&
		c.Distinct > few && 10*c.Distinct > 9*(rows-c.Missing)
}

func (m *fitCmd) signs() (map[string]int8, error) {
	signs := map[string]int8{}
	for _, s := range m.Monotone {
		name, sign, _ := strings.Cut(s, "=")
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

// cases are the rows of the table with what came of them.
func (m *fitCmd) cases(t *dataset.File, loss model.Loss, fields []model.Field, limit *limit) model.Rows {
	columns := []string{m.Target, m.Exposure, m.Weight, m.Offset, m.Time, m.Group}
	group, roles := len(columns)-1, len(columns)
	for _, f := range fields {
		columns = append(columns, f.Name)
	}
	return func(ctx context.Context, do func(*model.Case) error) error {
		c := model.Case{Weight: 1, Exposure: 1}
		figures := []figure{
			targetOf(m.Target, loss, &c.Y), exposureOf(m.Exposure, &c.Exposure), weightOf(m.Weight, &c.Weight),
			offsetOf(m.Offset, &c.Offset), timeOf(m.Time, &c.Time),
		}
		return t.Each(ctx, columns, func(row model.Row) error {
			if err := readFigures(t, row, figures); err != nil {
				return err
			}
			if limit != nil {
				c.Y = min(c.Y, limit.amount)
			}
			c.Group = row.Cat[group]
			c.Num, c.Cat = row.Num[roles:], row.Cat[roles:]
			return do(&c)
		})
	}
}

// limit is what --cap says: amounts are learnt as this one where they are higher.
type limit struct {
	amount   float64
	quantile float64 // from which the amount is to be found; 0: it is given
	loading  float64 // all amounts over the capped ones: what predictions are to be raised by to keep the total
}

// limit reads --cap; nil where there is none.
func (m *fitCmd) limit(loss model.Loss) (*limit, error) {
	if m.Cap == "" || m.Cap == "none" {
		return nil, nil
	}
	if loss != model.Gamma && loss != model.Tweedie {
		return nil, fault.New(fault.Unconfigured, "--cap goes with gamma and tweedie, not with %s", loss)
	}
	number, isQuantile := strings.CutPrefix(m.Cap, "q")
	v, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || !(v > 0) || math.IsInf(v, 1) || isQuantile && v >= 1:
		return nil, fault.New(fault.Unconfigured, "--cap is an amount over 0, or a quantile from q0 to q1 such as q0.98")
	case isQuantile:
		return &limit{quantile: v}, nil
	}
	return &limit{amount: v}, nil
}

// find goes through the amounts for what is not known of the limit yet.
func (l *limit) find(ctx context.Context, t *dataset.File, loss model.Loss, target, weight string) error {
	each := func(do func(y, w float64)) error {
		y, w := 0.0, 1.0
		figures := []figure{targetOf(target, loss, &y), weightOf(weight, &w)}
		return t.Each(ctx, []string{target, weight}, func(row model.Row) error {
			if err := readFigures(t, row, figures); err != nil {
				return err
			}
			do(y, w)
			return nil
		})
	}
	if l.quantile > 0 {
		var positive []float64 // 8 bytes a claim, gone before the learner wants its own
		if err := each(func(y, _ float64) {
			if y > 0 {
				positive = append(positive, y)
			}
		}); err != nil {
			return err
		}
		if len(positive) == 0 {
			return fault.New(fault.Invalid, "no amount is positive: there is no quantile to cap at")
		}
		slices.Sort(positive)
		l.amount = positive[int(math.Ceil(l.quantile*float64(len(positive))))-1]
	}
	all, capped := 0.0, 0.0
	if err := each(func(y, w float64) {
		all += float64(w * y)
		capped += float64(w * min(y, l.amount))
	}); err != nil {
		return err
	}
	if l.loading = all / capped; math.IsNaN(l.loading) || math.IsInf(l.loading, 0) {
		return fault.New(fault.Invalid, "the amounts add up to nothing that can be capped")
	}
	l.loading = math.Round(l.loading*1e9) / 1e9 // whatever the order of the rows
	return nil
}

// writable says before the work what would be wrong with its file after it, or with what is
// in its place: a file that is read is not written over.
func writable(path string, read ...string) error {
	if path == "-" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fault.New(fault.Unconfigured, "the folder of --out is not there")
	}
	there, err := os.Stat(path)
	if err != nil {
		return nil // nothing is
	}
	if there.IsDir() {
		return fault.New(fault.Unconfigured, "--out is a folder, not a file")
	}
	for _, name := range read {
		if info, err := os.Stat(name); err == nil && os.SameFile(info, there) {
			return fault.New(fault.Unconfigured, "--out is the file %s that is read: it would be lost", filepath.Base(name))
		}
	}
	return nil
}

// writeFile writes a file beside its name first, so that nobody reads half of it; "-" is
// standard output.
func writeFile(path string, write func(io.Writer) error) (err error) {
	if path == "-" {
		b := bufio.NewWriter(os.Stdout)
		return errors.Join(write(b), b.Flush())
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // a device or a pipe is written to, and not replaced
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return fault.Wrap(fault.Unconfigured, err, "opening the file")
		}
		b := bufio.NewWriter(f)
		return errors.Join(write(b), b.Flush(), f.Close())
	}
	if err == nil {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return fault.Wrap(fault.Unconfigured, err, "finding the file")
		}
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

func text(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// decimals are those that a value of a table has in the model's file.
func decimals(v float64) string {
	if r := math.Round(v*1e5) / 1e5; math.Abs(r-v) < 1e-9 {
		return text(r)
	}
	return text(v)
}

type tablesCmd struct {
	Model string `arg:"" help:"File of a model." type:"existingfile"`
	Out   string `help:"File for the tables; - is standard output." default:"-"`
}

func (m *tablesCmd) Run() error {
	if err := writable(m.Out, m.Model); err != nil {
		return err
	}
	p, err := loadPredictor(m.Model)
	if err != nil {
		return err
	}
	if h, ok := p.(survival); ok {
		return writeFile(m.Out, func(w io.Writer) error { return writeTables(w, h.whole.Causes()) })
	}
	loaded, err := tablesOf(p)
	if err != nil {
		return err
	}
	return writeFile(m.Out, func(w io.Writer) error { return writeTables(w, []hazard.Cause{{Hazard: loaded}}) })
}

// writeTables writes the rating tables of one model, or of each cause's with its name. An
// error that is not known, as where training had no rows, is empty: 0 would be certainty.
func writeTables(w io.Writer, causes []hazard.Cause) error {
	out := csv.NewWriter(w)
	line := func(cause string, cells ...string) error {
		if causes[0].Name != "" {
			cells = append([]string{cause}, cells...)
		}
		return out.Write(cells)
	}
	if err := line("cause", "term", "first", "second", "contribution", "relativity", "error", "exposure"); err != nil {
		return err
	}
	for _, cause := range causes {
		rows := append([]model.Cell{{Term: "intercept", Value: cause.Hazard.Intercept()}}, cause.Hazard.Cells()...)
		for _, c := range rows {
			deviation := ""
			if c.Error > 0 {
				deviation = text(c.Error)
			}
			if err := line(cause.Name, c.Term, c.First, c.Second, decimals(c.Value), text(c.Relativity()), deviation, text(c.Weight)); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

type reportCmd struct {
	Model   string `arg:"" help:"File of a model." type:"existingfile"`
	Decimal string `help:"Sign before decimals in CSV, as in polis fit." enum:"point,comma" default:"point"`
	Data    string `help:"Table to try it on, with the columns it was fitted to; best one that it has not seen." type:"existingfile"`
	Out     string `help:"File for the page; - is standard output." default:"-"`
}

func (m *reportCmd) Run(ctx context.Context) error {
	if err := writable(m.Out, m.Model, m.Data); err != nil {
		return err
	}
	p, err := loadPredictor(m.Model)
	if err != nil {
		return err
	}
	if h, ok := p.(survival); ok {
		if m.Data != "" {
			return fault.New(fault.Unconfigured, "a hazard is reported without --data: its table has no periods to try it on")
		}
		return writeFile(m.Out, func(w io.Writer) error { return report.WriteHazard(w, h.whole) })
	}
	loaded, err := tablesOf(p)
	if err != nil {
		return err
	}
	var tried *report.Tried
	if m.Data != "" {
		if tried, err = outcome(ctx, loaded, m.Data, m.Decimal == "comma"); err != nil {
			return err
		}
	}
	return writeFile(m.Out, func(w io.Writer) error { return report.Write(w, loaded, tried) })
}

// outcome scores a table that also holds what came of its rows.
func outcome(ctx context.Context, m *model.Model, path string, comma bool) (*report.Tried, error) {
	meta := m.Meta()
	if meta.Target == "" {
		return nil, fault.New(fault.Invalid, "the model does not say which column it was fitted to")
	}
	limit := math.Inf(1)
	if at, ok := meta.Settings["cap"]; ok {
		v, err := strconv.ParseFloat(at, 64)
		if err != nil {
			return nil, fault.New(fault.Malformed, "the model's cap is no number")
		}
		limit = v
	}
	// As they were learnt: a target may be yes and no.
	t, err := openScorer(ctx, additive{m}, path, comma, map[string]model.Kind{meta.Target: model.Category, meta.Exposure: model.Numeric, meta.Weight: model.Numeric})
	if err != nil {
		return nil, err
	}
	defer t.file.Close() // it was only read from
	var means, y, exposure, weight []float64
	var now struct{ y, exposure, weight float64 }
	figures := []figure{targetOf(meta.Target, m.Loss(), &now.y), exposureOf(meta.Exposure, &now.exposure), weightOf(meta.Weight, &now.weight)}
	columns := []string{meta.Target, meta.Exposure, meta.Weight}
	err = t.each(ctx, columns, nil, func(s *scored) error {
		if err := readFigures(t.file, s.others, figures); err != nil {
			return err
		}
		means, y = append(means, s.mean), append(y, min(now.y, limit)) // as the model learnt it
		if meta.Exposure != "" {
			exposure = append(exposure, now.exposure)
		}
		if meta.Weight != "" {
			weight = append(weight, now.weight)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	trial, err := measure.Try(measure.Family(m.Loss()), means, y, exposure, weight)
	if err != nil {
		return nil, err
	}
	return &report.Tried{Table: filepath.Base(path), Trial: trial}, nil
}
