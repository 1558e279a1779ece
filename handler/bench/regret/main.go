// Command regret says how much of what there is to know a fit misses, on made tables
// whose truth is known: the share of the explained deviance that is lost to the truth.
// The learner's defaults are chosen by it, and never on real data.
package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"polis/handler/internal/model"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "regret:", err)
		os.Exit(1)
	}
}

func run() error {
	worlds := flag.String("worlds", "", "which, by comma; all")
	repeats := flag.Int("repeats", 3, "draws of each world")
	dir := flag.String("csv", "", "write the tables here instead, with their truth")
	rows := flag.Int("rows", 0, "rows of each world, in place of its own number")
	var o model.Options
	flag.IntVar(&o.Bins, "bins", 0, "as model.Options")
	flag.IntVar(&o.PairBins, "pairbins", 0, "")
	flag.IntVar(&o.Rounds, "rounds", 0, "")
	flag.IntVar(&o.Bags, "bags", 0, "")
	flag.IntVar(&o.Pairs, "pairs", 0, "")
	flag.Float64Var(&o.LearningRate, "rate", 0, "")
	flag.Float64Var(&o.MinLeaf, "leaf", 0, "")
	flag.Float64Var(&o.Shrink, "shrink", 0, "")
	flag.Float64Var(&o.MinGain, "gain", 0, "")
	flag.Parse()
	for _, m := range makers {
		if *worlds != "" && !slices.Contains(strings.Split(*worlds, ","), m.name) {
			continue
		}
		if *rows > 0 {
			m.rows = *rows
		}
		var lost, took []float64
		note := ""
		for k := range *repeats {
			r := rand.New(rand.NewPCG(uint64(k), 42))
			w := m.draw(r, m.rows+20_000)
			w.name, w.loss = m.name, m.loss
			if *dir != "" {
				if err := w.write(filepath.Join(*dir, fmt.Sprintf("%s-%d.csv", m.name, k))); err != nil {
					return err
				}
				continue
			}
			started := time.Now()
			o.Loss, o.Seed = m.loss, uint64(k)
			frame, y := w.first(m.rows)
			fitted, err := model.Fit(context.Background(), frame, y, o)
			if err != nil {
				return err
			}
			took = append(took, time.Since(started).Seconds())
			lost = append(lost, w.regret(m.rows, fitted))
			meta := fitted.Meta().Metrics
			note = fmt.Sprintf("%v rounds, %v of pairs, slope %.3f, %d terms", meta["rounds"], meta["pair_rounds"], meta["calibration_slope"], len(fitted.Terms()))
		}
		if *dir == "" {
			fmt.Printf("%-12s %6.2f%% ", m.name, 100*average(lost))
			for _, l := range lost {
				fmt.Printf(" %5.2f", 100*l)
			}
			fmt.Printf("   %.2f s   %s\n", average(took), note)
		}
	}
	return nil
}

func average(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// first is the part that is learnt from.
func (w *world) first(n int) (model.Frame, model.Target) {
	f := model.Frame{Fields: w.frame.Fields, N: n}
	for i := range f.Fields {
		f.Num = append(f.Num, head(w.frame.Num[i], n))
		f.Cat = append(f.Cat, head(w.frame.Cat[i], n))
	}
	return f, model.Target{Y: w.y.Y[:n], Weight: head(w.y.Weight, n), Exposure: head(w.y.Exposure, n)}
}

func head[T any](v []T, n int) []T {
	if v == nil {
		return nil
	}
	return v[:n]
}

// regret is the share of the explained deviance that is lost, over the rows from n on.
func (w *world) regret(n int, m *model.Model) float64 {
	total, exposure := 0.0, 0.0
	for i := n; i < len(w.mean); i++ {
		e := 1.0
		if w.y.Exposure != nil {
			e = w.y.Exposure[i]
		}
		total += e * w.mean[i]
		exposure += e
	}
	row := model.Row{Num: make([]float64, len(w.frame.Fields)), Cat: make([]string, len(w.frame.Fields))}
	missed, all := 0.0, 0.0
	for i := n; i < len(w.mean); i++ {
		for c := range w.frame.Fields {
			if w.frame.Num[c] != nil {
				row.Num[c] = w.frame.Num[c][i]
			} else {
				row.Cat[c] = w.frame.Cat[c][i]
			}
		}
		e := 1.0
		if w.y.Exposure != nil {
			e = w.y.Exposure[i]
		}
		missed += e * divergence(w.loss, w.mean[i], m.Mean(m.Score(row, nil)))
		all += e * divergence(w.loss, w.mean[i], total/exposure)
	}
	return missed / all
}

// divergence is the expected deviance of a prediction beyond that of the truth.
func divergence(loss model.Loss, truth, p float64) float64 {
	switch loss {
	case model.Logistic:
		return 2 * (truth*math.Log(truth/p) + (1-truth)*math.Log((1-truth)/(1-p)))
	case model.Poisson:
		return 2 * (truth*math.Log(truth/p) - truth + p)
	case model.Gamma:
		return 2 * (truth/p - 1 - math.Log(truth/p))
	default:
		return 4 * (math.Sqrt(truth)*(math.Sqrt(truth/p)-2) + math.Sqrt(p))
	}
}

// write writes a table with its truth, for other learners.
func (w *world) write(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	defer func() { err = errors.Join(err, b.Flush(), f.Close()) }()
	out := csv.NewWriter(b)
	head := []string{"y", "weight", "exposure", "truth"}
	for _, field := range w.frame.Fields {
		name := field.Name
		if field.Kind == model.Category {
			name += ":name"
		}
		head = append(head, name)
	}
	if err := out.Write(head); err != nil {
		return err
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for i := range w.mean {
		weight, exposure := 1.0, 1.0
		if w.y.Weight != nil {
			weight = w.y.Weight[i]
		}
		if w.y.Exposure != nil {
			exposure = w.y.Exposure[i]
		}
		record := []string{number(w.y.Y[i]), number(weight), number(exposure), number(w.mean[i])}
		for c := range w.frame.Fields {
			if w.frame.Num[c] != nil {
				record = append(record, number(w.frame.Num[c][i]))
			} else {
				record = append(record, w.frame.Cat[c][i])
			}
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
