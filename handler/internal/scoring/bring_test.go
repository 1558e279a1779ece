package scoring

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polis/handler/internal/fault"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/score"
	"polis/handler/internal/score/scoretest"
)

// brought is a model file of testdata/make.py's.
func brought(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

var bringable = []string{"frequency", "severity", "lapse", "buy_liability"}

// branches are the product groups where no branch is refined.
func branches(t testing.TB) *nbp.Grouping {
	t.Helper()
	g, err := nbp.NewGrouping(nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func bring(t testing.TB, name string) score.Model {
	t.Helper()
	m, err := Bring(name, brought(t, name), feature.PolicySchema{}, branches(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mixed are learnt models but for those that were brought in.
func mixed(t testing.TB) *Models {
	m := learnt(t)
	m.Risk.Frequency, m.Risk.Severity, m.Churn.Lapse = bring(t, "frequency"), bring(t, "severity"), bring(t, "lapse")
	m.Nbp.Groups["liability"] = bring(t, "buy_liability")
	return m
}

// TestBroughtOfTheEnginesFields: in an engine's row a model finds its features by name,
// and says what LightGBM says.
func TestBroughtOfTheEnginesFields(t *testing.T) {
	for _, name := range bringable {
		m := bring(t, name)
		body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Rows []map[string]any
			Raw  []float64
		}
		if err := json.Unmarshal(body, &said); err != nil {
			t.Fatal(err)
		}
		for i, values := range said.Rows {
			fields := m.Fields()
			row := model.Row{Num: make([]float64, len(fields)), Cat: make([]string, len(fields))}
			for f, field := range fields {
				row.Num[f] = math.NaN()
				if v, ok := values[field.Name].(float64); ok {
					row.Num[f] = v
				}
				row.Cat[f], _ = values[field.Name].(string)
			}
			if got := m.Score(row, nil); math.Abs(got-said.Raw[i]) > 1e-12 {
				t.Errorf("%s, row %d: %v, want %v", name, i, got, said.Raw[i])
			}
		}
		t.Run(name, func(t *testing.T) { scoretest.Conforms(t, m, "motor", "contents", "travel") })
	}
}

func TestBroughtAmongLearnt(t *testing.T) {
	m := mixed(t)
	var first, second bytes.Buffer
	if err := m.Save(&first); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(first.String(), "\n{\"lightgbm\":\"tree\\n") {
		t.Errorf("saved as %.300s", first.String())
	}
	again, err := Parse(first.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Save(&second); err != nil || again.Version != m.Version || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("versions %s and %s, %v", m.Version, again.Version, err)
	}
	var want []byte
	for _, models := range []*Models{m, again} {
		s, err := New(models)
		if err != nil {
			t.Fatal(err)
		}
		sh := s.Relation([]Subject{{Aggregate: person("c", nil)}}, asOf, NewSet(Engines...))[0]
		for _, r := range []*score.Reasons{&sh.Risk.Reasons, &sh.Churn.Reasons, &sh.Nbp.Reasons} {
			sum := r.Base + r.Rest
			for _, top := range r.Top {
				sum += top.Contribution
			}
			if len(r.Top) == 0 || math.Abs(sum-r.Link) > 1e-12 {
				t.Errorf("%d reasons add up to %v, the score is %v", len(r.Top), sum, r.Link)
			}
		}
		var body []byte
		for _, e := range Engines {
			body = sh.AppendJSON(body, e, "t", noon)
		}
		if want == nil {
			want = body
		} else if !bytes.Equal(body, want) {
			t.Errorf("loaded again they say\n%s\nand said\n%s", body, want)
		}
	}
}

func TestNotBroughtIn(t *testing.T) {
	for name, tc := range map[string]struct {
		place, file, says string
	}{
		"of no name":      {"frequencies", "frequency", "no model is called frequencies"},
		"of other fields": {"frequency", "lapse", "the feature main_branch, which the engine has not"},
		"of another loss": {"frequency", "severity", "loss is gamma, that of frequency is poisson"},
		"of a count":      {"severity", "frequency", "loss is poisson, that of severity is gamma"},
	} {
		if m, err := Bring(tc.place, brought(t, tc.file), feature.PolicySchema{}, branches(t)); m != nil || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Bring("lapse", brought(t, "lapse")[:2000], feature.PolicySchema{}, branches(t)); !fault.Is(err, fault.Malformed) {
		t.Errorf("cut off: %v", err)
	}
	// What is kept is checked as what comes in.
	var buf bytes.Buffer
	if err := mixed(t).Save(&buf); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ old, new, says string }{
		"another loss":     {"objective=poisson", "objective=gamma", "model frequency has loss gamma, not poisson"},
		"another feature":  {"feature_names=main_branch", "feature_names=old_branch", "old_branch"},
		"no trees":         {`tree\n`, `bush\n`, "not a LightGBM"},
		"something beside": {`{"lightgbm":"`, `{"lightgbm":5,"":"`, "reading model"},
	} {
		bad := bytes.ReplaceAll(buf.Bytes(), []byte(tc.old), []byte(tc.new))
		if bytes.Equal(bad, buf.Bytes()) {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := Parse(bad); !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
