// Package deadletter keeps messages that can never succeed, with the reason, until
// somebody has looked at them.
package deadletter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"polis/handler/internal/blob"
	"polis/handler/internal/fault"
	"polis/handler/internal/invoke"
)

// Letter is a message as it is kept.
type Letter struct {
	Function string    `json:"function"`
	Message  string    `json:"message_id,omitempty"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
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
	l := Letter{function, m.ID, reason, s.now().UTC(), m.Body}
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
