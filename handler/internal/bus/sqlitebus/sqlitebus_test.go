package sqlitebus_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"polis/handler/internal/bus"
	"polis/handler/internal/bus/bustest"
	"polis/handler/internal/bus/sqlitebus"
)

func open(t testing.TB, path string, options ...sqlitebus.Option) *sqlitebus.Bus {
	t.Helper()
	b, err := sqlitebus.Open(path, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestBus(t *testing.T) {
	bustest.Run(t, func(t *testing.T, now func() time.Time) bus.Broker {
		b, err := sqlitebus.Open(filepath.Join(t.TempDir(), "bus.db"), sqlitebus.WithClock(now), sqlitebus.WithDuplicateWindow(bustest.Window))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// TestBusApart holds what needs no clock on one queue of a bus that is shared, as make test-azure has it.
func TestBusApart(t *testing.T) {
	path, n := filepath.Join(t.TempDir(), "bus.db"), 0
	bustest.RunApart(t, func(t *testing.T) bus.Broker {
		b, err := sqlitebus.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		n++
		empty(t, b)
		return bustest.Apart(b, "test", fmt.Sprintf("test-%d-", n))
	})
}

// empty takes what earlier tests left on the queue.
func empty(t *testing.T, b bus.Broker) {
	t.Helper()
	for {
		list, err := b.Receive(t.Context(), "test", 100, time.Minute, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return
		}
		for _, d := range list {
			if err := b.Complete(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus.db")
	b := open(t, path)
	if err := b.Send(t.Context(), "q", bus.Message{ID: "a"}, bus.Message{ID: "b"}); err != nil {
		t.Fatal(err)
	}
	locked, err := b.Receive(t.Context(), "q", 1, time.Minute, 0)
	if err != nil || len(locked) != 1 {
		t.Fatal(locked, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, path)
	if err := b.Send(t.Context(), "q", bus.Message{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	got, err := b.Receive(t.Context(), "q", 10, time.Minute, 0)
	if err != nil || len(got) != 1 || got[0].ID != "b" {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := b.Complete(t.Context(), locked[0]); err != nil {
		t.Errorf("a lock from before: %v", err)
	}
}

// The test binary is its own victim: with this variable set it sends and receives until killed.
const victimOf = "POLIS_BUS_VICTIM_OF"

func TestMain(m *testing.M) {
	if path := os.Getenv(victimOf); path != "" {
		if err := workForever(path, os.Getenv("NAME"), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// workForever moves messages from one queue to the next, as a handler does that sends
// before it completes; and tells what it has sent anew and what it has completed.
func workForever(path, name string, out io.Writer) error {
	b, err := sqlitebus.Open(path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for i := 0; ; i++ {
		id := fmt.Sprintf("%s-%d", name, i)
		if err := b.Send(ctx, "first", bus.Message{ID: id, Body: make([]byte, 300)}); err != nil {
			return err
		}
		fmt.Fprintln(out, "sent", id)
		got, err := b.Receive(ctx, "first", 2, time.Millisecond*200, 0)
		if err != nil {
			return err
		}
		for _, d := range got {
			if err := b.Send(ctx, "second", d.Message); err != nil {
				return err
			}
			if err := b.Complete(ctx, d); err == nil {
				fmt.Fprintln(out, "done", d.ID)
			}
		}
	}
}

func TestKilledWhileWorking(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus.db")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sent, done := map[string]bool{}, map[string]bool{}
	for round := range 5 {
		var victims [2]*exec.Cmd
		var pipes [2]io.Reader
		for v := range victims {
			cmd := exec.CommandContext(t.Context(), exe)
			cmd.Env = append(os.Environ(), victimOf+"="+path, fmt.Sprintf("NAME=%d-%d", round, v))
			cmd.Stderr = os.Stderr
			if pipes[v], err = cmd.StdoutPipe(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			victims[v] = cmd
		}
		for v, cmd := range victims {
			lines := bufio.NewScanner(pipes[v])
			// What it told before it was killed is in the pipe, in whole lines.
			for n := 1 + rand.IntN(200); lines.Scan(); n-- {
				var what, id string
				if _, err := fmt.Sscan(lines.Text(), &what, &id); err != nil {
					t.Fatal(err)
				}
				map[string]map[string]bool{"sent": sent, "done": done}[what][id] = true
				if n == 0 {
					if err := cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
				t.Fatalf("a worker ended by itself: %v", err)
			}
		}
	}
	b := open(t, path)
	first, second := ids(t, b, "first"), ids(t, b, "second")
	for id := range sent {
		if first[id]+second[id] == 0 {
			t.Errorf("%s was sent and is lost", id)
		}
	}
	for id := range done {
		if first[id] != 0 || second[id] != 1 {
			t.Errorf("%s was moved and is %d times in the first queue, %d times in the second", id, first[id], second[id])
		}
	}
	for id, n := range second {
		if n != 1 {
			t.Errorf("%s is %d times in the second queue", id, n)
		}
	}
}

func ids(t *testing.T, b *sqlitebus.Bus, queue string) map[string]int {
	t.Helper()
	all, err := b.Peek(t.Context(), queue, false, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, d := range all {
		n[d.ID]++
	}
	return n
}

func BenchmarkSend(b *testing.B) {
	q := open(b, filepath.Join(b.TempDir(), "bus.db"))
	for i := 0; b.Loop(); i++ {
		if err := q.Send(b.Context(), "q", bus.Message{ID: fmt.Sprint(i), Body: make([]byte, 300)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReceiveNothing(b *testing.B) {
	q := open(b, filepath.Join(b.TempDir(), "bus.db"))
	for b.Loop() {
		if got, err := q.Receive(b.Context(), "q", 10, time.Minute, 10); err != nil || len(got) != 0 {
			b.Fatal(got, err)
		}
	}
}

// BenchmarkReceiveAndComplete does so with many thousands of messages waiting.
func BenchmarkReceiveAndComplete(b *testing.B) {
	q := open(b, filepath.Join(b.TempDir(), "bus.db"))
	next := 0
	refill := func(n int) {
		msgs := make([]bus.Message, n)
		for i := range msgs {
			msgs[i] = bus.Message{ID: fmt.Sprint(next), Body: make([]byte, 300)}
			next++
		}
		if err := q.Send(b.Context(), "q", msgs...); err != nil {
			b.Fatal(err)
		}
	}
	refill(50_000)
	for i := 0; b.Loop(); i++ {
		got, err := q.Receive(b.Context(), "q", 1, time.Minute, 10)
		if err != nil || len(got) != 1 {
			b.Fatal(errors.Join(err, fmt.Errorf("%d messages", len(got))))
		}
		if err := q.Complete(b.Context(), got[0]); err != nil {
			b.Fatal(err)
		}
		if i%10_000 == 9999 {
			b.StopTimer()
			refill(10_000)
			b.StartTimer()
		}
	}
}
