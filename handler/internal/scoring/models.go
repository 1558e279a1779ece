package scoring

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"polis/handler/internal/audit"
	"polis/handler/internal/care"
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
	"polis/handler/internal/stack"
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
	// BranchNames are the tenant's own, for what is sent to be scored.
	BranchNames portfolio.BranchNames
	// ContactsSince is the first contact of the book; no date where it keeps none.
	ContactsSince portfolio.Date
	Usual         Usual

	worth   *clv.Plan   // see plan
	checked bool        // by Parse: scorers need not do it again
	care    *care.Rules // those that hold by the settings, of models that were checked
}

var planning sync.Mutex

// plan is what values are planned with, made when the first is asked for: scores of other
// engines do without, and all scorers share it. From then on Clv and its settings stay.
func (m *Models) plan() *clv.Plan {
	planning.Lock()
	defer planning.Unlock()
	if m.worth == nil {
		m.worth = clv.NewPlan(m.Settings.Clv, m.Clv)
	}
	return m.worth
}

// Within are the same models with values over so many months. They plan values of their
// own: what m planned, if it did, was for its own months.
func (m *Models) Within(months int) *Models {
	planning.Lock()
	defer planning.Unlock()
	short := *m
	short.Settings.Clv.HorizonMonths, short.worth = months, nil
	return &short
}

const modelsFormat = 6

// file is the first line of the models' file, as JSON, with the names of the learnt models. The
// settings, what values are made of and what is usual are lines of their own, and so is each
// learnt model, in that order, so that they can be read side by side and compared with diff.
// A model that was brought in is {"lightgbm": its file}.
type file struct {
	Format      int                    `json:"format"`
	Trained     portfolio.Date         `json:"trained_as_of"`
	Schema      feature.PolicySchema   `json:"policy_schema"`
	Branches    map[string]risk.Branch `json:"branches"`
	Quantiles   []float64              `json:"loss_ratio_quantiles"`
	Losses      []float64              `json:"loss_quantiles,omitempty"`
	Bands       map[string]score.Bands `json:"bands"`
	Premium     map[string]float64     `json:"mean_premium"`
	Offers      map[string]nbp.Fitted  `json:"offers"`
	Churn       churn.Book             `json:"churn"`
	Ends        map[string]string      `json:"end_reasons"`
	Contacts    portfolio.Date         `json:"contacts_since,omitzero"`
	BranchNames portfolio.BranchNames  `json:"branch_names,omitempty"`
	Learnt      []string               `json:"models"`
}

// parts are the lines between the first and those of learnt models.
const parts = 3

// standard are the settings that Polis comes with as a line of a file: reading them would be a
// third of what a cold start reads, and most books have set nothing.
//
//go:embed standard.json
var standard []byte

func isStandard(line []byte) bool {
	return bytes.Equal(line, bytes.TrimSuffix(standard, []byte{'\n'}))
}

// readSettings reads a file's settings. What the file does not say, because it is older than
// the setting, is as this program comes with it: a new setting, or a new play, keeps no tenant
// from scoring.
func readSettings(line []byte) (Settings, error) {
	if isStandard(line) {
		return DefaultSettings(), nil
	}
	s := DefaultSettings().clone()
	err := json.Unmarshal(line, &s)
	return s, err
}

// ParseSettings reads the settings alone of what Save wrote, of this format or of an older one:
// what a tenant has set outlives the models. What cannot be read, or would not be taken today,
// is fault.Malformed.
func ParseSettings(body []byte) (Settings, error) {
	head, rest, _ := bytes.Cut(body, []byte{'\n'})
	line, _, _ := bytes.Cut(rest, []byte{'\n'})
	var f struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(head, &f) == nil && f.Format < 6 {
		line = ofRelations(line)
	}
	s, err := readSettings(line)
	if err == nil {
		err = s.Check()
	}
	return s, fault.Wrap(fault.Malformed, err, "reading the settings of models")
}

