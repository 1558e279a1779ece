// Smoke runs the main job the way a user does and then mistreats it: a sample of 2,000
// customers, the real local host, every engine by HTTP, by queue and by timer, and the
// handler killed with SIGKILL ten times in the middle of runs. It ends with one line
// that starts "smoke: ok" and counts customers scored per engine, lost and duplicated.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	customers = 2000
	kills     = 10
)

// The programs, and what keeps blobs and messages: see polis local --help.
var polis, root, stack string

var engines = []string{"risk", "churn", "clv", "nbp", "defend"}

func main() {
	flag.StringVar(&polis, "polis", filepath.Join("bin", "polis"), "the command line")
	flag.StringVar(&root, "root", "dist", "the staged app")
	flag.StringVar(&stack, "stack", "embedded", "what keeps blobs and messages: embedded or azurite")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "polis-smoke-")
	if err == nil {
		err = smoke(ctx, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "smoke: failed:", err)
		fmt.Fprintln(os.Stderr, "smoke: what there was is in", dir)
		os.Exit(1)
	}
	_ = os.RemoveAll(dir)
}

// host is a running `polis local`.
type host struct {
	dir   string
	cmd   *exec.Cmd
	ended chan error

	azure, environment []string // how polis is told to reach the stand-ins as it would Azure

	local struct {
		Address string            `json:"address"`
		Master  string            `json:"master_key"`
		Tenants map[string]string `json:"tenants"`
	}
}

func smoke(ctx context.Context, dir string) error {
	h, err := start(ctx, dir, "polis: ready", "--idle")
	if err != nil {
		return fmt.Errorf("starting an empty host: %w", err)
	}
	if err := h.stop(); err != nil {
		return fmt.Errorf("stopping an empty host: %w", err)
	}
	if h, err = start(ctx, dir, "Up until Ctrl-C"); err != nil {
		return fmt.Errorf("starting the host: %w", err)
	}
	said, err := h.work(ctx)
	if err := errors.Join(err, h.stop()); err != nil {
		return err
	}
	if err := h.discreet(); err != nil {
		return err
	}
	fmt.Println("smoke: ok:", said)
	return nil
}

// work is all that is done while the host is up; it returns what the last line says.
func (h *host) work(ctx context.Context) (string, error) {
	ids, err := h.scored(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range engines {
		for _, how := range []func(context.Context, string, string) error{h.byHTTP, h.byQueue, h.byTimer} {
			if err := how(ctx, e, ids[0]); err != nil {
				return "", fmt.Errorf("engine %s: %w", e, err)
			}
		}
	}
	fmt.Println("smoke: every engine answered by HTTP, by queue and by timer")
	if err := h.audited(ctx); err != nil {
		return "", fmt.Errorf("monthly report: %w", err)
	}
	fmt.Println("smoke: the monthly timer fired twice made one report and one event")
	if err := h.plant(ctx); err != nil {
		return "", fmt.Errorf("sending in what is refused: %w", err)
	}
	if err := h.poison(ctx); err != nil {
		return "", fmt.Errorf("messages that cannot succeed: %w", err)
	}
	fmt.Println("smoke: messages that cannot succeed are kept with their reason, and come back when they are put back")
	run, done, err := h.mistreat(ctx)
	if err != nil {
		return "", err
	}
	fmt.Printf("smoke: the handler was killed %d times in %d runs\n", kills, run)
	return h.count(ctx, done)
}

// start starts `polis local` and waits for a line.
func start(ctx context.Context, dir, line string, more ...string) (*host, error) {
	h := &host{dir: dir, ended: make(chan error, 1)}
	args := append([]string{
		"local", "--data", dir, "--root", root, "--stack", stack, "--listen", "127.0.0.1:0", "--customers", strconv.Itoa(customers), "--crashes", "1000",
	}, more...)
	h.cmd = exec.CommandContext(ctx, polis, args...)
	h.cmd.Env = append(os.Environ(), `POLIS_EXPORT_AFTER_RUNS={"sample":["defend"]}`)
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	h.cmd.Stderr = os.Stderr
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	seen := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		found := false
		for lines.Scan() {
			if !found && strings.Contains(lines.Text(), line) {
				found = true
				close(seen)
			}
		}
		h.ended <- h.cmd.Wait()
	}()
	select {
	case <-seen:
	case err := <-h.ended:
		return nil, fmt.Errorf("polis local ended: %w", err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	body, err := os.ReadFile(filepath.Join(dir, "local.json"))
	if err != nil {
		return nil, err
	}
	return h, errors.Join(json.Unmarshal(body, &h.local), h.reachable())
}

// reachable finds how an operator reaches messages and blobs that are not in the folder.
func (h *host) reachable() error {
	if stack != "azurite" {
		return nil
	}
	in := filepath.Join(h.dir, "standins")
	blobs, err := os.ReadFile(filepath.Join(in, "blobs"))
	h.azure = []string{"--azure"}
	h.environment = []string{
		"POLIS_STANDINS=" + in, "BLOBS__blobServiceUri=" + strings.TrimSpace(string(blobs)), "SERVICEBUS__fullyQualifiedNamespace=polis.servicebus.windows.net",
	}
	return err
}

// stop is Ctrl-C.
func (h *host) stop() error {
	if err := h.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-h.ended:
		return err
	case <-time.After(15 * time.Second):
		return errors.Join(errors.New("polis local did not end on Ctrl-C"), h.cmd.Process.Kill())
	}
}

func (h *host) call(ctx context.Context, method, path string, body, out any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, h.local.Address+path, in)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+h.local.Tenants["sample"])
	r.Header.Set("x-functions-key", h.local.Master)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000)) // for the message only
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}

