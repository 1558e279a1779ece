package intake_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/intake"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

// made writes the four tables of n customers: 2.4 policies in three versions each, a
// claim for every fourth policy in two versions, 1.5 contacts.
func made(n int) files {
	var c, p, l, k strings.Builder
	c.WriteString("customer_id,birth_year,postcode,region,segment,household_id,origin,advisor_id,consents,objects_to_profiling,recorded_at\n")
	p.WriteString("policy_id,customer_id,branch,start_date,end_date,contract_end,notice_months,product,carrier,channel,annual_premium,commission_rate,sum_insured,deductible,payment_frequency,status,end_reason,attributes,valid_from,recorded_at,mutation_reason\n")
	l.WriteString("claim_id,policy_id,customer_id,loss_date,reported_date,settled_date,cover,at_fault,paid,reserve,recovered,status,recorded_at\n")
	k.WriteString("customer_id,contacted_at,direction,channel,reason,resolved_at,sentiment,employee\n")
	branches := []string{"motor", "liability", "contents", "building", "legal"}
	for i := range n {
		id := fmt.Sprintf("C%07d", i*7919%n)
		fmt.Fprintf(&c, "%s,%d,%d AB,region %d,private,H%06d,broker,A%d,marketing:email:yes:web:2021-05-0%d,no,2021-0%d-15\n",
			id, 1940+i%60, 1000+i%8999, i%12, i/2, i%40, 1+i%9, 1+i%9)
		for j := range 2 + (i%5)/3 {
			for v := range 3 {
				fmt.Fprintf(&p, "P%07d-%d,%s,%s,2020-0%d-01,,202%d-0%d-01,1,product %d,carrier %d,mandated,%d.%02d,0.%02d,%d,%d,12,active,,km=%d|bm=%d|fuel=petrol,202%d-0%d-01,202%d-0%d-03,indexation\n",
					i, j, id, branches[(i+j)%5], 1+i%9, 4+v, 1+i%9, j, i%14, 200+i%700+v*17, i%100, 10+i%15, 1000*(i%300), 50*(i%7), 1000*(i%30), i%15, 3+v, 1+i%9, 3+v, 1+i%9)
			}
			if i%2 == 0 && j == 0 {
				for v := range 2 {
					fmt.Fprintf(&l, "L%07d-%d,P%07d-%d,%s,2022-0%d-11,2022-0%d-14,%s,liability,%s,%d.50,%d,0,%s,202%d-01-01\n",
						i, j, i, j, id, 1+i%9, 1+i%9, []string{"", "2023-12-01"}[v], []string{"yes", "no"}[i/2%2], 300*v+i%1000, 500*(1-v), []string{"open", "closed"}[v], 3+v)
				}
			}
		}
		for j := range 1 + i%2 {
			fmt.Fprintf(&k, "%s,2024-0%d-1%dT1%d:05:00Z,in,phone,question,,0.%d,E%d\n", id, 1+i%9, j, i%10, i%10, i%50)
		}
	}
	return files{portfolio.Customers: c.String(), portfolio.Policies: p.String(), portfolio.Claims: l.String(), portfolio.Contacts: k.String()}
}

const benchCustomers = 20000

func BenchmarkImport(b *testing.B) {
	f := made(benchCustomers)
	b.ReportAllocs()
	for b.Loop() {
		bk := newBook(b, book.DefaultBuckets)
		o := intake.Options{Tenant: "t", AsOf: asOf, Scratch: b.TempDir(), Files: make(map[portfolio.Table]intake.Source), Report: io.Discard}
		for table, text := range f {
			o.Files[table] = source(table.String()+".csv", text)
		}
		var at time.Time
		stages := map[string]time.Duration{}
		last := ""
		o.Progress = func(stage string, _, _ int64) {
			now := time.Now()
			if last != "" {
				stages[last] += now.Sub(at)
			}
			at, last = now, stage
		}
		s, err := intake.Import(context.Background(), bk, o)
		if err != nil || s.Customers.Created != benchCustomers || len(s.Reasons) > 0 {
			b.Fatal(s, err)
		}
		for stage, d := range stages {
			b.ReportMetric(float64(d.Microseconds())/benchCustomers, stage+"-µs/customer")
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/benchCustomers*1e6, "µs/customer")
}

// BenchmarkFloor parses the same files with encoding/csv and inserts the same bytes.
func BenchmarkFloor(b *testing.B) {
	f := made(benchCustomers)
	bk := newBook(b, book.DefaultBuckets)
	load(b, bk, f)
	var bodies [][]byte
	tenant, _ := bk.Tenant(context.Background(), "t")
	for bucket := range tenant.Buckets {
		for r, err := range bk.Relations(context.Background(), tenant, bucket, nil) {
			if err != nil {
				b.Fatal(err)
			}
			for _, m := range r.Members {
				bodies = append(bodies, append([]byte(nil), m.Body...))
			}
		}
	}
	size := 0
	for _, body := range bodies {
		size += len(body)
	}
	for b.Loop() {
		s, err := sqlite.Open(filepath.Join(b.TempDir(), "floor.db"))
		if err != nil {
			b.Fatal(err)
		}
		for _, text := range f {
			r := csv.NewReader(strings.NewReader(text))
			r.ReuseRecord = true
			for {
				if _, err := r.Read(); err != nil {
					break
				}
			}
		}
		ops := make([]store.Op, 0, store.MaxOps)
		for i, body := range bodies {
			ops = append(ops, store.Op{Document: store.Document{Key: fmt.Sprintf("b%09d", i), Body: body}})
			if len(ops) == store.MaxOps || i == len(bodies)-1 {
				if err := s.Write(context.Background(), store.Partition{Tenant: "t"}, ops); err != nil {
					b.Fatal(err)
				}
				ops = ops[:0]
			}
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/benchCustomers*1e6, "µs/customer")
	b.ReportMetric(float64(size)/float64(len(bodies)), "bytes/aggregate")
}
