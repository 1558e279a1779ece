package hazard_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
	. "polis/handler/internal/hazard"
	"polis/handler/internal/model"
	"polis/handler/internal/score/scoretest"
)

var byAge = []model.Field{{Name: "age"}, {Name: "tenure"}}

// assembled is a file of causes' models made by hand.
func assembled(t testing.TB, head string, causes ...*model.Model) []byte {
	t.Helper()
	out := bytes.NewBufferString(head + "\n")
	for _, c := range causes {
		var b bytes.Buffer
		if err := c.Save(&b); err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(out, b.Bytes()); err != nil {
			t.Fatal(err)
		}
		out.WriteByte('\n')
	}
	return sealed(out.Bytes())
}

func sealed(lines []byte) []byte {
	return fmt.Appendf(bytes.Clone(lines), "{\"sha256\":\"%x\"}\n", sha256.Sum256(lines))
}

// resealed is a file that was changed, with checksums as if it had been written so.
func resealed(t testing.TB, content string) []byte {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(content, "\n"), "\n")
	var out bytes.Buffer
	for i, line := range lines[:len(lines)-1] {
		if i == 0 || json.Compact(&out, model.Seal([]byte(line))) != nil {
			out.WriteString(line) // of the head, or broken
		}
		out.WriteByte('\n')
	}
	return sealed(out.Bytes())
}

const head = `{"polis_hazard":2,"period":"tenure","last":10,"rolls":[{"field":"age","by":1,"every":4}],"causes":["lapse","death"],"meta":{"rows":9,"events":1,"subjects":2}}`

