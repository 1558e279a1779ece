// Handler is Polis as the Functions host starts it: HTTP functions come as plain
// requests under /api, queue and timer functions as POST /<FunctionName>.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/actions"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/config"
	"polis/handler/internal/deadletter"
	"polis/handler/internal/decision"
	"polis/handler/internal/exports"
	"polis/handler/internal/fault"
	"polis/handler/internal/functions"
	"polis/handler/internal/httpapi"
	"polis/handler/internal/imports"
	"polis/handler/internal/invoke"
	"polis/handler/internal/parts"
	"polis/handler/internal/quota"
	"polis/handler/internal/ready"
	"polis/handler/internal/registry"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
	"polis/handler/internal/stack"
	"polis/handler/internal/store"
	"polis/handler/internal/trace"
	"polis/handler/internal/watch"
)

// unhurried is how long after the models the stores are opened, if no request needed them before:
// some ten times what the first request takes. Our choice.
const unhurried = 50 * time.Millisecond

// warmed is for how many tenants models are loaded before anybody asks.
const warmed = 4

// memory is how much the garbage collector lets the handler hold before it works harder, unless GOMEMLIMIT says
// otherwise: 40 MiB below what the handler may take, for what Go does not count.
const memory = 160 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "polis handler:", err)
		if fault.Is(err, fault.Unconfigured) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func serve() error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	log := zerolog.New(os.Stdout).Level(cfg.Level).With().Timestamp().Logger()

	from, err := parts.New(cfg)
	if err != nil {
		return err
	}
	blobs, err := from.Blobs()
	if err != nil {
		return err
	}
	models := registry.New(blobs, time.Now)
	docs := store.Open(from.Store)
	queues := bus.Open(func() (bus.Sender, error) { return from.Bus() })
	failed := make(chan error, 3)
	go func() {
		// The first request has the cores' whole attention, and most need the models alone: what
		// else there is waits until it is asked for, or for a moment in which nobody is.
		stack.Grow()
		models.Warm(context.Background(), warmed)
		time.Sleep(unhurried)
		for _, wait := range []func(context.Context) error{docs.Wait, queues.Wait} {
			if err := wait(context.Background()); err != nil {
				failed <- err
			}
		}
	}()
	// The host calls 127.0.0.1; nobody else has business here. It may knock while the
	// rest is being opened.
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port)))
	if err != nil {
		return fault.Wrap(fault.Unconfigured, err, "listening where the Functions host calls")
	}
	auth, err := from.Callers()
	if err != nil {
		return err
	}

	quotas, err := quota.New(cfg.Quotas, cfg.QuotaTenants, time.Now)
	if err != nil {
		return err
	}
	after, err := exports.ParseAfter(cfg.ExportAfter)
	if err != nil {
		return err
	}
	customers := book.New(docs)
	lists := actions.New(customers, docs)
	traced := trace.Sender(queues)
	runs := run.New(customers, docs, traced, models, lists, time.Now).WithWidth(quotas.Width)
	loads := imports.New(customers, docs, blobs, traced, lists, time.Now)
	tables := exports.New(exports.NewMaker(customers, runs, lists, models, time.Now), docs, blobs, traced, time.Now).WithAfter(after)
	runs = runs.WithExports(tables)
	scores := scoring.NewService(customers, models, time.Now)
	decisions := decision.New(customers, models, time.Now)
	reports := watch.New(customers, blobs, traced, models, time.Now)

	reached := ready.New(time.Now, ready.Part{Name: "documents", Ask: customers.Reachable}, ready.Part{Name: "models", Ask: models.Reachable})

	api := httpapi.New(httpapi.API{
		Auth: auth, Book: customers, Scores: scores, Runs: runs, Lists: lists, Imports: loads, Exports: tables,
		Decisions: decisions, Reports: reports, Ready: reached, Quotas: quotas, Keep: docs, Now: time.Now, Log: log,
	})
	calls := invoke.New(functions.New(functions.Services{
		Book: customers, Runs: runs, Imports: loads, Exports: tables, Scores: scores, Decisions: decisions, Reports: reports, Bus: traced, Now: time.Now, Log: log,
	}), deadletter.New(blobs, time.Now), invoke.NewBackoff(traced, functions.Queues(), time.Now), log)

	server := &http.Server{Handler: route(api, calls), ReadHeaderTimeout: 30 * time.Second}
	go func() { failed <- server.Serve(l) }()
	return <-failed
}

// route parts the API from the host's calls: public paths begin with /api, and only
// the host calls the others. GET / is how it asks whether the handler is there.
func route(api, calls http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stack.Grow()
		if ctx := trace.Asked(r.Context(), r.Header); ctx != r.Context() {
			r = r.WithContext(ctx)
		}
		switch {
		case r.URL.Path == httpapi.Prefix, strings.HasPrefix(r.URL.Path, httpapi.Prefix+"/"):
			api.ServeHTTP(w, r)
		case r.URL.Path == "/":
			w.WriteHeader(http.StatusOK)
		default:
			calls.ServeHTTP(w, r)
		}
	})
}
