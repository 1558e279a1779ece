// Package sqlitebus is a bus in a SQLite file of its own: durable queues with locks,
// attempts, dead letters, a duplicate window and scheduled messages, for one computer.
// It is apart from the store's file so that receivers do not wait for a run's writes.
package sqlitebus

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"

	_ "modernc.org/sqlite" // the driver
)

// DuplicateWindow is for how long an ID is remembered: Service Bus's default.
const DuplicateWindow = 10 * time.Minute

const version = 1

// All times are milliseconds since 1970. A message is live until it is completed, or
// dead; the lock is over when locked_until is past.
const schema = `
CREATE TABLE IF NOT EXISTS messages (
	seq          INTEGER PRIMARY KEY AUTOINCREMENT,
	queue        TEXT    NOT NULL,
	dead         INTEGER NOT NULL DEFAULT 0,
	due          INTEGER NOT NULL, -- not delivered before: scheduled, or locked until then
	token        TEXT    NOT NULL DEFAULT '',
	attempts     INTEGER NOT NULL DEFAULT 0,
	enqueued     INTEGER NOT NULL,
	dead_at      INTEGER NOT NULL DEFAULT 0,
	dead_reason  TEXT    NOT NULL DEFAULT '',
	dead_detail  TEXT    NOT NULL DEFAULT '',
	id           TEXT    NOT NULL,
	content_type TEXT    NOT NULL,
	subject      TEXT    NOT NULL,
	correlation  TEXT    NOT NULL,
	properties   TEXT    NOT NULL,
	body         BLOB    NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS waiting ON messages (queue, dead, due, seq);
CREATE TABLE IF NOT EXISTS seen (
	queue TEXT    NOT NULL,
	id    TEXT    NOT NULL,
	until INTEGER NOT NULL,
	PRIMARY KEY (queue, id)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS forgetting ON seen (until);
`

// Bus implements bus.Broker.
type Bus struct {
	db  *sql.DB
	now func() time.Time
}

var _ bus.Broker = (*Bus)(nil)

// Open opens the file, making it and its folder where they are missing.
func Open(path string) (*Bus, error) { return open(path, time.Now) }

func open(path string, now func() time.Time) (*Bus, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "making the bus's folder")
	}
	opts := url.Values{"_pragma": {
		"busy_timeout(30000)", "journal_mode(WAL)", "synchronous(NORMAL)", "wal_autocheckpoint(500)", "journal_size_limit(2097152)",
	}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()+"?"+opts.Encode())
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening the bus")
	}
	db.SetMaxOpenConns(4)
	var have int
	err = db.QueryRow("PRAGMA user_version").Scan(&have)
	switch {
	case err != nil:
	case have > version:
		err = fault.New(fault.Unconfigured, "the bus has layout %d, this program knows up to %d", have, version)
	case have < version:
		if _, err = db.Exec(schema); err == nil {
			_, err = db.Exec("PRAGMA user_version = 1")
		}
	}
	if err != nil {
		return nil, errors.Join(fault.Wrap(fault.Unconfigured, err, "opening the bus"), db.Close())
	}
	return &Bus{db, now}, nil
}

// Close closes the file.
func (b *Bus) Close() error { return b.db.Close() }

func wrap(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Cancelled, err, "%s", doing)
	case fault.KindOf(err) != fault.Internal:
		return err
	}
	return fault.Wrap(fault.Unavailable, err, "%s", doing)
}

func (b *Bus) in(ctx context.Context, doing string, f func(tx *sql.Tx) error) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return wrap(err, doing)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the first error says more
		return wrap(err, doing)
	}
	return wrap(tx.Commit(), doing)
}

