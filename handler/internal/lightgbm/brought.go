package lightgbm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// Brought is a model in the place of one of an engine's: it reads the engine's fields,
// and its reasons are its features' Shapley values. It does not change, so any number of
// goroutines may use it.
type Brought struct {
	file      []byte
	version   string
	model     *Model
	loss      model.Loss
	mean      func(link float64) float64
	fields    []model.Field
	terms     []model.Term
	reads     []read // by term
	intercept float64
}

// read is a feature that some tree splits by, and the field that it is read from.
type read struct {
	feature, field int
	names          map[string]float64  // of a category: its codes
	numbers        map[float64]float64 // of a number that was a category in training: its codes
}

// Scores, intercepts and reasons are whole numbers of steps, of which there are so many
// to 1. Up to twice the reach such numbers are added without rounding, so that reasons
// sum to the score to the last bit. Half a step, 1.1e-13, is what this costs.
const (
	steps = 1 << 42
	reach = 1 << 10
)

func step(v float64) float64 { return math.RoundToEven(v*steps) / steps }

// maxBrought is the largest file that is brought in: engines hold many tenants' models.
const maxBrought = 16 << 20

// losses are what the objectives predict that an engine has a use for.
var losses = map[string]model.Loss{
	"binary": model.Logistic, "cross_entropy": model.Logistic, "poisson": model.Poisson, "gamma": model.Gamma, "tweedie": model.Tweedie,
}

