// Package sqlite keeps documents in one SQLite file, through a driver in pure Go. It
// is the store of `polis local`, of the command line and of tests. Several processes
// may have the file open, and any of them may be killed at any time.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// version is that of the file's layout, kept in SQLite's user_version.
const version = 1

// Pages of 8 KiB hold several documents of the usual size, 0.5 to 2 KiB, without
// overflow pages, which a WITHOUT ROWID table has from a quarter of a page on.
const schema = `
CREATE TABLE IF NOT EXISTS documents (
	tenant  TEXT    NOT NULL,
	bucket  INTEGER NOT NULL,
	key     TEXT    NOT NULL,
	rev     INTEGER NOT NULL,
	expires INTEGER NOT NULL, -- seconds since 1970; 0: never
	body    BLOB    NOT NULL,
	PRIMARY KEY (tenant, bucket, key)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS expiring ON documents (expires) WHERE expires > 0;
`

// A WAL is read from its beginning when the file is opened after a kill, so it is kept
// short: it is moved into the file every 4 MiB and cut back to that.
const (
	walPages = 512
	walBytes = 4 << 20
)

// Store implements store.Store.
type Store struct {
	write *sql.DB // one connection: SQLite has one writer at a time
	read  *sql.DB
	now   func() time.Time

	get, page                    *sql.Stmt
	put, create, replace, remove *sql.Stmt
}

var _ store.Store = (*Store)(nil)

// Open opens the file, making it and its folder where they are missing. A file of a
// newer layout is fault.Unconfigured.
func Open(path string) (*Store, error) { return open(path, time.Now) }

func open(path string, now func() time.Time) (_ *Store, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "making the store's folder")
	}
	s := &Store{now: now}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	// A killed process loses nothing with synchronous=NORMAL: what was committed is in
	// the operating system's hands. A power cut may lose the last commits, not more.
	pragmas := url.Values{"_pragma": {
		"busy_timeout(30000)", "page_size(8192)", "journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-8192)",
		fmt.Sprintf("wal_autocheckpoint(%d)", walPages), fmt.Sprintf("journal_size_limit(%d)", walBytes),
	}, "_txlock": {"immediate"}}
	dsn := "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + pragmas.Encode()
	if s.write, err = sql.Open("sqlite", dsn); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening the store")
	}
	s.write.SetMaxOpenConns(1)
	var have int
	if err := s.write.QueryRow("PRAGMA user_version").Scan(&have); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening the store")
	}
	switch {
	case have > version:
		return nil, fault.New(fault.Unconfigured, "the store has layout %d, this program knows up to %d", have, version)
	case have < version:
		if _, err := s.write.Exec(schema + fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
			return nil, fault.Wrap(fault.Unconfigured, err, "preparing the store")
		}
	}
	if s.read, err = sql.Open("sqlite", dsn+"&_query_only=1"); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening the store")
	}
	s.read.SetMaxOpenConns(8)
	s.read.SetMaxIdleConns(4)
	return s, s.prepare()
}

func (s *Store) prepare() error {
	for _, p := range []struct {
		stmt **sql.Stmt
		db   *sql.DB
		text string
	}{
		{&s.get, s.read, `SELECT rev, expires, body FROM documents
			WHERE tenant = ? AND bucket = ? AND key = ? AND (expires = 0 OR expires > ?)`},
		{&s.page, s.read, `SELECT key, rev, expires, body FROM documents
			WHERE tenant = ? AND bucket = ? AND key > ? AND key < ? AND (expires = 0 OR expires > ?) ORDER BY key LIMIT ?`},
		{&s.put, s.write, `INSERT INTO documents (tenant, bucket, key, rev, expires, body) VALUES (?, ?, ?, 1, ?, ?)
			ON CONFLICT DO UPDATE SET rev = rev + 1, expires = excluded.expires, body = excluded.body`},
		// What has expired is not there, so a create may take its place.
		{&s.create, s.write, `INSERT INTO documents (tenant, bucket, key, rev, expires, body) VALUES (?, ?, ?, 1, ?, ?)
			ON CONFLICT DO UPDATE SET rev = rev + 1, expires = excluded.expires, body = excluded.body
			WHERE documents.expires > 0 AND documents.expires <= ?`},
		{&s.replace, s.write, `UPDATE documents SET rev = rev + 1, expires = ?, body = ?
			WHERE tenant = ? AND bucket = ? AND key = ? AND rev = ? AND (expires = 0 OR expires > ?)`},
		{&s.remove, s.write, `DELETE FROM documents WHERE tenant = ? AND bucket = ? AND key = ?`},
	} {
		var err error
		if *p.stmt, err = p.db.Prepare(p.text); err != nil {
			return fault.Wrap(fault.Unconfigured, err, "preparing the store")
		}
	}
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, p store.Partition, key string) (store.Document, error) {
	d := store.Document{Key: key}
	var rev, expires int64
	err := s.get.QueryRowContext(ctx, p.Tenant, p.Bucket, key, s.now().Unix()).Scan(&rev, &expires, &d.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Document{}, fault.New(fault.NotFound, "no such document")
	}
	if err != nil {
		return store.Document{}, wrap(err, "reading a document")
	}
	d.ETag, d.Expires = strconv.FormatInt(rev, 10), instant(expires)
	return d, nil
}

func instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// pageRows is how much of a scan is read at a time. A read that stayed open for a whole
// scan would keep the WAL from being cut back, and it would grow without end.
const pageRows = 256

