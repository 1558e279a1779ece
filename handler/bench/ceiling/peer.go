package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

// peers are the ways in which fit.py fits LightGBM, as it calls them.
var peers = []string{"default", "tuned"}

// replaced are the models of whose places LightGBM's take: those that decide the figures.
// Ends other than lapses are ours with both, and so is what a group of products adds to
// the model of all groups, of which LightGBM's has the group as a feature.
var replaced = []string{"frequency", "severity", "lapse", "policy_lapse", "buy"}

// fitPeers fits LightGBM on the tables and puts its models into the places of ours.
func fitPeers(ctx context.Context, dir, python, script string, ours *scoring.Models, tables []train.Table) (map[string]*scoring.Models, error) {
	byName := map[string]*train.Table{}
	for i := range tables {
		byName[tables[i].Name] = &tables[i]
	}
	out := map[string]*scoring.Models{}
	for _, p := range peers {
		m, r, c, n := *ours, *ours.Risk, *ours.Churn, *ours.Nbp
		m.Risk, m.Churn, m.Nbp = &r, &c, &n
		out[p] = &m
	}
	grouping, err := nbp.NewGrouping(ours.Settings.Nbp.Groups)
	if err != nil {
		return nil, err
	}
	for _, name := range replaced {
		if err := export(dir, byName[name]); err != nil {
			return nil, fmt.Errorf("writing the table of %s: %w", name, err)
		}
		cmd := exec.CommandContext(ctx, python, script, dir, name)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("fitting %s: %w", name, err)
		}
		for _, p := range peers {
			text, err := os.ReadFile(filepath.Join(dir, name+"."+p+".txt"))
			if err != nil {
				return nil, err
			}
			brought, err := scoring.Bring(name, text, ours.Risk.Schema, grouping)
			switch {
			case fault.Is(err, fault.Invalid): // LightGBM ran away: links beyond what any probability has
				fmt.Fprintf(os.Stderr, "%s of %s is no model: %v\n", name, p, err)
				delete(out, p)
			case err != nil:
				return nil, fmt.Errorf("bringing in %s: %w", name, err)
			case out[p] != nil:
				place(out[p], name, quick{brought})
			}
		}
	}
	for _, m := range out {
		relevel(m.Risk, ours.Risk, byName["frequency"])
	}
	return out, nil
}

func place(m *scoring.Models, name string, with score.Model) {
	switch name {
	case "frequency":
		m.Risk.Frequency = with
	case "severity":
		m.Risk.Severity = with
	case "lapse":
		m.Churn.Lapse = with
	case "policy_lapse":
		m.Churn.PolicyLapse = with
	case "buy":
		m.Nbp.Common, m.Nbp.Groups = with, maps.Clone(m.Nbp.Groups)
		for g, own := range m.Nbp.Groups {
			m.Nbp.Groups[g] = model.Constant(own.Fields(), model.Logistic, 0, "")
		}
	}
}

// quick is a model whose reasons, which take a hundred times as long as its score, nobody reads.
type quick struct{ score.Model }

// Score leaves contrib as it is.
func (q quick) Score(row model.Row, _ []float64) float64 { return q.Model.Score(row, nil) }

// every is of how many rows one is predicted to find levels.
const every = 8

// relevel gives a model's branches the totals that ours have: a model that says ten times
// too much of a branch is divided by ten, as training does with ours.
func relevel(m, ours *risk.Model, t *train.Table) {
	type sums struct{ exposure, claims, amount float64 }
	total := func(of *risk.Model) map[string]*sums {
		out := map[string]*sums{}
		row := model.Row{Num: make([]float64, len(t.Fields)), Cat: make([]string, len(t.Fields))}
		branch := slices.IndexFunc(t.Fields, func(f model.Field) bool { return f.Name == "branch" })
		for i := 0; i < t.N; i += every {
			for c, f := range t.Fields {
				if f.Kind == model.Numeric {
					row.Num[c] = t.Num[c][i]
				} else {
					row.Cat[c] = t.Cat[c][i]
				}
			}
			s := out[row.Cat[branch]]
			if s == nil {
				s = &sums{}
				out[row.Cat[branch]] = s
			}
			n := t.Exposure[i] * of.Frequency.Mean(of.Frequency.Score(row, nil))
			s.exposure += t.Exposure[i]
			s.claims += n
			s.amount += n * of.Severity.Mean(of.Severity.Score(row, nil))
		}
		return out
	}
	theirs, own := total(m), total(ours)
	m.Branches = maps.Clone(ours.Branches)
	for name, s := range theirs {
		b := m.Branches[name]
		b.Frequency *= own[name].claims / s.claims
		b.Severity *= own[name].amount / own[name].claims / (s.amount / s.claims)
		m.Branches[name] = b
	}
}

// shape says what a table's file has: columns of little-endian float64, one after the other,
// the fields first, then y, weight, exposure and group. A category has the place of its
// name, −1 for none.
type shape struct {
	Rows      int                 `json:"rows"`
	Objective string              `json:"objective"`
	Fields    []string            `json:"fields"`
	Names     map[string][]string `json:"names"` // of categories
}

func export(dir string, t *train.Table) error {
	s := shape{Rows: t.N, Objective: "binary", Names: map[string][]string{}}
	switch t.Name {
	case "frequency":
		s.Objective = "poisson"
	case "severity":
		s.Objective = "gamma"
	}
	f, err := os.Create(filepath.Join(dir, t.Name+".bin"))
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	column := func(value func(i int) float64) {
		var b [8]byte
		for i := range t.N {
			binary.LittleEndian.PutUint64(b[:], math.Float64bits(value(i)))
			w.Write(b[:]) // Flush says what went wrong
		}
	}
	for c, field := range t.Fields {
		s.Fields = append(s.Fields, field.Name)
		if field.Kind == model.Numeric {
			column(func(i int) float64 { return t.Num[c][i] })
			continue
		}
		names := slices.Compact(slices.Sorted(slices.Values(t.Cat[c])))
		if len(names) > 0 && names[0] == "" {
			names = names[1:]
		}
		s.Names[field.Name] = append([]string{}, names...)
		at := map[string]float64{"": -1}
		for i, n := range names {
			at[n] = float64(i)
		}
		column(func(i int) float64 { return at[t.Cat[c][i]] })
	}
	or := func(of []float64) func(i int) float64 {
		return func(i int) float64 {
			if of == nil {
				return 1
			}
			return of[i]
		}
	}
	group := map[string]float64{}
	for _, key := range t.Group {
		if _, ok := group[key]; !ok {
			group[key] = float64(len(group))
		}
	}
	column(or(t.Y))
	column(or(t.Weight))
	column(or(t.Exposure))
	column(func(i int) float64 { return group[t.Group[i]] })
	if err := w.Flush(); err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, t.Name+".json"), text, 0o600)
}
