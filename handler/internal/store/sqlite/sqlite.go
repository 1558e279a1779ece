// Package sqlite keeps documents in one SQLite file, through a driver in pure Go. It
// is the store of `polis local`, of the command line and of tests. Several processes
// may have the file open, and any of them may be killed at any time.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"iter"
	"math/rand/v2"
	"strconv"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/sqlitefile"
	"polis/handler/internal/store"
)

// The rows lie in key order in the tree itself (WITHOUT ROWID), so that a scan reads the
// file in order. Such a tree keeps a row in its page up to a quarter of the page, which
// is why the pages are large: bodies are mostly 0.5 to 3 KiB, and one that does not fit
// costs a chain of overflow pages.
var format = sqlitefile.Format{
	Name: "store", ID: 0x506f5374, Version: 1, PageSize: 16384, // "PoSt"
	Schema: `
CREATE TABLE documents (
	tenant  TEXT    NOT NULL,
	bucket  INTEGER NOT NULL,
	key     TEXT    NOT NULL,
	etag    INTEGER NOT NULL,
	expires INTEGER NOT NULL, -- milliseconds since 1970; 0: never
	body    BLOB    NOT NULL,
	PRIMARY KEY (tenant, bucket, key)
) WITHOUT ROWID, STRICT;
CREATE INDEX expiring ON documents (expires) WHERE expires > 0`,
}

// Store implements store.Store.
type Store struct {
	file *sqlitefile.File
	now  func() time.Time
}

var _ store.Store = (*Store)(nil)

// Option changes how a store is opened.
type Option func(*Store)

// WithClock makes the store tell by this clock what has expired.
func WithClock(now func() time.Time) Option { return func(s *Store) { s.now = now } }

// Open opens the file, making it and its folder where they are missing. A file that is
// no store or one of a newer format is fault.Unconfigured.
func Open(path string, options ...Option) (*Store, error) {
	file, err := sqlitefile.Open(path, format)
	if err != nil {
		return nil, err
	}
	s := &Store{file, time.Now}
	for _, o := range options {
		o(s)
	}
	return s, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, p store.Partition, key string) (store.Document, error) {
	d := store.Document{Key: key}
	var etag, expires int64
	found, err := s.file.Row(ctx, []any{&etag, &expires, &d.Body}, `SELECT etag, expires, body FROM documents
		WHERE tenant = ? AND bucket = ? AND key = ? AND (expires = 0 OR expires > ?)`,
		p.Tenant, p.Bucket, key, s.now().UnixMilli())
	if err != nil {
		return store.Document{}, s.file.Fault(err, "reading a document")
	}
	if !found {
		return store.Document{}, fault.New(fault.NotFound, "no such document")
	}
	d.ETag, d.Expires = formatETag(etag), instant(expires)
	return d, nil
}

// GetMany implements store.Store: one statement, whose keys go in as JSON.
func (s *Store) GetMany(ctx context.Context, p store.Partition, keys []string) ([]store.Document, error) {
	if err := store.CheckKeys(keys); err != nil || len(keys) == 0 {
		return nil, err
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "reading documents")
	}
	rows, err := s.file.Query(ctx, `SELECT key, etag, expires, body FROM documents
		WHERE tenant = ? AND bucket = ? AND key IN (SELECT value FROM json_each(?)) AND (expires = 0 OR expires > ?) ORDER BY key`,
		p.Tenant, p.Bucket, string(list), s.now().UnixMilli())
	if err != nil {
		return nil, s.file.Fault(err, "reading documents")
	}
	defer rows.Close()
	var docs []store.Document
	for rows.Next() {
		var d store.Document
		var etag, expires int64
		if err := rows.Scan(&d.Key, &etag, &expires, &d.Body); err != nil {
			return nil, s.file.Fault(err, "reading documents")
		}
		d.ETag, d.Expires = formatETag(etag), instant(expires)
		docs = append(docs, d)
	}
	return docs, s.file.Fault(rows.Err(), "reading documents")
}

func instant(milliseconds int64) time.Time {
	if milliseconds == 0 {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds).UTC()
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 1) // 0 would be never
}

// A scan reads this much at a time and holds the page while the caller works through
// it. A read that stayed open all along would keep the WAL from starting over.
const (
	pageRows  = 256
	pageBytes = 1 << 20
)

// Scan implements store.Store. A body shares its memory with few others of its page, so
// what is kept for long is better copied.
func (s *Store) Scan(ctx context.Context, p store.Partition, prefix, after string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		// Keys are UTF-8, in which no byte is 0xff; and nothing sorts between a key
		// and the same with a zero byte.
		from, end := prefix, prefix+"\xff"
		if after >= prefix {
			from = after + "\x00"
		}
		var page page
		for more := true; more; {
			var err error
			if more, err = s.read(ctx, &page, p, from, end); err != nil {
				yield(store.Document{}, s.file.Fault(err, "scanning"))
				return
			}
			for i := range page.docs {
				if !yield(page.docs[i], nil) {
					return
				}
			}
			if more {
				from = page.docs[len(page.docs)-1].Key + "\x00"
			}
		}
	}
}

// page is what one read of a scan got.
type page struct {
	docs []store.Document
	slab []byte // has room for the next bodies
}

