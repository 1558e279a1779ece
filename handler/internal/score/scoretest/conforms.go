package scoretest

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/model"
	"polis/handler/internal/score"
)

// Conforms holds a model to what score.Model says, on any rows; names are some that its
// categories have.
func Conforms(t *testing.T, m score.Model, names ...string) {
	fields, terms := m.Fields(), m.Terms()
	read := make([]bool, len(fields))
	for i, term := range terms {
		var of []string
		for _, f := range term.Fields {
			if f < 0 || f >= len(fields) {
				t.Fatalf("term %s is of field %d of %d", term.Name, f, len(fields))
			}
			read[f] = true
			of = append(of, fields[f].Name)
		}
		if len(of) == 0 || term.Name != strings.Join(of, " × ") {
			t.Errorf("term %d is called %s, and its fields %v", i, term.Name, of)
		}
	}
	if len(terms) > 0 {
		fields[0].Name, terms[0].Fields[0] = "spoilt", -1
		if m.Fields()[0].Name == "spoilt" || m.Terms()[0].Fields[0] == -1 {
			t.Error("who is told of fields and terms can change them")
		}
		fields, terms = m.Fields(), m.Terms()
	}
	row := rapid.Custom(func(t *rapid.T) model.Row {
		r := model.Row{Num: make([]float64, len(fields)), Cat: make([]string, len(fields))}
		value := rapid.OneOf(rapid.SampledFrom([]float64{math.NaN(), 0, 1, math.Inf(1), math.Inf(-1)}), rapid.Float64Range(-100, 100), rapid.Float64())
		for i, f := range fields {
			if f.Kind == model.Category {
				r.Cat[i] = rapid.SampledFrom(append([]string{"", "of no training"}, names...)).Draw(t, f.Name)
			} else {
				r.Num[i] = value.Draw(t, f.Name)
			}
		}
		return r
	})

	t.Run("reasons sum to the score", rapid.MakeCheck(func(rt *rapid.T) {
		r := row.Draw(rt, "row")
		if rapid.Bool().Draw(rt, "short") {
			r.Num, r.Cat = r.Num[:len(r.Num)/2], r.Cat[:len(r.Cat)/2]
		}
		score := m.Score(r, nil)
		const beyond = 12345
		contrib := make([]float64, len(terms)+1)
		contrib[len(terms)] = beyond
		if got := m.Score(r, contrib); !same(got, score) {
			rt.Fatalf("with reasons the score is %v, without %v", got, score)
		}
		sum := m.Intercept()
		for _, c := range contrib[:len(terms)] {
			sum += c
		}
		if sum != score || math.IsInf(score, 0) || math.IsNaN(score) || contrib[len(terms)] != beyond {
			rt.Fatalf("intercept and reasons are %v, the score is %v", sum, score)
		}
		first := make([]float64, len(terms)/2)
		if got := m.Score(r, first); !same(got, score) || !slices.EqualFunc(first, contrib[:len(first)], same) {
			rt.Fatalf("the first reasons are %v by themselves, and %v of all", first, contrib)
		}
		other := row.Draw(rt, "another")
		for i := range fields {
			if read[i] && i < len(r.Num) {
				other.Num[i], other.Cat[i] = r.Num[i], r.Cat[i]
			}
		}
		if got := m.Score(other, nil); len(r.Num) == len(fields) && !same(got, score) {
			rt.Fatalf("fields that are in no term make %v of %v", got, score)
		}
	}))

	t.Run("means", rapid.MakeCheck(func(rt *rapid.T) {
		link := rapid.Float64Range(-30, 30)
		low, high := link.Draw(rt, "low"), link.Draw(rt, "high")
		a, b := m.Mean(min(low, high)), m.Mean(max(low, high))
		want := math.Exp(low)
		if m.Loss() == model.Logistic {
			want /= 1 + want
		}
		if got := m.Mean(low); !(a > 0 && a <= b) || math.Abs(got-want) > 1e-12*want {
			rt.Fatalf("the mean of %v is %v, want %v", low, got, want)
		}
	}))

	t.Run("all at once", func(t *testing.T) {
		var rows []model.Row
		var want []float64
		for seed := range 50 {
			rows = append(rows, row.Example(seed))
			want = append(want, m.Score(rows[seed], nil))
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				contrib := make([]float64, len(terms))
				for i, r := range rows {
					if got := m.Score(r, contrib); got != want[i] {
						t.Errorf("row %d is %v among others, and %v alone", i, got, want[i])
					}
				}
			})
		}
		wg.Wait()
		contrib := make([]float64, len(terms))
		for _, c := range [][]float64{nil, contrib} {
			if n := testing.AllocsPerRun(100, func() { m.Score(rows[0], c) }); n != 0 {
				t.Errorf("a score with %d reasons allocates %v times", len(c), n)
			}
		}
	})

	t.Run("saved", func(t *testing.T) {
		var first, second bytes.Buffer
		for _, b := range []*bytes.Buffer{&first, &second} {
			if err := m.Save(b); err != nil {
				t.Fatal(err)
			}
		}
		if body := bytes.TrimSpace(first.Bytes()); !json.Valid(body) || body[0] != '{' || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("saved as %.200s", body)
		}
	})
}

// same compares to the last bit.
func same(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
