package store

import (
	"context"
	"sync/atomic"
)

// A Meter adds up what is asked of a store on behalf of a context, and what that costs. A nil
// meter counts nothing. It is safe for concurrent use.
type Meter struct {
	Reads, Queries, Documents, Batches, Writes atomic.Int64 // documents: those that queries gave
	BytesRead, BytesWritten                    atomic.Int64 // of keys and bodies
	Retries, Throttles                         atomic.Int64 // throttles: retries of what was throttled
	milliunits                                 atomic.Int64
}

// NewMeter is a meter that has counted nothing.
func NewMeter() *Meter { return &Meter{} }

// Charge adds request units: Cosmos DB's measure of what a request costs.
func (m *Meter) Charge(units float64) {
	if m != nil && units > 0 {
		m.milliunits.Add(int64(units*1000 + 0.5))
	}
}

// Units are the request units charged; none where the store does not charge.
func (m *Meter) Units() float64 {
	if m == nil {
		return 0
	}
	return float64(m.milliunits.Load()) / 1000
}

// Throttle counts a retry of what was throttled, of which there are as many as it takes.
func (m *Meter) Throttle() {
	if m != nil {
		m.Throttles.Add(1)
	}
}

type meterKey struct{}

// Metered is a context whose calls the meter counts.
func Metered(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// MeterOf is the context's meter, or nil.
func MeterOf(ctx context.Context) *Meter {
	m, _ := ctx.Value(meterKey{}).(*Meter)
	return m
}

type staleKey struct{}

// Stale is a context whose reads may be of a moment ago: a run over a whole book does not
// need what was written this second, and such reads cost half.
func Stale(ctx context.Context) context.Context { return context.WithValue(ctx, staleKey{}, true) }

// Fresh is a context whose reads may not be, though the context's may.
func Fresh(ctx context.Context) context.Context { return context.WithValue(ctx, staleKey{}, false) }

// IsStale reports whether the context's reads may be.
func IsStale(ctx context.Context) bool {
	stale, _ := ctx.Value(staleKey{}).(bool)
	return stale
}
