package lightgbm_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"polis/handler/internal/fault"
	. "polis/handler/internal/lightgbm"
	"polis/handler/internal/model"
)

var models = []string{"binary", "poisson", "gamma", "tweedie", "regression", "zero", "forest", "known"}

func read(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// said is what LightGBM says of rows: see testdata/make.py.
type said struct {
	Rows          [][]*float64
	Raw           []float64
	Prediction    []float64
	Contributions [][]float64 // the last of each is the expected value
}

func load(t testing.TB, name string) (*Model, said) {
	t.Helper()
	m, err := Load(bytes.NewReader(read(t, name+".txt")))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var s said
	if err := json.Unmarshal(read(t, name+".json"), &s); err != nil {
		t.Fatal(err)
	}
	return m, s
}

func row(values []*float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = math.NaN()
		if v != nil {
			out[i] = *v
		}
	}
	return out
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1, math.Abs(b)) }

// TestSaysWhatLightGBMSays of every row: the score, the prediction and each reason.
func TestSaysWhatLightGBMSays(t *testing.T) {
	for _, name := range models {
		m, s := load(t, name)
		phi := make([]float64, len(m.Features()))
		if name == "forest" { // of which LightGBM averages predictions only
			const trees = 12
			for i := range s.Raw {
				s.Raw[i] /= trees
				for f := range s.Contributions[i] {
					s.Contributions[i][f] /= trees
				}
			}
		}
		for i, values := range s.Rows {
			r := row(values)
			if got := m.Raw(r); !near(got, s.Raw[i]) {
				t.Errorf("%s, row %d: raw %v, want %v", name, i, got, s.Raw[i])
			}
			if got := m.Predict(r); !near(got, s.Prediction[i]) {
				t.Errorf("%s, row %d: %v, want %v", name, i, got, s.Prediction[i])
			}
			m.Explain(r, phi)
			want := s.Contributions[i]
			sum := m.Expected()
			for f, c := range phi {
				sum += c
				if !near(c, want[f]) {
					t.Errorf("%s, row %d: %s contributes %v, want %v", name, i, m.Features()[f], c, want[f])
				}
			}
			if !near(m.Expected(), want[len(phi)]) || !near(sum, m.Raw(r)) {
				t.Errorf("%s, row %d: expected %v, want %v; all add up to %v of %v", name, i, m.Expected(), want[len(phi)], sum, m.Raw(r))
			}
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	m, s := load(t, "poisson")
	r := row(s.Rows[3])
	phi := make([]float64, len(r))
	if n := testing.AllocsPerRun(100, func() { m.Predict(r) }); n != 0 {
		t.Errorf("a prediction allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { m.Explain(r, phi) }); n > 0.5 {
		t.Errorf("an explanation allocates %v times", n)
	}
}

func TestWhatAModelSaysOfItself(t *testing.T) {
	m, _ := load(t, "binary")
	if !slices.Equal(m.Features(), []string{"age", "power", "bonus", "region", "code"}) || !strings.HasPrefix(m.Objective(), "binary") {
		t.Errorf("%v, %s", m.Features(), m.Objective())
	}
	if got := m.Categories(3); !slices.Equal(got, []string{"east", "far", "north", "south", "west"}) || m.Categories(0) != nil {
		t.Errorf("regions %v, ages %v", got, m.Categories(0))
	}
	if p := m.Predict(nil); !(p > 0 && p < 1) {
		t.Errorf("of a row of which nothing is known: %v", p)
	}
}

// TestWrongModels changes one thing in a good file.
func TestWrongModels(t *testing.T) {
	good := string(read(t, "poisson.txt"))
	for name, tc := range map[string]struct{ old, new, says string }{
		"something else":       {"tree\n", "trees\n", "not a LightGBM"},
		"several classes":      {"num_class=1", "num_class=3", "several classes"},
		"an unknown objective": {"objective=poisson", "objective=lambdarank", "lambdarank"},
		"no objective":         {"objective=poisson", "", "what it predicts"},
		"names that lack":      {"feature_names=age ", "feature_names=", "names do not agree"},
		"linear trees":         {"is_linear=0", "is_linear=1", "linear"},
		"a value that is none": {"leaf_value=0.48454454100388566", "leaf_value=NaN", "leaf_value holds"},
		"a leaf of no end":     {"leaf_value=0.48454454100388566", "leaf_value=inf", "no finite number"},
		"no threshold":         {"101.25000000000001", "nan", "no finite number"},
		"endless leaves":       {"num_leaves=15", "num_leaves=99999999", "leaves"},
		"a child too far":      {"left_child=1", "left_child=77", "do not form a tree"},
		"a circle":             {"left_child=1", "left_child=0", "do not form a tree"},
		"a feature too far":    {"split_feature=", "split_feature=9", "tree 0"},
		"cut off":              {"end of trees", "", "cut off"},
		"an unknown decision":  {"decision_type=", "decision_type=1", "tree 0"},
		"rows that lack":       {"internal_count=", "internal_count=0 ", "internal_count"},
	} {
		bad := strings.Replace(good, tc.old, tc.new, 1)
		if bad == good {
			t.Errorf("%s: nothing was changed", name)
			continue
		}
		_, err := Load(strings.NewReader(bad))
		if !fault.Is(err, fault.Malformed) && !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := 0; n < strings.Index(good, "end of trees"); n += 97 {
		if _, err := Load(strings.NewReader(good[:n])); err == nil {
			t.Errorf("the first %d bytes are a model", n)
		}
	}
}

// FuzzLoad holds any file to an error or a model that predicts numbers and explains them.
func FuzzLoad(f *testing.F) {
	for _, name := range models {
		f.Add(read(f, name+".txt"))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Load(bytes.NewReader(body))
		if err != nil {
			return
		}
		r := make([]float64, len(m.Features()))
		phi := make([]float64, len(r))
		r[0] = 40
		if raw := m.Raw(r); math.IsNaN(raw) {
			t.Errorf("a model says %v", raw)
		}
		m.Explain(r, phi)
		var fields []model.Field
		for _, name := range m.Features() {
			fields = append(fields, model.Field{Name: name})
		}
		b, err := Bring(body, fields)
		if err != nil {
			return
		}
		contrib := make([]float64, len(b.Terms()))
		score, sum := b.Score(model.Row{Num: r}, contrib), b.Intercept()
		for _, c := range contrib {
			sum += c
		}
		if sum != score {
			t.Errorf("intercept and reasons are %v, the score is %v", sum, score)
		}
	})
}
