package scoring

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"

	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/defend"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// Models are all that scoring a tenant's book takes beside the book: what training
// found and what was assumed. They do not change; a new training makes new ones.
type Models struct {
	Version  string // digest of the file
	Trained  portfolio.Date
	Risk     *risk.Model
	Churn    *churn.Model
	Nbp      *nbp.Model
	Clv      clv.Assumptions
	Playbook defend.Playbook
	Ends     portfolio.EndTable
}

const modelsFormat = 1

// file is the first line of the models' file, as JSON: the settings, and the names of the
// learnt models. Each of these is the JSON of a line of its own, in that order, so that
// they can be read side by side and compared with diff.
type file struct {
	Format    int                    `json:"format"`
	Trained   portfolio.Date         `json:"trained_as_of"`
	Schema    feature.PolicySchema   `json:"policy_schema"`
	Excess    map[string]float64     `json:"excess_loading"`
	Quantiles []float64              `json:"loss_ratio_quantiles"`
	Losses    []float64              `json:"loss_quantiles,omitempty"`
	Bands     map[string]score.Bands `json:"bands"`
	Premium   map[string]float64     `json:"mean_premium"`
	Clv       clv.Assumptions        `json:"clv"`
	Playbook  defend.Playbook        `json:"playbook"`
	Ends      map[string]string      `json:"end_reasons"`
	Learnt    []string               `json:"models"`
}

// Save writes the models as JSON and sets their version, the digest of what it wrote.
func (m *Models) Save(w io.Writer) error {
	f := file{
		Format: modelsFormat, Trained: m.Trained, Schema: m.Risk.Schema, Excess: m.Risk.Excess,
		Quantiles: m.Risk.Quantiles, Losses: m.Risk.LossQuantiles,
		Bands:   map[string]score.Bands{"risk": m.Risk.Bands, "churn": m.Churn.Bands, "nbp": m.Nbp.Bands},
		Premium: m.Nbp.Premium, Clv: m.Clv, Playbook: m.Playbook, Ends: map[string]string{},
	}
	for reason, end := range m.Ends {
		f.Ends[reason] = end.String()
	}
	learnt := map[string]*model.Model{
		"frequency": m.Risk.Frequency, "severity": m.Risk.Severity, "lapse": m.Churn.Lapse, "other_end": m.Churn.Other,
	}
	for b, bm := range m.Nbp.Branches {
		learnt["buy_"+b] = bm
	}
	f.Learnt = slices.Sorted(maps.Keys(learnt))
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(f); err != nil {
		return fault.Wrap(fault.Internal, err, "encoding models")
	}
	for _, name := range f.Learnt {
		var buf bytes.Buffer
		err := learnt[name].Save(&buf)
		if err == nil {
			err = json.Compact(&out, buf.Bytes())
		}
		if err != nil {
			return fault.Wrap(fault.Internal, err, "saving model %s", name)
		}
		out.WriteByte('\n')
	}
	m.Version = digest(out.Bytes())
	_, err := w.Write(out.Bytes())
	return err
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}

// Load reads what Save wrote. What is missing or wrong in it is fault.Malformed.
func Load(r io.Reader) (*Models, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "reading models")
	}
	var f file
	head, rest, _ := bytes.Cut(body, []byte{'\n'})
	if err := json.Unmarshal(head, &f); err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "reading models")
	}
	if f.Format != modelsFormat {
		return nil, fault.New(fault.Malformed, "models of format %d, this program reads %d", f.Format, modelsFormat)
	}
	learnt, err := loadAll(f.Learnt, rest)
	if err != nil {
		return nil, err
	}
	m := &Models{
		Version: digest(body), Trained: f.Trained, Clv: f.Clv, Playbook: f.Playbook, Ends: portfolio.EndTable{},
		Risk:  &risk.Model{Frequency: learnt["frequency"], Severity: learnt["severity"], Schema: f.Schema, Excess: f.Excess, Quantiles: f.Quantiles, LossQuantiles: f.Losses, Bands: f.Bands["risk"]},
		Churn: &churn.Model{Lapse: learnt["lapse"], Other: learnt["other_end"], Bands: f.Bands["churn"]},
		Nbp:   &nbp.Model{Branches: map[string]*model.Model{}, Premium: f.Premium, Bands: f.Bands["nbp"]},
	}
	m.Risk.Sold = m.Nbp.Sold()
	for reason, name := range f.Ends {
		end, ok := portfolio.ParseEnd(name)
		if !ok {
			return nil, fault.New(fault.Malformed, "models map an end reason to %q, which is no end", name)
		}
		m.Ends[reason] = end
	}
	for name, lm := range learnt {
		if b, ok := bytes.CutPrefix([]byte(name), []byte("buy_")); ok {
			m.Nbp.Branches[string(b)] = lm
		}
	}
	return m, m.check()
}

