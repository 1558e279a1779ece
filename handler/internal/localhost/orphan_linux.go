package localhost

import (
	"os/exec"
	"syscall"

	"github.com/rs/zerolog"
)

// bindLifetime has the kernel kill the handler when the host is gone, however
// it went; and keeps Ctrl-C on a terminal from reaching the handler directly.
func bindLifetime(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// The kernel's promise makes the pid file needless here.
func recordOrphan(string, *exec.Cmd, zerolog.Logger) {}
func clearOrphan(string)                             {}
func sweepOrphan(string, zerolog.Logger)             {}
