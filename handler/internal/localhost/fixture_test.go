package localhost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// The tests' handler is this test binary, started by the host as a child.
const (
	envMode   = "POLIS_TEST_HANDLER"
	envTarget = "POLIS_TEST_TARGET"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(envMode); mode != "" {
		fakeHandler(mode)
		return
	}
	os.Exit(m.Run())
}

// fakeHandler relays what the host sends to the test, which answers in its
// place. Modes: relay; late (asks the test before it listens); deaf (never
// listens); print (writes to stdout and stderr first); exit=N.
func fakeHandler(mode string) {
	target, err := url.Parse(os.Getenv(envTarget))
	if err != nil {
		panic(err)
	}
	if code, ok := strings.CutPrefix(mode, "exit="); ok {
		n, _ := strconv.Atoi(code)
		resp, err := http.Get(target.String() + "/started")
		if err == nil {
			_ = resp.Body.Close()
		}
		os.Exit(n)
	}
	switch mode {
	case "host":
		runHost(os.Getenv(envHostRoot))
	case "deaf":
		time.Sleep(time.Hour) // the host kills it
	case "late":
		resp, err := http.Get(target.String() + "/started")
		if err == nil {
			_ = resp.Body.Close()
		}
	case "print":
		fmt.Println("plain line of stdout")
		fmt.Fprintln(os.Stderr, "plain line of stderr")
		fmt.Fprintln(os.Stderr, "a Warning of stderr")
		fmt.Print("last line, not ended")
	}
	dir, _ := os.Getwd()
	self, _ := json.Marshal(map[string]any{
		"port": os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), "worker": os.Getenv("FUNCTIONS_CUSTOMHANDLER_WORKER_ID"),
		"oldPort": os.Getenv("FUNCTIONS_HTTPWORKER_PORT"), "oldWorker": os.Getenv("FUNCTIONS_HTTPWORKER_ID"),
		"root": os.Getenv("FUNCTIONS_APP_ROOT_PATH"), "dir": dir, "args": os.Args[1:], "pid": os.Getpid(),
	})
	relay := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.Out.Host = r.In.Host
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.Out.Header.Set("X-Child", string(self))
		},
		FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			if code := r.Header.Get("X-Exit"); code != "" {
				n, _ := strconv.Atoi(code)
				os.Exit(n)
			}
			return nil
		},
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(headerInvocation) == "" {
			http.NotFound(w, r) // the readiness check: any status will do
			return
		}
		relay.ServeHTTP(w, r)
	})
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	if err != nil {
		panic(err)
	}
	_ = http.Serve(l, handler)
}

// app is the files of a staged app, by path.
type app map[string]string

func (a app) with(path, body string) app {
	out := app{path: body}
	for k, v := range a {
		if k != path {
			out[k] = v
		}
	}
	return out
}

const (
	httpFunction  = `{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":["get","post"],"route":"hello/{name?}"},{"type":"http","direction":"out","name":"res"}]}`
	queueFunction = `{"bindings":[{"type":"serviceBusTrigger","direction":"in","name":"msg","queueName":"%QUEUE%","connection":"BUS"}]}`
	timerFunction = `{"bindings":[{"type":"timerTrigger","direction":"in","name":"tick","schedule":"0 0 3 * * *","runOnStartup":true}]}`
)

// hostJSON is a host.json with the fake handler and what is added to its sections.
func hostJSON(handler, more string) string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":%q,"arguments":["-test.run=^$"]}%s}%s}`, exe, handler, more)
}

func stage(t *testing.T, files app) string {
	t.Helper()
	root := t.TempDir()
	for path, body := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// received is a request as the handler got it.
type received struct {
	*http.Request
	body []byte
}

func (r received) child(t *testing.T) (c struct {
	Port, Worker, OldPort, OldWorker, Root, Dir string
	Args                                        []string
	Pid                                         int
},
) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Header.Get("X-Child")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (r received) envelope(t *testing.T) (e struct{ Data, Metadata map[string]json.RawMessage }) {
	t.Helper()
	if err := json.Unmarshal(r.body, &e); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return e
}

// fixture is a running host, its handler's side in the test.
type fixture struct {
	*testing.T
	host    *Host
	broker  *memoryBus
	state   *memoryState
	logs    *logBuffer
	calls   chan received
	started chan chan struct{} // a child in mode late or exit waits for the inner channel to close
	ended   chan error
	cancel  context.CancelFunc
}

// answerJSON makes the handler answer every call so.
func answerJSON(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// launch starts a host; options may be changed before. It does not wait.
func launch(t *testing.T, files app, mode string, handler http.HandlerFunc, change func(*Options)) *fixture {
	t.Helper()
	f := &fixture{
		T: t, broker: newMemoryBus(), state: newState(), logs: &logBuffer{},
		calls: make(chan received, 100), started: make(chan chan struct{}, 10), ended: make(chan error, 1),
	}
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/started" && r.Header.Get(headerInvocation) == "" {
			gate := make(chan struct{})
			select {
			case f.started <- gate:
			default: // nobody counts
			}
			if mode == "late" {
				<-gate
			}
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the handler was killed while it relayed this
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.calls <- received{r, body}
		handler(w, r)
	}))
	t.Cleanup(target.Close)
	o := Options{
		Root: stage(t, files), Broker: f.broker, State: f.state, Listen: "127.0.0.1:0", MasterKey: "master", Log: zerolog.New(f.logs),
		Settings: map[string]string{envMode: mode, envTarget: target.URL, "QUEUE": "work", "GREETING": "good day"},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if f.host, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f.cancel = cancel
	go func() { f.ended <- f.host.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		f.ended <- <-f.ended
	})
	return f
}

