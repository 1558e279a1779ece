package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// tariff is a table of n policies: the young claim three times as often as the old, and
// what is called noise says nothing.
func tariff(n int) string {
	r := rand.New(rand.NewPCG(5, 5))
	var b strings.Builder
	b.WriteString("id,age,region,noise,years,claims\n")
	for i := range n {
		age, years := 18+r.IntN(60), 0.25+0.75*r.Float64()
		rate, claims := 0.3, 0
		if age < 40 {
			rate = 0.9
		}
		for at := r.ExpFloat64() / rate; at < years; at += r.ExpFloat64() / rate {
			claims++
		}
		fmt.Fprintf(&b, "P%05d,%d,r%d,%.3f,%.4f,%d\n", i, age, r.IntN(4), r.NormFloat64(), years, claims)
	}
	return b.String()
}

func readCSV(t *testing.T, path string) (header []string, rows [][]float64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range all[1:] {
		var row []float64
		for _, s := range record {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil {
				t.Fatal(err)
			}
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	return all[0], rows
}

// TestTheDataScientistsPath fits, predicts with reasons, and reads the tables.
func TestTheDataScientistsPath(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, dir, map[string]string{"table.csv": tariff(4000), "other.csv": "a\n1\n"})
	run := func(args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := polis(t, "", args...)
		if code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
		return stdout, stderr
	}
	fit := []string{"fit", "--data", at("table.csv"), "--target", "claims", "--exposure", "years", "--loss", "poisson", "--monotone", "age=-"}
	stdout, stderr := run(append(fit, "--out", at("m.json"))...)
	if !strings.Contains(stdout, "deviance") || !strings.Contains(stderr, "left out") || !strings.Contains(stderr, "4 names") {
		t.Errorf("the fit says\n%s\n%s", stdout, stderr)
	}
	run(append(fit, "--out", at("again.json"))...)
	first, err := os.ReadFile(at("m.json"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(at("again.json")); err != nil || string(again) != string(first) {
		t.Errorf("the same table gives another model: %v", err)
	}

	run("predict", "--model", at("m.json"), "--data", at("table.csv"), "--reasons", "--out", at("scores.csv"))
	header, rows := readCSV(t, at("scores.csv"))
	_, table := readCSVNumbers(t, at("table.csv"))
	if strings.Join(header[:4], " ") != "prediction per_exposure link intercept" || len(rows) != len(table) {
		t.Fatalf("%v, %d rows", header, len(rows))
	}
	total, claims := 0.0, 0.0
	young, old := []float64{}, []float64{}
	for i, row := range rows {
		age, years := table[i][0], table[i][1]
		total, claims = total+row[0], claims+table[i][2]
		sum := 0.0
		for _, c := range row[3:] {
			sum += c
		}
		if math.Abs(sum-row[2]) > 1e-12 || math.Abs(math.Exp(row[2])-row[1]) > 1e-12 || math.Abs(row[1]*years-row[0]) > 1e-12 {
			t.Fatalf("row %d does not add up: %v", i, row)
		}
		if age < 40 {
			young = append(young, row[1])
		} else {
			old = append(old, row[1])
		}
	}
	if math.Abs(total/claims-1) > 0.03 {
		t.Errorf("%v claims expected, %v happened", total, claims)
	}
	if y, o := mean(young), mean(old); y < 2.3*o || y > 3.7*o {
		t.Errorf("the young claim %.2f times as often as the old, truly 3", y/o)
	}

	stdout, _ = run("tables", at("m.json"))
	if !strings.HasPrefix(stdout, "term,first,second,contribution,relativity\nintercept,,,") || !strings.Contains(stdout, "\nage,below ") {
		t.Errorf("tables:\n%.300s", stdout)
	}

	run("report", at("m.json"), "--data", at("table.csv"), "--out", at("report.html"))
	if body, err := os.ReadFile(at("report.html")); err != nil || !strings.Contains(string(body), "4000 rows: "+fmt.Sprintf("%.5g expected, %.5g happened", total, claims)) {
		t.Errorf("the report does not say what was expected and what happened: %v", err)
	}

	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no such column":       {[]string{"fit", "--data", at("table.csv"), "--target", "x", "--loss", "poisson", "--out", at("x")}, 2, "the table lacks x"},
		"names for a target":   {[]string{"fit", "--data", at("table.csv"), "--target", "region", "--loss", "poisson", "--out", at("x")}, 3, "column region"},
		"no such loss":         {[]string{"fit", "--data", at("table.csv"), "--target", "claims", "--loss", "l2", "--out", at("x")}, 2, "--loss"},
		"no sign":              {[]string{"fit", "--data", at("table.csv"), "--target", "claims", "--loss", "poisson", "--monotone", "age", "--out", at("x")}, 2, "COL=+"},
		"a count of no class":  {[]string{"fit", "--data", at("table.csv"), "--target", "claims", "--loss", "logistic", "--out", at("x")}, 3, "0 or 1"},
		"no model":             {[]string{"predict", "--model", at("table.csv"), "--data", at("table.csv"), "--out", at("x")}, 3, "not a model"},
		"a table of something": {[]string{"predict", "--model", at("m.json"), "--data", at("other.csv"), "--out", at("x")}, 3, "lacks age"},
		"a report of no table": {[]string{"report", at("m.json"), "--data", at("other.csv"), "--out", at("x")}, 3, "lacks age"},
		"tables of no model":   {[]string{"tables", at("table.csv")}, 3, "not a model"},
	} {
		if code, _, stderr := polis(t, "", tc.args...); code != tc.code || !strings.Contains(stderr, tc.says) {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
		if _, err := os.Stat(at("x")); err == nil {
			t.Errorf("%s: a file is left", name)
		}
	}
}

// TestATreeModelOfOnesOwn scores a table with LightGBM's model, names of categories and
// all, as LightGBM does.
func TestATreeModelOfOnesOwn(t *testing.T) {
	data := filepath.Join("..", "..", "internal", "lightgbm", "testdata")
	var said struct {
		Rows          [][]*float64
		Prediction    []float64
		Contributions [][]float64
	}
	body, err := os.ReadFile(filepath.Join(data, "binary.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &said); err != nil {
		t.Fatal(err)
	}
	regions := []string{"east", "far", "north", "south", "west"}
	table := "age,power,bonus,region,code\n"
	for _, row := range said.Rows {
		var cells []string
		for i, v := range row {
			switch {
			case v == nil:
				cells = append(cells, "")
			case i == 3:
				cells = append(cells, regions[int(*v)])
			default:
				cells = append(cells, strconv.FormatFloat(*v, 'g', -1, 64))
			}
		}
		table += strings.Join(cells, ",") + "\n"
	}
	dir := write(t, t.TempDir(), map[string]string{"table.csv": table})
	out := filepath.Join(dir, "scores.csv")
	code, _, stderr := polis(t, "", "predict", "--model", filepath.Join(data, "binary.txt"), "--data", filepath.Join(dir, "table.csv"), "--reasons", "--out", out)
	if code != 0 {
		t.Fatal(stderr)
	}
	header, rows := readCSV(t, out)
	if strings.Join(header, " ") != "prediction link intercept age power bonus region code" || len(rows) != len(said.Rows) {
		t.Fatalf("%v, %d rows", header, len(rows))
	}
	for i, row := range rows {
		if math.Abs(row[0]-said.Prediction[i]) > 1e-12 || math.Abs(row[6]-said.Contributions[i][3]) > 1e-12 {
			t.Errorf("row %d: %v, want %v and %v of the region", i, row, said.Prediction[i], said.Contributions[i][3])
		}
	}
}

// readCSVNumbers reads age, years and claims of a tariff.
func readCSVNumbers(t *testing.T, path string) (header []string, rows [][]float64) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(body)) {
		f := strings.Split(strings.TrimSpace(line), ",")
		fmt.Fprintf(&b, "%s,%s,%s\n", f[1], f[4], f[5])
	}
	numbers := filepath.Join(t.TempDir(), "numbers.csv")
	if err := os.WriteFile(numbers, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return readCSV(t, numbers)
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
