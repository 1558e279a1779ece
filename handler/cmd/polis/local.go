package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"polis/handler/internal/actions"
	"polis/handler/internal/book"
	"polis/handler/internal/caller"
	"polis/handler/internal/config"
	"polis/handler/internal/fault"
	"polis/handler/internal/localhost"
	"polis/handler/internal/registry"
	"polis/handler/internal/run"
	"polis/handler/internal/train"
)

type localCmd struct {
	dataFolder
	Root      string `help:"Staged app: host.json and a folder a function." default:"dist" type:"path"`
	Listen    string `help:"Where to listen." default:"127.0.0.1:7071"`
	Portfolio string `help:"Folder with the four tables; by default a sample is made." type:"path" placeholder:"DIR"`
	AsOf      string `help:"Score as of this date; by default today." placeholder:"DATE"`
	Customers count  `help:"Customers of the sample." default:"20000"`
	Seed      uint64 `help:"Seed of the sample." default:"1"`
	Crashes   int    `help:"Crashes of the handler within 30 minutes that stop the host." default:"3"`
	Stack     string `help:"What keeps blobs and messages: embedded, or azurite, where Azurite and a bus over AMQP play Azure's part." enum:"embedded,azurite" default:"embedded"`
	Idle      bool   `help:"Only start the host: load, train and run nothing."`
	written
}

// The settings that the functions need and a laptop has no place for.
var schedules = map[string]string{
	"RISK_SCHEDULE": "0 0 2 * * *", "CHURN_SCHEDULE": "0 5 2 * * *", "CLV_SCHEDULE": "0 10 2 * * *",
	"NBP_SCHEDULE": "0 15 2 * * *", "DEFEND_SCHEDULE": "0 20 2 * * *", "DRIFT_SCHEDULE": "0 0 4 1 * *",
}

func (m *localCmd) Run(ctx context.Context) error {
	if config.InAzure() {
		return fault.New(fault.Unconfigured, "polis local makes development keys and does not start in Azure")
	}
	on, err := asOf(m.AsOf)
	if err != nil {
		return err
	}
	if !exists(filepath.Join(m.Root, "host.json")) {
		return fault.New(fault.Unconfigured, "%s has no host.json: `make build` stages it", m.Root)
	}
	if m.Stack == "azurite" {
		stop, err := startStandins(ctx, m.Dir)
		if err != nil {
			return err
		}
		defer stop()
	}
	return m.with(func(s *stack) error {
		tenant := "sample"
		if m.Portfolio != "" {
			tenant = tenantOf(m.Portfolio)
		}
		t, err := s.tenant(ctx, tenant, 0)
		if err != nil {
			return err
		}
		// What has expired is not there any more; this is when it goes from the file.
		if _, err := s.embedded.Purge(ctx); err != nil {
			return err
		}
		keys, err := s.keys(ctx)
		if err != nil {
			return err
		}
		host, err := m.host(s, keys)
		if err != nil {
			return err
		}
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return host.Run(ctx) })
		g.Go(func() error {
			select {
			case <-host.Ready():
			case <-ctx.Done():
				return nil
			}
			base := "http://" + host.Addr()
			if err := keys.publish(s.dir, base); err != nil {
				return err
			}
			if m.Idle {
				fmt.Println("polis: ready on " + base)
				return nil
			}
			err := m.work(ctx, s, t, client{base, keys.Tenants[t.ID]}, on)
			if ctx.Err() != nil {
				return nil // what ended the host says why
			}
			return err
		})
		err = g.Wait()
		if err == nil {
			fmt.Println("polis: stopped; `make run` carries on where it was")
		}
		return err
	})
}

// keySet is the development keys of this folder: made once, and kept so that a pasted
// curl line works tomorrow.
type keySet struct {
	Address string            `json:"address,omitempty"`
	Master  string            `json:"master_key"` // of the host's admin routes
	Tenants map[string]string `json:"tenants"`    // key by tenant

	file string // what the handler reads: digests only
}

// keys reads or makes the keys of all tenants.
func (s *stack) keys(ctx context.Context) (*keySet, error) {
	k := &keySet{Tenants: map[string]string{}, file: filepath.Join(s.dir, "keys.json")}
	body, err := os.ReadFile(filepath.Join(s.dir, "local.json"))
	if err == nil {
		err = json.Unmarshal(body, k)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.Wrap(fault.Unconfigured, err, "reading the development keys")
	}
	if k.Master == "" {
		k.Master = "polis_admin_" + strings.ToLower(rand.Text())
	}
	var list []caller.Key
	for t, err := range s.book.Tenants(ctx) {
		if err != nil {
			return nil, err
		}
		if k.Tenants[t.ID] == "" {
			k.Tenants[t.ID] = "polis_dev_" + strings.ToLower(rand.Text())
		}
		list = append(list, caller.Key{SHA256: caller.Digest(k.Tenants[t.ID]), Tenant: t.ID, Roles: []caller.Role{caller.Admin}})
	}
	return k, writePrivate(k.file, list)
}

func writePrivate(path string, v any) error {
	body, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(body, '\n'), 0o600)
	}
	return fault.Wrap(fault.Unconfigured, err, "writing %s", filepath.Base(path))
}

// publish says where the host is, for scripts.
func (k *keySet) publish(dir, address string) error {
	k.Address = address
	return writePrivate(filepath.Join(dir, "local.json"), k)
}

