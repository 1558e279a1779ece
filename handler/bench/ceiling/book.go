package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/intake"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/sample"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
)

// A made book has twelve parts by household, of as many customers each: ten portfolios that
// are learnt from, one by one and all together, and two that are judged on.
const (
	portfolios = 10
	parts      = 12
)

// made is a book in parts, as its store has it, and the truth of the two that are judged on.
type made struct {
	asOf  portfolio.Date
	parts [parts][]family
}

// family is a relation: its household's number among its part's, and its members, encoded.
type family struct {
	no      int
	members [][]byte
}

// truth is what the world knows of the year from a date.
type truth struct {
	policies  map[string]policyTruth
	customers map[string]customerTruth
}

type policyTruth struct{ exposure, claims, loss, lapse float64 }

type customerTruth struct {
	all, essential float64            // that all policies lapse, that all essential ones do
	purchase       map[string]float64 // by branch
}

// partOf is the part of a household and its number in it, by that in its customers' ids.
func partOf(customer string) (part, no int, err error) {
	digits, _, _ := strings.Cut(strings.TrimPrefix(customer, "C"), "-")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the household of a customer: %w", err)
	}
	return n % parts, n / parts, nil
}

// judgedOn reports whether a part is not learnt from.
func judgedOn(part int) bool { return part >= portfolios }

// makeBook makes a sample and takes it in as an import would.
func makeBook(ctx context.Context, dir string, o sample.Options) (*made, error) {
	o.Dir = filepath.Join(dir, "csv")
	if _, err := sample.Write(ctx, o); err != nil {
		return nil, err
	}
	m := &made{}
	m.asOf, _ = portfolio.ParseDate(o.AsOf)
	s, err := sqlite.Open(filepath.Join(dir, "store.db"))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	b, tenant := book.New(s), book.Tenant{ID: "t", Buckets: book.DefaultBuckets, Created: time.Unix(0, 0)}
	if err := b.CreateTenant(ctx, tenant); err != nil {
		return nil, err
	}
	tables := map[portfolio.Table]intake.Source{}
	for _, table := range portfolio.Tables {
		path := filepath.Join(o.Dir, table.String()+".csv")
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		tables[table] = intake.Source{Name: table.String(), Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	}
	if _, err := intake.Import(ctx, b, intake.Options{Tenant: tenant.ID, AsOf: m.asOf, Files: tables, Scratch: dir}); err != nil {
		return nil, err
	}
	for bucket := range tenant.Buckets {
		for rel, err := range b.Relations(ctx, tenant, bucket, nil) {
			if err != nil {
				return nil, err
			}
			var members [][]byte
			for _, one := range rel.Members {
				members = append(members, slices.Clone(one.Body))
			}
			part, no, err := partOf(rel.Members[0].Aggregate.ID())
			if err != nil {
				return nil, err
			}
			m.parts[part] = append(m.parts[part], family{no, members})
		}
	}
	return m, nil
}

// source yields the relations of some parts, of every nth household.
func (m *made) source(nth int, of ...int) train.Source {
	return func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			var decoders []*portfolio.Decoder
			var members []*portfolio.Aggregate
			for _, part := range of {
				for _, f := range m.parts[part] {
					if f.no%nth != 0 {
						continue
					}
					members = members[:0]
					for i, body := range f.members {
						if i == len(decoders) {
							decoders = append(decoders, &portfolio.Decoder{})
						}
						a, err := decoders[i].Decode(body)
						if err != nil {
							yield(nil, err)
							return
						}
						members = append(members, a)
					}
					if !yield(members, nil) {
						return
					}
				}
			}
		}
	}
}

// tell makes the sample once more for the truth of those that are judged on, so many years
// before the book's last day.
func tell(ctx context.Context, o sample.Options, years int) (*truth, error) {
	files := map[string]*bytes.Buffer{sample.TruthPoliciesFile: {}, sample.TruthCustomersFile: {}}
	o.Truth, o.Told = true, years
	o.Open = func(name string) (io.WriteCloser, error) {
		if b := files[name]; b != nil {
			return sink{b}, nil
		}
		return sink{io.Discard}, nil
	}
	if _, err := sample.Write(ctx, o); err != nil {
		return nil, err
	}
	t := &truth{policies: map[string]policyTruth{}, customers: map[string]customerTruth{}}
	err := read(files[sample.TruthPoliciesFile], func(r *record) {
		t.policies[r.text("policy_id")] = policyTruth{r.number("exposure"), r.number("expected_claims"), r.number("expected_loss"), r.number("lapse")}
	})
	if err != nil {
		return nil, err
	}
	return t, read(files[sample.TruthCustomersFile], func(r *record) {
		c := customerTruth{all: r.number("lapse_all"), essential: r.number("lapse_essential"), purchase: map[string]float64{}}
		for pair := range strings.SplitSeq(r.text("purchase"), "|") {
			if branch, p, ok := strings.Cut(pair, "="); ok {
				c.purchase[branch] = r.parse(p)
			}
		}
		t.customers[r.text("customer_id")] = c
	})
}

type sink struct{ io.Writer }

func (sink) Close() error { return nil }

// record is a row of a truth's file.
type record struct {
	head, row []string
	err       error
}

// read gives the rows to do that are judged on.
func read(file io.Reader, do func(*record)) error {
	in := csv.NewReader(file)
	head, err := in.Read()
	r := record{head: head}
	for err == nil {
		if r.row, err = in.Read(); err != nil {
			break
		}
		var part int
		if part, _, err = partOf(r.text("customer_id")); err == nil && judgedOn(part) {
			do(&r)
			err = r.err
		}
	}
	if err != io.EOF {
		return fmt.Errorf("reading the truth: %w", err)
	}
	return nil
}

func (r *record) text(name string) string { return r.row[slices.Index(r.head, name)] }

func (r *record) number(name string) float64 { return r.parse(r.text(name)) }

func (r *record) parse(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	r.err = cmp.Or(r.err, err)
	return v
}
