package folder

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// sharingViolation is ERROR_SHARING_VIOLATION: another has the file open, and shares it with nobody.
const sharingViolation = syscall.Errno(32)

// tryLock takes the lock; nil where another has it.
func tryLock(root *os.Root) (io.Closer, error) {
	name := filepath.Join(root.Name(), filepath.FromSlash(replacing))
	p, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(p, syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	switch {
	case err == nil:
		return os.NewFile(uintptr(h), name), nil
	case errors.Is(err, sharingViolation):
		return nil, nil
	}
	return nil, err
}
