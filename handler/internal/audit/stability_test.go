package audit_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	. "polis/handler/internal/audit"
	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// TestPSIByHand: the index of a table that is worked with pencil and paper.
func TestPSIByHand(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after []int
		want          float64
	}{
		// (0.25−0.5)·ln(0.25/0.5) + (0.75−0.5)·ln(0.75/0.5) = 0.25·ln 2 + 0.25·ln 1.5
		{"half to a quarter", []int{50, 50}, []int{25, 75}, 0.25*math.Ln2 + 0.25*math.Log(1.5)},
		// 10, 20, 70 to 20, 20, 60 of a hundred: 0.1·ln 2 + 0 − 0.1·ln(6/7)
		{"three bins", []int{100, 200, 700}, []int{20, 20, 60}, 0.1*math.Ln2 - 0.1*math.Log(6.0/7)},
		// An empty bin counts half a row of a hundred: (0.005−0.5)·ln(0.01) + (1−0.5)·ln 2
		{"a bin that emptied", []int{50, 50}, []int{0, 100}, -0.495*math.Log(0.01) + 0.5*math.Ln2},
		{"nothing anywhere", []int{0, 10, 0}, []int{0, 3, 0}, 0},
	} {
		if got := PSI(tt.before, tt.after); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := PSI([]int{0, 0}, []int{1, 2}); !math.IsNaN(got) {
		t.Errorf("of no rows: %v", got)
	}
}

// TestPSIProperties: never negative, nothing for equal shares, and the same both ways.
func TestPSIProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "bins")
		draw := func(name string) []int {
			out := rapid.SliceOfN(rapid.IntRange(0, 1000), n, n).Draw(t, name)
			out[0]++ // some row
			return out
		}
		a, b := draw("before"), draw("after")
		if v := PSI(a, b); !(v >= 0) {
			t.Fatalf("PSI %v", v)
		}
		if v, w := PSI(a, b), PSI(b, a); math.Abs(v-w) > 1e-12 {
			t.Fatalf("%v one way and %v the other", v, w)
		}
		times := rapid.IntRange(1, 9).Draw(t, "times")
		same := make([]int, n)
		for i := range a {
			same[i] = a[i] * times
		}
		if v := PSI(a, same); math.Abs(v) > 1e-12 {
			t.Fatalf("equal shares have %v", v)
		}
	})
}

// TestChance: samples of one distribution have the index that Chance expects, and stay
// below its limit as often as it says.
func TestChance(t *testing.T) {
	// By hand: ten bins, 200 and 50 rows: 9 × (1/200 + 1/50).
	if mean, limit := Chance(slices.Repeat([]int{20}, 10), slices.Repeat([]int{5}, 10), 200, 50, 0.95); math.Abs(mean-9*0.025) > 1e-12 || math.Abs(limit-0.025*16.919) > 0.001 {
		t.Errorf("mean %v, limit %v; chi-square of 9 at 95%% is 16.919", mean, limit)
	}
	if mean, limit := Chance([]int{0, 5}, []int{0, 5}, 5, 5, 0.95); mean != 0 || limit != 0 {
		t.Errorf("one bin: %v and %v", mean, limit)
	}
	r := rand.New(rand.NewPCG(1, 2))
	const trials, n, m = 2000, 1000, 300
	sum, above := 0.0, 0
	var want, limit float64
	for range trials {
		a, b := make([]int, 10), make([]int, 10)
		for range n {
			a[r.IntN(10)]++
		}
		for range m {
			b[r.IntN(10)]++
		}
		v := PSI(a, b)
		want, limit = Chance(a, b, n, m, 0.99)
		sum += v
		if v > limit {
			above++
		}
	}
	if mean := sum / trials; math.Abs(mean/want-1) > 0.06 {
		t.Errorf("mean %v of samples alike, expected %v", mean, want)
	}
	if above > 40 {
		t.Errorf("%d of %d samples alike are above the 99%% limit", above, trials)
	}
}

var fields = []model.Field{{Name: "premium"}, {Name: "claims"}, {Name: "region", Kind: model.Category}}

// made are rows of customers, two a relation: premiums around a mean, few claims, regions.
func made(c Counter, seed uint64, n int, mean float64, north float64) {
	r := rand.New(rand.NewPCG(seed, 1))
	row := model.Row{Num: make([]float64, 3), Cat: make([]string, 3)}
	for i := range n {
		row.Num[0] = mean * math.Exp(0.5*r.NormFloat64())
		row.Num[1] = float64(r.IntN(10) / 8) // mostly none
		if r.IntN(20) == 0 {
			row.Num[0] = math.NaN()
		}
		row.Cat[2] = "south"
		if r.Float64() < north {
			row.Cat[2] = "north"
		}
		c.Add(&row)
		if i%2 == 1 {
			c.Next()
		}
	}
}

