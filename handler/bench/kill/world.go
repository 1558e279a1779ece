package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/actions"
	"polis/handler/internal/blob"
	"polis/handler/internal/blob/azureblob"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/bus/servicebus"
	"polis/handler/internal/caller"
	"polis/handler/internal/config"
	"polis/handler/internal/exports"
	"polis/handler/internal/localhost"
	"polis/handler/internal/registry"
	"polis/handler/internal/run"
	"polis/handler/internal/sample"
	"polis/handler/internal/standin"
	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos"
	"polis/handler/internal/store/cosmos/cosmosfake"
	"polis/handler/internal/store/sqlite"
	"polis/infra/estate"
)

const (
	container = "polis"
	tenantID  = "killed"
)

// world is the stand-ins, and a book that was imported, trained and run once.
type world struct {
	dir, root string
	polis     string // the command line
	estate    *estate.Estate
	account   *cosmosfake.Account
	stack     *standin.Stack
	servers   []*http.Server
	quiet     string // Cosmos DB's address for ourselves
	wire      string // and for the handler, whose calls go wrong
	docs      store.Store
	blobs     blob.Store
	exports   *exports.Exports
	exporting bool // a run is exported when it is completed
	bus       *servicebus.Bus
	tenant    book.Tenant
	ids       []string // of some customers
	key       string   // for the API
	log       *os.File
	start     cosmosfake.State // of each run

	plan      atomic.Pointer[plan]
	host      atomic.Pointer[localhost.Host]
	completed atomic.Int64
}

func open(ctx context.Context, dir, root, polis string, customers, buckets int) (_ *world, err error) {
	w := &world{dir: dir, root: root, polis: polis, account: &cosmosfake.Account{}, key: rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	w.plan.Store(calm())
	if w.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	if w.estate, err = estate.Load(); err != nil {
		return nil, err
	}
	// Service Bus would drop duplicates. Here they all arrive, and are counted.
	w.estate.Bus.DuplicateWindow = "PT0S"
	file := filepath.Join(dir, "estate.json")
	if err := writeJSON(file, w.estate); err != nil {
		return nil, err
	}
	if w.stack, err = standin.Up(ctx, dir, container, file, w.log); err != nil {
		return nil, err
	}
	if err := w.cosmos(); err != nil {
		return nil, err
	}
	if w.blobs, err = azureblob.Open(standin.Token{}, azureblob.Options{Endpoint: w.stack.Blobs, Container: container, Transport: w.stack.Client()}); err != nil {
		return nil, err
	}
	if w.bus, err = w.openBus(); err != nil {
		return nil, err
	}
	if w.docs, err = cosmos.Open(standin.Token{}, cosmos.Options{Endpoint: w.quiet, Database: "polis", Container: "documents", Transport: w.stack.Client()}); err != nil {
		return nil, err
	}
	if err := w.fill(ctx, customers, buckets); err != nil {
		return nil, err
	}
	if _, err := w.attempt(ctx, calm(), before); err != nil {
		return nil, err
	}
	w.start = w.account.State()
	return w, nil
}

func (w *world) close() error {
	var err error
	if w.bus != nil {
		err = w.bus.Close()
	}
	for _, s := range w.servers {
		err = errors.Join(err, s.Close())
	}
	if w.stack != nil {
		w.stack.Down()
	}
	return err
}

func (w *world) openBus() (*servicebus.Bus, error) {
	return servicebus.Open(standin.Token{}, servicebus.Options{
		Namespace: standin.Namespace, Endpoint: w.stack.Bus, TLS: w.stack.TLS(), Patience: 100 * time.Millisecond,
	})
}

func writeJSON(file string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o600)
}

// cosmos serves the account twice: as it is, and as the handler finds it.
func (w *world) cosmos() error {
	pair, err := tls.LoadX509KeyPair(w.stack.CertFile, w.stack.KeyFile)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		handler http.Handler
		address *string
	}{{w.account, &w.quiet}, {http.HandlerFunc(w.serve), &w.wire}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*s.address = "https://" + l.Addr().String()
		server := &http.Server{
			Handler: s.handler, ReadHeaderTimeout: time.Minute,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
			// Without HTTP/2 a connection that is dropped is one that is dropped.
			TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
			ErrorLog:     log.New(w.log, "", 0),
		}
		w.servers = append(w.servers, server)
		go func() { _ = server.ServeTLS(l, "", "") }() // until it is closed
	}
	w.account.Faults = func(r *http.Request) cosmosfake.Fault {
		if "https://"+r.Host != w.wire {
			return cosmosfake.Fault{}
		}
		return w.plan.Load().fault(r)
	}
	w.account.Wrote = func(_, key string) {
		if strings.HasPrefix(key, "done!1f") {
			w.completed.Add(1)
		}
	}
	return nil
}

