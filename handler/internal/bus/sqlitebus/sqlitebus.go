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
	"time"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/sqlitefile"
)

// DuplicateWindow is for how long an ID is remembered: Service Bus's default.
const DuplicateWindow = 10 * time.Minute

// The states of a message. One whose time has come is made ready by the next Receive.
const (
	ready   = 0
	waiting = 1 // locked or scheduled, until due
	dead    = 2
)

// All times are milliseconds since 1970. The first index gives a queue's messages of a
// state in order; the second finds those whose lock or delay has run out without a look
// at the others.
var format = sqlitefile.Format{
	Name: "bus", ID: 0x506f4275, Version: 1, PageSize: 4096, // "PoBu"
	Schema: `
CREATE TABLE messages (
	seq          INTEGER PRIMARY KEY AUTOINCREMENT,
	queue        TEXT    NOT NULL,
	state        INTEGER NOT NULL, -- 0 ready, 1 waiting, 2 dead
	due          INTEGER NOT NULL, -- of a waiting one: when it is ready
	token        TEXT    NOT NULL DEFAULT '', -- of a locked one
	attempts     INTEGER NOT NULL DEFAULT 0,
	enqueued     INTEGER NOT NULL,
	dead_at      INTEGER NOT NULL DEFAULT 0,
	dead_reason  TEXT    NOT NULL DEFAULT '',
	dead_detail  TEXT    NOT NULL DEFAULT '',
	id           TEXT    NOT NULL,
	content_type TEXT    NOT NULL,
	subject      TEXT    NOT NULL,
	correlation  TEXT    NOT NULL,
	properties   TEXT    NOT NULL, -- a JSON object
	body         BLOB    NOT NULL
) STRICT;
CREATE INDEX queued ON messages (queue, state, seq);
CREATE INDEX due ON messages (queue, due) WHERE state = 1;
CREATE TABLE seen (
	queue TEXT    NOT NULL,
	id    TEXT    NOT NULL,
	until INTEGER NOT NULL,
	PRIMARY KEY (queue, id)
) WITHOUT ROWID, STRICT;
CREATE INDEX forgotten ON seen (until)`,
}

// Bus implements bus.Broker.
type Bus struct {
	file   *sqlitefile.File
	now    func() time.Time
	window time.Duration
}

var _ bus.Broker = (*Bus)(nil)

// Option changes how a bus is opened.
type Option func(*Bus)

// WithClock makes the bus tell by this clock what is due and which locks have run out.
func WithClock(now func() time.Time) Option { return func(b *Bus) { b.now = now } }

// WithDuplicateWindow changes for how long an ID is remembered.
func WithDuplicateWindow(d time.Duration) Option { return func(b *Bus) { b.window = d } }

// Open opens the file, making it and its folder where they are missing. A file that is
// no bus or one of a newer format is fault.Unconfigured.
func Open(path string, options ...Option) (*Bus, error) {
	file, err := sqlitefile.Open(path, format)
	if err != nil {
		return nil, err
	}
	b := &Bus{file, time.Now, DuplicateWindow}
	for _, o := range options {
		o(b)
	}
	return b, nil
}

// Close closes the file.
func (b *Bus) Close() error { return b.file.Close() }

// Send implements bus.Sender: here it sends all messages or none.
func (b *Bus) Send(ctx context.Context, queue string, msgs ...bus.Message) error {
	if queue == "" {
		return fault.New(fault.Invalid, "a queue has a name")
	}
	if len(msgs) == 0 {
		return nil
	}
	now := b.now().UnixMilli()
	return b.file.Fault(b.file.Write(ctx, func(tx sqlitefile.Tx) error {
		if _, err := tx.Exec(`DELETE FROM seen WHERE until <= ?`, now); err != nil {
			return err
		}
		for i := range msgs {
			if err := b.send(tx, queue, &msgs[i], now); err != nil {
				return err
			}
		}
		return nil
	}), "sending")
}

