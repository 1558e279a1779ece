package audit

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
)

// Baseline is how features and scores were distributed in the book when the models were
// trained. It lies beside the models' file and is no part of it: scoring does not need it.
type Baseline struct {
	Format      int            `json:"format"`
	Model       string         `json:"model_version"`
	AsOf        portfolio.Date `json:"as_of"`
	Populations []Population   `json:"populations"`
}

const baselineFormat = 1

// Population is rows of one kind: customers, policies, or scores of customers.
type Population struct {
	Name      string `json:"name"`
	Rows      int    `json:"rows"`
	Relations int    `json:"relations"`
	// Effective is for how many independent rows these stand: rows of one relation go
	// together. With n rows a relation it is (Σn)²/Σn² (Kish 1965, Survey Sampling).
	Effective float64  `json:"effective"`
	Columns   []Column `json:"columns"`
}

// Column is a feature, or a score, in bins. Counts are of rows: first those of which it is
// not known; of a number then one more than there are Edges, each bin from above its edge
// to the next, which belongs to it; of a name those of none of the Names, then each of these.
type Column struct {
	Name   string    `json:"name"`
	Edges  []float64 `json:"edges,omitempty"`
	Names  []string  `json:"names,omitempty"`
	Counts []int     `json:"counts"`
}

// The places in Column.Counts that are no bin of their own.
const (
	notKnown = 0
	others   = 1 // of names
)

const (
	// numberBins is how many bins of equal shares a number has, ties aside: the usual ten
	// (Siddiqi 2006).
	numberBins = 10
	// namesKept is how many names a column has at most; the rest are others.
	namesKept = 30
	// rareRelations is how many relations have a name at least: what fewer have, a fleet's many
	// policies say, could be one person's, and teaches nothing. Our choice.
	rareRelations = 30
	// surveyedNames bounds how many names are counted at all.
	surveyedNames = 5000
)

// Counter counts rows, relation by relation.
type Counter interface {
	// Add counts a row of the fields that the counter was made with.
	Add(row *model.Row)
	// Next says that what was added last is all of a relation.
	Next()
}

// kish adds up for how many independent rows some stand.
type kish struct {
	rows, inRelation, relations int
	squares                     float64
}

func (k *kish) add() { k.rows++; k.inRelation++ }

func (k *kish) next() {
	if k.inRelation > 0 {
		k.relations++
		k.squares += float64(k.inRelation) * float64(k.inRelation)
		k.inRelation = 0
	}
}

func (k *kish) effective() float64 {
	if k.squares == 0 {
		return 0
	}
	return float64(k.rows) * float64(k.rows) / k.squares
}

// Survey finds the bins of a population. It keeps all numbers that it is given.
type Survey struct {
	fields  []model.Field
	hidden  []bool
	numbers [][]float64
	names   []map[string]*nameCount
	kish
}

// nameCount is how many rows have a name, of how many relations; last is the last of these.
type nameCount struct{ rows, relations, last int }

// NewSurvey is a survey of rows of fields; what is hidden is left out.
func NewSurvey(fields []model.Field, hidden []bool) *Survey {
	s := &Survey{fields: fields, hidden: hidden, numbers: make([][]float64, len(fields)), names: make([]map[string]*nameCount, len(fields))}
	for i := range s.names {
		s.names[i] = map[string]*nameCount{}
	}
	return s
}

// Add implements Counter.
func (s *Survey) Add(row *model.Row) {
	s.add()
	for i, f := range s.fields {
		switch {
		case s.hidden != nil && s.hidden[i]:
		case f.Kind == model.Numeric:
			if v := row.Num[i]; v-v == 0 {
				s.numbers[i] = append(s.numbers[i], v)
			}
		case row.Cat[i] != "":
			n := s.names[i][row.Cat[i]]
			if n == nil && len(s.names[i]) >= surveyedNames {
				continue
			}
			if n == nil {
				n = &nameCount{last: -1}
				s.names[i][string([]byte(row.Cat[i]))] = n // rows are reused
			}
			n.rows++
			if n.last != s.relations {
				n.relations, n.last = n.relations+1, s.relations
			}
		}
	}
}

// Next implements Counter.
func (s *Survey) Next() { s.next() }