// Bring reads a model file to take the place of a model of fields. Its features are
// fields by their names, of which it need not have all; where the engine has a category,
// the file must have the categories' names. What Load refuses is refused here, and
// what does not fit the fields is fault.Invalid.
func Bring(file []byte, fields []model.Field) (*Brought, error) {
	switch {
	case len(file) > maxBrought:
		return nil, fault.New(fault.Invalid, "a model that is brought in has at most %d MiB", maxBrought>>20)
	case len(fields) > model.MaxFields:
		return nil, fault.New(fault.Invalid, "%d fields are more than %d", len(fields), model.MaxFields)
	case !utf8.Valid(file): // it could not be kept as JSON
		return nil, fault.New(fault.Malformed, "the model is not UTF-8 text")
	}
	m, err := Load(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	objective := strings.Fields(m.objective)[0]
	loss, ok := losses[objective]
	if !ok {
		return nil, fault.New(fault.Invalid, "no engine has a use for the objective %s", objective)
	}
	if m.slope*m.most > reach {
		return nil, fault.New(fault.Invalid, "the trees add up to more than ±%d, where no link is", reach)
	}
	sum := sha256.Sum256(file)
	b := &Brought{
		file: slices.Clone(file), version: hex.EncodeToString(sum[:6]), model: m, loss: loss, mean: model.Constant(nil, loss, 0, "").Mean,
		fields: slices.Clone(fields), intercept: step(m.slope * m.expected),
	}
	if err := b.match(); err != nil {
		return nil, err
	}
	return b, nil
}

// match finds the field of each feature. Terms are in the order of the fields.
func (b *Brought) match() error {
	at := map[string]int{}
	for i, f := range b.fields {
		at[strings.ReplaceAll(f.Name, " ", "_")] = i // as LightGBM writes them
	}
	split := make([]bool, len(b.model.names))
	for i := range b.model.trees {
		for _, f := range b.model.trees[i].feature {
			split[f] = true
		}
	}
	taken := map[int]bool{}
	for i, name := range b.model.names {
		field, ok := at[name]
		if !ok {
			return fault.New(fault.Invalid, "the model has the feature %s, which the engine has not", name)
		}
		if taken[field] {
			return fault.New(fault.Invalid, "the model has the feature %s twice", name)
		}
		taken[field] = true
		if !split[i] {
			continue
		}
		r := read{feature: i, field: field}
		if err := r.code(b.fields[field], b.model.categories[i]); err != nil {
			return err
		}
		b.reads = append(b.reads, r)
	}
	slices.SortFunc(b.reads, func(x, y read) int { return x.field - y.field })
	for _, r := range b.reads {
		b.terms = append(b.terms, model.Term{Name: b.fields[r.field].Name, Fields: []int{r.field}})
	}
	return nil
}

// code finds the codes of a field's values, given the names that the training had for
// them; nil where it had numbers.
func (r *read) code(f model.Field, names []string) error {
	if f.Kind == model.Category {
		if names == nil {
			return fault.New(fault.Invalid, "the feature %s is a category, and the model does not say what its codes stand for: train on a data frame with columns of categories", f.Name)
		}
		r.names = make(map[string]float64, len(names))
		for code, name := range names {
			r.names[name] = float64(code)
		}
		return nil
	}
	if names == nil {
		return nil
	}
	r.numbers = make(map[float64]float64, len(names))
	for code, name := range names {
		v, err := strconv.ParseFloat(name, 64)
		if err != nil {
			return fault.New(fault.Invalid, "the feature %s is a number, and the model has names for it", f.Name)
		}
		r.numbers[v] = float64(code)
	}
	return nil
}

// value is what the model is given: NaN for what is missing, or was not there in training.
func (r *read) value(row model.Row) float64 {
	if r.names != nil {
		if r.field < len(row.Cat) {
			if code, ok := r.names[row.Cat[r.field]]; ok {
				return code
			}
		}
		return math.NaN()
	}
	if r.field >= len(row.Num) {
		return math.NaN()
	}
	v := row.Num[r.field]
	if r.numbers == nil {
		return v
	}
	if code, ok := r.numbers[v]; ok {
		return code
	}
	return math.NaN()
}

// Score is LightGBM's raw score of a row (for a binary objective times its sigmoid, so
// that it is a logit) to the nearest step, whether or not contributions are asked for.
// contrib is nil, or receives contribution i at index i as far as it is long: with
// Intercept they sum to the score exactly. Each is the Shapley value of its feature to
// within a step; what rounding leaves is in the last one. Score allocates nothing and may
// be called concurrently.
func (b *Brought) Score(row model.Row, contrib []float64) float64 {
	var buffer [model.MaxFields]float64
	values := buffer[:len(b.model.names)]
	for i := range b.reads {
		values[b.reads[i].feature] = b.reads[i].value(row)
	}
	score := step(b.model.slope * b.model.Raw(values))
	if len(contrib) == 0 || len(b.reads) == 0 {
		return score
	}
	var shapley [model.MaxFields]float64
	phi := shapley[:len(values)]
	b.model.Explain(values, phi)
	sum, before := b.model.slope*b.model.expected, b.intercept
	for i := range b.reads[:min(len(b.reads), len(contrib))] {
		sum += float64(b.model.slope * phi[b.reads[i].feature])
		after := score
		switch {
		case i == len(b.reads)-1:
		case math.Abs(sum) <= reach:
			after = step(sum)
		default: // only reasons that contradict each other, in a file that was tampered with
			after = before
		}
		contrib[i], before = after-before, after
	}
	return score
}

// Mean is the inverse link: the probability, frequency or amount that a score stands for.
func (b *Brought) Mean(link float64) float64 { return b.mean(link) }

// Intercept is the mean score of the training rows.
func (b *Brought) Intercept() float64 { return b.intercept }

// Terms are the features that some tree splits by.
func (b *Brought) Terms() []model.Term {
	out := make([]model.Term, len(b.terms))
	for i, t := range b.terms {
		out[i] = model.Term{Name: t.Name, Fields: slices.Clone(t.Fields)}
	}
	return out
}

// Fields are the engine's, in the order in which a row gives their values.
func (b *Brought) Fields() []model.Field { return slices.Clone(b.fields) }

// Loss is what the model predicts.
func (b *Brought) Loss() model.Loss { return b.loss }

// Version is a short hex digest of the model's file.
func (b *Brought) Version() string { return b.version }

// Meta says where the model comes from: of its training the file says too little.
func (b *Brought) Meta() model.Meta {
	return model.Meta{Note: fmt.Sprintf("brought in: %d trees of LightGBM's, file %s", len(b.model.trees), b.version)}
}

// saved is a model that is kept among others: the file as it was.
type saved struct {
	File string `json:"lightgbm"`
}

// mark is how the JSON of one begins.
const mark = `{"lightgbm":`

// Save writes the model as a JSON object on one line.
func (b *Brought) Save(w io.Writer) error {
	return fault.Wrap(fault.Internal, json.NewEncoder(w).Encode(saved{string(b.file)}), "writing a model")
}

// Saved reports whether a line is what Save wrote, and not another model's JSON.
func Saved(line []byte) bool { return bytes.HasPrefix(line, []byte(mark)) }

// Restore reads what Save wrote, for an engine of the fields.
func Restore(line []byte, fields []model.Field) (*Brought, error) {
	var s saved
	if err := json.Unmarshal(line, &s); err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "reading a model that was brought in")
	}
	return Bring([]byte(s.File), fields)
}
