package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/caller"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store/sqlite"
)

// most is how much memory the handler may take, in MiB.
const most = 200

// longer is for how long past its time the work may go on until something of each kind is done.
const longer = 80 * time.Second

// What goes on at once while memory is measured: as much of each as host.json and the quotas let
// through, and more waiting, so that none is ever idle.
const (
	inflight = 64      // HTTP requests: maxConcurrentRequests
	imported = 2       // imports, of as many books: maxConcurrentCalls
	exported = 2       // exports: maxConcurrentCalls, and the quota
	queued   = 40      // requests on each engine's queue, of a hundred customers each
	hostile  = 8       // callers that begin with requests as large as they may be
	largest  = 8 << 20 // bytes of the largest HTTP requests, of the 10 MiB that they may have
	many     = 16      // of so many HTTP requests one is of a hundred customers too
)

// peak works the handler with everything that it does, all at once, for a while, and says how much
// memory it took at most.
func (w *world) peak(ctx context.Context, during time.Duration) (err error) {
	keys := []caller.Key{{SHA256: caller.Digest(w.key), Tenant: tenantID, Roles: []caller.Role{caller.Admin}}}
	for n := range imported {
		t := w.tenant
		t.ID = other(n)
		if err := book.New(w.docs).CreateTenant(ctx, t); err != nil {
			return err
		}
		keys = append(keys, caller.Key{SHA256: caller.Digest(w.key + t.ID), Tenant: t.ID, Roles: []caller.Role{caller.Admin}})
	}
	if err := writeJSON(filepath.Join(w.dir, "keys.json"), keys); err != nil {
		return err
	}
	broker, err := w.openBus()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	timers, err := sqlite.Open(filepath.Join(w.dir, "timers.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, timers.Close()) }()
	w.plan.Store(calm())
	host, err := w.newHost(broker, timers)
	if err != nil {
		return err
	}
	w.host.Store(host)
	living, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- host.Run(living) }()
	defer func() {
		end()
		err = errors.Join(err, <-ended)
	}()
	select {
	case <-host.Ready():
	case early := <-ended:
		ended <- early
		return errors.New("the host ended")
	}
	l := &load{world: w, base: "http://" + host.Addr(), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inflight}}}
	return l.run(ctx, during)
}

func other(n int) string { return fmt.Sprintf("other%d", n) }

// load is what is asked of the handler.
type load struct {
	*world
	base                            string
	client                          *http.Client
	scores, runs, imports, exported atomic.Int64
	most                            float64
}

