package dataset

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
)

var nan = math.NaN()

// absent reports whether a text stands for nothing.
func absent(s []byte) bool {
	switch string(s) {
	case "", "NA", "N/A", "null", "NULL", "None":
		return true
	}
	return len(s) == 3 && bytes.EqualFold(s, []byte("nan"))
}

// powers of ten, as far as they are below 2^63.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// plain reads a number of digits and perhaps a point, as nearly all in tables are: a whole
// number below 2^53 over a power of ten. Both are exact, so their quotient is rounded as
// strconv rounds. It says false of anything else.
func plain(s []byte) (float64, bool) {
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 19 { // what is longer may overflow
		return 0, false
	}
	var whole uint64
	after := -1 // digits after the point
	for i, b := range s {
		d := b - '0'
		switch {
		case d <= 9:
			whole = 10*whole + uint64(d)
		case b == '.' && after < 0 && len(s) > 1:
			after = len(s) - 1 - i
		default:
			return 0, false
		}
	}
	if whole >= 1<<53 || len(s) == 19 && after < 0 {
		return 0, false
	}
	v := float64(whole)
	if after > 0 {
		v /= powers[after]
	}
	if negative {
		v = -v
	}
	return v, true
}

// number reads a number; one beyond what a float64 holds is infinite.
func number(s []byte) (float64, bool) {
	if v, ok := plain(s); ok {
		return v, true
	}
	v, err := strconv.ParseFloat(string(s), 64)
	return v, err == nil || errors.Is(err, strconv.ErrRange)
}

// decimalComma says that a table has a decimal comma, and points between thousands if anything.
type decimalComma bool

// plain is number, of all that is written plainly.
func (c decimalComma) plain(s []byte) (float64, bool) {
	if c {
		return c.number(s)
	}
	return plain(s)
}

// number reads a number as the table writes it.
func (c decimalComma) number(s []byte) (float64, bool) {
	if !c {
		return number(s)
	}
	var room [64]byte
	if p, ok := pointed(room[:0], s, '.', ','); ok {
		return number(p)
	}
	if bytes.IndexByte(s, '.') >= 0 {
		return 0, false
	}
	return number(s)
}

// pointed writes a number with these signs between thousands and before decimals as one with
// a decimal point and no more. It says false of anything else.
func pointed(to, s []byte, thousands, decimal byte) ([]byte, bool) {
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		to, s = append(to, s[0]), s[1:]
	}
	whole, rest, broken := bytes.Cut(s, []byte{decimal})
	for i := 0; ; i++ {
		group, after, more := bytes.Cut(whole, []byte{thousands})
		parted := i > 0 || more // groups then have three digits, the first at most
		if n := digits(group); n < 1 || parted && n > 3 || i > 0 && n != 3 {
			return to, false
		}
		to, whole = append(to, group...), after
		if !more {
			break
		}
	}
	if !broken {
		return to, true
	}
	to = append(append(to, '.'), rest...)
	return to, digits(rest) > 0
}

// trim cuts spaces off, which are rare.
func trim(s []byte) []byte {
	if n := len(s); n == 0 || s[0] > ' ' && s[0] < 0x80 && s[n-1] > ' ' && s[n-1] < 0x80 {
		return s
	}
	return bytes.TrimSpace(s)
}

// postcode reports whether a column is called as one of postcodes is: by its last word, less
// the digits at its end. Words are parted by what is no letter or digit, or by a capital.
func postcode(name string) bool {
	var words []string
	before := ' '
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			before = ' '
			continue
		case before == ' ' || unicode.IsLower(before) && unicode.IsUpper(r):
			words = append(words, "")
		}
		words[len(words)-1] += string(unicode.ToLower(r))
		before = r
	}
	for len(words) > 0 && digits([]byte(words[len(words)-1])) > 0 {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return false
	}
	last := words[len(words)-1]
	switch strings.TrimRight(last, "0123456789") {
	case "zip", "plz", "npa":
		return true
	case "pc":
		return last == "pc4" || last == "pc5" || last == "pc6"
	}
	whole := strings.TrimRight(strings.Join(words, ""), "0123456789")
	for _, end := range []string{"postcode", "postalcode", "zipcode", "codepostal", "postleitzahl"} {
		if strings.HasSuffix(whole, end) {
			return true
		}
	}
	return false
}

// digits is how many digits a number is written with; -1 where it is no whole number.
func digits(s []byte) int {
	for _, b := range s {
		if b < '0' || b > '9' {
			return -1
		}
	}
	return len(s)
}
