// Package made takes four tables in as an import would, for benchmarks of books that are made
// or public, and reads what is known to be true of a made one.
package made

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/hindsight"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/store/sqlite"
	"polis/handler/internal/train"
)

// Book is a tenant's book in a store of its own, which Close closes.
type Book struct {
	book   *book.Book
	tenant book.Tenant
	store  *sqlite.Store
}

// Import takes the tables of a folder in, as of a date, into a store in the folder dir, with so
// many buckets: relations come bucket by bucket.
func Import(ctx context.Context, tables, dir string, buckets int, asOf portfolio.Date) (*Book, error) {
	s, err := sqlite.Open(filepath.Join(dir, "store.db"))
	if err != nil {
		return nil, err
	}
	b := &Book{book.New(s), book.Tenant{ID: "t", Buckets: buckets, Created: time.Unix(0, 0)}, s}
	if err := hindsight.Load(ctx, b.book, b.tenant, tables, dir, asOf); err != nil {
		_ = s.Close() // the first error is the one to tell
		return nil, err
	}
	return b, nil
}

// Close closes the store.
func (b *Book) Close() error { return b.store.Close() }

// Relations yields all relations. What is yielded is good until the next.
func (b *Book) Relations(ctx context.Context) iter.Seq2[*book.Relation, error] {
	return Relations(ctx, b.book, b.tenant)
}

// Relations yields all relations of a tenant.
func Relations(ctx context.Context, b *book.Book, t book.Tenant) iter.Seq2[*book.Relation, error] {
	return func(yield func(*book.Relation, error) bool) {
		for bucket := range t.Buckets {
			for rel, err := range b.Relations(ctx, t, bucket, nil) {
				if !yield(rel, err) || err != nil {
					return
				}
			}
		}
	}
}

// Source is the relations that are kept, for a training; nil keeps all.
func Source(relations func(context.Context) iter.Seq2[*book.Relation, error], keep func(key string) bool) train.Source {
	return func(ctx context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(yield func([]*portfolio.Aggregate, error) bool) {
			for rel, err := range relations(ctx) {
				if err != nil {
					yield(nil, err)
					return
				}
				if keep != nil && !keep(rel.Key) {
					continue
				}
				var members []*portfolio.Aggregate
				for _, m := range rel.Members {
					members = append(members, m.Aggregate)
				}
				if !yield(members, nil) {
					return
				}
			}
		}
	}
}

// All is all relations, in memory.
func (b *Book) All(ctx context.Context) (out [][]*portfolio.Aggregate, err error) {
	for rel, err := range b.Relations(ctx) {
		if err != nil {
			return nil, err
		}
		var members []*portfolio.Aggregate
		for _, one := range rel.Members {
			var d portfolio.Decoder // one each, since they are kept
			a, err := d.Decode(slices.Clone(one.Body))
			if err != nil {
				return nil, err
			}
			members = append(members, a)
		}
		out = append(out, members)
	}
	return out, nil
}

// Row is a row of a file of what is true of a made book.
type Row struct {
	head, cells []string
	err         error
}

// Text is the value of a column that the file has.
func (r *Row) Text(name string) string { return r.cells[slices.Index(r.head, name)] }

// Number is a column's number; what is none ends the reading.
func (r *Row) Number(name string) float64 { return r.Parse(r.Text(name)) }

// Parse is a part of a column as a number.
func (r *Row) Parse(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if r.err == nil {
		r.err = err
	}
	return v
}

// Read gives the rows of a file to do, one by one.
func Read(file io.Reader, do func(*Row) error) error {
	in := csv.NewReader(file)
	head, err := in.Read()
	r := Row{head: head}
	for err == nil {
		if r.cells, err = in.Read(); err != nil {
			break
		}
		if err = do(&r); err == nil {
			err = r.err
		}
	}
	if err != io.EOF {
		return fmt.Errorf("reading the truth: %w", err)
	}
	return nil
}

// ReadFile is Read of a file by its path.
func ReadFile(path string, do func(*Row) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	return Read(f, do)
}
