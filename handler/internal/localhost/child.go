package localhost

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/fault"
)

const (
	readyPoll   = 25 * time.Millisecond
	errorWindow = 30 * time.Minute
	exitRestart = 200 // the handler asks to be started anew
	maxLine     = 64 << 10
)

var errHandlerEnded = errors.New("the handler has ended and is not restarted")

// child is one run of the handler.
type child struct {
	address string // host:port it was told to listen on
	pid     int
	kill    func()
	asked   atomic.Bool   // we killed it
	ended   chan struct{} // closed when the process is gone
	code    int           // exit code, -1 for a signal; read after ended
}

// supervisor keeps one handler process running.
type supervisor struct {
	cfg       config
	env       []string
	maxErrors int
	pidFile   string
	client    http.RoundTripper
	log       zerolog.Logger

	mu      sync.Mutex
	current *child
	gone    error         // no handler will come any more
	changed chan struct{} // closed when either of them changes
}

// ready waits for a handler that answers.
func (s *supervisor) ready(ctx context.Context) (*child, error) {
	for {
		s.mu.Lock()
		c, gone, changed := s.current, s.gone, s.changed
		s.mu.Unlock()
		if c != nil || gone != nil {
			return c, gone
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (s *supervisor) set(c *child, gone error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.gone = c, gone
	close(s.changed)
	s.changed = make(chan struct{})
}

// run starts the handler, and again when it ends as the contract has it, until
// ctx ends (nil) or the handler failed too often.
func (s *supervisor) run(ctx context.Context) error {
	sweepOrphan(s.pidFile, s.log)
	var failures []time.Time
	for {
		c, err := s.start(ctx)
		if err == nil {
			s.set(c, nil)
			select {
			case <-c.ended:
			case <-ctx.Done():
				c.kill()
				<-c.ended
			}
			s.set(nil, nil)
		}
		switch {
		case ctx.Err() != nil:
			s.set(nil, errHandlerEnded)
			return nil
		case c == nil: // it could not be started at all: a second time will not help
			return err
		case c.asked.Load() && err == nil:
			continue
		case err == nil && c.code == 0:
			s.log.Warn().Msg("the handler ended with exit code 0; it is not restarted")
			s.set(nil, errHandlerEnded)
			<-ctx.Done()
			return nil
		case err == nil && c.code == exitRestart:
			s.log.Info().Msg("the handler asked for a restart")
			continue
		case err == nil:
			err = fault.New(fault.Unavailable, "the handler ended with exit code %d", c.code)
		}
		s.log.Error().Err(err).Msg("handler failed")
		now := time.Now()
		failures = append(failures, now)
		for now.Sub(failures[0]) > errorWindow {
			failures = failures[1:]
		}
		if len(failures) >= s.maxErrors {
			return fault.Wrap(fault.Unavailable, err, "the handler failed %d times within %s: the host stops", len(failures), errorWindow)
		}
	}
}

// start runs the handler and waits until it answers. A child that ended before
// that is returned without an error, for its exit code to be judged.
func (s *supervisor) start(ctx context.Context) (*child, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "find a free port for the handler")
	}
	c, err := s.launch(port)
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "start the handler")
	}
	wait, cancel := context.WithTimeout(ctx, s.cfg.initWait)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for !s.answers(wait, c) {
		select {
		case <-c.ended:
			return c, nil
		case <-wait.Done():
			c.kill()
			<-c.ended
			return c, fault.New(fault.Unavailable, "the handler did not answer GET / on %s within %s: it must listen on 127.0.0.1 at FUNCTIONS_CUSTOMHANDLER_PORT", c.address, s.cfg.initWait)
		case <-tick.C:
		}
	}
	s.log.Info().Str("address", c.address).Msg("handler ready")
	return c, nil
}

// answers reports whether GET / gives any status.
func (s *supervisor) answers(ctx context.Context, c *child) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+"/", nil)
	if err != nil {
		return false
	}
	resp, err := s.client.RoundTrip(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // only the status matters
	return true
}

func (s *supervisor) launch(port int) (*child, error) {
	cmd := exec.Command(s.cfg.executable, s.cfg.arguments...)
	cmd.Dir = s.cfg.workDir
	worker := newID()
	number := strconv.Itoa(port)
	// Of a variable given twice the last one counts: ours go last.
	cmd.Env = append(append([]string(nil), s.env...),
		"FUNCTIONS_CUSTOMHANDLER_PORT="+number, "FUNCTIONS_CUSTOMHANDLER_WORKER_ID="+worker,
		"FUNCTIONS_HTTPWORKER_PORT="+number, "FUNCTIONS_HTTPWORKER_ID="+worker)
	out := &lines{emit: func(line string) { s.log.Info().Str("from", "handler").Msg(line) }}
	errs := &lines{emit: func(line string) {
		event := s.log.Error()
		if strings.Contains(strings.ToLower(line), "warn") {
			event = s.log.Warn()
		}
		event.Str("from", "handler").Msg(line)
	}}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.WaitDelay = time.Second // a grandchild may hold the pipes open
	bindLifetime(cmd)

	c := &child{address: net.JoinHostPort("127.0.0.1", number), ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// On Linux the child dies with the thread that started it, so this
		// thread must live as long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		recordOrphan(s.pidFile, cmd, s.log)
		_ = cmd.Wait() // the exit code says it all
		out.flush()
		errs.flush()
		c.code = cmd.ProcessState.ExitCode()
		clearOrphan(s.pidFile)
		close(c.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	c.pid = cmd.Process.Pid
	var once sync.Once
	c.kill = func() {
		once.Do(func() {
			c.asked.Store(true)
			_ = cmd.Process.Kill() // fails only where the process is gone already
		})
	}
	return c, nil
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// lines cuts a stream into lines; one longer than maxLine comes in pieces.
type lines struct {
	emit func(string)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		next := i + 1
		if i < 0 {
			if len(l.rest) < maxLine {
				return len(p), nil
			}
			i, next = maxLine, maxLine
		}
		if line := strings.TrimRight(string(l.rest[:i]), "\r"); line != "" {
			l.emit(line)
		}
		l.rest = l.rest[next:]
	}
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.emit(string(l.rest))
		l.rest = nil
	}
}
