package feedback

import "math"

// Judged counts suggestions of a kind by what was last thought of them.
type Judged struct {
	All     int `json:"judged"`
	Against int `json:"against"`
}

// Add counts a suggestion.
func (j *Judged) Add(s *Suggestion) {
	if _, judged := s.Latest(); judged != nil {
		j.All++
		if judged.Judgement != Useful {
			j.Against++
		}
	}
}

// After reports whether suggestions of the kind stand after all others.
func (s *Suppression) After(j Judged) bool {
	if j.All == 0 {
		return false
	}
	a, b := s.PriorAgainst+float64(j.Against), s.PriorFor+float64(j.All-j.Against)
	return 1-beta(s.Limit, a, b) >= s.Level
}

// beta is the distribution function of Beta(a, b): the regularised incomplete beta function
// by its continued fraction, with Lentz's method (Press et al. 2007, 6.4).
func beta(x, a, b float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	case x > (a+1)/(a+b+2):
		return 1 - beta(1-x, b, a)
	}
	lab, _ := math.Lgamma(a + b)
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	front := math.Exp(lab-la-lb+float64(a*math.Log(x))+float64(b*math.Log1p(-x))) / a
	const tiny, near = 1e-300, 1e-15
	c, d := math.Inf(1), 1.0
	step := func(numerator float64) float64 {
		if d = 1 + float64(numerator*d); math.Abs(d) < tiny {
			d = tiny
		}
		if c = 1 + numerator/c; math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		return c * d
	}
	f := 1.0
	for m := 1.0; m < 100_000; m++ {
		f *= step(-(a + m - 1) * (a + b + m - 1) * x / ((a + 2*m - 2) * (a + 2*m - 1)))
		by := step(m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m)))
		if f *= by; math.Abs(by-1) < near {
			break
		}
	}
	return front * f
}
