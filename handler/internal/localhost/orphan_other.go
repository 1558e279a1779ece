//go:build !linux

package localhost

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
)

// bindLifetime: there is no parent-death signal here. A handler that outlived
// a killed host is found by its pid file at the next start.
func bindLifetime(*exec.Cmd) {}

func recordOrphan(pidFile string, cmd *exec.Cmd, log zerolog.Logger) {
	if pidFile == "" {
		return
	}
	body := strconv.Itoa(cmd.Process.Pid) + "\n" + filepath.Base(cmd.Path) + "\n"
	if err := os.WriteFile(pidFile, []byte(body), 0o600); err != nil {
		log.Warn().Err(err).Msg("the handler's pid file could not be written")
	}
}

func clearOrphan(pidFile string) {
	if pidFile != "" {
		_ = os.Remove(pidFile) // a stale file is harmless: the sweep checks the program's name
	}
}

// sweepOrphan kills the handler of an earlier host, if the process with its
// number still is that program: numbers are used again.
func sweepOrphan(pidFile string, log zerolog.Logger) {
	body, err := os.ReadFile(pidFile)
	if err != nil {
		return
	}
	pidText, program, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	pid, err := strconv.Atoi(pidText)
	if err != nil || program == "" {
		return
	}
	if running, err := programOf(pid); err == nil && running == program {
		if p, err := os.FindProcess(pid); err == nil && p.Kill() == nil {
			log.Warn().Int("pid", pid).Msg("killed the handler that an earlier host left behind")
		}
	}
	clearOrphan(pidFile)
}
