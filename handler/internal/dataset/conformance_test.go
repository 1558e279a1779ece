package dataset_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	. "polis/handler/internal/dataset"
	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// line is a row of the table that is written in every way.
type line struct {
	Age      *float64 `parquet:"age,optional"`
	Region   string   `parquet:"region,dict"`
	Claims   int32    `parquet:"claims"`
	New      bool     `parquet:"new"`
	Postcode int64    `parquet:"Post_Code"`
	Code     string   `parquet:"code"`
	Tariff   float64  `parquet:"tariff"`
}

var names = []string{"age", "region", "claims", "new", "Post_Code", "code", "tariff"}

// lines are enough for several pages, buffers and looks at the context.
func lines() []line {
	out := make([]line, 3000)
	for i := range out {
		age := float64(i%50) + 18.5
		out[i] = line{
			Age: &age, Region: []string{"Utrecht", "Drenthe", "", "Zuid-Holland; Delft, \"oost\""}[i%4],
			Claims: int32(i % 7 / 3), New: i%3 == 0, Postcode: int64(1000 + i%90), Code: []string{"007", "8", "9x"}[i%3], Tariff: 2,
		}
		if i%10 == 1 {
			out[i].Age = nil
		}
	}
	return out
}

// want is the table as rows: the numbers and names of each line.
func want(lines []line) (rows []model.Row) {
	for _, l := range lines {
		age, isNew := math.NaN(), 0.0
		if l.Age != nil {
			age = *l.Age
		}
		if l.New {
			isNew = 1
		}
		rows = append(rows, model.Row{
			Num: []float64{age, math.NaN(), float64(l.Claims), isNew, math.NaN(), math.NaN(), l.Tariff},
			Cat: []string{"", l.Region, "", "", strconv.FormatInt(l.Postcode, 10), l.Code, ""},
		})
	}
	return rows
}

// text writes the lines as CSV.
func text(t testing.TB, lines []line, comma rune) []byte {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = comma
	records := [][]string{names}
	for i, row := range want(lines) {
		record := make([]string, len(names))
		for k := range names {
			record[k] = row.Cat[k]
			if v := row.Num[k]; !math.IsNaN(v) {
				record[k] = strconv.FormatFloat(v, 'f', -1, 64)
			}
			if i%20 == 11 && k == 0 {
				record[k] = []string{"NA", "nan", "null"}[i/20%3]
			}
		}
		records = append(records, record)
	}
	if err := w.WriteAll(records); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// quoted writes them with quotes around everything that must not have any, and spaces.
func quoted(t testing.TB, lines []line) []byte {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(text(t, lines, ','))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, record := range all {
		for i, s := range record {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`"` + " " + strings.ReplaceAll(s, `"`, `""`) + "\n" + `"`)
		}
		b.WriteString("\n")
	}
	return []byte(b.String())
}

func zipped(t testing.TB, texts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&b)
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func asParquet[T any](t testing.TB, lines []T, o ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, o...)
	if _, err := w.Write(lines); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wide is the same with other types of numbers.
type wide struct {
	Age      *float32 `parquet:"age,optional,split"`
	Region   *string  `parquet:"region,optional"`
	Claims   uint64   `parquet:"claims"`
	New      *int32   `parquet:"new,optional"`
	Postcode uint32   `parquet:"Post_Code"`
	Code     string   `parquet:"code,delta"`
	Tariff   int64    `parquet:"tariff,decimal(2:12)"`
}

func widely(lines []line) (out []wide) {
	for _, l := range lines {
		w := wide{Region: &l.Region, Claims: uint64(l.Claims), New: new(int32), Postcode: uint32(l.Postcode), Code: l.Code, Tariff: int64(100 * l.Tariff)}
		if l.Region == "" {
			w.Region = nil
		}
		if l.New {
			*w.New = 1
		}
		if l.Age != nil {
			age := float32(*l.Age)
			w.Age = &age
		}
		out = append(out, w)
	}
	return out
}

