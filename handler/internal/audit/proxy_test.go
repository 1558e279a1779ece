package audit_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "polis/handler/internal/audit"
	"polis/handler/internal/model"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// book is rows of features, and attributes of which some can be told from them.
func book(n int) (model.Frame, map[string]*Attribute) {
	r := rand.New(rand.NewPCG(5, 6))
	f := model.Frame{N: n, Fields: []model.Field{{Name: "tenure"}, {Name: "premium"}, {Name: "branch", Kind: model.Category}}, Num: make([][]float64, 3), Cat: make([][]string, 3)}
	age := &Attribute{Name: "age", Numeric: true}
	planted := &Attribute{Name: "planted"}
	null := &Attribute{Name: "null"}
	rare := &Attribute{Name: "rare"}
	for range n {
		a := 20 + 60*r.Float64()
		if r.IntN(10) == 0 {
			age.Num = append(age.Num, math.NaN())
		} else {
			age.Num = append(age.Num, math.Floor(a))
		}
		f.Num[0] = append(f.Num[0], max(0, a-20+5*r.NormFloat64())) // tenure goes with age
		f.Num[1] = append(f.Num[1], 100+50*r.NormFloat64())
		f.Cat[2] = append(f.Cat[2], []string{"motor", "legal", "travel"}[r.IntN(3)])
		value := "m"
		if p := 1 / (1 + math.Exp(-(f.Num[1][len(f.Num[1])-1]-100)/20)); r.Float64() < p {
			value = "v"
		}
		planted.Cat = append(planted.Cat, value)
		null.Cat = append(null.Cat, []string{"m", "v"}[r.IntN(2)])
		rare.Cat = append(rare.Cat, map[bool]string{true: "x", false: "y"}[r.IntN(n/50) == 0])
	}
	return f, map[string]*Attribute{"age": age, "planted": planted, "null": null, "rare": rare}
}

// TestProxies: what can be told is found with the feature that tells it, what cannot is
// not, and of few nothing is asked.
func TestProxies(t *testing.T) {
	f, attributes := book(4000)
	s := Defaults()
	ask := func(name string) []Proxy {
		t.Helper()
		out, err := s.Proxies(t.Context(), "test", f, attributes[name], 1)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, p := range ask("age") {
		if !p.Found || p.AUC.Value < 0.9 || len(p.Carriers) == 0 || p.Carriers[0].Feature != "tenure" || p.Carriers[0].Share < 0.9 {
			t.Errorf("age goes with tenure: %+v", p)
		}
		if p.Rows >= f.N || p.Rows < f.N*8/10 {
			t.Errorf("of %d rows with an age in nine tenths %d are asked", f.N, p.Rows)
		}
	}
	planted := ask("planted")
	if len(planted) != 1 || !planted[0].Found || planted[0].Carriers[0].Feature != "premium" || planted[0].Explained < 0.1 {
		t.Errorf("a planted proxy: %+v", planted)
	}
	for _, p := range ask("null") {
		if p.Found || p.AUC != nil && (p.AUC.Value > 0.56 || p.AUC.Low > 0.52) {
			t.Errorf("what nothing tells: %+v", p)
		}
	}
	if rare := ask("rare"); len(rare) != 1 || rare[0].Note == "" || rare[0].AUC != nil {
		t.Errorf("of fifty nothing is asked: %+v", rare)
	}
	// The attribute itself is no proxy of itself.
	own := f
	own.Fields = append(own.Fields[:3:3], model.Field{Name: "null", Kind: model.Category})
	own.Num, own.Cat = append(own.Num[:3:3], nil), append(own.Cat[:3:3], attributes["null"].Cat)
	out, err := s.Proxies(t.Context(), "test", own, attributes["null"], 1)
	if err != nil || out[0].Found {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestFreeValuesAreNotShown: of an attribute in which an office writes what it likes a value is
// told by its rank, however many have it.
func TestFreeValuesAreNotShown(t *testing.T) {
	f, attributes := book(2000)
	s := Defaults()
	staff := &Attribute{Name: "attribute_contact", Free: true}
	number := &Attribute{Name: "attribute_extension", Free: true, Numeric: true}
	for i := range f.N {
		staff.Cat = append(staff.Cat, []string{"J. Jansen", "P. Pietersen", "J. Jansen", "K. Klaassen"}[i%4])
		number.Num = append(number.Num, 4321+float64(i%40))
	}
	want := map[string][]string{"attribute_contact": {"commonest value", "second commonest value", "third commonest value"}, "attribute_extension": {"lowest quarter", "highest quarter"}, "planted": {"v"}}
	attributes["attribute_contact"], attributes["attribute_extension"] = staff, number
	for name, values := range want {
		out, err := s.Proxies(t.Context(), "test", f, attributes[name], 1)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range out {
			if got = append(got, p.Value); p.AUC == nil {
				t.Errorf("no figure of %s: %+v", name, p)
			}
		}
		if name == "planted" && len(got) == 1 { // a value of ours is named
			continue
		}
		if !slices.Equal(got, values) {
			t.Errorf("%s: %q, want %q", name, got, values)
		}
	}
}
