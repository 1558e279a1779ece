package cosmos

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// The wait before a try doubles from the first to the longest, where Cosmos DB does not say
// how long; half of it is chance, so that those who were refused together do not come back
// together.
const (
	firstWait   = 20 * time.Millisecond
	longestWait = 2 * time.Second
)

// Patience is how long a call that is throttled waits in all before it is left to the queue, however often it is tried:
// to be throttled is no fault, and a chunk that was given up would come back and begin anew. By
// simulation (docs/scale.md).
const Patience = 60 * time.Second

// Attempts are how often a call is tried, the first time included, unless Options say otherwise.
const Attempts = 8

// passing are statuses after which the same request may succeed: throttled (429), written by
// another at the same moment (449), moved (410), timed out, or down.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusGone, http.StatusTooManyRequests, 449,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func kindOf(status int) fault.Kind {
	switch {
	case passing(status):
		return fault.Unavailable
	case status == http.StatusNotFound:
		return fault.NotFound
	case status == http.StatusConflict || status == http.StatusPreconditionFailed:
		return fault.Conflict
	case status == http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fault.Unconfigured
	}
	return fault.Internal
}

// tried calls until it succeeds, fails for good, or has been tried often enough. Retries are
// taken from the caller's allowance, where it has one: a store that is down must not be asked
// ever more. One that throttles is asked until it has been waited for long enough.
func (s *Store) tried(ctx context.Context, doing string, call func(context.Context) (charge float32, err error)) error {
	meter := store.MeterOf(ctx)
	waited := time.Duration(0)
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return fault.Wrap(fault.Cancelled, ctx.Err(), "%s", doing)
		}
		charge, err := call(ctx)
		meter.Charge(float64(charge))
		if err == nil {
			return nil
		}
		var r *azcore.ResponseError
		if errors.As(err, &r) {
			meter.Charge(refused(r)) // what is not there costs as well, and the client does not say
		}
		switch {
		case ctx.Err() != nil:
			return fault.Wrap(fault.Cancelled, errors.Join(ctx.Err(), err), "%s", doing)
		case fault.Is(err, fault.Internal) && isFault(err):
			return err
		case r != nil && !passing(r.StatusCode):
			return fault.Wrap(kindOf(r.StatusCode), err, "%s", doing)
		}
		wait, said := backOff(attempt, r)
		again := false
		if r != nil && r.StatusCode == http.StatusTooManyRequests {
			if said {
				wait = Throttled(attempt, wait, rand.Float64())
			}
			waited += wait
			again = waited <= s.patience
			meter.Throttle()
		} else {
			again = attempt < s.attempts && wait <= s.patience && store.Retry(ctx)
		}
		if !again {
			return fault.Wrap(fault.Unavailable, err, "%s", doing)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// refused is what a request was charged that was refused.
func refused(r *azcore.ResponseError) float64 {
	if r.RawResponse == nil {
		return 0
	}
	units, err := strconv.ParseFloat(r.RawResponse.Header.Get("x-ms-request-charge"), 64)
	if err != nil {
		return 0
	}
	return units
}

func isFault(err error) bool {
	var f *fault.Error
	return errors.As(err, &f)
}

// backOff is how long to wait: as long as Cosmos DB says, if it does, or by the number of the attempt.
func backOff(attempt int, r *azcore.ResponseError) (wait time.Duration, said bool) {
	if r != nil && r.RawResponse != nil {
		h := r.RawResponse.Header
		if ms, err := strconv.ParseFloat(h.Get("x-ms-retry-after-ms"), 64); err == nil && ms >= 0 {
			return time.Duration(ms * float64(time.Millisecond)), true
		}
		after := h.Get("Retry-After") // seconds, or a date (RFC 9110 10.2.3)
		if seconds, err := strconv.Atoi(after); err == nil && seconds >= 0 {
			return time.Duration(seconds) * time.Second, true
		}
		if at, err := http.ParseTime(after); err == nil {
			now, err := http.ParseTime(h.Get("Date")) // by the clock that set it
			if err != nil {
				now = time.Now()
			}
			return max(0, at.Sub(now)), true
		}
	}
	return Wait(attempt, rand.Float64()), false
}

// Throttled is how long to wait after an attempt that was throttled: as long as Cosmos DB says, and somewhat
// longer the more often. It says when there is something left, and not for how many that is
// enough: all who come back at that moment but the first would be refused again.
func Throttled(attempt int, said time.Duration, chance float64) time.Duration {
	return said + Wait(attempt, chance)
}

// Wait is how long to wait after an attempt, the first being 1, where Cosmos DB does not say; chance is
// from 0 to 1.
func Wait(attempt int, chance float64) time.Duration {
	wait := min(firstWait<<min(attempt-1, 20), longestWait)
	return wait/2 + time.Duration(chance*float64(wait/2))
}