// Population is what was found.
func (s *Survey) Population(name string) Population {
	p := Population{Name: name, Rows: s.rows, Relations: s.relations, Effective: math.Round(10*s.effective()) / 10}
	for i, f := range s.fields {
		if s.hidden != nil && s.hidden[i] {
			continue
		}
		c := Column{Name: f.Name}
		if f.Kind == model.Numeric {
			c.bin(s.numbers[i], s.rows)
		} else {
			c.list(s.names[i], s.rows)
		}
		p.Columns = append(p.Columns, c)
	}
	return p
}

// bin makes bins of equal shares. Edges have four digits, so that none is one person's
// premium.
func (c *Column) bin(values []float64, rows int) {
	sort.Float64s(values)
	for k := 1; k < numberBins && len(values) > 0; k++ {
		at := len(values) * k / numberBins
		e := rounded(values[min(at, len(values)-1)])
		last := values[len(values)-1]
		if e < last && (len(c.Edges) == 0 || e > c.Edges[len(c.Edges)-1]) {
			c.Edges = append(c.Edges, e)
		}
	}
	c.Counts = make([]int, len(c.Edges)+2)
	c.Counts[notKnown] = rows - len(values)
	for _, v := range values {
		c.Counts[c.number(v)]++
	}
}

// list keeps the commonest names.
func (c *Column) list(names map[string]*nameCount, rows int) {
	all := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(cmp.Compare(names[b].rows, names[a].rows), cmp.Compare(a, b))
	})
	known := 0
	for _, n := range all {
		known += names[n].rows
		if len(c.Names) < namesKept && names[n].relations >= rareRelations {
			c.Names = append(c.Names, n)
		}
	}
	slices.Sort(c.Names)
	c.Counts = make([]int, len(c.Names)+2)
	c.Counts[notKnown], c.Counts[others] = rows-known, known
	for i, n := range c.Names {
		c.Counts[i+2] = names[n].rows
		c.Counts[others] -= names[n].rows
	}
}

// rounded is a number with four significant digits.
func rounded(v float64) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return f
}

func (c *Column) number(v float64) int {
	if !(v-v == 0) {
		return notKnown
	}
	return 1 + sort.SearchFloat64s(c.Edges, v)
}

func (c *Column) name(v string) int {
	if v == "" {
		return notKnown
	}
	if at, ok := slices.BinarySearch(c.Names, v); ok {
		return at + 2
	}
	return others
}

// Count counts a population in the bins of another.
type Count struct {
	fields []model.Field
	at     []int // of a field, its column; -1: it has none
	out    Population
	kish
}

// NewCount counts rows of fields in the bins of a baseline's population.
func NewCount(p *Population, fields []model.Field) *Count {
	c := &Count{fields: fields, out: Population{Name: p.Name}}
	for _, col := range p.Columns {
		col.Counts = make([]int, len(col.Counts))
		c.out.Columns = append(c.out.Columns, col)
	}
	for _, f := range fields {
		c.at = append(c.at, slices.IndexFunc(p.Columns, func(col Column) bool { return col.Name == f.Name }))
	}
	return c
}

// Add implements Counter.
func (c *Count) Add(row *model.Row) {
	c.add()
	for i, f := range c.fields {
		if c.at[i] < 0 {
			continue
		}
		col := &c.out.Columns[c.at[i]]
		if f.Kind == model.Numeric {
			col.Counts[col.number(row.Num[i])]++
		} else {
			col.Counts[col.name(row.Cat[i])]++
		}
	}
}

// Next implements Counter.
func (c *Count) Next() { c.next() }

// Population is what was counted.
func (c *Count) Population() Population {
	c.out.Rows, c.out.Relations, c.out.Effective = c.rows, c.relations, c.effective()
	return c.out
}

// PSI is the population stability index of two counts over the same bins:
//
//	Σ (p − q) · ln(p/q)
//
// over the bins, with p and q their shares (Lewis 1994; the symmetric divergence of
// Jeffreys 1946). A bin that is empty on one side counts half a row there, since the
// logarithm of nothing is endless; one that is empty on both counts nothing. It is never
// negative, and 0 where all shares are the same. NaN where a side has no rows.
func PSI(before, after []int) float64 {
	n, m := total(before), total(after)
	if n == 0 || m == 0 {
		return math.NaN()
	}
	sum := 0.0
	for k := range before {
		if before[k] == 0 && after[k] == 0 {
			continue
		}
		q, p := max(float64(before[k]), 0.5)/n, max(float64(after[k]), 0.5)/m
		sum += float64((p - q) * math.Log(p/q))
	}
	return sum
}

