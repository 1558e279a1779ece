package localhost

import (
	"os/exec"
	"strconv"
	"strings"
)

func programOf(pid int) (string, error) {
	out, err := exec.Command("tasklist", "/FI", "PID eq "+strconv.Itoa(pid), "/FO", "CSV", "/NH").Output()
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), `"`), `"`)
	return name, err
}