// start is launch in mode relay, waiting until the host is ready.
func start(t *testing.T, files app, handler http.HandlerFunc, change func(*Options)) *fixture {
	t.Helper()
	f := launch(t, files, "relay", handler, change)
	f.waitReady()
	return f
}

func (f *fixture) waitReady() {
	f.Helper()
	select {
	case <-f.host.Ready():
	case err := <-f.ended:
		f.ended <- err
		f.Fatalf("the host ended: %v\n%s", err, f.logs)
	}
}

func (f *fixture) waitEnd() error {
	err := <-f.ended
	f.ended <- err
	return err
}

func (f *fixture) next() received {
	f.Helper()
	select {
	case r := <-f.calls:
		return r
	case err := <-f.ended:
		f.ended <- err
		f.Fatalf("the host ended: %v\n%s", err, f.logs)
	}
	panic("unreachable")
}

// do sends a request to the host. Headers alternate names and values.
func (f *fixture) do(method, path, body string, headers ...string) (*http.Response, string) {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), method, "http://"+f.host.Addr()+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return resp, string(out)
}

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// memoryState keeps timer documents.
type memoryState struct {
	mu   sync.Mutex
	docs map[string][]byte
}

func (m *memoryState) Get(_ context.Context, _ store.Partition, key string) (store.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, ok := m.docs[key]
	if !ok {
		return store.Document{}, fault.New(fault.NotFound, "no document")
	}
	return store.Document{Key: key, Body: body}, nil
}

func (m *memoryState) Write(_ context.Context, _ store.Partition, ops []store.Op) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range ops {
		m.docs[op.Key] = op.Body
	}
	return nil
}

// memoryBus is a bus.Broker of what the host uses, with locks in real time.
type memoryBus struct {
	bus.Broker // the rest is not called

	mu      sync.Mutex
	seq     int64
	queues  map[string][]*bus.Delivery
	dead    map[string][]bus.Delivery
	changed chan struct{}
	renewed int
}

func newMemoryBus() *memoryBus {
	return &memoryBus{queues: map[string][]*bus.Delivery{}, dead: map[string][]bus.Delivery{}, changed: make(chan struct{})}
}

func (m *memoryBus) signal() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// until waits for a condition on the bus, checked whenever the bus changes.
func (m *memoryBus) until(ok func() bool) {
	for {
		m.mu.Lock()
		done, changed := ok(), m.changed
		m.mu.Unlock()
		if done {
			return
		}
		<-changed
	}
}

func (m *memoryBus) Send(_ context.Context, queue string, msgs ...bus.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, msg := range msgs {
		m.seq++
		m.queues[queue] = append(m.queues[queue], &bus.Delivery{
			Message: msg, Queue: queue, Sequence: m.seq, Enqueued: time.Date(2025, 3, 1, 10, 0, 0, 500_000_000, time.UTC),
		})
	}
	m.signal()
	return nil
}

func (m *memoryBus) Receive(_ context.Context, queue string, most int, lock time.Duration, maxDeliveries int) ([]bus.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []bus.Delivery
	var left []*bus.Delivery
	for _, d := range m.queues[queue] {
		if len(out) < most && time.Now().After(d.LockedUntil) {
			if d.Attempt == maxDeliveries {
				m.dead[queue] = append(m.dead[queue], *d)
				m.signal()
				continue
			}
			d.Attempt++
			d.LockToken, d.LockedUntil = newID(), time.Now().Add(lock)
			out = append(out, *d)
		}
		left = append(left, d)
	}
	m.queues[queue] = left
	return out, nil
}

// held finds the message if the delivery's lock is the current one.
func (m *memoryBus) held(d bus.Delivery) (*bus.Delivery, error) {
	for _, q := range m.queues[d.Queue] {
		if q.LockToken == d.LockToken && time.Now().Before(q.LockedUntil) {
			return q, nil
		}
	}
	return nil, fault.New(fault.Conflict, "the lock is lost")
}

func (m *memoryBus) Complete(_ context.Context, d bus.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	q, err := m.held(d)
	if err != nil {
		return err
	}
	var left []*bus.Delivery
	for _, other := range m.queues[d.Queue] {
		if other != q {
			left = append(left, other)
		}
	}
	m.queues[d.Queue] = left
	m.signal()
	return nil
}

func (m *memoryBus) Abandon(_ context.Context, d bus.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	q, err := m.held(d)
	if err != nil {
		return err
	}
	q.LockedUntil = time.Time{}
	m.signal()
	return nil
}

func (m *memoryBus) Renew(_ context.Context, d bus.Delivery, lock time.Duration) (bus.Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q, err := m.held(d)
	if err != nil {
		return d, err
	}
	q.LockedUntil = time.Now().Add(lock)
	m.renewed++
	m.signal()
	return *q, nil
}
