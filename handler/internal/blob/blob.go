// Package blob says how Polis keeps files: models, import files, dead letters.
package blob

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"

	"polis/handler/internal/fault"
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

	// Replace is Put, but fails with fault.Conflict where the blob is not the one of the ETag: it was
	// replaced meanwhile, or is not there.
	Replace(ctx context.Context, name, etag string, r io.Reader) (Info, error)

	// List yields the blobs whose name starts with prefix, in name order.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Delete removes a blob; one that is not there is no error.
	Delete(ctx context.Context, name string) error
}

// A name and its parts are no longer than what the file systems at hand take.
const (
	maxName = 900
	maxPart = 200
)

// CheckName accepts names that mean the same on every system: clean, relative, with
// forward slashes. Every implementation calls it first.
func CheckName(name string) error {
	ok := len(name) <= maxName && fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, `\:*?"<>|`) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f })
	for part := range strings.SplitSeq(name, "/") {
		ok = ok && len(part) <= maxPart && !strings.HasSuffix(part, ".") && !strings.HasSuffix(part, " ") && !device(part)
	}
	if !ok {
		return fault.New(fault.Invalid, "not a blob name: a relative path of clean parts, with slashes, is one")
	}
	return nil
}

// device reports whether Windows takes a file name for a device, whatever its extension.
func device(part string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(part), ".")
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(stem) == 4 && (strings.HasPrefix(stem, "com") || strings.HasPrefix(stem, "lpt")) && stem[3] >= '0' && stem[3] <= '9'
}