// ways are all the ways in which a table can be written.
var ways = map[string]func(t testing.TB, lines []line) []byte{
	"CSV":        func(t testing.TB, l []line) []byte { return text(t, l, ',') },
	"semicolons": func(t testing.TB, l []line) []byte { return text(t, l, ';') },
	"tabs":       func(t testing.TB, l []line) []byte { return text(t, l, '\t') },
	"CRLF": func(t testing.TB, l []line) []byte {
		return bytes.ReplaceAll(text(t, l, ','), []byte("\n"), []byte("\r\n"))
	},
	"BOM": func(t testing.TB, l []line) []byte { return append([]byte("\ufeff"), text(t, l, ',')...) },
	"blank lines": func(t testing.TB, l []line) []byte {
		return bytes.ReplaceAll(text(t, l, ','), []byte("\n"), []byte("\n\r\n\n"))
	},
	"no last line break": func(t testing.TB, l []line) []byte { return bytes.TrimSpace(text(t, l, ';')) },
	"quoted":             quoted,
	"gzip":               func(t testing.TB, l []line) []byte { return zipped(t, text(t, l, ';')) },
	"gzip in parts": func(t testing.TB, l []line) []byte {
		whole := append([]byte("\ufeff"), text(t, l, ',')...)
		return zipped(t, whole[:100], whole[100:])
	},
	"Parquet": func(t testing.TB, l []line) []byte { return asParquet(t, l) },
	"Parquet in small pages and groups": func(t testing.TB, l []line) []byte {
		return asParquet(t, l, parquet.PageBufferSize(500), parquet.MaxRowsPerRowGroup(700), parquet.DataPageVersion(1))
	},
	"Parquet, compressed": func(t testing.TB, l []line) []byte {
		return asParquet(t, l, parquet.Compression(&parquet.Snappy), parquet.DataPageVersion(2))
	},
	"Parquet of other types": func(t testing.TB, l []line) []byte {
		return asParquet(t, widely(l), parquet.Compression(&parquet.Zstd))
	},
}

// inEveryWay runs a check on the table of lines in every way of writing it.
func inEveryWay(t *testing.T, check func(t *testing.T, path string)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) { check(t, file(t, way(t, lines()))) })
	}
}

