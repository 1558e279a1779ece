package report_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"polis/handler/internal/fault"
	"polis/handler/internal/hazard"
	"polis/handler/internal/measure"
	"polis/handler/internal/model"
	. "polis/handler/internal/report"
)

// evil is a name that would be an element and leave an attribute, if it could.
const evil = `"'><x-evil onclick=a()>&`

// fitted is a model with main effects, a pair, and names that are attacks.
var fitted = sync.OnceValue(func() *model.Model {
	f, y := made(model.Logistic)
	m, err := model.Fit(context.Background(), f, y, model.Options{Loss: model.Logistic})
	if err != nil {
		panic(err)
	}
	return m
})

// made are rows in which the young with much power have four times the others' outcomes.
func made(loss model.Loss) (f model.Frame, y model.Target) {
	r := rand.New(rand.NewPCG(3, 3))
	const n = 4000
	f = model.Frame{N: n, Fields: []model.Field{{Name: "age"}, {Name: evil, Kind: model.Category}, {Name: "power"}}, Num: make([][]float64, 3), Cat: make([][]string, 3)}
	for range n {
		age, power, region := 18+r.Float64()*60, r.Float64()*100, []string{"north", evil}[r.IntN(2)]
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
		if loss == model.Poisson {
			y.Exposure = append(y.Exposure, 0.5+r.Float64())
		}
	}
	return f, y
}

// byHand has the means 0.01 … 0.10, ten rows each, and twice as much happens.
func byHand(t *testing.T) *measure.Trial {
	t.Helper()
	var mean, actual []float64
	for i := range 100 {
		p := float64(i/10+1) / 100
		mean, actual = append(mean, p), append(actual, 2*p)
	}
	trial, err := measure.Try(measure.Poisson, mean, actual, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return trial
}

// rich is a model about which everything is known.
func rich(t *testing.T) (*model.Model, []model.Cell) {
	t.Helper()
	m := fitted().WithMeta(model.Meta{
		Name: evil, Note: evil, Trained: evil, Target: evil, Exposure: evil, Weight: evil, Data: evil, Rows: 4000, Events: 800,
		Settings:    map[string]string{evil: evil},
		Metrics:     map[string]float64{evil: 1},
		Trial:       byHand(t),
		Comparisons: []model.Comparison{{Name: "the mean alone", Deviance: 2}, {Name: evil, Deviance: 1.5, Note: evil}},
		Clusters:    [][]string{{"age", evil}},
		Proxies:     []model.Proxy{{Protected: "sex", Feature: "age", Share: 0.1}, {Protected: evil, Feature: evil, Share: 0.4}},
		Protected:   []model.ProtectedGroup{{Column: evil, Value: evil, Rows: 900, Expected: 100, Actual: 150, Exposure: 1000}},
	})
	cells := m.Cells()
	for i := range cells {
		cells[i].Error, cells[i].Weight = 0.05, 10
	}
	return m, cells
}

func page(t *testing.T, m *model.Model, cells []model.Cell, tried *Tried) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteCells(&b, m, cells, tried); err != nil {
		t.Fatal(err)
	}
	if again := (&bytes.Buffer{}); WriteCells(again, m, cells, tried) != nil || again.String() != b.String() {
		t.Fatal("a page differs from the same")
	}
	return b.String()
}

