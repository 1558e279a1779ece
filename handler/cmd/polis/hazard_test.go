package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// contracts is a table of n contracts by year: those of the young end twice as often, and
// some end by death. Some are watched from a later year.
func contracts(n int) string {
	r := rand.New(rand.NewPCG(6, 6))
	var b strings.Builder
	b.WriteString("id,age,region,since,years,lapsed,died,household\n")
	for i := range n {
		age, since, years, lapsed, died := 20+r.IntN(60), r.IntN(3), 0.0, 0, 0
		hazard := 0.1
		if age < 40 {
			hazard = 0.2
		}
		for year := since; lapsed+died == 0 && year < since+8; year++ {
			switch u := r.Float64(); {
			case u < hazard:
				lapsed, years = 1, float64(year)+0.5
			case u < hazard+0.02:
				died, years = 1, float64(year)+0.5
			default:
				years = float64(year) + 1
			}
		}
		fmt.Fprintf(&b, "P%05d,%d,r%d,%d,%.1f,%d,%d,h%d\n", i, age, r.IntN(3), since, years, lapsed, died, i/2)
	}
	return b.String()
}

// TestSurvival fits a hazard, predicts with reasons, and reads the tables and the report.
func TestSurvival(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	table := contracts(4000)
	first := "P00000,30,r1,0,4.5,1,0,h0\n"
	broken := func(line string) string {
		return strings.Replace(table, "lapsed,died,household\n", "lapsed,died,household\n"+first+line+"\n", 1)
	}
	write(t, dir, map[string]string{
		"table.csv":  table,
		"new.csv":    "age,region\n30,r1\n60,\n",
		"both.csv":   broken("P1,30,r1,0,4.5,1,1,h"),
		"half.csv":   broken("P1,30,r1,0,4.5,0.5,0,h"),
		"never.csv":  broken("P1,30,r1,0,0,1,0,h"),
		"blank.csv":  broken("P1,30,r1,0,,1,0,h"),
		"late.csv":   broken("P1,30,r1,5,4.5,1,0,h"),
		"since.csv":  "age,region,since\n30,r1,0\n60,r1,-1\n",
		"nobody.csv": "age,years,lapsed,died\n30,1,0,0\n40,2,0,0\n",
		"tenure.csv": "tenure,years,lapsed,died\n30,1,0,1\n40,2,1,0\n",
	})
	run := func(args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := polis(t, "", args...)
		if code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
		return stdout, stderr
	}
	fitTo := func(name string, more ...string) []string {
		return append([]string{"fit", "--loss", "hazard", "--data", at(name), "--target", "lapsed", "--competing", "died", "--duration", "years"}, more...)
	}
	fit := fitTo("table.csv", "--entry", "since", "--group", "household", "--roll", "age=1", "--exclude", "id")
	stdout, _ := run(append(fit, "--out", at("m.json"))...)
	if !strings.Contains(stdout, "hazard of lapsed") || !strings.Contains(stdout, "roll forward: age by 1 every 1 periods; frozen as at entry: region;") {
		t.Errorf("the fit says\n%s", stdout)
	}
	run(append(fit, "--out", at("again.json"))...)
	model, err := os.ReadFile(at("m.json"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(at("again.json")); err != nil || string(again) != string(model) {
		t.Errorf("the same table gives another model: %v", err)
	}

	// Without a column of the entry all are new.
	_, stderr := run("predict", "--model", at("m.json"), "--data", at("new.csv"), "--horizon", "5,20", "--reasons", "--out", at("p.csv"))
	header, rows := readCSV(t, at("p.csv"))
	if strings.Join(header[:7], " ") != "prediction incidence_5 incidence_20 survival_5 survival_20 link intercept" || len(rows) != 2 {
		t.Fatalf("%v, %d rows", header, len(rows))
	}
	if !strings.Contains(stderr, "beyond period 10, the last in training") {
		t.Errorf("it says %q", stderr)
	}
	for i, hazard := range []float64{0.2, 0.1} {
		row := rows[i]
		sum := 0.0
		for _, v := range row[6:] {
			sum += v
		}
		alive := math.Pow(1-hazard-0.02, 5)
		if row[0] != row[1] || math.Abs(sum-row[5]) > 1e-12 || math.Abs(row[3]-alive) > 0.04 || math.Abs(row[1]-(1-alive)*hazard/(hazard+0.02)) > 0.04 {
			t.Errorf("row %d: %v; truly %.3f survive five years", i, row, alive)
		}
		if row[2] < row[1] || row[4] > row[3] || row[2]+row[4] > 1 {
			t.Errorf("the horizons cross: %v", row)
		}
	}
	run("predict", "--model", at("m.json"), "--data", at("table.csv"), "--horizon", "1", "--out", at("p.csv"))
	if _, rows := readCSV(t, at("p.csv")); len(rows) != 4000 || len(rows[0]) != 3 {
		t.Errorf("%d rows, the first %v", len(rows), rows[0])
	}

	stdout, _ = run("tables", at("m.json"))
	if !strings.HasPrefix(stdout, "cause,term,first,second,contribution,relativity") || !strings.Contains(stdout, "\nlapsed,age,below ") || !strings.Contains(stdout, "\ndied,intercept,") {
		t.Errorf("tables:\n%.300s", stdout)
	}
	run("report", at("m.json"), "--out", at("report.html"))
	if body, err := os.ReadFile(at("report.html")); err != nil || !strings.Contains(string(body), "Hazard of lapsed") || !strings.Contains(string(body), "stands still") || !strings.Contains(string(body), "4000 subjects") || !strings.Contains(string(body), "Ended by died") {
		t.Errorf("the report does not say what it is of: %v", err)
	}

	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"two ends":             {fitTo("both.csv"), 3, "line 3: both lapsed and died are 1"},
		"half an end":          {fitTo("half.csv"), 3, "half.csv: line 3: the column lapsed: a logistic target is 0 or 1"},
		"no time at all":       {fitTo("never.csv"), 3, "line 3: the column years: the duration must be over 0"},
		"a duration missing":   {fitTo("blank.csv"), 3, "line 3: the column years is missing"},
		"an entry too late":    {fitTo("late.csv", "--entry", "since"), 3, "line 3: the column since: the entry"},
		"no ends":              {fitTo("nobody.csv"), 3, "ends by lapsed"},
		"a column tenure":      {fitTo("tenure.csv"), 3, "tenure"},
		"no such end":          {fitTo("table.csv", "--competing", "moved"), 2, "lacks moved"},
		"an end twice":         {fitTo("table.csv", "--competing", "lapsed"), 2, "lapsed is given for two things"},
		"no duration":          {[]string{"fit", "--loss", "hazard", "--data", at("table.csv"), "--target", "lapsed"}, 2, "needs --duration"},
		"an exposure":          {fitTo("table.csv", "--exposure", "age"), 2, "do not go with a hazard"},
		"a duration elsewhere": {[]string{"fit", "--loss", "logistic", "--data", at("table.csv"), "--target", "lapsed", "--duration", "years"}, 2, "go with --loss hazard"},
		"a roll of no field":   {fitTo("table.csv", "--roll", "x=12"), 3, "no field x"},
		"a roll of names":      {fitTo("table.csv", "--roll", "region=12"), 3, "no number"},
		"no roll":              {fitTo("table.csv", "--roll", "age"), 2, "--roll is COL=12"},
		"a roll round nothing": {fitTo("table.csv", "--roll", "age=1@5:5"), 2, "--roll is COL=12"},
		"no horizon":           {[]string{"predict", "--model", at("m.json"), "--data", at("new.csv")}, 2, "--horizon"},
		"a horizon of 0":       {[]string{"predict", "--model", at("m.json"), "--data", at("new.csv"), "--horizon", "0"}, 2, "--horizon is from 1"},
		"a negative entry":     {[]string{"predict", "--model", at("m.json"), "--data", at("since.csv"), "--horizon", "1"}, 3, "since.csv: line 3: the column since: the entry must be from 0"},
		"a column lacks":       {[]string{"predict", "--model", at("m.json"), "--data", at("tenure.csv"), "--horizon", "1"}, 3, "lacks age"},
		"a report on a table":  {[]string{"report", at("m.json"), "--data", at("table.csv")}, 2, "without --data"},
	} {
		if code, _, stderr := polis(t, "", append(tc.args, "--out", at("x"))...); code != tc.code || !strings.Contains(stderr, tc.says) {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
		if _, err := os.Stat(at("x")); err == nil {
			t.Errorf("%s: a file is left", name)
		}
	}
}

// TestEntryWithinAPeriod: a subject that came in within a period is predicted from the period
// that training has it at risk from, the next whole one.
func TestEntryWithinAPeriod(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	r := rand.New(rand.NewPCG(2, 1))
	var b strings.Builder
	b.WriteString("since,years,ended\n")
	for range 4000 { // the hazard is 0.02 in the first two periods, then 0.6
		since := []float64{0, 1.5, 2}[r.IntN(3)]
		first := int(math.Ceil(since))
		year, ended := first, 0
		for ; ended == 0 && year < 6; year++ {
			if r.Float64() < []float64{0.02, 0.02, 0.6, 0.6, 0.6, 0.6}[year] {
				ended = 1
			}
		}
		fmt.Fprintf(&b, "%v,%d,%d\n", since, year, ended)
	}
	write(t, dir, map[string]string{"t.csv": b.String(), "new.csv": "since\n0\n1\n1.5\n2\n0.5\n"})
	for _, args := range [][]string{
		{"fit", "--loss", "hazard", "--data", at("t.csv"), "--target", "ended", "--duration", "years", "--entry", "since", "--out", at("m.json")},
		{"predict", "--model", at("m.json"), "--data", at("new.csv"), "--horizon", "1", "--out", at("p.csv")},
	} {
		if code, _, stderr := polis(t, "", args...); code != 0 {
			t.Fatal(stderr)
		}
	}
	_, rows := readCSV(t, at("p.csv"))
	from := func(i int) float64 { return rows[i][0] }
	if from(2) != from(3) || from(4) != from(1) || from(2) < 0.5 || from(1) > 0.1 {
		t.Errorf("from 0, 1, 1.5, 2 and 0.5: %v", rows)
	}
}
