// Package model is Polis's learner: additive models on binned features, with
// pairwise interactions, fitted by cyclic gradient boosting (GA2M; Lou et al.
// 2012 and 2013, Nori et al. 2019). Shape functions are tables, so a score is a
// sum of look-ups and its reasons are the summands.
package model

// Kind is how a field's values are read.
type Kind uint8

// A Numeric field has an order and NaN for missing; a Category field has names
// and "" for missing. A category that training did not see has a bin of its own.
const (
	Numeric Kind = iota
	Category
)

// Field is one column of a table or one value of a Row.
type Field struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Monotone is +1 or -1 where the score may only rise or fall with the value; else 0.
	Monotone int8 `json:"monotone,omitempty"`
}

// Row is one case to score. Both slices are as long as the model's fields: field
// i is in Num[i] if numeric, in Cat[i] if a category.
type Row struct {
	Num []float64
	Cat []string
}

// Frame is a training table, by columns: field i is in Num[i] or in Cat[i], the
// other being nil.
type Frame struct {
	Fields []Field
	Num    [][]float64
	Cat    [][]string
	N      int // rows
}
