package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/dataset"
	"polis/handler/internal/fault"
	"polis/handler/internal/hazard"
	"polis/handler/internal/model"
)

// hazard fits a model of when and how subjects end.
func (m *fitCmd) hazard(ctx context.Context) error {
	ends := append([]string{m.Target}, m.Competing...)
	roles := append(slices.Clone(ends), m.Duration, m.Entry, m.Weight, m.Time, m.Group)
	seen := map[string]bool{}
	for _, name := range roles {
		if name != "" && seen[name] {
			return fault.New(fault.Unconfigured, "the column %s is given for two things", name)
		}
		seen[name] = true
	}
	switch {
	case m.Duration == "":
		return fault.New(fault.Unconfigured, "a hazard needs --duration")
	case m.Exposure != "" || m.Offset != "" || m.Cap != "" || len(m.Protect) > 0:
		return fault.New(fault.Unconfigured, "--exposure, --offset, --cap and --protect do not go with a hazard; --exclude leaves columns out")
	}
	if err := writable(m.Out, m.Data); err != nil {
		return err
	}
	rolls, err := parseRolls(m.Roll)
	if err != nil {
		return err
	}
	t, err := m.open(ctx, roles)
	if err != nil {
		return err
	}
	defer t.Close() // it was only read from
	fields, _, err := m.features(t, roles)
	if err != nil {
		return err
	}
	st := newProgress(os.Stderr).stage("fit")
	fitted, err := hazard.Fit(ctx, fields, m.subjects(t, fields, ends), hazard.Options{
		Causes: ends, Rolls: rolls,
		Learner: model.Options{Seed: m.Seed, Bags: m.Bags, Pairs: m.pairs(), Progress: func(done, total int) { st.set(int64(done), int64(total)) }},
	})
	if err != nil {
		st.abort()
		return err
	}
	meta := fitted.Meta()
	meta.Target, meta.Duration, meta.Entry, meta.Weight, meta.Data, meta.Settings = m.Target, m.Duration, m.Entry, m.Weight, t.Fingerprint, m.settings()
	fitted = fitted.WithMeta(meta)
	st.end(fitted.String())
	for _, c := range fitted.Causes() {
		own := c.Hazard.Meta()
		fmt.Println(own.Name)
		for _, name := range slices.Sorted(maps.Keys(own.Metrics)) {
			fmt.Printf("  %-22s %.6g\n", name, own.Metrics[name])
		}
		if own.Note != "" {
			fmt.Println(" ", own.Note)
		}
	}
	fmt.Println(meta.Note)
	return writeFile(m.Out, fitted.Save)
}

// parseRolls reads how fields roll forward: COL=12 is by 1 every 12 periods, COL=-365/12
// by -365, and COL=-365/12@0:365 goes round.
func parseRolls(texts []string) (rolls []hazard.Roll, err error) {
	for _, s := range texts {
		name, rest, ok := strings.Cut(s, "=")
		pace, round, goesRound := strings.Cut(rest, "@")
		by, every, both := strings.Cut(pace, "/")
		if !both {
			by, every = "1", pace
		}
		r := hazard.Roll{Field: name}
		number := func(s string) float64 {
			v, e := strconv.ParseFloat(s, 64)
			ok = ok && e == nil
			return v
		}
		r.By, r.Every = number(by), number(every)
		if goesRound {
			low, high, _ := strings.Cut(round, ":")
			r.Low, r.High = number(low), number(high)
			ok = ok && r.Low < r.High
		}
		if !ok {
			return nil, fault.New(fault.Unconfigured, "--roll is COL=12 (by 1 every 12 periods), COL=-365/12 or COL=-365/12@0:365, not %s", s)
		}
		rolls = append(rolls, r)
	}
	return rolls, nil
}

// subjects are the rows of a table: covariates, how long they lasted, and which of the
// ends, if any, came.
func (m *fitCmd) subjects(t *dataset.File, fields []model.Field, ends []string) hazard.Subjects {
	columns := append([]string{m.Duration, m.Entry, m.Weight, m.Time}, ends...)
	group := len(columns)
	columns = append(columns, m.Group)
	for _, f := range fields {
		columns = append(columns, f.Name)
	}
	return func(ctx context.Context, do func(*hazard.Subject) error) error {
		s := hazard.Subject{Weight: 1}
		came := make([]float64, len(ends))
		figures := []figure{
			{column: m.Duration, into: &s.Duration, check: checkDuration},
			{column: m.Entry, into: &s.Entry, check: checkEntry},
			weightOf(m.Weight, &s.Weight), timeOf(m.Time, &s.Time),
		}
		for i, name := range ends {
			figures = append(figures, targetOf(name, model.Logistic, &came[i]))
		}
		return t.Each(ctx, columns, func(row model.Row) error {
			if err := readFigures(t, row, figures); err != nil {
				return err
			}
			s.Cause = 0
			for i, name := range ends {
				switch {
				case came[i] == 1 && s.Cause != 0:
					return fault.New(fault.Invalid, "both %s and %s are 1; a subject ends once", ends[s.Cause-1], name)
				case came[i] == 1:
					s.Cause = i + 1
				}
			}
			if s.Entry >= s.Duration {
				return fault.New(fault.Invalid, "the column %s: the entry must be before the end of the duration, in %s", m.Entry, m.Duration)
			}
			s.Group = row.Cat[group]
			s.Num, s.Cat = row.Num[group+1:], row.Cat[group+1:]
			return do(&s)
		})
	}
}

