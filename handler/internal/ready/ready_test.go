package ready

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"polis/handler/internal/fault"
)

// TestAsk: every part is asked, what came of it stands for a while, good or bad, and a part that
// fails is named to the log and not to the caller.
func TestAsk(t *testing.T) {
	clock := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	var asked []string
	broken := ""
	part := func(name string) Part {
		return Part{name, func(ctx context.Context) error {
			asked = append(asked, name)
			if _, ok := ctx.Deadline(); !ok || ctx.Err() != nil {
				t.Errorf("%s is asked without an end, or for a caller who has gone", name)
			}
			if name == broken {
				return errors.New("no such host")
			}
			return nil
		}}
	}
	r := New(func() time.Time { return clock }, part("documents"), part("models"))
	gone, leave := context.WithCancel(t.Context())
	leave()
	for _, step := range []struct {
		after  time.Duration
		broken string
		asked  string
		well   bool
	}{
		{0, "", "documents models", true},
		{Kept - 1, "documents", "", true},
		{1, "documents", "documents", false},
		{Kept - 1, "", "", false},
		{1, "models", "documents models", false},
		{Kept, "", "documents models", true},
	} {
		clock = clock.Add(step.after)
		asked, broken = nil, step.broken
		err := r.Ask(gone)
		if got := strings.Join(asked, " "); got != step.asked || (err == nil) != step.well {
			t.Fatalf("%+v: asked %q, %v", step, got, err)
		}
		if err == nil {
			continue
		}
		var f *fault.Error
		if !fault.Is(err, fault.Unavailable) || !errors.As(err, &f) || f.Detail != "not ready" {
			t.Errorf("%+v: callers are told %v", step, f)
		}
		if step.broken != "" && !strings.Contains(err.Error(), "asking "+step.broken+": no such host") {
			t.Errorf("%+v: the log is told %v", step, err)
		}
	}
}

// TestManyAskOnce: those who come while somebody asks wait for his answer.
func TestManyAskOnce(t *testing.T) {
	asked := 0
	r := New(time.Now, Part{"documents", func(context.Context) error { asked++; return nil }})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := r.Ask(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestNew(t *testing.T) {
	ask := func(context.Context) error { return nil }
	for name, make := range map[string]func(){
		"no clock":    func() { New(nil, Part{"a", ask}) },
		"no part":     func() { New(time.Now) },
		"no name":     func() { New(time.Now, Part{"", ask}) },
		"no question": func() { New(time.Now, Part{"a", nil}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken", name)
				}
			}()
			make()
		}()
	}
}
