// Package registry keeps tenants' models: each set a blob named by its version, beside it
// the baseline of the book that it was trained on, and one small blob that says which is
// current.
package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"polis/handler/internal/audit"
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

func baselineName(tenant, version string) string {
	return "models/" + tenant + "/" + version + ".baseline.json"
}

// pointer is the blob that says which set is current.
type pointer struct {
	Version   string    `json:"version"`
	Published time.Time `json:"published_at"`
	Baseline  string    `json:"baseline_sha256,omitempty"`
}

// Base is which models were current when others began to be made; the zero Base is that none were.
type Base struct{ etag string }

// Base is the tenant's at present. What Current and Settings say afterwards is of these models or
// of later ones.
func (r *Registry) Base(ctx context.Context, tenant string) (Base, error) {
	r.mu.Lock()
	delete(r.current, tenant)
	r.mu.Unlock()
	f, info, err := r.blobs.Open(ctx, currentName(tenant))
	if fault.Is(err, fault.NotFound) {
		return Base{}, nil
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return Base{}, fmt.Errorf("finding the current models: %w", err)
	}
	return Base{info.ETag}, nil
}

// Publish is PublishWith without a baseline.
func (r *Registry) Publish(ctx context.Context, tenant string, m *scoring.Models) error {
	return r.PublishWith(ctx, tenant, m, nil)
}

// PublishWith is PublishOver whichever models are current at present.
func (r *Registry) PublishWith(ctx context.Context, tenant string, m *scoring.Models, b *audit.Baseline) error {
	base, err := r.Base(ctx, tenant)
	if err != nil {
		return err
	}
	return r.PublishOver(ctx, tenant, base, m, b)
}

