package audit_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "polis/handler/internal/audit"
	"polis/handler/internal/fault"
	"polis/handler/internal/measure"
)

var (
	lapse  = Kind{Engine: "churn", Name: "lapse", Family: measure.Logistic}
	claims = Kind{Engine: "risk", Name: "claims", Family: measure.Poisson}
	losses = Kind{Engine: "risk", Name: "losses", Money: true, Family: measure.Tweedie}
	margin = Kind{Engine: "clv", Name: "margin", Money: true, Signed: true}
)

func cellOf(t *testing.T, m Measure, dimension, name string) *Cell {
	t.Helper()
	for _, d := range m.By {
		for i := range d.Cells {
			if d.Name == dimension && d.Cells[i].Name == name {
				return &d.Cells[i]
			}
		}
	}
	return nil
}

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

// TestCalibrationByHand: 200 policies with half a claim expected in all of each ten, 16
// claims of single relations where 10 were expected.
func TestCalibrationByHand(t *testing.T) {
	var cases []Case
	for i := range 200 {
		c := Case{Relation: uint64(i), Exposure: 1, Expected: 0.05, Segment: "private", Band: "35 to 44", Region: "Utrecht"}
		if i < 16 {
			c.Actual = 1
		}
		cases = append(cases, c)
	}
	s := Defaults()
	m := s.Measure(claims, cases)
	if m.All.Relations != 200 || m.All.Expected != 10 || m.All.Actual != 16 || m.All.Exposure != 200 {
		t.Fatalf("%+v", m.All)
	}
	// Byar's limits of 16 events (Rothman and Boice 1979): 16·(1 − 1/144 − 1.96/12)³ = 9.14
	// and 17·(1 − 1/153 + 1.96/(3√17))³ = 25.98, over the ten expected.
	if r := m.All.Ratio; r.Value != 1.6 || !near(r.Low, 0.914, 0.001) || !near(r.High, 2.598, 0.001) {
		t.Errorf("ratio %+v, want 1.6 (0.914 to 2.598)", r)
	}
	// 16 are off by 0.95 and 184 by 0.05.
	if want := (16*0.95 + 184*0.05) / 200; !near(m.All.Error, want, 1e-6) {
		t.Errorf("mean absolute error %v, want %v", m.All.Error, want)
	}
	if m.All.Off {
		t.Error("1 lies within the interval")
	}
	// The same claims, all of one relation of 16 policies, say next to nothing.
	for i := range 16 {
		cases[i].Relation = 0
	}
	if r := s.Measure(claims, cases).All.Ratio; !(r.Low < 0.3 && r.High > 4) {
		t.Errorf("sixteen claims of one relation: %+v", r)
	}
	// None where 10 were expected: the exact upper end is −ln 0.025 = 3.689.
	for i := range cases {
		cases[i].Actual = 0
	}
	if r := s.Measure(claims, cases).All.Ratio; r.Value != 0 || r.Low != 0 || !near(r.High, 0.3689, 1e-4) {
		t.Errorf("no claims: %+v", r)
	}
}

// TestDifferenceByHand: of signed sums there is a difference a year and no ratio.
func TestDifferenceByHand(t *testing.T) {
	var cases []Case
	for i := range 100 {
		// Half came to 10 more than expected, half to 4 less: 3 more a customer.
		c := Case{Relation: uint64(i), Exposure: 1, Expected: -50, Actual: -40, Segment: "private"}
		if i%2 == 0 {
			c.Actual = -54
		}
		cases = append(cases, c)
	}
	s := Defaults()
	d := s.Measure(margin, cases).All.Difference
	// The deviations are ±7: the standard error is 7/√99.
	if e := 7 / math.Sqrt(99); d == nil || d.Value != 3 || !near(d.Error, e, 1e-4) || !near(d.Low, 3-1.95996*e, 1e-4) {
		t.Errorf("difference %+v", d)
	}
}

