package exports

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"polis/handler/internal/churn"
)

var update = flag.Bool("update", false, "write docs/exports.md anew")

// TestDocs keeps docs/exports.md what the tables are: go test ./handler/internal/exports -update.
func TestDocs(t *testing.T) {
	const path = "../../../docs/exports.md"
	want := docs(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/exports.md is stale (%v): run go test ./handler/internal/exports -update", err)
	}
}

func docs(t *testing.T) string {
	intro, err := os.ReadFile("testdata/intro.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.Write(intro)
	for _, w := range new(tables).all() {
		fmt.Fprintf(&b, "\n## %s\n%s\n\n| column | type | |\n|---|---|---|\n", w.name, w.about)
		says := described(reflect.TypeOf(w.row()))
		for _, f := range w.schema().Fields() {
			say, ok := says[f.Name()]
			if !ok {
				t.Errorf("%s.%s: the file has a column that the row has not", w.name, f.Name())
			}
			kind := typeOf(f)
			if f.Optional() {
				kind += ", may be null"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name(), kind, say)
			delete(says, f.Name())
		}
		for name := range says {
			t.Errorf("%s.%s: the row has a column that the file has not", w.name, name)
		}
	}
	return b.String()
}

// described are the columns of a row, with what is said of them.
func described(row reflect.Type) map[string]string {
	says := map[string]string{}
	for _, f := range reflect.VisibleFields(row) {
		if name, _, _ := strings.Cut(f.Tag.Get("parquet"), ","); name != "" {
			says[name] = f.Tag.Get("desc")
		}
	}
	return says
}

// typeOf is a column's type as DuckDB and pandas call it.
func typeOf(f parquet.Field) string {
	if l := f.Type().LogicalType(); l != nil {
		name, _, _ := strings.Cut(f.Type().String(), "(")
		return map[string]string{"STRING": "text", "DATE": "date", "TIMESTAMP": "timestamp", "INT": "integer"}[name]
	}
	return map[parquet.Kind]string{parquet.Boolean: "boolean", parquet.Int32: "integer", parquet.Double: "double", parquet.ByteArray: "text"}[f.Type().Kind()]
}

// TestHorizons: what is shown of churn by horizon has its columns.
func TestHorizons(t *testing.T) {
	var e Ends
	for _, months := range churn.Horizons {
		lapsed, alive := e.by(months)
		if lapsed == nil || alive == nil {
			t.Errorf("%d months have no columns", months)
			continue
		}
		columns := described(reflect.TypeFor[Ends]())
		for _, name := range []string{fmt.Sprintf("lapsed_%dm", months), fmt.Sprintf("alive_%dm", months)} {
			if _, ok := columns[name]; !ok {
				t.Errorf("no column %s", name)
			}
		}
	}
}