// PublishOver stores the models and the baseline of the book that they were trained on, if
// there is one, and makes them the tenant's current ones. The set is there before anything
// points to it. If others were published since the base, whose settings and data these do not know,
// it is fault.Conflict, and those stay.
func (r *Registry) PublishOver(ctx context.Context, tenant string, base Base, m *scoring.Models, b *audit.Baseline) error {
	var buf bytes.Buffer
	if err := m.Save(&buf); err != nil {
		return err
	}
	if _, err := r.blobs.Put(ctx, setName(tenant, m.Version), &buf); err != nil {
		return fmt.Errorf("publishing models: %w", err)
	}
	p := pointer{Version: m.Version, Published: r.now().UTC()}
	if b != nil {
		b.Model = m.Version
		var file bytes.Buffer
		if err := b.Save(&file); err != nil {
			return err
		}
		p.Baseline = digest(file.Bytes())
		if _, err := r.blobs.Put(ctx, baselineName(tenant, m.Version), &file); err != nil {
			return fmt.Errorf("publishing the baseline: %w", err)
		}
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding the current version")
	}
	if base.etag == "" {
		_, err = r.blobs.Create(ctx, currentName(tenant), bytes.NewReader(body))
	} else {
		_, err = r.blobs.Replace(ctx, currentName(tenant), base.etag, bytes.NewReader(body))
	}
	if fault.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Conflict, err, "other models of the tenant were published since these began to be trained: train again, so that nothing of those is lost")
	}
	if err != nil {
		return fmt.Errorf("publishing models: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.current, tenant)
	return nil
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Baseline is that of a version of the tenant's models, and the SHA-256 of its file in hex;
// fault.NotFound where none was kept.
func (r *Registry) Baseline(ctx context.Context, tenant, version string) (*audit.Baseline, string, error) {
	body, err := r.read(ctx, baselineName(tenant, version))
	if fault.Is(err, fault.NotFound) {
		return nil, "", fault.New(fault.NotFound, "models %s were published without a baseline: train again, and drift is measured from then on", version)
	}
	if err != nil {
		return nil, "", fmt.Errorf("reading the baseline of models %s: %w", version, err)
	}
	b, err := audit.ParseBaseline(body)
	if err != nil {
		return nil, "", fmt.Errorf("reading the baseline of models %s: %w", version, err)
	}
	sum := digest(body)
	current, err := r.read(ctx, currentName(tenant))
	if err != nil {
		return nil, "", fmt.Errorf("finding the current models: %w", err)
	}
	var p pointer
	if err := json.Unmarshal(current, &p); err != nil {
		return nil, "", fault.Wrap(fault.Internal, err, "decoding the current version")
	}
	if b.Model != version || p.Version == version && p.Baseline != "" && p.Baseline != sum {
		return nil, "", fault.New(fault.Internal, "the baseline of models %s was changed since it was published", version)
	}
	return b, sum, nil
}

// Current is the tenant's current models; fault.Conflict where there are none yet, or none that
// can be read: see ErrUnreadable.
func (r *Registry) Current(ctx context.Context, tenant string) (*scoring.Models, error) {
	version, err := r.currentVersion(ctx, tenant)
	if err != nil {
		return nil, err
	}
	m, err := r.Version(ctx, tenant, version)
	if fault.Is(err, fault.NotFound) {
		err = unreadable(err, version)
	}
	return m, err
}

// Settings are those that a tenant's current models carry, also where the models themselves are
// of an older format.
func (r *Registry) Settings(ctx context.Context, tenant string) (scoring.Settings, error) {
	version, err := r.currentVersion(ctx, tenant)
	if err != nil {
		return scoring.Settings{}, err
	}
	body, err := r.read(ctx, setName(tenant, version))
	if err != nil {
		return scoring.Settings{}, fmt.Errorf("reading models %s: %w", version, err)
	}
	if !strings.HasPrefix(digest(body), version) {
		return scoring.Settings{}, fault.New(fault.Malformed, "models %s were changed since they were published", version)
	}
	return scoring.ParseSettings(body)
}

// currentVersion is which models are current; fault.Conflict where none are.
func (r *Registry) currentVersion(ctx context.Context, tenant string) (string, error) {
	r.mu.Lock()
	c, ok := r.current[tenant]
	r.mu.Unlock()
	if !ok || r.now().Sub(c.at) > fresh {
		body, err := r.read(ctx, currentName(tenant))
		if fault.Is(err, fault.NotFound) {
			return "", fault.New(fault.Conflict, "no models are published for the tenant yet: train them")
		}
		if err != nil {
			return "", fmt.Errorf("finding the current models: %w", err)
		}
		var p pointer
		if err := json.Unmarshal(body, &p); err != nil {
			return "", unreadable(err, "that are current")
		}
		c = current{p.Version, r.now()}
		r.mu.Lock()
		r.current[tenant] = c
		r.mu.Unlock()
	}
	return c.version, nil
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

// ErrUnreadable is what is wrong with models that are there, but of another format, damaged or
// changed since: they stay what they are until others are published. It comes as
// fault.Conflict, as having none does, which it is told from by errors.Is.
var ErrUnreadable = errors.New("not as this program writes them")

func unreadable(err error, version string) error {
	why := ErrUnreadable.Error()
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		why = f.Detail // of the file's form, and of nobody
	}
	return fault.Wrap(fault.Conflict, errors.Join(ErrUnreadable, err), "the tenant's models %s cannot be read (%s): train again", version, why)
}

func (r *Registry) load(ctx context.Context, name, version string) (*scoring.Models, error) {
	body, err := r.read(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("reading models %s: %w", version, err)
	}
	m, err := scoring.Parse(body)
	if err == nil && m.Version != version {
		err = fault.New(fault.Malformed, "they were changed since they were published, and are now %s", m.Version)
	}
	if err != nil {
		return nil, unreadable(err, version)
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

// Reachable asks the blobs for models of nobody: that there are none is an answer. A container that
// is not there, or may not be read, is none.
func (r *Registry) Reachable(ctx context.Context) error {
	_, err := r.read(ctx, "models/of-nobody.json")
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
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
