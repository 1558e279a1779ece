package dataset_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	. "polis/handler/internal/dataset"
	"polis/handler/internal/fault"
	"polis/handler/internal/model"
)

// TestKinds: a column is names where one value is no number, wherever that is; postcodes
// are names if they are all as long.
func TestKinds(t *testing.T) {
	for name, tc := range map[string]struct {
		column string
		values []string
		want   Column
	}{
		"numbers":                      {"a", []string{"1", "2.5", "", "-3e2", "+4", "1"}, Column{Distinct: 4, Missing: 1}},
		"whole numbers":                {"a", []string{"1", "2.0", "-3", "1e3", "NaN"}, Column{Distinct: 4, Missing: 1, Whole: true}},
		"spellings of one":             {"a", []string{"1", "1.0", "01", "1e0", "-0", "0"}, Column{Distinct: 2, Whole: true}},
		"infinite ones":                {"a", []string{"1e999", "-Inf", "3"}, Column{Distinct: 3, Whole: true}},
		"nothing":                      {"a", []string{"", "NA", "N/A", "null", "NULL", "None", "nAn"}, Column{Missing: 7}},
		"a name first":                 {"a", []string{"x", "1", "2"}, Column{Kind: model.Category, Distinct: 3}},
		"a name last":                  {"a", []string{"1", "2", "", "1", "3x"}, Column{Kind: model.Category, Distinct: 3, Missing: 1}},
		"one name":                     {"a", []string{"x", "x"}, Column{Kind: model.Category, Distinct: 1}},
		"a decimal comma":              {"a", []string{"1,5", "2,5"}, Column{Kind: model.Category, Distinct: 2}},
		"postcodes":                    {"postcode", []string{"1000", "9999", "", "0123"}, Column{Kind: model.Category, Postcode: true, Distinct: 3, Missing: 1}},
		"five digits":                  {"ZIP", []string{"10001", "01234"}, Column{Kind: model.Category, Postcode: true, Distinct: 2}},
		"of the policyholder":          {"holder.Postal-Code", []string{"1000"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"in French":                    {"code_postal", []string{"1000"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"in French, one word":          {"CodePostal", []string{"1000"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"in German":                    {"Postleitzahl", []string{"80331"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"of four digits":               {"postcode4", []string{"1000"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"of five digits":               {"zip_5", []string{"10001"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"of the driver":                {"driverZip", []string{"10001"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"of the holder in German":      {"VN-PLZ", []string{"80331"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"Dutch, four digits":           {"risk_pc4", []string{"1011"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"Dutch, six":                   {"PC6", []string{"1011"}, Column{Kind: model.Category, Postcode: true, Distinct: 1}},
		"computers":                    {"pc", []string{"1000"}, Column{Distinct: 1, Whole: true}},
		"files in zip":                 {"unzip", []string{"1000"}, Column{Distinct: 1, Whole: true}},
		"no name in letters":           {"42", []string{"1000"}, Column{Distinct: 1, Whole: true}},
		"of different lengths":         {"postcode", []string{"1000", "999"}, Column{Distinct: 2, Whole: true}},
		"too long for postcodes":       {"plz", []string{"100000", "999999"}, Column{Distinct: 2, Whole: true}},
		"with a point":                 {"pc4", []string{"1000", "1000.0"}, Column{Distinct: 1, Whole: true}},
		"with a sign":                  {"npa", []string{"-100", "-200"}, Column{Distinct: 2, Whole: true}},
		"a distance to something":      {"zip_distance", []string{"1000", "2000"}, Column{Distinct: 2, Whole: true}},
		"postcodes with letters":       {"postcode", []string{"1000", "1234 AB"}, Column{Kind: model.Category, Distinct: 2}},
		"postcodes that are missing":   {"postcode", []string{"", ""}, Column{Missing: 2}},
		"spaces around":                {"a", []string{" 1 ", "\t2", "\u00a03"}, Column{Distinct: 3, Whole: true}},
		"what only looks like nothing": {"a", []string{"-", "."}, Column{Kind: model.Category, Distinct: 2}},
	} {
		var b strings.Builder
		w := csv.NewWriter(&b)
		_ = w.Write([]string{tc.column, "other"}) // into memory
		for _, v := range tc.values {
			_ = w.Write([]string{v, "0"})
		}
		w.Flush()
		f := open(t, file(t, []byte(b.String())), Options{})
		c, want := *f.Column(tc.column), tc.want
		if c.Kind != want.Kind || c.Distinct != want.Distinct || c.Missing != want.Missing || c.Whole != want.Whole || c.Postcode != want.Postcode {
			t.Errorf("%s: %+v, want %+v", name, c, want)
		}
		if c.Kind == model.Category {
			for i, row := range all(t, f, tc.column) {
				if v := tc.values[i]; row.Cat[0] != v {
					t.Errorf("%s: %q became %q", name, v, row.Cat[0])
				}
			}
		}
	}
}

// TestNamesInWindows1252 are read as what they are, in the header too.
func TestNamesInWindows1252(t *testing.T) {
	f := open(t, file(t, []byte("r\xe9gion,n\nLi\xe8ge,1\nGen\xe8ve,2\nLiège,3\n")), Options{})
	rows := all(t, f, "région")
	if rows[0].Cat[0] != "Liège" || rows[1].Cat[0] != "Genève" || rows[2].Cat[0] != "Liège" {
		t.Errorf("%v", rows)
	}
}

func TestNoTable(t *testing.T) {
	whole, short := asParquet(t, lines()[:10]), zipped(t, []byte("a,b\n1,2\n"))
	type nested struct {
		A []int32 `parquet:"a,list"`
	}
	for name, tc := range map[string]struct {
		body []byte
		o    Options
		says string
	}{
		"empty":                     {nil, Options{}, "empty"},
		"a BOM and no more":         {[]byte("\ufeff"), Options{}, "empty"},
		"a column unnamed":          {[]byte("a,,c\n"), Options{}, "column 2 has no name"},
		"a column twice":            {[]byte("a,b, a\n"), Options{}, "a is there twice"},
		"a row too short":           {[]byte("a,b\n1,2\n3\n"), Options{}, "line 3: 1 fields, where the header has 2"},
		"a row too long":            {[]byte("a,b\n\n\"1\n\",2\n3,4,5\n"), Options{}, "line 5: 3 fields"},
		"a quote too many":          {[]byte("a,b\n1,\"2\n\n"), Options{}, "line 2"},
		"a quote in a field":        {[]byte("a,b\n1,2\"\n"), Options{}, "line 2: a quote"},
		"something after a quote":   {[]byte("a,b\n1,\"secret\"2\n"), Options{}, "line 2"},
		"a quote in the header":     {[]byte("a,\"b\n"), Options{}, "line 1"},
		"a record without end":      {append([]byte("a,b\n1,\""), bytes.Repeat([]byte("secret\n"), 3<<20)...), Options{}, "line 2: a record of more than"},
		"a line without end":        {append([]byte("a,b\n"), bytes.Repeat([]byte("secret"), 3<<20)...), Options{}, "line 2: a record of more than"},
		"UTF-16 without its mark":   {[]byte("a\x00,\x00b\x00\n\x001\x00,\x002\x00\n\x00"), Options{}, "UTF-16 without its mark"},
		"a name in UTF-16":          {utf16Of(t, "a,b\n1,2\nsecret,2\n", true), Options{Kinds: map[string]model.Kind{"a": model.Numeric}}, "line 3: the column a is to hold numbers"},
		"CR alone":                  {[]byte("a,b\r1,2\r3,4\r"), Options{}, "CR alone"},
		"names for numbers":         {[]byte("a,b\n1,2\nsecret,2\n"), Options{Kinds: map[string]model.Kind{"a": model.Numeric}}, "line 3: the column a is to hold numbers"},
		"names for numbers, quoted": {[]byte("a,b\n\"1\n\",2\nsecret,2\n"), Options{Kinds: map[string]model.Kind{"a": model.Numeric}}, "line 4: the column a"},
		"names in Parquet":          {whole, Options{Kinds: map[string]model.Kind{"region": model.Numeric}}, "row 1: the column region is to hold numbers"},
		"a column missing":          {[]byte("a,b\n1,2\n"), Options{Kinds: map[string]model.Kind{"z": model.Numeric}}, "lacks z"},
		"half a gzip file":          {zipped(t, text(t, lines(), ','))[:2000], Options{}, "reading the table after line"},
		"a damaged gzip file":       {append(short[:len(short)-8], 1, 2, 3, 4, 8, 0, 0, 0), Options{}, "reading the table after line 2"},
		"no gzip file":              {[]byte{0x1f, 0x8b, 1, 1, 1}, Options{}, "not a gzip file"},
		"half a Parquet":            {whole[:len(whole)/2], Options{}, "Parquet"},
		"a nested Parquet":          {asParquet(t, []nested{{[]int32{1}}}), Options{}, "the column a is nested"},
	} {
		_, err := Open(t.Context(), file(t, tc.body), tc.o)
		if !fault.Is(err, fault.Malformed) && !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "none"), Options{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("no file: %v", err)
	}
}

// TestDamagedParquet is a table or an error wherever a byte of the file is another.
func TestDamagedParquet(t *testing.T) {
	whole := asParquet(t, lines()[:40])
	path := file(t, whole)
	for at := 4; at < len(whole); at += 3 {
		damaged := slices.Clone(whole)
		damaged[at] ^= 0x55
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		read(t, path)
	}
}

// TestParquetNumbers are what they stand for.
func TestParquetNumbers(t *testing.T) {
	type stand struct {
		Day    int32     `parquet:"day,date"`
		Time   time.Time `parquet:"time,timestamp(microsecond)"`
		Amount int32     `parquet:"amount,decimal(2:9)"`
		Sum    [16]byte  `parquet:"sum,decimal(3:38)"`
		Key    int64     `parquet:"key"`
		Big    uint64    `parquet:"big"`
		Half   float32   `parquet:"half"`
	}
	minus := [16]byte(bytes.Repeat([]byte{0xff}, 16)) // -1
	path := file(t, asParquet(t, []stand{
		{Day: 19813, Time: time.Date(2024, 3, 31, 12, 0, 0, 0, time.UTC), Amount: -12345, Sum: [16]byte{14: 1, 15: 2}, Key: 1<<53 + 1, Big: 1 << 63, Half: 0.5},
		{Day: 0, Time: time.Unix(0, 0), Amount: 5, Sum: minus, Key: -7, Big: 3, Half: 1e20},
	}))
	got := all(t, open(t, path, Options{}), "day", "time", "amount", "sum", "key", "big", "half")
	want := [][]float64{{19813, 19813.5, -123.45, 0.258, 1 << 53, 1 << 63, 0.5}, {0, 0, 0.05, -0.001, -7, 3, float64(float32(1e20))}}
	for i := range want {
		if !slices.Equal(got[i].Num, want[i]) {
			t.Errorf("row %d: %v, want %v", i, got[i].Num, want[i])
		}
	}
	keys := all(t, open(t, path, Options{Kinds: map[string]model.Kind{"key": model.Category, "half": model.Category, "amount": model.Category}}), "key", "half", "amount")
	if !slices.Equal(keys[0].Cat, []string{"9007199254740993", "0.5", "-123.45"}) || keys[1].Cat[0] != "-7" {
		t.Errorf("%v", keys)
	}
}

// TestRecords are those of encoding/csv.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a;b\r\n\"x;\"\"y\";2\r\n", "\n\n\"\n\"\r\n", "a\"b", "\"a\"b", "\"", "a,b\r", "a\r\r\n", ",,\n,\n", "\"a\"\r"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, semicolon bool) {
		comma := ','
		if semicolon {
			comma = ';'
		}
		r := csv.NewReader(strings.NewReader(s))
		r.Comma = comma
		want, wantErr := r.ReadAll()
		got, err := Records(s, byte(comma))
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%q: %v, encoding/csv says %v", s, err, wantErr)
		}
		if err == nil && fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q: %q, encoding/csv reads %q", s, got, want)
		}
	})
}

// FuzzNumber holds numbers to strconv's, to the bit.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1", "-0", "12.345", ".5", "5.", ".", "-", "", "9007199254740993", "123456789012345678901", "0.1234567890123456789", "1e5", "+1", "0x1p-2", "1_0", "Inf", "1..2", "0000000000000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { sameNumber(t, s) })
}

func sameNumber(t interface {
	Errorf(format string, args ...any)
}, s string,
) {
	want, err := strconv.ParseFloat(s, 64)
	ok := err == nil || strings.Contains(err.Error(), strconv.ErrRange.Error())
	got, gotOK := Number(s)
	if gotOK != ok || ok && math.Float64bits(got) != math.Float64bits(want) {
		t.Errorf("%q: %v, %v; strconv says %v, %v", s, got, gotOK, want, err)
	}
}

// TestNumbersAsWritten in tables are strconv's too.
func TestNumbersAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v")
		sameNumber(t, strconv.FormatFloat(v, 'f', rapid.IntRange(-1, 20).Draw(t, "decimals"), 64))
		sameNumber(t, strconv.FormatFloat(v, 'g', -1, 64))
		sameNumber(t, rapid.StringMatching(`-?[0-9]{0,20}(\.[0-9]{0,20})?`).Draw(t, "digits"))
	})
}

// TestDistinct values are counted exactly up to 4,096, and estimated beyond.
func TestDistinct(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100, 4095, 4096, 5000, 20_000, 300_000} {
		exact := func(got int) bool { return got == n || n > 4096 && math.Abs(float64(got)/float64(n)-1) < 0.08 }
		r := rand.New(rand.NewPCG(1, uint64(n)))
		if got := DistinctNumbers(func(yield func(float64) bool) {
			for i := range 2 * n {
				yield(float64(i%n) / 4)
			}
		}); !exact(got) {
			t.Errorf("%d numbers of %d", got, n)
		}
		if got := DistinctTexts(func(yield func(string) bool) {
			for i := range n {
				yield(fmt.Sprintf("K%07d", i))
			}
			for range n {
				yield(fmt.Sprintf("K%07d", r.IntN(n)))
			}
		}); !exact(got) {
			t.Errorf("%d texts of %d", got, n)
		}
	}
}

// read goes through a table twice, if it is one.
func read(t testing.TB, path string) {
	f, err := Open(t.Context(), path, Options{})
	if err != nil {
		return
	}
	defer f.Close()
	var columns []string
	for _, c := range f.Columns {
		columns = append(columns, c.Name)
	}
	n, missing := 0, make([]int, len(columns))
	if err := f.Each(t.Context(), columns, func(row model.Row) error {
		n++
		for i, c := range f.Columns {
			if c.Kind == model.Category && row.Cat[i] == "" || c.Kind == model.Numeric && math.IsNaN(row.Num[i]) {
				missing[i]++
			}
		}
		return nil
	}); err != nil {
		t.Errorf("the second pass: %v", err)
	}
	for i, c := range f.Columns {
		if n != f.N || missing[i] != c.Missing {
			t.Errorf("%d rows of %d, %d of %d missing in %q", n, f.N, missing[i], c.Missing, c.Name)
		}
	}
}

// FuzzTable holds any bytes to a table that is the same in every pass, or an error.
func FuzzTable(f *testing.F) {
	f.Add(text(f, lines()[:5], ','))
	f.Add(asParquet(f, lines()[:5]))
	f.Add(zipped(f, []byte("a;b\n1;x\n")))
	f.Add([]byte("PAR1PAR1"))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, body []byte) { read(t, file(t, body)) })
}

// TestPandas: what pandas writes as Parquet and as CSV is the same table.
func TestPandas(t *testing.T) {
	asCSV := open(t, filepath.Join("testdata", "pandas.csv"), Options{})
	asParquet := open(t, filepath.Join("testdata", "pandas.parquet"), Options{})
	var columns []string
	for i, c := range asCSV.Columns {
		if p := asParquet.Columns[i]; c != p {
			t.Errorf("%#v, in Parquet %#v", c, p)
		}
		columns = append(columns, c.Name)
	}
	a, b := all(t, asCSV, columns...), all(t, asParquet, columns...)
	if len(a) != 300 || len(b) != 300 {
		t.Fatalf("%d and %d rows", len(a), len(b))
	}
	for i := range a {
		a[i].Num[5] = float64(float32(a[i].Num[5])) // it is no more in Parquet
		if !same(a[i:i+1], b[i:i+1]) {
			t.Fatalf("row %d: %v, in Parquet %v", i, a[i], b[i])
		}
	}
}

// TestSaysWhichRow is wrong: by file and line where it is text, whatever is quoted, blank or
// broken before it, and by file and row in Parquet.
func TestSaysWhichRow(t *testing.T) {
	type plain struct {
		A float64 `parquet:"a"`
	}
	for name, tc := range map[string]struct {
		body []byte
		says string
	}{
		"plain":          {[]byte("a\n1\n2\n3\n"), "line 4: it"},
		"quoted breaks":  {[]byte("a,b\n1,\"x\ny\"\n2,\n3,\"z\n\n\"\n"), "line 5: it"},
		"blank lines":    {[]byte("a\n\n1\n\n\n2\n3\n"), "line 7: it"},
		"CRLF":           {[]byte("a\r\n1\r\n\r\n2\r\n3"), "line 5: it"},
		"gzip":           {zipped(t, []byte("a\n1\n2\n3\n")), "line 4: it"},
		"Parquet":        {asParquet(t, []plain{{1}, {2}, {3}}), "row 3: it"},
		"breaks in head": {[]byte("a,\"b\nc\"\n1,\n2,\n3,\n"), "line 5: it"},
	} {
		path := file(t, tc.body)
		f := open(t, path, Options{})
		err := f.Each(t.Context(), []string{"a"}, func(row model.Row) error {
			if row.Num[0] == 3 {
				return fault.New(fault.Invalid, "it is wrong")
			}
			return nil
		})
		if want := filepath.Base(path) + ": " + tc.says + " is wrong"; !fault.Is(err, fault.Invalid) || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// TestNestedColumns of Parquet can be left out, and the columns behind them are still theirs.
func TestNestedColumns(t *testing.T) {
	type item struct {
		Name  string `parquet:"name"`
		Price int32  `parquet:"price"`
	}
	type row struct {
		A     float64 `parquet:"a"`
		Items []item  `parquet:"items,list"`
		B     float64 `parquet:"b"`
		Tags  []int32 `parquet:"tags"`
		C     string  `parquet:"c"`
	}
	path := file(t, asParquet(t, []row{
		{1, []item{{"x", 1}, {"y", 2}}, 10, []int32{7, 8}, "u"},
		{2, nil, 20, nil, "v"},
	}))
	check := func(name string, f *File) {
		t.Helper()
		got := all(t, f, "a", "b", "c")
		if len(got) != 2 || got[0].Num[0] != 1 || got[0].Num[1] != 10 || got[0].Cat[2] != "u" || got[1].Num[1] != 20 || got[1].Cat[2] != "v" {
			t.Errorf("%s: %v", name, got)
		}
	}
	check("left out", open(t, path, Options{Skip: []string{"items", "tags"}}))
	check("not asked for", open(t, path, Options{Known: true, Kinds: map[string]model.Kind{"a": model.Numeric, "b": model.Numeric, "c": model.Category}}))
	for name, o := range map[string]Options{
		"items": {Skip: []string{"tags"}},
		"tags":  {Skip: []string{"items"}},
		"a":     {Known: true, Kinds: map[string]model.Kind{"a": model.Numeric}, Also: "items"},
	} {
		want := name
		if name == "a" {
			want = "items"
		}
		if _, err := Open(t.Context(), path, o); !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), "the column "+want+" is nested") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func utf16Of(t testing.TB, s string, big bool) []byte {
	t.Helper()
	order := unicode.LittleEndian
	if big {
		order = unicode.BigEndian
	}
	body, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestUTF16 is read, as spreadsheets save it: of either order, with tabs, compressed too.
func TestUTF16(t *testing.T) {
	const table = "région\tn\r\nLiège\t1\r\n\"名,\n🚗\"\t2.5\r\n"
	for name, body := range map[string][]byte{
		"little": utf16Of(t, table, false), "big": utf16Of(t, table, true), "gzip": zipped(t, utf16Of(t, table, false)),
	} {
		rows := all(t, open(t, file(t, body), Options{}), "région", "n")
		if len(rows) != 2 || rows[0].Cat[0] != "Liège" || rows[1].Cat[0] != "名,\n🚗" || rows[1].Num[1] != 2.5 {
			t.Errorf("%s: %v", name, rows)
		}
	}
}

// TestDecimalComma: numbers are read in the notation that is said, and where it is the other
// one, a column of names says how many of its values look like that.
func TestDecimalComma(t *testing.T) {
	nan := math.NaN()
	for name, tc := range map[string]struct {
		values []string
		comma  bool
		want   []float64 // nil: names
		hint   string
	}{
		"commas":                   {[]string{"1,5", "-2,25", "", "3", "+4,0"}, true, []float64{1.5, -2.25, nan, 3, 4}, ""},
		"with thousands":           {[]string{"1.234,5", "1.234.567", "12.345", "0,5"}, true, []float64{1234.5, 1234567, 12345, 0.5}, ""},
		"infinite, by a power":     {[]string{"1e999", "2e3"}, true, []float64{math.Inf(1), 2000}, ""},
		"a point":                  {[]string{"1.5", "2,5"}, true, nil, "1 of its values look like numbers with a decimal point"},
		"two commas":               {[]string{"1,234,567", "2"}, true, nil, ""},
		"groups of two":            {[]string{"1.23.456", "12.34,5", ",5", "5,", "1..5", "-", "1.2345", "1234.567"}, true, nil, "2 of its values look like numbers with a decimal point"},
		"commas that are not said": {[]string{"1,5", "x", "2,25", "1.234,5", "7"}, false, nil, "3 of its values look like numbers with a decimal comma"},
		"thousands":                {[]string{"1,234,567", "1,234.50", "12"}, false, nil, "2 of its values look like numbers with commas between thousands"},
		"points":                   {[]string{"1.5", "2"}, false, []float64{1.5, 2}, ""},
		"names":                    {[]string{"a", "b,c", "1,2,3", "1-2,5"}, false, nil, ""},
	} {
		var b strings.Builder
		w := csv.NewWriter(&b)
		_ = w.Write([]string{"a", "other"}) // into memory
		for _, v := range tc.values {
			_ = w.Write([]string{v, "0"})
		}
		w.Flush()
		path := file(t, []byte(b.String()))
		f := open(t, path, Options{Comma: tc.comma})
		c := f.Column("a")
		if c.Kind == model.Category != (tc.want == nil) || c.Hint != tc.hint || tc.hint != "" && !strings.HasSuffix(c.String(), "; "+tc.hint) {
			t.Errorf("%s: %v", name, c)
			continue
		}
		known := open(t, path, Options{Comma: tc.comma, Known: true, Kinds: map[string]model.Kind{"a": c.Kind}})
		for _, f := range []*File{f, known} {
			for i, row := range all(t, f, "a") {
				if tc.want == nil && row.Cat[0] != tc.values[i] || tc.want != nil && fmt.Sprint(row.Num[0]) != fmt.Sprint(tc.want[i]) {
					t.Errorf("%s: %q became %v, %q", name, tc.values[i], row.Num[0], row.Cat[0])
				}
			}
		}
	}
	f := open(t, file(t, []byte("a\n\"1,5\"\n")), Options{Kinds: map[string]model.Kind{"a": model.Category}})
	if c := f.Column("a"); c.Hint != "" {
		t.Errorf("a column that is said to hold names: %v", c)
	}
}