// ofRelations is a line of settings of before format 6, by the names of now: churn's market had
// its lapse and other of relations. Its rates of policies were of those whose relation goes on,
// which nothing goes by any more: those of now are as this program comes with them.
func ofRelations(line []byte) []byte {
	var all, churn, market map[string]json.RawMessage
	if json.Unmarshal(line, &all) != nil || json.Unmarshal(all["churn"], &churn) != nil || json.Unmarshal(churn["market"], &market) != nil {
		return line
	}
	for was, is := range map[string]string{"lapse": "relation_lapse", "other": "relation_other"} {
		if rate, ok := market[was]; ok {
			market[is] = rate
			delete(market, was)
		}
	}
	churn["market"] = marshalled(market)
	all["churn"] = marshalled(churn)
	return marshalled(all)
}

// marshalled is JSON of what was read from JSON, which cannot fail.
func marshalled(v map[string]json.RawMessage) json.RawMessage {
	b, _ := json.Marshal(v)
	return b
}

func settingsLine(s Settings) ([]byte, error) {
	if reflect.DeepEqual(s.Audit, audits(audit.Defaults())) {
		s.Audit = nil
	}
	return json.Marshal(s)
}

// Save writes the models as JSON and sets their version, the digest of what it wrote.
func (m *Models) Save(w io.Writer) error {
	f := file{
		Format: modelsFormat, Trained: m.Trained, Schema: m.Risk.Schema, Branches: m.Risk.Branches,
		Quantiles: m.Risk.Quantiles, Losses: m.Risk.LossQuantiles,
		Bands:   map[string]score.Bands{"risk": m.Risk.Bands, "churn": m.Churn.Bands, "nbp": m.Nbp.Bands},
		Premium: m.Nbp.Premium, Offers: m.Nbp.Fitted, Churn: m.Churn.Book, Ends: map[string]string{}, Contacts: m.ContactsSince, BranchNames: m.BranchNames,
	}
	for reason, end := range m.Ends.Reasons {
		f.Ends[reason] = end.String()
	}
	learnt := m.learnt()
	f.Learnt = slices.Sorted(maps.Keys(learnt))
	var out bytes.Buffer
	head, first := json.Marshal(f)
	settings, second := settingsLine(m.Settings)
	worth, third := json.Marshal(m.Clv)
	usual, fourth := json.Marshal(m.Usual)
	if err := errors.Join(first, second, third, fourth); err != nil {
		return fault.Wrap(fault.Internal, err, "encoding models")
	}
	for _, line := range [...][]byte{head, settings, worth, usual} {
		out.Write(line)
		out.WriteByte('\n')
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
	if len(lines) < parts {
		return nil, fault.New(fault.Malformed, "models of %d lines", 1+len(lines))
	}
	m := &Models{Clv: &clv.Model{}}
	var of [1 + parts]error
	var sum string
	settings, worth, usual, lines := lines[0], lines[1], lines[2], lines[parts:]
	models, errs := make([]*model.Model, len(lines)), make([]error, len(lines))
	tasks := []func(){
		func() { of[0] = json.Unmarshal(head, &f) },
		func() { of[1] = json.Unmarshal(worth, m.Clv) },
		func() { of[2] = json.Unmarshal(usual, &m.Usual) },
		func() {
			if m.Settings, of[3] = readSettings(settings); of[3] == nil {
				m.care, of[3] = care.Compile(&m.Settings.Care)
			}
		},
		func() { sum = sha256Of(body) },
		feature.ReadWords, // by which the schema is checked
	}
	// The longest first: who is done early would have nothing left to do beside it.
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return len(lines[b]) - len(lines[a]) })
	for _, i := range order {
		if !lightgbm.Saved(lines[i]) {
			tasks = append(tasks, func() { models[i], errs[i] = model.Parse(lines[i]) })
		}
	}
	sideBySide(tasks)
	err := errors.Join(of[:]...)
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "reading models")
	}
	if f.Format != modelsFormat {
		return nil, fault.New(fault.Malformed, "models of format %d, this program reads %d", f.Format, modelsFormat)
	}
	if len(lines) != len(f.Learnt) {
		return nil, fault.New(fault.Malformed, "models of %d lines, %d are named", len(lines), len(f.Learnt))
	}
	groups, err := nbp.NewGrouping(m.Settings.Nbp.Groups)
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
	m.Version, m.SHA256, m.Trained, m.Ends, m.ContactsSince, m.BranchNames = sum[:16], sum, f.Trained, portfolio.EndTable{Reasons: map[string]portfolio.End{}}.Within(m.Settings.Churn.ReplacementDays), f.Contacts, f.BranchNames
	m.Risk = &risk.Model{Frequency: learnt["frequency"], Severity: learnt["severity"], Schema: f.Schema, Branches: f.Branches, Quantiles: f.Quantiles, LossQuantiles: f.Losses, Bands: f.Bands["risk"]}
	m.Churn = &churn.Model{
		Definition: m.Settings.Churn.Definition, Lapse: learnt["lapse"], Other: learnt["other_end"],
		PolicyLapse: learnt["policy_lapse"], PolicyOther: learnt["policy_other_end"], Schema: f.Schema, Book: f.Churn, Bands: f.Bands["churn"],
	}
	m.Nbp = &nbp.Model{Common: learnt["buy"], Groups: map[string]score.Model{}, Fitted: f.Offers, Premium: f.Premium, Bands: f.Bands["nbp"]}
	for reason, name := range f.Ends {
		end, ok := portfolio.ParseEnd(name)
		if !ok {
			return nil, fault.New(fault.Malformed, "models map an end reason to %q, which is no end", name)
		}
		m.Ends.Reasons[reason] = end
	}
	for name, lm := range learnt {
		if g, ok := strings.CutPrefix(name, buys); ok {
			m.Nbp.Groups[g] = lm
		}
	}
	// The standard settings were checked before they were published: with the program.
	if err = m.checkLearnt(groups, places); err == nil && !isStandard(settings) {
		err = m.Settings.Check()
	}
	if err != nil { // whatever kind it was of: it is the file's, and nobody's who asks for a score
		return nil, fault.Wrap(fault.Malformed, err, "reading models")
	}
	m.checked = true
	return m, nil
}