// TestSmallCells: nothing is shown of few, nor of what could be found by taking the others
// from the whole, nor a sum of money of one.
func TestSmallCells(t *testing.T) {
	var cases []Case
	add := func(n int, region, band string) {
		for range n {
			cases = append(cases, Case{Relation: uint64(len(cases)), Exposure: 1, Expected: 0.2, Actual: float64(len(cases) % 5 / 4), Segment: "private", Band: band, Region: region})
		}
	}
	add(300, "Utrecht", "35 to 44")
	add(200, "Zeeland", "35 to 44")
	add(40, "Drenthe", "under 25")
	add(29, "Texel", "75 and over")
	s := Defaults()
	m := s.Measure(claims, cases)
	if cellOf(t, m, "region", "Texel") != nil || cellOf(t, m, "region", "Drenthe") != nil {
		t.Error("29 relations are shown, or can be found beside those of Drenthe")
	}
	if c := cellOf(t, m, "region", Together); c == nil || c.Relations != 69 {
		t.Errorf("small regions together: %+v", c)
	}
	for _, d := range m.By {
		all, shown := 0, 0
		for _, c := range d.Cells {
			if c.Relations < s.MinimumCell {
				t.Errorf("%s %s has %d relations", d.Name, c.Name, c.Relations)
			}
			shown += c.Relations
		}
		if all = m.All.Relations; all-shown > 0 && all-shown < s.MinimumCell {
			t.Errorf("%s: the %d that are not shown can be found", d.Name, all-shown)
		}
	}
	// Money: a cell of forty whose sum is one claim's is not shown.
	for i := range cases {
		cases[i].Expected, cases[i].Actual = 100, 0
		if i%5 == 0 {
			cases[i].Actual = 500
		}
		if cases[i].Region == "Drenthe" {
			if cases[i].Actual = 0; cases[i].Relation == 510 {
				cases[i].Actual = 9000
			}
		}
	}
	m = s.Measure(losses, cases)
	if c := cellOf(t, m, "region", "Drenthe"); c != nil {
		t.Errorf("one claim of a cell of forty is shown: %+v", c)
	}
	// A book that is too small altogether says so and nothing else.
	if m := s.Measure(claims, cases[:29]); m.Note == "" || m.All.Relations != 0 || len(m.By) != 0 {
		t.Errorf("29 relations: %+v", m)
	}
}

// TestTenthsOfOne: a tenth in which one relation, or two that know of each other, make most of
// the money joins the next, so that what is shown adds up and tells of nobody.
func TestTenthsOfOne(t *testing.T) {
	made := func(change func(i int, c *Case)) Measure {
		var cases []Case
		for i := range 4000 {
			c := Case{Relation: uint64(i), Exposure: 1, Expected: 100 + float64(i)/10, Segment: "private", Band: "35 to 44", Region: "Utrecht"}
			if i%4 == 0 {
				c.Actual = 4 * (100 + float64(i)/10)
			}
			change(i, &c)
			cases = append(cases, c)
		}
		s := Defaults()
		return s.Measure(losses, cases)
	}
	fleet := func(i int, c *Case) {
		if i >= 1300 && i < 1700 { // of one company, on both sides of an edge
			c.Relation, c.Actual = 9999, 3000
		}
	}
	for name, c := range map[string]struct {
		change func(int, *Case)
		want   int // parts
	}{
		"nobody stands out": {func(int, *Case) {}, 10},
		"one large claim": {func(i int, c *Case) {
			if i == 2010 {
				c.Actual = 1e6
			}
		}, 0},
		"one claim of most of its tenth": {func(i int, c *Case) {
			if i == 2010 {
				c.Actual = 2e5
			}
		}, 9},
		"two of which either knows the other's": {func(i int, c *Case) {
			if i >= 2000 && i < 2400 {
				if c.Actual = min(c.Actual, 20); i == 2010 || i == 2020 {
					c.Actual = 1e5
				}
			}
		}, 9},
		"a fleet in two tenths": {fleet, 0},
		"the last tenth": {func(i int, c *Case) {
			if i == 3999 {
				c.Actual = 2.5e5
			}
		}, 9},
	} {
		m := made(c.change)
		if c.want > 0 && len(m.Tenths) != c.want {
			t.Errorf("%s: %d parts, want %d", name, len(m.Tenths), c.want)
		}
		if c.want == 0 && len(m.Tenths) > 8 {
			t.Errorf("%s: %d parts: the relation stands alone", name, len(m.Tenths))
		}
		if (len(m.Tenths) < 10) != (m.Note != "") {
			t.Errorf("%s: %d parts, said %q", name, len(m.Tenths), m.Note)
		}
		exposure, actual := 0.0, 0.0
		for _, x := range m.Tenths {
			exposure, actual = exposure+x.Exposure, actual+x.Actual
		}
		if len(m.Tenths) > 0 && (!near(exposure, m.All.Exposure, 1) || !near(actual, m.All.Actual, m.All.Actual*1e-4)) {
			t.Errorf("%s: parts come to %v and %v of %v and %v", name, exposure, actual, m.All.Exposure, m.All.Actual)
		}
	}
}