func baseline(n int) *Baseline {
	s := NewSurvey(fields, nil)
	made(s, 1, n, 100, 0.4)
	return &Baseline{Model: "m", Populations: []Population{s.Population("customers")}}
}

func compared(b *Baseline, seed uint64, n int, mean, north float64) map[string]Shift {
	c := NewCount(&b.Populations[0], fields)
	made(c, seed, n, mean, north)
	s := Defaults()
	out := map[string]Shift{}
	for _, x := range s.Compare(b, []Population{c.Population()}, func(string, string) bool { return true }, func(string) bool { return false }) {
		out[x.Name] = x
	}
	return out
}

// TestShiftIsFound: what moved is found, what did not is not, and a small book does not
// alarm by chance.
func TestShiftIsFound(t *testing.T) {
	b := baseline(8000)
	for name, s := range compared(b, 2, 4000, 100, 0.4) {
		if s.Verdict != Stable || s.PSI > s.Limit {
			t.Errorf("%s did not move: %+v", name, s)
		}
	}
	moved := compared(b, 3, 4000, 140, 0.6)
	if s := moved["premium"]; s.Verdict != Much || len(s.Most) == 0 {
		t.Errorf("premiums rose by two fifths: %+v", s)
	}
	if s := moved["region"]; s.Verdict != Some {
		t.Errorf("the north went from 40%% to 60%%: %+v", s)
	}
	if s := moved["claims"]; s.Verdict != Stable {
		t.Errorf("claims did not move: %+v", s)
	}
	chance := 0
	for seed := range uint64(50) {
		for name, s := range compared(b, 10+seed, 40, 100, 0.4) {
			if s.Verdict == Some || s.Verdict == Much {
				t.Errorf("forty rows, seed %d: %s is said to have moved: %+v", seed, name, s)
			}
			if s.Verdict == ByChance {
				chance++
			}
		}
	}
	if chance == 0 {
		t.Error("forty rows never pass a threshold by chance: the test asks nothing")
	}
}

// TestEffective: rows of one relation go together.
func TestEffective(t *testing.T) {
	s := NewSurvey(fields, nil)
	made(s, 1, 1000, 100, 0.4)
	if p := s.Population("x"); p.Rows != 1000 || p.Relations != 500 || p.Effective != 500 {
		t.Errorf("%+v", p)
	}
	// A fleet of a hundred beside a hundred single ones: 200²/(100² + 100) = 3.96.
	fleet := NewSurvey(fields, nil)
	row := model.Row{Num: make([]float64, 3), Cat: make([]string, 3)}
	for range 100 {
		fleet.Add(&row)
	}
	fleet.Next()
	for range 100 {
		fleet.Add(&row)
		fleet.Next()
	}
	if p := fleet.Population("x"); p.Effective != 4 {
		t.Errorf("effective %v, want 3.96 to one decimal", p.Effective)
	}
}

// TestBins: bins have equal shares where values allow, rare names are put together, what is
// hidden is left out, and the same bins count the same rows.
func TestBins(t *testing.T) {
	b := baseline(8000)
	p := b.Populations[0]
	premium := p.Columns[0]
	if len(premium.Edges) != 9 {
		t.Fatalf("edges %v", premium.Edges)
	}
	for k, n := range premium.Counts[1:] {
		if n < 700 || n > 820 {
			t.Errorf("bin %d has %d rows of about 760", k, n)
		}
	}
	if claims := p.Columns[1]; !slices.Equal(claims.Edges, []float64{0}) {
		t.Errorf("of none and one the edges are %v", claims.Edges)
	}
	c := NewCount(&p, fields)
	made(c, 1, 8000, 100, 0.4)
	for i, col := range c.Population().Columns {
		if !slices.Equal(col.Counts, p.Columns[i].Counts) {
			t.Errorf("%s counts %v, and %v in its own bins", col.Name, p.Columns[i].Counts, col.Counts)
		}
	}
	s := NewSurvey(fields, []bool{true, false, false})
	row := model.Row{Num: []float64{1, 1, 0}, Cat: []string{"", "", ""}}
	for i := range 100 {
		if row.Cat[2] = "common"; i < 29 {
			row.Cat[2] = "rare"
		}
		s.Add(&row)
		s.Next()
	}
	got := s.Population("x")
	if len(got.Columns) != 2 || !slices.Equal(got.Columns[1].Names, []string{"common"}) || !slices.Equal(got.Columns[1].Counts, []int{0, 29, 71}) {
		t.Errorf("%+v", got)
	}
}

