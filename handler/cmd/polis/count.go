package main

import (
	"errors"
	"strconv"

	"github.com/alecthomas/kong"
)

// count is a number of things on the command line, of which there is one at least: 0 is a
// flag that was not given.
type count int

// Decode implements kong.MapperValue. It takes what begins with a hyphen too: to kong that
// is a flag, and not a number below 0.
func (c *count) Decode(ctx *kong.DecodeContext) error {
	n, err := strconv.Atoi(ctx.Scan.Pop().String())
	if err != nil || n < 1 {
		return errors.New("needs a whole number above 0")
	}
	*c = count(n)
	return nil
}
