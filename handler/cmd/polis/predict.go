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
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/dataset"
	"polis/handler/internal/fault"
	"polis/handler/internal/hazard"
	"polis/handler/internal/lightgbm"
	"polis/handler/internal/model"
	"polis/handler/internal/score"
)

type predictCmd struct {
	Model      string   `required:"" help:"Model of polis fit, or LightGBM's as text (model.txt)." type:"existingfile"`
	Data       string   `required:"" help:"Table to score: CSV (also .gz) or Parquet." type:"existingfile"`
	Decimal    string   `help:"Sign before decimals in CSV, as in polis fit." enum:"point,comma" default:"point"`
	Horizon    []int    `help:"For a hazard model: after how many periods; prediction is the incidence of its target by the first." placeholder:"PERIODS,…"`
	Reasons    bool     `help:"Also write what each term contributes, on the link scale: with the intercept they add up to the link."`
	Grouped    bool     `help:"With --reasons: fields that go together (clusters) as one, since what one of them contributes might as well be another's."`
	MarketRate *float64 `help:"Also write predictions shifted on the link so that their mean over the table (per exposure, if there is one) is this." placeholder:"RATE"`
	Out        string   `required:"" help:"File for the scores, a line for each row in the table's order; - is standard output."`
}

func (m *predictCmd) Run(ctx context.Context) error {
	if err := writable(m.Out, m.Model, m.Data); err != nil {
		return err
	}
	p, err := loadPredictor(m.Model)
	if err != nil {
		return err
	}
	if h, ok := p.(survival); ok {
		if m.Grouped || m.MarketRate != nil {
			return fault.New(fault.Unconfigured, "--grouped and --market-rate do not go with a hazard model")
		}
		return m.hazard(ctx, h.whole)
	}
	if len(m.Horizon) > 0 {
		return fault.New(fault.Unconfigured, "--horizon goes with a hazard model")
	}
	if m.Grouped {
		a, ok := p.(additive)
		if !ok {
			return fault.New(fault.Unconfigured, "--grouped goes with a model of polis fit, which knows what goes together")
		}
		p = newGrouped(a)
	}
	t, err := openScorer(ctx, p, m.Data, m.Decimal == "comma", nil)
	if err != nil {
		return err
	}
	defer t.file.Close() // it was only read from
	if t.about.note != "" {
		fmt.Fprintln(os.Stderr, t.about.note)
	}
	var shift *float64
	if m.MarketRate != nil {
		s, err := t.shiftTo(ctx, *m.MarketRate)
		if err != nil {
			return err
		}
		shift = &s
		fmt.Fprintf(os.Stderr, "the intercept is shifted by %s for a mean of %s\n", text(s), text(*m.MarketRate))
	}
	return writeFile(m.Out, func(w io.Writer) error { return t.write(ctx, w, m.Reasons, shift) })
}

// predictor is a model of whichever kind.
type predictor interface {
	about() about
	// score is the link of a row, whose fields are those of about.
	score(row model.Row, contributions []float64) float64
	// mean is what a link stands for.
	mean(link float64) float64
}

// about is what is to be known of a model to score a table with it.
type about struct {
	fields   []model.Field // by place in a row; one without a name is not read
	exposure string        // the column that predictions are scaled by, if the table has it
	offset   string        // the column that is added to the link
	reasons  []string      // what contributions are of
	base     float64       // what they are added to
	note     string        // what who uses the predictions must know
}

// format is a file that holds a predictor, by how it begins.
type format struct {
	begins string
	load   func(io.Reader) (predictor, error)
}

var formats = []format{
	{"tree", func(r io.Reader) (predictor, error) {
		m, err := lightgbm.Load(r)
		if err != nil {
			return nil, err
		}
		return newTrees(m), nil
	}},
	{hazard.Prefix, loadSurvival},
	{"", func(r io.Reader) (predictor, error) { // all else, or the loader says what is wrong
		m, err := model.Load(r)
		if err != nil {
			return nil, err
		}
		return additive{m}, nil
	}},
}

