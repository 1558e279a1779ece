package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/bus"
	"polis/handler/internal/deadletter"
	"polis/handler/internal/event"
	"polis/handler/internal/functions"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

// Requests by queue that are answered while the run is under way, for each engine.
const requests = 4

// patience is how long a run may take, whatever is done to it.
const patience = 15 * time.Minute

// run restores the book to what it was, runs it as of the date by a plan, with or without an export afterwards, and says
// what it left.
func (w *world) run(ctx context.Context, p *plan, export bool) (*state, error) {
	w.exporting = export
	w.account.Restore(w.start)
	w.completed.Store(0)
	if err := w.forget(ctx); err != nil {
		return nil, err
	}
	return w.attempt(ctx, p, asOf)
}

func (w *world) attempt(ctx context.Context, p *plan, on portfolio.Date) (_ *state, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	started := time.Now()
	broker, err := w.openBus()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	timers, err := sqlite.Open(filepath.Join(w.dir, "timers.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, timers.Close()) }()
	host, err := w.newHost(&unruly{Bus: broker, plan: p, held: map[string][]bus.Delivery{}}, timers)
	if err != nil {
		return nil, err
	}
	w.plan.Store(p)
	w.host.Store(host)
	living, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- host.Run(living) }()
	select {
	case <-host.Ready():
		err = w.work(ctx, "http://"+host.Addr(), on)
	case early := <-ended:
		ended <- early
		err = errors.New("the host ended")
	}
	end()
	if err = errors.Join(err, <-ended); err != nil {
		return nil, err
	}
	s := &state{seconds: time.Since(started).Seconds(), completed: int(w.completed.Load()), tally: p.total()}
	return s, w.collect(ctx, s)
}

// work asks for a run and for some scores, and waits until nothing is left to do.
func (w *world) work(ctx context.Context, address string, on portfolio.Date) error {
	for {
		if err := w.startRun(ctx, address, on); err == nil {
			break
		} else if err := pause(ctx, err); err != nil {
			return err
		}
	}
	n := 0
	for _, e := range scoring.Engines {
		for range requests {
			id := fmt.Sprintf("%s-%d", e, n)
			body, err := json.Marshal(map[string]any{
				"tenant": tenantID, "request_id": id, "customers": []string{w.ids[n%len(w.ids)]}, "as_of": on,
			})
			if err != nil {
				return err
			}
			if err := w.bus.Send(ctx, e.String()+"-requests", bus.Message{ID: id, Body: body, ContentType: "application/json"}); err != nil {
				return err
			}
			n++
		}
	}
	for {
		left, err := w.left(ctx, on)
		if err != nil {
			return err
		}
		if left == "" {
			return nil
		}
		if err := pause(ctx, errors.New(left)); err != nil {
			return err
		}
	}
}

// pause waits a moment; when there is no more time it says what for.
func pause(ctx context.Context, waiting error) error {
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), waiting)
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

func (w *world) startRun(ctx context.Context, address string, on portfolio.Date) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/api/v1/runs", bytes.NewReader(fmt.Appendf(nil, `{"as_of":%q}`, on)))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+w.key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only the status matters
	if resp.StatusCode >= 300 {
		return fmt.Errorf("starting a run: %s", resp.Status)
	}
	return nil
}

// left says what there is still to do.
func (w *world) left(ctx context.Context, on portfolio.Date) (string, error) {
	_, done, err := store.GetOr(ctx, w.docs, store.Partition{Tenant: tenantID, Bucket: store.Shared}, "done\x1f"+on.String()+"-all-1")
	if err != nil || !done {
		return "the run is not completed", err
	}
	// Twice, since a message on one queue may send to another that was looked at before it.
	for range 2 {
		for _, q := range w.queues() {
			live, _, err := w.bus.Depth(ctx, q)
			if err != nil || live > 0 {
				return fmt.Sprintf("%d messages on %s", live, q), err
			}
		}
	}
	return "", nil
}

// collect looks at what a run left: documents, messages sent, dead letters.
func (w *world) collect(ctx context.Context, s *state) error {
	s.documents, s.sent, s.exported = map[string]digest{}, map[string]digest{}, map[string]digest{}
	var both errgroup.Group
	both.SetLimit(runtime.NumCPU())
	for _, partition := range w.account.Partitions() {
		both.Go(func() error {
			for _, raw := range w.account.Partition(partition) {
				if err := s.add(partition, raw); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := both.Wait(); err != nil {
		return err
	}
	for _, topic := range []string{event.Queue, functions.ResultQueue} {
		all := topic + "/Subscriptions/all"
		for {
			// Nothing within a moment does not mean that there is nothing.
			if live, _, err := w.bus.Depth(ctx, all); err != nil {
				return err
			} else if live == 0 {
				break
			}
			got, err := w.bus.Receive(ctx, all, 100, time.Minute, 0)
			if err != nil {
				return err
			}
			for _, d := range got {
				if err := s.message(topic, d.ID, d.Body); err != nil {
					return err
				}
				if err := w.bus.Complete(ctx, d); err != nil {
					return err
				}
			}
		}
	}
	for _, q := range w.queues() {
		if _, dead, err := w.bus.Depth(ctx, q); err != nil || dead > 0 {
			return errors.Join(err, fmt.Errorf("%d dead letters on %s", dead, q))
		}
	}
	for info, err := range w.blobs.List(ctx, deadletter.Prefix) {
		return errors.Join(err, fmt.Errorf("a dead letter of Polis: %s", info.Name))
	}
	return w.exported(ctx, s)
}
