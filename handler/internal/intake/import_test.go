package intake_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/text/encoding/charmap"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/intake"
	"polis/handler/internal/intake/tabular"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
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
	o := options(t, f, on)
	var report bytes.Buffer
	o.Report = &report
	s, err := intake.Import(context.Background(), b, o)
	return s, report.String(), err
}

// one is a book with a customer and a policy.
var one = files{
	portfolio.Customers: customersHead + "C1,1970,\n",
	portfolio.Policies:  policiesHead + "P1,C1,motor,2020-01-01,500.00,active\n",
}

// with is the files of one with others over them.
func with(f files) files {
	m := files{}
	for t, text := range one {
		m[t] = text
	}
	for t, text := range f {
		m[t] = text
	}
	return m
}

func options(t testing.TB, f files, on portfolio.Date) intake.Options {
	o := intake.Options{Tenant: "t", AsOf: on, Scratch: t.TempDir(), Files: make(map[portfolio.Table]intake.Source), ReportFormat: intake.ReportCSV}
	for table, text := range f {
		o.Files[table] = source(table.String()+".csv", text)
	}
	return o
}

const (
	customersHead = "customer_id,birth_year,household_id\n"
	policiesHead  = "policy_id,customer_id,branch,start_date,annual_premium,status\n"
	claimsHead    = "claim_id,policy_id,customer_id,loss_date,paid\n"
	contactsHead  = "customer_id,contacted_at,reason\n"
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
		"policies.csv,3,annual_premium,is not an amount such as 123.45 with at most two decimals and at most 10000000000.00 either way,P2,rejected",
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

// Each bad row is reported with its line, column and reason, and costs no other.
func TestFindings(t *testing.T) {
	const badID = "bad\x01id"
	for _, c := range []struct {
		name  string
		files files
		want  []string
	}{
		{"negative premium", files{portfolio.Policies: policiesHead + "P1,C1,motor,2020-01-01,-5,active\nP2,C1,motor,2020-01-01,5,active\n"}, []string{
			"policies.csv,2,annual_premium,is negative,P1,rejected",
		}},
		{"every reason of a row", files{portfolio.Policies: policiesHead + "P1,C1,,2020-02-30,,gone\n"}, []string{
			"policies.csv,2,branch,is required,P1,rejected",
			"policies.csv,2,start_date,is not a date,P1,rejected",
			"policies.csv,2,annual_premium,is required,P1,rejected",
			"policies.csv,2,status,\"is none of active, ended, suspended\",P1,rejected",
		}},
		{"end before start", files{portfolio.Policies: "policy_id,customer_id,branch,start_date,end_date,annual_premium,status\nP1,C1,motor,2020-02-01,2020-01-31,5,ended\n"}, []string{
			"policies.csv,2,end_date,is before start_date,P1,rejected",
		}},
		{"a policy twice", files{portfolio.Policies: policiesHead + "P1,C1,motor,2020-01-01,5,active\nP2,C1,motor,2020-01-01,5,active\nP1,C1,motor,2020-01-01,6,active\n"}, []string{
			"policies.csv,4,policy_id,occurs twice with the same recorded_at and valid_from,P1,rejected",
		}},
		{"a customer twice", files{portfolio.Customers: customersHead + "C1,1970,\nC1,1970,\n"}, []string{
			"customers.csv,3,customer_id,occurs twice with the same recorded_at and valid_from,C1,rejected",
		}},
		{"two versions are no duplicates", files{portfolio.Customers: "customer_id,recorded_at\nC1,2024-01-01\nC1,2025-01-01\n"}, nil},
		{"a policy of two customers", files{
			portfolio.Customers: customersHead + "C1,1970,\nC2,1971,\n",
			portfolio.Policies:  policiesHead + "P1,C2,motor,2020-01-01,5,active\nP1,C1,motor,2020-01-01,5,active\n",
		}, []string{
			"policies.csv,3,policy_id,stands under another customer on an earlier line,P1,rejected",
		}},
		{"a claim of two customers, with the id of a policy", files{
			portfolio.Customers: customersHead + "C1,1970,\nC2,1971,\n",
			portfolio.Policies:  policiesHead + "P1,C1,motor,2020-01-01,5,active\nP2,C2,motor,2020-01-01,5,active\n",
			portfolio.Claims:    claimsHead + "P2,P1,C1,2021-01-01,5\nP2,P2,C2,2021-01-01,5\n",
		}, []string{
			"claims.csv,3,claim_id,stands under another customer on an earlier line,P2,rejected",
		}},
		{"unknown customers", files{
			portfolio.Policies: policiesHead + "P9,C9,motor,2020-01-01,5,active\nP1,C1,motor,2020-01-01,5,active\n",
			portfolio.Claims:   claimsHead + "L9,P9,C9,2021-01-01,5\n",
			portfolio.Contacts: contactsHead + "C9,2021-01-01,complaint\n",
		}, []string{
			"policies.csv,2,customer_id,is not in the customers file and not stored,P9,rejected",
			"claims.csv,2,customer_id,is not in the customers file and not stored,L9,rejected",
			"contacts.csv,2,customer_id,is not in the customers file and not stored,C9,rejected",
		}},
		{"a customer that was rejected is unknown", files{portfolio.Customers: customersHead + "C1,1870,\n"}, []string{
			"customers.csv,2,birth_year,is not between 1900 and the as-of year,C1,rejected",
			"policies.csv,2,customer_id,is not in the customers file and not stored,P1,rejected",
		}},
		{"unknown policy", files{portfolio.Claims: claimsHead + "L1,P9,C1,2021-01-01,5\nL2,P1,C1,2021-01-01,5\n"}, []string{
			"claims.csv,2,policy_id,is not a policy of this customer,L1,rejected",
		}},
		{"future claim", files{portfolio.Claims: claimsHead + "L1,P1,C1,2026-04-01,5\n"}, []string{
			"claims.csv,2,loss_date,is after the as-of date,L1,rejected",
		}},
		{"a loss before the policy lands", files{portfolio.Claims: claimsHead + "L1,P1,C1,2019-12-31,5\n"}, []string{
			"claims.csv,2,loss_date,is before the policy's start_date,L1,warning",
		}},
		{"number of fields", files{portfolio.Policies: policiesHead + "P1,C1,motor,2020-01-01,5,active,\nP2,C1,motor\nP3,C1,motor,2020-01-01,5,active\n"}, []string{
			"policies.csv,2,,has another number of fields than the header,,rejected",
			"policies.csv,3,,has another number of fields than the header,,rejected",
		}},
		{"broken quotes", files{portfolio.Policies: policiesHead + "\"P1,C1,motor,2020-01-01,5,active\nP2,C1,mo\"to\"r,2020-01-01,5,active\nP3,C1,motor,2020-01-01,5,active\n"}, []string{
			"policies.csv,2,,has a quote that is not closed,,rejected",
			"policies.csv,3,,\"has a quote inside a field, which must then be quoted and the quote doubled\",,rejected",
		}},
		{"NUL and control characters", files{portfolio.Customers: customersHead + "C1,1970,\nC\x002,1970,\n" + badID + ",1970,\n"}, []string{
			"customers.csv,3,,holds a NUL byte,,rejected",
			"customers.csv,4,customer_id,holds a control character,,rejected",
		}},
		{"too long", files{portfolio.Customers: customersHead + strings.Repeat("x", 1<<20+1) + ",,\nC1,1970,\n"}, []string{
			"customers.csv,2,,is longer than 1 MiB,,rejected",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, report := load(t, newBook(t, 4), with(c.files))
			if diff := cmp.Diff(c.want, csvLines(report), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			for name, table := range s.Tables {
				rejected := map[string]bool{}
				for _, line := range c.want {
					if part := strings.Split(line, ","); part[0] == name+".csv" && strings.HasSuffix(line, ",rejected") {
						rejected[part[1]] = true
					}
				}
				if table.Rejected != int64(len(rejected)) || table.Landed != table.Read-table.Rejected {
					t.Errorf("%s: %+v, want %d rejected", name, table, len(rejected))
				}
			}
		})
	}
}

// What does not fit in the store is reported, and the other customers land.
func TestACustomerThatIsTooLarge(t *testing.T) {
	var contacts strings.Builder
	contacts.WriteString(contactsHead + "C2,2024-01-01,complaint\n")
	const rows = 86000
	for i := range rows {
		fmt.Fprintf(&contacts, "C1,2024-01-01T%02d:%02d:%02dZ,a long reason %0113d\n", i/3600, i/60%60, i%60, i)
	}
	b := newBook(t, 4)
	s, _ := load(t, b, with(files{portfolio.Customers: customersHead + "C1,1970,\nC2,1971,\n", portfolio.Contacts: contacts.String()}))
	if c := s.Tables["contacts"]; c.Rejected != rows || c.Landed != 1 || s.Tables["customers"].Rejected != 1 || s.Customers.Created != 1 {
		t.Errorf("%+v", s)
	}
}

// What is wrong is said without showing what a person's row holds.
func TestTheReportShowsNoPersonalData(t *testing.T) {
	secret := "19X70"
	_, report := load(t, newBook(t, 4), files{
		portfolio.Customers: "customer_id,birth_year,postcode,consents\nC1," + secret + ",\x02" + secret + "," + secret + "\n",
	})
	if strings.Contains(report, secret) || len(csvLines(report)) != 3 {
		t.Errorf("the report:\n%s", report)
	}
	// A file without a header has values where the columns' names should be.
	_, _, err := tryLoad(t, newBook(t, 4), files{portfolio.Customers: "C1," + secret + "\n"}, asOf)
	if !fault.Is(err, fault.Malformed) || strings.Contains(err.Error(), secret) {
		t.Errorf("a file without a header: %v", err)
	}
}

// half is the first half of a text's gzip file.
func half(t *testing.T, text string) string {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.String()[:z.Len()/2]
}

func TestHeaderMistakesStopBeforeAnythingLands(t *testing.T) {
	for _, c := range []struct {
		name  string
		files files
		want  string
	}{
		{"missing column", files{portfolio.Policies: "policy_id,customer_id,branch\n"}, "policies.csv, line 1: the header lacks start_date, annual_premium, status"},
		{"column twice", files{portfolio.Customers: "customer_id,region,Region\nC1,a,b\n"}, "customers.csv, line 1: the header names region twice"},
		{"several at once", files{portfolio.Customers: "a,b\n", portfolio.Claims: "claim_id\n"}, "customers.csv, line 1: the header lacks customer_id; claims.csv, line 1: the header lacks policy_id, customer_id, loss_date"},
		{"broken header", files{portfolio.Customers: "\"customer_id\nC1\n"}, "customers.csv, line 1: the header has a quote that is not closed"},
		{"breaks of CR alone", files{portfolio.Customers: "customer_id,region\rC1,a\rC2,b\r"}, "customers.csv, line 1: the header has line breaks of CR alone; save the file with CRLF or LF"},
		{"empty file", files{portfolio.Claims: " \n"}, "claims.csv: is empty; it needs a header at least"},
		{"UTF-16", files{portfolio.Claims: "\xff\xfec\x00"}, "claims.csv: is UTF-16; save it as UTF-8"},
		{"damaged gzip", files{portfolio.Claims: "\x1f\x8bxx"}, "claims.csv: not a gzip file"},
		{"half of a gzip", files{portfolio.Claims: half(t, claimsHead)}, "claims.csv: a damaged gzip file"},
		{"NDJSON that lacks a field", files{portfolio.Customers: "{\"id\":\"C1\"}\n"}, "customers.csv: lacks customer_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(t, 4)
			_, report, err := tryLoad(t, b, with(c.files), asOf)
			if !fault.Is(err, fault.Malformed) || !strings.HasPrefix(err.Error(), c.want) || report != "" {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if n := len(contents(t, b)); n != 0 {
				t.Errorf("%d customers landed", n)
			}
		})
	}
}

func TestWrongOptions(t *testing.T) {
	b := newBook(t, 4)
	good := map[portfolio.Table]intake.Source{portfolio.Customers: source("customers.csv", customersHead)}
	for name, o := range map[string]intake.Options{
		"no date":      {Tenant: "t", Files: good},
		"no customers": {Tenant: "t", AsOf: asOf, Files: map[portfolio.Table]intake.Source{portfolio.Claims: source("claims.csv", claimsHead)}},
		"no opener":    {Tenant: "t", AsOf: asOf, Files: map[portfolio.Table]intake.Source{portfolio.Customers: {Name: "x"}}},
		"report":       {Tenant: "t", AsOf: asOf, Files: good, ReportFormat: "xml"},
		"delimiter":    {Tenant: "t", AsOf: asOf, Files: good, Overrides: map[portfolio.Table]intake.Detected{portfolio.Customers: {Delimiter: "|"}}},
		"encoding":     {Tenant: "t", AsOf: asOf, Files: good, Overrides: map[portfolio.Table]intake.Detected{portfolio.Customers: {Encoding: "ebcdic"}}},
		"dates":        {Tenant: "t", AsOf: asOf, Files: good, Overrides: map[portfolio.Table]intake.Detected{portfolio.Customers: {Dates: "us"}}},
		"decimal":      {Tenant: "t", AsOf: asOf, Files: good, Overrides: map[portfolio.Table]intake.Detected{portfolio.Customers: {Decimal: "none"}}},
		"format":       {Tenant: "t", AsOf: asOf, Files: good, Overrides: map[portfolio.Table]intake.Detected{portfolio.Customers: {Format: "xml"}}},
	} {
		if _, err := intake.Import(t.Context(), b, o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want an invalid option", name, err)
		}
	}
	if _, err := intake.Import(t.Context(), b, intake.Options{Tenant: "u", AsOf: asOf, Files: good}); !fault.Is(err, fault.NotFound) {
		t.Errorf("another tenant: %v", err)
	}
}

// The same book in every form that is understood lands as the same bytes.
func TestForms(t *testing.T) {
	utf8 := files{
		portfolio.Customers: "customer_id,region,notes\nC1,Súdwest-Fryslân,\"two\nlines\"\n",
		portfolio.Policies:  "policy_id,customer_id,branch,start_date,annual_premium,commission_rate,status\nP1,C1,motor,2020-01-31,1234.50,0.125,active\nP2,C1,legal,2020-01-31,1000,0.1,active\n",
		portfolio.Contacts:  "customer_id,contacted_at\nC1,2024-05-31T14:05:00Z\n",
	}
	dutch := files{
		portfolio.Customers: "Customer_ID;Region;notes\r\nC1;Súdwest-Fryslân;x\r\n",
		portfolio.Policies:  "policy_id;customer_id;branch;start_date;annual_premium;commission_rate;status\r\nP1;C1;Motor;31-01-2020;1.234,50;0,125;Active\r\nP2;C1;legal;31/1/2020;1.000;0,1;active",
		portfolio.Contacts:  "customer_id;contacted_at\r\nC1;31-05-2024 14:05\r\n",
	}
	latin := files{}
	for table, text := range dutch {
		encoded, err := charmap.Windows1252.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		latin[table] = encoded
	}
	bom, zipped, tabs := files{}, files{}, files{}
	for table, text := range utf8 {
		bom[table] = "\ufeff" + text
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		io.WriteString(w, text)
		w.Close()
		zipped[table] = z.String()
		tabs[table] = strings.ReplaceAll(text, ",", "\t")
	}
	ndjson := files{
		portfolio.Customers: `{"customer_id":"C1","region":"S\u00fadwest-Frysl\u00e2n","x":1}` + "\n",
		portfolio.Policies: `{"policy_id":"P1","customer_id":"C1","branch":"motor","start_date":"2020-01-31","annual_premium":1234.5,"commission_rate":0.125,"status":"active"}
{"status":"active","policy_id":"P2","customer_id":"C1","branch":"legal","start_date":"2020-01-31","annual_premium":"1000","commission_rate":0.1,"end_date":null}`,
		portfolio.Contacts: `{"customer_id":"C1","contacted_at":"2024-05-31T14:05:00Z"}`,
	}
	var want map[string]string
	for _, c := range []struct {
		name     string
		files    files
		policies intake.Detected
		encoding tabular.Encoding // of the customers
	}{
		{"UTF-8", utf8, intake.Detected{Format: "csv", Delimiter: ",", Encoding: "ascii", Decimal: "point", Dates: "iso"}, "utf-8"},
		{"byte order mark", bom, intake.Detected{Format: "csv", Delimiter: ",", Encoding: "utf-8", Decimal: "point", Dates: "iso"}, "utf-8"},
		{"gzip", zipped, intake.Detected{Format: "csv", Delimiter: ",", Encoding: "ascii", Decimal: "point", Dates: "iso"}, "utf-8"},
		{"tabs", tabs, intake.Detected{Format: "csv", Delimiter: "\t", Encoding: "ascii", Decimal: "point", Dates: "iso"}, "utf-8"},
		{"Dutch", dutch, intake.Detected{Format: "csv", Delimiter: ";", Encoding: "ascii", Decimal: "comma", Dates: "dutch"}, "utf-8"},
		{"Dutch, Windows-1252", latin, intake.Detected{Format: "csv", Delimiter: ";", Encoding: "ascii", Decimal: "comma", Dates: "dutch"}, "windows-1252"},
		{"NDJSON", ndjson, intake.Detected{Format: "ndjson", Encoding: "ascii", Decimal: "point", Dates: "iso"}, "ascii"},
	} {
		b := newBook(t, 4)
		s, report := load(t, b, c.files)
		if lines := csvLines(report); len(lines) > 0 {
			t.Errorf("%s:\n%s", c.name, report)
		}
		if diff := cmp.Diff(c.policies, s.Tables["policies"].Detected); diff != "" {
			t.Errorf("%s, detected:\n%s", c.name, diff)
		}
		if got := s.Tables["customers"].Detected.Encoding; got != c.encoding {
			t.Errorf("%s: customers are %s, want %s", c.name, got, c.encoding)
		}
		if u := s.Tables["customers"].Unknown; len(u) != 1 {
			t.Errorf("%s: unknown columns %q", c.name, u)
		}
		got := contents(t, b)
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s lands as something else:\n%s", c.name, diff)
		}
	}
}

// TestAZeroIsGiven: a commission of 0 is one, and an empty field or a null is none.
func TestAZeroIsGiven(t *testing.T) {
	for name, policies := range map[string]string{
		"CSV": "policy_id,customer_id,branch,start_date,annual_premium,commission_rate,status\nP1,C1,disability,2020-01-31,1000,0,active\nP2,C1,disability,2020-01-31,1000,,active\nP3,C1,disability,2020-01-31,1000,\"0,00\",active\n",
		"NDJSON": `{"policy_id":"P1","customer_id":"C1","branch":"disability","start_date":"2020-01-31","annual_premium":1000,"commission_rate":0,"status":"active"}
{"policy_id":"P2","customer_id":"C1","branch":"disability","start_date":"2020-01-31","annual_premium":1000,"commission_rate":null,"status":"active"}
{"policy_id":"P3","customer_id":"C1","branch":"disability","start_date":"2020-01-31","annual_premium":1000,"commission_rate":"0","status":"active"}`,
	} {
		b := newBook(t, 4)
		if _, report := load(t, b, files{portfolio.Customers: "customer_id\nC1\n", portfolio.Policies: policies}); len(csvLines(report)) > 0 {
			t.Errorf("%s:\n%s", name, report)
		}
		for _, body := range contents(t, b) {
			a, err := new(portfolio.Decoder).Decode([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []portfolio.Rate{portfolio.RateOf(0), {}, portfolio.RateOf(0)} {
				if got := a.Policies[i].CommissionRate; got != want {
					t.Errorf("%s: policy %d has %+v, want %+v", name, i+1, got, want)
				}
			}
		}
	}
}

// contents is all that lies in the book: the encoded aggregates by relation and id.
// Every customer must be found at its place, and at no other.
func contents(t testing.TB, b *book.Book) map[string]string {
	t.Helper()
	tenant, err := b.Tenant(context.Background(), "t")
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]string)
	for bucket := range tenant.Buckets {
		for r, err := range b.Relations(context.Background(), tenant, bucket, nil) {
			if err != nil {
				t.Fatal(err)
			}
			for _, member := range r.Members {
				m[r.Key+"/"+member.ID] = string(member.Body)
				p, ok, err := b.Place(context.Background(), tenant, member.ID)
				if err != nil || !ok || p != (book.Place{ID: member.ID, Relation: r.Key}) {
					t.Errorf("%s of %s has its place at %+v, %t, %v", member.ID, r.Key, p, ok, err)
				}
			}
		}
	}
	return m
}

func TestAnUnchangedCustomerCostsNoWrite(t *testing.T) {
	b, writes := countedBook(t)
	f := made(300)
	load(t, b, f)
	before := contents(t, b)
	*writes = 0
	s, _ := load(t, b, f)
	if s.Customers != (intake.CustomerCounts{Unchanged: 300}) || *writes != 0 {
		t.Errorf("the second time: %+v and %d writes", s.Customers, *writes)
	}
	// The day after, rows without recorded_at say nothing new either.
	if s, _, err := tryLoad(t, b, f, asOf+1); err != nil || s.Customers.Unchanged != 300 {
		t.Errorf("a day later: %+v, %v", s.Customers, err)
	}
	if diff := cmp.Diff(before, contents(t, b)); diff != "" {
		t.Error("the book changed")
	}
}

func TestVersionsAreAdded(t *testing.T) {
	b := newBook(t, 4)
	load(t, b, one)
	f := with(files{portfolio.Policies: policiesHead + "P1,C1,motor,2020-01-01,550.00,active\n"})
	s, _, err := tryLoad(t, b, f, asOf+30)
	if err != nil || s.Customers != (intake.CustomerCounts{Changed: 1}) {
		t.Fatalf("%+v, %v", s.Customers, err)
	}
	r, err := b.Customer(t.Context(), book.Tenant{ID: "t", Buckets: 4}, "C1")
	if err != nil || len(r.Aggregate.Policies) != 2 || r.Aggregate.Policies[0].AnnualPremium != 50000 || r.Aggregate.Policies[1].AnnualPremium != 55000 {
		t.Errorf("%+v, %v", r.Aggregate, err)
	}
}

func TestConflictsAreReported(t *testing.T) {
	b := newBook(t, 4)
	head := "policy_id,customer_id,branch,start_date,annual_premium,status,recorded_at\n"
	load(t, b, with(files{portfolio.Policies: head + "P1,C1,motor,2020-01-01,5,active,2024-01-01\nP1,C1,motor,2020-01-01,6,active,2025-01-01\n"}))
	before := contents(t, b)
	_, report := load(t, b, with(files{portfolio.Policies: head + "P1,C1,motor,2020-01-01,6,active,2025-01-01\nP1,C1,motor,2020-01-01,7,active,2024-01-01\n"}))
	want := []string{"policies.csv,3,,differs from the stored row with the same recorded_at and valid_from,P1,rejected"}
	if diff := cmp.Diff(want, csvLines(report)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, contents(t, b)); diff != "" {
		t.Error("a conflict overwrote something")
	}
}

func TestStoredCustomersAreKnown(t *testing.T) {
	b := newBook(t, 4)
	load(t, b, one)
	s, report := load(t, b, files{
		portfolio.Customers: customersHead + "C2,1980,\n",
		portfolio.Policies:  policiesHead + "P2,C1,legal,2021-01-01,90,active\n",
		portfolio.Claims:    claimsHead + "L1,P1,C1,2021-06-01,10\n",
	})
	if lines := csvLines(report); len(lines) > 0 || s.Customers != (intake.CustomerCounts{Created: 1, Changed: 1}) {
		t.Errorf("%+v\n%s", s.Customers, report)
	}
	if s.Vanished != 0 {
		t.Errorf("%d policies vanished of a customer that is not in the file", s.Vanished)
	}
}

func TestVanishedPoliciesAreReportedNotEnded(t *testing.T) {
	b := newBook(t, 4)
	head := "policy_id,customer_id,branch,start_date,end_date,annual_premium,status\n"
	load(t, b, with(files{portfolio.Policies: head +
		"P1,C1,motor,2020-01-01,,5,active\nP2,C1,legal,2020-01-01,,5,active\nP3,C1,travel,2020-01-01,2021-01-01,5,ended\nP4,C1,pet,2020-01-01,,5,active\n"}))
	before := contents(t, b)
	s, _ := load(t, b, with(files{portfolio.Policies: head + "P1,C1,motor,2020-01-01,,5,active\nP4,C1,pet,2020-01-01,,wrong,active\n"}))
	if diff := cmp.Diff([]string{"P2"}, s.VanishedIDs); diff != "" || s.Vanished != 1 {
		t.Errorf("vanished %d:\n%s", s.Vanished, diff)
	}
	if diff := cmp.Diff(before, contents(t, b)); diff != "" {
		t.Errorf("the book changed:\n%s", diff)
	}
	if s, _ := load(t, b, files{portfolio.Customers: one[portfolio.Customers]}); s.Vanished != 0 {
		t.Errorf("without a policies file %d vanished", s.Vanished)
	}
}

func TestACustomerOfAnotherRelationMoves(t *testing.T) {
	b := newBook(t, 4)
	f := made(120)
	load(t, b, f)
	moved := files{}
	for table, text := range f {
		moved[table] = strings.ReplaceAll(text, ",H0000", ",J0000")
	}
	// The rows say since when: a later version, or it would contradict the first.
	moved[portfolio.Customers] = strings.ReplaceAll(moved[portfolio.Customers], ",2021-", ",2022-")
	s, report := load(t, b, moved)
	if s.Customers != (intake.CustomerCounts{Moved: 120}) {
		t.Errorf("%+v\n%s", s.Customers, report)
	}
	if got := contents(t, b); len(got) != 120 {
		t.Errorf("%d customers are there", len(got))
	}
	if s, _ := load(t, b, moved); s.Customers != (intake.CustomerCounts{Unchanged: 120}) {
		t.Errorf("again: %+v", s.Customers)
	}
}

// An import that is killed at any moment is done again and leaves what it would have
// left undisturbed. Killed is: no write comes through from some point on.
func TestKilledAnywhere(t *testing.T) {
	first, second := made(150), files{}
	for table, text := range first {
		second[table] = text
	}
	// The second adds customers, changes some and moves some to another household.
	second[portfolio.Customers] = strings.ReplaceAll(made(200)[portfolio.Customers], ",H00001", ",J00001")
	second[portfolio.Customers] = strings.ReplaceAll(second[portfolio.Customers], ",2021-", ",2022-")
	undisturbed, writes := countedBook(t)
	load(t, undisturbed, first)
	*writes = 0
	load(t, undisturbed, second)
	total := *writes
	want := contents(t, undisturbed)
	step := max(1, total/25)
	for n := 0; n < total; n += step {
		b, writes := countedBook(t)
		load(t, b, first)
		*writes = -n - 1
		if _, _, err := tryLoad(t, b, second, asOf); err == nil {
			t.Fatalf("killed before write %d: no error", n)
		}
		// What is there already is whole and found, and the import done again ends it.
		*writes = 0
		if _, _, err := tryLoad(t, b, second, asOf); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, contents(t, b)); diff != "" {
			t.Fatalf("killed before write %d, then done again: another book", n)
		}
	}
}

