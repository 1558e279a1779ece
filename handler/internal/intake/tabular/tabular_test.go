package tabular_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	. "polis/handler/internal/intake/tabular"
)

// frames reads all records: their line, and their text or what is wrong with them.
func frames(t testing.TB, r io.Reader, format Format, columns int) []string {
	t.Helper()
	f := NewFramer(r, format, ',', ASCII)
	f.Columns = columns
	var (
		b    Block
		list []string
	)
	for {
		err := f.Next(&b)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, fr := range b.Frames {
			text := string(b.Data[fr.From:fr.To])
			if fr.Fault != nil {
				text = "! " + fr.Fault.Error()
			}
			list = append(list, fmt.Sprintf("%d %s", fr.Line, text))
		}
	}
}

func TestFrames(t *testing.T) {
	open := "! " + ErrQuote.Error()
	for _, c := range []struct {
		name, in string
		columns  int
		want     []string
	}{
		{"lines", "a,b\nc,d\n", 2, []string{"1 a,b", "2 c,d"}},
		{"no last line break", "a,b\nc,d", 2, []string{"1 a,b", "2 c,d"}},
		{"Windows line breaks", "a,b\r\nc,d\r\n", 2, []string{"1 a,b", "2 c,d"}},
		{"empty lines", "\na,b\n\n  \r\nc,d\n\n", 2, []string{"2 a,b", "5 c,d"}},
		{"a line break in quotes", "a,\"b\nc\"\nd,e\n", 2, []string{"1 a,\"b\nc\"", "3 d,e"}},
		{"a quote left open", "a,\"b\nc,d\ne,f\n", 2, []string{"1 " + open, "2 c,d", "3 e,f"}},
		{"one that another line closes by chance", "a,\"b\nc,d\ne,\"f\"\n", 2, []string{"1 " + open, "2 c,d", "3 e,\"f\""}},
		{"one that makes a record of another length", "a,\"b\nc\",d\ne,f\n", 2, []string{"1 " + open, "2 " + open, "3 e,f"}},
		{"a quote in a field", "a,5\" x\nc,d\n", 2, []string{"1 " + open, "2 c,d"}},
		{"left open at the end", "a,b\nc,\"d", 2, []string{"1 a,b", "2 " + open}},
		{"nothing", "", 2, nil},
		{"only line breaks", "\n\r\n", 2, nil},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in))} {
			if diff := cmp.Diff(c.want, frames(t, r, CSV, c.columns)); diff != "" {
				t.Errorf("%s:\n%s", c.name, diff)
			}
		}
	}
}

// Records keep their lines over the borders of blocks, and a line that is too long
// costs itself and nothing after it.
func TestManyBlocks(t *testing.T) {
	var in strings.Builder
	var want []string
	line := 1
	add := func(text, seen string) {
		in.WriteString(text + "\n")
		want = append(want, fmt.Sprintf("%d %s", line, seen))
		line += 1 + strings.Count(text, "\n")
	}
	for i := range 40000 {
		plain := fmt.Sprintf("row %d,%s", i, strings.Repeat("x", i%97))
		add(plain, plain)
		if i%7000 == 3 {
			quoted := fmt.Sprintf("\"row\n%d\",\"%s\"", i, strings.Repeat("y\n", 50))
			add(quoted, quoted)
		}
		if i%15000 == 7 {
			add(strings.Repeat("z", MaxRecord+1+i), "! "+ErrTooLong.Error())
		}
		if i%9000 == 11 {
			add("a,\"left open", "! "+ErrQuote.Error())
		}
	}
	got := frames(t, strings.NewReader(in.String()), CSV, 2)
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("record %d is %.80q, want %.80q", i, got[i], want[i])
		}
	}
}

func TestTooLongAtTheEnd(t *testing.T) {
	for _, tail := range []string{"", "\n"} {
		got := frames(t, strings.NewReader("a,b\n"+strings.Repeat("x", 3*MaxRecord)+tail), CSV, 2)
		if diff := cmp.Diff([]string{"1 a,b", "2 ! " + ErrTooLong.Error()}, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestReadErrorsArePassedOn(t *testing.T) {
	broken := errors.New("broken")
	f := NewFramer(io.MultiReader(strings.NewReader("a,b\n"), iotest.ErrReader(broken)), CSV, ',', ASCII)
	if err := f.Next(new(Block)); !errors.Is(err, broken) {
		t.Errorf("%v, want what the reader said", err)
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
		err  error
	}{
		{"a,b,c", []string{"a", "b", "c"}, nil},
		{"", []string{""}, nil},
		{",", []string{"", ""}, nil},
		{`"a,b",c`, []string{"a,b", "c"}, nil},
		{`"a""b",""`, []string{`a"b`, ""}, nil},
		{`"""",x`, []string{`"`, "x"}, nil},
		{`a,"b`, nil, ErrQuote},
		{`a,b"c`, nil, ErrBare},
		{`"a"b,c`, nil, ErrAfter},
		{`"a" ,c`, nil, ErrAfter},
	} {
		got, err := Split(nil, c.in, ',')
		if !errors.Is(err, c.err) || err == nil && !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v, want %q, %v", c.in, got, err, c.want, c.err)
		}
	}
}

// FuzzSplit holds Split against encoding/csv, which is strict in the same way.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a,b", `"a","b""c"`, `a"b`, `"a"b`, `"open`, ",,", `"x",`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n") || strings.TrimSpace(s) == "" || !utf8.ValidString(s) {
			return
		}
		r := csv.NewReader(strings.NewReader(s))
		want, wrong := r.Read()
		got, err := Split(nil, s, ',')
		if (err == nil) != (wrong == nil) {
			t.Fatalf("%q: %v, encoding/csv says %v", s, err, wrong)
		}
		if err == nil && !slices.Equal(got, want) {
			t.Errorf("%q: %q, encoding/csv says %q", s, got, want)
		}
	})
}

