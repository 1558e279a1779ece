package report_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
	. "polis/handler/internal/report"
)

// fitted is a model with a main effect, a pair, and a field whose name is an attack.
func fitted(t *testing.T) *model.Model {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 3))
	const n = 4000
	f := model.Frame{N: n, Fields: []model.Field{{Name: "age"}, {Name: "<script>alert(1)</script>", Kind: model.Category}, {Name: "power"}}, Num: make([][]float64, 3), Cat: make([][]string, 3)}
	var y model.Target
	for range n {
		age, power, region := 18+r.Float64()*60, r.Float64()*100, []string{"north", "<b>south"}[r.IntN(2)]
		p := 0.1
		if age < 40 && power > 50 {
			p = 0.6
		}
		if region == "north" {
			p /= 2
		}
		v := 0.0
		if r.Float64() < p {
			v = 1
		}
		f.Num[0], f.Cat[1], f.Num[2], y.Y = append(f.Num[0], age), append(f.Cat[1], region), append(f.Num[2], power), append(y.Y, v)
	}
	m, err := model.Fit(t.Context(), f, y, model.Options{Loss: model.Logistic})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func page(t *testing.T, m *model.Model, o *Outcome) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, m, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestThePageIsWhole: nothing comes from elsewhere, nothing runs, and names stay names.
func TestThePageIsWhole(t *testing.T) {
	m := fitted(t)
	text := page(t, m, nil)
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	sections, bars := 0, 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "link", "img", "iframe", "b":
			if n.Data != "b" || n.Parent.Data != "div" {
				t.Errorf("the page has a <%s> below <%s>", n.Data, n.Parent.Data)
			}
		case "section":
			sections++
		case "i":
			bars++
		}
		for _, a := range n.Attr {
			if a.Key == "src" || a.Key == "href" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	mains := 0
	for _, term := range m.Terms() {
		if len(term.Fields) == 1 {
			mains++
		}
	}
	if sections != mains || bars < mains || !strings.Contains(text, "age × power") || !strings.Contains(text, m.Version()) {
		t.Errorf("%d sections and %d bars of %d main effects", sections, bars, mains)
	}
	if strings.Contains(text, "How it does") || page(t, m, nil) != text {
		t.Error("a model that was not tried has a trial, or a page differs from the same")
	}
}

// TestTrial: predictions that are right on average and in order, by hand.
func TestTrial(t *testing.T) {
	var o Outcome
	for i := range 100 {
		p := float64(i/10+1) / 100
		o.Predicted = append(o.Predicted, p)
		o.Actual = append(o.Actual, 2*p)
		o.Exposure = append(o.Exposure, 1)
	}
	text := page(t, fitted(t), &o)
	// Sums are 5.5 and 11; the Gini of 1, 2, …, 10 is 0.3; the last tenth has 10 over 5.5.
	for _, want := range []string{"100 rows: 5.5 expected, 11 happened, a ratio of 2.000. Gini 0.300;", "has 1.82 times the mean", "<td>10</td><td>0.1</td><td>0.2</td><td>2.00</td>"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for name, bad := range map[string]Outcome{
		"nothing":            {},
		"too few outcomes":   {Predicted: []float64{1, 2}, Actual: []float64{1}, Exposure: []float64{1, 1}},
		"no exposure":        {Predicted: []float64{1}, Actual: []float64{1}, Exposure: []float64{0}},
		"nothing predicted":  {Predicted: []float64{0}, Actual: []float64{1}, Exposure: []float64{1}},
		"predictions of NaN": {Predicted: []float64{math.NaN()}, Actual: []float64{1}, Exposure: []float64{1}},
	} {
		if err := Write(&bytes.Buffer{}, fitted(t), &bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
