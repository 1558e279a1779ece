package hazard

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"slices"
	"sync"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

const (
	fileVersion = 2
	maxCauses   = 16
	maxFile     = 64 << 20
)

// Prefix is how every file of a hazard model begins.
const Prefix = `{"polis_hazard":`

// file is the first line of the file, as JSON. The causes' models follow, a line each, in
// their order, so that they can be read side by side and compared with diff; and in the
// last line the checksum of all lines before.
type file struct {
	Format int      `json:"polis_hazard"`
	Period string   `json:"period"`
	Last   int      `json:"last"`
	Rolls  []Roll   `json:"rolls,omitempty"`
	Causes []string `json:"causes"`
	Meta   Meta     `json:"meta"`
}

// Save writes the model. The same model gives the same bytes.
func (m *Model) Save(w io.Writer) error {
	if _, err := w.Write(m.encode()); err != nil {
		return fault.Wrap(fault.Internal, err, "writing a hazard model")
	}
	return nil
}

// encode cannot fail: a model holds only finite numbers and strings.
func (m *Model) encode() []byte {
	f := file{Format: fileVersion, Period: m.fields[len(m.fields)-1].Name, Last: m.last, Rolls: m.rolls, Meta: m.meta}
	for _, c := range m.causes {
		f.Causes = append(f.Causes, c.Name)
	}
	var out, one bytes.Buffer
	err := json.NewEncoder(&out).Encode(f)
	for _, c := range m.causes {
		one.Reset()
		if err == nil {
			err = c.Hazard.Save(&one)
		}
		if err == nil {
			err = json.Compact(&out, one.Bytes())
		}
		out.WriteByte('\n')
	}
	if err != nil {
		panic("hazard: " + err.Error())
	}
	return seal(out.Bytes())
}

func seal(lines []byte) []byte {
	return append(bytes.Clone(lines), `{"sha256":"`+sumOf(lines)+"\"}\n"...)
}

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// WithMeta is the same model with another Meta, hence of another Version. Metrics that
// are not finite have no place in JSON and are left out.
func (m *Model) WithMeta(meta Meta) *Model {
	out := *m
	meta.Meta = m.causes[0].Hazard.WithMeta(meta.Meta).Meta()
	out.meta = meta
	out.seal()
	return &out
}

func (m *Model) seal() { m.version = versionOf(m.encode()) }

func versionOf(content []byte) string { return sumOf(content)[:12] }

// Load reads what Save wrote and checks all of it: what is not such a file is
// fault.Malformed, what contradicts itself or is of another version fault.Invalid.
func Load(r io.Reader) (*Model, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "reading a hazard model")
	}
	if len(content) > maxFile {
		return nil, fault.New(fault.Malformed, "a hazard model's file is at most %d MiB", maxFile>>20)
	}
	head, rest, _ := bytes.Cut(content, []byte{'\n'})
	var f file
	if err := json.Unmarshal(head, &f); err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "this is not a hazard model's file")
	}
	if f.Format != fileVersion {
		return nil, fault.New(fault.Invalid, "the hazard model's file is of version %d; this program reads version %d", f.Format, fileVersion)
	}
	lines := bytes.Split(bytes.TrimSuffix(rest, []byte{'\n'}), []byte{'\n'})
	last := len(lines) - 1
	body := content[:max(0, len(content)-len(lines[last])-1)]
	if lines = lines[:last]; !bytes.Equal(seal(body), content) {
		return nil, fault.New(fault.Malformed, "the hazard model's file is not as it was written: its checksum is of another, or missing")
	}
	if len(f.Causes) == 0 || len(f.Causes) > maxCauses || len(lines) != len(f.Causes) {
		return nil, fault.New(fault.Malformed, "%d causes in %d lines; there must be from 1 to %d, a line each", len(f.Causes), len(lines), maxCauses)
	}
	m := &Model{causes: make([]Cause, len(f.Causes)), last: f.Last, rolls: f.Rolls, meta: f.Meta}
	errs := make([]error, len(f.Causes))
	var wg sync.WaitGroup
	for i, name := range f.Causes {
		m.causes[i].Name = name
		wg.Go(func() { m.causes[i].Hazard, errs[i] = model.Parse(lines[i]) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "reading the hazard of %s", f.Causes[i])
		}
	}
	m.fields = m.causes[0].Hazard.Fields()
	if err := m.checkModels(f.Period); err != nil {
		return nil, err
	}
	if err := m.checkShape(); err != nil {
		return nil, err
	}
	if n := len(f.Meta.Ends); n != 0 && n != len(m.causes) {
		return nil, fault.New(fault.Invalid, "subjects ended in %d ways, not %d", n, len(m.causes))
	}
	if l := f.Meta.Life; l != nil {
		if err := l.check(len(m.causes), m.last); err != nil {
			return nil, err
		}
	}
	m.version = versionOf(content)
	return m, nil
}

// checkModels makes sure that the causes' models can be used together.
func (m *Model) checkModels(period string) error {
	if n := len(m.fields); n == 0 || m.fields[n-1] != (model.Field{Name: period}) {
		return fault.New(fault.Invalid, "the last field of a hazard must be the period")
	}
	if m.last < 1 || m.last > MaxPeriods {
		return fault.New(fault.Invalid, "the last period must be from 1 to %d", MaxPeriods)
	}
	for _, c := range m.causes {
		if c.Hazard.Loss() != model.Logistic {
			return fault.New(fault.Invalid, "the hazard of %s is not logistic", c.Name)
		}
		if !slices.Equal(c.Hazard.Fields(), m.fields) {
			return fault.New(fault.Invalid, "the hazard of %s has other fields than the first", c.Name)
		}
	}
	return nil
}

// checkShape makes sure that causes, fields and rolls fit together, and finds the fields
// that roll.
func (m *Model) checkShape() error {
	if len(m.causes) == 0 || len(m.causes) > maxCauses {
		return fault.New(fault.Invalid, "there must be from 1 to %d causes", maxCauses)
	}
	seen := map[string]bool{"": true}
	for _, c := range m.causes {
		if seen[c.Name] {
			return fault.New(fault.Invalid, "a cause has no name, or that of another")
		}
		seen[c.Name] = true
	}
	period := m.fields[len(m.fields)-1].Name
	for _, f := range m.fields[:len(m.fields)-1] {
		if f.Name == period {
			return fault.New(fault.Invalid, "the field %s is called as the period is", period)
		}
	}
	m.rolled = nil
	for _, r := range m.rolls {
		at := slices.IndexFunc(m.fields, func(f model.Field) bool { return f.Name == r.Field })
		switch {
		case at < 0 || at == len(m.fields)-1:
			return fault.New(fault.Invalid, "there is no field %s to roll forward", r.Field)
		case m.fields[at].Kind != model.Numeric:
			return fault.New(fault.Invalid, "the field %s is no number and cannot roll forward", r.Field)
		case slices.Contains(m.rolled, at):
			return fault.New(fault.Invalid, "the field %s rolls forward twice", r.Field)
		case !finite(r.By) || !finite(r.Every) || !(r.Every > 0):
			return fault.New(fault.Invalid, "the field %s must roll forward by a number every so many periods", r.Field)
		case !finite(r.Low) || !finite(r.High) || !finite(r.High-r.Low) || r.High < r.Low:
			return fault.New(fault.Invalid, "the field %s must go round from a number to a larger one", r.Field)
		}
		m.rolled = append(m.rolled, at)
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
