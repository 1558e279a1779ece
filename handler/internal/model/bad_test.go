package model

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"polis/handler/internal/fault"
)

func TestFitRefusesBadInput(t *testing.T) {
	with := func(v float64) func(f *Frame, y *Target) {
		return func(_ *Frame, y *Target) { y.Y[3] = v }
	}
	for _, c := range []struct {
		name    string
		loss    Loss
		corrupt func(f *Frame, y *Target)
		want    string
	}{
		{"no rows", Poisson, func(f *Frame, _ *Target) { f.N = 0 }, "no rows"},
		{"a NaN target", Poisson, with(math.NaN()), "not a finite number"},
		{"an infinite target", Gamma, with(math.Inf(1)), "not a finite number"},
		{"a negative count", Poisson, with(-1), "not negative"},
		{"half an outcome", Logistic, with(0.5), "0 or 1"},
		{"an amount of zero", Gamma, with(0), "positive"},
		{"a negative cost", Tweedie, with(-1), "not negative"},
		{"no cost", Tweedie, func(_ *Frame, y *Target) { clear(y.Y) }, "no row has a cost"},
		{"one class", Logistic, func(_ *Frame, y *Target) { clear(y.Y) }, "one class"},
		{"no claim", Poisson, func(_ *Frame, y *Target) { clear(y.Y) }, "no row has a claim"},
		{"no exposure", Poisson, func(_ *Frame, y *Target) { y.Exposure[5] = 0 }, "exposure"},
		{"an infinite exposure", Poisson, func(_ *Frame, y *Target) { y.Exposure[5] = math.Inf(1) }, "exposure"},
		{"exposure of an outcome", Logistic, func(_ *Frame, y *Target) { y.Exposure = y.Y }, "exposure goes with poisson"},
		{"a negative weight", Gamma, func(_ *Frame, y *Target) { y.Weight[1] = -1 }, "weight"},
		{"a NaN weight", Gamma, func(_ *Frame, y *Target) { y.Weight[1] = math.NaN() }, "weight"},
		{"weights of zero", Gamma, func(_ *Frame, y *Target) { clear(y.Weight) }, "nothing usable"},
		{"weights that overflow", Gamma, func(_ *Frame, y *Target) {
			for i := range y.Weight {
				y.Weight[i] = math.MaxFloat64
			}
		}, "weight is beyond"},
		{"a huge exposure", Poisson, func(_ *Frame, y *Target) { y.Exposure[3] = 1e50 }, "row 4: the exposure is not from"},
		{"a tiny exposure", Poisson, func(_ *Frame, y *Target) { y.Exposure[3] = 1e-50 }, "row 4: the exposure is not from"},
		{"a huge amount", Gamma, func(_ *Frame, y *Target) { y.Y[3] = 1e50 }, "row 4: the target is beyond"},
		{"targets of another length", Poisson, func(_ *Frame, y *Target) { y.Y = y.Y[1:] }, "targets for"},
		{"groups of another length", Poisson, func(_ *Frame, y *Target) { y.Group = []string{"a"} }, "one per row"},
		{"a short column", Poisson, func(f *Frame, _ *Target) { f.Num[0] = f.Num[0][1:] }, "field age has"},
		{"a column of the other kind", Poisson, func(f *Frame, _ *Target) { f.Cat[1] = nil }, "field region has"},
		{"no columns", Poisson, func(f *Frame, _ *Target) { f.Num, f.Cat = nil, nil }, "field age has"},
		{"a name twice", Poisson, func(f *Frame, _ *Target) { f.Fields[1].Name = "age" }, "there twice"},
		{"no name", Poisson, func(f *Frame, _ *Target) { f.Fields[1].Name = "" }, "no name"},
		{"a monotone category", Poisson, func(f *Frame, _ *Target) { f.Fields[1].Monotone = 1 }, "no order"},
		{"a monotone sign of 2", Poisson, func(f *Frame, _ *Target) { f.Fields[0].Monotone = 2 }, "monotone"},
		{"an unknown kind", Poisson, func(f *Frame, _ *Target) { f.Fields[0].Kind = 9 }, "unknown kind"},
		{"too many fields", Poisson, func(f *Frame, _ *Target) { f.Fields = make([]Field, MaxFields+1) }, "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, y, _ := madeBy[c.loss](200, 6)
			c.corrupt(&f, &y)
			m, err := Fit(t.Context(), f, y, Options{Loss: c.loss})
			if m != nil || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want an invalid input: %s", m, err, c.want)
			}
		})
	}
}

