// Package localhost is an Azure Functions host for one's own computer: it
// starts a custom handler as a child process and calls it as the real host
// would, for HTTP, Service Bus queue and timer triggers. What it must do is
// written down as the conformance list that its tests go through row by row.
//
// It differs from the real host on purpose where that helps the person at the
// keyboard: a trigger, binding or route it does not know is an error at start,
// not a warning; an answer of JSON null fails at once, where Azure lets the call
// hang; a failed message comes again after a short pause (50 ms doubling to 1 s);
// an HTTP function cannot be called by its admin route; a backward range in a
// schedule is refused, where Azure swaps its ends.
package localhost

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
)

// Options says what a host needs. Root, Broker, State and MasterKey are required.
type Options struct {
	Root     string            // the staged app: host.json and <Name>/function.json
	Settings map[string]string // app settings; they go before the environment's
	Broker   bus.Broker        // holds the queues
	State    Documents         // holds what timers must remember
	Listen   string            // default 127.0.0.1:7071
	Log      zerolog.Logger

	MasterKey    string              // opens the admin routes and every function
	HostKeys     []string            // open functions of authLevel function
	FunctionKeys map[string][]string // open the one function of that name

	LockDuration  time.Duration // a message's lock; default 1 minute
	MaxDeliveries int           // then a message is dead-lettered; default 10
	MaxErrors     int           // handler failures within 30 minutes that stop the host; default 3
	PIDFile       string        // where the handler's process is noted on systems that cannot tie it to the host; default none
}

// Host is a Functions host. Make it with New, start it with Run, once.
type Host struct {
	id            string
	started       time.Time
	cfg           config
	functions     []*function
	broker        bus.Broker
	listen        string
	log           zerolog.Logger
	masterKey     string
	hostKeys      []string
	functionKeys  map[string][]string
	lock          time.Duration
	maxDeliveries int

	handler  *supervisor
	client   *http.Transport
	triggers map[string]trigger // by function; not the HTTP ones

	ready chan struct{}
	addr  net.Addr // set before ready is closed
	work  sync.WaitGroup
	life  context.Context // Run's; set before anything is served
}

// trigger is what makes a function run, other than HTTP.
type trigger interface {
	run(ctx context.Context) error
	byHand(ctx context.Context, input []byte)
}

// New reads host.json and every function.json. What is missing or wrong there,
// or in the options, is fault.Unconfigured.
func New(o Options) (*Host, error) {
	switch {
	case o.Root == "":
		return nil, fault.New(fault.Unconfigured, "local host: Root is missing")
	case o.Broker == nil:
		return nil, fault.New(fault.Unconfigured, "local host: Broker is missing")
	case o.State == nil:
		return nil, fault.New(fault.Unconfigured, "local host: State is missing")
	case o.MasterKey == "":
		return nil, fault.New(fault.Unconfigured, "local host: MasterKey is missing")
	}
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "local host: Root")
	}
	look := func(name string) (string, bool) {
		if v, ok := o.Settings[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	}
	env := append(os.Environ(), "FUNCTIONS_APP_ROOT_PATH="+root)
	for k, v := range o.Settings {
		env = append(env, k+"="+v)
	}
	cfg, err := loadConfig(root, look, env)
	if err != nil {
		return nil, err
	}
	h := &Host{
		id: newID(), started: time.Now(), cfg: cfg, broker: o.Broker, log: o.Log,
		listen: orDefault(o.Listen, "127.0.0.1:7071"), lock: orDefault(o.LockDuration, time.Minute), maxDeliveries: orDefault(o.MaxDeliveries, 10),
		masterKey: o.MasterKey, hostKeys: o.HostKeys, functionKeys: o.FunctionKeys,
		client:   &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, DisableCompression: true},
		triggers: map[string]trigger{}, ready: make(chan struct{}),
	}
	if h.functions, err = loadFunctions(root, cfg.routePrefix, look); err != nil {
		return nil, err
	}
	h.handler = &supervisor{
		cfg: cfg, env: env, maxErrors: orDefault(o.MaxErrors, 3), pidFile: o.PIDFile,
		client: h.client, log: o.Log, changed: make(chan struct{}),
	}
	for _, fn := range h.functions {
		switch fn.trigger.Type {
		case queueTrigger:
			h.triggers[fn.name] = &queuePump{host: h, fn: fn}
		case timerTrigger:
			h.triggers[fn.name] = &timer{
				fn: fn, state: o.State, turn: make(chan struct{}, 1),
				call: func(ctx context.Context, e envelope) error {
					c := h.newCall(fn)
					_, err := h.invoke(ctx, c, e)
					c.done(err)
					return err
				},
				warn: func(err error, msg string) { h.log.Warn().Err(err).Str("function", fn.name).Msg(msg) },
			}
		}
	}
	return h, nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Ready is closed once the handler has answered and the host is listening.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// Addr is the host:port that the host listens on; empty before Ready is closed.
func (h *Host) Addr() string {
	select {
	case <-h.ready:
		return h.addr.String()
	default:
		return ""
	}
}

// Handler is the process of the handler that answers now; 0 while there is none.
func (h *Host) Handler() (pid int) {
	h.handler.mu.Lock()
	defer h.handler.mu.Unlock()
	if h.handler.current == nil {
		return 0
	}
	return h.handler.current.pid
}

// Run serves until ctx ends (nil) or something fails for good: the address is
// taken, the handler cannot be started or keeps failing. When it returns the
// handler is gone and every message held is settled or left to its lock.
func (h *Host) Run(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", h.listen)
	if err != nil {
		return fault.Wrap(fault.Unconfigured, err, "listen on %s", h.listen)
	}
	h.addr = l.Addr()
	g, ctx := errgroup.WithContext(ctx)
	h.life = ctx
	server := &http.Server{
		Handler:           newWeb(h),
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	g.Go(func() error { return h.handler.run(ctx) })
	g.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fault.Wrap(fault.Unavailable, err, "serve HTTP")
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		// Calls in flight are cancelled with ctx; this only lets their answers out.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			return server.Close()
		}
		return nil
	})
	g.Go(func() error {
		if _, err := h.handler.ready(ctx); err == nil {
			close(h.ready)
		}
		return nil
	})
	for _, t := range h.triggers {
		g.Go(func() error { return t.run(ctx) })
	}
	err = g.Wait()
	h.work.Wait()
	h.client.CloseIdleConnections()
	return err
}

// background runs f apart from its caller; Run waits for it.
func (h *Host) background(f func()) { h.work.Go(f) }

func (h *Host) function(name string) *function {
	i := slices.IndexFunc(h.functions, func(fn *function) bool { return strings.EqualFold(fn.name, name) })
	if i < 0 {
		return nil
	}
	return h.functions[i]
}
