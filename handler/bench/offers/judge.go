package main

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"polis/handler/bench/made"
	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/sample"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

// candidate is a group that a relation could buy.
type candidate struct {
	group     int
	predicted float64
	truth     float64 // the world's probability, of one that does not leave
	bought    bool    // in the drawn year, in which it may have left
	served    int     // its place among the offers; far down where it is excluded
}

// ranking orders a relation's candidates, the first to be offered first.
type ranking struct {
	Name string
	less func(v *Verdict, a, b *candidate) int
}

// The rankings that are compared. Served is the product's own, by need first: it is not
// meant to hit most.
var rankings = []ranking{
	{"truth", func(_ *Verdict, a, b *candidate) int { return cmp.Compare(b.truth, a.truth) }},
	{"probability", func(_ *Verdict, a, b *candidate) int { return cmp.Compare(b.predicted, a.predicted) }},
	{"served", func(_ *Verdict, a, b *candidate) int { return cmp.Compare(a.served, b.served) }},
	{"popularity", func(v *Verdict, a, b *candidate) int {
		return cmp.Compare(v.Groups[b.group].Rate, v.Groups[a.group].Rate)
	}},
}

// firsts are the places up to which hits are counted.
var firsts = [...]int{1, 3, 5}

// Hits are the shares of buyers who bought one of the first 1, 3 and 5.
type Hits [len(firsts)]float64

// GroupVerdict is how a group's model did.
type GroupVerdict struct {
	nbp.Fitted
	Code                         string
	Asked                        int
	Predicted, Truth, Bought     float64 // sums
	AUC, TruthAUC, Spread, Level float64 // AUC on what was drawn; standard error of the first; predicted over true
}

// Verdict is how the offers of a book did on those held out.
type Verdict struct {
	Relations, Buyers int
	Hits              map[string]Hits
	Expected          map[string]Hits // the same by the world's probabilities and not by what it drew
	Groups            []GroupVerdict
	// Over all pairs of relation and group, by ranking: the AUC on what was drawn, and the
	// share of the deviance of one mean for all that is explained, expected by the truth.
	AUC, Explained map[string]float64
}

// buckets are those of the book.
const buckets = 4

// judge makes a book in a folder, learns from half of it and ranks for the other half. rows
// are as in train.Options.
func judge(ctx context.Context, dir string, o sample.Options, rows int) (*Verdict, error) {
	o.Dir, o.Truth = filepath.Join(dir, "csv"), true
	if o.AsOf == "" {
		o.AsOf = sample.DefaultAsOf
	}
	asOf, ok := portfolio.ParseDate(o.AsOf)
	if !ok {
		return nil, fmt.Errorf("no date: %s", o.AsOf)
	}
	if _, err := sample.Write(ctx, o); err != nil {
		return nil, err
	}
	b, err := made.Import(ctx, o.Dir, dir, buckets, asOf)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	truths, err := readTruth(filepath.Join(o.Dir, sample.TruthCustomersFile))
	if err != nil {
		return nil, err
	}
	half := func(heldOut bool) train.Source {
		return made.Source(b.Relations, func(key string) bool {
			h := fnv.New32a()
			h.Write([]byte(key))
			return h.Sum32()>>8&1 == 1 == heldOut
		})
	}
	m, err := train.Fit(ctx, half(false), train.Options{AsOf: asOf, MaxRows: rows})
	if err != nil {
		return nil, err
	}
	return verdict(ctx, half(true), m, truths, asOf)
}

// truth is what the world knows of a customer.
type truth struct {
	purchase map[string]float64 // by branch
	bought   []string
}

func readTruth(path string) (map[string]truth, error) {
	out := map[string]truth{}
	return out, made.ReadFile(path, func(r *made.Row) error {
		t := truth{purchase: map[string]float64{}, bought: strings.Split(r.Text("purchased"), "|")}
		for pair := range strings.SplitSeq(r.Text("purchase"), "|") {
			if branch, p, ok := strings.Cut(pair, "="); ok {
				t.purchase[branch] = r.Parse(p)
			}
		}
		out[r.Text("customer_id")] = t
		return nil
	})
}

