// Package sqlitefile opens SQLite files the way Polis keeps its own: one writer, a few
// readers, a short write-ahead log (WAL), and a format with a number. Several processes
// may have a file open, and any of them may be killed at any time.
//
// Durability: the WAL is written at every commit and synced at every checkpoint
// (synchronous=NORMAL). What was committed is in the operating system's hands, so a
// killed process loses nothing; a power cut may lose the last commits, but never leaves
// half of one or a damaged file. A sync a commit would cost a millisecond or more for
// each, on what is a developer's computer: in Azure other stores take this one's place.
package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"polis/handler/internal/fault"
)

// The WAL is read from its beginning by whoever first opens the file after a kill, so
// it is moved into the file every walBytes. Readers that overlap can keep it from
// starting over; from walMost on the writer waits for them.
const (
	walBytes = 4 << 20
	walMost  = 4 * walBytes
	walWait  = 250 * time.Millisecond
)

// busyWait is for how long a lock of another process is waited for.
const busyWait = 30 * time.Second

// cacheKiB bounds what each connection keeps of the file in memory; the operating
// system's own cache holds the rest.
const cacheKiB = 1 << 10

// Format is what a file must be.
type Format struct {
	Name     string // of the thing kept, for error messages
	ID       int32  // SQLite's application_id
	Version  int    // SQLite's user_version, from 1
	PageSize int    // bytes
	Schema   string
}

// File is an open file. It is safe for concurrent use.
type File struct {
	name string
	wal  string // path of the WAL

	turn    chan struct{} // holds a token while nobody writes
	closed  bool          // guarded by turn, like all that the writer uses
	writer  *sql.DB
	conn    *sql.Conn // the writer's only connection
	stmts   map[string]*sql.Stmt
	walNext int64 // length at which to make the WAL start over

	reader  *sql.DB
	mu      sync.RWMutex
	queries map[string]*sql.Stmt
}

// Open opens the file, making it and its folder where they are missing. A file of
// another kind or a newer version is fault.Unconfigured.
func Open(path string, format Format) (_ *File, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "making the folder of the %s", format.Name)
	}
	f := &File{
		name: format.Name, wal: path + "-wal", walNext: walMost,
		turn: make(chan struct{}, 1), stmts: make(map[string]*sql.Stmt), queries: make(map[string]*sql.Stmt),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.closeAll())
		}
	}()
	if f.writer, err = sql.Open("sqlite", source(path, format, "")); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening the %s", f.name)
	}
	if f.reader, err = sql.Open("sqlite", source(path, format, "1")); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening the %s", f.name)
	}
	// A connection costs more to open than to keep.
	readers := max(4, runtime.GOMAXPROCS(0))
	f.reader.SetMaxOpenConns(readers)
	f.reader.SetMaxIdleConns(readers)
	ctx := context.Background()
	if f.conn, err = f.writer.Conn(ctx); err != nil {
		return nil, f.cannotOpen(err)
	}
	if err := f.check(ctx, format); err != nil {
		return nil, err
	}
	f.turn <- struct{}{}
	return f, nil
}

// source is the driver's name of the file. The driver sorts the pragmas, so those that
// need an order, page_size before journal_mode, are not among them.
func source(path string, format Format, queryOnly string) string {
	v := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyWait.Milliseconds()),
		"synchronous(NORMAL)",
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
		fmt.Sprintf("wal_autocheckpoint(%d)", walBytes/format.PageSize),
		fmt.Sprintf("journal_size_limit(%d)", walBytes),
	}}
	if queryOnly != "" {
		v.Set("_query_only", queryOnly)
	}
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + v.Encode()
}

func (f *File) cannotOpen(err error) error {
	kind := fault.Unconfigured
	if fault.Is(f.Fault(err, "opening"), fault.Unavailable) {
		kind = fault.Unavailable
	}
	return fault.Wrap(kind, err, "opening the %s", f.name)
}

// check compares the file with the format, and fills a new one.
func (f *File) check(ctx context.Context, format Format) error {
	fresh, err := f.compare(ctx, format)
	if err != nil || !fresh {
		return err
	}
	if err := f.useWAL(ctx, format.PageSize); err != nil {
		return f.cannotOpen(err)
	}
	if _, err := f.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return f.cannotOpen(err)
	}
	// Another process may have filled it meanwhile.
	fresh, err = f.compare(ctx, format)
	if err == nil && fresh {
		_, err = f.conn.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
			format.Schema, format.ID, format.Version))
	} else {
		_, rollback := f.conn.ExecContext(ctx, "ROLLBACK")
		err = errors.Join(err, rollback)
	}
	if err != nil {
		return f.cannotOpen(err)
	}
	return nil
}