// Send implements bus.Sender: all messages or none.
func (b *Bus) Send(ctx context.Context, queue string, msgs ...bus.Message) error {
	if queue == "" {
		return fault.New(fault.Invalid, "sending to a queue without a name")
	}
	if len(msgs) == 0 {
		return nil
	}
	now := b.now().UnixMilli()
	return b.in(ctx, "sending", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM seen WHERE until <= ?`, now); err != nil {
			return err
		}
		for i := range msgs {
			if err := send(ctx, tx, queue, &msgs[i], now); err != nil {
				return err
			}
		}
		return nil
	})
}

func send(ctx context.Context, tx *sql.Tx, queue string, m *bus.Message, now int64) error {
	if m.ID != "" {
		res, err := tx.ExecContext(ctx, `INSERT INTO seen (queue, id, until) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			queue, m.ID, now+DuplicateWindow.Milliseconds())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
	due := now
	if !m.Due.IsZero() {
		due = max(due, m.Due.UnixMilli())
	}
	properties, err := json.Marshal(m.Properties)
	if err != nil {
		return err
	}
	body := m.Body
	if body == nil {
		body = []byte{}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO messages (queue, due, enqueued, id, content_type, subject, correlation, properties, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		queue, due, now, m.ID, m.ContentType, m.Subject, m.CorrelationID, string(properties), body)
	return err
}

const columns = `seq, queue, due, token, attempts, enqueued, dead_at, dead_reason, dead_detail, id, content_type, subject, correlation, properties, body`

func scan(rows *sql.Rows) (bus.Delivery, error) {
	var (
		d                   bus.Delivery
		due, enqueued, dead int64
		properties          string
	)
	if err := rows.Scan(&d.Sequence, &d.Queue, &due, &d.LockToken, &d.Attempt, &enqueued, &dead, &d.DeadReason, &d.DeadDetail,
		&d.ID, &d.ContentType, &d.Subject, &d.CorrelationID, &properties, &d.Body); err != nil {
		return d, err
	}
	d.Enqueued = time.UnixMilli(enqueued).UTC()
	if due > enqueued {
		d.Due = time.UnixMilli(due).UTC()
	}
	if dead != 0 {
		d.DeadEnqueued = time.UnixMilli(dead).UTC()
	}
	return d, json.Unmarshal([]byte(properties), &d.Properties)
}

// Receive implements bus.Broker.
func (b *Bus) Receive(ctx context.Context, queue string, max int, lock time.Duration, maxDeliveries int) ([]bus.Delivery, error) {
	now := b.now()
	// A look without a transaction first: idle queues are asked many times a second,
	// and must not take the write lock for it.
	var waiting bool
	err := b.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM messages WHERE queue = ? AND dead = 0 AND due <= ?)`,
		queue, now.UnixMilli()).Scan(&waiting)
	if err != nil || !waiting {
		return nil, wrap(err, "receiving")
	}
	var out []bus.Delivery
	err = b.in(ctx, "receiving", func(tx *sql.Tx) error {
		if maxDeliveries > 0 {
			_, err := tx.ExecContext(ctx, `UPDATE messages SET dead = 1, token = '', dead_at = ?, dead_reason = 'MaxDeliveryCountExceeded',
				dead_detail = 'delivered as often as the queue allows' WHERE queue = ? AND dead = 0 AND due <= ? AND attempts >= ?`,
				now.UnixMilli(), queue, now.UnixMilli(), maxDeliveries)
			if err != nil {
				return err
			}
		}
		rows, err := tx.QueryContext(ctx, `SELECT `+columns+` FROM messages WHERE queue = ? AND dead = 0 AND due <= ? ORDER BY seq LIMIT ?`,
			queue, now.UnixMilli(), max)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			d, err := scan(rows)
			if err != nil {
				return err
			}
			d.Attempt++
			d.LockToken, d.LockedUntil, d.Due = rand.Text(), now.Add(lock), time.Time{}
			out = append(out, d)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range out {
			_, err := tx.ExecContext(ctx, `UPDATE messages SET due = ?, token = ?, attempts = ? WHERE seq = ?`,
				out[i].LockedUntil.UnixMilli(), out[i].LockToken, out[i].Attempt, out[i].Sequence)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// settle does one statement that needs the delivery's lock.
func (b *Bus) settle(ctx context.Context, d bus.Delivery, doing, stmt string, args ...any) error {
	args = append(args, d.Sequence, d.LockToken, b.now().UnixMilli())
	res, err := b.db.ExecContext(ctx, stmt+` WHERE seq = ? AND dead = 0 AND token = ? AND due > ?`, args...)
	if err != nil {
		return wrap(err, doing)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return fault.Wrap(fault.Conflict, errors.Join(errLock, err), "%s", doing)
	}
	return nil
}

var errLock = errors.New("the message's lock has run out")

// Complete implements bus.Broker.
func (b *Bus) Complete(ctx context.Context, d bus.Delivery) error {
	return b.settle(ctx, d, "completing a message", `DELETE FROM messages`)
}

// Abandon implements bus.Broker.
func (b *Bus) Abandon(ctx context.Context, d bus.Delivery) error {
	return b.settle(ctx, d, "abandoning a message", `UPDATE messages SET token = '', due = ?`, b.now().UnixMilli())
}

// Renew implements bus.Broker.
func (b *Bus) Renew(ctx context.Context, d bus.Delivery, lock time.Duration) (bus.Delivery, error) {
	d.LockedUntil = b.now().Add(lock)
	return d, b.settle(ctx, d, "renewing a lock", `UPDATE messages SET due = ?`, d.LockedUntil.UnixMilli())
}

// DeadLetter implements bus.Broker.
func (b *Bus) DeadLetter(ctx context.Context, d bus.Delivery, reason, detail string) error {
	return b.settle(ctx, d, "dead-lettering a message",
		`UPDATE messages SET dead = 1, token = '', dead_at = ?, dead_reason = ?, dead_detail = ?`, b.now().UnixMilli(), reason, detail)
}

// Peek implements bus.Broker.
func (b *Bus) Peek(ctx context.Context, queue string, dead bool, max int) ([]bus.Delivery, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT `+columns+` FROM messages WHERE queue = ? AND dead = ? ORDER BY seq LIMIT ?`, queue, dead, max)
	if err != nil {
		return nil, wrap(err, "peeking")
	}
	defer rows.Close()
	var out []bus.Delivery
	for rows.Next() {
		d, err := scan(rows)
		if err != nil {
			return nil, wrap(err, "peeking")
		}
		d.LockToken = ""
		out = append(out, d)
	}
	return out, wrap(rows.Err(), "peeking")
}

// Depth implements bus.Broker.
func (b *Bus) Depth(ctx context.Context, queue string) (live, dead int, err error) {
	err = b.db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE dead = 0), count(*) FILTER (WHERE dead = 1) FROM messages WHERE queue = ?`,
		queue).Scan(&live, &dead)
	return live, dead, wrap(err, "counting messages")
}

// Replay implements bus.Broker.
func (b *Bus) Replay(ctx context.Context, queue string) (int, error) {
	res, err := b.db.ExecContext(ctx, `UPDATE messages SET dead = 0, attempts = 0, due = ?, dead_at = 0, dead_reason = '', dead_detail = ''
		WHERE queue = ? AND dead = 1`, b.now().UnixMilli(), queue)
	if err != nil {
		return 0, wrap(err, "replaying")
	}
	n, err := res.RowsAffected()
	return int(n), wrap(err, "replaying")
}
