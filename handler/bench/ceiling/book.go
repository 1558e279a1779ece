package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"polis/handler/bench/made"
	"polis/handler/internal/book"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/sample"
	"polis/handler/internal/train"
)

// A made book has twelve parts by household, of as many customers each: ten portfolios that
// are learnt from, one by one and all together, and two that are judged on.
const (
	portfolios = 10
	parts      = 12
)

// parted is a book in parts, as its store has it, and the truth of the two that are judged on.
type parted struct {
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
func makeBook(ctx context.Context, dir string, o sample.Options) (*parted, error) {
	o.Dir = filepath.Join(dir, "csv")
	if _, err := sample.Write(ctx, o); err != nil {
		return nil, err
	}
	m := &parted{}
	m.asOf, _ = portfolio.ParseDate(o.AsOf)
	b, err := made.Import(ctx, o.Dir, dir, book.DefaultBuckets, m.asOf)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	for rel, err := range b.Relations(ctx) {
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
	return m, nil
}

// source yields the relations of some parts, of every nth household.
func (m *parted) source(nth int, of ...int) train.Source {
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
	judged := func(file io.Reader, do func(*made.Row)) error {
		return made.Read(file, func(r *made.Row) error {
			part, _, err := partOf(r.Text("customer_id"))
			if err == nil && judgedOn(part) {
				do(r)
			}
			return err
		})
	}
	err := judged(files[sample.TruthPoliciesFile], func(r *made.Row) {
		t.policies[r.Text("policy_id")] = policyTruth{r.Number("exposure"), r.Number("expected_claims"), r.Number("expected_loss"), r.Number("lapse")}
	})
	if err != nil {
		return nil, err
	}
	return t, judged(files[sample.TruthCustomersFile], func(r *made.Row) {
		c := customerTruth{all: r.Number("lapse_all"), essential: r.Number("lapse_essential"), purchase: map[string]float64{}}
		for pair := range strings.SplitSeq(r.Text("purchase"), "|") {
			if branch, p, ok := strings.Cut(pair, "="); ok {
				c.purchase[branch] = r.Parse(p)
			}
		}
		t.customers[r.Text("customer_id")] = c
	})
}

type sink struct{ io.Writer }

func (sink) Close() error { return nil }