// verdict ranks for the relations and counts what came of it.
func verdict(ctx context.Context, relations train.Source, m *scoring.Models, truths map[string]truth, asOf portfolio.Date) (*Verdict, error) {
	m.Settings.Nbp.Offers = 64 // all places are looked at
	scorer, err := scoring.New(m)
	if err != nil {
		return nil, err
	}
	grouping, err := nbp.NewGrouping(m.Settings.Nbp.Groups)
	if err != nil {
		return nil, err
	}
	v := &Verdict{Hits: map[string]Hits{}, Expected: map[string]Hits{}, AUC: map[string]float64{}, Explained: map[string]float64{}}
	for i := range grouping.Groups {
		code := grouping.Groups[i].Code
		v.Groups = append(v.Groups, GroupVerdict{Fitted: m.Nbp.Fitted[code], Code: code})
	}
	var (
		reader   feature.Reader
		row      model.Row
		past     nbp.Past
		all      []candidate
		expected float64
	)
	for members, err := range relations(ctx) {
		if err != nil {
			return nil, err
		}
		in, views := group(members, asOf)
		if in.Policies == 0 {
			continue
		}
		subjects := make([]scoring.Subject, len(members))
		primary := 0
		for i, a := range members {
			subjects[i] = scoring.Subject{Aggregate: a}
			if views[i] == in.Primary {
				primary = i
			}
		}
		served := scorer.Relation(subjects, asOf, scoring.NewSet(scoring.Nbp))[primary].Nbp
		segment := portfolio.Private
		if c := in.Primary.Customer; c != nil && c.Segment == portfolio.Business {
			segment = portfolio.Business
		}
		past.Reset(grouping, views)
		grouping.Row(&reader, in, &past, &row)
		var own []candidate
		buyer, any := false, 1.0
		for i := range grouping.Groups {
			g := &grouping.Groups[i]
			gm := m.Nbp.Groups[g.Code]
			if (past.Held|past.Soon)>>i&1 == 1 || !g.Fits(segment) || gm == nil {
				continue
			}
			grouping.About(i, &past, &row)
			c := candidate{group: i, predicted: gm.Mean(m.Nbp.Link(g.Code, row)), served: 64}
			stays := 1.0
			for _, a := range members {
				t := truths[a.ID()]
				stays *= 1 - t.purchase[g.Branch]
				c.bought = c.bought || slices.Contains(t.bought, g.Branch)
			}
			c.truth = 1 - stays
			any *= stays
			for k := range served.Offers {
				if served.Offers[k].Group.Code == g.Code {
					c.served = k
				}
			}
			buyer = buyer || c.bought
			own = append(own, c)
		}
		v.Relations++
		all = append(all, own...)
		expected += 1 - any
		if buyer {
			v.Buyers++
		}
		for _, r := range rankings {
			slices.SortStableFunc(own, func(a, b candidate) int { return r.less(v, &a, &b) })
			hits, likely := v.Hits[r.Name], v.Expected[r.Name]
			for i, n := range firsts {
				hit, none := false, 1.0
				for _, c := range own[:min(n, len(own))] {
					hit = hit || c.bought
					none *= 1 - c.truth
				}
				if hit {
					hits[i]++
				}
				likely[i] += 1 - none
			}
			v.Hits[r.Name], v.Expected[r.Name] = hits, likely
		}
	}
	for _, r := range rankings {
		hits, likely := v.Hits[r.Name], v.Expected[r.Name]
		for i := range firsts {
			hits[i] /= float64(v.Buyers)
			likely[i] /= expected
		}
		v.Hits[r.Name], v.Expected[r.Name] = hits, likely
	}
	v.groups(all)
	return v, nil
}

// group is the relation of customers as of a date.
func group(members []*portfolio.Aggregate, asOf portfolio.Date) (*feature.Group, []*portfolio.View) {
	var views []*portfolio.View
	for _, a := range members {
		v := &portfolio.View{}
		v.Reset(a, asOf, portfolio.DefaultEnds)
		views = append(views, v)
	}
	g := &feature.Group{}
	g.Reset(views)
	return g, views
}