func checkDuration(v float64) error {
	if !(v > 0 && v <= hazard.MaxPeriods) {
		return fault.New(fault.Invalid, "the duration must be over 0 and at most %d periods: use longer ones", hazard.MaxPeriods)
	}
	return nil
}

func checkEntry(v float64) error {
	if !(v >= 0 && v <= hazard.MaxPeriods) {
		return fault.New(fault.Invalid, "the entry must be from 0 to %d periods", hazard.MaxPeriods)
	}
	return nil
}

// survival is a hazard model: as a predictor it is the target's hazard by itself.
type survival struct {
	additive
	whole *hazard.Model
}

func loadSurvival(r io.Reader) (predictor, error) {
	h, err := hazard.Load(r)
	if err != nil {
		return nil, err
	}
	m := h.Causes()[0].Hazard
	meta := m.Meta()
	meta.Note = strings.TrimPrefix(meta.Note+"; "+h.Meta().Note, "; ")
	return survival{additive{m.WithMeta(meta)}, h}, nil
}

// hazard writes a line for each row of a table: how likely each horizon is to see the
// target, and no end at all.
func (m *predictCmd) hazard(ctx context.Context, h *hazard.Model) error {
	if len(m.Horizon) == 0 {
		return fault.New(fault.Unconfigured, "a hazard model predicts for --horizon, in periods")
	}
	for _, k := range m.Horizon {
		if k < 1 || k > hazard.MaxPeriods {
			return fault.New(fault.Unconfigured, "--horizon is from 1 to %d periods", hazard.MaxPeriods)
		}
	}
	furthest := slices.Max(m.Horizon)
	if furthest > h.Last() {
		fmt.Fprintf(os.Stderr, "beyond period %d, the last in training, the hazard goes on as it was\n", h.Last())
	}
	fields, entry := h.Fields(), h.Meta().Entry
	read := make([]bool, len(fields)+1)
	for _, c := range h.Causes() {
		for _, t := range c.Hazard.Terms() {
			for _, f := range t.Fields {
				read[f] = true
			}
		}
	}
	kinds := map[string]model.Kind{}
	columns := make([]string, len(fields)+1) // the entry first
	for i, f := range fields {
		if read[i] {
			kinds[f.Name], columns[i+1] = f.Kind, f.Name
		}
	}
	t, err := dataset.Open(ctx, m.Data, dataset.Options{Known: true, Kinds: kinds, Also: entry, Comma: m.Decimal == "comma"})
	if err != nil {
		return err
	}
	defer t.Close() // it was only read from
	if t.Column(entry) != nil {
		columns[0] = entry
	}
	return writeFile(m.Out, func(w io.Writer) error {
		return m.curves(ctx, w, h, t, columns, furthest)
	})
}

// curves writes them; the first of the columns is the entry, if there is one.
func (m *predictCmd) curves(ctx context.Context, w io.Writer, h *hazard.Model, t *dataset.File, columns []string, furthest int) error {
	out := csv.NewWriter(w)
	head := []string{"prediction"}
	for _, what := range []string{"incidence", "survival"} {
		for _, k := range m.Horizon {
			head = append(head, what+"_"+strconv.Itoa(k))
		}
	}
	target := h.Causes()[0].Hazard
	var contributions []float64
	if m.Reasons {
		head = append(head, "link", "intercept")
		for _, term := range target.Terms() {
			head = append(head, term.Name)
		}
		contributions = make([]float64, len(target.Terms()))
	}
	if err := out.Write(head); err != nil {
		return err
	}
	var c hazard.Curve
	entry := 0.0
	figures := []figure{{column: columns[0], into: &entry, check: checkEntry}}
	record := make([]string, 0, len(head))
	if err := t.Each(ctx, columns, func(row model.Row) error {
		if err := readFigures(t, row, figures); err != nil {
			return err
		}
		survived := int(math.Ceil(entry)) // as in training: the period it comes in with is the next whole one
		covariates := model.Row{Num: row.Num[1:], Cat: row.Cat[1:]}
		if err := h.Predict(covariates, survived, furthest, &c); err != nil {
			return err
		}
		record = append(record[:0], text(c.Incidence[0][m.Horizon[0]]))
		for _, curve := range [][]float64{c.Incidence[0], c.Survival} {
			for _, k := range m.Horizon {
				record = append(record, text(curve[k]))
			}
		}
		if m.Reasons {
			record = append(record, text(h.Link(0, covariates, survived, 1, contributions, &c)), text(target.Intercept()))
			for _, v := range contributions {
				record = append(record, text(v))
			}
		}
		return out.Write(record)
	}); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}