func total(counts []int) float64 {
	n := 0
	for _, c := range counts {
		n += c
	}
	return float64(n)
}

// Chance is the PSI that samples of n and m independent rows of one book have: the mean
// and what it stays below with a probability. With B bins in use PSI is then as 1/n + 1/m
// times a chi-square with B − 1 degrees of freedom (Yurdakul and Naranjo 2020, Statistical
// Properties of the Population Stability Index, Journal of Risk Model Validation).
func Chance(before, after []int, n, m, probability float64) (mean, limit float64) {
	used := -1
	for k := range before {
		if before[k]+after[k] > 0 {
			used++
		}
	}
	if used < 1 {
		return 0, 0
	}
	if n <= 0 || m <= 0 {
		return math.Inf(1), math.Inf(1)
	}
	scale := 1/n + 1/m
	return scale * float64(used), scale * chiSquare(float64(used), probability)
}

// chiSquare is a quantile of the chi-square distribution by Wilson and Hilferty (1931),
// good to two digits, and on the high side far out with one degree of freedom.
func chiSquare(degrees, probability float64) float64 {
	v := 2 / (9 * degrees)
	return degrees * math.Pow(max(0, 1-v+normal(probability)*math.Sqrt(v)), 3)
}

// normal is a quantile of the standard normal distribution.
func normal(probability float64) float64 { return math.Sqrt2 * math.Erfinv(2*probability-1) }

// Save writes the baseline as JSON.
func (b *Baseline) Save(w io.Writer) error {
	b.Format = baselineFormat
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return fault.Wrap(fault.Internal, e.Encode(b), "encoding a baseline")
}

// ParseBaseline reads what Save wrote. What is missing or wrong in it is fault.Malformed.
func ParseBaseline(body []byte) (*Baseline, error) {
	var b Baseline
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "reading a baseline")
	}
	if b.Format != baselineFormat {
		return nil, fault.New(fault.Malformed, "a baseline of format %d, this program reads %d", b.Format, baselineFormat)
	}
	for i := range b.Populations {
		p := &b.Populations[i]
		if p.Rows < 0 || !(p.Effective >= 0 && p.Effective <= float64(p.Rows)+1) {
			return nil, fault.New(fault.Malformed, "baseline: the rows of population %d contradict each other", i)
		}
		for k := range p.Columns {
			if err := p.Columns[k].check(p.Rows); err != nil {
				return nil, fault.Wrap(fault.Malformed, err, "baseline: column %d of population %d", k, i)
			}
		}
	}
	return &b, nil
}

func (c *Column) check(rows int) error {
	bad := func(what string) error { return fault.New(fault.Malformed, "%s", what) }
	bins := len(c.Edges) + 2
	if len(c.Names) > 0 {
		bins = len(c.Names) + 2
	}
	switch {
	case c.Name == "":
		return bad("it has no name")
	case len(c.Names) > 0 && len(c.Edges) > 0:
		return bad("it has both edges and names")
	case len(c.Counts) != bins:
		return bad("counts and bins differ in number")
	case !slices.IsSorted(c.Edges) || !slices.IsSorted(c.Names):
		return bad("edges or names do not ascend")
	case slices.ContainsFunc(c.Edges, func(v float64) bool { return !(v-v == 0) }):
		return bad("an edge is not finite")
	case slices.ContainsFunc(c.Counts, func(n int) bool { return n < 0 || n > rows }) || total(c.Counts) != float64(rows):
		return bad("the counts are not those of the rows")
	}
	return nil
}

// Verdict is how far something has moved.
type Verdict string

// The verdicts. ByChance is a PSI above a threshold that a book as small as this has
// without having moved.
const (
	Stable   Verdict = "stable"
	ByChance Verdict = "by_chance"
	Some     Verdict = "some"
	Much     Verdict = "much"
)

// Shift is how far a feature, or a score, has moved since training.
type Shift struct {
	Population string  `json:"population"`
	Name       string  `json:"name"`
	Read       bool    `json:"read"` // a published model reads it; or it is a score
	PSI        float64 `json:"psi"`
	Chance     float64 `json:"chance"` // the PSI expected of a book that did not move
	Limit      float64 `json:"limit"`  // what it stays below in such a book: see Settings.FalseAlarm
	Verdict    Verdict `json:"verdict"`
	// Most are the bins that moved most, of those that moved much.
	Most []Moved `json:"most,omitempty"`
	// Bins are the shares then and now, for the page; a bin of few is in none.
	Bins []Moved `json:"bins,omitempty"`
}

