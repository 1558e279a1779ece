package localhost

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"polis/handler/internal/localhost/ncrontab"
)

// Inside a synctest bubble the clock starts at midnight UTC, 1 January 2000,
// and stands still while anything runs.

// fired is a call of the timer: when, and what it was told.
type fired struct {
	At, Next string
	PastDue  bool
	Retry    any
}

// runTimer runs a timer for a while of bubble time and gives its calls.
func runTimer(t *testing.T, state *memoryState, schedule string, lasting time.Duration, change func(*timer)) []fired {
	t.Helper()
	s, err := ncrontab.Parse(schedule)
	if err != nil {
		t.Fatal(err)
	}
	var calls []fired
	tm := &timer{
		fn:    &function{name: "Tick", schedule: s, trigger: binding{Type: timerTrigger, Name: "tick", Schedule: schedule}},
		state: state, turn: make(chan struct{}, 1),
		warn: func(err error, msg string) { t.Errorf("%s: %v", msg, err) },
	}
	if change != nil {
		change(tm)
	}
	answer := tm.call
	tm.call = func(ctx context.Context, e envelope) error {
		info := e.Data["tick"].(timerInfo)
		f := fired{At: time.Now().UTC().Format("02 15:04:05"), PastDue: info.IsPastDue}
		if info.ScheduleStatus != nil {
			f.Next = time.Time(info.ScheduleStatus.Next).UTC().Format("02 15:04:05")
		}
		if r, ok := e.Metadata["RetryContext"].(map[string]any); ok {
			f.Retry = r["RetryCount"]
		}
		calls = append(calls, f)
		if answer != nil {
			return answer(ctx, e)
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	if err := tm.run(ctx); err != nil {
		t.Error(err)
	}
	return calls
}

func TestTimerFiresOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := runTimer(t, newState(), "0 */20 * * * *", time.Hour+time.Minute, nil)
		want := []fired{{At: "01 00:20:00", Next: "01 00:20:00"}, {At: "01 00:40:00", Next: "01 00:40:00"}, {At: "01 01:00:00", Next: "01 01:00:00"}}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestTimerMissedWhileDownFiresOnceAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := newState()
		runTimer(t, state, "0 0 * * * *", 90*time.Minute, nil)
		time.Sleep(5 * time.Hour) // the host is down from 01:30 to 06:30
		got := runTimer(t, state, "0 0 * * * *", time.Hour, nil)
		want := []fired{{At: "01 06:30:00", Next: "01 02:00:00", PastDue: true}, {At: "01 07:00:00", Next: "01 07:00:00"}}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if again := runTimer(t, state, "0 0 * * * *", time.Minute, nil); len(again) != 0 {
			t.Errorf("fired again: %v", again)
		}
	})
}

func TestTimerCutOffByTheHostsEndIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := newState()
		hang := func(tm *timer) {
			tm.call = func(ctx context.Context, _ envelope) error { <-ctx.Done(); return ctx.Err() }
		}
		if got := runTimer(t, state, "0 0 * * * *", 61*time.Minute, hang); len(got) != 1 {
			t.Fatalf("calls %v", got)
		}
		if got := runTimer(t, state, "0 0 * * * *", time.Minute, nil); len(got) != 1 || !got[0].PastDue {
			t.Errorf("after the restart: %v", got)
		}
	})
}

func TestTimerWithNothingMissed(t *testing.T) {
	off := false
	for _, c := range []struct {
		name, before, after string
		change              func(*timer)
	}{
		{"the schedule was changed", "0 0 * * * *", "0 30 5 * * *", nil},
		{"useMonitor is off", "0 0 * * * *", "0 0 * * * *", func(tm *timer) { tm.fn.trigger.UseMonitor = &off }},
		{"the schedule is of under a minute", "*/30 * * * * *", "*/30 * * * * *", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				state := newState()
				runTimer(t, state, c.before, time.Minute, c.change)
				time.Sleep(3*time.Hour + 5*time.Second)
				if got := runTimer(t, state, c.after, 10*time.Second, c.change); len(got) != 0 {
					t.Errorf("fired: %v", got)
				}
			})
		})
	}
}

func TestTimerOverrunSkipsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := runTimer(t, newState(), "0 */10 * * * *", 45*time.Minute, func(tm *timer) {
			tm.call = func(context.Context, envelope) error { time.Sleep(15 * time.Minute); return nil }
		})
		var at []string
		for _, f := range got {
			at = append(at, f.At)
		}
		if d := cmp.Diff([]string{"01 00:10:00", "01 00:30:00"}, at); d != "" {
			t.Error(d)
		}
	})
}

func TestTimerRetries(t *testing.T) {
	fails := errors.New("fails")
	for _, c := range []struct {
		name, policy string
		want         []fired
	}{
		{"fixed", `{"strategy":"fixedDelay","maxRetryCount":2,"delayInterval":"00:00:10"}`, []fired{
			{At: "01 00:00:00"}, {At: "01 00:00:10", Retry: 1}, {At: "01 00:00:20", Retry: 2},
		}},
		{"exponential", `{"strategy":"exponentialBackoff","maxRetryCount":4,"minimumInterval":"00:00:02","maximumInterval":"00:00:05"}`, []fired{
			{At: "01 00:00:00"}, {At: "01 00:00:02", Retry: 1}, {At: "01 00:00:06", Retry: 2}, {At: "01 00:00:11", Retry: 3}, {At: "01 00:00:16", Retry: 4},
		}},
		{"none", `null`, []fired{{At: "01 00:00:00"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := runTimer(t, newState(), "0 0 3 * * *", time.Hour, func(tm *timer) {
					if err := json.Unmarshal([]byte(c.policy), &tm.fn.retry); err != nil {
						t.Fatal(err)
					}
					tm.fn.trigger.RunOnStartup = true
					tm.call = func(context.Context, envelope) error { return fails }
				})
				for i := range got {
					got[i].Next = ""
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestTimerByHandWaitsForTheCallThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, most := 0, 0
		var hand func()
		runTimer(t, newState(), "0 0 * * * *", 3*time.Hour, func(tm *timer) {
			hand = func() { tm.byHand(t.Context(), nil) }
			tm.call = func(context.Context, envelope) error {
				running++
				most = max(most, running)
				if hand != nil {
					go hand()
					hand = nil
				}
				time.Sleep(time.Minute)
				running--
				return nil
			}
		})
		synctest.Wait()
		if most != 1 {
			t.Errorf("%d calls at a time", most)
		}
	})
}

func newState() *memoryState { return &memoryState{docs: map[string][]byte{}} }
