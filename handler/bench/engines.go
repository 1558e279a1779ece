package main

import (
	"fmt"
	"path/filepath"
	"time"

	"polis/handler/internal/blob/folder"
	"polis/handler/internal/book"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/registry"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
)

// policies is how many the customers of engines have in force.
const policies = 5

// engines measures what all five take for a customer by itself with five policies in
// force, from the aggregate to scores with their reasons, on one core and in memory; and
// with the JSON of all five.
func (b *bench) engines(p *prepared) error {
	blobs, err := folder.Open(filepath.Join(p.dir, "blobs"))
	if err != nil {
		return err
	}
	defer blobs.Close()
	m, err := registry.New(blobs, time.Now).Current(b.ctx, tenantID)
	if err != nil {
		return err
	}
	var subjects [][]scoring.Subject
	err = with(p.dir, func(_ store.Store, bk *book.Book) error {
		for bucket := range p.tenant.Buckets {
			for rel, err := range bk.Relations(b.ctx, p.tenant, bucket, nil) {
				if err != nil {
					return err
				}
				if member := rel.Members[0]; len(rel.Members) == 1 && inForce(member.Aggregate, m.Ends) == policies {
					subjects = append(subjects, []scoring.Subject{{Aggregate: member.Aggregate, Body: member.Body}})
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(subjects) == 0 {
		return fmt.Errorf("nobody has %d policies", policies)
	}
	scorer, err := scoring.New(m)
	if err != nil {
		return err
	}
	all, at := scoring.NewSet(scoring.Engines...), asOf.Time()
	var buf []byte
	once := func(render bool) float64 {
		started := time.Now()
		for _, s := range subjects {
			sheets := scorer.Relation(s, asOf, all)
			buf = buf[:0]
			for _, e := range scoring.Engines {
				if render {
					buf = sheets[0].AppendJSON(buf, e, tenantID, at)
				}
			}
		}
		return 1e6 * time.Since(started).Seconds() / float64(len(subjects))
	}
	once(true) // buffers grow
	var scored, rendered []float64
	for range 21 {
		scored, rendered = append(scored, once(false)), append(rendered, once(true))
	}
	b.atMost("five engines, a customer with five policies", median(scored), 100, "µs", fmt.Sprintf("%.0f µs with the JSON of all five; %d customers", median(rendered), len(subjects)))
	return nil
}

func inForce(a *portfolio.Aggregate, ends portfolio.EndTable) int {
	var v portfolio.View
	v.Reset(a, asOf, ends)
	n := 0
	for i := range v.Policies {
		if v.Policies[i].InForce(asOf) {
			n++
		}
	}
	return n
}
