// Package scoring runs the five engines over a relation, in their order, and gives
// their results the form in which they are shown and kept.
package scoring

import (
	"hash/fnv"
	"strings"

	"polis/handler/internal/fault"
)

// Engine is one of the five.
type Engine uint8

// The engines, in the order in which they run: each needs only those before it.
const (
	Risk Engine = iota
	Churn
	Clv
	Nbp
	Defend
)

// Engines are all of them.
var Engines = []Engine{Risk, Churn, Clv, Nbp, Defend}

var engineNames = [...]string{"risk", "churn", "clv", "nbp", "defend"}

func (e Engine) String() string { return engineNames[e] }

// MarshalText writes the engine's name.
func (e Engine) MarshalText() ([]byte, error) { return []byte(engineNames[e]), nil }

// UnmarshalText reads an engine's name.
func (e *Engine) UnmarshalText(b []byte) error {
	v, err := ParseEngine(string(b))
	*e = v
	return err
}

// ParseEngine reads an engine's name.
func ParseEngine(name string) (Engine, error) {
	for i, n := range engineNames {
		if n == name {
			return Engine(i), nil
		}
	}
	return 0, fault.New(fault.Invalid, "an engine is one of %s", strings.Join(engineNames[:], ", "))
}

// Set is a set of engines.
type Set uint8

// NewSet is the set of the engines.
func NewSet(engines ...Engine) Set {
	var s Set
	for _, e := range engines {
		s |= 1 << e
	}
	return s
}

// Has reports whether the set has the engine.
func (s Set) Has(e Engine) bool { return s&(1<<e) != 0 }

// RunMark is what scores carry of the run that wrote them, so that a repeated chunk
// knows its own writing.
func RunMark(run string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(run))
	return h.Sum64() | 1 // never 0, which stands for none
}