// TestNamesOfRelations: a fleet's policies, however many, are one relation, and a name that few
// relations have is in no baseline.
func TestNamesOfRelations(t *testing.T) {
	s := NewSurvey([]model.Field{{Name: "name", Kind: model.Category}}, nil)
	row := model.Row{Num: []float64{0}, Cat: []string{"fleet's own"}}
	for range 500 {
		s.Add(&row)
	}
	s.Next()
	for range 40 {
		row.Cat[0] = "common"
		s.Add(&row)
		s.Next()
	}
	if c := s.Population("x").Columns[0]; !slices.Equal(c.Names, []string{"common"}) || !slices.Equal(c.Counts, []int{0, 500, 40}) {
		t.Errorf("%+v", c)
	}
}

// TestFreeBins: bins of what an office wrote as it pleased are told by number.
func TestFreeBins(t *testing.T) {
	survey := func(shift int) *Survey {
		s := NewSurvey([]model.Field{{Name: "attribute_who", Kind: model.Category}, {Name: "attribute_extension"}}, nil)
		for i := range 1000 {
			s.Add(&model.Row{Num: []float64{0, 4321 + float64(i%100)}, Cat: []string{[]string{"J. Jansen", "P. Pietersen"}[min(1, i%10/shift)], ""}})
			s.Next()
		}
		return s
	}
	before := &Baseline{Populations: []Population{survey(2).Population("p")}}
	count := NewCount(&before.Populations[0], []model.Field{{Name: "attribute_who", Kind: model.Category}, {Name: "attribute_extension"}})
	for i := range 1000 {
		count.Add(&model.Row{Num: []float64{0, 4321 + float64(i%10)}, Cat: []string{[]string{"J. Jansen", "P. Pietersen"}[min(1, i%10/8)], ""}})
		count.Next()
	}
	s := Defaults()
	for free, want := range map[bool]bool{true: false, false: true} {
		shifts := s.Compare(before, []Population{count.Population()}, func(string, string) bool { return true }, func(string) bool { return free })
		body, err := json.Marshal(shifts)
		if err != nil {
			t.Fatal(err)
		}
		if len(shifts) != 2 || len(shifts[0].Bins) == 0 || len(shifts[1].Bins) == 0 {
			t.Fatalf("nothing moved: %s", body)
		}
		if shown := bytes.Contains(body, []byte("Jansen")) || bytes.Contains(body, []byte("43")); shown != want {
			t.Errorf("free %v: values shown %v: %s", free, shown, body)
		}
	}
}

// TestBaselineFile: a baseline is read as it was written, and a spoilt one is refused.
func TestBaselineFile(t *testing.T) {
	var file bytes.Buffer
	if err := baseline(1000).Save(&file); err != nil {
		t.Fatal(err)
	}
	again, err := ParseBaseline(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var second bytes.Buffer
	if err := again.Save(&second); err != nil || !bytes.Equal(second.Bytes(), file.Bytes()) {
		t.Errorf("read and written again it differs (%v)", err)
	}
	for name, bad := range map[string]string{
		"no JSON":           `{`,
		"another format":    `{"format":2}`,
		"rows that differ":  `{"format":1,"populations":[{"name":"a","rows":3,"effective":1,"columns":[{"name":"x","counts":[1,1]}]}]}`,
		"a bin too many":    `{"format":1,"populations":[{"name":"a","rows":2,"effective":1,"columns":[{"name":"x","edges":[1],"counts":[1,1]}]}]}`,
		"edges that fall":   `{"format":1,"populations":[{"name":"a","rows":2,"effective":1,"columns":[{"name":"x","edges":[2,1],"counts":[1,1,0,0]}]}]}`,
		"a negative count":  `{"format":1,"populations":[{"name":"a","rows":2,"effective":1,"columns":[{"name":"x","counts":[-1,3]}]}]}`,
		"more than is true": `{"format":1,"populations":[{"name":"a","rows":2,"effective":9,"columns":[]}]}`,
		"no name":           `{"format":1,"populations":[{"name":"a","rows":2,"effective":1,"columns":[{"counts":[1,1]}]}]}`,
	} {
		if _, err := ParseBaseline([]byte(bad)); !fault.Is(err, fault.Malformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzBaseline(f *testing.F) {
	var file bytes.Buffer
	if err := baseline(100).Save(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte(`{"format":1,"populations":[{"name":"a","rows":2,"effective":1,"columns":[{"name":"x","counts":[1,1]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := ParseBaseline(body)
		if err != nil {
			return
		}
		s := Defaults()
		row := model.Row{Num: []float64{1, math.Inf(1), 0}, Cat: []string{"", "", "x"}}
		for i := range b.Populations {
			c := NewCount(&b.Populations[i], fields)
			c.Add(&row)
			c.Next()
			s.Compare(b, []Population{c.Population()}, func(string, string) bool { return false }, func(string) bool { return false })
		}
	})
}