func (m *localCmd) host(s *stack, k *keySet) (*localhost.Host, error) {
	settings := map[string]string{
		"AZURE_FUNCTIONS_ENVIRONMENT": "Development", "POLIS_STORE": "embedded",
		"POLIS_DATA_DIR": s.dir, "POLIS_DEV_KEYS_FILE": k.file, "SERVICEBUS__fullyQualifiedNamespace": "local",
	}
	for name, v := range schedules {
		if os.Getenv(name) == "" {
			settings[name] = v
		}
	}
	maps.Copy(settings, s.app)
	// Lines of the host and its handler go to a file: the terminal is for people.
	log, err := os.OpenFile(filepath.Join(s.dir, "host.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening the host's log")
	}
	return localhost.New(localhost.Options{
		Root: m.Root, Settings: settings, Broker: s.queues, State: s.embedded, Listen: m.Listen, MasterKey: k.Master,
		MaxErrors: m.Crashes, PIDFile: filepath.Join(s.dir, "handler.pid"), Log: zerolog.New(log).With().Timestamp().Logger(),
	})
}

// work is what a person came for: a portfolio in, its scores out, whom to act on.
func (m *localCmd) work(ctx context.Context, s *stack, t book.Tenant, api client, on date) error {
	p := newProgress(os.Stdout)
	if err := m.fill(ctx, s, p, t, on); err != nil {
		return err
	}
	base, err := s.models.Base(ctx, t.ID)
	if err != nil {
		return err
	}
	if _, err := s.models.Current(ctx, t.ID); fault.Is(err, fault.Conflict) {
		if _, err := s.train(ctx, p, t, on, base, train.Options{}); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	done, err := api.run(ctx, p, on)
	if err != nil {
		return err
	}
	list, err := api.list(ctx, os.Stdout, done)
	if err != nil {
		return err
	}
	if err := printTop(os.Stdout, list, 10); err != nil {
		return err
	}
	id := "CUSTOMER"
	if len(list.Items) > 0 {
		id = list.Items[0].Customer
	}
	fmt.Printf("Open  %s/api/docs          the operations\n      %s/api/openapi.yaml  their specification\n      %s/api/health\n\n", api.base, api.base, api.base)
	fmt.Printf("Paste curl -s -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{\"as_of\":\"%s\",\"customers\":[\"%s\"]}' %s/api/v1/churn/scores\n\n", api.key, on, id, api.base)
	fmt.Printf("Logs  %s\nUp until Ctrl-C. The nightly timers fire at 02:00 UTC.\n", filepath.Join(s.dir, "host.log"))
	return nil
}

// fill loads the portfolio: a folder that is named always, which changes nothing where
// it changed nothing; the sample into an empty book, or one whose loading was cut off:
// models are trained only after it.
func (m *localCmd) fill(ctx context.Context, s *stack, p *progress, t book.Tenant, on date) error {
	dir := m.Portfolio
	if dir == "" {
		empty, err := s.empty(ctx, t)
		if err != nil {
			return err
		}
		if !empty {
			_, err := s.models.Current(ctx, t.ID)
			if errors.Is(err, registry.ErrUnreadable) { // there were models: it was loaded
				return nil
			}
			if !fault.Is(err, fault.Conflict) {
				return err
			}
		}
		dir = filepath.Join(s.dir, "sample")
		if err := makeSample(ctx, p, sampleOptions{Customers: int(m.Customers), Seed: m.Seed, World: "A", AsOf: on, Dir: dir}); err != nil {
			return err
		}
	}
	_, err := s.load(ctx, p, t, dir, on, m.detected(), nil)
	return err
}

// empty reports whether a tenant has no customers.
func (s *stack) empty(ctx context.Context, t book.Tenant) (bool, error) {
	for bucket := range t.Buckets {
		for _, err := range s.book.Places(ctx, t, bucket) {
			return false, err
		}
	}
	return true, nil
}

// client calls the API as anybody would.
type client struct{ base, key string }

func (c client) do(ctx context.Context, method, path string, body, out any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "encoding a request")
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, in)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "making a request")
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "calling the API")
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		var p struct{ Title, Detail string }
		_ = json.NewDecoder(res.Body).Decode(&p) // whatever it says, the status is bad
		return fault.New(fault.Internal, "%s %s: %d %s: %s", method, path, res.StatusCode, p.Title, p.Detail)
	}
	return fault.Wrap(fault.Internal, json.NewDecoder(res.Body).Decode(out), "reading an answer")
}

// list is the list of a run; of one that made none, since there is a later one, it says so and
// is that.
func (c client) list(ctx context.Context, w io.Writer, r run.Progress) (*actions.List, error) {
	of := r.AsOf.String()
	if r.Summary != nil && r.Summary.NoList != "" {
		fmt.Fprintf(w, "\nNo list of %s: %s. This is the latest.\n", of, r.Summary.NoList)
		of = "latest"
	}
	list := new(actions.List)
	return list, c.do(ctx, http.MethodGet, "/api/v1/action-lists/"+of+"?limit=10", nil, list)
}

// run starts or joins the run of a date and waits for it. A portfolio that changed since
// the date was run is run again.
func (c client) run(ctx context.Context, p *progress, on date) (run.Progress, error) {
	var r run.Progress
	if err := c.do(ctx, http.MethodPost, "/api/v1/runs", map[string]any{"as_of": on, "again": true}, &r); err != nil {
		return r, err
	}
	st := p.stage("run")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for r.Status != "completed" {
		select {
		case <-ctx.Done():
			st.abort()
			return r, ctx.Err()
		case <-tick.C:
		}
		var now run.Progress
		if err := c.do(ctx, http.MethodGet, "/api/v1/runs/"+r.ID, nil, &now); err != nil {
			continue // the handler may be on its way up again; the host says if it is not
		}
		r = now
		st.set(int64(r.Done), int64(r.Chunks))
	}
	st.end(describe(r))
	return r, nil
}
