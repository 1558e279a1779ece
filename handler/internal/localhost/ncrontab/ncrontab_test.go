package ncrontab

import (
	"testing"
	"time"

	"github.com/adhocore/gronx"
	"pgregory.net/rapid"

	"polis/handler/internal/fault"
)

func at(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestNext(t *testing.T) {
	for _, c := range []struct{ expr, from, want string }{
		{"0 */5 * * * *", "2025-03-01 10:00:00", "2025-03-01 10:05:00"},
		{"0 */5 * * * *", "2025-03-01 10:04:59", "2025-03-01 10:05:00"},
		{"*/15 * * * * *", "2025-03-01 10:00:45", "2025-03-01 10:01:00"},
		{"5/20 * * * * *", "2025-03-01 10:00:05", "2025-03-01 10:00:25"},
		{"5/20 * * * * *", "2025-03-01 10:00:45", "2025-03-01 10:01:05"},
		{"0 30 2 * * *", "2025-12-31 02:30:00", "2026-01-01 02:30:00"},
		{"0 0 9-17/4 * * mon-fri", "2025-03-07 17:00:00", "2025-03-10 09:00:00"}, // Friday to Monday
		{"0 0 0 1 jan *", "2025-01-01 00:00:00", "2026-01-01 00:00:00"},
		{"0 0 0 * * 0", "2025-03-01 00:00:00", "2025-03-02 00:00:00"}, // Sunday is 0
		{"0 0 0 * * Sun", "2025-03-02 00:00:00", "2025-03-09 00:00:00"},
		{"0 0 0 * * thursday", "2025-03-01 00:00:00", "2025-03-06 00:00:00"},
		{"0 0 0 13 * fri", "2025-01-01 00:00:00", "2025-06-13 00:00:00"}, // both days, not either
		{"0 0 0 29 feb mon", "2072-02-29 00:00:00", "2112-02-29 00:00:00"},
		{"0 0 0 31 * *", "2025-01-31 00:00:00", "2025-03-31 00:00:00"},
		{"30 4 * * *", "2025-03-01 00:00:00", "2025-03-01 04:30:00"}, // five fields: second 0
		{"0 0 3 1,15 */3 *", "2025-01-15 03:00:00", "2025-04-01 03:00:00"},
	} {
		s, err := Parse(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if got := s.Next(at(c.from)); !got.Equal(at(c.want)) {
			t.Errorf("%s from %s: %s, want %s", c.expr, c.from, got, c.want)
		}
	}
}

func TestNextIsInUTC(t *testing.T) {
	s, err := Parse("0 0 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2025, 7, 1, 3, 0, 0, 0, time.FixedZone("CEST", 2*3600)) // 01:00 UTC
	if got, want := s.Next(from), at("2025-07-01 02:00:00"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, expr := range []string{
		"", "* * * *", "* * * * * * *", "60 * * * * *", "* 60 * * * *", "* * 24 * * *", "* * * 0 * *", "* * * 32 * *",
		"* * * * 13 *", "* * * * * 7", "* * * * * sat-sun", "*/0 * * * * *", "*/x * * * * *", "1-2-3 * * * * *", ", * * * * *",
		"-1 * * * * *", "@daily", "* * * * mo *", "* * * * * jan", "0 0 0 30 feb *", "0 0 0 L * *", "? * * * * *", "1//2 * * * * *",
		"00:05:00",
	} {
		if _, err := Parse(expr); !fault.Is(err, fault.Malformed) {
			t.Errorf("%q: %v, want malformed", expr, err)
		}
	}
}

// Where at most one of the day fields is given, NCRONTAB and cron agree, so an
// independent implementation must find the same moment.
func TestNextAgreesWithCron(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		item := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
		days := item("days", "* * *", "1 * *", "28 * *", "31 * *", "*/10 * *", "* 2 *", "15 6-9 *", "* * 0", "* * 1-5", "* * 6", "* 2,4 3")
		expr := item("second", "*", "0", "59", "*/7", "3-40/9") + " " + item("minute", "*", "0", "59", "*/11", "1,2,3", "10-20") +
			" " + item("hour", "*", "0", "23", "*/5", "8-18/2") + " " + days
		from := time.Unix(rapid.Int64Range(946684800, 4102444800).Draw(t, "from"), 0).UTC()
		s, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		want, err := gronx.NextTickAfter(expr, from, false)
		if err != nil {
			t.Skip(err)
		}
		if got := s.Next(from); !got.Equal(want) {
			t.Errorf("%s from %s: %s, cron has %s", expr, from, got, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0 */5 * * * *", "0 0 9-17/4 * * mon-fri", "* * * * *", "0 0 0 29 feb mon", "a b c d e f", "1/ * * * * *"} {
		f.Add(s)
	}
	from := at("2025-03-01 10:00:00")
	f.Fuzz(func(t *testing.T, expr string) {
		s, err := Parse(expr)
		if err != nil {
			return
		}
		if next := s.Next(from); !next.After(from) {
			t.Errorf("%q: %s is not after %s", expr, next, from)
		}
	})
}
