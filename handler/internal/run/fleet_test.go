package run

import (
	"fmt"
	"testing"

	"polis/handler/internal/portfolio"
)

// TestAFleetIsScored: a customer of 2,000 vehicles, renewed for ten years and with a claim in each,
// is larger than a document. It is scored as any other, and so is what changes of it.
func TestAFleetIsScored(t *testing.T) {
	f := newFixture(t)
	first := today.AddMonths(-120)
	a := &portfolio.Aggregate{Customers: []portfolio.Customer{{ID: "fleet", Segment: portfolio.Business, Version: portfolio.Version{RecordedAt: first}}}}
	for v := range 2000 {
		id := fmt.Sprintf("FLEET-%06d", v)
		for y := range 10 {
			from := first.AddMonths(12 * y)
			known := portfolio.Version{ValidFrom: from, RecordedAt: from}
			a.Policies = append(a.Policies, portfolio.Policy{
				ID: id, CustomerID: "fleet", Branch: "motor", StartDate: first, Status: portfolio.Active, AnnualPremium: portfolio.Cents(80000 + v*7919%40000 + y),
				Attributes: []portfolio.Attribute{{Key: "licence_plate", Value: fmt.Sprintf("V-%06d", v)}}, Version: known,
			})
			a.Claims = append(a.Claims, portfolio.Claim{
				ID: fmt.Sprintf("CLAIM-%06d-%02d", v, y), PolicyID: id, CustomerID: "fleet", LossDate: from + portfolio.Date(v%360),
				Paid: portfolio.Cents(v*104729%900000 + 1), Status: portfolio.ClaimClosed, Version: portfolio.Version{RecordedAt: from.AddMonths(12)},
			})
		}
	}
	a.Normalise(today)
	must(t, f.book.Put(t.Context(), f.tenant, a, ""))
	for n := range 2 {
		p := f.start(today+portfolio.Date(n), false)
		must(t, f.drain(t.Context()))
		if s := f.finished(p.ID).Summary; s.Customers != customers+1 || s.Scored != customers+1 || len(s.Failed) > 0 {
			t.Fatalf("run %d: %+v", n, s)
		}
		r, err := f.book.Customer(t.Context(), f.tenant, "fleet")
		must(t, err)
		if len(r.Scores) == 0 || len(r.Aggregate.Policies) != len(a.Policies) {
			t.Errorf("run %d: %d bytes of scores, %d policies", n, len(r.Scores), len(r.Aggregate.Policies))
		}
		t.Logf("run %d: %d bytes of scores", n, len(r.Scores))
		r.Aggregate.Claims[0].Paid += 100000
		must(t, f.book.Put(t.Context(), f.tenant, r.Aggregate, r.ETag))
	}
}
