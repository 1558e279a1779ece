//go:build !unix

package standin

import "os/exec"

// apart: there are no process groups here; Ctrl-C reaches the program too.
func apart(*exec.Cmd) {}
