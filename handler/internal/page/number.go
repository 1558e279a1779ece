package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Number is short: five digits, or all of those before the point with thousands apart.
func Number(v float64) string {
	if a := math.Abs(v); a >= 1e4 && a < 1e15 {
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	}
	return minus(fmt.Sprintf("%.5g", v))
}

// Count is a number of things, with thousands apart.
func Count(n int) string {
	if n < 10_000 {
		return strconv.Itoa(n)
	}
	return grouped(strconv.Itoa(n))
}

// grouped puts Narrow spaces between thousands.
func grouped(digits string) string {
	out := ""
	for len(digits) > 3 && digits[len(digits)-4] != '-' {
		out = "\u202f" + digits[len(digits)-3:] + out
		digits = digits[:len(digits)-3]
	}
	return minus(digits + out)
}

func minus(s string) string {
	if strings.HasPrefix(s, "-") {
		return "−" + s[1:]
	}
	return s
}

// Decimals has three decimals.
func Decimals(v float64) string { return Rounded(v, 3) }

// Times is a multiple, with two decimals.
func Times(v float64) string { return Rounded(v, 2) + "×" }

// Percent is a share as a percentage, with one decimal.
func Percent(v float64) string { return Rounded(100*v, 1) + "%" }

// Rounded has so many decimals, or none that count where the number is large.
func Rounded(v float64, decimals int) string {
	if math.Abs(v) >= 1e4 {
		return Number(v)
	}
	digits := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Trim(digits, "-0.") == "" { // nothing is neither more nor less
		digits = strings.TrimPrefix(digits, "-")
	}
	return minus(digits)
}

// Shorten writes numbers with as few digits, three at least, as keep those given apart.
func Shorten(of []float64) func(float64) string {
	distinct := map[float64]bool{}
	for _, v := range of {
		distinct[v] = true
	}
	for digits := 3; ; digits++ {
		write := func(v float64) string {
			f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
			if err != nil {
				f = v
			}
			return plainest(f)
		}
		seen := map[string]bool{}
		for v := range distinct {
			seen[write(v)] = true
		}
		if len(seen) == len(distinct) || digits >= 17 {
			return write
		}
	}
}

// plainest is a number without an exponent where that is readable.
func plainest(v float64) string {
	if a := math.Abs(v); a >= 1e4 && a < 1e15 && v == math.Trunc(v) {
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	}
	return minus(strconv.FormatFloat(v, 'g', -1, 64))
}

// Cut shortens a name that would not fit.
func Cut(name string, most int) string {
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}