func TestCancelled(t *testing.T) {
	f := made(500)
	for _, stage := range []string{"read", "gather", "write"} {
		b := newBook(t, 4)
		ctx, cancel := context.WithCancel(t.Context())
		o := options(t, f, asOf)
		o.Progress = func(s string, _, _ int64) {
			if s == stage {
				cancel()
			}
		}
		if _, err := intake.Import(ctx, b, o); !fault.Is(err, fault.Cancelled) {
			t.Errorf("cancelled while it was to %s: %v", stage, err)
		}
		if left, err := os.ReadDir(o.Scratch); err != nil || len(left) > 0 {
			t.Errorf("%s: scratch files are left: %v, %v", stage, left, err)
		}
		if s, _ := load(t, b, f); s.Customers.Written()+s.Customers.Unchanged != 500 {
			t.Errorf("%s: then %+v", stage, s.Customers)
		}
	}
}

// interposed is a store where someone else is quicker: before the first write to a bucket
// of aggregates they do what they do.
type interposed struct {
	store.Store
	once sync.Once
	do   func()
}

func (i *interposed) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if p.Bucket >= 0 {
		i.once.Do(i.do)
	}
	return i.Store.Write(ctx, p, ops)
}

// TestRaces: someone else writes, moves or erases a customer after an import has read it.
func TestRaces(t *testing.T) {
	tenant := book.Tenant{ID: "t", Buckets: 4}
	second := with(files{
		portfolio.Customers: "customer_id,birth_year\nC1,1980\nC2,1990\n",
		portfolio.Policies:  policiesHead + "P1,C1,motor,2020-01-01,600,active\nP2,C2,motor,2020-01-01,700,active\n",
	})
	change := func(t *testing.T, b *book.Book, id string, how func(*portfolio.Aggregate)) {
		r, err := b.Customer(t.Context(), tenant, id)
		if err != nil {
			t.Fatal(err)
		}
		how(r.Aggregate)
		r.Aggregate.Normalise(asOf + 1)
		if err := b.Put(t.Context(), tenant, r.Aggregate, r.ETag); err != nil {
			t.Fatal(err)
		}
	}
	call := portfolio.Contact{CustomerID: "C1", At: 1_700_000_000}
	for name, tc := range map[string]struct {
		do   func(*testing.T, *book.Book)
		want string // of C1: policies, contacts, household
	}{
		"writes": {func(t *testing.T, b *book.Book) {
			change(t, b, "C1", func(a *portfolio.Aggregate) { a.Contacts = append(a.Contacts, call) })
		}, "2 1 "},
		"moves": {func(t *testing.T, b *book.Book) {
			change(t, b, "C1", func(a *portfolio.Aggregate) {
				moved := *a.Latest()
				moved.HouseholdID, moved.Version = "H", portfolio.Version{RecordedAt: asOf + 2}
				a.Customers = append(a.Customers, moved)
			})
		}, "2 0 H"},
		"erases": {func(t *testing.T, b *book.Book) {
			if _, err := b.Erase(t.Context(), tenant, "C1"); err != nil {
				t.Fatal(err)
			}
		}, "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			theirs := book.New(s)
			if err := theirs.CreateTenant(t.Context(), tenant); err != nil {
				t.Fatal(err)
			}
			load(t, theirs, with(files{portfolio.Customers: "customer_id,birth_year\nC1,1980\nC2,1990\n"}))
			ours := book.New(&interposed{Store: s, do: func() { tc.do(t, theirs) }})
			if _, err := intake.Import(t.Context(), ours, options(t, second, asOf+1)); err != nil {
				t.Fatal(err)
			}
			got := "gone"
			r, err := theirs.Customer(t.Context(), tenant, "C1")
			switch {
			case err == nil:
				got = fmt.Sprint(len(r.Aggregate.Policies), " ", len(r.Aggregate.Contacts), " ", r.Aggregate.Latest().HouseholdID)
			case !fault.Is(err, fault.NotFound):
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("C1 has %q, want %q", got, tc.want)
			}
			if r, err := theirs.Customer(t.Context(), tenant, "C2"); err != nil || len(r.Aggregate.Policies) != 1 {
				t.Errorf("C2, which nobody touched: %v", err)
			}
			// One customer lies in one place.
			found := map[string]int{}
			for bucket := range tenant.Buckets {
				for rel, err := range theirs.Relations(t.Context(), tenant, bucket, nil) {
					if err != nil {
						t.Fatal(err)
					}
					for _, m := range rel.Members {
						found[m.ID]++
					}
				}
			}
			if found["C1"] > 1 || found["C2"] != 1 {
				t.Errorf("found %v", found)
			}
		})
	}
}

