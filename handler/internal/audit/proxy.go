package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"polis/handler/internal/fault"
	"polis/handler/internal/measure"
	"polis/handler/internal/model"
)

// Attribute is something that models may not read, or that an audit asks about: a value a
// row, NaN or "" where it is not known.
type Attribute struct {
	Name    string
	Numeric bool
	// Free is that its values are whatever an office wrote, names of people too: they are told
	// by their rank and never themselves.
	Free bool
	Num  []float64
	Cat  []string
}

// Proxy is how well the features that models read tell a value of an attribute.
type Proxy struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`  // against all others of whom it is known; its rank where values are free
	Models    string `json:"models"` // whose features
	Rows      int    `json:"rows"`
	With      int    `json:"with"` // rows that have the value
	// AUC is that of a model of ours, learnt from the features, on rows held out; with its
	// 95% interval. Explained is the share of the deviance that it explains of them.
	AUC       *measure.Estimate `json:"auc,omitempty"`
	Explained float64           `json:"deviance_explained"`
	Carriers  []Carrier         `json:"carriers,omitempty"` // the most telling first
	Found     bool              `json:"found"`              // AUC.Low is at least Settings.ProxyAUC
	// Read is that models read the attribute itself: no proxy is needed, and none looked for.
	Read bool   `json:"read,omitempty"`
	Note string `json:"note,omitempty"`
}

// Carrier is a feature that tells of the attribute.
type Carrier struct {
	Feature string  `json:"feature"`
	Share   float64 `json:"share"` // of how much all features tell, on the log odds
}

const (
	// leastWith is how many rows must have a value, and not have it, for a proxy to be
	// looked for: of fewer an AUC is off by chance by a twentieth and more. Our choice.
	leastWith = 100
	// valuesAsked is how many values of an attribute are asked about, the commonest.
	valuesAsked = 3
	// carriersNamed is how many features are named.
	carriersNamed = 5
)

// ranks are what values are told by that are not shown.
var ranks = [valuesAsked]string{"commonest value", "second commonest value", "third commonest value"}

// question is one value of an attribute against all others.
type question struct {
	value string
	has   func(i int) bool
}

// questions are what is asked of an attribute: of a number who is in its lowest and in its
// highest quarter, of a name who has each of the commonest.
func (a *Attribute) questions(least int) (known []int, out []question) {
	if a.Numeric {
		for i, v := range a.Num {
			if v-v == 0 {
				known = append(known, i)
			}
		}
		if len(known) == 0 {
			return nil, nil
		}
		values := make([]float64, len(known))
		for k, i := range known {
			values[k] = a.Num[i]
		}
		slices.Sort(values)
		low, high := values[len(values)/4], values[len(values)*3/4]
		lowest, highest := "up to "+short(low), "from "+short(high)
		if a.Free {
			lowest, highest = "lowest quarter", "highest quarter"
		}
		out = append(out, question{lowest, func(i int) bool { return a.Num[i] <= low }})
		if high > low {
			out = append(out, question{highest, func(i int) bool { return a.Num[i] >= high }})
		}
		return known, out
	}
	counts := map[string]int{}
	for i, v := range a.Cat {
		if v != "" {
			known = append(known, i)
			counts[v]++
		}
	}
	names := slices.SortedFunc(maps.Keys(counts), func(x, y string) int {
		return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y))
	})
	for k, name := range names[:min(valuesAsked, len(names))] {
		if counts[name] < least || k == 0 && len(names) == 2 { // the other of two is its mirror
			continue
		}
		value := name
		if a.Free {
			value = ranks[k]
		}
		out = append(out, question{value, func(i int) bool { return a.Cat[i] == name }})
	}
	return known, out
}

// Proxies learns each value of an attribute from features, and says how well that goes.
// models is whose features they are.
func (s *Settings) Proxies(ctx context.Context, models string, features model.Frame, a *Attribute, seed uint64) ([]Proxy, error) {
	least := max(leastWith, s.MinimumCell)
	known, questions := a.questions(least)
	var out []Proxy
	for _, q := range questions {
		p := Proxy{Attribute: a.Name, Value: q.value, Models: models, Rows: len(known)}
		y := make([]float64, len(known))
		for k, i := range known {
			if q.has(i) {
				y[k] = 1
				p.With++
			}
		}
		if p.With < least || len(known)-p.With < least {
			continue
		}
		if err := s.proxy(ctx, &p, pick(features, known, a.Name), y, seed); err != nil {
			return nil, fmt.Errorf("learning %s from the features of %s: %w", a.Name, models, err)
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		out = append(out, Proxy{
			Attribute: a.Name, Models: models, Rows: len(known),
			Note: fmt.Sprintf("no value that at least %d have, and at least %d have not", least, least),
		})
	}
	return out, nil
}

// pick is a frame of some rows, without the field of a name.
func pick(f model.Frame, rows []int, without string) model.Frame {
	out := model.Frame{N: len(rows)}
	for c, field := range f.Fields {
		if field.Name == without {
			continue
		}
		out.Fields = append(out.Fields, field)
		var num []float64
		var cat []string
		for _, i := range rows {
			if field.Kind == model.Numeric {
				num = append(num, f.Num[c][i])
			} else {
				cat = append(cat, f.Cat[c][i])
			}
		}
		out.Num, out.Cat = append(out.Num, num), append(out.Cat, cat)
	}
	return out
}

func (s *Settings) proxy(ctx context.Context, p *Proxy, f model.Frame, y []float64, seed uint64) error {
	var held, came []float64
	m, err := model.Fit(ctx, f, model.Target{Y: y}, model.Options{
		Loss: model.Logistic, Seed: seed, Bins: 32, Bags: 2, Pairs: -1,
		Held: func(row int, mean float64) { held, came = append(held, mean), append(came, y[row]) },
	})
	if err != nil {
		return err
	}
	if len(held) == 0 {
		p.Note = "nothing could be learnt"
		return nil
	}
	t, err := measure.Try(measure.Logistic, held, came, nil, nil)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "measuring a proxy")
	}
	p.AUC, p.Explained = t.AUC, places4(max(0, t.Explained()))
	p.Found = p.AUC != nil && p.AUC.Low >= s.ProxyAUC
	p.Carriers = carriers(m, f)
	return nil
}

// carriers are the features by the variance of what they add on the log odds.
func carriers(m *model.Model, f model.Frame) []Carrier {
	terms := m.Terms()
	contrib := make([]float64, len(terms))
	sum, square := make([]float64, len(terms)), make([]float64, len(terms))
	row := model.Row{Num: make([]float64, len(f.Fields)), Cat: make([]string, len(f.Fields))}
	for i := range f.N {
		for c, field := range f.Fields {
			if field.Kind == model.Numeric {
				row.Num[c] = f.Num[c][i]
			} else {
				row.Cat[c] = f.Cat[c][i]
			}
		}
		m.Score(row, contrib)
		for k, v := range contrib {
			sum[k] += v
			square[k] += v * v
		}
	}
	n, all := float64(f.N), 0.0
	var out []Carrier
	for k, t := range terms {
		v := max(0, square[k]/n-sum[k]/n*sum[k]/n)
		all += v
		out = append(out, Carrier{t.Name, v})
	}
	if !(all > 0) {
		return nil
	}
	slices.SortStableFunc(out, func(a, b Carrier) int { return cmp.Compare(b.Share, a.Share) })
	out = out[:min(carriersNamed, len(out))]
	for k := range out {
		out[k].Share = math.Round(1000*out[k].Share/all) / 1000
	}
	return slices.DeleteFunc(out, func(c Carrier) bool { return c.Share < 0.01 })
}
