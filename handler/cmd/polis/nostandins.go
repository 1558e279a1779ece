//go:build !standins

package main

import (
	"context"

	"polis/handler/internal/fault"
)

func without() error {
	return fault.New(fault.Unconfigured, "this polis was built without stand-ins: `make run STACK=azurite` builds one with")
}

func startStandins(context.Context, string) (stop func(), err error) { return nil, without() }

func (s *stack) openStandins() error { return without() }