// groups measures each group, and all pairs together.
func (v *Verdict) groups(all []candidate) {
	of := func(keep func(*candidate) bool, score func(*candidate) float64) (auc, spread float64) {
		var yes, no []float64
		for i := range all {
			if c := &all[i]; !keep(c) {
				continue
			} else if c.bought {
				yes = append(yes, score(c))
			} else {
				no = append(no, score(c))
			}
		}
		return auroc(yes, no)
	}
	predicted, truth := func(c *candidate) float64 { return c.predicted }, func(c *candidate) float64 { return c.truth }
	for i := range v.Groups {
		g := &v.Groups[i]
		mine := func(c *candidate) bool { return c.group == i }
		for k := range all {
			if c := &all[k]; mine(c) {
				g.Asked++
				g.Predicted, g.Truth = g.Predicted+c.predicted, g.Truth+c.truth
				if c.bought {
					g.Bought++
				}
			}
		}
		g.AUC, g.Spread = of(mine, predicted)
		g.TruthAUC, _ = of(mine, truth)
		g.Level = g.Predicted / g.Truth
	}
	every := func(*candidate) bool { return true }
	mean := 0.0
	for i := range all {
		mean += all[i].truth / float64(len(all))
	}
	deviance := func(score func(*candidate) float64) (sum float64) {
		for i := range all {
			t, p := all[i].truth, min(max(score(&all[i]), 1e-9), 1-1e-9)
			sum -= t*math.Log(p) + (1-t)*math.Log(1-p)
		}
		return sum
	}
	constant := deviance(func(*candidate) float64 { return mean })
	for name, score := range map[string]func(*candidate) float64{
		"probability": predicted, "truth": truth, "popularity": func(c *candidate) float64 { return v.Groups[c.group].Rate },
	} {
		v.AUC[name], _ = of(every, score)
		v.Explained[name] = 1 - deviance(score)/constant
	}
}

// auroc is the area under the curve, and its standard error (Hanley and McNeil 1982).
func auroc(yes, no []float64) (auc, spread float64) {
	if len(yes) == 0 || len(no) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(no)
	for _, y := range yes {
		below, _ := slices.BinarySearch(no, y)
		upTo, _ := slices.BinarySearchFunc(no, y, func(a, b float64) int {
			if a <= b {
				return -1
			}
			return 1
		})
		auc += float64(below+upTo) / 2
	}
	n, m := float64(len(yes)), float64(len(no))
	auc /= n * m
	q1, q2 := auc/(2-auc), 2*auc*auc/(1+auc)
	return auc, math.Sqrt((auc*(1-auc) + (n-1)*(q1-auc*auc) + (m-1)*(q2-auc*auc)) / (n * m))
}

// String is the verdict as tables.
func (v *Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %21s   %21s   %s\n", "ranking", "hit at 1, 3, 5", "expected at 1, 3, 5", "AUC of all pairs, deviance explained")
	for _, r := range rankings {
		h, e := v.Hits[r.Name], v.Expected[r.Name]
		fmt.Fprintf(&b, "%-12s %6.1f%% %5.1f%% %5.1f%%   %6.1f%% %5.1f%% %5.1f%%", r.Name, 100*h[0], 100*h[1], 100*h[2], 100*e[0], 100*e[1], 100*e[2])
		if auc, ok := v.AUC[r.Name]; ok {
			fmt.Fprintf(&b, "   %.3f %5.2f%%", auc, 100*v.Explained[r.Name])
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%-22s %6s %7s %7s %9s %7s %13s %10s  %s\n", "group", "asked", "bought", "true", "predicted", "level", "AUC", "truth's", "basis")
	for i := range v.Groups {
		if g := &v.Groups[i]; g.Asked > 0 {
			fmt.Fprintf(&b, "%-22s %6d %7.0f %7.1f %9.1f %7.2f %6.3f ±%.3f %10.3f  %s %.2f of %.0f\n", g.Code, g.Asked, g.Bought, g.Truth, g.Predicted, g.Level, g.AUC, g.Spread, g.TruthAUC, g.Basis, g.Weight, g.Purchases)
		}
	}
	return b.String()
}
