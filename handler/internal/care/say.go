package care

import (
	"math"
	"strconv"
	"strings"
)

// placeholder is where a rule's sentence shows the trigger's number. Words that go with it stand
// as {one|more}: {was|were}.
const placeholder = "{number}"

// Unit is that of the rule's number; "" where it has none.
func (r *Rule) Unit() string {
	if r.number < 0 {
		return ""
	}
	return FactList[r.number].Unit
}

// Dutch is the rule's sentence for a trigger's number.
func (r *Rule) Dutch(number float64) string {
	return fill(r.NL, number, say(number, r.Unit(), ",", ".", around{"", " euro"}, words2{"dag", "dagen"}, words2{"maand", "maanden"}, "jaar", words2{"1 keer", "keer"}, "minder dan een "))
}

// English is the rule's sentence for a trigger's number.
func (r *Rule) English(number float64) string {
	years := "years"
	if rounded(number, 1) == 1 {
		years = "year"
	}
	said := say(number, r.Unit(), ".", ",", around{"€", ""}, words2{"day", "days"}, words2{"month", "months"}, years, words2{"once", "times"}, "less than a ")
	text := r.EN
	if said == "1" {
		text = strings.ReplaceAll(text, placeholder+" times", "once")
	}
	return fill(text, number, said)
}

// fill puts a number into a sentence, and chooses the words that go with one or with more.
func fill(text string, number float64, said string) string {
	parts := strings.Split(text, "{")
	for i, part := range parts[1:] {
		inside, after, _ := strings.Cut(part, "}")
		if one, more, forms := strings.Cut(inside, "|"); forms {
			if inside = more; rounded(number, 0) == 1 {
				inside = one
			}
		} else {
			inside = said
		}
		parts[1+i] = inside + after
	}
	return strings.Join(parts, "")
}

// checkSentence says what is wrong with the placeholders of a sentence; numbered is whether it
// has a number.
func checkSentence(text string, numbered bool) string {
	parts := strings.Split(text, "{")
	for _, part := range parts[1:] {
		inside, _, closed := strings.Cut(part, "}")
		if !closed || strings.Count(part, "}") > 1 || "{"+inside+"}" != placeholder && strings.Count(inside, "|") != 1 {
			return "has a placeholder that is neither " + placeholder + " nor {one|more}"
		}
	}
	switch {
	case strings.Contains(parts[0], "}"):
		return "has a } without its {"
	case len(parts) > 1 && !numbered:
		return "shows a number, and no fact of the condition is one"
	}
	return ""
}

type words2 struct{ one, more string }

// around is what stands around an amount.
type around struct{ before, after string }

// say writes a number with its unit as a customer would read it.
func say(v float64, unit, point, thousands string, euro around, days, months words2, years string, times words2, under string) string {
	if math.IsNaN(v) {
		return "?"
	}
	number := func(decimals int) string {
		return strings.Replace(strconv.FormatFloat(rounded(v, decimals), 'f', -1, 64), ".", point, 1)
	}
	counted := func(w words2) string {
		switch rounded(v, 0) {
		case 0:
			return under + w.one // nobody says that something was 0 months ago
		case 1:
			return "1 " + w.one
		}
		return number(0) + " " + w.more
	}
	switch unit {
	case unitShare:
		v *= 100
		return number(0) + "%"
	case unitEUR, unitEURYear:
		amount := number(0)
		for at := len(amount) - 3; at > len(amount)-len(strings.TrimPrefix(amount, "-")); at -= 3 {
			amount = amount[:at] + thousands + amount[at:]
		}
		return euro.before + amount + euro.after
	case unitTimes:
		if rounded(v, 1) == 1 {
			return times.one
		}
		return number(1) + " " + times.more
	case unitDays:
		return counted(days)
	case unitMonths:
		if v >= 24 { // nobody counts on in months
			v /= 12
			return number(1) + " " + years
		}
		return counted(months)
	case unitYears:
		return number(1) + " " + years
	}
	return number(0)
}

func rounded(v float64, decimals int) float64 {
	scale := math.Pow(10, float64(decimals))
	return math.Round(v*scale) / scale
}
