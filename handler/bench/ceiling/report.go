package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/sample"
)

// target is the share of what the ceiling explains that each engine is to explain.
const target = 0.9

// resamples are those of an interval.
const resamples = 10_000

// share is what a portfolio's engine explains, over its years, and what the ceiling does.
type share struct{ ours, best float64 }

// report is a markdown table: by world and figure the mean share of what the ceiling
// explains, with a 95% interval by resampling portfolios, and that of the truth.
func report(all []result) string {
	var b strings.Builder
	b.WriteString("| | world | portfolios | of the ceiling | | of the truth | the ceiling | ours on ten, LightGBM default, tuned |\n|---|---|---|---|---|---|---|---|\n")
	for _, f := range figures {
		for _, w := range []sample.World{sample.A, sample.B} {
			s := shares(all, w, f)
			if len(s) == 0 {
				continue
			}
			mean, low, high := interval(s)
			verdict := "met"
			if !(mean >= target) {
				verdict = fmt.Sprintf("**missed by %.0f points**", 100*(target-mean))
			}
			truth, best := 0.0, 0.0
			for _, v := range s {
				truth, best = truth+v.ours/float64(len(s)), best+v.best/float64(len(s))
			}
			fmt.Fprintf(&b, "| %s | %s | %d | %.0f%% (%.0f to %.0f) | %s | %.0f%% | %.0f%% | ", f, w, len(s), 100*mean, 100*low, 100*high, verdict, 100*truth, 100*best)
			b.WriteString(beside(all, w, f) + " |\n")
		}
	}
	return b.String()
}

// beside is what ours on ten portfolios explains, and what each peer does, on average of the
// seeds and years for which there are peers.
func beside(all []result, w sample.World, f figure) string {
	sums, n := map[string]float64{}, 0.0
	for _, r := range all {
		if r.World != w || r.Model != peers[0] {
			continue
		}
		n++
		for _, o := range all {
			if o.World == w && o.Seed == r.Seed && o.Back == r.Back {
				sums[o.Model] += o.Figures[f].Explained
			}
		}
	}
	var out []string
	for _, m := range append([]string{ceiling}, peers...) {
		out = append(out, fmt.Sprintf("%.0f%%", 100*sums[m]/n))
	}
	if n == 0 {
		return "not fitted"
	}
	return strings.Join(out, ", ")
}

// shares are those of the portfolios of a world, each over its years.
func shares(all []result, w sample.World, f figure) (out []share) {
	type when struct {
		seed uint64
		back int
	}
	best := map[when]float64{}
	for _, r := range all {
		if _, err := strconv.Atoi(r.Model); err != nil && r.World == w {
			at := when{r.Seed, r.Back}
			if v, ok := best[at]; !ok || r.Figures[f].Explained > v {
				best[at] = r.Figures[f].Explained
			}
		}
	}
	type who struct {
		seed uint64
		book int
	}
	found, years := map[who]share{}, map[who]float64{}
	for _, r := range all {
		book, err := strconv.Atoi(r.Model)
		v, ok := best[when{r.Seed, r.Back}]
		if err != nil || r.World != w || !ok {
			continue
		}
		k := who{r.Seed, book}
		s := found[k]
		found[k] = share{s.ours + r.Figures[f].Explained, s.best + v}
		years[k]++
	}
	for k, s := range found {
		out = append(out, share{s.ours / years[k], s.best / years[k]})
	}
	slices.SortFunc(out, func(a, b share) int { // whatever the order of a map
		switch {
		case a.ours < b.ours:
			return -1
		case a.ours > b.ours:
			return 1
		}
		return 0
	})
	return out
}

// interval is the mean of the shares, and the 2.5% and 97.5% quantiles of that of
// portfolios drawn with replacement (Efron 1979).
func interval(s []share) (mean, low, high float64) {
	ratio := func(i int) float64 { return s[i].ours / s[i].best }
	for i := range s {
		mean += ratio(i) / float64(len(s))
	}
	if len(s) < 2 {
		return mean, math.Inf(-1), math.Inf(1)
	}
	r := rand.New(rand.NewPCG(1, 2))
	means := make([]float64, resamples)
	for k := range means {
		for range s {
			means[k] += ratio(r.IntN(len(s))) / float64(len(s))
		}
	}
	slices.Sort(means)
	return mean, means[resamples/40], means[resamples-1-resamples/40]
}
