// Package registry keeps tenants' models: each set a blob named by its version, and one
// small blob that says which is current.
package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"polis/handler/internal/blob"
	"polis/handler/internal/fault"
	"polis/handler/internal/scoring"
)

// fresh is for how long the current version is remembered before it is asked again.
const fresh = 15 * time.Second

// held is how many sets are kept in memory: about a megabyte each.
const held = 32

// Registry finds and publishes models.
type Registry struct {
	blobs blob.Store
	now   func() time.Time

	mu      sync.Mutex
	current map[string]current
	sets    map[string]*set // by blob
}

// set is models that are loaded, or being loaded by whoever asked first.
type set struct {
	once   sync.Once
	models *scoring.Models
	err    error
}

type current struct {
	version string
	at      time.Time
}

// New is a registry over blobs.
func New(b blob.Store, now func() time.Time) *Registry {
	if b == nil || now == nil {
		panic("registry: no blobs or no clock")
	}
	return &Registry{blobs: b, now: now, current: map[string]current{}, sets: map[string]*set{}}
}

func setName(tenant, version string) string { return "models/" + tenant + "/" + version + ".json" }
func currentName(tenant string) string      { return "models/" + tenant + "/current.json" }

// pointer is the blob that says which set is current.
type pointer struct {
	Version   string    `json:"version"`
	Published time.Time `json:"published_at"`
}

// Publish stores the models and makes them the tenant's current ones. The set is there
// before anything points to it.
func (r *Registry) Publish(ctx context.Context, tenant string, m *scoring.Models) error {
	var buf bytes.Buffer
	if err := m.Save(&buf); err != nil {
		return err
	}
	if _, err := r.blobs.Put(ctx, setName(tenant, m.Version), &buf); err != nil {
		return fmt.Errorf("publishing models: %w", err)
	}
	body, err := json.Marshal(pointer{m.Version, r.now().UTC()})
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding the current version")
	}
	if _, err := r.blobs.Put(ctx, currentName(tenant), bytes.NewReader(body)); err != nil {
		return fmt.Errorf("publishing models: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.current, tenant)
	return nil
}

// Current is the tenant's current models; fault.Conflict where there are none yet.
func (r *Registry) Current(ctx context.Context, tenant string) (*scoring.Models, error) {
	r.mu.Lock()
	c, ok := r.current[tenant]
	r.mu.Unlock()
	if !ok || r.now().Sub(c.at) > fresh {
		body, err := r.read(ctx, currentName(tenant))
		if fault.Is(err, fault.NotFound) {
			return nil, fault.New(fault.Conflict, "no models are published for the tenant yet: train them")
		}
		if err != nil {
			return nil, fmt.Errorf("finding the current models: %w", err)
		}
		var p pointer
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "decoding the current version")
		}
		c = current{p.Version, r.now()}
		r.mu.Lock()
		r.current[tenant] = c
		r.mu.Unlock()
	}
	return r.Version(ctx, tenant, c.version)
}

// Version is a set by its version; fault.NotFound where there is none.
func (r *Registry) Version(ctx context.Context, tenant, version string) (*scoring.Models, error) {
	name := setName(tenant, version)
	r.mu.Lock()
	s, ok := r.sets[name]
	if !ok {
		if len(r.sets) >= held {
			clear(r.sets)
		}
		s = &set{}
		r.sets[name] = s
	}
	r.mu.Unlock()
	s.once.Do(func() { s.models, s.err = r.load(ctx, name, version) })
	if s.err != nil {
		r.mu.Lock()
		if r.sets[name] == s {
			delete(r.sets, name) // the next may fare better
		}
		r.mu.Unlock()
	}
	return s.models, s.err
}

func (r *Registry) load(ctx context.Context, name, version string) (*scoring.Models, error) {
	body, err := r.read(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("reading models %s: %w", version, err)
	}
	m, err := scoring.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("reading models %s: %w", version, err)
	}
	if m.Version != version {
		return nil, fault.New(fault.Internal, "models %s were changed since they were published: they are %s", version, m.Version)
	}
	return m, nil
}

// Warm loads the current models of the first tenants, at most max, so that a process
// that has just started need not when it is asked. What fails will fail again then.
func (r *Registry) Warm(ctx context.Context, max int) {
	for i, err := range r.blobs.List(ctx, "models/") {
		if err != nil || max == 0 {
			return
		}
		if tenant, ok := strings.CutSuffix(strings.TrimPrefix(i.Name, "models/"), "/current.json"); ok {
			max--
			_, _ = r.Current(ctx, tenant)
		}
	}
}

func (r *Registry) read(ctx context.Context, name string) (_ []byte, err error) {
	f, info, err := r.blobs.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := bytes.NewBuffer(make([]byte, 0, info.Size+bytes.MinRead))
	if _, err := io.Copy(buf, f); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "reading a blob")
	}
	return buf.Bytes(), nil
}
