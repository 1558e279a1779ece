package httpapi

import (
	"context"
	"net/http"
	"strings"

	"golang.org/x/sync/semaphore"

	"polis/handler/internal/fault"
)

// The host lets 64 requests in at once, each of which may be as large as maxBody and takes some four times that
// while it is decoded: more than the handler has. So the bodies that are in memory at once are bounded, and who comes
// later waits with the body unread. Both bounds are our choice: two of the largest, and small ones need not ask,
// since all that there can be of those come to 4 MiB.
const (
	roomForBodies = 2 * maxBody
	smallBody     = 64 << 10 // bytes
)

// bodies are those of the requests that are under way.
type bodies struct{ room *semaphore.Weighted }

func newBodies() bodies { return bodies{semaphore.NewWeighted(roomForBodies)} }

// enter waits until there is room for a request's body; leave gives it back. An upload goes on to the blobs block
// by block and takes, with what is on its way there, as much as the largest body.
func (b bodies) enter(ctx context.Context, r *http.Request) (leave func(), err error) {
	n := r.ContentLength
	if n < 0 || n > maxBody || strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		n = maxBody
	}
	if n <= smallBody {
		return func() {}, nil
	}
	if !b.room.TryAcquire(n) {
		if err := b.room.Acquire(ctx, n); err != nil {
			return nil, fault.Wrap(fault.Cancelled, err, "waiting for room for a request's body")
		}
	}
	return func() { b.room.Release(n) }, nil
}
