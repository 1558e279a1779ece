package portfolio_test

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "polis/handler/internal/portfolio"
)

func readTable(t *testing.T, name string) []map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]string
	for _, row := range rows[1:] {
		m := make(map[string]string)
		for i, name := range rows[0] {
			m[name] = row[i]
		}
		list = append(list, m)
	}
	return list
}

func cents(s string) Cents {
	c, ok := ParseCents(s)
	if !ok {
		panic("not an amount: " + s)
	}
	return c
}

// fractions adds up "60/366+1".
func fractions(s string) float64 {
	sum := 0.0
	for part := range strings.SplitSeq(s, "+") {
		a, b, _ := strings.Cut(part, "/")
		x, _ := strconv.ParseFloat(a, 64)
		if y, err := strconv.ParseFloat(b, 64); err == nil {
			x /= y
		}
		sum += x
	}
	return sum
}

// TestLedger reconciles the portfolio of testdata to a ledger that was made by hand;
// its last column says how.
func TestLedger(t *testing.T) {
	a := &Aggregate{Customers: []Customer{{ID: "C", Version: Version{ValidFrom: 1, RecordedAt: 1}}}}
	for _, r := range readTable(t, "ledger-policies.csv") {
		a.Policies = append(a.Policies, Policy{
			ID: r["policy_id"], CustomerID: "C", Branch: r["branch"], StartDate: date(r["start_date"]), EndDate: date(r["end_date"]),
			AnnualPremium: cents(r["annual_premium"]), Status: Status(r["status"]), EndReason: r["end_reason"],
			Version: Version{ValidFrom: date(r["valid_from"]), RecordedAt: date(r["recorded_at"])},
		})
	}
	for _, r := range readTable(t, "ledger-claims.csv") {
		a.Claims = append(a.Claims, Claim{
			ID: r["claim_id"], PolicyID: r["policy_id"], CustomerID: "C", LossDate: date(r["loss_date"]), Paid: cents(r["paid"]),
			Reserve: cents(r["reserve"]), Recovered: cents(r["recovered"]), Status: Status(r["status"]), Version: Version{RecordedAt: date(r["recorded_at"])},
		})
	}
	a.Normalise(date("2025-01-01"))
	var v View
	for i, r := range readTable(t, "ledger.csv") {
		v.Reset(a, date(r["as_of"]), DefaultEnds)
		got := v.Ledger(r["branch"], date(r["from"]), date(r["to"]))
		claims, _ := strconv.Atoi(r["claims"])
		open, _ := strconv.Atoi(r["open"])
		want := Ledger{
			Exposure: got.Exposure, Earned: cents(r["earned"]), Incurred: cents(r["incurred"]), Paid: cents(r["paid"]), Claims: claims, Open: open,
		}
		if got != want {
			t.Errorf("line %d, %s %s to %s as of %s: %+v, want %+v", i+2, r["branch"], r["from"], r["to"], r["as_of"], got, want)
		}
		if e := fractions(r["exposure_days"]); math.Abs(got.Exposure-e) > 1e-12 {
			t.Errorf("line %d: exposure %v, want %v", i+2, got.Exposure, e)
		}
	}
}

// Windows that meet add up, to the cent, however a time is cut.
func TestWindowsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var v View
		v.Reset(someAggregate.Draw(t, "aggregate"), someDate.Draw(t, "as of"), DefaultEnds)
		from := someDate.Draw(t, "from")
		mid := from + Date(rapid.IntRange(0, 900).Draw(t, "days"))
		to := mid + Date(rapid.IntRange(0, 900).Draw(t, "more days"))
		sum := v.Ledger("", from, mid)
		sum.Add(v.Ledger("", mid, to))
		whole := v.Ledger("", from, to)
		if math.Abs(sum.Exposure-whole.Exposure) > 1e-9 {
			t.Fatalf("exposure %v in two windows, %v in one", sum.Exposure, whole.Exposure)
		}
		if sum.Exposure = whole.Exposure; sum != whole {
			t.Fatalf("%+v in two windows, %+v in one", sum, whole)
		}
		branches := v.Ledger("motor", from, to)
		branches.Add(v.Ledger("contents", from, to))
		if branches.Earned != whole.Earned {
			t.Fatalf("earned %s by branch, %s in all", branches.Earned, whole.Earned)
		}
	})
}

// A policy year is exactly one, whenever it begins.
func TestAPolicyYearIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := someDate.Draw(t, "start")
		p := Policy{StartDate: start, AnnualPremium: someAmount.Draw(t, "premium"), Version: Version{ValidFrom: start, RecordedAt: start}}
		v := PolicyView{Policy: &p, Versions: []Policy{p}}
		n := rapid.IntRange(0, 12).Draw(t, "year")
		from, to := start.AddMonths(12*n), start.AddMonths(12*(n+1))
		if e := v.Exposure(from, to); math.Abs(e-1) > 1e-12 {
			t.Fatalf("exposure %v", e)
		}
		if e := v.EarnedPremium(from, to); e != p.AnnualPremium {
			t.Fatalf("earned %s of %s", e, p.AnnualPremium)
		}
	})
}
