//go:build unix

package standin

import (
	"os/exec"
	"syscall"
)

// apart keeps Ctrl-C on a terminal from reaching the program: who uses it ends it, after what
// it still has to say to it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
