package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/model"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
	"polis/handler/internal/watch"
)

// exportTables writes what a tenant's models would learn from: a table a model, and which
// of its columns are features, as the types that pandas is to read them with. CSV alone
// would leave it to guess that the area 01 is no number.
func (s *stack) exportTables(ctx context.Context, p *progress, t book.Tenant, asOf date, settings *scoring.Settings, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Unconfigured, err, "making the folder for the tables")
	}
	st := p.stage("export the tables")
	tables, err := train.Tables(ctx, watch.Relations(s.book, t), train.Options{AsOf: asOf, Ends: t.EndTable(), Settings: settings, Progress: func(_ string, done, total int) {
		st.set(int64(done), int64(total))
	}})
	if err != nil {
		st.abort()
		return err
	}
	types := map[string]map[string]string{}
	for i := range tables {
		t := &tables[i]
		types[t.Name] = map[string]string{}
		for _, f := range t.Fields {
			types[t.Name][f.Name] = map[model.Kind]string{model.Numeric: "float64", model.Category: "category"}[f.Kind]
		}
		err := writeFile(filepath.Join(dir, t.Name+".csv"), func(w io.Writer) error { return writeTable(w, t) })
		if err != nil {
			st.abort()
			return err
		}
	}
	err = writeFile(filepath.Join(dir, "types.json"), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(types)
	})
	if err != nil {
		st.abort()
		return err
	}
	st.end(fmt.Sprintf("%d tables in %s", len(tables), dir))
	return nil
}

// writeTable writes a table's features, and after them what came of each row. Relations
// are numbered: who they are does not leave the book.
func writeTable(w io.Writer, t *train.Table) error {
	out := csv.NewWriter(w)
	record := make([]string, 0, len(t.Fields)+4)
	for _, f := range t.Fields {
		record = append(record, f.Name)
	}
	if err := out.Write(append(record, "y", "weight", "exposure", "group")); err != nil {
		return err
	}
	groups := map[string]int{}
	for i := range t.N {
		record = record[:0]
		for c, f := range t.Fields {
			switch {
			case f.Kind == model.Category:
				record = append(record, t.Cat[c][i])
			case math.IsNaN(t.Num[c][i]):
				record = append(record, "")
			default:
				record = append(record, text(t.Num[c][i]))
			}
		}
		if _, ok := groups[t.Group[i]]; !ok {
			groups[t.Group[i]] = len(groups) + 1
		}
		record = append(record, text(t.Y[i]), text(orOne(t.Weight, i)), text(orOne(t.Exposure, i)), strconv.Itoa(groups[t.Group[i]]))
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// orOne is a value of what is 1 for each row where it is not there.
func orOne(values []float64, i int) float64 {
	if values == nil {
		return 1
	}
	return values[i]
}
