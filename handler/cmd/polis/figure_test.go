package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestWhereItIsWrong: whatever a fit refuses of a row, it says in which file, line and
// column; a line is one of the file, whatever is quoted or blank before it, and no value is
// told.
func TestWhereItIsWrong(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	// The fourth row begins in line 7: a line is blank, and a note goes over two.
	table := func(bad string) string {
		return "note,y,e,w,o,d,g\n,1,1,1,0,2024-01-01,a\n\n\"two\nlines\",0,1,1,0,2024-01-02,b\nx,2,1,1,0,2024-01-03,c\n" + bad + "\n,1,1,1,0,2024-01-05,e\n"
	}
	for name, tc := range map[string]struct {
		loss, row, says string
		args            []string
	}{
		"a name for a target":      {"poisson", ",secret,1,1,0,2024-01-04,d", "y is neither a number nor yes or no", nil},
		"no target":                {"poisson", ",,1,1,0,2024-01-04,d", "y is missing", nil},
		"an infinite target":       {"poisson", ",1e999,1,1,0,2024-01-04,d", "y: the target is not a finite number", nil},
		"a negative count":         {"poisson", ",-1,1,1,0,2024-01-04,d", "y: a count is not negative", nil},
		"a negative cost":          {"tweedie", ",-1,1,1,0,2024-01-04,d", "y: a cost is not negative", nil},
		"a cost capped":            {"tweedie", ",secret,1,1,0,2024-01-04,d", "y is neither", []string{"--cap=5"}},
		"a cost capped by a share": {"tweedie", ",-1,1,1,0,2024-01-04,d", "y: a cost is not negative", []string{"--cap=q0.5"}},
		"a weight of a name":       {"poisson", ",1,1,secret,0,2024-01-04,d", "w is to hold numbers", []string{"--weight=w"}},
		"a weight of yes":          {"poisson", ",1,1,yes,0,2024-01-04,d", "w is to hold numbers", []string{"--weight=w"}},
		"a negative weight":        {"poisson", ",1,1,-2,0,2024-01-04,d", "w: the weight must be finite and not negative", []string{"--weight=w"}},
		"no exposure":              {"poisson", ",1,,1,0,2024-01-04,d", "e is missing", []string{"--exposure=e"}},
		"an exposure of 0":         {"poisson", ",1,0,1,0,2024-01-04,d", "e: the exposure must be finite and positive", []string{"--exposure=e"}},
		"a wild offset":            {"poisson", ",1,1,1,1e300,2024-01-04,d", "o: the offset must be within ±50", []string{"--offset=o"}},
		"no date":                  {"poisson", ",1,1,1,0,secret,d", "d is neither a number nor a date", []string{"--time=d"}},
		"a number for a date":      {"poisson", ",1,1,1,0,7,d", "d holds a number in one row and a date in another", []string{"--time=d"}},
		"two ends of a name":       {"hazard", ",1,1,1,secret,2024-01-04,d", "o is neither a number nor yes or no", []string{"--target=o", "--duration=e"}},
		"an end of 2":              {"hazard", ",1,1,1,2,2024-01-04,d", "o: a logistic target is 0 or 1", []string{"--target=o", "--duration=e"}},
		"no duration":              {"hazard", ",1,0,1,1,2024-01-04,d", "e: the duration must be over 0", []string{"--target=o", "--duration=e"}},
		"an endless duration":      {"hazard", ",1,1e9,1,1,2024-01-04,d", "e: the duration must be over 0 and at most", []string{"--target=o", "--duration=e"}},
	} {
		write(t, dir, map[string]string{"t.csv": table(tc.row)})
		args := []string{"fit", "--data", at("t.csv"), "--loss", tc.loss, "--out", at("x"), "--target", "y"}
		if tc.loss == "hazard" {
			args = args[:len(args)-2]
		}
		code, _, stderr := polis(t, "", append(args, tc.args...)...)
		if want := "t.csv: line 7: the column " + tc.says; code != 3 || !strings.Contains(stderr, want) || strings.Contains(stderr, "secret") {
			t.Errorf("%s: exit code %d: %s; want %s", name, code, stderr, want)
		}
	}

	type row struct {
		Y string  `parquet:"y"`
		E float64 `parquet:"e"`
	}
	if err := parquet.WriteFile(at("t.parquet"), []row{{"1", 1}, {"0", 1}, {"secret", 1}, {"1", -1}}); err != nil {
		t.Fatal(err)
	}
	for target, says := range map[string]string{
		"y": "t.parquet: row 3: the column y is neither a number nor yes or no",
		"e": "t.parquet: row 4: the column e: a count is not negative",
	} {
		if code, _, stderr := polis(t, "", "fit", "--data", at("t.parquet"), "--loss", "poisson", "--target", target, "--out", at("x")); code != 3 || !strings.Contains(stderr, says) {
			t.Errorf("exit code %d: %s; want %s", code, stderr, says)
		}
	}
}

