// Package model is Polis's learner: additive models on binned features, with
// pairwise interactions, fitted in rounds over the fields: tables whose smoothness is
// learnt, then small boosted trees (GA2M; Lou et al. 2012 and 2013, Nori et al. 2019). Shape functions are tables, so a score is a
// sum of look-ups and its reasons are the summands.
//
// Fit makes a Model from a Frame and a Target, Load reads one from its file, and
// Score reads a Row. The same data, options and seed give the same bytes on
// every machine and with any number of workers: no sum depends on scheduling,
// and products that are added are rounded first, as float64(x*y), so that no
// compiler may fuse them.
package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
	"polis/handler/internal/measure"
)

// Kind is how a field's values are read.
type Kind uint8

// A Numeric field has an order and NaN for missing; a Category field has names
// and "" for missing. A category that training did not see, or saw too rarely to
// learn from, is read as "other", which has a bin of its own.
const (
	Numeric Kind = iota
	Category
)

// Field is one column of a table or one value of a Row.
type Field struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Monotone is +1 or -1 where the score may only rise or fall with the value; else 0.
	Monotone int8 `json:"monotone,omitempty"`
	// Order makes a category an ordered one: its names from low to high, with | between.
	Order string `json:"order,omitempty"`
}

// Row is one case to score. Both slices are as long as the model's fields: field
// i is in Num[i] if numeric, in Cat[i] if a category.
type Row struct {
	Num []float64
	Cat []string
}

// Frame is a training table, by columns: field i is in Num[i] or in Cat[i], the
// other being nil.
type Frame struct {
	Fields []Field
	Num    [][]float64
	Cat    [][]string
	N      int // rows
}

// MaxFields is how many fields a model may have.
const MaxFields = 512

// Loss is what is being predicted, which fixes the link: logit for Logistic, log
// for the others.
type Loss uint8

// Logistic predicts the probability of a 0/1 outcome, Poisson a count per unit
// of exposure, Gamma a positive mean amount weighted by its count, Tweedie a cost per
// unit of exposure, many of which are 0: a compound of Poisson and Gamma, whose variance
// grows with the mean's power of 1.5, in the middle between the two, as insurance costs'
// do (Jørgensen and Paes de Souza 1994 find 1.4 to 1.6).
const (
	Logistic Loss = iota
	Poisson
	Gamma
	Tweedie
)

var (
	kindNames = [...]string{"numeric", "category"}
	lossNames = [...]string{"logistic", "poisson", "gamma", "tweedie"}
)

func (k Kind) String() string { return name(kindNames[:], int(k)) }

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return marshalName("kind", kindNames[:], int(k)) }

// UnmarshalText reads what MarshalText wrote.
func (k *Kind) UnmarshalText(b []byte) error {
	i, err := parseName("kind", kindNames[:], b)
	*k = Kind(i)
	return err
}

func (l Loss) String() string { return name(lossNames[:], int(l)) }

// MarshalText writes the loss's name.
func (l Loss) MarshalText() ([]byte, error) { return marshalName("loss", lossNames[:], int(l)) }

// UnmarshalText reads what MarshalText wrote.
func (l *Loss) UnmarshalText(b []byte) error {
	i, err := parseName("loss", lossNames[:], b)
	*l = Loss(i)
	return err
}

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

func marshalName(what string, names []string, i int) ([]byte, error) {
	if i >= len(names) {
		return nil, fault.New(fault.Invalid, "%s %d is unknown", what, i)
	}
	return []byte(names[i]), nil
}

func parseName(what string, names []string, b []byte) (int, error) {
	for i, n := range names {
		if n == string(b) {
			return i, nil
		}
	}
	return 0, fault.New(fault.Invalid, "%s is none of %s", what, strings.Join(names, ", "))
}

