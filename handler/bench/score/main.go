// Score measures how fast a model scores the rows of a table:
//
//	go run ./handler/bench/score --model m.json --data t.csv
//
// It prints the nanoseconds of one row with its reasons, and the rows a second of all rows
// at once on all processors, as JSON; scripts/bench-learner compares them with LightGBM's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"polis/handler/internal/dataset"
	"polis/handler/internal/model"
)

// Each figure is the median of so many passes.
const passes = 5

// As many different rows are scored one by one: more than any cache keeps in order.
const singles = 20_000

func main() {
	path := flag.String("model", "", "model of polis fit")
	data := flag.String("data", "", "table to score")
	flag.Parse()
	if err := run(*path, *data); err != nil {
		fmt.Fprintln(os.Stderr, "score:", err)
		os.Exit(1)
	}
}

func run(path, data string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the model: %w", err)
	}
	defer f.Close()
	m, err := model.Load(f)
	if err != nil {
		return err
	}
	frame, err := read(m, data)
	if err != nil {
		return err
	}
	figures := map[string]float64{
		"single_ns":        single(m, frame),
		"batch_rows_per_s": float64(frame.N) / batch(m, frame),
	}
	if math.IsNaN(sink) {
		return errors.New("the model scores what is no number")
	}
	return json.NewEncoder(os.Stdout).Encode(figures)
}

// read reads the model's fields of a table.
func read(m *model.Model, path string) (model.Frame, error) {
	f := model.Frame{Fields: m.Fields()}
	f.Num, f.Cat = make([][]float64, len(f.Fields)), make([][]string, len(f.Fields))
	o := dataset.Options{Known: true, Kinds: map[string]model.Kind{}}
	var names []string
	for _, field := range f.Fields {
		o.Kinds[field.Name] = field.Kind
		names = append(names, field.Name)
	}
	ctx := context.Background()
	t, err := dataset.Open(ctx, path, o)
	if err != nil {
		return f, err
	}
	defer t.Close() // it was only read from
	if err := t.Each(ctx, names, func(row model.Row) error {
		f.N++
		for i, field := range f.Fields {
			if field.Kind == model.Numeric {
				f.Num[i] = append(f.Num[i], row.Num[i])
			} else {
				f.Cat[i] = append(f.Cat[i], row.Cat[i])
			}
		}
		return nil
	}); err != nil {
		return f, err
	}
	if f.N == 0 {
		return f, errors.New("the table has no rows")
	}
	return f, nil
}

// row copies row i of a frame.
func row(f model.Frame, i int, into *model.Row) {
	for c := range f.Fields {
		if f.Num[c] != nil {
			into.Num[c] = f.Num[c][i]
		} else {
			into.Cat[c] = f.Cat[c][i]
		}
	}
}

func newRow(f model.Frame) model.Row {
	return model.Row{Num: make([]float64, len(f.Fields)), Cat: make([]string, len(f.Fields))}
}

// sink keeps the compiler from leaving out what is measured.
var sink float64

// single is the nanoseconds of one row with its reasons.
func single(m *model.Model, f model.Frame) float64 {
	rows := make([]model.Row, min(singles, f.N))
	for i := range rows {
		rows[i] = newRow(f)
		row(f, i, &rows[i])
	}
	reasons := make([]float64, len(m.Terms()))
	return median(func() {
		for _, r := range rows {
			sink += m.Score(r, reasons)
		}
	}) * 1e9 / float64(len(rows))
}

// batch is the seconds of all rows.
func batch(m *model.Model, f model.Frame) float64 {
	out := make([]float64, f.N)
	return median(func() {
		if err := m.ScoreAll(f, out); err != nil {
			panic(err) // the frame was made for the model
		}
		sink += out[len(out)-1]
	})
}

// median is the seconds of the middle pass.
func median(pass func()) float64 {
	var took []float64
	for range passes {
		started := time.Now()
		pass()
		took = append(took, time.Since(started).Seconds())
	}
	slices.Sort(took)
	return took[len(took)/2]
}
