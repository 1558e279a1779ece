package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"polis/handler/internal/fault"
	"polis/handler/internal/model"
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
	if !strings.Contains(stdout, "deviance") || !strings.Contains(stderr, "left out") || !strings.Contains(stderr, "4 names") || !strings.Contains(stdout, "\nfit_seconds ") {
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
	if !strings.HasPrefix(stdout, "term,first,second,contribution,relativity,error,exposure\nintercept,,,") || !strings.Contains(stdout, "\nage,below ") {
		t.Errorf("tables:\n%.300s", stdout)
	}
	// No age is missing: of what is missing no error is known, which is not one of 0.
	if !regexp.MustCompile(`(?m)^age,missing,,[^,]*,[^,]*,,0$`).MatchString(stdout) || regexp.MustCompile(`(?m),0,[^,]*$`).MatchString(stdout) {
		t.Errorf("a value without rows has an error:\n%.300s", stdout)
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
		"no column to exclude": {append(fit, "--exclude", "ID", "--out", at("x")), 2, "the table lacks ID"},
		"no column to protect": {append(fit, "--protect", "sex", "--out", at("x")), 2, "the table lacks sex"},
		"no group":             {append(fit, "--group", "house", "--out", at("x")), 2, "the table lacks house"},
		"a target twice":       {append(fit, "--offset", "claims", "--out", at("x")), 2, "the column claims is the target"},
		"names and numbers":    {append(fit, "--category", "age", "--numeric", "age", "--out", at("x")), 2, "--category and as --numeric"},
		"numbers of names":     {append(fit, "--numeric", "region", "--out", at("x")), 3, "line 2: the column region is to hold numbers"},
		"a sign twice":         {append(fit, "--monotone", "noise=+,noise=-", "--out", at("x")), 2, "--monotone: the column noise is given twice"},
		"an order twice":       {append(fit, "--ordered", "region=r0|r1,region=r1|r0", "--out", at("x")), 2, "--ordered: the column region is given twice"},
		"an order of numbers":  {append(fit, "--ordered", "age=1|2", "--numeric", "age", "--out", at("x")), 2, "the column age is given as --ordered and as --numeric"},
		"an order of nothing":  {append(fit, "--ordered", "region=r0|r1", "--exclude", "region", "--out", at("x")), 2, "--ordered: region is no feature"},
		"the target protected": {append(fit, "--protect", "claims", "--out", at("x")), 2, "the column claims is given as --protect and as --target"},
		"exposure protected":   {append(fit, "--protect", "years", "--out", at("x")), 2, "the column years is given as --protect and as --exposure"},
		"the target excluded":  {append(fit, "--exclude", "claims", "--out", at("x")), 2, "the column claims is given as --exclude and as --target"},
		"no feature twice":     {append(fit, "--protect", "region", "--exclude", "id,region", "--out", at("x")), 2, "the column region is given as --protect and as --exclude"},
		"no feature to order":  {append(fit, "--exclude", "age", "--out", at("x")), 2, "--monotone: age is no feature"},
		"no times":             {append(fit, "--time", "region", "--out", at("x")), 3, "table.csv: line 2: the column region is neither a number nor a date"},
		"no offsets":           {append(fit, "--offset", "region", "--out", at("x")), 3, "table.csv: line 2: the column region is to hold numbers"},
		"a cap of counts":      {append(fit, "--cap", "2", "--out", at("x")), 2, "--cap goes with gamma and tweedie"},
		"a cap of nothing":     {[]string{"fit", "--data", at("table.csv"), "--target", "claims", "--loss", "tweedie", "--cap", "q1", "--out", at("x")}, 2, "--cap is an amount"},
		"a rate of nothing":    {[]string{"predict", "--model", at("m.json"), "--data", at("table.csv"), "--market-rate", "0", "--out", at("x")}, 2, "--market-rate"},
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

// TestWhatTheLearnerIsGiven is what the columns with a role hold.
func TestWhatTheLearnerIsGiven(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"table.csv": "cost,years,n,lo,day,house,age,zip,sex,id,code\n" +
		"10,0.5,2,-1,2024-03-31,7,30,1000,f,A,01\n" +
		"0,1,1,0.25,1970-01-02,,,2000,m,B,02\n" +
		"99,2,3,0,2024-03-31,07,50,,f,C,03\n"})
	m := &fitCmd{
		Data: filepath.Join(dir, "table.csv"), Loss: "tweedie", Target: "cost", Exposure: "years", Weight: "n", Offset: "lo", Time: "day", Group: "house",
		Exclude: []string{"id"}, Protect: []string{"sex"}, Category: []string{"code"}, Monotone: []string{"age=+"}, Cap: "q0.5",
	}
	roles := []string{m.Target, m.Exposure, m.Weight, m.Offset, m.Time, m.Group}
	table, err := m.open(t.Context(), roles)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	fields, protected, err := m.features(table, roles)
	if err != nil {
		t.Fatal(err)
	}
	if want := []model.Field{{Name: "age", Monotone: 1}, {Name: "zip", Kind: model.Category}, {Name: "code", Kind: model.Category}, {Name: "sex", Kind: model.Category}}; !slices.Equal(fields, want) || protected != 1 {
		t.Errorf("fields %v, %d protected", fields, protected)
	}
	limit, err := m.limit(model.Tweedie)
	if err != nil {
		t.Fatal(err)
	}
	if err := limit.find(t.Context(), table, model.Tweedie, m.Target, m.Weight); err != nil {
		t.Fatal(err)
	}
	if limit.amount != 10 || math.Abs(limit.loading-(2*10+3*99)/(2*10+3*10.)) > 1e-12 {
		t.Errorf("capped at %v with an excess loading of %v", limit.amount, limit.loading)
	}
	for range 2 {
		var got []string
		if err := m.cases(table, model.Tweedie, fields, limit)(t.Context(), func(c *model.Case) error {
			got = append(got, fmt.Sprintf("%v %v %v %v %v %q %v %q", c.Y, c.Exposure, c.Weight, c.Offset, c.Time, c.Group, c.Num, c.Cat))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		want := []string{
			`10 0.5 2 -1 19813 "7" [30 NaN NaN NaN] ["" "1000" "01" "f"]`,
			`0 1 1 0.25 1 "" [NaN NaN NaN NaN] ["" "2000" "02" "m"]`,
			`10 2 3 0 19813 "07" [50 NaN NaN NaN] ["" "" "03" "f"]`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("the learner gets\n%s", strings.Join(got, "\n"))
		}
	}
}

// TestWhatAModelSaysOfItself: how it did on rows held out, what a protected column has to do
// with it, and what a constraint costs are in the file and on the page, without the table.
func TestWhatAModelSaysOfItself(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 6))
	table := "age,next,group,years,claims\n"
	for range 6000 {
		age, group := 18+r.IntN(60), "a"
		if age < 40 != (r.IntN(5) == 0) {
			group = "b"
		}
		claims := 0
		if r.Float64() < 0.3/(1+math.Exp(float64(age-35)/8)) {
			claims = 1
		}
		table += fmt.Sprintf("%d,%d,%s,1,%d\n", age, age+1+r.IntN(2), group, claims)
	}
	dir := write(t, t.TempDir(), map[string]string{"table.csv": table})
	at := func(name string) string { return filepath.Join(dir, name) }
	if code, _, stderr := polis(t, "", "fit", "--data", at("table.csv"), "--target", "claims", "--exposure", "years", "--loss", "poisson",
		"--protect", "group", "--monotone", "age=-", "--out", at("m.json")); code != 0 {
		t.Fatal(stderr)
	}
	p, err := loadPredictor(at("m.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := tablesOf(p)
	if err != nil {
		t.Fatal(err)
	}
	meta := m.Meta()
	if meta.Trial == nil || meta.Trial.Rows != 6000 || !meta.Trial.Calibration.Slope.Has(1) || meta.Trial.Gini.Low < 0.1 {
		t.Errorf("rows held out: %+v", meta.Trial)
	}
	if len(meta.Proxies) == 0 || meta.Proxies[0].Protected != "group" || len(meta.Protected) != 2 || len(meta.Clusters) != 1 {
		t.Errorf("proxies %v, groups %v, clusters %v", meta.Proxies, meta.Protected, meta.Clusters)
	}
	if c := meta.Comparisons; len(c) < 3 || c[len(c)-1].Name != "without monotone constraints" {
		t.Errorf("comparisons %v", c)
	}
	_, page, _ := polis(t, "", "report", at("m.json"))
	for _, want := range []string{"Gains", "Calibration", "group", "without monotone constraints"} {
		if !strings.Contains(page, want) {
			t.Errorf("the report lacks %s", want)
		}
	}
	if code, _, stderr := polis(t, "", "predict", "--model", at("m.json"), "--data", at("table.csv"), "--reasons", "--grouped", "--out", at("p.csv")); code != 0 {
		t.Fatal(stderr)
	}
	header, rows := readCSV(t, at("p.csv"))
	if len(header) != 5 || header[4] != "age + next" || math.Abs(rows[0][3]+rows[0][4]-rows[0][2]) > 1e-12 {
		t.Errorf("%v: %v", header, rows[0])
	}
}

// TestOrderedNames: a promise in an order of names reaches the model.
func TestOrderedNames(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 5))
	table := "cover,claims\n"
	for range 4000 {
		k := r.IntN(3)
		table += fmt.Sprintf("%s,%d\n", []string{"none", "low", "high"}[k], min(1, r.IntN(10-3*k)/(9-3*k)))
	}
	dir := write(t, t.TempDir(), map[string]string{"table.csv": table})
	at := func(name string) string { return filepath.Join(dir, name) }
	fit := []string{"fit", "--data", at("table.csv"), "--target", "claims", "--loss", "poisson", "--out", at("m.json")}
	if code, _, stderr := polis(t, "", append(fit, "--ordered", "cover=none|low|high", "--monotone", "cover=+")...); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	_, stdout, _ := polis(t, "", "tables", at("m.json"))
	if !strings.Contains(stdout, "cover,none,") || strings.Index(stdout, "cover,none,") > strings.Index(stdout, "cover,low,") {
		t.Errorf("tables:\n%s", stdout)
	}
	for _, order := range []string{"cover", "cover=none", "other=a|b"} {
		if code, _, _ := polis(t, "", append(fit, "--ordered", order)...); code != 2 {
			t.Errorf("--ordered %s: exit code %d", order, code)
		}
	}
}