// slabBytes is small enough that a body kept by a caller does not keep much else.
const slabBytes = 16 << 10

func (p *page) copyOf(body []byte) []byte {
	if len(body) > slabBytes/8 {
		return append([]byte(nil), body...)
	}
	if len(p.slab)+len(body) > cap(p.slab) {
		p.slab = make([]byte, 0, slabBytes)
	}
	start := len(p.slab)
	p.slab = append(p.slab, body...)
	return p.slab[start:len(p.slab):len(p.slab)] // an append to it must not reach the next
}

// read fills the page with the documents from from on and before end. It reports
// whether there may be more of them.
func (s *Store) read(ctx context.Context, page *page, p store.Partition, from, end string) (more bool, err error) {
	page.docs = page.docs[:0]
	rows, err := s.file.Query(ctx, `SELECT key, etag, expires, body FROM documents
		WHERE tenant = ? AND bucket = ? AND key >= ? AND key < ? AND (expires = 0 OR expires > ?) ORDER BY key LIMIT ?`,
		p.Tenant, p.Bucket, from, end, s.now().UnixMilli(), pageRows)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	var (
		key           string
		etag, expires int64
		body          sql.RawBytes
		dest          = []any{&key, &etag, &expires, &body}
	)
	for bytes := 0; bytes < pageBytes; bytes += len(body) {
		if !rows.Next() {
			return len(page.docs) == pageRows, rows.Err()
		}
		if err := rows.Scan(dest...); err != nil {
			return false, err
		}
		page.docs = append(page.docs, store.Document{Key: key, Body: page.copyOf(body), ETag: formatETag(etag), Expires: instant(expires)})
	}
	return true, nil
}

// formatETag shows an ETag. ETags are drawn at random for every batch: a counter in the
// row would begin anew, and an old ETag fit again, when a document is deleted and
// created; and a counter for the whole file would be a page more to write every time.
func formatETag(etag int64) string { return strconv.FormatInt(etag, 36) }

// Write implements store.Store.
func (s *Store) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if err := store.Check(ops); err != nil || len(ops) == 0 {
		return err
	}
	etag, now := rand.Int64(), s.now().UnixMilli()
	return s.file.Fault(s.file.Write(ctx, func(tx sqlitefile.Tx) error {
		for i := range ops {
			if err := apply(tx, p, &ops[i], etag, now); err != nil {
				return err
			}
		}
		return nil
	}), "writing")
}

func apply(tx sqlitefile.Tx, p store.Partition, op *store.Op, etag, now int64) error {
	body, expires := op.Body, milliseconds(op.Expires)
	if body == nil {
		body = []byte{} // nil would be NULL
	}
	var changed int64
	var err error
	switch op.Verb {
	case store.Put:
		changed, err = tx.Exec(`INSERT INTO documents (tenant, bucket, key, etag, expires, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET etag = excluded.etag, expires = excluded.expires, body = excluded.body`,
			p.Tenant, p.Bucket, op.Key, etag, expires, body)
	case store.Create:
		// What has expired is not there, so something new may take its place.
		changed, err = tx.Exec(`INSERT INTO documents (tenant, bucket, key, etag, expires, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET etag = excluded.etag, expires = excluded.expires, body = excluded.body
			WHERE documents.expires > 0 AND documents.expires <= ?`,
			p.Tenant, p.Bucket, op.Key, etag, expires, body, now)
	case store.Replace:
		old, unknown := strconv.ParseInt(op.ETag, 36, 64)
		if unknown != nil {
			return fault.New(fault.Conflict, "a document is not the one that was read")
		}
		changed, err = tx.Exec(`UPDATE documents SET etag = ?, expires = ?, body = ?
			WHERE tenant = ? AND bucket = ? AND key = ? AND etag = ? AND (expires = 0 OR expires > ?)`,
			etag, expires, body, p.Tenant, p.Bucket, op.Key, old, now)
	case store.Delete:
		_, err = tx.Exec(`DELETE FROM documents WHERE tenant = ? AND bucket = ? AND key = ?`, p.Tenant, p.Bucket, op.Key)
		return err
	default:
		return fault.New(fault.Invalid, "an operation of unknown kind")
	}
	if err == nil && changed == 0 {
		return fault.New(fault.Conflict, "a document exists already, or is not the one that was read")
	}
	return err
}

// purgeRows is how much Purge deletes at a time: other writers must get their turn.
const purgeRows = 500

// Purge deletes what has expired and says how many documents that were. Nobody sees
// them meanwhile: it only gives their room back for others.
func (s *Store) Purge(ctx context.Context) (int, error) {
	now := s.now().UnixMilli()
	total := 0
	for {
		var n int64
		err := s.file.Write(ctx, func(tx sqlitefile.Tx) (err error) {
			n, err = tx.Exec(`DELETE FROM documents WHERE (tenant, bucket, key) IN
				(SELECT tenant, bucket, key FROM documents WHERE expires > 0 AND expires <= ? LIMIT ?)`, now, purgeRows)
			return err
		})
		if total += int(n); err != nil || n < purgeRows {
			return total, s.file.Fault(err, "purging")
		}
	}
}

// Close closes the file.
func (s *Store) Close() error { return s.file.Close() }
