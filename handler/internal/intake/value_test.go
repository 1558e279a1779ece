package intake

import (
	"testing"

	"polis/handler/internal/portfolio"
)

func TestDates(t *testing.T) {
	for _, c := range []struct {
		text  string
		iso   bool // with dates that are said to be ISO
		dutch bool // said to be Dutch
		want  string
	}{
		{"2026-03-31", true, false, "2026-03-31"},
		{"31-03-2026", false, true, "2026-03-31"},
		{"31/03/2026", false, true, "2026-03-31"},
		{"31.03.2026", false, true, "2026-03-31"},
		{"1-3-2026", false, true, "2026-03-01"},
		{"2026-03-31T00:00:00Z", true, false, "2026-03-31"},
		{"2026-03-31 00:00:00.000", true, false, "2026-03-31"},
		{"1-3-2026 0:00", false, true, "2026-03-01"},
		{"2026-03-31 14:05:00", false, false, ""},
		{"31-03/2026", false, false, ""},
		{"31-03-26", false, false, ""},
		{"30-02-2026", false, false, ""},
		{"03/31/2026", false, false, ""},
		{"31-03-2026-1", false, false, ""},
		{"-03-2026", false, false, ""},
		{"20260331", false, false, ""},
		{"00-00-0000", false, false, ""},
		{"0000-00-00", false, false, ""},
		{"T", false, false, ""},
	} {
		d, ok := notation{}.date(c.text)
		if ok != (c.want != "") || ok && d.String() != c.want {
			t.Errorf("%q is %s, %t, want %q", c.text, d, ok, c.want)
		}
		if _, ok := (notation{strict: true, dates: ISO}).date(c.text); ok != c.iso {
			t.Errorf("%q, strictly ISO: %t", c.text, ok)
		}
		if _, ok := (notation{strict: true, dates: Dutch}).date(c.text); ok != c.dutch {
			t.Errorf("%q, strictly Dutch: %t", c.text, ok)
		}
	}
}

func TestInstants(t *testing.T) {
	for text, want := range map[string]string{
		"2026-03-31T14:05:00Z": "2026-03-31T14:05:00Z",
		"2026-03-31":           "2026-03-31",
		"31-03-2026":           "2026-03-31",
		"31-03-2026 14:05":     "2026-03-31T14:05:00Z",
		"1/3/2026 9:05:07":     "2026-03-01T09:05:07Z",
		"31-03-2026T14:05":     "2026-03-31T14:05:00Z",
		"31-03-2026 25:00":     "",
		"32-03-2026 10:00":     "",
		"noon":                 "",
		"":                     "",
	} {
		i, ok := notation{}.instant(text)
		if ok != (want != "") || i.String() != want {
			t.Errorf("%q is %s, %t, want %q", text, i, ok, want)
		}
	}
}

func TestAmounts(t *testing.T) {
	const none = "none"
	for _, c := range []struct{ text, point, comma string }{
		{"1234", "1234.00", "1234.00"},
		{"1234.5", "1234.50", "1234.50"},
		{"1234,50", "1234.50", "1234.50"},
		{"1.234", none, "1234.00"}, // the one that needs to know
		{"1,234", "1234.00", none},
		{"1.234,50", "1234.50", "1234.50"},
		{"1,234.50", "1234.50", "1234.50"},
		{"1.234.567", "1234567.00", "1234567.00"},
		{"1,234,567", "1234567.00", "1234567.00"},
		{"-1.234,5", "-1234.50", "-1234.50"},
		{"0,125", none, none},
		{"0.120", "0.12", "0.12"},
		{"1.23.456", none, none},
		{"12.34,5", none, none},
		{"1,2,3", none, none},
		{"1.2345", none, none},
		{"1,", "1.00", "1.00"},
		{",5", "0.50", "0.50"},
		{"abc", none, none},
		{"1 234", none, none},
		{"EUR 5", none, none},
	} {
		for comma, want := range map[bool]string{false: c.point, true: c.comma} {
			got, ok := notation{comma: comma}.cents(c.text)
			if ok != (want != none) || ok && got.String() != want {
				t.Errorf("%q, comma %t: %s, %t, want %s", c.text, comma, got, ok, want)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]float64{"0.125": 0.125, "0,125": 0.125, "-1": -1, "1e-2": 0.01, "-0": 0} {
		if got, ok := number(text); !ok || got != want {
			t.Errorf("%q is %v, %t, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"NaN", "Inf", "0x1p-2", "1_0", "1,2,3", "", "e", "1e999"} {
		if got, ok := number(text); ok {
			t.Errorf("%q is %v, want none", text, got)
		}
	}
}

// FuzzValues: no text panics a parser, and what is read is in its bounds.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"31-03-2026", "1.234,50", "a:b:yes:c:2026-01-01|d:e:no", "k=v|l=w", "2026-03-31 14:05", "0,5"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, comma bool) {
		n := notation{comma: comma}
		if d, ok := n.date(s); ok {
			if _, again := portfolio.ParseDate(d.String()); !again {
				t.Errorf("%q is read as no date", s)
			}
		}
		if i, ok := n.instant(s); ok && i != 0 {
			if _, again := portfolio.ParseInstant(i.String()); !again {
				t.Errorf("%q is read as no instant", s)
			}
		}
		n.cents(s)
		number(s)
		_, _ = boolean(s)
		n.consents(s)
		attributes(nil, s)
	})
}
