// Package scoretest makes models by hand, through the model file, so that a test knows
// to the digit what they must say.
package scoretest

import (
	"encoding/json"
	"testing"

	"polis/handler/internal/feature"
	"polis/handler/internal/model"
	"polis/handler/internal/portfolio"
)

// Step is what one field adds to a link. A number has values for missing, below the
// first edge, between the edges and from the last on; a name has values for missing,
// any other, and each of its names.
type Step struct {
	Field  string
	Edges  []float64
	Names  []string
	Values []float64
}

// Model is a model over fields with an intercept and steps.
func Model(tb testing.TB, fields []model.Field, loss model.Loss, intercept float64, steps ...Step) *model.Model {
	tb.Helper()
	type field struct {
		model.Field
		Edges []float64 `json:"edges,omitempty"`
		Names []string  `json:"names,omitempty"`
	}
	type term struct {
		Fields []int     `json:"fields"`
		Table  []float64 `json:"table"`
	}
	file := struct {
		Format    int        `json:"polis_model"`
		Loss      model.Loss `json:"loss"`
		Intercept float64    `json:"intercept"`
		Meta      model.Meta `json:"meta"`
		Fields    []field    `json:"fields"`
		Terms     []term     `json:"terms"`
	}{Format: 3, Loss: loss, Intercept: intercept, Terms: []term{}}
	at := map[string]int{}
	for i, f := range fields {
		file.Fields = append(file.Fields, field{Field: f})
		at[f.Name] = i
	}
	for _, s := range steps {
		i, ok := at[s.Field]
		if !ok {
			tb.Fatalf("there is no field %s", s.Field)
		}
		file.Fields[i].Edges, file.Fields[i].Names = s.Edges, s.Names
		file.Terms = append(file.Terms, term{[]int{i}, s.Values})
	}
	body, err := json.Marshal(file)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := model.Parse(model.Seal(body))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// Input is what engines are given of customers who are one relation, the first of whom
// is scored.
func Input(asOf portfolio.Date, members ...*portfolio.Aggregate) feature.Input {
	var views []*portfolio.View
	for _, a := range members {
		a.Normalise(asOf)
		v := &portfolio.View{}
		v.Reset(a, asOf, portfolio.DefaultEnds)
		views = append(views, v)
	}
	g := &feature.Group{}
	g.Reset(views)
	return feature.Input{View: views[0], Group: g}
}
