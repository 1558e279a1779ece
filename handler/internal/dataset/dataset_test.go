package dataset_test

import (
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	. "polis/handler/internal/dataset"
	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

func file(t testing.TB, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "table")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type line struct {
	Age    *float64 `parquet:"age,optional"`
	Region string   `parquet:"region"`
	Claims int32    `parquet:"claims"`
	New    bool     `parquet:"new"`
}

func asParquet(t *testing.T, lines []line) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[line](&b)
	if _, err := w.Write(lines); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const table = "age,region,claims,new\n31.5,Utrecht,0,1\n,Drenthe,2,0\n40,,1,1\n"

func number(v float64) *float64 { return &v }

// TestTheSameTable however it is written.
func TestTheSameTable(t *testing.T) {
	for name, body := range map[string][]byte{
		"CSV":        []byte(table),
		"CRLF":       []byte(strings.ReplaceAll(table, "\n", "\r\n")),
		"BOM":        []byte("\ufeff" + table),
		"semicolons": []byte(strings.ReplaceAll(table, ",", ";")),
		"tabs":       []byte(strings.ReplaceAll(table, ",", "\t")),
		"quoted":     []byte("\"age\",\"region\",claims,new\n\"31.5\", Utrecht ,0,1\nNA,Drenthe,2,0\n40,\"\",1,1\n"),
		"gzip":       zipped(t, table),
		"Parquet":    asParquet(t, []line{{number(31.5), "Utrecht", 0, true}, {nil, "Drenthe", 2, false}, {number(40), "", 1, true}}),
	} {
		got, err := Read(file(t, body), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		age, region, claims, isNew := got.Column("age"), got.Column("region"), got.Column("claims"), got.Column("new")
		if got.N != 3 || len(got.Columns) != 4 || len(got.Fingerprint) != 64 {
			t.Fatalf("%s: %d rows, %d columns", name, got.N, len(got.Columns))
		}
		if age.Num[0] != 31.5 || !math.IsNaN(age.Num[1]) || age.Num[2] != 40 || age.Missing != 1 || age.Distinct != 2 {
			t.Errorf("%s: age %+v", name, age)
		}
		if region.Kind != model.Category || !slices.Equal(region.Cat, []string{"Utrecht", "Drenthe", ""}) || region.Missing != 1 || region.Distinct != 2 {
			t.Errorf("%s: region %+v", name, region)
		}
		if !slices.Equal(claims.Num, []float64{0, 2, 1}) || !slices.Equal(isNew.Num, []float64{1, 0, 1}) {
			t.Errorf("%s: claims %v, new %v", name, claims.Num, isNew.Num)
		}
	}
}

// TestKinds: a column is names where one value is no number; where the kind is known, it
// is that or an error.
func TestKinds(t *testing.T) {
	path := file(t, []byte("a,b,c\n1,007,x\n2,8,y\n3,9x,z\n"))
	got, err := Read(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Column("a").Kind != model.Numeric || !slices.Equal(got.Column("b").Cat, []string{"007", "8", "9x"}) {
		t.Errorf("%+v", got.Columns)
	}
	got, err = Read(path, Options{Kinds: map[string]model.Kind{"a": model.Category}, Also: "nothing"})
	if err != nil || len(got.Columns) != 1 || !slices.Equal(got.Column("a").Cat, []string{"1", "2", "3"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = Read(path, Options{Skip: []string{"b"}}); err != nil || got.Column("b") != nil || len(got.Columns) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNoTable(t *testing.T) {
	whole := asParquet(t, []line{{number(1), "x", 0, true}})
	for name, tc := range map[string]struct {
		body []byte
		o    Options
		says string
	}{
		"empty":            {nil, Options{}, "empty"},
		"a column unnamed": {[]byte("a,,c\n"), Options{}, "column 2 has no name"},
		"a column twice":   {[]byte("a,b,a\n"), Options{}, "a is there twice"},
		"a row too short":  {[]byte("a,b\n1,2\n3\n"), Options{}, "line 3"},
		"a quote too many": {[]byte("a,b\n1,\"2\n"), Options{}, "line 2"},
		"names for numbers": {
			[]byte("a,b\n1,2\nsecret,2\n"), Options{Kinds: map[string]model.Kind{"a": model.Numeric}}, "line 3: the column a is to hold numbers",
		},
		"a column missing": {[]byte("a,b\n1,2\n"), Options{Kinds: map[string]model.Kind{"z": model.Numeric}}, "lacks z"},
		"half a gzip file": {zipped(t, table)[:20], Options{}, "table"},
		"half a Parquet":   {whole[:len(whole)/2], Options{}, "Parquet"},
	} {
		_, err := Read(file(t, tc.body), tc.o)
		if !fault.Is(err, fault.Malformed) && !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none"), Options{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("no file: %v", err)
	}
}

// FuzzRead holds any bytes to a table whose columns are all as long, or an error.
func FuzzRead(f *testing.F) {
	f.Add([]byte(table))
	f.Add([]byte("PAR1PAR1"))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := Read(file(t, body), Options{})
		if err != nil {
			return
		}
		for _, c := range got.Columns {
			if len(c.Num)+len(c.Cat) != got.N {
				t.Errorf("the column %q has %d values of %d", c.Name, len(c.Num)+len(c.Cat), got.N)
			}
		}
	})
}
