package intake_test

import (
	"context"
	"path/filepath"
	"testing"

	"polis/handler/internal/book"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

func BenchmarkZZ(b *testing.B) {
	f := made(benchCustomers)
	dir := b.TempDir()
	s0, _ := sqlite.Open(filepath.Join(dir, "a.db"))
	bk := book.New(s0)
	bk.CreateTenant(context.Background(), book.Tenant{ID: "t", Buckets: 64})
	load(b, bk, f)
	var places, aggs [64][]store.Op
	for k := range 64 {
		for d, err := range s0.Scan(context.Background(), store.Partition{Tenant: "t", Bucket: k}, "", "") {
			if err != nil {
				b.Fatal(err)
			}
			op := store.Op{Document: store.Document{Key: d.Key, Body: d.Body}}
			if d.Key[0] == 'p' {
				places[k] = append(places[k], op)
			} else {
				aggs[k] = append(aggs[k], op)
			}
		}
	}
	write := func(s store.Store, list [64][]store.Op, verb store.Verb) {
		for k, ops := range list {
			for len(ops) > 0 {
				n := min(100, len(ops))
				for i := range ops[:n] {
					ops[i].Verb = verb
				}
				if err := s.Write(context.Background(), store.Partition{Tenant: "t", Bucket: k}, ops[:n]); err != nil {
					b.Fatal(err)
				}
				ops = ops[n:]
			}
		}
	}
	for _, c := range []struct {
		name   string
		verb   store.Verb
		places bool
	}{{"put", store.Put, false}, {"create", store.Create, false}, {"places-put", store.Put, true}, {"places-create", store.Create, true}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s, _ := sqlite.Open(filepath.Join(b.TempDir(), "floor.db"))
				if c.places {
					write(s, places, store.Put)
				}
				b.StartTimer()
				write(s, aggs, c.verb)
				b.StopTimer()
				s.Close()
				b.StartTimer()
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/benchCustomers*1e6, "µs/customer")
		})
	}
}