func TestFitRefusesBadOptions(t *testing.T) {
	f, y, _ := madePoisson(200, 6)
	for i, o := range []Options{
		{Loss: 9},
		{Bins: 1},
		{Bins: 251},
		{PairBins: 33},
		{Rounds: -1},
		{Bags: 33},
		{LearningRate: 1.1},
		{LearningRate: math.NaN()},
		{MinLeaf: -1},
		{Shrink: math.Inf(1)},
	} {
		if i > 0 {
			o.Loss = Poisson
		}
		if _, err := Fit(t.Context(), f, y, o); !fault.Is(err, fault.Invalid) {
			t.Errorf("options %d: got %v, want an invalid option", i, err)
		}
	}
}

func TestFitOfHardData(t *testing.T) {
	long(t)
	for _, c := range []struct {
		name string
		harm func(f *Frame, y *Target)
	}{
		{"more categories than can be named", func(f *Frame, _ *Target) {
			for i := range f.Cat[1] {
				f.Cat[1][i] = "c" + strconv.Itoa(i)
			}
		}},
		{"names that are not UTF-8", func(f *Frame, _ *Target) {
			for i := range f.Cat[1] {
				f.Cat[1][i] += "\xff" + strconv.Itoa(i%2)
			}
		}},
		{"infinite values", func(f *Frame, _ *Target) {
			for i := range f.Num[0] {
				f.Num[0][i] = math.Inf(i%3 - 1)
			}
		}},
		{"huge values", func(f *Frame, _ *Target) {
			for i := range f.Num[0] {
				f.Num[0][i] *= 1e306
			}
		}},
		{"nothing but missing", func(f *Frame, _ *Target) {
			for i := range f.N {
				f.Num[0][i], f.Cat[1][i] = math.NaN(), ""
			}
		}},
		{"one group", func(f *Frame, y *Target) { y.Group = make([]string, f.N) }},
		{"three groups", func(f *Frame, y *Target) {
			for i := range f.N {
				y.Group = append(y.Group, strconv.Itoa(i%3))
			}
		}},
		{"tiny exposures", func(_ *Frame, y *Target) {
			for i := range y.Exposure {
				y.Exposure[i] *= 1e-300
			}
		}},
		{"a field that is the answer", func(f *Frame, y *Target) { f.Num[3] = slices.Clone(y.Y) }},
		{"weights mostly zero", func(f *Frame, y *Target) {
			y.Weight = make([]float64, f.N)
			for i := range f.N / 10 {
				y.Weight[i] = 1
			}
		}},
		{"no fields", func(f *Frame, _ *Target) { f.Fields, f.Num, f.Cat = nil, nil, nil }},
		{"few rows", func(f *Frame, y *Target) {
			*f, *y = split(*f, *y, func(i int) bool { return i < 5 })
			y.Y[0] = 1
		}},
	} {
		for loss, data := range madeBy {
			t.Run(c.name+"/"+loss.String(), func(t *testing.T) {
				f, y, _ := data(2000, 7)
				c.harm(&f, &y)
				m, err := Fit(t.Context(), f, y, Options{Loss: loss})
				if err != nil {
					if !fault.Is(err, fault.Invalid) {
						t.Fatal(err)
					}
					return
				}
				if _, err := Load(bytes.NewReader(saved(t, m))); err != nil {
					t.Error(err)
				}
				row := newRow(f)
				for i := range f.N {
					rowOf(f, i, &row)
					if mean := m.Mean(m.Score(row, nil)); !finite(mean) || mean <= 0 {
						t.Fatalf("row %d: mean %v", i, mean)
					}
				}
			})
		}
	}
}

func TestFewEventsGiveTheMeanAndSaySo(t *testing.T) {
	f, y, _ := madeLogistic(2000, 8)
	clear(y.Y)
	for i := range 20 {
		y.Y[i*7] = 1
	}
	m := mustFit(t, f, y, Options{Loss: Logistic})
	if len(m.Terms()) != 0 || !strings.Contains(m.Meta().Note, "20 events") {
		t.Errorf("%v, note %q", m, m.Meta().Note)
	}
	if got := m.Mean(m.Intercept()); math.Abs(got-0.01) > 1e-5 {
		t.Errorf("mean %v, want 0.01", got)
	}
	if m.Meta().Rows != 2000 || m.Meta().Events != 20 {
		t.Errorf("meta %+v", m.Meta())
	}
}

