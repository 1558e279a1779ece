// Score measures how fast a model scores the rows of a table:
//
//	go run ./handler/bench/score --model m.json --data t.csv
//
// It prints the nanoseconds of one row with its reasons, and the rows a second of all rows
// at once on all processors, as JSON; scripts/bench-learner compares them with LightGBM's.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
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
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"single_ns":        single(m, frame),
		"batch_rows_per_s": float64(frame.N) / batch(m, frame),
	})
}

// read reads the model's fields of a table.
func read(m *model.Model, path string) (model.Frame, error) {
	f := model.Frame{Fields: m.Fields()}
	kinds := map[string]model.Kind{}
	for _, field := range f.Fields {
		kinds[field.Name] = field.Kind
	}
	t, err := dataset.Read(path, dataset.Options{Kinds: kinds})
	if err != nil {
		return f, err
	}
	if f.N = t.N; f.N == 0 {
		return f, errors.New("the table has no rows")
	}
	f.Num, f.Cat = make([][]float64, len(f.Fields)), make([][]string, len(f.Fields))
	for i, field := range f.Fields {
		c := t.Column(field.Name)
		if c == nil {
			return f, fmt.Errorf("the table has no column %s", field.Name)
		}
		f.Num[i], f.Cat[i] = c.Num, c.Cat
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
	all, ok := any(m).(interface {
		ScoreAll(f model.Frame, out []float64)
	})
	return median(func() {
		if ok {
			all.ScoreAll(f, out)
		} else {
			scoreAll(m, f, out)
		}
		sink += out[len(out)-1]
	})
}

func scoreAll(m *model.Model, f model.Frame, out []float64) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			r := newRow(f)
			for i := w * f.N / workers; i < (w+1)*f.N/workers; i++ {
				row(f, i, &r)
				out[i] = m.Score(r, nil)
			}
		})
	}
	wg.Wait()
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
