package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	. "polis/handler/internal/fault"
)

func TestKinds(t *testing.T) {
	inner := New(NotFound, "no such customer")
	for name, tc := range map[string]struct {
		err  error
		want Kind
		text string
	}{
		"of a kind":             {inner, NotFound, "no such customer"},
		"wrapped by fmt":        {fmt.Errorf("reading: %w", inner), NotFound, "reading: no such customer"},
		"wrapped in a kind":     {Wrap(Unavailable, io.EOF, "reading %s", "a blob"), Unavailable, "reading a blob: EOF"},
		"the outermost counts":  {Wrap(Internal, inner, "looking"), Internal, "looking: no such customer"},
		"nobody gave it a kind": {io.EOF, Internal, "EOF"},
		"joined":                {errors.Join(io.EOF, inner), NotFound, "EOF\nno such customer"},
	} {
		if KindOf(tc.err) != tc.want || !Is(tc.err, tc.want) || tc.err.Error() != tc.text {
			t.Errorf("%s: %s, %q", name, KindOf(tc.err), tc.err)
		}
	}
	if Wrap(Internal, nil, "reading") != nil || Is(nil, Internal) {
		t.Error("nothing went wrong and that is an error")
	}
	if !errors.Is(Wrap(Unavailable, io.EOF, "reading"), io.EOF) {
		t.Error("the cause is lost")
	}
}

func TestKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := Internal; k <= Exhausted; k++ {
		if n := k.String(); n == "" || n == "unknown" || seen[n] {
			t.Errorf("kind %d is called %q", k, n)
		}
		seen[k.String()] = true
	}
	if (Exhausted + 1).String() != "unknown" {
		t.Error("there is a kind without a test")
	}
}