func TestProgressReachesItsEnd(t *testing.T) {
	o := options(t, made(50), asOf)
	last := map[string][2]int64{}
	o.Progress = func(stage string, done, total int64) { last[stage] = [2]int64{done, total} }
	if _, err := intake.Import(t.Context(), newBook(t, 4), o); err != nil {
		t.Fatal(err)
	}
	for _, stage := range []string{"read", "gather", "write"} {
		if p := last[stage]; p[0] != p[1] || p[0] == 0 {
			t.Errorf("%s ended at %d of %d", stage, p[0], p[1])
		}
	}
}

func TestOverrides(t *testing.T) {
	o := options(t, with(files{portfolio.Policies: policiesHead + "P1,C1,motor,2020-01-01,1.234,active\nP2,C1,motor,01-02-2020,5,active\n"}), asOf)
	o.Overrides = map[portfolio.Table]intake.Detected{portfolio.Policies: {Decimal: intake.Comma, Dates: intake.Dutch}}
	var report bytes.Buffer
	o.Report = &report
	b := newBook(t, 4)
	if _, err := intake.Import(t.Context(), b, o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"policies.csv,2,start_date,is not a date,P1,rejected"}, csvLines(report.String())); diff != "" {
		t.Error(diff)
	}
}

// countedBook is a book whose writes are counted. Below zero the counter is a fuse:
// when it reaches -1, no write comes through any more.
func countedBook(t testing.TB) (*book.Book, *int) {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := &counted{Store: s}
	b := book.New(c)
	if err := b.CreateTenant(context.Background(), book.Tenant{ID: "t", Buckets: 4, Created: time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	c.writes = 0
	return b, &c.writes
}

type counted struct {
	store.Store
	mu     sync.Mutex
	writes int
}

func (c *counted) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	c.mu.Lock()
	if c.writes == -1 {
		c.mu.Unlock()
		return fault.New(fault.Unavailable, "killed")
	}
	c.writes++
	c.mu.Unlock()
	return c.Store.Write(ctx, p, ops)
}

// TestWhatWasScoredIsKept: an import that changes a customer who was scored leaves what the
// score was made of.
func TestWhatWasScoredIsKept(t *testing.T) {
	b := newBook(t, 1)
	load(t, b, one)
	tenant, err := b.Tenant(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	w := b.Writer(tenant, 0)
	if err := w.PutScores(t.Context(), "c:C1", "C1", []byte("scores"), nil, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	load(t, b, one) // says nothing new
	if _, ok, err := b.Was(t.Context(), tenant, "c:C1", "C1", before); err != nil || ok {
		t.Errorf("nothing was replaced, and %t is kept, %v", ok, err)
	}
	load(t, b, with(files{portfolio.Policies: policiesHead + "P1,C1,motor,2020-01-01,600.00,active\n"}))
	body, ok, err := b.Was(t.Context(), tenant, "c:C1", "C1", before)
	if err != nil || !ok {
		t.Fatalf("what was scored is gone: %v", err)
	}
	a, err := new(portfolio.Decoder).Decode(body)
	if err != nil || len(a.Policies) != 1 || a.Policies[0].AnnualPremium != 500_00 {
		t.Errorf("it was %+v, %v", a, err)
	}
}

// TestNamesOfBranches: a name stands for what the tenant says, else for what it is known for; others
// are kept, and said. What was stored otherwise before becomes the branch, once.
func TestNamesOfBranches(t *testing.T) {
	s, _ := load(t, newBook(t, 4), with(files{portfolio.Policies: policiesHead + "P1,C1,malpractice,2020-01-01,500.00,active\n"}))
	if len(s.BranchNames) != 1 || s.BranchNames[0].TakenFor != portfolio.NonLife {
		t.Errorf("a name that is known and no branch's: %v", s.BranchNames)
	}
	b := newBook(t, 4)
	branches := func() string {
		var out []string
		tenant, err := b.Tenant(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.Customer(t.Context(), tenant, "C1")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Aggregate.Policies {
			out = append(out, p.Branch)
		}
		return strings.Join(out, " ")
	}
	rows := policiesHead
	for i, name := range []string{"Zorg", " AOV ", "caravan", "caravan", "huisdier ziektekosten", "Huisplan", "Motor"} {
		rows += fmt.Sprintf("P%d,C1,%s,2020-01-01,500.00,active\n", i, name)
	}
	f := files{portfolio.Customers: one[portfolio.Customers], portfolio.Policies: rows}
	s, _ = load(t, b, f)
	if got, want := branches(), "health disability caravan caravan pet huisplan motor"; got != want {
		t.Errorf("branches are %s, want %s", got, want)
	}
	said := []intake.BranchName{{Name: "caravan", TakenFor: "non_life", Policies: 2}, {Name: "aov", TakenFor: "disability", Policies: 1}, {Name: "huisdier ziektekosten", TakenFor: "pet", Policies: 1}, {Name: "huisplan", TakenFor: "non_life", Policies: 1}, {Name: "zorg", TakenFor: "health", Policies: 1}}
	if diff := cmp.Diff(said, s.BranchNames); diff != "" {
		t.Errorf("said of names:\n%s", diff)
	}
	if err := b.NameBranches(t.Context(), "t", portfolio.BranchNames{"huisplan": "life", "zorg": portfolio.NonLife, "caravan": portfolio.NonLife}); err != nil {
		t.Fatal(err)
	}
	s, report := load(t, b, f)
	if lines := csvLines(report); len(lines) > 0 || len(s.BranchNames) != 2 || s.BranchNames[0].Name != "aov" {
		t.Errorf("%v\n%s", s.BranchNames, report)
	}
	if !strings.HasSuffix(branches(), "motor") || !strings.Contains(branches(), "life") || !strings.Contains(branches(), "zorg") {
		t.Errorf("branches are %s", branches())
	}
	if s, _ := load(t, b, f); s.Customers.Unchanged != 1 {
		t.Errorf("the third time: %+v", s.Customers)
	}
}

// TestRefusalsOfWhatIsNotKnown land with a warning; what is known, and consents, without.
func TestRefusalsOfWhatIsNotKnown(t *testing.T) {
	for consent, warned := range map[string]bool{
		"blorp:all:no": true, "marketing:email:yes|Blorp:phone:no": true, "blorp:all:yes": false, "Marketing:ALL:no": false, "profiling:all:no": false, "": false,
	} {
		_, report := load(t, newBook(t, 4), files{portfolio.Customers: "customer_id,consents\nC1," + consent + "\n"})
		if lines := csvLines(report); (len(lines) == 1 && strings.Contains(lines[0], "taken for a refusal of commercial contact") && strings.Contains(lines[0], "warning") && !strings.Contains(lines[0], "lorp")) != warned || !warned && len(lines) > 0 {
			t.Errorf("%q: %v", consent, lines)
		}
	}
}

// TestAFleetLands: a customer of 2,000 vehicles with ten versions and ten claims each, which is larger
// than a document may be, lands as any other and comes back whole.
func TestAFleetLands(t *testing.T) {
	var policies, claims strings.Builder
	policies.WriteString("policy_id,customer_id,branch,start_date,annual_premium,status,valid_from,recorded_at,attributes\n")
	claims.WriteString(claimsHead)
	for v := range 2000 {
		for y := range 10 {
			fmt.Fprintf(&policies, "P%06d,C1,motor,2016-01-01,%d.00,active,%d-01-01,%d-01-01,licence_plate=V-%06d-%06d\n", v, 500+v+y, 2016+y, 2016+y, v, 7919*v)
			fmt.Fprintf(&claims, "L%06d-%d,P%06d,C1,%d-03-01,%d.00\n", v, y, v, 2016+y, 1+v*104729%9000)
		}
	}
	b := newBook(t, 4)
	fleet := with(files{portfolio.Policies: policies.String(), portfolio.Claims: claims.String()})
	for i, want := range []intake.CustomerCounts{{Created: 1}, {Unchanged: 1}, {Changed: 1}} {
		s, report := load(t, b, fleet)
		if s.Customers != want || len(csvLines(report)) > 0 {
			t.Errorf("import %d: %+v, %s", i, s.Customers, report[:min(len(report), 200)])
		}
		if i == 1 {
			fleet[portfolio.Claims] += "L-NEW,P000005,C1,2025-06-01,12.00\n"
		}
	}
	tenant, err := b.Tenant(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Customer(t.Context(), tenant, "C1")
	if err != nil {
		t.Fatal(err)
	}
	var enc portfolio.Encoder
	if n := len(enc.Append(nil, r.Aggregate)); n <= store.MaxBytes || len(r.Aggregate.Policies) != 20000 || len(r.Aggregate.Claims) != 20001 {
		t.Errorf("%d bytes, %d versions of policies, %d claims", n, len(r.Aggregate.Policies), len(r.Aggregate.Claims))
	}
}