// TestOffAndApart: a group for which a model is wrong is found; of groups for which it is
// right as few as chance has.
func TestOffAndApart(t *testing.T) {
	s := Defaults()
	off, apart, cells := 0, 0, 0
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		var right, wrong []Case
		for i := range 3000 {
			p := 0.05 + 0.2*r.Float64()
			c := Case{Relation: uint64(i), Exposure: 1, Expected: p, Segment: []string{"private", "business"}[i%2], Band: s.Band(float64(18 + i%70)), Region: fmt.Sprint("region ", i%12)}
			if r.Float64() < p {
				c.Actual = 1
			}
			right = append(right, c)
			if c.Region == "region 3" && r.IntN(2) == 0 {
				c.Actual = 1
			}
			wrong = append(wrong, c)
		}
		both := []Measure{s.Measure(lapse, right)}
		s.Apart(both)
		for _, d := range both[0].By {
			for _, c := range d.Cells {
				cells++
				if c.Off {
					off++
				}
				if c.Apart {
					apart++
				}
			}
		}
		bad := []Measure{s.Measure(lapse, wrong)}
		if s.Apart(bad); !cellOf(t, bad[0], "region", "region 3").Apart {
			t.Errorf("seed %d: a region in which half lapse more is not apart", seed)
		}
		if both[0].AUC == nil || both[0].Slope == nil || len(both[0].Tenths) != 10 {
			t.Fatalf("%+v", both[0])
		}
	}
	if share := float64(off) / float64(cells); share < 0.02 || share > 0.08 {
		t.Errorf("%.3f of the cells of true predictions are outside of 95%% intervals", share)
	}
	if apart > 5 {
		t.Errorf("%d of 40 reports of true predictions have a cell apart", apart)
	}
}

// TestMaterial: of a very large book a difference of a twentieth is off, and not apart.
func TestMaterial(t *testing.T) {
	var cases []Case
	for i := range 40_000 {
		c := Case{Relation: uint64(i), Exposure: 1, Expected: 0.5, Segment: "private"}
		if i%40 < 21 {
			c.Actual = 1
		}
		cases = append(cases, c)
	}
	s := Defaults()
	m := []Measure{s.Measure(lapse, cases)}
	if n := s.Apart(m); n != 0 || !m[0].All.Off {
		t.Errorf("%d cells apart, off %v: %+v", n, m[0].All.Off, m[0].All.Ratio)
	}
	s.Material = 0.04
	if s.Apart(m) == 0 {
		t.Error("no cell is apart by a twentieth where a twenty-fifth matters")
	}
}

// TestOrderDoesNotMatter: cases in another order give the same measure.
func TestOrderDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var cases []Case
	for i := range 1000 {
		cases = append(cases, Case{Relation: uint64(i / 2), Exposure: 0.1 + r.Float64(), Expected: r.Float64(), Actual: float64(r.IntN(2)) * r.ExpFloat64() * 1000, Segment: "private", Region: fmt.Sprint(i % 7)})
	}
	s := Defaults()
	say := func() string {
		body, err := json.Marshal(s.Measure(losses, cases))
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	want := say()
	slices.Reverse(cases)
	if got := say(); got != want {
		t.Errorf("%s\nand reversed\n%s", want, got)
	}
}

func TestBands(t *testing.T) {
	s := Defaults()
	for age, want := range map[float64]string{18: "under 25", 25: "25 to 34", 74: "65 to 74", 75: "75 and over", 99: "75 and over"} {
		if got := s.Band(age); got != want {
			t.Errorf("%v is in %s, want %s", age, got, want)
		}
	}
	if got := s.Band(math.NaN()); got != Unknown {
		t.Errorf("no age: %s", got)
	}
}

func TestSettings(t *testing.T) {
	good := Defaults()
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Settings){
		"minimum_cell": func(s *Settings) { s.MinimumCell = 9 },
		"age_bands":    func(s *Settings) { s.AgeBands = []int{30, 30} },
		"psi_some":     func(s *Settings) { s.Some = math.NaN() },
		"psi_much":     func(s *Settings) { s.Much = 0.05 },
		"false_alarm":  func(s *Settings) { s.FalseAlarm = 0 },
		"material":     func(s *Settings) { s.Material = -1 },
		"proxy_auc":    func(s *Settings) { s.ProxyAUC = 1.1 },
		"protected":    func(s *Settings) { s.Protected = []string{" "} },
	} {
		s := Defaults()
		spoil(&s)
		if err := s.Check(); !fault.Is(err, fault.Invalid) || !contains(err.Error(), "audit."+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := good.Clone()
	c.AgeBands[0] = 1
	if good.AgeBands[0] == 1 {
		t.Error("a clone shares the bands")
	}
}
