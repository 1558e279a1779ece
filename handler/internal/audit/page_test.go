package audit_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	. "polis/handler/internal/audit"
	"polis/handler/internal/measure"
	"polis/handler/internal/portfolio"
)

// report is one with something of everything, and a region that is markup.
func report(t *testing.T) *Report {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	var cases, sums []Case
	for i := range 2000 {
		p := 0.05 + 0.1*r.Float64()
		c := Case{Relation: uint64(i), Exposure: 1, Expected: p, Segment: "private", Band: "35 to 44", Region: []string{"<b>Utrecht</b>", "Zeeland"}[i%2]}
		if r.Float64() < p {
			c.Actual = 1
		}
		cases = append(cases, c)
		c.Expected, c.Actual = 100, 90+20*r.Float64()
		sums = append(sums, c)
	}
	s := Defaults()
	b := baseline(4000)
	count := NewCount(&b.Populations[0], fields)
	made(count, 9, 4000, 150, 0.4)
	out := &Report{
		Tenant: "t", Month: "2026-11", AsOf: portfolio.MustDate(2026, 11, 1), Model: Model{Version: "0123456789abcdef", Trained: portfolio.MustDate(2026, 10, 1)},
		Baseline: &Kept{SHA256: strings.Repeat("a", 64), AsOf: portfolio.MustDate(2026, 10, 1)}, Settings: s, Relations: 2000, Looked: 2000,
		Outcomes:    Outcomes{After: portfolio.MustDate(2025, 8, 1), Until: portfolio.MustDate(2026, 8, 1), Known: portfolio.MustDate(2026, 11, 1), InSample: Part},
		Calibration: []Measure{s.Measure(lapse, cases), s.Measure(margin, sums), s.Measure(losses, cases[:10])},
		Proxies: []Proxy{
			{Attribute: "age", Value: "up to 30", Models: "risk", Rows: 900, With: 200, Found: true, AUC: &measure.Estimate{Value: 0.8, Low: 0.75, High: 0.85}, Carriers: []Carrier{{"premium", 0.7}}},
			{Attribute: "area", Models: "risk", Read: true},
			{Attribute: "attribute_x", Models: "risk", Note: "too few"},
		},
		Drift: s.Compare(b, []Population{count.Population()}, func(string, string) bool { return true }, func(string) bool { return false }),
	}
	out.Tally()
	return out
}

// TestPage: the page says what the report does, has nothing from elsewhere and no script,
// and escapes what is other people's.
func TestPage(t *testing.T) {
	r := report(t)
	if r.Counts.Much != 1 || r.Counts.Proxies != 1 {
		t.Fatalf("counts %+v", r.Counts)
	}
	var b strings.Builder
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"0.80 (0.75 to 0.85)", "&lt;b&gt;Utrecht", "flatter them somewhat", "premium 70%", "area (risk)", "attribute_x (risk): too few", "too few to be shown", r.Baseline.SHA256} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, no := range []string{"<script", "http:", "https:", "<b>Utrecht", "ZgotmplZ", "NaN", "%!"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
	// The page of a report that was kept is the same.
	body, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseReport(body)
	if err != nil {
		t.Fatal(err)
	}
	var second strings.Builder
	if err := Write(&second, again); err != nil || second.String() != page {
		t.Errorf("written from what was kept it differs (%v)", err)
	}
	if _, err := ParseReport([]byte(`{"format":9}`)); err == nil {
		t.Error("a report of another format is read")
	}
}

// TestEmptyPage: of a book of nobody there is a page too.
func TestEmptyPage(t *testing.T) {
	s := Defaults()
	var b strings.Builder
	if err := Write(&b, &Report{Tenant: "t", Settings: s, DriftNote: "train again", Calibration: []Measure{s.Measure(lapse, nil)}}); err != nil || !strings.Contains(b.String(), "train again") {
		t.Errorf("%v", err)
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"format":1,"calibration":[{"all":{"relations":40,"ratio":{"value":1,"low":0,"high":2}},"by":[{"name":"age","cells":[{"name":"x","ratio":{"low":1,"high":3}}]}]}]}`))
	f.Add([]byte(`{"format":1,"drift":[{"verdict":"much","bins":[{"bin":"x","then":1e308,"now":-1}]}],"proxies":[{"auc":{"value":9}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseReport(body)
		if err != nil {
			return
		}
		var b strings.Builder
		if err := Write(&b, r); err != nil {
			t.Error(err)
		}
	})
}
