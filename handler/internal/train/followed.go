package train

import (
	"cmp"
	"slices"

	"polis/handler/internal/portfolio"
)

// followed is how long a relation was looked at in a window, and whether that was until
// somebody acted for it.
type followed struct {
	months, band int // of the window, and of the probability of a lapse that was foretold
	days         portfolio.Date
	acted        bool
}

// bandsOf are tenths of probability: who is likely to leave is acted for more often.
const bandsOf = 10

// remaining is the probability, by days, that nobody has acted yet (Kaplan and Meier 1958).
type remaining struct {
	days []portfolio.Date
	left []float64
}

// at is the probability after so many days.
func (r *remaining) at(days portfolio.Date) float64 {
	i, found := slices.BinarySearch(r.days, days)
	if found {
		i++
	}
	if i == 0 {
		return 1
	}
	return r.left[i-1]
}

// untilActed is that by windows and bands.
func untilActed(all []followed) map[[2]int]*remaining {
	slices.SortFunc(all, func(a, b followed) int {
		return cmp.Or(cmp.Compare(a.months, b.months), cmp.Compare(a.band, b.band), cmp.Compare(a.days, b.days))
	})
	out := map[[2]int]*remaining{}
	for from := 0; from < len(all); {
		to := from
		for to < len(all) && all[to].months == all[from].months && all[to].band == all[from].band {
			to++
		}
		r, left := &remaining{}, 1.0
		for i := from; i < to; {
			n, acted := i, 0
			for ; n < to && all[n].days == all[i].days; n++ {
				if all[n].acted {
					acted++
				}
			}
			if acted > 0 {
				left *= 1 - float64(acted)/float64(to-i)
				r.days, r.left = append(r.days, all[i].days), append(r.left, left)
			}
			i = n
		}
		out[[2]int{all[from].months, all[from].band}] = r
		from = to
	}
	return out
}

// evened leaves out a share of the relations that ended before their window did: as many as
// somebody would have acted for in what was left of it, had they stayed. Of those that stayed
// they are left out, and without these the others would seem to have left more often (inverse
// probability of censoring: Robins and Finkelstein 2000; thinned, since what follows has no
// weights).
func evened(seen []foretold, all []followed) []foretold {
	left := untilActed(all)
	return slices.DeleteFunc(seen, func(t foretold) bool {
		r := left[[2]int{t.months, t.band}]
		return r != nil && t.lot*r.at(t.days) >= r.at(t.window)
	})
}
