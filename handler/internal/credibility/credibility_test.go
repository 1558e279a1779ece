package credibility_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	. "polis/handler/internal/credibility"
)

// Hachemeister's private passenger bodily injury claims of five states in twelve quarters
// (Credibility for regression models with application to trend, 1975): mean amounts, and
// numbers of claims. It is the data set hachemeister of the R package actuar.
var (
	means = [5][12]float64{
		{1738, 1642, 1794, 2051, 2079, 2234, 2032, 2035, 2115, 2262, 2267, 2517},
		{1364, 1408, 1597, 1444, 1342, 1675, 1470, 1448, 1464, 1831, 1612, 1471},
		{1759, 1685, 1479, 1763, 1674, 2103, 1502, 1622, 1828, 2155, 2233, 2059},
		{1223, 1146, 1010, 1257, 1426, 1532, 1953, 1123, 1343, 1243, 1762, 1306},
		{1456, 1499, 1609, 1741, 1482, 1572, 1606, 1735, 1607, 1573, 1613, 1690},
	}
	claims = [5][12]float64{
		{7861, 9251, 8706, 8575, 7917, 8263, 9456, 8003, 7365, 7832, 7849, 9077},
		{1622, 1742, 1523, 1515, 1622, 1602, 1964, 1515, 1527, 1748, 1654, 1861},
		{1147, 1357, 1329, 1204, 998, 1077, 1277, 1218, 896, 1003, 1108, 1121},
		{407, 396, 348, 341, 315, 328, 352, 331, 287, 384, 321, 342},
		{2902, 3172, 3046, 3068, 2693, 2910, 3275, 2697, 2663, 3017, 3242, 3425},
	}
)

func hachemeister() []Class {
	out := make([]Class, 5)
	for i := range out {
		for q := range 12 {
			out[i].Add(claims[i][q], claims[i][q]*means[i][q])
		}
	}
	return out
}

// TestHachemeister compares with what the vignette "Credibility theory features of actuar"
// prints for cm(~state, hachemeister, ratios, weights).
func TestHachemeister(t *testing.T) {
	classes := hachemeister()
	s := Estimate(classes, 0)
	close := func(what string, got, want, by float64) {
		t.Helper()
		if !(math.Abs(got-want) <= by) {
			t.Errorf("%s is %v, published %v", what, got, want)
		}
	}
	close("the mean", s.Mean, 1683.713, 5e-4)
	close("the variance within", s.Within, 139120026, 0.5)
	close("the variance between", s.Between, 89638.73, 5e-3)
	for i, want := range []struct{ own, z, credible float64 }{
		{2060.921, 0.9847404, 2055.165},
		{1511.224, 0.9276352, 1523.706},
		{1805.843, 0.8984754, 1793.444},
		{1352.976, 0.7279092, 1442.967},
		{1599.829, 0.9587911, 1603.285},
	} {
		close("the state's own mean", classes[i].Ratio(), want.own, 5e-4)
		close("its credibility", s.Z(classes[i].Weight()), want.z, 5e-8)
		close("its credible mean", s.Ratio(&classes[i]), want.credible, 5e-4)
	}
}

// TestWhatHoldsOfAnyClasses: credible ratios lie between a class's own and the mean, more
// weight is more credible, and credible amounts add up to those that were seen.
func TestWhatHoldsOfAnyClasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := make([]Class, rapid.IntRange(2, 8).Draw(t, "classes"))
		for i := range classes {
			for range rapid.IntRange(1, 6).Draw(t, "observations") {
				w := rapid.Float64Range(0.1, 1000).Draw(t, "weight")
				classes[i].Add(w, w*rapid.Float64Range(0, 5).Draw(t, "ratio"))
			}
		}
		s := Estimate(classes, 20)
		seen, credible := 0.0, 0.0
		for i := range classes {
			c := &classes[i]
			z, x := s.Z(c.Weight()), s.Ratio(c)
			if !(z >= 0 && z <= 1) || s.Z(2*c.Weight()) < z {
				t.Fatalf("credibility %v, of twice the weight %v", z, s.Z(2*c.Weight()))
			}
			if low, high := min(s.Mean, c.Ratio()), max(s.Mean, c.Ratio()); x < low-1e-9 || x > high+1e-9 {
				t.Fatalf("%v is not between %v and %v", x, low, high)
			}
			seen += c.Weight() * c.Ratio()
			credible += c.Weight() * x
		}
		if math.Abs(seen-credible) > 1e-6*(1+seen) {
			t.Fatalf("%v were seen, credible are %v", seen, credible)
		}
	})
}

