package sample

import "fmt"

// day is a civil date counted in days; 1970-01-01 is 0.
type day int32

// civilDay counts with years that start in March, so that the leap day comes last.
func civilDay(y, m, d int) day {
	if m <= 2 {
		y--
		m += 12
	}
	return day(365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 719469)
}

func (d day) ymd() (year, month, date int) {
	n := int(d) + 719468
	era := n / 146097
	n -= era * 146097
	of := (n - n/1460 + n/36524 - n/146096) / 365
	doy := n - (365*of + of/4 - of/100)
	mp := (5*doy + 2) / 153
	year, month, date = of+era*400, mp+3, doy-(153*mp+2)/5+1
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, date
}

func (d day) year() int { y, _, _ := d.ymd(); return y }

func monthDays(y, m int) int {
	switch m {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// addMonths keeps the day of the month where the month has it, else takes its last.
func (d day) addMonths(n int) day {
	y, m, dd := d.ymd()
	k := y*12 + m - 1 + n
	y, m = k/12, k%12+1
	return civilDay(y, m, min(dd, monthDays(y, m)))
}

// append writes the date as ISO 8601.
func (d day) append(b []byte) []byte {
	y, m, dd := d.ymd()
	return append(b, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-',
		byte('0'+m/10), byte('0'+m%10), '-', byte('0'+dd/10), byte('0'+dd%10))
}

// parseDay reads an ISO 8601 date of the 20th to 22nd century.
func parseDay(s string) (day, error) {
	if len(s) == 10 && s[4] == '-' && s[7] == '-' {
		y, m, d := digits(s[:4]), digits(s[5:7]), digits(s[8:])
		if y >= 1900 && y <= 2200 && m >= 1 && m <= 12 && d >= 1 && d <= monthDays(y, m) {
			return civilDay(y, m, d), nil
		}
	}
	return 0, fmt.Errorf("sample: %q is not a date such as 2026-03-31", s)
}

// digits is a number without sign; −1 where s is none.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}