// loadAll reads the learnt models side by side: they are most of a cold start.
func loadAll(names []string, rest []byte) (map[string]*model.Model, error) {
	lines := bytes.Split(bytes.TrimSuffix(rest, []byte{'\n'}), []byte{'\n'})
	if len(lines) != len(names) {
		return nil, fault.New(fault.Malformed, "models of %d lines, %d are named", len(lines), len(names))
	}
	models, errs := make([]*model.Model, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	for i := range names {
		wg.Go(func() { models[i], errs[i] = model.Load(bytes.NewReader(lines[i])) })
	}
	wg.Wait()
	out := make(map[string]*model.Model, len(names))
	for i, name := range names {
		if errs[i] != nil {
			return nil, fault.Wrap(fault.Malformed, errs[i], "reading model %s", name)
		}
		out[name] = models[i]
	}
	return out, nil
}

// check makes sure that the models can be scored with: each is there, predicts what it
// is taken for, and is of the fields that the engines will give it.
func (m *Models) check() error {
	if m.Risk == nil || m.Churn == nil || m.Nbp == nil {
		return fault.New(fault.Malformed, "the models of an engine are missing")
	}
	for _, c := range []struct {
		name   string
		model  *model.Model
		loss   model.Loss
		fields []model.Field
	}{
		{"frequency", m.Risk.Frequency, model.Poisson, m.Risk.Schema.Fields()},
		{"severity", m.Risk.Severity, model.Gamma, m.Risk.Schema.Fields()},
		{"lapse", m.Churn.Lapse, model.Logistic, feature.HazardFields()},
		{"other_end", m.Churn.Other, model.Logistic, feature.HazardFields()},
	} {
		if err := sameFields(c.name, c.model, c.loss, c.fields); err != nil {
			return err
		}
	}
	offer := feature.OfferFields()
	for _, b := range slices.Sorted(maps.Keys(m.Nbp.Branches)) {
		if err := sameFields("buy_"+b, m.Nbp.Branches[b], model.Logistic, offer); err != nil {
			return err
		}
	}
	for _, q := range [][]float64{m.Risk.Quantiles, m.Risk.LossQuantiles} {
		if !slices.IsSorted(q) {
			return fault.New(fault.Malformed, "quantiles do not ascend")
		}
	}
	for _, b := range slices.Sorted(maps.Keys(m.Risk.Excess)) {
		if !(m.Risk.Excess[b] >= 0) {
			return fault.New(fault.Malformed, "the excess loading of %s is negative", b)
		}
	}
	if err := m.Clv.Check(); err != nil {
		return err
	}
	return m.Playbook.Check()
}

func sameFields(name string, m *model.Model, loss model.Loss, fields []model.Field) error {
	if m == nil {
		return fault.New(fault.Malformed, "model %s is missing", name)
	}
	if m.Loss() != loss {
		return fault.New(fault.Malformed, "model %s has loss %s, not %s", name, m.Loss(), loss)
	}
	have := m.Fields()
	if len(have) != len(fields) {
		return fault.New(fault.Malformed, "model %s has %d fields, this program's features are %d: train again", name, len(have), len(fields))
	}
	for i := range have {
		if have[i].Name != fields[i].Name || have[i].Kind != fields[i].Kind {
			return fault.New(fault.Malformed, "field %d of model %s is %s, this program's is %s: train again", i, name, have[i].Name, fields[i].Name)
		}
	}
	return nil
}

// Learnt is one learnt model by name.
type Learnt struct {
	Name  string
	Model *model.Model
}

// Learnt lists the learnt models, the engines' in their order.
func (m *Models) Learnt() []Learnt {
	out := []Learnt{
		{"claim frequency", m.Risk.Frequency},
		{"claim severity", m.Risk.Severity},
		{"lapse", m.Churn.Lapse},
		{"other ends", m.Churn.Other},
	}
	for _, b := range portfolio.Branches {
		if bm := m.Nbp.Branches[b.Name]; bm != nil {
			out = append(out, Learnt{"purchase of " + b.Name, bm})
		}
	}
	return out
}
