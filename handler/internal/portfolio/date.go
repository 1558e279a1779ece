package portfolio

import (
	"fmt"
	"time"
)

// Date is a civil date, counted in days; 0001-01-01 is 1. The zero Date is no date.
// Dates compare and subtract as the integers they are.
type Date int32

// maxDate is 9999-12-31, the last that ISO 8601 writes in four digits.
const maxDate Date = 3652059

// NewDate is the date of year, month and day; false where there is no such day.
func NewDate(year, month, day int) (Date, bool) {
	if year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	return civil(year, month, day), true
}

// MustDate is NewDate for constants: it panics where there is no such day.
func MustDate(year, month, day int) Date {
	d, ok := NewDate(year, month, day)
	if !ok {
		panic(fmt.Sprintf("portfolio: no such date: %d-%d-%d", year, month, day))
	}
	return d
}

// DateOf is the UTC date of an instant.
func DateOf(t time.Time) Date {
	y, m, d := t.UTC().Date()
	return civil(y, int(m), d)
}

// ParseDate reads an ISO 8601 calendar date, 2026-03-31. It does not allocate:
// imports read tens of millions of dates.
func ParseDate(s string) (Date, bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	y, ok1 := digits(s[:4])
	m, ok2 := digits(s[5:7])
	d, ok3 := digits(s[8:])
	if !ok1 || !ok2 || !ok3 {
		return 0, false
	}
	return NewDate(y, m, d)
}

func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, true
}

// civil counts days with years that start in March, so that the leap day comes last.
func civil(y, m, d int) Date {
	if m <= 2 {
		y--
		m += 12
	}
	return Date(365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 306)
}

// YMD is the year, month and day.
func (d Date) YMD() (year, month, day int) {
	n := int(d) + 305 // days since 0000-03-01
	era := n / 146097
	n -= era * 146097
	yoe := (n - n/1460 + n/36524 - n/146096) / 365
	doy := n - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	year = yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

// Year is the calendar year; 0 for no date.
func (d Date) Year() int {
	if d == 0 {
		return 0
	}
	y, _, _ := d.YMD()
	return y
}

// AddMonths moves by whole months; the 31st becomes the last day of a shorter month.
func (d Date) AddMonths(n int) Date {
	y, m, day := d.YMD()
	m += n - 1
	y += m / 12
	if m %= 12; m < 0 {
		m += 12
		y--
	}
	m++
	return civil(y, m, min(day, daysIn(y, m)))
}

// Time is midnight UTC of the date.
func (d Date) Time() time.Time {
	y, m, day := d.YMD()
	return time.Date(y, time.Month(m), day, 0, 0, 0, 0, time.UTC)
}

// String is the ISO 8601 form, or "" for no date.
func (d Date) String() string {
	if d == 0 {
		return ""
	}
	return string(d.AppendTo(nil))
}

// AppendTo appends the ISO 8601 form.
func (d Date) AppendTo(b []byte) []byte {
	y, m, day := d.YMD()
	return append(b, byte('0'+y/1000%10), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-',
		byte('0'+m/10), byte('0'+m%10), '-', byte('0'+day/10), byte('0'+day%10))
}

// MarshalText writes the ISO 8601 form, "" for no date.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the ISO 8601 form; "" is no date.
func (d *Date) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	v, ok := ParseDate(string(b))
	if !ok {
		return fmt.Errorf("not an ISO 8601 date such as 2026-03-31")
	}
	*d = v
	return nil
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// Instant is a moment in whole seconds since 1970, UTC. The zero Instant is none;
// a date without a time is its midnight.
type Instant int64

// ParseInstant reads an ISO 8601 date, or a date and time (RFC 3339; also with a space
// for the T, without seconds and without a zone, which is then UTC). Fractions of a
// second are cut off.
func ParseInstant(s string) (Instant, bool) {
	if len(s) < 10 {
		return 0, false
	}
	d, ok := ParseDate(s[:10])
	if !ok {
		return 0, false
	}
	at := Instant(d-epoch) * secondsADay
	if len(s) == 10 {
		return at, true
	}
	if s[10] != 'T' && s[10] != ' ' {
		return 0, false
	}
	clock, s, ok := parseClock(s[11:])
	if !ok {
		return 0, false
	}
	offset, ok := parseZone(s)
	at += clock - offset
	if !ok || at < firstInstant || at > lastInstant { // a zone may move it out of the calendar
		return 0, false
	}
	return at, true
}

const (
	epoch        Date    = 719163 // 1970-01-01
	secondsADay  Instant = 86400
	firstInstant         = Instant(1-epoch) * secondsADay
	lastInstant          = Instant(maxDate+1-epoch)*secondsADay - 1
)

// parseClock reads 14:05, 14:05:00 or 14:05:00.123 and returns what comes after.
func parseClock(s string) (seconds Instant, rest string, ok bool) {
	if len(s) > 1 && s[1] == ':' { // spreadsheets write 9:05
		s = "0" + s
	}
	hour, s, ok := twoDigits(s, 23)
	if !ok || s == "" || s[0] != ':' {
		return 0, "", false
	}
	minute, s, ok := twoDigits(s[1:], 59)
	second := Instant(0)
	if ok && s != "" && s[0] == ':' {
		second, s, ok = twoDigits(s[1:], 59)
		if s != "" && (s[0] == '.' || s[0] == ',') {
			n := 1
			for n < len(s) && s[n] >= '0' && s[n] <= '9' {
				n++
			}
			ok = ok && n > 1
			s = s[n:]
		}
	}
	return hour*3600 + minute*60 + second, s, ok
}

// parseZone reads Z, +02:00 or nothing.
func parseZone(s string) (offset Instant, ok bool) {
	if s == "" || s == "Z" {
		return 0, true
	}
	if s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hours, rest, ok := twoDigits(s[1:], 23)
	if !ok || rest == "" || rest[0] != ':' {
		return 0, false
	}
	minutes, rest, ok := twoDigits(rest[1:], 59)
	offset = hours*3600 + minutes*60
	if s[0] == '-' {
		offset = -offset
	}
	return offset, ok && rest == ""
}

func twoDigits(s string, most int) (n Instant, rest string, ok bool) {
	if len(s) < 2 {
		return 0, "", false
	}
	v, ok := digits(s[:2])
	return Instant(v), s[2:], ok && v <= most
}

// Date is the UTC date of the instant; no date for none.
func (i Instant) Date() Date {
	if i == 0 {
		return 0
	}
	return Date((i + Instant(epoch)*secondsADay) / secondsADay)
}

// String is the date alone at midnight, else RFC 3339.
func (i Instant) String() string {
	switch {
	case i == 0:
		return ""
	case i%secondsADay == 0:
		return i.Date().String()
	}
	return time.Unix(int64(i), 0).UTC().Format(time.RFC3339)
}

// MarshalText writes the form of String.
func (i Instant) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads what ParseInstant does; "" is none.
func (i *Instant) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*i = 0
		return nil
	}
	v, ok := ParseInstant(string(b))
	if !ok {
		return fmt.Errorf("not an ISO 8601 date or time such as 2026-03-31T14:05:00Z")
	}
	*i = v
	return nil
}