type score struct {
	Engine   string `json:"engine"`
	Customer string `json:"customer_id"`
	Status   string `json:"status"`
	Decision string `json:"decision_id"`
}

type page struct {
	Customers []struct {
		Scores []score `json:"scores"`
	} `json:"customers"`
	Next string `json:"next"`
}

// all reads the stored scores of all customers.
func (h *host) all(ctx context.Context) ([]score, error) {
	var out []score
	for cursor := ""; ; {
		var p page
		if err := h.call(ctx, http.MethodGet, "/api/v1/scores?limit=500&cursor="+cursor, nil, &p); err != nil {
			return nil, err
		}
		for _, c := range p.Customers {
			out = append(out, c.Scores...)
		}
		if cursor = p.Next; cursor == "" {
			return out, nil
		}
	}
}

// scored lists the customers that the first run scored.
func (h *host) scored(ctx context.Context) ([]string, error) {
	list, err := h.all(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, s := range list {
		if s.Engine == "risk" && s.Status == "scored" {
			ids = append(ids, s.Customer)
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("the first run scored nobody")
	}
	return ids, nil
}

func (h *host) byHTTP(ctx context.Context, engine, id string) error {
	var out struct{ Results []score }
	if err := h.call(ctx, http.MethodPost, "/api/v1/"+engine+"/scores", map[string]any{"customers": []string{id}}, &out); err != nil {
		return fmt.Errorf("by HTTP: %w", err)
	}
	if len(out.Results) != 1 || out.Results[0].Engine != engine || out.Results[0].Customer != id {
		return fmt.Errorf("by HTTP: %d results, or another's", len(out.Results))
	}
	return nil
}

// polis runs the command line beside the host, as an operator would.
func (h *host) polis(ctx context.Context, in string, args ...string) ([]byte, error) {
	if !slices.Contains(args, "--azure") {
		args = append(args, "--data", h.dir)
	}
	c := exec.CommandContext(ctx, polis, args...)
	c.Env = append(os.Environ(), h.environment...)
	c.Stdin, c.Stderr = strings.NewReader(in), os.Stderr
	return c.Output()
}

func (h *host) byQueue(ctx context.Context, engine, id string) error {
	request := "smoke-" + engine
	body := fmt.Sprintf(`{"tenant":"sample","request_id":%q,"customers":[%q]}`, request, id)
	for range 2 { // the second has the same ID and is dropped
		if _, err := h.polis(ctx, body, "send", engine+"-requests", "--id", request); err != nil {
			return fmt.Errorf("by queue: %w", err)
		}
	}
	answers := 0
	err := poll(ctx, func() (bool, error) {
		out, err := h.polis(ctx, "", "peek", "score-results", "-n", "100")
		answers = strings.Count(string(out), `\"request_id\":\"`+request+`\"`)
		return answers > 0, err
	})
	if err != nil || answers != 1 {
		return fmt.Errorf("by queue: %d answers: %w", answers, err)
	}
	return nil
}

// byTimer fires the engine's timer by hand: it joins or starts the run of today.
func (h *host) byTimer(ctx context.Context, engine, _ string) error {
	name := strings.ToUpper(engine[:1]) + engine[1:] + "Nightly"
	if err := h.call(ctx, http.MethodPost, "/admin/functions/"+name, map[string]string{"input": ""}, nil); err != nil {
		return fmt.Errorf("by timer: %w", err)
	}
	return poll(ctx, func() (bool, error) {
		var out struct {
			Runs []struct {
				Status  string
				Engines []string
			}
		}
		if err := h.call(ctx, http.MethodGet, "/api/v1/runs", nil, &out); err != nil {
			return false, err
		}
		return len(out.Runs) > 0 && out.Runs[0].Status == "completed" && len(out.Runs[0].Engines) == len(engines), nil
	})
}

// audited fires the monthly timer twice by hand, and looks for one report and one event.
func (h *host) audited(ctx context.Context) error {
	var made string
	for range 2 {
		if err := h.call(ctx, http.MethodPost, "/admin/functions/DriftMonthly", map[string]string{"input": ""}, nil); err != nil {
			return err
		}
		err := poll(ctx, func() (bool, error) {
			var out struct {
				Reports []struct{ Month string }
			}
			if err := h.call(ctx, http.MethodGet, "/api/v1/drift-reports", nil, &out); err != nil || len(out.Reports) != 1 {
				return false, err
			}
			var r struct {
				Made     string `json:"made_at"`
				Baseline *struct{ SHA256 string }
			}
			err := h.call(ctx, http.MethodGet, "/api/v1/drift-reports/latest", nil, &r)
			if err == nil && (r.Baseline == nil || made != "" && made != r.Made) {
				err = errors.New("it has no baseline, or was made again")
			}
			made = r.Made
			return true, err
		})
		if err != nil {
			return err
		}
	}
	events := 0
	err := poll(ctx, func() (bool, error) {
		out, err := h.polis(ctx, "", "peek", "events", "-n", "100")
		events = strings.Count(string(out), `\"type\":\"polis.drift.reported\"`)
		return events > 0, err
	})
	if err == nil && events != 1 {
		err = fmt.Errorf("%d events", events)
	}
	return err
}

func poll(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("it did not happen in time")
		case <-tick.C:
		}
	}
}

