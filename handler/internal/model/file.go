package model

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"

	"polis/handler/internal/fault"
)

// fileVersion is the version of the model file's format.
const fileVersion = 3

// maxLink bounds the intercept and every value: a link far beyond this says that
// the file is corrupt, as exp would leave the range of numbers.
const maxLink = 1e3

// maxFile bounds what Load reads; models of tens of thousands of names have some MiB.
const maxFile = 256 << 20

// The file is JSON, one line per field and per term, so that two models differ
// line by line. Numbers are as short as they can be without changing.
type (
	fileModel struct {
		Format    int // "polis_model"
		Loss      Loss
		Intercept float64
		Meta      Meta
		Fields    []fileField
		Terms     []fileTerm
	}
	fileField struct {
		Field
		Edges  []float64 `json:"edges,omitempty"`  // v is in bin 1 + the number of edges ≤ v; bin 0 is missing
		Names  []string  `json:"names,omitempty"`  // of bins 2, 3, …; bin 0 is missing, 1 any other
		Coarse []int     `json:"coarse,omitempty"` // coarse bin by bin, for pairs
		// Lengths of the beginnings that are names too, for codes that are none, the longest first.
		Prefixes []int `json:"prefixes,omitempty"`
	}
	fileTerm struct {
		Fields []int     `json:"fields"`
		Table  values    `json:"table"`            // by bin; of a pair by coarse bins, the second changing fastest
		Errors []float64 `json:"errors,omitempty"` // standard errors of the table's values
		Weight []float64 `json:"weight,omitempty"` // exposure behind them
	}
)

// values are a model's, written on their grid.
type values []float64

func (n values) MarshalJSON() ([]byte, error) {
	out := make([]byte, 1, 8*len(n)+2)
	out[0] = '['
	for i, v := range n {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendValue(out, v)
	}
	return append(out, ']'), nil
}

func appendValue(out []byte, v float64) []byte {
	if v != round(v) {
		return strconv.AppendFloat(out, v, 'g', -1, 64)
	}
	out = strconv.AppendFloat(out, v, 'f', 5, 64)
	return bytes.TrimSuffix(bytes.TrimRight(out, "0"), []byte{'.'})
}

// Save writes the model. The same model gives the same bytes.
func (m *Model) Save(w io.Writer) error {
	if _, err := w.Write(m.encode()); err != nil {
		return fault.Wrap(fault.Internal, err, "writing a model")
	}
	return nil
}

// encode cannot fail: a model holds only finite numbers and strings.
func (m *Model) encode() []byte {
	out := &bytes.Buffer{}
	line := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic("model: " + err.Error())
		}
		out.Write(b)
	}
	out.WriteString("{\n\"polis_model\":" + strconv.Itoa(fileVersion) + ",\n\"loss\":")
	line(m.loss)
	out.WriteString(",\n\"intercept\":")
	out.Write(appendValue(nil, m.intercept))
	out.WriteString(",\n\"meta\":")
	line(m.meta)
	out.WriteString(",\n\"fields\":[")
	used := make([]bool, len(m.fields))
	for _, f := range m.used {
		used[f] = true
	}
	places, n := make([]int, len(m.fields)), 0
	for i, f := range m.fields {
		if m.lean && !used[i] {
			continue
		}
		out.WriteString(separator(n))
		places[i] = n
		n++
		field := fileField{Field: f}
		if used[i] { // what no term reads is not worth its bytes
			b := m.binnings[i]
			field.Edges, field.Names, field.Prefixes = b.edges, b.names, b.prefixes
			for _, c := range b.coarse {
				field.Coarse = append(field.Coarse, int(c))
			}
		}
		line(field)
	}
	out.WriteString("\n],\n\"terms\":[")
	for i, t := range m.terms {
		out.WriteString(separator(i))
		of := make([]int, len(t.fields))
		for k, f := range t.fields {
			of[k] = places[f]
		}
		line(fileTerm{Fields: of, Table: t.table, Errors: t.errors, Weight: t.weight})
	}
	out.WriteString("\n]\n}\n")
	return Seal(out.Bytes())
}

func separator(i int) string {
	if i == 0 {
		return "\n"
	}
	return ",\n"
}

// versionOf is a model's version: the beginning of its file's checksum.
func versionOf(sum string) string { return sum[:12] }

// Load reads what Save wrote and checks all of it: what is not such a file is
// fault.Malformed, what contradicts itself or is of another version fault.Invalid.
func Load(r io.Reader) (*Model, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "reading a model")
	}
	return Parse(content)
}

