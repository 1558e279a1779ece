package portfolio

import (
	"errors"
	"math"
	"strconv"
)

// Cents is an amount of EUR in whole cents: what is counted is never a float.
// In JSON it is a decimal number, 123.45.
type Cents int64

// maxCents bounds a single amount (EUR 10 billion), so that sums cannot overflow: a book may
// have nine million of the largest.
const maxCents = 1_000_000_000_000

// AmountRule is what ParseCents reads, for those who gave something else.
const AmountRule = "an amount such as 123.45 with at most two decimals and at most 10000000000.00 either way"

// EUR is the amount in euros, for models and ratios, never for counting.
func (c Cents) EUR() float64 { return float64(c) / 100 }

// Euros is the nearest whole number of cents to an amount in euros, half away from zero.
func Euros(v float64) Cents { return Cents(math.Round(v * 100)) }

// ParseCents reads a decimal amount with a point and at most two decimals. More
// decimals are accepted where they are zeros, as databases like to export them.
func ParseCents(s string) (Cents, bool) {
	if s == "" {
		return 0, false
	}
	neg := s[0] == '-'
	if neg || s[0] == '+' {
		s = s[1:]
	}
	var n int64
	point, ds, frac := false, 0, 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.' && !point:
			point = true
			continue
		case c < '0' || c > '9':
			return 0, false
		}
		ds++
		if point {
			if frac++; frac > 2 {
				if c != '0' {
					return 0, false
				}
				continue
			}
		}
		if n = n*10 + int64(c-'0'); n > maxCents {
			return 0, false
		}
	}
	if ds == 0 {
		return 0, false
	}
	for ; frac < 2; frac++ {
		n *= 10
	}
	if n > maxCents {
		return 0, false
	}
	if neg {
		n = -n
	}
	return Cents(n), true
}

// String is the amount with two decimals and a point.
func (c Cents) String() string { return string(c.AppendTo(nil)) }

// AppendTo appends the form of String.
func (c Cents) AppendTo(b []byte) []byte {
	n := int64(c)
	if n < 0 {
		b = append(b, '-')
		n = -n
	}
	b = strconv.AppendInt(b, n/100, 10)
	return append(b, '.', byte('0'+n/10%10), byte('0'+n%10))
}

// MarshalJSON writes a decimal number.
func (c Cents) MarshalJSON() ([]byte, error) { return c.AppendTo(nil), nil }

// UnmarshalJSON reads a decimal number, or a string that holds one; null is 0.
func (c *Cents) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*c = 0
		return nil
	}
	if len(b) >= 2 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	v, ok := ParseCents(string(b))
	if !ok {
		return errors.New("not " + AmountRule)
	}
	*c = v
	return nil
}
