//go:build unix && !linux

package localhost

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func programOf(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	return filepath.Base(strings.TrimSpace(string(out))), err
}
