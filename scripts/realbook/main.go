// Realbook turns two public data sets into the four tables, so that the main job can be
// run on real portfolios:
//
//	go run ./scripts/realbook -set bemtpl97      -in DATA -out DIR   # Belgian motor liability 1997
//	go run ./scripts/realbook -set eudirectlapse -in DATA -out DIR   # European direct motor, renewals
//
// DATA is the folder that holds the sets, ../shared/data by default. What the sets do
// not say is filled in by the rules below, the same for every row, and nothing of it
// comes from the outcome.
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	set := flag.String("set", "", "bemtpl97 or eudirectlapse")
	in := flag.String("in", filepath.Join("..", "shared", "data"), "folder of the data sets")
	out := flag.String("out", "", "folder for the four tables")
	flag.Parse()
	if err := run(*set, *in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "realbook:", err)
		os.Exit(1)
	}
}

// A converter writes one row of a set as rows of the tables, and says the as-of date on
// which its outcomes are known.
type converter struct {
	file  string
	asOf  string
	write func(t *tables, row map[string]string) error
}

var converters = map[string]converter{
	"bemtpl97":      {"bemtpl97/beMTPL97.csv.gz", "1998-04-01", belgian},
	"eudirectlapse": {"eudirectlapse/eudirectlapse.csv.gz", "2011-04-01", european},
}

func run(set, in, out string) (err error) {
	c, ok := converters[set]
	if !ok || out == "" {
		return errors.New("say -set bemtpl97 or -set eudirectlapse, and -out DIR")
	}
	f, err := os.Open(filepath.Join(in, filepath.FromSlash(c.file)))
	if err != nil {
		return fmt.Errorf("opening the data set: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.file, err)
	}
	r := csv.NewReader(bufio.NewReader(z))
	head, err := r.Read()
	if err != nil {
		return fmt.Errorf("reading the header of %s: %w", c.file, err)
	}
	t, err := newTables(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	row := map[string]string{}
	for n := 1; ; n++ {
		rec, err := r.Read()
		if err == io.EOF {
			fmt.Printf("%d policies in %s; score them as of %s\n", n-1, out, c.asOf)
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", c.file, err)
		}
		for i, name := range head {
			row[name] = rec[i]
		}
		row["row"] = strconv.Itoa(n)
		if err := c.write(t, row); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
	}
}

// tables are the four files that Polis imports.
type tables struct {
	files   []*os.File
	buffers []*bufio.Writer

	customers, policies, claims, contacts *csv.Writer
}

func newTables(dir string) (*tables, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making %s: %w", dir, err)
	}
	t := &tables{}
	var err error
	open := func(name, header string) *csv.Writer {
		f, e := os.Create(filepath.Join(dir, name))
		err = errors.Join(err, e)
		b := bufio.NewWriterSize(f, 1<<20)
		t.files, t.buffers = append(t.files, f), append(t.buffers, b)
		w := csv.NewWriter(b)
		err = errors.Join(err, w.Write(strings.Split(header, ",")))
		return w
	}
	t.customers = open("customers.csv", "customer_id,birth_year,postcode,region,segment,recorded_at")
	t.policies = open("policies.csv", "policy_id,customer_id,branch,start_date,end_date,contract_end,product,annual_premium,payment_frequency,status,end_reason,attributes,valid_from,recorded_at")
	t.claims = open("claims.csv", "claim_id,policy_id,customer_id,loss_date,reported_date,cover,paid,status,recorded_at")
	t.contacts = open("contacts.csv", "customer_id,contacted_at,direction,channel,reason")
	return t, err
}

func (t *tables) close() (err error) {
	for _, w := range []*csv.Writer{t.customers, t.policies, t.claims, t.contacts} {
		w.Flush()
		err = errors.Join(err, w.Error())
	}
	for i := range t.files {
		err = errors.Join(err, t.buffers[i].Flush(), t.files[i].Close())
	}
	return err
}

func date(t time.Time) string { return t.Format(time.DateOnly) }

// spread is a number in [0, n) that depends on the key alone: it places what the sets
// do not date.
func spread(key string, n int) int {
	h := fnv.New64a()
	io.WriteString(h, key)
	return int(h.Sum64() >> 17 % uint64(n))
}

func attributes(kv ...string) string {
	var b []string
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] != "" {
			b = append(b, kv[i]+"="+strings.NewReplacer("|", "/", "=", "-").Replace(kv[i+1]))
		}
	}
	return strings.Join(b, "|")
}