// TestWhatClassesCannotSay: where none was seen twice, or there is one alone, the constant
// is the caller's; where they do not differ, nobody's own counts.
func TestWhatClassesCannotSay(t *testing.T) {
	one := func(weights ...float64) (c Class) {
		for i, w := range weights {
			c.Add(w, w*(1+0.5*float64(i%2)))
		}
		return c
	}
	for name, tc := range map[string]struct {
		classes []Class
		z       float64 // of a weight of 60
	}{
		"none":              {nil, 0.75},
		"nothing seen":      {make([]Class, 3), 0.75},
		"one alone":         {[]Class{one(5, 5, 5)}, 0.75},
		"none twice":        {[]Class{one(5), one(9)}, 0.75},
		"all alike":         {[]Class{one(5, 5), one(5, 5)}, 0},
		"nothing by chance": {[]Class{one(5), one(5), one(0)}, 0.75},
	} {
		if z := Estimate(tc.classes, 20).Z(60); z != tc.z {
			t.Errorf("%s: credibility %v, want %v", name, z, tc.z)
		}
	}
	var constant Class
	constant.Add(5, 5)
	constant.Add(5, 5)
	var other Class
	other.Add(5, 10)
	other.Add(5, 10)
	if s := Estimate([]Class{constant, other}, 20); s.Z(1) != 1 || s.Z(0) != 0 {
		t.Errorf("without variance within, credibility is %v, of nothing %v", s.Z(1), s.Z(0))
	}
}

// TestHowWellItIsKnown: credibility knows a ratio better than the class alone does, and, of
// classes that do not differ, as well as all of them together.
func TestHowWellItIsKnown(t *testing.T) {
	classes := hachemeister()
	s := Estimate(classes, 0)
	for i := range classes {
		w := classes[i].Weight()
		if known := s.Known(w); !(known > w && known < w+s.K()) {
			t.Errorf("a weight of %v is known as one of %v", w, known)
		}
	}
	var a, b Class
	for _, c := range []*Class{&a, &b} {
		c.Add(2, 3)
		c.Add(2, 1)
	}
	if s := Estimate([]Class{a, b}, 0); s.Between != 0 || s.Known(4) != 8 {
		t.Errorf("of classes that do not differ, 4 of 8 are known as %v", s.Known(4))
	}
}

// TestAmountsOfNoWeight count in the ratio alone.
func TestAmountsOfNoWeight(t *testing.T) {
	var c Class
	c.Add(10, 20)
	c.Add(0, 5)
	if c.Ratio() != 2.5 || c.Weight() != 10 {
		t.Errorf("ratio %v at %v", c.Ratio(), c.Weight())
	}
	if s := Estimate([]Class{c, c}, 20); s.Estimated {
		t.Error("one observation each says how they vary")
	}
}

func TestLimited(t *testing.T) {
	for n, want := range map[float64]float64{-1: 0, 0: 0, Full / 4.0: 0.5, Full: 1, 1e9: 1} {
		if got := Limited(n, Full); got != want {
			t.Errorf("%v claims: %v, want %v", n, got, want)
		}
	}
	if Limited(math.NaN(), Full) != 0 {
		t.Error("no number of claims has credibility")
	}
}