// Scan implements store.Store.
func (s *Store) Scan(ctx context.Context, p store.Partition, prefix, after string) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		end := prefixEnd(prefix)
		after := after
		if after < prefix {
			// The key that equals the prefix belongs to the scan; nothing sorts between
			// it and the key before.
			d, ok, err := store.GetOr(ctx, s, p, prefix)
			if err != nil || ok && !yield(d, nil) {
				if err != nil {
					yield(store.Document{}, err)
				}
				return
			}
			after = prefix
		}
		page := make([]store.Document, 0, pageRows)
		for {
			var err error
			if page, err = s.readPage(ctx, page[:0], p, after, end); err != nil {
				yield(store.Document{}, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			after = page[len(page)-1].Key
		}
	}
}

// prefixEnd is a text above all that begin with the prefix. Keys are UTF-8, in which
// no byte is 0xff.
func prefixEnd(prefix string) string { return prefix + "\xff" }

func (s *Store) readPage(ctx context.Context, page []store.Document, p store.Partition, after, end string) ([]store.Document, error) {
	rows, err := s.page.QueryContext(ctx, p.Tenant, p.Bucket, after, end, s.now().Unix(), pageRows)
	if err != nil {
		return nil, wrap(err, "scanning")
	}
	defer rows.Close()
	for rows.Next() {
		var (
			d            store.Document
			rev, expires int64
		)
		if err := rows.Scan(&d.Key, &rev, &expires, &d.Body); err != nil {
			return nil, wrap(err, "scanning")
		}
		d.ETag, d.Expires = strconv.FormatInt(rev, 10), instant(expires)
		page = append(page, d)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(err, "scanning")
	}
	return page, nil
}

// Write implements store.Store.
func (s *Store) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if err := store.Check(ops); err != nil || len(ops) == 0 {
		return err
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return wrap(err, "beginning a write")
	}
	if err := s.apply(ctx, tx, p, ops); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return wrap(tx.Commit(), "committing a write")
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) { // the context's end has rolled it back
		return nil
	}
	return err
}

func (s *Store) apply(ctx context.Context, tx *sql.Tx, p store.Partition, ops []store.Op) error {
	put, create, replace, remove := tx.StmtContext(ctx, s.put), (*sql.Stmt)(nil), (*sql.Stmt)(nil), (*sql.Stmt)(nil)
	in := func(stmt **sql.Stmt, prepared *sql.Stmt) *sql.Stmt {
		if *stmt == nil {
			*stmt = tx.StmtContext(ctx, prepared)
		}
		return *stmt
	}
	now := s.now().Unix()
	for i := range ops {
		op := &ops[i]
		body, expires := op.Body, int64(0)
		if body == nil {
			body = []byte{} // NULL would break the column's promise
		}
		if !op.Expires.IsZero() {
			expires = op.Expires.Unix()
		}
		var (
			res sql.Result
			err error
		)
		switch op.Verb {
		case store.Put:
			_, err = put.ExecContext(ctx, p.Tenant, p.Bucket, op.Key, expires, body)
		case store.Create:
			res, err = in(&create, s.create).ExecContext(ctx, p.Tenant, p.Bucket, op.Key, expires, body, now)
		case store.Replace:
			rev, perr := strconv.ParseInt(op.ETag, 10, 64)
			if perr != nil {
				return fault.New(fault.Conflict, "a document is not the one that was read")
			}
			res, err = in(&replace, s.replace).ExecContext(ctx, expires, body, p.Tenant, p.Bucket, op.Key, rev, now)
		case store.Delete:
			_, err = in(&remove, s.remove).ExecContext(ctx, p.Tenant, p.Bucket, op.Key)
		}
		if err != nil {
			return wrap(err, "writing")
		}
		if res != nil {
			if n, err := res.RowsAffected(); err != nil || n == 0 {
				return fault.Wrap(fault.Conflict, errors.Join(errNotAsRead, err), "writing")
			}
		}
	}
	return nil
}

var errNotAsRead = errors.New("a document exists already or is not the one that was read")

// Purge deletes what has expired, a batch at a time so that writers get their turn. It
// reports how many documents it deleted.
func (s *Store) Purge(ctx context.Context) (int64, error) {
	for total := int64(0); ; {
		res, err := s.write.ExecContext(ctx, `DELETE FROM documents WHERE (tenant, bucket, key) IN
			(SELECT tenant, bucket, key FROM documents WHERE expires > 0 AND expires <= ? LIMIT 1000)`, s.now().Unix())
		if err != nil {
			return total, wrap(err, "purging")
		}
		n, err := res.RowsAffected()
		total += n
		if err != nil || n < 1000 {
			return total, wrap(err, "purging")
		}
	}
}

// Close closes the file.
func (s *Store) Close() error {
	var err error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// wrap gives SQLite's errors the store's kinds.
func wrap(err error, doing string) error {
	var se *driver.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Cancelled, err, "%s", doing)
	case errors.As(err, &se):
		switch se.Code() & 0xff {
		case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_FULL, codes.SQLITE_IOERR:
			return fault.Wrap(fault.Unavailable, err, "%s", doing)
		case codes.SQLITE_INTERRUPT:
			return fault.Wrap(fault.Cancelled, err, "%s", doing)
		}
	}
	return fault.Wrap(fault.Internal, err, "%s", doing)
}
