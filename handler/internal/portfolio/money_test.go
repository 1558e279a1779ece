package portfolio_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "polis/handler/internal/portfolio"
)

func TestParseCents(t *testing.T) {
	for _, c := range []struct {
		text string
		want Cents
		ok   bool
	}{
		{"0", 0, true},
		{"-0.00", 0, true},
		{"123.45", 12345, true},
		{"123.4", 12340, true},
		{"123", 12300, true},
		{"+1.5", 150, true},
		{"-7.05", -705, true},
		{".5", 50, true},
		{"5.", 500, true},
		{"12.3400", 1234, true},
		{"10000000000", 1_000_000_000_000, true},
		{"10000000000.01", 0, false},
		{"99999999999999999999", 0, false},
		{"12.345", 0, false},
		{"1,5", 0, false},
		{"1.2.3", 0, false},
		{"1e3", 0, false},
		{" 1", 0, false},
		{"-", 0, false},
		{".", 0, false},
		{"", 0, false},
		{"€5", 0, false},
	} {
		got, ok := ParseCents(c.text)
		if got != c.want || ok != c.ok {
			t.Errorf("ParseCents(%q) = %d, %t, want %d, %t", c.text, got, ok, c.want, c.ok)
		}
	}
}

// TestTheLimitIsSaid: the largest amount that is read is the one that the rule names.
func TestTheLimitIsSaid(t *testing.T) {
	_, most, _ := strings.Cut(AmountRule, "and at most ")
	most, _, _ = strings.Cut(most, " ")
	largest, ok := ParseCents(most)
	if !ok {
		t.Fatalf("%q is not read", most)
	}
	for _, c := range []Cents{largest, -largest} {
		if got, ok := ParseCents(c.String()); !ok || got != c {
			t.Errorf("%s is not read", c)
		}
	}
	for _, c := range []Cents{largest + 1, -largest - 1} {
		var got Cents
		if err := got.UnmarshalJSON([]byte(c.String())); err == nil || !strings.Contains(err.Error(), most) || strings.Contains(err.Error(), c.String()) {
			t.Errorf("beyond the limit: %v", err)
		}
	}
}

func TestCentsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Cents(rapid.Int64Range(-1_000_000_000_000, 1_000_000_000_000).Draw(t, "cents"))
		if got, ok := ParseCents(c.String()); !ok || got != c {
			t.Fatalf("%d is %s, which is read as %d, %t", c, c, got, ok)
		}
		if Euros(c.EUR()) != c {
			t.Fatalf("%d is EUR %v, which is %d", c, c.EUR(), Euros(c.EUR()))
		}
		b, err := json.Marshal(c)
		var back Cents
		if err != nil || json.Unmarshal(b, &back) != nil || back != c {
			t.Fatalf("%d in JSON is %s, %v", c, b, err)
		}
	})
}

func TestCentsFromJSON(t *testing.T) {
	for text, want := range map[string]Cents{`12.5`: 1250, `"12.50"`: 1250, `null`: 0, `-3`: -300} {
		c := Cents(7)
		if err := json.Unmarshal([]byte(text), &c); err != nil || c != want {
			t.Errorf("%s is %d, %v, want %d", text, c, err, want)
		}
	}
	for _, text := range []string{`12.345`, `"x"`, `""`, `"`, `true`, `1e2`, `[1]`} {
		var c Cents
		if err := c.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s is %d, want an error", text, c)
		}
	}
}

// FuzzParseCents holds the parser against arithmetic with fractions.
func FuzzParseCents(f *testing.F) {
	for _, s := range []string{"123.45", "-0.5", "12.3400", "1.005", "00012"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := ParseCents(s)
		if !ok {
			return
		}
		digits := strings.TrimPrefix(s, "+")
		want, good := new(big.Rat).SetString(strings.TrimSuffix(digits, "."))
		if !good || want.Mul(want, big.NewRat(100, 1)).Cmp(new(big.Rat).SetInt64(int64(c))) != 0 {
			t.Errorf("%q is read as %d cents", s, c)
		}
	})
}
