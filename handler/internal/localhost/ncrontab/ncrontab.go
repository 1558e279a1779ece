// Package ncrontab reads the schedules of Azure Functions timers: six fields,
// "{second} {minute} {hour} {day} {month} {day-of-week}", in UTC.
//
// It differs from cron where NCRONTAB does: a moment must match the day of the
// month AND the day of the week; "5/15" starts at 5 and runs to the field's end;
// Sunday is 0 only; five fields mean second 0. (General cron libraries match
// either day field, and take macros and years that the Functions host refuses.)
package ncrontab

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"polis/handler/internal/fault"
)

// Schedule is a parsed expression. It is safe for concurrent use.
type Schedule struct {
	second, minute, hour, day, month, weekday uint64 // bit n: value n matches
}

type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, …
}

var fields = [6]field{
	{name: "second", max: 59},
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: []string{
		"january", "february", "march", "april", "may", "june",
		"july", "august", "september", "october", "november", "december",
	}},
	{name: "day of week", max: 6, names: []string{
		"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
	}},
}

// Parse reads an expression of six fields, or of five without seconds. What it
// cannot read, and a schedule that never comes (31 February), is fault.Malformed.
func Parse(expr string) (Schedule, error) {
	parts := strings.Fields(expr)
	if len(parts) == 5 {
		parts = append([]string{"0"}, parts...)
	}
	if len(parts) != len(fields) {
		return Schedule{}, fault.New(fault.Malformed, "schedule %q: want 6 fields (second minute hour day month day-of-week), have %d", expr, len(parts))
	}
	var bits [6]uint64
	for i, f := range fields {
		var err error
		if bits[i], err = f.parse(parts[i]); err != nil {
			return Schedule{}, fault.Wrap(fault.Malformed, err, "schedule %q: %s", expr, f.name)
		}
	}
	s := Schedule{bits[0], bits[1], bits[2], bits[3], bits[4], bits[5]}
	// Only the days can contradict each other, and they repeat every 400 years;
	// from 2000 on, every combination that exists comes within the search.
	if s.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fault.New(fault.Malformed, "schedule %q: no date matches it", expr)
	}
	return s, nil
}

func (f field) parse(list string) (uint64, error) {
	var bits uint64
	for item := range strings.SplitSeq(list, ",") {
		b, err := f.item(item)
		if err != nil {
			return 0, err
		}
		bits |= b
	}
	return bits, nil
}

// item reads *, a, a-b, and each of them with /step.
func (f field) item(item string) (uint64, error) {
	span, by, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		var err error
		if step, err = strconv.Atoi(by); err != nil || step < 1 {
			return 0, fmt.Errorf("%q: the step must be a whole number above 0", item)
		}
	}
	first, last := f.min, f.max
	if span != "*" {
		from, to, ranged := strings.Cut(span, "-")
		var err error
		if first, err = f.value(from); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if last, err = f.value(to); err != nil {
				return 0, err
			}
		case step == 1:
			last = first
		}
		// The Functions host swaps the ends, so that sat-sun means every day.
		// Nobody who writes that wants it.
		if last < first {
			return 0, fmt.Errorf("%q: the range runs backwards", item)
		}
	}
	var bits uint64
	for v := first; v <= last; v += step {
		bits |= 1 << v
	}
	return bits, nil
}

func (f field) value(s string) (int, error) {
	if v, err := strconv.Atoi(s); err == nil {
		if v < f.min || v > f.max {
			return 0, fmt.Errorf("%q is not within %d to %d", s, f.min, f.max)
		}
		return v, nil
	}
	if len(s) >= 3 {
		for i, name := range f.names {
			if strings.HasPrefix(name, strings.ToLower(s)) {
				return f.min + i, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is not a value of this field", s)
}

// searchYears covers the longest gap between two occurrences: 29 February on a
// given day of the week skips 40 years across 2100, 2200 or 2300.
const searchYears = 41

// Next is the first occurrence after t, in UTC; zero if there is none.
func (s Schedule) Next(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second).Add(time.Second)
	for limit := t.Year() + searchYears; t.Year() <= limit; {
		y, m, d := t.Date()
		switch {
		case !has(s.month, int(m)):
			t = time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
		case !has(s.day, d) || !has(s.weekday, int(t.Weekday())):
			t = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
		case !has(s.hour, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !has(s.minute, t.Minute()):
			t = t.Truncate(time.Minute).Add(time.Minute)
		case !has(s.second, t.Second()):
			t = t.Add(time.Second)
		default:
			return t
		}
	}
	return time.Time{}
}

func has(bits uint64, v int) bool { return bits&(1<<v) != 0 }