func parsed(t *testing.T, text string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// elements counts those of a kind, and of a class where one is named.
func elements(doc *html.Node, kind, class string) (n int) {
	for e := range doc.Descendants() {
		if e.Type == html.ElementNode && e.Data == kind && (class == "" || slices.Contains(strings.Fields(attribute(e, "class")), class)) {
			n++
		}
	}
	return n
}

// TestThePageIsWhole: nothing comes from elsewhere, nothing runs, and names stay names.
func TestThePageIsWhole(t *testing.T) {
	allowed := strings.Fields(`html head meta title style body header main section nav footer h1 h2 h3 h4 p a b i s u br small span div code
		dl dt dd ul li table thead tbody tr th td figure figcaption details summary svg g line path rect circle text`)
	m, cells := rich(t)
	text := page(t, m, cells, &Tried{Table: evil, Trial: byHand(t)})
	ids, links := map[string]bool{}, map[string]bool{}
	for n := range parsed(t, text).Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if !slices.Contains(allowed, n.Data) {
			t.Errorf("the page has a <%s> below <%s>", n.Data, n.Parent.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "href" && strings.HasPrefix(a.Val, "#"):
				links[a.Val[1:]] = true
			case a.Key == "id":
				ids[a.Val] = true
			case a.Key == "src", a.Key == "href", a.Key == "srcdoc", a.Key == "action", strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	for id := range links {
		if !ids[id] {
			t.Errorf("a link to #%s, which is not there", id)
		}
	}
	for _, no := range []string{"http:", "https:", "url(", "@import", "NaN", "Inf", "ZgotmplZ"} {
		if strings.Contains(text, no) {
			t.Errorf("the page has %q", no)
		}
	}
	if strings.Contains(text, "<x-evil") || strings.Count(text, "&lt;x-evil") < 30 {
		t.Errorf("names are not shown as they are: %d", strings.Count(text, "&lt;x-evil"))
	}
}

// TestSectionsShowWhatIsThere, each where its data is there and only there.
func TestSectionsShowWhatIsThere(t *testing.T) {
	whole, cells := rich(t)
	bare := fitted().WithMeta(model.Meta{})
	constant := model.Constant([]model.Field{{Name: "age"}}, model.Gamma, 7, "too few claims")
	trial := byHand(t)
	for name, tc := range map[string]struct {
		model *model.Model
		cells []model.Cell
		tried *Tried
		want  string
	}{
		"everything":         {whole, cells, &Tried{"next.csv", trial}, "card good calibration matters fields pairs clusters fairness fit"},
		"the model alone":    {bare, bare.Cells(), nil, "card matters fields pairs fit"},
		"with a table":       {bare, bare.Cells(), &Tried{"next.csv", trial}, "card good calibration matters fields pairs fit"},
		"rows held out":      {bare.WithMeta(model.Meta{Trial: trial}), bare.Cells(), nil, "card good calibration matters fields pairs fit"},
		"comparisons alone":  {bare.WithMeta(model.Meta{Comparisons: []model.Comparison{{Name: "x"}}}), bare.Cells(), nil, "card good matters fields pairs fit"},
		"proxies":            {constant.WithMeta(model.Meta{Proxies: []model.Proxy{{Share: 0.5}}}), nil, nil, "card fairness fit"},
		"groups":             {constant.WithMeta(model.Meta{Protected: []model.ProtectedGroup{{}}}), nil, nil, "card fairness fit"},
		"nothing but a mean": {constant, constant.Cells(), nil, "card fit"},
	} {
		text := page(t, tc.model, tc.cells, tc.tried)
		var got []string
		for n := range parsed(t, text).Descendants() {
			if n.Data == "section" {
				got = append(got, attribute(n, "id"))
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, want %s", name, got, tc.want)
		}
		for _, no := range []string{"NaN", "Inf", "%!", "&lt;nil"} {
			if strings.Contains(text, no) {
				t.Errorf("%s: the page has %q", name, no)
			}
		}
		for _, id := range got {
			if !strings.Contains(text, `href="#`+id+`"`) {
				t.Errorf("%s: nothing leads to %s", name, id)
			}
		}
	}
}

// TestTrials: what measure says is on the page, and what it cannot say is not.
func TestTrials(t *testing.T) {
	m := fitted().WithMeta(model.Meta{Trial: byHand(t)})
	text := page(t, m, m.Cells(), nil)
	// Sums are 5.5 and 11; the Gini of 1, 2, …, 10 is 0.3; the last tenth has 10 over 5.5.
	for _, want := range []string{
		"100 rows: 5.5 expected, 11 happened", "2.000 (2.000 to 2.000)", "0.300 (", "1.82× (", "0 of 10", "differs from 1 or 0",
		`<td class="num">0.1</td><td class="num">0.2</td><td class="num off">2.000</td>`, `<div class="tile bad"><span>Actual / expected</span><b>2.000</b>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	doc := parsed(t, text)
	if bars, dots, off := elements(doc, "rect", "bar"), elements(doc, "circle", "actual-dot"), elements(doc, "circle", "off"); bars != 10 || dots != 10 || off != 10 {
		t.Errorf("%d bars, %d tenths, %d of them off the line", bars, dots, off)
	}
	if elements(doc, "path", "isotonic") != 1 || elements(doc, "path", "area") != 1 {
		t.Error("no isotonic curve, or no gains")
	}

	nothing, err := measure.Try(measure.Tweedie, []float64{1, 2, 3}, []float64{0, 0, 0}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	text = page(t, m, m.Cells(), &Tried{"none.csv", nothing})
	for _, no := range []string{"NaN", "Inf"} {
		if strings.Contains(text, no) {
			t.Errorf("of a table in which nothing happened the page has %q", no)
		}
	}
	if err := Write(&bytes.Buffer{}, m, &Tried{Table: "none.csv"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a table without a trial: %v", err)
	}
}

// TestCapped: a model of capped amounts says so first, and what its predictions lack.
func TestCapped(t *testing.T) {
	of := func(settings map[string]string) string {
		m := model.Constant([]model.Field{{Name: "age"}}, model.Gamma, 7, "").WithMeta(model.Meta{Trial: byHand(t), Settings: settings})
		return page(t, m, nil, nil)
	}
	text := of(map[string]string{"cap": "12500", "excess_loading": "1.25"})
	head, body, _ := strings.Cut(text, "</header>")
	for _, want := range []string{"Amounts are capped at 12\u202f500", "20.0% of the total", "A prediction times <b>1.250</b>", "Actual / expected, capped"} {
		if !strings.Contains(head, want) {
			t.Errorf("the page does not begin with %q", want)
		}
	}
	for _, want := range []string{"what one claim costs up to the cap", "per claim, capped at 12\u202f500; times the excess loading of 1.250", "Multiplied by the excess loading first", "both of capped amounts", "predicted per claim, capped<"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for name, settings := range map[string]map[string]string{"whole": nil, "no number": {"cap": "x"}} {
		if text := of(settings); strings.Contains(text, "apped") {
			t.Errorf("%s: amounts are said to be capped", name)
		}
	}
	if text := of(map[string]string{"cap": "9"}); !strings.Contains(text, "The expected cost is higher") {
		t.Error("without a loading the page does not say that the cost is higher")
	}
}

// TestHazard: the page names subjects, periods and ends, the version of the whole file, and
// draws how subjects fare.
func TestHazard(t *testing.T) {
	var file bytes.Buffer
	fields := []model.Field{{Name: "age"}, {Name: "tenure"}}
	of := func(meta string) string {
		file.Reset()
		fmt.Fprintf(&file, `{"polis_hazard":2,"period":"tenure","last":2,"causes":["lapse","death"],"meta":{%s}}`+"\n", meta)
		for _, name := range []string{"lapse", "death"} {
			var one bytes.Buffer
			m := model.Constant(fields, model.Logistic, -3, "").WithMeta(model.Meta{Name: "hazard of " + name, Target: name, Rows: 12345, Events: 70, Trial: byHand(t)})
			if err := errors.Join(m.Save(&one), json.Compact(&file, one.Bytes())); err != nil {
				t.Fatal(err)
			}
			file.WriteByte('\n')
		}
		fmt.Fprintf(&file, "{\"sha256\":\"%x\"}\n", sha256.Sum256(file.Bytes()))
		h, err := hazard.Load(bytes.NewReader(file.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := WriteHazard(&b, h); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "model "+h.Version()+" ") {
			t.Errorf("the page is not said to be of %s", h.Version())
		}
		return b.String()
	}
	text := of(`"rows":12345,"events":70,"subjects":400,"duration":"quarters","entry":"since","data":"0ab1","settings":{"seed":"7"},"ends":[60,40],"note":"age stands still",` +
		`"life":{"at_risk":[400,3],"observed":{"survival":[1,0.8,0.7],"incidence":[[0,0.1,0.15],[0,0.1,0.15]]},"expected":{"survival":[1,0.79,0.71],"incidence":[[0,0.11,0.16],[0,0.1,0.13]]}}`)
	text = strings.ReplaceAll(text, "\n", " ")
	for _, want := range []string{
		"<h1>Hazard of lapse</h1>", "400 subjects, followed over 12\u202f345 periods at risk (column quarters, watched from since)",
		"<b>lapse</b> (the target): 60, <b>death</b>: 40; 300 had not ended", "<code>0ab1</code>", "<th>seed</th><td>7</td>", "Age stands still", "<th>Periods at risk</th>",
		"predicted in a period, given no end before", "100 periods at risk: 5.5 expected", "Ended by death", "drawn while at least 2.0% of 400",
		`<td class="num">2</td><td class="num">3</td><td class="num">16.0%</td><td class="num">15.0%</td>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(text, "as a probability") {
		t.Error("a hazard is said to be a probability as such")
	}
	doc := parsed(t, text)
	// Three curves, and what the gains found. The count ends before the second period.
	if curves := elements(doc, "path", "actual"); curves != 3+1 {
		t.Errorf("%d counted lines", curves)
	}
	if old := of(`"rows":12345,"events":70,"subjects":400`); strings.Contains(old, `id="life"`) || !strings.Contains(old, "<b>death</b>: 70.") {
		t.Error("an older file's page shows what it does not hold")
	}
}

// TestBands: what standard errors and exposure are known is drawn.
func TestBands(t *testing.T) {
	m := fitted()
	with, without := m.Cells(), m.Cells()
	for i := range with {
		with[i].Error, with[i].Weight = 0.2, 1
		without[i].Error, without[i].Weight = 0, 0
	}
	for _, tc := range []struct {
		cells []model.Cell
		known bool
	}{{without, false}, {with, true}} {
		doc := parsed(t, page(t, m, tc.cells, nil))
		for _, x := range []struct{ kind, class string }{{"path", "band"}, {"s", ""}, {"rect", "exposure"}} {
			if n := elements(doc, x.kind, x.class); (n > 0) != tc.known {
				t.Errorf("%d of <%s class=%q>, errors known: %v", n, x.kind, x.class, tc.known)
			}
		}
		if steps := elements(doc, "path", "step"); steps != 2 {
			t.Errorf("%d step lines of two fields of numbers", steps)
		}
		if maps := elements(doc, "table", "heat"); maps == 0 {
			t.Error("no heat map")
		}
	}
	var weak, cells int
	for _, c := range with {
		if c.Second != "" {
			cells++
			if math.Abs(c.Value) <= model.Band(8)*0.2 || fmt.Sprintf("%.2f", c.Relativity()) == "1.00" {
				weak++
			}
		}
	}
	doc := parsed(t, page(t, m, with, nil))
	if got := elements(doc, "td", "weak"); got != weak || weak == cells {
		t.Errorf("%d of %d cells of pairs are pale, want %d", got, cells, weak)
	}
}

// TestTwoFiguresOfWhatIsExplained are told apart: the comparisons' are calibrated on the rows
// themselves.
func TestTwoFiguresOfWhatIsExplained(t *testing.T) {
	m, cells := rich(t)
	says := "may seem to explain a little more than the " + percentOf(m.Meta().Trial.Explained()) + " that counts"
	if text := page(t, m, cells, nil); strings.Count(text, says) != 1 {
		t.Errorf("the page does not say %q", says)
	}
	meta := m.Meta()
	meta.Trial = nil
	if text := page(t, m.WithMeta(meta), cells, nil); strings.Contains(text, "that counts") {
		t.Error("what is explained is told from a figure that is not there")
	}
}

func percentOf(share float64) string {
	return strings.Replace(fmt.Sprintf("%.1f%%", 100*share), "-", "−", 1)
}

// TestBeginningsOfCodes are said to be such, with the exposure of the codes below them.
func TestBeginningsOfCodes(t *testing.T) {
	m := fitted()
	cells := []model.Cell{
		{First: "1000", Value: 0.1, Error: 0.01, Weight: 7},
		{First: "1010", Value: 0.2, Error: 0.01, Weight: 5},
		{First: "2000", Value: 0.3, Error: 0.01, Weight: 9},
		{First: "10" + model.Beginning, Value: 0.15},
		{First: "missing", Value: 0.01},
	}
	for i := range cells {
		cells[i].Term = m.Cells()[0].Term
	}
	text := page(t, m, cells, nil)
	for _, want := range []string{
		`<span title="10… (beginning)">10… (beginning)</span>`,
		`<tr><th>10… (beginning)</th><td class="num">1.162</td><td>not known</td><td class="num">0, its codes 12</td></tr>`,
		`<tr><th>missing</th><td class="num">1.010</td><td>not known</td><td class="num">0</td></tr>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestFewBagsHaveWiderBands, as so few know less of chance.
func TestFewBagsHaveWiderBands(t *testing.T) {
	band := func(settings map[string]string) string {
		m := fitted().WithMeta(model.Meta{Settings: settings})
		cells := m.Cells()[:1]
		cells[0].Value, cells[0].Error, cells[0].Weight = 0, 0.1, 5
		text := page(t, m, cells, nil)
		if strings.Contains(text, "95% band") {
			t.Error("bands are said to be of 95% flatly")
		}
		_, text, _ = strings.Cut(text, `<td class="num">1.000</td><td>`)
		text, _, _ = strings.Cut(text, "<")
		return text
	}
	for bags, want := range map[string]string{"": "0.789 to 1.267", "8": "0.789 to 1.267", "2": "0.686 to 1.457"} {
		if got := band(map[string]string{"bags": bags}); got != want {
			t.Errorf("bags %q: the band is %s, want %s", bags, got, want)
		}
	}
}

// TestCellsWithoutRows are blank, and do not stretch the colours of the others.
func TestCellsWithoutRows(t *testing.T) {
	m := fitted()
	cells := m.Cells()
	blank, pairs := 0, 0
	for i := range cells {
		cells[i].Error, cells[i].Weight = 0.05, 10
		if cells[i].Second == "" {
			continue
		}
		if pairs++; cells[i].First == "missing" || cells[i].Second == "missing" {
			cells[i].Value, cells[i].Error, cells[i].Weight = 3, 0, 0
			blank++
		}
	}
	text := page(t, m, cells, nil)
	if got := elements(parsed(t, text), "td", "blank"); got != blank || blank == 0 || blank == pairs {
		t.Errorf("%d of %d cells are blank, want %d", got, pairs, blank)
	}
	_, maps, _ := strings.Cut(text, `id="pairs"`)
	if strings.Contains(maps, "<span>20.1</span>") || !strings.Contains(maps, "Where training had no rows it is blank") {
		t.Error("a cell without rows shows its number")
	}
	for i := range cells { // where no exposure is known, none is blank
		cells[i].Weight = 0
	}
	if got := elements(parsed(t, page(t, m, cells, nil)), "td", "blank"); got != 0 {
		t.Errorf("%d cells are blank though no exposure is known", got)
	}
}

// TestOrder is by what matters: the mean of what a term adds, or its span where no exposure
// is known.
func TestOrder(t *testing.T) {
	fields := []model.Field{{Name: "often"}, {Name: "seldom"}}
	f := model.Frame{N: 4000, Fields: fields, Num: make([][]float64, 2), Cat: make([][]string, 2)}
	var y model.Target
	r := rand.New(rand.NewPCG(1, 2))
	for range f.N {
		a, b := r.Float64(), r.Float64()
		f.Num[0], f.Num[1] = append(f.Num[0], a), append(f.Num[1], b)
		y.Y = append(y.Y, math.Floor(2*a)+math.Floor(2*b))
	}
	m, err := model.Fit(t.Context(), f, y, model.Options{Loss: model.Poisson, Pairs: -1})
	if err != nil {
		t.Fatal(err)
	}
	cells := []model.Cell{
		{Term: "often", First: "low", Value: -0.5, Weight: 500},
		{Term: "often", First: "high", Value: 0.5, Weight: 500},
		{Term: "seldom", First: "low", Value: -0.01, Weight: 990},
		{Term: "seldom", First: "high", Value: 2, Weight: 10},
	}
	first := func(cells []model.Cell) string {
		for n := range parsed(t, page(t, m, cells, nil)).Descendants() {
			if n.Data == "h3" {
				return n.FirstChild.Data
			}
		}
		return ""
	}
	if got := first(cells); got != "often" {
		t.Errorf("%s comes first, by exposure", got)
	}
	for i := range cells {
		cells[i].Weight = 0
	}
	if got := first(cells); got != "seldom" {
		t.Errorf("%s comes first, by span", got)
	}
	// Many names: the highest and the lowest are shown, the others can be unfolded.
	var many []model.Cell
	for i := range 60 {
		many = append(many, model.Cell{Term: "often", First: fmt.Sprint("name ", i), Value: float64(i%7) / 10})
	}
	text := page(t, m, many, nil)
	if n := elements(parsed(t, text), "div", "bar"); n != 60 || !strings.Contains(text, "44 between these") {
		t.Errorf("%d bars of 60", n)
	}
}

// TestBinsAreRead: the labels of a model's bins of numbers are what the axis is made of.
func TestBinsAreRead(t *testing.T) {
	for _, c := range fitted().Cells() {
		if numeric := c.Term == "age" || c.Term == "power"; numeric && IsStretch(c.First) == (c.First == "missing") {
			t.Errorf("%s: %q", c.Term, c.First)
		}
	}
	for label, want := range map[string]bool{"below 3": true, "-1e+06 and above": true, "1.5 to below 2": true, "below zero": false, "a to below b": false, "any": false, "": false} {
		if IsStretch(label) != want {
			t.Errorf("%q is read as numbers: %v", label, !want)
		}
	}
}

// TestTrialOfRowsHeldOut is the model's own account of itself.
func TestTrialOfRowsHeldOut(t *testing.T) {
	f, y := made(model.Poisson)
	mean := make([]float32, f.N)
	m, err := model.Fit(t.Context(), f, y, model.Options{Loss: model.Poisson, Held: func(row int, v float64) { mean[row] = float32(v) }})
	if err != nil {
		t.Fatal(err)
	}
	trial, err := measure.Try(measure.Family(m.Loss()), mean, y.Y, y.Exposure, y.Weight)
	if err != nil {
		t.Fatal(err)
	}
	// The fit's is calibrated on the rows themselves, what is held out on the others: a little worse.
	got := m.Meta().Metrics
	worse := (trial.Deviance - got["deviance"]) / (trial.Constant - got["deviance"])
	if worse < -1e-4 || worse > 0.01 || math.Abs(trial.Constant-got["deviance_constant"]) > 1e-4 {
		t.Errorf("deviances %v and %v, the fit says %v", trial.Deviance, trial.Constant, got)
	}
}

// TestWhateverTheCellsHold a page can be drawn of it.
func TestWhateverTheCellsHold(t *testing.T) {
	m := fitted()
	rapid.Check(t, func(t *rapid.T) {
		cells := m.Cells()
		scale := rapid.SampledFrom([]float64{0, 1e-6, 1, 50, 1e4}).Draw(t, "scale")
		for i := range cells {
			cells[i].Value *= scale
			cells[i].Error = rapid.SampledFrom([]float64{0, 1e-9, 1, 1e4}).Draw(t, "error")
			cells[i].Weight = rapid.SampledFrom([]float64{0, 1, 1e9}).Draw(t, "weight")
		}
		var b bytes.Buffer
		if err := WriteCells(&b, m, cells, nil); err != nil {
			t.Fatal(err)
		}
		for _, no := range []string{"NaN", "Inf", "ZgotmplZ"} {
			if strings.Contains(b.String(), no) {
				t.Fatalf("the page has %q", no)
			}
		}
	})
}

// TestNothingIsCutOffOnAPhone: the tables of figures, whose columns have no room beside one
// another there, stack. That they then fit is looked at in a browser.
func TestNothingIsCutOffOnAPhone(t *testing.T) {
	m, cells := rich(t)
	text := page(t, m, cells, &Tried{Table: "next.csv", Trial: byHand(t)})
	if n := elements(parsed(t, text), "table", "stacks"); n != 2 {
		t.Errorf("%d tables stack, want those of the figures and of the comparisons", n)
	}
	_, phone, _ := strings.Cut(text, "@media (max-width: 36rem)")
	if phone, _, _ = strings.Cut(phone, "@media print"); !strings.Contains(phone, ".stacks tr { display: flex;") {
		t.Error("on a phone they do not")
	}
	if !strings.Contains(text, "linear-gradient(to left, var(--shade), transparent) right") || strings.Count(text, "--shade:") != 2 {
		t.Error("what has to be scrolled does not show that there is more, in light and dark")
	}
}