func loadPredictor(path string) (predictor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "opening the model")
	}
	defer f.Close() // it was only read from
	r := bufio.NewReader(f)
	head, _ := r.Peek(64) // a file may be shorter
	at := slices.IndexFunc(formats, func(f format) bool { return strings.HasPrefix(string(head), f.begins) })
	p, err := formats[at].load(r)
	return p, fault.Wrap(fault.KindOf(err), brief(err), "%s", filepath.Base(path))
}

// brief is an error without what nobody reads: what is nested a million deep is said with a
// word for each.
func brief(err error) error {
	const most = 200 // bytes
	if err == nil || len(err.Error()) <= most {
		return err
	}
	return errors.New(strings.ToValidUTF8(err.Error()[:most], "") + " …")
}

// tablesOf is the model that a predictor reads its tables from.
func tablesOf(p predictor) (*model.Model, error) {
	switch p := p.(type) {
	case additive:
		return p.Model, nil
	case survival:
		return p.Model, nil
	}
	return nil, fault.New(fault.Invalid, "a model of trees has no rating tables")
}

// additive is a model of polis fit.
type additive struct{ *model.Model }

func (a additive) about() about {
	meta := a.Meta()
	said := about{fields: a.Fields(), exposure: meta.Exposure, offset: meta.Settings["offset"], base: a.Intercept()}
	read := make([]bool, len(said.fields))
	for _, t := range a.Terms() {
		said.reasons = append(said.reasons, t.Name)
		for _, f := range t.Fields {
			read[f] = true
		}
	}
	for i := range read {
		if !read[i] {
			said.fields[i].Name = ""
		}
	}
	if at := meta.Settings["cap"]; at != "" {
		said.note = fmt.Sprintf("predictions are of amounts capped at %s; times %s they keep the total", at, meta.Settings["excess_loading"])
	}
	return said
}

func (a additive) score(row model.Row, contributions []float64) float64 {
	return a.Score(row, contributions)
}

func (a additive) mean(link float64) float64 { return a.Mean(link) }

// grouped is one whose reasons are of fields that go together as one.
type grouped struct {
	additive
	reasons []model.Reason
	terms   []float64
}

func newGrouped(a additive) *grouped {
	return &grouped{a, a.Reasons(), make([]float64, len(a.Terms()))}
}

func (g *grouped) about() about {
	said := g.additive.about()
	said.reasons = nil
	for _, r := range g.reasons {
		said.reasons = append(said.reasons, r.Name)
	}
	return said
}

