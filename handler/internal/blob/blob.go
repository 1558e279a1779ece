// Package blob says how Polis keeps files: models, import files, dead letters.
package blob

import (
	"context"
	"io"
	"iter"
	"time"
)

// Info describes a blob.
type Info struct {
	Name     string
	Size     int64
	Modified time.Time
	ETag     string
}

// Store is implemented by blob/folder and, in Azure, by an adapter for Blob
// Storage; package blobtest holds the suite that both pass. Names are
// slash-separated, relative and clean ("models/t1/current.json"); any other is
// fault.Invalid, a missing blob fault.NotFound.
type Store interface {
	// Open reads a blob from the beginning.
	Open(ctx context.Context, name string) (io.ReadCloser, Info, error)

	// Put writes a whole blob or none of it: a reader sees the old or the new.
	Put(ctx context.Context, name string, r io.Reader) (Info, error)

	// Create is Put, but fails with fault.Conflict where the blob is there already.
	Create(ctx context.Context, name string, r io.Reader) (Info, error)

	// List yields the blobs whose name starts with prefix, in name order.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Delete removes a blob; one that is not there is no error.
	Delete(ctx context.Context, name string) error
}