func (f *File) compare(ctx context.Context, format Format) (fresh bool, err error) {
	var id int32
	var version, objects int
	err = f.conn.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id, pragma_user_version`).Scan(&id, &version, &objects)
	switch {
	case err != nil:
		return false, f.cannotOpen(err)
	case id == 0 && version == 0 && objects == 0:
		return true, nil
	case id != format.ID:
		return false, fault.New(fault.Unconfigured, "the file is not a %s", f.name)
	case version > format.Version:
		return false, fault.New(fault.Unconfigured, "the %s has format %d, newer than this program, which knows up to %d", f.name, version, format.Version)
	case version < format.Version:
		return false, fault.New(fault.Unconfigured, "the %s has format %d, too old for this program, which needs %d", f.name, version, format.Version)
	}
	return false, nil
}

// useWAL makes an empty file one with a WAL; files remember it. It needs the file for
// itself and SQLite does not wait for that, so processes that make one file at the same
// moment would fail; all but one find it done at their next try.
func (f *File) useWAL(ctx context.Context, pageSize int) error {
	if _, err := f.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA page_size = %d", pageSize)); err != nil {
		return err
	}
	for deadline := time.Now().Add(busyWait); ; {
		_, err := f.conn.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		if err == nil || !fault.Is(f.Fault(err, "opening"), fault.Unavailable) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// Query reads. The context ends the wait for a connection and nothing after it: watching
// it would cost each query a goroutine, and readers wait for nobody. The caller closes
// the rows soon, because the WAL cannot start over while they are open.
func (f *File) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.RLock()
	stmt := f.queries[query]
	f.mu.RUnlock()
	if stmt == nil {
		var err error
		if stmt, err = f.prepareQuery(query); err != nil {
			return nil, err
		}
	}
	return stmt.QueryContext(context.WithoutCancel(ctx), args...)
}

func (f *File) prepareQuery(query string) (*sql.Stmt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if stmt := f.queries[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := f.reader.PrepareContext(context.Background(), query)
	if err == nil {
		f.queries[query] = stmt
	}
	return stmt, err
}

// Row reads the first row of a query, and reports whether there is one.
func (f *File) Row(ctx context.Context, dest []any, query string, args ...any) (bool, error) {
	rows, err := f.Query(ctx, query, args...)
	if err != nil {
		return false, err
	}
	return first(rows, dest)
}

func first(rows *sql.Rows, dest []any) (found bool, err error) {
	if rows.Next() {
		found, err = true, rows.Scan(dest...)
	}
	return found, errors.Join(err, rows.Err(), rows.Close())
}

// Tx is a transaction that writes. Nobody else writes meanwhile, here or in another process.
type Tx struct{ f *File }

// Write runs a transaction: all of what do does, or none where it fails. The context
// ends the wait for other writers; what has begun is done.
func (f *File) Write(ctx context.Context, do func(Tx) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-f.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		f.turn <- struct{}{}
		// Whoever waits for the turn runs next on this thread: let them, now.
		runtime.Gosched()
	}()
	if f.closed {
		return errClosed
	}
	tx := Tx{f}
	open := true
	defer func() {
		if open { // a failure or a panic
			// A BEGIN that the context interrupted may have taken effect or not.
			_, _ = tx.Exec("ROLLBACK")
		}
	}()
	begin, err := f.prepare("BEGIN IMMEDIATE")
	if err != nil {
		return err
	}
	if _, err := begin.ExecContext(ctx); err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	if _, err := tx.Exec("COMMIT"); err != nil {
		return err
	}
	open = false
	f.shortenWAL()
	return nil
}

var errClosed = errors.New("the file is closed")

func (f *File) prepare(statement string) (*sql.Stmt, error) {
	if stmt := f.stmts[statement]; stmt != nil {
		return stmt, nil
	}
	stmt, err := f.conn.PrepareContext(context.Background(), statement)
	if err == nil {
		f.stmts[statement] = stmt
	}
	return stmt, err
}

// Exec changes rows and says how many.
func (t Tx) Exec(statement string, args ...any) (int64, error) {
	stmt, err := t.f.prepare(statement)
	if err != nil {
		return 0, err
	}
	res, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query reads within the transaction.
func (t Tx) Query(query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.f.prepare(query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(context.Background(), args...)
}

// shortenWAL waits for the readers where the WAL has grown long: while some reader is
// always in it, SQLite's own checkpoints cannot make it start over.
func (f *File) shortenWAL() {
	info, err := os.Stat(f.wal)
	if err != nil || info.Size() < f.walNext {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), walWait)
	defer cancel()
	var busy, frames, moved int
	err = f.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	if f.walNext = walMost; err != nil || busy != 0 {
		// Somebody reads for long. Waiting for them at every write would stop us.
		f.walNext = 2 * info.Size()
	}
}

// Fault gives an error the kind it has for the callers of a store or a bus, and says
// what was being done. An error with a kind keeps it.
func (f *File) Fault(err error, doing string) error {
	var failed *driver.Error
	switch {
	case err == nil:
		return nil
	case fault.KindOf(err) != fault.Internal:
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Cancelled, err, "%s", doing)
	case errors.As(err, &failed):
		switch failed.Code() & 0xff {
		case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_FULL, codes.SQLITE_IOERR, codes.SQLITE_PROTOCOL:
			return fault.Wrap(fault.Unavailable, err, "%s", doing)
		case codes.SQLITE_INTERRUPT:
			return fault.Wrap(fault.Cancelled, err, "%s", doing)
		}
	}
	return fault.Wrap(fault.Internal, err, "%s", doing)
}

// Close waits for the write in progress and closes the file.
func (f *File) Close() error {
	<-f.turn
	defer func() { f.turn <- struct{}{} }()
	if f.closed {
		return nil
	}
	f.closed = true
	return f.closeAll()
}

func (f *File) closeAll() error {
	var errs []error
	// The writer is the last to go: SQLite then moves the WAL into the file and removes it.
	if f.reader != nil {
		errs = append(errs, f.reader.Close())
	}
	if f.conn != nil {
		errs = append(errs, f.conn.Close())
	}
	if f.writer != nil {
		errs = append(errs, f.writer.Close())
	}
	return f.Fault(errors.Join(errs...), "closing")
}
