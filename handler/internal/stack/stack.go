// Package stack makes room on goroutines' stacks in one step. They begin with 2 to 8 KiB; each
// time that they are full they are doubled, and all that is on them is walked and moved, for which a process
// that has just started reads tables that it has not touched yet: one part in twenty of a cold start.
package stack

// enough is how deep it is to read models or to answer a request, in bytes: 32 KiB with what is
// there already. Our choice, by measurement.
const enough = 24 << 10

// Grow makes room on the stack of the goroutine that calls it, which should be near its beginning. The
// collector takes back what is not used.
//
//go:noinline
func Grow() {
	var room [enough]byte
	touch(&room)
}

// touch keeps the room from being optimized away.
//
//go:noinline
func touch(room *[enough]byte) { room[0] = 1 }
