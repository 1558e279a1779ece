// Infra is what scripts/infra needs of Go: it notes what snapshots were made of.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"polis/infra/bicep/check"
)

var cli struct {
	Sums sums `cmd:"" help:"Note what the snapshots were made of, or say what has changed since."`
}

type sums struct {
	Write bool `help:"Note it."`
}

func (c *sums) Run() error {
	now, err := check.Sources(".")
	if err != nil {
		return err
	}
	path := filepath.FromSlash(check.Sums)
	if c.Write {
		return os.WriteFile(path, []byte(now), 0o644)
	}
	then, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading what the snapshots were made of: %w", err)
	}
	if string(then) != now {
		return fmt.Errorf("the snapshots are of other sources than these: run make infra")
	}
	return nil
}

func main() {
	ctx := kong.Parse(&cli, kong.Name("infra"), kong.UsageOnError())
	ctx.FatalIfErrorf(ctx.Run())
}
