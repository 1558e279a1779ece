package run

import (
	"context"
	"encoding/json"
	"fmt"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
)

// DefaultWidth is how many chunks of a run are under way at a time: as many as the chunk workers
// that stand ready take when a run is alone (docs/scale.md).
const DefaultWidth = 32

// A run of a large book must not stand in the queue before everybody else's. So its chunks go in
// lanes, as many as the run is wide: chunk b, b + width, b + 2 width and so on are one lane, of
// which one chunk at a time is in the queue or being worked, and the message that is done sends for the
// next. The queue is first in, first out, so that the lanes of all runs take turns, and a
// message waits behind no more than the widths of the others.
//
// A message is settled after it has sent for the next, so that a kill in between brings it
// again, and it sends again: the same id, of the same chunk.

// Next is the chunk that comes after bucket in its lane; false at the lane's end.
func Next(bucket, width, chunks int) (int, bool) {
	return bucket + width, bucket+width < chunks
}

// First are the chunks that a run begins with, or goes on with: the first of each lane that is not done.
func First(width, chunks int, done func(bucket int) bool) []int {
	var first []int
	for lane := range min(width, chunks) {
		for b, ok := lane, true; ok; b, ok = Next(b, width, chunks) {
			if !done(b) {
				first = append(first, b)
				break
			}
		}
	}
	return first
}

// width is the run's own, since lanes must not change under it. A run that was started before
// there were lanes has sent for all.
func (r *Run) width() int {
	if r.Width == 0 {
		return r.Chunks
	}
	return r.Width
}

// ask sends for chunks. Asking again for one that is on its way is harmless: a duplicate is
// dropped by the bus, or finds the chunk done.
func (r *Runs) ask(ctx context.Context, chunks ...ChunkRequest) error {
	msgs := make([]bus.Message, 0, len(chunks))
	for _, req := range chunks {
		body, err := json.Marshal(req)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "encoding a chunk request")
		}
		msgs = append(msgs, bus.Message{
			ID: fmt.Sprintf("%s/%s/%d", req.Tenant, req.Run, req.Bucket), Body: body, ContentType: "application/json", Subject: "run.chunk",
		})
	}
	if err := r.bus.Send(ctx, ChunkQueue, msgs...); err != nil {
		return fmt.Errorf("sending for the chunks of a run: %w", err)
	}
	return nil
}

// follow sends for the next chunk of a lane. If that is done already, its message finds so and
// follows on. It is told what its lane has spent of the run's retries.
func (r *Runs) follow(ctx context.Context, run Run, bucket, spent int) error {
	if next, ok := Next(bucket, run.width(), run.Chunks); ok {
		return r.ask(ctx, ChunkRequest{Tenant: run.Tenant, Run: run.ID, Bucket: next, Spent: spent})
	}
	return nil
}

// pass sends for the next chunk of a lane whose present one failed for good: it goes to the dead
// letters, and the others must not wait until somebody has looked at it. What fails for a
// passing reason holds its lane, since more of the same would only press on what is down.
func (r *Runs) pass(ctx context.Context, run Run, bucket, spent int, why error) error {
	switch fault.KindOf(why) {
	case fault.Unavailable, fault.Cancelled, fault.Unconfigured:
		return nil
	}
	return r.follow(ctx, run, bucket, spent)
}