func (b *Bus) send(tx sqlitefile.Tx, queue string, m *bus.Message, now int64) error {
	if m.ID != "" {
		fresh, err := tx.Exec(`INSERT INTO seen (queue, id, until) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			queue, m.ID, now+b.window.Milliseconds())
		if err != nil || fresh == 0 {
			return err
		}
	}
	state, due := ready, int64(0)
	if at := m.Due.UnixMilli(); !m.Due.IsZero() && at > now {
		state, due = waiting, at
	}
	properties := []byte("{}")
	if len(m.Properties) > 0 {
		var err error
		if properties, err = json.Marshal(m.Properties); err != nil {
			return err
		}
	}
	body := m.Body
	if body == nil {
		body = []byte{} // nil would be NULL
	}
	_, err := tx.Exec(`INSERT INTO messages (queue, state, due, enqueued, id, content_type, subject, correlation, properties, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		queue, state, due, now, m.ID, m.ContentType, m.Subject, m.CorrelationID, string(properties), body)
	return err
}

const columns = `seq, state, due, token, attempts, enqueued, dead_at, dead_reason, dead_detail, id, content_type, subject, correlation, properties, body`

// collect reads messages until there are no more or want has had enough of them.
func collect(rows *sql.Rows, queue string, want func(bus.Delivery) (more bool)) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		d := bus.Delivery{Queue: queue}
		var state int
		var due, enqueued, deadAt int64
		var properties string
		if err := rows.Scan(&d.Sequence, &state, &due, &d.LockToken, &d.Attempt, &enqueued, &deadAt, &d.DeadReason, &d.DeadDetail,
			&d.ID, &d.ContentType, &d.Subject, &d.CorrelationID, &properties, &d.Body); err != nil {
			return err
		}
		if properties != "{}" {
			if err := json.Unmarshal([]byte(properties), &d.Properties); err != nil {
				return err
			}
		}
		d.Enqueued = instant(enqueued)
		switch {
		case state == dead:
			d.DeadEnqueued = instant(deadAt)
		case state == waiting && d.LockToken != "":
			d.LockedUntil = instant(due)
		case state == waiting:
			d.Due = instant(due)
		}
		if !want(d) {
			return nil
		}
	}
	return rows.Err()
}

func instant(milliseconds int64) time.Time { return time.UnixMilli(milliseconds).UTC() }

// Receive implements bus.Broker.
func (b *Bus) Receive(ctx context.Context, queue string, max int, lock time.Duration, maxDeliveries int) ([]bus.Delivery, error) {
	if lock < time.Millisecond {
		return nil, fault.New(fault.Invalid, "a lock lasts a millisecond at least")
	}
	if max <= 0 {
		return nil, nil
	}
	now := b.now()
	// A look without a transaction first: idle queues are asked many times a second, and
	// must not keep those who send from writing.
	var some bool
	_, err := b.file.Row(ctx, []any{&some}, `SELECT EXISTS (SELECT 1 FROM messages WHERE queue = ?1 AND state = 0)
		OR EXISTS (SELECT 1 FROM messages WHERE queue = ?1 AND state = 1 AND due <= ?2)`, queue, now.UnixMilli())
	if err != nil || !some {
		return nil, b.file.Fault(err, "receiving")
	}
	var taken []bus.Delivery
	err = b.file.Write(ctx, func(tx sqlitefile.Tx) (err error) {
		taken, err = receive(tx, queue, max, now, now.Add(lock).Truncate(time.Millisecond).UTC(), maxDeliveries)
		return err
	})
	if err != nil {
		return nil, b.file.Fault(err, "receiving")
	}
	return taken, nil
}

func receive(tx sqlitefile.Tx, queue string, max int, now, until time.Time, maxDeliveries int) ([]bus.Delivery, error) {
	if _, err := tx.Exec(`UPDATE messages SET state = 0, due = 0, token = '' WHERE queue = ? AND state = 1 AND due <= ?`,
		queue, now.UnixMilli()); err != nil {
		return nil, err
	}
	rows, err := tx.Query(`SELECT `+columns+` FROM messages WHERE queue = ? AND state = 0 ORDER BY seq`, queue)
	if err != nil {
		return nil, err
	}
	var taken, spent []bus.Delivery
	if err := collect(rows, queue, func(d bus.Delivery) bool {
		if maxDeliveries > 0 && d.Attempt >= maxDeliveries {
			spent = append(spent, d)
			return true
		}
		d.Attempt++
		d.LockToken, d.LockedUntil = rand.Text(), until
		taken = append(taken, d)
		return len(taken) < max
	}); err != nil {
		return nil, err
	}
	for i := range spent {
		if _, err := tx.Exec(`UPDATE messages SET state = 2, dead_at = ?, dead_reason = ?, dead_detail = ? WHERE seq = ?`,
			now.UnixMilli(), "MaxDeliveryCountExceeded", "delivered as often as the queue allows", spent[i].Sequence); err != nil {
			return nil, err
		}
	}
	for i := range taken {
		if _, err := tx.Exec(`UPDATE messages SET state = 1, due = ?, token = ?, attempts = ? WHERE seq = ?`,
			until.UnixMilli(), taken[i].LockToken, taken[i].Attempt, taken[i].Sequence); err != nil {
			return nil, err
		}
	}
	return taken, nil
}

