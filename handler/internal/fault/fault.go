// Package fault gives errors a kind, so that one table at the edge can turn
// any of them into an HTTP status, an exit code or a dead letter.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of thing went wrong, from the caller's point of view.
type Kind uint8

// The kinds. Internal is the zero value: an error nobody gave a kind is ours.
const (
	Internal        Kind = iota
	Malformed            // cannot be read at all: bad JSON, bad CSV, bad header
	Invalid              // readable, but breaks a rule: see Fields
	Unauthenticated      // no caller
	Forbidden            // a caller without the role
	NotFound
	MethodNotAllowed
	Conflict     // exists already, or changed since it was read
	TooLarge     // more bytes or more items than allowed
	Unsupported  // a media type we do not take
	Unavailable  // a passing fault of something we depend on: try again
	Cancelled    // the caller went away or a deadline passed
	Unconfigured // a setting is missing or wrong
	Exhausted    // more than the caller's share: later there is some again
)

var names = [...]string{
	"internal", "malformed", "invalid", "unauthenticated", "forbidden", "not found", "method not allowed",
	"conflict", "too large", "unsupported", "unavailable", "cancelled", "unconfigured", "exhausted",
}

func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Field is one fault in a document: where (a JSON pointer, RFC 6901) and what.
// Neither holds personal data: the detail names the rule, not the value.
type Field struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Error is an error of a kind.
type Error struct {
	Kind   Kind
	Detail string        // fit to be shown to the caller
	Fields []Field       // for Malformed and Invalid
	After  time.Duration // for Exhausted: when to try again
	Err    error         // the cause; never shown to the caller
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Detail
	}
	return e.Detail + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind with a detail that may be shown to the caller.
func New(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Detail: fmt.Sprintf(format, args...)}
}

// Later makes an error of kind Exhausted: who asks again after so long may be let in.
func Later(after time.Duration, format string, args ...any) error {
	return &Error{Kind: Exhausted, Detail: fmt.Sprintf(format, args...), After: after}
}

// Wrap gives err a kind and says what was being done. It returns nil for nil.
func Wrap(k Kind, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: k, Detail: fmt.Sprintf(format, args...), Err: err}
}

// KindOf is the kind of the outermost Error in err's chain; Internal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