// Moved is a bin's share then and now.
type Moved struct {
	Bin  string  `json:"bin"`
	Then float64 `json:"then"`
	Now  float64 `json:"now"`
}

// Compare holds what was counted to the baseline. read says whether a model reads a
// column of a population, free whether a column's values are whatever an office wrote: their
// bins are told by number.
func (s *Settings) Compare(before *Baseline, after []Population, read func(population, name string) bool, free func(name string) bool) []Shift {
	columns := 0
	for _, p := range before.Populations {
		columns += len(p.Columns)
	}
	// What is looked at more often alarms by chance more often (Bonferroni).
	probability := 1 - s.FalseAlarm/float64(max(1, columns))
	var out []Shift
	for i := range before.Populations {
		p := &before.Populations[i]
		at := slices.IndexFunc(after, func(q Population) bool { return q.Name == p.Name })
		if at < 0 {
			continue
		}
		q := &after[at]
		for k := range p.Columns {
			b, a := &p.Columns[k], &q.Columns[k]
			psi := PSI(b.Counts, a.Counts)
			if math.IsNaN(psi) {
				continue
			}
			shift := Shift{Population: p.Name, Name: b.Name, Read: read(p.Name, b.Name), PSI: places4(psi)}
			mean, limit := Chance(b.Counts, a.Counts, p.Effective, q.Effective, probability)
			shift.Chance, shift.Limit = places4(mean), places4(limit)
			shift.Verdict = s.verdict(psi, limit)
			if shift.Verdict == Some || shift.Verdict == Much {
				shift.Bins = s.moved(b, a, free(b.Name))
				shift.Most = most(shift.Bins)
			}
			out = append(out, shift)
		}
	}
	slices.SortStableFunc(out, func(a, b Shift) int { return cmp.Compare(b.PSI, a.PSI) })
	return out
}

func (s *Settings) verdict(psi, limit float64) Verdict {
	switch {
	case psi < s.Some:
		return Stable
	case psi <= limit:
		return ByChance
	case psi < s.Much:
		return Some
	}
	return Much
}

// moved are the bins' shares; those of fewer rows than a cell must have are put together.
func (s *Settings) moved(before, after *Column, free bool) []Moved {
	n, m := total(before.Counts), total(after.Counts)
	var out []Moved
	fewThen, fewNow, few := 0, 0, 0
	for k := range before.Counts {
		then, now := before.Counts[k], after.Counts[k]
		if then == 0 && now == 0 {
			continue
		}
		if then+now < s.MinimumCell {
			fewThen, fewNow, few = fewThen+then, fewNow+now, few+1
			continue
		}
		out = append(out, Moved{before.label(k, free), places4(float64(then) / n), places4(float64(now) / m)})
	}
	if few > 0 && fewThen+fewNow >= s.MinimumCell {
		out = append(out, Moved{"rare", places4(float64(fewThen) / n), places4(float64(fewNow) / m)})
	}
	return out
}

// most are the three bins that add most to the index.
func most(bins []Moved) []Moved {
	const shown = 3
	by := slices.Clone(bins)
	weight := func(m Moved) float64 {
		p, q := max(m.Now, 1e-4), max(m.Then, 1e-4)
		return (p - q) * math.Log(p/q)
	}
	slices.SortStableFunc(by, func(a, b Moved) int { return cmp.Compare(weight(b), weight(a)) })
	return by[:min(shown, len(by))]
}

// label is what a bin is called. Of free values it tells no more than which bin it is.
func (c *Column) label(k int, free bool) string {
	switch {
	case k == notKnown:
		return "not known"
	case len(c.Names) > 0 && k == others:
		return "other names"
	case free && len(c.Names) > 0:
		return "value " + strconv.Itoa(k-others)
	case free && len(c.Edges) > 0:
		return "bin " + strconv.Itoa(k)
	case len(c.Names) > 0:
		return c.Names[k-2]
	case len(c.Edges) == 0:
		return "known"
	case k == 1:
		return "up to " + short(c.Edges[0])
	case k == len(c.Edges)+1:
		return "above " + short(c.Edges[k-2])
	}
	return short(c.Edges[k-2]) + " to " + short(c.Edges[k-1])
}

func short(v float64) string { return strconv.FormatFloat(rounded(v), 'f', -1, 64) }

func places4(v float64) float64 { return math.Round(1e4*v) / 1e4 }
