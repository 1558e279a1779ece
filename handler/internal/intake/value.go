package intake

import (
	"strconv"
	"strings"

	"polis/handler/internal/portfolio"
)

// Decimal is the sign before decimals.
type Decimal string

// The decimal signs.
const (
	Point Decimal = "point"
	Comma Decimal = "comma"
)

// Dates is how dates are written.
type Dates string

// The ways to write dates: 2026-03-31, and 31-03-2026, 31/03/2026 or 31.03.2026.
const (
	ISO   Dates = "iso"
	Dutch Dates = "dutch"
)

// notation is how a file writes values.
type notation struct {
	comma bool
	// strict dates: the user said how they are written, so the other way is a mistake.
	dates  Dates
	strict bool
}

// The rules of values. A rule never shows the value.
const (
	ruleDate    = "is not a date"
	ruleTime    = "is not a date or time"
	ruleMoney   = "is not " + portfolio.AmountRule
	ruleNumber  = "is not a number"
	ruleWhole   = "is not a whole number"
	ruleBool    = "is neither yes nor no"
	ruleMissing = "is required"
)

func (n notation) date(s string) (portfolio.Date, bool) {
	if len(s) == 10 && s[4] == '-' && !n.strict {
		return portfolio.ParseDate(s)
	}
	// Databases and spreadsheets export dates as midnights.
	if i := strings.IndexAny(s, " T"); i > 0 {
		if strings.Trim(s[i+1:], "0:.Z") != "" {
			return 0, false
		}
		s = s[:i]
	}
	iso := len(s) == 10 && s[4] == '-'
	if n.strict && iso != (n.dates == ISO) {
		return 0, false
	}
	if iso {
		return portfolio.ParseDate(s)
	}
	return dutchDate(s)
}

// dutchDate reads day, month and year; day and month may have one digit.
func dutchDate(s string) (portfolio.Date, bool) {
	var part [3]int
	digits, k := 0, 0
	var sign byte
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			part[k] = part[k]*10 + int(c-'0')
			if digits++; digits > 4 {
				return 0, false
			}
		case c == '-' || c == '/' || c == '.':
			if digits == 0 || digits > 2 || k == 2 || k == 1 && c != sign {
				return 0, false
			}
			sign, digits = c, 0
			k++
		default:
			return 0, false
		}
	}
	if k != 2 || digits != 4 {
		return 0, false
	}
	return portfolio.NewDate(part[2], part[1], part[0])
}

func (n notation) instant(s string) (portfolio.Instant, bool) {
	if len(s) < 6 || len(s) >= 10 && s[4] == '-' {
		if n.strict && n.dates != ISO {
			return 0, false
		}
		return portfolio.ParseInstant(s)
	}
	day, clock, timed := strings.Cut(s, " ")
	if !timed {
		day, clock, timed = strings.Cut(s, "T")
	}
	d, ok := n.date(day)
	if !ok {
		return 0, false
	}
	if !timed {
		return portfolio.ParseInstant(d.String())
	}
	return portfolio.ParseInstant(d.String() + "T" + clock)
}

// plain rewrites a number with a point and no thousands separators; false where its
// separators do not stand where they must. One separator with one or two digits after it
// is a decimal sign whatever the file's notation; only 1.234 needs to know.
func (n notation) plain(s string) (string, bool) {
	point, comma := strings.Count(s, "."), strings.Count(s, ",")
	if comma == 0 && (point == 0 || point == 1 && (!n.comma || !grouped(s, '.'))) {
		return s, true
	}
	decimal, group := byte('.'), byte(',')
	if n.comma {
		decimal, group = group, decimal
	}
	switch {
	case comma > 1 && point == 0:
		decimal, group = '.', ','
	case point > 1 && comma == 0:
		decimal, group = ',', '.'
	case point > 0 && comma > 0: // the last of the two is the decimal sign
		decimal, group = '.', ','
		if strings.LastIndexByte(s, ',') > strings.LastIndexByte(s, '.') {
			decimal, group = ',', '.'
		}
	case point+comma == 1 && comma == 1 && !grouped(s, ','):
		decimal, group = ',', '.'
	}
	whole, decimals, found := strings.Cut(s, string(decimal))
	if !grouped(whole, group) && strings.IndexByte(whole, group) >= 0 {
		return "", false
	}
	whole = strings.ReplaceAll(whole, string(group), "")
	if !found {
		return whole, true
	}
	return whole + "." + decimals, true
}

// grouped reports whether a number is grouped in thousands: 1.234 or 12.345.678.
func grouped(s string, group byte) bool {
	s = strings.TrimLeft(s, "+-")
	i := strings.IndexByte(s, group)
	if i < 1 || i > 3 || s[0] == '0' {
		return false
	}
	for s = s[i:]; s != ""; s = s[4:] {
		if len(s) < 4 || s[0] != group || !digitsOnly(s[1:4]) {
			return false
		}
	}
	return true
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func (n notation) cents(s string) (portfolio.Cents, bool) {
	s, ok := n.plain(s)
	if !ok {
		return 0, false
	}
	return portfolio.ParseCents(s)
}

// number reads a rate or a factor, which has no thousands: either sign is decimal.
func number(s string) (float64, bool) {
	if i := strings.IndexByte(s, ','); i >= 0 {
		s = s[:i] + "." + s[i+1:]
	}
	for i := range len(s) { // no hexadecimal, no infinity
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if v == 0 {
		v = 0 // -0 is stored as 0
	}
	return v, err == nil
}

func boolean(s string) (v, ok bool) {
	switch strings.ToLower(s) {
	case "yes", "true", "ja", "1":
		return true, true
	case "no", "false", "nee", "0":
		return false, true
	}
	return false, false
}

// consents reads purpose:channel:yes|no:source:date, several separated by |.
func (n notation) consents(s string) ([]portfolio.Consent, string) {
	var list []portfolio.Consent
	for one := range strings.SplitSeq(s, "|") {
		parts := strings.Split(one, ":")
		if len(parts) < 3 || len(parts) > 5 {
			return nil, "is not purpose:channel:yes|no:source:date"
		}
		c := portfolio.Consent{Purpose: parts[0], Channel: parts[1]}
		var ok bool
		if c.Given, ok = boolean(parts[2]); !ok {
			return nil, ruleBool
		}
		if len(parts) > 3 {
			c.Source = parts[3]
		}
		if len(parts) > 4 && parts[4] != "" {
			if c.On, ok = n.date(parts[4]); !ok {
				return nil, ruleDate
			}
		}
		list = append(list, c)
	}
	return list, ""
}

// attributes reads key=value, several separated by |, into dst.
func attributes(dst []portfolio.Attribute, s string) ([]portfolio.Attribute, string) {
	for one := range strings.SplitSeq(s, "|") {
		key, value, ok := strings.Cut(one, "=")
		if !ok {
			return dst, "is not key=value"
		}
		for _, a := range dst {
			if a.Key == key {
				return dst, "names a key twice"
			}
		}
		dst = append(dst, portfolio.Attribute{Key: key, Value: value})
	}
	return dst, ""
}