func (l *load) run(ctx context.Context, during time.Duration) error {
	pid := l.host.Load().Handler()
	idle := resident(pid)
	started := time.Now()
	timed, cancel := context.WithTimeout(ctx, during+longer)
	defer cancel()
	g, timed := errgroup.WithContext(timed)
	bodies, err := l.bodies(ctx)
	if err != nil {
		return err
	}
	again := func(do func(n int) error) {
		g.Go(func() error {
			for n := 0; timed.Err() == nil; n++ {
				if err := do(n); err != nil && timed.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	for c := range inflight {
		r := rand.New(rand.NewPCG(1, uint64(c)))
		again(func(round int) error {
			e := scoring.Engines[r.IntN(len(scoring.Engines))]
			body := bodies[0]
			if r.IntN(many) == 0 {
				body = bodies[1+r.IntN(2)]
			}
			if round == 0 && c < hostile {
				body = bodies[3]
			}
			_, err := l.do(timed, http.MethodPost, "/api/v1/"+e.String()+"/scores", l.key, "application/json", body)
			l.scores.Add(1)
			return errors.Join(err, pause(timed, nil))
		})
	}
	for _, e := range scoring.Engines {
		again(func(n int) error { return l.ask(timed, e.String()+"-requests", n) })
	}
	again(func(int) error { return l.score(timed) })
	for n := range imported {
		again(func(i int) error { return l.bring(timed, n, i) })
	}
	for range exported {
		again(func(int) error { return l.export(timed) })
	}
	g.Go(func() error {
		defer cancel()
		for timed.Err() == nil && (time.Since(started) < during || min(l.runs.Load(), l.imports.Load(), l.exported.Load()) == 0) {
			_ = pause(timed, nil) // until there is nobody to measure for
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if min(l.scores.Load(), l.runs.Load(), l.imports.Load(), l.exported.Load()) == 0 {
		return errors.New("not everything was done while memory was measured: the machine has too much else to do")
	}
	if now := l.host.Load().Handler(); now != pid {
		return errors.New("the handler ended and was started again")
	}
	l.most = resident(pid)
	fmt.Printf("peak: %.0f MiB at most (%.0f when it had started); in %.0f s %d HTTP requests, %d runs, %d imports and %d exports were done\n",
		l.most, idle, time.Since(started).Seconds(), l.scores.Load(), l.runs.Load(), l.imports.Load(), l.exported.Load())
	if l.most > most {
		return fmt.Errorf("the handler took %.0f MiB; at most %d", l.most, most)
	}
	return nil
}

// resident is the most memory that a process has had, in MiB, as Linux says.
func resident(pid int) (mib float64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	if err != nil || !ok {
		return 0
	}
	_, _ = fmt.Sscan(rest, &mib) // nothing is nothing
	return mib / 1024
}

// bodies are requests for scores: of one stored customer, of a hundred, of what a hundred are, and one
// as large as requests may be, with which some callers begin at once.
func (l *load) bodies(ctx context.Context) ([][]byte, error) {
	hundred := l.ids[:min(100, len(l.ids))]
	var whole []*portfolio.Aggregate
	for _, id := range hundred {
		r, err := book.New(l.docs).Customer(ctx, l.tenant, id)
		if err != nil {
			return nil, err
		}
		whole = append(whole, r.Aggregate)
	}
	var out [][]byte
	for _, q := range []map[string]any{{"customers": hundred[:1]}, {"customers": hundred}, {"aggregates": whole}} {
		q["as_of"] = asOf
		body, err := json.Marshal(q)
		if err != nil {
			return nil, err
		}
		out = append(out, body)
	}
	for len(out) < 4 {
		for _, a := range whole {
			for range 100 {
				a.Contacts = append(a.Contacts, portfolio.Contact{CustomerID: a.ID(), At: portfolio.Instant((asOf - portfolio.Date(len(a.Contacts)%3000)).Time().Unix()), Direction: "in", Reason: "question"})
			}
		}
		body, err := json.Marshal(map[string]any{"aggregates": whole, "as_of": asOf})
		if err != nil {
			return nil, err
		}
		if len(body) > largest {
			out = append(out, body)
		}
	}
	return out, nil
}

func (l *load) do(ctx context.Context, method, path, key, media string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, l.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", media)
	resp, err := l.client.Do(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusTooManyRequests {
		return nil, fmt.Errorf("%s %s: %s: %.200s", method, path, resp.Status, answer)
	}
	return answer, nil
}

// ask keeps a queue full.
func (l *load) ask(ctx context.Context, queue string, round int) error {
	for {
		if live, _, err := l.bus.Depth(ctx, queue); err != nil {
			return err
		} else if live < queued/2 {
			break
		} else if err := pause(ctx, nil); err != nil {
			return err
		}
	}
	for n := range queued {
		id := fmt.Sprintf("%s-%d-%d", queue, round, n)
		body, err := json.Marshal(map[string]any{"tenant": tenantID, "request_id": id, "customers": l.ids[:min(100, len(l.ids))], "as_of": asOf})
		if err != nil {
			return err
		}
		if err := l.bus.Send(ctx, queue, bus.Message{ID: id, Body: body, ContentType: "application/json"}); err != nil {
			return err
		}
	}
	return nil
}

// score starts a run and waits until it is done.
func (l *load) score(ctx context.Context) error {
	answer, err := l.do(ctx, http.MethodPost, "/api/v1/runs", l.key, "application/json", fmt.Appendf(nil, `{"as_of":%q,"again":true}`, asOf))
	if err != nil {
		return err
	}
	var r struct {
		ID string `json:"run_id"`
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		return err
	}
	return l.await(ctx, "/api/v1/runs/"+r.ID, l.key, &l.runs)
}

// bring imports a whole book, which the next time is as it was.
func (l *load) bring(ctx context.Context, n, round int) error {
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	if err := m.WriteField("as_of", (asOf + portfolio.Date(round)).String()); err != nil {
		return err
	}
	for _, t := range portfolio.Tables {
		body, err := os.ReadFile(filepath.Join(l.dir, "sample", t.String()+".csv"))
		if err != nil {
			return err
		}
		part, err := m.CreateFormFile(t.String(), t.String()+".csv")
		if err != nil {
			return err
		}
		if _, err := part.Write(body); err != nil {
			return err
		}
	}
	if err := m.Close(); err != nil {
		return err
	}
	key := l.key + other(n)
	answer, err := l.do(ctx, http.MethodPost, "/api/v1/imports", key, m.FormDataContentType(), form.Bytes())
	if err != nil {
		return err
	}
	var i struct {
		ID string `json:"import_id"`
	}
	if err := json.Unmarshal(answer, &i); err != nil {
		return err
	}
	return l.await(ctx, "/api/v1/imports/"+i.ID, key, &l.imports)
}

func (l *load) export(ctx context.Context) error {
	answer, err := l.do(ctx, http.MethodPost, "/api/v1/exports", l.key, "application/json", nil)
	if err != nil {
		return err
	}
	var x struct {
		ID string `json:"export_id"`
	}
	if err := json.Unmarshal(answer, &x); err != nil {
		return err
	}
	return l.await(ctx, "/api/v1/exports/"+x.ID, l.key, &l.exported)
}

// await asks until something is done, and counts it.
func (l *load) await(ctx context.Context, path, key string, count *atomic.Int64) error {
	for {
		answer, err := l.do(ctx, http.MethodGet, path, key, "application/json", nil)
		if err != nil {
			return err
		}
		var now struct {
			Status string `json:"status"`
		}
		if err := json.Unmarshal(answer, &now); err != nil {
			return err
		}
		switch now.Status {
		case "completed":
			count.Add(1)
			return nil
		case "failed":
			return fmt.Errorf("GET %s: failed", path)
		}
		if err := pause(ctx, nil); err != nil {
			return err
		}
	}
}
