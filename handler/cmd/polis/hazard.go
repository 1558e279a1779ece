package main

import (
	"bufio"
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
	roles := append(slices.Clone(ends), m.Duration)
	for _, name := range []string{m.Entry, m.Weight, m.Group} {
		if name != "" {
			roles = append(roles, name)
		}
	}
	seen := map[string]bool{"": true}
	for _, name := range roles {
		if seen[name] {
			return fault.New(fault.Unconfigured, "target, --competing, --duration, --entry, --weight and --group are columns, each another; a hazard needs --duration")
		}
		seen[name] = true
	}
	if m.Exposure != "" {
		return fault.New(fault.Unconfigured, "--exposure goes with poisson and tweedie; a hazard has its --duration")
	}
	rolls, err := parseRolls(m.Roll)
	if err != nil {
		return err
	}
	t, err := dataset.Read(m.Data, dataset.Options{Skip: slices.DeleteFunc(slices.Clone(m.Exclude), func(name string) bool { return seen[name] })})
	if err != nil {
		return err
	}
	for _, name := range roles {
		if t.Column(name) == nil {
			return fault.New(fault.Unconfigured, "the table has no column %s", name)
		}
	}
	fields, err := m.features(t, roles)
	if err != nil {
		return err
	}
	st := newProgress(os.Stderr).stage("fit")
	fitted, err := hazard.Fit(ctx, fields, m.subjects(t, fields, ends), hazard.Options{
		Causes: ends, Rolls: rolls,
		Learner: model.Options{Seed: m.Seed, Bags: m.Bags, Pairs: m.Pairs, Progress: func(done, total int) { st.set(int64(done), int64(total)) }},
	})
	if err != nil {
		st.abort()
		return err
	}
	meta := fitted.Meta()
	meta.Target, meta.Duration, meta.Entry, meta.Weight, meta.Data = m.Target, m.Duration, m.Entry, m.Weight, t.Fingerprint
	meta.Settings = map[string]string{"seed": strconv.FormatUint(m.Seed, 10), "bags": strconv.Itoa(m.Bags), "pairs": strconv.Itoa(m.Pairs)}
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
func (m *fitCmd) subjects(t *dataset.Table, fields []model.Field, ends []string) hazard.Subjects {
	var columns []string
	for _, f := range fields {
		columns = append(columns, f.Name)
	}
	n := len(fields)
	columns = append(append(columns, ends...), m.Duration, m.Entry, m.Weight, m.Group)
	duration := n + len(ends)
	return func(ctx context.Context, do func(*hazard.Subject) error) error {
		line := 1 // the header's
		return eachRow(ctx, t, columns, func(row model.Row) error {
			line++
			s := hazard.Subject{
				Row:      model.Row{Num: row.Num[:n], Cat: row.Cat[:n]},
				Duration: row.Num[duration], Weight: 1, Group: row.Cat[duration+3],
			}
			for i, name := range ends {
				came, ok := yes(row, n+i)
				if !ok {
					return fault.New(fault.Invalid, "line %d: %s is neither 0 nor 1", line, name)
				}
				if came && s.Cause != 0 {
					return fault.New(fault.Invalid, "line %d: both %s and %s are 1; a subject ends once", line, ends[s.Cause-1], name)
				}
				if came {
					s.Cause = i + 1
				}
			}
			if m.Entry != "" {
				s.Entry = row.Num[duration+1]
			}
			if m.Weight != "" {
				s.Weight = row.Num[duration+2]
			}
			if v := row.Num[duration+3]; m.Group != "" && v == v {
				s.Group = text(v)
			}
			err := do(&s)
			if fault.Is(err, fault.Invalid) {
				return fault.Wrap(fault.Invalid, err, "line %d", line)
			}
			return err
		})
	}
}

// yes reads whether something came.
func yes(row model.Row, i int) (came, ok bool) {
	switch strings.ToLower(row.Cat[i]) {
	case "yes", "true", "y", "t", "ja":
		return true, true
	case "no", "false", "n", "f", "nee":
		return false, true
	}
	return row.Num[i] == 1, row.Num[i] == 0 || row.Num[i] == 1
}

// loadHazard reads a hazard model; nil where the file is none.
func loadHazard(path string) (*hazard.Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "opening the model")
	}
	defer f.Close()
	r := bufio.NewReader(f)
	if head, _ := r.Peek(len(hazard.Prefix)); string(head) != hazard.Prefix {
		return nil, nil
	}
	return hazard.Load(r)
}

// targetHazard is the model of the target's hazard by itself, with what is to be known of
// the whole.
func targetHazard(h *hazard.Model) *model.Model {
	m := h.Causes()[0].Hazard
	meta := m.Meta()
	meta.Note = strings.TrimPrefix(meta.Note+"; "+h.Meta().Note, "; ")
	return m.WithMeta(meta)
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
	columns := make([]string, len(fields)+1)
	for i, f := range fields {
		if read[i] {
			kinds[f.Name], columns[i] = f.Kind, f.Name
		}
	}
	t, err := dataset.Read(m.Data, dataset.Options{Kinds: kinds, Also: entry})
	if err != nil {
		return err
	}
	if entry != "" && t.Column(entry) != nil {
		columns[len(fields)] = entry
	}
	return writeFile(m.Out, func(w io.Writer) error {
		return m.curves(ctx, w, h, t, columns, furthest)
	})
}

// curves writes them; the last of the columns is the entry, if there is one.
func (m *predictCmd) curves(ctx context.Context, w io.Writer, h *hazard.Model, t *dataset.Table, columns []string, furthest int) error {
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
	n, line := len(columns)-1, 1
	record := make([]string, 0, len(head))
	if err := eachRow(ctx, t, columns, func(row model.Row) error {
		line++
		survived := 0
		if columns[n] != "" {
			entry := math.Floor(row.Num[n])
			if !(entry >= 0 && entry <= hazard.MaxPeriods) {
				return fault.New(fault.Invalid, "line %d: %s must be from 0 to %d", line, columns[n], hazard.MaxPeriods)
			}
			survived = int(entry)
		}
		covariates := model.Row{Num: row.Num[:n], Cat: row.Cat[:n]}
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

// eachRow gives the rows of a table, with the columns asked for; one without a name is
// missing.
func eachRow(ctx context.Context, t *dataset.Table, columns []string, do func(model.Row) error) error {
	row := model.Row{Num: make([]float64, len(columns)), Cat: make([]string, len(columns))}
	from := make([]*dataset.Column, len(columns))
	for i, name := range columns {
		row.Num[i] = math.NaN()
		from[i] = t.Column(name)
	}
	for k := range t.N {
		if k%10_000 == 0 && ctx.Err() != nil {
			return fault.Wrap(fault.Cancelled, ctx.Err(), "reading the table")
		}
		for i, c := range from {
			switch {
			case c == nil:
			case c.Kind == model.Category:
				row.Cat[i] = c.Cat[k]
			default:
				row.Num[i] = c.Num[k]
			}
		}
		if err := do(row); err != nil {
			return err
		}
	}
	return nil
}
