package portfolio_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	. "polis/handler/internal/portfolio"
)

func TestDateAgreesWithTimeOverItsWholeRange(t *testing.T) {
	day := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for d := Date(1); day.Year() < 10000; d++ {
		y, m, dd := d.YMD()
		if y != day.Year() || m != int(day.Month()) || dd != day.Day() {
			t.Fatalf("%d is %d-%d-%d, want %s", d, y, m, dd, day.Format(time.DateOnly))
		}
		if got, ok := NewDate(y, m, dd); !ok || got != d {
			t.Fatalf("NewDate(%d, %d, %d) = %d, %t, want %d", y, m, dd, got, ok, d)
		}
		day = day.AddDate(0, 0, 1)
	}
}

func TestDateTextAndTimeRoundTrip(t *testing.T) {
	for d := Date(1); d <= MustDate(9999, 12, 31); d += 13 {
		if got, ok := ParseDate(d.String()); !ok || got != d || DateOf(d.Time()) != d {
			t.Fatalf("%d: %s parses as %d, %t; its time is of %d", d, d, got, ok, DateOf(d.Time()))
		}
	}
}

func TestParseDateRefuses(t *testing.T) {
	for _, s := range []string{
		"", "2026-02-30", "2025-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-04-00", "0000-01-01",
		"2026-3-31", "31-03-2026", "2026/03/31", "2026-03-31 ", "+026-03-31", "2026-03-3a", "２026-03-31",
	} {
		if d, ok := ParseDate(s); ok {
			t.Errorf("ParseDate(%q) = %s, want none", s, d)
		}
	}
}

func TestAddMonths(t *testing.T) {
	for _, c := range []struct {
		from string
		n    int
		want string
	}{
		{"2024-01-31", 1, "2024-02-29"},
		{"2023-01-31", 1, "2023-02-28"},
		{"2024-02-29", 12, "2025-02-28"},
		{"2024-02-29", 48, "2028-02-29"},
		{"2024-03-31", -1, "2024-02-29"},
		{"2024-01-15", -13, "2022-12-15"},
		{"2024-12-31", 0, "2024-12-31"},
		{"2024-11-30", 3, "2025-02-28"},
	} {
		if got := date(c.from).AddMonths(c.n); got != date(c.want) {
			t.Errorf("%s + %d months = %s, want %s", c.from, c.n, got, c.want)
		}
	}
}

func date(s string) Date {
	if s == "" {
		return 0
	}
	d, ok := ParseDate(s)
	if !ok {
		panic("not a date: " + s)
	}
	return d
}

func TestParseInstant(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"2026-03-31", "2026-03-31"},
		{"2026-03-31T00:00:00Z", "2026-03-31"},
		{"2026-03-31T14:05:00Z", "2026-03-31T14:05:00Z"},
		{"2026-03-31T14:05", "2026-03-31T14:05:00Z"},
		{"2026-03-31 14:05:09", "2026-03-31T14:05:09Z"},
		{"2026-03-31T14:05:09.250Z", "2026-03-31T14:05:09Z"},
		{"2026-03-31T00:30:00+02:00", "2026-03-30T22:30:00Z"},
		{"2026-03-31T14:05:00.5+02:00", "2026-03-31T12:05:00Z"},
		{"1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"},
		{"2026-03-31 9:05", "2026-03-31T09:05:00Z"},
		{"0001-01-01T00:00:00+01:00", ""},
		{"9999-12-31T23:30:00-01:00", ""},
		{"2026-03-31T24:00:00Z", ""},
		{"2026-03-31T14:60:00Z", ""},
		{"2026-02-30T14:00:00Z", ""},
		{"2026-03-31T14", ""},
		{"2026-03-31T14:05:00+2:00", ""},
		{"gisteren", ""},
		{"", ""},
	} {
		i, ok := ParseInstant(c.text)
		if ok != (c.want != "") || i.String() != c.want {
			t.Errorf("ParseInstant(%q) = %s, %t, want %q", c.text, i, ok, c.want)
		}
	}
}

func TestInstantAgreesWithTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-60000000000, 250000000000).Draw(t, "at"), 0).UTC()
		i, ok := ParseInstant(at.Format(time.RFC3339))
		if !ok || int64(i) != at.Unix() {
			t.Fatalf("%s parses as %d, %t", at.Format(time.RFC3339), i, ok)
		}
		if i != 0 && i.Date() != DateOf(at) {
			t.Fatalf("%s is on %s", at, i.Date())
		}
	})
}

func FuzzParseInstant(f *testing.F) {
	for _, s := range []string{"2026-03-31", "2026-03-31T14:05:00Z", "2026-03-31T14:05:00.123+02:00", "2026-03-31 14:05"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		i, ok := ParseInstant(s)
		// Package time also reads what RFC 3339 does not allow, such as offsets of 60 minutes.
		want, err := time.Parse(time.RFC3339, s)
		if err == nil && want.Format(time.RFC3339Nano) == s && want.UTC().Year() >= 1 && want.UTC().Year() < 10000 && (!ok || int64(i) != want.Unix()) {
			t.Errorf("%q is %d, %t, want %d", s, i, ok, want.Unix())
		}
		if ok {
			if again, ok := ParseInstant(i.String()); i != 0 && (!ok || again != i) {
				t.Errorf("%q is %s, which is read as %d, %t", s, i, again, ok)
			}
		}
	})
}

func TestDatesInJSON(t *testing.T) {
	type row struct {
		On Date    `json:"on,omitzero"`
		At Instant `json:"at,omitzero"`
	}
	in := `{"on":"2026-03-31","at":"2026-03-31T14:05:00Z"}`
	var r row
	if err := json.Unmarshal([]byte(in), &r); err != nil {
		t.Fatal(err)
	}
	if out, err := json.Marshal(r); err != nil || string(out) != in {
		t.Errorf("%s, %v, want %s", out, err, in)
	}
	if out, err := json.Marshal(row{}); err != nil || string(out) != "{}" {
		t.Errorf("no dates are %s, %v", out, err)
	}
	for _, bad := range []string{`{"on":"31-03-2026"}`, `{"on":20260331}`, `{"at":"noon"}`} {
		err := json.Unmarshal([]byte(bad), &r)
		if err == nil || strings.Contains(err.Error(), "noon") || strings.Contains(err.Error(), "31-03") {
			t.Errorf("%s: error %v, want one without the value", bad, err)
		}
	}
}