func (g *grouped) score(row model.Row, contributions []float64) float64 {
	if contributions == nil {
		return g.additive.score(row, nil)
	}
	link := g.additive.score(row, g.terms)
	clear(contributions)
	for i, r := range g.reasons {
		for _, t := range r.Terms {
			contributions[i] += g.terms[t]
		}
	}
	return link
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

func (t *trees) about() about {
	said := about{reasons: t.Features(), base: t.Expected()}
	for i, name := range t.Features() {
		f := model.Field{Name: name}
		if t.codes[i] != nil {
			f.Kind = model.Category
		}
		said.fields = append(said.fields, f)
	}
	return said
}

func (t *trees) score(row model.Row, contributions []float64) float64 {
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
	return t.Raw(t.row)
}

func (t *trees) mean(link float64) float64 { return t.Response(link) }

// scorer is a table with a model to score it by, row by row.
type scorer struct {
	model   predictor
	about   about
	file    *dataset.File
	columns []string // of the fields; "" is none
}

// openScorer finds a model's columns in a table, and others that are asked for.
func openScorer(ctx context.Context, p predictor, path string, comma bool, others map[string]model.Kind) (*scorer, error) {
	t := &scorer{model: p, about: p.about()}
	o := dataset.Options{Known: true, Kinds: map[string]model.Kind{t.about.offset: model.Numeric}, Also: t.about.exposure, Comma: comma}
	maps.Copy(o.Kinds, others)
	for _, f := range t.about.fields {
		t.columns = append(t.columns, f.Name)
		o.Kinds[f.Name] = f.Kind
	}
	delete(o.Kinds, "") // what is not read
	file, err := dataset.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	if file.Column(t.about.exposure) == nil {
		t.about.exposure = ""
	}
	t.file = file
	return t, nil
}

// scored is a row and what the model says of it.
type scored struct {
	link, mean float64 // with the offset
	exposure   float64 // 1 where there is none
	offset     float64
	others     model.Row // the columns that were asked for
}

// each scores the rows of the table in their order, and gives other columns with them. Each
// time it is the same scored.
func (t *scorer) each(ctx context.Context, others []string, contributions []float64, do func(*scored) error) error {
	s := &scored{exposure: 1}
	figures := []figure{exposureOf(t.about.exposure, &s.exposure), offsetOf(t.about.offset, &s.offset)}
	from, n := len(figures), len(figures)+len(t.columns)
	columns := slices.Concat([]string{t.about.exposure, t.about.offset}, t.columns, others)
	return t.file.Each(ctx, columns, func(row model.Row) error {
		if err := readFigures(t.file, row, figures); err != nil {
			return err
		}
		// On the grid of the model's values, so that what is written adds up exactly.
		s.offset = model.OnGrid(s.offset)
		s.others = model.Row{Num: row.Num[n:], Cat: row.Cat[n:]}
		s.link = t.model.score(model.Row{Num: row.Num[from:n], Cat: row.Cat[from:n]}, contributions) + s.offset
		s.mean = t.model.mean(s.link)
		return do(s)
	})
}

// shiftTo is what to add to the link so that the mean over the table, weighted by
// exposure, is rate.
func (t *scorer) shiftTo(ctx context.Context, rate float64) (float64, error) {
	const h = 1e-5 // of the slope
	if !(rate > t.model.mean(math.Inf(-1)) && rate < t.model.mean(math.Inf(1))) || rate <= 0 {
		return 0, fault.New(fault.Unconfigured, "--market-rate is no rate that this model's predictions can have")
	}
	shift, err := score.Shift(rate, func(shift float64) (float64, float64, error) {
		sum, rise, weight := 0.0, 0.0, 0.0
		if err := t.each(ctx, nil, nil, func(s *scored) error {
			at := s.link + shift
			weight += s.exposure
			sum += float64(s.exposure * t.model.mean(at))
			rise += float64(s.exposure * (t.model.mean(at+h) - t.model.mean(at-h)))
			return nil
		}); err != nil {
			return 0, 0, err
		}
		mean := sum / weight
		if !(weight > 0) || math.IsInf(mean, 0) {
			return 0, 0, fault.New(fault.Invalid, "the table has no mean to shift: it is without rows or exposure, or beyond all numbers")
		}
		return mean, rise / weight / (2 * h), nil
	})
	if err != nil {
		return 0, fmt.Errorf("shifting to --market-rate: %w", err)
	}
	return shift, nil
}

// write writes a line for each row of the table; shift is nil where no market rate is
// asked for.
func (t *scorer) write(ctx context.Context, w io.Writer, reasons bool, shift *float64) error {
	head := []string{"prediction"}
	if shift != nil {
		head = append(head, "at_market_rate")
	}
	if t.about.exposure != "" {
		head = append(head, "per_exposure")
	}
	var contributions []float64
	if reasons {
		head = append(head, "link", "intercept")
		if t.about.offset != "" {
			head = append(head, "offset")
		}
		head = append(head, t.about.reasons...)
		contributions = make([]float64, len(t.about.reasons))
	}
	names := csv.NewWriter(w)
	if err := names.Write(head); err != nil {
		return err
	}
	if names.Flush(); names.Error() != nil {
		return names.Error()
	}
	var line []byte
	add := func(v float64) { line = append(strconv.AppendFloat(line, v, 'g', -1, 64), ',') }
	return t.each(ctx, nil, contributions, func(s *scored) error {
		line = line[:0]
		add(s.mean * s.exposure)
		if shift != nil {
			add(t.model.mean(s.link+*shift) * s.exposure)
		}
		if t.about.exposure != "" {
			add(s.mean)
		}
		if reasons {
			add(s.link)
			add(t.about.base)
			if t.about.offset != "" {
				add(s.offset)
			}
			for _, c := range contributions {
				add(c)
			}
		}
		line[len(line)-1] = '\n'
		_, err := w.Write(line)
		return err
	})
}
