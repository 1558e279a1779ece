package localhost

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// Documents is the part of store.Store that keeps the timers' state, in the
// partition of no tenant, under "localhost/timer/<function>".
type Documents interface {
	Get(ctx context.Context, p store.Partition, key string) (store.Document, error)
	Write(ctx context.Context, p store.Partition, ops []store.Op) error
}

var timerPartition = store.Partition{Bucket: store.Shared}

// maxSleep bounds a wait for the next occurrence: timers stand still while a
// laptop sleeps, so the clock is looked at again.
const maxSleep = time.Minute

// timer fires a function by its schedule, one call at a time.
type timer struct {
	fn    *function
	state Documents
	call  func(ctx context.Context, e envelope) error
	warn  func(err error, msg string)

	turn chan struct{} // holds the one place for a call, whoever makes it
}

// timerState is the timer's memory: what it needs to see, after the host was
// down, that an occurrence was missed.
type timerState struct {
	Schedule          string
	Last              time.Time // the last call's start; zero: none yet
	Next, LastUpdated time.Time
}

// timerInfo is the trigger's value.
type timerInfo struct {
	Schedule       struct{ AdjustForDST bool }
	ScheduleStatus *scheduleStatus
	IsPastDue      bool
}

type scheduleStatus struct{ Last, Next, LastUpdated zonedTime }

// zonedTime is a date as the host writes it in objects: with its zone.
type zonedTime time.Time

// MarshalJSON writes the date.
func (t zonedTime) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(t).UTC().Format("2006-01-02T15:04:05-07:00"))
}

func (t *timer) run(ctx context.Context) error {
	now := time.Now()
	state, err := t.load(ctx, now)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fault.Wrap(fault.KindOf(err), err, "timer %s: read its state", t.fn.name)
	}
	switch {
	case t.monitored() && state.Next.Before(now):
		state = t.fire(ctx, state, true)
	case t.fn.trigger.RunOnStartup:
		state = t.fire(ctx, state, false)
	}
	for {
		state.Next = t.fn.schedule.Next(time.Now())
		for wait := time.Until(state.Next); wait > 0; wait = time.Until(state.Next) {
			if !pause(ctx, min(wait, maxSleep)) {
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		state = t.fire(ctx, state, false)
	}
}

// fire makes one scheduled call. It is recorded once it is over, so a host that
// is killed on the way finds the occurrence missed and makes the call again.
func (t *timer) fire(ctx context.Context, state timerState, pastDue bool) timerState {
	if !t.take(ctx) {
		return state
	}
	defer t.release()
	start := time.Now().UTC()
	err := t.attempt(ctx, t.info(state, pastDue))
	if ctx.Err() != nil || errors.Is(err, errHandlerEnded) {
		return state
	}
	state.Last, state.LastUpdated, state.Next = start, start, t.fn.schedule.Next(start)
	if err := t.save(ctx, state); err != nil && ctx.Err() == nil {
		t.warn(err, "the timer's state could not be saved: it may fire once more after a restart")
	}
	return state
}

// attempt calls the function, and again as its retry policy says.
func (t *timer) attempt(ctx context.Context, info timerInfo) error {
	e := envelope{Data: map[string]any{t.fn.trigger.Name: info}, Metadata: map[string]any{}}
	for n := 1; ; n++ {
		err := t.call(ctx, e)
		p := t.fn.retry
		if err == nil || ctx.Err() != nil || p == nil || p.MaxRetryCount != unbounded && n > p.MaxRetryCount {
			return err
		}
		if !pause(ctx, p.delay(n)) {
			return err
		}
		e.Metadata["RetryContext"] = map[string]any{"RetryCount": n, "MaxRetryCount": p.MaxRetryCount, "Exception": err.Error()}
	}
}

func (t *timer) byHand(ctx context.Context, _ []byte) {
	if !t.take(ctx) {
		return
	}
	defer t.release()
	_ = t.attempt(ctx, timerInfo{Schedule: struct{ AdjustForDST bool }{true}}) // each call logs its own failure
}

// take waits for the turn to call; false when ctx ended first.
func (t *timer) take(ctx context.Context) bool {
	select {
	case t.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t *timer) release() { <-t.turn }

func (t *timer) info(state timerState, pastDue bool) timerInfo {
	info := timerInfo{Schedule: struct{ AdjustForDST bool }{true}, IsPastDue: pastDue}
	if t.monitored() {
		info.ScheduleStatus = &scheduleStatus{zonedTime(state.Last), zonedTime(state.Next), zonedTime(state.LastUpdated)}
	}
	return info
}

// monitored: useMonitor, which the host ignores for schedules of under a minute.
func (t *timer) monitored() bool {
	if m := t.fn.trigger.UseMonitor; m != nil && !*m {
		return false
	}
	at := t.fn.schedule.Next(time.Now())
	for range 5 {
		next := t.fn.schedule.Next(at)
		if !next.IsZero() && next.Sub(at) < time.Minute {
			return false
		}
		at = next
	}
	return true
}

func (t *timer) key() string { return "localhost/timer/" + t.fn.name }

// load reads the state; a timer that is new, or whose schedule was changed,
// starts afresh and has missed nothing.
func (t *timer) load(ctx context.Context, now time.Time) (timerState, error) {
	fresh := timerState{Schedule: t.fn.trigger.Schedule, Next: t.fn.schedule.Next(now), LastUpdated: now}
	if !t.monitored() {
		return fresh, nil
	}
	doc, err := t.state.Get(ctx, timerPartition, t.key())
	var state timerState
	switch {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		return fresh, err
	default:
		if json.Unmarshal(doc.Body, &state) == nil && state.Schedule == fresh.Schedule {
			return state, nil
		}
	}
	return fresh, t.save(ctx, fresh)
}

func (t *timer) save(ctx context.Context, s timerState) error {
	if !t.monitored() {
		return nil
	}
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return t.state.Write(ctx, timerPartition, []store.Op{{Verb: store.Put, Document: store.Document{Key: t.key(), Body: body}}})
}
