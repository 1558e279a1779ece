// Package folder keeps blobs as files under a folder. A blob's name is its file's path,
// so two rules of file systems show: "a" and "a/b" cannot both be blobs, and where the
// file system ignores case (Windows, macOS) "A" and "a" are one.
package folder

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"polis/handler/internal/blob"
	"polis/handler/internal/fault"
)

// Partial is the folder of files that are being written; no blob is in it. It is apart
// so that what killed writers left behind is found without a walk through all blobs.
const Partial = ".partial"

// abandoned is the age at which a file that was being written is taken for left behind:
// its writer, in whatever process, has not written to it for that long.
const abandoned = time.Hour

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
	s := &Store{root}
	if err := s.sweep(time.Now()); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Unconfigured, err, "preparing the blobs' folder"), root.Close())
	}
	return s, nil
}

// sweep makes the folder for files that are being written, and removes from it what
// killed writers left behind.
func (s *Store) sweep(now time.Time) error {
	if err := s.root.MkdirAll(Partial, 0o700); err != nil {
		return err
	}
	entries, err := fs.ReadDir(s.root.FS(), Partial)
	if err != nil {
		return err
	}
	for _, e := range entries {
		fi, err := e.Info()
		if name := path.Join(Partial, e.Name()); err == nil && name != replacing && now.Sub(fi.ModTime()) > abandoned {
			err = s.root.Remove(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // finished, or swept by another process
			return err
		}
	}
	return nil
}

// Close gives the folder back.
func (s *Store) Close() error { return s.root.Close() }

// check accepts the names of blobs, unless they are in the folder that is ours.
func check(name string) error {
	if first, _, _ := strings.Cut(name, "/"); strings.EqualFold(first, Partial) {
		return fault.New(fault.Invalid, "not a blob name: the folder is kept for blobs that are being written")
	}
	return blob.CheckName(name)
}

// wrap gives the file system's errors the store's kinds; an error that has a kind, such
// as one of the reader that a blob is written from, keeps it.
func wrap(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case fault.KindOf(err) != fault.Internal:
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Cancelled, err, "%s", doing)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return fault.New(fault.NotFound, "no such blob")
	case errors.Is(err, fs.ErrExist):
		return fault.New(fault.Conflict, "the blob exists already")
	}
	return fault.Wrap(fault.Unavailable, err, "%s", doing)
}

// info describes a file. Every write gives its file the time to the nanosecond, so the
// time and the size tell one content of a blob from the next.
func info(name string, fi fs.FileInfo) blob.Info {
	return blob.Info{
		Name: name, Size: fi.Size(), Modified: fi.ModTime().UTC(),
		ETag: strconv.FormatInt(fi.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(fi.Size(), 36),
	}
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, blob.Info, error) {
	const doing = "opening a blob"
	if err := check(name); err != nil {
		return nil, blob.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, blob.Info{}, wrap(err, doing)
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, blob.Info{}, wrap(err, doing)
	}
	fi, err := f.Stat()
	if err == nil && fi.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, blob.Info{}, errors.Join(wrap(err, doing), f.Close())
	}
	return f, info(name, fi), nil
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	return s.write(ctx, name, r, s.root.Rename)
}

// Create implements blob.Store. A hard link, unlike a rename, fails where there is a file.
func (s *Store) Create(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	return s.write(ctx, name, r, s.root.Link)
}

// Replace implements blob.Store. A file system has no rename on a condition, so that those who
// replace blobs, also in other processes, take turns by a file that each locks while it looks and
// renames. A Put in that moment is replaced all the same: what is replaced is only ever replaced.
func (s *Store) Replace(ctx context.Context, name, etag string, r io.Reader) (blob.Info, error) {
	return s.write(ctx, name, r, func(from, to string) error {
		unlock, err := s.lock(ctx)
		if err != nil {
			return err
		}
		fi, err := s.root.Stat(to)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), err == nil && info(to, fi).ETag != etag:
			err = fault.New(fault.Conflict, "the blob was written by another")
		case err == nil:
			err = s.root.Rename(from, to)
		}
		return errors.Join(err, unlock())
	})
}