// Parse is Load of a file that is in memory.
func Parse(content []byte) (*Model, error) {
	if len(content) > maxFile {
		return nil, fault.New(fault.Malformed, "a model file is at most %d MiB", maxFile>>20)
	}
	var file fileModel
	err := file.decode(content)
	if file.Format != 0 && file.Format != fileVersion {
		return nil, fault.New(fault.Invalid, "the model file is of version %d; this program reads version %d", file.Format, fileVersion)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "this is not a model file")
	}
	sum, err := checkSeal(content)
	if err != nil {
		return nil, err
	}
	if !(math.Abs(file.Intercept) <= maxLink) {
		return nil, fault.New(fault.Invalid, "the intercept is beyond ±%v", float64(maxLink))
	}
	if len(file.Fields) > MaxFields {
		return nil, fault.New(fault.Invalid, "%d fields are more than %d", len(file.Fields), MaxFields)
	}
	m := &Model{
		loss:      file.Loss,
		intercept: file.Intercept,
		meta:      file.Meta,
		fields:    make([]Field, len(file.Fields)),
		binnings:  binningsOf(make([]binning, len(file.Fields))),
		terms:     make([]term, len(file.Terms)),
	}
	seen := make(map[string]bool, len(file.Fields))
	for i, f := range file.Fields {
		if err := checkField(f.Field, seen); err != nil {
			return nil, err
		}
		m.fields[i] = f.Field
		if *m.binnings[i], err = f.binning(); err != nil {
			return nil, err
		}
	}
	for i, t := range file.Terms {
		if m.terms[i], err = m.term(t); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "term %d", i)
		}
	}
	if err := m.keepsPromises(); err != nil {
		return nil, err
	}
	m.use()
	m.version = versionOf(sum)
	return m, nil
}

// keepsPromises checks that the terms together keep each field's monotone constraint.
func (m *Model) keepsPromises() error {
	for f, field := range m.fields {
		if field.Monotone == 0 {
			continue
		}
		first := 1
		if field.Kind == Category {
			first = 2
		}
		for k := first + 1; k < m.binnings[f].bins(field.Kind); k++ {
			if m.worstStep(f, k)*float64(field.Monotone) < 0 {
				return fault.New(fault.Invalid, "field %s: the tables are not monotone as the field says", field.Name)
			}
		}
	}
	return nil
}

func (f *fileField) binning() (binning, error) {
	b := binning{edges: f.Edges, names: f.Names, prefixes: f.Prefixes}
	switch {
	case f.Kind == Category && len(f.Edges) > 0, f.Kind == Numeric && len(f.Names) > 0:
		return b, fault.New(fault.Invalid, "field %s: a numeric field has edges, a category names", f.Name)
	case b.bins(f.Kind) > maxBins:
		return b, fault.New(fault.Invalid, "field %s has more than %d bins", f.Name, maxBins)
	}
	for i, p := range f.Prefixes {
		if p < 1 || i > 0 && p >= f.Prefixes[i-1] {
			return b, fault.New(fault.Invalid, "field %s: the lengths of beginnings do not descend", f.Name)
		}
	}
	for i := 1; i < len(f.Edges); i++ {
		if f.Edges[i] <= f.Edges[i-1] {
			return b, fault.New(fault.Invalid, "field %s: the edges do not ascend", f.Name)
		}
	}
	if f.Kind == Category {
		b.buildIndex()
		if _, empty := b.index[""]; empty || len(b.index) != len(b.names) {
			return b, fault.New(fault.Invalid, "field %s: a name is empty or there twice", f.Name)
		}
	}
	if len(f.Coarse) == 0 {
		return b, nil
	}
	if len(f.Coarse) != b.bins(f.Kind) {
		return b, fault.New(fault.Invalid, "field %s: there must be one coarse bin for each bin", f.Name)
	}
	b.coarse = make([]uint8, len(f.Coarse))
	for i, c := range f.Coarse {
		if c < 0 || c > maxCoarse {
			return b, fault.New(fault.Invalid, "field %s: coarse bins are from 0 to %d", f.Name, maxCoarse)
		}
		b.coarse[i] = uint8(c)
	}
	return b, nil
}

func (m *Model) term(t fileTerm) (term, error) {
	out := term{fields: t.Fields, table: t.Table, errors: t.Errors, weight: t.Weight}
	for _, f := range t.Fields {
		if f < 0 || f >= len(m.fields) {
			return out, fault.New(fault.Invalid, "there is no field %d", f)
		}
	}
	want := 0
	switch {
	case len(t.Fields) == 1:
		f := t.Fields[0]
		want = m.binnings[f].bins(m.fields[f].Kind)
	case len(t.Fields) == 2 && t.Fields[0] != t.Fields[1]:
		out.stride = m.binnings[t.Fields[1]].coarseBins()
		want = m.binnings[t.Fields[0]].coarseBins() * out.stride
	default:
		return out, fault.New(fault.Invalid, "a term has one field or two different ones")
	}
	for _, v := range t.Table {
		if !(math.Abs(v) <= maxLink) {
			return out, fault.New(fault.Invalid, "a value is beyond ±%v", float64(maxLink))
		}
	}
	for _, more := range [][]float64{t.Errors, t.Weight} {
		if more != nil && len(more) != len(t.Table) {
			return out, fault.New(fault.Invalid, "the table has %d values, and %d errors or weights", len(t.Table), len(more))
		}
		for _, v := range more {
			if !finite(v) || v < 0 {
				return out, fault.New(fault.Invalid, "an error or a weight is negative")
			}
		}
	}
	if want == 0 || len(t.Table) != want {
		return out, fault.New(fault.Invalid, "the table has %d values where its fields have %d bins", len(t.Table), want)
	}
	return out, nil
}