func loaded(t testing.TB, content []byte) *Model {
	t.Helper()
	m, err := Load(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func constant(p float64) *model.Model {
	return model.Constant(byAge, model.Logistic, math.Log(p/(1-p)), "")
}

// TestConstantHazards: the curves have a closed form.
func TestConstantHazards(t *testing.T) {
	const lapse, death = 0.02, 0.005
	m := loaded(t, assembled(t, head, constant(lapse), constant(death)))
	c := predict(t, m, numbers(40), 0, 100)
	for k := range c.Survival {
		alive := math.Pow(1-lapse-death, float64(k))
		for _, d := range []float64{
			c.Survival[k] - alive,
			c.Incidence[0][k] - (1-alive)*lapse/(lapse+death),
			c.Incidence[1][k] - (1-alive)*death/(lapse+death),
		} {
			if math.Abs(d) > 1e-12 {
				t.Errorf("period %d is off by %v", k, d)
			}
		}
	}
}

// TestCurvesNeverCross: whatever the hazards, even such as add up to more than certainty,
// incidence ascends, survival falls, and all of it is 1.
func TestCurvesNeverCross(tb *testing.T) {
	var c Curve
	rapid.Check(tb, func(t *rapid.T) {
		link := rapid.Float64Range(-40, 40)
		step := func(label string) *model.Model {
			return scoretest.Model(tb, byAge, model.Logistic, link.Draw(t, label),
				scoretest.Step{Field: "tenure", Edges: []float64{2, 3, 5, 8}, Values: rapid.SliceOfN(link, 6, 6).Draw(t, "by tenure")},
				scoretest.Step{Field: "age", Edges: []float64{40, 41}, Values: rapid.SliceOfN(link, 4, 4).Draw(t, "by age")})
		}
		m := loaded(tb, assembled(tb, head, step("lapse"), step("death")))
		horizon := rapid.IntRange(1, 60).Draw(t, "horizon")
		if err := m.Predict(numbers(rapid.Float64Range(20, 60).Draw(t, "age")), rapid.IntRange(0, 20).Draw(t, "survived"), horizon, &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Survival) != horizon+1 || c.Survival[0] != 1 || c.Incidence[0][0] != 0 || c.Incidence[1][0] != 0 {
			t.Fatalf("it starts from %v %v", c.Survival, c.Incidence)
		}
		for k := 1; k <= horizon; k++ {
			if !(c.Survival[k] >= 0) || c.Survival[k] > c.Survival[k-1] {
				t.Fatalf("period %d: survival %v after %v", k, c.Survival[k], c.Survival[k-1])
			}
			all := c.Survival[k]
			for _, f := range c.Incidence {
				if f[k] > 1 || f[k] < f[k-1] {
					t.Fatalf("period %d: incidence %v after %v", k, f[k], f[k-1])
				}
				all += f[k]
			}
			if math.Abs(all-1) > 1e-13 {
				t.Fatalf("period %d: all of it is %v", k, all)
			}
		}
	})
}

// TestBeyondTraining: the period stands still there, and what rolls forward goes on.
func TestBeyondTraining(t *testing.T) {
	lapse := scoretest.Model(t, byAge, model.Logistic, -3,
		scoretest.Step{Field: "tenure", Edges: []float64{10, 11}, Values: []float64{0, -1, 0, 5}},
		scoretest.Step{Field: "age", Edges: []float64{44}, Values: []float64{0, 0, 1}})
	m := loaded(t, assembled(t, head, lapse, constant(0.01)))
	var c Curve
	for ahead, want := range map[int]float64{1: -4, 9: -4, 10: -3, 11: -3, 16: -3, 17: -2, 500: -2} {
		if got := m.Link(0, numbers(40), 0, ahead, nil, &c); got != want {
			t.Errorf("period %d: link %v, want %v", ahead, got, want)
		}
	}
	contributions := make([]float64, 2)
	if got := m.Link(0, numbers(43.5), 7, 3, contributions, &c); got != -2 || contributions[0] != 0 || contributions[1] != 1 {
		t.Errorf("the tenth period, two periods on: link %v, contributions %v", got, contributions)
	}
	if got := predict(t, m, numbers(40), 30, 1).Incidence[0][1]; math.Abs(got-logistic(-3)) > 1e-12 {
		t.Errorf("the hazard of who has survived 30 periods is %v", got)
	}
}

// TestShortRows: what a row lacks is missing, and one row leaves nothing to the next.
func TestShortRows(t *testing.T) {
	age := scoretest.Model(t, byAge, model.Logistic, -3, scoretest.Step{Field: "age", Edges: []float64{44}, Values: []float64{2, 0, 1}})
	m := loaded(t, assembled(t, head, age, constant(0.01)))
	var c Curve
	for i, tc := range []struct {
		row  model.Row
		want float64
	}{{numbers(50), -2}, {model.Row{}, -1}, {numbers(40, 3, 4, 5), -3}, {numbers(math.NaN()), -1}} {
		if got := m.Link(0, tc.row, 0, 1, nil, &c); got != tc.want {
			t.Errorf("row %d: link %v, want %v", i, got, tc.want)
		}
	}
}

func TestPredictRefuses(t *testing.T) {
	m := loaded(t, assembled(t, head, constant(0.1), constant(0.1)))
	for _, c := range []struct{ survived, horizon int }{{0, 0}, {0, -1}, {0, MaxPeriods + 1}, {-1, 1}} {
		if err := m.Predict(numbers(40), c.survived, c.horizon, &Curve{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestPredictAllocatesNothing(t *testing.T) {
	m := loaded(t, assembled(t, head, constant(0.01), constant(0.1)))
	var c Curve
	row := numbers(40)
	contributions := make([]float64, 4)
	predictAll := func() {
		if err := m.Predict(row, 0, 60, &c); err != nil {
			t.Fatal(err)
		}
		m.Link(0, row, 0, 1, contributions, &c)
	}
	predictAll()
	if n := testing.AllocsPerRun(20, predictAll); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSaveThenLoad(t *testing.T) {
	w := portfolio
	fitted := mustFit(t, w.fields, w.lives(3000, 20), Options{Causes: twoEnds, Rolls: []Roll{{Field: "age", By: 1, Every: 12}}})
	meta := fitted.Meta()
	meta.Name, meta.Duration, meta.Entry, meta.Metrics = "ends", "months", "<since>", map[string]float64{"good": 1, "bad": math.NaN()}
	m := fitted.WithMeta(meta)
	var first, second bytes.Buffer
	if err := m.Save(&first); err != nil {
		t.Fatal(err)
	}
	got := loaded(t, first.Bytes())
	if err := got.Save(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) || !strings.HasPrefix(first.String(), Prefix) || bytes.Count(first.Bytes(), []byte{'\n'}) != 4 {
		t.Error("a loaded model saves to other bytes, or not in four lines")
	}
	if got.Version() != m.Version() || m.Version() == fitted.Version() {
		t.Errorf("versions: fitted %s, renamed %s, loaded %s", fitted.Version(), m.Version(), got.Version())
	}
	back := got.Meta()
	if back.Name != "ends" || back.Duration != "months" || back.Entry != "<since>" || back.Subjects != 3000 || len(back.Metrics) != 1 || got.Last() != 30 || len(got.Rolls()) != 1 || len(got.Fields()) != 2 {
		t.Errorf("%+v", back)
	}
	for _, s := range w.lives(100, 21) {
		a, b := predict(t, m, s.Row, 3, 40), predict(t, got, s.Row, 3, 40)
		if a.Survival[40] != b.Survival[40] || a.Incidence[1][7] != b.Incidence[1][7] {
			t.Fatal("a loaded model predicts otherwise")
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	good := string(assembled(t, head, constant(0.1), constant(0.2)))
	loaded(t, []byte(good))
	lines := strings.Split(good, "\n")
	for _, c := range []struct {
		name, old, new string
		kind           fault.Kind
	}{
		{"another version", `"polis_hazard":2`, `"polis_hazard":3`, fault.Invalid},
		{"no version", `"polis_hazard":2`, `"polis":1`, fault.Invalid},
		{"a line short", lines[2] + "\n", "", fault.Malformed},
		{"a line more", lines[2] + "\n", lines[2] + "\n" + lines[2] + "\n", fault.Malformed},
		{"half a line", `"terms":[],`, `"terms":[`, fault.Malformed},
		{"no causes", `["lapse","death"]`, `[]`, fault.Malformed},
		{"a cause without a name", `"lapse"`, `""`, fault.Invalid},
		{"a cause twice", `"lapse"`, `"death"`, fault.Invalid},
		{"another period", `"period":"tenure"`, `"period":"age"`, fault.Invalid},
		{"a period that is a name", `{"name":"tenure","kind":"numeric"}`, `{"name":"tenure","kind":"category"}`, fault.Invalid},
		{"no last period", `"last":10`, `"last":0`, fault.Invalid},
		{"a last period beyond all", `"last":10`, `"last":100000`, fault.Invalid},
		{"a roll of no field", `"field":"age"`, `"field":"x"`, fault.Invalid},
		{"a roll of the period", `"field":"age"`, `"field":"tenure"`, fault.Invalid},
		{"a roll every 0", `"every":4`, `"every":0`, fault.Invalid},
		{"a roll out of range", `"every":4`, `"every":4e999`, fault.Malformed},
		{"a roll round backwards", `"every":4`, `"every":4,"low":3,"high":2`, fault.Invalid},
		{"another loss", `"loss":"logistic"`, `"loss":"poisson"`, fault.Invalid},
		{"other fields", `{"name":"age","kind":"numeric"}`, `{"name":"power","kind":"numeric"}`, fault.Invalid},
		{"no fields", `"fields":[`, `"fields":[],"x":[`, fault.Malformed},
		{"ends of other causes", `"meta":{`, `"meta":{"ends":[1],`, fault.Invalid},
		{"a life without periods", `"meta":{`, `"meta":{"life":{},`, fault.Invalid},
		{"a model of another version", `"polis_model":`, `"polis_model":9`, fault.Invalid},
	} {
		content := strings.Replace(good, c.old, c.new, 1)
		if content == good {
			t.Fatalf("%s: nothing replaced", c.name)
		}
		m, err := Load(bytes.NewReader(resealed(t, content)))
		if m != nil || !fault.Is(err, c.kind) {
			t.Errorf("%s: got %v, %v; want %v", c.name, m, err, c.kind)
		}
	}
	if _, err := Load(strings.NewReader(strings.Replace(good, `"last":10`, `"last":11`, 1))); !fault.Is(err, fault.Malformed) {
		t.Errorf("a digit that is another loads: %v", err)
	}
	for _, content := range []string{"", "null", "[]", "not json", "{}\n{}\n"} {
		if m, err := Load(strings.NewReader(content)); err == nil {
			t.Errorf("%q loads as %v", content, m)
		}
	}
}

// TestALifeIsChecked: one curve that is none is enough to refuse the file.
func TestALifeIsChecked(t *testing.T) {
	whole := func(atRisk, survival, first, second string) string {
		life := fmt.Sprintf(`{"at_risk":[%s],"observed":{"survival":[1,0.5],"incidence":[[0,0.5],[0,0]]},"expected":{"survival":[%s],"incidence":[[%s],[%s]]}}`, atRisk, survival, first, second)
		head := strings.Replace(head, `"last":10`, `"last":1`, 1)
		return string(assembled(t, strings.Replace(head, `"meta":{`, `"meta":{"ends":[1,0],"life":`+life+`,`, 1), constant(0.1), constant(0.2)))
	}
	m := loaded(t, []byte(whole("2", "1,0.7", "0,0.1", "0,0.2")))
	if l := m.Meta().Life; l == nil || l.Expected.Incidence[1][1] != 0.2 || l.Observed.Survival[1] != 0.5 {
		t.Errorf("%+v", l)
	}
	for name, content := range map[string]string{
		"nobody's risk":   whole("", "1,0.7", "0,0.1", "0,0.2"),
		"less than none":  whole("-1", "1,0.7", "0,0.1", "0,0.2"),
		"a period short":  whole("2", "1", "0,0.1", "0,0.2"),
		"a period more":   whole("2", "1,0.7", "0,0.1,0.2", "0,0.2"),
		"over 1":          whole("2", "1,0.7", "0,1.1", "0,0.2"),
		"an end too many": whole("2", "1,0.7", "0,0.1", "0,0.2],[0,0"),
	} {
		if m, err := Load(strings.NewReader(content)); m != nil || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, %v", name, m, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	age := scoretest.Model(f, byAge, model.Logistic, -3, scoretest.Step{Field: "age", Edges: []float64{44}, Values: []float64{2, 0, 1}})
	f.Add(assembled(f, head, age, constant(0.01)))
	f.Add(assembled(f, strings.Replace(head, `"every":4`, `"every":1e-300,"low":-1,"high":1e300`, 1), age, age))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := Load(bytes.NewReader(resealed(t, string(content))))
		if err != nil {
			if k := fault.KindOf(err); k != fault.Malformed && k != fault.Invalid {
				t.Fatalf("%v is of kind %v", err, k)
			}
			return
		}
		// What loads also predicts, and loads again from what it saves.
		n := len(m.Fields())
		row := model.Row{Num: make([]float64, n), Cat: make([]string, n)}
		c := predict(t, m, row, 0, 20)
		all := c.Survival[20]
		for _, inc := range c.Incidence {
			all += inc[20]
		}
		if !(math.Abs(all-1) < 1e-12) {
			t.Fatalf("all of it is %v", all)
		}
		var first, second bytes.Buffer
		if err := m.Save(&first); err != nil {
			t.Fatal(err)
		}
		if err := loaded(t, first.Bytes()).Save(&second); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatal("saving twice gives different bytes")
		}
	})
}