// belgian: one policyholder with one motor liability policy a row, in force from
// 1997-01-01 for its exposure; the policy that was not in force all year ends then, for
// a reason that the set does not give. Claims lie evenly in the exposure and have the
// amount that the year closed with. The set has no premium: all pay the book's pure
// premium over a loss ratio of 65%, so loss ratios rank as expected losses do, and
// customer values mean nothing.
func belgian(t *tables, row map[string]string) error {
	const premium = "280.37" // 182.24 / 0.65
	id := row["id"]
	age, err := strconv.Atoi(row["ageph"])
	if err != nil {
		return fmt.Errorf("ageph: %w", err)
	}
	expo, err := strconv.ParseFloat(row["expo"], 64)
	if err != nil {
		return fmt.Errorf("expo: %w", err)
	}
	n, err := strconv.Atoi(row["nclaims"])
	if err != nil {
		return fmt.Errorf("nclaims: %w", err)
	}
	start := time.Date(1997, 1, 1, 0, 0, 0, 0, time.UTC)
	days := max(1, int(math.Round(expo*365)))
	end, status, reason := "", "active", ""
	if days < 365 {
		end, status, reason = date(start.AddDate(0, 0, days)), "ended", "not_given"
	}
	first := date(start)
	if err := t.customers.Write([]string{"C" + id, strconv.Itoa(1997 - age), row["postcode"], "zone " + row["postcode"][:1], "private", first}); err != nil {
		return err
	}
	attrs := attributes("coverage", row["coverage"], "bm", row["bm"], "power", row["power"], "vehicle_age", row["agec"],
		"fuel", row["fuel"], "use_class", row["use"], "fleet", row["fleet"], "long", row["long"], "lat", row["lat"])
	policy := []string{"P" + id, "C" + id, "motor", first, "", "", row["coverage"], premium, "1", "active", "", attrs, first, first}
	if err := t.policies.Write(policy); err != nil {
		return err
	}
	if end != "" {
		policy[4], policy[9], policy[10], policy[12], policy[13] = end, status, reason, end, end
		if err := t.policies.Write(policy); err != nil {
			return err
		}
	}
	for i := range n {
		average, err := strconv.ParseFloat(row["average"], 64)
		if err != nil {
			return fmt.Errorf("average: %w", err)
		}
		loss := date(start.AddDate(0, 0, (i*days+spread(id, days))/n))
		paid := strconv.FormatFloat(average, 'f', 2, 64)
		if err := t.claims.Write([]string{fmt.Sprintf("L%s-%d", id, i+1), "P" + id, "C" + id, loss, loss, "liability", paid, "closed", loss}); err != nil {
			return err
		}
	}
	return nil
}

// european: one policyholder with one motor policy a row, which came up for renewal in
// 2010 (the set gives no date; the day is spread over the year). It is recorded at the
// end of 2009, since the set holds nobody who left before: earlier years would look as
// if nobody ever did. The renewal's premium is offered two months ahead. Who lapsed did
// so on the renewal date. How many contracts
// the policyholder has elsewhere in the book is kept as an attribute.
func european(t *tables, row map[string]string) error {
	id := row["row"]
	age, err := strconv.Atoi(row["polholder_age"])
	if err != nil {
		return fmt.Errorf("polholder_age: %w", err)
	}
	years, err := strconv.Atoi(row["policy_age"])
	if err != nil {
		return fmt.Errorf("policy_age: %w", err)
	}
	known := time.Date(2009, 12, 31, 0, 0, 0, 0, time.UTC)
	renewal := known.AddDate(0, 0, 2+spread(id, 364))
	start := renewal.AddDate(-max(years, 1), 0, 0)
	offered := renewal.AddDate(0, -2, 0)
	if offered.Before(known) {
		offered = known
	}
	first, recorded := date(start), date(known)
	if err := t.customers.Write([]string{"C" + id, strconv.Itoa(2010 - age), "", row["vehicl_region"], "private", recorded}); err != nil {
		return err
	}
	frequency, _, _ := strings.Cut(row["prem_freqperyear"], " ")
	market, err := ratio(row["prem_final"], row["prem_market"])
	if err != nil {
		return err
	}
	kept := []string{
		"bonus_malus", row["polholder_BMCevol"], "driver_class", row["polholder_diffdriver"], "occupation_class", row["polholder_job"],
		"use_class", row["policy_caruse"], "contracts", row["policy_nbcontract"], "vehicle_age", row["vehicl_age"],
		"age_at_purchase", row["vehicl_agepurchase"], "garage", row["vehicl_garage"], "power", row["vehicl_powerkw"],
	}
	policy := []string{"P" + id, "C" + id, "motor", first, "", date(renewal), "", row["prem_last"], frequency, "active", "", attributes(kept...), first, recorded}
	if err := t.policies.Write(policy); err != nil {
		return err
	}
	offer := append([]string(nil), policy...)
	offer[5], offer[7] = date(renewal.AddDate(1, 0, 0)), row["prem_final"]
	offer[11] = attributes(append(kept, "offer_over_market", market)...)
	offer[12], offer[13] = date(renewal), date(offered)
	if err := t.policies.Write(offer); err != nil {
		return err
	}
	if row["lapse"] == "1" {
		ended := append([]string(nil), offer...)
		ended[4], ended[9], ended[10], ended[13] = date(renewal), "ended", "lapse", date(renewal)
		ended[12] = date(renewal.AddDate(0, 0, 1)) // after the offer that it turns down
		return t.policies.Write(ended)
	}
	return nil
}

func ratio(a, b string) (string, error) {
	x, err := strconv.ParseFloat(a, 64)
	if err != nil {
		return "", fmt.Errorf("prem_final: %w", err)
	}
	y, err := strconv.ParseFloat(b, 64)
	if err != nil || y == 0 {
		return "", nil // no market premium known
	}
	return strconv.FormatFloat(x/y, 'f', 3, 64), nil
}