// settle runs a statement on a message that the delivery still has the lock of.
func (b *Bus) settle(ctx context.Context, d bus.Delivery, doing, statement string, args ...any) error {
	args = append(args, d.Sequence, d.LockToken, b.now().UnixMilli())
	return b.file.Fault(b.file.Write(ctx, func(tx sqlitefile.Tx) error {
		n, err := tx.Exec(statement+` WHERE seq = ? AND state = 1 AND token = ? AND token != '' AND due > ?`, args...)
		if err == nil && n == 0 {
			return fault.New(fault.Conflict, "%s: its lock has run out", doing)
		}
		return err
	}), doing)
}

// Complete implements bus.Broker.
func (b *Bus) Complete(ctx context.Context, d bus.Delivery) error {
	return b.settle(ctx, d, "completing a message", `DELETE FROM messages`)
}

// Abandon implements bus.Broker.
func (b *Bus) Abandon(ctx context.Context, d bus.Delivery) error {
	return b.settle(ctx, d, "abandoning a message", `UPDATE messages SET state = 0, due = 0, token = ''`)
}

// Renew implements bus.Broker.
func (b *Bus) Renew(ctx context.Context, d bus.Delivery, lock time.Duration) (bus.Delivery, error) {
	if lock < time.Millisecond {
		return d, fault.New(fault.Invalid, "a lock lasts a millisecond at least")
	}
	until := b.now().Add(lock).Truncate(time.Millisecond).UTC()
	if err := b.settle(ctx, d, "renewing a message's lock", `UPDATE messages SET due = ?`, until.UnixMilli()); err != nil {
		return d, err
	}
	d.LockedUntil = until
	return d, nil
}

// DeadLetter implements bus.Broker.
func (b *Bus) DeadLetter(ctx context.Context, d bus.Delivery, reason, detail string) error {
	return b.settle(ctx, d, "dead-lettering a message",
		`UPDATE messages SET state = 2, due = 0, token = '', dead_at = ?, dead_reason = ?, dead_detail = ?`, b.now().UnixMilli(), reason, detail)
}

// Peek implements bus.Broker.
func (b *Bus) Peek(ctx context.Context, queue string, deadOnes bool, max int) ([]bus.Delivery, error) {
	if max <= 0 {
		return nil, nil
	}
	from, to := ready, waiting
	if deadOnes {
		from, to = dead, dead
	}
	// The numbers alone are sorted, in the index, and few messages are read then.
	rows, err := b.file.Query(ctx, `SELECT `+columns+` FROM messages WHERE seq IN
		(SELECT seq FROM messages WHERE queue = ? AND state BETWEEN ? AND ? ORDER BY seq LIMIT ?) ORDER BY seq`, queue, from, to, max)
	if err != nil {
		return nil, b.file.Fault(err, "peeking")
	}
	var out []bus.Delivery
	err = collect(rows, queue, func(d bus.Delivery) bool {
		d.LockToken = "" // whoever only looks must not be able to settle
		out = append(out, d)
		return true
	})
	if err != nil {
		return nil, b.file.Fault(err, "peeking")
	}
	return out, nil
}

// Depth implements bus.Broker.
func (b *Bus) Depth(ctx context.Context, queue string) (live, deadOnes int, err error) {
	_, err = b.file.Row(ctx, []any{&live, &deadOnes},
		`SELECT count(*) FILTER (WHERE state != 2), count(*) FILTER (WHERE state = 2) FROM messages WHERE queue = ?`, queue)
	return live, deadOnes, b.file.Fault(err, "counting messages")
}

// Replay implements bus.Broker.
func (b *Bus) Replay(ctx context.Context, queue string) (int, error) {
	var n int64
	err := b.file.Write(ctx, func(tx sqlitefile.Tx) (err error) {
		n, err = tx.Exec(`UPDATE messages SET state = 0, attempts = 0, dead_at = 0, dead_reason = '', dead_detail = '', properties = json_remove(properties, '$."`+bus.Tries+`"', '$."`+bus.Since+`"')
			WHERE queue = ? AND state = 2`, queue)
		return err
	})
	return int(n), b.file.Fault(err, "replaying")
}