func TestScoreOfOddRows(t *testing.T) {
	long(t)
	f, y, _ := madePoisson(20_000, 9)
	m := mustFit(t, f, y, Options{Loss: Poisson})
	nan := math.NaN()
	blank := Row{Num: []float64{nan, nan, nan, nan, nan}, Cat: make([]string, 5)}
	want := m.Score(blank, nil)
	for _, row := range []Row{{}, {Num: []float64{nan}}, {Cat: []string{"", ""}}} {
		if got := m.Score(row, nil); got != want {
			t.Errorf("a short row scores %v, want %v as of missing values", got, want)
		}
	}
	blank.Num[0] = math.Inf(1)
	old := m.Score(blank, nil)
	blank.Num[0] = 1e9
	if got := m.Score(blank, nil); got != old || !finite(got) {
		t.Errorf("an infinite age scores %v, a huge one %v", old, got)
	}
	contrib := make([]float64, len(m.Terms())+3)
	if got := m.Score(blank, contrib); got != old {
		t.Errorf("more room for contributions changes the score to %v", got)
	}
	if got := m.Score(blank, contrib[:1]); got != old {
		t.Errorf("less room for contributions changes the score to %v", got)
	}
	if got := m.Mean(1e9); !finite(got) {
		t.Errorf("mean of a huge score: %v", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	const good = `{"polis_model":3,"loss":"poisson","intercept":-2,"meta":{"rows":9,"events":1},"fields":[` +
		`{"name":"age","kind":"numeric","edges":[20,30],"coarse":[0,1,1,1]},` +
		`{"name":"fuel","kind":"category","names":["diesel","petrol"],"coarse":[0,0,1,1]}],` +
		`"terms":[{"fields":[0],"table":[0,1,2,3]},{"fields":[0,1],"table":[1,2,3,4]}]}`
	if m, err := Parse(Seal([]byte(good))); err != nil || m.Score(Row{Num: []float64{25, 0}, Cat: []string{"", "petrol"}}, nil) != -2+2+4 {
		t.Fatalf("the good file: %v, %v", m, err)
	}
	for _, c := range []struct {
		name, old, new string
		kind           fault.Kind
	}{
		{"cut short", `]}]}`, `]}`, fault.Malformed},
		{"another version", `"polis_model":3`, `"polis_model":1`, fault.Invalid},
		{"no version", `"polis_model":3,`, ``, fault.Malformed},
		{"no intercept", `"intercept":-2,`, ``, fault.Malformed},
		{"a member's name with a slip", `"intercept"`, `"intercep_"`, fault.Malformed},
		{"a member twice", `"intercept":-2,`, `"intercept":-2,"intercept":-1,`, fault.Malformed},
		{"a member out of place", `"kind":"numeric","edges":[20,30]`, `"edges":[20,30],"kind":"numeric"`, fault.Malformed},
		{"a term without a table", `"fields":[0],"table":[0,1,2,3]`, `"fields":[0]`, fault.Malformed},
		{"an unknown loss", `"poisson"`, `"hinge"`, fault.Malformed},
		{"an unknown kind", `"category"`, `"ordinal"`, fault.Malformed},
		{"a number out of range", `-2`, `-2e999`, fault.Malformed},
		{"an intercept out of range", `-2`, `-2e99`, fault.Invalid},
		{"an edge out of range", `20`, `-2e999`, fault.Malformed},
		{"a value out of range", `[0,1,2,3]`, `[0,1,2e200,3]`, fault.Invalid},
		{"a string in a table", `[0,1,2,3]`, `[0,1,"2",3]`, fault.Malformed},
		{"null in a table", `[0,1,2,3]`, `[0,1,null,3]`, fault.Malformed},
		{"no array for a table", `[0,1,2,3]`, `"0,1,2,3"`, fault.Malformed},
		{"edges that fall", `20,30`, `30,20`, fault.Invalid},
		{"edges twice", `20,30`, `20,20`, fault.Invalid},
		{"edges of a category", `"names":["diesel","petrol"]`, `"edges":[1,2]`, fault.Invalid},
		{"a name twice", `"diesel"`, `"petrol"`, fault.Invalid},
		{"an empty name", `"diesel"`, `""`, fault.Invalid},
		{"a field twice", `"fuel"`, `"age"`, fault.Invalid},
		{"a short table", `[0,1,2,3]`, `[0,1,2]`, fault.Invalid},
		{"a long table of a pair", `[1,2,3,4]`, `[1,2,3,4,5]`, fault.Invalid},
		{"too few coarse bins", `[0,1,1,1]`, `[0,1,1]`, fault.Invalid},
		{"a pair without coarse bins", `,"coarse":[0,1,1,1]`, ``, fault.Invalid},
		{"a coarse bin below 0", `[0,1,1,1]`, `[0,1,1,-1]`, fault.Invalid},
		{"a coarse bin too high", `[0,1,1,1]`, `[0,1,1,33]`, fault.Invalid},
		{"a field that is not there", `"fields":[0]`, `"fields":[2]`, fault.Invalid},
		{"a field below 0", `"fields":[0]`, `"fields":[-1]`, fault.Invalid},
		{"a term of nothing", `"fields":[0]`, `"fields":[]`, fault.Invalid},
		{"a pair of one field", `"fields":[0,1]`, `"fields":[0,0]`, fault.Invalid},
		{"a broken promise", `"kind":"numeric","edges":[20,30],"coarse":[0,1,1,1]`, `"kind":"numeric","monotone":-1,"edges":[20,30],"coarse":[0,1,1,1]`, fault.Invalid},
		{
			"a broken promise by a pair", `"edges":[20,30],"coarse":[0,1,1,1]},{"name":"fuel","kind":"category","names":["diesel","petrol"],"coarse":[0,0,1,1]}],"terms":[{"fields":[0],"table":[0,1,2,3]},{"fields":[0,1],"table":[1,2,3,4]}]}`,
			`"monotone":1,"edges":[20,30],"coarse":[0,0,1,1]},{"name":"fuel","kind":"category","names":["diesel","petrol"],"coarse":[0,0,1,1]}],"terms":[{"fields":[0],"table":[0,1,2,3]},{"fields":[0,1],"table":[1,2,3,0]}]}`, fault.Invalid,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := strings.Replace(good, c.old, c.new, 1)
			if content == good {
				t.Fatal("nothing replaced")
			}
			m, err := Parse(Seal([]byte(content)))
			if m != nil || !fault.Is(err, c.kind) {
				t.Errorf("got %v, %v; want %v", m, err, c.kind)
			}
		})
	}
	for _, content := range []string{"", "null", "[]", "not json", `{"polis_model":3}`} {
		if m, err := Load(strings.NewReader(content)); err == nil {
			t.Errorf("%q loads as %v", content, m)
		}
	}
}

// TestOneByteIsSeen: whatever byte of a file is another, it does not load; but for its line
// ends, by which nothing is said.
func TestOneByteIsSeen(t *testing.T) {
	frame, y, _ := madePoisson(500, 3)
	content := saved(t, mustFit(t, frame, y, Options{Loss: Poisson, Bins: 4, PairBins: 3, Bags: 1}))
	if !bytes.Equal(Seal(content), content) {
		t.Fatal("a sealed file is another when it is sealed again")
	}
	for at := range content {
		for _, c := range []byte{content[at] ^ 1, '_', '0', '\n'} {
			if c == content[at] || content[at] == '\n' {
				continue
			}
			bad := bytes.Clone(content)
			bad[at] = c
			if _, err := Parse(bad); err == nil {
				t.Fatalf("byte %d, %q, may be %q", at, content[at], c)
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	frame, y, _ := madePoisson(2000, 10)
	m, err := Fit(f.Context(), frame, y, Options{Loss: Poisson, Bins: 4, PairBins: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(saved(f, m))
	f.Add(saved(f, Constant([]Field{{Name: "age"}}, Gamma, 7, "")))
	f.Add([]byte(`{"polis_model":3,"loss":"logistic","fields":[{"name":"a","kind":"category","names":["x"]}],"terms":[{"fields":[0],"table":[1,2,3]}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := Parse(Seal(content))
		if err != nil {
			if k := fault.KindOf(err); k != fault.Malformed && k != fault.Invalid {
				t.Fatalf("%v is of kind %v", err, k)
			}
			return
		}
		// What loads also scores, and loads again from what it saves.
		n := len(m.Fields())
		row := Row{Num: make([]float64, n), Cat: make([]string, n)}
		if s := m.Score(row, make([]float64, len(m.Terms()))); !finite(s) || !finite(m.Mean(s)) {
			t.Fatalf("score %v", s)
		}
		first := saved(t, m)
		again, err := Load(bytes.NewReader(first))
		if err != nil {
			t.Fatalf("what was saved does not load: %v", err)
		}
		if second := saved(t, again); !bytes.Equal(first, second) {
			t.Fatal("saving twice gives different bytes")
		}
	})
}
