package scoring

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"polis/handler/internal/audit"
	"polis/handler/internal/churn"
	"polis/handler/internal/clv"
	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/lightgbm"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/risk"
	"polis/handler/internal/score"
)

// Models are all that scoring a tenant's book takes beside the book: what training
// found and what was assumed. They do not change; a new training makes new ones.
type Models struct {
	Version  string // the first 16 digits of SHA256
	SHA256   string // of the file, in hex
	Trained  portfolio.Date
	Risk     *risk.Model
	Churn    *churn.Model
	Clv      *clv.Model
	Nbp      *nbp.Model
	Settings Settings
	Ends     portfolio.EndTable
	// ContactsSince is the first contact of the book; no date where it keeps none.
	ContactsSince portfolio.Date
	Usual         Usual
}

const modelsFormat = 4

// file is the first line of the models' file, as JSON: the settings, and the names of the
// learnt models. Each of these is the JSON of a line of its own, in that order, so that
// they can be read side by side and compared with diff. One that was brought in is
// {"lightgbm": its file}.
type file struct {
	Format    int                    `json:"format"`
	Trained   portfolio.Date         `json:"trained_as_of"`
	Schema    feature.PolicySchema   `json:"policy_schema"`
	Branches  map[string]risk.Branch `json:"branches"`
	Quantiles []float64              `json:"loss_ratio_quantiles"`
	Losses    []float64              `json:"loss_quantiles,omitempty"`
	Bands     map[string]score.Bands `json:"bands"`
	Premium   map[string]float64     `json:"mean_premium"`
	Offers    map[string]nbp.Fitted  `json:"offers"`
	Clv       *clv.Model             `json:"clv"`
	Churn     churn.Book             `json:"churn"`
	Settings  Settings               `json:"settings"`
	Ends      map[string]string      `json:"end_reasons"`
	Contacts  portfolio.Date         `json:"contacts_since,omitzero"`
	Usual     Usual                  `json:"usual"`
	Learnt    []string               `json:"models"`
}

// Save writes the models as JSON and sets their version, the digest of what it wrote.
func (m *Models) Save(w io.Writer) error {
	f := file{
		Format: modelsFormat, Trained: m.Trained, Schema: m.Risk.Schema, Branches: m.Risk.Branches,
		Quantiles: m.Risk.Quantiles, Losses: m.Risk.LossQuantiles,
		Bands:   map[string]score.Bands{"risk": m.Risk.Bands, "churn": m.Churn.Bands, "nbp": m.Nbp.Bands},
		Premium: m.Nbp.Premium, Offers: m.Nbp.Fitted, Clv: m.Clv, Churn: m.Churn.Book, Settings: m.Settings, Ends: map[string]string{}, Contacts: m.ContactsSince,
	}
	f.Usual = m.Usual
	if reflect.DeepEqual(f.Settings.Audit, audits(audit.Defaults())) {
		f.Settings.Audit = nil
	}
	for reason, end := range m.Ends {
		f.Ends[reason] = end.String()
	}
	learnt := m.learnt()
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
	m.SHA256 = sha256Of(out.Bytes())
	m.Version = m.SHA256[:16]
	_, err := w.Write(out.Bytes())
	return err
}

// learnt are the learnt models by their names in the file.
func (m *Models) learnt() map[string]score.Model {
	out := map[string]score.Model{
		"frequency": m.Risk.Frequency, "severity": m.Risk.Severity, "lapse": m.Churn.Lapse, "other_end": m.Churn.Other, "buy": m.Nbp.Common,
		"policy_lapse": m.Churn.PolicyLapse, "policy_other_end": m.Churn.PolicyOther,
	}
	for g, gm := range m.Nbp.Groups {
		out[buys+g] = gm
	}
	return out
}

// buys begins the names of the models of who buys a group.
const buys = "buy_"

// places are what the learnt models read: the program's features, the schema's, since the
// policies of each book have rating factors of their own, and the groups', which are the
// tenant's.
type places struct{ policies, hazards, policyHazards, offers []model.Field }

func placesOf(schema feature.PolicySchema, groups *nbp.Grouping) *places {
	return &places{schema.Fields(), schema.HazardFields(), schema.PolicyHazardFields(), groups.Fields()}
}

// of is what the learnt model of a name predicts, and of what fields.
func (p *places) of(name string) (loss model.Loss, fields []model.Field, ok bool) {
	switch name {
	case "frequency":
		return model.Poisson, p.policies, true
	case "severity":
		return model.Gamma, p.policies, true
	case "lapse", "other_end":
		return model.Logistic, p.hazards, true
	case "policy_lapse", "policy_other_end":
		return model.Logistic, p.policyHazards, true
	}
	return model.Logistic, p.offers, strings.HasPrefix(name, buys) || name == "buy"
}

// Bring reads a model of LightGBM's to take the place of the learnt model of a name:
// frequency, severity, lapse, other_end, policy_lapse, policy_other_end, buy, or buy_ and a
// product group. One that cannot take it is fault.Invalid.
func Bring(name string, file []byte, schema feature.PolicySchema, groups *nbp.Grouping) (score.Model, error) {
	loss, fields, ok := placesOf(schema, groups).of(name)
	if !ok {
		return nil, fault.New(fault.Invalid, "no model is called %s, but frequency, severity, lapse, other_end, policy_lapse, policy_other_end, buy, and buy_ with a product group", name)
	}
	b, err := lightgbm.Bring(file, fields)
	if err != nil {
		return nil, err
	}
	if b.Loss() != loss {
		return nil, fault.New(fault.Invalid, "the model's loss is %s, that of %s is %s", b.Loss(), name, loss)
	}
	return b, nil
}

