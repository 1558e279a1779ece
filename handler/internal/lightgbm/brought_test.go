package lightgbm_test

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"polis/handler/internal/fault"
	. "polis/handler/internal/lightgbm"
	"polis/handler/internal/model"
	"polis/handler/internal/score/scoretest"
)

// fields are an engine's: one that the models know nothing of, and theirs in another
// order. Of the fixtures only binary has names for its regions.
func fields(region model.Kind) []model.Field {
	return []model.Field{{Name: "height"}, {Name: "code"}, {Name: "region", Kind: region}, {Name: "bonus"}, {Name: "age"}, {Name: "power"}}
}

var regions = []string{"east", "far", "north", "south", "west"}

func kindOf(name string) model.Kind {
	if name == "binary" {
		return model.Category
	}
	return model.Numeric
}

func bring(t testing.TB, name string) *Brought {
	t.Helper()
	b, err := Bring(read(t, name+".txt"), fields(kindOf(name)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// engineRow is a row of a fixture as an engine gives it.
func engineRow(name string, values []*float64) model.Row {
	v := row(values) // age, power, bonus, region, code
	out := model.Row{Num: []float64{180, v[4], v[3], v[2], v[0], v[1]}, Cat: make([]string, 6)}
	if kindOf(name) == model.Category {
		out.Num[2] = 0
		if v[3] == v[3] {
			out.Cat[2] = regions[int(v[3])]
		}
	}
	return out
}

func TestBroughtConform(t *testing.T) {
	for _, name := range []string{"binary", "poisson", "gamma", "tweedie", "zero", "known"} {
		t.Run(name, func(t *testing.T) { scoretest.Conforms(t, bring(t, name), regions...) })
	}
}

// TestBroughtSaysWhatLightGBMSays of every row, and gives its reasons.
func TestBroughtSaysWhatLightGBMSays(t *testing.T) {
	feature := map[string]int{"age": 0, "power": 1, "bonus": 2, "region": 3, "code": 4}
	for name, loss := range map[string]model.Loss{"binary": model.Logistic, "poisson": model.Poisson, "gamma": model.Gamma, "tweedie": model.Tweedie, "zero": model.Poisson, "known": model.Poisson} {
		b := bring(t, name)
		_, s := load(t, name)
		terms := b.Terms()
		contrib := make([]float64, len(terms))
		for i, values := range s.Rows {
			score := b.Score(engineRow(name, values), contrib)
			if math.Abs(score-s.Raw[i]) > 2e-13 || !near(b.Mean(score), s.Prediction[i]) {
				t.Errorf("%s, row %d: %v and %v, want %v and %v", name, i, score, b.Mean(score), s.Raw[i], s.Prediction[i])
			}
			for k, c := range contrib {
				if want := s.Contributions[i][feature[terms[k].Name]]; math.Abs(c-want) > 1e-12 {
					t.Errorf("%s, row %d: %s contributes %v, want %v", name, i, terms[k].Name, c, want)
				}
			}
		}
		if want := s.Contributions[0][5]; b.Loss() != loss || math.Abs(b.Intercept()-want) > 2e-13 {
			t.Errorf("%s: %s, intercept %v, want %v", name, b.Loss(), b.Intercept(), want)
		}
	}
}

func TestBroughtSaysWhatItIs(t *testing.T) {
	b := bring(t, "binary")
	var names []string
	for _, term := range b.Terms() {
		names = append(names, term.Name)
	}
	if !slices.Equal(names, []string{"code", "region", "bonus", "age", "power"}) || !reflect.DeepEqual(b.Fields(), fields(model.Category)) {
		t.Errorf("terms %v, fields %v", names, b.Fields())
	}
	if note := b.Meta().Note; !strings.Contains(note, "12 trees") || !strings.Contains(note, b.Version()) || b.Version() == bring(t, "poisson").Version() {
		t.Errorf("version %s: %s", b.Version(), note)
	}
	var line bytes.Buffer
	if err := b.Save(&line); err != nil {
		t.Fatal(err)
	}
	again, err := Restore(line.Bytes(), fields(model.Category))
	if err != nil || again.Version() != b.Version() || !Saved(line.Bytes()) || Saved([]byte(`{"polis_model":1}`)) {
		t.Errorf("kept as %.60s, it is %v, %v", line.Bytes(), again, err)
	}
	if _, err := Restore([]byte("{"), nil); !fault.Is(err, fault.Malformed) {
		t.Errorf("no JSON: %v", err)
	}
}

// TestSigmoid: a binary model whose scores are no logits has such in an engine.
func TestSigmoid(t *testing.T) {
	file := bytes.Replace(read(t, "binary.txt"), []byte("sigmoid:1"), []byte("sigmoid:2"), 1)
	b, err := Bring(file, fields(model.Category))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	_, s := load(t, "binary")
	for i, values := range s.Rows {
		if got, want := b.Mean(b.Score(engineRow("binary", values), nil)), m.Predict(row(values)); !near(got, want) {
			t.Errorf("row %d: %v, want %v", i, got, want)
		}
	}
	scoretest.Conforms(t, b, regions...)
}

// TestNotBroughtIn changes one thing in what could be.
func TestNotBroughtIn(t *testing.T) {
	named, coded := fields(model.Category), fields(model.Numeric)
	for name, tc := range map[string]struct {
		file     string
		fields   []model.Field
		old, new string
		kind     fault.Kind
		says     string
	}{
		"cut off":                 {"binary", named, "end of trees", "", fault.Malformed, "cut off"},
		"something else":          {"binary", named, "tree\n", "wood\n", fault.Malformed, "not a LightGBM"},
		"no text":                 {"binary", named, "Tree=0", "Tree=\xff", fault.Malformed, "UTF-8"},
		"an amount":               {"regression", coded, "", "", fault.Invalid, "objective regression"},
		"a feature of its own":    {"binary", named, "names=age power", "names=eye power", fault.Invalid, "the feature eye, which"},
		"the first of several":    {"binary", coded[:1], "", "", fault.Invalid, "the feature age, which"},
		"a feature twice":         {"binary", named, "names=age power", "names=age age", fault.Invalid, "age twice"},
		"a category without name": {"poisson", named, "", "", fault.Invalid, "the feature region is a category"},
		"names for a number":      {"binary", coded, "", "", fault.Invalid, "the feature region is a number"},
		"names of nothing":        {"binary", named, "[categorical_feature: 3]", "[categorical_feature: 9]", fault.Malformed, "not there"},
		"beyond measure":          {"binary", named, "leaf_value=", "leaf_value=1e6 ", fault.Malformed, "leaf_value"},
		"too many fields":         {"binary", make([]model.Field, model.MaxFields+1), "", "", fault.Invalid, "513 fields"},
	} {
		good := string(read(t, tc.file+".txt"))
		bad := strings.Replace(good, tc.old, tc.new, 1)
		if tc.old != "" && bad == good {
			t.Errorf("%s: nothing was changed", name)
		}
		if b, err := Bring([]byte(bad), tc.fields); b != nil || !fault.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Bring(make([]byte, 16<<20+1), named); !fault.Is(err, fault.Invalid) {
		t.Errorf("a file too large: %v", err)
	}
}

// TestBeyondTheReach: leaves so large that reasons could not be added exactly.
func TestBeyondTheReach(t *testing.T) {
	lines := strings.SplitAfter(string(read(t, "gamma.txt")), "\n")
	for scale, says := range map[string]string{"e3": "±1024", "e308": "no finite number"} {
		changed := slices.Clone(lines)
		for i, line := range changed {
			if values, ok := strings.CutPrefix(line, "leaf_value="); ok {
				changed[i] = "leaf_value=" + strings.Repeat("1"+scale+" ", len(strings.Fields(values))) + "\n"
			}
		}
		if _, err := Bring([]byte(strings.Join(changed, "")), fields(model.Numeric)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", scale, err)
		}
	}
}

// TestSpacesInNames: LightGBM writes them as underscores.
func TestSpacesInNames(t *testing.T) {
	own := fields(model.Category)
	own[5].Name = "horse power"
	file := strings.Replace(string(read(t, "binary.txt")), "names=age power", "names=age horse_power", 1)
	b, err := Bring([]byte(file), own)
	if err != nil {
		t.Fatal(err)
	}
	if terms := b.Terms(); terms[len(terms)-1].Name != "horse power" {
		t.Errorf("%v", terms)
	}
}