// Meta is what a model says about itself; nothing in it changes a score.
type Meta struct {
	Name    string  `json:"name,omitempty"`
	Note    string  `json:"note,omitempty"`    // why the model is what it is, for people
	Trained string  `json:"trained,omitempty"` // the as-of date of its data, ISO 8601
	Rows    int     `json:"rows"`              // rows it was fitted on
	Events  float64 `json:"events"`            // weighted events or claims among them
	// Censored is how much of what was at risk, in months or years as the model has them,
	// was left out because what came of it may be the work of somebody who acted.
	Censored float64            `json:"censored,omitempty"`
	Metrics  map[string]float64 `json:"metrics,omitempty"` // see Fit
	// Of a model fitted to a table of somebody's own: the columns that are no features,
	// the SHA-256 of the table, and the options that were not the defaults.
	Target   string            `json:"target,omitempty"`
	Exposure string            `json:"exposure,omitempty"`
	Weight   string            `json:"weight,omitempty"`
	Data     string            `json:"data,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
	// What its report shows: see the types.
	Trial       *measure.Trial   `json:"trial,omitempty"` // of rows held out; it is never changed
	Comparisons []Comparison     `json:"comparisons,omitempty"`
	Clusters    [][]string       `json:"clusters,omitempty"` // fields that go together
	Proxies     []Proxy          `json:"proxies,omitempty"`
	Protected   []ProtectedGroup `json:"protected,omitempty"`
}

// Term is one summand of a score: a main effect of one field or a pair of two.
type Term struct {
	Name   string // the field's name, or both with " × " between them
	Fields []int  // indices into Fields
}

// Model is a fitted model. It does not change, so any number of goroutines may
// score with it.
type Model struct {
	loss      Loss
	fields    []Field
	binnings  []*binning // by field; unused where nothing is known of one that no term reads
	intercept float64
	terms     []term
	used      []int // fields that some term reads, ascending
	lean      bool  // of its fields those in use alone are in its file
	meta      Meta
	version   string
}

// term is a table of contributions. A main effect has one value per bin of its
// field; a pair has one per pair of coarse bins, the first field's changing slowest.
type term struct {
	fields []int
	table  []float64
	stride int       // coarse bins of a pair's second field
	errors []float64 // standard errors of the values; nil: not known
	weight []float64 // exposure behind each; nil: not known
}

// Constant is an intercept-only model over fields, for where there is too little
// to learn from; note says so. The intercept is on the link scale, held within
// ±700; one that is not a number is read as 0.
func Constant(fields []Field, loss Loss, intercept float64, note string) *Model {
	if math.IsNaN(intercept) {
		intercept = 0
	}
	intercept = max(-exact.Most, min(exact.Most, intercept))
	m := &Model{
		loss:      loss,
		fields:    append([]Field(nil), fields...),
		binnings:  binningsOf(make([]binning, len(fields))),
		intercept: intercept,
		meta:      Meta{Note: note},
	}
	m.seal()
	return m
}

// Fields are the model's fields, in the order in which a Row gives their values.
func (m *Model) Fields() []Field { return append([]Field(nil), m.fields...) }

// Terms are the summands of a score, main effects first; contribution i belongs
// to term i. A field without a term has no influence on the score.
func (m *Model) Terms() []Term {
	out := make([]Term, len(m.terms))
	for i, t := range m.terms {
		names := make([]string, len(t.fields))
		for k, f := range t.fields {
			names[k] = m.fields[f].Name
		}
		out[i] = Term{Name: strings.Join(names, " × "), Fields: append([]int(nil), t.fields...)}
	}
	return out
}

// Loss is what the model predicts.
func (m *Model) Loss() Loss { return m.loss }

// Intercept is the score of an average case, on the link scale.
func (m *Model) Intercept() float64 { return m.intercept }

// Version is a short hex digest of the model's file, the same wherever it is read.
func (m *Model) Version() string { return m.version }

// Meta is what the model says about itself.
func (m *Model) Meta() Meta { return m.meta.clone() }

// WithMeta is the same model with another Meta, hence of another Version. Numbers
// that are not finite have no place in JSON: what holds one is left out.
func (m *Model) WithMeta(meta Meta) *Model {
	out := *m
	out.meta = meta.clone()
	out.meta.keepFinite()
	out.seal()
	return &out
}

// Lean is the same model without what scoring does not need: the standard errors of its
// values and the exposure behind them, what else was fitted, and in its file the fields that
// no term reads, which Over brings back. It is a third of the file, and of a cold start.
func (m *Model) Lean() *Model {
	out := *m
	out.lean = true
	out.terms = slices.Clone(m.terms)
	for i := range out.terms {
		out.terms[i].errors, out.terms[i].weight = nil, nil
	}
	out.meta.Comparisons, out.meta.Clusters = nil, nil
	out.seal()
	return &out
}

// Over is the model for rows of more fields than its own, in any order. One that is missing
// among them, or of another kind, is fault.Invalid.
func (m *Model) Over(fields []Field) (*Model, error) {
	if slices.Equal(m.fields, fields) {
		return m, nil
	}
	out := *m
	out.lean = true
	out.fields, out.binnings, out.terms = fields, make([]*binning, len(fields)), slices.Clone(m.terms)
	for i := range out.binnings {
		out.binnings[i] = unused
	}
	places := make([]int, len(m.fields))
	next := 0
	for i, f := range m.fields {
		// They most often come in the same order.
		at := slices.IndexFunc(fields[next:], func(g Field) bool { return g.Name == f.Name }) + next
		if at < next {
			at = slices.IndexFunc(fields, func(g Field) bool { return g.Name == f.Name })
		}
		if at < 0 || fields[at] != f {
			return nil, fault.New(fault.Invalid, "the rows have no field %s like the model's", f.Name)
		}
		places[i], out.binnings[at], next = at, m.binnings[i], at+1
	}
	of := make([]int, 0, 2*len(m.terms))
	for i := range out.terms {
		from := len(of)
		for _, f := range m.terms[i].fields {
			of = append(of, places[f])
		}
		out.terms[i].fields = of[from:len(of):len(of)]
	}
	out.use()
	return &out, nil
}

// seal fixes what follows from the rest: the fields in use and the version.
func (m *Model) seal() {
	m.use()
	sum, _ := checkSeal(m.encode()) // it was just put there
	m.version = versionOf(sum)
}

// use notes which fields the terms read.
func (m *Model) use() {
	seen := make([]bool, len(m.fields))
	for _, t := range m.terms {
		for _, f := range t.fields {
			seen[f] = true
		}
	}
	m.used = nil
	for f, s := range seen {
		if s {
			m.used = append(m.used, f)
		}
	}
}

// String is for a log line: what it predicts and how large it is.
func (m *Model) String() string {
	return fmt.Sprintf("%s model %s: %d of %d fields, %d terms", m.loss, m.version, len(m.used), len(m.fields), len(m.terms))
}
