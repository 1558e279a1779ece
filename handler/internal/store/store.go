// Package store says how Polis keeps what it keeps: small documents in ordered
// partitions. That is the part of Cosmos DB for NoSQL that Polis uses, and it is
// little enough for an embedded database to do as well. What the documents mean
// is for the packages that write them.
package store

import (
	"context"
	"iter"
	"time"
	"unicode/utf8"

	"polis/handler/internal/fault"
)

// Limits of a batch, those of Cosmos DB: every implementation enforces them.
const (
	MaxOps   = 100
	MaxBytes = 5 << 18 // 1.25 MiB: 2 MB as JSON, where bodies are base64 and keys are escaped
	MaxKey   = 1000    // bytes
)

// Shared is the bucket of a tenant's own documents: those that belong to no
// customer (runs, imports, lists). Customer documents live in buckets 0, 1, 2, ...
const Shared = -1

// Partition is the unit of ordering and of atomic writes.
// The partition with an empty tenant holds what belongs to no tenant.
type Partition struct {
	Tenant string
	Bucket int
}

// Document is a body under a key. Keys order bytewise within their partition.
type Document struct {
	Key     string
	Body    []byte
	ETag    string    // changes whenever the document does; set by the store
	Expires time.Time // zero: never; kept to the second at least. An expired document is not there
}

// Verb is what an Op does.
type Verb uint8

// Create and Replace fail with fault.Conflict where the document is there already,
// or is not the one with the ETag; Delete of nothing succeeds.
const (
	Put     Verb = iota // create or overwrite
	Create              // only if absent
	Replace             // only if the ETag is still this
	Delete
)

// Op is one change of a batch.
type Op struct {
	Verb Verb
	Document
}

// Store is implemented by store/sqlite and, in Azure, by an adapter for Cosmos DB;
// package storetest holds the suite that both pass. All methods are safe for
// concurrent use. A missing document is fault.NotFound; a passing fault of the
// store is fault.Unavailable.
type Store interface {
	// Get reads one document.
	Get(ctx context.Context, p Partition, key string) (Document, error)

	// GetMany reads the documents that have one of the keys, in key order, in one call.
	// Keys of which there is none are left out. More than MaxOps are fault.Invalid.
	GetMany(ctx context.Context, p Partition, keys []string) ([]Document, error)

	// Scan yields the documents whose key starts with prefix and is greater than
	// after, in key order. The bodies belong to the caller. It holds no lock that
	// stops writers, and sees each document that is there throughout exactly once.
	Scan(ctx context.Context, p Partition, prefix, after string) iter.Seq2[Document, error]

	// Write does all ops or none. More than MaxOps or MaxBytes, a key that is
	// empty or too long, and two ops on one key are fault.Invalid. An empty
	// batch does nothing.
	Write(ctx context.Context, p Partition, ops []Op) error

	Close() error
}

// GetOr reads one document, or reports false where it is missing.
func GetOr(ctx context.Context, s Store, p Partition, key string) (Document, bool, error) {
	d, err := s.Get(ctx, p, key)
	if fault.Is(err, fault.NotFound) {
		return Document{}, false, nil
	}
	return d, err == nil, err
}

// CheckKeys enforces the limits of GetMany: every implementation calls it first.
func CheckKeys(keys []string) error {
	if len(keys) > MaxOps {
		return fault.New(fault.Invalid, "%d keys are asked for at once; at most %d", len(keys), MaxOps)
	}
	return nil
}

// Check enforces the limits of a batch: every implementation calls it first.
func Check(ops []Op) error {
	if len(ops) > MaxOps {
		return fault.New(fault.Invalid, "a batch of %d operations; at most %d", len(ops), MaxOps)
	}
	bytes := 0
	for i, op := range ops {
		if op.Key == "" || len(op.Key) > MaxKey || !utf8.ValidString(op.Key) {
			return fault.New(fault.Invalid, "a key is 1 to %d bytes of UTF-8", MaxKey)
		}
		bytes += len(op.Key) + len(op.Body)
		for _, earlier := range ops[:i] {
			if earlier.Key == op.Key {
				return fault.New(fault.Invalid, "two operations of a batch on one key")
			}
		}
	}
	if bytes > MaxBytes {
		return fault.New(fault.Invalid, "a batch of %d bytes; at most %d", bytes, MaxBytes)
	}
	return nil
}
