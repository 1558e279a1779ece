// Package folder keeps blobs as files under a folder.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"

	"polis/handler/internal/blob"
	"polis/handler/internal/fault"
)

// partial begins the names of files that are being written; no blob may have it.
const partial = ".partial-"

// Store implements blob.Store.
type Store struct{ root *os.Root }

var _ blob.Store = (*Store)(nil)

// Open is the blobs under a folder, which is made where it is missing.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "making the blobs' folder")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening the blobs' folder")
	}
	return &Store{root}, nil
}

// Close gives the folder back.
func (s *Store) Close() error { return s.root.Close() }

// check accepts names that mean the same on every system: clean, relative, with
// forward slashes, and no file that is being written.
func check(name string) error {
	if len(name) > 900 || !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\:*?\"<>|") || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return fault.New(fault.Invalid, "not a blob name")
	}
	for _, part := range strings.Split(name, "/") {
		if strings.HasPrefix(part, partial) || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || len(part) > 200 {
			return fault.New(fault.Invalid, "not a blob name")
		}
	}
	return nil
}

func wrap(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Cancelled, err, "%s", doing)
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "no such blob")
	case errors.Is(err, fs.ErrExist):
		return fault.New(fault.Conflict, "the blob exists")
	}
	return fault.Wrap(fault.Unavailable, err, "%s", doing)
}

func info(name string, fi fs.FileInfo) blob.Info {
	return blob.Info{Name: name, Size: fi.Size(), Modified: fi.ModTime().UTC(), ETag: strconv.FormatInt(fi.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(fi.Size(), 36)}
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, blob.Info, error) {
	if err := check(name); err != nil {
		return nil, blob.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, blob.Info{}, wrap(err, "opening a blob")
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, blob.Info{}, wrap(err, "opening a blob")
	}
	fi, err := f.Stat()
	if err == nil && fi.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, blob.Info{}, errors.Join(wrap(err, "opening a blob"), f.Close())
	}
	return f, info(name, fi), nil
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	return s.write(ctx, name, r, s.root.Rename)
}

// Create implements blob.Store. A hard link, unlike a rename, fails where there is a file.
func (s *Store) Create(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	return s.write(ctx, name, r, func(temp, name string) error {
		err := s.root.Link(temp, name)
		return errors.Join(err, s.root.Remove(temp))
	})
}

// write writes to a file beside the blob and lets publish put it in its place, so that
// a reader sees all or nothing, whenever the writer is killed.
func (s *Store) write(ctx context.Context, name string, r io.Reader, publish func(temp, name string) error) (_ blob.Info, err error) {
	if err := check(name); err != nil {
		return blob.Info{}, err
	}
	dir := ""
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir = name[:i+1]
		if err := s.root.MkdirAll(name[:i], 0o700); err != nil {
			return blob.Info{}, wrap(err, "making a blob's folder")
		}
	}
	f, temp, err := s.temp(dir)
	if err != nil {
		return blob.Info{}, wrap(err, "making a blob")
	}
	defer func() {
		if err != nil {
			_ = s.root.Remove(temp) // gone already where it was published
		}
	}()
	_, err = io.Copy(f, reader{ctx, r})
	if err = errors.Join(err, f.Sync()); err != nil {
		return blob.Info{}, wrap(errors.Join(err, f.Close()), "writing a blob")
	}
	if err := f.Close(); err != nil {
		return blob.Info{}, wrap(err, "writing a blob")
	}
	if err := publish(temp, name); err != nil {
		return blob.Info{}, wrap(err, "putting a blob in its place")
	}
	fi, err := s.root.Stat(name)
	if err != nil {
		return blob.Info{}, wrap(err, "looking at a blob")
	}
	return info(name, fi), nil
}

func (s *Store) temp(dir string) (*os.File, string, error) {
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s%s%d-%d", dir, partial, os.Getpid(), i)
		f, err := s.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if !errors.Is(err, fs.ErrExist) || i > 10000 {
			return f, name, err
		}
	}
}

// reader ends a copy with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		var found []blob.Info
		err := fs.WalkDir(s.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if name != "." && !strings.HasPrefix(name+"/", prefix) && !strings.HasPrefix(prefix, name+"/") {
					return fs.SkipDir
				}
				return ctx.Err()
			}
			if !strings.HasPrefix(name, prefix) || strings.HasPrefix(d.Name(), partial) {
				return nil
			}
			fi, err := d.Info()
			if err == nil {
				found = append(found, info(name, fi))
			}
			return err
		})
		if err != nil {
			yield(blob.Info{}, wrap(err, "listing blobs"))
			return
		}
		// A walk orders by folder, "a/b" before "a.c"; names order bytewise.
		slices.SortFunc(found, func(a, b blob.Info) int { return strings.Compare(a.Name, b.Name) })
		for _, i := range found {
			if !yield(i, nil) {
				return
			}
		}
	}
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := errors.Join(check(name), wrap(ctx.Err(), "deleting a blob")); err != nil {
		return err
	}
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrap(err, "deleting a blob")
	}
	return nil
}