// TestReportOfYesAndNo: a target that a fit accepts, a report on a table accepts, and what is
// wrong with a row of it is said as the fit says it.
func TestReportOfYesAndNo(t *testing.T) {
	var b strings.Builder
	b.WriteString("age,lapsed\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "%d,%s\n", 20+i%50, []string{"no", "Yes", "no"}[i%3])
	}
	dir := write(t, t.TempDir(), map[string]string{"t.csv": b.String(), "bad.csv": "age,lapsed\n30,yes\n40,0\n50,secret\n", "two.csv": "age,lapsed\n30,yes\n40,0\n50,2\n"})
	at := func(name string) string { return filepath.Join(dir, name) }
	if code, _, stderr := polis(t, "", "fit", "--data", at("t.csv"), "--target", "lapsed", "--loss", "logistic", "--bags", "1", "--out", at("m.json")); code != 0 {
		t.Fatal(stderr)
	}
	code, _, stderr := polis(t, "", "report", at("m.json"), "--data", at("t.csv"), "--out", at("r.html"))
	if code != 0 {
		t.Fatal(stderr)
	}
	if page, err := os.ReadFile(at("r.html")); err != nil || !strings.Contains(string(page), "2000 rows: ") || !strings.Contains(string(page), "667 happened") {
		t.Errorf("the report does not say what happened: %v", err)
	}
	for name, says := range map[string]string{
		"bad.csv": "bad.csv: line 4: the column lapsed is neither a number nor yes or no",
		"two.csv": "two.csv: line 4: the column lapsed: a logistic target is 0 or 1",
	} {
		if code, _, stderr := polis(t, "", "report", at("m.json"), "--data", at(name), "--out", at("x")); code != 3 || !strings.Contains(stderr, says) || strings.Contains(stderr, "secret") {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
}

// TestPredictRefusesWhatFitRefuses of exposures and offsets, in the same words.
func TestPredictRefusesWhatFitRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	var b strings.Builder
	b.WriteString("age,e,o,y\n")
	for i := range 200 {
		fmt.Fprintf(&b, "%d,1,0,%d\n", 20+i%50, i%2)
	}
	fit := func(table string) []string {
		return []string{"fit", "--data", at(table), "--target", "y", "--exposure", "e", "--offset", "o", "--loss", "poisson", "--bags", "1", "--out", at("m.json")}
	}
	write(t, dir, map[string]string{"t.csv": b.String()})
	if code, _, stderr := polis(t, "", fit("t.csv")...); code != 0 {
		t.Fatal(stderr)
	}
	for row, says := range map[string]string{
		"30,-1,0,1":     "the column e: the exposure must be finite and positive",
		"30,0,0,1":      "the column e: the exposure must be finite and positive",
		"30,1e999,0,1":  "the column e: the exposure must be finite and positive",
		"30,secret,0,1": "the column e is to hold numbers",
		"30,1,secret,1": "the column o is to hold numbers",
		"30,,0,1":       "the column e is missing",
		"30,1,1e300,1":  "the column o: the offset must be within ±50",
		"30,1,-50.01,1": "the column o: the offset must be within ±50",
		"30,1,NaN,1":    "the column o is missing",
	} {
		write(t, dir, map[string]string{"bad.csv": "age,e,o,y\n30,1,50,1\n" + row + "\n"})
		for _, args := range [][]string{fit("bad.csv"), {"predict", "--model", at("m.json"), "--data", at("bad.csv"), "--out", at("x")}} {
			if code, _, stderr := polis(t, "", args...); code != 3 || !strings.Contains(stderr, "bad.csv: line 3: "+says) {
				t.Errorf("%s of %s: exit code %d: %s", args[0], row, code, stderr)
			}
		}
	}
	if _, err := os.Stat(at("x")); err == nil {
		t.Error("a file is left")
	}
}