// replacing is the file whose lock whoever replaces a blob holds, for a look and a rename. It is the operating
// system's lock, which is gone with its holder, however that ends; the file stays.
var replacing = path.Join(Partial, "replacing")

// pause is how long one waits between looks whether the lock is free.
const pause = 5 * time.Millisecond

func (s *Store) lock(ctx context.Context) (unlock func() error, err error) {
	for {
		held, err := tryLock(s.root)
		if err != nil {
			return nil, err
		}
		if held != nil {
			return held.Close, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// write writes to a file apart and lets publish put it in its place, so that a reader
// sees all or nothing, whenever the writer is killed.
func (s *Store) write(ctx context.Context, name string, r io.Reader, publish func(from, to string) error) (blob.Info, error) {
	if err := check(name); err != nil {
		return blob.Info{}, err
	}
	temp := path.Join(Partial, rand.Text())
	// The name is gone already where it was moved; where it was not, nobody needs it, and
	// Open removes it if we cannot.
	defer func() { _ = s.root.Remove(temp) }()
	fi, err := s.writeFile(ctx, temp, r)
	if err != nil {
		return blob.Info{}, wrap(err, "writing a blob")
	}
	dir := path.Dir(name)
	if err := s.makeFolder(dir); err != nil {
		return blob.Info{}, inTheWay(err, "making a blob's folder")
	}
	if err := publish(temp, name); err != nil {
		return blob.Info{}, inTheWay(err, "putting a blob in its place")
	}
	if err := s.syncFolder(dir); err != nil {
		return blob.Info{}, wrap(err, "putting a blob in its place")
	}
	return info(name, fi), nil
}

// inTheWay is wrap for an error of giving a file its name.
func inTheWay(err error, doing string) error {
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTEMPTY) {
		return fault.New(fault.Conflict, "a blob's name is that of another's folder")
	}
	return wrap(err, doing)
}

// writeFile fills a new file, and returns when it is on the disk.
func (s *Store) writeFile(ctx context.Context, temp string, r io.Reader) (_ fs.FileInfo, err error) {
	f, err := s.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, reader{ctx, r}); err != nil {
		return nil, err
	}
	// The file system's own clock may tick only every few milliseconds; see info.
	now := time.Now()
	if err := s.root.Chtimes(temp, now, now); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return f.Stat()
}

// makeFolder makes a folder and those above it, and returns when they are on the disk.
func (s *Store) makeFolder(dir string) error {
	if fi, err := s.root.Stat(dir); err == nil && fi.IsDir() {
		return nil
	}
	if err := s.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for dir != "." {
		dir = path.Dir(dir)
		if err := s.syncFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

// syncFolder makes the names in a folder outlast a power cut.
func (s *Store) syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // its file systems do so by themselves, and refuse to be asked
	}
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
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

// List implements blob.Store. It collects what there is before it yields anything, so
// the caller may write and delete meanwhile.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		found, err := s.find(ctx, prefix)
		if err != nil {
			yield(blob.Info{}, wrap(err, "listing blobs"))
			return
		}
		for _, i := range found {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (s *Store) find(ctx context.Context, prefix string) ([]blob.Info, error) {
	var found []blob.Info
	err := fs.WalkDir(s.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist) && name != ".":
			return nil // deleted meanwhile
		case err != nil:
			return err
		case name == ".":
			return nil
		case d.IsDir():
			if name == Partial || !strings.HasPrefix(name+"/", prefix) && !strings.HasPrefix(prefix, name+"/") {
				return fs.SkipDir
			}
			return nil
		case !strings.HasPrefix(name, prefix) || !d.Type().IsRegular() || check(name) != nil:
			return nil // the last is none of ours: an editor's or a file manager's
		}
		fi, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			found = append(found, info(name, fi))
		}
		return err
	})
	// A walk orders by folder, "a/b" before "a.c"; names order bytewise.
	slices.SortFunc(found, func(a, b blob.Info) int { return strings.Compare(a.Name, b.Name) })
	return found, err
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	const doing = "deleting a blob"
	if err := check(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return wrap(err, doing)
	}
	fi, err := s.root.Lstat(name)
	if err == nil && !fi.IsDir() {
		err = s.root.Remove(name)
	}
	if err = wrap(err, doing); fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
