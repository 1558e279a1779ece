// Package spill keeps records in one scratch file, apart by partition, so that more
// of them than fit in memory can be taken up again a partition at a time.
package spill

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"

	"polis/handler/internal/fault"
)

// File is a scratch file. Writers fill it; when all are flushed, Read reads it.
type File struct {
	f     *Scratch
	block int

	mu    sync.Mutex
	size  int64
	parts [][]extent
}

type extent struct {
	at  int64
	len int
}

// Scratch is a file for what need not outlive the process. It has no name where the system allows that, so a
// killed process leaves nothing behind.
type Scratch struct{ *os.File }

// NewScratch makes a scratch file in dir, or where the system has such files for "".
func NewScratch(dir string) (*Scratch, error) {
	f, err := os.CreateTemp(dir, "polis-scratch-*")
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "making a scratch file")
	}
	_ = os.Remove(f.Name()) // Windows refuses while the file is open: Close does it there
	return &Scratch{f}, nil
}

// Close removes the file.
func (s *Scratch) Close() error {
	err := s.File.Close()
	if rm := os.Remove(s.Name()); rm != nil && !errors.Is(rm, os.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}

// New makes a scratch file in dir, whose writers keep up to block bytes of each
// partition in memory.
func New(dir string, block int) (*File, error) {
	f, err := NewScratch(dir)
	if err != nil {
		return nil, err
	}
	return &File{f: f, block: block}, nil
}

// Close removes the file.
func (s *File) Close() error { return s.f.Close() }

// Bytes is how much a partition holds.
func (s *File) Bytes(part int) int {
	n := 0
	if part < len(s.parts) {
		for _, e := range s.parts[part] {
			n += e.len
		}
	}
	return n
}

// Parts is one more than the highest partition that holds anything.
func (s *File) Parts() int { return len(s.parts) }

func (s *File) write(part int, b []byte) error {
	s.mu.Lock()
	at := s.size
	s.size += int64(len(b))
	for len(s.parts) <= part {
		s.parts = append(s.parts, nil)
	}
	s.parts[part] = append(s.parts[part], extent{at, len(b)})
	s.mu.Unlock()
	if _, err := s.f.WriteAt(b, at); err != nil {
		return fault.Wrap(fault.Unavailable, err, "writing a scratch file")
	}
	return nil
}

// Read yields a partition's bytes in pieces of whole records, each at most limit long
// unless one writer's block is longer; 0 is no limit. A piece is good until yield
// returns: buf, which grows as needed, is used for the next.
func (s *File) Read(part, limit int, buf *[]byte, yield func(piece []byte) error) error {
	if part >= len(s.parts) {
		return nil
	}
	for extents := s.parts[part]; len(extents) > 0; {
		n, size := 0, 0
		for n < len(extents) && (n == 0 || limit == 0 || size+extents[n].len <= limit) {
			size += extents[n].len
			n++
		}
		if cap(*buf) < size {
			*buf = make([]byte, size+size/8)
		}
		piece := (*buf)[:0]
		for _, e := range extents[:n] {
			at := len(piece)
			piece = piece[:at+e.len]
			if _, err := s.f.ReadAt(piece[at:], e.at); err != nil {
				return fault.Wrap(fault.Unavailable, err, "reading a scratch file")
			}
		}
		if err := yield(piece); err != nil {
			return err
		}
		extents = extents[n:]
	}
	return nil
}

// Writer adds records to a File; each goroutine has its own.
type Writer struct {
	file *File
	bufs [][]byte
}

// Writer starts a writer.
func (s *File) Writer() *Writer { return &Writer{file: s} }

// Append adds a record to a partition. A record is never split between pieces.
func (w *Writer) Append(part int, record []byte) error {
	for len(w.bufs) <= part {
		w.bufs = append(w.bufs, nil)
	}
	b := w.bufs[part]
	if len(b)+len(record)+binary.MaxVarintLen64 > w.file.block && len(b) > 0 {
		if err := w.file.write(part, b); err != nil {
			return err
		}
		b = b[:0]
	}
	if b == nil {
		b = make([]byte, 0, w.file.block)
	}
	b = binary.AppendUvarint(b, uint64(len(record)))
	w.bufs[part] = append(b, record...)
	return nil
}

// Flush writes what is still in memory.
func (w *Writer) Flush() error {
	for part, b := range w.bufs {
		if len(b) > 0 {
			if err := w.file.write(part, b); err != nil {
				return err
			}
			w.bufs[part] = b[:0]
		}
	}
	return nil
}

// Next cuts the first record off a piece.
func Next[T ~string | ~[]byte](piece T) (record, rest T) {
	n, shift := 0, 0
	for i := range len(piece) {
		c := piece[i]
		n |= int(c&0x7f) << shift
		if c < 0x80 {
			return piece[i+1 : i+1+n], piece[i+1+n:]
		}
		shift += 7
	}
	return piece[:0], piece[:0]
}