func sha256Of(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Parse reads what Save wrote. What is missing or wrong in it is fault.Malformed.
func Parse(body []byte) (*Models, error) {
	var f file
	head, rest, _ := bytes.Cut(body, []byte{'\n'})
	lines := bytes.Split(bytes.TrimSuffix(rest, []byte{'\n'}), []byte{'\n'})
	// The lines are read side by side, and beside the first: they are most of a cold start.
	models, errs := make([]*model.Model, len(lines)), make([]error, len(lines))
	var wg sync.WaitGroup
	for i, line := range lines {
		if !lightgbm.Saved(line) {
			wg.Go(func() { models[i], errs[i] = model.Parse(line) })
		}
	}
	err := json.Unmarshal(head, &f)
	wg.Wait()
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "reading models")
	}
	if f.Settings.Audit == nil {
		f.Settings.Audit = audits(audit.Defaults())
	}
	if f.Format != modelsFormat {
		return nil, fault.New(fault.Malformed, "models of format %d, this program reads %d", f.Format, modelsFormat)
	}
	if len(lines) != len(f.Learnt) {
		return nil, fault.New(fault.Malformed, "models of %d lines, %d are named", len(lines), len(f.Learnt))
	}
	groups, err := nbp.NewGrouping(f.Settings.Nbp.Groups)
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "reading models")
	}
	learnt, places := make(map[string]score.Model, len(lines)), placesOf(f.Schema, groups)
	for i, name := range f.Learnt {
		_, fields, _ := places.of(name)
		switch {
		case lightgbm.Saved(lines[i]):
			learnt[name], errs[i] = lightgbm.Restore(lines[i], fields)
		case errs[i] == nil:
			learnt[name], errs[i] = models[i].Over(fields)
		}
		if errs[i] != nil {
			return nil, fault.Wrap(fault.Malformed, errs[i], "reading model %s", name)
		}
	}
	sum := sha256Of(body)
	m := &Models{
		Version: sum[:16], SHA256: sum, Trained: f.Trained, Clv: f.Clv, Settings: f.Settings, Ends: portfolio.EndTable{}, ContactsSince: f.Contacts,
		Risk: &risk.Model{Frequency: learnt["frequency"], Severity: learnt["severity"], Schema: f.Schema, Branches: f.Branches, Quantiles: f.Quantiles, LossQuantiles: f.Losses, Bands: f.Bands["risk"]},
		Churn: &churn.Model{
			Definition: f.Settings.Churn.Definition, Lapse: learnt["lapse"], Other: learnt["other_end"],
			PolicyLapse: learnt["policy_lapse"], PolicyOther: learnt["policy_other_end"], Schema: f.Schema, Book: f.Churn, Bands: f.Bands["churn"],
		},
		Nbp: &nbp.Model{Common: learnt["buy"], Groups: map[string]score.Model{}, Fitted: f.Offers, Premium: f.Premium, Bands: f.Bands["nbp"]},
	}
	m.Usual = f.Usual
	for reason, name := range f.Ends {
		end, ok := portfolio.ParseEnd(name)
		if !ok {
			return nil, fault.New(fault.Malformed, "models map an end reason to %q, which is no end", name)
		}
		m.Ends[reason] = end
	}
	for name, lm := range learnt {
		if g, ok := strings.CutPrefix(name, buys); ok {
			m.Nbp.Groups[g] = lm
		}
	}
	return m, m.check()
}

// check makes sure that the models can be scored with: each is there, predicts what it
// is taken for, and is of the fields that the engines will give it.
func (m *Models) check() error {
	if m.Risk == nil || m.Churn == nil || m.Clv == nil || m.Nbp == nil {
		return fault.New(fault.Malformed, "the models of an engine are missing")
	}
	if err := m.Risk.Schema.Check(m.Settings.Features); err != nil {
		return fault.Wrap(fault.Malformed, err, "the models' schema of policies")
	}
	if err := m.Usual.check(); err != nil {
		return err
	}
	groups, err := nbp.NewGrouping(m.Settings.Nbp.Groups)
	if err != nil {
		return err
	}
	if err := m.Nbp.Check(groups); err != nil {
		return err
	}
	learnt, places := m.learnt(), placesOf(m.Risk.Schema, groups)
	for _, name := range slices.Sorted(maps.Keys(learnt)) {
		loss, fields, _ := places.of(name)
		if err := sameFields(name, learnt[name], loss, fields); err != nil {
			return err
		}
		if err := m.Settings.Allow(learnt[name]); err != nil {
			return fault.Wrap(fault.Malformed, err, "model %s", name)
		}
	}
	for _, q := range [][]float64{m.Risk.Quantiles, m.Risk.LossQuantiles} {
		if !slices.IsSorted(q) {
			return fault.New(fault.Malformed, "quantiles do not ascend")
		}
	}
	if err := risk.CheckBranches(m.Risk.Branches); err != nil {
		return err
	}
	if err := errors.Join(m.Churn.Check(), m.Clv.Check()); err != nil {
		return err
	}
	return m.Settings.Check()
}

func sameFields(name string, m score.Model, loss model.Loss, fields []model.Field) error {
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
	Model score.Model
}

// Learnt lists the learnt models, the engines' in their order.
func (m *Models) Learnt() []Learnt {
	out := []Learnt{
		{"claim frequency", m.Risk.Frequency},
		{"claim severity", m.Risk.Severity},
		{"lapse", m.Churn.Lapse},
		{"other ends", m.Churn.Other},
		{"lapse of a policy", m.Churn.PolicyLapse},
		{"other ends of a policy", m.Churn.PolicyOther},
		{"purchase of anything", m.Nbp.Common},
	}
	for _, g := range slices.Sorted(maps.Keys(m.Nbp.Groups)) {
		out = append(out, Learnt{"purchase of " + g, m.Nbp.Groups[g]})
	}
	return out
}
