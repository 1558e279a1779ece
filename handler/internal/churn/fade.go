package churn

import (
	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
)

// Fade is how what is known of relations and policies loses its worth: who is likelier to
// leave this year than others is less so in the next. The zero Fade forgets nothing.
type Fade struct {
	// Rate is how fast, a year: in year y after the as-of date, the first being 0, the
	// logarithm of a year's hazard is off the book's by e^(−Rate·y) of what the models say.
	// Within the year the months keep their proportions: when a policy is renewed is known.
	Rate float64 `json:"rate"`
	// The book's mean hazards a month, of relations of several policies that count and of
	// policies: what all come to in the end. Without one nothing of that kind fades.
	Lapse       float64 `json:"lapse"`
	Other       float64 `json:"other"`
	PolicyLapse float64 `json:"policy_lapse"`
	PolicyOther float64 `json:"policy_other"`
}

func (f *Fade) check() error {
	for _, v := range [...]struct{ value, most float64 }{{f.Rate, mostFade}, {f.Lapse, 1}, {f.Other, 1}, {f.PolicyLapse, 1}, {f.PolicyOther, 1}} {
		if !(v.value >= 0 && v.value <= v.most) {
			return fault.New(fault.Malformed, "churn: fade is out of bounds")
		}
	}
	return nil
}

// mostFade leaves of what is known less than a ten-thousandth after a year.
const mostFade = 10

// years is how many the engine looks ahead.
const years = Horizon / 12

// kept is what is left in each year of what is known.
func (f *Fade) kept() (out [years]float64) {
	for y := range out {
		out[y] = exact.Exp(-float64(f.Rate * float64(y)))
	}
	return out
}

// after takes the hazards of the years after the first towards a mean.
func after(kept *[years]float64, hazards *[Horizon + 1]float64, mean float64) {
	if !(mean > 0) {
		return
	}
	for y := 1; y < years; y++ {
		year := hazards[12*y+1 : 12*y+13]
		sum := 0.0
		for _, h := range year {
			sum += h
		}
		if kept[y] == 1 || !(sum > 0) {
			continue
		}
		by := exact.Exp((1 - kept[y]) * exact.Log(12*mean/sum))
		for k, h := range year {
			year[k] = min(1, float64(h*by))
		}
	}
}

// most is a force of ending a month that leaves nothing: e to its negative is no number to
// speak of.
const most = 50

// Force is how much the logarithm of the probability that the relation goes on falls from
// one month until another. Beyond the months that the engine looks at the last year's mean
// goes on, and what it knows fades on.
func (r *Result) Force(from, to int) float64 {
	if to <= Horizon {
		return force(r.Alive[from], r.Alive[to])
	}
	h := force(r.Alive[Horizon-12], r.Alive[Horizon]) / 12
	if mean := r.Fade.Lapse + r.Fade.Other; r.Fade.Rate > 0 && mean > 0 && h > 0 && h < most/12 {
		// The last year's middle is half a year before its end.
		later := float64(from+to)/24 - (years - 0.5)
		h = mean * exact.Exp(exact.Exp(-float64(r.Fade.Rate*later))*exact.Log(h/mean))
	}
	return h * float64(to-from)
}

// force is the logarithm of what is left of a share.
func force(before, after float64) float64 {
	if !(before > 0) || !(after > 0) || after < float64(before*1e-20) {
		return most
	}
	return max(0, exact.Log(before/after))
}
