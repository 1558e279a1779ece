package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"polis/handler/internal/exports"
)

// forget deletes the files of exports that runs before have made: documents are restored, blobs are not.
func (w *world) forget(ctx context.Context) error {
	for info, err := range w.blobs.List(ctx, exports.Prefix) {
		if err == nil {
			err = w.blobs.Delete(ctx, info.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exported takes in what the exports hold whose files are there: each must be whole, and have no file of another
// attempt beside it. Where somebody was killed, a night has tidied up: who lost its lock, and was killed when another had
// made the export, leaves files.
func (w *world) exported(ctx context.Context, s *state) error {
	if s.kills > 0 {
		if err := w.exports.Tidy(ctx, tenantID, time.Now().Add(time.Hour)); err != nil {
			return err
		}
	}
	unclaimed := map[string]bool{}
	for info, err := range w.blobs.List(ctx, exports.Prefix) {
		if err != nil {
			return err
		}
		unclaimed[info.Name] = true
	}
	all, err := w.exports.List(ctx, tenantID)
	if err != nil {
		return err
	}
	for _, e := range all {
		folder := exports.Prefix + tenantID + "/" + e.ID + "/"
		if !unclaimed[folder+exports.ManifestName] {
			continue // of the run before, or not made: its record says which
		}
		delete(unclaimed, folder+exports.ManifestName)
		if e.Manifest == nil {
			return errors.New("an export has a manifest and is not recorded as completed")
		}
		for _, f := range e.Manifest.Files {
			name := folder + e.Manifest.Folder + f.Name
			sum, err := w.table(ctx, name, f)
			if err != nil {
				return fmt.Errorf("%s of an export: %w", f.Name, err)
			}
			delete(unclaimed, name)
			s.exported[f.Name] = digest{sum: sum}
		}
	}
	for name := range unclaimed {
		return fmt.Errorf("a file that no export has: %s", name)
	}
	return nil
}

// table is a digest of a Parquet file's columns and rows, without when scores were made.
func (w *world) table(ctx context.Context, name string, want exports.File) (sum [sha256.Size]byte, err error) {
	r, _, err := w.blobs.Open(ctx, name)
	if err != nil {
		return sum, err
	}
	body, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return sum, err
	}
	if whole := sha256.Sum256(body); int64(len(body)) != want.Bytes || hex.EncodeToString(whole[:]) != want.SHA256 {
		return sum, errors.New("it is not what its manifest says")
	}
	f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	made := -1 // the column that says when
	for i, path := range f.Schema().Columns() {
		column := strings.Join(path, ".")
		fmt.Fprintf(h, "%q ", column)
		if column == "scored_at" {
			made = i
		}
	}
	rows := int64(0)
	for _, g := range f.RowGroups() {
		n, err := digestRows(h, g.Rows(), made)
		if rows += n; err != nil {
			return sum, err
		}
	}
	if rows != want.Rows {
		return sum, fmt.Errorf("%d rows where its manifest says %d", rows, want.Rows)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// digestRows writes all values but those of a column, and counts the rows.
func digestRows(to io.Writer, rows parquet.Rows, without int) (n int64, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, 64)
	for {
		got, err := rows.ReadRows(buf)
		for _, row := range buf[:got] {
			for _, v := range row {
				if v.Column() != without {
					fmt.Fprintf(to, "%+q ", v.String())
				}
			}
		}
		n += int64(got)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
