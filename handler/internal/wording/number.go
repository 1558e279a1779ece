package wording

import (
	"math"
	"strconv"
	"strings"

	"polis/handler/internal/portfolio"
)

// formats are the ways in which numbers and names are written.
var formats = map[string]bool{
	"": true, "name": true, "value": true, "flag": true, "mood": true, "month": true,
	"count": true, "number": true, "plain": true, "eur": true, "share": true, "change": true, "coming": true,
	"years": true, "months": true, "decimal_years": true, "points": true, "difference": true,
}

// number writes a number as a language does: Dutch with a point between thousands and a
// comma before decimals, English the other way round.
func number(l Lang, v float64, decimals int) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	whole, fraction, _ := strings.Cut(s, ".")
	thousands, point := ".", ","
	if l == EN {
		thousands, point = ",", "."
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + thousands + whole[at:]
	}
	if fraction != "" {
		whole += point + fraction
	}
	if v < 0 && strings.Trim(s, "0.") != "" {
		whole = "−" + whole
	}
	return whole
}

// short writes a number with one decimal, or none where it is whole.
func short(l Lang, v float64) string {
	if v = math.Round(v*10) / 10; v == math.Trunc(v) {
		return number(l, v, 0)
	}
	return number(l, v, 1)
}

// eur writes an amount: 1.234,50 euro, €1,234.50; whole euros without cents.
func eur(l Lang, v float64) string {
	decimals := 2
	if v = math.Round(v*100) / 100; v == math.Trunc(v) {
		decimals = 0
	}
	if l == NL {
		return number(l, v, decimals) + " euro"
	}
	s := number(l, v, decimals)
	if rest, negative := strings.CutPrefix(s, "−"); negative {
		return "−€" + rest
	}
	return "€" + s
}

// share writes a share as a percentage, with a decimal where it is small.
func share(l Lang, v float64) string {
	if v *= 100; math.Abs(v) >= 10 {
		v = math.Round(v)
	}
	return short(l, v) + "%"
}

// say is a word in both languages.
func say(l Lang, nl, en string) string {
	if l == NL {
		return nl
	}
	return en
}

// change writes how a price moved, or will.
func change(l Lang, v float64, coming bool) string {
	up, by := v > 0, share(l, math.Abs(v))
	switch {
	case by == "0%" && coming:
		return say(l, "blijft gelijk", "will stay the same")
	case by == "0%":
		return say(l, "bleef gelijk", "stayed the same")
	case coming && up:
		return say(l, "gaat "+by+" omhoog", "will rise by "+by)
	case coming:
		return say(l, "gaat "+by+" omlaag", "will fall by "+by)
	case up:
		return say(l, "ging "+by+" omhoog", "rose by "+by)
	}
	return say(l, "ging "+by+" omlaag", "fell by "+by)
}

// duration writes months: 3 jaar en 2 maanden, 3 years and 2 months.
func duration(l Lang, months float64) string {
	n := int(max(0, math.Round(math.Min(months, 12e4))))
	y, m := n/12, n%12
	var parts []string
	if y > 0 {
		parts = append(parts, years(l, y))
	}
	switch {
	case m == 1:
		parts = append(parts, say(l, "1 maand", "1 month"))
	case m > 1:
		parts = append(parts, strconv.Itoa(m)+say(l, " maanden", " months"))
	case y == 0:
		return say(l, "minder dan een maand", "less than a month")
	}
	return strings.Join(parts, say(l, " en ", " and "))
}

// day writes a date of ISO 8601: 31 maart 2026, 31 March 2026; as it is where it is none.
func day(l Lang, iso string) string {
	d, ok := portfolio.ParseDate(iso)
	if !ok {
		return iso
	}
	t := d.Time()
	return strconv.Itoa(t.Day()) + " " + calendar[l][t.Month()-1] + " " + strconv.Itoa(t.Year())
}

func years(l Lang, n int) string {
	s := strconv.Itoa(n)
	if n == 1 {
		return s + say(l, " jaar", " year")
	}
	return s + say(l, " jaar", " years")
}

var calendar = [2][12]string{
	{"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"},
	{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
}

// write writes a number in a format. In a comparison a change is a percentage and a count
// a bare number.
func (s *Sentences) write(l Lang, format string, v float64, comparing bool) string {
	switch format {
	case "eur":
		return eur(l, v)
	case "share":
		return share(l, v)
	case "change", "coming":
		if comparing {
			return share(l, v)
		}
		return change(l, v, format == "coming")
	case "years":
		return years(l, int(max(0, math.Min(v, 1e4))))
	case "months":
		return duration(l, v)
	case "decimal_years":
		return duration(l, 12*v)
	case "month":
		return calendar[l][int(max(1, math.Min(v, 12)))-1]
	case "mood":
		// A fifth of the way from neutral is where people begin to call it a mood.
		switch {
		case v > 0.2:
			return s.name(l, "mood", "good")
		case v < -0.2:
			return s.name(l, "mood", "bad")
		}
		return s.name(l, "mood", "neutral")
	case "plain":
		// What may be a year is written as one: nothing stands between the digits of four.
		if v == math.Trunc(v) && math.Abs(v) < 1e4 {
			return strconv.Itoa(int(v))
		}
	case "points":
		by, unit := short(l, math.Abs(100*v)), say(l, " procentpunt", " percentage points")
		if by == "1" {
			unit = say(l, unit, " percentage point")
		}
		return higher(l, by, unit, v)
	case "difference":
		return higher(l, eur(l, math.Abs(v)), "", v)
	}
	return short(l, v)
}

// higher writes by how much one number is above or below another.
func higher(l Lang, by, unit string, v float64) string {
	if v < 0 {
		return by + unit + say(l, " lager", " lower")
	}
	return by + unit + say(l, " hoger", " higher")
}
