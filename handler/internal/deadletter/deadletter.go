// Package deadletter keeps messages that can never succeed, with the reason, until
// somebody has looked at them.
package deadletter

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"polis/handler/internal/blob"
	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/invoke"
	"polis/handler/internal/trace"
)

// Letter is a message as it is kept.
type Letter struct {
	Function string    `json:"function"`
	Message  string    `json:"message_id,omitempty"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
	Trace    string    `json:"traceparent,omitempty"`
	Body     []byte    `json:"body"`
}

// Store keeps letters as blobs.
type Store struct {
	blobs blob.Store
	now   func() time.Time
}

// New is the letters in blobs.
func New(b blob.Store, now func() time.Time) *Store {
	if b == nil || now == nil {
		panic("deadletter: no blobs or no clock")
	}
	return &Store{b, now}
}

// Prefix is what letters' names begin with; the function's name follows.
const Prefix = "deadletters/"

// Put implements invoke.DeadLetters. The same message is kept once, however often it is
// delivered.
func (s *Store) Put(ctx context.Context, function string, m invoke.Message, reason string) error {
	l := Letter{Function: function, Message: m.ID, Reason: reason, At: s.now().UTC(), Trace: m.Parent, Body: m.Body}
	body, err := json.MarshalIndent(l, "", " ")
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a dead letter")
	}
	sum := sha256.Sum256(append([]byte(m.ID+"\x1f"), m.Body...))
	if _, err := s.blobs.Put(ctx, Prefix+function+"/"+hex.EncodeToString(sum[:12])+".json", bytes.NewReader(body)); err != nil {
		return fmt.Errorf("keeping a dead letter: %w", err)
	}
	return nil
}

// List yields a function's letters.
func (s *Store) List(ctx context.Context, function string) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		for info, err := range s.blobs.List(ctx, Prefix+function+"/") {
			var l Letter
			if err == nil {
				l, err = s.read(ctx, info.Name)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

func (s *Store) read(ctx context.Context, name string) (l Letter, err error) {
	r, _, err := s.blobs.Open(ctx, name)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	body, err := io.ReadAll(r)
	if err != nil {
		return l, fault.Wrap(fault.Unavailable, err, "reading a dead letter")
	}
	return l, fault.Wrap(fault.Internal, json.Unmarshal(body, &l), "decoding a dead letter")
}

// Replay puts a function's letters back on its queue, and says how many. Each gets another id:
// under its own, the bus may have seen it a moment ago and drop it. It is sent and then deleted,
// so that a kill between leaves it twice rather than never.
func (s *Store) Replay(ctx context.Context, function, queue string, to bus.Sender) (int, error) {
	// All that are there now, and none that come back meanwhile.
	var names []string
	for info, err := range s.blobs.List(ctx, Prefix+function+"/") {
		if err != nil {
			return 0, err
		}
		names = append(names, info.Name)
	}
	to = trace.Sender(to)
	for n, name := range names {
		l, err := s.read(ctx, name)
		if err != nil {
			return n, err
		}
		if err := to.Send(trace.With(ctx, l.Trace), queue, bus.Message{ID: rand.Text(), Body: l.Body, ContentType: "application/json"}); err != nil {
			return n, fmt.Errorf("putting a dead letter back: %w", err)
		}
		if err := s.blobs.Delete(ctx, name); err != nil {
			return n, err
		}
	}
	return len(names), nil
}