type run struct {
	ID      string `json:"run_id"`
	Status  string `json:"status"`
	Done    int    `json:"chunks_done"`
	Chunks  int    `json:"chunks"`
	Summary struct {
		Customers int
		Failed    map[string]int
		Engines   map[string]struct {
			Scored    int
			NotScored map[string]int `json:"not_scored"`
		}
	} `json:"summary"`
}

// poison waits until what plant sent is among the dead letters, all kept by Polis and none given up
// by the bus, and puts it back, after which it is there again.
func (h *host) poison(ctx context.Context) error {
	for _, queue := range []string{"risk-requests", "imports", "exports", "run-chunks"} {
		sent := 3 * len(people)
		kept := func() (bool, error) {
			out, err := h.polis(ctx, "", "peek", queue, "--dead")
			return strings.Count(string(out), `"function":"`) == sent && strings.Count(string(out), "\n") == sent, err
		}
		if err := poll(ctx, kept); err != nil {
			return fmt.Errorf("on %s: %w", queue, err)
		}
		out, err := h.polis(ctx, "", append([]string{"replay", queue}, h.azure...)...)
		if err != nil || !strings.HasPrefix(string(out), fmt.Sprintf("%d messages put back", sent)) {
			return fmt.Errorf("putting back on %s: %q, %w", queue, out, err)
		}
		if err := poll(ctx, kept); err != nil {
			return fmt.Errorf("put back on %s: %w", queue, err)
		}
	}
	return nil
}