// sideBySide does all tasks, on all cores: the lines of a file are most of a cold start. They
// share a goroutine a core, since each one more would grow a stack of its own.
func sideBySide(tasks []func()) {
	var next atomic.Int64
	work := func() {
		stack.Grow()
		for i := next.Add(1); i <= int64(len(tasks)); i = next.Add(1) {
			tasks[i-1]()
		}
	}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// check makes sure that the models can be scored with: each is there, predicts what it
// is taken for, and is of the fields that the engines will give it.
func (m *Models) check() error {
	if m.Risk == nil || m.Churn == nil || m.Clv == nil || m.Nbp == nil {
		return fault.New(fault.Malformed, "the models of an engine are missing")
	}
	groups, err := nbp.NewGrouping(m.Settings.Nbp.Groups)
	if err != nil {
		return err
	}
	places := placesOf(m.Risk.Schema, groups)
	if err := m.checkLearnt(groups, places); err != nil {
		return err
	}
	for name, lm := range m.learnt() {
		_, fields, _ := places.of(name)
		if err := sameFields(name, lm, fields); err != nil {
			return err
		}
	}
	return m.Settings.Check()
}

// checkLearnt checks all but the settings, from which the groups are, and the fields of learnt models,
// which those that were read are made for.
func (m *Models) checkLearnt(groups *nbp.Grouping, places *places) error {
	if err := m.Risk.Schema.Check(m.Settings.Features); err != nil {
		return fault.Wrap(fault.Malformed, err, "the models' schema of policies")
	}
	if err := m.Usual.check(); err != nil {
		return err
	}
	if err := m.Nbp.Check(groups); err != nil {
		return err
	}
	learnt := m.learnt()
	for _, name := range slices.Sorted(maps.Keys(learnt)) {
		switch loss, _, _ := places.of(name); {
		case learnt[name] == nil:
			return fault.New(fault.Malformed, "model %s is missing", name)
		case learnt[name].Loss() != loss:
			return fault.New(fault.Malformed, "model %s has loss %s, not %s", name, learnt[name].Loss(), loss)
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
	return errors.Join(m.Churn.Check(), m.Clv.Check())
}

func sameFields(name string, m score.Model, fields []model.Field) error {
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
		{"lapse of a relation", m.Churn.Lapse},
		{"other ends of a relation", m.Churn.Other},
		{"lapse of a policy", m.Churn.PolicyLapse},
		{"other ends of a policy", m.Churn.PolicyOther},
		{"purchase of anything", m.Nbp.Common},
	}
	for _, g := range slices.Sorted(maps.Keys(m.Nbp.Groups)) {
		out = append(out, Learnt{"purchase of " + g, m.Nbp.Groups[g]})
	}
	return out
}