func file(t testing.TB, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "table")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string, o Options) *File {
	t.Helper()
	f, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// all keeps what Each gives.
func all(t testing.TB, f *File, columns ...string) (rows []model.Row) {
	t.Helper()
	if err := f.Each(t.Context(), columns, func(row model.Row) error {
		rows = append(rows, model.Row{Num: append([]float64(nil), row.Num...), Cat: append([]string(nil), row.Cat...)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

// same compares rows, with NaN equal to itself.
func same(a, b []model.Row) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// TestFindsOut what the columns are.
func TestFindsOut(t *testing.T) {
	expected := []Column{
		{Name: "age", Missing: 300, Distinct: 45},
		{Name: "region", Kind: model.Category, Missing: 750, Distinct: 3},
		{Name: "claims", Distinct: 3, Whole: true},
		{Name: "new", Distinct: 2, Whole: true},
		{Name: "Post_Code", Kind: model.Category, Distinct: 90, Postcode: true},
		{Name: "code", Kind: model.Category, Distinct: 3},
		{Name: "tariff", Distinct: 1, Whole: true},
	}
	inEveryWay(t, func(t *testing.T, path string) {
		f := open(t, path, Options{})
		if f.N != 3000 || len(f.Fingerprint) != 64 || len(f.Columns) != len(expected) {
			t.Fatalf("%d rows, %d columns, fingerprint %s", f.N, len(f.Columns), f.Fingerprint)
		}
		for i, c := range f.Columns {
			w := expected[i]
			if c.Name != w.Name || c.Kind != w.Kind || c.Missing != w.Missing || c.Distinct != w.Distinct || c.Whole != w.Whole || c.Postcode != w.Postcode {
				t.Errorf("%+v, want %+v", c, w)
			}
		}
	})
}

// TestGivesTheRows in their order, as often as asked, with the columns asked for.
func TestGivesTheRows(t *testing.T) {
	rows := want(lines())
	inEveryWay(t, func(t *testing.T, path string) {
		f := open(t, path, Options{})
		for range 2 {
			if got := all(t, f, names...); !same(got, rows) {
				t.Errorf("%d rows, the first %v and the last %v", len(got), got[0], got[len(got)-1])
			}
		}
		for i, got := range all(t, f, "code", "", "claims", "code") {
			w := rows[i]
			if got.Cat[0] != w.Cat[5] || got.Cat[3] != w.Cat[5] || got.Num[2] != w.Num[2] || !math.IsNaN(got.Num[1]) || got.Cat[1] != "" {
				t.Fatalf("row %d: %v", i, got)
			}
		}
		if got := all(t, f); len(got) != 3000 {
			t.Errorf("without columns there are %d rows", len(got))
		}
		if err := f.Each(t.Context(), []string{"nothing"}, nil); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "lacks nothing") {
			t.Errorf("%v", err)
		}
	})
}

// TestKindsThatAreKnown are what a column is read as; what is to be left out is.
func TestKindsThatAreKnown(t *testing.T) {
	rows := want(lines())
	inEveryWay(t, func(t *testing.T, path string) {
		f := open(t, path, Options{
			Skip:  []string{"age", "region"},
			Kinds: map[string]model.Kind{"claims": model.Category, "Post_Code": model.Numeric, "tariff": model.Category},
		})
		claims, post := f.Column("claims"), f.Column("Post_Code")
		if len(f.Columns) != 5 || f.Column("age") != nil || claims.Kind != model.Category || claims.Distinct != 3 || post.Kind != model.Numeric || !post.Whole || post.Postcode {
			t.Errorf("%+v", f.Columns)
		}
		for i, got := range all(t, f, "claims", "Post_Code", "tariff", "new") {
			if got.Cat[0] != strconv.Itoa(int(rows[i].Num[2])) || strconv.Itoa(int(got.Num[1])) != rows[i].Cat[4] || got.Cat[2] != "2" || got.Num[3] != rows[i].Num[3] {
				t.Fatalf("row %d: %v", i, got)
			}
		}

		f = open(t, path, Options{Known: true, Kinds: map[string]model.Kind{"claims": model.Category}, Also: "age"})
		if len(f.Columns) != 2 || f.N != 0 || f.Fingerprint != "" || f.Column("age").Kind != model.Numeric {
			t.Errorf("%+v", f)
		}
		if got := all(t, f, "claims", "age"); len(got) != 3000 || f.N != 3000 || got[1].Cat[0] != "0" || got[0].Num[1] != 18.5 || !math.IsNaN(got[1].Num[1]) {
			t.Errorf("%d rows of %d", len(got), f.N)
		}

		f = open(t, path, Options{Known: true, Kinds: map[string]model.Kind{"code": model.Numeric}, Also: "nothing"})
		err := f.Each(t.Context(), []string{"code"}, func(model.Row) error { return nil })
		if !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), "the column code is to hold numbers") || strings.Contains(err.Error(), "9x") {
			t.Errorf("%v", err)
		}
		for _, o := range []Options{{Kinds: map[string]model.Kind{"zz": 0, "aa": 0}}, {Skip: []string{"aa", "zz"}}, {Known: true, Kinds: map[string]model.Kind{"zz": 0, "aa": 0}}} {
			if _, err := Open(t.Context(), path, o); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "lacks aa, zz") {
				t.Errorf("%+v: %v", o, err)
			}
		}
	})
}

// TestStops when do fails, or the context ends.
func TestStops(t *testing.T) {
	inEveryWay(t, func(t *testing.T, path string) {
		f := open(t, path, Options{})
		n, enough := 0, errors.New("enough")
		if err := f.Each(t.Context(), names, func(model.Row) error {
			if n++; n == 5 {
				return enough
			}
			return nil
		}); !errors.Is(err, enough) || n != 5 {
			t.Errorf("%v after %d rows", err, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		n = 0
		err := f.Each(ctx, names, func(model.Row) error {
			n++
			cancel()
			return nil
		})
		if !fault.Is(err, fault.Cancelled) || n >= 3000 {
			t.Errorf("%v after %d rows", err, n)
		}
		if _, err := Open(ctx, path, Options{}); !fault.Is(err, fault.Cancelled) {
			t.Errorf("opened: %v", err)
		}
		if got := all(t, f, names...); len(got) != 3000 {
			t.Errorf("then %d rows", len(got))
		}
	})
}

// TestChangesBetweenPasses are noticed: a longer file, another of the same length, and one
// whose number of rows alone gives it away.
func TestChangesBetweenPasses(t *testing.T) {
	each := func(t *testing.T, f *File) error {
		return f.Each(t.Context(), names, func(model.Row) error { return nil })
	}
	changed := func(t *testing.T, f *File) {
		t.Helper()
		if err := each(t, f); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "changed") {
			t.Errorf("%v", err)
		}
	}
	inEveryWay(t, func(t *testing.T, path string) {
		f := open(t, path, Options{})
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		changed(t, f)
		f = open(t, path, Options{})
		if err := os.Truncate(path, 1000); err != nil {
			t.Fatal(err)
		}
		changed(t, f)
	})
	path := file(t, []byte("a\n1\n2\n"))
	f := open(t, path, Options{})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("a\n123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := f.Each(t.Context(), []string{"a"}, func(model.Row) error { return nil }); !fault.Is(err, fault.Conflict) {
		t.Errorf("fewer rows: %v", err)
	}
}

// TestRowsCostNothing: what is allocated does not grow with the rows of CSV, whatever is
// in them.
func TestRowsCostNothing(t *testing.T) {
	for name, way := range ways {
		if strings.HasPrefix(name, "Parquet") || strings.HasPrefix(name, "gzip") {
			continue // their libraries allocate by the page and the block
		}
		cost := func(n int) float64 {
			f := open(t, file(t, way(t, lines()[:n])), Options{})
			return testing.AllocsPerRun(1, func() {
				if err := f.Each(t.Context(), names, func(model.Row) error { return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		if few, many := cost(300), cost(3000); many > few+10 {
			t.Errorf("%s: %v allocations for 300 rows, %v for 3000", name, few, many)
		}
	}
}