// TestNothingIsLeftHalfDone when the context ends.
func TestNothingIsLeftHalfDone(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"table.csv": tariff(3000)})
	at := func(name string) string { return filepath.Join(dir, name) }
	if code, _, stderr := polis(t, "", "fit", "--data", at("table.csv"), "--target", "claims", "--loss", "poisson", "--bags", "1", "--out", at("m.json")); code != 0 {
		t.Fatal(stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fit := &fitCmd{Data: at("table.csv"), Target: "claims", Loss: "poisson", Bags: 1, Out: at("x")}
	predict := &predictCmd{Data: at("table.csv"), Model: at("m.json"), Out: at("x")}
	for name, run := range map[string]func(context.Context) error{"fit": fit.Run, "predict": predict.Run} {
		if err := run(ctx); !fault.Is(err, fault.Cancelled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := filepath.Glob(at("x*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestCapped amounts are what a model of them predicts, and predict says so.
func TestCapped(t *testing.T) {
	table := "kind,n,amount\n"
	r := rand.New(rand.NewPCG(3, 3))
	total, capped := 0.0, 0.0
	for range 3000 {
		n, amount := 1+r.IntN(3), 1+math.Floor(2000*r.ExpFloat64())
		table += fmt.Sprintf("k%d,%d,%v\n", r.IntN(3), n, amount)
		total, capped = total+float64(n)*amount, capped+float64(n)*min(amount, 3000)
	}
	dir := write(t, t.TempDir(), map[string]string{"table.csv": table})
	at := func(name string) string { return filepath.Join(dir, name) }
	code, stdout, stderr := polis(t, "", "fit", "--data", at("table.csv"), "--target", "amount", "--weight", "n", "--loss", "gamma", "--cap", "3000", "--out", at("m.json"))
	if code != 0 || !strings.Contains(stdout, "cap                    3000\n") || !strings.Contains(stdout, fmt.Sprintf("excess_loading         %.6g\n", total/capped)) {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	p, err := loadPredictor(at("m.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := tablesOf(p)
	if err != nil {
		t.Fatal(err)
	}
	settings := m.Meta().Settings
	if loading, err := strconv.ParseFloat(settings["excess_loading"], 64); err != nil || settings["cap"] != "3000" || math.Abs(loading*capped/total-1) > 1e-9 {
		t.Errorf("the model says %v", settings)
	}
	code, _, stderr = polis(t, "", "predict", "--model", at("m.json"), "--data", at("table.csv"), "--out", at("s.csv"))
	if code != 0 || !strings.Contains(stderr, "capped at 3000; times "+settings["excess_loading"]) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// TestOffset is added to the link, is a reason, and must be in the table.
func TestOffset(t *testing.T) {
	table := "lo,age,claims\n"
	r := rand.New(rand.NewPCG(4, 4))
	for i := range 3000 {
		table += fmt.Sprintf("%.2f,%d,%d\n", float64(i%5)/4, 18+r.IntN(60), r.IntN(3)/2)
	}
	dir := write(t, t.TempDir(), map[string]string{"table.csv": table, "without.csv": "age\n30\n", "missing.csv": "age,lo\n30,1\n30,\n"})
	at := func(name string) string { return filepath.Join(dir, name) }
	if code, _, stderr := polis(t, "", "fit", "--data", at("table.csv"), "--target", "claims", "--offset", "lo", "--loss", "poisson", "--out", at("m.json")); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := polis(t, "", "predict", "--model", at("m.json"), "--data", at("table.csv"), "--reasons", "--out", at("s.csv")); code != 0 {
		t.Fatal(stderr)
	}
	header, rows := readCSV(t, at("s.csv"))
	if strings.Join(header[:4], " ") != "prediction link intercept offset" || slices.Contains(header, "lo") {
		t.Errorf("header %v", header)
	}
	for i, row := range rows {
		sum := 0.0
		for _, v := range row[2:] {
			sum += v
		}
		if row[3] != float64(i%5)/4 || math.Abs(sum-row[1]) > 1e-12 || math.Abs(math.Exp(row[1])-row[0]) > 1e-12 {
			t.Fatalf("row %d: %v", i, row)
		}
	}
	for name, says := range map[string]string{"without.csv": "lacks lo", "missing.csv": "missing.csv: line 3: the column lo is missing"} {
		if code, _, stderr := polis(t, "", "predict", "--model", at("m.json"), "--data", at(name), "--out", at("x")); code != 3 || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
}

// TestMarketRate: the mean of what is predicted at a market rate is that rate, per
// exposure, whatever the model and however far away the rate; predictions stay.
func TestMarketRate(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"table.csv": tariff(3000)})
	at := func(name string) string { return filepath.Join(dir, name) }
	poisson := []string{"fit", "--data", at("table.csv"), "--target", "claims", "--exposure", "years", "--loss", "poisson", "--bags", "1", "--out", at("poisson")}
	logistic := []string{"fit", "--data", at("table.csv"), "--target", "lapsed", "--loss", "logistic", "--bags", "1", "--out", at("logistic")}
	body, err := os.ReadFile(at("table.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lapses := strings.Replace(string(body), "claims\n", "lapsed\n", 1)
	for _, n := range []string{"2", "3", "4", "5", "6", "7", "8"} {
		lapses = strings.ReplaceAll(lapses, ","+n+"\n", ",1\n")
	}
	write(t, dir, map[string]string{"lapses.csv": lapses})
	logistic[2] = at("lapses.csv")
	trees := filepath.Join("..", "..", "internal", "lightgbm", "testdata", "binary.txt")
	write(t, dir, map[string]string{"trees.csv": "age,power,bonus,region,code\n30,50,1,west,3\n80,90,5,far,1\n20,,2,,2\n"})
	for _, args := range [][]string{poisson, logistic} {
		if code, _, stderr := polis(t, "", args...); code != 0 {
			t.Fatal(stderr)
		}
	}
	for _, tc := range []struct {
		model, table string
		rates        []float64
		impossible   string
	}{
		{at("poisson"), at("table.csv"), []float64{0.01, 0.4, 30}, "-1"},
		{at("logistic"), at("table.csv"), []float64{0.0001, 0.3, 0.999}, "1"},
		{trees, at("trees.csv"), []float64{0.001, 0.5, 0.97}, "1.5"},
	} {
		for _, rate := range tc.rates {
			code, _, stderr := polis(t, "", "predict", "--model", tc.model, "--data", tc.table, "--market-rate", text(rate), "--out", at("s.csv"))
			if code != 0 || !strings.Contains(stderr, "the intercept is shifted by ") {
				t.Fatalf("%s at %v: %s", tc.model, rate, stderr)
			}
			header, rows := readCSV(t, at("s.csv"))
			if header[0] != "prediction" || header[1] != "at_market_rate" {
				t.Fatalf("header %v", header)
			}
			sum, weight := 0.0, 0.0
			for _, row := range rows {
				w := 1.0
				if len(header) > 2 {
					w = row[0] / row[2]
				}
				sum, weight = sum+row[1], weight+w
			}
			if got := sum / weight; math.Abs(got/rate-1) > 1e-9 {
				t.Errorf("%s: a mean of %v, want %v", tc.model, got, rate)
			}
			if code, _, stderr := polis(t, "", "predict", "--model", tc.model, "--data", tc.table, "--out", at("raw.csv")); code != 0 {
				t.Fatal(stderr)
			}
			_, raw := readCSV(t, at("raw.csv"))
			for i := range raw {
				if raw[i][0] != rows[i][0] {
					t.Fatalf("row %d is %v, and %v without a rate", i, rows[i][0], raw[i][0])
				}
			}
		}
		if code, _, stderr := polis(t, "", "predict", "--model", tc.model, "--data", tc.table, "--market-rate="+tc.impossible, "--out", at("x")); code != 2 || !strings.Contains(stderr, "no rate that this model") {
			t.Errorf("%s at %s: exit code %d: %s", tc.model, tc.impossible, code, stderr)
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

// TestPairs: 20 by default and none by 0, which the model's file says.
func TestPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var b strings.Builder
	b.WriteString("a,b,y\n")
	for range 4000 {
		x, z := r.IntN(2), r.IntN(2)
		fmt.Fprintf(&b, "%d,%d,%d\n", x, z, min(1, r.IntN(10-8*(x^z)))^1)
	}
	dir := write(t, t.TempDir(), map[string]string{"t.csv": b.String()})
	for _, tc := range []struct {
		args  []string
		said  string
		pairs bool
	}{{nil, "20", true}, {[]string{"--pairs", "1"}, "1", true}, {[]string{"--pairs", "0"}, "0", false}, {[]string{"--pairs=-1"}, "0", false}} {
		out := filepath.Join(dir, "m.json")
		if code, _, stderr := polis(t, "", append([]string{"fit", "--data", filepath.Join(dir, "t.csv"), "--target", "y", "--loss", "logistic", "--bags", "1", "--out", out}, tc.args...)...); code != 0 {
			t.Fatal(stderr)
		}
		p, err := loadPredictor(out)
		if err != nil {
			t.Fatal(err)
		}
		m, err := tablesOf(p)
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(m.Terms(), func(t model.Term) bool { return len(t.Fields) == 2 })
		if found != tc.pairs || m.Meta().Settings["pairs"] != tc.said {
			t.Errorf("%v: a pair found: %v; the file says %s", tc.args, found, m.Meta().Settings["pairs"])
		}
	}
}

// TestOutIsNotWhatIsRead: no command writes over a table or a model that it reads, under any
// name, nor finds out at the end that it has nowhere to write to.
func TestOutIsNotWhatIsRead(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"t.csv": tariff(2000)})
	at := func(name string) string { return filepath.Join(dir, name) }
	fit := []string{"fit", "--data", at("t.csv"), "--target", "claims", "--loss", "poisson", "--bags", "1", "--exclude", "id"}
	if code, _, stderr := polis(t, "", append(fit, "--out", at("m.json"))...); code != 0 {
		t.Fatal(stderr)
	}
	if err := os.Symlink(at("t.csv"), at("link.csv")); err != nil {
		t.Fatal(err)
	}
	before := map[string]string{}
	for _, name := range []string{"t.csv", "m.json"} {
		body, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = string(body)
	}
	hazard := []string{"fit", "--data", at("t.csv"), "--target", "claims", "--loss", "hazard", "--duration", "years"}
	predict := []string{"predict", "--model", at("m.json"), "--data", at("t.csv")}
	report := []string{"report", at("m.json"), "--data", at("t.csv")}
	for name, tc := range map[string]struct {
		args      []string
		out, says string
	}{
		"fit":                    {fit, at("t.csv"), "--out is the file t.csv that is read"},
		"fit by another way":     {fit, filepath.Join(dir, "..", filepath.Base(dir), "t.csv"), "--out is the file t.csv"},
		"fit by a link":          {fit, at("link.csv"), "--out is the file t.csv"},
		"fit to a folder":        {fit, dir, "--out is a folder"},
		"fit to nowhere":         {fit, at("none/m.json"), "the folder of --out is not there"},
		"a hazard":               {hazard, at("t.csv"), "--out is the file t.csv"},
		"a hazard to a folder":   {hazard, dir, "--out is a folder"},
		"predict the table":      {predict, at("t.csv"), "--out is the file t.csv"},
		"predict the model":      {predict, at("m.json"), "--out is the file m.json"},
		"predict to a folder":    {predict, dir, "--out is a folder"},
		"a report for the model": {report, at("m.json"), "--out is the file m.json"},
		"a report for the table": {report, at("t.csv"), "--out is the file t.csv"},
		"tables for the model":   {[]string{"tables", at("m.json")}, at("m.json"), "--out is the file m.json"},
	} {
		code, stdout, stderr := polis(t, "", append(tc.args, "--out", tc.out)...)
		if code != 2 || !strings.Contains(stderr, tc.says) || stdout != "" {
			t.Errorf("%s: exit code %d: %s%s", name, code, stdout, stderr)
		}
		for name, want := range before {
			if body, err := os.ReadFile(at(name)); err != nil || string(body) != want {
				t.Fatalf("%s is gone: %v", name, err)
			}
		}
	}
}

// TestTooManyColumns are refused before anything is said of each, and 512 are not too many.
func TestTooManyColumns(t *testing.T) {
	table := func(n int) string {
		var b strings.Builder
		b.WriteString("y")
		for i := range n {
			fmt.Fprintf(&b, ",x%d", i)
		}
		for y := range 4 {
			fmt.Fprintf(&b, "\n%d%s", y%2, strings.Repeat(",1", n))
		}
		return b.String() + "\n"
	}
	dir := write(t, t.TempDir(), map[string]string{"most.csv": table(512), "more.csv": table(513)})
	fit := func(name string, more ...string) (int, string) {
		code, _, stderr := polis(t, "", append([]string{"fit", "--data", filepath.Join(dir, name), "--target", "y", "--loss", "poisson", "--out", filepath.Join(dir, "m.json")}, more...)...)
		return code, stderr
	}
	if code, stderr := fit("most.csv"); code != 0 {
		t.Errorf("512: exit code %d: %s", code, stderr)
	}
	if code, stderr := fit("more.csv"); code != 2 || !strings.Contains(stderr, "513 columns are features or protected, more than 512") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("513: exit code %d: %s", code, stderr)
	}
	if code, stderr := fit("more.csv", "--exclude", "x7"); code != 0 {
		t.Errorf("513 less one: exit code %d: %s", code, stderr)
	}
	if code, stderr := fit("more.csv", "--loss", "hazard", "--duration", "x7"); code != 2 || !strings.Contains(stderr, "512 columns are features or protected, more than 511") {
		t.Errorf("512 of a hazard: exit code %d: %s", code, stderr)
	}
	if code, stderr := fit("more.csv", "--protect", "x7"); code != 2 || !strings.Contains(stderr, "513 columns") {
		t.Errorf("513 of which one is protected: exit code %d: %s", code, stderr)
	}
}

// TestKeys: columns are left out in which nine in ten of the rows that have a name have one of
// their own, unless they are asked for or hold places.
func TestKeys(t *testing.T) {
	var b strings.Builder
	b.WriteString("key,most,half,some,postcode,pc6,y\n")
	for i := range 1000 {
		some := ""
		if i%4 == 0 {
			some = fmt.Sprint("s", i)
		}
		fmt.Fprintf(&b, "k%d,m%d,h%d,%s,%d,%d AB,%d\n", i, i*4/5, i*3/5, some, 1000+i, 1000+i, i%2)
	}
	dir := write(t, t.TempDir(), map[string]string{"t.csv": b.String()})
	for _, tc := range []struct {
		category []string
		want     string
	}{
		{nil, "most half postcode pc6"},
		{[]string{"key"}, "key most half postcode pc6"},
		{[]string{"some", "postcode"}, "most half some postcode pc6"},
	} {
		m := &fitCmd{Data: filepath.Join(dir, "t.csv"), Target: "y", Loss: "poisson", Category: tc.category}
		table, err := m.open(t.Context(), []string{"y"})
		if err != nil {
			t.Fatal(err)
		}
		fields, _, err := m.features(table, []string{"y"})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range fields {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != tc.want {
			t.Errorf("--category %v: %s, want %s", tc.category, got, tc.want)
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestDecimalComma: the same table in either notation gives the same model, scores and report,
// and a fit that is not told says what it may be.
func TestDecimalComma(t *testing.T) {
	point := strings.Replace(tariff(2000), "id,", "no,", 1)
	comma := strings.ReplaceAll(strings.ReplaceAll(point, ",", ";"), ".", ",")
	dir := write(t, t.TempDir(), map[string]string{"point.csv": point, "comma.csv": comma})
	at := func(name string) string { return filepath.Join(dir, name) }
	fit := func(name string, args ...string) []string {
		return append([]string{"fit", "--data", at(name + ".csv"), "--target", "years", "--loss", "gamma", "--exclude", "no", "--out", at(name + ".json")}, args...)
	}
	if code, _, stderr := polis(t, "", fit("comma", "--bags", "1")...); code != 3 || !strings.Contains(stderr, "2000 of its values look like numbers with a decimal comma") || !strings.Contains(stderr, "line 2: the column years is neither") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for _, name := range []string{"point", "comma"} {
		for _, args := range [][]string{
			fit(name),
			{"predict", "--model", at(name + ".json"), "--data", at(name + ".csv"), "--out", at(name + ".scores")},
			{"report", at(name + ".json"), "--data", at(name + ".csv"), "--out", at(name + ".html")},
		} {
			if code, _, stderr := polis(t, "", append(args, "--decimal", name)...); code != 0 {
				t.Fatalf("%v: %s", args, stderr)
			}
		}
	}
	scores := map[string]string{}
	for _, name := range []string{"point", "comma"} {
		body, err := os.ReadFile(at(name + ".scores"))
		if err != nil {
			t.Fatal(err)
		}
		scores[name] = string(body)
	}
	if scores["point"] != scores["comma"] {
		t.Errorf("other scores:\n%.200s\n%.200s", scores["point"], scores["comma"])
	}
}

// TestWhatIsNoModel is said in a line that names the file, however deep it is nested.
func TestWhatIsNoModel(t *testing.T) {
	deep := func(open, shut string) string {
		const times = 300_000
		return strings.Repeat(open, times) + "1" + strings.Repeat(shut, times)
	}
	var saved strings.Builder
	if err := model.Constant([]model.Field{{Name: "age"}}, model.Poisson, -2, "").Save(&saved); err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(saved.String(), `"meta":`)
	if !ok {
		t.Fatal(saved.String())
	}
	for name, body := range map[string]string{
		"a model's words":  before + `"meta":` + deep("[", "]"),
		"an array":         deep("[", "]"),
		"of itself":        `{"polis_model":` + deep("[", "]") + `}`,
		"of something":     `{"other":` + deep("[", "]") + `}`,
		"about itself":     `{"meta":{"metrics":` + deep(`{"a":`, "}") + `}}`,
		"fields":           `{"fields":` + deep(`[{"a":`, "}]") + `}`,
		"a hazard's terms": `{"polis_hazard":` + deep("[", "]") + `}`,
		"trees":            "tree\nversion=" + strings.Repeat("v", 100_000),
		"no model":         "secret",
	} {
		dir := write(t, t.TempDir(), map[string]string{"m.json": body})
		code, _, stderr := polis(t, "", "tables", filepath.Join(dir, "m.json"))
		if code != 3 || !strings.Contains(stderr, "m.json: ") || len(stderr) > 300 || strings.Contains(stderr, "secret") {
			t.Errorf("%s: exit code %d: %.400s", name, code, stderr)
		}
	}
}