// serve is a store call of the handler.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" { // where the account is: no call
		w.account.ServeHTTP(rw, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the handler is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	p := w.plan.Load()
	switch p.strike(body) {
	case asked:
		w.kill(p)
		panic(http.ErrAbortHandler)
	case done:
		defer w.kill(p)
		w.account.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case passed:
		defer time.AfterFunc(p.soon(), func() { w.kill(p) })
	}
	w.account.ServeHTTP(rw, r)
}

// kill ends the handler as the kernel does when memory runs out.
func (w *world) kill(p *plan) {
	if pid := w.host.Load().Handler(); pid > 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
		p.count(func(t *tally) { t.kills++ })
	}
}

// fill makes a tenant, its book and its models as who operates Polis does: from the command line.
func (w *world) fill(ctx context.Context, customers, buckets int) error {
	tables := filepath.Join(w.dir, "sample")
	if _, err := sample.Write(ctx, sample.Options{Customers: customers, Seed: 1, AsOf: asOf.String(), Dir: tables}); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"import", tables, "--azure", "--tenant", tenantID, "--buckets", strconv.Itoa(buckets), "--as-of", asOf.String()},
		{"train", "--azure", "--tenant", tenantID, "--as-of", before.String()},
	} {
		c := exec.CommandContext(ctx, w.polis, args...)
		c.Stdout, c.Stderr = w.log, w.log
		c.Env = append(os.Environ(), "POLIS_DATA_DIR="+w.dir)
		for name, value := range w.settings(w.quiet) {
			c.Env = append(c.Env, name+"="+value)
		}
		if err := c.Run(); err != nil {
			return fmt.Errorf("polis %s: %w", args[0], err)
		}
	}
	b := book.New(w.docs)
	models, lists := registry.New(w.blobs, time.Now), actions.New(b, w.docs)
	runs := run.New(b, w.docs, w.bus, models, lists, time.Now)
	w.exports = exports.New(exports.NewMaker(b, runs, lists, models, time.Now), w.docs, w.blobs, w.bus, time.Now)
	var err error
	if w.tenant, err = b.Tenant(ctx, tenantID); err != nil {
		return err
	}
	for p, err := range b.Places(ctx, w.tenant, 0) {
		if err != nil {
			return err
		}
		w.ids = append(w.ids, p.ID)
	}
	return writeJSON(filepath.Join(w.dir, "keys.json"), []caller.Key{{SHA256: caller.Digest(w.key), Tenant: tenantID, Roles: caller.Roles}})
}

// settings are those by which the handler and the command line find what plays Azure's part.
func (w *world) settings(documents string) map[string]string {
	return map[string]string{
		"AZURE_FUNCTIONS_ENVIRONMENT": "Development", "POLIS_STANDINS": w.dir,
		"POLIS_STORE": config.Cosmos, "COSMOS__accountEndpoint": documents,
		"POLIS_BLOBS": config.AzureBlobs, "BLOBS__blobServiceUri": w.stack.Blobs, "BLOBS__container": container,
		"POLIS_BUS": config.ServiceBus, "SERVICEBUS__fullyQualifiedNamespace": standin.Namespace,
	}
}

// newHost is the Functions host with a handler that has every adapter in place, and exports the runs of some tenants
// (JSON: see exports.ParseAfter).
func (w *world) newHost(broker bus.Broker, state *sqlite.Store) (*localhost.Host, error) {
	settings := w.settings(w.wire)
	exported := ""
	if w.exporting {
		exported = `{"` + tenantID + `": []}`
	}
	maps.Copy(settings, map[string]string{
		"POLIS_DEV_KEYS_FILE": filepath.Join(w.dir, "keys.json"), "POLIS_QUOTA_REQUESTS": "1000000",
		"POLIS_EXPORT_AFTER_RUNS": exported, "DRIFT_SCHEDULE": "0 0 4 1 * *", "AzureWebJobs.DriftMonthly.Disabled": "1",
	})
	for _, engine := range []string{"Risk", "Churn", "Clv", "Nbp", "Defend"} {
		settings["AzureWebJobs."+engine+"Nightly.Disabled"] = "1" // a run of another date than ours
	}
	return localhost.New(localhost.Options{
		Root: w.root, Settings: settings, Broker: broker, State: state, Listen: "127.0.0.1:0", MasterKey: rand.Text(),
		MaxErrors: 1 << 20, Log: zerolog.New(w.log).With().Timestamp().Logger(),
	})
}

func (w *world) queues() []string {
	var out []string
	for _, q := range w.estate.Bus.Queues {
		out = append(out, q.Name)
	}
	return out
}