// FuzzFramer: no input hangs or panics it, how much is read at a time plays no part, and
// without quotes every line is a record.
func FuzzFramer(f *testing.F) {
	f.Add("a,b\nc,\"d\ne\"\n", uint8(2))
	f.Add("a,\"b\nc,d\n", uint8(2))
	f.Add("\"\"\"\n\"\n,\r\n", uint8(0))
	f.Fuzz(func(t *testing.T, s string, columns uint8) {
		whole := frames(t, strings.NewReader(s), CSV, int(columns))
		if diff := cmp.Diff(whole, frames(t, iotest.OneByteReader(strings.NewReader(s)), CSV, int(columns))); diff != "" {
			t.Errorf("read byte by byte:\n%s", diff)
		}
		for i, line := range strings.Split(s, "\n") {
			if strings.TrimSpace(line) == "" || strings.Contains(s, `"`) {
				continue
			}
			want := fmt.Sprintf("%d %s", i+1, strings.TrimSuffix(line, "\r"))
			if !slices.Contains(whole, want) {
				t.Errorf("line %d is in no record", i+1)
			}
		}
	})
}

func TestMembers(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []Member
		err  error
	}{
		{`{"a":"x","b":12.50,"c":true,"d":null}`, []Member{{"a", "x"}, {"b", "12.50"}, {"c", "true"}, {"d", ""}}, nil},
		{` { } `, nil, nil},
		{`{"a":"\u00e9\"\n"}`, []Member{{"a", "é\"\n"}}, nil},
		{`{"a":1,"a":2}`, nil, ErrTwice},
		{`{"a":{"b":1}}`, nil, ErrNested},
		{`{"a":[1]}`, nil, ErrNested},
		{`{"a":1} x`, nil, ErrJSON},
		{`{"a":1,}`, nil, ErrJSON},
		{`{"a":01}`, nil, ErrJSON},
		{`{"a":nul}`, nil, ErrJSON},
		{`{"a"}`, nil, ErrJSON},
		{`{"a":"x`, nil, ErrJSON},
		{`{"a":"x\"`, nil, ErrJSON},
		{`[1]`, nil, ErrJSON},
		{`"a"`, nil, ErrJSON},
		{``, nil, ErrJSON},
	} {
		got, err := Members(nil, c.in)
		if !errors.Is(err, c.err) || err == nil && !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v, want %q, %v", c.in, got, err, c.want, c.err)
		}
	}
}

// FuzzMembers: what Members accepts is JSON, with the same names and texts.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{"a":"x","b":1.5e3,"c":false}`, `{"a":"\ud83d\ude00"}`, `{"a" : null }`, `{"":""}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Members(nil, s)
		var want map[string]any
		wrong := json.Unmarshal([]byte(s), &want)
		if err != nil {
			if wrong == nil && want != nil && errors.Is(err, ErrJSON) {
				t.Fatalf("%q is refused, and is JSON", s)
			}
			return
		}
		if wrong != nil || len(want) != len(got) {
			t.Fatalf("%q is read as %q; encoding/json says %v, %v", s, got, want, wrong)
		}
		for _, m := range got {
			if text, ok := want[m.Name].(string); ok && utf8.ValidString(s) && text != m.Value {
				t.Errorf("%q: %q is %q, want %q", s, m.Name, m.Value, text)
			}
		}
	})
}

func TestEncodings(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Encoding
	}{
		{"plain", ASCII},
		{"", ASCII},
		{"caf\u00e9, na\u00efef", UTF8},
		{"caf\xe9, na\xefef", Windows1252},
		{"caf\u00e9, na\u00efef, \xe9", UTF8}, // one broken name
		{"na\u00efef \xc3", UTF8},             // cut off
		{"\u20ac\x80", Windows1252},
	} {
		if got := GuessEncoding([]byte(c.in)); got != c.want {
			t.Errorf("%q is %s, want %s", c.in, got, c.want)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		block Block
		in    string
		want  string
		err   error
	}{
		{Block{Encoding: Windows1252}, "caf\xe9 \x80", "café €", nil},
		{Block{Encoding: UTF8}, "café", "café", nil},
		{Block{Encoding: UTF8}, "caf\xe9", "", ErrUTF8},
		{Block{Encoding: ASCII, HasNUL: true}, "a\x00b", "", ErrNUL},
		{Block{Encoding: ASCII, HasNUL: true}, "ab", "ab", nil},
	} {
		got, err := c.block.Text(c.in)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: %q, %v, want %q, %v", c.in, got, err, c.want, c.err)
		}
	}
}

func TestGuessDelimiter(t *testing.T) {
	known := func(s string) bool { return s == "id" || s == "name" || s == "a,b" }
	for header, want := range map[string]byte{
		"id,name": ',', "id;name": ';', "id\tname": '\t', `"id";"name"`: ';', "id": ',', "x;y;z,id": ',', `id;"a,b";name`: ';',
	} {
		if got := GuessDelimiter(header, known); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
