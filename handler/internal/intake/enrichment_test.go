package intake_test

import (
	"context"
	"strings"
	"testing"

	"polis/handler/internal/enrichment"
	"polis/handler/internal/intake"
	"polis/handler/internal/portfolio"
)

// TestEnrichmentIsStored with the policies of the customers in the import, and stays when an
// export comes that does not know of it.
func TestEnrichmentIsStored(t *testing.T) {
	b := newBook(t, 4)
	take := func(on portfolio.Date, values string) intake.Summary {
		t.Helper()
		o := options(t, one, on)
		if values != "" {
			table, err := enrichment.Read("values.csv", strings.NewReader("policy_id,value,source,date\n"+values), on)
			if err != nil {
				t.Fatal(err)
			}
			o.Enrichment = table
		}
		s, err := intake.Import(context.Background(), b, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	known := func(on portfolio.Date) (enrichment.Value, int) {
		t.Helper()
		tenant, err := b.Tenant(context.Background(), "t")
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.Customer(context.Background(), tenant, "C1")
		if err != nil {
			t.Fatal(err)
		}
		var v portfolio.View
		v.Reset(r.Aggregate, on, portfolio.DefaultEnds)
		got, _ := enrichment.Known(&v.Policies[0], on)
		return got, len(r.Aggregate.Policies)
	}
	take(asOf, "P1,400000,a register,2025-06-30\nP9,1,of nobody,2025-06-30\n")
	want := enrichment.Value{Amount: 400000_00, Source: "a register", On: portfolio.MustDate(2025, 6, 30)}
	if got, versions := known(asOf); got != want || versions != 2 {
		t.Errorf("%+v in %d versions", got, versions)
	}
	for _, values := range []string{"", "P1,400000,a register,2025-06-30\n"} {
		if s := take(asOf+30, values); s.Customers != (intake.CustomerCounts{Unchanged: 1}) {
			t.Errorf("the same once more: %+v", s.Customers)
		}
	}
	take(asOf+60, "P1,420000,a valuation,2026-05-01\n")
	if got, versions := known(asOf + 60); got.Source != "a valuation" || versions != 3 {
		t.Errorf("%+v in %d versions", got, versions)
	}
	if got, _ := known(asOf + 59); got != want {
		t.Errorf("the day before: %+v", got)
	}
}
