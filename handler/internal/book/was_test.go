package book

import (
	"strings"
	"testing"
	"time"

	"polis/handler/internal/portfolio"
)

// TestWhatACustomerWas: what is replaced after it was scored is there as of before, through
// moves, until the customer is erased; what was never scored is not kept.
func TestWhatACustomerWas(t *testing.T) {
	b, m, tenant := newBook(t)
	noon := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	now := noon
	b.now = func() time.Time { return now }
	replace := func(region, household string) {
		t.Helper()
		now = now.Add(time.Hour)
		a, etag := customer("C", household), ""
		a.Customers[0].Region = region
		if r, err := b.Customer(t.Context(), tenant, "C"); err == nil {
			etag = r.ETag
		}
		must(t, b.Put(t.Context(), tenant, a, etag))
	}
	was := func(at time.Time) string {
		t.Helper()
		r, err := b.Customer(t.Context(), tenant, "C")
		must(t, err)
		body, ok, err := b.Was(t.Context(), tenant, r.Relation, "C", at)
		must(t, err)
		if !ok {
			return "now"
		}
		a, err := new(portfolio.Decoder).Decode(body)
		must(t, err)
		return a.Latest().Region
	}
	replace("first", "")
	replace("second", "")
	if got := was(noon); got != "now" {
		t.Errorf("what was never scored is kept: %s", got)
	}
	w := b.Writer(tenant, tenant.RelationBucket("c:C"))
	must(t, w.PutScores(t.Context(), "c:C", "C", []byte("scores"), nil, "", time.Time{}))
	must(t, w.Flush(t.Context()))
	scored := now.Add(time.Minute)
	replace("third", "")
	replace("fourth", "home")
	replace("fifth", "home")
	for at, want := range map[time.Time]string{
		scored: "second", scored.Add(time.Hour): "third", scored.Add(2 * time.Hour): "fourth", scored.Add(3 * time.Hour): "now",
	} {
		if got := was(at); got != want {
			t.Errorf("at %v it was %s, not %s", at, got, want)
		}
	}
	if _, err := b.Erase(t.Context(), tenant, "C"); err != nil {
		t.Fatal(err)
	}
	for _, key := range everything(t, m, tenant) {
		if strings.Contains(key, sep+"C") {
			t.Errorf("of one that is erased there is still %q", key)
		}
	}
}
