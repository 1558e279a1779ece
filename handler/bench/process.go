package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"polis/handler/internal/run"
)

// concurrency is host.json's maxConcurrentCalls.
const concurrency = 2

// process is a server under test, and what plays the Functions host for it.
type process struct {
	cmd    *exec.Cmd
	base   string
	client *http.Client
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// spawn starts a server on a free port; it does not wait for it.
func spawn(ctx context.Context, bin, dir string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &process{
		base: "http://127.0.0.1:" + strconv.Itoa(port), cmd: exec.CommandContext(ctx, bin),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
	}
	p.cmd.Env = append(os.Environ(), "FUNCTIONS_CUSTOMHANDLER_PORT="+strconv.Itoa(port), "POLIS_DATA_DIR="+dir,
		"POLIS_DEV_KEYS_FILE="+filepath.Join(dir, "keys.json"), "POLIS_LOG_LEVEL=warn",
		"POLIS_QUOTA_REQUESTS=1000000") // what is measured is the handler, not what a tenant may ask of it
	p.cmd.Stderr = os.Stderr
	return p, p.cmd.Start()
}

// kill ends the server and reports the most memory that it had, MiB. The kernel's own
// account of a dead child would begin with that of its parent, from before the exec.
func (p *process) kill() float64 {
	most := peak(p.cmd.Process.Pid)
	_ = p.cmd.Process.Kill() // gone already is as good
	_ = p.cmd.Wait()
	return most
}

// peak is the most memory that a process has had, MiB; NaN where nobody says.
func peak(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return math.NaN() // only Linux says
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib := 0.0
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return math.NaN()
	}
	return kib / 1024
}

// importMemory is the most memory that an import by the command line has, MiB.
func (b *bench) importMemory(csv, dir string) (float64, error) {
	c := exec.CommandContext(b.ctx, b.polis, "import", csv, "--data", dir, "--tenant", tenantID, "--as-of", asOf.String())
	if err := c.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	most := math.NaN()
	for tick := time.Tick(20 * time.Millisecond); ; {
		select {
		case err := <-ended:
			return most, err
		case <-tick:
			if m := peak(c.Process.Pid); m > 0 {
				most = m
			}
		}
	}
}

func (p *process) request(method, path string, body []byte) (*http.Request, error) {
	r, err := http.NewRequest(method, p.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("X-Azure-Functions-InvocationId", "bench")
	return r, nil
}

func (p *process) do(method, path string, body []byte) ([]byte, error) {
	r, err := p.request(method, path, body)
	if err != nil {
		return nil, err
	}
	res, err := p.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.300s", method, path, res.Status, answer)
	}
	return answer, err
}

// firstAnswer asks until there is an answer, and says how long that took.
func (p *process) firstAnswer(method, path string, body []byte) (float64, error) {
	started := time.Now()
	for {
		_, err := p.do(method, path, body)
		if err == nil {
			return time.Since(started).Seconds(), nil
		}
		if time.Since(started) > 20*time.Second {
			return 0, err
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// scored is what a run says that it did.
type scored struct {
	Customers, Changed int
	Failed             map[string]int
	Store              run.Cost
}

// scoreBook starts a run and brings it its chunks, as the host would; it says how long that took.
func (p *process) scoreBook(ctx context.Context, on string) (float64, *scored, error) {
	if _, err := p.firstAnswer(http.MethodGet, "/", nil); err != nil {
		return 0, nil, err
	}
	started := time.Now()
	answer, err := p.do(http.MethodPost, "/api/v1/runs", []byte(`{"as_of":"`+on+`","again":true}`))
	if err != nil {
		return 0, nil, err
	}
	var r struct {
		ID     string `json:"run_id"`
		Chunks int    `json:"chunks"`
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		return 0, nil, err
	}
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for bucket := range r.Chunks {
		g.Go(func() error {
			message, err := json.Marshal(fmt.Sprintf(`{"tenant":%q,"run_id":%q,"bucket":%d}`, tenantID, r.ID, bucket))
			if err != nil {
				return err
			}
			twice, err := json.Marshal(string(message))
			if err != nil {
				return err
			}
			_, err = p.do(http.MethodPost, "/RunChunks", []byte(`{"Data":{"message":`+string(twice)+`},"Metadata":{}}`))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return 0, nil, err
	}
	took := time.Since(started).Seconds()
	answer, err = p.do(http.MethodGet, "/api/v1/runs/"+r.ID, nil)
	if err != nil {
		return 0, nil, err
	}
	var done struct {
		Status  string `json:"status"`
		Summary scored `json:"summary"`
	}
	if err := json.Unmarshal(answer, &done); err != nil {
		return 0, nil, err
	}
	if done.Status != "completed" || len(done.Summary.Failed) > 0 {
		return 0, nil, fmt.Errorf("the run is %s with failures %v", done.Status, done.Summary.Failed)
	}
	return took, &done.Summary, nil
}
