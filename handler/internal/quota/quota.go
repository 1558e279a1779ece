// Package quota says how much of Polis a tenant may use at a time, so that none starves the
// others. All of it is our choice, by the simulations of docs/scale.md where they say anything, and a
// setting: POLIS_QUOTA_CHUNKS and so on for everybody, POLIS_QUOTA_TENANTS for some.
package quota

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"polis/handler/internal/fault"
)

// Quota is what a tenant may use. 0 in a tenant's own is what everybody may.
type Quota struct {
	Chunks   int `json:"chunks,omitempty"`   // of a run under way: its width
	Runs     int `json:"runs,omitempty"`     // open, of those that are asked for by HTTP
	Imports  int `json:"imports,omitempty"`  // waiting to be worked
	Exports  int `json:"exports,omitempty"`  // likewise
	Requests int `json:"requests,omitempty"` // a minute by HTTP, of each instance
}

type field struct {
	name string
	v    int
}

// fields are what a quota says, by their names in settings.
func (q Quota) fields() []field {
	return []field{{"chunks", q.Chunks}, {"runs", q.Runs}, {"imports", q.Imports}, {"exports", q.Exports}, {"requests", q.Requests}}
}

// Check names what is wrong.
func (q Quota) Check() error {
	for _, f := range q.fields() {
		if f.v < 0 || f.v > 1_000_000 {
			return fault.New(fault.Unconfigured, "the quota of %s is not from 1 to 1,000,000", f.name)
		}
	}
	return nil
}

// over is q, and o where q says nothing.
func (q Quota) over(o Quota) Quota {
	pick := func(a, b int) int {
		if a == 0 {
			return b
		}
		return a
	}
	return Quota{pick(q.Chunks, o.Chunks), pick(q.Runs, o.Runs), pick(q.Imports, o.Imports), pick(q.Exports, o.Exports), pick(q.Requests, o.Requests)}
}

// Quotas are everybody's, and those of some.
type Quotas struct {
	all     Quota
	tenants map[string]Quota
	now     func() time.Time
	mu      sync.Mutex
	rates   *lru.Cache[string, *rate]
}

// tenantsAtOnce are how many tenants' rates an instance remembers: a quarter of a megabyte.
const tenantsAtOnce = 4096

// New is quotas of which all must say everything; tenants is JSON, such as {"acme": {"chunks": 200}}, or
// nothing.
func New(all Quota, tenants string, now func() time.Time) (*Quotas, error) {
	if now == nil {
		panic("quota: no clock")
	}
	q := &Quotas{all: all, now: now}
	if err := all.Check(); err != nil {
		return nil, err
	}
	for _, f := range all.fields() {
		if f.v == 0 {
			return nil, fault.New(fault.Unconfigured, "POLIS_QUOTA_%s is missing or 0", strings.ToUpper(f.name))
		}
	}
	if tenants != "" {
		d := json.NewDecoder(bytes.NewReader([]byte(tenants)))
		d.DisallowUnknownFields()
		if err := d.Decode(&q.tenants); err != nil {
			return nil, fault.New(fault.Unconfigured, `POLIS_QUOTA_TENANTS is not JSON such as {"acme": {"chunks": 200}}`)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, fault.New(fault.Unconfigured, "POLIS_QUOTA_TENANTS has more after its JSON")
		}
	}
	for id, t := range q.tenants {
		if err := t.Check(); err != nil {
			return nil, fmt.Errorf("POLIS_QUOTA_TENANTS, %s: %w", id, err)
		}
	}
	var err error
	if q.rates, err = lru.New[string, *rate](tenantsAtOnce); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "making room for rates")
	}
	return q, nil
}

// Of is a tenant's quota.
func (q *Quotas) Of(tenant string) Quota { return q.tenants[tenant].over(q.all) }

// Width is how wide a tenant's runs are.
func (q *Quotas) Width(tenant string) int { return q.Of(tenant).Chunks }

// rate is a bucket of tokens that fills in a minute.
type rate struct {
	left float64
	at   time.Time
}

// Request takes one request of a tenant's minute; it says how many are left, and is fault.Exhausted where there
// is none. An instance counts for itself: it keeps one tenant from taking all of it, and is no bill.
func (q *Quotas) Request(tenant string) (left int, err error) {
	most := float64(q.Of(tenant).Requests)
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	r, ok := q.rates.Get(tenant)
	if !ok {
		r = &rate{left: most, at: now}
		q.rates.Add(tenant, r)
	}
	if passed := now.Sub(r.at).Minutes(); passed > 0 {
		r.left, r.at = min(most, r.left+passed*most), now
	}
	if r.left < 1 {
		return 0, fault.Later(time.Duration(math.Ceil((1-r.left)/most*60))*time.Second, "more than %.0f requests a minute of one tenant", most)
	}
	r.left--
	return int(r.left), nil
}
