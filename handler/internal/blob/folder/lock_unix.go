//go:build !windows

package folder

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// tryLock takes the lock; nil where another has it.
func tryLock(root *os.Root) (io.Closer, error) {
	f, err := root.OpenFile(replacing, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil:
		return f, nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return nil, f.Close()
	default:
		return nil, errors.Join(err, f.Close())
	}
}
