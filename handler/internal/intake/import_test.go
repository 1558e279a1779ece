package intake_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polis/handler/internal/book"
	"polis/handler/internal/intake"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store/sqlite"
)

var asOf = portfolio.MustDate(2026, 3, 31)

func newBook(t testing.TB, buckets int) *book.Book {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := book.New(s)
	if err := b.CreateTenant(context.Background(), book.Tenant{ID: "t", Buckets: buckets, Created: time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	return b
}

func source(name, text string) intake.Source {
	return intake.Source{Name: name, Size: int64(len(text)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

type files map[portfolio.Table]string

func load(t testing.TB, b *book.Book, f files) (intake.Summary, string) {
	t.Helper()
	s, report, err := tryLoad(t, b, f, asOf)
	if err != nil {
		t.Fatal(err)
	}
	return s, report
}

func tryLoad(t testing.TB, b *book.Book, f files, on portfolio.Date) (intake.Summary, string, error) {
	t.Helper()
	o := intake.Options{Tenant: "t", AsOf: on, Scratch: t.TempDir(), Files: make(map[portfolio.Table]intake.Source), ReportFormat: intake.ReportCSV}
	for table, text := range f {
		o.Files[table] = source(table.String()+".csv", text)
	}
	var report bytes.Buffer
	o.Report = &report
	s, err := intake.Import(context.Background(), b, o)
	return s, report.String(), err
}

const (
	customersHead = "customer_id,birth_year,household_id\n"
	policiesHead  = "policy_id,customer_id,branch,start_date,annual_premium,status\n"
)

// csvLines are the lines of a CSV report after its header.
func csvLines(report string) []string {
	lines := strings.Split(strings.TrimSpace(report), "\n")
	return lines[1:]
}

func TestGoodRowsLandAndBadOnesAreReported(t *testing.T) {
	b := newBook(t, 4)
	f := files{
		portfolio.Customers: customersHead + "C1,1970,H1\nC2,1980,H1\n",
		portfolio.Policies:  policiesHead + "P1,C1,motor,2020-01-01,500.00,active\nP2,C2,motor,2020-01-01,abc,active\nP3,C9,motor,2020-01-01,1,active\n",
	}
	want := []string{
		"policies.csv,3,annual_premium,is not an amount with at most two decimals,P2,rejected",
		"policies.csv,4,customer_id,is not in the customers file and not stored,P3,rejected",
	}
	for i, counts := range []intake.CustomerCounts{{Created: 2}, {Unchanged: 2}} {
		s, report := load(t, b, f)
		if diff := cmp.Diff(want, csvLines(report)); diff != "" {
			t.Errorf("import %d, report:\n%s", i, diff)
		}
		if s.Customers != counts {
			t.Errorf("import %d: %+v, want %+v", i, s.Customers, counts)
		}
		if p := s.Tables["policies"]; p.Read != 3 || p.Landed != 1 || p.Rejected != 2 {
			t.Errorf("import %d: %+v", i, p)
		}
		if diff := cmp.Diff([]string{"claims", "contacts"}, s.Missing); diff != "" {
			t.Error(diff)
		}
	}
	r, err := b.Customer(t.Context(), book.Tenant{ID: "t", Buckets: 4}, "C1")
	if err != nil || len(r.Aggregate.Policies) != 1 || r.Aggregate.Policies[0].AnnualPremium != 50000 {
		t.Errorf("stored: %+v, %v", r.Aggregate, err)
	}
}