// mistreat kills the handler at random moments of runs, ten times, and sees every run
// through. It reports how many runs that took, and the last one.
func (h *host) mistreat(ctx context.Context) (runs int, last run, err error) {
	asOf := time.Now().UTC()
	for killed := 0; killed < kills; runs++ {
		asOf = asOf.AddDate(0, 0, -1) // of another date and not by a nightly run, so all are written
		var r run
		err := h.call(ctx, http.MethodPost, "/api/v1/runs", map[string]string{"as_of": asOf.Format(time.DateOnly)}, &r)
		if err != nil {
			return runs, last, fmt.Errorf("starting a run: %w", err)
		}
		err = poll(ctx, func() (bool, error) {
			if r.Status != "completed" && killed < kills {
				time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
				if pid := h.handler(ctx); pid > 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
					killed++
				}
			}
			var now run
			if h.call(ctx, http.MethodGet, "/api/v1/runs/"+r.ID, nil, &now) != nil {
				return false, nil // on its way up again
			}
			r = now
			return r.Status == "completed", nil
		})
		if err != nil {
			return runs, last, fmt.Errorf("run %s, after %d kills: %d of %d chunks done: %w", r.ID, killed, r.Done, r.Chunks, err)
		}
		last = r
	}
	return runs, last, nil
}

// handler finds the handler's process; 0 while it is on its way up.
func (h *host) handler(ctx context.Context) int {
	var out struct {
		Handler int `json:"handlerProcess"`
	}
	if h.call(ctx, http.MethodGet, "/admin/host/status", nil, &out) != nil {
		return 0
	}
	return out.Handler
}

// count compares what the last run says with what is stored.
func (h *host) count(ctx context.Context, r run) (string, error) {
	list, err := h.all(ctx)
	if err != nil {
		return "", err
	}
	seen, per := map[string]int{}, map[string]int{}
	for _, s := range list {
		seen[s.Engine+" "+s.Customer]++
		per[s.Engine]++
	}
	duplicated := 0
	for _, n := range seen {
		duplicated += n - 1
	}
	lost := 0
	var parts []string
	for _, e := range engines {
		said := r.Summary.Engines[e].Scored
		for _, n := range r.Summary.Engines[e].NotScored {
			said += n
		}
		lost += r.Summary.Customers - min(per[e], said)
		parts = append(parts, fmt.Sprintf("%s %d (%d insured and in scope)", e, per[e], r.Summary.Engines[e].Scored))
	}
	for _, n := range r.Summary.Failed {
		lost += n
	}
	done, dead, err := h.events(ctx)
	if err != nil {
		return "", err
	}
	if err := h.exported(ctx, done); err != nil {
		return "", err
	}
	if lost != 0 || duplicated != 0 || dead != 0 || r.Summary.Customers != customers {
		return "", fmt.Errorf("of %d customers %d lost, %d duplicated, %d dead letters; scored %s", r.Summary.Customers, lost, duplicated, dead, strings.Join(parts, ", "))
	}
	return fmt.Sprintf("customers scored: %s; lost %d, duplicated %d; %d runs announced and exported once each", strings.Join(parts, ", "), lost, duplicated, done), nil
}

// exported waits until each completed run has an export, and makes sure that none has two.
func (h *host) exported(ctx context.Context, runs int) error {
	var list struct {
		Exports []struct{ Status string } `json:"exports"`
	}
	err := poll(ctx, func() (bool, error) {
		if err := h.call(ctx, http.MethodGet, "/api/v1/exports", nil, &list); err != nil {
			return false, err
		}
		made := 0
		for _, x := range list.Exports {
			if x.Status == "completed" {
				made++
			}
		}
		return made >= runs && made == len(list.Exports), nil
	})
	if err == nil && len(list.Exports) != runs {
		err = fmt.Errorf("%d exports of %d runs", len(list.Exports), runs)
	}
	return err
}

// events counts announcements of completed runs; one announced twice is an error.
func (h *host) events(ctx context.Context) (runs, dead int, err error) {
	out, err := h.polis(ctx, "", "peek", "events", "-n", "1000")
	if err != nil {
		return 0, 0, err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		var m struct{ ID string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return 0, 0, err
		}
		if seen[m.ID] {
			return 0, 0, fmt.Errorf("%s was announced twice", m.ID)
		}
		if seen[m.ID] = true; strings.HasSuffix(m.ID, "/completed") {
			runs++
		}
	}
	letters, err := h.polis(ctx, "", "peek", "run-chunks", "--dead", "-n", "1000")
	return runs, strings.Count(string(letters), "\n") - 3*len(people), err // those that were sent to end there
}
