package develop

import (
	"polis/handler/internal/portfolio"
)

// Period is the length of a period of loss and of a step of age, in months.
const Period = 3

// followedDays is within how many days of its report a claim must have been recorded for
// its versions to tell how it developed: a quarter of a year's claims are put in later by
// a month at most, and what was loaded from another system was recorded on that day. In
// days; our choice: that month, and half of one for exports that come late.
const followedDays = 45

// Claims gathers the triangles of a line of claims from their versions, as known on a date.
type Claims struct {
	asOf portfolio.Date
	ends []portfolio.Date // ends[q] is the last day of the period that ended q periods ago
	// By period of loss, the latest first, and by age.
	amounts, counts [][]float64
	followed        int
}

// NewClaims gathers claims of so many periods of loss before the date.
func NewClaims(asOf portfolio.Date, periods int) *Claims {
	c := &Claims{asOf: asOf}
	for q := range periods + 1 {
		c.ends = append(c.ends, asOf.AddMonths(-Period*q))
	}
	for q := range periods {
		c.amounts, c.counts = append(c.amounts, make([]float64, q+1)), append(c.counts, make([]float64, q+1))
	}
	return c
}

// Age is the age on a date of a loss: 0 in the period that ends with the date.
func Age(loss, asOf portfolio.Date) int {
	q := max(0, int(asOf-loss)/93) // at most a period's days: never too old
	for loss <= asOf.AddMonths(-Period*(q+1)) {
		q++
	}
	return q
}

// Add adds a claim. Costly says that it counts: that something is incurred by now, and
// that it was not rejected.
func (c *Claims) Add(v *portfolio.ClaimView, costly bool) {
	q := Age(v.LossDate, c.asOf)
	if q >= len(c.counts) || v.LossDate > c.asOf {
		return
	}
	reported := v.Reported()
	for age := range q + 1 {
		if costly && reported <= c.ends[q-age] {
			c.counts[q][age]++
		}
	}
	if len(v.Versions) == 0 || v.Versions[0].Undated || v.Versions[0].RecordedAt-reported > followedDays {
		return
	}
	c.followed++
	n := 0
	for age := range q + 1 {
		for n < len(v.Versions) && v.Versions[n].RecordedAt <= c.ends[q-age] {
			n++
		}
		if n > 0 && v.Versions[n-1].Status != portfolio.ClaimRejected {
			c.amounts[q][age] += v.Versions[n-1].Incurred().EUR()
		}
	}
}

// Amounts is the triangle of what was incurred, EUR, of the claims that were followed from
// their report on: a claim that was loaded when it was old does not say what it was before.
func (c *Claims) Amounts() Triangle { return triangle(c.amounts) }

// Counts is the triangle of claims by when they were reported: what is missing in it are
// the pure IBNR, claims that happened and are not reported yet.
func (c *Claims) Counts() Triangle { return triangle(c.counts) }

// Followed is how many claims Amounts rests on.
func (c *Claims) Followed() int { return c.followed }

// triangle puts the oldest period first.
func triangle(latest [][]float64) Triangle {
	out := make(Triangle, len(latest))
	for i, row := range latest {
		out[len(out)-1-i] = row
	}
	return out
}
