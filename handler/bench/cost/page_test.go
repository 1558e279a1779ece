package main

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"polis/handler/internal/book"
	"polis/handler/internal/simulate"
)

var update = flag.Bool("update", false, "write docs/cost.md anew")

const root = "../../.."

// TestPage plays the work and holds docs/cost.md to what it asked for: go test -update writes the
// page anew.
func TestPage(t *testing.T) {
	p, err := fake(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// What must hold of the counts, whatever the page says.
	n := int64(p.Customers)
	for _, tc := range []struct {
		what      string
		got, want int64
	}{
		{"queries of a bucket in a first run", p.job(firstWork).Queries, buckets},
		{"documents that a first run reads", p.job(firstWork).Documents, n},
		{"documents that a first run writes: scores, and two of each chunk", p.job(firstWork).Writes, n + 2*buckets},
		{"queries of a bucket at night", p.job(nightWork).Queries, buckets},
		{"point reads of chunks", p.job(nightWork).Reads, 0},
		{"documents written at night: scores, those superseded, and two of each chunk", p.job(nightWork).Writes, 2*int64(p.Changed) + 2*buckets},
		{"messages of a run: its chunks and its event", p.job(nightRest).Messages, buckets + 1},
		{"documents that an export writes: that it waits, and that it is there", p.job(exportWork).Writes, 2},
		{"messages of an export", p.job(exportWork).Messages, 1},
		{"what a score writes", p.job(singleWork).Writes, 0},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %d, want %d", tc.what, tc.got, tc.want)
		}
	}
	// Aggregate, scores and perhaps feedback, each once.
	if d := p.job(nightWork).Documents; d < 2*n || d > 3*n {
		t.Errorf("a nightly run reads %d documents of %d customers", d, n)
	}
	if d, q := p.job(exportWork).Documents, p.job(exportWork).Queries; d < p.job(nightWork).Documents || d > p.job(nightWork).Documents+n/2 || q > buckets+10 {
		t.Errorf("an export reads %d documents in %d queries, of a book of which a night reads %d", d, q, p.job(nightWork).Documents)
	}
	if p.Changed < int(n)/changed || p.Changed > int(n)/10 {
		t.Errorf("%d of %d customers are written at night", p.Changed, n)
	}
	if r := p.writtenOverRead(); r > writtenAtMost {
		t.Errorf("a night's chunks write %.3f of what they read, in request units by the table; at most %g", r, writtenAtMost)
	}
	// A bucket is half full after five years: what a logical partition holds is 20 GB.
	_, later := p.perCustomer()
	for _, n := range []int{1e4, 1e6, 1e7, 1e8, 1e9} {
		b := book.BucketsFor(n)
		bytes := later * float64(n) / float64(b)
		if bytes > 10e9 {
			t.Errorf("%d customers in %d buckets come to %.1f GB each", n, b, bytes/1e9)
		}
	}
	// What is simulated is what is played here.
	night, s := p.job(nightWork), simulate.Defaults()
	for what, pair := range map[string][2]float64{
		"speed":                   {s.Speed, nightSpeed},
		"share written":           {s.Written, float64(p.Changed) / float64(p.Customers)},
		"documents of a customer": {s.Documents, float64(night.Documents) / float64(p.Customers)},
		"bytes of a document":     {s.Bytes, itemBytes(float64(night.BytesRead) / float64(night.Documents))},
		"bytes of what is stored": {s.Stored, itemBytes(float64(night.BytesWritten) / float64(night.Writes))},
	} {
		if math.Abs(pair[0]-pair[1]) > 0.01*pair[1] {
			t.Errorf("%s: simulated %g, played %g", what, pair[0], pair[1])
		}
	}
	text, err := page(p, root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "docs", "cost.md")
	is, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case alike(string(is), text):
	case *update:
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("docs/cost.md is not what was played; go test -update writes it anew")
	}
}

var number = regexp.MustCompile(`[0-9][0-9,]*(?:\.[0-9]+)?`)

// alike reports whether two pages say the same, and their numbers to a hundredth: records hold how long
// things took, and so are a few bytes longer or shorter each time.
func alike(a, b string) bool {
	if number.ReplaceAllString(a, "#") != number.ReplaceAllString(b, "#") {
		return false
	}
	x, y := number.FindAllString(a, -1), number.FindAllString(b, -1)
	for i := range x {
		v, verr := strconv.ParseFloat(strings.ReplaceAll(x[i], ",", ""), 64)
		w, werr := strconv.ParseFloat(strings.ReplaceAll(y[i], ",", ""), 64)
		if verr != nil || werr != nil || math.Abs(v-w) > 0.01*math.Abs(v) {
			return false
		}
	}
	return true
}

func TestAlike(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"| 1,990 | x |", "| 1,991 | x |", true},
		{"| 1,990 | x |", "| 2,190 | x |", false},
		{"| 26 |", "| 27 |", false},
		{"| 0.00993 |", "| 0.00992 |", true},
		{"| a 1 |", "| b 1 |", false},
		{"| 1 | 2 |", "| 1 |", false},
	} {
		if alike(tc.a, tc.b) != tc.want {
			t.Errorf("%s and %s", tc.a, tc.b)
		}
	}
}

func TestThree(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.01234: "0.0123", 1.2345: "1.23", 12.345: "12.3", 123.45: "123", 12345: "12,300", 1234567: "1,230,000"} {
		if got := three(x); got != want {
			t.Errorf("%v is %s, want %s", x, got, want)
		}
	}
}

// Who changes never is stored once in a month, and who changes daily daily.
func TestShare(t *testing.T) {
	if got := share(1e-9); math.Abs(got-1.0/staleDays) > 1e-6 {
		t.Errorf("%v", got)
	}
	if got := share(0.999999); math.Abs(got-1) > 1e-5 {
		t.Errorf("%v", got)
	}
}
